//! CartonCloud, simulated: its documented behaviour, its open questions as switches, every write
//! in a journal, and faults on purpose.
//!
//! Built from api/cartoncloud.md alone (section 14 is its specification). [`Server`] listens on a
//! real socket; `/_sim/` is the door for tests and people (see [`admin`]), and a second listener
//! serves that door alone, so that it stays reachable while the network is "down".

pub mod admin;
mod api;
mod book;
mod orders;
mod page;
mod papers;
mod plant;
mod render;
mod search;
mod serve;
pub mod switches;
mod world;

pub use crate::sim::site::faults::{Fault, FaultError};
pub use crate::sim::site::{Call, Network};
pub use admin::{Change, ConsignmentView, DocumentView, OrderView, Seed, SeedItem};
pub use api::FAULTS;
pub use book::Write;
pub use switches::Switches;
pub use world::{FIRST_ORDER, Named, nasty_orders, sample_orders};

use crate::sim::cartoncloud::serve::Shared;
use crate::sim::site::{Listening, Site, held};
use serde_json::{Map, Value};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Directory of the books; they are only in memory when absent.
    pub state: Option<PathBuf>,
    /// Ids and chances of faults follow from it.
    pub seed: u64,
    /// The tenant.
    pub tenant_id: String,
    /// OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// How many customers the warehouse has.
    pub customers: usize,
    /// Calls per minute, tokens included; 0 = no limit.
    pub requests_per_minute: u32,
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
            tenant_id: "6f1d2c3b-5a49-4e8d-9c70-1b2a3c4d5e6f".into(),
            client_id: "sim-cartoncloud-client".into(),
            client_secret: "sim-cartoncloud-secret".into(),
            customers: 3,
            requests_per_minute: 0,
            switches: Switches::default(),
            faults: Vec::new(),
        }
    }
}

/// Reads a fault, as `--fault` has it: `[cartoncloud:]KIND[:CHANCE[:CALL]]`.
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
    /// When the address is taken, or the state directory cannot be used or belongs to another
    /// simulator.
    pub async fn start(options: Options) -> io::Result<Self> {
        let addr = options.addr;
        Listening::open(addr, || Shared::new(options))
            .await
            .map(Self)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.0.addr
    }

    /// Base URL, without a slash at its end.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Base URL of the listener that serves `/_sim/` alone, whatever the network is set to.
    pub fn admin_url(&self) -> String {
        self.0.admin_url()
    }

    /// The tenant.
    pub fn tenant_id(&self) -> &str {
        &self.0.site.tenant_id
    }

    /// OAuth client.
    pub fn client_id(&self) -> &str {
        &self.0.site.client_id
    }

    /// Its secret.
    pub fn client_secret(&self) -> &str {
        &self.0.site.client_secret
    }

    /// Whose goods are in the warehouse.
    pub fn customers(&self) -> Vec<Named> {
        self.0.site.book().world.customers.clone()
    }

    /// The sites.
    pub fn warehouses(&self) -> Vec<Named> {
        self.0.site.book().world.warehouses.clone()
    }

    /// Every order with every place where a tracking number may stand.
    pub fn orders(&self) -> Vec<OrderView> {
        self.0.site.views()
    }

    /// Every write of the API that was applied, in order.
    pub fn writes(&self) -> Vec<Write> {
        self.0.site.book().writes.clone()
    }

    /// The calls that arrived, newest last; at most the last 100,000.
    pub fn calls(&self) -> Vec<Call> {
        self.0.site.calls.all()
    }

    /// The switches as they are now.
    pub fn switches(&self) -> Switches {
        self.0.site.switches()
    }

    /// Sets the switches.
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

    /// Makes an order, unchecked; its id.
    ///
    /// # Errors
    /// When there is no such customer, warehouse or product, or the books cannot be written.
    pub fn add_order(&self, seed: Seed) -> io::Result<String> {
        self.0.site.add_order(seed)
    }

    /// Moves an order on, to any word: stamps, version, and consignments where they are due.
    /// `order` is an id, a reference, or `CODE/reference`.
    ///
    /// # Errors
    /// When there is no such order, or several.
    pub fn set_status(&self, order: &str, status: &str) -> io::Result<()> {
        self.0.site.set_status(order, status).map(drop)
    }

    /// Changes an order as people do; its id afterwards.
    ///
    /// # Errors
    /// When there is no such order, or several, or no such product.
    pub fn change(&self, order: &str, change: Change) -> io::Result<String> {
        self.0.site.change(order, change)
    }

    /// Sets custom fields of an order, as CartonCloud's own Starshipit link does.
    ///
    /// # Errors
    /// When there is no such order, or several.
    pub fn set_properties(&self, order: &str, properties: Map<String, Value>) -> io::Result<()> {
        let change = Change {
            properties,
            ..Change::default()
        };
        self.0.site.change(order, change).map(drop)
    }

    /// Merges members over a product, by its code.
    ///
    /// # Errors
    /// When there is no such product.
    pub fn change_product(&self, code: &str, members: Value) -> io::Result<()> {
        self.0.site.alter_product(code, members)
    }

    /// Every token given so far is worth nothing from now on.
    pub fn expire_tokens(&self) {
        self.0.site.expire_tokens();
    }

    /// Stops listening and cuts all connections. When this returns nothing more is written, and
    /// the state directory is free for the next server.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
