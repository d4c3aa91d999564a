//! Keys and values of the index's trees. Pure but for the tree that is asked.
//!
//! A record is cut into pieces, because no value of sled may reach 6 KiB: `key 00 piece` → bytes, the
//! first one after a head of version u8, pieces u16, sequence u64, crc32 u32 of the whole text (all
//! big-endian).

use crate::domain::{Order, OrderId, Timestamp};
use crate::ledger::index::IndexError;
use sha2::{Digest, Sha256};
use sled::transaction::{ConflictableTransactionError, TransactionalTree};

/// Longest alias worth an entry: no scan is longer.
const MAX_ALIAS: usize = crate::domain::scan::MAX_SCAN;
/// Payload bytes of one value; with its key and head it stays below 6 KiB.
const PIECE: usize = 5_500;
/// Bytes before the first piece.
const HEAD: usize = 15;
const VERSION: u8 = 1;

/// Result within a transaction.
pub(crate) type Tx<T> = Result<T, ConflictableTransactionError<String>>;

pub(crate) fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, IndexError> {
    serde_json::to_vec(value).map_err(|e| IndexError::Broken(e.to_string()))
}

pub(crate) fn decode<T: serde::de::DeserializeOwned>(text: &[u8]) -> Result<T, IndexError> {
    serde_json::from_slice(text).map_err(|e| IndexError::Broken(e.to_string()))
}

pub(crate) fn decode_tx<T: serde::de::DeserializeOwned>(text: &[u8]) -> Tx<T> {
    serde_json::from_slice(text).map_err(|e| ConflictableTransactionError::Abort(e.to_string()))
}

