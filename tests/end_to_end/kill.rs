//! SIGKILL at any moment: never a second shipment for one order (P1), no number lost (P2).
//!
//! `sim` and `run` are two processes; the simulator's money ledger is on disk. The short form runs
//! in CI; `PRINTSTATION_KILLS=200` (scripts/kill) is the long one.

use crate::process::{self, World};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_never_buys_an_order_twice() {
    let kills = env("PRINTSTATION_KILLS", 25);
    let seed = env("PRINTSTATION_SEED", 4711);
    println!("seed {seed}, {kills} kills");
    let mut rng = StdRng::seed_from_u64(seed);
    let world = World::new(&["--fault", "starshipit:latency=150ms"], "");
    let orders: Vec<String> = (0..kills.div_ceil(2).max(10))
        .map(|n| format!("KILL-{n:04}"))
        .collect();
    for order in &orders {
        world
            .order(json!({ "number": order, "parcels": [1.0] }))
            .await;
    }
    let mut station = world.run();
    for _ in 0..kills {
        for _ in 0..rng.random_range(1..=3) {
            let order = &orders[rng.random_range(0..orders.len())];
            world.try_scan(&station, order).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..900))).await;
        station.kill();
        station = world.run();
    }
    // Every order gets its label in the end, by nothing but scanning it.
    for order in &orders {
        let deadline = std::time::Instant::now() + process::PATIENCE;
        loop {
            let (status, reply) = world.scan(&station, order, Some("30s")).await;
            let code = reply["code"].as_str().unwrap_or_default();
            match (reply["outcome"].as_str().unwrap_or_default(), code) {
                ("printed", _) | (_, "already-printed") => break,
                (_, "printer-in-doubt") => {
                    world.scan(&station, "PSTEST.REPRINT", Some("30s")).await;
                }
                _ if std::time::Instant::now() < deadline => {}
                _ => {
                    let shown = world
                        .look(&station, &format!("/api/orders?q={order}"))
                        .await;
                    let state = world.look(&station, "/api/status").await;
                    panic!("seed {seed}: {order} is stuck: {status} {reply}\n{shown}\n{state}");
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let mut sold: BTreeMap<String, usize> = BTreeMap::new();
    let sales = world.sales().await;
    for sale in &sales {
        let number = sale["order_number"].as_str().expect("number").to_owned();
        *sold.entry(number).or_default() += 1;
    }
    let twice: Vec<_> = sold.iter().filter(|(_, n)| **n != 1).collect();
    assert!(
        twice.is_empty(),
        "seed {seed}: sold more than once: {twice:?}"
    );
    assert_eq!(sold.len(), orders.len(), "seed {seed}: orders sold");
    assert_eq!(station.stop(), Some(0), "a drained station exits 0");
    println!(
        "{} orders, {kills} kills, {} shipments sold",
        orders.len(),
        sales.len()
    );
}
