//! Nothing that the program writes holds a secret, and nothing above debug a name or an address.
//!
//! One bench with everything it can talk to works for a while with its log at its loudest; then all that
//! it has written and answered is read.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/process.rs"]
#[expect(dead_code, reason = "each test binary uses its own part")]
mod process;

use process::{PATIENCE, Process, client};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Of the people who get the parcels: nowhere above debug.
const PERSONAL: [&str; 6] = [
    "Zebulon",
    "Quagga Crescent",
    "zq@example.net",
    "0491570156",
    "Yolanda",
    "Kookaburra Parade",
];

/// Secrets that only this test knows.
const ALERT_SECRET: &str = "alert-secret-5f0e1c";
const HOOK_SECRET: &str = "hook-secret-77aa01c9";
const WEB_TOKEN: &str = "web-token-0123456789abcdef";
const ALERT_TOKEN: &str = "tk-alert-929292";

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

struct Bench {
    dir: tempfile::TempDir,
    sim: Process,
    secrets: Vec<(String, String)>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ps-privacy-")
            .tempdir()
            .expect("temp dir");
        let state = dir.path().join("sim");
        std::fs::create_dir(&state).expect("sim state");
        let mut args = vec!["sim"];
        for service in ["--starshipit", "--cartoncloud", "--shopify", "--webhook"] {
            args.extend([service, "127.0.0.1:0"]);
        }
        let state = state.to_str().expect("utf-8").to_owned();
        args.extend(["--printer", "label=127.0.0.1:0,zpl", "--rate", "200"]);
        args.extend(["--state", &state]);
        let sim = Process::start(&args, &[], &dir.path().join("sim.log"));
        let ready = &sim.ready;
        let account = &ready["starshipit"]["accounts"][0];
        let secrets = [
            ("API_KEY", text(&account["api_key"])),
            ("SUBSCRIPTION_KEY", text(&account["subscription_key"])),
            ("CARTONCLOUD_ID", text(&ready["cartoncloud"]["client_id"])),
            (
                "CARTONCLOUD_SECRET",
                text(&ready["cartoncloud"]["client_secret"]),
            ),
            (
                "SHOP_TOKEN",
                text(&ready["shopify"]["shops"][0]["access_token"]),
            ),
            ("WEBHOOK_SECRET", text(&ready["webhook"]["secret"])),
            ("ALERT_SECRET", ALERT_SECRET.to_owned()),
            ("HOOK_SECRET", HOOK_SECRET.to_owned()),
            ("WEB_TOKEN", WEB_TOKEN.to_owned()),
        ];
        let secrets = secrets
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec();
        let bench = Self { dir, sim, secrets };
        bench.write_config();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_config(&self) {
        let ready = &self.sim.ready;
        let shop = &ready["shopify"]["shops"][0];
        let webhook = text(&ready["webhook"]["url"]);
        let config = format!(
            r#"[station]
name = "bench-1"
state_dir = {state:?}
duties = ["push", "reconcile"]
[scan]
command_prefix = "PSTEST."
[starshipit]
base_url = "{starshipit}"
requests_per_second = 200
settle = "1s"
[[starshipit.accounts]]
name = "main"
api_key = {{ env = "API_KEY" }}
subscription_key = {{ env = "SUBSCRIPTION_KEY" }}
[cartoncloud]
base_url = "{cartoncloud}"
tenant_id = "{tenant}"
client_id = {{ env = "CARTONCLOUD_ID" }}
client_secret = {{ env = "CARTONCLOUD_SECRET" }}
hook_secret = {{ env = "HOOK_SECRET" }}
poll_interval = "1s"
requests_per_minute = 6000
[cartoncloud.push]
enabled = true
order_number = "{{references.customer}}"
[cartoncloud.writeback]
observe = "0s"
sinks = ["consignment", "order_document", "csv"]
order_document = {{ when = "always" }}
csv_dir = {csv:?}
[[shopify.shops]]
customer = "TEA"
shop = "{shop}.myshopify.com"
base_url = "{shop_url}"
token = {{ env = "SHOP_TOKEN" }}
[[webhooks]]
url = "{webhook}/tracking"
secret = {{ env = "WEBHOOK_SECRET" }}
[[routes]]
account = "main"
printer = "label"
[[printers]]
name = "label"
connection = "tcp://{printer}"
language = "zpl"
[web]
listen = "127.0.0.1:0"
token = {{ env = "WEB_TOKEN" }}
[alerts]
webhook = "{webhook}/alerts?token={ALERT_TOKEN}"
secret = {{ env = "ALERT_SECRET" }}
label_quota = 1
[log]
format = "json"
"#,
            state = self.path("state"),
            starshipit = text(&ready["starshipit"]["url"]),
            cartoncloud = text(&ready["cartoncloud"]["url"]),
            tenant = text(&ready["cartoncloud"]["tenant_id"]),
            csv = self.path("csv"),
            shop = text(&shop["shop"]),
            shop_url = text(&shop["base_url"]),
            printer = text(&ready["printers"][0]["addr"]),
        );
        std::fs::write(self.path("config.toml"), config).expect("config");
    }

