//! Who gets in: tokens, versions, tenants, roles, limits.

use crate::{Bench, all, read, text};
use printstation::sim::cartoncloud::{Network, Options};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn wrong_credentials_are_refused_in_both_known_shapes() {
    let bench = Bench::with(&[]).await;
    let got = bench.ask_token("wrong").await;
    assert_eq!(got.status, 401);
    assert_eq!(got.message(), "Bad credentials");
    let bench = Bench::with(&["bad-client=spring"]).await;
    let got = bench.ask_token("wrong").await;
    assert_eq!(
        (got.status.as_u16(), &got.json["error"]),
        (401, &json!("invalid_client"))
    );
}

#[tokio::test]
async fn version_token_and_tenant_are_checked_in_the_documented_order() {
    let bench = Bench::with(&[]).await;
    let url = format!(
        "{}/tenants/{}/customers",
        bench.server.url(),
        bench.server.tenant_id()
    );
    let bare = || bench.http.get(&url);
    let status = async |request| read(request).await.unwrap().status.as_u16();
    assert_eq!(status(bare()).await, 400, "no version");
    assert_eq!(status(bare().header("Accept-Version", "latest")).await, 406);
    assert_eq!(status(bare().header("Accept-Version", "99")).await, 406);
    assert_eq!(
        status(bare().header("Accept-Version", "1")).await,
        401,
        "no token"
    );
    let other = format!("{}/tenants/0000/customers", bench.server.url());
    let foreign = || {
        bench
            .http
            .get(&other)
            .bearer_auth(&bench.token)
            .header("Accept-Version", "1")
    };
    assert_eq!(status(foreign()).await, 403);
    let mut switches = bench.server.switches();
    switches.set("bad-tenant", "404").unwrap();
    bench.server.set_switches(switches);
    assert_eq!(status(foreign()).await, 404);
    let eight = bare()
        .bearer_auth(&bench.token)
        .header("Accept-Version", "8");
    assert_eq!(status(eight).await, 404, "customers have no version 8");
    assert_eq!(bench.get("nowhere").await.status, 404);
    assert_eq!(bench.get("warehouses").await.status, 404, "not documented");
    let patch = bench
        .send(Method::PATCH, "outbound-orders/x", Some(json!({})))
        .await
        .unwrap();
    assert_eq!(patch.status, 405);
    assert_eq!(patch.message(), "Request method 'PATCH' not supported");
    assert_eq!(bench.get("customers").await.status, 200);
}

#[tokio::test]
async fn userinfo_names_the_tenant() {
    let bench = Bench::with(&[]).await;
    let request = bench
        .http
        .get(format!("{}/uaa/userinfo", bench.server.url()));
    let got = read(
        request
            .bearer_auth(&bench.token)
            .header("Accept-Version", "1"),
    )
    .await
    .unwrap();
    assert_eq!(got.json["tenants"][0]["id"], bench.server.tenant_id());
}

#[tokio::test]
async fn tokens_expire_by_age_and_by_the_admin_door() {
    let mut bench = Bench::with(&["token-lifetime=1s"]).await;
    let got = bench.ask_token(bench.server.client_secret()).await;
    assert_eq!(got.json["expires_in"], 1);
    let deadline = std::time::Duration::from_secs(30);
    let aged = async {
        while bench.get("customers").await.status == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(deadline, aged)
        .await
        .expect("the token never expires");
    assert_eq!(bench.get("customers").await.status, 401);
    let mut switches = bench.server.switches();
    switches.set("token-lifetime", "3600s").unwrap();
    bench.server.set_switches(switches);
    bench.sign_in().await;
    assert_eq!(bench.get("customers").await.status, 200);
    bench.admin(Method::POST, "token/expire", Value::Null).await;
    assert_eq!(bench.get("customers").await.status, 401);
}

#[tokio::test]
async fn a_missing_role_is_a_403_that_names_it() {
    let search = json!({ "condition": all() });
    let cases = [
        (
            "role-wms-create-job",
            "outbound-orders/search",
            "WMS Create Job",
        ),
        (
            "role-wms-edit-product",
            "warehouse-products/search",
            "WMS Edit Product",
        ),
    ];
    for (switch, path, role) in cases {
        let bench = Bench::with(&[&format!("{switch}=missing")]).await;
        let got = bench.post(path, search.clone()).await;
        assert_eq!(got.status, 403);
        assert!(got.message().contains(role), "{}", got.message());
    }
    let bench = Bench::with(&["role-tms-view-jobs=missing"]).await;
    assert_eq!(
        bench
            .post("consignments/search", search.clone())
            .await
            .status,
        200,
        "implied"
    );
    let bench = Bench::with(&["role-tms-view-jobs=missing", "role-tms-create-jobs=missing"]).await;
    let got = bench.post("consignments/search", search.clone()).await;
    assert!(got.status == 403 && got.message().contains("TMS View Jobs"));
    let bench = Bench::with(&["role-tms-create-jobs=missing"]).await;
    let got = bench.put("consignments/x", 1, json!({})).await;
    assert!(got.status == 403 && got.message().contains("TMS Create Jobs"));
}

#[tokio::test]
async fn more_calls_than_a_minute_allows_are_429_with_or_without_retry_after() {
    for (word, header) in [("sent", "2"), ("absent", "")] {
        let mut options = Options {
            requests_per_minute: 3,
            ..Options::default()
        };
        options.switches.set("retry-after", word).unwrap();
        let bench = Bench::start(options).await;
        // The token was the first.
        assert_eq!(bench.get("customers").await.status, 200);
        assert_eq!(bench.get("customers").await.status, 200);
        let got = bench.get("customers").await;
        assert_eq!(
            (got.status.as_u16(), got.header("retry-after")),
            (429, header)
        );
    }
}

#[tokio::test]
async fn thirty_orders_a_minute_may_be_created() {
    let bench = Bench::with(&[]).await;
    let order = |n: usize| {
        json!({"references": {"customer": format!("N-{n}")}, "customer": {"references": {"code": "TEA"}},
            "details": {"deliver": {"address": {"contactName": "Pat Example", "address1": "1 Street"}}},
            "items": [{"details": {"product": {"references": {"code": "TEA-500"}}}, "measures": {"quantity": 1}}]})
    };
    for n in 0..30 {
        assert_eq!(bench.post("outbound-orders", order(n)).await.status, 201);
    }
    assert_eq!(bench.post("outbound-orders", order(30)).await.status, 429);
    assert_eq!(
        bench
            .search("", text("/references/customer", "N-7"))
            .await
            .references(),
        ["N-7"]
    );
}

#[tokio::test]
async fn the_network_can_be_cut_and_the_admin_door_stays() {
    let bench = Bench::with(&[]).await;
    for network in ["refused", "reset"] {
        bench
            .admin(Method::POST, "faults", json!({ "network": network }))
            .await;
        assert!(
            bench.send(Method::GET, "customers", None).await.is_err(),
            "{network}"
        );
        let (status, faults) = bench.admin(Method::GET, "faults", Value::Null).await;
        assert_eq!(
            (status.as_u16(), &faults["network"]),
            (200, &json!(network))
        );
    }
    bench.server.set_network(Network::Up);
    let back = async {
        while bench.send(Method::GET, "customers", None).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), back)
        .await
        .expect("it listens again");
}
