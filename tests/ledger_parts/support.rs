//! Orders and directories for the ledger's tests.
use printstation::domain::order::{Choices, Deed, Origin, Standing};
use printstation::domain::{
    AccountName, Act, ActId, ActKind, DocumentMeta, Order, OrderId, Page, PageRole, PageState,
    PrinterName, Proof, Record, ScanText, Shipment, Source, Timestamp,
};
use printstation::ledger::{DbCheck, Ledger, Recovered, Settings};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-22T00:00:00Z.
pub const NOW: Timestamp = Timestamp(1_795_305_600_000);
/// Far above what any step needs; only a hang reaches it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Small limits, so that tests reach them.
pub fn settings(dir: &Path) -> Settings {
    Settings {
        journal_bytes: 64 << 10,
        ballast_bytes: 64 << 10,
        ..Settings::new(dir, DbCheck::InProcess)
    }
}

pub fn open(dir: &Path) -> (Ledger, Recovered) {
    Ledger::open(settings(dir), NOW).unwrap()
}

/// Waits until the index has everything.
#[track_caller]
pub fn settled(ledger: &Ledger) {
    assert!(ledger.settle(PATIENCE), "{:?}", ledger.health());
}

#[track_caller]
pub fn commit(ledger: &Ledger, records: Vec<Record>) {
    ledger.commit(records).wait_blocking().unwrap();
}

/// An order that is open: bought, held, its page not printed.
pub fn held(n: u64, seq: u64) -> Order {
    let number = i64::try_from(n).unwrap();
    Order {
        id: OrderId(format!("cc:{n:08}")),
        seq,
        number: format!("WEB-{n}"),
        reference: Some(format!("REF-{n}")),
        account: AccountName::from("main"),
        order_id: number,
        sale: None,
        recipient: Some(format!("Recipient-{n}.")),
        printer: PrinterName::from("bench"),
        standing: Standing::Resting,
        shipments: vec![Shipment {
            order_id: number,
            carrier: "Courier".to_owned(),
            tracking: vec![format!("TRACK-{n}")],
            documents: Vec::new(),
            stored: true,
            pages: vec![Page {
                document: 0,
                index: 0,
                role: PageRole::Label,
                printer: PrinterName::from("bench"),
                state: PageState::Todo,
                at: NOW,
                codes: Vec::new(),
            }],
            superseded: false,
            untracked: false,
            origin: Origin::Here,
            ahead: false,
            unverified: false,
            price_cents: None,
            at: NOW,
        }],
        intent: None,
        writebacks: Vec::new(),
        last_job: 0,
        fingerprint: String::new(),
        timings: None,
        deeds: vec![Deed {
            at: NOW,
            what: "scan".to_owned(),
            by: Source::default(),
            reason: None,
        }],
        created: NOW,
        updated: Timestamp(NOW.0 + number),
    }
}

/// The same order, printed: closed.
pub fn printed(n: u64, seq: u64) -> Order {
    let mut order = held(n, seq);
    order.shipments[0].pages[0].state = PageState::Printed(Proof::Sent);
    assert!(!order.is_open());
    order
}

pub fn with_document(mut order: Order, document: DocumentMeta) -> Order {
    order.shipments[0].documents.push(document);
    order
}

pub fn record(order: Order) -> Record {
    Record::Order(Arc::new(order))
}

pub fn act(id: u64, seq: u64) -> Act {
    Act {
        id: ActId(id),
        seq,
        kind: ActKind::Ship,
        text: ScanText::parse(&format!("WEB-{id}")).unwrap(),
        source: Source::default(),
        at: NOW,
        order: None,
        queued: false,
        with: Choices::default(),
        confirmed: false,
        reason: None,
    }
}

/// Copies a directory as a kill would leave it: what reached the kernel, nothing else.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(from)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    // The journal first, as if everything else had been written a moment later.
    names.sort_by_key(|name| name != "journal");
    for name in names {
        let (source, target) = (from.join(&name), to.join(&name));
        if source.is_dir() {
            copy(&source, &target);
        } else if let Err(error) = std::fs::copy(&source, &target) {
            // A file that is written and renamed meanwhile.
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{name:?}");
        }
    }
}

/// Every file below a directory.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.push(entry.path());
        }
    }
    all.sort();
    all
}
