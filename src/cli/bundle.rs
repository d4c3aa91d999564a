//! `printstation support-bundle`: what was found, what is set, what was logged, in one archive that may
//! be sent to whoever helps.

use super::args::SupportBundle;
use super::doctor::{self, Found};
use super::{Failure, client, output, say};
use crate::config::{Config, Environment, Request};
use crate::domain::Timestamp;
use crate::ledger;
use crate::runtime::clock::Clock;
use crate::runtime::support::{Keep, Mask, Pack};
use crate::system::durable;
use crate::update::{self, Updater};
use crate::web::{documents, token};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Orders and writebacks that are put in.
const ORDERS: usize = 500;
/// Archived orders that are read, for the newest of them and for the people in them.
const PEOPLE: usize = 100_000;
/// Lines of the log.
const LINES: &str = "10000";
/// Longest small file that is read.
const SMALL: u64 = 256 * 1024;
/// Entries of the state folder that are listed.
const LISTED: usize = 2_000;

pub(super) async fn run(args: SupportBundle, place: Request) -> Result<ExitCode, Failure> {
    let now = Clock::start().now().wall;
    let found = doctor::look(&place, &args.install_root).await?;
    let mask = mask(&found).map_err(|cause| {
        Failure::cannot(
            "what has to be masked cannot be looked for".to_owned(),
            cause,
        )
    })?;
    let mut pack = Pack::new(mask);
    let report = &found.report;
    let words = doctor::text(report, &|state| format!("{:<4}", state.as_str()));
    pack.add("doctor.txt", &lines(&words), Keep::Head);
    pack.add("doctor.json", &pretty(&json!(report)), Keep::Head);
    match found.config.as_ref().map(Config::to_toml) {
        Some(Ok(text)) => pack.add("config.toml", &text, Keep::Head),
        Some(Err(error)) => pack.left_out("config.toml", &error.to_string()),
        None => pack.left_out("config.toml", "the configuration cannot be read"),
    }
    match &found.status {
        Some(status) => pack.add("status.json", &pretty(status), Keep::Head),
        None => pack.left_out("status.json", "no station answers"),
    }
    orders(&mut pack, &found, now).await;
    pack.add(
        "update.json",
        &pretty(&update_state(&found, &args.install_root)),
        Keep::Head,
    );
    pack.add("files.txt", &lines(&files(&found.state_dir)), Keep::Head);
    pack.add("system.txt", &system(), Keep::Head);
    log(&mut pack, args.log.as_deref());
    let packed = pack.finish(&report.station, &report.version, report.at.clone(), now);
    let (bytes, manifest) =
        packed.map_err(|cause| Failure::cannot("it cannot be packed".to_owned(), cause))?;
    let out = args.out.unwrap_or_else(|| name(&report.at));
    if out.as_os_str() == "-" {
        output::write(&out, &bytes)?;
        return Ok(ExitCode::SUCCESS);
    }
    durable::replace(&out, &bytes)
        .map_err(|cause| Failure::cannot(format!("{} cannot be written", out.display()), cause))?;
    if args.json {
        say::document(&json!({ "file": out, "bytes": bytes.len(), "manifest": manifest }))?;
    } else {
        for file in &manifest.files {
            let cut = if file.cut { "  (cut)" } else { "" };
            say::line(&format!("{:>9}  {}{cut}", file.bytes, file.name));
        }
        for (what, why) in &manifest.left_out {
            say::line(&format!("{:>9}  {what}: {}", "-", say::plain(why)));
        }
        say::line(&format!(
            "packed in {} ({} bytes)",
            out.display(),
            bytes.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn name(at: &str) -> PathBuf {
    let stamp: String = at.chars().filter(char::is_ascii_alphanumeric).collect();
    PathBuf::from(format!("printstation-support-{stamp}.tar.gz"))
}

/// Every secret that can be read here, and everybody who stands in the ledger.
fn mask(found: &Found) -> Result<Mask, regex::Error> {
    let mut texts = Vec::new();
    if let Some(config) = &found.config {
        let environment = Environment::process();
        for (_, reference) in config.secrets() {
            if let Ok(resolved) = reference.resolve(&environment) {
                texts.push(resolved.secret.expose_secret().to_owned());
            }
        }
        texts.extend(config.alerts.webhook.clone());
        texts.extend(config.webhooks.iter().map(|hook| hook.url.clone()));
    }
    if let Ok(Some(token)) = token::load(&found.state_dir) {
        texts.push(token.expose_secret().to_owned());
    }
    texts.extend(ledger::people(&ledger_dir(found), PEOPLE));
    Mask::new(texts)
}

fn ledger_dir(found: &Found) -> PathBuf {
    found.state_dir.join("ledger")
}

/// Newest orders and writebacks, without what people wrote.
async fn orders(pack: &mut Pack, found: &Found, now: Timestamp) {
    let orders: Vec<Value> = if found.status.is_some() {
        let client = client::at(&found.state_dir);
        let answer = client.get(&format!("/api/orders?limit={ORDERS}")).await;
        match answer.and_then(client::Answer::good) {
            Ok(answer) => String::from_utf8_lossy(&answer.body)
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
            Err(failure) => {
                pack.left_out("orders.ndjson", &failure.to_string());
                return;
            }
        }
    } else {
        match ledger::newest(&ledger_dir(found), PEOPLE) {
            Ok(orders) => {
                let orders = orders.iter().take(ORDERS);
                orders.map(|order| documents::order(order, now)).collect()
            }
            Err(error) => {
                pack.left_out("orders.ndjson", &error.to_string());
                return;
            }
        }
    };
    let texts: Vec<String> = orders
        .into_iter()
        .map(|order| anonymous(order).to_string())
        .collect();
    pack.add("orders.ndjson", &lines(&texts), Keep::Head);
}

/// Who, and what people wrote, is nobody's business; what happened is.
fn anonymous(mut order: Value) -> Value {
    for (list, members) in [("deeds", &["user", "reason"][..]), ("pages", &["by"][..])] {
        for entry in order[list].as_array_mut().into_iter().flatten() {
            for member in members {
                if !entry[*member].is_null() {
                    entry[*member] = json!("(hidden)");
                }
            }
        }
    }
    if !order["reference"].is_null() {
        order["reference"] = json!("(hidden)");
    }
    order
}

fn update_state(found: &Found, root: &Path) -> Value {
    let mut settings = update::Settings::installed(&found.state_dir, &found.report.station);
    root.clone_into(&mut settings.root);
    let clock = Clock::start();
    let now = || clock.now();
    let reached = |_| Ok(());
    match Updater::new(settings, &now, &reached).status() {
        Ok(status) => status,
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// Names, sizes and times below the state folder; documents are only counted.
fn files(state_dir: &Path) -> Vec<String> {
    let mut list = Vec::new();
    let mut folders = vec![state_dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            if list.len() == LISTED {
                list.push("… and more".to_owned());
                return list;
            }
            let Ok(about) = entry.metadata() else {
                continue;
            };
            let changed = about.modified().ok().and_then(|at| {
                let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
                Some(doctor::utc(Timestamp(
                    i64::try_from(since.as_millis()).ok()?,
                )))
            });
            let path = entry.path();
            let name = path.strip_prefix(state_dir).unwrap_or(&path);
            list.push(format!(
                "{:>12} {} {}{}",
                about.len(),
                changed.unwrap_or_default(),
                name.display(),
                if about.is_dir() { "/" } else { "" }
            ));
            if about.is_dir() {
                folders.push(path);
            }
        }
    }
    list
}

fn system() -> String {
    let mut text = String::new();
    for path in [
        "/etc/os-release",
        "/proc/version",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/device-tree/model",
        "/proc/self/mountinfo",
    ] {
        if let Ok(Some(bytes)) = durable::read_bounded(Path::new(path), SMALL) {
            text.push_str(&format!("== {path}\n{}\n", String::from_utf8_lossy(&bytes)));
        }
    }
    text
}

/// The station's lines of the journal, down to "info": more is nobody else's business.
fn log(pack: &mut Pack, file: Option<&Path>) {
    const NAME: &str = "log.txt";
    if let Some(file) = file {
        match std::fs::read(file) {
            Ok(bytes) => pack.add(NAME, &String::from_utf8_lossy(&bytes), Keep::Tail),
            Err(error) => pack.left_out(NAME, &format!("{}: {error}", file.display())),
        }
        return;
    }
    // `timeout`: a journal that hangs must not hang us.
    let said = Command::new("timeout")
        .args([
            "20",
            "journalctl",
            "--no-pager",
            "--quiet",
            "-o",
            "short-iso-precise",
        ])
        .args([
            "-p",
            "info",
            "-n",
            LINES,
            "-u",
            "printstation",
            "-u",
            "printstation-update",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match said {
        Ok(said) if said.status.success() && !said.stdout.is_empty() => {
            pack.add(NAME, &String::from_utf8_lossy(&said.stdout), Keep::Tail);
        }
        Ok(said) if said.status.success() => {
            pack.left_out(
                NAME,
                "the journal has no line of the station that this user may read",
            );
        }
        _ => pack.left_out(
            NAME,
            "there is no journal here; --log FILE puts a log file in",
        ),
    }
}

fn lines(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}
