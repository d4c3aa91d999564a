//! An order's durable life: its shipments, their pages, and the one purchase that may be unresolved.
//!
//! Invariants: an [`Intent`] is on disk before its call leaves the host and stays until the outcome
//! is known (contract 1, 2); a page is [`PageState::Sending`] on disk before its first byte
//! (contract 9, 11). Formats: JSON, versioned by [`RECORD_VERSION`].
//!
//! Over 500 lines because all that a record holds is seen in one file.

use crate::domain::{
    AccountName, ActId, Code, DocumentMeta, OrderId, PrinterName, SaleLink, ScanText, Source,
    Timestamp, Writeback,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Version of every record the ledger writes.
pub const RECORD_VERSION: u8 = 1;

/// How sure the station is that a page came out (design.md section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// No back channel.
    Sent,
    /// All bytes taken, printer reports ready.
    Accepted,
    /// The printer's own counter or status moved.
    Confirmed,
    /// A person looked and said so.
    Person,
}

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageRole {
    /// Goes on a parcel; counts for `printed`.
    Label,
    /// Invoice, packing slip and the like; tracked apart, never blocks.
    Document,
}

/// Where a page is on its way to paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageState {
    /// Not sent.
    Todo,
    /// Bytes may have left the host.
    Sending,
    /// Out.
    Printed(Proof),
    /// Only a person can tell.
    InDoubt,
}

/// One page of a shipment's documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Index into [`Shipment::documents`].
    #[serde(rename = "d")]
    pub document: u16,
    /// Page within that document, from 0.
    #[serde(rename = "i")]
    pub index: u16,
    /// Label or document.
    #[serde(rename = "r")]
    pub role: PageRole,
    /// Which printer gets it.
    #[serde(rename = "p")]
    pub printer: PrinterName,
    /// Where it is.
    #[serde(rename = "s")]
    pub state: PageState,
    /// When that last changed.
    #[serde(rename = "t")]
    pub at: Timestamp,
    /// Barcodes that the station read from the page it drew, for the verify scan.
    #[serde(default, rename = "c", skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
}

/// How a shipment came to be known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Bought by this station.
    Here,
    /// Bought elsewhere, fetched with `reprint`.
    Elsewhere,
}

/// What Starshipit's Print Label call made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// Starshipit order that was printed.
    pub order_id: i64,
    /// Courier name.
    pub carrier: String,
    /// Tracking numbers known so far.
    pub tracking: Vec<String>,
    /// Label documents, in print order.
    pub documents: Vec<DocumentMeta>,
    /// The documents are in the spool, fsynced.
    pub stored: bool,
    /// Pages; empty until the documents have been read.
    pub pages: Vec<Page>,
    /// Replaced by REDO: never printed again, its number not written back.
    pub superseded: bool,
    /// Looked for a day and found no tracking number: this courier gives none.
    #[serde(default)]
    pub untracked: bool,
    /// Bought here or elsewhere.
    pub origin: Origin,
    /// Bought before anybody scanned its order.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ahead: bool,
    /// It was printed although nobody could be asked whether it is still right (P7).
    #[serde(default, skip_serializing_if = "is_false")]
    pub unverified: bool,
    /// What it costs, in cents of the account's currency, where Starshipit says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_cents: Option<u64>,
    /// When it reached this station.
    pub at: Timestamp,
}

impl Shipment {
    /// Every label page is out.
    pub fn is_printed(&self) -> bool {
        !self.pages.is_empty()
            && self
                .pages
                .iter()
                .filter(|p| p.role == PageRole::Label)
                .all(|p| matches!(p.state, PageState::Printed(_)))
    }

    /// Labelled elsewhere, and nothing of its label was ever asked for here.
    pub fn is_elsewhere(&self) -> bool {
        self.origin == Origin::Elsewhere && self.documents.is_empty() && self.pages.is_empty()
    }

    /// Weakest proof of its label pages, when all are out.
    pub fn proof(&self) -> Option<Proof> {
        if !self.is_printed() {
            return None;
        }
        self.pages
            .iter()
            .filter_map(|p| match p.state {
                PageState::Printed(proof) if p.role == PageRole::Label => Some(proof),
                _ => None,
            })
            .min()
    }
}

