//! A label that is bought: released after its re-check (P7), or printed again.

use super::{Effect, LookFor, Station, Unverified, Waiting};
use crate::domain::order::{Deed, PageState, Standing};
use crate::domain::{
    ActId, ActKind, CallFailure, Code, Moment, OrderId, Outcome, PageRole, RemoteOrder, SaleOrder,
    Shipment, Shippable, Source, System,
};

impl Station {
    /// A label that is bought and not printed: re-checked (P7), then printed.
    pub(super) fn release_held(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let next = |o: &crate::domain::Order| o.live().any(super::paper::is_next);
        if !self.orders.get(id).is_some_and(next) {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        }
        self.work_on(act, id, now);
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
            running.stage_since = now.mono;
        }
        self.accept(act, Vec::new(), out);
        self.recheck(id, now, out);
    }

    /// The re-check of a held label: nothing of it is sent before this has answered or run out of time.
    pub(super) fn recheck(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some((account, order_id)) = self.orders.get(id).and_then(|o| {
            Some((
                o.account.clone(),
                o.live().find(|s| super::paper::is_next(s))?.order_id,
            ))
        }) else {
            return;
        };
        let job = self.job(id, now);
        (job.waiting, job.unchecked) = (Waiting::Reply, false);
        out.push(Effect::Look {
            order: id.clone(),
            account,
            order_id,
            why: LookFor::Recheck,
            sale: self.linked_sale(id),
            within: Some(self.settings.recheck),
        });
    }

    /// The re-check of a held label has ended: what Starshipit says, and its sale order.
    pub(super) fn rechecked(
        &mut self,
        id: &OrderId,
        result: &Result<Option<RemoteOrder>, CallFailure>,
        sale: Option<Result<Option<Box<SaleOrder>>, CallFailure>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let act = self.waiting_act(id);
        // One that was linked and not asked about (no time, no CartonCloud) is not verified.
        let unread = Err(CallFailure::Unknown {
            detail: "not asked".to_owned(),
        });
        let sale = self.linked_sale(id).map(|_| sale.unwrap_or(unread));
        let hold = self.holds_unverified(id, now);
        // What cannot be asked now is judged by what was heard last.
        let heard = self.known_trouble(id);
        let cancelled = heard.filter(|(code, _)| *code == Code::OrderCancelled);
        let remote = match result {
            Ok(Some(remote)) if remote.archived => Some((Code::OrderCancelled, "")),
            Ok(Some(remote)) => self
                .orders
                .get(id)
                .is_some_and(|o| !o.fingerprint.is_empty() && o.fingerprint != remote.fingerprint)
                .then_some((Code::OrderChanged, "")),
            Ok(None) => Some((Code::OrderCancelled, "")),
            Err(failure) => cancelled.or_else(|| hold.then(|| (failure.code(), ""))),
        };
        let gone = matches!(sale, Some(Ok(None)));
        let refusal = remote.or_else(|| match &sale {
            None | Some(Ok(None)) => None,
            Some(Ok(Some(sale))) => self.sale_changed(id, sale),
            Some(Err(failure)) => {
                heard.or_else(|| hold.then(|| (failure.code_of(System::Cartoncloud), "")))
            }
        });
        let unverified = result.is_err() || matches!(sale, Some(Err(_)));
        self.stage_done(act, now, |t, ms| t.recheck = Some(ms));
        if let Some(Ok(_)) = &sale {
            self.sales_came_online(out);
        }
        if let Some((code, detail)) = refusal {
            self.jobs.remove(id);
            let cancelled = Standing::Refused(Code::OrderCancelled);
            let news = code == Code::OrderCancelled
                && self.orders.get(id).is_some_and(|o| o.standing != cancelled);
            // Its writebacks are not owed any more, unless they were due before.
            let record = news
                .then(|| self.change(id, now, |order| order.standing = cancelled))
                .flatten();
            let records: Vec<_> = record.into_iter().collect();
            match act {
                Some(act) => {
                    let reply = self.coded(Outcome::Refused, code, Some(detail));
                    self.end_act(act, records, reply, out);
                }
                None => super::paper::remember(records, out),
            }
            return;
        }
        if let Some(act) = act.filter(|_| gone) {
            self.find_sale_again(act, id, now, out);
            return;
        }
        let record = self.change(id, now, |order| {
            order.standing = Standing::Released;
            let unprinted = |s: &&mut Shipment| !s.superseded && !s.is_printed();
            for shipment in order.shipments.iter_mut().filter(unprinted) {
                shipment.unverified = unverified;
            }
        });
        // "Released" and "sending page 1" are one record where nothing else is to be done first.
        self.go_on_with(id, record.into_iter().collect(), now, out);
    }

    /// A label that cannot be re-checked waits: by its route's rule, or because it is old.
    fn holds_unverified(&self, id: &OrderId, now: Moment) -> bool {
        let Some(order) = self.orders.get(id) else {
            return true;
        };
        let route = self.settings.route_of(order);
        let holds = |n: usize| self.settings.routes[n].ahead.unverified == Unverified::Hold;
        let old = super::ahead::is_unused(order)
            .is_some_and(|s| now.wall.since(s.at) > self.settings.max_age);
        route.is_some_and(holds) || old
    }

    /// Why a held label must not print, as far as was heard without asking.
    pub(super) fn known_trouble(&self, id: &OrderId) -> Option<(Code, &'static str)> {
        let order = self.orders.get(id)?;
        if matches!(
            order.standing,
            Standing::Cancelled | Standing::Refused(Code::OrderCancelled)
        ) {
            return Some((Code::OrderCancelled, ""));
        }
        let link = order.sale.as_ref()?;
        match Shippable::of(&link.status) {
            Shippable::Cancelled => {
                return Some((Code::OrderCancelled, "CartonCloud says REJECTED"));
            }
            Shippable::OnHold => return Some((Code::OrderOnHold, "")),
            Shippable::Yes => {}
        }
        if link.status == "DISPATCHED" && !self.ships_dispatched(order) {
            return Some((Code::OrderOnHold, "CartonCloud says DISPATCHED"));
        }
        let changed =
            !link.fingerprint.is_empty() && !link.seen.is_empty() && link.seen != link.fingerprint;
        changed.then_some((Code::OrderChanged, ""))
    }

    /// A label that printed without its re-check, looked at when that is possible again: what would
    /// have been refused is told, loudly, since its parcel may still stand here.
    pub(super) fn looked_afterwards(
        &mut self,
        id: &OrderId,
        result: Result<Option<RemoteOrder>, CallFailure>,
        sale: Option<Result<Option<Box<SaleOrder>>, CallFailure>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Ok(remote) = result else {
            return;
        };
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let (number, bought_for) = (order.number.clone(), order.fingerprint.clone());
        let trouble = match &remote {
            None => Some((Code::OrderCancelled, "")),
            Some(remote) if remote.archived => Some((Code::OrderCancelled, "")),
            Some(remote) => (!bought_for.is_empty() && bought_for != remote.fingerprint)
                .then_some((Code::OrderChanged, "")),
        };
        let trouble = trouble.or(match &sale {
            Some(Err(_)) => return,
            Some(Ok(None)) => Some((Code::OrderCancelled, "")),
            Some(Ok(Some(sale))) => self.sale_changed(id, sale),
            None => None,
        });
        self.came_online(out);
        self.tend_now(id);
        let deed = trouble.map(|(code, _)| Deed {
            at: now.wall,
            what: format!("printed unchecked, and was {}", code.as_str()),
            by: Source {
                trigger: "re-check".to_owned(),
                user: None,
            },
            reason: None,
        });
        let told = deed.as_ref().map(|deed| deed.by.clone());
        let record = self.change(id, now, |order| {
            for shipment in &mut order.shipments {
                shipment.unverified = false;
            }
            if let Some(deed) = deed {
                order.note(deed);
            }
        });
        super::paper::remember(record.into_iter().collect(), out);
        if let (Some((code, _)), Some(source)) = (trouble, told) {
            let mut reply = self.coded(Outcome::Refused, code, None);
            reply.message = format!(
                "The label of {number} printed while nobody could be asked, and it is wrong: {} Keep its parcel here.",
                code.explain().happened
            );
            reply.order = Some(number.clone());
            self.answer_directly(None, source, number, reply, out);
        }
    }

    /// A sale order that says DISPATCHED may still ship: its route pushes such orders, or prints them.
    fn ships_dispatched(&self, order: &crate::domain::Order) -> bool {
        let dispatched = "DISPATCHED";
        self.settings.route_of(order).is_some_and(|n| {
            let route = &self.settings.routes[n];
            let mut statuses = route.push.statuses.iter();
            statuses.any(|s| s.eq_ignore_ascii_case(dispatched)) || route.on(dispatched).is_some()
        })
    }

    /// What has happened to its sale order since the label was bought.
    fn sale_changed(&self, id: &OrderId, sale: &SaleOrder) -> Option<(Code, &'static str)> {
        let order = self.orders.get(id)?;
        if let Some(refusal) = super::sales::refusal(sale) {
            return Some(refusal);
        }
        if sale.status == "DISPATCHED" && !self.ships_dispatched(order) {
            return Some((Code::OrderOnHold, "CartonCloud says DISPATCHED"));
        }
        let bought_for = &order.sale.as_ref()?.fingerprint;
        (!bought_for.is_empty() && *bought_for != sale.fingerprint)
            .then_some((Code::OrderChanged, ""))
    }

    /// REPRINT of what was printed here: every live label page again.
    pub(super) fn reprint(&mut self, act: ActId, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        self.note(id, now, "reprint", act);
        let parcels = self
            .running
            .get(&act)
            .map(|r| r.parcels.clone())
            .unwrap_or_default();
        let record = self.change(id, now, |order| {
            order.standing = Standing::Released;
            let labels = order
                .shipments
                .iter_mut()
                .filter(|s| !s.superseded)
                .flat_map(|s| &mut s.pages)
                .filter(|page| page.role == PageRole::Label);
            for (n, page) in (1..).zip(labels) {
                if parcels.is_empty() || parcels.contains(&n) {
                    page.state = PageState::Todo;
                    page.at = now.wall;
                }
            }
        });
        // Once the pages are "to do" the act is an ordinary one: after a crash it must not start over.
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        self.accept(act, record.into_iter().collect(), out);
        self.work_on(act, id, now);
        self.go_on(id, now, out);
    }
}
