//! Whom a station believes: rotation, revocation, expiry, replay, and an empty list of keys.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise"
)]

#[path = "common/update.rs"]
mod common;

use common::{World, put, version};
use printstation::domain::Timestamp;
use printstation::update::keys::{KeySet, PublicKey};
use printstation::update::policy::Ask;
use printstation::update::release::{self, Changes, Role};
use printstation::update::{Ended, UpdateError};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn key(world: &World, name: &str, role: Role) -> PublicKey {
    release::make_key(&world.path("private"), name, role).unwrap()
}

/// A folder with the public halves of these.
fn folder(world: &World, name: &str, keys: &[&str]) -> std::path::PathBuf {
    let dir = world.path(name);
    std::fs::create_dir(&dir).unwrap();
    for key in keys {
        let file = format!("{key}.pub");
        std::fs::copy(world.path("private").join(&file), dir.join(&file)).unwrap();
    }
    dir
}

fn refused(world: &World) -> String {
    let error = world.apply().unwrap_err();
    assert_eq!(error.code(), "update-refused", "{error}");
    assert_eq!(world.starts(), version("1.0.0"));
    error.to_string()
}

#[test]
fn a_channel_signed_by_a_stranger_is_refused() {
    let world = World::new();
    key(&world, "stranger", Role::Release);
    world.release_program("2.0.0", &common::good_program("2.0.0", 0), "stranger");
    assert!(refused(&world).contains("not signed"));
    // Nor by a root key: it signs nothing but lists of keys.
    world.publish(None, &world.changes(), "root");
    assert!(refused(&world).contains("not signed"));
}

#[test]
fn an_empty_list_of_keys_cannot_be_made_and_refuses_everything() {
    assert!(KeySet::new(Vec::new(), Vec::new()).is_err());
    let world = World::new();
    world.release("2.0.0");
    for keys in [&[][..], &["root"][..]] {
        world.believe(keys);
        let why = refused(&world);
        assert!(why.contains("no release key"), "{why}");
    }
    std::fs::remove_dir_all(world.path("keys")).unwrap();
    let why = refused(&world);
    assert!(
        why.contains(&world.path("keys").display().to_string()),
        "{why}"
    );
}

#[test]
fn a_key_file_with_a_mistake_does_not_silently_shrink_the_set() {
    let world = World::new();
    world.release("2.0.0");
    put(&world.path("keys/two.pub"), b"release 1234");
    assert!(refused(&world).contains("two.pub"));
}

#[test]
fn a_changed_document_is_refused_byte_by_byte() {
    let world = World::new();
    world.release("2.0.0");
    let path = world.path("out/channel.json");
    let bytes = std::fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(37) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        put(&path, &changed);
        assert!(refused(&world).contains("not signed"), "byte {at}");
    }
    put(&path, &[&bytes[..], b"\n"].concat());
    refused(&world);
    put(&path, &bytes);
    world.apply().unwrap();
}

#[test]
fn a_root_key_replaces_a_stolen_release_key_and_the_stolen_one_is_not_believed_again() {
    let world = World::new();
    world.release("1.1.0");
    assert!(matches!(world.apply().unwrap(), Ended::Confirmed { .. }));
    key(&world, "two", Role::Release);
    // Not without the root key.
    world.publish(None, &world.changes(), "two");
    let error = world.apply().unwrap_err();
    assert!(error.to_string().contains("not signed"), "{error}");
    let public = folder(&world, "second", &["root", "two"]);
    release::publish_keys(&world.path("out"), &world.private("one"), &public).unwrap();
    world.publish(None, &world.changes(), "two");
    let error = world.apply().unwrap_err();
    assert!(error.to_string().contains("list of keys"), "{error}");
    // The bad list has to go, as it would from a web server.
    std::fs::remove_file(world.path("out/channel.json.sig")).unwrap();
    release::publish_keys(&world.path("out"), &world.private("root"), &public).unwrap();
    world.publish(None, &world.changes(), "two");
    let ended = world.apply().unwrap();
    assert!(
        matches!(
            ended,
            Ended::Waits {
                code: "up-to-date",
                ..
            }
        ),
        "{ended:?}"
    );
    // The thief, with a higher sequence and without the list that forgets him.
    let sig = std::fs::read(world.path("out/channel.json.sig")).unwrap();
    std::fs::remove_file(world.path("out/channel.json.sig")).unwrap();
    world.release_program("6.6.6", &common::good_program("6.6.6", 0), "one");
    let error = world.apply().unwrap_err();
    assert!(error.to_string().contains("not signed"), "{error}");
    // The archive that the thief signed is not taken from the new key's channel either.
    put(&world.path("out/channel.json.sig"), &sig);
    world.publish(None, &world.changes(), "two");
    let error = world.apply().unwrap_err();
    assert!(
        matches!(
            &error,
            UpdateError::Install(printstation::update::install::InstallError::NotSigned(..))
        ),
        "{error:?}"
    );
    assert_eq!(world.starts(), version("1.1.0"));
}

