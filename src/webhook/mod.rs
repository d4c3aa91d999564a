//! Webhooks: tracking events to anything else, signed (contract 29).
//!
//! Body: `{"id","order","account","carrier","tracking":[…],"supersedes":[…],"at"}`. Headers:
//! `Idempotency-Key` and `X-Printstation-Delivery`: the id, the same for every attempt of a job;
//! `X-Printstation-Signature: t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`. The receiver drops what it
//! has already seen: a lost reply means that the same body comes again.
//!
//! 2xx is done, 410 is unsupported, everything else is tried again. Redirects are not followed.

use crate::domain::writeback::Dispatch;
use crate::domain::{Delivery, Timestamp};
use crate::outbox::{Clock, Delivering, Sink};
use crate::system::http::{self, Http, Reply, Trouble};
use hmac::{Hmac, Mac as _};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use sha2::Sha256;
use std::fmt::Write as _;
use std::time::Duration;

/// Longest wait for a receiver.
const DEADLINE: Duration = Duration::from_secs(20);
/// As much of an answer as is read, so that its connection can be used again.
const MAX_REPLY: usize = 64 * 1024;

/// One receiver.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the sink, `webhook:<n>`.
    pub name: String,
    /// Where deliveries go: `https`, or `http` to loopback. May hold a token; is never shown.
    pub url: String,
    /// Key of the signature.
    pub secret: SecretString,
    /// Longest wait for the receiver; `None` = 20 s.
    pub deadline: Option<Duration>,
}

/// Why a webhook cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Its address.
    #[error("{name}: url: {why}")]
    Url {
        /// Sink name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Its secret.
    #[error("{name}: the secret is empty")]
    Secret {
        /// Sink name.
        name: String,
    },
}

/// The sink.
pub struct Webhook {
    name: String,
    receiver: Receiver,
    clock: Clock,
}

/// An address that takes events, and the key that signs them. Sends once; repeats nothing.
pub struct Receiver {
    url: Url,
    secret: Option<SecretString>,
    http: Http,
}

/// How a send ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// 2xx.
    Taken,
    /// 410: it wants none any more.
    Gone,
    /// Neither: try again.
    Failed(String),
}

impl Receiver {
    /// A receiver that nothing has been sent to. `deadline`: the longest wait for it; 20 s by default.
    ///
    /// # Errors
    /// What is wrong with its address.
    pub fn new(
        url: &str,
        secret: Option<SecretString>,
        deadline: Option<Duration>,
    ) -> Result<Self, &'static str> {
        let url = http::address(url)?;
        Ok(Self {
            http: Http::new(&url, deadline.unwrap_or(DEADLINE)),
            url,
            secret,
        })
    }

    /// Sends an event once.
    pub async fn send(&self, id: &str, body: String, now: Timestamp) -> Sent {
        let Some(request) = self.request(id, body, now) else {
            return Sent::Failed("the event's name cannot stand in a header".to_owned());
        };
        match self.http.exchange(request, MAX_REPLY).await {
            Ok(reply) if (200..300).contains(&reply.status) => Sent::Taken,
            Ok(reply) if reply.status == 410 => Sent::Gone,
            Ok(reply) => Sent::Failed(format!("the receiver answered {}", reply.status)),
            Err(Trouble::NotSent(why) | Trouble::Clock(why) | Trouble::Broken(why)) => {
                Sent::Failed(why)
            }
        }
    }

    /// `None`: the id cannot stand in a header.
    fn request(&self, id: &str, body: String, now: Timestamp) -> Option<Request> {
        let mut request = Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let id = HeaderValue::from_bytes(id.as_bytes()).ok()?;
        headers.insert("idempotency-key", id.clone());
        headers.insert("x-printstation-delivery", id);
        if let Some(secret) = &self.secret {
            let unix = now.0.div_euclid(1000);
            let signature = format!("t={unix},v1={}", sign(secret, unix, &body));
            let signature = HeaderValue::from_str(&signature).ok()?;
            headers.insert("x-printstation-signature", signature);
        }
        *request.body_mut() = Some(body.into());
        Some(request)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    id: String,
    order: &'a str,
    account: &'a str,
    carrier: &'a str,
    tracking: &'a [String],
    supersedes: &'a [String],
    /// When the newest shipment was bought: the same for every attempt.
    at: String,
}

