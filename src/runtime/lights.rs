//! Lights and sound: the station's signals on the pins there are.
//!
//! What passes is played as it is signalled; what stays is asked from the station twice a second, so
//! that a missed signal never leaves a wrong light. A pin that cannot be used is named in `status` and
//! tried again; with no outputs configured nothing runs here.

use super::bench::{Bench, Event};
use super::devices::Devices;
use crate::config::model::Config;
use crate::domain::Signal;
use crate::signal::{Player, Wiring};
use crate::station::Glance;
use crate::system::gpio::{GpioError, Outputs};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How often the station is asked what its state shows.
const LOOK: Duration = Duration::from_millis(500);
/// How often a pin that cannot be used is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How the pins of this board are reached.
pub(super) type OpenOutputs = Box<dyn FnMut() -> Result<Box<dyn Outputs>, GpioError> + Send>;

/// Lights at work.
pub(super) struct Lights {
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// The outputs of a configuration.
pub(crate) fn wiring(config: &Config) -> Wiring {
    Wiring {
        green: config.lamp.green,
        yellow: config.lamp.yellow,
        red: config.lamp.red,
        blue: config.lamp.blue,
        button: config.lamp.button,
        buzzer: config.buzzer.gpio,
    }
}

impl Lights {
    pub(super) fn start(
        wiring: Wiring,
        open: OpenOutputs,
        bench: Bench,
        devices: Devices,
        pressed: Arc<Notify>,
    ) -> Self {
        if wiring == Wiring::default() {
            return Self { running: None };
        }
        let (stop, stopped) = oneshot::channel();
        let panel = Panel {
            wiring,
            open,
            outputs: None,
            levels: BTreeMap::new(),
            dark: BTreeMap::new(),
            try_at: Instant::now(),
            devices,
        };
        let task = tokio::spawn(run(panel, bench, pressed, stopped));
        Self {
            running: Some((stop, task)),
        }
    }

    /// Everything off, and the end.
    pub(super) async fn stop(self) {
        if let Some((stop, task)) = self.running {
            drop(stop);
            if let Err(error) = task.await {
                tracing::error!(%error, "the lights' task failed");
            }
        }
    }
}

/// The pins as they are.
struct Panel {
    wiring: Wiring,
    open: OpenOutputs,
    outputs: Option<Box<dyn Outputs>>,
    /// Claimed pins and what they show.
    levels: BTreeMap<u8, bool>,
    /// Names of outputs that cannot be used, and why.
    dark: BTreeMap<String, String>,
    try_at: Instant,
    devices: Devices,
}

impl Panel {
    /// Takes the pins that are not had yet, every few seconds.
    fn claim(&mut self, now: Instant) {
        let pins = self.wiring.pins();
        if self.levels.len() == pins.len() || now < self.try_at {
            return;
        }
        self.try_at = now + AGAIN;
        let mut dark = BTreeMap::new();
        if self.outputs.is_none() {
            match (self.open)() {
                Ok(outputs) => self.outputs = Some(outputs),
                Err(error) => {
                    dark = pins
                        .iter()
                        .map(|(name, _)| ((*name).to_owned(), error.to_string()))
                        .collect();
                }
            }
        }
        if let Some(outputs) = &mut self.outputs {
            for (name, pin) in &pins {
                if self.levels.contains_key(pin) {
                    continue;
                }
                match outputs.claim(*pin) {
                    Ok(()) => {
                        self.levels.insert(*pin, false);
                    }
                    Err(error) => {
                        dark.insert((*name).to_owned(), error.to_string());
                    }
                }
            }
        }
        if dark != self.dark {
            for (name, why) in &dark {
                tracing::warn!(output = name, why, "this light or sound is missing");
            }
            self.dark.clone_from(&dark);
        }
        let names = pins.iter().map(|(name, _)| (*name).to_owned()).collect();
        self.devices.outputs(names, dark);
    }

