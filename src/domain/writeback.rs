//! Tracking numbers on their way into sinks: one job per (set of numbers, sink), contract 17.
//!
//! Jobs live in their order's record, so that a number and its writebacks are one durable step (P2)
//! and REDO supersedes what was not delivered in the same one (contract 7).

use crate::domain::{Code, DocumentMeta, Order, SaleLink, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Only looks whether our number stands in the sale order.
pub const SALE_ORDER: &str = "sale_order";
/// The label as a document of the sale order.
pub const ORDER_DOCUMENT: &str = "order_document";
/// How a sink begins its reason when it has looked for [`SALE_ORDER`]'s number long enough.
pub const UNCONFIRMED: &str = "writeback-unconfirmed";
/// Longest text that a sink may leave with a job, in bytes.
const MAX_TEXT: usize = 200;

/// `writeback.require`: when an order counts as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// Any sink is enough.
    #[default]
    Any,
    /// Every sink.
    All,
    /// These sinks.
    These(Vec<String>),
}

/// What a route does with tracking numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WritebackRule {
    /// Names of sinks, in order; `sale_order` among them when numbers are looked for there.
    pub sinks: Vec<String>,
    /// [`ORDER_DOCUMENT`] is used even when an earlier sink is done.
    pub document_always: bool,
    /// When the order counts as written.
    pub require: Require,
    /// `on_conflict = "overwrite"`: another number gives way.
    pub overwrite: bool,
    /// Held labels are written back when they are bought, not when they are released.
    pub on_purchase: bool,
    /// Sinks of one merchant: sink → code, name or id of the customer whose orders it takes.
    pub merchants: BTreeMap<String, String>,
}

impl WritebackRule {
    /// This sink takes numbers of this order: it needs no sale order, or there is one; it is
    /// everybody's, or its merchant's.
    pub fn wants(&self, sink: &str, sale: Option<&SaleLink>) -> bool {
        if is_cartoncloud(sink) && sale.is_none() {
            return false;
        }
        self.merchants
            .get(sink)
            .is_none_or(|customer| sale.is_some_and(|sale| sale.customer.is(customer)))
    }
}

/// The sink needs a sale order.
pub fn is_cartoncloud(sink: &str) -> bool {
    matches!(
        sink,
        SALE_ORDER | ORDER_DOCUMENT | "consignment" | "order_properties"
    )
}

/// An earlier sink of this name is one that [`ORDER_DOCUMENT`] stands in for: it only looks, or tells
/// somebody else, or it does.
pub fn is_real(sink: &str) -> bool {
    sink != SALE_ORDER
        && sink != ORDER_DOCUMENT
        && !sink.starts_with("shopify:")
        && !sink.starts_with("webhook:")
}

/// An earlier sink of this name that is done makes the fall-back document needless.
pub fn spares_document(sink: &str) -> bool {
    is_real(sink) || sink == SALE_ORDER
}

/// This job is to be tried. The fall-back document waits while a sink that stands before it in the
/// order may still take the number; one that is to be made always stands before all others.
pub fn is_due(order: &Order, n: u32) -> bool {
    let Some(at) = order.writebacks.iter().position(|job| job.n == n) else {
        return false;
    };
    let job = &order.writebacks[at];
    if job.state != WritebackState::Pending {
        return false;
    }
    // A number is durable before its label is in the spool (contract 11).
    let at_hand = || order.live().all(|s| s.stored || s.is_elsewhere());
    let spared = || {
        order.writebacks[..at]
            .iter()
            .any(|earlier| is_real(&earlier.sink) && earlier.is_open())
    };
    job.sink != ORDER_DOCUMENT || (at_hand() && !spared())
}

/// The order's live numbers stand where `require` wants them. An order without numbers, or a route
/// without sinks, owes nothing.
pub fn is_written(order: &Order, rule: &WritebackRule) -> bool {
    let set = order.tracking();
    let done = |sink: &str| {
        order
            .writebacks
            .iter()
            .any(|job| job.sink == sink && job.tracking == set && job.state == WritebackState::Done)
    };
    // Taken away because an earlier sink has the number: it has done its duty.
    let spared = |sink: &str| {
        sink == ORDER_DOCUMENT
            && !rule.document_always
            && !order.writebacks.iter().any(|job| job.sink == sink)
            && rule
                .sinks
                .iter()
                .take_while(|s| *s != sink)
                .any(|s| spares_document(s) && done(s))
    };
    let fulfilled = |sink: &String| done(sink) || spared(sink);
    let mut owed = rule
        .sinks
        .iter()
        .filter(|sink| rule.wants(sink, order.sale.as_ref()))
        .peekable();
    if set.is_empty() || owed.peek().is_none() {
        return true;
    }
    match &rule.require {
        Require::Any => owed.any(fulfilled),
        Require::All => owed.all(fulfilled),
        Require::These(sinks) => sinks.iter().all(fulfilled),
    }
}

