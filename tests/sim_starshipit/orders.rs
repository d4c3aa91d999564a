//! The calls about orders: what the state machine allows, and what the lists say.

use crate::{Bench, details};
use printstation::sim::starshipit::admin::{Deed, Seed};
use printstation::sim::starshipit::{Account, Options};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn address() -> Value {
    json!({
        "name": "Pat Example", "street": "12 Sample Street", "suburb": "Carlton",
        "state": "VIC", "post_code": "3053", "country": "Australia",
    })
}

async fn put(bench: &Bench, order: Value) -> Value {
    bench
        .send(Method::PUT, "/api/orders", Some(json!({ "order": order })))
        .await
        .unwrap()
        .1
}

async fn delete(bench: &Bench, id: i64) -> Value {
    let path = format!("/api/orders/delete?order_id={id}");
    bench.send(Method::DELETE, &path, None).await.unwrap().1
}

#[tokio::test]
async fn a_create_with_a_missing_or_too_long_member_is_refused_and_makes_nothing() {
    let bench = Bench::with(&[]).await;
    let long = "x".repeat(101);
    for (order, text) in [
        (json!({ "destination": address() }), "order_number"),
        (
            json!({ "order_number": "x".repeat(51), "destination": address() }),
            "order_number",
        ),
        (json!({ "order_number": "A" }), "destination name"),
        (
            json!({ "order_number": "A", "destination": { "name": "P", "street": "S",
            "country": "AU" } }),
            "suburb",
        ),
        (
            json!({ "order_number": "A", "destination": { "name": long, "street": "S",
            "suburb": "C", "country": "AU" } }),
            "name",
        ),
        (
            json!({ "order_number": "A", "destination": address(), "packages": [{}] }),
            "Incorrect package weight",
        ),
        (
            json!({ "order_number": "A", "destination": address(), "packages": [{ "weight": 0 }] }),
            "Incorrect package weight",
        ),
    ] {
        let reply = bench.post("/api/orders", json!({ "order": order })).await;
        assert!(details(&reply).contains(text), "{reply}");
    }
    let nonsense = bench.post("/api/orders", json!({ "order": 7 })).await;
    assert!(details(&nonsense).contains("Unable to read"));
    assert!(bench.server.order_numbers().is_empty());
}

#[tokio::test]
async fn what_create_is_given_is_what_a_look_up_shows() {
    let bench = Bench::with(&[]).await;
    let order = json!({
        "order_number": "SO #1+2", "reference": "PO-1", "order_date": "2026-03-02T22:36:01Z",
        "destination": address(), "shipping_method": "Standard", "currency": "AUD",
        "items": [{ "description": "Blue mug", "sku": "MUG", "quantity": 2, "weight": 0.4 }],
    });
    let made = bench.post("/api/orders", json!({ "order": order })).await;
    assert_eq!(made["success"], true, "{made}");
    let found = bench.get("/api/orders?order_number=SO%20%231%2B2").await["order"].clone();
    assert_eq!(found, made["order"]);
    assert_eq!(found["destination"]["post_code"], "3053");
    assert_eq!(found["order_date"], "2026-03-02T22:36:01.0000000Z");
    assert_eq!(
        found["packages"][0]["weight"], 0.8,
        "no packages: the weight of the items"
    );
}

#[tokio::test]
async fn an_import_of_more_than_fifty_is_refused_and_one_of_fifty_is_not() {
    let bench = Bench::with(&[]).await;
    let orders = |n: usize| {
        let one = |i| json!({ "order_number": format!("I{i}"), "destination": address() });
        json!({ "orders": (0..n).map(one).collect::<Vec<_>>() })
    };
    let refused = bench.post("/api/orders/import", orders(51)).await;
    assert!(details(&refused).contains("50"));
    assert!(bench.server.order_numbers().is_empty());
    let made = bench.post("/api/orders/import", orders(50)).await;
    assert_eq!(made["orders"].as_array().unwrap().len(), 50);
    let mut mixed = orders(2);
    mixed["orders"][0]["order_number"] = json!("");
    let partly = bench.post("/api/orders/import", mixed).await;
    assert_eq!(partly["success"], false);
    assert_eq!(
        partly["orders"].as_array().unwrap().len(),
        1,
        "the good one was made"
    );
}

#[tokio::test]
async fn a_printed_order_takes_no_change_but_its_status_and_no_delete() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("A"));
    assert!(
        details(&put(&bench, json!({ "order_id": id, "status": "Printed" })).await)
            .contains("needs a label")
    );
    bench.print(id).await;
    let change = put(&bench, json!({ "order_id": id, "reference": "x" })).await;
    assert!(details(&change).contains("Only the status"));
    let back = put(&bench, json!({ "order_id": id, "status": "Unshipped" })).await;
    assert!(details(&back).contains("Only the status"));
    let on = put(&bench, json!({ "order_id": id, "status": "Delivered" })).await;
    assert_eq!(on["order"]["status"], "Delivered");
    assert!(details(&delete(&bench, id).await).contains("unshipped"));
}

