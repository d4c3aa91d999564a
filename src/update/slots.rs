//! Two slots, `current` and `previous`.
//!
//! ```text
//! <root>/slots/a/{printstation, VERSION, SHA256SUMS}
//! <root>/slots/b/…
//! <root>/current  -> slots/a      what systemd starts
//! <root>/previous -> slots/a|b    where the guard goes back to
//! ```
//!
//! Links are switched by one rename. The program that runs is never opened for writing, and which
//! slot runs is read from `current`, never from this process's own path, which may be gone.

use super::keys::hex;
use super::version::Version;
use super::{PROGRAM, channel::MAX_PROGRAM};
use crate::system::durable::{self, at};
use sha2::{Digest as _, Sha256};
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Name of the file with the slot's version.
pub const VERSION: &str = "VERSION";
/// Name of the file with the slot's sums, in the form of `sha256sum`.
pub const SUMS: &str = "SHA256SUMS";
/// Everybody may read and start what is in a slot.
const DIR: u32 = 0o755;
const PLAIN: u32 = 0o644;
const EXECUTABLE: u32 = 0o755;
/// Largest of the small files, in bytes.
const SMALL: u64 = 4096;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// `slots/a`
    A,
    /// `slots/b`
    B,
}

impl Slot {
    /// The one that this is not.
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// As it stands in a link.
    pub fn path(self) -> &'static str {
        match self {
            Self::A => "slots/a",
            Self::B => "slots/b",
        }
    }
}

/// The links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// What is started.
    Current,
    /// Where the guard goes back to.
    Previous,
}

impl Link {
    fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }
}

/// The install root.
#[derive(Clone, Debug)]
pub struct Slots {
    root: PathBuf,
}

/// Why a slot cannot be started from.
#[derive(Debug, thiserror::Error)]
pub enum Unsound {
    /// Something is missing or cannot be read.
    #[error("{0}")]
    Missing(String),
    /// Bytes differ from their sum.
    #[error("{0} is damaged: its bytes differ from {SUMS}")]
    Damaged(String),
}

impl Slots {
    /// The slots under `root`.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The install root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A slot's folder.
    pub fn dir(&self, slot: Slot) -> PathBuf {
        self.root.join(slot.path())
    }

    /// A slot's program.
    pub fn program(&self, slot: Slot) -> PathBuf {
        self.dir(slot).join(PROGRAM)
    }

    /// Where a link points; none: it is not there, or points elsewhere.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, link: Link) -> io::Result<Option<Slot>> {
        let path = self.root.join(link.name());
        let target = match std::fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at(&path, &error)),
        };
        let target = target.strip_prefix(&self.root).unwrap_or(&target);
        Ok([Slot::A, Slot::B]
            .into_iter()
            .find(|slot| Path::new(slot.path()) == target))
    }

    /// Points a link at a slot: one rename, durable.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn point(&self, link: Link, slot: Slot) -> io::Result<()> {
        let new = self.root.join(format!(".{}.new", link.name()));
        durable::remove(&new)?;
        std::os::unix::fs::symlink(slot.path(), &new).map_err(|error| at(&new, &error))?;
        durable::rename(&new, &self.root.join(link.name()))
    }

    /// The version that a slot's `VERSION` names.
    pub fn version(&self, slot: Slot) -> Option<Version> {
        let bytes = durable::read_bounded(&self.dir(slot).join(VERSION), SMALL).ok()??;
        String::from_utf8(bytes).ok()?.trim().parse().ok()
    }

    /// Reads a slot back from the disk and compares it with its sums.
    ///
    /// # Errors
    /// It cannot be started from.
    pub fn check(&self, slot: Slot) -> Result<(), Unsound> {
        check_dir(&self.dir(slot))
    }

    /// The folder in which the next slot is made; empty.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn workshop(&self) -> io::Result<PathBuf> {
        let slots = self.root.join("slots");
        make_dir(&slots)?;
        let dir = slots.join(".new");
        clear(&dir)?;
        make_dir(&dir)?;
        Ok(dir)
    }

    /// Puts the workshop in the place of `slot`, which must be neither `current` nor `previous`.
    ///
    /// # Errors
    /// It is one of these, or the disk refuses.
    pub fn install(&self, slot: Slot) -> io::Result<()> {
        for link in [Link::Current, Link::Previous] {
            if self.read(link)? == Some(slot) {
                return Err(io::Error::other(format!(
                    "{} is in use as `{}`",
                    slot.path(),
                    link.name()
                )));
            }
        }
        let slots = self.root.join("slots");
        clear(&self.dir(slot))?;
        durable::rename(&slots.join(".new"), &self.dir(slot))
    }
}

