//! Looks at Starshipit: before an act spends money or paper, and after a call whose outcome is not
//! known (contract 1).

use super::purchase::LOOKS_APART;
use super::remake::supersede;
use super::{Effect, LookFor, Lookup, Station, Waiting};
use crate::domain::order::{IntentKind, Origin};
use crate::domain::{
    CallFailure, Code, Moment, OrderId, Outcome, RemoteOrder, SaleOrder, Shipment,
};

impl Station {
    /// A look at one Starshipit order, and perhaps at its sale order, has answered. Who asked is told by what the order waits for.
    #[expect(clippy::too_many_arguments, reason = "the parts of one input")]
    pub(super) fn looked(
        &mut self,
        id: OrderId,
        order_id: i64,
        why: LookFor,
        result: Result<Option<RemoteOrder>, CallFailure>,
        sale: Option<Result<Option<Box<SaleOrder>>, CallFailure>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match why {
            LookFor::Recheck => self.rechecked(&id, &result, sale, now, out),
            LookFor::Act => self.looked_before(&id, result, sale, now, out),
            LookFor::Number => self.looked_for_number(&id, order_id, result, now, out),
            LookFor::Ahead => self.looked_ahead(&id, result, sale, now, out),
            LookFor::Price => self.looked_price(&id, order_id, result, now, out),
            LookFor::Afterwards => self.looked_afterwards(&id, result, sale, now, out),
            LookFor::Purchase => {
                let unresolved = self
                    .orders
                    .get(&id)
                    .and_then(|o| o.intent.as_ref())
                    .is_some_and(|i| i.kind == IntentKind::Buy && i.order_id == order_id);
                if !unresolved {
                    return;
                }
                match result {
                    Ok(remote) => {
                        self.came_online(out);
                        match remote {
                            Some(remote) if remote.is_printed() => {
                                self.was_bought(&id, &remote, now, out);
                            }
                            _ => self.looked_clear(&id, now, out),
                        }
                    }
                    Err(failure) => self.look_failed(&id, &failure, now, out),
                }
            }
        }
    }

    /// The look before an act has answered.
    pub(super) fn looked_before(
        &mut self,
        id: &OrderId,
        result: Result<Option<RemoteOrder>, CallFailure>,
        sale: Option<Result<Option<Box<SaleOrder>>, CallFailure>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(act) = self.jobs.get(id).and_then(|job| job.act) else {
            return;
        };
        let unresolved = self.orders.get(id).is_some_and(|o| o.intent.is_some());
        if let Some(sale) = sale.filter(|_| !unresolved) {
            if !self.sale_allows(act, id, sale, now, out) {
                return;
            }
            if self.remakes(act, id) && result.is_ok() {
                // The call itself tells whether there is something to replace or to add to.
                self.came_online(out);
                self.decide(act, id, now, out);
                return;
            }
        }
        match result {
            Ok(Some(remote)) => {
                self.came_online(out);
                if !self.orders.contains_key(id) {
                    let adopted = self.adopt(remote.clone(), None, &remote.number.clone(), now);
                    if adopted != *id {
                        // The id named a replacement or clone of an order that is known.
                        self.jobs.remove(id);
                        self.decide(act, &adopted, now, out);
                        return;
                    }
                }
                if self.orders.get(id).is_some_and(|o| o.intent.is_some()) {
                    // Only the outcome of the call itself decides.
                    self.job(id, now).waiting = Waiting::Look { at: now.mono };
                    return;
                }
                if remote.archived && self.linked_sale(id).is_some() {
                    // Replaced in Starshipit's own screen, perhaps: its live twin has its number.
                    self.look_number(id, out);
                    return;
                }
                if remote.archived {
                    // Replaced in Starshipit's own screen, perhaps: its live twin has its number.
                    self.jobs.remove(id);
                    out.push(Effect::Find {
                        act,
                        accounts: vec![remote.account],
                        texts: vec![(Lookup::OrderNumber, remote.number)],
                    });
                    return;
                }
                self.decide_remote(act, id, &remote, now, out);
            }
            Ok(None) => {
                self.came_online(out);
                self.jobs.remove(id);
                let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
                self.end_act(act, Vec::new(), reply, out);
            }
            Err(CallFailure::NotSent { .. } | CallFailure::Unknown { .. }) => {
                self.jobs.remove(id);
                self.went_offline(now);
                self.queue_or_refuse(act, now, out);
            }
            Err(failure) => {
                self.jobs.remove(id);
                let detail = match &failure {
                    CallFailure::Refused { detail, .. } => detail.clone(),
                    _ => String::new(),
                };
                let reply = self.coded(Outcome::Refused, failure.code(), Some(&detail));
                self.end_act(act, Vec::new(), reply, out);
            }
        }
    }

