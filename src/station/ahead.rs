//! What a status of CartonCloud asks for (`cartoncloud.on_status`): a label bought before its scan, or
//! an order printed by itself. And what a held label needs while it waits for its scan.
//!
//! A wish is noted durably with its order, once per reach of the status, so that neither a restart
//! nor a poll that tells the same thing again loses or repeats it; it is gone when the act or the
//! purchase that it became is durable. A purchase is counted against the day's limit in the record
//! of its intent. All of it goes after everything else that the station does.
//!
//! Over 500 lines because a wish, its purchase and the wait for its scan are read as one life.

use super::{Effect, LookFor, Station, Waiting, paper, sales};
use crate::domain::order::{Choices, Intent, IntentKind, Standing};
use crate::domain::{
    CallFailure, Code, Moment, Mono, Order, OrderId, Record, RemoteOrder, SaleOrder, State,
    StatusAct, Timestamp,
};
use std::time::Duration;

/// Labels that are bought or made ready ahead at the same time.
const AT_ONCE: usize = 4;
/// Looks at a price that is not told.
const PRICE_LOOKS: u32 = 4;
/// Attempts to make a held label ready before its scan has to.
const READY_TRIES: u32 = 8;
/// Looks after a label that printed without its re-check before the station gives up.
const LOOKS_AFTERWARDS: u32 = 200;
/// Held labels that `status` names; the ledger lists them all.
const NAMED: usize = 50;

/// When an order is looked after next, and how often it was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tend {
    next: Mono,
    times: u32,
}

/// What an order needs while nobody stands at the bench with it. In order of urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Care {
    Print,
    Afterwards,
    Buy,
    Ready,
    Price,
}

/// A label that is bought and waits for its scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLabel {
    /// Order number.
    pub order: String,
    /// Courier.
    pub courier: String,
    /// Bought then.
    pub since: Timestamp,
    /// What it costs, where Starshipit says so.
    pub price_cents: Option<u64>,
    /// It would be refused now, as far as is known.
    pub trouble: Option<Code>,
}

/// Labels ahead of the scan, at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AheadGlance {
    /// Bought today.
    pub today: u32,
    /// The bench's limit for a day.
    pub daily_cap: u32,
    /// The limit is reached: `prefetch-limit`.
    pub limited: bool,
    /// Orders whose label is still to be bought ahead.
    pub waiting: usize,
    /// Labels bought ahead and not printed.
    pub unused: usize,
    /// Those of them that lack nothing but their scan.
    pub ready: usize,
    /// What those cost that say so.
    pub cents: u64,
    /// Those whose price is not known.
    pub unpriced: usize,
    /// The oldest of them.
    pub labels: Vec<HeldLabel>,
}

impl Station {
    /// What a sale order's status asks of this station now.
    pub(super) fn status_act(
        &self,
        sale: &SaleOrder,
        route: usize,
        now: Moment,
    ) -> Option<StatusAct> {
        let act = self.settings.routes[route].on(&sale.status)?;
        if sales::refusal(sale).is_some() {
            return None;
        }
        match act {
            StatusAct::Print => self.settings.print_duty.then_some(act),
            StatusAct::Prefetch => (self.settings.prefetch_duty
                && !self.settings.routes[route].ahead.couriers.is_empty()
                && self.ahead_left(route, true, now) > 0)
                .then_some(act),
        }
    }

    /// A status may ask for this order: it has no label on paper, nor one from elsewhere.
    pub(super) fn may_be_wanted(&self, id: &OrderId, act: StatusAct) -> bool {
        let Some(order) = self.orders.get(id) else {
            return true;
        };
        let bought = order.live().next().is_some();
        match act {
            StatusAct::Prefetch => !bought && order.intent.is_none(),
            StatusAct::Print => {
                let elsewhere =
                    order.is_elsewhere() && self.settings.elsewhere != super::Elsewhere::PrintOnce;
                !matches!(order.state(), State::Printed | State::InDoubt)
                    && !elsewhere
                    && (!bought || order.needs_label())
            }
        }
    }

