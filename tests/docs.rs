//! The README is true: its commands exist, its configuration is accepted, its tables are the
//! program's, its files are there.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` rewrites the section that is made from the program.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where the ground gives way under it; its files need not outlive a power cut"
)]

use printstation::config::{Strictness, parse};
use printstation::domain::command::PLAIN;
use printstation::domain::{Code, Way};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long a command may take that has nothing to do but answer.
const PATIENCE: Duration = Duration::from_secs(60);

const CODES_BEGIN: &str =
    "<!-- codes: written by `UPDATE_DOCS=1 cargo test --test docs`; do not edit by hand -->\n";
const CODES_END: &str = "<!-- /codes -->";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

// ---- the program -------------------------------------------------------------------------------

#[derive(Debug)]
struct Said {
    exit: Option<i32>,
    out: String,
    err: String,
}

/// Runs the built program in a folder of its own, without the caller's configuration or station.
fn printstation(arguments: &[&str], folder: &Path) -> Said {
    let child = Command::new(env!("CARGO_BIN_EXE_printstation"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("PRINTSTATION_CONFIG")
        .env("PRINTSTATION_STATE_DIR", folder.join("state"))
        .env("COLUMNS", "200")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let (done, ended) = mpsc::sync_channel(1);
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        panic!("no answer within {PATIENCE:?}: printstation {arguments:?}");
    };
    let output = output.unwrap();
    Said {
        exit: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `printstation VERB… --help`; None where there is no such verb.
fn help(verbs: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = verbs.to_vec();
    arguments.push("--help");
    let said = printstation(&arguments, folder.path());
    (said.exit == Some(0) && said.out.contains("Usage:")).then_some(said.out)
}

/// The verbs that a help text lists under `Commands:`, and hidden ones not.
fn verbs(help: &str) -> BTreeSet<String> {
    help.lines()
        .skip_while(|l| l.trim_end() != "Commands:")
        .skip(1)
        .take_while(|l| l.starts_with("  "))
        .filter(|l| !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .map(str::to_owned)
        .collect()
}

// ---- reading the README ------------------------------------------------------------------------

/// Fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim_end() == fence {
            let block: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
            found.push(block.join("\n") + "\n");
        } else if line.starts_with("```") {
            // Another language: to its end.
            lines.by_ref().find(|l| *l == "```");
        }
    }
    found
}

/// Text between backticks, outside fenced blocks.
fn spans(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// Calls of the program: the words after `printstation` or `cargo run … --`.
///
/// Not those in the table of codes, which is the program's own: a code that only a later version
/// can give may already name that version's command.
fn calls(text: &str) -> Vec<Vec<String>> {
    let (before, rest) = text.split_once(CODES_BEGIN).unwrap();
    let (_, after) = rest.split_once(CODES_END).unwrap();
    let text = &format!("{before}{after}");
    let lines = blocks(text, "sh")
        .iter()
        .flat_map(|b| b.lines().map(str::to_owned).collect::<Vec<_>>())
        .chain(spans(text))
        .collect::<Vec<_>>();
    let mut found = Vec::new();
    for line in lines {
        let line = line.split(" #").next().unwrap().trim();
        let line = line.strip_prefix("$ ").unwrap_or(line);
        let words = if let Some(rest) = line.strip_prefix("printstation ") {
            rest
        } else if line.starts_with("cargo run ") {
            line.split_once(" -- ").map_or("", |(_, rest)| rest)
        } else {
            continue;
        };
        found.push(words.split_whitespace().map(str::to_owned).collect());
    }
    found
}

/// Rows of the first table after `heading_row`, cells trimmed.
fn table(text: &str, heading_row: &str) -> Vec<Vec<String>> {
    text.lines()
        .skip_while(|l| *l != heading_row)
        .skip(2)
        .take_while(|l| l.starts_with('|'))
        .map(|l| {
            l.trim_matches('|')
                .split('|')
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// What is wrong with a call, by the program's own help.
fn call_faults(call: &[String], help: &impl Fn(&[&str]) -> Option<String>) -> Vec<String> {
    let mut at: Vec<&str> = Vec::new();
    let Some(mut page) = help(&at) else {
        return vec!["the program has no help".to_owned()];
    };
    for word in call {
        if word.starts_with('-') || verbs(&page).is_empty() {
            break;
        }
        at.push(word);
        match help(&at) {
            Some(next) => page = next,
            None => return vec![format!("no verb `{}`", at.join(" "))],
        }
    }
    call.iter()
        .filter(|word| word.starts_with("--") && word.len() > 2)
        .map(|word| word.split('=').next().unwrap_or(word))
        .filter(|flag| {
            !page
                .split(|c: char| c.is_whitespace() || matches!(c, ',' | '=' | '[' | ']' | '<'))
                .any(|w| w == *flag)
        })
        .map(|flag| format!("`{}` has no {flag}", at.join(" ")))
        .collect()
}

// ---- commands ----------------------------------------------------------------------------------

#[test]
fn a_verb_or_flag_that_does_not_exist_is_noticed() {
    let help = |verbs: &[&str]| {
        match verbs {
        [] => Some("Usage: p\n\nCommands:\n  run   Runs\n  config  Checks\n      more text\n  help  x\n\nOptions:\n".to_owned()),
        ["run"] => Some("Usage: p run\n\nOptions:\n  -c, --config <F>  File\n".to_owned()),
        ["config"] => Some("Usage: p config\n\nCommands:\n  check  Checks\n".to_owned()),
        ["config", "check"] => Some("Usage: p config check [FILE]\n".to_owned()),
        _ => None,
    }
    };
    let faults = |call: &str| {
        let call: Vec<String> = call.split(' ').map(str::to_owned).collect();
        call_faults(&call, &help)
    };
    assert_eq!(faults("runs"), ["no verb `runs`"]);
    assert_eq!(faults("config chek"), ["no verb `config chek`"]);
    assert_eq!(faults("run --conf x"), ["`run` has no --conf"]);
    assert_eq!(faults("run --config x"), [""; 0]);
    assert_eq!(faults("config check some.toml"), [""; 0]);
}

#[test]
fn every_command_in_the_readme_exists_with_its_flags() {
    let calls = calls(&readme());
    assert!(calls.len() >= 12, "{calls:?}");
    let mut pages: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut faults = Vec::new();
    for call in &calls {
        // Each help page is asked once.
        let cell = std::cell::RefCell::new(&mut pages);
        let known = |verbs: &[&str]| {
            cell.borrow_mut()
                .entry(verbs.join(" "))
                .or_insert_with(|| help(verbs))
                .clone()
        };
        for fault in call_faults(call, &known) {
            faults.push(format!("printstation {}: {fault}", call.join(" ")));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_verb_of_the_program_is_in_the_readme() {
    let verbs = verbs(&help(&[]).expect("printstation --help"));
    assert!(verbs.len() >= 5, "{verbs:?}");
    let readme = readme();
    let told: BTreeSet<String> = calls(&readme)
        .into_iter()
        .filter_map(|call| call.into_iter().next())
        .collect();
    let untold: Vec<&String> = verbs.difference(&told).collect();
    assert!(untold.is_empty(), "not in README.md: {untold:?}");
}

#[test]
fn every_command_barcode_is_in_the_readme() {
    let spans = spans(&readme());
    for (name, _) in PLAIN {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        assert!(
            spans
                .iter()
                .any(|s| s == name || s.starts_with(stem) && stem.ends_with('-')),
            "{name} is not in README.md"
        );
    }
}

// ---- configuration -----------------------------------------------------------------------------

#[test]
fn the_configuration_in_the_readme_is_accepted() {
    let examples = blocks(&readme(), "toml");
    assert!(!examples.is_empty(), "README.md shows no configuration");
    let folder = tempfile::tempdir().unwrap();
    for (n, example) in examples.iter().enumerate() {
        let loaded = parse(None, ("README.md", example), None, Strictness::Strict);
        assert!(
            loaded.config.is_some() && loaded.problems.is_empty(),
            "{:#?}",
            loaded.problems
        );
        let file = folder.path().join(format!("{n}.toml"));
        std::fs::write(&file, example).unwrap();
        let said = printstation(
            &["config", "check", "--config", file.to_str().unwrap()],
            folder.path(),
        );
        assert_eq!(said.exit, Some(0), "{said:?}");
        assert!(!(said.out + &said.err).is_empty(), "it says nothing");
    }
}

#[test]
fn the_example_that_the_program_prints_is_accepted_by_it() {
    let folder = tempfile::tempdir().unwrap();
    let example = printstation(&["config", "example"], folder.path());
    assert_eq!(example.exit, Some(0), "{example:?}");
    assert!(example.out.contains("[starshipit]"), "{example:?}");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, example.out).unwrap();
    let said = printstation(
        &["config", "check", "--config", file.to_str().unwrap()],
        folder.path(),
    );
    assert_eq!(said.exit, Some(0), "{said:?}");
}

// ---- exit codes --------------------------------------------------------------------------------

/// The exit codes of the README's table.
fn exit_codes() -> BTreeMap<i32, String> {
    table(&readme(), "| code | means |")
        .into_iter()
        .map(|row| (row[0].parse().unwrap(), row[1].clone()))
        .collect()
}

#[test]
fn the_exit_codes_in_the_readme_are_those_of_the_program() {
    assert_eq!(
        exit_codes().into_keys().collect::<Vec<_>>(),
        [0, 1, 64, 69, 75, 78]
    );
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.toml");
    std::fs::write(&wrong, "[station]\nnaem = \"bench-1\"\n").unwrap();
    let wrong = wrong.to_str().unwrap();
    std::fs::write(folder.path().join("empty.pdf"), "").unwrap();
    let right = folder.path().join("right.toml");
    std::fs::write(&right, &blocks(&readme(), "toml")[0]).unwrap();
    let right = right.to_str().unwrap();

    let cases: [(i32, &[&str]); 8] = [
        (0, &["--help"]),
        (0, &["--version"]),
        (
            1,
            &[
                "render",
                "empty.pdf",
                "--language",
                "zpl",
                "--dpi",
                "203",
                "--media",
                "100x150mm",
            ],
        ),
        (64, &["no-such-verb"]),
        (64, &["scan"]),
        (69, &["--config", right, "status"]),
        (78, &["config", "check", "--config", wrong]),
        (78, &["run", "--config", wrong]),
    ];
    let mut faults = Vec::new();
    for (expected, arguments) in cases {
        let mut said = printstation(arguments, folder.path());
        if arguments[0] == "--config" {
            // The option stands before or behind the verb, as the program likes it.
            if said.exit == Some(64) {
                said = printstation(&["status", "--config", right], folder.path());
            }
        }
        if said.exit != Some(expected) {
            faults.push(format!("{arguments:?}: expected {expected}: {said:?}"));
        } else if expected != 0 && said.out.is_empty() && said.err.is_empty() {
            faults.push(format!("{arguments:?}: {expected} without a word"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_help_lists_the_exit_codes_that_the_readme_lists() {
    let page = help(&[]).expect("printstation --help");
    let listed = page
        .split_once("Exit codes:")
        .map(|(_, rest)| rest)
        .unwrap_or_default();
    // "0 done, 1 refused …": numbers that begin a part.
    let numbers: BTreeSet<i32> = listed
        .split([',', ';', '·', '.', '\n'])
        .filter_map(|part| part.split_whitespace().next())
        .filter_map(|word| word.trim_end_matches(':').parse().ok())
        .collect();
    assert_eq!(
        numbers,
        exit_codes().into_keys().collect(),
        "`printstation --help` ends with `Exit codes: 0 …, 1 …`: {page}"
    );
}

// ---- codes -------------------------------------------------------------------------------------

/// The table of codes as the README shows it, made from the program's own.
fn code_table() -> String {
    let mut text = String::from(
        "\n| code | what happened | what the station does | what you do | in one scan |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let e = code.explain();
        let way = match e.way {
            Way::Commands(names) => names
                .iter()
                .map(|name| match name.strip_suffix('-') {
                    Some(stem) => format!("`{stem}-…`"),
                    None => format!("`{name}`"),
                })
                .collect::<Vec<_>>()
                .join(" or "),
            Way::SameOrder => "the order again".to_owned(),
            Way::ByItself => "none: it goes on by itself".to_owned(),
            Way::Office(tell) => format!("none: call the office, tell them {tell}"),
        };
        let cells = [e.happened, e.station, e.you].map(|s| s.replace('|', "\\|"));
        text.push_str(&format!("| `{code}` | {} | {way} |\n", cells.join(" | ")));
    }
    text.push('\n');
    text
}

#[test]
fn the_table_of_codes_in_the_readme_is_the_programs() {
    let readme = readme();
    let (before, rest) = readme.split_once(CODES_BEGIN).expect("begin marker");
    let (shown, after) = rest.split_once(CODES_END).expect("end marker");
    let made = code_table();
    if std::env::var_os("UPDATE_DOCS").is_some() && shown != made {
        let text = format!("{before}{CODES_BEGIN}{made}{CODES_END}{after}");
        std::fs::write(root().join("README.md"), text).unwrap();
        println!("README.md was rewritten");
        return;
    }
    assert_eq!(shown, made, "run: UPDATE_DOCS=1 cargo test --test docs");
    for code in Code::ALL {
        assert!(made.contains(&format!("| `{code}` |")));
    }
}

// ---- files -------------------------------------------------------------------------------------

#[test]
fn every_script_that_the_documents_name_is_there_and_can_be_run() {
    let mut named = BTreeSet::new();
    for file in [
        "README.md",
        "CHANGELOG.md",
        ".ci/run",
        "scripts/test",
        "scripts/check",
    ] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for part in text.split("scripts/").skip(1) {
            let name: String = part
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
                .collect();
            let name = name.trim_end_matches(['.', '/']);
            if !name.is_empty() {
                named.insert(name.to_owned());
            }
        }
    }
    assert!(
        named.contains("test") && named.contains("check"),
        "{named:?}"
    );
    let mut faults = Vec::new();
    for name in named {
        match std::fs::metadata(root().join("scripts").join(&name)) {
            Err(error) => faults.push(format!("scripts/{name}: {error}")),
            Ok(found) if found.is_dir() || name.ends_with(".toml") => {}
            Ok(found) if found.permissions().mode() & 0o111 == 0 => {
                faults.push(format!("scripts/{name} cannot be run"));
            }
            Ok(_) => {}
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The anchor that a heading gets: lower case, spaces as dashes, punctuation gone.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut faults = Vec::new();
    let mut seen = 0;
    for file in ["README.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let anchors: BTreeSet<String> = text
            .lines()
            .filter(|l| l.starts_with('#'))
            .map(anchor)
            .collect();
        for link in text.split("](").skip(1).filter_map(|l| l.split(')').next()) {
            seen += 1;
            let well = if link.starts_with("https://") {
                true
            } else if let Some(name) = link.strip_prefix('#') {
                anchors.contains(name)
            } else {
                root().join(link.split('#').next().unwrap()).is_file()
            };
            if !well {
                faults.push(format!("{file}: {link}"));
            }
        }
    }
    assert!(seen >= 5, "only {seen} links found");
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn the_readme_begins_with_what_it_is_and_a_picture_and_the_changelog_with_what_is_new() {
    let readme = readme();
    let lines: Vec<&str> = readme.lines().collect();
    assert_eq!(lines[0], "# printstation");
    assert!(
        lines[..15].iter().any(|l| l.starts_with("![")),
        "no picture"
    );
    let changelog = std::fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains("\n## [Unreleased]\n"));
    for placeholder in ["<!-- durability figures", "<!-- performance figures"] {
        assert!(
            !readme.contains(placeholder),
            "still to fill in: {placeholder}"
        );
    }
}
