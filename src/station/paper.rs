//! From a shipment to paper: documents, pages, printers, and honest doubt (contract 9, 11).
//!
//! Invariant: a page is `Sending` on disk before its first byte can leave, and leaves that state
//! only by what the printer's side reports. Pages of one order go out together; orders of one
//! printer wait in line.
//!
//! Over 500 lines because a page's states and the lines of the printers are one invariant.

use super::line::{CHECK_PRINTER, next_role};
use super::{Effect, PreparedPage, QuestionKind, Station, Verify, Waiting};
use crate::domain::order::Standing;
use crate::domain::remote::PACKING_SLIP;
use crate::domain::{
    Code, Moment, Order, OrderId, Outcome, Page, PageRole, PageState, PrintOutcome, PrinterName,
    Record, ScanReply, Shipment, Signal, Timings,
};

impl Station {
    /// Takes the next step towards paper for the first shipment that is not out.
    pub(super) fn go_on(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        self.go_on_with(id, Vec::new(), now, out);
    }

    /// As `go_on`, with records that become durable together with whatever this step remembers.
    pub(super) fn go_on_with(
        &mut self,
        id: &OrderId,
        records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let Some(shipment) = order.live().find(|s| is_next(s)) else {
            if order.needs_label() {
                self.only_doubt_is_left(id, "", records, now, out);
            } else {
                self.all_printed(id, records, now, out);
            }
            return;
        };
        let order_id = shipment.order_id;
        if shipment.documents.is_empty() {
            remember(records, out);
            self.fetch_label(id, now, out);
        } else if !shipment.stored {
            let documents = labels_of(shipment).map(|d| d.id.clone()).collect();
            remember(records, out);
            self.job(id, now).waiting = Waiting::Reply;
            out.push(Effect::Store {
                order: id.clone(),
                order_id,
                documents,
            });
        } else if shipment.pages.is_empty() {
            let effect = Effect::Prepare {
                order: id.clone(),
                order_id,
                documents: labels_of(shipment).cloned().collect(),
                courier: shipment.carrier.clone(),
                tracking: shipment.tracking.clone(),
                printer: order.printer.clone(),
                ahead: self.waiting_act(id).is_none(),
            };
            remember(records, out);
            self.job(id, now).waiting = Waiting::Reply;
            out.push(effect);
        } else {
            self.line_up(id, records, now, out);
        }
    }

    /// The label room has read and rendered the documents, or refused them.
    pub(super) fn prepared(
        &mut self,
        id: OrderId,
        order_id: i64,
        result: Result<Vec<PreparedPage>, (Code, String)>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.stage_done(self.waiting_act(&id), now, |t, ms| t.render = Some(ms));
        let pages = match result {
            Ok(pages) if pages.iter().any(|p| p.role == PageRole::Label) => pages,
            Ok(_) => {
                self.label_refused(&id, Code::LabelMissing, "no page is a label", now, out);
                return;
            }
            Err((code @ (Code::LabelMissing | Code::LabelUnreadable), detail)) => {
                self.fetch_once_more(&id, code, &detail, now, out);
                return;
            }
            Err((code, detail)) => {
                self.label_refused(&id, code, &detail, now, out);
                return;
            }
        };
        let Some(order) = self.orders.get(&id) else {
            return;
        };
        let label_printer = order.printer.clone();
        let pages: Vec<Page> = pages
            .iter()
            .map(|page| Page {
                document: page.document,
                index: page.index,
                role: page.role,
                printer: self.printer_of(page, &label_printer),
                state: PageState::Todo,
                at: now.wall,
                codes: if self.settings.verify == Verify::Off {
                    Vec::new()
                } else {
                    kept_codes(&page.codes, pages.len())
                },
            })
            .collect();
        let record = self.change(&id, now, |order| {
            if let Some(shipment) = order.shipments.iter_mut().find(|s| s.order_id == order_id) {
                shipment.pages = pages;
            }
        });
        self.line_up(&id, record.into_iter().collect(), now, out);
    }

