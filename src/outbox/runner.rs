//! Has the sinks do what the schedule says is due, and reports how it ended.
//!
//! Orders are told as they become durable ([`Outbox::observe`]); results go into a channel and only
//! from there, through the station, into the orders. A sink that hangs or panics costs one attempt of
//! one job. Nothing is connected before a job is due.

use super::schedule::{Due, IsDue, Pace, Schedule};
use super::{Delivering, Sink};
use crate::domain::writeback::Dispatch;
use crate::domain::{Delivery, Mono, Order, OrderId, Writeback};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

/// Longest wait for the full order of a job.
const READ: Duration = Duration::from_secs(30);
/// Without anything due the schedule is asked again after this.
const IDLE: Duration = Duration::from_secs(3600);

/// Where the full orders are.
pub trait Orders: Send + Sync {
    /// Everything a sink needs for job `n`; `None` = it is not there, or not due any more.
    fn dispatch<'a>(
        &'a self,
        order: &'a OrderId,
        n: u32,
    ) -> Pin<Box<dyn Future<Output = Option<Dispatch>> + Send + 'a>>;
}

/// How one attempt ended; the station makes it durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which order.
    pub order: OrderId,
    /// Which of its jobs.
    pub n: u32,
    /// The numbers that were delivered, or tried to be.
    pub tracking: Vec<String>,
    /// How.
    pub result: Delivery,
}

/// What the outbox needs.
pub struct Settings {
    /// Every configured sink.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// Whether a job may be tried, as far as its order can tell.
    pub is_due: IsDue,
    /// How fast, how often.
    pub pace: Pace,
    /// Longest that one attempt may take; sinks end within their own deadlines before it.
    pub deadline: Duration,
    /// Of the jitter: different on every station, so that they do not come back all at once.
    pub seed: u64,
}

/// Reaches the outbox. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
    started: Instant,
    /// Until when what flies may land; then the runner ends.
    stop: watch::Sender<Option<Instant>>,
}

struct State {
    schedule: Schedule,
    /// Orders with jobs that are open, and the sequence of their records.
    open: BTreeMap<OrderId, u64>,
}

/// Starts the runner. Results go to `ended`, which slows the outbox down when it is full.
pub fn start(settings: Settings, orders: Arc<dyn Orders>, ended: mpsc::Sender<Ended>) -> Outbox {
    let names = settings.sinks.iter().map(|s| (s.name(), s.system()));
    let schedule = Schedule::new(settings.pace, names, settings.is_due, settings.seed);
    let (stop, stopping) = watch::channel(None);
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            schedule,
            open: BTreeMap::new(),
        }),
        changed: Notify::new(),
        started: Instant::now(),
        stop,
    });
    let sinks = settings
        .sinks
        .iter()
        .map(|sink| (sink.name().to_owned(), Arc::clone(sink)))
        .collect();
    let runner = Runner {
        shared: Arc::clone(&shared),
        sinks: Arc::new(sinks),
        orders,
        ended,
        deadline: settings.deadline,
        flying: JoinSet::new(),
        jobs: HashMap::new(),
    };
    tokio::spawn(runner.run(stopping));
    Outbox { shared }
}

impl Outbox {
    /// An order is durable as this: at the start every open one, later each as it changes.
    pub fn observe(&self, order: &Order) {
        let now = self.shared.now();
        let mut state = self.shared.state();
        state.schedule.observe(order, now);
        state.look(order);
        drop(state);
        self.shared.changed.notify_one();
    }

    /// A person wants this job tried now.
    pub fn hurry(&self, order: &OrderId, n: u32) {
        let now = self.shared.now();
        self.shared.state().schedule.hurry(order, n, now);
        self.shared.changed.notify_one();
    }

    /// Orders that have jobs with which the station or a person still has to deal.
    pub fn open(&self) -> Vec<OrderId> {
        self.shared.state().open.keys().cloned().collect()
    }

    /// Systems that cannot be reached now.
    pub fn unreachable(&self) -> Vec<String> {
        let state = self.shared.state();
        let systems = state.schedule.unreachable_systems();
        systems.map(str::to_owned).collect()
    }

    /// Starts nothing more and waits until what is under way has ended and is reported, at most
    /// `grace`; the rest is given up, which is safe: sinks look before they write.
    pub async fn stop(&self, grace: Duration) {
        self.shared.stop.send_replace(Some(Instant::now() + grace));
        // The runner holds the only receiver.
        self.shared.stop.closed().await;
    }
}

