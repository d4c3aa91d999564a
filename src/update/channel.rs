//! The signed channel document: which releases there are, for whom, and how long this is true.
//!
//! The signature is over the exact bytes and is checked before anything in them is read. Reading is
//! strict all the same: a member this version does not know, a second spelling or a list without
//! end is refused. What later versions may add without being refused stands under `ext`.

use super::PROGRAM;
use super::keys::{self, KeyError, KeySet};
use super::version::{Version, is_target};
use crate::domain::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Largest document, in bytes.
pub const MAX_DOCUMENT: u64 = 256 * 1024;
/// Largest archive, in bytes.
pub const MAX_ARCHIVE: u64 = 64 << 20;
/// Largest program, in bytes.
pub const MAX_PROGRAM: u64 = 256 << 20;

const MOST_RELEASES: usize = 64;
const MOST_ARTIFACTS: usize = 8;
const MOST_REVOKED: usize = 256;
const MOST_STATIONS: usize = 2048;
/// A rollout takes at most so long: 60 days.
const LONGEST_ROLLOUT: u32 = 60 * 24;

/// Why a document is not used.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Not signed by a key that is believed.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// Not in the form that this version reads.
    #[error("the channel document cannot be read: {0}")]
    Form(String),
    /// Older than one that was seen.
    #[error(
        "the channel document is older than one that this station has seen (sequence {got}, seen {seen})"
    )]
    Replayed {
        /// Its sequence.
        got: u64,
        /// The highest so far.
        seen: u64,
    },
}

/// A channel document whose signature was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Higher with every issue.
    pub sequence: u64,
    /// When it was made.
    pub issued: Timestamp,
    /// Until when it may be installed from.
    pub expires: Timestamp,
    /// No version below is installed; stations below it do not wait for their turn.
    pub floor: Option<Version>,
    /// Versions that are withdrawn.
    pub revoked: BTreeSet<Version>,
    /// Newest first.
    pub releases: Vec<Release>,
    /// What is said to single stations.
    pub stations: Vec<StationRule>,
}

/// A version that may be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// Only from this version on; older stations take a step between.
    pub min_from: Option<Version>,
    /// Stations take it one after the other.
    pub rollout: Option<Rollout>,
    /// Does not wait for the rollout.
    pub mandatory: bool,
    /// One per target.
    pub artifacts: Vec<Artifact>,
}

/// Stations follow each other between `start` and `hours` later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The first stations.
    pub start: Timestamp,
    /// Until the last ones.
    pub hours: u32,
}

/// An archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Target triple, compared whole.
    pub target: String,
    /// Bytes of the archive.
    pub size: u64,
    /// Bytes of the program in it.
    pub unpacked: u64,
    /// SHA-256 of the archive, lower-case.
    pub sha256: String,
}

/// What is said to one station.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StationRule {
    /// `station.name`.
    pub name: String,
    /// This version and no other.
    pub pin: Option<Version>,
    /// A pin may be older than what runs.
    pub downgrade: bool,
    /// Nothing is installed.
    pub hold: bool,
    /// Waits neither for the rollout nor for the window.
    pub hurry: bool,
}

