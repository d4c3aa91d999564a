use super::*;
use crate::domain::Party;
use proptest::prelude::*;
use serde_json::json;

const TEA: &str = "a8aa52ee-0000-442a-9422-ec3fd2a23c44";
const POT: &str = "b8aa52ee-0000-442a-9422-ec3fd2a23c44";

fn sale(raw: Value) -> SaleOrder {
    SaleOrder {
        uuid: "5843e0a9-0000-41a0-a6da-d1ed03dd7f25".into(),
        version: 1,
        status: "PACKED".into(),
        number: "WEB-1".into(),
        numeric_id: None,
        customer: Party::default(),
        warehouse: Party::default(),
        recipient: None,
        postcode: None,
        pickup: false,
        fingerprint: String::new(),
        modified: None,
        raw,
    }
}

fn line(product: &str, unit: &str, quantity: Value) -> Value {
    json!({
        "details": {
            "product": { "id": product, "name": "Tea", "references": { "code": "TEA-BRK" } },
            "unitOfMeasure": { "type": unit, "name": "UNITS" }
        },
        "measures": { "quantity": quantity }
    })
}

fn raw() -> Value {
    json!({
        "details": {
            "deliver": {
                "address": {
                    "companyName": "Corner Cafe", "contactName": "Jo Lee",
                    "address1": "440 Church Street", "address2": "Shop 2",
                    "suburb": "North Parramatta", "state": { "code": "NSW", "name": "New South Wales" },
                    "postcode": "2151", "country": { "iso2Code": "AU", "name": "Australia" },
                    "phone": "+61 400 000 000", "email": "jo@example.com"
                },
                "method": { "type": "SHIPPING", "requestedService": "Express" },
                "instructions": "Leave by front door"
            },
            "invoiceValue": { "amount": "84.5", "currency": "AUD" }
        },
        "items": [line(TEA, "UNIT", json!(3)), line(POT, "CTN", json!("2.0"))],
        "timestamps": { "created": { "time": "2026-11-19T09:10:04+11:00" } }
    })
}

fn products() -> Products {
    let unit = |base_qty, weight_kg| Unit {
        base_qty,
        weight_kg,
    };
    BTreeMap::from([
        (
            TEA.to_owned(),
            Product {
                units: BTreeMap::from([("UNIT".to_owned(), unit(1.0, 0.5))]),
                default_unit: None,
            },
        ),
        (
            POT.to_owned(),
            Product {
                units: BTreeMap::from([
                    ("UNIT".to_owned(), unit(1.0, 0.25)),
                    ("CTN".to_owned(), unit(12.0, 0.0)),
                ]),
                default_unit: Some("UNIT".to_owned()),
            },
        ),
    ])
}

fn rules() -> Rules {
    Rules {
        number: "WEB-1".to_owned(),
        reference: Some("787061".to_owned()),
        ..Rules::default()
    }
}

fn made(raw: Value) -> Result<NewOrder, Refusal> {
    new_order(&sale(raw), &products(), &[], &rules())
}

#[track_caller]
fn assert_refused(result: Result<NewOrder, Refusal>, code: Code, names: &str) {
    let refusal = result.unwrap_err();
    assert_eq!(refusal.code, code, "{refusal:?}");
    assert!(refusal.detail.contains(names), "{refusal:?}");
}

fn address(edit: impl FnOnce(&mut Value)) -> Result<NewOrder, Refusal> {
    let mut raw = raw();
    edit(&mut raw["details"]["deliver"]["address"]);
    made(raw)
}

#[test]
fn an_address_that_starshipit_would_refuse_is_refused_with_the_field_named() {
    for (field, gone) in [
        ("name", &["contactName", "companyName"][..]),
        ("street", &["address1", "address2"]),
        ("suburb", &["suburb", "city"]),
        ("country", &["country"]),
    ] {
        let result = address(|a| {
            for name in gone {
                a.as_object_mut().unwrap().remove(*name);
            }
        });
        assert_refused(result, Code::AddressRefused, field);
    }
    let long = address(|a| a["postcode"] = json!("12345678901"));
    assert_refused(long, Code::AddressRefused, "post_code has 11 characters");
    let long = address(|a| {
        a["address1"] = json!("x".repeat(101));
        a["address2"] = json!("");
    });
    assert_refused(long, Code::AddressRefused, "street has 101 characters");
}

