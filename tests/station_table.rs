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

/// Seconds in a day.
const DAY: u64 = 86_400;

/// The printer is looked at every few seconds, and somebody scans the oldest order again each morning.
#[test]
fn a_printer_that_is_off_for_a_week_costs_nothing_more_each_day_and_prints_everything_once() {
    use printstation::domain::Code;
    use std::time::Duration;

    let mut world = world::World::new();
    world.printer("label").trouble = Some(Code::PrinterOffline);
    let numbers: Vec<String> = (0..40).map(|n| format!("WEB-{n:02}")).collect();
    for number in &numbers {
        world.order(number);
        world.hand_in("bench", None, number);
        world.run();
    }
    let mut days = Vec::new();
    for _ in 0..7 {
        let before = world.carried_out;
        world.hand_in("bench", None, &numbers[0]);
        for _ in 0..DAY / 30 {
            world.advance(Duration::from_secs(30));
            world.handle(printstation::station::Input::Tick);
            world.run();
        }
        // What the station holds, as long as its description is.
        days.push((
            world.carried_out - before,
            format!("{:?}", world.station).len(),
        ));
    }
    println!("effects outside and size after each day: {days:?}");
    let (steps, sizes): (Vec<usize>, Vec<usize>) = days.into_iter().unzip();
    assert!(steps[6] <= steps[1], "more is done each day: {steps:?}");
    // Clocks and counters have more digits.
    assert!(sizes[6] <= sizes[0] + sizes[0] / 50, "it grows: {sizes:?}");
    assert!(world.paper.is_empty());
    world.printer("label").trouble = None;
    world.wait(Duration::from_secs(600));
    assert_eq!(world.papers(), numbers);
    world.finish();
    world.check_promises();
}
