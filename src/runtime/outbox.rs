//! The outbox's place in the shell: which sinks there are, where the orders come from, where results go.

use super::bench::Bench;
use super::clock::Clock;
use super::compose::ComposeError;
use super::metrics::Metrics;
use crate::cartoncloud::CartonCloud;
use crate::cartoncloud::sinks::{
    Consignment, Fields, OrderDocumentSink, OrderProperties, SaleOrderSink,
};
use crate::config::model::{self, Config};
use crate::config::secret::SecretRef;
use crate::csv::{self, Csv};
use crate::domain::writeback::Dispatch;
use crate::domain::{DocumentId, Order, OrderId, writeback};
use crate::ledger::Ledger;
use crate::outbox::{self, Documents, Ended, Orders, Outbox, Pace, Sink};
use crate::shopify::{self, Shop};
use crate::station::{self, Input};
use crate::webhook::{self, Webhook};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Longest that one attempt may take, all looks and waits of its sink included.
const DEADLINE: Duration = Duration::from_secs(180);
/// Results on their way to the station.
const RESULTS: usize = 64;
/// A consignment that comes later than this after the label counts as one that never comes.
const CONSIGNMENT: Duration = Duration::from_secs(30 * 60);
/// In the state folder once the self-test of order updates has passed on this tenant.
pub(super) const ORDER_UPDATES: &str = "order-updates-passed";
/// Longest wait for one reply of a shop.
const SHOP: Duration = Duration::from_secs(30);
/// Before an order is read again at a shop that gave no clear answer.
const SHOP_SETTLE: Duration = Duration::from_secs(1);

/// Every sink there can be. A webhook is called by its place in the configuration, from 1.
pub(super) fn sinks(
    config: &Config,
    client: Option<&CartonCloud>,
    ledger: &Ledger,
    secret: impl Fn(&str, &SecretRef) -> Result<SecretString, ComposeError>,
    clock: Clock,
) -> Result<Vec<Arc<dyn Sink>>, ComposeError> {
    let now: outbox::Clock = Arc::new(move || clock.now().wall);
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    if let (Some(cloud), Some(client)) = (&config.cartoncloud, client) {
        let made = Cartoncloud {
            client,
            observe: cloud.writeback.observe,
            spool: Arc::new(Spool(ledger.clone())),
            passed: Arc::new(AtomicBool::new(
                config.station.state_dir.join(ORDER_UPDATES).exists(),
            )),
            now: Arc::clone(&now),
        };
        let own = made.sinks(&fields(&cloud.writeback.fields));
        // A route may name its own fields: the same sinks, told apart by the order.
        let mut routed: Vec<(usize, Vec<Arc<dyn Sink>>)> = Vec::new();
        for (n, route) in config.routes.iter().enumerate() {
            if let Some(over) = route.writeback.as_ref().and_then(|w| w.fields.as_ref()) {
                let mut names = cloud.writeback.fields.clone();
                names.extend(over.clone());
                routed.push((n, made.sinks(&fields(&names))));
            }
        }
        let settings = super::compose::station(config);
        for (at, sink) in own.into_iter().enumerate() {
            let by_route: Vec<(usize, Arc<dyn Sink>)> = routed
                .iter()
                .filter_map(|(n, sinks)| Some((*n, Arc::clone(sinks.get(at)?))))
                .collect();
            if by_route.is_empty() {
                sinks.push(sink);
            } else {
                sinks.push(Arc::new(Routed {
                    settings: settings.clone(),
                    by_route,
                    otherwise: sink,
                }));
            }
        }
        let settings = csv::Settings {
            dir: cloud.writeback.csv_dir.clone(),
            timezone: config.station.timezone.clone(),
        };
        // Made even where no route names it: jobs of an older configuration still find it.
        sinks.push(Arc::new(Csv::new(settings, Arc::clone(&now))));
    }
    for shop in &config.shopify.shops {
        let settings = shop_settings(shop, &secret)?;
        let sink = Shop::new(settings, Arc::clone(&now)).map_err(|e| wrong(&e))?;
        sinks.push(Arc::new(sink));
    }
    for (index, hook) in config.webhooks.iter().enumerate() {
        let settings = webhook::Settings {
            name: format!("webhook:{}", index + 1),
            url: hook.url.clone(),
            secret: secret(&format!("webhooks[{index}].secret"), &hook.secret)?,
            deadline: None,
        };
        let sink = Webhook::new(settings, Arc::clone(&now)).map_err(|e| wrong(&e))?;
        sinks.push(Arc::new(sink));
    }
    Ok(sinks)
}

/// What CartonCloud's four sinks are made of.
struct Cartoncloud<'a> {
    client: &'a CartonCloud,
    observe: Duration,
    spool: Arc<Spool>,
    passed: Arc<AtomicBool>,
    now: outbox::Clock,
}

impl Cartoncloud<'_> {
    fn sinks(&self, fields: &Fields) -> Vec<Arc<dyn Sink>> {
        let client = || self.client.clone();
        vec![
            Arc::new(SaleOrderSink::new(
                client(),
                fields.clone(),
                self.observe,
                Arc::clone(&self.now),
            )),
            Arc::new(Consignment::new(
                client(),
                None,
                CONSIGNMENT,
                Arc::clone(&self.now),
            )),
            Arc::new(OrderDocumentSink::new(
                client(),
                Arc::clone(&self.spool) as Arc<dyn Documents>,
            )),
            Arc::new(OrderProperties::new(
                client(),
                fields.clone(),
                Arc::clone(&self.passed),
            )),
        ]
    }
}

