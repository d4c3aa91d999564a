//! Secrets by reference: the configuration names where a secret is, never what it is.
//!
//! They are read when the station runs, not when the configuration is checked: a check needs no
//! right to see them. The value only ever lives in a [`SecretString`], which does not print.

use secrecy::SecretString;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Where systemd's `LoadCredential` is imitated on machines that start the station by hand.
const CREDENTIALS: &str = "/etc/printstation/credentials";
/// Longest secret, in bytes.
const MAX_SECRET: u64 = 64 * 1024;

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// `$CREDENTIALS_DIRECTORY/NAME`, else `/etc/printstation/credentials/NAME` (contract 27).
    Credential(String),
    /// A file; one trailing newline is not part of the secret.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

/// Why a secret cannot be had. Never carries any part of the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The environment variable is not set.
    #[error("the environment variable {name} is not set")]
    NotSet {
        /// Its name.
        name: String,
    },
    /// Nothing there, not text, or with line breaks inside: no key looks like that.
    #[error("{place} holds no usable secret: {why}")]
    Unusable {
        /// Where it was looked for.
        place: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// A secret that was read.
#[derive(Debug)]
pub struct Resolved {
    /// The secret.
    pub secret: SecretString,
    /// Something about its place that somebody should change, e.g. a world-readable file.
    pub warning: Option<String>,
}

/// What resolving reads of the process's environment; tests give their own.
pub struct Environment<'a> {
    /// Looks up a variable.
    pub var: &'a dyn Fn(&str) -> Option<String>,
}

impl Environment<'static> {
    /// The process's own environment.
    pub fn process() -> Self {
        Self {
            var: &|name| std::env::var(name).ok(),
        }
    }
}

impl SecretRef {
    /// The reference itself makes sense.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::Credential(name) if !crate::config::read::is_name(name) => Err(
                "a credential's name has 1 to 32 letters, digits, dots, dashes or underscores"
                    .into(),
            ),
            Self::Credential(name) if name.bytes().all(|b| b == b'.') => {
                Err("this is a folder, not a credential".into())
            }
            Self::File(path) if !path.is_absolute() => {
                Err("wants an absolute path, such as \"/etc/printstation/key\"".into())
            }
            Self::Env(name)
                if name.is_empty()
                    || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
            {
                Err(
                    "wants the name of an environment variable: letters, digits, underscores"
                        .into(),
                )
            }
            _ => Ok(()),
        }
    }

    /// Reads the secret. Blocks on the file system.
    ///
    /// # Errors
    /// The secret is missing, unreadable, empty, or no single line of text.
    pub fn resolve(&self, env: &Environment<'_>) -> Result<Resolved, SecretError> {
        match self {
            Self::Env(name) => {
                let value =
                    (env.var)(name).ok_or_else(|| SecretError::NotSet { name: name.clone() })?;
                usable(value, format!("${name}"), None)
            }
            Self::File(path) => read(path),
            Self::Credential(name) => {
                let given =
                    (env.var)("CREDENTIALS_DIRECTORY").map(|dir| Path::new(&dir).join(name));
                match given.filter(|path| path.exists()) {
                    Some(path) => read(&path),
                    None => read(&Path::new(CREDENTIALS).join(name)),
                }
            }
        }
    }
}

fn read(path: &Path) -> Result<Resolved, SecretError> {
    use std::io::Read as _;
    let unreadable = |cause| SecretError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let place = path.display().to_string();
    if !metadata.is_file() {
        return Err(SecretError::Unusable {
            place,
            why: "it is not a file",
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_SECRET + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| SecretError::Unusable {
        place: place.clone(),
        why: "it is not text",
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text).to_owned();
    let text = text.strip_suffix('\r').unwrap_or(&text).to_owned();
    usable(text, place, world_readable(path, &metadata))
}

fn world_readable(path: &Path, metadata: &std::fs::Metadata) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    (metadata.permissions().mode() & 0o004 != 0).then(|| {
        format!(
            "{} is readable by everybody on this machine: chmod o-r {}",
            path.display(),
            path.display()
        )
    })
}

fn usable(text: String, place: String, warning: Option<String>) -> Result<Resolved, SecretError> {
    let why = if text.trim().is_empty() {
        "it is empty"
    } else if text.len() as u64 > MAX_SECRET {
        "it is longer than 64 KiB"
    } else if text.chars().any(char::is_control) {
        "it has line breaks or control characters"
    } else {
        return Ok(Resolved {
            secret: SecretString::from(text),
            warning,
        });
    };
    Err(SecretError::Unusable { place, why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(dir: &Path, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        use std::io::Write as _;
        let path = dir.join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(bytes)
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn what_is_not_a_secret_is_refused_without_being_shown() {
        let dir = tempfile::tempdir().unwrap();
        let env = Environment { var: &|_| None };
        for bytes in [
            &b""[..],
            b"\n",
            b"line one\nline two\n",
            b"\xff\xfe",
            b"a\0b",
        ] {
            let path = file(dir.path(), "s", bytes, 0o600);
            let why = SecretRef::File(path).resolve(&env).unwrap_err().to_string();
            assert!(!why.contains("line one"), "{why}");
        }
        assert!(SecretRef::File(dir.path().into()).resolve(&env).is_err());
        assert!(SecretRef::Env("NOT_SET".into()).resolve(&env).is_err());
    }

    #[test]
    fn credentials_come_from_systemds_folder_and_do_not_print() {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "key", b"s3cret-value\n", 0o600);
        let folder = dir.path().display().to_string();
        let var = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone());
        let env = Environment { var: &var };
        let read = SecretRef::Credential("key".into()).resolve(&env).unwrap();
        assert_eq!(read.secret.expose_secret(), "s3cret-value");
        assert_eq!(read.warning, None);
        assert!(!format!("{read:?}").contains("s3cret"));
    }

    #[test]
    fn a_world_readable_file_is_read_and_warned_about() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(dir.path(), "open", b"x", 0o644);
        let env = Environment { var: &|_| None };
        let read = SecretRef::File(path).resolve(&env).unwrap();
        assert!(read.warning.unwrap().contains("chmod o-r"));
    }

    #[test]
    fn a_credential_is_a_name_and_never_a_path() {
        for bad in ["../x", "a/b", "", "..", "a b"] {
            assert!(SecretRef::Credential(bad.into()).check().is_err(), "{bad}");
        }
        assert!(SecretRef::File("relative".into()).check().is_err());
        assert!(SecretRef::Env("A-B".into()).check().is_err());
        assert!(SecretRef::Env("A_B1".into()).check().is_ok());
    }
}
