//! What was tried, refused and held: for the next decision and for `update status`.
//!
//! `<state>/update/state.json`. The folder belongs to the station's user, the updater is root: files
//! are made new and renamed, never followed, and given to whoever owns the folder, because the
//! station must read and end its own trial.

use super::version::Version;
use crate::domain::Timestamp;
use crate::system::durable;
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Name of the file.
pub const FILE: &str = "state.json";
/// Station and updater share a group: both write in the folder, both read what is there. Nothing in
/// it is personal or secret.
const DIR_MODE: u32 = 0o770;
const FILE_MODE: u32 = 0o640;
/// Largest file, in bytes.
const LIMIT: u64 = 256 * 1024;
/// Lines of history.
const HISTORY: usize = 50;
/// Failed versions that are remembered.
const BAD: usize = 50;

/// The memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// 1. A newer one is read as far as it is understood: a rollback must not forget.
    pub format: u32,
    /// When the channel was last looked at, well or not.
    pub last_check: Option<Timestamp>,
    /// What came of it.
    pub last_result: Option<Line>,
    /// When the next look is due.
    pub next: Option<Timestamp>,
    /// Newest sequence, issue and expiry seen; for people.
    pub channel: Option<Seen>,
    /// The operator holds updates.
    pub hold: Option<Hold>,
    /// Versions that failed here.
    pub bad: Vec<Bad>,
    /// What happened, newest last.
    pub history: Vec<Line>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Stable word.
    pub code: String,
    /// For people.
    pub text: String,
}

/// The channel as last seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its sequence.
    pub sequence: u64,
    /// Until when it is true.
    pub expires: Timestamp,
}

/// Updates are held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// Until when; none: until `hold --off`.
    pub until: Option<Timestamp>,
}

/// A version that failed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bad {
    /// Which.
    pub version: Version,
    /// How.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

impl Memory {
    /// Reads the memory. A damaged one is set aside: what it held cannot be guessed.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn load(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let Some(bytes) = durable::read_bounded(&path, LIMIT)? else {
            return Ok(Self::default());
        };
        match serde_json::from_slice(&bytes) {
            Ok(memory) => Ok(memory),
            Err(why) => {
                tracing::error!(%why, path = %path.display(), "the memory of updates is damaged and set aside");
                let aside = dir.join("state.json.damaged");
                match durable::rename(&path, &aside) {
                    Ok(()) => Ok(Self::default()),
                    // Only looking, on a disk that takes nothing: go on without it.
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        Ok(Self::default())
                    }
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// Keeps the memory, durably.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep(&mut self, dir: &Path) -> io::Result<()> {
        self.format = 1;
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
        let surplus = self.bad.len().saturating_sub(BAD);
        self.bad.drain(..surplus);
        let bytes = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        write(&dir.join(FILE), &bytes)
    }

    /// Adds a line of history.
    pub fn note(&mut self, at: Timestamp, code: &str, text: String) {
        self.history.push(Line {
            at,
            code: code.to_owned(),
            text,
        });
    }

    /// Remembers that a version failed here.
    pub fn failed(&mut self, version: Version, why: String, at: Timestamp) {
        self.bad.retain(|bad| bad.version != version);
        self.bad.push(Bad { version, why, at });
    }
}

/// Replaces a file in the station's state folder and gives it to the folder's owner.
///
/// # Errors
/// The disk refuses.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = folder(path);
    let owner = std::fs::metadata(&dir).map_err(|error| durable::at(&dir, &error))?;
    durable::replace_with(path, |file| {
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = (
                rustix::fs::Uid::from_raw(owner.uid()),
                rustix::fs::Gid::from_raw(owner.gid()),
            );
            // Root without capabilities may not; then it runs with the station's group, which may
            // read what it makes.
            if let Err(error) = rustix::fs::fchown(&*file, Some(uid), Some(gid)) {
                tracing::debug!(%error, "the file stays with this user");
            }
        }
        Ok(())
    })
    .map(drop)
}

/// Makes the update folder in the state folder, for the state folder's owner.
///
/// # Errors
/// The disk refuses.
pub fn make_folder(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    durable::create_dir_all(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(DIR_MODE))
        .map_err(|error| durable::at(dir, &error))?;
    let parent = folder(dir);
    let owner = std::fs::metadata(&parent).map_err(|error| durable::at(&parent, &error))?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(dir, Some(owner.uid()), Some(owner.gid()))
            .map_err(|error| durable::at(dir, &error))?;
    }
    Ok(())
}

fn folder(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| ".".into(), Path::to_owned)
}
