//! Power cuts: prefixes of a recorded block log become disk images; each is mounted, its ledger opened
//! twice, and compared with what was acknowledged by then.

use crate::engine::{Report, run_check};
use crate::fuselog::{self, Ent};
use crate::util::{Model, Options, Rng, remove_dir, shell};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What survives of the writes after the last completed flush: all, none, a random half of the 4 KiB
/// or of the 512-byte pieces.
const MODELS: [&str; 4] = ["through", "cache-lost", "subset-4k", "subset-512"];
const BLOCK: usize = 4096;

#[derive(Default, Clone)]
struct Tally {
    states: u64,
    bad: u64,
    lost: usize,
    resurrected: usize,
    other: usize,
    does_not_open: u64,
    second_differs: u64,
    quarantined: u64,
}

fn must(command: &str) -> String {
    shell(command).unwrap()
}

pub fn run(options: &Options) -> bool {
    let base = options.dir();
    remove_dir(&base);
    for dir in ["fuse", "mnt", "mnt2"] {
        std::fs::create_dir_all(base.join(dir)).unwrap();
    }
    let memory = PathBuf::from(format!(
        "/dev/shm/printstation-torture-{}",
        std::process::id()
    ));
    std::fs::create_dir_all(&memory).unwrap();
    let good = cut(options, &base, &memory);
    remove_dir(&memory);
    remove_dir(&base);
    good
}

fn cut(options: &Options, base: &Path, memory: &Path) -> bool {
    let size = usize::try_from(options.number("mib", 96) << 20).unwrap();
    let image = memory.join("mkfs.img");
    must(&format!(
        "truncate -s {size} {0} && mkfs.ext4 -F -q -b 4096 -J size=4 -E lazy_itable_init=0,lazy_journal_init=0 {0}",
        image.display()
    ));
    let blank = std::fs::read(&image).unwrap();
    let entries = record(options, base, blank.clone());
    let end = entries.len();
    let acks: Vec<usize> = (0..end)
        .filter(|i| matches!(entries[*i].1, Ent::M(b'p' | b'd', _)))
        .collect();
    let (mut bytes, mut flushes) = (0, 0);
    for (_, entry) in &entries {
        match entry {
            Ent::W(_, data) => bytes += data.len(),
            Ent::F => flushes += 1,
            Ent::M(..) => {}
        }
    }
    println!(
        "power: recorded acknowledged={} device_bytes_per_ack={} flushes_per_ack={:.2}",
        acks.len(),
        bytes / acks.len().max(1),
        f64::from(flushes) / acks.len().max(1) as f64
    );

    let mut rng = Rng(options.number("seed", 7));
    let first = entries
        .iter()
        .position(|e| matches!(e.1, Ent::M(..)))
        .unwrap_or(0)
        / 2;
    let mut cuts: Vec<usize> = (0..options.number("states", 480))
        .map(|i| match i % 2 {
            0 => acks[rng.index(acks.len())] + 1,
            _ => first + rng.index(end - first),
        })
        .collect();
    cuts.sort_unstable();
    let mut disk = Disk::new(blank);
    let mut model = Model::default();
    let (mut at, mut pending) = (0, Vec::new());
    let mut tally = vec![Tally::default(); MODELS.len()];
    for (k, cut) in cuts.iter().enumerate() {
        for (i, (_, entry)) in entries.iter().enumerate().take(*cut).skip(at) {
            match entry {
                Ent::W(..) => pending.push(i),
                Ent::F => {
                    for i in pending.drain(..) {
                        if let Ent::W(offset, data) = &entries[i].1 {
                            disk.write(*offset, data);
                        }
                    }
                }
                Ent::M(tag, id) => model.mark(*tag, *id),
            }
        }
        at = *cut;
        let survives = |unit: usize, rng: &mut Rng| -> Vec<(u64, &[u8])> {
            let mut pieces = Vec::new();
            for i in &pending {
                if let Ent::W(offset, data) = &entries[*i].1 {
                    for (j, piece) in data.chunks(unit).enumerate() {
                        if rng.below(2) == 0 {
                            pieces.push((offset + (j * unit) as u64, piece));
                        }
                    }
                }
            }
            pieces
        };
        let mode = k % MODELS.len();
        let late: Vec<(u64, &[u8])> = match mode {
            0 => pending
                .iter()
                .filter_map(|i| match &entries[*i].1 {
                    Ent::W(offset, data) => Some((*offset, data.as_slice())),
                    _ => None,
                })
                .collect(),
            1 => Vec::new(),
            2 => survives(BLOCK, &mut rng),
            _ => survives(512, &mut rng),
        };
        let image = memory.join("crash.img");
        disk.save(&image, &late);
        let what = format!("cut {cut} of {end}, {}", MODELS[mode]);
        inspect(options, base, &image, &model, &mut tally[mode], &what);
    }
    let mut good = true;
    for (t, name) in tally.iter().zip(MODELS) {
        println!(
            "RESULT power model={name} states={} bad={} lost={} resurrected={} alien_corrupt_torn={} does_not_open={} second_open_differs={} quarantined={}",
            t.states,
            t.bad,
            t.lost,
            t.resurrected,
            t.other,
            t.does_not_open,
            t.second_differs,
            t.quarantined
        );
        good &= t.bad == 0 && t.states > 0;
    }
    good
}

