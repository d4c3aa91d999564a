//! What the machine gives: durable file replacement, process limits, service notification, clock trust.

pub mod durable;
pub mod lock;
