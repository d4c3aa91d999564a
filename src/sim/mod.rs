//! Simulators: Starshipit and printers that parse what they get and can misbehave.

pub mod printer;
