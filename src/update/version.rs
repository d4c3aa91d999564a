//! Versions, this machine's target, and the head of an ELF file.

use serde::{Deserialize, Serialize, de};
use std::fmt;
use std::str::FromStr;

/// Longest version, in bytes; it becomes part of file names.
const LONGEST: usize = 64;

/// `1.4.0` or `1.4.0-rc.1`: as semver orders them, without build metadata, in one spelling only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(semver::Version);

/// Not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a version such as 1.4.0")]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        if text.len() > LONGEST {
            return Err(NoVersion);
        }
        let version = semver::Version::parse(text).map_err(|_| NoVersion)?;
        if !version.build.is_empty() || version.to_string() != text {
            return Err(NoVersion);
        }
        Ok(Self(version))
    }
}

impl Version {
    /// This program's own.
    pub fn own() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "cargo refuses a package version that is no semver"
        )]
        let version = env!("CARGO_PKG_VERSION").parse().expect("own version");
        version
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// What this program was built for; none: updates are not made for it.
pub fn own_target() -> Option<&'static str> {
    TARGETS.iter().find(|t| t.own).map(|t| t.name)
}

struct Target {
    name: &'static str,
    /// ELF class: 1 is 32 bit, 2 is 64 bit.
    class: u8,
    /// ELF machine.
    machine: u16,
    own: bool,
}

const GNU: bool = cfg!(all(target_os = "linux", target_env = "gnu"));
const TARGETS: [Target; 3] = [
    Target {
        name: "x86_64-unknown-linux-gnu",
        class: 2,
        machine: 62,
        own: GNU && cfg!(target_arch = "x86_64"),
    },
    Target {
        name: "aarch64-unknown-linux-gnu",
        class: 2,
        machine: 183,
        own: GNU && cfg!(target_arch = "aarch64"),
    },
    Target {
        name: "armv7-unknown-linux-gnueabihf",
        class: 1,
        machine: 40,
        own: GNU && cfg!(target_arch = "arm"),
    },
];

/// A target triple may stand in a file name.
pub fn is_target(text: &str) -> bool {
    (5..=LONGEST).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// Whether a file that begins with `head` is a program for `target`; the sentence says why not.
///
/// # Errors
/// It is empty, no ELF file, or for another machine.
pub fn check_elf(head: &[u8], target: &str) -> Result<(), String> {
    let Some(wanted) = TARGETS.iter().find(|t| t.name == target) else {
        return Err(format!("{target} is not a target of this program"));
    };
    if head.is_empty() {
        return Err("the program is an empty file".to_owned());
    }
    // ELF magic, class, little endian, version 1; e_type at 16, e_machine at 18.
    let [0x7f, b'E', b'L', b'F', class, 1, 1, ..] = *head else {
        return Err("the program is not an ELF file".to_owned());
    };
    let Some(&[low, high]) = head.get(18..20) else {
        return Err("the program is cut off".to_owned());
    };
    let machine = u16::from_le_bytes([low, high]);
    if (class, machine) != (wanted.class, wanted.machine) {
        return Err(format!(
            "the program is for another machine (ELF machine {machine}, {} bit), not for {target}",
            if class == 2 { 64 } else { 32 }
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_spelling_and_cannot_leave_its_folder() {
        for bad in [
            "",
            "1",
            "1.2",
            "v1.2.3",
            "01.2.3",
            "1.2.3+x",
            "1.2.3 ",
            "../1.2.3",
            "1.2.3-a/b",
            "1.2.3-\u{e9}",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert!("1.2.3".repeat(30).parse::<Version>().is_err());
        let read = |t: &str| t.parse::<Version>().unwrap();
        assert!(read("1.10.0") > read("1.9.9"));
        assert!(read("1.4.0-rc.1") < read("1.4.0"));
    }

    #[test]
    fn a_program_for_another_machine_is_told_by_its_head() {
        let own = own_target().unwrap();
        let mut head = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        head.truncate(64);
        assert_eq!(check_elf(&head, own), Ok(()));
        assert!(check_elf(b"", own).unwrap_err().contains("empty"));
        assert!(check_elf(b"#!/bin/sh\n", own).is_err());
        assert!(check_elf(&head[..19], own).unwrap_err().contains("cut off"));
        head[18] ^= 1;
        assert!(
            check_elf(&head, own)
                .unwrap_err()
                .contains("another machine")
        );
    }
}
