//! The token: client credentials, fetched once for all who wait, renewed before it runs out.
//!
//! Its age is measured on the monotonic clock: a wrong wall clock makes no token old.

use crate::cartoncloud::send::{Fault, Head, reasons};
use crate::cartoncloud::{CartonCloud, Priority, header};
use crate::domain::loose;
use crate::domain::{CallFailure, Code};
use crate::system::http::bounded;
use base64::Engine as _;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Renewed so long before its end, or in the last quarter of a short life.
const EARLY: Duration = Duration::from_secs(120);
/// Life of a token that does not say how long it lives.
const UNSAID: f64 = 300.0;
/// Longer words in a reason are no words, in bytes.
const LONGEST_WORD: usize = 64;
/// No token is used longer, whatever it says.
const LONGEST: f64 = 24.0 * 3600.0;

/// Who we are, and the token of the moment.
pub(super) struct Login {
    basic: HeaderValue,
    /// Held while a token is fetched: whoever needs one meanwhile waits for that one.
    now: tokio::sync::Mutex<Option<Token>>,
}

#[derive(Clone)]
pub(super) struct Token {
    pub(super) bearer: HeaderValue,
    renew: Instant,
    /// Counts the tokens, so that only the refused one is dropped.
    pub(super) serial: u64,
}

impl Login {
    pub(super) fn new(id: &SecretString, secret: &SecretString) -> Option<Self> {
        let pair = format!("{}:{}", id.expose_secret(), secret.expose_secret());
        let coded = base64::engine::general_purpose::STANDARD.encode(pair);
        Some(Self {
            basic: header(&format!("Basic {coded}"))?,
            now: tokio::sync::Mutex::default(),
        })
    }
}

impl CartonCloud {
    /// A token that is good for a while. `refused` is the serial of one that was just refused.
    pub(super) async fn token(&self, refused: Option<u64>) -> Result<Token, Fault> {
        let mut now = self.inner.login.now.lock().await;
        let known = now.as_ref().map_or(0, |t| t.serial);
        if let Some(token) = now.as_ref()
            && token.renew > Instant::now()
            && refused != Some(token.serial)
        {
            return Ok(token.clone());
        }
        *now = None;
        let token = self.fetch(known + 1).await?;
        *now = Some(token.clone());
        Ok(token)
    }

    async fn fetch(&self, serial: u64) -> Result<Token, Fault> {
        let mut request = Request::new(Method::POST, self.url("/uaa/oauth/token", &[])?);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.inner.login.basic.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("Accept-Version", HeaderValue::from_static("1"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        *request.body_mut() = Some("grant_type=client_credentials".into());
        // First in the queue: whoever needs it may be a scan that waits behind this fetch.
        let raw = self.once(request, Priority::Scan).await.map_err(|fault| {
            // Whatever became of the token, the call itself was not sent.
            match fault {
                Fault::Call(CallFailure::Unknown { detail }) => {
                    Fault::Call(CallFailure::NotSent { detail })
                }
                other => other,
            }
        })?;
        let Head { status, .. } = raw.head;
        let body: Value = serde_json::from_slice(&raw.body).unwrap_or(Value::Null);
        let refused = |detail: String| {
            Fault::Call(CallFailure::Refused {
                code: Code::CartoncloudUnauthorized,
                detail,
            })
        };
        match status {
            200 => {}
            400..=403 => {
                let why = bounded(&self.scrub(&reasons(&body)));
                return Err(refused(format!("the credentials were refused: {why}")));
            }
            _ => {
                let detail = format!("token: HTTP {status}");
                return Err(Fault::Call(CallFailure::NotSent { detail }));
            }
        }
        let Some(bearer) = loose::text(&body, &["access_token"])
            .filter(|t| t.bytes().all(|b| b.is_ascii_graphic()))
            .and_then(|token| header(&format!("Bearer {token}")))
        else {
            let detail = "the token's reply has no token".to_owned();
            return Err(Fault::Call(CallFailure::NotSent { detail }));
        };
        let life = loose::positive(&body, &["expires_in"]);
        Ok(Token {
            bearer,
            renew: Instant::now() + good_for(life),
            serial,
        })
    }

    /// Takes our credentials out of a text that echoes them. Tokens are known by their length too:
    /// Spring's "Invalid access token: eyJ…" holds the whole of it.
    pub(super) fn scrub(&self, text: &str) -> String {
        let basic = self.inner.login.basic.to_str().unwrap_or_default();
        let coded = basic.strip_prefix("Basic ").unwrap_or_default();
        let pair = base64::engine::general_purpose::STANDARD
            .decode(coded)
            .ok()
            .and_then(|pair| String::from_utf8(pair).ok())
            .unwrap_or_default();
        let secret = pair.split_once(':').map_or("", |(_, secret)| secret);
        let mut text = text.to_owned();
        for word in [coded, secret] {
            if !word.is_empty() && text.contains(word) {
                text = text.replace(word, "[secret]");
            }
        }
        let words = text.split(' ').map(|word| {
            if word.len() > LONGEST_WORD {
                "[hidden]"
            } else {
                word
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

/// How long a token is used that lives so many seconds.
fn good_for(life: Option<f64>) -> Duration {
    let life = Duration::from_secs_f64(life.unwrap_or(UNSAID).min(LONGEST));
    life - EARLY.min(life / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_echo_a_secret_or_a_token_lose_it() {
        let client = CartonCloud::new(crate::cartoncloud::Settings {
            base_url: "http://127.0.0.1:1".into(),
            tenant_id: "6f1d2c3b-5a49-4e8d-9c70-1b2a3c4d5e6f".into(),
            client_id: "the-id".into(),
            client_secret: "the-secret".into(),
            requests_per_minute: 60,
            request_timeout: Duration::from_secs(1),
        })
        .unwrap();
        let token = format!("eyJ{}", "x".repeat(80));
        let coded = "dGhlLWlkOnRoZS1zZWNyZXQ=";
        let said = format!("bad the-secret and {coded}; Invalid access token: {token}");
        assert_eq!(
            client.scrub(&said),
            "bad [secret] and [secret]; Invalid access token: [hidden]"
        );
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_however_long_it_lives() {
        let seconds = |life| good_for(life).as_secs_f64();
        assert!((seconds(Some(3600.0)) - 3480.0).abs() < 1e-6);
        assert!((seconds(Some(4.0)) - 3.0).abs() < 1e-6);
        assert!((seconds(None) - 225.0).abs() < 1e-6);
        assert!(seconds(Some(f64::MAX)) < LONGEST);
    }
}
