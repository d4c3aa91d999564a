//! USB printers by the kernel's `usblp` device, without ever blocking on it.
//!
//! The device is opened non-blocking. Then `usblp` takes a block of 8 KiB, returns at once and
//! cancels what is under way when it is closed: a label is only out when the device is writable
//! again after the last block, so `pending` must be asked before closing. A printer is named by
//! its serial number in sysfs; `/dev/usb/lpN` changes with every replugging.
//!
//! A pty or FIFO works too, so that tests use this very code.

use super::ioctl;
use crate::printer::settings::{Language, UsbDevice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags};
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// Where the kernel lists its USB printers.
pub(in crate::printer) const SYSFS: &str = "/sys/class/usbmisc";
/// Longest single wait on a blocking thread; it is repeated until the caller's deadline.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};
/// Between two reads of a device that answers with empty packets.
const EMPTY: Duration = Duration::from_millis(20);
/// Most stale input thrown away at once.
const MOST_UNASKED: usize = 64 * 1024;

/// An open device.
#[derive(Debug)]
pub(in crate::printer) struct UsbLine {
    fd: Arc<OwnedFd>,
    can_read: bool,
}

impl UsbLine {
    /// Opens the device; `sysfs` is `SYSFS` except in tests.
    pub async fn open(device: &UsbDevice, sysfs: &Path, budget: Duration) -> Result<Self, String> {
        let (device, sysfs) = (device.clone(), sysfs.to_owned());
        // Opening wakes the device, which may take its time: off the executor, with a deadline.
        let opened = timeout(budget, async {
            loop {
                let (device, sysfs) = (device.clone(), sysfs.clone());
                let opening = spawn_blocking(move || {
                    let path = find(&device, &sysfs)?;
                    Ok::<_, String>(open_blocking(&path).map_err(|error| (path, error)))
                });
                match opening.await.map_err(|error| error.to_string())?? {
                    Ok(opened) => return Ok(opened),
                    // usblp allows one user; a look at the last page's line may still be ending.
                    Err((_, error)) if error.kind() == io::ErrorKind::ResourceBusy => {
                        sleep(EMPTY).await;
                    }
                    Err((path, error)) => return Err(format!("{}: {error}", path.display())),
                }
            }
        });
        let (fd, can_read) = match opened.await {
            Ok(opened) => opened?,
            Err(_) => return Err(format!("the device did not open within {budget:?}")),
        };
        Ok(Self {
            fd: Arc::new(fd),
            can_read,
        })
    }

    /// An open device, for lines that set it up themselves.
    pub(super) fn on(fd: OwnedFd, can_read: bool) -> Self {
        Self {
            fd: Arc::new(fd),
            can_read,
        }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&*self.fd)
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&*self.fd, bytes) {
                Ok(count) => return Ok(count),
                Err(error) if is_not_now(error) => {}
                Err(error) => return Err(error.into()),
            }
            self.wait(PollFlags::OUT).await;
        }
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.can_read {
            std::future::pending::<()>().await; // callers have a deadline
        }
        loop {
            match rustix::io::read(&*self.fd, &mut *buffer) {
                // An empty packet is how an idle printer answers, not an end.
                Ok(0) => {
                    sleep(EMPTY).await;
                    continue;
                }
                Ok(count) => return Ok(count),
                Err(error) if is_not_now(error) => {}
                Err(error) => return Err(error.into()),
            }
            self.wait(PollFlags::IN).await;
        }
    }

    /// Waits for the device for a moment, off the executor; poll(2) and not epoll, because a
    /// driver that misses to wake epoll would cost the whole deadline.
    async fn wait(&self, event: PollFlags) {
        let fd = Arc::clone(&self.fd);
        let waited =
            spawn_blocking(move || poll(&mut [PollFd::new(&*fd, event)], Some(&LOOK)).map(|_| ()));
        if !matches!(waited.await, Ok(Ok(()))) {
            sleep(EMPTY).await; // interrupted or shutting down: never spin
        }
    }

    /// 1 while the device works on the last block.
    pub(super) fn pending(&self) -> u64 {
        let mut fds = [PollFd::new(&*self.fd, PollFlags::OUT)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        match poll(&mut fds, Some(&now)) {
            Ok(_) => u64::from(!fds.iter().any(|fd| {
                // An error or hang-up is for the next write or read to report.
                fd.revents()
                    .intersects(PollFlags::OUT | PollFlags::ERR | PollFlags::HUP)
            })),
            Err(_) => 1,
        }
    }

    pub(super) fn discard_input(&mut self) {
        if !self.can_read {
            return;
        }
        let mut buffer = [0; 4096];
        let mut discarded = 0;
        while discarded < MOST_UNASKED {
            match rustix::io::read(&*self.fd, &mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(count) => discarded += count,
            }
        }
    }

    /// The class status byte; `None` when the device has none or does not answer in time.
    pub(super) async fn device_status(&self, budget: Duration) -> Option<u8> {
        let fd = Arc::clone(&self.fd);
        let asked = spawn_blocking(move || ioctl::printer_status(&*fd));
        timeout(budget, asked).await.ok()?.ok()?
    }
}

