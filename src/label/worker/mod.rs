//! The limited process that draws, seen from the station: started when needed, kept warm, replaced.
//!
//! One process serves one document at a time. It ends itself after five idle minutes, is replaced
//! after many documents or when it has grown, and is killed when a document takes too long. Its
//! death costs that one document (`label-unreadable`), never the station.
//!
//! The program is our own binary with a hidden subcommand that calls [`main`], before any thread
//! or runtime is started there.

mod child;
mod wire;

use super::{Job, LabelError, Media, PageSelect, Policy, RenderedPage, Settings};
use crate::domain::Code;
use child::{EXIT_ASLEEP, EXIT_BROKEN, LIMITS_VARIABLE, Start};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, oneshot};
use wire::{Ask, MAX_REPLY, PREFIX, Reply};

/// The worker process's `main`: sets its own limits, then serves until its input ends.
pub fn main() -> ExitCode {
    child::run()
}

/// Drawn pages as bytes, for this version's own use; `None` when there are too many.
pub fn to_bytes(pages: &[RenderedPage]) -> Option<Vec<u8>> {
    let (heads, body) = wire::pack(pages.to_vec())?;
    let header = serde_json::to_vec(&heads).ok()?;
    let mut bytes = wire::prefix(header.len(), body.len())?.to_vec();
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&body);
    Some(bytes)
}

/// What [`to_bytes`] made; `None` for anything else.
pub fn from_bytes(bytes: &[u8]) -> Option<Vec<RenderedPage>> {
    let (prefix, rest) = bytes.split_first_chunk::<PREFIX>()?;
    let (header, body) = wire::lengths(*prefix, MAX_REPLY)?;
    let (header, rest) = rest.split_at_checked(header)?;
    if rest.len() != body {
        return None;
    }
    wire::unpack(serde_json::from_slice(header).ok()?, rest)
}

/// A document to draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The decoded document.
    pub document: Vec<u8>,
    /// Starshipit's `label_types` entry; empty when unknown.
    pub label_type: String,
    /// Courier as shown to people.
    pub courier: String,
    /// Target head and paper.
    pub media: Media,
    /// The shipment's tracking numbers; empty when none is known yet.
    pub tracking: Vec<String>,
    /// Which pages.
    pub pages: PageSelect,
}

/// Draws documents in a process of its own. Clones share the process.
#[derive(Clone, Debug)]
pub struct Worker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    leading_args: Vec<String>,
    settings: Settings,
    process: Mutex<Option<Process>>,
}

/// A running worker process. Dropping it kills it.
#[derive(Debug)]
struct Process {
    stdin: ChildStdin,
    stdout: ChildStdout,
    id: Option<u32>,
    /// Documents it has answered.
    served: u32,
    /// Resolves when it has ended and was reaped.
    ended: oneshot::Receiver<Option<ExitStatus>>,
    /// Its drop kills the process.
    kill: Option<oneshot::Sender<()>>,
}

/// Why a process gave no answer.
enum Lost {
    /// It ended; nothing of the reply had come.
    Ended,
    /// It answered nonsense.
    Nonsense,
}

impl Worker {
    /// Starts nothing yet: the first document does, or [`Worker::warm`].
    ///
    /// `program` with `leading_args` must call [`main`]; it gets an empty environment but for its
    /// limits.
    pub fn new(program: PathBuf, leading_args: Vec<String>, settings: Settings) -> Self {
        Self {
            inner: Arc::new(Inner {
                program,
                leading_args,
                settings,
                process: Mutex::new(None),
            }),
        }
    }

    /// Starts the process ahead of a document that is on its way. A failure shows at the document.
    pub async fn warm(&self) {
        let mut slot = self.inner.process.lock().await;
        if slot.as_mut().is_none_or(|process| !process.is_running()) {
            *slot = self.inner.start().ok();
        }
    }

    /// Ends the process now: at shutdown, or to give its memory back.
    pub async fn sleep(&self) {
        *self.inner.process.lock().await = None;
    }

    /// Process id of the running worker, if any: for measuring.
    pub async fn process_id(&self) -> Option<u32> {
        let mut slot = self.inner.process.lock().await;
        let process = slot.as_mut()?;
        process.is_running().then_some(process.id).flatten()
    }

