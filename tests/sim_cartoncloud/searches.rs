//! Searches, pages, and the shapes that rows take.

use crate::{Bench, all, leaf, read, text};
use printstation::sim::cartoncloud::{Seed, SeedItem};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_search_that_the_tenant_does_not_know_is_400_so_that_a_client_needs_its_fallback() {
    let bench = Bench::with(&["status-search=no", "guessed-search=no"]).await;
    let got = bench
        .post("outbound-orders/search", json!({ "condition": {} }))
        .await;
    assert_eq!(got.status, 400);
    assert_eq!(got.message(), "Missing field: type, from search condition.");
    for pointer in [
        "/status",
        "/references/numericId",
        "/warehouse/id",
        "/properties/x",
    ] {
        let got = bench.search("", text(pointer, "PACKED")).await;
        assert_eq!(got.status, 400, "{pointer}");
        assert!(got.message().contains(pointer));
    }
    let bench = Bench::with(&[]).await;
    for pointer in [
        "/status",
        "/references/numericId",
        "/warehouse/id",
        "/properties/x",
    ] {
        assert_eq!(
            bench.search("", text(pointer, "PACKED")).await.status,
            200,
            "{pointer}"
        );
    }
}

#[tokio::test]
async fn orders_are_found_by_status_customer_reference_and_change() {
    let bench = Bench::with(&[]).await;
    bench.order("A-1");
    let mug = Seed {
        customer: "MUG".into(),
        ..Seed::reference("A-1")
    };
    let twin = bench.server.add_order(mug).unwrap();
    bench.order("A-1 | 7522600000000 | 0003");
    assert!(
        bench.server.set_status("A-1", "PACKED").is_err(),
        "two customers have it"
    );
    bench.server.set_status("MUG/A-1", "PACKED").unwrap();
    let got = bench.search("", text("/status", "PACKED")).await;
    assert_eq!(got.json[0]["id"], twin.as_str());
    assert_eq!(got.json[0]["customer"]["references"]["code"], "MUG");
    assert_eq!(
        bench
            .search("", text("/references/customer", "A-1"))
            .await
            .references()
            .len(),
        2
    );
    let stem = leaf("Text", "/references/customer", "A-1", "STARTS_WITH");
    assert_eq!(bench.search("", stem).await.references().len(), 3);
    let customer = bench.server.customers()[1].id.clone();
    assert_eq!(
        bench
            .search("", text("/customer/id", &customer))
            .await
            .references()
            .len(),
        1
    );
    let modified = "/timestamps/modified/time";
    let since = leaf(
        "DateTime",
        modified,
        "2020-01-01T00:00:00+11:00",
        "GREATER_THAN_OR_EQUAL_TO",
    );
    assert_eq!(bench.search("", since).await.references().len(), 3);
    let later = leaf(
        "DateTime",
        modified,
        "2999-01-01T00:00:00Z",
        "GREATER_THAN_OR_EQUAL_TO",
    );
    assert_eq!(bench.search("", later).await.references().len(), 0);
}

#[tokio::test]
async fn pages_are_counted_in_headers_and_end_with_an_empty_one() {
    let bench = Bench::with(&[]).await;
    for n in 0..5 {
        bench.order(&format!("P-{n}"));
    }
    assert_eq!(bench.search("?page=0", all()).await.status, 400);
    let first = bench.search("?page=1&size=2", all()).await;
    assert_eq!(first.references(), ["P-0", "P-1"]);
    let told = ["Total-Pages", "Page-Size", "Page-Number", "Total-Elements"];
    assert_eq!(told.map(|h| first.header(h)), ["3", "2", "1", "5"]);
    assert!(
        first
            .header("link")
            .contains("page=2&size=2>; rel=\"next\"")
    );
    assert_eq!(
        bench.search("?page=3&size=2", all()).await.references(),
        ["P-4"]
    );
    assert_eq!(
        bench
            .search("?page=4&size=2", all())
            .await
            .references()
            .len(),
        0
    );
    let bench = Bench::with(&["paging-headers=absent"]).await;
    assert_eq!(
        bench
            .search("?page=1&size=2", all())
            .await
            .header("total-pages"),
        ""
    );
}

