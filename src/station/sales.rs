//! From a scan to exactly one sale order of CartonCloud, and what it means for shipping.
//!
//! Which order of the ledger it is, is `links.rs`.

use super::{Effect, LookFor, Lookup, Station, Waiting, paper};
use crate::domain::order::Standing;
use crate::domain::outcome::Candidate;
use crate::domain::{
    ActId, ActKind, CallFailure, Code, Command, Moment, Order, OrderId, Outcome, SaleOrder,
    Shippable, System,
};

impl Station {
    /// Texts by which CartonCloud is asked for an act: its order's own, then what was scanned.
    fn sale_texts(&self, act: ActId) -> Vec<(Lookup, String)> {
        let Some(running) = self.running.get(&act) else {
            return Vec::new();
        };
        let order = running.order.as_ref().and_then(|id| self.orders.get(id));
        let link = order.and_then(|o| Some((o, o.sale.as_ref()?)));
        let mut texts = Vec::new();
        texts.extend(link.map(|(_, sale)| (Lookup::Id, sale.uuid.clone())));
        if Command::parse(&self.settings.prefix, &running.act.text).is_none() {
            texts.extend(self.settings.sale_lookups(running.act.text.as_str()));
        }
        // A deleted order that was entered again has its number.
        texts.extend(link.map(|(order, _)| (Lookup::OrderNumber, order.number.clone())));
        let mut seen = std::collections::BTreeSet::new();
        texts.retain(|(lookup, text)| {
            seen.insert((format!("{lookup:?}"), text.to_ascii_lowercase()))
        });
        texts
    }

    /// Asks CartonCloud which sale order is meant. The scan is durable and accepted before.
    pub(super) fn find_sale(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
        let texts = self.sale_texts(act);
        if texts.is_empty() {
            self.find(act, None, now, out);
            return;
        }
        if let Some(running) = self.running.get_mut(&act) {
            running.stage_since = now.mono;
        }
        if self.known_away(act, System::Cartoncloud, now) {
            self.sale_away(act, now, out);
            return;
        }
        self.accept(act, Vec::new(), out);
        out.push(Effect::FindSale { act, texts });
    }

    /// The sale order of a linked order does not answer to its UUID any more: looked for once by its
    /// number, since it may have been entered again.
    pub(super) fn find_sale_again(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.jobs.remove(id);
        let sought = self
            .running
            .get_mut(&act)
            .is_some_and(|r| std::mem::replace(&mut r.sought, true));
        if sought {
            self.sale_refused(act, id, Code::OrderCancelled, "", now, out);
        } else {
            self.find_sale(act, now, out);
        }
    }

    /// CartonCloud's answer to a scan.
    pub(super) fn found_sale(
        &mut self,
        act: ActId,
        result: Result<Vec<(SaleOrder, Option<Order>)>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if !self.running.contains_key(&act) {
            return;
        }
        self.stage_done(Some(act), now, |t, ms| t.resolve = Some(ms));
        let hits = match result {
            Ok(hits) => hits,
            Err(failure) => {
                self.sale_unread(act, &failure, now, out);
                return;
            }
        };
        self.sales_came_online(out);
        let mut meant = exact(hits, &self.sale_texts(act));
        // A rejected twin is not meant while another lives.
        if meant
            .iter()
            .any(|(sale, _)| sale.shippable() != Shippable::Cancelled)
        {
            meant.retain(|(sale, _)| sale.shippable() != Shippable::Cancelled);
        }
        let routed = |sale: &SaleOrder| self.settings.sale_route(sale).is_some();
        if meant.len() > 1 && meant.iter().any(|(sale, _)| routed(sale)) {
            meant.retain(|(sale, _)| routed(sale));
        }
        if meant.len() > 1 {
            let account = |sale: &SaleOrder| {
                let route = self.settings.sale_route(sale);
                route.map_or_else(String::new, |n| self.settings.routes[n].account.to_string())
            };
            let candidates = meant
                .iter()
                .map(|(sale, _)| Candidate {
                    id: OrderId::cartoncloud(&sale.uuid).to_string(),
                    account: account(sale),
                })
                .collect();
            self.ambiguous(act, candidates, out);
            return;
        }
        if let Some((sale, known)) = meant.pop() {
            self.sale_found(act, &sale, known, now, out);
            return;
        }
        // Nothing: gone, if it was there before; else perhaps an order that only Starshipit has.
        let gone = self.running.get(&act).and_then(|r| r.order.clone());
        let gone = gone.filter(|id| self.orders.get(id).is_some_and(|o| o.sale.is_some()));
        match gone {
            Some(id) => self.sale_refused(act, &id, Code::OrderCancelled, "", now, out),
            None => self.find(act, None, now, out),
        }
    }

