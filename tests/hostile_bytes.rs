//! Every door for bytes from outside, with the corpus that fuzzing kept and seeded mutations of it.
//!
//! `scripts/fuzz` lets libFuzzer search for more; the inputs by which it reached something new are kept in
//! `tests/hostile/found`, what a door does not stand in `tests/hostile/corpus`. Both are given to the same
//! doors here, on stable Rust, at every commit.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests stop at the first surprise, read files, and say what they tried"
)]

#[path = "hostile/doors.rs"]
mod doors;

use doors::{ALL, Door};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::io::Read as _;
use std::path::{Path, PathBuf};

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

/// The kept inputs of a door, by name: how many were written or found by hand, and behind them those of
/// libFuzzer.
fn corpus(door: &str) -> (usize, Vec<(PathBuf, Vec<u8>)>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile/corpus")
        .join(door);
    let mut kept: Vec<_> = std::fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .flatten()
        .map(|entry| entry.path())
        .map(|path| {
            let bytes = std::fs::read(&path).expect("a corpus file");
            (path, bytes)
        })
        .collect();
    kept.sort();
    assert!(!kept.is_empty(), "no corpus in {}", dir.display());
    let own = kept.len();
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile/found")
        .join(format!("{door}.tar.gz"));
    let packed = std::fs::File::open(&found).expect("what libFuzzer found");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    for entry in archive.entries().expect("an archive") {
        let mut entry = entry.expect("an entry");
        if entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its bytes");
            kept.push((found.join(entry.path().expect("its name")), bytes));
        }
    }
    assert!(kept.len() > own + 20, "{}", found.display());
    (own, kept)
}

/// One of the usual ways to damage or to lie.
fn mutate(rng: &mut StdRng, own: usize, kept: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    const NUMBERS: [&[u8]; 8] = [
        b"-1",
        b"0",
        b"99999999999999999999",
        b"1e999",
        b"null",
        b"\"\"",
        b"[]",
        b"{}",
    ];
    // Sound ones are few and reach deepest: half of all begin with one.
    let among = if rng.random() { own } else { kept.len() };
    let mut bytes = kept[rng.random_range(0..among)].1.clone();
    for _ in 0..rng.random_range(1..=6) {
        if bytes.is_empty() {
            bytes.push(rng.random());
        }
        let at = rng.random_range(0..bytes.len());
        let to = rng.random_range(at..bytes.len());
        match rng.random_range(0..9) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => {
                bytes.drain(at..to);
            }
            4 => {
                let piece = bytes[at..to.min(at + 64)].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
                bytes.splice(at..to.min(at + 8), number.iter().copied());
            }
            6 => bytes[at..to.min(at + 16)].fill(0xFF),
            7 => bytes[at..to.min(at + 16)].fill(0),
            _ => {
                let other = &kept[rng.random_range(0..kept.len())].1;
                let from = rng.random_range(0..=other.len());
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
        }
        bytes.truncate(1 << 17);
    }
    bytes
}

fn knock(name: &str, door: Door, bytes: &[u8], seed: u64) {
    let outcome = std::panic::catch_unwind(|| door(bytes));
    if outcome.is_err() {
        let path = std::env::temp_dir().join(format!("hostile-{name}-{seed}.bin"));
        std::fs::write(&path, bytes).expect("a file");
        panic!("seed {seed}: {name} does not stand {}", path.display());
    }
}

/// The kept corpus, then so many mutations.
fn replay(name: &str, times: u64) {
    let (_, door) = ALL
        .iter()
        .find(|(door, _)| *door == name)
        .expect("a door of this name");
    let (own, kept) = corpus(name);
    let seed = env("PRINTSTATION_SEED", 4711);
    for (path, bytes) in &kept {
        println!("{}", path.display());
        knock(name, *door, bytes, seed);
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let times = env("PRINTSTATION_MUTATIONS", times);
    // For so many seconds instead (scripts/fuzz --stable).
    let seconds = env("PRINTSTATION_FUZZ_SECONDS", 0);
    let begun = std::time::Instant::now();
    let mut done = 0_u64;
    while if seconds > 0 {
        begun.elapsed().as_secs() < seconds
    } else {
        done < times
    } {
        let bytes = mutate(&mut rng, own, &kept);
        knock(name, *door, &bytes, seed);
        done += 1;
    }
    println!("seed {seed}: {name}: {} kept, {done} mutations", kept.len());
}

#[test]
fn scan_text_of_any_bytes_is_clean_or_refused() {
    replay("scan", 20_000);
}

#[test]
fn a_journal_of_any_bytes_is_read_or_refused() {
    replay("journal", 5_000);
}

#[test]
fn a_reply_of_starshipit_of_any_bytes_is_understood_or_refused() {
    replay("starshipit", 5_000);
}

#[test]
fn an_order_of_cartoncloud_of_any_bytes_is_understood_or_refused() {
    replay("cartoncloud", 5_000);
}

#[test]
fn a_picture_of_any_bytes_is_drawn_or_refused() {
    replay("picture", 200);
}

#[test]
fn a_configuration_of_any_text_is_taken_or_refused() {
    replay("config", 1_000);
}

#[test]
fn a_channel_document_of_any_bytes_is_taken_or_refused() {
    replay("channel", 10_000);
}

#[test]
fn an_archive_of_any_bytes_writes_nothing_outside_its_folder() {
    replay("archive", 300);
}

#[test]
fn an_answer_of_a_printer_of_any_bytes_is_understood_or_ignored() {
    replay("answer", 20_000);
}

// Panics and hangs within an engine are its worker process's to contain (tests/worker_process.rs); what the
// station reads itself it must stand.
#[test]
fn a_pdf_of_any_bytes_is_drawn_or_refused() {
    replay("pdf", 40);
}
