//! Pins of a Raspberry Pi through rppal.
//!
//! Only `set_interrupt` with `poll_interrupts`: they say EBUSY when somebody holds the line, and
//! survive an interrupted call. rppal resets pins when they are dropped (input, no pull), which would
//! leave the base of a buzzer's transistor in the air: outputs are kept as they are instead.

use super::{Edge, GpioError, Inputs, Outputs};
use rppal::gpio::{Error, Gpio, InputPin, OutputPin, Trigger};
use std::io::ErrorKind;
use std::time::Duration;

/// The board, if rppal knows it; `None`: another board.
pub(super) fn board() -> Result<Option<Gpio>, GpioError> {
    match Gpio::new() {
        Ok(gpio) => Ok(Some(gpio)),
        // Not a Pi, or one that is newer than the library.
        Err(Error::UnknownModel) => Ok(None),
        Err(Error::PermissionDenied(place)) => Err(GpioError::NoBoard {
            why: format!("{place} may not be used; the station's user must be in the group gpio"),
        }),
        Err(Error::Io(error)) if error.kind() == ErrorKind::NotFound => Err(GpioError::NoBoard {
            why: "this Pi shows neither /dev/gpiomem nor /dev/gpiochip".to_owned(),
        }),
        Err(error) => Err(GpioError::NoBoard {
            why: error.to_string(),
        }),
    }
}

/// Claimed pins of the Pi.
pub(super) struct Pins {
    gpio: Gpio,
    inputs: Vec<InputPin>,
    outputs: Vec<OutputPin>,
}

impl Pins {
    pub(super) fn new(gpio: Gpio) -> Self {
        Self {
            gpio,
            inputs: Vec::new(),
            outputs: Vec::new(),
        }
    }

    fn get(&self, pin: u8) -> Result<rppal::gpio::Pin, GpioError> {
        self.gpio.get(pin).map_err(|error| cannot(pin, &error))
    }
}

impl Inputs for Pins {
    fn claim(&mut self, pin: u8, debounce: Duration) -> Result<bool, GpioError> {
        let mut input = self.get(pin)?.into_input_pullup();
        input
            .set_interrupt(Trigger::Both, Some(debounce))
            .map_err(|error| cannot(pin, &error))?;
        let held = input.is_low();
        self.inputs.push(input);
        Ok(held)
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<Edge>, GpioError> {
        if self.inputs.is_empty() {
            std::thread::sleep(patience);
            return Ok(None);
        }
        let pins: Vec<&InputPin> = self.inputs.iter().collect();
        let mut patience = patience;
        // Stopped, frozen or traced: what happened meanwhile is asked for once more, without waiting.
        for last in [false, true] {
            match self.gpio.poll_interrupts(&pins, false, Some(patience)) {
                Ok(None) => return Ok(None),
                Ok(Some((pin, event))) => {
                    let pressed = match event.trigger {
                        Trigger::FallingEdge => true,
                        Trigger::RisingEdge => false,
                        Trigger::Both | Trigger::Disabled => pin.is_low(),
                    };
                    return Ok(Some(Edge {
                        pin: pin.pin(),
                        pressed,
                        at: event.timestamp,
                    }));
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted && !last => {
                    patience = Duration::ZERO;
                }
                Err(Error::Io(error)) if error.kind() == ErrorKind::Interrupted => return Ok(None),
                Err(error) => {
                    return Err(GpioError::Lost {
                        why: error.to_string(),
                    });
                }
            }
        }
        Ok(None)
    }
}

impl Outputs for Pins {
    fn claim(&mut self, pin: u8) -> Result<(), GpioError> {
        let mut output = self.get(pin)?.into_output_low();
        output.set_reset_on_drop(false);
        self.outputs.push(output);
        Ok(())
    }

    fn set(&mut self, pin: u8, on: bool) -> Result<(), GpioError> {
        let output = self.outputs.iter_mut().find(|output| output.pin() == pin);
        let Some(output) = output else {
            return Err(GpioError::Pin {
                pin,
                why: "it was not claimed".to_owned(),
            });
        };
        if on {
            output.set_high();
        } else {
            output.set_low();
        }
        Ok(())
    }
}

fn cannot(pin: u8, error: &Error) -> GpioError {
    let why = match error {
        Error::PinUsed(_) => "this configuration uses it twice".to_owned(),
        Error::PinNotAvailable(_) => "this board has no such pin".to_owned(),
        Error::Io(error) if error.kind() == ErrorKind::ResourceBusy => {
            "another program or a device-tree overlay holds it".to_owned()
        }
        error => error.to_string(),
    };
    GpioError::Pin { pin, why }
}
