//! Signals to lights and sound over time: which pin is on now, and until when. Pure.
//!
//! A lamp takes part with at least green and red (yellow without a yellow light is both at once);
//! any other light shows what the one LED shows, so that one LED, the buzzer alone, or nothing at all
//! is enough. A passing signal ends by itself and goes back to what the station's state shows.

use super::{Light, Play, Then, pattern};
use crate::domain::Signal;
use std::time::Duration;

/// Which output is on which pin (BCM numbers). All are optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the outputs of [lamp] and [buzzer]"
)]
pub struct Wiring {
    pub green: Option<u8>,
    pub yellow: Option<u8>,
    pub red: Option<u8>,
    pub blue: Option<u8>,
    pub button: Option<u8>,
    pub buzzer: Option<u8>,
}

impl Wiring {
    /// Every pin with its name in the configuration.
    pub fn pins(&self) -> Vec<(&'static str, u8)> {
        [
            ("lamp.green", self.green),
            ("lamp.yellow", self.yellow),
            ("lamp.red", self.red),
            ("lamp.blue", self.blue),
            ("lamp.button", self.button),
            ("buzzer.gpio", self.buzzer),
        ]
        .into_iter()
        .filter_map(|(name, pin)| Some((name, pin?)))
        .collect()
    }

    /// Green and red make a lamp; with less, each light is an LED of its own.
    fn is_lamp(&self) -> bool {
        self.green.is_some() && self.red.is_some()
    }

    /// The pins that a light of the lamp needs.
    fn lamp(&self, light: Light) -> Vec<u8> {
        let pins = match light {
            Light::Green => vec![self.green],
            Light::Red => vec![self.red],
            Light::Blue => vec![self.blue],
            Light::Yellow if self.yellow.is_some() => vec![self.yellow],
            Light::Yellow => vec![self.green, self.red],
            Light::Off | Light::On => Vec::new(),
        };
        pins.into_iter().flatten().collect()
    }
}

/// Which column of the table an output follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Lamp,
    Led,
    Buzzer,
}

/// One output on its way through a play.
#[derive(Clone, Debug)]
struct Track {
    column: Column,
    /// What is being played.
    signal: Signal,
    step: usize,
    /// When this step began.
    since: Duration,
    /// The play is over: dark or silent.
    over: bool,
}

/// All outputs of a bench.
#[derive(Clone, Debug)]
pub struct Player {
    wiring: Wiring,
    tracks: Vec<Track>,
    resting: Signal,
    /// A hand has heard the buzzer: silent until the state changes.
    muted: bool,
}

impl Player {
    /// Shows "starting".
    pub fn new(wiring: Wiring, now: Duration) -> Self {
        let tracks = [Column::Lamp, Column::Led, Column::Buzzer].map(|column| Track {
            column,
            signal: Signal::Starting,
            step: 0,
            since: now,
            over: false,
        });
        Self {
            wiring,
            tracks: tracks.into(),
            resting: Signal::Starting,
            muted: false,
        }
    }

    /// What is shown when nothing passing is.
    pub fn resting(&self) -> Signal {
        self.resting
    }

    /// The station signals.
    pub fn signal(&mut self, signal: Signal, now: Duration) {
        let passing = pattern(signal, true).lamp.then == Then::Back;
        if !passing {
            self.muted &= signal == self.resting;
            self.resting = signal;
        }
        for n in 0..self.tracks.len() {
            self.begin(n, signal, now);
        }
    }

    /// The station's state is this, whatever was signalled: seen when nothing passing is shown.
    pub fn rest(&mut self, state: Signal, now: Duration) {
        if self.resting == state {
            return;
        }
        let before = std::mem::replace(&mut self.resting, state);
        self.muted = false;
        for n in 0..self.tracks.len() {
            if self.tracks[n].signal == before {
                self.begin(n, state, now);
            }
        }
    }

    /// A press: the buzzer that calls again and again is silent from now on.
    pub fn mute(&mut self, now: Duration) {
        self.muted = true;
        for n in 0..self.tracks.len() {
            if self.tracks[n].column == Column::Buzzer {
                self.begin(n, self.resting, now);
            }
        }
    }

    fn begin(&mut self, track: usize, signal: Signal, now: Duration) {
        let track = &mut self.tracks[track];
        track.signal = signal;
        track.step = 0;
        track.since = now;
        track.over = false;
    }