#[tokio::test]
async fn minimal_results_have_ids_alone() {
    let bench = Bench::with(&[]).await;
    let id = bench.order("M");
    let request = bench
        .request(Method::POST, "outbound-orders/search")
        .header("Prefer", "return=minimal");
    let got = read(request.body(json!({ "condition": all() }).to_string()))
        .await
        .unwrap();
    assert_eq!(got.json, json!([{ "id": id }]));
    assert_eq!(got.header("preference-applied"), "return=minimal");
}

#[tokio::test]
async fn a_page_can_repeat_or_skip_an_element_while_orders_move() {
    let bench = Bench::with(&[]).await;
    for n in 0..4 {
        bench.order(&format!("D-{n}"));
    }
    bench.faults(&["page_repeats:once:order-search"]);
    assert_eq!(
        bench.search("?page=2&size=2", all()).await.references(),
        ["D-1", "D-2"]
    );
    bench.faults(&["page_skips:once"]);
    assert_eq!(
        bench.search("?page=2&size=2", all()).await.references(),
        ["D-3"]
    );
    assert_eq!(
        bench.search("?page=2&size=2", all()).await.references(),
        ["D-2", "D-3"]
    );
}

#[tokio::test]
async fn results_move_when_the_newest_change_comes_first() {
    let bench = Bench::with(&["sort=modified-desc"]).await;
    bench.order("S-0");
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    bench.order("S-1");
    assert_eq!(bench.search("", all()).await.references(), ["S-1", "S-0"]);
    tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    bench.server.set_status("S-0", "PACKED").unwrap();
    assert_eq!(bench.search("", all()).await.references(), ["S-0", "S-1"]);
}

#[tokio::test]
async fn header_names_come_in_both_cases() {
    for (word, name) in [("title", "Total-Pages: "), ("lower", "total-pages: ")] {
        let bench = Bench::with(&[&format!("header-case={word}")]).await;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut line = tokio::net::TcpStream::connect(bench.server.addr())
            .await
            .unwrap();
        let head = format!(
            "GET /tenants/{}/customers HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\
             Accept-Version: 1\r\nAuthorization: Bearer {}\r\n\r\n",
            bench.server.tenant_id(),
            bench.token
        );
        line.write_all(head.as_bytes()).await.unwrap();
        let mut reply = String::new();
        line.read_to_string(&mut reply).await.unwrap();
        assert!(reply.contains(name), "{reply}");
    }
}

#[tokio::test]
async fn rows_take_the_shapes_that_tenants_have() {
    let look = async |switches: &[&str]| {
        let bench = Bench::with(switches).await;
        let id = bench.order("R");
        bench.get(&format!("outbound-orders/{id}")).await.json
    };
    let plain = look(&[]).await;
    let address = &plain["details"]["deliver"]["address"];
    assert!(address["suburb"].is_string() && address["city"].is_string());
    assert_eq!(address["state"]["code"], "VIC");
    assert_eq!(plain["items"][0]["measures"]["quantity"], 1.0);
    assert!(
        plain.get("$touched").is_none(),
        "the simulator's own members stay at home"
    );
    assert!(plain["references"]["numericId"].is_string());
    let time = plain["timestamps"]["created"]["time"].as_str().unwrap();
    assert!(time.ends_with("+10:00") && !time.contains('.'), "{time}");
    let address = |v: &serde_json::Value| v["details"]["deliver"]["address"].clone();
    let missing = address(&look(&["city=missing"]).await);
    assert!(missing.get("city").is_none() && missing["suburb"].is_string());
    let only = address(&look(&["city=only"]).await);
    assert!(only.get("suburb").is_none() && only["city"].is_string());
    assert_eq!(address(&look(&["state=text"]).await)["state"], "VIC");
    let strings = look(&["numbers=strings"]).await;
    assert_eq!(strings["items"][0]["measures"]["quantity"], "1.000");
    assert_eq!(strings["version"], 1, "a version stays a number");
}

