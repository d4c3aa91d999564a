//! What the grammar refuses, and what each method compares.

use super::*;
use serde_json::json;

fn leaf(kind: &str, pointer: &str, value: Value, method: &str) -> Value {
    json!({"type": format!("{kind}ComparisonCondition"), "method": method,
        "field": {"type": "JsonField", "pointer": pointer},
        "value": {"type": "ValueField", "value": value}})
}

fn read(condition: Value) -> Result<Condition, String> {
    let body = json!({ "condition": condition }).to_string();
    Condition::read(body.as_bytes(), &ORDERS)
}

fn and(leaf: Value) -> Value {
    json!({"type": "AndCondition", "conditions": [leaf]})
}

#[test]
fn what_the_grammar_does_not_have_is_refused_in_words() {
    let refusals = [
        (json!({}), "Missing field: type, from search condition."),
        (
            json!({"type": "NotCondition", "conditions": []}),
            "must be an And",
        ),
        (
            leaf("Text", "/status", json!("PACKED"), "EQUAL_TO"),
            "must be an And",
        ),
        (json!({"type": "AndCondition"}), "conditions"),
        (
            and(leaf(
                "Text",
                "/details/instructions",
                json!("x"),
                "EQUAL_TO",
            )),
            "Unknown field: /details/instructions",
        ),
        (
            and(leaf("Text", "/status", json!(1), "EQUAL_TO")),
            "Invalid value",
        ),
        (
            and(leaf("Text", "/status", json!("x"), "LIKE")),
            "Unknown method",
        ),
        (
            and(leaf(
                "Numeric",
                "/references/numericId",
                json!(1),
                "STARTS_WITH",
            )),
            "Unknown method",
        ),
        (
            and(leaf(
                "Date",
                "/timestamps/created/time",
                json!("2026-11-20T00:00:00Z"),
                "EQUAL_TO",
            )),
            "Invalid value",
        ),
        (
            and(leaf(
                "DateTime",
                "/timestamps/created/time",
                json!("yesterday"),
                "EQUAL_TO",
            )),
            "Invalid value",
        ),
        (
            and(leaf("Colour", "/status", json!("red"), "EQUAL_TO")),
            "Unknown type",
        ),
    ];
    for (condition, expected) in refusals {
        let error = read(condition.clone()).unwrap_err();
        assert!(error.contains(expected), "{condition} -> {error}");
    }
    let named = json!({"type": "TextComparisonCondition", "method": "EQUAL_TO",
        "field": {"type": "ValueField", "value": "status"},
        "value": {"type": "ValueField", "value": "PACKED"}});
    assert!(
        read(and(named))
            .unwrap_err()
            .contains("Unknown field: status")
    );
}

#[test]
fn every_method_compares_as_its_name_says() {
    let row = json!({"status": "PACKED", "references": {"customer": "A | B", "numericId": "787061"},
        "timestamps": {"created": {"time": "2026-11-20T23:30:00+10:00"}}});
    let created = "/timestamps/created/time";
    let cases = [
        (
            leaf("Text", "/references/customer", json!("A | B"), "EQUAL_TO"),
            true,
        ),
        (
            leaf("Text", "/references/customer", json!("A"), "STARTS_WITH"),
            true,
        ),
        (
            leaf("Text", "/references/customer", json!("| B"), "CONTAINS"),
            true,
        ),
        (
            leaf(
                "Text",
                "/references/customer",
                json!("| B"),
                "DOES_NOT_CONTAIN",
            ),
            false,
        ),
        (
            leaf(
                "Text",
                "/references/customer",
                json!("A | B"),
                "NOT_EQUAL_TO",
            ),
            false,
        ),
        (
            leaf("Text", "/customer/name", json!("x"), "NOT_EQUAL_TO"),
            true,
        ),
        (
            leaf("Text", "/customer/name", json!("x"), "EQUAL_TO"),
            false,
        ),
        (
            leaf(
                "Numeric",
                "/references/numericId",
                json!(787_061),
                "EQUAL_TO",
            ),
            true,
        ),
        (
            leaf(
                "Numeric",
                "/references/numericId",
                json!(787_061),
                "LESS_THAN",
            ),
            false,
        ),
        (
            leaf(
                "DateTime",
                created,
                json!("2026-11-20T13:30:00Z"),
                "GREATER_THAN_OR_EQUAL_TO",
            ),
            true,
        ),
        (
            leaf(
                "DateTime",
                created,
                json!("2026-11-20T13:30:01Z"),
                "GREATER_THAN_OR_EQUAL_TO",
            ),
            false,
        ),
        (leaf("Date", created, json!("2026-11-20"), "EQUAL_TO"), true),
        (
            leaf("Date", created, json!("2026-11-20"), "GREATER_THAN"),
            false,
        ),
        (
            leaf("Text", created, json!("2026-11-20"), "STARTS_WITH"),
            true,
        ),
    ];
    for (leaf, expected) in cases {
        assert_eq!(
            read(and(leaf.clone())).unwrap().holds(&row),
            expected,
            "{leaf}"
        );
    }
    let none = json!({"type": "AndCondition", "conditions": []});
    assert!(
        read(none).unwrap().holds(&row),
        "an empty group matches everything"
    );
    let either = json!({"type": "OrCondition", "conditions": [
        and(leaf("Text", "/status", json!("DRAFT"), "EQUAL_TO")),
        and(leaf("Text", "/status", json!("PACKED"), "EQUAL_TO"))]});
    assert!(read(either).unwrap().holds(&row));
}
