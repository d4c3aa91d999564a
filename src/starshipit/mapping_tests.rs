use super::*;
use crate::domain::RemoteStatus;

fn read(text: &str) -> RemoteOrder {
    let order: Order = serde_json::from_str(text).unwrap();
    super::order(&AccountName::from("main"), &order).unwrap()
}

const FULL: &str = r#"{
    "order_id": 700000123, "order_date": "2026-03-02T22:36:01.6045941Z", "order_number": "SO-10023",
    "reference": "PO-778", "carrier": "AusPost", "carrier_name": "Australia Post",
    "carrier_service_code": "7B05", "shipping_method": "Standard",
    "destination": { "name": "Pat Example", "company": "Example Pty", "street": "12 Sample Street",
        "suburb": "Carlton", "state": "VIC", "post_code": "3053", "country": "Australia" },
    "items": [ { "sku": "MUG-BLU", "description": "Blue mug", "quantity": 2, "weight": 0.4 },
               { "sku": "CUP", "quantity": 1.0, "weight": 0.25 } ],
    "packages": [ { "weight": 0.8, "height": 0.1, "width": 0.2, "length": 0.3,
                    "tracking_number": "ABC123456789", "label_created_date": "2026-03-02T23:01:12.4410000Z" },
                  { "weight": 0.5, "tracking_number": null } ],
    "archived": false, "status": "Printed" }"#;

#[test]
fn a_full_order_is_reduced_to_what_decisions_need() {
    let order = read(FULL);
    assert_eq!(order.order_id, 700_000_123);
    assert_eq!(order.number, "SO-10023");
    assert_eq!(order.reference.as_deref(), Some("PO-778"));
    assert_eq!(order.status, RemoteStatus::Printed);
    assert_eq!(order.recipient.as_deref(), Some("Pat Example"));
    assert_eq!(order.postcode.as_deref(), Some("3053"));
    assert_eq!(order.carrier.as_deref(), Some("AusPost"));
    assert_eq!(order.service.as_deref(), Some("7B05"));
    assert_eq!(order.parcels.len(), 2);
    assert!((order.parcels[0].length_m - 0.3).abs() < 1e-9);
    assert!((order.items_weight_kg - 1.05).abs() < 1e-9);
    assert_eq!(order.tracking, ["ABC123456789"]);
    assert!(order.label_created && order.is_printed());
    assert_eq!(order.fingerprint.len(), 32);
}

