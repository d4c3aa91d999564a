//! An IPP printer (or CUPS queue) on the network that reads what it gets and can misbehave.
//!
//! HTTP and IPP are read here by hand, from RFC 8010 and 8011, so that the connection can be cut or
//! stopped at any byte of a document, and so that nothing is shared with the station's own client.

use super::machine::{Fault, State};
use super::pwg;
use crate::domain::Bitmap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Largest request that is taken.
const MOST: usize = 64 << 20;

/// How the printer is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Document formats that it takes.
    pub formats: Vec<&'static str>,
    /// PWG raster types that it takes.
    pub raster_types: Vec<&'static str>,
    /// It is a CUPS queue: it calls a job completed when it is rid of it, and counts nothing.
    pub is_queue: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            formats: vec!["image/pwg-raster", "application/pdf"],
            raster_types: vec!["black_1", "sgray_8"],
            is_queue: false,
        }
    }
}

/// A page that came out.
#[derive(Debug, Clone)]
pub struct Page {
    /// The document's format.
    pub format: String,
    /// Its bytes.
    pub document: Vec<u8>,
    /// What is on the first of it, where it was PWG raster.
    pub image: Option<Bitmap>,
    /// How many pages it has, where it was PWG raster; else it counts as one.
    pub sheets: usize,
    /// What could not be read.
    pub error: Option<String>,
}

#[derive(Debug)]
struct PrintJob {
    state: i32,
    page: Page,
}

#[derive(Debug)]
struct Machine {
    options: Options,
    state: State,
    /// It refuses new jobs, politely.
    is_refusing: bool,
    armed: Option<(u64, Fault)>,
    jobs: Vec<PrintJob>,
}

/// A running printer. Dropping it switches it off.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    machine: Mutex<Machine>,
    changes: watch::Sender<u64>,
}

