//! Calls that go wrong: what is certain is said, what is not is `Unknown`, and a purchase is sent
//! once whatever happens.

use super::*;
use printstation::sim::starshipit::{Endpoint, Fault, FaultKind, Network};

/// One purchase under `fault`; how it ended, and the bench for a look afterwards.
async fn buy_under(fault: &str) -> (Bench, i64, Result<(Bought, Vec<Vec<u8>>), CallFailure>) {
    let bench = Bench::start(options(&[]), |s| {
        s.request_timeout = Duration::from_millis(1_500);
    })
    .await;
    let id = bench.order(Seed::number("SO-1"));
    let fault = Fault::parse(&format!("{fault}:once:print")).unwrap();
    bench.server.set_faults(vec![fault]);
    let result = bench.print(id, false).await;
    (bench, id, result)
}

/// Nobody can tell from the reply; the look can.
async fn is_unknown_and_the_look_tells(fault: &str, is_sold: bool) {
    let (bench, id, result) = buy_under(fault).await;
    assert_unknown(result);
    assert_eq!(bench.get(id).await.is_printed(), is_sold, "{fault}");
    assert_eq!(bench.sold(), usize::from(is_sold), "{fault}");
    let (bought, documents) = bench.print(id, is_sold).await.unwrap();
    assert_eq!((bought.tracking.len(), documents.len()), (1, 1));
    assert_eq!(bench.sold(), 1, "{fault}");
}

#[tokio::test]
async fn a_purchase_dropped_before_commit_is_unknown() {
    is_unknown_and_the_look_tells("drop_before_commit", false).await;
}

#[tokio::test]
async fn a_purchase_reset_at_its_head_is_unknown() {
    is_unknown_and_the_look_tells("reset", false).await;
}

#[tokio::test]
async fn a_purchase_dropped_after_commit_is_unknown() {
    is_unknown_and_the_look_tells("drop_after_commit", true).await;
}

#[tokio::test]
async fn a_purchase_whose_reply_is_cut_in_the_middle_is_unknown() {
    is_unknown_and_the_look_tells("drop_mid_reply", true).await;
}

#[tokio::test]
async fn a_purchase_answered_with_a_500_page_is_unknown() {
    is_unknown_and_the_look_tells("html_500", false).await;
    is_unknown_and_the_look_tells("html_500_after_commit", true).await;
}

#[tokio::test]
async fn a_purchase_answered_with_broken_json_is_unknown() {
    is_unknown_and_the_look_tells("garbage_json", true).await;
}

#[tokio::test]
async fn a_purchase_that_is_never_answered_is_unknown_when_the_time_is_up() {
    is_unknown_and_the_look_tells("black_hole", false).await;
    is_unknown_and_the_look_tells("black_hole_after_commit", true).await;
}

#[tokio::test]
async fn a_purchase_that_takes_longer_than_the_timeout_is_unknown() {
    let (bench, id, result) = buy_under("latency=4s").await;
    assert_unknown(result);
    assert_eq!(bench.sold(), 0);
    assert!(!bench.get(id).await.is_printed());
}

#[tokio::test]
async fn a_throttled_purchase_did_nothing_and_says_how_long_to_wait() {
    for fault in ["rate_429", "rate_429_retry_after"] {
        let (bench, _, result) = buy_under(fault).await;
        let Err(CallFailure::Throttled { retry_after }) = result else {
            panic!("{result:?}")
        };
        // With or without the header: the gateway's sentence names the time as well.
        assert_eq!(retry_after, Some(Duration::from_secs(1)), "{fault}");
        assert_eq!((bench.calls("print"), bench.sold()), (1, 0));
    }
}

#[tokio::test]
async fn a_refused_purchase_did_nothing_and_says_why() {
    for (fault, code) in [
        ("courier_refusal", Code::CourierRefused),
        ("quota", Code::QuotaExhausted),
    ] {
        let (bench, id, result) = buy_under(fault).await;
        assert_refused(result, code);
        assert_eq!((bench.calls("print"), bench.sold()), (1, 0));
        bench.print(id, false).await.unwrap();
    }
}

#[tokio::test]
async fn a_bought_shipment_without_usable_labels_is_still_bought() {
    for (fault, documents, undecodable, tracking) in [
        ("truncated_base64", 0, 1, 1),
        ("empty_labels", 0, 0, 1),
        ("wrong_types", 0, 1, 0),
    ] {
        let (bench, id, result) = buy_under(fault).await;
        let (bought, bytes) = result.unwrap();
        assert_eq!(bought.order_id, id);
        assert_eq!(
            (bought.documents.len(), bytes.len()),
            (documents, documents),
            "{fault}"
        );
        assert_eq!(bought.undecodable, undecodable, "{fault}");
        assert_eq!(bought.tracking.len(), tracking, "{fault}");
        assert_eq!(bench.sold(), 1);
        let (again, bytes) = bench.print(id, true).await.unwrap();
        assert_eq!((again.undecodable, bytes.len(), bench.sold()), (0, 1, 1));
    }
}

