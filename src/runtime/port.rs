//! The station's side of the web door: requests to inputs, snapshots to documents.

mod status;

pub(super) use status::state_word;

use super::bench::{Bench, Event, Request, Said};
use super::checkup;
use super::clock::Clock;
use super::devices::Devices;
use super::hub::Hub;
use super::latency::Lately;
use super::peers::Peers;
use crate::alert::Kind;
use crate::config::model::Config;
use crate::domain::outcome::{Candidate, Timings};
use crate::domain::{
    Code, Moment, Order, OrderId, Outcome, PageRole, ScanReply, Source, Timestamp,
};
use crate::ledger::Query;
use crate::station::{Ask, AskKind, PageJob};
use crate::web::{self, Call, EventKind, OrderAct, OrdersQuery, Reply, documents};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, watch};

/// A scan without `wait` is answered when it is durable, refused or, at the latest, after this.
const ACCEPT: Duration = Duration::from_secs(9);
/// Candidates for one reference.
const MATCHES: usize = 10;

/// Answers calls until the door is closed.
pub(super) struct Port {
    name: String,
    config: Arc<Config>,
    /// Opens the pages of the site's other benches too.
    peer_token: Option<SecretString>,
    devices: Devices,
    bench: Bench,
    hub: Arc<Hub>,
    clock: Clock,
    state_dir: PathBuf,
    alerts: watch::Receiver<Vec<Kind>>,
    peers: Peers,
    has_cartoncloud: bool,
    lately: Lately,
}

impl Port {
    #[expect(clippy::too_many_arguments, reason = "one call, in service.rs")]
    pub(super) fn new(
        config: &Config,
        bench: Bench,
        hub: Arc<Hub>,
        clock: Clock,
        devices: Devices,
        alerts: watch::Receiver<Vec<Kind>>,
        peer_token: Option<SecretString>,
        peers: Peers,
    ) -> Arc<Self> {
        Arc::new(Self {
            peers,
            has_cartoncloud: config.cartoncloud.is_some(),
            lately: Lately::since(clock.now().wall),
            name: config.station.name.clone(),
            config: Arc::new(config.clone()),
            peer_token,
            devices,
            bench,
            hub,
            clock,
            state_dir: config.station.state_dir.clone(),
            alerts,
        })
    }

