//! Print Label and what follows from it: selling a consignment, its documents, clone, replace.
//!
//! A print has two halves with the courier's latency between them: [`prepare`] decides what the
//! order's state allows, [`commit`] sells and books. Between the halves another print may do the
//! same (S19), as with the real thing.

use crate::domain::Timestamp;
use crate::sim::label_pdf::{self, Label, PageShape, Paper, PaperLine};
use crate::sim::starshipit::api::{Answer, Ask, Refusal, members};
use crate::sim::starshipit::book::{Consignment, Order, Package, Sale, Status};
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::orders::Desk;
use crate::sim::starshipit::switches::{
    CopyNumber, EarlyReprint, Entries, Geometry, Numbers, RepeatPrint,
};
use crate::sim::starshipit::wire::cents;
use base64::Engine;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::time::Duration;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PrintRequest {
    pub(crate) order_id: Option<i64>,
    pub(crate) order_number: Option<String>,
    pub(crate) carrier: Option<String>,
    pub(crate) carrier_service_code: Option<String>,
    pub(crate) packages: Option<Vec<Package>>,
    pub(crate) reprint: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ManyRequest {
    order_ids: Vec<i64>,
    reprint: bool,
    summary: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CopyRequest {
    order_id: i64,
    to_return_shipment: bool,
}

/// What a print call will do once the courier has answered.
#[derive(Clone, Debug)]
pub(crate) enum Prepared {
    /// Nothing is sold: the documents of the order's consignment.
    Again(i64),
    /// A consignment is sold.
    Sell(Job),
}

/// A consignment about to be sold.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    id: i64,
    carrier: String,
    service: String,
    packages: Vec<Package>,
}

/// Which order a print request means, if it exists: needed before the race between two is decided.
pub(crate) fn target(desk: &Desk<'_>, account: &str, ask: &PrintRequest) -> Option<i64> {
    match (ask.order_id, &ask.order_number) {
        (Some(id), _) => desk.by_id(account, id).map(|o| o.id),
        (None, Some(number)) => desk.by_number(account, number).map(|o| o.id),
        (None, None) => None,
    }
}

/// First half: what may be done. `quota` is what the account may still buy.
pub(crate) fn prepare(
    desk: &mut Desk<'_>,
    account: &str,
    request: &PrintRequest,
    quota: Option<u32>,
) -> Result<Prepared, Refusal> {
    let Some(order) = target(desk, account, request).and_then(|id| desk.book.orders.get(&id))
    else {
        return Err(Refusal::new(
            match (request.order_id, &request.order_number) {
                (Some(id), _) => format!("Unable to get order details from order_id: {id}"),
                (_, Some(number)) => {
                    format!("Unable to get order details from order_number: {number}")
                }
                _ => "order_id or order_number parameter value is required".into(),
            },
        ));
    };
    let switches = desk.wire.switches;
    if order.status.has_label() {
        if request.reprint {
            return Ok(Prepared::Again(order.id));
        }
        match switches.repeat {
            RepeatPrint::SameLabel => return Ok(Prepared::Again(order.id)),
            RepeatPrint::Refuse => {
                return Err(Refusal::new("Order has already been printed, use reprint"));
            }
            RepeatPrint::NewConsignment => {}
        }
    } else if request.reprint && switches.early_reprint == EarlyReprint::Refuse {
        return Err(Refusal::new("No label has been printed for this order"));
    }
    if order.archived {
        return Err(Refusal::new("Order is archived"));
    }
    let bought = desk.book.sold_to(account);
    if quota.is_some_and(|quota| bought >= usize::try_from(quota).unwrap_or(usize::MAX)) {
        return Err(quota_exceeded());
    }
    job(order, request).map(Prepared::Sell)
}

/// The words of an account whose plan is used up.
pub(crate) fn quota_exceeded() -> Refusal {
    Refusal::new("Your plan's label quota has been exceeded. Please upgrade your plan.")
}

/// The words of a courier that does not want the parcel.
pub(crate) fn courier_refusal() -> Refusal {
    Refusal::new("The courier rejected the shipment: service is not available to this address")
}

fn job(order: &Order, request: &PrintRequest) -> Result<Job, Refusal> {
    let carrier = request.carrier.as_ref().or(order.carrier.as_ref());
    let (carrier, ruled) = match carrier {
        None if order.courier_needed => {
            return Err(Refusal::new(
                "No courier could be determined for this order",
            ));
        }
        None => (couriers::BY_RULE.0, Some(couriers::BY_RULE.1)),
        Some(text) => {
            let code = couriers::code(text)
                .ok_or_else(|| Refusal::new(format!("Courier {text} is not set up")))?;
            (code, None)
        }
    };
    let chosen = request.carrier_service_code.as_deref();
    // The order's own service belongs to the order's own courier.
    let own = order
        .service
        .as_deref()
        .filter(|_| request.carrier.is_none());
    let service = chosen
        .or(own)
        .or(ruled)
        .unwrap_or(couriers::default_service(carrier));
    if !couriers::has_service(carrier, service) {
        let name = couriers::name(carrier);
        return Err(Refusal::new(format!("{name} has no service {service}")));
    }
    let packages = match &request.packages {
        Some(packages) if !packages.is_empty() => packages,
        _ => &order.packages,
    };
    let valid = |p: &Package| p.weight.is_some_and(|w| w > 0.0 && w <= 10_000.0);
    if packages.is_empty() || packages.len() > 100 || !packages.iter().all(valid) {
        return Err(Refusal::new("Incorrect package weight parameter value"));
    }
    if order.address_invalid {
        return Err(Refusal::new(
            "Destination address is invalid: suburb and postcode do not match",
        ));
    }
    Ok(Job {
        id: order.id,
        carrier: carrier.to_owned(),
        service: service.to_owned(),
        packages: packages.clone(),
    })
}

/// Second half: sells and books what was prepared, and answers with the documents.
pub(crate) fn commit(desk: &mut Desk<'_>, prepared: &Prepared, tracking_delay: Duration) -> Answer {
    let id = match prepared {
        Prepared::Again(id) => *id,
        Prepared::Sell(job) => {
            sell(desk, job, tracking_delay, "api")?;
            job.id
        }
    };
    printed(desk, id)
}

fn sell(
    desk: &mut Desk<'_>,
    job: &Job,
    tracking_delay: Duration,
    via: &str,
) -> Result<(), Refusal> {
    let gone = || Refusal::new("Unable to get order details: the order was deleted");
    let mut order = desk.book.orders.get(&job.id).cloned().ok_or_else(gone)?;
    let switches = desk.wire.switches;
    let now = desk.wire.now;
    let count = job.packages.len();
    let numbers: Vec<String> = (0..count).map(|_| desk.book.new_tracking()).collect();
    let first = numbers[0].clone();
    let some = |numbers: &[String]| numbers.iter().cloned().map(Some).collect::<Vec<_>>();
    // Where the courier gives one number for all, every label carries that one.
    let (on_labels, told) = match switches.numbers {
        Numbers::PerParcel | Numbers::Late => (numbers.clone(), some(&numbers)),
        Numbers::One => (vec![first.clone(); count], vec![Some(first)]),
        Numbers::Nulls => {
            let mut told = vec![None; count];
            told[0] = Some(first.clone());
            (vec![first; count], told)
        }
    };
    let told_from = match switches.numbers {
        Numbers::Late => now.plus(tracking_delay),
        _ => now,
    };
    let weights: Vec<f64> = job
        .packages
        .iter()
        .map(|p| p.weight.unwrap_or(0.0))
        .collect();
    let consignment = Consignment {
        at: now,
        carrier: job.carrier.clone(),
        service: job.service.clone(),
        on_labels,
        told,
        told_from,
        price_cents: couriers::price_cents(&weights),
        weights,
        destination: order.destination.clone(),
        geometry: switches.geometry.word().to_owned(),
    };
    let sale = Sale {
        n: 0,
        account: order.account.clone(),
        order_id: order.id,
        order_number: order.number.clone(),
        carrier: job.carrier.clone(),
        tracking_numbers: consignment.on_labels.clone(),
        price_cents: consignment.price_cents,
        at: now,
        via: via.to_owned(),
    };
    order.carrier = Some(job.carrier.clone());
    order.service = Some(job.service.clone());
    order.packages = job.packages.clone();
    for package in &mut order.packages {
        if package.package_id == 0 {
            package.package_id = desk.book.new_line();
        }
    }
    order.status = Status::Printed;
    order.updated = now;
    order.consignments.push(consignment);
    desk.book.sell(sale, order)?;
    Ok(())
}

/// A person prints the order in Starshipit's own application.
pub(crate) fn print_elsewhere(desk: &mut Desk<'_>, id: i64) -> Result<(), Refusal> {
    let order = desk.book.orders.get(&id);
    let order = order.ok_or_else(|| Refusal::new(format!("Unable to find order id: {id}")))?;
    let job = job(order, &PrintRequest::default())?;
    sell(desk, &job, Duration::ZERO, "app")
}

/// The reply of Print Label for an order that has a consignment.
fn printed(desk: &Desk<'_>, id: i64) -> Answer {
    let found = desk.book.orders.get(&id);
    let Some((order, consignment)) = found.and_then(|o| o.consignment().map(|c| (o, c))) else {
        return Err(Refusal::new("No label has been printed for this order"));
    };
    let mut labels = Vec::new();
    let mut types = Vec::new();
    for (kind, pdf) in documents(order, consignment, desk.wire.switches.entries) {
        labels.push(base64(&pdf));
        types.push(kind);
    }
    Ok(members([
        ("order_id", json!(order.id)),
        ("order_number", json!(order.number)),
        ("carrier_name", json!(couriers::name(&consignment.carrier))),
        (
            "tracking_numbers",
            json!(consignment.tracking(desk.wire.now)),
        ),
        ("labels", json!(labels)),
        ("label_types", json!(types)),
        ("errors", json!([])),
    ]))
}

fn documents(
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

fn page_shape(geometry: &str) -> PageShape {
    if geometry == Geometry::Portrait.word() {
        PageShape::Portrait
    } else if geometry == Geometry::A4.word() {
        PageShape::A4Corner
    } else {
        PageShape::Rotated
    }
}

fn label_pages(order: &Order, consignment: &Consignment) -> Vec<Label> {
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

fn day(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map(|t| t.strftime("%d %b %Y").to_string())
        .unwrap_or_default()
}

fn address_block(title: &str, address: &crate::sim::starshipit::book::Address) -> Vec<String> {
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

fn paper(title: &str, order: &Order) -> Paper {
    let line = |item: &crate::sim::starshipit::book::Item| PaperLine {
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

fn invoice(order: &Order, consignment: &Consignment) -> Paper {
    let mut paper = paper("Commercial Invoice", order);
    paper
        .left
        .push(format!("Freight {:.2}", cents(consignment.price_cents)));
    paper
}

fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
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

    /// POST /api/orders/shipment/clone, and /replace, which archives the source.
    pub(crate) fn copy(&mut self, ask: &Ask, replace: bool) -> Answer {
        let request: CopyRequest = ask.read()?;
        let id = request.order_id;
        let source = self.by_id(&ask.account, id).cloned();
        let mut source = source.ok_or_else(|| {
            Refusal::new(format!("Unable to get order details from order_id: {id}"))
        })?;
        if !source.status.has_label() {
            return Err(Refusal::new("Only printed or shipped orders can be copied"));
        }
        if replace && source.archived {
            return Err(Refusal::new("Order is archived"));
        }
        let mut copy = Order {
            id: self.book.new_id(),
            number: self.copy_number(&source),
            status: Status::Unshipped,
            archived: false,
            manifest: None,
            consignments: Vec::new(),
            order_date: self.wire.now,
            updated: self.wire.now,
            ..source.clone()
        };
        if request.to_return_shipment {
            copy.order_type = "Return".into();
            std::mem::swap(&mut copy.sender, &mut copy.destination);
        }
        self.number_lines(&mut copy);
        self.book.put(copy.clone())?;
        if replace {
            source.archived = true;
            source.updated = self.wire.now;
            self.book.put(source)?;
        }
        Ok(members([("order", self.wire.order(&copy))]))
    }

    fn copy_number(&self, source: &Order) -> String {
        match self.wire.switches.copy_number {
            CopyNumber::Same => source.number.clone(),
            CopyNumber::Empty => String::new(),
            CopyNumber::Suffixed => (1..)
                .map(|n: u32| format!("{}-{n}", source.number))
                .find(|number| !self.book.orders.values().any(|o| o.number == *number))
                .unwrap_or_default(),
        }
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

/// Gives members of a reply another type each, all but `success`.
pub(crate) fn wrong_types(members: &mut Map<String, Value>) {
    for (key, value) in members.iter_mut() {
        if key == "success" {
            continue;
        }
        *value = match value {
            Value::Object(_) | Value::Null => json!("not an object"),
            Value::Array(_) => json!({"0": {"value": 7}}),
            Value::String(_) => json!([[1, 2]]),
            Value::Number(_) => json!({"id": "seven"}),
            Value::Bool(_) => json!("perhaps"),
        };
    }
}
