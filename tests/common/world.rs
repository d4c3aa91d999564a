//! A bench in a box: the station's core between a virtual Starshipit, ledger, printers and clock.
//!
//! Effects are carried out in the order in which they were given, one by one, so that a crash can be
//! placed between any two of them; replies wait until somebody delivers them. What must hold at
//! every single step (intents before calls, `Sending` before bytes, one reply per token, records
//! that count upwards) is asserted here; what must hold in the end is in `promises.rs`.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "each test binary uses its own part; a test stops at the first surprise and prints its steps"
)]

#[path = "bench.rs"]
mod bench;
#[path = "cloud.rs"]
mod cloud;
#[path = "memory.rs"]
mod memory;
#[path = "people.rs"]
mod people;
#[path = "promises.rs"]
mod promises;
#[path = "sales.rs"]
mod sales;

pub use cloud::{Call, Cloud, Fault};
pub use memory::Memory;
pub use sales::{Hitch, Sinks};

use printstation::domain::{
    Code, DocumentId, Moment, Mono, Order, OrderId, Outcome, PrinterName, SaleOrder, ScanReply,
    Signal, StatusAct, Timestamp,
};
use printstation::station::{Effect, Input, PageJob, Release, Settings, Station, Token};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub const PREFIX: &str = "PSDEMO.";
const START: i64 = 1_790_000_000_000;

/// How a page's journey ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// Trouble before the first byte.
    NotStarted(Code),
    /// The line was cut; the paper came out or not.
    Cut { out: bool },
}

#[derive(Clone, Debug, Default)]
pub struct Printer {
    pub trouble: Option<Code>,
    pub plan: VecDeque<Journey>,
    busy: bool,
}

/// What goes wrong with one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// The call ends like this.
    Call(Fault),
    /// The page's journey ends like this.
    Page(Journey),
    /// The ledger has no room; the documents cannot be stored or read.
    Refused,
}

/// A step that matters outside the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Call,
    Page,
    /// The ledger or the spool.
    Disk,
    Other,
}

/// How often a person asked for one more of something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub reprints: usize,
    pub purchases: usize,
}

/// What came out of a printer.
#[derive(Clone, Debug, PartialEq)]
pub enum Paper {
    Page {
        printer: PrinterName,
        job: PageJob,
        order_id: i64,
        page: usize,
    },
    Ticket(Vec<String>),
}

/// An answer to a person.
#[derive(Clone, Debug)]
pub struct Said {
    pub token: Option<Token>,
    pub scanned: String,
    pub reply: ScanReply,
    pub last: bool,
}

