//! A server that sends given bytes: malformed replies, redirects, bombs, and what was asked of it.

use super::*;
use printstation::domain::RemoteStatus;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ORDER_FULL: &[u8] = include_bytes!("../fixtures/starshipit/order_full.json");
const ORDER_NEW: &[u8] = include_bytes!("../fixtures/starshipit/order_new.json");
const PRINT: &[u8] = include_bytes!("../fixtures/starshipit/print.json");
const PRINT_WRONG_TYPES: &[u8] = include_bytes!("../fixtures/starshipit/print_wrong_types.json");
const PRINT_CUT: &[u8] = include_bytes!("../fixtures/starshipit/print_cut.json");
const NOT_FOUND: &[u8] = include_bytes!("../fixtures/starshipit/not_found.json");
const GATEWAY_401: &[u8] = include_bytes!("../fixtures/starshipit/gateway_401.json");
const GATEWAY_429: &[u8] = include_bytes!("../fixtures/starshipit/gateway_429.json");
const ERROR_PAGE: &[u8] = include_bytes!("../fixtures/starshipit/error_page.html");

const ID: i64 = 700_000_123;

/// Answers every request with the same bytes, and remembers the requests.
pub(crate) struct Raw {
    pub(crate) addr: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Raw {
    pub(crate) async fn start(reply: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, reply) = (Arc::clone(&requests), Arc::new(reply.into()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&reply), Arc::clone(&seen)));
            }
        });
        Self { addr, requests }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> Starshipit {
        let mut settings = settings(
            format!("http://{}", self.addr),
            &[("main", "the-api-key-7", "the-subscription-key-8")],
        );
        settings.request_timeout = Duration::from_secs(5);
        Starshipit::new(settings).unwrap()
    }
}

/// One request per connection: head, body by its length, the reply, the end.
async fn serve(mut stream: TcpStream, reply: Arc<Vec<u8>>, seen: Arc<Mutex<Vec<String>>>) {
    if read_request(&mut stream, &seen).await {
        let _ = stream.write_all(&reply).await;
        let _ = stream.shutdown().await;
    }
}

/// Reads a whole request and remembers it.
async fn read_request(stream: &mut TcpStream, seen: &Mutex<Vec<String>>) -> bool {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|l| {
                    l.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                seen.lock().unwrap().push(text);
                return true;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => request.extend_from_slice(&chunk[..n]),
            _ => return false,
        }
    }
}

fn http(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let mut reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    reply.extend_from_slice(body);
    reply
}

fn json(status: &str, body: &[u8]) -> Vec<u8> {
    http(status, "application/json", body)
}

async fn printed(reply: Vec<u8>) -> (Raw, Result<(Bought, Vec<Vec<u8>>), CallFailure>) {
    let server = Raw::start(reply).await;
    let main = AccountName::from("main");
    let result = server
        .client()
        .print(&main, ID, false, None, Priority::Scan)
        .await;
    (server, result)
}

async fn got(reply: Vec<u8>) -> Result<Option<RemoteOrder>, CallFailure> {
    let server = Raw::start(reply).await;
    let main = AccountName::from("main");
    server.client().get(&main, ID, Priority::Scan).await
}

#[tokio::test]
async fn a_purchase_whose_reply_cannot_be_read_is_unknown_and_was_sent_once() {
    let mut cut_short = json("200 OK", PRINT);
    cut_short.truncate(cut_short.len() - 20);
    let replies = [
        Vec::new(),
        b"garbage that is no HTTP\r\n\r\n".to_vec(),
        b"HTTP/1.1 200".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        cut_short,
        json("200 OK", PRINT_CUT),
        json("200 OK", b""),
        json("200 OK", b"[]"),
        json("200 OK", br#"{"message": "hello"}"#),
        json(
            "200 OK",
            br#"{"order_id": 1, "success": true, "labels": ["JVBERg=="]}"#,
        ),
        http("200 OK", "text/html", ERROR_PAGE),
        http("502 Bad Gateway", "text/html", ERROR_PAGE),
        http("401 Unauthorized", "text/html", ERROR_PAGE),
        http("403 Forbidden", "text/html", ERROR_PAGE),
        json(
            "500 Internal Server Error",
            br#"{"message": "An error has occurred."}"#,
        ),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
            .to_vec(),
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"
            .to_vec(),
    ];
    for reply in replies {
        let shown = String::from_utf8_lossy(&reply).into_owned();
        let (server, result) = printed(reply).await;
        assert!(
            matches!(result, Err(CallFailure::Unknown { .. })),
            "{result:?} for {shown}"
        );
        assert_eq!(server.requests().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_purchase_lost_on_a_connection_that_was_used_before_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let raw = Raw {
        addr: listener.local_addr().unwrap(),
        requests: Arc::default(),
    };
    let seen = Arc::clone(&raw.requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                // The first request is answered and the connection stays; the second is read
                // to its end, and then the connection is closed.
                if read_request(&mut stream, &seen).await {
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
                    let head = format!("{head}Content-Length: {}\r\n\r\n", ORDER_FULL.len());
                    stream.write_all(head.as_bytes()).await.unwrap();
                    stream.write_all(ORDER_FULL).await.unwrap();
                    read_request(&mut stream, &seen).await;
                }
            });
        }
    });
    let (client, main) = (raw.client(), AccountName::from("main"));
    client.get(&main, ID, Priority::Scan).await.unwrap();
    assert_unknown(client.print(&main, ID, false, None, Priority::Scan).await);
    assert_eq!(raw.requests().len(), 2);
}

