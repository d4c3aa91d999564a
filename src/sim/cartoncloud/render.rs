//! A row as this tenant shows it: the switches about numbers, addresses and internal fields.

use crate::sim::cartoncloud::switches::{
    City, Numbers, RoleInternal, State, Switches, TrackingField,
};
use serde_json::{Map, Value, json};

/// Members that are decimals, wherever they stand.
const DECIMALS: [&str; 12] = [
    "quantity", "weight", "cubic", "volume", "pallets", "spaces", "amount", "baseQty", "length",
    "width", "height", "hours",
];

/// `row` as it goes over the line.
pub(crate) fn shown(row: &Value, switches: &Switches) -> Value {
    let mut row = row.clone();
    if let Value::Object(members) = &mut row {
        members.retain(|name, _| !name.starts_with('$'));
        if hides_internal(switches)
            && let Some(Value::Object(properties)) = members.get_mut("properties")
        {
            properties.retain(|name, _| !is_internal(name));
        }
    }
    walk("", &mut row, switches);
    row
}

/// Custom fields that the client may not see do not exist for it.
pub(crate) fn hides_internal(switches: &Switches) -> bool {
    switches.tracking_field == TrackingField::Internal
        && switches.role_internal == RoleInternal::Missing
}

pub(crate) fn is_internal(property: &str) -> bool {
    property.starts_with("carrier")
}

fn walk(name: &str, value: &mut Value, switches: &Switches) {
    match value {
        Value::Object(members) => {
            if name == "address" {
                place(members, switches);
            }
            for (name, value) in members {
                walk(name, value, switches);
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| walk(name, v, switches)),
        Value::Number(n) if switches.numbers == Numbers::Strings && DECIMALS.contains(&name) => {
            let n = n.as_f64().unwrap_or_default();
            *value = json!(format!("{n:.3}"));
        }
        _ => {}
    }
}

fn place(address: &mut Map<String, Value>, switches: &Switches) {
    let has = |address: &Map<String, Value>, name| {
        address.get(name).is_some_and(|v: &Value| !v.is_null())
    };
    match switches.city {
        City::Both => {}
        City::Missing => {
            if has(address, "suburb") {
                address.remove("city");
            }
        }
        City::Only => {
            if !has(address, "city")
                && let Some(suburb) = address.get("suburb").cloned()
            {
                address.insert("city".into(), suburb);
            }
            address.remove("suburb");
        }
    }
    if switches.state == State::Text
        && let Some(code) = address.get("state").and_then(|s| s.get("code")).cloned()
    {
        address.insert("state".into(), code);
    }
}
