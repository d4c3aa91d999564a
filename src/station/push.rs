//! Sale orders into Starshipit: looked for by number, adopted only when they are ours, created once
//! (contract 1, 2, 3), or waited for where another station or CartonCloud's own link creates them.

use super::{Effect, Station, Waiting, paper};
use crate::domain::order::{Choices, Intent, IntentKind, Standing};
use crate::domain::{
    AccountName, ActId, CallFailure, Code, Moment, Order, OrderId, Outcome, Record, RemoteOrder,
};
use std::sync::Arc;
use std::time::Duration;

/// How often a bench without the push duty looks whether its order has come.
const PUSHER_LOOKS: Duration = Duration::from_secs(2);
/// An account that does not answer is not pushed to for so long.
pub(super) const PAUSE: Duration = Duration::from_secs(10);
/// One that refuses whatever the order is, for so long.
const LONG_PAUSE: Duration = Duration::from_secs(300);

/// What a look by number has found.
enum Found {
    /// Ours, alive.
    Ours(Box<RemoteOrder>),
    /// The ledger has it as the order that this one was before it was deleted and entered again.
    Before(OrderId),
    /// Ours, archived, and nothing alive.
    Archived,
    /// Somebody else's, or not to be told apart.
    Unclear,
    Nothing,
}

impl Station {
    pub(super) fn look_number(&self, id: &OrderId, out: &mut Vec<Effect>) {
        if let Some(order) = self.orders.get(id) {
            out.push(Effect::LookNumber {
                order: id.clone(),
                account: order.account.clone(),
                number: order.number.clone(),
                urgent: self.waiting_act(id).is_some(),
            });
        }
    }

    /// A sale order pushes itself: nobody waits for it.
    pub(super) fn push(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        self.job(id, now).waiting = Waiting::Reply;
        self.look_number(id, out);
    }

    /// Nothing is pushed to this account for a while.
    pub(super) fn push_pauses(&self, account: &AccountName, now: Moment) -> bool {
        self.push_pause
            .get(account)
            .is_some_and(|until| now.mono < *until)
    }

    pub(super) fn pause_pushes(&mut self, id: &OrderId, span: Duration, now: Moment) {
        if let Some(order) = self.orders.get(id) {
            self.push_pause
                .insert(order.account.clone(), now.mono.plus(span));
        }
    }

    /// The look by number has answered.
    pub(super) fn looked_number(
        &mut self,
        id: &OrderId,
        result: Result<Vec<(RemoteOrder, Option<Order>)>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let intent = order.intent.as_ref().map(|i| i.kind);
        if intent.is_some_and(|kind| kind != IntentKind::Create) || !self.jobs.contains_key(id) {
            return;
        }
        self.nothing_in_flight(id);
        let hits = match result {
            Ok(hits) => hits,
            Err(failure) if intent.is_some() => {
                self.look_failed(id, &failure, now, out);
                return;
            }
            Err(failure) => {
                self.number_unread(id, &failure, now, out);
                return;
            }
        };
        self.came_online(out);
        match (self.which(id, hits), intent) {
            (Found::Ours(remote), Some(_)) => self.pushed(id, &remote, now, out),
            (Found::Nothing, Some(_)) => self.looked_clear(id, now, out),
            (Found::Archived, Some(_)) => {
                self.purchase_refused(id, Code::OrderCancelled, "", now, out);
            }
            (Found::Unclear | Found::Before(_), Some(_)) => {
                let why = "the new order in Starshipit cannot be told from others";
                self.purchase_refused(id, Code::OrderAmbiguous, why, now, out);
            }
            (Found::Ours(remote), None) => self.adopted(id, &remote, now, out),
            (Found::Before(before), None) => self.was_before(id, &before, now, out),
            (Found::Nothing, None) => self.not_there(id, now, out),
            (Found::Archived, None) => self.number_refused(id, Code::OrderCancelled, "", now, out),
            (Found::Unclear, None) => {
                let why = "Starshipit has another order of this number";
                self.number_refused(id, Code::OrderAmbiguous, why, now, out);
            }
        }
    }

