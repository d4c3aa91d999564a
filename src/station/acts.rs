//! An act's life: begun, accepted once it is durable, ended with one last answer; or refused because
//! the ledger is full, as if it had never been.

use super::{Effect, Running, Station, Token, Undo};
use crate::domain::order::{Choices, Deed, PageState, SHIP, Standing};
use crate::domain::{
    Act, ActId, ActKind, Code, Moment, Order, OrderId, Outcome, Record, ScanReply, ScanText,
    Signal, Source, Timings, WritebackState,
};
use std::sync::Arc;

impl Station {
    pub(super) fn begin(
        &mut self,
        token: Option<Token>,
        kind: ActKind,
        text: ScanText,
        source: Source,
        now: Moment,
    ) -> ActId {
        let id = ActId(self.next_act);
        self.next_act += 1;
        self.running.insert(
            id,
            Running {
                act: Act {
                    id,
                    seq: 0,
                    kind,
                    text,
                    source,
                    at: now.wall,
                    order: None,
                    queued: false,
                    with: Choices::default(),
                    confirmed: false,
                    reason: None,
                },
                token,
                durable: false,
                accepted: false,
                since: now.mono,
                order: None,
                parcels: Vec::new(),
                asked: false,
                began: kind,
                resumed: false,
                announce: false,
                ticket: false,
                took_over: false,
                checked: false,
                sought: false,
                away: crate::domain::System::Starshipit,
                undo: Undo::default(),
                shown_working: false,
                timings: Timings::default(),
                stage_since: now.mono,
            },
        );
        id
    }

    /// An order waits for the network, or is on its way to paper, only as long as somebody works on it.
    fn come_to_rest(&mut self, ended: &Running) -> Option<Record> {
        self.rest(ended.order.as_ref()?)
    }

    /// As above, for one order.
    pub(super) fn rest(&mut self, id: &OrderId) -> Option<Record> {
        let order = self.orders.get(id)?;
        let worked_on = self.jobs.contains_key(id);
        let waited_for = self
            .running
            .values()
            .any(|r| r.act.queued && r.order.as_ref() == Some(id));
        let rests = match order.standing {
            Standing::Queued => !waited_for,
            Standing::Released | Standing::WaitingPrinter(_) => !worked_on,
            Standing::Resting | Standing::Refused(_) | Standing::Expired | Standing::Cancelled => {
                false
            }
        };
        if !rests {
            return None;
        }
        let now = self.now;
        self.change(id, now, |order| order.standing = Standing::Resting)
    }

    /// Makes an act durable (with other records) and says "accepted", once.
    pub(super) fn accept(&mut self, id: ActId, mut records: Vec<Record>, out: &mut Vec<Effect>) {
        let Some(running) = self.running.get_mut(&id) else {
            if !records.is_empty() {
                out.push(Effect::Remember(records));
            }
            return;
        };
        running.act.order.clone_from(&running.order);
        running.act.seq += 1;
        running.durable = true;
        running.undo.token = None;
        self.refusable.insert(id);
        let mut act = running.act.clone();
        // Until its ticket is out it is, after a crash, one that waits for RESUME.
        act.queued |= running.announce;
        records.push(Record::Act(Box::new(act)));
        out.push(Effect::Remember(records));
        if !running.accepted {
            running.accepted = true;
            out.push(Effect::Signal(Signal::Accepted));
            let mut reply = ScanReply::new(
                Outcome::Accepted,
                match running.act.kind {
                    ActKind::Ship => "Accepted; the label follows.",
                    ActKind::Reprint => "Accepted; the same label follows.",
                    ActKind::Redo => "Accepted; a new label replaces the old one.",
                    ActKind::NextParcel => "Accepted; the label of one more parcel follows.",
                },
            );
            if let Some(order) = running.order.as_ref().and_then(|o| self.orders.get(o)) {
                reply.order = Some(order.number.clone());
                reply.tracking = order.tracking();
            }
            out.push(Effect::Answer {
                token: running.token,
                source: running.act.source.clone(),
                scanned: running.act.text.to_string(),
                reply: Box::new(reply),
                last: false,
            });
        }
    }

