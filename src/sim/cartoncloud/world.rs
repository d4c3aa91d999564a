//! The tenant's standing data, told by the seed: customers, warehouses, products; and the addresses
//! and lines of sample orders.

use crate::domain::Timestamp;
use crate::sim::cartoncloud::Seed;
use crate::sim::cartoncloud::admin::SeedItem;
use crate::sim::site::uuid;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// A customer of the warehouse, or one of its sites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// UUID.
    pub id: String,
    /// Short code; empty for a warehouse.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Name.
    pub name: String,
}

/// Who and where.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) customers: Vec<Named>,
    pub(crate) warehouses: Vec<Named>,
}

impl World {
    pub(crate) fn new(seed: u64, customers: usize) -> Self {
        const KNOWN: [(&str, &str); 4] = [
            ("TEA", "Tea Merchants"),
            ("MUG", "Mug Makers"),
            ("BEE", "Bee and Bloom"),
            ("OAK", "Oak Toys"),
        ];
        let customer = |n: usize| {
            let (code, name) = match KNOWN.get(n) {
                Some((code, name)) => ((*code).to_owned(), (*name).to_owned()),
                None => (format!("CUST{}", n + 1), format!("Customer {}", n + 1)),
            };
            let id = uuid(seed, "customer", as_u64(n));
            Named { id, code, name }
        };
        let warehouse = |(n, name): (usize, &str)| Named {
            id: uuid(seed, "warehouse", as_u64(n)),
            code: String::new(),
            name: name.to_owned(),
        };
        Self {
            customers: (0..customers.max(1)).map(customer).collect(),
            warehouses: ["Sydney", "Melbourne"]
                .into_iter()
                .enumerate()
                .map(warehouse)
                .collect(),
        }
    }

    /// By code, name or id; the first when empty.
    pub(crate) fn customer(&self, which: &str) -> Option<&Named> {
        find(&self.customers, which)
    }

    /// By name or id; the first when empty.
    pub(crate) fn warehouse(&self, which: &str) -> Option<&Named> {
        find(&self.warehouses, which)
    }

    /// Every customer's products: plain ones, one whose carton has no weight of its own, one that
    /// weighs zero, one without a weight.
    pub(crate) fn products(&self, seed: u64, now: Timestamp) -> Vec<Value> {
        let mut products = Vec::new();
        for customer in &self.customers {
            let code = &customer.code;
            let unit = |weight: Value, size: bool| {
                let mut unit = json!({"name": "UNITS", "baseQty": 1, "isDirectlyShippable": true});
                if !weight.is_null() {
                    unit["weight"] = weight;
                }
                if size {
                    sized(&mut unit, 0.12, 0.09, 0.15);
                }
                unit
            };
            let mut carton = json!({"name": "CARTONS", "baseQty": 12, "weight": 6.5});
            sized(&mut carton, 0.4, 0.3, 0.25);
            let bare = json!({"name": "CARTONS", "baseQty": 6});
            let all = [
                ("500", "500 g", unit(json!(0.52), true), Some(carton)),
                ("250", "250 g", unit(json!(0.35), false), Some(bare)),
                ("GIFT", "Gift Box", unit(json!(1.2), true), None),
                ("ZERO", "Voucher", unit(json!(0), false), None),
                ("NOWEIGHT", "Unweighed", unit(Value::Null, false), None),
            ];
            for (suffix, name, unit, carton) in all {
                let id = uuid(seed, "product", as_u64(products.len()));
                let mut units = json!({ "UNIT": unit });
                if let Some(carton) = carton {
                    units["CTN"] = carton;
                }
                products.push(json!({
                    "id": id, "name": format!("{} {name}", customer.name), "scope": "WAREHOUSE",
                    "type": "STANDARD",
                    "references": {"code": format!("{code}-{suffix}"), "barcode": format!("93{:011}", products.len() + 1)},
                    "customer": reference(customer),
                    "details": {"active": true, "countryOfOrigin": "AU", "harmonizedSystemCode": "0902.30"},
                    "defaultUnitOfMeasure": "UNIT", "unitOfMeasures": units,
                    "timestamps": {"created": stamp(now), "modified": stamp(now)},
                }));
            }
        }
        products
    }
}

fn sized(unit: &mut Value, length: f64, width: f64, height: f64) {
    unit["length"] = json!(length);
    unit["width"] = json!(width);
    unit["height"] = json!(height);
    unit["volume"] = json!((length * width * height * 1e6).round() / 1e6);
}

fn find<'a>(all: &'a [Named], which: &str) -> Option<&'a Named> {
    if which.is_empty() {
        return all.first();
    }
    all.iter()
        .find(|n| n.id == which || n.code == which || n.name == which)
}

pub(crate) fn as_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// A customer or warehouse as orders name it.
pub(crate) fn reference(named: &Named) -> Value {
    let mut value = json!({"id": named.id, "name": named.name, "enabled": true});
    if !named.code.is_empty() {
        value["references"] = json!({ "code": named.code });
    }
    value
}

/// Ten hours east of Greenwich, without summer time.
pub(crate) fn time(at: Timestamp) -> String {
    let zone = jiff::tz::Offset::constant(10).to_time_zone();
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => at
            .to_zoned(zone)
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string(),
        Err(_) => String::new(),
    }
}

pub(crate) fn stamp(at: Timestamp) -> Value {
    json!({ "time": time(at) })
}

