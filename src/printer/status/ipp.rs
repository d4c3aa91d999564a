//! IPP: `printer-state` with its reasons, and how a job went.
//!
//! Format: RFC 8011 section 5.4.11/12 (printer), 5.3.7/8 (job); reasons end in `-error`, `-warning`
//! or `-report`, or in nothing. A CUPS queue's "completed" means that its own part is done: a
//! printer that reset the connection after a third of a label was reported completed.

use super::Seen;
use crate::domain::Code;
use crate::printer::ipp::wire::Reply;

/// What is asked of a printer before a page.
pub(in crate::printer) const PRINTER: [&str; 6] = [
    "printer-state",
    "printer-state-reasons",
    "printer-is-accepting-jobs",
    "document-format-supported",
    "pwg-raster-document-type-supported",
    "cups-version",
];
/// What is asked of a job.
pub(in crate::printer) const JOB: [&str; 4] = [
    "job-state",
    "job-state-reasons",
    "job-impressions-completed",
    "job-media-sheets-completed",
];

const STOPPED: i32 = 5;

/// Words in reasons, worst first: what a person does first comes first.
const REASONS: [(&str, Code, &str); 14] = [
    ("cover-open", Code::PrinterCoverOpen, "the cover is open"),
    ("door-open", Code::PrinterCoverOpen, "a door is open"),
    ("interlock-open", Code::PrinterCoverOpen, "it is open"),
    ("media-jam", Code::PrinterCoverOpen, "paper is jammed"),
    ("cutter", Code::PrinterCoverOpen, "the cutter is stuck"),
    ("media-empty", Code::PrinterMediaOut, "out of paper"),
    (
        "media-needed",
        Code::PrinterMediaOut,
        "other paper is needed",
    ),
    (
        "input-tray-missing",
        Code::PrinterMediaOut,
        "the tray is missing",
    ),
    (
        "marker-supply-empty",
        Code::PrinterMediaOut,
        "out of ribbon or ink",
    ),
    ("toner-empty", Code::PrinterMediaOut, "out of toner"),
    ("paused", Code::PrinterPaused, "paused"),
    ("shutdown", Code::PrinterOffline, "shut down"),
    (
        "connecting-to-device",
        Code::PrinterOffline,
        "its queue finds no printer",
    ),
    (
        "timed-out",
        Code::PrinterOffline,
        "its queue finds no printer",
    ),
];

/// The printer's state; `None` when the answer does not say it.
pub(in crate::printer) fn printer(reply: &Reply) -> Option<Seen> {
    let state = reply.integer("printer-state")?;
    let is_stopped = state == STOPPED;
    // A reason without an ending means what it says; a report or a warning stops nothing.
    let reasons: Vec<&str> = reply
        .texts("printer-state-reasons")
        .filter(|reason| {
            is_stopped || !(reason.ends_with("-report") || reason.ends_with("-warning"))
        })
        .collect();
    if let Some(seen) = named(&reasons) {
        return Some(seen);
    }
    Some(if is_stopped {
        Seen::stopped(Code::PrinterPaused, "the printer is stopped")
    } else if reply.boolean("printer-is-accepting-jobs") == Some(false) {
        Seen::stopped(Code::PrinterPaused, "the printer takes no jobs")
    } else {
        Seen {
            busy: state == 4,
            ..Seen::default()
        }
    })
}

fn named(reasons: &[&str]) -> Option<Seen> {
    REASONS
        .iter()
        .find(|(word, _, _)| reasons.iter().any(|reason| reason.contains(word)))
        .map(|(_, code, detail)| Seen::stopped(*code, detail))
}

/// How a job goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::printer) enum Work {
    /// Not ended.
    Open,
    /// Ended well.
    Done {
        /// Sheets or sides that the printer itself counted.
        counted: i32,
    },
    /// It needs a hand, or was given up.
    Stuck(Seen),
}

/// A job's state; `None` when the answer does not say it.
pub(in crate::printer) fn job(reply: &Reply) -> Option<Work> {
    let reasons: Vec<&str> = reply.texts("job-state-reasons").collect();
    let counted = ["job-impressions-completed", "job-media-sheets-completed"]
        .into_iter()
        .filter_map(|name| reply.integer(name))
        .fold(0, i32::max);
    Some(match reply.integer("job-state")? {
        9 => Work::Done { counted },
        7 => Work::Stuck(Seen::stopped(Code::PrinterPaused, "the job was cancelled")),
        8 => Work::Stuck(
            named(&reasons)
                .unwrap_or_else(|| Seen::stopped(Code::PrinterPaused, "the job was given up")),
        ),
        6 => Work::Stuck(
            named(&reasons)
                .unwrap_or_else(|| Seen::stopped(Code::PrinterPaused, "the job is stopped")),
        ),
        _ => Work::Open,
    })
}
