//! Without the network: what queues, what is refused, and what is released or expires (P6).
//!
//! Only order scans queue (contract 14). A queued act is one that its person has been told about and
//! left: nothing of it prints before RESUME (or the network, with `offline.release = "print"`), and
//! then a ticket comes out before its label.

use super::{Effect, Release, Station, Token, Waiting};
use crate::domain::order::Standing;
use crate::domain::{
    ActId, ActKind, Code, Command, Moment, Mono, OrderId, Outcome, Record, ScanReply, Signal,
    Source, System, Timings,
};
use std::time::Duration;

/// How often Starshipit is tried while scans wait for it.
const PROBE: Duration = Duration::from_secs(5);

/// Long against a commit.
const KEEP_TOLD: Duration = Duration::from_secs(60);

/// Who was told "queued" by an act that has ended since: replaced by a newer scan, or dropped.
#[derive(Clone, Debug)]
pub(super) struct Told {
    token: Token,
    source: Source,
    scanned: String,
    since: Mono,
}

impl Station {
    /// An act ends whose own "queued" may still be on its way to the card, and be refused there.
    pub(super) fn ended_while_told(&mut self, act: ActId, running: &super::Running) {
        if let (None, Some(token)) = (running.token, running.undo.token) {
            let told = Told {
                token,
                source: running.act.source.clone(),
                scanned: running.act.text.to_string(),
                since: self.now.mono,
            };
            self.told.insert(act, told);
        }
    }

    /// The ledger had no room for a queued scan that has ended meanwhile: nobody was told anything.
    pub(super) fn ended_and_refused(&mut self, act: ActId, code: Code, out: &mut Vec<Effect>) {
        if let Some(told) = self.told.remove(&act) {
            let reply = self.coded(Outcome::Refused, code, None);
            self.answer_directly(Some(told.token), told.source, told.scanned, reply, out);
        }
    }

    pub(super) fn forget_told(&mut self, now: Moment) {
        self.told
            .retain(|_, told| now.mono.since(told.since) < KEEP_TOLD);
    }

    /// A scan that cannot be answered now: queued, if it is one that may be (contract 14).
    pub(super) fn queue_or_refuse(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let an_order_scan = running.began == ActKind::Ship
            && !running.asked
            && Command::parse(&self.settings.prefix, &running.act.text).is_none();
        // An extra parcel of a printed order, from before a restart.
        let shipped = running
            .order
            .as_ref()
            .and_then(|id| self.orders.get(id))
            .is_some_and(|order| order.live().next().is_some() && !order.needs_label());
        if !an_order_scan || shipped {
            self.refuse_offline(act, out);
            return;
        }
        self.tell_queued(act, now, out);
    }

    /// A system has just failed, or is being asked whether it is back: a scan that needs it is answered
    /// now instead of after the next time-out. What a person released is tried all the same.
    pub(super) fn known_away(&self, act: ActId, system: System, now: Moment) -> bool {
        let away = match system {
            System::Starshipit => !self.online,
            System::Cartoncloud => !self.sales_online,
        };
        let released = self.running.get(&act).is_none_or(|r| r.announce);
        away && !released && (self.probing || now.mono < self.probe_at)
    }

    /// What buys at a person's command is not kept for later.
    pub(super) fn refuse_offline(&mut self, act: ActId, out: &mut Vec<Effect>) {
        let away = self.running.get(&act).map(|r| r.away).unwrap_or_default();
        let mut reply = self.coded(Outcome::Refused, away.unreachable(), None);
        reply.message = format!(
            "{} cannot be reached. This was not carried out and is not kept. Scan it again when the network is back.",
            away.name()
        );
        "scan it again when the network is back".clone_into(&mut reply.next);
        self.end_act(act, Vec::new(), reply, out);
    }

