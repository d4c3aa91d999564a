//! The door for tests and people: `/_sim/…`, JSON in and out, no keys.
//!
//! `GET orders` `POST orders` `PATCH orders/{n}` `POST orders/{n}/status`
//! `POST orders/{n}/properties` `POST nasty` `GET journal` `GET calls` `GET|POST switches`
//! `GET|POST faults` `GET world` `POST products/{code}` `POST token/expire` `POST reset`.
//! `{n}` is an order's id, its reference, or `CODE/reference` where two customers have it.

use crate::sim::cartoncloud::api::FAULTS;
use crate::sim::cartoncloud::book::{Book, Table, text};
use crate::sim::cartoncloud::orders::{Desk, merge};
use crate::sim::cartoncloud::plant::{alter, plant};
use crate::sim::cartoncloud::serve::Shared;
use crate::sim::cartoncloud::world::{nasty_orders, stamp};
use crate::sim::site::faults::{Fault, Hits};
use crate::sim::site::form::unescape;
use crate::sim::site::{Network, Reply, Site, held, now, read, switches::shown};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io;

/// A line of an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedItem {
    /// Product code of the order's customer.
    pub sku: String,
    /// How many, in the unit of measure.
    pub quantity: f64,
    /// Unit of measure; `UNIT` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uom: Option<String>,
}

impl SeedItem {
    /// So many single units.
    pub fn units(sku: impl Into<String>, quantity: f64) -> Self {
        Self {
            sku: sku.into(),
            quantity,
            uom: None,
        }
    }
}

/// A sale order to make, unchecked. Whatever is left out is filled in plausibly.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// `references.customer`; required.
    pub reference: String,
    /// Customer's code, name or id; the first customer when empty.
    pub customer: String,
    /// Warehouse's name or id; the first when empty.
    pub warehouse: String,
    /// `AWAITING_PICK_AND_PACK` when absent; PACKED and DISPATCHED generate consignments.
    pub status: Option<String>,
    /// `references.numericId`; the next free one when absent.
    pub numeric_id: Option<String>,
    /// Members of the delivery address over invented ones; `null` removes one.
    pub address: Map<String, Value>,
    /// Lines; one plain product when empty.
    pub items: Vec<SeedItem>,
    /// Weights in kilograms of the packages of a Warehouse Fulfilment; one with the weight of all
    /// lines when empty.
    pub packages: Vec<f64>,
    /// `SHIPPING` or `PICKUP`.
    pub method: Option<String>,
    /// `details.deliver.method.requestedService`.
    pub requested_service: Option<String>,
    /// `details.deliver.instructions`.
    pub instructions: Option<String>,
    /// Custom fields.
    pub properties: Map<String, Value>,
    /// `externalMeta`, as CartonCloud's own Shopify integration leaves it.
    pub external_meta: Option<Value>,
    /// Anything else, merged over the order at last.
    pub merge: Option<Value>,
}

impl Seed {
    /// A plain order under this reference.
    pub fn reference(reference: impl Into<String>) -> Self {
        Self {
            reference: reference.into(),
            ..Self::default()
        }
    }
}

/// What people do to an order, in this order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Members of the delivery address; `null` removes one.
    pub address: Map<String, Value>,
    /// All lines anew.
    pub items: Option<Vec<SeedItem>>,
    /// Custom fields; `null` removes one.
    pub properties: Map<String, Value>,
    /// `SHIPPING` or `PICKUP`.
    pub method: Option<String>,
    /// `details.deliver.method.requestedService`.
    pub requested_service: Option<String>,
    /// Anything else, merged over the order.
    pub merge: Option<Value>,
    /// The order becomes REJECTED: CartonCloud has no word for cancelled.
    pub cancel: bool,
    /// The order is deleted and made again under its reference with a new id.
    pub recreate: bool,
    /// The order is deleted.
    pub delete: bool,
}

/// One consignment of an order, as [`OrderView`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsignmentView {
    /// UUID.
    pub id: String,
    /// `details.type`.
    pub kind: String,
    /// Its status.
    pub status: String,
    /// Its version.
    pub version: u64,
    /// `references.tracking`; empty when there is none.
    pub tracking: String,
    /// `details.tracking.companyName`; empty when there is none.
    pub carrier: String,
    /// `details.tracking.url`; empty when there is none.
    pub url: String,
}

/// One document of an order, as [`OrderView`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentView {
    /// UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// How many bytes.
    pub bytes: u64,
}

