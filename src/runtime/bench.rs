//! The loop that owns the station, and the handle by which everybody reaches it.
//!
//! The watchdog is fed from this loop and from nowhere else: a loop that hangs is killed and
//! restarted (design.md section 6).

use super::clock::Clock;
use super::hub::Hub;
use crate::domain::{Mono, Order, OrderId, ScanReply, ScanText, Signal, Source};
use crate::station::{Ask, Effect, Glance, Input, Press, Station, Token, WritebackVerb};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Messages waiting for the loop; a full queue slows the senders down, it loses nothing.
const INPUTS: usize = 1024;
/// Events a slow listener may lag behind before it is told that it missed some.
const EVENTS: usize = 256;
/// A rest that is not renewed within this time is over: whoever asked for it is gone.
const REST: Duration = Duration::from_secs(10);
/// How often the station is told that time has passed.
const TICK: Duration = Duration::from_millis(200);

/// What is said to whoever waits for an act.
#[derive(Clone, Debug)]
pub struct Said {
    /// The words.
    pub reply: ScanReply,
    /// Nothing more comes.
    pub last: bool,
}

/// Something happened; for the page's event stream and the demo.
#[derive(Clone, Debug)]
pub enum Event {
    /// A scan or command was answered.
    Answer {
        /// Where it came from.
        source: Source,
        /// What was scanned.
        scanned: String,
        /// What was said.
        said: Box<Said>,
    },
    /// An order changed, durably.
    Order(Arc<Order>),
    /// The packer perceives this now.
    Signal(Signal),
}

pub(super) enum Message {
    Input(Box<Input>),
    /// Like `Input`, with somebody who waits.
    Ask(Request, mpsc::Sender<Said>),
    Glance(oneshot::Sender<Glance>),
    Order(OrderId, oneshot::Sender<Option<Order>>),
    /// Rest for an update, or rest on; answers whether the station rests.
    Rest {
        /// Nobody must have asked anything for so long.
        quiet: Duration,
        rests: oneshot::Sender<bool>,
    },
    /// The update is over, or given up.
    WorkOn,
    /// What the ledger says new orders are numbered from while its index is not complete.
    NumberFrom(u64),
}

/// What a trigger or a request asks.
#[derive(Clone, Debug)]
pub enum Request {
    /// Usable text.
    Scan(ScanText, Source),
    /// Unusable text, and why.
    BadScan(Source, String),
    /// A named order.
    Ask(Ask, Source),
    /// A writeback: its order, its number, what to do.
    Writeback(Box<Order>, u32, WritebackVerb, Source),
    /// A hand on a button.
    Press {
        /// Which.
        button: String,
        /// What it is configured to do.
        press: Press,
    },
}

/// Reaches the station's loop. Cheap to clone.
#[derive(Clone)]
pub struct Bench {
    pub(super) inputs: mpsc::Sender<Message>,
    events: broadcast::Sender<Event>,
}

/// The station's loop has ended; nothing can be asked any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the station has stopped")]
pub struct Stopped;

impl Bench {
    /// Hands a request to the station. The receiver gets "accepted" when the scan is durable (if
    /// it is accepted) and then, always, one last word.
    pub async fn ask(&self, request: Request) -> Result<mpsc::Receiver<Said>, Stopped> {
        let (tx, rx) = mpsc::channel(4);
        self.inputs
            .send(Message::Ask(request, tx))
            .await
            .map_err(|_| Stopped)?;
        Ok(rx)
    }

    /// The station at a glance.
    pub async fn glance(&self) -> Result<Glance, Stopped> {
        let (tx, rx) = oneshot::channel();
        self.inputs
            .send(Message::Glance(tx))
            .await
            .map_err(|_| Stopped)?;
        rx.await.map_err(|_| Stopped)
    }

    /// An order as the core has it, newer than the ledger's, if it is in its memory.
    pub async fn order(&self, id: OrderId) -> Result<Option<Order>, Stopped> {
        let (tx, rx) = oneshot::channel();
        self.inputs
            .send(Message::Order(id, tx))
            .await
            .map_err(|_| Stopped)?;
        rx.await.map_err(|_| Stopped)
    }

    /// Asks the station to rest for an update, when nobody has asked anything for `quiet`; to be
    /// repeated every few seconds. Whether it rests.
    pub async fn rest(&self, quiet: Duration) -> Result<bool, Stopped> {
        let (rests, rx) = oneshot::channel();
        self.inputs
            .send(Message::Rest { quiet, rests })
            .await
            .map_err(|_| Stopped)?;
        rx.await.map_err(|_| Stopped)
    }

