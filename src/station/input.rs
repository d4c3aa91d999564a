//! Facts that the core is told.

use crate::domain::{
    AccountName, ActId, Bought, CallFailure, Code, Delivery, DocumentMeta, Load, Order, OrderId,
    PageRole, PrintOutcome, PrinterName, RemoteOrder, SaleOrder, ScanText, Source,
};

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
    /// A hand pressed a button.
    Press {
        /// Who waits for the answer.
        token: Option<Token>,
        /// Which button.
        button: String,
        /// What it is configured to do.
        press: super::Press,
    },
    /// The ledger's answer to [`super::Effect::Tally`]; `None`: it cannot be read.
    Tallied {
        /// Every order that changed since then.
        orders: Option<Vec<Order>>,
    },
    /// Answer to [`super::Effect::HandOver`].
    HandedOver {
        /// On paper, or why not.
        result: Result<(), Code>,
    },
    /// The ledger's answer to [`super::Effect::Recall`].
    Recalled {
        /// For which act.
        act: ActId,
        /// Orders with exactly this alias.
        orders: Vec<Order>,
    },
    /// Starshipit's answer to [`super::Effect::Find`].
    Found {
        /// For which act.
        act: ActId,
        /// Orders that fit, with what the ledger knows of each.
        hits: Vec<(RemoteOrder, Option<Order>)>,
        /// Accounts that could not be asked.
        failures: Vec<(AccountName, CallFailure)>,
    },
    /// Answer to [`super::Effect::Look`].
    Looked {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order was looked at.
        order_id: i64,
        /// Why.
        why: LookFor,
        /// What stands there; `None` = Starshipit does not know it.
        result: Result<Option<RemoteOrder>, CallFailure>,
        /// Its sale order, when it was asked for; `None` inside = CartonCloud does not know it.
        sale: Option<Result<Option<Box<SaleOrder>>, CallFailure>>,
    },
    /// Answer to [`super::Effect::FindSale`].
    FoundSale {
        /// For which act.
        act: ActId,
        /// Sale orders that fit, with what the ledger knows of each.
        result: Result<Vec<(SaleOrder, Option<Order>)>, CallFailure>,
    },
    /// Answer to [`super::Effect::FindNext`].
    FoundNext {
        /// Sale orders in those statuses, with what the ledger knows of each.
        result: Result<Vec<(SaleOrder, Option<Order>)>, CallFailure>,
    },
    /// Answer to [`super::Effect::Archive`].
    Archived {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order.
        order_id: i64,
        /// It is archived (it may have been before).
        result: Result<(), CallFailure>,
    },
    /// Answer to [`super::Effect::LookNumber`].
    LookedNumber {
        /// For which order.
        order: OrderId,
        /// Every Starshipit order of that number in that account, archived ones included, with what
        /// the ledger knows of each (by its alias `ss:<account>:<order_id>`).
        result: Result<Vec<(RemoteOrder, Option<Order>)>, CallFailure>,
    },
    /// Answer to [`super::Effect::Create`]. A refusal (field limits, weight, address) was found
    /// before anything was sent, or by Starshipit. A soft failure that made an order all the same is
    /// that order.
    Created {
        /// For which order.
        order: OrderId,
        /// The new Starshipit order.
        result: Result<RemoteOrder, CallFailure>,
    },
    /// A sale order changed, as the poll saw it. Told again and again: each thing is done once.
    SaleSeen {
        /// As it is now.
        sale: Box<SaleOrder>,
        /// What the ledger knows of it, by its UUID; else an order of the same number that has no
        /// sale order yet.
        known: Option<Box<Order>>,
    },
    /// CartonCloud's custom button (a hook, read again) asks for the label.
    PrintAsked {
        /// Who waits for the answer.
        token: Option<Token>,
        /// The order, as just read.
        sale: Box<SaleOrder>,
        /// What the ledger knows of it.
        known: Option<Box<Order>>,
        /// Where it came from.
        source: Source,
    },
    /// Reconcile found a label that was made elsewhere (Starshipit's recently printed list).
    MadeElsewhere {
        /// The Starshipit order.
        remote: Box<RemoteOrder>,
        /// Its sale order, found by its number.
        sale: Option<Box<SaleOrder>>,
        /// What the ledger knows of it.
        known: Option<Box<Order>>,
    },
    /// An attempt to write tracking numbers back has ended.
    Delivered {
        /// Which order.
        order: OrderId,
        /// Which of its jobs.
        n: u32,
        /// The numbers that were delivered: a newer set is another job, whatever its name.
        tracking: Vec<String>,
        /// How.
        result: Delivery,
    },
    /// A person decides about a writeback.
    Writeback {
        /// Who waits for the answer.
        token: Option<Token>,
        /// Which order.
        order: OrderId,
        /// What the ledger knows of it: an order whose sinks cannot take its number is closed.
        known: Option<Box<Order>>,
        /// Which of its jobs.
        n: u32,
        /// What to do.
        verb: WritebackVerb,
        /// Who.
        source: Source,
    },
    /// Answer to [`super::Effect::Buy`].
    Bought {
        /// For which order.
        order: OrderId,
        /// It was a `reprint`.
        reprint: bool,
        /// How it ended.
        result: Result<Bought, CallFailure>,
    },
    /// Answer to [`super::Effect::Replace`] or [`super::Effect::Clone`].
    Remade {
        /// For which order.
        order: OrderId,
        /// The new Starshipit order.
        result: Result<RemoteOrder, CallFailure>,
    },
    /// Answer to [`super::Effect::LookRemade`].
    LookedRemade {
        /// For which order.
        order: OrderId,
        /// What the look found.
        result: Result<Remade, CallFailure>,
    },
    /// Answer to [`super::Effect::Store`].
    Stored {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's documents.
        order_id: i64,
        /// `false`: some are not at hand (after a restart) or could not be written.
        stored: bool,
    },
    /// Answer to [`super::Effect::Prepare`].
    Prepared {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's documents.
        order_id: i64,
        /// The pages in print order, or why there are none.
        result: Result<Vec<PreparedPage>, (Code, String)>,
    },
    /// Answer to [`super::Effect::Slip`].
    SlipCame {
        /// For which order.
        order: OrderId,
        /// Which Starshipit order's.
        order_id: i64,
        /// The document, which is in the spool, and its pages; their `document` counts from 0.
        result: Result<(DocumentMeta, Vec<PreparedPage>), CallFailure>,
    },
    /// Answer to [`super::Effect::Send`].
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
    /// Answer to [`super::Effect::CheckPrinter`]: `None` = ready.
    PrinterSeen {
        /// Which.
        printer: PrinterName,
        /// What is wrong.
        trouble: Option<Code>,
    },
    /// Something else lies on the scale.
    Weighed {
        /// What.
        load: Load,
    },
    /// Answer to [`super::Effect::Probe`].
    Probed {
        /// Starshipit answers.
        reachable: bool,
    },
    /// Answer to [`super::Effect::ProbeSales`].
    SalesProbed {
        /// CartonCloud answers.
        reachable: bool,
    },
    /// The ledger refused a batch that holds no act (`queue-full`); nothing of the same list was done.
    NoRoom {
        /// Orders in it.
        orders: Vec<OrderId>,
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
    /// A drain was called off: work goes on.
    WorkOn,
}

/// What a person decides about a writeback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritebackVerb {
    /// Try again now, from unsupported or conflict too.
    Retry,
    /// Ours shall stand.
    KeepOurs,
    /// Theirs shall stand; the job is done.
    KeepTheirs,
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
    /// May its label be bought ahead of the scan?
    Ahead,
    /// What has its label cost?
    Price,
    /// It was printed without a re-check: was that right?
    Afterwards,
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
    /// Barcodes read from the drawn page.
    pub codes: Vec<String>,
}
