//! What can go wrong with remembering, by what the caller may do about it.

use crate::system::lock::LockError;
use sled::transaction::TransactionError;
use std::path::PathBuf;
use std::sync::Arc;

/// Why something was not remembered. Cheap to clone: one failure answers many waiting commits.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LedgerError {
    /// As much unfinished work as can be kept safely. Only new work is refused.
    #[error("the ledger holds as much unfinished work as it can keep safely")]
    QueueFull,
    /// The card is full. Only new work and documents are refused.
    #[error("the card is full")]
    DiskFull,
    /// A record or document that could never be read back: too long, a wrong name, a wrong hash.
    #[error("{what} cannot be kept: {why}")]
    Unfit {
        /// Which record or document.
        what: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An older or equal sequence for something that is already known: keeping it would lose it.
    #[error("{key} has sequence {known} already, {given} came")]
    Stale {
        /// [`crate::domain::Record::key`].
        key: String,
        /// Highest sequence known.
        known: u64,
        /// Sequence that came.
        given: u64,
    },
    /// A write or flush failed: nothing can be promised any more, the process must end.
    #[error("the ledger cannot promise anything any more: {0}")]
    Fatal(Arc<str>),
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// The journal was written by a newer release; opening it would lose what this one cannot read.
    #[error("{} was written by a newer release (format {found})", path.display())]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its format version.
        found: u16,
    },
    /// The state directory cannot be used.
    #[error("the state directory cannot be used: {0}")]
    Directory(Arc<str>),
}

impl From<LockError> for LedgerError {
    fn from(error: LockError) -> Self {
        Self::Directory(chain(&error).into())
    }
}

impl LedgerError {
    pub(crate) fn directory(error: &std::io::Error) -> Self {
        if crate::system::durable::is_full(error) {
            Self::DiskFull
        } else {
            Self::Directory(error.to_string().into())
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

/// Why a document is not there to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not in the spool.
    #[error("the document is not in the spool")]
    Missing,
    /// In the spool, but its bytes are not the ones its name promises.
    #[error("the document in the spool is damaged")]
    Damaged,
}

/// Why an index cannot be used.
#[derive(Debug)]
pub(crate) enum IndexError {
    /// The disk is full: nothing is wrong with the index.
    Full(String),
    /// Its files are damaged, or sled stumbled over them: quarantine and refill.
    Broken(String),
    /// A flush failed: what is on the card is unknown.
    Fatal(String),
}

impl std::fmt::Display for IndexError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(why) | Self::Broken(why) | Self::Fatal(why) => f.write_str(why),
        }
    }
}

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        match &error {
            sled::Error::Io(io) if is_full(io) => Self::Full(error.to_string()),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// sled wraps errors of its background threads as text, so the text is looked at as well.
fn is_full(error: &std::io::Error) -> bool {
    crate::system::durable::is_full(error) || error.to_string().contains("No space left")
}

pub(crate) fn index_io(error: &std::io::Error) -> IndexError {
    if is_full(error) {
        IndexError::Full(error.to_string())
    } else {
        IndexError::Fatal(error.to_string())
    }
}

impl From<TransactionError<String>> for IndexError {
    fn from(error: TransactionError<String>) -> Self {
        match error {
            TransactionError::Abort(why) => Self::Broken(why),
            TransactionError::Storage(error) => error.into(),
        }
    }
}

/// Turns a panic of sled on damaged files into an error. (A hang cannot be caught: the first look at
/// files of an unclean stop happens in a child process.)
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Err(IndexError::Broken(format!(
            "sled panicked: {}",
            why.unwrap_or_default()
        )))
    })
}
