//! The station's durable record: journal (the acknowledgement), sled index, spool of documents.
//!
//! ```text
//! <dir>/lock            one station at a time
//!       journal         every open record, and closed ones until a checkpoint has them; see `frame`
//!       index/          sled: every order, replaceable at any time; see `index`
//!       archive/        closed orders as text, one file a day; see `archive`
//!       spool/          label documents; see `spool`
//!       ballast         room kept aside; see `ballast`
//!       clean           was closed in order
//!       quarantine-*/   damaged index, damaged journal; the last two
//! ```
//!
//! Invariants: a commit resolves after its records are flushed to the journal, never before. A closed
//! order leaves the journal only after sled, flushed and fsynced, and an fsynced archive line have it.
//! What is true of a key is its record of highest sequence, wherever that is. An index that has gone
//! back in time, is damaged, panics or hangs costs time, not records.
//!
//! Non-goals: history of an order (only its newest record counts), more than one station per
//! directory, encryption (the directory is 0700).

mod archive;
mod backup;
mod ballast;
mod check;
mod commit;
mod core;
mod entry;
mod error;
mod frame;
mod index;
mod journal;
mod keeper;
mod layout;
mod look;
mod quarantine;
mod query;
mod recover;
mod spool;
mod sweep;
mod writer;

pub use backup::{Snapshot, plant, snapshot};
pub use check::{CHECK_LIMIT, DbCheck, db_check};
pub use commit::Commit;
pub use error::{DocumentError, LedgerError};
pub use look::{Look, look, newest, people};
pub use query::{Found, Query};
pub use recover::Recovered;
pub use sweep::Swept;
pub(crate) use writer::JOURNAL as JOURNAL_FILE;

use crate::domain::{Code, DocumentId, Order, OrderId, Record, Timestamp};
use crate::ledger::core::{Core, IndexState, Pending, Stop};
use crate::system::durable;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Name of the spool's directory.
const SPOOL: &str = "spool";
/// Name of the mark of an orderly stop.
const CLEAN: &str = "clean";
/// Most records of one commit.
const MAX_RECORDS: usize = 1_024;
/// How long closing waits for each of its steps.
const CLOSE_LIMIT: Duration = Duration::from_secs(15);

/// Where the ledger lives and how large it may get.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its own directory; created if missing.
    pub dir: PathBuf,
    /// How long closed orders are kept.
    pub keep: Duration,
    /// Most orders kept; closed ones beyond are forgotten, oldest first.
    pub max_orders: u64,
    /// Most bytes of open records; beyond it new acts are refused.
    pub max_open_bytes: u64,
    /// Bytes of frames the journal has room for (it grows when the open records need more). The file
    /// holds them twice.
    pub journal_bytes: u64,
    /// Bytes kept aside for a full card; 0 for none.
    pub ballast_bytes: u64,
    /// How sled's files are looked at after an unclean stop.
    pub check: DbCheck,
}

impl Settings {
    /// Defaults for a directory: 30 days, 100,000 orders, 16 MiB of open records (over 10,000 orders whose
    /// tracking numbers wait), 256 KiB of journal, 4 MiB of ballast.
    pub fn new(dir: impl Into<PathBuf>, check: DbCheck) -> Self {
        Self {
            dir: dir.into(),
            keep: Duration::from_secs(30 * 86_400),
            max_orders: 100_000,
            max_open_bytes: 16 << 20,
            journal_bytes: 256 << 10,
            ballast_bytes: 4 << 20,
            check,
        }
    }
}

/// Numbers for `status` and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Orders known, open and closed. While the index is not there: those in the journal.
    pub orders: u64,
    /// Orders that are still owed something.
    pub open: u64,
    /// Length of the journal file.
    pub journal_bytes: u64,
    /// Journal, index, and as of the last whole sweep spool and archive.
    pub bytes_on_disk: u64,
    /// Flushes asked of the card since the start.
    pub flushes: u64,
    /// Time the last group of commits took to become durable, microseconds.
    pub last_flush_us: u64,
    /// Bytes written to journal, archive and spool since the start (sled's own are not counted).
    pub bytes_written: u64,
}

/// The ledger. Clones are handles to the same one; when the last goes, its threads end.
///
/// Apart from [`Ledger::commit`] and [`Ledger::failed`] all methods block: microseconds to
/// milliseconds for look-ups, milliseconds to tens of them for what is flushed.
#[derive(Clone)]
pub struct Ledger(Arc<Handle>);

struct Handle {
    core: Arc<Core>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("dir", &self.0.core.settings.dir)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens or creates the ledger. Serves from the journal at once; the index comes up in the
    /// background unless the last stop was an orderly one. Takes long (up to [`CHECK_LIMIT`] and a
    /// refill) only when the journal itself is damaged: then the index must say what is missing.
    pub fn open(settings: Settings, now: Timestamp) -> Result<(Self, Recovered), LedgerError> {
        recover::open(settings, now)
    }

