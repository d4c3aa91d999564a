//! PURE: which release, now or when, and why not.
//!
//! The signed document decides for the fleet, the local operator for this machine: what he names
//! (`--version`, `--now`) goes before hold, window, rollout and known-bad memory, but never before
//! floor, withdrawal and expiry, and never downwards: going back is `update rollback`.

use super::channel::{Artifact, Channel, Release};
use super::version::Version;
use crate::config::model::Window;
use crate::domain::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// Parts into which the fleet is cut for a rollout.
const WAVES: u64 = 2048;
/// When nothing says otherwise, the next look is after this time.
pub const EVERY: Duration = Duration::from_secs(6 * 3600);
/// A clock that is not set may be set soon.
const SOON: Duration = Duration::from_secs(600);

/// How far the wall clock can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// A time service has set it.
    Synchronised,
    /// Nobody says that it is right, but it could be.
    Plausible,
    /// It shows a time that has passed for certain.
    NotSet,
}

/// Everything a decision is made from.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// What `current` is.
    pub running: &'a Version,
    /// What this machine needs.
    pub target: &'a str,
    /// `station.name`.
    pub station: &'a str,
    /// Tells this machine from every other, for the rollout.
    pub device: &'a str,
    /// The verified document.
    pub channel: &'a Channel,
    /// Lowest version, of any document seen so far.
    pub floor: Option<&'a Version>,
    /// Versions that failed here, and why.
    pub bad: &'a [(Version, String)],
    /// Held by the operator, until then or without end.
    pub held: Option<Option<Timestamp>>,
    /// A version is on trial.
    pub trial: Option<&'a Version>,
    /// Now.
    pub now: Timestamp,
    /// Whether `now` is true.
    pub clock: ClockTrust,
    /// `update.window`.
    pub window: Option<Window>,
    /// `station.timezone`.
    pub zone: &'a TimeZone,
    /// What the operator asked for.
    pub ask: &'a Ask,
}

/// What the operator asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// This version.
    pub version: Option<Version>,
    /// Without waiting for hold, window or rollout.
    pub now: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Install this.
    Install {
        /// The release.
        release: Release,
        /// Its archive for this machine.
        artifact: Artifact,
    },
    /// Not now; look again then.
    Wait {
        /// Why.
        reason: Reason,
        /// Of what.
        version: Option<Version>,
        /// When to look again.
        next: Timestamp,
    },
}

/// Why not (now).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nothing newer is offered.
    #[error("this is the newest version")]
    UpToDate,
    /// A version is on trial.
    #[error("{0} is on trial")]
    OnTrial(Version),
    /// The operator holds updates.
    #[error("updates are held on this machine")]
    Held,
    /// The channel holds this station.
    #[error("the channel holds this station by name")]
    HeldByChannel,
    /// The channel pins it to a version that is not to be had.
    #[error("the channel pins this station to {0}, which cannot be installed: {1}")]
    Pinned(Version, String),
    /// Not in the window.
    #[error("the maintenance window is closed")]
    Window,
    /// Other stations are first.
    #[error("{0} is being rolled out; this station's turn comes later")]
    Rollout(Version),
    /// It failed here.
    #[error("{0} failed here ({1}); `update apply --version {0}` tries it again")]
    KnownBad(Version, String),
    /// It was withdrawn.
    #[error("{0} was withdrawn")]
    Revoked(Version),
    /// Below the floor.
    #[error("{0} is below the channel's lowest version {1}")]
    BelowFloor(Version, Version),
    /// A step between is needed.
    #[error("{0} can only be installed from {1} on")]
    StepBetween(Version, Version),
    /// Not made for this machine.
    #[error("{0} is not offered for {1}")]
    NoArchive(Version, String),
    /// Not offered.
    #[error("the channel does not offer {0}")]
    NotOffered(Version),
    /// Older than what runs.
    #[error("{0} is older than {1}, which runs; to go back, use `printstation update rollback`")]
    Downgrade(Version, Version),
    /// It runs.
    #[error("{0} runs already")]
    Same(Version),
    /// The document is too old.
    #[error(
        "the channel document expired {0} days ago; the station works on, updates wait for a newer one"
    )]
    Expired(u64),
    /// The clock is not set.
    #[error("clock-not-set: the clock shows a time that has passed; updates wait until it is set")]
    ClockNotSet,
    /// The document would be too old if the clock is right.
    #[error(
        "the channel document has expired if this clock is right; updates wait until a time service has set it"
    )]
    ExpiryUnknown,
}

