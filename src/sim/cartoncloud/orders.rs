//! Sale orders: what the API does with them, and what the warehouse's people do.

use crate::domain::Timestamp;
use crate::sim::cartoncloud::api::{Answer, Ask, refuse, unfit};
use crate::sim::cartoncloud::book::{Book, Put, Table, Write, changes, text};
use crate::sim::cartoncloud::page::page;
use crate::sim::cartoncloud::render::{hides_internal, is_internal, shown};
use crate::sim::cartoncloud::search::{Condition, Fields, ORDERS};
use crate::sim::cartoncloud::switches::{
    ConsignmentAt, Consignments, GuessedSearch, IfMatch, OrderPut, Packed, PackedStamp, Sort,
    Stale, StatusSearch, Switches,
};
use crate::sim::cartoncloud::world::{as_u64, reference, stamp};
use crate::sim::site::faults::Hits;
use crate::sim::site::{Reply, uuid};
use serde_json::{Map, Value, json};
use std::io;

/// Quantities from here on are out of stock.
const STOCK: f64 = 10_000.0;

/// What handlers work with.
pub(crate) struct Desk<'a> {
    pub(crate) book: &'a mut Book,
    pub(crate) switches: Switches,
    pub(crate) hits: &'a Hits,
    pub(crate) now: Timestamp,
}

/// The disk refused: nothing was done.
pub(crate) fn broken(error: io::Error) -> Reply {
    tracing::error!(%error, "the simulator cannot write its books");
    crate::sim::cartoncloud::api::words(500)
}