    /// The reply that a scan found on its way is here: what the scan does from now on is its own.
    fn nothing_in_flight(&mut self, id: &OrderId) {
        if let Some(running) = self
            .waiting_act(id)
            .and_then(|act| self.running.get_mut(&act))
        {
            running.took_over = false;
        }
    }

    /// Which of the hits is this order's (contract 3).
    fn which(&mut self, id: &OrderId, hits: Vec<(RemoteOrder, Option<Order>)>) -> Found {
        let Some(order) = self.orders.get(id) else {
            return Found::Unclear;
        };
        let elsewhere = |known: &Option<Order>| known.as_ref().is_some_and(|k| k.id != *id);
        let before = hits.iter().find(|(remote, known)| {
            !remote.archived
                && elsewhere(known)
                && known.as_ref().is_some_and(|k| {
                    k.number.eq_ignore_ascii_case(&order.number)
                        && k.sale
                            .as_ref()
                            .zip(order.sale.as_ref())
                            .is_some_and(|(a, b)| a.customer.same(&b.customer) && a.uuid != b.uuid)
                })
        });
        if let Some(known) = before.and_then(|(_, known)| known.clone()) {
            let before = known.id.clone();
            self.adopt_record(known);
            return Found::Before(before);
        }
        let ours = |remote: &RemoteOrder| is_ours(order, remote);
        let mut live: Vec<&RemoteOrder> = Vec::new();
        let mut others = false;
        let mut archived = false;
        for (remote, known) in &hits {
            match (ours(remote) && !elsewhere(known), remote.archived) {
                (true, false) => live.push(remote),
                (true, true) => archived = true,
                (false, false) => others = true,
                (false, true) => {}
            }
        }
        match live.as_slice() {
            [one] => Found::Ours(Box::new((*one).clone())),
            [] if others => Found::Unclear,
            [] if archived => Found::Archived,
            [] => Found::Nothing,
            // Made twice (a create that came late, CartonCloud's own link): the label decides, else the
            // first, so that every bench takes the same one.
            several if several.iter().all(|r| has_reference(order, r)) => {
                let mut printed = several.iter().filter(|r| r.is_printed());
                let first = several.iter().min_by_key(|r| r.order_id);
                match (printed.next(), printed.next()) {
                    (None, _) => {
                        first.map_or(Found::Unclear, |r| Found::Ours(Box::new((**r).clone())))
                    }
                    (Some(one), None) => Found::Ours(Box::new((**one).clone())),
                    (Some(_), Some(_)) => Found::Unclear,
                }
            }
            _ => Found::Unclear,
        }
    }

    /// Starshipit has it: no create.
    fn adopted(&mut self, id: &OrderId, remote: &RemoteOrder, now: Moment, out: &mut Vec<Effect>) {
        let act = self.waiting_act(id);
        let record = self.change(id, now, |order| {
            order.order_id = remote.order_id;
            if matches!(order.standing, Standing::Refused(_)) {
                order.standing = Standing::Resting;
            }
        });
        self.is_durable(id, record, out);
        match act {
            Some(act) => self.decide_remote(act, id, remote, now, out),
            None => {
                self.jobs.remove(id);
                self.tend_now(id);
            }
        }
    }

    /// Deleted and entered again: the order of the ledger stays the same one, with a new link.
    fn was_before(&mut self, id: &OrderId, before: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let act = self.jobs.remove(id).and_then(|job| job.act);
        let link = self.orders.get_mut(id).and_then(|order| order.sale.take());
        let dropped = self.change(id, now, |order| order.standing = Standing::Cancelled);
        let kept = self.change(before, now, |order| {
            let bought = order.live().next().is_some();
            let print = order.sale.take().map(|sale| sale.fingerprint);
            order.sale = link;
            if let (true, Some(sale), Some(print)) = (bought, &mut order.sale, print) {
                sale.fingerprint = print;
            }
        });
        paper::remember(dropped.into_iter().chain(kept).collect(), out);
        self.before.remove(before);
        if let Some(act) = act {
            self.decide(act, before, now, out);
        }
    }

