//! Everything that the doctor can find. Facts travel from the running station to the command line as
//! JSON, so a station of another version may know other ones: each is read by itself.

use crate::domain::{CallFailure, Code, System, Timestamp};
use serde::{Deserialize, Serialize};

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Fact {
    /// The configuration was read.
    Configuration {
        /// Which file.
        file: String,
        /// The station can start with it.
        usable: bool,
        /// Mistakes and warnings.
        problems: Vec<Problem>,
    },
    /// The secrets that the configuration names were looked for.
    Secrets {
        /// So many can be read.
        read: usize,
        /// These cannot.
        missing: Vec<Missing>,
        /// These everybody can read: key, and what to do.
        open: Vec<(String, String)>,
    },
    /// The station of this folder was asked.
    Station(Station),
    /// A Starshipit account was asked.
    Account {
        /// Its name.
        name: String,
        /// Keys and plan.
        keys: Answer<()>,
        /// Courier services; none: the keys were refused before.
        couriers: Option<Answer<u64>>,
    },
    /// CartonCloud was asked for something that needs a role.
    Role {
        /// What was tried.
        what: String,
        /// The role that it needs; empty: none.
        role: String,
        /// How it went.
        answer: Answer<String>,
    },
    /// When an account last refused for want of labels.
    Quota {
        /// Which account.
        account: String,
        /// When, newest first.
        refused: Vec<Timestamp>,
    },
    /// Labels bought in this month, and the plan's (`alerts.label_quota`).
    Month {
        /// Bought by this bench.
        bought: u64,
        /// Its part of the plan.
        quota: u64,
    },
    /// An outside address was called.
    Host(Host),
    /// Who holds which duty.
    Duties(Duties),
    /// The page's address, where no station runs.
    Web {
        /// `web.listen`.
        listen: String,
        /// Why it cannot be used.
        trouble: Option<String>,
    },
    /// A printer was asked.
    Printer(Printer),
    /// A scanner, button or light was looked for.
    Device(Device),
    /// The ledger.
    Ledger(Ledger),
    /// Damaged parts of the ledger that were set aside.
    SetAside {
        /// The ledger's folder.
        dir: String,
        /// Their names.
        names: Vec<String>,
    },
    /// The clock.
    Clock {
        /// Newest time that this bench has written down.
        last_seen: Option<Timestamp>,
        /// A time server has set it.
        synchronised: bool,
    },
    /// What lies under the state folder.
    Card(Card),
    /// The update's slots.
    Slots(Slots),
    /// This program and this machine.
    Version(Version),
    /// What is open in the ledger.
    Work(Work),
    /// A check did not end in time.
    TookTooLong {
        /// Which.
        check: String,
        /// Seconds that it was given.
        after_s: u64,
    },
}

/// A mistake of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The station does not start with it.
    pub is_error: bool,
    /// File, line, key, and what would be right.
    pub text: String,
}

/// A secret that cannot be read here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Key of the configuration.
    pub key: String,
    /// What was tried and how it failed.
    pub why: String,
    /// It is there, for others to read.
    pub forbidden: bool,
    /// It stands in the environment of whoever starts the station, which is not ours.
    pub is_env: bool,
}

/// How a question to a service ended.
pub type Answer<T> = Result<T, Trouble>;

/// Why there was no good answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// What it means.
    pub code: Code,
    /// The service's or the network's own words.
    pub detail: String,
}

impl Trouble {
    /// Of a call to `system`.
    pub fn of(failure: &CallFailure, system: System) -> Self {
        let detail = match failure {
            CallFailure::NotSent { detail }
            | CallFailure::Refused { detail, .. }
            | CallFailure::Unknown { detail } => detail.clone(),
            CallFailure::Throttled { retry_after } => retry_after
                .map(|wait| format!("asked to wait {} s", wait.as_secs()))
                .unwrap_or_default(),
        };
        Self {
            code: failure.code_of(system),
            detail,
        }
    }
}

/// The station of this folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Station {
    /// It answers.
    Runs {
        /// Its version.
        version: String,
        /// Its word for how it is.
        state: String,
        /// What is wrong with it, by its own words.
        health: Vec<(Option<Code>, String)>,
        /// It could be asked everything.
        tells: bool,
    },
    /// Nothing answers.
    Stopped,
    /// It may not be asked, or does not answer as it should.
    Silent {
        /// Why.
        why: String,
    },
}

/// An outside address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Which key of the configuration names it.
    pub key: String,
    /// Host name and port.
    pub host: String,
    /// Milliseconds until it answered, or the error's whole text.
    pub answer: Result<u64, String>,
    /// How far our clock is ahead of its own, milliseconds.
    pub ahead_ms: Option<i64>,
}

