//! The file that every acknowledgement rests on: append, fdatasync, read back. Format: [`frame`].
//!
//! Preallocated and zero-filled, so that an append changes no metadata and one flush of one file is
//! all it costs. A file is never appended to behind anything but clean zeros: a torn or damaged one
//! is replaced by a new generation first.

use crate::domain::order::RECORD_VERSION;
use crate::domain::{Order, Record};
use crate::ledger::error::LedgerError;
use crate::ledger::frame::{self, BLOCK, Header, JOURNAL_VERSION, Place};
use crate::system::durable;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Longest journal file that is read at all.
const MAX_FILE: u64 = 512 << 20;

/// What the file's bytes say about its past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Both copies agree and only zeros follow: it can be appended to.
    Intact,
    /// Every record up to some point is there; the end, or one copy, is not.
    Torn,
    /// Records may be missing. The text says why, for the log.
    Damaged(String),
}

/// A journal as it was found.
#[derive(Debug)]
pub(crate) struct Contents {
    pub header: Header,
    /// In the order they were written.
    pub records: Vec<(Record, Arc<[u8]>)>,
    pub condition: Condition,
    used: u64,
    next: u64,
}

/// The journal, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    header: Header,
    used: u64,
    next: u64,
}

/// Reads a journal; `None` when there is no file.
pub(crate) fn read(path: &Path) -> Result<Option<Contents>, LedgerError> {
    let bytes =
        durable::read_bounded(path, MAX_FILE).map_err(|error| LedgerError::directory(&error))?;
    bytes.map(|bytes| understand(&bytes, path)).transpose()
}

pub(crate) fn understand(bytes: &[u8], path: &Path) -> Result<Contents, LedgerError> {
    let newer = |found| LedgerError::Newer {
        path: path.to_owned(),
        found,
    };
    let front = Header::parse(bytes);
    let back = bytes
        .len()
        .checked_sub(BLOCK)
        .and_then(|at| Header::parse(&bytes[at..]));
    let known = front.or(back);
    if let Some(header) = known.filter(|h| h.version > JOURNAL_VERSION) {
        return Err(newer(header.version));
    }
    let mut frames: BTreeMap<(u64, u64), frame::Frame<'_>> = BTreeMap::new();
    for found in frame::scan(bytes) {
        frames.insert((found.generation, found.sequence), found);
    }
    let generation = match known {
        Some(header) => header.generation,
        None => frames.keys().map(|(g, _)| *g).max().unwrap_or(0),
    };
    frames.retain(|(g, _), _| *g == generation);
    if let Some(found) = frames.values().find(|f| f.record_version > RECORD_VERSION) {
        return Err(newer(u16::from(found.record_version)));
    }

    let whole_file = known.is_some_and(|h| bytes.len() as u64 == h.file_len());
    let torn_commit = whole_file && drop_torn_commit(&mut frames);
    let first = frames.keys().next().map(|(_, s)| *s);
    let last = frames.keys().next_back().map(|(_, s)| *s);
    let header = known.unwrap_or(Header {
        version: JOURNAL_VERSION,
        generation,
        first: first.unwrap_or(1),
        ..Header::default()
    });
    let count = frames.len() as u64;
    let expected = last.map_or(0, |l| l.saturating_add(1).saturating_sub(header.first));
    let mut condition = if known.is_none() {
        Condition::Damaged("both headers are unreadable".to_owned())
    } else if bytes.len() as u64 != header.file_len() {
        Condition::Damaged(format!("{} bytes long", bytes.len()))
    } else if first.is_some_and(|s| s < header.first) || expected != count {
        Condition::Damaged(format!("{count} of {expected} records are readable"))
    } else if !torn_commit && front == back && copies_agree(bytes, &header, &frames) {
        Condition::Intact
    } else {
        Condition::Torn
    };

    let mut records = Vec::with_capacity(frames.len());
    for (sequence, found) in frames.iter().map(|((_, s), f)| (*s, f)) {
        match serde_json::from_slice::<Record>(found.payload) {
            Ok(record) => records.push((tight(record), found.payload.into())),
            Err(error) => {
                condition = Condition::Damaged(format!("record {sequence} is no record: {error}"));
            }
        }
    }
    Ok(Contents {
        header,
        records,
        condition,
        used: frames.values().map(|f| f.len() as u64).sum(),
        next: last.map_or(header.first, |l| l.saturating_add(1)),
    })
}

/// A copy without the room to grow that serde reads into: it stays as long as its order is open, and may
/// be one of ten thousand.
fn tight(record: Record) -> Record {
    match record {
        Record::Order(order) => Record::Order(Arc::new(Order::clone(&order))),
        other => other,
    }
}

