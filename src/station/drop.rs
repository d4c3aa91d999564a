//! A held label that is not wanted any more: it never prints, its number is not told, and its
//! Starshipit order is archived. There is no void: the courier may bill it all the same, and the page
//! says so (contract 7).

use super::{Effect, Station, Token};
use crate::domain::order::{Deed, PageState, Standing};
use crate::domain::{CallFailure, Moment, OrderId, Outcome, PageRole, ScanReply, ScanText, Source};

/// Somebody waits for the end of this.
#[derive(Clone, Debug)]
pub(super) struct Dropping {
    token: Option<Token>,
    source: Source,
    text: String,
}

impl Station {
    /// Drops the held label of this order. `false`: it has none.
    pub(super) fn drop_held(
        &mut self,
        token: Option<Token>,
        text: &ScanText,
        source: &Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> bool {
        let name = text.folded();
        let Some(order) = self.orders.named(&name).next() else {
            return false;
        };
        let unprinted = order.live().next().is_some()
            && order.live().all(|s| {
                let label = |p: &&crate::domain::Page| p.role == PageRole::Label;
                !s.is_elsewhere()
                    && s.pages
                        .iter()
                        .filter(label)
                        .all(|p| p.state == PageState::Todo)
            });
        if !unprinted || order.intent.is_some() || self.jobs.contains_key(&order.id) {
            return false;
        }
        let id = order.id.clone();
        let sought =
            |r: &super::Running| r.order.as_ref() == Some(&id) || self.is_text_of(&id, &r.act.text);
        if self.running.values().any(sought) {
            return false;
        }
        let account = order.account.clone();
        let labels: Vec<i64> = order.live().map(|s| s.order_id).collect();
        let deed = Deed {
            at: now.wall,
            what: "cancel".to_owned(),
            by: source.clone(),
            reason: None,
        };
        let record = self.change(&id, now, |order| {
            order.standing = Standing::Cancelled;
            if let Some(link) = &mut order.sale {
                link.wanted = None;
            }
            order.note(deed);
        });
        super::paper::remember(record.into_iter().collect(), out);
        let waiting = Dropping {
            token,
            source: source.clone(),
            text: text.to_string(),
        };
        if let Some(before) = self.dropping.insert(id.clone(), waiting) {
            let reply = ScanReply::new(Outcome::Ignored, "It was asked for once more.");
            self.answer_directly(before.token, before.source, before.text, reply, out);
        }
        for order_id in labels {
            out.push(Effect::Archive {
                order: id.clone(),
                account: account.clone(),
                order_id,
            });
        }
        true
    }

    /// Starshipit has archived it, or not. Asking again does no harm.
    pub(super) fn archived(
        &mut self,
        id: &OrderId,
        order_id: i64,
        result: Result<(), CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let cancelled = self
            .orders
            .get(id)
            .is_some_and(|order| order.standing == Standing::Cancelled);
        if result.is_ok() && cancelled {
            let record = self.change(id, now, |order| {
                let shipment = order.shipments.iter_mut().find(|s| s.order_id == order_id);
                if let Some(shipment) = shipment {
                    shipment.superseded = true;
                }
            });
            super::paper::remember(record.into_iter().collect(), out);
        }
        let left = self
            .orders
            .get(id)
            .is_some_and(|o| o.live().next().is_some());
        if result.is_ok() && left && cancelled {
            return;
        }
        let Some(waiting) = self.dropping.remove(id) else {
            return;
        };
        let number = self.orders.get(id).map(|o| o.number.clone());
        let bill = "Starshipit has no void: the courier may still bill it.";
        let mut reply = match result {
            Ok(()) if !cancelled => ScanReply::new(
                Outcome::Ignored,
                format!(
                    "Somebody went on with this order; its label is archived in Starshipit. {bill}"
                ),
            ),
            Ok(()) => ScanReply::new(
                Outcome::Ignored,
                format!("The held label is dropped here and archived in Starshipit. {bill}"),
            ),
            Err(failure) => {
                let code = failure.code();
                let mut reply = self.coded(Outcome::Refused, code, None);
                reply.message = format!(
                    "The held label is dropped here and never prints; it could not be archived in Starshipit ({}). {bill} Cancel it again later.",
                    code.as_str()
                );
                "cancel it again".clone_into(&mut reply.next);
                reply
            }
        };
        reply.order = number;
        self.answer_directly(waiting.token, waiting.source, waiting.text, reply, out);
    }
}
