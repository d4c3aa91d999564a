//! Scanners on a serial port: USB (CDC), RS-232 and Bluetooth (SPP) alike.
//!
//! Raw bytes, eight bits, no parity, no flow control, held for this process alone. The port vanishes
//! when the scanner is unplugged or sleeps: it is opened again, each second.

use super::assembler::Assembler;
use super::{Event, ReplyHandle, Scanner, TriggerEvent, Writer};
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl, tcflush,
    tcgetattr, tcsetattr,
};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Mutex, mpsc};

/// How often an absent port is tried.
const AGAIN: Duration = Duration::from_secs(1);

/// Reads the port for ever.
pub(super) async fn serve(
    path: PathBuf,
    baud: u32,
    scanner: Scanner,
    tx: mpsc::Sender<TriggerEvent>,
) {
    let mut lost_was_said = false;
    loop {
        let why = match port(&path, baud) {
            Ok(port) => {
                lost_was_said = false;
                if send(&tx, &scanner, Event::Connected, None).await.is_err() {
                    return;
                }
                match read(Arc::new(port), &scanner, &tx).await {
                    Some(why) => why,
                    None => return,
                }
            }
            Err(why) => why,
        };
        if !std::mem::replace(&mut lost_was_said, true)
            && send(&tx, &scanner, Event::Lost { why }, None)
                .await
                .is_err()
        {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Opens the port raw and for us alone.
fn port(path: &Path, baud: u32) -> Result<AsyncFd<OwnedFd>, String> {
    let place = path.display();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::NOENT | rustix::io::Errno::NXIO | rustix::io::Errno::NODEV => {
            format!(
                "{place} is not there; is the scanner plugged in and set to a serial (CDC) mode?"
            )
        }
        rustix::io::Errno::ACCESS => {
            format!("{place} may not be used; the station's user must be in the group dialout")
        }
        rustix::io::Errno::BUSY => format!("{place} is held by another program"),
        errno => format!("{place} cannot be opened: {errno}"),
    })?;
    let failed = |errno: rustix::io::Errno| format!("{place} is no usable serial port: {errno}");
    let mut mode = tcgetattr(&fd).map_err(failed)?;
    mode.make_raw();
    mode.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    mode.control_modes &= !(ControlModes::CRTSCTS | ControlModes::CSTOPB | ControlModes::PARENB);
    mode.special_codes[SpecialCodeIndex::VMIN] = 1;
    mode.special_codes[SpecialCodeIndex::VTIME] = 0;
    mode.set_speed(baud).map_err(failed)?;
    tcsetattr(&fd, OptionalActions::Now, &mode).map_err(failed)?;
    ioctl_tiocexcl(&fd).map_err(failed)?;
    // Half a scan from before the station was there is no scan.
    tcflush(&fd, QueueSelector::IFlush).map_err(failed)?;
    #[expect(
        deprecated,
        reason = "its replacement is unsafe code; an OwnedFd gives the soundness that it asks for"
    )]
    let registered = AsyncFd::new(fd);
    registered.map_err(|error| format!("{place} cannot be waited for: {error}"))
}

