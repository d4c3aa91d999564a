//! Every fault: what the caller sees, and whether it was done.

use crate::{Bench, details, until};
use printstation::sim::starshipit::admin::Seed;
use printstation::sim::starshipit::{Account, Fault, Network, Options};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server with these faults, and one order to print.
async fn bench(faults: &[&str]) -> (Bench, i64) {
    let bench = Bench::with(&[]).await;
    bench
        .server
        .set_faults(faults.iter().map(|f| Fault::parse(f).unwrap()).collect());
    let id = bench.order(Seed::number("A"));
    (bench, id)
}

/// Sends one request on a connection of its own and reads until its end.
async fn raw(bench: &Bench, method: &str, path: &str, body: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(bench.server.addr()).await?;
    let account = &bench.server.accounts()[0];
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nStarShipIT-Api-Key: {}\r\n\
         Ocp-Apim-Subscription-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
        account.api_key,
        account.subscription_key,
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    let read = stream.read_to_end(&mut reply);
    tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("the line stays open")?;
    Ok(reply)
}

async fn raw_print(bench: &Bench, id: i64) -> std::io::Result<Vec<u8>> {
    let body = json!({ "order_id": id }).to_string();
    raw(bench, "POST", "/api/orders/shipment", &body).await
}

fn is_reset(result: &std::io::Result<Vec<u8>>) -> bool {
    matches!(result, Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn drop_before_commit_closes_the_line_and_sells_nothing() {
    let (bench, id) = bench(&["drop_before_commit:once:print"]).await;
    assert_eq!(raw_print(&bench, id).await.unwrap(), b"");
    assert!(bench.server.sales().is_empty());
    assert_eq!(bench.print(id).await["success"], true, "once means once");
}

#[tokio::test]
async fn drop_after_commit_resets_the_line_after_the_sale() {
    let (bench, id) = bench(&["starshipit:drop_after_commit:once:print"]).await;
    assert!(is_reset(&raw_print(&bench, id).await));
    assert_eq!(bench.server.sales().len(), 1);
    let found = bench.get("/api/orders?order_number=A").await;
    assert_eq!(found["order"]["status"], "Printed");
}

#[tokio::test]
async fn drop_mid_reply_sends_half_of_the_reply_after_the_sale() {
    let (bench, id) = bench(&["drop_mid_reply:once:print"]).await;
    let body = Some(json!({ "order_id": id }));
    assert!(
        bench
            .send(Method::POST, "/api/orders/shipment", body)
            .await
            .is_err()
    );
    assert_eq!(bench.server.sales().len(), 1);
    bench
        .server
        .set_faults(vec![Fault::parse("drop_mid_reply").unwrap()]);
    // Headers and half of a body arrive; then the line breaks.
    let request = bench
        .http
        .get(format!("{}/api/orders/unshipped", bench.server.url()));
    let account = &bench.server.accounts()[0];
    let reply = request
        .header("StarShipIT-Api-Key", &account.api_key)
        .header("Ocp-Apim-Subscription-Key", &account.subscription_key)
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    assert!(reply.text().await.is_err());
}

#[tokio::test]
async fn rate_429_comes_with_or_without_retry_after_and_sells_nothing() {
    for (fault, header) in [
        ("rate_429:once", false),
        ("rate_429_retry_after:once", true),
    ] {
        let (bench, id) = bench(&[fault]).await;
        let reply = String::from_utf8(raw_print(&bench, id).await.unwrap()).unwrap();
        assert!(reply.starts_with("HTTP/1.1 429"), "{reply}");
        assert_eq!(reply.to_lowercase().contains("retry-after: 1"), header);
        assert!(bench.server.sales().is_empty());
    }
}

#[tokio::test]
async fn html_500_is_a_page_before_or_after_the_sale() {
    for (fault, sold) in [("html_500:once", 0), ("html_500_after_commit:once", 1)] {
        let (bench, id) = bench(&[fault]).await;
        let body = Some(json!({ "order_id": id }));
        let got = bench
            .send(Method::POST, "/api/orders/shipment", body)
            .await
            .unwrap();
        assert_eq!(got.0, 500);
        assert!(got.1.as_str().unwrap().starts_with("<!DOCTYPE html>"));
        assert_eq!(bench.server.sales().len(), sold);
    }
}

#[tokio::test]
async fn courier_refusal_and_quota_say_no_and_sell_nothing() {
    for (fault, text) in [
        ("courier_refusal:once", "courier rejected"),
        ("quota:once", "quota"),
    ] {
        let (bench, id) = bench(&[fault]).await;
        assert_eq!(
            bench.get("/api/orders?order_number=A").await["success"],
            true
        );
        assert!(details(&bench.print(id).await).contains(text));
        assert!(bench.server.sales().is_empty());
    }
}

#[tokio::test]
async fn an_accounts_own_quota_stops_the_sale_after_the_last_one() {
    let mut accounts = Account::several(2);
    accounts[0].quota = Some(1);
    let options = Options {
        accounts,
        requests_per_second: 0,
        ..Options::default()
    };
    let bench = Bench::start(options).await;
    let first = bench.order(Seed::number("A"));
    let second = bench.order(Seed::number("B"));
    assert_eq!(bench.print(first).await["success"], true);
    assert!(details(&bench.print(second).await).contains("quota"));
    assert_eq!(
        bench.print(first).await["success"],
        true,
        "a repeat costs nothing"
    );
    assert_eq!(bench.server.sales().len(), 1);
}

#[tokio::test]
async fn a_black_hole_never_answers_before_or_after_the_sale() {
    for (fault, sold) in [("black_hole:once", 0), ("black_hole_after_commit:once", 1)] {
        let (bench, id) = bench(&[fault]).await;
        let print = bench.print(id);
        tokio::pin!(print);
        let swallowed = until("the call", || {
            bench
                .server
                .calls()
                .iter()
                .any(|c| c.call == "print" && c.fate == "never")
        });
        tokio::select! {
            answer = &mut print => panic!("answered: {answer}"),
            () = swallowed => {}
        }
        assert_eq!(bench.server.sales().len(), sold, "{fault}");
    }
}

#[tokio::test]
async fn reset_breaks_any_call_and_does_nothing() {
    let (bench, id) = bench(&["reset"]).await;
    assert!(is_reset(&raw_print(&bench, id).await));
    assert!(is_reset(
        &raw(&bench, "GET", "/api/orders?order_number=A", "").await
    ));
    assert!(bench.server.sales().is_empty());
}

#[tokio::test]
async fn replies_can_be_garbage_or_wrongly_typed_after_the_sale() {
    let (garbage, id) = bench(&["garbage_json:once"]).await;
    assert!(garbage.print(id).await.is_string(), "not JSON");
    assert_eq!(garbage.server.sales().len(), 1);
    let (bench, id) = bench(&["wrong_types:once"]).await;
    let reply = bench.print(id).await;
    assert!(
        reply["success"] == true && !reply["labels"].is_array(),
        "{reply}"
    );
    assert!(!reply["order_id"].is_number() && !reply["tracking_numbers"].is_array());
    assert_eq!(bench.server.sales().len(), 1);
}

#[tokio::test]
async fn labels_can_be_cut_or_missing_after_the_sale() {
    use base64::Engine;
    let (cut, id) = bench(&["truncated_base64:once"]).await;
    let reply = cut.print(id).await;
    let label = reply["labels"][0].as_str().unwrap().to_owned();
    assert!(
        base64::engine::general_purpose::STANDARD
            .decode(label)
            .is_err()
    );
    assert_eq!(cut.server.sales().len(), 1);
    let (empty, id) = bench(&["empty_labels:once"]).await;
    let reply = empty.print(id).await;
    assert_eq!(reply["success"], true);
    assert_eq!(
        (&reply["labels"], &reply["label_types"]),
        (&json!([]), &json!([]))
    );
    assert!(reply["tracking_numbers"][0].is_string());
}

#[tokio::test]
async fn latency_waits_at_least_as_long_as_it_says() {
    let (bench, id) = bench(&["latency=80ms:once:print"]).await;
    let start = tokio::time::Instant::now();
    assert_eq!(bench.print(id).await["success"], true);
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn a_probability_is_drawn_from_the_seed() {
    let mut runs: Vec<Vec<bool>> = Vec::new();
    for seed in [3, 3, 4] {
        let faults = vec![Fault::parse("rate_429:0.5:order").unwrap()];
        let options = Options {
            seed,
            faults,
            requests_per_second: 0,
            ..Options::default()
        };
        let bench = Bench::start(options).await;
        let mut run = Vec::new();
        for _ in 0..40 {
            run.push(bench.get("/api/orders?order_number=A").await["statusCode"] == 429);
        }
        assert!(run.contains(&true) && run.contains(&false));
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test]
async fn a_fault_on_one_call_leaves_the_others_alone() {
    let (bench, id) = bench(&["html_500:always:print"]).await;
    assert_eq!(
        bench.get("/api/orders?order_number=A").await["success"],
        true
    );
    assert!(bench.print(id).await.is_string());
    assert!(bench.print(id).await.is_string(), "always means always");
}

#[tokio::test]
async fn a_network_that_is_down_resets_or_refuses_and_the_admin_door_brings_it_back() {
    let (bench, id) = bench(&[]).await;
    let door = format!("{}/_sim/faults", bench.server.admin_url());
    let set = |network: &str| {
        bench
            .http
            .post(&door)
            .body(json!({ "network": network }).to_string())
            .send()
    };
    assert_eq!(set("reset").await.unwrap().status(), 200);
    assert!(is_reset(&raw_print(&bench, id).await));
    assert_eq!(set("refused").await.unwrap().status(), 200);
    // The listener goes within a moment; until then the kernel may still queue a connection.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(bench.server.addr()).await.is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "it still listens");
    }
    assert_eq!(set("up").await.unwrap().status(), 200);
    let wait = async {
        while raw_print(&bench, id).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("it listens again");
    assert_eq!(
        bench.server.sales().len(),
        1,
        "only the last call got through"
    );
}

#[tokio::test]
async fn an_open_line_is_cut_when_the_network_goes_down() {
    let (bench, _) = bench(&[]).await;
    let mut stream = TcpStream::connect(bench.server.addr()).await.unwrap();
    stream
        .write_all(b"GET /_sim/ledger HTTP/1.1\r\nHost: sim\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    bench.server.set_network(Network::Reset);
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    let read = tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .expect("it stays open");
    assert_eq!(
        read.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
}

#[tokio::test]
async fn a_silent_network_accepts_and_never_answers() {
    let (bench, id) = bench(&[]).await;
    bench.server.set_network(Network::Silent);
    let mut stream = TcpStream::connect(bench.server.addr()).await.unwrap();
    stream
        .write_all(b"GET /api/orders HTTP/1.1\r\nHost: sim\r\n\r\n")
        .await
        .unwrap();
    // Cut, not answered, when the network comes back: by then the line was certainly silent.
    let door = format!("{}/_sim/faults", bench.server.admin_url());
    let up = bench
        .http
        .post(door)
        .body(json!({ "network": "up" }).to_string())
        .send();
    assert_eq!(up.await.unwrap().status(), 200);
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest));
    assert!(read.await.expect("the line is cut").is_err());
    assert!(rest.is_empty() && bench.server.calls().is_empty());
    assert_eq!(bench.print(id).await["success"], true);
}

#[tokio::test]
async fn the_admin_door_sets_faults_and_switches_and_refuses_words_it_does_not_know() {
    let (bench, _) = bench(&[]).await;
    let post =
        async |path: &str, body: Value| bench.send(Method::POST, path, Some(body)).await.unwrap();
    for (path, body) in [
        ("/_sim/faults", json!({ "faults": ["starshipit:explode"] })),
        ("/_sim/faults", json!({ "wrong": [] })),
        ("/_sim/switches", json!({ "S2": "twice" })),
        ("/_sim/switches", json!({ "S99": "x" })),
        ("/_sim/orders", json!({ "number": "" })),
        (
            "/_sim/orders",
            json!({ "number": "X", "account": "nobody" }),
        ),
        ("/_sim/orders", json!({ "number": "X", "colour": "red" })),
        ("/_sim/orders/NOPE/status", json!({ "archive": true })),
        (
            "/_sim/orders/A/status",
            json!({ "address": { "planet": "Mars" } }),
        ),
    ] {
        let (status, reply) = post(path, body).await;
        assert_eq!(status, 400, "{path}");
        assert!(!reply["error"].as_str().unwrap().is_empty());
    }
    assert_eq!(post("/_sim/nothing", json!({})).await.0, 404);
    let set = post("/_sim/faults", json!({ "faults": ["reset:0.25:print"] }))
        .await
        .1;
    assert_eq!(set["faults"], json!(["starshipit:reset:0.25:print"]));
    assert_eq!(bench.get("/_sim/faults").await, set);
    let set = post("/_sim/switches", json!({ "S2": "refuse", "S16": "no" }))
        .await
        .1;
    assert_eq!((&set["S2"], &set["S16"]), (&json!("refuse"), &json!("no")));
    let order = json!({
        "number": "NEW", "recipient": { "name": "Kim" }, "parcels": [0.5, null], "carrier": "AusPost",
    });
    assert!(post("/_sim/orders", order).await.1["order_id"].is_number());
    assert!(bench.server.order_numbers().contains(&"NEW".to_owned()));
}
