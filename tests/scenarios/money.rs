//! One unresolved call per order: P1, P2 and contract 1, 2, 8, 11.

use super::world::{Call, Fault};
use printstation::domain::{Code, Outcome, State};
use std::time::Duration;

scenarios! {
    fn a_lost_reply_is_looked_after_and_not_bought_again(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostAfter);
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.count(Call::Buy), w.cloud.count(Call::Reprint)), (1, 1));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_purchase_that_did_not_happen_is_sent_again_only_after_two_looks_and_the_settle_time(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        w.scan("WEB-1");
        w.wait(Duration::from_secs(85));
        expect_eq!(w, w.cloud.count(Call::Buy), 1);
        w.wait(Duration::from_secs(40));
        expect_eq!(w, w.cloud.count(Call::Buy), 2);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_commit_that_comes_late_is_still_found(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostLate(Duration::from_secs(80)));
        w.scan("WEB-1");
        w.wait(Duration::from_secs(200));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn after_two_sends_without_an_answer_a_person_scans_again(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        w.scan("WEB-1");
        w.wait(Duration::from_secs(300));
        expect_eq!(w, w.cloud.count(Call::Buy), 2);
        expect_eq!(w, w.last_word("WEB-1").code, Some(Code::CourierRefused));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn a_service_that_asks_to_slow_down_is_asked_again_by_itself(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::Throttled);
        w.scan("WEB-1");
        w.wait(Duration::from_secs(5));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_service_that_asks_to_slow_down_for_ever_is_told(w) {
        w.order("WEB-1");
        for _ in 0..20 {
            w.cloud.fail(Call::Buy, Fault::Throttled);
        }
        w.scan("WEB-1");
        w.wait(Duration::from_secs(120));
        expect_eq!(w, w.last_word("WEB-1").code, Some(Code::RateLimited));
        expect!(w, w.cloud.count(Call::Buy) < 10);
    }

    fn a_clock_that_jumps_ahead_does_not_shorten_the_settle_time(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostLate(Duration::from_secs(60)));
        w.scan("WEB-1");
        w.jump_clock(600_000);
        w.wait(Duration::from_secs(30));
        expect_eq!(w, w.cloud.count(Call::Buy), 1);
        w.wait(Duration::from_secs(120));
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn after_a_restart_the_station_looks_before_it_buys(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostAfter);
        w.cloud.fail(Call::Look, Fault::LostBefore);
        w.scan("WEB-1");
        w.crash();
        w.run();
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_number_that_comes_late_is_fetched_and_printing_does_not_wait(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::NoNumber);
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, reply.tracking.len(), 0);
        let order = w.cloud.by_number("WEB-1");
        order.remote.tracking = order.hidden_number.take().into_iter().collect();
        w.wait(Duration::from_secs(10));
        expect_eq!(w, w.durable("WEB-1").tracking().len(), 1);
    }

    fn a_late_number_is_looked_for_again_after_a_restart(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::NoNumber);
        w.scan("WEB-1");
        w.crash();
        let order = w.cloud.by_number("WEB-1");
        order.remote.tracking = order.hidden_number.take().into_iter().collect();
        w.wait(Duration::from_secs(10));
        expect!(w, w.crash_after.is_some() || w.durable("WEB-1").tracking().len() == 1);
    }

    fn a_clock_that_jumps_a_week_does_not_give_up_a_late_number(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::NoNumber);
        w.scan("WEB-1");
        w.jump_clock(7 * 24 * 3_600_000);
        w.wait(Duration::from_secs(60));
        let order = w.cloud.by_number("WEB-1");
        order.remote.tracking = order.hidden_number.take().into_iter().collect();
        w.wait(Duration::from_secs(900));
        expect_eq!(w, w.durable("WEB-1").tracking().len(), 1);
    }

    fn a_shipment_without_its_label_is_fetched_and_never_bought_again(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::NoLabels);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_label_that_stays_damaged_is_refused_and_the_same_scan_fetches_it_again(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::BadLabels);
        for _ in 0..4 {
            w.cloud.fail(Call::Reprint, Fault::BadLabels);
        }
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::LabelUnreadable));
        expect_eq!(w, w.durable("WEB-1").tracking().len(), 1);
        w.cloud.plan.clear();
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn a_document_that_left_the_spool_is_fetched_again(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.spool.clear();
        w.printer("label").plan.push_back(super::world::Journey::NotStarted(Code::LabelMissing));
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 2));
    }

    fn redo_replaces_the_shipment_and_supersedes_the_old_number(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        let old = w.durable_tracking("WEB-1");
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (2, 2));
        expect!(w, w.durable_tracking("WEB-1") != old);
        expect_eq!(w, w.durable("WEB-1").shipments.len(), 2);
    }

    fn a_lost_reply_of_replace_is_looked_after(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.cloud.fail(Call::Replace, Fault::LostAfter);
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.count(Call::Replace), w.cloud.sold("WEB-1")), (1, 2));
    }

    fn a_lost_reply_of_clone_is_looked_after(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.cloud.fail(Call::Clone, Fault::LostAfter);
        expect_eq!(w, w.command("NEXT-PARCEL").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.count(Call::Clone), w.cloud.sold("WEB-1")), (1, 2));
    }

    fn a_full_ledger_refuses_new_scans_and_keeps_what_it_holds(w) {
        w.order("WEB-1");
        w.memory.full = true;
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::QueueFull)));
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        w.memory.full = false;
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn a_full_ledger_never_loses_an_unresolved_purchase(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostLate(Duration::from_secs(80)));
        w.cloud.fail(Call::Look, Fault::NotSent);
        w.cloud.fail(Call::Look, Fault::NotSent);
        w.cloud.fail(Call::Look, Fault::NotSent);
        w.scan("WEB-1");
        w.wait(Duration::from_secs(15));
        w.memory.full = true;
        let reply = w.scan_at("other", "WEB-1");
        expect_eq!(w, reply.code, Some(Code::QueueFull));
        w.memory.full = false;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, w.state("WEB-1"), State::Buying);
        w.scan_at("other", "WEB-1");
        w.wait(Duration::from_secs(300));
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn a_full_ledger_does_not_turn_a_printed_label_into_one_to_print(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.memory.full = true;
        expect_eq!(w, w.command("REPRINT").code, Some(Code::QueueFull));
        w.memory.full = false;
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::AlreadyPrinted));
        w.order("WEB-2");
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_ledger_without_room_for_the_order_buys_nothing(w) {
        w.order("WEB-1");
        w.memory.no_new_orders = true;
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::QueueFull));
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        w.memory.no_new_orders = false;
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }
}
