//! Orders as the API shows them (contract 24), from the ledger's own words.

use crate::domain::{Order, PageState, Timestamp};
use serde_json::{Value, json};

/// The document of one order. `writebacks` is the outbox's part of it.
pub fn order(order: &Order, writebacks: &[Value]) -> Value {
    let shipments: Vec<Value> = order
        .shipments
        .iter()
        .map(|s| {
            json!({
                "order_id": s.order_id,
                "tracking": s.tracking,
                "superseded": s.superseded,
                "carrier": s.carrier,
            })
        })
        .collect();
    let live: Vec<_> = order.live().flat_map(|s| &s.pages).collect();
    let pages: Vec<Value> = live
        .iter()
        .enumerate()
        .map(|(index, page)| {
            let (state, proof) = match page.state {
                PageState::Todo => ("todo", Value::Null),
                PageState::Sending => ("sending", Value::Null),
                PageState::Printed(proof) => ("printed", json!(proof)),
                PageState::InDoubt => ("in-doubt", Value::Null),
            };
            json!({
                "n": index + 1,
                "of": live.len(),
                "role": page.role,
                "printer": page.printer,
                "state": state,
                "proof": proof,
                "at": rfc3339(page.at),
                "by": by(order, page.at),
            })
        })
        .collect();
    let deeds: Vec<Value> = order
        .deeds
        .iter()
        .map(|deed| {
            json!({
                "at": rfc3339(deed.at),
                "what": deed.what,
                "trigger": deed.by.trigger,
                "user": deed.by.user,
                "reason": deed.reason,
            })
        })
        .collect();
    json!({
        "id": order.id,
        "order": order.number,
        "account": order.account,
        "state": order.state(),
        "reference": order.reference,
        "shipments": shipments,
        "pages": pages,
        "writebacks": writebacks,
        "deeds": deeds,
        "created": rfc3339(order.created),
        "updated": rfc3339(order.updated),
    })
}

/// Who had last asked for something when this happened.
fn by(order: &Order, at: Timestamp) -> Value {
    let deed = order.deeds.iter().rev().find(|d| d.at <= at);
    deed.map_or(Value::Null, |d| {
        json!(d.by.user.as_deref().unwrap_or(&d.by.trigger))
    })
}

/// A time as it is shown: UTC, RFC 3339, milliseconds. `null` when it was never set.
pub fn rfc3339(at: Timestamp) -> Value {
    if at == Timestamp::default() {
        return Value::Null;
    }
    jiff::Timestamp::from_millisecond(at.0).map_or(Value::Null, |t| json!(format!("{t:.3}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_impossible_ones_are_null() {
        assert_eq!(rfc3339(Timestamp(i64::MAX)), Value::Null);
        assert_eq!(rfc3339(Timestamp(0)), Value::Null);
        assert_eq!(
            rfc3339(Timestamp(1_700_000_000_500)),
            json!("2023-11-14T22:13:20.500Z")
        );
    }

    #[test]
    fn an_order_without_shipments_has_every_member() {
        let document: Value = json!({
            "id": "ss:main:7", "seq": 1, "number": "WEB-1", "account": "main", "order_id": 7,
            "printer": "label", "standing": "resting", "created": 1000, "updated": 2000
        });
        let parsed: Order = serde_json::from_value(document).unwrap();
        let shown = order(&parsed, &[]);
        for member in [
            "id",
            "order",
            "account",
            "state",
            "shipments",
            "pages",
            "writebacks",
        ] {
            assert!(!shown[member].is_null(), "{member}");
        }
        assert_eq!(shown["state"], "known");
    }
}
