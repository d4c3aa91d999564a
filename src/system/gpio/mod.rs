//! The pins of this board: rppal on a Raspberry Pi that it knows, the kernel's character device on
//! every other board, and a board of ours for tests.
//!
//! Inputs close to ground (pull-up, pressed = low); outputs are on when high. Debouncing is done by
//! the kernel. Neither software PWM nor asynchronous interrupts of any library are used: the first
//! burns a core, the second dies silently at the first interrupted call.

mod cdev;
pub mod fake;
mod pi;

use std::collections::BTreeMap;
use std::time::Duration;

/// Why a pin cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GpioError {
    /// This machine has no pins that we can reach.
    #[error("no pins can be used here: {why}")]
    NoBoard {
        /// What is missing and what to do.
        why: String,
    },
    /// One pin cannot be used.
    #[error("pin {pin} (BCM) cannot be used: {why}")]
    Pin {
        /// BCM number.
        pin: u8,
        /// Who holds it, or what is wrong with it.
        why: String,
    },
    /// Waiting for edges failed.
    #[error("the pins cannot be watched any more: {why}")]
    Lost {
        /// What the library said.
        why: String,
    },
}

/// A change of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// BCM number.
    pub pin: u8,
    /// It is down now.
    pub pressed: bool,
    /// When, on the kernel's clock.
    pub at: Duration,
}

/// Inputs that are watched together.
pub trait Inputs: Send {
    /// Takes a pin as a debounced input with pull-up; tells whether it is down now.
    ///
    /// # Errors
    /// It is in use, or there is no such pin.
    fn claim(&mut self, pin: u8, debounce: Duration) -> Result<bool, GpioError>;

    /// The next edge of any claimed pin; `None`: none came in time.
    ///
    /// # Errors
    /// Watching has failed for good; everything must be opened anew. Never for a signal or a stop.
    fn wait(&mut self, patience: Duration) -> Result<Option<Edge>, GpioError>;
}

/// Outputs. They keep their level when this is dropped: whoever ends switches them off before.
pub trait Outputs: Send {
    /// Takes a pin as an output, off.
    ///
    /// # Errors
    /// It is in use, or there is no such pin.
    fn claim(&mut self, pin: u8) -> Result<(), GpioError>;

    /// Switches a claimed pin.
    ///
    /// # Errors
    /// The line is gone.
    fn set(&mut self, pin: u8, on: bool) -> Result<(), GpioError>;
}

/// Looks who holds these pins, without taking any: pin → by whom. For `doctor`.
///
/// # Errors
/// As [`inputs`].
pub fn held(pins: &[u8]) -> Result<BTreeMap<u8, String>, GpioError> {
    let board = pi::board()?;
    match (cdev::chip(), board) {
        (Ok(chip), _) => cdev::held(&chip, pins),
        // The board can be used; who uses it cannot be seen.
        (Err(_), Some(_)) => Ok(BTreeMap::new()),
        (Err(error), None) => Err(error),
    }
}

/// The inputs of this board.
///
/// # Errors
/// No pins here, or they may not be used.
pub fn inputs() -> Result<Box<dyn Inputs>, GpioError> {
    match pi::board()? {
        Some(pi) => Ok(Box::new(pi::Pins::new(pi))),
        None => Ok(Box::new(cdev::Lines::new(cdev::chip()?))),
    }
}

/// The outputs of this board.
///
/// # Errors
/// As [`inputs`].
pub fn outputs() -> Result<Box<dyn Outputs>, GpioError> {
    match pi::board()? {
        Some(pi) => Ok(Box::new(pi::Pins::new(pi))),
        None => Ok(Box::new(cdev::Lines::new(cdev::chip()?))),
    }
}
