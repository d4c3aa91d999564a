//! What CartonCloud and Starshipit tell unasked: polls, the custom button, labels made elsewhere. The
//! same thing is told again and again, and each thing is done once.

use super::{Effect, Input, Station, Token, paper, push, sales};
use crate::domain::order::{Origin, Standing};
use crate::domain::writeback::is_cartoncloud;
use crate::domain::{
    ActId, ActKind, Code, Moment, Order, OrderId, Outcome, RemoteOrder, SaleOrder, ScanReply,
    ScanText, Shipment, Shippable, Source, State,
};

/// The trigger of what CartonCloud's own screen asks for.
const TRIGGER: &str = "cartoncloud";

impl Station {
    /// Inputs about sale orders, Starshipit orders by number, and writebacks.
    pub(super) fn sale_input(&mut self, input: Input, now: Moment, out: &mut Vec<Effect>) {
        match input {
            Input::FoundSale { act, result } => self.found_sale(act, result, now, out),
            Input::LookedNumber { order, result } => self.looked_number(&order, result, now, out),
            Input::Created { order, result } => self.created(&order, result, now, out),
            Input::SaleSeen { sale, known } => {
                self.sale_seen(&sale, known.map(|k| *k), now, out);
            }
            Input::PrintAsked {
                token,
                sale,
                known,
                source,
            } => self.print_asked(token, &sale, known.map(|k| *k), source, now, out),
            Input::MadeElsewhere {
                remote,
                sale,
                known,
            } => self.made_elsewhere(&remote, sale.as_deref(), known.map(|k| *k), now, out),
            Input::Delivered {
                order,
                n,
                tracking,
                result,
            } => self.delivered(&order, n, &tracking, result, now, out),
            Input::Writeback {
                token,
                order,
                known,
                n,
                verb,
                source,
            } => {
                let known = known.map(|k| *k);
                self.decide_writeback(token, &order, known, n, verb, source, now, out);
            }
            Input::SalesProbed { reachable } => self.sales_probed(reachable, now, out),
            Input::FoundNext { result } => self.found_next(result, now, out),
            Input::Archived {
                order,
                order_id,
                result,
            } => self.archived(&order, order_id, result, now, out),
            Input::NoRoom { orders } => self.no_room(&orders, now, out),
            // Everything else has its own row in `handle`.
            _ => {}
        }
    }

