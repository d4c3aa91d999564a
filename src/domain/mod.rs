//! The trade's words: orders, shipments, labels, scans, commands, codes, time.
//!
//! Invariant: pure. No tokio, no files, no clock, no logging; time is a value that is passed in.
//! Everything that two rooms of the house must agree on is defined here, so that neither needs
//! the other.

pub mod bitmap;
pub mod code;
pub mod command;
pub mod ids;
pub mod load;
pub(crate) mod loose;
pub mod names;
pub mod order;
pub mod outcome;
pub mod push;
pub mod reading;
pub mod remote;
pub mod sale;
pub mod scan;
pub mod signal;
pub mod time;
pub mod writeback;

pub use bitmap::Bitmap;
pub use code::{Code, Explanation, Way};
pub use command::Command;
pub use ids::{AccountName, ActId, DocumentId, OrderId, PrinterName};
pub use load::Load;
pub use order::{
    Act, ActKind, AheadDay, Order, Page, PageRole, PageState, Proof, Record, Shipment, State,
};
pub use outcome::{Outcome, PrintOutcome, ScanReply, Timings};
pub use remote::{Bought, CallFailure, DocumentMeta, Parcel, RemoteOrder, RemoteStatus, System};
pub use sale::{Party, SaleLink, SaleOrder, Shippable, StatusAct};
pub use scan::{ScanText, Source};
pub use signal::Signal;
pub use time::{Moment, Mono, Timestamp};
pub use writeback::{Delivery, Require, Writeback, WritebackRule, WritebackState};
