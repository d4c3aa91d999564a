//! Start, ticks, the offline queue, and numbers that come late.

use super::purchase::LOOKS_APART;
use super::{Effect, LookFor, Release, Settings, Station, Waiting, paper};
use crate::domain::order::{IntentKind, PageState, Standing};
use crate::domain::{
    Act, ActId, ActKind, CallFailure, Code, Moment, Mono, Order, OrderId, Outcome, Record,
    RemoteOrder, ScanReply, Signal, State,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// A scan of less than this before a restart goes on by itself; the packer still stands there.
const FRESH: Duration = Duration::from_secs(60);
/// How often Starshipit is tried while scans wait for it.
const PROBE: Duration = Duration::from_secs(5);
/// Closed orders kept in memory for a while after their last change.
const KEEP_CLOSED: Duration = Duration::from_secs(120);
/// A courier that has given no number for so long gives none.
const NUMBER_GIVEN_UP: Duration = Duration::from_secs(24 * 3600);

/// What the ledger brought back.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Open orders.
    pub orders: Vec<Order>,
    /// Acts that had not ended.
    pub acts: Vec<Act>,
    /// PAUSE was in force.
    pub paused: bool,
    /// Highest act number ever used.
    pub highest_act: u64,
    /// The wall clock can be believed.
    pub clock_trusted: bool,
}

impl Station {
    /// A station that goes on where the last one stopped, and what must be done at once.
    pub fn start(settings: Settings, recovered: Recovered, now: Moment) -> (Self, Vec<Effect>) {
        let mut station = Self {
            settings,
            orders: BTreeMap::new(),
            jobs: BTreeMap::new(),
            running: BTreeMap::new(),
            contexts: BTreeMap::new(),
            repeats: BTreeMap::new(),
            lines: BTreeMap::new(),
            untracked: BTreeMap::new(),
            paused: recovered.paused,
            bench_seq: u64::try_from(now.wall.0).unwrap_or(0),
            draining: false,
            online: true,
            probe_at: now.mono,
            probing: false,
            asking_release: false,
            next_act: recovered.highest_act + 1,
        };
        for printer in station.settings.printers.clone() {
            station.line(&printer);
        }
        let mut out = Vec::new();
        let mut records = Vec::new();
        for order in recovered.orders {
            let id = order.id.clone();
            station.orders.insert(id.clone(), order);
            // Bytes may have left before the stop: only a person can tell.
            let cut = station.orders.get(&id).is_some_and(|order| {
                order
                    .shipments
                    .iter()
                    .flat_map(|s| &s.pages)
                    .any(|p| p.state == PageState::Sending)
            });
            if cut {
                records.extend(station.change(&id, now, |order| {
                    for page in order.shipments.iter_mut().flat_map(|s| &mut s.pages) {
                        if page.state == PageState::Sending {
                            page.state = PageState::InDoubt;
                        }
                    }
                }));
            }
            station.watch_for_number(&id, now);
            if station
                .orders
                .get(&id)
                .is_some_and(|order| order.intent.is_some())
            {
                // How long ago it was sent is not known on this clock: the settle time starts anew.
                station.job(&id, now).waiting = Waiting::Look { at: now.mono };
            }
        }
        paper::remember(records, &mut out);
        let mut acts = recovered.acts;
        acts.sort_by_key(|act| act.id);
        for act in acts {
            station.resume_act(act, recovered.clock_trusted, now, &mut out);
        }
        // Released before the stop, and nobody waits any more: held until its next scan.
        let orphans: Vec<OrderId> = station
            .orders
            .iter()
            .filter(|(id, order)| {
                matches!(
                    order.standing,
                    Standing::Released | Standing::WaitingPrinter(_)
                ) && !station.jobs.contains_key(id)
                    && !station
                        .running
                        .values()
                        .any(|r| r.order.as_ref() == Some(id))
            })
            .map(|(id, _)| id.clone())
            .collect();
        let mut records = Vec::new();
        for id in orphans {
            records.extend(station.change(&id, now, |order| order.standing = Standing::Resting));
        }
        paper::remember(records, &mut out);
        let due: Vec<OrderId> = station.jobs.keys().cloned().collect();
        for id in due {
            station.run_due(&id, now, &mut out);
        }
        (station, out)
    }

