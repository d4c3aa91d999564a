//! Creating orders: one per call, kept on a soft failure, found again after a lost reply.

use super::*;
use printstation::domain::Parcel;
use printstation::domain::push::{Destination, NewItem, NewOrder};
use printstation::sim::starshipit::Fault;

fn new(number: &str) -> NewOrder {
    NewOrder {
        number: number.into(),
        reference: Some("787061".into()),
        order_date: Some("2026-11-19T09:10:04+11:00".into()),
        destination: Destination {
            name: "Pat Example".into(),
            street: "12 Sample Street".into(),
            suburb: "Carlton".into(),
            state: Some("VIC".into()),
            post_code: Some("3053".into()),
            country: "Australia".into(),
            ..Destination::default()
        },
        items: vec![NewItem {
            sku: Some("MUG".into()),
            description: Some("Blue mug".into()),
            quantity: 2.0,
            weight_kg: Some(0.4),
            value: Some(12.5),
        }],
        parcels: vec![Parcel {
            weight_kg: 0.8,
            ..Parcel::default()
        }],
        ..NewOrder::default()
    }
}

impl Bench {
    async fn create(&self, order: &NewOrder) -> Result<RemoteOrder, CallFailure> {
        self.client.create(&self.main, order, Priority::Scan).await
    }

    async fn numbered(&self, number: &str) -> Vec<RemoteOrder> {
        let found = self.client.by_number(&self.main, number, Priority::Scan);
        found.await.unwrap()
    }
}

#[tokio::test]
async fn a_new_order_is_there_once_as_it_was_asked_for_and_can_be_shipped() {
    for switches in [&[][..], &["S7=order"], &["S8=code"], &["S10=null"]] {
        let bench = Bench::with(switches).await;
        let made = bench.create(&new("WEB-1")).await.unwrap();
        assert_eq!(
            (made.number.as_str(), made.reference.as_deref()),
            ("WEB-1", Some("787061"))
        );
        assert!(!made.is_printed() && made.has_weight());
        assert_eq!(made.postcode.as_deref(), Some("3053"));
        let found = bench.numbered("WEB-1").await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].order_id, made.order_id);
        bench.ship("WEB-1").await;
    }
}

#[tokio::test]
async fn an_order_that_was_made_and_called_a_failure_is_kept() {
    let bench = Bench::with(&["S6=soft-failure"]).await;
    let made = bench.create(&new("WEB-1")).await.unwrap();
    assert_eq!(bench.numbered("WEB-1").await[0].order_id, made.order_id);
}

#[tokio::test]
async fn a_number_that_is_taken_is_never_a_plain_refusal() {
    for switch in [
        "S1=new-order",
        "S1=refuse",
        "S1=conflict-409",
        "S1=existing",
    ] {
        let bench = Bench::with(&[switch]).await;
        let first = bench.create(&new("WEB-1")).await.unwrap();
        let again = bench.create(&new("WEB-1")).await;
        match (switch, again) {
            ("S1=new-order", Ok(second)) => assert_ne!(second.order_id, first.order_id),
            ("S1=existing", Ok(second)) => assert_eq!(second.order_id, first.order_id),
            ("S1=refuse" | "S1=conflict-409", Err(CallFailure::Unknown { .. })) => {}
            other => panic!("{other:?}"),
        }
        let expected = if switch == "S1=new-order" { 2 } else { 1 };
        assert_eq!(bench.numbered("WEB-1").await.len(), expected, "{switch}");
    }
}

#[tokio::test]
async fn a_create_whose_reply_is_lost_is_sent_once_and_found_by_its_number() {
    for lost in ["drop_after_commit", "drop_before_commit"] {
        let bench = Bench::with(&[]).await;
        let fault = Fault::parse(&format!("{lost}:once:create")).unwrap();
        bench.server.set_faults(vec![fault]);
        assert_unknown(bench.create(&new("WEB-1")).await);
        assert_eq!(bench.calls("create"), 1);
        let expected = usize::from(lost == "drop_after_commit");
        assert_eq!(bench.numbered("WEB-1").await.len(), expected);
    }
}
