//! GraphQL at one shop: token, throttling, one request at a time, and what its failure means.
//!
//! Invariant: [`Failure::Unknown`] is the only failure after which a mutation may have happened.
//! Keys are in headers marked sensitive or in one form body, and in no text that leaves this file.

use super::Access;
use super::bucket::Bucket;
use super::wire::{Data, Errors, Fault, Reply, Token};
use crate::domain::Delivery;
use crate::system::http::{Http, Trouble, tidy};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::sync::{Mutex as Lock, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Largest reply, in bytes.
const MAX_REPLY: usize = 2 << 20;
/// Tries while Shopify asks to slow down.
const THROTTLED_TRIES: u32 = 3;
/// A longer wait than this is the schedule's business.
const PATIENCE: Duration = Duration::from_secs(20);
/// A token is renewed this long before its end.
const EARLY: Duration = Duration::from_secs(3600);
/// Life of a token whose reply does not tell.
const A_DAY: Duration = Duration::from_secs(86_399);
/// A refusal that people must cure is looked at again after this.
const DENIED: Duration = Duration::from_secs(600);
/// Longest text of theirs that is kept.
const MAX_WHY: usize = 200;

/// Scopes without which a sink does not work.
const SCOPES: [&str; 3] = [
    "read_orders",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
];

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was sent.
    NotSent(String),
    /// It may have been done.
    Unknown(String),
    /// Not done: slow down.
    Throttled(Option<Duration>),
    /// Not done: keys, scopes, the plan. Jobs of this shop need not be tried meanwhile.
    Denied(String),
    /// Not done: this one question is wrong.
    Refused(String),
}

impl Failure {
    /// What it means for a job of which nothing is under way.
    pub(super) fn delivery(self) -> Delivery {
        let (after, why, unreachable) = match self {
            Self::NotSent(why) | Self::Unknown(why) => (None, why, true),
            Self::Throttled(after) => (after, "Shopify asks to slow down".to_owned(), true),
            Self::Denied(why) => (Some(DENIED), why, true),
            Self::Refused(why) => (None, why, false),
        };
        Delivery::Retry {
            after,
            why,
            unreachable,
        }
    }
}

/// One shop's API.
pub(super) struct Client {
    http: Http,
    graphql: Url,
    token_url: Url,
    access: Access,
    token: Mutex<Option<Held>>,
    bucket: Lock<Bucket>,
    settle: Duration,
}

/// A token in hand.
struct Held {
    header: HeaderValue,
    until: Instant,
    /// Scopes that were asked for and not given.
    missing: Vec<&'static str>,
}

impl Client {
    pub(super) fn new(
        base: &Url,
        version: &str,
        access: Access,
        deadline: Duration,
        settle: Duration,
    ) -> Self {
        let at = |path: &str| {
            let mut url = base.clone();
            let root = base.path().trim_end_matches('/');
            url.set_path(&format!("{root}{path}"));
            url
        };
        Self {
            http: Http::new(base, deadline),
            graphql: at(&format!("/admin/api/{version}/graphql.json")),
            token_url: at("/admin/oauth/access_token"),
            access,
            token: Mutex::new(None),
            bucket: Lock::default(),
            settle,
        }
    }

