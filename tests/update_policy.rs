//! The update policy: pure decisions, as examples and as properties over random channels.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first surprise"
)]

use jiff::tz::TimeZone;
use printstation::config::model::Window;
use printstation::domain::Timestamp;
use printstation::update::channel::{Artifact, Channel, Release, Rollout, StationRule};
use printstation::update::policy::{Ask, ClockTrust, Decision, Facts, Reason, decide};
use printstation::update::version::Version;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const HOUR: i64 = 3_600_000;
/// 2026-06-15T12:00:00Z
const NOW: Timestamp = Timestamp(1_781_524_800_000);

fn v(text: &str) -> Version {
    text.parse().unwrap()
}

fn release(version: &Version) -> Release {
    Release {
        version: version.clone(),
        min_from: None,
        rollout: None,
        mandatory: false,
        artifacts: vec![Artifact {
            target: TARGET.to_owned(),
            size: 1,
            unpacked: 1,
            sha256: "0".repeat(64),
        }],
    }
}

fn channel(versions: &[&str]) -> Channel {
    let mut releases: Vec<Release> = versions.iter().map(|text| release(&v(text))).collect();
    releases.sort_by(|a, b| b.version.cmp(&a.version));
    Channel {
        name: "stable".to_owned(),
        sequence: 7,
        issued: Timestamp(NOW.0 - 24 * HOUR),
        expires: Timestamp(NOW.0 + 24 * HOUR),
        floor: None,
        revoked: BTreeSet::new(),
        releases,
        stations: Vec::new(),
    }
}

/// A bench that runs 1.0.0, with everything else out of the way.
struct Bench {
    channel: Channel,
    running: Version,
    device: String,
    bad: Vec<(Version, String)>,
    held: Option<Option<Timestamp>>,
    floor: Option<Version>,
    now: Timestamp,
    clock: ClockTrust,
    window: Option<Window>,
    zone: TimeZone,
    ask: Ask,
}

impl Bench {
    fn new(channel: Channel) -> Self {
        Self {
            channel,
            running: v("1.0.0"),
            device: "device".to_owned(),
            bad: Vec::new(),
            held: None,
            floor: None,
            now: NOW,
            clock: ClockTrust::Synchronised,
            window: None,
            zone: TimeZone::UTC,
            ask: Ask::default(),
        }
    }

    fn decide(&self) -> Decision {
        decide(&Facts {
            running: &self.running,
            target: TARGET,
            station: "bench-1",
            device: &self.device,
            channel: &self.channel,
            floor: self.floor.as_ref(),
            bad: &self.bad,
            held: self.held,
            trial: None,
            now: self.now,
            clock: self.clock,
            window: self.window,
            zone: &self.zone,
            ask: &self.ask,
        })
    }

    fn installs(&self) -> Option<String> {
        match self.decide() {
            Decision::Install { release, artifact } => {
                assert_eq!(artifact.target, TARGET);
                Some(release.version.to_string())
            }
            Decision::Wait { .. } => None,
        }
    }

    fn waits(&self) -> (Reason, Timestamp) {
        match self.decide() {
            Decision::Wait { reason, next, .. } => (reason, next),
            other => panic!("{other:?}"),
        }
    }

    fn rule(&mut self, rule: StationRule) {
        self.channel.stations = vec![StationRule {
            name: "bench-1".to_owned(),
            ..rule
        }];
    }
}

#[test]
fn the_newest_that_may_be_installed_is_installed() {
    let mut bench = Bench::new(channel(&["0.9.0", "1.0.0", "1.1.0", "1.10.0", "1.9.0"]));
    assert_eq!(bench.installs().as_deref(), Some("1.10.0"));
    bench.channel.revoked.insert(v("1.10.0"));
    assert_eq!(bench.installs().as_deref(), Some("1.9.0"));
    bench.bad = vec![(v("1.9.0"), "not ready".to_owned())];
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
    bench.channel.releases.last_mut().unwrap().artifacts.clear();
    bench.channel.floor = Some(v("1.2.0"));
    assert_eq!(bench.installs(), None);
    // The reason is the newest one's.
    assert_eq!(bench.waits().0, Reason::Revoked(v("1.10.0")));
}

