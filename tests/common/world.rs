//! A bench in a box: the station's core between a virtual Starshipit, ledger, printers and clock.
//!
//! Effects are carried out in the order in which they were given, one by one, so that a crash can be
//! placed between any two of them; replies wait until somebody delivers them. What must hold at
//! every single step (intents before calls, `Sending` before bytes, one reply per token, records
//! that count upwards) is asserted here; what must hold in the end is in `promises.rs`.
#![expect(
    clippy::allow_attributes,
    reason = "each test binary uses its own part"
)]
#![allow(dead_code, reason = "each test binary uses its own part")]

#[path = "cloud.rs"]
mod cloud;
#[path = "memory.rs"]
mod memory;
#[path = "promises.rs"]
mod promises;

pub use cloud::{Call, Cloud, Fault};
pub use memory::{Memory, Refusal};

use printstation::domain::order::IntentKind;
use printstation::domain::{
    ActId, Code, DocumentId, Moment, Mono, Order, OrderId, Outcome, PageState, PrintOutcome,
    PrinterName, Proof, Record, ScanReply, ScanText, Signal, Source, State, Timestamp,
};
use printstation::station::{
    Ask, AskKind, Effect, Input, PageJob, Release, Settings, Station, Token,
};
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
    /// RESUME was given; so often REPRINT, and REDO or NEXT-PARCEL.
    pub reprints: usize,
    pub purchases_asked: usize,
    pub clock_trusted: bool,
    /// True milliseconds since the world began, and when this process started.
    now: u64,
    started: u64,
    wall_error: i64,
    lists: VecDeque<VecDeque<Effect>>,
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
    /// Told "queued" and not released: must not print. Released: a ticket comes first.
    silent: BTreeSet<String>,
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
            printers: BTreeMap::new(),
            paper: Vec::new(),
            said: Vec::new(),
            signals: Vec::new(),
            disturbed: false,
            crash_after: None,
            carried_out: 0,
            reprints: 0,
            purchases_asked: 0,
            clock_trusted: true,
            now: 0,
            started: 0,
            wall_error: 0,
            lists: VecDeque::new(),
            replies: Vec::new(),
            in_hand: BTreeSet::new(),
            spool: BTreeSet::new(),
            remakes: BTreeMap::new(),
            calls_out: BTreeSet::new(),
            next_token: 1,
            open_tokens: BTreeSet::new(),
            lost_tokens: BTreeSet::new(),
            silent: BTreeSet::new(),
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

    // ---- people ----

    /// Scans at the bench and lets everything come to rest; the last thing said to this scan.
    pub fn scan(&mut self, text: &str) -> ScanReply {
        self.scan_at("bench", text)
    }

    pub fn scan_at(&mut self, trigger: &str, text: &str) -> ScanReply {
        let token = self.hand_in(trigger, None, text);
        self.run();
        self.reply_to(token)
    }

    pub fn scan_by(&mut self, trigger: &str, user: &str, text: &str) -> ScanReply {
        let token = self.hand_in(trigger, Some(user), text);
        self.run();
        self.reply_to(token)
    }

    pub fn command(&mut self, name: &str) -> ScanReply {
        self.scan(&format!("{PREFIX}{name}"))
    }

    /// Gives a scan to the core without letting anything run.
    pub fn hand_in(&mut self, trigger: &str, user: Option<&str>, text: &str) -> Token {
        let token = self.new_token();
        self.notice(text);
        self.handle(Input::Scan {
            token: Some(token),
            text: ScanText::parse(text).expect("scenarios scan readable text"),
            source: Source {
                trigger: trigger.to_owned(),
                user: user.map(str::to_owned),
            },
        });
        token
    }

    pub fn ask(&mut self, kind: AskKind, order: &str) -> ScanReply {
        let token = self.new_token();
        self.notice(order);
        match kind {
            AskKind::Reprint => self.reprints += 1,
            AskKind::Redo | AskKind::NextParcel => self.purchases_asked += 1,
            AskKind::Release | AskKind::Cancel => {}
        }
        self.handle(Input::Ask {
            token: Some(token),
            ask: Ask {
                kind,
                order: order.to_owned(),
                reason: None,
                parcels: Vec::new(),
            },
            source: Source {
                trigger: "http".to_owned(),
                user: None,
            },
        });
        self.run();
        self.reply_to(token)
    }

    /// Counts what people ask for.
    fn notice(&mut self, text: &str) {
        match text.strip_prefix(PREFIX) {
            Some("RESUME") => self.to_announce.append(&mut self.silent),
            Some("REPRINT") => self.reprints += 1,
            Some("REDO" | "NEXT-PARCEL") => self.purchases_asked += 1,
            Some(name) if name.starts_with("ORDER-") => {
                let id = OrderId(name["ORDER-".len()..].to_owned());
                let number = self.memory.order(&id).map(|o| o.number.clone());
                self.silent
                    .retain(|s| Some(s) != number.as_ref() && *s != id.0);
            }
            Some(_) => {}
            None => {
                // The person stands there again: what prints is not unannounced.
                self.silent.remove(text);
                self.to_announce.remove(text);
            }
        }
    }

    fn new_token(&mut self) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        self.open_tokens.insert(token);
        token
    }

    pub fn reply_to(&self, token: Token) -> ScanReply {
        self.said
            .iter()
            .rev()
            .find(|said| said.token == Some(token))
            .map_or_else(
                || {
                    assert!(self.disturbed, "nothing was ever said to scan {token}");
                    ScanReply::new(Outcome::Ignored, "lost in a crash")
                },
                |said| said.reply.clone(),
            )
    }

    /// The newest thing said to anybody about a text or order number.
    pub fn last_word(&self, about: &str) -> ScanReply {
        self.said
            .iter()
            .rev()
            .find(|s| s.scanned == about || s.reply.order.as_deref() == Some(about))
            .map_or_else(
                || {
                    assert!(self.disturbed, "nothing was ever said about {about}");
                    ScanReply::new(Outcome::Ignored, "lost in a crash")
                },
                |said| said.reply.clone(),
            )
    }

    pub fn was_said(&self, about: &str, outcome: Outcome) -> bool {
        self.said
            .iter()
            .any(|s| s.reply.order.as_deref() == Some(about) && s.reply.outcome == outcome)
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
        }
    }

    // ---- the shell ----

    pub fn handle(&mut self, input: Input) {
        let was = format!("{input:?}");
        let effects = self.station.handle(input, self.moment());
        let glance = self.station.glance();
        let bound = 24 + 12 * (glance.working + glance.queued + self.memory.open_orders());
        assert!(
            effects.len() <= bound,
            "{} effects for {was}: {effects:?}",
            effects.len()
        );
        self.lists.push_back(effects.into());
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
        let Some(list) = self.lists.front_mut() else {
            return false;
        };
        let Some(effect) = list.pop_front() else {
            self.lists.pop_front();
            return true;
        };
        let matters = !matches!(effect, Effect::Answer { .. } | Effect::Signal(_));
        self.carry_out(effect);
        if matters {
            self.carried_out += 1;
            if self.crash_after == Some(self.carried_out) {
                self.crash();
            }
        }
        true
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Remember(records) => self.remember(records),
            Effect::Answer {
                token,
                scanned,
                reply,
                last,
                ..
            } => self.answer(token, scanned, *reply, last),
            Effect::Signal(signal) => self.signals.push(signal),
            Effect::Recall { act, alias } => self.replies.push(Input::Recalled {
                act,
                orders: self.memory.by_alias(&alias),
            }),
            Effect::Find {
                act,
                accounts,
                texts,
            } => {
                let (hits, failures) = self.cloud.find(&accounts, &texts);
                let hits = hits
                    .into_iter()
                    .map(|remote| {
                        let id = OrderId::starshipit(&remote.account, remote.order_id);
                        let known = self.memory.by_alias(&id.0.to_ascii_lowercase()).pop();
                        (remote, known)
                    })
                    .collect();
                self.replies.push(Input::Found {
                    act,
                    hits,
                    failures,
                });
            }
            Effect::Look {
                order,
                account,
                order_id,
                why,
                ..
            } => {
                let result = self.cloud.look(&account, order_id);
                self.replies.push(Input::Looked {
                    order,
                    order_id,
                    why,
                    result,
                });
            }
            Effect::Buy {
                order,
                account,
                order_id,
                reprint,
                ..
            } => {
                self.one_call_at_a_time(&order);
                self.check_intended(&order, order_id, (!reprint).then_some(IntentKind::Buy));
                let result = self.cloud.buy(&account, order_id, reprint, Mono(self.now));
                if let Ok(bought) = &result {
                    self.in_hand
                        .extend(bought.documents.iter().map(|d| d.id.clone()));
                }
                self.replies.push(Input::Bought {
                    order,
                    reprint,
                    result,
                });
            }
            Effect::Replace {
                order,
                account,
                order_id,
            } => self.remake(order, &account, order_id, true),
            Effect::Clone {
                order,
                account,
                order_id,
            } => self.remake(order, &account, order_id, false),
            Effect::LookRemade {
                order,
                account,
                replace,
                order_id,
                known,
                ..
            } => {
                self.one_call_at_a_time(&order);
                let since = self.remakes.get(&order).copied().unwrap_or_default();
                let result = self
                    .cloud
                    .look_remade(&account, order_id, replace, &known, since);
                self.replies.push(Input::LookedRemade { order, result });
            }
            Effect::Store {
                order,
                order_id,
                documents,
            } => {
                let stored = documents
                    .iter()
                    .all(|d| self.in_hand.contains(d) || self.spool.contains(d));
                if stored {
                    self.spool.extend(documents);
                }
                self.replies.push(Input::Stored {
                    order,
                    order_id,
                    stored,
                });
            }
            Effect::Prepare {
                order,
                order_id,
                documents,
                ..
            } => {
                let pages: Option<Vec<_>> = documents
                    .iter()
                    .map(|d| {
                        self.spool
                            .contains(&d.id)
                            .then(|| self.cloud.pages(&d.id))?
                    })
                    .collect();
                let result = pages
                    .map(|pages| pages.concat())
                    .ok_or((Code::LabelMissing, "not in the spool".to_owned()));
                self.replies.push(Input::Prepared {
                    order,
                    order_id,
                    result,
                });
            }
            Effect::Send {
                order,
                order_id,
                page,
                job,
            } => self.send(order, order_id, page, *job),
            Effect::CheckPrinter(printer) => {
                let trouble = self.printers.entry(printer.clone()).or_default().trouble;
                self.replies.push(Input::PrinterSeen { printer, trouble });
            }
            Effect::Probe(_) => {
                let reachable = self.cloud.probe();
                self.replies.push(Input::Probed { reachable });
            }
            Effect::Ticket { lines, .. } => {
                self.to_announce.retain(|number| !lines.contains(number));
                self.paper.push(Paper::Ticket(lines));
            }
        }
    }

    fn remember(&mut self, records: Vec<Record>) {
        assert!(
            !records.is_empty(),
            "an empty batch costs a flush for nothing"
        );
        if let Err(Refusal { act }) = self.memory.commit(records) {
            // Nothing of the same list is done.
            self.lists.pop_front();
            self.lists.push_front(VecDeque::new());
            self.replies.push(Input::Full { act });
        }
    }

    fn answer(&mut self, token: Option<Token>, scanned: String, reply: ScanReply, last: bool) {
        if reply.outcome == Outcome::Accepted || reply.outcome == Outcome::Queued {
            assert!(
                self.memory.acts_of(&scanned) > 0,
                "{:?} was said before {scanned} was durable",
                reply.outcome
            );
        }
        if reply.outcome == Outcome::Queued {
            let held = match self.settings.release {
                Release::Ask => &mut self.silent,
                Release::Print => &mut self.to_announce,
            };
            held.insert(reply.order.clone().unwrap_or_else(|| scanned.clone()));
        }
        if let Some(token) = token.filter(|_| last) {
            assert!(
                self.open_tokens.remove(&token) || self.lost_tokens.contains(&token),
                "token {token} got two last answers: {reply:?}"
            );
        }
        self.said.push(Said {
            token,
            scanned,
            reply,
            last,
        });
    }

    fn remake(
        &mut self,
        order: OrderId,
        account: &printstation::domain::AccountName,
        order_id: i64,
        replace: bool,
    ) {
        self.one_call_at_a_time(&order);
        let kind = if replace {
            IntentKind::Replace
        } else {
            IntentKind::Clone
        };
        self.check_intended(&order, order_id, Some(kind));
        self.remakes.insert(order.clone(), Mono(self.now));
        let result = self
            .cloud
            .remake(account, order_id, replace, Mono(self.now));
        self.replies.push(Input::Remade { order, result });
    }

    fn one_call_at_a_time(&mut self, order: &OrderId) {
        assert!(
            self.calls_out.insert(order.clone()),
            "two calls at once for {order}"
        );
    }

    /// P1: the call that leaves is the one that is on disk.
    fn check_intended(&self, id: &OrderId, order_id: i64, kind: Option<IntentKind>) {
        let order = self
            .memory
            .order(id)
            .expect("a call for an order that is not durable");
        match kind {
            Some(kind) => assert!(
                order
                    .intent
                    .as_ref()
                    .is_some_and(|i| i.kind == kind && i.order_id == order_id && i.sends >= 1),
                "{kind:?} for {id} left before its intent was durable: {:?}",
                order.intent
            ),
            None => assert!(
                order.live().any(|s| s.order_id == order_id),
                "reprint for {id} left before its shipment was durable"
            ),
        }
    }

    fn send(&mut self, id: OrderId, order_id: i64, page: usize, job: PageJob) {
        let durable = self
            .memory
            .order(&id)
            .expect("a page of an order that is not durable");
        let shipment = durable
            .shipments
            .iter()
            .find(|s| s.order_id == order_id)
            .expect("a page of a shipment that is not durable");
        assert!(!shipment.superseded, "a superseded label is printed");
        assert_eq!(
            shipment.pages.get(page).map(|p| p.state),
            Some(PageState::Sending),
            "page {page} of {id} was sent before that was durable"
        );
        for name in [&job.number, &id.0] {
            assert!(
                !self.silent.contains(name),
                "{name} was queued and prints unasked"
            );
            assert!(
                !self.to_announce.contains(name),
                "{name} prints without its ticket"
            );
        }
        let printer = self.printers.entry(job.printer.clone()).or_default();
        assert!(!printer.busy, "two pages at once on {}", job.printer);
        printer.busy = true;
        let journey = match printer.trouble {
            Some(code) => Some(Journey::NotStarted(code)),
            None => printer.plan.pop_front(),
        };
        let (out, outcome) = match journey {
            None => (
                true,
                PrintOutcome::Printed {
                    proof: Proof::Confirmed,
                },
            ),
            Some(Journey::NotStarted(code)) => (
                false,
                PrintOutcome::NotStarted {
                    code,
                    detail: String::new(),
                },
            ),
            Some(Journey::Cut { out }) => (
                out,
                PrintOutcome::InDoubt {
                    bytes: 100,
                    detail: "cut".to_owned(),
                },
            ),
        };
        if let Some(Journey::NotStarted(code)) = journey
            && code != Code::LabelMissing
        {
            printer.trouble = Some(code);
        }
        if out {
            self.paper.push(Paper::Page {
                printer: job.printer.clone(),
                job,
                order_id,
                page,
            });
        }
        self.replies.push(Input::PageEnded {
            order: id,
            order_id,
            page,
            outcome,
        });
    }

    // ---- power ----

    /// The process dies here; only what is durable comes back.
    pub fn crash(&mut self) {
        self.disturbed = true;
        self.lists.clear();
        self.replies.clear();
        self.in_hand.clear();
        self.calls_out.clear();
        for printer in self.printers.values_mut() {
            printer.busy = false;
        }
        self.lost_tokens.append(&mut self.open_tokens);
        self.started = self.now;
        let recovered = self.memory.recover(self.clock_trusted);
        let (station, effects) = Station::start(self.settings.clone(), recovered, self.moment());
        self.station = station;
        self.lists.push_back(effects.into());
    }

    // ---- what there is to see ----

    pub fn printer(&mut self, name: &str) -> &mut Printer {
        self.printers.entry(name.into()).or_default()
    }

    /// Pages of an order number that came out.
    pub fn printed(&self, number: &str) -> usize {
        self.paper
            .iter()
            .filter(|p| matches!(p, Paper::Page { job, .. } if job.number == number))
            .count()
    }

    pub fn tickets(&self) -> Vec<&Vec<String>> {
        self.paper
            .iter()
            .filter_map(|p| match p {
                Paper::Ticket(lines) => Some(lines),
                Paper::Page { .. } => None,
            })
            .collect()
    }

    /// The order as the ledger has it; an empty one where a crash came before it.
    pub fn durable(&self, number: &str) -> Order {
        self.memory
            .orders()
            .find(|o| o.number == number)
            .cloned()
            .unwrap_or_else(|| {
                assert!(self.disturbed, "{number} is not in the ledger");
                self.nothing(number)
            })
    }

    fn nothing(&self, number: &str) -> Order {
        Order {
            id: OrderId::default(),
            seq: 0,
            number: number.to_owned(),
            reference: None,
            account: "main".into(),
            order_id: 0,
            recipient: None,
            printer: "label".into(),
            standing: printstation::domain::order::Standing::Resting,
            shipments: Vec::new(),
            intent: None,
            fingerprint: String::new(),
            deeds: Vec::new(),
            created: Timestamp(0),
            updated: Timestamp(0),
        }
    }

    pub fn state(&self, number: &str) -> State {
        self.durable(number).state()
    }

    pub fn acts_open(&self) -> Vec<ActId> {
        self.memory.open_acts()
    }

    /// The scenario's own expectations: not when something was broken on purpose.
    pub fn expect(&mut self, check: impl FnOnce(&mut Self)) {
        if !self.disturbed {
            check(self);
        }
    }
}

/// What scenarios look at.
impl World {
    /// Lets everything run until something is so, or everything is at rest.
    pub fn run_until(&mut self, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            if !self.step() {
                if self.replies.is_empty() {
                    assert!(self.disturbed, "it never came to that");
                    return;
                }
                self.deliver(0);
            }
        }
    }

    /// What came out, in order: order numbers, and `ticket`.
    pub fn papers(&self) -> Vec<String> {
        self.paper
            .iter()
            .map(|p| match p {
                Paper::Page { job, .. } => job.number.clone(),
                Paper::Ticket(_) => "ticket".to_owned(),
            })
            .collect()
    }

    pub fn durable_tracking(&self, number: &str) -> Vec<String> {
        self.memory
            .orders()
            .find(|o| o.number == number)
            .map(Order::tracking)
            .unwrap_or_default()
    }

    pub fn durable_intent(&self, number: &str) -> Option<printstation::domain::order::Intent> {
        self.memory
            .orders()
            .find(|o| o.number == number)?
            .intent
            .clone()
    }
}