    /// Serves the door.
    pub(super) fn open(
        self: &Arc<Self>,
        mut calls: mpsc::Receiver<Call>,
        events: broadcast::Sender<web::Event>,
    ) {
        let port = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(Call { request, reply }) = calls.recv().await {
                let port = Arc::clone(&port);
                tokio::spawn(async move {
                    // Whoever asked may have gone.
                    drop(reply.send(port.answer(request).await));
                });
            }
        });
        tokio::spawn(Arc::clone(self).forward(events));
    }

    async fn answer(&self, request: web::Request) -> Reply {
        match request {
            web::Request::Scan { text, source, wait } => {
                self.said(Request::Scan(text, source), wait).await
            }
            web::Request::Act {
                reference,
                act,
                source,
                wait,
            } => self.act(reference, act, source, wait).await,
            web::Request::Status => match self.status().await {
                Some(status) => Reply::Document(status),
                None => stopped(),
            },
            web::Request::Orders(query) => self.orders(query).await,
            web::Request::Order { reference } => match self.named(&reference).await {
                Named::One(order) => Reply::Document(documents::order(&order, self.now())),
                other => other.reply(),
            },
            web::Request::LabelPng { reference, page } => match self.named(&reference).await {
                Named::One(order) => self.picture(&order, page).await,
                other => other.reply(),
            },
            web::Request::Writebacks(query) => self.writebacks(query).await,
            web::Request::Writeback { id, act, source } => self.writeback(&id, act, source).await,
            web::Request::Metrics => match self.facts().await {
                Some(facts) => match self.hub.metrics().text(&facts) {
                    Ok(text) => Reply::Text(text),
                    Err(error) => Reply::Failed {
                        code: Code::Internal,
                        detail: error.to_string(),
                    },
                },
                None => stopped(),
            },
            web::Request::Hook { uuid } => self.hook(uuid),
            web::Request::Rest { quiet } => match self.bench.rest(quiet).await {
                Ok(true) => Reply::Document(json!({ "lease": "granted" })),
                Ok(false) => Reply::Document(json!({ "lease": "waiting" })),
                Err(_) => stopped(),
            },
            web::Request::Doctor => Reply::Document(self.look_inside().await),
            web::Request::WorkOn => {
                self.bench.work_on().await;
                Reply::Document(json!({ "lease": "over" }))
            }
        }
    }

    async fn act(
        &self,
        reference: String,
        act: OrderAct,
        source: Source,
        wait: Option<Duration>,
    ) -> Reply {
        let (kind, reason, parcels) = match act {
            OrderAct::Reprint { reason, parcels } => (AskKind::Reprint, reason, parcels),
            OrderAct::Redo { reason } => (AskKind::Redo, reason, Vec::new()),
            OrderAct::NextParcel => (AskKind::NextParcel, None, Vec::new()),
            OrderAct::Release => (AskKind::Release, None, Vec::new()),
            OrderAct::Cancel => (AskKind::Cancel, None, Vec::new()),
        };
        // A scan that still waits for its order has no order to be named by; CANCEL knows its text.
        let order = match (self.named(&reference).await, kind) {
            (Named::One(order), _) => order.id.0,
            (Named::None, AskKind::Cancel) => reference,
            (other, _) => return other.reply(),
        };
        let ask = Ask {
            kind,
            order,
            reason,
            parcels,
        };
        self.said(Request::Ask(ask, source), wait).await
    }

    /// The last word within `wait`, else the first one.
    async fn said(&self, request: Request, wait: Option<Duration>) -> Reply {
        let Ok(mut said) = self.bench.ask(request).await else {
            return stopped();
        };
        let mut heard: Option<Said> = None;
        let listening = async {
            while let Some(next) = said.recv().await {
                let enough = next.last || wait.is_none();
                heard = Some(next);
                if enough {
                    return;
                }
            }
        };
        // Running out of time is an answer as well: what was heard so far.
        drop(tokio::time::timeout(wait.unwrap_or(ACCEPT), listening).await);
        Reply::Scan(Box::new(heard.map_or_else(
            || ScanReply {
                outcome: Outcome::Accepted,
                timings_ms: Timings::default(),
                ..ScanReply::new(Outcome::Accepted, "The station is still looking.")
            },
            |said| said.reply,
        )))
    }

    /// Reads the order again in a task of its own, and has the station print it.
    fn hook(&self, uuid: String) -> Reply {
        let hub = Arc::clone(&self.hub);
        let said = json!({ "accepted": uuid });
        tokio::spawn(async move { hub.print_asked(uuid).await });
        Reply::Document(said)
    }

    async fn orders(&self, query: OrdersQuery) -> Reply {
        let now = self.now();
        let ledger = self.hub.ledger().clone();
        let found = tokio::task::spawn_blocking(move || {
            ledger.query(&Query {
                state: query.state,
                text: query.q,
                limit: query.limit,
                after: query.after.map(OrderId),
            })
        })
        .await;
        match found {
            Ok(orders) => Reply::Lines(
                orders
                    .iter()
                    .map(|order| documents::order(order, now))
                    .collect(),
            ),
            Err(panic) => Reply::Failed {
                code: Code::Internal,
                detail: panic.to_string(),
            },
        }
    }

    /// The order of a number or ledger id, as new as the core has it.
    pub(super) async fn named(&self, reference: &str) -> Named {
        let ledger = self.hub.ledger().clone();
        let alias = reference.to_ascii_lowercase();
        let Ok(found) = tokio::task::spawn_blocking(move || ledger.find(&alias)).await else {
            return Named::None;
        };
        let mut orders = found.orders;
        if let Some(at) = orders.iter().position(|o| o.id.as_str() == reference) {
            orders = vec![orders.swap_remove(at)];
        } else if orders
            .iter()
            .any(|o| o.number.eq_ignore_ascii_case(reference))
        {
            orders.retain(|o| o.number.eq_ignore_ascii_case(reference));
        }
        match orders.len() {
            0 => Named::None,
            1 => {
                let order = orders.swap_remove(0);
                match self.bench.order(order.id.clone()).await {
                    Ok(Some(newer)) if newer.seq > order.seq => Named::One(Box::new(newer)),
                    _ => Named::One(Box::new(order)),
                }
            }
            _ => Named::Several(
                orders
                    .iter()
                    .take(MATCHES)
                    .map(|order| Candidate {
                        id: order.id.to_string(),
                        account: order.account.to_string(),
                    })
                    .collect(),
            ),
        }
    }

    async fn picture(&self, order: &Order, page: u16) -> Reply {
        let labels: Vec<PageJob> = order
            .live()
            .flat_map(|shipment| {
                shipment
                    .pages
                    .iter()
                    .filter(|page| page.role == PageRole::Label)
                    .filter_map(|page| {
                        Some(PageJob {
                            printer: page.printer.clone(),
                            number: order.number.clone(),
                            document: shipment.documents.get(usize::from(page.document))?.clone(),
                            index: page.index,
                            n: 1,
                            of: 1,
                            courier: shipment.carrier.clone(),
                            tracking: shipment.tracking.clone(),
                        })
                    })
            })
            .collect();
        let Some(job) = labels.get(usize::from(page) - 1) else {
            return Reply::NotFound {
                detail: "This order has no such label.".to_owned(),
            };
        };
        match self.hub.paper().picture(self.hub.ledger(), job).await {
            Ok(png) => Reply::Png(png),
            Err((Code::LabelMissing, detail)) => Reply::NotFound { detail },
            Err((code, detail)) => Reply::Failed { code, detail },
        }
    }

    /// What only this process can look at, for the doctor.
    async fn look_inside(&self) -> Value {
        let ledger = self.hub.ledger().clone();
        let config = Arc::clone(&self.config);
        let read = tokio::task::spawn_blocking(move || {
            (
                checkup::open_ledger(&config, &ledger),
                checkup::recent(&ledger),
            )
        });
        let (open, recent) = match read.await {
            Ok((open, recent)) => (Some(open), recent),
            Err(panic) => {
                tracing::error!(error = %panic, "the ledger's look failed");
                (None, Vec::new())
            }
        };
        let own = checkup::Own {
            config: Arc::clone(&self.config),
            starshipit: Some(self.hub.starshipit.clone()),
            cloud: self.hub.sales().cloud().cloned(),
            heads: self.hub.paper().heads(),
            devices: self.devices.found(),
            token: self.peer_token.clone(),
            recent,
            now: self.now(),
        };
        let mut facts = checkup::inside(own).await;
        facts.extend(open);
        json!({ "facts": facts })
    }

    pub(super) fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(super) fn bench(&self) -> &Bench {
        &self.bench
    }

    pub(super) fn hub_shared(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }

    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// The alerts that are raised.
    pub(super) fn alerts(&self) -> Vec<Kind> {
        self.alerts.borrow().clone()
    }

    /// Now, on both clocks.
    pub(super) fn moment(&self) -> Moment {
        self.clock.now()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().wall
    }

    /// What happens, as documents for pages that follow.
    async fn forward(self: Arc<Self>, to: broadcast::Sender<web::Event>) {
        let mut events = self.bench.events();
        loop {
            let (kind, data) = match events.recv().await {
                Ok(Event::Answer {
                    source,
                    scanned,
                    said,
                }) => {
                    if said.last && said.reply.outcome == Outcome::Printed {
                        self.lately.printed(said.reply.timings_ms);
                    }
                    let Ok(mut data) = serde_json::to_value(&said.reply) else {
                        continue;
                    };
                    data["scanned"] = json!(scanned);
                    data["trigger"] = json!(source.trigger);
                    data["user"] = json!(source.user);
                    data["last"] = json!(said.last);
                    (EventKind::Scan, data)
                }
                Ok(Event::Order(order)) => {
                    self.lately.changed(&order);
                    if to.receiver_count() == 0 {
                        continue;
                    }
                    self.tell_writebacks(&order, &to);
                    (EventKind::Order, documents::order(&order, self.now()))
                }
                // A status costs a look at all that is open.
                Ok(Event::Signal(_)) if to.receiver_count() == 0 => continue,
                Ok(Event::Signal(signal)) => match self.status().await {
                    Some(mut status) => {
                        status["signal"] = json!(signal.as_str());
                        (EventKind::Status, status)
                    }
                    None => return,
                },
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "pages missed events");
                    continue;
                }
                Err(RecvError::Closed) => return,
            };
            // Nobody may be looking any more.
            drop(to.send(web::Event { kind, data }));
        }
    }
}

pub(super) enum Named {
    One(Box<Order>),
    Several(Vec<Candidate>),
    None,
}

impl Named {
    pub(super) fn reply(self) -> Reply {
        match self {
            Self::Several(candidates) => Reply::Ambiguous(candidates),
            Self::One(_) | Self::None => Reply::NotFound {
                detail: "The ledger knows no such order.".to_owned(),
            },
        }
    }
}

pub(super) fn stopped() -> Reply {
    Reply::Failed {
        code: Code::Internal,
        detail: "The station is stopping.".to_owned(),
    }
}
