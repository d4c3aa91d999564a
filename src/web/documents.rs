//! Orders and writebacks as the API shows them (contract 24), from the ledger's own words.

use crate::domain::writeback::job_id;
use crate::domain::{Order, PageState, Party, Timestamp, Writeback, WritebackState};
use serde_json::{Value, json};

/// The states of writebacks, as words.
pub const WRITEBACK_STATES: [&str; 5] = ["waiting", "pending", "done", "unsupported", "conflict"];

/// The document of one order, its writebacks with their age at `now`.
pub fn order(order: &Order, now: Timestamp) -> Value {
    let writebacks: Vec<Value> = order
        .writebacks
        .iter()
        .map(|job| writeback(order, job, now))
        .collect();
    let shipments: Vec<Value> = order
        .shipments
        .iter()
        .map(|s| {
            json!({
                "order_id": s.order_id,
                "tracking": s.tracking,
                "superseded": s.superseded,
                "carrier": s.carrier,
                "ahead": s.ahead,
                "price_cents": s.price_cents,
                "unverified": s.unverified,
                "age_s": now.since(s.at).as_secs(),
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
        "customer": order.sale.as_ref().map(|sale| customer(&sale.customer)),
        "shipments": shipments,
        "pages": pages,
        "writebacks": writebacks,
        "deeds": deeds,
        "timings_ms": order.timings,
        "created": rfc3339(order.created),
        "updated": rfc3339(order.updated),
    })
}

/// A merchant as people know it: by code, else by name.
fn customer(party: &Party) -> &str {
    match party.code.as_str() {
        "" => &party.name,
        code => code,
    }
}

/// The document of one writeback.
pub fn writeback(order: &Order, job: &Writeback, now: Timestamp) -> Value {
    let (theirs, why) = match &job.state {
        WritebackState::Conflict { theirs } => (Some(theirs.as_str()), None),
        WritebackState::Unsupported { why } => (None, Some(why.as_str())),
        WritebackState::Waiting | WritebackState::Pending => (None, job.trouble.as_deref()),
        WritebackState::Done => (None, None),
    };
    json!({
        "id": job_id(&order.id, job.n),
        "order": order.number,
        "sink": job.sink,
        "tracking": job.tracking,
        "supersedes": job.supersedes,
        "state": state_of(job),
        "attempts": job.attempts,
        "age_s": now.since(job.since).as_secs(),
        "theirs": theirs,
        "why": why,
        "where": place(order, job),
        "since": rfc3339(job.since),
        "at": rfc3339(job.at),
    })
}

/// Its state as a word of [`WRITEBACK_STATES`].
pub fn state_of(job: &Writeback) -> &'static str {
    match job.state {
        WritebackState::Waiting => "waiting",
        WritebackState::Pending => "pending",
        WritebackState::Done => "done",
        WritebackState::Unsupported { .. } => "unsupported",
        WritebackState::Conflict { .. } => "conflict",
    }
}

/// Where its number can be seen (contract 17); `None` as long as it is nowhere.
fn place(order: &Order, job: &Writeback) -> Option<&'static str> {
    if job.state != WritebackState::Done {
        return None;
    }
    Some(match job.sink.split(':').next().unwrap_or_default() {
        "sale_order" | "order_properties" => "in the sale order",
        "consignment" => "in the consignment",
        "order_document" => {
            let also = order.writebacks.iter().any(|other| {
                let in_cloud = ["sale_order", "order_properties", "consignment"];
                in_cloud.contains(&other.sink.as_str())
                    && other.state == WritebackState::Done
                    && other.tracking == job.tracking
            });
            if also { "attached" } else { "attached only" }
        }
        "csv" => "in the CSV file",
        "shopify" => "in Shopify",
        _ => "sent",
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
        let shown = order(&parsed, Timestamp(0));
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

    #[test]
    fn a_number_that_is_only_attached_is_told_apart() {
        let job = |n: u32, sink: &str, state: Value| {
            json!({ "n": n, "sink": sink,
            "tracking": ["T1"], "state": state, "since": 1_000, "at": 2_000 })
        };
        let mut parsed: Order = serde_json::from_value(json!({
            "id": "cc:u", "seq": 1, "number": "WEB-1", "account": "main", "order_id": 7,
            "printer": "label", "standing": "resting", "created": 1000, "updated": 2000,
            "writebacks": [
                job(1, "consignment", json!({ "is": "conflict", "theirs": "X9" })),
                job(2, "order_document", json!({ "is": "done" })),
                job(3, "shopify:tea", json!({ "is": "unsupported", "why": "no such order" })),
            ]
        }))
        .unwrap();
        let shown = order(&parsed, Timestamp(61_000));
        let at = |shown: &Value, n: usize, member: &str| shown["writebacks"][n][member].clone();
        assert_eq!(at(&shown, 0, "id"), "cc:u#1");
        assert_eq!(at(&shown, 0, "state"), "conflict");
        assert_eq!(at(&shown, 0, "theirs"), "X9");
        assert_eq!(at(&shown, 0, "age_s"), 60);
        assert_eq!(at(&shown, 0, "where"), Value::Null);
        assert_eq!(at(&shown, 1, "where"), "attached only");
        assert_eq!(at(&shown, 2, "why"), "no such order");
        parsed.writebacks[0].state = WritebackState::Done;
        let shown = order(&parsed, Timestamp(61_000));
        assert_eq!(at(&shown, 0, "where"), "in the consignment");
        assert_eq!(at(&shown, 1, "where"), "attached");
    }
}
