//! The only way files are written: what returned `Ok` here survives a power cut.
//!
//! A new or replaced file is fsynced before it gets its name, and its directory afterwards; ext4 gives
//! neither for free. Files are 0600 and directories 0700, because records hold personal data.
//! Errors keep their [`io::ErrorKind`] (callers tell a full disk from a broken one) and name the path.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Mode of files that may hold personal data.
pub const FILE_MODE: u32 = 0o600;
/// Mode of directories that may hold personal data.
pub const DIR_MODE: u32 = 0o700;

/// End of the names of files that are being written.
const UNFINISHED: &str = ".tmp";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// `error` with the path it happened at, same kind.
pub fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The disk (or a quota on it) has no room: the one error that freeing space cures.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Creates a directory and its missing parents (0700), each durable in its parent.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent(path);
    create_dir_all(parent)?;
    match DirBuilder::new().mode(DIR_MODE).create(path) {
        Ok(()) => sync_dir(parent),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(at(path, &error)),
    }
}

/// Makes the names in a directory durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| at(path, &error))
}

/// Replaces a file by `bytes`: afterwards, and after any cut, it holds all of the old or all of the new.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes)).map(drop)
}

/// Like [`replace`], for content that is written in pieces. Returns the open file.
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<File> {
    let unfinished = unfinished_name(path);
    let written = (|| {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&unfinished)?;
        write(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, path)?;
        Ok(file)
    })();
    match written {
        Ok(file) => sync_dir(parent(path)).map(|()| file),
        Err(error) => {
            // Best effort: what stays is removed by `remove_unfinished` at the next start.
            let _ = std::fs::remove_file(&unfinished);
            Err(at(path, &error))
        }
    }
}

/// Appends whole lines (each ending in a line feed) and makes them durable.
///
/// A line that an earlier cut left torn is ended first, so that it cannot swallow the next one.
pub fn append_lines(path: &Path, lines: &[u8]) -> io::Result<()> {
    let created = !path.exists();
    let append = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(path)?;
        let before = file.seek(SeekFrom::End(0))?;
        let written = (|| {
            if before > 0 {
                let mut last = [0];
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    file.write_all(b"\n")?;
                }
            }
            file.write_all(lines)?;
            file.sync_all()
        })();
        if written.is_err() {
            // A retry must not find half a line before it.
            let _ = file.set_len(before);
        }
        written
    };
    append().map_err(|error| at(path, &error))?;
    if created {
        sync_dir(parent(path))?;
    }
    Ok(())
}

/// Removes a file if it is there, durably.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_dir(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(path, &error)),
    }
}

/// Renames within one directory (or between two on one file system), durably.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to).map_err(|error| at(from, &error))?;
    sync_dir(parent(to))?;
    if parent(from) != parent(to) {
        sync_dir(parent(from))?;
    }
    Ok(())
}

/// Reads a file of at most `limit` bytes; `None` when it is not there.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| at(path, &error))?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{}: longer than {limit} bytes", path.display()),
        ));
    }
    Ok(Some(bytes))
}

/// Removes what writes that were cut left behind in a directory. Only its one owner may call this.
pub fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir).map_err(|error| at(dir, &error))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(UNFINISHED) {
            std::fs::remove_file(entry.path()).map_err(|error| at(&entry.path(), &error))?;
        }
    }
    Ok(())
}

fn unfinished_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Unique, so that two writers of one name cannot write into each other's file.
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}.{n}{UNFINISHED}", std::process::id()))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_failed_replacement_leaves_the_old_content_and_no_rubbish() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        replace(&path, b"old").unwrap();
        let failed = replace_with(&path, |file| {
            file.write_all(b"ne")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(is_full(&failed.unwrap_err()));
        assert_eq!(read_bounded(&path, 10).unwrap().unwrap(), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_longer_file_than_allowed_is_an_error_not_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert_eq!(read_bounded(&path, 3).unwrap(), None);
        replace(&path, b"1234").unwrap();
        assert_eq!(
            read_bounded(&path, 3).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        assert_eq!(read_bounded(&path, 4).unwrap().unwrap(), b"1234");
    }

    #[test]
    fn a_torn_line_does_not_swallow_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        append_lines(&path, b"one\ntw").unwrap();
        append_lines(&path, b"three\n").unwrap();
        assert_eq!(
            read_bounded(&path, 99).unwrap().unwrap(),
            b"one\ntw\nthree\n"
        );
    }

    #[test]
    fn files_and_directories_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        create_dir_all(&deep).unwrap();
        replace(&deep.join("c"), b"x").unwrap();
        append_lines(&deep.join("d"), b"x\n").unwrap();
        let mode = |p: &Path| p.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&deep), 0o700);
        assert_eq!(mode(&deep.join("c")), 0o600);
        assert_eq!(mode(&deep.join("d")), 0o600);
    }

    #[test]
    fn what_a_cut_left_unfinished_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        replace(&dir.path().join(".x.1.2.tmp"), b"").unwrap();
        replace(&dir.path().join("x.tmp"), b"").unwrap();
        remove_unfinished(dir.path()).unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["x.tmp"]);
    }
}
