//! What an act does with the order it found: the decision table of product.md section 3.
//!
//! Over 500 lines because the decision table is read as one.

use super::{Confirm, Effect, Elsewhere, LookFor, QuestionKind, ScanMode, Station, Waiting};
use crate::domain::order::{Choices, PageState, Standing};
use crate::domain::{
    ActId, ActKind, Code, Moment, Order, OrderId, Outcome, PageRole, RemoteOrder, ScanReply, State,
};

impl Station {
    /// Makes sure that this act may work on the order. `false`: it has been answered, or has taken
    /// the place of an act that waited; there is nothing more to do.
    pub(super) fn claim(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> bool {
        let unresolved = self.orders.get(id).is_some_and(|o| o.intent.is_some());
        if unresolved && !self.jobs.contains_key(id) {
            self.job(id, now).waiting = Waiting::Look { at: now.mono };
        }
        let Some(job) = self.jobs.get(id) else {
            return true;
        };
        if job.waiting == Waiting::Ahead {
            // Nobody's look, and after everything else: a scan makes its own.
            self.jobs.remove(id);
            return true;
        }
        if job.act == Some(act) {
            return true;
        }
        let busy = job
            .act
            .and_then(|other| self.running.get(&other))
            .is_some_and(|other| !other.act.queued);
        if !busy {
            // A queued act whose purchase is unresolved, or one that a person gave up.
            self.take_over(act, id, now, out);
            return false;
        }
        let kind = self.running.get(&act).map_or(ActKind::Ship, |r| r.act.kind);
        let mut reply = ScanReply::new(
            Outcome::Ignored,
            match kind {
                ActKind::Ship => "This order is being worked on.",
                _ => "This order is being worked on; give the command again when it is done.",
            },
        );
        reply.order = self.orders.get(id).map(|o| o.number.clone());
        self.end_act(act, Vec::new(), reply, out);
        false
    }

    /// The table, from what the ledger knows.
    pub(super) fn decide(&mut self, act: ActId, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some(order) = self.orders.get(id) else {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        };
        let state = order.state();
        let account = order.account.clone();
        // Bought and never on paper: it is released like any held label, after its re-check.
        let elsewhere = order.is_elsewhere();
        let held = order.needs_label()
            && !order
                .live()
                .flat_map(|s| &s.pages)
                .any(|p| p.role == PageRole::Label && matches!(p.state, PageState::Printed(_)));
        let Some(running) = self.running.get_mut(&act) else {
            return;
        };
        running.order = Some(id.clone());
        let kind = running.act.kind;
        if !self.claim(act, id, now, out) || self.orders.get(id).is_none_or(|o| o.intent.is_some())
        {
            // An unresolved call goes on by itself; only its outcome ends the act.
            return;
        }
        match (kind, state) {
            (ActKind::Ship, State::InDoubt) | (ActKind::NextParcel, State::InDoubt) => {
                self.ask_doubt(act, id, now, out);
            }
            // Made elsewhere, and heard of by reconcile: asked about like any such label.
            (ActKind::Ship | ActKind::Reprint, _) if elsewhere => {
                self.look_before(act, id, now, out);
            }
            (ActKind::Reprint, State::InDoubt) => self.doubt_answered(act, id, false, now, out),
            (ActKind::Ship, _) if self.orders.get(id).is_some_and(Order::needs_label) => {
                self.release_held(act, id, now, out);
            }
            (ActKind::Ship, _) if self.has_shipment(id) => {
                self.already_printed(act, id, now, out);
            }
            (ActKind::Reprint, _) if held => self.release_held(act, id, now, out),
            (ActKind::Reprint, _) if self.has_shipment(id) => self.reprint(act, id, now, out),
            (ActKind::Reprint, _) => {
                // Never printed here: Starshipit tells whether there is anything to reprint.
                self.look_before(act, id, now, out);
            }
            (ActKind::Redo | ActKind::NextParcel, _)
                if self.has_shipment(id) && !self.unread_sale(act, id) =>
            {
                let replace = kind == ActKind::Redo;
                self.remake(act, id, replace, Vec::new(), now, out);
            }
            (ActKind::Redo | ActKind::NextParcel, _) => self.look_before(act, id, now, out),
            (ActKind::Ship, _) => {
                // Refused, expired, cancelled or only known: Starshipit has the last word. A
                // replaced order may have a new number, and an answered question has no text of
                // its own: there the id is asked.
                let by_text = self
                    .running
                    .get(&act)
                    .is_some_and(|r| self.is_text_of(id, &r.act.text))
                    && self.linked_sale(id).is_none();
                if by_text && self.orders.get(id).is_some_and(|o| o.shipments.is_empty()) {
                    self.find(act, Some(account), now, out);
                } else {
                    self.look_before(act, id, now, out);
                }
            }
        }
    }

    pub(super) fn has_shipment(&self, id: &OrderId) -> bool {
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
        let sale = self.linked_sale(id).filter(|_| {
            self.running
                .get(&act)
                .is_some_and(|running| !running.checked)
        });
        if let Some(running) = self.running.get_mut(&act) {
            running.order = Some(id.clone());
        }
        if !self.claim(act, id, now, out) || self.orders.get(id).is_none_or(|o| o.intent.is_some())
        {
            return;
        }
        if order_id == 0 {
            // Not in Starshipit yet: its sale order tells what becomes of it.
            self.find_sale(act, now, out);
            return;
        }
        self.work_on(act, id, now);
        self.accept(act, Vec::new(), out);
        out.push(Effect::Look {
            order: id.clone(),
            account,
            order_id,
            why: LookFor::Act,
            sale,
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
        // A label that the ledger has already (it came while this act looked): the rest of its story
        // is decided from the ledger, and nothing is printed a second time for having been asked twice.
        let ours = self
            .orders
            .get(id)
            .is_some_and(|o| !o.is_elsewhere() && o.live().any(|s| s.order_id == remote.order_id));
        if ours && !remote.archived {
            self.jobs.remove(id);
            if kind == ActKind::Reprint
                && let Some(running) = self.running.get_mut(&act)
            {
                running.act.kind = ActKind::Ship;
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
        let with = self.weighed(id, with, remote);
        if let Some(code) = self.missing(id, &with, remote, confirmed) {
            self.ask_before(act, id, code, with, remote, now, out);
            return;
        }
        self.buy(act, id, remote, with, now, out);
    }

    /// What must be asked before buying; `Some(None)` = only a YES.
    pub(super) fn missing(
        &self,
        id: &OrderId,
        with: &Choices,
        remote: &RemoteOrder,
        confirmed: bool,
    ) -> Option<Option<Code>> {
        if self.settings.mode == ScanMode::Arm && !confirmed {
            return Some(None);
        }
        match self.confirm_of(id) {
            Confirm::Never => None,
            _ if super::weigh::is_weightless(with, remote) => Some(Some(Code::WeightMissing)),
            Confirm::Always if !confirmed => Some(None),
            Confirm::Missing | Confirm::Always => None,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one row of the decision table")]
    pub(super) fn ask_before(
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
    pub(super) fn labelled_elsewhere(
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
            match order
                .shipments
                .iter_mut()
                .find(|s| s.order_id == remote.order_id)
            {
                Some(known) => known.tracking.clone_from(&remote.tracking),
                None => order.shipments.push(super::seen::elsewhere(remote, now)),
            }
        });
        self.work_on(act, id, now);
        self.watch_for_number(id, now);
        if remake {
            self.remake(
                act,
                id,
                kind == ActKind::Redo,
                record.into_iter().collect(),
                now,
                out,
            );
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

    /// A new scan of an order whose job has nobody waiting any more.
    pub(super) fn take_over(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        // A push that nobody waited for: its reply is on its way, and what follows from it makes this
        // act durable. Two records of one act must not be refused one after the other.
        let pushing = !self.has_shipment(id)
            && self
                .jobs
                .get(id)
                .is_some_and(|job| job.act.is_none() && job.waiting == Waiting::Reply);
        let before = self.jobs.get(id).and_then(|job| job.act);
        if let Some(before) = before.filter(|before| *before != act) {
            let reply = ScanReply::new(Outcome::Ignored, "Scanned again; the newer scan goes on.");
            self.end_act(before, Vec::new(), reply, out);
        }
        if pushing {
            self.work_on(act, id, now);
            if let Some(running) = self.running.get_mut(&act) {
                running.took_over = true;
            }
            return;
        }
        let queued = self
            .orders
            .get(id)
            .is_some_and(|o| o.standing == Standing::Queued);
        let record = queued
            .then(|| self.change(id, now, |order| order.standing = Standing::Resting))
            .flatten();
        self.work_on(act, id, now);
        // Bought before anybody stood here with it: the re-check comes before the paper.
        self.job(id, now).unchecked = self
            .orders
            .get(id)
            .is_some_and(|o| o.intent.is_none() && super::ahead::is_unused(o).is_some());
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
            running.took_over = true;
        }
        self.accept(act, record.into_iter().collect(), out);
        // Looked at by the next tick, not in this list: if the ledger has no room for this act, the
        // look must not be one that is waited for and never made.
        if let Some(job) = self.jobs.get_mut(id)
            && let Waiting::Look { at } = &mut job.waiting
        {
            *at = now.mono;
        }
    }
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