#[tokio::test]
async fn an_unshipped_order_can_be_changed_line_by_line_and_deleted() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed {
        parcels: vec![None, Some(2.0)],
        ..Seed::number("A")
    });
    let order = bench.get(&format!("/api/orders?order_id={id}")).await["order"].clone();
    let [first, second] = [&order["packages"][0], &order["packages"][1]];
    assert!(details(&bench.print(id).await).contains("Incorrect package weight"));
    let changed = put(
        &bench,
        json!({
            "order_id": id, "carrier": "AusPost", "carrier_service_code": "3D85",
            "packages": [
                { "package_id": first["package_id"], "weight": 1.5 },
                { "package_id": second["package_id"], "delete": true },
            ],
        }),
    )
    .await;
    let packages = changed["order"]["packages"].as_array().unwrap().clone();
    assert_eq!((packages.len(), &packages[0]["weight"]), (1, &json!(1.5)));
    assert_eq!(changed["order"]["carrier"], "AusPost");
    assert!(
        details(&put(&bench, json!({ "order_id": id, "carrier": "Pony" })).await).contains("Pony")
    );
    assert_eq!(delete(&bench, id).await, json!({ "success": true }));
    assert_eq!(delete(&bench, id).await["success"], false);
    assert!(
        details(&bench.print(id).await).starts_with("Unable to get order details from order_id")
    );
}

#[tokio::test]
async fn archive_takes_printed_orders_and_restore_archived_ones() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("A"));
    let call = async |verb: &str| {
        bench
            .post(&format!("/api/orders/{verb}?order_id={id}"), json!({}))
            .await
    };
    assert!(details(&call("archive").await).contains("printed"));
    assert!(details(&call("restore").await).contains("archived"));
    bench.print(id).await;
    assert_eq!(call("archive").await["success"], true);
    let found = bench.get("/api/orders?order_number=A").await;
    assert_eq!(found["order"]["archived"], true);
    assert_eq!(call("restore").await["success"], true);
}

#[tokio::test]
async fn print_says_what_is_missing_and_takes_it_from_the_request() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed {
        courier_needed: true,
        parcels: vec![None],
        ..Seed::number("A")
    });
    assert!(details(&bench.print(id).await).contains("No courier"));
    let bad = json!({ "order_id": id, "carrier": "AusPost", "carrier_service_code": "NOPE" });
    let bad = bench.post("/api/orders/shipment", bad).await;
    assert!(details(&bad).contains("no service NOPE"));
    let weightless = json!({ "order_id": id, "carrier": "AusPost" });
    let weightless = bench.post("/api/orders/shipment", weightless).await;
    assert!(details(&weightless).contains("Incorrect package weight"));
    assert!(bench.server.sales().is_empty());
    let whole = json!({
        "order_number": "A", "carrier": "AusPost",
        "packages": [{ "weight": 1.0 }, { "weight": 2.0 }],
    });
    let printed = bench.post("/api/orders/shipment", whole).await;
    assert_eq!(printed["carrier_name"], "Australia Post");
    assert_eq!(printed["tracking_numbers"].as_array().unwrap().len(), 2);
    let order = bench.get("/api/orders?order_number=A").await["order"].clone();
    assert_eq!(order["packages"][1]["weight"], 2.0);
    assert_eq!(order["carrier_service_code"], "7B05");
}

#[tokio::test]
async fn an_address_that_the_courier_refuses_prints_after_it_was_corrected() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed {
        address_invalid: true,
        ..Seed::number("A")
    });
    assert!(details(&bench.print(id).await).contains("address is invalid"));
    put(&bench, json!({ "order_id": id, "destination": address() })).await;
    assert_eq!(bench.print(id).await["success"], true);
    let archived = bench.order(Seed {
        archived: true,
        ..Seed::number("B")
    });
    assert!(details(&bench.print(archived).await).contains("archived"));
}

#[tokio::test]
async fn what_happens_in_the_application_is_seen_and_its_label_can_be_fetched() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("A"));
    bench
        .server
        .alter(
            "A",
            Deed {
                print: true,
                ..Deed::default()
            },
        )
        .unwrap();
    assert_eq!(bench.server.sales()[0].via, "app");
    let again = json!({ "order_id": id, "reprint": true });
    let again = bench.post("/api/orders/shipment", again).await;
    assert_eq!(
        again["tracking_numbers"],
        json!(bench.server.sales()[0].tracking_numbers)
    );
    let moved = Deed {
        address: [("post_code".to_owned(), "9999".to_owned())].into(),
        status: Some("Shipped".into()),
        archive: Some(true),
        ..Deed::default()
    };
    bench.server.alter(&id.to_string(), moved).unwrap();
    let order = bench.get("/api/orders?order_number=A").await["order"].clone();
    assert_eq!(order["destination"]["post_code"], "9999");
    assert_eq!(
        (&order["status"], &order["archived"]),
        (&json!("Shipped"), &json!(true))
    );
    assert_eq!(bench.server.sales().len(), 1);
}

