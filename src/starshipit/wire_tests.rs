use super::*;
use proptest::prelude::*;

fn reply(text: &str) -> Reply {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn wrong_types_cost_the_field_and_not_the_reply() {
    let order = reply(
        r#"{"success": true, "total_pages": "many", "data": 5, "order": {
            "order_id": "700000123", "order_number": 10023, "order_date": false, "reference": ["x"],
            "carrier": {"code": 7}, "archived": "maybe", "status": 1, "destination": "nowhere",
            "items": {"sku": "A", "quantity": "2", "weight": "0.4"}, "packages": [null, 7, {"weight": [], "height": "tall"}],
            "events": "none", "unknown": [[[{"deep": 1}]]]}}"#,
    )
    .into_orders()
    .remove(0);
    assert_eq!(order.order_id.0, Some(700_000_123));
    assert_eq!(order.order_number.owned().as_deref(), Some("10023"));
    assert_eq!(order.reference.0, None);
    assert_eq!(order.carrier.0, None);
    assert_eq!(order.archived.0, None);
    assert_eq!(order.destination.0, None);
    let item = order.items.0[0].0.as_ref().unwrap();
    assert_eq!((item.quantity.0, item.weight.0), (Some(2.0), Some(0.4)));
    let packages: Vec<bool> = order.packages.0.iter().map(|p| p.0.is_some()).collect();
    assert_eq!(packages, [false, false, true]);
}

#[test]
fn one_or_many_orders_are_found_wherever_they_stand() {
    for (text, ids) in [
        (r#"{"order": {"order_id": 1}}"#, vec![1]),
        (
            r#"{"order": [{"order_id": 1}, {"order_id": 2}]}"#,
            vec![1, 2],
        ),
        (r#"{"orders": [{"order_id": 1.0}]}"#, vec![1]),
        (r#"{"orders": {"order_id": 1}}"#, vec![1]),
        (r#"{"data": {"orders": [{"order_id": 3}]}}"#, vec![3]),
        (
            r#"{"order": null, "orders": [null, {"order_id": null}, {}]}"#,
            vec![],
        ),
        (r#"{"orders": {"700000200": "XYZ"}}"#, vec![]),
        (r#"{"order": "x", "orders": 5, "data": []}"#, vec![]),
    ] {
        let found: Vec<i64> = reply(text)
            .into_orders()
            .iter()
            .filter_map(|o| o.order_id.0)
            .collect();
        assert_eq!(found, ids, "{text}");
    }
}

#[test]
fn what_should_be_orders_and_is_not_is_noticed() {
    assert!(reply(r#"{"order": "not an object"}"#).is_garbled());
    assert!(reply(r#"{"orders": {"0": 7}}"#).is_garbled());
    assert!(!reply(r#"{"order": null, "orders": []}"#).is_garbled());
    assert!(!reply(r#"{"orders": [null, {"order_id": 1}]}"#).is_garbled());
}

#[test]
fn lists_and_texts_of_hostile_length_are_cut() {
    let many = vec!["1"; 50_000].join(",");
    let long = "x".repeat(1 << 20);
    let reply = reply(&format!(
        r#"{{"order_ids": [{many}], "message": "{long}", "tracking_numbers": [{many}]}}"#
    ));
    assert_eq!(
        reply.order_ids.0.len(),
        crate::starshipit::lenient::MAX_LIST
    );
    assert_eq!(
        reply.tracking_numbers.0.len(),
        crate::starshipit::lenient::MAX_LIST
    );
    assert!(reply.message.0.unwrap().len() <= crate::starshipit::lenient::MAX_TEXT);
}

#[test]
fn hostile_depth_is_skipped_or_refused_and_never_a_crash() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for key in ["unknown", "order_id", "message", "success"] {
        // Either answer will do; the stack must hold.
        let _ = serde_json::from_str::<Reply>(&format!(r#"{{"{key}": {deep}}}"#));
    }
    let nested = r#"{"label_base64_string":"#.repeat(100_000);
    assert!(serde_json::from_str::<Reply>(&format!(r#"{{"labels": [{nested}"#)).is_err());
}

#[test]
fn dates_are_read_with_any_fraction_and_zone_and_nonsense_is_none() {
    let at = |text: &str| date(&Text(Some(text.to_owned()))).map(|t| t.0);
    let base = 1_772_490_961_000;
    for (text, expected) in [
        ("2026-03-02T22:36:01Z", Some(base)),
        ("2026-03-02T22:36:01.6045941Z", Some(base + 604)),
        ("2026-03-02T22:36:01.6", Some(base + 600)),
        ("2026-03-02T22:36:01.123456789012345Z", Some(base + 123)),
        ("2026-03-02 22:36:01", Some(base)),
        ("2026-03-03T09:36:01+11:00", Some(base)),
        ("2026-03-02T12:36:01-1000", Some(base)),
        ("2026-03-02", Some(base - 81_361_000)),
        ("0001-01-01T00:00:00", None),
        ("", None),
        ("soon", None),
        ("2026-13-40T99:99:99Z", None),
        ("2026-03-02T22:36:01.x", None),
        ("2026-03-02T22:36:01+zz", None),
        ("\u{20ac}\u{20ac}\u{20ac}\u{20ac}", None),
    ] {
        assert_eq!(at(text), expected, "{text}");
    }
    assert!(has_zone(&Text(Some("2026-03-02T22:36:01.6Z".into()))));
    assert!(!has_zone(&Text(Some("2026-03-02T22:36:01.6".into()))));
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        ".{0,12}".prop_map(Value::from),
        Just(json!("2026-03-02T22:36:01Z")),
    ];
    let keys = proptest::sample::select(vec![
        "success",
        "errors",
        "order",
        "orders",
        "data",
        "order_id",
        "labels",
        "label_types",
        "tracking_numbers",
        "message",
        "details",
        "packages",
        "items",
        "weight",
        "destination",
        "events",
        "carrier",
        "statusCode",
        "label_base64_string",
        "services",
        "order_date",
    ]);
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::hash_map(keys.clone(), inner, 0..6).prop_map(|map| {
                Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is under the keys that are read, an object is a reply.
    #[test]
    fn every_json_object_is_a_reply(value in any_json()) {
        let text = serde_json::json!({
            "success": value, "order": value, "orders": value, "data": value, "errors": value,
            "labels": value, "tracking_numbers": value, "label_types": value, "order_id": value,
            "order_ids": value, "services": value, "message": value, "statusCode": value,
        })
        .to_string();
        let read: Reply = serde_json::from_str(&text).unwrap();
        for order in read.into_orders() {
            let account = crate::domain::AccountName::from("main");
            let _ = crate::starshipit::mapping::order(&account, &order);
            let _ = crate::starshipit::mapping::created(&order);
        }
    }

    /// No text is a date that panics.
    #[test]
    fn no_text_breaks_the_reader_of_dates(text in "\\PC{0,40}|[0-9T:+.Z-]{0,40}") {
        let _ = date(&Text(Some(text)));
    }
}
