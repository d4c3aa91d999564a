//! Label documents: bytes to pages to 1-bit bitmaps at the head's dpi, in a limited worker process.
//!
//! The way of a document: [`document`] tells by content what it is and refuses what is damaged;
//! [`pdf`] and [`picture`] draw a page in gray at the head's dpi; [`place`] decides from the
//! content's box where it goes on the media (turn, shrink, crop rules, misfit); [`ink`] makes it
//! 1-bit; [`read_back`] decodes the barcodes of the final bitmap; [`raw`] lets printer languages
//! through untouched. [`render`] is that corridor in one synchronous function; [`worker`] runs it
//! in a process of its own, because every PDF engine hangs or eats gigabytes on some 1 kB file.
//!
//! Invariants: a page is never cut silently (`label-does-not-fit` instead); bars are never
//! dithered; nothing here knows printers, orders or networks.

mod document;
mod ink;
mod pdf;
mod picture;
mod place;
pub mod png;
mod raw;
mod read_back;
mod render;
mod settings;
mod ticket;
pub mod worker;

pub use raw::Language;
pub use read_back::{ReadBackResult, ReadCode};
pub use render::{Job, render_file};
pub use settings::{Crop, Limits, Media, PageSelect, Policy, ReadBack, Settings};
pub use ticket::{test_label, ticket};
pub use worker::{Request, Worker};

use crate::domain::{Bitmap, Code, PageRole};

/// Why a document cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct LabelError {
    /// `label-unreadable`, `label-does-not-fit`, `label-mismatch`, or `internal` when no worker
    /// process could be started.
    pub code: Code,
    /// What exactly, for the page and the log; never the document's text.
    pub detail: String,
}

impl LabelError {
    pub(crate) fn unreadable(detail: impl Into<String>) -> Self {
        Self {
            code: Code::LabelUnreadable,
            detail: detail.into(),
        }
    }

    pub(crate) fn misfit(detail: impl Into<String>) -> Self {
        Self {
            code: Code::LabelDoesNotFit,
            detail: detail.into(),
        }
    }
}

/// What goes to the printer for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageContent {
    /// Exactly the media's size in dots.
    Bitmap(Bitmap),
    /// A printer language from the courier, untouched.
    Raw {
        /// Which language; only a printer that speaks it may get the bytes.
        language: Language,
        /// One label's commands (or the whole document where it cannot be taken apart safely).
        bytes: Vec<u8>,
    },
    /// A document page that is larger than this media: render it again for a document printer.
    Elsewhere,
}

/// One page as it goes to paper.
#[derive(Clone, Debug, PartialEq)]
pub struct RenderedPage {
    /// Position among the document's printed pages, from 0. Stable for the same document and
    /// crop rules; a source page with two crop rules (2-up) counts as two.
    pub index: u16,
    /// Page of the source document it was drawn from, from 0.
    pub source: u16,
    /// Label, or a document (invoice, archive copy) that belongs on another printer.
    pub role: PageRole,
    /// What to print.
    pub content: PageContent,
    /// Barcodes read from the final bitmap.
    pub codes: Vec<ReadCode>,
    /// Whether one of them is a tracking number of the shipment.
    pub read_back: ReadBackResult,
    /// Size of the source page as shown (after `/Rotate`), millimetres; 0 when it does not say.
    pub width_mm: f64,
    /// See `width_mm`.
    pub height_mm: f64,
    /// Drawn at this part of its size; 1.0 = as the courier made it.
    pub scale: f64,
    /// Turned by 90° to fit.
    pub turned: bool,
    /// Sentences for the log and the page.
    pub warnings: Vec<String>,
    /// Microseconds spent drawing.
    pub render_us: u64,
    /// Microseconds spent decoding the final bitmap's barcodes.
    pub read_back_us: u64,
}

impl RenderedPage {
    /// The bitmap, when the page has one.
    pub fn bitmap(&self) -> Option<&Bitmap> {
        match &self.content {
            PageContent::Bitmap(bitmap) => Some(bitmap),
            PageContent::Raw { .. } | PageContent::Elsewhere => None,
        }
    }
}
