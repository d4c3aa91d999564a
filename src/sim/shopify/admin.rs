//! The door for tests and people: `/_sim/…`, JSON in and out, no keys.
//!
//! `GET ledger` `GET|POST orders` `POST orders/{name or id}` `GET calls` `GET|POST switches`
//! `GET|POST faults` `GET shops` `POST token/expire` `POST reset`.

use crate::sim::shopify::FAULTS;
use crate::sim::shopify::model::{FulfillmentOrder, Line, Order, gid};
use crate::sim::shopify::serve::Shared;
use crate::sim::site::faults::Fault;
use crate::sim::site::form::unescape;
use crate::sim::site::{Network, Reply, Site, held, now, read, switches::shown};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedLine {
    /// SKU.
    pub sku: String,
    /// How many.
    pub quantity: u32,
}

/// An order to make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Name of the shop; the first when empty.
    pub shop: String,
    /// The order's name, such as `#1001`; required.
    pub name: String,
    /// The number of its gid; the next free one when absent.
    pub id: Option<u64>,
    /// Lines; one of three pieces when empty.
    pub lines: Vec<SeedLine>,
    /// Fulfilment orders that the lines are dealt to in turn, each at a location of its own; one
    /// when zero.
    pub locations: u32,
    /// Fulfilment orders on hold.
    pub on_hold: bool,
    /// Cancelled at once.
    pub cancelled: bool,
}

/// What people do to an order in Shopify, in this order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Cancelled: its fulfilment orders are CANCELLED.
    pub cancel: bool,
    /// Fulfilment orders are put on hold, or released.
    pub hold: Option<bool>,
    /// Open fulfilment orders are closed and replaced by new ones with the same lines.
    pub replace: bool,
    /// Somebody else fulfils what is open, with this tracking number.
    pub fulfil: Option<String>,
}

/// A fulfilment as [`OrderView`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FulfillmentView {
    /// `gid://shopify/Fulfillment/…`.
    pub id: String,
    /// Tracking numbers.
    pub numbers: Vec<String>,
    /// Carrier.
    pub company: Option<String>,
    /// Tracking URLs.
    pub urls: Vec<String>,
}

/// An order as the admin door shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// Shop.
    pub shop: String,
    /// `gid://shopify/Order/…`.
    pub id: String,
    /// Name.
    pub name: String,
    /// Cancelled.
    pub cancelled: bool,
    /// Status of each fulfilment order.
    pub fulfillment_orders: Vec<String>,
    /// Fulfilments.
    pub fulfillments: Vec<FulfillmentView>,
}

/// Answers one request; `path` is what follows `/_sim/`.
pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Reply {
    let done = match (method.as_str(), path) {
        ("GET", "ledger") => Ok(json!({ "entries": shared.book().entries })),
        ("GET", "orders") => Ok(json!({ "orders": shared.views() })),
        ("POST", "orders") => read(body)
            .and_then(|seed| shared.add_order(seed).map_err(|e| e.to_string()))
            .map(|id| json!({ "id": id })),
        ("GET", "shops") => Ok(json!({ "shops": shared.shops })),
        ("GET", "calls") => Ok(json!({ "calls": shared.calls.all() })),
        ("GET", "switches") => Ok(shown(shared.switches().settings())),
        ("POST", "switches") => set_switches(shared, body),
        ("GET", "faults") => Ok(faults(shared)),
        ("POST", "faults") => set_faults(shared, body),
        ("POST", "token/expire") => {
            shared.expire_tokens();
            Ok(json!({}))
        }
        ("POST", "reset") => shared
            .reset()
            .map_err(|e| e.to_string())
            .map(|()| json!({})),
        ("POST" | "PATCH", path) if path.starts_with("orders/") => {
            let name = unescape(path.trim_start_matches("orders/"));
            read(body)
                .and_then(|change| shared.change(&name, change).map_err(|e| e.to_string()))
                .map(|()| json!({ "orders": shared.views() }))
        }
        _ => {
            let door = "GET ledger, orders, shops, calls, switches, faults; POST orders, \
                        orders/{n}, switches, faults, token/expire, reset";
            return Reply::json(404, &json!({ "error": format!("/_sim/ has {door}") }));
        }
    };
    Reply::admin(done)
}

fn faults(shared: &Shared) -> Value {
    json!({ "faults": *held(&shared.faults), "network": shared.net().now() })
}

fn set_faults(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        faults: Option<Vec<String>>,
        network: Option<Network>,
    }
    let body: Body = read(body)?;
    if let Some(texts) = body.faults {
        let all: Result<Vec<Fault>, _> = texts.iter().map(|t| FAULTS.parse(t)).collect();
        *held(&shared.faults) = all.map_err(|e| e.to_string())?;
    }
    if let Some(network) = body.network {
        shared.net().set(network);
    }
    Ok(faults(shared))
}

fn set_switches(shared: &Shared, body: &[u8]) -> Result<Value, String> {
    let words: BTreeMap<String, String> = read(body)?;
    let mut switches = shared.switches();
    for (name, word) in words {
        switches.set(&name, &word).map_err(|e| e.to_string())?;
    }
    shared.set_switches(switches);
    Ok(shown(switches.settings()))
}

