//! Two benches, one account, one order (promise 8): two stations and the simulators, three processes.
//!
//! Nothing but Starshipit stands between the benches. The simulator is set to the worst that is
//! possible: two print calls at the same time both sell (S19), and one for a printed order sells again
//! (S2). `scripts/race` is the long form and prints what is left of the window.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/process.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod process;

use process::{PATIENCE, Process, World, client};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the courier takes.
const COURIER: Duration = Duration::from_millis(400);
/// The second bench scans at most so much later.
const APART: u64 = 900;

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

/// What became of the orders that two benches scanned.
#[derive(Debug, Default)]
struct Raced {
    orders: usize,
    /// Milliseconds between the scans of each order that was sold twice.
    twice: Vec<u64>,
    /// Orders at which both benches gave way.
    neither: usize,
    /// Calls to Starshipit for each order.
    calls: f64,
}

impl Raced {
    fn told(&self, what: &str) -> String {
        let widest = self.twice.iter().max().copied().unwrap_or_default();
        format!(
            "{what}: {} orders scanned at both benches within {APART} ms, {} bought twice (scans up to {widest} ms apart), {} at which both gave way, {:.1} calls an order",
            self.orders,
            self.twice.len(),
            self.neither,
            self.calls
        )
    }
}

/// A second bench of the same account.
fn second(world: &World) -> Process {
    let first = std::fs::read_to_string(&world.config).expect("config");
    let state = world.dir.path().join("state-2");
    let text = first.replace("\"bench-1\"", "\"bench-2\"").replace(
        &format!("state_dir = {:?}", world.state()),
        &format!("state_dir = {state:?}"),
    );
    let config = world.dir.path().join("config-2.toml");
    std::fs::write(&config, text).expect("config");
    let account = &world.sim.ready["starshipit"]["accounts"][0];
    let key = |name: &str| account[name].as_str().expect("key").to_owned();
    Process::start(
        &["run", "--config", config.to_str().expect("utf-8")],
        &[
            ("API_KEY", &key("api_key")),
            ("SUBSCRIPTION_KEY", &key("subscription_key")),
            ("RUST_LOG", "info"),
        ],
        &world.dir.path().join("run-2.log"),
    )
}

async fn scan(web: &str, token: &str, code: &str) -> Value {
    client()
        .post(format!("{web}/api/scan?wait=30s"))
        .bearer_auth(token)
        .json(&json!({ "code": code }))
        .send()
        .await
        .expect("the station answers")
        .json()
        .await
        .expect("json")
}

async fn race(claim: &str, s18: &str, orders: u64, seed: u64) -> Raced {
    let switch = format!("S18={s18}");
    let latency = format!("starshipit:latency={}ms:always:print", COURIER.as_millis());
    let world = World::new(
        &[
            "--switch",
            &switch,
            "--switch",
            "S2=new-consignment",
            "--switch",
            "S19=both-sell",
            "--fault",
            &latency,
        ],
        "",
    );
    let config = std::fs::read_to_string(&world.config).expect("config");
    let config = config.replace(
        "settle = \"1s\"",
        &format!("settle = \"1s\"\nclaim = \"{claim}\""),
    );
    std::fs::write(&world.config, config).expect("config");
    let numbers: Vec<String> = (0..orders).map(|n| format!("RACE-{n:04}")).collect();
    for number in &numbers {
        world
            .order(json!({ "number": number, "parcels": [1.0] }))
            .await;
    }
    let benches = [world.run(), second(&world)];
    let web: Vec<String> = benches
        .iter()
        .map(|b| b.ready["web"].as_str().expect("web").to_owned())
        .collect();
    let token = |dir: &str| {
        let path = world.dir.path().join(dir).join("web-token");
        std::fs::read_to_string(path)
            .expect("web-token")
            .trim()
            .to_owned()
    };
    let ends = Arc::new([
        (web[0].clone(), token("state")),
        (web[1].clone(), token("state-2")),
    ]);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut apart: BTreeMap<String, u64> = BTreeMap::new();
    let mut raced = Raced {
        orders: numbers.len(),
        ..Raced::default()
    };
    for some in numbers.chunks(4) {
        let mut pairs = tokio::task::JoinSet::new();
        for number in some {
            let later = if rng.random_bool(0.3) {
                0
            } else {
                rng.random_range(0..APART)
            };
            apart.insert(number.clone(), later);
            let (number, ends, first) = (number.clone(), Arc::clone(&ends), rng.random_range(0..2));
            pairs.spawn(async move {
                let (a, b) = (&ends[first], &ends[1 - first]);
                let second = async {
                    tokio::time::sleep(Duration::from_millis(later)).await;
                    scan(&b.0, &b.1, &number).await
                };
                let replies = tokio::join!(scan(&a.0, &a.1, &number), second);
                (number.clone(), [replies.0, replies.1])
            });
        }
        while let Some(pair) = pairs.join_next().await {
            let (number, replies) = pair.expect("both answered");
            let printed = replies.iter().filter(|r| r["outcome"] == "printed").count();
            if printed > 0 {
                continue;
            }
            raced.neither += 1;
            // The way forward is the same order again, at one of them.
            let deadline = Instant::now() + PATIENCE;
            loop {
                let reply = scan(&ends[0].0, &ends[0].1, &number).await;
                if reply["outcome"] == "printed" {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "{number} is stuck: {reply} after {replies:?}"
                );
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
    let mut sold: BTreeMap<String, usize> = BTreeMap::new();
    for sale in world.sales().await {
        let number = sale["order_number"].as_str().expect("number").to_owned();
        *sold.entry(number).or_default() += 1;
    }
    assert_eq!(sold.len(), numbers.len(), "every order was bought");
    let twice = sold.iter().filter(|(_, times)| **times > 1);
    raced.twice = twice.map(|(number, _)| apart[number]).collect();
    let calls: Value = client()
        .get(format!("{}/_sim/calls", world.admin()))
        .send()
        .await
        .expect("sim answers")
        .json()
        .await
        .expect("json");
    #[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
    {
        let calls = calls["calls"].as_array().map_or(0, Vec::len);
        raced.calls = calls as f64 / numbers.len() as f64;
    }
    raced
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn benches_that_claim_first_never_both_buy_where_the_claim_is_kept() {
    let orders = env("PRINTSTATION_RACES", 8);
    let seed = env("PRINTSTATION_SEED", 4711);
    println!("seed {seed}");
    let kept = race("always", "kept", orders, seed).await;
    println!("{}", kept.told("claimed, claims are kept"));
    assert_eq!(kept.twice, [0; 0], "seed {seed}: {kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_claims_the_window_is_the_couriers_own_time() {
    let orders = env("PRINTSTATION_RACES", 8);
    let seed = env("PRINTSTATION_SEED", 4711);
    // A race that nobody ever loses would prove nothing.
    let none = race("never", "kept", orders, seed).await;
    println!("{}", none.told("not claimed"));
    assert!(!none.twice.is_empty(), "seed {seed}: {none:?}");
    let dropped = race("always", "dropped", orders, seed).await;
    println!("{}", dropped.told("claimed, claims are dropped"));
}
