//! Whose a command is: contexts, badges, questions, repeats.
//!
//! A command belongs to the source and user that gave it (contract 13). Everything here is in memory
//! only, bounded, and measured on the monotonic clock.

use super::{Context, Effect, Question, QuestionKind, Station};
use crate::domain::{
    ActId, ActKind, Code, Moment, Order, OrderId, ScanText, Signal, Source, State,
};
use std::time::Duration;

/// A command means the last order for so long.
pub(super) const LAST_ORDER: Duration = Duration::from_secs(60);
/// A command or choice waits for its order for so long.
pub(super) const NEXT_SCAN: Duration = Duration::from_secs(30);
/// A question is open for so long.
const QUESTION: Duration = Duration::from_secs(30);
/// A context without a scan is forgotten after so long; nothing in it holds longer than a minute.
const IDLE: Duration = Duration::from_secs(120);
/// Contexts, badges and repeats remembered at most, whoever sends whatever; the oldest go first.
const MAX_CONTEXTS: usize = 256;

/// What "the last order" of a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LastOrder {
    Known(OrderId),
    /// The last scan has not found its order yet.
    StillSought,
    None,
}

/// How long a question will still be open.
pub(super) fn time_left(opened: crate::domain::Mono, now: crate::domain::Mono) -> Duration {
    QUESTION.saturating_sub(now.since(opened))
}

/// Somebody else has answered it meanwhile, from another scanner or the page.
fn is_moot(question: &Question, order: Option<&Order>) -> bool {
    let Some(state) = order.map(Order::state) else {
        return false;
    };
    match &question.kind {
        QuestionKind::InDoubt => state != State::InDoubt,
        QuestionKind::Elsewhere => state == State::Printed,
        QuestionKind::Before { kind, .. } => *kind == ActKind::Ship && state == State::Printed,
        QuestionKind::CloseDay => false,
    }
}

impl Station {
    /// The source with the badge of whoever is there.
    pub(super) fn who(&self, mut source: Source) -> Source {
        if source.user.is_none() {
            source.user = self
                .badges
                .get(&source.trigger)
                .map(|(user, _)| user.clone());
        }
        source
    }

    /// `USER-x`: from now on this trigger is x's, with a context of x's own.
    pub(super) fn badge(&mut self, trigger: &str, user: String, now: Moment) {
        if self.badges.len() >= MAX_CONTEXTS && !self.badges.contains_key(trigger) {
            let oldest = self.badges.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(oldest) = oldest.map(|(trigger, _)| trigger.clone()) {
                self.badges.remove(&oldest);
            }
        }
        self.badges.insert(trigger.to_owned(), (user, now.mono));
    }

    pub(super) fn context(&mut self, source: &Source, now: Moment) -> &mut Context {
        if self.contexts.len() >= MAX_CONTEXTS && !self.contexts.contains_key(source) {
            let oldest = self
                .contexts
                .iter()
                .min_by_key(|(_, context)| context.touched);
            if let Some(oldest) = oldest.map(|(source, _)| source.clone()) {
                self.contexts.remove(&oldest);
            }
        }
        let context = self.contexts.entry(source.clone()).or_default();
        context.touched = now.mono;
        if context.question.as_ref().is_some_and(|q| lapsed(q, now)) {
            context.question = None;
        }
        context
    }

    /// The order that a command of this source means.
    pub(super) fn last_order(&mut self, source: &Source, now: Moment) -> LastOrder {
        let last_act = self.context(source, now).last_act;
        if let Some(running) = last_act.and_then(|act| self.running.get(&act))
            && !running.act.queued
        {
            return match &running.order {
                Some(id) => LastOrder::Known(id.clone()),
                None => LastOrder::StillSought,
            };
        }
        match &self.context(source, now).last_order {
            Some((id, at)) if now.mono.since(*at) <= LAST_ORDER => LastOrder::Known(id.clone()),
            _ => LastOrder::None,
        }
    }

