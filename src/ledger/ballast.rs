//! Room that is kept aside, so that a full card can still be worked off.
//!
//! sled and a new journal cannot even be opened on a full card. The file `ballast` is given up at the
//! first ENOSPC and made again when there is plenty of room.

use crate::system::durable;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const NAME: &str = "ballast";

/// Makes the ballast if it is not there. With `careful`, only when twice its size stays free.
/// Returns whether it is there now.
pub(crate) fn make(dir: &Path, bytes: u64, careful: bool) -> io::Result<bool> {
    let path = dir.join(NAME);
    if bytes == 0 || path.metadata().is_ok_and(|m| m.len() == bytes) {
        return Ok(true);
    }
    if careful {
        let room = rustix::fs::statvfs(dir)?;
        if room.f_bavail.saturating_mul(room.f_frsize) < bytes.saturating_mul(3) {
            return Ok(false);
        }
    }
    let made = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(durable::FILE_MODE)
            .open(&path)?;
        let flags = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&file, flags, 0, bytes) {
            Ok(()) => {}
            Err(rustix::io::Errno::OPNOTSUPP) => {
                io::copy(&mut io::Read::take(io::repeat(0xA5), bytes), &mut file)?;
                file.flush()?;
            }
            Err(errno) => return Err(errno.into()),
        }
        file.sync_all()
    })();
    match made {
        Ok(()) => durable::sync_dir(dir).map(|()| true),
        Err(error) => {
            // Half a ballast would only take room from the work.
            durable::remove(&path)?;
            Err(error)
        }
    }
}

/// Gives the ballast up. Returns whether there was one.
pub(crate) fn release(dir: &Path) -> io::Result<bool> {
    let path = dir.join(NAME);
    let there = path.exists();
    durable::remove(&path)?;
    Ok(there)
}
