//! What an act does with the order it found: the decision table of product.md section 3.

use super::{
    Confirm, Effect, Elsewhere, LookFor, QuestionKind, ScanMode, Station, Unverified, Waiting,
};
use crate::domain::order::{Choices, Origin, PageState, Standing};
use crate::domain::outcome::Candidate;
use crate::domain::{
    AccountName, ActId, ActKind, CallFailure, Code, Moment, Order, OrderId, Outcome, PageRole,
    RemoteOrder, ScanReply, ScanText, Shipment, State,
};

impl Station {
    /// The ledger's answer: at most one order may be meant.
    pub(super) fn recalled(
        &mut self,
        act: ActId,
        found: Vec<Order>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let text = running.act.text.clone();
        let asked = running.asked;
        for order in found {
            self.adopt_record(order);
        }
        let mut fitting: Vec<&Order> = self
            .orders
            .values()
            .filter(|order| order.aliases().contains(&text.folded()))
            .collect();
        // A number means more than a reference, a reference more than anything else.
        for tier in [
            |o: &Order, t: &ScanText| o.number.eq_ignore_ascii_case(t.as_str()),
            |o: &Order, t: &ScanText| {
                o.reference
                    .as_ref()
                    .is_some_and(|r| r.eq_ignore_ascii_case(t.as_str()))
            },
        ] {
            if fitting.iter().any(|o| tier(o, &text)) {
                fitting.retain(|o| tier(o, &text));
                break;
            }
        }
        match fitting.as_slice() {
            [] if asked => {
                let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
                self.end_act(act, Vec::new(), reply, out);
            }
            [] => self.find(act, None, now, out),
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

    /// Takes over a record of the ledger unless the core knows a newer one.
    pub(super) fn adopt_record(&mut self, order: Order) {
        match self.orders.get(&order.id) {
            Some(known) if known.seq >= order.seq => {}
            _ => {
                self.orders.insert(order.id.clone(), order);
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
        let (accounts, texts) = match (account, named_order(&id)) {
            // `ORDER-ss:<account>:<id>` names exactly one Starshipit order.
            (_, Some((account, order_id))) if self.knows_account(&account) => {
                self.accept(act, Vec::new(), out);
                out.push(Effect::Look {
                    order: OrderId::starshipit(&account, order_id),
                    account: account.clone(),
                    order_id,
                    why: LookFor::Act,
                    within: None,
                });
                let named = OrderId::starshipit(&account, order_id);
                self.work_on(act, &named, now);
                return;
            }
            (Some(account), _) => (vec![account], self.settings.lookups(text.as_str())),
            (None, _) => (
                self.settings.accounts_for(text.as_str()),
                self.settings.lookups(text.as_str()),
            ),
        };
        if accounts.is_empty() {
            let reply = self.coded(Outcome::Refused, Code::AccountUnknown, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        }
        self.accept(act, Vec::new(), out);
        out.push(Effect::Find {
            act,
            accounts,
            texts,
        });
    }

    fn knows_account(&self, account: &AccountName) -> bool {
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
        match live.len() {
            0 if archived.is_empty() => {
                let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
                self.end_act(act, Vec::new(), reply, out);
            }
            0 => {
                let reply = self.coded(Outcome::Refused, Code::OrderCancelled, None);
                self.end_act(act, Vec::new(), reply, out);
            }
            1 => {
                if let Some((remote, known)) = live.into_iter().next() {
                    let id = self.adopt(remote.clone(), known, text.as_str(), now);
                    if let Some(running) = self.running.get_mut(&act) {
                        running.order = Some(id.clone());
                    }
                    self.decide_remote(act, &id, &remote, now, out);
                }
            }
            _ => {
                let candidates = live
                    .iter()
                    .map(|(remote, known)| Candidate {
                        id: known.as_ref().map_or_else(
                            || OrderId::starshipit(&remote.account, remote.order_id).0,
                            |order| order.id.0.clone(),
                        ),
                        account: remote.account.to_string(),
                    })
                    .collect();
                self.ambiguous(act, candidates, out);
            }
        }
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
            order.account == remote.account
                && (order.order_id == remote.order_id
                    || order
                        .shipments
                        .iter()
                        .any(|s| s.order_id == remote.order_id))
        }) {
            return known.id.clone();
        }
        let id = OrderId::starshipit(&remote.account, remote.order_id);
        let printer = self
            .settings
            .printer_for(&remote.account, text)
            .unwrap_or_default();
        self.orders.insert(
            id.clone(),
            Order {
                id: id.clone(),
                seq: 0,
                number: remote.number,
                reference: remote.reference,
                account: remote.account,
                order_id: remote.order_id,
                recipient: remote.recipient,
                printer,
                standing: Standing::Resting,
                shipments: Vec::new(),
                intent: None,
                fingerprint: String::new(),
                deeds: Vec::new(),
                created: now.wall,
                updated: now.wall,
            },
        );
        id
    }

    /// The table, from what the ledger knows.
    pub(super) fn decide(&mut self, act: ActId, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let state = order.state();
        let account = order.account.clone();
        let Some(running) = self.running.get_mut(&act) else {
            return;
        };
        running.order = Some(id.clone());
        let kind = running.act.kind;
        if let Some(job) = self.jobs.get_mut(id) {
            // A queued act whose purchase is unresolved, or one that a person gave up: this scan
            // takes its place. Otherwise it is the same act, and nothing more happens.
            let taken = job.act.and_then(|other| self.running.get(&other));
            match taken {
                Some(other) if !other.act.queued => {
                    let reply = ScanReply::new(
                        Outcome::Ignored,
                        match other.act.kind {
                            ActKind::Ship => "This order is being worked on.",
                            _ => "This order is being worked on; scan it again when it is done.",
                        },
                    );
                    self.end_act(act, Vec::new(), reply, out);
                    return;
                }
                _ => {
                    self.take_over(act, id, now, out);
                    return;
                }
            }
        }
        match (kind, state) {
            (ActKind::Ship, State::InDoubt) | (ActKind::NextParcel, State::InDoubt) => {
                self.ask_doubt(act, id, now, out);
            }
            (ActKind::Reprint, State::InDoubt) => self.doubt_answered(act, id, false, now, out),
            (ActKind::Ship, _) if self.orders.get(id).is_some_and(Order::needs_label) => {
                self.release_held(act, id, now, out);
            }
            (ActKind::Ship, _) if self.has_shipment(id) => {
                self.already_printed(act, id, now, out);
            }
            (ActKind::Reprint, _) if self.has_shipment(id) => self.reprint(act, id, now, out),
            (ActKind::Reprint, _) => {
                // Never printed here: Starshipit tells whether there is anything to reprint.
                self.look_before(act, id, now, out);
            }
            (ActKind::Redo | ActKind::NextParcel, _) if self.has_shipment(id) => {
                let replace = kind == ActKind::Redo;
                self.remake(act, id, replace, now, out);
            }
            (ActKind::Redo | ActKind::NextParcel, _) => self.look_before(act, id, now, out),
            (ActKind::Ship, _) => {
                // Refused, expired, cancelled or only known: Starshipit has the last word. A
                // replaced order may have a new number, and an answered question has no text of
                // its own: there the id is asked.
                let by_text = self
                    .running
                    .get(&act)
                    .is_some_and(|r| self.is_text_of(id, &r.act.text));
                if by_text && self.orders.get(id).is_some_and(|o| o.shipments.is_empty()) {
                    self.find(act, Some(account), now, out);
                } else {
                    self.look_before(act, id, now, out);
                }
            }
        }
    }

    fn has_shipment(&self, id: &OrderId) -> bool {
        self.orders
            .get(id)
            .is_some_and(|o| o.live().next().is_some())
    }

    /// A fresh look at the order's own Starshipit id, before money or paper is spent on it.
    pub(super) fn look_before(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(order) = self.orders.get(id) else {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        };
        let (account, order_id) = (order.account.clone(), order.order_id);
        self.work_on(act, id, now);
        self.accept(act, Vec::new(), out);
        out.push(Effect::Look {
            order: id.clone(),
            account,
            order_id,
            why: LookFor::Act,
            within: None,
        });
    }

    /// The table, from what Starshipit shows now.
    pub(super) fn decide_remote(
        &mut self,
        act: ActId,
        id: &OrderId,
        remote: &RemoteOrder,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(running) = self.running.get(&act) else {
            self.jobs.remove(id);
            return;
        };
        let (kind, confirmed, with) = (
            running.act.kind,
            running.act.confirmed,
            running.act.with.clone(),
        );
        // A label that the ledger has already: the rest of its story is decided from the ledger.
        let ours = self
            .orders
            .get(id)
            .is_some_and(|o| o.live().any(|s| s.order_id == remote.order_id) || o.intent.is_some());
        if ours && !remote.archived {
            // An unresolved call keeps its job: only its outcome ends it.
            if self.orders.get(id).is_none_or(|o| o.intent.is_none()) {
                self.jobs.remove(id);
            }
            self.decide(act, id, now, out);
            return;
        }
        if remote.archived {
            self.jobs.remove(id);
            let record = self.change(id, now, |order| {
                order.standing = Standing::Refused(Code::OrderCancelled);
            });
            let reply = self.coded(Outcome::Refused, Code::OrderCancelled, None);
            self.end_act(act, record.into_iter().collect(), reply, out);
            return;
        }
        if remote.is_printed() {
            self.labelled_elsewhere(act, id, remote, kind, confirmed, now, out);
            return;
        }
        match kind {
            ActKind::Reprint => {
                self.jobs.remove(id);
                let reply = self.coded(
                    Outcome::Refused,
                    Code::NoQuestion,
                    Some("this order has no label yet; scan it to ship it"),
                );
                self.end_act(act, Vec::new(), reply, out);
                return;
            }
            // Nothing to replace or to add to yet: the order's own label comes first.
            ActKind::Ship | ActKind::Redo | ActKind::NextParcel => {}
        }
        let with = completed(with, remote);
        if let Some(code) = self.missing(&with, remote, confirmed) {
            self.ask_before(act, id, code, with, remote, now, out);
            return;
        }
        self.buy(act, id, remote, with, now, out);
    }

    /// What must be asked before buying; `Some(None)` = only a YES.
    fn missing(
        &self,
        with: &Choices,
        remote: &RemoteOrder,
        confirmed: bool,
    ) -> Option<Option<Code>> {
        if self.settings.mode == ScanMode::Arm && !confirmed {
            return Some(None);
        }
        let weightless = if with.parcels.is_empty() {
            !remote.has_weight()
        } else {
            with.parcels.iter().any(|p| p.weight_kg <= 0.0)
        };
        match self.settings.confirm {
            Confirm::Never => None,
            _ if weightless => Some(Some(Code::WeightMissing)),
            Confirm::Always if !confirmed => Some(None),
            Confirm::Missing | Confirm::Always => None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one row of the decision table")]
    fn ask_before(
        &mut self,
        act: ActId,
        id: &OrderId,
        code: Option<Code>,
        with: Choices,
        remote: &RemoteOrder,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.jobs.remove(id);
        let kind = self.running.get(&act).map_or(ActKind::Ship, |r| r.act.kind);
        let parcels = with.parcels.len().max(remote.parcels.len()).max(1);
        let shown = format!(
            "{}, {parcels} parcel{}",
            remote
                .carrier_name
                .as_deref()
                .or(remote.carrier.as_deref())
                .unwrap_or("courier by account rules"),
            if parcels == 1 { "" } else { "s" }
        );
        let mut reply = match code {
            Some(code) => self.coded(Outcome::Question, code, Some(&shown)),
            None => {
                let mut reply = ScanReply::new(
                    Outcome::Question,
                    format!("Ship with {shown}? Nothing is bought until you say YES."),
                );
                reply.next = format!("{}YES", self.settings.prefix);
                reply
            }
        };
        reply.order = Some(remote.number.clone());
        self.open_question(act, id, code, QuestionKind::Before { kind, with }, now);
        // A question is about a known order: its scan is done.
        let record = self.change(id, now, |order| order.standing = Standing::Resting);
        self.end_act(act, record.into_iter().collect(), reply, out);
    }

    #[expect(clippy::too_many_arguments, reason = "one row of the decision table")]
    fn labelled_elsewhere(
        &mut self,
        act: ActId,
        id: &OrderId,
        remote: &RemoteOrder,
        kind: ActKind,
        confirmed: bool,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let fetch = match kind {
            ActKind::Reprint => true,
            ActKind::Ship => confirmed || self.settings.elsewhere == Elsewhere::PrintOnce,
            ActKind::Redo | ActKind::NextParcel => false,
        };
        let remake = matches!(kind, ActKind::Redo | ActKind::NextParcel);
        if !fetch && !remake {
            self.jobs.remove(id);
            let refuse = self.settings.elsewhere == Elsewhere::Refuse;
            let mut reply = self.coded(
                if refuse {
                    Outcome::Refused
                } else {
                    Outcome::Question
                },
                Code::PrintedElsewhere,
                None,
            );
            reply.tracking.clone_from(&remote.tracking);
            if refuse {
                // YES is not offered where the shop does not want it; REPRINT is a person's deed.
                reply.next = format!("{}REPRINT", self.settings.prefix);
                self.remember_last(act, id, now);
            } else {
                let code = Some(Code::PrintedElsewhere);
                self.open_question(act, id, code, QuestionKind::Elsewhere, now);
            }
            let record = self.change(id, now, |order| order.standing = Standing::Resting);
            self.end_act(act, record.into_iter().collect(), reply, out);
            return;
        }
        // Its number has reached the station: durable before anything else happens (P2).
        self.note(
            id,
            now,
            if fetch { "print-elsewhere" } else { "adopt" },
            act,
        );
        let record = self.change(id, now, |order| {
            order.fingerprint.clone_from(&remote.fingerprint);
            order.standing = if fetch {
                Standing::Released
            } else {
                Standing::Resting
            };
            order.shipments.push(Shipment {
                order_id: remote.order_id,
                carrier: remote.carrier_name.clone().unwrap_or_default(),
                tracking: remote.tracking.clone(),
                documents: Vec::new(),
                stored: false,
                pages: Vec::new(),
                superseded: false,
                untracked: false,
                origin: Origin::Elsewhere,
                at: now.wall,
            });
        });
        self.work_on(act, id, now);
        if remake {
            out.push(super::Effect::Remember(record.into_iter().collect()));
            self.remake(act, id, kind == ActKind::Redo, now, out);
            return;
        }
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        self.accept(act, record.into_iter().collect(), out);
        self.go_on(id, now, out);
    }

    pub(super) fn already_printed(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.remember_last(act, id, now);
        let detail = self.orders.get(id).map(|order| {
            let at = order
                .live()
                .flat_map(|s| &s.pages)
                .filter(|p| p.role == PageRole::Label)
                .map(|p| p.at)
                .max()
                .unwrap_or(order.updated);
            format!(
                "{} on {}",
                crate::domain::time::ago(now.wall, at),
                order
                    .live()
                    .flat_map(|s| &s.pages)
                    .find(|p| p.role == PageRole::Label)
                    .map_or_else(|| order.printer.to_string(), |p| p.printer.to_string())
            )
        });
        let reply = self.coded(Outcome::Refused, Code::AlreadyPrinted, detail.as_deref());
        self.end_act(act, Vec::new(), reply, out);
    }

    pub(super) fn ask_doubt(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let code = Code::PrinterInDoubt;
        self.open_question(act, id, Some(code), QuestionKind::InDoubt, now);
        let reply = self.coded(Outcome::Question, code, None);
        self.end_act(act, Vec::new(), reply, out);
    }

    /// A label that is bought and not printed: re-checked (P7), then printed.
    fn release_held(&mut self, act: ActId, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some((account, order_id)) = self
            .orders
            .get(id)
            .and_then(|o| Some((o.account.clone(), o.live().next()?.order_id)))
        else {
            return;
        };
        self.work_on(act, id, now);
        self.job(id, now).waiting = Waiting::Reply;
        self.accept(act, Vec::new(), out);
        out.push(Effect::Look {
            order: id.clone(),
            account,
            order_id,
            why: LookFor::Recheck,
            within: Some(self.settings.recheck),
        });
    }

    /// The re-check of a held label has ended.
    pub(super) fn rechecked(
        &mut self,
        id: &OrderId,
        result: &Result<Option<RemoteOrder>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let act = self.waiting_act(id);
        let refusal = match result {
            Ok(Some(remote)) if remote.archived => Some(Code::OrderCancelled),
            Ok(Some(remote)) => self
                .orders
                .get(id)
                .is_some_and(|o| !o.fingerprint.is_empty() && o.fingerprint != remote.fingerprint)
                .then_some(Code::OrderChanged),
            Ok(None) => Some(Code::OrderCancelled),
            Err(failure) => (self.settings.unverified == Unverified::Hold).then(|| failure.code()),
        };
        if let Some(code) = refusal {
            self.jobs.remove(id);
            if let Some(act) = act {
                self.remember_last(act, id, now);
                let reply = self.coded(Outcome::Refused, code, None);
                self.end_act(act, Vec::new(), reply, out);
            }
            return;
        }
        let record = self.change(id, now, |order| order.standing = Standing::Released);
        // "Released" and "sending page 1" are one record where nothing else is to be done first.
        self.go_on_with(id, record.into_iter().collect(), now, out);
    }

    /// REPRINT of what was printed here: every live label page again.
    fn reprint(&mut self, act: ActId, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
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
        self.remember_last(act, id, now);
        // Once the pages are "to do" the act is an ordinary one: after a crash it must not start over.
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        self.accept(act, record.into_iter().collect(), out);
        self.work_on(act, id, now);
        self.go_on(id, now, out);
    }

    /// A new scan of an order whose job has nobody waiting any more.
    fn take_over(&mut self, act: ActId, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let before = self.jobs.get(id).and_then(|job| job.act);
        if let Some(before) = before.filter(|before| *before != act) {
            let reply = ScanReply::new(Outcome::Ignored, "Scanned again; the newer scan goes on.");
            self.end_act(before, Vec::new(), reply, out);
        }
        let record = self.change(id, now, |order| {
            if order.standing == Standing::Queued {
                order.standing = Standing::Resting;
            }
        });
        self.work_on(act, id, now);
        self.accept(act, record.into_iter().collect(), out);
        if let Some(job) = self.jobs.get_mut(id)
            && let Waiting::Look { at } = &mut job.waiting
        {
            *at = now.mono;
        }
        self.run_due(id, now, out);
    }
}

/// `ss:<account>:<order_id>`, as an ORDER barcode names an order.
pub(super) fn named_order(id: &OrderId) -> Option<(AccountName, i64)> {
    let (account, order_id) = id.as_str().strip_prefix("ss:")?.rsplit_once(':')?;
    Some((AccountName(account.to_owned()), order_id.parse().ok()?))
}

/// Parcels that a person asked for, with what the order knows about weight and size.
fn completed(mut with: Choices, remote: &RemoteOrder) -> Choices {
    if with.parcels.is_empty() {
        return with;
    }
    let parcels_weight: f64 = remote.parcels.iter().map(|p| p.weight_kg).sum();
    let total = if parcels_weight > 0.0 {
        parcels_weight
    } else {
        remote.items_weight_kg
    };
    #[expect(clippy::cast_precision_loss, reason = "at most 20 parcels")]
    let share = (total / with.parcels.len() as f64 * 1000.0).round() / 1000.0;
    for parcel in &mut with.parcels {
        if parcel.weight_kg <= 0.0 {
            parcel.weight_kg = share;
        }
        if let Some(size) = remote.parcels.first()
            && parcel.length_m <= 0.0
        {
            parcel.length_m = size.length_m;
            parcel.width_m = size.width_m;
            parcel.height_m = size.height_m;
        }
    }
    with
}

fn failure_detail(account: &AccountName, failure: &CallFailure) -> String {
    match failure {
        CallFailure::Refused { detail, .. } => format!("account {account}: {detail}"),
        _ => format!("account {account}"),
    }
}
