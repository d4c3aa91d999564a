//! Options, random numbers, the model of what must be there, files.

use crate::engine::Report;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Default)]
pub struct Options(HashMap<String, String>);

impl Options {
    pub fn parse(args: &[String]) -> Self {
        let mut all = Self::default();
        for pair in args.chunks(2) {
            let value = pair.get(1).map_or("1", String::as_str);
            all.set(pair[0].trim_start_matches("--"), value);
        }
        all
    }
    pub fn set(&mut self, key: &str, value: &str) {
        self.0.insert(key.to_owned(), value.to_owned());
    }
    pub fn text(&self, key: &str, default: &str) -> String {
        self.0.get(key).map_or(default, String::as_str).to_owned()
    }
    pub fn number(&self, key: &str, default: u64) -> u64 {
        self.0.get(key).map_or(default, |v| v.parse().unwrap())
    }
    pub fn dir(&self) -> PathBuf {
        let default = std::env::temp_dir().join("printstation-torture");
        self.0.get("dir").map_or(default, PathBuf::from)
    }
}

/// SplitMix64: small, seeded, the same everywhere.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }
    pub fn index(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap()
    }
}

/// Text of an id.
pub fn payload(id: u64, len: usize) -> String {
    let mut rng = Rng(id ^ 0xABCD_EF01);
    let mut text = String::new();
    while text.len() < len {
        text.push_str(&format!("{:016x}", rng.next()));
    }
    text.truncate(len);
    text
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    Opening,
    Open,
    Closing,
    Closed,
}

/// What must, may and must not be there.
#[derive(Default, Clone)]
pub struct Model(pub BTreeMap<u64, Life>);

/// Where a ledger and the model differ.
#[derive(Default, Debug)]
pub struct Verdict {
    /// Acknowledged as open and not open now, or acknowledged as closed and not known at all.
    pub lost: Vec<u64>,
    /// Acknowledged as closed and open now.
    pub resurrected: Vec<u64>,
    /// Never written.
    pub alien: Vec<u64>,
    /// Wrong content.
    pub corrupt: Vec<u64>,
    /// One record of a commit there, the other not.
    pub torn: Vec<u64>,
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        [
            &self.lost,
            &self.resurrected,
            &self.alien,
            &self.corrupt,
            &self.torn,
        ]
        .iter()
        .all(|list| list.is_empty())
    }
}

impl Model {
    pub fn mark(&mut self, tag: u8, id: u64) {
        let life = match tag {
            b'P' => Life::Opening,
            b'p' => Life::Open,
            b'D' => Life::Closing,
            b'd' => Life::Closed,
            _ => return,
        };
        self.0.insert(id, life);
    }

    /// Ids that a check must look up.
    pub fn ids(&self) -> std::ops::Range<u64> {
        let first = self.0.keys().next().copied().unwrap_or(1);
        let last = self.0.keys().next_back().copied().unwrap_or(0);
        first..last + 1
    }

    pub fn compare(&self, report: &Report) -> Verdict {
        let mut verdict = Verdict {
            corrupt: report.bad.iter().copied().collect(),
            torn: report.torn.iter().copied().collect(),
            ..Verdict::default()
        };
        for (id, life) in &self.0 {
            let (open, closed) = (report.open.contains(id), report.closed.contains(id));
            let bad = report.bad.contains(id);
            match life {
                Life::Open if !open && !bad => verdict.lost.push(*id),
                Life::Closed if open => verdict.resurrected.push(*id),
                Life::Closed if !closed && !bad => verdict.lost.push(*id),
                Life::Closing if !open && !closed && !bad => verdict.lost.push(*id),
                _ => {}
            }
        }
        // (Closed ones may have left the model, see `adopt`.)
        let unknown = |id: &&u64| !self.0.contains_key(id);
        verdict.alien = report.open.iter().filter(unknown).copied().collect();
        verdict
    }

    /// After a check, what is there is the truth to go on from.
    pub fn adopt(&mut self, report: &Report) {
        self.0.retain(|id, life| {
            *life = if report.open.contains(id) {
                Life::Open
            } else {
                Life::Closed
            };
            report.open.contains(id) || report.closed.contains(id)
        });
        // Long-closed ids only slow things down.
        while self.0.len() > 6_000 {
            let oldest = self.0.iter().find(|(_, life)| **life == Life::Closed);
            let Some((id, _)) = oldest else { break };
            let id = *id;
            self.0.remove(&id);
        }
    }
}

/// Reads what a writer reported.
pub fn marks(bytes: &[u8]) -> impl Iterator<Item = (u8, u64)> {
    bytes
        .chunks_exact(9)
        .map(|mark| (mark[0], u64::from_le_bytes(mark[1..].try_into().unwrap())))
}

pub fn shell(command: &str) -> Result<String, String> {
    let done = Command::new("sh").arg("-c").arg(command).output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    if done.status.success() {
        Ok(said)
    } else {
        Err(format!("{command}: {said}"))
    }
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all.sort();
    all
}

pub fn remove_dir(dir: &Path) {
    if dir.exists() {
        std::fs::remove_dir_all(dir).unwrap();
    }
}
