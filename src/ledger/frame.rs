//! Bytes of the journal: file header and frames. Pure.
//!
//! All numbers are little-endian.
//!
//! ```text
//! file    header block (4096) | region A (capacity) | region B (capacity) | header block (4096)
//! header  0 magic "PSLEDGER" | 8 version u16 | 10 zero (6) | 16 generation u64 | 24 checkpoint u64
//!         | 32 capacity u64 | 40 first u64 | 48 highest act u64 | 56 crc32 u32 of bytes 0..56
//! frame   0 magic FF 50 53 FE | 4 frame version u8 | 5 record version u8 | 6 index u16 | 8 len u32
//!         | 12 generation u64 | 20 global sequence u64 | 28 of u16 | 30 zero (2)
//!         | 32 crc32 u32 of bytes 4..32 and the payload | 36 payload (JSON of a Record)
//! ```
//!
//! * `generation` grows with every new file, so that no byte of an older file is ever believed.
//! * Global sequences are contiguous within a file and start at the header's `first`: a reader knows
//!   not only that a frame is bad but also that one is missing.
//! * `index` and `of`: the frame is number `index` of the `of` frames of one commit, so that a commit
//!   which a cut tore is not half believed.
//! * `checkpoint` is the number that the index must have reached, or it was rolled back.
//! * Region B is a second copy of region A, so that no single bad block costs an acknowledged
//!   record; the header is there twice for the same reason. Both copies go out with one fdatasync.
//! * FF never occurs in UTF-8: a payload cannot be taken for the start of a frame.

use crate::domain::order::RECORD_VERSION;

/// Bytes of a header block.
pub(crate) const BLOCK: usize = 4096;
/// Bytes before a frame's payload.
pub(crate) const FRAME_HEAD: usize = 36;
/// Longest payload of one frame: far above any real record, far below what would hurt memory.
pub(crate) const MAX_PAYLOAD: usize = 256 << 10;
/// Version of the journal's format.
pub(crate) const JOURNAL_VERSION: u16 = 1;

const FILE_MAGIC: [u8; 8] = *b"PSLEDGER";
const FRAME_MAGIC: [u8; 4] = [0xFF, b'P', b'S', 0xFE];
const FRAME_VERSION: u8 = 1;
const HEADER_LEN: usize = 60;

/// What the journal file says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub version: u16,
    pub generation: u64,
    pub checkpoint: u64,
    /// Bytes of one region, a multiple of [`BLOCK`].
    pub capacity: u64,
    /// Global sequence of the first frame.
    pub first: u64,
    pub highest_act: u64,
}

impl Header {
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[..8].copy_from_slice(&FILE_MAGIC);
        block[8..10].copy_from_slice(&self.version.to_le_bytes());
        for (i, n) in [
            self.generation,
            self.checkpoint,
            self.capacity,
            self.first,
            self.highest_act,
        ]
        .into_iter()
        .enumerate()
        {
            block[16 + 8 * i..24 + 8 * i].copy_from_slice(&n.to_le_bytes());
        }
        let crc = crc32fast::hash(&block[..56]);
        block[56..HEADER_LEN].copy_from_slice(&crc.to_le_bytes());
        block
    }

    pub fn parse(block: &[u8]) -> Option<Self> {
        let block = block.get(..HEADER_LEN)?;
        if block[..8] != FILE_MAGIC || u32_at(block, 56)? != crc32fast::hash(&block[..56]) {
            return None;
        }
        Some(Self {
            version: u16::from_le_bytes([block[8], block[9]]),
            generation: u64_at(block, 16)?,
            checkpoint: u64_at(block, 24)?,
            capacity: u64_at(block, 32)?,
            first: u64_at(block, 40)?,
            highest_act: u64_at(block, 48)?,
        })
    }

    /// Length that the whole file must have.
    pub fn file_len(&self) -> u64 {
        (2 * BLOCK as u64).saturating_add(self.capacity.saturating_mul(2))
    }
}

/// Which of the frames of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub index: u16,
    pub of: u16,
}