    /// The poll saw a sale order.
    fn sale_seen(
        &mut self,
        sale: &SaleOrder,
        known: Option<Order>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.sales_came_online(out);
        let route = self.settings.sale_route(sale);
        if let Some(known) = known {
            self.adopt_record(known);
        }
        let before = self.order_with(&sale.uuid).and_then(|o| o.sale.clone());
        let asks = self.settings.print_when.as_ref().map(|when| {
            sale.text(&when.path)
                .is_some_and(|value| value.eq_ignore_ascii_case(&when.equals))
        });
        let pushes = |rule: &super::PushRule| {
            self.settings.push_duty
                && rule.enabled
                && rule
                    .statuses
                    .iter()
                    .any(|s| s.eq_ignore_ascii_case(&sale.status))
                && sales::refusal(sale).is_none()
        };
        let pushes = route.is_some_and(|n| pushes(&self.settings.routes[n].push));
        let asked = asks == Some(true)
            && route.is_some()
            && before.as_ref().is_none_or(|link| !link.print_seen)
            && self.closed_for_work().is_none();
        let wanted = route.and_then(|route| self.status_act(sale, route, now));
        let reached = before.as_ref().map(|link| link.reached.clone());
        let reached = reached.unwrap_or_default();
        let wanted = wanted.filter(|_| reached != sale.status);
        let (id, news) = match (self.order_of_sale(sale, None, false), route) {
            (Some((id, news)), _) => (id, news),
            (None, Some(route)) if pushes || asked || wanted.is_some() => {
                (self.new_of_sale(sale, route, now), false)
            }
            (None, _) => return,
        };
        let wanted = wanted.filter(|act| self.may_be_wanted(&id, *act));
        // It has left the status: reaching it once more counts again.
        let left = !reached.is_empty() && reached != sale.status && wanted.is_none();
        let idle = !self.jobs.contains_key(&id)
            && self.orders.get(&id).is_some_and(|o| o.intent.is_none());
        let mark = if idle {
            self.mark_of(&id, sale, before.as_ref().map(|l| l.status.as_str()))
        } else {
            None
        };
        let seen = self
            .orders
            .get(&id)
            .and_then(|o| o.sale.as_ref())
            .is_some_and(|l| l.print_seen);
        let unseen = seen && asks == Some(false);
        let noted = wanted.is_some() || left;
        if (news && before.is_some()) || mark.is_some() || unseen || (asked && idle) || noted {
            let record = self.change(&id, now, |order| {
                if let Some(mark) = mark {
                    order.standing = mark;
                }
                if let Some(link) = &mut order.sale {
                    link.print_seen = (asked && idle) || (link.print_seen && !unseen);
                    if noted {
                        link.wanted = wanted;
                        link.reached = match wanted {
                            Some(_) => sale.status.clone(),
                            None => String::new(),
                        };
                    }
                }
            });
            if noted {
                self.tend_now(&id);
            }
            if asked && idle {
                self.print_by_itself(&id, &sale.uuid, record, now, out);
                return;
            }
            paper::remember(record.into_iter().collect(), out);
        } else if news && before.is_none() && self.is_in_ledger(&id) {
            // Scanned before CartonCloud was set up: it has its link from now on.
            let record = self.change(&id, now, |_| {});
            paper::remember(record.into_iter().collect(), out);
        }
        let refused_as_it_is = before
            .as_ref()
            .is_some_and(|link| link.version == sale.version);
        let wanted = pushes
            && !self.draining
            && self.orders.get(&id).is_some_and(|o| {
                o.order_id == 0
                    && o.intent.is_none()
                    && o.shipments.is_empty()
                    && !(matches!(o.standing, Standing::Refused(_)) && refused_as_it_is)
                    && !self.push_pauses(&o.account, now)
            })
            && !self.jobs.contains_key(&id);
        if wanted {
            self.push(&id, now, out);
        }
    }

    fn order_with(&self, uuid: &str) -> Option<&Order> {
        self.orders.values().find(|o| {
            o.sale
                .as_ref()
                .is_some_and(|link| link.uuid.eq_ignore_ascii_case(uuid))
        })
    }

    /// A record of it may exist: orders that were only looked at have none.
    fn is_in_ledger(&self, id: &OrderId) -> bool {
        self.orders
            .get(id)
            .is_some_and(|o| o.seq > self.first_seq || !o.shipments.is_empty())
    }

    /// What a sale order's status makes of an order that nobody works on.
    fn mark_of(&self, id: &OrderId, sale: &SaleOrder, before: Option<&str>) -> Option<Standing> {
        let order = self.orders.get(id)?;
        let cancelled = Standing::Refused(Code::OrderCancelled);
        if sale.shippable() == Shippable::Cancelled {
            let open = !matches!(order.state(), State::Printed | State::InDoubt);
            return (open && order.standing != cancelled).then_some(cancelled);
        }
        let back = before == Some("REJECTED") && order.standing == cancelled;
        back.then_some(Standing::Resting)
    }

    /// The print field of a sale order turned true, or it reached a status that prints: an act of its
    /// own, durable with that.
    pub(super) fn print_by_itself(
        &mut self,
        id: &OrderId,
        uuid: &str,
        record: Option<crate::domain::Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let source = Source {
            trigger: TRIGGER.to_owned(),
            user: None,
        };
        let Some(act) = self.begin_for(None, uuid, source, now) else {
            return;
        };
        // Nobody else works on it until this is durable or refused.
        self.work_on(act, id, now);
        self.accept(act, record.into_iter().collect(), out);
        // Read again when that is durable: a list that the ledger refuses must not end its own act.
        self.recall(act, out);
    }

    pub(super) fn begin_for(
        &mut self,
        token: Option<Token>,
        uuid: &str,
        source: Source,
        now: Moment,
    ) -> Option<ActId> {
        let text = ScanText::parse(OrderId::cartoncloud(uuid).as_str()).ok()?;
        let act = self.begin(token, ActKind::Ship, text, source.clone(), now);
        self.newest_act(&source, act, now);
        Some(act)
    }

