//! Documents to pages to printers: what `Prepare`, `Send`, `CheckPrinter` and `Ticket` cost.
//!
//! A page is rendered once, before it is its turn; printing it again (REPRINT, a second printer,
//! after a restart) renders it again from the spool.

use super::clock::Clock;
use super::shelf::Shelf;
use crate::domain::{Code, DocumentId, DocumentMeta, PageRole, PrintOutcome, PrinterName};
use crate::label::{
    Media, PageContent, PageSelect, Policy, ReadBack, ReadBackResult, RenderedPage, Request, Worker,
};
use crate::ledger::{DocumentError, Ledger};
use crate::printer::language::{Options, escpos};
use crate::printer::{Job, Language, PageBytes, Printer};
use crate::station::{PageJob, PreparedPage};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Documents and drawn documents kept in memory: the label that prints next, not an archive.
const KEPT: usize = 8;

/// One printer with the paper in it.
pub(super) struct Head {
    pub printer: Printer,
    pub media: Media,
}

pub(super) struct Paper {
    worker: Worker,
    read_back: ReadBack,
    heads: BTreeMap<PrinterName, Arc<Head>>,
    clock: Clock,
    documents: Mutex<Kept<DocumentId, Arc<Vec<u8>>>>,
    drawn: Mutex<Kept<Drawn, Arc<Vec<RenderedPage>>>>,
    /// Those that wait for their scan.
    shelf: Shelf,
}

/// A document as drawn for one printer's paper.
type Drawn = (DocumentId, PrinterName);

impl Paper {
    pub(super) fn new(
        worker: Worker,
        read_back: ReadBack,
        heads: BTreeMap<PrinterName, Arc<Head>>,
        clock: Clock,
        shelf: Shelf,
    ) -> Self {
        Self {
            worker,
            read_back,
            heads,
            clock,
            documents: Mutex::new(Kept::default()),
            drawn: Mutex::new(Kept::default()),
            shelf,
        }
    }

