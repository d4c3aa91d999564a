//! What an acknowledgement costs, as a ratio to the least it can cost: one pwrite of the same bytes
//! into a preallocated file and one fdatasync, in the same directory, alternating with it.

use crate::engine::{dequeue, enqueue, len_of, settings};
use crate::util::{Options, remove_dir};
use printstation::domain::Timestamp;
use printstation::ledger::Ledger;
use std::os::unix::fs::FileExt;
use std::time::Instant;

const NOW: Timestamp = Timestamp(1_795_305_600_000);

pub fn run(options: &Options) -> bool {
    let dir = options.dir();
    remove_dir(&dir);
    let ops = options.number("ops", 2_000);
    let (ledger, _) = Ledger::open(settings(&dir), NOW).unwrap();
    let plain = std::fs::File::create_new(dir.join("plain")).unwrap();
    plain.write_all_at(&vec![0; 1 << 20], 0).unwrap();
    plain.sync_all().unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let mut at = 0;
    for id in 1..=ops {
        let len = len_of(id, 500);
        for records in [enqueue(id, len), dequeue(id, len)] {
            let bytes: usize = records
                .iter()
                .map(|r| serde_json::to_vec(r).unwrap().len() + 36)
                .sum();
            let frame = vec![b'x'; bytes];
            let start = Instant::now();
            ledger.commit(records).wait_blocking().unwrap();
            ours.push(start.elapsed().as_micros());
            if at + bytes as u64 > 1 << 20 {
                at = 0;
            }
            let start = Instant::now();
            plain.write_all_at(&frame, at).unwrap();
            plain.sync_data().unwrap();
            theirs.push(start.elapsed().as_micros());
            at += bytes as u64;
        }
    }
    let stats = ledger.stats();
    // A burst from many threads: what group commit gives.
    let start = Instant::now();
    let (threads, each) = (16, ops / 8);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let ledger = ledger.clone();
            scope.spawn(move || {
                for n in 0..each {
                    let id = 1_000_000 + thread * each + n;
                    let len = len_of(id, 500);
                    ledger.commit(enqueue(id, len)).wait_blocking().unwrap();
                    ledger.commit(dequeue(id, len)).wait_blocking().unwrap();
                }
            });
        }
    });
    let burst = start.elapsed();
    let burst_acks = 2 * threads * each;
    ours.sort_unstable();
    theirs.sort_unstable();
    let at = |v: &[u128], per_mille: usize| v[(v.len() * per_mille / 1_000).min(v.len() - 1)];
    let sum = |v: &[u128]| v.iter().sum::<u128>().max(1) as f64;
    println!(
        "RESULT latency acks={} ours_us p50={} p99={} max={} | plain fdatasync p50={} p99={} max={} | ratio of medians {:.2} | acks/s alone {:.0} ({:.2} of plain) | 16 threads {:.0} acks/s ({:.2} of plain) | flushes per ack {:.2} | journal and archive bytes per ack {}",
        ours.len(),
        at(&ours, 500),
        at(&ours, 990),
        at(&ours, 1_000),
        at(&theirs, 500),
        at(&theirs, 990),
        at(&theirs, 1_000),
        at(&ours, 500) as f64 / at(&theirs, 500).max(1) as f64,
        ours.len() as f64 * 1e6 / sum(&ours),
        sum(&theirs) / sum(&ours),
        burst_acks as f64 / burst.as_secs_f64(),
        burst_acks as f64 / burst.as_secs_f64() / (theirs.len() as f64 * 1e6 / sum(&theirs)),
        stats.flushes as f64 / ours.len() as f64,
        stats.bytes_written / ours.len() as u64,
    );
    let closed = ledger.close().is_ok();
    remove_dir(&dir);
    closed
}