/// Which non-idempotent call is under way (contract 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntentKind {
    /// Print Label.
    Buy,
    /// Replace: archives `order_id`, makes a live twin.
    Replace,
    /// Clone: one more order for one more parcel.
    Clone,
    /// Create: the sale order becomes a Starshipit order; `order_id` is 0.
    Create,
}

/// A call whose outcome is not known yet. On disk before the call leaves the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// Which call.
    pub kind: IntentKind,
    /// The Starshipit order it acts on.
    pub order_id: i64,
    /// Sends that may have reached the courier. At most two.
    pub sends: u8,
    /// When the last of them left. How long ago that is, is measured on the monotonic clock.
    pub sent_at: Timestamp,
    /// Parcels, courier and service to send with Print Label, when a person gave them.
    #[serde(default, skip_serializing_if = "Choices::is_empty")]
    pub with: Choices,
    /// Bought ahead: nobody has scanned the order.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ahead: bool,
}

/// What a person chose for a purchase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Choices {
    /// Parcels replacing the order's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parcels: Vec<crate::domain::Parcel>,
    /// Courier code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// Service code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl Choices {
    /// Nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.parcels.is_empty() && self.carrier.is_none() && self.service.is_none()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What keeps an order that is not being worked on where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing: known, held, or printed.
    #[default]
    Resting,
    /// A person released it: its pages print as soon as they can.
    Released,
    /// Waits for the network.
    Queued,
    /// Waits for a printer; the code says what is wrong.
    WaitingPrinter(Code),
    /// Refused.
    Refused(Code),
    /// Waited too long.
    Expired,
    /// Dropped by a person, or cancelled at its source.
    Cancelled,
}

/// State words of contract 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the words are contract 9's own")]
pub enum State {
    Known,
    Queued,
    Pushing,
    Buying,
    Held,
    Replacing,
    Cloning,
    Printing,
    WaitingPrinter,
    InDoubt,
    Printed,
    Refused,
    Expired,
    Cancelled,
}

/// Something a person did to an order, and why. Kept for reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// What: the act's or command's word.
    pub what: String,
    /// By whom and through what.
    pub by: Source,
    /// Why, when a reason was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The word of the deed that had a label made or released.
pub const SHIP: &str = "ship";

/// Most deeds kept with an order; the oldest go first.
pub const MAX_DEEDS: usize = 24;

/// An order in the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Identity; never the number.
    pub id: OrderId,
    /// Counts this order's records; recovery takes the highest (contract 10).
    pub seq: u64,
    /// Order number.
    pub number: String,
    /// Customer reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Starshipit account.
    pub account: AccountName,
    /// Starshipit's id of the order as first found; 0 while Starshipit does not have it.
    pub order_id: i64,
    /// Its sale order in CartonCloud, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<SaleLink>,
    /// Who gets it (personal data, forgotten after `ledger.keep`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// Printer of its labels.
    pub printer: PrinterName,
    /// What keeps it where it is.
    pub standing: Standing,
    /// Shipments, oldest first.
    #[serde(default)]
    pub shipments: Vec<Shipment>,
    /// The one call whose outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Tracking numbers on their way into sinks, oldest first; a sink's newest job counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writebacks: Vec<Writeback>,
    /// Highest [`Writeback::n`] ever used: receivers know jobs by it, so none is used twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub last_job: u32,
    /// [`crate::domain::RemoteOrder::fingerprint`] at purchase.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// Where the time of its newest printing went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<Box<crate::domain::Timings>>,
    /// What people did to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deeds: Vec<Deed>,
    /// First seen here.
    pub created: Timestamp,
    /// Last changed here.
    pub updated: Timestamp,
}

impl Order {
    /// An order of which nothing is known but whose it is and where its labels go.
    pub fn new(
        id: OrderId,
        number: String,
        account: AccountName,
        printer: PrinterName,
        at: Timestamp,
    ) -> Self {
        Self {
            id,
            seq: 0,
            number,
            reference: None,
            account,
            order_id: 0,
            sale: None,
            recipient: None,
            printer,
            standing: Standing::Resting,
            shipments: Vec::new(),
            intent: None,
            writebacks: Vec::new(),
            last_job: 0,
            fingerprint: String::new(),
            timings: None,
            deeds: Vec::new(),
            created: at,
            updated: at,
        }
    }

