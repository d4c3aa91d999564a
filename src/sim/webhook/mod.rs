//! Somebody's receiver of webhooks: it checks signatures (contract 29) and keeps every delivery.
//!
//! Any path takes POSTs. What it accepted is on the disk before it answers, so that "delivered once"
//! can be proved after kills. `/_sim/`: `GET ledger` `GET|POST switches` `GET|POST faults`
//! `POST reset`.

pub mod switches;

pub use crate::sim::site::Network;
pub use crate::sim::site::faults::{Fault, FaultError};
pub use switches::Switches;

use crate::domain::Timestamp;
use crate::sim::site::faults::Menu;
use crate::sim::site::log::Log;
use crate::sim::site::{Fate, Listening, Net, Reply, Site, blocking, held, hex, now, read};
use crate::sim::webhook::switches::Answer;
use hyper::Method;
use hyper::http::request::Parts;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// What can go wrong with a delivery.
pub const FAULTS: Menu = Menu {
    system: "webhook",
    special: &[],
    calls: &["deliver"],
};

/// How far a signature's time may be from now, in seconds.
const TOLERANCE: i64 = 300;
/// Deliveries that are remembered; more are answered with 503.
const MAX_DELIVERIES: usize = 100_000;

/// What a signature was worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signature {
    /// Ours, over this body, and of now.
    Valid,
    /// Ours, over this body, but of another time.
    Stale,
    /// Of another key or another body, or unreadable.
    Invalid,
    /// None.
    #[default]
    Missing,
}

/// A POST that arrived and was looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Delivery {
    /// Counts deliveries from 1.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Path and query.
    pub path: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body as JSON; as text when it is none.
    pub body: Value,
    /// `Idempotency-Key`.
    pub key: String,
    /// What the signature was worth.
    pub signature: Signature,
    /// A delivery with this key had been accepted before.
    pub repeated: bool,
    /// Taken: the receiver acted on it. Its reply may have been lost all the same.
    pub accepted: bool,
    /// The status that was meant to be sent.
    pub status: u16,
}

/// How to start a receiver.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Directory of the books; they are only in memory when absent.
    pub state: Option<PathBuf>,
    /// Chances of faults follow from it.
    pub seed: u64,
    /// Key of the signatures.
    pub secret: String,
    /// How it answers.
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
            secret: "sim-webhook-secret".into(),
            switches: Switches::default(),
            faults: Vec::new(),
        }
    }
}

/// Reads a fault, as `--fault` has it: `[webhook:]KIND[:CHANCE]`.
///
/// # Errors
/// Names what there is instead.
pub fn fault(text: &str) -> Result<Fault, FaultError> {
    FAULTS.parse(text)
}

#[derive(Debug)]
struct Book {
    deliveries: Vec<Delivery>,
    log: Log,
}

#[derive(Debug)]
struct Shared {
    secret: String,
    book: Mutex<Book>,
    switches: Mutex<Switches>,
    first_switches: Switches,
    faults: Mutex<Vec<Fault>>,
    rng: Mutex<StdRng>,
    network: Net,
}

impl Site for Shared {
    fn net(&self) -> &Net {
        &self.network
    }

    async fn answer(self: Arc<Self>, head: Parts, body: Vec<u8>) -> Fate {
        let hits = FAULTS.draw(&mut held(&self.faults), "deliver", &mut *held(&self.rng));
        tokio::time::sleep(hits.latency).await;
        let words = |status| Reply::json(status, &json!({"error": format!("simulated {status}")}));
        if let Some(fate) = hits.before(words) {
            return fate;
        }
        if head.method != Method::POST {
            return Fate::Reply(words(405));
        }
        let shared = Arc::clone(&self);
        match blocking(move || shared.take(&head, &body)).await {
            Ok(Ok(status)) => hits.after(Reply::json(status, &json!({}))),
            Ok(Err(error)) | Err(error) => {
                tracing::error!(%error, "the simulator cannot write its books");
                Fate::Reply(words(500))
            }
        }
    }

