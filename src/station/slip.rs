//! The packing slip beside the label (`documents = ["label", "packing-slip"]`).
//!
//! It is fetched while the label is on its way, printed when it has come, and tried again a few times
//! when it has not; the label never waits for it (contract 9). One per order: another parcel or a new
//! label of the same goods brings none. Which fetch is under way is not kept over a restart; the next
//! scan, command or held label of the order asks for a slip that is still missing.

use super::paper::remember;
use super::{Effect, PreparedPage, Station};
use crate::domain::order::Standing;
use crate::domain::remote::PACKING_SLIP;
use crate::domain::{
    CallFailure, DocumentMeta, Moment, Mono, OrderId, Page, PageRole, PageState, Record,
};
use std::time::Duration;

/// Waits before the slip is asked for again; after the last one it is given up.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

/// A packing slip that has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetch {
    order_id: i64,
    failed: usize,
    /// When it is asked for again; none: it is being fetched.
    due: Option<Mono>,
}

impl Station {
    /// Asks for the order's packing slip, where its route has one and none has come.
    pub(super) fn want_slip(&mut self, id: &OrderId, out: &mut Vec<Effect>) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let wanted = self.settings.route_of(order).is_some_and(|route| {
            let documents = &self.settings.routes[route].documents;
            documents.iter().any(|word| word == PACKING_SLIP)
        });
        let has_one = order
            .shipments
            .iter()
            .filter(|s| !s.superseded || s.pages.iter().any(|p| p.state != PageState::Todo))
            .any(|s| s.documents.iter().any(DocumentMeta::is_slip));
        let shipment = order.live().find(|s| !s.pages.is_empty());
        let Some(order_id) = shipment.map(|s| s.order_id).filter(|_| wanted && !has_one) else {
            return;
        };
        if self.slips.contains_key(id) {
            return;
        }
        let fetch = Fetch {
            order_id,
            failed: 0,
            due: None,
        };
        self.slips.insert(id.clone(), fetch);
        self.fetch_slip(id, out);
    }

    fn fetch_slip(&mut self, id: &OrderId, out: &mut Vec<Effect>) {
        let (Some(order), Some(fetch)) = (self.orders.get(id), self.slips.get_mut(id)) else {
            self.slips.remove(id);
            return;
        };
        fetch.due = None;
        let (account, order_id) = (order.account.clone(), fetch.order_id);
        let slip = PreparedPage {
            document: 0,
            index: 0,
            role: PageRole::Document,
            label_type: PACKING_SLIP.to_owned(),
            codes: Vec::new(),
        };
        let printer = self.printer_of(&slip, &order.printer);
        out.push(Effect::Slip {
            order: id.clone(),
            account,
            order_id,
            printer,
        });
    }

    /// Asks again for slips whose time has come.
    pub(super) fn fetch_slips(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let due: Vec<OrderId> = self
            .slips
            .iter()
            .filter(|(_, fetch)| fetch.due.is_some_and(|due| now.mono >= due))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            self.fetch_slip(&id, out);
        }
    }

    /// The packing slip is here, or it could not be had.
    pub(super) fn slip_came(
        &mut self,
        id: OrderId,
        order_id: i64,
        result: Result<(DocumentMeta, Vec<PreparedPage>), CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let (meta, pages) = match result {
            Ok(came) => came,
            Err(failure) => {
                self.slip_failed(&id, &failure, now);
                return;
            }
        };
        self.slips.remove(&id);
        let Some(order) = self.orders.get(&id) else {
            return;
        };
        let label_printer = order.printer.clone();
        let printers: Vec<_> = pages
            .iter()
            .map(|page| self.printer_of(page, &label_printer))
            .collect();
        let record = self.change(&id, now, |order| {
            let Some(shipment) = order.shipments.iter_mut().find(|s| s.order_id == order_id) else {
                return;
            };
            // Its label was fetched anew meanwhile: the slip is asked for again with its pages.
            if shipment.pages.is_empty() || shipment.superseded {
                return;
            }
            let document = u16::try_from(shipment.documents.len()).unwrap_or(u16::MAX);
            shipment.documents.push(meta);
            shipment
                .pages
                .extend(pages.iter().zip(printers).map(|(page, printer)| Page {
                    document,
                    index: page.index,
                    role: PageRole::Document,
                    printer,
                    state: PageState::Todo,
                    at: now.wall,
                    codes: Vec::new(),
                }));
        });
        let records: Vec<Record> = record.into_iter().collect();
        let asked_for = self.orders.get(&id).is_some_and(|order| {
            matches!(
                order.standing,
                Standing::Released | Standing::WaitingPrinter(_)
            ) || !order.needs_label()
        });
        if asked_for {
            self.send_back(&id, records, now, out);
        } else {
            // The label is held: its slip comes out with it.
            remember(records, out);
        }
    }

    fn slip_failed(&mut self, id: &OrderId, failure: &CallFailure, now: Moment) {
        let Some(fetch) = self.slips.get_mut(id) else {
            return;
        };
        let wait = match failure {
            CallFailure::Refused { .. } => None,
            CallFailure::Throttled { retry_after } => AGAIN
                .get(fetch.failed)
                .map(|wait| retry_after.map_or(*wait, |asked| asked.max(*wait))),
            CallFailure::NotSent { .. } | CallFailure::Unknown { .. } => {
                AGAIN.get(fetch.failed).copied()
            }
        };
        fetch.failed += 1;
        match wait {
            Some(wait) => fetch.due = Some(now.mono.plus(wait)),
            None => {
                self.slips.remove(id);
            }
        }
    }
}