    /// Shipments that count: not replaced by REDO.
    pub fn live(&self) -> impl Iterator<Item = &Shipment> {
        self.shipments.iter().filter(|s| !s.superseded)
    }

    /// The state word, derived so that it cannot disagree with the facts.
    pub fn state(&self) -> State {
        if let Some(intent) = &self.intent {
            return match intent.kind {
                IntentKind::Buy => State::Buying,
                IntentKind::Replace => State::Replacing,
                IntentKind::Clone => State::Cloning,
                IntentKind::Create => State::Pushing,
            };
        }
        let labels = || {
            self.live()
                .flat_map(|s| &s.pages)
                .filter(|p| p.role == PageRole::Label)
        };
        if labels().any(|p| p.state == PageState::InDoubt) {
            return State::InDoubt;
        }
        match self.standing {
            Standing::Queued => return State::Queued,
            Standing::WaitingPrinter(_) => return State::WaitingPrinter,
            Standing::Expired => return State::Expired,
            Standing::Cancelled => return State::Cancelled,
            Standing::Refused(_) => return State::Refused,
            Standing::Resting | Standing::Released => {}
        }
        if self.live().next().is_none() {
            return State::Known;
        }
        if self.live().all(Shipment::is_printed) {
            return State::Printed;
        }
        if self.is_elsewhere() {
            return State::Known;
        }
        if self.standing == Standing::Released || labels().any(|p| p.state == PageState::Sending) {
            return State::Printing;
        }
        State::Held
    }

    /// What is not printed here has its label from elsewhere, and nobody asked for it here.
    pub fn is_elsewhere(&self) -> bool {
        self.standing != Standing::Released
            && self.live().any(Shipment::is_elsewhere)
            && self.live().all(|s| s.is_printed() || s.is_elsewhere())
    }

    /// Something is still owed for this order: it stays in the journal (contract 10).
    pub fn is_open(&self) -> bool {
        if self.writebacks.iter().any(Writeback::is_open)
            || self.sale.as_ref().is_some_and(|sale| sale.wanted.is_some())
            || self.live().any(|s| s.unverified)
        {
            return true;
        }
        match self.state() {
            State::Printed => self.live().any(|s| {
                (s.tracking.is_empty() && !s.untracked)
                    || s.pages
                        .iter()
                        // A document in doubt keeps nothing open: nobody is asked about it.
                        .any(|p| p.state == PageState::Sending)
            }),
            State::Known => self.live().any(|s| s.tracking.is_empty() && !s.untracked),
            State::Refused | State::Expired | State::Cancelled => self.live().next().is_some(),
            _ => true,
        }
    }

    /// The label is on its way to paper as far as this order can tell: nothing left to fetch or send.
    pub fn needs_label(&self) -> bool {
        self.live().any(|s| !s.is_printed())
    }

    /// Every live tracking number, in order, without repeats.
    pub fn tracking(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for number in self.live().flat_map(|s| &s.tracking) {
            if !all.contains(number) {
                all.push(number.clone());
            }
        }
        all
    }

    /// Notes what a person did, keeping the newest [`MAX_DEEDS`].
    pub fn note(&mut self, deed: Deed) {
        if self.deeds.len() >= MAX_DEEDS {
            self.deeds.remove(0);
        }
        self.deeds.push(deed);
    }

    /// Every id that Starshipit gave it, its replacements and its clones, bought or about to be.
    pub fn remote_ids(&self) -> impl Iterator<Item = i64> {
        std::iter::once(self.order_id)
            .chain(self.shipments.iter().map(|s| s.order_id))
            .chain(self.intent.iter().map(|i| i.order_id))
    }

    /// A scan of this text, in the case that comparisons use, finds this order.
    pub fn is_known_as(&self, name: &str) -> bool {
        self.aliases().iter().any(|alias| alias == name)
    }