#[test]
fn a_street_that_is_too_long_for_one_line_is_split_and_never_cut() {
    let first = "1 ".to_owned() + &"Very Long Road Name ".repeat(4);
    let order = address(|a| {
        a["address1"] = json!(first);
        a["address2"] = json!("Shop 2, Level 3, behind the old bakery");
    })
    .unwrap();
    assert_eq!(order.destination.street, first.trim());
    let building = order.destination.building.unwrap();
    assert_eq!(building, "Shop 2, Level 3, behind the old bakery");

    let whole = format!(
        "{}, {}",
        "Tower ".repeat(9).trim(),
        "Road ".repeat(15).trim()
    );
    let order = address(|a| {
        a["address1"] = json!(whole);
        a["address2"] = json!(null);
    })
    .unwrap();
    let building = order.destination.building.unwrap();
    assert_eq!(format!("{building}, {}", order.destination.street), whole);

    let exactly = "y".repeat(100);
    let order = address(|a| {
        a["address1"] = json!(exactly);
        a["address2"] = json!(null);
    })
    .unwrap();
    assert_eq!(order.destination.street, exactly);
}

#[test]
fn suburb_and_city_stand_in_for_each_other_and_a_state_may_be_plain_text() {
    let order = address(|a| {
        a.as_object_mut().unwrap().remove("suburb");
        a["city"] = json!("Parramatta");
        a["state"] = json!("NSW");
    })
    .unwrap();
    assert_eq!(order.destination.suburb, "Parramatta");
    assert_eq!(order.destination.city.as_deref(), Some("Parramatta"));
    assert_eq!(order.destination.state.as_deref(), Some("NSW"));
    let order = made(raw()).unwrap();
    assert_eq!(order.destination.city.as_deref(), Some("North Parramatta"));
    assert_eq!(order.destination.street, "440 Church Street, Shop 2");
    assert_eq!(order.destination.country, "Australia");
}

#[test]
fn a_weight_that_is_zero_or_unknown_is_refused_and_a_given_one_helps() {
    let mut unknown = products();
    unknown.remove(TEA);
    let mut zero = products();
    zero.get_mut(TEA)
        .unwrap()
        .units
        .get_mut("UNIT")
        .unwrap()
        .weight_kg = 0.0;
    for products in [unknown, zero] {
        let result = new_order(&sale(raw()), &products, &[], &rules());
        assert_refused(result, Code::WeightMissing, "TEA-BRK");
        let given = Rules {
            weight_kg: Some(1.25),
            ..rules()
        };
        let order = new_order(&sale(raw()), &products, &[], &given).unwrap();
        assert!((order.weight_kg() - 1.25).abs() < 1e-9);
        // The packages of the Pack Screen know what products do not.
        let package = Parcel {
            weight_kg: 4.0,
            length_m: 0.3,
            ..Parcel::default()
        };
        let packages = [package.clone(), package.clone()];
        let order = new_order(&sale(raw()), &products, &packages, &rules()).unwrap();
        assert_eq!(order.parcels, packages);
        let half = [package, Parcel::default()];
        let result = new_order(&sale(raw()), &products, &half, &rules());
        assert_refused(result, Code::WeightMissing, "package 2 of 2");
    }
    let mut none = raw();
    none["items"] = json!([line(TEA, "UNIT", json!(0))]);
    assert_refused(made(none), Code::WeightMissing, "no lines");
}

#[test]
fn weights_fall_back_to_the_base_unit_and_units_are_found_in_any_case() {
    let pot = &products()[POT];
    assert_eq!(pot.weight_kg(Some("ctn")), Some(3.0));
    assert_eq!(pot.weight_kg(None), Some(0.25), "the default unit");
    assert_eq!(pot.weight_kg(Some("PLT")), None, "nobody knows that unit");
    let order = made(raw()).unwrap();
    assert!((order.weight_kg() - 7.5).abs() < 1e-9, "{order:?}");
}

#[test]
fn what_is_picked_up_is_not_shipped() {
    let mut order = sale(raw());
    order.pickup = true;
    let result = new_order(&order, &products(), &[], &rules());
    assert_refused(result, Code::NotPushed, "PICKUP");
}

#[test]
fn a_number_or_reference_that_does_not_fit_is_refused_not_cut() {
    for (number, reference, names) in [
        ("x".repeat(51), "r".to_owned(), "order_number"),
        ("x".to_owned(), "r".repeat(51), "reference"),
        (" ".to_owned(), "r".to_owned(), "no order number"),
    ] {
        let rules = Rules {
            number,
            reference: Some(reference),
            ..Rules::default()
        };
        let result = new_order(&sale(raw()), &products(), &[], &rules);
        assert_refused(result, Code::NotPushed, names);
    }
}

