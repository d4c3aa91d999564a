//! REDO and NEXT-PARCEL: a new Starshipit order is made, then bought.

use super::{Effect, Remade, Station};
use crate::domain::order::{Intent, IntentKind, Standing};
use crate::domain::{
    ActId, ActKind, CallFailure, Code, Moment, OrderId, Outcome, Record, RemoteOrder,
};

impl Station {
    /// REDO (`replace`) or NEXT-PARCEL: a new Starshipit order is made, then bought.
    pub(super) fn remake(
        &mut self,
        act: ActId,
        id: &OrderId,
        replace: bool,
        mut records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let confirmed = self.running.get(&act).is_some_and(|r| r.act.confirmed);
        if replace && !confirmed {
            // Only an order scan after REDO, or a request that says so, gets here confirmed.
            let reply = self.coded(Outcome::Refused, Code::NoQuestion, None);
            self.end_act(act, records, reply, out);
            return;
        }
        let Some(order_id) = self
            .orders
            .get(id)
            .and_then(|o| o.live().last().map(|s| s.order_id))
        else {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.end_act(act, records, reply, out);
            return;
        };
        let with = self
            .running
            .get(&act)
            .map(|r| r.act.with.clone())
            .unwrap_or_default();
        self.note(id, now, if replace { "redo" } else { "next-parcel" }, act);
        self.work_on(act, id, now);
        let record = self.change(id, now, |order| {
            order.standing = Standing::Released;
            order.intent = Some(Intent {
                kind: if replace {
                    IntentKind::Replace
                } else {
                    IntentKind::Clone
                },
                order_id,
                sends: 1,
                sent_at: now.wall,
                with,
                ahead: false,
            });
        });
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        records.extend(record);
        self.accept(act, super::paper::dedup(records), out);
        self.send_intent(id, now, out);
    }

    /// Replace or clone has answered, or not.
    pub(super) fn remade(
        &mut self,
        id: OrderId,
        result: Result<RemoteOrder, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match result {
            Ok(remote) => {
                self.came_online(out);
                self.remake_done(&id, &remote, now, out);
            }
            Err(failure) => self.call_failed(&id, failure, now, out),
        }
    }

    /// The look after an unknown replace or clone has answered.
    pub(super) fn looked_remade(
        &mut self,
        id: OrderId,
        result: Result<Remade, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match result {
            Ok(Remade::Yes(remote)) => {
                self.came_online(out);
                self.remake_done(&id, &remote, now, out);
            }
            Ok(Remade::No) => {
                self.came_online(out);
                self.looked_clear(&id, now, out);
            }
            Ok(Remade::Unclear) => {
                self.came_online(out);
                let long = now.mono.since(self.job(&id, now).sent) >= self.settings.settle * 2;
                if long {
                    // It happened, so it is never sent again; which order it made is for a person.
                    // What it replaced is void all the same.
                    if let Some(order) = self.orders.get_mut(&id) {
                        void_replaced(order);
                    }
                    self.purchase_refused(
                        &id,
                        Code::OrderAmbiguous,
                        "the new order in Starshipit cannot be told from others",
                        now,
                        out,
                    );
                } else {
                    self.next_look(&id, now);
                }
            }
            Err(failure) => self.look_failed(&id, &failure, now, out),
        }
    }

    /// The new Starshipit order is known: the old shipment is superseded and the new one is
    /// intended, in one record.
    pub(super) fn remake_done(
        &mut self,
        id: &OrderId,
        remote: &RemoteOrder,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if remote.is_printed() {
            // Somebody printed it meanwhile, or this is a look after our own lost purchase.
            self.was_bought(id, remote, now, out);
            return;
        }
        let sale_print = self.job(id, now).sale_print.take();
        let record = self.change(id, now, |order| {
            if supersede(order, remote)
                && let Some(sale) = &mut order.sale
            {
                // After a crash it is not known any more what the new label was bought for.
                sale.fingerprint = sale_print.unwrap_or_default();
            }
            let with = order
                .intent
                .take()
                .map(|intent| intent.with)
                .unwrap_or_default();
            order.fingerprint.clone_from(&remote.fingerprint);
            order.intent = Some(Intent {
                kind: IntentKind::Buy,
                order_id: remote.order_id,
                sends: 1,
                sent_at: now.wall,
                with,
                ahead: false,
            });
        });
        out.push(Effect::Remember(record.into_iter().collect()));
        self.send_intent(id, now, out);
    }
}

/// What a replace means for the order: the old label is void, the new one takes its place.
/// `false`: it was no replace.
pub(super) fn supersede(order: &mut crate::domain::Order, remote: &RemoteOrder) -> bool {
    let Some(replaced) = void_replaced(order) else {
        return false;
    };
    if order.order_id == replaced {
        order.order_id = remote.order_id;
    }
    true
}

/// Marks the shipment that an open replace was for as superseded.
fn void_replaced(order: &mut crate::domain::Order) -> Option<i64> {
    let replaced = order
        .intent
        .as_ref()
        .filter(|intent| intent.kind == IntentKind::Replace)?
        .order_id;
    for shipment in &mut order.shipments {
        if shipment.order_id == replaced {
            shipment.superseded = true;
        }
    }
    Some(replaced)
}