impl Shared {
    /// Makes an order; its gid.
    pub(crate) fn add_order(&self, seed: Seed) -> io::Result<String> {
        let shop = match seed.shop.as_str() {
            "" => self.shops.first(),
            name => self.shops.iter().find(|s| s.shop == name),
        };
        let shop = shop.ok_or_else(|| io::Error::other(format!("no shop '{}'", seed.shop)))?;
        if seed.name.is_empty() {
            return Err(io::Error::other("an order needs a name"));
        }
        let mut book = self.book();
        let id = seed.id.unwrap_or_else(|| book.new_id());
        if book.order(&shop.shop, id).is_some() {
            return Err(io::Error::other(format!("there is an order {id} already")));
        }
        let lines = match seed.lines.is_empty() {
            true => vec![SeedLine {
                sku: "TEA-500".into(),
                quantity: 3,
            }],
            false => seed.lines,
        };
        let count = usize::try_from(seed.locations.max(1)).unwrap_or(1);
        let mut parts: Vec<FulfillmentOrder> = (0..count)
            .map(|_| FulfillmentOrder {
                id: book.new_id(),
                status: if seed.on_hold { "ON_HOLD" } else { "OPEN" }.into(),
                location: 6_000_000_001,
                lines: Vec::new(),
            })
            .collect();
        for (i, line) in lines.into_iter().enumerate() {
            let line = Line {
                id: book.new_id(),
                line_item: book.new_id(),
                sku: line.sku,
                total: u64::from(line.quantity),
                remaining: u64::from(line.quantity),
            };
            parts[i % count].lines.push(line);
        }
        for (part, location) in parts.iter_mut().zip(6_000_000_001..) {
            part.location = location;
        }
        let mut order = Order {
            shop: shop.shop.clone(),
            id,
            name: seed.name,
            created: now(),
            cancelled: None,
            fulfillment_orders: parts,
            fulfillments: Vec::new(),
        };
        if seed.cancelled {
            cancel(&mut order);
        }
        book.put(order, None)?;
        Ok(gid("Order", id))
    }

    /// Changes the order of this name, number or gid; `SHOP/name` where two shops have it.
    pub(crate) fn change(&self, which: &str, change: Change) -> io::Result<()> {
        let mut book = self.book();
        let fits = |o: &&Order| {
            o.name == which
                || o.id.to_string() == which
                || gid("Order", o.id) == which
                || which
                    .strip_prefix(&o.shop)
                    .and_then(|r| r.strip_prefix('/'))
                    == Some(o.name.as_str())
        };
        let hits: Vec<Order> = book.orders.values().filter(fits).cloned().collect();
        let [order] = hits.as_slice() else {
            return Err(io::Error::other(format!("{} orders '{which}'", hits.len())));
        };
        let mut order = order.clone();
        if change.cancel {
            cancel(&mut order);
        }
        if let Some(hold) = change.hold {
            let (from, to) = if hold {
                ("OPEN", "ON_HOLD")
            } else {
                ("ON_HOLD", "OPEN")
            };
            let parts = order
                .fulfillment_orders
                .iter_mut()
                .filter(|f| f.status == from);
            parts.for_each(|f| f.status = to.into());
        }
        if change.replace {
            let mut new = Vec::new();
            for part in order.fulfillment_orders.iter_mut().filter(|f| f.is_open()) {
                let mut twin = part.clone();
                twin.id = book.new_id();
                for line in &mut twin.lines {
                    line.id = book.new_id();
                }
                part.status = "CLOSED".into();
                part.lines.iter_mut().for_each(|l| l.remaining = 0);
                new.push(twin);
            }
            order.fulfillment_orders.extend(new);
        }
        if let Some(number) = change.fulfil {
            for part in order.fulfillment_orders.iter_mut().filter(|f| f.is_open()) {
                part.status = "CLOSED".into();
                part.lines.iter_mut().for_each(|l| l.remaining = 0);
            }
            let made = crate::sim::shopify::model::Fulfillment {
                id: book.new_id(),
                created: now(),
                company: Some("Somebody else".into()),
                numbers: vec![number],
                urls: Vec::new(),
            };
            order.fulfillments.push(made);
        }
        book.put(order, None)
    }

    pub(crate) fn views(&self) -> Vec<OrderView> {
        self.book().orders.values().map(view).collect()
    }
}

fn cancel(order: &mut Order) {
    order.cancelled = Some(now());
    for part in order
        .fulfillment_orders
        .iter_mut()
        .filter(|f| f.status != "CLOSED")
    {
        part.status = "CANCELLED".into();
    }
}

fn view(order: &Order) -> OrderView {
    let fulfillments = order.fulfillments.iter().map(|f| FulfillmentView {
        id: gid("Fulfillment", f.id),
        numbers: f.numbers.clone(),
        company: f.company.clone(),
        urls: f.urls.clone(),
    });
    OrderView {
        shop: order.shop.clone(),
        id: gid("Order", order.id),
        name: order.name.clone(),
        cancelled: order.cancelled.is_some(),
        fulfillment_orders: order
            .fulfillment_orders
            .iter()
            .map(|f| f.status.clone())
            .collect(),
        fulfillments: fulfillments.collect(),
    }
}
