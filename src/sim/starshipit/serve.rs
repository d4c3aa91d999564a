//! One call from its head to its fate: keys, rate limit, faults, the act itself, and what becomes
//! of the reply.

use crate::domain::Timestamp;
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
use crate::sim::starshipit::{Account, Network, Options};
use hyper::http::request::Parts;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
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
    network: watch::Sender<Option<Network>>,
    requests_per_second: u32,
    print_latency: Duration,
    tracking_delay: Duration,
}

/// Takes a lock; what a panicking holder left is whole, because nothing here is changed in steps.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            network: watch::Sender::new(Some(Network::Up)),
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

    pub(crate) fn network(&self) -> Network {
        self.network.borrow().unwrap_or(Network::Refused)
    }

    /// `None` once the simulator is closed.
    pub(crate) fn watch_network(&self) -> watch::Receiver<Option<Network>> {
        self.network.subscribe()
    }

    pub(crate) fn set_network(&self, network: Network) {
        self.network.send_if_modified(|now| match now {
            Some(now) if *now != network => {
                *now = network;
                true
            }
            _ => false,
        });
    }

    /// Nothing is sold, written or answered after this.
    pub(crate) fn close(&self) {
        self.book().close();
        self.network.send_replace(None);
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
        self.set_network(Network::Up);
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
    pub(crate) async fn answer(self: Arc<Self>, head: Parts, body: Vec<u8>) -> Fate {
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

async fn blocking(act: impl FnOnce() -> Answer + Send + 'static) -> Answer {
    match tokio::task::spawn_blocking(act).await {
        Ok(answer) => answer,
        Err(error) => Err(Refusal::from(io::Error::other(error))),
    }
}

/// The simulator stands for another machine, which has a clock of its own.
fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// `application/x-www-form-urlencoded`, as ASP.NET reads it.
fn decode(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (unescape(key), unescape(value)))
        .collect()
}

pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                let hex = |b: &u8| {
                    char::from(*b)
                        .to_digit(16)
                        .and_then(|d| u8::try_from(d).ok())
                };
                match (hex(high), hex(low)) {
                    (Some(high), Some(low)) => {
                        bytes.push(high * 16 + low);
                        rest = after;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_a_form_and_bad_escapes_stay_as_they_are() {
        assert_eq!(unescape("SO%2310+x%zz%4"), "SO#10 x%zz%4");
        let pairs = decode("a=1&b&&c=%C3%A9");
        let expected = [("a", "1"), ("b", ""), ("c", "é")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
