//! What clients write: sale orders, consignments, documents; and what people do meanwhile.

use crate::{Bench, read, text};
use printstation::sim::cartoncloud::{Change, Seed};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_sale_order_cannot_be_put_unless_the_tenant_can() {
    for (word, status) in [("405", 405), ("404", 404), ("501", 501)] {
        let bench = Bench::with(&[&format!("order-put={word}")]).await;
        let id = bench.order("A");
        let got = bench
            .put(&format!("outbound-orders/{id}"), 1, json!({}))
            .await;
        assert_eq!(got.status, status);
        if status == 405 {
            assert_eq!(got.message(), "Request method 'PUT' not supported");
        }
        assert!(bench.server.writes().is_empty());
    }
}

#[tokio::test]
async fn an_enabled_put_checks_if_match_and_merges() {
    let bench = Bench::with(&["order-put=enabled"]).await;
    let id = bench.order("A");
    let path = format!("outbound-orders/{id}");
    let mut order = bench.get(&path).await.json;
    order["properties"]["carrierTrackingNumberField"] = json!("PS1");
    order["status"] = json!("DISPATCHED");
    assert_eq!(bench.put(&path, 9, order.clone()).await.status, 412);
    let got = bench.put(&path, 1, order).await;
    assert_eq!(got.status, 200);
    assert_eq!(
        (&got.json["version"], &got.json["status"]),
        (&json!(2), &json!("AWAITING_PICK_AND_PACK"))
    );
    let view = &bench.server.orders()[0];
    assert_eq!(view.tracking, "PS1");
    let write = &bench.server.writes()[0];
    assert_eq!(
        (
            write.call.as_str(),
            write.tracking.as_deref(),
            write.tracking_before.as_deref()
        ),
        ("order-put", Some("PS1"), None)
    );
    assert_eq!(write.changes.len(), 1, "{:?}", write.changes);
    let bench = Bench::with(&["order-put=rewrites-items"]).await;
    let id = bench.order("A");
    let path = format!("outbound-orders/{id}");
    let before = bench.get(&path).await.json;
    let after = bench.put(&path, 1, before.clone()).await.json;
    assert_ne!(
        before["items"][0]["id"], after["items"][0]["id"],
        "a self-test must see this"
    );
}

#[tokio::test]
async fn an_internal_tracking_field_does_not_exist_without_the_role() {
    let bench = Bench::with(&[
        "order-put=enabled",
        "tracking-field=internal",
        "role-internal-fields=missing",
    ])
    .await;
    let id = bench.order("A");
    let path = format!("outbound-orders/{id}");
    let order = bench.get(&path).await.json;
    assert!(
        order["properties"]
            .get("carrierTrackingNumberField")
            .is_none()
    );
    let put = json!({"properties": {"carrierTrackingNumberField": "PS1"}});
    assert_eq!(bench.put(&path, 1, put).await.status, 200);
    assert_eq!(
        bench.server.orders()[0].tracking,
        "",
        "answered with success and forgotten"
    );
}

