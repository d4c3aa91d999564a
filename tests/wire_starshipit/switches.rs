//! One test per word of the switches S1–S14 (`copies` has the rest): what nobody has confirmed
//! about Starshipit must not matter. Long because there are many words: each test is short.

use super::*;
use printstation::domain::{Timestamp, order::Choices};
use printstation::sim::starshipit::admin::Deed;
use serde_json::json;

/// Creates an order through the API, as another system would, and says whether it was taken.
async fn create(bench: &Bench, number: &str) -> bool {
    let account = &bench.server.accounts()[0];
    let body = json!({ "order": {
        "order_number": number, "reference": "PO-1",
        "destination": { "name": "Pat Example", "street": "12 Sample Street", "suburb": "Carlton",
                         "state": "VIC", "post_code": "3053", "country": "Australia" },
        "packages": [ { "weight": 0.8 } ] } });
    let reply = reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
        .post(format!("{}/api/orders", bench.server.url()))
        .header("StarShipIT-Api-Key", &account.api_key)
        .header("Ocp-Apim-Subscription-Key", &account.subscription_key)
        .json(&body)
        .send()
        .await
        .unwrap();
    let reply: serde_json::Value = reply.json().await.unwrap();
    reply["success"] == true
}

/// A number was created twice; so many orders have it now, and the client finds them all.
async fn created_twice(word: &str, orders: usize) {
    let bench = Bench::with(&[word]).await;
    assert!(create(&bench, "SO-1").await);
    create(&bench, "SO-1").await;
    let found = bench.find("SO-1").await;
    assert_eq!(found.failures, []);
    assert_eq!(found.hits.len(), orders, "{:?}", found.hits);
    assert!(found.hits.iter().all(|hit| hit.number == "SO-1"));
}

#[tokio::test]
async fn s1_duplicate_new_order_is_found_twice() {
    created_twice("S1=new-order", 2).await;
}

#[tokio::test]
async fn s1_duplicate_refuse_is_found_once() {
    created_twice("S1=refuse", 1).await;
}

#[tokio::test]
async fn s1_duplicate_conflict_409_is_found_once() {
    created_twice("S1=conflict-409", 1).await;
}

#[tokio::test]
async fn s1_duplicate_existing_is_found_once() {
    created_twice("S1=existing", 1).await;
}

#[tokio::test]
async fn s2_print_on_printed_order_same_label_sells_nothing() {
    let bench = Bench::with(&["S2=same-label"]).await;
    let id = bench.order(Seed::number("SO-1"));
    let (first, documents) = bench.print(id, false).await.unwrap();
    let (again, same) = bench.print(id, false).await.unwrap();
    assert_eq!((first.tracking, documents), (again.tracking, same));
    assert_eq!(bench.sold(), 1);
}

#[tokio::test]
async fn s2_print_on_printed_order_refuse_tells_the_caller_to_look() {
    let bench = Bench::with(&["S2=refuse"]).await;
    let id = bench.order(Seed::number("SO-1"));
    let (first, _) = bench.print(id, false).await.unwrap();
    assert_unknown(bench.print(id, false).await);
    assert!(bench.get(id).await.is_printed());
    let (again, _) = bench.print(id, true).await.unwrap();
    assert_eq!((first.tracking, bench.sold()), (again.tracking, 1));
}

#[tokio::test]
async fn s2_print_on_printed_order_new_consignment_is_avoided_by_reprint() {
    let bench = Bench::with(&["S2=new-consignment"]).await;
    bench.order(Seed::number("SO-1"));
    let (order, ..) = bench.ship("SO-1").await;
    let seen = bench.find_one("SO-1").await;
    assert!(
        seen.is_printed(),
        "nobody would ask without reprint: {seen:?}"
    );
    bench.print(order.order_id, true).await.unwrap();
    assert_eq!(bench.sold(), 1);
}

/// Three parcels; what `tracking_numbers` holds, and what is left of it.
async fn three_parcels(word: &str, slots: usize, numbers: usize) -> (Bench, i64) {
    let bench = Bench::with(&[word]).await;
    bench.order(Seed {
        parcels: vec![Some(1.0), Some(2.0), Some(0.5)],
        ..Seed::number("SO-1")
    });
    let (order, bought, _) = bench.ship("SO-1").await;
    assert_eq!(order.parcels.len(), 3);
    assert_eq!(
        (bought.tracking_slots, bought.tracking.len()),
        (slots, numbers),
        "{bought:?}"
    );
    assert_eq!(bench.get(order.order_id).await.tracking, bought.tracking);
    (bench, order.order_id)
}

#[tokio::test]
async fn s3_tracking_per_parcel_gives_every_number() {
    three_parcels("S3=per-parcel", 3, 3).await;
}