    /// How many more labels may be bought ahead for a route: of today's limit, and of those that may
    /// be held. `wanted`: those that are wanted already count as bought.
    fn ahead_left(&self, route: usize, wanted: bool, now: Moment) -> u32 {
        let rule = &self.settings.routes[route].ahead;
        let same = |order: &Order| {
            let route = self.settings.route_of(order);
            route.is_some_and(|n| self.settings.routes[n].ahead.counts_as == rule.counts_as)
        };
        let counts = |order: &Order| wanted && is_wanted(order, StatusAct::Prefetch) && same(order);
        let (mut waiting, mut held) = (0, 0);
        for order in self.orders.values() {
            waiting += u32::from(counts(order));
            held += u32::from(
                order.intent.as_ref().is_some_and(|i| i.ahead) || is_unused(order).is_some(),
            );
        }
        let bought = self.bought_today(&rule.counts_as, now);
        let of_today = rule.daily_cap.saturating_sub(bought + waiting);
        of_today.min(self.settings.max_held.saturating_sub(held + waiting))
    }

    fn bought_today(&self, counts_as: &str, now: Moment) -> u32 {
        // A clock that went back does not begin the day anew.
        if self.day_of(now) > self.ahead_day.day {
            return 0;
        }
        self.ahead_day.bought.get(counts_as).copied().unwrap_or(0)
    }

    fn day_of(&self, now: Moment) -> String {
        jiff::Timestamp::from_millisecond(now.wall.0)
            .map(|at| at.to_zoned(self.settings.zone.clone()).date().to_string())
            .unwrap_or_default()
    }

    /// Counts a purchase, or takes it back when nothing was bought.
    fn count_ahead(&mut self, id: &OrderId, bought: bool, now: Moment) -> Option<Record> {
        let route = self.settings.route_of(self.orders.get(id)?)?;
        let counts_as = self.settings.routes[route].ahead.counts_as.clone();
        let day = self.day_of(now);
        if day > self.ahead_day.day {
            self.ahead_day.day = day;
            self.ahead_day.bought.clear();
        }
        let count = self.ahead_day.bought.entry(counts_as).or_default();
        *count = if bought {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
        Some(self.bench_record())
    }

    /// An ahead purchase came to nothing: it does not count. Its record, for the caller's list.
    pub(super) fn not_bought_ahead(&mut self, id: &OrderId, now: Moment) -> Option<Record> {
        self.count_ahead(id, false, now)
    }

    /// Something is wanted that needs the network.
    pub(super) fn wants_network(&self) -> bool {
        self.orders.values().any(|order| {
            let times = self.tend.get(&order.id).map_or(0, |tend| tend.times);
            care(order, times).is_some_and(|care| care != Care::Price)
        })
    }

    /// Looks after what nobody stands at the bench for. Returns the order that is to print by itself next.
    pub(super) fn tend_orders(&mut self, now: Moment, out: &mut Vec<Effect>) -> Option<OrderId> {
        if self.closed_for_work().is_some() || self.running.len() * 2 >= self.settings.max_acts {
            return None;
        }
        let busy = self.jobs.values().filter(|job| job.ahead).count();
        let mut free = AT_ONCE.saturating_sub(busy);
        let mut due: Vec<(Care, Timestamp, OrderId)> = self
            .orders
            .values()
            .filter(|order| order.intent.is_none() && !self.jobs.contains_key(&order.id))
            .filter_map(|order| {
                let tend = self.tend.get(&order.id).copied().unwrap_or_default();
                let care = care(order, tend.times)?;
                (now.mono >= tend.next).then(|| (care, order.created, order.id.clone()))
            })
            .collect();
        due.sort();
        let print = due.iter().find(|(care, ..)| *care == Care::Print);
        let print = print.map(|(.., id)| id.clone());
        for (care, _, id) in due {
            let pauses = self
                .orders
                .get(&id)
                .is_none_or(|order| self.push_pauses(&order.account, now));
            if care != Care::Print && self.online && !pauses && free > 0 {
                free -= 1;
                self.tended(&id, now);
                match care {
                    Care::Buy => self.get_ahead(&id, now, out),
                    Care::Ready => {
                        let job = self.job(&id, now);
                        (job.ahead, job.waiting) = (true, Waiting::Reply);
                        self.go_on(&id, now, out);
                    }
                    Care::Afterwards => self.look_unasked(&id, LookFor::Afterwards, out),
                    Care::Price | Care::Print => self.look_unasked(&id, LookFor::Price, out),
                }
            }
        }
        let orders = &self.orders;
        self.tend.retain(|id, _| orders.contains_key(id));
        print
    }

    /// The next time is later, each time.
    fn tended(&mut self, id: &OrderId, now: Moment) {
        let tend = self.tend.entry(id.clone()).or_default();
        tend.times += 1;
        tend.next = now.mono.plus(Duration::from_secs(match tend.times {
            1 => 5,
            2 => 30,
            3 => 120,
            _ => 600,
        }));
    }

    /// It has come a step further: the next one comes at once.
    pub(super) fn tend_now(&mut self, id: &OrderId) {
        self.tend.remove(id);
    }

    fn look_unasked(&self, id: &OrderId, why: LookFor, out: &mut Vec<Effect>) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let asked = order.live().find(|s| match why {
            LookFor::Afterwards => s.unverified,
            _ => s.ahead && s.price_cents.is_none(),
        });
        if let Some(shipment) = asked {
            out.push(Effect::Look {
                order: id.clone(),
                account: order.account.clone(),
                order_id: shipment.order_id,
                why,
                sale: self.linked_sale(id).filter(|_| why == LookFor::Afterwards),
                within: None,
            });
        }
    }