    fn start(core: Arc<Core>, threads: Vec<JoinHandle<()>>) -> Self {
        Self(Arc::new(Handle {
            core,
            threads: Mutex::new(threads),
        }))
    }

    /// Remembers records, all or none, in the order of the calls. Enqueued when called; the returned
    /// future (or [`Commit::wait_blocking`]) resolves when they are durable.
    ///
    /// [`LedgerError::QueueFull`] and [`LedgerError::DiskFull`] refuse only what opens something new.
    pub fn commit(&self, records: Vec<Record>) -> Commit {
        if records.len() > MAX_RECORDS {
            return Commit::resolved(Err(LedgerError::Unfit {
                what: format!("a commit of {} records", records.len()),
                why: "it has too many",
            }));
        }
        let mut entries = Vec::with_capacity(records.len());
        for record in records {
            match entry::entry(record) {
                Ok(entry) => entries.push(entry),
                Err(error) => return Commit::resolved(Err(error)),
            }
        }
        let core = &self.0.core;
        let mut state = core.state();
        if let Err(error) = state.admit(&entries, &core.settings) {
            return Commit::resolved(Err(error));
        }
        let (reply, commit) = commit::channel();
        state.queue.push_back(Pending { entries, reply });
        drop(state);
        core.work.notify_one();
        commit
    }

    /// Orders with exactly this alias (folded as in [`Order::aliases`]), newest first.
    pub fn find(&self, folded_alias: &str) -> Found {
        query::find(&self.0.core, folded_alias)
    }

    /// One order. `None` while the index is not complete may mean "not known yet":
    /// [`Ledger::is_complete`], asked afterwards, tells.
    pub fn get(&self, id: &OrderId) -> Option<Order> {
        query::get(&self.0.core, id)
    }

    /// The index holds everything: what is not found is not known. It may stop being so at any time,
    /// when a bad block is met, and is so again after a refill.
    pub fn is_complete(&self) -> bool {
        self.0.core.state().index == IndexState::Ready
    }

    /// Orders newest first. Looks at a bounded number of orders, so that a rare text may find less
    /// than there is.
    pub fn query(&self, query: &Query) -> Vec<Order> {
        query::query(&self.0.core, query)
    }

    /// Stores a document under its SHA-256, durably. Storing it again costs one read.
    pub fn store_document(&self, id: &DocumentId, bytes: &[u8]) -> Result<(), LedgerError> {
        let core = &self.0.core;
        let dir = core.path(SPOOL);
        let _storing = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
        let stored = match spool::store(&dir, id, bytes) {
            Err(spool::StoreError::Io(error)) if durable::is_full(&error) => {
                core.card_is_full(&error.to_string());
                spool::store(&dir, id, bytes)
            }
            other => other,
        };
        match stored {
            Ok(written) => {
                let mut state = core.state();
                state.counters.bytes_written += written;
                state.counters.files_bytes += written;
                state.counters.flushes += if written > 0 { 2 } else { 0 };
                Ok(())
            }
            Err(spool::StoreError::Unfit(error)) => Err(error),
            Err(spool::StoreError::Io(error)) if durable::is_full(&error) => {
                Err(LedgerError::DiskFull)
            }
            Err(spool::StoreError::Io(error)) => {
                let why = format!("a document cannot be written: {error}");
                core.fail(&why);
                Err(LedgerError::Fatal(why.into()))
            }
        }
    }

    /// A document's bytes, checked against their SHA-256. Damaged or missing: fetch it again.
    pub fn read_document(&self, id: &DocumentId) -> Result<Vec<u8>, DocumentError> {
        spool::read(&self.0.core.path(SPOOL), id)
    }

    /// Forgets what is older than `keep` or beyond `max_orders`: closed orders, their names,
    /// documents nobody refers to, archive days. Bounded work; makes the ballast again when the card
    /// has room. `now` must come from a clock that is trusted: it decides what is old.
    pub fn sweep(&self, now: Timestamp) -> Result<Swept, LedgerError> {
        sweep::sweep(&self.0.core, now)
    }

    /// Numbers for `status` and metrics.
    pub fn stats(&self) -> Stats {
        let core = &self.0.core;
        let index = core.with_index(|index| Ok((index.count()?, index.size())));
        let state = core.state();
        let open = state
            .live
            .values()
            .filter(|e| e.open && e.order().is_some())
            .count() as u64;
        let live = state.live.values().filter(|e| e.order().is_some()).count() as u64;
        let (orders, index_bytes) = index.unwrap_or((live, 0));
        Stats {
            orders: orders.max(live),
            open,
            journal_bytes: state.counters.journal_bytes,
            bytes_on_disk: state.counters.journal_bytes + index_bytes + state.counters.files_bytes,
            flushes: state.counters.flushes,
            last_flush_us: state.counters.last_flush_us,
            bytes_written: state.counters.bytes_written,
        }
    }

