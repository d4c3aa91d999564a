//! Calls about several orders or none: bulk print, packing slips, manifest, services, rates.

use crate::sim::label_pdf::{self, PageShape, Paper, PaperLine};
use crate::sim::starshipit::api::{Answer, Ask, Refusal, members};
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::documents::{base64, label_pages, page_shape, paper};
use crate::sim::starshipit::model::Order;
use crate::sim::starshipit::orders::Desk;
use crate::sim::starshipit::shipping::{PrintRequest, commit, prepare};
use crate::sim::starshipit::wire::cents;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ManyRequest {
    order_ids: Vec<i64>,
    reprint: bool,
    summary: bool,
}

impl Desk<'_> {
    /// The orders of `order_ids`, all of them or a refusal.
    fn many(&self, account: &str, ids: &[i64]) -> Result<Vec<Order>, Refusal> {
        if ids.is_empty() || ids.len() > 100 {
            return Err(Refusal::new(
                "order_ids parameter value is required, at most 100",
            ));
        }
        let one = |id: &i64| {
            let order = self.by_id(account, *id).cloned();
            order.ok_or_else(|| {
                Refusal::new(format!("Unable to get order details from order_id: {id}"))
            })
        };
        ids.iter().map(one).collect()
    }

    /// POST /api/orders/shipments: prints several, answers with merged documents.
    pub(crate) fn print_many(&mut self, ask: &Ask, quota: Option<u32>, delay: Duration) -> Answer {
        let request: ManyRequest = ask.read()?;
        let orders = self.many(&ask.account, &request.order_ids)?;
        let mut messages = Vec::new();
        let mut labels = Vec::new();
        let mut shape = PageShape::Rotated;
        for order in orders {
            let one = PrintRequest {
                order_id: Some(order.id),
                reprint: request.reprint && order.status.has_label(),
                ..PrintRequest::default()
            };
            let done = prepare(self, &ask.account, &one, quota)
                .and_then(|prepared| commit(self, &prepared, delay));
            if let Err(refusal) = done {
                messages.push(format!("{}: {}", order.number, refusal.details));
                continue;
            }
            let order = self.book.orders.get(&order.id);
            if let Some((order, c)) = order.and_then(|o| o.consignment().map(|c| (o, c))) {
                labels.extend(label_pages(order, c));
                shape = page_shape(&c.geometry);
            }
        }
        if labels.is_empty() {
            return Err(Refusal::new(messages.join("; ")));
        }
        let pdf = base64(&label_pdf::labels(&labels, shape));
        Ok(members([
            (
                "labels",
                json!([{"label_type": "BlankLabels", "label_base64_string": pdf}]),
            ),
            ("messages", json!(messages)),
        ]))
    }

    /// POST /api/orders/packingslips.
    pub(crate) fn packing_slips(&mut self, ask: &Ask) -> Answer {
        let request: ManyRequest = ask.read()?;
        let orders = self.many(&ask.account, &request.order_ids)?;
        let title = if request.summary {
            "Pick Summary"
        } else {
            "Packing Slip"
        };
        let papers: Vec<Paper> = orders.iter().map(|o| paper(title, o)).collect();
        let pdf = base64(&label_pdf::papers(&papers));
        Ok(members([
            ("label_type", json!("PackingSlip")),
            ("pdf", json!(pdf)),
        ]))
    }

    /// POST /api/orders/manifest.
    pub(crate) fn manifest(&mut self, ask: &Ask) -> Answer {
        let request: ManyRequest = ask.read()?;
        let orders = self.many(&ask.account, &request.order_ids)?;
        if !orders.iter().all(|o| o.status.has_label()) {
            return Err(Refusal::new("Only printed orders can be manifested"));
        }
        let number = self.book.new_manifest();
        let mut sheet = Paper {
            title: format!("Manifest {number}"),
            left: vec![format!("{} consignments", orders.len())],
            ..Paper::default()
        };
        for mut order in orders {
            sheet.lines.push(PaperLine {
                text: order.number.clone(),
                quantity: 1.0,
                value: order.consignment().map_or(0.0, |c| cents(c.price_cents)),
            });
            order.manifest = Some(number);
            order.updated = self.wire.now;
            self.book.put(order)?;
        }
        let pdf = base64(&label_pdf::papers(&[sheet]));
        Ok(members([
            ("label_type", json!("Manifest")),
            ("pdf", json!(pdf)),
        ]))
    }

    /// POST /api/deliveryservices.
    pub(crate) fn services(&mut self, ask: &Ask) -> Answer {
        let request: Value = ask.read()?;
        let weights = weights(&request);
        let priced = request.get("include_pricing").and_then(Value::as_bool) == Some(true);
        let one = |(carrier, carrier_name, code, name)| {
            let mut service = json!({
                "carrier": carrier, "carrier_name": carrier_name,
                "service_code": code, "service_name": name,
                "currency": "AUD", "metafields": [], "pricing_breakdown": {},
            });
            if priced {
                let price = cents(couriers::price_cents(&weights));
                service["total_price"] = json!(price);
                service["pricing_breakdown"] = json!({
                    "Calculated Price": format!("{price:.2}"),
                    "Predicted Delivery Dates ": "",
                });
            }
            service
        };
        let services: Vec<Value> = couriers::all().map(one).collect();
        Ok(members([
            ("services", json!(services)),
            ("default_service", Value::Null),
            ("submit_actual_shipping_cost", json!(false)),
        ]))
    }

    /// POST /api/rates.
    pub(crate) fn rates(&mut self, ask: &Ask) -> Answer {
        let request: Value = ask.read()?;
        let Some(destination) = request.get("destination").and_then(Value::as_object) else {
            return Err(Refusal::new("destination object is required"));
        };
        if destination
            .get("country_code")
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
        {
            return Err(Refusal::new("country_code parameter value is required"));
        }
        let price = cents(couriers::price_cents(&weights(&request)));
        let rate = json!({"service_name": "Standard", "service_code": "STD", "total_price": price});
        Ok(members([("rates", json!([rate]))]))
    }
}

/// The weights in `packages` of a request, as far as they are plausible.
fn weights(request: &Value) -> Vec<f64> {
    let packages = request.get("packages").and_then(Value::as_array);
    let weight = |p: &Value| p.get("weight").and_then(Value::as_f64);
    let plausible = |w: &f64| (0.0..=10_000.0).contains(w);
    packages
        .into_iter()
        .flatten()
        .take(100)
        .filter_map(weight)
        .filter(plausible)
        .collect()
}
