//! The ledger through its public face: in good times, damaged, forgetting, and against a model.

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
