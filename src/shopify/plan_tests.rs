//! Decisions by what stands there.

use super::*;
use crate::domain::{Timestamp, WritebackState};
use serde_json::{Value, json};

fn job(tracking: &[&str], supersedes: &[&str]) -> Writeback {
    let own = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
    Writeback {
        n: 1,
        sink: "shopify:x".into(),
        tracking: own(tracking),
        supersedes: own(supersedes),
        state: WritebackState::Pending,
        attempts: 0,
        overwrite: false,
        handle: None,
        trouble: None,
        since: Timestamp(1),
        at: Timestamp(1),
    }
}

fn fulfillment(id: &str, status: &str, numbers: &[&str]) -> Value {
    let info: Vec<Value> = numbers.iter().map(|n| json!({ "number": n })).collect();
    json!({ "id": id, "status": status, "trackingInfo": info })
}

fn open_at(id: &str, status: &str, location: &str) -> Value {
    json!({ "id": id, "status": status, "supportedActions": [],
        "assignedLocation": { "location": { "id": location, "name": location } } })
}

fn order(fulfillments: &[Value], orders: &[Value]) -> Order {
    serde_json::from_value(json!({ "id": "o", "name": "#1", "cancelledAt": null,
        "displayFulfillmentStatus": "UNFULFILLED",
        "fulfillments": fulfillments, "fulfillmentOrders": { "nodes": orders } }))
    .unwrap()
}

fn done(id: &str) -> Step {
    Step::Stop(Delivery::Done {
        handle: Some(id.into()),
    })
}

fn change(id: &str) -> Step {
    Step::Retrack {
        fulfillment: id.into(),
    }
}

#[track_caller]
fn stops(step: Step) -> Delivery {
    match step {
        Step::Stop(delivery) => delivery,
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_number_is_a_conflict_and_stays_one_until_a_person_decides() {
    let at = order(
        &[fulfillment("f", "SUCCESS", &["X1"])],
        &[open_at("a", "CLOSED", "l")],
    );
    let mut job = job(&["A"], &[]);
    assert_eq!(
        stops(decide(&at, &job)),
        Delivery::Conflict {
            theirs: "X1".into()
        }
    );
    job.overwrite = true;
    assert_eq!(decide(&at, &job), change("f"));
}

#[test]
fn a_number_that_somebody_put_beside_ours_is_not_removed() {
    let at = order(&[fulfillment("f", "SUCCESS", &["A1", "X1"])], &[]);
    assert_eq!(
        stops(decide(&at, &job(&["A2"], &["A1"]))),
        Delivery::Conflict {
            theirs: "X1".into()
        }
    );
}

#[test]
fn a_cancelled_order_is_not_fulfilled() {
    let mut at = order(&[], &[open_at("a", "OPEN", "l")]);
    at.cancelled_at = Some("2026-11-21T00:00:00Z".into());
    assert!(matches!(
        stops(decide(&at, &job(&["A"], &[]))),
        Delivery::Unsupported { .. }
    ));
}

#[test]
fn goods_at_several_locations_are_left_to_a_person() {
    let at = order(
        &[],
        &[
            open_at("a", "OPEN", "Sydney"),
            open_at("b", "OPEN", "Perth"),
        ],
    );
    let Delivery::Unsupported { why } = stops(decide(&at, &job(&["A"], &[]))) else {
        panic!()
    };
    assert!(why.contains("Perth, Sydney"), "{why}");
}

#[test]
fn an_order_on_hold_or_out_of_sight_is_looked_at_again_rarely() {
    for (orders, word) in [
        (vec![open_at("a", "ON_HOLD", "l")], "on hold"),
        (vec![open_at("a", "SCHEDULED", "l")], "scheduled"),
        (vec![], "read_merchant_managed_fulfillment_orders"),
    ] {
        let Delivery::Retry {
            after: Some(after),
            why,
            unreachable: false,
        } = stops(decide(&order(&[], &orders), &job(&["A"], &[])))
        else {
            panic!("{word}")
        };
        assert!(
            after >= Duration::from_secs(600) && why.contains(word),
            "{why}"
        );
    }
}

#[test]
fn what_is_fulfilled_with_our_numbers_is_done() {
    let at = order(&[fulfillment("f", "SUCCESS", &["A", "B"])], &[]);
    assert_eq!(decide(&at, &job(&["A", "B"], &[])), done("f"));
    let split = order(
        &[
            fulfillment("f", "SUCCESS", &["A"]),
            fulfillment("g", "SUCCESS", &["B"]),
        ],
        &[],
    );
    assert_eq!(decide(&split, &job(&["A", "B"], &[])), done("f"));
    let many: Vec<String> = (0..25).map(|n| format!("N{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let shown = order(&[fulfillment("f", "SUCCESS", &many[..NUMBERS_SHOWN])], &[]);
    assert_eq!(decide(&shown, &job(&many, &[])), done("f"));
}

#[test]
fn a_fulfilment_that_was_taken_back_counts_for_nothing() {
    let at = order(
        &[fulfillment("f", "CANCELLED", &["A"])],
        &[open_at("a", "OPEN", "l")],
    );
    assert_eq!(
        decide(&at, &job(&["A"], &[])),
        Step::Create {
            fulfillment_orders: vec!["a".into()]
        }
    );
}

#[test]
fn after_a_redo_or_one_more_parcel_the_same_fulfilment_is_changed() {
    let at = order(&[fulfillment("f", "SUCCESS", &["A1"])], &[]);
    assert_eq!(decide(&at, &job(&["A2"], &["A1"])), change("f"));
    assert_eq!(decide(&at, &job(&["A1", "B"], &[])), change("f"));
    // Its number was taken out by hand; we know it by the handle.
    let bare = order(
        &[
            fulfillment("f", "SUCCESS", &[]),
            fulfillment("g", "SUCCESS", &[]),
        ],
        &[],
    );
    let mut known = job(&["A2"], &["A1"]);
    known.handle = Some("g".into());
    assert_eq!(decide(&bare, &known), change("g"));
    // The old number among others of ours: the outdated one is changed, not the first.
    let two = order(
        &[
            fulfillment("f", "SUCCESS", &["B"]),
            fulfillment("g", "SUCCESS", &["A1"]),
        ],
        &[],
    );
    assert_eq!(decide(&two, &job(&["A2", "B"], &["A1"])), change("g"));
}

#[test]
fn what_was_fulfilled_by_hand_without_a_number_gets_ours() {
    let at = order(
        &[fulfillment("f", "SUCCESS", &[])],
        &[open_at("a", "CLOSED", "l")],
    );
    assert_eq!(decide(&at, &job(&["A"], &[])), change("f"));
}

#[test]
fn everything_open_at_the_one_location_is_fulfilled_at_once() {
    let at = order(
        &[fulfillment("f", "SUCCESS", &["X"])],
        &[
            open_at("a", "OPEN", "l"),
            open_at("b", "CLOSED", "m"),
            open_at("c", "IN_PROGRESS", "l"),
        ],
    );
    assert_eq!(
        decide(&at, &job(&["A"], &[])),
        Step::Create {
            fulfillment_orders: vec!["a".into(), "c".into()]
        }
    );
}
