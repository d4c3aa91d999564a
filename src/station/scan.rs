//! From cleaned text to an act: command barcodes, contexts, questions.
//!
//! A command belongs to the source that gave it (contract 13): it means the last order of that
//! source for 60 s, or else that source's next scan within 30 s. A question opens only by a scan
//! or command, one at a time per source, for 30 s.

use super::context::{LastOrder, NEXT_SCAN};
use super::{Ask, AskKind, Effect, QuestionKind, Station, Token};
use crate::domain::order::{Choices, PageState, Standing};
use crate::domain::{
    ActId, ActKind, Code, Command, Moment, Order, OrderId, Outcome, PageRole, Proof, ScanReply,
    ScanText, Source, State,
};

impl Station {
    pub(super) fn scanned(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let source = self.who(source);
        match Command::parse(&self.settings.prefix, &text) {
            Some(Ok(command)) => self.commanded(token, command, text, source, now, out),
            Some(Err(code)) => {
                let reply = self.coded(Outcome::Refused, code, None);
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            None => self.order_scanned(token, text, source, now, out),
        }
    }

    pub(super) fn order_scanned(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.scanned_last(&source, &text, now);
        if self.is_repeat(&source, &text, now) {
            let mut reply = ScanReply::new(
                Outcome::Ignored,
                "The same scan again: nothing more happens.",
            );
            reply.order = self.number_of_running(&text);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        }
        if self.verify_scan(token, &text, &source, now, out) {
            return;
        }
        if let Some(code) = self.closed_for_work() {
            // What was given for this scan must not fall on another order.
            let context = self.context(&source, now);
            (context.armed, context.choices, context.reason) = (None, None, None);
            let reply = self.coded(Outcome::Refused, code, None);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        }
        let context = self.context(&source, now);
        // Whatever was open at this source is answered by moving on to an order.
        context.question = None;
        let (kind, must_be) = match context.armed.take() {
            Some((kind, must_be, at)) if now.mono.since(at) <= NEXT_SCAN => (kind, must_be),
            _ => (ActKind::Ship, None),
        };
        let with = match context.choices.take() {
            Some((choices, at)) if now.mono.since(at) <= NEXT_SCAN => choices,
            _ => Choices::default(),
        };
        let reason = match context.reason.take() {
            Some((reason, at)) if now.mono.since(at) <= NEXT_SCAN => Some(reason),
            _ => None,
        };
        // REDO names its order by its second scan; another order means a change of mind.
        let kind = match must_be {
            Some(id) if !self.is_text_of(&id, &text) => ActKind::Ship,
            _ => kind,
        };
        let id = self.begin(token, kind, text, source.clone(), now);
        self.newest_act(&source, id, now);
        if let Some(running) = self.running.get_mut(&id) {
            running.act.with = with;
            running.act.reason = reason;
            running.act.confirmed = kind == ActKind::Redo;
        }
        self.recall(id, out);
    }

    /// A request that names its order by number or ledger id.
    pub(super) fn asked(
        &mut self,
        token: Option<Token>,
        ask: Ask,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let source = self.who(source);
        let Ok(text) = ScanText::parse(&ask.order) else {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.answer_directly(token, source, ask.order, reply, out);
            return;
        };
        if ask.kind == AskKind::Cancel {
            self.cancel_named(token, &text, source, now, out);
            return;
        }
        if let Some(code) = self.closed_for_work() {
            let reply = self.coded(Outcome::Refused, code, None);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        }
        let kind = match ask.kind {
            AskKind::Reprint => ActKind::Reprint,
            AskKind::Redo => ActKind::Redo,
            AskKind::NextParcel => ActKind::NextParcel,
            AskKind::Release | AskKind::Cancel => ActKind::Ship,
        };
        let id = self.begin(token, kind, text, source, now);
        if let Some(running) = self.running.get_mut(&id) {
            running.asked = true;
            running.parcels = ask.parcels;
            running.act.reason = ask.reason;
            running.act.confirmed = true;
        }
        self.recall(id, out);
    }

    pub(super) fn commanded(
        &mut self,
        token: Option<Token>,
        command: Command,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match command {
            Command::Order(id) => {
                let Ok(named) = ScanText::parse(id.as_str()) else {
                    let reply = self.coded(Outcome::Refused, Code::BadScan, None);
                    self.answer_directly(token, source, text.to_string(), reply, out);
                    return;
                };
                self.order_scanned(token, named, source, now, out);
            }
            Command::Reprint | Command::NextParcel | Command::Redo => {
                self.act_on_last(token, &command, text, source, now, out);
            }
            Command::Yes => self.yes(token, text, source, now, out),
            Command::No => {
                let reply = match self.context(&source, now).question.take() {
                    Some(question) => {
                        let mut reply =
                            ScanReply::new(Outcome::Ignored, "No: everything stays as it is.");
                        reply.order = self.orders.get(&question.order).map(|o| o.number.clone());
                        reply
                    }
                    None => self.coded(Outcome::Refused, Code::NoQuestion, None),
                };
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            Command::Weight(_) | Command::Box(_) | Command::Courier(_) | Command::Parcels(_) => {
                self.choose(token, &command, text, source, now, out);
            }
            Command::Cancel => self.cancel_pending(token, text, source, now, out),
            Command::Pause | Command::Resume => {
                self.pause_or_resume(token, command == Command::Pause, text, source, now, out);
            }
            Command::User(user) => {
                self.badge(&source.trigger, user.clone(), now);
                let reply = ScanReply::new(Outcome::Ignored, format!("{user} is at this bench."));
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            Command::Reason(reason) => {
                self.reason(token, reason, text, source, now, out);
            }
            Command::Status | Command::Test => {
                self.ticket_for(token, &command, text, source, out);
            }
            Command::CloseDay => self.ask_close_day(token, &text, source, now, out),
        }
    }

    pub(super) fn act_on_last(
        &mut self,
        token: Option<Token>,
        command: &Command,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let kind = match command {
            Command::NextParcel => ActKind::NextParcel,
            Command::Redo => ActKind::Redo,
            _ => ActKind::Reprint,
        };
        if let Some(code) = self.closed_for_work() {
            let reply = self.coded(Outcome::Refused, code, None);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        }
        // REPRINT is one of the two answers to "did it come out?".
        let doubtful = self
            .context(&source, now)
            .question
            .as_ref()
            .filter(|q| kind == ActKind::Reprint && q.kind == QuestionKind::InDoubt)
            .map(|q| LastOrder::Known(q.order.clone()));
        let last = match doubtful {
            Some(doubtful) => doubtful,
            None => self.last_order(&source, now),
        };
        let last = match last {
            LastOrder::Known(id) => Some(id),
            LastOrder::None => None,
            LastOrder::StillSought => {
                let reply = ScanReply::new(
                    Outcome::Ignored,
                    "The last scan is still being looked up; give the command again when it is done.",
                );
                self.answer_directly(token, source, text.to_string(), reply, out);
                return;
            }
        };
        let context = self.context(&source, now);
        context.question = None;
        let reason = context.reason.take().map(|(reason, _)| reason);
        let Some(id) = last.clone().filter(|_| kind != ActKind::Redo) else {
            let redo_of = last.filter(|_| kind == ActKind::Redo);
            let number = redo_of
                .as_ref()
                .and_then(|id| self.orders.get(id))
                .map(|o| o.number.clone());
            let context = self.context(&source, now);
            context.armed = Some((kind, redo_of, now.mono));
            context.reason = reason.map(|reason| (reason, now.mono));
            let mut reply = ScanReply::new(
                Outcome::Question,
                match (&number, kind) {
                    (Some(number), _) => format!(
                        "Scan order {number} again to replace its shipment by a new one; any other order is shipped as usual."
                    ),
                    (None, ActKind::Redo) => {
                        "Scan the order whose shipment is to be replaced.".to_owned()
                    }
                    (None, _) => format!("Scan the order that {} is for.", command.name()),
                },
            );
            reply.next = "scan the order".to_owned();
            reply.order = number;
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        };
        let act = self.begin(token, kind, text, source.clone(), now);
        self.newest_act(&source, act, now);
        if let Some(running) = self.running.get_mut(&act) {
            running.order = Some(id.clone());
            running.act.reason = reason;
        }
        self.decide(act, &id, now, out);
    }

    pub(super) fn yes(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(question) = self.context(&source, now).question.take() else {
            let reply = self.coded(Outcome::Refused, Code::NoQuestion, None);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        };
        // A page in doubt is settled at any time; what buys or prints something new is new work.
        if !matches!(
            question.kind,
            QuestionKind::InDoubt | QuestionKind::CloseDay
        ) && let Some(code) = self.closed_for_work()
        {
            self.context(&source, now).question = Some(question);
            let reply = self.coded(Outcome::Refused, code, None);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        }
        // An answer about an older order does not make it the one that was scanned last.
        let last = self.last_order(&source, now) == LastOrder::Known(question.order.clone());
        match question.kind {
            QuestionKind::CloseDay => self.close_day(token, text, source, now, out),
            QuestionKind::InDoubt => {
                let act = self.begin(token, ActKind::Ship, text, source.clone(), now);
                self.answers(&source, act, last, now);
                if let Some(running) = self.running.get_mut(&act) {
                    running.order = Some(question.order.clone());
                }
                self.doubt_answered(act, &question.order, true, now, out);
            }
            QuestionKind::Elsewhere => {
                let act = self.begin(token, ActKind::Reprint, text, source.clone(), now);
                self.answers(&source, act, last, now);
                if let Some(running) = self.running.get_mut(&act) {
                    running.order = Some(question.order.clone());
                    running.act.confirmed = true;
                }
                self.look_before(act, &question.order, now, out);
            }
            QuestionKind::Before { kind, with } => {
                let act = self.begin(token, kind, text, source.clone(), now);
                self.answers(&source, act, last, now);
                if let Some(running) = self.running.get_mut(&act) {
                    running.order = Some(question.order.clone());
                    running.act.confirmed = true;
                    running.act.with = with;
                }
                self.look_before(act, &question.order, now, out);
            }
        }
    }

    fn answers(&mut self, source: &Source, act: ActId, last: bool, now: Moment) {
        if last {
            self.newest_act(source, act, now);
        }
    }

    pub(super) fn recall(&mut self, id: ActId, out: &mut Vec<Effect>) {
        if let Some(running) = self.running.get(&id) {
            out.push(Effect::Recall {
                act: id,
                alias: self.recall_text(&running.act.text),
            });
        }
    }

    /// YES or REPRINT about a page that nobody can be sure of.
    pub(super) fn doubt_answered(
        &mut self,
        act: ActId,
        id: &OrderId,
        came_out: bool,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if self
            .orders
            .get(id)
            .is_none_or(|o| o.state() != State::InDoubt)
        {
            let reply = self.coded(Outcome::Refused, Code::NoQuestion, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        }
        self.note(id, now, if came_out { "yes" } else { "reprint" }, act);
        let record = self.change(id, now, |order| {
            settle_doubt(order, came_out, now);
            order.standing = Standing::Released;
        });
        if let Some(running) = self.running.get_mut(&act) {
            running.order = Some(id.clone());
            // "That page and the rest": after a crash it must not start over with the first page.
            running.act.kind = ActKind::Ship;
        }
        self.work_on(act, id, now);
        if self.orders.get(id).is_some_and(|o| !o.needs_label()) {
            // Nothing is left to do: an answer is no new work, and a full ledger takes it.
            self.go_on_with(id, record.into_iter().collect(), now, out);
            return;
        }
        self.accept(act, record.into_iter().collect(), out);
        self.go_on(id, now, out);
    }
}

fn settle_doubt(order: &mut Order, came_out: bool, now: Moment) {
    for page in order
        .shipments
        .iter_mut()
        .filter(|s| !s.superseded)
        .flat_map(|s| &mut s.pages)
        .filter(|p| p.state == PageState::InDoubt && p.role == PageRole::Label)
    {
        page.state = if came_out {
            PageState::Printed(Proof::Person)
        } else {
            PageState::Todo
        };
        page.at = now.wall;
    }
}
