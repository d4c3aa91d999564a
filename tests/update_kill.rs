//! Every step of an update × an error and a SIGKILL, both ways between the slots: afterwards both
//! slots are sane, the station can start, and the next run completes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise"
)]

#[path = "common/update.rs"]
mod common;

use common::{CRASHES, PROVES_ITSELF, World, version};
use printstation::update::policy::Ask;
use printstation::update::slots::Slot;
use printstation::update::{Ended, Step, Updater};
use std::process::Command;

/// Which step this process ends itself at; set by the parent.
const STEP: &str = "PS_TEST_STEP";
const ACT: &str = "PS_TEST_ACT";
const WORLD: &str = "PS_TEST_WORLD";
const URL: &str = "PS_TEST_URL";

fn step_named(name: &str) -> Step {
    Step::ALL
        .into_iter()
        .find(|step| format!("{step:?}") == name)
        .unwrap()
}

/// Steps that an apply with a good version passes.
const APPLY: [Step; 12] = [
    Step::Settled,
    Step::Believed,
    Step::Fetched,
    Step::Prepared,
    Step::Unpacked,
    Step::Placed,
    Step::Checked,
    Step::Leased,
    Step::Armed,
    Step::Switched,
    Step::Noted,
    Step::Restarted,
];
const BACK: [Step; 2] = [Step::Blamed, Step::Returned];

/// Not a test of its own: the process that is killed. Does nothing unless it was started for that.
#[test]
fn the_process_that_is_killed() {
    let Ok(step) = std::env::var(STEP) else {
        return;
    };
    let step = step_named(&step);
    let settings = settings_of_child();
    let clock = common::TestClock::new();
    let now = || clock.now();
    let reached = |now: Step| {
        if now == step {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL).unwrap();
        }
        Ok(())
    };
    let updater = Updater::new(settings, &now, &reached);
    let ended = match std::env::var(ACT).unwrap().as_str() {
        "rollback" => updater.rollback(),
        _ => updater.apply(&Ask::default()),
    };
    panic!("not killed at {step:?}: {ended:?}");
}

fn settings_of_child() -> printstation::update::Settings {
    let dir = std::path::PathBuf::from(std::env::var(WORLD).unwrap());
    let mut settings = printstation::update::Settings::installed(&dir.join("state"), "bench-1");
    settings.root = dir.join("opt");
    settings.keys = dir.join("keys");
    settings.url = Some(std::env::var(URL).unwrap());
    settings.restart = vec!["/bin/sh".into(), dir.join("restart").display().to_string()];
    settings.terms.soak_ms = 0;
    settings.terms.deadline_ms = 0;
    settings.margin = std::time::Duration::from_secs(2);
    settings.volatile_ok = true;
    settings
}

fn kill_at(world: &World, step: Step, act: &str) {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["the_process_that_is_killed", "--exact", "--nocapture"])
        .env(STEP, format!("{step:?}"))
        .env(ACT, act)
        .env(WORLD, world.dir.path())
        .env(URL, &world.server.url)
        .output()
        .unwrap();
    use std::os::unix::process::ExitStatusExt as _;
    assert_eq!(
        out.status.signal(),
        Some(9),
        "{step:?}: {}",
        String::from_utf8_lossy(&out.stdout)
    );
}

/// A world whose `current` is `slot`, running 1.0.0 or, from b, 1.1.0.
fn world_in(slot: Slot) -> World {
    let world = World::new();
    if slot == Slot::B {
        world.release("1.1.0");
        assert!(matches!(world.apply().unwrap(), Ended::Confirmed { .. }));
    }
    world.release("2.0.0");
    world
}

/// What is promised after any interruption.
fn recovers(world: &World, what: &str) {
    world.sane();
    let starts = world.starts();
    assert!(
        starts == version("2.0.0") || starts <= version("1.1.0"),
        "{what}: starts {starts}"
    );
    // Until the next run, the station may have been started again; then the trial goes on.
    let ended = world
        .apply()
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let done = matches!(&ended, Ended::Confirmed { version: v } if *v == version("2.0.0"))
        || matches!(
            &ended,
            Ended::Waits {
                code: "up-to-date",
                ..
            }
        );
    if !done {
        // The guard has counted a start that nobody finished: that trial runs out, and an operator
        // can ask for the version again.
        assert!(
            matches!(ended, Ended::RolledBack { .. }),
            "{what}: {ended:?}"
        );
        let ask = Ask {
            version: Some(version("2.0.0")),
            now: false,
        };
        let ended = world
            .apply_with(world.settings(), &ask, &|_| Ok(()))
            .unwrap();
        assert!(
            matches!(ended, Ended::Confirmed { .. }),
            "{what}: {ended:?}"
        );
    }
    assert_eq!(world.starts(), version("2.0.0"), "{what}");
}

#[test]
fn an_error_at_any_step_leaves_a_station_that_starts_and_a_next_run_that_completes() {
    for slot in [Slot::A, Slot::B] {
        for step in APPLY {
            let world = world_in(slot);
            let failed = world.apply_with(world.settings(), &Ask::default(), &|at| {
                if at == step {
                    return Err(std::io::Error::other("a disk that refuses"));
                }
                Ok(())
            });
            assert!(failed.is_err(), "{step:?}: {failed:?}");
            recovers(&world, &format!("error at {step:?} from {slot:?}"));
        }
    }
}

