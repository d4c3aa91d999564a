//! A CartonCloud sale order (API: outbound order), reduced to what a decision needs.
//!
//! Source of names and shapes: CartonCloud's public API documentation, `outbound-orders`. The
//! client maps; the station and the mapping into Starshipit read.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A customer (the merchant, not the receiver) or a warehouse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// UUID.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// `references.code`; warehouses have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// Name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Party {
    /// `wanted` is this party's code, name or id, compared without case.
    pub fn is(&self, wanted: &str) -> bool {
        let wanted = wanted.trim();
        !wanted.is_empty()
            && [&self.code, &self.name, &self.id]
                .iter()
                .any(|own| own.eq_ignore_ascii_case(wanted))
    }

    /// Both are the same party, by the surest name that both have.
    pub fn same(&self, other: &Self) -> bool {
        [
            (&self.id, &other.id),
            (&self.code, &other.code),
            (&self.name, &other.name),
        ]
        .into_iter()
        .find(|(a, b)| !a.is_empty() && !b.is_empty())
        .is_some_and(|(a, b)| a.eq_ignore_ascii_case(b))
    }
}

/// What a status means for shipping (contract 6). CartonCloud's words are an open list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shippable {
    /// May ship.
    Yes,
    /// `DRAFT`, `AWAITING_STOCK`.
    OnHold,
    /// `REJECTED`.
    Cancelled,
}

impl Shippable {
    /// What a status word means.
    pub fn of(status: &str) -> Self {
        match status {
            "REJECTED" => Self::Cancelled,
            "DRAFT" | "AWAITING_STOCK" => Self::OnHold,
            _ => Self::Yes,
        }
    }
}

/// A sale order as CartonCloud shows it now.
#[derive(Clone, Debug, PartialEq)]
pub struct SaleOrder {
    /// CartonCloud's UUID.
    pub uuid: String,
    /// Grows with every change.
    pub version: i64,
    /// `PACKED` and so on.
    pub status: String,
    /// `references.customer`.
    pub number: String,
    /// `references.numericId`.
    pub numeric_id: Option<String>,
    /// Whose goods they are.
    pub customer: Party,
    /// Where they lie.
    pub warehouse: Party,
    /// Who gets it (personal data).
    pub recipient: Option<String>,
    /// Postcode of the destination.
    pub postcode: Option<String>,
    /// `details.deliver.method.type` is `PICKUP`: nothing is shipped.
    pub pickup: bool,
    /// Hash of address, items × quantity and method, for contract 6's "changed".
    pub fingerprint: String,
    /// `timestamps.modified.time`, as it came (RFC 3339).
    pub modified: Option<String>,
    /// The whole order as it came; paths of templates and field maps point into it.
    pub raw: serde_json::Value,
}

impl SaleOrder {
    /// What its status means for shipping.
    pub fn shippable(&self) -> Shippable {
        Shippable::of(&self.status)
    }

    /// The text at a dotted path (`details.deliver.address.email`). Numbers and booleans become
    /// text; `null`, lists, objects and blanks are nothing. A member name that holds dots itself
    /// (a custom field `deliver.deliveryZone` in `properties`) is found too.
    pub fn text(&self, path: &str) -> Option<String> {
        let found = at(&self.raw, path)?;
        let text = match found {
            serde_json::Value::String(text) => text.trim().to_owned(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(flag) => flag.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// A template such as `TEA-{references.customer}` filled from this order. `None` when a path
    /// has no value: half a number is worse than none.
    pub fn fill(&self, template: &str) -> Option<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let (path, after) = after.split_once('}')?;
            filled.push_str(&self.text(path.trim())?);
            rest = after;
        }
        filled.push_str(rest);
        let filled = filled.trim();
        (!filled.is_empty()).then(|| filled.to_owned())
    }
}

fn at<'a>(value: &'a serde_json::Value, path: &str) -> Option<&'a serde_json::Value> {
    if path.is_empty() {
        return Some(value);
    }
    // The longest member name first: custom fields may hold dots.
    let object = value.as_object()?;
    if let Some(found) = object.get(path) {
        return Some(found);
    }
    for (dot, _) in path
        .match_indices('.')
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        if let Some(inner) = object.get(&path[..dot])
            && let Some(found) = at(inner, &path[dot + 1..])
        {
            return Some(found);
        }
    }
    None
}

/// What the ledger keeps of an order's sale order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaleLink {
    /// CartonCloud's UUID; a deleted and re-created order gets a new one.
    pub uuid: String,
    /// Newest version seen.
    #[serde(default)]
    pub version: i64,
    /// Its status then.
    #[serde(default)]
    pub status: String,
    /// `references.numericId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numeric_id: Option<String>,
    /// Whose goods they are.
    #[serde(default)]
    pub customer: Party,
    /// Where they lie.
    #[serde(default)]
    pub warehouse: Party,
    /// [`SaleOrder::fingerprint`] as it was read last before the newest purchase.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// Values of the paths that sinks need (a Shopify order id, say), kept so that a writeback
    /// needs no look into CartonCloud. At most [`MAX_KEPT`], each at most 200 characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kept: BTreeMap<String, String>,
    /// `print_when` was seen true and has been acted on; false again when the field says so.
    #[serde(default)]
    pub print_seen: bool,
    /// [`SaleOrder::fingerprint`] as it was seen last.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub seen: String,
    /// The status whose `on_status` has been noted: once per reach.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reached: String,
    /// What that status wants and has not got yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<StatusAct>,
}

/// What reaching a status does (`cartoncloud.on_status`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusAct {
    /// Buys its label ahead of the scan.
    Prefetch,
    /// Prints.
    Print,
}

/// Most path values that the ledger keeps with an order.
pub const MAX_KEPT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn order(raw: serde_json::Value) -> SaleOrder {
        SaleOrder {
            uuid: "u".into(),
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

    #[test]
    fn a_path_with_dots_in_a_member_name_is_found() {
        let order = order(serde_json::json!({"properties": {"deliver.deliveryZone": "N1"}}));
        assert_eq!(
            order.text("properties.deliver.deliveryZone").as_deref(),
            Some("N1")
        );
    }

    #[test]
    fn a_template_whose_path_is_missing_gives_nothing() {
        let order =
            order(serde_json::json!({"references": {"customer": "A | B | 3", "numericId": 7}}));
        assert_eq!(order.fill("{references.customer}-{properties.none}"), None);
        assert_eq!(
            order
                .fill("TEA-{references.customer}/{references.numericId}")
                .as_deref(),
            Some("TEA-A | B | 3/7")
        );
        assert_eq!(
            order.fill("{references.customer"),
            None,
            "an open brace is no template"
        );
    }
}