    /// The status asks for printing: an act of its own, durable together with the end of the wish. The last
    /// of its list: what comes behind a record that the ledger refuses is not done.
    pub(super) fn print_wanted(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let held = is_ready(order);
        let uuid = order.sale.as_ref().map(|link| link.uuid.clone());
        if !self.may_be_wanted(id, StatusAct::Print) {
            self.unwant(id, now, out);
            return;
        }
        // Without the network only what lies here prints; the wish keeps.
        let away = !self.online || !self.sales_online;
        if away && !held {
            return;
        }
        if matches!(order.standing, Standing::Queued) {
            return;
        }
        // Refused, it comes again later each time.
        self.tended(id, now);
        let record = self.change(id, now, |order| {
            if let Some(link) = &mut order.sale {
                link.wanted = None;
            }
        });
        self.print_by_itself(id, &uuid.unwrap_or_default(), record, now, out);
    }

    /// One step towards a label bought ahead: the order into Starshipit, or the look before buying.
    fn get_ahead(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let left = self
            .settings
            .route_of(order)
            .map_or(0, |route| self.ahead_left(route, false, now));
        if order.standing == Standing::Queued {
            return;
        }
        if order.live().next().is_some() || order.standing != Standing::Resting || left == 0 {
            self.unwant(id, now, out);
            return;
        }
        let (account, order_id) = (order.account.clone(), order.order_id);
        let sale = self.linked_sale(id);
        let job = self.job(id, now);
        job.ahead = true;
        if order_id == 0 {
            self.push(id, now, out);
            return;
        }
        job.waiting = Waiting::Ahead;
        out.push(Effect::Look {
            order: id.clone(),
            account,
            order_id,
            why: LookFor::Ahead,
            sale,
            within: None,
        });
    }

