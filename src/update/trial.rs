//! A release on trial, and what proves it: no worse than before.
//!
//! `<state>/update/trial` is two lines, for the slot guard as much as for us: starts left, version.
//! `before.json` beside it holds what worked before the switch. The version on trial ends its own
//! trial when everything that worked before has worked for a while; a printer that was off before
//! may be off. Paper, a dead network and a switched-off courier are nobody's fault: printers that
//! say that they need a hand do answer, and a lost network keeps a trial open, it never fails it.

use super::state;
use super::version::Version;
use crate::system::durable;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the marker.
pub const TRIAL: &str = "trial";
/// What the guard leaves behind: version, then why.
pub const ROLLED_BACK: &str = "rolled-back";
/// What the station leaves behind: the version that proved itself.
pub const CONFIRMED: &str = "confirmed";
const BEFORE: &str = "before.json";
/// Starts that a version on trial gets.
pub const STARTS: u8 = 2;
/// Everything must have worked for so long.
pub const SOAK: Duration = Duration::from_secs(180);
/// After so long a version that cannot do what the one before could has failed.
pub const DEADLINE: Duration = Duration::from_secs(600);
/// Largest file, in bytes.
const LIMIT: u64 = 64 * 1024;
/// Codes with which a printer says itself what it needs: it works.
const NEEDS_A_HAND: [&str; 3] = ["printer-media-out", "printer-cover-open", "printer-paused"];
/// States in which a scanner cannot be read.
const DEAF: [&str; 6] = [
    "not-in-this-version",
    "lost",
    "offline",
    "missing",
    "fault",
    "error",
];

/// What works.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Printers and scanners by name.
    pub devices: BTreeMap<String, bool>,
    /// Services by name.
    pub online: BTreeMap<String, bool>,
}

impl Health {
    /// From the station's status document (contract 24).
    pub fn of(status: &Value) -> Self {
        let list = |name: &str| status[name].as_array().cloned().unwrap_or_default();
        let word = |device: &Value, name: &str| device[name].as_str().unwrap_or("").to_owned();
        let mut health = Self::default();
        for printer in list("printers") {
            let works = word(&printer, "state") == "ready"
                || NEEDS_A_HAND.contains(&word(&printer, "code").as_str());
            let name = format!("printer {}", word(&printer, "name"));
            health.devices.insert(name, works);
        }
        for scanner in list("scanners") {
            let works = !DEAF.contains(&word(&scanner, "state").as_str());
            let name = format!("scanner {}", word(&scanner, "name"));
            health.devices.insert(name, works);
        }
        for (name, up) in status["online"].as_object().into_iter().flatten() {
            if let Some(up) = up.as_bool() {
                health.online.insert(name.clone(), up);
            }
        }
        health
    }

    /// Names of what worked before and does not now: devices, and services.
    pub fn lacking(&self, before: &Self) -> (Vec<String>, Vec<String>) {
        let lost = |before: &BTreeMap<String, bool>, now: &BTreeMap<String, bool>| {
            before
                .iter()
                .filter(|(name, worked)| **worked && now.get(*name) != Some(&true))
                .map(|(name, _)| name.clone())
                .collect()
        };
        (
            lost(&before.devices, &self.devices),
            lost(&before.online, &self.online),
        )
    }
}

/// What a trial is measured with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What worked before.
    pub before: Health,
    /// See [`SOAK`]; milliseconds.
    pub soak_ms: u64,
    /// See [`DEADLINE`]; milliseconds.
    pub deadline_ms: u64,
}

impl Default for Terms {
    fn default() -> Self {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            before: Health::default(),
            soak_ms: ms(SOAK),
            deadline_ms: ms(DEADLINE),
        }
    }
}

impl Terms {
    /// [`SOAK`], unless something else was agreed.
    pub fn soak(&self) -> Duration {
        Duration::from_millis(self.soak_ms)
    }

    /// [`DEADLINE`], unless something else was agreed.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}

/// An armed trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Starts left.
    pub left: u8,
    /// What is on trial; none: the marker is torn.
    pub version: Option<Version>,
}

/// Arms a trial: terms first, then the marker that the guard counts by.
///
/// # Errors
/// The disk refuses.
pub fn arm(dir: &Path, version: &Version, terms: &Terms) -> io::Result<()> {
    durable::remove(&dir.join(CONFIRMED))?;
    durable::remove(&dir.join(ROLLED_BACK))?;
    let bytes = serde_json::to_vec_pretty(terms).map_err(io::Error::from)?;
    state::write(&dir.join(BEFORE), &bytes)?;
    state::write(
        &dir.join(TRIAL),
        format!("{STARTS}\n{version}\n").as_bytes(),
    )
}

