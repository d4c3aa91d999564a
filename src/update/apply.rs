//! The steps of an update in their order, and what comes of each.
//!
//! Everything up to [`Step::Armed`] can be repeated and changes nothing that is started. From there
//! on the slot guard decides alone, with or without this process. A step that returns has reached
//! the disk.

use super::channel::{Artifact, Channel, ChannelError, MAX_DOCUMENT, Release, archive_name};
use super::fetch::{self, FetchError, Limits, Now};
use super::install::{self, InstallError};
use super::keys::{KeySet, SignatureFile};
use super::policy::{self, Ask, Decision, Facts, Reason};
use super::slots::{Link, Slots};
use super::state::{self, Hold, Line, Memory, Seen};
use super::station::{self, Lease, NoLease};
use super::trial::{self, Health, Terms};
use super::trust::{Trust, TrustError};
use super::version::{self, Version};
use super::{STATE, machine};
use crate::config::model::Window;
use crate::domain::Timestamp;
use crate::system::durable;
use crate::system::lock::{DirLock, LockError};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Largest signature file: base64 of signatures and lists of keys, in bytes.
const MAX_SIGNATURES: u64 = 256 * 1024;
/// A station that was told to stop has stopped within this time.
const STOP: Duration = Duration::from_secs(120);
/// See [`Settings::margin`].
const MARGIN: Duration = Duration::from_secs(180);
/// Between looks at a trial.
const LOOK: Duration = Duration::from_millis(250);
/// After something went wrong, the next try is after this time.
const AGAIN: Duration = Duration::from_secs(3600);
/// A rollback does not wait longer for a station that may be what is broken.
const ROLLBACK_PATIENCE: Duration = Duration::from_secs(30);

/// Everything that an update depends on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the slots are.
    pub root: PathBuf,
    /// The station's state folder.
    pub state_dir: PathBuf,
    /// The station's control socket.
    pub control: PathBuf,
    /// Folder of public keys.
    pub keys: PathBuf,
    /// `update.url`.
    pub url: Option<String>,
    /// `station.name`.
    pub station: String,
    /// What this machine needs.
    pub target: Option<String>,
    /// Tells this machine from every other.
    pub device: String,
    /// `update.window`.
    pub window: Option<Window>,
    /// `station.timezone`.
    pub zone: TimeZone,
    /// The configuration that a new version must accept.
    pub config: Option<PathBuf>,
    /// Restarts the station: program and arguments.
    pub restart: Vec<String>,
    /// Soak and deadline of a trial.
    pub terms: Terms,
    /// Beyond soak and deadline, for the stop and the starts of a trial.
    pub margin: Duration,
    /// Deadlines of downloads.
    pub limits: Limits,
    /// The station rests when nobody has scanned for so long.
    pub quiet: Duration,
    /// How long to wait for that.
    pub patience: Duration,
    /// Tests run where everything is gone after a restart.
    pub volatile_ok: bool,
}