#[test]
fn nothing_newer_is_no_fault() {
    let bench = Bench::new(channel(&["0.9.0", "1.0.0"]));
    assert_eq!(bench.waits().0, Reason::UpToDate);
    assert_eq!(Bench::new(channel(&[])).waits().0, Reason::UpToDate);
}

#[test]
fn an_older_version_is_never_an_update_however_it_is_asked_for() {
    let mut bench = Bench::new(channel(&["0.9.0"]));
    for now in [false, true] {
        bench.ask = Ask {
            version: Some(v("0.9.0")),
            now,
        };
        assert_eq!(bench.waits().0, Reason::Downgrade(v("0.9.0"), v("1.0.0")));
    }
}

#[test]
fn a_pin_is_followed_up_and_only_with_its_own_word_down() {
    let mut bench = Bench::new(channel(&["0.9.0", "1.1.0", "1.2.0"]));
    let pin = |text: &str, downgrade| StationRule {
        pin: Some(v(text)),
        downgrade,
        ..StationRule::default()
    };
    bench.rule(pin("1.1.0", false));
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
    bench.rule(pin("1.0.0", false));
    assert_eq!(bench.waits().0, Reason::Same(v("1.0.0")));
    bench.rule(pin("0.9.0", false));
    assert!(matches!(bench.waits().0, Reason::Pinned(..)));
    bench.rule(pin("0.9.0", true));
    assert_eq!(bench.installs().as_deref(), Some("0.9.0"));
    bench.floor = Some(v("1.0.0"));
    assert!(
        matches!(bench.waits().0, Reason::Pinned(..)),
        "the floor holds"
    );
    bench.rule(pin("7.7.7", true));
    assert!(matches!(bench.waits().0, Reason::Pinned(..)), "not offered");
    // A pin is for the station that it names.
    bench.channel.stations[0].name = "bench-2".to_owned();
    assert_eq!(bench.installs().as_deref(), Some("1.2.0"));
}

#[test]
fn a_hold_of_the_channel_or_of_the_operator_waits_and_the_operator_may_ask_all_the_same() {
    let mut bench = Bench::new(channel(&["1.1.0"]));
    bench.rule(StationRule {
        hold: true,
        ..StationRule::default()
    });
    assert_eq!(bench.waits().0, Reason::HeldByChannel);
    bench.channel.stations.clear();
    let until = Timestamp(NOW.0 + HOUR);
    bench.held = Some(Some(until));
    assert_eq!(bench.waits(), (Reason::Held, until));
    bench.held = Some(None);
    assert_eq!(bench.waits().0, Reason::Held);
    bench.ask.now = true;
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
    bench.ask.now = false;
    bench.held = Some(Some(Timestamp(NOW.0 - 1)));
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
}

#[test]
fn a_hurried_station_waits_neither_for_its_turn_nor_for_the_night() {
    let mut bench = Bench::new(channel(&["1.1.0"]));
    bench.channel.releases[0].rollout = Some(Rollout {
        start: Timestamp(NOW.0 + HOUR),
        hours: 48,
    });
    bench.window = Some(Window { from: 0, to: 60 });
    assert!(matches!(bench.waits().0, Reason::Rollout(_)));
    bench.rule(StationRule {
        hurry: true,
        ..StationRule::default()
    });
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
}

#[test]
fn a_station_below_the_floor_or_on_a_withdrawn_version_does_not_wait_for_its_turn() {
    let mut bench = Bench::new(channel(&["1.1.0"]));
    bench.channel.releases[0].rollout = Some(Rollout {
        start: Timestamp(NOW.0 + HOUR),
        hours: 48,
    });
    bench.channel.floor = Some(v("1.0.1"));
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
    bench.channel.floor = None;
    bench.channel.revoked.insert(v("1.0.0"));
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
}