#[test]
fn a_kill_at_any_step_leaves_a_station_that_starts_and_a_next_run_that_completes() {
    for slot in [Slot::A, Slot::B] {
        for step in APPLY {
            let world = world_in(slot);
            kill_at(&world, step, "apply");
            recovers(&world, &format!("kill at {step:?} from {slot:?}"));
        }
    }
}

#[test]
fn a_run_that_was_killed_before_the_restart_is_finished_by_the_next_without_a_start_in_between() {
    for step in [Step::Switched, Step::Noted] {
        let world = world_in(Slot::A);
        kill_at(&world, step, "apply");
        let ended = world.apply().unwrap();
        assert!(
            matches!(ended, Ended::Confirmed { .. }),
            "{step:?}: {ended:?}"
        );
        assert_eq!(world.starts(), version("2.0.0"));
    }
}

#[test]
fn a_rollback_that_was_killed_is_repeated_to_the_same_end() {
    for step in BACK {
        let world = world_in(Slot::A);
        assert!(matches!(world.apply().unwrap(), Ended::Confirmed { .. }));
        kill_at(&world, step, "rollback");
        world.sane();
        if step == Step::Blamed {
            world.rollback().unwrap();
        }
        assert_eq!(world.starts(), version("1.0.0"), "{step:?}");
        // And it does not come back by itself.
        let ended = world.apply().unwrap();
        assert!(
            matches!(
                ended,
                Ended::Waits {
                    code: "known-bad",
                    ..
                }
            ),
            "{step:?}: {ended:?}"
        );
    }
}

#[test]
fn a_version_that_never_becomes_ready_is_left_and_not_tried_again_by_itself() {
    let world = world_in(Slot::A);
    world.station_does(CRASHES);
    let ended = world.apply().unwrap();
    let Ended::RolledBack { version: bad, .. } = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(bad, Some(version("2.0.0")));
    assert_eq!(world.starts(), version("1.0.0"));
    world.station_does(PROVES_ITSELF);
    let ended = world.apply().unwrap();
    assert!(
        matches!(
            ended,
            Ended::Waits {
                code: "known-bad",
                ..
            }
        ),
        "{ended:?}"
    );
    // A newer one is another matter.
    world.release("2.0.1");
    let ended = world.apply().unwrap();
    assert!(matches!(ended, Ended::Confirmed { .. }), "{ended:?}");
    assert_eq!(world.starts(), version("2.0.1"));
}

#[test]
fn a_version_that_starts_and_never_answers_is_left_by_the_updater_that_installed_it() {
    let world = world_in(Slot::A);
    world.station_does("guard");
    let ended = world.apply().unwrap();
    assert!(matches!(ended, Ended::RolledBack { .. }), "{ended:?}");
    assert_eq!(world.starts(), version("1.0.0"));
    let status = world.status();
    assert_eq!(status["bad"][0]["version"], "2.0.0", "{status}");
    assert_eq!(status["last_result"]["code"], "rolled-back", "{status}");
}

#[test]
fn a_station_that_cannot_be_restarted_leaves_the_version_on_trial_for_the_next_start() {
    let world = world_in(Slot::A);
    world.station_does("exit 1");
    let ended = world.apply().unwrap();
    assert!(matches!(ended, Ended::OnTrial { .. }), "{ended:?}");
    assert_eq!(world.starts(), version("2.0.0"));
    assert_eq!(world.status()["trial"]["starts_left"], 1);
}

#[test]
fn two_updaters_do_not_work_at_once() {
    let world = world_in(Slot::A);
    let inner = std::cell::RefCell::new(None);
    world
        .apply_with(world.settings(), &Ask::default(), &|step| {
            if step == Step::Fetched {
                *inner.borrow_mut() = Some(world.rollback());
            }
            Ok(())
        })
        .unwrap();
    let inner = inner.into_inner().unwrap();
    assert_eq!(inner.unwrap_err().code(), "locked");
}

#[test]
fn the_shell_guard_alone_goes_back_by_hand() {
    let world = world_in(Slot::A);
    assert!(matches!(world.apply().unwrap(), Ended::Confirmed { .. }));
    let out = Command::new("sh")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/slot-guard"))
        .arg("--root")
        .arg(world.path("opt"))
        .arg("--state")
        .arg(world.path("state/update"))
        .args(["back", "it prints upside down"])
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    assert_eq!(world.starts(), version("1.0.0"));
    let ended = world.apply().unwrap();
    assert!(
        matches!(
            ended,
            Ended::Waits {
                code: "known-bad",
                ..
            }
        ),
        "{ended:?}"
    );
    let status = world.status();
    assert_eq!(status["bad"][0]["why"], "it prints upside down", "{status}");
}

#[test]
fn the_slot_guard_ends_where_it_must_in_every_state_that_it_can_find() {
    let out = Command::new("sh")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/scripts/slot-guard-test"
        ))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{said}");
    assert!(said.matches("ok ").count() >= 20, "{said}");
}
