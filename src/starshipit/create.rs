//! A sale order becomes a Starshipit order: one POST, and the look before and after it.

use crate::domain::push::NewOrder;
use crate::domain::{AccountName, CallFailure, RemoteOrder};
use crate::starshipit::send::MAX_REPLY;
use crate::starshipit::wire::Order;
use crate::starshipit::{Priority, Starshipit, mapping};
use serde_json::{Map, Value, json};

impl Starshipit {
    /// Creates the order. One send; look with [`Self::by_number`] before, and after `Unknown`.
    ///
    /// Starshipit may say `success:false` and have made the order: what has an id was made, and is
    /// `Ok`. "It exists already" is `Unknown`, because the look will find it.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn create(
        &self,
        account: &AccountName,
        order: &NewOrder,
        priority: Priority,
    ) -> Result<RemoteOrder, CallFailure> {
        let body = json!({ "order": body(order) });
        let path = "/api/orders";
        let sent = self
            .write_or(account, path, &body, MAX_REPLY, priority)
            .await;
        let made = match sent {
            Ok(good) => good.reply.into_orders().into_iter().next(),
            Err(bad) => match (bad.made, bad.failure) {
                (Some(made), failure) => {
                    tracing::warn!(%account, ?failure, "created, and called a failure");
                    Some(*made)
                }
                (None, CallFailure::Refused { detail, .. }) if is_duplicate(&detail) => {
                    return Err(CallFailure::Unknown { detail });
                }
                (None, failure) => return Err(failure),
            },
        };
        let is_ours = |o: &Order| {
            o.order_number
                .given()
                .is_none_or(|n| n.eq_ignore_ascii_case(order.number.trim()))
        };
        made.filter(is_ours)
            .and_then(|made| mapping::order(account, &made))
            .ok_or_else(|| CallFailure::Unknown {
                detail: "the new order was not in the reply".to_owned(),
            })
    }

    /// Every order of exactly this number, archived ones included where Starshipit shows them.
    ///
    /// # Errors
    /// As [`CallFailure`]; also when some of them could not be read: an order must not be made while
    /// it is not known whether it is there.
    pub async fn by_number(
        &self,
        account: &AccountName,
        number: &str,
        priority: Priority,
    ) -> Result<Vec<RemoteOrder>, CallFailure> {
        let (mut hits, failure) = self.numbered(account, number, true, priority).await;
        match failure {
            Some(failure) => Err(failure),
            None => {
                hits.sort_by_key(|hit| hit.order_id);
                Ok(hits)
            }
        }
    }
}

fn is_duplicate(detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    [
        "already exist",
        "duplicate",
        "already been used",
        "already in use",
        "must be unique",
    ]
    .iter()
    .any(|word| detail.contains(word))
}

/// The order as the documented body has it; what is not known is left out.
fn body(order: &NewOrder) -> Value {
    let destination = &order.destination;
    let mut to = Map::new();
    let mut put = |name: &str, value: Option<&String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            to.insert(name.to_owned(), json!(value));
        }
    };
    put("name", Some(&destination.name));
    put("company", destination.company.as_ref());
    put("phone", destination.phone.as_ref());
    put("email", destination.email.as_ref());
    put("building", destination.building.as_ref());
    put("street", Some(&destination.street));
    put("suburb", Some(&destination.suburb));
    put("city", destination.city.as_ref());
    put("state", destination.state.as_ref());
    put("post_code", destination.post_code.as_ref());
    put("country", Some(&destination.country));
    put(
        "delivery_instructions",
        destination.delivery_instructions.as_ref(),
    );
    put("tax_number", destination.tax_number.as_ref());

    let mut body = Map::new();
    body.insert("order_number".to_owned(), json!(order.number));
    body.insert("destination".to_owned(), Value::Object(to));
    let date = order.fields.get("order_date").or(order.order_date.as_ref());
    for (name, value) in [
        ("reference", order.reference.clone()),
        ("order_date", date.and_then(|date| utc(date))),
        ("currency", order.currency.clone()),
    ] {
        if let Some(value) = value {
            body.insert(name.to_owned(), json!(value));
        }
    }
    let items = order.items.iter().map(|item| {
        let mut line = Map::new();
        for (name, text) in [("sku", &item.sku), ("description", &item.description)] {
            if let Some(text) = text {
                line.insert(name.to_owned(), json!(text));
            }
        }
        line.insert("quantity".to_owned(), json!(item.quantity));
        for (name, number) in [("weight", item.weight_kg), ("value", item.value)] {
            if let Some(number) = number {
                line.insert(name.to_owned(), json!(number));
            }
        }
        Value::Object(line)
    });
    body.insert("items".to_owned(), items.collect());
    // A blank parcel is an error over there: sizes that are not known are left out.
    let parcels = order.parcels.iter().map(|p| {
        let sizes = [
            ("weight", p.weight_kg),
            ("length", p.length_m),
            ("width", p.width_m),
            ("height", p.height_m),
        ];
        let known = sizes.into_iter().filter(|(_, v)| v.is_finite() && *v > 0.0);
        Value::Object(known.map(|(k, v)| (k.to_owned(), json!(v))).collect())
    });
    let parcels: Vec<Value> = parcels.collect();
    if !parcels.is_empty() {
        body.insert("packages".to_owned(), json!(parcels));
    }
    mapped(&mut body, order);
    Value::Object(body)
}

