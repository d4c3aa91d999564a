//! Forgetting: what is older than it may get leaves the card, what is owed stays.

use crate::support::{
    NOW, act, commit, files, held, open, printed, record, settings, settled, with_document,
};
use printstation::domain::{DocumentId, DocumentMeta, Record, Timestamp};
use printstation::ledger::{DocumentError, Ledger, LedgerError, Swept};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn document(bytes: &[u8]) -> DocumentMeta {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    DocumentMeta {
        id: DocumentId(hex),
        len: u32::try_from(bytes.len()).unwrap(),
        label_type: String::new(),
    }
}

/// Sweeps until there is nothing more to do.
fn sweep(ledger: &Ledger, now: Timestamp) -> Swept {
    let mut all = Swept::default();
    for round in 0.. {
        assert!(round < 500, "sweeping has no end");
        settled(ledger);
        let swept = ledger.sweep(now).unwrap();
        all.orders += swept.orders;
        all.documents += swept.documents;
        all.days += swept.days;
        if !swept.more && round >= 20 {
            break;
        }
    }
    settled(ledger);
    all
}

fn mentions(dir: &Path, text: &str) -> Vec<String> {
    files(dir)
        .into_iter()
        .filter(|f| {
            std::fs::read(f)
                .unwrap()
                .windows(text.len())
                .any(|w| w == text.as_bytes())
        })
        .map(|f| f.strip_prefix(dir).unwrap().display().to_string())
        .collect()
}

#[test]
fn a_document_is_kept_by_its_hash_and_never_read_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let bytes = b"%PDF a label".to_vec();
    let id = document(&bytes).id;
    assert_eq!(ledger.read_document(&id), Err(DocumentError::Missing));
    let refused = ledger.store_document(&id, b"other bytes");
    assert!(
        matches!(refused, Err(LedgerError::Unfit { .. })),
        "{refused:?}"
    );
    for name in ["", "../../etc/passwd", &"A".repeat(64), &"/".repeat(64)] {
        let name = DocumentId(name.to_owned());
        assert!(ledger.store_document(&name, &bytes).is_err());
        assert_eq!(ledger.read_document(&name), Err(DocumentError::Missing));
    }
    ledger.store_document(&id, &bytes).unwrap();
    ledger.store_document(&id, &bytes).unwrap();
    assert_eq!(ledger.read_document(&id).unwrap(), bytes);
    let file = files(&dir.path().join("spool")).pop().unwrap();
    printstation::system::durable::replace(&file, b"%PDF a label with rot").unwrap();
    assert_eq!(ledger.read_document(&id), Err(DocumentError::Damaged));
    ledger.store_document(&id, &bytes).unwrap();
    assert_eq!(ledger.read_document(&id).unwrap(), bytes);
}

