//! What another box needs to go on: open records and their documents, taken beside a running station
//! and planted into an empty directory.
//!
//! Taking reads the journal like a start does and changes nothing. What is planted is older than
//! the world: a label that was not out yet may have come out since, on the box that is gone. So
//! nothing planted prints by itself or at a first scan without asking (P1, P4): see [`with_doubt`].

use crate::domain::order::{PageState, Standing};
use crate::domain::{DocumentId, Order, Record, Timestamp};
use crate::ledger::error::LedgerError;
use crate::ledger::journal::{self, Condition};
use crate::ledger::writer::JOURNAL;
use crate::ledger::{DbCheck, Ledger, MAX_RECORDS, SPOOL, Settings, spool};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of documents that go along; more can be fetched from Starshipit again.
const MAX_DOCUMENTS: usize = 64 << 20;
/// Looks at a journal that is being replaced at the same moment.
const LOOKS: u32 = 5;
/// How long a fresh ledger may take to be whole.
const SETTLE: Duration = Duration::from_secs(30);

/// Open records and their documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Newest record of everything that is still owed something.
    pub records: Vec<Record>,
    /// Label documents of those orders.
    pub documents: Vec<(DocumentId, Vec<u8>)>,
    /// Documents that were too many, missing or damaged; they are fetched again when needed.
    pub left_out: Vec<DocumentId>,
}

impl Snapshot {
    /// Open orders in it.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.records.iter().filter_map(|record| match record {
            Record::Order(order) => Some(&**order),
            _ => None,
        })
    }
}

/// Reads what is open in `dir`, also while a station works there. Blocks on the file system.
///
/// # Errors
/// There is no journal, or it stays unreadable.
pub fn snapshot(dir: &Path) -> Result<Snapshot, LedgerError> {
    let records = open_records(&dir.join(JOURNAL))?;
    let mut snapshot = Snapshot {
        records,
        ..Snapshot::default()
    };
    let wanted: BTreeSet<DocumentId> = snapshot
        .orders()
        .flat_map(Order::live)
        .filter(|shipment| !shipment.is_printed())
        .flat_map(|shipment| {
            shipment
                .documents
                .iter()
                .map(|document| document.id.clone())
        })
        .collect();
    let mut room = MAX_DOCUMENTS;
    for id in wanted {
        match spool::read(&dir.join(SPOOL), &id) {
            Ok(bytes) if bytes.len() <= room => {
                room -= bytes.len();
                snapshot.documents.push((id, bytes));
            }
            _ => snapshot.left_out.push(id),
        }
    }
    Ok(snapshot)
}

fn open_records(path: &Path) -> Result<Vec<Record>, LedgerError> {
    let mut records = newest_records(path)?;
    records.retain(Record::is_open);
    Ok(records)
}

/// The newest record of every key in a journal that somebody may be writing at this moment.
pub(super) fn newest_records(path: &Path) -> Result<Vec<Record>, LedgerError> {
    let mut look = 1;
    let contents = loop {
        let contents = journal::read(path)?.ok_or_else(|| {
            LedgerError::Directory(format!("{}: there is no journal", path.display()).into())
        })?;
        match &contents.condition {
            // Torn: a frame is being written at this moment; it was not acknowledged yet.
            Condition::Intact | Condition::Torn => break contents,
            Condition::Damaged(why) if look == LOOKS => {
                return Err(LedgerError::Directory(
                    format!("{}: {why}", path.display()).into(),
                ));
            }
            Condition::Damaged(_) => look += 1,
        }
    };
    let mut newest: BTreeMap<String, Record> = BTreeMap::new();
    for (record, _) in contents.records {
        let key = record.key();
        if newest
            .get(&key)
            .is_none_or(|known| known.seq() < record.seq())
        {
            newest.insert(key, record);
        }
    }
    Ok(newest.into_values().collect())
}

/// Plants a snapshot into a directory without a ledger. Blocks for as long as writing takes.
///
/// # Errors
/// There is a ledger already, or it cannot be written.
pub fn plant(settings: Settings, snapshot: &Snapshot, now: Timestamp) -> Result<(), LedgerError> {
    let dir = settings.dir.clone();
    for name in [JOURNAL, SPOOL, crate::ledger::keeper::INDEX] {
        if dir.join(name).exists() {
            let why = format!("{} has a ledger already", dir.display());
            return Err(LedgerError::Directory(why.into()));
        }
    }
    let (ledger, _) = Ledger::open(
        Settings {
            check: DbCheck::InProcess,
            ..settings
        },
        now,
    )?;
    for (id, bytes) in &snapshot.documents {
        ledger.store_document(id, bytes)?;
    }
    let records: Vec<Record> = snapshot.records.iter().cloned().map(with_doubt).collect();
    for some in records.chunks(MAX_RECORDS) {
        ledger.commit(some.to_vec()).wait_blocking()?;
    }
    ledger.settle(SETTLE);
    ledger.close()
}

/// What a backup knows about a label is not what is true of it now.
fn with_doubt(record: Record) -> Record {
    let Record::Order(mut shared) = record else {
        return record;
    };
    let order = Arc::make_mut(&mut shared);
    order.seq += 1;
    // Not read into pages yet: forgotten. Starshipit then says that it was labelled elsewhere, which
    // is asked about and fetched with `reprint`, never bought again.
    order
        .shipments
        .retain(|shipment| shipment.superseded || !shipment.pages.is_empty());
    let live = order.shipments.iter_mut().filter(|s| !s.superseded);
    for page in live.flat_map(|s| &mut s.pages) {
        if matches!(page.state, PageState::Todo | PageState::Sending) {
            page.state = PageState::InDoubt;
        }
    }
    if matches!(
        order.standing,
        Standing::Released | Standing::WaitingPrinter(_)
    ) {
        order.standing = Standing::Resting;
    }
    Record::Order(shared)
}