    fn run(&self) -> Process {
        let mut envs: Vec<(&str, &str)> = self
            .secrets
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        envs.push(("PRINTSTATION_LOG", "trace"));
        let config = self.path("config.toml");
        let config = config.to_str().expect("utf-8");
        Process::start(&["run", "--config", config], &envs, &self.path("run.log"))
    }

    async fn admin(&self, service: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/_sim/{path}", text(&self.sim.ready[service]["admin"]));
        let request = match body {
            Some(body) => client().post(url).json(&body),
            None => client().get(url),
        };
        let reply = request.send().await.expect("the simulator answers");
        let status = reply.status();
        let text = reply.text().await.expect("text");
        assert!(status.is_success(), "{service} {path}: {status} {text}");
        serde_json::from_str(&text).expect("json")
    }

    async fn scan(&self, web: &str, code: &str) -> Value {
        let reply = client()
            .post(format!("{web}/api/scan?wait=30s"))
            .bearer_auth(WEB_TOKEN)
            .json(&json!({ "code": code }))
            .send()
            .await
            .expect("the station answers");
        reply.json().await.expect("json")
    }
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_nothing_that_is_written_and_people_in_nothing_above_debug() {
    let bench = Bench::new();
    // One order that only Starshipit has, one that comes from CartonCloud, one with a bad address.
    let person = |name: &str, street: &str| json!({ "name": name, "street": street, "email": "zq@example.net", "phone": "0491570156" });
    for (number, bad) in [("WEB-1", false), ("WEB-2", true)] {
        let order = json!({ "number": number, "parcels": [1.2], "address_invalid": bad,
            "recipient": person("Zebulon Quill", "77 Quagga Crescent") });
        bench.admin("starshipit", "orders", Some(order)).await;
    }
    let sale = json!({ "customer": "TEA", "reference": "SO-1", "status": "PACKED",
        "address": { "companyName": "Yolanda Xu", "address1": "8 Kookaburra Parade",
            "email": "zq@example.net", "phone": "0491570156" } });
    bench.admin("cartoncloud", "orders", Some(sale)).await;
    let station = bench.run();
    let web = text(&station.ready["web"]);
    let printed = bench.scan(&web, "WEB-1").await;
    assert_eq!(printed["outcome"], "printed", "{printed}");
    let printed = bench.scan(&web, "SO-1").await;
    assert_eq!(printed["outcome"], "printed", "{printed}");
    let refused = bench.scan(&web, "WEB-2").await;
    assert_eq!(refused["outcome"], "refused", "{refused}");
    // Keys that are refused are shown by many programs.
    let wrong = client()
        .get(format!("{web}/api/status"))
        .bearer_auth("wrong-token-1");
    drop(wrong.send().await);
    let hooks = format!("{web}/api/hooks/cartoncloud/{HOOK_SECRET}");
    let hook = client().post(hooks).json(&json!({ "id": "7" }));
    drop(hook.send().await);
    // Wait until its number and the alert have arrived.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let taken = bench.admin("webhook", "ledger", None).await;
        let paths: Vec<String> = taken["deliveries"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|delivery| text(&delivery["path"]))
            .collect();
        if paths.iter().any(|p| p.contains("/alerts"))
            && paths.iter().any(|p| p.contains("/tracking"))
        {
            break;
        }
        assert!(Instant::now() < deadline, "only {paths:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut answers: Vec<(String, Vec<u8>)> = Vec::new();
    for path in [
        "/",
        "/api/status",
        "/api/orders",
        "/api/orders/SO-1",
        "/api/writebacks",
        "/metrics",
        "/api/openapi.json",
        "/readyz",
        "/nowhere",
        "/api/orders?limit=x",
    ] {
        let reply = client()
            .get(format!("{web}{path}"))
            .send()
            .await
            .expect("an answer");
        answers.push((
            path.to_owned(),
            reply.bytes().await.expect("a body").to_vec(),
        ));
    }
    let config = bench.path("config.toml");
    for verb in [
        &["status", "--json"][..],
        &["orders", "--json"],
        &["writebacks", "--json"],
        &["export", "--since", "1d"],
    ] {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_printstation"))
            .args(verb)
            .arg("--state-dir")
            .arg(bench.path("state"))
            .output()
            .expect("the command line runs");
        assert!(
            done.status.success(),
            "{verb:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        answers.push((verb.join(" "), [done.stdout, done.stderr].concat()));
    }
    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_printstation"))
        .args(["config", "show", "--config"])
        .arg(&config)
        .output()
        .expect("the command line runs");
    answers.push((
        "config show".to_owned(),
        [shown.stdout, shown.stderr].concat(),
    ));
    assert_eq!(station.stop(), Some(0));

    let log = std::fs::read(bench.path("run.log")).expect("log");
    let mut written: Vec<(String, Vec<u8>)> = vec![("the log".to_owned(), log.clone())];
    for file in [files(&bench.path("state")), files(&bench.path("csv"))].concat() {
        let bytes = std::fs::read(&file).expect("a file");
        written.push((file.display().to_string(), bytes));
    }
    assert!(written.len() > 5, "nothing was written: {written:?}");
    // The search can find: what must be there is found by it.
    assert!(written.iter().any(|(_, bytes)| holds(bytes, "Zebulon")));
    written.extend(answers);
    let mut leaks = Vec::new();
    for (place, bytes) in &written {
        let own = bench
            .secrets
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        // Who we are at CartonCloud is no secret by itself, but it is not shown either.
        for (name, secret) in own.chain([
            ("the alerts' address", ALERT_TOKEN),
            ("a wrong token", "wrong-token-1"),
        ]) {
            if holds(bytes, secret) {
                leaks.push(format!("{name} in {place}"));
            }
        }
    }
    assert_eq!(leaks, [""; 0]);

    let mut lines = 0;
    let log = String::from_utf8_lossy(&log);
    for line in log.lines() {
        let line_of: Value = serde_json::from_str(line).expect("a log of JSON lines");
        if !["INFO", "WARN", "ERROR"].contains(&line_of["level"].as_str().unwrap_or("ERROR")) {
            continue;
        }
        lines += 1;
        for personal in PERSONAL {
            assert!(!line.contains(personal), "{personal} in {line}");
        }
    }
    assert!(lines > 5, "the log is empty");
    // What is logged while an order is at work carries its number and printer.
    let page = log
        .lines()
        .find(|line| line.contains("\"message\":\"page\""))
        .expect("a page");
    let page: Value = serde_json::from_str(page).expect("json");
    assert_eq!(page["span"]["name"], "order", "{page}");
    for member in ["order", "printer"] {
        assert!(page["span"][member].is_string(), "{page}");
    }
    // Names and addresses are where `ledger.keep` reaches them, and nowhere else.
    for (place, bytes) in &written {
        let inside = place.contains("/state/ledger/") || !place.contains("/state/");
        for personal in PERSONAL {
            assert!(inside || !holds(bytes, personal), "{personal} in {place}");
        }
    }
}