#[tokio::test]
async fn consignments_appear_when_and_as_the_tenant_is_set() {
    let kinds = async |switches: &[&str], statuses: &[&str]| {
        let bench = Bench::with(switches).await;
        bench.order("A");
        for status in statuses {
            bench.server.set_status("A", status).unwrap();
        }
        let view = bench.server.orders().pop().unwrap();
        view.consignments
            .into_iter()
            .map(|c| c.kind)
            .collect::<Vec<_>>()
    };
    assert!(
        kinds(&["consignments=none"], &["PACKED", "DISPATCHED"])
            .await
            .is_empty()
    );
    assert!(kinds(&[], &["PICKED"]).await.is_empty());
    assert_eq!(
        kinds(&[], &["PACKED", "DISPATCHED"]).await,
        ["WAREHOUSE_FULFILMENT"]
    );
    assert_eq!(
        kinds(&["consignments=transport"], &["DISPATCHED"]).await,
        ["DELIVERY"]
    );
    assert_eq!(
        kinds(&["consignments=both"], &["PACKED"]).await,
        ["DELIVERY", "WAREHOUSE_FULFILMENT"]
    );
    assert!(
        kinds(&["consignment-at=dispatched"], &["PACKED"])
            .await
            .is_empty()
    );
    assert_eq!(
        kinds(&["consignment-at=dispatched"], &["PACKED", "DISPATCHED"])
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn packed_can_be_skipped_with_and_without_its_stamp() {
    for (stamp, there) in [("set", true), ("absent", false)] {
        let bench = Bench::with(&["packed=skipped", &format!("packed-stamp={stamp}")]).await;
        let id = bench.order("A");
        bench.server.set_status("A", "PACKED").unwrap();
        let order = bench.get(&format!("outbound-orders/{id}")).await.json;
        assert_eq!(order["status"], "DISPATCHED");
        assert_eq!(order["timestamps"].get("packed").is_some(), there);
        assert!(order["timestamps"]["dispatched"]["time"].is_string());
    }
}

#[tokio::test]
async fn a_fulfilment_has_the_packages_and_takes_a_tracking_number_once_per_version() {
    let bench = Bench::with(&[]).await;
    let seed = Seed {
        packages: vec![2.5, 1.0],
        ..Seed::reference("A")
    };
    let id = bench.server.add_order(seed).unwrap();
    bench.server.set_status("A", "PACKED").unwrap();
    let mut row = bench.consignment(&id).await;
    assert_eq!(row["items"][1]["measures"]["weight"], 1.0);
    let path = format!("consignments/{}", row["id"].as_str().unwrap());
    row["references"]["tracking"] = json!("PS1");
    row["details"]["tracking"] = json!({"companyName": "AusPost", "url": "https://t.example/PS1"});
    assert_eq!(bench.put(&path, 7, row.clone()).await.status, 412);
    assert_eq!(
        bench
            .put(&path, 1, json!({"references": {"customer": null}}))
            .await
            .status,
        422
    );
    assert_eq!(
        bench.put("consignments/x", 1, json!({})).await.json[0]["code"],
        10100
    );
    let got = bench.put(&path, 1, row.clone()).await;
    assert_eq!(
        (got.status.as_u16(), &got.json["version"]),
        (200, &json!(2))
    );
    assert_eq!(
        bench.put(&path, 1, row).await.status,
        412,
        "the same once more is stale"
    );
    let view = &bench.server.orders()[0].consignments[0];
    assert_eq!(
        (view.tracking.as_str(), view.carrier.as_str(), view.version),
        ("PS1", "AusPost", 2)
    );
    let writes = bench.server.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!(
        (
            writes[0].order.as_str(),
            writes[0].reference.as_str(),
            writes[0].customer.as_str()
        ),
        (id.as_str(), "A", "TEA")
    );
    assert_eq!(writes[0].if_match.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_put_is_refused_as_stale_missing_or_replaces_as_the_tenant_is_set() {
    let packed = async |switches: &[&str]| {
        let bench = Bench::with(switches).await;
        let id = bench.order("A");
        bench.server.set_status("A", "PACKED").unwrap();
        let row = bench.consignment(&id).await;
        let path = format!("consignments/{}", row["id"].as_str().unwrap());
        (bench, path)
    };
    let (bench, path) = packed(&["stale=409"]).await;
    assert_eq!(bench.put(&path, 9, json!({})).await.status, 409);
    let (bench, path) = packed(&["if-match=required"]).await;
    let bare = bench
        .send(Method::PUT, &path, Some(json!({})))
        .await
        .unwrap();
    assert_eq!(bare.status, 412);
    let (bench, path) = packed(&[]).await;
    let bare = bench
        .send(
            Method::PUT,
            &path,
            Some(json!({"references": {"tracking": "T"}})),
        )
        .await
        .unwrap();
    assert_eq!(bare.json["items"].as_array().unwrap().len(), 1, "merged");
    let (bench, path) = packed(&["consignment-put=replace"]).await;
    let row = bench.get(&path).await.json;
    let some = json!({"references": row["references"], "customer": row["customer"]});
    let got = bench.put(&path, 1, some).await;
    assert!(
        got.status == 200 && got.json.get("items").is_none(),
        "{got:?}"
    );
    assert!(got.json["generatedFromTask"]["id"].is_string());
}

#[tokio::test]
async fn documents_are_attached_listed_in_pages_and_read_back() {
    let bench = Bench::with(&["documents-page=2"]).await;
    let id = bench.order("A");
    let path = format!("outbound-orders/{id}/documents");
    let document = |name: &str, data: &str| json!({"type": "OUTBOUND_ORDER_INVOICE", "content": {"name": name, "data": data}});
    assert_eq!(
        bench
            .post("outbound-orders/x/documents", document("a.pdf", "JVBERg=="))
            .await
            .status,
        404
    );
    assert_eq!(
        bench
            .post(&path, document("a.pdf", "not base64!"))
            .await
            .status,
        422
    );
    assert_eq!(
        bench.post(&path, document("", "JVBERg==")).await.status,
        422
    );
    assert_eq!(
        bench
            .post(
                &path,
                json!({"type": "LABEL", "content": {"name": "a", "data": "JVBERg=="}})
            )
            .await
            .status,
        422
    );
    for name in ["a.pdf", "b.pdf", "c.pdf"] {
        assert_eq!(
            bench.post(&path, document(name, "JVBERg==")).await.status,
            201
        );
    }
    let names = async |page: u8| {
        let got = bench.get(&format!("{path}?page={page}&size=100")).await;
        let rows = got.json.as_array().unwrap().clone();
        rows.iter()
            .map(|d| d["content"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(1).await, ["a.pdf", "b.pdf"]);
    assert_eq!(names(2).await, ["c.pdf"]);
    assert!(names(3).await.is_empty());
    let list = bench.get(&path).await.json;
    assert!(list[0]["content"].get("data").is_none());
    let one = list[0]["id"].as_str().unwrap();
    assert_eq!(
        bench.get(&format!("{path}/{one}")).await.json["content"]["data"],
        "JVBERg=="
    );
    let raw = bench
        .request(Method::GET, &format!("{path}/{one}/download"))
        .send()
        .await
        .unwrap();
    assert_eq!(raw.headers()["content-type"], "application/pdf");
    assert_eq!(raw.bytes().await.unwrap(), "%PDF".as_bytes());
    let mut owned = document("d.pdf", "JVBERg==");
    owned["owner"] = json!({"type": "OUTBOUND", "id": id});
    assert_eq!(bench.post("documents", owned).await.status, 201);
    let view = bench.server.orders().pop().unwrap();
    assert_eq!(view.documents.len(), 4);
    let writes = bench.server.writes();
    assert_eq!(
        writes[0].sha256.as_deref(),
        Some(view.documents[0].sha256.as_str())
    );
    assert_eq!(writes[3].name.as_deref(), Some("d.pdf"));
}

#[tokio::test]
async fn an_order_without_stock_is_created_as_rejected_with_228_and_may_be_deleted() {
    let bench = Bench::with(&[]).await;
    let order = |reference: &str, quantity: u32| {
        json!({"references": {"customer": reference},
        "customer": {"name": "Tea Merchants"},
        "details": {"deliver": {"address": {"companyName": "Cafe", "address1": "1 Street"}}},
        "items": [{"details": {"product": {"references": {"code": "TEA-500"}}}, "measures": {"quantity": quantity}}]})
    };
    let got = bench
        .post("outbound-orders", json!({"references": {"customer": "X"}}))
        .await;
    assert_eq!(
        (got.status.as_u16(), &got.json[0]["field"]),
        (422, &json!("/customer"))
    );
    let got = bench.post("outbound-orders", order("A", 1)).await;
    assert_eq!(got.status, 201);
    let kept = got.json["id"].as_str().unwrap().to_owned();
    let twin = bench.post("outbound-orders", order("A", 1)).await;
    assert_eq!(
        (
            &twin.json[0]["type"],
            &twin.json[0]["details"]["duplicateId"]
        ),
        (&json!("DUPLICATE"), &json!(kept))
    );
    let got = bench.post("outbound-orders", order("B", 20_000)).await;
    assert_eq!(got.status.as_u16(), 228);
    assert_eq!(got.json["status"], "REJECTED");
    assert!(
        got.json["details"]["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("stock")
    );
    let delete = async |id: &str| {
        bench
            .send(Method::DELETE, &format!("outbound-orders/{id}"), None)
            .await
            .unwrap()
            .status
    };
    assert_eq!(delete(&kept).await, 422);
    assert_eq!(delete(got.json["id"].as_str().unwrap()).await, 204);
    assert_eq!(bench.server.orders().len(), 1);
}

#[tokio::test]
async fn people_change_cancel_recreate_and_delete_orders() {
    let bench = Bench::with(&[]).await;
    let id = bench.order("A");
    let path = format!("outbound-orders/{id}");
    let (status, told) = bench
        .admin(Method::PATCH, "orders/NOPE", json!({"cancel": true}))
        .await;
    assert!(status == 400 && told["error"] == "no order 'NOPE'");
    let change = json!({"address": {"suburb": null, "address1": "9 New Road"}, "items": [{"sku": "TEA-GIFT", "quantity": 2}]});
    bench.admin(Method::PATCH, "orders/A", change).await;
    let order = bench.get(&path).await.json;
    assert_eq!(
        order["details"]["deliver"]["address"]["address1"],
        "9 New Road"
    );
    assert_eq!(
        (
            &order["version"],
            &order["items"][0]["measures"]["quantity"]
        ),
        (&json!(2), &json!(2.0))
    );
    let (_, told) = bench
        .admin(
            Method::POST,
            "orders/A/status",
            json!({"status": "QUALITY_CHECK"}),
        )
        .await;
    assert_eq!(told["order"]["status"], "QUALITY_CHECK", "any word");
    let (_, told) = bench
        .admin(
            Method::POST,
            "orders/A/properties",
            json!({"carrierTrackingNumberField": "PS9"}),
        )
        .await;
    assert_eq!(told["order"]["tracking"], "PS9", "CartonCloud's own link");
    assert!(bench.server.writes().is_empty(), "nobody used the API");
    let new = bench
        .server
        .change(
            "A",
            Change {
                recreate: true,
                ..Change::default()
            },
        )
        .unwrap();
    assert_ne!(new, id);
    assert_eq!(bench.get(&path).await.json[0]["code"], 10400);
    assert_eq!(
        bench
            .search("", text("/references/customer", "A"))
            .await
            .json[0]["id"],
        new.as_str()
    );
    bench
        .server
        .change(
            "A",
            Change {
                cancel: true,
                ..Change::default()
            },
        )
        .unwrap();
    assert_eq!(bench.server.orders()[0].status, "REJECTED");
    bench
        .server
        .change(
            &new,
            Change {
                delete: true,
                ..Change::default()
            },
        )
        .unwrap();
    let (_, told) = bench.admin(Method::GET, "orders", Value::Null).await;
    assert_eq!(told, json!({ "orders": [] }));
}

#[tokio::test]
async fn no_items_are_sent_where_none_are_preferred() {
    let bench = Bench::with(&[]).await;
    let id = bench.order("A");
    bench.server.set_status("A", "PACKED").unwrap();
    let row = bench.consignment(&id).await;
    let path = format!("consignments/{}", row["id"].as_str().unwrap());
    let request = bench
        .request(Method::GET, &path)
        .header("Prefer", "return=no-items");
    let got = read(request).await.unwrap();
    assert!(got.json.get("items").is_none());
    assert_eq!(got.header("preference-applied"), "return=no-items");
}
