//! The rules of the house: who may use whom, what stays pure, and what a file must say of itself.
//!
//! Each rule is a function from sources to faults (`src/file.rs:line: sentence`); one test applies
//! them all to `src`, the others show with bad examples that each rule can fail.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails where the ground gives way under it"
)]

mod source;

use source::{Named, Source, production, tokens};
use std::collections::BTreeSet;
use std::path::Path;

/// Which rooms a room may use, beside itself. What is not in the table is not a room.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("station", &["domain"]),
    ("outbox", &["domain"]),
    ("alert", &["domain"]),
    ("system", &["domain"]),
    ("config", &["domain", "system"]),
    ("starshipit", OUTSIDE),
    ("cartoncloud", OUTSIDE),
    ("shopify", OUTSIDE),
    ("csv", OUTSIDE),
    ("webhook", OUTSIDE),
    ("label", OUTSIDE),
    ("printer", OUTSIDE),
    ("trigger", OUTSIDE),
    ("signal", OUTSIDE),
    ("ledger", &["domain", "system"]),
    ("update", &["domain", "system", "config"]),
    // Facts to sentences; what the machine can say of itself is pure in `system`.
    ("doctor", &["domain", "system"]),
    // Snapshots and the input channel are web's own types; the runtime fills them.
    ("web", &["domain"]),
    // Not even wire types: a misreading of the documentation must not cancel itself out.
    ("sim", &["domain"]),
    ("runtime", COMPOSED),
    ("cli", EVERYTHING),
    ("main", EVERYTHING),
    ("lib", EVERYTHING),
];

/// What a room at the border may use: the words, the machine, and the sinks' contract.
const OUTSIDE: &[&str] = &["domain", "system", "outbox"];

/// What the shell puts together. Neither `cli` nor `sim`: the service knows no simulator.
const COMPOSED: &[&str] = &[
    "domain",
    "system",
    "config",
    "station",
    "outbox",
    "alert",
    "starshipit",
    "cartoncloud",
    "shopify",
    "csv",
    "doctor",
    "webhook",
    "label",
    "printer",
    "trigger",
    "signal",
    "ledger",
    "update",
    "web",
];

/// For the composition root.
const EVERYTHING: &[&str] = &["*"];

/// Rooms without I/O, and the dependencies they may name all the same.
const PURE: &[(&str, &[&str])] = &[
    ("domain", &["serde", "serde_json", "thiserror"]),
    (
        "station",
        &["serde", "serde_json", "regex", "thiserror", "jiff"],
    ),
    ("alert", &["serde", "serde_json"]),
    ("doctor", &["serde", "serde_json"]),
];

/// Parts of `std` that a pure room does not touch: files, network, clock, environment.
const IMPURE_STD: &[&[&str]] = &[
    &["fs"],
    &["io"],
    &["net"],
    &["process"],
    &["thread"],
    &["env"],
    &["os"],
    &["time", "Instant"],
    &["time", "SystemTime"],
    &["time", "*"],
];

/// Longer files say in their header why, in a sentence with one of [`WHY_LONG`].
const LONG: usize = 500;

const WHY_LONG: [&str; 3] = ["Long because", "Over 500 lines because", "although long:"];

/// main.rs is a table of contents.
const MAIN: usize = 60;

/// What lies at the top of the repository, beside dot files.
const TOP: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "clippy.toml",
    "cross.toml",
    "deny.toml",
    "fuzz",
    "rustfmt.toml",
    "scripts",
    "src",
    "systemd",
    "tests",
];

fn fault(source: &Source, line: usize, sentence: &str) -> String {
    format!("src/{}:{line}: {sentence}", source.path)
}

