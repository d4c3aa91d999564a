//! The books: what was sold and made is there after a stop and after a kill.

use crate::{Bench, until};
use printstation::sim::starshipit::admin::{Deed, Seed};
use printstation::sim::starshipit::{Account, Options, Sale, Server};
use printstation::sim::{PrinterSpec, SimOptions, Sims};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

fn in_dir(dir: &Path) -> Options {
    Options {
        requests_per_second: 0,
        state: Some(dir.to_owned()),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_or_is_in_use_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::File::create(&file).unwrap();
    assert!(Server::start(in_dir(&file)).await.is_err());
    let first = Server::start(in_dir(dir.path())).await.unwrap();
    let error = Server::start(in_dir(dir.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("simulator that is running"), "{error}");
    first.stop().await;
    assert!(Server::start(in_dir(dir.path())).await.is_ok());
}

#[tokio::test]
async fn orders_and_sales_are_the_same_after_a_restart_and_nothing_is_sold_again() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(in_dir(dir.path())).await;
    let printed = bench.order(Seed {
        parcels: vec![Some(1.0); 2],
        ..Seed::number("A")
    });
    let deleted = bench.order(Seed::number("B"));
    bench.order(Seed {
        carrier: Some("AusPost".into()),
        ..Seed::number("C")
    });
    let label = bench.print(printed).await;
    let copy = bench
        .post("/api/orders/shipment/clone", json!({ "order_id": printed }))
        .await;
    let copy = copy["order"]["order_id"].as_i64().unwrap();
    bench
        .server
        .alter(
            "B",
            Deed {
                delete: true,
                ..Deed::default()
            },
        )
        .unwrap();
    bench
        .server
        .alter(
            "C",
            Deed {
                archive: Some(true),
                ..Deed::default()
            },
        )
        .unwrap();
    let before = (bench.get("/_sim/orders").await, bench.server.sales());
    bench.server.stop().await;

    let bench = Bench::start(in_dir(dir.path())).await;
    assert_eq!(
        (bench.get("/_sim/orders").await, bench.server.sales()),
        before
    );
    assert_eq!(
        bench.print(printed).await,
        label,
        "the same label, byte for byte"
    );
    assert_eq!(bench.server.sales(), before.1);
    let fresh = bench.order(Seed::number("D"));
    assert!(fresh > copy && fresh > deleted, "ids are never used twice");
    let next = bench.print(copy).await;
    let numbers = &before.1[0].tracking_numbers;
    assert!(
        !numbers
            .iter()
            .any(|n| next["tracking_numbers"][0] == n.as_str())
    );
}

#[tokio::test]
async fn a_reset_leaves_nothing_not_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::start(in_dir(dir.path())).await;
    let id = bench.order(Seed::number("A"));
    bench.print(id).await;
    bench
        .post("/_sim/switches", json!({ "S2": "refuse" }))
        .await;
    bench.post("/_sim/reset", json!({})).await;
    assert!(bench.server.sales().is_empty() && bench.server.order_numbers().is_empty());
    assert_eq!(bench.get("/_sim/switches").await["S2"], "same-label");
    bench.server.stop().await;
    let server = Server::start(in_dir(dir.path())).await.unwrap();
    assert!(server.sales().is_empty() && server.order_numbers().is_empty());
}

#[tokio::test]
async fn the_same_seed_gives_the_same_numbers_and_prices() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let bench = Bench::start(Options {
            seed,
            requests_per_second: 0,
            ..Options::default()
        })
        .await;
        let id = bench.order(Seed::number("A"));
        bench.print(id).await;
        let Sale {
            tracking_numbers,
            price_cents,
            ..
        } = bench.server.sales().remove(0);
        runs.push((tracking_numbers, price_cents));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0].0, runs[2].0);
}

#[tokio::test]
async fn the_sample_orders_are_a_mixture_and_are_made_once() {
    let dir = tempfile::tempdir().unwrap();
    let options = SimOptions {
        orders: 12,
        state: Some(dir.path().to_owned()),
        ..SimOptions::default()
    };
    let sims = Sims::start(options.clone()).await.unwrap();
    let ready = serde_json::to_value(sims.ready()).unwrap();
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["starshipit"]["url"], sims.starshipit.url());
    let account = &ready["starshipit"]["accounts"][0];
    assert!(
        ["name", "api_key", "subscription_key"]
            .iter()
            .all(|k| account[k].is_string())
    );
    let numbers = sims.starshipit.order_numbers();
    assert_eq!((numbers.len(), numbers[0].as_str()), (12, "WEB-20401"));
    assert_eq!(
        sims.starshipit.sales().len(),
        1,
        "one was labelled elsewhere"
    );
    assert_eq!(sims.starshipit.sales()[0].via, "app");
    let body = reqwest_get(&sims, "/_sim/orders").await;
    let orders = body["orders"].as_array().unwrap();
    let count = |test: &dyn Fn(&Value) -> bool| orders.iter().filter(|o| test(o)).count();
    assert_eq!(count(&|o| o["archived"] == true), 1);
    assert_eq!(count(&|o| o["packages"][0].get("weight").is_none()), 1);
    assert!(count(&|o| o["packages"].as_array().unwrap().len() > 1) >= 2);
    assert!(count(&|o| o["carrier"] == -1) >= 2);
    sims.stop().await;
    let again = Sims::start(options).await.unwrap();
    assert_eq!(again.starshipit.order_numbers().len(), 12);
    assert_eq!(again.starshipit.sales().len(), 1);
}