#[test]
fn a_step_between_is_taken_first() {
    let mut bench = Bench::new(channel(&["1.1.0", "2.0.0"]));
    bench.channel.releases[0].min_from = Some(v("1.1.0"));
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
    bench.running = v("1.1.0");
    assert_eq!(bench.installs().as_deref(), Some("2.0.0"));
}

#[test]
fn expiry_is_only_said_by_a_clock_that_was_set() {
    let mut bench = Bench::new(channel(&["1.1.0"]));
    bench.now = Timestamp(bench.channel.expires.0 + 47 * 24 * HOUR);
    assert_eq!(bench.waits().0, Reason::Expired(47));
    bench.clock = ClockTrust::Plausible;
    assert_eq!(bench.waits().0, Reason::ExpiryUnknown);
    bench.clock = ClockTrust::NotSet;
    assert_eq!(bench.waits().0, Reason::ClockNotSet);
    // Not even for the operator: he can set the clock.
    bench.ask.now = true;
    assert_eq!(bench.waits().0, Reason::ClockNotSet);
}

#[test]
fn the_window_is_in_the_stations_own_time_and_may_pass_midnight() {
    let mut bench = Bench::new(channel(&["1.1.0"]));
    bench.zone = TimeZone::get("Australia/Brisbane").unwrap(); // +10, no summer time
    bench.window = Some(Window {
        from: 22 * 60,
        to: 5 * 60,
    });
    // 12:00 UTC is 22:00 in Brisbane.
    assert_eq!(bench.installs().as_deref(), Some("1.1.0"));
    bench.now = Timestamp(NOW.0 - 1);
    assert_eq!(bench.waits(), (Reason::Window, NOW));
    bench.now = Timestamp(NOW.0 + 7 * HOUR - 1);
    assert!(bench.installs().is_some());
    bench.now = Timestamp(NOW.0 + 7 * HOUR);
    assert_eq!(
        bench.waits(),
        (Reason::Window, Timestamp(NOW.0 + 24 * HOUR))
    );
    bench.ask.now = true;
    assert!(bench.installs().is_some());
}

#[test]
fn a_window_that_the_change_of_clocks_skips_opens_all_the_same() {
    let mut bench = Bench::new(channel(&["1.1.0"]));
    bench.zone = TimeZone::get("Europe/Berlin").unwrap();
    // 2026-03-29: 02:00 to 03:00 do not exist.
    bench.window = Some(Window { from: 150, to: 240 });
    let at = |text: &str| Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
    bench.channel.expires = at("2030-01-01T00:00:00Z");
    bench.now = at("2026-03-28T23:00:00Z");
    let (reason, next) = bench.waits();
    assert_eq!(reason, Reason::Window);
    assert_eq!(next, at("2026-03-29T01:30:00Z"));
    bench.now = next;
    assert!(bench.installs().is_some());
}

#[test]
fn a_rollout_reaches_every_device_between_its_start_and_its_end_in_an_order_of_its_own() {
    let mut bench = Bench::new(channel(&["1.1.0"]));
    bench.channel.releases[0].rollout = Some(Rollout {
        start: NOW,
        hours: 48,
    });
    bench.channel.expires = Timestamp(NOW.0 + 1000 * HOUR);
    let mut early = 0;
    for n in 0..500 {
        bench.device = format!("device-{n}");
        bench.now = Timestamp(NOW.0 - 1);
        assert!(bench.installs().is_none());
        bench.now = Timestamp(NOW.0 + 24 * HOUR);
        early += u32::from(bench.installs().is_some());
        bench.now = Timestamp(NOW.0 + 48 * HOUR);
        assert!(bench.installs().is_some());
    }
    assert!(
        (200..300).contains(&early),
        "half of the fleet at half of the time: {early}"
    );
}