/// The trial that is armed, if any.
///
/// # Errors
/// The marker is there and cannot be read.
pub fn read(dir: &Path) -> io::Result<Option<Trial>> {
    let Some(text) = text(&dir.join(TRIAL))? else {
        return Ok(None);
    };
    let mut lines = text.lines();
    Ok(Some(Trial {
        left: lines
            .next()
            .and_then(|n| n.trim().parse().ok())
            .unwrap_or(0),
        version: lines.next().and_then(|v| v.trim().parse().ok()),
    }))
}

/// What was agreed when the trial was armed.
///
/// # Errors
/// It is there and cannot be read.
pub fn terms(dir: &Path) -> io::Result<Terms> {
    let Some(bytes) = durable::read_bounded(&dir.join(BEFORE), LIMIT)? else {
        return Ok(Terms::default());
    };
    // Written whole before the marker; if it is no longer understood, starting well is enough.
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Ends the trial well: `version` has proved itself. Repeating it changes nothing.
///
/// # Errors
/// The disk refuses; the trial stays open.
pub fn confirm(dir: &Path, version: &Version) -> io::Result<()> {
    state::write(&dir.join(CONFIRMED), format!("{version}\n").as_bytes())?;
    durable::remove(&dir.join(TRIAL))
}

/// Takes the starts that are left: the guard goes back at the next start.
///
/// # Errors
/// The disk refuses.
pub fn give_up(dir: &Path, version: &Version) -> io::Result<()> {
    state::write(&dir.join(TRIAL), format!("0\n{version}\n").as_bytes())
}

/// What the guard says that it did.
///
/// # Errors
/// It is there and cannot be read.
pub fn rolled_back(dir: &Path) -> io::Result<Option<(Option<Version>, String)>> {
    let Some(text) = text(&dir.join(ROLLED_BACK))? else {
        return Ok(None);
    };
    let mut lines = text.lines();
    let version = lines.next().and_then(|v| v.trim().parse().ok());
    let why = lines.next().unwrap_or("unknown").trim();
    let why = why.chars().filter(|c| !c.is_control()).take(200).collect();
    Ok(Some((version, why)))
}

/// The version that the station says has proved itself.
///
/// # Errors
/// It is there and cannot be read.
pub fn confirmed(dir: &Path) -> io::Result<Option<Version>> {
    Ok(text(&dir.join(CONFIRMED))?.and_then(|text| text.trim().parse().ok()))
}

fn text(path: &Path) -> io::Result<Option<String>> {
    let bytes = durable::read_bounded(path, LIMIT)?;
    Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()))
}

/// What a look at a running trial found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// No trial of this version.
    None,
    /// Proved; the trial is over.
    Confirmed,
    /// Not yet, because of this.
    Waiting(String),
    /// It cannot do what the version before could: give up and stop.
    Failed(String),
}

/// The running version watches its own trial.
#[derive(Debug)]
pub struct Watch {
    dir: PathBuf,
    version: Version,
    terms: Terms,
    /// Since when, after the start, nothing has been lacking.
    well_since: Option<Duration>,
}

impl Watch {
    /// None: this version is not on trial.
    ///
    /// # Errors
    /// The marker cannot be read.
    pub fn open(dir: &Path, version: &Version) -> io::Result<Option<Self>> {
        let Some(trial) = read(dir)? else {
            return Ok(None);
        };
        // Armed for another version: this one is the proven one, and the guard clears up.
        if trial.version.as_ref() != Some(version) {
            return Ok(None);
        }
        Ok(Some(Self {
            dir: dir.to_owned(),
            version: version.clone(),
            terms: terms(dir)?,
            well_since: None,
        }))
    }

    /// How long a trial takes at least.
    pub fn soak(&self) -> Duration {
        self.terms.soak()
    }

    /// Looks at the station's status, `up` after it was ready.
    ///
    /// # Errors
    /// The disk refuses to end the trial.
    pub fn look(&mut self, status: &Value, up: Duration) -> io::Result<Look> {
        let verdict = judge(&self.terms, &Health::of(status), up, &mut self.well_since);
        match &verdict {
            Look::Confirmed => confirm(&self.dir, &self.version)?,
            Look::Failed(_) => give_up(&self.dir, &self.version)?,
            Look::None | Look::Waiting(_) => {}
        }
        Ok(verdict)
    }
}

