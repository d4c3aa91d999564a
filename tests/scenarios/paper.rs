//! From a shipment to paper: pages, printers, honest doubt (P4, contract 9, 11).

use super::world::{Call, Fault, Journey, World};
use printstation::domain::{Code, Outcome, PageRole, PageState, Proof, Signal, State};
use printstation::station::{AskKind, PrinterRule};
use std::time::Duration;

scenarios! {
    fn every_label_of_an_order_prints_in_order(w) {
        w.cloud.layout = vec![(PageRole::Label, "BlankLabels", 2), (PageRole::Label, "BlankLabels", 1)];
        w.order("WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.message, "3 labels are printed.");
        expect_eq!(w, pages(w), [(1, 3), (2, 3), (3, 3)]);
    }

    fn a_cut_after_two_of_three_labels_leaves_the_third_to_do(w) {
        w.cloud.layout = vec![(PageRole::Label, "BlankLabels", 3)];
        w.order("WEB-1");
        w.hand_in("bench", None, "WEB-1");
        w.run_until(|w| w.printed("WEB-1") == 2 && w.replies_waiting() > 0);
        w.crash();
        w.run();
        let states: Vec<_> = w.durable("WEB-1").shipments.iter().flat_map(|s| &s.pages).map(|p| p.state).collect();
        expect_eq!(w, states, [PageState::Printed(Proof::Confirmed), PageState::InDoubt, PageState::Todo]);
        w.scan("WEB-1");
        expect_eq!(w, w.command("YES").outcome, Outcome::Printed);
        expect_eq!(w, pages(w), [(1, 3), (2, 3), (3, 3)]);
    }

    fn in_doubt_asks_and_yes_means_that_it_came_out(w) {
        w.order("WEB-1");
        w.printer("label").plan.push_back(Journey::Cut { out: true });
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Question, Some(Code::PrinterInDoubt)));
        expect_eq!(w, w.state("WEB-1"), State::InDoubt);
        let reply = w.command("YES");
        expect_eq!(w, (reply.outcome, reply.proof), (Outcome::Printed, Some(Proof::Person)));
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn in_doubt_asks_and_reprint_means_that_it_did_not(w) {
        w.order("WEB-1");
        w.printer("label").plan.push_back(Journey::Cut { out: false });
        w.scan("WEB-1");
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_restart_after_a_reprint_in_doubt_does_not_start_over(w) {
        w.cloud.layout = vec![(PageRole::Label, "BlankLabels", 2)];
        w.order("WEB-1");
        w.hand_in("bench", None, "WEB-1");
        w.run_until(|w| w.printed("WEB-1") == 1 && w.replies_waiting() == 0);
        w.printer("label").plan.push_back(Journey::Cut { out: false });
        w.run();
        // Page 2 is in doubt. Its REPRINT meets a printer that is out of labels; then the power goes.
        w.printer("label").trouble = Some(Code::PrinterMediaOut);
        w.command("REPRINT");
        w.crash();
        w.printer("label").trouble = None;
        w.wait(Duration::from_secs(10));
        expect_eq!(w, pages(w), [(1, 2), (2, 2)]);
    }

    fn reprint_answers_the_open_doubt_even_when_another_order_was_scanned_since(w) {
        w.order("WEB-1");
        w.order("WEB-2");
        w.printer("label").plan.push_back(Journey::Cut { out: false });
        w.hand_in("bench", None, "WEB-1");
        w.hand_in("bench", None, "WEB-2");
        w.run();
        expect_eq!(w, w.printed("WEB-2"), 1);
        expect_eq!(w, w.command("REPRINT").order.as_deref(), Some("WEB-1"));
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2")), (1, 1));
    }

    fn a_new_parcel_does_not_hide_the_doubt_about_the_first(w) {
        w.order("WEB-1");
        w.printer("label").plan.push_back(Journey::NotStarted(Code::LabelDoesNotFit));
        w.scan("WEB-1");
        w.printer("label").trouble = None;
        w.printer("label").plan.push_back(Journey::Cut { out: false });
        expect_eq!(w, w.command("NEXT-PARCEL").code, Some(Code::PrinterInDoubt));
        w.advance(Duration::from_secs(2));
        w.command("REDO");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::PrinterInDoubt));
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Printed);
    }

    fn an_order_in_doubt_is_asked_about_again_at_each_scan(w) {
        w.order("WEB-1");
        w.printer("label").plan.push_back(Journey::Cut { out: true });
        w.scan("WEB-1");
        w.wait(Duration::from_secs(40));
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::PrinterInDoubt));
        expect_eq!(w, w.command("YES").outcome, Outcome::Printed);
    }

    fn a_printer_in_trouble_prints_by_itself_when_it_is_cured(w) {
        w.order("WEB-1");
        w.printer("label").trouble = Some(Code::PrinterMediaOut);
        let token = w.hand_in("bench", None, "WEB-1");
        w.run();
        expect_eq!(w, w.state("WEB-1"), State::WaitingPrinter);
        expect!(w, w.signals.contains(&Signal::PrinterNeedsHand));
        w.wait(Duration::from_secs(10));
        expect_eq!(w, w.printed("WEB-1"), 0);
        w.printer("label").trouble = None;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, w.reply_to(token).outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn orders_wait_in_line_for_a_printer_in_trouble(w) {
        w.printer("label").trouble = Some(Code::PrinterOffline);
        for number in ["WEB-1", "WEB-2", "WEB-3"] {
            w.order(number);
            w.scan(number);
        }
        w.printer("label").trouble = None;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, w.papers(), ["WEB-1", "WEB-2", "WEB-3"]);
    }

    fn a_restart_with_a_label_waiting_for_the_printer_prints_it_once(w) {
        w.order("WEB-1");
        w.printer("label").trouble = Some(Code::PrinterMediaOut);
        w.scan("WEB-1");
        w.crash();
        w.run();
        w.printer("label").trouble = None;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_document_without_a_printer_is_kept_and_told(w) {
        w.cloud.layout = vec![(PageRole::Label, "BlankLabels", 1), (PageRole::Document, "commercial-invoice", 2)];
        w.order("WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect!(w, reply.message.contains("2 document page(s)"), "{}", reply.message);
        expect_eq!(w, w.printed("WEB-1"), 1);
        expect_eq!(w, w.state("WEB-1"), State::Printed);
    }

    fn a_document_goes_to_its_own_printer_and_blocks_nothing(w) {
        office(w);
        w.printer("office").trouble = Some(Code::PrinterOffline);
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.state("WEB-1"), State::Printed);
        expect_eq!(w, w.printed("WEB-1"), 1);
        w.printer("office").trouble = None;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, w.printed("WEB-1"), 2);
    }

    fn a_document_in_doubt_does_not_put_its_order_in_doubt(w) {
        office(w);
        w.printer("office").plan.push_back(Journey::Cut { out: true });
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.state("WEB-1"), State::Printed);
        expect!(w, !w.durable("WEB-1").is_open(), "nobody could ever answer it");
    }

    fn a_document_in_doubt_does_not_end_another_purchase_of_its_order(w) {
        office(w);
        w.order("WEB-1");
        w.printer("office").plan.push_back(Journey::Cut { out: true });
        w.hand_in("bench", None, "WEB-1");
        w.run_until(|w| w.was_said("WEB-1", Outcome::Printed));
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        let token = w.hand_in("bench", None, "PSDEMO.NEXT-PARCEL");
        w.run();
        w.wait(Duration::from_secs(200));
        expect_eq!(w, w.reply_to(token).outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 2);
    }

    fn a_label_that_does_not_fit_is_refused_and_kept(w) {
        w.order("WEB-1");
        w.printer("label").plan.push_back(Journey::NotStarted(Code::LabelDoesNotFit));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::LabelDoesNotFit));
        expect_eq!(w, w.durable_tracking("WEB-1").len(), 1);
        w.printer("label").trouble = None;
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_label_that_has_not_started_comes_out_of_the_printer_that_stands_in(w) {
        spare(w);
        w.order("WEB-1");
        w.printer("label").trouble = Some(Code::PrinterMediaOut);
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.proof), (Outcome::Printed, Some(Proof::Confirmed)));
        expect!(w, reply.message.contains("came out of spare"), "{}", reply.message);
        expect!(w, w.signals.contains(&Signal::PrinterNeedsHand));
        expect_eq!(w, came_out_of(w), ["spare"]);
        expect_eq!(w, printers_of(w, "WEB-1"), ["spare"]);
        // The next one need not try the printer that is known to be in trouble.
        w.order("WEB-2");
        w.scan("WEB-2");
        expect_eq!(w, came_out_of(w), ["spare", "spare"]);
        // And goes back when it is cured, without anybody saying so.
        w.printer("label").trouble = None;
        w.wait(Duration::from_secs(5));
        w.order("WEB-3");
        expect_eq!(w, w.scan("WEB-3").message, "The label is printed.");
        expect_eq!(w, came_out_of(w), ["spare", "spare", "label"]);
    }

    fn a_label_that_may_have_started_never_comes_out_of_another_printer(w) {
        spare(w);
        w.cloud.layout = vec![(PageRole::Label, "BlankLabels", 2)];
        w.order("WEB-1");
        w.printer("label").plan.push_back(Journey::Cut { out: true });
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::PrinterInDoubt));
        w.printer("label").trouble = Some(Code::PrinterOffline);
        w.wait(Duration::from_secs(20));
        expect_eq!(w, came_out_of(w), ["label"]);
        expect_eq!(w, printers_of(w, "WEB-1"), ["label", "label"]);
        // A person settles the first one; the second has not started and need not wait.
        w.command("YES");
        w.wait(Duration::from_secs(5));
        expect_eq!(w, came_out_of(w), ["label", "spare"]);
    }

    fn with_both_printers_in_trouble_the_first_one_that_is_cured_prints(w) {
        spare(w);
        for (cured, out) in [("spare", "spare"), ("label", "label")] {
            let number = format!("WEB-{cured}");
            w.order(&number);
            w.printer("label").trouble = Some(Code::PrinterOffline);
            w.printer("spare").trouble = Some(Code::PrinterCoverOpen);
            let token = w.hand_in("bench", None, &number);
            w.wait(Duration::from_secs(10));
            expect_eq!(w, w.state(&number), State::WaitingPrinter);
            w.printer(cured).trouble = None;
            w.wait(Duration::from_secs(5));
            expect_eq!(w, w.reply_to(token).outcome, Outcome::Printed);
            expect_eq!(w, printers_of(w, &number), [out]);
            w.printer("label").trouble = None;
            w.printer("spare").trouble = None;
            w.wait(Duration::from_secs(5));
        }
    }

    fn orders_in_line_for_a_printer_in_trouble_go_to_the_other_in_order(w) {
        spare(w);
        w.printer("spare").trouble = Some(Code::PrinterOffline);
        w.printer("label").trouble = Some(Code::PrinterMediaOut);
        for number in ["WEB-1", "WEB-2", "WEB-3"] {
            w.order(number);
            w.scan(number);
        }
        w.printer("spare").trouble = None;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, w.papers(), ["WEB-1", "WEB-2", "WEB-3"]);
        expect_eq!(w, came_out_of(w), ["spare", "spare", "spare"]);
    }

    fn a_label_too_large_for_the_other_printer_waits_for_its_own(w) {
        spare(w);
        w.order("WEB-1");
        w.printer("label").trouble = Some(Code::PrinterMediaOut);
        w.printer("spare").plan.push_back(Journey::NotStarted(Code::LabelDoesNotFit));
        let token = w.hand_in("bench", None, "WEB-1");
        w.run();
        w.printer("spare").trouble = None;
        expect_eq!(w, w.state("WEB-1"), State::WaitingPrinter);
        w.wait(Duration::from_secs(10));
        expect_eq!(w, w.printed("WEB-1"), 0);
        w.printer("label").trouble = None;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, w.reply_to(token).outcome, Outcome::Printed);
        expect_eq!(w, came_out_of(w), ["label"]);
    }

    fn a_reprint_comes_out_of_the_orders_own_printer_again(w) {
        spare(w);
        w.order("WEB-1");
        w.printer("label").trouble = Some(Code::PrinterOffline);
        w.scan("WEB-1");
        w.printer("label").trouble = None;
        w.wait(Duration::from_secs(5));
        w.command("REPRINT");
        expect_eq!(w, came_out_of(w), ["spare", "label"]);
    }

    fn a_packing_slip_comes_beside_the_label_on_the_same_roll(w) {
        slips(w);
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").message, "The label is printed.");
        expect_eq!(w, pages(w), [(1, 1), (2, 2)]);
        expect_eq!(w, came_out_of(w), ["label", "label"]);
        // The same label again is the label alone, and one more parcel needs no second slip.
        w.command("REPRINT");
        w.advance(Duration::from_secs(2));
        w.command("NEXT-PARCEL");
        expect_eq!(w, (w.cloud.count(Call::Slip), w.printed("WEB-1")), (1, 4));
    }

    fn a_packing_slip_has_a_printer_of_its_own(w) {
        slips(w);
        w.configure(|s| {
            s.printers.push("office".into());
            s.printer_rules.push(PrinterRule {
                of: "label".into(),
                label_type: "packing-slip".to_owned(),
                printer: "office".into(),
            });
        });
        w.printer("office").trouble = Some(Code::PrinterOffline);
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.state("WEB-1"), came_out_of(w)), (State::Printed, vec!["label".to_owned()]));
        w.printer("office").trouble = None;
        w.wait(Duration::from_secs(5));
        expect_eq!(w, came_out_of(w), ["label", "office"]);
    }

    fn a_packing_slip_that_does_not_come_holds_no_label_up(w) {
        slips(w);
        for fault in [Fault::NotSent, Fault::LostBefore, Fault::Throttled] {
            w.cloud.fail(Call::Slip, fault);
        }
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.state("WEB-1"), w.printed("WEB-1")), (State::Printed, 1));
        w.wait(Duration::from_secs(200));
        expect_eq!(w, (w.cloud.count(Call::Slip), w.printed("WEB-1")), (4, 2));
        // Refused is not asked again.
        w.cloud.fail(Call::Slip, Fault::Refused(Code::OrderNotFound));
        w.order("WEB-2");
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
        w.wait(Duration::from_secs(200));
        expect_eq!(w, (w.cloud.count(Call::Slip), w.printed("WEB-2")), (5, 1));
    }

    fn a_new_label_of_the_same_goods_brings_no_second_slip(w) {
        slips(w);
        w.order("WEB-1");
        w.scan("WEB-1");
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        w.scan("WEB-1");
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.cloud.count(Call::Slip)), (2, 1));
        expect_eq!(w, w.printed("WEB-1"), 3);
    }

    fn a_held_label_keeps_its_slip_for_when_it_is_wanted(w) {
        slips(w);
        held(w);
        w.cloud.down = true;
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.printed("WEB-1"), 2);
    }

    fn a_held_label_of_a_changed_order_is_not_released(w) {
        held(w);
        w.cloud.by_number("WEB-1").remote.fingerprint = "another address".to_owned();
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::OrderChanged)));
        expect_eq!(w, w.printed("WEB-1"), 0);
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (2, 1));
    }

    fn a_held_label_of_a_changed_order_is_not_released_by_reprint_either(w) {
        held(w);
        w.cloud.by_number("WEB-1").remote.fingerprint = "another address".to_owned();
        w.scan("WEB-1");
        expect_eq!(w, w.command("REPRINT").code, Some(Code::OrderChanged));
        expect_eq!(w, w.printed("WEB-1"), 0);
    }

    fn a_held_label_of_an_archived_order_is_not_released(w) {
        held(w);
        w.cloud.by_number("WEB-1").remote.archived = true;
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        expect_eq!(w, w.printed("WEB-1"), 0);
    }

    fn a_held_label_prints_without_the_network(w) {
        held(w);
        w.cloud.down = true;
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_held_label_can_be_released_by_name(w) {
        held(w);
        expect_eq!(w, w.ask(AskKind::Release, "WEB-1").outcome, Outcome::Printed);
    }

    fn redo_of_an_order_in_doubt_never_prints_the_old_label(w) {
        w.order("WEB-1");
        w.printer("label").plan.push_back(Journey::Cut { out: false });
        w.scan("WEB-1");
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }
}