/// Lets writers work on a file system whose every block write is logged.
fn record(options: &Options, base: &Path, disk: Vec<u8>) -> Vec<(u64, Ent)> {
    let shown = base.display();
    let log = Arc::new(Mutex::new(fuselog::Log {
        disk,
        ents: Vec::new(),
        t0: Instant::now(),
    }));
    let session = fuselog::mount(&base.join("fuse"), log.clone());
    let device = must(&format!("losetup -f --show {shown}/fuse/disk"));
    must(&format!(
        "mount -t ext4 -o noatime {device} {shown}/mnt && mkdir {shown}/mnt/db && sync -f {shown}/mnt/db"
    ));
    let sessions = options.number("sessions", 4);
    let mut next = 1;
    for session in 0..sessions {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["run", "writer", "--mark", &format!("{shown}/fuse/mark")])
            .args([
                "--ops",
                &(options.number("ops", 2_400) / sessions).to_string(),
            ])
            .args([
                "--pace-us",
                &options.text("pace-us", "4000"),
                "--start",
                &next.to_string(),
            ])
            .args(["--seed", &(options.number("seed", 7) + session).to_string()])
            .args([
                "--len",
                &options.text("len", "500"),
                "--dir",
                &format!("{shown}/mnt/db"),
            ])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(120) {
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let log = log.lock().unwrap();
        let ended = log.ents.iter().rev().find_map(|e| match e.1 {
            Ent::M(tag @ (b'Z' | b'E'), _) => Some(tag),
            _ => None,
        });
        assert_eq!(ended, Some(b'Z'), "writer session {session} failed");
        let begun = log.ents.iter().filter_map(|e| match e.1 {
            Ent::M(b'P', id) => Some(id + 1),
            _ => None,
        });
        next = begun.max().unwrap_or(1);
    }
    let end = log.lock().unwrap().ents.len();
    must(&format!("umount {shown}/mnt && losetup -d {device}"));
    // The loop device lets go of its file a little later.
    let backing = format!(
        "/sys/block/{}/loop/backing_file",
        device.trim_start_matches("/dev/")
    );
    for _ in 0..500 {
        if !Path::new(&backing).exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    if let Err(error) = session.umount_and_join() {
        eprintln!("fuse: {error}");
        if let Err(error) = shell(&format!("umount -l {shown}/fuse")) {
            eprintln!("{error}");
        }
    }
    let mut entries = std::mem::take(&mut log.lock().unwrap().ents);
    entries.truncate(end);
    entries
}

/// A disk's content, and which of its blocks are not zero.
struct Disk {
    bytes: Vec<u8>,
    touched: BTreeSet<usize>,
}

impl Disk {
    fn new(bytes: Vec<u8>) -> Self {
        let touched = bytes
            .chunks(BLOCK)
            .enumerate()
            .filter(|(_, block)| block.iter().any(|b| *b != 0))
            .map(|(i, _)| i)
            .collect();
        Self { bytes, touched }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        let at = usize::try_from(offset).unwrap();
        self.bytes[at..at + data.len()].copy_from_slice(data);
        self.touched
            .extend(at / BLOCK..(at + data.len()).div_ceil(BLOCK));
    }

    fn save(&self, path: &Path, late: &[(u64, &[u8])]) {
        if path.exists() {
            std::fs::remove_file(path).unwrap();
        }
        let file = std::fs::File::create_new(path).unwrap();
        file.set_len(self.bytes.len() as u64).unwrap();
        for block in &self.touched {
            let at = block * BLOCK;
            file.write_all_at(&self.bytes[at..at + BLOCK], at as u64)
                .unwrap();
        }
        for (offset, data) in late {
            file.write_all_at(data, *offset).unwrap();
        }
    }
}

fn inspect(
    options: &Options,
    base: &Path,
    image: &Path,
    model: &Model,
    tally: &mut Tally,
    what: &str,
) {
    tally.states += 1;
    let mount = base.join("mnt2");
    let (from, to) = (image.display(), mount.display());
    if let Err(error) = shell(&format!("mount -t ext4 -o loop,noatime {from} {to}")) {
        eprintln!("{what}: {error}");
        tally.does_not_open += 1;
        tally.bad += 1;
        return;
    }
    let db = mount.join("db");
    let check = |clean| run_check(options, &db, model.ids(), clean);
    let good = match check(false) {
        Ok(report) => {
            let verdict = model.compare(&report);
            tally.quarantined += u64::from(report.quarantined);
            tally.lost += verdict.lost.len();
            tally.resurrected += verdict.resurrected.len();
            tally.other += verdict.alien.len() + verdict.corrupt.len() + verdict.torn.len();
            if !verdict.is_good() {
                eprintln!("{what}: {verdict:?}");
            }
            // What recovery wrote must open as well, and hold the same.
            let same = match check(true) {
                Ok(second) => {
                    let all = |r: &Report| (r.open.clone(), r.closed.clone());
                    all(&second) == all(&report)
                }
                Err(error) => {
                    eprintln!("{what}: second open: {error}");
                    false
                }
            };
            tally.second_differs += u64::from(!same);
            verdict.is_good() && same
        }
        Err(error) => {
            eprintln!("{what}: does not open: {error}");
            tally.does_not_open += 1;
            false
        }
    };
    tally.bad += u64::from(!good);
    must(&format!("umount {to}"));
}
