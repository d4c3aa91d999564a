//! How a call leaves: one send through the limiter, and which of them may be repeated.
//!
//! A read has at most three tries on 5xx and broken connections, and a few more on 429, which the
//! limiter spaces out. A write has one send; what it means when that fails is in [`CallFailure`].

use crate::domain::{AccountName, CallFailure, Code};
use crate::starshipit::reply::{Again, Bad, Good, Raw, judge};
use crate::starshipit::{Account, Priority, Starshipit};
use crate::system::calls::CallEnd;
use crate::system::http::{self, Trouble, percent_encode};
use crate::system::limiter::{Refusal, chance};
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::Value;
use std::time::Duration;

/// Body bound of a reply that carries label documents, in bytes.
pub(crate) const MAX_LABELS: usize = 64 << 20;
/// Body bound of any other reply, in bytes.
pub(crate) const MAX_REPLY: usize = 8 << 20;
/// Tries of a read that fails in passing.
const TRIES: u32 = 3;
/// Further tries of a read that was answered 429: the limiter's 1, 2, 4, 8 s.
const THROTTLED_TRIES: u32 = 4;
/// A try that took longer is not repeated: somebody waits.
const LONG: Duration = Duration::from_secs(5);
/// Longest wait for the reply to a read.
const READ: Duration = Duration::from_secs(20);
/// Bodies above this are read on a thread of their own.
const BIG: usize = 1 << 20;

impl Starshipit {
    /// A GET, repeated by rule.
    pub(crate) async fn read(
        &self,
        account: &AccountName,
        path: &str,
        query: &[(&str, &str)],
        priority: Priority,
    ) -> Result<Good, CallFailure> {
        let holder = self.holder(account)?;
        let url = self.url(path, query)?;
        let mut tries = 0;
        let mut throttled = 0;
        loop {
            let mut request = Request::new(Method::GET, url.clone());
            *request.timeout_mut() = Some(READ.min(self.inner.request_timeout));
            let bad = match self
                .send(account, holder, request, MAX_REPLY, priority)
                .await
            {
                Ok(good) => return Ok(good),
                Err(bad) => bad,
            };
            match bad.again {
                Again::Never => return Err(bad.failure),
                Again::WhenLet if throttled < THROTTLED_TRIES => throttled += 1,
                Again::Soon if tries + 1 < TRIES => {
                    tries += 1;
                    let pause = Duration::from_millis(200) * tries;
                    tokio::time::sleep(pause.mul_f64(1.0 + chance())).await;
                }
                Again::Soon | Again::WhenLet => return Err(bad.failure),
            }
        }
    }

    /// A POST, sent once.
    pub(crate) async fn write(
        &self,
        account: &AccountName,
        path: &str,
        body: &Value,
        limit: usize,
        priority: Priority,
    ) -> Result<Good, CallFailure> {
        self.write_or(account, path, body, limit, priority)
            .await
            .map_err(|bad| bad.failure)
    }

    /// A PUT, sent once.
    pub(crate) async fn change(
        &self,
        account: &AccountName,
        path: &str,
        body: &Value,
        limit: usize,
        priority: Priority,
    ) -> Result<Good, CallFailure> {
        self.send_body(Method::PUT, account, path, body, limit, priority)
            .await
            .map_err(|bad| bad.failure)
    }

    /// The same, with all that is known of a failure.
    pub(crate) async fn write_or(
        &self,
        account: &AccountName,
        path: &str,
        body: &Value,
        limit: usize,
        priority: Priority,
    ) -> Result<Good, Bad> {
        self.send_body(Method::POST, account, path, body, limit, priority)
            .await
    }

