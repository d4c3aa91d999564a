//! Label documents as files, named by the SHA-256 of their bytes.
//!
//! `spool/<first two digits>/<64 hex digits>`. Every read is checked against the name, so that a
//! damaged label is fetched again instead of printed.

use crate::domain::DocumentId;
use crate::ledger::error::{DocumentError, LedgerError};
use crate::system::durable;
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// Longest document that is kept or read.
pub(crate) const MAX_DOCUMENT: u64 = 64 << 20;
/// Number of shards the spool is split into.
pub(crate) const SHARDS: u16 = 256;

/// The id of some bytes.
pub(crate) fn id_of(bytes: &[u8]) -> DocumentId {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    DocumentId(text)
}

fn path_of(dir: &Path, id: &DocumentId) -> Option<PathBuf> {
    let name = id.as_str();
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (name.len() == 64 && name.bytes().all(hex)).then(|| dir.join(&name[..2]).join(name))
}

/// Why a document was not stored.
pub(crate) enum StoreError {
    Unfit(LedgerError),
    Io(io::Error),
}

/// Stores a document durably. The same document again costs one read. Returns the bytes written.
pub(crate) fn store(dir: &Path, id: &DocumentId, bytes: &[u8]) -> Result<u64, StoreError> {
    let unfit = |why| {
        StoreError::Unfit(LedgerError::Unfit {
            what: format!("document {id}"),
            why,
        })
    };
    let path = path_of(dir, id).ok_or_else(|| unfit("its name is not a SHA-256"))?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(unfit("it is too long"));
    }
    if id_of(bytes) != *id {
        return Err(unfit("its bytes are not the ones its name promises"));
    }
    if read(dir, id).is_ok() {
        return Ok(0);
    }
    let shard = path.parent().unwrap_or(dir);
    durable::create_dir_all(shard).map_err(StoreError::Io)?;
    durable::replace(&path, bytes).map_err(StoreError::Io)?;
    Ok(bytes.len() as u64)
}

/// A document's bytes, checked.
pub(crate) fn read(dir: &Path, id: &DocumentId) -> Result<Vec<u8>, DocumentError> {
    let path = path_of(dir, id).ok_or(DocumentError::Missing)?;
    let bytes = durable::read_bounded(&path, MAX_DOCUMENT).map_err(|error| {
        tracing::warn!(%error, "a document cannot be read");
        DocumentError::Damaged
    })?;
    let bytes = bytes.ok_or(DocumentError::Missing)?;
    if id_of(&bytes) == *id {
        Ok(bytes)
    } else {
        Err(DocumentError::Damaged)
    }
}

/// Documents of one shard, with their lengths.
pub(crate) fn shard(dir: &Path, shard: u16) -> io::Result<Vec<(DocumentId, u64)>> {
    let dir = dir.join(format!("{:02x}", shard % SHARDS));
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    durable::remove_unfinished(&dir)?;
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&dir)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str() {
            let len = entry.metadata().map_or(0, |m| m.len());
            all.push((DocumentId(name.to_owned()), len));
        }
    }
    Ok(all)
}

/// Removes a document.
pub(crate) fn remove(dir: &Path, id: &DocumentId) -> io::Result<()> {
    path_of(dir, id).map_or(Ok(()), |path| durable::remove(&path))
}
