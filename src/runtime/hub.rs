//! Effects to tasks. `Remember` is a barrier: the rest of its list starts when it is durable.
//!
//! Long because what every effect costs is seen in one place.

use super::bench::{Bench, Event, Said};
use super::paper::Paper;
use super::sales::{Creation, Sales};
use crate::domain::{
    AccountName, ActId, CallFailure, DocumentId, Order, OrderId, Record, RemoteOrder, ScanReply,
    Signal, Source,
};
use crate::ledger::{Ledger, LedgerError};
use crate::outbox::Outbox;
use crate::starshipit::{self, Priority, Starshipit};
use crate::station::{Effect, Input, LookFor, Lookup, Token};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{mpsc, watch};

/// Documents in memory between "bought" and "in the spool": a few of the largest.
const MAX_PENDING: usize = 64;

/// Everything that effects need.
pub(super) struct Hub {
    bench: Bench,
    ledger: Ledger,
    pub(super) starshipit: Starshipit,
    paper: Paper,
    sales: Sales,
    waiters: Mutex<HashMap<Token, mpsc::Sender<Said>>>,
    /// Label documents that have come and are not in the spool yet.
    pending: Mutex<HashMap<DocumentId, Arc<Vec<u8>>>>,
    fatal: watch::Sender<Option<String>>,
    /// Set once, before the first order changes.
    outbox: OnceLock<Outbox>,
}