    fn resume_act(&mut self, act: Act, clock_trusted: bool, now: Moment, out: &mut Vec<Effect>) {
        let id = self.begin(None, act.kind, act.text.clone(), act.source.clone(), now);
        // The act keeps its own number: its records go on counting from where they were.
        let Some(mut running) = self.running.remove(&id) else {
            return;
        };
        self.next_act = self.next_act.max(act.id.0 + 1);
        let age = now.wall.since(act.at);
        let ahead = act.at > now.wall.plus(FRESH);
        running.durable = true;
        running.accepted = true;
        running.order.clone_from(&act.order);
        running.act = act;
        let id = running.act.id;
        let order = running.order.clone();
        let (queued, kind) = (running.act.queued, running.act.kind);
        self.running.insert(id, running);
        if let Some(order) = order.as_ref().filter(|o| self.jobs.contains_key(*o)) {
            self.work_on(id, &order.clone(), now);
        }
        if (queued && (!clock_trusted || ahead)) || age >= self.settings.expire_after {
            self.expire(id, now, out);
            return;
        }
        // What is settled, or for a person to settle, is not asked about by a restart (contract 13).
        match order
            .as_ref()
            .and_then(|id| self.orders.get(id))
            .map(Order::state)
        {
            Some(State::InDoubt) => {
                let reply = self.coded(Outcome::Question, Code::PrinterInDoubt, None);
                self.end_act(id, Vec::new(), reply, out);
                return;
            }
            Some(State::Printed) if kind == ActKind::Ship => {
                let reply = ScanReply::new(Outcome::Printed, "The label is printed.");
                self.end_act(id, Vec::new(), reply, out);
                return;
            }
            _ => {}
        }
        if queued {
            self.asking_release = self.settings.release == Release::Ask;
            return;
        }
        if age > FRESH || ahead || !clock_trusted {
            // The packer has gone: it waits for RESUME like a scan that queued offline.
            self.tell_queued(id, now, out);
            self.asking_release = true;
            return;
        }
        match order.filter(|order| self.orders.contains_key(order)) {
            Some(order) if self.jobs.contains_key(&order) => {}
            Some(order) => self.decide(id, &order, now, out),
            None => self.recall(id, out),
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let due: Vec<OrderId> = self.jobs.keys().cloned().collect();
        for id in due {
            self.run_due(&id, now, out);
        }
        self.check_printers(now, out);
        self.show_working(now, out);
        self.expire_queued(now, out);
        if !self.online
            && !self.probing
            && now.mono >= self.probe_at
            && self.any_queued()
            && let Some(route) = self.settings.routes.first()
        {
            self.probing = true;
            out.push(Effect::Probe(route.account.clone()));
        }
        self.look_for_numbers(now, out);
        self.forget_closed(now);
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

    fn look_at_intent(&self, id: &OrderId, out: &mut Vec<Effect>) {
        let Some((order, intent)) = self
            .orders
            .get(id)
            .and_then(|order| Some((order, order.intent.as_ref()?)))
        else {
            return;
        };
        out.push(match intent.kind {
            IntentKind::Buy => Effect::Look {
                order: id.clone(),
                account: order.account.clone(),
                order_id: intent.order_id,
                why: LookFor::Purchase,
                within: None,
            },
            kind => Effect::LookRemade {
                order: id.clone(),
                account: order.account.clone(),
                replace: kind == IntentKind::Replace,
                number: order.number.clone(),
                reference: order.reference.clone(),
                order_id: intent.order_id,
                known: std::iter::once(order.order_id)
                    .chain(order.shipments.iter().map(|s| s.order_id))
                    .collect(),
                sent_at: intent.sent_at,
            },
        });
    }

    fn show_working(&mut self, now: Moment, out: &mut Vec<Effect>) {
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

    // ---- offline ----

    fn any_queued(&self) -> bool {
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
        if self.any_queued() {
            // The station asks; with `offline.release = "print"` the next probe releases.
            self.asking_release = true;
            out.push(Effect::Signal(Signal::Question));
        }
    }

    pub(super) fn probed(&mut self, reachable: bool, now: Moment, out: &mut Vec<Effect>) {
        self.probing = false;
        self.probe_at = now.mono.plus(PROBE);
        if !reachable {
            return;
        }
        self.came_online(out);
        if self.settings.release == Release::Print {
            self.release_queued(now, out);
        }
    }

    /// A scan that cannot be answered now: queued, if it is one that may be (contract 14).
    pub(super) fn queue_or_refuse(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let shipped = running
            .order
            .as_ref()
            .and_then(|id| self.orders.get(id))
            .is_some_and(|order| order.live().next().is_some() && !order.needs_label());
        if running.act.kind != ActKind::Ship || shipped {
            let mut reply = self.coded(Outcome::Refused, Code::StarshipitUnreachable, None);
            reply.message =
                "Starshipit cannot be reached. This command was not carried out and is not kept. Scan it again when the network is back."
                    .to_owned();
            "scan it again when the network is back".clone_into(&mut reply.next);
            self.end_act(act, Vec::new(), reply, out);
            return;
        }
        self.tell_queued(act, now, out);
    }

    /// RESUME, or the network with `offline.release = "print"`: queued scans go on, oldest first,
    /// each after a ticket that announces it. Returns how many.
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
            running.timings = crate::domain::Timings::default();
            let (text, at, order) = (
                running.act.text.to_string(),
                running.act.at,
                running.order.clone(),
            );
            let known = order.as_ref().and_then(|id| self.orders.get(id));
            let printer = known.map(|o| o.printer.clone()).or_else(|| {
                self.settings
                    .accounts_for(&text)
                    .first()
                    .and_then(|account| self.settings.printer_for(account, &text))
            });
            if let Some(printer) = printer {
                let mut lines = vec![known.map_or_else(|| text.clone(), |o| o.number.clone())];
                lines.extend(known.and_then(|o| o.recipient.clone()));
                lines.push(format!(
                    "scanned {}",
                    crate::domain::time::ago(now.wall, at)
                ));
                lines.push("its label follows".to_owned());
                out.push(Effect::Ticket { printer, lines });
            }
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

    fn expire_queued(&mut self, now: Moment, out: &mut Vec<Effect>) {
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
    fn expire(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
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

    // ---- numbers that come late (contract 8) ----

    pub(super) fn watch_for_number(&mut self, id: &OrderId, now: Moment) {
        let missing = self
            .orders
            .get(id)
            .is_some_and(|o| o.live().any(|s| s.tracking.is_empty() && !s.untracked));
        if missing {
            self.untracked
                .entry(id.clone())
                .or_insert((now.mono.plus(LOOKS_APART), 0));
        } else {
            self.untracked.remove(id);
        }
    }

    fn look_for_numbers(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let due: Vec<OrderId> = self
            .untracked
            .iter()
            .filter(|(_, (at, _))| now.mono >= *at)
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let Some((account, order_id)) = self.orders.get(&id).and_then(|order| {
                let shipment = order
                    .live()
                    .find(|s| s.tracking.is_empty() && !s.untracked)?;
                Some((order.account.clone(), shipment.order_id))
            }) else {
                self.untracked.remove(&id);
                continue;
            };
            if let Some((at, times)) = self.untracked.get_mut(&id) {
                *times += 1;
                let wait = match times {
                    1 => Duration::from_secs(30),
                    2 => Duration::from_secs(120),
                    _ => Duration::from_secs(600),
                };
                *at = now.mono.plus(wait);
            }
            out.push(Effect::Look {
                order: id,
                account,
                order_id,
                why: LookFor::Number,
                within: None,
            });
        }
    }

    pub(super) fn looked_for_number(
        &mut self,
        id: &OrderId,
        order_id: i64,
        result: Result<Option<RemoteOrder>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let numbers = match result {
            Ok(remote) => {
                self.came_online(out);
                remote.map(|remote| remote.tracking).unwrap_or_default()
            }
            Err(failure) => {
                if matches!(failure, CallFailure::NotSent { .. }) {
                    self.went_offline(now);
                }
                return;
            }
        };
        let Some(since) = self
            .orders
            .get(id)
            .and_then(|o| o.shipments.iter().find(|s| s.order_id == order_id))
            .map(|s| s.at)
        else {
            return;
        };
        let given_up = numbers.is_empty() && now.wall.since(since) >= NUMBER_GIVEN_UP;
        if numbers.is_empty() && !given_up {
            return;
        }
        let record = self.change(id, now, |order| {
            if let Some(shipment) = order.shipments.iter_mut().find(|s| s.order_id == order_id) {
                shipment.tracking = numbers;
                shipment.untracked = given_up;
            }
        });
        let records: Vec<Record> = record.into_iter().collect();
        paper::remember(records, out);
        self.untracked.remove(id);
        self.watch_for_number(id, now);
    }

    /// Closed orders leave memory after a while; the ledger has them.
    fn forget_closed(&mut self, now: Moment) {
        let mut kept: Vec<OrderId> = self.jobs.keys().cloned().collect();
        kept.extend(self.running.values().filter_map(|r| r.order.clone()));
        kept.extend(self.contexts.values().flat_map(|c| {
            c.question
                .iter()
                .map(|q| q.order.clone())
                .chain(c.last_order.iter().map(|(id, _)| id.clone()))
        }));
        kept.extend(
            self.lines
                .values()
                .flat_map(|line| line.waiting.iter().chain(line.busy.iter()).cloned()),
        );
        self.orders.retain(|id, order| {
            order.is_open() || kept.contains(id) || now.wall.since(order.updated) < KEEP_CLOSED
        });
        self.contexts
            .retain(|_, c| c.user.is_some() || now.mono.since(c.touched) < KEEP_CLOSED);
    }
}

/// The moment that tests and the shell start from.
impl Moment {
    /// A moment with both clocks at these milliseconds.
    pub fn at(wall: i64, mono: u64) -> Self {
        Self {
            wall: crate::domain::Timestamp(wall),
            mono: Mono(mono),
        }
    }
}
