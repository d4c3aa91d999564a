//! The command line: one file per verb; composition root, no logic.

pub mod demo;
mod failure;
pub use failure::Failure;
