//! One station per state directory.
//!
//! An flock on `<dir>/lock`: the kernel lets go of it when the process ends, however it ends, so a
//! stale file never keeps a station from starting.

use crate::system::durable;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Holds a directory for this process until dropped.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

/// Why the directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works in it.
    #[error("{} is in use by another station (process {holder})", dir.display())]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Its process id, or `unknown`.
        holder: String,
    },
    /// The lock file cannot be made.
    #[error("cannot lock the state directory")]
    Io(#[from] io::Error),
}

impl DirLock {
    /// Takes `dir`, which must exist. Does not wait.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(durable::FILE_MODE)
            .open(&path)
            .map_err(|error| durable::at(&path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let read = (&file).take(20).read_to_string(&mut holder);
                let holder = holder.trim();
                return Err(LockError::Held {
                    dir: dir.to_owned(),
                    holder: match read {
                        Ok(_) if !holder.is_empty() => holder.to_owned(),
                        _ => "unknown".to_owned(),
                    },
                });
            }
            Err(TryLockError::Error(error)) => return Err(durable::at(&path, &error).into()),
        }
        // Only a hint for people: a full disk must not keep the station from starting.
        let hint = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = hint {
            tracing::debug!(%error, "the lock file names no process");
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_station_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirLock::take(dir.path()).unwrap();
        let second = DirLock::take(dir.path()).unwrap_err().to_string();
        assert!(second.contains(&std::process::id().to_string()), "{second}");
        drop(first);
        DirLock::take(dir.path()).unwrap();
    }
}
