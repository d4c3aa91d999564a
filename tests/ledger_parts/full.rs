//! A full card: nothing acknowledged is lost, what is under way goes on, new work is refused.

use crate::support::{NOW, PATIENCE, act, commit, held, printed, record, settings, settled};
use printstation::domain::{Code, Record};
use printstation::ledger::{Ledger, LedgerError};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of its own, unmounted at the end.
struct Card(PathBuf, tempfile::TempDir);

impl Card {
    /// `None`, said aloud, where this is not allowed.
    fn new(kib: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("card");
        std::fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"])
            .arg(&path)
            .output();
        match mounted {
            Ok(done) if done.status.success() => Some(Self(path, dir)),
            other => {
                println!("skipped: no file system can be mounted here (needs root): {other:?}");
                None
            }
        }
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let copied = std::io::copy(&mut std::io::repeat(1), &mut file);
        assert_eq!(copied.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(done.is_ok_and(|s| s.success()) || std::thread::panicking());
        let _ = &self.1;
    }
}

fn open(dir: &Path) -> (Ledger, printstation::ledger::Recovered) {
    let mut settings = settings(dir);
    settings.ballast_bytes = 3 << 20;
    Ledger::open(settings, NOW).unwrap()
}

#[test]
fn a_card_that_fills_up_costs_nothing_that_was_acknowledged() {
    let Some(card) = Card::new(12 << 10) else {
        return;
    };
    let dir = card.0.join("ledger");
    let (ledger, _) = open(&dir);
    commit(
        &ledger,
        vec![Record::Act(Box::new(act(1, 1))), record(held(1, 1))],
    );
    settled(&ledger);
    let filler = card.fill();
    // Enough closed work that journal, archive and index all need room.
    let mut last = 1;
    for n in 2..=250 {
        commit(&ledger, vec![record(held(n, 1))]);
        commit(&ledger, vec![record(printed(n, 2))]);
        last = n;
    }
    assert!(ledger.settle(PATIENCE), "{:?}", ledger.health());
    let health: Vec<Code> = ledger.health().into_iter().map(|(code, _)| code).collect();
    assert!(health.contains(&Code::DiskFull), "{health:?}");
    let refused = ledger
        .commit(vec![Record::Act(Box::new(act(2, 1)))])
        .wait_blocking();
    assert!(matches!(refused, Err(LedgerError::DiskFull)), "{refused:?}");
    drop(ledger);

    std::fs::remove_file(filler).unwrap();
    let (ledger, recovered) = open(&dir);
    assert_eq!(recovered.orders, [held(1, 1).into()]);
    assert_eq!(recovered.acts, [act(1, 1)]);
    settled(&ledger);
    for n in 2..=last {
        assert_eq!(ledger.get(&held(n, 1).id), Some(printed(n, 2)), "{n}");
    }
    ledger.sweep(NOW).unwrap();
    assert_eq!(ledger.health(), []);
    commit(&ledger, vec![Record::Act(Box::new(act(2, 1)))]);
}

#[test]
fn a_ledger_opens_on_a_full_card_by_giving_up_its_ballast() {
    let Some(card) = Card::new(12 << 10) else {
        return;
    };
    let dir = card.0.join("ledger");
    let (ledger, _) = open(&dir);
    commit(&ledger, vec![record(held(1, 1)), record(printed(2, 1))]);
    settled(&ledger);
    drop(ledger);
    // A journal that must be written anew.
    let journal = dir.join("journal");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&journal)
        .unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"torn", 60_000).unwrap();
    drop(file);
    card.fill();
    let (ledger, recovered) = open(&dir);
    assert_eq!(recovered.orders, [held(1, 1).into()]);
    assert!(ledger.settle(PATIENCE));
    assert!(
        ledger
            .health()
            .iter()
            .any(|(code, _)| *code == Code::DiskFull)
    );
    commit(&ledger, vec![record(printed(1, 2))]);
    assert_eq!(ledger.get(&held(2, 1).id), Some(printed(2, 1)));
}
