//! Whom this station believes.
//!
//! Release keys sign channel documents and archives; any one of them is enough. Root keys sign
//! nothing but lists of keys, so that a release key that was lost or stolen can be replaced on
//! stations that are already out there. A set without a release key cannot be made: with an empty
//! list, `self_update` checks nothing and says that all is well.
//!
//! Signatures are zipsign's (ed25519ph with a context), so that archives and documents have one
//! kind of key.

use crate::system::durable;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize, de};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use zipsign_api::{Prehash, VerifyingKey};

/// Context of a signature over a channel document.
pub const CHANNEL: &[u8] = b"printstation channel 1";
/// Context of a signature over a list of keys.
pub const KEY_LIST: &[u8] = b"printstation keys 1";

/// Most keys of one kind.
const MOST: usize = 16;
/// Largest key file, in bytes.
const KEY_FILE: u64 = 4096;
/// Most lists in a chain of rotations.
const MOST_LISTS: usize = 64;

/// An ed25519 public key, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key's bytes, as `self_update` wants them.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// From the private key's other half.
    pub fn of(key: &zipsign_api::SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::Form("64 hexadecimal digits are wanted".to_owned());
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
        }
        let key = VerifyingKey::from_bytes(&bytes)
            .map_err(|_| KeyError::Form("this is no ed25519 public key".to_owned()))?;
        // With such a key, one signature fits every text.
        if key.is_weak() {
            return Err(KeyError::Form("this public key is weak".to_owned()));
        }
        Ok(Self(bytes))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// Why nobody, or not this one, is believed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file or list is malformed.
    #[error("{0}")]
    Form(String),
    /// There is no release key: without one, nothing can be verified.
    #[error(
        "there is no release key{}; put the channel's public keys there",
        .0.as_ref().map(|dir| format!(" in {}", dir.display())).unwrap_or_default()
    )]
    NoKeys(Option<PathBuf>),
    /// A key file cannot be read.
    #[error("a key file cannot be read")]
    Io(#[from] std::io::Error),
    /// No key that is believed made this signature.
    #[error("the {0} is not signed by a key that this station believes")]
    NotSigned(&'static str),
}

/// The keys that are believed; at least one release key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    root: Vec<PublicKey>,
    release: Vec<PublicKey>,
}

impl KeySet {
    /// Sorted, without doubles.
    ///
    /// # Errors
    /// No release key, too many keys, or one that is both.
    pub fn new(mut root: Vec<PublicKey>, mut release: Vec<PublicKey>) -> Result<Self, KeyError> {
        for keys in [&mut root, &mut release] {
            keys.sort_unstable();
            keys.dedup();
        }
        if release.is_empty() {
            return Err(KeyError::NoKeys(None));
        }
        if root.len() > MOST || release.len() > MOST {
            return Err(KeyError::Form(format!("more than {MOST} keys of a kind")));
        }
        if root.iter().any(|key| release.contains(key)) {
            return Err(KeyError::Form(
                "a key is a root key or a release key, not both".to_owned(),
            ));
        }
        Ok(Self { root, release })
    }

