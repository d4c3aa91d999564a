//! Every scenario of the decision table, again and again: the power cut after its k-th step that
//! matters outside the process, for every k; and the k-th step going wrong in each way it can. Then
//! healthy devices, an honest person, and the promises of product.md section 2.
#![expect(
    clippy::unwrap_used,
    reason = "scenarios are tests, here without the attribute"
)]

/// What was to be seen without a disturbance does not matter here; what is checked may act.
macro_rules! expect {
    ($w:expr, $so:expr $(, $($more:tt)+)?) => {
        if !$w.disturbed {
            assert!($so)
        }
    };
}
macro_rules! expect_eq {
    ($w:expr, $is:expr, $should:expr) => {
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
        pub const ALL: &[(&str, fn(&mut super::world::World))] = &[$((stringify!($name), {
            fn scenario($w: &mut super::world::World) $body
            scenario
        })),*];
    };
}

#[path = "common/world.rs"]
mod world;

#[path = "scenarios/ahead.rs"]
mod ahead;
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

use printstation::domain::Code;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use world::{Fault, Journey, Mishap, Step, World};

type Scenario = (&'static str, fn(&mut World));

/// Runs a scenario with a disturbance, then lets everything come to its end.
fn check(scenario: Scenario, what: &str, disturb: impl FnOnce(&mut World)) -> Vec<Step> {
    let mut world = World::new();
    disturb(&mut world);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        (scenario.1)(&mut world);
        let steps = world.trace.clone();
        world.finish();
        world.check_promises();
        steps
    }));
    outcome.unwrap_or_else(|_| panic!("{} broke a promise: {what}", scenario.0))
}

/// Long waits probe the network again and again: those steps are alike, so they are thinned out.
fn points(steps: usize) -> impl Iterator<Item = usize> {
    (1..=steps).filter(move |k| *k <= 120 || k % 17 == 0 || *k == steps)
}

fn crash_everywhere(chapter: &[Scenario]) {
    for scenario in chapter {
        let steps = check(*scenario, "undisturbed", |_| {});
        for k in points(steps.len()) {
            check(*scenario, &format!("crash after step {k}"), |w| {
                w.crash_after = Some(k)
            });
        }
    }
}

fn fail_everywhere(chapter: &[Scenario]) {
    let mishaps = [
        Mishap::Call(Fault::NotSent),
        Mishap::Call(Fault::Throttled),
        Mishap::Call(Fault::Refused(Code::CourierRefused)),
        Mishap::Call(Fault::LostBefore),
        Mishap::Call(Fault::LostAfter),
        Mishap::Call(Fault::LostLate(Duration::from_secs(80))),
        Mishap::Call(Fault::NoLabels),
        Mishap::Call(Fault::NoNumber),
        Mishap::Page(Journey::Cut { out: true }),
        Mishap::Page(Journey::Cut { out: false }),
        Mishap::Page(Journey::NotStarted(Code::PrinterMediaOut)),
        Mishap::Page(Journey::NotStarted(Code::LabelMissing)),
        Mishap::Page(Journey::NotStarted(Code::LabelDoesNotFit)),
        Mishap::Refused,
    ];
    for scenario in chapter {
        let steps = check(*scenario, "undisturbed", |_| {});
        for k in points(steps.len()).filter(|k| *k <= 60) {
            let possible = mishaps.iter().filter(|mishap| match mishap {
                Mishap::Call(_) => steps[k - 1] == Step::Call,
                Mishap::Page(_) => steps[k - 1] == Step::Page,
                Mishap::Refused => steps[k - 1] == Step::Disk,
            });
            for mishap in possible {
                check(*scenario, &format!("{mishap:?} at step {k}"), |w| {
                    w.mishap_at = Some((k, *mishap));
                });
            }
        }
    }
}

#[test]
fn a_crash_anywhere_in_the_rows_of_the_table_breaks_no_promise() {
    crash_everywhere(rows::ALL);
}

#[test]
fn a_crash_anywhere_in_a_purchase_breaks_no_promise() {
    crash_everywhere(money::ALL);
}

#[test]
fn a_crash_anywhere_in_a_command_breaks_no_promise() {
    crash_everywhere(commands::ALL);
}

#[test]
fn a_crash_anywhere_on_the_way_to_paper_breaks_no_promise() {
    crash_everywhere(paper::ALL);
}

#[test]
fn a_crash_anywhere_offline_breaks_no_promise() {
    crash_everywhere(offline::ALL);
}

#[test]
fn a_failure_anywhere_in_the_rows_of_the_table_breaks_no_promise() {
    fail_everywhere(rows::ALL);
}

#[test]
fn a_failure_anywhere_in_a_purchase_breaks_no_promise() {
    fail_everywhere(money::ALL);
}

#[test]
fn a_failure_anywhere_in_a_command_breaks_no_promise() {
    fail_everywhere(commands::ALL);
}

#[test]
fn a_failure_anywhere_on_the_way_to_paper_breaks_no_promise() {
    fail_everywhere(paper::ALL);
}

#[test]
fn a_failure_anywhere_offline_breaks_no_promise() {
    fail_everywhere(offline::ALL);
}

#[test]
fn a_crash_anywhere_with_sale_orders_breaks_no_promise() {
    crash_everywhere(sales::ALL);
}

#[test]
fn a_crash_anywhere_on_the_way_back_breaks_no_promise() {
    crash_everywhere(writebacks::ALL);
}

#[test]
fn a_failure_anywhere_with_sale_orders_breaks_no_promise() {
    fail_everywhere(sales::ALL);
}

#[test]
fn a_failure_anywhere_on_the_way_back_breaks_no_promise() {
    fail_everywhere(writebacks::ALL);
}

#[test]
fn a_crash_anywhere_ahead_of_the_scan_breaks_no_promise() {
    crash_everywhere(ahead::ALL);
}

#[test]
fn a_failure_anywhere_ahead_of_the_scan_breaks_no_promise() {
    fail_everywhere(ahead::ALL);
}
