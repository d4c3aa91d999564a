//! Everything that an update depends on.

use super::fetch::Limits;
use super::trial::Terms;
use super::{machine, version};
use crate::config::model::Window;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// See [`Settings::margin`].
const MARGIN: Duration = Duration::from_secs(180);

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
