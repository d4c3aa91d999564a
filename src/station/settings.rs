//! What the station is told once, at start.
//!
//! Over 500 lines because every rule stands beside the look-up that applies it.

use crate::domain::reading::{self, Meaning, Reading};
use crate::domain::{
    AccountName, Order, Parcel, Party, PrinterName, SaleOrder, StatusAct, WritebackRule,
};
use regex::Regex;
use std::collections::BTreeMap;
use std::time::Duration;

/// `scan.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScanMode {
    /// A scan ships.
    #[default]
    Print,
    /// A scan arms, a button press ships.
    Arm,
}

/// `starshipit.on_printed_elsewhere`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Elsewhere {
    /// YES or a press prints it.
    #[default]
    Ask,
    /// The first scan prints it.
    PrintOnce,
    /// Refused.
    Refuse,
}

/// `starshipit.confirm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirm {
    /// Starshipit is left to refuse.
    Never,
    /// What would be wrong by construction is asked for (contract 38).
    #[default]
    Missing,
    /// Every purchase.
    Always,
}

/// `offline.release`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// RESUME releases what queued.
    #[default]
    Ask,
    /// It prints when the network is back, each label after its ticket.
    Print,
}

/// `prefetch.unverified`: what happens to a held label that cannot be re-checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unverified {
    /// It prints.
    #[default]
    Print,
    /// It waits.
    Hold,
}

/// By what an order is looked up, in the order of `scan.fallback`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// Order number.
    OrderNumber,
    /// Customer reference.
    Reference,
    /// Tracking number.
    Tracking,
    /// CartonCloud's `references.numericId` (only in [`super::Effect::FindSale`]).
    Numeric,
    /// CartonCloud's UUID (only in [`super::Effect::FindSale`]).
    Id,
}

/// `push`, as a route has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRule {
    /// Sale orders of the route are made Starshipit orders by whoever has the push duty; otherwise
    /// CartonCloud's own link does it.
    pub enabled: bool,
    /// In these statuses by themselves.
    pub statuses: Vec<String>,
    /// Template of the number in Starshipit.
    pub order_number: String,
    /// Template of the reference in Starshipit.
    pub reference: String,
}

impl Default for PushRule {
    fn default() -> Self {
        Self {
            enabled: false,
            statuses: vec!["PACKED".to_owned(), "DISPATCHED".to_owned()],
            order_number: "{references.customer}".to_owned(),
            reference: "{references.numericId}".to_owned(),
        }
    }
}

/// `cartoncloud.print_when`: a field of the sale order that asks for its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrintWhen {
    /// Path in the order.
    pub path: String,
    /// Its text then, compared without case.
    pub equals: String,
}

/// `prefetch`, as a route has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AheadRule {
    /// Couriers whose labels may be bought before their order is scanned, by code or name; `*`: all,
    /// also one that Starshipit's rules choose only when the label is made.
    pub couriers: Vec<String>,
    /// Most purchases a day.
    pub daily_cap: u32,
    /// What that limit is counted for: a route with a limit of its own, or (empty) the bench.
    pub counts_as: String,
    /// What happens when a re-check cannot answer.
    pub unverified: Unverified,
}

impl Default for AheadRule {
    fn default() -> Self {
        Self {
            couriers: Vec::new(),
            daily_cap: 200,
            counts_as: String::new(),
            unverified: Unverified::Print,
        }
    }
}

impl AheadRule {
    /// This courier's labels may be bought ahead.
    pub fn allows(&self, code: Option<&str>, name: Option<&str>) -> bool {
        self.couriers.iter().any(|wanted| {
            let wanted = wanted.trim();
            wanted == "*"
                || [code, name]
                    .into_iter()
                    .flatten()
                    .any(|own| own.trim().eq_ignore_ascii_case(wanted))
        })
    }
}

/// `verify.mode`: whether the label is scanned once it is on its parcel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// No.
    #[default]
    Off,
    /// It is asked for; going on to the next order is allowed.
    Ask,
    /// Nothing else is taken until it was.
    Strict,
}

/// Which orders go to which account and printer, and what is different for them. First match wins.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Matches the scanned text, or a sale order's own number; `None` fits everything.
    pub scan: Option<Regex>,
    /// Customer of the sale order: code, name or id.
    pub customer: Option<String>,
    /// Warehouse of the sale order.
    pub warehouse: Option<String>,
    /// Account to ask and buy with.
    pub account: AccountName,
    /// Printer of its labels.
    pub printer: PrinterName,
    /// Instead of [`Settings::confirm`].
    pub confirm: Option<Confirm>,
    /// What a sale order's status does, by its word.
    pub on_status: BTreeMap<String, StatusAct>,
    /// Labels ahead of the scan.
    pub ahead: AheadRule,
    /// Into Starshipit.
    pub push: PushRule,
    /// Tracking numbers back.
    pub writeback: WritebackRule,
    /// Paths whose values the ledger keeps for sinks; at most [`crate::domain::sale::MAX_KEPT`].
    pub keep: Vec<String>,
    /// `documents`: for the shell, which asks Starshipit for them; the core treats all alike.
    pub documents: Vec<String>,
}

