//! Labels ahead of the scan, by the built binary: sale orders are packed and their labels bought, one in
//! ten is cancelled and one in ten changed, at CartonCloud's or Starshipit's own screen; half are
//! scanned, the network is cut, the rest are scanned. The process is killed while it buys.
//!
//! What is right prints without a call to a courier; what is wrong is refused where that can be known,
//! and told when the network is back where it cannot. At the end the station's books are compared with
//! the simulator's, to the cent. `PRINTSTATION_AHEAD_ORDERS` makes it longer (`scripts/ahead`: 200).

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/cable.rs"]
mod cable;
#[path = "common/process.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod process;

use cable::Cable;
use process::{PATIENCE, Process, client};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What happened to an order after its label was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Right,
    /// At CartonCloud's screen: the poll hears of it.
    Cancelled,
    Changed,
    /// At Starshipit's own screen: only the re-check sees it.
    Archived,
    Moved,
}

impl Fate {
    fn code(self) -> &'static str {
        match self {
            Self::Right => "",
            Self::Cancelled | Self::Archived => "order-cancelled",
            Self::Changed | Self::Moved => "order-changed",
        }
    }

    fn is_heard_of(self) -> bool {
        matches!(self, Self::Cancelled | Self::Changed)
    }
}

struct Site {
    dir: tempfile::TempDir,
    sim: Process,
    cables: Vec<Cable>,
    config: PathBuf,
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

impl Site {
    async fn new(cap: usize) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ps-ahead-")
            .tempdir()
            .expect("temp dir");
        let state = dir.path().join("sim");
        std::fs::create_dir(&state).expect("sim state");
        let args = [
            "sim",
            "--starshipit",
            "127.0.0.1:0",
            "--cartoncloud",
            "127.0.0.1:0",
            "--printer",
            "label=127.0.0.1:0,zpl",
            "--state",
            state.to_str().expect("utf-8"),
            "--rate",
            "200",
        ];
        let sim = Process::start(&args, &[], &dir.path().join("sim.log"));
        let mut cables = Vec::new();
        for service in ["starshipit", "cartoncloud"] {
            let url = text(&sim.ready[service]["url"]);
            let to: SocketAddr = url
                .strip_prefix("http://")
                .and_then(|rest| rest.split('/').next())
                .and_then(|addr| addr.parse().ok())
                .expect("a plain address");
            cables.push(Cable::to(to).await);
        }
        let config = dir.path().join("config.toml");
        let site = Self {
            dir,
            sim,
            cables,
            config,
        };
        let ready = &site.sim.ready;
        let text = format!(
            r#"[station]
name = "bench-1"
state_dir = {state:?}
timezone = "Australia/Brisbane"
duties = ["push", "prefetch"]
[scan]
command_prefix = "PSTEST."
[starshipit]
base_url = "http://{starshipit}"
requests_per_second = 200
request_timeout = "10s"
settle = "1s"
[[starshipit.accounts]]
name = "main"
api_key = {{ env = "API_KEY" }}
subscription_key = {{ env = "SUBSCRIPTION_KEY" }}
[cartoncloud]
base_url = "http://{cartoncloud}"
tenant_id = "{tenant}"
client_id = {{ env = "CARTONCLOUD_ID" }}
client_secret = {{ env = "CARTONCLOUD_SECRET" }}
poll_interval = "1s"
requests_per_minute = 6000
[cartoncloud.push]
enabled = true
[cartoncloud.push.fields]
carrier = "properties.courier"
[cartoncloud.on_status]
PACKED = "prefetch"
[cartoncloud.writeback]
observe = "0s"
sinks = ["consignment"]
[prefetch]
couriers = ["Australia Post"]
daily_cap = {cap}
recheck = "5s"
[[routes]]
account = "main"
printer = "label"
[[printers]]
name = "label"
connection = "tcp://{printer}"
language = "zpl"
[web]
listen = "127.0.0.1:0"
"#,
            state = site.state(),
            starshipit = site.cables[0].addr,
            cartoncloud = site.cables[1].addr,
            tenant = text(&ready["cartoncloud"]["tenant_id"]),
            printer = text(&ready["printers"][0]["addr"]),
        );
        std::fs::write(&site.config, text).expect("config");
        site
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn run(&self) -> Process {
        let ready = &self.sim.ready;
        let account = &ready["starshipit"]["accounts"][0];
        Process::start(
            &["run", "--config", self.config.to_str().expect("utf-8")],
            &[
                ("API_KEY", &text(&account["api_key"])),
                ("SUBSCRIPTION_KEY", &text(&account["subscription_key"])),
                ("CARTONCLOUD_ID", &text(&ready["cartoncloud"]["client_id"])),
                (
                    "CARTONCLOUD_SECRET",
                    &text(&ready["cartoncloud"]["client_secret"]),
                ),
                ("RUST_LOG", "info"),
            ],
            &self.dir.path().join("run.log"),
        )
    }

