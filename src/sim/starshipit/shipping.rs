//! Print Label and what follows from it: selling a consignment, its documents, clone, replace.
//!
//! A print has two halves with the courier's latency between them: [`prepare`] decides what the
//! order's state allows, [`commit`] sells and books. Between the halves another print may do the
//! same (S19), as with the real thing.

use crate::sim::starshipit::api::{Answer, Ask, Refusal, members};
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::documents::{base64, documents};
use crate::sim::starshipit::model::{Consignment, Order, Package, Sale, Status};
use crate::sim::starshipit::orders::Desk;
use crate::sim::starshipit::switches::{CopyNumber, EarlyReprint, Numbers, RepeatPrint};
use serde::Deserialize;
use serde_json::json;
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

impl Desk<'_> {
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
}
