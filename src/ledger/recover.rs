//! Opening: what the last stop left, and what is true of it.
//!
//! An intact or merely torn journal holds every open record, so the station serves from it at once
//! and nothing else is asked. A damaged one may miss records: then index and archive are brought up
//! first and the highest sequence of all three counts for every key (never "the journal wins").

use crate::domain::{Act, AheadDay, Order, Record, Timestamp};
use crate::ledger::core::{Core, IndexState};
use crate::ledger::entry::{Entry, entry};
use crate::ledger::error::LedgerError;
use crate::ledger::frame::Header;
use crate::ledger::index::IndexError;
use crate::ledger::journal::{self, Condition, Journal};
use crate::ledger::keeper::{self, Keeper};
use crate::ledger::writer::{self, Writer};
use crate::ledger::{CLEAN, Ledger, SPOOL, Settings, ballast, quarantine};
use crate::system::durable;
use crate::system::lock::DirLock;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// After an orderly stop the index is there in tens of milliseconds: worth waiting for, so that the
/// first scan finds everything. Not a promise; a larger index comes up behind.
const WORTH_WAITING: Duration = Duration::from_millis(120);

/// What the station goes on with after a start.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Open orders.
    pub orders: Vec<Arc<Order>>,
    /// Acts under way.
    pub acts: Vec<Act>,
    /// PAUSE was given and RESUME not yet.
    pub paused: bool,
    /// When the last hand-over list was printed; zero: never.
    pub closed: Timestamp,
    /// Labels bought ahead on the newest day with any.
    pub ahead: AheadDay,
    /// Sequence of the bench's record; 0 when there is none.
    pub bench_seq: u64,
    /// Highest act ever heard of; new ones start above it.
    pub highest_act: u64,
    /// Where damaged parts were set aside, if that was found out before the start. What the check of
    /// the index finds later is told by [`Ledger::health`].
    pub quarantined: Option<PathBuf>,
    /// The last stop was an orderly one.
    pub clean: bool,
}

pub(crate) fn open(settings: Settings, now: Timestamp) -> Result<(Ledger, Recovered), LedgerError> {
    let directory = |error: io::Error| LedgerError::directory(&error);
    durable::create_dir_all(&settings.dir).map_err(directory)?;
    let lock = DirLock::take(&settings.dir)?;
    let core = Arc::new(Core::new(settings, now, lock));
    let clean = core
        .with_room(|| prepare_directories(&core))
        .map_err(directory)?;

    let path = core.path(writer::JOURNAL);
    let mut contents = journal::read(&path)?;
    let condition = match &contents {
        Some(contents) => contents.condition.clone(),
        None if has_a_past(&core).map_err(directory)? => {
            Condition::Damaged("there is no journal".to_owned())
        }
        // A new ledger.
        None => Condition::Torn,
    };
    let (header, mut next) = contents
        .as_ref()
        .map_or((Header::default(), 1), |c| (c.header, c.next()));
    let records = contents.as_mut().map(|c| std::mem::take(&mut c.records));
    adopt_journal(&core, records.unwrap_or_default(), &header);

    let mut keeper = Keeper::new(core.clone());
    if let Condition::Damaged(why) = &condition {
        tracing::error!(%why, "the journal is damaged");
        let aside = keep_evidence(&core).map_err(directory)?;
        unite(&core, &mut keeper, clean)?;
        core.state().quarantined.get_or_insert(aside);
        next = next.max(1);
    }
    let resumed = match (&contents, &condition) {
        (Some(contents), Condition::Intact) => {
            Some(Journal::resume(&path, contents).map_err(directory)?)
        }
        _ => None,
    };
    let journal = match resumed {
        Some(journal) => {
            let mut state = core.state();
            state.generation = header.generation;
            state.counters.journal_bytes = header.file_len();
            journal
        }
        None => writer::rewrite(&core, &header, next, 0).map_err(directory)?,
    };
    // Only now: a card that is full needed the room for the journal.
    if !core.state().disk_full
        && let Err(error) = ballast::make(&core.settings.dir, core.settings.ballast_bytes, false)
    {
        core.card_is_full(&error.to_string());
    }

    let recovered = recovered(&core, clean && condition == Condition::Intact);
    let ledger = start(&core, journal, keeper, clean)?;
    if clean {
        core.wait_until(WORTH_WAITING, |s| {
            !matches!(s.index, IndexState::Opening) || s.stumbled.is_some()
        });
    }
    Ok((ledger, recovered))
}

/// Makes the directories and takes the mark of an orderly stop away. Returns whether it was there.
fn prepare_directories(core: &Core) -> io::Result<bool> {
    durable::remove_unfinished(&core.settings.dir)?;
    for name in [keeper::ARCHIVE, SPOOL] {
        durable::create_dir_all(&core.path(name))?;
    }
    let mark = core.path(CLEAN);
    let clean = mark.exists();
    durable::remove(&mark)?;
    Ok(clean)
}

