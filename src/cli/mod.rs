//! The command line: one file per verb; composition root, no logic.

pub mod demo;
mod failure;
pub mod run;
pub use failure::Failure;
