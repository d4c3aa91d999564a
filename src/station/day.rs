//! CLOSE-DAY then YES: the hand-over list, per account and courier, of what was printed here since
//! the last close.
//!
//! The day is closed, durably, when the list is on paper; a list that did not come out closes nothing
//! and is made again. Printed, not manifested: the courier's own manifest is Starshipit's business.

use super::{Effect, Question, QuestionKind, Station, Token};
use crate::domain::{
    Code, Moment, Order, OrderId, Outcome, PageRole, PageState, Record, ScanReply, ScanText,
    Source, Timestamp,
};
use std::collections::BTreeMap;

/// Orders on one sheet: what fits on a 4x6 label.
const ROWS: usize = 24;

/// A close that is under way.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    token: Option<Token>,
    source: Source,
    text: ScanText,
    /// What is printed until now belongs to this list.
    until: Timestamp,
}

impl Station {
    /// CLOSE-DAY asks first: it is no scan to do by accident.
    pub(super) fn ask_close_day(
        &mut self,
        token: Option<Token>,
        text: &ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.context(&source, now).question = Some(Question {
            order: OrderId::default(),
            code: None,
            kind: QuestionKind::CloseDay,
            opened: now.mono,
        });
        let mut reply = ScanReply::new(
            Outcome::Question,
            format!(
                "Print the hand-over list of everything printed here {}, and begin a new one? Nothing is sent to a courier.",
                self.since_last_close(now)
            ),
        );
        reply.next = format!("{}YES", self.settings.prefix);
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    fn since_last_close(&self, now: Moment) -> String {
        if self.closed_at == Timestamp::default() {
            return "so far".to_owned();
        }
        let ago = crate::domain::time::ago(now.wall, self.closed_at);
        format!("since the last close ({ago})")
    }

    /// YES to it.
    pub(super) fn close_day(
        &mut self,
        token: Option<Token>,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if self.closing.is_some() {
            let reply = ScanReply::new(Outcome::Ignored, "The hand-over list is being made.");
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        }
        self.closing = Some(Closing {
            token,
            source,
            text,
            until: now.wall,
        });
        out.push(Effect::Tally {
            since: self.closed_at,
        });
    }

    /// The ledger's orders that changed since the last close; `None`: they cannot be read.
    pub(super) fn tallied(
        &mut self,
        orders: Option<Vec<Order>>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let Some(closing) = &self.closing else {
            return;
        };
        let Some(orders) = orders else {
            let reply = self.coded(
                Outcome::Refused,
                Code::Internal,
                Some("the ledger cannot be read; the day stays open"),
            );
            self.end_close(reply, out);
            return;
        };
        let since = self.since_last_close(now);
        let sheets = sheets(&orders, self.closed_at, closing.until, &since);
        let Some(printer) = self
            .settings
            .printers
            .first()
            .filter(|_| !sheets.is_empty())
        else {
            let reply = ScanReply::new(
                Outcome::Ignored,
                format!("Nothing was printed here {since}."),
            );
            self.end_close(reply, out);
            return;
        };
        out.push(Effect::HandOver {
            printer: printer.clone(),
            sheets,
        });
    }

    /// The list is on paper, or why it is not.
    pub(super) fn handed_over(&mut self, result: Result<(), Code>, out: &mut Vec<Effect>) {
        let Some(closing) = &self.closing else {
            return;
        };
        let reply = match result {
            Ok(()) => {
                self.closed_at = closing.until;
                out.push(Effect::Remember(vec![self.bench_record()]));
                ScanReply::new(
                    Outcome::Ignored,
                    "The hand-over list is printed; a new one begins now.",
                )
            }
            Err(code) => self.coded(
                Outcome::Refused,
                code,
                Some("the day stays open; scan CLOSE-DAY again"),
            ),
        };
        self.end_close(reply, out);
    }

    fn end_close(&mut self, reply: ScanReply, out: &mut Vec<Effect>) {
        if let Some(closing) = self.closing.take() {
            let text = closing.text.to_string();
            self.answer_directly(closing.token, closing.source, text, reply, out);
        }
    }

    /// The bench as it is now.
    pub(super) fn bench_record(&mut self) -> Record {
        self.bench_seq += 1;
        Record::Bench {
            seq: self.bench_seq,
            paused: self.paused,
            closed: self.closed_at,
            ahead: self.ahead_day.clone(),
        }
    }
}

/// One order of the list: its number, how many labels, its tracking numbers.
type Row = (String, usize, String);

/// Lines of each sheet: orders with a label printed from `since` on and before `until`, so that
/// every label is on exactly one list.
fn sheets(orders: &[Order], since: Timestamp, until: Timestamp, words: &str) -> Vec<Vec<String>> {
    // By account, then courier.
    let mut groups: BTreeMap<(String, String), Vec<Row>> = BTreeMap::new();
    for order in orders {
        for shipment in order.live() {
            let labels = shipment
                .pages
                .iter()
                .filter(|page| {
                    page.role == PageRole::Label
                        && matches!(page.state, PageState::Printed(_))
                        && page.at >= since
                        && page.at < until
                })
                .count();
            if labels > 0 {
                let group = (order.account.to_string(), shipment.carrier.clone());
                let row = (order.number.clone(), labels, shipment.tracking.join(" "));
                groups.entry(group).or_default().push(row);
            }
        }
    }
    let mut sheets = Vec::new();
    for ((account, courier), mut rows) in groups {
        rows.sort();
        let labels: usize = rows.iter().map(|(_, labels, _)| labels).sum();
        let courier = if courier.is_empty() {
            "no courier named"
        } else {
            &courier
        };
        let of = rows.len().div_ceil(ROWS);
        for (n, part) in rows.chunks(ROWS).enumerate() {
            let mut lines = vec![
                "HAND-OVER".to_owned(),
                format!("{courier} ({account})"),
                format!("{labels} labels, printed {words}"),
                format!("sheet {} of {of}; printed, not manifested", n + 1),
                String::new(),
            ];
            lines.extend(part.iter().map(|(number, labels, tracking)| {
                let count = if *labels > 1 {
                    format!(" x{labels}")
                } else {
                    String::new()
                };
                format!("{number}{count} {tracking}").trim_end().to_owned()
            }));
            sheets.push(lines);
        }
    }
    sheets
}
