//! What lies under a folder: whether it survives a restart, how much room it has, and how worn its
//! card is. Readers of `/proc` and `/sys` are pure functions over their text; paths are passed in.

use crate::domain::Timestamp;
use crate::system::durable;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Longest file of `/proc` or `/sys` that is read.
const MAX_TEXT: u64 = 1 << 20;

/// A line of `/proc/self/mountinfo` (man 5 proc).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// `ext4`, `overlay`, `tmpfs`, …
    pub kind: String,
    /// `major:minor` of its device; major 0 for those without.
    pub device: String,
    /// Options of the mount and of the file system, in one list.
    pub options: Vec<String>,
}

impl Mount {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// What becomes of files in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// They are there after a restart.
    Durable,
    /// They cannot be written.
    ReadOnly {
        /// Where that mount is.
        mount: PathBuf,
    },
    /// They are gone after a restart: memory, or an overlay over a protected card.
    Volatile {
        /// Where that mount is.
        mount: PathBuf,
        /// `tmpfs`, `overlay`, …
        kind: String,
    },
}

impl Keeping {
    /// For `doctor`: what is wrong, with the path; `None` when all is well.
    pub fn what(&self, path: &Path) -> Option<String> {
        let path = path.display();
        match self {
            Self::Durable => None,
            Self::ReadOnly { mount } => Some(format!(
                "{path} cannot be written: {} is mounted read-only",
                mount.display()
            )),
            Self::Volatile { mount, kind } => Some(format!(
                "{path} is lost at a restart: {} is {kind}",
                mount.display()
            )),
        }
    }

    /// For `doctor`: what to do.
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Durable => None,
            Self::ReadOnly { .. } => Some(
                "a card that turns read-only by itself is at its end: back up and replace it. If it was \
                 meant: mount a writable ext4 partition there",
            ),
            Self::Volatile { .. } => Some(
                "the overlay of raspi-config keeps nothing: switch it off, or mount an ext4 partition at \
                 /var/lib/printstation and bind /opt/printstation to it",
            ),
        }
    }
}

/// Parses `/proc/self/mountinfo`; lines that are none are left out.
pub fn mounts(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (front, back) = line.split_once(" - ")?;
    let front: Vec<&str> = front.split(' ').collect();
    let back: Vec<&str> = back.split(' ').collect();
    let options = [*front.get(5)?, back.get(2).copied().unwrap_or_default()];
    Some(Mount {
        point: PathBuf::from(unescape(front.get(4)?)),
        kind: (*back.first()?).to_owned(),
        device: (*front.get(2)?).to_owned(),
        options: options
            .iter()
            .flat_map(|list| list.split(','))
            .map(unescape)
            .collect(),
    })
}

/// Blanks and the like stand as `\040`.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes
            .get(at + 1..at + 4)
            .filter(|_| bytes[at] == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The mount that holds an absolute path: the longest, and of equals the last, which covers.
pub fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

/// What becomes of files under an absolute path.
pub fn keeping(mounts: &[Mount], path: &Path) -> Keeping {
    let Some(mount) = mount_of(mounts, path) else {
        // No /proc: nothing is known, and nothing is claimed.
        return Keeping::Durable;
    };
    let volatile = || Keeping::Volatile {
        mount: mount.point.clone(),
        kind: mount.kind.clone(),
    };
    if matches!(mount.kind.as_str(), "tmpfs" | "ramfs" | "squashfs") && !mount.has("ro") {
        return volatile();
    }
    if mount.has("ro") {
        return Keeping::ReadOnly {
            mount: mount.point.clone(),
        };
    }
    if mount.kind == "overlay" {
        // An overlay keeps what its upper folder keeps. That of raspi-config is a tmpfs which the
        // running system does not see: what cannot be found is not believed in.
        let upper = mount
            .options
            .iter()
            .find_map(|o| o.strip_prefix("upperdir="));
        let below = upper.and_then(|upper| mount_of(mounts, Path::new(upper)));
        let kept = below.is_some_and(|below| {
            below.point != Path::new("/")
                && !below.has("ro")
                && matches!(
                    below.kind.as_str(),
                    "ext4" | "ext3" | "xfs" | "btrfs" | "f2fs"
                )
        });
        return if kept { Keeping::Durable } else { volatile() };
    }
    Keeping::Durable
}

/// The mounts of this process.
///
/// # Errors
/// `/proc` cannot be read.
pub fn own_mounts() -> io::Result<Vec<Mount>> {
    Ok(text(Path::new("/proc/self/mountinfo"))?
        .map(|text| mounts(&text))
        .unwrap_or_default())
}

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// For this process.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// How much room is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Enough.
    Enough,
    /// Getting scarce: somebody should look.
    Scarce,
    /// Not even what is asked for.
    Lacking,
}

