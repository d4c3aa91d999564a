//! Tracking numbers back: one record with the number, once in every sink, superseded by REDO.

use super::sales::{held, shop};
use super::world::{Call, Fault, Hitch, World};
use printstation::domain::writeback::{bounded, is_written};
use printstation::domain::{Code, Outcome, WritebackState};
use printstation::station::WritebackVerb;
use std::time::Duration;

scenarios! {
    fn a_number_is_told_to_every_sink_once_and_the_fall_back_is_spared(w) {
        shop(w);
        printed(w, "WEB-1");
        w.sinks.plan.extend([Hitch::Retry, Hitch::Lost, Hitch::Lost]);
        w.wait(Duration::from_secs(8));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 1);
        expect_eq!(w, told(w, "WEB-1", "shopify:tea"), 1);
        expect_eq!(w, told(w, "WEB-1", "order_document"), 0);
        expect!(w, !w.durable("WEB-1").is_open(), "nothing is owed any more");
        let rule = w.settings.routes[0].writeback.clone();
        expect!(w, is_written(&w.durable("WEB-1"), &rule));
    }

    fn the_fall_back_waits_for_earlier_sinks_and_stands_in_when_none_takes_the_number(w) {
        shop(w);
        w.configure(|s| s.routes[0].writeback.sinks.retain(|s| s != "sale_order"));
        printed(w, "WEB-1");
        w.sinks.plan.extend([Hitch::Retry, Hitch::Retry, Hitch::Unsupported]);
        w.sinks.down = true;
        w.wait(Duration::from_secs(3));
        expect_eq!(w, told(w, "WEB-1", "order_document"), 0);
        w.sinks.down = false;
        w.wait(Duration::from_secs(8));
        expect_eq!(w, (told(w, "WEB-1", "consignment"), told(w, "WEB-1", "order_document")), (0, 1));
    }

    fn a_document_that_is_always_made_waits_for_nothing(w) {
        shop(w);
        w.configure(|s| s.routes[0].writeback.document_always = true);
        printed(w, "WEB-1");
        w.wait(Duration::from_secs(3));
        expect_eq!(w, (told(w, "WEB-1", "consignment"), told(w, "WEB-1", "order_document")), (1, 1));
    }

    fn redo_is_told_by_itself_and_the_old_number_no_more(w) {
        shop(w);
        printed(w, "WEB-1");
        w.wait(Duration::from_secs(3));
        w.command("REDO");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(3));
        let order = w.durable("WEB-1");
        expect_eq!(w, w.sinks.told(&order.id, "consignment").len(), 2);
        expect_eq!(w, w.sinks.told(&order.id, "consignment").last(), Some(&order.tracking().join(",")));
    }

    fn redo_supersedes_what_was_never_delivered(w) {
        shop(w);
        w.sinks.down = true;
        printed(w, "WEB-1");
        w.wait(Duration::from_secs(3));
        let old = w.durable("WEB-1").tracking();
        w.command("REDO");
        w.scan("WEB-1");
        let order = w.durable("WEB-1");
        expect!(w, order.writebacks.iter().all(|job| job.supersedes == old));
        w.sinks.down = false;
        w.wait(Duration::from_secs(3));
        expect_eq!(w, w.sinks.told(&order.id, "consignment"), order.tracking());
    }

    fn a_delivery_under_way_while_redo_supersedes_it_settles_nothing(w) {
        shop(w);
        printed(w, "WEB-1");
        w.write_back();
        let late = w.replies_waiting();
        w.hand_in("bench", None, "PSDEMO.REDO");
        w.hand_in("bench", None, "WEB-1");
        // The old number's answers come last.
        while w.step() || w.replies_waiting() > late {
            if w.replies_waiting() > late {
                w.deliver(late);
            }
        }
        w.run();
        w.wait(Duration::from_secs(5));
        let order = w.durable("WEB-1");
        expect_eq!(w, w.sinks.told(&order.id, "consignment").last(), Some(&order.tracking().join(",")));
    }

    fn one_more_parcel_is_told_as_a_whole_set(w) {
        shop(w);
        printed(w, "WEB-1");
        w.wait(Duration::from_secs(2));
        w.command("NEXT-PARCEL");
        w.wait(Duration::from_secs(2));
        let order = w.durable("WEB-1");
        expect_eq!(w, order.tracking().len(), 2);
        expect_eq!(w, w.sinks.told(&order.id, "consignment").last(), Some(&order.tracking().join(",")));
    }

    fn a_number_that_comes_late_is_owed_before_and_told_after(w) {
        shop(w);
        w.cloud.fail(Call::Buy, Fault::NoNumber);
        printed(w, "WEB-1");
        w.wait(Duration::from_secs(2));
        let order = w.durable("WEB-1");
        expect!(w, order.writebacks.iter().all(|job| job.state == WritebackState::Waiting));
        expect_eq!(w, (order.writebacks.is_empty(), w.sinks.attempts), (false, 0));
        w.cloud.show_numbers();
        w.wait(Duration::from_secs(10));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 1);
    }

    fn a_held_label_is_told_when_it_is_released(w) {
        shop(w);
        held(w, "WEB-1");
        w.wait(Duration::from_secs(3));
        expect_eq!(w, w.sinks.attempts, 0);
        let waits = |w: &World| w.durable("WEB-1").writebacks.iter().all(|job| job.state == WritebackState::Waiting);
        expect!(w, waits(w));
        w.scan("WEB-1");
        w.wait(Duration::from_secs(3));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 1);
    }

    fn a_held_label_is_told_when_it_is_bought_where_that_is_set(w) {
        shop(w);
        w.configure(|s| s.routes[0].writeback.on_purchase = true);
        held(w, "WEB-1");
        w.wait(Duration::from_secs(3));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 1);
    }

    fn a_held_label_of_a_cancelled_order_owes_nothing(w) {
        shop(w);
        held(w, "WEB-1");
        w.cloud.sale_status("WEB-1", "REJECTED");
        w.poll();
        w.run();
        expect_eq!(w, (w.durable("WEB-1").writebacks.len(), w.sinks.attempts), (0, 0));
        w.cloud.sale_status("WEB-1", "PACKED");
        w.poll();
        w.run();
        w.advance(Duration::from_secs(2));
        expect_eq!(w, w.scan("WEB-1").outcome, Outcome::Printed);
        w.wait(Duration::from_secs(2));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 1);
    }

    fn another_number_that_stands_there_is_kept_until_a_person_decides(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        let id = printstation::domain::OrderId::cartoncloud("uuid-web-1");
        w.sinks.stands.insert((id.clone(), "consignment".to_owned()), vec!["THEIRS".to_owned()]);
        w.scan("WEB-1");
        w.wait(Duration::from_secs(4));
        expect_eq!(w, w.station.glance().writebacks.conflicts, 1);
        let job = job(w, "WEB-1", "consignment");
        expect_eq!(w, job.as_ref().map(|j| j.state.clone()), Some(WritebackState::Conflict { theirs: "THEIRS".to_owned() }));
        expect_eq!(w, job.as_ref().and_then(printstation::domain::Writeback::code), Some(Code::WritebackConflict));
        expect_eq!(w, told(w, "WEB-1", "order_document"), 0);
        let n = job.map_or(0, |job| job.n);
        expect_eq!(w, w.decide(&id, n, WritebackVerb::KeepOurs).outcome, Outcome::Ignored);
        w.wait(Duration::from_secs(2));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 1);
        expect_eq!(w, w.decide(&id, n, WritebackVerb::Retry).outcome, Outcome::Refused);
    }

    fn their_number_stays_when_a_person_says_so(w) {
        shop(w);
        w.cloud.sell_order("TEA", "WEB-1");
        let id = printstation::domain::OrderId::cartoncloud("uuid-web-1");
        w.sinks.stands.insert((id.clone(), "consignment".to_owned()), vec!["THEIRS".to_owned()]);
        w.scan("WEB-1");
        w.wait(Duration::from_secs(4));
        let n = job(w, "WEB-1", "consignment").map_or(0, |job| job.n);
        expect_eq!(w, w.decide(&id, n, WritebackVerb::KeepTheirs).outcome, Outcome::Ignored);
        w.wait(Duration::from_secs(2));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 0);
        expect!(w, !w.durable("WEB-1").is_open());
    }

    fn what_no_sink_takes_is_tried_again_when_a_person_says_so(w) {
        shop(w);
        w.configure(|s| s.routes[0].writeback.sinks = vec!["consignment".to_owned()]);
        printed(w, "WEB-1");
        w.sinks.plan.push_back(Hitch::Unsupported);
        w.wait(Duration::from_secs(200));
        expect!(w, !w.durable("WEB-1").is_open());
        expect!(w, w.station.order(&w.durable("WEB-1").id).is_none(), "closed orders leave memory");
        let n = job(w, "WEB-1", "consignment").map_or(0, |job| job.n);
        let id = w.durable("WEB-1").id;
        expect_eq!(w, w.decide(&id, n, WritebackVerb::Retry).outcome, Outcome::Ignored);
        w.wait(Duration::from_secs(2));
        expect_eq!(w, told(w, "WEB-1", "consignment"), 1);
    }

    fn a_network_that_stays_away_does_not_wear_the_card(w) {
        shop(w);
        printed(w, "WEB-1");
        w.sinks.down = true;
        w.wait(Duration::from_secs(2));
        let before = w.durable("WEB-1").seq;
        w.wait(Duration::from_secs(100));
        expect!(w, w.sinks.attempts > 100);
        expect_eq!(w, w.durable("WEB-1").seq, before);
        let glance = w.station.glance().writebacks;
        expect!(w, glance.pending > 0 && glance.oldest.is_some());
    }

    fn an_order_that_cartoncloud_does_not_have_is_told_only_elsewhere(w) {
        shop(w);
        w.order("WEB-1");
        w.scan("WEB-1");
        w.wait(Duration::from_secs(2));
        expect_eq!(w, (told(w, "WEB-1", "shopify:tea"), told(w, "WEB-1", "consignment")), (1, 0));
    }

    fn a_record_stays_small_however_often_it_is_redone(w) {
        shop(w);
        printed(w, "WEB-1");
        for _ in 0..6 {
            w.advance(Duration::from_secs(2));
            w.command("REDO");
            w.scan("WEB-1");
            w.wait(Duration::from_secs(2));
        }
        let order = w.durable("WEB-1");
        expect_eq!(w, order.shipments.len(), 7);
        expect_eq!(w, order.writebacks.len(), 3);
        let bytes = serde_json::to_vec(&order.writebacks).map_or(0, |json| json.len());
        expect!(w, bytes < 2_500, "{bytes}");
        expect!(w, bounded("ä".repeat(500)).len() <= 200);
    }
}

fn printed(w: &mut World, number: &str) {
    w.cloud.sell_order("TEA", number);
    w.scan(number);
    expect_eq!(w, w.printed(number), 1);
}

fn told(w: &World, number: &str, sink: &str) -> usize {
    let id = w.durable(number).id;
    w.sinks.told(&id, sink).len()
}

fn job(w: &World, number: &str, sink: &str) -> Option<printstation::domain::Writeback> {
    let order = w.durable(number);
    order.writebacks.into_iter().find(|job| job.sink == sink)
}
