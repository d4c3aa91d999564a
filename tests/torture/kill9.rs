//! SIGKILL at random moments, a quarter of them inside opening and recovery; reopened by another
//! process and compared with what was acknowledged.

use crate::engine::run_check;
use crate::util::{Model, Options, Rng, copy_dir, marks, remove_dir};
use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Default)]
struct Tally {
    acks: u64,
    early: u64,
    in_flight: usize,
    lost: usize,
    resurrected: usize,
    alien: usize,
    corrupt: usize,
    torn: usize,
    open_errors: u64,
    quarantined: u64,
    writer_died: u64,
    open_us: Vec<u64>,
}

pub fn run(options: &Options) -> bool {
    let (base, rounds) = (options.dir(), options.number("rounds", 500));
    remove_dir(&base);
    let fresh_every = options.number("fresh-every", 100);
    let mut rng = Rng(options.number("seed", 42));
    let (mut model, mut tally) = (Model::default(), Tally::default());
    let (mut dir, mut generation, mut next) = (base.join("0"), 0, 1);
    println!(
        "kill9: {rounds} rounds, seed {}",
        options.number("seed", 42)
    );
    for round in 0..rounds {
        let span = match rng.below(4) {
            0 => rng.below(25_000),
            1 => 5_000 + rng.below(100_000),
            _ => 20_000 + rng.below(options.number("max-ms", 400) * 1_000),
        };
        let reported = kill_after(
            options,
            &dir,
            round,
            next,
            Duration::from_micros(span),
            &mut tally,
        );
        tally.early += u64::from(reported.is_empty());
        for (tag, id) in marks(&reported) {
            model.mark(tag, id);
            tally.acks += u64::from(matches!(tag, b'p' | b'd'));
            if tag == b'P' {
                next = next.max(id + 1);
            }
        }
        let in_flight = |life: &&crate::util::Life| {
            matches!(
                life,
                crate::util::Life::Opening | crate::util::Life::Closing
            )
        };
        tally.in_flight += model.0.values().filter(in_flight).count();
        if options.number("keep", 0) == 1 && dir.exists() {
            remove_dir(&base.join("before"));
            copy_dir(&dir, &base.join("before"));
        }
        let mut fresh = fresh_every > 0 && (round + 1) % fresh_every == 0;
        match run_check(options, &dir, model.ids(), rng.below(2) == 0) {
            Ok(report) => {
                tally.open_us.push(report.open_us);
                tally.quarantined += u64::from(report.quarantined);
                let verdict = model.compare(&report);
                if !verdict.is_good() {
                    eprintln!("round {round}, kill after {span} us: {verdict:?}");
                    if options.number("keep", 0) == 1 {
                        return false;
                    }
                }
                tally.lost += verdict.lost.len();
                tally.resurrected += verdict.resurrected.len();
                tally.alien += verdict.alien.len();
                tally.corrupt += verdict.corrupt.len();
                tally.torn += verdict.torn.len();
                model.adopt(&report);
            }
            Err(error) => {
                eprintln!("round {round}, kill after {span} us: does not open: {error}");
                tally.open_errors += 1;
                fresh = true;
            }
        }
        if fresh {
            generation += 1;
            remove_dir(&dir);
            dir = base.join(generation.to_string());
            model = Model::default();
        }
    }
    remove_dir(&base);
    tally.report(options, rounds)
}

/// Starts a writer, kills it after `span`, returns what it reported.
fn kill_after(
    options: &Options,
    dir: &std::path::Path,
    seed: u64,
    start: u64,
    span: Duration,
    tally: &mut Tally,
) -> Vec<u8> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "run",
            "writer",
            "--seed",
            &seed.to_string(),
            "--start",
            &start.to_string(),
        ])
        .args([
            "--threads",
            &options.text("threads", "1"),
            "--len",
            &options.text("len", "500"),
        ])
        .arg("--dir")
        .arg(dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        bytes
    });
    std::thread::sleep(span);
    if child.try_wait().unwrap().is_some() {
        tally.writer_died += 1;
        eprintln!("round {seed}: the writer ended by itself");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

impl Tally {
    fn report(mut self, options: &Options, rounds: u64) -> bool {
        self.open_us.sort_unstable();
        let at = |per_mille: usize| {
            let last = self.open_us.len().saturating_sub(1);
            self.open_us
                .get(self.open_us.len() * per_mille / 1_000)
                .or(self.open_us.get(last))
                .copied()
                .unwrap_or(0)
        };
        println!(
            "RESULT kill9 rounds={rounds} threads={} acknowledged={} killed_before_open={} in_flight={} lost={} resurrected={} alien={} corrupt={} torn_commits={} does_not_open={} quarantined={} writer_died={} open_us_p50={} p99={} max={}",
            options.text("threads", "1"),
            self.acks,
            self.early,
            self.in_flight,
            self.lost,
            self.resurrected,
            self.alien,
            self.corrupt,
            self.torn,
            self.open_errors,
            self.quarantined,
            self.writer_died,
            at(500),
            at(990),
            at(1_000),
        );
        let bad = self.lost + self.resurrected + self.alien + self.corrupt + self.torn;
        bad == 0 && self.open_errors + self.writer_died == 0 && self.acks > 0
    }
}