    /// Asks. A query may be asked again by the caller after any failure; a mutation after any but
    /// [`Failure::Unknown`].
    pub(super) async fn ask(&self, query: &str, variables: Value) -> Result<Data, Failure> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let mut throttled = 0;
        let mut renewed = false;
        loop {
            self.wait_for_points().await?;
            let token = self.token().await?;
            let missing = token.1;
            match self.send(&body, token.0.clone()).await {
                Err(Ended::Unauthorized) if !renewed && self.forget(&token.0).await => {
                    renewed = true;
                }
                Err(Ended::Unauthorized) => {
                    return Err(Failure::Denied("Shopify refuses our key (401)".to_owned()));
                }
                Err(Ended::Throttled(after)) => {
                    throttled += 1;
                    let wait = after.unwrap_or_else(|| self.points_wait().max(self.settle));
                    if throttled >= THROTTLED_TRIES || wait > PATIENCE {
                        return Err(Failure::Throttled(Some(wait)));
                    }
                    tokio::time::sleep(wait).await;
                }
                Err(Ended::Failed(Failure::Denied(why))) if !missing.is_empty() => {
                    let missing = missing.join(", ");
                    return Err(Failure::Denied(format!(
                        "{why}; scopes not granted: {missing}"
                    )));
                }
                Err(Ended::Failed(failure)) => return Err(failure),
                Ok(data) => return Ok(data),
            }
        }
    }

    async fn send(&self, body: &str, token: HeaderValue) -> Result<Data, Ended> {
        let mut request = Request::new(Method::POST, self.graphql.clone());
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("x-shopify-access-token", token);
        *request.body_mut() = Some(body.to_owned().into());
        let reply = self.http.exchange(request, MAX_REPLY).await.map_err(|e| {
            Ended::Failed(match e {
                Trouble::NotSent(why) | Trouble::Clock(why) => Failure::NotSent(why),
                Trouble::Broken(why) => Failure::Unknown(why),
            })
        })?;
        let told = || format!("Shopify answered {}", reply.status);
        match reply.status {
            200..=299 => {}
            401 => return Err(Ended::Unauthorized),
            429 => return Err(Ended::Throttled(reply.retry_after)),
            402 | 403 | 404 | 423 => return Err(Ended::Failed(Failure::Denied(told()))),
            400..=499 => return Err(Ended::Failed(Failure::Refused(told()))),
            // A redirect or a gateway: who knows what it has passed on.
            _ => return Err(Ended::Failed(Failure::Unknown(told()))),
        }
        if reply.cut {
            let why = "Shopify's answer broke off or is too long".to_owned();
            return Err(Ended::Failed(Failure::Unknown(why)));
        }
        self.judge(&reply.body).map_err(|ended| self.scrub(ended))
    }

    fn judge(&self, body: &[u8]) -> Result<Data, Ended> {
        let unclear = |_| {
            let why = "Shopify's answer cannot be understood".to_owned();
            Ended::Failed(Failure::Unknown(why))
        };
        let reply: Reply = serde_json::from_slice(body).map_err(unclear)?;
        if let Some(cost) = reply.extensions.and_then(|e| e.cost) {
            self.bucket().learn(&cost);
        }
        match reply.errors {
            None => {}
            Some(Errors::List(faults)) if faults.is_empty() => {}
            Some(Errors::List(faults)) => return Err(fault(&faults)),
            Some(Errors::Text(text)) => {
                return Err(Ended::Failed(Failure::Refused(tidy(&text, MAX_WHY))));
            }
            Some(Errors::Other(_)) => {
                let why = "Shopify reports an error without words".to_owned();
                return Err(Ended::Failed(Failure::Refused(why)));
            }
        }
        reply.data.ok_or_else(|| {
            let why = "Shopify's answer holds nothing".to_owned();
            Ended::Failed(Failure::Unknown(why))
        })
    }

    /// The token, fetched when there is none or it is old, and the scopes that it lacks.
    async fn token(&self) -> Result<(HeaderValue, Vec<&'static str>), Failure> {
        let (id, secret) = match &self.access {
            Access::Token(token) => return Ok((header(token.expose_secret())?, Vec::new())),
            Access::Client { id, secret } => (id, secret),
        };
        let mut held = self.token.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return Ok((held.header.clone(), held.missing.clone()));
        }
        let token = self.fetch_token(id, secret).await?;
        let life = token.expires_in.map_or(A_DAY, |s| {
            Duration::try_from_secs_f64(s).unwrap_or(A_DAY).min(A_DAY)
        });
        // A short life keeps its better half.
        let use_for = life.saturating_sub(EARLY).max(life / 2);
        let granted: Vec<&str> = token
            .scope
            .as_deref()
            .map(|s| s.split(',').map(str::trim).collect())
            .unwrap_or_default();
        let missing = SCOPES
            .into_iter()
            .filter(|scope| token.scope.is_some() && !is_granted(&granted, scope))
            .collect();
        let fresh = Held {
            header: header(&token.access_token)?,
            until: Instant::now() + use_for,
            missing,
        };
        if !fresh.missing.is_empty() {
            tracing::warn!(missing = ?fresh.missing, "Shopify did not grant every scope");
        }
        let held = held.insert(fresh);
        Ok((held.header.clone(), held.missing.clone()))
    }

    async fn fetch_token(
        &self,
        id: &SecretString,
        secret: &SecretString,
    ) -> Result<Token, Failure> {
        let mut form = String::from("grant_type=client_credentials");
        for (name, value) in [("client_id", id), ("client_secret", secret)] {
            form.push_str(&format!("&{name}="));
            for byte in value.expose_secret().bytes() {
                form.push_str(&format!("%{byte:02X}"));
            }
        }
        let mut request = Request::new(Method::POST, self.token_url.clone());
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(form.into());
        // Asking for a token changes nothing: no outcome of it is unknown.
        let reply = self
            .http
            .exchange(request, MAX_REPLY)
            .await
            .map_err(|e| match e {
                Trouble::NotSent(why) | Trouble::Clock(why) | Trouble::Broken(why) => {
                    Failure::NotSent(why)
                }
            })?;
        match reply.status {
            200..=299 => {}
            429 => return Err(Failure::Throttled(reply.retry_after)),
            status @ 400..=499 => {
                return Err(Failure::Denied(format!(
                    "Shopify gives no token for client_id and client_secret ({status})"
                )));
            }
            status => return Err(Failure::NotSent(format!("Shopify answered {status}"))),
        }
        serde_json::from_slice(&reply.body)
            .map_err(|_| Failure::NotSent("Shopify's token cannot be understood".to_owned()))
    }

    /// A token that was refused is fetched anew, once; `false`: ours is fixed.
    async fn forget(&self, refused: &HeaderValue) -> bool {
        if matches!(self.access, Access::Token(_)) {
            return false;
        }
        let mut held = self.token.lock().await;
        if held.as_ref().is_some_and(|held| held.header == refused) {
            *held = None;
        }
        true
    }

    /// Asks only for what the bucket can give: a refused question costs a call.
    async fn wait_for_points(&self) -> Result<(), Failure> {
        let wait = self.points_wait();
        if wait > PATIENCE {
            return Err(Failure::Throttled(Some(wait)));
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.bucket().spend();
        Ok(())
    }

    fn points_wait(&self) -> Duration {
        self.bucket().wait()
    }

    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes our keys out of a text that echoes them.
    fn scrub(&self, ended: Ended) -> Ended {
        let keys = match &self.access {
            Access::Token(token) => vec![token],
            Access::Client { id, secret } => vec![id, secret],
        };
        let clean = |mut why: String| {
            for key in &keys {
                why = why.replace(key.expose_secret(), "[key]");
            }
            why
        };
        match ended {
            Ended::Failed(Failure::Denied(why)) => Ended::Failed(Failure::Denied(clean(why))),
            Ended::Failed(Failure::Refused(why)) => Ended::Failed(Failure::Refused(clean(why))),
            other => other,
        }
    }
}