/// PURE: what a look means.
pub fn judge(terms: &Terms, now: &Health, up: Duration, well_since: &mut Option<Duration>) -> Look {
    let (devices, services) = now.lacking(&terms.before);
    if devices.is_empty() && services.is_empty() {
        let since = *well_since.get_or_insert(up);
        return if up.saturating_sub(since) >= terms.soak() {
            Look::Confirmed
        } else {
            Look::Waiting("it must work for a while".to_owned())
        };
    }
    *well_since = None;
    let mut all = devices.clone();
    all.extend(services);
    let lacking = format!("worked before and does not now: {}", all.join(", "));
    if !devices.is_empty() && up >= terms.deadline() {
        Look::Failed(lacking)
    } else {
        Look::Waiting(lacking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(printer: &str, code: Option<&str>, online: bool) -> Value {
        json!({
            "printers": [{ "name": "label", "state": printer, "code": code }],
            "scanners": [{ "name": "bench", "state": "reading" }],
            "online": { "starshipit": online, "cartoncloud": null },
        })
    }

    fn terms(before: &Value) -> Terms {
        Terms {
            before: Health::of(before),
            ..Terms::default()
        }
    }

    fn at(terms: &Terms, now: &Value, seconds: u64, since: &mut Option<Duration>) -> Look {
        judge(terms, &Health::of(now), Duration::from_secs(seconds), since)
    }

    #[test]
    fn a_printer_that_worked_before_and_does_not_now_fails_the_trial_at_its_deadline() {
        let terms = terms(&status("ready", None, true));
        let now = status("needs-hand", Some("printer-offline"), true);
        let mut since = None;
        assert!(matches!(
            at(&terms, &now, 599, &mut since),
            Look::Waiting(_)
        ));
        let Look::Failed(why) = at(&terms, &now, 600, &mut since) else {
            panic!()
        };
        assert!(why.contains("printer label"), "{why}");
    }

    #[test]
    fn paper_and_network_never_fail_a_trial() {
        let terms = terms(&status("ready", None, true));
        let mut since = None;
        let paper = status("needs-hand", Some("printer-media-out"), true);
        at(&terms, &paper, 0, &mut since);
        assert_eq!(at(&terms, &paper, 180, &mut since), Look::Confirmed);
        let mut since = None;
        let network = status("ready", None, false);
        assert!(matches!(
            at(&terms, &network, 1_000_000, &mut since),
            Look::Waiting(_)
        ));
        at(&terms, &status("ready", None, true), 1_000_001, &mut since);
        assert_eq!(
            at(&terms, &status("ready", None, true), 1_000_181, &mut since),
            Look::Confirmed
        );
    }

    #[test]
    fn what_was_broken_before_may_be_broken() {
        let before = status("needs-hand", Some("printer-offline"), false);
        let terms = terms(&before);
        let mut since = None;
        at(&terms, &before, 0, &mut since);
        assert_eq!(at(&terms, &before, 180, &mut since), Look::Confirmed);
    }

    #[test]
    fn a_flicker_begins_the_proof_anew() {
        let good = status("ready", None, true);
        let terms = terms(&good);
        let mut since = None;
        at(&terms, &good, 0, &mut since);
        at(&terms, &status("ready", None, false), 170, &mut since);
        assert!(matches!(
            at(&terms, &good, 190, &mut since),
            Look::Waiting(_)
        ));
        assert_eq!(at(&terms, &good, 370, &mut since), Look::Confirmed);
    }

    #[test]
    fn a_torn_marker_has_no_starts_left() {
        let dir = tempfile::tempdir().unwrap();
        durable::replace(&dir.path().join(TRIAL), b"").unwrap();
        let trial = read(dir.path()).unwrap().unwrap();
        assert_eq!(
            trial,
            Trial {
                left: 0,
                version: None
            }
        );
        assert!(Watch::open(dir.path(), &Version::own()).unwrap().is_none());
    }

    #[test]
    fn a_watch_ends_the_trial_of_its_own_version_only() {
        let dir = tempfile::tempdir().unwrap();
        let own = Version::own();
        arm(dir.path(), &"9.9.9".parse().unwrap(), &Terms::default()).unwrap();
        assert!(Watch::open(dir.path(), &own).unwrap().is_none());
        arm(dir.path(), &own, &Terms::default()).unwrap();
        let mut watch = Watch::open(dir.path(), &own).unwrap().unwrap();
        let look = watch.look(&Value::Null, Duration::ZERO).unwrap();
        assert!(matches!(look, Look::Waiting(_)));
        assert_eq!(watch.look(&Value::Null, SOAK).unwrap(), Look::Confirmed);
        assert_eq!(read(dir.path()).unwrap(), None);
        assert_eq!(confirmed(dir.path()).unwrap(), Some(own));
    }
}