/// Reads until the port is gone and says why; `None`: the station stops.
async fn read(
    port: Arc<AsyncFd<OwnedFd>>,
    scanner: &Scanner,
    tx: &mpsc::Sender<TriggerEvent>,
) -> Option<String> {
    let reply = ReplyHandle {
        writer: Arc::new(Mutex::new(Writer::Port(Arc::clone(&port)))),
        ok: scanner.ok.clone().into(),
        error: scanner.error.clone().into(),
    };
    let mut assembler = Assembler::new(scanner.end);
    let mut bytes = [0; 1024];
    let mut out = Vec::new();
    loop {
        let patience = assembler.patience();
        let read = port.async_io(Interest::READABLE, |fd| {
            rustix::io::read(fd, &mut bytes).map_err(Into::into)
        });
        let read = match patience {
            // The read is polled first: what has arrived is never discarded for lateness.
            Some(patience) => tokio::time::timeout(patience, read).await,
            None => Ok(read.await),
        };
        let ended = match read {
            Ok(Ok(0)) => Some("the port has been hung up".to_owned()),
            Ok(Ok(n)) => {
                assembler.feed(&bytes[..n], &mut out);
                None
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => {
                out.extend(assembler.silence());
                None
            }
        };
        if ended.is_some() {
            out.extend(assembler.finish());
        }
        for assembled in out.drain(..) {
            send(tx, scanner, assembled.into(), Some(&reply))
                .await
                .ok()?;
        }
        if ended.is_some() {
            return ended;
        }
    }
}

async fn send(
    tx: &mpsc::Sender<TriggerEvent>,
    scanner: &Scanner,
    event: Event,
    reply: Option<&ReplyHandle>,
) -> Result<(), mpsc::error::SendError<TriggerEvent>> {
    let scanner = scanner.name.clone();
    let reply = reply.cloned();
    tx.send(TriggerEvent {
        scanner,
        event,
        reply,
    })
    .await
}

#[cfg(test)]
mod tests {
    use crate::domain::scan::BadScan;
    use crate::trigger::{Connection, End, Event, Scanner, Settings, TriggerEvent, spawn};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};
    use std::time::Duration;
    use tokio::sync::mpsc;

    const DEADLINE: Duration = Duration::from_secs(20);

    /// A serial line: our end, and the path that the station opens.
    fn line() -> (OwnedFd, PathBuf) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        (master, PathBuf::from(name.into_string().unwrap()))
    }

    async fn next(rx: &mut mpsc::Receiver<TriggerEvent>) -> TriggerEvent {
        tokio::time::timeout(DEADLINE, rx.recv())
            .await
            .unwrap()
            .unwrap()
    }

    fn settings(path: &Path, end: End) -> Settings {
        Settings {
            scanners: vec![Scanner {
                name: "serial".into(),
                connection: Connection::Serial {
                    path: path.to_owned(),
                    baud: 9600,
                },
                end,
                ok: b"\x07".to_vec(),
                error: b"F".to_vec(),
            }],
        }
    }

    fn scanned(text: &str) -> Event {
        Event::Scanned(text.to_owned().try_into().unwrap())
    }

    #[tokio::test]
    async fn a_port_that_is_not_there_or_no_port_is_said_once() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("scanner");
        let (tx, mut rx) = mpsc::channel(16);
        let _triggers = spawn(settings(&link, End::Suffix), tx).await.unwrap();
        assert!(
            matches!(next(&mut rx).await.event, Event::Lost { why } if why.contains("not there"))
        );
        // It appears under its name, as a scanner that is plugged in.
        let (master, path) = line();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(next(&mut rx).await.event, Event::Connected);
        rustix::io::write(&master, b"WEB-1\r\n").unwrap();
        assert_eq!(next(&mut rx).await.event, scanned("WEB-1"));
        // Pulled in the middle of a scan: what came is no scan, and the next plug works again.
        rustix::io::write(&master, b"WEB-").unwrap();
        std::fs::remove_file(&link).unwrap();
        drop(master);
        let (again, path) = line();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut events = Vec::new();
        loop {
            let event = next(&mut rx).await.event;
            let last = event == Event::Connected;
            events.push(event);
            if last {
                break;
            }
        }
        assert!(
            events.iter().any(|e| matches!(e, Event::Lost { .. })),
            "{events:?}"
        );
        assert!(
            events.iter().all(|e| !matches!(e, Event::Scanned(_))),
            "{events:?}"
        );
        rustix::io::write(&again, b"WEB-2\r").unwrap();
        assert_eq!(next(&mut rx).await.event, scanned("WEB-2"));
    }

    #[tokio::test]
    async fn the_line_is_raw_and_the_scanner_hears_its_beep() {
        let (master, path) = line();
        let (tx, mut rx) = mpsc::channel(16);
        let _triggers = spawn(settings(&path, End::Suffix), tx).await.unwrap();
        assert_eq!(next(&mut rx).await.event, Event::Connected);
        // Ctrl+C, Ctrl+D and XOFF are bytes like any other; GS stays; Latin-1 is refused.
        rustix::io::write(&master, b"A\x03B\r400PO\x1d77\t\xe4\r\x13WEB-3\r").unwrap();
        let events = [
            Event::Bad(BadScan::Unprintable),
            scanned("400PO\u{1d}77"),
            Event::Bad(BadScan::Unprintable),
            Event::Bad(BadScan::Unprintable),
        ];
        let mut reply = None;
        for expected in events {
            let event = next(&mut rx).await;
            assert_eq!(event.event, expected);
            reply = event.reply;
        }
        let reply = reply.unwrap();
        reply.ok().await.unwrap();
        reply.error().await.unwrap();
        let mut heard = Vec::new();
        let heard = tokio::task::spawn_blocking(move || {
            while heard.len() < 2 {
                let mut byte = [0; 2];
                let n = rustix::io::read(&master, &mut byte).unwrap();
                heard.extend_from_slice(&byte[..n]);
            }
            heard
        });
        assert_eq!(
            tokio::time::timeout(DEADLINE, heard)
                .await
                .unwrap()
                .unwrap(),
            b"\x07F"
        );
    }

    #[tokio::test]
    async fn a_scanner_without_a_suffix_ends_by_silence() {
        let (master, path) = line();
        let (tx, mut rx) = mpsc::channel(16);
        let idle = End::Idle(Duration::from_millis(50));
        let _triggers = spawn(settings(&path, idle), tx).await.unwrap();
        assert_eq!(next(&mut rx).await.event, Event::Connected);
        rustix::io::write(&master, b"WEB-1").unwrap();
        assert_eq!(next(&mut rx).await.event, scanned("WEB-1"));
    }
}