    /// The unknown purchase did happen: its number is durable before its label is fetched.
    pub(super) fn was_bought(
        &mut self,
        id: &OrderId,
        remote: &RemoteOrder,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let record = self.change(id, now, |order| {
            supersede(order, remote);
            let ahead = order.intent.take().is_some_and(|intent| intent.ahead);
            order.shipments.push(Shipment {
                order_id: remote.order_id,
                carrier: remote.carrier_name.clone().unwrap_or_default(),
                tracking: remote.tracking.clone(),
                documents: Vec::new(),
                stored: false,
                pages: Vec::new(),
                superseded: false,
                untracked: false,
                origin: Origin::Here,
                ahead,
                unverified: false,
                price_cents: remote.price_cents,
                at: now.wall,
            });
        });
        out.push(Effect::Remember(record.into_iter().collect()));
        self.watch_for_number(id, now);
        self.fetch_label(id, now, out);
    }

    /// A look said "nothing happened".
    pub(super) fn looked_clear(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let settle = self.settings.settle;
        let job = self.job(id, now);
        let settled = job
            .clear_since
            .is_some_and(|first| now.mono.since(first) >= LOOKS_APART)
            && now.mono.since(job.sent) >= settle;
        if settled {
            self.send_again(id, now, out);
            return;
        }
        job.clear_since.get_or_insert(now.mono);
        self.next_look(id, now);
    }

    pub(super) fn look_failed(
        &mut self,
        id: &OrderId,
        failure: &CallFailure,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if matches!(
            failure,
            CallFailure::NotSent { .. } | CallFailure::Unknown { .. }
        ) {
            self.went_offline(now);
            // The person need not wait: the order goes on by itself until it is known, and what
            // was bought is never lost. Printing it then waits for a scan or RESUME.
            if let Some(act) = self.waiting_act(id)
                && let Some(running) = self.running.get_mut(&act)
                && !running.act.queued
                && now.mono.since(running.since) >= LOOKS_APART
            {
                self.tell_queued(act, now, out);
            }
        }
        self.next_look(id, now);
    }

    pub(super) fn next_look(&mut self, id: &OrderId, now: Moment) {
        let job = self.job(id, now);
        job.looks += 1;
        let wait = match job.looks {
            0..=2 => LOOKS_APART,
            3..=4 => LOOKS_APART * 2,
            5..=8 => LOOKS_APART * 4,
            _ => LOOKS_APART * 12,
        };
        job.waiting = Waiting::Look {
            at: now.mono.plus(wait),
        };
    }

    pub(super) fn look_at_intent(&self, id: &OrderId, out: &mut Vec<Effect>) {
        let Some((order, intent)) = self
            .orders
            .get(id)
            .and_then(|order| Some((order, order.intent.as_ref()?)))
        else {
            return;
        };
        out.push(match intent.kind {
            IntentKind::Create => Effect::LookNumber {
                order: id.clone(),
                account: order.account.clone(),
                number: order.number.clone(),
                urgent: self.waiting_act(id).is_some(),
            },
            IntentKind::Buy => Effect::Look {
                order: id.clone(),
                account: order.account.clone(),
                order_id: intent.order_id,
                why: LookFor::Purchase,
                sale: None,
                within: None,
            },
            kind => Effect::LookRemade {
                order: id.clone(),
                account: order.account.clone(),
                replace: kind == IntentKind::Replace,
                number: order.number.clone(),
                reference: order.reference.clone(),
                order_id: intent.order_id,
                known: std::iter::once(order.order_id)
                    .chain(order.shipments.iter().map(|s| s.order_id))
                    .collect(),
                sent_at: intent.sent_at,
            },
        });
    }
}
