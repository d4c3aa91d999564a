//! Effects to tasks. `Remember` is a barrier: the rest of its list starts when it is durable.
//!
//! Long because what every effect costs is seen in one place.

use super::bench::{Bench, Event, Said};
use super::clock::Clock;
use super::facts::Pushes;
use super::lists::{ListId, Lists};
use super::metrics::Metrics;
use super::month::Month;
use super::paper::Paper;
use super::sales::{Creation, Sales};
use crate::domain::{
    AccountName, ActId, CallFailure, Code, DocumentId, DocumentMeta, Order, OrderId, PrinterName,
    Record, RemoteOrder, ScanReply, Signal, Source,
};
use crate::ledger::{Ledger, LedgerError};
use crate::outbox::Outbox;
use crate::starshipit::{self, Priority, Starshipit};
use crate::station::{Effect, Input, LookFor, Lookup, PreparedPage, Token};
use crate::system::limiter;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::{mpsc, watch};
use tracing::{Instrument as _, Span};

/// Documents in memory between "bought" and "in the spool": a few of the largest.
const MAX_PENDING: usize = 64;

/// Orders at work that have a span of their own.
const MAX_SPANS: usize = 512;

/// Those who count what happens.
pub(super) struct Watched {
    pub metrics: Arc<Metrics>,
    pub month: Month,
    pub clock: Clock,
    pub pushes: Arc<Pushes>,
}

/// Everything that effects need.
pub(super) struct Hub {
    bench: Bench,
    ledger: Ledger,
    pub(super) starshipit: Starshipit,
    paper: Paper,
    sales: Sales,
    waiters: Mutex<HashMap<Token, mpsc::Sender<Said>>>,
    lists: Mutex<Lists>,
    /// Label documents that have come and are not in the spool yet.
    pending: Mutex<HashMap<DocumentId, Arc<Vec<u8>>>>,
    /// Calls ahead that somebody may come to the bench for.
    urgent: Mutex<HashMap<OrderId, Arc<limiter::Raised>>>,
    fatal: watch::Sender<Option<String>>,
    /// Set once, before the first order changes.
    outbox: OnceLock<Outbox>,
    metrics: Arc<Metrics>,
    month: Month,
    clock: Clock,
    /// One span per order that is at work: what is logged in it carries its number and printer.
    spans: Mutex<HashMap<OrderId, Span>>,
    pushes: Arc<Pushes>,
}

