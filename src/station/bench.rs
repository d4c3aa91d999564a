//! PAUSE, RESUME and CANCEL.

use super::{Effect, Station, Token};
use crate::domain::order::Standing;
use crate::domain::{ActId, Code, Moment, Outcome, ScanReply, ScanText, Source};

impl Station {
    pub(super) fn pause_or_resume(
        &mut self,
        token: Option<Token>,
        pause: bool,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.paused = pause;
        out.push(Effect::Remember(vec![self.bench_record()]));
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
    pub(super) fn cancel_pending(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.give_up_proof(&source, now, out);
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

    pub(super) fn cancel_named(
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
        if dropped == 0 && self.drop_held(token, text, &source, now, out) {
            return;
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
    pub(super) fn drop_act(
        &mut self,
        id: ActId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> Option<String> {
        let running = self.running.get(&id)?;
        let text = running.act.text.to_string();
        let order = running.order.clone();
        let mut records = Vec::new();
        if let Some(order) = order {
            if let Some(job) = self.jobs.get_mut(&order).filter(|job| job.act == Some(id)) {
                job.act = None;
            }
            let nothing_bought = self
                .orders
                .get(&order)
                .is_some_and(|order| order.intent.is_none() && order.live().next().is_none());
            // Another scan of the same order that is under way keeps it.
            if nothing_bought && !self.jobs.contains_key(&order) {
                records.extend(self.change(&order, now, |order| {
                    order.standing = Standing::Cancelled;
                }));
            }
        }
        let reply = ScanReply::new(Outcome::Ignored, "Dropped by CANCEL.");
        self.end_act(id, records, reply, out);
        Some(text)
    }
}