/// Rooms use only what the table grants.
fn imports(source: &Source) -> Vec<String> {
    let room = source.room();
    let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
        return vec![fault(
            source,
            1,
            &format!("`{room}` is not a room of the house"),
        )];
    };
    let mut faults = Vec::new();
    for Named { segments, line } in source.paths() {
        let ["crate" | "printstation", used, ..] =
            segments.iter().map(String::as_str).collect::<Vec<_>>()[..]
        else {
            continue;
        };
        let granted = used == room || may.contains(&used) || may == &EVERYTHING;
        if !granted {
            let whole = segments.join("::");
            let may = may.join(", ");
            faults.push(fault(
                source,
                line,
                &format!("`{room}` names `{whole}`, but may use only: {room}, {may}"),
            ));
        }
    }
    faults
}

/// Pure rooms name no dependency beyond their list and no part of `std` that does anything.
fn purity(source: &Source, dependencies: &BTreeSet<String>) -> Vec<String> {
    let Some((room, granted)) = PURE.iter().find(|(name, _)| *name == source.room()) else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    for Named { segments, line } in source.paths() {
        let root = segments[0].as_str();
        let rest: Vec<&str> = segments[1..].iter().map(String::as_str).collect();
        let impure = matches!(root, "std" | "core" | "alloc")
            && IMPURE_STD.iter().any(|part| rest.starts_with(part));
        let foreign = dependencies.contains(root) && !granted.contains(&root);
        if impure || foreign {
            let whole = segments.join("::");
            faults.push(fault(
                source,
                line,
                &format!("`{room}` is pure and must not name `{whole}`"),
            ));
        }
    }
    faults
}

/// Broken invariants may panic where a reason is written down; nothing else may.
fn panics(source: &Source) -> Vec<String> {
    let code = source.without_expected(&["unwrap_used", "expect_used"]);
    calls(
        source,
        &code,
        &["unwrap", "expect", "unwrap_err", "expect_err"],
        |before, after| before == "." && after == "(",
    )
    .into_iter()
    .map(|(line, name)| {
        fault(
            source,
            line,
            &format!("`.{name}(` without an `#[expect(clippy::…, reason)]`"),
        )
    })
    .collect()
}

/// Only the command line speaks to stdout and stderr; everything else logs.
fn prints(source: &Source) -> Vec<String> {
    if matches!(source.room(), "cli" | "main") {
        return Vec::new();
    }
    let names = ["println", "eprintln", "print", "eprint", "dbg"];
    calls(source, &source.code, &names, |_, after| after == "!")
        .into_iter()
        .map(|(line, name)| fault(source, line, &format!("`{name}!` outside cli and main")))
        .collect()
}

fn calls<'n>(
    source: &Source,
    code: &str,
    names: &[&'n str],
    fits: impl Fn(&str, &str) -> bool,
) -> Vec<(usize, &'n str)> {
    let tokens = tokens(code);
    let text = |i: Option<usize>| i.and_then(|i| tokens.get(i)).map_or("", |t| t.text);
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let Some(name) = names.iter().find(|n| **n == token.text) else {
            continue;
        };
        if fits(text(i.checked_sub(1)), text(Some(i + 1))) {
            found.push((source.line(token.at), *name));
        }
    }
    found
}

/// Every file says what it is for; a long one also why it is long. main stays short.
fn headers(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let header: Vec<&str> = source
        .text
        .lines()
        .take_while(|l| l.starts_with("//!"))
        .collect();
    let mut faults = Vec::new();
    if header.is_empty() {
        faults.push(fault(
            source,
            1,
            "no `//!` header that says what the file is for",
        ));
    }
    if lines > LONG
        && !header
            .iter()
            .any(|l| WHY_LONG.iter().any(|why| l.contains(why)))
    {
        faults.push(fault(
            source,
            lines,
            &format!("{lines} lines: over {LONG}, and no `//! Long because …` in its header"),
        ));
    }
    if source.path == "main.rs" && lines > MAIN {
        faults.push(fault(
            source,
            lines,
            &format!("main.rs has over {MAIN} lines"),
        ));
    }
    faults
}

/// Normal dependencies of Cargo.toml, as code names them.
fn dependencies() -> BTreeSet<String> {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
    let names: BTreeSet<String> = manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .map(|name| name.replace('-', "_"))
        .collect();
    assert!(names.contains("tokio") && names.contains("sled"));
    names
}