impl Reason {
    /// Stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UpToDate | Self::Same(_) => "up-to-date",
            Self::OnTrial(_) => "on-trial",
            Self::Held => "held",
            Self::HeldByChannel => "held-by-channel",
            Self::Pinned(..) => "pinned",
            Self::Window => "window",
            Self::Rollout(_) => "rollout",
            Self::KnownBad(..) => "known-bad",
            Self::Revoked(_) => "revoked",
            Self::BelowFloor(..) => "below-floor",
            Self::StepBetween(..) => "step-between",
            Self::NoArchive(..) => "no-archive",
            Self::NotOffered(_) => "not-offered",
            Self::Downgrade(..) => "downgrade",
            Self::Expired(_) => "expired",
            Self::ClockNotSet => "clock-not-set",
            Self::ExpiryUnknown => "expiry-unknown",
        }
    }
}

/// Decides.
pub fn decide(facts: &Facts<'_>) -> Decision {
    match choose(facts) {
        Ok((release, artifact)) => Decision::Install {
            release: release.clone(),
            artifact: artifact.clone(),
        },
        Err(why) => {
            let (reason, version, next) = *why;
            Decision::Wait {
                reason,
                version,
                next: next.unwrap_or_else(|| facts.now.plus(EVERY)),
            }
        }
    }
}

type Not = Box<(Reason, Option<Version>, Option<Timestamp>)>;

fn not(reason: Reason, version: Option<Version>, next: Option<Timestamp>) -> Not {
    Box::new((reason, version, next))
}

fn choose<'f>(f: &Facts<'f>) -> Result<(&'f Release, &'f Artifact), Not> {
    let plain = |reason| not(reason, None, None);
    if let Some(version) = f.trial {
        let soon = f.now.plus(SOON);
        return Err(not(Reason::OnTrial(version.clone()), None, Some(soon)));
    }
    fresh(f)?;
    let named = f.ask.version.is_some();
    let attended = named || f.ask.now;
    let rule = f.channel.stations.iter().find(|s| s.name == f.station);
    if !attended {
        match f.held {
            Some(Some(until)) if f.now >= until => {}
            Some(until) => return Err(not(Reason::Held, None, until)),
            None => {}
        }
        if rule.is_some_and(|rule| rule.hold) {
            return Err(plain(Reason::HeldByChannel));
        }
    }
    let pin = rule.and_then(|rule| rule.pin.as_ref());
    let hurry = rule.is_some_and(|rule| rule.hurry);
    let (release, artifact) = if let Some(version) = &f.ask.version {
        let found = offered(f, version);
        let (release, artifact) = found.map_err(|reason| of(version, reason))?;
        not_older(f, version).map_err(|reason| of(version, reason))?;
        (release, artifact)
    } else if let Some(version) = pin {
        if version == f.running {
            return Err(plain(Reason::Same(version.clone())));
        }
        let pinned = offered(f, version).and_then(|found| {
            if !rule.is_some_and(|rule| rule.downgrade) {
                not_older(f, version)?;
            }
            not_bad(f, version)?;
            Ok(found)
        });
        pinned.map_err(|why| of(version, Reason::Pinned(version.clone(), why.to_string())))?
    } else {
        newest(f, hurry)?
    };
    let version = &release.version;
    if !attended && !hurry {
        if pin.is_none() {
            in_turn(f, release).map_err(|(r, next)| not(r, Some(version.clone()), Some(next)))?;
        }
        in_window(f).map_err(|next| not(Reason::Window, Some(version.clone()), Some(next)))?;
    }
    Ok((release, artifact))
}

fn of(version: &Version, reason: Reason) -> Not {
    not(reason, Some(version.clone()), None)
}

/// The document is true now, as far as this clock can tell.
fn fresh(f: &Facts<'_>) -> Result<(), Not> {
    let soon = f.now.plus(SOON);
    if f.clock == ClockTrust::NotSet {
        return Err(not(Reason::ClockNotSet, None, Some(soon)));
    }
    if f.now >= f.channel.expires {
        let days = f.now.since(f.channel.expires).as_secs() / 86_400;
        return Err(match f.clock {
            ClockTrust::Synchronised => not(Reason::Expired(days), None, None),
            _ => not(Reason::ExpiryUnknown, None, Some(soon)),
        });
    }
    Ok(())
}

/// The newest release that may be installed; else why the newest one may not.
fn newest<'f>(f: &Facts<'f>, hurry: bool) -> Result<(&'f Release, &'f Artifact), Not> {
    let mut first: Option<Not> = None;
    for release in &f.channel.releases {
        let version = &release.version;
        if version <= f.running {
            break;
        }
        let may = offered(f, version).and_then(|found| {
            not_bad(f, version)?;
            Ok(found)
        });
        let why = match may {
            Err(reason) => of(version, reason),
            Ok(found) => match in_turn(f, release) {
                Err((reason, next)) if !hurry && !f.ask.now => {
                    not(reason, Some(version.clone()), Some(next))
                }
                _ => return Ok(found),
            },
        };
        first.get_or_insert(why);
    }
    Err(first.unwrap_or_else(|| not(Reason::UpToDate, None, None)))
}

