//! What an order's consignment looks like on paper.

use crate::domain::Timestamp;
use crate::sim::label_pdf::{self, Label, PageShape, Paper, PaperLine};
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::model::{Address, Consignment, Item, Order};
use crate::sim::starshipit::switches::{Entries, Geometry};
use crate::sim::starshipit::wire::cents;
use base64::Engine;

pub(super) fn documents(
    order: &Order,
    consignment: &Consignment,
    entries: Entries,
) -> Vec<(&'static str, Vec<u8>)> {
    let pages = label_pages(order, consignment);
    let shape = page_shape(&consignment.geometry);
    let mut documents: Vec<(&'static str, Vec<u8>)> = match entries {
        Entries::OnePdf => vec![("BlankLabels", label_pdf::labels(&pages, shape))],
        Entries::PerParcel => pages
            .iter()
            .map(|page| {
                (
                    "BlankLabels",
                    label_pdf::labels(std::slice::from_ref(page), shape),
                )
            })
            .collect(),
    };
    if consignment.geometry == Geometry::Invoice.word() {
        documents.push((
            "CommercialInvoice",
            label_pdf::papers(&[invoice(order, consignment)]),
        ));
    }
    documents
}

pub(super) fn page_shape(geometry: &str) -> PageShape {
    if geometry == Geometry::Portrait.word() {
        PageShape::Portrait
    } else if geometry == Geometry::A4.word() {
        PageShape::A4Corner
    } else {
        PageShape::Rotated
    }
}

pub(super) fn label_pages(order: &Order, consignment: &Consignment) -> Vec<Label> {
    let to = &consignment.destination;
    let from = &order.sender;
    let join = |parts: &[&Option<String>]| {
        let parts: Vec<&str> = parts.iter().filter_map(|p| p.as_deref()).collect();
        parts.join(" ")
    };
    let lines = |parts: &[&Option<String>]| {
        parts
            .iter()
            .filter_map(|p| p.as_deref())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let locality = [&to.suburb, &to.city]
        .into_iter()
        .find(|t| t.is_some())
        .unwrap_or(&None);
    let mut sender = lines(&[&from.company, &from.street]);
    sender.push(join(&[&from.suburb, &from.state, &from.post_code]));
    sender.extend(from.phone.clone());
    let label = Label {
        carrier: couriers::name(&consignment.carrier).into(),
        service: couriers::service_name(&consignment.carrier, &consignment.service).into(),
        sender,
        receiver: lines(&[&to.name, &to.company, &to.building, &to.street, &to.phone]),
        locality: join(&[locality, &to.state, &to.post_code]),
        country: to.country.clone().unwrap_or_default(),
        routing: join(&[&to.state, &to.post_code]),
        order_number: order.number.clone(),
        reference: order.reference.clone().unwrap_or_default(),
        instructions: to.delivery_instructions.clone().unwrap_or_default(),
        of: consignment.on_labels.len(),
        date: day(consignment.at),
        ..Label::default()
    };
    let parcels = consignment
        .on_labels
        .iter()
        .zip(&consignment.weights)
        .enumerate();
    parcels
        .map(|(i, (tracking, weight))| Label {
            tracking: tracking.clone(),
            weight_kg: *weight,
            parcel: i + 1,
            ..label.clone()
        })
        .collect()
}

pub(super) fn day(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|t| t.strftime("%d %b %Y").to_string())
        .unwrap_or_default()
}

pub(super) fn address_block(title: &str, address: &Address) -> Vec<String> {
    let parts = [
        &address.name,
        &address.company,
        &address.street,
        &address.suburb,
        &address.state,
        &address.post_code,
        &address.country,
    ];
    let lines = parts.into_iter().filter_map(Clone::clone);
    std::iter::once(title.to_owned()).chain(lines).collect()
}

pub(super) fn paper(title: &str, order: &Order) -> Paper {
    let line = |item: &Item| PaperLine {
        text: [&item.sku, &item.description]
            .into_iter()
            .filter_map(|t| t.as_deref())
            .collect::<Vec<_>>()
            .join("  "),
        quantity: item.quantity,
        value: item.value.unwrap_or(0.0),
    };
    let mut right = address_block("Consignee", &order.destination);
    right.push(format!("Order {}", order.number));
    Paper {
        title: title.to_owned(),
        left: address_block("Shipper", &order.sender),
        right,
        lines: order.items.iter().map(line).collect(),
    }
}

pub(super) fn invoice(order: &Order, consignment: &Consignment) -> Paper {
    let mut paper = paper("Commercial Invoice", order);
    paper
        .left
        .push(format!("Freight {:.2}", cents(consignment.price_cents)));
    paper
}

pub(super) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
