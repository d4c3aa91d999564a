//! Closed orders as lines of text, one file a day: the source from which a lost index is refilled.
//!
//! `archive/YYYY-MM-DD.ndjson`, the UTC day of the order's last change. A line is
//! `{"v":1,"crc":"<crc32 of the order's text, 8 hex digits>","order":<Order>}`. Append-only, fsynced;
//! an order that was reopened and closed again has several lines, the highest sequence counts.

use crate::domain::{Order, Timestamp};
use crate::system::durable;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

const HEAD: &str = "{\"v\":1,\"crc\":\"";
const MIDDLE: &str = "\",\"order\":";
const ENDING: &str = ".ndjson";
/// Longest line that is read.
const MAX_LINE: u64 = 1 << 20;

/// The UTC day of `at`, as in file names.
pub(crate) fn day(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        // Outside the calendar's range: no clock ever showed this.
        Err(_) => "1970-01-01".to_owned(),
    }
}

/// Appends orders to their days, durably. Returns the bytes written.
pub(crate) fn append<'a>(dir: &Path, orders: impl Iterator<Item = &'a Order>) -> io::Result<u64> {
    let mut days: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for order in orders {
        let line = encode(order)?;
        days.entry(day(order.updated))
            .or_default()
            .extend(line.as_bytes());
    }
    let mut written = 0;
    for (day, lines) in days {
        durable::append_lines(&dir.join(day + ENDING), &lines)?;
        written += lines.len() as u64;
    }
    Ok(written)
}

fn encode(order: &Order) -> io::Result<String> {
    let text = serde_json::to_string(order)?;
    let crc = crc32fast::hash(text.as_bytes());
    Ok(format!("{HEAD}{crc:08x}{MIDDLE}{text}}}\n"))
}

fn decode(line: &str) -> Option<Order> {
    let rest = line.strip_prefix(HEAD)?;
    let (crc, rest) = rest.split_at_checked(8)?;
    let text = rest.strip_prefix(MIDDLE)?.strip_suffix('}')?;
    if u32::from_str_radix(crc, 16).ok()? != crc32fast::hash(text.as_bytes()) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// The archive's files, newest day first.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|n| n.ends_with(ENDING)) {
            all.push(dir.join(name));
        }
    }
    all.sort();
    all.reverse();
    Ok(all)
}

/// Removes days that ended before `cutoff`. Returns how many.
pub(crate) fn forget(dir: &Path, cutoff: Timestamp) -> io::Result<usize> {
    let oldest_kept = day(cutoff);
    let mut removed = 0;
    for path in files(dir)? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if *name < *oldest_kept {
            durable::remove(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Reads the archive piece by piece, so that whoever refills can do other work in between.
pub(crate) struct Reader {
    files: Vec<PathBuf>,
    open: Option<BufReader<File>>,
    /// Lines that could not be read.
    pub damaged: u64,
}

impl Reader {
    /// All of `dir`.
    pub fn new(dir: &Path) -> io::Result<Self> {
        let mut files = files(dir)?;
        files.reverse(); // taken from the end: newest first
        Ok(Self {
            files,
            open: None,
            damaged: 0,
        })
    }

    /// Up to `limit` further orders; empty at the end.
    pub fn next(&mut self, limit: usize) -> io::Result<Vec<Order>> {
        let mut orders = Vec::new();
        let mut line = Vec::new();
        while orders.len() < limit {
            let reader = match &mut self.open {
                Some(reader) => reader,
                None => match self.files.pop() {
                    Some(path) => self.open.insert(BufReader::new(File::open(path)?)),
                    None => break,
                },
            };
            line.clear();
            match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                Ok(0) => self.open = None,
                Ok(_) => match std::str::from_utf8(&line)
                    .ok()
                    .map(str::trim_end)
                    .and_then(decode)
                {
                    Some(order) => orders.push(order),
                    None => self.damaged += 1,
                },
                // A bad block in one day must not cost the other days.
                Err(error) => {
                    tracing::warn!(%error, "part of the archive cannot be read");
                    self.damaged += 1;
                    self.open = None;
                }
            }
        }
        Ok(orders)
    }
}
