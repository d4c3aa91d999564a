//! What a scan costs, in this process against the simulators, as ratios to things measured beside it.
//!
//! `cargo bench --bench scan`. Prints medians and the ratio to: plain `fdatasync` of one block on the
//! same file system (acknowledging), the simulator's own latency (live label), and a live label (one that
//! was bought ahead and lies ready; its re-check at both systems is in its time). The printer here is
//! a socket that reads and stamps the first byte; it has no back channel, like the cheapest ones.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark measures time, prints, and stops at the first surprise"
)]

use printstation::config::{self, Strictness};
use printstation::domain::{Outcome, ScanText, Source};
use printstation::runtime::{self, Bench, Request};
use printstation::sim::cartoncloud;
use printstation::sim::starshipit::{Options, Server, admin::Seed};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

const ROUNDS: usize = 25;
/// The word that makes this program the crowd around another one.
const CROWD: &str = "--crowd";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    let quick = words.iter().any(|word| word == "--test");
    let rounds = if quick { 1 } else { ROUNDS };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match words.as_slice() {
        [crowd_word, web, token] if crowd_word == CROWD => {
            runtime.block_on(crowd(web, token));
            // Its input was read in a thread that nothing ends.
            runtime.shutdown_background();
        }
        _ => runtime.block_on(run(rounds)),
    }
}

async fn run(rounds: usize) {
    let dir = tempfile::tempdir_in(
        std::env::var("PRINTSTATION_BENCH_DIR").unwrap_or_else(|_| ".".into()),
    )
    .unwrap();
    let sync = median(
        (0..rounds.max(5) * 4)
            .map(|n| fdatasync(dir.path(), n))
            .collect(),
    );
    println!("fdatasync of one 4 KiB block:              {}", ms(sync));
    for latency in [
        Duration::ZERO,
        Duration::from_millis(300),
        Duration::from_secs(2),
    ] {
        let world = World::start(dir.path(), latency).await;
        world.warm().await;
        let mut live = Vec::new();
        let mut first = Vec::new();
        // Waiting for a slow courier again and again tells nothing more.
        let slow = latency > Duration::from_secs(1);
        for n in 0..if slow { rounds.min(5) } else { rounds } {
            world.order(&format!("LIVE-{n}"));
            let begun = Instant::now();
            world.scan(&format!("LIVE-{n}"), Outcome::Printed).await;
            live.push(begun.elapsed());
            first.push(world.first_byte(begun));
        }
        let added = median(first).saturating_sub(latency);
        println!("\ncourier {} ms", latency.as_millis());
        println!(
            "live label, scan to first byte, less courier: {}  ({:.1} x fdatasync)",
            ms(added),
            ratio(added, sync)
        );
        println!(
            "live label, scan to reported printed:         {}",
            ms(median(live.clone()))
        );
        held(dir.path(), latency, rounds, sync, median(live)).await;
        if latency != Duration::from_millis(300) {
            continue;
        }
        let mut again = Vec::new();
        let mut refused = Vec::new();
        for n in 0..rounds {
            let begun = Instant::now();
            world.scan(&format!("LIVE-{n}"), Outcome::Refused).await;
            refused.push(begun.elapsed());
            let begun = Instant::now();
            world.scan("PSBENC.REPRINT", Outcome::Printed).await;
            again.push(world.first_byte(begun));
        }
        println!(
            "label in the ledger, scan to first byte:      {}  ({:.1} x fdatasync, 1/{:.0} of the courier)",
            ms(median(again.clone())),
            ratio(median(again.clone()), sync),
            ratio(latency, median(again)),
        );
        println!(
            "refusal from the ledger:                      {}  ({:.2} x fdatasync)",
            ms(median(refused.clone())),
            ratio(median(refused), sync)
        );
    }
    beside_a_crowd(dir.path(), rounds).await;
}