    /// Ends an act with its last answer. Records given here become durable first, in one go with
    /// the act's own end.
    pub(super) fn end_act(
        &mut self,
        id: ActId,
        mut records: Vec<Record>,
        mut reply: ScanReply,
        out: &mut Vec<Effect>,
    ) {
        let Some(running) = self.running.remove(&id) else {
            if !records.is_empty() {
                out.push(Effect::Remember(records));
            }
            return;
        };
        self.ended_while_told(id, &running);
        if let Some(record) = self.come_to_rest(&running) {
            records.push(record);
        }
        if running.durable {
            records.push(Record::ActEnded {
                id,
                seq: running.act.seq + 1,
            });
        }
        super::paper::remember(records, out);
        self.was_newest(&running.act.source, id, running.order.as_ref());
        reply.timings_ms = running.timings;
        let total = self.now.mono.since(running.since).as_millis();
        reply.timings_ms.total = u64::try_from(total).ok();
        if let Some(order) = running.order.as_ref().and_then(|id| self.orders.get(id)) {
            reply.order.get_or_insert_with(|| order.number.clone());
            if reply.tracking.is_empty() {
                reply.tracking = order.tracking();
            }
        }
        self.answer_directly(
            running.token,
            running.act.source.clone(),
            running.act.text.to_string(),
            reply,
            out,
        );
    }

    /// Keeps what a refusal of this input's records would have to put back.
    pub(super) fn keep_undo(&mut self) {
        for act in std::mem::take(&mut self.refusable) {
            let Some(running) = self.running.get_mut(&act) else {
                continue;
            };
            let id = running.order.as_ref();
            running.undo.order = id.and_then(|id| self.before.get(id)).map(Arc::clone);
            running.undo.seq = id.and_then(|id| self.orders.get(id)).map_or(0, |o| o.seq);
        }
    }

    /// The ledger has no room for new work: nothing of that list was done, so nothing of it may stay
    /// in memory. An unresolved call from before keeps its intent and its job.
    pub(super) fn full(&mut self, act: ActId, code: Code, now: Moment, out: &mut Vec<Effect>) {
        let Some(running) = self.running.get_mut(&act) else {
            self.ended_and_refused(act, code, out);
            return;
        };
        // Only its very first record can have kept it out of the ledger altogether.
        running.durable = running.act.seq > 1;
        running.act.queued = false;
        let undo = std::mem::take(&mut running.undo);
        if running.token.is_none() {
            running.token = undo.token;
        }
        let (id, took_over) = (running.order.clone(), running.took_over);
        // The call of the refused list was never made: nobody waits for its reply.
        let unmade = undo.order.as_ref().is_some_and(|before| {
            let now = self.orders.get(&before.id);
            before.intent.is_none() && now.is_some_and(|o| o.intent.is_some())
        });
        let mut freed = Vec::new();
        let mut records = Vec::new();
        if let Some(id) = &id {
            for (printer, line) in &mut self.lines {
                let was_busy = undo.order.as_ref().is_some_and(|o| {
                    o.shipments
                        .iter()
                        .flat_map(|s| &s.pages)
                        .any(|p| p.printer == *printer && p.state == PageState::Sending)
                });
                if undo.order.is_some() && line.busy.as_ref() == Some(id) && !was_busy {
                    line.busy = None;
                    freed.push(printer.clone());
                }
                if undo.order.is_some() {
                    line.waiting.retain(|waiting| waiting != id);
                }
            }
            if let Some(before) = undo.order {
                self.put_back(Arc::unwrap_or_clone(before));
                // A page that ended in between has taken the refused state to disk with it.
                if self.orders.get(id).is_some_and(|o| o.seq != undo.seq) {
                    records.extend(self.change(id, now, |_| {}));
                }
            }
            let unresolved = self.orders.get(id).is_some_and(|o| o.intent.is_some());
            if let Some(job) = self.jobs.get_mut(id).filter(|job| job.act == Some(act)) {
                job.act = None;
                if !unresolved && (!took_over || unmade) {
                    self.jobs.remove(id);
                }
            }
        }
        let reply = self.coded(Outcome::Refused, code, None);
        self.end_act(act, records, reply, out);
        for printer in freed {
            let left = self.start_page(&printer, Vec::new(), now, out);
            super::paper::remember(left, out);
        }
    }