#[tokio::test]
async fn products_show_sizes_under_version_8_alone_and_some_have_no_weight() {
    let bench = Bench::with(&[]).await;
    assert_eq!(
        bench.get("warehouse-products/x").await.message(),
        "Invalid product id"
    );
    let body =
        json!({"condition": {"type": "AndCondition", "conditions": [text("/code", "TEA-500")]}});
    let one = bench
        .post("warehouse-products/search", body.clone())
        .await
        .json;
    let unit = &one[0]["unitOfMeasures"]["UNIT"];
    assert!(unit["weight"] == 0.52 && unit.get("length").is_none());
    let id = one[0]["id"].as_str().unwrap();
    let eight = bench
        .http
        .get(format!(
            "{}/tenants/{}/warehouse-products/{id}",
            bench.server.url(),
            bench.server.tenant_id()
        ))
        .bearer_auth(&bench.token)
        .header("Accept-Version", "8");
    let eight = read(eight).await.unwrap().json;
    assert_eq!(eight["unitOfMeasures"]["CTN"]["length"], 0.4);
    let world = bench.admin(Method::GET, "world", json!(null)).await.1;
    let unit = |code: &str| {
        let products = world["products"].as_array().unwrap();
        let found = products.iter().find(|p| p["references"]["code"] == code);
        found.unwrap()["unitOfMeasures"].clone()
    };
    assert_eq!(unit("TEA-ZERO")["UNIT"]["weight"], 0);
    assert!(unit("TEA-NOWEIGHT")["UNIT"].get("weight").is_none());
    assert!(
        unit("TEA-250")["CTN"].get("weight").is_none(),
        "a carton that falls back to units"
    );
    bench
        .server
        .change_product(
            "TEA-500",
            json!({"unitOfMeasures": {"UNIT": {"weight": 9.9}}}),
        )
        .unwrap();
    let again = bench.post("warehouse-products/search", body).await.json;
    assert_eq!(again[0]["unitOfMeasures"]["UNIT"]["weight"], 9.9);
}

#[tokio::test]
async fn nasty_orders_are_as_nasty_as_promised() {
    let bench = Bench::with(&[]).await;
    let (status, made) = bench.admin(Method::POST, "nasty", json!(null)).await;
    assert_eq!(status, 200, "{made}");
    let orders = bench.server.orders();
    let find = |reference: &'static str| orders.iter().filter(move |o| o.reference == reference);
    assert_eq!(find("WEB20417 | 7522600000000 | 0003").count(), 1);
    assert_eq!(find("NASTY-TWINS").count(), 2);
    assert_eq!(
        orders.iter().filter(|o| o.numeric_id == "990001").count(),
        2
    );
    let address = |reference: &'static str| {
        find(reference).next().unwrap().order["details"]["deliver"]["address"].clone()
    };
    assert_eq!(
        address("NASTY-STREET")["address1"].as_str().unwrap().len(),
        100
    );
    let nowhere = address("NASTY-NOSUBURB");
    assert!(nowhere.get("suburb").is_none() && nowhere.get("city").is_none());
    let own = &find("NASTY-CC-FULFILS").next().unwrap().order["externalMeta"];
    assert_eq!(own["createShopifyFulfillments"], true);
    let zero = find("NASTY-ZERO").next().unwrap();
    assert_eq!(
        zero.order["items"][0]["details"]["product"]["references"]["code"],
        "TEA-ZERO"
    );
}

#[tokio::test]
async fn a_seed_of_an_unknown_customer_or_product_makes_nothing() {
    let bench = Bench::with(&[]).await;
    let nobody = Seed {
        customer: "NOBODY".into(),
        ..Seed::reference("X")
    };
    assert!(bench.server.add_order(nobody).is_err());
    let nothing = Seed {
        items: vec![SeedItem::units("MUG-500", 1.0)],
        ..Seed::reference("X")
    };
    assert!(
        bench
            .server
            .add_order(nothing)
            .unwrap_err()
            .to_string()
            .contains("TEA has no product")
    );
    let (status, told) = bench
        .admin(
            Method::POST,
            "orders",
            json!({"reference": "X", "colour": 1}),
        )
        .await;
    assert!(status == 400 && told["error"].as_str().unwrap().contains("colour"));
    assert!(bench.server.orders().is_empty());
}