impl Desk<'_> {
    pub(crate) fn order(&mut self, ask: &Ask) -> Result<Value, Reply> {
        if self.hits.has("order_recreated") {
            self.recreate(ask.id()).map_err(broken)?;
        }
        let order = self.book.orders().get(ask.id()).cloned();
        order.ok_or_else(|| {
            let text = "Sale order not found.";
            Reply::json(404, &json!([{ "message": text, "code": 10400 }]))
        })
    }

    pub(crate) fn order_get(&mut self, ask: &Ask) -> Answer {
        let order = self.order(ask)?;
        Ok(Reply::json(200, &shown(&order, &self.switches)))
    }

    pub(crate) fn order_search(&self, ask: &Ask) -> Answer {
        let fields = Fields {
            status: self.switches.status_search == StatusSearch::Yes,
            guessed: self.switches.guessed_search == GuessedSearch::Yes,
            ..ORDERS
        };
        let condition = Condition::read(&ask.body, &fields).map_err(|e| refuse(400, e))?;
        let orders = self.book.orders().all();
        let mut found: Vec<&Value> = orders.filter(|o| condition.holds(o)).collect();
        if self.switches.sort == Sort::Modified {
            found.sort_by_key(|o| std::cmp::Reverse(o["$touched"].as_i64()));
        }
        page(&found, ask, self.hits, &self.switches, usize::MAX)
    }

    pub(crate) fn order_put(&mut self, ask: &Ask) -> Answer {
        match self.switches.order_put {
            OrderPut::Absent => return Err(refuse(405, "Request method 'PUT' not supported")),
            OrderPut::Missing => return Err(refuse(404, "Not found")),
            OrderPut::Unimplemented => return Err(refuse(501, "Not implemented")),
            OrderPut::Enabled | OrderPut::RewritesItems => {}
        }
        self.order(ask)?;
        self.bump(Table::Orders, ask.id())?;
        let before = self.order(ask)?;
        self.check_version(&before, ask)?;
        let Value::Object(mut body) = ask.json()? else {
            return Err(refuse(400, "JSON parse error"));
        };
        // What CartonCloud alone decides is not taken from a client.
        for name in ["id", "type", "status", "version", "timestamps", "customer"] {
            body.remove(name);
        }
        if hides_internal(&self.switches)
            && let Some(Value::Object(properties)) = body.get_mut("properties")
        {
            properties.retain(|name, _| !is_internal(name));
        }
        let mut after = before.clone();
        merge(&mut after, Value::Object(body));
        if text(&after, "/references/customer").is_empty() {
            return Err(unfit("/references/customer", "Must not be empty."));
        }
        if self.switches.order_put == OrderPut::RewritesItems
            && let Some(items) = after["items"].as_array_mut()
        {
            for item in items {
                let (_, id) = self.book.new_row("item");
                item["id"] = json!(id);
            }
        }
        self.touch(&mut after);
        let field = "/properties/carrierTrackingNumberField";
        let write = self.write("order-put", &after, &after, ask, &before, field);
        let put = self.book.put(Table::Orders, ask.id(), Some(after.clone()));
        self.book.commit(Some(write), put).map_err(broken)?;
        Ok(Reply::json(200, &shown(&after, &self.switches)))
    }

    pub(crate) fn order_delete(&mut self, ask: &Ask) -> Answer {
        let order = self.order(ask)?;
        if text(&order, "/status") != "REJECTED" {
            return Err(refuse(
                422,
                "A Sale Order in this status cannot be deleted.",
            ));
        }
        let write = self.write("order-delete", &order, &order, ask, &order, "");
        let put = self.book.put(Table::Orders, ask.id(), None);
        self.book.commit(Some(write), put).map_err(broken)?;
        Ok(Reply::empty(204))
    }

    pub(crate) fn order_create(&mut self, ask: &Ask) -> Answer {
        let body = ask.json()?;
        let key = text(&body, "/references/customer");
        if key.is_empty() {
            return Err(unfit("/references/customer", "Must not be empty."));
        }
        let which = [
            "/customer/id",
            "/customer/references/code",
            "/customer/name",
        ];
        let which = which
            .into_iter()
            .map(|p| text(&body, p))
            .find(|t| !t.is_empty());
        let customer = which.and_then(|w| self.book.world.customer(w));
        let customer = customer
            .cloned()
            .ok_or_else(|| unfit("/customer", "Customer not found."))?;
        let twin = self.book.orders().all().find(|o| {
            text(o, "/references/customer") == key && text(o, "/customer/id") == customer.id
        });
        if let Some(twin) = twin {
            let error = json!([{"field": "/references/customer", "type": "DUPLICATE",
                "message": "A Sale Order with this Customer Reference already exists.",
                "details": {"duplicateId": twin["id"]}}]);
            return Err(Reply::json(422, &error));
        }
        let address = body.pointer("/details/deliver/address");
        let named = |a: &Value| {
            ["/companyName", "/contactName"]
                .iter()
                .any(|p| !text(a, p).is_empty())
        };
        if !address.is_some_and(named) {
            return Err(unfit(
                "/details/deliver/address",
                "A company or contact name is required.",
            ));
        }
        let warehouse = ["/warehouse/id", "/warehouse/name"];
        let warehouse = warehouse
            .into_iter()
            .map(|p| text(&body, p))
            .find(|t| !t.is_empty());
        let warehouse = self
            .book
            .world
            .warehouse(warehouse.unwrap_or_default())
            .cloned();
        let warehouse = warehouse.ok_or_else(|| unfit("/warehouse", "Warehouse not found."))?;
        let mut errors = Vec::new();
        let mut items = body["items"].as_array().cloned().unwrap_or_default();
        if items.is_empty() {
            return Err(unfit("/items", "Must not be empty."));
        }
        let (n, id) = self.book.new_row("order");
        for (i, item) in items.iter_mut().enumerate() {
            let code = text(item, "/details/product/references/code").to_owned();
            let by_id = text(item, "/details/product/id").to_owned();
            let quantity = item.pointer("/measures/quantity").and_then(Value::as_f64);
            let quantity = quantity.ok_or_else(|| {
                unfit(
                    &format!("/items/{i}/measures/quantity"),
                    "Must not be empty.",
                )
            })?;
            let mut products = self.book.rows(Table::Products).all();
            let product = products.find(|p| {
                text(p, "/customer/id") == customer.id
                    && (text(p, "/id") == by_id || text(p, "/references/code") == code)
            });
            match product {
                None => errors.push(
                    json!({"message": format!("Product {code} not found"), "isResolved": false}),
                ),
                Some(_) if quantity >= STOCK => errors.push(
                    json!({"message": format!("Not enough stock of {code}"), "isResolved": false}),
                ),
                Some(product) => {
                    item["details"]["product"] = brief(product);
                    if item.pointer("/details/unitOfMeasure/type").is_none() {
                        item["details"]["unitOfMeasure"] = json!({"type": "UNIT", "name": "UNITS"});
                    }
                }
            }
            item["id"] = json!(uuid(0, &id, as_u64(i)));
        }
        let mut order = body;
        let rejected = !errors.is_empty();
        let made = json!({
            "id": id, "type": "OUTBOUND", "version": 1,
            "status": if rejected { "REJECTED" } else { "AWAITING_PICK_AND_PACK" },
            "references": {"numericId": (787_000 + n).to_string()},
            "customer": reference(&customer), "warehouse": reference(&warehouse),
            "timestamps": {"created": stamp(self.now), "modified": stamp(self.now)},
            "$touched": self.now.0,
        });
        merge(&mut order, made);
        order["items"] = Value::Array(items);
        if rejected {
            order["details"]["errors"] = Value::Array(errors);
        }
        let write = self.write("order-create", &order, &order, ask, &json!({}), "");
        let write = Write {
            changes: Default::default(),
            ..write
        };
        self.book
            .commit(Some(write), [Book::add(Table::Orders, n, order.clone())])
            .map_err(broken)?;
        let status = if rejected { 228 } else { 201 };
        Ok(Reply::json(status, &shown(&order, &self.switches)))
    }

    /// The journal's entry for a row that was `before` and is `after`, and belongs to `order`.
    pub(crate) fn write(
        &self,
        call: &str,
        order: &Value,
        after: &Value,
        ask: &Ask,
        before: &Value,
        field: &str,
    ) -> Write {
        let number = |row: &Value| {
            Some(text(row, field).to_owned()).filter(|t| !t.is_empty() && !field.is_empty())
        };
        Write {
            at: self.now,
            call: call.to_owned(),
            order: text(order, "/id").to_owned(),
            reference: text(order, "/references/customer").to_owned(),
            customer: text(order, "/customer/references/code").to_owned(),
            entity: text(after, "/id").to_owned(),
            version: after["version"].as_u64().unwrap_or(0),
            tracking: number(after),
            tracking_before: number(before),
            if_match: ask.if_match.clone(),
            changes: changes(before, after),
            ..Write::default()
        }
    }

    /// Somebody else was faster, when the fault says so.
    pub(crate) fn bump(&mut self, table: Table, id: &str) -> Result<(), Reply> {
        if !self.hits.has("version_bump") {
            return Ok(());
        }
        let Some(mut row) = self.book.rows(table).get(id).cloned() else {
            return Ok(());
        };
        self.touch(&mut row);
        let put = self.book.put(table, id, Some(row));
        self.book.commit(None, put).map_err(broken)
    }

    pub(crate) fn check_version(&self, row: &Value, ask: &Ask) -> Result<(), Reply> {
        let stale = || match self.switches.stale {
            Stale::Precondition => refuse(412, "The If-Match precondition does not hold."),
            Stale::Conflict => refuse(409, "The resource was modified by another request."),
        };
        match &ask.if_match {
            None if self.switches.if_match == IfMatch::Required => {
                Err(refuse(412, "The header If-Match is required."))
            }
            None => Ok(()),
            // A bare integer, as in the documentation.
            Some(given) if given.parse().ok() == row["version"].as_u64() => Ok(()),
            Some(_) => Err(stale()),
        }
    }

    /// One more change: version and `modified`.
    pub(crate) fn touch(&self, row: &mut Value) {
        let version = row["version"].as_u64().unwrap_or(0);
        row["version"] = json!(version + 1);
        row["timestamps"]["modified"] = stamp(self.now);
        row["$touched"] = json!(self.now.0);
    }

    /// The warehouse moves an order on.
    pub(crate) fn advance(&mut self, id: &str, status: &str) -> io::Result<()> {
        let mut order = self.row(id)?;
        let wanted = match (status, self.switches.packed) {
            ("PACKED", Packed::Skipped) => "DISPATCHED",
            (other, _) => other,
        };
        order["status"] = json!(wanted);
        self.touch(&mut order);
        let packed = order.pointer("/timestamps/packed").is_some();
        if wanted == "PACKED"
            || (wanted == "DISPATCHED" && !packed && self.switches.packed_stamp == PackedStamp::Set)
        {
            order["timestamps"]["packed"] = stamp(self.now);
        }
        if wanted == "DISPATCHED" {
            order["timestamps"]["dispatched"] = stamp(self.now);
        }
        let mut puts: Vec<Put> = self
            .book
            .put(Table::Orders, id, Some(order.clone()))
            .into_iter()
            .collect();
        let due = match self.switches.consignment_at {
            ConsignmentAt::Packed => matches!(wanted, "PACKED" | "DISPATCHED"),
            ConsignmentAt::Dispatched => wanted == "DISPATCHED",
        };
        if due && self.book.consignments_of(id).next().is_none() {
            puts.extend(self.consignments_for(&order));
        }
        self.book.commit(None, puts)
    }

    fn consignments_for(&mut self, order: &Value) -> Vec<Put> {
        let kinds: &[&str] = match self.switches.consignments {
            Consignments::Fulfilment => &["WAREHOUSE_FULFILMENT"],
            Consignments::Transport => &["DELIVERY"],
            Consignments::Both => &["DELIVERY", "WAREHOUSE_FULFILMENT"],
            Consignments::None => &[],
        };
        let mut puts = Vec::new();
        for kind in kinds {
            let (n, id) = self.book.new_row("consignment");
            let row = self.consignment(&id, kind, order);
            puts.push(Book::add(Table::Consignments, n, row));
        }
        puts
    }

    fn consignment(&self, id: &str, kind: &str, order: &Value) -> Value {
        let packages = match order["$packages"].as_array() {
            Some(packages) if !packages.is_empty() => packages.clone(),
            _ => vec![json!(self.weight(order))],
        };
        let count = packages.len();
        let item = |(i, weight): (usize, &Value)| {
            json!({
                "id": uuid(0, id, as_u64(i)),
                "properties": {"description": format!("Carton {} of {count}", i + 1),
                    "length": 0.3, "width": 0.2, "height": 0.12},
                "measures": {"quantity": 1, "weight": weight, "cubic": 0.0072},
            })
        };
        let items: Vec<Value> = packages.iter().enumerate().map(item).collect();
        let fulfilment = kind == "WAREHOUSE_FULFILMENT";
        json!({
            "id": id, "type": "CONSIGNMENT", "version": 1,
            "status": if fulfilment { "IN_WAREHOUSE" } else { "AWAITING_PICKUP" },
            "references": {"customer": order["references"]["customer"]},
            "customer": order["customer"], "warehouse": order["warehouse"],
            "generatedFromTask": {"id": order["id"]},
            "details": {"type": kind, "authorityToLeave": true,
                "collect": order["details"]["collect"], "deliver": order["details"]["deliver"],
                "invoiceValue": order["details"]["invoiceValue"]},
            "properties": {}, "items": items,
            "timestamps": {"created": stamp(self.now), "modified": stamp(self.now)},
        })
    }

    /// Kilograms of all lines, to the gram.
    fn weight(&self, order: &Value) -> f64 {
        let items = order["items"].as_array().map_or(&[][..], Vec::as_slice);
        let one = |item: &Value| {
            let product = self
                .book
                .rows(Table::Products)
                .get(text(item, "/details/product/id"))?;
            let units = &product["unitOfMeasures"];
            let unit = &units[text(item, "/details/unitOfMeasure/type")];
            let own = unit["weight"].as_f64();
            let base = || Some(units["UNIT"]["weight"].as_f64()? * unit["baseQty"].as_f64()?);
            Some(own.or_else(base)? * item.pointer("/measures/quantity")?.as_f64()?)
        };
        let sum: f64 = items.iter().filter_map(one).sum();
        (sum * 1000.0).round() / 1000.0
    }

    /// Deleted and made again, as an import of the same reference does.
    pub(crate) fn recreate(&mut self, id: &str) -> io::Result<Option<String>> {
        let Some(mut order) = self.book.orders().get(id).cloned() else {
            return Ok(None);
        };
        let (n, new) = self.book.new_row("order");
        order["id"] = json!(new);
        order["version"] = json!(1);
        order["references"]["numericId"] = json!((787_000 + n).to_string());
        order["timestamps"]["created"] = stamp(self.now);
        order["timestamps"]["modified"] = stamp(self.now);
        order["$touched"] = json!(self.now.0);
        let gone = self.book.put(Table::Orders, id, None);
        let made = Book::add(Table::Orders, n, order);
        self.book.commit(None, gone.into_iter().chain([made]))?;
        Ok(Some(new))
    }

    pub(crate) fn row(&self, id: &str) -> io::Result<Value> {
        let order = self.book.orders().get(id).cloned();
        order.ok_or_else(|| io::Error::other(format!("no order '{id}'")))
    }
}

/// A product as lines name it.
pub(crate) fn brief(product: &Value) -> Value {
    json!({"id": product["id"], "name": product["name"], "references": product["references"],
        "customer": product["customer"]})
}

/// Members of `from` over those of `into`; objects are merged, everything else is replaced.
pub(crate) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                match into.get_mut(&name) {
                    Some(there) if there.is_object() => merge(there, value),
                    _ => {
                        into.insert(name, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// Sets members; `null` removes one.
pub(crate) fn overlay(into: &mut Map<String, Value>, members: Map<String, Value>) {
    for (name, value) in members {
        if value.is_null() {
            into.remove(&name);
        } else {
            into.insert(name, value);
        }
    }
}