#[tokio::test]
async fn a_read_is_repeated_through_passing_trouble_and_only_three_times() {
    for fault in [
        "html_500",
        "reset",
        "drop_before_commit",
        "drop_after_commit",
        "drop_mid_reply",
    ] {
        let bench = Bench::with(&[]).await;
        let id = bench.order(Seed::number("SO-1"));
        let twice = Fault::parse(&format!("{fault}:2x:order")).unwrap();
        bench.server.set_faults(vec![twice]);
        assert_eq!(bench.get(id).await.order_id, id, "{fault}");
        assert_eq!(bench.calls("order"), 3, "{fault}");
        let fault = Fault::parse(&format!("{fault}:always:order")).unwrap();
        bench.server.set_faults(vec![fault]);
        let failed = bench.client.get(&bench.main, id, Priority::Scan).await;
        assert_unknown(failed);
        assert_eq!(bench.calls("order"), 6);
    }
}

#[tokio::test]
async fn a_read_waits_out_a_429() {
    for fault in [FaultKind::Rate429, FaultKind::Rate429RetryAfter] {
        let bench = Bench::with(&[]).await;
        let id = bench.order(Seed::number("SO-1"));
        bench
            .server
            .set_faults(vec![Fault::once(fault, Some(Endpoint::Order))]);
        assert_eq!(bench.get(id).await.order_id, id);
        assert_eq!(bench.calls("order"), 2);
    }
}

#[tokio::test]
async fn garbled_orders_are_never_taken_for_no_order() {
    for fault in ["wrong_types", "garbage_json"] {
        let bench = Bench::with(&[]).await;
        let id = bench.order(Seed::number("SO-1"));
        let fault = Fault::parse(&format!("{fault}:always")).unwrap();
        bench.server.set_faults(vec![fault]);
        assert_unknown(bench.client.get(&bench.main, id, Priority::Scan).await);
        let found = bench.find("SO-1").await;
        assert_eq!(
            (found.hits.len(), found.failures.len()),
            (0, 1),
            "{found:?}"
        );
    }
}

#[tokio::test]
async fn without_a_listener_nothing_was_sent_and_afterwards_all_is_well() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    bench.server.set_network(Network::Refused);
    until("connections are refused", async || {
        let read = bench.client.get(&bench.main, id, Priority::Scan).await;
        matches!(read, Err(CallFailure::NotSent { .. }))
    })
    .await;
    let result = bench.print(id, false).await;
    assert!(
        matches!(result, Err(CallFailure::NotSent { .. })),
        "{result:?}"
    );
    let found = bench.find("SO-1").await;
    assert!(
        matches!(&found.failures[..], [(_, CallFailure::NotSent { .. })]),
        "{found:?}"
    );
    assert_eq!(bench.sold(), 0);
    bench.server.set_network(Network::Up);
    until("the network is back", async || {
        bench
            .client
            .get(&bench.main, id, Priority::Scan)
            .await
            .is_ok()
    })
    .await;
    bench.ship("SO-1").await;
}

#[tokio::test]
async fn a_network_that_resets_or_swallows_everything_is_unknown_for_a_purchase() {
    for network in [Network::Reset, Network::Silent] {
        let bench = Bench::start(options(&[]), |s| {
            s.request_timeout = Duration::from_millis(500);
        })
        .await;
        let id = bench.order(Seed::number("SO-1"));
        bench.server.set_network(network);
        assert_unknown(bench.print(id, false).await);
        assert_eq!(bench.sold(), 0);
    }
}

#[tokio::test]
async fn keys_that_are_refused_are_told_by_the_probe_in_every_shape() {
    let bench = Bench::with(&[]).await;
    assert_eq!(bench.client.probe(&bench.main).await, Ok(()));
    let cases = [
        ("bad-key=200", true),
        ("bad-key=401", true),
        ("bad-key=403", true),
        ("bad-subscription=403", false),
        ("bad-subscription=401", false),
    ];
    for (switch, is_api_key) in cases {
        let bench = Bench::start(options(&[switch]), |s| {
            let account = &mut s.accounts[0];
            let key = if is_api_key {
                &mut account.api_key
            } else {
                &mut account.subscription_key
            };
            *key = "forgotten".into();
        })
        .await;
        assert_refused(
            bench.client.probe(&bench.main).await,
            Code::StarshipitUnauthorized,
        );
        let id = bench.order(Seed::number("SO-1"));
        assert_refused(bench.print(id, false).await, Code::StarshipitUnauthorized);
        assert_eq!(bench.sold(), 0, "{switch}");
    }
}
