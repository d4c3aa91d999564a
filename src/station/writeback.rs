//! Tracking numbers back: which jobs an order owes, and what becomes of them (contract 7, 8, 17).
//!
//! [`plan`] runs inside every change of an order, so that its numbers and its jobs are one record (P2).
//! A sink has one job per order: a newer set of numbers takes its place.

use super::{Effect, Station, Token, WritebackVerb, paper};
use crate::domain::order::{Deed, Origin, Standing};
use crate::domain::writeback::{ORDER_DOCUMENT, bounded, is_real, spares_document};
use crate::domain::{
    Code, Delivery, Moment, Order, OrderId, Outcome, PageRole, PageState, ScanReply, Source,
    Timestamp, Writeback, WritebackRule, WritebackState,
};

/// Failed attempts between two records of a job whose trouble stays the same: ten thousand jobs that
/// wait for the network must not wear the card.
const ATTEMPTS_A_RECORD: u32 = 10;

/// Writebacks at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WritebackGlance {
    /// Jobs that are due and not done.
    pub pending: usize,
    /// Jobs that a person must decide.
    pub conflicts: usize,
    /// Since when the oldest pending or conflicting one is owed.
    pub oldest: Option<Timestamp>,
}

/// Brings the jobs of an order in line with its numbers. `released`: a person waits for its label, so
/// that it is as good as on paper.
pub(super) fn plan(order: &mut Order, rule: &WritebackRule, released: bool, now: Timestamp) {
    let set = order.tracking();
    let comes = order.live().any(|s| s.tracking.is_empty() && !s.untracked);
    let cancelled = !released
        && matches!(
            order.standing,
            Standing::Cancelled | Standing::Refused(Code::OrderCancelled)
        );
    if set.is_empty() && !comes {
        // REDO is under way, or the courier gives no number: nothing is to be told.
        order.writebacks.retain(|job| !job.is_open());
        return;
    }
    order
        .writebacks
        .retain(|job| job.tracking == set || !job.is_open() || rule.sinks.contains(&job.sink));
    let due = !set.is_empty()
        && (rule.on_purchase
            || released
            || order.live().any(|s| {
                s.origin == Origin::Elsewhere
                    || s.pages
                        .iter()
                        .any(|p| p.role == PageRole::Label && p.state != PageState::Todo)
            }));
    let state = if due {
        WritebackState::Pending
    } else {
        WritebackState::Waiting
    };
    for (place, sink) in rule.sinks.iter().enumerate() {
        if !rule.wants(sink, order.sale.as_ref()) {
            continue;
        }
        let spared = sink == ORDER_DOCUMENT
            && !rule.document_always
            && rule.sinks[..place].iter().any(|earlier| {
                spares_document(earlier)
                    && order.writebacks.iter().any(|job| {
                        job.sink == *earlier
                            && job.tracking == set
                            && job.state == WritebackState::Done
                    })
            });
        let known = order.writebacks.iter().position(|job| job.sink == *sink);
        if let Some(at) = known {
            let job = &mut order.writebacks[at];
            let current = job.tracking == set;
            let undue = job.state == WritebackState::Waiting;
            if (spared && job.is_open()) || (cancelled && (undue || (!current && job.is_open()))) {
                order.writebacks.remove(at);
                continue;
            }
            if current && undue && due {
                job.state = WritebackState::Pending;
                job.at = now;
            }
            if current {
                continue;
            }
        }
        if cancelled || spared {
            continue;
        }
        let older = known.map(|at| order.writebacks.remove(at));
        let job = Writeback {
            n: next_number(order, older.as_ref()),
            sink: sink.clone(),
            tracking: set.clone(),
            supersedes: void_numbers(order, &set),
            state: state.clone(),
            attempts: 0,
            overwrite: rule.overwrite
                || older
                    .as_ref()
                    .is_some_and(|job| job.overwrite && job.is_open()),
            handle: older.and_then(|job| job.handle),
            trouble: None,
            since: now,
            at: now,
        };
        // A document that is always made stands before all others, so that it waits for none; one that
        // stands in for others stands after them.
        let first = sink == ORDER_DOCUMENT && rule.document_always;
        let at = if first { 0 } else { order.writebacks.len() };
        order.writebacks.insert(at, job);
    }
    keep_fallback_last(order, rule);
}

/// A newer set of an earlier sink must not slip behind the fall-back.
fn keep_fallback_last(order: &mut Order, rule: &WritebackRule) {
    if rule.document_always {
        return;
    }
    let place = |sink: &str| rule.sinks.iter().position(|s| s == sink);
    let Some(document) = place(ORDER_DOCUMENT) else {
        return;
    };
    order.writebacks.sort_by_key(|job| {
        // Real sinks that come before it, then the document, then the rest.
        match place(&job.sink) {
            Some(at) if at < document && is_real(&job.sink) => 0,
            Some(at) if at == document => 1,
            _ => 2,
        }
    });
}

fn next_number(order: &mut Order, older: Option<&Writeback>) -> u32 {
    let highest = order.writebacks.iter().chain(older).map(|job| job.n).max();
    order.last_job = order.last_job.max(highest.unwrap_or(0)).saturating_add(1);
    order.last_job
}

