//! PUT /api/orders: what may still be changed, and on which orders.

use crate::sim::starshipit::api::{Answer, Ask, Refusal, members};
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::model::{Address, Item, Order, Package, Status};
use crate::sim::starshipit::orders::{Desk, Metadata, check_address, length};
use crate::sim::starshipit::switches::Writable;
use serde::Deserialize;

#[derive(Deserialize)]
struct UpdateRequest {
    order: Change,
}

#[derive(Debug, Deserialize)]
struct Change {
    order_id: i64,
    order_number: Option<String>,
    reference: Option<String>,
    carrier: Option<String>,
    carrier_service_code: Option<String>,
    shipping_method: Option<String>,
    shipping_description: Option<String>,
    signature_required: Option<bool>,
    currency: Option<String>,
    sender_details: Option<Address>,
    destination: Option<Address>,
    #[serde(default)]
    items: Vec<Changed<Item>>,
    #[serde(default)]
    packages: Vec<Changed<Package>>,
    #[serde(default)]
    metadatas: Vec<Metadata>,
    status: Option<String>,
    is_manifested: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Changed<T> {
    #[serde(flatten)]
    line: T,
    #[serde(default)]
    delete: bool,
}

impl Desk<'_> {
    pub(super) fn update(&mut self, ask: &Ask) -> Answer {
        let UpdateRequest { order: change } = ask.read()?;
        let id = change.order_id;
        let order = self.by_id(&ask.account, id).cloned();
        let order = order.ok_or_else(|| Refusal::new(format!("Unable to find order id: {id}")))?;
        let order = if order.status.has_label() {
            relabel(order, &change)?
        } else {
            self.change(order, change)?
        };
        let order = self.touched(order);
        self.book.put(order.clone())?;
        Ok(members([("order", self.wire.order(&order))]))
    }

    fn change(&mut self, mut order: Order, change: Change) -> Result<Order, Refusal> {
        let keep = self.wire.switches.writable == Writable::Kept;
        if let Some(number) = change.order_number {
            length("order_number", &number, 50)?;
            order.number = number;
        }
        if let Some(reference) = change.reference {
            length("reference", &reference, 50)?;
            if keep {
                order.reference = Some(reference);
            }
        }
        if let Some(text) = change.shipping_description {
            length("shipping_description", &text, 100)?;
            if keep {
                order.shipping_description = Some(text);
            }
        }
        for Metadata {
            metafield_key,
            value,
        } in change.metadatas
        {
            if keep {
                order.metadatas.retain(|(key, _)| *key != metafield_key);
                order.metadatas.push((metafield_key, value));
            }
        }
        if let Some(carrier) = change.carrier {
            let code = couriers::code(&carrier)
                .ok_or_else(|| Refusal::new(format!("Courier {carrier} is not set up")))?;
            order.carrier = Some(code.to_owned());
            order.service = None;
        }
        if let Some(service) = change.carrier_service_code {
            order.service = Some(service);
        }
        if let Some(destination) = change.destination {
            check_address(&destination)?;
            order.destination = destination;
            order.address_invalid = false;
        }
        order.sender = change.sender_details.unwrap_or(order.sender);
        order.shipping_method = change.shipping_method.or(order.shipping_method);
        order.signature_required = change
            .signature_required
            .unwrap_or(order.signature_required);
        order.currency = change.currency.or(order.currency);
        for Changed { line, delete } in change.items {
            let id = line.item_id;
            order.items.retain(|i| i.item_id != id);
            if !delete {
                let item_id = if id == 0 { self.book.new_line() } else { id };
                order.items.push(Item { item_id, ..line });
            }
        }
        for Changed { line, delete } in change.packages {
            let id = line.package_id;
            order.packages.retain(|p| p.package_id != id);
            if !delete {
                let package_id = if id == 0 { self.book.new_line() } else { id };
                order.packages.push(Package { package_id, ..line });
            }
        }
        if let Some(word) = change.status {
            order.status = match Status::by_word(&word) {
                Some(status @ (Status::Unshipped | Status::Saved)) => status,
                _ => return Err(Refusal::new(format!("status {word} needs a label"))),
            };
        }
        Ok(order)
    }
}

/// A printed order: only its status may change, and not back.
fn relabel(mut order: Order, change: &Change) -> Result<Order, Refusal> {
    let refused = || Refusal::new("Only the status of a printed or shipped order can be updated");
    if change.is_manifested == Some(true) && order.manifest.is_none() {
        order.manifest = Some(0);
    }
    match change.status.as_deref().map(Status::by_word) {
        Some(Some(status)) if status.has_label() => {
            order.status = status;
            Ok(order)
        }
        None if change.is_manifested.is_some() => Ok(order),
        _ => Err(refused()),
    }
}
