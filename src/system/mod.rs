//! What the machine gives: durable file replacement, process limits, service notification, clock
//! trust, and the way out to the services (HTTP with deadlines, a limiter).

pub mod durable;
pub(crate) mod http;
pub(crate) mod limiter;
pub mod lock;