#[tokio::test]
async fn a_purchase_is_refused_only_by_words_that_can_be_read() {
    let (_, result) = printed(json("401 Access Denied", GATEWAY_401)).await;
    assert_refused(result, Code::StarshipitUnauthorized);
    let (_, result) = printed(json("200 OK", GATEWAY_401)).await;
    assert_refused(result, Code::StarshipitUnauthorized);
    let (_, result) = printed(json("500 Internal Server Error", NOT_FOUND)).await;
    assert_refused(result, Code::OrderNotFound);
    let (server, result) = printed(json("200 OK", GATEWAY_429)).await;
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(result, Err(CallFailure::Throttled { retry_after }));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn after_a_429_that_asks_for_minutes_a_scan_is_told_at_once_and_nothing_is_sent() {
    let reply = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n";
    let server = Raw::start(reply.to_vec()).await;
    let (client, main) = (server.client(), AccountName::from("main"));
    for _ in 0..3 {
        let result = client.print(&main, ID, false, None, Priority::Scan).await;
        let Err(CallFailure::Throttled {
            retry_after: Some(wait),
        }) = result
        else {
            panic!("{result:?}")
        };
        assert!(wait > Duration::from_secs(100), "{wait:?}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn what_was_bought_is_read_from_drifting_types() {
    let (server, result) = printed(json("200 OK", PRINT)).await;
    let (bought, documents) = result.unwrap();
    assert_eq!(bought.tracking, ["ABC123456789"]);
    assert_eq!((bought.tracking_slots, bought.undecodable), (2, 0));
    assert_eq!(
        documents,
        [
            b"%PDF-1.4\n% label\n".to_vec(),
            b"%PDF-1.4\n% invoice\n".to_vec()
        ]
    );
    let request = &server.requests()[0];
    assert!(
        request.starts_with("POST /api/orders/shipment HTTP/1.1\r\n"),
        "{request}"
    );
    let headers = request.to_ascii_lowercase();
    assert!(headers.contains("starshipit-api-key: the-api-key-7\r\n"));
    assert!(headers.contains("ocp-apim-subscription-key: the-subscription-key-8\r\n"));
    assert!(headers.contains("content-type: application/json\r\n"));
    let body: serde_json::Value =
        serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body, serde_json::json!({"order_id": ID, "reprint": false}));

    let (_, result) = printed(json("200 OK", PRINT_WRONG_TYPES)).await;
    let (bought, documents) = result.unwrap();
    assert_eq!(bought.order_id, ID);
    assert_eq!(bought.tracking, ["ABC123456789"]);
    assert_eq!((documents.len(), bought.undecodable), (1, 3));
}

#[tokio::test]
async fn a_document_over_ten_megabytes_is_passed_on_for_others_to_judge() {
    let body = format!(
        r#"{{"success": true, "labels": ["{}"]}}"#,
        "JVBE".repeat(4_000_000)
    );
    let (_, result) = printed(json("200 OK", body.as_bytes())).await;
    let (bought, documents) = result.unwrap();
    assert_eq!(documents[0].len(), 12_000_000);
    assert_eq!(bought.documents[0].len, 12_000_000);
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off() {
    let endless = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{".to_vec();
    let (server, result) = printed(endless.clone()).await;
    assert_unknown(result);
    assert_eq!(server.requests().len(), 1);
    assert_unknown(got(endless).await);
    // Nine megabytes, for a reply that holds no labels.
    let mut big = br#"{"success": true, "padding": ""#.to_vec();
    big.resize(9 << 20, b'x');
    big.extend_from_slice(br#""}"#);
    assert_unknown(got(json("200 OK", &big)).await);
}

#[tokio::test]
async fn a_compressed_bomb_is_stopped_by_its_unpacked_size() {
    // gzip of 32 MiB of blanks, 32 kB on the wire: printf '%*s' 33554432 | gzip -9
    let bomb = include_bytes!("../fixtures/starshipit/bomb.json.gz");
    let mut reply = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    reply.extend_from_slice(bomb);
    let CallFailure::Unknown { detail } = got(reply).await.unwrap_err() else {
        panic!()
    };
    assert!(detail.contains("larger than"), "{detail}");
}

#[tokio::test]
async fn an_order_is_read_full_or_bare() {
    let full = got(json("200 OK", ORDER_FULL)).await.unwrap().unwrap();
    assert_eq!(full.status, RemoteStatus::Printed);
    assert_eq!(full.tracking, ["ABC123456789"]);
    assert!(full.label_created && !full.archived);
    let bare = got(json("200 OK", ORDER_NEW)).await.unwrap().unwrap();
    assert_eq!((bare.order_id, bare.status), (ID, RemoteStatus::Unshipped));
    assert_eq!(bare.postcode.as_deref(), Some("7010"));
    assert_eq!((bare.carrier, bare.reference), (None, None));
    assert!(bare.parcels[0].weight_kg > 0.7);
}

#[tokio::test]
async fn only_the_service_itself_can_say_that_there_is_no_such_order() {
    assert_eq!(got(json("200 OK", NOT_FOUND)).await, Ok(None));
    for reply in [
        json("200 OK", br#"{"success": true}"#),
        json("200 OK", br#"{"success": true, "order": null}"#),
        json("200 OK", br#"{"success": true, "order": {"order_id": 5}}"#),
        json(
            "404 Not Found",
            br#"{"statusCode": 404, "message": "Resource not found"}"#,
        ),
        http("404 Not Found", "text/html", ERROR_PAGE),
    ] {
        assert_unknown(got(reply).await);
    }
}

#[tokio::test]
async fn a_copy_that_is_not_named_in_the_reply_is_unknown() {
    let main = AccountName::from("main");
    for body in [
        r#"{"success": true}"#,
        r#"{"success": true, "order": {"order_id": 700000123}}"#,
        r#"{"success": false, "order": {"order_id": 700000124}, "errors": ["warnings"]}"#,
    ] {
        let server = Raw::start(json("200 OK", body.as_bytes())).await;
        assert_unknown(server.client().replace(&main, ID).await);
        assert_unknown(server.client().clone_order(&main, ID).await);
        assert_eq!(server.requests().len(), 2);
    }
    let body = br#"{"success": true, "order": [{"order_id": "700000124", "order_number": ""}]}"#;
    let server = Raw::start(json("200 OK", body)).await;
    let copy = server.client().clone_order(&main, ID).await.unwrap();
    assert_eq!((copy.order_id, copy.number.as_str()), (700_000_124, ""));
}

#[tokio::test]
async fn a_probe_is_not_satisfied_by_somebody_elses_page() {
    let main = AccountName::from("main");
    for (reply, is_ok) in [
        (http("200 OK", "text/html", ERROR_PAGE), false),
        (json("200 OK", b"{}"), false),
        (
            json("200 OK", br#"{"order_ids": [], "success": true}"#),
            true,
        ),
    ] {
        let server = Raw::start(reply).await;
        assert_eq!(server.client().probe(&main).await.is_ok(), is_ok);
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_or_a_closed_port_means_that_nothing_was_sent() {
    let main = AccountName::from("main");
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let plain = Raw::start(json("200 OK", PRINT)).await;
    for url in [
        format!("http://{closed}"),
        "https://starshipit.invalid".to_owned(),
        // Speaks no TLS: the handshake fails, no request is sent.
        format!("https://{}", plain.addr),
    ] {
        let mut settings = settings(url.clone(), &[("main", "a", "b")]);
        settings.request_timeout = Duration::from_secs(15);
        let client = Starshipit::new(settings).unwrap();
        let result = client.print(&main, ID, false, None, Priority::Scan).await;
        assert!(
            matches!(result, Err(CallFailure::NotSent { .. })),
            "{url}: {result:?}"
        );
    }
    assert_eq!(plain.requests(), Vec::<String>::new());
}
