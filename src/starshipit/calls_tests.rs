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
