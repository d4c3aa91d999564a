//! How a scan ended, as the page, the API, the command line and the ticket say it.

use crate::domain::{Code, Proof, Way};
use serde::{Deserialize, Serialize};

/// The one word for how a scan ended (product.md section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Durable; the act goes on.
    Accepted,
    /// The label is out, as far as `proof` says.
    Printed,
    /// Durable; waits for the network.
    Queued,
    /// Not done; `code` says why, `next` the way forward.
    Refused,
    /// An answer is needed.
    Question,
    /// The same act again: nothing more happens.
    Ignored,
}

/// Stage timings in milliseconds; a stage that did not happen is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Finding the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<u64>,
    /// Is the held label still right? (P7)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recheck: Option<u64>,
    /// The courier's call, looks included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buy: Option<u64>,
    /// Document to printer bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub render: Option<u64>,
    /// First byte to proof, all pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<u64>,
    /// From the scan to the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The scan document of product.md section 7.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanReply {
    /// How it ended.
    pub outcome: Outcome,
    /// The order's number, once known.
    pub order: Option<String>,
    /// Why it was refused, or what is asked.
    pub code: Option<Code>,
    /// One or more whole sentences for a person.
    pub message: String,
    /// The way forward: what to scan, empty when nothing is to be done.
    pub next: String,
    /// Tracking numbers known so far.
    pub tracking: Vec<String>,
    /// How sure the station is that the label came out.
    pub proof: Option<Proof>,
    /// Where the time went.
    pub timings_ms: Timings,
    /// Orders to choose from when the scan was ambiguous.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// One of several orders that fit a scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Ledger id; `<prefix>ORDER-<id>` chooses it.
    pub id: String,
    /// Starshipit account.
    pub account: String,
}

impl ScanReply {
    /// A reply with no order yet.
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            order: None,
            code: None,
            message: message.into(),
            next: String::new(),
            tracking: Vec::new(),
            proof: None,
            timings_ms: Timings::default(),
            candidates: Vec::new(),
        }
    }

    /// A refusal (or question) in the words of the table; `detail` is the outside system's own reason.
    pub fn coded(outcome: Outcome, code: Code, prefix: &str, detail: Option<&str>) -> Self {
        let e = code.explain();
        let mut message = e.happened.to_owned();
        if let Some(detail) = detail.filter(|d| !d.is_empty()) {
            message.push_str(" (");
            message.push_str(detail);
            message.push(')');
        }
        for sentence in [e.station, e.you] {
            message.push(' ');
            message.push_str(sentence);
        }
        Self {
            code: Some(code),
            next: next_step(e.way, prefix),
            ..Self::new(outcome, message)
        }
    }
}

/// The way forward as text: barcodes to scan with the site's prefix, or whom to call.
pub fn next_step(way: Way, prefix: &str) -> String {
    match way {
        Way::Commands(names) => names
            .iter()
            .map(|name| format!("{prefix}{name}"))
            .collect::<Vec<_>>()
            .join(" or "),
        Way::SameOrder => "scan the same order again".to_owned(),
        Way::ByItself => "it goes on by itself".to_owned(),
        Way::Office(tell) => format!("none: call the office and tell them {tell}"),
    }
}

/// How a page's journey to the printer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrintOutcome {
    /// All bytes are out; `proof` says how sure we are.
    Printed {
        /// Grade of the evidence.
        proof: Proof,
    },
    /// No byte left the host: safe to try again.
    NotStarted {
        /// What is wrong with the printer.
        code: Code,
        /// For the log and the page.
        detail: String,
    },
    /// Some bytes left and the end is not known.
    InDoubt {
        /// Bytes that left the host, as far as known.
        bytes: u64,
        /// For the log and the page.
        detail: String,
    },
}
