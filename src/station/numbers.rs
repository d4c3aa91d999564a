//! Tracking numbers that come after their label (contract 8).
//!
//! Intervals are measured on the monotonic clock: a wall clock that jumps a week must not make the
//! station give up a number that comes an hour later.

use super::{Effect, LookFor, Station, Untracked, paper};
use crate::domain::{CallFailure, Moment, OrderId, RemoteOrder};
use std::time::Duration;

/// When to look for the first time.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// A courier that has given no number for so long gives none.
const GIVEN_UP: Duration = Duration::from_secs(24 * 3600);

impl Station {
    pub(super) fn watch_for_number(&mut self, id: &OrderId, now: Moment) {
        let missing = self
            .orders
            .get(id)
            .is_some_and(|o| o.live().any(|s| s.tracking.is_empty() && !s.untracked));
        if missing {
            self.untracked.entry(id.clone()).or_insert(Untracked {
                since: now.mono,
                next: now.mono.plus(FIRST_LOOK),
                looks: 0,
            });
        } else {
            self.untracked.remove(id);
        }
    }

    pub(super) fn look_for_numbers(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let due: Vec<OrderId> = self
            .untracked
            .iter()
            .filter(|(_, untracked)| now.mono >= untracked.next)
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let Some((account, order_id)) = self.orders.get(&id).and_then(|order| {
                let shipment = order
                    .live()
                    .find(|s| s.tracking.is_empty() && !s.untracked)?;
                Some((order.account.clone(), shipment.order_id))
            }) else {
                self.untracked.remove(&id);
                continue;
            };
            if let Some(untracked) = self.untracked.get_mut(&id) {
                untracked.looks += 1;
                untracked.next = now.mono.plus(Duration::from_secs(match untracked.looks {
                    1 => 30,
                    2 => 120,
                    _ => 600,
                }));
            }
            out.push(Effect::Look {
                order: id,
                account,
                order_id,
                why: LookFor::Number,
                sale: None,
                within: None,
            });
        }
    }

    pub(super) fn looked_for_number(
        &mut self,
        id: &OrderId,
        order_id: i64,
        result: Result<Option<RemoteOrder>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let numbers = match result {
            Ok(remote) => {
                self.came_online(out);
                remote.map(|remote| remote.tracking).unwrap_or_default()
            }
            // The next look is planned already.
            Err(CallFailure::NotSent { .. }) => {
                self.went_offline(now);
                return;
            }
            Err(_) => return,
        };
        let given_up = numbers.is_empty()
            && self
                .untracked
                .get(id)
                .is_some_and(|u| now.mono.since(u.since) >= GIVEN_UP);
        if numbers.is_empty() && !given_up {
            return;
        }
        let missing = self.orders.get(id).is_some_and(|o| {
            o.shipments
                .iter()
                .any(|s| s.order_id == order_id && s.tracking.is_empty())
        });
        if !missing {
            // It came with a label that was fetched meanwhile.
            return;
        }
        let record = self.change(id, now, |order| {
            if let Some(shipment) = order.shipments.iter_mut().find(|s| s.order_id == order_id) {
                shipment.tracking = numbers;
                shipment.untracked = given_up;
            }
        });
        paper::remember(record.into_iter().collect(), out);
        self.untracked.remove(id);
        self.watch_for_number(id, now);
    }
}
