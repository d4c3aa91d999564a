//! From Starshipit's order to the station's, and the fingerprint that tells a changed order.

use crate::domain::{
    AccountName, Bought, DocumentId, DocumentMeta, Parcel, RemoteOrder, RemoteStatus, Timestamp,
};
use crate::starshipit::lenient::{Text, tidy};
use crate::starshipit::wire::{self, Address, Order, Reply};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Longest tracking number that is one, in bytes.
const MAX_TRACKING: usize = 128;

/// The order as the station sees it. `None` without an id.
pub(crate) fn order(account: &AccountName, order: &Order) -> Option<RemoteOrder> {
    let destination = order.destination.0.as_ref();
    let packages = || order.packages.0.iter().filter_map(|p| p.0.as_ref());
    Some(RemoteOrder {
        account: account.clone(),
        order_id: order.order_id.0?,
        number: order.order_number.owned().unwrap_or_default(),
        reference: order.reference.owned(),
        status: status(order.status.given().unwrap_or_default()),
        archived: order.archived.0.unwrap_or(false),
        recipient: destination.and_then(|d| d.name.owned().or_else(|| d.company.owned())),
        postcode: destination.and_then(|d| d.post_code.owned()),
        carrier: carrier(&order.carrier),
        carrier_name: order.carrier_name.owned(),
        service: order.carrier_service_code.owned(),
        parcels: packages()
            .map(|p| Parcel {
                weight_kg: positive(p.weight.0),
                length_m: positive(p.length.0),
                width_m: positive(p.width.0),
                height_m: positive(p.height.0),
            })
            .collect(),
        items_weight_kg: order
            .items
            .0
            .iter()
            .filter_map(|i| i.0.as_ref())
            .map(|i| positive(i.weight.0) * i.quantity.0.map_or(1.0, |q| positive(Some(q))))
            .sum(),
        tracking: tracking(
            packages()
                .map(|p| &p.tracking_number)
                .chain([&order.tracking_number])
                .chain(&order.tracking_numbers.0),
        ),
        label_created: packages().any(|p| wire::date(&p.label_created_date).is_some()),
        fingerprint: fingerprint(order),
        price_cents: order.total_shipping_price.0.and_then(cents),
    })
}

/// Section 8's vocabularies, all three; case and blanks do not matter.
fn status(word: &str) -> RemoteStatus {
    let word: String = word
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match word.as_str() {
        "unshipped" | "saved" | "new" => RemoteStatus::Unshipped,
        "printed" | "shipped" | "manifested" | "awaitingdispatch" | "dispatched" | "intransit"
        | "outfordelivery" | "delivered" | "pickupinstore" | "attempteddelivery"
        | "awaitingcollection" => RemoteStatus::Printed,
        _ => RemoteStatus::Unknown,
    }
}

/// −1, 0 and `None` are how "no courier yet" is written.
fn carrier(code: &Text) -> Option<String> {
    code.owned()
        .filter(|c| !matches!(c.as_str(), "-1" | "0") && !c.eq_ignore_ascii_case("none"))
}

/// A price in cents; zero is how "not known yet" is written right after print.
fn cents(price: f64) -> Option<u64> {
    let cents = (price * 100.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be between one cent and ten million"
    )]
    (1.0..=1e9).contains(&cents).then_some(cents as u64)
}

fn positive(value: Option<f64>) -> f64 {
    value.filter(|v| *v > 0.0).unwrap_or(0.0)
}

/// Nulls, blanks and repeats removed, order kept.
pub(crate) fn tracking<'a>(numbers: impl IntoIterator<Item = &'a Text>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for number in numbers {
        if let Some(number) = number.given().map(|n| tidy(n, MAX_TRACKING))
            && !all.contains(&number)
        {
            all.push(number);
        }
    }
    all
}

/// When the order was made: its own date, else its first event.
pub(crate) fn created(order: &Order) -> Option<Timestamp> {
    wire::date(&order.order_date).or_else(|| {
        let events = order.events.0.iter().filter_map(|e| e.0.as_ref());
        events.filter_map(|e| wire::date(&e.time)).min()
    })
}

/// What Print Label made, and the documents beside it.
pub(crate) fn bought(asked: i64, reply: Reply) -> (Bought, Vec<Vec<u8>>) {
    let mut documents = Vec::new();
    let mut bytes = Vec::new();
    let mut undecodable = 0;
    for (index, label) in reply.labels.0.into_iter().enumerate() {
        let Some(document) = label.bytes else {
            undecodable += 1;
            continue;
        };
        let label_type = label
            .label_type
            .or_else(|| reply.label_types.0.get(index)?.owned())
            .unwrap_or_default();
        documents.push(DocumentMeta {
            id: DocumentId(hex(&Sha256::digest(&document))),
            // Replies are bounded far below 4 GiB.
            len: u32::try_from(document.len()).unwrap_or(u32::MAX),
            label_type: tidy(&label_type, 64),
        });
        bytes.push(document);
    }
    let bought = Bought {
        order_id: reply.order_id.0.unwrap_or(asked),
        carrier_name: reply.carrier_name.owned().unwrap_or_default(),
        tracking: tracking(&reply.tracking_numbers.0),
        tracking_slots: reply.tracking_numbers.0.len(),
        documents,
        undecodable,
    };
    (bought, bytes)
}

/// SHA-256, first 16 bytes in hex, over address, items × quantity × weight, and shipping method.
///
/// Blanks and letter case do not count, nor does the order of the items. Courier, service and
/// parcels are left out although contract 6 names the service: buying itself sets them (account
/// rules choose at print time), and a held label must not look changed because it was bought. The
/// shipping method, by which the rules choose, is in.
fn fingerprint(order: &Order) -> String {
    let mut text = String::from("1\n");
    text.push_str(&place(order));
    let mut items: Vec<String> = order
        .items
        .0
        .iter()
        .filter_map(|i| i.0.as_ref())
        .map(|i| {
            format!(
                "{}|{}|{}|{}",
                folded(&i.sku),
                folded(&i.description),
                grams(i.quantity.0),
                grams(i.weight.0)
            )
        })
        .collect();
    items.sort();
    for item in items {
        text.push_str(&item);
        text.push('\n');
    }
    text.push_str(&folded(&order.shipping_method));
    hex(&Sha256::digest(text.as_bytes())[..16])
}

/// The destination in the one form that comparisons use.
pub(crate) fn place(order: &Order) -> String {
    let none = Address::default();
    let a = order.destination.0.as_ref().unwrap_or(&none);
    let mut text = String::new();
    for part in [
        &a.name,
        &a.company,
        &a.building,
        &a.street,
        &a.suburb,
        &a.city,
        &a.state,
        &a.post_code,
        &a.country,
    ] {
        text.push_str(&folded(part));
        text.push('\n');
    }
    text
}

/// One blank between words, small letters.
fn folded(text: &Text) -> String {
    let text = text.0.as_deref().unwrap_or_default();
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

/// Thousandths, so that `2`, `2.0` and `2.00001` are one.
fn grams(value: Option<f64>) -> String {
    format!("{:.0}", positive(value) * 1000.0)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
