//! Starshipit: typed client, tolerant wire types, limiter; its errors mapped to domain codes.
//!
//! Corridor: [`Starshipit`] (`calls`, `create`, `find`) asks → `send` builds the request → `system::limiter` lets it out →
//! `system::http` sends it once → `reply` judges what came back → `mapping` makes domain words of it.
//!
//! Invariants: a call that buys is sent exactly once per call of [`Starshipit::print`],
//! [`Starshipit::create`], [`Starshipit::replace`] or [`Starshipit::clone_order`], and its failure never says "nothing was
//! done" unless that is known; only reads are repeated here. Keys are in headers marked sensitive
//! and in no log, error or debug output. Reference: api/starshipit.md.

mod calls;
mod claim;
mod create;
mod document;
mod find;
mod lenient;
mod mapping;
mod reason;
mod reply;
mod send;
mod slip;
mod wire;

pub use crate::system::limiter::Priority;
pub use calls::{Offer, RecentlyPrinted};
pub use claim::Claims;
pub use find::{FindResult, Lookup};

use crate::domain::AccountName;
use crate::system::calls::Calls;
use crate::system::http;
use crate::system::limiter::Limiter;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where Starshipit is, who we are there, and how fast we may ask.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `https://api.starshipit.com`, or `http://` to loopback.
    pub base_url: String,
    /// One per API key.
    pub accounts: Vec<AccountSettings>,
    /// What a subscription key allows in all.
    pub requests_per_second: u32,
    /// How many stations share that.
    pub stations_sharing_key: u32,
    /// Longest wait for a reply, from the first byte sent to the last received.
    pub request_timeout: Duration,
    /// Claim an order before it is bought: where benches share an account.
    pub claims: Option<Claims>,
}

/// One Starshipit account.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// Name in the configuration.
    pub name: AccountName,
    /// Selects the account.
    pub api_key: SecretString,
    /// Selects the rate; accounts may share it.
    pub subscription_key: SecretString,
}

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The address of the service cannot be used.
    #[error("starshipit.base_url: {why}")]
    BaseUrl {
        /// What is wrong with it.
        why: &'static str,
    },
    /// A key holds something no header can carry, such as a line break, or nothing.
    #[error("account {account}: the {which} key is empty or has characters that no key has")]
    Key {
        /// Whose.
        account: AccountName,
        /// `API` or `subscription`.
        which: &'static str,
    },
    /// Two accounts have the same name.
    #[error("account {account} is there twice")]
    Twice {
        /// Which.
        account: AccountName,
    },
    /// TLS or the certificate store cannot be used.
    #[error("HTTP client: {detail}")]
    Client {
        /// Why.
        detail: String,
    },
}

/// The client. Cheap to clone; clones share connections and limiters.
#[derive(Clone)]
pub struct Starshipit {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    accounts: BTreeMap<AccountName, Account>,
    request_timeout: Duration,
    calls: Calls,
    claims: Option<claim::Desk>,
}

struct Account {
    api_key: HeaderValue,
    subscription_key: HeaderValue,
    limiter: Arc<Limiter>,
}

impl Starshipit {
    /// A client for these accounts. Sends nothing.
    ///
    /// # Errors
    /// When an address, a key or the TLS set-up cannot be used.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let base = http::base_url(&settings.base_url).map_err(|why| SetupError::BaseUrl { why })?;
        let client = http::client(&base, settings.request_timeout)
            .map_err(|detail| SetupError::Client { detail })?;
        let mut limiters: BTreeMap<String, Arc<Limiter>> = BTreeMap::new();
        let mut accounts = BTreeMap::new();
        for account in settings.accounts {
            let key = |secret: &SecretString, which| {
                header(secret).ok_or_else(|| SetupError::Key {
                    account: account.name.clone(),
                    which,
                })
            };
            let limiter = limiters
                .entry(account.subscription_key.expose_secret().to_owned())
                .or_insert_with(|| {
                    Arc::new(Limiter::new(
                        settings.requests_per_second,
                        settings.stations_sharing_key,
                    ))
                });
            let entry = Account {
                api_key: key(&account.api_key, "API")?,
                subscription_key: key(&account.subscription_key, "subscription")?,
                limiter: Arc::clone(limiter),
            };
            if accounts.insert(account.name.clone(), entry).is_some() {
                return Err(SetupError::Twice {
                    account: account.name,
                });
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                http: client,
                base: base.as_str().trim_end_matches('/').to_owned(),
                accounts,
                request_timeout: settings.request_timeout,
                calls: Calls::default(),
                claims: settings.claims.map(claim::Desk::new),
            }),
        })
    }

    /// Calls since the start, by how they ended.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.inner.calls.counts()
    }

    /// Sends that each account could make at once, and how many one window takes. Accounts with the
    /// same subscription key share them.
    pub fn budgets(&self) -> impl Iterator<Item = (&AccountName, usize, usize)> {
        self.inner
            .accounts
            .iter()
            .map(|(name, account)| (name, account.limiter.left(), account.limiter.slots()))
    }

    /// The accounts this client has keys for.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountName> {
        self.inner.accounts.keys()
    }
}

impl fmt::Debug for Starshipit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starshipit")
            .field("base", &self.inner.base)
            .field("accounts", &self.inner.accounts.keys())
            .finish_non_exhaustive()
    }
}

/// A key as a header that is never shown.
fn header(secret: &SecretString) -> Option<HeaderValue> {
    let text = secret.expose_secret();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What the client makes of a reply, in words: for tests with hostile ones.
#[doc(hidden)]
pub fn hear(status: u16, body: &[u8]) -> String {
    let raw = reply::Raw {
        status,
        retry_after: None,
        body: body.to_vec(),
    };
    let account = AccountName::from("main");
    let heard = || reply::judge(&raw, &str::to_owned).map(|good| good.reply);
    match heard().and_then(|reply| Ok((reply, heard()?))) {
        Ok((reply, again)) => {
            let (bought, documents) = mapping::bought(1, reply);
            let orders: Vec<_> = again
                .into_orders()
                .iter()
                .map(|order| mapping::order(&account, order))
                .collect();
            format!("{bought:?} {} {orders:?}", documents.len())
        }
        Err(bad) => format!("{:?}", bad.failure),
    }
}
