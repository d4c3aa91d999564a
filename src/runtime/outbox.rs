//! The outbox's place in the shell: which sinks there are, where the orders come from, where results go.

use super::bench::Bench;
use super::clock::Clock;
use super::compose::ComposeError;
use crate::config::model::{self, Config};
use crate::config::secret::SecretRef;
use crate::csv::{self, Csv};
use crate::domain::writeback::{self, Dispatch};
use crate::domain::{Order, OrderId};
use crate::ledger::Ledger;
use crate::outbox::{self, Ended, Orders, Outbox, Pace, Sink};
use crate::shopify::{self, Shop};
use crate::station::Input;
use crate::webhook::{self, Webhook};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use secrecy::SecretString;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Longest that one attempt may take, all looks and waits of its sink included.
const DEADLINE: Duration = Duration::from_secs(180);
/// Results on their way to the station.
const RESULTS: usize = 64;
/// Longest wait for one reply of a shop.
const SHOP: Duration = Duration::from_secs(30);
/// Before an order is read again at a shop that gave no clear answer.
const SHOP_SETTLE: Duration = Duration::from_secs(1);

/// The sinks that need no CartonCloud: shops, webhooks, CSV. A webhook is called by its place in the
/// configuration, from 1.
pub(super) fn sinks(
    config: &Config,
    secret: impl Fn(&str, &SecretRef) -> Result<SecretString, ComposeError>,
    clock: Clock,
) -> Result<Vec<Arc<dyn Sink>>, ComposeError> {
    let now: outbox::Clock = Arc::new(move || clock.now().wall);
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    if let Some(cloud) = &config.cartoncloud {
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
                return due(&order, n);
            }
            let (ledger, id) = (self.ledger.clone(), order.clone());
            let kept = tokio::task::spawn_blocking(move || ledger.get(&id)).await;
            due(&kept.ok().flatten()?, n)
        })
    }
}

/// What a sink needs for a job; `None`: it is not due any more.
fn due(order: &Order, n: u32) -> Option<Dispatch> {
    if !writeback::is_due(order, n) {
        return None;
    }
    writeback::dispatch(order, n)
}
