//! Archive to inactive slot, checked before and after.
//!
//! The archive counts when: its SHA-256 is the signed document's; a release key signed it *for its
//! name*, in which version and target stand; what is in it says the same version and target; and
//! the program is whole, for this machine, and answers. Extraction happens beside the slots, on the
//! same file system; `$TMPDIR` is never used.

use super::channel::{Artifact, archive_name};
use super::fetch::Now;
use super::keys::KeySet;
use super::slots::{self, Slots, Unsound, sum_of};
use super::version::{Version, check_elf};
use super::{PROGRAM, machine};
use crate::system::durable;
use self_update::{ArchiveKind, Compression, Extract};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Says what an archive is, in its own words: `printstation 1.4.0 aarch64-unknown-linux-gnu`.
pub const RELEASE: &str = "RELEASE";
/// A new program answers within this time; cold from a slow card.
const ANSWER: Duration = Duration::from_secs(20);
/// A file that was just written may be busy for a moment.
const BUSY: u32 = 50;
const MOMENT: Duration = Duration::from_millis(20);
/// Largest answer, in bytes.
const SAID: u64 = 16 * 1024;
/// Bad configuration (sysexits EX_CONFIG).
const BAD_CONFIGURATION: i32 = 78;

/// Why a release is not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// No key is believed: nothing would be verified.
    #[error("there is no release key, so nothing can be verified")]
    NoKeys,
    /// The archive is not what was signed.
    #[error("{0}: not signed by a release key for this version and target")]
    NotSigned(String, #[source] self_update::errors::Error),
    /// The archive is not what the document says.
    #[error("the archive is not what the channel document says")]
    Changed,
    /// What is in the archive is not what its name says.
    #[error("the archive does not hold what its name says: {0}")]
    Content(String),
    /// It cannot be unpacked.
    #[error("the archive cannot be unpacked")]
    Extract(#[source] self_update::errors::Error),
    /// No room.
    #[error(
        "disk-full: {path} has {free} MB free, {need} MB are needed; remove what is not needed there and try again",
        path = path.display(), free = free >> 20, need = need.div_ceil(1 << 20)
    )]
    Space {
        /// Where.
        path: PathBuf,
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        free: u64,
    },
    /// The slot is not what was written.
    #[error("the card did not keep what was written")]
    Unsound(#[from] Unsound),
    /// The new program does not work here.
    #[error("the new version does not start here: {0}")]
    SelfCheck(String),
    /// The new program does not take this station's configuration.
    #[error("the new version does not accept this station's configuration: {0}")]
    Configuration(String),
    /// The disk refuses.
    #[error("the new version cannot be stored")]
    Io(#[from] io::Error),
}

/// There is room for the archive, the program beside the slots, and what the station needs.
///
/// # Errors
/// There is not; says where and how much.
pub fn space(root: &Path, artifact: &Artifact) -> Result<(), InstallError> {
    let need = artifact
        .size
        .saturating_add(artifact.unpacked)
        .saturating_add(machine::RESERVE);
    let free = machine::free(root)?;
    if free < need {
        return Err(InstallError::Space {
            path: root.to_owned(),
            need,
            free,
        });
    }
    Ok(())
}

/// The archive is the signed document's, and a release key signed it for exactly this version and
/// target.
///
/// # Errors
/// It is not.
pub fn verify(
    archive: &Path,
    version: &Version,
    target: &str,
    artifact: &Artifact,
    keys: &KeySet,
) -> Result<(), InstallError> {
    let name = archive_name(version, target);
    // The name is the signature's context: it must be ours, not the file's.
    if archive.file_name().is_none_or(|file| *file != *name) {
        return Err(InstallError::Changed);
    }
    let length = std::fs::metadata(archive)
        .map_err(|error| durable::at(archive, &error))?
        .len();
    if length != artifact.size || sum_of(archive)? != artifact.sha256 {
        return Err(InstallError::Changed);
    }
    let keys: Vec<_> = keys.release().iter().map(|key| key.bytes()).collect();
    // self_update takes an empty list for "do not check".
    if keys.is_empty() {
        return Err(InstallError::NoKeys);
    }
    self_update::verify_signature(archive, &keys)
        .map_err(|error| InstallError::NotSigned(name, error))
}

/// Unpacks a verified archive into the workshop and seals it.
///
/// # Errors
/// Its content is not what its name says.
pub fn unpack(
    slots: &Slots,
    archive: &Path,
    version: &Version,
    target: &str,
    artifact: &Artifact,
) -> Result<(), InstallError> {
    let dir = slots.workshop()?;
    for name in [RELEASE, PROGRAM] {
        Extract::from_source(archive)
            .archive(ArchiveKind::Tar(Some(Compression::Gz)))
            .extract_file(&dir, name)
            .map_err(InstallError::Extract)?;
        let path = dir.join(name);
        // A link could lead out of the slot, now or when the guard reads it.
        let found = std::fs::symlink_metadata(&path).map_err(|error| durable::at(&path, &error))?;
        if !found.is_file() || found.nlink() != 1 {
            return Err(InstallError::Content(format!("{name} is not a plain file")));
        }
    }
    let label = dir.join(RELEASE);
    let said = durable::read_bounded(&label, SAID)?.unwrap_or_default();
    let wanted = format!("{PROGRAM} {version} {target}");
    let said = String::from_utf8_lossy(&said);
    if said.trim_end() != wanted {
        let said = shown(&said);
        return Err(InstallError::Content(format!("{said} instead of {wanted}")));
    }
    durable::remove(&label)?;
    let program = dir.join(PROGRAM);
    let mut file = File::open(&program).map_err(|error| durable::at(&program, &error))?;
    let mut head = [0; 64];
    let got = file.read(&mut head)?;
    check_elf(&head[..got], target).map_err(InstallError::Content)?;
    let length = file.metadata()?.len();
    if length != artifact.unpacked {
        return Err(InstallError::Content(format!(
            "the program has {length} bytes instead of {}",
            artifact.unpacked
        )));
    }
    slots::seal(&dir, version)?;
    Ok(slots::check_dir(&dir)?)
}

/// Starts the new program before anything depends on it: it says who it is, and whether it takes
/// the configuration.
///
/// # Errors
/// It does not start, is another one, or refuses the configuration.
pub fn self_check(
    program: &Path,
    version: &Version,
    target: &str,
    config: Option<&Path>,
    said: &Path,
    now: Now<'_>,
) -> Result<(), InstallError> {
    let failed = |why: String| InstallError::SelfCheck(why);
    let mut command = Command::new(program);
    command.arg("self-check");
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.env_clear().stdin(Stdio::null());
    let mut tries = 0;
    let mut child = loop {
        // A file instead of a pipe: nothing that is said can block, and nobody can hold it open.
        let out = File::create(said).map_err(|error| durable::at(said, &error))?;
        command.stderr(out.try_clone()?).stdout(out);
        match command.spawn() {
            Ok(child) => break child,
            // A child of another thread may still have the new file open for writing.
            Err(error) if error.raw_os_error() == Some(26) && tries < BUSY => {
                tries += 1;
                std::thread::sleep(MOMENT);
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    };
    let end = now().mono.plus(ANSWER);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if now().mono >= end {
            child.kill()?;
            child.wait()?;
            return Err(failed("it does not end".to_owned()));
        }
        std::thread::sleep(MOMENT);
    };
    let text = durable::read_bounded(said, SAID)
        .ok()
        .flatten()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    durable::remove(said)?;
    if status.code() == Some(BAD_CONFIGURATION) {
        return Err(InstallError::Configuration(shown(&text)));
    }
    if !status.success() {
        return Err(failed(format!("{status}: {}", shown(&text))));
    }
    let wanted = format!("{PROGRAM} {version} {target}");
    if text.lines().next().map(str::trim_end) != Some(wanted.as_str()) {
        return Err(failed(format!(
            "it says {:?} instead of {wanted:?}",
            shown(&text)
        )));
    }
    Ok(())
}

/// What somebody else said, short and harmless.
fn shown(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect()
}
