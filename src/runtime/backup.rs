//! A bench in one sealed file, and the file onto a spare box.
//!
//! In it: configuration, site configuration, secrets, update keys, the web token, and what is open
//! in the ledger. Format before sealing: zlib of one JSON document ([`Backup`]), version first.

use super::clock::Clock;
use super::compose::LEDGER;
use crate::config::SITE_FILE;
use crate::config::provision::name_credentials;
use crate::domain::{DocumentId, Record};
use crate::ledger::{self, LedgerError, Snapshot};
use crate::system::{durable, sealed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fs::Permissions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;
/// Longest file of the configuration that is kept.
const MAX_FILE: u64 = 1 << 20;
/// Most files of one folder.
const MAX_FILES: usize = 200;
/// Longest backup that is read, sealed or opened.
pub const MAX_BACKUP: u64 = 256 << 20;
/// Folders beside the configuration that belong to it, and the mode of their files.
const FOLDERS: [(&str, u32); 2] = [("credentials", 0o600), ("update-keys", 0o644)];
const CONFIG: &str = "config.toml";
const TOKEN: &str = "web-token";

/// Where a bench keeps itself.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The configuration file; the rest lies beside it.
    pub config: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// Drop-ins of the service; `None`: not written.
    pub drop_in: Option<PathBuf>,
}

/// The document that is sealed.
#[derive(Debug, Serialize, Deserialize)]
struct Backup {
    format: u32,
    /// Version of the program that made it.
    version: String,
    /// When, Unix milliseconds.
    at: i64,
    files: Vec<Kept>,
    records: Vec<Record>,
    documents: Vec<(DocumentId, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// `config.toml`, `site.toml`, `credentials/NAME`, `update-keys/NAME` or `web-token`.
    name: String,
    text: String,
}

/// What a backup holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Version of the program that made it.
    pub version: String,
    /// When it was made, Unix milliseconds.
    pub at: i64,
    /// Files of the configuration, by name.
    pub files: Vec<String>,
    /// Open orders.
    pub orders: usize,
    /// Label documents.
    pub documents: usize,
    /// What could not be kept, in words.
    pub left_out: Vec<String>,
}

