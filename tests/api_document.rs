//! `/api/openapi.json` is true: what it lists is there, what is there is listed, and answers of a running
//! station, refusals and errors included, are as it says. `scripts/api` has a stranger's program try
//! the same.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/process.rs"]
#[expect(dead_code, reason = "each test binary uses its own part")]
mod process;
#[path = "common/schema.rs"]
mod schema;

use process::{Process, World, client};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

struct Api {
    web: String,
    token: String,
    document: Value,
    /// `GET /api/status 200`, seen and found as described.
    seen: BTreeSet<String>,
}

impl Api {
    async fn of(world: &World, station: &Process) -> Self {
        let web = station.ready["web"].as_str().expect("web").to_owned();
        let reply = client().get(format!("{web}/api/openapi.json")).send().await;
        let document = reply.expect("answer").json().await.expect("json");
        Self {
            web,
            token: world.token(),
            document,
            seen: BTreeSet::new(),
        }
    }

    /// Sends, and compares the answer with what the document says of this address.
    async fn ask(
        &mut self,
        template: &str,
        path: &str,
        method: Method,
        body: Option<&str>,
    ) -> Value {
        let mut request = client().request(method.clone(), format!("{}{path}", self.web));
        if let Some(body) = body {
            request = request
                .bearer_auth(&self.token)
                .header("content-type", "application/json")
                .body(body.to_owned());
        }
        let reply = request.send().await.expect("an answer");
        self.compare(template, &method, reply).await
    }