impl Route {
    /// Everything to one account and one printer.
    pub fn plain(account: &str, printer: &str) -> Self {
        Self {
            account: account.into(),
            printer: printer.into(),
            ..Self::default()
        }
    }

    /// What this status does.
    pub fn on(&self, status: &str) -> Option<StatusAct> {
        let mut acts = self.on_status.iter();
        acts.find(|(word, _)| word.eq_ignore_ascii_case(status))
            .map(|(_, act)| *act)
    }

    fn takes(&self, customer: &Party, warehouse: &Party) -> bool {
        self.customer.as_ref().is_none_or(|c| customer.is(c))
            && self.warehouse.as_ref().is_none_or(|w| warehouse.is(w))
    }

    fn scans(&self, text: &str) -> bool {
        self.scan.as_ref().is_none_or(|scan| scan.is_match(text))
    }
}

/// Sends documents of a label type to another printer (`[[printers.overrides]]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrinterRule {
    /// Printer the label would go to.
    pub of: PrinterName,
    /// `label_types` word, compared without case.
    pub label_type: String,
    /// Where such a document goes instead.
    pub printer: PrinterName,
}

/// What the station is told once, at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Command barcode prefix of the site.
    pub prefix: String,
    /// The same code from the same scanner within this is the same act.
    pub repeat_window: Duration,
    /// Print or arm.
    pub mode: ScanMode,
    /// Anchored patterns with groups `order`, `numeric`, `id`, `reference`, `tracking`.
    pub patterns: Vec<Regex>,
    /// By what an unmatched scan is looked up.
    pub fallback: Vec<Lookup>,
    /// First match wins for printing; all matches are asked (contract 4).
    pub routes: Vec<Route>,
    /// Every printer there is.
    pub printers: Vec<PrinterName>,
    /// Where documents of a type go.
    pub printer_rules: Vec<PrinterRule>,
    /// Which printer stands in for which (`printers.fallback`).
    pub stand_ins: BTreeMap<PrinterName, PrinterName>,
    /// Labels made elsewhere.
    pub elsewhere: Elsewhere,
    /// Questions before buying.
    pub confirm: Confirm,
    /// How long after a send a second "not there" is believed (contract 1).
    pub settle: Duration,
    /// How long a queued scan may wait.
    pub expire_after: Duration,
    /// Whether queued scans wait for RESUME.
    pub release: Release,
    /// How long the re-check of a held label may take.
    pub recheck: Duration,
    /// This station buys ahead for its routes (contract 5).
    pub prefetch_duty: bool,
    /// This station prints what a status asks for.
    pub print_duty: bool,
    /// Most labels held unused before no more are bought ahead.
    pub max_held: u32,
    /// A held label older than this does not print without its re-check.
    pub max_age: Duration,
    /// The bench's own days, for the daily limit.
    pub zone: jiff::tz::TimeZone,
    /// The label is scanned after the order.
    pub verify: Verify,
    /// Buttons that ship the next order waiting: by name, the statuses it waits in.
    pub next: BTreeMap<String, Vec<String>>,
    /// An order that a button chose is told on paper before its label.
    pub tickets: bool,
    /// Packaging presets by name (metres, kilograms of the empty box).
    pub presets: BTreeMap<String, Parcel>,
    /// Most acts under way or queued.
    pub max_acts: usize,
    /// CartonCloud is configured: its sale orders come first.
    pub cartoncloud: bool,
    /// This station pushes for its tenant (contract 5).
    pub push_duty: bool,
    /// How long a bench without the push duty waits for the pusher.
    pub pusher_wait: Duration,
    /// Prints what the field asks for; `None` also where another station has that duty.
    pub print_when: Option<PrintWhen>,
}