async fn reqwest_get(sims: &Sims, path: &str) -> Value {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let url = format!("{}{path}", sims.starshipit.admin_url());
    serde_json::from_str(&http.get(url).send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn printers_start_with_starshipit_and_put_their_labels_into_the_folder() {
    for bad in [
        "label",
        "=127.0.0.1:0",
        "a/b=127.0.0.1:0",
        "label=nowhere",
        "label=127.0.0.1:0,pcl",
        "label=127.0.0.1:0,zpl,9",
        "label=127.0.0.1:0,zpl,203,x",
    ] {
        assert!(bad.parse::<PrinterSpec>().is_err(), "{bad}");
    }
    let dir = tempfile::tempdir().unwrap();
    let printers = ["label=127.0.0.1:0,zpl", "till=127.0.0.1:0,escpos,180"];
    let options = SimOptions {
        printers: printers.iter().map(|p| p.parse().unwrap()).collect(),
        out: Some(dir.path().to_owned()),
        ..SimOptions::default()
    };
    let sims = Sims::start(options).await.unwrap();
    let ready = serde_json::to_value(sims.ready()).unwrap();
    assert_eq!(ready["printers"][1]["name"], "till");
    let addr = ready["printers"][0]["addr"].as_str().unwrap().to_owned();
    let mut line = tokio::net::TcpStream::connect(addr).await.unwrap();
    let label = b"^XA^PW832^LL1218^FO50,50^GB200,200,200^FS^XZ";
    tokio::io::AsyncWriteExt::write_all(&mut line, label)
        .await
        .unwrap();
    let labels = sims.printers[0]
        .1
        .wait_for_labels(1, Duration::from_secs(30))
        .await;
    assert_eq!(labels.unwrap().len(), 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn the_help_names_every_switch_and_fault() {
    let help = printstation::sim::composition::help();
    for n in 1..=19 {
        assert!(help.contains(&format!("  S{n}: ")), "S{n}");
    }
    assert!(help.contains("new-consignment") && help.contains("drop_after_commit"));
    assert!(help.contains("print-bulk"));
}

const CHILD: &str = "SIM_CHILD_STATE";

/// Not a test: the process that the next test kills.
#[tokio::test]
#[ignore = "run as a child by the kill test"]
async fn sim_child() {
    let Some(dir) = std::env::var_os(CHILD) else {
        return;
    };
    let server = Server::start(in_dir(Path::new(&dir))).await.unwrap();
    println!("listening {}", server.url());
    std::future::pending::<()>().await;
}

#[test]
fn whatever_was_acknowledged_before_a_kill_is_in_the_ledger_and_is_not_sold_again() {
    let seed: u64 = std::env::var("SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_401);
    println!("SEED={seed}");
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "books::sim_child", "--ignored", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines.map_while(Result::ok).find_map(|line| {
            line.split_once("listening ")
                .map(|(_, url)| url.trim().to_owned())
        });
        let url = url.expect("the child says where it listens");
        let after = rng.random_range(1..25);
        acknowledged += runtime.block_on(print_until(&url, round, after, &mut child));
        assert!(!child.wait().unwrap().success());
    }
    assert!(acknowledged >= 8, "every round had at least one answer");
    runtime.block_on(async {
        let bench = Bench::start(in_dir(dir.path())).await;
        let sales = bench.server.sales();
        assert!(
            sales.len() >= acknowledged,
            "{} sold, {acknowledged} told",
            sales.len()
        );
        for sale in &sales {
            let twice = sales.iter().filter(|s| s.order_id == sale.order_id).count();
            assert_eq!(twice, 1, "{} was sold twice", sale.order_number);
            let reply = bench.print(sale.order_id).await;
            assert_eq!(reply["tracking_numbers"], json!(sale.tracking_numbers));
        }
        assert_eq!(
            bench.server.sales().len(),
            sales.len(),
            "the repeats sold nothing"
        );
    });
}

/// Prints new orders four at a time, kills the child after so many answers, and says how many there
/// were.
async fn print_until(
    url: &str,
    round: u32,
    after: usize,
    child: &mut std::process::Child,
) -> usize {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let account = Account::several(1).remove(0);
    let answers = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let lanes: Vec<_> = (0..4)
        .map(|lane| {
            let (http, url, account) = (http.clone(), url.to_owned(), account.clone());
            let answers = std::sync::Arc::clone(&answers);
            tokio::spawn(async move {
                for n in 0.. {
                    let seed = Seed::number(format!("K{round}-{lane}-{n}"));
                    let seed = serde_json::to_string(&seed).unwrap();
                    let made = http
                        .post(format!("{url}/_sim/orders"))
                        .body(seed)
                        .send()
                        .await;
                    let Ok(made) = made else { return };
                    let Ok(text) = made.text().await else { return };
                    let made: Value = serde_json::from_str(&text).unwrap();
                    let printed = http
                        .post(format!("{url}/api/orders/shipment"))
                        .header("StarShipIT-Api-Key", &account.api_key)
                        .header("Ocp-Apim-Subscription-Key", &account.subscription_key)
                        .body(json!({ "order_id": made["order_id"] }).to_string())
                        .send()
                        .await;
                    let Ok(printed) = printed else { return };
                    let Ok(text) = printed.text().await else {
                        return;
                    };
                    assert!(text.contains("\"success\":true"), "{text}");
                    answers.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            })
        })
        .collect();
    let count = || answers.load(std::sync::atomic::Ordering::SeqCst);
    until("so many answers", || count() >= after).await;
    child.kill().unwrap();
    for lane in lanes {
        lane.await.unwrap();
    }
    count()
}