    /// What is wrong with it, in codes and words; empty when all is well.
    pub fn health(&self) -> Vec<(Code, String)> {
        let state = self.0.core.state();
        let mut all = Vec::new();
        if let Some(path) = &state.quarantined {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            all.push((Code::LedgerQuarantined, format!("set aside as {name}")));
        }
        if state.disk_full {
            all.push((Code::DiskFull, "the ballast was given up".to_owned()));
        }
        if let IndexState::Failed(why) = &state.index {
            all.push((Code::Internal, format!("the index is given up: {why}")));
        }
        if state.has_blobs {
            let why = "the index has blobs, which sled does not make durable";
            all.push((Code::Internal, why.to_owned()));
        }
        all
    }

    /// Resolves when the ledger has failed and the process must end; never otherwise.
    pub fn failed(&self) -> impl Future<Output = LedgerError> + Send + 'static {
        let mut failed = self.0.core.failed.subscribe();
        async move {
            let why = failed.wait_for(Option::is_some).await.ok();
            let why = why.and_then(|why| why.clone());
            match why {
                Some(why) => LedgerError::Fatal(why),
                // The ledger is gone without having failed.
                None => std::future::pending().await,
            }
        }
    }

    /// The failure, if there was one.
    pub fn failure(&self) -> Option<LedgerError> {
        self.0.core.state().fatal.clone().map(LedgerError::Fatal)
    }

    /// Waits until the index is complete and nothing is left to do in the background. Returns whether
    /// that was so within `limit`.
    pub fn settle(&self, limit: Duration) -> bool {
        self.0.core.wait_until(limit, core::State::is_settled)
    }

    /// Closes it in order: what is queued is written, a checkpoint made, sled flushed, and a mark left
    /// that lets the next start trust it. Blocks for tens of milliseconds to seconds. Without a mark
    /// (a failure, or an index that is not ready) nothing is lost: the next start looks closer.
    pub fn close(self) -> Result<(), LedgerError> {
        let core = &self.0.core;
        core.state().stop = Stop::Closing;
        core.wake_all();
        core.wait_until(CLOSE_LIMIT, |s| {
            s.fatal.is_some() || (s.queue.is_empty() && !s.writing)
        });
        let mut state = core.state();
        let in_order = state.index == IndexState::Ready && state.fatal.is_none();
        if in_order {
            state.checkpoint_wanted = true;
        }
        drop(state);
        if in_order {
            core.wake_all();
            core.wait_until(CLOSE_LIMIT, |s| {
                s.fatal.is_some() || s.index != IndexState::Ready || !s.checkpoint_wanted
            });
            core.state().compaction_wanted = true;
            core.wake_all();
            core.wait_until(CLOSE_LIMIT, |s| s.fatal.is_some() || !s.compaction_wanted);
        }
        let whole = {
            let state = core.state();
            state.index == IndexState::Ready
                && state.dirty.is_empty()
                && !state.checkpoint_wanted
                && !state.compaction_wanted
        };
        let ended = self.0.end();
        let state = core.state();
        if let Some(why) = &state.fatal {
            return Err(LedgerError::Fatal(why.clone()));
        }
        drop(state);
        if in_order && whole && ended {
            keeper::drop_index(core);
            if let Err(error) = keeper::seal(core) {
                tracing::warn!(%error, "the index is checked at the next start");
                return Ok(());
            }
            durable::replace(&core.path(CLEAN), b"")
                .map_err(|error| LedgerError::directory(&error))?;
        }
        Ok(())
    }
}

impl Handle {
    /// Ends both threads. Returns whether they did.
    fn end(&self) -> bool {
        self.core.state().stop = Stop::Now;
        self.core.wake_all();
        // A sled that hangs must not keep the process from ending.
        let ended = self
            .core
            .wait_until(CLOSE_LIMIT, |s| s.writer_ended && s.keeper_ended);
        if ended {
            let threads =
                std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the ledger panicked");
                }
            }
        }
        ended
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the journal's reader makes of a file's bytes: for tests with hostile ones.
#[doc(hidden)]
pub fn journal_of(bytes: &[u8]) -> Result<usize, LedgerError> {
    journal::understand(bytes, std::path::Path::new("journal")).map(|found| found.records.len())
}

/// A journal file with sound checksums around these numbers and payloads: for the same tests, which
/// would not come past a checksum by chance.
#[doc(hidden)]
pub fn journal_with(numbers: [u64; 4], frames: &[(u64, u16, u16, Vec<u8>)]) -> Vec<u8> {
    let [generation, checkpoint, capacity, first] = numbers;
    let header = frame::Header {
        version: frame::JOURNAL_VERSION,
        generation,
        checkpoint,
        capacity,
        first,
        ..frame::Header::default()
    };
    let mut bytes = header.encode().to_vec();
    for (sequence, index, of, payload) in frames {
        let place = frame::Place {
            index: *index,
            of: *of,
        };
        frame::encode(&mut bytes, generation, *sequence, place, payload);
    }
    bytes.extend(header.encode());
    bytes
}
