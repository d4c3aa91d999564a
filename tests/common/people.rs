//! What people do at the virtual bench, and what they see there.

use super::{PREFIX, Paper, Printer, World};
use printstation::domain::order::Intent;
use printstation::domain::{
    ActId, Order, OrderId, Outcome, PageState, SaleOrder, ScanReply, ScanText, Source, State,
    Timestamp,
};
use printstation::station::{Ask, AskKind, Input, Press, Token, WritebackVerb};

impl World {
    /// Scans at the bench and lets everything come to rest; the last thing said to this scan.
    pub fn scan(&mut self, text: &str) -> ScanReply {
        self.scan_at("bench", text)
    }

    pub fn scan_at(&mut self, trigger: &str, text: &str) -> ScanReply {
        let token = self.hand_in(trigger, None, text);
        self.run();
        self.reply_to(token)
    }

    pub fn scan_by(&mut self, trigger: &str, user: &str, text: &str) -> ScanReply {
        let token = self.hand_in(trigger, Some(user), text);
        self.run();
        self.reply_to(token)
    }

    pub fn command(&mut self, name: &str) -> ScanReply {
        self.scan(&format!("{PREFIX}{name}"))
    }

    /// Gives a scan to the core without letting anything run.
    pub fn hand_in(&mut self, trigger: &str, user: Option<&str>, text: &str) -> Token {
        let key = format!("{trigger}/{}", user.unwrap_or_default());
        self.notice(&key, text);
        let about = self.last_scanned.get(&key).cloned();
        let about = about
            .filter(|_| !text.ends_with("RESUME"))
            .unwrap_or_default();
        let token = self.new_token(about);
        self.handle(Input::Scan {
            token: Some(token),
            text: ScanText::parse(text).expect("scenarios scan readable text"),
            source: Source {
                trigger: trigger.to_owned(),
                user: user.map(str::to_owned),
            },
        });
        token
    }

    /// A hand on the button; what the station says to it.
    pub fn press(&mut self, press: Press) -> ScanReply {
        if press == Press::ReprintLast {
            for number in self.last_scanned.values().cloned().collect::<Vec<_>>() {
                self.allow(&number, "REPRINT");
                self.is_there(&number);
            }
        }
        if !self.settings.next.is_empty() {
            // Whichever order it ships, somebody stands there and waits for it.
            let waiting: Vec<String> = self
                .cloud
                .sale_orders
                .values()
                .map(|s| s.number.clone())
                .collect();
            waiting.iter().for_each(|number| self.is_there(number));
        }
        let numbers: Vec<String> = self.asked_about.values().cloned().collect();
        numbers.iter().for_each(|number| self.is_there(number));
        let token = self.new_token(String::new());
        self.handle(Input::Press {
            token: Some(token),
            button: "button".to_owned(),
            press,
        });
        self.run();
        self.reply_to(token)
    }

    pub fn ask(&mut self, kind: AskKind, order: &str) -> ScanReply {
        let token = self.new_token(order.to_owned());
        match kind {
            AskKind::Reprint => self.allow(order, "REPRINT"),
            AskKind::Redo | AskKind::NextParcel => self.allow(order, "REDO"),
            AskKind::Release | AskKind::Cancel => {}
        }
        self.is_there(order);
        self.handle(Input::Ask {
            token: Some(token),
            ask: Ask {
                kind,
                order: order.to_owned(),
                reason: None,
                parcels: Vec::new(),
            },
            source: Source {
                trigger: "http".to_owned(),
                user: None,
            },
        });
        self.run();
        self.reply_to(token)
    }

    /// CartonCloud's custom button, as the hook hands it on.
    pub fn print_asked(&mut self, number: &str) -> ScanReply {
        let token = self.new_token(number.to_owned());
        self.is_there(number);
        let sale = self.cloud.sale(number).clone();
        let known = self.known_sale(&sale);
        self.handle(Input::PrintAsked {
            token: Some(token),
            sale: Box::new(sale),
            known: known.map(Box::new),
            source: Source {
                trigger: "cartoncloud".to_owned(),
                user: None,
            },
        });
        self.run();
        self.reply_to(token)
    }

    /// Reconcile reads Starshipit's list of labels.
    pub fn made_elsewhere(&mut self, number: &str) {
        let remote = self.cloud.by_number(number).remote.clone();
        let sale = self.cloud.sale_orders.values().find(|s| s.number == number);
        let sale = sale.cloned();
        let id = OrderId::starshipit(&remote.account, remote.order_id);
        let known = self.memory.by_alias(&id.0.to_ascii_lowercase()).pop();
        let known = known.or_else(|| self.known_sale(sale.as_ref()?));
        self.handle(Input::MadeElsewhere {
            remote: Box::new(remote),
            sale: sale.map(Box::new),
            known: known.map(Box::new),
        });
        self.run();
    }

