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
use super::connection::serial::SerialLine;
use super::connection::tcp::TcpLine;
use super::connection::usb::{self, UsbLine};
use super::connection::{Heard, Line};
use super::ipp;
use super::language::{self, Options};
use super::settings::{Connection, IppTarget, Language, Limits, Settings, SettingsError};
use super::status::{MOST, Protocol, Seen, Stock, Wear};
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
/// Run lengths of a label that are worth packing: on a network or USB the processor costs more
/// than the bytes do below this.
const PACK_ABOVE: usize = 64 * 1024;
/// The same on a serial line: 4 s at 9600 baud.
const PACK_ABOVE_SLOW: usize = 4 * 1024;
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
    /// How many of it, 1 or more.
    pub copies: u8,
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
    /// What a person should see to, and that stops nothing.
    pub warnings: Vec<String>,
    /// How far it has run, where it counts.
    pub wear: Option<Wear>,
}

/// What earlier pages taught about this printer.
#[derive(Debug)]
struct Memory {
    /// Found out for `auto`.
    language: Option<Language>,
    /// A label may lie half in the printer: always so after a start, which may follow a crash.
    is_dirty: bool,
    /// A label was broken off since the printer was last cleared.
    broke: bool,
    /// It has answered a question.
    talks: bool,
    /// Something about its labels that a person should see to, and that stops nothing.
    remark: Option<String>,
    /// The same in the printer's own words.
    warnings: Vec<&'static str>,
    wear: Option<Wear>,
    /// It has told how many labels it ever printed.
    counts: bool,
    /// Since when a talking printer is quiet.
    quiet_since: Option<Instant>,
    /// Questions that are pointless until then.
    silent_until: Option<Instant>,
    no_counter_until: Option<Instant>,
    no_device_status_until: Option<Instant>,
    no_fin_until: Option<Instant>,
}