impl Shared {
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

impl Server {
    /// Starts a printer at `addr` (port 0 allowed).
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn start(addr: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = listen(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            machine: Mutex::new(Machine {
                options,
                state: State::default(),
                is_refusing: false,
                armed: None,
                jobs: Vec::new(),
            }),
            changes: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, addr, Arc::clone(&shared)));
        Ok(Self { addr, shared, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Makes it misbehave, in addition to what it does already.
    pub fn set(&self, fault: Fault) {
        match fault {
            Fault::CutAfter { bytes } => self.set_after(bytes, fault),
            Fault::StopReading { after } => self.set_after(after, fault),
            other => self.shared.machine().state.apply(other),
        }
        self.shared.changed();
    }

    /// Makes it misbehave when it has taken `bytes` further bytes of documents.
    pub fn set_after(&self, bytes: u64, fault: Fault) {
        self.shared.machine().armed = Some((bytes, fault));
        self.shared.changed();
    }

    /// From now on it takes no jobs, and says so.
    pub fn refuse(&self) {
        self.shared.machine().is_refusing = true;
    }

    /// Cures everything; what it holds is printed.
    pub fn clear(&self) {
        let mut machine = self.shared.machine();
        machine.state = State::default();
        machine.is_refusing = false;
        machine.armed = None;
        for job in machine.jobs.iter_mut().filter(|job| job.state < 7) {
            job.state = 9;
        }
        drop(machine);
        self.shared.changed();
    }

    /// The pages that came out, oldest first.
    pub fn pages(&self) -> Vec<Page> {
        let machine = self.shared.machine();
        let done = machine.jobs.iter().filter(|job| job.state == 9);
        done.map(|job| job.page.clone()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.set_recv_buffer_size(8 * 1024)?;
    socket.bind(addr)?;
    socket.listen(16)
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
            match listen(addr) {
                Ok(again) => listener = Some(again),
                Err(error) => {
                    tracing::error!(%error, %addr, "the simulated printer cannot listen again");
                    return;
                }
            }
        }
        tokio::select! {
            accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            } => if let Ok((stream, _)) = accepted {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    if let Err(error) = serve(stream, &shared).await {
                        tracing::debug!(%error, "a simulated printer's connection");
                    }
                });
            },
            changed = changes.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut heard = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    let mut whole = None;
    loop {
        if whole.is_none() {
            whole = length(&heard);
        }
        if let Some(total) = whole
            && heard.len() >= total
        {
            break;
        }
        let state = shared.machine().state;
        if state.cut || state.offline {
            shared.machine().state.cut = false;
            stream.set_zero_linger()?;
            return Ok(());
        }
        if state.stopped {
            let mut changes = shared.changes.subscribe();
            if shared.machine().state.stopped && changes.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 || heard.len() > MOST {
            return Ok(());
        }
        heard.extend_from_slice(buffer.get(..count).unwrap_or(&[]));
        // Only what prints counts: operation 2 of the message after the HTTP head.
        if is_print(&heard) {
            let mut machine = shared.machine();
            if let Some((left, fault)) = machine.armed {
                let left = left.saturating_sub(count as u64);
                machine.armed = Some((left, fault)).filter(|_| left > 0);
                if left == 0 {
                    machine.state.apply(fault);
                }
            }
        }
    }
    // A fault with the last byte: the job is in, the answer is not out.
    let body = heard.get(body_start(&heard).unwrap_or(0)..).unwrap_or(&[]);
    let answer = answer(&mut shared.machine(), body);
    shared.changed();
    let state = shared.machine().state;
    if state.silent {
        std::future::pending::<()>().await;
    }
    if state.cut {
        shared.machine().state.cut = false;
        stream.set_zero_linger()?;
        return Ok(());
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/ipp\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

fn body_start(heard: &[u8]) -> Option<usize> {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n")?;
    Some(end + 4)
}

/// Bytes of the whole request, once its head is there.
fn length(heard: &[u8]) -> Option<usize> {
    let start = body_start(heard)?;
    let head = String::from_utf8_lossy(heard.get(..start)?).to_ascii_lowercase();
    let line = head.lines().find(|l| l.starts_with("content-length:"))?;
    let length: usize = line.split(':').nth(1)?.trim().parse().ok()?;
    Some(start + length.min(MOST))
}

fn is_print(heard: &[u8]) -> bool {
    body_start(heard)
        .and_then(|start| heard.get(start + 2..start + 4))
        .is_some_and(|operation| operation == [0, 2])
}

/// Attributes of a request, and the document behind them.
struct Asked<'a> {
    operation: u16,
    job: Option<usize>,
    format: String,
    document: &'a [u8],
}

fn asked(body: &[u8]) -> Option<Asked<'_>> {
    let short = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(body.get(at..at + 2)?.try_into().ok()?))
    };
    let mut asked = Asked {
        operation: short(2)?,
        job: None,
        format: String::new(),
        document: &[],
    };
    let mut at = 8;
    loop {
        let tag = *body.get(at)?;
        at += 1;
        match tag {
            3 => break,
            0..=0x0f => continue,
            _ => {}
        }
        let length = usize::from(short(at)?);
        let name = body.get(at + 2..at + 2 + length)?;
        at += 2 + length;
        let length = usize::from(short(at)?);
        let value = body.get(at + 2..at + 2 + length)?;
        at += 2 + length;
        match name {
            b"job-id" => asked.job = Some(u32::from_be_bytes(value.try_into().ok()?) as usize),
            b"document-format" => asked.format = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }
    asked.document = body.get(at..)?;
    Some(asked)
}

fn answer(machine: &mut Machine, body: &[u8]) -> Vec<u8> {
    let Some(asked) = asked(body) else {
        return message(0x0400, &[]);
    };
    match asked.operation {
        0x000b => message(0, &machine.describe()),
        0x0002 if machine.is_refusing => message(0x0506, &[]),
        0x0002 if !machine.options.formats.contains(&asked.format.as_str()) => message(0x040a, &[]),
        0x0002 => {
            let id = machine.take(&asked);
            let mut attributes = vec![2];
            put(&mut attributes, 0x21, "job-id", &number(id));
            message(0, &attributes)
        }
        0x0008 | 0x0009 => {
            let Some(job) = asked
                .job
                .and_then(|id| machine.jobs.get_mut(id.wrapping_sub(1)))
            else {
                return message(0x0406, &[]);
            };
            if asked.operation == 0x0008 && job.state < 7 {
                job.state = 7;
            }
            let is_counted = job.state == 9 && !machine.options.is_queue;
            let counted = if is_counted { job.page.sheets } else { 0 };
            let mut attributes = vec![2];
            put(&mut attributes, 0x23, "job-state", &job.state.to_be_bytes());
            put(&mut attributes, 0x44, "job-state-reasons", b"none");
            put(
                &mut attributes,
                0x21,
                "job-impressions-completed",
                &number(counted),
            );
            message(0, &attributes)
        }
        _ => message(0x0501, &[]),
    }
}

impl Machine {
    fn take(&mut self, asked: &Asked) -> usize {
        let (mut pages, error) = match asked.format.as_str() {
            "image/pwg-raster" => match pwg::read(asked.document) {
                Ok(pages) => (pages, None),
                Err(error) => (Vec::new(), Some(error)),
            },
            _ => (Vec::new(), None),
        };
        let sheets = pages.len().max(1);
        pages.truncate(1);
        self.jobs.push(PrintJob {
            state: if self.state.is_unfit() { 3 } else { 9 },
            page: Page {
                format: asked.format.clone(),
                document: asked.document.to_vec(),
                image: pages.pop(),
                sheets,
                error,
            },
        });
        self.jobs.len()
    }

