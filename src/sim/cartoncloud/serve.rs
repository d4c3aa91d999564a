//! One call from its head to its fate: faults, limits, version, token, tenant, role, the act.

use crate::sim::cartoncloud::api::{
    Answer, Ask, Astray, FAULTS, Route, missing_role, refuse, route, words,
};
use crate::sim::cartoncloud::book::Book;
use crate::sim::cartoncloud::orders::{Desk, broken};
use crate::sim::cartoncloud::switches::{
    BadClient, BadTenant, HeaderCase, RetryAfter, Switches, TokenLifetime,
};
use crate::sim::cartoncloud::{Options, admin};
use crate::sim::site::faults::{Fault, Hits};
use crate::sim::site::form::decode;
use crate::sim::site::{Call, Calls, Fate, Net, Network, Reply, Site, blocking, held, hex, now};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::http::request::Parts;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Sale orders that a user may create in a minute (section 1.7).
const CREATES_PER_MINUTE: usize = 30;
/// Tokens that are remembered; the oldest go first.
const MAX_TOKENS: usize = 10_000;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) tenant_id: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) calls: Calls,
    pub(crate) faults: Mutex<Vec<Fault>>,
    book: Mutex<Book>,
    switches: Mutex<Switches>,
    first_switches: Switches,
    rng: Mutex<StdRng>,
    tokens: Mutex<HashMap<String, Instant>>,
    arrivals: Mutex<VecDeque<Instant>>,
    creates: Mutex<VecDeque<Instant>>,
    requests_per_minute: u32,
    network: Net,
}

impl Site for Shared {
    fn net(&self) -> &Net {
        &self.network
    }

    fn title_case_headers(&self) -> bool {
        self.switches().header_case == HeaderCase::Title
    }

