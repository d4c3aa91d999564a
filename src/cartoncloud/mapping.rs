//! From CartonCloud's order to the station's, and the fingerprint that tells a changed order.

use crate::domain::loose::{list, member, named, number, text};
use crate::domain::{Party, SaleOrder, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The order as the station sees it; `None` without an id.
pub(crate) fn sale(raw: Value) -> Option<SaleOrder> {
    let uuid = text(&raw, &["id"])?.to_ascii_lowercase();
    let address = |name| text(&raw, &["details", "deliver", "address", name]);
    Some(SaleOrder {
        version: version(&raw).unwrap_or(0),
        status: text(&raw, &["status"]).unwrap_or_default(),
        number: text(&raw, &["references", "customer"]).unwrap_or_default(),
        numeric_id: text(&raw, &["references", "numericId"]),
        customer: party(&raw, "customer"),
        warehouse: party(&raw, "warehouse"),
        recipient: address("contactName").or_else(|| address("companyName")),
        postcode: address("postcode"),
        pickup: text(&raw, &["details", "deliver", "method", "type"])
            .is_some_and(|kind| kind.eq_ignore_ascii_case("PICKUP")),
        fingerprint: fingerprint(&raw),
        modified: text(&raw, &["timestamps", "modified", "time"]),
        uuid,
        raw,
    })
}

/// The entity's version, also as text.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked; 2^53 is exact"
)]
pub(crate) fn version(raw: &Value) -> Option<i64> {
    number(raw, &["version"])
        .filter(|v| v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0)
        .map(|v| v as i64)
}

fn party(raw: &Value, which: &str) -> Party {
    let part = |path: &[&str]| {
        let mut whole = vec![which];
        whole.extend(path);
        text(raw, &whole).unwrap_or_default()
    };
    Party {
        id: part(&["id"]),
        code: part(&["references", "code"]),
        name: part(&["name"]),
    }
}

/// A time as CartonCloud writes it: RFC 3339 with the tenant's offset.
pub(crate) fn time(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    Some(Timestamp(time.as_millisecond()))
}

/// SHA-256, first 16 bytes in hex, over address, items × quantity, and delivery method.
///
/// Blanks, letter case, the order of the lines and how numbers and states are written do not
/// count: replies drift in all of these. A city counts only where there is no suburb, since replies
/// sometimes have both and sometimes only one.
fn fingerprint(raw: &Value) -> String {
    let mut hashed = String::from("1\n");
    let nothing = Value::Null;
    let address = member(raw, &["details", "deliver", "address"]).unwrap_or(&nothing);
    let place = text(address, &["suburb"]).or_else(|| text(address, &["city"]));
    let mut put = |value: Option<String>| {
        let words = value.unwrap_or_default();
        let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
        let _ = writeln!(hashed, "{}", words.join(" "));
    };
    for name in [
        "companyName",
        "contactName",
        "address1",
        "address2",
        "postcode",
    ] {
        put(text(address, &[name]));
    }
    put(place);
    put(named(address, &["state"], &["code", "name"]));
    put(named(
        address,
        &["country"],
        &["iso2Code", "iso3Code", "name"],
    ));
    for name in ["type", "requestedService"] {
        put(text(raw, &["details", "deliver", "method", name]));
    }
    let mut lines: Vec<String> = list(raw, &["items"])
        .iter()
        .map(|line| {
            let product = ["id", "name"]
                .iter()
                .find_map(|key| text(line, &["details", "product", key]))
                .or_else(|| text(line, &["details", "product", "references", "code"]));
            let unit = named(line, &["details", "unitOfMeasure"], &["type", "name"]);
            let quantity = number(line, &["measures", "quantity"]).unwrap_or(0.0);
            format!(
                "{}|{}|{quantity:.3}",
                product.unwrap_or_default(),
                unit.unwrap_or_default()
            )
        })
        .collect();
    lines.sort();
    for line in lines {
        put(Some(line));
    }
    Sha256::digest(hashed.as_bytes())[..16]
        .iter()
        .fold(String::new(), |mut hex, b| {
            let _ = write!(hex, "{b:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn raw() -> Value {
        json!({
            "id": "5843E0A9-0000-41A0-A6DA-D1ED03DD7F25",
            "version": "7",
            "status": "SOMETHING_NEW",
            "references": { "customer": "WEB-1", "numericId": 787_061 },
            "customer": { "id": "c", "name": "Tea", "references": { "code": "TEA" } },
            "details": { "deliver": {
                "address": { "companyName": "Cafe", "address1": "1 Road", "suburb": "Carlton",
                    "city": "Melbourne", "state": { "code": "VIC", "name": "Victoria" } },
                "method": { "type": "SHIPPING" } } },
            "items": [
                { "details": { "product": { "id": "a" }, "unitOfMeasure": { "type": "UNIT" } },
                  "measures": { "quantity": 3 } },
                { "details": { "product": { "id": "b" } }, "measures": { "quantity": "1.50" } }
            ]
        })
    }

    #[test]
    fn an_order_without_an_id_is_none() {
        assert_eq!(sale(json!({"status": "PACKED"})), None);
        assert_eq!(sale(json!([1])), None);
    }

    #[test]
    fn numbers_as_text_and_unknown_statuses_are_read() {
        let order = sale(raw()).unwrap();
        assert_eq!(order.uuid, "5843e0a9-0000-41a0-a6da-d1ed03dd7f25");
        assert_eq!((order.version, order.status.as_str()), (7, "SOMETHING_NEW"));
        assert_eq!(order.numeric_id.as_deref(), Some("787061"));
        assert_eq!(order.recipient.as_deref(), Some("Cafe"));
        assert!(order.customer.is("tea") && !order.pickup);
    }

    #[test]
    fn what_only_drifts_leaves_the_fingerprint_and_what_changes_changes_it() {
        let before = sale(raw()).unwrap().fingerprint;
        let with = |edit: &dyn Fn(&mut Value)| {
            let mut raw = raw();
            edit(&mut raw);
            sale(raw).unwrap().fingerprint
        };
        let address = "/details/deliver/address";
        let drifts: [&dyn Fn(&mut Value); 5] = [
            &|r| r.pointer_mut(address).unwrap()["state"] = json!("VIC"),
            &|r| r.pointer_mut(address).unwrap()["city"] = json!(null),
            &|r| r["items"].as_array_mut().unwrap().reverse(),
            &|r| r["items"][0]["measures"]["quantity"] = json!("3.000"),
            &|r| r["version"] = json!(8),
        ];
        for drift in drifts {
            assert_eq!(with(drift), before);
        }
        let changes: [&dyn Fn(&mut Value); 4] = [
            &|r| r.pointer_mut(address).unwrap()["address1"] = json!("2 Road"),
            &|r| r.pointer_mut(address).unwrap()["suburb"] = json!("Fitzroy"),
            &|r| r["items"][0]["measures"]["quantity"] = json!(4),
            &|r| r["details"]["deliver"]["method"]["requestedService"] = json!("Express"),
        ];
        for change in changes {
            assert_ne!(with(change), before);
        }
    }
}
