//! The configuration as a user meets it: files in, problems with lines out, effective values shown.

use printstation::config::model::{PrinterConnection, ScannerConnection};
use printstation::config::{
    Config, EXAMPLE, Environment, Loaded, Problem, Request, Severity, Strictness, load, parse,
};
use std::path::Path;
use std::time::Duration;

const MINIMAL: &str = include_str!("fixtures/config/minimal.toml");
const MISTAKES: &str = include_str!("fixtures/config/mistakes.toml");

fn read(text: &str) -> Loaded {
    parse(None, ("config.toml", text), None, Strictness::Strict)
}

#[track_caller]
fn good(text: &str) -> Config {
    let loaded = read(text);
    loaded
        .config
        .unwrap_or_else(|| panic!("{:#?}", loaded.problems))
}

/// The problems at one line, as text.
fn at(problems: &[Problem], line: u32) -> String {
    let found: Vec<String> = problems
        .iter()
        .filter(|p| p.line == line)
        .map(|p| format!("{} {}", p.key, p.message))
        .collect();
    found.join("\n")
}

fn with(extra: &str) -> String {
    format!("{extra}\n{MINIMAL}")
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line_and_what_would_be_right() {
    let loaded = read(MISTAKES);
    assert!(loaded.config.is_none());
    let expected = [
        (2, "colour unknown key; known here: version, station"),
        (5, "station.name a name has 1 to 32"),
        (
            6,
            "station.state_dri unknown key; did you mean `state_dir`?",
        ),
        (7, "station.timezone is no time zone"),
        (
            10,
            "scan.mode unknown value \"prnt\"; did you mean \"print\"?",
        ),
        (11, "scan.repeat_window wants a duration: text with a unit"),
        (12, "unknown group `ordr`; did you mean `order`?"),
        (12, "scan.patterns pattern '(': unclosed group"),
        (12, "needs a named group"),
        (16, "scanners[0].connection is none of evdev:"),
        (
            19,
            "starshipit.base_url plain http:// is allowed to this machine only",
        ),
        (20, "starshipit.requests_per_second 0 is not between 1 and"),
        (
            24,
            "starshipit.accounts[0].api_key a secret is never written",
        ),
        (
            25,
            "starshipit.accounts[0].subscription_key.credental unknown key; did you mean `credential`?",
        ),
        (28, "\"main\" is there twice"),
        (29, "starshipit.accounts[1].api_key names two secrets"),
        (27, "starshipit.accounts[1].subscription_key is missing"),
        (
            32,
            "routes[0].account there is no account \"mian\"; did you mean \"main\"?",
        ),
        (
            33,
            "routes[0].printer there is no printer \"lable\"; did you mean \"label\"?",
        ),
        (
            37,
            "printers[0].treshold unknown key; did you mean `threshold`?",
        ),
        (38, "printers[0].media \"100x150\" is not a label size"),
        (39, "printers[0].dpi wants a whole number, and this is text"),
        (
            40,
            "printers[0].fallback a printer cannot stand in for itself",
        ),
        (
            43,
            "web.listen other machines can reach this address, so web.token is needed",
        ),
        (46, "update.window wants two times of day"),
    ];
    for (line, part) in expected {
        let found = at(&loaded.problems, line);
        assert!(
            found.contains(part),
            "line {line}: wanted {part:?}, found {found:?}\nall: {:#?}",
            loaded.problems
        );
    }
    let text = loaded.problems[0].to_string();
    assert!(
        text.starts_with("config.toml:2: colour: unknown key"),
        "{text}"
    );
}

#[test]
fn a_secret_that_was_written_down_is_not_repeated_in_the_message() {
    for problem in read(MISTAKES).problems {
        assert!(!problem.to_string().contains("0123456789abcdef"));
    }
}

#[test]
fn four_lines_are_a_configuration_and_every_other_key_has_its_default() {
    let config = good(MINIMAL);
    assert_eq!(config.scan.repeat_window, Duration::from_millis(1500));
    assert_eq!(config.starshipit.settle, Duration::from_secs(90));
    assert!(config.cartoncloud.is_none() && config.scanners.is_empty());
    assert_eq!(config.printers[0].connection, PrinterConnection::Usb(None));
    assert_eq!(
        (
            config.routes[0].account.as_str(),
            config.routes[0].printer.as_str()
        ),
        ("main", "label")
    );
    assert_eq!(config.web.listen.to_string(), "127.0.0.1:8631");
}

#[test]
fn a_file_without_an_account_says_what_is_missing() {
    let loaded = read("");
    assert!(loaded.config.is_none());
    assert!(
        loaded.problems[0]
            .message
            .contains("at least one [[starshipit.accounts]]")
    );
}

#[test]
fn several_accounts_without_routes_are_not_guessed_at() {
    let two = format!("{MINIMAL}\n{}", MINIMAL.replace("main", "other"));
    let loaded = read(&two);
    assert!(
        loaded.problems.iter().any(|p| p.key == "routes"),
        "{:?}",
        loaded.problems
    );
}

#[test]
fn the_example_is_complete_valid_and_reads_back_as_shown() {
    let config = good(EXAMPLE);
    assert_eq!(
        config.scanners[0].connection,
        ScannerConnection::TcpListen("127.0.0.1:4001".parse().unwrap())
    );
    let shown = config.to_toml().unwrap();
    assert_eq!(good(&shown), config, "{shown}");

    let minimal = good(MINIMAL);
    assert_eq!(good(&minimal.to_toml().unwrap()), minimal);

    // Whatever `show` prints for a full configuration is a key that the example explains.
    for line in shown.lines().filter_map(|l| l.split_once(" = ")) {
        let key = line.0.trim();
        let written = [format!("{key} = "), format!(".{key}]")];
        assert!(
            written.iter().any(|form| EXAMPLE.contains(form)),
            "the example lacks {key}"
        );
    }
}

#[test]
fn every_default_in_the_example_is_the_default() {
    let example = good(EXAMPLE);
    let defaults = good(MINIMAL);
    assert_eq!(example.offline, defaults.offline);
    assert_eq!(example.prefetch, defaults.prefetch);
    assert_eq!(example.ledger, defaults.ledger);
    assert_eq!(example.scan.repeat_window, defaults.scan.repeat_window);
    assert_eq!(example.scan.fallback, defaults.scan.fallback);
    assert_eq!(example.station.name, defaults.station.name);
    assert_eq!(example.station.state_dir, defaults.station.state_dir);
    assert_eq!(example.starshipit.base_url, defaults.starshipit.base_url);
    assert_eq!(
        example.starshipit.request_timeout,
        defaults.starshipit.request_timeout
    );
    assert_eq!(example.web.listen, defaults.web.listen);
    assert_eq!(example.log, defaults.log);
    assert_eq!(example.printers[0].media, defaults.printers[0].media);
    assert_eq!(
        example.printers[0].threshold,
        defaults.printers[0].threshold
    );
}

#[test]
fn a_newer_file_or_a_trial_warns_about_unknown_keys_but_never_about_unknown_values() {
    let lenient = |text: &str| parse(None, ("c", text), None, Strictness::Lenient);
    let unknown_key = with("[scan]\nfuture = 1");
    assert!(read(&unknown_key).config.is_none());
    let loaded = lenient(&unknown_key);
    assert!(loaded.config.is_some());
    let warned = |l: &Loaded| {
        l.problems
            .iter()
            .any(|p| p.severity == Severity::Warning && p.key == "scan.future")
    };
    assert!(warned(&loaded));
    let newer = read(&with("version = 2\n[scan]\nfuture = 1"));
    assert!(
        newer.config.is_some() && warned(&newer),
        "{:?}",
        newer.problems
    );
    assert!(
        lenient(&with("[scan]\nmode = \"telepathy\""))
            .config
            .is_none()
    );
}

#[test]
fn site_file_is_read_first_and_its_mistakes_carry_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        use std::io::Write as _;
        let mut file = std::fs::File::create(dir.path().join(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    let request = Request {
        path: dir.path().join("config.toml"),
        state_dir: Some("/override".into()),
        strictness: Strictness::Strict,
    };
    assert!(
        load(&request).problems[0]
            .message
            .contains("there is no such file")
    );

    write(
        "site.toml",
        &with("[scan]\ncommand_prefix = \"PSAAAA.\"\nrepeat_window = \"2s\""),
    );
    write(
        "config.toml",
        "[scan]\nrepeat_window = \"3s\"\n[station]\nname = \"bench-7\"",
    );
    let config = load(&request).config.unwrap();
    assert_eq!(config.scan.command_prefix, "PSAAAA.");
    assert_eq!(config.scan.repeat_window, Duration::from_secs(3));
    assert_eq!(config.station.state_dir, Path::new("/override"));

    write("site.toml", &with("[scan]\ncomand_prefix = \"PSAAAA.\""));
    let problems = load(&request).problems;
    let wrong = problems
        .iter()
        .find(|p| p.key == "scan.comand_prefix")
        .unwrap();
    assert!(
        wrong.file.ends_with("site.toml") && wrong.line == 2,
        "{wrong}"
    );

    write("config.toml", "[scan\nx = ");
    assert!(load(&request).config.is_none());
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_default() {
    let find = |config: Option<&str>, env: &dyn Fn(&str) -> Option<String>| {
        Request::find(config.map(Into::into), None, &Environment { var: env })
    };
    let env = |name: &str| Some(format!("/env/{name}"));
    assert_eq!(find(Some("/cli"), &env).path, Path::new("/cli"));
    assert_eq!(find(None, &env).path, Path::new("/env/PRINTSTATION_CONFIG"));
    assert_eq!(
        find(None, &env).state_dir.unwrap(),
        Path::new("/env/PRINTSTATION_STATE_DIR")
    );
    assert_eq!(
        find(None, &|_| None).path,
        Path::new("/etc/printstation/config.toml")
    );
}

#[test]
fn effective_values_show_where_secrets_are_and_hide_addresses_that_are_secrets() {
    let text = format!(
        "{}\n[alerts]\nwebhook = \"https://hooks.example/T0/SECRETPART\"\n[[webhooks]]\nurl = \"https://erp.example/t?token=SECRETPART\"\nsecret = {{ file = \"/k\" }}",
        MINIMAL
    );
    let config = good(&text);
    for shown in [
        config.to_toml().unwrap(),
        serde_json::to_string(&config).unwrap(),
    ] {
        assert!(!shown.contains("SECRETPART"), "{shown}");
        assert!(
            shown.contains("hooks.example") && shown.contains("API_KEY"),
            "{shown}"
        );
    }
    assert_eq!(config.secrets().len(), 3);
}

#[test]
fn one_pin_does_one_thing_and_standard_input_feeds_one_scanner() {
    let problems = read(&with(
        "[lamp]\ngreen = 17\n[buzzer]\ngpio = 17\n[[scanners]]\nname='a'\nconnection='stdin'\n[[scanners]]\nname='b'\nconnection='stdin'",
    ))
    .problems;
    assert!(
        at(&problems, 4).contains("GPIO 17 is taken by lamp.green"),
        "{problems:?}"
    );
    assert!(
        at(&problems, 10).contains("one scanner only"),
        "{problems:?}"
    );
}

#[test]
fn hostile_text_is_answered_and_never_panics() {
    let nested = format!("a = {}", "{a=".repeat(5_000));
    let brackets = format!("x = {}", "[".repeat(20_000));
    let many = (0..5_000)
        .map(|i| format!("k{i} = 1\n"))
        .collect::<String>();
    for text in [
        "\u{0}",
        "=",
        "[[[[",
        "a.b.c.d = 1",
        "station = 1\nscanners = {}\nroutes = 'x'\nprinters = [1, 2]\nscan = []",
        "starshipit = []",
        "starshipit.accounts = 3",
        &nested,
        &brackets,
        &many,
    ] {
        let loaded = read(text);
        assert!(loaded.config.is_none() && !loaded.problems.is_empty());
    }
}

proptest::proptest! {
    #[test]
    fn any_text_gives_a_configuration_or_problems(text in "(\\[{0,2}[a-z.]{1,9}\\]{0,2}|[a-z_]{1,9} ?= ?[^\\n]{0,12}|\\PC{0,20})(\\n[a-z\\[\\].='\"{}0-9 ]{0,20}){0,12}") {
        let loaded = read(&text);
        proptest::prop_assert_eq!(loaded.config.is_none(), loaded.problems.iter().any(|p| p.severity == Severity::Error));
    }
}