/// Width and height of a page.
type Dots = (u32, u32);

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
    /// The settings' deadlines, as this connection needs them.
    limits: Limits,
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
            limits: settings.paced(),
            settings,
            sysfs: PathBuf::from(usb::SYSFS),
            turn: Mutex::new(()),
            memory: StdMutex::new(Memory {
                language: None,
                is_dirty: true,
                broke: false,
                talks: false,
                counts: false,
                remark: None,
                warnings: Vec::new(),
                wear: None,
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
            (Language::Auto, Connection::Ipp(_)) => Some(Language::Pwg),
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
            _ => self.ask_language().await,
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
        for protocol in [
            Protocol::Escpos,
            Protocol::Tspl,
            Protocol::Zpl,
            Protocol::Epl,
        ] {
            let budget = self.limits.identify / 4;
            let heard = line
                .ask(&protocol.query(false), budget, MOST, |answer| {
                    protocol.is_complete(answer, false)
                })
                .await;
            match heard {
                Heard::Bytes(answer) if protocol.parse(&answer).is_some() => {
                    line.finish(self.limits.status).await;
                    return Ok(protocol.language());
                }
                Heard::Bytes(_) => {}
                Heard::Broken(cause) => return Err(cause),
            }
        }
        line.finish(self.limits.status).await;
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
        let outcome = if let Connection::Ipp(target) = &self.settings.connection {
            let course = self.print_ipp(target, &job, on_first).await;
            bytes = course.bytes;
            course.outcome
        } else {
            match self.page_bytes(&job).await {
                Ok((language, page, size)) => {
                    bytes = page.len() as u64;
                    self.deliver(&job, language, page, size, on_first).await
                }
                Err((code, detail)) => PrintOutcome::NotStarted { code, detail },
            }
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

    async fn print_ipp(
        &self,
        target: &IppTarget,
        job: &Job,
        on_first: impl FnOnce() + Send,
    ) -> ipp::Course {
        let language = match self.settings.language {
            Language::Auto => Language::Pwg,
            language => language,
        };
        let course = ipp::print(&self.settings, target, language, job, on_first).await;
        if course.seen.is_some() {
            self.memory().talks = true;
        }
        match (&course.outcome, &course.seen) {
            (PrintOutcome::InDoubt { detail, .. }, None) => {
                self.publish(Some((Code::PrinterOffline, detail)));
            }
            (PrintOutcome::Printed { .. } | PrintOutcome::InDoubt { .. }, seen) => {
                let trouble = seen
                    .as_ref()
                    .and_then(|s| Some((s.code?, s.detail.as_str())));
                self.publish(trouble);
            }
            (PrintOutcome::NotStarted { .. }, _) => {} // published with the outcome
        }
        course
    }

    /// Above how many bytes a ZPL label is worth packing; `None` for printers that are not known to
    /// unpack it. Those that count their labels are Zebra's own, and all of them do.
    fn uncompressed_most(&self) -> Option<usize> {
        let is_slow = matches!(self.settings.connection, Connection::Serial { .. });
        self.memory()
            .counts
            .then_some(if is_slow { PACK_ABOVE_SLOW } else { PACK_ABOVE })
    }

    /// The page in the printer's language, and its size in dots.
    async fn page_bytes(&self, job: &Job) -> Result<(Language, Vec<u8>, Dots), (Code, String)> {
        let speaks = self
            .identify()
            .await
            .map_err(|error| (Code::ConfigInvalid, error.to_string()))?;
        let to_file = matches!(self.settings.connection, Connection::File(_));
        match &job.content {
            PageBytes::Raw { language, bytes } if to_file || *language == speaks => {
                let bytes = bytes.repeat(job.copies.into());
                Ok((*language, bytes, self.settings.media_dots()))
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
                let options = Options {
                    copies: job.copies,
                    ..Options::from(&self.settings)
                };
                let (page, size) = (page.clone(), (page.width, page.height));
                let most = self.uncompressed_most();
                let encoded = spawn_blocking(move || encode(speaks, &page, options, most)).await;
                let bytes = encoded.map_err(|error| (Code::Internal, error.to_string()))?;
                if bytes.is_empty() {
                    return Err((Code::Internal, "the page has no bytes".to_owned()));
                }
                Ok((speaks, bytes, size))
            }
        }
    }

    async fn deliver(
        &self,
        job: &Job,
        language: Language,
        page: Vec<u8>,
        size: Dots,
        on_first: impl FnOnce() + Send,
    ) -> PrintOutcome {
        if let Connection::File(dir) = &self.settings.connection {
            return self.write_file(job, language, dir, page, on_first).await;
        }
        let line = match self.connect().await {
            Ok(line) => line,
            Err(detail) => return offline(detail),
        };
        self.deliver_by(line, language, (&page, job.copies), size, on_first)
            .await
    }

    async fn deliver_by(
        &self,
        mut line: Line,
        language: Language,
        (page, copies): (&[u8], u8),
        size: Dots,
        on_first: impl FnOnce() + Send,
    ) -> PrintOutcome {
        let limits = &self.limits;
        let protocol = Protocol::of(language);
        let before = match self.look(&mut line, language, size).await {
            Look::Unfit(code, detail) => {
                line.finish(limits.status).await;
                return PrintOutcome::NotStarted { code, detail };
            }
            Look::Seen(seen) => Some(seen),
            Look::NoBackChannel => None,
        };
        if self.memory().is_dirty {
            let end = self
                .clear(&mut line, language, size, before.is_some())
                .await;
            if end != SendEnd::All {
                line.abort();
                return judge_unsent(end);
            }
        }
        self.memory().is_dirty = true;
        let (taken, sent) = line.send(page, limits, on_first).await;
        // What another job still had to print would move the counter too.
        let counted_before =
            before
                .as_ref()
                .filter(|seen| !seen.busy)
                .and_then(|seen| match protocol {
                    // What it tells by itself is about this label.
                    Some(protocol) if protocol.tells_by_itself() => Some(0),
                    _ => seen.counter,
                });
        let (after, broken) = match (&sent, protocol, &before) {
            (SendEnd::All, Some(protocol), Some(_)) => {
                self.confirm(&mut line, protocol, counted_before, copies)
                    .await
            }
            (SendEnd::All, _, None) => (self.device_after(&line).await, None),
            _ => (After::NotAsked, None),
        };
        if is_unwell(&after) {
            // In doubt: whatever the printer still holds must not come out later, beside the copy
            // that a person then asks for. No answer is waited for; it may be deaf as well.
            let cancel = language::cancel(language);
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
            copies,
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
                self.memory().broke = true;
                let (code, detail) =
                    trouble.unwrap_or_else(|| (Code::PrinterOffline, detail.clone()));
                self.publish(Some((code, &detail)));
            }
            PrintOutcome::NotStarted { .. } => {}
        }
        outcome
    }

    /// Asks how the printer is, unless that is known to be pointless.
    async fn look(&self, line: &mut Line, language: Language, size: Dots) -> Look {
        if let Some(protocol) = Protocol::of(language)
            && !is_in_future(self.memory().silent_until)
        {
            let mut asked = self.ask_state(line, protocol).await;
            // Inside a picture that a broken line left open, a question is just more dots.
            if asked == Ok(None) && self.memory().is_dirty {
                match self.clear(line, language, size, false).await {
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
                Ok(Some(seen)) => {
                    return match self.wrong_stock(&seen) {
                        // Not the label's fault: it waits for the right ones.
                        Some(detail) => Look::Unfit(Code::PrinterMediaOut, detail),
                        None => Look::Seen(seen),
                    };
                }
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
    async fn clear(
        &self,
        line: &mut Line,
        language: Language,
        size: Dots,
        is_heard: bool,
    ) -> SendEnd {
        // Filling up a whole picture takes minutes on a serial line: only where one was broken off.
        let is_serial = matches!(self.settings.connection, Connection::Serial { .. });
        let is_whole = is_heard || (is_serial && !self.memory().broke);
        let bytes = language::clear(language, size, is_whole);
        let (_, end) = line.send(&bytes, &self.limits, || ()).await;
        if end == SendEnd::All {
            let mut memory = self.memory();
            memory.is_dirty = false;
            memory.broke = false;
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
                    self.limits.status,
                    MOST,
                    |answer| protocol.is_complete(answer, counter),
                )
                .await;
            let answer = match heard {
                Heard::Bytes(answer) => answer,
                Heard::Broken(cause) => return Err(cause),
            };
            if let Some(mut seen) = protocol.parse(&answer) {
                if seen.code == Some(Code::PrinterPaused)
                    && let Some(why) = self.why_paused(line, protocol).await
                {
                    seen.code = why.code;
                    seen.detail = why.detail;
                }
                let mut memory = self.memory();
                memory.talks = true;
                memory.quiet_since = None;
                memory.remark = self.remark(&seen);
                memory.counts |= protocol == Protocol::Zpl && seen.counter.is_some();
                if counter && seen.counter.is_none() {
                    memory.no_counter_until = Some(Instant::now() + self.limits.silence);
                }
                return Ok(Some(seen));
            }
        }
        Ok(None)
    }

    /// A jam or a stuck cutter looks like a pause to the first question.
    async fn why_paused(&self, line: &mut Line, protocol: Protocol) -> Option<Seen> {
        let question = protocol.why_paused()?;
        let budget = self.limits.status;
        let heard = line
            .ask(question, budget, MOST, |answer| {
                protocol.is_why_complete(answer)
            })
            .await;
        match heard {
            Heard::Bytes(answer) => protocol.parse_why(&answer),
            Heard::Broken(_) => None, // the next step meets it too
        }
    }

    /// Labels that another label would be printed over, where the printer tells what is in it.
    fn wrong_stock(&self, seen: &Seen) -> Option<String> {
        let (width, length) = self.settings.media_mm;
        match seen.stock? {
            Stock::Tape {
                width_mm,
                length_mm,
            } => {
                let wanted = language::brother_ql::stock(self.settings.media_mm)?.tape_mm();
                let is_other = (width_mm, length_mm) != wanted;
                is_other.then(|| match length_mm {
                    0 => format!(
                        "a roll of {width_mm} mm is in it, the configuration says {width} x {length} mm"
                    ),
                    _ => format!(
                        "labels of {width_mm} x {length_mm} mm are in it, the configuration says \
                         {width} x {length} mm"
                    ),
                })
            }
            // A little less may be another program's doing and is told, not refused; a label that
            // would run over the next one is not begun.
            Stock::Length(dots) => self.shorter_than(dots, 6),
        }
    }

    /// Labels that seem shorter than the page, for the person who looks at the status.
    fn remark(&self, seen: &Seen) -> Option<String> {
        match seen.stock {
            Some(Stock::Length(dots)) => self.shorter_than(dots, 9),
            _ => None,
        }
    }

    /// Labels of less than so many tenths of what the configuration says.
    fn shorter_than(&self, dots: u32, tenths: u64) -> Option<String> {
        let wanted = self.settings.media_dots().1;
        (u64::from(dots) * 10 < u64::from(wanted) * tenths).then(|| {
            let mm = f64::from(dots) * 25.4 / f64::from(self.settings.dpi.max(1));
            format!(
                "the printer measures labels of {mm:.0} mm, the configuration says {} mm: calibrate \
                 it or correct media",
                self.settings.media_mm.1
            )
        })
    }

    /// After a silence: whether it means something, or there is no back channel (any more).
    fn is_quiet_for_a_reason(&self) -> bool {
        let now = Instant::now();
        let limits = &self.limits;
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
        copies: u8,
    ) -> (After, Option<String>) {
        let patience = self.limits.confirm * u32::from(copies);
        let deadline = Instant::now() + patience;
        if protocol.tells_by_itself() {
            let is_settled = |heard: &[u8]| protocol.is_settled(heard, copies);
            match line.hear(patience, MOST, is_settled).await {
                Heard::Bytes(heard) if is_settled(&heard) => {
                    if let Some(seen) = protocol.parse(&heard) {
                        return (After::Seen(seen), None);
                    }
                }
                Heard::Bytes(_) => {} // it tells nothing by itself: it is asked once
                Heard::Broken(cause) => return (After::Quiet, Some(cause)),
            }
        }
        loop {
            let last = match self.ask_state(line, protocol).await {
                Err(cause) => return (After::Quiet, Some(cause)),
                Ok(None) => After::Quiet,
                Ok(Some(seen)) => {
                    let is_out = counted_before
                        .is_some_and(|before| seen.counter >= Some(before + u64::from(copies)));
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
        let limits = &self.limits;
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
        let limits = &self.limits;
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
            ending: language.ending(),
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
        let budget = self.limits.connect;
        match &self.settings.connection {
            Connection::Tcp { host, port } => {
                TcpLine::open(host, *port, budget).await.map(Line::Tcp)
            }
            Connection::Usb(device) => UsbLine::open(device, &self.sysfs, budget)
                .await
                .map(Line::Usb),
            Connection::Serial { path, baud } => SerialLine::open(path, *baud, budget)
                .await
                .map(Line::Serial),
            Connection::File(_) | Connection::Ipp(_) => {
                Err("this printer has no line of bytes".to_owned())
            }
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
            Connection::Ipp(target) => self.ipp_trouble(target).await,
            Connection::Tcp { .. } | Connection::Usb(_) | Connection::Serial { .. } => {
                self.line_trouble().await
            }
        };
        self.publish(
            trouble
                .as_ref()
                .map(|(code, detail)| (*code, detail.as_str())),
        );
        self.status.borrow().clone()
    }

    async fn ipp_trouble(&self, target: &IppTarget) -> Option<(Code, String)> {
        match ipp::look(target, &self.limits).await {
            Ok((seen, _)) => {
                self.memory().talks = true;
                Some((seen.code?, seen.detail))
            }
            Err(detail) => Some((Code::PrinterOffline, detail)),
        }
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
        let size = self.settings.media_dots();
        let look = self.look(&mut line, language, size).await;
        line.finish(self.limits.status).await;
        match look {
            Look::Unfit(code, detail) => Some((code, detail)),
            Look::Seen(_) | Look::NoBackChannel => None,
        }
    }

    /// Asks a printer that counts how far it has run and what it warns of. Costs no label anything: it
    /// is for quiet times, and is not done while a page is under way or for a silent printer.
    pub async fn check_up(&self) {
        let Ok(_turn) = self.turn.try_lock() else {
            return;
        };
        let counts = self.memory().counts && !is_in_future(self.memory().silent_until);
        let protocol = self.identify().await.ok().and_then(Protocol::of);
        let Some(protocol) = protocol.filter(|_| counts) else {
            return;
        };
        let (Some(warnings), Some(odometers)) = (protocol.warnings(), protocol.wear_query()) else {
            return;
        };
        let Ok(mut line) = self.connect().await else {
            return; // the next label says so, or the next look
        };
        let budget = self.limits.status;
        let heard = line
            .ask(warnings, budget, MOST, |answer| {
                protocol.is_why_complete(answer)
            })
            .await;
        if let Heard::Bytes(answer) = heard
            && let Some(warnings) = protocol.parse_warnings(&answer)
        {
            self.memory().warnings = warnings;
        }
        let heard = line
            .ask(&odometers, budget, MOST, |answer| {
                protocol.is_wear_complete(answer)
            })
            .await;
        if let Heard::Bytes(answer) = heard
            && let Some(wear) = protocol.parse_wear(&answer)
        {
            self.memory().wear = Some(wear);
        }
        line.finish(budget).await;
        let known = self.status.borrow().clone();
        self.publish(known.code.map(|code| (code, known.detail.as_str())));
    }

    /// Looks every 2 s until the printer is ready. Ends by that, or by being dropped.
    pub async fn cured(&self) -> PrinterStatus {
        loop {
            let status = self.status().await;
            if status.ready {
                return status;
            }
            sleep(self.limits.poll).await;
        }
    }

    fn publish(&self, trouble: Option<(Code, &str)>) {
        let (back_channel, remark, said, wear) = {
            let memory = self.memory();
            let back_channel = if memory.talks {
                Some(true)
            } else {
                memory.silent_until.map(|_| false)
            };
            let remark = memory.remark.clone().unwrap_or_default();
            (back_channel, remark, memory.warnings.clone(), memory.wear)
        };
        let warnings = std::iter::once(remark.clone())
            .filter(|remark| !remark.is_empty())
            .chain(said.into_iter().map(str::to_owned))
            .collect();
        let status = PrinterStatus {
            ready: trouble.is_none(),
            code: trouble.map(|(code, _)| code),
            detail: trouble.map_or(remark, |(_, detail)| detail.to_owned()),
            back_channel,
            warnings,
            wear,
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
        copies: 1,
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

/// A page in the language; ZPL above `most` bytes as `:Z64:` where that is smaller.
fn encode(language: Language, page: &Bitmap, options: Options, most: Option<usize>) -> Vec<u8> {
    let plain = language::encode(language, page, &options);
    match most {
        Some(most) if language == Language::Zpl && !options.z64 && plain.len() > most => {
            let packed = Options {
                z64: true,
                ..options
            };
            let packed = language::encode(language, page, &packed);
            if packed.len() < plain.len() {
                packed
            } else {
                plain
            }
        }
        _ => plain,
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
