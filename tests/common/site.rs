//! A whole site for tests: every simulator in one process, the station in another, cables between
//! them, and the books of all compared at the end.
//!
//! One shipment per order, each label on paper exactly once, each tracking number once in each place,
//! none in a wrong order or account. `tests/site_end_to_end.rs` pulls cables and kills;
//! `tests/chaos.rs` does everything else as well.
//!
//! Over 500 lines because the configuration of the site and the comparison of its books belong together.

use super::cable::Cable;
use super::process::{PATIENCE, Process, client};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A number from the environment.
pub fn env(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}

/// How long the last numbers may take once every cable is plugged in: longer than the longest backoff
/// of a system that is found to answer again.
pub const WRITTEN: Duration = Duration::from_secs(90);

/// Customers of the simulated warehouse, the account that ships for each, and the status that sends
/// its orders to Starshipit.
pub const ROUTES: [(&str, &str, &str); 3] = [
    ("TEA", "main", "PACKED"),
    ("MUG", "account-2", "PICKED"),
    ("BEE", "account-3", "DISPATCHED"),
];

pub struct Site {
    pub dir: tempfile::TempDir,
    pub sim: Process,
    /// starshipit, cartoncloud, shopify, webhook, printer
    pub cables: Vec<Cable>,
    config: PathBuf,
    how: How,
}

/// What differs between the sites of tests.
pub struct How {
    /// Where the station keeps its state; in the site's own directory when absent.
    pub state: Option<PathBuf>,
    /// `starshipit.request_timeout`.
    pub request_timeout: &'static str,
    /// Further variables of the station's environment.
    pub envs: Vec<(String, String)>,
}

impl Default for How {
    fn default() -> Self {
        Self {
            state: None,
            request_timeout: "10s",
            envs: Vec::new(),
        }
    }
}

