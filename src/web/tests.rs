//! The door as strangers and friends meet it: real sockets, requests written by hand.
//!
//! Long because every right, limit and status has its case.

use super::*;
use crate::domain::{Code, Outcome, ScanReply};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

const DEADLINE: Duration = Duration::from_secs(30);
const TOKEN: &str = "0123456789abcdef-token";

/// A served door with a station behind it that answers as told and remembers what it was asked.
struct Bench {
    serving: Serving,
    asked: Arc<Mutex<Vec<String>>>,
    events: tokio::sync::broadcast::Sender<Event>,
    _dir: tempfile::TempDir,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        assert!(
            self.head.contains("application/problem+json"),
            "{}",
            self.head
        );
        let body = self.json();
        assert_eq!(body["code"], code);
        assert_eq!(body["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(
                body[member].as_str().is_some_and(|t| !t.is_empty()),
                "{member}"
            );
        }
        body
    }
}

async fn bench(answer: impl Fn(&Request) -> Option<Reply> + Send + 'static) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (station, mut calls, events) = Station::new(8);
    let settings = Settings {
        station: "bench <1>".into(),
        command_prefix: "PST.".into(),
        listen: "127.0.0.1:0".parse().unwrap(),
        control: dir.path().join(CONTROL_SOCKET),
        token: TOKEN.into(),
        hook_secret: Some("hook-secret".into()),
        hosts: vec!["bench-1.local".into()],
    };
    let serving = serve(settings, station).await.unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        while let Some(Call { request, reply }) = calls.recv().await {
            log.lock().unwrap().push(format!("{request:?}"));
            // No answer: the call is dropped.
            if let Some(answer) = answer(&request) {
                let _ = reply.send(answer);
            }
        }
    });
    Bench {
        serving,
        asked,
        events,
        _dir: dir,
    }
}

fn printed() -> ScanReply {
    let mut reply = ScanReply::new(Outcome::Printed, "The label is out.");
    reply.order = Some("WEB-1".into());
    reply
}

/// Answers everything with something fitting.
async fn friendly() -> Bench {
    bench(|request| {
        Some(match request {
            Request::Scan { .. } | Request::Act { .. } => Reply::Scan(Box::new(printed())),
            Request::Status => Reply::Document(json!({"state": "ready"})),
            Request::Orders(_) => Reply::Lines(vec![json!({"id": "a"}), json!({"id": "b"})]),
            Request::Writebacks(_) => Reply::Lines(vec![]),
            Request::Writeback { .. } => Reply::Document(json!({"id": "cc:u#1"})),
            Request::Hook { uuid } => Reply::Document(json!({ "hook": uuid })),
            Request::Rest { .. } => Reply::Document(json!({"lease": "granted"})),
            Request::WorkOn => Reply::Document(json!({"lease": "over"})),
            Request::Doctor => Reply::Document(json!({"facts": []})),
            Request::Order { .. } => Reply::NotFound {
                detail: "no such order".into(),
            },
            Request::LabelPng { .. } => Reply::Png(b"\x89PNG".to_vec()),
            Request::Metrics => Reply::Text("# EOF\n".into()),
        })
    })
    .await
}

