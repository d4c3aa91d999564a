//! How bytes travel: opened per page, moved with deadlines, without meaning.
//!
//! Three kinds of line (`tcp`, `usb`, `serial`) offer the same few primitives; sending, asking and ending are
//! written once, on top of them. A byte that the kernel accepted is not a byte that the printer
//! has: `pending` says what is still on this side, and only a drained line counts as sent.

pub(super) mod file;
mod ioctl;
pub(super) mod serial;
pub(super) mod tcp;
pub(super) mod usb;

use super::settings::Limits;
use super::verdict::{LineEnd, SendEnd};
use std::io;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// Bytes offered to the kernel at once.
const CHUNK: usize = 64 * 1024;
/// How often a full line is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Most bytes that are thrown away while waiting for the peer's end.
const MOST_DISCARDED: usize = 1 << 20;

/// An open way to a printer.
#[derive(Debug)]
pub(super) enum Line {
    /// A raw TCP connection.
    Tcp(tcp::TcpLine),
    /// A `usblp` device (or, in tests, a pty or FIFO).
    Usb(usb::UsbLine),
    /// A serial port.
    Serial(serial::SerialLine),
}

/// What came back for a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// As much as was waited for, or as came in time.
    Bytes(Vec<u8>),
    /// The line is gone.
    Broken(String),
}

