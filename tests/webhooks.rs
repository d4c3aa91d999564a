//! Webhooks over real sockets: the receiver checks signatures as a stranger would, and breaks.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first surprise; helpers are not seen as tests"
)]

use printstation::domain::writeback::{Dispatch, job_id};
use printstation::domain::{Delivery, Order, OrderId, Timestamp, Writeback, WritebackState};
use printstation::outbox::{self, Clock, Orders, Pace, Sink as _};
use printstation::sim::webhook::switches::Answer;
use printstation::sim::webhook::{Network, Options, Server, Signature, Switches, fault};
use printstation::webhook::{Settings, Webhook};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

fn wall() -> Clock {
    Arc::new(|| Timestamp(jiff::Timestamp::now().as_millisecond()))
}

fn hook(url: &str, secret: &str) -> Webhook {
    let settings = Settings {
        name: "webhook:1".into(),
        url: url.into(),
        secret: secret.into(),
        deadline: Some(Duration::from_millis(1500)),
    };
    Webhook::new(settings, wall()).unwrap()
}

async fn receiver(answer: Answer) -> (Server, Webhook) {
    let options = Options {
        switches: Switches { answer },
        ..Options::default()
    };
    let server = Server::start(options).await.unwrap();
    let url = format!("{}/tracking?token=tk-1", server.url());
    let hook = hook(&url, "sim-webhook-secret");
    (server, hook)
}

/// Keys of what the receiver acted on.
fn accepted(server: &Server) -> Vec<String> {
    let all = server.deliveries().into_iter();
    all.filter(|d| d.accepted).map(|d| d.key).collect()
}

fn writeback(n: u32) -> Writeback {
    Writeback {
        n,
        sink: "webhook:1".into(),
        tracking: vec!["A1".into(), "B1".into()],
        supersedes: vec!["A0".into()],
        state: WritebackState::Pending,
        attempts: 0,
        overwrite: false,
        handle: None,
        trouble: None,
        since: Timestamp(1),
        at: Timestamp(1),
    }
}

fn dispatch(order: &str, n: u32) -> Dispatch {
    Dispatch {
        order: order.into(),
        number: "WEB-1".into(),
        account: "main".into(),
        sale: None,
        carrier: "AusPost".into(),
        shipped: Timestamp(1_795_303_800_000),
        documents: Vec::new(),
        job: writeback(n),
    }
}

#[track_caller]
fn retry(delivery: Delivery) -> (String, bool) {
    match delivery {
        Delivery::Retry {
            why, unreachable, ..
        } => (why, unreachable),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_fault_is_a_retry_of_the_same_event_under_the_same_key() {
    let (server, hook) = receiver(Answer::Ok).await;
    for kind in [
        "reset",
        "drop_before_commit",
        "drop_after_commit",
        "rate_429",
        "rate_429_retry_after",
        "error_500",
        "error_503",
        "html_500",
        "html_500_after_commit",
        "black_hole",
        "black_hole_after_commit",
    ] {
        let job = dispatch(&format!("cc:{kind}"), 1);
        server.set_faults(vec![fault(&format!("{kind}:once")).unwrap()]);
        let (why, _) = retry(hook.deliver(&job).await);
        assert!(!why.contains("tk-1"), "the token of the address: {why}");
        let again = hook.deliver(&job).await;
        assert_eq!(again, Delivery::Done { handle: None }, "{kind}");
        let key = job.id();
        let all: Vec<_> = server
            .deliveries()
            .into_iter()
            .filter(|d| d.key == key)
            .collect();
        let bodies: Vec<_> = all.iter().map(|d| &d.body).collect();
        assert!(bodies.windows(2).all(|w| w[0] == w[1]), "{kind}");
        assert_eq!(
            all.iter().filter(|d| d.accepted && !d.repeated).count(),
            1,
            "{kind}"
        );
    }
    assert!(
        server
            .deliveries()
            .iter()
            .all(|d| d.signature == Signature::Valid)
    );
}

#[tokio::test]
async fn gone_is_given_up_in_words_and_a_refusal_is_not() {
    let (_server, hook) = receiver(Answer::Gone).await;
    let Delivery::Unsupported { why } = hook.deliver(&dispatch("cc:1", 1)).await else {
        panic!()
    };
    assert!(why.contains("410"), "{why}");
    let (_server, hook) = receiver(Answer::Broken).await;
    let (why, unreachable) = retry(hook.deliver(&dispatch("cc:1", 1)).await);
    assert!(why.contains("500") && !unreachable, "{why}");
}

#[tokio::test]
async fn a_wrong_key_is_refused_by_the_receiver() {
    let (server, _) = receiver(Answer::Ok).await;
    let wrong = hook(&server.url(), "another-secret");
    retry(wrong.deliver(&dispatch("cc:1", 1)).await);
    assert_eq!(server.deliveries()[0].signature, Signature::Invalid);
    assert!(accepted(&server).is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_away_is_unreachable() {
    let (server, hook) = receiver(Answer::Ok).await;
    for network in [Network::Refused, Network::Reset, Network::Silent] {
        server.set_network(network);
        let (why, unreachable) = retry(hook.deliver(&dispatch("cc:1", 1)).await);
        assert!(unreachable, "{network:?}: {why}");
    }
}

/// Answers one connection with these bytes.
async fn raw(answer: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 65_536];
            let _ = stream.read(&mut bytes).await;
            let _ = stream.write_all(answer).await;
        }
    });
    url
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (server, _) = receiver(Answer::Ok).await;
    let head = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}/tracking\r\nContent-Length: 0\r\n\r\n",
        server.url()
    );
    let url = raw(head.leak().as_bytes()).await;
    let (why, _) = retry(
        hook(&url, "sim-webhook-secret")
            .deliver(&dispatch("cc:1", 1))
            .await,
    );
    assert!(why.contains("307"), "{why}");
    assert!(server.deliveries().is_empty());
}

