//! The shell of the virtual bench: carries out effects against cloud, ledger, spool and printers, and
//! checks what must hold at each of them.

use super::cloud::Call;
use super::memory::Refusal;
use super::people::number_of;
use super::sales::LateCreate;
use super::{Journey, Mishap, Paper, Said, Step, World};
use printstation::domain::order::IntentKind;
use printstation::domain::{
    AccountName, Code, Mono, OrderId, Outcome, PageRole, PageState, PrintOutcome, Proof, Record,
    RemoteOrder, SaleOrder, ScanReply,
};
use printstation::station::{Effect, Input, PageJob, Release, Token};
use std::collections::VecDeque;

impl World {
    pub(super) fn carry_out(&mut self, effect: Effect, mishap: Option<Mishap>, asked_since: bool) {
        if let (Some(Mishap::Call(fault)), Some(call)) = (mishap, call_of(&effect)) {
            self.cloud.plan.entry(call).or_default().push_front(fault);
        }
        let refused = mishap == Some(Mishap::Refused);
        match effect {
            Effect::Remember(records) => self.remember(records, refused),
            Effect::Answer {
                token,
                scanned,
                reply,
                last,
                ..
            } => {
                if last {
                    self.note_last_answer(token, &scanned, &reply, asked_since);
                }
                self.answer(token, scanned, *reply, last);
            }
            Effect::Signal(signal) => self.signals.push(signal),
            Effect::Recall { act, alias } => self.replies.push(Input::Recalled {
                act,
                orders: self.memory.by_alias(&alias),
            }),
            Effect::Find {
                act,
                accounts,
                texts,
            } => {
                let (hits, failures) = self.cloud.find(&accounts, &texts);
                let hits = hits
                    .into_iter()
                    .map(|remote| {
                        let id = OrderId::starshipit(&remote.account, remote.order_id);
                        let known = self.memory.by_alias(&id.0.to_ascii_lowercase()).pop();
                        (remote, known)
                    })
                    .collect();
                self.replies.push(Input::Found {
                    act,
                    hits,
                    failures,
                });
            }
            Effect::Look {
                order,
                account,
                order_id,
                why,
                sale,
                ..
            } => {
                let result = self.cloud.look(&account, order_id);
                let sale = sale.map(|uuid| self.cloud.read_sale(&uuid));
                self.replies.push(Input::Looked {
                    order,
                    order_id,
                    why,
                    result,
                    sale,
                });
            }
            Effect::FindSale { act, texts } => {
                let result = self.cloud.find_sales(&texts).map(|sales| {
                    let known = |sale: &SaleOrder| {
                        let found = self.known_sale(sale);
                        found.filter(|o| o.sale.is_some() || o.id.0.starts_with("cc:"))
                    };
                    sales.into_iter().map(|s| (s.clone(), known(&s))).collect()
                });
                self.replies.push(Input::FoundSale { act, result });
            }
            Effect::FindNext { statuses } => {
                let result = self.cloud.waiting(&statuses).map(|sales| {
                    let known = |sale: &SaleOrder| self.known_sale(sale);
                    sales.into_iter().map(|s| (s.clone(), known(&s))).collect()
                });
                self.replies.push(Input::FoundNext { result });
            }
            Effect::Archive {
                order,
                account,
                order_id,
            } => {
                let result = self.cloud.archive(&account, order_id);
                self.replies.push(Input::Archived {
                    order,
                    order_id,
                    result,
                });
            }
            Effect::LookNumber {
                order,
                account,
                number,
                ..
            } => {
                self.one_call_at_a_time(&order);
                let result = self.cloud.look_number(&account, &number).map(|hits| {
                    let known = |remote: &RemoteOrder| {
                        let id = OrderId::starshipit(&remote.account, remote.order_id);
                        self.memory.by_alias(&id.0.to_ascii_lowercase()).pop()
                    };
                    hits.into_iter().map(|h| (h.clone(), known(&h))).collect()
                });
                self.replies.push(Input::LookedNumber { order, result });
            }
            Effect::Create {
                order,
                account,
                uuid,
                number,
                reference,
                with,
                ..
            } => {
                self.one_call_at_a_time(&order);
                self.check_intended(&order, 0, Some(IntentKind::Create));
                let create = LateCreate {
                    at: Mono(self.now),
                    account,
                    uuid,
                    number,
                    reference,
                };
                let result = self.cloud.create(create, &with);
                self.replies.push(Input::Created { order, result });
            }
            Effect::ProbeSales => {
                let reachable = self.cloud.probe_sales();
                self.replies.push(Input::SalesProbed { reachable });
            }
            Effect::Buy {
                order,
                account,
                order_id,
                reprint,
                ..
            } => {
                self.one_call_at_a_time(&order);
                self.check_intended(&order, order_id, (!reprint).then_some(IntentKind::Buy));
                let result = self.cloud.buy(&account, order_id, reprint, Mono(self.now));
                if let Ok(bought) = &result {
                    self.in_hand
                        .extend(bought.documents.iter().map(|d| d.id.clone()));
                }
                self.replies.push(Input::Bought {
                    order,
                    reprint,
                    result,
                });
            }
            Effect::Replace {
                order,
                account,
                order_id,
            } => self.remake(order, &account, order_id, true),
            Effect::Clone {
                order,
                account,
                order_id,
            } => self.remake(order, &account, order_id, false),
            Effect::LookRemade {
                order,
                account,
                replace,
                order_id,
                known,
                ..
            } => {
                self.one_call_at_a_time(&order);
                let since = self.remakes.get(&order).copied().unwrap_or_default();
                let result = self
                    .cloud
                    .look_remade(&account, order_id, replace, &known, since);
                self.replies.push(Input::LookedRemade { order, result });
            }
            Effect::Store {
                order,
                order_id,
                documents,
            } => {
                let stored = !refused
                    && documents
                        .iter()
                        .all(|d| self.in_hand.contains(d) || self.spool.contains(d));
                if stored {
                    self.spool.extend(documents);
                }
                self.replies.push(Input::Stored {
                    order,
                    order_id,
                    stored,
                });
            }
            Effect::Prepare {
                order,
                order_id,
                documents,
                ..
            } => {
                let pages: Option<Vec<_>> = documents
                    .iter()
                    .map(|d| {
                        self.spool
                            .contains(&d.id)
                            .then(|| self.cloud.pages(&d.id))?
                    })
                    .collect();
                let result = pages
                    .filter(|_| !refused)
                    .map(|pages| pages.concat())
                    .ok_or((Code::LabelMissing, "not in the spool".to_owned()));
                self.replies.push(Input::Prepared {
                    order,
                    order_id,
                    result,
                });
            }
            Effect::Slip {
                order,
                account,
                order_id,
                ..
            } => {
                let result = self.cloud.slip(&account, order_id);
                if let Ok((meta, _)) = &result {
                    self.spool.insert(meta.id.clone());
                }
                self.replies.push(Input::SlipCame {
                    order,
                    order_id,
                    result,
                });
            }
            Effect::Send {
                order,
                order_id,
                page,
                job,
            } => {
                if let Some(Mishap::Page(journey)) = mishap {
                    let printer = self.printers.entry(job.printer.clone()).or_default();
                    printer.plan.push_front(journey);
                }
                self.send(order, order_id, page, *job);
            }
            Effect::CheckPrinter(printer) => {
                let trouble = self.printers.entry(printer.clone()).or_default().trouble;
                self.replies.push(Input::PrinterSeen { printer, trouble });
            }
            Effect::Probe(_) => {
                let reachable = self.cloud.probe();
                self.replies.push(Input::Probed { reachable });
            }
            Effect::Tally { since } => {
                let orders = self.memory.orders().filter(|o| o.updated >= since);
                let orders = (!refused).then(|| orders.cloned().collect());
                self.replies.push(Input::Tallied { orders });
            }
            Effect::HandOver { printer, sheets } => {
                let trouble = self.printers.entry(printer).or_default().trouble;
                let result = trouble.map_or(Ok(()), Err);
                if result.is_ok() {
                    self.paper.extend(sheets.into_iter().map(Paper::Ticket));
                }
                self.replies.push(Input::HandedOver { result });
            }
            Effect::TestLabel { code, .. } => self.paper.push(Paper::Ticket(vec![code])),
            Effect::Ticket { lines, .. } => {
                self.to_announce.retain(|number| !lines.contains(number));
                self.paper.push(Paper::Ticket(lines));
            }
        }
    }