#[tokio::test]
async fn replace_archives_the_source_and_a_clone_does_not() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("A"));
    for call in ["clone", "replace"] {
        let path = format!("/api/orders/shipment/{call}");
        assert!(details(&bench.post(&path, json!({ "order_id": id })).await).contains("printed"));
    }
    bench.print(id).await;
    let copied = async |call: &str| {
        let path = format!("/api/orders/shipment/{call}");
        bench.post(&path, json!({ "order_id": id })).await["order"]["order_id"]
            .as_i64()
            .unwrap()
    };
    let source = async || bench.get(&format!("/api/orders?order_id={id}")).await["order"].clone();
    let clone = copied("clone").await;
    assert_eq!(source().await["archived"], false);
    let twin = copied("replace").await;
    assert_eq!(source().await["archived"], true);
    for id in [clone, twin] {
        assert_eq!(bench.print(id).await["success"], true);
    }
    let numbers: std::collections::BTreeSet<_> = bench
        .server
        .sales()
        .into_iter()
        .flat_map(|s| s.tracking_numbers)
        .collect();
    assert_eq!(numbers.len(), 3);
}

#[tokio::test]
async fn accounts_see_and_buy_only_what_is_theirs() {
    let accounts = Account::several(2);
    let options = Options {
        accounts,
        requests_per_second: 0,
        ..Options::default()
    };
    let bench = Bench::start(options).await;
    let id = bench.order(Seed {
        account: "account-2".into(),
        ..Seed::number("A")
    });
    assert_eq!(
        bench.get("/api/orders?order_number=A").await["success"],
        false
    );
    assert_eq!(
        bench.get(&format!("/api/orders?order_id={id}")).await["success"],
        false
    );
    assert_eq!(bench.print(id).await["success"], false);
    assert_eq!(
        bench.get("/api/orders/search?phrase=A").await["orders"],
        json!([])
    );
    assert!(bench.server.sales().is_empty());
}

#[tokio::test]
async fn search_looks_where_it_is_told_and_contains_is_enough() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed {
        reference: Some("PO-77".into()),
        ..Seed::number("WEB-1")
    });
    bench.order(Seed::number("WEB-10"));
    bench.print(id).await;
    let hits = async |query: &str| {
        let reply = bench.get(&format!("/api/orders/search?{query}")).await;
        reply["orders"].as_array().map(Vec::len)
    };
    assert_eq!(hits("phrase=web-1&fields=Order_Number").await, Some(2));
    assert_eq!(
        hits("phrase=WEB-1&fields=Order_Number&status=Shipped").await,
        Some(1)
    );
    assert_eq!(hits("phrase=PO-77&fields=TheirRef").await, Some(1));
    assert_eq!(hits("phrase=PO-77&fields=Order_Number").await, Some(0));
    let tracking = bench.server.sales()[0].tracking_numbers[0].clone();
    assert_eq!(hits(&format!("phrase={tracking}")).await, Some(1));
    for bad in ["phrase=", "phrase=x&fields=Colour", "phrase=x&status=Lost"] {
        assert_eq!(hits(bad).await, None, "{bad}");
    }
}

#[tokio::test]
async fn lists_show_the_last_day_page_by_page_and_older_orders_when_asked() {
    let bench = Bench::with(&[]).await;
    for n in 0..3 {
        bench.order(Seed::number(format!("A{n}")));
    }
    bench.order(Seed {
        age_hours: 48,
        ..Seed::number("OLD")
    });
    let page = bench.get("/api/orders/unshipped?limit=2&page=2").await;
    assert_eq!(
        (
            page["orders"].as_array().unwrap().len(),
            &page["total_pages"]
        ),
        (1, &json!(2))
    );
    let ids = bench
        .get("/api/orders/unshipped?ids_only=true&limit=9999")
        .await;
    assert_eq!(ids["order_ids"].as_array().unwrap().len(), 3);
    let since = "2020-01-01T00:00:00.000Z";
    let all = bench
        .get(&format!("/api/orders/unshipped?since_last_updated={since}"))
        .await;
    assert_eq!(all["orders"].as_array().unwrap().len(), 4);
    for bad in ["page=0", "limit=x", "since_last_updated=yesterday"] {
        let reply = bench.get(&format!("/api/orders/unshipped?{bad}")).await;
        assert!(details(&reply).contains("is not valid"), "{bad}");
    }
    let filtered = bench.get("/api/orders?filter=Order:::A1").await;
    assert_eq!(filtered["data"]["orders"].as_array().unwrap().len(), 1);
    assert!(details(&bench.get("/api/orders?filter=Moon:::full").await).contains("moon"));
}