proptest! {
    /// Whatever stands in a channel: what is installed is offered, allowed, and newer.
    #[test]
    fn what_is_installed_is_always_allowed(
        versions in proptest::collection::btree_set((0u8..3, 0u8..4, 0u8..3), 0..12),
        revoked in proptest::collection::btree_set((0u8..3, 0u8..4, 0u8..3), 0..6),
        floor in proptest::option::of((0u8..3, 0u8..4, 0u8..3)),
        seen_floor in proptest::option::of((0u8..3, 0u8..4, 0u8..3)),
        bad in proptest::collection::btree_set((0u8..3, 0u8..4, 0u8..3), 0..6),
        running in (0u8..3, 0u8..4, 0u8..3),
        asked in proptest::option::of((0u8..3, 0u8..4, 0u8..3)),
        now in any::<bool>(),
        offset in -200i64..200,
        rollout in proptest::option::of((-100i64..100, 0u32..100)),
        window in proptest::option::of((0u16..1440, 0u16..1440)),
        clock in prop_oneof![
            Just(ClockTrust::Synchronised), Just(ClockTrust::Plausible), Just(ClockTrust::NotSet)
        ],
    ) {
        let make = |(a, b, c): (u8, u8, u8)| v(&format!("{a}.{b}.{c}"));
        let mut channel = channel(&[]);
        channel.releases = versions.iter().rev().map(|n| release(&make(*n))).collect();
        for release in &mut channel.releases {
            release.rollout = rollout.map(|(start, hours)| Rollout {
                start: Timestamp(NOW.0 + start * HOUR),
                hours,
            });
        }
        channel.revoked = revoked.into_iter().map(make).collect();
        channel.floor = floor.map(make);
        let mut bench = Bench::new(channel);
        bench.running = make(running);
        bench.floor = seen_floor.map(make);
        bench.bad = bad.into_iter().map(|n| (make(n), "x".to_owned())).collect();
        bench.ask = Ask { version: asked.map(make), now };
        bench.now = Timestamp(NOW.0 + offset * HOUR);
        bench.window = window.map(|(from, to)| Window { from, to });
        bench.clock = clock;
        match bench.decide() {
            Decision::Install { release, .. } => {
                let version = &release.version;
                prop_assert!(*version > bench.running);
                prop_assert!(!bench.channel.revoked.contains(version));
                prop_assert!(bench.channel.floor.as_ref().is_none_or(|floor| version >= floor));
                prop_assert!(bench.floor.as_ref().is_none_or(|floor| version >= floor));
                prop_assert!(bench.now < bench.channel.expires);
                prop_assert!(clock != ClockTrust::NotSet);
                if let Some(asked) = &bench.ask.version {
                    prop_assert_eq!(version, asked);
                } else {
                    prop_assert!(bench.bad.iter().all(|(bad, _)| bad != version));
                }
            }
            // The next look never lies in the past, or the timer would spin.
            Decision::Wait { next, .. } => prop_assert!(next > bench.now),
        }
    }

    /// The time that is told is true: nothing before it, and something at it.
    #[test]
    fn the_next_try_of_a_rollout_is_exact(device in "[a-z]{1,12}", hours in 1u32..1000) {
        let mut bench = Bench::new(channel(&["1.1.0"]));
        bench.channel.expires = Timestamp(NOW.0 + 2000 * HOUR);
        bench.channel.releases[0].rollout = Some(Rollout { start: Timestamp(NOW.0 + HOUR), hours });
        bench.device = device;
        let (reason, next) = bench.waits();
        prop_assert!(matches!(reason, Reason::Rollout(_)));
        bench.now = Timestamp(next.0 - 1);
        prop_assert!(bench.installs().is_none());
        bench.now = next;
        prop_assert!(bench.installs().is_some());
        prop_assert!(next <= Timestamp(NOW.0 + HOUR).plus(Duration::from_secs(u64::from(hours) * 3600)));
    }

    /// No text makes the reader panic, and what it reads is bounded.
    #[test]
    fn no_document_is_read_in_a_panic(text in ".{0,400}") {
        drop(Channel::parse(text.as_bytes()));
    }
}

