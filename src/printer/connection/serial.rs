//! Serial ports (RS-232, or a USB or Bluetooth adapter that shows as one).
//!
//! 8 data bits, no parity, one stop bit. The printer holds us back with XON/XOFF: every label
//! printer can, and a cable without handshake wires would stand still for ever with RTS/CTS. The
//! kernel takes XON and XOFF out of what the printer says; of all answers only a TSPL status of
//! "open and paused" looks like one, and then the printer counts as silent, which is as unfit.

use super::ioctl;
use super::usb::UsbLine;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr,
};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// An open port.
#[derive(Debug)]
pub(in crate::printer) struct SerialLine(UsbLine);

impl SerialLine {
    /// Opens the port and sets it up.
    pub async fn open(path: &Path, baud: u32, budget: Duration) -> Result<Self, String> {
        let path: PathBuf = path.to_owned();
        let shown = path.display().to_string();
        let opening = spawn_blocking(move || open_blocking(&path, baud));
        match timeout(budget, opening).await {
            Ok(Ok(Ok(line))) => Ok(line),
            Ok(Ok(Err(error))) => Err(format!("{shown}: {error}")),
            Ok(Err(panic)) => Err(panic.to_string()),
            Err(_) => Err(format!("{shown}: the port did not open within {budget:?}")),
        }
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).await
    }

    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).await
    }

    pub(super) fn discard_input(&mut self) {
        self.0.discard_input();
    }

    /// Bytes that the port has not sent yet.
    pub(super) fn pending(&self) -> u64 {
        ioctl::unacknowledged(self.0.as_fd()).unwrap_or(0)
    }

    /// A closed port goes on sending what it holds; after this it holds nothing.
    pub(super) fn drop_output(&self) {
        if let Err(error) = tcflush(self.0.as_fd(), QueueSelector::OFlush) {
            tracing::debug!(%error, "the port sends what it still holds");
        }
    }
}

fn open_blocking(path: &Path, baud: u32) -> io::Result<SerialLine> {
    let (fd, can_read) = super::usb::open_blocking(path)?;
    if !rustix::termios::isatty(&fd) {
        return Err(io::Error::other("this is not a serial port"));
    }
    let mut port = tcgetattr(&fd)?;
    port.make_raw();
    port.input_modes |= InputModes::IXON;
    port.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD | ControlModes::CS8;
    port.control_modes &= !(ControlModes::PARENB
        | ControlModes::CSTOPB
        | ControlModes::CRTSCTS
        | ControlModes::HUPCL);
    port.set_speed(baud)?;
    tcsetattr(&fd, OptionalActions::Now, &port)?;
    Ok(SerialLine(UsbLine::on(fd, can_read)))
}
