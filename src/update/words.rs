//! Steps, ends and errors of an update.

use super::channel::ChannelError;
use super::fetch::FetchError;
use super::install::InstallError;
use super::station::NoLease;
use super::trust::TrustError;
use super::version::Version;
use crate::domain::Timestamp;
use crate::system::durable;
use serde::Serialize;
use std::io;
use std::path::PathBuf;

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
