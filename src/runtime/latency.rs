//! How long scans took lately, stage by stage, and the label that came out last: for people who look
//! at the bench. In memory only; a restart begins anew, and the ledger says what was printed last.

use crate::domain::outcome::Timings;
use crate::domain::{Order, PageRole, PageState, Timestamp};
use crate::ledger::{Ledger, Query};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Scans looked back at. Enough for a 95th percentile, few enough to be of today.
const WINDOW: usize = 200;

/// Newest orders that are asked for the last label after a start.
const LOOKED_BACK: usize = 50;

/// What was seen to happen, for `status`.
#[derive(Debug, Default)]
pub(super) struct Lately(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    latency: Latency,
    /// `None`: the ledger was not asked yet.
    last_print: Option<Option<LastPrint>>,
}

impl Lately {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut seen = self.seen();
        let known = seen.last_print.as_ref().and_then(Option::as_ref);
        if known.is_none_or(|known| known.at <= last.at) {
            seen.last_print = Some(Some(last));
        }
    }

    /// `latency_ms` of the status document.
    pub(super) fn latency(&self) -> Value {
        self.seen().latency.show()
    }

    /// The label that came out last: as seen, or after a start as the ledger has it.
    pub(super) async fn last_print(&self, ledger: &Ledger) -> Option<LastPrint> {
        if let Some(known) = &self.seen().last_print {
            return known.clone();
        }
        let ledger = ledger.clone();
        let newest = tokio::task::spawn_blocking(move || {
            ledger.query(&Query {
                limit: LOOKED_BACK,
                ..Query::default()
            })
        });
        let newest = newest.await.ok()?;
        let last = newest
            .iter()
            .filter_map(LastPrint::of)
            .max_by_key(|last| last.at);
        // Something may have been printed meanwhile.
        self.seen().last_print.get_or_insert(last).clone()
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

    /// `{"resolve":{"n":…,"p50":…,"p95":…},…,"total":{…}}`; stages that never happened are absent.
    fn show(&self) -> Value {
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
            ("buy", stage(&|t| t.buy)),
            ("render", stage(&|t| t.render)),
            ("print", stage(&|t| t.print)),
            ("total", stage(&total)),
        ];
        stages
            .into_iter()
            .filter_map(|(name, shown)| Some((name.to_owned(), shown?)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

fn total(t: &Timings) -> Option<u64> {
    if t.total.is_some() {
        return t.total;
    }
    [t.resolve, t.buy, t.render, t.print]
        .into_iter()
        .flatten()
        .reduce(u64::saturating_add)
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
            })
        );
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
