//! The station's decisions, one behaviour per test, against a virtual bench.
//!
//! The scenarios live in `scenarios/`, one file per chapter; `crash_points.rs` runs the same ones
//! with a crash or a fault at every step.

/// An expectation of a scenario that nothing disturbed.
macro_rules! expect {
    ($w:expr, $so:expr) => {
        if !$w.disturbed { assert!($so) }
    };
    ($w:expr, $so:expr, $($more:tt)+) => {
        if !$w.disturbed { assert!($so, $($more)+) }
    };
}
macro_rules! expect_eq {
    ($w:expr, $is:expr, $should:expr) => {
        // What is checked may also act: it is evaluated once, whatever was disturbed.
        match $is {
            is => {
                if !$w.disturbed {
                    assert_eq!(is, $should)
                }
            }
        }
    };
}
macro_rules! scenarios {
    ($(fn $name:ident($w:ident) $body:block)*) => {
        $(
            #[test]
            fn $name() {
                let mut world = super::world::World::new();
                let $w = &mut world;
                $body
                world.finish();
                world.check_promises();
            }
        )*
    };
}

#[path = "common/world.rs"]
mod world;

#[path = "scenarios/ahead.rs"]
mod ahead;
#[path = "scenarios/buttons.rs"]
mod buttons;
#[path = "scenarios/commands.rs"]
mod commands;
#[path = "scenarios/money.rs"]
mod money;
#[path = "scenarios/offline.rs"]
mod offline;
#[path = "scenarios/paper.rs"]
mod paper;
#[path = "scenarios/rows.rs"]
mod rows;
#[path = "scenarios/sales.rs"]
mod sales;
#[path = "scenarios/writebacks.rs"]
mod writebacks;
