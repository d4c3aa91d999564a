//! The ledger as the rig sees it: an enqueue is one commit of an open order and its act, a dequeue one
//! commit that closes both. The two child roles, `writer` and `check`, live here.

use crate::util::{Options, Rng, payload};
use printstation::domain::order::{Choices, Origin, Standing};
use printstation::domain::{
    AccountName, Act, ActId, ActKind, Order, OrderId, Page, PageRole, PageState, PrinterName,
    Proof, Record, ScanText, Shipment, Source, Timestamp,
};
use printstation::ledger::{CHECK_LIMIT, DbCheck, Ledger, Recovered, Settings};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp(1_795_305_600_000);
/// A check that takes longer hangs.
const HANG: Duration = Duration::from_secs(60);

/// The order of an id; its recipient is a function of id and length, so that a checker needs no copy.
pub fn order(id: u64, len: usize, closed: bool) -> Order {
    let number = i64::try_from(id).unwrap();
    let state = if closed {
        PageState::Printed(Proof::Sent)
    } else {
        PageState::Todo
    };
    Order {
        id: OrderId(format!("cc:{id:012}")),
        seq: if closed { 2 } else { 1 },
        number: format!("WEB-{id}"),
        reference: None,
        account: AccountName::from("main"),
        order_id: number,
        sale: None,
        recipient: Some(payload(id, len)),
        printer: PrinterName::from("bench"),
        standing: Standing::Resting,
        shipments: vec![Shipment {
            order_id: number,
            carrier: "Courier".to_owned(),
            tracking: vec![format!("TRACK-{id}")],
            documents: Vec::new(),
            stored: true,
            pages: vec![Page {
                document: 0,
                index: 0,
                role: PageRole::Label,
                printer: PrinterName::from("bench"),
                state,
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
        deeds: Vec::new(),
        created: NOW,
        updated: Timestamp(NOW.0 + number),
    }
}

fn act(id: u64) -> Act {
    Act {
        id: ActId(id),
        seq: 1,
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

pub fn enqueue(id: u64, len: usize) -> Vec<Record> {
    vec![
        Record::Act(Box::new(act(id))),
        Record::Order(Arc::new(order(id, len, false))),
    ]
}

pub fn dequeue(id: u64, len: usize) -> Vec<Record> {
    let ended = Record::ActEnded {
        id: ActId(id),
        seq: 2,
    };
    vec![Record::Order(Arc::new(order(id, len, true))), ended]
}

/// Length of an id's recipient, so that writer and checker agree.
pub fn len_of(id: u64, len: usize) -> usize {
    let spread = Rng(id).below(len.max(1) as u64);
    len / 2 + usize::try_from(spread).unwrap()
}

pub fn settings(dir: &Path) -> Settings {
    let check = DbCheck::Child {
        program: std::env::current_exe().unwrap(),
        args: vec!["run".into(), "db-check".into()],
        limit: CHECK_LIMIT,
    };
    Settings {
        keep: Duration::from_secs(u64::from(u32::MAX)),
        max_orders: u64::MAX,
        ballast_bytes: 1 << 20,
        ..Settings::new(dir, check)
    }
}

pub fn open(dir: &Path) -> Result<(Ledger, Recovered), String> {
    Ledger::open(settings(dir), NOW).map_err(|error| error.to_string())
}

pub fn db_check(dir: Option<&String>) -> ExitCode {
    match printstation::ledger::db_check(Path::new(dir.unwrap())) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// P enqueue begun, p acknowledged; D, d the same for a dequeue; O opened; E error; Z done.
#[derive(Clone)]
struct Marks(Arc<Mutex<File>>, bool);

impl Marks {
    fn emit(&self, tag: u8, id: u64) {
        let mut bytes = [tag; 9];
        bytes[1..].copy_from_slice(&id.to_le_bytes());
        let mut file = self.0.lock().unwrap();
        if self.1 {
            file.write_all_at(&bytes, 0).unwrap();
        } else {
            file.write_all(&bytes).unwrap();
        }
    }
}

/// Enqueues and dequeues until it is killed, or `--ops` changes were made; reports each on stdout or
/// to `--mark`. Ends as a kill would: no destructor runs.
pub fn writer(options: &Options) -> bool {
    let marks = match options.text("mark", "").as_str() {
        "" => {
            let stdout = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
            Marks(Arc::new(Mutex::new(File::from(stdout))), false)
        }
        path => {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            Marks(Arc::new(Mutex::new(file)), true)
        }
    };
    let (ledger, recovered) = match open(&options.dir()) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("open error: {error}");
            return false;
        }
    };
    let live: Vec<u64> = recovered.acts.iter().map(|a| a.id.0).collect();
    marks.emit(b'O', live.len() as u64);
    let threads = options.number("threads", 1);
    let jobs: Vec<_> = (0..threads)
        .map(|thread| {
            let (ledger, marks, options) = (ledger.clone(), marks.clone(), options.clone());
            let mine = live.iter().copied().filter(|id| id % threads == thread);
            let mine: VecDeque<u64> = mine.collect();
            std::thread::spawn(move || work(&ledger, &marks, &options, thread, mine))
        })
        .collect();
    let good = jobs.into_iter().all(|job| job.join().unwrap());
    if options.number("close", 0) == 1 {
        ledger.settle(HANG);
        return ledger.close().is_ok() && good;
    }
    marks.emit(if good { b'Z' } else { b'E' }, 0);
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
    good
}

fn work(
    ledger: &Ledger,
    marks: &Marks,
    options: &Options,
    thread: u64,
    mut mine: VecDeque<u64>,
) -> bool {
    let threads = options.number("threads", 1);
    let mut rng = Rng(options.number("seed", 1) * 1_000 + thread);
    let mut next = options.number("start", 1);
    while next % threads != thread {
        next += 1;
    }
    let len = usize::try_from(options.number("len", 500)).unwrap();
    let pace = options.number("pace-us", 0);
    for _ in 0..options.number("ops", u64::MAX) {
        if pace > 0 {
            std::thread::sleep(Duration::from_micros(rng.below(2 * pace)));
        }
        let room = (mine.len() as u64) < options.number("cap", 200);
        let put = mine.is_empty() || (room && rng.below(100) < options.number("putpct", 52));
        let (begun, done, id) = if put {
            let id = next;
            next += threads;
            mine.push_back(id);
            (b'P', b'p', id)
        } else {
            let at = if rng.below(10) == 0 {
                rng.below(mine.len() as u64)
            } else {
                0
            };
            (
                b'D',
                b'd',
                mine.remove(usize::try_from(at).unwrap()).unwrap(),
            )
        };
        marks.emit(begun, id);
        let records = if put {
            enqueue(id, len_of(id, len))
        } else {
            dequeue(id, len_of(id, len))
        };
        if let Err(error) = ledger.commit(records).wait_blocking() {
            eprintln!("{} error: {error}", char::from(begun));
            return false;
        }
        marks.emit(done, id);
    }
    true
}

/// Opens and tells what is there: `ok ID` open, `bad ID` wrong, `torn ID` order and act disagree,
/// `closed ID` found as closed among `--from..--to`.
pub fn check(options: &Options) -> bool {
    let start = Instant::now();
    let (ledger, recovered) = match open(&options.dir()) {
        Ok(opened) => opened,
        Err(error) => {
            eprintln!("open error: {error}");
            return false;
        }
    };
    let open_us = start.elapsed().as_micros();
    let len = usize::try_from(options.number("len", 500)).unwrap();
    let mut out = String::new();
    let acts: BTreeSet<u64> = recovered.acts.iter().map(|a| a.id.0).collect();
    let mut orders = BTreeSet::new();
    for found in &recovered.orders {
        let id = u64::try_from(found.order_id).unwrap_or(0);
        orders.insert(id);
        let word = if **found == order(id, len_of(id, len), false) {
            "ok"
        } else {
            "bad"
        };
        out.push_str(&format!("{word} {id}\n"));
    }
    for id in orders.symmetric_difference(&acts) {
        out.push_str(&format!("torn {id}\n"));
    }
    if !ledger.settle(HANG) {
        eprintln!("the index did not settle: {:?}", ledger.health());
        return false;
    }
    let settled_us = start.elapsed().as_micros();
    // A page that turns out to be bad when it is read sets the index aside: what it held is found
    // when the refill is through, and until then the ledger says that it is not complete.
    let mut missing: Vec<u64> = (options.number("from", 1)..options.number("to", 1)).collect();
    for _ in 0..4 {
        missing.retain(|id| match ledger.get(&order(*id, 0, true).id) {
            Some(found) if found == order(*id, len_of(*id, len), true) => {
                out.push_str(&format!("closed {id}\n"));
                false
            }
            Some(found) if !found.is_open() => {
                out.push_str(&format!("bad {id}\n"));
                false
            }
            _ => true,
        });
        if ledger.is_complete() {
            break;
        }
        ledger.settle(HANG);
    }
    let quarantined = u8::from(!ledger.health().is_empty());
    out.push_str(&format!(
        "open_us {open_us}\nsettled_us {settled_us}\nquarantined {quarantined}\n"
    ));
    print!("{out}");
    std::io::stdout().flush().unwrap();
    if options.number("clean", 0) == 1 {
        return ledger.close().is_ok();
    }
    let me = rustix::process::getpid();
    rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
    true
}

/// What a check found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub open: BTreeSet<u64>,
    pub closed: BTreeSet<u64>,
    pub bad: BTreeSet<u64>,
    pub torn: BTreeSet<u64>,
    pub open_us: u64,
    pub quarantined: bool,
}

/// Runs `check` in a process of its own.
pub fn run_check(
    options: &Options,
    dir: &Path,
    ids: std::ops::Range<u64>,
    clean: bool,
) -> Result<Report, String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["run", "check", "--clean", if clean { "1" } else { "0" }])
        .args(["--len", &options.text("len", "500")])
        .args([
            "--from",
            &ids.start.to_string(),
            "--to",
            &ids.end.to_string(),
        ])
        .arg("--dir")
        .arg(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("RUST_BACKTRACE", "0")
        .spawn()
        .unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            from.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let (out, err) = (read(Box::new(out)), read(Box::new(err)));
    let start = Instant::now();
    let hung = loop {
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        if start.elapsed() > HANG + HANG / 2 {
            child.kill().unwrap();
            break true;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    child.wait().unwrap();
    let (out, err) = (out.join().unwrap(), err.join().unwrap());
    let mut words: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for line in out.lines() {
        if let Some((word, id)) = line.split_once(' ') {
            words.entry(word).or_default().insert(id.parse().unwrap());
        }
    }
    if hung || !words.contains_key("quarantined") {
        let said: Vec<&str> = err.lines().take(3).collect();
        let hung = if hung { "hang: " } else { "" };
        return Err(format!("{hung}{}", said.join(" | ")));
    }
    let mut take = |word| words.remove(word).unwrap_or_default();
    Ok(Report {
        open: take("ok"),
        closed: take("closed"),
        bad: take("bad"),
        torn: take("torn"),
        open_us: take("open_us").into_iter().next().unwrap_or(0),
        quarantined: take("quarantined").contains(&1),
    })
}
