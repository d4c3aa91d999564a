//! What makes the station act: scanners (keyboard-style, serial, TCP, standard input), buttons and
//! pedals; text cleaned of terminators, bounded.
//!
//! Every connection has its own [`assembler::Assembler`]; what comes out goes into one bounded
//! channel, and a full channel slows the scanner down instead of losing a scan. A device that is away
//! is looked for again; it never takes another one down. Nothing here knows what a scan or a press
//! means. Dropping [`Triggers`] or [`Buttons`] stops everything.
//!
//! * `assembler.rs`, `keys.rs`: bytes and keys to scans, pure
//! * `tcp.rs`, `stdin.rs`, `serial.rs`, `keyboard.rs`: where they come from
//! * `devices.rs`, `bind.rs`: which input device is meant
//! * `scale.rs`: what lies on a USB scale
//! * `button.rs`, `buttons.rs`: edges to presses, pure; pins and pedals

pub mod assembler;
mod bind;
pub mod button;
mod buttons;
pub mod devices;
mod keyboard;
pub mod keys;
mod scale;
mod serial;
mod stdin;
mod stop;
mod tcp;

pub use assembler::End;
pub use bind::{first_to_scan, serial_ports};
pub use button::Gesture;
pub use buttons::{ButtonAt, ButtonEvent, ButtonNews, ButtonSettings, Buttons, spawn_buttons};
pub use devices::{InputDevice, Places};
pub use scale::{Scale, ScaleNews, spawn_scale};
pub use tcp::MAX_CLIENTS;

use crate::domain::ScanText;
use crate::domain::scan::BadScan;
use assembler::Assembled;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt as _, Interest};
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
    /// A serial port.
    Serial {
        /// Device path.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// A keyboard-style scanner, held exclusively: see [`devices::Places::matching`].
    Keyboard(String),
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
    /// A scanner that we dial or open is there.
    Connected,
    /// A scanner that we dial or open is not there (any more). Said once; we keep trying.
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
    writer: Arc<Mutex<Writer>>,
    ok: Arc<[u8]>,
    error: Arc<[u8]>,
}

/// Where beeps go.
#[derive(Debug)]
enum Writer {
    Tcp(OwnedWriteHalf),
    Port(Arc<AsyncFd<OwnedFd>>),
}

impl Writer {
    async fn write_all(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await,
            Self::Port(port) => {
                while !bytes.is_empty() {
                    let write = port.async_io(Interest::WRITABLE, |fd| {
                        rustix::io::write(fd, bytes).map_err(Into::into)
                    });
                    let written = write.await?;
                    bytes = bytes.get(written..).unwrap_or_default();
                }
                Ok(())
            }
        }
    }
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
    /// No thread for a scanner.
    #[error("scanner {scanner}: no thread can be started for it")]
    Thread {
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
    _stopper: Option<stop::Stopper>,
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
    let mut stopper = None;
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
            Connection::Serial { path, baud } => {
                tasks.spawn(serial::serve(path, baud, scanner, tx.clone()));
            }
            Connection::Keyboard(wanted) => {
                let failed = |cause| StartError::Thread {
                    scanner: bound.name.clone(),
                    cause,
                };
                if stopper.is_none() {
                    stopper = Some(stop::Stopper::new().map_err(failed)?);
                }
                if let Some(stop) = stopper.as_ref().map(stop::Stopper::stop) {
                    let tx = tx.clone();
                    std::thread::Builder::new()
                        .name(thread_name("scan", &scanner.name))
                        .spawn(move || {
                            keyboard::scanner(scanner, &wanted, &Places::default(), &tx, &stop);
                        })
                        .map_err(failed)?;
                }
            }
            Connection::Stdin => {
                let name = scanner.name.clone();
                let chunks =
                    stdin::reader(std::io::stdin()).map_err(|cause| StartError::Thread {
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
        _stopper: stopper,
    })
}

/// The kernel shows 15 bytes of a thread's name.
fn thread_name(kind: &str, name: &str) -> String {
    format!("{kind}-{name}")
        .chars()
        .filter(char::is_ascii)
        .take(15)
        .collect()
}
