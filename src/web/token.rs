//! The token that is made at first start when the configuration names none (contract 19).

use rand::TryRngCore as _;
use secrecy::SecretString;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Its name in the state folder.
pub const TOKEN_FILE: &str = "web-token";
/// Shortest token that is taken from the file, in characters.
const SHORTEST: usize = 16;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Something else is in the file.
    #[error("{path} holds no token of at least 16 characters; delete it to have a new one made")]
    Unusable {
        /// Which.
        path: PathBuf,
    },
    /// The machine gives no random bytes.
    #[error("the machine gives no random bytes")]
    NoRandom,
}

/// Reads `<state>/web-token`, or makes it (0600). Blocks on the file system.
///
/// # Errors
/// The file is unusable, or there are no random bytes.
pub fn load_or_make(state_dir: &Path) -> Result<SecretString, TokenError> {
    if let Some(token) = load(state_dir)? {
        return Ok(token);
    }
    let path = state_dir.join(TOKEN_FILE);
    let token = random_hex()?;
    write_new(&path, &token).map_err(|cause| TokenError::File { path, cause })?;
    Ok(SecretString::from(token))
}

/// Reads `<state>/web-token`; `None`: there is none yet. Blocks on the file system.
///
/// # Errors
/// The file is unusable.
pub fn load(state_dir: &Path) -> Result<Option<SecretString>, TokenError> {
    let path = state_dir.join(TOKEN_FILE);
    let failed = |cause| TokenError::File {
        path: path.clone(),
        cause,
    };
    let file = match std::fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim();
    if token.len() < SHORTEST || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TokenError::Unusable { path });
    }
    Ok(Some(SecretString::from(token)))
}

/// Whole or not at all, and never readable by others, not even for a moment.
fn write_new(path: &Path, token: &str) -> std::io::Result<()> {
    let new = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(token.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

/// 256 random bits as hex.
pub(super) fn random_hex() -> Result<String, TokenError> {
    let mut bytes = [0; 32];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| TokenError::NoRandom)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    #[test]
    fn an_unusable_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(TOKEN_FILE);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(b"short\n")
            .unwrap();
        assert!(matches!(
            load_or_make(dir.path()),
            Err(TokenError::Unusable { .. })
        ));
        assert!(load_or_make(&dir.path().join("nowhere")).is_err());
    }

    #[test]
    fn the_token_is_made_once_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = load_or_make(dir.path()).unwrap();
        let second = load_or_make(dir.path()).unwrap();
        assert_eq!(first.expose_secret(), second.expose_secret());
        assert_eq!(first.expose_secret().len(), 64);
        let mode = std::fs::metadata(dir.path().join(TOKEN_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(
            load_or_make(other.path()).unwrap().expose_secret(),
            first.expose_secret()
        );
    }
}
