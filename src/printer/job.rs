//! One printer of the configuration: takes a page, reports how its journey ended.
//!
//! A page's journey: bytes made → line opened → "are you well?" → an interrupted label cleared →
//! bytes handed over and drained → "is it out?" → our end of the line, the peer's end. What was
//! seen goes to `verdict`, which decides; nothing here sends a page twice.
//!
//! Silence is learned, not waited for: a printer without a back channel costs its 250 ms once in
//! five minutes. A printer that used to answer and is silent is another thing: Zebra printers do
//! not answer while they are open or out of labels.
//!
//! Over 500 lines because a page's journey is one sequence, and each step's deadline is seen with
//! the others.

use super::connection::file::{FileError, PageFile};
use super::connection::tcp::TcpLine;
use super::connection::usb::{self, UsbLine};
use super::connection::{Heard, Line};
use super::language::{self, Options, epl, escpos, tspl, zpl};
use super::settings::{Connection, Language, Settings, SettingsError};
use super::status::{MOST, Protocol, Seen};
use super::verdict::{After, Course, LineEnd, SendEnd, judge};
use crate::domain::{Bitmap, Code, PrintOutcome, PrinterName, Proof, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// Between two questions whether the label is out.
const ASK_AGAIN: Duration = Duration::from_millis(40);
/// `LPGETSTATUS`: paper out (`linux/lp.h`, `LP_POUTPA`). The other bits mean nothing on most
/// label printers.
const LP_PAPER_OUT: u8 = 0x20;

/// What to print.
#[derive(Debug, Clone)]
pub struct Job {
    /// The order's number; used for file names and the log.
    pub order: String,
    /// Which page, from 1.
    pub page: u16,
    /// Of how many.
    pub of: u16,
    /// Now; used for file names.
    pub at: Timestamp,
    /// The page itself.
    pub content: PageBytes,
}

/// A page, drawn or ready.
#[derive(Debug, Clone)]
pub enum PageBytes {
    /// A picture at the head's dpi; encoded in the printer's language.
    Picture(Bitmap),
    /// A document that goes through untouched; the printer must speak its language.
    Raw {
        /// The document's language.
        language: Language,
        /// The document.
        bytes: Vec<u8>,
    },
}

/// How a page's journey ended, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrintReport {
    /// The end.
    pub outcome: PrintOutcome,
    /// From the call to the first byte taken by the line.
    pub first_byte: Option<Duration>,
    /// From the call to this report.
    pub total: Duration,
    /// Bytes of the page in the printer's language.
    pub bytes: u64,
}

/// What is known of a printer now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrinterStatus {
    /// Nothing is known to be in the way of printing.
    pub ready: bool,
    /// What it needs.
    pub code: Option<Code>,
    /// The same in the printer's or the system's words; may be empty.
    pub detail: String,
    /// Whether it answers status questions; `None` until asked.
    pub back_channel: Option<bool>,
}

/// What earlier pages taught about this printer.
#[derive(Debug)]
struct Memory {
    /// Found out for `auto`.
    language: Option<Language>,
    /// A label may lie half in the printer: always so after a start, which may follow a crash.
    is_dirty: bool,
    /// It has answered a question.
    talks: bool,
    /// Since when a talking printer is quiet.
    quiet_since: Option<Instant>,
    /// Questions that are pointless until then.
    silent_until: Option<Instant>,
    no_counter_until: Option<Instant>,
    no_device_status_until: Option<Instant>,
    no_fin_until: Option<Instant>,
}

/// A look at the printer before a label.
enum Look {
    Seen(Seen),
    NoBackChannel,
    Unfit(Code, String),
}

/// One of the station's printers. Prints one page at a time; further callers wait their turn.
#[derive(Debug)]
pub struct Printer {
    settings: Settings,
    sysfs: PathBuf,
    turn: Mutex<()>,
    memory: StdMutex<Memory>,
    status: watch::Sender<PrinterStatus>,
}

