//! The sans-IO core: `(state, input, now) -> effects`. The only place where an order changes state.
//!
//! Inputs are facts, effects are orders to the shell; time is a value. [`Effect::Remember`] is a
//! barrier: the shell starts the later effects of the same list only after those records are
//! durable (contract 11), so every promise about money and paper can be read off the order of a
//! list. Nothing here knows sockets, files or clocks.
//!
//! * `scan.rs`: cleaned text to command or act; contexts and questions
//! * `decide.rs`: what an act does with the order it found (product.md section 3)
//! * `purchase.rs`: the one unresolved call per order (contract 1, 2)
//! * `paper.rs`: documents, pages, printers, doubt (contract 9)
//! * `clockwork.rs`: start, ticks, offline queue, late tracking numbers

mod clockwork;
mod decide;
mod paper;
mod purchase;
mod scan;
mod settings;

pub use clockwork::Recovered;
pub use settings::{
    Confirm, Elsewhere, Lookup, PrinterRule, Release, Route, ScanMode, Settings, Unverified,
};

use crate::domain::order::{Choices, Deed};
use crate::domain::{
    AccountName, Act, ActId, ActKind, Bought, CallFailure, Code, DocumentId, DocumentMeta, Moment,
    Mono, Order, OrderId, Outcome, PageRole, PrintOutcome, PrinterName, Record, RemoteOrder,
    ScanReply, ScanText, Signal, Source, Timings,
};
use std::collections::{BTreeMap, VecDeque};

/// Ties an answer to the request that waits for it (an HTTP call, a scanner that beeps back).
pub type Token = u64;

/// A request over HTTP or the command line that names its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask {
    /// What is asked.
    pub kind: AskKind,
    /// Order number or ledger id.
    pub order: String,
    /// Why.
    pub reason: Option<String>,
    /// REPRINT: only these labels, from 1; empty = all.
    pub parcels: Vec<u16>,
}

/// What a request can ask of a named order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskKind {
    /// Same label again.
    Reprint,
    /// Replace the shipment (already confirmed by the caller).
    Redo,
    /// One more parcel.
    NextParcel,
    /// Print the held label, or release a queued scan.
    Release,
    /// Drop what is pending.
    Cancel,
}

/// A fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A trigger delivered text that is usable.
    Scan {
        /// Who waits for the answer.
        token: Option<Token>,
        /// Cleaned text.
        text: ScanText,
        /// Where it came from.
        source: Source,
    },
    /// A trigger delivered something unusable.
    BadScan {
        /// Who waits for the answer.
        token: Option<Token>,
        /// Where it came from.
        source: Source,
        /// Why it is unusable, for a person.
        why: String,
    },
    /// A request names its order.
    Ask {
        /// Who waits for the answer.
        token: Option<Token>,
        /// What is asked.
        ask: Ask,
        /// Where it came from.
        source: Source,
    },
    /// The ledger's answer to [`Effect::Recall`].
    Recalled {
        /// For which act.
        act: ActId,
        /// Orders with exactly this alias.
        orders: Vec<Order>,
    },
    /// Starshipit's answer to [`Effect::Find`].
    Found {
        /// For which act.
        act: ActId,
        /// Orders that fit, with what the ledger knows of each.
        hits: Vec<(RemoteOrder, Option<Order>)>,
        /// Accounts that could not be asked.
        failures: Vec<(AccountName, CallFailure)>,
    },
    /// Answer to [`Effect::Look`].
    Looked {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order was looked at.
        order_id: i64,
        /// Why.
        why: LookFor,
        /// What stands there; `None` = Starshipit does not know it.
        result: Result<Option<RemoteOrder>, CallFailure>,
    },
    /// Answer to [`Effect::Buy`].
    Bought {
        /// For which order.
        order: OrderId,
        /// It was a `reprint`.
        reprint: bool,
        /// How it ended.
        result: Result<Bought, CallFailure>,
    },
    /// Answer to [`Effect::Replace`] or [`Effect::Clone`].
    Remade {
        /// For which order.
        order: OrderId,
        /// The new Starshipit order.
        result: Result<RemoteOrder, CallFailure>,
    },
    /// Answer to [`Effect::LookRemade`].
    LookedRemade {
        /// For which order.
        order: OrderId,
        /// What the look found.
        result: Result<Remade, CallFailure>,
    },
    /// Answer to [`Effect::Store`].
    Stored {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's documents.
        order_id: i64,
        /// `false`: some are not at hand (after a restart) or could not be written.
        stored: bool,
    },
    /// Answer to [`Effect::Prepare`].
    Prepared {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's documents.
        order_id: i64,
        /// The pages in print order, or why there are none.
        result: Result<Vec<PreparedPage>, (Code, String)>,
    },
    /// Answer to [`Effect::Send`].
    PageEnded {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's documents.
        order_id: i64,
        /// Index into the shipment's pages.
        page: usize,
        /// How it ended.
        outcome: PrintOutcome,
    },
    /// Answer to [`Effect::CheckPrinter`]: `None` = ready.
    PrinterSeen {
        /// Which.
        printer: PrinterName,
        /// What is wrong.
        trouble: Option<Code>,
    },
    /// Answer to [`Effect::Probe`].
    Probed {
        /// Starshipit answers.
        reachable: bool,
    },
    /// The ledger refused a batch that opens new work (`queue-full`); nothing of the same list was
    /// done. The acts it would have opened.
    Full {
        /// Which act.
        act: ActId,
    },
    /// Time has passed.
    Tick,
    /// Stop taking work; what runs comes to its end.
    Drain,
}