/// What has reached the disk. Tests end the process after each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// What the guard and the station left behind is remembered.
    Settled,
    /// Sequence, floor and keys of a verified document are kept.
    Believed,
    /// The archive is here, whole.
    Fetched,
    /// `previous` is `current`.
    Prepared,
    /// The new slot is made, beside its place.
    Unpacked,
    /// … and in its place.
    Placed,
    /// It was read back and has answered.
    Checked,
    /// The station rests.
    Leased,
    /// The trial is armed.
    Armed,
    /// `current` is the new slot.
    Switched,
    /// It is remembered that the version is on trial.
    Noted,
    /// The station was told to restart.
    Restarted,
    /// Rollback: the version is remembered as bad.
    Blamed,
    /// Rollback: `current` is the old slot.
    Returned,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Settled,
        Self::Believed,
        Self::Fetched,
        Self::Prepared,
        Self::Unpacked,
        Self::Placed,
        Self::Checked,
        Self::Leased,
        Self::Armed,
        Self::Switched,
        Self::Noted,
        Self::Restarted,
        Self::Blamed,
        Self::Returned,
    ];
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum Ended {
    /// `check`: this would be installed now.
    Offered {
        /// The version.
        version: Version,
    },
    /// Nothing to do, or not now.
    Waits {
        /// Stable word.
        code: &'static str,
        /// For people.
        reason: String,
        /// Of what.
        version: Option<Version>,
        /// When to look again.
        next: Timestamp,
    },
    /// Installed, started, and no worse than before.
    Confirmed {
        /// The version.
        version: Version,
    },
    /// Installed and started; not proved yet.
    OnTrial {
        /// The version.
        version: Version,
        /// What is missing.
        reason: String,
    },
    /// The version before runs again.
    RolledBack {
        /// What was left.
        version: Option<Version>,
        /// Why.
        reason: String,
    },
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// No `update.url`.
    #[error("no channel: set update.url in the configuration")]
    NoChannel,
    /// No releases are made for this machine.
    #[error("updates are not made for this kind of machine")]
    NoTarget,
    /// Nothing is installed here in slots.
    #[error("{0} has no `current` slot: install the station with scripts/install first")]
    NotInstalled(PathBuf),
    /// Another update is at work.
    #[error("another update is at work (process {0})")]
    Locked(String),
    /// What is written would be gone.
    #[error("{0}")]
    Volatile(String),
    /// The other slot cannot be started from.
    #[error("there is no version to go back to: {0}")]
    NoWayBack(String),
    /// A version is on trial and must end first.
    #[error("{0} is on trial; `update rollback` ends that")]
    OnTrial(Version),
    /// Nothing came from the server.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The document is not used.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// What is believed cannot be read or kept.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The release is not installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The station does not rest.
    #[error(transparent)]
    Lease(#[from] NoLease),
    /// The restart could not be asked for; the new version starts with the next start.
    #[error("the station could not be restarted ({0})")]
    Restart(String),
    /// The disk refuses.
    #[error("the disk refuses")]
    Io(#[from] io::Error),
}

impl UpdateError {
    /// Trying again later may help, with nobody doing anything.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Locked(_)
                | Self::Fetch(FetchError::Unreachable { .. })
                | Self::Lease(_)
                | Self::OnTrial(_)
        )
    }

    /// Stable word.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoChannel => "no-channel",
            Self::NoTarget => "no-target",
            Self::NotInstalled(_) => "not-installed",
            Self::Locked(_) => "locked",
            Self::Volatile(_) => "volatile",
            Self::NoWayBack(_) => "no-way-back",
            Self::OnTrial(_) => "on-trial",
            Self::Fetch(FetchError::Unreachable { .. }) => "unreachable",
            Self::Install(InstallError::Space { .. }) => "disk-full",
            Self::Lease(_) => "station-busy",
            Self::Restart(_) => "restart-failed",
            Self::Io(error) if durable::is_full(error) => "disk-full",
            Self::Io(_) => "internal",
            Self::Fetch(_) | Self::Channel(_) | Self::Trust(_) | Self::Install(_) => {
                "update-refused"
            }
        }
    }
}

/// Does it.
pub struct Updater<'a> {
    settings: Settings,
    slots: Slots,
    /// `<state>/update`.
    dir: PathBuf,
    now: Now<'a>,
    reached: &'a dyn Fn(Step) -> io::Result<()>,
}

/// A verified document and what it means here.
struct Looked {
    decision: Decision,
    trust: Trust,
    running: Version,
    target: String,
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

