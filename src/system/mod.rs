//! What the machine gives: durable file replacement, process limits, service notification, clock trust.

pub mod clock;
pub mod disk;
pub mod durable;
pub mod lock;
pub mod passphrase;
pub mod sealed;
pub mod tls;
