//! Makes and signs a release directory that any static web server can serve.
//!
//! ```text
//! <out>/printstation-1.4.0-aarch64-unknown-linux-gnu.tar.gz     signed by zipsign, for its name
//! <out>/channel.json  channel.json.sig                          signed over its exact bytes
//! ```
//!
//! Private keys are in zipsign's form (64 bytes), so that its tool can be used beside this one.

use super::PROGRAM;
use super::channel::{
    Artifact, Channel, ChannelError, MAX_DOCUMENT, MAX_PROGRAM, Release, Rollout, StationRule,
    archive_name,
};
use super::install::RELEASE;
use super::keys::{
    self, CHANNEL, KEY_LIST, KeyError, KeyList, KeySet, PublicKey, SignatureFile, SignedList,
};
use super::slots::{publish, sum_of};
use super::version::{Version, check_elf};
use crate::domain::Timestamp;
use crate::system::durable;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use zipsign_api::{Prehash, SigningKey};

/// Name of the channel document.
pub const DOCUMENT: &str = "channel.json";
/// Largest key file, in bytes.
const KEY: u64 = 64;

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// A file cannot be read or written.
    #[error("a file of the release cannot be read or written")]
    Io(#[from] io::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The document cannot be used.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// It cannot be signed.
    #[error("it cannot be signed: {0}")]
    Sign(String),
}

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Signs lists of keys.
    Root,
    /// Signs channels and archives.
    Release,
}

/// Makes a pair: `<dir>/<name>.key` (0600) and `<dir>/<name>.pub`. Never overwrites one.
///
/// # Errors
/// It is there already, or cannot be written.
pub fn make_key(dir: &Path, name: &str, role: Role) -> Result<PublicKey, ReleaseError> {
    use rand::TryRngCore as _;
    let (private, public) = (
        dir.join(format!("{name}.key")),
        dir.join(format!("{name}.pub")),
    );
    if private.exists() || public.exists() {
        return Err(ReleaseError::Wrong(format!(
            "{} is there already",
            private.display()
        )));
    }
    let mut seed = [0; 32];
    rand::rngs::OsRng
        .try_fill_bytes(&mut seed)
        .map_err(|error| ReleaseError::Sign(error.to_string()))?;
    let key = SigningKey::from_bytes(&seed);
    durable::create_dir_all(dir)?;
    durable::replace(&private, &key.to_keypair_bytes())?;
    let made = PublicKey::of(&key);
    let role = match role {
        Role::Root => "root",
        Role::Release => "release",
    };
    publish(&public, format!("{role} {made} {name}\n").as_bytes())?;
    Ok(made)
}

/// Reads private keys.
///
/// # Errors
/// None given, or one that is no key.
pub fn read_keys(paths: &[PathBuf]) -> Result<Vec<SigningKey>, ReleaseError> {
    if paths.is_empty() {
        return Err(ReleaseError::Wrong("no key to sign with".to_owned()));
    }
    let mut keys = Vec::new();
    for path in paths {
        let wrong = || ReleaseError::Wrong(format!("{} is not a private key", path.display()));
        let bytes = durable::read_bounded(path, KEY)?.ok_or_else(wrong)?;
        let pair: [u8; 64] = bytes.try_into().map_err(|_| wrong())?;
        keys.push(SigningKey::from_keypair_bytes(&pair).map_err(|_| wrong())?);
    }
    Ok(keys)
}

/// A release that is to be added.
#[derive(Clone, Debug)]
pub struct NewRelease {
    /// Its version.
    pub version: Version,
    /// Target and program.
    pub programs: Vec<(String, PathBuf)>,
    /// Only from this version on.
    pub min_from: Option<Version>,
    /// Stations take it over so many hours; 0: at once.
    pub rollout_hours: u32,
    /// Does not wait for the rollout.
    pub mandatory: bool,
}