/// An order with every place where a tracking number may stand.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OrderView {
    /// UUID.
    pub id: String,
    /// `references.customer`.
    pub reference: String,
    /// `references.numericId`.
    pub numeric_id: String,
    /// Code of its customer.
    pub customer: String,
    /// Name of its warehouse.
    pub warehouse: String,
    /// Its status.
    pub status: String,
    /// Its version.
    pub version: u64,
    /// `properties.carrierTrackingNumberField`; empty when there is none.
    pub tracking: String,
    /// What was generated from it.
    pub consignments: Vec<ConsignmentView>,
    /// What was attached to it.
    pub documents: Vec<DocumentView>,
    /// The whole order.
    pub order: Value,
}

/// Answers one request; `path` is what follows `/_sim/`.
pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Reply {
    let done = match (method.as_str(), path) {
        ("GET", "orders") => Ok(json!({ "orders": shared.views() })),
        ("POST", "orders") => read(body)
            .and_then(|seed| shared.add_order(seed).map_err(told))
            .map(|id| json!({ "id": id })),
        ("POST", "nasty") => nasty(shared),
        ("GET", "journal") => Ok(json!({ "writes": shared.book().writes })),
        ("GET", "calls") => Ok(json!({ "calls": shared.calls.all() })),
        ("GET", "world") => Ok(world(shared)),
        ("GET", "switches") => Ok(shown(shared.switches().settings())),
        ("POST", "switches") => set_switches(shared, body),
        ("GET", "faults") => Ok(faults(shared)),
        ("POST", "faults") => set_faults(shared, body),
        ("POST", "token/expire") => {
            shared.expire_tokens();
            Ok(json!({}))
        }
        ("POST", "reset") => shared.reset().map_err(told).map(|()| json!({})),
        _ => match one(shared, method, path, body) {
            Some(done) => done,
            None => {
                let door = "GET orders, journal, calls, world, switches, faults; POST orders, \
                            nasty, orders/{n}/status, orders/{n}/properties, products/{code}, \
                            switches, faults, token/expire, reset; PATCH orders/{n}";
                return Reply::json(404, &json!({ "error": format!("/_sim/ has {door}") }));
            }
        },
    };
    Reply::admin(done)
}

fn told(error: io::Error) -> String {
    error.to_string()
}

/// Calls about one order or one product.
fn one(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Option<Result<Value, String>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Status {
        status: String,
    }
    let view = |id: &str| json!({ "order": shared.views_of(|v| v == id).pop() });
    if let Some(code) = path.strip_prefix("products/") {
        let post = method == Method::POST;
        return post.then(|| {
            let merge = read(body)?;
            shared.alter_product(&unescape(code), merge).map_err(told)?;
            Ok(json!({}))
        });
    }
    let rest = path.strip_prefix("orders/")?;
    let (name, verb) = match rest.rsplit_once('/') {
        Some((name, verb @ ("status" | "properties"))) => (name, verb),
        _ => (rest, ""),
    };
    let name = unescape(name);
    let done = match (method.as_str(), verb) {
        ("POST", "status") => read::<Status>(body).and_then(|s| {
            let id = shared.set_status(&name, &s.status).map_err(told)?;
            Ok(view(&id))
        }),
        ("POST", "properties") => read(body).and_then(|properties| {
            let change = Change {
                properties,
                ..Change::default()
            };
            let id = shared.change(&name, change).map_err(told)?;
            Ok(view(&id))
        }),
        ("PATCH" | "POST", "") => read(body).and_then(|change| {
            let id = shared.change(&name, change).map_err(told)?;
            Ok(view(&id))
        }),
        ("GET", "") => shared.book_find(&name).map_err(told).map(|id| view(&id)),
        _ => return None,
    };
    Some(done)
}

fn nasty(shared: &Shared) -> Result<Value, String> {
    let customers = shared.book().world.customers.clone();
    let mut made = Vec::new();
    for seed in nasty_orders(&customers) {
        let reference = seed.reference.clone();
        let id = shared.add_order(seed).map_err(told)?;
        made.push(json!({ "id": id, "reference": reference }));
    }
    Ok(json!({ "orders": made }))
}