fn is_not_now(error: rustix::io::Errno) -> bool {
    error == rustix::io::Errno::AGAIN || error == rustix::io::Errno::INTR
}

/// Whether it can be read too comes with it.
pub(super) fn open_blocking(path: &Path) -> io::Result<(OwnedFd, bool)> {
    let kind = FileType::from_raw_mode(rustix::fs::stat(path)?.st_mode);
    let access = match kind {
        FileType::CharacterDevice => OFlags::RDWR,
        // Opened both ways, a FIFO would read our own bytes back.
        FileType::Fifo => OFlags::WRONLY,
        _ => return Err(io::Error::other("this is not a device")),
    };
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, access | flags, Mode::empty())?;
    Ok((fd, kind == FileType::CharacterDevice))
}

/// A USB printer that the kernel knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::printer) struct Found {
    pub path: PathBuf,
    pub serial: String,
    pub vendor: Option<u16>,
    pub product: Option<u16>,
    /// Its IEEE-1284 device id; empty when it has none.
    pub device_id: String,
}

/// The USB printers that are plugged in.
pub(in crate::printer) fn list(sysfs: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir(sysfs) else {
        return Vec::new(); // no USB printer was ever plugged in
    };
    let mut found: Vec<Found> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_prefix("lp")?.parse::<u16>().ok()?;
            let device = entry.path().join("device/..");
            let read = |file: &str| fs::read_to_string(device.join(file)).unwrap_or_default();
            let hex = |file: &str| u16::from_str_radix(read(file).trim(), 16).ok();
            Some(Found {
                path: Path::new("/dev/usb").join(&name),
                serial: read("serial").trim().to_owned(),
                vendor: hex("idVendor"),
                product: hex("idProduct"),
                device_id: fs::read_to_string(entry.path().join("device/ieee1284_id"))
                    .unwrap_or_default()
                    .trim()
                    .to_owned(),
            })
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The device node of a printer.
fn find(device: &UsbDevice, sysfs: &Path) -> Result<PathBuf, String> {
    if let UsbDevice::Path(path) = device {
        return Ok(path.clone());
    }
    let all = list(sysfs);
    let fits: Vec<&Found> = all
        .iter()
        .filter(|found| match device {
            UsbDevice::Any | UsbDevice::Path(_) => true,
            UsbDevice::Serial(serial) => found.serial == *serial,
            UsbDevice::VidPid(vid, pid) => {
                found.vendor == Some(*vid) && found.product == Some(*pid)
            }
        })
        .collect();
    match fits.as_slice() {
        [one] => Ok(one.path.clone()),
        [] if all.is_empty() => Err("no USB printer is plugged in".to_owned()),
        [] => Err(format!(
            "this USB printer is not plugged in; there is {}",
            names(&all)
        )),
        _ => Err(format!(
            "several USB printers fit: set the connection to one of {}",
            names(fits.iter().copied())
        )),
    }
}

fn names<'a>(found: impl IntoIterator<Item = &'a Found>) -> String {
    let names: Vec<String> = found
        .into_iter()
        .map(|one| match one.serial.as_str() {
            "" => format!("usb:{}", one.path.display()),
            serial => format!("usb:{serial}"),
        })
        .collect();
    names.join(", ")
}

/// The language that the device says it speaks (IEEE-1284 device id, `CMD:` field).
pub(in crate::printer) fn language(device: &UsbDevice, sysfs: &Path) -> Result<Language, String> {
    let path = find(device, sysfs)?;
    let name = path.file_name().ok_or("the device has no name")?;
    let id = fs::read_to_string(sysfs.join(name).join("device/ieee1284_id"))
        .map_err(|error| format!("its IEEE-1284 device id cannot be read: {error}"))?;
    language_of(&id).ok_or_else(|| format!("its IEEE-1284 device id is \"{}\"", id.trim()))
}

