//! Orders as people make and change them, past the API's checks.

use crate::sim::cartoncloud::admin::{Change, Seed, SeedItem};
use crate::sim::cartoncloud::book::{Book, Table, text};
use crate::sim::cartoncloud::orders::{Desk, brief, merge, overlay};
use crate::sim::cartoncloud::world::{Named, as_u64, reference, sample_address, stamp};
use crate::sim::site::uuid;
use serde_json::{Value, json};
use std::io;

/// Lines of an order; every code must be a product of its customer.
fn lines(book: &Book, customer: &Named, order: &str, items: &[SeedItem]) -> io::Result<Vec<Value>> {
    let one = |(i, item): (usize, &SeedItem)| {
        let mut products = book.rows(Table::Products).all();
        let product = products.find(|p| {
            text(p, "/references/code") == item.sku && text(p, "/customer/id") == customer.id
        });
        let product = product.ok_or_else(|| {
            io::Error::other(format!("{} has no product '{}'", customer.code, item.sku))
        })?;
        let uom = item.uom.as_deref().unwrap_or("UNIT");
        let name = product["unitOfMeasures"][uom]["name"].clone();
        Ok(json!({
            "type": "ITEM", "id": uuid(0, order, as_u64(i)),
            "references": {"numericId": (5_500_001 + as_u64(i)).to_string()},
            "details": {"product": brief(product), "unitOfMeasure": {"type": uom, "name": name},
                "approximateUnitPrice": {"amount": 12.5, "currency": "AUD"}},
            "measures": {"quantity": item.quantity}, "properties": {},
        }))
    };
    items.iter().enumerate().map(one).collect()
}

pub(super) fn plant(desk: &mut Desk<'_>, seed: Seed) -> io::Result<String> {
    let unknown = |what: &str, which: &str| io::Error::other(format!("no {what} '{which}'"));
    let world = &desk.book.world;
    let customer = world.customer(&seed.customer).cloned();
    let customer = customer.ok_or_else(|| unknown("customer", &seed.customer))?;
    let warehouse = world.warehouse(&seed.warehouse).cloned();
    let warehouse = warehouse.ok_or_else(|| unknown("warehouse", &seed.warehouse))?;
    let items = match seed.items.is_empty() {
        true => vec![SeedItem::units(format!("{}-500", customer.code), 1.0)],
        false => seed.items,
    };
    let count = as_u64(desk.book.orders().len());
    // Checked before a number is spent on it.
    lines(desk.book, &customer, "", &items)?;
    let (n, id) = desk.book.new_row("order");
    let items = lines(desk.book, &customer, &id, &items)?;
    let mut address = sample_address(count);
    overlay(&mut address, seed.address);
    let value: f64 = items
        .iter()
        .filter_map(|i| i.pointer("/measures/quantity")?.as_f64())
        .sum::<f64>()
        * 12.5;
    let mut order = json!({
        "id": id, "type": "OUTBOUND", "status": "AWAITING_PICK_AND_PACK", "version": 1,
        "references": {"customer": seed.reference,
            "numericId": seed.numeric_id.unwrap_or_else(|| (787_000 + n).to_string())},
        "customer": reference(&customer), "warehouse": reference(&warehouse),
        "details": {
            "urgent": false,
            "collect": {"address": {"companyName": "Example 3PL", "address1": "3 Dock Road",
                "suburb": "Moorebank", "city": "Sydney", "state": {"code": "NSW", "name": "New South Wales"},
                "postcode": "2170", "country": {"iso2Code": "AU", "iso3Code": "AUS", "name": "Australia"},
                "phone": "02 5550 0000"}},
            "deliver": {"address": address,
                "method": {"type": seed.method.as_deref().unwrap_or("SHIPPING"),
                    "requestedService": seed.requested_service},
                "instructions": seed.instructions},
            "invoiceValue": {"amount": value, "currency": "AUD"}, "allowSplitting": true},
        "properties": {"carrierTrackingNumberField": null},
        "items": items,
        "timestamps": {"created": stamp(desk.now), "modified": stamp(desk.now)},
        "$packages": seed.packages, "$touched": desk.now.0,
    });
    if let Some(properties) = order["properties"].as_object_mut() {
        overlay(properties, seed.properties);
    }
    if let Some(meta) = seed.external_meta {
        order["externalMeta"] = meta;
    }
    if let Some(members) = seed.merge {
        merge(&mut order, members);
    }
    desk.book
        .commit(None, [Book::add(Table::Orders, n, order)])?;
    Ok(id)
}

pub(super) fn alter(desk: &mut Desk<'_>, id: &str, change: Change) -> io::Result<String> {
    let mut order = desk.row(id)?;
    if let Some(Value::Object(address)) = order.pointer_mut("/details/deliver/address") {
        overlay(address, change.address);
    }
    if let Some(items) = change.items {
        let code = text(&order, "/customer/id");
        let customer = desk.book.world.customer(code).cloned();
        let customer = customer.ok_or_else(|| io::Error::other("the customer is gone"))?;
        order["items"] = Value::Array(lines(desk.book, &customer, id, &items)?);
    }
    if let Some(properties) = order["properties"].as_object_mut() {
        overlay(properties, change.properties);
    }
    if let Some(kind) = change.method {
        order["details"]["deliver"]["method"]["type"] = json!(kind);
    }
    if let Some(service) = change.requested_service {
        order["details"]["deliver"]["method"]["requestedService"] = json!(service);
    }
    if let Some(members) = change.merge {
        merge(&mut order, members);
    }
    if change.cancel {
        order["status"] = json!("REJECTED");
        order["details"]["errors"] =
            json!([{"message": "Cancelled by the customer", "isResolved": false}]);
    }
    desk.touch(&mut order);
    let put = desk.book.put(Table::Orders, id, Some(order));
    desk.book.commit(None, put)?;
    if change.recreate {
        let new = desk.recreate(id)?;
        return Ok(new.unwrap_or_else(|| id.to_owned()));
    }
    if change.delete {
        let put = desk.book.put(Table::Orders, id, None);
        desk.book.commit(None, put)?;
    }
    Ok(id.to_owned())
}