    /// CartonCloud's custom button: like a scan of exactly this order.
    fn print_asked(
        &mut self,
        token: Option<Token>,
        sale: &SaleOrder,
        known: Option<Order>,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.sales_came_online(out);
        let source = self.who(source);
        let named = OrderId::cartoncloud(&sale.uuid).to_string();
        let Ok(text) = ScanText::parse(&named) else {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.answer_directly(token, source, named, reply, out);
            return;
        };
        let repeated = self.is_repeat(&source, &text, now);
        let reply = match self.closed_for_work() {
            _ if repeated => Some(ScanReply::new(
                Outcome::Ignored,
                "The same request again: nothing more happens.",
            )),
            Some(code) => Some(self.coded(Outcome::Refused, code, None)),
            None => None,
        };
        if let Some(mut reply) = reply {
            reply.order = Some(sale.number.clone());
            self.answer_directly(token, source, named, reply, out);
            return;
        }
        if let Some(act) = self.begin_for(token, &sale.uuid, source, now) {
            self.sale_found(act, sale, known, now, out);
        }
    }

    /// Reconcile found a label that was made elsewhere: its number is written back, nothing prints.
    fn made_elsewhere(
        &mut self,
        remote: &RemoteOrder,
        sale: Option<&SaleOrder>,
        known: Option<Order>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if remote.archived || !remote.is_printed() || remote.tracking.is_empty() {
            return;
        }
        if let Some(known) = known {
            self.adopt_record(known);
        }
        let has_it = |o: &Order| {
            o.account == remote.account && o.remote_ids().any(|id| id == remote.order_id)
        };
        let mut id = self
            .orders
            .values()
            .find(|o| has_it(o))
            .map(|o| o.id.clone());
        if let Some(sale) = sale
            && let Some(route) = self.settings.sale_route(sale)
            && self.settings.routes[route].account == remote.account
        {
            let made = id.is_none() && self.order_of_sale(sale, None, false).is_none();
            let own = match self.order_of_sale(sale, None, false) {
                Some((own, _)) => own,
                None => self.new_of_sale(sale, route, now),
            };
            let theirs = self.orders.get(&own).is_some_and(|order| {
                order.order_id == remote.order_id || push::is_ours(order, remote)
            });
            if theirs {
                id = id.or(Some(own));
            } else if made {
                self.orders.remove(&own);
            }
        }
        let id = match id {
            Some(id) => id,
            None if self.tells_without_sale(remote) => {
                self.adopt(remote.clone(), None, &remote.number, now)
            }
            None => return,
        };
        let busy = self.jobs.contains_key(&id)
            || self.orders.get(&id).is_none_or(|o| {
                o.intent.is_some() || o.shipments.iter().any(|s| s.order_id == remote.order_id)
            });
        if busy {
            return;
        }
        let before = self.orders.share(&id);
        let record = self.change(&id, now, |order| {
            if order.order_id == 0 || order.shipments.is_empty() {
                order.order_id = remote.order_id;
            }
            if !matches!(order.standing, Standing::Queued) {
                order.standing = Standing::Resting;
            }
            order.shipments.push(elsewhere(remote, now));
        });
        self.unbacked
            .extend(before.map(|order| (id.clone(), order)));
        paper::remember(record.into_iter().collect(), out);
        self.watch_for_number(&id, now);
    }

    /// An order that no sale order stands for is remembered only where there are none, and somebody is
    /// to be told.
    fn tells_without_sale(&self, remote: &RemoteOrder) -> bool {
        let mut routes = self.settings.routes.iter();
        let route = routes.find(|r| r.account == remote.account);
        !self.settings.cartoncloud
            && route.is_some_and(|r| r.writeback.sinks.iter().any(|sink| !is_cartoncloud(sink)))
    }
}

/// The shipment of a label that was made elsewhere.
pub(super) fn elsewhere(remote: &RemoteOrder, now: Moment) -> Shipment {
    Shipment {
        order_id: remote.order_id,
        carrier: remote.carrier_name.clone().unwrap_or_default(),
        tracking: remote.tracking.clone(),
        documents: Vec::new(),
        stored: false,
        pages: Vec::new(),
        superseded: false,
        untracked: false,
        origin: Origin::Elsewhere,
        ahead: false,
        unverified: false,
        price_cents: remote.price_cents,
        at: now.wall,
    }
}