    /// CartonCloud could not be asked.
    pub(super) fn sale_unread(
        &mut self,
        act: ActId,
        failure: &CallFailure,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match failure {
            CallFailure::NotSent { .. } | CallFailure::Unknown { .. } => {
                self.sales_went_offline(now);
                self.sale_away(act, now, out);
            }
            CallFailure::Throttled { .. } | CallFailure::Refused { .. } => {
                let detail = match failure {
                    CallFailure::Refused { detail, .. } => detail.as_str(),
                    _ => System::Cartoncloud.name(),
                };
                let code = failure.code_of(System::Cartoncloud);
                let reply = self.coded(Outcome::Refused, code, Some(detail));
                self.end_act(act, Vec::new(), reply, out);
            }
        }
    }

    fn sale_away(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
        if let Some(running) = self.running.get_mut(&act) {
            running.away = System::Cartoncloud;
        }
        self.queue_or_refuse(act, now, out);
    }

    /// Exactly one sale order is meant.
    pub(super) fn sale_found(
        &mut self,
        act: ActId,
        sale: &SaleOrder,
        known: Option<Order>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let id = self.order_of_sale(sale, known, true).map(|(id, _)| id);
        if let Some(id) = id.clone().filter(|id| self.has_shipment(id)) {
            // What its sale order says now is asked again, with its label, where paper or money goes.
            self.now_about(act, &id, out);
            self.decide(act, &id, now, out);
            return;
        }
        if let Some((code, detail)) = refusal(sale) {
            match id {
                Some(id) => self.sale_refused(act, &id, code, detail, now, out),
                None => {
                    let mut reply = self.coded(Outcome::Refused, code, Some(detail));
                    reply.order = Some(sale.number.clone());
                    self.end_act(act, Vec::new(), reply, out);
                }
            }
            return;
        }
        let Some(route) = self.settings.sale_route(sale) else {
            let mut reply = self.coded(
                Outcome::Refused,
                Code::AccountUnknown,
                Some(&sale.customer.name),
            );
            reply.order = Some(sale.number.clone());
            self.end_act(act, Vec::new(), reply, out);
            return;
        };
        let id = id.unwrap_or_else(|| self.new_of_sale(sale, route, now));
        self.now_about(act, &id, out);
        if !self.claim(act, &id, now, out)
            || self.orders.get(&id).is_none_or(|o| o.intent.is_some())
        {
            return;
        }
        self.work_on(act, &id, now);
        self.job(&id, now).waiting = Waiting::Reply;
        let mut durable = true;
        if let Some(running) = self.running.get_mut(&act) {
            running.checked = true;
            durable = running.durable;
        }
        if !durable {
            self.accept(act, Vec::new(), out);
        }
        let order_id = self.orders.get(&id).map_or(0, |o| o.order_id);
        if order_id == 0 {
            self.look_number(&id, out);
            return;
        }
        let account = self.orders.get(&id).map(|o| o.account.clone());
        out.push(Effect::Look {
            order: id,
            account: account.unwrap_or_default(),
            order_id,
            why: LookFor::Act,
            sale: None,
            within: None,
        });
    }

    /// The act is about this order now; nobody waits for the one it was about before.
    fn now_about(&mut self, act: ActId, id: &OrderId, out: &mut Vec<Effect>) {
        let before = self
            .running
            .get_mut(&act)
            .and_then(|running| running.order.replace(id.clone()));
        if let Some(before) = before.filter(|before| before != id) {
            let record = self.rest(&before);
            paper::remember(record.into_iter().collect(), out);
        }
    }