/// Why there is no backup, or no bench from it.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Sealing or opening failed.
    #[error(transparent)]
    Sealed(#[from] sealed::SealError),
    /// The ledger cannot be read or planted.
    #[error("the open orders")]
    Ledger(#[from] LedgerError),
    /// The file system refused.
    #[error("the backup's files")]
    Io(#[from] io::Error),
    /// It opened, but is not what this release writes.
    #[error("the backup cannot be understood: {0}")]
    Format(String),
    /// There is a bench already.
    #[error("{} is there already: restore onto a fresh bench, or move it away first", .0.display())]
    Occupied(PathBuf),
}

/// Everything of a bench that another box needs, sealed. The station may be running.
///
/// # Errors
/// The ledger or the configuration cannot be read, or the passphrase is too weak.
pub fn backup(bench: &Bench, passphrase: &str) -> Result<(Vec<u8>, Summary), BackupError> {
    let mut summary = Summary {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at: Clock::start().now().wall.0,
        ..Summary::default()
    };
    let mut files = Vec::new();
    let etc = folder(&bench.config);
    let mut keep = |name: String, path: &Path, summary: &mut Summary| -> io::Result<()> {
        match durable::read_bounded(path, MAX_FILE) {
            Ok(None) => {}
            Ok(Some(bytes)) => match String::from_utf8(bytes) {
                Ok(text) => {
                    summary.files.push(name.clone());
                    files.push(Kept { name, text });
                }
                Err(_) => summary.left_out.push(format!("{name} is not text")),
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => summary
                .left_out
                .push(format!("{name} may not be read; run this as root")),
            Err(error) => return Err(error),
        }
        Ok(())
    };
    keep(CONFIG.to_owned(), &bench.config, &mut summary)?;
    keep(SITE_FILE.to_owned(), &etc.join(SITE_FILE), &mut summary)?;
    for (place, _) in FOLDERS {
        match names(&etc.join(place)) {
            Ok(all) => {
                for name in all {
                    let path = etc.join(place).join(&name);
                    keep(format!("{place}/{name}"), &path, &mut summary)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => summary
                .left_out
                .push(format!("{place} may not be read; run this as root")),
            Err(error) => return Err(error.into()),
        }
    }
    keep(TOKEN.to_owned(), &bench.state.join(TOKEN), &mut summary)?;

    let snapshot = ledger::snapshot(&bench.state.join(LEDGER))?;
    summary.orders = snapshot.orders().count();
    summary.documents = snapshot.documents.len();
    if !snapshot.left_out.is_empty() {
        let n = snapshot.left_out.len();
        summary.left_out.push(format!(
            "{n} label document(s); they are fetched again when needed"
        ));
    }
    let document = Backup {
        format: FORMAT,
        version: summary.version.clone(),
        at: summary.at,
        files,
        records: snapshot.records,
        documents: snapshot
            .documents
            .into_iter()
            .map(|(id, bytes)| (id, STANDARD.encode(bytes)))
            .collect(),
    };
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    serde_json::to_writer(&mut packed, &document)
        .map_err(|error| BackupError::Format(error.to_string()))?;
    Ok((sealed::seal(passphrase, packed.finish()?)?, summary))
}

/// Puts a backup onto a fresh bench: no configuration, no ledger. Labels that were not out when it
/// was made are in doubt afterwards, because they may have come out since.
///
/// # Errors
/// A wrong passphrase, a bench that is there already, or the file system refused.
pub fn restore(bench: &Bench, passphrase: &str, bytes: &[u8]) -> Result<Summary, BackupError> {
    let document = understand(&sealed::open(passphrase, bytes)?)?;
    let etc = folder(&bench.config);
    for path in [
        &bench.config,
        &bench.state.join(LEDGER).join(ledger::JOURNAL_FILE),
    ] {
        if path.exists() {
            return Err(BackupError::Occupied(path.clone()));
        }
    }
    let mut summary = Summary {
        version: document.version,
        at: document.at,
        ..Summary::default()
    };
    let mut snapshot = Snapshot {
        records: document.records,
        ..Snapshot::default()
    };
    for (id, text) in document.documents {
        match STANDARD.decode(text) {
            Ok(bytes) => snapshot.documents.push((id, bytes)),
            Err(_) => return Err(BackupError::Format(format!("document {id}"))),
        }
    }
    summary.orders = snapshot.orders().count();
    summary.documents = snapshot.documents.len();
    let now = Clock::start().now().wall;
    // Folders keep the owner and mode that the installer gave them.
    durable::create_dir_all(&bench.state)?;
    let settings = ledger::Settings::new(bench.state.join(LEDGER), ledger::DbCheck::InProcess);
    ledger::plant(settings, &snapshot, now)?;
    for kept in &document.files {
        let (path, mode) = place(bench, etc, &kept.name)?;
        durable::create_dir_all(folder(&path))?;
        durable::replace_with(&path, |file| {
            file.set_permissions(Permissions::from_mode(mode))?;
            file.write_all(kept.text.as_bytes())
        })?;
        summary.files.push(kept.name.clone());
    }
    if let Some(drop_in) = &bench.drop_in
        && etc.join("credentials").is_dir()
    {
        name_credentials(&etc.join("credentials"), drop_in)?;
    }
    give_to_its_owner(&bench.state)?;
    Ok(summary)
}

/// Files that root wrote into the station's folder are the station's.
fn give_to_its_owner(state: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(state)?;
    if !rustix::process::geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    let mut left = vec![state.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            // The updater's own folder stays its own; links are not followed.
            if entry.file_name() == "update" && dir == state {
                continue;
            }
            std::os::unix::fs::lchown(entry.path(), Some(owner.uid()), Some(owner.gid()))?;
            if entry.file_type()?.is_dir() {
                left.push(entry.path());
            }
        }
    }
    Ok(())
}

fn understand(packed: &[u8]) -> Result<Backup, BackupError> {
    let mut json = Vec::new();
    flate2::read::ZlibDecoder::new(packed)
        .take(MAX_BACKUP + 1)
        .read_to_end(&mut json)
        .map_err(|error| BackupError::Format(error.to_string()))?;
    if json.len() as u64 > MAX_BACKUP {
        return Err(BackupError::Format("it is too large".to_owned()));
    }
    #[derive(Deserialize)]
    struct Front {
        format: u32,
    }
    let bad = |error: serde_json::Error| BackupError::Format(error.to_string());
    let front: Front = serde_json::from_slice(&json).map_err(bad)?;
    if front.format != FORMAT {
        return Err(BackupError::Format(format!("format {}", front.format)));
    }
    serde_json::from_slice(&json).map_err(bad)
}

/// Where a kept file goes, and its mode. Names are checked: a backup writes nowhere else.
fn place(bench: &Bench, etc: &Path, name: &str) -> Result<(PathBuf, u32), BackupError> {
    match name {
        CONFIG => return Ok((bench.config.clone(), 0o640)),
        SITE_FILE => return Ok((etc.join(SITE_FILE), 0o640)),
        TOKEN => return Ok((bench.state.join(TOKEN), 0o600)),
        _ => {}
    }
    FOLDERS
        .iter()
        .find_map(|(folder, mode)| {
            let file = name.strip_prefix(folder)?.strip_prefix('/')?;
            plain(file).then(|| (etc.join(folder).join(file), *mode))
        })
        .ok_or_else(|| BackupError::Format(format!("it names {name:?}")))
}

fn plain(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(fits)
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(durable::at(dir, &error)),
    };
    let mut all = Vec::new();
    for entry in entries.take(MAX_FILES) {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_file() && plain(&name) {
            all.push(name);
        }
    }
    all.sort();
    Ok(all)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