impl Place {
    /// A commit of its own.
    pub const ALONE: Self = Self { index: 0, of: 1 };
}

/// One whole, checked frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub record_version: u8,
    pub place: Place,
    pub generation: u64,
    pub sequence: u64,
    pub payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes it takes in the file.
    pub fn len(&self) -> usize {
        FRAME_HEAD + self.payload.len()
    }
}

/// Bytes that a payload of `len` takes in the file.
pub(crate) fn framed_len(len: usize) -> u64 {
    (FRAME_HEAD + len) as u64
}

/// Appends a frame to `out`. The payload is at most [`MAX_PAYLOAD`] long.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    generation: u64,
    sequence: u64,
    place: Place,
    payload: &[u8],
) {
    let start = out.len();
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend(FRAME_MAGIC);
    out.extend([FRAME_VERSION, RECORD_VERSION]);
    out.extend(place.index.to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(generation.to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(place.of.to_le_bytes());
    out.extend([0, 0]);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&out[start + 4..start + 32]);
    crc.update(payload);
    out.extend(crc.finalize().to_le_bytes());
    out.extend(payload);
}

/// The frame at the start of `bytes`, if a whole and undamaged one is there.
pub(crate) fn parse(bytes: &[u8]) -> Option<Frame<'_>> {
    if bytes.get(..4)? != FRAME_MAGIC || *bytes.get(4)? != FRAME_VERSION {
        return None;
    }
    let len = usize::try_from(u32_at(bytes, 8)?).ok()?;
    if len > MAX_PAYLOAD {
        return None;
    }
    let payload = bytes.get(FRAME_HEAD..FRAME_HEAD + len)?;
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[4..32]);
    crc.update(payload);
    if crc.finalize() != u32_at(bytes, 32)? {
        return None;
    }
    Some(Frame {
        record_version: bytes[5],
        place: Place {
            index: u16_at(bytes, 6)?,
            of: u16_at(bytes, 28)?,
        },
        generation: u64_at(bytes, 12)?,
        sequence: u64_at(bytes, 20)?,
        payload,
    })
}

/// Every whole frame in `bytes`, also those behind damage.
pub(crate) fn scan(bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(step) = bytes[at..].iter().position(|b| *b == FRAME_MAGIC[0]) {
            at += step;
            if let Some(frame) = parse(&bytes[at..]) {
                at += frame.len();
                return Some(frame);
            }
            at += 1;
        }
        at = bytes.len();
        None
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_with_any_flipped_bit_is_not_believed() {
        let header = Header {
            version: JOURNAL_VERSION,
            generation: 7,
            checkpoint: 3,
            capacity: 8192,
            first: 99,
            highest_act: 12,
        };
        let block = header.encode();
        assert_eq!(Header::parse(&block), Some(header));
        for bit in 0..HEADER_LEN * 8 {
            let mut bad = block;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_with_any_flipped_bit_is_not_believed() {
        let mut bytes = Vec::new();
        encode(&mut bytes, 1, 2, Place::ALONE, br#"{"a":1}"#);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&bad).is_none(), "bit {bit}");
        }
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).is_none());
        }
    }

    proptest! {
        #[test]
        fn frames_behind_damage_are_found(
            payloads in prop::collection::vec("[ -~]{0,60}", 2..8),
            hit in any::<prop::sample::Index>(),
            rubbish in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let hit = hit.index(payloads.len());
            let mut bytes = Vec::new();
            for (i, payload) in payloads.iter().enumerate() {
                let start = bytes.len();
                encode(&mut bytes, 5, i as u64, Place::ALONE, payload.as_bytes());
                if i == hit {
                    bytes[start + 12] ^= 1;
                    bytes.extend(&rubbish);
                }
            }
            let found: Vec<u64> = scan(&bytes).map(|f| f.sequence).collect();
            let expected: Vec<u64> =
                (0..payloads.len() as u64).filter(|i| *i != hit as u64).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn hostile_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Header::parse(&bytes);
            let _ = parse(&bytes);
            prop_assert!(scan(&bytes).count() <= bytes.len());
        }
    }
}
