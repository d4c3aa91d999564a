//! What makes the station act: scanners on TCP and standard input; text cleaned of terminators,
//! bounded.
//!
//! Every connection has its own [`assembler::Assembler`]; what comes out goes into one bounded
//! channel, and a full channel slows the scanner down instead of losing a scan. Nothing here knows
//! what a scan means. Dropping [`Triggers`] stops everything.

pub mod assembler;
mod stdin;
mod tcp;

pub use assembler::End;
pub use tcp::MAX_CLIENTS;

use crate::domain::ScanText;
use crate::domain::scan::BadScan;
use assembler::Assembled;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

/// How long a scanner may take to accept its beep.
const REPLY_DEADLINE: Duration = Duration::from_millis(500);

/// The scanners of a bench.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Each scanner.
    pub scanners: Vec<Scanner>,
}

/// One scanner.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// Name, as it appears in events and in the ledger.
    pub name: String,
    /// Where it is.
    pub connection: Connection,
    /// How its scans end. Standard input always reads lines.
    pub end: End,
    /// Bytes sent back for a scan that was taken; empty: none.
    pub ok: Vec<u8>,
    /// Bytes sent back for a scan that was not.
    pub error: Vec<u8>,
}

/// Where a scanner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Scanners dial us here; port 0 is allowed.
    Listen(SocketAddr),
    /// We dial the scanner, again and again.
    Dial {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Standard input.
    Stdin,
}

/// Something a scanner did.
#[derive(Debug)]
pub struct TriggerEvent {
    /// Which.
    pub scanner: String,
    /// What.
    pub event: Event,
    /// Beeps back, where the scanner can.
    pub reply: Option<ReplyHandle>,
}

/// What a scanner did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A clean scan.
    Scanned(ScanText),
    /// A complete line that is no scan.
    Bad(BadScan),
    /// A scan broke off: "scan again".
    Incomplete,
    /// A scanner that we dial can be reached.
    Connected,
    /// A scanner that we dial cannot be reached any more. Said once; we keep dialling.
    Lost {
        /// Why, for the log and the page.
        why: String,
    },
}

impl From<Assembled> for Event {
    fn from(assembled: Assembled) -> Self {
        match assembled {
            Assembled::Scan(text) => Self::Scanned(text),
            Assembled::Bad(why) => Self::Bad(why),
            Assembled::Incomplete => Self::Incomplete,
        }
    }
}

/// The way back to the scanner that sent a scan.
#[derive(Clone, Debug)]
pub struct ReplyHandle {
    writer: Arc<Mutex<OwnedWriteHalf>>,
    ok: Arc<[u8]>,
    error: Arc<[u8]>,
}

impl ReplyHandle {
    /// Beeps "taken". Ends within half a second.
    ///
    /// # Errors
    /// The scanner is gone or does not take the bytes. Nobody needs to act on it.
    pub async fn ok(&self) -> std::io::Result<()> {
        self.send(&self.ok).await
    }

    /// Beeps "not taken". Ends within half a second.
    ///
    /// # Errors
    /// As [`ReplyHandle::ok`].
    pub async fn error(&self) -> std::io::Result<()> {
        self.send(&self.error).await
    }

    async fn send(&self, bytes: &[u8]) -> std::io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let write = async { self.writer.lock().await.write_all(bytes).await };
        tokio::time::timeout(REPLY_DEADLINE, write)
            .await
            .map_err(|_| std::io::ErrorKind::TimedOut)?
    }
}

/// Why the scanners cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of a listening scanner cannot be used.
    #[error("scanner {scanner}: cannot listen on {address}")]
    Listen {
        /// Which scanner.
        scanner: String,
        /// Its address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// No thread for standard input.
    #[error("scanner {scanner}: cannot read standard input")]
    Stdin {
        /// Which scanner.
        scanner: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
}

/// Scanners at work; dropping this stops them.
#[derive(Debug)]
pub struct Triggers {
    /// Each scanner and, where it listens, the address it got.
    pub scanners: Vec<Bound>,
    _tasks: JoinSet<()>,
}

/// A scanner as it was started: a line of the ready document (contract 18).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Name.
    pub name: String,
    /// Where it listens.
    pub listen: Option<SocketAddr>,
}

/// Starts every scanner.
///
/// # Errors
/// An address cannot be listened on. A scanner that we dial and that is away is no error.
pub async fn spawn(
    settings: Settings,
    tx: mpsc::Sender<TriggerEvent>,
) -> Result<Triggers, StartError> {
    let mut tasks = JoinSet::new();
    let mut scanners = Vec::with_capacity(settings.scanners.len());
    for scanner in settings.scanners {
        let mut bound = Bound {
            name: scanner.name.clone(),
            listen: None,
        };
        match scanner.connection.clone() {
            Connection::Listen(address) => {
                let failed = |cause| StartError::Listen {
                    scanner: scanner.name.clone(),
                    address,
                    cause,
                };
                let listener = tokio::net::TcpListener::bind(address)
                    .await
                    .map_err(failed)?;
                bound.listen = Some(listener.local_addr().map_err(failed)?);
                tasks.spawn(tcp::listen(listener, scanner, tx.clone()));
            }
            Connection::Dial { host, port } => {
                tasks.spawn(tcp::dial(host, port, scanner, tx.clone()));
            }
            Connection::Stdin => {
                let name = scanner.name.clone();
                let chunks =
                    stdin::reader(std::io::stdin()).map_err(|cause| StartError::Stdin {
                        scanner: name,
                        cause,
                    })?;
                tasks.spawn(stdin::lines(chunks, scanner.name, tx.clone()));
            }
        }
        scanners.push(bound);
    }
    Ok(Triggers {
        scanners,
        _tasks: tasks,
    })
}