/// Invented people at real suburbs.
pub(crate) fn sample_address(n: u64) -> Map<String, Value> {
    const NAMES: [&str; 7] = [
        "Pat Example",
        "Sam Sample",
        "Robin Tester",
        "Alex Muster",
        "Kim Nobody",
        "Jo Placeholder",
        "Lee Template",
    ];
    const PLACES: [(&str, &str, &str, &str, &str, &str); 8] = [
        (
            "12 Sample Street",
            "Carlton",
            "Melbourne",
            "VIC",
            "Victoria",
            "3053",
        ),
        (
            "48 Specimen Road",
            "Surry Hills",
            "Sydney",
            "NSW",
            "New South Wales",
            "2010",
        ),
        (
            "221 Test Avenue",
            "Fortitude Valley",
            "Brisbane",
            "QLD",
            "Queensland",
            "4006",
        ),
        (
            "3 Example Crescent",
            "Fremantle",
            "Perth",
            "WA",
            "Western Australia",
            "6160",
        ),
        (
            "90 Placeholder Parade",
            "Glenelg",
            "Adelaide",
            "SA",
            "South Australia",
            "5045",
        ),
        (
            "15 Mockingbird Lane",
            "Sandy Bay",
            "Hobart",
            "TAS",
            "Tasmania",
            "7005",
        ),
        (
            "66 Trial Terrace",
            "Braddon",
            "Canberra",
            "ACT",
            "Australian Capital Territory",
            "2612",
        ),
        (
            "1 Dummy Drive",
            "Darwin City",
            "Darwin",
            "NT",
            "Northern Territory",
            "0800",
        ),
    ];
    let at = |len: usize, n: u64| usize::try_from(n % as_u64(len)).unwrap_or(0);
    let (street, suburb, city, code, state, postcode) = PLACES[at(PLACES.len(), n)];
    let name = NAMES[at(NAMES.len(), n.wrapping_mul(3) + 1)];
    let mut address = Map::new();
    if n.is_multiple_of(3) {
        address.insert("companyName".into(), json!("Example Pty Ltd"));
    }
    if n % 4 == 1 {
        address.insert("address2".into(), json!(format!("Unit {}", n % 20 + 1)));
    }
    let rest = json!({
        "contactName": name, "address1": street, "suburb": suburb, "city": city,
        "state": {"code": code, "name": state}, "postcode": postcode,
        "country": {"iso2Code": "AU", "iso3Code": "AUS", "name": "Australia"},
        "phone": format!("0400 555 {:03}", n % 1000), "email": format!("buyer{n}@example.com"),
        "location": {"lat": "-33.8065974", "lon": "151.005953"},
    });
    if let Value::Object(rest) = rest {
        address.extend(rest);
    }
    address
}

/// Number of the first order that `--orders` makes; the same as the simulated Starshipit's.
pub const FIRST_ORDER: u32 = 20_401;

/// `n` plain orders, spread over the customers in turn; all can be pushed and labelled.
pub fn sample_orders(n: u32, customers: &[Named]) -> impl Iterator<Item = Seed> {
    let codes: Vec<String> = customers.iter().map(|c| c.code.clone()).collect();
    (0..n).map(move |i| {
        let turn = usize::try_from(i).unwrap_or(0) % codes.len().max(1);
        let code = codes.get(turn).cloned().unwrap_or_default();
        let mut items = vec![SeedItem::units(format!("{code}-500"), f64::from(1 + i % 4))];
        if i % 3 == 1 {
            items.push(SeedItem::units(format!("{code}-GIFT"), 1.0));
        }
        if i % 5 == 2 {
            items.push(SeedItem {
                uom: Some("CTN".into()),
                ..SeedItem::units(format!("{code}-250"), 1.0)
            });
        }
        Seed {
            customer: code,
            items,
            ..Seed::reference(format!("WEB-{}", FIRST_ORDER + i))
        }
    })
}

/// One of each kind of order that trips integrators; references begin with `NASTY` where they can.
pub fn nasty_orders(customers: &[Named]) -> Vec<Seed> {
    let code = |n: usize| customers.get(n.min(customers.len().saturating_sub(1)));
    let code = |n: usize| code(n).map_or_else(String::new, |c| c.code.clone());
    let of = |n: usize, reference: &str, sku: &str| Seed {
        customer: code(n),
        items: vec![SeedItem::units(format!("{}-{sku}", code(n)), 2.0)],
        ..Seed::reference(reference)
    };
    let address = |members: Value| match members {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    let street: String = "Long Winding Road Beside The Old Mill "
        .repeat(3)
        .chars()
        .take(100)
        .collect();
    let seeds = vec![
        of(0, "WEB20417 | 7522600000000 | 0003", "500"),
        Seed {
            address: address(json!({"address1": street.replace(' ', "-")})),
            ..of(0, "NASTY-STREET", "500")
        },
        Seed {
            address: address(json!({"suburb": null, "city": null})),
            ..of(0, "NASTY-NOSUBURB", "500")
        },
        Seed {
            numeric_id: Some("990001".into()),
            ..of(0, "NASTY-NUMERIC-A", "500")
        },
        Seed {
            numeric_id: Some("990001".into()),
            ..of(1, "NASTY-NUMERIC-B", "500")
        },
        of(0, "NASTY-TWINS", "500"),
        of(1, "NASTY-TWINS", "500"),
        of(0, "NASTY-ZERO", "ZERO"),
        of(0, "NASTY-NOWEIGHT", "NOWEIGHT"),
        Seed {
            method: Some("PICKUP".into()),
            ..of(0, "NASTY-PICKUP", "500")
        },
        Seed {
            external_meta: Some(json!({"order": {"id": "gid://shopify/Order/5512345678999"},
                "fulfillmentOrder": {"id": "gid://shopify/FulfillmentOrder/7522600000099"},
                "createShopifyFulfillments": true})),
            ..of(0, "NASTY-CC-FULFILS", "500")
        },
    ];
    seeds
}