    /// Says "queued" to whoever waits, and keeps the act.
    pub(super) fn tell_queued(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
        self.replace_queued(act, out);
        let Some(running) = self.running.get_mut(&act) else {
            return;
        };
        running.act.queued = true;
        running.act.order.clone_from(&running.order);
        running.act.seq += 1;
        running.durable = true;
        self.refusable.insert(act);
        let record = Record::Act(Box::new(running.act.clone()));
        let token = running.token.take();
        running.undo.token = token;
        let (source, scanned) = (running.act.source.clone(), running.act.text.to_string());
        let timings = running.timings;
        let order = running.order.clone();
        let minutes = self.settings.expire_after.as_secs() / 60;
        let away = running.away;
        let why = if running.resumed {
            "The station was restarted.".to_owned()
        } else {
            format!("{} cannot be reached.", away.name())
        };
        let mut reply: ScanReply = self.coded(Outcome::Queued, away.unreachable(), None);
        reply.next = format!("{}RESUME", self.settings.prefix);
        reply.message = format!(
            "{why} The scan is kept for {minutes} minutes and nothing prints unannounced. Go on scanning; scan RESUME when the network is back."
        );
        reply.timings_ms = timings;
        let mut records = vec![record];
        if let Some(id) = &order {
            records.extend(self.change(id, now, |order| {
                if order.intent.is_none() && order.live().next().is_none() {
                    order.standing = Standing::Queued;
                }
            }));
            reply.order = self.orders.get(id).map(|o| o.number.clone());
        }
        out.push(Effect::Remember(records));
        out.push(Effect::Signal(Signal::Queued));
        out.push(Effect::Answer {
            token,
            source,
            scanned,
            reply: Box::new(reply),
            last: true,
        });
    }

    /// A newer scan of the same order that waits as well takes the place of the older one.
    fn replace_queued(&mut self, act: ActId, out: &mut Vec<Effect>) {
        let Some(newer) = self.running.get(&act) else {
            return;
        };
        let (text, order) = (newer.act.text.folded(), newer.order.clone());
        let older: Vec<ActId> = self
            .running
            .values()
            .filter(|r| r.act.queued && r.act.id != act)
            .filter(|r| r.act.text.folded() == text || (order.is_some() && r.order == order))
            .map(|r| r.act.id)
            .collect();
        for id in older {
            for job in self.jobs.values_mut().filter(|job| job.act == Some(id)) {
                job.act = Some(act);
            }
            let reply = ScanReply::new(Outcome::Ignored, "Scanned again; the newer scan counts.");
            self.end_act(id, Vec::new(), reply, out);
        }
    }

    /// RESUME, or the network with `offline.release = "print"`: queued scans go on, oldest first;
    /// each label comes after a ticket that announces it. Returns how many.
    pub(super) fn release_queued(&mut self, now: Moment, out: &mut Vec<Effect>) -> usize {
        self.asking_release = false;
        let queued: Vec<ActId> = self
            .running
            .iter()
            .filter(|(_, running)| running.act.queued)
            .map(|(id, _)| *id)
            .collect();
        for act in &queued {
            let Some(running) = self.running.get_mut(act) else {
                continue;
            };
            running.act.queued = false;
            running.accepted = true;
            running.since = now.mono;
            running.stage_since = now.mono;
            running.timings = Timings::default();
            running.resumed = false;
            running.announce = true;
            running.checked = false;
            running.sought = false;
            running.away = System::Starshipit;
            let order = running.order.clone();
            match order.filter(|id| self.orders.contains_key(id)) {
                Some(id) if self.jobs.get(&id).is_some_and(|job| job.act == Some(*act)) => {
                    if let Some(job) = self.jobs.get_mut(&id)
                        && matches!(job.waiting, Waiting::Look { .. })
                    {
                        job.waiting = Waiting::Look { at: now.mono };
                    }
                    self.run_due(&id, now, out);
                }
                Some(id) => self.decide(*act, &id, now, out),
                None => self.recall(*act, out),
            }
        }
        queued.len()
    }

    pub(super) fn expire_queued(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let limit = self.settings.expire_after;
        let expired: Vec<ActId> = self
            .running
            .iter()
            .filter(|(_, running)| {
                running.act.queued
                    && (now.mono.since(running.since) >= limit
                        || now.wall.since(running.act.at) >= limit)
            })
            .map(|(id, _)| *id)
            .collect();
        for act in expired {
            self.expire(act, now, out);
        }
    }

