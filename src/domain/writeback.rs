//! Tracking numbers on their way into sinks: one job per (set of numbers, sink), contract 17.
//!
//! Jobs live in their order's record, so that a number and its writebacks are one durable step (P2)
//! and REDO supersedes what was not delivered in the same one (contract 7).

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Counts the order's jobs, from 1; `<ledger id>#<n>` names the job to people.
    pub n: u32,
    /// Name of the sink: `sale_order` (only looks), `consignment`, `order_document`,
    /// `order_properties`, `csv`, `shopify:<shop>`, `webhook:<n>`.
    pub sink: String,
    /// The whole set, in parcel order; replaced as a set.
    pub tracking: Vec<String>,
    /// Numbers of this order that an earlier job of this sink delivered and that this set replaces:
    /// ours, hence no conflict.
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