    async fn compare(
        &mut self,
        template: &str,
        method: &Method,
        reply: reqwest::Response,
    ) -> Value {
        let status = reply.status().as_u16();
        let kind = reply.headers().get("content-type").cloned();
        let kind = kind.map(|k| k.to_str().expect("ASCII").to_owned());
        let kind = kind.unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().to_owned();
        let text = reply.text().await.expect("text");
        let place = format!("{method} {template} {status}");
        let operation = &self.document["paths"][template][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{place} is not in the document");
        let response = &operation["responses"][status.to_string()];
        assert!(
            response.is_object(),
            "{place} is not in the document: {text}"
        );
        if status >= 400 {
            assert_eq!(kind, "application/problem+json", "{place}: {text}");
        }
        let mut first = Value::Null;
        if let Some(content) = response["content"].as_object() {
            let described = content.get(&kind);
            let described = described.unwrap_or_else(|| panic!("{place} is {kind}: {content:?}"));
            let values: Vec<Value> = match kind.as_str() {
                "application/json" => vec![serde_json::from_str(&text).expect("json")],
                "application/problem+json" => {
                    let problem: Value = serde_json::from_str(&text).expect("json");
                    assert_eq!(problem["status"], status, "{place}");
                    // A refused scan has the members of its scan document as well.
                    if problem.get("outcome").is_some() {
                        let scan = json!({ "$ref": "#/components/schemas/Scan" });
                        let mut bare = problem.clone();
                        for member in ["type", "title", "status", "detail"] {
                            bare.as_object_mut().expect("an object").remove(member);
                        }
                        assert_eq!(
                            schema::faults(&self.document, &scan, &bare),
                            [""; 0],
                            "{place}"
                        );
                        self.seen.insert(place);
                        return problem;
                    }
                    vec![problem]
                }
                "application/x-ndjson" => text
                    .lines()
                    .map(|line| serde_json::from_str(line).expect("json"))
                    .collect(),
                _ => vec![],
            };
            for value in &values {
                let faults = schema::faults(&self.document, &described["schema"], value);
                assert_eq!(faults, [""; 0], "{place}: {value}");
            }
            first = values.into_iter().next().unwrap_or_default();
        } else {
            assert_eq!(text, "", "{place} has a body");
        }
        self.seen.insert(place);
        first
    }
}

#[test]
fn the_reader_of_schemas_can_find_faults() {
    let document = json!({ "components": { "schemas": { "A": {
        "type": "object", "required": ["n"], "properties": { "n": { "type": ["integer", "null"], "enum": [1, null] } }
    } } } });
    let a = json!({ "$ref": "#/components/schemas/A" });
    let count = |value| schema::faults(&document, &a, &value).len();
    assert_eq!(count(json!({ "n": 1 })), 0);
    assert_eq!(count(json!({ "n": null })), 0);
    for bad in [
        json!({}),
        json!({ "n": 2 }),
        json!({ "n": "1" }),
        json!({ "n": 1, "m": 1 }),
        json!([]),
    ] {
        assert_eq!(count(bad.clone()), 1, "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_the_document_says() {
    let world = World::new(&[], "");
    for number in ["WEB-1", "WEB-2"] {
        world
            .order(json!({ "number": number, "parcels": [1.2] }))
            .await;
    }
    let station = world.run();
    let mut api = Api::of(&world, &station).await;
    let get = Method::GET;
    let post = Method::POST;
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/openapi.json",
        "/api/status",
    ] {
        api.ask(path, path, get.clone(), None).await;
    }
    let scan = "/api/scan";
    let code = |code: &str| json!({ "code": code, "user": "ann" }).to_string();
    for (path, body, status) in [
        ("/api/scan?wait=30s", code("WEB-1"), 200),
        ("/api/scan?wait=30s", code("WEB-1"), 409),
        ("/api/scan", code("WEB-2"), 202),
        ("/api/scan", code("\u{7}"), 422),
        ("/api/scan", "{".to_owned(), 400),
        ("/api/scan", "[1]".to_owned(), 400),
        ("/api/scan?wait=x", code("WEB-1"), 400),
        (
            "/api/scan",
            format!("{{\"code\":\"{}\"}}", "x".repeat(70_000)),
            413,
        ),
    ] {
        // The same order twice within a moment is one act.
        tokio::time::sleep(Duration::from_millis(1600)).await;
        api.ask(scan, path, post.clone(), Some(&body)).await;
        let place = format!("POST {scan} {status}");
        assert!(
            api.seen.contains(&place),
            "{body:.60}: {place} in {:?}",
            api.seen
        );
    }
    let order = api
        .ask(
            "/api/orders",
            "/api/orders?limit=5&q=web-1",
            get.clone(),
            None,
        )
        .await;
    let id = order["id"].as_str().expect("an id").to_owned();
    let one = "/api/orders/{reference}";
    let at = |rest: &str| format!("/api/orders/{}{rest}", id.replace(':', "%3A"));
    api.ask(one, &at(""), get.clone(), None).await;
    api.ask(one, "/api/orders/NOPE", get.clone(), None).await;
    api.ask(one, "/api/orders/%ff", get.clone(), None).await;
    let png = "/api/orders/{reference}/label.png";
    api.ask(png, &at("/label.png"), get.clone(), None).await;
    api.ask(png, &at("/label.png?page=9"), get.clone(), None)
        .await;
    api.ask(png, &at("/label.png?page=x"), get.clone(), None)
        .await;
    for (act, body) in [
        ("reprint", r#"{"reason":"torn","parcels":[1]}"#),
        ("reprint", r#"{"parcels":[0]}"#),
        ("redo", r#"{"confirm":true}"#),
        ("redo", "{}"),
        ("next-parcel", "{}"),
        ("release", "{}"),
        ("cancel", r#"{"user":"bob"}"#),
        ("cancel", r#"{"unknown":1}"#),
    ] {
        let template = format!("/api/orders/{{reference}}/{act}");
        let path = at(&format!("/{act}?wait=20s"));
        api.ask(&template, &path, post.clone(), Some(body)).await;
        let nowhere = format!("/api/orders/NOPE/{act}");
        api.ask(&template, &nowhere, post.clone(), Some(body)).await;
    }
    for path in [
        "/api/writebacks",
        "/api/writebacks?state=done",
        "/api/writebacks?state=x",
    ] {
        api.ask("/api/writebacks", path, get.clone(), None).await;
    }
    for (act, body) in [
        ("retry", "{}"),
        ("resolve", r#"{"keep":"ours"}"#),
        ("resolve", "{}"),
    ] {
        let template = format!("/api/writebacks/{{id}}/{act}");
        let path = format!("/api/writebacks/NOPE/{act}");
        api.ask(&template, &path, post.clone(), Some(body)).await;
    }
    let hook = "/api/hooks/cartoncloud/{secret}";
    api.ask(
        hook,
        "/api/hooks/cartoncloud/guess",
        post.clone(),
        Some("{}"),
    )
    .await;
    let lease = "/api/update/lease";
    let body = r#"{"quiet_s":1,"patience_s":1}"#;
    api.ask(lease, lease, post.clone(), Some(body)).await;
    // Without the token, from a page that is not ours, and not as JSON.
    let url = format!("{}{scan}", api.web);
    for (headers, status) in [
        (vec![], 401),
        (vec![("origin", "http://evil.example")], 401),
        (vec![("authorization", "Bearer wrong")], 401),
        (vec![("host", "evil.example")], 400),
    ] {
        let mut request = client().post(&url).json(&json!({ "code": "WEB-1" }));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let reply = request.send().await.expect("an answer");
        assert_eq!(reply.status(), status);
        assert!(reply.headers().get("access-control-allow-origin").is_none());
        api.compare(scan, &post, reply).await;
    }
    let plain = client()
        .post(&url)
        .bearer_auth(&api.token)
        .body("code=WEB-1");
    let reply = plain.send().await.expect("an answer");
    assert_eq!(reply.status(), 415);
    api.compare(scan, &post, reply).await;
    let session = client()
        .post(format!("{}/api/session", api.web))
        .header("origin", &api.web)
        .json(&json!({ "token": api.token }));
    let reply = session.send().await.expect("an answer");
    assert_eq!(reply.status(), 204);
    let cookie = reply.headers()["set-cookie"].to_str().expect("ASCII");
    for word in ["SameSite=Strict", "HttpOnly", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    api.compare("/api/session", &post, reply).await;
    // No address of the document was left out (events have no end, and are read in web's own tests).
    let asked: BTreeSet<&str> = api
        .seen
        .iter()
        .filter_map(|place| place.split(' ').nth(1))
        .collect();
    for path in api.document["paths"].as_object().expect("paths").keys() {
        assert!(
            path == "/api/events" || asked.contains(path.as_str()),
            "{path} was not asked"
        );
    }
    assert_eq!(station.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_is_a_problem_with_its_code_also_where_no_handler_is_reached() {
    let world = World::new(&[], "");
    let station = world.run();
    let api = Api::of(&world, &station).await;
    let problem = async |method: Method, path: &str| {
        let url = format!("{}{path}", api.web);
        let request = client().request(method, url).bearer_auth(&api.token);
        let reply = request.send().await.expect("an answer");
        let status = reply.status().as_u16();
        assert_eq!(
            reply.headers()["content-type"],
            "application/problem+json",
            "{path}"
        );
        let problem: Value = reply.json().await.expect("json");
        (status, problem["code"].as_str().expect("a code").to_owned())
    };
    let expected = |status: u16, code: &str| (status, code.to_owned());
    for (template, methods) in api.document["paths"].as_object().expect("paths") {
        let path = template
            .replace("{reference}", "WEB-1")
            .replace("{id}", "WEB-1")
            .replace("{secret}", "guess");
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            if methods.get(method.as_str().to_lowercase()).is_none() {
                let got = problem(method, &path).await;
                assert_eq!(got, expected(405, "method-not-allowed"), "{path}");
            }
        }
    }
    for path in [
        "/nowhere",
        "/api",
        "/api/orders/WEB-1/explode",
        "/metrics/",
        "//",
        "/api/openapi",
    ] {
        let got = problem(Method::GET, path).await;
        assert_eq!(got, expected(404, "not-found"), "{path}");
    }
    // Below HTTP: heads that are too large or no HTTP at all cost their connection, nothing more.
    let addr = api.web.trim_start_matches("http://");
    for request in [
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
            "x".repeat(40_000)
        ),
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "A: b\r\n".repeat(200)
        ),
        "\u{1}\u{2}\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
    ] {
        let mut stream = TcpStream::connect(addr).expect("connect");
        stream
            .set_read_timeout(Some(process::PATIENCE))
            .expect("timeout");
        // It may be cut while we are still sending.
        drop(stream.write_all(request.as_bytes()));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer:.80}"
        );
    }
    assert_eq!(problem(Method::GET, "/nowhere").await.0, 404);
    assert_eq!(station.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_that_never_finish_keep_nobody_from_scanning() {
    let world = World::new(&[], "");
    world
        .order(json!({ "number": "WEB-1", "parcels": [1.2] }))
        .await;
    let station = world.run();
    let web = station.ready["web"].as_str().expect("web");
    let addr = web.trim_start_matches("http://").to_owned();
    let mut slow = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(&addr).expect("connect");
        // Half a head, or a head and half a body.
        let begun = match n % 2 {
            0 => "POST /api/scan HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ".to_owned(),
            _ => format!(
                "POST /api/scan HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{\"code\":\"",
                world.token()
            ),
        };
        stream.write_all(begun.as_bytes()).expect("write");
        slow.push(stream);
    }
    // The bench's own ways stay free: the control socket at once, the page when the first are cut off.
    let begun = Instant::now();
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_printstation"))
        .args(["scan", "WEB-1", "--json", "--wait", "30s", "--state-dir"])
        .arg(world.state())
        .output()
        .expect("the command line runs");
    let reply: Value = serde_json::from_slice(&done.stdout).expect("a scan document");
    assert_eq!(reply["outcome"], "printed", "{reply}");
    let (status, _) = world.scan(&station, "WEB-1", Some("5s")).await;
    assert_eq!(status, 409, "after {:?}", begun.elapsed());
    drop(slow);
    assert_eq!(station.stop(), Some(0));
}
