//! A whole site: sale orders of three customers on three accounts are pushed, scanned, printed and
//! written back by the built binary, while cables are pulled and the process is killed.
//!
//! `sim` and `run` are two processes; both sides keep books on disk, and at the end they are
//! compared: one shipment per order, each label at the printer, each tracking number once in each
//! sink, none in a wrong order or account. The short form runs in CI; `scripts/site` is the long one
//! (500 orders, ten cuts, five kills).

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/cable.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod cable;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod process;
#[path = "common/site.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod site;

use cable::Line;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::json;
use site::{How, ROUTES, Site, env};
use std::time::Duration;

/// Cables to the services; the last one is the printer's.
const SERVICES: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_ships_once_and_every_number_arrives_once_whatever_fails() {
    let count = usize::try_from(env("PRINTSTATION_SITE_ORDERS", 60)).expect("a number of orders");
    let cuts = env("PRINTSTATION_SITE_CUTS", 10);
    let kills = env("PRINTSTATION_SITE_KILLS", 5);
    let seed = env("PRINTSTATION_SEED", 4711);
    println!("seed {seed}: {count} orders, {cuts} cuts, {kills} kills");
    let mut rng = StdRng::seed_from_u64(seed);
    let site = Site::new(seed, How::default()).await;
    let sales = site.sell(count).await;
    let mut station = site.run();
    let mut turn: Vec<usize> = (0..count).collect();
    turn.shuffle(&mut rng);
    let mut blows: Vec<(usize, bool)> = (0..cuts + kills)
        .map(|n| (rng.random_range(0..count), n >= cuts))
        .collect();
    blows.sort_unstable();
    let mut pulled: Option<(Vec<usize>, usize)> = None;
    for (step, at) in turn.iter().enumerate() {
        let sale = &sales[*at];
        let path = format!("orders/{}/status", sale.uuid);
        let status = json!({ "status": ROUTES[sale.route].2 });
        site.admin("cartoncloud", &path, Some(status)).await;
        while let Some((_, kill)) = blows.pop_if_due(step) {
            if kill {
                tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
                station.kill();
                station = site.run();
            } else if pulled.is_none() {
                let mut cables: Vec<usize> = (0..SERVICES).collect();
                cables.shuffle(&mut rng);
                cables.truncate(rng.random_range(1..=SERVICES));
                for cable in &cables {
                    site.cables[*cable].set(Line::Pulled);
                }
                pulled = Some((cables, step + rng.random_range(1..6)));
            }
        }
        if pulled.as_ref().is_some_and(|(_, until)| step >= *until) {
            for cable in pulled.take().map(|p| p.0).unwrap_or_default() {
                site.cables[cable].plug();
            }
        }
        if ROUTES[sale.route].2 == "PICKED" {
            // A consignment is made when the order is packed; the poll may not have seen PICKED.
            site.admin("cartoncloud", &path, Some(json!({ "status": "PACKED" })))
                .await;
        }
        // Each scan is a packer that does not wait; a kill may swallow it.
        site.scan(&station, &sale.uuid, "").await;
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..120))).await;
    }
    for cable in &site.cables {
        cable.plug();
    }
    site::print_all(&site, &station, &sales, seed).await;
    site::all_written(&site, &station, seed).await;
    site::check(&site, &station, &sales, seed).await;
    assert_eq!(station.stop(), Some(0), "a drained station exits 0");
}

/// A sorted list of (step, what) from which what is due is taken.
trait Due {
    fn pop_if_due(&mut self, step: usize) -> Option<(usize, bool)>;
}

impl Due for Vec<(usize, bool)> {
    fn pop_if_due(&mut self, step: usize) -> Option<(usize, bool)> {
        let due = self.first().is_some_and(|(at, _)| *at <= step);
        due.then(|| self.remove(0))
    }
}
