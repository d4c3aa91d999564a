//! Printers and the orders that wait in line for them.

use super::paper::{open_printers, page_mut, remember};
use super::{Effect, Line, PageJob, Station};
use crate::domain::order::Standing;
use crate::domain::{
    Code, Moment, Order, OrderId, PageRole, PageState, PrinterName, Record, Signal,
};
use std::time::Duration;

/// How often a printer in trouble is asked how it is.
pub(super) const CHECK_PRINTER: Duration = Duration::from_secs(2);

impl Station {
    /// A drain was called off: what waited in line goes on.
    pub(super) fn undrain(&mut self, now: Moment, out: &mut Vec<Effect>) {
        self.draining = false;
        let printers: Vec<PrinterName> = self.lines.keys().cloned().collect();
        for printer in printers {
            let records = self.start_page(&printer, Vec::new(), now, out);
            remember(records, out);
        }
    }

    /// Nothing is under way and nothing is about to start: a rest now would cut nothing in two.
    pub fn is_idle(&self) -> bool {
        self.is_drained()
            && self.running.values().all(|running| running.act.queued)
            && self
                .lines
                .values()
                .all(|line| line.trouble.is_some() || line.waiting.is_empty())
    }

    pub(super) fn line(&mut self, printer: &PrinterName) -> &mut Line {
        self.lines.entry(printer.clone()).or_default()
    }

    /// Starts the next page of a printer's line, if it is free. Returns the records that were not
    /// made durable here.
    pub(super) fn start_page(
        &mut self,
        printer: &PrinterName,
        mut records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> Vec<Record> {
        if self.draining {
            return records;
        }
        loop {
            let line = self.line(printer);
            if line.busy.is_some() || line.trouble.is_some() {
                return records;
            }
            let Some(id) = line.waiting.pop_front() else {
                return records;
            };
            let Some((order_id, page)) = self
                .orders
                .get(&id)
                .and_then(|order| next_page(order, printer))
            else {
                continue;
            };
            let Some(job) = self.orders.get(&id).and_then(|o| job_of(o, order_id, page)) else {
                // Its document is not among those that are stored: there is nothing to send.
                if self.jobs.contains_key(&id) {
                    remember(std::mem::take(&mut records), out);
                    self.label_refused(&id, Code::LabelUnreadable, "", now, out);
                }
                continue;
            };
            let label = self.is_label(&id, order_id, page);
            self.line(printer).busy = Some(id.clone());
            let record = self.change(&id, now, |order| {
                if label {
                    order.standing = Standing::Released;
                }
                if let Some(page) = page_mut(order, order_id, page) {
                    page.state = PageState::Sending;
                    page.at = now.wall;
                }
            });
            records.extend(record);
            remember(std::mem::take(&mut records), out);
            if label && let Some(lines) = self.announcement(&id, now) {
                out.push(Effect::Ticket {
                    printer: printer.clone(),
                    lines,
                });
            }
            out.push(Effect::Send {
                order: id,
                order_id,
                page,
                job: Box::new(job),
            });
            return records;
        }
    }

    pub(super) fn is_label(&self, id: &OrderId, order_id: i64, page: usize) -> bool {
        self.orders
            .get(id)
            .and_then(|o| o.shipments.iter().find(|s| s.order_id == order_id))
            .and_then(|s| s.pages.get(page))
            .is_some_and(|p| p.role == PageRole::Label)
    }

    pub(super) fn wait_for_printer(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some(code) = self
            .orders
            .get(id)
            .map(open_printers)
            .into_iter()
            .flatten()
            .find_map(|printer| self.lines.get(&printer).and_then(|line| line.trouble))
        else {
            return;
        };
        let already = self
            .orders
            .get(id)
            .is_some_and(|o| o.standing == Standing::WaitingPrinter(code));
        if !already {
            let record = self.change(id, now, |order| {
                order.standing = Standing::WaitingPrinter(code);
            });
            remember(record.into_iter().collect(), out);
        }
        out.push(Effect::Signal(Signal::PrinterNeedsHand));
    }

    /// A printer in trouble was asked how it is.
    pub(super) fn printer_seen(
        &mut self,
        printer: PrinterName,
        trouble: Option<Code>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let line = self.line(&printer);
        line.checking = false;
        line.trouble = trouble;
        line.check_at = now.mono.plus(CHECK_PRINTER);
        if trouble.is_none() {
            out.push(Effect::Signal(if line.waiting.is_empty() {
                Signal::Ready
            } else {
                Signal::Working
            }));
            let left = self.start_page(&printer, Vec::new(), now, out);
            remember(left, out);
            self.spread(now, out);
        }
    }

    /// Asks printers in trouble that have something to print how they are, and those whose work
    /// another does meanwhile.
    pub(super) fn check_printers(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let stand_ins = &self.settings.stand_ins;
        for (name, line) in &mut self.lines {
            let paired = stand_ins.contains_key(name) || stand_ins.values().any(|p| p == name);
            if line.trouble.is_some()
                && !line.checking
                && (paired || !line.waiting.is_empty())
                && now.mono >= line.check_at
            {
                line.checking = true;
                out.push(Effect::CheckPrinter(name.clone()));
            }
        }
    }
}

/// The next page of this order for this printer: Starshipit id of its shipment, index in it. None
/// while a label of the same shipment and printer is in doubt (a person is asked first), and no label
/// of an order that nobody released.
fn next_page(order: &Order, printer: &PrinterName) -> Option<(i64, usize)> {
    let released = matches!(
        order.standing,
        Standing::Released | Standing::WaitingPrinter(_)
    );
    order.live().find_map(|shipment| {
        let here = || {
            shipment
                .pages
                .iter()
                .enumerate()
                .filter(|(_, page)| page.printer == *printer)
        };
        let doubt = here().any(|(_, p)| p.state == PageState::InDoubt && p.role == PageRole::Label);
        here()
            .find(|(_, p)| {
                p.state == PageState::Todo && (p.role == PageRole::Document || (released && !doubt))
            })
            .map(|(index, _)| (shipment.order_id, index))
    })
}

/// What the next page of this order for this printer is.
pub(super) fn next_role(order: &Order, printer: &PrinterName) -> Option<PageRole> {
    let (order_id, page) = next_page(order, printer)?;
    let shipment = order.shipments.iter().find(|s| s.order_id == order_id)?;
    shipment.pages.get(page).map(|page| page.role)
}

fn job_of(order: &Order, order_id: i64, page: usize) -> Option<PageJob> {
    let shipment = order.shipments.iter().find(|s| s.order_id == order_id)?;
    let at = shipment.pages.get(page)?;
    let document = shipment.documents.get(usize::from(at.document))?.clone();
    // A courier's crops are for its labels.
    let courier = if document.is_slip() {
        String::new()
    } else {
        shipment.carrier.clone()
    };
    Some(PageJob {
        printer: at.printer.clone(),
        number: order.number.clone(),
        document,
        index: at.index,
        n: u16::try_from(page + 1).unwrap_or(u16::MAX),
        of: u16::try_from(shipment.pages.len()).unwrap_or(u16::MAX),
        courier,
        tracking: shipment.tracking.clone(),
    })
}