#[test]
fn the_sources_keep_the_rules_of_the_house() {
    let dependencies = dependencies();
    let mut faults = Vec::new();
    for source in production() {
        faults.extend(imports(&source));
        faults.extend(purity(&source, &dependencies));
        faults.extend(panics(&source));
        faults.extend(prints(&source));
        faults.extend(headers(&source));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_top_of_the_repository_is_as_small_as_it_was_agreed() {
    let root = env!("CARGO_MANIFEST_DIR");
    let listed = std::process::Command::new("git")
        .args(["-C", root, "ls-files", "-z"])
        .output();
    let Some(listed) = listed.ok().filter(|o| o.status.success()) else {
        println!("skipped: no git here, so built files cannot be told from kept ones");
        return;
    };
    let text = String::from_utf8(listed.stdout).unwrap();
    let strangers: BTreeSet<&str> = text
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(|path| path.split('/').next().unwrap())
        .filter(|top| !top.starts_with('.') && !TOP.contains(top))
        .collect();
    assert!(strangers.is_empty(), "not agreed at the top: {strangers:?}");
    assert!(Path::new(root).join("src/lib.rs").is_file());
}

// ---- each rule can fail ------------------------------------------------------------------------

fn names_of(path: &str, text: &str) -> Vec<String> {
    imports(&Source::new(path, text))
}

#[test]
fn a_room_that_uses_its_neighbour_is_named_with_its_line() {
    let faults = names_of(
        "printer/usb.rs",
        "//! x\n\nuse crate::domain::Code;\nuse crate::ledger::Ledger;\n",
    );
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(
        faults[0].starts_with("src/printer/usb.rs:4: `printer` names `crate::ledger::Ledger`"),
        "{faults:?}"
    );
}

#[test]
fn no_way_of_writing_a_path_hides_it() {
    for text in [
        "use crate::{domain::Code, runtime::Bench};",
        "use crate::{domain::{Code, Order}, cli};",
        "use {std::fmt, crate::sim};",
        "fn f() -> crate::web::Page { todo() }",
        "fn f() { let x = <crate::config::Config>::default(); }",
        "use super::super::station::Station;",
        "use crate::\n    ledger::Ledger;",
        "use printstation::cli::Args;",
        "use crate::*;",
        "#[expect(dead_code, reason = \"x\")] use crate::runtime::Bench;",
    ] {
        assert_eq!(names_of("label/pdf.rs", text).len(), 1, "{text}");
    }
}

#[test]
fn what_is_no_code_and_what_is_granted_is_no_fault() {
    for text in [
        "//! See [`crate::ledger`].\n/* crate::ledger /* crate::web */ */",
        "const T: &str = \"crate::ledger::Ledger\"; const R: &str = r#\"a \" crate::web::B\"#;",
        "const C: char = '\"'; use crate::domain::Code; const D: char = '\\'';",
        "use crate::{domain, label::{self, Page}, outbox::Sink, system::durable};",
        "use super::place::Box; use super::super::domain::Code;",
        "#[cfg(test)]\nmod tests { use crate::sim::printer; fn f() { x.unwrap(); } }",
        "#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;",
    ] {
        assert_eq!(
            names_of("label/pdf.rs", text),
            Vec::<String>::new(),
            "{text}"
        );
    }
}

#[test]
fn a_folder_that_is_not_in_the_table_is_no_room() {
    assert_eq!(names_of("utils/mod.rs", "//! x").len(), 1);
    assert_eq!(names_of("manager.rs", "//! x").len(), 1);
}

#[test]
fn only_the_composition_root_may_use_everything() {
    let text = "use crate::{sim, station, ledger, web};";
    assert!(names_of("cli/demo.rs", text).is_empty());
    assert_eq!(names_of("runtime/bench.rs", text).len(), 1, "sim");
    assert_eq!(names_of("ledger/mod.rs", text).len(), 3);
    assert_eq!(
        names_of("sim/mod.rs", "use crate::starshipit::wire::Order;").len(),
        1
    );
}

#[test]
fn pure_rooms_have_no_files_clock_tasks_or_log() {
    let dependencies = dependencies();
    let check = |path: &str, text: &str| purity(&Source::new(path, text), &dependencies);
    for text in [
        "use tokio::sync::mpsc;",
        "fn f() { tracing::info!(\"x\"); }",
        "use std::{collections::BTreeMap, fs};",
        "fn f() -> std::time::Instant { std::process::abort() }",
        "use std::time::{Duration, SystemTime};",
        "use std::time::*;",
        "#[tokio::main] async fn f() {}",
    ] {
        assert!(!check("domain/x.rs", text).is_empty(), "domain: {text}");
        assert!(!check("station/x.rs", text).is_empty(), "station: {text}");
        assert!(check("ledger/x.rs", text).is_empty(), "ledger: {text}");
    }
    let regex = "use regex::Regex; use std::time::Duration; use serde::Serialize;";
    assert!(check("station/x.rs", regex).is_empty());
    assert_eq!(check("domain/x.rs", regex).len(), 1);
}

#[test]
fn a_panic_needs_a_reason_in_writing() {
    let check = |text: &str| panics(&Source::new("label/x.rs", text));
    assert_eq!(
        check("fn f() {\n    a()\n        .unwrap();\n}"),
        ["src/label/x.rs:3: `.unwrap(` without an `#[expect(clippy::…, reason)]`"]
    );
    assert_eq!(check("fn f() { a.expect(\"x\"); }").len(), 1);
    for reasoned in [
        "#[expect(clippy::unwrap_used, reason = \"x\")]\nfn f<A, B>() { a.unwrap(); b.unwrap() }",
        "fn f() { #[expect(clippy::expect_used, reason = \"x\")]\n let a = m { 1 }.expect(\"x\"); }",
        "fn f() { a.unwrap_or(1); b.unwrap_or_default(); expect(c); }",
        "#[cfg(test)] mod tests { fn f() { a.unwrap(); } }",
    ] {
        assert_eq!(check(reasoned), Vec::<String>::new(), "{reasoned}");
    }
    // The reason covers its own statement or item, and nothing after it.
    for beyond in [
        "fn f() { #[expect(clippy::expect_used, reason = \"x\")] let a = b.expect(\"\"); c.expect(\"\"); }",
        "#[expect(clippy::expect_used, reason = \"x\")] fn f() { a.expect(\"\"); } fn g() { b.expect(\"\"); }",
        "#[cfg(test)] mod tests { fn f() {} } fn g() { a.unwrap(); }",
        "#[expect(dead_code, reason = \"x\")] fn f() { a.unwrap(); }",
    ] {
        assert_eq!(check(beyond).len(), 1, "{beyond}");
    }
}

#[test]
fn only_the_command_line_prints() {
    let text = "fn f() { println!(\"x\"); eprintln!(\"y\"); }";
    assert_eq!(prints(&Source::new("runtime/x.rs", text)).len(), 2);
    assert!(prints(&Source::new("cli/x.rs", text)).is_empty());
    assert!(prints(&Source::new("main.rs", text)).is_empty());
    assert!(
        prints(&Source::new(
            "web/x.rs",
            "// println!\nfn f() { page.print(x); }"
        ))
        .is_empty()
    );
}

#[test]
fn a_long_file_says_why_and_every_file_says_what_for() {
    let long = "\n".repeat(LONG + 1);
    assert_eq!(
        headers(&Source::new("label/x.rs", &format!("//! What.\n{long}"))).len(),
        1
    );
    assert_eq!(headers(&Source::new("label/x.rs", "fn f() {}")).len(), 1);
    let reasoned = format!("//! What.\n//!\n//! Long because one table is read whole.\n{long}");
    assert!(headers(&Source::new("label/x.rs", &reasoned)).is_empty());
    let main = format!("//! What.\n{}", "\n".repeat(MAIN));
    assert_eq!(headers(&Source::new("main.rs", &main)).len(), 1);
}
