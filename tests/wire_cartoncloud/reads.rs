//! Token, roles, look-ups, products, packages: what is read.

use super::*;
use printstation::sim::cartoncloud::{Change, SeedItem, nasty_orders};
use serde_json::json;

#[tokio::test]
async fn wrong_credentials_are_told_as_such_in_either_form() {
    for form in ["bad-client=array", "bad-client=spring"] {
        let bench = Bench::with(&[form]).await;
        let mut settings = settings(&bench.server);
        settings.client_secret = "not-the-secret".into();
        let client = CartonCloud::new(settings).unwrap();
        let result = client.order(NOBODY, Priority::Scan).await;
        let detail = format!("{result:?}");
        assert_refused(result, Code::CartoncloudUnauthorized, "credentials");
        assert!(!detail.contains("not-the-secret"), "{detail}");
        assert_eq!(bench.calls("order-get"), 0);
    }
}

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

#[tokio::test]
async fn a_tenant_without_a_role_is_told_which_one() {
    for (switch, role) in [
        ("role-wms-create-job=missing", "WMS Create Job"),
        ("role-wms-edit-product=missing", "WMS Edit Product"),
        ("role-tms-create-jobs=missing", "TMS Create Jobs"),
    ] {
        let bench = Bench::with(&[switch]).await;
        bench.packed("WEB-1");
        let checks = bench.client.self_test().await;
        let denied: Vec<_> = checks.iter().filter(|c| c.result.is_err()).collect();
        assert!(!denied.is_empty(), "{checks:?}");
        for check in denied {
            assert_eq!(check.role, role, "{checks:?}");
            assert_refused(check.result.clone(), Code::CartoncloudUnauthorized, role);
        }
    }
    let bench = Bench::with(&["role-tms-create-jobs=missing", "role-tms-view-jobs=missing"]).await;
    let result = bench.client.packages(NOBODY, Priority::Scan).await;
    assert_refused(result, Code::CartoncloudUnauthorized, "TMS View Jobs");
}

#[tokio::test]
async fn a_self_test_with_all_roles_finds_nothing_wrong() {
    for switch in ["status-search=yes", "status-search=no"] {
        let bench = Bench::with(&[switch]).await;
        bench.packed("WEB-1");
        let before = bench.server.writes().len();
        let checks = bench.client.self_test().await;
        assert!(checks.iter().all(|c| c.result.is_ok()), "{checks:?}");
        assert_eq!(checks.len(), 6);
        assert_eq!(bench.server.writes().len(), before, "it changed something");
    }
}

#[tokio::test]
async fn another_organisation_is_not_ours() {
    for switch in ["bad-tenant=403", "bad-tenant=404"] {
        let bench = Bench::with(&[switch]).await;
        let mut settings = settings(&bench.server);
        settings.tenant_id = NOBODY.into();
        let client = CartonCloud::new(settings).unwrap();
        let checks = client.self_test().await;
        let result = checks[0].result.clone();
        assert_refused(result, Code::CartoncloudUnauthorized, "tenant_id");
    }
}

#[tokio::test]
async fn one_token_serves_all_who_wait_and_is_renewed_when_it_is_refused() {
    let bench = Bench::with(&[]).await;
    let id = bench.packed("WEB-1");
    let gets = (0..8).map(|_| {
        let (client, id) = (bench.client.clone(), id.clone());
        tokio::spawn(async move { client.order(&id, Priority::Scan).await })
    });
    for get in gets.collect::<Vec<_>>() {
        assert!(get.await.unwrap().unwrap().is_some());
    }
    assert_eq!(bench.calls("token"), 1);
    bench.server.expire_tokens();
    assert!(bench.get(&id).await.unwrap().is_some());
    assert_eq!(bench.calls("token"), 2);
    // Refused again at once: no second try.
    bench.faults(&["token_expired:always:order-get"]);
    let result = bench.get(&id).await;
    assert_refused(result, Code::CartoncloudUnauthorized, "new token");
    assert_eq!(bench.calls("token"), 3);
}

#[tokio::test]
async fn short_lived_tokens_follow_each_other_unnoticed() {
    let bench = Bench::with(&["token-lifetime=1s"]).await;
    let id = bench.packed("WEB-1");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while bench.calls("token") < 3 {
        assert!(bench.get(&id).await.unwrap().is_some());
        assert!(tokio::time::Instant::now() < deadline);
    }
}

