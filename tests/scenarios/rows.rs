//! The decision table of product.md section 3, row by row.

use super::world::{Call, Fault, World};
use printstation::domain::{Code, Load, Outcome, Proof, Signal, State};
use printstation::station::{Confirm, Elsewhere, Input, Lookup, Route, ScanMode};
use regex::Regex;
use std::time::Duration;

scenarios! {
    fn a_new_order_is_bought_and_printed(w) {
        w.order("WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, reply.proof, Some(Proof::Confirmed));
        expect_eq!(w, reply.tracking, w.durable("WEB-1").tracking());
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
        expect_eq!(w, w.state("WEB-1"), State::Printed);
    }

    fn accepted_is_perceived_before_the_label(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        let at = |signal| w.signals.iter().position(|s| *s == signal);
        expect!(w, at(Signal::Accepted) < at(Signal::Printed));
        expect!(w, at(Signal::Accepted).is_some());
    }

    fn an_unknown_order_is_refused(w) {
        let reply = w.scan("WEB-404");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::OrderNotFound)));
        expect_eq!(w, w.paper.len(), 0);
    }

    fn the_same_code_within_the_window_is_the_same_act(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.advance(Duration::from_millis(1400));
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Ignored);
        // The window is not renewed: 1.5 s after the first scan it is over.
        w.advance(Duration::from_millis(200));
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.code, Some(Code::AlreadyPrinted));
    }

    fn the_window_belongs_to_one_scanner(w) {
        w.order("WEB-1");
        w.scan_at("left", "WEB-1");
        let reply = w.scan_at("right", "WEB-1");
        expect_eq!(w, reply.code, Some(Code::AlreadyPrinted));
    }

    fn an_order_that_is_being_worked_on_is_not_started_again(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::LostBefore);
        w.hand_in("left", None, "WEB-1");
        w.run();
        let reply = w.scan_at("right", "WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Ignored);
        w.wait(Duration::from_secs(120));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
        expect_eq!(w, w.last_word("WEB-1").outcome, Outcome::Printed);
    }

    fn two_scans_of_one_order_before_the_first_answer_are_one_act(w) {
        w.order("WEB-1");
        let left = w.hand_in("left", None, "WEB-1");
        let right = w.hand_in("right", None, "REF-WEB-1");
        w.run();
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (1, 1));
        let outcomes = [w.reply_to(left).outcome, w.reply_to(right).outcome];
        expect!(w, outcomes.contains(&Outcome::Printed), "{outcomes:?}");
    }

    fn a_printed_order_is_refused_with_when_where_and_a_way_forward(w) {
        w.order("WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(240));
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::AlreadyPrinted)));
        expect!(w, reply.message.contains("4 min ago on label"), "{}", reply.message);
        expect!(w, reply.next.contains("PSDEMO.REPRINT") && reply.next.contains("PSDEMO.NEXT-PARCEL"));
        expect_eq!(w, reply.order.as_deref(), Some("WEB-1"));
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn a_label_made_elsewhere_is_asked_about_and_yes_prints_it(w) {
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Question, Some(Code::PrintedElsewhere)));
        expect_eq!(w, reply.next, "PSDEMO.YES");
        expect_eq!(w, w.paper.len(), 0);
        let reply = w.command("YES");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (0, 1));
    }

    fn two_people_who_say_yes_get_one_label(w) {
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        w.scan_at("left", "WEB-1");
        w.scan_at("right", "WEB-1");
        w.scan_at("left", "PSDEMO.YES");
        w.scan_at("right", "PSDEMO.YES");
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn two_people_who_say_yes_at_once_are_both_answered(w) {
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        w.scan_at("left", "WEB-1");
        w.scan_at("right", "WEB-1");
        w.hand_in("left", None, "PSDEMO.YES");
        w.hand_in("right", None, "PSDEMO.YES");
        w.run();
        expect_eq!(w, w.printed("WEB-1"), 1);
        expect_eq!(w, w.acts_open(), []);
    }

    fn print_once_prints_a_label_made_elsewhere_at_the_first_scan_only(w) {
        w.configure(|s| s.elsewhere = Elsewhere::PrintOnce);
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::AlreadyPrinted));
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (0, 1));
    }

    fn refuse_refuses_a_label_made_elsewhere_and_reprint_is_the_way(w) {
        w.configure(|s| s.elsewhere = Elsewhere::Refuse);
        w.order("WEB-1");
        w.cloud.label_elsewhere("WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::PrintedElsewhere)));
        expect_eq!(w, reply.next, "PSDEMO.REPRINT");
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
        expect_eq!(w, w.command("REPRINT").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.sold("WEB-1"), w.printed("WEB-1")), (0, 1));
    }

    fn an_archived_order_is_cancelled(w) {
        w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.archived = true;
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::OrderCancelled)));
    }

    fn an_archived_order_with_a_live_twin_ships_the_twin(w) {
        w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.archived = true;
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn an_order_without_weight_is_asked_about_before_it_is_bought(w) {
        w.order("WEB-1");
        weightless(w, "WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Question, Some(Code::WeightMissing)));
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        let reply = w.command("WEIGHT-1.25");
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, w.printed("WEB-1"), 1);
    }

    fn the_scale_completes_an_order_without_a_weight(w) {
        w.order("WEB-1");
        weightless(w, "WEB-1");
        on_scale(w, Load::Stable(1250));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn the_weight_of_one_parcel_is_not_the_next_orders(w) {
        for number in ["WEB-1", "WEB-2", "WEB-3"] {
            w.order(number);
            weightless(w, number);
        }
        on_scale(w, Load::Stable(1250));
        w.scan("WEB-1");
        // It still lies there, and the scale wavers a little.
        on_scale(w, Load::Unknown);
        on_scale(w, Load::Stable(1252));
        expect_eq!(w, w.scan("WEB-2").code, Some(Code::WeightMissing));
        w.advance(Duration::from_secs(2));
        on_scale(w, Load::Empty);
        on_scale(w, Load::Stable(1251));
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
        // Another one, laid on without taking the first away in between.
        on_scale(w, Load::Stable(3000));
        expect_eq!(w, w.scan("WEB-3").outcome, Outcome::Printed);
    }

    fn a_scale_that_moves_or_is_away_is_not_waited_for(w) {
        w.order("WEB-1");
        weightless(w, "WEB-1");
        on_scale(w, Load::Unknown);
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::WeightMissing));
        w.advance(Duration::from_secs(2));
        on_scale(w, Load::Stable(800));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn a_weight_that_starshipit_misses_comes_from_the_scale(w) {
        w.order("WEB-1");
        on_scale(w, Load::Stable(800));
        w.cloud.fail(Call::Buy, Fault::Refused(Code::WeightMissing));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, (w.cloud.count(Call::Buy), w.cloud.sold("WEB-1")), (2, 1));
        // Once: a scale that does not help is no way round a refusal.
        w.order("WEB-2");
        on_scale(w, Load::Stable(2800));
        for _ in 0..2 {
            w.cloud.fail(Call::Buy, Fault::Refused(Code::WeightMissing));
        }
        expect_eq!(w, w.scan("WEB-2").code, Some(Code::WeightMissing));
        expect_eq!(w, w.cloud.count(Call::Buy), 4);
    }

    fn a_weight_that_a_person_gave_counts_more_than_the_scales(w) {
        w.order("WEB-1");
        weightless(w, "WEB-1");
        on_scale(w, Load::Stable(800));
        w.command("WEIGHT-2");
        w.scan("WEB-1");
        // It is still there for an order that needs it.
        w.order("WEB-2");
        weightless(w, "WEB-2");
        expect_eq!(w, w.scan("WEB-2").outcome, Outcome::Printed);
    }

    fn an_order_without_a_courier_is_normal(w) {
        w.order("WEB-1");
        w.cloud.by_number("WEB-1").remote.carrier = None;
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn a_courier_that_starshipit_misses_is_asked_for(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::Refused(Code::CourierMissing));
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Question, Some(Code::CourierMissing)));
        expect_eq!(w, w.command("COURIER-AusPost:7E55").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn confirm_never_leaves_a_missing_weight_to_starshipit(w) {
        w.configure(|s| s.confirm = Confirm::Never);
        w.order("WEB-1");
        weightless(w, "WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn confirm_always_buys_nothing_without_a_yes(w) {
        w.configure(|s| s.confirm = Confirm::Always);
        w.order("WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Question);
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        expect_eq!(w, w.command("YES").outcome, Outcome::Printed);
    }

    fn a_no_leaves_everything_as_it_is(w) {
        w.configure(|s| s.confirm = Confirm::Always);
        w.order("WEB-1");
        w.scan("WEB-1");
        expect_eq!(w, w.command("NO").outcome, Outcome::Ignored);
        expect_eq!(w, w.command("YES").code, Some(Code::NoQuestion));
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
    }

    fn an_address_is_never_opened_and_only_its_known_forms_name_an_order(w) {
        w.order("12345");
        w.order("https://evil.example/12345");
        expect_eq!(w, w.scan("https://evil.example/12345").code, Some(Code::OrderNotFound));
        expect_eq!(w, w.cloud.count(Call::Find), 0);
        let reply = w.scan("https://app.example.com/SaleOrders/view/12345");
        expect_eq!(w, (reply.outcome, reply.order.as_deref()), (Outcome::Printed, Some("12345")));
    }

    fn gs1_data_names_the_order_it_carries_and_noise_names_none(w) {
        w.order("PO-77");
        let reply = w.scan("]C1400PO-77");
        expect_eq!(w, (reply.outcome, reply.order.as_deref()), (Outcome::Printed, Some("PO-77")));
        expect_eq!(w, w.scan("]C10109521101530001").code, Some(Code::OrderNotFound));
        expect_eq!(w, w.scan("PO-77\u{1d}").code, Some(Code::OrderNotFound));
        expect_eq!(w, w.cloud.count(Call::Find), 1);
    }

    fn in_arm_mode_a_scan_arms_and_a_yes_ships(w) {
        w.configure(|s| s.mode = ScanMode::Arm);
        w.order("WEB-1");
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Question);
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        expect_eq!(w, w.command("YES").outcome, Outcome::Printed);
    }

    fn a_courier_refusal_is_told_and_the_same_scan_tries_again(w) {
        w.order("WEB-1");
        w.cloud.fail(Call::Buy, Fault::Refused(Code::CourierRefused));
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::CourierRefused)));
        expect!(w, reply.message.contains("as planned"));
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.sold("WEB-1"), 1);
    }

    fn the_same_number_in_two_accounts_is_ambiguous_and_an_order_barcode_chooses(w) {
        two_accounts(w);
        w.order_at("main", "WEB-1");
        let other = w.order_at("other", "WEB-1");
        let reply = w.scan("WEB-1");
        expect_eq!(w, (reply.outcome, reply.code), (Outcome::Refused, Some(Code::OrderAmbiguous)));
        expect_eq!(w, reply.candidates.len(), 2);
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
        let reply = w.command(&format!("ORDER-ss:other:{other}"));
        expect_eq!(w, reply.outcome, Outcome::Printed);
        expect_eq!(w, w.durable("WEB-1").account.as_str(), "other");
        w.advance(Duration::from_secs(5));
        let reply = w.command(&format!("ORDER-ss:other:{other}"));
        expect_eq!(w, reply.code, Some(Code::AlreadyPrinted));
    }

    fn an_account_that_cannot_answer_might_hold_the_number_too(w) {
        two_accounts(w);
        w.order_at("main", "WEB-1");
        w.cloud.fail(Call::Find, Fault::LostBefore);
        let reply = w.scan("WEB-1");
        expect_eq!(w, reply.outcome, Outcome::Queued);
        expect_eq!(w, w.cloud.count(Call::Buy), 0);
    }

    fn an_account_whose_key_is_refused_does_not_stop_the_others(w) {
        two_accounts(w);
        w.order_at("main", "WEB-1");
        w.cloud.keyless = vec!["other".into()];
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
    }

    fn only_accounts_whose_route_fits_the_scan_are_asked(w) {
        w.configure(|s| {
            s.routes = ["TEA", "ACME"]
                .iter()
                .map(|account| Route {
                    scan: Some(Regex::new(&format!("^{account}-")).unwrap()),
                    ..Route::plain(account, "label")
                })
                .collect();
        });
        w.order_at("TEA", "TEA-1");
        expect_eq!(w, w.scan("TEA-1").outcome, Outcome::Printed);
        expect_eq!(w, w.cloud.count(Call::Find), 1);
        expect_eq!(w, w.scan("OTHER-1").code, Some(Code::AccountUnknown));
    }

    fn an_order_is_found_by_reference_and_by_tracking_number(w) {
        w.order("WEB-1");
        expect_eq!(w, w.scan("ref-web-1").outcome, Outcome::Printed);
        let number = w.durable("WEB-1").tracking().first().cloned();
        let reply = w.scan(&number.unwrap_or_else(|| "WEB-1".to_owned()));
        expect_eq!(w, reply.code, Some(Code::AlreadyPrinted));
    }

    fn a_pattern_finds_what_it_printed_before_without_asking_starshipit(w) {
        w.configure(|s| {
            s.patterns = vec![Regex::new(r"^SO-(?P<order>\d+)$").unwrap()];
            s.fallback = vec![Lookup::OrderNumber];
        });
        w.order("4711");
        expect_eq!(w, w.scan("SO-4711").outcome, Outcome::Printed);
        w.cloud.down = true;
        w.advance(Duration::from_secs(5));
        expect_eq!(w, w.scan("SO-4711").code, Some(Code::AlreadyPrinted));
    }

    fn the_key_being_refused_is_its_own_code(w) {
        w.order("WEB-1");
        w.cloud.keyless = vec!["main".into()];
        expect_eq!(w, w.scan("WEB-1").code, Some(Code::StarshipitUnauthorized));
        w.cloud.keyless.clear();
    }
}

fn weightless(w: &mut World, number: &str) {
    let remote = &mut w.cloud.by_number(number).remote;
    remote.parcels.clear();
    remote.items_weight_kg = 0.0;
}

fn two_accounts(w: &mut World) {
    w.configure(|s| {
        let mut other = s.routes[0].clone();
        other.account = "other".into();
        s.routes.push(other);
    });
}

fn on_scale(w: &mut World, load: Load) {
    w.handle(Input::Weighed { load });
    w.run();
}