/// Changes of a channel beside its releases.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Its name, for a new one.
    pub name: Option<String>,
    /// No version below.
    pub floor: Option<Version>,
    /// Withdrawn.
    pub revoke: Vec<Version>,
    /// What is said to stations, instead of what was said; an empty rule says nothing more.
    pub stations: Vec<StationRule>,
    /// True for so long from now.
    pub life: Duration,
}

/// Writes and signs the archive of one program.
///
/// # Errors
/// The program is not one for the target, or a file cannot be written.
pub fn make_archive(
    out: &Path,
    version: &Version,
    target: &str,
    program: &Path,
    keys: &[SigningKey],
) -> Result<Artifact, ReleaseError> {
    let bytes = durable::read_bounded(program, MAX_PROGRAM)?
        .ok_or_else(|| ReleaseError::Wrong(format!("{} is not there", program.display())))?;
    check_elf(&bytes, target).map_err(ReleaseError::Wrong)?;
    let label = format!("{PROGRAM} {version} {target}\n");
    let unsigned = pack(&[(RELEASE, label.as_bytes(), 0o644), (PROGRAM, &bytes, 0o755)])?;
    let name = archive_name(version, target);
    let mut signed = io::Cursor::new(Vec::new());
    zipsign_api::sign::copy_and_sign_tar(
        &mut io::Cursor::new(unsigned),
        &mut signed,
        keys,
        Some(name.as_bytes()),
    )
    .map_err(|error| ReleaseError::Sign(error.to_string()))?;
    let path = out.join(&name);
    publish(&path, signed.get_ref())?;
    Ok(Artifact {
        target: target.to_owned(),
        size: signed.get_ref().len() as u64,
        unpacked: bytes.len() as u64,
        sha256: sum_of(&path)?,
    })
}

/// A `tar.gz` without times and owners: the same bytes from the same program.
fn pack(files: &[(&str, &[u8], u32)]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
    for (name, bytes, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        header.set_mtime(0);
        tar.append_data(&mut header, name, *bytes)?;
    }
    tar.into_inner()?.finish()
}

/// Adds a release, applies changes, and signs the channel anew with the next sequence. The
/// document's signatures appear before the document, so that no moment has an unsigned one.
///
/// # Errors
/// What was there or was asked for cannot be used.
pub fn publish_channel(
    out: &Path,
    keys: &[SigningKey],
    new: Option<&NewRelease>,
    changes: &Changes,
    now: Timestamp,
) -> Result<Channel, ReleaseError> {
    durable::create_dir_all(out)?;
    let path = out.join(DOCUMENT);
    let mut channel = match durable::read_bounded(&path, MAX_DOCUMENT)? {
        Some(bytes) => Channel::parse(&bytes)?,
        None => Channel {
            name: "stable".to_owned(),
            sequence: 0,
            issued: now,
            expires: now,
            floor: None,
            revoked: Default::default(),
            releases: Vec::new(),
            stations: Vec::new(),
        },
    };
    if let Some(new) = new {
        if channel.releases.iter().any(|r| r.version == new.version) {
            return Err(ReleaseError::Wrong(format!(
                "{} was released already; a version's bytes never change",
                new.version
            )));
        }
        let mut artifacts = Vec::new();
        for (target, program) in &new.programs {
            artifacts.push(make_archive(out, &new.version, target, program, keys)?);
        }
        if artifacts.is_empty() {
            return Err(ReleaseError::Wrong("a release needs a program".to_owned()));
        }
        channel.releases.push(Release {
            version: new.version.clone(),
            min_from: new.min_from.clone(),
            rollout: (new.rollout_hours > 0).then_some(Rollout {
                start: now,
                hours: new.rollout_hours,
            }),
            mandatory: new.mandatory,
            artifacts,
        });
    }
    if let Some(name) = &changes.name {
        channel.name.clone_from(name);
    }
    if let Some(floor) = &changes.floor {
        if channel.floor.as_ref() > Some(floor) {
            return Err(ReleaseError::Wrong("the floor only rises".to_owned()));
        }
        channel.floor = Some(floor.clone());
    }
    channel.revoked.extend(changes.revoke.iter().cloned());
    for rule in &changes.stations {
        channel.stations.retain(|s| s.name != rule.name);
        if rule.pin.is_some() || rule.hold || rule.hurry {
            channel.stations.push(rule.clone());
        }
    }
    channel.sequence += 1;
    // Times in the file are whole seconds.
    let whole = |t: Timestamp| Timestamp(t.0 - t.0.rem_euclid(1000));
    channel.issued = whole(now);
    channel.expires = whole(now.plus(changes.life));
    let bytes = serde_json::to_vec_pretty(&document(&channel)).map_err(io::Error::from)?;
    // As a station will read it.
    let channel = Channel::parse(&bytes)?;
    let mut file = signature_file(out)?;
    file.signatures = keys::pack(&sign(&bytes, keys, CHANNEL)?);
    write_signatures(out, &file)?;
    publish(&path, &bytes)?;
    Ok(channel)
}