pub struct World {
    pub settings: Settings,
    pub station: Station,
    pub cloud: Cloud,
    pub memory: Memory,
    pub sinks: Sinks,
    pub printers: BTreeMap<PrinterName, Printer>,
    pub paper: Vec<Paper>,
    pub said: Vec<Said>,
    pub signals: Vec<Signal>,
    /// A crash or a fault was put in: the scenario's own expectations no longer apply.
    pub disturbed: bool,
    /// Crash after so many effects that matter outside.
    pub crash_after: Option<usize>,
    /// Effects carried out that matter outside the process.
    pub carried_out: usize,
    /// Something goes wrong at so many of them instead.
    pub mishap_at: Option<(usize, Mishap)>,
    pub crashes: usize,
    /// Every step is told, for whoever looks for a fault.
    pub loud: bool,
    /// What each step was that matters outside.
    pub trace: Vec<Step>,
    /// What people asked for, by order number.
    pub asked: BTreeMap<String, Asked>,
    last_scanned: BTreeMap<String, String>,
    asked_about: BTreeMap<String, String>,
    armed: BTreeMap<String, Vec<String>>,
    pub clock_trusted: bool,
    /// True milliseconds since the world began, and when this process started.
    now: u64,
    started: u64,
    wall_error: i64,
    /// Effects to carry out, each list with how often RESUME had been given when it was made.
    lists: VecDeque<(usize, VecDeque<Effect>)>,
    resumes: usize,
    replies: Vec<Input>,
    /// Document bytes that this process holds, and those in the spool.
    in_hand: BTreeSet<DocumentId>,
    pub spool: BTreeSet<DocumentId>,
    /// When the newest clone of an order left.
    remakes: BTreeMap<OrderId, Mono>,
    calls_out: BTreeSet<OrderId>,
    next_token: Token,
    open_tokens: BTreeSet<Token>,
    lost_tokens: BTreeSet<Token>,
    texts: BTreeMap<Token, String>,
    vouched: BTreeSet<(i64, usize)>,
    /// By order number: scans told "queued", scans that may print, and whose ticket must come first.
    silent: BTreeMap<String, usize>,
    released: BTreeMap<String, usize>,
    to_announce: BTreeSet<String>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Settings::simple(PREFIX, "main", "label"))
    }

    pub fn with(settings: Settings) -> Self {
        let now = Moment {
            wall: Timestamp(START),
            mono: Mono(0),
        };
        let (station, effects) =
            Station::start(settings.clone(), Memory::default().recover(true), now);
        assert_eq!(effects, [], "an empty station has nothing to do");
        Self {
            station,
            settings,
            cloud: Cloud::new(),
            memory: Memory::default(),
            sinks: Sinks::default(),
            printers: BTreeMap::new(),
            paper: Vec::new(),
            said: Vec::new(),
            signals: Vec::new(),
            disturbed: false,
            crash_after: None,
            carried_out: 0,
            mishap_at: None,
            crashes: 0,
            loud: std::env::var_os("PRINTSTATION_LOUD").is_some(),
            trace: Vec::new(),
            asked: BTreeMap::new(),
            last_scanned: BTreeMap::new(),
            asked_about: BTreeMap::new(),
            armed: BTreeMap::new(),
            clock_trusted: true,
            now: 0,
            started: 0,
            wall_error: 0,
            lists: VecDeque::new(),
            resumes: 0,
            replies: Vec::new(),
            in_hand: BTreeSet::new(),
            spool: BTreeSet::new(),
            remakes: BTreeMap::new(),
            calls_out: BTreeSet::new(),
            next_token: 1,
            open_tokens: BTreeSet::new(),
            lost_tokens: BTreeSet::new(),
            texts: BTreeMap::new(),
            vouched: BTreeSet::new(),
            silent: BTreeMap::new(),
            released: BTreeMap::new(),
            to_announce: BTreeSet::new(),
        }
    }

    /// Before anything happens: other settings.
    pub fn configure(&mut self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings);
        self.station = Station::start(
            self.settings.clone(),
            self.memory.recover(true),
            self.moment(),
        )
        .0;
    }

    pub fn order(&mut self, number: &str) -> i64 {
        let now = Mono(self.now);
        self.cloud.add("main", number, now)
    }

    pub fn order_at(&mut self, account: &str, number: &str) -> i64 {
        let now = Mono(self.now);
        self.cloud.add(account, number, now)
    }

    // ---- time ----

    pub fn moment(&self) -> Moment {
        Moment {
            wall: Timestamp(START + i64::try_from(self.now).unwrap() + self.wall_error),
            mono: Mono(self.now - self.started),
        }
    }

    /// The wall clock jumps; the monotonic one does not.
    pub fn jump_clock(&mut self, by_ms: i64) {
        self.wall_error += by_ms;
    }

    pub fn advance(&mut self, by: Duration) {
        self.now += u64::try_from(by.as_millis()).unwrap();
        self.cloud.settle_late(Mono(self.now));
    }

    /// So much time passes, with a tick each second and everything coming to rest in between.
    pub fn wait(&mut self, span: Duration) {
        let mut left = span;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(1));
            left -= step;
            self.advance(step);
            self.handle(Input::Tick);
            self.run();
            self.write_back();
            self.run();
        }
    }

    /// The outbox tries everything that is due, once.
    pub fn write_back(&mut self) {
        let replies = self.sinks.attempt(self.memory.orders());
        self.replies.extend(replies);
    }

    /// CartonCloud's poll: every sale order is told.
    pub fn poll(&mut self) {
        let sales: Vec<_> = self.cloud.sale_orders.values().cloned().collect();
        for sale in sales {
            let known = self.known_sale(&sale);
            // Somebody at CartonCloud's screen stands for it, until it has been acted on.
            let asks = sale.text("properties.printNow");
            let acted = known
                .as_ref()
                .and_then(|o| o.sale.as_ref())
                .is_some_and(|s| s.print_seen);
            if !acted && asks.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                self.is_there(&sale.number);
            }
            let reached = known.as_ref().and_then(|o| o.sale.as_ref());
            let reached = reached.is_some_and(|s| s.reached == sale.status);
            let prints = self.settings.sale_route(&sale).is_some_and(|route| {
                self.settings.routes[route].on(&sale.status) == Some(StatusAct::Print)
            });
            if prints && !reached {
                self.is_there(&sale.number);
            }
            self.handle(Input::SaleSeen {
                sale: Box::new(sale),
                known: known.map(Box::new),
            });
        }
    }

    pub(super) fn known_sale(&self, sale: &SaleOrder) -> Option<Order> {
        let mut linked = self.memory.by_alias(&OrderId::cartoncloud(&sale.uuid).0);
        let is_its_own = |o: &Order| o.sale.as_ref().is_some_and(|s| s.uuid == sale.uuid);
        linked.sort_by_key(|o| !is_its_own(o));
        let unlinked = || {
            let named = self.memory.by_alias(&sale.number.to_ascii_lowercase());
            named.into_iter().find(|o| o.sale.is_none())
        };
        linked.into_iter().next().or_else(unlinked)
    }

    // ---- the shell ----

    pub fn handle(&mut self, input: Input) {
        if self.loud {
            println!("{:>8} {input:?}", self.now);
        }
        let effects = self.station.handle(input, self.moment());
        for effect in &effects {
            if let Effect::Answer { source, reply, .. } = effect
                && reply.outcome == Outcome::Question
                && let Some(number) = &reply.order
            {
                let key = format!(
                    "{}/{}",
                    source.trigger,
                    source.user.as_deref().unwrap_or("")
                );
                self.asked_about.insert(key, number.clone());
            }
        }
        let glance = self.station.glance();
        let bound = 32 + 12 * (glance.working + glance.queued + self.memory.open_orders());
        assert!(
            effects.len() <= bound,
            "{} effects for one input: {effects:?}",
            effects.len()
        );
        self.lists.push_back((self.resumes, effects.into()));
    }

    /// Carries out everything and delivers every reply, oldest first, until nothing moves.
    pub fn run(&mut self) {
        for _ in 0..20_000 {
            if self.step() {
                continue;
            }
            if self.replies.is_empty() {
                return;
            }
            self.deliver(0);
        }
        panic!("the station never comes to rest: {:?}", self.replies);
    }

    pub fn replies_waiting(&self) -> usize {
        self.replies.len()
    }

    pub fn deliver(&mut self, n: usize) {
        let input = self.replies.remove(n);
        match &input {
            Input::Bought { order, .. }
            | Input::Remade { order, .. }
            | Input::LookedRemade { order, .. } => {
                self.calls_out.remove(order);
            }
            Input::LookedNumber { order, .. } | Input::Created { order, .. } => {
                self.calls_out.remove(order);
            }
            Input::Delivered {
                order, n, tracking, ..
            } => {
                let key = (order.clone(), *n, tracking.clone());
                self.sinks.out.retain(|out| *out != key);
            }
            Input::PageEnded {
                order,
                order_id,
                page,
                ..
            } => {
                let printer = self.station.order(order).and_then(|o| {
                    let shipment = o.shipments.iter().find(|s| s.order_id == *order_id)?;
                    Some(shipment.pages.get(*page)?.printer.clone())
                });
                if let Some(printer) = printer {
                    self.printers.entry(printer).or_default().busy = false;
                }
            }
            _ => {}
        }
        self.handle(input);
    }

    /// Carries out the next effect. `false`: there is none.
    pub fn step(&mut self) -> bool {
        let Some((resumes, list)) = self.lists.front_mut() else {
            return false;
        };
        let asked_since = *resumes < self.resumes;
        let Some(effect) = list.pop_front() else {
            self.lists.pop_front();
            return true;
        };
        let matters = !matches!(effect, Effect::Answer { .. } | Effect::Signal(_));
        let mishap = self
            .mishap_at
            .filter(|(at, _)| matters && *at == self.carried_out + 1)
            .map(|(_, mishap)| mishap);
        if mishap.is_some() {
            self.disturbed = true;
        }
        let step = bench::step_of(&effect);
        if self.loud {
            println!("         {:>4} {mishap:?} {effect:?}", self.carried_out + 1);
        }
        self.carry_out(effect, mishap, asked_since);
        if matters {
            self.trace.push(step);
            self.carried_out += 1;
            if self.crash_after == Some(self.carried_out) {
                self.disturbed = true;
                self.crash();
            }
        }
        true
    }

    // ---- power ----

    /// The process dies here; only what is durable comes back.
    pub fn crash(&mut self) {
        self.crashes += 1;
        (self.silent, self.released) = self.memory.waiting_scans();
        self.to_announce.clear();
        if self.settings.release == Release::Print {
            self.let_go();
        }
        self.lists.clear();
        self.replies.clear();
        self.in_hand.clear();
        self.calls_out.clear();
        self.sinks.out.clear();
        for printer in self.printers.values_mut() {
            printer.busy = false;
        }
        self.lost_tokens.append(&mut self.open_tokens);
        self.started = self.now;
        let recovered = self.memory.recover(self.clock_trusted);
        let (station, effects) = Station::start(self.settings.clone(), recovered, self.moment());
        self.station = station;
        self.lists.push_back((self.resumes, effects.into()));
    }
}