/// Why a Starshipit order is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookFor {
    /// An act is about to spend money or paper on it.
    Act,
    /// Did the unresolved purchase happen?
    Purchase,
    /// Is the held label still right (P7)?
    Recheck,
    /// Has its tracking number come?
    Number,
}

/// What the look after an unknown replace or clone found (contract 2).
#[derive(Clone, Debug, PartialEq)]
pub enum Remade {
    /// It did not happen: the source is not archived, or no unknown clone exists.
    No,
    /// It happened; this is the new order.
    Yes(Box<RemoteOrder>),
    /// It happened, but the new order cannot be told from others (or is not visible yet).
    Unclear,
}

/// A page as the label room found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedPage {
    /// Index into the shipment's documents.
    pub document: u16,
    /// Page within the document.
    pub index: u16,
    /// Label or document.
    pub role: PageRole,
    /// `label_types` word of its document, for printer rules.
    pub label_type: String,
}

/// An order to the shell.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Make these durable, as one; later effects of the same list wait for it.
    Remember(Vec<Record>),
    /// Tell whoever waits. `last`: nothing more comes for this token.
    Answer {
        /// Who waits.
        token: Option<Token>,
        /// Where the scan came from.
        source: Source,
        /// What was scanned.
        scanned: String,
        /// What to say.
        reply: Box<ScanReply>,
        /// The act has ended.
        last: bool,
    },
    /// Let the packer perceive this.
    Signal(Signal),
    /// Ask the ledger for orders by alias (folded text).
    Recall {
        /// For which act.
        act: ActId,
        /// Folded text.
        alias: String,
    },
    /// Ask Starshipit which orders fit a text.
    Find {
        /// For which act.
        act: ActId,
        /// Accounts to ask, in order.
        accounts: Vec<AccountName>,
        /// Texts to try, in order; the first that has a hit ends it.
        texts: Vec<(Lookup, String)>,
    },
    /// Read one Starshipit order.
    Look {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// Starshipit's id.
        order_id: i64,
        /// Why; comes back with the answer.
        why: LookFor,
        /// Give up after this; `None` = the client's own deadline.
        within: Option<std::time::Duration>,
    },
    /// Print Label: exactly one request.
    Buy {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// Starshipit's id.
        order_id: i64,
        /// Fetch the label that exists; never buys.
        reprint: bool,
        /// What a person chose.
        with: Choices,
    },
    /// Replace: exactly one request.
    Replace {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// Starshipit's id of the shipment to replace.
        order_id: i64,
    },
    /// Clone: exactly one request.
    Clone {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// Starshipit's id of the shipment to clone.
        order_id: i64,
    },
    /// Look whether an unknown replace or clone happened.
    LookRemade {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// A replace (else a clone).
        replace: bool,
        /// Order number of the source.
        number: String,
        /// Reference of the source.
        reference: Option<String>,
        /// Starshipit's id of the source.
        order_id: i64,
        /// Every id the ledger knows for this order.
        known: Vec<i64>,
        /// When the call left.
        sent_at: crate::domain::Timestamp,
    },
    /// Put the documents that just came into the spool, fsynced.
    Store {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's.
        order_id: i64,
        /// Which documents.
        documents: Vec<DocumentId>,
    },
    /// Read the documents and render their pages for the printer.
    Prepare {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's.
        order_id: i64,
        /// The documents, in print order.
        documents: Vec<DocumentMeta>,
        /// Courier name, for crop and read-back rules.
        courier: String,
        /// What the label's barcode should say.
        tracking: Vec<String>,
        /// Printer of the label pages.
        printer: PrinterName,
    },
    /// Send one page to its printer.
    Send {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's documents.
        order_id: i64,
        /// Index into the shipment's pages.
        page: usize,
        /// Everything needed to render it again.
        job: Box<PageJob>,
    },
    /// Ask a printer in trouble how it is.
    CheckPrinter(PrinterName),
    /// Ask whether Starshipit answers again.
    Probe(AccountName),
    /// Print a ticket of text before a label (contract: queued work is announced).
    Ticket {
        /// On which printer.
        printer: PrinterName,
        /// Lines, the first one large.
        lines: Vec<String>,
    },
}