    fn admin(&self, method: &Method, path: &str, body: &[u8]) -> Reply {
        let done = match (method.as_str(), path) {
            ("GET", "ledger") => Ok(json!({ "deliveries": self.book().deliveries })),
            ("GET", "switches") => Ok(crate::sim::site::switches::shown(
                self.switches().settings(),
            )),
            ("POST", "switches") => self.set_words(body),
            ("GET", "faults") => Ok(self.shown_faults()),
            ("POST", "faults") => self.set_fault_texts(body),
            ("POST", "reset") => self.reset().map_err(|e| e.to_string()).map(|()| json!({})),
            _ => {
                let door = "GET ledger, switches, faults; POST switches, faults, reset";
                return Reply::json(404, &json!({ "error": format!("/_sim/ has {door}") }));
            }
        };
        Reply::admin(done)
    }

    fn close_books(&self) {
        self.book().log.close();
    }
}

impl Shared {
    fn new(options: Options) -> io::Result<Self> {
        let (log, lines) = Log::open(options.state.as_deref(), "ledger.ndjson")?;
        let deliveries: Result<Vec<Delivery>, _> = lines
            .iter()
            .map(|line| serde_json::from_str(line))
            .collect();
        Ok(Self {
            book: Mutex::new(Book {
                deliveries: deliveries.map_err(io::Error::other)?,
                log,
            }),
            secret: options.secret,
            switches: Mutex::new(options.switches),
            first_switches: options.switches,
            faults: Mutex::new(options.faults),
            rng: Mutex::new(StdRng::seed_from_u64(options.seed)),
            network: Net::default(),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        held(&self.book)
    }

    fn switches(&self) -> Switches {
        *held(&self.switches)
    }

    /// Looks at a delivery and books it; the status to answer with.
    fn take(&self, head: &Parts, body: &[u8]) -> io::Result<u16> {
        let at = now();
        let text =
            |v: &hyper::header::HeaderValue| String::from_utf8_lossy(v.as_bytes()).into_owned();
        let headers: BTreeMap<String, String> = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect();
        let signature = match headers.get("x-printstation-signature") {
            Some(told) => check(&self.secret, told, body, at),
            None => Signature::Missing,
        };
        let key = headers.get("idempotency-key").cloned().unwrap_or_default();
        let plain = || Value::String(String::from_utf8_lossy(body).into_owned());
        let mut book = self.book();
        if book.deliveries.len() >= MAX_DELIVERIES {
            return Ok(503);
        }
        let status = match (signature, self.switches().answer) {
            (Signature::Valid, answer) => answer.status(),
            _ => 401,
        };
        let same = |d: &Delivery| d.accepted && d.key == key;
        let delivery = Delivery {
            n: book.deliveries.last().map_or(0, |d| d.n) + 1,
            at,
            path: head
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            body: serde_json::from_slice(body).unwrap_or_else(|_| plain()),
            repeated: book.deliveries.iter().any(same),
            accepted: (200..300).contains(&status),
            headers,
            key,
            signature,
            status,
        };
        book.log.write(&delivery, true)?;
        book.deliveries.push(delivery);
        Ok(status)
    }

    fn set_words(&self, body: &[u8]) -> Result<Value, String> {
        let words: BTreeMap<String, String> = read(body)?;
        let mut switches = self.switches();
        for (name, word) in words {
            switches.set(&name, &word).map_err(|e| e.to_string())?;
        }
        *held(&self.switches) = switches;
        Ok(crate::sim::site::switches::shown(switches.settings()))
    }

    fn shown_faults(&self) -> Value {
        json!({ "faults": *held(&self.faults), "network": self.network.now() })
    }

    fn set_fault_texts(&self, body: &[u8]) -> Result<Value, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            faults: Option<Vec<String>>,
            network: Option<Network>,
        }
        let body: Body = read(body)?;
        if let Some(texts) = body.faults {
            let all: Result<Vec<Fault>, _> = texts.iter().map(|t| FAULTS.parse(t)).collect();
            *held(&self.faults) = all.map_err(|e| e.to_string())?;
        }
        if let Some(network) = body.network {
            self.network.set(network);
        }
        Ok(self.shown_faults())
    }