    fn describe(&self) -> Vec<u8> {
        let state = &self.state;
        let reasons: Vec<&str> = [
            (state.paper_out, "media-empty-error"),
            (state.cover_open, "cover-open"),
            (state.jammed, "media-jam-error"),
            (state.ribbon_out, "marker-supply-empty-error"),
            (state.paused, "paused"),
        ]
        .into_iter()
        .filter_map(|(is_so, reason)| is_so.then_some(reason))
        .collect();
        let mut out = vec![4];
        let number: i32 = if reasons.is_empty() { 3 } else { 5 };
        put(&mut out, 0x23, "printer-state", &number.to_be_bytes());
        let reasons = if reasons.is_empty() {
            vec!["none"]
        } else {
            reasons
        };
        put_all(&mut out, 0x44, "printer-state-reasons", &reasons);
        let accepts = [u8::from(!self.is_refusing)];
        put(&mut out, 0x22, "printer-is-accepting-jobs", &accepts);
        put_all(
            &mut out,
            0x49,
            "document-format-supported",
            &self.options.formats,
        );
        put_all(
            &mut out,
            0x44,
            "pwg-raster-document-type-supported",
            &self.options.raster_types,
        );
        if self.options.is_queue {
            put(&mut out, 0x41, "cups-version", b"2.4.2");
        }
        out
    }
}

fn number(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(0).to_be_bytes()
}

fn put_all(out: &mut Vec<u8>, tag: u8, name: &str, values: &[&str]) {
    for (index, value) in values.iter().enumerate() {
        put(
            out,
            tag,
            if index == 0 { name } else { "" },
            value.as_bytes(),
        );
    }
}

fn put(out: &mut Vec<u8>, tag: u8, name: &str, value: &[u8]) {
    out.push(tag);
    for part in [name.as_bytes(), value] {
        out.extend_from_slice(&u16::try_from(part.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(part);
    }
}

fn message(status: u16, attributes: &[u8]) -> Vec<u8> {
    let mut out = vec![2, 0];
    out.extend_from_slice(&status.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 1, 1]);
    put(&mut out, 0x47, "attributes-charset", b"utf-8");
    put(&mut out, 0x48, "attributes-natural-language", b"en");
    out.extend_from_slice(attributes);
    out.push(3);
    out
}
