//! How far changes were read: a watermark that moves to the newest change *seen*, never to "now".
//!
//! Results have no order and move between pages while orders change, so the mark moves only after a
//! whole round of pages whose count did not change under way and that were all different; a round
//! that drifted is read again. Every round begins ten minutes before the mark. Wall clocks are used
//! for the very first look back only, and CartonCloud's own before ours: a station whose clock
//! jumps neither skips nor repeats.

use crate::cartoncloud::{CartonCloud, Changed, Filter};
use crate::domain::{CallFailure, SaleOrder, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Every round begins so long before the newest change that was seen.
pub const OVERLAP: Duration = Duration::from_secs(600);
/// How far the very first round looks back.
pub const LOOK_BACK: Duration = Duration::from_secs(24 * 3600);
/// Rounds in a row that may drift before the mark moves all the same: a tenant that is never quiet
/// must not have an ever growing backlog read again and again.
const MAX_DRIFTS: u32 = 5;
/// Pages of one round at most: fifty thousand orders. A round that is cut off counts as drifted.
const MAX_PAGES: u32 = 1_000;
/// What their clock and the stamps of their orders may differ by.
const SLACK: Duration = Duration::from_secs(300);
/// What is stored is this version.
const VERSION: u32 = 1;

/// The state of the poll. Only the mark is stored; a round that was under way begins anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// Newest `modified` of all whole rounds.
    mark: Option<Timestamp>,
    round: Option<Round>,
    drifts: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Round {
    since: Timestamp,
    page: u32,
    newest: Option<Timestamp>,
    /// `Total-Elements` of the first page.
    total: Option<u64>,
    counted: u64,
    seen: BTreeSet<String>,
    drifted: bool,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    mark_ms: Option<i64>,
}

/// What one page brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Polled {
    /// Orders that fit the filter, each `id` + `version` once in a round.
    pub orders: Vec<SaleOrder>,
    /// The round goes on: poll again at once. Otherwise the next poll begins a new round.
    pub more: bool,
}

impl Watch {
    /// Reads what [`Self::store`] wrote. Anything else begins with the first look back.
    pub fn load(bytes: &[u8]) -> Self {
        let stored: Option<Stored> = serde_json::from_slice(bytes).ok();
        Self {
            mark: stored
                .filter(|s| s.version == VERSION)
                .and_then(|s| s.mark_ms)
                .map(Timestamp),
            ..Self::default()
        }
    }

    /// The mark as small JSON, for `system::durable::replace`.
    pub fn store(&self) -> Vec<u8> {
        let mark_ms = self.mark.map(|mark| mark.0);
        format!(
            "{{\"version\":{VERSION},\"mark_ms\":{}}}\n",
            mark_ms.map_or("null".to_owned(), |ms| ms.to_string())
        )
        .into_bytes()
    }

    /// Newest change that was seen; `None` before the first round ended.
    pub fn mark(&self) -> Option<Timestamp> {
        self.mark
    }

    /// The next page to ask for, and since when. `now` is the best guess of CartonCloud's clock; it
    /// counts at the very first round only.
    pub fn next(&mut self, now: Timestamp) -> (Timestamp, u32) {
        let mark = self.mark;
        let round = self.round.get_or_insert_with(|| Round {
            since: match mark {
                Some(mark) => minus(mark, OVERLAP),
                None => minus(now, LOOK_BACK),
            },
            page: 1,
            ..Round::default()
        });
        (round.since, round.page)
    }

    /// Takes a page in. `theirs` is CartonCloud's clock, if it told.
    pub fn took(&mut self, page: Changed, theirs: Option<Timestamp>) -> Polled {
        let Some(round) = self.round.as_mut() else {
            return Polled::default();
        };
        round.newest = round.newest.max(page.newest);
        round.counted += page.on_page;
        round.total = round.total.or(page.total);
        if page.total.is_some() && page.total != round.total {
            round.drifted = true;
        }
        let mut orders = page.orders;
        let mut fresh = BTreeSet::new();
        for key in page.seen {
            if round.seen.contains(&key) {
                // Something moved here from an earlier page, and something else past us.
                round.drifted = true;
            } else {
                fresh.insert(key);
            }
        }
        orders.retain(|o| fresh.remove(&key(o)));
        round.seen.extend(orders.iter().map(key));
        round.seen.append(&mut fresh);
        let is_cut = round.page >= MAX_PAGES;
        if !page.is_last && !is_cut {
            round.page += 1;
            return Polled { orders, more: true };
        }
        if is_cut || round.total.is_some_and(|total| total != round.counted) {
            round.drifted = true;
        }
        self.end(theirs);
        Polled {
            orders,
            more: false,
        }
    }

    /// The round has ended: moves the mark, unless something may have slipped through.
    fn end(&mut self, theirs: Option<Timestamp>) {
        let Some(round) = self.round.take() else {
            return;
        };
        // Only pages can drift against each other.
        let drifted = round.drifted && round.page > 1;
        if drifted && self.drifts < MAX_DRIFTS {
            self.drifts += 1;
            return;
        }
        if drifted {
            tracing::warn!("sale orders changed through {MAX_DRIFTS} rounds of reading");
        }
        self.drifts = 0;
        // A stamp of the future would hide everything until then.
        let newest = match (round.newest, theirs) {
            (Some(newest), Some(theirs)) => Some(newest.min(theirs.plus(SLACK))),
            (newest, _) => newest,
        };
        // Nothing new is no reason to begin later; never back: the past was read.
        self.mark = self.mark.max(newest);
        if self.mark.is_none() {
            self.mark = Some(round.since.plus(OVERLAP));
        }
    }

    /// A page could not be read: the round begins anew. Its orders were told and are told again.
    pub fn failed(&mut self) {
        self.round = None;
    }
}

fn key(order: &SaleOrder) -> String {
    format!("{}@{}", order.uuid, order.version)
}

fn minus(at: Timestamp, span: Duration) -> Timestamp {
    Timestamp(
        at.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
            .max(0),
    )
}

/// Reads one page of changes. Store the watch after it when it says that the round has ended.
///
/// `now` is this machine's clock, used where CartonCloud has not told its own yet.
///
/// # Errors
/// As [`CallFailure`]; the mark stays where it was.
pub async fn poll_once(
    client: &CartonCloud,
    watch: &mut Watch,
    filter: &Filter,
    now: Timestamp,
) -> Result<Polled, CallFailure> {
    if watch.mark.is_none() && client.clock().is_none() {
        // The token's reply tells their clock.
        client.token(None).await.map_err(CallFailure::from)?;
    }
    let (since, page) = watch.next(client.clock().unwrap_or(now));
    match client.changed(since, filter, page).await {
        Ok(changed) => Ok(watch.took(changed, client.clock())),
        Err(failure) => {
            watch.failed();
            Err(failure)
        }
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
