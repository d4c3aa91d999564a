//! What the ledger's two threads and its callers share: the live set, the queue, the index, the flags.
//!
//! One mutex, held for moments only, never across I/O. `live` is what the journal holds and what is
//! acknowledged: only the writer puts records in or takes them out. The index has a lock of its own,
//! because sled may take its time; nobody waits for `index` while holding `state`.

use crate::domain::{Order, OrderId, Record, Timestamp};
use crate::ledger::commit::Reply;
use crate::ledger::entry::Entry;
use crate::ledger::error::LedgerError;
use crate::ledger::index::{Index, IndexError, caught};
use crate::ledger::{Settings, ballast};
use crate::system::durable;
use crate::system::lock::DirLock;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Measures time spent. Never decides what a record says: for statistics and deadlines.
pub(crate) fn stopwatch() -> impl Fn() -> Duration + Send + Sync + 'static {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures spans of real I/O; no decision about an order depends on it"
    )]
    let start = std::time::Instant::now();
    move || start.elapsed()
}

/// What was let in for a key, durable or still in the queue.
#[derive(Clone, Copy)]
struct Admitted {
    seq: u64,
    bytes: u64,
    open: bool,
}

/// A commit on its way to the journal.
pub(crate) struct Pending {
    pub entries: Vec<(String, Entry)>,
    pub reply: Reply,
}

/// Where the index stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IndexState {
    /// Being checked or opened.
    Opening,
    /// Usable, but not all of the archive is in it yet.
    Filling,
    /// Holds everything.
    Ready,
    /// Given up until the text's cause is gone.
    Failed(String),
}

/// How the threads are to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// No new commits; what is queued is still written.
    Closing,
    /// At once.
    Now,
}

/// Numbers for [`crate::ledger::Stats`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Counters {
    pub journal_bytes: u64,
    pub flushes: u64,
    pub last_flush_us: u64,
    pub bytes_written: u64,
    /// Spool and archive, as of the last full sweep plus what was added since.
    pub files_bytes: u64,
}

pub(crate) struct State {
    pub live: BTreeMap<String, Entry>,
    admitted: BTreeMap<String, Admitted>,
    open_bytes: u64,
    all_bytes: u64,
    pub queue: VecDeque<Pending>,
    /// The writer is between taking a batch and answering it.
    pub writing: bool,
    /// Keys whose newest record the index does not have yet.
    pub dirty: BTreeSet<String>,
    pub index: IndexState,
    /// Somebody stumbled over the index.
    pub stumbled: Option<IndexError>,
    /// Last checkpoint that is complete.
    pub checkpoint: u64,
    pub checkpoint_wanted: bool,
    pub compaction_wanted: bool,
    pub rebuild_wanted: bool,
    /// The keeper is at work on something that is in none of the flags.
    pub keeping: bool,
    pub stop: Stop,
    pub writer_ended: bool,
    pub keeper_ended: bool,
    pub fatal: Option<Arc<str>>,
    pub disk_full: bool,
    pub quarantined: Option<PathBuf>,
    pub has_blobs: bool,
    pub highest_act: u64,
    /// Generation of the journal.
    pub generation: u64,
    pub counters: Counters,
    pub sweep: crate::ledger::sweep::Cursor,
}

pub(crate) struct Core {
    pub settings: Settings,
    started: Timestamp,
    elapsed: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<State>,
    /// Wakes the writer.
    pub work: Condvar,
    /// Wakes the keeper.
    pub upkeep: Condvar,
    /// Wakes whoever waits for either of them.
    pub changed: Condvar,
    pub index: RwLock<Option<Index>>,
    /// A document is not removed while it is being stored.
    pub spool: Mutex<()>,
    pub failed: tokio::sync::watch::Sender<Option<Arc<str>>>,
    _lock: DirLock,
}

