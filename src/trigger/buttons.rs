//! Buttons on pins and pedals on USB: edges from the device, presses to the station.
//!
//! One thread for all pins (the library waits for them together) and one per pedal. A pin that is
//! taken, a board without pins, a pedal that is away: said once, tried again, and nothing else stops.
//! How long a press took is measured with the device's own clock, so that a station that was slow
//! never takes a short press for a long one.

use super::button::{Button, Gesture, Said};
use super::devices::Places;
use super::keyboard::{self, Ended, KeyEvent};
use super::stop::{Stop, Stopper, Woken};
use super::{StartError, thread_name};
use crate::system::gpio::{GpioError, Inputs};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often a pin that cannot be had is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// Longest wait for an edge, so that the stop is noticed.
const TURN: Duration = Duration::from_millis(250);

/// One button.
#[derive(Clone, Debug)]
pub struct ButtonSettings {
    /// Name.
    pub name: String,
    /// Where it is.
    pub at: ButtonAt,
    /// Shorter changes are noise.
    pub debounce: Duration,
    /// A press of this length is a long one; `None`: there is no long press.
    pub long: Option<Duration>,
}

/// Where a button is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ButtonAt {
    /// On a pin (BCM number), closing to ground.
    Gpio(u8),
    /// A key of an input device, held exclusively: `KEY_ENTER` of [`Places::matching`]'s device.
    Key {
        /// Which device.
        device: String,
        /// Key name as in `linux/input-event-codes.h`.
        key: String,
    },
}

/// Something about a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ButtonEvent {
    /// Which.
    pub button: String,
    /// What.
    pub news: ButtonNews,
}

/// What is new about a button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ButtonNews {
    /// A hand did this.
    Did(Gesture),
    /// It is there.
    Found,
    /// It cannot be had (any more). Said once; tried again.
    Lost {
        /// Why, and what to do.
        why: String,
    },
    /// Held for half a minute.
    Stuck,
}

/// Buttons at work; dropping this stops them.
#[derive(Debug)]
pub struct Buttons {
    _stopper: Option<Stopper>,
}

/// How the pins of this board are reached.
pub type OpenInputs = Box<dyn FnMut() -> Result<Box<dyn Inputs>, GpioError> + Send>;

/// Starts every button. `open` is asked only if one of them is on a pin.
///
/// # Errors
/// No thread can be started. A button that is not there is no error.
pub fn spawn_buttons(
    buttons: Vec<ButtonSettings>,
    open: OpenInputs,
    tx: &mpsc::Sender<ButtonEvent>,
) -> Result<Buttons, StartError> {
    let Some(first) = buttons.first().map(|b| b.name.clone()) else {
        return Ok(Buttons { _stopper: None });
    };
    let failed = |scanner: &str| {
        let scanner = scanner.to_owned();
        |cause| StartError::Thread { scanner, cause }
    };
    let stopper = Stopper::new().map_err(failed(&first))?;
    let mut pins = Vec::new();
    for button in buttons {
        match button.at.clone() {
            ButtonAt::Gpio(pin) => pins.push(Pin::new(button, pin)),
            ButtonAt::Key { device, key } => {
                let (tx, stop, name) = (tx.clone(), stopper.stop(), button.name.clone());
                std::thread::Builder::new()
                    .name(thread_name("pedal", &name))
                    .spawn(move || pedal(&button, &device, &key, &tx, &stop))
                    .map_err(failed(&name))?;
            }
        }
    }
    if !pins.is_empty() {
        let (tx, stop) = (tx.clone(), stopper.stop());
        std::thread::Builder::new()
            .name("buttons".into())
            .spawn(move || watch_pins(pins, open, &tx, &stop))
            .map_err(failed(&first))?;
    }
    Ok(Buttons {
        _stopper: Some(stopper),
    })
}

/// A button with the device's clock fitted to ours.
struct Timed {
    button: Button,
    /// The button's time of the last edge, when it was heard here, and the device's own time of it.
    last: Duration,
    heard: Instant,
    device: Option<Duration>,
    /// That clock never jumps.
    trusted: bool,
}

