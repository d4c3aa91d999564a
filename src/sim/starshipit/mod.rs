//! Starshipit, simulated: its documented behaviour, its open questions as switches, its money as a
//! ledger, and faults on purpose.
//!
//! Built from api/starshipit.md alone. [`Server`] listens on a real socket; `/_sim/` is the door
//! for tests and people (see [`admin`]), and a second listener serves that door alone, so that it
//! stays reachable while the network is "down".

pub mod admin;
pub mod api;
mod book;
mod change;
mod couriers;
mod documents;
mod fate;
pub mod faults;
mod lists;
mod model;
mod orders;
mod paperwork;
mod serve;
mod shipping;
pub mod switches;
mod wire;

pub use crate::sim::site::Network;
pub use api::Endpoint;
pub use faults::{Chance, Fault, FaultKind};
pub use model::Sale;
pub use serve::Call;
pub use switches::Switches;

use crate::sim::site::{Listening, Site};
use crate::sim::starshipit::serve::Shared;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// An account with its own API key. Accounts may share a subscription key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What the simulator calls it.
    pub name: String,
    /// `StarShipIT-Api-Key`.
    pub api_key: String,
    /// `Ocp-Apim-Subscription-Key`.
    pub subscription_key: String,
    /// Consignments it may buy; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<u32>,
}

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Directory of the books; they are only in memory when absent.
    pub state: Option<PathBuf>,
    /// Tracking numbers and chances of faults follow from it.
    pub seed: u64,
    /// Accounts; at least one.
    pub accounts: Vec<Account>,
    /// Calls per second and subscription key; 0 = no limit.
    pub requests_per_second: u32,
    /// The open questions.
    pub switches: Switches,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How long the courier takes at a print (S11 `given`).
    pub print_latency: Duration,
    /// When late tracking numbers appear (S3 `late`).
    pub tracking_delay: Duration,
}

impl Account {
    /// `n` accounts that share one subscription key: `main`, `account-2`, `account-3`, …
    pub fn several(n: usize) -> Vec<Self> {
        let name = |i| {
            if i == 1 {
                "main".to_owned()
            } else {
                format!("account-{i}")
            }
        };
        (1..=n)
            .map(name)
            .map(|name| Self {
                api_key: format!("sim-api-key-{name}"),
                subscription_key: "sim-subscription-key".into(),
                quota: None,
                name,
            })
            .collect()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            state: None,
            seed: 1,
            accounts: Account::several(1),
            requests_per_second: 2,
            switches: Switches::default(),
            faults: Vec::new(),
            print_latency: Duration::ZERO,
            tracking_delay: Duration::from_secs(3),
        }
    }
}

/// A running simulator. Dropping it stops it.
#[derive(Debug)]
pub struct Server(Listening<Shared>);

impl Server {
    /// Loads the books and starts to listen on the current tokio runtime.
    ///
    /// # Errors
    /// When the address is taken, the state directory cannot be used or belongs to another
    /// simulator, or no account is given.
    pub async fn start(options: Options) -> io::Result<Self> {
        if options.accounts.is_empty() {
            return Err(io::Error::other("the simulator needs at least one account"));
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

    /// Base URL, without a slash at its end.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Base URL of the listener that serves `/_sim/` alone, whatever the network is set to.
    pub fn admin_url(&self) -> String {
        self.0.admin_url()
    }

    /// The accounts it was started with.
    pub fn accounts(&self) -> &[Account] {
        &self.0.site.accounts
    }

    /// Every consignment sold, in order.
    pub fn sales(&self) -> Vec<Sale> {
        self.0.site.book().sales.clone()
    }

    /// The numbers of all orders, of all accounts.
    pub fn order_numbers(&self) -> Vec<String> {
        self.0
            .site
            .book()
            .orders
            .values()
            .map(|o| o.number.clone())
            .collect()
    }

    /// The calls that arrived, newest last; at most the last 100,000.
    pub fn calls(&self) -> Vec<Call> {
        self.0.site.calls()
    }

    /// The switches as they are now.
    pub fn switches(&self) -> Switches {
        self.0.site.switches()
    }

    /// Sets the switches.
    pub fn set_switches(&self, switches: Switches) {
        self.0.site.set_switches(switches);
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.0.site.set_faults(faults);
    }

    /// Sets how the network is.
    pub fn set_network(&self, network: Network) {
        self.0.site.net().set(network);
    }

    /// Makes an order, unchecked; see [`admin::Seed`].
    ///
    /// # Errors
    /// When the account does not exist or the books cannot be written.
    pub fn add_order(&self, seed: admin::Seed) -> io::Result<i64> {
        self.0.site.add_order(seed)
    }

    /// Changes an order behind the API's back; see [`admin::Deed`]. `number` may be an order id.
    ///
    /// # Errors
    /// When there is no such order, or the deed does not fit its state.
    pub fn alter(&self, number: &str, deed: admin::Deed) -> io::Result<()> {
        self.0.site.alter(number, deed)
    }

    /// Stops listening and cuts all connections. When this returns nothing more is sold or written,
    /// and the state directory is free for the next server.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