impl Core {
    pub fn new(settings: Settings, now: Timestamp, lock: DirLock) -> Self {
        Self {
            settings,
            started: now,
            elapsed: Box::new(stopwatch()),
            state: Mutex::new(State {
                live: BTreeMap::new(),
                admitted: BTreeMap::new(),
                open_bytes: 0,
                all_bytes: 0,
                queue: VecDeque::new(),
                writing: false,
                dirty: BTreeSet::new(),
                index: IndexState::Opening,
                stumbled: None,
                checkpoint: 0,
                checkpoint_wanted: false,
                compaction_wanted: false,
                rebuild_wanted: false,
                keeping: false,
                stop: Stop::No,
                writer_ended: false,
                keeper_ended: false,
                fatal: None,
                disk_full: false,
                quarantined: None,
                has_blobs: false,
                highest_act: 0,
                generation: 0,
                counters: Counters::default(),
                sweep: crate::ledger::sweep::Cursor::default(),
            }),
            work: Condvar::new(),
            upkeep: Condvar::new(),
            changed: Condvar::new(),
            index: RwLock::new(None),
            spool: Mutex::new(()),
            failed: tokio::sync::watch::channel(None).0,
            _lock: lock,
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it can leave it half changed: a poisoned lock is still a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wall time, as far as it was told when the ledger was opened.
    pub fn now(&self) -> Timestamp {
        self.started.plus((self.elapsed)())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.settings.dir.join(name)
    }

    /// Nothing can be promised any more: says so to everyone, for good.
    pub fn fail(&self, why: &str) {
        let why: Arc<str> = why.into();
        tracing::error!(%why, "the ledger has failed");
        let mut state = self.state();
        let why = state.fatal.get_or_insert(why).clone();
        let waiting = std::mem::take(&mut state.queue);
        drop(state);
        self.failed.send_replace(Some(why.clone()));
        for pending in waiting {
            pending.reply.send(Err(LedgerError::Fatal(why.clone())));
        }
        self.wake_all();
    }

    pub fn wake_all(&self) {
        self.work.notify_all();
        self.upkeep.notify_all();
        self.changed.notify_all();
    }

    /// Does something that needs room on the card: when it is full, gives up the ballast and tries
    /// once more.
    pub fn with_room<T>(&self, mut work: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
        match work() {
            Err(error) if durable::is_full(&error) => {
                self.card_is_full(&error.to_string());
                work()
            }
            other => other,
        }
    }

    /// Notes that the card is full and gives up the ballast.
    pub fn card_is_full(&self, why: &str) {
        let released = ballast::release(&self.settings.dir);
        tracing::error!(%why, ?released, "the card is full");
        self.state().disk_full = true;
    }

    /// Looks into the index; `None` when there is none that works.
    pub fn with_index<T>(&self, work: impl FnOnce(&Index) -> Result<T, IndexError>) -> Option<T> {
        let guard = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let index = guard.as_ref()?;
        match caught(|| work(index)) {
            Ok(value) => Some(value),
            Err(error) => {
                drop(guard);
                self.index_stumbled(error);
                None
            }
        }
    }

    pub fn index_stumbled(&self, error: IndexError) {
        tracing::warn!(%error, "the index does not work");
        let mut state = self.state();
        state.index = IndexState::Opening;
        state.stumbled.get_or_insert(error);
        drop(state);
        self.upkeep.notify_all();
    }

    /// Waits until `done` says so, for at most `limit`. Returns whether it did.
    pub fn wait_until(&self, limit: Duration, done: impl Fn(&State) -> bool) -> bool {
        let state = self.state();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| !done(state))
            .unwrap_or_else(PoisonError::into_inner);
        done(&state)
    }
}

impl State {
    /// Lets a commit in, or says why not. All or nothing.
    pub fn admit(
        &mut self,
        entries: &[(String, Entry)],
        settings: &Settings,
    ) -> Result<(), LedgerError> {
        if let Some(why) = &self.fatal {
            return Err(LedgerError::Fatal(why.clone()));
        }
        if self.stop != Stop::No {
            return Err(LedgerError::Closed);
        }
        let mut after: BTreeMap<&str, Admitted> = BTreeMap::new();
        let mut opens_act = false;
        let mut opens_order = false;
        let mut is_new = false;
        for (key, entry) in entries {
            let known = after.get(key.as_str()).or_else(|| self.admitted.get(key));
            let seq = entry.record.seq();
            if let Some(known) = known.filter(|known| known.seq >= seq) {
                return Err(LedgerError::Stale {
                    key: key.clone(),
                    known: known.seq,
                    given: seq,
                });
            }
            is_new |=
                known.is_none() && matches!(&*entry.record, Record::Act(_) | Record::Order(_));
            if entry.open && !known.is_some_and(|known| known.open) {
                match &*entry.record {
                    Record::Act(_) => opens_act = true,
                    Record::Order(_) => opens_order = true,
                    Record::ActEnded { .. } | Record::Bench { .. } => {}
                }
            }
            after.insert(
                key,
                Admitted {
                    seq,
                    bytes: entry.framed_len(),
                    open: entry.open,
                },
            );
        }
        let (mut open, mut all) = (self.open_bytes, self.all_bytes);
        for (key, new) in &after {
            let old = self.admitted.get(*key);
            all = all + new.bytes - old.map_or(0, |a| a.bytes);
            open -= old.filter(|a| a.open).map_or(0, |a| a.bytes);
            open += if new.open { new.bytes } else { 0 };
        }
        // An act that was let in must be able to open its order: orders have half as much again.
        let limit = settings.max_open_bytes;
        let for_orders = limit.saturating_add(limit / 2);
        if (opens_act && open > limit)
            || (opens_order && open > for_orders)
            // Closed work that no checkpoint takes away (an index that is slow, or will not come up).
            || (is_new && all > limit.saturating_mul(4))
        {
            return Err(LedgerError::QueueFull);
        }
        if opens_act && self.disk_full {
            return Err(LedgerError::DiskFull);
        }
        self.open_bytes = open;
        self.all_bytes = all;
        for (key, new) in after {
            self.admitted.insert(key.to_owned(), new);
        }
        Ok(())
    }

