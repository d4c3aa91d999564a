//! Forgetting: orders, their names, documents and archive days that are older than they may get.
//!
//! Work per call is bounded, so that it can run between scans; where it stopped is remembered.

use crate::domain::{Order, OrderId, Timestamp};
use crate::ledger::core::{Core, IndexState};
use crate::ledger::error::LedgerError;
use crate::ledger::{archive, ballast, keeper, quarantine, spool};
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

/// Orders looked at in one call.
const ORDERS: usize = 512;
/// Spool shards looked at in one call.
const SHARDS: u16 = 16;
/// Bytes of forgotten orders stay in the index's files for at most this long, or a quarter of `keep`.
const REWRITE_AFTER: Duration = Duration::from_secs(7 * 86_400);

/// Where the next call goes on.
#[derive(Default)]
pub(crate) struct Cursor {
    order: Option<(Timestamp, OrderId)>,
    shard: u16,
    files_bytes: u64,
}

/// What one call of [`crate::ledger::Ledger::sweep`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Orders forgotten.
    pub orders: u64,
    /// Documents removed.
    pub documents: u64,
    /// Days of the archive and quarantined directories removed.
    pub days: u64,
    /// There is more to do: call again soon.
    pub more: bool,
}

pub(crate) fn sweep(core: &Core, now: Timestamp) -> Result<Swept, LedgerError> {
    let fatal = |error: &std::io::Error| LedgerError::directory(error);
    let mut swept = Swept::default();
    restore_ballast(core);
    {
        let state = core.state();
        if state.index != IndexState::Ready || state.rebuild_wanted {
            // Without the whole index nobody can tell what is still referred to.
            return Ok(swept);
        }
    }
    let cutoff = Timestamp(now.0.saturating_sub(millis(core.settings.keep)));
    let days = archive::forget(&core.path(keeper::ARCHIVE), cutoff).map_err(|e| fatal(&e))?;
    swept.days = days as u64 + forget_quarantines(core, cutoff).map_err(|e| fatal(&e))?;
    forget_orders(core, now, cutoff, &mut swept);
    forget_documents(core, &mut swept).map_err(|e| fatal(&e))?;
    rewrite_if_due(core, now);
    Ok(swept)
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn restore_ballast(core: &Core) {
    match ballast::make(&core.settings.dir, core.settings.ballast_bytes, true) {
        Ok(there) => {
            let mut state = core.state();
            if there && state.disk_full {
                tracing::info!("the card has room again");
                state.disk_full = false;
            }
        }
        Err(error) => tracing::warn!(%error, "no ballast"),
    }
}

fn forget_quarantines(core: &Core, cutoff: Timestamp) -> std::io::Result<u64> {
    let oldest_kept = format!("{}{}", quarantine::QUARANTINE, quarantine::stamp(cutoff));
    let mut removed = 0;
    for path in quarantine::quarantines(&core.settings.dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if *name < *oldest_kept {
            std::fs::remove_dir_all(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn forget_orders(core: &Core, now: Timestamp, cutoff: Timestamp, swept: &mut Swept) {
    let from = core.state().sweep.order.clone();
    let looked = core.with_index(|index| {
        let mut excess = index.count()?.saturating_sub(core.settings.max_orders);
        let after = from.as_ref().map(|(time, id)| (*time, id));
        let mut place = None;
        for (n, order) in index.oldest(after).enumerate() {
            let order = order?;
            let old = order.updated < cutoff;
            if !old && excess == 0 {
                return Ok(None);
            }
            if n >= ORDERS {
                return Ok(place);
            }
            if !order.is_open() {
                // One that the journal still holds goes with a later call, not a younger one instead.
                excess = excess.saturating_sub(1);
                if !is_in_journal(core, &order) && index.forget(&order, now)? {
                    swept.orders += 1;
                }
            }
            place = Some((order.updated, order.id));
        }
        Ok(None)
    });
    if let Some(place) = looked {
        swept.more |= place.is_some();
        core.state().sweep.order = place;
    }
}

/// The journal still holds it. Then what takes it out of there is asked for.
fn is_in_journal(core: &Core, order: &Order) -> bool {
    let mut state = core.state();
    let Some(live) = state.live.get(&format!("order/{}", order.id)) else {
        return false;
    };
    let (open, settled) = (live.open, live.settled);
    state.compaction_wanted |= !open && settled;
    state.checkpoint_wanted |= !open && !settled;
    drop(state);
    core.work.notify_all();
    core.upkeep.notify_all();
    true
}

fn forget_documents(core: &Core, swept: &mut Swept) -> std::io::Result<()> {
    let dir = core.path(super::SPOOL);
    let from = core.state().sweep.shard;
    for shard in from..from + SHARDS {
        let mut kept = 0;
        for (document, bytes) in {
            let _storing = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
            spool::shard(&dir, shard)?
        } {
            if forget_document(core, &dir, &document)? {
                swept.documents += 1;
            } else {
                kept += bytes;
            }
        }
        core.state().sweep.files_bytes += kept;
    }
    let mut state = core.state();
    state.sweep.shard = from + SHARDS;
    if state.sweep.shard >= spool::SHARDS {
        state.sweep.shard = 0;
        let spooled = std::mem::take(&mut state.sweep.files_bytes);
        drop(state);
        let archived: u64 = archive::files(&core.path(keeper::ARCHIVE))?
            .iter()
            .filter_map(|path| path.metadata().ok())
            .map(|m| m.len())
            .sum();
        core.state().counters.files_bytes = spooled + archived;
    } else {
        swept.more = true;
    }
    Ok(())
}

/// Removes a document to which nothing refers. Whoever is about to store it waits.
fn forget_document(
    core: &Core,
    dir: &Path,
    document: &crate::domain::DocumentId,
) -> std::io::Result<bool> {
    let _storing = core.spool.lock().unwrap_or_else(PoisonError::into_inner);
    let in_journal = core
        .state()
        .live
        .values()
        .filter_map(|e| e.order())
        .any(|o| {
            o.shipments
                .iter()
                .flat_map(|s| &s.documents)
                .any(|d| d.id == *document)
        });
    // An index that does not answer might have known of a reference.
    let free = !in_journal
        && core
            .with_index(|index| index.is_referenced(document))
            .is_some_and(|referenced| !referenced);
    if free {
        spool::remove(dir, document)?;
    }
    Ok(free)
}

fn rewrite_if_due(core: &Core, now: Timestamp) {
    let patience = REWRITE_AFTER.min(core.settings.keep / 4);
    let forgot = core
        .with_index(crate::ledger::index::Index::forgot_at)
        .flatten();
    if forgot.is_some_and(|at| now.since(at) >= patience) {
        core.state().rebuild_wanted = true;
        core.upkeep.notify_all();
    }
}
