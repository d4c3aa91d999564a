//! The door for tests and people: `/_sim/…`, JSON in and out, no keys.
//!
//! `GET ledger` `GET calls` `GET|POST faults` `GET|POST switches` `GET|POST orders`
//! `POST orders/{number or id}/status` `POST reset`.

use crate::sim::site::{Network, Site, switches::shown};
use crate::sim::starshipit::api::{Refusal, Reply};
use crate::sim::starshipit::faults::Fault;
use crate::sim::starshipit::model::{Address, Item, Order, Package, Status};
use crate::sim::starshipit::orders::{Desk, NewOrder, pickup_address};
use crate::sim::starshipit::serve::Shared;
use crate::sim::starshipit::{couriers, shipping};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;

/// An order to make, unchecked. Whatever is left out is filled in plausibly.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seed {
    /// Order number; required.
    pub number: String,
    /// Account name; the first account when empty.
    pub account: String,
    /// Customer reference.
    pub reference: Option<String>,
    /// Members of an address (`name`, `street`, `suburb`, `state`, `post_code`, `country`, …).
    pub recipient: BTreeMap<String, String>,
    /// Weight of each parcel in kilograms; `null` = unknown. One parcel of 1.2 kg when empty.
    pub parcels: Vec<Option<f64>>,
    /// Courier code; none yet when absent.
    pub carrier: Option<String>,
    /// Service code.
    pub service: Option<String>,
    /// Shipping method.
    pub shipping_method: Option<String>,
    /// SKU and quantity of each item.
    pub items: Vec<(String, f64)>,
    /// No account rule finds a courier for it.
    pub courier_needed: bool,
    /// The courier refuses the address.
    pub address_invalid: bool,
    /// A person prints it in Starshipit's own application at once.
    pub printed: bool,
    /// Archived at once.
    pub archived: bool,
    /// Last touched so many hours ago.
    pub age_hours: u32,
}

impl Seed {
    /// A plain order of this number.
    pub fn number(number: impl Into<String>) -> Self {
        Self {
            number: number.into(),
            ..Self::default()
        }
    }
}

/// What happens to an order behind the API's back, in this order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deed {
    /// Members of the address that change; the courier accepts it again.
    pub address: BTreeMap<String, String>,
    /// The courier refuses the address, or accepts it again.
    pub address_invalid: Option<bool>,
    /// A person prints it in Starshipit's own application.
    pub print: bool,
    /// Late tracking numbers appear: as they are on the labels when the list is empty.
    pub tracking: Option<Vec<String>>,
    /// `Unshipped`, `Saved`, `Printed`, `Shipped`, `Delivered`; nothing is sold by it.
    pub status: Option<String>,
    /// Archived (what people do to cancel) or restored, whatever its status.
    pub archive: Option<bool>,
    /// Deleted, whatever its status.
    pub delete: bool,
}

/// Answers one request; `path` is what follows `/_sim/`.
pub(crate) fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Reply {
    let get = method == Method::GET;
    let done = match (get, method == Method::POST, path) {
        (true, _, "ledger") => Ok(ledger(shared)),
        (true, _, "calls") => Ok(json!({ "calls": shared.calls() })),
        (true, _, "faults") => Ok(faults(shared)),
        (true, _, "switches") => Ok(switches(shared)),
        (true, _, "orders") => Ok(orders(shared)),
        (_, true, "faults") => set_faults(shared, body).map(|()| faults(shared)),
        (_, true, "switches") => set_switches(shared, body).map(|()| switches(shared)),
        (_, true, "orders") => read(body).and_then(|seed| {
            let id = shared.add_order(seed).map_err(|e| e.to_string())?;
            Ok(json!({ "order_id": id }))
        }),
        (_, true, "reset") => shared
            .reset()
            .map_err(|e| e.to_string())
            .map(|()| json!({})),
        (_, true, _) => match path
            .strip_prefix("orders/")
            .and_then(|p| p.strip_suffix("/status"))
        {
            Some(number) => read(body).and_then(|deed| {
                let number = crate::sim::site::form::unescape(number);
                shared.alter(&number, deed).map_err(|e| e.to_string())?;
                Ok(orders(shared))
            }),
            None => return missing(),
        },
        _ => return missing(),
    };
    match done {
        Ok(value) => Reply::json(200, &value),
        Err(error) => Reply::json(400, &json!({ "error": error })),
    }
}

