//! CartonCloud's sale orders: which one a scan means, into Starshipit once, and what stops a label.
//!
//! Long because what may become of a sale order is read as one list.

use super::world::{Call, Fault, World};
use printstation::domain::{Code, Load, Outcome, State};
use printstation::station::{Confirm, Input, PrintWhen, Route, Settings, Unverified};
use std::time::Duration;

scenarios! {
    fn a_rejected_a_held_and_a_pick_up_order_are_refused_and_nothing_is_created(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.sale_status("WEB-1", "REJECTED");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        w.cloud.sale_status("WEB-1", "DRAFT");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderOnHold));
        w.cloud.sale_status("WEB-1", "AWAITING_STOCK");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderOnHold));
        w.cloud.sale_status("WEB-1", "PACKED");
        w.cloud.sale("WEB-1").pickup = true;
        w.advance(Duration::from_secs(2));
        let reply = w.scan("WEB-1");
        expect!(w, reply.message.contains("picks it up"), "{}", reply.message);
        expect_eq!(w, (w.cloud.created("WEB-1"), w.cloud.sold("WEB-1")), (0, 0));
    }

    fn an_order_of_no_route_has_no_account(w) {
        shop(w);
        w.configure(|s| s.routes[0].customer = Some("ACME".to_owned()));
        w.cloud.sell_order("TEA", "WEB-1");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::AccountUnknown));
        expect_eq!(w, w.cloud.count(Call::LookNumber), 0);
    }

    fn two_orders_of_one_number_are_told_apart_by_their_barcodes(w) {
        customers(w);
        w.cloud.sell_order("TEA", "WEB-1");
        let zed = w.cloud.sell_order("ZED", "WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.code, Some(Code::OrderAmbiguous));
        expect_eq!(w, reply.candidates.len(), 2);
        expect!(w, reply.next.contains(&format!("PSDEMO.ORDER-cc:{zed}")), "{}", reply.next);
        expect_eq!(w, w.cloud.creates.len(), 0);
        expect_eq!(w, w.command(&format!("ORDER-cc:{zed}")).outcome, Outcome::Printed);
        let order = w.durable("WEB-1");
        expect_eq!(w, (order.account.as_str(), order.id.as_str()), ("zed", format!("cc:{zed}").as_str()));
    }

    fn of_two_customers_only_the_one_on_this_benchs_routes_is_meant(w) {
        shop(w);
        w.configure(|s| s.routes[0].customer = Some("TEA".to_owned()));
        let tea = w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.sell_order("ACME", "WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.durable("WEB-1").id.as_str(), format!("cc:{tea}"));
    }

    fn two_orders_with_one_numeric_id_are_ambiguous(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        let numeric = w.cloud.sale("WEB-1").numeric_id.clone();
        w.cloud.sell_order("TEA", "WEB-2");
        w.cloud.sale("WEB-2").numeric_id.clone_from(&numeric);
        let reply = w.scan(&numeric.unwrap_or_default());
        expect_eq!(w, reply.code, Some(Code::OrderAmbiguous));
    }

    fn a_longer_number_that_begins_alike_is_another_order_and_a_composite_one_is_found(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-11");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderNotFound));
        w.cloud.sell_order("TEA", "WEB-2 | 7522 | 0003");
        expect_eq!(w, w.scan("WEB-2").order.as_deref(), Some("WEB-2 | 7522 | 0003"));
        expect_eq!(w, w.cloud.sales.len(), 1);
    }

    fn an_order_is_pushed_bought_and_printed_in_one_scan(w) {
        shop(w);
        let uuid = w.cloud.sell_order("TEA", "WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.created("WEB-1"), w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1, 1));
        let order = w.durable("WEB-1");
        expect_eq!(w, order.id.as_str(), format!("cc:{uuid}"));
        expect_eq!(w, order.reference.clone(), w.cloud.sale("WEB-1").numeric_id.clone());
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan(&format!("https://app/outbound-orders/{uuid}")).code, Some(Code::OrderNotFound));
        expect_eq!(w, w.scan(&order.reference.unwrap_or_else(|| "WEB-1".to_owned())).code, Some(Code::AlreadyPrinted));
    }

    fn a_lost_create_is_looked_for_and_not_sent_again(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.fail(Call::Create, Fault::LostAfter);
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.count(Call::Create), w.cloud.created("WEB-1")), (1, 1));
    }

    fn a_create_that_comes_late_is_found_before_it_is_sent_again(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.fail(Call::Create, Fault::LostLate(Duration::from_secs(80)));
        w.scan("WEB-1");
        w.wait(Duration::from_secs(200));
        expect_eq!(w, (w.cloud.created("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn a_create_that_did_not_happen_is_sent_twice_at_most(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.fail(Call::Create, Fault::LostBefore);
        w.cloud.fail(Call::Create, Fault::LostBefore);
        w.scan("WEB-1");
        w.wait(Duration::from_secs(300));
        expect_eq!(w, w.cloud.count(Call::Create), 2);
        expect_eq!(w, w.last_word("WEB-1").code, Some(Code::NotPushed));
    }

    fn after_a_restart_in_a_create_the_station_looks_first(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.fail(Call::Create, Fault::LostAfter);
        w.hand_in("bench", None, "WEB-1");
        w.run_until(|w| w.cloud.count(Call::Create) == 1);
        w.crash();
        w.run();
        expect_eq!(w, (w.cloud.created("WEB-1"), w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1, 1));
    }

    fn a_weight_that_is_missing_is_asked_for_and_goes_into_the_create(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.sale("WEB-1").raw["weightless"] = serde_json::json!(true);
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Question, Some(Code::WeightMissing)));
        expect_eq!(w, w.cloud.created("WEB-1"), 0);
        expect_eq!(w, w.command("WEIGHT-1.5").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.created("WEB-1"), 1);
    }

    fn a_weight_that_is_missing_comes_from_the_scale_and_goes_into_the_create(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.sale("WEB-1").raw["weightless"] = serde_json::json!(true);
        w.handle(Input::Weighed { load: Load::Stable(1500) });
        w.run();
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.created("WEB-1"), w.cloud.sold("WEB-1")), (1, 1));
    }

    fn an_order_that_starshipit_has_is_adopted_by_its_reference(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        let numeric = w.cloud.sale("WEB-1").numeric_id.clone();
        let id = w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.reference = numeric;
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.created("WEB-1"), w.durable("WEB-1").order_id), (0, id));
    }

    fn without_a_reference_name_and_postcode_must_agree(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.reference = None;
        w.cloud.by_number("WEB-1").remote.postcode = Some("4001".to_owned());
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderAmbiguous));
        expect_eq!(w, (w.cloud.created("WEB-1"), w.cloud.sold("WEB-1")), (0, 0));
        w.cloud.by_number("WEB-1").remote.postcode = Some("4000".to_owned());
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn another_customers_order_of_that_number_is_never_taken(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderAmbiguous));
        expect_eq!(w, (w.cloud.created("WEB-1"), w.cloud.sold("WEB-1")), (0, 0));
    }

    fn an_archived_order_without_a_live_twin_is_cancelled(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        let numeric = w.cloud.sale("WEB-1").numeric_id.clone();
        w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.reference = numeric;
        w.cloud.by_number("WEB-1").remote.archived = true;
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        expect_eq!(w, w.cloud.created("WEB-1"), 0);
    }

    fn a_bench_without_the_push_duty_waits_for_the_pusher_and_then_says_so(w) {
        shop(w);
        w.configure(|s| s.push_duty = false);
        w.cloud.sell_order("TEA", "WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(15));
        expect_eq!(w, w.last_word("WEB-1").code, Some(Code::NotPushed));
        expect!(w, (5..9).contains(&w.cloud.count(Call::LookNumber)), "{}", w.cloud.count(Call::LookNumber));
        w.scan("WEB-1");
        w.wait(Duration::from_secs(3));
        let numeric = w.cloud.sale("WEB-1").numeric_id.clone();
        w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.reference = numeric;
        w.wait(Duration::from_secs(4));
        expect_eq!(w, (w.cloud.count(Call::Create), w.printed("WEB-1")), (0, 1));
    }

    fn an_order_that_cartoncloud_does_not_have_is_looked_for_in_starshipit(w) {
        shop(w);
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect!(w, w.durable("WEB-1").sale.is_none());
    }

    fn a_scan_without_cartoncloud_queues_and_goes_on_after_resume(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.cc_down = true;
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Queued, Some(Code::CartoncloudUnreachable)));
        expect_eq!(w, reply.next, "PSDEMO.RESUME");
        w.wait(Duration::from_secs(20));
        expect!(w, w.station.glance().question.is_none(), "it is not back");
        w.cloud.cc_down = false;
        w.wait(Duration::from_secs(10));
        expect!(w, w.station.glance().question.is_some(), "the station asks");
        w.command("RESUME");
        expect_eq!(w, w.papers(), ["ticket", "WEB-1"]);
    }

    fn a_client_that_cartoncloud_refuses_is_its_own_code(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.cc_keyless = true;
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::CartoncloudUnauthorized));
    }

    fn three_customers_have_three_accounts_three_statuses_and_their_own_questions(w) {
        customers(w);
        for (customer, number) in [("TEA", "TEA-1"), ("ACME", "ACME-1"), ("ZED", "ZED-1")] {
            w.cloud.sell_order(customer, number);
        }
        w.cloud.sale_status("ACME-1", "PICKED");
        w.cloud.sale_status("ZED-1", "DISPATCHED");
        w.poll();
        w.run();
        expect_eq!(w, w.cloud.creates.len(), 3);
        let account = |w: &World, number: &str| w.durable(number).account.0;
        expect_eq!(w, [account(w, "TEA-1"), account(w, "ACME-1"), account(w, "ZED-1")], ["tea", "acme", "zed"]);
        expect_eq!(w, w.durable("ACME-1").number, "ACME-1");
        expect_eq!(w, w.scan("TEA-1").outcome, Outcome::Printed);
        expect_eq!(w, w.scan("ACME-1").outcome, Outcome::Question);
        expect_eq!(w, w.scan("ZED-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("TEA-1"), w.cloud.sold("ACME-1"), w.cloud.sold("ZED-1")), (1, 0, 1));
    }

    fn a_poll_pushes_each_order_once_and_only_in_its_status(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.sale_status("WEB-1", "PACKING_IN_PROGRESS");
        w.poll();
        w.run();
        expect_eq!(w, w.cloud.count(Call::LookNumber), 0);
        // It jumps over PACKED.
        w.cloud.sale_status("WEB-1", "DISPATCHED");
        for _ in 0..3 {
            w.poll();
            w.poll();
            w.run();
        }
        expect_eq!(w, (w.cloud.count(Call::Create), w.cloud.sold("WEB-1")), (1, 0));
        let before = w.carried_out;
        w.poll();
        w.run();
        expect_eq!(w, w.carried_out, before);
    }

    fn a_push_that_is_refused_waits_for_a_change_of_its_order(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.cloud.fail(Call::Create, Fault::Refused(Code::AddressRefused));
        for _ in 0..3 {
            w.poll();
            w.run();
        }
        expect_eq!(w, (w.cloud.count(Call::Create), w.state("WEB-1")), (1, State::Refused));
        w.cloud.sale_status("WEB-1", "PACKED");
        w.poll();
        w.run();
        expect_eq!(w, w.cloud.created("WEB-1"), 1);
    }

    fn an_account_that_refuses_everything_is_not_asked_for_each_order(w) {
        shop(w);
        for number in ["WEB-1", "WEB-2", "WEB-3"] {
            w.cloud.sell_order("TEA", number);
        }
        w.cloud.fail(Call::Create, Fault::Refused(Code::StarshipitUnauthorized));
        w.cloud.sale("WEB-2").status = "PICKED".to_owned();
        w.cloud.sale("WEB-3").status = "PICKED".to_owned();
        w.poll();
        w.run();
        w.cloud.sale_status("WEB-2", "PACKED");
        w.poll();
        w.run();
        expect_eq!(w, w.cloud.count(Call::Create), 1);
        w.wait(Duration::from_secs(301));
        w.poll();
        w.run();
        expect_eq!(w, w.cloud.creates.len(), 2);
    }

    fn a_scan_while_the_order_is_being_pushed_joins_it(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.poll();
        w.run_until(|w| w.cloud.count(Call::Create) == 1);
        w.hand_in("bench", None, "WEB-1");
        w.run();
        w.wait(Duration::from_secs(2));
        expect_eq!(w, (w.cloud.created("WEB-1"), w.printed("WEB-1")), (1, 1));
    }

    fn the_print_field_of_a_sale_order_prints_once_each_time_it_turns_true(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.poll();
        w.run();
        expect_eq!(w, w.printed("WEB-1"), 0);
        print_now(w, "TRUE");
        for _ in 0..3 {
            w.poll();
            w.run();
        }
        expect_eq!(w, (w.printed("WEB-1"), w.said_times("WEB-1")), (1, 1));
        print_now(w, "false");
        w.poll();
        w.run();
        print_now(w, "true");
        w.poll();
        w.run();
        expect_eq!(w, (w.printed("WEB-1"), w.said_times("WEB-1")), (1, 2));
    }

    fn a_paused_bench_prints_what_is_asked_for_when_it_goes_on(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        print_now(w, "true");
        w.command("PAUSE");
        w.poll();
        w.run();
        expect_eq!(w, w.printed("WEB-1"), 0);
        w.command("RESUME");
        w.poll();
        w.run();
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn the_custom_button_is_like_a_scan_and_is_answered(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        expect_eq!(w, w.print_asked("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.print_asked("WEB-1").outcome, Outcome::Ignored);
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.print_asked("WEB-1").code, Some(Code::AlreadyPrinted));
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_label_that_is_held_is_checked_with_its_sale_order(w) {
        shop(w);
        held(w, "WEB-1");
        for (status, code) in [
            ("REJECTED", Code::OrderCancelled),
            ("AWAITING_STOCK", Code::OrderOnHold),
        ] {
            w.cloud.sale_status("WEB-1", status);
            w.advance(Duration::from_secs(2));
            expect_eq!(w, w.scan("WEB-1").code, Some(code));
        }
        w.cloud.sale_status("WEB-1", "PACKED");
        w.cloud.sale("WEB-1").fingerprint.push('!');
        w.advance(Duration::from_secs(2));
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.code, w.printed("WEB-1")), (Some(Code::OrderChanged), 0));
        expect_eq!(w, reply.next, "PSDEMO.REDO");
        w.advance(Duration::from_secs(2));
        w.command("REDO");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn a_dispatched_order_keeps_its_label_back_unless_it_is_pushed_then(w) {
        shop(w);
        w.configure(|s| s.routes[0].push.statuses = vec!["PACKED".to_owned()]);
        held(w, "WEB-1");
        w.cloud.sale_status("WEB-1", "DISPATCHED");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderOnHold));
    }

    fn a_dispatched_order_prints_where_dispatched_orders_are_pushed(w) {
        shop(w);
        held(w, "WEB-1");
        w.cloud.sale_status("WEB-1", "DISPATCHED");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn a_held_label_without_cartoncloud_prints_or_waits_as_it_is_set(w) {
        shop(w);
        held(w, "WEB-1");
        w.cloud.cc_down = true;
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn a_held_label_without_cartoncloud_is_held_where_that_is_set(w) {
        shop(w);
        w.configure(|s| s.routes[0].ahead.unverified = Unverified::Hold);
        held(w, "WEB-1");
        w.cloud.cc_down = true;
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::CartoncloudUnreachable));
        expect_eq!(w, w.printed("WEB-1"), 0);
    }

    fn a_held_label_of_a_deleted_order_is_kept_back(w) {
        shop(w);
        held(w, "WEB-1");
        w.cloud.sale_orders.clear();
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        expect_eq!(w, w.printed("WEB-1"), 0);
    }

    fn a_held_label_of_an_order_entered_again_prints_with_its_new_link(w) {
        shop(w);
        held(w, "WEB-1");
        let id = w.durable("WEB-1").id;
        let new = w.cloud.reenter("WEB-1");
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        let order = w.durable("WEB-1");
        expect_eq!(w, (&order.id, order.sale.map(|s| s.uuid)), (&id, Some(new)));
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn an_order_entered_again_before_it_was_bought_is_the_same_one(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.poll();
        w.run();
        let id = w.durable("WEB-1").id;
        w.cloud.reenter("WEB-1");
        // Its Starshipit order has the old reference: the ledger knows whose it is.
        w.poll();
        w.run();
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.creates.len(), w.cloud.sold("WEB-1")), (1, 1));
        expect!(w, w.memory.order(&id).is_some_and(|o| o.state() == State::Printed));
    }

    fn redo_of_a_rejected_order_buys_nothing(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.scan("WEB-1");
        w.cloud.sale_status("WEB-1", "REJECTED");
        w.advance(Duration::from_secs(2));
        w.command("REDO");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::OrderCancelled));
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
        w.command("NEXT-PARCEL");
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn redo_and_one_more_parcel_of_a_sale_order(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.scan("WEB-1");
        w.command("NEXT-PARCEL");
        expect_eq!(w, w.cloud.sold("WEB-1"), 2);
        w.command("REDO");
        w.advance(Duration::from_secs(2));
        w.scan("WEB-1");
        expect_eq!(w, w.cloud.sold("WEB-1"), 3);
        expect_eq!(w, w.durable("WEB-1").tracking().len(), 2);
    }

    fn redo_without_cartoncloud_is_not_kept(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.scan("WEB-1");
        w.cloud.cc_down = true;
        w.advance(Duration::from_secs(2));
        w.command("REDO");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::CartoncloudUnreachable)));
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn an_order_scanned_before_cartoncloud_was_set_up_keeps_its_id_and_gets_its_link(w) {
        let numeric = Some("70001".to_owned());
        w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.reference = numeric;
        w.scan("WEB-1");
        let id = w.durable("WEB-1").id;
        w.cloud.sell_order("TEA", "WEB-1");
        set_up(&mut w.settings);
        w.crash();
        w.poll();
        w.run();
        expect!(w, id.as_str().starts_with("ss:"));
        let order = w.durable("WEB-1");
        expect_eq!(w, (&order.id, order.sale.is_some()), (&id, true));
        expect!(w, !order.writebacks.is_empty(), "its number is owed from now on");
    }

    fn a_label_made_elsewhere_is_written_back_and_asked_about_at_its_scan(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.poll();
        w.run();
        if w.cloud.created("WEB-1") == 0 {
            return;
        }
        w.cloud.label_elsewhere_if_unsold("WEB-1");
        w.made_elsewhere("WEB-1");
        w.made_elsewhere("WEB-1");
        let order = w.durable("WEB-1");
        expect_eq!(w, (order.shipments.len(), order.state(), w.paper.len()), (1, State::Known, 0));
        w.wait(Duration::from_secs(2));
        expect_eq!(w, w.sinks.told(&order.id, "consignment").len(), 1);
        expect!(w, !w.durable("WEB-1").is_open(), "nothing is owed any more");
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::PrintedElsewhere));
        expect_eq!(w, w.command("YES").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (0, 1));
        expect_eq!(w, w.durable("WEB-1").shipments.len(), 1);
    }

    fn a_label_made_elsewhere_for_another_order_of_that_number_is_not_ours(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        w.made_elsewhere("WEB-1");
        expect_eq!(w, w.memory.orders().count(), 0);
    }
}

