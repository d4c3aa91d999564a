//! One call from its head to its fate: keys, rate limit, faults, the act itself, and what becomes
//! of the reply.

use crate::domain::Timestamp;
use crate::sim::site::form::decode;
use crate::sim::site::{self, Net, Network, Site, held, now};
use crate::sim::starshipit::api::{Answer, Ask, Endpoint, Refusal, Reply};
use crate::sim::starshipit::book::Book;
use crate::sim::starshipit::fate::{Fate, after, before, too_many};
use crate::sim::starshipit::faults::{Fault, FaultKind, Hits};
use crate::sim::starshipit::orders::{self, Desk};
use crate::sim::starshipit::shipping::{self, PrintRequest};
use crate::sim::starshipit::switches::{
    BadKey, BadSubscription, CopyReply, PrintLatency, Race, RetryAfter, Switches,
};
use crate::sim::starshipit::wire::Wire;
use crate::sim::starshipit::{Account, Options, admin};
use hyper::Method;
use hyper::http::request::Parts;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::time::Instant;

/// Calls that are remembered.
const MAX_CALLS: usize = 100_000;

/// A call that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// Name of the endpoint, as in `--fault`; the path when there is no such endpoint.
    pub call: String,
    /// Account, when the keys were right.
    pub account: Option<String>,
    /// Query as sent, and the body of a print call. No keys are in either.
    pub asked: String,
    /// HTTP status, or what became of it: `reset`, `closed`, `cut`, `never`.
    pub fate: String,
    /// When it arrived.
    pub at: Timestamp,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) accounts: Vec<Account>,
    book: Mutex<Book>,
    switches: Mutex<Switches>,
    first_switches: Switches,
    faults: Mutex<Vec<Fault>>,
    rng: Mutex<StdRng>,
    calls: Mutex<VecDeque<Call>>,
    /// Arrivals of the last second by subscription key.
    arrivals: Mutex<HashMap<String, VecDeque<Instant>>>,
    /// One lock per order being printed, for S19 `one-sale`.
    printing: Mutex<HashMap<i64, Arc<tokio::sync::Mutex<()>>>>,
    network: Net,
    requests_per_second: u32,
    print_latency: Duration,
    tracking_delay: Duration,
}

