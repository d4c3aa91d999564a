//! Damaged files: nothing acknowledged is lost, nothing closed comes back, and it is said aloud.

use crate::support::{
    NOW, PATIENCE, act, commit, copy, files, held, open, printed, record, settings, settled,
};
use printstation::domain::{Code, Record};
use printstation::ledger::{DbCheck, Ledger, LedgerError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Orders 1..=9 closed, 11..=19 open, act 5 under way, act 4 ended.
fn work(ledger: &Ledger) {
    for n in (1..=9).chain(11..=19) {
        commit(ledger, vec![record(held(n, 1))]);
    }
    for id in [4, 5] {
        commit(ledger, vec![Record::Act(Box::new(act(id, 1)))]);
    }
    let id = act(4, 0).id;
    commit(ledger, vec![Record::ActEnded { id, seq: 2 }]);
    for n in 1..=9 {
        commit(ledger, vec![record(printed(n, 2))]);
    }
}

/// A ledger that did its work and was closed in order.
fn closed(dir: &Path) {
    let (ledger, _) = open(dir);
    work(&ledger);
    settled(&ledger);
    ledger.close().unwrap();
}

/// A ledger that did its work and was killed.
fn killed(dir: &Path) {
    let live = tempfile::tempdir().unwrap();
    let (ledger, _) = open(live.path());
    work(&ledger);
    settled(&ledger);
    copy(live.path(), dir);
}

/// Opens and finds exactly what `work` left, now and after the next start.
#[track_caller]
fn all_there(dir: &Path) -> Vec<Code> {
    let mut health = Vec::new();
    for _ in 0..2 {
        let (ledger, recovered) = open(dir);
        let expected: Vec<_> = (11..=19).map(|n| Arc::new(held(n, 1))).collect();
        assert_eq!(recovered.orders, expected);
        assert_eq!(recovered.acts, [act(5, 1)]);
        assert_eq!(recovered.highest_act, 5);
        settled(&ledger);
        for n in 1..=9 {
            assert_eq!(ledger.get(&held(n, 1).id), Some(printed(n, 2)));
        }
        let found = ledger.find("track-3");
        assert_eq!(found.orders, [printed(3, 2)]);
        assert!(found.complete);
        assert_eq!(ledger.stats().orders, 18);
        health.extend(ledger.health().into_iter().map(|(code, _)| code));
    }
    health
}

fn change(path: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    how(&mut bytes);
    printstation::system::durable::replace(path, &bytes).unwrap();
}

/// Where the frames of region A end.
fn used(bytes: &[u8]) -> usize {
    let region = 4096..4096 + (bytes.len() - 8192) / 2;
    let zeros = bytes[region.clone()]
        .iter()
        .rev()
        .take_while(|b| **b == 0)
        .count();
    region.end - zeros
}

#[test]
fn an_unclean_stop_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    assert_eq!(all_there(dir.path()), []);
}

#[test]
fn a_torn_tail_is_cut_off() {
    for torn in [1, 7, 40, 300] {
        let dir = tempfile::tempdir().unwrap();
        killed(dir.path());
        change(&dir.path().join("journal"), |bytes| {
            let end = used(bytes);
            // Half of a frame that looks like one, as far as it goes.
            let start = bytes[4096..4096 + torn].to_vec();
            bytes[end..end + torn].copy_from_slice(&start);
        });
        assert_eq!(all_there(dir.path()), [], "{torn} bytes");
    }
}

#[test]
fn half_of_a_commit_that_was_never_acknowledged_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let live = tempfile::tempdir().unwrap();
    let (ledger, _) = open(live.path());
    commit(&ledger, vec![record(held(1, 1))]);
    let before = used(&std::fs::read(live.path().join("journal")).unwrap());
    commit(
        &ledger,
        vec![Record::Act(Box::new(act(1, 1))), record(held(2, 1))],
    );
    copy(live.path(), dir.path());
    change(&dir.path().join("journal"), |bytes| {
        // Only its first frame reached the card, and only once.
        let second = used(bytes) - 10;
        let half = (bytes.len() - 8192) / 2;
        bytes[second..second + 10].fill(0);
        bytes[before + half..second + half + 10].fill(0);
    });
    // sled may have heard of it, as it would not have in a real cut.
    let index = dir.path().join("index");
    if index.exists() {
        std::fs::remove_dir_all(index).unwrap();
    }
    let (_, recovered) = open(dir.path());
    assert_eq!(recovered.orders, [held(1, 1).into()]);
    assert_eq!(recovered.acts, []);
}