    /// Which printer a page goes to. A document without a printer of its own has none: it is
    /// kept and told, and never printed on label stock, except a packing slip.
    pub(super) fn printer_of(
        &self,
        page: &PreparedPage,
        label_printer: &PrinterName,
    ) -> PrinterName {
        let rule = self.settings.printer_rules.iter().find(|rule| {
            rule.of == *label_printer && rule.label_type.eq_ignore_ascii_case(&page.label_type)
        });
        match (rule, page.role) {
            (Some(rule), _) => rule.printer.clone(),
            (None, PageRole::Label) => label_printer.clone(),
            (None, PageRole::Document) => self
                .settings
                .printer_rules
                .iter()
                .find(|rule| rule.of == *label_printer && rule.label_type == "document")
                .map(|rule| rule.printer.clone())
                // A route that asks for packing slips and names no printer for them means its roll.
                .or_else(|| {
                    let is_slip = page.label_type.eq_ignore_ascii_case(PACKING_SLIP);
                    is_slip.then(|| label_printer.clone())
                })
                .unwrap_or_default(),
        }
    }

    /// Lets the pages of an order that somebody asked for go to their printers.
    pub(super) fn line_up(
        &mut self,
        id: &OrderId,
        mut records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if !self.orders.contains_key(id) {
            return;
        }
        self.want_slip(id, out);
        // Nobody asked for paper, or the asker was told "queued" and has gone: the label is held.
        let released = self
            .waiting_act(id)
            .and_then(|act| self.running.get(&act))
            .is_some_and(|running| !running.act.queued);
        if !released {
            self.jobs.remove(id);
            records.extend(self.change(id, now, |order| order.standing = Standing::Resting));
            remember(records, out);
            return;
        }
        if self.jobs.get(id).is_some_and(|job| job.unchecked) {
            remember(records, out);
            self.recheck(id, now, out);
            return;
        }
        if let Some(order) = self.orders.get_mut(id)
            && !matches!(
                order.standing,
                Standing::Released | Standing::WaitingPrinter(_)
            )
        {
            order.standing = Standing::Released;
        }
        self.job(id, now).waiting = Waiting::Printer;
        records.extend(self.choose_printers(id, now));
        self.join_lines(id, records, now, out);
    }

    /// Puts the order into the line of every printer that has a page of it to print.
    pub(super) fn join_lines(
        &mut self,
        id: &OrderId,
        mut records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let printers = self.orders.get(id).map(open_printers).unwrap_or_default();
        for printer in &printers {
            let line = self.line(printer);
            if !line.waiting.contains(id) && line.busy.as_ref() != Some(id) {
                line.waiting.push_back(id.clone());
            }
        }
        for printer in &printers {
            records = self.start_page(printer, records, now, out);
        }
        remember(records, out);
        if self.lines.iter().any(|(printer, line)| {
            printers.contains(printer) && line.trouble.is_some() && line.waiting.contains(id)
        }) {
            self.wait_for_printer(id, now, out);
        }
    }

