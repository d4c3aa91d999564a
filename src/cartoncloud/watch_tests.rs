use super::*;
use crate::domain::Party;

const NOON: Timestamp = Timestamp(1_780_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn order(id: &str, version: i64) -> SaleOrder {
    SaleOrder {
        uuid: id.into(),
        version,
        status: "PACKED".into(),
        number: id.into(),
        numeric_id: None,
        customer: Party::default(),
        warehouse: Party::default(),
        recipient: None,
        postcode: None,
        pickup: false,
        fingerprint: String::new(),
        modified: None,
        raw: serde_json::Value::Null,
    }
}

fn page(ids: &[&str], newest: Timestamp, total: u64, is_last: bool) -> Changed {
    let orders: Vec<SaleOrder> = ids.iter().map(|id| order(id, 1)).collect();
    Changed {
        seen: orders.iter().map(key).collect(),
        on_page: orders.len() as u64,
        orders,
        is_last,
        total: Some(total),
        newest: Some(newest),
    }
}

fn ids(polled: &Polled) -> Vec<&str> {
    polled.orders.iter().map(|o| o.uuid.as_str()).collect()
}

#[test]
fn damaged_or_foreign_state_begins_with_the_first_look_back() {
    for bytes in [
        &b""[..],
        b"{",
        b"[]",
        b"{\"version\":9,\"mark_ms\":5}",
        b"\xff",
    ] {
        assert_eq!(Watch::load(bytes), Watch::default());
    }
    let mut watch = Watch::default();
    assert_eq!(watch.next(NOON), (minus(NOON, LOOK_BACK), 1));
    watch.took(page(&["a"], NOON, 1, true), Some(NOON));
    assert_eq!(Watch::load(&watch.store()), watch);
}

#[test]
fn the_mark_is_the_newest_change_seen_and_no_clock_moves_it() {
    let mut watch = Watch::default();
    watch.next(NOON);
    watch.took(page(&["a"], NOON, 1, true), Some(NOON));
    for jumped in [
        Timestamp(0),
        NOON.plus(LOOK_BACK * 3650),
        Timestamp(i64::MAX),
    ] {
        assert_eq!(watch.next(jumped), (minus(NOON, OVERLAP), 1));
        let nothing = Changed {
            is_last: true,
            total: Some(0),
            ..Changed::default()
        };
        watch.took(nothing, Some(jumped));
        assert_eq!(watch.mark(), Some(NOON));
    }
    // An older change in the overlap moves nothing back.
    watch.next(NOON);
    watch.took(page(&["b"], minus(NOON, MINUTE), 1, true), Some(NOON));
    assert_eq!(watch.mark(), Some(NOON));
}

#[test]
fn a_stamp_of_the_future_does_not_hide_what_comes_before_it() {
    let mut watch = Watch::default();
    watch.next(NOON);
    let future = NOON.plus(LOOK_BACK * 3650);
    watch.took(page(&["a"], future, 1, true), Some(NOON));
    assert_eq!(watch.mark(), Some(NOON.plus(SLACK)));
}

#[test]
fn a_round_whose_pages_drifted_is_read_again_and_orders_come_once_a_round() {
    let mut watch = Watch::default();
    watch.next(NOON);
    let first = watch.took(page(&["a", "b"], NOON, 3, false), Some(NOON));
    assert!(first.more);
    assert_eq!(watch.next(NOON).1, 2);
    // b moved to the second page: somebody moved past us.
    let second = watch.took(page(&["b"], NOON, 3, true), Some(NOON));
    assert_eq!((ids(&second), second.more), (vec![], false));
    assert_eq!(watch.mark(), None, "the round is not whole");
    watch.next(NOON);
    let again = watch.took(page(&["a", "b"], NOON, 3, false), Some(NOON));
    assert_eq!(ids(&again), ["a", "b"], "each round tells everything");
    watch.took(page(&["c"], NOON, 3, true), Some(NOON));
    assert_eq!(watch.mark(), Some(NOON));
}

#[test]
fn a_count_that_changes_between_pages_is_drift() {
    let mut watch = Watch::default();
    for _ in 0..MAX_DRIFTS {
        watch.next(NOON);
        watch.took(page(&["a", "b"], NOON, 4, false), Some(NOON));
        watch.took(page(&["c", "d"], NOON, 5, true), Some(NOON));
        assert_eq!(watch.mark(), None);
    }
    // It does not go on for ever.
    watch.next(NOON);
    watch.took(page(&["a", "b"], NOON, 4, false), Some(NOON));
    watch.took(page(&["c", "d"], NOON, 5, true), Some(NOON));
    assert_eq!(watch.mark(), Some(NOON));
}

#[test]
fn a_page_that_fails_begins_the_round_anew() {
    let mut watch = Watch::default();
    watch.next(NOON);
    watch.took(page(&["a", "b"], NOON, 3, false), Some(NOON));
    watch.failed();
    assert_eq!(watch.mark(), None);
    assert_eq!(watch.next(NOON), (minus(NOON, LOOK_BACK), 1));
}
