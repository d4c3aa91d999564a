//! What the program is made of: its dependencies, their licences and sources, and the files that
//! say so (`deny.toml`, `cross.toml`, `Cargo.lock`) agree with what is built.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails where the ground gives way under it, and says what it skips"
)]

#[expect(
    dead_code,
    reason = "tests/architecture.rs needs more of the reader than this file"
)]
mod source;

use serde_json::Value;
use source::production;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The targets of `deny.toml`: what is checked is what is built for one of them.
const TARGETS: [&str; 3] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
];

/// The crates that the program was asked to be built on, as far as it has come.
const ASKED: [&str; 8] = [
    "tokio",
    "reqwest",
    "serde",
    "serde_json",
    "sled",
    "escpos",
    "tracing",
    "clap",
];

/// `cargo metadata` of one target, from the lock file and the local registry alone.
///
/// None where this machine has never fetched the crates of that target.
fn metadata(target: &str) -> Option<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", target])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && errors.contains("--offline was specified") {
        println!("skipped: crates of {target} are not on this machine");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Packages of every target, by id, and the names of those that this package asks for itself.
fn packages() -> (BTreeMap<String, Value>, BTreeSet<String>) {
    let here = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut all = BTreeMap::new();
    let mut direct = BTreeSet::new();
    for target in TARGETS {
        let Some(metadata) = metadata(target) else {
            assert_ne!(
                target, here,
                "the crates of this machine itself are missing"
            );
            continue;
        };
        for package in metadata["packages"].as_array().unwrap() {
            if package["name"] == "printstation" {
                direct.extend(normal_dependencies(package));
            } else {
                let id = package["id"].as_str().unwrap().to_owned();
                all.insert(id, package.clone());
            }
        }
    }
    assert!(all.len() > 100, "only {} packages", all.len());
    (all, direct)
}

fn normal_dependencies(package: &Value) -> Vec<String> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["kind"].is_null())
        .map(|d| d["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Every package of the lock file, whatever target it is for: name and version.
fn locked() -> Vec<(String, String)> {
    let lock: toml::Table = include_str!("../Cargo.lock").parse().unwrap();
    lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            let text = |key: &str| p[key].as_str().unwrap().to_owned();
            (text("name"), text("version"))
        })
        .collect()
}

fn deny() -> toml::Table {
    include_str!("../deny.toml").parse().unwrap()
}

