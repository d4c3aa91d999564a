//! Clock, disk and mounts, as far as an update needs them.

use super::policy::ClockTrust;
use crate::domain::Timestamp;
use crate::system::durable;
use sha2::{Digest as _, Sha256};
use std::io;
use std::path::{Path, PathBuf};

/// This program did not exist before.
const BUILT: Timestamp = Timestamp(1_780_000_000_000); // 2026-05-28
/// systemd-timesyncd makes it when it has set the clock.
const SYNCHRONISED: &str = "/run/systemd/timesync/synchronized";
/// Left free on the card, in bytes: the station's own records come first.
pub const RESERVE: u64 = 32 << 20;

/// How far `now` can be believed: not when it is before a document that was signed (`issued`), unless
/// a time service says so. What this clock itself showed earlier proves nothing: it may have been
/// wrong the other way.
pub fn clock_trust(now: Timestamp, issued: Timestamp) -> ClockTrust {
    if now >= BUILT && Path::new(SYNCHRONISED).exists() {
        ClockTrust::Synchronised
    } else if now < BUILT.max(issued) {
        ClockTrust::NotSet
    } else {
        ClockTrust::Plausible
    }
}

/// Tells this machine from every other: a digest, because the machine id itself is to stay here.
pub fn device(station: &str) -> String {
    let id = durable::read_bounded(Path::new("/etc/machine-id"), 256)
        .ok()
        .flatten()
        .filter(|id| !id.is_empty())
        .unwrap_or_else(|| station.as_bytes().to_vec());
    let mut hash = Sha256::new();
    hash.update(b"printstation device\n");
    hash.update(id);
    super::keys::hex(&hash.finalize()[..8])
}

/// Bytes that may still be written at `path`.
///
/// # Errors
/// The file system cannot be asked.
pub fn free(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path).map_err(|e| durable::at(path, &e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Why what is written at `path` would be gone after a restart; none: it stays.
pub fn volatile(path: &Path) -> Option<String> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    volatile_in(&mounts, &path)
}

/// PURE: the same, of a text in the form of `/proc/self/mountinfo`.
fn volatile_in(mounts: &str, path: &Path) -> Option<String> {
    let (kind, options) = mount_of(mounts, path)?;
    let gone = |what: &str| {
        format!(
            "{} lies on {what}: an update would be gone after the next start. Switch the overlay off (raspi-config, Performance, Overlay File System), or mount a partition of its own there",
            path.display()
        )
    };
    if matches!(kind.as_str(), "tmpfs" | "ramfs") {
        return Some(gone("memory"));
    }
    if kind == "overlay" {
        let upper = options
            .split(',')
            .find_map(|option| option.strip_prefix("upperdir="))?;
        let (kind, _) = mount_of(mounts, Path::new(upper))?;
        if matches!(kind.as_str(), "tmpfs" | "ramfs") {
            return Some(gone("an overlay in memory"));
        }
    }
    None
}

/// Type and super options of the deepest mount above `path`; the last one wins, as in the kernel.
fn mount_of(mounts: &str, path: &Path) -> Option<(String, String)> {
    let mut best: Option<(usize, String, String)> = None;
    for line in mounts.lines() {
        let (left, right) = line.split_once(" - ")?;
        let point = left.split(' ').nth(4)?.replace("\\040", " ");
        let point = PathBuf::from(point);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1).unwrap_or(""));
        let depth = point.components().count();
        if path.starts_with(&point) && best.as_ref().is_none_or(|(d, ..)| depth >= *d) {
            best = Some((depth, kind.to_owned(), options.to_owned()));
        }
    }
    best.map(|(_, kind, options)| (kind, options))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PI_OVERLAY: &str = "\
21 1 0:19 / / rw,noatime - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work
22 21 179:2 / /lower ro - ext4 /dev/mmcblk0p2 ro
23 21 0:20 / /upper rw - tmpfs tmpfs rw
30 21 179:3 / /opt/printstation rw - ext4 /dev/mmcblk0p3 rw";
    const DOCKER: &str =
        "21 1 0:19 / / rw - overlay overlay rw,lowerdir=/x,upperdir=/var/lib/docker/a,workdir=/w";

    #[test]
    fn an_overlay_in_memory_is_refused_with_the_way_out() {
        let why = volatile_in(PI_OVERLAY, Path::new("/var/lib/printstation")).unwrap();
        assert!(why.contains("/var/lib/printstation"), "{why}");
        assert!(why.contains("raspi-config"), "{why}");
        assert_eq!(
            volatile_in(PI_OVERLAY, Path::new("/opt/printstation")),
            None
        );
        assert_eq!(volatile_in(DOCKER, Path::new("/opt/printstation")), None);
        assert_eq!(volatile_in("", Path::new("/")), None);
    }

    #[test]
    fn a_clock_before_this_program_was_written_is_not_set() {
        let issued = BUILT.plus(std::time::Duration::from_secs(86_400));
        assert_eq!(clock_trust(Timestamp(0), issued), ClockTrust::NotSet);
        assert_ne!(clock_trust(issued, issued), ClockTrust::NotSet);
    }
}