    fn remember(&mut self, records: Vec<Record>, refused: bool) {
        assert!(
            !records.is_empty(),
            "an empty batch costs a flush for nothing"
        );
        for record in &records {
            if let Record::Order(order) = record {
                self.owes_what_it_should(order);
            }
        }
        let full = self.memory.full;
        self.memory.full |= refused;
        let committed = self.memory.commit(records);
        self.memory.full = full;
        if let Err(Refusal { act }) = committed {
            // Nothing of the same list is done.
            self.lists.pop_front();
            self.lists.push_front((0, VecDeque::new()));
            self.replies.push(Input::Full { act });
        }
    }

    /// Every scan may print until its last answer. One that was told "queued" may not, before RESUME,
    /// and then its ticket comes first.
    fn note_last_answer(
        &mut self,
        token: Option<Token>,
        scanned: &str,
        reply: &ScanReply,
        asked_since: bool,
    ) {
        let number = match token.and_then(|token| self.texts.get(&token)) {
            Some(number) => number.clone(),
            None => number_of(reply.order.as_deref().unwrap_or(scanned)),
        };
        // Without a token it is the end of a scan that waited, or of one that was let go.
        let waited = self.silent.get_mut(&number).filter(|_| token.is_none());
        if let Some(waited) = waited.filter(|waited| **waited > 0) {
            *waited -= 1;
        } else if let Some(permits) = self.released.get_mut(&number) {
            *permits = permits.saturating_sub(1);
        }
        if reply.outcome != Outcome::Queued {
            return;
        }
        let free = self.permits(&number) == 0;
        // A RESUME that came after it was decided holds for it as well.
        if self.settings.release == Release::Ask && !asked_since {
            *self.silent.entry(number.clone()).or_default() += 1;
            if free {
                self.to_announce.remove(&number);
            }
        } else {
            *self.released.entry(number.clone()).or_default() += 1;
            if free {
                self.to_announce.insert(number);
            }
        }
    }