    async fn send_body(
        &self,
        method: Method,
        account: &AccountName,
        path: &str,
        body: &Value,
        limit: usize,
        priority: Priority,
    ) -> Result<Good, Bad> {
        let never = |failure| Bad::new(failure, Again::Never);
        let holder = self.holder(account).map_err(never)?;
        let url = self.url(path, &[]).map_err(never)?;
        let mut request = Request::new(method, url);
        request.headers_mut().insert(
            reqwest::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        *request.body_mut() = Some(body.to_string().into());
        self.send(account, holder, request, limit, priority).await
    }

    /// One send, through the limiter.
    async fn send(
        &self,
        name: &AccountName,
        holder: &Account,
        mut request: Request,
        limit: usize,
        priority: Priority,
    ) -> Result<Good, Bad> {
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("StarShipIT-Api-Key", holder.api_key.clone());
        headers.insert("Ocp-Apim-Subscription-Key", holder.subscription_key.clone());
        let method = request.method().clone();
        let path = request.url().path().to_owned();

        let limiter = &holder.limiter;
        let patience = patience(priority).max(limiter.window() * 4);
        let taken = limiter.acquire(priority, patience).await.map_err(|why| {
            let retry_after = match why {
                Refusal::Paused(left) => Some(left),
                Refusal::Busy => None,
            };
            Bad::new(CallFailure::Throttled { retry_after }, Again::Never)
        })?;
        let exchanged = http::exchange(&self.inner.http, request, limit).await;
        self.inner.calls.count(match &exchanged {
            Ok(raw) => CallEnd::Status(raw.status),
            Err(trouble) => trouble.end(),
        });
        let result = match exchanged {
            Ok(raw) => {
                let raw = Raw {
                    status: raw.status,
                    retry_after: http::retry_after(&raw.headers),
                    body: raw.body,
                };
                let result = read_reply(holder, raw).await;
                match &result {
                    Err(Bad {
                        failure: CallFailure::Throttled { retry_after },
                        ..
                    }) => {
                        limiter.throttled(taken, *retry_after);
                    }
                    _ => limiter.served(taken),
                }
                result
            }
            Err(Trouble::Clock(detail)) => Err(Bad::new(
                CallFailure::Refused {
                    code: Code::ClockNotSet,
                    detail,
                },
                Again::Never,
            )),
            Err(Trouble::NotSent(detail)) => {
                Err(Bad::new(CallFailure::NotSent { detail }, Again::Soon))
            }
            Err(Trouble::Broken(detail)) => {
                Err(Bad::new(CallFailure::Unknown { detail }, Again::Soon))
            }
        };
        let took = taken.elapsed();
        tracing::debug!(
            account = %name,
            %method,
            path,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            failure = result.as_ref().err().map(|bad| tracing::field::debug(&bad.failure)),
            "starshipit call"
        );
        result.map_err(|mut bad| {
            if bad.again == Again::Soon && took > LONG {
                bad.again = Again::Never;
            }
            bad
        })
    }

    fn holder(&self, account: &AccountName) -> Result<&Account, CallFailure> {
        self.inner
            .accounts
            .get(account)
            .ok_or_else(|| CallFailure::Refused {
                code: Code::AccountUnknown,
                detail: format!("account {account} is not configured"),
            })
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, CallFailure> {
        let mut text = format!("{}{path}", self.inner.base);
        for (index, (key, value)) in query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(key);
            text.push('=');
            percent_encode(value, &mut text);
        }
        Url::parse(&text).map_err(|e| CallFailure::NotSent {
            detail: format!("not a URL: {e}"),
        })
    }
}

/// Judges a reply, big ones off the executor.
async fn read_reply(holder: &Account, raw: Raw) -> Result<Good, Bad> {
    let secrets = [holder.api_key.clone(), holder.subscription_key.clone()];
    if raw.body.len() <= BIG {
        return judge(&raw, &|text| scrub(&secrets, text));
    }
    tokio::task::spawn_blocking(move || judge(&raw, &|text| scrub(&secrets, text)))
        .await
        .unwrap_or_else(|_| {
            let detail = "reading the reply failed".to_owned();
            Err(Bad::new(CallFailure::Unknown { detail }, Again::Never))
        })
}

/// Takes our keys out of a text that echoes them.
fn scrub(secrets: &[HeaderValue], text: &str) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter_map(|s| s.to_str().ok()) {
        if !secret.is_empty() && text.contains(secret) {
            text = text.replace(secret, "[key]");
        }
    }
    text
}

/// How long a call waits for its turn before it is given up as "slow down".
pub(super) fn patience(priority: Priority) -> Duration {
    match priority {
        Priority::Scan | Priority::Release => Duration::from_secs(30),
        Priority::Writeback | Priority::Poll | Priority::Prefetch => Duration::from_secs(300),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_out_of_text_that_echoes_them() {
        let secrets = [
            HeaderValue::from_static("k-1"),
            HeaderValue::from_static("k-2"),
        ];
        assert_eq!(
            scrub(&secrets, "bad k-1, k-2 and k-1"),
            "bad [key], [key] and [key]"
        );
    }
}