/// Everything that a sink needs for job `n`.
pub fn dispatch(order: &Order, n: u32) -> Option<Dispatch> {
    let job = order.writebacks.iter().find(|job| job.n == n)?.clone();
    let newest = order.live().last();
    Some(Dispatch {
        order: order.id.clone(),
        number: order.number.clone(),
        account: order.account.clone(),
        sale: order.sale.clone(),
        carrier: newest.map(|s| s.carrier.clone()).unwrap_or_default(),
        shipped: newest.map_or(order.updated, |s| s.at),
        documents: order
            .live()
            .flat_map(|s| s.documents.iter().cloned())
            .collect::<Vec<DocumentMeta>>(),
        job,
    })
}

/// A sink's text, cut to what a record may keep.
pub fn bounded(mut text: String) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// Where a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum WritebackState {
    /// Not due: no number yet, or the held label is not released (contract 7, 8).
    Waiting,
    /// Due; tried again until it is done.
    Pending,
    /// The sink has it.
    Done,
    /// The sink cannot take it; why, for a person.
    Unsupported {
        /// Why.
        why: String,
    },
    /// Another number stands there; nothing was changed. A person decides.
    Conflict {
        /// What stands there.
        theirs: String,
    },
}

/// One set of numbers for one sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writeback {
    /// Grows with each job of the order; `<ledger id>#<n>` names the job to people.
    pub n: u32,
    /// Name of the sink: `sale_order` (only looks), `consignment`, `order_document`,
    /// `order_properties`, `csv`, `shopify:<shop>`, `webhook:<n>`.
    pub sink: String,
    /// The whole set, in parcel order; replaced as a set.
    pub tracking: Vec<String>,
    /// Numbers of this order that REDO made void and that may stand in the sink: ours, hence no
    /// conflict. So are the numbers of `tracking` itself, alone or together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supersedes: Vec<String>,
    /// Where it stands.
    pub state: WritebackState,
    /// Deliveries tried.
    #[serde(default)]
    pub attempts: u32,
    /// A person said that ours shall stand, whatever stands there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overwrite: bool,
    /// What the sink gave back and needs for a change (a Shopify fulfilment, say).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// What went wrong last, bounded, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Since when it is owed.
    pub since: Timestamp,
    /// When `state` last changed.
    pub at: Timestamp,
}

impl Writeback {
    /// Something is still to be done for it, by the station or by a person.
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            WritebackState::Waiting | WritebackState::Pending | WritebackState::Conflict { .. }
        )
    }

    /// What a person is shown about it, if anything.
    pub fn code(&self) -> Option<Code> {
        match &self.state {
            WritebackState::Conflict { .. } => Some(Code::WritebackConflict),
            WritebackState::Unsupported { why } if why.starts_with(UNCONFIRMED) => {
                Some(Code::WritebackUnconfirmed)
            }
            WritebackState::Unsupported { .. } => Some(Code::WritebackUnsupported),
            WritebackState::Waiting | WritebackState::Pending | WritebackState::Done => None,
        }
    }

    /// The set as single-valued places hold it.
    pub fn joined(&self) -> String {
        self.tracking.join(",")
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The sink has exactly this set.
    Done {
        /// Kept with the job.
        handle: Option<String>,
    },
    /// It cannot take it, now or later.
    Unsupported {
        /// Why.
        why: String,
    },
    /// Another number stands there; nothing was changed.
    Conflict {
        /// What stands there.
        theirs: String,
    },
    /// Try again.
    Retry {
        /// How long it asked to wait.
        after: Option<std::time::Duration>,
        /// Why, for people.
        why: String,
        /// The system cannot be reached at all: jobs of the same system need not be tried meanwhile.
        unreachable: bool,
    },
}

/// Everything a sink needs for one delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// Ledger id of the order.
    pub order: crate::domain::OrderId,
    /// Order number.
    pub number: String,
    /// Starshipit account.
    pub account: crate::domain::AccountName,
    /// Its sale order, where there is one.
    pub sale: Option<crate::domain::sale::SaleLink>,
    /// Courier name.
    pub carrier: String,
    /// When the newest live shipment was bought.
    pub shipped: Timestamp,
    /// Label documents of the live shipments, for sinks that attach them.
    pub documents: Vec<crate::domain::DocumentMeta>,
    /// The job.
    pub job: Writeback,
}

impl Dispatch {
    /// The job's name: `<ledger id>#<n>`. The same for every attempt.
    pub fn id(&self) -> String {
        job_id(&self.order, self.job.n)
    }
}

/// Name of a job for people and other systems: `<ledger id>#<n>`.
pub fn job_id(order: &crate::domain::OrderId, n: u32) -> String {
    format!("{order}#{n}")
}