impl Space {
    /// Whether `need` bytes fit, and go on fitting for a while.
    pub fn room(&self, need: u64) -> Room {
        if self.free < need {
            Room::Lacking
        } else if self.free < need.saturating_mul(4).max(self.total / 20) {
            Room::Scarce
        } else {
            Room::Enough
        }
    }
}

/// Room under a path.
///
/// # Errors
/// The path is not there.
pub fn space(path: &Path) -> io::Result<Space> {
    let found =
        rustix::fs::statvfs(path).map_err(|error| durable::at(path, &io::Error::from(error)))?;
    Ok(Space {
        free: found.f_bavail.saturating_mul(found.f_frsize),
        total: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// What the card says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// `mmcblk0`, `sda`, …
    pub name: String,
    /// Bytes written since the machine started.
    pub written: Option<u64>,
    /// Life used up, in percent, upper end (eMMC only; cards for cameras and phones do not say).
    pub life_used: Option<u8>,
    /// The reserve of good blocks: 1 normal, 2 at 80 %, 3 nearly gone (eMMC).
    pub reserve: Option<u8>,
}

impl Card {
    /// For `doctor`: somebody should buy a new one.
    pub fn is_worn(&self) -> bool {
        self.life_used.is_some_and(|used| used >= 80) || self.reserve.is_some_and(|r| r >= 2)
    }
}

/// The card behind a mount, read below `sys` (`/sys`). `None` for file systems without a device.
pub fn card(sys: &Path, mount: &Mount) -> Option<Card> {
    if mount.device.starts_with("0:") {
        return None;
    }
    let block = sys.join("dev/block").join(&mount.device);
    // It is a link to …/block/mmcblk0/mmcblk0p2; what counts is told by the whole device.
    let mut place = std::fs::canonicalize(block).ok()?;
    if place.join("partition").exists() {
        place = place.parent()?.to_owned();
    }
    let read = |name: &str| text(&place.join(name)).ok().flatten();
    Some(Card {
        name: place.file_name()?.to_string_lossy().into_owned(),
        written: read("stat").and_then(|stat| written(&stat)),
        life_used: read("device/life_time").and_then(|life| life_used(&life)),
        reserve: read("device/pre_eol_info").and_then(|info| hex(info.trim())),
    })
}

/// Seventh number of `/sys/block/NAME/stat`: sectors of 512 bytes written, whatever the device's own.
fn written(stat: &str) -> Option<u64> {
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    sectors.checked_mul(512)
}

/// Two estimates `0x01 0x02`, each in steps of ten percent; 0 says nothing, 11 is beyond its life.
fn life_used(life_time: &str) -> Option<u8> {
    life_time
        .split_whitespace()
        .filter_map(hex)
        .filter(|step| (1..=11).contains(step))
        .max()
        .map(|step| step.saturating_mul(10))
}

fn hex(text: &str) -> Option<u8> {
    u8::from_str_radix(text.trim_start_matches("0x"), 16).ok()
}

/// Bytes written today, over restarts (the kernel counts from each start anew).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Day of the count: days since 1970 in UTC.
    pub day: i64,
    /// Which start of the machine the counter belongs to.
    pub boot: String,
    /// The kernel's counter when last seen.
    pub counter: u64,
    /// Bytes of this day.
    pub today: u64,
}

/// Goes on counting. What was written between the last look of a day and midnight, or between the
/// last look and a stop, is counted for neither: the figure is a little low, never high.
pub fn tally(before: Option<&Tally>, now: Timestamp, boot: &str, counter: u64) -> Tally {
    let day = now.0.div_euclid(86_400_000);
    let today = match before {
        None => 0,
        Some(before) => {
            let since = if before.boot == boot {
                counter.saturating_sub(before.counter)
            } else {
                counter
            };
            match before.day == day {
                true => before.today.saturating_add(since),
                // A look at night or a bench that was off: only what this start wrote can be of today.
                false => 0,
            }
        }
    };
    Tally {
        day,
        boot: boot.to_owned(),
        counter,
        today,
    }
}

/// Which start of the machine this is.
///
/// # Errors
/// `/proc` cannot be read.
pub fn boot_id() -> io::Result<String> {
    Ok(text(Path::new("/proc/sys/kernel/random/boot_id"))?
        .unwrap_or_default()
        .trim()
        .to_owned())
}

fn text(path: &Path) -> io::Result<Option<String>> {
    Ok(durable::read_bounded(path, MAX_TEXT)?
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PI: &str = "\
24 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
25 24 179:1 / /boot/firmware rw,relatime shared:2 - vfat /dev/mmcblk0p1 rw,fmask=0022
26 24 0:22 / /run rw,nosuid,nodev shared:3 - tmpfs tmpfs rw,size=94580k
27 24 8:1 / /mnt/my\\040disk rw - ext4 /dev/sda1 rw
nonsense
";
    const OVERLAY: &str = "\
30 1 0:18 / / rw,relatime - overlay overlayroot rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work
31 30 179:3 / /var/lib/printstation rw,noatime - ext4 /dev/mmcblk0p3 rw
32 30 179:1 / /boot/firmware ro - vfat /dev/mmcblk0p1 ro
";

    #[test]
    fn an_overlay_loses_everything_but_what_has_a_partition_of_its_own() {
        let mounts = mounts(OVERLAY);
        let install = keeping(&mounts, Path::new("/opt/printstation"));
        assert!(matches!(&install, Keeping::Volatile { kind, .. } if kind == "overlay"));
        let what = install.what(Path::new("/opt/printstation")).unwrap();
        assert!(what.contains("lost at a restart"), "{what}");
        assert!(install.fix().is_some());
        let state = Path::new("/var/lib/printstation/ledger");
        assert_eq!(keeping(&mounts, state), Keeping::Durable);
        assert!(matches!(
            keeping(&mounts, Path::new("/boot/firmware")),
            Keeping::ReadOnly { .. }
        ));
    }

    #[test]
    fn an_overlay_over_a_disk_keeps_what_the_disk_keeps() {
        let text = "1 0 0:9 / / rw - overlay o rw,lowerdir=/l,upperdir=/disk/up,workdir=/disk/w\n\
                    2 1 8:1 / /disk rw - ext4 /dev/sda1 rw\n";
        assert_eq!(keeping(&mounts(text), Path::new("/etc")), Keeping::Durable);
    }

    #[test]
    fn a_usual_card_is_durable_and_memory_is_not() {
        let mounts = mounts(PI);
        assert_eq!(mounts.len(), 4);
        assert_eq!(
            keeping(&mounts, Path::new("/var/lib/printstation")),
            Keeping::Durable
        );
        assert!(matches!(
            keeping(&mounts, Path::new("/run/x")),
            Keeping::Volatile { .. }
        ));
        let disk = mount_of(&mounts, Path::new("/mnt/my disk/x")).unwrap();
        assert_eq!(disk.device, "8:1");
        // Not the mount of a folder whose name only begins the same.
        assert_eq!(
            mount_of(&mounts, Path::new("/runner")).unwrap().point,
            Path::new("/")
        );
    }

    #[test]
    fn a_card_that_turned_read_only_is_told() {
        let mounts =
            mounts("24 1 179:2 / / ro,noatime - ext4 /dev/mmcblk0p2 ro,errors=remount-ro\n");
        let found = keeping(&mounts, Path::new("/var/lib/printstation"));
        assert_eq!(found, Keeping::ReadOnly { mount: "/".into() });
        // The file system's own option counts as well as the mount's.
        let inner = super::mounts("24 1 179:2 / / rw - ext4 /dev/mmcblk0p2 ro\n");
        assert!(matches!(
            keeping(&inner, Path::new("/x")),
            Keeping::ReadOnly { .. }
        ));
    }

    #[test]
    fn room_is_told_before_it_is_gone() {
        let space = |free| Space { free, total: 1_000 };
        assert_eq!(space(9).room(10), Room::Lacking);
        assert_eq!(space(10).room(10), Room::Scarce);
        assert_eq!(space(49).room(1), Room::Scarce);
        assert_eq!(space(50).room(10), Room::Enough);
        let dir = tempfile::tempdir().unwrap();
        let here = super::space(dir.path()).unwrap();
        assert!(here.total > 0 && here.free <= here.total, "{here:?}");
        assert!(super::space(&dir.path().join("none")).is_err());
    }

    #[test]
    fn a_card_tells_its_wear_where_it_knows_it() {
        let dir = tempfile::tempdir().unwrap();
        let device = dir.path().join("devices/mmc0/block/mmcblk0");
        let partition = device.join("mmcblk0p2");
        std::fs::create_dir_all(device.join("device")).unwrap();
        std::fs::create_dir_all(&partition).unwrap();
        std::fs::create_dir_all(dir.path().join("dev/block")).unwrap();
        std::os::unix::fs::symlink(&partition, dir.path().join("dev/block/179:2")).unwrap();
        let put = |path: PathBuf, text: &str| durable::replace(&path, text.as_bytes()).unwrap();
        put(partition.join("partition"), "2\n");
        put(
            device.join("stat"),
            "    1 0 8 0    12 0 2048 7 0 0 0 0 0 0 0\n",
        );
        let root = &mounts(PI)[0];
        let plain = card(dir.path(), root).unwrap();
        assert_eq!(
            (plain.name.as_str(), plain.written),
            ("mmcblk0", Some(1 << 20))
        );
        assert_eq!(plain.life_used, None);
        assert!(!plain.is_worn());
        put(device.join("device/life_time"), "0x01 0x09\n");
        put(device.join("device/pre_eol_info"), "0x01\n");
        let worn = card(dir.path(), root).unwrap();
        assert_eq!(worn.life_used, Some(90));
        assert!(worn.is_worn());
        assert_eq!(card(dir.path(), &mounts(PI)[2]), None);
    }

    #[test]
    fn numbers_that_are_none_are_not_guessed() {
        assert_eq!(written("1 2 3"), None);
        assert_eq!(written("a b c d e f g h"), None);
        assert_eq!(life_used("0x00 0x00"), None);
        assert_eq!(life_used("0xff zz"), None);
        assert_eq!(life_used("0x0b 0x01"), Some(110));
    }

    #[test]
    fn todays_bytes_go_on_over_a_restart_and_begin_anew_each_day() {
        let noon = Timestamp(86_400_000 * 20_000 + 43_200_000);
        let first = tally(None, noon, "a", 700);
        assert_eq!(first.today, 0);
        let more = tally(Some(&first), noon, "a", 1_000);
        assert_eq!(more.today, 300);
        let restarted = tally(Some(&more), noon, "b", 50);
        assert_eq!(restarted.today, 350);
        let tomorrow = Timestamp(noon.0 + 86_400_000);
        assert_eq!(tally(Some(&restarted), tomorrow, "b", 90).today, 0);
        // A counter that went back (another card) takes nothing away.
        assert_eq!(tally(Some(&more), noon, "a", 10).today, 300);
    }
}
