//! Start: going on where the last process stopped.

use super::{Effect, Settings, Station, Waiting, paper};
use crate::domain::order::{PageState, Standing};
use crate::domain::{
    Act, ActKind, AheadDay, Code, Moment, Order, OrderId, Outcome, ScanReply, State, Timestamp,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A scan of less than this before a restart goes on by itself; the packer still stands there.
const FRESH: Duration = Duration::from_secs(60);

/// What the ledger brought back.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Open orders.
    pub orders: Vec<Arc<Order>>,
    /// Acts that had not ended.
    pub acts: Vec<Act>,
    /// PAUSE was in force.
    pub paused: bool,
    /// Sequence of the bench record; 0 when there is none.
    pub bench_seq: u64,
    /// When the last hand-over list was printed; zero: never.
    pub closed: Timestamp,
    /// Labels bought ahead on the newest day with any.
    pub ahead: AheadDay,
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
            orders: super::book::Book::default(),
            jobs: BTreeMap::new(),
            running: BTreeMap::new(),
            told: BTreeMap::new(),
            contexts: BTreeMap::new(),
            badges: BTreeMap::new(),
            repeats: BTreeMap::new(),
            lines: BTreeMap::new(),
            slips: BTreeMap::new(),
            scale: super::weigh::Scale::default(),
            untracked: BTreeMap::new(),
            touched: BTreeMap::new(),
            forget_at: now.mono,
            first_seq: 0,
            now,
            before: BTreeMap::new(),
            refusable: BTreeSet::new(),
            paused: recovered.paused,
            bench_seq: recovered.bench_seq,
            closed_at: recovered.closed,
            closing: None,
            ahead_day: recovered.ahead,
            tend: BTreeMap::new(),
            seeking: None,
            dropping: BTreeMap::new(),
            draining: false,
            online: true,
            sales_online: true,
            push_pause: BTreeMap::new(),
            unbacked: BTreeMap::new(),
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
            station.orders.insert(order);
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
            .values()
            .filter(|order| {
                matches!(
                    order.standing,
                    Standing::Released | Standing::WaitingPrinter(_)
                ) && !station.jobs.contains_key(&order.id)
                    && !station
                        .running
                        .values()
                        .any(|r| r.order.as_ref() == Some(&order.id))
            })
            .map(|order| order.id.clone())
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

    pub(super) fn resume_act(
        &mut self,
        act: Act,
        clock_trusted: bool,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
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
        running.resumed = true;
        running.order.clone_from(&act.order);
        running.act = act;
        let id = running.act.id;
        let order = running.order.clone();
        let (queued, kind) = (running.act.queued, running.act.kind);
        self.running.insert(id, running);
        if let Some(order) = order.as_ref().filter(|o| self.jobs.contains_key(*o)) {
            // Of two acts for one order the newer counts, as it would have without the stop.
            if let Some(older) = self.waiting_act(order) {
                let reply =
                    ScanReply::new(Outcome::Ignored, "Scanned again; the newer scan counts.");
                self.end_act(older, Vec::new(), reply, out);
            }
            self.work_on(id, order, now);
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
            self.asking_release = true;
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
}
