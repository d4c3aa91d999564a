//! Claims of benches that share an account (promise 8): what is written, what stands in the way, and
//! what a claim that is lost, forgotten or old does.

use super::*;
use printstation::sim::starshipit::{Account, Fault};
use printstation::starshipit::Claims;

/// Two benches of one account.
async fn two(switches: &[&str]) -> (Bench, Starshipit) {
    let claims = |key: &str| {
        Some(Claims {
            bench: format!("bench-{key}"),
            key: key.to_owned(),
        })
    };
    let bench = Bench::start(options(switches), |s| {
        s.request_timeout = Duration::from_millis(800);
        s.claims = claims("a");
    })
    .await;
    let account: &Account = &bench.server.accounts()[0];
    let mut other = settings(
        bench.server.url(),
        &[("main", &account.api_key, &account.subscription_key)],
    );
    other.request_timeout = Duration::from_millis(800);
    other.claims = claims("b");
    let other = Starshipit::new(other).unwrap();
    (bench, other)
}

type Outcome = Result<(Bought, Vec<Vec<u8>>), CallFailure>;

async fn buy(client: &Starshipit, id: i64) -> Outcome {
    let main = AccountName::from("main");
    client.buy(&main, id, None, Priority::Scan).await
}

/// The other bench is in the middle of a purchase of which nobody knows.
async fn hangs_in_a_purchase(bench: &Bench, other: &Starshipit, id: i64) {
    let fault = Fault::parse("black_hole:once:print").unwrap();
    bench.server.set_faults(vec![fault]);
    assert_unknown(buy(other, id).await);
    bench.server.set_faults(Vec::new());
    assert_eq!(bench.sold(), 0);
}

#[tokio::test]
async fn an_order_is_claimed_before_it_is_bought_and_read_in_between() {
    let (bench, _) = two(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    buy(&bench.client, id).await.unwrap();
    let calls = bench.server.calls();
    let calls: Vec<&str> = calls.iter().map(|c| c.call.as_str()).collect();
    let at = |name: &str| calls.iter().position(|c| *c == name);
    let (put, print) = (at("update").unwrap(), at("print").unwrap());
    let reads = calls[put..print].iter().filter(|c| **c == "order").count();
    assert!(put < print && reads == 1, "{calls:?}");
    assert_eq!(bench.sold(), 1);
}

#[tokio::test]
async fn an_order_that_another_bench_is_buying_is_not_bought() {
    let (bench, other) = two(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    hangs_in_a_purchase(&bench, &other, id).await;
    match buy(&bench.client, id).await {
        Err(CallFailure::Refused { code, detail }) => {
            assert_eq!(code, Code::ClaimedElsewhere);
            assert_eq!(detail, "bench-b", "the other bench is named");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.sold(), 0);
    // Its own claim stands in nobody's way: that bench settles what it began.
    buy(&other, id).await.unwrap();
    assert_eq!(bench.sold(), 1);
}

#[tokio::test]
async fn a_refused_purchase_gives_its_claim_back() {
    let (bench, other) = two(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    let fault = Fault::parse("courier_refusal:once:print").unwrap();
    bench.server.set_faults(vec![fault]);
    assert_refused(buy(&other, id).await, Code::CourierRefused);
    buy(&bench.client, id).await.unwrap();
    assert_eq!(bench.sold(), 1);
}

#[tokio::test]
async fn an_order_that_was_labelled_meanwhile_is_not_bought_again() {
    let (bench, other) = two(&["S2=new-consignment"]).await;
    let id = bench.order(Seed::number("SO-1"));
    buy(&other, id).await.unwrap();
    assert_refused(buy(&bench.client, id).await, Code::ClaimedElsewhere);
    assert_eq!(bench.sold(), 1);
}

#[tokio::test]
async fn a_claim_that_does_not_come_through_buys_nothing() {
    for (fault, call) in [
        ("black_hole", "update"),
        ("black_hole_after_commit", "update"),
        ("drop_after_commit", "update"),
        ("html_500", "update"),
    ] {
        let (bench, other) = two(&[]).await;
        let id = bench.order(Seed::number("SO-1"));
        let fault = Fault::parse(&format!("{fault}:once:{call}")).unwrap();
        bench.server.set_faults(vec![fault]);
        let result = buy(&other, id).await;
        assert!(
            matches!(result, Err(CallFailure::NotSent { .. })),
            "{fault}: {result:?}"
        );
        assert_eq!((bench.sold(), bench.calls("print")), (0, 0), "{fault}");
        // The bench itself goes on.
        buy(&other, id).await.unwrap();
        assert_eq!(bench.sold(), 1);
    }
}

#[tokio::test]
async fn where_claims_are_forgotten_the_bench_buys_and_does_not_ask_again() {
    let (bench, _) = two(&["S18=dropped"]).await;
    for (n, number) in ["SO-1", "SO-2", "SO-3"].iter().enumerate() {
        let id = bench.order(Seed::number(*number));
        buy(&bench.client, id).await.unwrap();
        assert_eq!(bench.sold(), n + 1);
    }
    assert_eq!(bench.calls("update"), 1);
}

#[tokio::test]
async fn what_others_keep_with_an_order_stays() {
    let (bench, _) = two(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    let kept = serde_json::json!({ "metafield_key": "AUTHORITYTOLEAVE", "value": "true" });
    let body = serde_json::json!({ "order": { "order_id": id, "metadatas": [kept] } });
    let put = raw(&bench, |client, url| {
        client.put(format!("{url}/api/orders")).json(&body)
    });
    assert!(put.await.contains("AUTHORITYTOLEAVE"));
    buy(&bench.client, id).await.unwrap();
    let look = raw(&bench, |client, url| {
        client.get(format!("{url}/api/orders?order_id={id}"))
    });
    let order = look.await;
    assert!(order.contains("AUTHORITYTOLEAVE"), "{order}");
    assert!(order.contains("bench-a "), "{order}");
}

/// One call past the client.
async fn raw(
    bench: &Bench,
    call: impl FnOnce(reqwest::Client, String) -> reqwest::RequestBuilder,
) -> String {
    // Another test may have been first; that is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let account = &bench.server.accounts()[0];
    let client = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .unwrap();
    let reply = call(client, bench.server.url())
        .header("StarShipIT-Api-Key", &account.api_key)
        .header("Ocp-Apim-Subscription-Key", &account.subscription_key)
        .send()
        .await
        .unwrap();
    assert!(reply.status().is_success());
    reply.text().await.unwrap()
}
