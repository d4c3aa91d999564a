//! Writebacks: what is due, retry, give-up, conflicts; the contract that every sink fulfils.
//!
//! Jobs are durable in their orders ([`crate::domain::Order::writebacks`]); the station alone changes
//! them. This room decides when a job is tried ([`schedule`], pure: backoff with jitter, one system's
//! outage does not spin, nothing is dropped) and has the sinks do it ([`runner`]).
//!
//! Invariant: a job leaves this room only when an order's record says that it is not due any more.
//! What is in memory here can be lost at any time; the next start observes the orders again.

mod runner;
pub mod schedule;

pub use runner::{Ended, Orders, Outbox, Settings, start};
pub use schedule::{IsDue, Pace, Schedule};

use crate::domain::writeback::Dispatch;
use crate::domain::{Delivery, Timestamp};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A delivery under way.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Delivery> + Send + 'a>>;

/// Reads the wall clock, for sinks whose deliveries carry a time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A place that takes tracking numbers. Implementations read before they write, never overwrite
/// another number unless [`crate::domain::Writeback::overwrite`] says so, are safe to repeat after any
/// outcome, and end within their own deadlines.
pub trait Sink: Send + Sync {
    /// The name that jobs carry, e.g. `consignment` or `shopify:tea.myshopify.com`.
    fn name(&self) -> &str;
    /// The outside system behind it, shared by its sinks: an outage of one is an outage of all.
    fn system(&self) -> &str;
    /// Tries once.
    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> Delivering<'a>;
}

/// Label documents for sinks that attach them; `None` = not at hand any more.
pub trait Documents: Send + Sync {
    /// The bytes of one document.
    fn read<'a>(
        &'a self,
        id: &'a crate::domain::DocumentId,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>>;
}
