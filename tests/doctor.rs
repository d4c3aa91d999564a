//! `printstation doctor` and `support-bundle`: the built binary against the simulators. Each fault has
//! its line with its fix; nothing is bought, printed or disturbed by asking.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/process.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts")]
mod process;

use printstation::sim::printer::{self, Fault, Server, Speaks};
use process::{PATIENCE, Process, client};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Secrets that no output may ever hold.
const WEB_TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A site with both services and a printer that this process holds.
struct Bench {
    dir: tempfile::TempDir,
    sim: Process,
    printer: Server,
    config: PathBuf,
    env: Vec<(String, String)>,
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Bench {
    async fn new(sim_args: &[&str]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ps-doctor-")
            .tempdir()
            .expect("temp dir");
        let mut args = vec![
            "sim",
            "--starshipit",
            "127.0.0.1:0",
            "--cartoncloud",
            "127.0.0.1:0",
            "--rate",
            "200",
        ];
        args.extend(sim_args);
        let sim = Process::start(&args, &[], &dir.path().join("sim.log"));
        let options = printer::Options::new("label", Speaks::Zpl);
        let at = "127.0.0.1:0".parse().expect("an address");
        let printer = Server::start(at, options, None).await.expect("a printer");
        let account = &sim.ready["starshipit"]["accounts"][0];
        let cloud = &sim.ready["cartoncloud"];
        let env = [
            ("API_KEY", text(&account["api_key"])),
            ("SUBSCRIPTION_KEY", text(&account["subscription_key"])),
            ("CARTONCLOUD_ID", text(&cloud["client_id"])),
            ("CARTONCLOUD_SECRET", text(&cloud["client_secret"])),
            ("WEB_TOKEN", WEB_TOKEN.to_owned()),
        ];
        let env = env.map(|(key, value)| (key.to_owned(), value)).to_vec();
        let bench = Self {
            config: dir.path().join("config.toml"),
            dir,
            sim,
            printer,
            env,
        };
        bench.configure("[\"push\", \"reconcile\"]", "");
        bench
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Writes the configuration of this bench, with its duties and whatever else.
    fn configure(&self, duties: &str, extra: &str) {
        self.configure_at(&self.config, &self.state(), "bench-1", duties, extra);
    }

    fn configure_at(&self, file: &Path, state: &Path, name: &str, duties: &str, extra: &str) {
        let (web, rest) = extra.split_once('|').unwrap_or(("", extra));
        let text = format!(
            r#"[station]
name = "{name}"
state_dir = {state:?}
duties = {duties}
[scan]
command_prefix = "PSTEST."
[[scanners]]
name = "bench"
connection = "tcp-listen://127.0.0.1:0"
[starshipit]
base_url = "{starshipit}"
requests_per_second = 200
request_timeout = "10s"
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
poll_interval = "1s"
requests_per_minute = 6000
[cartoncloud.push]
enabled = true
[[printers]]
name = "label"
connection = "tcp://{printer}"
language = "zpl"
[web]
listen = "127.0.0.1:0"
token = {{ env = "WEB_TOKEN" }}
{web}
{rest}
"#,
            starshipit = text(&self.sim.ready["starshipit"]["url"]),
            cartoncloud = text(&self.sim.ready["cartoncloud"]["url"]),
            tenant = text(&self.sim.ready["cartoncloud"]["tenant_id"]),
            printer = self.printer.addr(),
        );
        std::fs::write(file, text).expect("config");
    }

    fn envs(&self) -> Vec<(&str, &str)> {
        self.env
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    fn set(&mut self, key: &str, value: &str) {
        for (known, old) in &mut self.env {
            if known == key {
                value.clone_into(old);
            }
        }
    }

    fn run(&self) -> Process {
        self.run_at(&self.config)
    }

    fn run_at(&self, config: &Path) -> Process {
        Process::start(
            &["run", "--config", config.to_str().expect("utf-8")],
            &self.envs(),
            &self.dir.path().join("run.log"),
        )
    }

    /// Runs a verb; exit code and standard output. Beside the runtime: this process serves the printer.
    async fn verb(&self, args: &[&str]) -> (i32, Vec<u8>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_printstation"));
        command
            .args(args)
            .args(["--config", self.config.to_str().expect("utf-8")])
            .args(["--install-root", "/nonexistent"])
            .env_remove("PRINTSTATION_STATE_DIR")
            .env_remove("CREDENTIALS_DIRECTORY")
            .envs(self.envs());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .expect("a thread")
            .expect("the binary starts");
        let code = output.status.code().expect("an exit code");
        (code, output.stdout)
    }

    async fn doctor(&self) -> Report {
        let (exit, out) = self.verb(&["doctor", "--json"]).await;
        let out = String::from_utf8(out).expect("utf-8");
        let document = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
        for (_, secret) in &self.env {
            assert!(!out.contains(secret), "a secret is told");
        }
        Report { exit, document }
    }

    async fn admin(&self, service: &str, path: &str, body: Value) -> Value {
        let admin = text(&self.sim.ready[service]["admin"]);
        let reply = client()
            .post(format!("{admin}/_sim/{path}"))
            .json(&body)
            .send()
            .await
            .expect("sim answers");
        assert!(reply.status().is_success(), "{:?}", reply.text().await);
        reply.json().await.unwrap_or(Value::Null)
    }

    async fn sales(&self) -> usize {
        let admin = text(&self.sim.ready["starshipit"]["admin"]);
        let ledger = client().get(format!("{admin}/_sim/ledger")).send().await;
        let ledger: Value = ledger.expect("sim answers").json().await.expect("json");
        ledger["sales"].as_array().expect("a list").len()
    }
}

struct Report {
    exit: i32,
    document: Value,
}

impl Report {
    fn lines(&self) -> impl Iterator<Item = &Value> {
        self.document["lines"].as_array().expect("lines").iter()
    }

    /// The line of a check and a name.
    #[track_caller]
    fn line(&self, check: &str, name: &str) -> &Value {
        self.lines()
            .find(|line| line["check"] == check && line["name"] == name)
            .unwrap_or_else(|| panic!("no {check} {name} in {:#}", self.document))
    }

    /// A line that is not ok, and that it says what to do.
    #[track_caller]
    fn told(&self, check: &str, name: &str, state: &str, code: Option<&str>, fix: &str) {
        let found = self
            .lines()
            .filter(|line| line["check"] == check && line["name"] == name)
            .find(|line| line["state"] == state && line["code"].as_str() == code)
            .unwrap_or_else(|| panic!("no {state} {check} {name} in {:#}", self.document));
        let said = text(&found["fix"]);
        assert!(said.contains(fix), "{fix:?} is not in {found:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_that_is_well_is_told_so_and_nothing_is_bought_printed_or_disturbed() {
    let bench = Bench::new(&["--orders", "2", "--order-status", "PACKED"]).await;
    let is_well = |report: &Report| {
        for (check, name) in [
            ("starshipit", "main"),
            ("courier", "main"),
            ("quota", "main"),
            ("cartoncloud", "token and tenant"),
            ("cartoncloud", "change consignments"),
            ("cartoncloud", "read products (version 8)"),
            ("duty", "push"),
            ("printer", "label"),
            ("scanner", "bench"),
            ("number", ""),
            ("held", ""),
        ] {
            assert_eq!(report.line(check, name)["state"], "ok", "{check} {name}");
        }
        let what = text(&report.line("printer", "label")["what"]);
        assert!(what.contains("zpl") && what.contains("100x150mm"), "{what}");
        // Whether a temporary folder survives a restart is this machine's business.
        let failed: Vec<&Value> = report
            .lines()
            .filter(|line| line["state"] == "fail" && line["check"] != "card")
            .collect();
        assert!(failed.is_empty(), "{failed:#?}");
        assert_eq!(report.exit == 0, report.document["fail"] == 0);
    };
    // Without a station.
    let report = bench.doctor().await;
    is_well(&report);
    assert_eq!(report.document["running"], false);
    report.told("station", "", "warn", None, "systemctl start printstation");
    assert!(!bench.state().exists(), "a look makes nothing");

    // Beside a running one.
    let station = bench.run();
    let begun = Instant::now();
    let mut report = bench.doctor().await;
    // A new index is filled first.
    while report.line("ledger", "index")["state"] != "ok" {
        assert!(begun.elapsed() < PATIENCE, "{:#}", report.document);
        report = bench.doctor().await;
    }
    is_well(&report);
    assert_eq!(report.document["running"], true);
    let (exit, out) = bench.verb(&["doctor"]).await;
    let out = String::from_utf8(out).expect("utf-8");
    assert!(exit <= 1 && out.contains("ok    printer label: "), "{out}");
    assert_eq!(bench.sales().await, 0);
    assert_eq!(bench.printer.labels().len(), 0);
    // It is not for others: there is no such address over TCP.
    let web = text(&station.ready["web"]);
    let reply = client().get(format!("{web}/api/doctor")).send().await;
    assert_eq!(reply.expect("an answer").status(), 404);
    assert_eq!(station.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_missing_roles_and_missing_credentials_are_named_with_their_fix() {
    let mut bench = Bench::new(&[
        "--switch",
        "cartoncloud.role-tms-create-jobs=missing",
        "--switch",
        "cartoncloud.role-wms-edit-product=missing",
        "--orders",
        "1",
    ])
    .await;
    let right = bench.env[0].1.clone();
    bench.set("API_KEY", "00000000000000000000000000000000");
    let report = bench.doctor().await;
    let unauthorized = Some("starshipit-unauthorized");
    report.told("starshipit", "main", "fail", unauthorized, "Settings > API");
    let denied = Some("cartoncloud-unauthorized");
    report.told(
        "cartoncloud",
        "change consignments",
        "fail",
        denied,
        "the role TMS Create Jobs",
    );
    report.told(
        "cartoncloud",
        "read products (version 8)",
        "fail",
        denied,
        "the role WMS Edit Product",
    );
    assert_eq!(report.exit, 1);

    // A credential that is not there is a line, not the end (contract 27).
    bench.set("API_KEY", &right);
    let key = bench.dir.path().join("key");
    let named = std::fs::read_to_string(&bench.config)
        .expect("config")
        .replace("{ env = \"API_KEY\" }", &format!("{{ file = {key:?} }}"));
    std::fs::write(&bench.config, named).expect("config");
    let report = bench.doctor().await;
    let name = "starshipit.accounts.main.api_key";
    report.told("credential", name, "fail", None, "0600");
    assert_eq!(report.exit, 1);
    // What does not depend on it is looked at all the same.
    assert_eq!(report.line("printer", "label")["state"], "ok");
    // World-readable: a warning, and it works.
    std::fs::write(&key, &right).expect("key");
    set_mode(&key, 0o644);
    let report = bench.doctor().await;
    report.told("credential", name, "warn", None, "chmod o-r");
    assert_eq!(report.line("starshipit", "main")["state"], "ok");
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("mode");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_printer_out_of_labels_or_away_is_told_with_and_without_a_station() {
    let bench = Bench::new(&[]).await;
    bench.printer.set(Fault::PaperOut);
    let fix = "Put in a new roll";
    let report = bench.doctor().await;
    report.told("printer", "label", "fail", Some("printer-media-out"), fix);
    let station = bench.run();
    let report = bench.doctor().await;
    report.told("printer", "label", "fail", Some("printer-media-out"), fix);
    assert_eq!(report.exit, 1);
    bench.printer.clear();
    let report = bench.doctor().await;
    assert_eq!(report.line("printer", "label")["state"], "ok");
    bench.printer.set(Fault::Offline);
    let report = bench.doctor().await;
    let fix = "`printstation printers`";
    report.told("printer", "label", "fail", Some("printer-offline"), fix);
    assert_eq!(station.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_refused_for_want_of_labels_is_told() {
    let bench = Bench::new(&["--fault", "starshipit:quota"]).await;
    bench
        .admin("starshipit", "orders", json!({ "number": "WEB-1" }))
        .await;
    let station = bench.run();
    let (_, reply) = bench.verb_scan(&station, "WEB-1").await;
    assert_eq!(reply["code"], "quota-exhausted", "{reply:#}");
    let report = bench.doctor().await;
    report.told(
        "quota",
        "main",
        "fail",
        Some("quota-exhausted"),
        "raise the plan",
    );
    assert_eq!(station.stop(), Some(0));
}

impl Bench {
    async fn verb_scan(&self, station: &Process, code: &str) -> (u16, Value) {
        let web = text(&station.ready["web"]);
        let reply = client()
            .post(format!("{web}/api/scan?wait=30s"))
            .bearer_auth(WEB_TOKEN)
            .json(&json!({ "code": code }))
            .send()
            .await
            .expect("the station answers");
        (reply.status().as_u16(), reply.json().await.expect("json"))
    }
}

/// Answers whatever it is asked with a date that is not today's.
async fn server_of(date: &'static str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 2048];
            drop(stream.read(&mut asked).await);
            let reply = format!(
                "HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            drop(stream.write_all(reply.as_bytes()).await);
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_years_off_and_a_network_that_is_not_there_are_told_in_plain_words() {
    let bench = Bench::new(&[]).await;
    let elsewhen = server_of("Tue, 01 Jan 2008 00:00:00 GMT").await;
    // A port that nobody listens on any more.
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    bench.configure(
        "[]",
        &format!(
            "|[update]\nurl = \"{elsewhen}/channel.json\"\n[[webhooks]]\nurl = \"http://{gone}/in\"\n\
             secret = {{ env = \"WEB_TOKEN\" }}\n[[shopify.shops]]\ncustomer = \"TEA\"\n\
             shop = \"no-such-name.invalid\"\ntoken = {{ env = \"WEB_TOKEN\" }}\n"
        ),
    );
    let report = bench.doctor().await;
    let clock = report
        .lines()
        .find(|line| line["check"] == "clock" && line["code"] == "clock-not-set")
        .expect("the clock's line");
    assert!(
        text(&clock["what"]).contains("years ahead of 127.0.0.1"),
        "{clock:#}"
    );
    assert!(text(&clock["fix"]).contains("timedatectl"), "{clock:#}");
    let network: Vec<&Value> = report
        .lines()
        .filter(|line| line["check"] == "network" && line["state"] == "fail")
        .collect();
    let says = |words: &str| {
        network
            .iter()
            .any(|line| text(&line["what"]).contains(words))
    };
    assert!(says("nothing listens there"), "{network:#?}");
    assert!(says("its name cannot be looked up"), "{network:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_without_holder_or_with_two_is_told() {
    let bench = Bench::new(&[]).await;
    // Another bench of the site, which holds nothing.
    let other = bench.dir.path().join("other.toml");
    let state = bench.dir.path().join("other");
    bench.configure_at(&other, &state, "bench-2", "[]", "");
    let second = bench.run_at(&other);
    let peers = format!("peers = [\"{}\"]|", text(&second.ready["web"]));
    bench.configure("[]", &peers);
    let report = bench.doctor().await;
    report.told(
        "duty",
        "push",
        "warn",
        None,
        "to station.duties of one bench",
    );
    report.told(
        "duty",
        "reconcile",
        "warn",
        None,
        "to station.duties of one bench",
    );
    bench.configure("[\"push\", \"reconcile\"]", &peers);
    assert_eq!(bench.doctor().await.line("duty", "push")["state"], "ok");
    assert_eq!(second.stop(), Some(0));

    // Now it does.
    bench.configure_at(&other, &state, "bench-2", "[\"push\"]", "");
    let second = bench.run_at(&other);
    let peers = format!("peers = [\"{}\"]|", text(&second.ready["web"]));
    bench.configure("[\"push\", \"reconcile\"]", &peers);
    let report = bench.doctor().await;
    report.told("duty", "push", "warn", None, "out of station.duties");
    assert!(text(&report.line("duty", "push")["what"]).contains("bench-2"));
    bench.configure("[\"reconcile\"]", &peers);
    assert_eq!(bench.doctor().await.line("duty", "push")["state"], "ok");
    drop(second);
    // A bench that is off may be the one.
    let report = bench.doctor().await;
    report.told("duty", "push", "warn", None, "when all benches run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pusher_is_seen_by_its_work() {
    let bench = Bench::new(&[]).await;
    let customer = &bench.sim.ready["cartoncloud"]["customers"][0];
    let sale = json!({ "customer": customer["code"], "reference": "SO-77", "status": "PACKED", "numeric_id": "880077" });
    bench.admin("cartoncloud", "orders", sale).await;
    // Somebody made it an hour before this station sees it.
    let made = json!({ "number": "SO-77", "reference": "880077", "age_hours": 1 });
    bench.admin("starshipit", "orders", made).await;
    let begun = Instant::now();
    let station = bench.run();
    let mut report = bench.doctor().await;
    while report.line("duty", "push")["state"] == "ok" {
        assert!(begun.elapsed() < PATIENCE, "{:#}", report.document);
        report = bench.doctor().await;
    }
    report.told("duty", "push", "warn", None, "CartonCloud's own link");
    assert_eq!(station.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_card_a_slip_in_the_configuration_and_pins_that_are_not_there() {
    let bench = Bench::new(&[]).await;
    bench.configure(
        "[]",
        "|[lamp]\ngreen = 22\n[[buttons]]\nname = \"go\"\ngpio = 17\n",
    );
    let report = bench.doctor().await;
    // Not a Pi, in whatever words this machine has for it.
    let button = report.line("button", "go");
    if !Path::new("/dev/gpiomem").exists() && !Path::new("/dev/gpiochip0").exists() {
        assert_eq!(button["state"], "warn", "{button:#}");
        assert!(
            text(&button["what"]).contains("gpio:17: no pins can be used here"),
            "{button:#}"
        );
        assert_eq!(report.line("light", "green")["state"], "warn");
    }
    bench.configure("[]", "|[lampp]\ngreen = 22\n");
    let report = bench.doctor().await;
    assert_eq!(report.exit, 78);
    let slip = report
        .lines()
        .find(|line| line["check"] == "configuration" && line["state"] == "fail")
        .expect("the slip");
    assert!(text(&slip["what"]).contains("lampp"), "{slip:#}");
    assert_eq!(slip["code"], "config-invalid");
    // The rest is looked at all the same.
    assert_eq!(report.line("printer", "label")["state"], "ok");

    let state = bench.state();
    std::fs::create_dir_all(&state).expect("state");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m", "none"])
        .arg(&state)
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        println!("skipped: a small file system cannot be mounted here");
        return;
    }
    bench.configure("[]", "");
    let report = bench.doctor().await;
    let unmounted = Command::new("umount").arg(&state).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    let place = state.display().to_string();
    report.told("card", &place, "fail", Some("disk-full"), "make room");
    report.told("card", &place, "fail", None, "mount an ext4 partition");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_support_bundle_holds_no_secret_and_nobodys_name_or_address() {
    let bench = Bench::new(&[]).await;
    let people = [
        "Wilhelmina Quartermain",
        "17 Bandersnatch Mews",
        "Jabberwock Creek",
        "+61 491 570 006",
        "wilhelmina.q@mail.example",
    ];
    let order = json!({
        "number": "WEB-1",
        "recipient": {
            "name": people[0], "street": people[1], "suburb": people[2], "phone": people[3],
            "email": people[4], "state": "NSW", "post_code": "2000", "country": "Australia",
        },
    });
    bench.admin("starshipit", "orders", order).await;
    let station = bench.run();
    let (_, reply) = bench.verb_scan(&station, "PSTEST.USER-Ignatius").await;
    assert_ne!(reply["outcome"], "refused", "{reply:#}");
    let (status, reply) = bench.verb_scan(&station, "WEB-1").await;
    assert_eq!(status, 200, "{reply:#}");
    // A log as bad as it can be: somebody wrote everything into it.
    let log = bench.dir.path().join("bad.log");
    let mut bad = String::new();
    for (key, secret) in &bench.env {
        bad.push_str(&format!("INFO {key}={secret}\n"));
    }
    bad.push_str(&format!("WARN order for {} <{}>\n", people[0], people[4]));
    bad.push_str(&format!(
        "WARN create failed order=cc:1 failure=Refused {{ code: AddressRefused, detail: \"{} {} {}\" }}\n",
        people[1], people[2], people[3]
    ));
    std::fs::write(&log, bad).expect("log");
    let mut station = Some(station);
    for running in [true, false] {
        let out = bench.dir.path().join(format!("bundle-{running}.tar.gz"));
        let args = [
            "support-bundle",
            "--out",
            out.to_str().expect("utf-8"),
            "--log",
            log.to_str().expect("utf-8"),
            "--json",
        ];
        let (exit, said) = bench.verb(&args).await;
        assert_eq!(exit, 0);
        let said: Value = serde_json::from_slice(&said).expect("json");
        let files = unpack(&out);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "manifest.json",
            "doctor.txt",
            "doctor.json",
            "config.toml",
            "orders.ndjson",
            "log.txt",
        ] {
            assert!(names.contains(&name), "no {name} in {names:?}");
        }
        assert_eq!(names.contains(&"status.json"), running);
        for (name, text) in &files {
            for (key, secret) in &bench.env {
                assert!(!text.contains(secret), "{key} is in {name}");
            }
            for person in people {
                assert!(!text.contains(person), "{person} is in {name}");
            }
            assert!(!text.contains("Ignatius"), "a packer's name is in {name}");
        }
        let content = |wanted: &str| {
            let found = files.iter().find(|(name, _)| name == wanted);
            found.map(|(_, text)| text.as_str()).expect("there")
        };
        // What helps is there.
        assert!(content("orders.ndjson").contains("WEB-1"));
        assert!(content("config.toml").contains("command_prefix"));
        assert!(content("log.txt").contains("AddressRefused"));
        let manifest: Value = serde_json::from_str(content("manifest.json")).expect("json");
        assert_eq!(manifest, said["manifest"]);
        for file in manifest["files"].as_array().expect("files") {
            let name = file["name"].as_str().expect("name");
            assert_eq!(file["bytes"], content(name).len(), "{name}");
        }
        let length = std::fs::metadata(&out).expect("the bundle").len();
        assert!(length < 8 << 20, "{length}");
        if let Some(station) = station.take() {
            // It was asked while somebody works, and stops in order.
            let (status, reply) = bench.verb_scan(&station, "PSTEST.NO").await;
            assert_eq!((status, &reply["code"]), (409, &json!("no-question")));
            assert_eq!(station.stop(), Some(0));
        }
    }
}

fn unpack(path: &Path) -> Vec<(String, String)> {
    let file = std::fs::File::open(path).expect("the bundle");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = archive.entries().expect("entries");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").into_owned();
            let name = path
                .strip_prefix("printstation-support")
                .expect("one folder");
            let name = name.display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            (name, text)
        })
        .collect()
}
