//! What the station is told once, at start.

use crate::domain::reading::{self, Meaning, Reading};
use crate::domain::{AccountName, Parcel, PrinterName};
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
}

/// A route of a bench without CartonCloud: by what was scanned.
#[derive(Clone, Debug)]
pub struct Route {
    /// Matches the scanned text; `None` fits everything.
    pub scan: Option<Regex>,
    /// Account to ask and buy with.
    pub account: AccountName,
    /// Printer of its labels.
    pub printer: PrinterName,
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
    /// Anchored patterns with groups `order`, `reference`, `tracking` (others are for CartonCloud).
    pub patterns: Vec<Regex>,
    /// By what an unmatched scan is looked up.
    pub fallback: Vec<Lookup>,
    /// First match wins for printing; all matches are asked (contract 4).
    pub routes: Vec<Route>,
    /// Every printer there is.
    pub printers: Vec<PrinterName>,
    /// Where documents of a type go.
    pub printer_rules: Vec<PrinterRule>,
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
    /// What happens when it cannot answer.
    pub unverified: Unverified,
    /// Packaging presets by name (metres, kilograms of the empty box).
    pub presets: BTreeMap<String, Parcel>,
    /// Most acts under way or queued.
    pub max_acts: usize,
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
            routes: vec![Route {
                scan: None,
                account: account.into(),
                printer: printer.into(),
            }],
            printers: vec![printer.into()],
            printer_rules: Vec::new(),
            elsewhere: Elsewhere::Ask,
            confirm: Confirm::Missing,
            settle: Duration::from_secs(90),
            expire_after: Duration::from_secs(30 * 60),
            release: Release::Ask,
            recheck: Duration::from_millis(300),
            unverified: Unverified::Print,
            presets: BTreeMap::new(),
            max_acts: 500,
        }
    }

    /// Accounts that may hold an order with this text, in the order of the routes.
    pub fn accounts_for(&self, text: &str) -> Vec<AccountName> {
        let mut accounts: Vec<AccountName> = Vec::new();
        for route in &self.routes {
            if route.scan.as_ref().is_none_or(|scan| scan.is_match(text))
                && !accounts.contains(&route.account)
            {
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
            .find(|r| r.scan.as_ref().is_none_or(|scan| scan.is_match(text)))
            .or_else(|| routes.next())
            .map(|r| r.printer.clone())
            .or_else(|| self.printers.first().cloned())
    }

    /// What to look up for a scan: a pattern's groups, else what GS1 data or an address means, else
    /// the fallbacks. Empty: no order can be meant.
    pub fn lookups(&self, text: &str) -> Vec<(Lookup, String)> {
        for pattern in &self.patterns {
            let Some(found) = pattern.captures(text) else {
                continue;
            };
            let groups: Vec<_> = [
                ("order", Lookup::OrderNumber),
                ("numeric", Lookup::OrderNumber),
                ("reference", Lookup::Reference),
                ("tracking", Lookup::Tracking),
            ]
            .into_iter()
            .filter_map(|(group, lookup)| {
                let text = found.name(group)?.as_str();
                (!text.is_empty()).then(|| (lookup, text.to_owned()))
            })
            .collect();
            if !groups.is_empty() {
                return groups;
            }
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
}