    /// Draws a document; waits its turn, then at most the wall time of the limits.
    ///
    /// # Errors
    /// As [`super::render_file`]; also `label-unreadable` when the process died or was killed over
    /// the document, `internal` when no process could be started.
    pub async fn render(&self, request: Request) -> Result<Vec<RenderedPage>, LabelError> {
        let limits = self.inner.settings.limits;
        if request.document.len() > limits.bytes {
            return Err(LabelError::unreadable(format!(
                "the document has {} bytes, at most {} are read",
                request.document.len(),
                limits.bytes
            )));
        }
        let read_back = &self.inner.settings.read_back;
        let job = Job {
            media: request.media,
            hold: read_back.for_courier(&request.courier) == Policy::Hold,
            label_type: request.label_type,
            courier: request.courier,
            tracking: request.tracking,
            pages: request.pages,
            ..Job::new(request.media, &self.inner.settings)
        };
        let ask = Ask {
            job,
            cpu_s: limits.cpu.as_secs().max(1),
        };
        let header = serde_json::to_vec(&ask).map_err(|e| internal(e.to_string()))?;
        let prefix = wire::prefix(header.len(), request.document.len())
            .filter(|_| header.len() <= wire::MAX_HEADER)
            .ok_or_else(|| internal("the request is too long"))?;
        let message = [&prefix[..], &header, &request.document].concat();
        drop(request.document);

        let mut slot = self.inner.process.lock().await;
        let deadline = tokio::time::sleep(limits.wall);
        tokio::pin!(deadline);
        // Two tries at most: a process that fell asleep, or was worn by other documents, is
        // replaced once; a fresh one that dies has died of this document.
        for _ in 0..2 {
            // Taken out while it works: a caller that gives up drops it, and that kills it.
            let mut process = match slot.take().filter_map_running() {
                Some(process) => process,
                None => self.inner.start()?,
            };
            let fresh = process.served == 0;
            let answer = tokio::select! {
                answer = process.exchange(&message) => answer,
                () = &mut deadline => {
                    drop(process);
                    *slot = self.inner.start().ok();
                    return Err(LabelError::unreadable(format!(
                        "drawing it took longer than {} s", limits.wall.as_secs()
                    )));
                }
            };
            match answer {
                Ok((reply, body)) => {
                    process.served = process.served.saturating_add(1);
                    *slot = if reply.retires {
                        self.inner.start().ok()
                    } else {
                        Some(process)
                    };
                    return match reply.error {
                        Some(error) => Err(wire::refusal(error)),
                        None => wire::unpack(reply.pages, &body).ok_or_else(nonsense),
                    };
                }
                Err(Lost::Nonsense) => {
                    *slot = self.inner.start().ok();
                    return Err(nonsense());
                }
                Err(Lost::Ended) => {
                    let status = process.end().await;
                    let asleep = status.and_then(|s| s.code()) == Some(i32::from(EXIT_ASLEEP));
                    if asleep || !fresh {
                        continue;
                    }
                    *slot = self.inner.start().ok();
                    return Err(death(status));
                }
            }
        }
        Err(death(None))
    }
}

/// Keeps a process only if it still runs.
trait Running {
    fn filter_map_running(self) -> Option<Process>;
}

impl Running for Option<Process> {
    fn filter_map_running(self) -> Option<Process> {
        self.and_then(|mut process| process.is_running().then_some(process))
    }
}

fn internal(detail: impl Into<String>) -> LabelError {
    LabelError {
        code: Code::Internal,
        detail: detail.into(),
    }
}

fn nonsense() -> LabelError {
    LabelError::unreadable("the drawing process answered nonsense over it")
}

/// What a death means: limits that could not be set are the station's fault, all else the file's.
fn death(status: Option<ExitStatus>) -> LabelError {
    let code = status.and_then(|status| status.code());
    if code == Some(i32::from(EXIT_BROKEN)) {
        return internal("the drawing process could not set its limits or read its task");
    }
    let how = match status.and_then(|status| status.signal()) {
        // SIGXCPU; SIGABRT and SIGSEGV on Linux.
        Some(24) => "it used up its processor time".to_owned(),
        Some(6) => "it needed more memory than allowed".to_owned(),
        Some(11) => "its stack overflowed".to_owned(),
        Some(signal) => format!("signal {signal}"),
        None => code.map_or("no exit code".to_owned(), |code| {
            format!("exit code {code}")
        }),
    };
    LabelError::unreadable(format!("the drawing process died over it: {how}"))
}

/// How long a process that closed its output may take to be gone.
const ENDING: Duration = Duration::from_secs(2);

impl Process {
    fn is_running(&mut self) -> bool {
        matches!(
            self.ended.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        )
    }

    /// One request and its reply.
    async fn exchange(&mut self, message: &[u8]) -> Result<(Reply, Vec<u8>), Lost> {
        let written = async {
            self.stdin.write_all(message).await?;
            self.stdin.flush().await
        };
        written.await.map_err(|_| Lost::Ended)?;
        let mut prefix = [0; PREFIX];
        self.fill(&mut prefix).await?;
        let (header, body) = wire::lengths(prefix, MAX_REPLY).ok_or(Lost::Nonsense)?;
        let mut json = vec![0; header];
        self.fill(&mut json).await?;
        let reply = serde_json::from_slice(&json).map_err(|_| Lost::Nonsense)?;
        let mut bytes = vec![0; body];
        self.fill(&mut bytes).await?;
        Ok((reply, bytes))
    }

    async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Lost> {
        match self.stdout.read_exact(buffer).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Lost::Ended),
        }
    }

    /// Waits for a process that closed its pipes, kills it when it does not go.
    async fn end(mut self) -> Option<ExitStatus> {
        if let Ok(status) = tokio::time::timeout(ENDING, &mut self.ended).await {
            return status.ok().flatten();
        }
        drop(self.kill.take());
        tokio::time::timeout(ENDING, &mut self.ended)
            .await
            .ok()?
            .ok()
            .flatten()
    }
}

impl Inner {
    fn start(&self) -> Result<Process, LabelError> {
        let cannot = |error: std::io::Error| {
            internal(format!("the drawing process cannot be started: {error}"))
        };
        let mut child = Command::new(&self.program)
            .args(&self.leading_args)
            .env_clear()
            .env(LIMITS_VARIABLE, Start::of(&self.settings.limits).to_text())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its words would be about a hostile file and may quote it; its exit status says enough.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(internal("the drawing process has no pipes"));
        };
        let id = child.id();
        let (kill, killed) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        // Reaps it whenever it ends, so that a sleeping station has no zombie.
        tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status.ok(),
                _ = killed => {
                    // Already gone is as good as killed.
                    let _ = child.start_kill();
                    child.wait().await.ok()
                }
            };
            // The process's owner may be gone; nobody else needs to know.
            let _ = end.send(status);
        });
        Ok(Process {
            stdin,
            stdout,
            id,
            served: 0,
            ended,
            kill: Some(kill),
        })
    }
}
