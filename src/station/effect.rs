//! Orders that the core gives to the shell.

use super::{LookFor, Lookup, Token};
use crate::domain::order::Choices;
use crate::domain::{
    AccountName, ActId, DocumentId, DocumentMeta, OrderId, PrinterName, Record, ScanReply, Signal,
    Source, Timestamp,
};

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
        /// Its sale order's UUID, where that must be read as well, at the same time (P7).
        sale: Option<String>,
        /// Give up after this; `None` = the client's own deadline.
        within: Option<std::time::Duration>,
    },
    /// Ask CartonCloud which sale orders fit a scan: [`Lookup::Id`] = its UUID, [`Lookup::Numeric`] =
    /// `references.numericId`, [`Lookup::OrderNumber`] = `references.customer`, as it is or (a composite
    /// `A | B | 3`) up to its first ` | `.
    FindSale {
        /// For which act.
        act: ActId,
        /// Texts to try, in order; the first that has a hit ends it.
        texts: Vec<(Lookup, String)>,
    },
    /// Ask one account for every order of a number: before a create, and after one whose reply was
    /// lost (contract 2, 3).
    LookNumber {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// Order number in Starshipit.
        number: String,
        /// A scan waits for it; otherwise scans come first.
        urgent: bool,
    },
    /// Make the sale order a Starshipit order: read it again, weigh it, check it, create it.
    Create {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// The sale order.
        uuid: String,
        /// Order number in Starshipit.
        number: String,
        /// Reference in Starshipit.
        reference: Option<String>,
        /// Index of the route, for its field map.
        route: usize,
        /// Parcels that a person gave, where the order has no weight of its own.
        with: Choices,
        /// A scan waits for it; otherwise scans come first.
        urgent: bool,
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
        /// Nobody stands at the bench for it: it goes after everything else.
        ahead: bool,
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
        /// Nobody waits for it: its pages are kept ready for a scan that comes later.
        ahead: bool,
    },
    /// Fetch the packing slip of a shipment, put it into the spool, fsynced, and draw its pages.
    Slip {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// Which Starshipit order's.
        order_id: i64,
        /// Printer that it is for.
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
    /// Ask whether CartonCloud answers again.
    ProbeSales,
    /// Ask CartonCloud which sale orders are in these statuses.
    FindNext {
        /// Statuses.
        statuses: Vec<String>,
    },
    /// Archive a Starshipit order that nobody ships. It may be asked for again.
    Archive {
        /// For which order.
        order: OrderId,
        /// Account.
        account: AccountName,
        /// Starshipit's id.
        order_id: i64,
    },
    /// Ask the ledger for every order that changed then or later.
    Tally {
        /// When the last hand-over list was made.
        since: Timestamp,
    },
    /// Print the hand-over list.
    HandOver {
        /// On which printer.
        printer: PrinterName,
        /// Lines of each sheet, the first one large.
        sheets: Vec<Vec<String>>,
    },
    /// Print a test label.
    TestLabel {
        /// On which printer.
        printer: PrinterName,
        /// What its barcode says.
        code: String,
    },
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
