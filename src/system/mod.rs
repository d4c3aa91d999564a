//! What the machine gives: durable file replacement, process limits, service notification, clock
//! trust, pins, memory, and the way out to the services (HTTP with deadlines, a limiter).

pub mod calls;
pub mod clock;
pub mod disk;
pub mod durable;
pub mod gpio;
pub(crate) mod http;
pub(crate) mod limiter;
pub mod lock;
pub mod memory;
pub mod passphrase;
pub mod sealed;
pub mod tls;
