//! One call from its head to its fate: shop, token, faults, cost, the act.

use crate::sim::shopify::act::Desk;
use crate::sim::shopify::model::Book;
use crate::sim::shopify::switches::{Bucket, Switches, TokenLifetime};
use crate::sim::shopify::{FAULTS, Options, Shop, admin, graphql, select};
use crate::sim::site::faults::{Fault, Hits};
use crate::sim::site::form::decode;
use crate::sim::site::{Call, Calls, Fate, Net, Network, Reply, Site, blocking, held, hex, now};
use hyper::Method;
use hyper::http::request::Parts;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Tokens that are remembered.
const MAX_TOKENS: usize = 10_000;

/// A token of the client credentials: whose it is, and until when.
#[derive(Clone, Debug)]
struct Pass {
    shop: String,
    until: Instant,
}

#[derive(Debug)]
struct Points {
    left: f64,
    at: Instant,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) shops: Vec<Shop>,
    pub(crate) calls: Calls,
    pub(crate) faults: Mutex<Vec<Fault>>,
    book: Mutex<Book>,
    switches: Mutex<Switches>,
    first_switches: Switches,
    rng: Mutex<StdRng>,
    tokens: Mutex<HashMap<String, Pass>>,
    points: Mutex<HashMap<String, Points>>,
    network: Net,
}

impl Site for Shared {
    fn net(&self) -> &Net {
        &self.network
    }

    async fn answer(self: Arc<Self>, head: Parts, body: Vec<u8>) -> Fate {
        let at = now();
        let path = head.uri.path().to_owned();
        let (call, asked, fate) = Arc::clone(&self).call(&head, body).await;
        self.calls.note(Call {
            call: call.unwrap_or_else(|| format!("{} {path}", head.method)),
            asked,
            fate: fate.word(),
            at,
        });
        fate
    }

    fn admin(&self, method: &Method, path: &str, body: &[u8]) -> Reply {
        admin::answer(self, method, path, body)
    }

    fn close_books(&self) {
        self.book().close();
    }
}

