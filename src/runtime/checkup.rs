//! What `doctor` looks at. [`inside`] is what only one process may do: asking printers, services at
//! the pace of their limits, devices. The running station does it for whoever asks on its control
//! socket; where none runs, [`alone`] does it in its place. `around` needs no station: clock, card,
//! slots, files.
//!
//! Nothing here costs money, prints, or changes anything outside. Checks run beside each other, each
//! with a deadline of its own.

mod around;
mod devices;
mod duties;
mod network;
mod services;

pub use around::{Around, around, secrets};

use super::compose;
use super::paper::Head;
use super::service::ReadSecret;
use crate::cartoncloud::CartonCloud;
use crate::config::model::Config;
use crate::doctor::{Fact, fact};
use crate::domain::order::Standing;
use crate::domain::{Code, Order, State, Timestamp};
use crate::ledger::{Ledger, Query};
use crate::starshipit::Starshipit;
use secrecy::SecretString;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long one check may take.
const DEADLINE: Duration = Duration::from_secs(25);
/// Newest orders that are looked at for what happened lately.
const RECENT: usize = 200;

/// What the process has that owns the devices.
pub(super) struct Own {
    pub(super) config: Arc<Config>,
    pub(super) starshipit: Option<Starshipit>,
    pub(super) cloud: Option<CartonCloud>,
    pub(super) heads: Vec<Arc<Head>>,
    /// Scanners, buttons, lights.
    pub(super) devices: Vec<fact::Device>,
    /// Opens the pages of the other benches.
    pub(super) token: Option<SecretString>,
    /// Newest orders of the ledger.
    pub(super) recent: Vec<Order>,
    pub(super) now: Timestamp,
}

/// The checks under way.
#[derive(Default)]
struct Checks(JoinSet<Vec<Fact>>);

impl Checks {
    fn add(&mut self, check: &str, found: impl Future<Output = Vec<Fact>> + Send + 'static) {
        let check = check.to_owned();
        // Boxed: the set would hold futures as large as the largest of them.
        let found = Box::pin(found);
        self.0.spawn(async move {
            let found = tokio::time::timeout(DEADLINE, found).await;
            found.unwrap_or_else(|_| {
                vec![Fact::TookTooLong {
                    check,
                    after_s: DEADLINE.as_secs(),
                }]
            })
        });
    }

    fn blocking(&mut self, check: &str, found: impl FnOnce() -> Vec<Fact> + Send + 'static) {
        self.add(check, async move {
            match tokio::task::spawn_blocking(found).await {
                Ok(facts) => facts,
                Err(panic) => {
                    tracing::error!(error = %panic, "a check failed");
                    Vec::new()
                }
            }
        });
    }

    async fn all(mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        while let Some(found) = self.0.join_next().await {
            match found {
                Ok(found) => facts.extend(found),
                Err(panic) => tracing::error!(error = %panic, "a check failed"),
            }
        }
        facts
    }
}

/// Everything that belongs to the process which owns the devices.
pub(super) async fn inside(own: Own) -> Vec<Fact> {
    let mut checks = Checks::default();
    for head in &own.heads {
        let head = Arc::clone(head);
        checks.add(&format!("printer {}", head.printer.name()), async move {
            vec![devices::printer(&head.printer).await]
        });
    }
    if let Some(starshipit) = &own.starshipit {
        let country = services::country(own.config.station.timezone.as_deref());
        for account in starshipit.accounts() {
            let (starshipit, account) = (starshipit.clone(), account.clone());
            checks.add(&format!("starshipit {account}"), async move {
                vec![services::account(&starshipit, &account, country).await]
            });
        }
    }
    if let Some(cloud) = own.cloud.clone() {
        checks.add("cartoncloud", async move { services::roles(&cloud).await });
    }
    let mut facts: Vec<Fact> = own.devices.iter().cloned().map(Fact::Device).collect();
    facts.extend(quotas(&own.config, &own.recent));
    checks.add("duty", async move { duties::look(&own).await });
    facts.extend(checks.all().await);
    facts
}

/// Orders that each account refused for want of labels.
fn quotas(config: &Config, recent: &[Order]) -> Vec<Fact> {
    let accounts = config.starshipit.accounts.iter();
    accounts
        .map(|account| Fact::Quota {
            account: account.name.clone(),
            refused: recent
                .iter()
                .filter(|order| {
                    order.account.as_str() == account.name
                        && order.standing == Standing::Refused(Code::QuotaExhausted)
                })
                .map(|order| order.updated)
                .collect(),
        })
        .collect()
}

