//! Real processes for tests: the built binary as `sim` and as `run`, over real sockets.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before the test says what it waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process of ours; killed when dropped.
pub struct Process {
    child: Child,
    /// Its ready line.
    pub ready: Value,
}

impl Process {
    /// Starts the binary and waits for its ready line.
    pub fn start(args: &[&str], envs: &[(&str, &str)], log: &Path) -> Self {
        Self::try_start(args, envs, log).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same; says why there is no ready line.
    pub fn try_start(args: &[&str], envs: &[(&str, &str)], log: &Path) -> Result<Self, String> {
        let stderr = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("log file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_printstation"))
            .args(args)
            .envs(envs.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut reader = BufReader::new(stdout);
        reader.read_line(&mut line).expect("stdout is readable");
        let ready = match serde_json::from_str(&line) {
            Ok(ready) => ready,
            Err(error) => {
                drop(child.kill());
                drop(child.wait());
                let log = std::fs::read_to_string(log).unwrap_or_default();
                return Err(format!(
                    "no ready line from {args:?}: {error}: {line:?}\n{log}"
                ));
            }
        };
        // Whatever else it says must not block it.
        std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        Ok(Self { child, ready })
    }

    /// What the kernel says of it (`proc_pid_status(5)`).
    pub fn kernel_says(&self, field: &str) -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a status of the process");
        let line = status.lines().find(|line| line.starts_with(field))?;
        line.split_whitespace().nth(1).map(str::to_owned)
    }

    /// A signal to it.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a signal");
    }

    /// Its exit status, when it has ended by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("wait")
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM, and its exit code.
    pub fn stop(self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Its exit code, when it ends by itself.
    pub fn wait(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the process does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A simulated world and the configuration of a station in it.
pub struct World {
    pub dir: tempfile::TempDir,
    pub sim: Process,
    pub config: PathBuf,
    extra: String,
}

impl World {
    /// `sim_args` and `extra` configuration on top of one account and one ZPL printer.
    pub fn new(sim_args: &[&str], extra: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ps-test-")
            .tempdir()
            .expect("temp dir");
        let state = dir.path().join("sim");
        std::fs::create_dir(&state).expect("sim state");
        let mut args = vec![
            "sim",
            "--starshipit",
            "127.0.0.1:0",
            "--printer",
            "label=127.0.0.1:0,zpl",
            "--state",
            state.to_str().expect("utf-8"),
            "--rate",
            "200",
        ];
        args.extend(sim_args);
        let sim = Process::start(&args, &[], &dir.path().join("sim.log"));
        let mut world = Self {
            config: dir.path().join("config.toml"),
            dir,
            sim,
            extra: extra.to_owned(),
        };
        world.write_config();
        world
    }

    pub fn starshipit(&self) -> &str {
        self.sim.ready["starshipit"]["url"].as_str().expect("url")
    }

    pub fn admin(&self) -> String {
        self.sim.ready["starshipit"]["admin"]
            .as_str()
            .map_or_else(|| self.starshipit().to_owned(), str::to_owned)
    }

    fn write_config(&mut self) {
        let printer = self.sim.ready["printers"][0]["addr"]
            .as_str()
            .expect("printer");
        let text = format!(
            r#"[station]
name = "bench-1"
state_dir = {state:?}
[scan]
command_prefix = "PSTEST."
[starshipit]
base_url = "{url}"
requests_per_second = 200
request_timeout = "10s"
settle = "1s"
[[starshipit.accounts]]
name = "main"
api_key = {{ env = "API_KEY" }}
subscription_key = {{ env = "SUBSCRIPTION_KEY" }}
[[printers]]
name = "label"
connection = "tcp://{printer}"
language = "zpl"
[web]
listen = "127.0.0.1:0"
{extra}
"#,
            state = self.state(),
            url = self.starshipit(),
            extra = self.extra,
        );
        std::fs::write(&self.config, text).expect("config");
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Starts (or starts again) the station.
    pub fn run(&self) -> Process {
        let account = &self.sim.ready["starshipit"]["accounts"][0];
        let key = |name: &str| account[name].as_str().expect("key").to_owned();
        Process::start(
            &["run", "--config", self.config.to_str().expect("utf-8")],
            &[
                ("API_KEY", &key("api_key")),
                ("SUBSCRIPTION_KEY", &key("subscription_key")),
                ("RUST_LOG", "info"),
            ],
            &self.dir.path().join("run.log"),
        )
    }

    pub fn token(&self) -> String {
        std::fs::read_to_string(self.state().join("web-token"))
            .expect("web-token")
            .trim()
            .to_owned()
    }

    /// Makes an order in the simulated Starshipit.
    pub async fn order(&self, order: Value) {
        let reply = client()
            .post(format!("{}/_sim/orders", self.admin()))
            .json(&order)
            .send()
            .await
            .expect("sim answers");
        assert!(
            reply.status().is_success(),
            "{}",
            reply.text().await.unwrap_or_default()
        );
    }

    /// Sets the simulated Starshipit's faults.
    pub async fn faults(&self, faults: Value) {
        let reply = client()
            .post(format!("{}/_sim/faults", self.admin()))
            .json(&faults)
            .send()
            .await
            .expect("sim answers");
        assert!(
            reply.status().is_success(),
            "{}",
            reply.text().await.unwrap_or_default()
        );
    }

    /// Every consignment sold.
    pub async fn sales(&self) -> Vec<Value> {
        let ledger: Value = client()
            .get(format!("{}/_sim/ledger", self.admin()))
            .send()
            .await
            .expect("sim answers")
            .json()
            .await
            .expect("json");
        ledger["sales"].as_array().cloned().unwrap_or_default()
    }

    /// What the station answers to a reader.
    pub async fn look(&self, station: &Process, path: &str) -> String {
        let web = station.ready["web"].as_str().expect("web");
        let reply = client().get(format!("{web}{path}")).send().await;
        reply.expect("an answer").text().await.expect("text")
    }

    /// One scan over HTTP: status and document.
    pub async fn scan(&self, station: &Process, code: &str, wait: Option<&str>) -> (u16, Value) {
        let web = station.ready["web"].as_str().expect("web");
        let wait = wait.map_or_else(String::new, |w| format!("?wait={w}"));
        let reply = client()
            .post(format!("{web}/api/scan{wait}"))
            .bearer_auth(self.token())
            .json(&serde_json::json!({ "code": code }))
            .send()
            .await
            .expect("the station answers");
        let status = reply.status().as_u16();
        (status, reply.json().await.expect("json"))
    }

    /// As `scan`; `None` when the station is gone.
    pub async fn try_scan(&self, station: &Process, code: &str) -> Option<u16> {
        let web = station.ready["web"].as_str().expect("web");
        let reply = client()
            .post(format!("{web}/api/scan"))
            .bearer_auth(self.token())
            .json(&serde_json::json!({ "code": code }))
            .send()
            .await
            .ok()?;
        Some(reply.status().as_u16())
    }
}

pub fn client() -> reqwest::Client {
    use std::sync::OnceLock;
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT
        .get_or_init(|| {
            // Another test of the same process may have been first; that is as good.
            drop(rustls::crypto::ring::default_provider().install_default());
            reqwest::Client::builder()
                .timeout(PATIENCE)
                .pool_max_idle_per_host(0)
                .build()
                .expect("client")
        })
        .clone()
}