#[test]
fn an_order_with_nothing_but_an_id_is_unknown_and_not_printed() {
    let order = read(r#"{"order_id": "5"}"#);
    assert_eq!((order.order_id, order.number.as_str()), (5, ""));
    assert_eq!(order.status, RemoteStatus::Unknown);
    assert!(!order.is_printed() && !order.has_weight() && !order.archived);
}

#[test]
fn a_missing_courier_is_written_in_several_ways() {
    for carrier in [
        "-1", "\"-1\"", "null", "\"\"", "\"None\"", "0", "{}", "\"  \"",
    ] {
        let order = read(&format!(r#"{{"order_id": 1, "carrier": {carrier}}}"#));
        assert_eq!(order.carrier, None, "{carrier}");
    }
    let numbered = read(r#"{"order_id": 1, "carrier": 9}"#);
    assert_eq!(numbered.carrier.as_deref(), Some("9"));
}

#[test]
fn every_status_word_has_its_meaning_without_regard_to_case_and_blanks() {
    for word in ["Unshipped", "saved", "NEW"] {
        assert_eq!(status(word), RemoteStatus::Unshipped, "{word}");
    }
    for word in [
        "Printed",
        "shipped",
        "Awaiting Dispatch",
        "Dispatched",
        "In Transit",
        "InTransit",
        "Delivered",
        "AttemptedDelivery",
        "manifested",
    ] {
        assert_eq!(status(word), RemoteStatus::Printed, "{word}");
    }
    for word in ["", "Cancelled", "Exception", "1", "Queued"] {
        assert_eq!(status(word), RemoteStatus::Unknown, "{word}");
    }
}

#[test]
fn tracking_numbers_come_from_everywhere_without_blanks_and_repeats() {
    let order = read(
        r#"{"order_id": 1, "tracking_number": "B", "tracking_numbers": ["A", null, "C", " "],
            "packages": [{"tracking_number": " A "}, {"tracking_number": ""}, {"tracking_number": 12345}]}"#,
    );
    assert_eq!(order.tracking, ["A", "12345", "B", "C"]);
}

#[test]
fn a_label_date_counts_only_when_it_is_one() {
    for (date, created) in [
        ("\"2026-03-02T23:01:12\"", true),
        ("\"0001-01-01T00:00:00\"", false),
        ("\"\"", false),
        ("null", false),
        ("7", false),
    ] {
        let text = format!(r#"{{"order_id": 1, "packages": [{{"label_created_date": {date}}}]}}"#);
        assert_eq!(read(&text).label_created, created, "{date}");
    }
}

#[test]
fn negative_and_missing_weights_are_no_weight() {
    let order = read(
        r#"{"order_id": 1, "packages": [{"weight": -3, "length": "NaN"}],
            "items": [{"weight": 0.5}, {"weight": -1, "quantity": 2}, {"weight": 1, "quantity": -4}]}"#,
    );
    assert!(order.parcels[0].weight_kg.abs() < 1e-9 && order.parcels[0].length_m.abs() < 1e-9);
    assert!((order.items_weight_kg - 0.5).abs() < 1e-9);
}

#[test]
fn the_fingerprint_changes_with_what_matters_and_with_nothing_else() {
    let original = read(FULL).fingerprint;
    for (from, to) in [
        ("12 Sample Street", "13 Sample Street"),
        ("\"3053\"", "\"3054\""),
        ("\"Pat Example\"", "\"Sam Example\""),
        ("\"quantity\": 2", "\"quantity\": 3"),
        ("\"Standard\"", "\"Express\""),
        ("\"CUP\"", "\"MUG\""),
    ] {
        assert!(FULL.contains(from));
        assert_ne!(
            read(&FULL.replace(from, to)).fingerprint,
            original,
            "{from}"
        );
    }
    for (from, to) in [
        ("12 Sample Street", " 12  SAMPLE street "),
        ("\"quantity\": 1.0", "\"quantity\": 1"),
        ("\"Printed\"", "\"Delivered\""),
        ("ABC123456789", "ABC123456780"),
        // What buying itself sets.
        ("\"weight\": 0.8", "\"weight\": 0.9"),
        ("\"7B05\"", "\"3D85\""),
        ("\"AusPost\"", "\"StarTrack\""),
        ("\"PO-778\"", "null"),
        ("\"Australia Post\"", "\"AusPost eParcel\""),
    ] {
        assert!(FULL.contains(from));
        assert_eq!(
            read(&FULL.replace(from, to)).fingerprint,
            original,
            "{from}"
        );
    }
}

#[test]
fn what_was_bought_keeps_its_documents_in_order_and_counts_what_cannot_be_read() {
    let reply: Reply = serde_json::from_str(
        r#"{"success": true, "order_id": 5, "carrier_name": "Plain Label",
            "tracking_numbers": ["A", null, "A", "B"],
            "labels": ["JVBERi0x", "%%%", null, "JVBERi0y"],
            "label_types": ["BlankLabels", "x", null, "CommercialInvoice"]}"#,
    )
    .unwrap();
    let (bought, bytes) = bought(5, reply);
    assert_eq!(bytes, [b"%PDF-1".to_vec(), b"%PDF-2".to_vec()]);
    assert_eq!(bought.tracking, ["A", "B"]);
    assert_eq!((bought.tracking_slots, bought.undecodable), (4, 2));
    let types: Vec<&str> = bought
        .documents
        .iter()
        .map(|d| d.label_type.as_str())
        .collect();
    assert_eq!(types, ["BlankLabels", "CommercialInvoice"]);
    // printf '%%PDF-1' | sha256sum
    assert_eq!(bought.documents[0].id.as_str(), PDF_1_SHA256);
    assert_eq!(bought.documents[0].len, 6);
}

const PDF_1_SHA256: &str = "21af8e71c8703196df7fe1ff901869a88fe64c07bbaa83d838efb45a52b4f303";
