//! The simulated Starshipit, over real HTTP: what it sells, says, keeps and breaks.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a step that fails is the test's failure"
)]

#[path = "sim_starshipit/books.rs"]
mod books;
#[path = "sim_starshipit/faults.rs"]
mod faults;
#[path = "sim_starshipit/labels.rs"]
mod labels;
#[path = "sim_starshipit/orders.rs"]
mod orders;
#[path = "sim_starshipit/switches.rs"]
mod switches;

use base64::Engine;
use printstation::sim::starshipit::admin::Seed;
use printstation::sim::starshipit::{Options, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// A client with the keys of the first account, and the server it talks to.
struct Bench {
    server: Server,
    http: reqwest::Client,
}

type Got = (StatusCode, Value);

impl Bench {
    async fn start(options: Options) -> Self {
        // Another test of this binary may have been first; either way there is one.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let server = Server::start(options).await.unwrap();
        Self { server, http }
    }

    /// Without a rate limit, with these switches.
    async fn with(switches: &[&str]) -> Self {
        let mut options = Options {
            requests_per_second: 0,
            ..Options::default()
        };
        for switch in switches {
            options.switches.apply(switch).unwrap();
        }
        Self::start(options).await
    }

    fn order(&self, seed: Seed) -> i64 {
        self.server.add_order(seed).unwrap()
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Got> {
        let account = &self.server.accounts()[0];
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.server.url()))
            .header("StarShipIT-Api-Key", &account.api_key)
            .header("Ocp-Apim-Subscription-Key", &account.subscription_key);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let reply = request.send().await?;
        let status = reply.status();
        let text = reply.text().await?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }

    async fn get(&self, path: &str) -> Value {
        self.send(Method::GET, path, None).await.unwrap().1
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, Some(body)).await.unwrap().1
    }

    async fn print(&self, id: i64) -> Value {
        self.post("/api/orders/shipment", json!({ "order_id": id }))
            .await
    }
}

/// Waits for `condition`; the deadline is for a broken simulator, not for a slow machine.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .is_ok(),
        "{what} did not happen"
    );
}

/// The PDFs of a print reply.
fn pdfs(reply: &Value) -> Vec<Vec<u8>> {
    let labels = reply["labels"].as_array().unwrap();
    let decode = |l: &Value| base64::engine::general_purpose::STANDARD.decode(l.as_str().unwrap());
    labels.iter().map(|l| decode(l).unwrap()).collect()
}

fn details(reply: &Value) -> &str {
    assert_eq!(reply["success"], false, "{reply}");
    reply["errors"][0]["details"].as_str().unwrap()
}

#[tokio::test]
async fn an_order_is_found_by_number_printed_once_and_its_money_is_in_the_ledger() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("WEB-1"));
    let found = bench.get("/api/orders?order_number=WEB-1").await;
    assert_eq!(found["order"]["order_id"], id);
    assert_eq!(found["order"]["status"], "Unshipped");
    assert_eq!(found["order"]["carrier"], -1);
    let printed = bench.print(id).await;
    assert_eq!(printed["success"], true, "{printed}");
    let sales = bench.server.sales();
    assert_eq!(sales.len(), 1);
    assert_eq!(
        printed["tracking_numbers"],
        json!(sales[0].tracking_numbers)
    );
    assert_eq!(
        (sales[0].order_id, sales[0].order_number.as_str()),
        (id, "WEB-1")
    );
    assert!(sales[0].price_cents > 0);
    let after = bench.get(&format!("/api/orders?order_id={id}")).await;
    assert_eq!(after["order"]["status"], "Printed");
    assert_eq!(
        after["order"]["packages"][0]["tracking_number"],
        printed["tracking_numbers"][0]
    );
    let unknown = bench.get("/api/orders?order_number=WEB-2").await;
    assert_eq!(details(&unknown), "Unable to find order number: WEB-2");
}
