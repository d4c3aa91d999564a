//! The thread that keeps the index: brings it up, feeds it, checkpoints, refills, rebuilds.
//!
//! No acknowledgement waits for it. Whatever happens to sled here (damage, panic, full card) ends in
//! one of three ways: go on, set the files aside and refill from journal and archive, or, when a
//! flush failed, end the process.
//!
//! Over 500 lines because its states are one machine: opening, checking, setting aside, refilling.

use crate::domain::Record;
use crate::ledger::archive;
use crate::ledger::core::{Core, IndexState, Stop};
use crate::ledger::error::index_io;
use crate::ledger::index::{Index, IndexError, caught};
use crate::ledger::quarantine::{remove_dir, set_aside};
use crate::system::durable;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Name of sled's directory.
pub(crate) const INDEX: &str = "index";
const INDEX_NEW: &str = "index.new";
const INDEX_OLD: &str = "index.old";
/// Name of the archive's directory.
pub(crate) const ARCHIVE: &str = "archive";
/// Records applied, or lines refilled, before anything else gets its turn.
const STEP: usize = 128;
/// How long after a failure that room on the card may cure it is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

enum Job {
    Apply(Vec<(String, Arc<Record>)>),
    Recover(IndexError),
    Refill,
    Checkpoint(Vec<(String, Arc<Record>, bool)>),
    Rebuild,
    Retry,
    End,
}

pub(crate) struct Keeper {
    core: Arc<Core>,
    refill: Option<archive::Reader>,
    /// Times in a row that the index did not work.
    failures: u32,
}