fn missing() -> Reply {
    let door =
        "GET ledger, calls; GET or POST faults, switches, orders; POST orders/{n}/status, reset";
    Reply::json(404, &json!({ "error": format!("/_sim/ has {door}") }))
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

fn ledger(shared: &Shared) -> Value {
    let book = shared.book();
    let total: u64 = book.sales.iter().map(|s| s.price_cents).sum();
    json!({ "sales": book.sales, "total_cents": total })
}

fn faults(shared: &Shared) -> Value {
    json!({ "faults": shared.faults(), "network": shared.net().now() })
}

fn switches(shared: &Shared) -> Value {
    shown(shared.switches().settings())
}

fn orders(shared: &Shared) -> Value {
    let wire = shared.wire();
    let book = shared.book();
    let one = |order: &Order| {
        let mut value = wire.order(order);
        value["account"] = json!(order.account);
        value["sold"] = json!(order.consignments.len());
        value
    };
    json!({ "orders": book.orders.values().map(one).collect::<Vec<_>>() })
}

fn set_faults(shared: &Shared, body: &[u8]) -> Result<(), String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        faults: Option<Vec<String>>,
        network: Option<Network>,
    }
    let body: Body = read(body)?;
    if let Some(texts) = body.faults {
        let faults: Result<Vec<Fault>, _> = texts.iter().map(|t| Fault::parse(t)).collect();
        shared.set_faults(faults.map_err(|e| e.to_string())?);
    }
    if let Some(network) = body.network {
        shared.net().set(network);
    }
    Ok(())
}

fn set_switches(shared: &Shared, body: &[u8]) -> Result<(), String> {
    let words: BTreeMap<String, String> = read(body)?;
    let mut switches = shared.switches();
    for (name, word) in words {
        switches.set(&name, &word).map_err(|e| e.to_string())?;
    }
    shared.set_switches(switches);
    Ok(())
}

impl Shared {
    /// Makes an order, unchecked.
    pub(crate) fn add_order(&self, seed: Seed) -> io::Result<i64> {
        let account = match seed.account.as_str() {
            "" => self.accounts.first(),
            name => self.accounts.iter().find(|a| a.name == name),
        };
        let account = account
            .ok_or_else(|| io::Error::other(format!("no account '{}'", seed.account)))?
            .name
            .clone();
        if seed.number.is_empty() {
            return Err(io::Error::other("an order needs a number"));
        }
        self.desk(|desk| plant(desk, &account, seed))
            .map_err(refused)
    }

    /// Changes an order behind the API's back.
    pub(crate) fn alter(&self, number: &str, deed: Deed) -> io::Result<()> {
        self.desk(|desk| {
            let order = number
                .parse()
                .ok()
                .and_then(|id: i64| desk.book.orders.get(&id));
            let twin = || desk.book.orders.values().rev().find(|o| o.number == number);
            let id = order.or_else(twin).map(|o| o.id);
            let id = id.ok_or_else(|| Refusal::new(format!("no order '{number}'")))?;
            change(desk, id, deed)
        })
        .map_err(refused)
    }
}

fn refused(refusal: Refusal) -> io::Error {
    io::Error::other(refusal.details)
}

fn plant(desk: &mut Desk<'_>, account: &str, seed: Seed) -> Result<i64, Refusal> {
    let mut destination = sample_address(desk.book.orders.len());
    overlay(&mut destination, &seed.recipient)?;
    let parcels = if seed.parcels.is_empty() {
        vec![Some(1.2)]
    } else {
        seed.parcels
    };
    let dimensions = (Some(0.30), Some(0.20), Some(0.12));
    let packages = parcels.into_iter().map(|weight| Package {
        weight,
        length: dimensions.0,
        width: dimensions.1,
        height: dimensions.2,
        ..Package::default()
    });
    let items = seed.items.into_iter().map(|(sku, quantity)| Item {
        description: Some(format!("Item {sku}")),
        sku: Some(sku),
        quantity,
        value: Some(12.5),
        ..Item::default()
    });
    let new = NewOrder {
        reference: seed.reference,
        carrier_service_code: seed.service,
        shipping_method: seed.shipping_method,
        currency: Some("AUD".into()),
        sender_details: Some(pickup_address()),
        destination,
        items: items.collect(),
        packages: packages.collect(),
        ..NewOrder::default()
    };
    let mut order = desk.build(account, new, seed.number);
    if let Some(carrier) = &seed.carrier {
        let code = couriers::code(carrier)
            .ok_or_else(|| Refusal::new(format!("no courier '{carrier}'")))?;
        order.carrier = Some(code.to_owned());
    }
    order.courier_needed = seed.courier_needed;
    order.address_invalid = seed.address_invalid;
    order.archived = seed.archived;
    let age = i64::from(seed.age_hours) * 3_600_000;
    order.updated.0 -= age;
    order.order_date.0 -= age;
    let id = order.id;
    desk.book.put(order)?;
    if seed.printed {
        shipping::print_elsewhere(desk, id)?;
    }
    Ok(id)
}

