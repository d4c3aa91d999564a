//! What needs no station: secrets, clock, network, card, ledger's files, slots, versions.

use super::{Checks, ledger_dir, network, work};
use crate::config::model::Config;
use crate::config::secret::{Environment, SecretError};
use crate::doctor::{Fact, fact};
use crate::domain::{Order, Timestamp};
use crate::runtime::card;
use crate::runtime::clock::Clock;
use crate::runtime::month::Month;
use crate::system::{clock, disk, durable};
use crate::update::slots::{Link, Slot, Slots};
use crate::update::state::Memory;
use crate::update::{self, trial};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Longest small file that is read.
const MOST: u64 = 4096;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Around {
    /// The configuration, as far as it can be read.
    pub config: Option<Config>,
    /// The state folder.
    pub state_dir: PathBuf,
    /// Where the slots are.
    pub install_root: PathBuf,
    /// A station runs: it has told of its ledger itself.
    pub runs: bool,
}

/// Looks at everything that needs no station.
pub async fn around(place: Around, time: Clock) -> Vec<Fact> {
    let now = time.now().wall;
    let mut checks = Checks::default();
    if let Some(config) = &place.config {
        for (key, url) in network::addresses(config) {
            checks.add(&format!("network {key}"), async move {
                vec![network::host(key, url, time).await]
            });
        }
    }
    let own = place.clone();
    checks.blocking("update", move || vec![slots(&own)]);
    let own = place.clone();
    checks.blocking("card", move || vec![card_facts(&own.state_dir, now)]);
    let own = place.clone();
    checks.blocking("ledger", move || ledger(&own, now));
    checks.blocking("version", || vec![version()]);
    if let Some(config) = place.config.clone().filter(|c| c.alerts.label_quota > 0) {
        let state_dir = place.state_dir.clone();
        checks.blocking("quota", move || {
            let month = Month::open(&state_dir, config.station.timezone.as_deref());
            vec![Fact::Month {
                bought: month.parcels(now),
                quota: config.alerts.label_quota.into(),
            }]
        });
    }
    checks.all().await
}

/// The secrets that the configuration names. Blocks.
pub fn secrets(config: &Config, env: &Environment<'_>) -> Fact {
    let (mut read, mut missing, mut open) = (0, Vec::new(), Vec::new());
    for (key, reference) in config.secrets() {
        match reference.resolve(env) {
            Ok(resolved) => {
                read += 1;
                open.extend(resolved.warning.map(|warning| (key, warning)));
            }
            Err(error) => {
                let forbidden = matches!(&error, SecretError::Unreadable { cause, .. }
                    if cause.kind() == ErrorKind::PermissionDenied);
                missing.push(fact::Missing {
                    key,
                    why: crate::system::tls::chain(&error),
                    forbidden,
                    is_env: matches!(error, SecretError::NotSet { .. }),
                });
            }
        }
    }
    Fact::Secrets {
        read,
        missing,
        open,
    }
}

/// The ledger's files, and the clock as far as they know it.
fn ledger(place: &Around, now: Timestamp) -> Vec<Fact> {
    let dir = place.config.as_ref().map_or_else(
        || place.state_dir.join(crate::runtime::compose::LEDGER),
        ledger_dir,
    );
    let shown = dir.display().to_string();
    let (seen, trouble) = match crate::ledger::look(&dir) {
        Ok(seen) => (seen, None),
        Err(error) => (
            crate::ledger::Look::default(),
            Some(crate::system::tls::chain(&error)),
        ),
    };
    let mut facts = Vec::new();
    if !place.runs {
        facts.push(Fact::Ledger(fact::Ledger {
            dir: shown.clone(),
            open: seen.orders.iter().filter(|order| order.is_open()).count() as u64,
            bytes: seen.bytes,
            clean: seen.clean,
            is_new: seen.is_new,
            trouble,
            ..fact::Ledger::default()
        }));
    }
    facts.push(Fact::SetAside {
        dir: shown,
        names: seen.quarantines,
    });
    facts.push(Fact::Work(work(&seen.orders, now)));
    facts.push(Fact::Clock {
        last_seen: last_seen(&seen.orders),
        synchronised: clock::evidence().synchronised,
    });
    facts
}

