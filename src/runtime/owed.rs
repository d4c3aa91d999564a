//! The web door's other side for writebacks: the list, the decisions of people, the events.

use super::bench::{Request, Said};
use super::port::{Named, Port, stopped};
use crate::domain::writeback::job_id;
use crate::domain::{Code, Order, OrderId, Outcome, Source, Writeback};
use crate::ledger::Query;
use crate::outbox::Outbox;
use crate::station::WritebackVerb;
use crate::web::{self, EventKind, Reply, WritebackAct, WritebacksQuery, documents};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::broadcast;

/// A decision is durable, or refused, within this time.
const DECIDED: Duration = Duration::from_secs(9);
/// Most orders beside those with open jobs that a listing looks at.
const NEWEST: usize = 1000;

impl Port {
    /// Every open job, oldest first, then those of the newest orders.
    pub(super) async fn writebacks(&self, query: WritebacksQuery) -> Reply {
        let open = self.hub().outbox().map(Outbox::open).unwrap_or_default();
        let (ledger, now) = (self.hub().ledger().clone(), self.now());
        let listed = tokio::task::spawn_blocking(move || {
            let newest = ledger.query(&Query {
                limit: NEWEST,
                ..Query::default()
            });
            let seen: BTreeSet<&OrderId> = newest.iter().map(|order| &order.id).collect();
            let older: Vec<Order> = open
                .iter()
                .filter(|id| !seen.contains(id))
                .filter_map(|id| ledger.get(id))
                .collect();
            let mut jobs: Vec<(bool, i64, Value)> = Vec::new();
            for order in older.iter().chain(&newest) {
                for job in &order.writebacks {
                    let state = documents::state_of(job);
                    if query.state.as_deref().is_some_and(|wanted| wanted != state) {
                        continue;
                    }
                    let document = documents::writeback(order, job, now);
                    // Open ones as old as they are; the rest as new as they are.
                    let at = if job.is_open() {
                        job.since.0
                    } else {
                        -job.at.0
                    };
                    jobs.push((!job.is_open(), at, document));
                }
            }
            jobs.sort_by_key(|(closed, at, _)| (*closed, *at));
            jobs.truncate(query.limit);
            jobs.into_iter().map(|(.., document)| document).collect()
        })
        .await;
        match listed {
            Ok(lines) => Reply::Lines(lines),
            Err(panic) => Reply::Failed {
                code: Code::Internal,
                detail: panic.to_string(),
            },
        }
    }

    /// A person decides; the answer is the writeback as it is then.
    pub(super) async fn writeback(&self, id: &str, act: WritebackAct, source: Source) -> Reply {
        let (order, n) = match self.job(id).await {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        let verb = match act {
            WritebackAct::Retry => WritebackVerb::Retry,
            WritebackAct::KeepOurs => WritebackVerb::KeepOurs,
            WritebackAct::KeepTheirs => WritebackVerb::KeepTheirs,
        };
        let request = Request::Writeback(order.clone(), n, verb, source);
        let Ok(mut said) = self.bench().ask(request).await else {
            return stopped();
        };
        let last = async {
            let mut heard = None;
            while let Some(next) = said.recv().await {
                let enough = next.last;
                heard = Some(next);
                if enough {
                    break;
                }
            }
            heard
        };
        let Ok(Some(Said { reply, .. })) = tokio::time::timeout(DECIDED, last).await else {
            return Reply::Failed {
                code: Code::Internal,
                detail: "The station did not answer in time.".to_owned(),
            };
        };
        if reply.outcome == Outcome::Refused {
            return Reply::Scan(Box::new(reply));
        }
        // Whatever it waits for.
        if act == WritebackAct::Retry
            && let Some(outbox) = self.hub().outbox()
        {
            outbox.hurry(&order.id, n);
        }
        match self.named(order.id.as_str()).await {
            Named::One(order) => match order.writebacks.iter().find(|job| job.n == n) {
                Some(job) => Reply::Document(documents::writeback(&order, job, self.now())),
                None => Reply::Scan(Box::new(reply)),
            },
            other => other.reply(),
        }
    }

    /// The job that is meant: by its name, or by an order of which one alone is open.
    async fn job(&self, id: &str) -> Result<(Box<Order>, u32), Reply> {
        if let Some((order, n)) = id.rsplit_once('#')
            && let Ok(n) = n.parse::<u32>()
            && let Named::One(order) = self.named(order).await
        {
            return match order.writebacks.iter().any(|job| job.n == n) {
                true => Ok((order, n)),
                false => Err(missing("The order has no such writeback (any more).")),
            };
        }
        let order = match self.named(id).await {
            Named::One(order) => order,
            other => return Err(other.reply()),
        };
        let open: Vec<&Writeback> = order
            .writebacks
            .iter()
            .filter(|job| is_undecided(job))
            .collect();
        match open.as_slice() {
            [one] => {
                let n = one.n;
                Ok((order, n))
            }
            [] => Err(missing("The order has no writeback that is open.")),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|job| format!("{} ({})", job_id(&order.id, job.n), job.sink))
                    .collect();
                Err(missing(&format!(
                    "The order has several open writebacks; name one: {}.",
                    names.join(", ")
                )))
            }
        }
    }

    /// Tells followers of the jobs that this record of their order has changed.
    pub(super) fn tell_writebacks(&self, order: &Order, to: &broadcast::Sender<web::Event>) {
        for job in order
            .writebacks
            .iter()
            .filter(|job| job.at == order.updated)
        {
            let data = documents::writeback(order, job, self.now());
            let kind = EventKind::Writeback;
            // Nobody may be looking.
            drop(to.send(web::Event { kind, data }));
        }
    }
}

/// Somebody may still decide about it.
fn is_undecided(job: &Writeback) -> bool {
    job.is_open() || matches!(job.state, crate::domain::WritebackState::Unsupported { .. })
}

fn missing(detail: &str) -> Reply {
    Reply::NotFound {
        detail: detail.to_owned(),
    }
}