impl Line {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = bytes.get(..bytes.len().min(CHUNK)).unwrap_or(bytes);
        match self {
            Self::Tcp(line) => line.write(bytes).await,
            Self::Usb(line) => line.write(bytes).await,
            Self::Serial(line) => line.write(bytes).await,
        }
    }

    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(line) => line.read(buffer).await,
            Self::Usb(line) => line.read(buffer).await,
            Self::Serial(line) => line.read(buffer).await,
        }
    }

    /// Bytes (TCP) or a sign of bytes (USB) that the kernel holds and the peer has not taken.
    fn pending(&self) -> u64 {
        match self {
            Self::Tcp(line) => line.pending(),
            Self::Usb(line) => line.pending(),
            Self::Serial(line) => line.pending(),
        }
    }

    /// An error that no write has met yet, and the peer's end before the first byte.
    fn trouble(&self) -> Option<String> {
        match self {
            Self::Tcp(line) => line.trouble(),
            Self::Usb(_) | Self::Serial(_) => None,
        }
    }

    /// Throws away what the peer said unasked, so that it is not taken for an answer.
    /// False when the peer has closed.
    fn discard_input(&mut self) -> bool {
        match self {
            Self::Tcp(line) => line.discard_input(),
            Self::Usb(line) => {
                line.discard_input();
                true
            }
            Self::Serial(line) => {
                line.discard_input();
                true
            }
        }
    }

    /// Sends `bytes`; `on_first` runs when the first of them is taken. Returns bytes taken.
    pub async fn send(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        on_first: impl FnOnce(),
    ) -> (u64, SendEnd) {
        let total = Instant::now() + limits.total(bytes.len());
        let mut moving = Progress::new(limits.progress);
        let mut on_first = Some(on_first);
        let mut taken = 0;
        if !self.discard_input() {
            return (0, SendEnd::Broken("the printer closed the line".to_owned()));
        }
        if let Some(cause) = self.trouble() {
            return (0, SendEnd::Broken(cause));
        }
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            // Short waits, because a full socket buffer may be draining without being writable.
            match timeout_at(Instant::now() + LOOK, self.write(rest)).await {
                Ok(Ok(0)) => {
                    return (
                        taken as u64,
                        SendEnd::Broken("the line takes nothing".to_owned()),
                    );
                }
                Ok(Ok(count)) => {
                    taken += count;
                    moving.moved();
                    if let Some(first) = on_first.take() {
                        first();
                    }
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::StorageFull => {
                    return (taken as u64, SendEnd::MediaOut); // usblp's word for paper out
                }
                Ok(Err(error)) => return (taken as u64, SendEnd::Broken(error.to_string())),
                Err(_) => moving.look(self.pending()),
            }
            if let Some(end) = moving.end(total) {
                return (taken as u64, end);
            }
        }
        (taken as u64, self.drained(total, moving).await)
    }

    /// Waits until the peer has everything.
    async fn drained(&mut self, total: Instant, mut moving: Progress) -> SendEnd {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(cause) = self.trouble() {
                return SendEnd::Broken(cause);
            }
            let pending = self.pending();
            if pending == 0 {
                return SendEnd::All;
            }
            moving.look(pending);
            if let Some(end) = moving.end(total) {
                return end;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK);
        }
    }

    /// Asks and listens until `is_complete`, `most` bytes or `budget`; silence is `Bytes(vec![])`.
    pub async fn ask(
        &mut self,
        query: &[u8],
        budget: Duration,
        most: usize,
        is_complete: impl Fn(&[u8]) -> bool,
    ) -> Heard {
        let deadline = Instant::now() + budget;
        if !self.discard_input() {
            return Heard::Broken("the printer closed the line".to_owned());
        }
        let mut rest = query;
        while !rest.is_empty() {
            match timeout_at(deadline, self.write(rest)).await {
                Ok(Ok(0)) => return Heard::Broken("the line takes nothing".to_owned()),
                Ok(Ok(count)) => rest = rest.get(count..).unwrap_or(&[]),
                Ok(Err(error)) => return Heard::Broken(error.to_string()),
                Err(_) => return Heard::Bytes(Vec::new()),
            }
        }
        self.hear(deadline.duration_since(Instant::now()), most, is_complete)
            .await
    }

    /// Listens to what the printer says by itself.
    pub async fn hear(
        &mut self,
        budget: Duration,
        most: usize,
        is_complete: impl Fn(&[u8]) -> bool,
    ) -> Heard {
        let deadline = Instant::now() + budget;
        let mut heard = Vec::new();
        let mut buffer = [0; 512];
        while heard.len() < most && !is_complete(&heard) {
            match timeout_at(deadline, self.read(&mut buffer)).await {
                Ok(Ok(0)) if heard.is_empty() => {
                    return Heard::Broken("the printer closed the line".to_owned());
                }
                Ok(Ok(0)) | Err(_) => break,
                Ok(Ok(count)) => {
                    heard.extend_from_slice(buffer.get(..count).unwrap_or(&buffer));
                }
                Ok(Err(error)) => return Heard::Broken(error.to_string()),
            }
        }
        heard.truncate(most);
        Heard::Bytes(heard)
    }

    /// Ends our half and waits for the peer's end. Reads on meanwhile: closing a socket with
    /// unread input resets it, and a reset may cost the printer the tail of the label.
    pub async fn finish(mut self, wait: Duration) -> LineEnd {
        let deadline = Instant::now() + wait;
        if let Self::Usb(_) | Self::Serial(_) = self {
            return LineEnd::Closed; // drained already; there is no peer's end to wait for
        }
        if let Self::Tcp(line) = &mut self
            && let Err(error) = line.end().await
        {
            return LineEnd::Reset(error.to_string());
        }
        let mut buffer = [0; 4096];
        let mut discarded = 0;
        while discarded < MOST_DISCARDED {
            match timeout_at(deadline, self.read(&mut buffer)).await {
                Ok(Ok(0)) => return LineEnd::Closed,
                Ok(Ok(count)) => discarded += count,
                Ok(Err(error)) => return LineEnd::Reset(error.to_string()),
                Err(_) => return LineEnd::Open,
            }
        }
        LineEnd::Open
    }

    /// Drops the line so that nothing more of the label arrives: a plain close would go on sending
    /// what the kernel holds, and the label could come out minutes after it was given up.
    pub fn abort(self) {
        match &self {
            Self::Tcp(line) => line.reset_on_close(),
            Self::Serial(line) => line.drop_output(),
            Self::Usb(_) => {} // usblp cancels what is under way by itself
        }
    }

    /// The `usblp` status byte, where there is one.
    pub async fn device_status(&self, budget: Duration) -> Option<u8> {
        match self {
            Self::Tcp(_) | Self::Serial(_) => None,
            Self::Usb(line) => line.device_status(budget).await,
        }
    }
}

/// Whether anything moves, by bytes taken or bytes drained.
struct Progress {
    patience: Duration,
    last: Instant,
    pending: u64,
}

impl Progress {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            last: Instant::now(),
            pending: u64::MAX,
        }
    }

    fn moved(&mut self) {
        self.last = Instant::now();
    }

    fn look(&mut self, pending: u64) {
        if pending < self.pending && self.pending != u64::MAX {
            self.moved();
        }
        self.pending = pending;
    }

    fn end(&self, total: Instant) -> Option<SendEnd> {
        let now = Instant::now();
        if now.duration_since(self.last) >= self.patience {
            Some(SendEnd::Stalled)
        } else if now >= total {
            Some(SendEnd::TooSlow)
        } else {
            None
        }
    }
}