/// Writes `VERSION` and `SHA256SUMS` beside the program in `dir`, with rights for everybody to read,
/// and makes all of it durable.
///
/// # Errors
/// The disk refuses.
pub fn seal(dir: &Path, version: &Version) -> io::Result<()> {
    let program = dir.join(PROGRAM);
    std::fs::set_permissions(&program, Permissions::from_mode(EXECUTABLE))
        .and_then(|()| File::open(&program)?.sync_all())
        .map_err(|error| at(&program, &error))?;
    publish(&dir.join(VERSION), format!("{version}\n").as_bytes())?;
    let mut sums = String::new();
    for name in [PROGRAM, VERSION] {
        sums.push_str(&format!("{}  {name}\n", sum_of(&dir.join(name))?));
    }
    publish(&dir.join(SUMS), sums.as_bytes())?;
    durable::sync_dir(dir)
}

/// The sums of `dir` are true, of the bytes that the disk holds.
///
/// # Errors
/// They are not.
pub fn check_dir(dir: &Path) -> Result<(), Unsound> {
    let missing = |error: &dyn std::fmt::Display| Unsound::Missing(error.to_string());
    let path = dir.join(SUMS);
    let bytes = durable::read_bounded(&path, SMALL)
        .map_err(|error| missing(&error))?
        .ok_or_else(|| missing(&format_args!("{} is not there", path.display())))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut seen = false;
    for line in text.lines() {
        let (sum, name) = line
            .split_once("  ")
            .ok_or_else(|| Unsound::Damaged(path.display().to_string()))?;
        if name != PROGRAM && name != VERSION {
            return Err(Unsound::Damaged(path.display().to_string()));
        }
        let file = dir.join(name);
        if sum_of(&file).map_err(|error| missing(&error))? != sum {
            return Err(Unsound::Damaged(file.display().to_string()));
        }
        seen |= name == PROGRAM;
    }
    if !seen {
        return Err(Unsound::Damaged(path.display().to_string()));
    }
    Ok(())
}

/// SHA-256 of a file, read from the disk as far as the kernel lets us, not from memory.
///
/// # Errors
/// It cannot be read, is no plain file, or is longer than any program of ours.
pub fn sum_of(path: &Path) -> io::Result<String> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a file"));
        }
        // What was written a moment ago would come out of the page cache, whatever the card kept.
        if let Err(error) = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed) {
            tracing::debug!(%error, "read back from memory");
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0u64;
        loop {
            let got = file.read(&mut buffer)?;
            if got == 0 {
                return Ok(hex(&hash.finalize()));
            }
            total += got as u64;
            if total > MAX_PROGRAM {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            hash.update(&buffer[..got]);
        }
    };
    read().map_err(|error| at(path, &error))
}

/// A small file that everybody may read.
pub(super) fn publish(path: &Path, bytes: &[u8]) -> io::Result<()> {
    durable::replace_with(path, |file| {
        file.set_permissions(Permissions::from_mode(PLAIN))?;
        file.write_all(bytes)
    })
    .map(drop)
}

/// A folder that everybody may read; its parent is there.
pub(super) fn make_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIR).create(path) {
        Ok(()) => {
            // The umask may have taken something away.
            std::fs::set_permissions(path, Permissions::from_mode(DIR))
                .map_err(|error| at(path, &error))?;
            durable::sync_dir(path.parent().unwrap_or(path))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(at(path, &error)),
    }
}

fn clear(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Ok(()) => durable::sync_dir(dir.parent().unwrap_or(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(dir, &error)),
    }
}