#[test]
fn a_station_that_slept_through_two_rotations_follows_both() {
    let world = World::new();
    for (name, role) in [
        ("root2", Role::Root),
        ("two", Role::Release),
        ("three", Role::Release),
    ] {
        key(&world, name, role);
    }
    let out = world.path("out");
    let second = folder(&world, "second", &["root2", "two"]);
    release::publish_keys(&out, &world.private("root"), &second).unwrap();
    let third = folder(&world, "third", &["root2", "three"]);
    // The first root is out: what it signs now is not followed.
    release::publish_keys(&out, &world.private("root2"), &third).unwrap();
    world.release_program("2.0.0", &common::good_program("2.0.0", 0), "three");
    let ended = world.apply().unwrap();
    assert!(matches!(ended, Ended::Confirmed { .. }), "{ended:?}");
    assert_eq!(world.starts(), version("2.0.0"));
}

#[test]
fn an_older_document_is_refused_although_it_was_signed() {
    let world = World::new();
    world.release("1.1.0");
    let keep = |name: &str| std::fs::read(world.path("out").join(name)).unwrap();
    let (document, signatures) = (keep("channel.json"), keep("channel.json.sig"));
    world.release("1.2.0");
    assert!(matches!(world.apply().unwrap(), Ended::Confirmed { .. }));
    put(&world.path("out/channel.json"), &document);
    put(&world.path("out/channel.json.sig"), &signatures);
    let error = world.apply().unwrap_err();
    assert!(error.to_string().contains("older than one"), "{error}");
}

#[test]
fn what_was_seen_survives_whatever_the_stations_user_does_to_its_own_folder() {
    let world = World::new();
    world.release("1.1.0");
    let keep = |name: &str| std::fs::read(world.path("out").join(name)).unwrap();
    let (document, signatures) = (keep("channel.json"), keep("channel.json.sig"));
    world.release("1.2.0");
    world.apply().unwrap();
    std::fs::remove_dir_all(world.path("state/update")).unwrap();
    put(&world.path("out/channel.json"), &document);
    put(&world.path("out/channel.json.sig"), &signatures);
    assert!(
        world
            .apply()
            .unwrap_err()
            .to_string()
            .contains("older than one")
    );
    // Damaged trust is not forgotten either.
    put(&world.path("opt/trust.json"), b"{}");
    assert!(
        world
            .apply()
            .unwrap_err()
            .to_string()
            .contains("trust.json")
    );
}

#[test]
fn an_expired_document_installs_nothing_and_a_new_one_does() {
    let world = World::new();
    world.release("2.0.0");
    let later = world.clock.now().wall.plus(DAY * 40);
    *world.clock.wall.lock().unwrap() = Some(later);
    let ended = world.apply().unwrap();
    let Ended::Waits { code, .. } = ended else {
        panic!("{ended:?}")
    };
    // Without a time service nobody knows whether the clock or the document is wrong.
    assert!(["expired", "expiry-unknown"].contains(&code), "{code}");
    assert_eq!(world.starts(), version("1.0.0"));
    world.publish(None, &world.changes(), "one");
    let ended = world.apply().unwrap();
    assert!(matches!(ended, Ended::Confirmed { .. }), "{ended:?}");
}

#[test]
fn a_clock_that_is_not_set_waits() {
    let world = World::new();
    world.release("2.0.0");
    *world.clock.wall.lock().unwrap() = Some(Timestamp(0));
    let ended = world.apply().unwrap();
    assert!(
        matches!(
            ended,
            Ended::Waits {
                code: "clock-not-set",
                ..
            }
        ),
        "{ended:?}"
    );
}

#[test]
fn a_withdrawn_version_is_not_installed_even_when_asked_for() {
    let world = World::new();
    world.release("2.0.0");
    let changes = Changes {
        revoke: vec![version("2.0.0")],
        ..world.changes()
    };
    world.publish(None, &changes, "one");
    let ask = Ask {
        version: Some(version("2.0.0")),
        now: true,
    };
    let ended = world
        .apply_with(world.settings(), &ask, &|_| Ok(()))
        .unwrap();
    assert!(
        matches!(
            ended,
            Ended::Waits {
                code: "revoked",
                ..
            }
        ),
        "{ended:?}"
    );
}

#[test]
fn private_keys_are_for_their_owner_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let path = world.path("private/one.key");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(release::make_key(&world.path("private"), "one", Role::Root).is_err());
}