/// The fields of the route's map.
fn mapped(body: &mut Map<String, Value>, order: &NewOrder) {
    let mut metadatas = Vec::new();
    for (field, value) in &order.fields {
        if let Some(key) = field.strip_prefix("metadatas.") {
            metadatas.push(json!({ "metafield_key": key, "value": value }));
        } else if let Some(part) = field.strip_prefix("sender_details.") {
            let sender = body.entry("sender_details").or_insert_with(|| json!({}));
            sender[part] = json!(value);
        } else if matches!(field.as_str(), "signature_required" | "return_order") {
            let yes = ["true", "1", "yes", "y"];
            let is_set = yes.iter().any(|word| value.eq_ignore_ascii_case(word));
            body.insert(field.clone(), json!(is_set));
        } else if field != "order_date" {
            body.insert(field.clone(), json!(value));
        }
    }
    if !metadatas.is_empty() {
        body.insert("metadatas".to_owned(), json!(metadatas));
    }
}

/// CartonCloud's time with its offset, as Starshipit's UTC; nothing where it cannot be read.
fn utc(text: &str) -> Option<String> {
    let at: jiff::Timestamp = text.trim().parse().ok()?;
    Some(at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::push::{Destination, NewItem};

    #[test]
    fn what_is_not_known_is_not_sent_and_truth_is_no_text() {
        let order = NewOrder {
            number: "WEB-1".into(),
            order_date: Some("2026-11-19T09:10:04+11:00".into()),
            destination: Destination {
                name: "Jo".into(),
                street: "1 Road".into(),
                suburb: "Carlton".into(),
                country: "Australia".into(),
                ..Destination::default()
            },
            items: vec![NewItem {
                quantity: 2.0,
                ..NewItem::default()
            }],
            parcels: vec![crate::domain::Parcel {
                weight_kg: 1.5,
                ..Default::default()
            }],
            fields: [
                ("signature_required", "yes"),
                ("metadatas.ATL", "1"),
                ("sender_details.name", "Depot"),
                ("shipping_method", "Express"),
            ]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect(),
            ..NewOrder::default()
        };
        assert_eq!(
            body(&order),
            json!({
                "order_number": "WEB-1",
                "order_date": "2026-11-18T22:10:04Z",
                "destination": { "name": "Jo", "street": "1 Road", "suburb": "Carlton", "country": "Australia" },
                "items": [{ "quantity": 2.0 }],
                "packages": [{ "weight": 1.5 }],
                "signature_required": true,
                "sender_details": { "name": "Depot" },
                "metadatas": [{ "metafield_key": "ATL", "value": "1" }],
                "shipping_method": "Express",
            })
        );
    }

    #[test]
    fn a_duplicate_is_told_from_other_refusals() {
        assert!(is_duplicate("Order number WEB-1 already exists"));
        assert!(!is_duplicate("Suburb and postcode do not match"));
    }
}