/// Another bench: its name and its duties.
pub type Peer = (String, Vec<String>);

/// Duties of the site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duties {
    /// What this station holds.
    pub own: Vec<String>,
    /// What the configuration needs somebody for.
    pub wanted: Vec<String>,
    /// Other benches: address, and what they answered or why they did not.
    pub peers: Vec<(String, Result<Peer, String>)>,
    /// Sale orders that wait to be sent to Starshipit for longer than they should; none: not looked.
    pub unpushed: Option<Answer<Unpushed>>,
    /// Newest orders that this station sent or found, and how many of them somebody else had made
    /// before this station saw them; none: not looked.
    pub foreign: Option<(u64, u64)>,
}

/// Sale orders that nobody sends to Starshipit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpushed {
    /// So many were looked at.
    pub looked_at: u64,
    /// So many of them are not there.
    pub missing: u64,
    /// One of them, by its number.
    pub example: String,
    /// Minutes since it changed.
    pub minutes: u64,
}

/// A printer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Printer {
    /// Its name.
    pub name: String,
    /// `tcp://…`.
    pub connection: String,
    /// The language, or why it is not known.
    pub language: Result<String, String>,
    /// Paper and resolution.
    pub media: String,
    /// Nothing is in the way of printing.
    pub ready: bool,
    /// What it needs.
    pub code: Option<Code>,
    /// In its own words.
    pub detail: String,
    /// It answers status questions.
    pub talks: Option<bool>,
    /// Files of pages instead of a machine.
    pub is_folder: bool,
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A scanner.
    Scanner,
    /// A button or pedal.
    Button,
    /// A lamp's light or the buzzer.
    Light,
}

/// A scanner, button or light.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Where.
    pub at: String,
    /// Why it cannot be used; none: it can.
    pub trouble: Option<String>,
}

/// The ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Its folder.
    pub dir: String,
    /// Orders known; none: only the station can count them.
    pub orders: Option<u64>,
    /// Orders still owed something.
    pub open: u64,
    /// Bytes on the card.
    pub bytes: u64,
    /// The index holds everything; none: nobody has it open.
    pub index_whole: Option<bool>,
    /// The last stop was an orderly one (where no station runs).
    pub clean: bool,
    /// It was never used.
    pub is_new: bool,
    /// Why it cannot be read.
    pub trouble: Option<String>,
    /// Time the last flush took, microseconds.
    pub flush_us: Option<u64>,
}

/// What lies under the state folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The folder.
    pub path: String,
    /// Free and total bytes, or why nobody knows.
    pub space: Option<(u64, u64)>,
    /// What is wrong with keeping things there, and what to do.
    pub keeping: Option<(String, String)>,
    /// `ext4`.
    pub filesystem: String,
    /// `mmcblk0`.
    pub device: Option<String>,
    /// Bytes written since midnight in UTC.
    pub written_today: Option<u64>,
    /// Life used up, percent.
    pub life_used: Option<u8>,
    /// Its reserve of good blocks is nearly gone, or its life.
    pub is_worn: bool,
}

/// The update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slots {
    /// Install root; none: this program was not installed in slots.
    pub root: Option<String>,
    /// `update.url` is set.
    pub has_channel: bool,
    /// Version and, if it is not whole, why.
    pub current: Option<(String, Option<String>)>,
    /// The same, to go back to.
    pub previous: Option<(String, Option<String>)>,
    /// A version on trial.
    pub trial: Option<String>,
    /// Held: until when; `None` inside: until told otherwise.
    pub hold: Option<Option<Timestamp>>,
    /// When the channel was last looked at.
    pub last_look: Option<Timestamp>,
    /// What that gave: code and text.
    pub last_result: Option<(String, String)>,
    /// When the channel's document expires.
    pub expires: Option<Timestamp>,
    /// Versions that failed here.
    pub bad: Vec<String>,
    /// Why an update would be gone after a restart.
    pub volatile: Option<String>,
}

/// This program and this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// What it was built for.
    pub target: String,
    /// The operating system's own name.
    pub system: String,
    /// Kernel release.
    pub kernel: String,
    /// The board, where it says.
    pub board: Option<String>,
}

/// Open work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Shipments bought over an hour ago that still have no tracking number: order, since when.
    pub numberless: Vec<(String, Timestamp)>,
    /// Held labels: order, since when.
    pub held: Vec<(String, Timestamp)>,
    /// Orders whose label may or may not be out.
    pub in_doubt: Vec<String>,
    /// Writebacks on their way.
    pub owed: u64,
    /// The oldest of them.
    pub oldest: Option<Timestamp>,
    /// Writebacks that met another number, by order.
    pub conflicts: Vec<String>,
    /// Writebacks that no sink takes, by order.
    pub unsupported: Vec<String>,
}