#[tokio::test]
async fn s3_tracking_one_gives_the_number_of_the_consignment() {
    three_parcels("S3=one", 1, 1).await;
}

#[tokio::test]
async fn s3_tracking_nulls_are_left_out() {
    three_parcels("S3=nulls", 3, 1).await;
}

#[tokio::test]
async fn s3_tracking_late_is_bought_without_a_number_and_read_later() {
    let mut options = options(&["S3=late"]);
    options.tracking_delay = Duration::from_secs(3600);
    let bench = Bench::start(options, |_| ()).await;
    let id = bench.order(Seed::number("SO-1"));
    let (bought, documents) = bench.print(id, false).await.unwrap();
    assert_eq!((bought.tracking.len(), documents.len()), (0, 1));
    let waiting = bench.get(id).await;
    assert!(
        waiting.is_printed() && waiting.tracking.is_empty(),
        "{waiting:?}"
    );
    let deed = Deed {
        tracking: Some(vec!["LATE1".into()]),
        ..Deed::default()
    };
    bench.server.alter("SO-1", deed).unwrap();
    assert_eq!(bench.get(id).await.tracking, ["LATE1"]);
}

/// Three parcels come as so many documents.
async fn entries(word: &str, documents: usize) {
    let (bench, id) = three_parcels(word, 3, 3).await;
    let (bought, bytes) = bench.print(id, true).await.unwrap();
    assert_eq!(
        (bought.documents.len(), bytes.len()),
        (documents, documents)
    );
    assert!(
        bought
            .documents
            .iter()
            .all(|d| d.label_type == "BlankLabels")
    );
}

#[tokio::test]
async fn s4_labels_one_pdf_is_one_document() {
    entries("S4=one-pdf", 1).await;
}

#[tokio::test]
async fn s4_labels_per_parcel_are_as_many_documents() {
    entries("S4=per-parcel", 3).await;
}

/// Refusals that are readable, whatever the status: not found, and a purchase without a courier.
async fn readable_failures(word: &str) {
    let bench = Bench::with(&[word]).await;
    let found = bench.find("SO-404").await;
    assert_eq!(found, FindResult::default());
    let gone = bench.client.get(&bench.main, 1, Priority::Scan).await;
    assert_eq!(gone, Ok(None));
    let id = bench.order(Seed {
        courier_needed: true,
        ..Seed::number("SO-1")
    });
    assert_refused(bench.print(id, false).await, Code::CourierMissing);
    let id = bench.order(Seed {
        parcels: vec![None],
        ..Seed::number("SO-2")
    });
    assert_refused(bench.print(id, false).await, Code::WeightMissing);
    let id = bench.order(Seed {
        address_invalid: true,
        ..Seed::number("SO-3")
    });
    assert_refused(bench.print(id, false).await, Code::AddressRefused);
    assert_eq!(bench.sold(), 0);
}

#[tokio::test]
async fn s5_failures_as_200_are_read() {
    readable_failures("S5=200").await;
}

#[tokio::test]
async fn s5_failures_as_400_are_read() {
    readable_failures("S5=400").await;
}

#[tokio::test]
async fn s5_failures_as_html_500_are_not_taken_for_anything() {
    let bench = Bench::with(&["S5=html-500"]).await;
    let found = bench.find("SO-404").await;
    assert_eq!(found.hits, []);
    let [(account, CallFailure::Unknown { .. })] = &found.failures[..] else {
        panic!("{found:?}")
    };
    assert_eq!(account, &bench.main);
    assert_unknown(bench.client.get(&bench.main, 1, Priority::Scan).await);
    let id = bench.order(Seed {
        courier_needed: true,
        ..Seed::number("SO-1")
    });
    assert_unknown(bench.print(id, false).await);
    assert_eq!((bench.calls("print"), bench.sold()), (1, 0));
    bench.order(Seed::number("SO-2"));
    bench.ship("SO-2").await;
}

#[tokio::test]
async fn s6_create_plain_is_found_and_shipped() {
    let bench = Bench::with(&["S6=off"]).await;
    assert!(create(&bench, "SO-1").await);
    bench.ship("SO-1").await;
}

#[tokio::test]
async fn s6_create_soft_failure_is_found_and_shipped() {
    let bench = Bench::with(&["S6=soft-failure"]).await;
    assert!(!create(&bench, "SO-1").await);
    bench.ship("SO-1").await;
}