impl Shared {
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        Ok(Self {
            book: Mutex::new(Book::open(options.state.as_deref())?),
            shops: options.shops,
            calls: Calls::default(),
            faults: Mutex::new(options.faults),
            switches: Mutex::new(options.switches),
            first_switches: options.switches,
            rng: Mutex::new(StdRng::seed_from_u64(options.seed)),
            tokens: Mutex::default(),
            points: Mutex::default(),
            network: Net::default(),
        })
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        held(&self.book)
    }

    pub(crate) fn switches(&self) -> Switches {
        *held(&self.switches)
    }

    pub(crate) fn set_switches(&self, switches: Switches) {
        *held(&self.switches) = switches;
        held(&self.points).clear();
    }

    pub(crate) fn expire_tokens(&self) {
        held(&self.tokens).clear();
    }

    pub(crate) fn reset(&self) -> io::Result<()> {
        self.book().reset()?;
        self.set_switches(self.first_switches);
        held(&self.faults).clear();
        self.network.set(Network::Up);
        self.calls.clear();
        self.expire_tokens();
        Ok(())
    }

    /// Name of the call, what was asked, and what becomes of it.
    async fn call(self: Arc<Self>, head: &Parts, body: Vec<u8>) -> (Option<String>, String, Fate) {
        let missing = || Fate::Reply(Reply::json(404, &json!({"errors": "Not Found"})));
        let path = head.uri.path().trim_start_matches('/');
        let (shop, rest) = path.split_once('/').unwrap_or((path, ""));
        let Some(shop) = self.shops.iter().find(|s| s.shop == shop).cloned() else {
            return (None, String::new(), missing());
        };
        let parts: Vec<&str> = rest.split('/').collect();
        match (head.method.as_str(), parts.as_slice()) {
            ("POST", ["admin", "oauth", "access_token"]) => {
                let hits = self.draw("token");
                tokio::time::sleep(hits.latency).await;
                let fate = match hits.before(words) {
                    Some(fate) => fate,
                    None => hits.after(self.token(&shop, &body)),
                };
                (Some("token".into()), format!("/{}", shop.shop), fate)
            }
            ("POST", ["admin", "api", version, "graphql.json"]) if is_version(version) => {
                let told = head.headers.get("x-shopify-access-token");
                let told = told
                    .and_then(|v| v.to_str().ok())
                    .unwrap_or_default()
                    .to_owned();
                self.graphql(shop, &told, version, body).await
            }
            _ => (None, String::new(), missing()),
        }
    }

    fn draw(&self, call: &str) -> Hits {
        FAULTS.draw(&mut held(&self.faults), call, &mut *held(&self.rng))
    }

    async fn graphql(
        self: Arc<Self>,
        shop: Shop,
        token: &str,
        version: &str,
        body: Vec<u8>,
    ) -> (Option<String>, String, Fate) {
        let about: String = String::from_utf8_lossy(&body).chars().take(600).collect();
        let asked = format!("/{} {version} {about}", shop.shop);
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = request["query"].as_str().unwrap_or_default();
        let operation = graphql::read(
            text,
            &request["variables"],
            request["operationName"].as_str(),
        );
        let call = match &operation {
            Ok(o) => o.fields.first().map(|f| f.name.clone()),
            Err(_) => None,
        };
        let call = call.unwrap_or_else(|| "graphql".into());
        let hits = self.draw(&call);
        tokio::time::sleep(hits.latency).await;
        if let Some(fate) = hits.before(words) {
            return (Some(call), asked, fate);
        }
        if hits.has("token_expired") {
            self.expire_tokens();
        }
        if !self.knows(&shop, token) {
            let text =
                "[API] Invalid API key or access token (unrecognized login or wrong password)";
            let fate = Fate::Reply(Reply::json(401, &json!({ "errors": text })));
            return (Some(call), asked, fate);
        }
        let operation = match operation {
            Ok(operation) => operation,
            Err(message) => {
                let reply = Reply::json(200, &json!({"errors": [{ "message": message }]}));
                return (Some(call), asked, hits.after(reply));
            }
        };
        let cost = select::cost(&operation);
        let (taken, status) = self.take(&shop.shop, cost, hits.has("throttled"));
        if !taken {
            let reply = json!({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
                "extensions": {"cost": {"requestedQueryCost": cost, "actualQueryCost": null, "throttleStatus": status}}});
            return (Some(call), asked, Fate::Reply(Reply::json(200, &reply)));
        }
        let switches = self.switches();
        let (mutation, name) = (operation.mutation, shop.shop.clone());
        let shared = Arc::clone(&self);
        let done = blocking(move || {
            let mut desk = Desk {
                book: &mut shared.book(),
                shop: &shop.shop,
                switches,
                now: now(),
            };
            desk.run(&operation)
        });
        let mut reply = match done.await {
            Ok(Ok(data)) => json!({ "data": data }),
            Ok(Err(failure)) => json!({"data": null, "errors": [{"message": failure.message,
                "extensions": {"code": failure.code}}]}),
            Err(error) => {
                tracing::error!(%error, "a call of the simulator panicked");
                return (Some(call), asked, Fate::Reply(words(500)));
            }
        };
        let actual = match mutation {
            true => cost,
            false => select::used(&reply["data"]).min(cost),
        };
        let status = self.give_back(&name, cost - actual, status);
        reply["extensions"] = json!({"cost": {"requestedQueryCost": cost, "actualQueryCost": actual,
            "throttleStatus": status}});
        let reply = Reply::json(200, &reply).with("x-shopify-api-version", version);
        (Some(call), asked, hits.after(reply))
    }

    fn knows(&self, shop: &Shop, token: &str) -> bool {
        if token == shop.access_token {
            return true;
        }
        let pass = held(&self.tokens).get(token).cloned();
        pass.is_some_and(|p| p.shop == shop.shop && Instant::now() < p.until)
    }

    fn token(&self, shop: &Shop, body: &[u8]) -> Reply {
        let form = decode(&String::from_utf8_lossy(body));
        let of = |name: &str| {
            form.iter()
                .find(|(n, _)| n == name)
                .map_or("", |(_, v)| v.as_str())
        };
        if of("client_id") != shop.client_id || of("client_secret") != shop.client_secret {
            return Reply::json(
                400,
                &json!({"error": "invalid_client",
                "error_description": "Client authentication failed"}),
            );
        }
        if of("grant_type") != "client_credentials" {
            return Reply::json(400, &json!({"error": "unsupported_grant_type"}));
        }
        let switches = self.switches();
        let lifetime: u64 = match switches.token_lifetime {
            TokenLifetime::Day => 86_399,
            TokenLifetime::Five => 5,
            TokenLifetime::One => 1,
        };
        let token = format!("shpat_{}", hex(&held(&self.rng).random::<[u8; 16]>()));
        let now = Instant::now();
        let mut tokens = held(&self.tokens);
        tokens.retain(|_, pass| now < pass.until);
        if tokens.len() < MAX_TOKENS {
            let pass = Pass {
                shop: shop.shop.clone(),
                until: now + Duration::from_secs(lifetime),
            };
            tokens.insert(token.clone(), pass);
        }
        let desk = Desk {
            book: &mut self.book(),
            shop: &shop.shop,
            switches,
            now: crate::sim::site::now(),
        };
        let scope = desk.scopes().join(",");
        Reply::json(
            200,
            &json!({"access_token": token, "scope": scope, "expires_in": lifetime}),
        )
    }

    /// Takes points of the shop's bucket; whether there were enough, and how it stands.
    fn take(&self, shop: &str, cost: f64, empty: bool) -> (bool, Value) {
        let (most, back) = match self.switches().bucket {
            Bucket::Standard => (2000.0, 100.0),
            Bucket::Tiny => (cost.max(50.0), 1.0),
        };
        let now = Instant::now();
        let mut all = held(&self.points);
        let points = all.entry(shop.to_owned()).or_insert(Points {
            left: most,
            at: now,
        });
        let since = now.duration_since(points.at).as_secs_f64();
        points.left = if empty {
            0.0
        } else {
            (points.left + since * back).min(most)
        };
        points.at = now;
        let taken = points.left >= cost;
        if taken {
            points.left -= cost;
        }
        let status = json!({"maximumAvailable": most, "currentlyAvailable": points.left.floor(), "restoreRate": back});
        (taken, status)
    }

    /// The part of the cost that an answer did not need.
    fn give_back(&self, shop: &str, points: f64, mut status: Value) -> Value {
        let most = status["maximumAvailable"].as_f64().unwrap_or(0.0);
        if let Some(there) = held(&self.points).get_mut(shop) {
            there.left = (there.left + points).min(most);
            status["currentlyAvailable"] = json!(there.left.floor());
        }
        status
    }
}

fn is_version(text: &str) -> bool {
    let month = text
        .split_once('-')
        .filter(|(y, m)| y.len() == 4 && m.len() == 2);
    text == "unstable"
        || month.is_some_and(|(y, m)| {
            y.chars().all(|c| c.is_ascii_digit()) && matches!(m, "01" | "04" | "07" | "10")
        })
}

/// What the simulator says for 429, 500 and 503.
fn words(status: u16) -> Reply {
    let text = match status {
        429 => {
            "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."
        }
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    Reply::json(status, &json!({ "errors": text }))
}
