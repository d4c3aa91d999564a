//! How long scans took lately, stage by stage, and the label that came out last: for people who look
//! at the bench. After a start both are what the ledger has of the newest orders.

use crate::domain::outcome::Timings;
use crate::domain::{Order, PageRole, PageState, Timestamp};
use crate::ledger::{Ledger, Query};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Scans looked back at. Enough for a 95th percentile, few enough to be of today.
const WINDOW: usize = 200;

/// Newest orders that are asked after a start: enough for the first percentiles.
const LOOKED_BACK: usize = 64;

/// What was seen to happen, for `status`.
#[derive(Debug)]
pub(super) struct Lately {
    /// What changed later was seen; what changed before is the ledger's to tell.
    started: Timestamp,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    latency: Latency,
    last_print: Option<LastPrint>,
    /// The ledger was asked what was before this start.
    is_filled: bool,
}

impl Lately {
    pub(super) fn since(started: Timestamp) -> Self {
        Self {
            started,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scan has printed.
    pub(super) fn printed(&self, timings: Timings) {
        self.seen().latency.add(timings);
    }

    /// An order has changed: perhaps its label came out.
    pub(super) fn changed(&self, order: &Order) {
        let Some(last) = LastPrint::of(order) else {
            return;
        };
        self.seen().newest(last);
    }

    /// `latency_ms` of the status document.
    pub(super) fn latency(&self) -> Value {
        self.seen().latency.show()
    }

    /// The label that came out last.
    pub(super) fn last_print(&self) -> Option<LastPrint> {
        self.seen().last_print.clone()
    }

    /// Asks the ledger, once it knows everything, for what was before this start.
    pub(super) async fn fill(&self, ledger: &Ledger) {
        if self.seen().is_filled || !ledger.is_complete() {
            return;
        }
        let ledger = ledger.clone();
        let newest = tokio::task::spawn_blocking(move || {
            ledger.query(&Query {
                limit: LOOKED_BACK,
                ..Query::default()
            })
        });
        let Ok(newest) = newest.await else {
            return; // a panic, which is told where it happened; the next look asks again
        };
        let mut seen = self.seen();
        if std::mem::replace(&mut seen.is_filled, true) {
            return;
        }
        for order in &newest {
            if let Some(last) = LastPrint::of(order) {
                seen.newest(last);
            }
            if let Some(timings) = order.timings.as_deref()
                && order.updated < self.started
            {
                seen.latency.add_older(*timings);
            }
        }
    }
}

impl Seen {
    fn newest(&mut self, last: LastPrint) {
        if self
            .last_print
            .as_ref()
            .is_none_or(|known| known.at <= last.at)
        {
            self.last_print = Some(last);
        }
    }
}

/// The last scans that printed.
#[derive(Debug, Default)]
struct Latency(VecDeque<Timings>);

impl Latency {
    fn add(&mut self, timings: Timings) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(timings);
    }

    fn add_older(&mut self, timings: Timings) {
        if self.0.len() < WINDOW {
            self.0.push_front(timings);
        }
    }

    /// `{"resolve":{"n":…,"p50":…,"p95":…},…,"total":{…}}`; stages that never happened are absent.
    fn show(&self) -> Value {
        // What was bought at its scan is live, what lay ready was looked at once more; a reprint is neither.
        let live = |t: &Timings| t.buy.and(total(t));
        let held = |t: &Timings| t.recheck.filter(|_| t.buy.is_none()).and(total(t));
        let stage = |of: &dyn Fn(&Timings) -> Option<u64>| {
            let mut all: Vec<u64> = self.0.iter().filter_map(of).collect();
            all.sort_unstable();
            Some(json!({
                "n": all.len(),
                "p50": percentile(&all, 50)?,
                "p95": percentile(&all, 95)?,
            }))
        };
        let stages = [
            ("resolve", stage(&|t| t.resolve)),
            ("recheck", stage(&|t| t.recheck)),
            ("buy", stage(&|t| t.buy)),
            ("render", stage(&|t| t.render)),
            ("print", stage(&|t| t.print)),
            ("total", stage(&total)),
            ("live", stage(&live)),
            ("held", stage(&held)),
        ];
        stages
            .into_iter()
            .filter_map(|(name, shown)| Some((name.to_owned(), shown?)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// From the scan to the end; the sum of the stages where nobody waited for the end.
fn total(t: &Timings) -> Option<u64> {
    t.total.or_else(|| {
        [t.resolve, t.recheck, t.buy, t.render, t.print]
            .into_iter()
            .flatten()
            .reduce(u64::saturating_add)
    })
}

/// Nearest rank of sorted values.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

/// The label that came out last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastPrint {
    pub(super) at: Timestamp,
    id: String,
    number: String,
    /// Which label of the order, from 1.
    label: usize,
}

impl LastPrint {
    /// The newest printed label of an order, if it has one.
    pub(super) fn of(order: &Order) -> Option<Self> {
        order
            .live()
            .flat_map(|shipment| &shipment.pages)
            .filter(|page| page.role == PageRole::Label)
            .enumerate()
            .filter(|(_, page)| matches!(page.state, PageState::Printed(_)))
            .max_by_key(|(_, page)| page.at)
            .map(|(index, page)| Self {
                at: page.at,
                id: order.id.to_string(),
                number: order.number.clone(),
                label: index + 1,
            })
    }

    /// As `status` says it.
    pub(super) fn show(&self) -> Value {
        json!({
            "at": crate::web::documents::rfc3339(self.at),
            "id": self.id,
            "order": self.number,
            "label": self.label,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bought(buy: u64) -> Timings {
        Timings {
            resolve: Some(10),
            buy: Some(buy),
            ..Timings::default()
        }
    }

    #[test]
    fn stages_that_never_happened_are_absent() {
        let mut latency = Latency::default();
        assert_eq!(latency.show(), json!({}));
        latency.add(bought(300));
        assert_eq!(
            latency.show(),
            json!({
                "resolve": { "n": 1, "p50": 10, "p95": 10 },
                "buy": { "n": 1, "p50": 300, "p95": 300 },
                "total": { "n": 1, "p50": 310, "p95": 310 },
                "live": { "n": 1, "p50": 310, "p95": 310 },
            })
        );
    }

    #[test]
    fn what_was_bought_at_its_scan_is_live_and_what_lay_ready_is_held() {
        let mut latency = Latency::default();
        for (buy, recheck, total) in [
            (Some(900), Some(3), 1000),
            (None, Some(3), 20),
            (None, None, 7),
        ] {
            latency.add(Timings {
                buy,
                recheck,
                total: Some(total),
                ..Timings::default()
            });
        }
        let shown = latency.show();
        assert_eq!(shown["live"], json!({ "n": 1, "p50": 1000, "p95": 1000 }));
        assert_eq!(shown["held"], json!({ "n": 1, "p50": 20, "p95": 20 }));
        assert_eq!(shown["total"]["n"], 3);
    }

    #[test]
    fn what_was_before_the_start_fills_up_what_is_known_since() {
        let mut latency = Latency::default();
        for buy in 1..WINDOW as u64 {
            latency.add(bought(buy));
        }
        latency.add_older(bought(5_000));
        latency.add_older(bought(6_000));
        assert_eq!(latency.0.len(), WINDOW);
        assert_eq!(latency.0[0], bought(5_000));
    }

    #[test]
    fn percentiles_are_of_the_last_scans_only() {
        let mut latency = Latency::default();
        latency.add(bought(1_000_000));
        for buy in 1..=200 {
            latency.add(bought(buy));
        }
        let buy = &latency.show()["buy"];
        assert_eq!(*buy, json!({ "n": 200, "p50": 100, "p95": 190 }));
    }

    #[test]
    fn the_last_label_is_the_newest_one_that_came_out() {
        let page = |n: u16, state: Value, at: i64| json!({ "d": 0, "i": n, "r": "label", "p": "label", "s": state, "t": at });
        let order: Order = serde_json::from_value(json!({
            "id": "ss:main:7", "seq": 1, "number": "WEB-1", "account": "main", "order_id": 7,
            "printer": "label", "standing": "resting", "created": 1, "updated": 9,
            "shipments": [{
                "order_id": 7, "carrier": "", "tracking": ["T1"], "documents": [], "stored": true,
                "superseded": false, "origin": "here", "at": 1,
                "pages": [
                    page(0, json!({ "printed": "confirmed" }), 5),
                    page(1, json!({ "printed": "confirmed" }), 8),
                    page(2, json!("in-doubt"), 9),
                ],
            }],
        }))
        .unwrap();
        let last = LastPrint::of(&order).unwrap();
        assert_eq!((last.at, last.label), (Timestamp(8), 2));
        assert_eq!(last.show()["order"], "WEB-1");
    }
}
