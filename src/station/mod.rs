//! The sans-IO core: `(state, input, now) -> effects`. The only place where an order changes state.
//!
//! Inputs are facts, effects are orders to the shell; time is a value. [`Effect::Remember`] is a
//! barrier: the shell starts the later effects of the same list only after those records are
//! durable (contract 11), so every promise about money and paper can be read off the order of a
//! list. Nothing here knows sockets, files or clocks.
//!
//! * `input.rs`, `effect.rs`: what goes in and what comes out
//! * `scan.rs`, `context.rs`, `choices.rs`, `bench.rs`: cleaned text to command or act; whose it is
//! * `book.rs`: the orders in memory
//! * `press.rs`, `next.rs`, `day.rs`: a hand on a button; the next order waiting; the hand-over list
//! * `resolve.rs`, `decide.rs`, `release.rs`: which order, and what an act does with it (product.md
//!   section 3)
//! * `sales.rs`, `links.rs`, `push.rs`, `seen.rs`, `writeback.rs`: CartonCloud's sale orders: found, made Starshipit
//!   orders, heard of unasked; tracking numbers back
//! * `ahead.rs`: what a status asks for: labels bought before their scan, orders printed by themselves
//! * `verify.rs`: the label scanned once it is on its parcel
//! * `drop.rs`: a held label that is not wanted any more
//! * `weigh.rs`: the weight on the scale, for orders that have none
//! * `acts.rs`: an act from its first word to its last, and what a full ledger undoes
//! * `purchase.rs`, `looks.rs`, `remake.rs`, `fetch.rs`: the one unresolved call per order (contract 1, 2)
//! * `paper.rs`, `line.rs`, `stand_in.rs`, `slip.rs`: documents, pages, printers, doubt (contract 9)
//! * `glance.rs`: what people are shown of it
//! * `start.rs`, `clockwork.rs`, `offline.rs`, `numbers.rs`: restart, ticks, the offline queue, late
//!   tracking numbers
//!
//! Invariants: an order with an unresolved call has a job; a job has at most one act; an act that is
//! accepted ends in exactly one last answer; a label page is sent only while its order is released.

mod acts;
mod ahead;
mod bench;
mod book;
mod choices;
mod clockwork;
mod context;
mod day;
mod decide;
mod drop;
mod effect;
mod fetch;
mod glance;
mod input;
mod line;
mod links;
mod looks;
mod next;
mod numbers;
mod offline;
mod paper;
mod press;
mod purchase;
mod push;
mod release;
mod remake;
mod resolve;
mod sales;
mod scan;
mod seen;
mod settings;
mod slip;
mod stand_in;
mod start;
mod verify;
mod weigh;
mod writeback;

pub use ahead::{AheadGlance, HeldLabel};
pub use effect::{Effect, PageJob};
pub use glance::{ActGlance, Glance};
pub use input::{Ask, AskKind, Input, LookFor, PreparedPage, Remade, Token, WritebackVerb};
pub use press::Press;
pub use settings::{
    AheadRule, Confirm, Elsewhere, Lookup, PrintWhen, PrinterRule, PushRule, Release, Route,
    ScanMode, Settings, Unverified, Verify,
};
pub use start::Recovered;
pub use writeback::WritebackGlance;

use crate::domain::order::Choices;
use crate::domain::{
    AccountName, Act, ActId, ActKind, AheadDay, Code, Moment, Mono, Order, OrderId, Outcome,
    PrinterName, Source, System, Timestamp, Timings,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// An act that is under way, with what must not survive a restart.
#[derive(Clone, Debug)]
struct Running {
    act: Act,
    /// Waits for the last answer.
    token: Option<Token>,
    /// It is in the ledger.
    durable: bool,
    /// "Accepted" was said.
    accepted: bool,
    /// Scanned then, on this process's clock.
    since: Mono,
    /// The order, once an alias or a look-up told.
    order: Option<OrderId>,
    /// REPRINT: only these labels, from 1; empty = all.
    parcels: Vec<u16>,
    /// Directly named, not scanned: refuse instead of asking Starshipit.
    asked: bool,
    /// What was asked at first; `act.kind` becomes `Ship` once only the paper is missing.
    began: ActKind,
    /// It is from before a restart: it opens no question (contract 13).
    resumed: bool,
    /// It waited: its label is preceded by a ticket (P6).
    announce: bool,
    /// A button chose its order: a ticket tells it before its label.
    ticket: bool,
    /// It joined the job of an act that was there before.
    took_over: bool,
    /// Its sale order was read for it.
    checked: bool,
    /// Its sale order was gone and has been looked for by number.
    sought: bool,
    /// Which system could not be reached.
    away: System,
    /// What its newest records change, for a ledger that refuses them.
    undo: Undo,
    /// `working` was signalled.
    shown_working: bool,
    timings: Timings,
    stage_since: Mono,
}

/// What must be put back when the ledger refuses an act's records.
#[derive(Clone, Debug, Default)]
struct Undo {
    /// Its order as it was before.
    order: Option<Arc<Order>>,
    /// The sequence that those records gave it.
    seq: u64,
    /// Who was told "queued" in the same list.
    token: Option<Token>,
}

/// What an order that is being worked on waits for. Gone after a restart; recovery makes it anew.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Waiting {
    /// A reply of the shell.
    Reply,
    /// Its next look at an unknown outcome.
    Look { at: Mono },
    /// Its next send, after the service asked to wait.
    Send { at: Mono },
    /// A printer, in its line.
    Printer,
    /// The order in Starshipit, which somebody else makes.
    Pusher { at: Mono },
    /// The look before its label is bought ahead. A scan does not wait for it.
    Ahead,
}