    /// Starshipit does not have it: it is created here, or waited for.
    fn not_there(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let act = self.waiting_act(id);
        let Some(order) = self.orders.get(id) else {
            return;
        };
        if order.order_id != 0 {
            // It was there: deleted in Starshipit's own screen, and never made again by itself.
            let why = "it is gone from Starshipit";
            self.number_refused(id, Code::OrderCancelled, why, now, out);
            return;
        }
        let enabled = self
            .settings
            .route_of(order)
            .is_some_and(|n| self.settings.routes[n].push.enabled);
        if enabled && self.settings.push_duty {
            self.create(id, act, now, out);
            return;
        }
        if act.is_none() {
            self.jobs.remove(id);
            return;
        }
        let wait = self.settings.pusher_wait;
        let job = self.job(id, now);
        let until = *job.pusher_until.get_or_insert(now.mono.plus(wait));
        if now.mono >= until {
            self.number_refused(id, Code::NotPushed, "", now, out);
        } else {
            job.waiting = Waiting::Pusher {
                at: now.mono.plus(PUSHER_LOOKS).min(until),
            };
        }
    }

    /// Creates: intent first, then exactly one request.
    fn create(&mut self, id: &OrderId, act: Option<ActId>, now: Moment, out: &mut Vec<Effect>) {
        let with = act.and_then(|act| self.running.get(&act));
        let with = with.map_or_else(Choices::default, |r| r.act.with.clone());
        let before = self.orders.share(id);
        let record = self.change(id, now, |order| {
            order.standing = Standing::Resting;
            order.intent = Some(Intent {
                kind: IntentKind::Create,
                order_id: 0,
                sends: 1,
                sent_at: now.wall,
                with,
                ahead: false,
            });
        });
        let records = record.into_iter().collect();
        match act {
            Some(act) => self.accept(act, records, out),
            None => {
                self.unbacked
                    .extend(before.map(|order| (id.clone(), order)));
                paper::remember(records, out);
            }
        }
        self.send_intent(id, now, out);
    }

    /// Create has answered, or not.
    pub(super) fn created(
        &mut self,
        id: &OrderId,
        result: Result<RemoteOrder, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.unbacked.remove(id);
        let creating = self
            .orders
            .get(id)
            .and_then(|o| o.intent.as_ref())
            .is_some_and(|i| i.kind == IntentKind::Create);
        if !creating {
            return;
        }
        self.nothing_in_flight(id);
        match result {
            Ok(remote) => {
                self.came_online(out);
                self.pushed(id, &remote, now, out);
            }
            Err(failure) => {
                let refused = matches!(failure, CallFailure::Refused { .. });
                if !refused && self.waiting_act(id).is_none() {
                    self.pause_pushes(id, PAUSE, now);
                }
                self.call_failed(id, failure, now, out);
            }
        }
    }

    /// The order is in Starshipit, and its id is durable before anything else is done with it.
    fn pushed(&mut self, id: &OrderId, remote: &RemoteOrder, now: Moment, out: &mut Vec<Effect>) {
        let record = self.change(id, now, |order| {
            order.intent = None;
            order.order_id = remote.order_id;
        });
        self.is_durable(id, record, out);
        let act = self.waiting_act(id);
        let stands_there = |act: &ActId| self.running.get(act).is_some_and(|r| !r.act.queued);
        match act.filter(stands_there) {
            Some(act) => self.decide_remote(act, id, remote, now, out),
            // Its scan waits for RESUME, if there was one.
            None => {
                self.jobs.remove(id);
                self.tend_now(id);
            }
        }
    }

    /// A record of its own, which a later refusal of the same list does not take back.
    fn is_durable(&mut self, id: &OrderId, record: Option<Record>, out: &mut Vec<Effect>) {
        paper::remember(record.into_iter().collect(), out);
        self.before.remove(id);
    }