#[test]
fn what_is_older_than_keep_leaves_every_file_and_what_is_owed_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let (old, new) = (
        b"label of order 1".as_slice(),
        b"label of order 2".as_slice(),
    );
    for bytes in [old, new] {
        ledger.store_document(&document(bytes).id, bytes).unwrap();
    }
    // 1 is old and closed, 2 shares nothing and is young, 3 is old and open, 4 shares 2's document.
    commit(
        &ledger,
        vec![record(with_document(printed(1, 1), document(old)))],
    );
    commit(
        &ledger,
        vec![record(held(3, 1)), Record::Act(Box::new(act(9, 1)))],
    );
    commit(
        &ledger,
        vec![record(with_document(printed(4, 1), document(new)))],
    );
    let later = NOW.plus(40 * DAY);
    let mut young = with_document(printed(2, 1), document(new));
    young.updated = later;
    commit(&ledger, vec![record(young)]);
    settled(&ledger);
    assert_eq!(sweep(&ledger, NOW.plus(29 * DAY)), Swept::default());
    assert!(!mentions(dir.path(), "Recipient-1.").is_empty());

    let swept = sweep(&ledger, later);
    assert_eq!((swept.orders, swept.documents), (2, 1));
    assert_eq!(ledger.get(&held(1, 1).id), None);
    assert!(ledger.find("track-1").orders.is_empty());
    assert_eq!(ledger.find("track-3").orders.len(), 1);
    assert_eq!(ledger.find("track-2").orders.len(), 1);
    assert_eq!(
        ledger.read_document(&document(old).id),
        Err(DocumentError::Missing)
    );
    assert_eq!(ledger.read_document(&document(new).id).unwrap(), new);
    assert_eq!(ledger.stats().orders, 2);

    // sled keeps bytes in its log: within days they are gone from there as well.
    sweep(&ledger, later.plus(8 * DAY));
    for gone in [
        "Recipient-1.",
        "Recipient-4.",
        "WEB-1\"",
        "track-1\0",
        "label of order 1",
    ] {
        assert_eq!(mentions(dir.path(), gone), Vec::<String>::new(), "{gone}");
    }
    assert!(!mentions(dir.path(), "Recipient-3.").is_empty());
    assert_eq!(ledger.health(), []);
    ledger.close().unwrap();
    let (ledger, recovered) = open(dir.path());
    assert_eq!(recovered.orders, [held(3, 1).into()]);
    assert_eq!(recovered.acts, [act(9, 1)]);
    settled(&ledger);
    assert_eq!(ledger.find("web-2").orders.len(), 1);
    assert_eq!(ledger.health(), []);
}

#[test]
fn beyond_the_most_orders_the_oldest_closed_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = settings(dir.path());
    small.max_orders = 20;
    let (ledger, _) = Ledger::open(small, NOW).unwrap();
    commit(&ledger, vec![record(held(1, 1))]);
    for n in 2..=50 {
        commit(&ledger, vec![record(printed(n, 1))]);
    }
    settled(&ledger);
    // The first call may only ask for a checkpoint.
    sweep(&ledger, NOW);
    assert_eq!(ledger.stats().orders, 20);
    for n in 2..=31 {
        assert_eq!(ledger.get(&held(n, 1).id), None, "{n}");
    }
    assert!(ledger.get(&held(1, 1).id).is_some(), "open ones stay");
    assert!((32..=50).all(|n| ledger.get(&held(n, 1).id).is_some()));
}

#[test]
fn a_rebuild_that_a_cut_interrupts_leaves_one_whole_index() {
    for (index, old) in [("index.old", None), ("index", Some("index.old"))] {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, _) = open(dir.path());
        commit(&ledger, vec![record(printed(1, 1)), record(held(2, 1))]);
        settled(&ledger);
        ledger.close().unwrap();
        std::fs::rename(dir.path().join("index"), dir.path().join(index)).unwrap();
        for half in old.into_iter().chain(["index.new"]) {
            std::fs::create_dir(dir.path().join(half)).unwrap();
            printstation::system::durable::replace(&dir.path().join(half).join("db"), b"half")
                .unwrap();
        }
        let (ledger, recovered) = open(dir.path());
        assert_eq!(recovered.orders, [held(2, 1).into()]);
        settled(&ledger);
        assert_eq!(ledger.get(&held(1, 1).id), Some(printed(1, 1)));
        assert_eq!(ledger.health(), []);
        assert!(!dir.path().join("index.new").exists() && !dir.path().join("index.old").exists());
    }
}

#[test]
fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("ledger");
    let (ledger, _) = open(&dir);
    commit(&ledger, vec![record(printed(1, 1))]);
    ledger.store_document(&document(b"x").id, b"x").unwrap();
    settled(&ledger);
    ledger.close().unwrap();
    let mode = |p: &Path| p.metadata().unwrap().permissions().mode() & 0o777;
    for name in ["", "index", "archive", "spool"] {
        assert_eq!(mode(&dir.join(name)), 0o700, "{name}");
    }
    for file in files(&dir) {
        // sled chooses the modes of its own files; their directory keeps others out.
        if !file.starts_with(dir.join("index")) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
}
