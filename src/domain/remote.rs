//! What the station needs to know of an order in Starshipit, and how a call can end.
//!
//! The client maps Starshipit's drifting JSON to these; the station never sees wire types.

use crate::domain::{AccountName, Code, DocumentId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where an order stands in Starshipit (api/starshipit.md section 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteStatus {
    /// `Unshipped`, `Saved`, `New`: no label yet.
    Unshipped,
    /// `Printed` or anything later: a label exists.
    Printed,
    /// A word we do not know. Whether a label exists is told by tracking numbers and label dates.
    Unknown,
}

/// One parcel as Starshipit has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parcel {
    /// Kilograms; zero or absent means unknown.
    pub weight_kg: f64,
    /// Metres: length, width, height; zero means unknown.
    pub length_m: f64,
    /// Metres.
    pub width_m: f64,
    /// Metres.
    pub height_m: f64,
}

/// An order as Starshipit shows it, reduced to what a decision needs.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteOrder {
    /// Account whose key saw it.
    pub account: AccountName,
    /// Starshipit's own id.
    pub order_id: i64,
    /// Order number.
    pub number: String,
    /// Customer reference.
    pub reference: Option<String>,
    /// Where it stands.
    pub status: RemoteStatus,
    /// Archived: cancelled, or replaced by a live twin.
    pub archived: bool,
    /// Who gets it (personal data: never logged above debug).
    pub recipient: Option<String>,
    /// Postcode of the destination.
    pub postcode: Option<String>,
    /// Courier code, when one is assigned.
    pub carrier: Option<String>,
    /// Courier name as shown to people.
    pub carrier_name: Option<String>,
    /// Courier service code.
    pub service: Option<String>,
    /// Parcels, if any are set.
    pub parcels: Vec<Parcel>,
    /// Sum of item weights × quantities in kilograms; zero when unknown.
    pub items_weight_kg: f64,
    /// Tracking numbers, nulls and blanks removed, in parcel order, without repeats.
    pub tracking: Vec<String>,
    /// A label was made at some time (`label_created_date` on a parcel).
    pub label_created: bool,
    /// Hash of address, items × quantity, weight, method and service: contract 6's "changed".
    pub fingerprint: String,
    /// What its label costs, in cents, where Starshipit says so.
    pub price_cents: Option<u64>,
}

impl RemoteOrder {
    /// A label exists: anything that says so is believed.
    pub fn is_printed(&self) -> bool {
        self.status == RemoteStatus::Printed || !self.tracking.is_empty() || self.label_created
    }

    /// Any weight is known, from parcels or items.
    pub fn has_weight(&self) -> bool {
        self.items_weight_kg > 0.0 || self.parcels.iter().any(|p| p.weight_kg > 0.0)
    }
}

/// A label document as it came, before it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentMeta {
    /// SHA-256 of the decoded bytes.
    pub id: DocumentId,
    /// Decoded length in bytes.
    pub len: u32,
    /// Starshipit's `label_types` entry, e.g. `BlankLabels`; empty when absent.
    pub label_type: String,
}

/// The `label_type` of packing slips, whatever Starshipit calls them: the configuration's word, by
/// which they are sent to their printer.
pub const PACKING_SLIP: &str = "packing-slip";

impl DocumentMeta {
    /// A packing slip: it came beside the label, not with it.
    pub fn is_slip(&self) -> bool {
        self.label_type.eq_ignore_ascii_case(PACKING_SLIP)
    }
}

/// A shipment that exists: bought now, or fetched with `reprint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    /// Starshipit's id of the order that was printed.
    pub order_id: i64,
    /// Courier name as shown to people.
    pub carrier_name: String,
    /// Tracking numbers, nulls and blanks removed, without repeats. May be empty: late numbers exist.
    pub tracking: Vec<String>,
    /// How many entries `tracking_numbers` had, nulls included.
    pub tracking_slots: usize,
    /// The label documents that could be decoded, in order.
    pub documents: Vec<DocumentMeta>,
    /// Entries of `labels` that were not base64, or empty.
    pub undecodable: usize,
}

/// How a call to an outside system failed, by what may be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallFailure {
    /// No byte of the request left this host. Safe to repeat.
    NotSent {
        /// Why, for the log.
        detail: String,
    },
    /// The service asked to wait (429). Nothing was done there. Safe to repeat after the wait.
    Throttled {
        /// How long it asked to wait, when it said so.
        retry_after: Option<Duration>,
    },
    /// A parsed refusal (`success:false`, or a gateway's 401/403). Nothing was done there.
    Refused {
        /// What it means.
        code: Code,
        /// The service's own words, bounded, without secrets.
        detail: String,
    },
    /// Time-out, reset, 5xx, HTML, or a reply that cannot be read: it may or may not have been done.
    Unknown {
        /// Why, for the log.
        detail: String,
    },
}

/// An outside system that calls go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum System {
    /// Starshipit.
    #[default]
    Starshipit,
    /// CartonCloud.
    Cartoncloud,
}

impl System {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starshipit => "Starshipit",
            Self::Cartoncloud => "CartonCloud",
        }
    }

    /// It does not answer.
    pub fn unreachable(self) -> Code {
        match self {
            Self::Starshipit => Code::StarshipitUnreachable,
            Self::Cartoncloud => Code::CartoncloudUnreachable,
        }
    }
}

impl CallFailure {
    /// The code a person is shown when a call to Starshipit failed and nothing more is tried.
    pub fn code(&self) -> Code {
        self.code_of(System::Starshipit)
    }

    /// The code a person is shown when a call to this system failed and nothing more is tried.
    pub fn code_of(&self, system: System) -> Code {
        match self {
            Self::NotSent { .. } | Self::Unknown { .. } => system.unreachable(),
            Self::Throttled { .. } => Code::RateLimited,
            Self::Refused { code, .. } => *code,
        }
    }
}
