//! The station's side of an update, with real processes: the lease, the trial, and how a version on
//! trial ends.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests read the clock and stop at the first surprise"
)]

#[path = "common/process.rs"]
#[expect(dead_code, reason = "each test binary uses its part")]
mod process;

use printstation::update::station::{self, NoLease};
use printstation::update::trial::{self, Health, Terms};
use printstation::update::version::Version;
use process::{PATIENCE, World};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn labels(dir: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            count += labels(&path);
        } else if path.extension().is_some_and(|e| e == "png") {
            count += 1;
        }
    }
    count
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

async fn lease(socket: PathBuf, quiet: u64, patience: u64) -> Result<station::Lease, NoLease> {
    tokio::task::spawn_blocking(move || {
        station::lease(
            &socket,
            Duration::from_secs(quiet),
            Duration::from_secs(patience),
        )
    })
    .await
    .expect("the lease's thread")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_asked_for_in_the_middle_of_a_three_label_job_waits_for_all_three() {
    let out = tempfile::Builder::new()
        .prefix("ps-labels-")
        .tempdir()
        .expect("temp dir");
    let world = World::new(
        &[
            "--out",
            out.path().to_str().expect("utf-8"),
            "--latency",
            "1500ms",
        ],
        "",
    );
    for number in ["WEB-3", "WEB-4", "WEB-5"] {
        world
            .order(json!({ "number": number, "parcels": [1.0, 2.0, 3.0] }))
            .await;
    }
    let running = world.run();
    let socket = world.state().join("control.sock");
    let (_, reply) = world.scan(&running, "WEB-3", None).await;
    assert_eq!(reply["outcome"], "accepted", "{reply}");
    assert_eq!(labels(out.path()), 0, "the job is under way");
    let held = lease(socket.clone(), 0, 60).await.expect("a lease");
    until("three labels", || labels(out.path()) == 3);
    let sales = world.sales().await;
    assert_eq!(sales.len(), 1, "bought once");
    let status = station::status(&socket).expect("status");
    assert_eq!(status["state"], "draining", "{status}");
    assert_eq!(status["waiting"], 0, "{status}");
    // Under the lease nothing is begun.
    let (_, reply) = world.scan(&running, "WEB-4", Some("5s")).await;
    assert_eq!(reply["code"], "paused", "{reply}");
    // The updater dies: the connection closes, and the station works on.
    drop(held);
    until("the station works on", || {
        station::status(&socket).is_some_and(|s| s["state"] == "ready")
    });
    let (_, reply) = world.scan(&running, "WEB-5", Some("30s")).await;
    assert_eq!(reply["outcome"], "printed", "{reply}");
    until("six labels", || labels(out.path()) == 6);
    // A lease that is held over a stop ends with it, and nothing is cut.
    let held = lease(socket.clone(), 0, 60).await.expect("a lease");
    assert_eq!(running.stop(), Some(0));
    held.until_gone(Duration::from_secs(60));
    assert!(matches!(lease(socket, 0, 1).await, Err(NoLease::NoStation)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bench_that_was_used_a_moment_ago_is_not_interrupted() {
    let world = World::new(&[], "");
    let running = world.run();
    let socket = world.state().join("control.sock");
    world.scan(&running, "NOBODY-KNOWS", Some("10s")).await;
    let refused = lease(socket.clone(), 3600, 2).await;
    assert!(matches!(refused, Err(NoLease::Busy)), "{refused:?}");
    assert!(lease(socket, 0, 5).await.is_ok());
}

fn arm(world: &World, version: &Version, soak: u64, deadline: u64, before: Health) -> PathBuf {
    let dir = world.state().join("update");
    std::fs::create_dir_all(&dir).expect("update folder");
    let terms = Terms {
        before,
        soak_ms: soak,
        deadline_ms: deadline,
    };
    trial::arm(&dir, version, &terms).expect("armed");
    dir
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_works_as_before_ends_its_trial_well() {
    let world = World::new(&[], "");
    let running = world.run();
    let socket = world.state().join("control.sock");
    let before = Health::of(&station::status(&socket).expect("status"));
    assert_eq!(before.devices.get("printer label"), Some(&true));
    assert_eq!(running.stop(), Some(0));
    let dir = arm(&world, &Version::own(), 200, 60_000, before);
    let running = world.run();
    until("confirmed", || {
        trial::read(&dir).expect("readable").is_none()
    });
    assert_eq!(
        trial::confirmed(&dir).expect("readable"),
        Some(Version::own())
    );
    assert_eq!(running.stop(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_lost_a_printer_gives_up_with_75_and_no_start_left() {
    let world = World::new(&[], "");
    let mut before = Health::default();
    before
        .devices
        .insert("printer that was there".to_owned(), true);
    let dir = arm(&world, &Version::own(), 0, 300, before);
    let running = world.run();
    let code = running.wait();
    assert_eq!(code, Some(75));
    assert_eq!(trial::read(&dir).expect("readable").expect("open").left, 0);
}

#[test]
fn a_configuration_that_cannot_be_read_ends_with_75_on_trial_and_with_78_otherwise() {
    let dir = tempfile::tempdir().expect("temp dir");
    let config = dir.path().join("config.toml");
    std::fs::write(&config, "[station]\nname = 7\n").expect("config");
    let state = dir.path().join("state");
    let code = || {
        Command::new(env!("CARGO_BIN_EXE_printstation"))
            .arg("run")
            .arg("--config")
            .arg(&config)
            .arg("--state-dir")
            .arg(&state)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("it starts")
            .code()
    };
    assert_eq!(code(), Some(78));
    std::fs::create_dir_all(state.join("update")).expect("state");
    trial::arm(&state.join("update"), &Version::own(), &Terms::default()).expect("armed");
    assert_eq!(code(), Some(75));
}

#[test]
fn the_program_says_who_it_is_and_whether_it_takes_a_configuration() {
    let dir = tempfile::tempdir().expect("temp dir");
    let config = dir.path().join("config.toml");
    let check = || {
        let out = Command::new(env!("CARGO_BIN_EXE_printstation"))
            .args(["self-check", "--config"])
            .arg(&config)
            .env_clear()
            .output()
            .expect("it starts");
        let text = String::from_utf8(out.stdout).expect("utf-8");
        (out.status.code(), text)
    };
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    let target = printstation::update::version::own_target().expect("a target");
    assert_eq!(text, format!("printstation {} {target}\n", Version::own()));
    std::fs::write(&config, "[station]\nname = 7\n").expect("config");
    let (code, text) = check();
    assert_eq!(code, Some(78), "{text}");
    assert!(text.lines().count() > 1, "{text}");
}

#[test]
fn status_and_rollback_need_no_network_no_station_and_no_valid_configuration() {
    let dir = tempfile::tempdir().expect("temp dir");
    let config = dir.path().join("config.toml");
    std::fs::write(&config, "this is not toml").expect("config");
    let run = |verb: &str| {
        Command::new(env!("CARGO_BIN_EXE_printstation"))
            .args(["update", verb, "--json", "--config"])
            .arg(&config)
            .arg("--state-dir")
            .arg(dir.path().join("state"))
            .arg("--install-root")
            .arg(dir.path())
            .args(["--restart", "true"])
            .output()
            .expect("it starts")
    };
    let out = run("status");
    assert_eq!(out.status.code(), Some(0), "{out:?}");
    let status: serde_json::Value = serde_json::from_slice(&out.stdout).expect("json");
    assert!(status["current"].is_null(), "{status}");
    let out = run("rollback");
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let failed: serde_json::Value = serde_json::from_slice(&out.stdout).expect("json");
    assert_eq!(failed["code"], "not-installed", "{failed}");
    let out = run("check");
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let failed: serde_json::Value = serde_json::from_slice(&out.stdout).expect("json");
    assert_eq!(failed["code"], "no-channel", "{failed}");
}
