//! What the packer perceives: patterns of lamp, LED and buzzer for every signal.
//!
//! The table of product.md section 3 as data; colours follow IEC 60073 (red = fault, yellow = look,
//! blue = a hand is needed, green = ready). One LED or the buzzer alone must be enough to work by.
//! Pure: whoever owns an output walks [`Play::steps`] and waits as long as each step says.

mod player;
pub mod sheet;
mod table;

pub use player::{Player, Wiring};
pub use table::{Pattern, pattern};

use std::time::Duration;

/// What one output shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Light {
    /// Dark or silent.
    Off,
    /// The one LED is lit, or the buzzer sounds.
    On,
    /// The lamp's green light.
    Green,
    /// The lamp's yellow light.
    Yellow,
    /// The lamp's red light.
    Red,
    /// The lamp's blue light.
    Blue,
}

/// What happens after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// The last step stays.
    Stay,
    /// From the first step again.
    Again,
    /// What the station's state shows: ready, working, a question.
    Back,
}

/// One step of a play: what is shown, for so many milliseconds.
pub type Step = (Light, u32);

/// What one output does for one signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Play {
    /// Steps in order; none: the output does not take part.
    pub steps: &'static [Step],
    /// What follows.
    pub then: Then,
}

impl Play {
    /// Every step with its duration; `None` until the next signal. Endless when the play repeats.
    pub fn steps(&self) -> impl Iterator<Item = (Light, Option<Duration>)> + use<> {
        let (steps, then) = (self.steps, self.then);
        let mut next = 0;
        std::iter::from_fn(move || {
            let index = match then {
                Then::Again if !steps.is_empty() => next % steps.len(),
                _ => next,
            };
            let (light, ms) = *steps.get(index)?;
            next = index + 1;
            let stays = then == Then::Stay && next == steps.len();
            let span = (!stays).then(|| Duration::from_millis(u64::from(ms)));
            Some((light, span))
        })
    }
}