    fn reset(&self) -> io::Result<()> {
        let mut book = self.book();
        book.log.clear()?;
        book.deliveries.clear();
        *held(&self.switches) = self.first_switches;
        held(&self.faults).clear();
        self.network.set(Network::Up);
        Ok(())
    }
}

/// `t=<unix>,v1=<hex HMAC-SHA256 of "t.body">`
fn check(secret: &str, told: &str, body: &[u8], now: Timestamp) -> Signature {
    let part = |name: &str| {
        let mut parts = told.split(',').filter_map(|p| p.trim().split_once('='));
        parts.find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
    };
    let (Some(time), Some(mac)) = (part("t"), part("v1")) else {
        return Signature::Invalid;
    };
    let signed = [time.as_bytes(), b".", body].concat();
    if hex(&hmac_sha256(secret.as_bytes(), &signed)) != mac.to_ascii_lowercase() {
        return Signature::Invalid;
    }
    match time.parse::<i64>() {
        Ok(t) if (now.0 / 1000).abs_diff(t) <= TOLERANCE.unsigned_abs() => Signature::Valid,
        Ok(_) => Signature::Stale,
        Err(_) => Signature::Invalid,
    }
}

/// RFC 2104 over SHA-256; written out so that the station's own code is not asked about itself.
fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |byte: u8| block.map(|b| b ^ byte);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

impl Answer {
    fn status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::Accepted => 202,
            Self::Gone => 410,
            Self::Broken => 500,
        }
    }
}

/// A running receiver. Dropping it stops it.
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

    /// Where webhooks may be sent; any path below it takes them too.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Base URL of the listener that serves `/_sim/` alone, whatever the network is set to.
    pub fn admin_url(&self) -> String {
        self.0.admin_url()
    }

    /// Key of the signatures.
    pub fn secret(&self) -> &str {
        &self.0.site.secret
    }

    /// Everything that arrived, in order.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.0.site.book().deliveries.clone()
    }

    /// Sets how it answers.
    pub fn set_switches(&self, switches: Switches) {
        *held(&self.0.site.switches) = switches;
    }

    /// Replaces all faults; see [`fault`].
    pub fn set_faults(&self, faults: Vec<Fault>) {
        *held(&self.0.site.faults) = faults;
    }

    /// Sets how the network is.
    pub fn set_network(&self, network: Network) {
        self.0.site.network.set(network);
    }

    /// Stops listening and cuts all connections.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(
            hex(&mac),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let mac = hmac_sha256(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
        );
        assert_eq!(
            hex(&mac),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_signature_of_another_key_body_time_or_shape_is_not_valid() {
        let now = Timestamp(1_700_000_000_000);
        let sign = |t: &str| {
            let mac = hmac_sha256(b"k", format!("{t}.{{}}").as_bytes());
            format!("t={t},v1={}", hex(&mac))
        };
        let good = sign("1700000000");
        assert_eq!(check("k", &good, b"{}", now), Signature::Valid);
        assert_eq!(check("other", &good, b"{}", now), Signature::Invalid);
        assert_eq!(check("k", &good, b"{ }", now), Signature::Invalid);
        assert_eq!(
            check("k", &sign("1600000000"), b"{}", now),
            Signature::Stale
        );
        for bad in ["", "t=1700000000", "v1=00", "t=x,v1=y"] {
            assert_eq!(check("k", bad, b"{}", now), Signature::Invalid, "{bad}");
        }
    }
}
