//! Power cuts: prefixes of a recorded block log become disk images; each is mounted, its ledger opened
//! twice, and compared with what was acknowledged by then. With `--again N` every N-th state is cut a
//! second time, while the ledger recovers from the first.

use crate::disk::{Logged, MODELS, Replay, blank, in_rooms, mount_as_at_boot, must};
use crate::engine::{Report, run_check};
use crate::fuselog::Ent;
use crate::util::{Model, Options, Rng};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

impl Tally {
    fn told(&self, name: &str) -> String {
        format!(
            "RESULT power model={name} states={} bad={} lost={} resurrected={} alien_corrupt_torn={} does_not_open={} second_open_differs={} quarantined={}",
            self.states,
            self.bad,
            self.lost,
            self.resurrected,
            self.other,
            self.does_not_open,
            self.second_differs,
            self.quarantined
        )
    }
}

pub fn run(options: &Options) -> bool {
    in_rooms(options, |base, memory| cut(options, base, memory))
}

fn cut(options: &Options, base: &Path, memory: &Path) -> bool {
    let blank = blank(memory, options.number("mib", 96));
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
    let mut replay = Replay::new(blank, &entries);
    let mut model = Model::default();
    let mut tally = vec![Tally::default(); MODELS.len()];
    let mut twice = Tally::default();
    let again = usize::try_from(options.number("again", 0)).unwrap();
    let image = memory.join("crash.img");
    for (k, cut) in cuts.iter().enumerate() {
        replay.advance(*cut, |tag, id| model.mark(tag, id));
        let mode = k % MODELS.len();
        replay.cut(mode, &mut rng, &image);
        let what = format!("cut {cut} of {end}, {}", MODELS[mode]);
        // Every model meets it: 4 and N have no factor in common but 1.
        if again > 0 && k % again == again - 1 {
            let first = std::fs::read(&image).unwrap();
            let recovery = recover(options, base, first.clone(), &model);
            let mut second = Replay::new(first, &recovery);
            let at = rng.index(recovery.len() + 1);
            second.advance(at, |_, _| {});
            let mode = rng.index(MODELS.len());
            second.cut(mode, &mut rng, &image);
            let what = format!(
                "{what}, then {at} of {} in recovery, {}",
                recovery.len(),
                MODELS[mode]
            );
            inspect(options, base, &image, &model, &mut twice, &what);
            continue;
        }
        inspect(options, base, &image, &model, &mut tally[mode], &what);
    }
    let mut good = true;
    for (t, name) in tally.iter().zip(MODELS) {
        println!("{}", t.told(name));
        good &= t.bad == 0 && t.states > 0;
    }
    if again > 0 {
        println!("{}", twice.told("in-recovery"));
        good &= twice.bad == 0 && twice.states > 0;
    }
    good
}

/// Opens the ledger of a crashed disk on a logged one: what recovery writes.
fn recover(options: &Options, base: &Path, image: Vec<u8>, model: &Model) -> Vec<(u64, Ent)> {
    let logged = Logged::mount(base, image);
    if let Err(error) = run_check(options, &logged.at().join("db"), model.ids(), false) {
        eprintln!("while recovering: {error}");
    }
    logged.finish()
}

/// Lets writers work on a file system whose every block write is logged.
fn record(options: &Options, base: &Path, disk: Vec<u8>) -> Vec<(u64, Ent)> {
    let shown = base.display();
    let logged = Logged::mount(base, disk);
    let log = logged.log.clone();
    must(&format!("mkdir {shown}/mnt/db && sync -f {shown}/mnt/db"));
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
    logged.finish()
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
    if let Err(error) = mount_as_at_boot(image, &mount) {
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
    must(&format!("umount {}", mount.display()));
}