    /// A queued scan has waited too long: a refusal that is told. A purchase that may have been
    /// made is looked after all the same, and its label is then held.
    pub(super) fn expire(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
        let order = self.running.get(&act).and_then(|r| r.order.clone());
        let mut records = Vec::new();
        if let Some(id) = &order {
            if let Some(job) = self.jobs.get_mut(id)
                && job.act == Some(act)
            {
                job.act = None;
            }
            records.extend(self.change(id, now, |order| {
                if order.intent.is_none() && order.live().next().is_none() {
                    order.standing = Standing::Expired;
                }
            }));
        }
        let mut reply: ScanReply = self.coded(Outcome::Refused, Code::Expired, None);
        reply.order = self.running.get(&act).map(|r| r.act.text.to_string());
        self.end_act(act, records, reply, out);
    }

    pub(super) fn any_queued(&self) -> bool {
        self.running.values().any(|running| running.act.queued)
    }

    pub(super) fn went_offline(&mut self, now: Moment) {
        self.online = false;
        self.asking_release = false;
        self.probe_at = now.mono.plus(PROBE);
    }

    pub(super) fn came_online(&mut self, out: &mut Vec<Effect>) {
        if self.online {
            return;
        }
        self.online = true;
        self.ask_release(out);
    }

    /// Both systems answer: what waits may go on.
    fn ask_release(&mut self, out: &mut Vec<Effect>) {
        if self.online && self.sales_online && self.any_queued() {
            // The station asks; with `offline.release = "print"` the next tick releases.
            self.asking_release = true;
            if self.settings.release == Release::Ask {
                out.push(Effect::Signal(Signal::Question));
            }
        }
    }

    pub(super) fn sales_went_offline(&mut self, now: Moment) {
        self.sales_online = false;
        self.asking_release = false;
        self.probe_at = now.mono.plus(PROBE);
    }

    pub(super) fn sales_came_online(&mut self, out: &mut Vec<Effect>) {
        if !self.sales_online {
            self.sales_online = true;
            self.ask_release(out);
        }
    }

    pub(super) fn sales_probed(&mut self, reachable: bool, now: Moment, out: &mut Vec<Effect>) {
        self.probing = false;
        self.probe_at = now.mono.plus(PROBE);
        if reachable {
            self.sales_came_online(out);
        }
    }

    pub(super) fn probed(&mut self, reachable: bool, now: Moment, out: &mut Vec<Effect>) {
        self.probing = false;
        self.probe_at = now.mono.plus(PROBE);
        if !reachable {
            return;
        }
        self.came_online(out);
    }

    /// Asks whether the network is back, and releases what may go on by itself.
    pub(super) fn try_network(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.asking_release && self.settings.release == Release::Print && !self.paused {
            self.release_queued(now, out);
        }
        let away = !self.online || !self.sales_online;
        if !away || self.probing || now.mono < self.probe_at {
            return;
        }
        if !self.any_queued() && !self.wants_network() {
            return;
        }
        if !self.sales_online {
            self.probing = true;
            out.push(Effect::ProbeSales);
        } else if let Some(route) = self.settings.routes.first() {
            self.probing = true;
            out.push(Effect::Probe(route.account.clone()));
        }
    }

    /// What the ticket before a label says, when its act waited.
    pub(super) fn announcement(&mut self, id: &OrderId, now: Moment) -> Option<Vec<String>> {
        let act = self.waiting_act(id)?;
        let running = self.running.get_mut(&act)?;
        let waited = std::mem::take(&mut running.announce);
        if !std::mem::take(&mut running.ticket) && !waited {
            return None;
        }
        let order = self.orders.get(id)?;
        let mut lines = vec![order.number.clone()];
        lines.extend(order.recipient.clone());
        lines.push(if waited {
            format!(
                "scanned {}",
                crate::domain::time::ago(now.wall, running.act.at)
            )
        } else {
            "next order".to_owned()
        });
        lines.push("its label follows".to_owned());
        Some(lines)
    }
}