/// Something was remembered here before.
fn has_a_past(core: &Core) -> io::Result<bool> {
    Ok(core.path(keeper::INDEX).exists()
        || !crate::ledger::archive::files(&core.path(keeper::ARCHIVE))?.is_empty())
}

fn adopt_journal(core: &Core, records: Vec<(Record, Arc<[u8]>)>, header: &Header) {
    let mut state = core.state();
    state.checkpoint = header.checkpoint;
    state.highest_act = header.highest_act;
    for (record, payload) in records {
        let key = record.key();
        let known = state.live.get(&key).map_or(0, |e| e.record.seq());
        if !state.live.contains_key(&key) || record.seq() >= known {
            let entry = Entry::new(Arc::new(record), payload);
            state.adopt(key, entry);
        }
    }
}

/// Keeps a damaged journal for whoever wants to know why.
fn keep_evidence(core: &Core) -> io::Result<PathBuf> {
    let aside = quarantine::quarantine_name(core);
    core.with_room(|| durable::create_dir_all(&aside))?;
    let journal = core.path(writer::JOURNAL);
    if journal.exists() {
        std::fs::hard_link(&journal, aside.join(writer::JOURNAL))?;
        durable::sync_dir(&aside)?;
    }
    quarantine::keep_last_quarantines(core)?;
    Ok(aside)
}

/// Brings index and archive up and takes from them what the journal lost.
fn unite(core: &Arc<Core>, keeper: &mut Keeper, clean: bool) -> Result<(), LedgerError> {
    let up = keeper.bring_up(clean).and_then(|()| keeper.refill_all());
    let found = up.map(|()| {
        core.with_index(|index| {
            let mut found: Vec<Record> = index.others()?;
            let orders = index.open_orders()?;
            found.extend(orders.into_iter().map(|o| Record::Order(Arc::new(o))));
            let ids: Vec<_> = {
                let state = core.state();
                let live = state.live.values().filter_map(|e| e.order());
                live.map(|o| o.id.clone()).collect()
            };
            for id in ids {
                let known = index.get(&id)?;
                found.extend(known.map(|o| Record::Order(Arc::new(o))));
            }
            Ok((found, index.highest_act()?))
        })
    });
    let (found, highest_act) = match found {
        Ok(Some(found)) => found,
        // The journal's records are all there is; the index goes on trying.
        Ok(None) => return Ok(()),
        Err(IndexError::Fatal(why)) => return Err(LedgerError::Directory(why.into())),
        Err(IndexError::Full(why)) => {
            core.card_is_full(&why);
            return Ok(());
        }
        Err(IndexError::Broken(why)) => {
            tracing::error!(%why, "the index cannot help");
            return Ok(());
        }
    };
    let mut state = core.state();
    state.highest_act = state.highest_act.max(highest_act);
    for record in found {
        let (key, entry) = entry(record)?;
        let known = state.live.get(&key).map(|e| e.record.seq());
        if known.is_none_or(|known| entry.record.seq() > known) {
            state.adopt(key, entry);
        }
    }
    Ok(())
}

fn recovered(core: &Core, clean: bool) -> Recovered {
    let state = core.state();
    let mut all = Recovered {
        highest_act: state.highest_act,
        quarantined: state.quarantined.clone(),
        clean,
        ..Recovered::default()
    };
    for entry in state.live.values() {
        match &*entry.record {
            Record::Order(order) if entry.open => all.orders.push(Arc::clone(order)),
            Record::Act(act) => all.acts.push((**act).clone()),
            Record::Bench {
                paused,
                seq,
                closed,
                ahead,
            } => {
                all.paused = *paused;
                all.bench_seq = *seq;
                all.closed = *closed;
                all.ahead = ahead.clone();
            }
            Record::Order(_) | Record::ActEnded { .. } => {}
        }
    }
    all.acts.sort_by_key(|act| act.id);
    all
}

fn start(
    core: &Arc<Core>,
    journal: Journal,
    keeper: Keeper,
    trust: bool,
) -> Result<Ledger, LedgerError> {
    let mut threads = Vec::new();
    let writer = Writer::new(core.clone(), journal);
    type Job = Box<dyn FnOnce() + Send>;
    let jobs: [(&str, Job); 2] = [
        ("ledger-writer", Box::new(move || writer.run())),
        ("ledger-index", Box::new(move || keeper.run(trust))),
    ];
    for (name, job) in jobs {
        let watched = core.clone();
        let run = move || {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)).is_err() {
                watched.fail(&format!("{name} panicked"));
                let mut state = watched.state();
                state.writer_ended |= name == "ledger-writer";
                state.keeper_ended |= name == "ledger-index";
                drop(state);
                watched.wake_all();
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        threads.push(thread.map_err(|error| LedgerError::directory(&error))?);
    }
    Ok(Ledger::start(core.clone(), threads))
}
