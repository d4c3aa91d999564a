//! Bytes under a passphrase: Argon2id for the key, ChaCha20-Poly1305 for the rest.
//!
//! ```text
//! 0 magic "PSSEALED" | 8 version u8 | 9 memory KiB u32 | 13 passes u32 | 17 salt (16) | 33 nonce (12)
//! | 45 ciphertext and tag (16)
//! ```
//!
//! Numbers are little-endian; everything before the ciphertext is authenticated with it. The cost
//! stands in the file, so that it can be raised later; what a file may ask for is bounded.

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};

const MAGIC: [u8; 8] = *b"PSSEALED";
const VERSION: u8 = 1;
const SALT: usize = 16;
const NONCE: usize = 12;
const HEAD: usize = MAGIC.len() + 1 + 4 + 4 + SALT + NONCE;
/// Memory of the key's making, KiB: a second on a Pi 4, and it fits a Zero 2 W.
const MEMORY: u32 = 64 << 10;
const PASSES: u32 = 3;
/// A hostile file must not take more than this.
const MOST_MEMORY: u32 = 256 << 10;
const MOST_PASSES: u32 = 16;
/// Shortest passphrase that is taken.
pub const SHORTEST: usize = 12;

/// Why something cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too easily guessed.
    #[error("a passphrase has at least {SHORTEST} characters; four words are easily kept")]
    Weak,
    /// Not one of our files, or the beginning of one.
    #[error("this is no backup of a print station")]
    Foreign,
    /// Made by a newer release.
    #[error("this backup was made by a newer release (format {0})")]
    Newer(u8),
    /// The tag does not fit.
    #[error("the passphrase is wrong, or the file is damaged")]
    Wrong,
    /// The system gave no random bytes or no memory.
    #[error("the key cannot be made on this machine")]
    Machine,
}

/// Seals bytes.
///
/// # Errors
/// The passphrase is too short, or the machine gives no random bytes or memory.
pub fn seal(passphrase: &str, mut bytes: Vec<u8>) -> Result<Vec<u8>, SealError> {
    if passphrase.chars().count() < SHORTEST {
        return Err(SealError::Weak);
    }
    let mut random = [0; SALT + NONCE];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| SealError::Machine)?;
    let mut out = Vec::with_capacity(HEAD + bytes.len() + 16);
    out.extend(MAGIC);
    out.push(VERSION);
    out.extend(MEMORY.to_le_bytes());
    out.extend(PASSES.to_le_bytes());
    out.extend(random);
    let (salt, nonce) = random.split_at(SALT);
    let key = key(passphrase, salt, MEMORY, PASSES)?;
    key.seal_in_place_append_tag(nonce_of(nonce)?, Aad::from(&out), &mut bytes)
        .map_err(|_| SealError::Machine)?;
    out.append(&mut bytes);
    Ok(out)
}

/// Opens what [`seal`] made.
///
/// # Errors
/// Another file, a newer format, a wrong passphrase or damage.
pub fn open(passphrase: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (head, body) = sealed.split_at_checked(HEAD).ok_or(SealError::Foreign)?;
    if head[..8] != MAGIC {
        return Err(SealError::Foreign);
    }
    if head[8] != VERSION {
        return Err(SealError::Newer(head[8]));
    }
    let number = |at: usize| {
        let bytes: [u8; 4] = head[at..at + 4]
            .try_into()
            .map_err(|_| SealError::Foreign)?;
        Ok(u32::from_le_bytes(bytes))
    };
    let (memory, passes) = (number(9)?, number(13)?);
    if memory > MOST_MEMORY || passes > MOST_PASSES {
        return Err(SealError::Foreign);
    }
    let (salt, nonce) = head[17..].split_at(SALT);
    let key = key(passphrase, salt, memory, passes)?;
    let mut body = body.to_vec();
    let length = key
        .open_in_place(nonce_of(nonce)?, Aad::from(head), &mut body)
        .map_err(|_| SealError::Wrong)?
        .len();
    body.truncate(length);
    Ok(body)
}

fn key(passphrase: &str, salt: &[u8], memory: u32, passes: u32) -> Result<LessSafeKey, SealError> {
    let params = Params::new(memory, passes, 1, Some(32)).map_err(|_| SealError::Foreign)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(|_| SealError::Machine)?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &key).map_err(|_| SealError::Machine)?;
    Ok(LessSafeKey::new(key))
}

fn nonce_of(bytes: &[u8]) -> Result<Nonce, SealError> {
    Nonce::try_assume_unique_for_key(bytes).map_err(|_| SealError::Foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSPHRASE: &str = "four words in a row";

    #[test]
    fn what_is_not_ours_or_was_touched_is_refused() {
        let sealed = seal(PASSPHRASE, b"orders".to_vec()).unwrap();
        assert_eq!(open("four words in a raw", &sealed), Err(SealError::Wrong));
        assert_eq!(open(PASSPHRASE, b""), Err(SealError::Foreign));
        assert_eq!(
            open(PASSPHRASE, &sealed[..HEAD - 1]),
            Err(SealError::Foreign)
        );
        assert_eq!(open(PASSPHRASE, &sealed[..HEAD]), Err(SealError::Wrong));
        assert_eq!(open(PASSPHRASE, &[b'x'; 200]), Err(SealError::Foreign));
        let mut newer = sealed.clone();
        newer[8] = 2;
        assert_eq!(open(PASSPHRASE, &newer), Err(SealError::Newer(2)));
        // One bit anywhere: salt, nonce, text, tag.
        for at in [20, 40, HEAD, sealed.len() - 1] {
            let mut touched = sealed.clone();
            touched[at] ^= 1;
            assert_eq!(open(PASSPHRASE, &touched), Err(SealError::Wrong), "{at}");
        }
    }

    #[test]
    fn a_file_cannot_ask_for_all_memory() {
        let mut sealed = seal(PASSPHRASE, Vec::new()).unwrap();
        sealed[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(open(PASSPHRASE, &sealed), Err(SealError::Foreign));
    }

    #[test]
    fn a_short_passphrase_is_refused() {
        assert_eq!(seal("secret", Vec::new()), Err(SealError::Weak));
    }

    #[test]
    fn the_same_bytes_never_look_the_same_and_open_again() {
        let (one, two) = (
            seal(PASSPHRASE, b"orders".to_vec()).unwrap(),
            seal(PASSPHRASE, b"orders".to_vec()).unwrap(),
        );
        assert_ne!(one, two);
        assert!(!one.windows(6).any(|w| w == b"orders"));
        assert_eq!(open(PASSPHRASE, &one).unwrap(), b"orders");
    }
}
