//! Simulators: outside systems that behave as documented, keep books about money, and can
//! misbehave on purpose.
//!
//! Invariant: independent of the clients. Nothing here shares wire types with `crate::starshipit`
//! or encoders with `crate::printer`, so that a misreading of the documentation cannot cancel
//! itself out. Only `domain` is used.

pub mod cartoncloud;
pub mod composition;
pub mod label_pdf;
pub mod printer;
pub mod shopify;
pub mod site;
pub mod starshipit;
pub mod webhook;

pub use composition::{PrinterSpec, Ready, SimOptions, Sims, run};