    /// Switches what has changed.
    fn show(&mut self, levels: &[(u8, bool)]) {
        let Some(outputs) = &mut self.outputs else {
            return;
        };
        let mut lost = None;
        for (pin, on) in levels {
            let Some(shown) = self.levels.get_mut(pin) else {
                continue;
            };
            if *shown == *on {
                continue;
            }
            match outputs.set(*pin, *on) {
                Ok(()) => *shown = *on,
                Err(error) => lost = Some(error),
            }
        }
        if let Some(error) = lost {
            tracing::warn!(%error, "the lights are lost; they are tried again");
            self.outputs = None;
            self.levels.clear();
        }
    }
}

async fn run(
    mut panel: Panel,
    bench: Bench,
    pressed: Arc<Notify>,
    mut stopped: oneshot::Receiver<()>,
) {
    let began = Instant::now();
    let mut player = Player::new(panel.wiring, Duration::ZERO);
    let mut events = bench.events();
    let mut look_at = Instant::now();
    loop {
        panel.claim(Instant::now());
        let due = player.advance(began.elapsed());
        panel.show(&player.levels());
        let wake = due.map_or(look_at, |due| look_at.min(began + due));
        tokio::select! {
            _ = &mut stopped => break,
            () = tokio::time::sleep_until(wake) => {}
            () = pressed.notified() => player.mute(began.elapsed()),
            event = events.recv() => match event {
                Ok(Event::Signal(signal)) => player.signal(signal, began.elapsed()),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => break,
            },
        }
        if Instant::now() >= look_at {
            look_at = Instant::now() + LOOK;
            match bench.glance().await {
                Ok(glance) => player.rest(state(&glance, player.resting()), began.elapsed()),
                Err(_) => break,
            }
        }
    }
    let off: Vec<(u8, bool)> = panel
        .wiring
        .pins()
        .iter()
        .map(|(_, pin)| (*pin, false))
        .collect();
    panel.show(&off);
}

/// What the station's state shows, from the gravest down.
fn state(glance: &Glance, shown: Signal) -> Signal {
    if glance.draining {
        Signal::Starting
    } else if glance.printers.iter().any(|(_, trouble)| trouble.is_some()) {
        Signal::PrinterNeedsHand
    } else if glance.question.is_some() {
        Signal::Question
    } else if glance.working > 0 {
        // "Working" is said after a second; until then the light before it stays.
        match shown {
            Signal::Starting | Signal::Question | Signal::PrinterNeedsHand => Signal::Ready,
            shown => shown,
        }
    } else if glance.queued > 0 && !glance.online {
        Signal::Queued
    } else if shown == Signal::Printed {
        Signal::Printed
    } else {
        Signal::Ready
    }
}

/// Switches every output of a configuration off, for a service that could not do it itself.
///
/// # Errors
/// The outputs that could not be switched off, and why.
pub fn lights_off(
    config: &Config,
    open: impl FnOnce() -> Result<Box<dyn Outputs>, GpioError>,
) -> Result<usize, Vec<GpioError>> {
    let pins = wiring(config).pins();
    if pins.is_empty() {
        return Ok(0);
    }
    let mut outputs = open().map_err(|error| vec![error])?;
    let failed: Vec<GpioError> = pins
        .iter()
        .filter_map(|(_, pin)| {
            outputs
                .claim(*pin)
                .and_then(|()| outputs.set(*pin, false))
                .err()
        })
        .collect();
    if failed.is_empty() {
        Ok(pins.len())
    } else {
        Err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::bench;
    use crate::runtime::bench::Message;
    use crate::system::gpio::fake::FakeBoard;

    fn glance(question: bool) -> Glance {
        Glance {
            sales_online: true,
            writebacks: crate::station::WritebackGlance::default(),
            paused: false,
            draining: false,
            online: true,
            working: 0,
            queued: 0,
            in_doubt: Vec::new(),
            held: 0,
            question: question.then(|| (String::new(), None, String::new())),
            asked: None,
            acts: Vec::new(),
            printers: Vec::new(),
            ahead: crate::station::AheadGlance::default(),
        }
    }

    async fn until(what: &str, so: impl Fn() -> bool) {
        let waiting = async {
            while !so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        assert!(waited.is_ok(), "{what}");
    }

    #[tokio::test]
    async fn lights_follow_the_station_and_are_off_at_the_end() {
        let board = FakeBoard::new();
        board.take(27);
        let wiring = Wiring {
            green: Some(22),
            yellow: Some(23),
            red: Some(24),
            buzzer: Some(27),
            ..Wiring::default()
        };
        let (bench, mut messages) = bench::channel();
        let asked = tokio::spawn(async move {
            while let Some(message) = messages.recv().await {
                if let Message::Glance(to) = message {
                    drop(to.send(glance(false)));
                }
            }
        });
        let outputs = board.clone();
        let devices = Devices::default();
        let lights = Lights::start(
            wiring,
            Box::new(move || outputs.outputs()),
            bench.clone(),
            devices.clone(),
            Arc::default(),
        );
        until("green when ready", || board.lit() == [22]).await;
        // The pin that another program holds is named; the others work.
        let [_, _, shown] = devices.show();
        assert_eq!(shown[3]["name"], "buzzer.gpio");
        assert_eq!(shown[3]["state"], "missing");
        assert_eq!(shown[0]["state"], "ready");
        bench.publish(Event::Signal(Signal::Refused));
        until("yellow for a refusal", || board.lit() == [23]).await;
        until("back to green", || board.lit() == [22]).await;
        lights.stop().await;
        assert!(board.lit().is_empty(), "{:?}", board.lit());
        asked.abort();
    }

    #[test]
    fn a_state_that_is_over_does_not_stay_lit() {
        assert_eq!(state(&glance(false), Signal::Working), Signal::Ready);
        assert_eq!(state(&glance(false), Signal::Question), Signal::Ready);
        assert_eq!(state(&glance(true), Signal::Ready), Signal::Question);
        let busy = Glance {
            working: 1,
            ..glance(false)
        };
        assert_eq!(state(&busy, Signal::Working), Signal::Working);
        assert_eq!(state(&busy, Signal::Starting), Signal::Ready);
    }
}