impl Site {
    pub async fn new(seed: u64, how: How) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ps-site-")
            .tempdir()
            .expect("temp dir");
        let (state, out) = (dir.path().join("sim"), dir.path().join("labels"));
        std::fs::create_dir(&state).expect("sim state");
        let seed = seed.to_string();
        let args = [
            "sim",
            "--starshipit",
            "127.0.0.1:0",
            "--accounts",
            "3",
            "--cartoncloud",
            "127.0.0.1:0",
            "--shopify",
            "127.0.0.1:0",
            "--webhook",
            "127.0.0.1:0",
            "--printer",
            "label=127.0.0.1:0,zpl",
            "--state",
            state.to_str().expect("utf-8"),
            "--out",
            out.to_str().expect("utf-8"),
            "--seed",
            &seed,
            "--rate",
            "200",
        ];
        let sim = Process::start(&args, &[], &dir.path().join("sim.log"));
        let mut cables = Vec::new();
        for service in ["starshipit", "cartoncloud", "shopify", "webhook"] {
            let url = text(&sim.ready[service]["url"]);
            let to: SocketAddr = url
                .strip_prefix("http://")
                .expect("plain http")
                .split('/')
                .next()
                .expect("an address")
                .parse()
                .expect("an address");
            cables.push(Cable::to(to).await);
        }
        let printer: SocketAddr = text(&sim.ready["printers"][0]["addr"])
            .parse()
            .expect("an address");
        cables.push(Cable::to(printer).await);
        let config = dir.path().join("config.toml");
        let site = Self {
            dir,
            sim,
            cables,
            config,
            how,
        };
        site.write_config();
        site
    }

    fn state(&self) -> PathBuf {
        let own = || self.dir.path().join("state");
        self.how.state.clone().unwrap_or_else(own)
    }

    /// Where the printer's paper is.
    pub fn labels(&self) -> PathBuf {
        self.dir.path().join("labels")
    }

    fn url(&self, service: usize) -> String {
        format!("http://{}", self.cables[service].addr)
    }

    fn write_config(&self) {
        let ready = &self.sim.ready;
        let accounts: String = ROUTES
            .iter()
            .enumerate()
            .map(|(n, (_, account, _))| {
                format!(
                    "[[starshipit.accounts]]\nname = \"{account}\"\n\
                     api_key = {{ env = \"API_KEY_{n}\" }}\n\
                     subscription_key = {{ env = \"SUBSCRIPTION_KEY\" }}\n"
                )
            })
            .collect();
        // Three customers: three statuses, three sets of sinks.
        let sinks = [
            r#"["consignment", "order_document"]"#,
            r#"["consignment", "csv"]"#,
            r#"["consignment"]"#,
        ];
        let routes: String = ROUTES
            .iter()
            .zip(sinks)
            .map(|((customer, account, status), sinks)| {
                format!(
                    "[[routes]]\ncustomer = \"{customer}\"\naccount = \"{account}\"\nprinter = \"label\"\n\
                     [routes.push]\nstatuses = [\"{status}\"]\n\
                     [routes.writeback]\nsinks = {sinks}\nrequire = \"all\"\n"
                )
            })
            .collect();
        let shop = &ready["shopify"]["shops"][0];
        let shop_name = format!("{}.myshopify.com", text(&shop["shop"]));
        let text = format!(
            r#"[station]
name = "bench-1"
state_dir = {state:?}
duties = ["push", "reconcile"]
[scan]
command_prefix = "PSTEST."
[starshipit]
base_url = "{starshipit}"
requests_per_second = 200
request_timeout = "{request_timeout}"
settle = "1s"
{accounts}
[cartoncloud]
base_url = "{cartoncloud}"
tenant_id = "{tenant}"
client_id = {{ env = "CARTONCLOUD_ID" }}
client_secret = {{ env = "CARTONCLOUD_SECRET" }}
poll_interval = "1s"
requests_per_minute = 6000
[cartoncloud.push]
enabled = true
order_number = "{{customer.references.code}}-{{references.customer}}"
[cartoncloud.writeback]
observe = "0s"
order_document = {{ when = "always" }}
csv_dir = {csv:?}
[[shopify.shops]]
customer = "TEA"
shop = "{shop_name}"
base_url = "{shopify}"
token = {{ env = "SHOP_TOKEN" }}
[[webhooks]]
url = "{webhook}/tracking"
secret = {{ env = "HOOK_SECRET" }}
{routes}
[[printers]]
name = "label"
connection = "tcp://{printer}"
language = "zpl"
[offline]
release = "print"
[web]
listen = "127.0.0.1:0"
"#,
            state = self.state(),
            request_timeout = self.how.request_timeout,
            starshipit = self.url(0),
            cartoncloud = self.url(1),
            shopify = text(&shop["base_url"]).replace(
                text(&ready["shopify"]["url"]).trim_end_matches('/'),
                &self.url(2)
            ),
            webhook = self.url(3),
            tenant = text(&ready["cartoncloud"]["tenant_id"]),
            csv = self.dir.path().join("csv"),
            shop_name = shop_name,
            printer = self.cables[4].addr,
        );
        std::fs::write(&self.config, text).expect("config");
    }

    /// Starts the station, or starts it again.
    pub fn run(&self) -> Process {
        self.try_run().unwrap_or_else(|why| panic!("{why}"))
    }

    /// A further bench of the site, without duties: a state of its own, the first one's token. It says that
    /// it shares the key, and so claims what it buys.
    pub fn run_beside(&self, name: &str, benches: usize) -> Process {
        let state = self.dir.path().join(format!("state-{name}"));
        std::fs::create_dir_all(&state).expect("state");
        std::fs::copy(self.state().join("web-token"), state.join("web-token")).expect("token");
        let text = std::fs::read_to_string(&self.config).expect("config");
        let csv = |dir: &str| format!("csv_dir = {:?}", self.dir.path().join(dir));
        let text = text
            .replace("name = \"bench-1\"", &format!("name = \"{name}\""))
            .replace(
                &format!("state_dir = {:?}", self.state()),
                &format!("state_dir = {state:?}"),
            )
            .replace("duties = [\"push\", \"reconcile\"]", "duties = []")
            .replace(&csv("csv"), &csv(&format!("csv-{name}")))
            .replace(
                "requests_per_second = 200",
                &format!("requests_per_second = 200\nstations_sharing_key = {benches}"),
            );
        let config = self.dir.path().join(format!("{name}.toml"));
        std::fs::write(&config, text).expect("config");
        let log = self.dir.path().join(format!("{name}.log"));
        self.try_run_with(&config, &log)
            .unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same; says why it does not become ready.
    pub fn try_run(&self) -> Result<Process, String> {
        self.try_run_with(&self.config, &self.dir.path().join("run.log"))
    }

    fn try_run_with(&self, config: &Path, log: &Path) -> Result<Process, String> {
        let ready = &self.sim.ready;
        let accounts = &ready["starshipit"]["accounts"];
        let key = |n: usize, name: &str| text(&accounts[n][name]);
        let mut envs = vec![
            ("API_KEY_0", key(0, "api_key")),
            ("API_KEY_1", key(1, "api_key")),
            ("API_KEY_2", key(2, "api_key")),
            ("SUBSCRIPTION_KEY", key(0, "subscription_key")),
            ("CARTONCLOUD_ID", text(&ready["cartoncloud"]["client_id"])),
            (
                "CARTONCLOUD_SECRET",
                text(&ready["cartoncloud"]["client_secret"]),
            ),
            (
                "SHOP_TOKEN",
                text(&ready["shopify"]["shops"][0]["access_token"]),
            ),
            ("HOOK_SECRET", text(&ready["webhook"]["secret"])),
            ("RUST_LOG", "info".to_owned()),
        ];
        let more = self.how.envs.iter();
        envs.extend(more.map(|(name, value)| (name.as_str(), value.clone())));
        let envs: Vec<(&str, &str)> = envs.iter().map(|(n, v)| (*n, v.as_str())).collect();
        Process::try_start(
            &["run", "--config", config.to_str().expect("utf-8")],
            &envs,
            log,
        )
    }

    /// One request to a simulator's admin door.
    pub async fn admin(&self, service: &str, path: &str, body: Option<Value>) -> Value {
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

    /// One scan; `None` when the station is gone.
    pub async fn scan(&self, station: &Process, code: &str, wait: &str) -> Option<Value> {
        let web = text(&station.ready["web"]);
        let token = std::fs::read_to_string(self.state().join("web-token")).ok()?;
        let reply = client()
            .post(format!("{web}/api/scan{wait}"))
            .bearer_auth(token.trim())
            .json(&json!({ "code": code }))
            .send()
            .await
            .ok()?;
        reply.json().await.ok()
    }

    /// Tries a writeback again now.
    pub async fn retry(&self, station: &Process, job: &str) {
        let web = text(&station.ready["web"]);
        let token = std::fs::read_to_string(self.state().join("web-token")).expect("token");
        let mut url = reqwest::Url::parse(&web).expect("a URL");
        let mut path = url.path_segments_mut().expect("a base");
        path.extend(["api", "writebacks", job, "retry"]);
        drop(path);
        let reply = client()
            .post(url)
            .bearer_auth(token.trim())
            .json(&json!({}));
        let reply = reply.send().await.expect("the station answers");
        assert!(reply.status().is_success(), "{job}: {}", reply.status());
    }

    pub async fn status(&self, station: &Process) -> Value {
        let web = text(&station.ready["web"]);
        client()
            .get(format!("{web}/api/status"))
            .send()
            .await
            .expect("the station answers")
            .json()
            .await
            .expect("json")
    }

    pub async fn lines(&self, station: &Process, path: &str) -> Vec<Value> {
        let web = text(&station.ready["web"]);
        let body = client()
            .get(format!("{web}{path}"))
            .send()
            .await
            .expect("the station answers")
            .text()
            .await
            .expect("text");
        body.lines()
            .map(|line| serde_json::from_str(line).expect("json"))
            .collect()
    }
}

/// A text in a document.
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// An order of the site.
#[derive(Clone)]
pub struct Sale {
    pub uuid: String,
    pub reference: String,
    pub route: usize,
}

impl Sale {
    /// Its number in Starshipit.
    pub fn number(&self) -> String {
        format!("{}-{}", ROUTES[self.route].0, self.reference)
    }
}

/// Every barcode of every printed label: what the printer's paper says, by an independent decoder.
pub fn barcodes(
    labels: &Path,
    seen: &mut BTreeMap<PathBuf, Vec<String>>,
) -> BTreeMap<String, usize> {
    for entry in std::fs::read_dir(labels).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "png") || seen.contains_key(&path) {
            continue;
        }
        let Ok(picture) = image::open(&path) else {
            // It is being written: next time.
            continue;
        };
        let picture = picture.into_luma8();
        let (width, height) = picture.dimensions();
        // rxing says "nothing found" as an error.
        let codes: BTreeSet<String> =
            rxing::helpers::detect_multiple_in_luma(picture.into_raw(), width, height)
                .map(|all| all.iter().map(|code| code.getText().to_owned()).collect())
                .unwrap_or_default();
        seen.insert(path, codes.into_iter().collect());
    }
    let mut counted = BTreeMap::new();
    for code in seen.values().flatten() {
        *counted.entry(code.clone()).or_default() += 1;
    }
    counted
}

