//! A second printer for labels that are proven not started (`printers.fallback`).
//!
//! Invariant: only a page that is `Todo` moves, so no byte of it has left; and nothing of a shipment
//! moves while a label of it is under way or in doubt, because then a person must be able to say of
//! one printer what came out of it. Where a page went is in its record before its first byte.

use super::paper::{page_mut, remember};
use super::{Effect, PreparedPage, Station};
use crate::domain::order::Standing;
use crate::domain::{
    Moment, Order, OrderId, Page, PageRole, PageState, PrinterName, Record, Shipment, Signal,
};

impl Station {
    /// The printer that a page belongs to.
    fn own_printer(&self, order: &Order, shipment: &Shipment, page: &Page) -> PrinterName {
        let label_type = shipment
            .documents
            .get(usize::from(page.document))
            .map(|d| d.label_type.clone())
            .unwrap_or_default();
        let page = PreparedPage {
            document: page.document,
            index: page.index,
            role: page.role,
            label_type,
            codes: Vec::new(),
        };
        self.printer_of(&page, &order.printer)
    }

    /// A printer and those that stand in for it, nearest first.
    fn chain(&self, own: &PrinterName) -> Vec<PrinterName> {
        let mut chain = vec![own.clone()];
        while let Some(next) = chain.last().and_then(|p| self.settings.stand_ins.get(p)) {
            if chain.contains(next) {
                break;
            }
            chain.push(next.clone());
        }
        chain
    }

    /// The page is on a printer that stands in for its own.
    pub(super) fn stands_in(&self, id: &OrderId, order_id: i64, page: usize) -> bool {
        let Some(order) = self.orders.get(id) else {
            return false;
        };
        order
            .shipments
            .iter()
            .find(|s| s.order_id == order_id)
            .and_then(|s| Some((s, s.pages.get(page)?)))
            .is_some_and(|(shipment, page)| {
                let chain = self.chain(&self.own_printer(order, shipment, page));
                chain.iter().skip(1).any(|p| *p == page.printer)
            })
    }

    /// Printers that a label of this order came out of, with those that they stood in for.
    pub(super) fn stood_in(&self, order: &Order) -> Vec<(PrinterName, PrinterName)> {
        let mut pairs = Vec::new();
        for shipment in order.live() {
            for page in shipment.pages.iter().filter(|p| p.role == PageRole::Label) {
                let own = self.own_printer(order, shipment, page);
                let pair = (page.printer.clone(), own);
                if pair.0 != pair.1
                    && self.chain(&pair.1).contains(&pair.0)
                    && !pairs.contains(&pair)
                {
                    pairs.push(pair);
                }
            }
        }
        pairs
    }

    /// Puts every page that has not started onto its own printer, or, while that is in trouble, onto
    /// one that stands in for it.
    pub(super) fn choose_printers(&mut self, id: &OrderId, now: Moment) -> Option<Record> {
        if self.settings.stand_ins.is_empty() {
            return None;
        }
        let order = self.orders.get(id)?;
        let mut moves: Vec<(i64, usize, PrinterName)> = Vec::new();
        for shipment in order.live().filter(|s| may_move(s)) {
            for (n, page) in shipment.pages.iter().enumerate() {
                if page.state != PageState::Todo {
                    continue;
                }
                let chain = self.chain(&self.own_printer(order, shipment, page));
                let well = |printer: &&PrinterName| {
                    self.lines
                        .get(*printer)
                        .is_none_or(|line| line.trouble.is_none() && !line.unfit.contains(id))
                };
                let Some(to) = chain.iter().find(well).or(chain.first()) else {
                    continue;
                };
                if *to != page.printer && chain.contains(&page.printer) {
                    moves.push((shipment.order_id, n, to.clone()));
                }
            }
        }
        if moves.is_empty() {
            return None;
        }
        self.change(id, now, |order| {
            for (order_id, n, to) in moves {
                if let Some(page) = page_mut(order, order_id, n) {
                    page.printer = to;
                }
            }
        })
    }

    /// Orders that wait for a printer in trouble go where one stands in for it, as soon as one can.
    pub(super) fn spread(&mut self, now: Moment, out: &mut Vec<Effect>) {
        if self.settings.stand_ins.is_empty() {
            return;
        }
        let mut waiting: Vec<OrderId> = Vec::new();
        for line in self.lines.values().filter(|line| line.trouble.is_some()) {
            for id in &line.waiting {
                if !waiting.contains(id) {
                    waiting.push(id.clone());
                }
            }
        }
        let mut records = Vec::new();
        let mut moved = Vec::new();
        for id in waiting {
            if let Some(record) = self.choose_printers(&id, now) {
                records.push(record);
                moved.push(id);
            }
        }
        if moved.is_empty() {
            return;
        }
        remember(records, out);
        out.push(Effect::Signal(Signal::PrinterNeedsHand));
        for id in moved {
            self.send_back(&id, Vec::new(), now, out);
        }
    }

    /// Into the lines that its pages belong to now, and out of all others.
    pub(super) fn send_back(
        &mut self,
        id: &OrderId,
        mut records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        records.extend(self.choose_printers(id, now));
        let printers = self
            .orders
            .get(id)
            .map(super::paper::open_printers)
            .unwrap_or_default();
        for (printer, line) in &mut self.lines {
            if !printers.contains(printer) {
                line.waiting.retain(|waiting| waiting != id);
            }
        }
        let in_trouble = printers
            .iter()
            .any(|p| self.lines.get(p).is_some_and(|line| line.trouble.is_some()));
        if !in_trouble
            && let Some(order) = self.orders.get_mut(id)
            && matches!(order.standing, Standing::WaitingPrinter(_))
        {
            // Becomes durable with the page that is sent next.
            order.standing = Standing::Released;
        }
        self.join_lines(id, records, now, out);
    }
}

/// No label of it is under way or in doubt.
fn may_move(shipment: &Shipment) -> bool {
    !shipment.pages.iter().any(|p| {
        p.role == PageRole::Label && matches!(p.state, PageState::Sending | PageState::InDoubt)
    })
}