fn change(desk: &mut Desk<'_>, id: i64, deed: Deed) -> Result<(), Refusal> {
    let now = desk.wire.now;
    let mut order = order(desk, id)?;
    overlay(&mut order.destination, &deed.address)?;
    if !deed.address.is_empty() {
        order.address_invalid = false;
    }
    order.address_invalid = deed.address_invalid.unwrap_or(order.address_invalid);
    order.updated = now;
    desk.book.put(order)?;
    if deed.print {
        shipping::print_elsewhere(desk, id)?;
    }
    let mut order = self::order(desk, id)?;
    if let Some(tracking) = deed.tracking {
        let consignment = order.consignments.last_mut();
        let consignment = consignment.ok_or_else(|| Refusal::new("nothing was printed for it"))?;
        consignment.told_from = now;
        if !tracking.is_empty() {
            consignment.told = tracking.into_iter().map(Some).collect();
        }
    }
    if let Some(word) = &deed.status {
        order.status =
            Status::by_word(word).ok_or_else(|| Refusal::new(format!("no status '{word}'")))?;
    }
    order.archived = deed.archive.unwrap_or(order.archived);
    desk.book.put(order)?;
    if deed.delete {
        desk.book.remove(id)?;
    }
    Ok(())
}

fn order(desk: &Desk<'_>, id: i64) -> Result<Order, Refusal> {
    let order = desk.book.orders.get(&id).cloned();
    order.ok_or_else(|| Refusal::new(format!("no order {id}")))
}

/// Sets members of an address by name; an empty value clears one.
fn overlay(address: &mut Address, members: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (name, value) in members {
        let place = match name.as_str() {
            "name" => &mut address.name,
            "email" => &mut address.email,
            "phone" => &mut address.phone,
            "building" => &mut address.building,
            "company" => &mut address.company,
            "street" => &mut address.street,
            "suburb" => &mut address.suburb,
            "city" => &mut address.city,
            "state" => &mut address.state,
            "post_code" => &mut address.post_code,
            "country" => &mut address.country,
            "delivery_instructions" => &mut address.delivery_instructions,
            other => return Err(Refusal::new(format!("an address has no '{other}'"))),
        };
        *place = (!value.is_empty()).then(|| value.clone());
    }
    Ok(())
}

/// Invented people at real suburbs, so that labels look like labels.
fn sample_address(n: usize) -> Address {
    const NAMES: [&str; 8] = [
        "Pat Example",
        "Sam Sample",
        "Robin Tester",
        "Alex Muster",
        "Kim Nobody",
        "Jo Placeholder",
        "Chris Specimen",
        "Lee Template",
    ];
    const PLACES: [(&str, &str, &str, &str); 8] = [
        ("12 Sample Street", "Carlton", "VIC", "3053"),
        ("48 Specimen Road", "Surry Hills", "NSW", "2010"),
        ("7/221 Test Avenue", "Fortitude Valley", "QLD", "4006"),
        ("3 Example Crescent", "Fremantle", "WA", "6160"),
        ("90 Placeholder Parade", "Glenelg", "SA", "5045"),
        ("15 Mockingbird Lane", "Sandy Bay", "TAS", "7005"),
        ("Unit 4, 66 Trial Terrace", "Braddon", "ACT", "2612"),
        ("1 Dummy Drive", "Darwin City", "NT", "0800"),
    ];
    let (street, suburb, state, post_code) = PLACES[n % PLACES.len()];
    let text = |t: &str| Some(t.to_owned());
    Address {
        name: text(NAMES[(n * 3 + 1) % NAMES.len()]),
        phone: Some(format!("0400 555 {:03}", n % 1000)),
        company: n.is_multiple_of(3).then(|| "Example Pty Ltd".to_owned()),
        street: text(street),
        suburb: text(suburb),
        state: text(state),
        post_code: text(post_code),
        country: text("Australia"),
        delivery_instructions: n
            .is_multiple_of(2)
            .then(|| "Leave at the front dock".to_owned()),
        ..Address::default()
    }
}
