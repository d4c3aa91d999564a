//! The built binary against the simulators, two processes over loopback: scan in, label at the
//! printer, tracking in the ledger.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "end_to_end/kill.rs"]
mod kill;
#[path = "common/process.rs"]
mod process;

use process::{PATIENCE, World, client};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A world whose printer writes what it decodes into `labels/`.
fn world_with_labels(extra: &str) -> (World, PathBuf) {
    let out = tempfile::Builder::new()
        .prefix("ps-labels-")
        .tempdir()
        .expect("temp dir")
        .keep();
    let world = World::new(&["--out", out.to_str().expect("utf-8")], extra);
    (world, out)
}

/// PNGs below `dir`, oldest name first, once there are `count` of them.
async fn labels(dir: &Path, count: usize) -> Vec<PathBuf> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut found = pngs(dir);
        if found.len() >= count {
            found.sort();
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{} of {count} labels in {}",
            found.len(),
            dir.display()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn pngs(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(pngs(&path));
        } else if path.extension().is_some_and(|e| e == "png") {
            found.push(path);
        }
    }
    found
}

/// Every barcode that an independent decoder reads from a PNG.
fn codes(png: &Path) -> Vec<String> {
    let picture = image::open(png).expect("a PNG").into_luma8();
    let (width, height) = picture.dimensions();
    // rxing says "nothing found" as an error.
    rxing::helpers::detect_multiple_in_luma(picture.into_raw(), width, height)
        .map(|all| all.iter().map(|code| code.getText().to_owned()).collect())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_scan_puts_the_label_with_its_number_on_paper_and_into_the_ledger() {
    let (world, out) = world_with_labels("");
    world
        .order(json!({ "number": "WEB-1", "parcels": [1.2] }))
        .await;
    let station = world.run();
    // Else it holds several times what it uses (src/system/memory.rs).
    assert_ne!(station.kernel_says("THP_enabled:").as_deref(), Some("1"));
    let (status, reply) = world.scan(&station, "WEB-1", Some("30s")).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["outcome"], "printed", "{reply}");
    assert_eq!(reply["order"], "WEB-1");
    let tracking = reply["tracking"][0].as_str().expect("tracking").to_owned();
    let label = labels(&out, 1).await.remove(0);
    assert!(
        codes(&label).contains(&tracking),
        "{tracking} not on {}",
        label.display()
    );
    let sales = world.sales().await;
    assert_eq!(sales.len(), 1);
    assert_eq!(sales[0]["tracking_numbers"][0], tracking);
    // The ledger has it, also after a stop and a start.
    assert_eq!(station.stop(), Some(0));
    let station = world.run();
    let (status, reply) = world.scan(&station, "web-1", Some("30s")).await;
    assert_eq!(
        (status, reply["code"].as_str()),
        (409, Some("already-printed")),
        "{reply}"
    );
    assert_eq!(reply["next"], "PSTEST.REPRINT or PSTEST.NEXT-PARCEL");
    let orders = client()
        .get(format!(
            "{}/api/orders",
            station.ready["web"].as_str().expect("web")
        ))
        .send()
        .await
        .expect("answer")
        .text()
        .await
        .expect("text");
    let first: Value = serde_json::from_str(orders.lines().next().expect("a line")).expect("json");
    assert_eq!(first["state"], "printed");
    assert_eq!(first["shipments"][0]["tracking"][0], tracking);
    assert_eq!(world.sales().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_parcel_gets_its_own_label() {
    let (world, out) = world_with_labels("");
    world
        .order(json!({ "number": "WEB-3", "parcels": [1.0, 2.0, 3.0] }))
        .await;
    let station = world.run();
    let (_, reply) = world.scan(&station, "WEB-3", Some("30s")).await;
    assert_eq!(reply["outcome"], "printed", "{reply}");
    let wanted: Vec<&str> = reply["tracking"]
        .as_array()
        .expect("list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(wanted.len(), 3);
    let read: Vec<String> = labels(&out, 3)
        .await
        .iter()
        .flat_map(|label| codes(label))
        .collect();
    for number in wanted {
        assert!(
            read.iter().any(|code| code == number),
            "{number} in {read:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unusable_scans_get_their_code_and_the_station_goes_on() {
    let world = World::new(&[], "");
    world
        .order(json!({ "number": "WEB-1", "parcels": [1.2] }))
        .await;
    let station = world.run();
    for text in ["A\u{7}B", "Ärger", "", " \t\r\n"] {
        let (status, reply) = world.scan(&station, text, Some("10s")).await;
        assert_eq!(
            (status, reply["code"].as_str()),
            (422, Some("bad-scan")),
            "{text:?}: {reply}"
        );
    }
    let long = "X".repeat(50_000);
    let (status, reply) = world.scan(&station, &long, Some("10s")).await;
    assert_eq!((status, reply["code"].as_str()), (422, Some("bad-scan")));
    let huge = "X".repeat(1_000_000);
    let (status, _) = world.scan(&station, &huge, Some("10s")).await;
    assert_eq!(status, 413);
    for text in [
        "../../etc/passwd",
        "WEB-1/../WEB-2",
        "%2e%2e",
        "WEB-404",
        "'; DROP TABLE",
        // Two prefixes of a scanner: cleaned once, and kept like that.
        "]C1]C1WEB-404",
    ] {
        let (status, reply) = world.scan(&station, text, Some("20s")).await;
        assert_eq!(
            (status, reply["code"].as_str()),
            (409, Some("order-not-found")),
            "{text:?}: {reply}"
        );
    }
    let (_, reply) = world.scan(&station, "PSOTHR.REDO", Some("10s")).await;
    assert_eq!(reply["code"], "not-this-site");
    let (_, reply) = world.scan(&station, "WEB-1", Some("30s")).await;
    assert_eq!(reply["outcome"], "printed", "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_labels_cost_one_label_and_never_the_shipment() {
    for (fault, code) in [
        ("truncated_base64", "label-unreadable"),
        ("empty_labels", "label-missing"),
    ] {
        let world = World::new(&[], "");
        world
            .order(json!({ "number": "WEB-1", "parcels": [1.2] }))
            .await;
        world
            .order(json!({ "number": "WEB-2", "parcels": [1.2] }))
            .await;
        let station = world.run();
        world
            .faults(json!({ "faults": [format!("{fault}:1:print")] }))
            .await;
        let (status, reply) = world.scan(&station, "WEB-1", Some("30s")).await;
        assert_eq!(
            (status, reply["code"].as_str()),
            (409, Some(code)),
            "{reply}"
        );
        world.faults(json!({ "faults": [] })).await;
        let (_, reply) = world.scan(&station, "WEB-2", Some("30s")).await;
        assert_eq!(reply["outcome"], "printed", "{reply}");
        // The way forward: the same order again.
        tokio::time::sleep(Duration::from_millis(1600)).await;
        let (_, reply) = world.scan(&station, "WEB-1", Some("30s")).await;
        assert_eq!(reply["outcome"], "printed", "{reply}");
        assert_eq!(world.sales().await.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tcp_scanner_and_the_command_line_do_the_same_as_http() {
    let (world, out) = world_with_labels(
        "[[scanners]]\nname = \"bench\"\nconnection = \"tcp-listen://127.0.0.1:0\"\nok = \"\\u0007\"\n",
    );
    world
        .order(json!({ "number": "TCP-1", "parcels": [1.2] }))
        .await;
    world
        .order(json!({ "number": "CLI-1", "parcels": [1.2] }))
        .await;
    let station = world.run();
    let listen = station.ready["scanners"][0]["listen"]
        .as_str()
        .expect("listen");
    let mut scanner = std::net::TcpStream::connect(listen).expect("connect");
    scanner.set_read_timeout(Some(PATIENCE)).expect("timeout");
    scanner.write_all(b"TCP-1\r\n").expect("write");
    let mut beep = [0_u8; 1];
    scanner.read_exact(&mut beep).expect("a beep back");
    assert_eq!(beep, [7]);
    labels(&out, 1).await;
    let done = Command::new(env!("CARGO_BIN_EXE_printstation"))
        .args(["scan", "CLI-1", "--json", "--wait", "30s", "--state-dir"])
        .arg(world.state())
        .output()
        .expect("the command line runs");
    let reply: Value = serde_json::from_slice(&done.stdout).expect("a scan document");
    assert_eq!(reply["outcome"], "printed", "{reply}");
    assert_eq!(done.status.code(), Some(0));
    assert_eq!(world.sales().await.len(), 2);
    assert_eq!(labels(&out, 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_comes_out_of_the_second_printer_and_its_packing_slip_out_of_a_third() {
    let slips = tempfile::tempdir().expect("temp dir");
    // Nothing listens on port 1: not a byte can leave.
    let extra = format!(
        r#"
[[routes]]
account = "main"
printer = "dead"
documents = ["label", "packing-slip"]
[[printers]]
name = "dead"
connection = "tcp://127.0.0.1:1"
language = "epl"
dpi = 300
media = "100x150mm"
fallback = "label"
[[printers.overrides]]
label_type = "packing-slip"
printer = "slips"
[[printers]]
name = "slips"
connection = "file:{}"
language = "png"
media = "210x297mm"
"#,
        slips.path().display()
    );
    let (world, out) = world_with_labels(&extra);
    world
        .order(json!({ "number": "WEB-1", "parcels": [1.2] }))
        .await;
    let station = world.run();
    let (status, reply) = world.scan(&station, "WEB-1", Some("60s")).await;
    assert_eq!(
        (status, reply["outcome"].as_str()),
        (200, Some("printed")),
        "{reply}"
    );
    let message = reply["message"].as_str().expect("message");
    assert!(message.contains("came out of label"), "{message}");
    // Drawn for the paper and the head that it came out of, not for its own printer's.
    let label = labels(&out, 1).await.remove(0);
    let picture = image::open(&label).expect("a PNG").into_luma8();
    assert!(picture.width() < 900, "{:?}", picture.dimensions());
    let tracking = reply["tracking"][0].as_str().expect("tracking").to_owned();
    assert!(codes(&label).contains(&tracking));
    let slip = labels(slips.path(), 1).await.remove(0);
    let name = slip
        .file_name()
        .expect("name")
        .to_string_lossy()
        .into_owned();
    assert!(name.ends_with("-WEB-1-2of2.png"), "{name}");
    assert_eq!(pngs(&out).len() + pngs(slips.path()).len(), 2);
    let web = station.ready["web"].as_str().expect("web");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let order: Value = client()
            .get(format!("{web}/api/orders/WEB-1"))
            .send()
            .await
            .expect("answer")
            .json()
            .await
            .expect("json");
        let pages: Vec<(&str, &str)> = order["pages"]
            .as_array()
            .expect("pages")
            .iter()
            .map(|p| {
                (
                    p["printer"].as_str().expect("printer"),
                    p["state"].as_str().expect("state"),
                )
            })
            .collect();
        if pages == [("label", "printed"), ("slips", "printed")] {
            break;
        }
        assert!(Instant::now() < deadline, "{order}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.sales().await.len(), 1);
}
