//! Writebacks: what is due, retry, give-up, conflicts; the contract that every sink fulfils.
//!
//! Jobs are durable in their orders ([`crate::domain::Order::writebacks`]); the station alone changes
//! them. This room decides when a job is tried (backoff with jitter, one system's outage does not
//! spin, an earlier sink before a fallback) and has the sinks do it.

use crate::domain::Delivery;
use crate::domain::writeback::Dispatch;
use std::future::Future;
use std::pin::Pin;

/// A delivery under way.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Delivery> + Send + 'a>>;

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
