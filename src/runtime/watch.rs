//! Asks CartonCloud what has changed, and Starshipit what was labelled elsewhere, and tells the
//! station. What each of it means is the station's business.
//!
//! The mark of the poll is stored only while nothing seen is still to be pushed: an outage of
//! Starshipit that outlasts the overlap must not make the station forget an order.

use super::bench::Bench;
use super::clock::Clock;
use super::facts::Pushes;
use super::sales::Sales;
use crate::cartoncloud::watch::{Watch, poll_once};
use crate::cartoncloud::{Filter, Lookup};
use crate::domain::order::Standing;
use crate::domain::{
    AccountName, CallFailure, Code, Order, OrderId, SaleOrder, Shippable, System, Timestamp,
};
use crate::ledger::Ledger;
use crate::starshipit::{Priority, Starshipit};
use crate::station::{Input, Settings};
use crate::system::durable;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Orders that wait to be pushed, told again at each poll.
const AGAIN: usize = 20;
/// Most orders remembered as waiting; beyond it the mark stays where it is, which loses nothing.
const WAITING: usize = 5_000;
/// Between two looks at what was labelled elsewhere.
const RECONCILE: Duration = Duration::from_secs(300);
/// How far such a look goes back.
const LABELLED_SINCE: Duration = Duration::from_secs(24 * 3600);
/// New labels of others that one look takes up.
const TAKEN_UP: usize = 25;
/// Between two looks whether the ledger's index is whole.
const INDEX: Duration = Duration::from_millis(200);
/// Wait after CartonCloud refused or did not answer.
const PAUSE: Duration = Duration::from_secs(15);

/// What both tasks need.
#[derive(Clone)]
pub(super) struct Watcher {
    pub(super) sales: Sales,
    pub(super) starshipit: Starshipit,
    pub(super) bench: Bench,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    /// The station's own, for what its routes want.
    pub(super) settings: Settings,
    pub(super) interval: Duration,
    /// Statuses that anything is done for; empty: all, where a field asks for printing.
    pub(super) statuses: Vec<String>,
    /// Where the mark is kept.
    pub(super) mark: PathBuf,
    /// Learns whether CartonCloud can be asked.
    pub(super) pushes: Arc<Pushes>,
}

