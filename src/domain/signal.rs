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