/// Newest orders of a ledger that is open here. Blocks.
pub(super) fn recent(ledger: &Ledger) -> Vec<Order> {
    ledger.query(&Query {
        limit: RECENT,
        ..Query::default()
    })
}

/// The ledger as the process sees it that has it open. Blocks.
pub(super) fn open_ledger(config: &Config, ledger: &Ledger) -> Fact {
    let stats = ledger.stats();
    Fact::Ledger(fact::Ledger {
        dir: ledger_dir(config).display().to_string(),
        orders: Some(stats.orders),
        open: stats.open,
        bytes: stats.bytes_on_disk,
        index_whole: Some(ledger.is_complete()),
        flush_us: (stats.flushes > 0).then_some(stats.last_flush_us),
        trouble: ledger.failure().map(|error| error.to_string()),
        ..fact::Ledger::default()
    })
}

fn ledger_dir(config: &Config) -> std::path::PathBuf {
    config.station.state_dir.join(compose::LEDGER)
}

/// Where no station runs: its part is done here, as far as its secrets can be read.
pub async fn alone(config: &Config, secret: &ReadSecret, now: Timestamp) -> Vec<Fact> {
    let dir = ledger_dir(config);
    let seen = tokio::task::spawn_blocking(move || crate::ledger::look(&dir)).await;
    let recent = match seen {
        Ok(Ok(seen)) => seen.orders,
        // The ledger's own line says so.
        _ => Vec::new(),
    };
    // One account without its key must not hide the others.
    let mut reachable = config.clone();
    reachable.starshipit.accounts.retain(|account| {
        secret("api_key", &account.api_key).is_ok()
            && secret("subscription_key", &account.subscription_key).is_ok()
    });
    // Stations that share the key go on at their pace while somebody looks here.
    reachable.starshipit.stations_sharing_key += 1;
    let starshipit = compose::starshipit(&reachable, secret)
        .ok()
        .filter(|settings| !settings.accounts.is_empty())
        .and_then(|settings| Starshipit::new(settings).ok());
    let cloud = compose::cartoncloud(config, secret).ok().flatten();
    let mut facts = Vec::new();
    let heads = match compose::heads(config) {
        Ok(heads) => heads.into_values().collect(),
        Err(error) => {
            facts.push(Fact::Configuration {
                file: "printers".to_owned(),
                usable: false,
                problems: vec![fact::Problem {
                    is_error: true,
                    text: error.to_string(),
                }],
            });
            Vec::new()
        }
    };
    // `web.token` opens everything at this bench, and is told to no other.
    let token = config.web.peer_token.as_ref();
    let token = token.and_then(|reference| secret("web.peer_token", reference).ok());
    let mut devices = devices::scanners(config).await;
    let pins = config.clone();
    let look = tokio::task::spawn_blocking(move || devices::pins(&pins)).await;
    devices.extend(look.unwrap_or_default());
    facts.push(devices::web(config).await);
    let own = Own {
        config: Arc::new(config.clone()),
        starshipit,
        cloud,
        heads,
        devices,
        token,
        recent,
        now,
    };
    facts.extend(inside(own).await);
    facts
}

/// What is open, from the journal.
fn work(orders: &[Order], now: Timestamp) -> fact::Work {
    let hour = Duration::from_secs(3600);
    let mut work = fact::Work::default();
    for order in orders.iter().filter(|order| order.is_open()) {
        let name = || order.number.clone();
        let late = order.live().find(|shipment| {
            shipment.tracking.is_empty() && !shipment.untracked && now.since(shipment.at) > hour
        });
        if let Some(shipment) = late {
            work.numberless.push((name(), shipment.at));
        }
        match order.state() {
            State::Held => work.held.push((name(), bought_at(order))),
            State::InDoubt => work.in_doubt.push(name()),
            _ => {}
        }
        for job in &order.writebacks {
            use crate::domain::WritebackState as Is;
            match &job.state {
                Is::Pending => {
                    work.owed += 1;
                    let oldest = work
                        .oldest
                        .map_or(job.since, |oldest| oldest.min(job.since));
                    work.oldest = Some(oldest);
                }
                Is::Conflict { .. } => work.conflicts.push(name()),
                Is::Unsupported { .. } => work.unsupported.push(name()),
                Is::Waiting | Is::Done => {}
            }
        }
    }
    for list in [&mut work.conflicts, &mut work.unsupported] {
        list.dedup();
    }
    work
}

fn bought_at(order: &Order) -> Timestamp {
    let bought = order.live().map(|shipment| shipment.at).min();
    bought.unwrap_or(order.updated)
}

#[cfg(test)]
mod tests;
