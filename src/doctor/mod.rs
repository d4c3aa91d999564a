//! `printstation doctor`: what was found, said so that it names its own cure.
//!
//! Pure: the shell (`runtime::checkup`, `cli::doctor`) gathers [`Fact`]s, from the running station
//! where it owns the device; [`report`] makes a line of each. A line is ok, warn or fail, and whatever
//! is not ok says what to do. Where a code exists its sentences are the code's own.
//!
//! * `fact.rs`: everything that can be found
//! * `services.rs`, `devices.rs`, `machine.rs`, `work.rs`, `duties.rs`: what it means
//! * `network.rs`: errors of name look-up, connection and TLS in plain words

mod devices;
mod duties;
pub mod fact;
mod machine;
mod network;
mod services;
mod work;

pub use fact::Fact;

use crate::domain::{Code, Timestamp};
use crate::system::clock::{self, Evidence, Trust};
use serde::Serialize;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works; somebody should look.
    Warn,
    /// It does not work.
    Fail,
}

impl State {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What was looked at: `printer`, `clock`, … Stable.
    pub check: &'static str,
    /// Which of them; empty where there is one.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// The code of the table, where there is one.
    pub code: Option<Code>,
    /// What was found.
    pub what: String,
    /// What to do; none where nothing is to be done.
    pub fix: Option<String>,
}

impl Line {
    fn new(check: &'static str, name: &str, state: State, what: String) -> Self {
        Self {
            check,
            name: name.to_owned(),
            state,
            code: None,
            what,
            fix: None,
        }
    }

    fn ok(check: &'static str, name: &str, what: impl Into<String>) -> Self {
        Self::new(check, name, State::Ok, what.into())
    }

    fn warn(
        check: &'static str,
        name: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            fix: Some(fix.into()),
            ..Self::new(check, name, State::Warn, what.into())
        }
    }

    fn fail(
        check: &'static str,
        name: &str,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            fix: Some(fix.into()),
            ..Self::new(check, name, State::Fail, what.into())
        }
    }

    /// In the words of a code, with what was seen behind them.
    fn coded(check: &'static str, name: &str, state: State, code: Code, seen: &str) -> Self {
        let words = code.explain();
        Self {
            code: Some(code),
            what: with(words.happened, seen),
            fix: Some(words.you.to_owned()),
            ..Self::new(check, name, state, String::new())
        }
    }

    /// And this, before what the code says to do.
    fn first(mut self, fix: impl Into<String>) -> Self {
        let fix = fix.into();
        self.fix = Some(match self.fix {
            Some(then) if !then.is_empty() => format!("{fix}. {then}"),
            _ => fix,
        });
        self
    }
}

/// A sentence and what was seen.
fn with(sentence: &str, seen: &str) -> String {
    let seen = seen.trim();
    if seen.is_empty() {
        sentence.to_owned()
    } else {
        format!("{sentence} ({seen})")
    }
}

/// The whole of it; the document of `doctor --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `station.name`; empty where the configuration cannot be read.
    pub station: String,
    /// Version of the program that looked.
    pub version: String,
    /// When, in UTC.
    pub at: String,
    /// A station is running here.
    pub running: bool,
    /// The worst of the lines.
    pub state: State,
    /// Lines that are ok.
    pub ok: usize,
    /// Lines that warn.
    pub warn: usize,
    /// Lines that failed.
    pub fail: usize,
    /// Every finding, in the order of the checks.
    pub lines: Vec<Line>,
}

/// What every judgement may need.
struct Ground {
    now: Timestamp,
    /// What the wall clock is worth.
    clock: Trust,
    /// Newest version that runs, as the station said.
    running: Option<String>,
}

/// Makes the report of what was found.
pub fn report(station: &str, version: &str, at: String, now: Timestamp, facts: &[Fact]) -> Report {
    let ground = Ground {
        now,
        clock: trust(now, facts),
        running: facts.iter().find_map(|fact| match fact {
            Fact::Station(fact::Station::Runs { version, .. }) => Some(version.clone()),
            _ => None,
        }),
    };
    let mut lines: Vec<Line> = facts
        .iter()
        .flat_map(|fact| judge(fact, &ground, version))
        .collect();
    // Checks run beside each other: the order in which they end says nothing.
    let place = |check: &str| ORDER.iter().position(|known| *known == check);
    lines.sort_by(|a, b| (place(a.check), &a.name).cmp(&(place(b.check), &b.name)));
    lines.dedup();
    let count = |state| lines.iter().filter(|line| line.state == state).count();
    Report {
        station: station.to_owned(),
        version: version.to_owned(),
        at,
        running: ground.running.is_some(),
        state: lines.iter().map(|l| l.state).max().unwrap_or(State::Ok),
        ok: count(State::Ok),
        warn: count(State::Warn),
        fail: count(State::Fail),
        lines,
    }
}

/// Every check there is, in the order in which a person would look.
pub const ORDER: [&str; 24] = [
    "version",
    "station",
    "configuration",
    "credential",
    "clock",
    "network",
    "starshipit",
    "courier",
    "quota",
    "cartoncloud",
    "duty",
    "web",
    "printer",
    "scanner",
    "button",
    "light",
    "ledger",
    "card",
    "update",
    "number",
    "held",
    "in-doubt",
    "writeback",
    "check",
];

fn trust(now: Timestamp, facts: &[Fact]) -> Trust {
    let clock = facts.iter().find_map(|fact| match fact {
        Fact::Clock {
            last_seen,
            synchronised,
        } => Some((*last_seen, *synchronised)),
        _ => None,
    });
    let (last_seen, synchronised) = clock.unwrap_or_default();
    clock::judge(now, last_seen, Evidence { synchronised })
}

fn judge(fact: &Fact, ground: &Ground, version: &str) -> Vec<Line> {
    match fact {
        Fact::Configuration {
            file,
            usable,
            problems,
        } => services::configuration(file, *usable, problems),
        Fact::Secrets {
            read,
            missing,
            open,
        } => services::secrets(*read, missing, open, ground),
        Fact::Station(station) => services::station(station, version),
        Fact::Account {
            name,
            keys,
            couriers,
        } => services::account(name, keys, couriers.as_ref(), ground),
        Fact::Role { what, role, answer } => services::role(what, role, answer, ground),
        Fact::Quota { account, refused } => services::quota(account, refused, ground),
        Fact::Month { bought, quota } => services::month(*bought, *quota),
        Fact::Host(host) => network::host(host, ground),
        Fact::Duties(duties) => duties::lines(duties),
        Fact::Web { listen, trouble } => services::web(listen, trouble.as_deref()),
        Fact::Printer(printer) => devices::printer(printer),
        Fact::Device(device) => devices::device(device),
        Fact::Ledger(ledger) => work::ledger(ledger),
        Fact::SetAside { dir, names } => work::set_aside(dir, names),
        Fact::Clock { .. } => machine::clock(ground),
        Fact::Card(card) => machine::card(card),
        Fact::Slots(slots) => machine::slots(slots, ground),
        Fact::Version(found) => machine::version(found, version, ground.running.as_deref()),
        Fact::Work(found) => work::lines(found, ground),
        Fact::TookTooLong { check, after_s } => vec![Line::warn(
            "check",
            check,
            format!("no answer within {after_s} s"),
            "run it again; if it stays, the lines about the network and the station say why",
        )],
    }
}

#[cfg(test)]
mod tests;