#[derive(Clone, Debug)]
struct Job {
    /// Who waits for the end.
    act: Option<ActId>,
    waiting: Waiting,
    /// When the unresolved call left (or this process started).
    sent: Mono,
    /// First look since `sent` that said "not there".
    clear_since: Option<Mono>,
    /// Looks since `sent`, for the backoff.
    looks: u32,
    /// Times the service asked to wait.
    throttled: u32,
    /// Fetches with `reprint` that failed.
    fetches: u32,
    /// How long somebody else's push is waited for.
    pusher_until: Option<Mono>,
    /// The sale order's fingerprint as it was read for this job.
    sale_print: Option<String>,
    /// Nobody has scanned the order: its label is made ready, after everything else.
    ahead: bool,
    /// A scan took over a label that was bought ahead: it is re-checked before it prints (P7).
    unchecked: bool,
}

/// A question that one scan can answer.
#[derive(Clone, Debug)]
struct Question {
    order: OrderId,
    code: Option<Code>,
    kind: QuestionKind,
    opened: Mono,
}

#[derive(Clone, Debug, PartialEq)]
enum QuestionKind {
    /// Labelled elsewhere: YES prints it here.
    Elsewhere,
    /// Did the page come out?
    InDoubt,
    /// Something is missing, or everything is to be confirmed, before buying.
    Before { kind: ActKind, with: Choices },
    /// Print the hand-over list?
    CloseDay,
}

/// What the last scans of one source mean for its next one.
#[derive(Clone, Debug, Default)]
struct Context {
    last_order: Option<(OrderId, Mono)>,
    /// The newest act from here; while it runs, a command means its order and no older one.
    last_act: Option<ActId>,
    /// A command that waits for its order; for REDO, the order it must be.
    armed: Option<(ActKind, Option<OrderId>, Mono)>,
    choices: Option<(Choices, Mono)>,
    reason: Option<(String, Mono)>,
    question: Option<Question>,
    /// Labels that came out here and are to be scanned.
    unproven: Option<verify::Unproven>,
    /// The newest thing that happened here, for buttons.
    touched: Mono,
}

/// A shipment whose tracking number has not come.
#[derive(Clone, Copy, Debug)]
struct Untracked {
    since: Mono,
    next: Mono,
    looks: u32,
}

#[derive(Clone, Debug, Default)]
struct Line {
    busy: Option<OrderId>,
    waiting: VecDeque<OrderId>,
    trouble: Option<Code>,
    check_at: Mono,
    checking: bool,
    /// Orders whose label it cannot take in the place of their own printer.
    unfit: BTreeSet<OrderId>,
}

