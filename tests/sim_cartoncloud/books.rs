//! Books: the same seed is the same world, and what was acknowledged survives a kill.

use crate::Bench;
use printstation::sim::cartoncloud::{Options, Seed, Server, sample_orders};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn in_dir(dir: &Path) -> Options {
    Options {
        state: Some(dir.to_owned()),
        ..Options::default()
    }
}

#[tokio::test]
async fn the_same_seed_makes_the_same_orders_and_they_can_be_pushed() {
    let world = async |seed| {
        let server = Server::start(Options {
            seed,
            ..Options::default()
        })
        .await
        .unwrap();
        for order in sample_orders(7, &server.customers()) {
            server.add_order(order).unwrap();
        }
        server.orders()
    };
    let ids = |orders: &[printstation::sim::cartoncloud::OrderView]| {
        orders.iter().map(|o| o.id.clone()).collect::<Vec<_>>()
    };
    let (one, two) = (world(5).await, world(5).await);
    assert_eq!(ids(&one), ids(&two));
    assert_ne!(ids(&one), ids(&world(6).await));
    assert_eq!(
        one.iter()
            .map(|o| o.customer.as_str())
            .take(4)
            .collect::<Vec<_>>(),
        ["TEA", "MUG", "BEE", "TEA"]
    );
    assert_eq!(
        (one[0].reference.as_str(), one[0].status.as_str()),
        ("WEB-20401", "AWAITING_PICK_AND_PACK")
    );
    for order in &one {
        assert!(!order.order["items"].as_array().unwrap().is_empty());
        assert!(order.order["details"]["deliver"]["address"]["suburb"].is_string());
    }
}

#[tokio::test]
async fn two_simulators_cannot_share_a_directory_and_a_reset_forgets() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(in_dir(dir.path())).await;
    assert!(Server::start(in_dir(dir.path())).await.is_err());
    let first = bench.order("A");
    bench
        .admin(reqwest::Method::POST, "reset", Value::Null)
        .await;
    assert!(bench.server.orders().is_empty());
    assert_eq!(bench.order("A"), first, "the same world again");
    bench.server.stop().await;
    let again = Server::start(in_dir(dir.path())).await.unwrap();
    assert_eq!(again.orders().len(), 1);
}

const CHILD: &str = "SIM_CARTONCLOUD_STATE";

/// Not a test: the process that the next test kills.
#[tokio::test]
#[ignore = "run as a child by the kill test"]
async fn sim_child() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let server = Server::start(in_dir(Path::new(&dir))).await.unwrap();
    for n in 0..40 {
        if !server
            .orders()
            .iter()
            .any(|o| o.reference == format!("K-{n}"))
        {
            server
                .add_order(Seed {
                    status: Some("PACKED".into()),
                    ..Seed::reference(format!("K-{n}"))
                })
                .unwrap();
        }
    }
    println!("listening {} {}", server.url(), server.tenant_id());
    std::future::pending::<()>().await;
}

/// Writes tracking numbers until `after` were acknowledged, and then kills the simulator while the
/// next one is under way.
async fn write_until(
    url: &str,
    tenant: &str,
    first: usize,
    after: usize,
    child: &mut Child,
) -> Vec<String> {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(20))
        .build()
        .unwrap();
    let token: Value = serde_json::from_str(
        &http
            .post(format!("{url}/uaa/oauth/token"))
            .basic_auth(
                Options::default().client_id,
                Some(Options::default().client_secret),
            )
            .body("grant_type=client_credentials")
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
    )
    .unwrap();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let put = async |n: usize| -> reqwest::Result<String> {
        let orders = http
            .get(format!("{url}/_sim/orders"))
            .send()
            .await?
            .text()
            .await?;
        let orders: Value = serde_json::from_str(&orders).unwrap();
        let order = orders["orders"]
            .as_array()
            .unwrap()
            .iter()
            .find(|o| o["reference"] == format!("K-{}", n % 40))
            .unwrap();
        let consignment = &order["consignments"][0];
        let tracking = format!("PS{n:06}");
        let reply = http
            .put(format!(
                "{url}/tenants/{tenant}/consignments/{}",
                consignment["id"].as_str().unwrap()
            ))
            .bearer_auth(&token)
            .header("Accept-Version", "1")
            .header("If-Match", consignment["version"].to_string())
            .body(json!({"references": {"tracking": tracking}}).to_string())
            .send()
            .await?;
        assert_eq!(reply.status(), 200);
        Ok(tracking)
    };
    let mut told = Vec::new();
    for n in first..first + after {
        told.push(put(n).await.unwrap());
    }
    let last = put(first + after);
    child.kill().unwrap();
    told.extend(last.await.ok());
    told
}

#[test]
fn every_write_acknowledged_before_a_kill_is_in_the_journal_once() {
    let seed: u64 = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_401);
    println!("SEED={seed}");
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    for round in 0..5 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "books::sim_child", "--ignored", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let place = lines.map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once("listening ")?;
            let (url, tenant) = rest.trim().split_once(' ')?;
            Some((url.to_owned(), tenant.to_owned()))
        });
        let (url, tenant) = place.expect("the child says where it listens");
        let after = rng.random_range(1..12);
        told.extend(runtime.block_on(write_until(&url, &tenant, round * 100, after, &mut child)));
        assert!(!child.wait().unwrap().success());
    }
    runtime.block_on(async {
        let server = Server::start(in_dir(dir.path())).await.unwrap();
        let writes = server.writes();
        let kept: Vec<&str> = writes
            .iter()
            .filter_map(|w| w.tracking.as_deref())
            .collect();
        assert_eq!(
            kept.iter().collect::<HashSet<_>>().len(),
            kept.len(),
            "none twice"
        );
        for tracking in &told {
            assert!(
                kept.contains(&tracking.as_str()),
                "{tracking} was acknowledged and is gone"
            );
        }
        assert!(told.len() >= 5 && kept.len() <= told.len() + 5);
        assert_eq!(
            writes.last().unwrap().n,
            u64::try_from(writes.len()).unwrap()
        );
        assert_eq!(
            server.orders().len(),
            40,
            "orders are neither lost nor made twice"
        );
    });
}