/// Takes the last commit away when parts of it are missing: a cut tore it, so it was never
/// acknowledged. Returns whether it did.
fn drop_torn_commit(frames: &mut BTreeMap<(u64, u64), frame::Frame<'_>>) -> bool {
    let Some(((generation, sequence), last)) = frames.last_key_value() else {
        return false;
    };
    let (generation, place) = (*generation, last.place);
    let start = sequence.saturating_sub(u64::from(place.index));
    let there = frames.range((generation, start)..).count();
    if there == usize::from(place.of) {
        return false;
    }
    frames.retain(|(_, s), _| *s < start);
    true
}

/// Both regions hold exactly these frames, then zeros.
fn copies_agree(
    bytes: &[u8],
    header: &Header,
    frames: &BTreeMap<(u64, u64), frame::Frame<'_>>,
) -> bool {
    let Ok(capacity) = usize::try_from(header.capacity) else {
        return false;
    };
    let used: usize = frames.values().map(frame::Frame::len).sum();
    let (Some(a), Some(b)) = (
        bytes.get(BLOCK..BLOCK + capacity),
        bytes.get(BLOCK + capacity..BLOCK + 2 * capacity),
    ) else {
        return false;
    };
    used <= capacity
        && a == b
        && frame::scan(&a[..used]).count() == frames.len()
        && a[used..].iter().all(|byte| *byte == 0)
}

impl Contents {
    /// Global sequence of the frame that comes next.
    pub fn next(&self) -> u64 {
        self.next
    }
}

impl Journal {
    /// Goes on with a file that was read as [`Condition::Intact`].
    pub fn resume(path: &Path, contents: &Contents) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            file,
            header: contents.header,
            used: contents.used,
            next: contents.next,
        })
    }

    /// Writes a new file in place of the old: `header` says what it is to be (its `version`, `first`
    /// and `capacity` are settled here), `live` what it holds. Room is left for at least `room` bytes.
    pub fn create(
        path: &Path,
        header: Header,
        next: u64,
        live: &[Arc<[u8]>],
        room: u64,
    ) -> io::Result<Self> {
        let frames: u64 = live.iter().map(|p| frame::framed_len(p.len())).sum();
        let mut region = Vec::with_capacity(usize::try_from(frames).map_err(io::Error::other)?);
        let mut sequence = next;
        for payload in live {
            frame::encode(
                &mut region,
                header.generation,
                sequence,
                Place::ALONE,
                payload,
            );
            sequence += 1;
        }
        let used = region.len() as u64;
        let capacity = header
            .capacity
            .max(used.saturating_mul(2))
            .max(used.saturating_add(room))
            .next_multiple_of(BLOCK as u64);
        let header = Header {
            version: JOURNAL_VERSION,
            first: next,
            capacity,
            ..header
        };
        let file = durable::replace_with(path, |file| {
            let block = header.encode();
            file.write_all(&block)?;
            for _ in 0..2 {
                file.write_all(&region)?;
                // The free part of a large journal is not made in memory first.
                io::copy(&mut io::repeat(0).take(capacity - used), file)?;
            }
            file.write_all(&block)
        })?;
        Ok(Self {
            file,
            header,
            used,
            next: sequence,
        })
    }

    /// Bytes that can still be appended.
    pub fn room(&self) -> u64 {
        self.header.capacity - self.used
    }

    /// Bytes of frames in it.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// What the file says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Global sequence of the next frame.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Appends the frames of some commits and makes them durable with one flush. There must be room.
    /// After an error nothing may be promised: what is on the card is not known.
    pub fn append<'a>(&mut self, commits: impl Iterator<Item = Vec<&'a [u8]>>) -> io::Result<u64> {
        let mut bytes = Vec::new();
        let mut next = self.next;
        for commit in commits {
            let of = u16::try_from(commit.len()).map_err(io::Error::other)?;
            for (index, payload) in (0..of).zip(commit) {
                let place = Place { index, of };
                frame::encode(&mut bytes, self.header.generation, next, place, payload);
                next += 1;
            }
        }
        if bytes.len() as u64 > self.room() {
            return Err(io::Error::other("the journal has no room for these frames"));
        }
        let at = BLOCK as u64 + self.used;
        self.file.write_all_at(&bytes, at)?;
        self.file.write_all_at(&bytes, at + self.header.capacity)?;
        self.file.sync_data()?;
        self.used += bytes.len() as u64;
        self.next = next;
        Ok(2 * bytes.len() as u64)
    }
}