impl Shared {
    pub(crate) fn new(options: Options) -> io::Result<Self> {
        Ok(Self {
            accounts: options.accounts,
            book: Mutex::new(Book::open(options.state.as_deref(), options.seed)?),
            switches: Mutex::new(options.switches),
            first_switches: options.switches,
            faults: Mutex::new(options.faults),
            rng: Mutex::new(StdRng::seed_from_u64(options.seed)),
            calls: Mutex::default(),
            arrivals: Mutex::default(),
            printing: Mutex::default(),
            network: Net::default(),
            requests_per_second: options.requests_per_second,
            print_latency: options.print_latency,
            tracking_delay: options.tracking_delay,
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

    pub(crate) fn faults(&self) -> Vec<Fault> {
        held(&self.faults).clone()
    }

    pub(crate) fn set_faults(&self, faults: Vec<Fault>) {
        *held(&self.faults) = faults;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        held(&self.calls).iter().cloned().collect()
    }

    pub(crate) fn wire(&self) -> Wire {
        Wire {
            switches: self.switches(),
            now: now(),
        }
    }

    /// Back to an empty simulator with the switches it was started with.
    pub(crate) fn reset(&self) -> io::Result<()> {
        self.book().reset()?;
        self.set_switches(self.first_switches);
        self.set_faults(Vec::new());
        self.network.set(Network::Up);
        held(&self.calls).clear();
        held(&self.arrivals).clear();
        Ok(())
    }

    /// Runs `act` on the books.
    pub(crate) fn desk<T>(&self, act: impl FnOnce(&mut Desk<'_>) -> T) -> T {
        let wire = self.wire();
        act(&mut Desk {
            book: &mut self.book(),
            wire,
        })
    }

    /// Answers one call of the API.
    async fn call(self: Arc<Self>, head: Parts, body: Vec<u8>) -> Fate {
        let at = now();
        let endpoint = Endpoint::at(&head.method, head.uri.path());
        let query = head.uri.query().unwrap_or_default().to_owned();
        let name = endpoint.map_or_else(|| head.uri.path().to_owned(), |e| e.name().to_owned());
        let asked = match endpoint {
            Some(Endpoint::Print) => String::from_utf8_lossy(&body).chars().take(500).collect(),
            _ => query.clone(),
        };
        let (account, fate) = match self.admit(&head) {
            Err(reply) => (None, Fate::Reply(reply)),
            Ok(account) => {
                let ask = Ask {
                    account: account.name.clone(),
                    query: decode(&query),
                    body,
                };
                let quota = account.quota;
                let fate = match endpoint {
                    Some(endpoint) => Arc::clone(&self).fate(endpoint, ask, quota).await,
                    None => Fate::Reply(Reply::gateway(404, "Resource not found")),
                };
                (Some(account.name.clone()), fate)
            }
        };
        let mut calls = held(&self.calls);
        if calls.len() == MAX_CALLS {
            calls.pop_front();
        }
        calls.push_back(Call {
            call: name,
            account,
            asked,
            fate: fate.word(),
            at,
        });
        drop(calls);
        fate
    }

    /// Keys and rate limit.
    fn admit(&self, head: &Parts) -> Result<&Account, Reply> {
        let header = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok());
        let switches = self.switches();
        let key = header("ocp-apim-subscription-key").unwrap_or_default();
        if !self.accounts.iter().any(|a| a.subscription_key == key) {
            let status = match switches.bad_subscription {
                BadSubscription::Forbidden => 403,
                BadSubscription::Unauthorized => 401,
            };
            let text = "Access denied due to invalid subscription key.";
            return Err(Reply::gateway(status, text));
        }
        if !self.within_rate(key) {
            return Err(too_many(switches.retry_after == RetryAfter::Sent));
        }
        let api_key = header("starshipit-api-key").unwrap_or_default();
        let mut hits = self.accounts.iter().filter(|a| a.api_key == api_key);
        hits.find(|a| a.subscription_key == key)
            .ok_or_else(|| match switches.bad_key {
                BadKey::Ok200 => Reply::of(Err(Refusal::new("Invalid API key")), switches.failure),
                BadKey::Unauthorized => {
                    Reply::gateway(401, "Access denied due to invalid API key.")
                }
                BadKey::Forbidden => Reply::gateway(403, "Access denied due to invalid API key."),
            })
    }

    /// At most so many calls in any second; calls that are turned away do not count.
    fn within_rate(&self, key: &str) -> bool {
        let Ok(limit) = usize::try_from(self.requests_per_second) else {
            return true;
        };
        if limit == 0 {
            return true;
        }
        let mut arrivals = held(&self.arrivals);
        let arrivals = arrivals.entry(key.to_owned()).or_default();
        let now = Instant::now();
        while arrivals
            .front()
            .is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1))
        {
            arrivals.pop_front();
        }
        let fits = arrivals.len() < limit;
        if fits {
            arrivals.push_back(now);
        }
        fits
    }

    async fn fate(self: Arc<Self>, endpoint: Endpoint, ask: Ask, quota: Option<u32>) -> Fate {
        let hits = Hits::draw(&mut held(&self.faults), endpoint, &mut *held(&self.rng));
        tokio::time::sleep(hits.latency()).await;
        if let Some(fate) = before(&hits) {
            return fate;
        }
        let switches = self.switches();
        let printing = endpoint == Endpoint::Print;
        if printing && switches.latency == PrintLatency::DropBefore {
            return Fate::Close;
        }
        let answer = if hits.has(FaultKind::CourierRefusal) {
            Err(shipping::courier_refusal())
        } else if hits.has(FaultKind::Quota) {
            Err(shipping::quota_exceeded())
        } else if printing {
            Arc::clone(&self).print(ask, quota).await
        } else {
            Arc::clone(&self).act(endpoint, ask, quota).await
        };
        let copied = matches!(endpoint, Endpoint::Clone | Endpoint::Replace) && answer.is_ok();
        if copied && switches.copy_reply == CopyReply::Lost {
            return Fate::Reset;
        }
        if printing && switches.latency == PrintLatency::DropAfter && answer.is_ok() {
            return Fate::Reset;
        }
        after(&hits, answer, switches)
    }

    /// Any call but Print Label, off the runtime's threads: the books are files.
    async fn act(self: Arc<Self>, endpoint: Endpoint, ask: Ask, quota: Option<u32>) -> Answer {
        let delay = self.tracking_delay;
        blocking(move || {
            self.desk(|desk| match endpoint {
                Endpoint::PrintBulk => desk.print_many(&ask, quota, delay),
                Endpoint::PackingSlips => desk.packing_slips(&ask),
                Endpoint::Manifest => desk.manifest(&ask),
                Endpoint::Clone => desk.copy(&ask, false),
                Endpoint::Replace => desk.copy(&ask, true),
                Endpoint::Services => desk.services(&ask),
                Endpoint::Rates => desk.rates(&ask),
                _ => orders::answer(desk, endpoint, &ask),
            })
        })
        .await
    }

    async fn print(self: Arc<Self>, ask: Ask, quota: Option<u32>) -> Answer {
        let request: PrintRequest = ask.read()?;
        let account = ask.account;
        let target = self.desk(|desk| shipping::target(desk, &account, &request));
        let turn = match (self.switches().race, target) {
            (Race::OneSale, Some(id)) => {
                Some(Arc::clone(held(&self.printing).entry(id).or_default()))
            }
            _ => None,
        };
        let _turn = match turn {
            Some(turn) => Some(turn.lock_owned().await),
            None => None,
        };
        let prepared = self.desk(|desk| shipping::prepare(desk, &account, &request, quota))?;
        let courier = match (&prepared, self.switches().latency) {
            (shipping::Prepared::Again(_), _) => Duration::ZERO,
            (_, PrintLatency::OneSecond) => Duration::from_secs(1),
            (_, PrintLatency::TwentySeconds) => Duration::from_secs(20),
            (_, _) => self.print_latency,
        };
        tokio::time::sleep(courier).await;
        let delay = self.tracking_delay;
        blocking(move || self.desk(|desk| shipping::commit(desk, &prepared, delay))).await
    }
}

impl Site for Shared {
    fn net(&self) -> &Net {
        &self.network
    }

    async fn answer(self: Arc<Self>, head: Parts, body: Vec<u8>) -> site::Fate {
        self.call(head, body).await.into()
    }

    fn admin(&self, method: &Method, path: &str, body: &[u8]) -> site::Reply {
        admin::answer(self, method, path, body).into()
    }

    fn close_books(&self) {
        self.book().close();
    }
}

async fn blocking(act: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    match tokio::task::spawn_blocking(act).await {
        Ok(answer) => answer,
        Err(error) => Err(Refusal::from(io::Error::other(error))),
    }
}
