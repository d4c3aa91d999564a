//! The ledger through its public face: in good times, damaged, forgetting, and against a model.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests: a failure is a failed test, a skipped one is said aloud"
)]

#[path = "ledger_parts/basics.rs"]
mod basics;
#[path = "ledger_parts/damage.rs"]
mod damage;
#[path = "ledger_parts/forget.rs"]
mod forget;
#[path = "ledger_parts/full.rs"]
mod full;
#[path = "ledger_parts/model.rs"]
mod model;
#[path = "ledger_parts/support.rs"]
mod support;
