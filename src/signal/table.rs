//! The table: every signal on every output, and how soon it must be perceived.

use crate::domain::Signal;
use crate::signal::Light::{Blue, Green, Off, On, Red, Yellow};
use crate::signal::{Play, Step, Then};
use std::time::Duration;

/// One signal on every output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// A lamp with three or four colours.
    pub lamp: Play,
    /// The one LED, e.g. in the button.
    pub led: Play,
    /// The buzzer.
    pub buzzer: Play,
    /// How soon it must be perceived; `None`: no promise.
    pub within: Option<Duration>,
}

/// Short sound, long sound, and the gap between sounds, in milliseconds.
const S: u32 = 60;
const L: u32 = 300;
const GAP: u32 = 100;

const fn steady(steps: &'static [Step]) -> Play {
    Play {
        steps,
        then: Then::Stay,
    }
}
const fn again(steps: &'static [Step]) -> Play {
    Play {
        steps,
        then: Then::Again,
    }
}
const fn once(steps: &'static [Step]) -> Play {
    Play {
        steps,
        then: Then::Back,
    }
}
const SILENT: Play = Play {
    steps: &[],
    then: Then::Stay,
};

/// The pattern of a signal. `has_blue`: the lamp has a blue light.
pub fn pattern(signal: Signal, has_blue: bool) -> Pattern {
    let millis = |ms| Some(Duration::from_millis(ms));
    match signal {
        Signal::Ready => Pattern {
            lamp: steady(&[(Green, 0)]),
            led: steady(&[(On, 0)]),
            buzzer: SILENT,
            within: None,
        },
        Signal::Accepted => Pattern {
            lamp: once(&[(Off, 80), (Green, 120)]),
            led: once(&[(Off, 150), (On, 50)]),
            buzzer: once(&[(On, S)]),
            within: millis(100),
        },
        Signal::Working => Pattern {
            lamp: again(&[(Green, 500), (Off, 500)]),
            led: again(&[(On, 500), (Off, 500)]),
            buzzer: SILENT,
            within: millis(1000),
        },
        // The same as ready on purpose: the label in the hand is the signal.
        Signal::Printed => Pattern {
            lamp: steady(&[(Green, 0)]),
            led: steady(&[(On, 0)]),
            buzzer: SILENT,
            within: None,
        },
        Signal::Queued => Pattern {
            lamp: steady(&[(Yellow, 0)]),
            led: again(&[(On, 1000), (Off, 1000)]),
            buzzer: once(&[(On, S), (Off, GAP), (On, L)]),
            within: millis(100),
        },
        Signal::NothingWaiting => Pattern {
            lamp: once(&[(Off, 80), (Green, 120), (Off, 80), (Green, 120)]),
            led: once(&[(Off, 150), (On, 150), (Off, 150), (On, 50)]),
            buzzer: once(&[(On, L)]),
            within: millis(100),
        },
        Signal::Question => Pattern {
            lamp: again(&[(Yellow, 250), (Off, 250)]),
            led: again(&[(On, 250), (Off, 250)]),
            buzzer: again(&[(On, S), (Off, GAP), (On, S), (Off, 10_000)]),
            within: millis(100),
        },
        Signal::Refused => Pattern {
            lamp: once(&[(Yellow, 2000)]),
            led: once(&[
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
                (Off, 100),
                (On, 100),
            ]),
            buzzer: once(&[(On, S), (Off, GAP), (On, S), (Off, GAP), (On, S)]),
            within: millis(200),
        },
        Signal::PrinterNeedsHand => Pattern {
            lamp: if has_blue {
                again(&[(Blue, 250), (Off, 250)])
            } else {
                // Plain 2 Hz yellow is a question; in threes with a pause it is the printer.
                again(&[
                    (Yellow, 250),
                    (Off, 250),
                    (Yellow, 250),
                    (Off, 250),
                    (Yellow, 250),
                    (Off, 1250),
                ])
            },
            led: again(&[
                (On, 150),
                (Off, 150),
                (On, 150),
                (Off, 150),
                (On, 150),
                (Off, 1250),
            ]),
            buzzer: again(&[(On, L), (Off, GAP), (On, L), (Off, 30_000)]),
            within: millis(2000),
        },
        Signal::Fault => Pattern {
            lamp: steady(&[(Red, 0)]),
            led: steady(&[(Off, 0)]),
            buzzer: once(&[(On, L), (Off, GAP), (On, L), (Off, GAP), (On, L)]),
            within: None,
        },
        Signal::Starting => Pattern {
            lamp: again(&[(Yellow, 2000), (Off, 2000)]),
            led: again(&[(On, 2000), (Off, 2000)]),
            buzzer: SILENT,
            within: None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Light;

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

    /// What an eye or ear gets in the first eight seconds, every 10 ms; after `Back`, `resting`.
    fn perceived(play: Play, resting: Light) -> Vec<Light> {
        let mut seen = Vec::new();
        for (light, span) in play.steps() {
            let ticks = span.map_or(800, |s| usize::try_from(s.as_millis() / 10).unwrap());
            seen.extend(std::iter::repeat_n(light, ticks));
            if seen.len() >= 800 {
                break;
            }
        }
        seen.resize(800, resting);
        seen
    }

    fn same_by_design(a: Signal, b: Signal) -> bool {
        matches!((a, b), (Signal::Ready, Signal::Printed))
    }

    #[test]
    fn lamp_and_led_each_tell_every_two_signals_apart() {
        for has_blue in [true, false] {
            for (i, a) in ALL.into_iter().enumerate() {
                for b in ALL.into_iter().skip(i + 1) {
                    let (x, y) = (pattern(a, has_blue), pattern(b, has_blue));
                    let same = [
                        perceived(x.lamp, Green) == perceived(y.lamp, Green),
                        perceived(x.led, On) == perceived(y.led, On),
                    ];
                    assert_eq!(
                        same,
                        [same_by_design(a, b); 2],
                        "{a:?} and {b:?}, blue {has_blue}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_buzzer_alone_tells_apart_everything_that_sounds() {
        let sounding: Vec<Signal> = ALL
            .into_iter()
            .filter(|s| !pattern(*s, true).buzzer.steps.is_empty())
            .collect();
        assert_eq!(sounding.len(), 7);
        for (i, a) in sounding.iter().enumerate() {
            for b in &sounding[i + 1..] {
                assert_ne!(
                    perceived(pattern(*a, true).buzzer, Off),
                    perceived(pattern(*b, true).buzzer, Off),
                    "{a:?} and {b:?}"
                );
            }
        }
        // Silent: the states that ask nothing of the packer.
        for quiet in [
            Signal::Ready,
            Signal::Working,
            Signal::Printed,
            Signal::Starting,
        ] {
            assert!(!sounding.contains(&quiet));
        }
    }

    #[test]
    fn no_play_spins_and_colours_belong_to_the_lamp() {
        for signal in ALL {
            for has_blue in [true, false] {
                let p = pattern(signal, has_blue);
                for play in [p.lamp, p.led, p.buzzer] {
                    if play.then == Then::Again {
                        assert!(play.steps.iter().all(|s| s.1 >= 50), "{signal:?}");
                    }
                    assert!(play.steps().take(1000).count() <= 1000);
                }
                assert!(
                    [p.led, p.buzzer]
                        .iter()
                        .flat_map(|p| p.steps)
                        .all(|s| matches!(s.0, On | Off))
                );
                assert!(
                    p.lamp
                        .steps
                        .iter()
                        .all(|s| s.0 != On && (has_blue || s.0 != Blue))
                );
            }
        }
    }

    #[test]
    fn what_stays_has_no_end_and_what_ends_goes_back() {
        let ready: Vec<_> = pattern(Signal::Ready, true).lamp.steps().collect();
        assert_eq!(ready, [(Green, None)]);
        let accepted = pattern(Signal::Accepted, true).buzzer;
        assert_eq!(
            accepted.steps().collect::<Vec<_>>(),
            [(On, Some(Duration::from_millis(60)))]
        );
    }
}
