//! Whether a bench stays as quick and as small as it was when it has much behind it: 100,000 orders in
//! its ledger, 10,000 writebacks that nobody takes, 1,000 scans a minute. Prints ratios to the same bench
//! without them, measured beside it.
//!
//! `scripts/limits` (long) or `scripts/limits --short`. The station is the built program, the other
//! side the simulators in this process.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures time, prints, and stops at the first surprise"
)]

use printstation::domain::{Order, Record, Timestamp, Writeback, WritebackState};
use printstation::ledger::{self, DbCheck, Ledger};
use printstation::sim::starshipit::{Options, Server, admin::Seed};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::AsyncReadExt as _;

const PROGRAM: &str = env!("CARGO_BIN_EXE_printstation");
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(300);

struct Size {
    orders: u64,
    writebacks: u64,
    scans: u64,
    rounds: usize,
}

fn main() {
    let short = std::env::args().any(|a| a == "--short" || a == "--test");
    let size = if short {
        Size {
            orders: 5_000,
            writebacks: 500,
            scans: 60,
            rounds: 9,
        }
    } else {
        Size {
            orders: 100_000,
            writebacks: 10_000,
            scans: 1_000,
            rounds: 41,
        }
    };
    let dir = tempfile::tempdir_in(
        std::env::var("PRINTSTATION_BENCH_DIR").unwrap_or_else(|_| "target".into()),
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(filled(dir.path(), &size));
    drop(runtime);
}

/// The same measurements on an empty bench, on one with a full ledger, on one that owes writebacks.
async fn filled(dir: &Path, size: &Size) {
    let world = World::new().await;
    let empty = dir.join("empty");
    let base = measure(&world, &empty, size, "E").await;
    println!("empty ledger");
    base.print(&base);

    let full = dir.join("full");
    let begun = Instant::now();
    plant(&full, size.orders, closed);
    println!(
        "\n{} orders in the ledger (planted in {:.0?})",
        size.orders,
        begun.elapsed()
    );
    measure(&world, &full, size, "F").await.print(&base);
    // A kill leaves an index that has to be looked at before it is trusted.
    world.run(&full, size).kill();
    let (station, start) = World::timed(|| world.run(&full, size));
    println!(
        "  start after a kill         {} ({:.1} x empty)",
        ms(start),
        ratio(start, base.start)
    );
    station.stop();

    let owing = dir.join("owing");
    plant(&owing, size.writebacks, owing_order);
    println!("\n{} writebacks that nobody takes", size.writebacks);
    let measured = measure(&world, &owing, size, "W").await;
    measured.print(&base);

    println!("\n{} scans in a minute", size.scans);
    flood(&world, &dir.join("flood"), size, &base).await;
}

/// What one bench costs.
struct Measured {
    /// Until it is ready.
    start: Duration,
    /// A refusal from the ledger.
    refusal: Duration,
    /// A live label, reported printed.
    live: Duration,
    /// Resident bytes after the start, and after the scans.
    memory: [u64; 2],
}

impl Measured {
    fn print(&self, base: &Self) {
        let show = |what: &str, own: Duration, other: Duration| {
            println!(
                "  {what:<26} {} ({:.2} x empty)",
                ms(own),
                ratio(own, other)
            );
        };
        show("start to ready", self.start, base.start);
        show("refusal from the ledger", self.refusal, base.refusal);
        show("live label", self.live, base.live);
        let [before, after] = self.memory.map(mib);
        let grown = after / before.max(0.1);
        println!(
            "  resident memory            {before:8.1} MiB, after the scans {after:.1} MiB ({grown:.2} x)"
        );
    }
}

async fn measure(world: &World, state: &Path, size: &Size, prefix: &str) -> Measured {
    // Three starts: the median is one that the disk's cache knows.
    let mut starts = Vec::new();
    for _ in 0..3 {
        let (station, start) = World::timed(|| world.run(state, size));
        starts.push(start);
        station.stop();
    }
    let station = world.run(state, size);
    settle(&station).await;
    let before = station.memory();
    let (mut live, mut refusal) = (Vec::new(), Vec::new());
    for n in 0..size.rounds {
        let number = format!("{prefix}-{n}");
        world.order(&number);
        let begun = Instant::now();
        assert_eq!(station.scan(&number).await["outcome"], "printed");
        live.push(begun.elapsed());
        // Beyond the window in which the same scan is the same act.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let begun = Instant::now();
        assert_eq!(station.scan(&number).await["code"], "already-printed");
        refusal.push(begun.elapsed());
    }
    let measured = Measured {
        start: median(starts),
        refusal: median(refusal),
        live: median(live),
        memory: [before, station.memory()],
    };
    station.stop();
    measured
}

/// Scans at their pace for a minute's worth, each a live label.
async fn flood(world: &World, state: &Path, size: &Size, base: &Measured) {
    let station = world.run(state, size);
    for n in 0..size.scans {
        world.order(&format!("M-{n}"));
    }
    settle(&station).await;
    let before = station.memory();
    let pace = Duration::from_secs(60) / 1_000;
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..u32::try_from(size.scans).unwrap() {
        tokio::time::sleep_until((begun + pace * n).into()).await;
        let station = station.door();
        tasks.spawn(async move {
            let begun = Instant::now();
            let reply = station.scan(&format!("M-{n}")).await;
            assert_eq!(reply["outcome"], "printed", "{reply}");
            begun.elapsed()
        });
    }
    let mut all = Vec::new();
    while let Some(took) = tasks.join_next().await {
        all.push(took.unwrap());
    }
    let took = begun.elapsed();
    all.sort();
    let p95 = all[all.len() * 95 / 100];
    let middle = median(all);
    println!(
        "  live label                 {} ({:.2} x one at a time), 95 of 100 within {}",
        ms(middle),
        ratio(middle, base.live),
        ms(p95)
    );
    println!(
        "  all done after             {:.1} s for {:.1} s of scans",
        took.as_secs_f64(),
        (pace * u32::try_from(size.scans).unwrap()).as_secs_f64()
    );
    let after = station.memory();
    println!(
        "  resident memory            {:8.1} MiB, after the scans {:.1} MiB ({:.2} x)",
        mib(before),
        mib(after),
        mib(after) / mib(before).max(0.1)
    );
    station.stop();
}

// ---- the world ---------------------------------------------------------------------------------

struct World {
    starshipit: Server,
    printer: String,
}

impl World {
    async fn new() -> Self {
        let starshipit = Server::start(Options {
            requests_per_second: 0,
            print_latency: Duration::ZERO,
            ..Options::default()
        })
        .await
        .unwrap();
        Self {
            starshipit,
            printer: printer().await,
        }
    }

    fn order(&self, number: &str) {
        self.starshipit
            .add_order(Seed {
                number: number.to_owned(),
                ..Seed::default()
            })
            .unwrap();
    }

    fn config(&self, state: &Path, printer: &str) -> String {
        // Nobody listens on port 9 of this machine: writebacks stay where they are.
        format!(
            "[station]\nname = \"bench\"\nstate_dir = {state:?}\n[scan]\ncommand_prefix = \"PSBENC.\"\n\
             repeat_window = \"1ms\"\n[starshipit]\nbase_url = \"{}\"\nrequests_per_second = 1000\n\
             [[starshipit.accounts]]\nname = \"main\"\napi_key = {{ env = \"API_KEY\" }}\n\
             subscription_key = {{ env = \"SUBSCRIPTION_KEY\" }}\n[[printers]]\nname = \"label\"\n\
             connection = \"tcp://{printer}\"\nlanguage = \"zpl\"\n[[webhooks]]\n\
             url = \"http://127.0.0.1:9/\"\nsecret = {{ env = \"API_KEY\" }}\n\
             [web]\nlisten = \"127.0.0.1:0\"\n",
            self.starshipit.url()
        )
    }

    fn run(&self, state: &Path, _size: &Size) -> Station {
        std::fs::create_dir_all(state).unwrap();
        let config = state.join("config.toml");
        std::fs::write(&config, self.config(state, &self.printer)).unwrap();
        let account = &self.starshipit.accounts()[0];
        let mut child = Command::new(PROGRAM)
            .args(["run", "--config"])
            .arg(&config)
            .env("API_KEY", &account.api_key)
            .env("SUBSCRIPTION_KEY", &account.subscription_key)
            .env("PRINTSTATION_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let token = std::fs::read_to_string(state.join("web-token")).unwrap();
        Station {
            child,
            door: Door {
                web: ready["web"].as_str().unwrap().to_owned(),
                token: token.trim().to_owned(),
                client: client(),
            },
        }
    }

    fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
        let begun = Instant::now();
        let made = run();
        (made, begun.elapsed())
    }
}

/// The built program at work.
struct Station {
    child: Child,
    door: Door,
}

#[derive(Clone)]
struct Door {
    web: String,
    token: String,
    client: reqwest::Client,
}

impl Door {
    async fn scan(&self, code: &str) -> Value {
        let reply = self
            .client
            .post(format!("{}/api/scan?wait=60s", self.web))
            .bearer_auth(&self.token)
            .json(&json!({ "code": code }))
            .send()
            .await
            .unwrap();
        reply.json().await.unwrap()
    }

    async fn status(&self) -> Value {
        let url = format!("{}/api/status", self.web);
        self.client
            .get(url)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap()
    }
}

impl Station {
    fn door(&self) -> Door {
        self.door.clone()
    }

    async fn scan(&self, code: &str) -> Value {
        self.door.scan(code).await
    }

    /// Resident bytes of the station, without its worker.
    fn memory(&self) -> u64 {
        resident(&format!("/proc/{}/status", self.child.id()))
    }

    fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Until what a start leaves to do is done.
async fn settle(station: &Station) {
    let begun = Instant::now();
    let (mut last, mut same) = (u64::MAX, 0);
    while same < 3 && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = station.memory();
        same = if now.abs_diff(last) < 256 << 10 {
            same + 1
        } else {
            0
        };
        last = now;
    }
    assert!(station.door.status().await["ledger"]["orders"].is_u64());
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
        .timeout(PATIENCE)
        .build()
        .unwrap()
}

/// Takes everything, says nothing.
async fn printer() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
            });
        }
    });
    addr.to_string()
}

