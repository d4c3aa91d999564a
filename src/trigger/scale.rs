//! A USB scale (HID usage page 0x8D): reports to what lies on it, and the thread that reads them.
//!
//! Only the standard report is understood, `[3, status, unit, exponent, low, high]`; what does not
//! read exactly so is no reading. The scale is looked for each second while it is away; nobody ever
//! waits for it. Which weight belongs to which order is the station's business.

use super::devices::glob;
use super::keyboard::AGAIN;
use super::stop::{Stop, Stopper, Woken};
use super::{StartError, thread_name};
use crate::domain::Load;
use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;

/// The report that carries a weight.
const REPORT: u8 = 3;
/// Longest report that is read; a HID report has at most 64 bytes at full speed.
const MOST: usize = 64;
/// HID devices looked at.
const DEVICES: usize = 64;
/// Up to here nothing lies on it: scales drift by a few grams.
const EMPTY: f64 = 5.0;
/// No parcel weighs more than this, grams.
const HEAVIEST: f64 = 1_000_000.0;

/// What a scale said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScaleNews {
    /// It is there.
    Found,
    /// It is not there (any more). Said once; it is looked for each second.
    Lost {
        /// Why, for the log and the page.
        why: String,
    },
    /// Something else lies on it now.
    Load(Load),
}

/// A scale that is read; dropping it stops the thread.
#[derive(Debug)]
pub struct Scale {
    _stopper: Stopper,
}

/// Reads one report.
pub fn parse(report: &[u8]) -> Load {
    let [REPORT, status, unit, exponent, low, high, ..] = *report else {
        return Load::Unknown;
    };
    let grams_of_one = match unit {
        1 => 0.001,
        2 => 1.0,
        3 => 1000.0,
        4 => 0.2,
        8 => 1_000_000.0,
        11 => 28.349_523_125,
        12 => 453.592_37,
        _ => return Load::Unknown,
    };
    let raw = f64::from(u16::from_le_bytes([low, high]));
    let grams = raw * 10_f64.powi(i32::from(i8::from_le_bytes([exponent]))) * grams_of_one;
    match status {
        2 => Load::Empty,
        4 if !grams.is_finite() || grams > HEAVIEST => Load::Unknown,
        4 if grams <= EMPTY => Load::Empty,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 5 and a million"
        )]
        4 => Load::Stable(grams.round() as u32),
        _ => Load::Unknown,
    }
}

/// Reads the scale that `wanted` means: `auto`, a name or serial number (`*` and `?` allowed), or a
/// path.
///
/// # Errors
/// No thread can be started. A scale that is away is no error.
pub fn spawn_scale(wanted: String, tx: mpsc::Sender<ScaleNews>) -> Result<Scale, StartError> {
    let failed = |cause| StartError::Thread {
        scanner: "scale".to_owned(),
        cause,
    };
    let stopper = Stopper::new().map_err(failed)?;
    let stop = stopper.stop();
    std::thread::Builder::new()
        .name(thread_name("scale", ""))
        .spawn(move || read_for_ever(&wanted, Path::new("/sys/class/hidraw"), &tx, &stop))
        .map_err(failed)?;
    Ok(Scale { _stopper: stopper })
}

fn read_for_ever(wanted: &str, sys: &Path, tx: &mpsc::Sender<ScaleNews>, stop: &Stop) {
    let mut lost_was_said = false;
    loop {
        let why = match open(wanted, sys) {
            Ok(device) => {
                lost_was_said = false;
                if tx.blocking_send(ScaleNews::Found).is_err() {
                    return;
                }
                match read(&device, tx, stop) {
                    Ok(()) => return,
                    Err(error) => error.to_string(),
                }
            }
            Err(why) => why,
        };
        if !std::mem::replace(&mut lost_was_said, true)
            && tx.blocking_send(ScaleNews::Lost { why }).is_err()
        {
            return;
        }
        if !matches!(stop.wait(None, Some(AGAIN)), Ok(Woken::Time)) {
            return;
        }
    }
}

/// Reads until the stop, or until the device is gone. Tells changes only: a scale talks ten times a
/// second.
fn read(device: &OwnedFd, tx: &mpsc::Sender<ScaleNews>, stop: &Stop) -> io::Result<()> {
    let mut told = None;
    let mut report = [0; MOST];
    loop {
        if stop.wait(Some(device.as_fd()), None)? != Woken::Device {
            return Ok(());
        }
        let len = rustix::io::read(device, &mut report)?;
        if len == 0 {
            return Err(io::Error::other("the scale was unplugged"));
        }
        let load = parse(report.get(..len).unwrap_or_default());
        if told != Some(load) {
            told = Some(load);
            if tx.blocking_send(ScaleNews::Load(load)).is_err() {
                return Ok(());
            }
        }
    }
}

fn open(wanted: &str, sys: &Path) -> Result<OwnedFd, String> {
    let candidates = matching(wanted, sys);
    let mut why = match wanted {
        "auto" => "no USB scale is plugged in".to_owned(),
        _ => format!("no USB scale is called {wanted}; is it plugged in?"),
    };
    for node in candidates {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::open(&node, flags, Mode::empty()) {
            Ok(device) => return Ok(device),
            Err(rustix::io::Errno::ACCESS) => {
                why = format!(
                    "{} may not be read; the station's user needs a rule for hidraw devices",
                    node.display()
                );
            }
            Err(error) => why = format!("{}: {error}", node.display()),
        }
    }
    Err(why)
}