    /// The look before buying ahead has answered. Whatever speaks against it leaves the order to its
    /// scan.
    pub(super) fn looked_ahead(
        &mut self,
        id: &OrderId,
        result: Result<Option<RemoteOrder>, CallFailure>,
        sale: Option<Result<Option<Box<SaleOrder>>, CallFailure>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let looked = self.jobs.get(id).map(|job| &job.waiting);
        if looked != Some(&Waiting::Ahead) {
            // A scan did not wait for it.
            return;
        }
        self.jobs.remove(id);
        let remote = match (result, sale) {
            (Err(failure), _) | (_, Some(Err(failure))) => {
                if matches!(failure, CallFailure::Refused { .. }) {
                    self.unwant(id, now, out);
                } else {
                    self.pause_pushes(id, super::push::PAUSE, now);
                }
                return;
            }
            (Ok(Some(remote)), Some(Ok(Some(sale)))) => {
                self.came_online(out);
                self.sales_came_online(out);
                self.order_of_sale(&sale, None, false);
                let still = self.settings.sale_route(&sale).is_some_and(|route| {
                    self.settings.routes[route].on(&sale.status) == Some(StatusAct::Prefetch)
                });
                if !still || sales::refusal(&sale).is_some() {
                    self.unwant(id, now, out);
                    return;
                }
                remote
            }
            _ => {
                self.unwant(id, now, out);
                return;
            }
        };
        let may = self.orders.get(id).is_some_and(|order| {
            let route = self.settings.route_of(order);
            order.standing == Standing::Resting
                && order.live().next().is_none()
                && route.is_some_and(|route| {
                    let courier = (remote.carrier.as_deref(), remote.carrier_name.as_deref());
                    self.settings.routes[route]
                        .ahead
                        .allows(courier.0, courier.1)
                        && self.ahead_left(route, false, now) > 0
                })
        });
        // What a person would be asked about is not bought unseen.
        let asks = match self.confirm_of(id) {
            super::Confirm::Never => false,
            super::Confirm::Missing => !remote.has_weight(),
            super::Confirm::Always => true,
        };
        if !may || asks || remote.archived || remote.is_printed() {
            self.unwant(id, now, out);
            return;
        }
        self.buy_ahead(id, &remote, now, out);
    }

    /// Buys ahead: the intent, the end of the wish and the count of the day are one record, durable
    /// before the call.
    fn buy_ahead(
        &mut self,
        id: &OrderId,
        remote: &RemoteOrder,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let before = self.orders.share(id);
        let record = self.change(id, now, |order| {
            if let Some(link) = &mut order.sale {
                link.wanted = None;
            }
            order.fingerprint.clone_from(&remote.fingerprint);
            order.intent = Some(Intent {
                kind: IntentKind::Buy,
                order_id: remote.order_id,
                sends: 1,
                sent_at: now.wall,
                with: Choices::default(),
                ahead: true,
            });
        });
        let count = self.count_ahead(id, true, now);
        self.unbacked
            .extend(before.map(|order| (id.clone(), order)));
        self.tend_now(id);
        paper::remember(record.into_iter().chain(count).collect(), out);
        self.job(id, now).ahead = true;
        self.send_intent(id, now, out);
    }

    /// Nothing left the host: it is tried again later, if nobody scans it before.
    pub(super) fn want_again(order: &mut Order) {
        if let Some(link) = &mut order.sale {
            link.wanted.get_or_insert(StatusAct::Prefetch);
        }
    }

    /// What the status asked for is not done any more; a scan does what it always does.
    fn unwant(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let wanted = |order: &Order| order.sale.as_ref().is_some_and(|l| l.wanted.is_some());
        if !self.orders.get(id).is_some_and(wanted) {
            return;
        }
        self.tend_now(id);
        let record = self.change(id, now, |order| {
            if let Some(link) = &mut order.sale {
                link.wanted = None;
            }
        });
        paper::remember(record.into_iter().collect(), out);
    }

