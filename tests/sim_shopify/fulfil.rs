//! Tokens, scopes, points, and fulfilments.

use crate::{Bench, FULFIL, RETRACK, SHIP, code, user_error};
use printstation::sim::shopify::{Change, Options, Seed, SeedLine, Server};
use serde_json::{Value, json};

#[tokio::test]
async fn wrong_tokens_clients_shops_and_versions_get_nothing() {
    let mut bench = Bench::with(&[]).await;
    let form = |secret: &str| {
        format!(
            "grant_type=client_credentials&client_id={}&client_secret={secret}",
            bench.shop.client_id
        )
    };
    let (status, told) = bench
        .post("/admin/oauth/access_token", form("wrong"))
        .await
        .unwrap();
    assert_eq!((status, &told["error"]), (400, &json!("invalid_client")));
    let (_, told) = bench
        .post("/admin/oauth/access_token", form(&bench.shop.client_secret))
        .await
        .unwrap();
    assert_eq!(told["expires_in"], 86_399);
    assert!(told["scope"].as_str().unwrap().contains("read_orders"));
    let minted = told["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        bench
            .post("/admin/api/today/graphql.json", "{}".into())
            .await
            .unwrap()
            .0,
        404
    );
    bench.token = "shpat_wrong".into();
    let (status, told) = bench.try_run(SHIP, json!({"q": "name:A"})).await.unwrap();
    assert!(status == 401 && told["errors"].as_str().unwrap().contains("Invalid API key"));
    bench.token = minted;
    assert_eq!(
        bench.try_run(SHIP, json!({"q": "name:A"})).await.unwrap().0,
        200
    );
    bench.shop = bench.server.shops()[1].clone();
    assert_eq!(
        bench.try_run(SHIP, json!({"q": "name:A"})).await.unwrap().0,
        401,
        "a token of another shop"
    );
    bench.shop.shop = "nobody".into();
    assert_eq!(
        bench.try_run(SHIP, json!({"q": "name:A"})).await.unwrap().0,
        404
    );
    bench.shop = bench.server.shops()[0].clone();
    bench.server.expire_tokens();
    assert_eq!(
        bench.try_run(SHIP, json!({"q": "name:A"})).await.unwrap().0,
        401
    );
}