impl Site {
    /// Orders in CartonCloud, and in the shop of the customer that has one.
    pub async fn sell(&self, count: usize) -> Vec<Sale> {
        // The same references in all three customers: a number alone is no identity.
        let mut sales = Vec::new();
        for n in 0..count {
            let route = n % ROUTES.len();
            let reference = format!("SO-{:05}", 10_000 + n / ROUTES.len());
            let order = json!({ "customer": ROUTES[route].0, "reference": reference,
                "properties": { "shopifyOrderId": null } });
            let made = self.admin("cartoncloud", "orders", Some(order)).await;
            sales.push(Sale {
                uuid: text(&made["id"]),
                reference,
                route,
            });
        }
        // The merchant's own shop has its orders, too.
        for sale in sales.iter().filter(|s| s.route == 0) {
            let shop = text(&self.sim.ready["shopify"]["shops"][0]["shop"]);
            let made = self
                .admin(
                    "shopify",
                    "orders",
                    Some(json!({ "shop": shop, "name": sale.reference })),
                )
                .await;
            let properties = json!({ "shopifyOrderId": made["id"] });
            let path = format!("orders/{}/properties", sale.uuid);
            self.admin("cartoncloud", &path, Some(properties)).await;
        }
        sales
    }
}

/// What a person at the bench does until every order has its label: scans it, and where the station
/// does not know, looks at the paper and says so.
pub async fn print_all(site: &Site, station: &Process, sales: &[Sale], seed: u64) {
    // Every order gets its label in the end, by what a person at the bench would do.
    let mut seen = BTreeMap::new();
    for sale in sales {
        // Reading every label with a debug build's decoder takes a while.
        let deadline = Instant::now() + 5 * PATIENCE;
        loop {
            let Some(reply) = site.scan(station, &sale.uuid, "?wait=30s").await else {
                panic!("{}: the station is gone", sale.number());
            };
            let outcome = reply["outcome"].as_str().unwrap_or_default();
            let code = reply["code"].as_str().unwrap_or_default();
            if outcome == "printed" || code == "already-printed" {
                break;
            }
            if code == "printer-in-doubt" {
                // The packer looks at the label: is it there? One that is on its way takes a moment.
                tokio::time::sleep(Duration::from_millis(700)).await;
                let tracking = text(&reply["tracking"][0]);
                let looking = Instant::now();
                let there = barcodes(&site.labels(), &mut seen).contains_key(&tracking);
                // The question is open for 30 s; reading many labels may take longer.
                if looking.elapsed() > Duration::from_secs(15) {
                    continue;
                }
                let answer = if there {
                    "PSTEST.YES"
                } else {
                    "PSTEST.REPRINT"
                };
                site.scan(station, answer, "?wait=30s").await;
            }
            if code == "paused" || outcome == "queued" {
                site.scan(station, "PSTEST.RESUME", "").await;
            }
            assert!(
                Instant::now() < deadline,
                "seed {seed}: {} is stuck: {reply}",
                sale.number()
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

/// Every number arrives by itself.
pub async fn all_written(site: &Site, station: &Process, seed: u64) {
    let deadline = Instant::now() + WRITTEN;
    loop {
        let status = site.status(station).await;
        if status["writebacks"]["pending"] == 0 {
            assert_eq!(status["writebacks"]["conflicts"], 0, "{status}");
            break;
        }
        if Instant::now() >= deadline {
            let open: Vec<String> = site
                .lines(station, "/api/writebacks")
                .await
                .iter()
                .filter(|job| job["state"] != "done")
                .map(Value::to_string)
                .collect();
            let log = std::fs::read_to_string(site.dir.path().join("run.log")).unwrap_or_default();
            panic!("seed {seed}: {status}\n{}\n{log}", open.join("\n"));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Compares all books.
pub async fn check(site: &Site, station: &Process, sales: &[Sale], seed: u64) {
    let labels = &site.labels();
    // One shipment per order, in its own account.
    let ledger = site.admin("starshipit", "ledger", None).await;
    let sold = ledger["sales"].as_array().expect("sales");
    let mut tracking: BTreeMap<String, String> = BTreeMap::new();
    for sale in sold {
        let number = text(&sale["order_number"]);
        let before = tracking.insert(number.clone(), text(&sale["tracking_numbers"][0]));
        assert_eq!(before, None, "seed {seed}: {number} was sold twice");
        let ours = sales
            .iter()
            .find(|s| s.number() == number)
            .unwrap_or_else(|| panic!("seed {seed}: {number} is nobody's"));
        assert_eq!(
            text(&sale["account"]),
            ROUTES[ours.route].1,
            "seed {seed}: {number} was bought with another's key"
        );
    }
    assert_eq!(sold.len(), sales.len(), "seed {seed}: shipments sold");

    // Each label is at the printer, and not twice.
    let mut seen = BTreeMap::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let printed = barcodes(labels, &mut seen);
        let missing: Vec<_> = tracking
            .values()
            .filter(|number| !printed.contains_key(*number))
            .collect();
        if missing.is_empty() {
            let twice: Vec<_> = printed
                .iter()
                .filter(|(code, times)| **times > 1 && tracking.values().any(|t| t == *code))
                .collect();
            assert!(twice.is_empty(), "seed {seed}: printed twice: {twice:?}");
            break;
        }
        assert!(
            Instant::now() < deadline,
            "seed {seed}: labels missing: {missing:?}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    // Each number is in its own consignment, written once.
    let mut written: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let journal = site.admin("cartoncloud", "journal", None).await;
    for write in journal["writes"].as_array().expect("writes") {
        let what = text(&write["call"]);
        let which = match what.as_str() {
            "consignment-put" => text(&write["tracking"]),
            "document-create" => text(&write["name"]),
            other => panic!("seed {seed}: nobody asked for {other}: {write}"),
        };
        written
            .entry((text(&write["order"]), what))
            .or_default()
            .push(which);
    }
    let hooks = site.admin("webhook", "ledger", None).await;
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut keys: BTreeSet<String> = BTreeSet::new();
    for delivery in hooks["deliveries"].as_array().expect("deliveries") {
        // One that was signed under a wrong clock is refused as stale, and comes again.
        let refused = delivery["accepted"] == false && delivery["signature"] == "stale";
        assert!(refused || delivery["signature"] == "valid", "{delivery}");
        // A delivery whose answer was lost comes again under its key: the receiver's one.
        if delivery["accepted"] == true && keys.insert(text(&delivery["key"])) {
            told.entry(text(&delivery["body"]["order"]))
                .or_default()
                .push(text(&delivery["body"]["tracking"][0]));
        }
    }
    let shops = site.admin("shopify", "ledger", None).await;
    let mut fulfilled: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in shops["entries"].as_array().expect("entries") {
        fulfilled
            .entry(text(&entry["name"]))
            .or_default()
            .push(text(&entry["numbers"][0]));
    }
    // Each bench has its own folder.
    let csv: String = std::fs::read_dir(site.dir.path())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("csv"))
        .flat_map(|dir| std::fs::read_dir(dir.path()).expect("a folder").flatten())
        .map(|entry| std::fs::read_to_string(entry.path()).expect("csv"))
        .collect();
    for sale in sales {
        let number = sale.number();
        let ours = &tracking[&number];
        let at = |what: &str| {
            written
                .get(&(sale.uuid.clone(), what.to_owned()))
                .cloned()
                .unwrap_or_default()
        };
        assert_eq!(
            at("consignment-put"),
            std::slice::from_ref(ours),
            "seed {seed}: {number} in its consignment"
        );
        let documents = at("document-create");
        if sale.route == 0 {
            assert_eq!(documents.len(), 1, "seed {seed}: {number}: {documents:?}");
            assert!(documents[0].contains(ours), "{documents:?}");
            assert_eq!(
                fulfilled.get(&sale.reference).cloned().unwrap_or_default(),
                std::slice::from_ref(ours),
                "seed {seed}: {number} in its shop"
            );
        } else {
            assert!(documents.is_empty(), "seed {seed}: {number}: {documents:?}");
        }
        let lines = csv.lines().filter(|line| line.contains(ours)).count();
        assert_eq!(
            lines,
            usize::from(sale.route == 1),
            "seed {seed}: {number} in the csv"
        );
        assert_eq!(
            told.get(&number).cloned().unwrap_or_default(),
            std::slice::from_ref(ours),
            "seed {seed}: {number} at the webhook"
        );
    }
    assert_eq!(
        fulfilled.len(),
        sales.iter().filter(|s| s.route == 0).count(),
        "seed {seed}: nothing crossed into the shop"
    );
    let open = site.lines(station, "/api/writebacks").await;
    assert!(
        open.iter().all(|w| w["state"] == "done"),
        "seed {seed}: {open:#?}"
    );
}