/// Names of custom fields, as the configuration has them.
fn fields(names: &BTreeMap<String, String>) -> Fields {
    let mut fields = Fields::default();
    if let Some(name) = names.get("tracking_number") {
        fields.tracking_number.clone_from(name);
    }
    if let Some(name) = names.get("carrier") {
        fields.carrier.clone_from(name);
    }
    fields
}

/// One sink whose settings differ by route.
struct Routed {
    settings: station::Settings,
    by_route: Vec<(usize, Arc<dyn Sink>)>,
    otherwise: Arc<dyn Sink>,
}

impl Sink for Routed {
    fn name(&self) -> &str {
        self.otherwise.name()
    }

    fn system(&self) -> &str {
        self.otherwise.system()
    }

    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> outbox::Delivering<'a> {
        let route = self.settings.route_of_dispatch(dispatch);
        let own = self.by_route.iter().find(|(n, _)| Some(*n) == route);
        own.map_or(&self.otherwise, |(_, sink)| sink)
            .deliver(dispatch)
    }
}

/// Label documents from the ledger's spool.
struct Spool(Ledger);

impl Documents for Spool {
    fn read<'a>(
        &'a self,
        id: &'a DocumentId,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(async move {
            let (ledger, id) = (self.0.clone(), id.clone());
            let read = tokio::task::spawn_blocking(move || ledger.read_document(&id)).await;
            match read {
                Ok(Ok(bytes)) => Some(bytes),
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a label is not in the spool any more");
                    None
                }
                Err(panic) => {
                    tracing::error!(error = %panic, "a label could not be read from the spool");
                    None
                }
            }
        })
    }
}

/// One shop's settings; [`shopify::Settings::kept_paths`] says what the ledger keeps for it.
pub(super) fn shop_settings(
    shop: &model::Shop,
    secret: &impl Fn(&str, &SecretRef) -> Result<SecretString, ComposeError>,
) -> Result<shopify::Settings, ComposeError> {
    let read = |key: &str, reference: &SecretRef| {
        secret(&format!("shopify.shops.{}.{key}", shop.shop), reference)
    };
    let access = match (&shop.token, &shop.client_id, &shop.client_secret) {
        (Some(token), ..) => shopify::Access::Token(read("token", token)?),
        (None, Some(id), Some(client_secret)) => shopify::Access::Client {
            id: read("client_id", id)?,
            secret: read("client_secret", client_secret)?,
        },
        _ => {
            return Err(ComposeError::Sink {
                why: format!(
                    "shopify shop {}: give token, or client_id and client_secret",
                    shop.shop
                ),
            });
        }
    };
    Ok(shopify::Settings {
        shop: shop.shop.clone(),
        base_url: shop.base_url.clone(),
        api_version: shop.api_version.clone(),
        access,
        customer: shop.customer.clone(),
        notify_customer: shop.notify_customer,
        order_id: shop.order_id.clone(),
        order_name: shop.order_name.clone(),
        request_timeout: SHOP,
        settle: SHOP_SETTLE,
    })
}

fn wrong(error: &dyn std::error::Error) -> ComposeError {
    ComposeError::Sink {
        why: error.to_string(),
    }
}

/// The outbox and the task that carries its results to the station.
pub(super) struct Running {
    pub outbox: Outbox,
    carrier: JoinHandle<()>,
}

impl Running {
    /// Ends what is under way, at most within `grace`; every result has reached the station then.
    pub async fn stop(self, grace: Duration) {
        self.outbox.stop(grace).await;
        if let Err(error) = self.carrier.await {
            tracing::error!(%error, "results of writebacks were not carried");
        }
    }
}

/// Starts the outbox. `owed`: orders as they were recovered.
pub(super) fn start<'a>(
    sinks: Vec<Arc<dyn Sink>>,
    bench: Bench,
    ledger: Ledger,
    owed: impl Iterator<Item = &'a Order>,
    metrics: Arc<Metrics>,
) -> Running {
    let (ended, mut results) = mpsc::channel(RESULTS);
    let settings = outbox::Settings {
        sinks,
        is_due: Box::new(writeback::is_due),
        pace: Pace::default(),
        deadline: DEADLINE,
        // Without the system's chance the backoff of all stations is alike; nothing else is lost.
        seed: OsRng.try_next_u64().unwrap_or_default(),
    };
    let desk = Arc::new(Desk {
        bench: bench.clone(),
        ledger,
    });
    let outbox = outbox::start(settings, desk, ended);
    for order in owed.filter(|order| !order.writebacks.is_empty()) {
        outbox.observe(order);
    }
    let carrier = tokio::spawn(async move {
        while let Some(Ended {
            order,
            n,
            tracking,
            result,
        }) = results.recv().await
        {
            metrics.delivered(&result);
            bench
                .tell(Input::Delivered {
                    order,
                    n,
                    tracking,
                    result,
                })
                .await;
        }
    });
    Running { outbox, carrier }
}

/// Full orders: as the core has them, else as the ledger does.
struct Desk {
    bench: Bench,
    ledger: Ledger,
}

impl Orders for Desk {
    fn dispatch<'a>(
        &'a self,
        order: &'a OrderId,
        n: u32,
    ) -> Pin<Box<dyn Future<Output = Option<Dispatch>> + Send + 'a>> {
        Box::pin(async move {
            if let Ok(Some(order)) = self.bench.order(order.clone()).await {
                return dispatch(&order, n);
            }
            let (ledger, id) = (self.ledger.clone(), order.clone());
            let kept = tokio::task::spawn_blocking(move || ledger.get(&id)).await;
            dispatch(&kept.ok().flatten()?, n)
        })
    }
}

/// What a sink needs for a job; `None`: it is not due any more.
fn dispatch(order: &Order, n: u32) -> Option<Dispatch> {
    writeback::is_due(order, n)
        .then(|| writeback::dispatch(order, n))
        .flatten()
}
