//! Orders, fulfilment orders and fulfilments of a shop, and the books they are kept in.

use crate::domain::Timestamp;
use crate::sim::site::log::Log;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// A fulfilment that was created, or whose tracking was replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Counts entries of all shops from 1.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// Name of the shop.
    pub shop: String,
    /// `fulfillmentCreate` or `fulfillmentTrackingInfoUpdate`.
    pub call: String,
    /// `gid://shopify/Order/…`.
    pub order: String,
    /// The order's name.
    pub name: String,
    /// `gid://shopify/Fulfillment/…`.
    pub fulfillment: String,
    /// Tracking numbers it has now.
    pub numbers: Vec<String>,
    /// Tracking numbers it had before.
    pub numbers_before: Vec<String>,
    /// Carrier.
    pub company: Option<String>,
    /// Tracking URLs.
    pub urls: Vec<String>,
    /// The buyer got a mail.
    pub notified: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Line {
    pub(crate) id: u64,
    pub(crate) line_item: u64,
    pub(crate) sku: String,
    pub(crate) total: u64,
    pub(crate) remaining: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FulfillmentOrder {
    pub(crate) id: u64,
    pub(crate) status: String,
    pub(crate) location: u64,
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Fulfillment {
    pub(crate) id: u64,
    pub(crate) created: Timestamp,
    pub(crate) company: Option<String>,
    pub(crate) numbers: Vec<String>,
    pub(crate) urls: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Order {
    pub(crate) shop: String,
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    pub(crate) cancelled: Option<Timestamp>,
    pub(crate) fulfillment_orders: Vec<FulfillmentOrder>,
    pub(crate) fulfillments: Vec<Fulfillment>,
}

pub(crate) fn gid(kind: &str, id: u64) -> String {
    format!("gid://shopify/{kind}/{id}")
}

/// The number of a gid of this kind.
pub(crate) fn number(gid: &str, kind: &str) -> Option<u64> {
    let rest = gid.strip_prefix("gid://shopify/")?;
    rest.strip_prefix(kind)?.strip_prefix('/')?.parse().ok()
}

/// UTC, whole seconds.
pub(crate) fn time(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => String::new(),
    }
}

impl FulfillmentOrder {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "OPEN" | "IN_PROGRESS")
    }

    fn whole(&self) -> Value {
        let line = |l: &Line| {
            json!({"id": gid("FulfillmentOrderLineItem", l.id), "remainingQuantity": l.remaining,
                "totalQuantity": l.total, "sku": l.sku,
                "lineItem": {"id": gid("LineItem", l.line_item), "sku": l.sku}})
        };
        let lines: Vec<Value> = self.lines.iter().map(line).collect();
        let actions: &[&str] = match self.is_open() {
            true => &["CREATE_FULFILLMENT", "HOLD"],
            false => &[],
        };
        let actions: Vec<Value> = actions.iter().map(|a| json!({ "action": a })).collect();
        json!({"id": gid("FulfillmentOrder", self.id), "status": self.status,
            "requestStatus": "UNSUBMITTED",
            "assignedLocation": {"name": "3PL", "location": {"id": gid("Location", self.location), "name": "3PL"}},
            "supportedActions": actions, "lineItems": {"$connection": lines}})
    }
}

impl Fulfillment {
    pub(crate) fn whole(&self) -> Value {
        let info = |(i, number): (usize, &String)| json!({"company": self.company, "number": number, "url": self.urls.get(i)});
        let tracking: Vec<Value> = self.numbers.iter().enumerate().map(info).collect();
        json!({"id": gid("Fulfillment", self.id), "status": "SUCCESS", "displayStatus": "FULFILLED",
            "createdAt": time(self.created), "updatedAt": time(self.created), "trackingInfo": tracking})
    }
}

impl Order {
    /// Every field that a query may select.
    pub(crate) fn whole(&self, hide: bool) -> Value {
        let open: u64 = self.lines().map(|l| l.remaining).sum();
        let display = match (open, self.fulfillments.is_empty()) {
            (_, true) => "UNFULFILLED",
            (0, false) => "FULFILLED",
            (_, false) => "PARTIALLY_FULFILLED",
        };
        let orders = self.fulfillment_orders.iter().filter(|_| !hide);
        let orders: Vec<Value> = orders.map(FulfillmentOrder::whole).collect();
        let fulfillments: Vec<Value> = self.fulfillments.iter().map(Fulfillment::whole).collect();
        json!({"id": gid("Order", self.id), "legacyResourceId": self.id.to_string(), "name": self.name,
            "createdAt": time(self.created), "cancelledAt": self.cancelled.map(time),
            "displayFulfillmentStatus": display, "fulfillments": fulfillments,
            "fulfillmentOrders": {"$connection": orders}})
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &Line> {
        self.fulfillment_orders.iter().flat_map(|f| &f.lines)
    }
}

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<Entry>,
    next: u64,
    order: Order,
}

/// Orders of all shops, and what was fulfilled. Entries are on the disk before their reply is sent.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) orders: BTreeMap<(String, u64), Order>,
    pub(crate) entries: Vec<Entry>,
    log: Log,
    next: u64,
}

/// The first id of anything that is no order.
const FIRST: u64 = 7_522_600_000_001;

impl Book {
    pub(crate) fn open(state: Option<&Path>) -> io::Result<Self> {
        let (log, lines) = Log::open(state, "ledger.ndjson")?;
        let mut book = Self {
            orders: BTreeMap::new(),
            entries: Vec::new(),
            log,
            next: FIRST,
        };
        for line in lines {
            book.adopt(serde_json::from_str(&line).map_err(io::Error::other)?);
        }
        Ok(book)
    }

    fn adopt(&mut self, record: Record) {
        self.next = self.next.max(record.next);
        self.entries.extend(record.entry);
        let key = (record.order.shop.clone(), record.order.id);
        self.orders.insert(key, record.order);
    }

    pub(crate) fn new_id(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Stores `order`; durable when it comes with an entry.
    pub(crate) fn put(&mut self, order: Order, entry: Option<Entry>) -> io::Result<()> {
        let last = self.entries.last().map_or(0, |e| e.n);
        let entry = entry.map(|entry| Entry {
            n: last + 1,
            ..entry
        });
        let record = Record {
            entry,
            next: self.next,
            order,
        };
        self.log.write(&record, record.entry.is_some())?;
        self.adopt(record);
        Ok(())
    }

    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.log.clear()?;
        self.orders.clear();
        self.entries.clear();
        self.next = FIRST;
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.log.close();
    }

    pub(crate) fn order(&self, shop: &str, id: u64) -> Option<&Order> {
        self.orders.get(&(shop.to_owned(), id))
    }

    pub(crate) fn of<'a>(&'a self, shop: &'a str) -> impl Iterator<Item = &'a Order> {
        self.orders.values().filter(move |o| o.shop == shop)
    }
}
