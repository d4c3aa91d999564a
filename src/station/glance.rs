//! The station at a glance, for `status`, page and metrics.

use super::{AheadGlance, Running, Station, WritebackGlance, context};
use crate::domain::{Code, PrinterName, Source, Timestamp};
use std::time::Duration;

/// The station at a glance, for `status`, page and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// PAUSE was given.
    pub paused: bool,
    /// Stopping.
    pub draining: bool,
    /// Starshipit answered last time.
    pub online: bool,
    /// CartonCloud answered last time (always so without one).
    pub sales_online: bool,
    /// Tracking numbers on their way back.
    pub writebacks: WritebackGlance,
    /// Acts under way that are not queued.
    pub working: usize,
    /// Scans waiting for the network or for RESUME.
    pub queued: usize,
    /// Orders in doubt, by number.
    pub in_doubt: Vec<String>,
    /// Orders with a bought label that is not printed.
    pub held: usize,
    /// Labels bought ahead of their scan.
    pub ahead: AheadGlance,
    /// The open question: order number, code, what to scan.
    pub question: Option<(String, Option<Code>, String)>,
    /// Whose question that is, and for how long it is open; `None` where anybody may answer.
    pub asked: Option<(Source, Duration)>,
    /// The acts behind `working` and `queued`, oldest first, at most [`SHOWN_ACTS`].
    pub acts: Vec<ActGlance>,
    /// Printer name and what is wrong with it.
    pub printers: Vec<(PrinterName, Option<Code>)>,
}

/// An act that is under way, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActGlance {
    /// What was scanned.
    pub scanned: String,
    /// Its order's number, once known.
    pub order: Option<String>,
    /// By whom and through what.
    pub by: Source,
    /// When.
    pub at: Timestamp,
    /// It waits for the network or for RESUME, and until when.
    pub queued_until: Option<Timestamp>,
}

/// Acts that a glance names; the rest is counted.
const SHOWN_ACTS: usize = 50;

impl Station {
    /// The station at a glance.
    pub fn glance(&self) -> Glance {
        let open = |wanted: crate::domain::State| {
            self.orders
                .values()
                .filter(move |order| order.state() == wanted)
        };
        let newest = self
            .contexts
            .iter()
            .filter_map(|(source, context)| Some((source, context.question.as_ref()?)))
            .max_by_key(|(_, question)| question.opened);
        Glance {
            paused: self.paused,
            draining: self.draining,
            online: self.online,
            sales_online: self.sales_online,
            writebacks: self.writeback_glance(),
            working: self.running.values().filter(|r| !r.act.queued).count(),
            queued: self.running.values().filter(|r| r.act.queued).count(),
            in_doubt: open(crate::domain::State::InDoubt)
                .map(|order| order.number.clone())
                .collect(),
            held: open(crate::domain::State::Held).count(),
            ahead: self.ahead_glance(),
            question: newest
                .map(|(_, question)| {
                    let number = self
                        .orders
                        .get(&question.order)
                        .map_or_else(|| question.order.to_string(), |order| order.number.clone());
                    let next = question.code.map_or_else(
                        || format!("{}YES", self.settings.prefix),
                        |code| {
                            crate::domain::outcome::next_step(
                                code.explain().way,
                                &self.settings.prefix,
                            )
                        },
                    );
                    (number, question.code, next)
                })
                .or_else(|| {
                    self.asking_release.then(|| {
                        (
                            String::new(),
                            None,
                            format!("{}RESUME", self.settings.prefix),
                        )
                    })
                }),
            asked: newest.map(|(source, question)| {
                (
                    source.clone(),
                    context::time_left(question.opened, self.now.mono),
                )
            }),
            acts: self
                .running
                .values()
                .take(SHOWN_ACTS)
                .map(|running| self.act_glance(running))
                .collect(),
            printers: self
                .lines
                .iter()
                .map(|(name, line)| (name.clone(), line.trouble))
                .collect(),
        }
    }

    fn act_glance(&self, running: &Running) -> ActGlance {
        let act = &running.act;
        let order = running.order.as_ref().or(act.order.as_ref());
        ActGlance {
            scanned: act.text.to_string(),
            order: order
                .and_then(|id| self.orders.get(id))
                .map(|order| order.number.clone()),
            by: act.source.clone(),
            at: act.at,
            queued_until: act.queued.then(|| act.at.plus(self.settings.expire_after)),
        }
    }
}