impl Watcher {
    /// Polls until `stop`.
    pub(super) async fn poll(self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.polling() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn polling(&self) {
        let Some(cloud) = self.sales.cloud() else {
            return;
        };
        let mut watch = match tokio::fs::read(&self.mark).await {
            Ok(bytes) => Watch::load(&bytes),
            Err(_) => Watch::load(b""),
        };
        let filter = Filter {
            statuses: self.statuses.clone(),
            customers: Vec::new(),
        };
        let mut waiting: BTreeMap<String, Box<SaleOrder>> = BTreeMap::new();
        let mut trouble: Option<Code> = None;
        loop {
            let more = match poll_once(cloud, &mut watch, &filter, self.clock.now().wall).await {
                Ok(polled) => {
                    self.pushes.polled(None);
                    if trouble.take().is_some() {
                        tracing::info!("CartonCloud answers again");
                    }
                    for sale in polled.orders {
                        self.tell(Box::new(sale), &mut waiting).await;
                    }
                    polled.more
                }
                Err(failure) => {
                    let code = failure.code_of(System::Cartoncloud);
                    if trouble != Some(code) {
                        tracing::warn!(%code, "CartonCloud cannot be polled");
                        tracing::debug!(?failure, "what was said of it");
                    }
                    trouble = Some(code);
                    self.pushes.polled(trouble);
                    let wait = match failure {
                        CallFailure::Throttled {
                            retry_after: Some(wait),
                        } => wait.min(4 * PAUSE),
                        _ => PAUSE.min(self.interval * 4),
                    };
                    tokio::time::sleep(wait).await;
                    false
                }
            };
            if more {
                continue;
            }
            self.tell_again(&mut waiting).await;
            if waiting.is_empty()
                && let Err(error) = durable::replace(&self.mark, &watch.store())
            {
                tracing::warn!(%error, "how far changes were read could not be stored");
            }
            tokio::time::sleep(self.interval).await;
        }
    }

    async fn tell(&self, sale: Box<SaleOrder>, waiting: &mut BTreeMap<String, Box<SaleOrder>>) {
        let known = self.known(&OrderId::cartoncloud(&sale.uuid)).await;
        let wanted = self.is_pushed(&sale);
        let open = wanted && known.as_ref().is_none_or(is_unpushed);
        if open && waiting.len() < WAITING {
            waiting.insert(sale.uuid.clone(), sale.clone());
        } else if !open {
            waiting.remove(&sale.uuid);
        }
        self.bench
            .tell(Input::SaleSeen {
                sale,
                known: known.map(Box::new),
            })
            .await;
    }

    /// Orders that were seen and are not in Starshipit yet.
    async fn tell_again(&self, waiting: &mut BTreeMap<String, Box<SaleOrder>>) {
        let mut told = 0;
        let uuids: Vec<String> = waiting.keys().cloned().collect();
        for uuid in uuids {
            let known = self.known(&OrderId::cartoncloud(&uuid)).await;
            if known.as_ref().is_some_and(|order| !is_unpushed(order)) {
                waiting.remove(&uuid);
                continue;
            }
            if told == AGAIN {
                continue;
            }
            told += 1;
            // As it is now: it may have been cancelled meanwhile.
            match self.sales.read(&uuid, Priority::Poll).await {
                Ok(Some(sale)) => self.tell(sale, waiting).await,
                Ok(None) => {
                    waiting.remove(&uuid);
                }
                // The next poll says what is wrong.
                Err(_) => return,
            }
        }
    }

    /// Its route sends orders of its status to Starshipit, and this station does so.
    fn is_pushed(&self, sale: &SaleOrder) -> bool {
        self.settings.push_duty
            && !sale.pickup
            && sale.shippable() == Shippable::Yes
            && self.settings.sale_route(sale).is_some_and(|n| {
                let push = &self.settings.routes[n].push;
                push.enabled
                    && push
                        .statuses
                        .iter()
                        .any(|status| status.eq_ignore_ascii_case(&sale.status))
            })
    }

    async fn known(&self, id: &OrderId) -> Option<Order> {
        if let Ok(Some(order)) = self.bench.order(id.clone()).await {
            return Some(order);
        }
        loop {
            let (ledger, alias) = (self.ledger.clone(), id.0.to_ascii_lowercase());
            match tokio::task::spawn_blocking(move || ledger.find(&alias)).await {
                Ok(mut found) if found.complete || !found.orders.is_empty() => {
                    return found.orders.drain(..).next();
                }
                // Nobody stands at the bench for this: it waits until the index is whole, so that no
                // order is taken for a new one.
                Ok(_) => tokio::time::sleep(INDEX).await,
                Err(panic) => {
                    tracing::error!(error = %panic, "the ledger's look-up failed");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Looks for labels that were made elsewhere, until `stop`.
    pub(super) async fn reconcile(self, mut stop: watch::Receiver<bool>) {
        let accounts: BTreeSet<AccountName> = self
            .settings
            .routes
            .iter()
            .map(|route| route.account.clone())
            .collect();
        let mut seen: BTreeMap<(AccountName, i64), Timestamp> = BTreeMap::new();
        loop {
            for account in &accounts {
                if let Err(failure) = self.look_elsewhere(account, &mut seen).await {
                    tracing::debug!(%account, ?failure, "recently printed labels could not be read");
                }
            }
            let old = self.ago(2 * LABELLED_SINCE);
            seen.retain(|_, at| *at > old);
            tokio::select! {
                () = tokio::time::sleep(RECONCILE) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    fn ago(&self, span: Duration) -> Timestamp {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.clock.now().wall.0.saturating_sub(span))
    }

    async fn look_elsewhere(
        &self,
        account: &AccountName,
        seen: &mut BTreeMap<(AccountName, i64), Timestamp>,
    ) -> Result<(), CallFailure> {
        let printed = self
            .starshipit
            .recently_printed(account, self.ago(LABELLED_SINCE))
            .await?;
        let mut taken = 0;
        for label in printed {
            let key = (account.clone(), label.order_id);
            if seen.contains_key(&key) {
                continue;
            }
            let known = self
                .known(&OrderId::starshipit(account, label.order_id))
                .await;
            let ours = known.as_ref().is_some_and(|order| {
                order.intent.is_some()
                    || order
                        .shipments
                        .iter()
                        .any(|shipment| shipment.order_id == label.order_id)
            });
            if !ours {
                if taken == TAKEN_UP {
                    // The rest at the next look.
                    break;
                }
                taken += 1;
                let remote = self
                    .starshipit
                    .get(account, label.order_id, Priority::Poll)
                    .await?;
                let Some(remote) = remote else { continue };
                let sale = match known.as_ref().and_then(|order| order.sale.as_ref()) {
                    Some(link) => self.sales.read(&link.uuid, Priority::Poll).await?,
                    None => self.sale_of(&remote).await?,
                };
                self.bench
                    .tell(Input::MadeElsewhere {
                        remote: Box::new(remote),
                        sale,
                        known: known.map(Box::new),
                    })
                    .await;
            }
            seen.insert(key, self.clock.now().wall);
        }
        Ok(())
    }

    /// The sale order that a Starshipit order was made from: by its reference (CartonCloud's number)
    /// or its number. None where several fit: a number is written into no order by guess.
    async fn sale_of(
        &self,
        remote: &crate::domain::RemoteOrder,
    ) -> Result<Option<Box<SaleOrder>>, CallFailure> {
        let Some(cloud) = self.sales.cloud() else {
            return Ok(None);
        };
        let mut texts = Vec::new();
        if let Some(reference) = remote.reference.as_ref().filter(|r| !r.trim().is_empty()) {
            texts.push((Lookup::Numeric, reference.clone()));
        }
        texts.push((Lookup::Reference, remote.number.clone()));
        for text in texts {
            let mut hits = cloud.search(&[text], Priority::Poll).await?;
            hits.retain(|sale| {
                self.settings
                    .sale_route(sale)
                    .is_some_and(|n| self.settings.routes[n].account == remote.account)
            });
            if let [_] = hits.as_slice() {
                return Ok(hits.pop().map(Box::new));
            }
        }
        Ok(None)
    }
}

/// Not in Starshipit, and not refused for a reason that its data would have to change for.
fn is_unpushed(order: &Order) -> bool {
    order.order_id == 0
        && order.shipments.is_empty()
        && !matches!(order.standing, Standing::Refused(_) | Standing::Cancelled)
}