// ---- orders ------------------------------------------------------------------------------------

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

/// Fills a bench's ledger, and closes it in order.
fn plant(state: &Path, orders: u64, make: fn(u64, Timestamp) -> Order) {
    std::fs::create_dir_all(state).unwrap();
    let at = now();
    let settings = ledger::Settings::new(state.join("ledger"), DbCheck::InProcess);
    let (ledger, _) = Ledger::open(settings, at).unwrap();
    for first in (1..=orders).step_by(32) {
        let last = orders.min(first + 31);
        let records: Vec<Record> = (first..=last)
            .map(|id| Record::Order(Arc::new(make(id, at))))
            .collect();
        // Refused only while the index is behind: wait for it.
        let begun = Instant::now();
        while let Err(error) = ledger.commit(records.clone()).wait_blocking() {
            assert!(begun.elapsed() < PATIENCE, "{error}");
            ledger.settle(PATIENCE);
        }
    }
    assert!(ledger.settle(PATIENCE));
    ledger.close().unwrap();
}

fn closed(id: u64, at: Timestamp) -> Order {
    let number = 10_000_000 + id;
    serde_json::from_value(json!({
        "id": format!("ss:main:{number}"), "seq": 2, "number": format!("WEB-{id}"),
        "reference": format!("PO-{id}"), "account": "main", "order_id": number,
        "recipient": format!("Customer {id}"), "printer": "label", "standing": "resting",
        "shipments": [{
            "order_id": number, "carrier": "Courier", "tracking": [format!("TRACK{id:09}")],
            "documents": [], "stored": true, "superseded": false, "origin": "here", "at": at,
            "pages": [{
                "d": 0, "i": 0, "r": "label", "p": "label",
                "s": { "printed": "accepted" }, "t": at,
            }],
        }],
        "fingerprint": "0".repeat(64), "created": at, "updated": at.0 - 1_000_000 + i64::try_from(id).unwrap(),
    }))
    .unwrap()
}

fn owing_order(id: u64, at: Timestamp) -> Order {
    let order = closed(id, at);
    let job: Writeback = serde_json::from_value(json!({
        "n": 1, "sink": "webhook:1", "tracking": order.shipments[0].tracking,
        "state": { "is": "pending" }, "since": at, "at": at,
    }))
    .unwrap();
    assert_eq!(job.state, WritebackState::Pending);
    Order {
        writebacks: vec![job],
        last_job: 1,
        ..order
    }
}

// ---- figures -----------------------------------------------------------------------------------

fn resident(path: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    kib << 10
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-9)
}

fn ms(d: Duration) -> String {
    format!("{:8.2} ms", d.as_secs_f64() * 1000.0)
}