impl State {
    /// Records that come late change nothing.
    fn look(&mut self, order: &Order) {
        if self.open.get(&order.id).is_some_and(|seq| *seq > order.seq) {
            return;
        }
        if order.writebacks.iter().any(Writeback::is_open) {
            self.open.insert(order.id.clone(), order.seq);
        } else {
            self.open.remove(&order.id);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Mono {
        let since = self.started.elapsed().as_millis();
        Mono(u64::try_from(since).unwrap_or(u64::MAX))
    }

    fn instant(&self, at: Mono) -> Instant {
        self.started + Duration::from_millis(at.0)
    }
}

struct Runner {
    shared: Arc<Shared>,
    sinks: Arc<BTreeMap<String, Arc<dyn Sink>>>,
    orders: Arc<dyn Orders>,
    ended: mpsc::Sender<Ended>,
    deadline: Duration,
    /// `None`: the job could not be read and was not tried.
    flying: JoinSet<Option<Delivery>>,
    jobs: HashMap<Id, Flight>,
}

/// A job under way, and its numbers once they are known.
struct Flight {
    due: Due,
    tracking: Arc<OnceLock<Vec<String>>>,
}

impl Runner {
    async fn run(mut self, mut stopping: watch::Receiver<Option<Instant>>) {
        loop {
            let stop = *stopping.borrow_and_update();
            if stop.is_some() && self.flying.is_empty() {
                return;
            }
            let wake = match stop {
                Some(at) => at,
                None => self.launch(),
            };
            let landed = tokio::select! {
                Some(landed) = self.flying.join_next_with_id() => Some(landed),
                () = tokio::time::sleep_until(wake) => {
                    if stop.is_some() {
                        tracing::warn!(jobs = self.flying.len(), "writebacks were cut by the stop");
                        return;
                    }
                    None
                }
                () = self.shared.changed.notified() => None,
                // The handle is gone: nobody can ask for anything any more, and nobody listens.
                changed = stopping.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    None
                }
            };
            if let Some(landed) = landed
                && !self.report(landed).await
            {
                return;
            }
        }
    }

    /// Starts what is due; when to come back.
    fn launch(&mut self) -> Instant {
        let now = self.shared.now();
        let (due, next) = {
            let mut state = self.shared.state();
            let due = state.schedule.due(now);
            (due, state.schedule.next())
        };
        for due in due {
            let sinks = Arc::clone(&self.sinks);
            let orders = Arc::clone(&self.orders);
            let (deadline, job) = (self.deadline, due.clone());
            let tracking: Arc<OnceLock<Vec<String>>> = Arc::default();
            let numbers = Arc::clone(&tracking);
            let task = self.flying.spawn(async move {
                let dispatch = tokio::time::timeout(READ, orders.dispatch(&job.order, job.n));
                let dispatch = dispatch.await.ok().flatten()?;
                numbers.get_or_init(|| dispatch.job.tracking.clone());
                Some(attempt(sinks.get(&*job.sink), &dispatch, deadline).await)
            });
            self.jobs.insert(task.id(), Flight { due, tracking });
        }
        match next {
            // Milliseconds are cut off on the way here: one more, or this would spin until then.
            Some(next) => self.shared.instant(next) + Duration::from_millis(1),
            None => Instant::now() + IDLE,
        }
    }

    /// `false`: nobody takes results any more.
    async fn report(&mut self, landed: Result<(Id, Option<Delivery>), JoinError>) -> bool {
        let (id, result) = match landed {
            Ok((id, result)) => (id, result),
            Err(error) => {
                tracing::error!(%error, "a writeback failed inside");
                let why = "the station failed inside; its log tells more".to_owned();
                let result = Delivery::Retry {
                    after: None,
                    why,
                    unreachable: false,
                };
                (error.id(), Some(result))
            }
        };
        let Some(Flight { due, tracking }) = self.jobs.remove(&id) else {
            return true;
        };
        let now = self.shared.now();
        let Some(result) = result else {
            tracing::warn!(order = %due.order, n = due.n, "a writeback's order cannot be read");
            self.shared.state().schedule.put_off(&due, now);
            return true;
        };
        let word = match &result {
            Delivery::Done { .. } => "done",
            Delivery::Unsupported { .. } => "unsupported",
            Delivery::Conflict { .. } => "conflict",
            Delivery::Retry { .. } => "retry",
        };
        tracing::info!(order = %due.order, n = due.n, sink = %due.sink, result = word, "writeback tried");
        // Their words may hold whatever stands in the order.
        tracing::debug!(order = %due.order, n = due.n, ?result, "what was said of it");
        self.shared.state().schedule.ended(&due, &result, now);
        let ended = Ended {
            order: due.order,
            n: due.n,
            tracking: tracking.get().cloned().unwrap_or_default(),
            result,
        };
        self.ended.send(ended).await.is_ok()
    }
}

async fn attempt(
    sink: Option<&Arc<dyn Sink>>,
    dispatch: &Dispatch,
    deadline: Duration,
) -> Delivery {
    let Some(sink) = sink else {
        return Delivery::Retry {
            after: None,
            why: format!("{} is not configured (any more)", dispatch.job.sink),
            unreachable: true,
        };
    };
    let delivering: Delivering<'_> = sink.deliver(dispatch);
    tokio::time::timeout(deadline, delivering)
        .await
        .unwrap_or_else(|_| Delivery::Retry {
            after: None,
            why: format!("no answer within {} s", deadline.as_secs()),
            unreachable: true,
        })
}

#[cfg(test)]
#[path = "runner_tests.rs"]
mod tests;
