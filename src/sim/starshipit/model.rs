//! Orders, consignments and sales as the simulator keeps them; on disk as JSON (see `book`).

use crate::domain::Timestamp;
use serde::{Deserialize, Serialize};

/// A consignment that was sold: what the courier will bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Counts sales from 1.
    pub n: u64,
    /// Account that pays.
    pub account: String,
    /// Starshipit's order id.
    pub order_id: i64,
    /// Order number.
    pub order_number: String,
    /// Courier code.
    pub carrier: String,
    /// Numbers on the labels, one per parcel.
    pub tracking_numbers: Vec<String>,
    /// Price in cents.
    pub price_cents: u64,
    /// When it was sold.
    pub at: Timestamp,
    /// `api`, or `app` when a person printed it in Starshipit itself.
    pub via: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    #[default]
    Unshipped,
    Saved,
    Printed,
    Shipped,
    Delivered,
}

impl Status {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unshipped => "Unshipped",
            Self::Saved => "Saved",
            Self::Printed => "Printed",
            Self::Shipped => "Shipped",
            Self::Delivered => "Delivered",
        }
    }

    pub(crate) fn by_word(word: &str) -> Option<Self> {
        [
            Self::Unshipped,
            Self::Saved,
            Self::Printed,
            Self::Shipped,
            Self::Delivered,
        ]
        .into_iter()
        .find(|s| s.word().eq_ignore_ascii_case(word))
    }

    pub(crate) fn has_label(self) -> bool {
        !matches!(self, Self::Unshipped | Self::Saved)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Address {
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) building: Option<String>,
    pub(crate) company: Option<String>,
    pub(crate) street: Option<String>,
    pub(crate) suburb: Option<String>,
    pub(crate) city: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) post_code: Option<String>,
    pub(crate) country: Option<String>,
    pub(crate) delivery_instructions: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Item {
    pub(crate) item_id: i64,
    pub(crate) description: Option<String>,
    pub(crate) sku: Option<String>,
    pub(crate) quantity: f64,
    pub(crate) weight: Option<f64>,
    pub(crate) value: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Package {
    pub(crate) package_id: i64,
    pub(crate) name: Option<String>,
    pub(crate) packaging_type: Option<String>,
    /// Kilograms.
    pub(crate) weight: Option<f64>,
    /// Metres, as the next two.
    pub(crate) length: Option<f64>,
    pub(crate) width: Option<f64>,
    pub(crate) height: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Consignment {
    pub(crate) at: Timestamp,
    pub(crate) carrier: String,
    pub(crate) service: String,
    /// The number in the barcode of each label, one per parcel.
    pub(crate) on_labels: Vec<String>,
    /// What `tracking_numbers` says once it says anything (S3).
    pub(crate) told: Vec<Option<String>>,
    /// From when on it says so.
    pub(crate) told_from: Timestamp,
    pub(crate) weights: Vec<f64>,
    pub(crate) destination: Address,
    /// The word of S12 at the time of printing: a reprint gives the same document.
    pub(crate) geometry: String,
    pub(crate) price_cents: u64,
}

impl Consignment {
    pub(crate) fn tracking(&self, now: Timestamp) -> &[Option<String>] {
        if now >= self.told_from {
            &self.told
        } else {
            &[]
        }
    }

    /// The number of parcel `i`, as `packages[i].tracking_number` shows it.
    pub(crate) fn tracking_of(&self, i: usize, now: Timestamp) -> Option<&str> {
        match self.tracking(now) {
            [only] => only.as_deref(),
            several => several.get(i).and_then(|t| t.as_deref()),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Order {
    pub(crate) id: i64,
    pub(crate) seq: u64,
    pub(crate) account: String,
    pub(crate) number: String,
    pub(crate) reference: Option<String>,
    pub(crate) order_date: Timestamp,
    pub(crate) updated: Timestamp,
    pub(crate) carrier: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) shipping_method: Option<String>,
    pub(crate) shipping_description: Option<String>,
    pub(crate) signature_required: bool,
    pub(crate) currency: Option<String>,
    pub(crate) sender: Address,
    pub(crate) destination: Address,
    pub(crate) items: Vec<Item>,
    pub(crate) packages: Vec<Package>,
    pub(crate) metadatas: Vec<(String, String)>,
    pub(crate) status: Status,
    pub(crate) archived: bool,
    pub(crate) manifest: Option<u32>,
    pub(crate) platform: String,
    pub(crate) order_type: String,
    pub(crate) consignments: Vec<Consignment>,
    /// No account rule finds a courier for it: print needs one in the request or on the order.
    pub(crate) courier_needed: bool,
    /// The courier refuses this address.
    pub(crate) address_invalid: bool,
}

impl Order {
    pub(crate) fn consignment(&self) -> Option<&Consignment> {
        self.consignments.last()
    }
}