    /// What people and calls decided goes back; what was learned in between (numbers, pages that
    /// ended) stays, and the sequence goes on counting.
    fn put_back(&mut self, before: Order) {
        let Some(order) = self.orders.get_mut(&before.id) else {
            return;
        };
        order
            .shipments
            .retain(|s| before.shipments.iter().any(|b| b.order_id == s.order_id));
        for shipment in &mut order.shipments {
            let Some(was) = before
                .shipments
                .iter()
                .find(|b| b.order_id == shipment.order_id)
            else {
                continue;
            };
            shipment.superseded = was.superseded;
            for (page, was) in shipment.pages.iter_mut().zip(&was.pages) {
                if was.state != PageState::Sending {
                    page.clone_from(was);
                }
            }
        }
        // A delivery that has ended in between has ended.
        let delivered = std::mem::take(&mut order.writebacks);
        order.writebacks = before.writebacks;
        for job in &mut order.writebacks {
            let now = delivered
                .iter()
                .find(|d| d.n == job.n && d.tracking == job.tracking);
            if let Some(now) = now.filter(|now| {
                !matches!(now.state, WritebackState::Waiting | WritebackState::Pending)
            }) {
                job.clone_from(now);
            }
        }
        if let (Some(link), Some(was)) = (&mut order.sale, &before.sale) {
            link.print_seen = was.print_seen;
            link.wanted = was.wanted;
            link.reached.clone_from(&was.reached);
        }
        order.order_id = before.order_id;
        order.intent = before.intent;
        order.standing = before.standing;
        order.fingerprint = before.fingerprint;
        order.deeds = before.deeds;
    }

    pub(super) fn answer_directly(
        &self,
        token: Option<Token>,
        source: Source,
        scanned: String,
        reply: ScanReply,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::Signal(signal_of(&reply)));
        out.push(Effect::Answer {
            token,
            source,
            scanned,
            reply: Box::new(reply),
            last: true,
        });
    }

    pub(super) fn coded(&self, outcome: Outcome, code: Code, detail: Option<&str>) -> ScanReply {
        ScanReply::coded(outcome, code, &self.settings.prefix, detail)
    }

    /// Changes an order and gives its new record; the caller makes it durable.
    pub(super) fn change(
        &mut self,
        id: &OrderId,
        now: Moment,
        change: impl FnOnce(&mut Order),
    ) -> Option<Record> {
        self.keep_before(id);
        // A person stands there and waits for its label: it is as good as on paper.
        let released = self
            .waiting_act(id)
            .and_then(|act| self.running.get(&act))
            .is_some_and(|running| !running.act.queued);
        let order = self.orders.get_mut(id)?;
        self.touched.insert(id.clone(), now.mono);
        change(order);
        let released = released
            && matches!(
                order.standing,
                Standing::Released | Standing::WaitingPrinter(_)
            );
        if let Some(route) = self.settings.route_of(order) {
            let rule = &self.settings.routes[route].writeback;
            super::writeback::plan(order, rule, released, now.wall);
        }
        order.seq += 1;
        order.updated = now.wall;
        self.orders.share(id).map(Record::Order)
    }

    /// The order as it was before this input.
    fn keep_before(&mut self, id: &OrderId) {
        if !self.before.contains_key(id)
            && let Some(order) = self.orders.share(id)
        {
            self.before.insert(id.clone(), order);
        }
    }

    /// Who had this order's label made or released: reports count labels by person.
    pub(super) fn note_ship(&mut self, act: ActId, id: &OrderId, now: Moment) {
        let running = self.running.get(&act);
        if running.is_some_and(|running| running.act.kind == ActKind::Ship) {
            self.note(id, now, SHIP, act);
        }
    }

    /// What a person did; durable with the next change of the order.
    pub(super) fn note(&mut self, id: &OrderId, now: Moment, what: &str, act: ActId) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let deed = Deed {
            at: now.wall,
            what: what.to_owned(),
            by: running.act.source.clone(),
            reason: running.act.reason.clone(),
        };
        self.keep_before(id);
        if let Some(order) = self.orders.get_mut(id) {
            order.note(deed);
        }
    }

    pub(super) fn stage_done(
        &mut self,
        act: Option<ActId>,
        now: Moment,
        set: fn(&mut Timings, u64),
    ) {
        let Some(running) = act.and_then(|id| self.running.get_mut(&id)) else {
            return;
        };
        let spent = now.mono.since(running.stage_since).as_millis();
        set(
            &mut running.timings,
            u64::try_from(spent).unwrap_or(u64::MAX),
        );
        running.stage_since = now.mono;
    }

    /// Makes `act` the one that waits for this order's end.
    pub(super) fn work_on(&mut self, act: ActId, id: &OrderId, now: Moment) {
        let job = self.job(id, now);
        job.act = Some(act);
        if let Some(running) = self.running.get_mut(&act) {
            running.order = Some(id.clone());
        }
    }
}

fn signal_of(reply: &ScanReply) -> Signal {
    match (reply.outcome, reply.code) {
        (Outcome::Printed, _) => Signal::Printed,
        (Outcome::Queued, _) => Signal::Queued,
        (Outcome::Question, _) | (Outcome::Refused, Some(Code::AlreadyPrinted)) => Signal::Question,
        (Outcome::Refused, _) => Signal::Refused,
        (Outcome::Accepted | Outcome::Ignored, _) => Signal::Ready,
    }
}
