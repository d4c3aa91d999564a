//! Setting damaged files aside: renamed, never deleted at once, the last two kept.

use crate::ledger::core::Core;
use crate::system::durable;
use std::path::{Path, PathBuf};

/// Start of the names of directories that were set aside.
pub(crate) const QUARANTINE: &str = "quarantine-";
/// How many of them are kept.
const QUARANTINES: usize = 2;

/// Renames a damaged directory to `quarantine-<UTC>`, and keeps the last two of them.
pub(crate) fn set_aside(core: &Core, dir: &Path) -> std::io::Result<PathBuf> {
    let aside = quarantine_name(core);
    durable::rename(dir, &aside)?;
    keep_last_quarantines(core)?;
    Ok(aside)
}

/// Removes all but the last two directories that were set aside.
pub(crate) fn keep_last_quarantines(core: &Core) -> std::io::Result<()> {
    let mut all = quarantines(&core.settings.dir)?;
    all.sort();
    all.reverse();
    for old in all.iter().skip(QUARANTINES) {
        remove_dir(old)?;
    }
    Ok(())
}

/// A free name for something that is set aside now.
pub(crate) fn quarantine_name(core: &Core) -> PathBuf {
    let stamp = stamp(core.now());
    (0..1000)
        .map(|n| match n {
            0 => core.path(&format!("{QUARANTINE}{stamp}")),
            n => core.path(&format!("{QUARANTINE}{stamp}-{n:03}")),
        })
        .find(|path| !path.exists())
        .unwrap_or_else(|| core.path(QUARANTINE))
}

/// UTC as in names of quarantine directories; sorts as text.
pub(crate) fn stamp(at: crate::domain::Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(
        |_| "00000000T000000Z".to_owned(),
        |time| time.strftime("%Y%m%dT%H%M%SZ").to_string(),
    )
}

/// Directories that were set aside.
pub(crate) fn quarantines(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(QUARANTINE) {
            all.push(entry.path());
        }
    }
    Ok(all)
}

/// Removes a directory if it is there, durably.
pub(crate) fn remove_dir(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(dir) {
        Ok(()) => dir.parent().map_or(Ok(()), durable::sync_dir),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(durable::at(dir, &error)),
    }
}