impl Timed {
    fn new(settings: &ButtonSettings, held: bool, trusted: bool) -> Self {
        Self {
            button: Button::new(settings.debounce, settings.long, held, Duration::ZERO),
            last: Duration::ZERO,
            heard: Instant::now(),
            device: None,
            trusted,
        }
    }

    /// Never ahead of an edge that is still on its way.
    fn now(&self) -> Duration {
        self.last + self.heard.elapsed()
    }

    fn edge(&mut self, down: bool, at: Duration, out: &mut Vec<Said>) {
        let here = self.heard.elapsed();
        // A wall clock that jumps is not believed further than ours.
        let since = match self.device.and_then(|before| at.checked_sub(before)) {
            Some(there) if self.trusted => there,
            Some(there) => there.min(here),
            None => here,
        };
        self.last += since;
        self.heard = Instant::now();
        self.device = Some(at);
        self.button.edge(down, self.last, out);
    }

    fn tick(&mut self, out: &mut Vec<Said>) {
        self.button.tick(self.now(), out);
    }

    fn patience(&self) -> Option<Duration> {
        Some(self.button.due()?.saturating_sub(self.now()))
    }
}

struct Pin {
    settings: ButtonSettings,
    pin: u8,
    /// `None`: not had.
    timed: Option<Timed>,
    lost_was_said: bool,
}

impl Pin {
    fn new(settings: ButtonSettings, pin: u8) -> Self {
        Self {
            settings,
            pin,
            timed: None,
            lost_was_said: false,
        }
    }

    fn tell(&self, news: ButtonNews, tx: &mpsc::Sender<ButtonEvent>) -> Result<(), Gone> {
        tell(&self.settings.name, news, tx)
    }

    fn say(&self, said: Vec<Said>, tx: &mpsc::Sender<ButtonEvent>) -> Result<(), Gone> {
        said.into_iter()
            .try_for_each(|said| self.tell(news(said), tx))
    }

    fn lost(&mut self, why: &str, tx: &mpsc::Sender<ButtonEvent>) -> Result<(), Gone> {
        self.timed = None;
        if std::mem::replace(&mut self.lost_was_said, true) {
            return Ok(());
        }
        let why = why.to_owned();
        self.tell(ButtonNews::Lost { why }, tx)
    }
}

/// Nobody listens any more.
struct Gone;

fn tell(button: &str, news: ButtonNews, tx: &mpsc::Sender<ButtonEvent>) -> Result<(), Gone> {
    let button = button.to_owned();
    tx.blocking_send(ButtonEvent { button, news })
        .map_err(|_| Gone)
}

fn news(said: Said) -> ButtonNews {
    match said {
        Said::Gesture(gesture) => ButtonNews::Did(gesture),
        Said::Stuck => ButtonNews::Stuck,
        Said::Freed => ButtonNews::Found,
    }
}

fn watch_pins(
    mut pins: Vec<Pin>,
    mut open: OpenInputs,
    tx: &mpsc::Sender<ButtonEvent>,
    stop: &Stop,
) {
    loop {
        let ended = match open() {
            Ok(mut inputs) => with_pins(&mut pins, inputs.as_mut(), tx, stop),
            Err(error) => Ok(error.to_string()),
        };
        // Only a fault of all pins at once ends here: all are tried anew.
        let Ok(why) = ended else {
            return;
        };
        for pin in &mut pins {
            if pin.lost(&why, tx).is_err() {
                return;
            }
        }
        if !matches!(stop.wait(None, Some(AGAIN)), Ok(Woken::Time)) {
            return;
        }
    }
}

/// Watches until something concerns all pins, and says what.
fn with_pins(
    pins: &mut [Pin],
    inputs: &mut dyn Inputs,
    tx: &mpsc::Sender<ButtonEvent>,
    stop: &Stop,
) -> Result<String, Gone> {
    let mut claim_at = Instant::now();
    loop {
        if !matches!(stop.wait(None, Some(Duration::ZERO)), Ok(Woken::Time)) {
            return Err(Gone);
        }
        if Instant::now() >= claim_at {
            claim(pins, inputs, tx)?;
            claim_at = Instant::now() + AGAIN;
        }
        let due = pins
            .iter()
            .filter_map(|p| p.timed.as_ref()?.patience())
            .min();
        let edge = match inputs.wait(due.unwrap_or(TURN).min(TURN)) {
            Ok(edge) => edge,
            Err(error) => return Ok(error.to_string()),
        };
        let mut said = Vec::new();
        // An edge is judged before time is: it may have happened long before it got here.
        if let Some(edge) = edge {
            if let Some(pin) = pins.iter_mut().find(|p| p.pin == edge.pin)
                && let Some(timed) = &mut pin.timed
            {
                timed.edge(edge.pressed, edge.at, &mut said);
                pin.say(said, tx)?;
            }
            continue;
        }
        for pin in pins.iter_mut() {
            let mut said = Vec::new();
            if let Some(timed) = &mut pin.timed {
                timed.tick(&mut said);
            }
            pin.say(said, tx)?;
        }
    }
}

