//! A label that is bought: released after its re-check (P7), or printed again.

use super::{Effect, LookFor, Station, Unverified, Waiting};
use crate::domain::order::{PageState, Standing};
use crate::domain::{
    ActId, ActKind, CallFailure, Code, Moment, OrderId, Outcome, PageRole, RemoteOrder,
};

impl Station {
    /// A label that is bought and not printed: re-checked (P7), then printed.
    pub(super) fn release_held(
        &mut self,
        act: ActId,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some((account, order_id)) = self.orders.get(id).and_then(|o| {
            Some((
                o.account.clone(),
                o.live().find(|s| super::paper::is_next(s))?.order_id,
            ))
        }) else {
            let reply = self.coded(Outcome::Refused, Code::OrderNotFound, None);
            self.end_act(act, Vec::new(), reply, out);
            return;
        };
        self.work_on(act, id, now);
        self.job(id, now).waiting = Waiting::Reply;
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        self.accept(act, Vec::new(), out);
        out.push(Effect::Look {
            sale: None,
            order: id.clone(),
            account,
            order_id,
            why: LookFor::Recheck,
            within: Some(self.settings.recheck),
        });
    }

    /// The re-check of a held label has ended.
    pub(super) fn rechecked(
        &mut self,
        id: &OrderId,
        result: &Result<Option<RemoteOrder>, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let act = self.waiting_act(id);
        let refusal = match result {
            Ok(Some(remote)) if remote.archived => Some(Code::OrderCancelled),
            Ok(Some(remote)) => self
                .orders
                .get(id)
                .is_some_and(|o| !o.fingerprint.is_empty() && o.fingerprint != remote.fingerprint)
                .then_some(Code::OrderChanged),
            Ok(None) => Some(Code::OrderCancelled),
            Err(failure) => (self.settings.unverified == Unverified::Hold).then(|| failure.code()),
        };
        if let Some(code) = refusal {
            self.jobs.remove(id);
            if let Some(act) = act {
                let reply = self.coded(Outcome::Refused, code, None);
                self.end_act(act, Vec::new(), reply, out);
            }
            return;
        }
        let record = self.change(id, now, |order| order.standing = Standing::Released);
        // "Released" and "sending page 1" are one record where nothing else is to be done first.
        self.go_on_with(id, record.into_iter().collect(), now, out);
    }

    /// REPRINT of what was printed here: every live label page again.
    pub(super) fn reprint(&mut self, act: ActId, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        self.note(id, now, "reprint", act);
        let parcels = self
            .running
            .get(&act)
            .map(|r| r.parcels.clone())
            .unwrap_or_default();
        let record = self.change(id, now, |order| {
            order.standing = Standing::Released;
            let labels = order
                .shipments
                .iter_mut()
                .filter(|s| !s.superseded)
                .flat_map(|s| &mut s.pages)
                .filter(|page| page.role == PageRole::Label);
            for (n, page) in (1..).zip(labels) {
                if parcels.is_empty() || parcels.contains(&n) {
                    page.state = PageState::Todo;
                    page.at = now.wall;
                }
            }
        });
        // Once the pages are "to do" the act is an ordinary one: after a crash it must not start over.
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        self.accept(act, record.into_iter().collect(), out);
        self.work_on(act, id, now);
        self.go_on(id, now, out);
    }
}