async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> Answer {
    let mut bytes = Vec::new();
    tokio::time::timeout(DEADLINE, async {
        // A server that has answered early may close before everything is sent.
        let _ = stream.write_all(request).await;
        let _ = stream.read_to_end(&mut bytes).await;
    })
    .await
    .expect("an answer in time");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Answer {
        status: status.unwrap_or_else(|| panic!("no status in {text:?}")),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

impl Bench {
    /// `headers` end with CR LF each; `Host` is added unless given.
    async fn tcp(&self, line: &str, headers: &str, body: &str) -> Answer {
        let stream = TcpStream::connect(self.serving.web).await.unwrap();
        let host = if headers.contains("Host:") {
            String::new()
        } else {
            format!("Host: {}\r\n", self.serving.web)
        };
        let length = if headers.contains("Content-Length") || line.starts_with("GET") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let request =
            format!("{line} HTTP/1.1\r\n{host}{headers}{length}Connection: close\r\n\r\n{body}");
        exchange(stream, request.as_bytes()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.tcp(&format!("GET {path}"), "", "").await
    }

    /// With the token and as JSON.
    async fn post(&self, path: &str, body: &str) -> Answer {
        let headers =
            format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
        self.tcp(&format!("POST {path}"), &headers, body).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The cookie that the page gives.
    async fn cookie(&self) -> String {
        let page = self.get("/").await;
        let start = page.head.find("set-cookie: ").expect("a cookie") + "set-cookie: ".len();
        page.head[start..].split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn the_lease_of_an_update_is_not_given_over_the_network() {
    let bench = friendly().await;
    let answer = bench
        .post("/api/update/lease", r#"{"quiet_s":0,"patience_s":1}"#)
        .await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert!(bench.asked().is_empty(), "{:?}", bench.asked());
}

#[tokio::test]
async fn a_hook_needs_its_secret_and_is_believed_no_more_than_an_order_id() {
    let bench = friendly().await;
    let json = "Content-Type: application/json\r\n";
    let uuid = "5843E0A9-1111-41a0-a6da-d1ed03dd7f25";
    let order = format!(r#"{{"id":"{uuid}","status":"PACKED"}}"#);
    let call = |secret: &'static str, body: String| {
        let bench = &bench;
        async move {
            let line = format!("POST /api/hooks/cartoncloud/{secret}");
            bench.tcp(&line, json, &body).await
        }
    };
    assert_eq!(call("wrong", order.clone()).await.status, 404);
    for body in [
        "{}",
        r#"{"id":7}"#,
        r#"{"id":"../../etc/passwd"}"#,
        "no json",
    ] {
        assert_eq!(
            call("hook-secret", body.to_owned()).await.status,
            400,
            "{body}"
        );
    }
    assert!(bench.asked().is_empty(), "{:?}", bench.asked());
    let answer = call("hook-secret", order).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(
        answer.body.contains(&uuid.to_ascii_lowercase()),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_change_needs_the_token_or_the_pages_own_session() {
    let bench = friendly().await;
    let json = "Content-Type: application/json\r\n";
    let scan = r#"{"code":"WEB-1"}"#;
    let post = |headers: String| {
        let bench = &bench;
        async move { bench.tcp("POST /api/scan", &headers, scan).await }
    };
    let own = format!("Origin: http://{}\r\n", bench.serving.web);
    let cookie = format!("Cookie: x=y; {}\r\n", bench.cookie().await);
    for headers in [
        json.to_owned(),
        format!("{json}Authorization: Bearer wrong\r\n"),
        format!("{json}Authorization: Basic {TOKEN}\r\n"),
        format!("{json}{cookie}"),
        format!("{json}{cookie}Origin: http://evil.example\r\n"),
        format!("{json}{cookie}Origin: null\r\n"),
        format!("{json}{own}Cookie: printstation-1=abc\r\n"),
    ] {
        post(headers).await.is_problem(401, "unauthorized");
    }
    assert!(bench.asked().is_empty(), "{:?}", bench.asked());
    let with_token = post(format!("{json}Authorization: bearer {TOKEN}\r\n")).await;
    assert_eq!(with_token.status, 200, "{}", with_token.body);
    let with_session = post(format!("{json}{cookie}{own}")).await;
    assert_eq!(with_session.status, 200, "{}", with_session.body);
    let asked = bench.asked();
    assert!(
        asked[0].contains("\"http\"") && asked[1].contains("\"page\""),
        "{asked:?}"
    );
}

#[tokio::test]
async fn somebody_elses_name_for_this_station_is_turned_away() {
    let bench = friendly().await;
    for host in [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "",
        "127.0.0.1.evil.example",
    ] {
        let answer = bench
            .tcp("GET /api/status", &format!("Host: {host}\r\n"), "")
            .await;
        answer.is_problem(400, "bad-request");
    }
    for host in [
        "localhost:1",
        "LOCALHOST",
        "127.0.0.1",
        "[::1]:8631",
        "192.0.2.7",
        "Bench-1.local:80",
    ] {
        let answer = bench
            .tcp("GET /api/status", &format!("Host: {host}\r\n"), "")
            .await;
        assert_eq!(answer.status, 200, "{host}");
    }
    let twice = bench
        .tcp(
            "GET /api/status",
            "Host: 127.0.0.1\r\nHost: evil.example\r\n",
            "",
        )
        .await;
    assert_eq!(twice.status, 400);
}

#[tokio::test]
async fn readers_beyond_this_machine_need_the_token_and_this_machine_does_not() {
    let (station, mut calls, _events) = Station::new(1);
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            let _ = call.reply.send(Reply::Document(json!({})));
        }
    });
    let (_stop, stopping) = watch::channel(false);
    let context = Arc::new(Context {
        station,
        keys: guard::Keys::new(&TOKEN.into(), "session".into(), 1, None),
        hosts: vec![],
        page: page::of_bench("b", ""),
        openapi: axum::body::Bytes::new(),
        stopping,
        followers: Arc::new(Semaphore::new(1)),
    });
    let ask = |peer: Option<&str>, path: &str, token: bool| {
        let router = hyper_util::service::TowerToHyperService::new(api::router(context.clone()));
        let mut request = hyper::Request::get(path).header("Host", "192.0.2.1");
        if token {
            request = request.header("Authorization", format!("Bearer {TOKEN}"));
        }
        let mut request = request.body(axum::body::Body::empty()).unwrap();
        if let Some(peer) = peer {
            let peer = guard::Peer::Tcp(peer.parse().unwrap());
            request.extensions_mut().insert(peer);
        }
        async move {
            hyper::service::Service::call(&router, request)
                .await
                .unwrap()
        }
    };
    let far = Some("192.0.2.9");
    for path in [
        "/api/status",
        "/healthz",
        "/api/orders",
        "/api/events",
        "/nowhere",
    ] {
        assert_eq!(ask(far, path, false).await.status(), 401, "{path}");
    }
    assert_eq!(ask(None, "/api/status", false).await.status(), 401);
    assert_eq!(ask(far, "/api/status", true).await.status(), 200);
    assert_eq!(
        ask(Some("127.0.0.1"), "/api/status", false).await.status(),
        200
    );
    assert_eq!(
        ask(Some("::ffff:127.0.0.1"), "/api/status", false)
            .await
            .status(),
        200
    );
    // The page comes, to ask for the token, but without a session.
    let page = ask(far, "/", false).await;
    assert_eq!(page.status(), 200);
    assert!(!page.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn the_page_of_another_machine_logs_in_with_the_token() {
    let bench = friendly().await;
    let headers = format!(
        "Content-Type: application/json\r\nOrigin: http://{}\r\n",
        bench.serving.web
    );
    let login = |token: &str| {
        let body = json!({ "token": token }).to_string();
        let (bench, headers) = (&bench, &headers);
        async move { bench.tcp("POST /api/session", headers, &body).await }
    };
    login("wrong").await.is_problem(401, "unauthorized");
    let answer = login(TOKEN).await;
    assert_eq!(answer.status, 204);
    for part in ["set-cookie: printstation-", "httponly", "samesite=strict"] {
        assert!(answer.head.contains(part), "{}", answer.head);
    }
}

#[tokio::test]
async fn every_wrong_request_has_its_code() {
    let bench = friendly().await;
    bench.get("/nowhere").await.is_problem(404, "not-found");
    bench
        .get("/api/scan")
        .await
        .is_problem(405, "method-not-allowed");
    bench
        .post("/api/status", "{}")
        .await
        .is_problem(405, "method-not-allowed");
    bench
        .post("/api/orders/WEB-1/dance", "{}")
        .await
        .is_problem(404, "not-found");
    bench
        .get("/api/orders/WEB-1")
        .await
        .is_problem(404, "order-not-found");
    for (path, body) in [
        ("/api/scan", ""),
        ("/api/scan", "{"),
        ("/api/scan", "[]"),
        ("/api/scan", r#"{"code":7}"#),
        ("/api/scan", r#"{"cod":"WEB-1"}"#),
        ("/api/scan", r#"{"code":"WEB-1","user":"a\u0007"}"#),
        ("/api/scan?wait=30", r#"{"code":"WEB-1"}"#),
        ("/api/scan?wait=1h", r#"{"code":"WEB-1"}"#),
        ("/api/scan?wiat=1s", r#"{"code":"WEB-1"}"#),
        ("/api/orders/WEB-1/redo", "{}"),
        ("/api/orders/WEB-1/redo", r#"{"confirm":"yes"}"#),
        ("/api/orders/WEB-1/reprint", r#"{"parcels":[0]}"#),
        ("/api/orders/WEB-1/release", r#"{"parcels":[1]}"#),
        ("/api/orders/%00/release", "{}"),
    ] {
        bench.post(path, body).await.is_problem(400, "bad-request");
    }
    for path in [
        "/api/orders?limit=0",
        "/api/orders?limit=9999",
        "/api/orders?state=happy",
        "/api/orders?colour=red",
        "/api/orders/WEB-1/label.png?page=0",
        "/api/orders/%FF",
    ] {
        bench.get(path).await.is_problem(400, "bad-request");
    }
    let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: text/plain\r\n");
    let plain = bench
        .tcp("POST /api/scan", &headers, r#"{"code":"WEB-1"}"#)
        .await;
    plain.is_problem(415, "bad-request");
    assert!(
        bench.asked().iter().all(|a| a.contains("Order {")),
        "{:?}",
        bench.asked()
    );
}

#[tokio::test]
async fn large_bodies_are_refused_declared_or_not() {
    let bench = friendly().await;
    let large = format!(r#"{{"code":"{}"}}"#, "x".repeat(MAX_BODY));
    bench
        .post("/api/scan", &large)
        .await
        .is_problem(413, "too-large");
    let headers = format!(
        "Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n"
    );
    let lied = bench.tcp("POST /api/scan", &headers, "{}").await;
    lied.is_problem(413, "too-large");
    let chunks = format!(
        "Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length-Not: sent\r\n"
    );
    let body = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    bench
        .tcp("POST /api/scan", &chunks, &body)
        .await
        .is_problem(413, "too-large");
    assert!(bench.asked().is_empty());
}

#[tokio::test]
async fn an_endless_head_is_refused() {
    let bench = friendly().await;
    let answer = bench
        .tcp("GET /", &format!("X: {}\r\n", "x".repeat(64 * 1024)), "")
        .await;
    assert_eq!(answer.status, 431);
}

#[tokio::test]
async fn scan_replies_have_the_status_of_their_outcome() {
    let bench = bench(|request| {
        let Request::Scan { text, .. } = request else {
            return None;
        };
        let refused = |code| ScanReply::coded(Outcome::Refused, code, "PST.", Some("why"));
        Some(Reply::Scan(Box::new(match text.as_str() {
            "P" => printed(),
            "A" => ScanReply::new(Outcome::Accepted, "."),
            "Q" => ScanReply::new(Outcome::Queued, "."),
            "?" => ScanReply::coded(Outcome::Question, Code::PrinterInDoubt, "PST.", None),
            "I" => ScanReply::new(Outcome::Ignored, "."),
            "F" => refused(Code::QueueFull),
            "B" => refused(Code::BadScan),
            "N" => return None,
            _ => refused(Code::AlreadyPrinted),
        })))
    })
    .await;
    let scan = |code: &str| {
        let body = json!({ "code": code }).to_string();
        let bench = &bench;
        async move { bench.post("/api/scan?wait=30s", &body).await }
    };
    for (code, status) in [("P", 200), ("I", 200), ("?", 200), ("A", 202), ("Q", 202)] {
        let answer = scan(code).await;
        assert_eq!(answer.status, status, "{code}");
        assert!(answer.head.contains("content-type: application/json"));
        let members: Vec<String> = answer.json().as_object().unwrap().keys().cloned().collect();
        for member in [
            "outcome",
            "order",
            "code",
            "message",
            "next",
            "tracking",
            "proof",
            "timings_ms",
        ] {
            assert!(members.iter().any(|m| m == member), "{code} lacks {member}");
        }
    }
    let refused = scan("WEB-1").await.is_problem(409, "already-printed");
    assert_eq!(refused["outcome"], "refused");
    assert!(refused["next"].as_str().unwrap().contains("PST.REPRINT"));
    let full = scan("F").await;
    full.is_problem(503, "queue-full");
    assert!(full.head.contains("retry-after"));
    scan("B").await.is_problem(422, "bad-scan");
    scan("\u{7}").await.is_problem(422, "bad-scan");
    scan(&"x".repeat(129)).await.is_problem(422, "bad-scan");
    scan("N").await.is_problem(503, "internal");
}

#[tokio::test]
async fn acts_say_who_and_why_and_several_orders_are_listed() {
    let bench = bench(|request| match request {
        Request::Act { reference, .. } if reference == "A/1 é" => {
            Some(Reply::Scan(Box::new(printed())))
        }
        _ => Some(Reply::Ambiguous(vec![crate::domain::outcome::Candidate {
            id: "ss:a:1".into(),
            account: "a".into(),
        }])),
    })
    .await;
    let body = r#"{"reason":"smudged","parcels":[2],"user":"kim"}"#;
    let answer = bench
        .post("/api/orders/A%2F1%20%C3%A9/reprint?wait=5s", body)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let asked = bench.asked().concat();
    for part in ["smudged", "[2]", "kim", "Some(5s)"] {
        assert!(asked.contains(part), "{asked}");
    }
    let problem = bench.post("/api/orders/WEB-1/next-parcel", "{}").await;
    let problem = problem.is_problem(409, "order-ambiguous");
    assert_eq!(problem["candidates"][0]["id"], "ss:a:1");
}

#[tokio::test]
async fn lists_are_lines_and_labels_are_pictures() {
    let bench = friendly().await;
    let orders = bench
        .get("/api/orders?state=in-doubt&q=WEB&limit=5&after=a")
        .await;
    assert!(orders.head.contains("application/x-ndjson"));
    assert_eq!(orders.body, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
    let asked = bench.asked().concat();
    assert!(
        asked.contains("InDoubt") && asked.contains("limit: 5"),
        "{asked}"
    );
    let label = bench.get("/api/orders/WEB-1/label.png").await;
    assert!(label.head.contains("image/png") && label.body.contains("PNG"));
    assert_eq!(bench.get("/api/writebacks").await.body, "");
}

#[tokio::test]
async fn a_writeback_is_named_by_its_id_and_decided_in_words() {
    let bench = friendly().await;
    let post = |path: &'static str, body: &'static str| {
        let headers =
            format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
        let bench = &bench;
        async move { bench.tcp(&format!("POST {path}"), &headers, body).await }
    };
    for (path, body, status, code) in [
        ("/api/writebacks/cc:u%231/resolve", "{}", 400, "bad-request"),
        (
            "/api/writebacks/cc:u%231/resolve",
            "{\"keep\":\"mine\"}",
            400,
            "bad-request",
        ),
        (
            "/api/writebacks/cc:u%231/retry",
            "{\"keep\":\"ours\"}",
            400,
            "bad-request",
        ),
        ("/api/writebacks/cc:u%231/forget", "{}", 404, "not-found"),
    ] {
        post(path, body).await.is_problem(status, code);
    }
    let bare = bench
        .tcp("POST /api/writebacks/cc:u%231/retry", "", "{}")
        .await;
    bare.is_problem(401, "unauthorized");
    for query in ["state=open", "limit=0", "limit=20001", "x=1"] {
        let answer = bench.get(&format!("/api/writebacks?{query}")).await;
        answer.is_problem(400, "bad-request");
    }
    assert_eq!(
        bench.asked().len(),
        0,
        "nothing of that reached the station"
    );
    assert_eq!(
        post("/api/writebacks/cc:u%231/retry", "{}").await.status,
        200
    );
    let resolve = post("/api/writebacks/WEB-1/resolve", "{\"keep\":\"theirs\"}").await;
    assert_eq!(resolve.status, 200);
    bench.get("/api/writebacks?state=conflict&limit=5").await;
    let asked = bench.asked().concat();
    for part in [
        "id: \"cc:u#1\", act: Retry",
        "id: \"WEB-1\", act: KeepTheirs",
        "state: Some(\"conflict\"), limit: 5",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn ready_follows_the_station_and_healthy_means_alive() {
    let state = Arc::new(Mutex::new("fault"));
    let now = state.clone();
    let bench = bench(move |_| Some(Reply::Document(json!({"state": *now.lock().unwrap()})))).await;
    bench.get("/readyz").await.is_problem(503, "internal");
    *state.lock().unwrap() = "paused";
    bench.get("/readyz").await.is_problem(503, "paused");
    *state.lock().unwrap() = "working";
    assert_eq!(bench.get("/readyz").await.status, 200);
    assert_eq!(bench.get("/healthz").await.status, 200);
    // HEAD is GET without a body.
    assert_eq!(bench.tcp("HEAD /healthz", "", "").await.status, 200);
}

#[tokio::test]
async fn the_control_socket_needs_no_token_and_says_it_is_the_command_line() {
    let bench = friendly().await;
    let stream = UnixStream::connect(&bench.serving.control).await.unwrap();
    let request = "POST /api/scan HTTP/1.1\r\nHost: printstation\r\nContent-Type: application/json\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{\"code\":\"WEB-1\"}";
    assert_eq!(exchange(stream, request.as_bytes()).await.status, 200);
    assert!(bench.asked()[0].contains("\"cli\""));
}

#[tokio::test]
async fn followers_get_the_status_first_and_then_every_event() {
    let bench = friendly().await;
    let mut stream = TcpStream::connect(bench.serving.web).await.unwrap();
    let request = format!(
        "GET /api/events HTTP/1.1\r\nHost: {}\r\n\r\n",
        bench.serving.web
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut until = async |part: &str, text: &mut String| {
        tokio::time::timeout(DEADLINE, async {
            let mut bytes = [0; 4096];
            while !text.contains(part) {
                let n = stream.read(&mut bytes).await.unwrap();
                assert!(n > 0, "ended early: {text}");
                text.push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        })
        .await
        .unwrap_or_else(|_| panic!("no {part:?} in {text:?}"));
    };
    until("event: status\ndata: {\"state\":\"ready\"}\n\n", &mut text).await;
    assert!(text.contains("text/event-stream"));
    let event = Event {
        kind: EventKind::Scan,
        data: json!({"message": "two\nlines"}),
    };
    bench.events.send(event).unwrap();
    until(
        "event: scan\ndata: {\"message\":\"two\\nlines\"}\n\n",
        &mut text,
    )
    .await;
    // A stop does not wait for followers.
    let drained = bench.serving.drain(DEADLINE);
    tokio::time::timeout(DEADLINE / 2, drained)
        .await
        .expect("followers end at once");
}

#[tokio::test]
async fn a_drain_lets_a_request_under_way_end() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let (arrived_tx, mut arrived) = tokio::sync::mpsc::channel(1);
    let (station, mut calls, _events) = Station::new(1);
    tokio::spawn(async move {
        let call: Call = calls.recv().await.unwrap();
        arrived_tx.send(()).await.unwrap();
        tokio::task::spawn_blocking(move || gone.lock().unwrap().recv().unwrap())
            .await
            .unwrap();
        call.reply
            .send(Reply::Document(json!({"state": "draining"})))
            .unwrap();
    });
    let dir = tempfile::tempdir().unwrap();
    let control = dir.path().join(CONTROL_SOCKET);
    let settings = Settings {
        station: String::new(),
        command_prefix: String::new(),
        listen: "127.0.0.1:0".parse().unwrap(),
        control: control.clone(),
        token: TOKEN.into(),
        hook_secret: None,
        hosts: vec![],
    };
    let serving = serve(settings, station).await.unwrap();
    let web = serving.web;
    let request = format!("GET /api/status HTTP/1.1\r\nHost: {web}\r\nConnection: close\r\n\r\n");
    let stream = TcpStream::connect(web).await.unwrap();
    let asking = tokio::spawn(async move { exchange(stream, request.as_bytes()).await });
    arrived.recv().await.unwrap();
    let draining = tokio::spawn(serving.drain(DEADLINE));
    tokio::time::timeout(DEADLINE, async {
        while TcpStream::connect(web).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("no new connections");
    go.send(()).unwrap();
    assert_eq!(asking.await.unwrap().json()["state"], "draining");
    draining.await.unwrap();
    assert!(!control.exists());
}

#[tokio::test]
async fn the_page_carries_no_secret_and_trusts_nothing_from_outside() {
    let bench = friendly().await;
    let page = bench.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("bench &lt;1&gt;") && !page.body.contains("bench <1>"));
    assert!(!page.body.contains(TOKEN) && !page.body.contains("{{"));
    for part in [
        "content-security-policy: default-src 'none'",
        "x-frame-options: deny",
        "cache-control: no-store",
    ] {
        assert!(page.head.contains(part), "{}", page.head);
    }
    assert!(!page.head.contains("access-control"));
    for outside in ["http://", "https://", "//cdn", "innerHTML", "eval("] {
        assert!(!page.body.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn seventy_silent_clients_do_not_shut_out_the_control_socket() {
    let bench = friendly().await;
    let mut silent = Vec::new();
    for _ in 0..70 {
        silent.push(TcpStream::connect(bench.serving.web).await.unwrap());
    }
    let stream = UnixStream::connect(&bench.serving.control).await.unwrap();
    let request = b"GET /api/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(stream, request).await.status, 200);
    // The silent ones are cut off by the deadline for headers, and TCP answers again.
    assert_eq!(bench.get("/healthz").await.status, 200);
}
