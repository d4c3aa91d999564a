//! Every fault: what the caller sees, and whether it was done.

use crate::{Bench, all};
use serde_json::{Value, json};

/// A packed order with its consignment, and the path of it.
async fn packed() -> (Bench, String, Value) {
    let bench = Bench::with(&[]).await;
    let id = bench.order("A");
    bench.server.set_status("A", "PACKED").unwrap();
    let mut row = bench.consignment(&id).await;
    row["references"]["tracking"] = json!("PS1");
    let path = format!("consignments/{}", row["id"].as_str().unwrap());
    (bench, path, row)
}

#[tokio::test]
async fn a_put_that_lost_its_reply_was_done_and_is_stale_when_sent_again() {
    for fault in [
        "drop_after_commit:once:consignment-put",
        "drop_mid_reply:once:consignment-put",
    ] {
        let (bench, path, row) = packed().await;
        bench.faults(&[fault]);
        let request = bench
            .request(reqwest::Method::PUT, &path)
            .header("If-Match", "1");
        assert!(
            crate::read(request.body(row.to_string())).await.is_err(),
            "{fault}"
        );
        assert_eq!(bench.server.writes().len(), 1);
        assert_eq!(bench.put(&path, 1, row).await.status, 412);
        assert_eq!(bench.server.writes().len(), 1);
    }
}

#[tokio::test]
async fn a_call_that_was_lost_before_changes_nothing() {
    for fault in ["drop_before_commit:once", "reset:once"] {
        let (bench, path, row) = packed().await;
        bench.faults(&[fault]);
        let request = bench
            .request(reqwest::Method::PUT, &path)
            .header("If-Match", "1");
        assert!(
            crate::read(request.body(row.to_string())).await.is_err(),
            "{fault}"
        );
        assert!(bench.server.writes().is_empty());
        assert_eq!(
            bench.put(&path, 1, row).await.status,
            200,
            "once means once"
        );
    }
}

#[tokio::test]
async fn bursts_of_errors_end_and_changed_nothing_unless_they_say_so() {
    let (bench, path, row) = packed().await;
    for (fault, status, header) in [
        ("error_500:2x", 500, ""),
        ("error_503:2x", 503, ""),
        ("html_500:2x", 500, ""),
        ("rate_429:2x", 429, ""),
        ("rate_429_retry_after:2x", 429, "1"),
    ] {
        bench.faults(&[fault]);
        for _ in 0..2 {
            let got = bench.put(&path, 1, row.clone()).await;
            assert_eq!(
                (got.status.as_u16(), got.header("retry-after")),
                (status, header),
                "{fault}"
            );
        }
        assert_eq!(bench.get(&path).await.status, 200, "{fault} is over");
    }
    bench.faults(&["rate_429_retry_date:once"]);
    assert!(
        bench
            .get(&path)
            .await
            .header("retry-after")
            .ends_with(" GMT")
    );
    assert!(bench.server.writes().is_empty());
    bench.faults(&["html_500_after_commit:once"]);
    assert_eq!(bench.put(&path, 1, row).await.status, 500);
    assert_eq!(bench.server.writes().len(), 1);
    bench.faults(&["garbage_json:once"]);
    assert!(bench.get(&path).await.json.is_string());
}

#[tokio::test]
async fn an_unanswered_call_is_done_or_not_as_its_name_says() {
    for (fault, done) in [("black_hole:once", 0), ("black_hole_after_commit:once", 1)] {
        let (bench, path, row) = packed().await;
        bench.faults(&[fault]);
        let request = bench
            .request(reqwest::Method::PUT, &path)
            .header("If-Match", "1");
        let sent = request
            .body(row.to_string())
            .timeout(std::time::Duration::from_millis(700))
            .send();
        assert!(sent.await.unwrap_err().is_timeout());
        let deadline = std::time::Duration::from_secs(30);
        let seen = async {
            while bench.server.writes().len() < done {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(deadline, seen)
            .await
            .expect("it was done");
        assert_eq!(bench.server.writes().len(), done);
    }
}

#[tokio::test]
async fn somebody_else_can_be_faster_than_a_put() {
    let (bench, path, row) = packed().await;
    bench.faults(&["cartoncloud:version_bump:once"]);
    assert_eq!(bench.put(&path, 1, row.clone()).await.status, 412);
    assert_eq!(bench.get(&path).await.json["version"], 2);
    assert_eq!(bench.put(&path, 2, row).await.status, 200);
}

#[tokio::test]
async fn a_token_can_expire_between_two_pages() {
    let mut bench = Bench::with(&[]).await;
    for n in 0..3 {
        bench.order(&format!("T-{n}"));
    }
    assert_eq!(bench.search("?page=1&size=2", all()).await.status, 200);
    bench.faults(&["token_expired:once:order-search"]);
    assert_eq!(bench.search("?page=2&size=2", all()).await.status, 401);
    bench.sign_in().await;
    assert_eq!(
        bench.search("?page=2&size=2", all()).await.references(),
        ["T-2"]
    );
}

#[tokio::test]
async fn an_order_can_vanish_and_come_back_under_another_id() {
    let bench = Bench::with(&[]).await;
    let id = bench.order("A");
    bench.faults(&["order_recreated:once:order-get"]);
    assert_eq!(
        bench.get(&format!("outbound-orders/{id}")).await.status,
        404
    );
    let found = bench
        .search("", crate::text("/references/customer", "A"))
        .await;
    assert!(found.json[0]["id"].is_string() && found.json[0]["id"] != id.as_str());
}

#[tokio::test]
async fn an_unknown_fault_or_switch_is_told_what_there_is() {
    let bench = Bench::with(&[]).await;
    let (status, told) = bench
        .admin(
            reqwest::Method::POST,
            "faults",
            json!({"faults": ["explode"]}),
        )
        .await;
    assert!(status == 400 && told["error"].as_str().unwrap().contains("version_bump"));
    let (status, told) = bench
        .admin(
            reqwest::Method::POST,
            "switches",
            json!({"order-put": "maybe"}),
        )
        .await;
    assert!(status == 400 && told["error"].as_str().unwrap().contains("enabled"));
    let (_, told) = bench
        .admin(
            reqwest::Method::POST,
            "switches",
            json!({"order-put": "enabled"}),
        )
        .await;
    assert_eq!(told["order-put"], "enabled");
}

#[tokio::test]
async fn latency_delays_and_then_goes_on() {
    let bench = Bench::with(&[]).await;
    bench.faults(&["latency=300ms:once:customers"]);
    let hasty = bench
        .request(reqwest::Method::GET, "customers")
        .timeout(std::time::Duration::from_millis(50));
    assert!(hasty.send().await.unwrap_err().is_timeout());
    bench.faults(&["latency=30ms"]);
    assert_eq!(bench.get("customers").await.status, 200);
}
