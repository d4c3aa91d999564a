//! A board without hardware: tests give it edges and see its lights.

use super::{Edge, GpioError, Inputs, Outputs};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The board; clones are the same board.
#[derive(Clone, Debug, Default)]
pub struct FakeBoard(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    edges: VecDeque<Edge>,
    taken: BTreeSet<u8>,
    held: BTreeSet<u8>,
    levels: BTreeMap<u8, bool>,
    /// Every change of an output, in order.
    changes: Vec<(u8, bool)>,
    fails: bool,
}

impl FakeBoard {
    /// Nothing is pressed, nothing is lit.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its inputs.
    ///
    /// # Errors
    /// Never.
    pub fn inputs(&self) -> Result<Box<dyn Inputs>, GpioError> {
        Ok(Box::new(self.clone()))
    }

    /// Its outputs.
    ///
    /// # Errors
    /// Never.
    pub fn outputs(&self) -> Result<Box<dyn Outputs>, GpioError> {
        Ok(Box::new(self.clone()))
    }

    /// Another program holds this pin.
    pub fn take(&self, pin: u8) {
        self.state().taken.insert(pin);
    }

    /// This pin is down when it is claimed.
    pub fn hold(&self, pin: u8) {
        self.state().held.insert(pin);
    }

    /// A debounced edge, at a time of the kernel's clock.
    pub fn edge(&self, pin: u8, pressed: bool, at: Duration) {
        self.state().edges.push_back(Edge { pin, pressed, at });
        self.0.1.notify_all();
    }

    /// The next wait for edges fails, once.
    pub fn fail(&self) {
        self.state().fails = true;
        self.0.1.notify_all();
    }

    /// What is lit.
    pub fn lit(&self) -> Vec<u8> {
        let state = self.state();
        state
            .levels
            .iter()
            .filter(|(_, on)| **on)
            .map(|(pin, _)| *pin)
            .collect()
    }

    /// Every change of an output so far, in order.
    pub fn changes(&self) -> Vec<(u8, bool)> {
        self.state().changes.clone()
    }

    fn free(&self, pin: u8) -> Result<(), GpioError> {
        if self.state().taken.contains(&pin) {
            return Err(GpioError::Pin {
                pin,
                why: "another program holds it".to_owned(),
            });
        }
        Ok(())
    }
}

impl Inputs for FakeBoard {
    fn claim(&mut self, pin: u8, _debounce: Duration) -> Result<bool, GpioError> {
        self.free(pin)?;
        Ok(self.state().held.contains(&pin))
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<Edge>, GpioError> {
        let idle = |state: &mut State| state.edges.is_empty() && !state.fails;
        let (mut state, _) = self
            .0
            .1
            .wait_timeout_while(self.state(), patience, idle)
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.fails) {
            return Err(GpioError::Lost {
                why: "it was told to fail".to_owned(),
            });
        }
        Ok(state.edges.pop_front())
    }
}

impl Outputs for FakeBoard {
    fn claim(&mut self, pin: u8) -> Result<(), GpioError> {
        self.free(pin)?;
        self.state().levels.insert(pin, false);
        Ok(())
    }

    fn set(&mut self, pin: u8, on: bool) -> Result<(), GpioError> {
        let mut state = self.state();
        state.levels.insert(pin, on);
        state.changes.push((pin, on));
        Ok(())
    }
}
