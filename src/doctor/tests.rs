use super::fact::{Card, Device, Duties, Host, Kind, Printer, Slots, Trouble, Unpushed, Work};
use super::*;
use crate::system::clock::BUILT;

const NOW: Timestamp = Timestamp(BUILT.0 + 200 * 86_400_000);

fn set() -> Fact {
    Fact::Clock {
        last_seen: None,
        synchronised: true,
    }
}

/// The lines of these facts, on a bench whose clock is set.
fn lines(facts: &[Fact]) -> Vec<Line> {
    let mut all = facts.to_vec();
    all.push(set());
    let report = report("bench-1", "1.0.0", String::new(), NOW, &all);
    let clock = |line: &Line| line.check == "clock" && line.state == State::Ok;
    report.lines.into_iter().filter(|l| !clock(l)).collect()
}

#[track_caller]
fn one(fact: Fact) -> Line {
    let mut lines = lines(&[fact]);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

fn unwell(printer: Printer) -> Line {
    one(Fact::Printer(Printer {
        ready: false,
        ..printer
    }))
}

fn printer() -> Printer {
    Printer {
        name: "label".into(),
        connection: "tcp://192.0.2.7:9100".into(),
        language: Ok("zpl".into()),
        media: "100x150mm at 203 dpi".into(),
        ready: true,
        code: None,
        detail: String::new(),
        talks: Some(true),
        is_folder: false,
    }
}

fn host(answer: Result<u64, &str>, ahead_ms: Option<i64>) -> Fact {
    Fact::Host(Host {
        key: "starshipit.base_url".into(),
        host: "api.example:443".into(),
        answer: answer.map_err(str::to_owned),
        ahead_ms,
    })
}

fn hours(n: i64) -> Timestamp {
    Timestamp(NOW.0 - n * 3_600_000)
}

#[test]
fn whatever_is_not_ok_says_what_to_do() {
    let trouble = |code, detail: &str| Trouble {
        code,
        detail: detail.into(),
    };
    let mut facts = vec![
        Fact::Configuration {
            file: "c.toml".into(),
            usable: false,
            problems: vec![
                fact::Problem {
                    is_error: true,
                    text: "c.toml:3: x: unknown key".into(),
                },
                fact::Problem {
                    is_error: false,
                    text: "c.toml:4: y: is not set".into(),
                },
            ],
        },
        Fact::Secrets {
            read: 0,
            missing: vec![fact::Missing {
                key: "k".into(),
                why: "cannot read /x".into(),
                forbidden: false,
                is_env: false,
            }],
            open: vec![(
                "k".into(),
                "/x is readable by everybody on this machine: chmod o-r /x".into(),
            )],
        },
        Fact::Station(fact::Station::Stopped),
        Fact::Quota {
            account: "main".into(),
            refused: vec![hours(2)],
        },
        host(Err("dns error: failed to lookup address information"), None),
        host(Err("something new"), None),
        host(Ok(3), Some(-10 * 365 * 86_400_000)),
        Fact::Web {
            listen: "127.0.0.1:1".into(),
            trouble: Some("in use".into()),
        },
        Fact::Card(Card {
            path: "/s".into(),
            space: Some((1 << 20, 1 << 30)),
            filesystem: "vfat".into(),
            life_used: Some(90),
            is_worn: true,
            written_today: Some(20 << 30),
            ..Card::default()
        }),
        Fact::Slots(Slots {
            has_channel: true,
            ..Slots::default()
        }),
        Fact::Slots(Slots {
            root: Some("/opt/printstation".into()),
            has_channel: true,
            current: Some(("1.0.0".into(), Some("damaged".into()))),
            previous: Some(("0.9.0".into(), Some("damaged".into()))),
            trial: Some("1.1.0".into()),
            hold: Some(None),
            bad: vec!["1.0.5".into()],
            volatile: Some("lies on memory".into()),
            ..Slots::default()
        }),
        Fact::Work(Work {
            numberless: vec![("WEB-1".into(), hours(2))],
            held: vec![("WEB-2".into(), hours(100))],
            in_doubt: vec!["WEB-3".into()],
            owed: 3,
            oldest: Some(hours(3)),
            conflicts: vec!["WEB-4".into()],
            unsupported: vec!["WEB-5".into()],
        }),
        Fact::Month {
            bought: 95,
            quota: 100,
        },
        Fact::Month {
            bought: 100,
            quota: 100,
        },
        Fact::SetAside {
            dir: "/s/ledger".into(),
            names: vec!["quarantine-1".into()],
        },
        Fact::TookTooLong {
            check: "printer label".into(),
            after_s: 25,
        },
        Fact::Device(Device {
            kind: Kind::Scanner,
            name: "bench".into(),
            at: "evdev:usb-*".into(),
            trouble: Some("no input device of this machine fits it".into()),
        }),
    ];
    for code in Code::ALL {
        facts.push(Fact::Role {
            what: code.to_string(),
            role: String::new(),
            answer: Err(trouble(*code, "")),
        });
    }
    let lines = lines(&facts);
    for line in &lines {
        assert!(ORDER.contains(&line.check), "{line:?}");
        assert!(!line.what.trim().is_empty(), "{line:?}");
        if line.state != State::Ok {
            assert!(
                line.fix.as_ref().is_some_and(|fix| fix.len() > 10),
                "{line:?}"
            );
        }
        if let Some(code) = line.code.filter(|_| line.check != "configuration") {
            assert!(
                line.what.contains(code.explain().happened) || line.check == "network",
                "{line:?}"
            );
        }
    }
    let kinds: std::collections::BTreeSet<&str> = lines.iter().map(|l| l.check).collect();
    for check in [
        "network", "quota", "card", "update", "number", "held", "ledger", "clock",
    ] {
        assert!(kinds.contains(check), "{check}");
    }
}

#[test]
fn a_missing_role_is_named_in_the_fix() {
    let line = one(Fact::Role {
        what: "read products (version 8)".into(),
        role: "WMS Edit Product".into(),
        answer: Err(Trouble {
            code: Code::CartoncloudUnauthorized,
            detail: "403".into(),
        }),
    });
    assert_eq!(line.state, State::Fail);
    assert!(line.fix.unwrap().contains("role WMS Edit Product"));
}

#[test]
fn a_printer_is_told_in_the_words_of_its_code_and_with_its_own() {
    let line = unwell(Printer {
        code: Some(Code::PrinterMediaOut),
        detail: "ribbon out".into(),
        ..printer()
    });
    assert_eq!(line.state, State::Fail);
    let words = Code::PrinterMediaOut.explain();
    assert!(line.what.starts_with(words.happened) && line.what.contains("ribbon out"));
    assert_eq!(line.fix.as_deref(), Some(words.you));
    assert_eq!(one(Fact::Printer(printer())).state, State::Ok);
    let mute = one(Fact::Printer(Printer {
        talks: Some(false),
        ..printer()
    }));
    assert!(
        mute.state == State::Ok && mute.what.contains("`sent`"),
        "{mute:?}"
    );
    let unknown = one(Fact::Printer(Printer {
        language: Err("it answers no status question".into()),
        ..printer()
    }));
    assert!(unknown.fix.unwrap().contains("language"));
}

#[test]
fn a_clock_ten_years_off_is_told_by_whoever_answers_and_blamed_for_certificates() {
    let lines = lines(&[host(Ok(3), Some(10 * 365 * 86_400_000))]);
    let clock = lines.iter().find(|line| line.check == "clock").unwrap();
    assert_eq!(clock.code, Some(Code::ClockNotSet));
    assert!(
        clock.what.contains("10 years ahead of api.example"),
        "{clock:?}"
    );
    assert!(clock.fix.as_ref().unwrap().contains("timedatectl"));

    let facts = [
        Fact::Clock {
            last_seen: None,
            synchronised: false,
        },
        host(Err("invalid peer certificate: NotValidYet"), None),
    ];
    let report = report("b", "1", String::new(), Timestamp(BUILT.0 - 1), &facts);
    let network = report.lines.iter().find(|l| l.check == "network").unwrap();
    assert_eq!(network.code, Some(Code::ClockNotSet), "{network:?}");
    assert!(
        report
            .lines
            .iter()
            .any(|l| l.check == "clock" && l.state == State::Fail)
    );
    assert_eq!(report.state, State::Fail);
}

#[test]
fn a_duty_has_one_holder() {
    let wanted = vec!["push".to_owned()];
    let peer = |name: &str, held: &[&str]| {
        let held = held.iter().map(|d| (*d).to_owned()).collect();
        (format!("http://{name}"), Ok((name.to_owned(), held)))
    };
    let state = |own: &[&str], peers: Vec<_>, unpushed: Option<u64>, foreign: Option<u64>| {
        let lines = lines(&[Fact::Duties(Duties {
            own: own.iter().map(|d| (*d).to_owned()).collect(),
            wanted: wanted.clone(),
            peers,
            unpushed: unpushed.map(|missing| {
                Ok(Unpushed {
                    looked_at: 3,
                    missing,
                    example: "SO-1".into(),
                    minutes: 30,
                })
            }),
            foreign: foreign.map(|n| (3, n)),
        })]);
        let worst = lines.iter().map(|line| line.state).max().unwrap();
        let text: Vec<&str> = lines.iter().map(|line| line.what.as_str()).collect();
        (worst, text.join("\n"))
    };
    assert_eq!(state(&["push"], vec![], None, None).0, State::Ok);
    assert_eq!(
        state(&["push"], vec![peer("b", &[])], None, Some(0)).0,
        State::Ok
    );
    assert_eq!(
        state(&[], vec![peer("b", &["push"])], None, None).0,
        State::Ok
    );
    // Two.
    let (worst, text) = state(&["push"], vec![peer("b", &["push"])], None, None);
    assert!(
        worst == State::Warn && text.contains("held twice"),
        "{text}"
    );
    let (worst, text) = state(
        &[],
        vec![peer("b", &["push"]), peer("c", &["push"])],
        None,
        None,
    );
    assert!(worst == State::Warn && text.contains("b, c"), "{text}");
    let (worst, text) = state(&["push"], vec![], None, Some(2));
    assert!(
        worst == State::Warn && text.contains("2 of the newest 3"),
        "{text}"
    );
    // None.
    let (worst, text) = state(&[], vec![peer("b", &[])], None, None);
    assert!(
        worst == State::Warn && text.contains("no bench of the site"),
        "{text}"
    );
    let (worst, text) = state(&[], vec![], Some(2), None);
    assert!(
        worst == State::Warn && text.contains("nobody does it: 2 of 3"),
        "{text}"
    );
    // Its work is seen.
    assert_eq!(state(&[], vec![], Some(0), None).0, State::Ok);
    // A bench that is off may hold it.
    let off = ("http://d".to_owned(), Err("connection refused".to_owned()));
    let (worst, text) = state(&[], vec![off], None, None);
    assert!(
        worst == State::Warn && text.contains("no bench that answered"),
        "{text}"
    );
}

#[test]
fn secrets_that_the_service_has_are_not_missing() {
    let secrets = |forbidden, is_env| Fact::Secrets {
        read: 0,
        missing: vec![fact::Missing {
            key: "k".into(),
            why: "cannot read /run/credentials".into(),
            forbidden,
            is_env,
        }],
        open: Vec::new(),
    };
    let runs = Fact::Station(fact::Station::Runs {
        version: "1.0.0".into(),
        state: "ready".into(),
        health: Vec::new(),
        tells: true,
    });
    let state = |facts: &[Fact]| {
        let lines = lines(facts);
        lines
            .iter()
            .find(|l| l.check == "credential")
            .unwrap()
            .state
    };
    assert_eq!(state(&[secrets(true, false), runs.clone()]), State::Ok);
    assert_eq!(state(&[secrets(false, true), runs.clone()]), State::Ok);
    // Deleted: it runs, and would not start again.
    assert_eq!(state(&[secrets(false, false), runs]), State::Fail);
    assert_eq!(state(&[secrets(true, false)]), State::Warn);
    assert_eq!(state(&[secrets(false, true)]), State::Fail);
}

#[test]
fn facts_of_another_version_are_read_one_by_one() {
    let known = serde_json::to_value(Fact::Printer(printer())).unwrap();
    let back: Fact = serde_json::from_value(known).unwrap();
    assert_eq!(back, Fact::Printer(printer()));
    let new = serde_json::json!({ "is": "weather", "rain": true });
    assert!(serde_json::from_value::<Fact>(new).is_err());
}

#[test]
fn the_worst_line_is_the_report_and_every_line_is_counted() {
    let report = report(
        "b",
        "1.0.0",
        "t".into(),
        NOW,
        &[
            set(),
            Fact::Printer(printer()),
            Fact::Station(fact::Station::Stopped),
        ],
    );
    assert_eq!(report.state, State::Warn);
    assert_eq!((report.ok, report.warn, report.fail), (2, 1, 0));
    assert!(!report.running);
    let document = serde_json::to_value(&report).unwrap();
    for member in [
        "station", "version", "at", "running", "state", "ok", "warn", "fail", "lines",
    ] {
        assert!(!document[member].is_null(), "{member}");
    }
    let line = &document["lines"][0];
    for member in ["check", "name", "state", "code", "what", "fix"] {
        assert!(line.get(member).is_some(), "{member}");
    }
}