/// The same scans with nobody else there, and with 200 HTTP clients that never finish while four more
/// send bodies of 10 MB without end.
async fn beside_a_crowd(dir: &Path, rounds: usize) {
    let world = World::start(&dir.join("crowd"), Duration::ZERO).await;
    world.warm().await;
    world.order("CROWD");
    world.scan("CROWD", Outcome::Printed).await;
    let measure = async || {
        let mut again = Vec::new();
        let mut refused = Vec::new();
        for _ in 0..rounds * 4 {
            let begun = Instant::now();
            world.scan("CROWD", Outcome::Refused).await;
            refused.push(begun.elapsed());
            let begun = Instant::now();
            world.scan("PSBENC.REPRINT", Outcome::Printed).await;
            again.push(world.first_byte(begun));
        }
        (again, refused)
    };
    let alone = measure().await;
    let token = std::fs::read_to_string(world.state.join("web-token")).unwrap();
    let mut others = Crowd::start(world.web.trim_start_matches("http://"), token.trim()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let crowded = measure().await;
    println!(
        "\n200 slow clients, {} bodies of 10 MB",
        others.stop().await
    );
    for (what, alone, crowded) in [
        ("reprint, scan to first byte", alone.0, crowded.0),
        ("refusal from the ledger", alone.1, crowded.1),
    ] {
        println!(
            "{what:<28} {} alone, {} in the crowd ({:.2} x); 95 %: {:.2} x",
            ms(median(alone.clone())),
            ms(median(crowded.clone())),
            ratio(median(crowded.clone()), median(alone.clone())),
            ratio(nearly_all(crowded), nearly_all(alone)),
        );
    }
}

/// Another process, as other computers are: what it computes takes nothing from the station, what it
/// sends does. It gives way to the station on the processor, which other computers do not share.
struct Crowd {
    process: tokio::process::Child,
    said: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Crowd {
    async fn start(web: &str, token: &str) -> Self {
        let mut process = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args([CROWD, web, token])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(said.next_line().await.unwrap().as_deref(), Some("there"));
        Self { process, said }
    }

    /// How many large bodies it sent.
    async fn stop(&mut self) -> u64 {
        drop(self.process.stdin.take());
        let sent = self.said.next_line().await.unwrap();
        self.process.wait().await.unwrap();
        sent.unwrap().parse().unwrap()
    }
}

/// The crowd's own process: until its input ends, 200 clients that never finish a head or a body, and
/// four that send 10 MB where 64 KiB are allowed.
async fn crowd(web: &str, token: &str) {
    rustix::process::setpriority_process(None, 19).unwrap();
    let head = |length: usize| {
        format!(
            "POST /api/scan HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut clients = tokio::task::JoinSet::new();
    let (there, mut are_there) = tokio::sync::mpsc::channel(200);
    for n in 0..200 {
        let begun = match n % 2 {
            0 => "POST /api/scan HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ".to_owned(),
            _ => head(60_000),
        };
        let (web, there) = (web.to_owned(), there.clone());
        clients.spawn(async move {
            // Cut off? Then begin again.
            while let Ok(mut stream) = tokio::net::TcpStream::connect(&web).await {
                if stream.write_all(begun.as_bytes()).await.is_err() {
                    continue;
                }
                let _ = there.try_send(()); // counted once is enough
                while stream.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        });
    }
    for _ in 0..200 {
        are_there.recv().await.unwrap();
    }
    let sent = Arc::new(AtomicU64::new(0));
    for _ in 0..4 {
        let (web, head, sent) = (web.to_owned(), head(10_000_000), Arc::clone(&sent));
        clients.spawn(async move {
            let body = vec![b'x'; 10_000_000];
            while let Ok(mut stream) = tokio::net::TcpStream::connect(&web).await {
                // It is refused by its length; whoever goes on sending is cut off.
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    println!("there");
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await.unwrap();
    println!("{}", sent.load(Ordering::Relaxed));
}

/// Labels that were bought and drawn before their scan.
async fn held(dir: &Path, latency: Duration, rounds: usize, sync: Duration, live: Duration) {
    let cloud = cartoncloud::Server::start(cartoncloud::Options {
        requests_per_minute: 0,
        ..cartoncloud::Options::default()
    })
    .await
    .unwrap();
    let world = World::start_with(dir, latency, Some(&cloud)).await;
    world.warm().await;
    for n in 0..rounds {
        let mut order = cartoncloud::Seed::reference(format!("HELD-{n}"));
        order.status = Some("PACKED".to_owned());
        cloud.add_order(order).unwrap();
    }
    let begun = Instant::now();
    while world.bench.glance().await.unwrap().ahead.ready < rounds {
        assert!(begun.elapsed() < Duration::from_secs(300), "bought ahead");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    for n in 0..rounds {
        let begun = Instant::now();
        world.scan(&format!("HELD-{n}"), Outcome::Printed).await;
        whole.push(begun.elapsed());
        first.push(world.first_byte(begun));
    }
    println!(
        "held label, scan to first byte, re-checked:   {}  ({:.1} x fdatasync)",
        ms(median(first.clone())),
        ratio(median(first), sync)
    );
    let whole = median(whole);
    println!(
        "held label, scan to reported printed:         {}  (live takes {:.1} x, the courier alone {:.1} x)",
        ms(whole),
        ratio(live, whole),
        ratio(latency, whole)
    );
}

struct World {
    starshipit: Server,
    bench: Bench,
    _station: runtime::Running,
    first: Arc<Mutex<Option<Instant>>>,
    web: String,
    state: std::path::PathBuf,
}

impl World {
    async fn start(dir: &Path, latency: Duration) -> Self {
        Self::start_with(dir, latency, None).await
    }

    async fn start_with(
        dir: &Path,
        latency: Duration,
        cloud: Option<&cartoncloud::Server>,
    ) -> Self {
        let starshipit = Server::start(Options {
            requests_per_second: 0,
            print_latency: latency,
            ..Options::default()
        })
        .await
        .unwrap();
        let first = Arc::new(Mutex::new(None));
        let printer = printer(Arc::clone(&first)).await;
        let kind = if cloud.is_some() { "held" } else { "live" };
        let state = dir.join(format!("state-{kind}-{}", latency.as_millis()));
        let cartoncloud = cloud.map_or_else(String::new, |cloud| {
            format!(
                "[cartoncloud]\nbase_url = \"{}\"\ntenant_id = \"{}\"\nclient_id = {{ env = \"C\" }}\nclient_secret = {{ env = \"D\" }}\npoll_interval = \"1s\"\nrequests_per_minute = 6000\n[cartoncloud.push]\nenabled = true\n[cartoncloud.on_status]\nPACKED = \"prefetch\"\n[prefetch]\ncouriers = [\"*\"]\nrecheck = \"5s\"\n",
                cloud.url(),
                cloud.tenant_id()
            )
        });
        let text = format!(
            "[station]\nname = \"bench\"\nstate_dir = {state:?}\nduties = [\"push\", \"prefetch\"]\n[scan]\ncommand_prefix = \"PSBENC.\"\nrepeat_window = \"1ms\"\n[starshipit]\nbase_url = \"{}\"\nrequests_per_second = 1000\n[[starshipit.accounts]]\nname = \"main\"\napi_key = {{ env = \"A\" }}\nsubscription_key = {{ env = \"B\" }}\n[[printers]]\nname = \"label\"\nconnection = \"tcp://{printer}\"\nlanguage = \"zpl\"\n[web]\nlisten = \"127.0.0.1:0\"\n{cartoncloud}",
            starshipit.url()
        );
        let (config, _) = config::parse(None, ("bench", &text), None, Strictness::Strict)
            .into_result()
            .unwrap();
        let account = starshipit.accounts()[0].clone();
        let keys = cloud.map(|c| (c.client_id().to_owned(), c.client_secret().to_owned()));
        let station = runtime::start(runtime::Options {
            config,
            secret: Box::new(move |key, _| {
                if let Some((id, secret)) =
                    keys.as_ref().filter(|_| key.starts_with("cartoncloud."))
                {
                    let word = if key.ends_with("secret") { secret } else { id };
                    return Ok(word.clone().into());
                }
                Ok(if key.ends_with("subscription_key") {
                    account.subscription_key.clone().into()
                } else {
                    account.api_key.clone().into()
                })
            }),
            program: env!("CARGO_BIN_EXE_printstation").into(),
        })
        .await
        .unwrap();
        Self {
            starshipit,
            bench: station.bench.clone(),
            web: station.ready.web.clone(),
            state,
            _station: station,
            first,
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

    /// The worker is up, connections are warm, and the printer is known to be silent.
    async fn warm(&self) {
        for n in 0..2 {
            self.order(&format!("WARM-{n}"));
            self.scan(&format!("WARM-{n}"), Outcome::Printed).await;
        }
    }

    async fn scan(&self, text: &str, wanted: Outcome) {
        *self.first.lock().unwrap() = None;
        let source = Source {
            trigger: "bench".into(),
            user: None,
        };
        let mut said = self
            .bench
            .ask(Request::Scan(ScanText::parse(text).unwrap(), source))
            .await
            .unwrap();
        while let Some(next) = said.recv().await {
            if next.last {
                assert_eq!(next.reply.outcome, wanted, "{text}: {:?}", next.reply);
                return;
            }
        }
        panic!("the station has stopped");
    }

    fn first_byte(&self, begun: Instant) -> Duration {
        self.first
            .lock()
            .unwrap()
            .expect("a first byte")
            .duration_since(begun)
    }
}

/// Reads everything, answers nothing, stamps the first byte of a label.
async fn printer(first: Arc<Mutex<Option<Instant>>>) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let first = Arc::clone(&first);
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                let mut seen = Vec::new();
                while let Ok(n) = stream.read(&mut bytes).await {
                    if n == 0 {
                        break;
                    }
                    seen.extend_from_slice(&bytes[..n.min(64)]);
                    if seen.windows(3).any(|w| w == b"^XA") {
                        first.lock().unwrap().get_or_insert_with(Instant::now);
                        seen.clear();
                    }
                }
            });
        }
    });
    addr
}

fn fdatasync(dir: &Path, n: usize) -> Duration {
    let path = dir.join("sync");
    let file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap();
    if n == 0 {
        file.write_all_at(&vec![0; 1 << 20], 0).unwrap();
        file.sync_all().unwrap();
    }
    let begun = Instant::now();
    file.write_all_at(&[7; 4096], (n as u64 % 256) * 4096)
        .unwrap();
    file.sync_data().unwrap();
    begun.elapsed()
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// The 95th percentile.
fn nearly_all(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() * 95 / 100]
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64().max(1e-9)
}

fn ms(d: Duration) -> String {
    format!("{:8.2} ms", d.as_secs_f64() * 1000.0)
}