fn texts(value: &toml::Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_crates_that_were_asked_for_are_direct_dependencies_and_used_in_the_program() {
    let (_, direct) = packages();
    let sources = production();
    for name in ASKED {
        assert!(direct.contains(name), "{name} is not a direct dependency");
        let used: Vec<&str> = sources
            .iter()
            .filter(|s| s.paths().iter().any(|p| p.segments[0] == name))
            .map(|s| s.path.as_str())
            .collect();
        assert!(
            !used.is_empty(),
            "{name} is in Cargo.toml and nowhere in src"
        );
        println!("{name}: {} files, e.g. src/{}", used.len(), used[0]);
    }
}

#[test]
fn no_dependency_is_carried_along_unused() {
    let (_, direct) = packages();
    let roots: BTreeSet<String> = production()
        .iter()
        .flat_map(source::Source::paths)
        .map(|p| p.segments[0].clone())
        .collect();
    let unused: Vec<&String> = direct
        .iter()
        .filter(|name| !roots.contains(&name.replace('-', "_")))
        .collect();
    assert!(
        unused.is_empty(),
        "in Cargo.toml and nowhere in src: {unused:?}"
    );
}

#[test]
fn no_other_tls_and_no_second_crypto_is_in_the_lock_file() {
    let banned: Vec<String> = deny()["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["crate"].as_str().unwrap().to_owned())
        .collect();
    for name in ["openssl-sys", "native-tls", "aws-lc-sys", "aws-lc-rs"] {
        assert!(
            banned.iter().any(|b| b == name),
            "deny.toml does not ban {name}"
        );
    }
    let found: Vec<_> = locked()
        .into_iter()
        .filter(|(name, _)| banned.contains(name))
        .collect();
    assert!(found.is_empty(), "{found:?}");
    assert!(locked().iter().any(|(name, _)| name == "ring"));
}

#[test]
fn there_is_one_of_each_crate_that_talks_to_the_network() {
    let locked = locked();
    for name in ["tokio", "reqwest", "rustls", "hyper", "ring", "sled"] {
        let versions: Vec<&str> = locked
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
            .collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
    let sled = locked.iter().find(|(n, _)| n == "sled").unwrap();
    assert_eq!(sled.1, "0.34.7", "the 1.0 alphas lose acknowledged records");
}

#[test]
fn every_package_comes_from_crates_io() {
    for (id, package) in packages().0 {
        let source = package["source"].as_str();
        assert_eq!(
            source,
            Some("registry+https://github.com/rust-lang/crates.io-index"),
            "{id}"
        );
    }
}

#[test]
fn every_licence_can_be_kept_with_the_permissive_list_of_deny_toml() {
    let allowed: BTreeSet<String> = texts(&deny()["licenses"]["allow"]).into_iter().collect();
    let mut faults = Vec::new();
    for (id, package) in packages().0 {
        match package["license"].as_str() {
            Some(licence) if licence_fits(licence, &allowed) => {}
            other => faults.push(format!("{id}: {other:?}")),
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Whether an SPDX expression can be satisfied with the licences in `allowed`.
///
/// `/` is the old way to write OR. AND binds tighter than OR; WITH belongs to its licence.
fn licence_fits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let fits = either(&words, &mut at, allowed);
    fits && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut fits = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        fits |= both(words, at, allowed);
    }
    fits
}

fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut fits = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        fits &= one(words, at, allowed);
    }
    fits
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let Some(word) = words.get(*at) else {
        return false;
    };
    *at += 1;
    if *word == "(" {
        let fits = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return fits && closed;
    }
    if words.get(*at) == Some(&"WITH") {
        let whole = format!("{word} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
        return allowed.contains(&whole);
    }
    allowed.contains(*word)
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let allowed: BTreeSet<String> = ["MIT", "Apache-2.0 WITH LLVM-exception", "ISC"]
        .map(str::to_owned)
        .into();
    for no in [
        "GPL-3.0-only",
        "MIT AND GPL-2.0-only",
        "(MIT OR ISC) AND GPL-2.0-only",
        "Apache-2.0",
        "GPL-2.0-only AND MIT OR MPL-2.0",
        "",
        "MIT ISC",
        "(MIT",
    ] {
        assert!(!licence_fits(no, &allowed), "{no}");
    }
    for yes in [
        "MIT",
        "MIT/GPL-2.0-only",
        "GPL-2.0-only OR MIT",
        "MIT AND ISC",
        "(GPL-2.0-only OR ISC) AND MIT",
        "Apache-2.0 WITH LLVM-exception",
        "GPL-2.0-only AND MIT OR ISC",
    ] {
        assert!(licence_fits(yes, &allowed), "{yes}");
    }
}

#[test]
fn deny_toml_says_why_for_every_exception_and_ban() {
    let deny = deny();
    let ignored = deny["advisories"]["ignore"].as_array().unwrap();
    let ids: BTreeSet<&str> = ignored.iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        BTreeSet::from(["RUSTSEC-2024-0384", "RUSTSEC-2025-0057"])
    );
    for entry in ignored
        .iter()
        .chain(deny["bans"]["deny"].as_array().unwrap())
    {
        assert!(entry["reason"].as_str().unwrap().len() > 10, "{entry}");
    }
    // The crates of the two advisories are really there: when sled goes, so do the exceptions.
    for name in ["fxhash", "instant"] {
        assert!(
            locked().iter().any(|(n, _)| n == name),
            "{name} is gone: drop its exception"
        );
    }
    assert_eq!(texts(&deny["graph"]["targets"]), TARGETS);
}

#[test]
fn the_package_says_which_licences_it_has_and_ships_both() {
    let manifest: toml::Table = include_str!("../Cargo.toml").parse().unwrap();
    let licence = manifest["package"]["license"].as_str();
    assert_eq!(licence, Some("MIT OR Apache-2.0"));
    assert!(include_str!("../LICENSE-MIT").contains("Permission is hereby granted"));
    assert!(include_str!("../LICENSE-APACHE").contains("Version 2.0, January 2004"));
}

/// Keys that cross 0.2.5 knows, below `[build]` and `[target.X]`.
const CROSS_ENV: [&str; 2] = ["passthrough", "volumes"];
const CROSS_BUILD: [&str; 6] = [
    "env",
    "xargo",
    "build-std",
    "default-target",
    "pre-build",
    "dockerfile",
];
const CROSS_TARGET: [&str; 7] = [
    "env",
    "xargo",
    "build-std",
    "image",
    "runner",
    "pre-build",
    "dockerfile",
];

/// What cross would only warn about ("unused key"), and then build something else.
fn unknown_cross_keys(text: &str) -> Vec<String> {
    let root: toml::Table = text.parse().unwrap();
    let mut unknown = Vec::new();
    for (section, value) in &root {
        let section_table = value.as_table().unwrap();
        match section.as_str() {
            "build" => unknown_keys("build", section_table, &CROSS_BUILD, &mut unknown),
            "target" => {
                for (triple, keys) in section_table {
                    let keys = keys.as_table().unwrap();
                    unknown_keys(triple, keys, &CROSS_TARGET, &mut unknown);
                }
            }
            other => unknown.push(other.to_owned()),
        }
    }
    unknown
}

fn unknown_keys(place: &str, table: &toml::Table, known: &[&str], unknown: &mut Vec<String>) {
    for (key, value) in table {
        if !known.contains(&key.as_str()) {
            unknown.push(format!("{place}.{key}"));
        } else if key == "env" {
            let env = value.as_table().unwrap();
            unknown_keys(&format!("{place}.env"), env, &CROSS_ENV, unknown);
        }
    }
}

#[test]
fn cross_toml_has_only_keys_that_cross_reads_and_both_targets_of_the_pi() {
    assert_eq!(
        unknown_cross_keys(
            "[build]\nimage = 'x'\n[build.env]\nvolume = []\n[target.a]\nxargo = true\nrunners = 'x'\n[x]\n"
        ),
        ["build.env.volume", "build.image", "a.runners", "x"]
    );
    let text = include_str!("../cross.toml");
    assert_eq!(unknown_cross_keys(text), Vec::<String>::new());
    let root: toml::Table = text.parse().unwrap();
    let targets: BTreeSet<&str> = root["target"]
        .as_table()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(targets, BTreeSet::from([TARGETS[1], TARGETS[2]]));
    assert!(text.contains("CROSS_CONFIG=cross.toml"));
    for name in texts(&root["build"]["env"]["passthrough"]) {
        assert!(
            name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'),
            "{name}"
        );
    }
}
