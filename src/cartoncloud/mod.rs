//! CartonCloud: client, poll, and the sinks that take tracking numbers; its errors mapped to codes.
//!
//! Corridor: a call (`orders`, `search`, `products`, `papers`, `check`) → `send` adds the token, lets
//! `system::limiter` decide when, has `system::http` send it once and judges the status → the call
//! reads the body; `mapping` makes domain words of it. `watch` remembers how far changes were read.
//!
//! Invariants: the client secret and the token are in headers marked sensitive and in no log, error
//! or debug output. What is written back into CartonCloud goes with `If-Match` and never
//! overwrites another number silently. Source of names and shapes: CartonCloud's public API
//! documentation; what it leaves open is accepted in every form that was seen.

mod check;
mod mapping;
mod orders;
mod papers;
mod products;
mod search;
mod send;
pub mod sinks;
mod token;
pub mod watch;

pub use crate::system::limiter::Priority;
pub use check::{Check, PutTest, Tenant};
pub use search::{Changed, Filter, Lookup};

use crate::system::calls::Calls;
use crate::system::http;
use crate::system::limiter::Limiter;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// Where CartonCloud is, who we are there, and how fast we may ask.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://api.cartoncloud.com`, or `http://` to loopback.
    pub base_url: String,
    /// The organisation's UUID.
    pub tenant_id: String,
    /// Of the API client.
    pub client_id: SecretString,
    /// Of the API client.
    pub client_secret: SecretString,
    /// Most requests a minute, tokens included.
    pub requests_per_minute: u32,
    /// Longest wait for a reply, from the first byte sent to the last received.
    pub request_timeout: Duration,
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The address of the service cannot be used.
    #[error("cartoncloud.base_url: {why}")]
    BaseUrl {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The tenant is no id.
    #[error("cartoncloud.tenant_id is not a UUID")]
    Tenant,
    /// A credential holds something that no credential has, or nothing.
    #[error("the {which} is empty or has characters that no credential has")]
    Credential {
        /// `client id` or `client secret`.
        which: &'static str,
    },
    /// TLS or the certificate store cannot be used.
    #[error("HTTP client: {detail}")]
    Client {
        /// Why.
        detail: String,
    },
}

/// The client. Cheap to clone; clones share connections, token, caches and limiter.
#[derive(Clone)]
pub struct CartonCloud {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    tenant: String,
    login: token::Login,
    limiter: Arc<Limiter>,
    calls: Calls,
    products: products::Cache,
    /// Our guess of their clock: `Date` of the newest reply, milliseconds; 0: none yet.
    clock: AtomicI64,
    /// What this tenant was seen to refuse as a search condition.
    refuses: search::Refuses,
}

impl CartonCloud {
    /// A client for this tenant. Sends nothing.
    ///
    /// # Errors
    /// When the address, a credential or the TLS set-up cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let base = http::base_url(&settings.base_url).map_err(|why| SetupError::BaseUrl { why })?;
        let client = http::client(&base, settings.request_timeout)
            .map_err(|detail| SetupError::Client { detail })?;
        let tenant = settings.tenant_id.trim().to_owned();
        if !search::is_uuid(&tenant) {
            return Err(SetupError::Tenant);
        }
        for (which, secret) in [
            ("client id", &settings.client_id),
            ("client secret", &settings.client_secret),
        ] {
            let text = secret.expose_secret();
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(SetupError::Credential { which });
            }
        }
        let login = token::Login::new(&settings.client_id, &settings.client_secret)
            .ok_or(SetupError::Credential { which: "client id" })?;
        Ok(Self {
            inner: Arc::new(Inner {
                http: client,
                base: base.as_str().trim_end_matches('/').to_owned(),
                tenant,
                login,
                limiter: Arc::new(Limiter::per_minute(settings.requests_per_minute)),
                calls: Calls::default(),
                products: products::Cache::default(),
                clock: AtomicI64::new(0),
                refuses: search::Refuses::default(),
            }),
        })
    }

    /// Calls since the start, by how they ended.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.inner.calls.counts()
    }

    /// Sends that could leave at once, and how many one window takes.
    pub fn budget(&self) -> (usize, usize) {
        (self.inner.limiter.left(), self.inner.limiter.slots())
    }

    /// What CartonCloud's clock said in its newest reply; `None` before the first.
    pub fn clock(&self) -> Option<crate::domain::Timestamp> {
        let millis = self.inner.clock.load(Ordering::Relaxed);
        (millis > 0).then_some(crate::domain::Timestamp(millis))
    }
}

impl fmt::Debug for CartonCloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CartonCloud")
            .field("base", &self.inner.base)
            .field("tenant", &self.inner.tenant)
            .finish_non_exhaustive()
    }
}

/// A credential or token as a header that is never shown.
fn header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Something seen once and then known.
#[derive(Debug, Default)]
struct Seen(AtomicBool);

impl Seen {
    fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The sale order in a reply's body: for tests with hostile ones.
#[doc(hidden)]
pub fn hear(body: &[u8]) -> Option<crate::domain::SaleOrder> {
    mapping::sale(serde_json::from_slice(body).ok()?)
}