#[test]
fn any_flipped_bit_of_the_journal_after_a_kill_is_harmless() {
    let source = tempfile::tempdir().unwrap();
    killed(source.path());
    let journal = std::fs::read(source.path().join("journal")).unwrap();
    let half = (journal.len() - 8192) / 2;
    let end = used(&journal);
    let everywhere = (0..64).step_by(9).chain((4096..end).step_by(397));
    let both = everywhere.flat_map(|at| {
        [
            at,
            if at < 4096 {
                journal.len() - 4096 + at
            } else {
                at + half
            },
        ]
    });
    for (n, at) in both.enumerate() {
        let dir = tempfile::tempdir().unwrap();
        copy(source.path(), dir.path());
        change(&dir.path().join("journal"), |bytes| {
            bytes[at] ^= 1 << (n % 8)
        });
        assert_eq!(all_there(dir.path()), [], "byte {at}");
    }
}

#[test]
fn any_zeroed_or_swapped_block_of_the_journal_after_a_kill_is_harmless() {
    let source = tempfile::tempdir().unwrap();
    killed(source.path());
    let blocks = std::fs::read(source.path().join("journal")).unwrap().len() / 4096;
    for block in 0..blocks {
        let dir = tempfile::tempdir().unwrap();
        copy(source.path(), dir.path());
        change(&dir.path().join("journal"), |bytes| {
            bytes[block * 4096..(block + 1) * 4096].fill(0);
        });
        all_there(dir.path());
    }
    for (a, b) in [(0, 1), (1, 2), (1, 17), (2, 18), (3, 25), (0, blocks - 1)] {
        let dir = tempfile::tempdir().unwrap();
        copy(source.path(), dir.path());
        change(&dir.path().join("journal"), |bytes| {
            let kept = bytes[a * 4096..(a + 1) * 4096].to_vec();
            bytes.copy_within(b * 4096..(b + 1) * 4096, a * 4096);
            bytes[b * 4096..(b + 1) * 4096].copy_from_slice(&kept);
        });
        all_there(dir.path());
    }
}

#[test]
fn a_journal_that_is_cut_empty_or_gone_after_a_clean_stop_is_made_whole_by_the_index() {
    let source = tempfile::tempdir().unwrap();
    closed(source.path());
    let len = std::fs::read(source.path().join("journal")).unwrap().len();
    for keep in [0, 1, 100, 4096, 4097, 6000, 40_000, len / 2, len - 1] {
        let dir = tempfile::tempdir().unwrap();
        copy(source.path(), dir.path());
        change(&dir.path().join("journal"), |bytes| bytes.truncate(keep));
        let health = all_there(dir.path());
        assert_eq!(health, [Code::LedgerQuarantined], "{keep} bytes");
    }
    let dir = tempfile::tempdir().unwrap();
    copy(source.path(), dir.path());
    std::fs::remove_file(dir.path().join("journal")).unwrap();
    assert_eq!(all_there(dir.path()), [Code::LedgerQuarantined]);
}

#[test]
fn a_damaged_journal_never_brings_an_older_state_back() {
    let dir = tempfile::tempdir().unwrap();
    let old = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    commit(&ledger, vec![record(held(1, 1)), record(held(2, 1))]);
    settled(&ledger);
    copy(dir.path(), old.path());
    commit(&ledger, vec![record(printed(1, 2))]);
    ledger.close().unwrap();
    // A journal that knows order 1 only as open, and is damaged: the index knows better.
    std::fs::copy(old.path().join("journal"), dir.path().join("journal")).unwrap();
    change(&dir.path().join("journal"), |bytes| {
        let len = bytes.len();
        bytes.truncate(len - 1);
    });
    let (ledger, recovered) = open(dir.path());
    assert_eq!(recovered.orders, [held(2, 1).into()]);
    assert!(recovered.quarantined.is_some());
    settled(&ledger);
    assert_eq!(ledger.get(&held(1, 1).id), Some(printed(1, 2)));
}

