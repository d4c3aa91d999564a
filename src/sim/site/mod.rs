//! What every simulated web service is made of: a line that can break, faults, switches, a log.
//!
//! A simulator implements [`Site`]; [`Listening`] opens its two doors: the API, which is as good as
//! the network is set, and `/_sim/` alone, which always answers.

pub mod faults;
pub(crate) mod form;
mod line;
pub(crate) mod log;
pub mod switches;

use crate::domain::Timestamp;
use hyper::Method;
use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Calls that are remembered.
const MAX_CALLS: usize = 100_000;

/// How the network is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// As it should be.
    #[default]
    Up,
    /// Connections are accepted and reset at the first request; open ones are reset.
    Reset,
    /// Nobody listens: connection refused. Open connections are reset.
    Refused,
    /// Connections are accepted, requests never answered.
    Silent,
}

/// What goes over the line.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(
            status,
            "application/json; charset=utf-8",
            body.to_string().into_bytes(),
        )
    }

    pub(crate) fn bytes(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The admin door's answer: 200, or 400 with `error`.
    pub(crate) fn admin(done: Result<Value, String>) -> Self {
        match done {
            Ok(value) => Self::json(200, &value),
            Err(error) => Self::json(400, &json!({ "error": error })),
        }
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Fate {
    Reply(Reply),
    HalfReply(Reply),
    Reset,
    Close,
    Never,
}

impl Fate {
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Reply(reply) => reply.status.to_string(),
            Self::HalfReply(_) => "cut".into(),
            Self::Reset => "reset".into(),
            Self::Close => "closed".into(),
            Self::Never => "never".into(),
        }
    }
}

/// A simulated web service.
pub(crate) trait Site: Send + Sync + 'static {
    fn net(&self) -> &Net;
    /// Whether header names are sent as `Total-Pages` or as `total-pages`.
    fn title_case_headers(&self) -> bool {
        false
    }
    /// Answers one call of the API.
    fn answer(self: Arc<Self>, head: Parts, body: Vec<u8>) -> impl Future<Output = Fate> + Send;
    /// Answers one call of the admin door; `path` is what follows `/_sim/`.
    fn admin(&self, method: &Method, path: &str, body: &[u8]) -> Reply;
    /// Nothing is written after this.
    fn close_books(&self);
    /// Stops listening and cuts every connection.
    fn close(&self) {
        self.close_books();
        self.net().close();
    }
}

/// The network as it is set.
#[derive(Debug)]
pub(crate) struct Net(watch::Sender<Option<Network>>);

impl Default for Net {
    fn default() -> Self {
        Self(watch::Sender::new(Some(Network::Up)))
    }
}

impl Net {
    pub(crate) fn now(&self) -> Network {
        self.0.borrow().unwrap_or(Network::Refused)
    }

    /// `None` once the simulator is closed.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Network>> {
        self.0.subscribe()
    }

    pub(crate) fn set(&self, network: Network) {
        self.0.send_if_modified(|now| match now {
            Some(now) if *now != network => {
                *now = network;
                true
            }
            _ => false,
        });
    }

    fn close(&self) {
        self.0.send_replace(None);
    }
}

/// The two doors of a simulator. Dropping them closes it.
#[derive(Debug)]
pub(crate) struct Listening<S: Site> {
    pub(crate) addr: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) site: Arc<S>,
    tasks: Vec<JoinHandle<()>>,
}

impl<S: Site> Listening<S> {
    /// Listens on `addr`; `make` loads the books once the address is known to be free.
    pub(crate) async fn open(
        addr: SocketAddr,
        make: impl FnOnce() -> io::Result<S>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let door = TcpListener::bind((addr.ip(), 0)).await?;
        let admin = door.local_addr()?;
        let site = Arc::new(make()?);
        let tasks = vec![
            tokio::spawn(line::listen(listener, addr, Arc::clone(&site))),
            tokio::spawn(line::listen_admin(door, Arc::clone(&site))),
        ];
        Ok(Self {
            addr,
            admin,
            site,
            tasks,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn admin_url(&self) -> String {
        format!("http://{}", self.admin)
    }

    /// When this returns nothing more is written, and the state directory is free.
    pub(crate) async fn stop(mut self) {
        self.site.close();
        for task in std::mem::take(&mut self.tasks) {
            // Ended by `close`; a panic in it was logged by the runtime.
            let _ended = task.await;
        }
    }
}

impl<S: Site> Drop for Listening<S> {
    fn drop(&mut self) {
        self.site.close();
    }
}

/// A call that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Name of the call, as in `--fault`; method and path when there is no such call.
    pub call: String,
    /// What was asked: query and the beginning of the body. No credentials.
    pub asked: String,
    /// HTTP status, or what became of it: `reset`, `closed`, `cut`, `never`.
    pub fate: String,
    /// When it arrived.
    pub at: Timestamp,
}

/// The calls that arrived; the newest [`MAX_CALLS`].
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<VecDeque<Call>>);

impl Calls {
    pub(crate) fn note(&self, call: Call) {
        let mut calls = held(&self.0);
        if calls.len() == MAX_CALLS {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        held(&self.0).iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        held(&self.0).clear();
    }
}

/// Takes a lock; what a panicking holder left is whole, because nothing here is changed in steps.
pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A simulator stands for another machine, which has a clock of its own.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// Reads the body of an admin call.
pub(crate) fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

/// A UUID (version 4 in form) that is told by its parts: the same world has the same ids.
pub(crate) fn uuid(seed: u64, kind: &str, n: u64) -> String {
    use sha2::{Digest, Sha256};
    let mut id: [u8; 16] = [0; 16];
    id.copy_from_slice(&Sha256::digest(format!("{seed}/{kind}/{n}"))[..16]);
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    let hex = hex(&id);
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    parts.join("-")
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Runs what may wait for the disk off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(act)
        .await
        .map_err(io::Error::other)
}
