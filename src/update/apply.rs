//! The steps of an update in their order, and what comes of each.
//!
//! Everything up to [`Step::Armed`] can be repeated and changes nothing that is started. From there
//! on the slot guard decides alone, with or without this process. A step that returns has reached
//! the disk.

use super::channel::MAX_DOCUMENT;
use super::fetch::{self, Now};
use super::install::InstallError;
use super::policy::{Ask, Decision, Reason};
use super::settings::Settings;
use super::slots::{Link, Slot, Slots};
use super::state::{self, Hold, Line, Memory};
use super::station;
use super::steps::STOP;
use super::trial::{self, Health};
use super::version::Version;
use super::words::{Ended, Step, UpdateError};
use super::{STATE, machine};
use crate::domain::Timestamp;
use crate::system::durable;
use crate::system::lock::{DirLock, LockError};
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Between looks at a trial.
const LOOK: Duration = Duration::from_millis(250);
/// After something went wrong, the next try is after this time.
pub(super) const AGAIN: Duration = Duration::from_secs(3600);
/// A rollback does not wait longer for a station that may be what is broken.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(30);

/// Does it.
pub struct Updater<'a> {
    pub(super) settings: Settings,
    pub(super) slots: Slots,
    /// `<state>/update`.
    pub(super) dir: PathBuf,
    pub(super) now: Now<'a>,
    pub(super) reached: &'a dyn Fn(Step) -> io::Result<()>,
}

impl<'a> Updater<'a> {
    /// `reached` is told after each step; an error there ends the update as a failing disk would.
    pub fn new(
        settings: Settings,
        now: Now<'a>,
        reached: &'a dyn Fn(Step) -> io::Result<()>,
    ) -> Self {
        Self {
            slots: Slots::at(&settings.root),
            dir: settings.state_dir.join(STATE),
            settings,
            now,
            reached,
        }
    }

    pub(super) fn wall(&self) -> Timestamp {
        (self.now)().wall
    }

    fn lock(&self) -> Result<DirLock, UpdateError> {
        DirLock::take(&self.settings.root).map_err(|error| match error {
            LockError::Held { holder, .. } => UpdateError::Locked(holder),
            LockError::Io(error) => UpdateError::Io(error),
        })
    }