    /// Puts a record that was found (not committed) into the live set.
    pub fn adopt(&mut self, key: String, entry: Entry) {
        let new = Admitted {
            seq: entry.record.seq(),
            bytes: entry.framed_len(),
            open: entry.open,
        };
        if let Some(old) = self.admitted.insert(key.clone(), new) {
            self.all_bytes -= old.bytes;
            self.open_bytes -= if old.open { old.bytes } else { 0 };
        }
        self.all_bytes += new.bytes;
        self.open_bytes += if new.open { new.bytes } else { 0 };
        self.hear_of(&entry.record);
        self.dirty.insert(key.clone());
        self.live.insert(key, entry);
    }

    /// Puts an acknowledged record into the live set.
    pub fn settle_in(&mut self, key: String, entry: Entry) {
        self.hear_of(&entry.record);
        self.dirty.insert(key.clone());
        self.live.insert(key, entry);
    }

    fn hear_of(&mut self, record: &Record) {
        if let Some(id) = act_of(record) {
            self.highest_act = self.highest_act.max(id.0);
        }
    }

    /// Takes closed records that a checkpoint has out of the live set.
    pub fn drop_settled(&mut self) {
        let gone: Vec<(String, u64)> = self
            .live
            .iter()
            .filter(|(_, entry)| !entry.stays())
            .map(|(key, entry)| (key.clone(), entry.record.seq()))
            .collect();
        for (key, seq) in gone {
            self.live.remove(&key);
            // A newer record of this key may be in the queue.
            if let Some(old) = self.admitted.get(&key).filter(|a| a.seq == seq) {
                self.all_bytes -= old.bytes;
                self.open_bytes -= if old.open { old.bytes } else { 0 };
                self.admitted.remove(&key);
            }
        }
    }

    /// Bytes of frames that a new journal would hold.
    pub fn staying_bytes(&self) -> u64 {
        self.live
            .values()
            .filter(|e| e.stays())
            .map(Entry::framed_len)
            .sum()
    }

    /// The live record of an order.
    pub fn order(&self, id: &OrderId) -> Option<&Order> {
        self.live.get(&format!("order/{id}"))?.order()
    }

    /// Nothing is left to do until somebody asks for something.
    pub fn is_settled(&self) -> bool {
        self.fatal.is_some()
            || (self.queue.is_empty()
                && !self.writing
                && !self.keeping
                && self.stumbled.is_none()
                && !self.compaction_wanted
                && match self.index {
                    IndexState::Ready => {
                        self.dirty.is_empty() && !self.checkpoint_wanted && !self.rebuild_wanted
                    }
                    IndexState::Failed(_) => true,
                    IndexState::Opening | IndexState::Filling => false,
                })
    }
}

/// The act a record is about.
fn act_of(record: &Record) -> Option<crate::domain::ActId> {
    match record {
        Record::Act(act) => Some(act.id),
        Record::ActEnded { id, .. } => Some(*id),
        Record::Order(_) | Record::Bench { .. } => None,
    }
}
