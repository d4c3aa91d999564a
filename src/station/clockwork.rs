//! Ticks: what is due, what lapses, what is forgotten.

use super::{Effect, Station, Waiting};
use crate::domain::{Moment, Mono, OrderId, Signal};
use std::collections::BTreeSet;
use std::time::Duration;

/// Closed orders stay in memory for so long after they were of use. Long against a commit: what is
/// forgotten is asked from the ledger, which must know it by then.
const KEEP_CLOSED: Duration = Duration::from_secs(120);
/// How often memory is looked through for them.
const FORGET: Duration = Duration::from_secs(10);

impl Station {
    /// Time has passed.
    pub(super) fn tick(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let mut print = None;
        // Stopping: what is under way comes to its end, and nothing new leaves the host.
        if !self.draining {
            let due: Vec<OrderId> = self.jobs.keys().cloned().collect();
            for id in due {
                self.run_due(&id, now, out);
            }
            self.check_printers(now, out);
            self.fetch_slips(now, out);
            self.try_network(now, out);
            self.look_for_numbers(now, out);
            print = self.tend_orders(now, out);
        }
        self.show_working(now, out);
        self.expire_queued(now, out);
        self.forget_told(now);
        self.lapse(now, out);
        self.forget_closed(now);
        if let Some(id) = print {
            self.print_wanted(&id, now, out);
        }
    }

    /// Does what an order waits for, if its time has come.
    pub(super) fn run_due(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some(job) = self.jobs.get_mut(id) else {
            return;
        };
        match job.waiting {
            Waiting::Look { at } if now.mono >= at => {
                job.waiting = Waiting::Reply;
                self.look_at_intent(id, out);
            }
            Waiting::Pusher { at } if now.mono >= at => {
                job.waiting = Waiting::Reply;
                self.look_number(id, out);
            }
            Waiting::Send { at } if now.mono >= at => {
                job.waiting = Waiting::Reply;
                if self.orders.get(id).is_some_and(|o| o.intent.is_some()) {
                    self.send_again(id, now, out);
                } else {
                    self.fetch_label(id, now, out);
                }
            }
            _ => {}
        }
    }

    pub(super) fn show_working(&mut self, now: Moment, out: &mut Vec<Effect>) {
        for running in self.running.values_mut() {
            if running.accepted
                && !running.act.queued
                && !running.shown_working
                && now.mono.since(running.since) > Duration::from_secs(1)
            {
                running.shown_working = true;
                out.push(Effect::Signal(Signal::Working));
            }
        }
    }

    /// Closed orders leave memory after a while; the ledger has them.
    pub(super) fn forget_closed(&mut self, now: Moment) {
        if now.mono < self.forget_at {
            return;
        }
        self.forget_at = now.mono.plus(FORGET);
        let mut kept: BTreeSet<&OrderId> = self.jobs.keys().chain(self.slips.keys()).collect();
        kept.extend(self.running.values().filter_map(|r| r.order.as_ref()));
        kept.extend(self.contexts.values().flat_map(|c| {
            let asked = c.question.iter().map(|q| &q.order);
            let unproven = c.unproven.iter().map(super::verify::Unproven::order);
            let armed = c.armed.iter().filter_map(|(_, order, _)| order.as_ref());
            asked
                .chain(unproven)
                .chain(armed)
                .chain(c.last_order.iter().map(|(id, _)| id))
        }));
        kept.extend(
            self.lines
                .values()
                .flat_map(|line| line.waiting.iter().chain(&line.busy)),
        );
        let touched = &self.touched;
        self.orders.retain(|id, order| {
            let fresh = touched
                .get(id)
                .is_some_and(|at| now.mono.since(*at) < KEEP_CLOSED);
            fresh || kept.contains(id) || order.is_open()
        });
        let orders = &self.orders;
        self.touched.retain(|id, _| orders.contains_key(id));
        self.unbacked.retain(|id, _| orders.contains_key(id));
        for line in self.lines.values_mut() {
            line.unfit.retain(|id| orders.contains_key(id));
        }
        self.push_pause.retain(|_, until| now.mono < *until);
    }
}

impl Moment {
    /// A moment with both clocks at these milliseconds.
    pub fn at(wall: i64, mono: u64) -> Self {
        Self {
            wall: crate::domain::Timestamp(wall),
            mono: Mono(mono),
        }
    }
}
