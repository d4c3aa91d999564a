//! The thread that makes records durable: everything that waits goes out with one flush.
//!
//! Alone in writing the journal and in changing the live set. It never waits for the index: when the
//! journal is full before a checkpoint has come, closed records are carried along into the next file.

use crate::ledger::core::{Core, Pending, Stop};
use crate::ledger::entry::Entry;
use crate::ledger::error::LedgerError;
use crate::ledger::frame::Header;
use crate::ledger::journal::Journal;
use crate::system::durable;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// Name of the journal in the ledger's directory.
pub(crate) const JOURNAL: &str = "journal";
/// Most bytes of frames that go out with one flush.
const BATCH: u64 = 1 << 20;
/// A journal is tidied when nothing has come for this long: not between a scan and its label.
const QUIET: Duration = Duration::from_millis(300);

enum Job {
    Write(Vec<Pending>),
    Compact,
    End,
}

pub(crate) struct Writer {
    core: Arc<Core>,
    journal: Journal,
    /// Journal bytes at which the last checkpoint was asked for.
    asked_at: u64,
}

/// Writes the live set to a new journal file. Called by the writer, and before it exists at start.
pub(crate) fn rewrite(core: &Core, old: &Header, next: u64, room: u64) -> io::Result<Journal> {
    let (header, live) = {
        let state = core.state();
        let header = Header {
            generation: old.generation + 1,
            checkpoint: state.checkpoint.max(old.checkpoint),
            capacity: core.settings.journal_bytes,
            highest_act: state.highest_act.max(old.highest_act),
            ..Header::default()
        };
        let live: Vec<Arc<[u8]>> = state
            .live
            .values()
            .filter(|e| e.stays())
            .map(|e| e.payload.clone())
            .collect();
        (header, live)
    };
    let path = core.path(JOURNAL);
    let journal = core.with_room(|| Journal::create(&path, header, next, &live, room))?;
    let mut state = core.state();
    state.drop_settled();
    state.generation = header.generation;
    state.compaction_wanted = false;
    state.counters.journal_bytes = journal.header().file_len();
    state.counters.bytes_written += journal.header().file_len();
    state.counters.flushes += 2;
    Ok(journal)
}

impl Writer {
    pub fn new(core: Arc<Core>, journal: Journal) -> Self {
        Self {
            core,
            journal,
            asked_at: 0,
        }
    }

    /// Runs until told to end.
    pub fn run(mut self) {
        loop {
            let done = match self.next_job() {
                Job::Write(batch) => self.write(batch),
                Job::Compact => self.compact(0).map_err(|e| (e, Vec::new())),
                Job::End => break,
            };
            if let Err((error, batch)) = done {
                self.core
                    .fail(&format!("the journal cannot be written: {error}"));
                let why: Arc<str> = error.to_string().into();
                for pending in batch {
                    pending.reply.send(Err(LedgerError::Fatal(why.clone())));
                }
                break;
            }
            self.core.changed.notify_all();
        }
        let mut state = self.core.state();
        state.writer_ended = true;
        state.writing = false;
        // Whoever still waits is answered: dropping a reply says `Closed`.
        let left = std::mem::take(&mut state.queue);
        drop(state);
        drop(left);
        self.core.wake_all();
    }

    fn next_job(&self) -> Job {
        let mut state = self.core.state();
        state.writing = false;
        self.core.changed.notify_all();
        loop {
            if state.fatal.is_some() || state.stop == Stop::Now {
                return Job::End;
            }
            if !state.queue.is_empty() {
                let mut batch: Vec<Pending> = Vec::new();
                let mut bytes = 0;
                while let Some(next) = state.queue.front() {
                    let len: u64 = next.entries.iter().map(|(_, e)| e.framed_len()).sum();
                    if !batch.is_empty() && bytes + len > BATCH {
                        break;
                    }
                    bytes += len;
                    batch.extend(state.queue.pop_front());
                }
                state.writing = true;
                return Job::Write(batch);
            }
            if state.compaction_wanted {
                return Job::Compact;
            }
            let half = self.journal.header().capacity / 2;
            let used = self.journal.used();
            let untidy = used > half && used - state.staying_bytes().min(used) > half;
            // It grew for more work than there is now.
            let oversized = self.journal.header().capacity > self.core.settings.journal_bytes * 2
                && state.staying_bytes() < self.core.settings.journal_bytes / 2;
            let untidy = untidy || oversized;
            if !untidy {
                state = self
                    .core
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let (now, waited) = self
                .core
                .work
                .wait_timeout(state, QUIET)
                .unwrap_or_else(PoisonError::into_inner);
            state = now;
            if waited.timed_out() && state.queue.is_empty() && state.stop != Stop::Now {
                return Job::Compact;
            }
        }
    }

    fn compact(&mut self, room: u64) -> io::Result<()> {
        self.journal = rewrite(&self.core, self.journal.header(), self.journal.next(), room)?;
        self.asked_at = 0;
        Ok(())
    }

    fn write(&mut self, batch: Vec<Pending>) -> Result<(), (io::Error, Vec<Pending>)> {
        let bytes: u64 = batch
            .iter()
            .flat_map(|p| &p.entries)
            .map(|(_, e)| e.framed_len())
            .sum();
        let elapsed = crate::ledger::core::stopwatch();
        let written = match self.append(&batch, bytes) {
            Ok(written) => written,
            Err(error) => return Err((error, batch)),
        };
        let mut state = self.core.state();
        state.counters.flushes += 1;
        state.counters.last_flush_us = u64::try_from(elapsed().as_micros()).unwrap_or(u64::MAX);
        state.counters.bytes_written += written;
        let mut replies = Vec::with_capacity(batch.len());
        for pending in batch {
            for (key, entry) in pending.entries {
                state.settle_in(key, entry);
            }
            replies.push(pending.reply);
        }
        let (used, capacity) = (self.journal.used(), self.journal.header().capacity);
        if used > capacity / 2 && used > self.asked_at + capacity / 8 {
            self.asked_at = used;
            state.checkpoint_wanted = true;
        }
        drop(state);
        for reply in replies {
            reply.send(Ok(()));
        }
        self.core.upkeep.notify_all();
        Ok(())
    }

    fn append(&mut self, batch: &[Pending], bytes: u64) -> io::Result<u64> {
        if bytes > self.journal.room() {
            self.compact(bytes)?;
        }
        let payload = |(_, entry): &'_ (String, Entry)| -> Arc<[u8]> { entry.payload.clone() };
        let commits: Vec<Vec<Arc<[u8]>>> = batch
            .iter()
            .map(|p| p.entries.iter().map(payload).collect())
            .collect();
        let payloads = || commits.iter().map(|c| c.iter().map(|p| &**p).collect());
        match self.journal.append(payloads()) {
            // Only where file systems copy on write. What is on the card is unknown, so the whole
            // live set goes to a new file before anything is appended again.
            Err(error) if durable::is_full(&error) => {
                self.core.card_is_full(&error.to_string());
                self.compact(bytes)?;
                self.journal.append(payloads())
            }
            other => other,
        }
    }
}