/// The client reads no order list of this form; nothing else may depend on it.
async fn list_shape(word: &str) {
    let bench = Bench::with(&[word]).await;
    bench.order(Seed::number("SO-1"));
    let (_, bought, _) = bench.ship("SO-1").await;
    let printed = bench
        .client
        .recently_printed(&bench.main, Timestamp(0))
        .await;
    let printed = printed.unwrap();
    assert_eq!(printed.len(), 1);
    assert_eq!(
        (&printed[0].tracking, printed[0].order_id),
        (&bought.tracking, bought.order_id)
    );
    assert!(printed[0].at.is_some());
}

#[tokio::test]
async fn s7_list_in_data_orders_ships() {
    list_shape("S7=data-orders").await;
}

#[tokio::test]
async fn s7_list_in_order_ships() {
    list_shape("S7=order").await;
}

#[tokio::test]
async fn s7_list_in_orders_ships() {
    list_shape("S7=orders").await;
}

/// No courier before the purchase, one after it.
async fn carrier_type(word: &str) {
    let bench = Bench::with(&[word]).await;
    bench.order(Seed::number("SO-1"));
    let (order, bought, _) = bench.ship("SO-1").await;
    assert_eq!((order.carrier, order.carrier_name), (None, None));
    let after = bench.get(order.order_id).await;
    assert!(after.carrier.is_some() && after.service.is_some());
    assert_eq!(
        after.carrier_name.as_deref(),
        Some(bought.carrier_name.as_str())
    );
}

#[tokio::test]
async fn s8_carrier_int_then_code_is_none_until_bought() {
    carrier_type("S8=int-then-code").await;
}

#[tokio::test]
async fn s8_carrier_always_code_is_none_until_bought() {
    carrier_type("S8=code").await;
}

/// Label dates count, and the copies of an order are found by or without them.
async fn zones(word: &str) {
    let bench = Bench::with(&[word]).await;
    bench.order(Seed::number("SO-1"));
    let (order, ..) = bench.ship("SO-1").await;
    assert!(bench.get(order.order_id).await.label_created);
    let clone = bench.client.clone_order(&bench.main, order.order_id).await;
    let clone = clone.unwrap();
    let found = bench
        .client
        .clones(&bench.main, "SO-1", &[order.order_id], now())
        .await
        .unwrap();
    assert_eq!(ids(&found), [clone.order_id]);
}

#[tokio::test]
async fn s9_dates_with_zone_are_read() {
    zones("S9=z").await;
}

#[tokio::test]
async fn s9_dates_without_zone_are_read_and_not_relied_on() {
    zones("S9=none").await;
}

async fn nulls(word: &str) {
    let bench = Bench::with(&[word]).await;
    bench.order(Seed::number("SO-1"));
    let (order, ..) = bench.ship("SO-1").await;
    assert_eq!(
        (order.reference, order.carrier, order.tracking.len()),
        (None, None, 0)
    );
}

#[tokio::test]
async fn s10_null_fields_omitted_are_absent() {
    nulls("S10=omitted").await;
}

#[tokio::test]
async fn s10_null_fields_present_are_absent() {
    nulls("S10=null").await;
}

#[tokio::test]
async fn s11_print_latency_given_ships() {
    let bench = Bench::with(&["S11=given"]).await;
    bench.order(Seed::number("SO-1"));
    bench.ship("SO-1").await;
}

#[tokio::test]
async fn s11_print_latency_one_second_ships() {
    let bench = Bench::with(&["S11=1s"]).await;
    bench.order(Seed::number("SO-1"));
    bench.ship("SO-1").await;
}