    fn wall(&self) -> Timestamp {
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
                if let UpdateError::Install(
                    InstallError::Content(_) | InstallError::SelfCheck(_),
                ) = &error
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
        let show = |slot: Option<super::slots::Slot>| {
            slot.map(|slot| {
                serde_json::json!({
                    "slot": slot.path(),
                    "version": self.slots.version(slot),
                    "sound": self.slots.check(slot).is_ok(),
                })
            })
        };
        let trial = trial::read(&self.dir)?.map(|trial| {
            serde_json::json!({ "version": trial.version, "starts_left": trial.left })
        });
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

    /// What the guard and the station left behind becomes memory; only then it is removed.
    fn settle(&self) -> Result<Memory, UpdateError> {
        state::make_folder(&self.dir)?;
        durable::remove_unfinished(&self.dir)?;
        durable::remove_unfinished(&self.settings.root)?;
        let mut memory = Memory::load(&self.dir)?;
        let now = self.wall();
        if let Some((version, why)) = trial::rolled_back(&self.dir)? {
            memory.note(
                now,
                "rolled-back",
                format!("{}: {why}", named(version.as_ref())),
            );
            if let Some(version) = version {
                memory.failed(version, why, now);
            }
            memory.keep(&self.dir)?;
            durable::remove(&self.dir.join(trial::ROLLED_BACK))?;
        }
        if let Some(version) = trial::confirmed(&self.dir)? {
            memory.note(now, "confirmed", format!("{version} has proved itself"));
            memory.bad.retain(|bad| bad.version != version);
            memory.keep(&self.dir)?;
            durable::remove(&self.dir.join(trial::CONFIRMED))?;
        }
        (self.reached)(Step::Settled)?;
        Ok(memory)
    }

    /// Fetches and verifies the document, remembers it, decides.
    fn look(&self, ask: &Ask, memory: &mut Memory) -> Result<Looked, UpdateError> {
        let looked = self.decide(ask, memory);
        let now = self.wall();
        memory.last_check = Some(now);
        let (line, next) = match &looked {
            Ok(looked) => match &looked.decision {
                Decision::Install { release, .. } => (
                    self.line("offered", format!("{} can be installed", release.version)),
                    now,
                ),
                Decision::Wait { reason, next, .. } => {
                    (self.line(reason.code(), reason.to_string()), *next)
                }
            },
            Err(error) => (self.line(error.code(), told(error)), now.plus(AGAIN)),
        };
        memory.last_result = Some(line);
        memory.next = Some(next);
        memory.keep(&self.dir)?;
        looked
    }

    fn decide(&self, ask: &Ask, memory: &mut Memory) -> Result<Looked, UpdateError> {
        let settings = &self.settings;
        let url = settings.url.as_deref().ok_or(UpdateError::NoChannel)?;
        let target = settings.target.clone().ok_or(UpdateError::NoTarget)?;
        let running = self.running()?;
        let provisioned = KeySet::load(&settings.keys).map_err(TrustError::from)?;
        let mut trust = Trust::load(&settings.root, provisioned)?;
        // Between two files of a server a new issue may fall: once more.
        let channel = match self.believe(url, &mut trust) {
            Err(UpdateError::Channel(ChannelError::Keys(_))) => self.believe(url, &mut trust)?,
            other => other?,
        };
        trust.keep(&settings.root)?;
        (self.reached)(Step::Believed)?;
        memory.channel = Some(Seen {
            name: channel.name.clone(),
            sequence: channel.sequence,
            expires: channel.expires,
        });
        let bad: Vec<(Version, String)> = memory
            .bad
            .iter()
            .map(|bad| (bad.version.clone(), bad.why.clone()))
            .collect();
        let trial = trial::read(&self.dir)?.and_then(|trial| trial.version);
        let trial = trial.filter(|version| *version == running);
        let now = self.wall();
        let decision = policy::decide(&Facts {
            running: &running,
            target: &target,
            station: &settings.station,
            device: &settings.device,
            channel: &channel,
            floor: trust.floor.as_ref(),
            bad: &bad,
            held: memory.hold.as_ref().map(|hold| hold.until),
            trial: trial.as_ref(),
            now,
            clock: machine::clock_trust(now, trust.issued),
            window: settings.window,
            zone: &settings.zone,
            ask,
        });
        Ok(Looked {
            decision,
            trust,
            running,
            target,
        })
    }

    /// Fetches the document with its signatures; moves `trust` on when they are right.
    fn believe(&self, url: &str, trust: &mut Trust) -> Result<Channel, UpdateError> {
        let limits = &self.settings.limits;
        let document = fetch::document(url, MAX_DOCUMENT, limits, self.now)?;
        let beside = format!("{url}.sig");
        let signatures = fetch::document(&beside, MAX_SIGNATURES, limits, self.now)?;
        let file = SignatureFile::parse(&signatures).map_err(ChannelError::from)?;
        let (keys, serial) = file
            .rotate(trust.keys.clone(), trust.serial)
            .map_err(ChannelError::from)?;
        let signatures = file.signatures().map_err(ChannelError::from)?;
        let channel = Channel::open(&document, &signatures, &keys, trust.sequence)?;
        trust.keys = keys;
        trust.serial = serial;
        trust.sequence = channel.sequence;
        trust.issued = trust.issued.max(channel.issued);
        // The floor only rises.
        trust.floor = trust.floor.take().max(channel.floor.clone());
        Ok(channel)
    }

    /// True: the station was told to restart.
    fn install(
        &self,
        looked: &Looked,
        release: &Release,
        artifact: &Artifact,
        ask: &Ask,
        memory: &mut Memory,
    ) -> Result<bool, UpdateError> {
        let (settings, slots) = (&self.settings, &self.slots);
        let (version, target) = (&release.version, &looked.target);
        let archive = self.fetch(version, target, artifact)?;
        install::verify(&archive, version, target, artifact, &looked.trust.keys)?;
        // From here until the switch there is nothing to go back to but what runs.
        let current = self.current()?;
        slots.point(Link::Previous, current)?;
        (self.reached)(Step::Prepared)?;
        install::unpack(slots, &archive, version, target, artifact)?;
        (self.reached)(Step::Unpacked)?;
        let slot = current.other();
        slots.install(slot)?;
        (self.reached)(Step::Placed)?;
        slots.check(slot).map_err(InstallError::from)?;
        let said = settings.root.join("download").join("self-check");
        install::self_check(
            &slots.program(slot),
            version,
            target,
            settings.config.as_deref(),
            &said,
            self.now,
        )?;
        (self.reached)(Step::Checked)?;
        let lease = self.lease(ask)?;
        (self.reached)(Step::Leased)?;
        let before = station::status(&settings.control)
            .map(|status| Health::of(&status))
            .unwrap_or_default();
        let terms = Terms {
            before,
            ..settings.terms.clone()
        };
        trial::arm(&self.dir, version, &terms)?;
        (self.reached)(Step::Armed)?;
        slots.point(Link::Current, slot)?;
        (self.reached)(Step::Switched)?;
        let text = format!("{version} after {}", looked.running);
        memory.note(self.wall(), "on-trial", text.clone());
        memory.last_result = Some(self.line("on-trial", text));
        memory.keep(&self.dir)?;
        (self.reached)(Step::Noted)?;
        // Whatever happens now: the new version starts, on trial, or the guard goes back.
        let restarted = self.restart();
        if let Err(error) = &restarted {
            tracing::error!(%error, "the new version starts with the next start of the station");
        } else if let Some(lease) = lease {
            lease.until_gone(STOP);
        }
        (self.reached)(Step::Restarted)?;
        durable::remove(&archive)?;
        Ok(restarted.is_ok())
    }

    /// The station rests; none: there is no station.
    fn lease(&self, ask: &Ask) -> Result<Option<Lease>, UpdateError> {
        let settings = &self.settings;
        let quiet = if ask.now || settings.window.is_some() {
            Duration::ZERO
        } else {
            settings.quiet
        };
        match station::lease(&settings.control, quiet, settings.patience) {
            Ok(lease) => Ok(Some(lease)),
            Err(NoLease::NoStation) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn fetch(
        &self,
        version: &Version,
        target: &str,
        artifact: &Artifact,
    ) -> Result<PathBuf, UpdateError> {
        let dir = self.settings.root.join("download");
        std::fs::create_dir_all(&dir).map_err(|error| durable::at(&dir, &error))?;
        let name = archive_name(version, target);
        let keep = [name.clone(), format!("{}.part", artifact.sha256)];
        for entry in std::fs::read_dir(&dir).map_err(|error| durable::at(&dir, &error))? {
            let entry = entry?;
            if keep.iter().all(|keep| entry.file_name() != keep.as_str()) {
                durable::remove(&entry.path())?;
            }
        }
        install::space(&self.settings.root, artifact)?;
        let url = self.settings.url.as_deref().ok_or(UpdateError::NoChannel)?;
        let url = fetch::address(url)?
            .join(&name)
            .map_err(|_| FetchError::Address(url.to_owned()))?;
        let archive = fetch::archive(
            url.as_str(),
            artifact,
            &dir,
            &name,
            &self.settings.limits,
            self.now,
        )?;
        (self.reached)(Step::Fetched)?;
        Ok(archive)
    }

    /// Waits until the trial of `version` has ended; ends it itself when the station cannot.
    fn see_through(&self, version: &Version) -> Result<Ended, UpdateError> {
        let terms = trial::terms(&self.dir)?;
        let limit = terms.soak().max(terms.deadline()).saturating_add(self.settings.margin);
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

    fn restart(&self) -> Result<(), UpdateError> {
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

    fn current(&self) -> Result<super::slots::Slot, UpdateError> {
        self.slots
            .read(Link::Current)?
            .ok_or_else(|| UpdateError::NotInstalled(self.settings.root.clone()))
    }

    /// The version of `current`: of its own file, not of this process, which may be older.
    fn running(&self) -> Result<Version, UpdateError> {
        let current = self.current()?;
        Ok(self.slots.version(current).unwrap_or_else(Version::own))
    }

    fn line(&self, code: &str, text: String) -> Line {
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

fn named(version: Option<&Version>) -> String {
    version.map_or_else(|| "the new version".to_owned(), Version::to_string)
}

/// An error and its causes in one line.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

impl Settings {
    /// With the places of an installed station.
    pub fn installed(state_dir: &Path, station: &str) -> Self {
        Self {
            root: super::INSTALL_ROOT.into(),
            state_dir: state_dir.to_owned(),
            control: state_dir.join("control.sock"),
            keys: super::KEYS_DIR.into(),
            url: None,
            station: station.to_owned(),
            target: version::own_target().map(str::to_owned),
            device: machine::device(station),
            window: None,
            zone: TimeZone::UTC,
            config: None,
            restart: [
                "/bin/sh",
                "-c",
                // A unit that failed too often does not start again until that is forgotten.
                "systemctl reset-failed printstation.service; exec systemctl --no-block restart printstation.service",
            ]
            .map(str::to_owned)
            .to_vec(),
            terms: Terms::default(),
            margin: MARGIN,
            limits: Limits::default(),
            quiet: Duration::from_secs(600),
            patience: Duration::from_secs(900),
            volatile_ok: false,
        }
    }
}