/// One route for everybody, pushed from here, written to a consignment, else as a document.
pub fn shop(w: &mut World) {
    w.configure(set_up);
}

pub fn set_up(s: &mut Settings) {
    s.cartoncloud = true;
    s.push_duty = true;
    s.print_when = Some(PrintWhen {
        path: "properties.printNow".to_owned(),
        equals: "true".to_owned(),
    });
    let route = &mut s.routes[0];
    route.push.enabled = true;
    route.writeback.sinks = ["sale_order", "consignment", "order_document", "shopify:tea"]
        .map(str::to_owned)
        .to_vec();
    route.keep = vec!["properties.shopifyOrderId".to_owned()];
}

fn customers(w: &mut World) {
    w.configure(|s| {
        set_up(s);
        let one = s.routes[0].clone();
        s.routes = [("TEA", "PACKED"), ("ACME", "PICKED"), ("ZED", "DISPATCHED")]
            .map(|(customer, status)| {
                let mut route = Route {
                    customer: Some(customer.to_owned()),
                    account: customer.to_ascii_lowercase().as_str().into(),
                    ..one.clone()
                };
                route.push.statuses = vec![status.to_owned()];
                route.confirm = (customer == "ACME").then_some(Confirm::Always);
                route
            })
            .to_vec();
    });
}

/// An order whose label is bought and not printed: its reply came when its scan had been told "queued".
pub fn held(w: &mut World, number: &str) {
    w.cloud.sell_order("TEA", number);
    w.poll();
    w.run();
    w.cloud
        .fail(Call::Buy, Fault::LostLate(Duration::from_secs(30)));
    w.hand_in("bench", None, number);
    w.run_until(|w| w.cloud.count(Call::Buy) == 1);
    for _ in 0..3 {
        w.cloud.fail(Call::Look, Fault::LostBefore);
    }
    w.wait(Duration::from_secs(60));
    w.command("CANCEL");
    expect_eq!(w, (w.state(number), w.printed(number)), (State::Held, 0));
}

fn print_now(w: &mut World, value: &str) {
    let sale = w.cloud.sale("WEB-1");
    sale.raw["properties"]["printNow"] = serde_json::json!(value);
    sale.version += 1;
}