    /// Ends a rest.
    pub async fn work_on(&self) {
        // A station that has stopped rests for good.
        drop(self.inputs.send(Message::WorkOn).await);
    }

    /// Everything that happens from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    pub(super) async fn tell(&self, input: Input) {
        // The loop outlives every task except at the very end, when nobody needs the answer.
        if self
            .inputs
            .send(Message::Input(Box::new(input)))
            .await
            .is_err()
        {
            tracing::debug!("a result came after the station had stopped");
        }
    }

    pub(super) async fn number_from(&self, first_seq: u64) {
        if self
            .inputs
            .send(Message::NumberFrom(first_seq))
            .await
            .is_err()
        {
            tracing::debug!("a result came after the station had stopped");
        }
    }

    pub(super) fn publish(&self, event: Event) {
        // No listener is the normal case on a bench without a page open.
        drop(self.events.send(event));
    }
}

pub(super) fn channel() -> (Bench, mpsc::Receiver<Message>) {
    let (inputs, rx) = mpsc::channel(INPUTS);
    let (events, _) = broadcast::channel(EVENTS);
    (Bench { inputs, events }, rx)
}

/// Runs the station until `drain` says so and nothing is cut by stopping, or until the ledger
/// fails. `first` are the effects of starting.
pub(super) async fn run(
    mut station: Station,
    first: Vec<Effect>,
    hub: Arc<Hub>,
    mut messages: mpsc::Receiver<Message>,
    clock: Clock,
    mut drain: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut next_token: Token = 1;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop_at = None;
    let mut rest_until: Option<Mono> = None;
    let mut last_ask = clock.now().mono;
    hub.carry_out(first);
    loop {
        let effects = tokio::select! {
            message = messages.recv() => match message {
                None => return,
                Some(Message::Input(input)) => station.handle(*input, clock.now()),
                Some(Message::Ask(request, waiter)) => {
                    let token = next_token;
                    next_token += 1;
                    last_ask = clock.now().mono;
                    hub.wait(token, waiter);
                    let token = Some(token);
                    let input = match request {
                        Request::Scan(text, source) => Input::Scan { token, text, source },
                        Request::BadScan(source, why) => Input::BadScan { token, source, why },
                        Request::Ask(ask, source) => Input::Ask { token, ask, source },
                        Request::Writeback(known, n, verb, source) => Input::Writeback {
                            token,
                            order: known.id.clone(),
                            known: Some(known),
                            n,
                            verb,
                            source,
                        },
                        Request::Press { button, press } => Input::Press {
                            token,
                            button,
                            press,
                        },
                    };
                    station.handle(input, clock.now())
                }
                Some(Message::Glance(to)) => {
                    drop(to.send(station.glance()));
                    continue;
                }
                Some(Message::Rest { quiet, rests }) => {
                    let now = clock.now();
                    let may = rest_until.is_some()
                        || (station.is_idle() && now.mono.since(last_ask) >= quiet);
                    // Whoever asked may be gone: then there is nobody to rest for.
                    if rests.send(may).is_err() || !may {
                        continue;
                    }
                    rest_until = Some(now.mono.plus(REST));
                    station.handle(Input::Drain, now)
                }
                Some(Message::WorkOn) => {
                    if rest_until.take().is_none() || stop_at.is_some() {
                        continue;
                    }
                    station.handle(Input::WorkOn, clock.now())
                }
                Some(Message::NumberFrom(first)) => {
                    station.number_new_orders_from(first);
                    continue;
                }
                Some(Message::Order(id, to)) => {
                    drop(to.send(station.order(&id).cloned()));
                    continue;
                }
            },
            _ = ticks.tick() => {
                hub.feed_watchdog();
                let now = clock.now();
                if let Some(at) = stop_at
                    && (station.is_drained() || now.mono >= at)
                {
                    return;
                }
                let mut effects = Vec::new();
                if stop_at.is_none() && rest_until.is_some_and(|until| now.mono >= until) {
                    rest_until = None;
                    effects = station.handle(Input::WorkOn, now);
                }
                effects.extend(station.handle(Input::Tick, now));
                effects
            }
            changed = drain.changed(), if stop_at.is_none() => {
                if changed.is_err() || *drain.borrow() {
                    stop_at = Some(clock.now().mono.plus(grace));
                    station.handle(Input::Drain, clock.now())
                } else {
                    continue;
                }
            }
        };
        hub.carry_out(effects);
    }
}
