//! `file:DIR`: one file per page, whole or not there at all.
//!
//! The name is `<UTC ms>-<order>-<page>of<n>.<ending>`; the order's text comes from outside and
//! may not choose a directory. A name that is taken is never overwritten: the next millisecond is
//! used, so that two pages stay two files.

use crate::domain::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Longest part of a name that comes from the order.
const MOST_CHARS: usize = 64;
/// Names tried before giving up.
const TRIES: i64 = 1000;

/// Why a page is not a file.
#[derive(Debug)]
pub(in crate::printer) enum FileError {
    /// There is no such file: the page may be written again.
    NotThere(io::Error),
    /// The file is there, but a power cut may undo that.
    NotSafe(io::Error),
}

/// One page to be written.
#[derive(Debug, Clone)]
pub(in crate::printer) struct PageFile {
    pub dir: PathBuf,
    pub at: Timestamp,
    pub order: String,
    pub page: u16,
    pub of: u16,
    pub ending: &'static str,
}

impl PageFile {
    /// Writes the page. Blocks on fsync.
    pub fn write_blocking(&self, bytes: &[u8]) -> Result<PathBuf, FileError> {
        fs::create_dir_all(&self.dir).map_err(FileError::NotThere)?;
        let temporary = self.dir.join(format!(".{}.tmp", self.name(0)));
        let written = write_synced(&temporary, bytes).and_then(|()| self.place(&temporary));
        let path = written.map_err(|error| {
            let _ = fs::remove_file(&temporary); // best effort: the first error is the one to tell
            FileError::NotThere(error)
        })?;
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(FileError::NotSafe)?;
        Ok(path)
    }

    fn place(&self, temporary: &Path) -> io::Result<PathBuf> {
        for later in 0..TRIES {
            let path = self.dir.join(self.name(later));
            match renameat_with(CWD, temporary, CWD, &path, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(path),
                Err(rustix::io::Errno::EXIST) => {}
                // Some file systems (vfat, NFS) know no such rename; there we look first.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if !path.exists() => {
                    fs::rename(temporary, &path)?;
                    return Ok(path);
                }
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(
            "a thousand files of this name are there already",
        ))
    }

    fn name(&self, later: i64) -> String {
        let order = safe_name(&self.order);
        let at = self.at.0.saturating_add(later);
        format!("{at}-{order}-{}of{}.{}", self.page, self.of, self.ending)
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Letters, digits, `-`, `_` and single dots; everything else is `_`.
fn safe_name(order: &str) -> String {
    let mut safe = String::new();
    for c in order.chars().take(MOST_CHARS) {
        let keep = c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_')
            || (c == '.' && !safe.is_empty() && !safe.ends_with('.'));
        safe.push(if keep { c } else { '_' });
    }
    if safe.is_empty() {
        "label".to_owned()
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(dir: &Path, order: &str) -> PageFile {
        PageFile {
            dir: dir.to_owned(),
            at: Timestamp(1_763_779_200_123),
            order: order.to_owned(),
            page: 1,
            of: 2,
            ending: "png",
        }
    }

    #[test]
    fn an_order_cannot_choose_a_directory() {
        for (order, name) in [
            ("../../etc/passwd", "_._.__etc_passwd"),
            ("..", "_."),
            ("a\0b\nc\x1b", "a_b_c_"),
            ("", "label"),
            ("WEB-20417.A", "WEB-20417.A"),
            ("Größe", "Gr__e"),
        ] {
            assert_eq!(safe_name(order), name);
        }
        assert_eq!(safe_name(&"x".repeat(10_000)).len(), MOST_CHARS);
    }

    #[test]
    fn two_pages_of_the_same_millisecond_stay_two_files() {
        let dir = tempfile::tempdir().unwrap();
        let first = page(dir.path(), "A").write_blocking(b"one").unwrap();
        let second = page(dir.path(), "A").write_blocking(b"two").unwrap();
        assert_eq!(first.file_name().unwrap(), "1763779200123-A-1of2.png");
        assert_eq!(second.file_name().unwrap(), "1763779200124-A-1of2.png");
        assert_eq!(fs::read(first).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_reported_before_anything_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        File::create(&file).unwrap();
        let refused = page(&file.join("below"), "A").write_blocking(b"one");
        assert!(matches!(refused, Err(FileError::NotThere(_))));
    }
}
