//! Labels ahead of the scan, orders printed by a status, the next order of a button.
//!
//! Long because every way in which a label that is bought ahead may meet its scan is read as one list.

use super::sales::set_up;
use super::world::{Call, Fault, World};
use printstation::domain::{Code, Outcome, PageRole, Signal, State, StatusAct};
use printstation::station::{AskKind, Press, ScanMode, Unverified, Verify};
use std::time::Duration;

scenarios! {
    fn a_label_is_there_before_its_scan_and_its_number_is_told_at_the_scan(w) {
        shop(w);
        packed(w, "WEB-1");
        expect_eq!(w, (w.state("WEB-1"), w.cloud.sold("WEB-1"), w.printed("WEB-1")), (State::Held, 1, 0));
        let id = w.durable("WEB-1").id;
        expect_eq!(w, w.sinks.told(&id, "consignment").len(), 0);
        let bought = w.cloud.count(Call::Buy);
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.cloud.count(Call::Buy), w.printed("WEB-1")), (1, bought, 1));
        expect!(w, reply.timings_ms.recheck.is_some() && reply.timings_ms.buy.is_none());
        w.wait(Duration::from_secs(2));
        expect_eq!(w, w.sinks.told(&id, "consignment").len(), 1);
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::AlreadyPrinted));
    }

    fn its_number_is_told_at_once_where_that_is_wanted(w) {
        shop(w);
        w.configure(|s| s.routes[0].writeback.on_purchase = true);
        packed(w, "WEB-1");
        w.wait(Duration::from_secs(2));
        let id = w.durable("WEB-1").id;
        expect_eq!(w, (w.state("WEB-1"), w.sinks.told(&id, "consignment").len()), (State::Held, 1));
    }

    fn nothing_is_bought_ahead_where_no_courier_is_allowed_or_the_duty_is_anothers(w) {
        shop(w);
        w.configure(|s| s.routes[0].ahead.couriers.clear());
        packed(w, "WEB-1");
        w.settings.routes[0].ahead.couriers = vec!["*".to_owned()];
        w.settings.prefetch_duty = false;
        w.crash();
        packed(w, "WEB-2");
        expect_eq!(w, w.cloud.sales.len(), 0);
    }

    fn only_the_couriers_on_the_list_are_bought_ahead(w) {
        shop(w);
        w.configure(|s| s.routes[0].ahead.couriers = vec!["auspost".to_owned()]);
        packed(w, "WEB-1");
        w.cloud.sell_order("TEA", "WEB-2");
        w.poll();
        w.run();
        if w.cloud.has_order("WEB-2") {
            w.cloud.by_number("WEB-2").remote.carrier = Some("AusPost".to_owned());
        }
        w.wait(Duration::from_secs(3));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.cloud.sold("WEB-2")), (0, 1));
        expect!(w, !w.durable("WEB-1").is_open(), "nothing is kept of what was not wanted");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn the_days_limit_holds_across_a_restart_and_a_new_day_begins_anew(w) {
        shop(w);
        w.configure(|s| s.routes[0].ahead.daily_cap = 2);
        packed(w, "WEB-1");
        packed(w, "WEB-2");
        w.crash();
        packed(w, "WEB-3");
        expect_eq!(w, w.cloud.sales.len(), 2);
        expect!(w, w.station.glance().ahead.limited);
        expect_eq!(w, w.scan("WEB-3").outcome, Outcome::Printed);
        w.jump_clock(24 * 3_600_000);
        packed(w, "WEB-4");
        expect_eq!(w, (w.cloud.sold("WEB-4"), w.station.glance().ahead.today), (1, 1));
    }

    fn no_more_are_held_than_may_be(w) {
        shop(w);
        w.configure(|s| s.max_held = 1);
        packed(w, "WEB-1");
        packed(w, "WEB-2");
        expect_eq!(w, w.cloud.sales.len(), 1);
        w.scan("WEB-1");
        packed(w, "WEB-3");
        expect_eq!(w, w.cloud.sold("WEB-2") + w.cloud.sold("WEB-3"), 1);
    }

    fn a_lost_reply_is_looked_for_and_the_label_is_held(w) {
        shop(w);
        w.cloud.fail(Call::Buy, Fault::LostAfter);
        packed(w, "WEB-1");
        w.wait(Duration::from_secs(10));
        expect_eq!(w, (w.state("WEB-1"), w.cloud.sold("WEB-1")), (State::Held, 1));
        expect!(w, w.durable("WEB-1").shipments.iter().all(|s| s.ahead && !s.pages.is_empty()));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_refused_purchase_ahead_does_not_count_and_is_asked_about_at_the_scan(w) {
        shop(w);
        w.cloud.fail(Call::Buy, Fault::Refused(Code::CourierMissing));
        packed(w, "WEB-1");
        expect_eq!(w, (w.state("WEB-1"), w.station.glance().ahead.today), (State::Known, 0));
        w.cloud.fail(Call::Buy, Fault::Refused(Code::CourierMissing));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::CourierMissing));
    }

    fn the_network_is_away_while_a_label_is_to_be_bought_ahead(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.poll();
        w.run();
        w.cloud.fail(Call::Buy, Fault::NotSent);
        w.wait(Duration::from_secs(60));
        expect_eq!(w, (w.state("WEB-1"), w.cloud.sold("WEB-1"), w.station.glance().ahead.today), (State::Held, 1, 1));
    }

    fn an_order_cancelled_after_its_label_was_bought_is_refused_and_its_number_is_not_told(w) {
        shop(w);
        packed(w, "WEB-1");
        w.cloud.sale_status("WEB-1", "REJECTED");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        let order = w.durable("WEB-1");
        expect_eq!(w, (w.printed("WEB-1"), order.writebacks.len()), (0, 0));
        expect_eq!(w, w.station.glance().ahead.labels.iter().filter_map(|l| l.trouble).collect::<Vec<_>>(), vec![Code::OrderCancelled]);
    }

    fn an_order_on_hold_is_refused_until_it_is_released(w) {
        shop(w);
        packed(w, "WEB-1");
        w.cloud.sale_status("WEB-1", "AWAITING_STOCK");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderOnHold));
        w.cloud.sale_status("WEB-1", "PACKED");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn an_order_changed_since_is_refused_and_redo_buys_what_it_is_now(w) {
        shop(w);
        packed(w, "WEB-1");
        change_sale(w, "WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.code, reply.next.as_str()), (Some(Code::OrderChanged), "PSDEMO.REDO"));
        expect_eq!(w, w.printed("WEB-1"), 0);
        w.advance(Duration::from_secs(2));
        w.command("REDO");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (2, 1));
        expect_eq!(w, w.durable("WEB-1").tracking().len(), 1);
    }

    fn without_the_network_a_held_label_prints_and_is_looked_at_afterwards(w) {
        shop(w);
        packed(w, "WEB-1");
        packed(w, "WEB-2");
        if w.cloud.has_order("WEB-2") {
            w.cloud.change("WEB-2");
        }
        w.cloud.down = true;
        w.cloud.cc_down = true;
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        let reply = w.scan("WEB-2");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect!(w, reply.message.contains("could not be checked"), "{}", reply.message);
        expect_eq!(w, w.cloud.sales.len(), 2);
        w.cloud.down = false;
        w.cloud.cc_down = false;
        w.wait(Duration::from_secs(60));
        // Nothing is silently wrong.
        let told = w.last_word("WEB-2");
        expect_eq!(w, (told.outcome, told.code), (Outcome::Refused, Some(Code::OrderChanged)));
        expect!(w, !w.was_said("WEB-1", Outcome::Refused), "the other one was right");
        expect!(w, w.durable("WEB-2").deeds.iter().any(|d| d.what.contains("order-changed")));
        expect!(w, w.durable("WEB-1").shipments.iter().all(|s| !s.unverified));
    }

    fn what_the_poll_heard_before_the_network_went_counts_without_it(w) {
        shop(w);
        for number in ["WEB-1", "WEB-2", "WEB-3"] {
            packed(w, number);
        }
        w.cloud.sale_status("WEB-1", "REJECTED");
        change_sale(w, "WEB-2");
        w.cloud.sale_status("WEB-3", "DRAFT");
        w.poll();
        w.run();
        w.crash();
        w.cloud.down = true;
        w.cloud.cc_down = true;
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        expect_eq!(w, w.scan("WEB-2").code, Some(Code::OrderChanged));
        expect_eq!(w, w.scan("WEB-3").code, Some(Code::OrderOnHold));
        expect_eq!(w, w.paper.len(), 0);
    }

    fn an_unverified_label_may_have_to_wait_and_an_old_one_always_does(w) {
        shop(w);
        w.configure(|s| s.routes[0].ahead.unverified = Unverified::Hold);
        packed(w, "WEB-1");
        w.cloud.down = true;
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::StarshipitUnreachable));
        w.settings.routes[0].ahead.unverified = Unverified::Print;
        w.crash();
        w.jump_clock(4 * 24 * 3_600_000);
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::StarshipitUnreachable));
        w.cloud.down = false;
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn a_scan_does_not_wait_for_the_look_before_buying_ahead(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.poll();
        w.run();
        w.advance(Duration::from_secs(1));
        w.handle(printstation::station::Input::Tick);
        let looks = w.cloud.count(Call::Look);
        w.run_until(|w| w.cloud.count(Call::Look) > looks);
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, w.cloud.sold("WEB-1"), w.printed("WEB-1")), (Outcome::Printed, 1, 1));
    }

    fn a_scan_takes_over_the_purchase_ahead(w) {
        shop(w);
        let bought = |w: &World| w.cloud.count(Call::Buy) == 1;
        started(w, "WEB-1", bought);
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, w.cloud.sold("WEB-1"), w.printed("WEB-1")), (Outcome::Printed, 1, 1));
    }

    fn a_scan_takes_over_a_label_that_is_being_made_ready_and_it_is_rechecked(w) {
        shop(w);
        started(w, "WEB-1", |w| !w.spool.is_empty());
        w.cloud.sale_status("WEB-1", "REJECTED");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.code, w.printed("WEB-1")), (Some(Code::OrderCancelled), 0));
    }

    fn a_label_whose_documents_did_not_come_is_made_ready_later(w) {
        shop(w);
        w.cloud.fail(Call::Buy, Fault::NoLabels);
        for _ in 0..4 {
            w.cloud.fail(Call::Reprint, Fault::NotSent);
        }
        packed(w, "WEB-1");
        w.wait(Duration::from_secs(200));
        expect_eq!(w, w.state("WEB-1"), State::Held);
        expect!(w, w.durable("WEB-1").shipments.iter().all(|s| s.stored && !s.pages.is_empty()));
    }

    fn a_held_label_that_is_cancelled_here_is_archived_and_never_prints(w) {
        shop(w);
        packed(w, "WEB-1");
        let reply = w.ask(AskKind::Cancel, "WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Ignored);
        expect!(w, reply.message.contains("may still bill"), "{}", reply.message);
        let order = w.durable("WEB-1");
        expect_eq!(w, (order.state(), order.writebacks.len(), order.is_open()), (State::Cancelled, 0, false));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        expect_eq!(w, w.printed("WEB-1"), 0);
        expect_eq!(w, w.ask(AskKind::Cancel, "WEB-1").outcome, Outcome::Refused);
    }

    fn a_held_label_that_cannot_be_archived_does_not_print_all_the_same(w) {
        shop(w);
        packed(w, "WEB-1");
        w.cloud.down = true;
        w.cloud.cc_down = true;
        let reply = w.ask(AskKind::Cancel, "WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::StarshipitUnreachable)));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        w.cloud.down = false;
        w.cloud.cc_down = false;
        expect_eq!(w, w.ask(AskKind::Cancel, "WEB-1").outcome, Outcome::Ignored);
        expect_eq!(w, w.printed("WEB-1"), 0);
    }

    fn a_status_prints_each_order_once_however_often_it_is_told(w) {
        shop(w);
        on(w, "PACKED", StatusAct::Print);
        packed(w, "WEB-1");
        expect_eq!(w, (w.printed("WEB-1"), w.cloud.sold("WEB-1")), (1, 1));
        for _ in 0..3 {
            w.poll();
            w.wait(Duration::from_secs(2));
            w.crash();
        }
        w.cloud.sale_status("WEB-1", "PICKED");
        w.poll();
        w.wait(Duration::from_secs(2));
        w.cloud.sale_status("WEB-1", "PACKED");
        w.poll();
        w.wait(Duration::from_secs(2));
        expect_eq!(w, (w.printed("WEB-1"), w.cloud.sold("WEB-1")), (1, 1));
    }

    fn a_status_that_prints_waits_for_a_paused_bench_and_for_the_network(w) {
        shop(w);
        on(w, "PACKED", StatusAct::Print);
        w.command("PAUSE");
        packed(w, "WEB-1");
        expect_eq!(w, w.printed("WEB-1"), 0);
        w.crash();
        w.command("RESUME");
        w.wait(Duration::from_secs(3));
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_status_prints_what_another_one_had_bought_ahead(w) {
        shop(w);
        on(w, "DISPATCHED", StatusAct::Print);
        packed(w, "WEB-1");
        expect_eq!(w, w.state("WEB-1"), State::Held);
        w.cloud.sale_status("WEB-1", "DISPATCHED");
        w.poll();
        w.wait(Duration::from_secs(2));
        expect_eq!(w, (w.printed("WEB-1"), w.cloud.sold("WEB-1")), (1, 1));
    }

    fn a_status_prints_nothing_without_its_duty(w) {
        shop(w);
        on(w, "PACKED", StatusAct::Print);
        w.configure(|s| s.print_duty = false);
        packed(w, "WEB-1");
        expect_eq!(w, w.printed("WEB-1"), 0);
    }

    fn a_press_ships_the_next_order_waiting_and_tells_its_number_first(w) {
        shop(w);
        w.configure(|s| {
            s.routes[0].on_status.clear();
            s.next.insert("button".to_owned(), vec!["PACKED".to_owned()]);
            s.tickets = true;
        });
        for (number, at) in [("WEB-1", "2026-11-30T10:00:00Z"), ("WEB-2", "2026-11-30T09:00:00Z")] {
            w.cloud.sell_order("TEA", number);
            w.cloud.sale(number).modified = Some(at.to_owned());
        }
        w.cloud.sell_order("TEA", "WEB-3");
        w.cloud.sale_status("WEB-3", "PICKED");
        expect_eq!(w, w.press(Press::Dispatch).order.as_deref(), Some("WEB-2"));
        expect_eq!(w, w.papers(), vec!["ticket", "WEB-2"]);
        expect_eq!(w, w.press(Press::Next).order.as_deref(), Some("WEB-1"));
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Ignored);
        expect_eq!(w, (w.cloud.sales.len(), w.printed("WEB-3")), (2, 0));
    }

    fn two_quick_presses_ship_two_orders(w) {
        shop(w);
        w.configure(|s| {
            s.routes[0].on_status.clear();
            s.mode = ScanMode::Arm;
            s.next.insert("button".to_owned(), vec!["PACKED".to_owned()]);
        });
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.sell_order("TEA", "WEB-2");
        w.press(Press::Next);
        w.press(Press::Next);
        expect_eq!(w, (w.printed("WEB-1"), w.printed("WEB-2"), w.cloud.sales.len()), (1, 1, 2));
    }

    fn a_press_without_cartoncloud_ships_what_lies_here(w) {
        shop(w);
        w.configure(|s| {
            s.next.insert("button".to_owned(), vec!["PACKED".to_owned()]);
        });
        packed(w, "WEB-1");
        w.cloud.down = true;
        w.cloud.cc_down = true;
        expect_eq!(w, w.press(Press::Dispatch).outcome, Outcome::Printed);
        let reply = w.press(Press::Dispatch);
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::CartoncloudUnreachable)));
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn the_label_that_is_scanned_after_its_order_proves_it(w) {
        w.configure(|s| s.verify = Verify::Ask);
        let id = w.order("WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.next.as_str()), (Outcome::Printed, "scan the label"));
        w.advance(Duration::from_secs(2));
        // The order itself, on a packing slip, proves nothing.
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::AlreadyPrinted));
        w.command("REPRINT");
        w.advance(Duration::from_secs(2));
        let reply = w.scan(&format!("label{id}X0"));
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Ignored, None));
        expect!(w, reply.message.starts_with("Right"), "{}", reply.message);
        expect!(w, w.durable("WEB-1").deeds.iter().any(|d| d.what == "verified"));
    }

    fn the_label_of_another_order_is_a_loud_refusal(w) {
        w.configure(|s| s.verify = Verify::Ask);
        let (one, two) = (w.order("WEB-1"), w.order("WEB-2"));
        w.scan("WEB-1");
        w.scan("WEB-2");
        let reply = w.scan(&format!("LABEL{one}x0"));
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::VerifyMismatch)));
        expect_eq!(w, reply.order.as_deref(), Some("WEB-2"));
        expect_eq!(w, w.signals.last(), Some(&Signal::Refused));
        let reply = w.scan(&format!("LABEL{two}x0"));
        expect!(w, reply.message.starts_with("Right"), "{}", reply.message);
        expect_eq!(w, (w.cloud.sales.len(), w.paper.len()), (2, 2));
    }

    fn a_strict_bench_takes_nothing_before_the_label_was_scanned_or_given_up(w) {
        w.configure(|s| s.verify = Verify::Strict);
        w.order("WEB-1");
        w.order("WEB-2");
        w.scan("WEB-1");
        expect_eq!(w, w.scan("WEB-2").code, Some(Code::VerifyMismatch));
        expect_eq!(w, w.cloud.sold("WEB-2"), 0);
        w.wait(Duration::from_secs(200));
        expect_eq!(w, w.scan("WEB-2").code, Some(Code::VerifyMismatch));
        w.command("CANCEL");
        expect!(w, w.durable("WEB-1").deeds.iter().any(|d| d.what == "not verified"));
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
    }

    fn each_of_several_labels_is_scanned(w) {
        w.configure(|s| s.verify = Verify::Strict);
        w.cloud.layout = vec![(PageRole::Label, "BlankLabels", 3)];
        let id = w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").next.as_str(), "scan the 3 labels");
        for page in [2, 0] {
            let reply = w.scan(&format!("LABEL{id}x{page}"));
            expect_eq!(w, reply.next.as_str(), "scan the next label");
        }
        let reply = w.scan(&format!("LABEL{id}x1"));
        expect!(w, reply.message.starts_with("Right: this is the label"), "{}", reply.message);
    }

    fn the_page_prints_a_held_label(w) {
        shop(w);
        packed(w, "WEB-1");
        expect_eq!(w, w.ask(AskKind::Release, "WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
    }
}

/// Sale orders that are PACKED are bought ahead, whatever their courier.
fn shop(w: &mut World) {
    w.configure(|s| {
        set_up(s);
        s.prefetch_duty = true;
        s.print_duty = true;
        s.routes[0].ahead.couriers = vec!["*".to_owned()];
        s.routes[0]
            .on_status
            .insert("PACKED".to_owned(), StatusAct::Prefetch);
    });
}

fn on(w: &mut World, status: &str, act: StatusAct) {
    w.configure(|s| {
        s.routes[0].on_status.insert(status.to_owned(), act);
    });
}

/// A sale order is packed, and the station has the time to do what that asks for.
fn packed(w: &mut World, number: &str) {
    w.cloud.sell_order("TEA", number);
    w.poll();
    w.run();
    w.wait(Duration::from_secs(4));
}

/// A sale order is packed, and what follows has come so far.
fn started(w: &mut World, number: &str, so: impl Fn(&World) -> bool) {
    w.cloud.sell_order("TEA", number);
    w.poll();
    w.run();
    w.advance(Duration::from_secs(1));
    w.handle(printstation::station::Input::Tick);
    w.run_until(so);
}

fn change_sale(w: &mut World, number: &str) {
    let sale = w.cloud.sale(number);
    sale.fingerprint.push('!');
    sale.version += 1;
}