/// Devices that could be meant. A scale says what it is in the first bytes of its descriptor.
fn matching(wanted: &str, sys: &Path) -> Vec<PathBuf> {
    if wanted.starts_with('/') {
        return vec![PathBuf::from(wanted)];
    }
    let Ok(entries) = std::fs::read_dir(sys) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .take(DEVICES)
        .filter(|entry| {
            let about = entry.path().join("device");
            let is_scale = std::fs::read(about.join("report_descriptor"))
                .is_ok_and(|descriptor| descriptor.starts_with(&[0x05, 0x8d]));
            let named = || {
                let text = std::fs::read_to_string(about.join("uevent")).unwrap_or_default();
                text.lines().any(|line| {
                    line.strip_prefix("HID_NAME=")
                        .or_else(|| line.strip_prefix("HID_UNIQ="))
                        .is_some_and(|name| glob(wanted, name))
                })
            };
            is_scale && (wanted == "auto" || named())
        })
        .map(|entry| Path::new("/dev").join(entry.file_name()))
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_at_rest_is_no_weight() {
        for (report, load) in [
            (&[][..], Load::Unknown),
            (&[3, 4, 2, 0, 0xf4], Load::Unknown),
            (&[1, 4, 2, 0, 0xf4, 1], Load::Unknown),
            (&[3, 3, 2, 0, 0xf4, 1], Load::Unknown),
            (&[3, 5, 2, 0, 0xf4, 1], Load::Unknown),
            (&[3, 6, 2, 0, 0xf4, 1], Load::Unknown),
            (&[3, 4, 99, 0, 0xf4, 1], Load::Unknown),
            (&[3, 4, 3, 100, 0xf4, 1], Load::Unknown),
            (&[3, 2, 2, 0, 0, 0], Load::Empty),
            (&[3, 4, 2, 0, 3, 0], Load::Empty),
            (&[3, 4, 2, 0, 0xf4, 1], Load::Stable(500)),
            (&[3, 4, 11, 0xff, 0x7b, 0], Load::Stable(349)),
            (&[3, 4, 3, 0xfe, 0x7d, 0, 0, 0], Load::Stable(1250)),
        ] {
            assert_eq!(parse(report), load, "{report:?}");
        }
    }

    #[test]
    fn a_scale_is_told_from_a_keyboard_by_what_it_says_of_itself() {
        let dir = tempfile::tempdir().unwrap();
        for (name, descriptor, uevent) in [
            (
                "hidraw0",
                &[0x05, 0x01, 0x09, 0x06][..],
                "HID_NAME=Acme Keyboard\n",
            ),
            (
                "hidraw1",
                &[0x05, 0x8d, 0x09, 0x20][..],
                "HID_NAME=DYMO M10\nHID_UNIQ=0077\n",
            ),
        ] {
            let about = dir.path().join(name).join("device");
            std::fs::create_dir_all(&about).unwrap();
            write(&about.join("report_descriptor"), descriptor);
            write(&about.join("uevent"), uevent.as_bytes());
        }
        let node = [PathBuf::from("/dev/hidraw1")];
        for wanted in ["auto", "DYMO*", "0077"] {
            assert_eq!(matching(wanted, dir.path()), node, "{wanted}");
        }
        assert!(matching("Acme*", dir.path()).is_empty());
        assert_eq!(matching("/dev/x", dir.path()), [PathBuf::from("/dev/x")]);
        let why = open("Mettler*", dir.path()).unwrap_err();
        assert!(why.contains("Mettler*"), "{why}");
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "nothing here must survive a power cut"
    )]
    fn write(path: &Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_scale_is_read_until_it_goes_and_tells_changes_only() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let stopper = Stopper::new().unwrap();
        let (tx, mut rx) = mpsc::channel(8);
        let stop = stopper.stop();
        let reading = std::thread::spawn(move || read(&reader, &tx, &stop));
        let mut hear = |report: &[u8]| {
            rustix::io::write(&writer, report).unwrap();
            rx.blocking_recv().unwrap()
        };
        assert_eq!(hear(&[3, 2, 2, 0, 0, 0]), ScaleNews::Load(Load::Empty));
        assert_eq!(hear(&[3, 3, 2, 0, 9, 0]), ScaleNews::Load(Load::Unknown));
        assert_eq!(
            hear(&[3, 4, 2, 0, 0xf4, 1]),
            ScaleNews::Load(Load::Stable(500))
        );
        drop(writer);
        let error = reading.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("unplugged"), "{error}");
        assert_eq!(rx.blocking_recv(), None);
    }

    proptest! {
        #[test]
        fn no_report_makes_a_weight_that_no_parcel_has(report in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Load::Stable(grams) = parse(&report) {
                prop_assert!((5..=1_000_000).contains(&grams));
                prop_assert_eq!((report[0], report[1]), (3, 4));
            }
        }

        #[test]
        fn grams_and_tenths_of_them_are_read_as_they_are(grams in 60_u16..6_500) {
            let whole = [3, 4, 2, 0, grams.to_le_bytes()[0], grams.to_le_bytes()[1]];
            prop_assert_eq!(parse(&whole), Load::Stable(u32::from(grams)));
            let tenths = (grams * 10).to_le_bytes();
            prop_assert_eq!(parse(&[3, 4, 2, 0xff, tenths[0], tenths[1]]), Load::Stable(u32::from(grams)));
        }
    }
}