#[tokio::test]
async fn an_endless_answer_costs_nothing() {
    let body = "x".repeat(1 << 20);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n{body}");
    let url = raw(head.leak().as_bytes()).await;
    let delivery = hook(&url, "s").deliver(&dispatch("cc:1", 1)).await;
    assert_eq!(
        delivery,
        Delivery::Done { handle: None },
        "its status said so"
    );
}

#[tokio::test]
async fn a_delivery_is_as_the_contract_says() {
    for answer in [Answer::Ok, Answer::Accepted] {
        let (server, hook) = receiver(answer).await;
        let delivery = hook.deliver(&dispatch("cc:1", 3)).await;
        assert_eq!(delivery, Delivery::Done { handle: None });
        let got = &server.deliveries()[0];
        assert_eq!(got.signature, Signature::Valid);
        assert_eq!(got.path, "/tracking?token=tk-1");
        assert_eq!(got.headers["idempotency-key"], "cc:1#3");
        assert_eq!(got.headers["x-printstation-delivery"], "cc:1#3");
        assert_eq!(got.headers["content-type"], "application/json");
        assert_eq!(
            got.body,
            serde_json::json!({
                "id": "cc:1#3", "order": "WEB-1", "account": "main", "carrier": "AusPost",
                "tracking": ["A1", "B1"], "supersedes": ["A0"], "at": "2026-11-21T23:30:00.000Z"
            })
        );
    }
}

struct Book(Mutex<BTreeMap<OrderId, Order>>);

impl Orders for Book {
    fn dispatch<'a>(
        &'a self,
        order: &'a OrderId,
        n: u32,
    ) -> Pin<Box<dyn Future<Output = Option<Dispatch>> + Send + 'a>> {
        Box::pin(async move {
            let orders = self.0.lock().unwrap();
            let job = orders.get(order)?.writebacks.iter().find(|j| j.n == n)?;
            let mut dispatch = dispatch(order.as_str(), n);
            dispatch.job = job.clone();
            Some(dispatch)
        })
    }
}

#[tokio::test]
async fn three_hundred_events_arrive_once_each_through_a_bad_network() {
    let (server, hook) = receiver(Answer::Ok).await;
    let kinds = [
        "reset",
        "drop_before_commit",
        "error_503",
        "rate_429",
        "error_500",
    ];
    let faults = kinds.map(|kind| fault(&format!("{kind}:0.05")).unwrap());
    server.set_faults(faults.into());
    let book = Arc::new(Book(Mutex::default()));
    let (ended, mut results) = mpsc::channel(8);
    let outbox = outbox::start(
        outbox::Settings {
            sinks: vec![Arc::new(hook)],
            is_due: Box::new(|order, n| {
                let mut jobs = order.writebacks.iter();
                jobs.any(|j| j.n == n && j.state == WritebackState::Pending)
            }),
            pace: Pace {
                first: Duration::from_millis(20),
                longest: Duration::from_millis(200),
                ..Pace::default()
            },
            deadline: Duration::from_secs(30),
            seed: 7,
        },
        book.clone(),
        ended,
    );
    for i in 0..300 {
        let mut order: Order = serde_json::from_value(serde_json::json!({
            "id": format!("cc:{i}"), "seq": 1, "number": "WEB-1", "account": "main",
            "order_id": 7, "printer": "label", "standing": "resting", "created": 1, "updated": 2
        }))
        .unwrap();
        order.writebacks.push(writeback(1));
        outbox.observe(&order);
        book.0.lock().unwrap().insert(order.id.clone(), order);
    }
    let all = async {
        let mut done = 0;
        while done < 300 {
            let ended = results.recv().await.expect("a runner");
            let mut orders = book.0.lock().unwrap();
            let order = orders.get_mut(&ended.order).unwrap();
            order.seq += 1;
            order.writebacks[0].attempts += 1;
            if matches!(ended.result, Delivery::Done { .. }) {
                order.writebacks[0].state = WritebackState::Done;
                done += 1;
            }
            outbox.observe(order);
        }
    };
    tokio::time::timeout(Duration::from_secs(120), all)
        .await
        .expect("everything delivered in time");
    assert!(outbox.open().is_empty());
    let mut keys = accepted(&server);
    keys.sort_unstable();
    let mut wanted: Vec<String> = (0..300)
        .map(|i| job_id(&format!("cc:{i}").as_str().into(), 1))
        .collect();
    wanted.sort_unstable();
    assert_eq!(keys, wanted);
}