    /// This text is the source's last order, whatever becomes of the scan: a command after a refused
    /// scan must not reach the order before it.
    pub(super) fn scanned_last(&mut self, source: &Source, text: &ScanText, now: Moment) {
        let running = self
            .running
            .values()
            .rfind(|r| r.act.text.folded() == text.folded() && !r.act.queued)
            .map(|r| r.act.id);
        let wanted = self.recall_text(text);
        let known = {
            let mut known = self.orders.named(&wanted);
            let one = known.next().filter(|_| known.next().is_none());
            one.map(|order| order.id.clone())
        };
        let asked = self.context(source, now).question.as_ref();
        let asked = asked.map(|question| question.order.clone());
        let moved_on = asked.is_some_and(|order| !self.is_text_of(&order, text));
        let context = self.context(source, now);
        if moved_on {
            context.question = None;
        }
        context.last_act = running;
        context.last_order = known.map(|id| (id, now.mono));
    }

    /// From now on this act is the newest of its source.
    pub(super) fn newest_act(&mut self, source: &Source, act: ActId, now: Moment) {
        self.context(source, now).last_act = Some(act);
    }

    /// An act has ended: if it was its source's newest, its order is the last one.
    pub(super) fn was_newest(&mut self, source: &Source, act: ActId, order: Option<&OrderId>) {
        let now = self.now.mono;
        if let Some(context) = self.contexts.get_mut(source)
            && context.last_act == Some(act)
        {
            context.last_order = order.map(|id| (id.clone(), now));
        }
    }

    /// Opens a question at the act's source. What a restart brought back asks nobody (contract 13).
    pub(super) fn open_question(
        &mut self,
        act: ActId,
        order: &OrderId,
        code: Option<Code>,
        kind: QuestionKind,
        now: Moment,
    ) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let (source, resumed) = (running.act.source.clone(), running.resumed);
        let context = self.context(&source, now);
        if !resumed {
            context.question = Some(Question {
                order: order.clone(),
                code,
                kind,
                opened: now.mono,
            });
        }
    }

    /// Questions and contexts whose time is over.
    pub(super) fn lapse(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let mut closed = false;
        let orders = &self.orders;
        for context in self.contexts.values_mut() {
            let over = |q: &Question| lapsed(q, now) || is_moot(q, orders.get(&q.order));
            if context.question.as_ref().is_some_and(over) {
                context.question = None;
                closed = true;
            }
        }
        if closed && self.contexts.values().all(|c| c.question.is_none()) {
            out.push(Effect::Signal(Signal::Ready));
        }
        self.contexts.retain(|_, context| {
            context.unproven.is_some() || now.mono.since(context.touched) < IDLE
        });
    }

    pub(super) fn closed_for_work(&self) -> Option<Code> {
        if self.paused || self.draining {
            return Some(Code::Paused);
        }
        (self.running.len() >= self.settings.max_acts).then_some(Code::QueueFull)
    }

    /// The same code from the same scanner within the window, which is not renewed by repeats.
    pub(super) fn is_repeat(&mut self, source: &Source, text: &ScanText, now: Moment) -> bool {
        let window = self.settings.repeat_window;
        self.repeats.retain(|_, at| now.mono.since(*at) < window);
        // The second scan of an order after a command or a choice for it is not a repeat.
        let expected = self
            .contexts
            .get(source)
            .is_some_and(|c| c.armed.is_some() || c.choices.is_some());
        let key = (source.trigger.clone(), text.folded());
        if self.repeats.contains_key(&key) && !expected {
            return true;
        }
        if self.repeats.len() >= MAX_CONTEXTS {
            let oldest = self.repeats.iter().min_by_key(|(_, at)| **at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.repeats.remove(&oldest);
            }
        }
        self.repeats.insert(key, now.mono);
        false
    }

    pub(super) fn number_of_running(&self, text: &ScanText) -> Option<String> {
        self.running
            .values()
            .filter(|r| r.act.text.folded() == text.folded())
            .find_map(|r| self.orders.get(r.order.as_ref()?).map(|o| o.number.clone()))
    }

    /// The text, or what a pattern makes of it, is a name of this order.
    pub(super) fn is_text_of(&self, id: &OrderId, text: &ScanText) -> bool {
        let wanted = self.recall_text(text);
        self.orders
            .get(id)
            .is_some_and(|order| order.is_known_as(&wanted))
    }

    /// The newest context, for buttons: where the newest thing happened.
    pub(super) fn newest_source(&self) -> Option<Source> {
        self.contexts
            .iter()
            .max_by_key(|(_, context)| context.touched)
            .map(|(source, _)| source.clone())
    }
}

fn lapsed(question: &Question, now: Moment) -> bool {
    now.mono.since(question.opened) > QUESTION
}