/// Newest time that this bench has written down.
fn last_seen(orders: &[Order]) -> Option<Timestamp> {
    orders.iter().map(|order| order.updated).max()
}

fn card_facts(state_dir: &Path, now: Timestamp) -> Fact {
    let place = existing(state_dir);
    let mounts = disk::own_mounts().unwrap_or_default();
    let mount = disk::mount_of(&mounts, &place);
    let keeping = disk::keeping(&mounts, &place);
    let card = card::card(&place);
    let space = disk::space(&place).ok();
    Fact::Card(fact::Card {
        path: state_dir.display().to_string(),
        space: space.map(|space| (space.free, space.total)),
        keeping: keeping
            .what(state_dir)
            .map(|what| (what, keeping.fix().unwrap_or_default().to_owned())),
        filesystem: mount.map_or_else(String::new, |mount| mount.kind.clone()),
        device: card.as_ref().map(|card| card.name.clone()),
        written_today: card::written(&place, now).map(|tally| tally.today),
        life_used: card.as_ref().and_then(|card| card.life_used),
        is_worn: card.as_ref().is_some_and(disk::Card::is_worn),
    })
}

/// The folder, or the nearest one above it that is there.
fn existing(path: &Path) -> PathBuf {
    path.ancestors()
        .find_map(|place| place.canonicalize().ok())
        .unwrap_or_else(|| PathBuf::from("/"))
}

fn slots(place: &Around) -> Fact {
    let root = place.install_root.as_path();
    let has_channel = place
        .config
        .as_ref()
        .is_some_and(|config| config.update.url.is_some());
    if !root.join("slots").is_dir() {
        return Fact::Slots(fact::Slots {
            has_channel,
            ..fact::Slots::default()
        });
    }
    let slots = Slots::at(root);
    let about = |link| {
        let slot: Slot = slots.read(link).ok().flatten()?;
        let version = slots.version(slot);
        let version = version.map_or_else(|| slot.path().to_owned(), |v| v.to_string());
        Some((version, slots.check(slot).err().map(|why| why.to_string())))
    };
    let dir = place.state_dir.join(update::STATE);
    let memory = Memory::load(&dir).unwrap_or_default();
    let current = about(Link::Current);
    Fact::Slots(fact::Slots {
        root: Some(root.display().to_string()),
        has_channel,
        previous: about(Link::Previous).filter(|previous| Some(previous) != current.as_ref()),
        current,
        trial: trial::read(&dir).ok().flatten().map(|trial| {
            trial
                .version
                .map_or_else(|| "a version".into(), |v| v.to_string())
        }),
        hold: memory.hold.as_ref().map(|hold| hold.until),
        last_look: memory.last_check,
        last_result: memory
            .last_result
            .as_ref()
            .map(|line| (line.code.clone(), line.text.clone())),
        expires: memory.channel.as_ref().map(|channel| channel.expires),
        bad: memory
            .bad
            .iter()
            .map(|bad| bad.version.to_string())
            .collect(),
        volatile: update::machine::volatile(root),
    })
}

fn version() -> Fact {
    let line = |path: &str| {
        let bytes = durable::read_bounded(Path::new(path), MOST)
            .ok()
            .flatten()?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    };
    let system = line("/etc/os-release").and_then(|text| {
        let name = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
        Some(name.trim_matches('"').to_owned())
    });
    Fact::Version(fact::Version {
        target: update::version::own_target()
            .unwrap_or("unknown")
            .to_owned(),
        system: system.unwrap_or_else(|| "unknown system".to_owned()),
        kernel: line("/proc/sys/kernel/osrelease").unwrap_or_default(),
        board: line("/proc/device-tree/model"),
    })
}
