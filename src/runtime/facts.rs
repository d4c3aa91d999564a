//! What is so at the moment: for metrics and alerts. Nothing here names an order or a person.

use super::port::{Port, state_word};
use crate::alert::Kind;
use crate::domain::{Code, PrinterName, Timestamp};
use crate::ledger::Stats;
use crate::station::Glance;
use crate::system::disk::{self, Keeping};
use crate::system::durable;
use crate::update;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The states of a station.
pub(super) const STATES: [&str; 6] = [
    "ready", "working", "paused", "fault", "starting", "draining",
];
/// The states of updates.
pub(super) const UPDATES: [&str; 4] = ["idle", "held", "trial", "rolled-back"];
/// Longest file of `/proc` that is read.
const PROC: u64 = 64 << 10;

/// An outside system as the station sees it.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub name: &'static str,
    pub online: bool,
    pub calls: BTreeMap<String, u64>,
    /// By account: calls that could leave at once, and those of a whole window.
    pub budgets: Vec<(String, usize, usize)>,
}

/// Whether sale orders get into Starshipit.
#[derive(Debug, Default)]
pub(super) struct Pushes(Mutex<(Option<Code>, Option<Code>)>);

impl Pushes {
    /// CartonCloud was asked for changes, and this was in the way.
    pub(super) fn polled(&self, trouble: Option<Code>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = trouble;
    }

    /// An order was sent to Starshipit, and this was in the way.
    pub(super) fn created(&self, trouble: Option<Code>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = trouble;
    }

    /// What is in the way.
    pub(super) fn trouble(&self) -> Option<Code> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.or(state.1)
    }
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub state: &'static str,
    pub glance: Glance,
    pub printers: Vec<(PrinterName, Option<Code>)>,
    pub stats: Stats,
    pub health: Vec<(Code, String)>,
    pub services: Vec<Service>,
    /// Age of the oldest writeback that is owed.
    pub oldest: Option<Duration>,
    pub update: &'static str,
    /// Unix time of the last look at the channel; 0: never.
    pub update_check: f64,
    pub alerts: Vec<Kind>,
    pub bought_this_month: u64,
    /// By this process, to disks.
    pub written_bytes: u64,
    pub resident_bytes: u64,
    /// What is wrong with the card itself.
    pub card: Option<String>,
}

/// What only blocking calls tell.
struct Machine {
    stats: Stats,
    health: Vec<(Code, String)>,
    update: &'static str,
    update_check: f64,
    written_bytes: u64,
    resident_bytes: u64,
    card: Option<String>,
}

impl Port {
    /// `None`: the station has stopped.
    pub(super) async fn facts(&self) -> Option<Facts> {
        let glance = self.bench().glance().await.ok()?;
        let (ledger, dir) = (self.hub().ledger().clone(), self.state_dir().to_owned());
        let machine = tokio::task::spawn_blocking(move || {
            let (update, update_check) = updates(&dir.join(update::STATE));
            Machine {
                stats: ledger.stats(),
                health: ledger.health(),
                update,
                update_check,
                written_bytes: proc_number("/proc/self/io", "write_bytes:", 1),
                resident_bytes: proc_number("/proc/self/status", "VmRSS:", 1024),
                card: card(&dir),
            }
        })
        .await
        .ok()?;
        let printers = self.hub().paper().statuses().map(|(name, status)| {
            let known = glance.printers.iter().find(|(known, _)| known == name);
            let trouble = known.and_then(|(_, trouble)| *trouble);
            (
                name.clone(),
                trouble.or(status.code.filter(|_| !status.ready)),
            )
        });
        let printers = printers.collect();
        let now = self.now();
        Some(Facts {
            state: state_word(&glance, !machine.health.is_empty()),
            printers,
            services: self.services(&glance),
            oldest: glance.writebacks.oldest.map(|since| now.since(since)),
            alerts: self.alerts(),
            bought_this_month: self.hub().month().parcels(now),
            stats: machine.stats,
            health: machine.health,
            update: machine.update,
            update_check: machine.update_check,
            written_bytes: machine.written_bytes,
            resident_bytes: machine.resident_bytes,
            card: machine.card,
            glance,
        })
    }

    fn services(&self, glance: &Glance) -> Vec<Service> {
        let starshipit = &self.hub().starshipit;
        let budgets = starshipit.budgets();
        let mut all = vec![Service {
            name: "starshipit",
            online: glance.online,
            calls: starshipit.calls(),
            budgets: budgets
                .map(|(account, left, slots)| (account.to_string(), left, slots))
                .collect(),
        }];
        if let Some(cloud) = self.hub().sales().cloud() {
            let (left, slots) = cloud.budget();
            all.push(Service {
                name: "cartoncloud",
                online: glance.sales_online,
                calls: cloud.calls(),
                budgets: vec![(String::new(), left, slots)],
            });
        }
        all
    }
}

/// The word, and when the channel was last looked at.
fn updates(dir: &Path) -> (&'static str, f64) {
    let memory = update::state::Memory::load(dir).unwrap_or_default();
    let is_on_trial = update::trial::read(dir).is_ok_and(|trial| trial.is_some());
    let went_back = update::trial::rolled_back(dir).is_ok_and(|version| version.is_some());
    let word = match () {
        () if is_on_trial => "trial",
        () if memory.hold.is_some() => "held",
        () if went_back => "rolled-back",
        () => "idle",
    };
    let check = memory.last_check.unwrap_or(Timestamp(0));
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of this century fit into 53 bits"
    )]
    let seconds = check.0 as f64 / 1000.0;
    (word, seconds)
}

/// A number of a `name: number` line; 0 when there is none.
fn proc_number(file: &str, name: &str, unit: u64) -> u64 {
    let bytes = durable::read_bounded(&PathBuf::from(file), PROC);
    let bytes = bytes.ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or_default().saturating_mul(unit)
}

/// A card that cannot be written any more, or is worn.
fn card(dir: &Path) -> Option<String> {
    let dir = std::fs::canonicalize(dir).ok()?;
    let mounts = disk::own_mounts().ok()?;
    let keeping = disk::keeping(&mounts, &dir);
    if let (Keeping::ReadOnly { .. }, Some(what)) = (&keeping, keeping.what(&dir)) {
        return Some(what);
    }
    let card = disk::card(Path::new("/sys"), disk::mount_of(&mounts, &dir)?)?;
    card.is_worn()
        .then(|| format!("The card {} is worn: replace it.", card.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_this_process_are_read_and_missing_ones_are_zero() {
        assert!(proc_number("/proc/self/status", "VmRSS:", 1024) > 1 << 20);
        assert_eq!(proc_number("/proc/self/status", "NoSuch:", 1), 0);
        assert_eq!(proc_number("/no/such/file", "VmRSS:", 1), 0);
    }

    #[test]
    fn updates_that_nobody_looked_for_are_idle() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(updates(dir.path()), ("idle", 0.0));
    }
}