    async fn admin(&self, service: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/_sim/{path}", text(&self.sim.ready[service]["admin"]));
        let request = match body {
            Some(body) if path.starts_with("orders/") && service == "cartoncloud" => {
                client().patch(url).json(&body)
            }
            Some(body) => client().post(url).json(&body),
            None => client().get(url),
        };
        let reply = request.send().await.expect("the simulator answers");
        let status = reply.status();
        let text = reply.text().await.expect("text");
        assert!(status.is_success(), "{service} {path}: {status} {text}");
        serde_json::from_str(&text).expect("json")
    }

    async fn scan(&self, station: &Process, code: &str) -> Value {
        let web = text(&station.ready["web"]);
        let token = std::fs::read_to_string(self.state().join("web-token")).expect("token");
        client()
            .post(format!("{web}/api/scan?wait=30s"))
            .bearer_auth(token.trim())
            .json(&json!({ "code": code }))
            .send()
            .await
            .expect("the station answers")
            .json()
            .await
            .expect("json")
    }

    async fn status(&self, station: &Process) -> Value {
        let web = text(&station.ready["web"]);
        let reply = client().get(format!("{web}/api/status")).send().await;
        reply.expect("an answer").json().await.expect("json")
    }

    /// Every order of the ledger, by number.
    async fn orders(&self, station: &Process) -> BTreeMap<String, Value> {
        let web = text(&station.ready["web"]);
        let mut all = BTreeMap::new();
        let mut after = String::new();
        loop {
            let body = client()
                .get(format!("{web}/api/orders?limit=100{after}"))
                .send()
                .await
                .expect("the station answers")
                .text()
                .await
                .expect("text");
            let mut last = None;
            for line in body.lines() {
                let order: Value = serde_json::from_str(line).expect("json");
                last = Some(text(&order["id"]));
                all.insert(text(&order["order"]), order);
            }
            match last {
                Some(last) => after = format!("&after={last}"),
                None => return all,
            }
        }
    }

