//! Printers: languages (what bytes), connections (how they travel), status (did it come out).
//!
//! `Printer` is one printer of the configuration: it takes a page, reports how the page's journey
//! ended and how sure that is, and says what the printer needs. It decides nothing about orders:
//! it never sends a page twice and never chooses another printer; that is the station's.
//!
//! Invariant: `NotStarted` means that no byte of the page left this host, so that it may be sent
//! again; everything less certain is `InDoubt`. The rule itself is pure and lives in `verdict`.

mod connection;
mod discover;
mod ipp;
mod job;
pub mod language;
mod settings;
mod status;
mod verdict;

pub use discover::{Discovered, Network, discover};
pub use job::{Job, PageBytes, PrintReport, Printer, PrinterStatus};
pub use settings::{
    AfterLabel, Connection, IppTarget, Language, Limits, Settings, SettingsError, UsbDevice,
};
pub use status::Wear;

/// Whether a printer's answer says something, in every protocol: for tests with hostile ones.
#[doc(hidden)]
pub fn hear(answer: &[u8]) -> usize {
    let all = [
        Language::Zpl,
        Language::Epl,
        Language::Tspl,
        Language::Escpos,
        Language::BrotherQl,
    ];
    all.into_iter()
        .filter_map(status::Protocol::of)
        .filter(|protocol| {
            let _ = protocol.is_complete(answer, true);
            let _ = protocol.is_settled(answer, 2);
            let _ = protocol.parse_why(answer);
            protocol.parse(answer).is_some()
        })
        .count()
}
