//! What was believed last: highest sequence, floor, keys after rotation.
//!
//! `<install root>/trust.json`, written by root alone. In the station's state folder the station's
//! own user could make old documents young again, or put in keys of its own.

use super::keys::{KeyError, KeySet, PublicKey};
use super::version::Version;
use crate::domain::Timestamp;
use crate::system::durable;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file.
pub const FILE: &str = "trust.json";
/// Largest file, in bytes.
const LIMIT: u64 = 64 * 1024;

/// Why what was believed cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read or written.
    #[error("what this station believes cannot be read or kept")]
    Io(#[from] std::io::Error),
    /// It is damaged. It is written whole or not at all, so this is not a power cut.
    #[error(
        "{path} is damaged ({why}); remove it to begin with the keys of the key folder again, after looking who changed it"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Why it cannot be read.
        why: String,
    },
    /// The keys are not usable.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    format: u32,
    /// Of the key folder's set: other keys there begin a new chain.
    base: String,
    serial: u64,
    root: Vec<PublicKey>,
    release: Vec<PublicKey>,
    sequence: u64,
    issued: Timestamp,
    floor: Option<Version>,
}

/// What this station believes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    /// Of the key folder.
    base: String,
    /// The keys, after rotations.
    pub keys: KeySet,
    /// Of the newest list of keys; 0: those of the key folder.
    pub serial: u64,
    /// Of the newest channel document; older ones are refused.
    pub sequence: u64,
    /// When the newest channel document was issued: no clock of ours can be before that.
    pub issued: Timestamp,
    /// No version below is installed.
    pub floor: Option<Version>,
}

impl Trust {
    /// Reads what was kept, or begins with the keys of the key folder.
    ///
    /// # Errors
    /// A file that cannot be read. Damage is no reason to forget: that would let old documents in.
    pub fn load(root: &Path, provisioned: KeySet) -> Result<Self, TrustError> {
        let path = root.join(FILE);
        let base = provisioned.digest();
        let Some(bytes) = durable::read_bounded(&path, LIMIT)? else {
            return Ok(Self {
                base,
                keys: provisioned,
                serial: 0,
                sequence: 0,
                issued: Timestamp(0),
                floor: None,
            });
        };
        let kept: Kept = serde_json::from_slice(&bytes).map_err(|why| TrustError::Damaged {
            path: path.display().to_string(),
            why: why.to_string(),
        })?;
        let (keys, serial) = if kept.base == base {
            (KeySet::new(kept.root, kept.release)?, kept.serial)
        } else {
            (provisioned, 0)
        };
        Ok(Self {
            base,
            keys,
            serial,
            sequence: kept.sequence,
            issued: kept.issued,
            floor: kept.floor,
        })
    }

    /// Keeps it, durably.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep(&self, root: &Path) -> Result<(), TrustError> {
        let kept = Kept {
            format: 1,
            base: self.base.clone(),
            serial: self.serial,
            root: self.keys.root().to_vec(),
            release: self.keys.release().to_vec(),
            sequence: self.sequence,
            issued: self.issued,
            floor: self.floor.clone(),
        };
        let bytes = serde_json::to_vec_pretty(&kept).map_err(std::io::Error::from)?;
        Ok(durable::replace(&root.join(FILE), &bytes)?)
    }
}
