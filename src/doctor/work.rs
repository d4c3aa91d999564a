//! What is open in the ledger, and the ledger itself.

use super::fact::{Ledger, Work};
use super::{Ground, Line, State, network};
use crate::domain::{Code, Timestamp};

/// Orders that a line names.
const NAMED: usize = 5;
/// A writeback this old wants somebody to look.
const OLD_S: u64 = 3_600;
/// A label this long in stock wants somebody to look.
const HELD_S: u64 = 3 * 86_400;
/// A flush this slow makes every scan slow.
const SLOW_FLUSH_US: u64 = 250_000;

fn named(orders: &[String]) -> String {
    let mut text = orders
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if orders.len() > NAMED {
        text.push_str(&format!(" and {} more", orders.len() - NAMED));
    }
    text
}

fn age(at: Timestamp, ground: &Ground) -> String {
    network::span(ground.now.since(at).as_secs())
}

pub(super) fn lines(work: &Work, ground: &Ground) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.push(match work.numberless.iter().min_by_key(|(_, at)| *at) {
        None => Line::ok("number", "", "every label bought over an hour ago has its number"),
        Some((_, since)) => {
            let orders: Vec<String> = work.numberless.iter().map(|(o, _)| o.clone()).collect();
            Line::warn(
                "number",
                "",
                format!(
                    "{} shipment(s) bought without a tracking number for over an hour, the oldest for {}: {}",
                    orders.len(),
                    age(*since, ground),
                    named(&orders)
                ),
                "look at the order in Starshipit: some couriers give the number at manifest; the station \
                 asks every 10 min and writes it back when it comes",
            )
        }
    });
    lines.push(match work.held.iter().min_by_key(|(_, at)| *at) {
        None => Line::ok("held", "", "no label is bought and not printed"),
        Some((oldest, since)) => {
            let what = format!(
                "{} label(s) bought and not printed, the oldest ({oldest}) for {}",
                work.held.len(),
                age(*since, ground)
            );
            if ground.now.since(*since).as_secs() > HELD_S {
                Line::warn(
                    "held",
                    "",
                    what,
                    "scan the order to print it, or drop it with CANCEL on the page; the courier may \
                     still bill a label that is not used",
                )
            } else {
                Line::ok("held", "", what)
            }
        }
    });
    if work.in_doubt.is_empty() {
        lines.push(Line::ok("in-doubt", "", "no label may or may not be out"));
    } else {
        let seen = named(&work.in_doubt);
        lines.push(Line::coded(
            "in-doubt",
            "",
            State::Warn,
            Code::PrinterInDoubt,
            &seen,
        ));
    }
    lines.push(match work.oldest {
        Some(since) if ground.now.since(since).as_secs() > OLD_S => Line::warn(
            "writeback",
            "",
            format!("{} on their way, the oldest for {}", work.owed, age(since, ground)),
            "`printstation writebacks` says what each waits for; the lines about the services say why",
        ),
        _ => Line::ok("writeback", "", format!("{} on their way", work.owed)),
    });
    for (code, orders) in [
        (Code::WritebackConflict, &work.conflicts),
        (Code::WritebackUnsupported, &work.unsupported),
    ] {
        if !orders.is_empty() {
            let line = Line::coded("writeback", "", State::Warn, code, &named(orders));
            lines.push(line.first("`printstation writebacks` shows each, and settles it"));
        }
    }
    lines
}

pub(super) fn ledger(ledger: &Ledger) -> Vec<Line> {
    let dir = ledger.dir.as_str();
    let mut lines = Vec::new();
    if let Some(why) = &ledger.trouble {
        lines.push(Line::fail(
            "ledger",
            dir,
            format!("it cannot be read ({why})"),
            "start the station: it restores what it can and says what it set aside; do not delete anything",
        ));
    } else if ledger.is_new {
        lines.push(Line::ok("ledger", dir, "not used yet"));
    } else {
        let orders = ledger
            .orders
            .map(|n| format!("{n} orders, "))
            .unwrap_or_default();
        let what = format!("{orders}{} open, {} KiB", ledger.open, ledger.bytes >> 10);
        lines.push(Line::ok("ledger", dir, what));
        lines.push(match ledger.index_whole {
            Some(true) => Line::ok("ledger", "index", "holds every order"),
            Some(false) => Line::warn(
                "ledger",
                "index",
                "is being checked or filled again; what is not known yet is asked of Starshipit",
                "wait; `printstation status` shows the orders coming back",
            ),
            None if ledger.clean => Line::ok("ledger", "index", "was closed in order"),
            None => Line::ok(
                "ledger",
                "index",
                "was not closed in order; the next start looks at it closely",
            ),
        });
    }
    if let Some(us) = ledger.flush_us.filter(|us| *us > SLOW_FLUSH_US) {
        lines.push(Line::warn(
            "ledger",
            dir,
            format!("the last flush to the card took {} ms", us / 1000),
            "a card that slows down is wearing out or fake: back up and try another",
        ));
    }
    lines
}

pub(super) fn set_aside(dir: &str, names: &[String]) -> Vec<Line> {
    if names.is_empty() {
        return Vec::new();
    }
    let line = Line::coded(
        "ledger",
        dir,
        State::Warn,
        Code::LedgerQuarantined,
        &named(names),
    );
    vec![line.first("keep these for whoever wants to know why, then remove them")]
}
