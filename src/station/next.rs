//! The next order that waits at this bench: what a press ships where a button has `next_statuses`
//! (contract 5, 13).
//!
//! CartonCloud says which orders wait; without it, labels that lie here can still go out. The order
//! that is taken is claimed durably, with its act, before anything is bought, and its number is told
//! (and printed, with `signal.ticket`) before its label.

use super::{Effect, ScanMode, Station, Token};
use crate::domain::order::Standing;
use crate::domain::{
    CallFailure, Code, Moment, Order, OrderId, Outcome, SaleOrder, ScanReply, ScanText, Source,
    State, System, Timestamp,
};

/// A press that waits for CartonCloud's list.
#[derive(Clone, Debug)]
pub(super) struct Seeking {
    token: Option<Token>,
    source: Source,
    text: ScanText,
    statuses: Vec<String>,
}

impl Station {
    /// Ships the next order waiting here. `false`: this button has no statuses to look in.
    pub(super) fn press_next(
        &mut self,
        token: Option<Token>,
        button: &str,
        source: &Source,
        text: &ScanText,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(statuses) = self.settings.next.get(button).cloned() else {
            return false;
        };
        let source = source.clone();
        if let Some(code) = self.closed_for_work() {
            let reply = self.coded(Outcome::Refused, code, None);
            self.answer_directly(token, source, text.to_string(), reply, out);
            return true;
        }
        if self.seeking.is_some() {
            let reply = ScanReply::new(Outcome::Ignored, "The next order is being looked for.");
            self.answer_directly(token, source, text.to_string(), reply, out);
            return true;
        }
        self.seeking = Some(Seeking {
            token,
            source,
            text: text.clone(),
            statuses: statuses.clone(),
        });
        out.push(Effect::FindNext { statuses });
        true
    }

    /// CartonCloud's list of what waits.
    pub(super) fn found_next(
        &mut self,
        result: Result<Vec<(SaleOrder, Option<Order>)>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(seeking) = self.seeking.take() else {
            return;
        };
        let mut hits = match result {
            Ok(hits) => {
                self.sales_came_online(out);
                hits
            }
            Err(failure) => {
                self.next_held(seeking, &failure, now, out);
                return;
            }
        };
        // The one that has waited longest; times of one service sort as text.
        hits.sort_by(|(a, _), (b, _)| (&a.modified, &a.uuid).cmp(&(&b.modified, &b.uuid)));
        let waits = |sale: &SaleOrder| {
            let mut statuses = seeking.statuses.iter();
            statuses.any(|s| s.eq_ignore_ascii_case(&sale.status))
                && super::sales::refusal(sale).is_none()
                && self.settings.sale_route(sale).is_some()
        };
        let waiting: Vec<_> = hits.into_iter().filter(|(sale, _)| waits(sale)).collect();
        for (sale, known) in waiting {
            let version = known.as_ref().and_then(|o| Some(o.sale.as_ref()?.version));
            let id = self.order_of_sale(&sale, known, false).map(|(id, _)| id);
            if id.is_some_and(|id| !self.is_free(&id, version == Some(sale.version))) {
                continue;
            }
            let Some(act) = self.begin_for(seeking.token, &sale.uuid, seeking.source.clone(), now)
            else {
                continue;
            };
            self.chosen(act);
            self.sale_found(act, &sale, None, now, out);
            return;
        }
        self.nothing_waiting(seeking.token, seeking.source, seeking.text, out);
    }

    /// Without CartonCloud: the oldest label that lies here, of an order that waited when it was heard
    /// of last.
    fn next_held(
        &mut self,
        seeking: Seeking,
        failure: &CallFailure,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if matches!(
            failure,
            CallFailure::NotSent { .. } | CallFailure::Unknown { .. }
        ) {
            self.sales_went_offline(now);
        }
        let waits = |order: &&Order| {
            let status = order.sale.as_ref().map(|link| link.status.as_str());
            let mut statuses = seeking.statuses.iter();
            status.is_some_and(|status| statuses.any(|s| s.eq_ignore_ascii_case(status)))
                && order.state() == State::Held
                && self.is_free(&order.id, false)
                && self.known_trouble(&order.id).is_none()
        };
        let bought = |order: &&Order| {
            let first = order.live().map(|s| s.at).min();
            first.unwrap_or(Timestamp(i64::MAX))
        };
        let oldest = self.orders.values().filter(waits).min_by_key(bought);
        let found = oldest.and_then(|o| Some((o.id.clone(), o.sale.as_ref()?.uuid.clone())));
        let act = found.and_then(|(id, uuid)| {
            let act = self.begin_for(seeking.token, &uuid, seeking.source.clone(), now)?;
            Some((act, id))
        });
        match act {
            Some((act, id)) => {
                self.chosen(act);
                self.decide(act, &id, now, out);
            }
            None => {
                let code = failure.code_of(System::Cartoncloud);
                let reply = self.coded(Outcome::Refused, code, None);
                let text = seeking.text.to_string();
                self.answer_directly(seeking.token, seeking.source, text, reply, out);
            }
        }
    }

    /// The press is the word of a person; the number is told before the label.
    fn chosen(&mut self, act: crate::domain::ActId) {
        let (armed, ticket) = (self.settings.mode == ScanMode::Arm, self.settings.tickets);
        if let Some(running) = self.running.get_mut(&act) {
            running.act.confirmed = armed;
            running.ticket = ticket;
        }
    }

    /// Nobody works on it, nothing of it is printed or asked about, and it was not refused as it is.
    fn is_free(&self, id: &OrderId, as_it_was: bool) -> bool {
        let Some(order) = self.orders.get(id) else {
            return true;
        };
        let taken = self.jobs.get(id).is_some_and(|job| job.act.is_some())
            || self.running.values().any(|r| r.order.as_ref() == Some(id));
        let refused = matches!(order.standing, Standing::Refused(code) if as_it_was || code == Code::OrderCancelled)
            || order.standing == Standing::Cancelled;
        let bought = order.live().next().is_some();
        !taken
            && !refused
            && !order.is_elsewhere()
            && !matches!(order.state(), State::Printed | State::InDoubt)
            && (!bought || order.needs_label())
    }
}