fn world(shared: &Shared) -> Value {
    let book = shared.book();
    let products: Vec<&Value> = book.rows(Table::Products).all().collect();
    json!({ "tenant_id": shared.tenant_id, "client_id": shared.client_id,
        "customers": book.world.customers, "warehouses": book.world.warehouses,
        "products": products })
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

/// The order that `name` names: an id, a reference, or `CODE/reference`.
fn find(book: &Book, name: &str) -> io::Result<String> {
    if book.orders().get(name).is_some() {
        return Ok(name.to_owned());
    }
    let fits = |order: &&Value| {
        let reference = text(order, "/references/customer");
        let code = text(order, "/customer/references/code");
        reference == name
            || name.strip_prefix(code).and_then(|r| r.strip_prefix('/')) == Some(reference)
    };
    let mut hits = book.orders().all().filter(fits);
    match (hits.next(), hits.next()) {
        (Some(order), None) => Ok(text(order, "/id").to_owned()),
        (None, _) => Err(io::Error::other(format!("no order '{name}'"))),
        (Some(_), Some(_)) => Err(io::Error::other(format!(
            "several orders '{name}': say CODE/{name}, or the id"
        ))),
    }
}

impl Shared {
    fn desk<T>(&self, act: impl FnOnce(&mut Desk<'_>) -> io::Result<T>) -> io::Result<T> {
        act(&mut Desk {
            switches: self.switches(),
            book: &mut self.book(),
            hits: &Hits::default(),
            now: now(),
        })
    }

    pub(crate) fn book_find(&self, name: &str) -> io::Result<String> {
        find(&self.book(), name)
    }

    pub(crate) fn add_order(&self, seed: Seed) -> io::Result<String> {
        if seed.reference.is_empty() {
            return Err(io::Error::other("an order needs a reference"));
        }
        self.desk(|desk| {
            let status = seed.status.clone();
            let id = plant(desk, seed)?;
            if let Some(status) = status {
                desk.advance(&id, &status)?;
            }
            Ok(id)
        })
    }

    pub(crate) fn set_status(&self, name: &str, status: &str) -> io::Result<String> {
        self.desk(|desk| {
            let id = find(desk.book, name)?;
            desk.advance(&id, status)?;
            Ok(id)
        })
    }

    /// The id of the order afterwards; of the deleted one when it was deleted.
    pub(crate) fn change(&self, name: &str, change: Change) -> io::Result<String> {
        self.desk(|desk| {
            let id = find(desk.book, name)?;
            alter(desk, &id, change)
        })
    }

    pub(crate) fn alter_product(&self, code: &str, members: Value) -> io::Result<()> {
        self.desk(|desk| {
            let mut products = desk.book.rows(Table::Products).all();
            let product = products
                .find(|p| text(p, "/references/code") == code)
                .cloned();
            drop(products);
            let mut product =
                product.ok_or_else(|| io::Error::other(format!("no product '{code}'")))?;
            merge(&mut product, members);
            product["timestamps"]["modified"] = stamp(desk.now);
            let id = text(&product, "/id").to_owned();
            let put = desk.book.put(Table::Products, &id, Some(product));
            desk.book.commit(None, put)
        })
    }

    pub(crate) fn views(&self) -> Vec<OrderView> {
        self.views_of(|_| true)
    }

    fn views_of(&self, fits: impl Fn(&str) -> bool) -> Vec<OrderView> {
        let book = self.book();
        let orders = book.orders().all().filter(|o| fits(text(o, "/id")));
        orders.map(|o| view(&book, o)).collect()
    }
}

fn view(book: &Book, order: &Value) -> OrderView {
    let told = |row: &Value, pointer: &str| text(row, pointer).to_owned();
    let version = |row: &Value| row["version"].as_u64().unwrap_or(0);
    let id = told(order, "/id");
    let consignments = book.consignments_of(&id).map(|c| ConsignmentView {
        id: told(c, "/id"),
        kind: told(c, "/details/type"),
        status: told(c, "/status"),
        version: version(c),
        tracking: told(c, "/references/tracking"),
        carrier: told(c, "/details/tracking/companyName"),
        url: told(c, "/details/tracking/url"),
    });
    let documents = book.documents_of(&id).map(|d| DocumentView {
        id: told(d, "/id"),
        name: told(d, "/content/name"),
        sha256: told(d, "/$sha256"),
        bytes: d["$bytes"].as_u64().unwrap_or(0),
    });
    OrderView {
        consignments: consignments.collect(),
        documents: documents.collect(),
        reference: told(order, "/references/customer"),
        numeric_id: told(order, "/references/numericId"),
        customer: told(order, "/customer/references/code"),
        warehouse: told(order, "/warehouse/name"),
        status: told(order, "/status"),
        version: version(order),
        tracking: told(order, "/properties/carrierTrackingNumberField"),
        order: crate::sim::cartoncloud::render::shown(order, &Default::default()),
        id,
    }
}