/// Adds a list of keys, signed by a root key of the list before. The channel must be signed again
/// afterwards, by a key of the new list.
///
/// # Errors
/// A file that is no public key, or a set that could not be believed.
pub fn publish_keys(
    out: &Path,
    root_keys: &[SigningKey],
    public: &Path,
) -> Result<u64, ReleaseError> {
    let set = KeySet::load(public)?;
    let mut file = signature_file(out)?;
    let serial = file.keys.len() as u64 + 1;
    let list = KeyList {
        format: 1,
        serial,
        root: set.root().to_vec(),
        release: set.release().to_vec(),
    };
    let bytes = serde_json::to_vec(&list).map_err(io::Error::from)?;
    file.keys.push(SignedList {
        list: keys::pack(&bytes),
        signatures: keys::pack(&sign(&bytes, root_keys, KEY_LIST)?),
    });
    durable::create_dir_all(out)?;
    write_signatures(out, &file)?;
    Ok(serial)
}

fn sign(bytes: &[u8], keys: &[SigningKey], context: &[u8]) -> Result<Vec<u8>, ReleaseError> {
    let hash = Prehash::calculate(&mut &*bytes)?;
    zipsign_api::sign::gather_signature_data(keys, &hash, Some(context))
        .map_err(|error| ReleaseError::Sign(error.to_string()))
}

fn signatures_path(out: &Path) -> PathBuf {
    out.join(format!("{DOCUMENT}.sig"))
}

fn signature_file(out: &Path) -> Result<SignatureFile, ReleaseError> {
    Ok(
        match durable::read_bounded(&signatures_path(out), MAX_DOCUMENT)? {
            Some(bytes) => SignatureFile::parse(&bytes)?,
            None => SignatureFile {
                format: 1,
                signatures: String::new(),
                keys: Vec::new(),
            },
        },
    )
}

fn write_signatures(out: &Path, file: &SignatureFile) -> Result<(), ReleaseError> {
    let mut bytes = serde_json::to_vec_pretty(file).map_err(io::Error::from)?;
    bytes.write_all(b"\n")?;
    Ok(publish(&signatures_path(out), &bytes)?)
}

/// The document as it stands in the file.
fn document(channel: &Channel) -> Value {
    let time = |t: Timestamp| {
        jiff::Timestamp::from_millisecond(t.0).map_or_else(|_| String::new(), |t| t.to_string())
    };
    let releases: Vec<Value> = channel
        .releases
        .iter()
        .map(|r| {
            json!({
                "version": r.version,
                "min_from": r.min_from,
                "rollout": r.rollout.map(|o| json!({ "start": time(o.start), "hours": o.hours })),
                "mandatory": r.mandatory,
                "artifacts": r.artifacts.iter().map(|a| json!({
                    "target": a.target,
                    "size": a.size,
                    "unpacked": a.unpacked,
                    "sha256": a.sha256,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "format": 1,
        "channel": channel.name,
        "sequence": channel.sequence,
        "issued": time(channel.issued),
        "expires": time(channel.expires),
        "floor": channel.floor,
        "revoked": channel.revoked,
        "releases": releases,
        "stations": channel.stations,
    })
}