impl Printer {
    /// A printer with these settings. Nothing is opened yet: a printer that is switched off must
    /// not stop the station.
    pub fn open(settings: Settings) -> Self {
        let unknown = PrinterStatus {
            ready: true,
            ..PrinterStatus::default()
        };
        Self {
            settings,
            sysfs: PathBuf::from(usb::SYSFS),
            turn: Mutex::new(()),
            memory: StdMutex::new(Memory {
                language: None,
                is_dirty: true,
                talks: false,
                quiet_since: None,
                silent_until: None,
                no_counter_until: None,
                no_device_status_until: None,
                no_fin_until: None,
            }),
            status: watch::Sender::new(unknown),
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &PrinterName {
        &self.settings.name
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The latest status, and every change of it (from prints too).
    pub fn watch(&self) -> watch::Receiver<PrinterStatus> {
        self.status.subscribe()
    }

    /// The language it speaks; with `auto` the printer is asked, once.
    ///
    /// # Errors
    /// When it does not say: a configuration error that names the fix.
    pub async fn identify(&self) -> Result<Language, SettingsError> {
        let known = match (&self.settings.language, &self.settings.connection) {
            (Language::Auto, Connection::File(_)) => Some(Language::Png),
            (Language::Auto, _) => self.memory().language,
            (language, _) => Some(*language),
        };
        if let Some(language) = known {
            return Ok(language);
        }
        let found = match &self.settings.connection {
            Connection::Usb(device) => {
                let (device, sysfs) = (device.clone(), self.sysfs.clone());
                let read = spawn_blocking(move || usb::language(&device, &sysfs)).await;
                read.unwrap_or_else(|error| Err(error.to_string()))
            }
            Connection::Tcp { .. } | Connection::File(_) => self.ask_language().await,
        };
        let language = found.map_err(|detail| SettingsError::LanguageUnknown {
            name: self.settings.name.clone(),
            detail,
        })?;
        self.memory().language = Some(language);
        Ok(language)
    }

    /// Harmless questions first: a receipt printer would print the letters of `~HS`.
    async fn ask_language(&self) -> Result<Language, String> {
        let mut line = self.connect().await?;
        for protocol in [Protocol::Escpos, Protocol::Tspl, Protocol::Zpl] {
            let budget = self.settings.limits.identify / 3;
            let heard = line
                .ask(&protocol.query(false), budget, MOST, |answer| {
                    protocol.is_complete(answer, false)
                })
                .await;
            match heard {
                Heard::Bytes(answer) if protocol.parse(&answer).is_some() => {
                    line.finish(self.settings.limits.status).await;
                    return Ok(protocol.language());
                }
                Heard::Bytes(_) => {}
                Heard::Broken(cause) => return Err(cause),
            }
        }
        line.finish(self.settings.limits.status).await;
        Err("it answers no status question".to_owned())
    }

    /// Prints one page. `started` runs when the line has taken the first byte.
    ///
    /// Never sends anything twice. Dropping the future may leave a label half in the printer; the
    /// next page clears that first.
    pub async fn print(&self, job: Job, started: impl FnOnce() + Send) -> PrintReport {
        let begun = Instant::now();
        let _turn = self.turn.lock().await;
        let mut first_byte = None;
        let mut bytes = 0;
        let on_first = || {
            first_byte = Some(begun.elapsed());
            started();
        };
        let outcome = match self.page_bytes(&job).await {
            Ok((language, page, width)) => {
                bytes = page.len() as u64;
                self.deliver(&job, language, page, width, on_first).await
            }
            Err((code, detail)) => PrintOutcome::NotStarted { code, detail },
        };
        if let PrintOutcome::NotStarted { code, detail } = &outcome {
            self.publish(Some((*code, detail.as_str())));
        }
        PrintReport {
            outcome,
            first_byte,
            total: begun.elapsed(),
            bytes,
        }
    }

    /// The page in the printer's language, and its width in dots.
    async fn page_bytes(&self, job: &Job) -> Result<(Language, Vec<u8>, u32), (Code, String)> {
        let speaks = self
            .identify()
            .await
            .map_err(|error| (Code::ConfigInvalid, error.to_string()))?;
        let to_file = matches!(self.settings.connection, Connection::File(_));
        match &job.content {
            PageBytes::Raw { language, bytes } if to_file || *language == speaks => {
                Ok((*language, bytes.clone(), self.settings.media_dots().0))
            }
            PageBytes::Raw { language, .. } => Err((
                Code::ConfigInvalid,
                format!(
                    "the document is {} and the printer speaks {}",
                    language.as_str(),
                    speaks.as_str()
                ),
            )),
            PageBytes::Picture(_) if speaks == Language::Png && !to_file => Err((
                Code::ConfigInvalid,
                "png is only for file: printers".to_owned(),
            )),
            PageBytes::Picture(page) => {
                let options = Options::from(&self.settings);
                let (page, width) = (page.clone(), page.width);
                let encoded =
                    spawn_blocking(move || language::encode(speaks, &page, &options)).await;
                let bytes = encoded.map_err(|error| (Code::Internal, error.to_string()))?;
                if bytes.is_empty() {
                    return Err((Code::Internal, "the page has no bytes".to_owned()));
                }
                Ok((speaks, bytes, width))
            }
        }
    }

    async fn deliver(
        &self,
        job: &Job,
        language: Language,
        page: Vec<u8>,
        width: u32,
        on_first: impl FnOnce() + Send,
    ) -> PrintOutcome {
        if let Connection::File(dir) = &self.settings.connection {
            return self.write_file(job, language, dir, page, on_first).await;
        }
        let line = match self.connect().await {
            Ok(line) => line,
            Err(detail) => return offline(detail),
        };
        self.deliver_by(line, language, &page, width, on_first)
            .await
    }

    async fn deliver_by(
        &self,
        mut line: Line,
        language: Language,
        page: &[u8],
        width: u32,
        on_first: impl FnOnce() + Send,
    ) -> PrintOutcome {
        let limits = &self.settings.limits;
        let protocol = Protocol::of(language);
        let before = match self.look(&mut line, language, width).await {
            Look::Unfit(code, detail) => {
                line.finish(limits.status).await;
                return PrintOutcome::NotStarted { code, detail };
            }
            Look::Seen(seen) => Some(seen),
            Look::NoBackChannel => None,
        };
        if self.memory().is_dirty {
            let end = self.clear(&mut line, language, width).await;
            if end != SendEnd::All {
                line.abort();
                return judge_unsent(end);
            }
        }
        self.memory().is_dirty = true;
        let (taken, sent) = line.send(page, limits, on_first).await;
        // What another job still had to print would move the counter too.
        let counted_before = before
            .as_ref()
            .filter(|seen| !seen.busy)
            .and_then(|seen| seen.counter);
        let (after, broken) = match (&sent, protocol, &before) {
            (SendEnd::All, Some(protocol), Some(_)) => {
                self.confirm(&mut line, protocol, counted_before).await
            }
            (SendEnd::All, _, None) => (self.device_after(&line).await, None),
            _ => (After::NotAsked, None),
        };
        if is_unwell(&after) {
            // In doubt: whatever the printer still holds must not come out later, beside the copy
            // that a person then asks for. No answer is waited for; it may be deaf as well.
            let cancel = cancel_bytes(language);
            let _ = line.ask(cancel, limits.status, 0, |_| true).await;
        }
        let end = match (broken, &sent) {
            (Some(cause), _) => LineEnd::Reset(cause),
            (None, SendEnd::All) => self.end(line, &after).await,
            (None, _) => {
                line.abort();
                LineEnd::Open
            }
        };
        let trouble = after_code(&after);
        let outcome = judge(Course {
            taken,
            sent,
            counted_before,
            after,
            line: end,
        });
        match &outcome {
            PrintOutcome::Printed { .. } => {
                self.memory().is_dirty = false;
                self.publish(
                    trouble
                        .as_ref()
                        .map(|(code, detail)| (*code, detail.as_str())),
                );
            }
            PrintOutcome::InDoubt { detail, .. } => {
                let (code, detail) =
                    trouble.unwrap_or_else(|| (Code::PrinterOffline, detail.clone()));
                self.publish(Some((code, &detail)));
            }
            PrintOutcome::NotStarted { .. } => {}
        }
        outcome
    }

    /// Asks how the printer is, unless that is known to be pointless.
    async fn look(&self, line: &mut Line, language: Language, width: u32) -> Look {
        if let Some(protocol) = Protocol::of(language)
            && !is_in_future(self.memory().silent_until)
        {
            let mut asked = self.ask_state(line, protocol).await;
            // Inside a picture that a broken line left open, a question is just more dots.
            if asked == Ok(None) && self.memory().is_dirty {
                match self.clear(line, language, width).await {
                    SendEnd::All => asked = self.ask_state(line, protocol).await,
                    SendEnd::Broken(cause) => asked = Err(cause),
                    _ => {}
                }
            }
            match asked {
                Ok(Some(Seen {
                    code: Some(code),
                    detail,
                    ..
                })) => return Look::Unfit(code, detail),
                Ok(Some(seen)) => return Look::Seen(seen),
                Ok(None) => {}
                Err(cause) => return Look::Unfit(Code::PrinterOffline, cause),
            }
            if self.is_quiet_for_a_reason() {
                return Look::Unfit(
                    Code::PrinterOffline,
                    "it answered before and is silent now: open, out of labels or hung".to_owned(),
                );
            }
        }
        match self.device_fault(line).await {
            Some((code, detail)) => Look::Unfit(code, detail),
            None => Look::NoBackChannel,
        }
    }

    /// Makes the printer forget a label that a broken line left half in it.
    async fn clear(&self, line: &mut Line, language: Language, width: u32) -> SendEnd {
        let limits = &self.settings.limits;
        let (_, end) = line
            .send(&clear_bytes(language, width), limits, || ())
            .await;
        if end == SendEnd::All {
            self.memory().is_dirty = false;
        }
        end
    }

    /// One question; a printer that has answered before is asked twice before it counts as silent.
    async fn ask_state(&self, line: &mut Line, protocol: Protocol) -> Result<Option<Seen>, String> {
        let tries = if self.memory().talks { 2 } else { 1 };
        for _ in 0..tries {
            let counter = !is_in_future(self.memory().no_counter_until);
            let heard = line
                .ask(
                    &protocol.query(counter),
                    self.settings.limits.status,
                    MOST,
                    |answer| protocol.is_complete(answer, counter),
                )
                .await;
            let answer = match heard {
                Heard::Bytes(answer) => answer,
                Heard::Broken(cause) => return Err(cause),
            };
            if let Some(seen) = protocol.parse(&answer) {
                let mut memory = self.memory();
                memory.talks = true;
                memory.quiet_since = None;
                if counter && seen.counter.is_none() {
                    memory.no_counter_until = Some(Instant::now() + self.settings.limits.silence);
                }
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    /// After a silence: whether it means something, or there is no back channel (any more).
    fn is_quiet_for_a_reason(&self) -> bool {
        let now = Instant::now();
        let limits = &self.settings.limits;
        let mut memory = self.memory();
        if memory.talks {
            let since = *memory.quiet_since.get_or_insert(now);
            if now.duration_since(since) < limits.quiet {
                return true;
            }
        }
        memory.talks = false;
        memory.quiet_since = None;
        memory.silent_until = Some(now + limits.silence);
        false
    }

    /// Asks until the label is counted, the printer is idle or unwell, or time is up.
    async fn confirm(
        &self,
        line: &mut Line,
        protocol: Protocol,
        counted_before: Option<u64>,
    ) -> (After, Option<String>) {
        let deadline = Instant::now() + self.settings.limits.confirm;
        loop {
            let last = match self.ask_state(line, protocol).await {
                Err(cause) => return (After::Quiet, Some(cause)),
                Ok(None) => After::Quiet,
                Ok(Some(seen)) => {
                    let is_out = counted_before.is_some_and(|before| seen.counter > Some(before));
                    let is_idle = counted_before.is_none() && !seen.busy;
                    if is_out || is_idle || seen.code.is_some() {
                        return (After::Seen(seen), None);
                    }
                    After::Seen(seen)
                }
            };
            if Instant::now() + ASK_AGAIN >= deadline {
                return (last, None);
            }
            sleep(ASK_AGAIN).await;
        }
    }

    /// The printer class status byte of a device without any other back channel.
    async fn device_fault(&self, line: &Line) -> Option<(Code, String)> {
        if is_in_future(self.memory().no_device_status_until) {
            return None;
        }
        let limits = &self.settings.limits;
        match line.device_status(limits.status).await {
            Some(status) if status & LP_PAPER_OUT != 0 => Some((
                Code::PrinterMediaOut,
                "the device reports no paper".to_owned(),
            )),
            Some(_) => None,
            None => {
                self.memory().no_device_status_until = Some(Instant::now() + limits.silence);
                None
            }
        }
    }

    async fn device_after(&self, line: &Line) -> After {
        match self.device_fault(line).await {
            Some((code, detail)) => After::Seen(Seen {
                code: Some(code),
                detail,
                ..Seen::default()
            }),
            // "No fault" is what most label printers always say: no proof.
            None => After::NotAsked,
        }
    }

    async fn end(&self, line: Line, after: &After) -> LineEnd {
        let limits = &self.settings.limits;
        let is_known = matches!(after, After::Seen(_)) || is_in_future(self.memory().no_fin_until);
        let wait = if is_known {
            limits.fin.min(limits.status)
        } else {
            limits.fin
        };
        let end = line.finish(wait).await;
        if end == LineEnd::Open {
            // Some printers keep the line open for minutes; that must not cost each label 2 s.
            self.memory().no_fin_until = Some(Instant::now() + limits.silence);
        }
        end
    }

    async fn write_file(
        &self,
        job: &Job,
        language: Language,
        dir: &Path,
        page: Vec<u8>,
        on_first: impl FnOnce() + Send,
    ) -> PrintOutcome {
        let bytes = page.len() as u64;
        let file = PageFile {
            dir: dir.to_owned(),
            at: job.at,
            order: job.order.clone(),
            page: job.page,
            of: job.of,
            ending: match language {
                Language::Auto => Language::Png.as_str(),
                other => other.as_str(),
            },
        };
        on_first();
        match spawn_blocking(move || file.write_blocking(&page)).await {
            Ok(Ok(_)) => {
                self.publish(None);
                PrintOutcome::Printed {
                    proof: Proof::Confirmed,
                }
            }
            Ok(Err(FileError::NotThere(error))) => PrintOutcome::NotStarted {
                code: file_code(&error),
                detail: format!("{}: {error}", dir.display()),
            },
            Ok(Err(FileError::NotSafe(error))) => PrintOutcome::InDoubt {
                bytes,
                detail: format!("{}: {error}", dir.display()),
            },
            Err(error) => PrintOutcome::InDoubt {
                bytes,
                detail: error.to_string(),
            },
        }
    }

    async fn connect(&self) -> Result<Line, String> {
        let budget = self.settings.limits.connect;
        match &self.settings.connection {
            Connection::Tcp { host, port } => {
                TcpLine::open(host, *port, budget).await.map(Line::Tcp)
            }
            Connection::Usb(device) => UsbLine::open(device, &self.sysfs, budget)
                .await
                .map(Line::Usb),
            Connection::File(_) => Err("a file: printer has no line".to_owned()),
        }
    }

    /// Looks at the printer now. While a page is under way, or a printer is known to be silent,
    /// the answer is what is known.
    pub async fn status(&self) -> PrinterStatus {
        let Ok(_turn) = self.turn.try_lock() else {
            return self.status.borrow().clone();
        };
        let trouble = match &self.settings.connection {
            Connection::File(dir) => file_trouble(dir.clone()).await,
            Connection::Tcp { .. } | Connection::Usb(_) => self.line_trouble().await,
        };
        self.publish(
            trouble
                .as_ref()
                .map(|(code, detail)| (*code, detail.as_str())),
        );
        self.status.borrow().clone()
    }

    async fn line_trouble(&self) -> Option<(Code, String)> {
        let language = match self.identify().await {
            Ok(language) => language,
            Err(error) => return Some((Code::PrinterOffline, error.to_string())),
        };
        let mut line = match self.connect().await {
            Ok(line) => line,
            Err(detail) => return Some((Code::PrinterOffline, detail)),
        };
        let width = self.settings.media_dots().0;
        let look = self.look(&mut line, language, width).await;
        line.finish(self.settings.limits.status).await;
        match look {
            Look::Unfit(code, detail) => Some((code, detail)),
            Look::Seen(_) | Look::NoBackChannel => None,
        }
    }

    /// Looks every 2 s until the printer is ready. Ends by that, or by being dropped.
    pub async fn cured(&self) -> PrinterStatus {
        loop {
            let status = self.status().await;
            if status.ready {
                return status;
            }
            sleep(self.settings.limits.poll).await;
        }
    }

    fn publish(&self, trouble: Option<(Code, &str)>) {
        let back_channel = {
            let memory = self.memory();
            if memory.talks {
                Some(true)
            } else {
                memory.silent_until.map(|_| false)
            }
        };
        let status = PrinterStatus {
            ready: trouble.is_none(),
            code: trouble.map(|(code, _)| code),
            detail: trouble.map_or_else(String::new, |(_, detail)| detail.to_owned()),
            back_channel,
        };
        self.status.send_if_modified(|known| {
            let is_new = *known != status;
            *known = status;
            is_new
        });
    }

    /// Held only for a look or an assignment, never over an await.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_in_future(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

fn offline(detail: String) -> PrintOutcome {
    PrintOutcome::NotStarted {
        code: Code::PrinterOffline,
        detail,
    }
}

/// The page itself has not been touched yet.
fn judge_unsent(sent: SendEnd) -> PrintOutcome {
    judge(Course {
        taken: 0,
        sent,
        counted_before: None,
        after: After::NotAsked,
        line: LineEnd::Open,
    })
}

fn is_unwell(after: &After) -> bool {
    match after {
        After::Seen(seen) => seen.code.is_some(),
        After::Quiet => true,
        After::NotAsked => false,
    }
}

/// Cancels at once what the printer holds and has not printed.
fn cancel_bytes(language: Language) -> &'static [u8] {
    match language {
        Language::Zpl => zpl::CLEAR,
        Language::Tspl => tspl::CLEAR,
        Language::Escpos => escpos::CANCEL,
        Language::Epl | Language::Png | Language::Auto => &[],
    }
}

fn after_code(after: &After) -> Option<(Code, String)> {
    match after {
        After::Seen(Seen {
            code: Some(code),
            detail,
            ..
        }) => Some((*code, detail.clone())),
        _ => None,
    }
}

/// What makes the printer forget a label that a broken line left half in it.
fn clear_bytes(language: Language, width: u32) -> Vec<u8> {
    match language {
        Language::Zpl => zpl::CLEAR.to_vec(),
        Language::Epl => epl::CLEAR.to_vec(),
        Language::Tspl => tspl::CLEAR.to_vec(),
        Language::Escpos => escpos::clear(width),
        Language::Png | Language::Auto => Vec::new(),
    }
}

fn file_code(error: &io::Error) -> Code {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::DiskFull,
        _ => Code::PrinterOffline,
    }
}

async fn file_trouble(dir: PathBuf) -> Option<(Code, String)> {
    let looked = spawn_blocking(move || {
        std::fs::create_dir_all(&dir)
            .and_then(|()| Ok(rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK)?))
            .map_err(|error| (file_code(&error), format!("{}: {error}", dir.display())))
    });
    match looked.await {
        Ok(looked) => looked.err(),
        Err(error) => Some((Code::Internal, error.to_string())),
    }
}
