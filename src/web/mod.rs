//! Bench page and API: reads snapshots, sends inputs.
//!
//! The same addresses on `web.listen` (TCP) and on `<state>/control.sock` (unix, 0660, no token).
//! Everything goes through [`port`]; who may do what is [`guard`]; [`api`] translates. Slow and
//! hostile clients cost a bounded number of connections, headers of 16 KiB, bodies of 64 KiB, and
//! seconds.

mod api;
pub mod documents;
mod events;
mod extract;
mod guard;
mod lease;
mod orders;
mod page;
mod port;
mod problem;
mod schema;
mod server;
#[cfg(test)]
mod tests;
pub mod token;

pub use extract::MAX_BODY;
pub use port::{
    Call, Event, EventKind, OrderAct, OrdersQuery, Reply, Request, Station, WritebackAct,
    WritebacksQuery,
};
pub use problem::HttpCode;
pub use server::{Serving, StartError, serve};

use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// Name of the control socket in the state folder.
pub const CONTROL_SOCKET: &str = "control.sock";

/// How the station is served.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the bench, for the page.
    pub station: String,
    /// `scan.command_prefix`: the page's YES, NO and REPRINT are command scans. Empty: no buttons.
    pub command_prefix: String,
    /// TCP address; port 0 is allowed.
    pub listen: SocketAddr,
    /// Path of the control socket.
    pub control: PathBuf,
    /// Bearer token.
    pub token: SecretString,
    /// `cartoncloud.hook_secret`: the secret part of the custom button's address.
    pub hook_secret: Option<SecretString>,
    /// Names, beside addresses and `localhost`, under which browsers may come.
    pub hosts: Vec<String>,
}

/// What every request needs.
struct Context {
    station: Station,
    keys: guard::Keys,
    hosts: Vec<String>,
    /// The page with the bench's name and prefix filled in.
    page: String,
    /// `/api/openapi.json`.
    openapi: axum::body::Bytes,
    /// Becomes true when the station stops.
    stopping: watch::Receiver<bool>,
    /// Places for followers of events.
    followers: Arc<Semaphore>,
}