/// A page on its way to a printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageJob {
    /// Printer.
    pub printer: PrinterName,
    /// Order number, for file names and logs.
    pub number: String,
    /// Document it is from.
    pub document: DocumentMeta,
    /// Page within that document.
    pub index: u16,
    /// From 1, among the pages of its shipment.
    pub n: u16,
    /// Pages of its shipment.
    pub of: u16,
    /// Courier name.
    pub courier: String,
    /// Tracking numbers of the shipment.
    pub tracking: Vec<String>,
}

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
    /// `working` was signalled.
    shown_working: bool,
    timings: Timings,
    stage_since: Mono,
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
}

/// What the last scans of one source mean for its next one.
#[derive(Clone, Debug, Default)]
struct Context {
    last_order: Option<(OrderId, Mono)>,
    /// A command that waits for its order; for REDO, the order it must be.
    armed: Option<(ActKind, Option<OrderId>, Mono)>,
    choices: Option<(Choices, Mono)>,
    reason: Option<(String, Mono)>,
    question: Option<Question>,
    user: Option<String>,
    /// The newest thing that happened here, for buttons.
    touched: Mono,
}

#[derive(Clone, Debug, Default)]
struct Line {
    busy: Option<OrderId>,
    waiting: VecDeque<OrderId>,
    trouble: Option<Code>,
    check_at: Mono,
    checking: bool,
}

/// The station.
#[derive(Debug)]
pub struct Station {
    settings: Settings,
    orders: BTreeMap<OrderId, Order>,
    jobs: BTreeMap<OrderId, Job>,
    running: BTreeMap<ActId, Running>,
    contexts: BTreeMap<String, Context>,
    /// (trigger, folded text) -> when it was first seen, for `scan.repeat_window`.
    repeats: BTreeMap<(String, String), Mono>,
    lines: BTreeMap<PrinterName, Line>,
    /// Orders bought without a number: when to look next, and how often that was.
    untracked: BTreeMap<OrderId, (Mono, u32)>,
    paused: bool,
    bench_seq: u64,
    draining: bool,
    online: bool,
    probe_at: Mono,
    probing: bool,
    /// RESUME is wanted: the network is back and scans wait.
    asking_release: bool,
    next_act: u64,
}