    /// A page's journey has ended, one way or another.
    pub(super) fn page_ended(
        &mut self,
        id: OrderId,
        order_id: i64,
        page: usize,
        outcome: PrintOutcome,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(sent) = self
            .orders
            .get_mut(&id)
            .and_then(|order| page_mut(order, order_id, page))
            .map(|page| (page.printer.clone(), page.role))
        else {
            return;
        };
        let (printer, role) = sent;
        self.line(&printer).busy = None;
        let state = match &outcome {
            PrintOutcome::Printed { proof } => PageState::Printed(*proof),
            PrintOutcome::NotStarted { .. } => PageState::Todo,
            PrintOutcome::InDoubt { .. } => PageState::InDoubt,
        };
        let record = self.change(&id, now, |order| {
            if let Some(page) = page_mut(order, order_id, page) {
                page.state = state;
                page.at = now.wall;
            }
        });
        let records: Vec<Record> = record.into_iter().collect();
        match outcome {
            PrintOutcome::Printed { .. } => {
                // The rest of this order comes before other orders of the same printer.
                let next = self
                    .orders
                    .get(&id)
                    .and_then(|order| next_role(order, &printer));
                if next.is_some() {
                    self.line(&printer).waiting.push_front(id.clone());
                }
                if role == PageRole::Label
                    && next != Some(PageRole::Label)
                    && self.jobs.contains_key(&id)
                {
                    // A document that comes behind the label does not keep its act from ending.
                    self.go_on_with(&id, records, now, out);
                } else {
                    let left = self.start_page(&printer, records, now, out);
                    remember(left, out);
                }
            }
            PrintOutcome::NotStarted { code, .. }
                if self.stands_in(&id, order_id, page) && is_about_its_paper(code) =>
            {
                self.line(&printer).unfit.insert(id.clone());
                self.send_back(&id, records, now, out);
            }
            PrintOutcome::NotStarted { code, detail } if is_about_the_label(code) => {
                remember(records, out);
                // A document that cannot be printed stays to do, and blocks nothing.
                if role == PageRole::Label {
                    self.page_unprintable(&id, code, &detail, now, out);
                }
            }
            PrintOutcome::NotStarted { code, .. } => {
                remember(records, out);
                let line = self.line(&printer);
                line.trouble = Some(code);
                line.check_at = now.mono.plus(CHECK_PRINTER);
                line.waiting.push_front(id.clone());
                self.spread(now, out);
                let waits = self.line(&printer).waiting.contains(&id);
                if role == PageRole::Label && waits {
                    self.wait_for_printer(&id, now, out);
                } else {
                    out.push(Effect::Signal(Signal::PrinterNeedsHand));
                }
            }
            // Nobody is asked about a document: it is tracked, and whoever misses it reprints it
            // where it was made.
            PrintOutcome::InDoubt { .. } if role == PageRole::Document => remember(records, out),
            PrintOutcome::InDoubt { detail, .. } => {
                self.only_doubt_is_left(&id, &detail, records, now, out);
            }
        }
        let left = self.start_page(&printer, Vec::new(), now, out);
        remember(left, out);
    }

    /// No printer can cure it: another copy may, or a person.
    pub(super) fn page_unprintable(
        &mut self,
        id: &OrderId,
        code: Code,
        detail: &str,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        for line in self.lines.values_mut() {
            line.waiting.retain(|waiting| waiting != id);
        }
        if matches!(code, Code::LabelMissing | Code::LabelUnreadable) && self.jobs.contains_key(id)
        {
            self.fetch_once_more(id, code, detail, now, out);
        } else {
            self.label_refused(id, code, detail, now, out);
        }
    }

    /// What is not out is in doubt: a person is asked.
    pub(super) fn only_doubt_is_left(
        &mut self,
        id: &OrderId,
        detail: &str,
        records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match self.jobs.remove(id).and_then(|job| job.act) {
            Some(act) => {
                let code = Code::PrinterInDoubt;
                self.open_question(act, id, Some(code), QuestionKind::InDoubt, now);
                let reply = self.coded(Outcome::Question, code, Some(detail));
                self.end_act(act, records, reply, out);
            }
            None => remember(records, out),
        }
    }

