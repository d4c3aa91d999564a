//! Keyboard-style scanners and one-key pedals: one thread per device that only reads.
//!
//! The kernel keeps 64 events per reader, six to twelve for each character: whoever reads late loses
//! some. So the thread does nothing else, and a loss (`SYN_DROPPED`) discards the scan and says "scan
//! again": the tail of `PICK-2026-000123456789` must never be taken for order `6789`. The device is
//! held exclusively: what is scanned reaches neither a console nor the kernel's SysRq. Unplugged, it
//! is looked for each second.

use super::assembler::{Assembled, Assembler};
use super::devices::Places;
use super::keys::Keys;
use super::stop::{Stop, Woken};
use super::{Event, Scanner, TriggerEvent};
use evdev::raw_stream::RawDevice;
use evdev::{EventType, LedCode};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often an absent device is looked for.
pub(super) const AGAIN: Duration = Duration::from_secs(1);
/// `SYN_DROPPED` of `linux/input-event-codes.h`: the kernel's buffer overflowed.
const SYN_DROPPED: u16 = 3;

/// What a device said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyEvent {
    /// A key changed, at a time of the device's own clock.
    Key { code: u16, value: i32, at: Duration },
    /// Events were lost before this.
    Lost,
}

/// Why a device is not read any more.
pub(super) enum Ended {
    /// It is time to stop.
    Stop,
    /// It is gone, or cannot be had.
    Gone(String),
}

/// Reads one scanner until the stop.
pub(super) fn scanner(
    scanner: Scanner,
    wanted: &str,
    places: &Places,
    tx: &mpsc::Sender<TriggerEvent>,
    stop: &Stop,
) {
    let mut lost_was_said = false;
    loop {
        let ended = match open(places, wanted) {
            Ok(device) => {
                lost_was_said = false;
                if send(tx, &scanner, Event::Connected).is_err() {
                    return;
                }
                read_scans(device, &scanner, tx, stop)
            }
            Err(why) => Ended::Gone(why),
        };
        let Ended::Gone(why) = ended else {
            return;
        };
        if !std::mem::replace(&mut lost_was_said, true)
            && send(tx, &scanner, Event::Lost { why }).is_err()
        {
            return;
        }
        if !matches!(stop.wait(None, Some(AGAIN)), Ok(Woken::Time)) {
            return;
        }
    }
}

fn read_scans(
    mut device: RawDevice,
    scanner: &Scanner,
    tx: &mpsc::Sender<TriggerEvent>,
    stop: &Stop,
) -> Ended {
    // Some scanners follow the caps lock of the host.
    let caps = device
        .get_led_state()
        .is_ok_and(|leds| leds.contains(LedCode::LED_CAPSL));
    let mut decoder = Decoder::new(Keys::new(caps), Assembler::wary(scanner.end));
    let mut out = Vec::new();
    loop {
        let mut ended = None;
        match next(&mut device, stop, decoder.assembler.patience()) {
            Ok(Some(events)) => events
                .into_iter()
                .for_each(|event| decoder.take(event, &mut out)),
            Ok(None) => out.extend(decoder.assembler.silence()),
            Err(why) => {
                out.extend(decoder.assembler.finish());
                ended = Some(why);
            }
        }
        for assembled in out.drain(..) {
            if send(tx, scanner, assembled.into()).is_err() {
                return Ended::Stop;
            }
        }
        if let Some(why) = ended {
            return why;
        }
    }
}

/// The next events of a device; `None`: nothing came in time.
pub(super) fn next(
    device: &mut RawDevice,
    stop: &Stop,
    patience: Option<Duration>,
) -> Result<Option<Vec<KeyEvent>>, Ended> {
    let gone = |error: std::io::Error| Ended::Gone(error.to_string());
    match stop.wait(Some(device.as_fd()), patience).map_err(gone)? {
        Woken::Stop => Err(Ended::Stop),
        Woken::Time => Ok(None),
        Woken::Device => {
            let events = device.fetch_events().map_err(gone)?;
            Ok(Some(events.filter_map(|event| key_event(&event)).collect()))
        }
    }
}

fn key_event(event: &evdev::InputEvent) -> Option<KeyEvent> {
    match event.event_type() {
        EventType::SYNCHRONIZATION if event.code() == SYN_DROPPED => Some(KeyEvent::Lost),
        EventType::KEY => Some(KeyEvent::Key {
            code: event.code(),
            value: event.value(),
            at: event
                .timestamp()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default(),
        }),
        _ => None,
    }
}

/// Finds the device and takes it for this process alone.
pub(super) fn open(places: &Places, wanted: &str) -> Result<RawDevice, String> {
    let candidates = places.matching(wanted);
    let mut why = format!("no input device is called {wanted}; is it plugged in?");
    for node in candidates {
        match grab(&node) {
            Ok(device) => return Ok(device),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

/// Opens one device exclusively.
pub(super) fn grab(node: &Path) -> Result<RawDevice, String> {
    let place = node.display();
    let mut device = RawDevice::open(node).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            format!("{place} may not be read; the station's user must be in the group input")
        }
        std::io::ErrorKind::NotFound => format!("{place} is not there; is it plugged in?"),
        _ => format!("{place} cannot be opened: {error}"),
    })?;
    device.grab().map_err(|error| match error.kind() {
        std::io::ErrorKind::ResourceBusy => {
            format!(
                "{place} is held by another program, or by another scanner of this configuration"
            )
        }
        _ => format!("{place} cannot be held exclusively: {error}"),
    })?;
    Ok(device)
}

/// Key events of one device to scans.
#[derive(Debug)]
struct Decoder {
    keys: Keys,
    assembler: Assembler,
}

