//! A look at a ledger from outside, beside a running station or without one. Opens nothing that the
//! station would have to open: the journal is read as for a backup, sled is left alone.

use crate::domain::{Order, OrderId, Record};
use crate::ledger::error::LedgerError;
use crate::ledger::writer::JOURNAL;
use crate::ledger::{CLEAN, archive, backup, keeper, quarantine};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Most entries of the folder that are counted; beyond it the bytes are a lower bound.
const MOST: usize = 200_000;

/// Archived orders read at a time.
const AT_ONCE: usize = 256;

/// What was seen.
#[derive(Debug, Default)]
pub struct Look {
    /// Orders of the journal: every open one, and closed ones until a checkpoint has them.
    pub orders: Vec<Order>,
    /// The last stop was an orderly one, and nothing runs since.
    pub clean: bool,
    /// Names of what was damaged and set aside.
    pub quarantines: Vec<String>,
    /// Bytes of everything in the folder.
    pub bytes: u64,
    /// Nothing was ever remembered here.
    pub is_new: bool,
}

/// Looks at the ledger in `dir`. Blocks on the file system.
///
/// # Errors
/// The folder or its journal cannot be read.
pub fn look(dir: &Path) -> Result<Look, LedgerError> {
    let journal = dir.join(JOURNAL);
    let kept = archive::files(&dir.join(keeper::ARCHIVE)).unwrap_or_default();
    if !journal.exists() && !dir.join(keeper::INDEX).exists() && kept.is_empty() {
        return Ok(Look {
            is_new: true,
            ..Look::default()
        });
    }
    let orders = backup::newest_records(&journal)?
        .into_iter()
        .filter_map(|record| match record {
            Record::Order(order) => Some(Arc::unwrap_or_clone(order)),
            _ => None,
        })
        .collect();
    let aside = quarantine::quarantines(dir).map_err(|error| LedgerError::directory(&error))?;
    let name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    Ok(Look {
        orders,
        clean: dir.join(CLEAN).exists(),
        quarantines: aside.iter().filter_map(|path| name(path)).collect(),
        bytes: bytes_of(dir),
        is_new: false,
    })
}

/// Bytes of the files below a folder; what goes away meanwhile is not counted.
fn bytes_of(dir: &Path) -> u64 {
    let mut folders = vec![dir.to_owned()];
    let (mut bytes, mut seen) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            seen += 1;
            if seen > MOST {
                return bytes;
            }
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// Names of people that stand in a ledger, and what they said: who gets the orders, who works here. For
/// whoever has to keep them out of something. Blocks; reads no more than `most` archived orders, newest
/// day first.
pub fn people(dir: &Path, most: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // What cannot be read here cannot get into anything from here either.
    for record in backup::newest_records(&dir.join(JOURNAL)).unwrap_or_default() {
        match record {
            Record::Order(order) => found.extend(named_in(&order)),
            Record::Act(act) => found.extend(act.source.user.into_iter().chain(act.reason)),
            Record::ActEnded { .. } | Record::Bench { .. } => {}
        }
    }
    drop(archived(dir, most, |orders| {
        found.extend(orders.iter().flat_map(named_in));
    }));
    found
}

/// The newest orders: of the journal and of the archive, of which no more than `most` are read, newest day
/// first. Blocks.
///
/// # Errors
/// The journal or the archive cannot be read.
pub fn newest(dir: &Path, most: usize) -> Result<Vec<Order>, LedgerError> {
    let mut orders: BTreeMap<OrderId, Order> = BTreeMap::new();
    let mut keep = |order: Order| {
        let known = orders.get(&order.id).map_or(0, |known| known.seq);
        if order.seq >= known {
            orders.insert(order.id.clone(), order);
        }
    };
    look(dir)?.orders.into_iter().for_each(&mut keep);
    archived(dir, most, |found| found.into_iter().for_each(&mut keep))
        .map_err(|error| LedgerError::directory(&error))?;
    let mut orders: Vec<Order> = orders.into_values().collect();
    orders.sort_by_key(|order| std::cmp::Reverse(order.updated));
    Ok(orders)
}

/// Reads archived orders, newest day first, until at least `most` were.
fn archived(dir: &Path, most: usize, mut each: impl FnMut(Vec<Order>)) -> std::io::Result<()> {
    let dir = dir.join(keeper::ARCHIVE);
    if !dir.exists() {
        return Ok(());
    }
    let mut archive = archive::Reader::new(&dir)?;
    let mut read = 0;
    while read < most {
        let orders = archive.next(AT_ONCE)?;
        if orders.is_empty() {
            break;
        }
        read += orders.len();
        each(orders);
    }
    Ok(())
}

fn named_in(order: &Order) -> Vec<String> {
    let deeds = order.deeds.iter();
    deeds
        .flat_map(|deed| deed.by.user.clone().into_iter().chain(deed.reason.clone()))
        .chain(order.recipient.clone())
        .collect()
}
