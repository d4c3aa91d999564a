//! The simulated CartonCloud, over real HTTP: what it refuses, keeps, pages and breaks.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is the test's failure"
)]

#[path = "sim_cartoncloud/books.rs"]
mod books;
#[path = "sim_cartoncloud/doors.rs"]
mod doors;
#[path = "sim_cartoncloud/faults.rs"]
mod faults;
#[path = "sim_cartoncloud/searches.rs"]
mod searches;
#[path = "sim_cartoncloud/writes.rs"]
mod writes;

use printstation::sim::cartoncloud::{Options, Seed, Server, fault};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// A client with a token, and the server it talks to.
struct Bench {
    server: Server,
    http: reqwest::Client,
    token: String,
}

/// A reply, read to its end.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

impl Got {
    fn message(&self) -> &str {
        self.json[0]["message"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// The rows of a list, by reference.
    fn references(&self) -> Vec<&str> {
        let rows = self.json.as_array().unwrap().iter();
        rows.map(|o| o["references"]["customer"].as_str().unwrap())
            .collect()
    }
}

impl Bench {
    async fn start(options: Options) -> Self {
        // Another test of this binary may have been first; either way there is one.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let server = Server::start(options).await.unwrap();
        let mut bench = Self {
            server,
            http,
            token: String::new(),
        };
        bench.sign_in().await;
        bench
    }

    /// With these switches.
    async fn with(switches: &[&str]) -> Self {
        let mut options = Options::default();
        for switch in switches {
            options.switches.apply(switch).unwrap();
        }
        Self::start(options).await
    }

    async fn sign_in(&mut self) {
        let got = self.ask_token(self.server.client_secret()).await;
        if let Some(token) = got.json["access_token"].as_str() {
            self.token = token.to_owned();
        }
    }

    async fn ask_token(&self, secret: &str) -> Got {
        let request = self
            .http
            .post(format!("{}/uaa/oauth/token", self.server.url()))
            .basic_auth(self.server.client_id(), Some(secret))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("grant_type=client_credentials");
        read(request).await.unwrap()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let tenant = self.server.tenant_id();
        let url = format!("{}/tenants/{tenant}/{path}", self.server.url());
        self.http
            .request(method, url)
            .bearer_auth(&self.token)
            .header("Accept-Version", "1")
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Got> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        read(request).await
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, None).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Got {
        self.send(Method::POST, path, Some(body)).await.unwrap()
    }

    async fn put(&self, path: &str, version: u64, body: Value) -> Got {
        let request = self
            .request(Method::PUT, path)
            .header("If-Match", version.to_string())
            .body(body.to_string());
        read(request).await.unwrap()
    }

    async fn search(&self, query: &str, leaf: Value) -> Got {
        let body = json!({"condition": {"type": "AndCondition", "conditions": [leaf]}});
        self.post(&format!("outbound-orders/search{query}"), body)
            .await
    }

    fn order(&self, reference: &str) -> String {
        self.server.add_order(Seed::reference(reference)).unwrap()
    }

    fn faults(&self, texts: &[&str]) {
        self.server
            .set_faults(texts.iter().map(|t| fault(t).unwrap()).collect());
    }

    /// The only consignment of the order, as the API shows it.
    async fn consignment(&self, order: &str) -> Value {
        let body = json!({"condition": {"type": "AndCondition", "conditions": [
            text("/generatedFromTask/id", order)]}});
        let got = self.post("consignments/search", body).await;
        assert_eq!(got.json.as_array().unwrap().len(), 1, "{got:?}");
        got.json[0].clone()
    }

    async fn admin(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let url = format!("{}/_sim/{path}", self.server.admin_url());
        let request = self.http.request(method, url).body(body.to_string());
        let got = read(request).await.unwrap();
        (got.status, got.json)
    }
}

async fn read(request: RequestBuilder) -> reqwest::Result<Got> {
    let reply = request.send().await?;
    let (status, headers) = (reply.status(), reply.headers().clone());
    let text = reply.text().await?;
    Ok(Got {
        status,
        headers,
        json: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    })
}

fn leaf(kind: &str, pointer: &str, value: impl Into<Value>, method: &str) -> Value {
    json!({"type": format!("{kind}ComparisonCondition"), "method": method,
        "field": {"type": "JsonField", "pointer": pointer},
        "value": {"type": "ValueField", "value": value.into()}})
}

fn text(pointer: &str, value: &str) -> Value {
    leaf("Text", pointer, value, "EQUAL_TO")
}

fn all() -> Value {
    json!({"type": "AndCondition", "conditions": []})
}