    /// Scans of this order that a person, or RESUME, lets print.
    pub(super) fn permits(&self, number: &str) -> usize {
        self.released.get(number).copied().unwrap_or(0)
    }

    fn answer(&mut self, token: Option<Token>, scanned: String, reply: ScanReply, last: bool) {
        if reply.outcome == Outcome::Accepted || reply.outcome == Outcome::Queued {
            assert!(
                self.memory.acts_of(&scanned) > 0,
                "{:?} was said before {scanned} was durable",
                reply.outcome
            );
        }
        if let Some(token) = token.filter(|_| last) {
            assert!(
                self.open_tokens.remove(&token) || self.lost_tokens.contains(&token),
                "token {token} got two last answers: {reply:?}"
            );
        }
        self.said.push(Said {
            token,
            scanned,
            reply,
            last,
        });
    }

    fn remake(&mut self, order: OrderId, account: &AccountName, order_id: i64, replace: bool) {
        self.one_call_at_a_time(&order);
        let kind = if replace {
            IntentKind::Replace
        } else {
            IntentKind::Clone
        };
        self.check_intended(&order, order_id, Some(kind));
        self.remakes.insert(order.clone(), Mono(self.now));
        let result = self
            .cloud
            .remake(account, order_id, replace, Mono(self.now));
        self.replies.push(Input::Remade { order, result });
    }

    fn one_call_at_a_time(&mut self, order: &OrderId) {
        assert!(
            self.calls_out.insert(order.clone()),
            "two calls at once for {order}"
        );
    }

