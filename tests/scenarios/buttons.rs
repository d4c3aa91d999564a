//! Buttons and the end of the day: what a press may answer, whose it is, and what a list closes.

use super::world::{Call, Fault, Journey, Paper};
use printstation::domain::{Code, Outcome, Signal, State};
use printstation::station::{Confirm, Press, ScanMode};
use std::time::Duration;

fn last_ticket(paper: &[Paper]) -> Option<&Vec<String>> {
    paper.iter().rev().find_map(|p| match p {
        Paper::Ticket(lines) => Some(lines),
        Paper::Page { .. } => None,
    })
}

scenarios! {
    fn a_press_never_says_yes_to_a_page_in_doubt(w) {
        w.order("WEB-1");
        w.printers.entry("label".into()).or_default().plan.push_back(Journey::Cut { out: true });
        w.scan("WEB-1");
        w.wait(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::PrinterInDoubt));
        for press in [Press::Dispatch, Press::Yes, Press::ReprintLast] {
            let reply = w.press(press);
            expect_eq!(w, (reply.outcome, reply.code), (Outcome::Question, Some(Code::PrinterInDoubt)));
            expect_eq!(w, w.state("WEB-1"), State::InDoubt);
        }
        // The question is still open for the person who looks.
        w.command("YES");
        expect_eq!(w, w.state("WEB-1"), State::Printed);
    }

    fn a_press_never_confirms_redo(w) {
        w.order("WEB-1");
        w.configure(|s| s.confirm = Confirm::Always);
        w.command("REDO");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        w.scan("WEB-1");
        w.command("REDO");
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Ignored);
        expect_eq!(w, w.press(Press::Yes).code, Some(Code::NoQuestion));
        expect_eq!(w, w.cloud.count(Call::Replace), 0);
    }

    fn a_press_with_nothing_open_finds_nothing_waiting(w) {
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Ignored);
        expect_eq!(w, w.signals.last(), Some(&Signal::NothingWaiting));
        w.order("WEB-1");
        w.scan("WEB-1");
        w.press(Press::Dispatch);
        expect_eq!(w, w.signals.last(), Some(&Signal::NothingWaiting));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
        expect_eq!(w, w.press(Press::Yes).code, Some(Code::NoQuestion));
    }

    fn in_arm_mode_the_press_ships_what_the_scan_armed(w) {
        w.configure(|s| s.mode = ScanMode::Arm);
        w.order("WEB-1");
        w.order("WEB-2");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Question);
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Question);
        let reply = w.press(Press::Dispatch);
        expect_eq!(w, (reply.outcome, reply.order.as_deref()), (Outcome::Printed, Some("WEB-2")));
        // Hammering it ships nothing more.
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Ignored);
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2")), (0, 1));
    }

    fn in_arm_mode_an_armed_order_lapses(w) {
        w.configure(|s| s.mode = ScanMode::Arm);
        w.order("WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(31));
        w.press(Press::Dispatch);
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
    }

    fn in_arm_mode_a_hand_may_be_quicker_than_the_look_up(w) {
        w.configure(|s| s.mode = ScanMode::Arm);
        w.order("WEB-1");
        let token = w.hand_in("bench", None, "WEB-1");
        w.press(Press::Dispatch);
        w.run();
        expect_eq!(w, w.reply_to(token).outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_press_says_yes_to_labelled_elsewhere_and_to_confirm(w) {
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Question);
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        w.configure(|s| s.confirm = Confirm::Always);
        w.order("WEB-2");
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Question);
        expect_eq!(w, w.press(Press::Yes).outcome, Outcome::Printed);
    }

    fn a_press_answers_the_newest_packer_and_never_the_other(w) {
        w.configure(|s| s.confirm = Confirm::Always);
        w.order("WEB-1");
        w.order("WEB-2");
        w.scan_by("left", "ann", "WEB-1");
        w.advance(Duration::from_secs(1));
        w.scan_by("right", "bob", "WEB-2");
        expect_eq!(w, w.press(Press::Dispatch).order.as_deref(), Some("WEB-2"));
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Ignored);
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2")), (0, 1));
        // Ann's question is hers still.
        expect_eq!(w, w.scan_by("left", "ann", "PSDEMO.YES").order.as_deref(), Some("WEB-1"));
    }

    fn a_long_press_reprints_the_last_order_and_does_not_lie_in_wait(w) {
        w.order("WEB-1");
        w.press(Press::ReprintLast);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.printed("WEB-1"), 1);
        expect_eq!(w, w.press(Press::ReprintLast).outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 2));
        w.wait(Duration::from_secs(61));
        expect_eq!(w, w.press(Press::ReprintLast).outcome, Outcome::Ignored);
        expect_eq!(w, w.printed("WEB-1"), 2);
    }

    fn pause_by_button_turns_back_by_button(w) {
        w.order("WEB-1");
        w.press(Press::Pause);
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::Paused));
        w.press(Press::Pause);
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn cancel_by_button_drops_the_question(w) {
        w.configure(|s| s.confirm = Confirm::Always);
        w.order("WEB-1");
        w.scan("WEB-1");
        w.press(Press::Cancel);
        w.press(Press::Dispatch);
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
    }

    fn test_prints_a_test_label(w) {
        w.press(Press::Test);
        expect_eq!(w, last_ticket(&w.paper).map(|t| t[0].clone()), Some("PSDEMO.TEST".to_owned()));
        w.command("TEST");
        expect_eq!(w, w.paper.len(), 2);
    }

    fn the_day_is_closed_by_yes_and_never_by_a_press(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(61));
        expect_eq!(w, w.command("CLOSE-DAY").outcome, Outcome::Question);
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Question);
        expect_eq!(w, w.press(Press::Yes).outcome, Outcome::Question);
        expect!(w, last_ticket(&w.paper).is_none());
        expect_eq!(w, w.command("YES").outcome, Outcome::Ignored);
        let number = w.durable("WEB-1").tracking().pop();
        let list = last_ticket(&w.paper).cloned().unwrap_or_default();
        expect_eq!(w, list.first().map(String::as_str), Some("HAND-OVER"));
        expect!(w, list.last().is_some_and(|row| row.starts_with("WEB-1 ") && row.ends_with(number.as_deref().unwrap_or("?"))), "{list:?}");
        // The next list begins where this one ended, also after a restart.
        w.crash();
        w.order("WEB-2");
        w.scan("WEB-2");
        w.wait(Duration::from_secs(2));
        w.command("CLOSE-DAY");
        w.command("YES");
        let list = last_ticket(&w.paper).cloned().unwrap_or_default();
        expect!(w, list.iter().any(|row| row.starts_with("WEB-2")), "{list:?}");
        expect!(w, list.iter().all(|row| !row.starts_with("WEB-1")), "{list:?}");
    }

    fn a_list_that_does_not_come_out_closes_nothing(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(2));
        w.printers.entry("label".into()).or_default().trouble = Some(Code::PrinterMediaOut);
        w.command("CLOSE-DAY");
        let reply = w.command("YES");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::PrinterMediaOut)));
        w.printers.entry("label".into()).or_default().trouble = None;
        w.command("CLOSE-DAY");
        w.command("YES");
        expect!(w, last_ticket(&w.paper).is_some_and(|list| list.iter().any(|row| row.starts_with("WEB-1"))));
        let lists = w.tickets().len();
        w.advance(Duration::from_secs(1));
        w.command("CLOSE-DAY");
        expect!(w, w.command("YES").message.contains("Nothing was printed"));
        expect_eq!(w, w.tickets().len(), lists);
    }

    fn moving_on_to_an_order_leaves_the_day_open(w) {
        w.order("WEB-1");
        w.command("CLOSE-DAY");
        w.scan("WEB-1");
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        expect!(w, last_ticket(&w.paper).is_none());
    }
}
