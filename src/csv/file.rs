//! The files of the `csv` sink: what is in them already, and one more line.

use super::HEAD;
use crate::system::durable;
use sha2::{Digest as _, Sha256};
use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Readable for the group: somebody is to fetch the files.
const MODE: u32 = 0o640;
/// Ids that are remembered, newest kept. Only those can come again whose delivery was not recorded
/// before a cut: the backlog of one outage at most.
const REMEMBERED: usize = 20_000;
/// Column of the numbers.
const TRACKING: usize = 6;
/// Longest line that is read; ours are far shorter.
const MAX_LINE: u64 = 64 * 1024;

/// First half of the SHA-256 of id and numbers: short, and two that are alike will not be met.
type Print = [u8; 16];

/// The folder, and the ids of the newest lines in it.
pub(super) struct Folder {
    dir: PathBuf,
    known: Option<Known>,
}

#[derive(Default)]
struct Known {
    ids: HashSet<Print>,
    /// Oldest first.
    order: VecDeque<Print>,
}

impl Folder {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, known: None }
    }

    /// The line is in a file, durably, and in one alone.
    pub(super) fn append(&mut self, day: &str, fields: &[String; HEAD.len()]) -> io::Result<()> {
        durable::create_dir_all(&self.dir)?;
        let known = match &mut self.known {
            Some(known) => known,
            none => none.insert(Known::read(&self.dir)?),
        };
        let print = print(&fields[0], &fields[TRACKING]);
        if known.ids.contains(&print) {
            return Ok(());
        }
        let path = self.dir.join(format!("writeback-{day}.csv"));
        if let Err(error) = append(&path, &line(fields)) {
            // How much of it is there is not known: the files are asked again.
            self.known = None;
            return Err(durable::at(&path, &error));
        }
        known.add(print);
        Ok(())
    }
}

impl Known {
    /// The newest lines of the newest files.
    fn read(dir: &Path) -> io::Result<Self> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(|error| durable::at(dir, &error))? {
            let name = entry?.file_name();
            let text = name.to_string_lossy();
            if text.starts_with("writeback-") && text.ends_with(".csv") {
                names.push(text.into_owned());
            }
        }
        // By date: the form of the name sorts.
        names.sort();
        // What a cut left in the file that was written last: a line that counts is to be readable.
        if let Some(newest) = names.last() {
            let path = dir.join(newest);
            let mended = OpenOptions::new()
                .read(true)
                .append(true)
                .open(&path)
                .and_then(|mut file| mend(&mut file).and_then(|_| file.sync_all()));
            mended.map_err(|error| durable::at(&path, &error))?;
        }
        let mut files = Vec::new();
        let mut count = 0;
        for name in names.iter().rev() {
            let path = dir.join(name);
            let ids = ids(&path).map_err(|error| durable::at(&path, &error))?;
            count += ids.len();
            files.push(ids);
            if count >= REMEMBERED {
                break;
            }
        }
        let mut known = Self::default();
        for print in files.into_iter().rev().flatten() {
            known.add(print);
        }
        Ok(known)
    }

    fn add(&mut self, print: Print) {
        if !self.ids.insert(print) {
            return;
        }
        self.order.push_back(print);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

/// After REDO an undelivered job's name may come again with another set: both are looked at.
fn print(id: &str, tracking: &str) -> Print {
    let hash = Sha256::digest(format!("{id}\n{tracking}"));
    let mut print = Print::default();
    print.copy_from_slice(&hash[..16]);
    print
}

/// Ids of the whole lines of a file, at most the newest [`REMEMBERED`].
fn ids(path: &Path) -> io::Result<VecDeque<Print>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut ids = VecDeque::new();
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if (&mut reader).take(MAX_LINE).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(ids);
        }
        // A last line that is whole but for its end counts: [`mend`] keeps it.
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let whole = std::str::from_utf8(line)
            .ok()
            .and_then(|line| parse(line.strip_suffix('\r').unwrap_or(line)));
        if let Some(fields) = whole {
            if ids.len() == REMEMBERED {
                ids.pop_front();
            }
            ids.push_back(print(&fields[0], &fields[TRACKING]));
        }
    }
}

/// The fields of one whole line of ours; the head is none.
fn parse(line: &str) -> Option<Vec<String>> {
    let mut fields = Vec::with_capacity(HEAD.len());
    let mut rest = line;
    loop {
        let (field, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            let mut rest = quoted;
            loop {
                let (part, after) = rest.split_once('"')?;
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        rest = after;
                    }
                    None => break (field, after),
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(after) if fields.len() < HEAD.len() => rest = after,
            None if after.is_empty() => break,
            _ => return None,
        }
    }
    let whole = fields.len() == HEAD.len() && fields.last()?.parse::<jiff::Timestamp>().is_ok();
    whole.then_some(fields)
}

fn line(fields: &[String; HEAD.len()]) -> String {
    let quoted: Vec<String> = fields
        .iter()
        .map(|field| {
            if field.contains(['"', ',']) || field.starts_with(' ') || field.ends_with(' ') {
                format!("\"{}\"", field.replace('"', "\"\""))
            } else {
                field.clone()
            }
        })
        .collect();
    format!("{}\r\n", quoted.join(","))
}

/// Appends a line durably; nothing of it stays when that fails.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let created = !path.exists();
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(MODE)
        .open(path)?;
    let end = mend(&mut file)?;
    let mut text = String::new();
    if end == 0 {
        text.push_str(&HEAD.join(","));
        text.push_str("\r\n");
    }
    text.push_str(line);
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all());
    if written.is_err() {
        // If this fails as well, the next try mends what is left.
        let _ = file.set_len(end);
        return written;
    }
    match path.parent() {
        Some(dir) if created => durable::sync_dir(dir),
        _ => Ok(()),
    }
}

/// Ends a last line that somebody's editor left without its end, and takes off one that a cut left
/// unfinished; where the file ends then.
fn mend(file: &mut File) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let from = end.saturating_sub(MAX_LINE);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    (&mut *file).take(MAX_LINE).read_to_end(&mut tail)?;
    if tail.is_empty() || tail.ends_with(b"\n") {
        return Ok(end);
    }
    let last = tail
        .iter()
        .rposition(|b| *b == b'\n')
        .map_or(0, |at| at + 1);
    let line = std::str::from_utf8(&tail[last..]).ok();
    let line = line.map(|line| line.strip_suffix('\r').unwrap_or(line));
    if line.and_then(parse).is_some() || line == Some(&HEAD.join(",")) {
        let ending: &[u8] = if tail.ends_with(b"\r") {
            b"\n"
        } else {
            b"\r\n"
        };
        file.write_all(ending)?;
        return Ok(end + ending.len() as u64);
    }
    let end = from + last as u64;
    file.set_len(end)?;
    Ok(end)
}
