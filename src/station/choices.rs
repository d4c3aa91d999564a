//! Commands that choose, explain or show: weight, box, courier, parcels, reasons, tickets.

use super::context::{LastOrder, NEXT_SCAN};
use super::{Confirm, Effect, Question, QuestionKind, Station, Token};
use crate::domain::order::{Choices, SHIP};
use crate::domain::{Code, Command, Moment, OrderId, Outcome, Parcel, ScanReply, ScanText, Source};

impl Station {
    /// What is asked before buying, as the order's route has it.
    pub(super) fn confirm_of(&self, id: &OrderId) -> Confirm {
        self.orders
            .get(id)
            .and_then(|order| self.settings.route_of(order))
            .and_then(|route| self.settings.routes[route].confirm)
            .unwrap_or(self.settings.confirm)
    }

    /// Weight, box, courier or parcels: for the order that is asked about, else for the next scan.
    pub(super) fn choose(
        &mut self,
        token: Option<Token>,
        command: &Command,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let preset = match command {
            Command::Box(name) => {
                let Some(preset) = self
                    .settings
                    .presets
                    .iter()
                    .find(|(known, _)| known.eq_ignore_ascii_case(name))
                    .map(|(_, preset)| preset.clone())
                else {
                    let reply = self.coded(
                        Outcome::Refused,
                        Code::BadScan,
                        Some(&format!("no packaging preset is named {name}")),
                    );
                    self.answer_directly(token, source, text.to_string(), reply, out);
                    return;
                };
                Some(preset)
            }
            _ => None,
        };
        let open = match self.context(&source, now).question.take() {
            Some(Question {
                order,
                code,
                kind: QuestionKind::Before { kind, with },
                ..
            }) => Some((order, code, kind, with)),
            other => {
                self.context(&source, now).question = other;
                None
            }
        };
        if let Some((order, code, kind, mut with)) = open {
            if let Some(refused) = self.closed_for_work() {
                let kind = QuestionKind::Before { kind, with };
                self.context(&source, now).question = Some(Question {
                    order,
                    code,
                    kind,
                    opened: now.mono,
                });
                let reply = self.coded(Outcome::Refused, refused, None);
                self.answer_directly(token, source, text.to_string(), reply, out);
                return;
            }
            apply_choice(&mut with, command, preset);
            let confirm = self.confirm_of(&order);
            let act = self.begin(token, kind, text, source.clone(), now);
            self.newest_act(&source, act, now);
            if let Some(running) = self.running.get_mut(&act) {
                running.order = Some(order.clone());
                running.act.with = with;
                running.act.confirmed = confirm != Confirm::Always;
            }
            self.look_before(act, &order, now, out);
            return;
        }
        let context = self.context(&source, now);
        let mut with = match context.choices.take() {
            Some((choices, at)) if now.mono.since(at) <= NEXT_SCAN => choices,
            _ => Choices::default(),
        };
        apply_choice(&mut with, command, preset);
        context.choices = Some((with, now.mono));
        let mut reply = ScanReply::new(
            Outcome::Question,
            format!("{} holds for the next order scanned.", command.name()),
        );
        reply.next = "scan the order".to_owned();
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    pub(super) fn reason(
        &mut self,
        token: Option<Token>,
        reason: String,
        text: ScanText,
        source: Source,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let last = self.last_order(&source, now);
        let last = match last {
            LastOrder::Known(id) => Some(id),
            LastOrder::StillSought | LastOrder::None => None,
        };
        // A first label needs no reason: one that is given after it is for what comes next.
        let last = last.filter(|id| {
            let deed = self.orders.get(id).and_then(|order| order.deeds.last());
            deed.is_some_and(|deed| deed.what != SHIP)
        });
        let Some(id) = last else {
            self.context(&source, now).reason = Some((reason, now.mono));
            let mut reply =
                ScanReply::new(Outcome::Question, "The reason is kept for the next act.");
            reply.next = "scan the command or the order".to_owned();
            self.answer_directly(token, source, text.to_string(), reply, out);
            return;
        };
        let record = self.change(&id, now, |order| {
            if let Some(deed) = order.deeds.last_mut() {
                deed.reason = Some(reason.clone());
            }
        });
        super::paper::remember(record.into_iter().collect(), out);
        let mut reply = ScanReply::new(Outcome::Ignored, format!("Reason noted: {reason}."));
        reply.order = self.orders.get(&id).map(|o| o.number.clone());
        self.answer_directly(token, source, text.to_string(), reply, out);
    }

    pub(super) fn ticket_for(
        &mut self,
        token: Option<Token>,
        command: &Command,
        text: ScanText,
        source: Source,
        out: &mut Vec<Effect>,
    ) {
        let glance = self.glance();
        let lines = match command {
            Command::Test => vec!["A test label follows.".to_owned()],
            _ => {
                let mut lines = vec![
                    if glance.paused { "PAUSED" } else { "READY" }.to_owned(),
                    format!("working on: {}", glance.working),
                    format!("queued: {}", glance.queued),
                    format!("held: {}", glance.held),
                    format!("in doubt: {}", glance.in_doubt.len()),
                    format!(
                        "Starshipit: {}",
                        if glance.online { "online" } else { "offline" }
                    ),
                ];
                lines.extend(glance.in_doubt.iter().take(8).map(|n| format!("? {n}")));
                lines
            }
        };
        let message = lines.join(", ");
        let reply = ScanReply::new(Outcome::Ignored, message);
        self.answer_directly(token, source, text.to_string(), reply, out);
        // Last: what follows a ticket in a list waits until it is out.
        if let Some(printer) = self.settings.printers.first() {
            if *command == Command::Test {
                out.push(Effect::TestLabel {
                    printer: printer.clone(),
                    code: text.to_string(),
                });
                return;
            }
            out.push(Effect::Ticket {
                printer: printer.clone(),
                lines,
            });
        }
    }
}

fn apply_choice(with: &mut Choices, command: &Command, preset: Option<Parcel>) {
    match command {
        Command::Weight(grams) => {
            let kilograms = f64::from(*grams) / 1000.0;
            match with.parcels.as_mut_slice() {
                [] => with.parcels.push(Parcel {
                    weight_kg: kilograms,
                    ..Parcel::default()
                }),
                parcels => {
                    // Total weight, shared evenly: a scale shows one number.
                    #[expect(clippy::cast_precision_loss, reason = "at most 20 parcels")]
                    let share = kilograms / parcels.len() as f64;
                    for parcel in parcels {
                        parcel.weight_kg = share;
                    }
                }
            }
        }
        Command::Box(_) => {
            if let Some(preset) = preset {
                match with.parcels.as_mut_slice() {
                    [] => with.parcels.push(preset),
                    parcels => {
                        for parcel in parcels {
                            let weight = parcel.weight_kg;
                            *parcel = preset.clone();
                            if weight > 0.0 {
                                parcel.weight_kg = weight;
                            }
                        }
                    }
                }
            }
        }
        Command::Courier(name) => {
            let (carrier, service) = match name.split_once([':', '/']) {
                Some((carrier, service)) => (carrier, Some(service.to_owned())),
                None => (name.as_str(), None),
            };
            with.carrier = Some(carrier.to_owned());
            with.service = service;
        }
        Command::Parcels(n) => {
            let one = with.parcels.first().cloned().unwrap_or_default();
            with.parcels = vec![one; usize::from(*n)];
        }
        _ => {}
    }
}
