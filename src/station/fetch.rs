//! The documents of a shipment: fetched again with `reprint`, never bought again (contract 11).

use super::purchase::{MAX_THROTTLED, wait_asked};
use super::{Effect, Station, Waiting, paper};
use crate::domain::order::{Choices, Standing};
use crate::domain::{Bought, CallFailure, Code, Moment, OrderId, Outcome, PageState, Shipment};
use std::time::Duration;

/// Fetches of an existing label that may fail before the person is told.
const MAX_FETCHES: u32 = 4;
/// Fetches in a row that bring a label nobody can print before the person is told.
const MAX_USELESS: u32 = 2;

impl Station {
    /// Fetches the label that exists; never buys.
    pub(super) fn fetch_label(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some((account, order_id)) = self.orders.get(id).and_then(|order| {
            let shipment = order.live().find(|s| paper::is_next(s))?;
            Some((order.account.clone(), shipment.order_id))
        }) else {
            return;
        };
        let job = self.job(id, now);
        job.waiting = Waiting::Reply;
        job.fetches += 1;
        let ahead = job.ahead && job.act.is_none();
        out.push(Effect::Buy {
            order: id.clone(),
            account,
            order_id,
            reprint: true,
            with: Choices::default(),
            ahead,
        });
    }

    /// A `reprint` has answered. It is safe to repeat: it never buys (S13's worst case is
    /// excluded because it is only sent for what a look or a reply has shown to be printed).
    pub(super) fn fetched(
        &mut self,
        id: &OrderId,
        result: Result<Bought, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let fetches = self.job(id, now).fetches;
        match result {
            Ok(bought) => {
                self.came_online(out);
                self.stage_done(self.waiting_act(id), now, |t, ms| t.buy = Some(ms));
                if bought.undecodable > 0 {
                    self.fetch_once_more(id, Code::LabelUnreadable, "", now, out);
                } else if bought.documents.is_empty() {
                    self.fetch_once_more(id, Code::LabelMissing, "", now, out);
                } else {
                    self.documents_came(id, &bought, now, out);
                }
            }
            Err(CallFailure::Throttled { retry_after }) if fetches < MAX_THROTTLED => {
                self.job(id, now).waiting = Waiting::Send {
                    at: now.mono.plus(wait_asked(retry_after, fetches)),
                };
            }
            Err(failure @ (CallFailure::Refused { .. } | CallFailure::Throttled { .. })) => {
                let detail = match &failure {
                    CallFailure::Refused { detail, .. } => detail.clone(),
                    _ => String::new(),
                };
                self.label_refused(id, failure.code(), &detail, now, out);
            }
            Err(CallFailure::NotSent { .. } | CallFailure::Unknown { .. })
                if fetches < MAX_FETCHES =>
            {
                self.job(id, now).waiting = Waiting::Send {
                    at: now.mono.plus(Duration::from_secs(1 << fetches.min(4))),
                };
            }
            Err(CallFailure::NotSent { .. } | CallFailure::Unknown { .. }) => {
                // Bought, and its number is kept: the scan waits for the network like any other.
                let act = self.jobs.remove(id).and_then(|job| job.act);
                if act.is_some() {
                    self.went_offline(now);
                } else {
                    // A call that goes after all others may only have lost its turn.
                    self.pause_pushes(id, super::push::PAUSE, now);
                }
                let record = self.change(id, now, |order| order.standing = Standing::Resting);
                paper::remember(record.into_iter().collect(), out);
                if let Some(act) = act {
                    self.queue_or_refuse(act, now, out);
                }
            }
        }
    }

    fn documents_came(
        &mut self,
        id: &OrderId,
        bought: &Bought,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let mut order_id = bought.order_id;
        let mut fits = true;
        let record = self.change(id, now, |order| {
            let Some(shipment) = order
                .shipments
                .iter_mut()
                .find(|s| !s.superseded && paper::is_next(s))
            else {
                return;
            };
            order_id = shipment.order_id;
            fits = take_documents(shipment, bought);
            for number in &bought.tracking {
                if !shipment.tracking.contains(number) {
                    shipment.tracking.push(number.clone());
                }
            }
            if shipment.carrier.is_empty() {
                shipment.carrier.clone_from(&bought.carrier_name);
            }
        });
        out.push(Effect::Remember(record.into_iter().collect()));
        self.watch_for_number(id, now);
        if !fits {
            let why = "the label changed after a part of it was printed";
            self.label_refused(id, Code::LabelUnreadable, why, now, out);
            return;
        }
        self.job(id, now).waiting = Waiting::Reply;
        out.push(Effect::Store {
            order: id.clone(),
            order_id,
            documents: bought.documents.iter().map(|d| d.id.clone()).collect(),
        });
    }

    /// The label at hand is of no use: another one is fetched, a bounded number of times.
    pub(super) fn fetch_once_more(
        &mut self,
        id: &OrderId,
        code: Code,
        detail: &str,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        // Whatever comes of it, the next scan does not take these documents for good ones.
        if let Some(order) = self.orders.get_mut(id)
            && let Some(shipment) = order
                .shipments
                .iter_mut()
                .find(|s| !s.superseded && paper::is_next(s))
        {
            shipment.stored = false;
        }
        if self.job(id, now).fetches < MAX_USELESS {
            self.fetch_label(id, now, out);
        } else {
            self.label_refused(id, code, detail, now, out);
        }
    }

    /// The shipment stays, its number is kept; only the paper is missing.
    pub(super) fn label_refused(
        &mut self,
        id: &OrderId,
        code: Code,
        detail: &str,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let act = self.jobs.remove(id).and_then(|job| job.act);
        let record = self.change(id, now, |order| order.standing = Standing::Refused(code));
        let records = record.into_iter().collect();
        let reply = self.coded(Outcome::Refused, code, Some(detail));
        match act {
            Some(act) => {
                self.end_act(act, records, reply, out);
            }
            None => paper::remember(records, out),
        }
    }

    /// The documents are in the spool, or they are not at hand.
    pub(super) fn stored(
        &mut self,
        id: OrderId,
        order_id: i64,
        stored: bool,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if !stored {
            self.fetch_once_more(&id, Code::LabelMissing, "", now, out);
            return;
        }
        // Not a record of its own: it becomes durable with the page that is sent next, or is
        // found again by reading the spool.
        if let Some(order) = self.orders.get_mut(&id)
            && let Some(shipment) = order.shipments.iter_mut().find(|s| s.order_id == order_id)
        {
            shipment.stored = true;
        }
        self.go_on(&id, now, out);
    }
}

/// Takes fetched documents in. `false`: they are another rendering, of which a part is out already,
/// and its pages cannot be matched.
fn take_documents(shipment: &mut Shipment, bought: &Bought) -> bool {
    shipment.stored = false;
    // A packing slip stands behind them and came by itself.
    let labels = shipment.documents.iter().filter(|d| !d.is_slip()).count();
    let (known, slip) = shipment.documents.split_at(labels);
    if known == bought.documents {
        return true;
    }
    let mut documents = bought.documents.clone();
    if shipment.pages.iter().all(|p| p.state == PageState::Todo) {
        shipment.pages.clear();
    } else if labels != bought.documents.len() {
        return false;
    } else {
        documents.extend_from_slice(slip);
    }
    shipment.documents = documents;
    true
}
