//! How the simulator writes its orders as JSON: the drift of api/starshipit.md section 1.7, by
//! the switches.

use crate::domain::Timestamp;
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::model::{Address, Order};
use crate::sim::starshipit::switches::{CarrierType, Nulls, Switches, Zone};
use serde_json::{Map, Value, json};

/// The switches and the clock, as every reply needs them.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) switches: Switches,
    pub(crate) now: Timestamp,
}

impl Wire {
    /// A date with .NET's seven fractional digits.
    pub(crate) fn date(&self, at: Timestamp) -> String {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.0) else {
            return "0001-01-01T00:00:00".into();
        };
        let text = format!("{instant:.3}");
        let text = text.trim_end_matches('Z');
        match self.switches.zone {
            Zone::Utc => format!("{text}0000Z"),
            Zone::Missing => format!("{text}0000"),
        }
    }

    /// Sets `key`, or leaves it out, or writes null (S10).
    fn put<T: Into<Value>>(&self, map: &mut Map<String, Value>, key: &str, value: Option<T>) {
        match value {
            Some(value) => {
                map.insert(key.into(), value.into());
            }
            None if self.switches.nulls == Nulls::Null => {
                map.insert(key.into(), Value::Null);
            }
            None => {}
        }
    }

    fn carrier(&self, order: &Order) -> Value {
        match (&order.carrier, self.switches.carrier) {
            (Some(code), _) => json!(code),
            (None, CarrierType::IntThenCode) => json!(-1),
            (None, CarrierType::Code) => json!("None"),
        }
    }

    fn address(&self, address: &Address, destination: bool) -> Value {
        let mut map = Map::new();
        for (key, value) in [
            ("name", &address.name),
            ("email", &address.email),
            ("phone", &address.phone),
            ("building", &address.building),
            ("company", &address.company),
            ("street", &address.street),
            ("suburb", &address.suburb),
            ("city", &address.city),
            ("state", &address.state),
            ("post_code", &address.post_code),
            ("country", &address.country),
        ] {
            self.put(&mut map, key, value.clone());
        }
        if destination {
            self.put(
                &mut map,
                "delivery_instructions",
                address.delivery_instructions.clone(),
            );
        }
        Value::Object(map)
    }

    /// The full order (2.7).
    pub(crate) fn order(&self, order: &Order) -> Value {
        let mut map = Map::new();
        map.insert("order_id".into(), json!(order.id));
        map.insert("order_date".into(), json!(self.date(order.order_date)));
        map.insert("order_number".into(), json!(order.number));
        self.put(&mut map, "reference", order.reference.clone());
        map.insert("carrier".into(), self.carrier(order));
        let name = order.carrier.as_deref().map_or("", couriers::name);
        map.insert("carrier_name".into(), json!(name));
        self.put(&mut map, "carrier_service_code", order.service.clone());
        self.put(&mut map, "shipping_method", order.shipping_method.clone());
        self.put(
            &mut map,
            "shipping_description",
            order.shipping_description.clone(),
        );
        map.insert("signature_required".into(), json!(order.signature_required));
        map.insert("dangerous_goods".into(), json!(false));
        self.put(&mut map, "currency", order.currency.clone());
        map.insert("sender_details".into(), self.address(&order.sender, false));
        map.insert("destination".into(), self.address(&order.destination, true));
        self.put(
            &mut map,
            "items",
            (!order.items.is_empty()).then(|| self.items(order)),
        );
        map.insert("packages".into(), self.packages(order));
        let metadatas: Vec<Value> = [("SOURCE", "API")]
            .into_iter()
            .chain(
                order
                    .metadatas
                    .iter()
                    .map(|(k, v)| (k.as_str(), v.as_str())),
            )
            .map(|(key, value)| json!({"metafield_key": key, "value": value}))
            .collect();
        map.insert("metadatas".into(), json!(metadatas));
        map.insert(
            "events".into(),
            json!([{
                "time": self.date(order.order_date),
                "category": "JSON",
                "method": "Imported from API",
                "description": format!("{{\"OrderNumber\":\"{}\"}}", order.number),
            }]),
        );
        map.insert("declared_value".into(), json!(0.0));
        map.insert("archived".into(), json!(order.archived));
        let valid = if order.address_invalid {
            "Invalid"
        } else {
            "Valid"
        };
        map.insert("address_validation".into(), json!(valid));
        for key in ["create_return", "dtp", "add_insurance", "plt"] {
            map.insert(key.into(), json!(false));
        }
        map.insert("insurance_value".into(), json!(0.0));
        map.insert("type".into(), json!(order.order_type));
        map.insert("platform".into(), json!(order.platform));
        map.insert("status".into(), json!(order.status.word()));
        map.insert("manifested".into(), json!(order.manifest.is_some()));
        self.put(&mut map, "manifest_number", order.manifest);
        let price = order.consignment().map(|c| cents(c.price_cents));
        self.put(&mut map, "total_shipping_price", price);
        Value::Object(map)
    }

    fn items(&self, order: &Order) -> Value {
        let item = |item: &crate::sim::starshipit::model::Item| {
            let mut map = Map::new();
            map.insert("item_id".into(), json!(item.item_id));
            self.put(&mut map, "description", item.description.clone());
            self.put(&mut map, "sku", item.sku.clone());
            map.insert("quantity".into(), json!(item.quantity));
            map.insert("quantity_to_ship".into(), json!(item.quantity));
            self.put(&mut map, "weight", item.weight);
            self.put(&mut map, "value", item.value);
            Value::Object(map)
        };
        Value::Array(order.items.iter().map(item).collect())
    }

    fn packages(&self, order: &Order) -> Value {
        let consignment = order.consignment();
        let package = |(i, package): (usize, &crate::sim::starshipit::model::Package)| {
            let mut map = Map::new();
            map.insert("package_id".into(), json!(package.package_id));
            let name = package.name.clone().unwrap_or_else(|| "Package".into());
            map.insert("name".into(), json!(name));
            self.put(&mut map, "packaging_type", package.packaging_type.clone());
            self.put(&mut map, "weight", package.weight);
            self.put(&mut map, "height", package.height);
            self.put(&mut map, "width", package.width);
            self.put(&mut map, "length", package.length);
            let number = consignment.and_then(|c| c.tracking_of(i, self.now));
            self.put(&mut map, "tracking_number", number);
            self.put(&mut map, "tracking_url", number.map(tracking_url));
            self.put(
                &mut map,
                "carrier_service_code",
                consignment.map(|c| c.service.clone()),
            );
            let service = consignment.map(|c| couriers::service_name(&c.carrier, &c.service));
            self.put(&mut map, "carrier_service_name", service);
            self.put(&mut map, "delivery_status", consignment.map(|_| "Printed"));
            self.put(&mut map, "shipment_type", consignment.map(|_| "Outgoing"));
            self.put(
                &mut map,
                "label_created_date",
                consignment.map(|c| self.date(c.at)),
            );
            if consignment.is_some() {
                map.insert("labels".into(), json!([]));
            }
            Value::Object(map)
        };
        Value::Array(order.packages.iter().enumerate().map(package).collect())
    }

    /// A line of the list of GET /api/orders: `carrier_id` instead of `carrier`.
    pub(crate) fn list_line(&self, order: &Order) -> Value {
        json!({
            "order_id": order.id,
            "order_number": order.number,
            "order_date": self.date(order.order_date),
            "carrier_id": order.carrier.as_deref().map_or(-1, couriers::id),
            "carrier_name": order.carrier.as_deref().map_or("", couriers::name),
            "status": order.status.word(),
        })
    }

    /// A hit of the search (3.16).
    pub(crate) fn search_line(&self, order: &Order) -> Value {
        let mut map = Map::new();
        map.insert("order_id".into(), json!(order.id));
        map.insert("order_date".into(), json!(self.date(order.order_date)));
        map.insert("order_number".into(), json!(order.number));
        self.put(&mut map, "name", order.destination.name.clone());
        let carrier = order.carrier.as_deref().map_or("", couriers::name);
        map.insert("carrier_name".into(), json!(carrier));
        self.put(&mut map, "tracking_number", self.first_number(order));
        self.put(&mut map, "country", order.destination.country.clone());
        Value::Object(map)
    }

    /// A line of GET /api/orders/shipped (3.12).
    pub(crate) fn shipped_line(&self, order: &Order) -> Value {
        let mut map = Map::new();
        map.insert("order_id".into(), json!(order.id));
        map.insert("order_date".into(), json!(self.date(order.order_date)));
        let at = order.consignment().map(|c| self.date(c.at));
        self.put(&mut map, "shipped_date", at);
        map.insert("order_number".into(), json!(order.number));
        self.put(&mut map, "reference", order.reference.clone());
        map.insert("integration_source_name".into(), json!(order.platform));
        self.put(&mut map, "name", order.destination.name.clone());
        self.put(&mut map, "state", order.destination.state.clone());
        self.put(&mut map, "country", order.destination.country.clone());
        map.insert("carrier".into(), self.carrier(order));
        let carrier = order.carrier.as_deref().map_or("", couriers::name);
        map.insert("carrier_name".into(), json!(carrier));
        self.put(&mut map, "carrier_service_code", order.service.clone());
        map.insert("shipment_type".into(), json!(order.order_type));
        self.put(&mut map, "tracking_number", self.first_number(order));
        map.insert("tracking_short_status".into(), json!(order.status.word()));
        map.insert("manifest_number".into(), json!(order.manifest.unwrap_or(0)));
        map.insert("manifest_sent".into(), json!(order.manifest.is_some()));
        map.insert("writeback_status".into(), json!(""));
        map.insert("writeback_details".into(), json!(""));
        Value::Object(map)
    }

    /// A line of GET /api/orders/shipments (3.13).
    pub(crate) fn shipment_line(&self, order: &Order) -> Value {
        let mut map = Map::new();
        map.insert("order_id".into(), json!(order.id));
        map.insert("order_number".into(), json!(order.number));
        self.put(
            &mut map,
            "date",
            order.consignment().map(|c| self.date(c.at)),
        );
        self.put(&mut map, "name", order.destination.name.clone());
        let carrier = order.carrier.as_deref().map_or("", couriers::name);
        map.insert("carrier_name".into(), json!(carrier));
        self.put(&mut map, "carrier_service_code", order.service.clone());
        let numbers = order.consignment().map(|c| c.tracking(self.now).to_vec());
        map.insert(
            "tracking_numbers".into(),
            json!(numbers.unwrap_or_default()),
        );
        self.put(&mut map, "country", order.destination.country.clone());
        Value::Object(map)
    }

    /// A line of GET /api/orders/summary (3.15).
    pub(crate) fn summary_line(&self, order: &Order) -> Value {
        let weight: f64 = order.packages.iter().filter_map(|p| p.weight).sum();
        let pieces: f64 = order.items.iter().map(|i| i.quantity).sum();
        let skus: Vec<&str> = order
            .items
            .iter()
            .filter_map(|i| i.sku.as_deref())
            .collect();
        let names: Vec<&str> = order
            .items
            .iter()
            .filter_map(|i| i.description.as_deref())
            .collect();
        json!({
            "order_id": order.id,
            "order_number": order.number,
            "contact_name": order.destination.name,
            "country": order.destination.country,
            "state": order.destination.state,
            "order_type": order.order_type,
            "platform": order.platform,
            "integration_id": 25,
            "order_status": i32::from(order.status.has_label()),
            "carrier": order.carrier.as_deref().unwrap_or(""),
            "product": order.service.as_deref().unwrap_or(""),
            "weight": weight,
            "weight_unit": "kg",
            "valid_address": !order.address_invalid,
            "quantity": pieces.to_string(),
            "skus": skus.join(","),
            "items": names.join(","),
            "soh": "",
            "manifest_number": order.manifest.unwrap_or(0),
            "manifest_sent": order.manifest.is_some(),
            "writeback_status": "",
            "order_date": self.date(order.order_date),
            "shipped_date": order.consignment().map(|c| self.date(c.at)),
        })
    }

    /// The `results` of GET /api/track (5.1).
    pub(crate) fn track(&self, order: &Order) -> Value {
        let status = match order.status {
            crate::sim::starshipit::model::Status::Printed => "Awaiting Dispatch",
            crate::sim::starshipit::model::Status::Shipped => "Dispatched",
            other => other.word(),
        };
        let mut map = Map::new();
        map.insert("order_number".into(), json!(order.number));
        map.insert("order_status".into(), json!(status));
        let carrier = order.carrier.as_deref().map_or("", couriers::name);
        map.insert("carrier_name".into(), json!(carrier));
        self.put(&mut map, "carrier_service", order.service.clone());
        let number = self.first_number(order);
        self.put(&mut map, "tracking_number", number);
        self.put(&mut map, "tracking_url", number.map(tracking_url));
        self.put(
            &mut map,
            "shipment_date",
            order.consignment().map(|c| self.date(c.at)),
        );
        self.put(
            &mut map,
            "tracking_status",
            order.consignment().map(|_| "Printed"),
        );
        map.insert("last_updated_date".into(), json!(self.date(order.updated)));
        map.insert("tracking_events".into(), json!([]));
        Value::Object(map)
    }

    fn first_number<'a>(&self, order: &'a Order) -> Option<&'a str> {
        order
            .consignment()?
            .tracking(self.now)
            .iter()
            .find_map(|t| t.as_deref())
    }
}

fn tracking_url(number: &str) -> String {
    format!("https://track.example.test/{number}")
}

/// Cents as an amount.
#[expect(
    clippy::cast_precision_loss,
    reason = "a freight price is far below 2^52 cents"
)]
pub(crate) fn cents(cents: u64) -> f64 {
    cents as f64 / 100.0
}
