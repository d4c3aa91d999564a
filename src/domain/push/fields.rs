//! Which Starshipit fields a field map may fill, and filling them.

use super::{Refusal, within};
use crate::domain::SaleOrder;
use std::collections::BTreeMap;

/// Fields of a new order that `[cartoncloud.push.fields]` may name, with their longest lengths.
/// Number and reference have templates of their own; items and packages come from the order.
/// `metadatas.KEY` is writable as well, for any key.
pub const WRITABLE: &[(&str, usize)] = &[
    ("carrier", 100),
    ("carrier_name", 100),
    ("carrier_service_code", 100),
    ("currency", 3),
    ("order_date", 40),
    ("return_order", 5),
    ("shipping_description", 100),
    ("shipping_method", 100),
    ("signature_required", 5),
    ("destination.building", 100),
    ("destination.city", 100),
    ("destination.company", 100),
    ("destination.country", 100),
    ("destination.delivery_instructions", 100),
    ("destination.email", 100),
    ("destination.name", 100),
    ("destination.phone", 100),
    ("destination.post_code", 10),
    ("destination.state", 100),
    ("destination.street", 100),
    ("destination.suburb", 100),
    ("destination.tax_number", 20),
    ("sender_details.building", 100),
    ("sender_details.city", 100),
    ("sender_details.company", 100),
    ("sender_details.country", 100),
    ("sender_details.email", 100),
    ("sender_details.name", 100),
    ("sender_details.phone", 100),
    ("sender_details.post_code", 10),
    ("sender_details.state", 100),
    ("sender_details.street", 100),
    ("sender_details.suburb", 100),
];

/// Longest value of a `metadatas` entry; Starshipit names none.
const MAX_METADATA: usize = 200;

/// A field map names something that Starshipit does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is no field that Starshipit takes{}", near.map(|n| format!("; did you mean {n}?")).unwrap_or_default())]
pub struct UnknownField {
    /// As it was written.
    pub field: String,
    /// The nearest that there is.
    pub near: Option<&'static str>,
}

/// Checks the left side of a field map.
///
/// # Errors
/// The first field that Starshipit does not take.
pub fn check_fields(map: &BTreeMap<String, String>) -> Result<(), UnknownField> {
    match map.keys().find(|field| limit(field).is_none()) {
        None => Ok(()),
        Some(field) => Err(UnknownField {
            field: field.clone(),
            near: WRITABLE
                .iter()
                .map(|(known, _)| *known)
                // `delivery_instructions` for `destination.delivery_instructions`.
                .find(|known| known.rsplit('.').next() == Some(field.as_str())),
        }),
    }
}

fn limit(field: &str) -> Option<usize> {
    if let Some(key) = field.strip_prefix("metadatas.") {
        return (!key.is_empty()).then_some(MAX_METADATA);
    }
    WRITABLE
        .iter()
        .find(|(known, _)| *known == field)
        .map(|(_, max)| *max)
}

/// The map's fields that this order has values for. Fields that nobody knows were refused at start.
pub(super) fn mapped(
    sale: &SaleOrder,
    map: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let mut filled = BTreeMap::new();
    for (field, path) in map {
        let (Some(max), Some(value)) = (limit(field), sale.text(path)) else {
            continue;
        };
        filled.insert(field.clone(), within(field, &value, max)?);
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_starshipit_does_not_take_is_named_with_the_right_one() {
        let map = |field: &str| BTreeMap::from([(field.to_owned(), "a.b".to_owned())]);
        let wrong = check_fields(&map("delivery_instructions")).unwrap_err();
        assert_eq!(wrong.near, Some("destination.delivery_instructions"));
        assert!(wrong.to_string().contains("did you mean"), "{wrong}");
        for bad in ["order_number", "packages", "metadatas.", "Shipping_Method"] {
            assert!(check_fields(&map(bad)).is_err(), "{bad}");
        }
        for (field, _) in WRITABLE {
            assert_eq!(check_fields(&map(field)), Ok(()));
        }
        assert_eq!(check_fields(&map("metadatas.AUTHORITY")), Ok(()));
    }
}