    /// The price of a held label was looked for.
    pub(super) fn looked_price(
        &mut self,
        id: &OrderId,
        order_id: i64,
        result: Result<Option<RemoteOrder>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Ok(Some(price)) = result.map(|remote| remote.and_then(|r| r.price_cents)) else {
            return;
        };
        let unpriced =
            |s: &&crate::domain::Shipment| s.order_id == order_id && s.price_cents.is_none();
        if !self
            .orders
            .get(id)
            .is_some_and(|order| order.shipments.iter().any(|s| unpriced(&s)))
        {
            return;
        }
        let record = self.change(id, now, |order| {
            if let Some(shipment) = order.shipments.iter_mut().find(|s| s.order_id == order_id) {
                shipment.price_cents = Some(price);
            }
        });
        paper::remember(record.into_iter().collect(), out);
    }

    /// Labels ahead of the scan, at a glance.
    pub(super) fn ahead_glance(&self) -> AheadGlance {
        let now = self.now;
        let mut glance = AheadGlance {
            today: if self.day_of(now) > self.ahead_day.day {
                0
            } else {
                self.ahead_day.bought.values().sum()
            },
            ..AheadGlance::default()
        };
        let ahead = |n: &usize| {
            let route = &self.settings.routes[*n];
            !route.ahead.couriers.is_empty()
                && route
                    .on_status
                    .values()
                    .any(|act| *act == StatusAct::Prefetch)
        };
        let mut keys = std::collections::BTreeSet::new();
        for route in (0..self.settings.routes.len()).filter(ahead) {
            let rule = &self.settings.routes[route].ahead;
            if keys.insert(rule.counts_as.clone()) {
                glance.daily_cap += rule.daily_cap;
                glance.limited |= self.settings.prefetch_duty
                    && self.bought_today(&rule.counts_as, now) >= rule.daily_cap;
            }
        }
        for order in self.orders.values() {
            glance.waiting += usize::from(is_wanted(order, StatusAct::Prefetch));
            let Some(shipment) = is_unused(order) else {
                continue;
            };
            glance.unused += 1;
            glance.ready += usize::from(is_ready(order) && order.state() == State::Held);
            match shipment.price_cents {
                Some(cents) => glance.cents += cents,
                None => glance.unpriced += 1,
            }
            glance.labels.push(HeldLabel {
                order: order.number.clone(),
                courier: shipment.carrier.clone(),
                since: shipment.at,
                price_cents: shipment.price_cents,
                trouble: self.known_trouble(&order.id).map(|(code, _)| code),
            });
        }
        glance.labels.sort_by_key(|label| label.since);
        glance.labels.truncate(NAMED);
        glance
    }
}

fn is_wanted(order: &Order, act: StatusAct) -> bool {
    order.sale.as_ref().is_some_and(|l| l.wanted == Some(act))
}

/// The label of this order that was bought ahead and is not on paper.
pub(super) fn is_unused(order: &Order) -> Option<&crate::domain::Shipment> {
    order.live().find(|s| {
        s.ahead
            && s.pages.iter().all(|p| {
                p.role == crate::domain::PageRole::Document
                    || p.state == crate::domain::PageState::Todo
            })
    })
}

/// Its documents and pages are here: only the printer is needed.
fn is_ready(order: &Order) -> bool {
    order
        .live()
        .all(|s| !s.documents.is_empty() && s.stored && !s.pages.is_empty())
        && order.live().next().is_some()
}

fn care(order: &Order, times: u32) -> Option<Care> {
    match order.sale.as_ref().and_then(|link| link.wanted) {
        Some(StatusAct::Print) => return Some(Care::Print),
        Some(StatusAct::Prefetch) => return Some(Care::Buy),
        None => {}
    }
    if order.live().any(|s| s.unverified) {
        return (times < LOOKS_AFTERWARDS).then_some(Care::Afterwards);
    }
    let shipment = is_unused(order)?;
    if order.standing != Standing::Resting {
        return None;
    }
    if !is_ready(order) {
        return (times < READY_TRIES).then_some(Care::Ready);
    }
    (shipment.price_cents.is_none() && times < PRICE_LOOKS).then_some(Care::Price)
}