    /// P1: the call that leaves is the one that is on disk.
    fn check_intended(&self, id: &OrderId, order_id: i64, kind: Option<IntentKind>) {
        let order = self
            .memory
            .order(id)
            .expect("a call for an order that is not durable");
        match kind {
            Some(kind) => assert!(
                order
                    .intent
                    .as_ref()
                    .is_some_and(|i| i.kind == kind && i.order_id == order_id && i.sends >= 1),
                "{kind:?} for {id} left before its intent was durable: {:?}",
                order.intent
            ),
            None => assert!(
                order.live().any(|s| s.order_id == order_id),
                "reprint for {id} left before its shipment was durable"
            ),
        }
    }

    fn send(&mut self, id: OrderId, order_id: i64, page: usize, job: PageJob) {
        let durable = self
            .memory
            .order(&id)
            .expect("a page of an order that is not durable");
        let shipment = durable
            .shipments
            .iter()
            .find(|s| s.order_id == order_id)
            .expect("a page of a shipment that is not durable");
        assert!(!shipment.superseded, "a superseded label is printed");
        assert_eq!(
            shipment.pages.get(page).map(|p| p.state),
            Some(PageState::Sending),
            "page {page} of {id} was sent before that was durable"
        );
        if shipment.pages[page].role == PageRole::Label {
            assert!(
                self.silent.get(&job.number).is_none_or(|scans| *scans == 0)
                    || self.permits(&job.number) > 0,
                "{} was queued and prints unasked",
                job.number
            );
            assert!(
                !self.to_announce.contains(&job.number),
                "{} prints without its ticket",
                job.number
            );
        }
        let printer = self.printers.entry(job.printer.clone()).or_default();
        assert!(!printer.busy, "two pages at once on {}", job.printer);
        printer.busy = true;
        let journey = match printer.trouble {
            Some(code) => Some(Journey::NotStarted(code)),
            None => printer.plan.pop_front(),
        };
        let (out, outcome) = match journey {
            None => (
                true,
                PrintOutcome::Printed {
                    proof: Proof::Confirmed,
                },
            ),
            Some(Journey::NotStarted(code)) => (
                false,
                PrintOutcome::NotStarted {
                    code,
                    detail: String::new(),
                },
            ),
            Some(Journey::Cut { out }) => (
                out,
                PrintOutcome::InDoubt {
                    bytes: 100,
                    detail: "cut".to_owned(),
                },
            ),
        };
        if let Some(Journey::NotStarted(code)) = journey
            && code != Code::LabelMissing
        {
            printer.trouble = Some(code);
        }
        if out {
            self.paper.push(Paper::Page {
                printer: job.printer.clone(),
                job,
                order_id,
                page,
            });
        }
        self.replies.push(Input::PageEnded {
            order: id,
            order_id,
            page,
            outcome,
        });
    }
}

pub fn step_of(effect: &Effect) -> Step {
    match effect {
        Effect::Send { .. } => Step::Page,
        Effect::Remember(_) | Effect::Store { .. } | Effect::Prepare { .. } => Step::Disk,
        effect if call_of(effect).is_some() => Step::Call,
        _ => Step::Other,
    }
}

/// Which plan of the cloud an effect meets.
fn call_of(effect: &Effect) -> Option<Call> {
    Some(match effect {
        Effect::Find { .. } => Call::Find,
        Effect::Look { .. } => Call::Look,
        Effect::Buy { reprint: false, .. } => Call::Buy,
        Effect::Buy { reprint: true, .. } => Call::Reprint,
        Effect::Replace { .. } => Call::Replace,
        Effect::Clone { .. } => Call::Clone,
        Effect::LookRemade { .. } => Call::LookRemade,
        Effect::Probe(_) => Call::Probe,
        Effect::LookNumber { .. } => Call::LookNumber,
        Effect::Create { .. } => Call::Create,
        Effect::FindSale { .. } | Effect::FindNext { .. } => Call::FindSale,
        Effect::Archive { .. } => Call::Archive,
        Effect::ProbeSales => Call::ProbeSales,
        Effect::Slip { .. } => Call::Slip,
        _ => return None,
    })
}