#[tokio::test]
async fn s11_print_latency_twenty_seconds_beyond_the_timeout_is_unknown_and_found_later() {
    let short = |s: &mut Settings| s.request_timeout = Duration::from_millis(300);
    let bench = Bench::start(options(&["S11=20s"]), short).await;
    let id = bench.order(Seed::number("SO-1"));
    assert_unknown(bench.print(id, false).await);
    assert!(!bench.get(id).await.is_printed());
    // And to its end, in the small: the courier takes three times as long as the client waits.
    let mut options = options(&["S11=given"]);
    options.print_latency = Duration::from_millis(900);
    let bench = Bench::start(options, short).await;
    let id = bench.order(Seed::number("SO-1"));
    assert_unknown(bench.print(id, false).await);
    until("the late purchase is seen", async || {
        bench.get(id).await.is_printed()
    })
    .await;
    let (bought, documents) = bench.print(id, true).await.unwrap();
    assert_eq!(
        (bought.tracking.len(), documents.len(), bench.sold()),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn s11_print_dropped_after_success_is_unknown_and_the_look_finds_it() {
    let bench = Bench::with(&["S11=drop-after"]).await;
    let id = bench.order(Seed::number("SO-1"));
    assert_unknown(bench.print(id, false).await);
    assert_eq!((bench.calls("print"), bench.sold()), (1, 1));
    assert!(bench.get(id).await.is_printed());
}

#[tokio::test]
async fn s11_print_dropped_before_is_unknown_and_the_look_finds_nothing() {
    let bench = Bench::with(&["S11=drop-before"]).await;
    let id = bench.order(Seed::number("SO-1"));
    assert_unknown(bench.print(id, false).await);
    assert_eq!((bench.calls("print"), bench.sold()), (1, 0));
    assert!(!bench.get(id).await.is_printed());
}

async fn geometry(word: &str, types: &[&str]) {
    let bench = Bench::with(&[word]).await;
    bench.order(Seed::number("SO-1"));
    let (_, bought, documents) = bench.ship("SO-1").await;
    let seen: Vec<&str> = bought
        .documents
        .iter()
        .map(|d| d.label_type.as_str())
        .collect();
    assert_eq!(seen, types);
    for (meta, bytes) in bought.documents.iter().zip(&documents) {
        use sha2::{Digest, Sha256};
        let sum: String = Sha256::digest(bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(meta.id.as_str(), sum);
        assert_eq!(usize::try_from(meta.len).unwrap(), bytes.len());
    }
}

#[tokio::test]
async fn s12_label_rotate_90_comes_whole() {
    geometry("S12=rotate-90", &["BlankLabels"]).await;
}

#[tokio::test]
async fn s12_label_portrait_comes_whole() {
    geometry("S12=portrait", &["BlankLabels"]).await;
}

#[tokio::test]
async fn s12_label_a4_comes_whole() {
    geometry("S12=a4", &["BlankLabels"]).await;
}

#[tokio::test]
async fn s12_label_with_invoice_comes_with_its_type() {
    geometry("S12=invoice", &["BlankLabels", "CommercialInvoice"]).await;
}

#[tokio::test]
async fn s13_reprint_of_an_unprinted_order_refuse_is_refused() {
    let bench = Bench::with(&["S13=refuse"]).await;
    let id = bench.order(Seed::number("SO-1"));
    assert_refused(bench.print(id, true).await, Code::CourierRefused);
    assert_eq!(bench.sold(), 0);
}

#[tokio::test]
async fn s13_reprint_of_an_unprinted_order_prints_is_a_purchase() {
    let bench = Bench::with(&["S13=prints"]).await;
    let id = bench.order(Seed::number("SO-1"));
    let (bought, _) = bench.print(id, true).await.unwrap();
    assert_eq!((bought.tracking.len(), bench.sold()), (1, 1));
}

/// Two live orders and an archived one of the same number: both live ones are found.
async fn twins(word: &str) {
    let bench = Bench::with(&[word]).await;
    let archived = |archived| Seed {
        printed: archived,
        archived,
        ..Seed::number("SO-1")
    };
    let old = bench.order(archived(false));
    bench.order(archived(true));
    let new = bench.order(archived(false));
    bench.order(Seed::number("SO-10"));
    let mut found = bench.find("so-1").await;
    assert_eq!(found.failures, []);
    found.hits.sort_by_key(|hit| hit.order_id);
    assert_eq!(ids(&found.hits), [old, new]);
}

#[tokio::test]
async fn s14_look_up_newest_finds_all_duplicates() {
    twins("S14=newest").await;
}

#[tokio::test]
async fn s14_look_up_oldest_finds_all_duplicates() {
    twins("S14=oldest").await;
}

/// The account's own couriers are refused or chosen by what a person said.
#[tokio::test]
async fn what_a_person_chose_reaches_the_courier() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed {
        courier_needed: true,
        parcels: vec![None],
        ..Seed::number("SO-1")
    });
    let offers = bench
        .client
        .delivery_services(&bench.main, id)
        .await
        .unwrap();
    let offer = offers.first().expect("a courier");
    let choices = Choices {
        carrier: Some(offer.carrier.clone()),
        service: Some(offer.service.clone()),
        parcels: vec![printstation::domain::Parcel {
            weight_kg: 1.5,
            ..Default::default()
        }],
    };
    let (bought, _) = bench
        .client
        .print(&bench.main, id, false, Some(&choices), Priority::Scan)
        .await
        .unwrap();
    assert_eq!(bought.carrier_name, offer.carrier_name);
    let after = bench.get(id).await;
    assert_eq!(after.service.as_deref(), Some(offer.service.as_str()));
    assert!((after.parcels[0].weight_kg - 1.5).abs() < 1e-9);
}

fn ids(orders: &[RemoteOrder]) -> Vec<i64> {
    orders.iter().map(|o| o.order_id).collect()
}

/// The time that a station would note when it sends.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}