pub(crate) fn be(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

/// Mark of one order in one state, for the sum that `meta` keeps over all of them.
pub(crate) fn mark(id: &[u8], seq: u64) -> u64 {
    let hash = Sha256::new()
        .chain_update(seq.to_be_bytes())
        .chain_update(id)
        .finalize();
    be(&hash[..8])
}

/// Counts an order in or out: sled that lost or kept back a page can then be told from one that
/// did not (it is silent about it after an unclean stop).
pub(crate) fn account(
    meta: &TransactionalTree,
    id: &[u8],
    old: Option<u64>,
    new: Option<u64>,
) -> Tx<()> {
    let number = |name: &str| -> Tx<u64> { Ok(meta.get(name)?.map_or(0, |v| be(&v))) };
    let change = |seq: Option<u64>| seq.map_or(0, |seq| mark(id, seq));
    let sum = number("sum")? ^ change(old) ^ change(new);
    meta.insert("sum", &sum.to_be_bytes())?;
    if old.is_some() != new.is_some() {
        let count = number("count")?;
        let count = if new.is_some() {
            count.saturating_add(1)
        } else {
            count.saturating_sub(1)
        };
        meta.insert("count", &count.to_be_bytes())?;
    }
    Ok(())
}

pub(crate) fn alias_keys(order: &Order) -> Vec<Vec<u8>> {
    let fits = |alias: &String| alias.len() <= MAX_ALIAS && !alias.contains('\0');
    order
        .aliases()
        .into_iter()
        .filter(fits)
        .map(|alias| [alias.as_bytes(), &[0], order.id.as_str().as_bytes()].concat())
        .collect()
}

pub(crate) fn document_keys(order: &Order) -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = order
        .shipments
        .iter()
        .flat_map(|s| &s.documents)
        .filter(|d| d.id.as_str().len() == 64)
        .map(|d| {
            let (document, id) = (d.id.as_str(), order.id.as_str());
            [document.as_bytes(), &[0], id.as_bytes()].concat()
        })
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

pub(crate) fn recent_key(order: &Order) -> Vec<u8> {
    place(order.updated, &order.id)
}

/// Key of `recent`: times sort as bytes when the sign bit is turned over.
pub(crate) fn place(updated: Timestamp, id: &OrderId) -> Vec<u8> {
    let time = updated.0.cast_unsigned() ^ (1 << 63);
    [&time.to_be_bytes(), id.as_str().as_bytes()].concat()
}

fn piece_key(key: &[u8], piece: u16) -> Vec<u8> {
    [key, &[0], &piece.to_be_bytes()].concat()
}

/// The head of a record: pieces, sequence, crc32 of its text.
fn head(value: &[u8]) -> Option<(u16, u64, u32)> {
    if *value.first()? != VERSION {
        return None;
    }
    Some((
        u16::from_be_bytes(value.get(1..3)?.try_into().ok()?),
        u64::from_be_bytes(value.get(3..11)?.try_into().ok()?),
        u32::from_be_bytes(value.get(11..HEAD)?.try_into().ok()?),
    ))
}

/// Puts a record together from its pieces, however they are read.
fn assemble<E>(
    key: &[u8],
    mut get: impl FnMut(Vec<u8>) -> Result<Option<sled::IVec>, E>,
    broken: impl Fn(&'static str) -> E,
) -> Result<Option<(u64, Vec<u8>)>, E> {
    let Some(first) = get(piece_key(key, 0))? else {
        return Ok(None);
    };
    let (pieces, seq, crc) = head(&first).ok_or_else(|| broken("a record's head is unreadable"))?;
    let mut text = first[HEAD..].to_vec();
    for piece in 1..pieces {
        let next = get(piece_key(key, piece))?;
        text.extend_from_slice(&next.ok_or_else(|| broken("a record's piece is missing"))?);
    }
    if crc32fast::hash(&text) != crc {
        return Err(broken("a record's checksum is wrong"));
    }
    Ok(Some((seq, text)))
}

pub(crate) fn read_pieces(tree: &sled::Tree, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
    let get = |key| tree.get(key).map_err(IndexError::from);
    let found = assemble(key, get, |why| IndexError::Broken(why.to_owned()))?;
    Ok(found.map(|(_, text)| text))
}

pub(crate) fn get_pieces(tree: &TransactionalTree, key: &[u8]) -> Tx<Option<(u64, Vec<u8>)>> {
    let get = |key| tree.get(key).map_err(ConflictableTransactionError::from);
    assemble(key, get, |why| {
        ConflictableTransactionError::Abort(why.to_owned())
    })
}

pub(crate) fn set_pieces(tree: &TransactionalTree, key: &[u8], seq: u64, text: &[u8]) -> Tx<()> {
    let old = tree
        .get(piece_key(key, 0))?
        .and_then(|first| head(&first))
        .map_or(0, |(pieces, _, _)| pieces);
    let pieces = u16::try_from(text.len().div_ceil(PIECE).max(1)).map_err(|_| {
        ConflictableTransactionError::Abort("a record has too many pieces".to_owned())
    })?;
    for piece in 0..pieces {
        let start = usize::from(piece) * PIECE;
        let part = &text[start..text.len().min(start + PIECE)];
        let value = if piece == 0 {
            let mut value = Vec::with_capacity(HEAD + part.len());
            value.push(VERSION);
            value.extend(pieces.to_be_bytes());
            value.extend(seq.to_be_bytes());
            value.extend(crc32fast::hash(text).to_be_bytes());
            value.extend(part);
            value
        } else {
            part.to_vec()
        };
        tree.insert(piece_key(key, piece), value)?;
    }
    for piece in pieces..old {
        tree.remove(piece_key(key, piece))?;
    }
    Ok(())
}

pub(crate) fn remove_pieces(tree: &TransactionalTree, key: &[u8]) -> Tx<()> {
    let Some(first) = tree.get(piece_key(key, 0))? else {
        return Ok(());
    };
    let pieces = head(&first).map_or(1, |(pieces, _, _)| pieces);
    for piece in 0..pieces {
        tree.remove(piece_key(key, piece))?;
    }
    Ok(())
}
