//! The simulated Shopify and the webhook receiver, over real HTTP; and all simulators as one world.

#![expect(
    clippy::unwrap_used,
    reason = "a step that fails is the test's failure"
)]

#[path = "sim_shopify/fulfil.rs"]
mod fulfil;
#[path = "sim_shopify/webhook.rs"]
mod webhook;
#[path = "sim_shopify/world.rs"]
mod world;

use printstation::sim::shopify::{Options, Seed, Server, Shop, fault};
use serde_json::{Value, json};
use std::time::Duration;

const SHIP: &str = "query Ship($q: String!) { orders(first: 5, query: $q) { nodes {
    id name cancelledAt displayFulfillmentStatus
    fulfillments(first: 20) { id status trackingInfo(first: 10) { company number url } }
    fulfillmentOrders(first: 20) { nodes {
      id status requestStatus assignedLocation { location { id name } } supportedActions { action }
      lineItems(first: 100) { nodes { id remainingQuantity totalQuantity sku lineItem { id } } } } }
  } } }";

const FULFIL: &str = "mutation Fulfil($fulfillment: FulfillmentInput!, $message: String) {
  fulfillmentCreate(fulfillment: $fulfillment, message: $message) {
    fulfillment { id status createdAt trackingInfo(first: 10) { company number url } }
    userErrors { field message } } }";

const RETRACK: &str = "mutation Retrack($id: ID!, $t: FulfillmentTrackingInput!, $n: Boolean) {
  fulfillmentTrackingInfoUpdate(fulfillmentId: $id, trackingInfoInput: $t, notifyCustomer: $n) {
    fulfillment { id status trackingInfo(first: 10) { company number url } }
    userErrors { field message } } }";

fn client() -> reqwest::Client {
    // Another test of this binary may have been first; either way there is one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// A client of the first shop, and the server it talks to.
struct Bench {
    server: Server,
    http: reqwest::Client,
    shop: Shop,
    token: String,
}

impl Bench {
    async fn with(switches: &[&str]) -> Self {
        let mut options = Options::default();
        for switch in switches {
            options.switches.apply(switch).unwrap();
        }
        let server = Server::start(options).await.unwrap();
        let shop = server.shops()[0].clone();
        Self {
            http: client(),
            token: shop.access_token.clone(),
            shop,
            server,
        }
    }

    async fn post(&self, path: &str, body: String) -> reqwest::Result<(u16, Value)> {
        let url = format!("{}{path}", self.server.base_url(&self.shop.shop));
        let request = self
            .http
            .post(url)
            .header("X-Shopify-Access-Token", &self.token);
        let reply = request.body(body).send().await?;
        let status = reply.status().as_u16();
        let text = reply.text().await?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }

    async fn try_run(&self, query: &str, variables: Value) -> reqwest::Result<(u16, Value)> {
        let body = json!({"query": query, "variables": variables}).to_string();
        self.post("/admin/api/2026-07/graphql.json", body).await
    }

    async fn run(&self, query: &str, variables: Value) -> Value {
        self.try_run(query, variables).await.unwrap().1
    }

    async fn find(&self, name: &str) -> Value {
        let got = self.run(SHIP, json!({"q": format!("name:{name}")})).await;
        got["data"]["orders"]["nodes"].clone()
    }

    fn order(&self, name: &str) -> String {
        let seed = Seed {
            name: name.into(),
            ..Seed::default()
        };
        self.server.add_order(seed).unwrap()
    }

    /// What `fulfillmentCreate` needs for all that is open of the order `name`.
    async fn input(&self, name: &str, number: &str) -> Value {
        let order = self.find(name).await[0].clone();
        let parts = order["fulfillmentOrders"]["nodes"]
            .as_array()
            .unwrap()
            .clone();
        let parts: Vec<Value> = parts
            .iter()
            .map(|p| json!({"fulfillmentOrderId": p["id"]}))
            .collect();
        json!({"fulfillment": {"lineItemsByFulfillmentOrder": parts, "notifyCustomer": true,
            "trackingInfo": {"company": "Australia Post", "number": number, "url": format!("https://t.example/{number}")}}})
    }

    fn faults(&self, texts: &[&str]) {
        self.server
            .set_faults(texts.iter().map(|t| fault(t).unwrap()).collect());
    }
}

fn user_error(reply: &Value) -> &str {
    let payload = reply["data"].as_object().unwrap().values().next().unwrap();
    assert!(payload["fulfillment"].is_null(), "{reply}");
    payload["userErrors"][0]["message"].as_str().unwrap()
}

fn code(reply: &Value) -> &str {
    reply["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or_default()
}