    /// Keeps drawn documents ready for a scan that comes later.
    pub(super) async fn shelve(&self, documents: &[DocumentMeta], printer: &PrinterName) {
        let Some(media) = self.heads.get(printer).map(|head| head.media) else {
            return;
        };
        for document in documents {
            let key = (document.id.clone(), printer.clone());
            let Some(pages) = lock(&self.drawn).get(&key) else {
                continue;
            };
            let shelf = self.shelf.clone();
            let laid =
                tokio::task::spawn_blocking(move || shelf.put(&key.0, &key.1, media, &pages)).await;
            match laid {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "this label is drawn again at its scan");
                }
                Err(panic) => tracing::error!(error = %panic, "the shelf failed"),
            }
        }
    }

    /// A page is out: its document need not lie ready any more.
    fn unshelve(&self, job: &PageJob) {
        let Some(media) = self.heads.get(&job.printer).map(|head| head.media) else {
            return;
        };
        let (shelf, document) = (self.shelf.clone(), job.document.id.clone());
        let printer = job.printer.clone();
        // Nobody waits for it.
        drop(tokio::task::spawn_blocking(move || {
            shelf.take_away(&document, &printer, media);
        }));
    }

    /// A document's bytes are at hand.
    pub(super) fn has(&self, id: &DocumentId, bytes: Arc<Vec<u8>>) {
        lock(&self.documents).put(id.clone(), bytes);
    }

    /// Draws every page for the label printer and says what they are.
    pub(super) async fn prepare(
        &self,
        ledger: &Ledger,
        documents: &[DocumentMeta],
        courier: &str,
        tracking: &[String],
        printer: &PrinterName,
    ) -> Result<Vec<PreparedPage>, (Code, String)> {
        let mut prepared = Vec::new();
        for (n, document) in documents.iter().enumerate() {
            let pages = self
                .draw(ledger, document, courier, tracking, printer)
                .await?;
            for page in pages.iter() {
                for warning in &page.warnings {
                    tracing::warn!(document = %document.id, page = page.index, warning, "label");
                }
                if page.role == PageRole::Label && page.read_back == ReadBackResult::NotFound {
                    let read: Vec<&str> = page.codes.iter().map(|c| c.text.as_str()).collect();
                    if self.read_back.for_courier(courier) == Policy::Hold {
                        return Err((
                            Code::LabelMismatch,
                            format!("the label's barcodes are {}", read.join(", ")),
                        ));
                    }
                    tracing::warn!(document = %document.id, page = page.index, ?read,
                        "no barcode of the label is its tracking number");
                }
                prepared.push(PreparedPage {
                    document: u16::try_from(n).unwrap_or(u16::MAX),
                    index: page.index,
                    role: page.role,
                    label_type: document.label_type.clone(),
                    codes: page.codes.iter().map(|code| code.text.clone()).collect(),
                });
            }
        }
        Ok(prepared)
    }

    /// Prints one page and reports how it ended.
    pub(super) async fn send(&self, ledger: &Ledger, job: PageJob) -> PrintOutcome {
        let not_started = |code: Code, detail: String| PrintOutcome::NotStarted { code, detail };
        let Some(head) = self.heads.get(&job.printer) else {
            return not_started(
                Code::PrinterOffline,
                format!("no printer is named {}", job.printer),
            );
        };
        let pages = match self
            .draw(
                ledger,
                &job.document,
                &job.courier,
                &job.tracking,
                &job.printer,
            )
            .await
        {
            Ok(pages) => pages,
            Err((code, detail)) => return not_started(code, detail),
        };
        let Some(page) = pages.iter().find(|page| page.index == job.index) else {
            return not_started(
                Code::LabelUnreadable,
                format!("the document has no page {}", job.index),
            );
        };
        let content = match &page.content {
            PageContent::Bitmap(bitmap) => PageBytes::Picture(bitmap.clone()),
            PageContent::Raw { language, bytes } => match language.as_str().parse::<Language>() {
                Ok(language) => PageBytes::Raw {
                    language,
                    bytes: bytes.clone(),
                },
                Err(error) => return not_started(Code::LabelUnreadable, error.to_string()),
            },
            PageContent::Elsewhere => {
                return not_started(
                    Code::LabelDoesNotFit,
                    "this page is a document and larger than the paper here".to_owned(),
                );
            }
        };
        let report = head
            .printer
            .print(
                Job {
                    order: job.number.clone(),
                    page: job.n,
                    of: job.of,
                    at: self.clock.now().wall,
                    copies: head.printer.settings().copies,
                    content,
                },
                || {},
            )
            .await;
        tracing::info!(
            order = %job.number, printer = %job.printer, page = job.n, of = job.of,
            bytes = report.bytes, outcome = ?report.outcome,
            first_byte_us = report.first_byte.map(|d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
            total_ms = u64::try_from(report.total.as_millis()).unwrap_or(u64::MAX),
            "page"
        );
        if matches!(report.outcome, PrintOutcome::Printed { .. }) {
            self.unshelve(&job);
        }
        report.outcome
    }

    /// What is wrong with a printer now.
    pub(super) async fn trouble(&self, printer: &PrinterName) -> Option<Code> {
        let head = self.heads.get(printer)?;
        let status = head.printer.status().await;
        (!status.ready).then(|| status.code.unwrap_or(Code::PrinterOffline))
    }

    /// Asks every printer that counts how worn it is; what it warns of is logged once.
    pub(super) async fn check_up(&self) {
        for (name, head) in &self.heads {
            let before = head.printer.watch().borrow().warnings.clone();
            head.printer.check_up().await;
            let now = head.printer.watch().borrow().warnings.clone();
            for warning in now.iter().filter(|warning| !before.contains(warning)) {
                tracing::warn!(printer = %name, warning, "printer");
            }
        }
    }

    /// Now, for what is printed.
    pub(super) fn now(&self) -> crate::domain::Timestamp {
        self.clock.now().wall
    }

    /// Prints a few lines of text, and barcodes under them, as a notice: it is not repeated.
    pub(super) async fn ticket(
        &self,
        printer: &PrinterName,
        lines: &[String],
        codes: &[String],
    ) -> Result<(), Code> {
        let head = self.heads.get(printer).ok_or(Code::PrinterOffline)?;
        let content = match head.printer.identify().await {
            Ok(Language::Escpos) => PageBytes::Raw {
                language: Language::Escpos,
                bytes: escpos::ticket(lines, codes, &Options::from(head.printer.settings())),
            },
            _ => PageBytes::Picture(crate::label::ticket(lines, codes, head.media)),
        };
        self.notice(printer, head, content).await
    }

    /// Prints a label that shows what this printer can do.
    pub(super) async fn test_label(&self, printer: &PrinterName, code: &str) -> Result<(), Code> {
        let head = self.heads.get(printer).ok_or(Code::PrinterOffline)?;
        let picture = crate::label::test_label(printer.as_str(), code, head.media);
        self.notice(printer, head, PageBytes::Picture(picture))
            .await
    }

    async fn notice(
        &self,
        printer: &PrinterName,
        head: &Head,
        content: PageBytes,
    ) -> Result<(), Code> {
        let report = head
            .printer
            .print(
                Job {
                    order: "ticket".to_owned(),
                    page: 1,
                    of: 1,
                    at: self.clock.now().wall,
                    copies: 1,
                    content,
                },
                || {},
            )
            .await;
        match report.outcome {
            PrintOutcome::Printed { .. } => Ok(()),
            PrintOutcome::NotStarted { code, detail } => {
                tracing::debug!(printer = %printer, detail, "ticket not started");
                Err(code)
            }
            PrintOutcome::InDoubt { detail, .. } => {
                tracing::debug!(printer = %printer, detail, "ticket in doubt");
                Err(Code::PrinterInDoubt)
            }
        }
    }

    /// Every printer with its paper.
    pub(super) fn heads(&self) -> Vec<Arc<Head>> {
        self.heads.values().map(Arc::clone).collect()
    }

    /// The newest status of every printer, without asking it.
    pub(super) fn statuses(
        &self,
    ) -> impl Iterator<Item = (&PrinterName, crate::printer::PrinterStatus)> {
        self.heads
            .iter()
            .map(|(name, head)| (name, head.printer.watch().borrow().clone()))
    }

    /// The picture of a page, for the bench page.
    pub(super) async fn picture(
        &self,
        ledger: &Ledger,
        job: &PageJob,
    ) -> Result<Vec<u8>, (Code, String)> {
        let pages = self
            .draw(
                ledger,
                &job.document,
                &job.courier,
                &job.tracking,
                &job.printer,
            )
            .await?;
        let page = pages
            .iter()
            .find(|page| page.index == job.index)
            .and_then(RenderedPage::bitmap)
            .ok_or((Code::LabelMissing, "this page has no picture".to_owned()))?;
        let dpi = self.heads.get(&job.printer).map_or(203, |h| h.media.dpi);
        crate::label::png::to_png(page, dpi).map_err(|error| (error.code, error.detail))
    }

    async fn draw(
        &self,
        ledger: &Ledger,
        document: &DocumentMeta,
        courier: &str,
        tracking: &[String],
        printer: &PrinterName,
    ) -> Result<Arc<Vec<RenderedPage>>, (Code, String)> {
        let key = (document.id.clone(), printer.clone());
        if let Some(pages) = lock(&self.drawn).get(&key) {
            return Ok(pages);
        }
        let Some(head) = self.heads.get(printer) else {
            return Err((
                Code::PrinterOffline,
                format!("no printer is named {printer}"),
            ));
        };
        let (shelf, name, media) = (self.shelf.clone(), key.clone(), head.media);
        let lay = tokio::task::spawn_blocking(move || shelf.get(&name.0, &name.1, media)).await;
        if let Ok(Some(pages)) = lay {
            let pages = Arc::new(pages);
            lock(&self.drawn).put(key, Arc::clone(&pages));
            return Ok(pages);
        }
        let bytes = self.bytes(ledger, &document.id).await?;
        let pages = self
            .worker
            .render(Request {
                document: bytes.to_vec(),
                label_type: document.label_type.clone(),
                courier: courier.to_owned(),
                media: head.media,
                tracking: tracking.to_vec(),
                pages: PageSelect::All,
            })
            .await
            .map_err(|error| (error.code, error.detail))?;
        let pages = Arc::new(pages);
        lock(&self.drawn).put(key, Arc::clone(&pages));
        Ok(pages)
    }

    async fn bytes(
        &self,
        ledger: &Ledger,
        id: &DocumentId,
    ) -> Result<Arc<Vec<u8>>, (Code, String)> {
        if let Some(bytes) = lock(&self.documents).get(id) {
            return Ok(bytes);
        }
        let (ledger, name) = (ledger.clone(), id.clone());
        let read = tokio::task::spawn_blocking(move || ledger.read_document(&name)).await;
        match read {
            Ok(Ok(bytes)) => {
                let bytes = Arc::new(bytes);
                self.has(id, Arc::clone(&bytes));
                Ok(bytes)
            }
            // Missing or damaged: it is fetched again with `reprint`.
            Ok(Err(error @ (DocumentError::Missing | DocumentError::Damaged))) => {
                Err((Code::LabelMissing, error.to_string()))
            }
            Err(panic) => Err((Code::Internal, panic.to_string())),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last few things, oldest out first.
struct Kept<K, V> {
    items: HashMap<K, V>,
    order: std::collections::VecDeque<K>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self {
            items: HashMap::new(),
            order: std::collections::VecDeque::new(),
        }
    }
}

impl<K: std::hash::Hash + Eq + Clone, V: Clone> Kept<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.items.get(key).cloned()
    }

    fn put(&mut self, key: K, value: V) {
        if self.items.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > KEPT {
            if let Some(oldest) = self.order.pop_front() {
                self.items.remove(&oldest);
            }
        }
    }
}
