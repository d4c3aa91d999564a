//! The verify scan (`[verify]`): once the label is on its parcel, scanning it proves that it is on the
//! right order.
//!
//! What a label says is known from the station's own reading of the page that it printed. Codes that
//! only name the order are left out: a packing slip must not pass for its label. A label that belongs
//! to another order is a refusal that is heard; with `strict` nothing else is taken before the label
//! was scanned, or `CANCEL` gave it up, which is logged.

use super::{Effect, Station, Token, Verify};
use crate::domain::order::Deed;
use crate::domain::{
    ActId, Code, Moment, Order, OrderId, Outcome, PageRole, PageState, ScanReply, ScanText,
    Shipment, Signal, Source,
};

/// Shortest number that may be part of a longer code on the label.
const TELLING: usize = 8;

/// Labels that are out and not scanned yet.
#[derive(Clone, Debug)]
pub(super) struct Unproven {
    order: OrderId,
    /// What each of them says.
    labels: Vec<Vec<String>>,
}

impl Unproven {
    /// Whose labels they are.
    pub(super) fn order(&self) -> &OrderId {
        &self.order
    }
}

impl Station {
    /// The labels of this act are out: they are to be scanned where it came from.
    pub(super) fn ask_to_verify(
        &mut self,
        act: ActId,
        id: &OrderId,
        reply: &mut ScanReply,
        now: Moment,
    ) {
        let Some(running) = self.running.get(&act) else {
            return;
        };
        // A request over HTTP and CartonCloud's own screen have no scanner.
        let scans =
            !running.asked && !running.resumed && running.act.source.trigger != "cartoncloud";
        if self.settings.verify == Verify::Off || !scans {
            return;
        }
        let (source, since) = (running.act.source.clone(), running.act.at);
        let Some(order) = self.orders.get(id) else {
            return;
        };
        let labels: Vec<Vec<String>> = order
            .live()
            .flat_map(|s| s.pages.iter().map(move |page| (s, page)))
            .filter(|(_, page)| page.role == PageRole::Label && page.at >= since)
            .filter(|(_, page)| matches!(page.state, PageState::Printed(_)))
            .map(|(shipment, page)| says(order, shipment, &page.codes))
            .filter(|codes| !codes.is_empty())
            .collect();
        if labels.is_empty() {
            return;
        }
        reply.next = match labels.len() {
            1 => "scan the label".to_owned(),
            n => format!("scan the {n} labels"),
        };
        self.context(&source, now).unproven = Some(Unproven {
            order: id.clone(),
            labels,
        });
    }

    /// Takes a scan for the proof that is waited for. `false`: it is an order like any other.
    pub(super) fn verify_scan(
        &mut self,
        token: Option<Token>,
        text: &ScanText,
        source: &Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> bool {
        if self.settings.verify == Verify::Off {
            return false;
        }
        let Some(mut unproven) = self.context(source, now).unproven.take() else {
            return false;
        };
        let scanned = folded(text.as_str());
        let number = self
            .orders
            .get(&unproven.order)
            .map_or_else(|| unproven.order.to_string(), |o| o.number.clone());
        if let Some(at) = unproven
            .labels
            .iter()
            .position(|codes| fits(codes, &scanned))
        {
            unproven.labels.remove(at);
            let left = unproven.labels.len();
            let mut reply = ScanReply::new(
                Outcome::Ignored,
                match left {
                    0 => format!("Right: this is the label of {number}."),
                    n => format!("Right: this is a label of {number}; {n} more to scan."),
                },
            );
            if left == 0 {
                self.prove(&unproven.order, "verified", source, now, out);
            } else {
                "scan the next label".clone_into(&mut reply.next);
                self.context(source, now).unproven = Some(unproven);
            }
            reply.order = Some(number);
            out.push(Effect::Signal(Signal::Printed));
            out.push(Effect::Answer {
                token,
                source: source.clone(),
                scanned: text.to_string(),
                reply: Box::new(reply),
                last: true,
            });
            return true;
        }
        let anothers = self.orders.values().any(|other| {
            other.id != unproven.order
                && other.live().any(|s| {
                    let pages = s.pages.iter().filter(|p| p.role == PageRole::Label);
                    let mut all = pages.map(|page| says(other, s, &page.codes));
                    all.any(|codes| fits(&codes, &scanned))
                })
        });
        if !anothers && self.settings.verify == Verify::Ask {
            // The packer has gone on to the next order.
            return false;
        }
        self.prove(
            &unproven.order,
            Code::VerifyMismatch.as_str(),
            source,
            now,
            out,
        );
        self.context(source, now).unproven = Some(unproven);
        let said = format!("the label of {number} is expected");
        let mut reply = self.coded(Outcome::Refused, Code::VerifyMismatch, Some(&said));
        reply.next = format!("scan the label of {number}");
        reply.order = Some(number);
        self.answer_directly(token, source.clone(), text.to_string(), reply, out);
        true
    }

    /// CANCEL gives the proof up; that is logged.
    pub(super) fn give_up_proof(&mut self, source: &Source, now: Moment, out: &mut Vec<Effect>) {
        if let Some(unproven) = self.context(source, now).unproven.take() {
            self.prove(&unproven.order, "not verified", source, now, out);
        }
    }

    fn prove(
        &mut self,
        id: &OrderId,
        what: &str,
        source: &Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let deed = Deed {
            at: now.wall,
            what: what.to_owned(),
            by: source.clone(),
            reason: None,
        };
        let record = self.change(id, now, |order| order.note(deed));
        super::paper::remember(record.into_iter().collect(), out);
    }
}

/// What a label says: the codes that were read from it, else its shipment's tracking numbers.
fn says(order: &Order, shipment: &Shipment, codes: &[String]) -> Vec<String> {
    let names_order = |code: &String| {
        let own = |name: &str| folded(name) == *code;
        own(&order.number) || order.reference.as_deref().is_some_and(own)
    };
    let read: Vec<String> = codes.iter().map(|code| folded(code)).collect();
    let mut read: Vec<String> = read
        .into_iter()
        .filter(|code| !code.is_empty() && !names_order(code))
        .collect();
    if read.is_empty() {
        read = shipment
            .tracking
            .iter()
            .map(|number| folded(number))
            .collect();
    }
    read
}

fn fits(codes: &[String], scanned: &str) -> bool {
    codes.iter().any(|code| {
        code == scanned
            || (code.len() >= TELLING && scanned.contains(code.as_str()))
            || (scanned.len() >= TELLING && code.contains(scanned))
    })
}

/// Letters and digits: scanners and decoders differ in separators and case.
fn folded(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}