/// Numbers that REDO has made void: one of them may stand where the set goes.
fn void_numbers(order: &Order, set: &[String]) -> Vec<String> {
    let mut void: Vec<String> = Vec::new();
    for number in order
        .shipments
        .iter()
        .filter(|s| s.superseded)
        .flat_map(|s| &s.tracking)
    {
        if !set.contains(number) && !void.contains(number) {
            void.push(number.clone());
        }
    }
    void
}

impl Station {
    /// An attempt has ended. One that was for an older set of numbers is not told about any more.
    pub(super) fn delivered(
        &mut self,
        id: &OrderId,
        n: u32,
        tracking: &[String],
        result: Delivery,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(job) = self.orders.get_mut(id).and_then(|order| {
            let job = order.writebacks.iter_mut().find(|job| job.n == n)?;
            (job.tracking == tracking && job.state == WritebackState::Pending).then_some(job)
        }) else {
            return;
        };
        job.attempts = job.attempts.saturating_add(1);
        let (state, handle) = match result {
            Delivery::Done { handle } => (WritebackState::Done, handle.map(bounded)),
            Delivery::Unsupported { why } => {
                let why = bounded(why);
                (WritebackState::Unsupported { why }, None)
            }
            Delivery::Conflict { theirs } => {
                let theirs = bounded(theirs);
                (WritebackState::Conflict { theirs }, None)
            }
            Delivery::Retry {
                why, unreachable, ..
            } => {
                let why = Some(bounded(why));
                let told = job.trouble == why && !job.attempts.is_multiple_of(ATTEMPTS_A_RECORD);
                job.trouble = why;
                if !unreachable && !told {
                    let record = self.change(id, now, |_| {});
                    paper::remember(record.into_iter().collect(), out);
                }
                return;
            }
        };
        let record = self.change(id, now, |order| {
            if let Some(job) = order.writebacks.iter_mut().find(|job| job.n == n) {
                job.state = state;
                job.trouble = None;
                job.at = now.wall;
                if handle.is_some() {
                    job.handle = handle;
                }
            }
        });
        paper::remember(record.into_iter().collect(), out);
    }

    /// A person decides about a job.
    #[expect(clippy::too_many_arguments, reason = "the parts of one input")]
    pub(super) fn decide_writeback(
        &mut self,
        token: Option<Token>,
        id: &OrderId,
        known: Option<Order>,
        n: u32,
        verb: WritebackVerb,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let source = self.who(source);
        if let Some(known) = known {
            self.adopt_record(known);
        }
        let name = format!("{id}#{n}");
        let state = self.orders.get(id).and_then(|order| {
            let job = order.writebacks.iter().find(|job| job.n == n)?;
            Some(job.state.clone())
        });
        let refusal = match (&state, verb) {
            (None, _) => Some("there is no such writeback (any more)"),
            (Some(WritebackState::Done), _) => Some("it is done"),
            (Some(WritebackState::Waiting), _) => {
                Some("it waits for its number, or for its label to be released")
            }
            (Some(WritebackState::Conflict { .. }), _) | (_, WritebackVerb::Retry) => None,
            (_, WritebackVerb::KeepOurs | WritebackVerb::KeepTheirs) => {
                Some("no other number stands there")
            }
        };
        if let Some(why) = refusal {
            let reply = self.coded(Outcome::Refused, Code::NoQuestion, Some(why));
            self.answer_directly(token, source, name, reply, out);
            return;
        }
        let (what, message) = match verb {
            WritebackVerb::Retry => ("writeback retry", "It is tried again now."),
            WritebackVerb::KeepOurs => ("writeback keep ours", "Our number takes its place."),
            WritebackVerb::KeepTheirs => ("writeback keep theirs", "Their number stays."),
        };
        let deed = Deed {
            at: now.wall,
            what: what.to_owned(),
            by: source.clone(),
            reason: None,
        };
        let record = self.change(id, now, |order| {
            order.note(deed);
            if let Some(job) = order.writebacks.iter_mut().find(|job| job.n == n) {
                job.state = match verb {
                    WritebackVerb::KeepTheirs => WritebackState::Done,
                    WritebackVerb::Retry | WritebackVerb::KeepOurs => WritebackState::Pending,
                };
                job.overwrite |= verb == WritebackVerb::KeepOurs;
                job.trouble = None;
                job.at = now.wall;
            }
        });
        paper::remember(record.into_iter().collect(), out);
        let mut reply = ScanReply::new(Outcome::Ignored, message);
        reply.order = self.orders.get(id).map(|order| order.number.clone());
        self.answer_directly(token, source, name, reply, out);
    }

    pub(super) fn writeback_glance(&self) -> WritebackGlance {
        let mut glance = WritebackGlance::default();
        for job in self.orders.values().flat_map(|order| &order.writebacks) {
            match job.state {
                WritebackState::Pending => glance.pending += 1,
                WritebackState::Conflict { .. } => glance.conflicts += 1,
                _ => continue,
            }
            glance.oldest = Some(
                glance
                    .oldest
                    .map_or(job.since, |since| since.min(job.since)),
            );
        }
        glance
    }
}