    /// What the account refuses whatever the order is must not be asked for each order.
    pub(super) fn push_refused(&mut self, id: &OrderId, code: Code, now: Moment) -> bool {
        let its_own = !matches!(
            code,
            Code::StarshipitUnauthorized
                | Code::QuotaExhausted
                | Code::RateLimited
                | Code::CartoncloudUnauthorized
                | Code::Internal
        );
        if !its_own {
            self.pause_pushes(id, LONG_PAUSE, now);
        }
        its_own
    }

    fn number_unread(
        &mut self,
        id: &OrderId,
        failure: &CallFailure,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(act) = self.jobs.remove(id).and_then(|job| job.act) else {
            self.pause_pushes(id, PAUSE, now);
            return;
        };
        match failure {
            CallFailure::NotSent { .. } | CallFailure::Unknown { .. } => {
                self.went_offline(now);
                self.queue_or_refuse(act, now, out);
            }
            CallFailure::Throttled { .. } | CallFailure::Refused { .. } => {
                let detail = match failure {
                    CallFailure::Refused { detail, .. } => detail.as_str(),
                    _ => "",
                };
                let reply = self.coded(Outcome::Refused, failure.code(), Some(detail));
                self.end_act(act, Vec::new(), reply, out);
            }
        }
    }

    /// Nothing is created, and it is known why.
    fn number_refused(
        &mut self,
        id: &OrderId,
        code: Code,
        why: &str,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let act = self.jobs.remove(id).and_then(|job| job.act);
        let mark = Standing::Refused(code);
        let news =
            code != Code::NotPushed && self.orders.get(id).is_some_and(|o| o.standing != mark);
        let record = news
            .then(|| self.change(id, now, |order| order.standing = mark))
            .flatten();
        let records = record.into_iter().collect();
        match act {
            Some(act) => {
                let reply = self.coded(Outcome::Refused, code, Some(why));
                self.end_act(act, records, reply, out);
            }
            None => paper::remember(records, out),
        }
    }

    /// The ledger had no room for what nobody waits for: it was not done, and the poll tells again.
    pub(super) fn no_room(&mut self, orders: &[OrderId], now: Moment, out: &mut Vec<Effect>) {
        for id in orders {
            if let Some(mut before) = self.unbacked.remove(id) {
                let order = self.orders.get(id);
                if let Some(order) = order {
                    Arc::make_mut(&mut before).seq = order.seq;
                }
                let ahead = order
                    .and_then(|o| o.intent.as_ref())
                    .is_some_and(|i| i.ahead);
                let act = self.jobs.remove(id).and_then(|job| job.act);
                self.orders.insert(before);
                let count = ahead.then(|| self.not_bought_ahead(id, now)).flatten();
                paper::remember(count.into_iter().collect(), out);
                if let Some(act) = act {
                    // A scan came in between and waited for what was not done.
                    let reply = self.coded(Outcome::Refused, Code::QueueFull, None);
                    self.end_act(act, Vec::new(), reply, out);
                }
            }
        }
    }
}

fn has_reference(order: &Order, remote: &RemoteOrder) -> bool {
    let named = |text: &&String| !text.trim().is_empty();
    match (
        remote.reference.as_ref().filter(named),
        order.reference.as_ref().filter(named),
    ) {
        (Some(theirs), Some(ours)) => theirs.trim().eq_ignore_ascii_case(ours.trim()),
        _ => false,
    }
}

/// A Starshipit order is this one's: equal references, or none there and the same name and postcode.
pub(super) fn is_ours(order: &Order, remote: &RemoteOrder) -> bool {
    if remote
        .reference
        .as_ref()
        .is_some_and(|r| !r.trim().is_empty())
    {
        return has_reference(order, remote);
    }
    let same = |a: &Option<String>, b: &Option<String>| match (a, b) {
        (Some(a), Some(b)) => !a.trim().is_empty() && a.trim().eq_ignore_ascii_case(b.trim()),
        _ => false,
    };
    same(&order.recipient, &remote.recipient)
        && same(&super::links::postcode(order), &remote.postcode)
}