#[test]
fn an_index_that_went_back_in_time_is_set_aside_and_refilled() {
    let dir = tempfile::tempdir().unwrap();
    let old = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    commit(&ledger, vec![record(held(1, 1))]);
    settled(&ledger);
    ledger.close().unwrap();
    copy(&dir.path().join("index"), &old.path().join("index"));
    let (ledger, _) = open(dir.path());
    commit(&ledger, vec![record(printed(1, 2)), record(printed(2, 1))]);
    settled(&ledger);
    ledger.close().unwrap();
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    copy(&old.path().join("index"), &dir.path().join("index"));
    let (ledger, recovered) = open(dir.path());
    assert_eq!(recovered.orders, []);
    settled(&ledger);
    assert_eq!(ledger.get(&held(1, 1).id), Some(printed(1, 2)));
    assert_eq!(ledger.get(&held(2, 1).id), Some(printed(2, 1)));
    assert_eq!(ledger.health()[0].0, Code::LedgerQuarantined);
}

#[test]
fn a_left_over_snapshot_does_not_keep_the_index_from_opening() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    for name in [
        "snap.00000000000A.generating",
        "snap.FFFFFFFFFFFF.generating",
    ] {
        printstation::system::durable::replace(&dir.path().join("index").join(name), b"half")
            .unwrap();
    }
    assert_eq!(all_there(dir.path()), []);
}

#[test]
fn a_damaged_index_is_rebuilt_from_journal_and_archive() {
    let clean = tempfile::tempdir().unwrap();
    closed(clean.path());
    let unclean = tempfile::tempdir().unwrap();
    copy(clean.path(), unclean.path());
    std::fs::remove_file(unclean.path().join("clean")).unwrap();
    for source in [clean.path(), unclean.path()] {
        let mut aside = 0;
        for file in files(&source.join("index")) {
            let len = std::fs::read(&file).unwrap().len();
            let relative = file.strip_prefix(source).unwrap();
            for (n, at) in (0..len).step_by((len / 12).max(1)).enumerate() {
                let dir = tempfile::tempdir().unwrap();
                copy(source, dir.path());
                change(&dir.path().join(relative), |bytes| match n % 4 {
                    0 => bytes[at] ^= 1,
                    1 => bytes.truncate(at),
                    2 => bytes[at..len.min(at + 4096)].fill(0),
                    _ => bytes[at..len.min(at + 16)].fill(0xFF),
                });
                aside += all_there(dir.path()).len();
            }
        }
        assert!(aside > 0, "no damage was noticed");
    }
}

#[test]
fn an_index_that_is_gone_is_refilled_also_when_the_refill_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    std::fs::remove_file(dir.path().join("clean")).unwrap();
    let (ledger, _) = open(dir.path());
    drop(ledger); // before, within or after the refill
    all_there(dir.path());
}

#[test]
fn a_damaged_line_of_the_archive_costs_only_itself_and_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    let days = files(&dir.path().join("archive"));
    assert_eq!(days.len(), 1);
    change(&days[0], |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let at = text.find("WEB-3").unwrap();
        bytes[at + 4] = b'9';
    });
    let (ledger, _) = open(dir.path());
    settled(&ledger);
    assert_eq!(ledger.get(&held(3, 1).id), None);
    assert_eq!(ledger.get(&held(9, 1).id), Some(printed(9, 2)));
    assert_eq!(ledger.stats().orders, 17);
}

fn with_check(dir: &Path, program: &str, args: &[&str], limit: Duration) -> Ledger {
    let mut settings = settings(dir);
    settings.check = DbCheck::Child {
        program: program.into(),
        args: args.iter().map(Into::into).collect(),
        limit,
    };
    Ledger::open(settings, NOW).unwrap().0
}