    /// Texts by which a scan finds this order, in the case that comparisons use.
    pub fn aliases(&self) -> Vec<String> {
        let mut all = vec![self.number.to_ascii_lowercase()];
        all.extend(self.reference.iter().map(|r| r.to_ascii_lowercase()));
        all.extend(
            self.shipments
                .iter()
                .flat_map(|s| &s.tracking)
                .map(|t| t.to_ascii_lowercase()),
        );
        // A re-created sale order has a new id and is the same order here.
        if let Some(sale) = &self.sale {
            all.push(OrderId::cartoncloud(&sale.uuid).0.to_ascii_lowercase());
            all.push(sale.uuid.to_ascii_lowercase());
            all.extend(sale.numeric_id.iter().map(|n| n.to_ascii_lowercase()));
        }
        // Replacements and clones are found again by the id Starshipit gave them.
        all.extend(self.remote_ids().filter(|id| *id != 0).map(|id| {
            OrderId::starshipit(&self.account, id)
                .0
                .to_ascii_lowercase()
        }));
        all.push(self.id.0.to_ascii_lowercase());
        all.retain(|a| !a.is_empty());
        all.sort();
        all.dedup();
        all
    }
}

/// What an accepted scan or command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActKind {
    /// Get this order's label out.
    Ship,
    /// Same label again.
    Reprint,
    /// Replace the shipment.
    Redo,
    /// One more parcel.
    NextParcel,
}

/// An accepted scan whose end has not come. Durable before "accepted" is said (P3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// Identity.
    pub id: ActId,
    /// Counts this act's records.
    pub seq: u64,
    /// What is asked.
    pub kind: ActKind,
    /// What was scanned.
    pub text: ScanText,
    /// Who asked.
    pub source: Source,
    /// When.
    pub at: Timestamp,
    /// The order, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderId>,
    /// Waits for the network.
    #[serde(default)]
    pub queued: bool,
    /// What a person chose for the purchase.
    #[serde(default, skip_serializing_if = "Choices::is_empty")]
    pub with: Choices,
    /// A person said YES: print what was labelled elsewhere, buy what is asked about.
    #[serde(default)]
    pub confirmed: bool,
    /// Why it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "kebab-case")]
pub enum Record {
    /// An order as it now is.
    Order(Arc<Order>),
    /// An act that is under way.
    Act(Box<Act>),
    /// An act that has ended.
    ActEnded {
        /// Which.
        id: ActId,
        /// Higher than any record of that act.
        seq: u64,
    },
    /// The bench takes work or not.
    Bench {
        /// Counts these records.
        seq: u64,
        /// PAUSE was given and RESUME not yet.
        paused: bool,
        /// When the last hand-over list was printed; zero: never.
        #[serde(default)]
        closed: Timestamp,
        /// Labels bought ahead on the newest day with any.
        #[serde(default, skip_serializing_if = "AheadDay::is_empty")]
        ahead: AheadDay,
    },
}

/// How many labels were bought ahead on a day, counted before each call leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AheadDay {
    /// The day at the bench, `2026-11-30`.
    pub day: String,
    /// By what limits them: a route with a limit of its own, or the bench (empty).
    pub bought: std::collections::BTreeMap<String, u32>,
}

impl AheadDay {
    /// Nothing was ever bought ahead.
    pub fn is_empty(&self) -> bool {
        self.bought.is_empty()
    }
}

impl Record {
    /// What this record is about; a later record with the same key replaces it.
    pub fn key(&self) -> String {
        match self {
            Self::Order(order) => format!("order/{}", order.id),
            Self::Act(act) => format!("act/{}", act.id),
            Self::ActEnded { id, .. } => format!("act/{id}"),
            Self::Bench { .. } => "bench".to_owned(),
        }
    }

    /// The record's sequence within its key.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Order(order) => order.seq,
            Self::Act(act) => act.seq,
            Self::ActEnded { seq, .. } | Self::Bench { seq, .. } => *seq,
        }
    }

    /// It must stay in the journal: something is still owed.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Order(order) => order.is_open(),
            Self::Act(_) | Self::Bench { .. } => true,
            Self::ActEnded { .. } => false,
        }
    }
}