    /// Looks at the channel and says what would be done.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub fn check(&self, ask: &Ask) -> Result<Ended, UpdateError> {
        let _lock = self.lock()?;
        let mut memory = self.settle()?;
        let looked = self.look(ask, &mut memory)?;
        Ok(match looked.decision {
            Decision::Install { release, .. } => Ended::Offered {
                version: release.version,
            },
            Decision::Wait {
                reason,
                version,
                next,
            } => waits(&reason, version, next),
        })
    }

    /// Installs what the channel offers, restarts the station, and sees how the trial ends.
    ///
    /// # Errors
    /// See [`UpdateError`]; what was reached stays, and the next try goes on from there.
    pub fn apply(&self, ask: &Ask) -> Result<Ended, UpdateError> {
        if !self.settings.volatile_ok {
            for path in [&self.settings.root, &self.settings.state_dir] {
                if let Some(why) = machine::volatile(path) {
                    return Err(UpdateError::Volatile(why));
                }
            }
        }
        let _lock = self.lock()?;
        let mut memory = self.settle()?;
        // An updater that was ended, or a network that was gone: see how that trial goes on.
        if let Some(trial) = trial::read(&self.dir)?
            && self.slots.read(Link::Current)? != self.slots.read(Link::Previous)?
        {
            let version = trial.version.map_or_else(|| self.running(), Ok)?;
            // Armed and switched, but the guard has not counted a start: it was never started.
            if trial.left == trial::STARTS {
                let lease = self.lease(ask)?;
                self.restart()?;
                if let Some(lease) = lease {
                    lease.until_gone(STOP);
                }
            }
            return self.see_through(&version);
        }
        let looked = self.look(ask, &mut memory)?;
        let (release, artifact) = match &looked.decision {
            Decision::Install { release, artifact } => (release, artifact),
            Decision::Wait {
                reason,
                version,
                next,
            } => return Ok(waits(reason, version.clone(), *next)),
        };
        let version = release.version.clone();
        match self.install(&looked, release, artifact, ask, &mut memory) {
            Ok(true) => self.see_through(&version),
            Ok(false) => Ok(Ended::OnTrial {
                version,
                reason: "the station could not be restarted; it starts with its next start"
                    .to_owned(),
            }),
            Err(error) => {
                self.disarm()?;
                let text = format!("{version}: {}", told(&error));
                memory.note(self.wall(), error.code(), text.clone());
                // What does not fit this machine today will not fit it tomorrow.
                if let UpdateError::Install(InstallError::Content(_) | InstallError::SelfCheck(_)) =
                    &error
                {
                    memory.failed(version, text.clone(), self.wall());
                }
                memory.last_result = Some(self.line(error.code(), text));
                memory.next = Some(self.wall().plus(AGAIN));
                memory.keep(&self.dir)?;
                Err(error)
            }
        }
    }

    /// Goes back to the version before; needs neither network nor a working station.
    ///
    /// # Errors
    /// There is nothing to go back to.
    pub fn rollback(&self) -> Result<Ended, UpdateError> {
        let _lock = self.lock()?;
        let mut memory = self.settle()?;
        let current = self.current()?;
        let back = match self.slots.read(Link::Previous)? {
            Some(previous) if previous != current => previous,
            _ => {
                return Err(UpdateError::NoWayBack(
                    "the other slot holds no earlier version".to_owned(),
                ));
            }
        };
        self.slots
            .check(back)
            .map_err(|why| UpdateError::NoWayBack(why.to_string()))?;
        let version = self.slots.version(current);
        let why = "rolled back by the operator".to_owned();
        if let Some(version) = version.clone() {
            memory.failed(version, why.clone(), self.wall());
        }
        memory.note(
            self.wall(),
            "rolled-back",
            format!("{}: {why}", named(version.as_ref())),
        );
        memory.keep(&self.dir)?;
        (self.reached)(Step::Blamed)?;
        self.slots.point(Link::Current, back)?;
        durable::remove(&self.dir.join(trial::TRIAL))?;
        (self.reached)(Step::Returned)?;
        let lease = station::lease(&self.settings.control, Duration::ZERO, ROLLBACK_PATIENCE);
        self.restart()?;
        if let Ok(lease) = lease {
            lease.until_gone(STOP);
        }
        Ok(Ended::RolledBack {
            version,
            reason: why,
        })
    }

    /// Holds updates on this machine until then, or without end; none: no more.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn hold(&self, hold: Option<Option<Timestamp>>) -> Result<(), UpdateError> {
        let _lock = self.lock()?;
        let mut memory = self.settle()?;
        memory.hold = hold.map(|until| Hold {
            since: self.wall(),
            until,
        });
        let (code, text) = match hold {
            Some(_) => ("held", "updates are held by the operator"),
            None => ("released", "updates are no longer held"),
        };
        memory.note(self.wall(), code, text.to_owned());
        Ok(memory.keep(&self.dir)?)
    }

    /// What is known here, without asking anybody.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn status(&self) -> Result<serde_json::Value, UpdateError> {
        let memory = Memory::load(&self.dir)?;
        let show = |slot: Option<Slot>| {
            slot.map(|slot| {
                serde_json::json!({
                    "slot": slot.path(),
                    "version": self.slots.version(slot),
                    "sound": self.slots.check(slot).is_ok(),
                })
            })
        };
        let trial = trial::read(&self.dir)?.map(
            |trial| serde_json::json!({ "version": trial.version, "starts_left": trial.left }),
        );
        let rolled_back = trial::rolled_back(&self.dir)?
            .map(|(version, why)| serde_json::json!({ "version": version, "why": why }));
        Ok(serde_json::json!({
            "running": self.running().ok(),
            "current": show(self.slots.read(Link::Current)?),
            "previous": show(self.slots.read(Link::Previous)?),
            "trial": trial,
            "rolled_back": rolled_back,
            "channel": memory.channel,
            "url": self.settings.url,
            "last_check": memory.last_check,
            "last_result": memory.last_result,
            "next_try": memory.next,
            "hold": memory.hold,
            "bad": memory.bad,
            "history": memory.history,
        }))
    }

    /// Waits until the trial of `version` has ended; ends it itself when the station cannot.
    fn see_through(&self, version: &Version) -> Result<Ended, UpdateError> {
        let terms = trial::terms(&self.dir)?;
        let limit = terms
            .soak()
            .max(terms.deadline())
            .saturating_add(self.settings.margin);
        let end = (self.now)().mono.plus(limit);
        while (self.now)().mono < end {
            if let Some(ended) = self.ended(version)? {
                self.settle_end(&ended)?;
                return Ok(ended);
            }
            std::thread::sleep(LOOK);
        }
        let status = station::status(&self.settings.control);
        let runs = status.as_ref().and_then(|s| s["version"].as_str());
        let reason = match &status {
            Some(status) if runs == Some(version.to_string().as_str()) => {
                let (devices, services) = Health::of(status).lacking(&terms.before);
                let all = [devices, services].concat().join(", ");
                if !self.network() {
                    // Nobody's fault: it stays on trial until the network is back.
                    return Ok(Ended::OnTrial {
                        version: version.clone(),
                        reason: format!("no network; not seen yet: {all}"),
                    });
                }
                format!("worked before and does not now: {all}")
            }
            _ => "not ready in time".to_owned(),
        };
        self.go_back(version, &reason)
    }

    /// The channel's server answers, so a service that does not is the new version's doing.
    fn network(&self) -> bool {
        self.settings.url.as_deref().is_some_and(|url| {
            fetch::document(url, MAX_DOCUMENT, &self.settings.limits, self.now).is_ok()
        })
    }

    /// How the trial ended, if it has.
    fn ended(&self, version: &Version) -> Result<Option<Ended>, UpdateError> {
        if trial::read(&self.dir)?.is_some() {
            return Ok(None);
        }
        if let Some((version, reason)) = trial::rolled_back(&self.dir)? {
            return Ok(Some(Ended::RolledBack { version, reason }));
        }
        let running = self.running()?;
        Ok(Some(if running == *version {
            Ended::Confirmed { version: running }
        } else {
            Ended::RolledBack {
                version: Some(version.clone()),
                reason: format!("{running} runs again"),
            }
        }))
    }

    fn settle_end(&self, ended: &Ended) -> Result<(), UpdateError> {
        let mut memory = self.settle()?;
        let (code, text) = match ended {
            Ended::Confirmed { version } => ("confirmed", version.to_string()),
            Ended::RolledBack { version, reason } => (
                "rolled-back",
                format!("{}: {reason}", named(version.as_ref())),
            ),
            _ => return Ok(()),
        };
        memory.last_result = Some(self.line(code, text));
        Ok(memory.keep(&self.dir)?)
    }

    /// What the guard would do, for a version that starts and does not become ready.
    fn go_back(&self, version: &Version, why: &str) -> Result<Ended, UpdateError> {
        let Some(previous) = self.slots.read(Link::Previous)? else {
            return Err(UpdateError::NoWayBack("no `previous` slot".to_owned()));
        };
        state::write(
            &self.dir.join(trial::ROLLED_BACK),
            format!("{version}\n{why}\n").as_bytes(),
        )?;
        (self.reached)(Step::Blamed)?;
        self.slots.point(Link::Current, previous)?;
        durable::remove(&self.dir.join(trial::TRIAL))?;
        (self.reached)(Step::Returned)?;
        self.restart()?;
        let ended = Ended::RolledBack {
            version: Some(version.clone()),
            reason: why.to_owned(),
        };
        self.settle_end(&ended)?;
        Ok(ended)
    }

    /// A trial that was armed for a switch that did not come proves nothing.
    fn disarm(&self) -> Result<(), UpdateError> {
        let moved = self.slots.read(Link::Current)? != self.slots.read(Link::Previous)?;
        if !moved {
            durable::remove(&self.dir.join(trial::TRIAL))?;
        }
        Ok(())
    }

    pub(super) fn restart(&self) -> Result<(), UpdateError> {
        let (program, args) = self
            .settings
            .restart
            .split_first()
            .ok_or_else(|| UpdateError::Restart("no command".to_owned()))?;
        let failed = |why: String| UpdateError::Restart(format!("{program}: {why}"));
        let status = Command::new(program)
            .args(args)
            .stdin(std::process::Stdio::null())
            .status()
            .map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            return Err(failed(status.to_string()));
        }
        Ok(())
    }

    pub(super) fn current(&self) -> Result<Slot, UpdateError> {
        self.slots
            .read(Link::Current)?
            .ok_or_else(|| UpdateError::NotInstalled(self.settings.root.clone()))
    }

    /// The version of `current`: of its own file, not of this process, which may be older.
    pub(super) fn running(&self) -> Result<Version, UpdateError> {
        let current = self.current()?;
        Ok(self.slots.version(current).unwrap_or_else(Version::own))
    }

    pub(super) fn line(&self, code: &str, text: String) -> Line {
        Line {
            at: self.wall(),
            code: code.to_owned(),
            text,
        }
    }
}

fn waits(reason: &Reason, version: Option<Version>, next: Timestamp) -> Ended {
    Ended::Waits {
        code: reason.code(),
        reason: reason.to_string(),
        version,
        next,
    }
}

pub(super) fn named(version: Option<&Version>) -> String {
    version.map_or_else(|| "the new version".to_owned(), Version::to_string)
}

/// An error and its causes in one line.
pub(super) fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
