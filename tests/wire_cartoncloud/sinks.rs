//! The sinks: a number is there once, another one is never overwritten, and nothing is lost.

use super::*;
use printstation::cartoncloud::PutTest;
use printstation::cartoncloud::sinks::{
    Consignment, Fields, OrderDocumentSink, OrderProperties, SaleOrderSink,
};
use printstation::domain::writeback::Dispatch;
use printstation::domain::{
    AccountName, Delivery, DocumentId, DocumentMeta, OrderId, Party, SaleLink, Timestamp,
    Writeback, WritebackState,
};
use printstation::outbox::{Documents, Sink};
use printstation::sim::cartoncloud::Change;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const DONE: Delivery = Delivery::Done { handle: None };
const HOUR: Duration = Duration::from_secs(3600);

/// Label files by name; no name, no file.
struct Spool;

impl Documents for Spool {
    fn read<'a>(
        &'a self,
        id: &'a DocumentId,
    ) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send + 'a>> {
        Box::pin(async move {
            match id.as_str() {
                "gone" => None,
                "zpl" => Some(b"^XA^XZ".to_vec()),
                "junk" => Some(b"<html>".to_vec()),
                _ => Some(b"%PDF-1.4 label".to_vec()),
            }
        })
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|n| (*n).to_owned()).collect()
}

impl Bench {
    fn dispatch(&self, reference: &str, tracking: &[&str]) -> Dispatch {
        let view = self.view(reference);
        let customer = self.server.customers();
        let customer = customer.iter().find(|c| c.code == view.customer).unwrap();
        Dispatch {
            order: OrderId::cartoncloud(&view.id),
            number: reference.into(),
            account: AccountName::from("main"),
            sale: Some(SaleLink {
                uuid: view.id,
                customer: Party {
                    id: customer.id.clone(),
                    ..Party::default()
                },
                ..SaleLink::default()
            }),
            carrier: "Plain Label".into(),
            shipped: Timestamp(0),
            documents: tracking
                .iter()
                .map(|n| DocumentMeta {
                    id: DocumentId((*n).to_owned()),
                    len: 1,
                    label_type: String::new(),
                })
                .collect(),
            job: Writeback {
                n: 1,
                sink: String::new(),
                tracking: texts(tracking),
                supersedes: Vec::new(),
                state: WritebackState::Pending,
                attempts: 0,
                overwrite: false,
                handle: None,
                trouble: None,
                since: Timestamp(0),
                at: Timestamp(0),
            },
        }
    }

    fn consignment(&self) -> Consignment {
        Consignment::new(self.client.clone(), None, HOUR, Arc::new(|| Timestamp(0)))
    }

    fn document(&self) -> OrderDocumentSink {
        OrderDocumentSink::new(self.client.clone(), Arc::new(Spool))
    }

    fn properties(&self) -> OrderProperties {
        let passed = Arc::new(AtomicBool::new(true));
        OrderProperties::new(self.client.clone(), Fields::default(), passed)
    }

    /// The number in the one consignment.
    fn number(&self, reference: &str) -> String {
        let view = self.view(reference);
        assert_eq!(view.consignments.len(), 1, "{view:?}");
        view.consignments[0].tracking.clone()
    }

    fn puts(&self, call: &str) -> usize {
        self.server
            .writes()
            .iter()
            .filter(|w| w.call == call)
            .count()
    }

    async fn conflicted(switches: &[&str]) -> (Self, Dispatch) {
        let bench = Self::with(switches).await;
        bench.packed("WEB-1");
        let mut theirs = bench.dispatch("WEB-1", &["THEIRS-9"]);
        assert_eq!(bench.consignment().deliver(&theirs).await, DONE);
        theirs.job.tracking = texts(&["OURS-1"]);
        (bench, theirs)
    }
}

