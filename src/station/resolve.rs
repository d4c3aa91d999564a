//! From a text to exactly one order: the ledger first, then Starshipit.

use super::{Effect, LookFor, Station};
use crate::domain::order::Standing;
use crate::domain::outcome::Candidate;
use crate::domain::reading::{self, Meaning, Reading};
use crate::domain::{
    AccountName, ActId, CallFailure, Code, Moment, Order, OrderId, Outcome, RemoteOrder, ScanText,
    System,
};
use std::sync::Arc;

impl Station {
    /// The ledger's answer: at most one order may be meant.
    pub(super) fn recalled(
        &mut self,
        act: ActId,
        found: Vec<Order>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let held = self.running.get(&act).and_then(|r| r.order.clone());
        if let Some(id) = held.filter(|id| self.waiting_act(id) == Some(act)) {
            // It was kept for this act until its first record was durable.
            self.jobs.remove(&id);
        }
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let wanted = self.recall_text(&running.act.text);
        let asked = running.asked;
        for order in found {
            self.adopt_record(order);
        }
        let mut fitting: Vec<&Order> = self.orders.named(&wanted).collect();
        // A number means more than a reference, a reference more than anything else.
        for tier in [
            |o: &Order, t: &str| o.number.eq_ignore_ascii_case(t),
            |o: &Order, t: &str| {
                o.reference
                    .as_ref()
                    .is_some_and(|r| r.eq_ignore_ascii_case(t))
            },
        ] {
            if fitting.iter().any(|o| tier(o, &wanted)) {
                fitting.retain(|o| tier(o, &wanted));
                break;
            }
        }
        // One that was given up is not meant while another of its name lives.
        let given_up = |o: &Order| o.standing == Standing::Cancelled && o.shipments.is_empty();
        if fitting.iter().any(|o| !given_up(o)) && fitting.len() > 1 {
            fitting.retain(|o| !given_up(o));
        }
        match fitting.as_slice() {
            [] if asked => {
                let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
                self.end_act(act, Vec::new(), reply, out);
            }
            [] if self.settings.cartoncloud => self.find_sale(act, now, out),
            [] => self.find(act, None, now, out),
            // Scanned before CartonCloud was set up: its sale order is looked for first.
            [one]
                if self.settings.cartoncloud
                    && !asked
                    && one.sale.is_none()
                    && one.shipments.is_empty()
                    && one.intent.is_none() =>
            {
                self.find_sale(act, now, out);
            }
            [one] => {
                let id = one.id.clone();
                self.decide(act, &id, now, out);
            }
            several => {
                let candidates = several
                    .iter()
                    .map(|o| Candidate {
                        id: o.id.to_string(),
                        account: o.account.to_string(),
                    })
                    .collect();
                self.ambiguous(act, candidates, out);
            }
        }
    }

    /// By what the ledger is asked: what a pattern makes of the scan, folded.
    pub(super) fn recall_text(&self, text: &ScanText) -> String {
        if text.folded().starts_with("cc:") {
            return text.folded();
        }
        // An address that CartonCloud prints names its order by the ledger's own identity.
        if let Reading::Means(means) = reading::read(text.as_str())
            && let [Meaning::Uuid(uuid)] = means.as_slice()
        {
            return format!("cc:{uuid}");
        }
        if self.settings.cartoncloud
            && let Some((_, text)) = self.settings.sale_lookups(text.as_str()).first()
        {
            return text.to_ascii_lowercase();
        }
        self.settings
            .lookups(text.as_str())
            .first()
            .map_or_else(|| text.folded(), |(_, text)| text.to_ascii_lowercase())
    }

    /// Takes over a record of the ledger unless the core knows a newer one.
    pub(super) fn adopt_record(&mut self, order: Order) {
        self.touched.insert(order.id.clone(), self.now.mono);
        match self.orders.get(&order.id) {
            Some(known) if known.seq >= order.seq => {}
            _ => {
                self.orders.insert(Arc::new(order));
            }
        }
    }

    pub(super) fn ambiguous(
        &mut self,
        act: ActId,
        candidates: Vec<Candidate>,
        out: &mut Vec<Effect>,
    ) {
        let mut reply = self.coded(Outcome::Refused, Code::OrderAmbiguous, None);
        reply.next = candidates
            .iter()
            .map(|c| format!("{}ORDER-{}", self.settings.prefix, c.id))
            .collect::<Vec<_>>()
            .join(" or ");
        reply.candidates = candidates;
        self.end_act(act, Vec::new(), reply, out);
    }