impl Settings {
    /// Settings of a bench with one account and one printer; everything else as by default.
    pub fn simple(prefix: &str, account: &str, printer: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            repeat_window: Duration::from_millis(1500),
            mode: ScanMode::Print,
            patterns: Vec::new(),
            fallback: vec![Lookup::OrderNumber, Lookup::Reference, Lookup::Tracking],
            routes: vec![Route::plain(account, printer)],
            printers: vec![printer.into()],
            printer_rules: Vec::new(),
            stand_ins: BTreeMap::new(),
            elsewhere: Elsewhere::Ask,
            confirm: Confirm::Missing,
            settle: Duration::from_secs(90),
            expire_after: Duration::from_secs(30 * 60),
            release: Release::Ask,
            recheck: Duration::from_millis(300),
            prefetch_duty: false,
            print_duty: false,
            max_held: 500,
            max_age: Duration::from_secs(3 * 24 * 3600),
            zone: jiff::tz::TimeZone::UTC,
            verify: Verify::Off,
            next: BTreeMap::new(),
            tickets: false,
            presets: BTreeMap::new(),
            max_acts: 500,
            cartoncloud: false,
            push_duty: false,
            pusher_wait: Duration::from_secs(10),
            print_when: None,
        }
    }

    /// Accounts that may hold an order with this text, in the order of the routes.
    pub fn accounts_for(&self, text: &str) -> Vec<AccountName> {
        let mut accounts: Vec<AccountName> = Vec::new();
        for route in &self.routes {
            if route.scans(text) && !accounts.contains(&route.account) {
                accounts.push(route.account.clone());
            }
        }
        accounts
    }

    /// Printer for an order of this account that was scanned as `text`.
    pub fn printer_for(&self, account: &AccountName, text: &str) -> Option<PrinterName> {
        let mut routes = self.routes.iter().filter(|r| r.account == *account);
        routes
            .clone()
            .find(|r| r.scans(text))
            .or_else(|| routes.next())
            .map(|r| r.printer.clone())
            .or_else(|| self.printers.first().cloned())
    }

    /// The route of a sale order, by its customer, its warehouse and its own number.
    pub fn sale_route(&self, sale: &SaleOrder) -> Option<usize> {
        self.routes
            .iter()
            .position(|r| r.takes(&sale.customer, &sale.warehouse) && r.scans(&sale.number))
    }

    /// The route of an order of the ledger. Its account stays what it was bought with.
    pub fn route_of(&self, order: &Order) -> Option<usize> {
        let fits = |r: &Route| {
            r.account == order.account
                && order
                    .sale
                    .as_ref()
                    .is_none_or(|s| r.takes(&s.customer, &s.warehouse))
        };
        let by_name = |r: &Route| {
            r.scans(&order.number) || order.reference.as_ref().is_some_and(|text| r.scans(text))
        };
        self.routes
            .iter()
            .position(|r| fits(r) && by_name(r))
            .or_else(|| self.routes.iter().position(fits))
    }

    /// The route of an order that a sink is told about.
    pub fn route_of_dispatch(
        &self,
        dispatch: &crate::domain::writeback::Dispatch,
    ) -> Option<usize> {
        self.routes.iter().position(|r| {
            r.account == dispatch.account
                && dispatch
                    .sale
                    .as_ref()
                    .is_none_or(|s| r.takes(&s.customer, &s.warehouse))
        })
    }

    /// What to look up for a scan: a pattern's groups, else what GS1 data or an address means, else
    /// the fallbacks. Empty: no order can be meant.
    pub fn lookups(&self, text: &str) -> Vec<(Lookup, String)> {
        let groups = self.groups(
            text,
            &[
                ("order", Lookup::OrderNumber),
                ("numeric", Lookup::OrderNumber),
                ("reference", Lookup::Reference),
                ("tracking", Lookup::Tracking),
            ],
        );
        if !groups.is_empty() {
            return groups;
        }
        match reading::read(text) {
            Reading::Plain => {}
            Reading::NoOrder => return Vec::new(),
            Reading::Means(meanings) => {
                return meanings
                    .into_iter()
                    .filter_map(|meaning| match meaning {
                        Meaning::OrderNumber(text) | Meaning::Numeric(text) => {
                            Some((Lookup::OrderNumber, text))
                        }
                        Meaning::Tracking(text) | Meaning::Sscc(text) => {
                            Some((Lookup::Tracking, text))
                        }
                        // CartonCloud's own identity: the ledger goes by it, Starshipit does not.
                        Meaning::Uuid(_) => None,
                    })
                    .collect();
            }
        }
        self.fallback
            .iter()
            .map(|lookup| (*lookup, text.to_owned()))
            .collect()
    }

    /// What to look up in CartonCloud for a scan; nothing for what it cannot know (a tracking number,
    /// an order that only Starshipit has).
    pub fn sale_lookups(&self, text: &str) -> Vec<(Lookup, String)> {
        let folded = text.to_ascii_lowercase();
        if folded.starts_with("ss:") {
            return Vec::new();
        }
        // `ORDER-cc:<uuid>`, a bare UUID, and the addresses of CartonCloud's own pages.
        let id = match folded.strip_prefix("cc:") {
            Some(id) => Some(id.to_owned()),
            None => uuid_of(&folded).or_else(|| uuid_of(after(&folded, "/outbound-orders/")?)),
        };
        if let Some(id) = id {
            return vec![(Lookup::Id, id)];
        }
        if let Some(page) = after(&folded, "/saleorders/view/") {
            let digits: String = page.chars().take_while(char::is_ascii_digit).collect();
            return vec![(Lookup::Numeric, digits)];
        }
        let groups = self.groups(
            text,
            &[
                ("id", Lookup::Id),
                ("order", Lookup::OrderNumber),
                ("numeric", Lookup::Numeric),
                ("reference", Lookup::OrderNumber),
                ("tracking", Lookup::Tracking),
            ],
        );
        if groups.is_empty() {
            match reading::read(text) {
                Reading::Plain => {}
                Reading::NoOrder => return Vec::new(),
                Reading::Means(meanings) => {
                    return meanings
                        .into_iter()
                        .filter_map(|meaning| match meaning {
                            Meaning::OrderNumber(text) => Some((Lookup::OrderNumber, text)),
                            Meaning::Numeric(text) => Some((Lookup::Numeric, text)),
                            Meaning::Uuid(uuid) => Some((Lookup::Id, uuid)),
                            // A courier's number: Starshipit is asked.
                            Meaning::Tracking(_) | Meaning::Sscc(_) => None,
                        })
                        .collect();
                }
            }
        }
        let mut lookups = if groups.is_empty() {
            let numeric = text.bytes().all(|b| b.is_ascii_digit());
            self.fallback
                .iter()
                .filter_map(|lookup| match lookup {
                    Lookup::Reference if numeric => Some(Lookup::Numeric),
                    Lookup::OrderNumber | Lookup::Numeric | Lookup::Id => Some(*lookup),
                    Lookup::Reference | Lookup::Tracking => None,
                })
                .map(|lookup| (lookup, text.to_owned()))
                .collect()
        } else {
            groups
        };
        lookups.retain(|(lookup, _)| *lookup != Lookup::Tracking);
        lookups
    }

    /// What the first pattern that fits makes of a text.
    fn groups(&self, text: &str, wanted: &[(&str, Lookup)]) -> Vec<(Lookup, String)> {
        for pattern in &self.patterns {
            let Some(found) = pattern.captures(text) else {
                continue;
            };
            let groups: Vec<_> = wanted
                .iter()
                .filter_map(|(group, lookup)| {
                    let text = found.name(group)?.as_str();
                    (!text.is_empty()).then(|| (*lookup, text.to_owned()))
                })
                .collect();
            if !groups.is_empty() {
                return groups;
            }
        }
        Vec::new()
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    Some(&text[text.find(mark)? + mark.len()..])
}

