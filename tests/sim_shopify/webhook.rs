//! The receiver of webhooks: signatures, answers, and what is booked.

use crate::client;
use printstation::sim::webhook::{Options, Server, Signature, fault};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// HMAC-SHA256 as in RFC 2104, for keys of up to 64 bytes.
fn mac(key: &str, message: &str) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key.as_bytes());
    let inner = Sha256::new()
        .chain_update(block.map(|b| b ^ 0x36))
        .chain_update(message)
        .finalize();
    let outer = Sha256::new()
        .chain_update(block.map(|b| b ^ 0x5c))
        .chain_update(inner)
        .finalize();
    outer.iter().map(|b| format!("{b:02x}")).collect()
}

/// Sends one signed delivery; `None` when there was no answer.
async fn deliver(server: &Server, key: &str, secret: &str) -> Option<u16> {
    let body = json!({"id": key, "order": "WEB-1", "tracking": ["PS1"]}).to_string();
    let time = jiff::Timestamp::now().as_second();
    let signature = format!("t={time},v1={}", mac(secret, &format!("{time}.{body}")));
    let request = client()
        .post(format!("{}/hooks/tracking?x=1", server.url()))
        .header("Idempotency-Key", key)
        .header("X-Printstation-Signature", signature)
        .body(body);
    request.send().await.ok().map(|r| r.status().as_u16())
}

#[tokio::test]
async fn a_delivery_without_our_signature_is_refused_and_kept_as_evidence() {
    let server = Server::start(Options::default()).await.unwrap();
    assert_eq!(deliver(&server, "k1", "another secret").await, Some(401));
    let bare = client().post(server.url()).body("x").send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(
        client().get(server.url()).send().await.unwrap().status(),
        405
    );
    let all = server.deliveries();
    assert_eq!(
        all.iter().map(|d| d.signature).collect::<Vec<_>>(),
        [Signature::Invalid, Signature::Missing]
    );
    assert!(all.iter().all(|d| !d.accepted));
}

#[tokio::test]
async fn answers_are_as_set_and_only_success_counts_as_taken() {
    let server = Server::start(Options::default()).await.unwrap();
    let secret = server.secret().to_owned();
    for (n, word) in ["410", "500", "202", "200"].into_iter().enumerate() {
        let body = json!({ "answer": word }).to_string();
        let set = client()
            .post(format!("{}/_sim/switches", server.admin_url()))
            .body(body);
        assert!(set.send().await.unwrap().status().is_success());
        assert_eq!(
            deliver(&server, &format!("k{n}"), &secret).await,
            Some(word.parse().unwrap())
        );
    }
    let taken: Vec<bool> = server.deliveries().iter().map(|d| d.accepted).collect();
    assert_eq!(taken, [false, false, true, true]);
    assert_eq!(deliver(&server, "k3", &secret).await, Some(200));
    let last = server.deliveries().pop().unwrap();
    assert!(last.repeated && last.path == "/hooks/tracking?x=1");
    assert_eq!(
        (
            last.body["order"].as_str(),
            last.headers["idempotency-key"].as_str()
        ),
        (Some("WEB-1"), "k3")
    );
}

#[tokio::test]
async fn a_delivery_that_lost_its_reply_was_taken_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        state: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let server = Server::start(options()).await.unwrap();
    let secret = server.secret().to_owned();
    server.set_faults(vec![fault("drop_before_commit:once").unwrap()]);
    assert_eq!(deliver(&server, "k", &secret).await, None);
    server.set_faults(vec![fault("webhook:drop_after_commit:once").unwrap()]);
    assert_eq!(deliver(&server, "k", &secret).await, None);
    server.stop().await;
    let server = Server::start(options()).await.unwrap();
    let all = server.deliveries();
    assert!(all.len() == 1 && all[0].accepted);
    assert_eq!(deliver(&server, "k", &secret).await, Some(200));
    let ledger = client()
        .get(format!("{}/_sim/ledger", server.admin_url()))
        .send()
        .await
        .unwrap();
    let ledger: Value = serde_json::from_str(&ledger.text().await.unwrap()).unwrap();
    assert_eq!(
        (
            &ledger["deliveries"][1]["repeated"],
            &ledger["deliveries"][1]["signature"]
        ),
        (&json!(true), &json!("valid"))
    );
}
