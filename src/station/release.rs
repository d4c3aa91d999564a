//! A label that is bought: released after its re-check (P7), or printed again.

use super::{Effect, LookFor, Station, Unverified, Waiting};
use crate::domain::order::{PageState, Standing};
use crate::domain::{
    ActId, ActKind, CallFailure, Code, Moment, OrderId, Outcome, PageRole, RemoteOrder, SaleOrder,
    System,
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
        let Some((account, order_id)) = self.orders.get(id).and_then(|o| {
            Some((
                o.account.clone(),
                o.live().find(|s| super::paper::is_next(s))?.order_id,
            ))
        }) else {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        };
        self.work_on(act, id, now);
        self.job(id, now).waiting = Waiting::Reply;
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        self.accept(act, Vec::new(), out);
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
        let hold = self.settings.unverified == Unverified::Hold;
        let remote = match result {
            Ok(Some(remote)) if remote.archived => Some((Code::OrderCancelled, "")),
            Ok(Some(remote)) => self
                .orders
                .get(id)
                .is_some_and(|o| !o.fingerprint.is_empty() && o.fingerprint != remote.fingerprint)
                .then_some((Code::OrderChanged, "")),
            Ok(None) => Some((Code::OrderCancelled, "")),
            Err(failure) => hold.then(|| (failure.code(), "")),
        };
        let gone = matches!(sale, Some(Ok(None)));
        let refusal = remote.or_else(|| match &sale {
            None | Some(Ok(None)) => None,
            Some(Ok(Some(sale))) => self.sale_changed(id, sale),
            Some(Err(failure)) => hold.then(|| (failure.code_of(System::Cartoncloud), "")),
        });
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
        if let Some(act) = act {
            self.note_ship(act, id, now);
        }
        let record = self.change(id, now, |order| order.standing = Standing::Released);
        // "Released" and "sending page 1" are one record where nothing else is to be done first.
        self.go_on_with(id, record.into_iter().collect(), now, out);
    }

    /// What has happened to its sale order since the label was bought.
    fn sale_changed(&self, id: &OrderId, sale: &SaleOrder) -> Option<(Code, &'static str)> {
        let order = self.orders.get(id)?;
        if let Some(refusal) = super::sales::refusal(sale) {
            return Some(refusal);
        }
        let may = |rule: &super::PushRule| {
            let mut statuses = rule.statuses.iter();
            statuses.any(|s| s.eq_ignore_ascii_case("DISPATCHED"))
        };
        let route = self.settings.route_of(order);
        if sale.status == "DISPATCHED" && !route.is_some_and(|n| may(&self.settings.routes[n].push))
        {
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