impl Hub {
    pub(super) fn new(
        bench: Bench,
        ledger: Ledger,
        starshipit: Starshipit,
        paper: Paper,
        sales: Sales,
        fatal: watch::Sender<Option<String>>,
        watched: Watched,
    ) -> Arc<Self> {
        let Watched {
            metrics,
            month,
            clock,
            pushes,
        } = watched;
        Arc::new(Self {
            bench,
            ledger,
            starshipit,
            paper,
            sales,
            waiters: Mutex::default(),
            lists: Mutex::default(),
            pending: Mutex::default(),
            urgent: Mutex::default(),
            fatal,
            outbox: OnceLock::new(),
            metrics,
            month,
            clock,
            spans: Mutex::default(),
            pushes,
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
        drop(waiters);
        self.metrics.asked(token, self.clock.now().mono);
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(super) fn month(&self) -> &Month {
        &self.month
    }

    pub(super) fn sales(&self) -> &Sales {
        &self.sales
    }

    /// Why sale orders do not get into Starshipit, when it is not an order's own fault.
    pub(super) fn push_trouble(&self) -> Option<Code> {
        self.pushes.trouble()
    }

    pub(super) fn feed_watchdog(&self) {
        // Without systemd there is nobody to tell; that is not an error.
        drop(sd_notify::notify(&[sd_notify::NotifyState::Watchdog]));
    }

    /// Carries out a list in order, up to its first `Remember`; the rest follows when that is
    /// durable. Lists about the same orders follow each other.
    pub(super) fn carry_out(self: &Arc<Self>, effects: Vec<Effect>) {
        let begun = lock(&self.lists).arrive(effects);
        if let Some((id, effects)) = begun {
            self.carry_on(id, effects);
        }
    }

    /// This much of a list is left; those that waited for it may begin.
    fn left(self: &Arc<Self>, id: ListId, rest: &[Effect]) {
        let free = lock(&self.lists).left(id, rest);
        for (id, effects) in free {
            self.carry_on(id, effects);
        }
    }

    fn carry_on(self: &Arc<Self>, id: ListId, effects: Vec<Effect>) {
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            match effect {
                Effect::Remember(records) => {
                    let rest: Vec<Effect> = effects.collect();
                    self.remember(id, records, rest);
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
                        hub.carry_on(id, rest);
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
                    let span = self.span_of(&other);
                    // Boxed: each effect's future is as large as the largest of them.
                    tokio::spawn(Box::pin(hub.perform(other)).instrument(span));
                }
            }
        }
        self.left(id, &[]);
    }

    /// Hands the records to the ledger now, so that lists keep their order, and goes on with the
    /// rest when they are durable.
    fn remember(self: &Arc<Self>, id: ListId, records: Vec<Record>, rest: Vec<Effect>) {
        let orders: Vec<Arc<Order>> = records
            .iter()
            .filter_map(|record| match record {
                Record::Order(order) => Some(Arc::clone(order)),
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
        for order in &orders {
            self.note_span(order);
        }
        let handed = tokio::time::Instant::now();
        let commit = self.ledger.commit(records);
        self.left(id, &rest);
        let hub = Arc::clone(self);
        tokio::spawn(async move {
            let kept = commit.await;
            if kept.is_err() {
                // Nothing more of this list is done.
                hub.left(id, &[]);
            }
            match kept {
                Ok(()) => {
                    let now = hub.clock.now();
                    hub.metrics.durable(handed.elapsed());
                    for order in orders {
                        let parcels = hub.metrics.remembered(&order, now.wall);
                        hub.month.add(parcels, now.wall);
                        if let Some(outbox) = hub.outbox() {
                            outbox.observe(&order);
                        }
                        hub.bench.publish(Event::Order(order));
                    }
                    hub.carry_on(id, rest);
                }
                Err(why @ (LedgerError::QueueFull | LedgerError::DiskFull)) if !acts.is_empty() => {
                    let code = match why {
                        LedgerError::DiskFull => Code::DiskFull,
                        _ => Code::QueueFull,
                    };
                    for act in acts {
                        hub.bench.tell(Input::Full { act, code }).await;
                    }
                }
                Err(LedgerError::QueueFull) => {
                    let orders = orders.iter().map(|order| order.id.clone()).collect();
                    hub.bench.tell(Input::NoRoom { orders }).await;
                }
                Err(error) => hub.fail(&format!("the ledger cannot keep records: {error}")),
            }
        });
    }

    /// The span of an order that is at work; none once nothing is owed for it.
    fn note_span(&self, order: &Order) {
        let mut spans = lock(&self.spans);
        if !order.is_open() {
            // Its last effects have their own handle.
            spans.remove(&order.id);
        } else if !spans.contains_key(&order.id) {
            if spans.len() >= MAX_SPANS {
                spans.clear();
            }
            let (number, id, printer) = (&order.number, &order.id, &order.printer);
            let span = tracing::info_span!("order", order = %number, id = %id, printer = %printer);
            spans.insert(order.id.clone(), span);
        }
    }

    fn span_of(&self, effect: &Effect) -> Span {
        let order = match effect {
            Effect::Look { order, .. }
            | Effect::Buy { order, .. }
            | Effect::Replace { order, .. }
            | Effect::Clone { order, .. }
            | Effect::LookRemade { order, .. }
            | Effect::Store { order, .. }
            | Effect::Prepare { order, .. }
            | Effect::Send { order, .. }
            | Effect::LookNumber { order, .. }
            | Effect::Create { order, .. } => order,
            _ => return Span::none(),
        };
        lock(&self.spans)
            .get(order)
            .cloned()
            .unwrap_or_else(Span::none)
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
                    LookFor::Number | LookFor::Afterwards => Priority::Poll,
                    LookFor::Ahead | LookFor::Price => Priority::Prefetch,
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
                ahead,
            } => {
                let with = (!with.is_empty()).then_some(with);
                let priority = if ahead {
                    Priority::Prefetch
                } else {
                    Priority::Scan
                };
                let call = async {
                    if reprint {
                        self.starshipit
                            .print(&account, order_id, true, with.as_ref(), priority)
                            .await
                    } else {
                        self.starshipit
                            .buy(&account, order_id, with.as_ref(), priority)
                            .await
                    }
                };
                let result = if ahead {
                    let raised = self.raised(&order);
                    let result = limiter::raised_by(raised, call).await;
                    lock(&self.urgent).remove(&order);
                    result
                } else {
                    call.await
                };
                let result = result.map(|(bought, documents)| {
                    self.keep(&bought.documents, documents);
                    bought
                });
                if let Err(failure) = &result {
                    tell_failure("print label", &order, failure);
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
                ahead,
            } => {
                let result = self
                    .paper
                    .prepare(&self.ledger, &documents, &courier, &tracking, &printer)
                    .await;
                match &result {
                    Ok(_) if ahead => self.paper.shelve(&documents, &printer).await,
                    Ok(_) => {}
                    Err((code, detail)) => {
                        tracing::warn!(order = %order, %code, detail, "label not usable");
                    }
                }
                self.bench
                    .tell(Input::Prepared {
                        order,
                        order_id,
                        result,
                    })
                    .await;
            }
            Effect::Slip {
                order,
                account,
                order_id,
                printer,
            } => {
                let result = self.slip(&account, order_id, &printer).await;
                if let Err(failure) = &result {
                    tracing::warn!(order = %order, ?failure, "no packing slip");
                }
                self.bench
                    .tell(Input::SlipCame {
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
            Effect::Hurry(order) => self.raised(&order).raise(),
            Effect::FindNext { statuses } => {
                let result = match self.sales.waiting(&statuses, self.paper.now()).await {
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
                self.bench.tell(Input::FoundNext { result }).await;
            }
            Effect::Archive {
                order,
                account,
                order_id,
            } => {
                let result = self.starshipit.archive(&account, order_id).await;
                self.bench
                    .tell(Input::Archived {
                        order,
                        order_id,
                        result,
                    })
                    .await;
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
                    tell_failure("create", &order, failure);
                }
                self.note_push(result.as_ref().err());
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
        self.metrics
            .answered(token, &source, &reply, last, self.clock.now().mono);
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
            Err(failure) => {
                let order = OrderId::cartoncloud(&uuid);
                tell_failure("read the order of a hook", &order, &failure);
            }
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

    /// The packing slip of a shipment, in the spool, and its pages.
    async fn slip(
        &self,
        account: &AccountName,
        order_id: i64,
        printer: &PrinterName,
    ) -> Result<(DocumentMeta, Vec<PreparedPage>), CallFailure> {
        // After whatever a scan waits for: its label comes first.
        let (meta, bytes) = self
            .starshipit
            .packing_slip(account, order_id, Priority::Release)
            .await?;
        self.keep(std::slice::from_ref(&meta), vec![bytes]);
        if !self.store(vec![meta.id.clone()]).await {
            return Err(CallFailure::NotSent {
                detail: "the packing slip could not be put into the spool".to_owned(),
            });
        }
        let pages = self
            .paper
            .prepare(&self.ledger, std::slice::from_ref(&meta), "", &[], printer)
            .await
            .map_err(|(code, detail)| CallFailure::Refused { code, detail })?;
        Ok((meta, pages))
    }

    /// Told when the call ahead for this order has become urgent, whichever of both comes first.
    fn raised(&self, order: &OrderId) -> Arc<limiter::Raised> {
        Arc::clone(lock(&self.urgent).entry(order.clone()).or_default())
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

    /// Remembers whether pushes come through. An order that is refused for what is in it says nothing
    /// about the next one.
    fn note_push(&self, failure: Option<&CallFailure>) {
        let trouble = match failure {
            None => None,
            Some(CallFailure::Refused { code, .. }) => match *code {
                code @ (Code::StarshipitUnauthorized
                | Code::CartoncloudUnauthorized
                | Code::QuotaExhausted
                | Code::AccountUnknown
                | Code::ClockNotSet) => Some(code),
                _ => return,
            },
            Some(CallFailure::Throttled { .. }) => Some(Code::RateLimited),
            Some(CallFailure::NotSent { .. } | CallFailure::Unknown { .. }) => {
                Some(Code::StarshipitUnreachable)
            }
        };
        self.pushes.created(trouble);
    }

    /// What the ledger keeps, for status and look-ups.
    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The printers, for status and pictures.
    pub(super) fn paper(&self) -> &Paper {
        &self.paper
    }
}

/// A call that failed. Their words may hold an address: they are for debugging only.
fn tell_failure(call: &str, order: &OrderId, failure: &CallFailure) {
    let (kind, code) = match failure {
        CallFailure::NotSent { .. } => ("not sent", None),
        CallFailure::Unknown { .. } => ("unknown", None),
        CallFailure::Throttled { .. } => ("throttled", None),
        CallFailure::Refused { code, .. } => ("refused", Some(code.as_str())),
    };
    tracing::warn!(order = %order, call, kind, code, "a call failed");
    tracing::debug!(order = %order, call, ?failure, "what was said of it");
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
