//! Command barcodes: whose they are, what they mean, how long they hold (contract 13).

use super::world::{Call, Fault};
use printstation::domain::{Code, Outcome, Parcel, State};
use printstation::station::AskKind;
use std::time::Duration;

scenarios! {
    fn reprint_prints_the_same_label_and_buys_nothing(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        let reply = w.command("REPRINT");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, reply.order.as_deref(), Some("WEB-1"));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 2));
    }

    fn reprint_before_its_order_holds_for_the_next_scan(w) {
        w.order("WEB-1");
        w.scan_at("left", "WEB-1");
        expect_eq!(w, w.scan_at("right", "PSDEMO.REPRINT").outcome, Outcome::Question);
        expect_eq!(w, w.scan_at("right", "WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 2));
    }

    fn a_command_without_an_order_lapses_after_thirty_seconds(w) {
        w.order("WEB-1");
        w.command("NEXT-PARCEL");
        w.wait(Duration::from_secs(31));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn a_command_means_the_last_order_for_a_minute_only(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(61));
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Question);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_command_never_reaches_an_older_order_than_the_one_scanned_last(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.scan("WEB-1");
        w.hand_in("bench", None, "WEB-2");
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Ignored);
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2")), (1, 1));
    }

    fn a_command_never_reaches_another_scanners_order(w) {
        w.order("WEB-1");
        w.scan_at("left", "WEB-1");
        expect_eq!(w, w.scan_at("right", "PSDEMO.REPRINT").outcome, Outcome::Question);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_command_never_reaches_another_users_order(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.scan_by("http", "ann", "WEB-1");
        w.scan_by("http", "bob", "WEB-2");
        expect_eq!(w, w.scan_by("http", "ann", "PSDEMO.REPRINT").order.as_deref(), Some("WEB-1"));
        expect_eq!(w, w.scan_at("http", "PSDEMO.REPRINT").outcome, Outcome::Question);
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2")), (2, 1));
    }

    fn a_badge_starts_a_context_of_its_own(w) {
        w.order("WEB-1");
        w.command("USER-ann");
        w.scan("WEB-1");
        w.command("USER-bob");
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Question);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn the_badge_and_the_reason_are_kept_with_the_deed(w) {
        w.order("WEB-1");
        w.command("USER-ann");
        w.scan("WEB-1");
        w.command("REPRINT");
        w.command("REASON-torn");
        expect_eq!(w, w.durable("WEB-1").deeds.last().map(|d| (d.what.clone(), d.by.user.clone(), d.reason.clone())),
            Some(("reprint".to_owned(), Some("ann".to_owned()), Some("torn".to_owned()))));
    }

    fn redo_does_nothing_until_its_order_is_scanned_again(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        let reply = w.command("REDO");
        expect_eq!(w, reply.outcome, Outcome::Question);
        expect!(w, reply.message.contains("WEB-1"));
        expect_eq!(w, w.cloud.count(Call::Replace), 0);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 2);
    }

    fn redo_then_another_order_ships_that_order(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.scan("WEB-1");
        w.command("REDO");
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.count(Call::Replace), 0);
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::AlreadyPrinted));
    }

    fn redo_is_never_confirmed_by_yes(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.command("REDO");
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
        expect_eq!(w, w.cloud.count(Call::Replace), 0);
    }

    fn redo_forgets_the_last_order_after_a_minute(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.scan("WEB-1");
        w.advance(Duration::from_secs(5));
        w.scan_at("other", "WEB-2");
        w.wait(Duration::from_secs(70));
        w.command("REDO");
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-2"), 2);
    }

    fn redo_knows_its_order_through_a_pattern(w) {
        w.configure(|s| s.patterns = vec![regex::Regex::new(r"^SO-(?P<order>\d+)$").unwrap()]);
        w.order("4711");
        w.scan("SO-4711");
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("SO-4711").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("4711"), 2);
    }

    fn next_parcel_adds_a_number_and_keeps_the_first(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        let reply = w.command("NEXT-PARCEL");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, w.durable_tracking("WEB-1").len(), 2);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (2, 2));
    }

    fn next_parcel_of_an_order_without_a_label_makes_its_first_one(w) {
        w.order("WEB-1");
        w.command("NEXT-PARCEL");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn next_parcel_of_an_order_in_doubt_asks_about_the_doubt_first(w) {
        w.order("WEB-1");
        w.printer("label").plan.push_back(super::world::Journey::Cut { out: true });
        w.scan("WEB-1");
        let reply = w.command("NEXT-PARCEL");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Question, Some(Code::PrinterInDoubt)));
        expect_eq!(w, w.cloud.count(Call::Clone), 0);
    }

    fn a_refused_extra_parcel_leaves_the_order_printed(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.cloud.fail(Call::Clone, Fault::Refused(Code::CourierRefused));
        expect_eq!(w, w.command("NEXT-PARCEL").code, Some(Code::CourierRefused));
        expect_eq!(w, w.state("WEB-1"), State::Printed);
    }

    fn parcels_hold_for_the_next_order(w) {
        w.order("WEB-1");
        expect_eq!(w, w.command("PARCELS-3").outcome, Outcome::Question);
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        w.scan("WEB-1");
        let with = w.durable_intent("WEB-1").map(|i| i.with);
        expect_eq!(w, with.map(|w| w.parcels.len()), Some(3));
    }

    fn a_box_and_a_weight_build_up_the_parcel(w) {
        w.configure(|s| {
            s.presets.insert("small".to_owned(), Parcel { weight_kg: 0.2, length_m: 0.3, width_m: 0.2, height_m: 0.1 });
        });
        w.order("WEB-1");
        w.command("BOX-Small");
        w.command("WEIGHT-2.5");
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        w.scan("WEB-1");
        let parcel = w.durable_intent("WEB-1").and_then(|i| i.with.parcels.first().cloned());
        expect_eq!(w, parcel.map(|p| (p.weight_kg, p.length_m)), Some((2.5, 0.3)));
    }

    fn an_unknown_box_is_refused(w) {
        expect_eq!(w, w.command("BOX-huge").code, Some(Code::BadScan));
    }

    fn another_sites_command_is_refused(w) {
        expect_eq!(w, w.scan("PSAAAA.REDO").code, Some(Code::NotThisSite));
    }

    fn an_answer_without_a_question_is_refused(w) {
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
        expect_eq!(w, w.command("NO").code, Some(Code::NoQuestion));
    }

    fn a_question_lapses_after_thirty_seconds(w) {
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(31));
        expect_eq!(w, w.station.glance().question, None);
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
    }

    fn a_question_does_not_survive_a_restart(w) {
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        w.scan("WEB-1");
        w.crash();
        w.run();
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
    }

    fn a_new_order_closes_the_open_question(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.cloud.label_elsewhere("WEB-1");
        w.scan("WEB-1");
        w.scan("WEB-2");
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
        expect_eq!(w, w.printed("WEB-1"), 0);
    }

    fn cancel_drops_what_is_open_at_this_scanner(w) {
        w.order("WEB-1");
        w.command("NEXT-PARCEL");
        w.command("PARCELS-3");
        expect_eq!(w, w.command("CANCEL").outcome, Outcome::Ignored);
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        w.scan("WEB-1");
        expect_eq!(w, w.durable_intent("WEB-1").map(|i| i.with.parcels.len()), Some(0));
    }

    fn pause_refuses_new_work_and_resume_takes_it_again(w) {
        w.order("WEB-1");
        w.command("PAUSE");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::Paused)));
        expect_eq!(w, reply.next, "PSDEMO.RESUME");
        w.command("RESUME");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn pause_also_refuses_a_yes_that_would_buy(w) {
        w.configure(|s| s.confirm = printstation::station::Confirm::Always);
        w.order("WEB-1");
        w.scan("WEB-1");
        w.command("PAUSE");
        expect_eq!(w, w.command("YES").code, Some(Code::Paused));
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        w.command("RESUME");
        expect_eq!(w, w.command("YES").outcome, Outcome::Printed);
    }

    fn pause_survives_a_restart_and_resume_ends_it_whatever_the_clock_says(w) {
        w.order("WEB-1");
        w.command("PAUSE");
        w.crash();
        w.run();
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::Paused));
        w.jump_clock(-50 * 365 * 24 * 3_600_000);
        w.crash();
        w.run();
        w.command("RESUME");
        w.crash();
        w.run();
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn an_asked_order_must_be_in_the_ledger(w) {
        w.order("WEB-1");
        expect_eq!(w, w.ask(AskKind::Reprint, "WEB-1").code, Some(Code::OrderNotFound));
        w.scan("WEB-1");
        expect_eq!(w, w.ask(AskKind::Reprint, "WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.ask(AskKind::Redo, "WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.ask(AskKind::NextParcel, "WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.ask(AskKind::Cancel, "WEB-1").code, Some(Code::NoQuestion));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (3, 4));
    }

    fn test_and_status_print_and_close_day_asks_first(w) {
        w.command("TEST");
        w.command("STATUS");
        expect_eq!(w, w.tickets().len(), 2);
        expect_eq!(w, w.command("CLOSE-DAY").outcome, Outcome::Question);
        expect_eq!(w, w.tickets().len(), 2);
    }
}