    /// A person decides about a writeback.
    pub fn decide(&mut self, order: &OrderId, n: u32, verb: WritebackVerb) -> ScanReply {
        let token = self.new_token(String::new());
        let known = self.memory.order(order).cloned();
        self.handle(Input::Writeback {
            token: Some(token),
            order: order.clone(),
            known: known.map(Box::new),
            n,
            verb,
            source: Source {
                trigger: "http".to_owned(),
                user: None,
            },
        });
        self.run();
        self.reply_to(token)
    }

    /// Last words about an order number.
    pub fn said_times(&self, number: &str) -> usize {
        self.said
            .iter()
            .filter(|s| s.last && s.reply.order.as_deref() == Some(number))
            .count()
    }

    /// Counts what people ask for: a command may mean the last order of its scanner or the next one.
    fn notice(&mut self, trigger: &str, text: &str) {
        // Whoever gives a command about an order stands there with it.
        if text.starts_with(PREFIX) && !text.ends_with("RESUME") {
            if let Some(number) = self.last_scanned.get(trigger).cloned() {
                self.is_there(&number);
            }
            if let Some(number) = self.asked_about.get(trigger).cloned() {
                self.is_there(&number);
            }
            if text.ends_with("YES") {
                self.vouch();
            }
        }
        match text.strip_prefix(PREFIX) {
            Some("RESUME") => {
                self.resumes += 1;
                self.let_go();
            }
            Some(command @ ("REPRINT" | "REDO" | "NEXT-PARCEL")) => {
                if let Some(number) = self.last_scanned.get(trigger).cloned() {
                    self.allow(&number, command);
                }
                let asked_about = self.asked_about.get(trigger).cloned();
                if let Some(number) = asked_about.filter(|_| command == "REPRINT") {
                    self.allow(&number, command);
                }
                let waiting = self.armed.entry(trigger.to_owned()).or_default();
                waiting.push(command.to_owned());
            }
            Some(name) if name.starts_with("ORDER-") => {
                let id = OrderId(name["ORDER-".len()..].to_owned());
                if let Some(number) = self.memory.order(&id).map(|o| o.number.clone()) {
                    self.there_again(trigger, &number);
                }
            }
            Some(_) => {}
            None => {
                let numeric = |s: &&SaleOrder| s.numeric_id.as_deref() == Some(text);
                let sale = self.cloud.sale_orders.values().find(numeric);
                let number = sale.map_or_else(|| number_of(text), |s| s.number.clone());
                self.there_again(trigger, &number);
            }
        }
    }

    /// Somebody stands there with the order: what prints now is not unannounced.
    fn there_again(&mut self, trigger: &str, number: &str) {
        self.is_there(number);
        for command in self.armed.remove(trigger).unwrap_or_default() {
            self.allow(number, &command);
        }
        self.last_scanned
            .insert(trigger.to_owned(), number.to_owned());
    }

    /// What waited may print, each label after its ticket.
    pub(super) fn let_go(&mut self) {
        for (number, scans) in std::mem::take(&mut self.silent) {
            if self.permits(&number) == 0 {
                self.to_announce.insert(number.clone());
            }
            *self.released.entry(number).or_default() += scans;
        }
    }

    pub(super) fn is_there(&mut self, number: &str) {
        *self.released.entry(number.to_owned()).or_default() += 1;
        self.to_announce.remove(number);
    }

    /// Scripts say YES without looking: what is in doubt now is then called printed by a person.
    fn vouch(&mut self) {
        let doubtful = self
            .memory
            .orders()
            .flat_map(|o| &o.shipments)
            .flat_map(|s| {
                s.pages
                    .iter()
                    .enumerate()
                    .filter(|(_, p)| matches!(p.state, PageState::InDoubt | PageState::Sending))
                    .map(|(n, _)| (s.order_id, n))
            });
        self.vouched.extend(doubtful.collect::<Vec<_>>());
    }

    fn allow(&mut self, number: &str, command: &str) {
        let asked = self.asked.entry(number.to_owned()).or_default();
        if command == "REPRINT" {
            asked.reprints += 1;
        } else {
            asked.purchases += 1;
        }
    }