/// How one request ended without data.
enum Ended {
    Unauthorized,
    Throttled(Option<Duration>),
    Failed(Failure),
}

/// What the errors of a reply mean. Partial data beside them is not used.
fn fault(faults: &[Fault]) -> Ended {
    let of = |code: &str| faults.iter().find(|fault| fault.code() == code);
    if of("THROTTLED").is_some() {
        return Ended::Throttled(None);
    }
    if let Some(fault) = of("ACCESS_DENIED") {
        let wanted = fault
            .extensions
            .as_ref()
            .and_then(|e| e.required_access.as_deref())
            .unwrap_or_else(|| fault.text());
        let mut scopes = scopes_in(wanted);
        if scopes.is_empty() {
            scopes.extend(scope_of(fault.text()));
        }
        let why = if scopes.is_empty() {
            fault.text().to_owned()
        } else {
            format!("scope missing: {}", scopes.join(", "))
        };
        return Ended::Failed(Failure::Denied(tidy(
            &format!("Shopify denies access: {why}"),
            MAX_WHY,
        )));
    }
    if let Some(fault) = of("INTERNAL_SERVER_ERROR") {
        return Ended::Failed(Failure::Unknown(tidy(fault.text(), MAX_WHY)));
    }
    let texts: Vec<&str> = faults.iter().take(4).map(Fault::text).collect();
    Ended::Failed(Failure::Refused(tidy(&texts.join("; "), MAX_WHY)))
}

/// The scope behind a field, where the words only name the field.
fn scope_of(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    if text.contains("fulfillmentcreate") || text.contains("fulfillmenttracking") {
        return Some(SCOPES[2]);
    }
    if text.contains("fulfillmentorder") {
        return Some(SCOPES[1]);
    }
    text.contains("order").then_some(SCOPES[0])
}

/// Words such as `read_orders`.
fn scopes_in(text: &str) -> Vec<&str> {
    let mut scopes: Vec<&str> = text
        .split(|c: char| !(c.is_ascii_lowercase() || c == '_'))
        .filter(|word| word.starts_with("read_") || word.starts_with("write_"))
        .collect();
    scopes.dedup();
    scopes.truncate(6);
    scopes
}

/// Writing includes reading, and one kind of fulfilment order is as good as another here.
fn is_granted(granted: &[&str], scope: &str) -> bool {
    let Some((verb, what)) = scope.split_once('_') else {
        return false;
    };
    let kinds = if what == "merchant_managed_fulfillment_orders" {
        vec![
            what,
            "third_party_fulfillment_orders",
            "assigned_fulfillment_orders",
        ]
    } else {
        vec![what]
    };
    granted.iter().any(|have| {
        have.split_once('_')
            .is_some_and(|(can, of)| kinds.contains(&of) && (can == verb || can == "write"))
    })
}

fn header(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(token)
        .map_err(|_| Failure::Denied("Shopify's token is no token".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