#[test]
fn an_index_whose_check_hangs_is_set_aside_while_the_journal_serves() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    let script = ["-c", "sleep 600"];
    let ledger = with_check(dir.path(), "sh", &script, Duration::from_millis(400));
    let found = ledger.find("web-12");
    assert_eq!(found.orders, [held(12, 1)]);
    assert!(!found.complete);
    assert!(found.first_seq > 1);
    assert_eq!(ledger.health(), []);
    commit(&ledger, vec![record(printed(12, 2))]);
    settled(&ledger);
    assert_eq!(ledger.health()[0].0, Code::LedgerQuarantined);
    assert_eq!(ledger.get(&held(12, 1).id), Some(printed(12, 2)));
    assert_eq!(ledger.get(&held(2, 1).id), Some(printed(2, 2)));
    assert!(ledger.find("web-2").complete);
}

#[test]
fn a_check_that_says_no_sets_the_index_aside_and_the_last_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    for _ in 0..4 {
        let ledger = with_check(dir.path(), "false", &[], PATIENCE);
        settled(&ledger);
        assert_eq!(ledger.health()[0].0, Code::LedgerQuarantined);
    }
    let aside = std::fs::read_dir(dir.path()).unwrap().filter(|e| {
        let name = e.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("quarantine-2026")
    });
    assert_eq!(aside.count(), 2);
    all_there(dir.path());
}

#[test]
fn a_check_that_says_yes_leaves_the_index_where_it_is() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path());
    let ledger = with_check(dir.path(), "true", &[], PATIENCE);
    settled(&ledger);
    assert_eq!(ledger.health(), []);
}

#[test]
fn an_order_met_again_before_the_refill_wins_over_its_past() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    std::fs::remove_dir_all(dir.path().join("index")).unwrap();
    std::fs::remove_file(dir.path().join("clean")).unwrap();
    printstation::system::durable::create_dir_all(&dir.path().join("index")).unwrap();
    printstation::system::durable::replace(&dir.path().join("index/db"), b"rubbish").unwrap();
    let script = ["-c", "sleep 600"];
    let ledger = with_check(dir.path(), "sh", &script, Duration::from_millis(300));
    let found = ledger.find("web-1");
    assert!(found.orders.is_empty() && !found.complete);
    let again = held(1, found.first_seq);
    commit(&ledger, vec![record(again.clone())]);
    settled(&ledger);
    assert_eq!(ledger.get(&again.id), Some(again.clone()));
    drop(ledger);
    let (ledger, recovered) = open(dir.path());
    assert!(recovered.orders.contains(&again.clone().into()));
    settled(&ledger);
    assert_eq!(ledger.get(&again.id), Some(again));
}

#[test]
fn a_journal_of_a_newer_release_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    let path = dir.path().join("journal");
    change(&path, |bytes| {
        for start in [0, bytes.len() - 4096] {
            bytes[start + 8] = 2;
            let crc = crc32fast::hash(&bytes[start..start + 56]);
            bytes[start + 56..start + 60].copy_from_slice(&crc.to_le_bytes());
        }
    });
    let before = std::fs::read(&path).unwrap();
    let refused = Ledger::open(settings(dir.path()), NOW).unwrap_err();
    assert!(
        matches!(refused, LedgerError::Newer { found: 2, .. }),
        "{refused}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn closed_orders_leave_the_journal_only_with_a_checkpoint_and_open_ones_never() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    commit(&ledger, vec![record(held(500, 1))]);
    let journal = |dir: &Path| std::fs::read(dir.join("journal")).unwrap();
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    for n in 1..=300 {
        commit(&ledger, vec![record(printed(n, 1))]);
    }
    settled(&ledger);
    ledger.close().unwrap();
    let bytes = journal(dir.path());
    assert!(holds(&bytes, "Recipient-500."));
    assert!(!holds(&bytes, "Recipient-1."));
    let archive = files(&dir.path().join("archive"));
    let lines: usize = archive
        .iter()
        .map(|f| std::fs::read_to_string(f).unwrap().lines().count())
        .sum();
    assert_eq!(lines, 300);
}
