//! The two queries and two mutations of a fulfilling app, and what they refuse.

use crate::domain::Timestamp;
use crate::sim::shopify::graphql::{Field, Operation};
use crate::sim::shopify::model::{Book, Entry, Fulfillment, Order, gid, number};
use crate::sim::shopify::select::select;
use crate::sim::shopify::switches::{IndexLag, NameMatch, Scopes, Switches};
use serde_json::{Map, Value, json};
use std::io;

/// One call of one shop.
pub(crate) struct Desk<'a> {
    pub(crate) book: &'a mut Book,
    pub(crate) shop: &'a str,
    pub(crate) switches: Switches,
    pub(crate) now: Timestamp,
}

/// Why a whole field has no answer: code and message.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Failure {
    fn denied(field: &str) -> Self {
        Self {
            code: "ACCESS_DENIED",
            message: format!("Access denied for {field} field."),
        }
    }

    fn wrong(message: String) -> Self {
        Self {
            code: "undefinedField",
            message,
        }
    }

    fn broken(error: io::Error) -> Self {
        tracing::error!(%error, "the simulator cannot write its books");
        Self {
            code: "INTERNAL_SERVER_ERROR",
            message: "Internal error. Looks like something went wrong on our end.".into(),
        }
    }
}

/// What a mutation refuses in its `userErrors`.
struct UserError {
    field: &'static [&'static str],
    message: String,
}

fn refuse<T>(field: &'static [&'static str], message: impl Into<String>) -> Result<T, UserError> {
    Err(UserError {
        field,
        message: message.into(),
    })
}

/// Tracking as an input has it.
#[derive(Default)]
struct Tracking {
    company: Option<String>,
    numbers: Vec<String>,
    urls: Vec<String>,
}

