//! What replies mean, without a network.

use super::*;
use crate::shopify::wire;

fn client(token: &str) -> Client {
    let base = crate::system::http::address("https://tea.myshopify.com").unwrap();
    let access = Access::Token(token.into());
    let second = Duration::from_secs(1);
    Client::new(&base, "2026-07", access, second, second)
}

fn judged(body: &str) -> Failure {
    let client = client("shpat_secret");
    match client.judge(body.as_bytes()).map_err(|e| client.scrub(e)) {
        Ok(data) => panic!("{data:?}"),
        Err(Ended::Failed(failure)) => failure,
        Err(Ended::Throttled(after)) => Failure::Throttled(after),
        Err(Ended::Unauthorized) => panic!("401"),
    }
}

#[test]
fn nothing_but_clear_words_says_that_it_was_not_done() {
    for (body, words) in [
        ("<html>502</html>", "cannot be understood"),
        ("", "cannot be understood"),
        ("{}", "holds nothing"),
        (r#"{"data": null}"#, "holds nothing"),
        (
            r#"{"data": {"order": {"fulfillments": 7}}}"#,
            "cannot be understood",
        ),
        (
            r#"{"errors":[{"message":"boom","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}"#,
            "boom",
        ),
    ] {
        let Failure::Unknown(why) = judged(body) else {
            panic!("{body}")
        };
        assert!(why.contains(words), "{body}: {why}");
    }
}

#[test]
fn a_missing_scope_is_named() {
    for body in [
        r#"{"errors":[{"message":"Access denied for fulfillmentCreate field.","extensions":{"code":"ACCESS_DENIED","requiredAccess":"One of the following access scopes: `write_merchant_managed_fulfillment_orders`."}}]}"#,
        r#"{"data":{"order":null},"errors":[{"message":"Access denied: needs `write_merchant_managed_fulfillment_orders`","extensions":{"code":"ACCESS_DENIED"}}]}"#,
    ] {
        assert_eq!(
            judged(body),
            Failure::Denied(
                "Shopify denies access: scope missing: write_merchant_managed_fulfillment_orders"
                    .into()
            )
        );
    }
}

#[test]
fn other_errors_are_told_without_our_key() {
    let body = r#"{"errors":"[API] wrong: shpat_secret\u001b[31m"}"#;
    assert_eq!(
        judged(body),
        Failure::Refused("[API] wrong: [key][31m".into())
    );
    let body = r#"{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}"#;
    assert_eq!(judged(body), Failure::Throttled(None));
    assert!(matches!(
        judged(r#"{"errors":{"base":1}}"#),
        Failure::Refused(_)
    ));
}

#[test]
fn writing_includes_reading_and_any_kind_of_fulfilment_order_will_do() {
    let granted = ["read_orders", "write_assigned_fulfillment_orders"];
    for scope in SCOPES {
        assert!(is_granted(&granted, scope), "{scope}");
    }
    assert!(!is_granted(&["write_products"], "read_orders"));
    let read_only = ["read_merchant_managed_fulfillment_orders"];
    assert!(!is_granted(&read_only, SCOPES[2]));
}

#[tokio::test(start_paused = true)]
async fn points_are_waited_for_and_not_counted_twice() {
    let cost = |available: f64, restore: f64| wire::Cost {
        requested_query_cost: Some(50.0),
        throttle_status: Some(wire::ThrottleStatus {
            maximum_available: 1000.0,
            currently_available: available,
            restore_rate: restore,
        }),
    };
    let mut bucket = Bucket::default();
    assert_eq!(bucket.wait(), Duration::ZERO);
    bucket.learn(&cost(0.0, 100.0));
    assert_eq!(bucket.wait(), Duration::from_millis(500));
    tokio::time::advance(Duration::from_millis(500)).await;
    assert_eq!(bucket.wait(), Duration::ZERO);
    bucket.spend();
    assert_eq!(bucket.wait(), Duration::from_millis(500));
    // Nonsense is not believed.
    bucket.learn(&cost(f64::NAN, 100.0));
    bucket.learn(&cost(-1.0, 100.0));
    assert_eq!(bucket.wait(), Duration::from_millis(500));
    bucket.learn(&cost(0.0, 0.0));
    assert!(bucket.wait() <= Duration::from_secs(50));
}
