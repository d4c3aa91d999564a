//! From cleaned text to an act: command barcodes, contexts, questions.
//!
//! A command belongs to the source that gave it (contract 13): it means the last order of that
//! source for 60 s, or else that source's next scan within 30 s. A question opens only by a scan
//! or command, one at a time per source, for 30 s.

use super::{Ask, AskKind, Context, Effect, Line, Question, QuestionKind, Running, Station, Token};
use crate::domain::order::{Choices, PageState, Standing};
use crate::domain::{
    Act, ActId, ActKind, Code, Command, Moment, Mono, Order, OrderId, Outcome, Parcel, Proof,
    Record, ScanReply, ScanText, Source, State,
};
use std::time::Duration;

const LAST_ORDER: Duration = Duration::from_secs(60);
const NEXT_SCAN: Duration = Duration::from_secs(30);
const QUESTION: Duration = Duration::from_secs(30);
/// Repeats remembered at most; older ones go first.
const MAX_REPEATS: usize = 256;

impl Station {
    pub(super) fn scanned(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        mut source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let context = self.context(&source, now);
        if source.user.is_none() {
            source.user = context.user.clone();
        }
        match Command::parse(&self.settings.prefix, &text) {
            Some(Ok(command)) => self.commanded(token, command, text, source, now, out),
            Some(Err(code)) => {
                let reply = self.coded(Outcome::Refused, code, None);
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            None => self.order_scanned(token, text, source, now, out),
        }
    }

    fn order_scanned(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if self.is_repeat(&source, &text, now) {
            let mut reply = ScanReply::new(
                Outcome::Ignored,
                "The same scan again: nothing more happens.",
            );
            reply.order = self.number_of_running(&text);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        }
        if let Some(code) = self.closed_for_work() {
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
        let id = self.begin(token, kind, text, source, now);
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

    fn commanded(
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
                self.context(&source, now).user = Some(user.clone());
                let reply = ScanReply::new(Outcome::Ignored, format!("{user} is at this bench."));
                self.answer_directly(token, source, text.to_string(), reply, out);
            }
            Command::Reason(reason) => {
                self.reason(token, reason, text, source, now, out);
            }
            Command::Status | Command::Test | Command::CloseDay => {
                self.ticket_for(token, &command, text, source, out);
            }
        }
    }

    fn act_on_last(
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
        let context = self.context(&source, now);
        context.question = None;
        let last = context
            .last_order
            .clone()
            .filter(|(_, at)| now.mono.since(*at) <= LAST_ORDER)
            .map(|(id, _)| id);
        let reason = context.reason.take().map(|(reason, _)| reason);
        let Some(id) = last.filter(|_| kind != ActKind::Redo) else {
            let redo_of = (kind == ActKind::Redo)
                .then(|| {
                    self.contexts
                        .get(&source.trigger)
                        .and_then(|c| c.last_order.clone())
                })
                .flatten()
                .map(|(id, _)| id);
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
        let act = self.begin(token, kind, text, source, now);
        if let Some(running) = self.running.get_mut(&act) {
            running.order = Some(id.clone());
            running.act.reason = reason;
        }
        self.decide(act, &id, now, out);
    }

    fn yes(
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
        match question.kind {
            QuestionKind::InDoubt => {
                let act = self.begin(token, ActKind::Ship, text, source, now);
                if let Some(running) = self.running.get_mut(&act) {
                    running.order = Some(question.order.clone());
                }
                self.doubt_answered(act, &question.order, true, now, out);
            }
            QuestionKind::Elsewhere => {
                let act = self.begin(token, ActKind::Reprint, text, source, now);
                if let Some(running) = self.running.get_mut(&act) {
                    running.order = Some(question.order.clone());
                    running.act.confirmed = true;
                }
                self.look_before(act, &question.order, now, out);
            }
            QuestionKind::Before { kind, with } => {
                let act = self.begin(token, kind, text, source, now);
                if let Some(running) = self.running.get_mut(&act) {
                    running.order = Some(question.order.clone());
                    running.act.confirmed = true;
                    running.act.with = with;
                }
                self.look_before(act, &question.order, now, out);
            }
        }
    }

    /// Weight, box, courier or parcels: for the order that is asked about, else for the next scan.
    fn choose(
        &mut self,
        token: Option<Token>,
        command: &Command,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let preset = match command {
            Command::Box(name) => {
                let Some(preset) = self
                    .settings
                    .presets
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map(|(_, preset)| preset.clone())
                else {
                    let reply = self.coded(
                        Outcome::Refused,
                        Code::BadScan,
                        Some(&format!("no packaging preset is named {name}")),
                    );
                    self.answer_directly(token, source, text.to_string(), reply, out);
                    return;
                };
                Some(preset)
            }
            _ => None,
        };
        let open = match self.context(&source, now).question.take() {
            Some(Question {
                order,
                kind: QuestionKind::Before { kind, with },
                ..
            }) => Some((order, kind, with)),
            other => {
                self.context(&source, now).question = other;
                None
            }
        };
        if let Some((order, kind, mut with)) = open {
            apply_choice(&mut with, command, preset);
            let act = self.begin(token, kind, text, source, now);
            if let Some(running) = self.running.get_mut(&act) {
                running.order = Some(order.clone());
                running.act.with = with;
                running.act.confirmed = self.settings.confirm != super::Confirm::Always;
            }
            self.look_before(act, &order, now, out);
            return;
        }
        let context = self.context(&source, now);
        let mut with = match context.choices.take() {
            Some((choices, at)) if now.mono.since(at) <= NEXT_SCAN => choices,
            _ => Choices::default(),
        };
        apply_choice(&mut with, command, preset);
        context.choices = Some((with, now.mono));
        let mut reply = ScanReply::new(
            Outcome::Question,
            format!("{} holds for the next order scanned.", command.name()),
        );
        reply.next = "scan the order".to_owned();
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    fn reason(
        &mut self,
        token: Option<Token>,
        reason: String,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let last = self
            .context(&source, now)
            .last_order
            .clone()
            .filter(|(_, at)| now.mono.since(*at) <= LAST_ORDER)
            .map(|(id, _)| id)
            .filter(|id| self.orders.get(id).is_some_and(|o| !o.deeds.is_empty()));
        let Some(id) = last else {
            self.context(&source, now).reason = Some((reason, now.mono));
            let mut reply =
                ScanReply::new(Outcome::Question, "The reason is kept for the next act.");
            reply.next = "scan the command or the order".to_owned();
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        };
        let record = self.change(&id, now, |order| {
            if let Some(deed) = order.deeds.last_mut() {
                deed.reason = Some(reason.clone());
            }
        });
        out.push(Effect::Remember(record.into_iter().collect()));
        let mut reply = ScanReply::new(Outcome::Ignored, format!("Reason noted: {reason}."));
        reply.order = self.orders.get(&id).map(|o| o.number.clone());
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    fn ticket_for(
        &mut self,
        token: Option<Token>,
        command: &Command,
        text: ScanText,
        source: Source,
        out: &mut Vec<Effect>,
    ) {
        let glance = self.glance();
        let lines = match command {
            Command::Test => vec!["TEST".to_owned(), "This printer works.".to_owned()],
            _ => {
                let mut lines = vec![
                    if glance.paused { "PAUSED" } else { "READY" }.to_owned(),
                    format!("working on: {}", glance.working),
                    format!("queued: {}", glance.queued),
                    format!("held: {}", glance.held),
                    format!("in doubt: {}", glance.in_doubt.len()),
                    format!(
                        "Starshipit: {}",
                        if glance.online { "online" } else { "offline" }
                    ),
                ];
                lines.extend(glance.in_doubt.iter().take(8).map(|n| format!("? {n}")));
                lines
            }
        };
        let message = lines.join(", ");
        if let Some(printer) = self.settings.printers.first() {
            out.push(Effect::Ticket {
                printer: printer.clone(),
                lines,
            });
        }
        let reply = ScanReply::new(Outcome::Ignored, message);
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    fn pause_or_resume(
        &mut self,
        token: Option<Token>,
        pause: bool,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.paused = pause;
        self.bench_seq += 1;
        out.push(Effect::Remember(vec![Record::Bench {
            seq: self.bench_seq,
            paused: pause,
        }]));
        let message = if pause {
            "Paused: this bench takes no new work. Scan RESUME to go on.".to_owned()
        } else {
            match self.release_queued(now, out) {
                0 => "The bench takes work.".to_owned(),
                n => format!("The bench takes work; {n} waiting scans go on now."),
            }
        };
        let reply = ScanReply::new(Outcome::Ignored, message);
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    /// CANCEL: drops open questions and armed commands of this source, and every scan that waits
    /// for the network at this bench. Nothing that is bought is touched.
    fn cancel_pending(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let context = self.context(&source, now);
        context.question = None;
        context.armed = None;
        context.choices = None;
        context.reason = None;
        let waiting: Vec<ActId> = self
            .running
            .iter()
            .filter(|(_, r)| r.act.queued && r.act.source.trigger == source.trigger)
            .map(|(id, _)| *id)
            .collect();
        let mut dropped = Vec::new();
        for id in waiting {
            if let Some(number) = self.drop_act(id, now, out) {
                dropped.push(number);
            }
        }
        let reply = ScanReply::new(
            Outcome::Ignored,
            if dropped.is_empty() {
                "Cancelled: nothing is pending here.".to_owned()
            } else {
                format!("Cancelled: {} dropped.", dropped.join(", "))
            },
        );
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    fn cancel_named(
        &mut self,
        token: Option<Token>,
        text: &ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let waiting: Vec<ActId> = self
            .running
            .iter()
            .filter(|(_, r)| {
                r.act.queued
                    && (r.act.text.folded() == text.folded()
                        || r.order.as_ref().is_some_and(|id| self.is_text_of(id, text)))
            })
            .map(|(id, _)| *id)
            .collect();
        let mut dropped = 0;
        for id in waiting {
            dropped += usize::from(self.drop_act(id, now, out).is_some());
        }
        let reply = if dropped > 0 {
            ScanReply::new(Outcome::Ignored, format!("{text} is dropped."))
        } else {
            self.coded(
                Outcome::Refused,
                Code::NoQuestion,
                Some("nothing of this order is pending"),
            )
        };
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    /// Ends a queued act without doing it. An order with an unresolved purchase keeps it.
    fn drop_act(&mut self, id: ActId, now: Moment, out: &mut Vec<Effect>) -> Option<String> {
        let running = self.running.get(&id)?;
        let text = running.act.text.to_string();
        let order = running.order.clone();
        let mut records = Vec::new();
        if let Some(order) = order {
            if let Some(job) = self.jobs.get_mut(&order) {
                job.act = None;
            }
            records.extend(self.change(&order, now, |order| {
                if order.intent.is_none() && order.live().next().is_none() {
                    order.standing = Standing::Cancelled;
                }
            }));
        }
        let reply = ScanReply::new(Outcome::Ignored, "Dropped by CANCEL.");
        self.end_act(id, records, reply, out);
        Some(text)
    }

    // ---- acts, contexts, questions ----

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
                asked: false,
                parcels: Vec::new(),
                shown_working: false,
                timings: crate::domain::Timings::default(),
                stage_since: now.mono,
            },
        );
        id
    }

    pub(super) fn recall(&mut self, id: ActId, out: &mut Vec<Effect>) {
        if let Some(running) = self.running.get(&id) {
            out.push(Effect::Recall {
                act: id,
                alias: running.act.text.folded(),
            });
        }
    }

    pub(super) fn context(&mut self, source: &Source, now: Moment) -> &mut Context {
        let context = self.contexts.entry(source.trigger.clone()).or_default();
        context.touched = now.mono;
        if context
            .question
            .as_ref()
            .is_some_and(|q| now.mono.since(q.opened) > QUESTION)
        {
            context.question = None;
        }
        // A command of one packer never reaches another packer's order.
        if source.user.is_some() && context.user != source.user {
            if context.user.is_some() {
                context.last_order = None;
                context.armed = None;
                context.choices = None;
                context.question = None;
                context.reason = None;
            }
            context.user.clone_from(&source.user);
        }
        context
    }

    /// Remembers the order as this act's source's last one, and opens a question about it.
    pub(super) fn open_question(
        &mut self,
        act: ActId,
        order: &OrderId,
        code: Option<Code>,
        kind: QuestionKind,
        now: Moment,
    ) {
        let Some(source) = self.running.get(&act).map(|r| r.act.source.clone()) else {
            return;
        };
        let context = self.context(&source, now);
        context.last_order = Some((order.clone(), now.mono));
        context.question = Some(Question {
            order: order.clone(),
            code,
            kind,
            opened: now.mono,
        });
    }

    pub(super) fn remember_last(&mut self, act: ActId, order: &OrderId, now: Moment) {
        if let Some(source) = self.running.get(&act).map(|r| r.act.source.clone()) {
            self.context(&source, now).last_order = Some((order.clone(), now.mono));
        }
    }

    fn closed_for_work(&self) -> Option<Code> {
        if self.paused || self.draining {
            return Some(Code::Paused);
        }
        (self.running.len() >= self.settings.max_acts).then_some(Code::QueueFull)
    }

    /// The same code from the same scanner within the window, which is not renewed by repeats.
    fn is_repeat(&mut self, source: &Source, text: &ScanText, now: Moment) -> bool {
        let window = self.settings.repeat_window;
        self.repeats.retain(|_, at| now.mono.since(*at) < window);
        while self.repeats.len() >= MAX_REPEATS {
            self.repeats.pop_first();
        }
        let key = (source.trigger.clone(), text.folded());
        // REDO's second scan of the order is not a repeat of the first.
        let expected = self
            .contexts
            .get(&source.trigger)
            .is_some_and(|c| c.armed.is_some());
        if self.repeats.contains_key(&key) && !expected {
            return true;
        }
        self.repeats.insert(key, now.mono);
        false
    }

    fn number_of_running(&self, text: &ScanText) -> Option<String> {
        self.running
            .values()
            .filter(|r| r.act.text.folded() == text.folded())
            .find_map(|r| self.orders.get(r.order.as_ref()?).map(|o| o.number.clone()))
    }

    pub(super) fn is_text_of(&self, id: &OrderId, text: &ScanText) -> bool {
        self.orders
            .get(id)
            .is_some_and(|order| order.aliases().contains(&text.folded()))
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
        self.remember_last(act, id, now);
        self.accept(act, record.into_iter().collect(), out);
        self.work_on(act, id, now);
        self.go_on(id, now, out);
    }

    /// Makes `act` the one that waits for this order's end.
    pub(super) fn work_on(&mut self, act: ActId, id: &OrderId, now: Moment) {
        let job = self.job(id, now);
        job.act = Some(act);
        if let Some(running) = self.running.get_mut(&act) {
            running.order = Some(id.clone());
        }
    }

    pub(super) fn line(&mut self, printer: &crate::domain::PrinterName) -> &mut Line {
        self.lines.entry(printer.clone()).or_default()
    }

    /// The last act of a source that is open for a harmless YES, for buttons.
    pub fn newest_context(&self) -> Option<(&String, Mono)> {
        self.contexts
            .iter()
            .max_by_key(|(_, context)| context.touched)
            .map(|(name, context)| (name, context.touched))
    }
}

fn settle_doubt(order: &mut Order, came_out: bool, now: Moment) {
    for page in order
        .shipments
        .iter_mut()
        .filter(|s| !s.superseded)
        .flat_map(|s| &mut s.pages)
        .filter(|p| p.state == PageState::InDoubt)
    {
        page.state = if came_out {
            PageState::Printed(Proof::Person)
        } else {
            PageState::Todo
        };
        page.at = now.wall;
    }
}

fn apply_choice(with: &mut Choices, command: &Command, preset: Option<Parcel>) {
    match command {
        Command::Weight(grams) => {
            let kilograms = f64::from(*grams) / 1000.0;
            match with.parcels.as_mut_slice() {
                [] => with.parcels.push(Parcel {
                    weight_kg: kilograms,
                    ..Parcel::default()
                }),
                parcels => {
                    // Total weight, shared evenly: a scale shows one number.
                    #[expect(clippy::cast_precision_loss, reason = "at most 20 parcels")]
                    let share = kilograms / parcels.len() as f64;
                    for parcel in parcels {
                        parcel.weight_kg = share;
                    }
                }
            }
        }
        Command::Box(_) => {
            if let Some(preset) = preset {
                match with.parcels.as_mut_slice() {
                    [] => with.parcels.push(preset),
                    parcels => {
                        for parcel in parcels {
                            let weight = parcel.weight_kg;
                            *parcel = preset.clone();
                            if weight > 0.0 {
                                parcel.weight_kg = weight;
                            }
                        }
                    }
                }
            }
        }
        Command::Courier(name) => {
            let (carrier, service) = match name.split_once([':', '/']) {
                Some((carrier, service)) => (carrier, Some(service.to_owned())),
                None => (name.as_str(), None),
            };
            with.carrier = Some(carrier.to_owned());
            with.service = service;
        }
        Command::Parcels(n) => {
            let one = with.parcels.first().cloned().unwrap_or_default();
            with.parcels = vec![one; usize::from(*n)];
        }
        _ => {}
    }
}