fn pages(w: &World) -> Vec<(u16, u16)> {
    w.paper
        .iter()
        .filter_map(|p| match p {
            super::world::Paper::Page { job, .. } => Some((job.n, job.of)),
            super::world::Paper::Ticket(_) => None,
        })
        .collect()
}

fn office(w: &mut World) {
    w.configure(|s| {
        s.printers.push("office".into());
        s.printer_rules.push(PrinterRule {
            of: "label".into(),
            label_type: "commercial-invoice".to_owned(),
            printer: "office".into(),
        });
    });
    w.cloud.layout = vec![
        (PageRole::Label, "BlankLabels", 1),
        (PageRole::Document, "commercial-invoice", 1),
    ];
}

/// A second printer that stands in for the first.
fn spare(w: &mut World) {
    w.configure(|s| {
        s.printers.push("spare".into());
        s.stand_ins.insert("label".into(), "spare".into());
    });
}

fn slips(w: &mut World) {
    w.configure(|s| {
        s.routes[0].documents = vec!["label".to_owned(), "packing-slip".to_owned()];
    });
}

fn came_out_of(w: &World) -> Vec<String> {
    w.paper
        .iter()
        .filter_map(|p| match p {
            super::world::Paper::Page { printer, .. } => Some(printer.to_string()),
            super::world::Paper::Ticket(_) => None,
        })
        .collect()
}

/// Where the ledger says that the order's labels are.
fn printers_of(w: &World, number: &str) -> Vec<String> {
    w.durable(number)
        .live()
        .flat_map(|s| &s.pages)
        .map(|p| p.printer.to_string())
        .collect()
}

/// An order whose label is bought and not printed: its scan expired before the lost reply was found.
fn held(w: &mut World) {
    w.order("WEB-1");
    w.cloud.fail(Call::Buy, Fault::LostAfter);
    w.cloud.fail(Call::Look, Fault::NotSent);
    w.cloud.fail(Call::Look, Fault::NotSent);
    w.scan("WEB-1");
    w.wait(Duration::from_secs(6));
    w.command("CANCEL");
    w.wait(Duration::from_secs(60));
    w.expect(|w| {
        expect_eq!(w, w.state("WEB-1"), State::Held);
        expect_eq!(w, w.printed("WEB-1"), 0);
    });
}