impl Webhook {
    /// A sink that has connected to nothing yet.
    ///
    /// # Errors
    /// When its address or secret cannot be used.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        let name = settings.name;
        let is_signed = !settings.secret.expose_secret().is_empty();
        let receiver = Receiver::new(&settings.url, Some(settings.secret), settings.deadline);
        let receiver = match receiver {
            Ok(receiver) => receiver,
            Err(why) => return Err(SetupError::Url { name, why }),
        };
        if !is_signed {
            return Err(SetupError::Secret { name });
        }
        Ok(Self {
            name,
            receiver,
            clock,
        })
    }

    async fn send(&self, dispatch: &Dispatch) -> Delivery {
        let at = jiff::Timestamp::from_millisecond(dispatch.shipped.0).unwrap_or_default();
        let id = dispatch.id();
        let body = serde_json::to_string(&Body {
            id: id.clone(),
            order: &dispatch.number,
            account: dispatch.account.as_str(),
            carrier: &dispatch.carrier,
            tracking: &dispatch.job.tracking,
            supersedes: &dispatch.job.supersedes,
            at: format!("{at:.3}"),
        });
        let Ok(body) = body else {
            return again(
                "the event cannot be written as JSON".to_owned(),
                None,
                false,
            );
        };
        let Some(request) = self.receiver.request(&id, body, (self.clock)()) else {
            let why = "the job's name cannot stand in a header".to_owned();
            return Delivery::Unsupported { why };
        };
        judge(self.receiver.http.exchange(request, MAX_REPLY).await)
    }
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn system(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> Delivering<'a> {
        Box::pin(self.send(dispatch))
    }
}

/// Hex HMAC-SHA256 of `t.body`.
fn sign(secret: &SecretString, unix: i64, body: &str) -> String {
    let key = secret.expose_secret().as_bytes();
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(format!("{unix}.").as_bytes());
    mac.update(body.as_bytes());
    let mut hex = String::with_capacity(64);
    for byte in mac.finalize().into_bytes() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn judge(ended: Result<Reply, Trouble>) -> Delivery {
    let reply = match ended {
        Ok(reply) => reply,
        Err(Trouble::NotSent(why) | Trouble::Clock(why) | Trouble::Broken(why)) => {
            return again(why, None, true);
        }
    };
    match reply.status {
        200..=299 => Delivery::Done { handle: None },
        410 => Delivery::Unsupported {
            why: "the receiver says that it is gone (410)".to_owned(),
        },
        300..=399 => again(
            format!(
                "the receiver answered {}; redirects are not followed: put the new address into the configuration",
                reply.status
            ),
            reply.retry_after,
            true,
        ),
        // Not this event's fault: its key, its rate, its gateway.
        401 | 403 | 404 | 429 | 502..=504 => again(
            format!("the receiver answered {}", reply.status),
            reply.retry_after,
            true,
        ),
        status => again(
            format!("the receiver answered {status}"),
            reply.retry_after,
            false,
        ),
    }
}

fn again(why: String, after: Option<Duration>, unreachable: bool) -> Delivery {
    Delivery::Retry {
        after,
        why,
        unreachable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_needs_a_secret_and_a_safe_address() {
        let make = |url: &str, secret: &str| {
            let settings = Settings {
                name: "webhook:1".into(),
                url: url.into(),
                secret: secret.into(),
                deadline: None,
            };
            let clock: Clock = std::sync::Arc::new(|| crate::domain::Timestamp(0));
            Webhook::new(settings, clock).err().map(|e| e.to_string())
        };
        assert_eq!(
            make("http://erp.example/x?token=abc", "s").unwrap(),
            "webhook:1: url: plain http is only allowed to this machine itself"
        );
        assert_eq!(
            make("https://erp.example/x", "").unwrap(),
            "webhook:1: the secret is empty"
        );
        assert_eq!(make("https://erp.example/x?token=abc", "s"), None);
    }

    #[test]
    fn without_a_secret_nothing_is_signed() {
        for (secret, signed) in [(None, false), (Some("k".into()), true)] {
            let receiver = Receiver::new("https://alerts.example/x", secret, None).unwrap();
            let request = receiver.request("a.1", "{}".to_owned(), Timestamp(1));
            let headers = request.unwrap().headers().clone();
            assert_eq!(headers["idempotency-key"], "a.1");
            assert_eq!(headers.contains_key("x-printstation-signature"), signed);
        }
        let receiver = Receiver::new("https://alerts.example/x", None, None).unwrap();
        assert!(
            receiver
                .request("a\nb", String::new(), Timestamp(1))
                .is_none()
        );
    }

    /// Computed with `printf '1700000000.{}' | openssl dgst -sha256 -hmac Jefe`.
    #[test]
    fn the_signature_is_hmac_sha256_of_time_dot_body() {
        assert_eq!(
            sign(&"Jefe".into(), 1_700_000_000, "{}"),
            "d3793e2b4103edfbd98cc19591832f5fad701d413db9fcae0ae7dab8184ed207"
        );
    }
}