    fn new_token(&mut self, about: String) -> Token {
        let token = self.next_token;
        self.next_token += 1;
        self.open_tokens.insert(token);
        self.texts.insert(token, about);
        token
    }

    pub fn reply_to(&self, token: Token) -> ScanReply {
        self.said
            .iter()
            .rev()
            .find(|said| said.token == Some(token))
            .map_or_else(
                || {
                    assert!(
                        self.disturbed || self.crashes > 0,
                        "nothing was ever said to scan {token}"
                    );
                    ScanReply::new(Outcome::Ignored, "lost in a crash")
                },
                |said| said.reply.clone(),
            )
    }

    /// The newest thing said to anybody about a text or order number.
    pub fn last_word(&self, about: &str) -> ScanReply {
        self.said
            .iter()
            .rev()
            .find(|s| s.scanned == about || s.reply.order.as_deref() == Some(about))
            .map_or_else(
                || {
                    assert!(
                        self.disturbed || self.crashes > 0,
                        "nothing was ever said about {about}"
                    );
                    ScanReply::new(Outcome::Ignored, "lost in a crash")
                },
                |said| said.reply.clone(),
            )
    }

    pub fn was_said(&self, about: &str, outcome: Outcome) -> bool {
        self.said
            .iter()
            .any(|s| s.reply.order.as_deref() == Some(about) && s.reply.outcome == outcome)
    }

    pub fn printer(&mut self, name: &str) -> &mut Printer {
        self.printers.entry(name.into()).or_default()
    }

    /// Pages of an order number that came out.
    pub fn printed(&self, number: &str) -> usize {
        self.paper
            .iter()
            .filter(|p| matches!(p, Paper::Page { job, .. } if job.number == number))
            .count()
    }

    pub fn tickets(&self) -> Vec<&Vec<String>> {
        self.paper
            .iter()
            .filter_map(|p| match p {
                Paper::Ticket(lines) => Some(lines),
                Paper::Page { .. } => None,
            })
            .collect()
    }

    /// The order as the ledger has it; an empty one where a crash came before it.
    pub fn durable(&self, number: &str) -> Order {
        self.memory
            .orders()
            .find(|o| o.number == number)
            .cloned()
            .unwrap_or_else(|| {
                assert!(
                    self.disturbed || self.crashes > 0,
                    "{number} is not in the ledger"
                );
                self.nothing(number)
            })
    }

    fn nothing(&self, number: &str) -> Order {
        Order::new(
            OrderId::default(),
            number.to_owned(),
            "main".into(),
            "label".into(),
            Timestamp(0),
        )
    }

    pub fn state(&self, number: &str) -> State {
        self.durable(number).state()
    }

    pub fn acts_open(&self) -> Vec<ActId> {
        self.memory.open_acts()
    }

    /// The scenario's own expectations: not when something was broken on purpose.
    pub fn expect(&mut self, check: impl FnOnce(&mut Self)) {
        if !self.disturbed {
            check(self);
        }
    }

    /// Lets everything run until something is so, or everything is at rest.
    pub fn run_until(&mut self, so: impl Fn(&Self) -> bool) {
        while !so(self) {
            if !self.step() {
                if self.replies.is_empty() {
                    assert!(self.disturbed || self.crashes > 0, "it never came to that");
                    return;
                }
                self.deliver(0);
            }
        }
    }

    /// What came out, in order: order numbers, and `ticket`.
    pub fn papers(&self) -> Vec<String> {
        self.paper
            .iter()
            .map(|p| match p {
                Paper::Page { job, .. } => job.number.clone(),
                Paper::Ticket(_) => "ticket".to_owned(),
            })
            .collect()
    }

    pub fn durable_tracking(&self, number: &str) -> Vec<String> {
        self.memory
            .orders()
            .find(|o| o.number == number)
            .map(Order::tracking)
            .unwrap_or_default()
    }

    pub fn durable_intent(&self, number: &str) -> Option<Intent> {
        self.memory
            .orders()
            .find(|o| o.number == number)?
            .intent
            .clone()
    }
}

/// The order number behind what scenarios scan.
pub fn number_of(text: &str) -> String {
    // `cc:uuid-<number>~<n>`: how the virtual CartonCloud names a number's n-th sale order.
    if let Some(named) = text.strip_prefix("cc:uuid-") {
        return named
            .split('~')
            .next()
            .unwrap_or(named)
            .to_ascii_uppercase();
    }
    let bare = ["REF-", "SO-"].iter().find_map(|p| text.strip_prefix(p));
    bare.unwrap_or(text).to_owned()
}
