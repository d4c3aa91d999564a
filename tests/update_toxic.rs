//! Downloads from a server that cuts, corrupts, stalls, lies, sends too much, or sends elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise"
)]

#[path = "common/update.rs"]
mod common;

use common::{Toxic, World, version};
use printstation::update::fetch::FetchError;
use printstation::update::{Ended, UpdateError};
use std::sync::atomic::Ordering;

fn world() -> (World, usize) {
    let world = World::new();
    world.release("2.0.0");
    let size = std::fs::metadata(world.archive("2.0.0")).unwrap().len();
    assert!(size > 150_000, "{size}");
    (world, usize::try_from(size).unwrap())
}

fn confirmed(world: &World, what: &str) {
    let ended = world
        .apply()
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    assert!(
        matches!(ended, Ended::Confirmed { .. }),
        "{what}: {ended:?}"
    );
    assert_eq!(world.starts(), version("2.0.0"), "{what}");
}

fn fails(world: &World, what: &str) -> FetchError {
    match world.apply() {
        Err(UpdateError::Fetch(error)) => {
            assert_eq!(world.starts(), version("1.0.0"), "{what}");
            error
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn a_cut_at_every_tenth_of_the_body_goes_on_where_it_stopped() {
    for tenth in 0..10 {
        let (world, size) = world();
        let after = size * tenth / 10;
        world.server.mood(Toxic {
            cut: Some((after, 1)),
            ..Toxic::default()
        });
        confirmed(&world, &format!("cut after {after}"));
        let sent = world.server.sent.load(Ordering::SeqCst) as usize;
        assert!(
            sent <= size + size / 10,
            "cut after {after}: {sent} of {size} sent"
        );
    }
}

#[test]
fn a_server_that_cuts_every_answer_short_is_gone_on_with_until_all_is_there() {
    let (world, size) = world();
    world.server.mood(Toxic {
        cut: Some((size / 7, 100)),
        ..Toxic::default()
    });
    confirmed(&world, "seven pieces");
}

#[test]
fn a_server_that_cuts_before_the_first_byte_is_left_in_peace() {
    let (world, _) = world();
    world.server.mood(Toxic {
        cut: Some((0, 100)),
        ..Toxic::default()
    });
    let error = fails(&world, "nothing at all");
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error:?}");
    assert!(world.server.asked.lock().unwrap().len() <= 5);
    // What is passing is tried again by itself.
    world.server.mood(Toxic::default());
    confirmed(&world, "afterwards");
}

#[test]
fn a_changed_byte_in_every_tenth_of_the_body_is_never_installed() {
    for tenth in 0..10 {
        let (world, size) = world();
        world.server.mood(Toxic {
            flip: Some(size * tenth / 10),
            ..Toxic::default()
        });
        let error = fails(&world, "flipped");
        assert!(
            matches!(error, FetchError::Corrupt { .. }),
            "{tenth}: {error:?}"
        );
        let sent = world.server.sent.load(Ordering::SeqCst) as usize;
        assert!(sent <= size, "a wrong body is fetched once in a run");
    }
}

#[test]
fn a_stall_at_every_tenth_of_the_body_ends() {
    for tenth in [0, 3, 6, 9] {
        let (world, size) = world();
        world.server.mood(Toxic {
            stall: Some(size * tenth / 10),
            cut: None,
            ..Toxic::default()
        });
        // Every answer stalls at the same length: pieces come until nothing is left to come.
        match world.apply() {
            Ok(Ended::Confirmed { .. }) => {}
            Err(UpdateError::Fetch(FetchError::Unreachable { .. })) => {
                assert_eq!(world.starts(), version("1.0.0"));
            }
            other => panic!("stall at {tenth}: {other:?}"),
        }
    }
}

#[test]
fn a_length_that_is_not_true_does_no_harm() {
    for longer in [-50_000, -1, 1, 50_000] {
        let (world, _) = world();
        world.server.mood(Toxic {
            longer,
            ..Toxic::default()
        });
        match world.apply() {
            Ok(Ended::Confirmed { .. }) => assert_eq!(world.starts(), version("2.0.0")),
            Err(UpdateError::Fetch(_)) => assert_eq!(world.starts(), version("1.0.0")),
            other => panic!("{longer}: {other:?}"),
        }
        world.server.mood(Toxic::default());
        let ended = world.apply().unwrap();
        assert!(
            matches!(
                ended,
                Ended::Confirmed { .. }
                    | Ended::Waits {
                        code: "up-to-date",
                        ..
                    }
            ),
            "{longer}: {ended:?}"
        );
    }
}

#[test]
fn more_than_was_signed_for_is_cut_off_and_thrown_away() {
    let (world, size) = world();
    world.server.mood(Toxic {
        endless: true,
        ..Toxic::default()
    });
    let error = fails(&world, "endless");
    assert!(matches!(error, FetchError::TooLong { .. }), "{error:?}");
    let kept: u64 = std::fs::read_dir(world.path("opt/download"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(kept <= size as u64, "{kept}");
}

#[test]
fn a_server_that_is_deaf_to_ranges_sends_the_whole_again() {
    let (world, size) = world();
    world.server.mood(Toxic {
        cut: Some((size / 2, 1)),
        deaf: true,
        ..Toxic::default()
    });
    confirmed(&world, "deaf");
}

#[test]
fn a_range_from_the_wrong_place_is_found_out_and_fetched_anew() {
    let (world, size) = world();
    world.server.mood(Toxic {
        cut: Some((size / 2, 1)),
        lie: 1,
        ..Toxic::default()
    });
    confirmed(&world, "one lie");
    let (world, size) = self::world();
    world.server.mood(Toxic {
        cut: Some((size / 2, 100)),
        lie: 100,
        ..Toxic::default()
    });
    // It lies for ever: there is an end to that.
    fails(&world, "only lies");
    let sent = world.server.sent.load(Ordering::SeqCst) as usize;
    assert!(sent <= 4 * size, "{sent} of {size}");
}

#[test]
fn what_an_earlier_run_left_is_gone_on_with() {
    let (world, size) = world();
    world.server.mood(Toxic {
        stall: Some(size / 2),
        ..Toxic::default()
    });
    let mut settings = world.settings();
    settings.limits.archive = std::time::Duration::from_millis(300);
    let first = world.apply_with(settings, &Default::default(), &|_| Ok(()));
    assert!(first.is_err(), "{first:?}");
    world.server.mood(Toxic::default());
    confirmed(&world, "second run");
    let sent = world.server.sent.load(Ordering::SeqCst) as usize;
    assert!(sent <= size / 2 + size / 10, "{sent} of {size}");
}

#[test]
fn a_redirect_is_followed_because_the_bytes_are_signed() {
    let (world, _) = world();
    world.server.mood(Toxic {
        redirect: true,
        ..Toxic::default()
    });
    confirmed(&world, "redirect");
}

#[test]
fn an_archive_that_is_not_there_is_said_in_one_line_and_tried_again_later() {
    let (world, _) = world();
    let away = world.path("away");
    std::fs::rename(world.archive("2.0.0"), &away).unwrap();
    let error = fails(&world, "404");
    assert!(error.to_string().contains("printstation-2.0.0"), "{error}");
    let status = world.status();
    assert_eq!(status["last_result"]["code"], "unreachable", "{status}");
    std::fs::rename(&away, world.archive("2.0.0")).unwrap();
    confirmed(&world, "afterwards");
}

#[test]
fn a_document_without_end_is_cut_off() {
    let (world, _) = world();
    common::put(&world.path("out/channel.json"), &vec![b' '; 1 << 20]);
    let error = fails(&world, "a megabyte of nothing");
    assert!(matches!(error, FetchError::TooLong { .. }), "{error:?}");
}

#[test]
fn a_server_that_is_down_or_sick_changes_nothing() {
    let (world, _) = world();
    for status in [500, 503, 429, 403] {
        world.server.mood(Toxic {
            status: Some(status),
            ..Toxic::default()
        });
        let error = fails(&world, "sick");
        assert!(
            matches!(error, FetchError::Unreachable { .. }),
            "{status}: {error:?}"
        );
    }
    let mut settings = world.settings();
    settings.url = Some("http://127.0.0.1:1/channel.json".to_owned());
    let error = world
        .apply_with(settings, &Default::default(), &|_| Ok(()))
        .unwrap_err();
    assert!(error.is_passing(), "{error}");
}