fn claim(
    pins: &mut [Pin],
    inputs: &mut dyn Inputs,
    tx: &mpsc::Sender<ButtonEvent>,
) -> Result<(), Gone> {
    for pin in pins.iter_mut().filter(|pin| pin.timed.is_none()) {
        match inputs.claim(pin.pin, pin.settings.debounce) {
            Ok(held) => {
                pin.timed = Some(Timed::new(&pin.settings, held, true));
                pin.lost_was_said = false;
                pin.tell(ButtonNews::Found, tx)?;
            }
            Err(error) => pin.lost(&error.to_string(), tx)?,
        }
    }
    Ok(())
}

/// Reads one pedal until the stop.
fn pedal(
    settings: &ButtonSettings,
    device: &str,
    key: &str,
    tx: &mpsc::Sender<ButtonEvent>,
    stop: &Stop,
) {
    let Some(code) = key_code(key) else {
        let why = format!("{key} is no key; write it as KEY_ENTER, KEY_SPACE, KEY_F1 …");
        drop(tell(&settings.name, ButtonNews::Lost { why }, tx));
        return;
    };
    let mut lost_was_said = false;
    loop {
        let ended = match keyboard::open(&Places::default(), device) {
            Ok(opened) => {
                lost_was_said = false;
                if tell(&settings.name, ButtonNews::Found, tx).is_err() {
                    return;
                }
                read_pedal(opened, settings, code, tx, stop)
            }
            Err(why) => Ended::Gone(why),
        };
        let Ended::Gone(why) = ended else {
            return;
        };
        if !std::mem::replace(&mut lost_was_said, true)
            && tell(&settings.name, ButtonNews::Lost { why }, tx).is_err()
        {
            return;
        }
        if !matches!(stop.wait(None, Some(keyboard::AGAIN)), Ok(Woken::Time)) {
            return;
        }
    }
}

fn read_pedal(
    mut device: evdev::raw_stream::RawDevice,
    settings: &ButtonSettings,
    wanted: u16,
    tx: &mpsc::Sender<ButtonEvent>,
    stop: &Stop,
) -> Ended {
    let key = evdev::KeyCode::new(wanted);
    let held = |device: &evdev::raw_stream::RawDevice| {
        device.get_key_state().is_ok_and(|keys| keys.contains(key))
    };
    // Input devices tell the wall clock's time.
    let mut timed = Timed::new(settings, held(&device), false);
    loop {
        let events = match keyboard::next(&mut device, stop, timed.patience()) {
            Ok(events) => events,
            Err(ended) => return ended,
        };
        let mut said = Vec::new();
        match events {
            None => timed.tick(&mut said),
            Some(events) => {
                for event in events {
                    match event {
                        KeyEvent::Key { code, value, at } if code == wanted && value < 2 => {
                            timed.edge(value == 1, at, &mut said);
                        }
                        KeyEvent::Key { .. } => {}
                        // Edges were lost: begun anew, as after plugging it in.
                        KeyEvent::Lost => timed = Timed::new(settings, held(&device), false),
                    }
                }
            }
        }
        for said in said {
            if tell(&settings.name, news(said), tx).is_err() {
                return Ended::Stop;
            }
        }
    }
}

/// The code of a key by its name.
pub(super) fn key_code(name: &str) -> Option<u16> {
    name.parse::<evdev::KeyCode>()
        .ok()
        .map(evdev::KeyCode::code)
}

#[cfg(test)]
#[path = "buttons_tests.rs"]
mod tests;
