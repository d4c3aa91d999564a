//! What the machine gives: durable file replacement, HTTP exchanges, process limits, service
//! notification, clock trust.

pub mod durable;
pub mod http;
pub mod lock;