impl Decoder {
    fn new(keys: Keys, assembler: Assembler) -> Self {
        Self { keys, assembler }
    }

    fn take(&mut self, event: KeyEvent, out: &mut Vec<Assembled>) {
        match event {
            KeyEvent::Key { code, value, .. } => {
                if let Some(character) = self.keys.key(code, value) {
                    let mut bytes = [0; 4];
                    self.assembler
                        .feed(character.encode_utf8(&mut bytes).as_bytes(), out);
                }
            }
            KeyEvent::Lost => {
                self.keys.forget();
                out.push(self.assembler.lost());
            }
        }
    }
}

fn send(
    tx: &mpsc::Sender<TriggerEvent>,
    scanner: &Scanner,
    event: Event,
) -> Result<(), mpsc::error::SendError<TriggerEvent>> {
    tx.blocking_send(TriggerEvent {
        scanner: scanner.name.clone(),
        event,
        reply: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ScanText;
    use crate::domain::scan::BadScan;
    use crate::trigger::assembler::End;
    use crate::trigger::keys::typed;
    use proptest::prelude::*;

    fn decoder() -> Decoder {
        Decoder::new(Keys::new(false), Assembler::wary(End::Suffix))
    }

    fn keys(text: &str) -> impl Iterator<Item = KeyEvent> {
        typed(text).into_iter().map(|(code, value)| KeyEvent::Key {
            code,
            value,
            at: Duration::ZERO,
        })
    }

    fn scan(text: &str) -> Assembled {
        Assembled::Scan(ScanText::parse(text).unwrap())
    }

    #[test]
    fn a_scan_that_lost_events_is_never_a_shorter_scan() {
        let whole = "PICK-2026-000123456789\r";
        let events: Vec<KeyEvent> = keys(whole).collect();
        // The kernel keeps the tail after an overflow, wherever that was.
        // The scan is complete with the press of its Enter key, the last event but one.
        for kept_from in 0..events.len() {
            for lost_from in 0..=kept_from.min(events.len() - 2) {
                let mut decoder = decoder();
                let mut out = Vec::new();
                for event in &events[..lost_from] {
                    decoder.take(*event, &mut out);
                }
                decoder.take(KeyEvent::Lost, &mut out);
                for event in &events[kept_from..] {
                    decoder.take(*event, &mut out);
                }
                // The packer hears "scan again", looks, and scans again.
                while decoder.assembler.patience().is_some() {
                    out.extend(decoder.assembler.silence());
                }
                keys("WEB-2\r").for_each(|event| decoder.take(event, &mut out));
                let read: Vec<&Assembled> = out
                    .iter()
                    .filter(|o| matches!(o, Assembled::Scan(_)))
                    .collect();
                assert_eq!(out[0], Assembled::Incomplete, "{lost_from} {kept_from}");
                assert_eq!(read, [&scan("WEB-2")], "{lost_from} {kept_from}");
            }
        }
    }

    #[test]
    fn hostile_barcodes_are_one_bad_scan_each() {
        let mut decoder = decoder();
        let mut out = Vec::new();
        let qr: String = "A".repeat(4296);
        for text in [qr.as_str(), "SO\u{1b}[2J1", "\u{3}\u{4}"] {
            keys(text)
                .chain(keys("\r"))
                .for_each(|event| decoder.take(event, &mut out));
        }
        // Alt+SysRq+b.
        for (code, value) in [
            (56, 1),
            (99, 1),
            (48, 1),
            (48, 0),
            (99, 0),
            (56, 0),
            (28, 1),
        ] {
            let at = Duration::ZERO;
            decoder.take(KeyEvent::Key { code, value, at }, &mut out);
        }
        assert_eq!(
            out,
            [
                Assembled::Bad(BadScan::TooLong),
                Assembled::Bad(BadScan::Unprintable),
                Assembled::Bad(BadScan::Unprintable),
                Assembled::Bad(BadScan::Unprintable),
            ]
        );
    }

    #[test]
    fn latin_1_by_alt_digits_is_a_bad_scan() {
        let mut decoder = decoder();
        let mut out = Vec::new();
        // Alt+228 is ä.
        for code in [80, 80, 72] {
            if code == 80 && out.is_empty() {
                decoder.take(
                    KeyEvent::Key {
                        code: 56,
                        value: 1,
                        at: Duration::ZERO,
                    },
                    &mut out,
                );
            }
            decoder.take(
                KeyEvent::Key {
                    code,
                    value: 1,
                    at: Duration::ZERO,
                },
                &mut out,
            );
        }
        decoder.take(
            KeyEvent::Key {
                code: 56,
                value: 0,
                at: Duration::ZERO,
            },
            &mut out,
        );
        keys("\r").for_each(|event| decoder.take(event, &mut out));
        assert_eq!(out, [Assembled::Bad(BadScan::Unprintable)]);
    }

    proptest! {
        #[test]
        fn any_key_sequence_gives_clean_scans_or_refusals(
            events in prop::collection::vec((0_u16..768, -1_i32..4, any::<bool>()), 0..600),
        ) {
            let mut decoder = decoder();
            let mut out = Vec::new();
            for (code, value, lost) in events {
                let at = Duration::ZERO;
                // One in a few hundred events is a loss.
                let event = if lost && code < 4 { KeyEvent::Lost } else { KeyEvent::Key { code, value, at } };
                decoder.take(event, &mut out);
            }
            for assembled in out {
                if let Assembled::Scan(text) = assembled {
                    prop_assert!(ScanText::parse(text.as_str()).is_ok());
                }
            }
        }
    }
}