impl Keeper {
    pub fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            refill: None,
            failures: 0,
        }
    }

    /// Runs until told to end. `trust`: sled was closed in order, so it opens without a check.
    pub fn run(mut self, trust: bool) {
        if self
            .core
            .index
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
        {
            let up = self.bring_up(trust);
            self.outcome(up);
        }
        loop {
            let job = self.next_job();
            let done = match job {
                Job::End => break,
                Job::Apply(records) => self.apply(&records),
                Job::Recover(IndexError::Broken(why)) => self.start_over(&why),
                Job::Recover(IndexError::Fatal(why)) => Err(IndexError::Fatal(why)),
                Job::Recover(IndexError::Full(why)) => {
                    self.core.card_is_full(&why);
                    self.reopen()
                }
                Job::Refill => self.refill(STEP).map(drop),
                Job::Checkpoint(closed) => self.checkpoint(&closed),
                Job::Rebuild => self.rebuild(),
                Job::Retry => self.reopen(),
            };
            self.outcome(done);
        }
        self.core.state().keeper_ended = true;
        self.core.wake_all();
    }

    fn next_job(&self) -> Job {
        let mut state = self.core.state();
        state.keeping = false;
        self.core.changed.notify_all();
        loop {
            if state.stop == Stop::Now || state.fatal.is_some() {
                return Job::End;
            }
            let mut job = None;
            if let Some(error) = state.stumbled.take() {
                job = Some(Job::Recover(error));
            } else if matches!(state.index, IndexState::Filling | IndexState::Ready) {
                if !state.dirty.is_empty() {
                    let mut records = Vec::new();
                    while let Some(key) = state.dirty.pop_first() {
                        if let Some(entry) = state.live.get(&key) {
                            records.push((key, entry.record.clone()));
                        }
                        if records.len() >= STEP {
                            break;
                        }
                    }
                    job = Some(Job::Apply(records));
                } else if state.checkpoint_wanted {
                    let closed = state
                        .live
                        .iter()
                        .filter(|(_, e)| !e.open && !e.settled)
                        .map(|(key, e)| (key.clone(), e.record.clone(), e.archived))
                        .collect();
                    job = Some(Job::Checkpoint(closed));
                } else if self.refill.is_some() {
                    job = Some(Job::Refill);
                } else if state.rebuild_wanted {
                    job = Some(Job::Rebuild);
                }
            }
            if let Some(job) = job {
                state.keeping = true;
                return job;
            }
            let (now, waited) = self
                .core
                .upkeep
                .wait_timeout(state, PATIENCE)
                .unwrap_or_else(PoisonError::into_inner);
            state = now;
            if waited.timed_out() && matches!(state.index, IndexState::Failed(_)) {
                state.keeping = true;
                return Job::Retry;
            }
        }
    }

    /// One place decides what a failure of the index means.
    fn outcome(&mut self, done: Result<(), IndexError>) {
        let Err(error) = done else {
            return;
        };
        match error {
            IndexError::Fatal(why) => self.core.fail(&format!("the index: {why}")),
            IndexError::Full(why) => {
                self.core.card_is_full(&why);
                self.stumble(IndexError::Full(why));
            }
            IndexError::Broken(why) => self.stumble(IndexError::Broken(why)),
        }
    }

    fn stumble(&mut self, error: IndexError) {
        self.failures += 1;
        if self.failures > 3 {
            // The journal carries on alone; work that it cannot hold is refused.
            tracing::error!(%error, "the index is given up for now");
            drop_index(&self.core);
            self.failures = 0;
            self.core.state().index = IndexState::Failed(error.to_string());
        } else {
            self.core.index_stumbled(error);
        }
    }

    /// Opens the index; with damage, sets it aside and starts an empty one. Leaves it in the core.
    pub fn bring_up(&mut self, trust: bool) -> Result<(), IndexError> {
        let dir = self.core.path(INDEX);
        self.finish_rebuild(&dir).map_err(|e| index_io(&e))?;
        let there = dir.join("db").exists();
        if there && !trust {
            let stopped = || self.core.state().stop == Stop::Now;
            let looked = self.core.settings.check.run(&dir, stopped);
            if stopped() {
                return Ok(());
            }
            if let Err(why) = looked {
                return self.start_over(&why);
            }
        }
        match caught(|| Index::open(&dir)) {
            Ok(index) => self.install(index),
            Err(IndexError::Broken(why)) => self.start_over(&why),
            Err(other) => Err(other),
        }
    }

    /// Opens the index again whose files nothing is wrong with.
    fn reopen(&mut self) -> Result<(), IndexError> {
        drop_index(&self.core);
        match caught(|| Index::open(&self.core.path(INDEX))) {
            Ok(index) => self.install(index),
            Err(IndexError::Broken(why)) => self.start_over(&why),
            Err(other) => Err(other),
        }
    }

    fn install(&mut self, index: Index) -> Result<(), IndexError> {
        let journals = self.core.state().checkpoint;
        let (reached, complete) = caught(|| Ok((index.checkpoint()?, index.is_complete()?)))?;
        // sled ends its recovery at a bad byte and silently goes back in time: the checkpoint's
        // number tells.
        if reached < journals {
            drop_apart(index);
            return self.start_over(&format!(
                "it went back in time: checkpoint {reached} instead of {journals}"
            ));
        }
        self.core.state().checkpoint = reached;
        self.put_in_place(index, complete)
    }

    fn put_in_place(&mut self, index: Index, complete: bool) -> Result<(), IndexError> {
        self.refill = None;
        if !complete {
            let archive = self.core.path(ARCHIVE);
            self.refill = Some(archive::Reader::new(&archive).map_err(|e| index_io(&e))?);
        }
        let blobs = index.has_blobs();
        *self
            .core
            .index
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(index);
        let mut state = self.core.state();
        state.dirty = state.live.keys().cloned().collect();
        state.has_blobs = blobs;
        state.index = if complete {
            IndexState::Ready
        } else {
            IndexState::Filling
        };
        drop(state);
        if !complete
            && !self
                .core
                .path(ARCHIVE)
                .read_dir()
                .is_ok_and(|mut d| d.next().is_some())
        {
            // A new ledger: nothing to refill from.
            self.refill(STEP)?;
        }
        self.core.changed.notify_all();
        Ok(())
    }

    /// Sets the index aside and starts an empty one, to be refilled.
    fn start_over(&mut self, why: &str) -> Result<(), IndexError> {
        let core = self.core.clone();
        drop_index(&core);
        let dir = core.path(INDEX);
        if dir.exists() {
            let aside = set_aside(&core, &dir).map_err(|e| index_io(&e))?;
            tracing::error!(%why, aside = %aside.display(), "the index was set aside");
            core.state().quarantined = Some(aside);
        }
        let index = caught(|| {
            let index = Index::open(&dir)?;
            index.set_checkpoint(core.state().checkpoint)?;
            index.flush()?;
            Ok(index)
        })?;
        self.put_in_place(index, false)
    }

    fn apply(&mut self, records: &[(String, Arc<Record>)]) -> Result<(), IndexError> {
        let applied = self.with_index(|index| {
            for (_, record) in records {
                index.put(record)?;
            }
            Ok(index.has_blobs())
        });
        match applied {
            Ok(blobs) => {
                self.failures = 0;
                self.core.state().has_blobs |= blobs;
                Ok(())
            }
            Err(error) => {
                let keys = records.iter().map(|(key, _)| key.clone());
                self.core.state().dirty.extend(keys);
                Err(error)
            }
        }
    }

    fn with_index<T>(
        &self,
        work: impl FnOnce(&Index) -> Result<T, IndexError>,
    ) -> Result<T, IndexError> {
        let guard = self
            .core
            .index
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let index = guard
            .as_ref()
            .ok_or_else(|| IndexError::Broken("it is not open".to_owned()))?;
        caught(|| work(index))
    }

    /// Refills a piece. Returns whether that was the last.
    fn refill(&mut self, step: usize) -> Result<bool, IndexError> {
        let Some(reader) = &mut self.refill else {
            return Ok(true);
        };
        let orders = reader.next(step).map_err(|e| index_io(&e))?;
        let (last, damaged) = (orders.is_empty(), reader.damaged);
        self.with_index(|index| {
            for order in orders {
                index.put(&Record::Order(Arc::new(order)))?;
            }
            if last {
                index.set_complete()?;
                index.flush()?;
            }
            Ok(())
        })?;
        if last {
            if damaged > 0 {
                tracing::warn!(damaged, "lines of the archive could not be read");
            }
            self.refill = None;
            let mut state = self.core.state();
            if state.index == IndexState::Filling {
                state.index = IndexState::Ready;
            }
        }
        Ok(last)
    }

    /// Refills everything at once: for a start that cannot wait.
    pub fn refill_all(&mut self) -> Result<(), IndexError> {
        while !self.refill(STEP)? {}
        Ok(())
    }

    /// Makes closed records safe outside the journal (contract 10): archive line, sled, flush, fsync.
    fn checkpoint(&mut self, closed: &[(String, Arc<Record>, bool)]) -> Result<(), IndexError> {
        let orders = || {
            closed
                .iter()
                .filter_map(|(_, record, archived)| match &**record {
                    Record::Order(order) if !archived => Some(&**order),
                    _ => None,
                })
        };
        let dir = self.core.path(ARCHIVE);
        let written = self
            .core
            .with_room(|| archive::append(&dir, orders()))
            .map_err(|e| index_io(&e))?;
        let number = {
            let mut state = self.core.state();
            state.counters.bytes_written += written;
            state.counters.files_bytes += written;
            for (key, record, _) in closed {
                if let Some(entry) = state.live.get_mut(key)
                    && entry.record.seq() == record.seq()
                {
                    entry.archived = true;
                }
            }
            state.checkpoint + 1
        };
        self.with_index(|index| {
            index.set_checkpoint(number)?;
            index.flush()
        })?;
        let mut state = self.core.state();
        state.checkpoint = number;
        state.checkpoint_wanted = false;
        state.counters.flushes += 2;
        for (key, record, _) in closed {
            if let Some(entry) = state.live.get_mut(key)
                && entry.record.seq() == record.seq()
            {
                entry.settled = true;
            }
        }
        drop(state);
        self.core.work.notify_all();
        Ok(())
    }

    /// Copies the index into a new one, so that bytes of forgotten orders leave the card: a log
    /// structured store keeps them for as long as it likes.
    fn rebuild(&mut self) -> Result<(), IndexError> {
        let (dir, new) = (self.core.path(INDEX), self.core.path(INDEX_NEW));
        remove_dir(&new).map_err(|e| index_io(&e))?;
        let copy = caught(|| Index::open(&new))?;
        // Nobody else writes to the old one: records wait in `dirty`, `sweep` waits for its turn.
        self.with_index(|index| {
            for (n, order) in index.oldest(None).enumerate() {
                copy.put(&Record::Order(Arc::new(order?)))?;
                if n % STEP == 0 && self.core.state().stop == Stop::Now {
                    return Ok(());
                }
            }
            for record in index.others()? {
                copy.put(&record)?;
            }
            copy.set_checkpoint(index.checkpoint()?)?;
            copy.set_highest_act(index.highest_act()?)?;
            copy.set_complete()?;
            copy.flush()
        })?;
        if self.core.state().stop == Stop::Now {
            return Ok(());
        }
        drop_apart(copy);
        drop_index(&self.core);
        let swap = || {
            durable::rename(&dir, &self.core.path(INDEX_OLD))?;
            durable::rename(&new, &dir)?;
            remove_dir(&self.core.path(INDEX_OLD))
        };
        swap().map_err(|e| index_io(&e))?;
        let index = caught(|| Index::open(&dir))?;
        let mut state = self.core.state();
        state.rebuild_wanted = false;
        // What the journal still holds of forgotten orders goes as well.
        state.compaction_wanted = true;
        drop(state);
        self.install(index)?;
        self.core.work.notify_all();
        Ok(())
    }

    /// Ends a rebuild that a cut interrupted: either whole index is good, half a copy is not.
    fn finish_rebuild(&self, dir: &Path) -> std::io::Result<()> {
        let old = self.core.path(INDEX_OLD);
        if old.exists() && !dir.exists() {
            durable::rename(&old, dir)?;
        }
        remove_dir(&old)?;
        remove_dir(&self.core.path(INDEX_NEW))
    }
}

/// Takes the index out of use and closes it.
pub(crate) fn drop_index(core: &Core) {
    let index = core
        .index
        .write()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(index) = index {
        drop_apart(index);
    }
}

/// Opens and closes the index once more. Only in opening does sled write a snapshot, and only what a
/// snapshot covers is never lost without an error when a block goes bad (measured: five of 400 damaged
/// indexes, closed without this, had silently lost a page).
pub(crate) fn seal(core: &Core) -> Result<(), IndexError> {
    let dir = core.path(INDEX);
    drop_apart(caught(|| Index::open(&dir))?);
    let flushed = std::fs::File::open(dir.join("db")).and_then(|file| file.sync_all());
    flushed
        .and_then(|()| durable::sync_dir(&dir))
        .map_err(|error| index_io(&error))
}

/// Closes a sled that may panic or hang in doing so: in a thread of its own, for a limited time.
fn drop_apart(index: Index) {
    let (done, ended) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let closed = caught(|| {
            drop(index);
            Ok(())
        });
        // Nobody waits any more when this fails.
        let _ = done.send(closed);
    });
    match ended.recv_timeout(Duration::from_secs(5)) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the index did not close in order"),
        Err(_) => tracing::warn!("the index does not close"),
    }
}