/// A field of an IEEE-1284 device id, by its short or long key.
pub(in crate::printer) fn field<'a>(id: &'a str, keys: [&str; 2]) -> Option<&'a str> {
    id.split(';').find_map(|field| {
        let (key, value) = field.split_once(':')?;
        let is_key = keys.iter().any(|k| key.trim().eq_ignore_ascii_case(k));
        is_key.then_some(value.trim())
    })
}

/// The language of an IEEE-1284 device id.
pub(in crate::printer) fn language_of(id: &str) -> Option<Language> {
    language_of_commands(field(id, ["CMD", "COMMAND SET"])?).or_else(|| {
        // QL printers say "PT-CBP" like the tape printers, whose rows are others.
        let model = field(id, ["MDL", "MODEL"])?;
        model.starts_with("QL-").then_some(Language::BrotherQl)
    })
}

/// The language of a list of command sets, as device ids and mDNS have it.
pub(in crate::printer) fn language_of_commands(commands: &str) -> Option<Language> {
    let commands = commands.to_ascii_uppercase();
    // Order: a printer with several emulations is best driven by the one with the best status.
    [
        ("ZPL", Language::Zpl),
        ("TSPL", Language::Tspl),
        ("EPL", Language::Epl),
        ("ESC/POS", Language::Escpos),
        ("ESCPOS", Language::Escpos),
        ("EPSON", Language::Escpos),
    ]
    .into_iter()
    .find(|(word, _)| commands.contains(word))
    .map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn plug(root: &Path, lp: &str, serial: &str, vid: &str, pid: &str, id: &str) {
        let usb = root.join("devices").join(lp);
        let interface = usb.join("1:1.0");
        fs::create_dir_all(&interface).unwrap();
        let put = |path: PathBuf, text: &str| {
            let mut file = fs::File::create(path).unwrap();
            io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        put(usb.join("serial"), &format!("{serial}\n"));
        put(usb.join("idVendor"), &format!("{vid}\n"));
        put(usb.join("idProduct"), &format!("{pid}\n"));
        put(interface.join("ieee1284_id"), id);
        let class = root.join("class").join(lp);
        fs::create_dir_all(&class).unwrap();
        symlink(interface, class.join("device")).unwrap();
    }

    #[test]
    fn a_printer_is_found_by_serial_by_numbers_or_alone() {
        let root = tempfile::tempdir().unwrap();
        let sysfs = root.path().join("class");
        assert!(
            find(&UsbDevice::Any, &sysfs)
                .unwrap_err()
                .contains("no USB printer")
        );
        plug(
            root.path(),
            "lp3",
            "XYZ1",
            "0a5f",
            "0166",
            "MFG:Zebra;CMD:ZPL;",
        );
        assert_eq!(
            find(&UsbDevice::Any, &sysfs).unwrap(),
            Path::new("/dev/usb/lp3")
        );
        plug(
            root.path(),
            "lp1",
            "TSC9",
            "1203",
            "0230",
            "MFG:TSC;COMMAND SET:TSPL2,EPL;",
        );
        let found = list(&sysfs);
        assert_eq!(found[0].device_id, "MFG:TSC;COMMAND SET:TSPL2,EPL;");
        let several = find(&UsbDevice::Any, &sysfs).unwrap_err();
        assert!(several.contains("usb:TSC9, usb:XYZ1"), "{several}");
        let serial = UsbDevice::Serial("XYZ1".to_owned());
        assert_eq!(find(&serial, &sysfs).unwrap(), Path::new("/dev/usb/lp3"));
        assert_eq!(
            find(&UsbDevice::VidPid(0x1203, 0x0230), &sysfs).unwrap(),
            Path::new("/dev/usb/lp1")
        );
        assert!(find(&UsbDevice::Serial("no".to_owned()), &sysfs).is_err());
        assert_eq!(language(&serial, &sysfs), Ok(Language::Zpl));
        assert_eq!(
            language(&UsbDevice::VidPid(0x1203, 0x0230), &sysfs),
            Ok(Language::Tspl)
        );
    }

    #[test]
    fn a_brother_is_known_by_its_model() {
        let id = "MFG:Brother;CMD:PT-CBP;MDL:QL-1110NWB;CLS:PRINTER;";
        assert_eq!(language_of(id), Some(Language::BrotherQl));
        let tape = "MFG:Brother;CMD:PT-CBP;MDL:PT-P700;CLS:PRINTER;";
        assert_eq!(language_of(tape), None);
    }

    #[test]
    fn an_unknown_device_id_names_no_language() {
        for id in ["", "MFG:HP;CMD:PCL,PJL;", "nonsense", "CMD", ";;:;"] {
            assert_eq!(language_of(id), None, "{id}");
        }
    }
}
