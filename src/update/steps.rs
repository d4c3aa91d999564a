//! The steps of an installation, in their order.

use super::apply::Updater;
use super::channel::{Artifact, Release, archive_name};
use super::fetch::{self, FetchError};
use super::install::{self, InstallError};
use super::look::Looked;
use super::policy::Ask;
use super::slots::Link;
use super::state::Memory;
use super::station::{self, Lease, NoLease};
use super::trial::{self, Health, Terms};
use super::version::Version;
use super::words::{Step, UpdateError};
use crate::system::durable;
use std::path::PathBuf;
use std::time::Duration;

/// A station that was told to stop has stopped within this time.
pub(super) const STOP: Duration = Duration::from_secs(120);

impl Updater<'_> {
    /// True: the station was told to restart.
    pub(super) fn install(
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
    pub(super) fn lease(&self, ask: &Ask) -> Result<Option<Lease>, UpdateError> {
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
}
