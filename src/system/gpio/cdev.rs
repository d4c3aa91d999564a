//! Pins through the kernel's GPIO character device, for boards that rppal does not know.
//!
//! The chip is chosen by its label, never by its number: numbers change with the kernel.

use super::{Edge, GpioError, Inputs, Outputs};
use gpiocdev::Request;
use gpiocdev::line::{Bias, EdgeDetection, EdgeKind, EventClock, Value};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::Duration;

/// Who we are, in `gpioinfo`.
const CONSUMER: &str = "printstation";

/// The chip with the header's pins: a Pi's by its label, else the one with the most lines.
pub(super) fn chip() -> Result<PathBuf, GpioError> {
    let none = |why: String| GpioError::NoBoard { why };
    let paths = gpiocdev::chip::chips().map_err(|error| none(error.to_string()))?;
    let mut best: Option<(u8, u32, PathBuf)> = None;
    let mut refused = None;
    for path in paths {
        let info = gpiocdev::Chip::from_path(&path).and_then(|chip| chip.info());
        match info {
            Ok(info) => {
                let rank = match info.label.as_str() {
                    "pinctrl-rp1" => 3,
                    label if label.starts_with("pinctrl-bcm") => 2,
                    label if label.starts_with("pinctrl") => 1,
                    _ => 0,
                };
                if best
                    .as_ref()
                    .is_none_or(|(r, n, _)| (rank, info.num_lines) > (*r, *n))
                {
                    best = Some((rank, info.num_lines, path));
                }
            }
            Err(error) => {
                refused = Some(format!(
                    "{}: {error}; the station's user must be in the group gpio",
                    path.display()
                ))
            }
        }
    }
    match (best, refused) {
        (Some((_, _, path)), _) => Ok(path),
        (None, Some(why)) => Err(none(why)),
        (None, None) => Err(none(
            "this is no Raspberry Pi, and the kernel shows no /dev/gpiochip".to_owned(),
        )),
    }
}

/// Who holds these lines: pin → by whom; lines that are free are left out. Takes none.
pub(super) fn held(
    chip: &std::path::Path,
    pins: &[u8],
) -> Result<std::collections::BTreeMap<u8, String>, GpioError> {
    let chip = gpiocdev::Chip::from_path(chip).map_err(|error| GpioError::NoBoard {
        why: error.to_string(),
    })?;
    let mut held = std::collections::BTreeMap::new();
    for &pin in pins {
        let info = chip
            .line_info(u32::from(pin))
            .map_err(|error| cannot(pin, &error))?;
        if info.used {
            held.insert(pin, info.consumer);
        }
    }
    Ok(held)
}

/// Claimed lines of one chip.
pub(super) struct Lines {
    chip: PathBuf,
    inputs: Vec<(u8, Request)>,
    outputs: Vec<(u8, Request)>,
}

impl Lines {
    pub(super) fn new(chip: PathBuf) -> Self {
        Self {
            chip,
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }
}

impl Inputs for Lines {
    fn claim(&mut self, pin: u8, debounce: Duration) -> Result<bool, GpioError> {
        let request = Request::builder()
            .on_chip(&self.chip)
            .with_consumer(CONSUMER)
            .with_line(u32::from(pin))
            .as_input()
            .as_active_low()
            .with_bias(Bias::PullUp)
            .with_debounce_period(debounce)
            .with_edge_detection(EdgeDetection::BothEdges)
            .with_event_clock(EventClock::Monotonic)
            .request()
            .map_err(|error| cannot(pin, &error))?;
        let held = request.lone_value().map_err(|error| cannot(pin, &error))? == Value::Active;
        self.inputs.push((pin, request));
        Ok(held)
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<Edge>, GpioError> {
        let lost = |why: String| GpioError::Lost { why };
        let mut patience = patience;
        for last in [false, true] {
            let mut fds: Vec<PollFd<'_>> = self
                .inputs
                .iter()
                .map(|(_, request)| PollFd::from_borrowed_fd(request.as_fd(), PollFlags::IN))
                .collect();
            let limit = Timespec::try_from(patience).ok();
            match poll(&mut fds, limit.as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                // Stopped, frozen or traced: what happened meanwhile is asked for once more.
                Err(Errno::INTR) if !last => patience = Duration::ZERO,
                Err(Errno::INTR) => return Ok(None),
                Err(error) => return Err(lost(error.to_string())),
            }
        }
        for (pin, request) in &self.inputs {
            let ready = request
                .has_edge_event()
                .map_err(|error| lost(error.to_string()))?;
            if ready {
                let edge = request
                    .read_edge_event()
                    .map_err(|error| lost(error.to_string()))?;
                return Ok(Some(Edge {
                    pin: *pin,
                    // Active low: pressed is a rising edge of the logical line.
                    pressed: edge.kind == EdgeKind::Rising,
                    at: Duration::from_nanos(edge.timestamp_ns),
                }));
            }
        }
        Ok(None)
    }
}

impl Outputs for Lines {
    fn claim(&mut self, pin: u8) -> Result<(), GpioError> {
        let request = Request::builder()
            .on_chip(&self.chip)
            .with_consumer(CONSUMER)
            .with_line(u32::from(pin))
            .as_output(Value::Inactive)
            .request()
            .map_err(|error| cannot(pin, &error))?;
        self.outputs.push((pin, request));
        Ok(())
    }

    fn set(&mut self, pin: u8, on: bool) -> Result<(), GpioError> {
        let Some((_, request)) = self.outputs.iter().find(|(claimed, _)| *claimed == pin) else {
            return Err(GpioError::Pin {
                pin,
                why: "it was not claimed".to_owned(),
            });
        };
        let value = if on { Value::Active } else { Value::Inactive };
        request
            .set_lone_value(value)
            .map(|_| ())
            .map_err(|error| cannot(pin, &error))
    }
}

fn cannot(pin: u8, error: &gpiocdev::Error) -> GpioError {
    let text = error.to_string();
    let why = if text.contains("EBUSY") || text.contains("busy") {
        "another program or a device-tree overlay holds it".to_owned()
    } else {
        text
    };
    GpioError::Pin { pin, why }
}