    /// Reads `*.pub` of a folder: one line each, `release <hex>` or `root <hex>`, words after it
    /// are a comment.
    ///
    /// # Errors
    /// A file that cannot be understood (a typing mistake must not silently shrink the set), or no
    /// release key.
    pub fn load(dir: &Path) -> Result<Self, KeyError> {
        let (mut root, mut release) = (Vec::new(), Vec::new());
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(KeyError::NoKeys(Some(dir.to_owned())));
            }
            Err(error) => return Err(durable::at(dir, &error).into()),
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != "pub") {
                continue;
            }
            let bytes = durable::read_bounded(&path, KEY_FILE)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let named = |what: &str| KeyError::Form(format!("{}: {what}", path.display()));
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let line = lines.next().ok_or_else(|| named("empty"))?;
            if lines.next().is_some() {
                return Err(named("more than one line"));
            }
            let mut words = line.split_whitespace();
            let (role, key) = (words.next(), words.next().unwrap_or_default());
            let key: PublicKey = key.parse().map_err(|e: KeyError| named(&e.to_string()))?;
            match role {
                Some("root") => root.push(key),
                Some("release") => release.push(key),
                _ => return Err(named("a line begins with `release` or `root`")),
            }
        }
        match Self::new(root, release) {
            Err(KeyError::NoKeys(_)) => Err(KeyError::NoKeys(Some(dir.to_owned()))),
            made => made,
        }
    }

    /// Keys that sign lists of keys.
    pub fn root(&self) -> &[PublicKey] {
        &self.root
    }

    /// Keys that sign channels and archives; never empty.
    pub fn release(&self) -> &[PublicKey] {
        &self.release
    }

    /// Tells this set from any other.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (role, keys) in [(b'r', &self.root), (b'p', &self.release)] {
            for key in keys {
                hash.update([role]);
                hash.update(key.0);
            }
        }
        hex(&hash.finalize())
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One of `keys` signed exactly `bytes`, for this purpose.
///
/// # Errors
/// None of them did.
pub fn verify(
    what: &'static str,
    bytes: &[u8],
    signatures: &[u8],
    keys: &[PublicKey],
    context: &[u8],
) -> Result<(), KeyError> {
    let failed = || KeyError::NotSigned(what);
    // A key that cannot be read here was refused when it was parsed.
    let keys: Vec<VerifyingKey> = keys
        .iter()
        .filter_map(|key| VerifyingKey::from_bytes(&key.0).ok())
        .collect();
    let signatures =
        zipsign_api::verify::read_signatures(&mut &*signatures).map_err(|_| failed())?;
    let hash = Prehash::calculate(&mut &*bytes).map_err(|_| failed())?;
    zipsign_api::verify::find_match(&keys, &signatures, &hash, Some(context))
        .map(drop)
        .map_err(|_| failed())
}

/// Beside `channel.json`: its signatures, and the lists of keys that lead to whoever made them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureFile {
    /// 1.
    pub format: u32,
    /// Signatures over the exact bytes of the channel document (zipsign's form, base64).
    pub signatures: String,
    /// Lists of keys, oldest first.
    #[serde(default)]
    pub keys: Vec<SignedList>,
}

/// A list of keys with its signatures.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedList {
    /// The exact bytes of a [`KeyList`], base64.
    pub list: String,
    /// By a root key of the list before (zipsign's form, base64).
    pub signatures: String,
}

/// Who is believed from now on, instead of who was believed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyList {
    /// 1.
    pub format: u32,
    /// Higher than that of the list before.
    pub serial: u64,
    /// Root keys.
    pub root: Vec<PublicKey>,
    /// Release keys.
    pub release: Vec<PublicKey>,
}

impl SignatureFile {
    /// Reads the file; its content is not believed yet.
    ///
    /// # Errors
    /// It is not in the form of this program.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        let file: Self = serde_json::from_slice(bytes)
            .map_err(|error| KeyError::Form(format!("the channel's signature file: {error}")))?;
        if file.format != 1 {
            return Err(KeyError::Form(
                "the channel's signature file is of a newer form".to_owned(),
            ));
        }
        if file.keys.len() > MOST_LISTS {
            return Err(KeyError::Form("too many lists of keys".to_owned()));
        }
        Ok(file)
    }

    /// The signatures over the channel document.
    ///
    /// # Errors
    /// They are not base64.
    pub fn signatures(&self) -> Result<Vec<u8>, KeyError> {
        unpack(&self.signatures)
    }

    /// The keys after all rotations that the file proves. Lists that are not newer than `serial`
    /// are skipped: they were followed before, or belong to others.
    ///
    /// # Errors
    /// A newer list is not signed by a root key of the list before.
    pub fn rotate(&self, mut keys: KeySet, mut serial: u64) -> Result<(KeySet, u64), KeyError> {
        for signed in &self.keys {
            let bytes = unpack(&signed.list)?;
            let list: KeyList = serde_json::from_slice(&bytes)
                .map_err(|error| KeyError::Form(format!("a list of keys: {error}")))?;
            if list.format != 1 {
                return Err(KeyError::Form("a list of keys of a newer form".to_owned()));
            }
            if list.serial <= serial {
                continue;
            }
            verify(
                "list of keys",
                &bytes,
                &unpack(&signed.signatures)?,
                keys.root(),
                KEY_LIST,
            )?;
            keys = KeySet::new(list.root, list.release)?;
            serial = list.serial;
        }
        Ok((keys, serial))
    }
}

fn unpack(text: &str) -> Result<Vec<u8>, KeyError> {
    BASE64
        .decode(text)
        .map_err(|_| KeyError::Form("a signature is not base64".to_owned()))
}

/// As [`SignatureFile`] carries bytes.
pub(crate) fn pack(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}