#[tokio::test]
async fn reads_survive_what_passes_and_tell_what_stays() {
    let bench = Bench::with(&[]).await;
    let id = bench.packed("WEB-1");
    for passing in [
        "error_500:2x:order-get",
        "error_503:2x:order-get",
        "html_500:1x:order-get",
        "reset:2x:order-get",
        "drop_mid_reply:1x:order-get",
        "rate_429:1x:order-get",
        "rate_429_retry_after:1x:order-get",
        "error_500:1x:order-search",
    ] {
        bench.faults(&[passing]);
        assert!(bench.get(&id).await.unwrap().is_some(), "{passing}");
        assert_eq!(bench.find_one("WEB-1").await.uuid, id, "{passing}");
    }
    bench.faults(&["error_503:always:order-get"]);
    let failure = bench.get(&id).await.unwrap_err();
    assert!(
        matches!(failure, CallFailure::Unknown { .. }),
        "{failure:?}"
    );
    bench.faults(&["garbage_json:always:order-get"]);
    let garbage = bench.get(&id).await;
    assert!(
        matches!(garbage, Err(CallFailure::Unknown { .. })),
        "{garbage:?}"
    );
    // Without a token the call itself was never sent.
    bench.faults(&["error_500:always:token"]);
    bench.server.expire_tokens();
    let result = bench.get(&id).await;
    assert!(
        matches!(result, Err(CallFailure::NotSent { .. })),
        "{result:?}"
    );
    bench
        .server
        .set_network(printstation::sim::cartoncloud::Network::Refused);
    let result = bench.find("WEB-1").await;
    assert!(
        matches!(result, Err(CallFailure::NotSent { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn numbers_states_and_cities_are_read_in_every_form() {
    let mut fingerprints = Vec::new();
    for switches in [
        &["numbers=numbers"][..],
        &["numbers=strings"],
        &["state=text"],
        &["header-case=lower", "city=missing"],
        &["paging-headers=absent"],
    ] {
        let bench = Bench::with(switches).await;
        let id = bench.packed("WEB-1");
        let order = bench.get(&id).await.unwrap().unwrap();
        assert_eq!(
            (order.number.as_str(), order.status.as_str()),
            ("WEB-1", "PACKED")
        );
        assert!(order.version >= 1 && order.modified.is_some() && order.postcode.is_some());
        assert_eq!(bench.find_one("web-1").await.uuid, id, "{switches:?}");
        let products = bench.client.products(&order, Priority::Scan).await.unwrap();
        let product = products.values().next().unwrap();
        assert!(
            product.weight_kg(Some("UNIT")).unwrap() > 0.0,
            "{product:?}"
        );
        fingerprints.push(order.fingerprint);
    }
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 1, "only the writing differs");
}

#[tokio::test]
async fn nasty_orders_are_found_or_told_as_ambiguous() {
    for guessed in ["guessed-search=yes", "guessed-search=no"] {
        let bench = Bench::with(&[guessed]).await;
        for seed in nasty_orders(&bench.server.customers()) {
            bench.order(seed);
        }
        assert_eq!(bench.find("NASTY").await.unwrap(), [], "half a reference");
        assert_eq!(bench.find("WEB").await.unwrap(), [], "a beginning only");
        assert_eq!(bench.find("NASTY-TWINS").await.unwrap().len(), 2);
        let composite = bench.find_one("WEB20417").await;
        assert_eq!(composite.number, "WEB20417 | 7522600000000 | 0003");
        assert_eq!(bench.find_one(&composite.number).await.uuid, composite.uuid);
        assert_eq!(bench.find_one(&composite.uuid).await.uuid, composite.uuid);
        let twice = bench.find("990001").await.unwrap();
        let expected = if guessed.ends_with("yes") { 2 } else { 0 };
        assert_eq!(twice.len(), expected, "the numeric id is not unique");
        let again = bench.calls("order-search");
        bench.find("990001").await.unwrap();
        let asked = bench.calls("order-search") - again;
        assert_eq!(asked, 2, "refusals are remembered");
        let link = "https://app.cartoncloud.com/Acme/SaleOrders/view/990001";
        assert_eq!(bench.find(link).await.unwrap().len(), expected);
        assert!(bench.find_one("NASTY-PICKUP").await.pickup);
    }
}

#[tokio::test]
async fn an_order_that_was_deleted_and_made_again_is_gone_and_found_by_its_reference() {
    let bench = Bench::with(&[]).await;
    let old = bench.packed("WEB-1");
    let change = Change {
        recreate: true,
        ..Change::default()
    };
    let new = bench.server.change("WEB-1", change).unwrap();
    assert_eq!(bench.get(&old).await.unwrap(), None);
    assert_eq!(bench.find_one("WEB-1").await.uuid, new);
    // A gateway's 404 is not the service's.
    bench.faults(&["html_500:always:order-get"]);
    assert!(bench.get(&new).await.is_err());
}

#[tokio::test]
async fn more_hits_than_one_page_are_each_told_once() {
    for headers in ["paging-headers=sent", "paging-headers=absent"] {
        let bench = Bench::with(&[headers]).await;
        for n in 0..60 {
            bench.order(Seed::reference(format!("BULK | {n}")));
        }
        let hits = bench.find("BULK").await.unwrap();
        let ids: std::collections::BTreeSet<_> = hits.iter().map(|o| &o.uuid).collect();
        assert_eq!((hits.len(), ids.len()), (60, 60));
        assert_eq!(
            bench.calls("order-search"),
            3,
            "one for the whole, two pages"
        );
    }
}

#[tokio::test]
async fn a_status_that_nobody_knows_is_kept() {
    let bench = Bench::with(&[]).await;
    let id = bench.packed("WEB-1");
    bench.server.set_status(&id, "PICKING_ON_THE_MOON").unwrap();
    let order = bench.get(&id).await.unwrap().unwrap();
    assert_eq!(order.status, "PICKING_ON_THE_MOON");
}

#[tokio::test]
async fn products_are_asked_for_together_and_kept_but_a_missing_weight_is_not() {
    let bench = Bench::with(&[]).await;
    let code = bench.server.customers()[0].code.clone();
    let items = ["500", "ZERO", "NOWEIGHT"]
        .map(|sku| SeedItem::units(format!("{code}-{sku}"), 2.0))
        .to_vec();
    let id = bench.order(Seed {
        items,
        ..Seed::reference("WEB-1")
    });
    let order = bench.get(&id).await.unwrap().unwrap();
    let products = bench.client.products(&order, Priority::Scan).await.unwrap();
    assert_eq!(products.len(), 3);
    let known = |p: &printstation::domain::push::Products| {
        p.values()
            .filter(|p| p.weight_kg(Some("UNIT")).is_some())
            .count()
    };
    assert_eq!(known(&products), 1);
    assert_eq!(
        (bench.calls("product-search"), bench.calls("product-get")),
        (1, 0)
    );
    let unit = json!({"unitOfMeasures": {"UNIT": {"name": "UNITS", "baseQty": 1, "weight": 0.7}}});
    for sku in ["ZERO", "NOWEIGHT"] {
        bench
            .server
            .change_product(&format!("{code}-{sku}"), unit.clone())
            .unwrap();
    }
    let products = bench.client.products(&order, Priority::Scan).await.unwrap();
    assert_eq!(
        known(&products),
        3,
        "a weight counts as soon as it is entered"
    );
    let asked = bench.calls("product-search");
    bench.client.products(&order, Priority::Scan).await.unwrap();
    assert_eq!(bench.calls("product-search"), asked, "kept");
}

#[tokio::test]
async fn packages_come_from_the_fulfilment_alone() {
    for (mode, parcels) in [
        ("none", 0),
        ("transport", 0),
        ("warehouse_fulfilment", 2),
        ("both", 2),
    ] {
        let bench = Bench::with(&[&format!("consignments={mode}")]).await;
        let id = bench.order(Seed {
            status: Some("PACKED".into()),
            packages: vec![1.5, 2.25],
            ..Seed::reference("WEB-1")
        });
        let packages = bench.client.packages(&id, Priority::Scan).await.unwrap();
        assert_eq!(packages.len(), parcels, "{mode}");
        let sum: f64 = packages.iter().map(|p| p.weight_kg).sum();
        assert!(parcels == 0 || (sum - 3.75).abs() < 1e-9, "{packages:?}");
    }
}

#[tokio::test]
async fn a_limit_of_the_service_slows_the_station_down_and_loses_nothing() {
    for retry in ["retry-after=sent", "retry-after=absent"] {
        let mut options = options(&[retry]);
        options.requests_per_minute = 6;
        let bench = Bench::start(options).await;
        let id = bench.packed("WEB-1");
        let mut throttled = false;
        for _ in 0..8 {
            let patience = Duration::from_secs(3);
            match tokio::time::timeout(patience, bench.get(&id)).await {
                Ok(Ok(order)) => assert!(order.is_some()),
                Ok(Err(CallFailure::Throttled { .. })) | Err(_) => {
                    throttled = true;
                    break;
                }
                Ok(other) => panic!("{other:?}"),
            }
        }
        assert!(throttled);
        let calls = bench.server.calls();
        let refused = calls.iter().filter(|c| c.fate == "429").count();
        assert!(
            (1..=3).contains(&refused),
            "{retry}: hammered {refused} times"
        );
    }
}
