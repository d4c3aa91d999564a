//! Three benches of one site, as three processes: the first has the duties, all of them ship. Every sale
//! order is made a Starshipit order once, by the first; each bench asks for its own; nothing crosses.

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
mod site;

use serde_json::json;
use site::{How, ROUTES, Site, env};
use std::collections::BTreeMap;

/// `PRINTSTATION_SITE_ORDERS=200` is the size that a site has in a morning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_benches_make_every_order_once_and_write_every_number_once() {
    let count = usize::try_from(env("PRINTSTATION_SITE_ORDERS", 30)).expect("a number of orders");
    let seed = env("PRINTSTATION_SEED", 4711);
    let site = Site::new(seed, How::default()).await;
    let sales = site.sell(count).await;
    let first = site.run();
    let benches = [
        first,
        site.run_beside("bench-2", 3),
        site.run_beside("bench-3", 3),
    ];
    for sale in &sales {
        let path = format!("orders/{}/status", sale.uuid);
        let status = json!({ "status": ROUTES[sale.route].2 });
        site.admin("cartoncloud", &path, Some(status)).await;
    }
    // Each scans its third, all at the same time; the first may not have pushed theirs yet.
    let third = |n: usize| {
        let own = sales.iter().enumerate().filter(move |(at, _)| at % 3 == n);
        own.map(|(_, sale)| sale.clone()).collect::<Vec<_>>()
    };
    let (a, b, c) = (third(0), third(1), third(2));
    tokio::join!(
        site::print_all(&site, &benches[0], &a, seed),
        site::print_all(&site, &benches[1], &b, seed),
        site::print_all(&site, &benches[2], &c, seed),
    );
    // A consignment is made when the order is packed.
    for sale in sales.iter().filter(|sale| ROUTES[sale.route].2 == "PICKED") {
        let path = format!("orders/{}/status", sale.uuid);
        site.admin("cartoncloud", &path, Some(json!({ "status": "PACKED" })))
            .await;
    }
    for bench in &benches {
        // A consignment that was not there yet is looked for again in minutes; a person needs not wait.
        for job in site.lines(bench, "/api/writebacks").await {
            if job["state"] == "pending" {
                site.retry(bench, &site::text(&job["id"])).await;
            }
        }
        site::all_written(&site, bench, seed).await;
    }
    // One Starshipit order for each.
    let orders = site.admin("starshipit", "orders", None).await;
    let mut made: BTreeMap<String, usize> = BTreeMap::new();
    for order in orders["orders"].as_array().expect("orders") {
        *made.entry(site::text(&order["order_number"])).or_default() += 1;
    }
    for sale in &sales {
        assert_eq!(made.get(&sale.number()), Some(&1), "{}", sale.number());
    }
    assert_eq!(made.len(), sales.len());
    for bench in &benches {
        site::check(&site, bench, &sales, seed).await;
    }
}
