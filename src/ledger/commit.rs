//! The answer to a commit, for async callers and for blocking ones.

use crate::ledger::error::LedgerError;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct Slot {
    result: Option<Result<(), LedgerError>>,
    waker: Option<Waker>,
}

/// Resolves when the records are durable. Dropping it does not take the records back.
#[must_use = "nothing is durable until this has resolved"]
pub struct Commit(Arc<(Mutex<Slot>, Condvar)>);

/// The writer's end of a [`Commit`].
pub(crate) struct Reply(Arc<(Mutex<Slot>, Condvar)>);

pub(crate) fn channel() -> (Reply, Commit) {
    let shared = Arc::new((Mutex::new(Slot::default()), Condvar::new()));
    (Reply(shared.clone()), Commit(shared))
}

impl Commit {
    pub(crate) fn resolved(result: Result<(), LedgerError>) -> Self {
        let (reply, commit) = channel();
        reply.send(result);
        commit
    }

    /// Blocks until the records are durable: a flush, so milliseconds to tens of them on a card.
    /// Ends always: the writer answers every commit, also when it fails.
    pub fn wait_blocking(self) -> Result<(), LedgerError> {
        let (slot, ready) = &*self.0;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(result) = slot.result.clone() {
                return result;
            }
            slot = ready.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Future for Commit {
    type Output = Result<(), LedgerError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.result.clone() {
            Some(result) => Poll::Ready(result),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Reply {
    pub fn send(self, result: Result<(), LedgerError>) {
        self.settle(result);
    }

    fn settle(&self, result: Result<(), LedgerError>) {
        let (slot, ready) = &*self.0;
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.result.is_none() {
            slot.result = Some(result);
        }
        let waker = slot.waker.take();
        drop(slot);
        ready.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for Reply {
    /// A reply that is lost (a panic of the writer) must not leave its caller waiting.
    fn drop(&mut self) {
        self.settle(Err(LedgerError::Closed));
    }
}
