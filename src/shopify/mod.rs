//! Shopify: a merchant's orders are marked fulfilled with our tracking numbers.
//!
//! Corridor: [`Shop::new`] → `sink` (one delivery: read, decide, write, read again) → `plan` (pure: what
//! an order as it stands needs) → `client` (GraphQL, token, throttling) → `wire` (what a reply says) →
//! [`crate::system::http`].
//!
//! Invariants: `fulfillmentCreate` is sent only after a look at the order that shows it is needed, and
//! after an unknown outcome the order is looked at before anything else (there is no idempotency key);
//! another number is never replaced unless a person said so; an order of another customer never comes
//! here. Reference: api/shopify.md.

mod bucket;
mod carriers;
mod client;
mod plan;
mod sink;
mod wire;

use crate::outbox::Clock;
use crate::system::http;
use client::Client;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;

/// Version of the Admin API that this build was made against.
pub const API_VERSION: &str = "2026-07";

/// The member of a sale order that says that CartonCloud's own Shopify link fulfils it.
pub const FULFILLED_BY_CARTONCLOUD: &str = "externalMeta.createShopifyFulfillments";

/// How we are let in.
#[derive(Clone, Debug)]
pub enum Access {
    /// A fixed Admin API token (`shpat_…`).
    Token(SecretString),
    /// An app of the merchant's own organisation: tokens of a day.
    Client {
        /// Client id.
        id: SecretString,
        /// Client secret.
        secret: SecretString,
    },
}

/// One merchant's shop.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `NAME.myshopify.com`; the sink is `shopify:NAME.myshopify.com`.
    pub shop: String,
    /// Where its API is; empty: `https://SHOP`.
    pub base_url: String,
    /// `YYYY-MM`; empty: [`API_VERSION`].
    pub api_version: String,
    /// How we are let in.
    pub access: Access,
    /// The merchant: code, name or id of the CartonCloud customer. Nobody else's orders get here.
    pub customer: String,
    /// Shopify mails the receiver.
    pub notify_customer: bool,
    /// Path of Shopify's order id in the sale order; its value is in `SaleLink::kept`.
    pub order_id: String,
    /// Path of Shopify's order name in the sale order.
    pub order_name: String,
    /// Deadline of one request.
    pub request_timeout: Duration,
    /// Pause before an order is looked at again after an unknown outcome, and between tries while
    /// Shopify asks to slow down.
    pub settle: Duration,
}

impl Settings {
    /// Values of the sale order that the ledger has to keep for this sink.
    pub fn kept_paths(&self) -> Vec<String> {
        let paths = [&self.order_id, &self.order_name, FULFILLED_BY_CARTONCLOUD];
        let mut paths: Vec<String> = paths.map(str::to_owned).into();
        paths.retain(|path| !path.is_empty());
        paths
    }
}

/// Why a shop cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Its address.
    #[error("shopify shop {shop}: base_url: {why}")]
    BaseUrl {
        /// Which shop.
        shop: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Its API version.
    #[error("shopify shop {shop}: api_version is a year and a month, such as {API_VERSION}")]
    Version {
        /// Which shop.
        shop: String,
    },
    /// A key is empty, or holds what no header can carry.
    #[error("shopify shop {shop}: {which} is empty or has characters that no key has")]
    Key {
        /// Which shop.
        shop: String,
        /// Which key.
        which: &'static str,
    },
    /// It belongs to nobody.
    #[error("shopify shop {shop}: customer is empty")]
    Customer {
        /// Which shop.
        shop: String,
    },
}

/// The sink of one shop.
pub struct Shop {
    name: String,
    client: Client,
    customer: String,
    notify_customer: bool,
    order_id: String,
    order_name: String,
    settle: Duration,
    clock: Clock,
}

impl Shop {
    /// A sink that has connected to nothing yet.
    ///
    /// # Errors
    /// When address, version or keys cannot be used.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        let shop = settings.shop.clone();
        let base = match settings.base_url.trim() {
            "" => format!("https://{shop}"),
            given => given.to_owned(),
        };
        let base = match http::address(&base) {
            Ok(url) if url.query().is_none() => url,
            Ok(_) => {
                return Err(SetupError::BaseUrl {
                    shop,
                    why: "it has a query",
                });
            }
            Err(why) => return Err(SetupError::BaseUrl { shop, why }),
        };
        let version = match settings.api_version.trim() {
            "" => API_VERSION,
            given => given,
        };
        if !is_version(version) {
            return Err(SetupError::Version { shop });
        }
        let keys = match &settings.access {
            Access::Token(token) => vec![("token", token)],
            Access::Client { id, secret } => vec![("client_id", id), ("client_secret", secret)],
        };
        for (which, key) in keys {
            let text = key.expose_secret();
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(SetupError::Key { shop, which });
            }
        }
        if settings.customer.trim().is_empty() {
            return Err(SetupError::Customer { shop });
        }
        Ok(Self {
            name: format!("shopify:{shop}"),
            client: Client::new(
                &base,
                version,
                settings.access,
                settings.request_timeout,
                settings.settle,
            ),
            customer: settings.customer,
            notify_customer: settings.notify_customer,
            order_id: settings.order_id,
            order_name: settings.order_name,
            settle: settings.settle,
            clock,
        })
    }
}

fn is_version(text: &str) -> bool {
    text == "unstable"
        || text.split_once('-').is_some_and(|(year, month)| {
            let digits = |t: &str, n| t.len() == n && t.bytes().all(|b| b.is_ascii_digit());
            digits(year, 4) && digits(month, 2)
        })
}
