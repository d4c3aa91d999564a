//! How many writebacks are open, for `status`: counted as orders become durable.

use crate::domain::{Order, OrderId, Timestamp, WritebackState};
use std::collections::BTreeMap;

/// `status.writebacks` of contract 24.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Owed and neither done nor given up: due now, or waiting for a number or a release.
    pub pending: usize,
    /// Since when the oldest of them is owed.
    pub oldest: Option<Timestamp>,
    /// Another number stands there: a person decides.
    pub conflicts: usize,
}

/// Orders that have open jobs, and no others.
#[derive(Default)]
pub(super) struct Tally {
    orders: BTreeMap<OrderId, Counted>,
}

struct Counted {
    seq: u64,
    summary: Summary,
}

impl Tally {
    pub(super) fn observe(&mut self, order: &Order) {
        if let Some(known) = self.orders.get(&order.id)
            && known.seq > order.seq
        {
            return;
        }
        let mut summary = Summary::default();
        for job in &order.writebacks {
            match job.state {
                WritebackState::Waiting | WritebackState::Pending => {
                    summary.pending += 1;
                    let since = summary.oldest.map_or(job.since, |old| old.min(job.since));
                    summary.oldest = Some(since);
                }
                WritebackState::Conflict { .. } => summary.conflicts += 1,
                WritebackState::Unsupported { .. } | WritebackState::Done => {}
            }
        }
        if summary == Summary::default() {
            self.orders.remove(&order.id);
        } else {
            let seq = order.seq;
            self.orders
                .insert(order.id.clone(), Counted { seq, summary });
        }
    }

    pub(super) fn sum(&self) -> Summary {
        let mut all = Summary::default();
        for one in self.orders.values().map(|counted| counted.summary) {
            all.pending += one.pending;
            all.conflicts += one.conflicts;
            all.oldest = match (all.oldest, one.oldest) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        all
    }

    /// Orders with jobs that the station or a person still has to deal with.
    pub(super) fn orders(&self) -> Vec<OrderId> {
        self.orders.keys().cloned().collect()
    }
}
