//! The simulated printer on the network: one TCP port, its labels as PNG files, faults by hand.

use super::machine::{Fault, Label, Machine, Options};
use crate::domain::Timestamp;
use image::{GrayImage, ImageFormat, Luma};
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// Receive buffer: real printers take a few kB before they push back.
const RECEIVE_BUFFER: u32 = 8 * 1024;
/// Connections at a time.
const BACKLOG: u32 = 16;
/// A printer that is slow reads this often.
const BEAT: Duration = Duration::from_millis(20);

/// A running printer. Dropping it switches it off.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    machine: Mutex<Machine>,
    /// Like most printers it serves one connection at a time; the next waits unanswered.
    turn: tokio::sync::Mutex<()>,
    out: Option<PathBuf>,
    /// Rises with every label, fault and cure.
    changes: watch::Sender<u64>,
    /// PNG files written.
    written: watch::Sender<usize>,
    connections: watch::Sender<u64>,
}

impl Server {
    /// Starts a printer at `addr` (port 0 allowed); `out` gets one PNG per label.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(
        addr: SocketAddr,
        options: Options,
        out: Option<PathBuf>,
    ) -> io::Result<Self> {
        if let Some(dir) = &out {
            tokio::fs::create_dir_all(dir).await?;
        }
        let listener = listen(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            machine: Mutex::new(Machine::new(options)),
            turn: tokio::sync::Mutex::new(()),
            out,
            changes: watch::Sender::new(0),
            written: watch::Sender::new(0),
            connections: watch::Sender::new(0),
        });
        let tasks = vec![
            tokio::spawn(accept(listener, addr, Arc::clone(&shared))),
            tokio::spawn(write_files(Arc::clone(&shared))),
        ];
        Ok(Self {
            addr,
            shared,
            tasks,
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The labels that came out, oldest first.
    pub fn labels(&self) -> Vec<Label> {
        self.shared.machine().labels().to_vec()
    }

    /// Labels that a cut line left open.
    pub fn partial(&self) -> u64 {
        self.shared.machine().partial()
    }

    /// Status questions it was asked.
    pub fn questions(&self) -> u64 {
        self.shared.machine().questions()
    }

    /// Bytes of labels it took.
    pub fn taken(&self) -> u64 {
        self.shared.machine().taken()
    }

    /// Connections it accepted.
    pub fn connections(&self) -> u64 {
        *self.shared.connections.borrow()
    }

    /// Makes it misbehave, in addition to what it does already.
    pub fn set(&self, fault: Fault) {
        self.shared.machine().set(fault);
        self.shared.changed();
    }

    /// Makes it misbehave when it has taken `bytes` further bytes of labels.
    pub fn set_after(&self, bytes: u64, fault: Fault) {
        self.shared.machine().set_after(bytes, fault);
        self.shared.changed();
    }

    /// Cures everything; what it holds is printed.
    pub fn clear(&self) {
        self.shared.machine().clear(now());
        self.shared.changed();
    }

    /// Waits until `count` labels came out (and are in their files); the labels then, or so far
    /// when `deadline` passes first.
    ///
    /// # Errors
    /// The labels so far.
    pub async fn wait_for_labels(
        &self,
        count: usize,
        deadline: Duration,
    ) -> Result<Vec<Label>, Vec<Label>> {
        let mut changes = self.shared.changes.subscribe();
        let mut written = self.shared.written.subscribe();
        let enough = async {
            let _ = changes
                .wait_for(|_| self.shared.machine().labels().len() >= count)
                .await;
            if self.shared.out.is_some() {
                let _ = written.wait_for(|written| *written >= count).await;
            }
        };
        match timeout(deadline, enough).await {
            Ok(()) => Ok(self.labels()),
            Err(_) => Err(self.labels()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    /// Held for a few lines only, never over an await.
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line is to be cut, or the printer is off.
    fn is_gone(&self) -> bool {
        let state = self.machine().state;
        state.cut || state.offline
    }

    fn is_stuck(&self) -> bool {
        let state = self.machine().state;
        state.stopped && !state.cut && !state.offline
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?; // "switched on again" on the same port
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?; // inherited by the connections
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, addr: SocketAddr, shared: Arc<Shared>) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut changes = shared.changes.subscribe();
    loop {
        let offline = shared.machine().state.offline;
        if offline {
            listener = None;
            connections.abort_all();
        } else if listener.is_none() {
            listener = match listen(addr) {
                Ok(listener) => Some(listener),
                Err(error) => {
                    tracing::error!(%error, %addr, "the simulated printer cannot listen again");
                    return;
                }
            };
        }
        tokio::select! {
            accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            } => match accepted {
                Ok((stream, _)) => {
                    shared.connections.send_modify(|count| *count += 1);
                    let shared = Arc::clone(&shared);
                    connections.spawn(async move { serve(stream, &shared).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "the simulated printer lost a connection");
                    sleep(BEAT).await;
                }
            },
            changed = changes.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) {
    let _turn = shared.turn.lock().await;
    let mut changes = shared.changes.subscribe();
    let mut buffer = vec![0; 16 * 1024];
    let _ = stream.set_nodelay(true); // only speed
    loop {
        let (is_cut, is_blocked, pace) = {
            let machine = shared.machine();
            let state = machine.state;
            (
                state.cut,
                state.stopped || machine.is_full(),
                state.bytes_per_s,
            )
        };
        if is_cut {
            cut(stream, shared);
            return;
        }
        if is_blocked {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        let most = match pace {
            Some(bytes_per_s) => {
                sleep(BEAT).await;
                (bytes_per_s as usize / 50).clamp(1, buffer.len())
            }
            None => buffer.len(),
        };
        let read = tokio::select! {
            read = stream.read(buffer.get_mut(..most).unwrap_or(&mut [])) => read,
            changed = changes.changed() => {
                if changed.is_err() { return }
                continue;
            }
        };
        let count = match read {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let mut rest = buffer.get(..count).unwrap_or(&buffer);
        while !rest.is_empty() {
            let (took, answers) = shared.machine().feed(rest, now());
            rest = rest.get(took..).unwrap_or(&[]);
            shared.changed();
            if !answers.is_empty() && stream.write_all(&answers).await.is_err() {
                break;
            }
            // A stop within these bytes: the rest waits in the printer's network card.
            while shared.is_stuck() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
            if shared.is_gone() {
                break;
            }
        }
    }
    shared.machine().end_of_line();
    shared.changed();
}

/// A reset, not an end: closing with this set makes the kernel send RST.
fn cut(stream: TcpStream, shared: &Shared) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::error!(%error, "the simulated printer cannot cut the line");
    }
    drop(stream);
    let mut machine = shared.machine();
    machine.state.cut = false;
    machine.end_of_line();
    drop(machine);
    shared.changed();
}

async fn write_files(shared: Arc<Shared>) {
    let Some(dir) = shared.out.clone() else {
        return;
    };
    let mut changes = shared.changes.subscribe();
    let mut done = 0;
    loop {
        let (name, label) = {
            let machine = shared.machine();
            (
                machine.options().name.clone(),
                machine.labels().get(done).cloned(),
            )
        };
        if let Some(label) = label {
            done += 1;
            let path = dir.join(format!("{name}-{done:05}.png"));
            if let Err(error) = write_png(&path, &label).await {
                tracing::error!(%error, path = %path.display(), "a simulated label was not written");
            }
            shared.written.send_replace(done);
        } else if changes.changed().await.is_err() {
            return;
        }
    }
}

/// By rename, so that whoever watches the directory never sees half a picture.
async fn write_png(path: &Path, label: &Label) -> io::Result<()> {
    let page = &label.image;
    let picture = GrayImage::from_fn(page.width, page.height, |x, y| {
        Luma([if page.is_black(x, y) { 0 } else { 255 }])
    });
    let mut file = Cursor::new(Vec::new());
    picture
        .write_to(&mut file, ImageFormat::Png)
        .map_err(io::Error::other)?;
    let temporary = path.with_extension("tmp");
    tokio::fs::write(&temporary, file.into_inner()).await?;
    tokio::fs::rename(&temporary, path).await
}