/// The station at a glance, for `status`, page and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// PAUSE was given.
    pub paused: bool,
    /// Stopping.
    pub draining: bool,
    /// Starshipit answered last time.
    pub online: bool,
    /// Acts under way that are not queued.
    pub working: usize,
    /// Scans waiting for the network or for RESUME.
    pub queued: usize,
    /// Orders in doubt, by number.
    pub in_doubt: Vec<String>,
    /// Orders with a bought label that is not printed.
    pub held: usize,
    /// The open question: order number, code, what to scan.
    pub question: Option<(String, Option<Code>, String)>,
    /// Printer name and what is wrong with it.
    pub printers: Vec<(PrinterName, Option<Code>)>,
}

impl Station {
    /// Takes a fact, changes what it changes, and says what must be done about it.
    pub fn handle(&mut self, input: Input, now: Moment) -> Vec<Effect> {
        let mut out = Vec::new();
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
            } => self.looked(order, order_id, why, result, now, &mut out),
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
            Input::PageEnded {
                order,
                order_id,
                page,
                outcome,
            } => self.page_ended(order, order_id, page, outcome, now, &mut out),
            Input::PrinterSeen { printer, trouble } => {
                self.printer_seen(printer, trouble, now, &mut out);
            }
            Input::Probed { reachable } => self.probed(reachable, now, &mut out),
            Input::Full { act } => self.full(act, now, &mut out),
            Input::Tick => self.tick(now, &mut out),
            Input::Drain => self.draining = true,
        }
        out
    }

    /// Nothing is under way that a stop would cut: no call, no page.
    pub fn is_drained(&self) -> bool {
        self.jobs
            .values()
            .all(|job| !matches!(job.waiting, Waiting::Reply))
            && self.lines.values().all(|line| line.busy.is_none())
    }

    /// The station at a glance.
    pub fn glance(&self) -> Glance {
        let open = |wanted: crate::domain::State| {
            self.orders
                .values()
                .filter(move |order| order.state() == wanted)
        };
        Glance {
            paused: self.paused,
            draining: self.draining,
            online: self.online,
            working: self.running.values().filter(|r| !r.act.queued).count(),
            queued: self.running.values().filter(|r| r.act.queued).count(),
            in_doubt: open(crate::domain::State::InDoubt)
                .map(|order| order.number.clone())
                .collect(),
            held: open(crate::domain::State::Held).count(),
            question: self
                .contexts
                .values()
                .filter_map(|context| context.question.as_ref())
                .max_by_key(|question| question.opened)
                .map(|question| {
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
            printers: self
                .lines
                .iter()
                .map(|(name, line)| (name.clone(), line.trouble))
                .collect(),
        }
    }

    /// The order as the core has it now, newer than any ledger's.
    pub fn order(&self, id: &OrderId) -> Option<&Order> {
        self.orders.get(id)
    }

    // ---- small pieces that every file of this room uses ----

    fn coded(&self, outcome: Outcome, code: Code, detail: Option<&str>) -> ScanReply {
        ScanReply::coded(outcome, code, &self.settings.prefix, detail)
    }

    fn answer_directly(
        &self,
        token: Option<Token>,
        source: Source,
        scanned: String,
        reply: ScanReply,
        out: &mut Vec<Effect>,
    ) {
        out.push(Effect::Signal(signal_of(&reply)));
        out.push(Effect::Answer {
            token,
            source,
            scanned,
            reply: Box::new(reply),
            last: true,
        });
    }

    /// The ledger has no room for new work: the act was never accepted.
    fn full(&mut self, act: ActId, now: Moment, out: &mut Vec<Effect>) {
        let Some(running) = self.running.get_mut(&act) else {
            return;
        };
        running.durable = false;
        let order = running.order.clone();
        if let Some(id) = order.filter(|id| self.jobs.get(id).is_some_and(|j| j.act == Some(act))) {
            self.jobs.remove(&id);
            if let Some(order) = self.orders.get_mut(&id) {
                order.intent = None;
                order.standing = crate::domain::order::Standing::Resting;
                order.updated = now.wall;
            }
        }
        let reply = self.coded(Outcome::Refused, Code::QueueFull, None);
        self.end_act(act, Vec::new(), reply, out);
    }

    /// Ends an act with its last answer. Records given here become durable first, in one go with
    /// the act's own end.
    fn end_act(
        &mut self,
        id: ActId,
        mut records: Vec<Record>,
        mut reply: ScanReply,
        out: &mut Vec<Effect>,
    ) {
        let Some(running) = self.running.remove(&id) else {
            if !records.is_empty() {
                out.push(Effect::Remember(records));
            }
            return;
        };
        if running.durable {
            records.push(Record::ActEnded {
                id,
                seq: running.act.seq + 1,
            });
        }
        if !records.is_empty() {
            out.push(Effect::Remember(records));
        }
        reply.timings_ms = running.timings;
        if let Some(order) = running.order.as_ref().and_then(|id| self.orders.get(id)) {
            reply.order.get_or_insert_with(|| order.number.clone());
            if reply.tracking.is_empty() {
                reply.tracking = order.tracking();
            }
        }
        self.answer_directly(
            running.token,
            running.act.source.clone(),
            running.act.text.to_string(),
            reply,
            out,
        );
    }

    /// Makes an act durable (with other records) and says "accepted", once.
    fn accept(&mut self, id: ActId, mut records: Vec<Record>, out: &mut Vec<Effect>) {
        let Some(running) = self.running.get_mut(&id) else {
            if !records.is_empty() {
                out.push(Effect::Remember(records));
            }
            return;
        };
        running.act.order.clone_from(&running.order);
        running.act.seq += 1;
        running.durable = true;
        records.push(Record::Act(Box::new(running.act.clone())));
        out.push(Effect::Remember(records));
        if !running.accepted {
            running.accepted = true;
            out.push(Effect::Signal(Signal::Accepted));
            let mut reply = ScanReply::new(
                Outcome::Accepted,
                match running.act.kind {
                    ActKind::Ship => "Accepted; the label follows.",
                    ActKind::Reprint => "Accepted; the same label follows.",
                    ActKind::Redo => "Accepted; a new label replaces the old one.",
                    ActKind::NextParcel => "Accepted; the label of one more parcel follows.",
                },
            );
            if let Some(order) = running.order.as_ref().and_then(|o| self.orders.get(o)) {
                reply.order = Some(order.number.clone());
                reply.tracking = order.tracking();
            }
            out.push(Effect::Answer {
                token: running.token,
                source: running.act.source.clone(),
                scanned: running.act.text.to_string(),
                reply: Box::new(reply),
                last: false,
            });
        }
    }

    /// Changes an order and gives its new record; the caller makes it durable.
    fn change(
        &mut self,
        id: &OrderId,
        now: Moment,
        change: impl FnOnce(&mut Order),
    ) -> Option<Record> {
        let order = self.orders.get_mut(id)?;
        change(order);
        order.seq += 1;
        order.updated = now.wall;
        Some(Record::Order(Box::new(order.clone())))
    }

    fn note(&mut self, id: &OrderId, now: Moment, what: &str, act: ActId) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        let deed = Deed {
            at: now.wall,
            what: what.to_owned(),
            by: running.act.source.clone(),
            reason: running.act.reason.clone(),
        };
        if let Some(order) = self.orders.get_mut(id) {
            order.note(deed);
        }
    }

    fn stage_done(&mut self, act: Option<ActId>, now: Moment, set: fn(&mut Timings, u64)) {
        let Some(running) = act.and_then(|id| self.running.get_mut(&id)) else {
            return;
        };
        let spent = now.mono.since(running.stage_since).as_millis();
        set(
            &mut running.timings,
            u64::try_from(spent).unwrap_or(u64::MAX),
        );
        running.stage_since = now.mono;
    }
}

fn signal_of(reply: &ScanReply) -> Signal {
    match (reply.outcome, reply.code) {
        (Outcome::Printed, _) => Signal::Printed,
        (Outcome::Queued, _) => Signal::Queued,
        (Outcome::Question, _) | (Outcome::Refused, Some(Code::AlreadyPrinted)) => Signal::Question,
        (Outcome::Refused, _) => Signal::Refused,
        (Outcome::Accepted | Outcome::Ignored, _) => Signal::Ready,
    }
}