/// The UUID at the start of a (folded) text, if nothing that could belong to it follows.
fn uuid_of(text: &str) -> Option<String> {
    let head = text.get(..36)?;
    let ends = !text[36..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-');
    let shaped = head.bytes().enumerate().all(|(n, b)| match n {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    (ends && shaped).then(|| head.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    #[track_caller]
    fn check(patterns: &[&str], text: &str, expected: &[(Lookup, &str)]) {
        let mut settings = Settings::simple("PS.", "main", "label");
        settings.patterns = patterns.iter().map(|p| Regex::new(p).unwrap()).collect();
        let found = settings.sale_lookups(text);
        let found: Vec<_> = found.iter().map(|(l, t)| (*l, t.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_cartoncloud_cannot_know_is_not_asked_there() {
        check(&[], "ss:main:17", &[]);
        check(&[r"^TRK(?P<tracking>\d+)$"], "TRK12", &[]);
    }

    #[test]
    fn a_uuid_names_one_order_however_it_comes() {
        for text in [
            UUID.to_owned(),
            UUID.to_ascii_uppercase(),
            format!("cc:{UUID}"),
            format!("https://app.example/t/1/outbound-orders/{UUID}?tab=2"),
        ] {
            check(&[], &text, &[(Lookup::Id, UUID)]);
        }
        let longer = format!("{UUID}0");
        check(&[], &longer, &[(Lookup::OrderNumber, &longer)]);
    }

    #[test]
    fn patterns_come_before_the_fallbacks_and_digits_may_be_cartonclouds_own_number() {
        let patterns = [r"^SO-?(?P<numeric>\d+)$", r"^R(?P<reference>\w+)$"];
        check(&patterns, "SO-12", &[(Lookup::Numeric, "12")]);
        check(&patterns, "RX1", &[(Lookup::OrderNumber, "X1")]);
        let both = [(Lookup::OrderNumber, "12"), (Lookup::Numeric, "12")];
        check(&patterns, "12", &both);
        check(&patterns, "WEB-1", &[(Lookup::OrderNumber, "WEB-1")]);
        let page = "https://app.example/SaleOrders/view/4711";
        check(&[], page, &[(Lookup::Numeric, "4711")]);
    }
}