/// The station.
#[derive(Debug)]
pub struct Station {
    settings: Settings,
    orders: book::Book,
    jobs: BTreeMap<OrderId, Job>,
    running: BTreeMap<ActId, Running>,
    told: BTreeMap<ActId, offline::Told>,
    /// By trigger and user: a command of one packer never reaches another packer's order.
    contexts: BTreeMap<Source, Context>,
    /// Who is at a trigger, by `USER-x`, and since when.
    badges: BTreeMap<String, (String, Mono)>,
    /// (trigger, folded text) -> when it was first seen, for `scan.repeat_window`.
    repeats: BTreeMap<(String, String), Mono>,
    lines: BTreeMap<PrinterName, Line>,
    /// Packing slips that are being fetched, or will be again.
    slips: BTreeMap<OrderId, slip::Fetch>,
    scale: weigh::Scale,
    /// Orders bought without a number.
    untracked: BTreeMap<OrderId, Untracked>,
    /// When an order in memory was last of use; closed ones are forgotten after a while.
    touched: BTreeMap<OrderId, Mono>,
    forget_at: Mono,
    /// Sequence that records of a new order start from.
    first_seq: u64,
    /// The moment of this input, the orders that it changed as they were before, and the acts whose
    /// records may be refused.
    now: Moment,
    before: BTreeMap<OrderId, Arc<Order>>,
    refusable: BTreeSet<ActId>,
    paused: bool,
    bench_seq: u64,
    /// When the last hand-over list was printed; zero: never.
    closed_at: Timestamp,
    closing: Option<day::Closing>,
    ahead_day: AheadDay,
    /// A press that waits for CartonCloud's list of what waits.
    seeking: Option<next::Seeking>,
    /// Held labels that are being archived, and who waits for it.
    dropping: BTreeMap<OrderId, drop::Dropping>,
    /// Orders that a status wants something for, or whose held label is not ready yet: when they are
    /// looked after next, and how often they were.
    tend: BTreeMap<OrderId, ahead::Tend>,
    draining: bool,
    online: bool,
    /// CartonCloud answered last time.
    sales_online: bool,
    probe_at: Mono,
    probing: bool,
    /// Accounts that nothing is pushed to before then.
    push_pause: BTreeMap<AccountName, Mono>,
    /// Orders as they were before a record that no act stands for.
    unbacked: BTreeMap<OrderId, Arc<Order>>,
    /// RESUME is wanted: the network is back and scans wait.
    asking_release: bool,
    next_act: u64,
}

impl Station {
    /// Takes a fact, changes what it changes, and says what must be done about it.
    pub fn handle(&mut self, input: Input, now: Moment) -> Vec<Effect> {
        let mut out = Vec::new();
        self.now = now;
        self.before.clear();
        self.refusable.clear();
        match input {
            Input::Scan {
                token,
                text,
                source,
            } => self.scanned(token, text, source, now, &mut out),
            Input::BadScan { token, source, why } => {
                let reply = self.coded(Outcome::Refused, Code::BadScan, Some(&why));
                self.answer_directly(token, source, String::new(), reply, &mut out);
            }
            Input::Ask { token, ask, source } => self.asked(token, ask, source, now, &mut out),
            Input::Press {
                token,
                button,
                press,
            } => self.pressed(token, &button, press, now, &mut out),
            Input::Tallied { orders } => self.tallied(orders, now, &mut out),
            Input::HandedOver { result } => self.handed_over(result, &mut out),
            Input::Recalled { act, orders } => self.recalled(act, orders, now, &mut out),
            Input::Found {
                act,
                hits,
                failures,
            } => self.found(act, hits, failures, now, &mut out),
            Input::Looked {
                order,
                order_id,
                why,
                result,
                sale,
            } => self.looked(order, order_id, why, result, sale, now, &mut out),
            Input::Bought {
                order,
                reprint,
                result,
            } => self.bought(order, reprint, result, now, &mut out),
            Input::Remade { order, result } => self.remade(order, result, now, &mut out),
            Input::LookedRemade { order, result } => {
                self.looked_remade(order, result, now, &mut out);
            }
            Input::Stored {
                order,
                order_id,
                stored,
            } => self.stored(order, order_id, stored, now, &mut out),
            Input::Prepared {
                order,
                order_id,
                result,
            } => self.prepared(order, order_id, result, now, &mut out),
            Input::SlipCame {
                order,
                order_id,
                result,
            } => self.slip_came(order, order_id, result, now, &mut out),
            Input::PageEnded {
                order,
                order_id,
                page,
                outcome,
            } => self.page_ended(order, order_id, page, outcome, now, &mut out),
            Input::PrinterSeen { printer, trouble } => {
                self.printer_seen(printer, trouble, now, &mut out);
            }
            Input::Weighed { load } => self.scale.shows(load),
            Input::Probed { reachable } => self.probed(reachable, now, &mut out),
            Input::Full { act, code } => self.full(act, code, now, &mut out),
            Input::Tick => self.tick(now, &mut out),
            Input::Drain => self.draining = true,
            Input::WorkOn => self.undrain(now, &mut out),
            other => self.sale_input(other, now, &mut out),
        }
        self.keep_undo();
        self.orders.renew_names();
        out
    }

    /// New orders are numbered from this sequence on; the ledger says it with each recall while it
    /// does not know every older record yet.
    pub fn number_new_orders_from(&mut self, first_seq: u64) {
        self.first_seq = first_seq.saturating_sub(1);
    }

    /// Nothing is under way that a stop would cut: no call, no page.
    pub fn is_drained(&self) -> bool {
        self.jobs
            .values()
            .all(|job| !matches!(job.waiting, Waiting::Reply))
            && self.lines.values().all(|line| line.busy.is_none())
    }

    /// The order as the core has it now, newer than any ledger's.
    pub fn order(&self, id: &OrderId) -> Option<&Order> {
        self.orders.get(id)
    }
}