    /// Every label page of every live shipment is out: the act has ended.
    pub(super) fn all_printed(
        &mut self,
        id: &OrderId,
        mut records: Vec<Record>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let act = self.jobs.remove(id).and_then(|job| job.act);
        self.stage_done(act, now, |t, ms| t.print = Some(ms));
        let running = act.and_then(|act| self.running.get(&act));
        let timings = running.map(|running| {
            let total = u64::try_from(now.mono.since(running.since).as_millis()).ok();
            Box::new(Timings {
                total,
                ..running.timings
            })
        });
        records.extend(self.change(id, now, |order| {
            order.standing = Standing::Resting;
            order.timings = timings.or(order.timings.take());
        }));
        self.watch_for_number(id, now);
        let Some(act) = act else {
            remember(records, out);
            return;
        };
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let labels: usize = order.live().map(label_count).sum();
        let unprinted = order
            .live()
            .flat_map(|s| &s.pages)
            .filter(|p| p.role == PageRole::Document && p.printer.as_str().is_empty())
            .count();
        let mut message = match labels {
            1 => "The label is printed.".to_owned(),
            n => format!("{n} labels are printed."),
        };
        for (printer, absent) in self.stood_in(order) {
            message.push_str(&format!(
                " It came out of {printer}, in the place of {absent}."
            ));
        }
        if order.tracking().is_empty() {
            message.push_str(" The courier has given no tracking number yet.");
        }
        if unprinted > 0 {
            message.push_str(&format!(
                " {unprinted} document page(s) came with it that no printer is set up for."
            ));
        }
        if order.live().any(|s| s.unverified) {
            message.push_str(
                " It was bought before and could not be checked again: that is done when the network is back.",
            );
        }
        let mut reply = ScanReply::new(Outcome::Printed, message);
        reply.proof = order.live().filter_map(|s| s.proof()).min();
        self.ask_to_verify(act, id, &mut reply, now);
        self.end_act(act, dedup(records), reply, out);
    }
}

/// A page's codes as its record keeps them: a record is small, whatever stands on a label.
fn kept_codes(codes: &[String], pages: usize) -> Vec<String> {
    let each = (24 / pages.max(1)).clamp(1, 3);
    let short = codes.iter().filter(|code| code.len() <= 64);
    short.take(each).cloned().collect()
}

/// The shipment whose label comes next: not out, and nobody has to be asked about it first.
pub(super) fn is_next(shipment: &Shipment) -> bool {
    let doubtful = |p: &Page| p.role == PageRole::Label && p.state == PageState::InDoubt;
    !shipment.is_printed() && !shipment.pages.iter().any(doubtful)
}

/// Emits records as one, the newest of each key only.
pub(super) fn remember(records: Vec<Record>, out: &mut Vec<Effect>) {
    let records = dedup(records);
    if !records.is_empty() {
        out.push(Effect::Remember(records));
    }
}

pub(super) fn dedup(records: Vec<Record>) -> Vec<Record> {
    let mut kept: Vec<Record> = Vec::with_capacity(records.len());
    for record in records {
        kept.retain(|earlier| earlier.key() != record.key());
        kept.push(record);
    }
    kept
}

/// The documents that came with the label.
fn labels_of(shipment: &Shipment) -> impl Iterator<Item = &crate::domain::DocumentMeta> {
    shipment.documents.iter().filter(|d| !d.is_slip())
}

fn label_count(shipment: &Shipment) -> usize {
    shipment
        .pages
        .iter()
        .filter(|p| p.role == PageRole::Label)
        .count()
}

/// Printers that still have a page of this order to print, in page order.
pub(super) fn open_printers(order: &Order) -> Vec<PrinterName> {
    let mut printers: Vec<PrinterName> = Vec::new();
    for page in order.live().flat_map(|s| &s.pages) {
        if page.state == PageState::Todo
            && !page.printer.as_str().is_empty()
            && !printers.contains(&page.printer)
        {
            printers.push(page.printer.clone());
        }
    }
    printers
}

pub(super) fn page_mut(order: &mut Order, order_id: i64, page: usize) -> Option<&mut Page> {
    order
        .shipments
        .iter_mut()
        .find(|s| s.order_id == order_id)
        .and_then(|s| s.pages.get_mut(page))
}

/// Trouble that no printer can cure.
fn is_about_the_label(code: Code) -> bool {
    matches!(
        code,
        Code::LabelUnreadable
            | Code::LabelMissing
            | Code::LabelDoesNotFit
            | Code::LabelMismatch
            | Code::Internal
    )
}

/// Trouble with a label that another printer's paper may cure.
fn is_about_its_paper(code: Code) -> bool {
    matches!(code, Code::LabelDoesNotFit | Code::ConfigInvalid)
}