    /// Its sale order forbids it.
    pub(super) fn sale_refused(
        &mut self,
        act: ActId,
        id: &OrderId,
        code: Code,
        detail: &str,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        // A job of somebody else's goes on.
        if self.waiting_act(id) == Some(act) {
            self.jobs.remove(id);
        }
        let mark = Standing::Refused(code);
        let free = !self.jobs.contains_key(id)
            && self
                .orders
                .get(id)
                .is_some_and(|o| o.standing != mark && o.intent.is_none());
        let record = free
            .then(|| self.change(id, now, |order| order.standing = mark))
            .flatten();
        self.now_about(act, id, out);
        let reply = self.coded(Outcome::Refused, code, Some(detail));
        self.end_act(act, record.into_iter().collect(), reply, out);
    }

    /// The sale order, read before an act spends money or paper. `false`: the act has been answered,
    /// or looks again.
    pub(super) fn sale_allows(
        &mut self,
        act: ActId,
        id: &OrderId,
        sale: Result<Option<Box<SaleOrder>>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> bool {
        match sale {
            Err(failure) => {
                self.jobs.remove(id);
                self.sale_unread(act, &failure, now, out);
                false
            }
            Ok(None) => {
                self.sales_came_online(out);
                self.find_sale_again(act, id, now, out);
                false
            }
            Ok(Some(sale)) => {
                self.sales_came_online(out);
                if let Some((code, detail)) = refusal(&sale) {
                    self.sale_refused(act, id, code, detail, now, out);
                    return false;
                }
                self.order_of_sale(&sale, None, false);
                self.job(id, now).sale_print = Some(sale.fingerprint.clone());
                if let Some(running) = self.running.get_mut(&act) {
                    running.checked = true;
                }
                true
            }
        }
    }

    /// A person's command that changes a label must know what its sale order says first.
    pub(super) fn unread_sale(&self, act: ActId, id: &OrderId) -> bool {
        self.linked_sale(id).is_some() && self.running.get(&act).is_some_and(|r| !r.checked)
    }

    /// REDO and NEXT-PARCEL buy for what the sale order says now.
    pub(super) fn remakes(&self, act: ActId, id: &OrderId) -> bool {
        self.has_shipment(id)
            && self
                .running
                .get(&act)
                .is_some_and(|r| matches!(r.act.kind, ActKind::Redo | ActKind::NextParcel))
    }
}

/// Why a sale order is not shipped.
pub(super) fn refusal(sale: &SaleOrder) -> Option<(Code, &'static str)> {
    match sale.shippable() {
        Shippable::Cancelled => Some((Code::OrderCancelled, "CartonCloud says REJECTED")),
        Shippable::OnHold if sale.status == "DRAFT" => {
            Some((Code::OrderOnHold, "CartonCloud says DRAFT"))
        }
        Shippable::OnHold => Some((Code::OrderOnHold, "CartonCloud says AWAITING_STOCK")),
        Shippable::Yes if sale.pickup => Some((
            Code::OrderOnHold,
            "its customer picks it up: nothing is shipped",
        )),
        Shippable::Yes => None,
    }
}

/// What CartonCloud offered, checked: the hits of the first text that has any, exact ones before the
/// first parts of composite references.
fn exact(
    hits: Vec<(SaleOrder, Option<Order>)>,
    texts: &[(Lookup, String)],
) -> Vec<(SaleOrder, Option<Order>)> {
    let whole = |sale: &SaleOrder, lookup: Lookup, text: &str| match lookup {
        Lookup::Id => sale.uuid.eq_ignore_ascii_case(text),
        Lookup::Numeric => sale.numeric_id.as_deref() == Some(text),
        _ => sale.number.eq_ignore_ascii_case(text),
    };
    let part = |sale: &SaleOrder, lookup: Lookup, text: &str| {
        lookup == Lookup::OrderNumber
            && sale
                .number
                .split_once(" | ")
                .is_some_and(|(first, _)| first.trim().eq_ignore_ascii_case(text))
    };
    for (lookup, text) in texts {
        for fits in [
            &whole as &dyn Fn(&SaleOrder, Lookup, &str) -> bool,
            &part as &dyn Fn(&SaleOrder, Lookup, &str) -> bool,
        ] {
            if !hits.iter().any(|(sale, _)| fits(sale, *lookup, text)) {
                continue;
            }
            let mut meant: Vec<(SaleOrder, Option<Order>)> = Vec::new();
            for hit in hits {
                let again = meant.iter().any(|(sale, _)| sale.uuid == hit.0.uuid);
                if fits(&hit.0, *lookup, text) && !again {
                    meant.push(hit);
                }
            }
            return meant;
        }
    }
    Vec::new()
}
