//! Shopify's Admin API, simulated for a fulfilling app: several shops, fulfilment orders that close,
//! a cost bucket, scopes, and a ledger of every fulfilment.
//!
//! Built from api/shopify.md alone. One server has all shops, each below its own path:
//! `http://ADDR/{shop}` is what a client takes for `https://{shop}.myshopify.com`. `/_sim/` is the
//! door for tests and people (see [`admin`]).

mod act;
pub mod admin;
mod graphql;
mod model;
mod select;
mod serve;
pub mod switches;

pub use crate::sim::site::faults::{Fault, FaultError};
pub use crate::sim::site::{Call, Network};
pub use admin::{Change, FulfillmentView, OrderView, Seed, SeedLine};
pub use model::Entry;
pub use switches::Switches;

use crate::sim::shopify::serve::Shared;
use crate::sim::site::faults::{Menu, Special};
use crate::sim::site::{Listening, Site, held};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What can go wrong, and on which calls.
pub const FAULTS: Menu = Menu {
    system: "shopify",
    special: &[
        Special {
            name: "throttled",
            means: "the cost bucket is empty: THROTTLED with HTTP 200",
            fits: GRAPHQL,
        },
        Special {
            name: "token_expired",
            means: "every token of the client credentials expires just before the call",
            fits: GRAPHQL,
        },
    ],
    calls: CALLS,
};

const CALLS: &[&str] = &[
    "token",
    "order",
    "orders",
    "fulfillmentCreate",
    "fulfillmentTrackingInfoUpdate",
    "shop",
    "currentAppInstallation",
    "graphql",
];

const GRAPHQL: &[&str] = CALLS.split_at(1).1;

/// A shop and who may enter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shop {
    /// Its name in paths; `{shop}.myshopify.com` in the world.
    pub shop: String,
    /// Code of the CartonCloud customer whose shop it is, for people.
    pub customer: String,
    /// `X-Shopify-Access-Token` that never expires.
    pub access_token: String,
    /// For the client credentials.
    pub client_id: String,
    /// For the client credentials.
    pub client_secret: String,
}

impl Shop {
    /// The shop of a customer.
    pub fn of(customer: &str) -> Self {
        let shop = format!("{}-shop", customer.to_ascii_lowercase());
        Self {
            customer: customer.to_owned(),
            access_token: format!("shpat_sim_{shop}"),
            client_id: format!("sim-{shop}-client"),
            client_secret: format!("sim-{shop}-secret"),
            shop,
        }
    }
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Directory of the books; they are only in memory when absent.
    pub state: Option<PathBuf>,
    /// Chances of faults follow from it.
    pub seed: u64,
    /// Shops; at least one.
    pub shops: Vec<Shop>,
    /// The open questions.
    pub switches: Switches,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: None,
            seed: 1,
            shops: ["TEA", "MUG"].map(Shop::of).to_vec(),
            switches: Switches::default(),
            faults: Vec::new(),
        }
    }
}

/// Reads a fault, as `--fault` has it: `[shopify:]KIND[:CHANCE[:CALL]]`.
///
/// # Errors
/// Names what there is instead.
pub fn fault(text: &str) -> Result<Fault, FaultError> {
    FAULTS.parse(text)
}

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Server(Listening<Shared>);

impl Server {
    /// Loads the books and starts to listen on the current tokio runtime.
    ///
    /// # Errors
    /// When the address is taken, the state directory cannot be used or belongs to another
    /// simulator, or no shop is given.
    pub async fn start(options: Options) -> io::Result<Self> {
        if options.shops.is_empty() {
            return Err(io::Error::other("the simulator needs at least one shop"));
        }
        let addr = options.addr;
        Listening::open(addr, || Shared::new(options))
            .await
            .map(Self)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.0.addr
    }

    /// Base URL of one shop, without a slash at its end.
    pub fn base_url(&self, shop: &str) -> String {
        format!("{}/{shop}", self.0.url())
    }

    /// URL of the listener; `/_sim/` is the admin door.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Base URL of the listener that serves `/_sim/` alone, whatever the network is set to.
    pub fn admin_url(&self) -> String {
        self.0.admin_url()
    }

    /// The shops it was started with.
    pub fn shops(&self) -> &[Shop] {
        &self.0.site.shops
    }

    /// Every fulfilment created and every tracking replaced, in order, of all shops.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.site.book().entries.clone()
    }

    /// Every order of every shop.
    pub fn orders(&self) -> Vec<OrderView> {
        self.0.site.views()
    }

    /// The calls that arrived, newest last; at most the last 100,000.
    pub fn calls(&self) -> Vec<Call> {
        self.0.site.calls.all()
    }

    /// The switches as they are now.
    pub fn switches(&self) -> Switches {
        self.0.site.switches()
    }

    /// Sets the switches; the cost buckets are full again.
    pub fn set_switches(&self, switches: Switches) {
        self.0.site.set_switches(switches);
    }

    /// Replaces all faults; see [`fault`].
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *held(&self.0.site.faults) = faults;
    }

    /// Sets how the network is.
    pub fn set_network(&self, network: Network) {
        self.0.site.net().set(network);
    }

    /// Makes an order; its gid.
    ///
    /// # Errors
    /// When there is no such shop, the id is taken, or the books cannot be written.
    pub fn add_order(&self, seed: Seed) -> io::Result<String> {
        self.0.site.add_order(seed)
    }

    /// Changes an order as people do, by name, number, gid or `SHOP/name`.
    ///
    /// # Errors
    /// When there is no such order, or several.
    pub fn change(&self, order: &str, change: Change) -> io::Result<()> {
        self.0.site.change(order, change)
    }

    /// Every token of the client credentials is worth nothing from now on.
    pub fn expire_tokens(&self) {
        self.0.site.expire_tokens();
    }

    /// Stops listening and cuts all connections. When this returns nothing more is written, and
    /// the state directory is free for the next server.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
