//! How long a start takes with many closed orders: after an orderly stop and after a kill.

use crate::engine::{order, settings};
use crate::util::{Options, copy_dir, remove_dir};
use printstation::domain::{Record, Timestamp};
use printstation::ledger::Ledger;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp(1_795_305_600_000);

pub fn run(options: &Options) -> bool {
    let base = options.dir();
    remove_dir(&base);
    let (dir, killed) = (base.join("clean"), base.join("killed"));
    let orders = options.number("orders", 100_000);
    let limit = Duration::from_secs(600);
    let start = Instant::now();
    let (ledger, _) = Ledger::open(settings(&dir), NOW).unwrap();
    for first in (1..=orders).step_by(32) {
        let last = orders.min(first + 31);
        let closed = |id| Record::Order(Arc::new(order(id, 500, true)));
        let records: Vec<Record> = (first..=last).map(closed).collect();
        // Refused only while the index is behind with closed work: wait for it.
        while ledger.commit(records.clone()).wait_blocking().is_err() {
            assert!(ledger.settle(limit), "{:?}", ledger.failure());
        }
    }
    let mut good = ledger.settle(limit);
    // The journal grew for this burst and shrinks when it is quiet.
    while ledger.stats().journal_bytes > 1 << 20 && start.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(50));
    }
    println!(
        "start: {} orders written in {:?}, {:?}",
        orders,
        start.elapsed(),
        ledger.stats()
    );
    copy_dir(&dir, &killed);
    ledger.close().unwrap();
    for (how, dir) in [("clean", &dir), ("killed", &killed)] {
        good &= open(how, dir, orders, limit);
    }
    remove_dir(&base);
    good
}

fn open(how: &str, dir: &Path, orders: u64, limit: Duration) -> bool {
    let start = Instant::now();
    let (ledger, recovered) = Ledger::open(settings(dir), NOW).unwrap();
    let ready = start.elapsed();
    let complete_at_once = ledger.find("web-1").complete;
    let settled = ledger.settle(limit);
    let complete = start.elapsed();
    let found = ledger.find(&format!("track-{orders}"));
    println!(
        "RESULT start how={how} orders={} ready_ms={} index_at_ready={complete_at_once} index_complete_ms={} bytes_on_disk={}",
        ledger.stats().orders,
        ready.as_millis(),
        complete.as_millis(),
        ledger.stats().bytes_on_disk
    );
    settled
        && recovered.orders.is_empty()
        && found.orders.len() == 1
        && ledger.stats().orders == orders
        && ledger.health().is_empty()
}