fn document(change: impl Fn(&mut serde_json::Value)) -> Result<Channel, String> {
    let mut document = serde_json::json!({
        "format": 1, "channel": "stable", "sequence": 3,
        "issued": "2026-06-01T00:00:00Z", "expires": "2026-07-01T00:00:00Z",
        "floor": "1.0.0", "revoked": ["1.0.5"],
        "releases": [{
            "version": "1.1.0", "min_from": "1.0.0", "mandatory": false,
            "rollout": { "start": "2026-06-01T00:00:00Z", "hours": 48 },
            "artifacts": [{
                "target": TARGET, "size": 10, "unpacked": 20, "sha256": "a".repeat(64),
            }],
        }],
        "stations": [{ "name": "bench-1", "pin": "1.1.0" }],
    });
    change(&mut document);
    Channel::parse(document.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// Makes a good document wrong.
type Change<'a> = &'a dyn Fn(&mut serde_json::Value);

#[test]
fn a_document_is_read_strictly() {
    document(|_| {}).unwrap();
    document(|d| d["ext"] = serde_json::json!({ "what": ["later", "versions"] })).unwrap();
    let wrong: [(&str, Change<'_>); 19] = [
        ("unknown member", &|d| d["x"] = 1.into()),
        ("newer form", &|d| d["format"] = 2.into()),
        ("no sequence", &|d| {
            drop(d.as_object_mut().unwrap().remove("sequence"))
        }),
        ("negative sequence", &|d| d["sequence"] = (-1).into()),
        ("sequence as text", &|d| d["sequence"] = "3".into()),
        ("version with a path", &|d| {
            d["releases"][0]["version"] = "../1".into()
        }),
        ("version twice", &|d| {
            let again = d["releases"][0].clone();
            d["releases"].as_array_mut().unwrap().push(again);
        }),
        ("target with a path", &|d| {
            d["releases"][0]["artifacts"][0]["target"] = "../../x".into()
        }),
        ("target twice", &|d| {
            let again = d["releases"][0]["artifacts"][0].clone();
            d["releases"][0]["artifacts"]
                .as_array_mut()
                .unwrap()
                .push(again);
        }),
        ("empty archive", &|d| {
            d["releases"][0]["artifacts"][0]["size"] = 0.into()
        }),
        ("huge archive", &|d| {
            d["releases"][0]["artifacts"][0]["size"] = u64::MAX.into()
        }),
        ("huge program", &|d| {
            d["releases"][0]["artifacts"][0]["unpacked"] = u64::MAX.into()
        }),
        ("short sum", &|d| {
            d["releases"][0]["artifacts"][0]["sha256"] = "aa".into()
        }),
        ("upper-case sum", &|d| {
            d["releases"][0]["artifacts"][0]["sha256"] = "A".repeat(64).into();
        }),
        ("expires before issue", &|d| {
            d["expires"] = "2026-05-01T00:00:00Z".into()
        }),
        ("no time", &|d| d["issued"] = "yesterday".into()),
        ("endless rollout", &|d| {
            d["releases"][0]["rollout"]["hours"] = 1_000_000.into()
        }),
        ("station twice", &|d| {
            let again = d["stations"][0].clone();
            d["stations"].as_array_mut().unwrap().push(again);
        }),
        ("too many withdrawn", &|d| {
            d["revoked"] = (0..300)
                .map(|n| format!("1.0.{n}"))
                .collect::<Vec<_>>()
                .into();
        }),
    ];
    for (what, change) in wrong {
        assert!(document(change).is_err(), "{what}");
    }
    let newer = document(|d| {
        d["format"] = 2.into();
        d["x"] = 1.into();
    });
    assert!(newer.unwrap_err().contains("newer than this program"));
    // What is skipped costs no stack, however deep it is.
    let deep = format!(
        r#"{{"format":1,"channel":"x","sequence":1,"issued":"2026-06-01T00:00:00Z","expires":"2026-07-01T00:00:00Z","releases":[],"ext":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    Channel::parse(deep.as_bytes()).unwrap();
    // Twice in one object: which one counts would be a matter of taste.
    let twice = br#"{"format":1,"format":1,"channel":"x","sequence":1,"issued":"2026-06-01T00:00:00Z","expires":"2026-07-01T00:00:00Z","releases":[]}"#;
    assert!(Channel::parse(twice).is_err());
}
