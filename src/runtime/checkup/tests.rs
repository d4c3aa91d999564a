use super::*;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

fn order(number: &str, shipment: &Value, writebacks: &Value) -> Order {
    serde_json::from_value(json!({
        "id": format!("ss:main:{number}"), "seq": 1, "number": number, "account": "main",
        "order_id": 7, "printer": "label", "standing": "resting", "created": 0, "updated": 0,
        "shipments": [shipment], "writebacks": writebacks,
    }))
    .unwrap()
}

fn shipment(tracking: &Value, page: &str, at: i64) -> Value {
    let state = match page {
        "printed" => json!({ "printed": "accepted" }),
        word => json!(word),
    };
    json!({
        "order_id": 7, "carrier": "X", "tracking": tracking, "documents": [], "stored": true,
        "superseded": false, "origin": "here", "at": at,
        "pages": [{ "d": 0, "i": 0, "r": "label", "p": "label", "s": state, "t": at }],
    })
}

#[test]
fn a_number_that_never_came_a_held_label_and_a_doubt_are_each_told() {
    let now = Timestamp(10 * HOUR);
    let none = json!([]);
    let owed = json!([
        { "n": 1, "sink": "consignment", "tracking": ["T"], "state": { "is": "pending" }, "since": HOUR, "at": HOUR },
        { "n": 2, "sink": "csv", "tracking": ["T"], "state": { "is": "conflict", "theirs": "U" }, "since": HOUR, "at": HOUR },
    ]);
    let orders = [
        order("late", &shipment(&none, "printed", 0), &none),
        order("fresh", &shipment(&none, "printed", 10 * HOUR), &none),
        order("held", &shipment(&json!(["T"]), "todo", 2 * HOUR), &none),
        order("doubt", &shipment(&json!(["T"]), "in-doubt", 0), &none),
        order("owes", &shipment(&json!(["T"]), "printed", 0), &owed),
        order("done", &shipment(&json!(["T"]), "printed", 0), &none),
    ];
    let found = work(&orders, now);
    assert_eq!(found.numberless, [("late".to_owned(), Timestamp(0))]);
    assert_eq!(found.held, [("held".to_owned(), Timestamp(2 * HOUR))]);
    assert_eq!(found.in_doubt, ["doubt"]);
    assert_eq!((found.owed, found.oldest), (1, Some(Timestamp(HOUR))));
    assert_eq!(found.conflicts, ["owes"]);
}

#[test]
fn only_names_and_ports_of_addresses_are_called() {
    let text = "[starshipit]\n[[starshipit.accounts]]\nname = \"main\"\napi_key = { env = \"A\" }\n\
        subscription_key = { env = \"B\" }\n[[webhooks]]\nurl = \"https://erp.example/in/s3cret?key=s3cret\"\n\
        secret = { env = \"C\" }\n[[webhooks]]\nurl = \"https://erp.example/other\"\nsecret = { env = \"C\" }\n";
    let loaded = crate::config::parse(
        None,
        ("c.toml", text),
        None,
        crate::config::Strictness::Strict,
    );
    let config = loaded.into_result().unwrap().0;
    let found = network::addresses(&config);
    let urls: Vec<&str> = found.values().map(reqwest::Url::as_str).collect();
    assert_eq!(
        urls,
        ["https://api.starshipit.com/", "https://erp.example/"]
    );
}