    async fn answer(self: Arc<Self>, head: Parts, body: Vec<u8>) -> Fate {
        let at = now();
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let target = Target::of(&head.method, &path);
        let name = match &target {
            Target::Call { route, .. } => route.call.to_owned(),
            _ => format!("{} {path}", head.method),
        };
        // A document's content is not worth remembering, and credentials are in headers.
        let about: String = String::from_utf8_lossy(&body[..body.len().min(600)]).into_owned();
        let fate = Arc::clone(&self)
            .fate(&head, target, &path, &query, body)
            .await;
        self.calls.note(Call {
            call: name,
            asked: format!("{path}?{query} {about}"),
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

/// Where a path leads.
enum Target {
    Call {
        tenant: Option<String>,
        route: Route,
    },
    Astray {
        tenant: Option<String>,
        why: Astray,
    },
}

impl Target {
    fn of(method: &Method, path: &str) -> Self {
        let plain = |call| Self::Call {
            tenant: None,
            route: Route {
                call,
                ids: Vec::new(),
                versions: 1,
            },
        };
        match (method.as_str(), path) {
            ("POST", "/uaa/oauth/token") => return plain("token"),
            ("GET", "/uaa/userinfo") => return plain("userinfo"),
            _ => {}
        }
        let below = path
            .strip_prefix("/tenants/")
            .and_then(|p| p.split_once('/'));
        let (tenant, found) = match below {
            Some((tenant, rest)) => (Some(tenant.to_owned()), route(method, rest)),
            None => (None, Err(Astray::Path)),
        };
        match found {
            Ok(route) => Self::Call { tenant, route },
            Err(why) => Self::Astray { tenant, why },
        }
    }
}

impl Shared {
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        let book = Book::open(
            options.state.as_deref(),
            options.seed,
            options.customers,
            now(),
        )?;
        Ok(Self {
            tenant_id: options.tenant_id,
            client_id: options.client_id,
            client_secret: options.client_secret,
            calls: Calls::default(),
            faults: Mutex::new(options.faults),
            book: Mutex::new(book),
            switches: Mutex::new(options.switches),
            first_switches: options.switches,
            rng: Mutex::new(StdRng::seed_from_u64(options.seed)),
            tokens: Mutex::default(),
            arrivals: Mutex::default(),
            creates: Mutex::default(),
            requests_per_minute: options.requests_per_minute,
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
    }

    pub(crate) fn expire_tokens(&self) {
        held(&self.tokens).clear();
    }

    /// Back to the standing data and the switches it was started with.
    pub(crate) fn reset(&self) -> io::Result<()> {
        self.book().reset(now())?;
        self.set_switches(self.first_switches);
        held(&self.faults).clear();
        self.network.set(Network::Up);
        self.calls.clear();
        self.expire_tokens();
        held(&self.arrivals).clear();
        held(&self.creates).clear();
        Ok(())
    }

    async fn fate(
        self: Arc<Self>,
        head: &Parts,
        target: Target,
        path: &str,
        query: &str,
        body: Vec<u8>,
    ) -> Fate {
        let limit = usize::try_from(self.requests_per_minute).unwrap_or(usize::MAX);
        if limit > 0 && !within(&self.arrivals, limit) {
            return Fate::Reply(self.too_many());
        }
        let hits = match &target {
            Target::Call { route, .. } => {
                FAULTS.draw(&mut held(&self.faults), route.call, &mut *held(&self.rng))
            }
            Target::Astray { .. } => Hits::default(),
        };
        tokio::time::sleep(hits.latency).await;
        if let Some(fate) = hits.before(words) {
            return fate;
        }
        if hits.has("token_expired") {
            self.expire_tokens();
        }
        match self.admit(head, &target) {
            Err(reply) => Fate::Reply(reply),
            Ok((route, version)) => {
                let ask = Ask {
                    ids: route.ids.clone(),
                    path: path.to_owned(),
                    query: decode(query),
                    body,
                    version,
                    if_match: header(head, "if-match").map(str::to_owned),
                    prefer: header(head, "prefer").unwrap_or_default().to_owned(),
                };
                let call = route.call;
                let basic = header(head, "authorization").unwrap_or_default().to_owned();
                let shared = Arc::clone(&self);
                let marks = hits.clone();
                let done = blocking(move || shared.act(call, &ask, &basic, &marks)).await;
                match done {
                    Ok(Ok(reply)) => hits.after(reply),
                    // A refusal changed nothing: only its reply can still go wrong.
                    Ok(Err(reply)) => hits.after(reply),
                    Err(error) => Fate::Reply(broken(error)),
                }
            }
        }
    }

    /// Version, token, tenant and role, in this order (section 14).
    fn admit(&self, head: &Parts, target: &Target) -> Result<(Route, u32), Reply> {
        if let Target::Call { route, .. } = target
            && route.call == "token"
        {
            // Two clients leave the version out here, and it works.
            return Ok((route.clone(), 1));
        }
        let version = header(head, "accept-version")
            .ok_or_else(|| refuse(400, "Missing header: Accept-Version."))?;
        let version: u32 = version
            .parse()
            .ok()
            .filter(|v| (1..=8).contains(v))
            .ok_or_else(|| refuse(406, format!("Invalid Accept-Version: {version}.")))?;
        let bearer = header(head, "authorization").and_then(|a| a.strip_prefix("Bearer "));
        let valid = bearer.is_some_and(|token| {
            let until = held(&self.tokens).get(token).copied();
            until.is_some_and(|until| Instant::now() < until)
        });
        if !valid {
            return Err(refuse(
                401,
                "Full authentication is required to access this resource.",
            ));
        }
        let (Target::Call { tenant, .. } | Target::Astray { tenant, .. }) = target;
        if tenant.as_ref().is_some_and(|t| *t != self.tenant_id) {
            return Err(match self.switches().bad_tenant {
                BadTenant::Forbidden => refuse(403, "Access to this tenant is denied."),
                BadTenant::Missing => refuse(404, "Tenant not found."),
            });
        }
        let route = match target {
            Target::Call { route, .. } => route,
            Target::Astray {
                why: Astray::Path, ..
            } => return Err(refuse(404, "Not found")),
            Target::Astray {
                why: Astray::Method,
                ..
            } => {
                let text = format!("Request method '{}' not supported", head.method);
                return Err(refuse(405, text));
            }
        };
        if version > route.versions {
            return Err(refuse(
                404,
                format!("There is no version {version} of this end point."),
            ));
        }
        if let Some(role) = missing_role(route.call, &self.switches()) {
            return Err(refuse(
                403,
                format!("Access is denied: the role '{role}' is missing."),
            ));
        }
        Ok((route.clone(), version))
    }

    fn act(&self, call: &str, ask: &Ask, basic: &str, hits: &Hits) -> Answer {
        match call {
            "token" => return self.token(ask, basic),
            "userinfo" => return Ok(self.userinfo()),
            "order-create" if !within(&self.creates, CREATES_PER_MINUTE) => {
                return Err(self.too_many());
            }
            _ => {}
        }
        let switches = self.switches();
        let mut desk = Desk {
            book: &mut self.book(),
            switches,
            hits,
            now: now(),
        };
        match call {
            "order-create" => desk.order_create(ask),
            "order-get" => desk.order_get(ask),
            "order-put" => desk.order_put(ask),
            "order-delete" => desk.order_delete(ask),
            "order-search" => desk.order_search(ask),
            "document-create" => desk.document_create(ask),
            "document-list" => desk.document_list(ask),
            "document-get" => desk.document_get(ask),
            "document-download" => desk.document_download(ask),
            "consignment-get" => desk.consignment_get(ask),
            "consignment-put" => desk.consignment_put(ask),
            "consignment-search" => desk.consignment_search(ask),
            "product-get" => desk.product_get(ask),
            "product-search" => desk.product_search(ask),
            "customers" => desk.customers(ask),
            "warehouses" => desk.warehouses(ask),
            other => Err(refuse(404, format!("the simulator has no {other}"))),
        }
    }

    fn token(&self, ask: &Ask, basic: &str) -> Answer {
        let pair = basic
            .strip_prefix("Basic ")
            .and_then(|text| STANDARD.decode(text.trim()).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let switches = self.switches();
        if pair != Some(format!("{}:{}", self.client_id, self.client_secret)) {
            return Err(match switches.bad_client {
                BadClient::Array => refuse(401, "Bad credentials"),
                BadClient::Spring => Reply::json(
                    401,
                    &json!({"error": "invalid_client", "error_description": "Bad client credentials"}),
                ),
            });
        }
        let form = decode(&String::from_utf8_lossy(&ask.body));
        let grant = form
            .iter()
            .find(|(n, _)| n == "grant_type")
            .map(|(_, v)| v.as_str());
        if grant != Some("client_credentials") {
            return Err(refuse(400, "Unsupported grant type"));
        }
        let lifetime: u64 = match switches.token_lifetime {
            TokenLifetime::Hour => 3600,
            TokenLifetime::Minute => 60,
            TokenLifetime::Five => 5,
            TokenLifetime::One => 1,
        };
        let token = format!("sim.{}", hex(&held(&self.rng).random::<[u8; 24]>()));
        let mut tokens = held(&self.tokens);
        let now = Instant::now();
        tokens.retain(|_, until| now < *until);
        if tokens.len() < MAX_TOKENS {
            tokens.insert(token.clone(), now + Duration::from_secs(lifetime));
        }
        Ok(Reply::json(
            200,
            &json!({"access_token": token, "token_type": "bearer", "expires_in": lifetime}),
        ))
    }

    fn userinfo(&self) -> Reply {
        Reply::json(
            200,
            &json!({"id": self.client_id, "name": "Simulated API client", "email": "api@example.com",
                "tenants": [{"id": self.tenant_id, "name": "Example 3PL", "slug": "Example3PL"}]}),
        )
    }

    fn too_many(&self) -> Reply {
        match self.switches().retry_after {
            RetryAfter::Sent => words(429).with("retry-after", "2"),
            RetryAfter::Absent => words(429),
        }
    }
}

/// At most so many in any minute; what is turned away does not count.
fn within(arrivals: &Mutex<VecDeque<Instant>>, limit: usize) -> bool {
    let mut arrivals = held(arrivals);
    let now = Instant::now();
    while arrivals
        .front()
        .is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(60))
    {
        arrivals.pop_front();
    }
    let fits = arrivals.len() < limit;
    if fits {
        arrivals.push_back(now);
    }
    fits
}

fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name).and_then(|v| v.to_str().ok())
}