    /// Asks Starshipit. The scan is durable and accepted before the first byte goes out.
    pub(super) fn find(
        &mut self,
        act: ActId,
        account: Option<AccountName>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(running) = self.running.get_mut(&act) else {
            return;
        };
        running.stage_since = now.mono;
        let text = running.act.text.clone();
        let id = OrderId(text.to_string());
        let (accounts, texts) = match (account, named_order(id.as_str())) {
            // `ORDER-ss:<account>:<id>` names exactly one Starshipit order.
            (_, Some((account, order_id))) if self.knows_account(&account) => {
                let named = OrderId::starshipit(&account, order_id);
                if !self.claim(act, &named, now, out) {
                    return;
                }
                self.work_on(act, &named, now);
                self.accept(act, Vec::new(), out);
                out.push(Effect::Look {
                    order: named,
                    account,
                    order_id,
                    why: LookFor::Act,
                    sale: None,
                    within: None,
                });
                return;
            }
            (Some(account), _) => (vec![account], self.settings.lookups(text.as_str())),
            (None, _) => (
                self.settings.accounts_for(text.as_str()),
                self.settings.lookups(text.as_str()),
            ),
        };
        if texts.is_empty() {
            // GS1 data or an address without an order in it: there is nothing to ask for.
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        }
        if accounts.is_empty() {
            let reply = self.coded(Outcome::Refused, Code::AccountUnknown, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        }
        if self.known_away(act, System::Starshipit, now) {
            self.queue_or_refuse(act, now, out);
            return;
        }
        self.accept(act, Vec::new(), out);
        out.push(Effect::Find {
            act,
            accounts,
            texts,
        });
    }

    pub(super) fn knows_account(&self, account: &AccountName) -> bool {
        self.settings.routes.iter().any(|r| r.account == *account)
    }

    /// Starshipit's answer to a find.
    pub(super) fn found(
        &mut self,
        act: ActId,
        hits: Vec<(RemoteOrder, Option<Order>)>,
        failures: Vec<(AccountName, CallFailure)>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let text = running.act.text.clone();
        self.stage_done(Some(act), now, |t, ms| t.resolve = Some(ms));
        if hits.is_empty() || !failures.is_empty() {
            // One account that cannot answer might hold this number as well: a label of the wrong
            // account is worse than a wait. A key that is refused will not answer later either.
            let blocking = failures
                .iter()
                .find(|(_, f)| hits.is_empty() || !matches!(f, CallFailure::Refused { .. }));
            if let Some((account, failure)) = blocking {
                let detail = failure_detail(account, failure);
                match failure {
                    CallFailure::NotSent { .. } | CallFailure::Unknown { .. } => {
                        self.went_offline(now);
                        self.queue_or_refuse(act, now, out);
                    }
                    CallFailure::Throttled { .. } | CallFailure::Refused { .. } => {
                        let reply = self.coded(Outcome::Refused, failure.code(), Some(&detail));
                        self.end_act(act, Vec::new(), reply, out);
                    }
                }
                return;
            }
        }
        self.came_online(out);
        let (archived, live): (Vec<_>, Vec<_>) =
            hits.into_iter().partition(|(remote, _)| remote.archived);
        if live.is_empty() {
            let code = if archived.is_empty() {
                Code::OrderNotFound
            } else {
                Code::OrderCancelled
            };
            let reply = self.coded(Outcome::Refused, code, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        }
        // A replacement or an extra parcel is the same order here, whatever Starshipit calls it.
        let mut meant: Vec<(OrderId, RemoteOrder)> = Vec::new();
        for (remote, known) in live {
            let id = self.adopt(remote.clone(), known, text.as_str(), now);
            if meant.iter().all(|(other, _)| *other != id) {
                meant.push((id, remote));
            }
        }
        if let [(id, remote)] = meant.as_slice() {
            let before = self
                .running
                .get_mut(&act)
                .and_then(|running| running.order.replace(id.clone()));
            if let Some(before) = before.filter(|before| before != id) {
                // Its live twin takes its place: nobody waits for the archived one any more.
                let record = self.rest(&before);
                super::paper::remember(record.into_iter().collect(), out);
            }
            if !self.claim(act, id, now, out) {
                return;
            }
            if self.has_shipment(id) {
                self.decide(act, id, now, out);
            } else {
                self.decide_remote(act, id, remote, now, out);
            }
            return;
        }
        let candidates = meant
            .iter()
            .map(|(id, remote)| Candidate {
                id: id.0.clone(),
                account: remote.account.to_string(),
            })
            .collect();
        self.ambiguous(act, candidates, out);
    }

    /// The ledger order of a Starshipit order, made now if there is none.
    pub(super) fn adopt(
        &mut self,
        remote: RemoteOrder,
        known: Option<Order>,
        text: &str,
        now: Moment,
    ) -> OrderId {
        if let Some(known) = known {
            let id = known.id.clone();
            self.adopt_record(known);
            return id;
        }
        if let Some(known) = self.orders.values().find(|order| {
            order.account == remote.account && order.remote_ids().any(|id| id == remote.order_id)
        }) {
            return known.id.clone();
        }
        let id = OrderId::starshipit(&remote.account, remote.order_id);
        self.touched.insert(id.clone(), now.mono);
        let printer = self
            .settings
            .printer_for(&remote.account, text)
            .unwrap_or_default();
        self.orders.insert(Arc::new(Order {
            seq: self.first_seq,
            reference: remote.reference,
            order_id: remote.order_id,
            recipient: remote.recipient,
            ..Order::new(id.clone(), remote.number, remote.account, printer, now.wall)
        }));
        id
    }
}

/// `ss:<account>:<order_id>`, as an ORDER barcode names an order.
pub(super) fn named_order(name: &str) -> Option<(AccountName, i64)> {
    let (account, order_id) = name.strip_prefix("ss:")?.rsplit_once(':')?;
    Some((AccountName(account.to_owned()), order_id.parse().ok()?))
}

fn failure_detail(account: &AccountName, failure: &CallFailure) -> String {
    match failure {
        CallFailure::Refused { detail, .. } => format!("account {account}: {detail}"),
        _ => format!("account {account}"),
    }
}
