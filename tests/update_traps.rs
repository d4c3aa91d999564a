//! One test for each known trap of a self-updater (facts T1 to T11).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise"
)]

#[path = "common/update.rs"]
mod common;

use common::{Then, Toxic, World, program, put, says, target, version};
use printstation::update::channel::archive_name;
use printstation::update::install::{self, InstallError};
use printstation::update::keys::KeySet;
use printstation::update::policy::Ask;
use printstation::update::slots::{Link, Slot};
use printstation::update::{Ended, Step, UpdateError};
use std::time::Duration;

fn install_error(world: &World) -> InstallError {
    match world.apply() {
        Err(UpdateError::Install(error)) => {
            assert_eq!(world.starts(), version("1.0.0"));
            error
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn t1_the_program_in_the_running_slot_is_never_written_to() {
    use std::os::unix::fs::MetadataExt as _;
    let world = World::new();
    world.release("2.0.0");
    let running = world.path("opt/slots/a/printstation");
    let look = || {
        let meta = running.metadata().unwrap();
        (
            std::fs::read(&running).unwrap(),
            meta.ino(),
            meta.mtime_nsec(),
        )
    };
    let before = look();
    world.apply().unwrap();
    assert_eq!(look(), before);
    assert_eq!(world.slots().read(Link::Current).unwrap(), Some(Slot::B));
    assert_eq!(world.slots().read(Link::Previous).unwrap(), Some(Slot::A));
}

#[test]
fn t2_without_a_key_nothing_is_verified_and_nothing_is_installed() {
    // This is what the library does with an empty list.
    let world = World::new();
    world.release("2.0.0");
    self_update::verify_signature(world.archive("2.0.0"), &[]).unwrap();
    // A set without keys cannot be made, so this cannot be asked of it.
    assert!(KeySet::new(Vec::new(), Vec::new()).is_err());
    world.believe(&[]);
    assert!(world.apply().is_err());
    assert_eq!(world.starts(), version("1.0.0"));
}

#[test]
fn t3_a_version_that_is_named_and_older_is_not_installed() {
    let world = World::new();
    world.release("0.9.0");
    world.release("2.0.0");
    for now in [false, true] {
        let ask = Ask {
            version: Some(version("0.9.0")),
            now,
        };
        let ended = world
            .apply_with(world.settings(), &ask, &|_| Ok(()))
            .unwrap();
        assert!(
            matches!(
                ended,
                Ended::Waits {
                    code: "downgrade",
                    ..
                }
            ),
            "{ended:?}"
        );
    }
    assert_eq!(world.starts(), version("1.0.0"));
}

#[test]
fn t4_an_old_signed_archive_under_a_new_label_is_not_installed() {
    let world = World::new();
    world.release("1.1.0");
    world.release("9.9.9");
    // The server swaps the bytes: same name, other release, both properly signed.
    std::fs::copy(world.archive("1.1.0"), world.archive("9.9.9")).unwrap();
    assert!(world.apply().is_err());
    assert_eq!(world.starts(), version("1.0.0"));
    // Even with size and sum that match, the signature is for another name.
    let keys = KeySet::load(&world.path("keys")).unwrap();
    let bytes = std::fs::read(world.archive("1.1.0")).unwrap();
    let renamed = world.path(&archive_name(&version("9.9.9"), target()));
    put(&renamed, &bytes);
    let artifact = printstation::update::channel::Artifact {
        target: target().to_owned(),
        size: bytes.len() as u64,
        unpacked: 1,
        sha256: printstation::update::slots::sum_of(&renamed).unwrap(),
    };
    let verified = install::verify(&renamed, &version("9.9.9"), target(), &artifact, &keys);
    assert!(
        matches!(verified, Err(InstallError::NotSigned(..))),
        "{verified:?}"
    );
    // And a release key that signs a program which says another version is not enough either.
    let world = World::new();
    world.release_program("9.9.9", &common::good_program("1.1.0", 0), "one");
    let error = install_error(&world);
    assert!(matches!(error, InstallError::SelfCheck(_)), "{error:?}");
}

#[test]
fn t5_what_a_step_reports_is_in_its_place_and_was_read_back() {
    // That it was flushed is the power-cut rig's matter; that nothing is half there is this one's.
    let world = World::new();
    world.release("2.0.0");
    let slots = world.slots();
    world
        .apply_with(world.settings(), &Ask::default(), &|step| {
            match step {
                Step::Placed | Step::Checked | Step::Armed => slots.check(Slot::B).unwrap(),
                Step::Switched => {
                    // The trial was armed before the link moved.
                    assert!(world.path("state/update/trial").exists());
                    assert!(world.path("state/update/before.json").exists());
                }
                _ => {}
            }
            world.sane();
            Ok(())
        })
        .unwrap();
}

#[test]
fn t5_a_slot_that_the_card_did_not_keep_is_not_started() {
    let world = World::new();
    world.release("2.0.0");
    let program = world.path("opt/slots/b/printstation");
    let ended = world.apply_with(world.settings(), &Ask::default(), &|step| {
        if step == Step::Placed {
            let mut bytes = std::fs::read(&program).unwrap();
            bytes[1000] ^= 1;
            put(&program, &bytes);
        }
        Ok(())
    });
    assert!(
        matches!(ended, Err(UpdateError::Install(InstallError::Unsound(_)))),
        "{ended:?}"
    );
    assert_eq!(world.starts(), version("1.0.0"));
    // After the switch it is the guard that finds it, before the first start.
    let ended = world.apply_with(world.settings(), &Ask::default(), &|step| {
        if step == Step::Noted {
            put(&program, b"");
        }
        Ok(())
    });
    assert!(matches!(ended, Ok(Ended::RolledBack { .. })), "{ended:?}");
    assert_eq!(world.starts(), version("1.0.0"));
}

#[test]
fn t6_the_folder_for_temporary_files_is_not_used() {
    let world = World::new();
    world.release("2.0.0");
    let before: Vec<_> = std::fs::read_dir(std::env::temp_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let seen = std::cell::RefCell::new(Vec::new());
    world
        .apply_with(world.settings(), &Ask::default(), &|_| {
            for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
                let name = entry.file_name();
                // self_update and tempfile begin theirs so; other tests may be at work beside us.
                let text = name.to_string_lossy().into_owned();
                if !before.contains(&name) && text.contains("self_update") {
                    seen.borrow_mut().push(text);
                }
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(seen.into_inner(), Vec::<String>::new());
}

#[test]
fn t7_a_server_that_says_nothing_does_not_hold_the_updater_for_ever() {
    let world = World::new();
    world.release("2.0.0");
    // Takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut settings = world.settings();
    settings.url = Some(format!(
        "http://{}/channel.json",
        silent.local_addr().unwrap()
    ));
    settings.limits.silence = Duration::from_millis(200);
    let error = world
        .apply_with(settings, &Ask::default(), &|_| Ok(()))
        .unwrap_err();
    assert!(error.is_passing(), "{error}");
}

#[test]
fn t8_a_cut_in_the_middle_is_gone_on_with() {
    let world = World::new();
    world.release("2.0.0");
    world.server.mood(Toxic {
        cut: Some((100_000, 1)),
        ..Toxic::default()
    });
    assert!(matches!(world.apply().unwrap(), Ended::Confirmed { .. }));
    let sent = world.server.sent.load(std::sync::atomic::Ordering::SeqCst);
    let size = std::fs::metadata(world.archive("2.0.0")).unwrap().len();
    assert_eq!(sent, size);
}

#[test]
fn t9_a_server_cannot_fill_the_card() {
    let world = World::new();
    world.release("2.0.0");
    world.server.mood(Toxic {
        endless: true,
        ..Toxic::default()
    });
    assert!(world.apply().is_err());
    let size = std::fs::metadata(world.archive("2.0.0")).unwrap().len();
    for entry in std::fs::read_dir(world.path("opt/download")).unwrap() {
        assert!(entry.unwrap().metadata().unwrap().len() <= size);
    }
}

#[test]
fn t10_a_target_is_compared_whole() {
    let world = World::new();
    world.release("2.0.0");
    for near in [&target()[..target().len() - 1], &target()[1..], "linux"] {
        let mut settings = world.settings();
        settings.target = Some(near.to_owned());
        let ended = world
            .apply_with(settings, &Ask::default(), &|_| Ok(()))
            .unwrap();
        assert!(
            matches!(
                ended,
                Ended::Waits {
                    code: "no-archive",
                    ..
                }
            ),
            "{near}: {ended:?}"
        );
    }
}

#[test]
fn t11_which_slot_runs_is_read_from_the_link_not_from_a_process() {
    // The updater itself runs from the old slot, and from a test: neither is asked.
    let world = World::new();
    world.release("2.0.0");
    world.apply().unwrap();
    assert_eq!(world.status()["running"], "2.0.0");
    world.release("3.0.0");
    world.apply().unwrap();
    assert_eq!(world.slots().read(Link::Current).unwrap(), Some(Slot::A));
    assert_eq!(world.status()["running"], "3.0.0");
    assert_eq!(world.status()["previous"]["version"], "2.0.0");
}

// ---- what a new program must be before anything depends on it ----------------------------------

#[test]
fn a_program_that_fails_hangs_or_says_something_else_is_not_installed() {
    for (what, then, text) in [
        ("fails", Then::Exit(1), says("2.0.0")),
        ("says another version", Then::Exit(0), says("2.0.1")),
        ("says nothing", Then::Exit(0), String::new()),
    ] {
        let world = World::new();
        world.release_program("2.0.0", &program(&text, then, 0), "one");
        let error = install_error(&world);
        assert!(
            matches!(error, InstallError::SelfCheck(_)),
            "{what}: {error:?}"
        );
        let ended = world.apply().unwrap();
        assert!(
            matches!(
                ended,
                Ended::Waits {
                    code: "known-bad",
                    ..
                }
            ),
            "{what}: {ended:?}"
        );
    }
}

#[test]
fn a_program_that_does_not_take_the_configuration_is_not_installed() {
    let world = World::new();
    world.release_program(
        "2.0.0",
        &program("printstation: no", Then::Exit(78), 0),
        "one",
    );
    let error = install_error(&world);
    assert!(matches!(error, InstallError::Configuration(_)), "{error:?}");
}

#[test]
fn a_program_that_hangs_is_ended() {
    let world = World::new();
    let file = world.path("hangs");
    put(&file, &program(&says("2.0.0"), Then::Hang, 0));
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    // Time runs a hundred times faster for it.
    let now = || {
        let mut now = world.clock.now();
        now.mono.0 *= 100;
        now
    };
    let said = world.path("said");
    let checked = install::self_check(&file, &version("2.0.0"), target(), None, &said, &now);
    assert!(
        matches!(checked, Err(InstallError::SelfCheck(_))),
        "{checked:?}"
    );
}

#[test]
fn a_program_for_another_machine_or_an_empty_one_cannot_be_released_nor_started() {
    let world = World::new();
    let mut foreign = common::good_program("2.0.0", 0);
    foreign[18] = 3; // i386
    for (bytes, word) in [
        (&foreign[..], "another machine"),
        (b"", "empty"),
        (b"#!/bin/sh", "ELF"),
    ] {
        put(&world.path("foreign"), bytes);
        let made = printstation::update::release::make_archive(
            &world.path("out"),
            &version("2.0.0"),
            target(),
            &world.path("foreign"),
            &world.private("one"),
        );
        assert!(made.unwrap_err().to_string().contains(word), "{word}");
    }
}

#[test]
fn too_little_room_is_said_with_path_and_numbers_before_anything_is_fetched() {
    let world = World::new();
    let artifact = printstation::update::channel::Artifact {
        target: target().to_owned(),
        size: 1 << 50,
        unpacked: 1 << 50,
        sha256: String::new(),
    };
    let text = install::space(&world.path("opt"), &artifact)
        .unwrap_err()
        .to_string();
    assert!(text.contains("disk-full"), "{text}");
    assert!(
        text.contains(&world.path("opt").display().to_string()),
        "{text}"
    );
}