#[test]
fn fields_of_the_map_stand_instead_of_the_orders_own() {
    let mut raw = raw();
    raw["properties"] = json!({ "deliver.zone": "N1", "atl": true, "long": "z".repeat(101) });
    let map = |pairs: &[(&str, &str)]| Rules {
        fields: pairs
            .iter()
            .map(|(field, path)| ((*field).to_owned(), (*path).to_owned()))
            .collect(),
        ..rules()
    };
    let with = map(&[
        ("shipping_method", "details.deliver.method.requestedService"),
        ("destination.building", "properties.deliver.zone"),
        ("signature_required", "properties.atl"),
        ("carrier", "properties.none"),
    ]);
    let order = new_order(&sale(raw.clone()), &products(), &[], &with).unwrap();
    assert_eq!(order.fields["shipping_method"], "Express");
    assert_eq!(order.fields["signature_required"], "true");
    assert!(!order.fields.contains_key("carrier"), "it has no value");
    assert_eq!(order.destination.building.as_deref(), Some("N1"));
    assert_eq!(order.destination.street, "440 Church Street, Shop 2");

    let long = map(&[("shipping_method", "properties.long")]);
    let result = new_order(&sale(raw.clone()), &products(), &[], &long);
    assert_refused(result, Code::NotPushed, "shipping_method has 101");
    let long = map(&[("destination.state", "properties.long")]);
    let result = new_order(&sale(raw), &products(), &[], &long);
    assert_refused(result, Code::AddressRefused, "destination.state has 101");
}

#[test]
fn instructions_are_cut_at_a_word_and_half_a_phone_number_is_left_out() {
    let mut raw = raw();
    raw["details"]["deliver"]["instructions"] = json!("leave at\r\nthe door ".repeat(20));
    raw["details"]["deliver"]["address"]["phone"] = json!("0".repeat(101));
    let order = made(raw).unwrap();
    let instructions = order.destination.delivery_instructions.unwrap();
    assert!(units(&instructions) <= 100 && instructions.ends_with(|c: char| c.is_alphabetic()));
    assert!(!instructions.contains(['\r', '\n']));
    assert_eq!(order.destination.phone, None);
    assert_eq!(order.notes.len(), 2, "{:?}", order.notes);
}

#[test]
fn the_invoice_value_is_declared_by_the_lines() {
    let order = made(raw()).unwrap();
    assert!((order.declared_value.unwrap() - 84.5).abs() < 1e-9);
    assert_eq!(order.currency.as_deref(), Some("AUD"));
    let mut priced = raw();
    priced["items"][0]["details"]["approximateUnitPrice"] =
        json!({ "amount": 2.5, "currency": "AUD" });
    let order = made(priced).unwrap();
    assert_eq!(order.items[0].value, Some(2.5));
    assert_eq!(order.items[1].value, None, "its own prices are not mixed");
    assert_eq!(order.declared_value, Some(7.5));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|n| json!(n)),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,120}".prop_map(Value::from),
    ];
    let names = prop::sample::select(vec![
        "details",
        "deliver",
        "address",
        "items",
        "measures",
        "quantity",
        "product",
        "id",
        "state",
        "country",
        "name",
        "address1",
        "suburb",
        "unitOfMeasure",
        "type",
        "invoiceValue",
        "amount",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names.clone(), inner, 0..6).prop_map(|map| {
                map.into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_order_makes_it_panic(details in any_json(), items in any_json(), kg in any::<f64>()) {
        let mut whole = raw();
        whole["details"] = details;
        let _ = made(whole);
        let mut lines = raw();
        lines["items"] = items;
        let package = Parcel { weight_kg: kg, ..Parcel::default() };
        let _ = new_order(&sale(lines), &products(), &[package], &rules());
    }

    #[test]
    fn quantities_and_weights_are_conserved(
        lines in prop::collection::vec((any::<bool>(), 0_u32..2_000, any::<bool>()), 1..40),
        invoice in prop::option::of(1_u32..1_000_000),
    ) {
        let mut order = raw();
        let mut weight = 0.0;
        let mut pieces = 0.0;
        let mut items = Vec::new();
        for (is_tea, thousandths, as_text) in lines {
            let quantity = f64::from(thousandths) / 8.0;
            let (product, unit, each) = if is_tea { (TEA, "UNIT", 0.5) } else { (POT, "CTN", 3.0) };
            weight += quantity * each;
            pieces += quantity;
            let written = if as_text { json!(quantity.to_string()) } else { json!(quantity) };
            items.push(line(product, unit, written));
        }
        order["items"] = Value::from(items);
        order["details"]["invoiceValue"] = invoice.map_or(Value::Null, |amount| json!({"amount": amount}));
        match made(order) {
            Err(refusal) => {
                prop_assert_eq!(refusal.code, Code::WeightMissing);
                prop_assert_eq!(pieces, 0.0);
            }
            Ok(made) => {
                let sent: f64 = made.items.iter().map(|i| i.quantity).sum();
                prop_assert!((sent - pieces).abs() < 1e-6);
                prop_assert!((made.weight_kg() - weight).abs() < 1e-6 * weight.max(1.0));
                let of_lines: f64 = made.items.iter().map(|i| i.quantity * i.weight_kg.unwrap()).sum();
                prop_assert!((of_lines - weight).abs() < 1e-6 * weight.max(1.0));
                if let Some(invoice) = invoice {
                    let off = (made.declared_value.unwrap() - f64::from(invoice)).abs();
                    prop_assert!(off < 1e-6 * f64::from(invoice));
                }
            }
        }
    }
}