#[track_caller]
fn assert_unsupported(delivery: &Delivery, names: &str) {
    match delivery {
        Delivery::Unsupported { why } => assert!(why.contains(names), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_retry(delivery: &Delivery, off: bool) {
    match delivery {
        Delivery::Retry { unreachable, .. } => assert_eq!(*unreachable, off, "{delivery:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn another_number_in_the_consignment_is_told_and_stays() {
    let (bench, mut dispatch) = Bench::conflicted(&[]).await;
    let conflict = Delivery::Conflict {
        theirs: "THEIRS-9".into(),
    };
    assert_eq!(bench.consignment().deliver(&dispatch).await, conflict);
    assert_eq!(
        (bench.number("WEB-1"), bench.puts("consignment-put")),
        ("THEIRS-9".into(), 1)
    );
    // A person says ours; or the number is one that ours replaces.
    dispatch.job.overwrite = true;
    assert_eq!(bench.consignment().deliver(&dispatch).await, DONE);
    assert_eq!(bench.number("WEB-1"), "OURS-1");
    let mut redo = bench.dispatch("WEB-1", &["OURS-2", "OURS-3"]);
    redo.job.supersedes = texts(&["OURS-1"]);
    assert_eq!(bench.consignment().deliver(&redo).await, DONE);
    assert_eq!(bench.number("WEB-1"), "OURS-2,OURS-3");
    assert_eq!(bench.view("WEB-1").consignments[0].carrier, "Plain Label");
}

#[tokio::test]
async fn a_number_is_written_once_whatever_the_tenant_does() {
    for switches in [
        &["consignments=warehouse_fulfilment"][..],
        &["consignments=transport"],
        &["consignment-put=replace"],
        &["if-match=required", "stale=409"],
        &["numbers=strings", "header-case=lower"],
        &["role-tms-view-jobs=missing"],
    ] {
        let bench = Bench::with(switches).await;
        bench.packed("WEB-1");
        let before = bench.view("WEB-1").consignments[0].clone();
        let dispatch = bench.dispatch("WEB-1", &["AB1", "AB2"]);
        for _ in 0..3 {
            assert_eq!(
                bench.consignment().deliver(&dispatch).await,
                DONE,
                "{switches:?}"
            );
        }
        assert_eq!(bench.number("WEB-1"), "AB1,AB2");
        assert_eq!(bench.puts("consignment-put"), 1, "{switches:?}");
        let after = bench.view("WEB-1").consignments[0].clone();
        assert_eq!(
            (after.kind, after.status),
            (before.kind, before.status),
            "{switches:?}"
        );
    }
}

#[tokio::test]
async fn somebody_elses_change_in_between_is_kept() {
    for stale in ["stale=412", "stale=409"] {
        let bench = Bench::with(&[stale]).await;
        bench.packed("WEB-1");
        let dispatch = bench.dispatch("WEB-1", &["AB1"]);
        bench.faults(&["version_bump:2x:consignment-put"]);
        assert_eq!(bench.consignment().deliver(&dispatch).await, DONE);
        assert_eq!(bench.number("WEB-1"), "AB1");
        bench.faults(&["version_bump:always:consignment-put"]);
        let mut redo = bench.dispatch("WEB-1", &["AB2"]);
        redo.job.supersedes = texts(&["AB1"]);
        assert_retry(&bench.consignment().deliver(&redo).await, false);
        assert_eq!(bench.number("WEB-1"), "AB1");
    }
}

#[tokio::test]
async fn an_update_whose_reply_is_lost_is_found_not_repeated() {
    for lost in [
        "drop_after_commit",
        "drop_mid_reply",
        "html_500_after_commit",
        "garbage_json",
    ] {
        let bench = Bench::with(&[]).await;
        bench.packed("WEB-1");
        let dispatch = bench.dispatch("WEB-1", &["AB1"]);
        bench.faults(&[&format!("{lost}:1x:consignment-put")]);
        assert_eq!(bench.consignment().deliver(&dispatch).await, DONE, "{lost}");
        assert_eq!(
            (bench.number("WEB-1"), bench.puts("consignment-put")),
            ("AB1".into(), 1)
        );
    }
}

#[tokio::test]
async fn without_exactly_one_consignment_it_waits_or_says_why() {
    let bench = Bench::with(&["consignments=both"]).await;
    bench.packed("WEB-1");
    let dispatch = bench.dispatch("WEB-1", &["AB1"]);
    assert_eq!(bench.consignment().deliver(&dispatch).await, DONE);
    for consignment in bench.view("WEB-1").consignments {
        let expected = if consignment.kind == "WAREHOUSE_FULFILMENT" {
            "AB1"
        } else {
            ""
        };
        assert_eq!(consignment.tracking, expected, "{consignment:?}");
    }
    let bench = Bench::with(&["consignment-at=dispatched"]).await;
    let id = bench.packed("WEB-1");
    let dispatch = bench.dispatch("WEB-1", &["AB1"]);
    assert_retry(&bench.consignment().deliver(&dispatch).await, false);
    let later = Consignment::new(
        bench.client.clone(),
        None,
        HOUR,
        Arc::new(|| Timestamp(3_600_000)),
    );
    assert_unsupported(&later.deliver(&dispatch).await, "made no consignment");
    bench.server.set_status(&id, "DISPATCHED").unwrap();
    assert_eq!(later.deliver(&dispatch).await, DONE, "it came after all");
    let bench = Bench::with(&["role-tms-create-jobs=missing"]).await;
    bench.packed("WEB-1");
    let dispatch = bench.dispatch("WEB-1", &["AB1"]);
    let delivery = bench.consignment().deliver(&dispatch).await;
    assert_unsupported(&delivery, "TMS Create Jobs");
}

#[tokio::test]
async fn an_order_made_again_gets_its_number_and_its_twin_does_not() {
    let bench = Bench::with(&[]).await;
    bench.packed("TWIN");
    let dispatch = bench.dispatch("TWIN", &["AB1"]);
    bench.order(Seed {
        customer: bench.server.customers()[1].code.clone(),
        status: Some("PACKED".into()),
        ..Seed::reference("TWIN")
    });
    let change = Change {
        recreate: true,
        ..Change::default()
    };
    let old = dispatch.sale.clone().unwrap().uuid;
    let new = bench.server.change(&old, change).unwrap();
    if bench
        .server
        .orders()
        .iter()
        .any(|o| o.id == new && o.consignments.is_empty())
    {
        bench.server.set_status(&new, "PACKED").unwrap();
    }
    assert_eq!(bench.consignment().deliver(&dispatch).await, DONE);
    assert_eq!(bench.document().deliver(&dispatch).await, DONE);
    for order in bench.server.orders() {
        let expected = if order.id == new { "AB1" } else { "" };
        assert!(
            order.consignments.iter().all(|c| c.tracking == expected),
            "{order:?}"
        );
        assert_eq!(order.documents.len(), usize::from(order.id == new));
    }
    // Gone for good.
    let delete = Change {
        delete: true,
        ..Change::default()
    };
    bench.server.change(&new, delete).unwrap();
    assert_unsupported(&bench.document().deliver(&dispatch).await, "gone");
}

#[tokio::test]
async fn an_outage_is_told_as_one_and_nothing_is_done() {
    let bench = Bench::with(&[]).await;
    bench.packed("WEB-1");
    let dispatch = bench.dispatch("WEB-1", &["AB1"]);
    bench.faults(&["rate_429_retry_after:always:consignment-put"]);
    assert_retry(&bench.consignment().deliver(&dispatch).await, true);
    bench
        .server
        .set_network(printstation::sim::cartoncloud::Network::Refused);
    assert_retry(&bench.consignment().deliver(&dispatch).await, true);
    assert_retry(&bench.document().deliver(&dispatch).await, true);
    assert_eq!(bench.server.writes().len(), 0);
}

#[tokio::test]
async fn each_label_is_attached_once_under_its_number() {
    for page in ["documents-page=asked", "documents-page=2"] {
        let bench = Bench::with(&[page]).await;
        bench.packed("WEB-1");
        let dispatch = bench.dispatch("WEB-1", &["A1", "A2", "A3", "A4", "zpl"]);
        for _ in 0..3 {
            assert_eq!(bench.document().deliver(&dispatch).await, DONE);
        }
        let names: Vec<String> = bench
            .view("WEB-1")
            .documents
            .iter()
            .map(|d| d.name.clone())
            .collect();
        assert_eq!(
            names,
            [
                "Label-Plain-Label-A1.pdf",
                "Label-Plain-Label-A2.pdf",
                "Label-Plain-Label-A3.pdf",
                "Label-Plain-Label-A4.pdf",
                "Label-Plain-Label-zpl.zpl",
            ],
            "{page}"
        );
    }
}

#[tokio::test]
async fn an_attachment_whose_reply_is_lost_is_found_by_its_name() {
    for lost in [
        "drop_after_commit",
        "drop_mid_reply",
        "html_500_after_commit",
    ] {
        let bench = Bench::with(&[]).await;
        bench.packed("WEB-1");
        let dispatch = bench.dispatch("WEB-1", &["AB1"]);
        bench.faults(&[&format!("{lost}:1x:document-create")]);
        assert_retry(&bench.document().deliver(&dispatch).await, false);
        assert_eq!(bench.document().deliver(&dispatch).await, DONE);
        assert_eq!(bench.view("WEB-1").documents.len(), 1, "{lost}");
    }
}

#[tokio::test]
async fn a_label_that_is_gone_or_no_label_is_not_attached() {
    let bench = Bench::with(&[]).await;
    bench.packed("WEB-1");
    let gone = bench.dispatch("WEB-1", &["gone"]);
    assert_unsupported(&bench.document().deliver(&gone).await, "not at hand");
    let junk = bench.dispatch("WEB-1", &["junk"]);
    assert_unsupported(&bench.document().deliver(&junk).await, "form");
    let none = bench.dispatch("WEB-1", &[]);
    assert_unsupported(&bench.document().deliver(&none).await, "no label document");
    assert_eq!(bench.view("WEB-1").documents.len(), 0);
}

#[tokio::test]
async fn the_order_itself_is_only_changed_where_its_self_test_passed() {
    for (switch, expected) in [
        ("order-put=405", PutTest::Unavailable),
        ("order-put=404", PutTest::Unavailable),
        ("order-put=501", PutTest::Unavailable),
        ("order-put=enabled", PutTest::Passed),
    ] {
        let bench = Bench::with(&[switch]).await;
        let id = bench.packed("WEB-1");
        assert_eq!(
            bench.client.try_order_put(&id).await.unwrap(),
            expected,
            "{switch}"
        );
        let dispatch = bench.dispatch("WEB-1", &["AB1"]);
        let off = Arc::new(AtomicBool::new(false));
        let sink = OrderProperties::new(bench.client.clone(), Fields::default(), Arc::clone(&off));
        let writes = bench.server.writes().len();
        assert_unsupported(&sink.deliver(&dispatch).await, "self-test");
        assert_eq!(bench.server.writes().len(), writes);
        off.store(true, Ordering::Relaxed);
        let delivery = sink.deliver(&dispatch).await;
        if expected == PutTest::Passed {
            assert_eq!(delivery, DONE);
            assert_eq!(bench.view("WEB-1").tracking, "AB1");
        } else {
            assert_unsupported(&delivery, "no order update");
        }
    }
    let bench = Bench::with(&["order-put=rewrites-items"]).await;
    let id = bench.packed("WEB-1");
    let test = bench.client.try_order_put(&id).await.unwrap();
    assert!(
        matches!(&test, PutTest::Harmful { changed } if changed[0].starts_with("/items")),
        "{test:?}"
    );
}

#[tokio::test]
async fn order_properties_keep_another_number_and_survive_changes_and_lost_replies() {
    for stale in ["stale=412", "stale=409"] {
        let bench = Bench::with(&["order-put=enabled", stale]).await;
        bench.packed("WEB-1");
        bench.faults(&["version_bump:2x:order-put"]);
        let dispatch = bench.dispatch("WEB-1", &["AB1"]);
        assert_eq!(bench.properties().deliver(&dispatch).await, DONE);
        bench.faults(&["drop_after_commit:1x:order-put"]);
        let mut redo = bench.dispatch("WEB-1", &["AB2"]);
        let conflict = Delivery::Conflict {
            theirs: "AB1".into(),
        };
        assert_eq!(bench.properties().deliver(&redo).await, conflict);
        redo.job.supersedes = texts(&["AB1"]);
        assert_eq!(bench.properties().deliver(&redo).await, DONE);
        assert_eq!(bench.view("WEB-1").tracking, "AB2");
        assert_eq!(bench.puts("order-put"), 2);
    }
    let bench = Bench::with(&[
        "order-put=enabled",
        "tracking-field=internal",
        "role-internal-fields=missing",
    ])
    .await;
    bench.packed("WEB-1");
    let dispatch = bench.dispatch("WEB-1", &["AB1"]);
    let delivery = bench.properties().deliver(&dispatch).await;
    assert_unsupported(&delivery, "Internal Field Access");
}

#[tokio::test]
async fn the_sale_order_is_watched_until_the_number_stands_there_or_the_time_is_over() {
    let bench = Bench::with(&[]).await;
    bench.packed("WEB-1");
    let clock = Arc::new(AtomicI64::new(0));
    let now = Arc::clone(&clock);
    let sink = SaleOrderSink::new(
        bench.client.clone(),
        Fields::default(),
        Duration::from_secs(1800),
        Arc::new(move || Timestamp(now.load(Ordering::Relaxed))),
    );
    let dispatch = bench.dispatch("WEB-1", &["AB1", "AB2"]);
    let stands = |text: &str| {
        let serde_json::Value::Object(map) =
            serde_json::json!({"carrierTrackingNumberField": text})
        else {
            unreachable!();
        };
        bench.server.set_properties("WEB-1", map).unwrap();
    };
    assert_retry(&sink.deliver(&dispatch).await, false);
    stands("AB1");
    assert_retry(&sink.deliver(&dispatch).await, false);
    stands("OTHER");
    let theirs = "OTHER".to_owned();
    assert_eq!(sink.deliver(&dispatch).await, Delivery::Conflict { theirs });
    stands("");
    clock.store(1_800_000, Ordering::Relaxed);
    assert_unsupported(&sink.deliver(&dispatch).await, "writeback-unconfirmed: ");
    stands("AB1, AB2");
    assert_eq!(sink.deliver(&dispatch).await, DONE);
    assert_eq!(bench.server.writes().len(), 0, "it only looks");
}