/// The archive's name. It is never taken from a document: zipsign signs an archive for its name, so
/// version and target are part of the signature.
pub fn archive_name(version: &Version, target: &str) -> String {
    format!("{PROGRAM}-{version}-{target}.tar.gz")
}

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChannel {
    format: u32,
    channel: String,
    sequence: u64,
    issued: String,
    expires: String,
    #[serde(default)]
    floor: Option<Version>,
    #[serde(default)]
    revoked: Vec<Version>,
    releases: Vec<RawRelease>,
    #[serde(default)]
    stations: Vec<RawStation>,
    #[serde(default, rename = "ext")]
    _ext: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRelease {
    version: Version,
    #[serde(default)]
    min_from: Option<Version>,
    #[serde(default)]
    rollout: Option<RawRollout>,
    #[serde(default)]
    mandatory: bool,
    artifacts: Vec<RawArtifact>,
    #[serde(default, rename = "ext")]
    _ext: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRollout {
    start: String,
    hours: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawArtifact {
    target: String,
    size: u64,
    unpacked: u64,
    sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStation {
    name: String,
    #[serde(default)]
    pin: Option<Version>,
    #[serde(default)]
    downgrade: bool,
    #[serde(default)]
    hold: bool,
    #[serde(default)]
    hurry: bool,
    #[serde(default, rename = "ext")]
    _ext: Option<IgnoredAny>,
}

impl Channel {
    /// Checks the signature over `document`, reads it, and compares it with the highest sequence.
    ///
    /// # Errors
    /// It is not believed, not understood, or a replay.
    pub fn open(
        document: &[u8],
        signatures: &[u8],
        keys: &KeySet,
        seen: u64,
    ) -> Result<Self, ChannelError> {
        keys::verify(
            "channel document",
            document,
            signatures,
            keys.release(),
            keys::CHANNEL,
        )?;
        let channel = Self::parse(document)?;
        if channel.sequence < seen {
            return Err(ChannelError::Replayed {
                got: channel.sequence,
                seen,
            });
        }
        Ok(channel)
    }

    /// Reads a document without asking who signed it: for whoever makes one, and for tests.
    ///
    /// # Errors
    /// It is not in the form that this version reads.
    pub fn parse(document: &[u8]) -> Result<Self, ChannelError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let form = |text: String| ChannelError::Form(text);
        if document.len() as u64 > MAX_DOCUMENT {
            return Err(form(format!("longer than {MAX_DOCUMENT} bytes")));
        }
        let raw: RawChannel = match serde_json::from_slice(document) {
            Ok(raw) => raw,
            Err(error) => {
                let format = serde_json::from_slice::<Format>(document).map(|f| f.format);
                return Err(form(match format {
                    Ok(newer) if newer > 1 => format!("form {newer} is newer than this program"),
                    _ => error.to_string(),
                }));
            }
        };
        if raw.format != 1 {
            return Err(form(format!("form {} is not 1", raw.format)));
        }
        bounded("releases", raw.releases.len(), MOST_RELEASES)?;
        bounded("revoked", raw.revoked.len(), MOST_REVOKED)?;
        bounded("stations", raw.stations.len(), MOST_STATIONS)?;
        let name_ok = |name: &str| !name.is_empty() && name.len() <= 128;
        if !name_ok(&raw.channel) {
            return Err(form("the channel's name".to_owned()));
        }
        let mut releases = raw
            .releases
            .into_iter()
            .map(release)
            .collect::<Result<Vec<_>, _>>()?;
        releases.sort_by(|a, b| b.version.cmp(&a.version));
        if releases.windows(2).any(|w| w[0].version == w[1].version) {
            return Err(form("a version stands there twice".to_owned()));
        }
        let mut names = BTreeSet::new();
        for station in &raw.stations {
            if !name_ok(&station.name) || !names.insert(station.name.as_str()) {
                return Err(form("a station's name is empty or there twice".to_owned()));
            }
        }
        let (issued, expires) = (time(&raw.issued)?, time(&raw.expires)?);
        if expires <= issued {
            return Err(form("it expires before it was issued".to_owned()));
        }
        Ok(Self {
            name: raw.channel,
            sequence: raw.sequence,
            issued,
            expires,
            floor: raw.floor,
            revoked: raw.revoked.into_iter().collect(),
            releases,
            stations: raw
                .stations
                .into_iter()
                .map(|s| StationRule {
                    name: s.name,
                    pin: s.pin,
                    downgrade: s.downgrade,
                    hold: s.hold,
                    hurry: s.hurry,
                })
                .collect(),
        })
    }
}

impl Release {
    /// The archive for exactly this target.
    pub fn artifact(&self, target: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|a| a.target == target)
    }
}

fn release(raw: RawRelease) -> Result<Release, ChannelError> {
    let version = raw.version;
    let form = |what: &str| ChannelError::Form(format!("release {version}: {what}"));
    bounded("artifacts", raw.artifacts.len(), MOST_ARTIFACTS)?;
    let rollout = match raw.rollout {
        Some(r) if r.hours > LONGEST_ROLLOUT => return Err(form("a rollout without end")),
        Some(r) => Some(Rollout {
            start: time(&r.start)?,
            hours: r.hours,
        }),
        None => None,
    };
    let mut targets = BTreeSet::new();
    let mut artifacts = Vec::with_capacity(raw.artifacts.len());
    for a in raw.artifacts {
        if !is_target(&a.target) || !targets.insert(a.target.clone()) {
            return Err(form("a target that is none, or is there twice"));
        }
        if a.size == 0 || a.size > MAX_ARCHIVE || a.unpacked == 0 || a.unpacked > MAX_PROGRAM {
            return Err(form("a size that cannot be"));
        }
        let digits = a.sha256.bytes();
        if a.sha256.len() != 64
            || !digits
                .clone()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(form("a sha256 that is none"));
        }
        artifacts.push(Artifact {
            target: a.target,
            size: a.size,
            unpacked: a.unpacked,
            sha256: a.sha256,
        });
    }
    Ok(Release {
        min_from: raw.min_from,
        rollout,
        mandatory: raw.mandatory,
        artifacts,
        version,
    })
}

fn bounded(what: &str, got: usize, most: usize) -> Result<(), ChannelError> {
    if got > most {
        return Err(ChannelError::Form(format!("more than {most} {what}")));
    }
    Ok(())
}

/// RFC 3339.
fn time(text: &str) -> Result<Timestamp, ChannelError> {
    text.parse::<jiff::Timestamp>()
        .map(|t| Timestamp(t.as_millisecond()))
        .map_err(|_| ChannelError::Form("a time that is not RFC 3339".to_owned()))
}