#[tokio::test]
async fn printed_orders_appear_in_shipments_shipped_summary_and_track() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed {
        parcels: vec![Some(1.0); 2],
        ..Seed::number("A")
    });
    bench.order(Seed::number("B"));
    assert_eq!(
        bench.get("/api/track?order_number=NOPE").await["success"],
        false
    );
    assert_eq!(
        bench.get("/api/orders/shipments?status=lost").await["success"],
        false
    );
    let printed = bench.print(id).await;
    let recent = "/api/orders/shipments?status=recently_printed";
    let shipments = bench.get(recent).await;
    assert_eq!(
        shipments["orders"][0]["tracking_numbers"],
        printed["tracking_numbers"]
    );
    assert_eq!(shipments["status"], "recently_printed");
    let later = bench
        .get(&format!("{recent}&since_created_date=2099-01-01T00:00:00Z"))
        .await;
    assert_eq!(later["orders"], json!([]));
    let shipped = bench.get("/api/orders/shipped").await;
    assert_eq!(
        shipped["orders"][0]["tracking_number"],
        printed["tracking_numbers"][0]
    );
    let summary = bench.get("/api/orders/summary?order_status=printed").await;
    assert_eq!(summary["orders"][0]["order_number"], "A");
    assert_eq!(summary["order_counts"]["unprinted_count"], 1);
    let number = printed["tracking_numbers"][1].as_str().unwrap();
    let track = bench
        .get(&format!("/api/track?tracking_number={number}"))
        .await;
    assert_eq!(track["results"]["order_number"], "A");
    let unmanifested = "/api/orders/shipments?status=unmanifested";
    assert_eq!(
        bench.get(unmanifested).await["orders"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let manifest = bench
        .post("/api/orders/manifest", json!({ "order_ids": [id] }))
        .await;
    assert!(manifest["pdf"].as_str().unwrap().starts_with("JVBERi0"));
    assert_eq!(bench.get(unmanifested).await["orders"], json!([]));
}

#[tokio::test]
async fn bulk_print_merges_labels_tells_no_numbers_and_reports_what_failed() {
    let bench = Bench::with(&[]).await;
    let good = [
        bench.order(Seed::number("A")),
        bench.order(Seed::number("B")),
    ];
    let bad = bench.order(Seed {
        parcels: vec![None],
        ..Seed::number("C")
    });
    let none = bench
        .post("/api/orders/shipments", json!({ "order_ids": [] }))
        .await;
    assert_eq!(none["success"], false);
    let ids = json!({ "order_ids": [good[0], bad, good[1]] });
    let reply = bench.post("/api/orders/shipments", ids).await;
    let labels = reply["labels"].as_array().unwrap();
    assert_eq!(
        (labels.len(), &labels[0]["label_type"]),
        (1, &json!("BlankLabels"))
    );
    assert!(reply.get("tracking_numbers").is_none());
    assert!(reply["messages"][0].as_str().unwrap().starts_with("C: "));
    assert_eq!(bench.server.sales().len(), 2);
    let slips = bench
        .post("/api/orders/packingslips", json!({ "order_ids": good }))
        .await;
    assert!(slips["pdf"].as_str().unwrap().starts_with("JVBERi0"));
    let manifest = bench
        .post("/api/orders/manifest", json!({ "order_ids": [bad] }))
        .await;
    assert!(details(&manifest).contains("printed"));
}

#[tokio::test]
async fn services_and_rates_answer_in_their_shapes_and_unknown_paths_in_the_gateways() {
    let bench = Bench::with(&[]).await;
    let services = bench
        .post(
            "/api/deliveryservices",
            json!({
                "packages": [{ "weight": 1.0 }], "include_pricing": true,
            }),
        )
        .await;
    assert!(services["services"][0]["total_price"].as_f64().unwrap() > 0.0);
    let rates = bench.post("/api/rates", json!({})).await;
    assert_eq!(details(&rates), "destination object is required");
    let rates = bench.post("/api/rates", json!({ "destination": {} })).await;
    assert_eq!(details(&rates), "country_code parameter value is required");
    let rates = bench
        .post(
            "/api/rates",
            json!({
                "destination": { "country_code": "AU" }, "packages": [{ "weight": 1 }],
            }),
        )
        .await;
    assert_eq!(rates["rates"][0]["service_name"], "Standard");
    let got = bench.send(Method::GET, "/api/nothing", None).await.unwrap();
    assert_eq!(
        (got.0, &got.1["statusCode"]),
        (StatusCode::NOT_FOUND, &json!(404))
    );
}