/// Offered for this machine, and nothing in the document speaks against it.
fn offered<'f>(f: &Facts<'f>, version: &Version) -> Result<(&'f Release, &'f Artifact), Reason> {
    let channel = f.channel;
    let release = channel
        .releases
        .iter()
        .find(|r| r.version == *version)
        .ok_or_else(|| Reason::NotOffered(version.clone()))?;
    if channel.revoked.contains(version) {
        return Err(Reason::Revoked(version.clone()));
    }
    let floor = channel.floor.as_ref().max(f.floor);
    if let Some(floor) = floor.filter(|floor| version < *floor) {
        return Err(Reason::BelowFloor(version.clone(), floor.clone()));
    }
    if let Some(from) = release.min_from.as_ref().filter(|from| f.running < *from) {
        return Err(Reason::StepBetween(version.clone(), from.clone()));
    }
    let artifact = release
        .artifact(f.target)
        .ok_or_else(|| Reason::NoArchive(version.clone(), f.target.to_owned()))?;
    Ok((release, artifact))
}

fn not_older(f: &Facts<'_>, version: &Version) -> Result<(), Reason> {
    match version.cmp(f.running) {
        std::cmp::Ordering::Less => Err(Reason::Downgrade(version.clone(), f.running.clone())),
        std::cmp::Ordering::Equal => Err(Reason::Same(version.clone())),
        std::cmp::Ordering::Greater => Ok(()),
    }
}

fn not_bad(f: &Facts<'_>, version: &Version) -> Result<(), Reason> {
    match f.bad.iter().find(|(bad, _)| bad == version) {
        Some((bad, why)) => Err(Reason::KnownBad(bad.clone(), why.clone())),
        None => Ok(()),
    }
}

/// This station's turn has come, or it cannot wait for it.
fn in_turn(f: &Facts<'_>, release: &Release) -> Result<(), (Reason, Timestamp)> {
    let below = f.channel.floor.as_ref().max(f.floor) > Some(f.running);
    let Some(rollout) = release.rollout else {
        return Ok(());
    };
    if release.mandatory || below || f.channel.revoked.contains(f.running) {
        return Ok(());
    }
    let whole = Duration::from_secs(u64::from(rollout.hours) * 3600);
    let wave = wave(f.device, &release.version);
    // The wave's moment: exact, so that it can be told as the next try.
    let after =
        Duration::from_millis(u64::try_from(whole.as_millis()).unwrap_or(u64::MAX) / WAVES * wave);
    let turn = rollout.start.plus(after);
    if f.now >= turn {
        return Ok(());
    }
    Err((Reason::Rollout(release.version.clone()), turn))
}

/// 0..[`WAVES`]: another order of the fleet for every version.
fn wave(device: &str, version: &Version) -> u64 {
    let hash = Sha256::digest(format!("{version}\n{device}"));
    let four = [hash[0], hash[1], hash[2], hash[3]];
    u64::from(u32::from_be_bytes(four)) % WAVES
}

/// The window is open; else when it opens.
fn in_window(f: &Facts<'_>) -> Result<(), Timestamp> {
    let Some(window) = f.window else {
        return Ok(());
    };
    // The same minute twice is no window at all; it means the whole day.
    if window.from == window.to {
        return Ok(());
    }
    let Ok(now) = jiff::Timestamp::from_millisecond(f.now.0) else {
        return Err(f.now.plus(EVERY));
    };
    let local = now.to_zoned(f.zone.clone());
    let minute = minute_of(&local);
    let open = if window.from < window.to {
        (window.from..window.to).contains(&minute)
    } else {
        minute >= window.from || minute < window.to
    };
    if open {
        return Ok(());
    }
    let hour = i8::try_from(window.from / 60).unwrap_or(0);
    let min = i8::try_from(window.from % 60).unwrap_or(0);
    // In the night when clocks go forward the opening minute may not exist; jiff takes the next one.
    let opening = |date: jiff::civil::Date| {
        let at = date.at(hour, min, 0, 0).to_zoned(f.zone.clone()).ok()?;
        (at.timestamp() > now).then(|| Timestamp(at.timestamp().as_millisecond()))
    };
    let today = local.date();
    let next = opening(today).or_else(|| opening(today.tomorrow().ok()?));
    Err(next.unwrap_or_else(|| f.now.plus(EVERY)))
}

fn minute_of(local: &jiff::Zoned) -> u16 {
    u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).unwrap_or(0)
}