#[tokio::test]
async fn an_operation_or_field_that_is_not_known_is_an_error_and_does_nothing() {
    let bench = Bench::with(&[]).await;
    bench.order("#1001");
    let input = bench.input("#1001", "PS1").await;
    for query in [
        "mutation { orderCancel(orderId: \"x\") { job { id } } }",
        "{ products(first: 1) { nodes { id } } }",
        "nonsense",
    ] {
        let got = bench.run(query, Value::Null).await;
        assert!(
            got["errors"][0]["message"].is_string() && got["data"].is_null(),
            "{got}"
        );
    }
    let wrong = FULFIL.replace("createdAt", "shippedAt");
    let got = bench.run(&wrong, input).await;
    assert!(
        got["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("'shippedAt' doesn't exist")
    );
    let none = bench.run(FULFIL, json!({})).await;
    assert!(
        none["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("$fulfillment")
    );
    assert!(bench.server.entries().is_empty());
}

#[tokio::test]
async fn missing_scopes_deny_or_hide() {
    let bench = Bench::with(&["scopes=no-read-orders"]).await;
    assert_eq!(
        code(&bench.run(SHIP, json!({"q": "name:A"})).await),
        "ACCESS_DENIED"
    );
    let bench = Bench::with(&["scopes=no-write"]).await;
    bench.order("A");
    let input = bench.input("A", "PS1").await;
    assert_eq!(code(&bench.run(FULFIL, input).await), "ACCESS_DENIED");
    let bench = Bench::with(&["scopes=hidden-fulfillment-orders"]).await;
    bench.order("A");
    assert_eq!(
        bench.find("A").await[0]["fulfillmentOrders"]["nodes"],
        json!([])
    );
    let scopes = bench
        .run(
            "{ currentAppInstallation { accessScopes { handle } } }",
            Value::Null,
        )
        .await;
    assert_eq!(
        scopes["data"]["currentAppInstallation"]["accessScopes"],
        json!([{"handle": "read_orders"}])
    );
}

#[tokio::test]
async fn an_empty_bucket_throttles_with_200_and_tells_when_it_fills() {
    let bench = Bench::with(&["bucket=tiny"]).await;
    bench.order("A");
    assert_eq!(bench.find("A").await[0]["name"], "A");
    // Most of it came back, but not all: the next one needs a little time.
    let got = bench.run(SHIP, json!({"q": "name:A"})).await;
    assert_eq!(code(&got), "THROTTLED");
    let status = &got["extensions"]["cost"]["throttleStatus"];
    assert!(
        status["restoreRate"] == 1.0
            && status["currentlyAvailable"].as_f64().unwrap()
                < got["extensions"]["cost"]["requestedQueryCost"]
                    .as_f64()
                    .unwrap()
    );
    let bench = Bench::with(&[]).await;
    bench.faults(&["throttled:once:orders"]);
    assert_eq!(
        code(&bench.run(SHIP, json!({"q": "name:A"})).await),
        "THROTTLED"
    );
}

#[tokio::test]
async fn orders_are_found_by_name_and_id_and_not_across_shops() {
    let bench = Bench::with(&[]).await;
    let id = bench.order("#1001");
    let other = Seed {
        shop: bench.server.shops()[1].shop.clone(),
        name: "#1001".into(),
        ..Seed::default()
    };
    bench.server.add_order(other).unwrap();
    for name in ["#1001", "1001", "\"#1001\""] {
        assert_eq!(
            bench.find(name).await.as_array().unwrap().len(),
            1,
            "{name}"
        );
    }
    assert_eq!(bench.find("100").await, json!([]));
    let by_id = "query Q($id: ID!) { order(id: $id) { id name } }";
    let got = bench.run(by_id, json!({ "id": id })).await;
    assert_eq!(got["data"]["order"], json!({"id": id, "name": "#1001"}));
    let none = bench
        .run(by_id, json!({"id": "gid://shopify/Order/1"}))
        .await;
    assert!(none["data"]["order"].is_null() && none.get("errors").is_none());
    assert!(bench.run(by_id, json!({"id": "1001"})).await["errors"].is_array());
    let bench = Bench::with(&["name-match=prefix", "index-lag=1s"]).await;
    bench.order("#1001");
    bench.order("#10011");
    assert_eq!(bench.find("1001").await, json!([]), "not in the index yet");
    let found = async {
        while bench.find("1001").await.as_array().unwrap().len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), found)
        .await
        .expect("the index catches up");
}

#[tokio::test]
async fn a_fulfilment_closes_its_order_and_a_second_one_is_refused() {
    let bench = Bench::with(&[]).await;
    let id = bench.order("#1001");
    let input = bench.input("#1001", "PS1").await;
    let got = bench.run(FULFIL, input.clone()).await;
    let made = &got["data"]["fulfillmentCreate"];
    assert_eq!(made["userErrors"], json!([]));
    assert_eq!(
        made["fulfillment"]["trackingInfo"][0],
        json!({"company": "Australia Post", "number": "PS1", "url": "https://t.example/PS1"})
    );
    let time = made["fulfillment"]["createdAt"].as_str().unwrap();
    assert!(time.ends_with('Z') && !time.contains('.'), "{time}");
    assert!(
        user_error(&bench.run(FULFIL, input).await)
            .contains("has an unfulfillable status= closed.")
    );
    let order = bench.find("#1001").await[0].clone();
    assert_eq!(
        (
            &order["displayFulfillmentStatus"],
            &order["fulfillmentOrders"]["nodes"][0]["supportedActions"]
        ),
        (&json!("FULFILLED"), &json!([]))
    );
    let entry = &bench.server.entries()[0];
    assert_eq!(
        (
            entry.order.as_str(),
            entry.name.as_str(),
            entry.numbers.as_slice(),
            entry.notified
        ),
        (id.as_str(), "#1001", &["PS1".to_owned()][..], true)
    );
    assert_eq!(bench.server.entries().len(), 1);
}

#[tokio::test]
async fn quantities_locations_and_orders_must_fit() {
    let bench = Bench::with(&[]).await;
    let line = |sku: &str| SeedLine {
        sku: sku.into(),
        quantity: 2,
    };
    let seed = Seed {
        name: "A".into(),
        lines: vec![line("X"), line("Y")],
        locations: 2,
        ..Seed::default()
    };
    bench.server.add_order(seed).unwrap();
    bench.order("B");
    let both = bench.input("A", "PS1").await;
    assert!(user_error(&bench.run(FULFIL, both).await).contains("same location"));
    let nodes = bench.find("A").await[0]["fulfillmentOrders"]["nodes"].clone();
    let other = bench.find("B").await[0]["fulfillmentOrders"]["nodes"][0].clone();
    let of = |parts: Value| json!({"fulfillment": {"lineItemsByFulfillmentOrder": parts, "trackingInfo": {"numbers": ["P1", "P2"]}}});
    let mixed =
        of(json!([{"fulfillmentOrderId": nodes[0]["id"]}, {"fulfillmentOrderId": other["id"]}]));
    assert!(user_error(&bench.run(FULFIL, mixed).await).contains("same order"));
    let some = |quantity: u32| {
        of(json!([{"fulfillmentOrderId": nodes[0]["id"],
        "fulfillmentOrderLineItems": [{"id": nodes[0]["lineItems"]["nodes"][0]["id"], "quantity": quantity}]}]))
    };
    for quantity in [0, 3] {
        assert!(
            user_error(&bench.run(FULFIL, some(quantity)).await)
                .contains("Invalid fulfillment order line item quantity")
        );
    }
    assert!(
        user_error(
            &bench
                .run(
                    FULFIL,
                    of(json!([{"fulfillmentOrderId": "gid://shopify/FulfillmentOrder/1"}]))
                )
                .await
        )
        .contains("does not exist")
    );
    let mut clash = some(1);
    clash["fulfillment"]["trackingInfo"] = json!({"number": "P", "numbers": ["P"]});
    assert!(user_error(&bench.run(FULFIL, clash).await).contains("singular"));
    assert!(bench.server.entries().is_empty());
    let got = bench.run(FULFIL, some(1)).await;
    assert_eq!(
        got["data"]["fulfillmentCreate"]["fulfillment"]["trackingInfo"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let order = bench.find("A").await[0].clone();
    assert_eq!(order["displayFulfillmentStatus"], "PARTIALLY_FULFILLED");
    assert_eq!(
        order["fulfillmentOrders"]["nodes"][0]["status"],
        "IN_PROGRESS"
    );
    assert_eq!(
        order["fulfillmentOrders"]["nodes"][0]["lineItems"]["nodes"][0]["remainingQuantity"],
        1
    );
}

#[tokio::test]
async fn tracking_is_replaced_not_added() {
    let bench = Bench::with(&[]).await;
    bench.order("A");
    let got = bench.run(FULFIL, bench.input("A", "OLD").await).await;
    let id = got["data"]["fulfillmentCreate"]["fulfillment"]["id"].clone();
    let nobody = json!({"id": "gid://shopify/Fulfillment/1", "t": {"number": "NEW"}});
    assert_eq!(
        user_error(&bench.run(RETRACK, nobody).await),
        "Fulfillment does not exist."
    );
    let got = bench
        .run(
            RETRACK,
            json!({"id": id, "t": {"number": "NEW", "company": "DPD"}}),
        )
        .await;
    assert_eq!(
        got["data"]["fulfillmentTrackingInfoUpdate"]["fulfillment"]["trackingInfo"],
        json!([{"company": "DPD", "number": "NEW", "url": null}])
    );
    let entries = bench.server.entries();
    assert_eq!(
        (
            entries[1].call.as_str(),
            &entries[1].numbers_before,
            entries[1].notified
        ),
        (
            "fulfillmentTrackingInfoUpdate",
            &vec!["OLD".to_owned()],
            false
        )
    );
}

#[tokio::test]
async fn people_cancel_hold_replace_and_fulfil_elsewhere() {
    let bench = Bench::with(&[]).await;
    for name in ["C", "H", "R", "E"] {
        bench.order(name);
    }
    let change = |name: &str, change| bench.server.change(name, change).unwrap();
    let stale = bench.input("R", "PS1").await;
    change(
        "C",
        Change {
            cancel: true,
            ..Change::default()
        },
    );
    change(
        "H",
        Change {
            hold: Some(true),
            ..Change::default()
        },
    );
    change(
        "R",
        Change {
            replace: true,
            ..Change::default()
        },
    );
    change(
        "E",
        Change {
            fulfil: Some("THEIRS".into()),
            ..Change::default()
        },
    );
    assert!(bench.server.change("NOPE", Change::default()).is_err());
    assert!(bench.find("C").await[0]["cancelledAt"].is_string());
    for (name, status) in [("C", "cancelled"), ("H", "on_hold"), ("E", "closed")] {
        let input = bench.input(name, "PS1").await;
        let got = bench.run(FULFIL, input).await;
        assert!(
            user_error(&got).contains(&format!("status= {status}.")),
            "{got}"
        );
    }
    assert!(user_error(&bench.run(FULFIL, stale).await).contains("closed"));
    let parts = bench.find("R").await[0]["fulfillmentOrders"]["nodes"].clone();
    assert_eq!(
        (&parts[0]["status"], &parts[1]["status"]),
        (&json!("CLOSED"), &json!("OPEN"))
    );
    assert_eq!(
        bench.find("E").await[0]["fulfillments"][0]["trackingInfo"][0]["number"],
        "THEIRS"
    );
    change(
        "H",
        Change {
            hold: Some(false),
            ..Change::default()
        },
    );
    let got = bench.run(FULFIL, bench.input("H", "PS1").await).await;
    assert_eq!(got["data"]["fulfillmentCreate"]["userErrors"], json!([]));
}

#[tokio::test]
async fn a_create_that_lost_its_reply_was_done() {
    let bench = Bench::with(&[]).await;
    bench.order("A");
    let input = bench.input("A", "PS1").await;
    bench.faults(&["drop_before_commit:once:fulfillmentCreate"]);
    assert!(bench.try_run(FULFIL, input.clone()).await.is_err());
    assert!(bench.server.entries().is_empty());
    bench.faults(&["shopify:drop_after_commit:once:fulfillmentCreate"]);
    assert!(bench.try_run(FULFIL, input).await.is_err());
    assert_eq!(bench.server.entries().len(), 1);
    assert_eq!(
        bench.find("A").await[0]["fulfillments"][0]["trackingInfo"][0]["number"],
        "PS1"
    );
    for (fault, status) in [
        ("error_500:once", 500),
        ("error_503:once", 503),
        ("rate_429_retry_after:once", 429),
    ] {
        bench.faults(&[fault]);
        assert_eq!(
            bench.try_run(SHIP, json!({"q": "name:A"})).await.unwrap().0,
            status
        );
    }
}

#[tokio::test]
async fn fulfilments_survive_a_restart_and_a_reset_forgets_them() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        state: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let server = Server::start(options()).await.unwrap();
    assert!(
        Server::start(options()).await.is_err(),
        "one simulator at a time"
    );
    let shop = server.shops()[0].clone();
    let bench = Bench {
        http: crate::client(),
        token: shop.access_token.clone(),
        shop,
        server,
    };
    bench.order("A");
    bench.run(FULFIL, bench.input("A", "PS1").await).await;
    let before = bench.server.orders();
    bench.server.stop().await;
    let server = Server::start(options()).await.unwrap();
    assert_eq!((server.orders(), server.entries().len()), (before, 1));
    let url = format!("{}/_sim", server.admin_url());
    let http = crate::client();
    let ledger = http
        .get(format!("{url}/ledger"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(ledger.contains("\"PS1\""));
    assert!(
        http.post(format!("{url}/reset"))
            .send()
            .await
            .unwrap()
            .status()
            .is_success()
    );
    assert!(server.orders().is_empty() && server.entries().is_empty());
}
