//! What the machine gives: durable file replacement, process limits, service notification, clock
//! trust, pins.

pub mod durable;
pub mod gpio;
pub mod lock;