    /// Waits until the status is so.
    async fn until(&self, station: &Process, what: &str, so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + 5 * PATIENCE;
        loop {
            let status = self.status(station).await;
            if so(&status) {
                return status;
            }
            if Instant::now() >= deadline {
                let log =
                    std::fs::read_to_string(self.dir.path().join("run.log")).unwrap_or_default();
                panic!("{what}: {status}\n{log}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_prints_without_the_network_and_what_is_wrong_is_never_silent() {
    let count = std::env::var("PRINTSTATION_AHEAD_ORDERS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_usize);
    let seed = 4711;
    let site = Site::new(count).await;
    let station = site.run();
    let number = |n: usize| format!("WEB-{:05}", 20_000 + n);
    for n in 0..count {
        let order = json!({ "reference": number(n), "status": "PACKED",
            "properties": { "courier": "AusPost" } });
        site.admin("cartoncloud", "orders", Some(order)).await;
    }
    // Killed while it buys: what was sold is found again, and nothing is sold twice.
    let half = u64::try_from(count / 2).expect("a small number");
    site.until(&station, "labels are bought ahead", |s| {
        s["prefetch"]["today"].as_u64() >= Some(half)
    })
    .await;
    station.kill();
    let station = site.run();
    let all = u64::try_from(count).expect("a small number");
    let status = site
        .until(&station, "every label is held, with its price", |s| {
            s["unused"]["labels"].as_u64() == Some(all)
                && s["unused"]["unpriced"] == 0
                && s["prefetch"]["waiting"] == 0
                && s["waiting"] == 0
        })
        .await;
    let sold = site.admin("starshipit", "ledger", None).await;
    assert_eq!(
        sold["sales"].as_array().map(Vec::len),
        Some(count),
        "{status}"
    );
    assert_eq!(
        status["unused"]["cents"], sold["total_cents"],
        "to the cent"
    );
    assert_eq!(status["prefetch"]["code"], "prefetch-limit", "{status}");
    let ready = site.orders(&station).await;
    for order in ready.values() {
        assert_eq!(order["state"], "held", "{order}");
    }

    // One in ten is cancelled, one in ten changed; half of them where the poll does not look.
    let mut fates = vec![Fate::Right; count];
    let part = (count / 20).max(1);
    for (at, fate) in [Fate::Cancelled, Fate::Changed, Fate::Archived, Fate::Moved]
        .into_iter()
        .flat_map(|fate| std::iter::repeat_n(fate, part))
        .enumerate()
    {
        fates[at] = fate;
    }
    for (n, fate) in fates.iter().enumerate() {
        let path = format!("orders/{}", number(n));
        let (service, path, change) = match fate {
            Fate::Right => continue,
            Fate::Cancelled => ("cartoncloud", path, json!({ "cancel": true })),
            Fate::Changed => {
                let address = json!({ "address": { "address1": "99 Other Street" } });
                ("cartoncloud", path, address)
            }
            Fate::Archived => (
                "starshipit",
                format!("{path}/status"),
                json!({ "archive": true }),
            ),
            Fate::Moved => {
                let address = json!({ "address": { "street": "99 Other Street" } });
                ("starshipit", format!("{path}/status"), address)
            }
        };
        site.admin(service, &path, Some(change)).await;
    }
    site.until(
        &station,
        "the poll has heard of CartonCloud's changes",
        |s| {
            let list = s["unused"]["list"].as_array().cloned().unwrap_or_default();
            list.iter().filter(|label| !label["code"].is_null()).count() == (2 * part).min(50)
        },
    )
    .await;

    // Half are scanned with the network, half without.
    let mut turn: Vec<usize> = (0..count).collect();
    turn.shuffle(&mut StdRng::seed_from_u64(seed));
    // Of each kind some on both sides of the cut.
    turn.sort_by_key(|n| n % 2);
    let (with, without) = turn.split_at(count.div_ceil(2));
    let bought = site.admin("starshipit", "ledger", None).await;
    let mut told = BTreeMap::new();
    let (mut printed, mut refused) = (0, 0);
    for (cut, turn) in [(false, with), (true, without)] {
        if cut {
            for cable in &site.cables {
                cable.set(cable::Line::Pulled);
            }
        }
        for n in turn {
            let (number, fate) = (number(*n), fates[*n]);
            let reply = site.scan(&station, &number).await;
            let prints = fate == Fate::Right || (cut && !fate.is_heard_of());
            if prints {
                printed += 1;
                assert_eq!(
                    reply["outcome"], "printed",
                    "{number} {fate:?} {cut}: {reply}"
                );
                assert!(reply["timings_ms"]["buy"].is_null(), "{reply}");
                let unsure = text(&reply["message"]).contains("could not be checked");
                assert_eq!(unsure, cut, "{number}: {reply}");
                if fate != Fate::Right {
                    told.insert(number, fate);
                }
            } else {
                refused += 1;
                assert_eq!(
                    reply["code"],
                    fate.code(),
                    "{number} {fate:?} {cut}: {reply}"
                );
            }
        }
    }
    for cable in &site.cables {
        cable.plug();
    }
    println!(
        "{count} orders: {printed} printed, {refused} refused, {} told afterwards",
        told.len()
    );
    assert_eq!(printed + refused, count);
    assert_eq!(refused + told.len(), 4 * part);

    // Nothing is silently wrong: what could not be seen is told.
    let deadline = Instant::now() + 3 * PATIENCE;
    let orders = loop {
        let orders = site.orders(&station).await;
        let checked = orders.values().all(|order| {
            let mut shipments = order["shipments"].as_array().into_iter().flatten();
            shipments.all(|s| s["unverified"] == false)
        });
        let written = site.status(&station).await["writebacks"]["pending"] == 0;
        if checked && written {
            break orders;
        }
        assert!(Instant::now() < deadline, "{orders:#?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    for (number, order) in &orders {
        let deeds = order["deeds"].to_string();
        let said = told.get(number).map(|fate| fate.code());
        assert_eq!(
            deeds.contains("printed unchecked, and was"),
            said.is_some(),
            "{order}"
        );
        assert!(said.is_none_or(|code| deeds.contains(code)), "{order}");
    }

    // The books agree, to the cent; nothing was bought at a scan.
    let sold = site.admin("starshipit", "ledger", None).await;
    assert_eq!(sold, bought, "a scan of a held label buys nothing");
    let cents: u64 = orders
        .values()
        .flat_map(|order| order["shipments"].as_array().cloned().unwrap_or_default())
        .map(|shipment| shipment["price_cents"].as_u64().expect("a price"))
        .sum();
    assert_eq!(json!(cents), sold["total_cents"]);
    let status = site.status(&station).await;
    assert_eq!(status["unused"]["labels"], refused, "{status}");
    let printers = orders.values().filter(|o| o["state"] == "printed").count();
    assert_eq!(printers, printed);

    // What is not wanted is archived on request; only what was printed is written back.
    let number = number(
        fates
            .iter()
            .position(|fate| *fate == Fate::Cancelled)
            .expect("one was cancelled"),
    );
    let web = text(&station.ready["web"]);
    let token = std::fs::read_to_string(site.state().join("web-token")).expect("token");
    let reply: Value = client()
        .post(format!("{web}/api/orders/{number}/cancel?wait=30s"))
        .bearer_auth(token.trim())
        .json(&json!({}))
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("json");
    assert!(
        text(&reply["message"]).contains("may still bill"),
        "{reply}"
    );
    let journal = site.admin("cartoncloud", "journal", None).await;
    let writes = journal["writes"].as_array().map_or(0, Vec::len);
    assert_eq!(writes, printed, "one consignment per printed label");
    assert_eq!(station.stop(), Some(0), "a drained station exits 0");
}
