//! Torture for the ledger: processes ended at random moments, power cut at random blocks, files
//! damaged, the card filled; and the power cut under the slots of the update. Adapted from the rig that measured sled (see the README's durability
//! section); the engine under test is the station's own ledger.
//!
//! Without arguments (as `cargo test` runs it) one short seeded round of kills. `scripts/torture` runs
//! everything. `power` and `enospc` need root, /dev/fuse, a loop device and mkfs.ext4.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    reason = "a rig: it panics loudly, prints its findings, and its clock is the real one"
)]

mod damage;
mod disk;
mod engine;
mod enospc;
mod fuselog;
mod kill9;
mod latency;
mod power;
mod slots;
mod start;
#[path = "../common/update.rs"]
mod update_world;
mod util;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    // `run VERB …` is ours; anything else is what cargo passes to every test target.
    let Some(("run", args)) = args
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    else {
        return as_a_test(&args);
    };
    let verb = args.first().map_or("", String::as_str);
    let options = util::Options::parse(args.get(1..).unwrap_or_default());
    let good = match verb {
        "writer" => engine::writer(&options),
        "check" => engine::check(&options),
        "db-check" => return engine::db_check(args.get(1)),
        "kill9" => kill9::run(&options),
        "power" => power::run(&options),
        "slots" => slots::run(&options),
        "damage" => damage::run(&options),
        "spool" => damage::spool(&options),
        "enospc" => enospc::run(&options),
        "latency" => latency::run(&options),
        "start" => start::run(&options),
        _ => {
            eprintln!("run kill9|power|slots|damage|spool|enospc|latency|start [--KEY VALUE]...");
            return ExitCode::from(64);
        }
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// With a filter that names something else, or `--list`, there is nothing to do.
fn as_a_test(args: &[String]) -> ExitCode {
    let filter = args.iter().find(|a| !a.starts_with('-'));
    let other = filter.is_some_and(|f| !"torture".contains(f.as_str()));
    if other || args.iter().any(|a| a == "--list") || short() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What every `cargo test` runs: a few kills with a fixed seed, then a few damaged files.
fn short() -> bool {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let run = |name: &str, more: &[(&str, &str)]| {
        let mut options = util::Options::default();
        options.set("dir", &dir.path().join(name).display().to_string());
        for (key, value) in more {
            options.set(key, value);
        }
        options
    };
    let kills = run(
        "kill9",
        &[("rounds", "12"), ("seed", "20261122"), ("max-ms", "150")],
    );
    let damage = run("damage", &[("trials", "20"), ("ops", "300"), ("seed", "7")]);
    let spool = run("spool", &[("trials", "10")]);
    kill9::run(&kills) && damage::run(&damage) && damage::spool(&spool)
}
