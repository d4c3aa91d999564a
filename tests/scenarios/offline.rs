//! Without the network: P6 and contract 14.

use super::world::{Call, Fault};
use printstation::domain::{Code, Outcome, State};
use printstation::station::{AskKind, Confirm, Release};
use std::time::Duration;

scenarios! {
    fn an_order_scan_queues_and_resume_prints_it_after_its_ticket(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Queued, Some(Code::StarshipitUnreachable)));
        expect_eq!(w, reply.next, "PSDEMO.RESUME");
        w.cloud.down = false;
        w.wait(Duration::from_secs(60));
        expect_eq!(w, w.paper.len(), 0);
        expect!(w, w.station.glance().question.is_some(), "the station asks");
        w.command("RESUME");
        expect_eq!(w, w.tickets().len(), 1);
        expect_eq!(w, w.papers(), ["ticket", "WEB-1"]);
        expect!(w, w.tickets()[0].contains(&"A. Person".to_owned()), "{:?}", w.tickets());
    }

    fn while_the_network_is_known_to_be_gone_a_scan_is_queued_without_asking_for_it(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.cloud.down = true;
        w.scan("WEB-1");
        let asked = w.cloud.count(Call::Find);
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Queued);
        expect_eq!(w, w.cloud.count(Call::Find), asked);
        // RESUME is a person's word that it is back: it is tried.
        w.cloud.down = false;
        w.command("RESUME");
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2")), (1, 1));
    }

    fn a_full_ledger_is_told_to_both_scans_of_an_order_that_is_queued(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-9");
        w.memory.full = true;
        // Both before the card has said anything.
        let tokens = [w.hand_in("left", None, "WEB-1"), w.hand_in("right", None, "WEB-1")];
        w.run();
        for token in tokens {
            let last = w.said.iter().rfind(|said| said.token == Some(token) && said.last);
            expect_eq!(w, last.and_then(|said| said.reply.code), Some(Code::QueueFull));
        }
    }

    fn a_full_ledger_is_told_although_the_scan_was_dropped_meanwhile(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-9");
        w.memory.full = true;
        let token = w.hand_in("right", None, "WEB-1");
        // Found in no memory: queued, and on its way to the card.
        w.step();
        if w.replies_waiting() > 0 {
            w.deliver(0);
        }
        w.hand_in("right", None, "PSDEMO.CANCEL");
        w.run();
        let last = w.said.iter().rfind(|said| said.token == Some(token) && said.last);
        expect_eq!(w, last.and_then(|said| said.reply.code), Some(Code::QueueFull));
    }

    fn an_old_failure_does_not_keep_a_scan_from_asking(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.cloud.fail(Call::Find, Fault::NotSent);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Queued);
        w.command("CANCEL");
        w.wait(Duration::from_secs(6));
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
    }

    fn release_print_prints_when_the_network_is_back_each_after_its_ticket(w) {
        w.configure(|s| s.release = Release::Print);
        w.order("WEB-1");
        w.order("WEB-2");
        w.cloud.down = true;
        w.scan("WEB-1");
        w.scan("WEB-2");
        w.wait(Duration::from_secs(20));
        expect_eq!(w, w.paper.len(), 0);
        w.cloud.down = false;
        w.wait(Duration::from_secs(20));
        expect_eq!(w, w.papers(), ["ticket", "WEB-1", "ticket", "WEB-2"]);
    }

    fn release_print_also_works_when_another_scan_finds_the_network_first(w) {
        w.configure(|s| s.release = Release::Print);
        w.order("WEB-1");
        w.order("WEB-2");
        w.cloud.down = true;
        w.scan("WEB-1");
        w.cloud.down = false;
        w.scan("WEB-2");
        w.wait(Duration::from_secs(20));
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_service_that_fails_after_each_release_does_not_flood_the_printer_with_tickets(w) {
        w.configure(|s| s.release = Release::Print);
        w.order("WEB-1");
        for _ in 0..20 {
            w.cloud.fail(Call::Find, Fault::LostBefore);
        }
        w.scan("WEB-1");
        w.wait(Duration::from_secs(60));
        expect!(w, w.tickets().is_empty(), "{:?}", w.tickets());
    }

    fn a_queued_scan_expires_and_that_is_told(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-1");
        w.wait(Duration::from_secs(31 * 60));
        expect_eq!(w, w.last_word("WEB-1").code, Some(Code::Expired));
        w.cloud.down = false;
        w.command("RESUME");
        w.wait(Duration::from_secs(60));
        expect_eq!(w, w.paper.len(), 0);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn the_second_scan_of_a_queued_order_takes_the_place_of_the_first(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-1");
        w.wait(Duration::from_secs(20 * 60));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Queued);
        expect_eq!(w, w.station.glance().queued, 1);
        w.wait(Duration::from_secs(20 * 60));
        w.cloud.down = false;
        w.command("RESUME");
        expect_eq!(w, w.papers(), ["ticket", "WEB-1"]);
    }

    fn cancel_drops_queued_scans_of_this_scanner(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.cloud.down = true;
        w.scan_at("left", "WEB-1");
        w.scan_at("right", "WEB-2");
        w.scan_at("left", "PSDEMO.CANCEL");
        expect_eq!(w, w.station.glance().queued, 1);
        w.cloud.down = false;
        w.command("RESUME");
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2")), (0, 1));
    }

    fn a_queued_scan_can_be_dropped_by_name(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-1");
        expect_eq!(w, w.ask(AskKind::Cancel, "WEB-1").outcome, Outcome::Ignored);
        expect_eq!(w, w.station.glance().queued, 0);
    }

    fn the_network_going_between_look_and_purchase_queues_the_scan(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::NotSent);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Queued);
        expect_eq!(w, w.state("WEB-1"), State::Queued);
        w.command("RESUME");
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn commands_that_buy_are_refused_and_not_kept(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.cloud.down = true;
        let reply = w.command("NEXT-PARCEL");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::StarshipitUnreachable)));
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::StarshipitUnreachable)));
        w.cloud.down = false;
        w.command("RESUME");
        w.wait(Duration::from_secs(60));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
        expect_eq!(w, w.state("WEB-1"), State::Printed);
    }

    fn a_yes_that_would_buy_is_refused_and_not_kept(w) {
        w.configure(|s| s.confirm = Confirm::Always);
        w.order("WEB-1");
        w.scan("WEB-1");
        w.cloud.down = true;
        let reply = w.command("YES");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::StarshipitUnreachable)));
        expect_eq!(w, w.station.glance().queued, 0);
    }

    fn an_asked_act_is_not_queued(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::Refused(Code::CourierRefused));
        w.scan("WEB-1");
        w.cloud.down = true;
        let reply = w.ask(AskKind::Release, "WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::StarshipitUnreachable)));
    }

    fn reprint_of_a_stored_label_works_without_the_network(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.cloud.down = true;
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Printed);
        expect_eq!(w, w.printed("WEB-1"), 2);
    }

    fn an_unresolved_purchase_is_looked_after_when_its_scan_has_expired(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostAfter);
        w.hand_in("bench", None, "WEB-1");
        w.run_until(|w| w.cloud.count(Call::Buy) == 1);
        w.cloud.down = true;
        w.run();
        w.wait(Duration::from_secs(31 * 60));
        expect_eq!(w, w.last_word("WEB-1").code, Some(Code::Expired));
        w.cloud.down = false;
        w.wait(Duration::from_secs(120));
        expect_eq!(w, w.state("WEB-1"), State::Held);
        expect_eq!(w, w.printed("WEB-1"), 0);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn a_queued_scan_with_an_unresolved_purchase_prints_only_after_resume(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostAfter);
        w.hand_in("bench", None, "WEB-1");
        w.run_until(|w| w.cloud.count(Call::Buy) == 1);
        w.cloud.down = true;
        w.run();
        w.wait(Duration::from_secs(60));
        expect_eq!(w, w.station.glance().queued, 1);
        w.cloud.down = false;
        w.wait(Duration::from_secs(120));
        expect_eq!(w, w.printed("WEB-1"), 0);
        w.command("RESUME");
        expect_eq!(w, w.papers(), ["ticket", "WEB-1"]);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn a_label_that_cannot_be_fetched_for_lack_of_network_waits_like_a_queued_scan(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::NoLabels);
        for _ in 0..4 {
            w.cloud.fail(Call::Reprint, Fault::NotSent);
        }
        w.scan("WEB-1");
        w.wait(Duration::from_secs(60));
        expect_eq!(w, w.last_word("WEB-1").outcome, Outcome::Queued);
        w.command("RESUME");
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_queued_scan_survives_a_restart_and_still_waits_for_resume(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-1");
        w.crash();
        w.cloud.down = false;
        w.wait(Duration::from_secs(60));
        expect_eq!(w, w.paper.len(), 0);
        w.command("RESUME");
        expect_eq!(w, w.papers(), ["ticket", "WEB-1"]);
    }

    fn a_restart_between_resume_and_the_ticket_waits_for_resume_again(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-1");
        w.cloud.down = false;
        w.hand_in("bench", None, "PSDEMO.RESUME");
        w.run_until(|w| w.cloud.count(Call::Buy) == 1);
        w.crash();
        w.wait(Duration::from_secs(30));
        expect_eq!(w, w.paper.len(), 0);
        w.command("RESUME");
        expect_eq!(w, w.papers(), ["ticket", "WEB-1"]);
    }

    fn after_a_restart_with_an_untrusted_clock_a_queued_scan_counts_as_expired(w) {
        w.order("WEB-1");
        w.cloud.down = true;
        w.scan("WEB-1");
        w.clock_trusted = false;
        w.crash();
        w.cloud.down = false;
        w.run();
        w.clock_trusted = true;
        w.command("RESUME");
        w.wait(Duration::from_secs(60));
        expect_eq!(w, w.paper.len(), 0);
    }

    fn a_scan_from_before_a_long_stop_waits_for_resume(w) {
        w.order("WEB-1");
        w.hand_in("bench", None, "WEB-1");
        w.run_until(|w| w.cloud.count(Call::Find) == 1);
        w.advance(Duration::from_secs(300));
        w.crash();
        w.wait(Duration::from_secs(60));
        expect_eq!(w, w.paper.len(), 0);
        w.command("RESUME");
        expect_eq!(w, w.printed("WEB-1"), 1);
    }
}
