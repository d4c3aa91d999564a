//! What the packer perceives: one signal, shown by every lamp, LED and buzzer there is.
//!
//! The table of product.md section 3 as data. Colours follow IEC 60073.

/// A state or event that the packer must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Ready for the next scan.
    Ready,
    /// A scan is durable.
    Accepted,
    /// Work has gone on for more than a second.
    Working,
    /// The label is out.
    Printed,
    /// Queued because the network is down.
    Queued,
    /// A press found nothing to do.
    NothingWaiting,
    /// An answer is needed.
    Question,
    /// A scan was refused or must be repeated.
    Refused,
    /// The printer needs a hand.
    PrinterNeedsHand,
    /// The station cannot work.
    Fault,
    /// Starting or updating.
    Starting,
}

impl Signal {
    /// The signal's word, for followers of events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Accepted => "accepted",
            Self::Working => "working",
            Self::Printed => "printed",
            Self::Queued => "queued",
            Self::NothingWaiting => "nothing-waiting",
            Self::Question => "question",
            Self::Refused => "refused",
            Self::PrinterNeedsHand => "printer-needs-hand",
            Self::Fault => "fault",
            Self::Starting => "starting",
        }
    }
}
