//! Everything at once: the built binary and the simulators, two processes, under a seeded driver that
//! kills, freezes, cuts, swallows, throttles, fills the card and turns the clock.
//!
//! Afterwards the books are compared (`common/site.rs`): shipments bought = orders, each label on paper
//! exactly once, each tracking number once in each place. The short form runs in CI; `scripts/chaos` is
//! the long one. A full card needs root (a tmpfs of its own), clock jumps need libfaketime; without
//! them that part is said to be skipped.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests read the clock, stop at the first surprise, and say what they did"
)]

#[path = "common/cable.rs"]
mod cable;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod process;
#[path = "common/site.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod site;

use cable::Line;
use process::{PATIENCE, Process};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use serde_json::json;
use site::{How, ROUTES, Sale, Site, env};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Services with a door for faults, in the order of their cables.
const SERVICES: [&str; 4] = ["starshipit", "cartoncloud", "shopify", "webhook"];
const PRINTER: usize = 4;

/// Faults of a storm: each hits so many of ten calls.
const STORMS: [&[(&str, u32)]; 6] = [
    &[("rate_429_retry_after", 7)],
    &[("rate_429", 5)],
    &[("html_500", 6), ("html_500_after_commit", 2)],
    &[("drop_after_commit", 4), ("drop_before_commit", 2)],
    &[("drop_mid_reply", 3), ("garbage_json", 2), ("reset", 3)],
    &[("black_hole", 1), ("black_hole_after_commit", 1)],
];

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blow {
    Kill,
    Freeze,
    Cut,
    BlackHole,
    LostReplies,
    Storm,
    Paper,
    FullCard,
    Clock,
}

const BLOWS: [(Blow, u32); 9] = [
    (Blow::Kill, 4),
    (Blow::Freeze, 4),
    (Blow::Cut, 5),
    (Blow::BlackHole, 3),
    (Blow::LostReplies, 4),
    (Blow::Storm, 8),
    (Blow::Paper, 8),
    (Blow::FullCard, 1),
    (Blow::Clock, 3),
];

/// What is wrong now, and until which step.
#[derive(Default)]
struct Trouble {
    cables: BTreeMap<usize, usize>,
    storms: BTreeMap<usize, usize>,
    full: Option<usize>,
}

/// A small card of its own, which can be full.
struct Card(PathBuf);

impl Card {
    fn mount(at: &Path) -> Option<Self> {
        std::fs::create_dir(at).expect("a directory");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=192m", "chaos-card"])
            .arg(at)
            .output()
            .is_ok_and(|out| out.status.success());
        mounted.then(|| Self(at.to_owned()))
    }

    /// Takes every free byte.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.0.join("filler")).expect("a file");
        let piece = vec![0xA5; 64 << 10];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&[0xA5]).is_ok() {}
    }

    fn clear(&self) {
        drop(std::fs::remove_file(self.0.join("filler")));
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // Lazily: a worker may still be on its way out.
        let unmounted = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
        drop(unmounted);
    }
}

/// The station, kept running as systemd would.
struct Bench {
    station: Option<Process>,
    deaths: usize,
    failed_starts: usize,
}

impl Bench {
    /// Running again, if it can be.
    fn keep(&mut self, site: &Site) -> Option<&Process> {
        if let Some(status) = self.station.as_mut().and_then(Process::ended) {
            println!("ended by itself: {status}: {}", last_words(site));
            self.deaths += 1;
            self.station = None;
        }
        if self.station.is_none() {
            match site.try_run() {
                Ok(station) => self.station = Some(station),
                Err(why) => {
                    println!("does not start: {}", why.lines().last().unwrap_or_default());
                    self.failed_starts += 1;
                }
            }
        }
        self.station.as_ref()
    }
}

/// What the station's log says of its end.
fn last_words(site: &Site) -> String {
    let log = std::fs::read_to_string(site.dir.path().join("run.log")).unwrap_or_default();
    let said = log
        .lines()
        .rev()
        .find(|l| l.contains("ERROR") || l.contains("panicked"));
    said.or(log.lines().last()).unwrap_or_default().to_owned()
}

fn faketime() -> Option<PathBuf> {
    [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ]
    .iter()
    .map(PathBuf::from)
    .find(|path| path.exists())
}

struct Driver {
    site: Site,
    bench: Bench,
    card: Option<Card>,
    /// After the card: it is unmounted before its place is removed.
    _dir: tempfile::TempDir,
    clock: Option<PathBuf>,
    trouble: Trouble,
    rng: StdRng,
    done: BTreeMap<Blow, usize>,
}