impl Desk<'_> {
    /// Every root field in turn; nothing is answered when one is not known.
    pub(crate) fn run(&mut self, operation: &Operation) -> Result<Value, Failure> {
        let known: &[&str] = match operation.mutation {
            true => &["fulfillmentCreate", "fulfillmentTrackingInfoUpdate"],
            false => &["order", "orders", "shop", "currentAppInstallation"],
        };
        let kind = if operation.mutation {
            "Mutation"
        } else {
            "QueryRoot"
        };
        for field in &operation.fields {
            if !known.contains(&field.name.as_str()) {
                let text = format!("Field '{}' doesn't exist on type '{kind}'", field.name);
                return Err(Failure::wrong(text));
            }
        }
        let mut data = Map::new();
        for field in &operation.fields {
            data.insert(field.key.clone(), self.field(field)?);
        }
        Ok(Value::Object(data))
    }

    fn field(&mut self, field: &Field) -> Result<Value, Failure> {
        let scopes = self.switches.scopes;
        match field.name.as_str() {
            "order" | "orders" if scopes == Scopes::NoReadOrders => {
                Err(Failure::denied(&field.name))
            }
            "order" => self.order(field),
            "orders" => self.orders(field),
            "shop" => {
                let shop = self.shop;
                let whole = json!({"id": gid("Shop", 1), "name": shop, "myshopifyDomain": format!("{shop}.myshopify.com")});
                select(&whole, &field.fields, "Shop").map_err(Failure::wrong)
            }
            "currentAppInstallation" => {
                let scopes: Vec<Value> = self
                    .scopes()
                    .iter()
                    .map(|s| json!({ "handle": s }))
                    .collect();
                let whole = json!({ "accessScopes": scopes });
                select(&whole, &field.fields, "AppInstallation").map_err(Failure::wrong)
            }
            name if scopes == Scopes::NoWrite => Err(Failure::denied(name)),
            _ => self.mutation(field),
        }
    }

    pub(crate) fn scopes(&self) -> Vec<&'static str> {
        let mut scopes = vec![
            "read_orders",
            "read_merchant_managed_fulfillment_orders",
            "write_merchant_managed_fulfillment_orders",
        ];
        match self.switches.scopes {
            Scopes::All => {}
            Scopes::NoReadOrders => scopes.retain(|s| *s != "read_orders"),
            Scopes::Hidden => scopes.truncate(1),
            Scopes::NoWrite => scopes.truncate(2),
        }
        scopes
    }

    fn whole(&self, order: &Order) -> Value {
        order.whole(self.switches.scopes == Scopes::Hidden)
    }

    fn order(&self, field: &Field) -> Result<Value, Failure> {
        let id = field.text("id").unwrap_or_default();
        let Some(id) = number(id, "Order") else {
            let text = format!("Invalid global id '{id}'");
            return Err(Failure {
                code: "argumentLiteralsIncompatible",
                message: text,
            });
        };
        match self.book.order(self.shop, id) {
            Some(order) => {
                select(&self.whole(order), &field.fields, "Order").map_err(Failure::wrong)
            }
            // Asked of an order that is there, so that a wrong field is wrong here too.
            None => {
                let nobody = Order::default().whole(false);
                select(&nobody, &field.fields, "Order").map_err(Failure::wrong)?;
                Ok(Value::Null)
            }
        }
    }

    fn orders(&self, field: &Field) -> Result<Value, Failure> {
        let query = field.text("query").unwrap_or_default().trim();
        let lag = match self.switches.index_lag {
            IndexLag::None => 0,
            IndexLag::Second => 1000,
        };
        let plain = |name: &str| {
            name.trim_matches(['"', '\''])
                .trim_start_matches('#')
                .to_owned()
        };
        let fits = |order: &&Order| -> Result<bool, Failure> {
            if self.now.0 < order.created.0 + lag {
                return Ok(false);
            }
            if query.is_empty() {
                return Ok(true);
            }
            if let Some(id) = query.strip_prefix("id:") {
                return Ok(plain(id) == order.id.to_string());
            }
            let Some(name) = query.strip_prefix("name:") else {
                return Err(Failure {
                    code: "BAD_REQUEST",
                    message: format!(
                        "the simulator searches by name: and id: alone, not '{query}'"
                    ),
                });
            };
            let (name, own) = (plain(name), plain(&order.name));
            Ok(own.eq_ignore_ascii_case(&name)
                || self.switches.name_match == NameMatch::Prefix && own.starts_with(&name))
        };
        let mut found = Vec::new();
        for order in self.book.of(self.shop) {
            if fits(&order)? {
                found.push(self.whole(order));
            }
        }
        let whole = json!({ "orders": {"$connection": found} });
        let shown =
            select(&whole, std::slice::from_ref(field), "QueryRoot").map_err(Failure::wrong)?;
        Ok(shown[&field.key].clone())
    }

    fn mutation(&mut self, field: &Field) -> Result<Value, Failure> {
        // Before anything is done: a reply that cannot be put together must not hide a deed.
        let example = Fulfillment {
            numbers: vec![String::new()],
            ..Fulfillment::default()
        };
        let example = json!({"fulfillment": example.whole(),
            "userErrors": [{"field": ["x"], "message": "x"}]});
        select(&example, &field.fields, &field.name).map_err(Failure::wrong)?;
        let done = match field.name.as_str() {
            "fulfillmentCreate" => self.create(field),
            _ => self.retrack(field),
        };
        let whole = match done {
            Ok(done) => {
                let made = done.map_err(Failure::broken)?;
                json!({"fulfillment": made.whole(), "userErrors": []})
            }
            Err(error) => json!({"fulfillment": null,
                "userErrors": [{"field": error.field, "message": error.message}]}),
        };
        select(&whole, &field.fields, &field.name).map_err(Failure::wrong)
    }

    fn create(&mut self, field: &Field) -> Result<io::Result<Fulfillment>, UserError> {
        let at: &[&str] = &["fulfillment"];
        let input = field
            .arguments
            .get("fulfillment")
            .cloned()
            .unwrap_or_default();
        let entries = input["lineItemsByFulfillmentOrder"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let tracking = tracking(&input["trackingInfo"], at)?;
        let mut order: Option<Order> = None;
        let mut location = None;
        if entries.is_empty() {
            return refuse(at, "Line items by fulfillment order can't be blank");
        }
        for entry in &entries {
            let id = entry["fulfillmentOrderId"].as_str().unwrap_or_default();
            let id = number(id, "FulfillmentOrder");
            let hidden = self.switches.scopes == Scopes::Hidden;
            let mut owners = self.book.of(self.shop);
            let owner = owners.find(|o| o.fulfillment_orders.iter().any(|f| Some(f.id) == id));
            let Some(owner) = owner.filter(|_| !hidden).cloned() else {
                return refuse(at, "Fulfillment order does not exist.");
            };
            drop(owners);
            let order = match &mut order {
                None => order.insert(owner),
                Some(order) if order.id == owner.id => order,
                Some(_) => {
                    return refuse(at, "All fulfillment orders must belong to the same order.");
                }
            };
            let part = order
                .fulfillment_orders
                .iter_mut()
                .find(|f| Some(f.id) == id);
            let Some(part) = part else {
                return refuse(at, "Fulfillment order does not exist.");
            };
            if *location.get_or_insert(part.location) != part.location {
                return refuse(at, "All fulfillment orders must be at the same location.");
            }
            if !part.is_open() {
                let status = part.status.to_ascii_lowercase();
                let text = format!(
                    "Fulfillment order {} has an unfulfillable status= {status}.",
                    part.id
                );
                return refuse(at, text);
            }
            let wanted = entry["fulfillmentOrderLineItems"]
                .as_array()
                .filter(|l| !l.is_empty());
            match wanted {
                None => part.lines.iter_mut().for_each(|l| l.remaining = 0),
                Some(wanted) => {
                    for want in wanted {
                        let id = want["id"]
                            .as_str()
                            .and_then(|t| number(t, "FulfillmentOrderLineItem"));
                        let quantity = want["quantity"].as_u64().unwrap_or(0);
                        let line = part.lines.iter_mut().find(|l| Some(l.id) == id);
                        match line {
                            Some(line) if (1..=line.remaining).contains(&quantity) => {
                                line.remaining -= quantity
                            }
                            _ => {
                                return refuse(
                                    at,
                                    "Invalid fulfillment order line item quantity requested.",
                                );
                            }
                        }
                    }
                }
            }
            let left: u64 = part.lines.iter().map(|l| l.remaining).sum();
            part.status = if left == 0 { "CLOSED" } else { "IN_PROGRESS" }.into();
        }
        let Some(mut order) = order else {
            return refuse(at, "Fulfillment order does not exist.");
        };
        let made = Fulfillment {
            id: self.book.new_id(),
            created: self.now,
            company: tracking.company,
            numbers: tracking.numbers,
            urls: tracking.urls,
        };
        order.fulfillments.push(made.clone());
        let notified = input["notifyCustomer"].as_bool().unwrap_or(false);
        let entry = self.entry("fulfillmentCreate", &order, &made, Vec::new(), notified);
        Ok(self.book.put(order, Some(entry)).map(|()| made))
    }

    fn retrack(&mut self, field: &Field) -> Result<io::Result<Fulfillment>, UserError> {
        let id = field
            .text("fulfillmentId")
            .and_then(|t| number(t, "Fulfillment"));
        let input = field
            .arguments
            .get("trackingInfoInput")
            .cloned()
            .unwrap_or_default();
        let tracking = tracking(&input, &["trackingInfoInput"])?;
        let mut owners = self.book.of(self.shop);
        let owner = owners
            .find(|o| o.fulfillments.iter().any(|f| Some(f.id) == id))
            .cloned();
        drop(owners);
        let Some(mut order) = owner else {
            return refuse(&["fulfillmentId"], "Fulfillment does not exist.");
        };
        let Some(made) = order.fulfillments.iter_mut().find(|f| Some(f.id) == id) else {
            return refuse(&["fulfillmentId"], "Fulfillment does not exist.");
        };
        let before = std::mem::replace(&mut made.numbers, tracking.numbers);
        made.company = tracking.company;
        made.urls = tracking.urls;
        let made = made.clone();
        let told = field
            .arguments
            .get("notifyCustomer")
            .and_then(Value::as_bool);
        let call = "fulfillmentTrackingInfoUpdate";
        let entry = self.entry(call, &order, &made, before, told.unwrap_or(false));
        Ok(self.book.put(order, Some(entry)).map(|()| made))
    }

    fn entry(
        &self,
        call: &str,
        order: &Order,
        made: &Fulfillment,
        before: Vec<String>,
        notified: bool,
    ) -> Entry {
        Entry {
            n: 0,
            at: self.now,
            shop: self.shop.to_owned(),
            call: call.to_owned(),
            order: gid("Order", order.id),
            name: order.name.clone(),
            fulfillment: gid("Fulfillment", made.id),
            numbers: made.numbers.clone(),
            numbers_before: before,
            company: made.company.clone(),
            urls: made.urls.clone(),
            notified,
        }
    }
}

/// One number or several, never both.
fn tracking(input: &Value, at: &'static [&'static str]) -> Result<Tracking, UserError> {
    let texts = |one: &str, many: &str| {
        let one = input[one].as_str().map(str::to_owned);
        let many = input[many].as_array().map(|all| {
            let texts = all.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect::<Vec<String>>()
        });
        (one, many)
    };
    let (numbers, urls) = match (texts("number", "numbers"), texts("url", "urls")) {
        ((Some(_), Some(_)), _) | (_, (Some(_), Some(_))) => {
            return refuse(
                at,
                "Use either the singular or the plural of tracking fields.",
            );
        }
        ((Some(n), None), (url, None)) => (vec![n], url.into_iter().collect()),
        ((None, Some(n)), (None, urls)) => (n, urls.unwrap_or_default()),
        ((None, None), (None, None)) => (Vec::new(), Vec::new()),
        _ => return refuse(at, "Tracking URLs need tracking numbers of the same form."),
    };
    Ok(Tracking {
        company: input["company"].as_str().map(str::to_owned),
        numbers,
        urls,
    })
}
