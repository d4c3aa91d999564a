//! What supervisors see: metrics that a strict reader understands, alerts that are told once.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/exposition.rs"]
mod exposition;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "each test binary uses its own part")]
mod process;

use exposition::Exposition;
use printstation::sim::webhook::{Delivery, Options, Server, Signature, fault};
use process::{PATIENCE, Process, World, client};
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};

async fn get(station: &Process, path: &str) -> reqwest::Response {
    let web = station.ready["web"].as_str().expect("web");
    let reply = client().get(format!("{web}{path}")).send().await;
    reply.expect("the station answers")
}

async fn metrics(station: &Process) -> (String, Exposition) {
    let reply = get(station, "/metrics").await;
    assert_eq!(reply.status(), 200);
    let kind = reply.headers()["content-type"].to_str().expect("ASCII");
    assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
    let text = reply.text().await.expect("text");
    let read = Exposition::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    (text, read)
}

#[test]
fn the_reader_refuses_what_prometheus_would() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total{b=\"c\\\"d\"} 1\n";
    let read = Exposition::parse(good).expect("good");
    assert_eq!(read.value("a_total", &[("b", "c\"d")]), Some(1.0));
    for bad in [
        "a_total 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1\na 2\n",
        "# HELP a A.\n# TYPE a gauge\na x\n",
        "# HELP a A.\n# TYPE a gauge\nb 1\n",
        "# HELP a A.\n# TYPE a gauge\na{b=c} 1\n",
        "# HELP a A.\n# TYPE a gauge\na 1",
        "# HELP a A.\n# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1\na_sum 1\na_count 1\n",
    ] {
        assert!(Exposition::parse(bad).is_err(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_at_the_bench_is_in_the_metrics_and_no_order_is() {
    let world = World::new(&[], "");
    for number in ["WEB-7001", "WEB-7002"] {
        world
            .order(json!({ "number": number, "parcels": [1.2, 0.8] }))
            .await;
    }
    let station = world.run();
    let (_, before) = metrics(&station).await;
    assert_eq!(
        before.value("printstation_state", &[("state", "ready")]),
        Some(1.0)
    );
    for (code, status) in [
        ("WEB-7001", 200),
        ("WEB-7002", 200),
        ("WEB-7404", 409),
        ("\u{7}", 422),
    ] {
        let (got, reply) = world.scan(&station, code, Some("30s")).await;
        assert_eq!(got, status, "{reply}");
    }
    let (text, after) = metrics(&station).await;
    let value =
        |name: &str, labels: &[(&str, &str)]| after.value(&format!("printstation_{name}"), labels);
    let http = |outcome| [("outcome", outcome), ("trigger", "http")];
    assert_eq!(value("scans_total", &http("printed")), Some(2.0));
    assert_eq!(
        value("refusals_total", &[("code", "order-not-found")]),
        Some(1.0)
    );
    let bought = value("shipments_bought_total", &[("account", "main")]);
    assert_eq!(bought, Some(2.0));
    assert_eq!(value("labels_bought_this_month", &[]), Some(4.0));
    let labels: f64 = after
        .samples
        .iter()
        .filter(|((name, _), _)| name == "printstation_labels_total")
        .map(|(_, count)| count)
        .sum();
    assert_eq!(labels, 4.0, "{text}");
    for stage in ["accepted", "resolve", "buy", "print", "total"] {
        let count = value("stage_seconds_count", &[("stage", stage)]);
        assert!(
            count.is_some_and(|count| count >= 2.0),
            "{stage}: {count:?}"
        );
    }
    let calls = value(
        "api_calls_total",
        &[("service", "starshipit"), ("status", "200")],
    );
    assert!(calls.is_some_and(|calls| calls >= 4.0), "{calls:?}");
    for (name, labels) in [
        ("ledger_flushes_total", &[][..]),
        ("ledger_flush_seconds_count", &[]),
        ("written_bytes_total", &[("by", "ledger")]),
        ("ledger_bytes", &[]),
        ("resident_memory_bytes", &[]),
        ("online", &[("service", "starshipit")]),
        ("printer_ready", &[("printer", "label")]),
        ("update_state", &[("state", "idle")]),
        (
            "rate_budget",
            &[("account", "main"), ("service", "starshipit")],
        ),
        ("build_info", &[("version", env!("CARGO_PKG_VERSION"))]),
    ] {
        assert!(
            value(name, labels).is_some_and(|v| v > 0.0),
            "{name}\n{text}"
        );
    }
    assert_eq!(value("outbox_pending", &[]), Some(0.0));
    for private in ["WEB-7", "ss:main"] {
        assert!(!text.contains(private), "{private} in\n{text}");
    }
    // Whoever else reads it: promtool, where it is.
    let promtool = Command::new("promtool").arg("--version").output();
    if promtool.is_err() {
        println!("skipped: promtool is not here (Debian's package prometheus)");
        return;
    }
    let checked = Command::new("scripts/monitoring/check")
        .arg(station.ready["web"].as_str().expect("web"))
        .output()
        .expect("the script runs");
    assert!(
        checked.status.success(),
        "{}{}",
        String::from_utf8_lossy(&checked.stdout),
        String::from_utf8_lossy(&checked.stderr)
    );
}

/// What was accepted, as `alert subject state`, once `done` says so.
async fn told(server: &Server, done: impl Fn(&[String]) -> bool) -> (Vec<String>, Vec<Delivery>) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let taken: Vec<Delivery> = server
            .deliveries()
            .into_iter()
            .filter(|delivery| delivery.accepted)
            .collect();
        let word = |body: &Value, member: &str| body[member].as_str().unwrap_or("?").to_owned();
        let told: Vec<String> = taken
            .iter()
            .map(|d| {
                let [alert, subject, state] =
                    ["alert", "subject", "state"].map(|member| word(&d.body, member));
                format!("{alert} {subject} {state}")
            })
            .collect();
        if done(&told) {
            return (told, taken);
        }
        assert!(Instant::now() < deadline, "only {told:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_are_told_once_signed_and_called_off_once_also_over_a_restart() {
    let server = Server::start(Options::default()).await.expect("receiver");
    // It is away at first: what is owed is kept and told in order.
    server.set_faults(vec![fault("error_500:once").expect("a fault")]);
    // A port that nobody has: the printer is off.
    let port = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        taken.local_addr().expect("an address").port()
    };
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), server.secret()).expect("the secret");
    let silent = format!("http://127.0.0.1:{port}");
    let world = World::new(
        &[],
        &format!(
            r#"peers = ["{silent}"]
[alerts]
webhook = "{}/alerts?token=tk-1"
secret = {{ file = {:?} }}
printer_down_after = "1s"
bench_silent_after = "2s"
label_quota = 2
"#,
            server.url(),
            secret.path()
        ),
    );
    let text = std::fs::read_to_string(&world.config).expect("config");
    let printer = world.sim.ready["printers"][0]["addr"]
        .as_str()
        .expect("addr");
    let off = text.replace(printer, &format!("127.0.0.1:{port}"));
    std::fs::write(&world.config, off).expect("config");
    world
        .order(json!({ "number": "WEB-1", "parcels": [1.2, 1.3] }))
        .await;
    let station = world.run();
    let (_, reply) = world.scan(&station, "WEB-1", Some("3s")).await;
    assert_ne!(reply["outcome"], "printed", "{reply}");
    let expected = [
        format!("bench-silent {silent} raised"),
        "label-quota 80 raised".to_owned(),
        "label-quota 95 raised".to_owned(),
        "printer-down label raised".to_owned(),
    ];
    let (mut first, taken) = told(&server, |told| told.len() >= expected.len()).await;
    first.sort();
    assert_eq!(first, expected);
    for delivery in &taken {
        assert_eq!(delivery.signature, Signature::Valid);
        assert_eq!(delivery.body["station"], "bench-1");
        assert_eq!(delivery.body["id"], delivery.key);
        assert!(!delivery.body.to_string().contains("WEB-1"));
    }
    let (_, read) = metrics(&station).await;
    let raised = read.value("printstation_alert_raised", &[("alert", "printer-down")]);
    assert_eq!(raised, Some(1.0));
    assert_eq!(station.stop(), Some(0));
    // The printer comes back while the station is away.
    let addr = format!("label=127.0.0.1:{port},zpl");
    let _printer = Process::start(
        &["sim", "--printer", &addr],
        &[],
        &world.dir.path().join("printer.log"),
    );
    let station = world.run();
    let (second, _) = told(&server, |told| {
        told.iter().any(|t| t == "printer-down label cleared")
    })
    .await;
    let mut all = second.clone();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), second.len(), "told twice: {second:?}");
    // The bench that does not answer is still silent (the printer's port speaks no HTTP), and the quota
    // is still used: nothing was repeated and nothing else called off.
    assert_eq!(second.len(), 5, "{second:?}");
    assert_eq!(station.stop(), Some(0));
    let log = std::fs::read_to_string(world.dir.path().join("run.log")).expect("log");
    assert!(!log.contains("tk-1"), "the receiver's token is in the log");
}