    fn play(&self, track: &Track) -> Play {
        let pattern = pattern(track.signal, self.wiring.blue.is_some());
        match track.column {
            Column::Lamp => pattern.lamp,
            Column::Led => pattern.led,
            Column::Buzzer => pattern.buzzer,
        }
    }

    /// Lets time pass; tells when the next change is due.
    pub fn advance(&mut self, now: Duration) -> Option<Duration> {
        let mut due: Option<Duration> = None;
        for n in 0..self.tracks.len() {
            let next = self.advance_track(n, now);
            due = match (due, next) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        due
    }

    fn advance_track(&mut self, n: usize, now: Duration) -> Option<Duration> {
        loop {
            let track = &self.tracks[n];
            let play = self.play(track);
            let last = track.step + 1 >= play.steps.len();
            if track.over || play.steps.is_empty() || (last && play.then == Then::Stay) {
                return None;
            }
            let (_, ms) = play.steps[track.step];
            let end = track.since + Duration::from_millis(u64::from(ms));
            if now < end {
                return Some(end);
            }
            let (signal, resting) = (track.signal, self.resting);
            let track = &mut self.tracks[n];
            // A station that slept through many rounds does not play them all.
            track.since =
                if play.then == Then::Again && now.saturating_sub(end) > Duration::from_secs(1) {
                    now
                } else {
                    end
                };
            match (last, play.then) {
                (false, _) => track.step += 1,
                (true, Then::Again) => track.step = 0,
                (true, Then::Stay) => return None,
                // A sound that is made once is not made again by going back to it.
                (true, Then::Back) if signal == resting => track.over = true,
                (true, Then::Back) => {
                    track.signal = resting;
                    track.step = 0;
                    let play = self.play(&self.tracks[n]);
                    self.tracks[n].over = play.then == Then::Back;
                }
            }
        }
    }

    /// Every pin, and whether it is on now.
    pub fn levels(&self) -> Vec<(u8, bool)> {
        let mut on: Vec<u8> = Vec::new();
        for track in &self.tracks {
            let play = self.play(track);
            let light = match play.steps.get(track.step) {
                Some((light, _)) if !track.over => *light,
                _ => Light::Off,
            };
            match track.column {
                Column::Lamp if self.wiring.is_lamp() => on.extend(self.wiring.lamp(light)),
                Column::Led if light == Light::On => {
                    on.extend(self.wiring.button);
                    if !self.wiring.is_lamp() {
                        let w = &self.wiring;
                        on.extend([w.green, w.yellow, w.red, w.blue].into_iter().flatten());
                    }
                }
                Column::Buzzer if light == Light::On && !self.muted => {
                    on.extend(self.wiring.buzzer)
                }
                Column::Lamp | Column::Led | Column::Buzzer => {}
            }
        }
        let pins = self.wiring.pins();
        pins.into_iter()
            .map(|(_, pin)| (pin, on.contains(&pin)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Signal; 11] = [
        Signal::Ready,
        Signal::Accepted,
        Signal::Working,
        Signal::Printed,
        Signal::Queued,
        Signal::NothingWaiting,
        Signal::Question,
        Signal::Refused,
        Signal::PrinterNeedsHand,
        Signal::Fault,
        Signal::Starting,
    ];

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn bench(colours: [bool; 4], button: bool, buzzer: bool) -> Wiring {
        let [green, yellow, red, blue] = colours;
        let pin = |there: bool, pin: u8| there.then_some(pin);
        Wiring {
            green: pin(green, 1),
            yellow: pin(yellow, 2),
            red: pin(red, 3),
            blue: pin(blue, 4),
            button: pin(button, 5),
            buzzer: pin(buzzer, 6),
        }
    }

    /// The pins that are on, every 10 ms for 12 s, after a signal given to a bench that is ready.
    fn seen(wiring: Wiring, signal: Signal) -> Vec<Vec<u8>> {
        let mut player = Player::new(wiring, ms(0));
        player.signal(Signal::Ready, ms(0));
        player.signal(signal, ms(1000));
        (100..1300)
            .map(|n| {
                player.advance(ms(n * 10));
                player
                    .levels()
                    .into_iter()
                    .filter(|(_, on)| *on)
                    .map(|(pin, _)| pin)
                    .collect()
            })
            .collect()
    }

    #[test]
    fn with_any_light_at_all_every_two_signals_look_different() {
        for bits in 1_u8..32 {
            let colours = [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let wiring = bench(colours, bits & 16 != 0, false);
            for (i, a) in ALL.into_iter().enumerate() {
                for b in ALL.into_iter().skip(i + 1) {
                    let same = seen(wiring, a) == seen(wiring, b);
                    let meant = (a, b) == (Signal::Ready, Signal::Printed);
                    assert_eq!(same, meant, "{a:?} and {b:?} with {wiring:?}");
                }
            }
        }
    }

    #[test]
    fn the_buzzer_alone_is_silent_when_nothing_is_asked_and_nothing_at_all_is_fine() {
        let buzzer = bench([false; 4], false, true);
        for signal in ALL {
            let sounds = seen(buzzer, signal).iter().any(|pins| !pins.is_empty());
            let quiet = matches!(
                signal,
                Signal::Ready | Signal::Working | Signal::Printed | Signal::Starting
            );
            assert_eq!(sounds, !quiet, "{signal:?}");
            assert!(seen(Wiring::default(), signal).iter().all(Vec::is_empty));
        }
    }

    #[test]
    fn a_passing_signal_goes_back_to_the_state() {
        let wiring = bench([true, true, true, false], false, false);
        let mut player = Player::new(wiring, ms(0));
        player.signal(Signal::Ready, ms(0));
        player.signal(Signal::Refused, ms(100));
        assert_eq!(player.levels(), [(1, false), (2, true), (3, false)]);
        player.rest(Signal::Fault, ms(200));
        assert_eq!(
            player.levels(),
            [(1, false), (2, true), (3, false)],
            "the refusal is seen first"
        );
        player.advance(ms(2101));
        assert_eq!(player.levels(), [(1, false), (2, false), (3, true)]);
        player.rest(Signal::Ready, ms(3000));
        assert_eq!(player.levels(), [(1, true), (2, false), (3, false)]);
        assert_eq!(
            player.advance(ms(60_000)),
            None,
            "a steady light needs no waking"
        );
    }

    #[test]
    fn the_buzzer_calls_again_until_a_press_mutes_it_and_a_new_state_is_heard() {
        let wiring = bench([false; 4], false, true);
        let calls = |player: &mut Player, from: u64, to: u64| {
            (from..to)
                .step_by(10)
                .filter(|t| {
                    player.advance(ms(*t));
                    player.levels() == [(6, true)]
                })
                .count()
        };
        let mut player = Player::new(wiring, ms(0));
        player.signal(Signal::PrinterNeedsHand, ms(0));
        assert!(calls(&mut player, 0, 1000) > 0);
        assert!(calls(&mut player, 30_000, 32_000) > 0);
        player.mute(ms(32_000));
        assert_eq!(calls(&mut player, 32_000, 95_000), 0);
        player.signal(Signal::Question, ms(95_000));
        assert!(calls(&mut player, 95_000, 96_000) > 0);
    }

    #[test]
    fn a_fault_sounds_once() {
        let mut player = Player::new(bench([false; 4], false, true), ms(0));
        player.signal(Signal::Fault, ms(0));
        let on = |player: &mut Player, from: u64| {
            (from..from + 5000)
                .step_by(10)
                .filter(|t| {
                    player.advance(ms(*t));
                    player.levels() == [(6, true)]
                })
                .count()
        };
        assert!(on(&mut player, 0) >= 80);
        assert_eq!(on(&mut player, 5000), 0);
    }

    proptest! {
        #[test]
        fn whatever_is_signalled_no_pin_is_unknown_and_the_next_change_lies_ahead(
            steps in prop::collection::vec((0_usize..11, 0_u64..40_000, 0_u8..3), 1..60),
            bits in any::<u8>(),
        ) {
            let wiring = bench([1, 2, 4, 8].map(|bit| bits & bit != 0), bits & 16 != 0, bits & 32 != 0);
            let mut player = Player::new(wiring, ms(0));
            let mut now = 0;
            for (signal, wait, what) in steps {
                now += wait;
                match what {
                    0 => player.signal(ALL[signal], ms(now)),
                    1 => player.rest(ALL[signal % 4], ms(now)),
                    _ => player.mute(ms(now)),
                }
                let due = player.advance(ms(now));
                prop_assert!(due.is_none_or(|due| due > ms(now)));
                prop_assert_eq!(player.levels().len(), wiring.pins().len());
            }
        }
    }
}