impl Driver {
    async fn new(seed: u64) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ps-chaos-")
            .tempdir()
            .expect("temp dir");
        let root = dir.path().to_owned();
        let card = Card::mount(&root.join("card"));
        if card.is_none() {
            println!("SKIPPED: the full card (no tmpfs may be mounted here)");
        }
        let mut envs = Vec::new();
        let clock = faketime().map(|library| {
            let file = root.join("clock");
            std::fs::write(&file, "+0\n").expect("a clock");
            let path = |path: &Path| path.to_str().expect("utf-8").to_owned();
            envs.extend([
                ("LD_PRELOAD".to_owned(), path(&library)),
                ("FAKETIME_TIMESTAMP_FILE".to_owned(), path(&file)),
                ("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()),
                ("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
            ]);
            file
        });
        if clock.is_none() {
            println!("SKIPPED: clock jumps (no libfaketime: apt-get install libfaketime)");
        }
        let how = How {
            state: card.as_ref().map(|card| card.0.join("state")),
            request_timeout: "3s",
            envs,
        };
        Self {
            site: Site::new(seed, how).await,
            bench: Bench {
                station: None,
                deaths: 0,
                failed_starts: 0,
            },
            card,
            _dir: dir,
            clock,
            trouble: Trouble::default(),
            rng: StdRng::seed_from_u64(seed),
            done: BTreeMap::new(),
        }
    }

    /// Ends what is over at this step.
    async fn heal(&mut self, step: usize) {
        let over = |until: &BTreeMap<usize, usize>| -> Vec<usize> {
            let over = until.iter().filter(|(_, until)| **until <= step);
            over.map(|(what, _)| *what).collect()
        };
        for cable in over(&self.trouble.cables) {
            self.trouble.cables.remove(&cable);
            self.site.cables[cable].plug();
        }
        for service in over(&self.trouble.storms) {
            self.trouble.storms.remove(&service);
            let calm = json!({ "faults": [] });
            self.site
                .admin(SERVICES[service], "faults", Some(calm))
                .await;
        }
        if self.trouble.full.is_some_and(|until| until <= step) {
            self.trouble.full = None;
            if let Some(card) = &self.card {
                card.clear();
            }
        }
    }

    async fn strike(&mut self, blow: Blow, step: usize) {
        let lasts = step + self.rng.random_range(1..=6);
        match blow {
            Blow::Kill => {
                let pause = Duration::from_millis(self.rng.random_range(0..300));
                tokio::time::sleep(pause).await;
                if let Some(station) = self.bench.station.take() {
                    station.kill();
                }
            }
            Blow::Freeze => {
                let Some(station) = &self.bench.station else {
                    return;
                };
                // Sometimes for longer than a request may take.
                let frozen =
                    Duration::from_millis(*[150, 700, 3_500].choose(&mut self.rng).expect("one"));
                station.signal(Signal::STOP);
                tokio::time::sleep(frozen).await;
                station.signal(Signal::CONT);
            }
            Blow::Cut | Blow::BlackHole | Blow::LostReplies => {
                let line = match blow {
                    Blow::Cut => Line::Pulled,
                    Blow::BlackHole => Line::BlackHole,
                    _ => Line::NoReplies,
                };
                let mut cables: Vec<usize> = (0..self.site.cables.len()).collect();
                cables.shuffle(&mut self.rng);
                cables.truncate(self.rng.random_range(1..=3));
                for cable in cables {
                    self.site.cables[cable].set(line);
                    self.trouble.cables.insert(cable, lasts);
                }
            }
            Blow::Storm => {
                let service = self.rng.random_range(0..SERVICES.len());
                let storm = STORMS.choose(&mut self.rng).expect("one");
                let name = SERVICES[service];
                let faults: Vec<String> = storm
                    .iter()
                    .map(|(fault, tenths)| format!("{name}:{fault}:0.{tenths}"))
                    .collect();
                let faults = json!({ "faults": faults });
                self.site.admin(name, "faults", Some(faults)).await;
                self.trouble.storms.insert(service, lasts);
            }
            Blow::Paper => {
                // Anywhere within what a label takes on its way, and a little beyond.
                let longest = self.site.cables[PRINTER].longest().max(2_000);
                let at = self.rng.random_range(0..longest + longest / 16);
                self.site.cables[PRINTER].cut_after(at);
            }
            Blow::FullCard => {
                let Some(card) = &self.card else { return };
                card.fill();
                self.trouble.full = Some(step + self.rng.random_range(2..=12));
            }
            Blow::Clock => {
                let Some(file) = &self.clock else { return };
                let by = *[-86_400, -3_600, -45, 0, 45, 3_600, 86_400]
                    .choose(&mut self.rng)
                    .expect("one");
                set_clock(file, by);
            }
        }
        *self.done.entry(blow).or_default() += 1;
    }

    /// One packer's scan, who does not wait, and whatever goes wrong around it.
    async fn step(&mut self, step: usize, sale: &Sale) {
        self.heal(step).await;
        let path = format!("orders/{}/status", sale.uuid);
        let status = json!({ "status": ROUTES[sale.route].2 });
        self.site.admin("cartoncloud", &path, Some(status)).await;
        if self.rng.random_bool(0.4) {
            let total: u32 = BLOWS.iter().map(|(_, odds)| odds).sum();
            let mut at = self.rng.random_range(0..total);
            let blow = BLOWS.iter().find(|(_, odds)| {
                let hit = at < *odds;
                at = at.saturating_sub(*odds);
                hit
            });
            if let Some((blow, _)) = blow {
                self.strike(*blow, step).await;
            }
        }
        if ROUTES[sale.route].2 == "PICKED" {
            // A consignment is made when the order is packed; the poll may not have seen PICKED.
            let packed = json!({ "status": "PACKED" });
            self.site.admin("cartoncloud", &path, Some(packed)).await;
        }
        if let Some(station) = self.bench.keep(&self.site) {
            self.site.scan(station, &sale.uuid, "").await;
        }
        tokio::time::sleep(Duration::from_millis(self.rng.random_range(0..120))).await;
    }

    /// Everything is well again, and the station runs.
    async fn calm(&mut self) {
        self.heal(usize::MAX).await;
        if let Some(file) = &self.clock {
            set_clock(file, 0);
        }
        let deadline = Instant::now() + PATIENCE;
        while self.bench.keep(&self.site).is_none() {
            assert!(Instant::now() < deadline, "the station does not come back");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_card_refuses_scans_and_the_station_stays_and_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().expect("temp dir");
    let Some(card) = Card::mount(&dir.path().join("card")) else {
        println!("SKIPPED: the full card (no tmpfs may be mounted here)");
        return;
    };
    let how = How {
        state: Some(card.0.join("state")),
        ..How::default()
    };
    let site = Site::new(4711, how).await;
    let sales = site.sell(1).await;
    let path = format!("orders/{}/status", sales[0].uuid);
    let status = json!({ "status": ROUTES[sales[0].route].2 });
    site.admin("cartoncloud", &path, Some(status)).await;
    let mut station = site.run();
    card.fill();
    // A label that cannot be stored makes the ledger notice; from then on new work is refused.
    site.scan(&station, &sales[0].uuid, "?wait=30s").await;
    let deadline = Instant::now() + PATIENCE;
    for n in 0.. {
        let code = format!("NO-SUCH-ORDER-{n}");
        let reply = site.scan(&station, &code, "?wait=30s").await;
        let reply = reply.expect("the station answers on a full card");
        if reply["code"] == "disk-full" {
            break;
        }
        assert!(Instant::now() < deadline, "never refused: {reply}");
    }
    assert_eq!(station.ended(), None, "{}", last_words(&site));
    // It also starts on one.
    station.kill();
    let station = site.run();
    card.clear();
    site::print_all(&site, &station, &sales, 4711).await;
    assert_eq!(station.stop(), Some(0), "a drained station exits 0");
}

/// libfaketime leaves its memory behind when its process is killed.
fn forget_faketime() {
    for entry in std::fs::read_dir("/dev/shm")
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.rsplit_once('_').map_or("", |(_, pid)| pid);
        let ours = name.starts_with("faketime_shm_") || name.starts_with("sem.faketime_sem_");
        if ours && !pid.is_empty() && !Path::new("/proc").join(pid).exists() {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

fn set_clock(file: &Path, by: i64) {
    // By rename: half a number would be another time.
    let new = file.with_extension("new");
    std::fs::write(&new, format!("{by:+}\n")).expect("a clock");
    std::fs::rename(&new, file).expect("a clock");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_book_agrees_after_everything_went_wrong() {
    let count = usize::try_from(env("PRINTSTATION_CHAOS_ORDERS", 30)).expect("a number of orders");
    let seed = env("PRINTSTATION_SEED", 4711);
    println!("seed {seed}: {count} orders");
    let begun = Instant::now();
    let mut driver = Driver::new(seed).await;
    let sales = driver.site.sell(count).await;
    let mut turn: Vec<usize> = (0..count).collect();
    turn.shuffle(&mut driver.rng);
    for (step, at) in turn.iter().enumerate() {
        driver.step(step, &sales[*at]).await;
        if step % 100 == 99 {
            println!("{} scans, {:?}", step + 1, driver.done);
        }
    }
    let scanned = begun.elapsed().as_secs();
    driver.calm().await;
    let Driver {
        site, bench, done, ..
    } = &mut driver;
    let station = bench.station.take().expect("it runs");
    site::print_all(site, &station, &sales, seed).await;
    let printed = begun.elapsed().as_secs();
    site::all_written(site, &station, seed).await;
    let written = begun.elapsed().as_secs();
    site::check(site, &station, &sales, seed).await;
    assert_eq!(station.stop(), Some(0), "a drained station exits 0");
    forget_faketime();
    println!(
        "seed {seed}: {count} orders, blows {done:?}, the station ended by itself {} times and did not start {} times; scanned after {scanned} s, printed after {printed} s, written after {written} s; every book agrees",
        bench.deaths, bench.failed_starts
    );
}
