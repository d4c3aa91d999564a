//! A look at the channel: fetched, verified, remembered, decided.

use super::apply::{AGAIN, Updater, named, told};
use super::channel::{Channel, ChannelError, MAX_DOCUMENT};
use super::fetch;
use super::keys::{KeySet, SignatureFile};
use super::policy::{self, Ask, Decision, Facts};
use super::state::{self, Memory, Seen};
use super::trust::{Trust, TrustError};
use super::version::Version;
use super::words::{Step, UpdateError};
use super::{machine, trial};
use crate::system::durable;

/// Largest signature file: base64 of signatures and lists of keys, in bytes.
const MAX_SIGNATURES: u64 = 256 * 1024;

/// A verified document and what it means here.
pub(super) struct Looked {
    pub(super) decision: Decision,
    pub(super) trust: Trust,
    pub(super) running: Version,
    pub(super) target: String,
}

impl Updater<'_> {
    /// What the guard and the station left behind becomes memory; only then it is removed.
    pub(super) fn settle(&self) -> Result<Memory, UpdateError> {
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
    pub(super) fn look(&self, ask: &Ask, memory: &mut Memory) -> Result<Looked, UpdateError> {
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
}
