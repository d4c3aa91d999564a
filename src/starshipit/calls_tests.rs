use super::*;
use crate::domain::Parcel;

fn choices(parcels: Vec<Parcel>) -> Choices {
    Choices {
        parcels,
        carrier: Some("AusPost".into()),
        service: Some("7B05".into()),
    }
}

#[test]
fn a_print_names_only_what_somebody_chose() {
    assert_eq!(
        print_body(5, true, None),
        json!({"order_id": 5, "reprint": true})
    );
    let nothing = Choices::default();
    assert_eq!(
        print_body(5, false, Some(&nothing)),
        json!({"order_id": 5, "reprint": false})
    );
}

#[test]
fn a_parcel_is_sent_without_what_is_not_known_of_it_and_a_blank_one_not_at_all() {
    let blank = Parcel::default();
    let weighed = Parcel {
        weight_kg: 1.25,
        height_m: f64::NAN,
        ..blank.clone()
    };
    let full = Parcel {
        weight_kg: 2.0,
        length_m: 0.3,
        width_m: 0.2,
        height_m: 0.1,
    };
    assert_eq!(
        print_body(5, false, Some(&choices(vec![blank.clone(), weighed, full]))),
        json!({
            "order_id": 5, "reprint": false, "carrier": "AusPost", "carrier_service_code": "7B05",
            "packages": [{"weight": 1.25},
                         {"weight": 2.0, "length": 0.3, "width": 0.2, "height": 0.1}],
        })
    );
    let body = print_body(5, false, Some(&choices(vec![blank])));
    assert!(body.get("packages").is_none(), "{body}");
}

#[test]
fn everything_but_letters_and_digits_is_encoded_in_a_query() {
    let mut text = String::new();
    percent_encode("SO#1 &a=b%/é+\u{1d}-._~", &mut text);
    assert_eq!(text, "SO%231%20%26a%3Db%25%2F%C3%A9%2B%1D-._~");
}

#[test]
fn keys_are_taken_out_of_text_that_echoes_them() {
    let secrets = [
        HeaderValue::from_static("k-1"),
        HeaderValue::from_static("k-2"),
    ];
    assert_eq!(
        scrub(&secrets, "bad k-1, k-2 and k-1"),
        "bad [key], [key] and [key]"
    );
}