impl Hub {
    pub(super) fn new(
        bench: Bench,
        ledger: Ledger,
        starshipit: Starshipit,
        paper: Paper,
        sales: Sales,
        fatal: watch::Sender<Option<String>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            bench,
            ledger,
            starshipit,
            paper,
            sales,
            waiters: Mutex::default(),
            pending: Mutex::default(),
            fatal,
            outbox: OnceLock::new(),
        })
    }

    /// From now on orders that become durable are shown to the outbox.
    pub(super) fn show_to(&self, outbox: Outbox) {
        if self.outbox.set(outbox).is_err() {
            tracing::error!("there is an outbox already");
        }
    }

    pub(super) fn outbox(&self) -> Option<&Outbox> {
        self.outbox.get()
    }

    /// Somebody waits for the answers of this token.
    pub(super) fn wait(&self, token: Token, waiter: mpsc::Sender<Said>) {
        let mut waiters = lock(&self.waiters);
        waiters.retain(|_, waiter| !waiter.is_closed());
        waiters.insert(token, waiter);
    }

    pub(super) fn feed_watchdog(&self) {
        // Without systemd there is nobody to tell; that is not an error.
        drop(sd_notify::notify(&[sd_notify::NotifyState::Watchdog]));
    }

    /// Carries out a list in order, up to its first `Remember`; the rest follows when that is
    /// durable.
    pub(super) fn carry_out(self: &Arc<Self>, effects: Vec<Effect>) {
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            match effect {
                Effect::Remember(records) => {
                    let rest: Vec<Effect> = effects.collect();
                    self.remember(records, rest);
                    return;
                }
                // A ticket announces what follows it: the label is sent when the ticket is done.
                Effect::Ticket { printer, lines } => {
                    let rest: Vec<Effect> = effects.collect();
                    let hub = Arc::clone(self);
                    tokio::spawn(async move {
                        if let Err(code) = hub.paper.ticket(&printer, &lines, &[]).await {
                            tracing::warn!(printer = %printer, %code, "ticket not printed");
                        }
                        hub.carry_out(rest);
                    });
                    return;
                }
                Effect::Signal(signal) => self.bench.publish(Event::Signal(signal)),
                // In place, not as a task: "accepted" must not be overtaken by "printed".
                Effect::Answer {
                    token,
                    source,
                    scanned,
                    reply,
                    last,
                } => self.answer(token, source, scanned, *reply, last),
                other => {
                    let hub = Arc::clone(self);
                    // Boxed: each effect's future is as large as the largest of them.
                    tokio::spawn(Box::pin(hub.perform(other)));
                }
            }
        }
    }

    /// Hands the records to the ledger now, so that lists keep their order, and goes on with the
    /// rest when they are durable.
    fn remember(self: &Arc<Self>, records: Vec<Record>, rest: Vec<Effect>) {
        let orders: Vec<Order> = records
            .iter()
            .filter_map(|record| match record {
                Record::Order(order) => Some((**order).clone()),
                _ => None,
            })
            .collect();
        let acts: Vec<ActId> = records
            .iter()
            .filter_map(|record| match record {
                Record::Act(act) => Some(act.id),
                _ => None,
            })
            .collect();
        let commit = self.ledger.commit(records);
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            match commit.await {
                Ok(()) => {
                    for order in orders {
                        if let Some(outbox) = hub.outbox() {
                            outbox.observe(&order);
                        }
                        hub.bench.publish(Event::Order(Box::new(order)));
                    }
                    hub.carry_out(rest);
                }
                Err(LedgerError::QueueFull) if !acts.is_empty() => {
                    for act in acts {
                        hub.bench.tell(Input::Full { act }).await;
                    }
                }
                Err(LedgerError::QueueFull) => {
                    let orders = orders.into_iter().map(|order| order.id).collect();
                    hub.bench.tell(Input::NoRoom { orders }).await;
                }
                Err(error) => hub.fail(&format!("the ledger cannot keep records: {error}")),
            }
        });
    }

    fn fail(&self, why: &str) {
        tracing::error!(error = why, "the station stops");
        self.fatal.send_replace(Some(why.to_owned()));
    }

    async fn perform(self: Arc<Self>, effect: Effect) {
        match effect {
            Effect::Remember(_)
            | Effect::Signal(_)
            | Effect::Answer { .. }
            | Effect::Ticket { .. } => {
                // Carried out in place by `carry_out`.
            }
            Effect::Recall { act, alias } => self.recall(act, alias).await,
            Effect::Find {
                act,
                accounts,
                texts,
            } => self.find(act, accounts, texts).await,
            Effect::Look {
                order,
                account,
                order_id,
                why,
                sale,
                within,
            } => {
                let priority = match why {
                    LookFor::Number => Priority::Poll,
                    LookFor::Recheck => Priority::Release,
                    LookFor::Act | LookFor::Purchase => Priority::Scan,
                };
                let look = self.starshipit.get(&account, order_id, priority);
                let read = async {
                    match &sale {
                        Some(uuid) => Some(self.sales.read(uuid, priority).await),
                        None => None,
                    }
                };
                // Each has the time for itself: one that does not answer costs not the other's word.
                let (result, sale) = tokio::join!(limited(within, look), async {
                    match limited(within, async { Ok(read.await) }).await {
                        Ok(read) => read,
                        Err(failure) => sale.as_ref().map(|_| Err(failure)),
                    }
                });
                self.bench
                    .tell(Input::Looked {
                        order,
                        order_id,
                        why,
                        result,
                        sale,
                    })
                    .await;
            }
            Effect::Buy {
                order,
                account,
                order_id,
                reprint,
                with,
            } => {
                let with = (!with.is_empty()).then_some(with);
                let result = self
                    .starshipit
                    .print(&account, order_id, reprint, with.as_ref(), Priority::Scan)
                    .await;
                let result = result.map(|(bought, documents)| {
                    self.keep(&bought.documents, documents);
                    bought
                });
                if let Err(failure) = &result {
                    tracing::warn!(order = %order, order_id, reprint, ?failure, "print label failed");
                }
                self.bench
                    .tell(Input::Bought {
                        order,
                        reprint,
                        result,
                    })
                    .await;
            }
            Effect::Replace {
                order,
                account,
                order_id,
            } => {
                let result = self.starshipit.replace(&account, order_id).await;
                self.bench.tell(Input::Remade { order, result }).await;
            }
            Effect::Clone {
                order,
                account,
                order_id,
            } => {
                let result = self.starshipit.clone_order(&account, order_id).await;
                self.bench.tell(Input::Remade { order, result }).await;
            }
            Effect::LookRemade {
                order,
                account,
                replace,
                number,
                reference,
                order_id,
                known,
                sent_at,
            } => {
                let result = if replace {
                    self.look_replaced(&account, &number, reference.as_deref(), order_id, sent_at)
                        .await
                } else {
                    self.look_cloned(&account, &number, order_id, &known, sent_at)
                        .await
                };
                self.bench.tell(Input::LookedRemade { order, result }).await;
            }
            Effect::Store {
                order,
                order_id,
                documents,
            } => {
                let stored = self.store(documents).await;
                self.bench
                    .tell(Input::Stored {
                        order,
                        order_id,
                        stored,
                    })
                    .await;
            }
            Effect::Prepare {
                order,
                order_id,
                documents,
                courier,
                tracking,
                printer,
            } => {
                let result = self
                    .paper
                    .prepare(&self.ledger, &documents, &courier, &tracking, &printer)
                    .await;
                if let Err((code, detail)) = &result {
                    tracing::warn!(order = %order, %code, detail, "label not usable");
                }
                self.bench
                    .tell(Input::Prepared {
                        order,
                        order_id,
                        result,
                    })
                    .await;
            }
            Effect::Send {
                order,
                order_id,
                page,
                job,
            } => {
                let outcome = self.paper.send(&self.ledger, *job).await;
                self.bench
                    .tell(Input::PageEnded {
                        order,
                        order_id,
                        page,
                        outcome,
                    })
                    .await;
            }
            Effect::CheckPrinter(printer) => {
                let trouble = self.paper.trouble(&printer).await;
                self.bench
                    .tell(Input::PrinterSeen { printer, trouble })
                    .await;
            }
            Effect::FindSale { act, texts } => {
                let result = match self.sales.find(&texts).await {
                    Ok(sales) => {
                        let mut hits = Vec::with_capacity(sales.len());
                        for sale in sales {
                            let known = self.known(&OrderId::cartoncloud(&sale.uuid)).await;
                            hits.push((sale, known));
                        }
                        Ok(hits)
                    }
                    Err(failure) => Err(failure),
                };
                self.bench.tell(Input::FoundSale { act, result }).await;
            }
            Effect::LookNumber {
                order,
                account,
                number,
                urgent,
            } => {
                let result = self.look_number(account, &number, urgent).await;
                self.bench.tell(Input::LookedNumber { order, result }).await;
            }
            Effect::Create {
                order,
                account,
                uuid,
                number,
                reference,
                route,
                with,
                urgent,
            } => {
                let creation = Creation {
                    account,
                    uuid,
                    number,
                    reference,
                    route,
                    with,
                    urgent,
                };
                let result = self.sales.create(creation).await;
                if let Err(failure) = &result {
                    tracing::warn!(order = %order, ?failure, "create failed");
                }
                self.bench.tell(Input::Created { order, result }).await;
            }
            Effect::ProbeSales => {
                let reachable = self.sales.probe().await;
                self.bench.tell(Input::SalesProbed { reachable }).await;
            }
            Effect::Tally { since } => {
                let orders = self.changed_since(since).await;
                self.bench.tell(Input::Tallied { orders }).await;
            }
            Effect::HandOver { printer, sheets } => {
                let result = self.hand_over(&printer, sheets).await;
                self.bench.tell(Input::HandedOver { result }).await;
            }
            Effect::TestLabel { printer, code } => {
                if let Err(trouble) = self.paper.test_label(&printer, &code).await {
                    tracing::warn!(printer = %printer, code = %trouble, "test label not printed");
                    self.bench.publish(Event::Signal(Signal::PrinterNeedsHand));
                }
            }
            Effect::Probe(account) => {
                let reachable = !matches!(
                    self.starshipit.probe(&account).await,
                    Err(CallFailure::NotSent { .. } | CallFailure::Unknown { .. })
                );
                self.bench.tell(Input::Probed { reachable }).await;
            }
        }
    }

    fn answer(
        &self,
        token: Option<Token>,
        source: Source,
        scanned: String,
        reply: ScanReply,
        last: bool,
    ) {
        tracing::info!(
            outcome = ?reply.outcome,
            code = reply.code.map(|code| code.as_str()),
            order = reply.order.as_deref(),
            trigger = %source.trigger,
            last,
            "scan answered"
        );
        let said = Said { reply, last };
        if let Some(token) = token {
            let mut waiters = lock(&self.waiters);
            if let Some(waiter) = waiters.get(&token) {
                // A waiter that has gone away loses its answer, not the act.
                drop(waiter.try_send(said.clone()));
            }
            if last {
                waiters.remove(&token);
            }
        }
        self.bench.publish(Event::Answer {
            source,
            scanned,
            said: Box::new(said),
        });
    }

    async fn recall(&self, act: ActId, alias: String) {
        let ledger = self.ledger.clone();
        let found = tokio::task::spawn_blocking(move || ledger.find(&alias)).await;
        let orders = match found {
            Ok(found) => {
                self.bench.number_from(found.first_seq).await;
                found.orders
            }
            Err(panic) => {
                // A damaged index must not cost the scan: Starshipit is asked instead.
                tracing::error!(error = %panic, "the ledger's look-up failed");
                Vec::new()
            }
        };
        self.bench.tell(Input::Recalled { act, orders }).await;
    }

    async fn find(&self, act: ActId, accounts: Vec<AccountName>, texts: Vec<(Lookup, String)>) {
        let mut result = starshipit::FindResult::default();
        for (lookup, text) in texts {
            let by = match lookup {
                Lookup::OrderNumber | Lookup::Numeric | Lookup::Id => {
                    starshipit::Lookup::OrderNumber
                }
                Lookup::Reference => starshipit::Lookup::Reference,
                Lookup::Tracking => starshipit::Lookup::Tracking,
            };
            result = self
                .starshipit
                .look_up(&accounts, by, &text, Priority::Scan)
                .await;
            if !result.hits.is_empty() || !result.failures.is_empty() {
                break;
            }
        }
        let mut hits = Vec::with_capacity(result.hits.len());
        for hit in result.hits {
            let id = OrderId::starshipit(&hit.account, hit.order_id);
            let known = self.known(&id).await;
            hits.push((hit, known));
        }
        self.bench
            .tell(Input::Found {
                act,
                hits,
                failures: result.failures,
            })
            .await;
    }

    /// CartonCloud's custom button: the order is read again before anything happens.
    pub(super) async fn print_asked(&self, uuid: String) {
        match self.sales.read(&uuid, Priority::Scan).await {
            Ok(Some(sale)) => {
                let known = self.known(&OrderId::cartoncloud(&uuid)).await;
                self.bench
                    .tell(Input::PrintAsked {
                        token: None,
                        sale,
                        known: known.map(Box::new),
                        source: Source {
                            trigger: "cartoncloud".to_owned(),
                            user: None,
                        },
                    })
                    .await;
            }
            Ok(None) => {
                tracing::warn!(uuid, "a hook named an order that CartonCloud does not know")
            }
            Err(failure) => tracing::warn!(uuid, ?failure, "the order of a hook cannot be read"),
        }
    }

    /// Every order of a number in one account.
    async fn look_number(
        &self,
        account: AccountName,
        number: &str,
        urgent: bool,
    ) -> Result<Vec<(RemoteOrder, Option<Order>)>, CallFailure> {
        let priority = if urgent {
            Priority::Scan
        } else {
            Priority::Poll
        };
        let found = self
            .starshipit
            .by_number(&account, number, priority)
            .await?;
        let mut hits = Vec::with_capacity(found.len());
        for hit in found {
            let known = self
                .known(&OrderId::starshipit(&hit.account, hit.order_id))
                .await;
            hits.push((hit, known));
        }
        Ok(hits)
    }

    /// What the ledger knows by an order's id: the one whose sale order it is now before one whose it
    /// was.
    async fn known(&self, id: &OrderId) -> Option<Order> {
        let alias = id.0.to_ascii_lowercase();
        let ledger = self.ledger.clone();
        let mut orders = tokio::task::spawn_blocking(move || ledger.find(&alias))
            .await
            .map(|found| found.orders)
            .unwrap_or_default();
        let linked = |o: &Order| {
            o.sale
                .as_ref()
                .is_some_and(|sale| OrderId::cartoncloud(&sale.uuid) == *id)
        };
        let at = orders.iter().position(linked).unwrap_or_default();
        (at < orders.len()).then(|| orders.swap_remove(at))
    }

    /// Keeps fresh documents in memory until they are in the spool.
    fn keep(&self, metas: &[crate::domain::DocumentMeta], documents: Vec<Vec<u8>>) {
        let mut pending = lock(&self.pending);
        if pending.len() > MAX_PENDING {
            // Left behind by refused orders; the spool or a reprint has them.
            pending.clear();
        }
        for (meta, document) in metas.iter().zip(documents) {
            pending.insert(meta.id.clone(), Arc::new(document));
        }
    }

    /// Everything named is in the spool afterwards, or `false`.
    async fn store(&self, documents: Vec<DocumentId>) -> bool {
        for id in documents {
            let fresh = lock(&self.pending).get(&id).cloned();
            let ledger = self.ledger.clone();
            let (name, bytes) = (id.clone(), fresh.clone());
            let stored = tokio::task::spawn_blocking(move || match bytes {
                Some(bytes) => ledger
                    .store_document(&name, &bytes)
                    .map(|()| bytes)
                    .map_err(|error| error.to_string()),
                None => ledger
                    .read_document(&name)
                    .map(Arc::new)
                    .map_err(|error| error.to_string()),
            })
            .await;
            match stored {
                Ok(Ok(bytes)) => {
                    self.paper.has(&id, bytes);
                    lock(&self.pending).remove(&id);
                }
                Ok(Err(error)) => {
                    tracing::warn!(document = %id, error, "document not in the spool");
                    return false;
                }
                Err(panic) => {
                    tracing::error!(document = %id, error = %panic, "spool task failed");
                    return false;
                }
            }
        }
        true
    }

    /// What the ledger keeps, for status and look-ups.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The printers, for status and pictures.
    pub(super) fn sales(&self) -> &Sales {
        &self.sales
    }

    pub(super) fn paper(&self) -> &Paper {
        &self.paper
    }
}

/// A call within its time; none of its own: the client's.
async fn limited<T>(
    within: Option<std::time::Duration>,
    call: impl Future<Output = Result<T, CallFailure>>,
) -> Result<T, CallFailure> {
    match within {
        None => call.await,
        Some(limit) => tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
            Err(CallFailure::Unknown {
                detail: "the re-check ran out of its time".to_owned(),
            })
        }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
