//! One delivery: read, decide, write, read again.

use super::carriers::company;
use super::client::Failure;
use super::plan::{Step, decide};
use super::wire::{NUMBERS_SHOWN, Order, Written, order_gid};
use super::{FULFILLED_BY_CARTONCLOUD, Shop};
use crate::domain::Delivery;
use crate::domain::writeback::Dispatch;
use crate::outbox::{Delivering, Sink};
use crate::system::http::tidy;
use serde_json::json;
use std::time::Duration;

/// Looks at the order in one delivery.
const ROUNDS: usize = 4;
/// An order that is not there yet may come: imports and the search index lag.
const MAY_COME: Duration = Duration::from_secs(86_400);

/// Kept in one place: what can be asked for varies a little with the version.
fn look() -> String {
    format!(
        "query Look($id: ID!) {{ order(id: $id) {{ id name cancelledAt displayFulfillmentStatus \
         fulfillments(first: 20) {{ id status trackingInfo(first: {NUMBERS_SHOWN}) {{ number }} }} \
         fulfillmentOrders(first: 20) {{ nodes {{ id status \
         assignedLocation {{ location {{ id name }} }} supportedActions {{ action }} }} }} }} }}"
    )
}

const FIND: &str = "query Find($q: String!) { orders(first: 5, query: $q) { nodes { id name } } }";

const FULFIL: &str = "mutation Fulfil($fulfillment: FulfillmentInput!) { \
    fulfillmentCreate(fulfillment: $fulfillment) { \
    fulfillment { id status trackingInfo(first: 20) { number } } userErrors { field message } } }";

const RETRACK: &str = "mutation Retrack($id: ID!, $t: FulfillmentTrackingInput!, $n: Boolean) { \
    fulfillmentTrackingInfoUpdate(fulfillmentId: $id, trackingInfoInput: $t, notifyCustomer: $n) { \
    fulfillment { id status trackingInfo(first: 20) { number } } userErrors { field message } } }";

impl Sink for Shop {
    fn name(&self) -> &str {
        &self.name
    }

    fn system(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> Delivering<'a> {
        Box::pin(async move {
            match self.try_once(dispatch).await {
                Ok(delivery) => delivery,
                Err(failure) => failure.delivery(),
            }
        })
    }
}

/// Which order is meant.
enum Wanted {
    Id(String),
    Name(String),
}

impl Shop {
    async fn try_once(&self, dispatch: &Dispatch) -> Result<Delivery, Failure> {
        let Some(sale) = &dispatch.sale else {
            return Ok(unsupported("the order has no sale order".to_owned()));
        };
        // The jobs of an order are made for its own shop; this is the second lock on that door.
        if !sale.customer.is(&self.customer) {
            return Ok(unsupported(format!(
                "the order belongs to another customer than {}",
                self.customer
            )));
        }
        let kept = |path: &str| {
            let text = sale.kept.get(path).map(|text| text.trim());
            text.filter(|text| !text.is_empty())
        };
        if kept(FULFILLED_BY_CARTONCLOUD).is_some_and(|flag| flag.eq_ignore_ascii_case("true")) {
            return Ok(unsupported("CartonCloud fulfils it".to_owned()));
        }
        if dispatch.job.tracking.is_empty() {
            return Ok(unsupported("there is no tracking number".to_owned()));
        }
        let wanted = match kept(&self.order_id).and_then(order_gid) {
            Some(id) => Wanted::Id(id),
            None => Wanted::Name(
                kept(&self.order_name)
                    .unwrap_or(&dispatch.number)
                    .to_owned(),
            ),
        };
        let id = match wanted {
            Wanted::Id(id) => id,
            Wanted::Name(name) => match self.find(&name).await?.as_slice() {
                [] => return Ok(self.missing(dispatch, &name)),
                [one] => one.clone(),
                more => {
                    return Ok(unsupported(format!(
                        "{} orders in Shopify are called {}; map order_id",
                        more.len(),
                        tidy(&name, 60)
                    )));
                }
            },
        };
        self.settle_order(dispatch, &id).await
    }

    async fn settle_order(&self, dispatch: &Dispatch, id: &str) -> Result<Delivery, Failure> {
        let mut trouble = None;
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(self.settle).await;
            }
            let data = self.client.ask(&look(), json!({ "id": id })).await?;
            let Some(order) = data.order.filter(|order| order.id == id) else {
                return Ok(self.missing(dispatch, id));
            };
            let written = match decide(&order, &dispatch.job) {
                Step::Stop(delivery) => return Ok(delivery),
                Step::Create { fulfillment_orders } => {
                    self.create(dispatch, &fulfillment_orders).await
                }
                Step::Retrack { fulfillment } => self.retrack(dispatch, &fulfillment).await,
            };
            // Unless it shows our numbers itself, the next look decides: texts change, and a success
            // that the order does not show is none.
            trouble = match written {
                Ok(written) => match shown(&written, &order, dispatch) {
                    Some(handle) => {
                        return Ok(Delivery::Done {
                            handle: Some(handle),
                        });
                    }
                    None => refusal(&written, &order),
                },
                Err(Failure::Unknown(why)) => Some(why),
                Err(other) => return Err(other),
            };
            if trouble.is_some() {
                tracing::info!(order = %dispatch.order, why = trouble, "Shopify did not confirm");
            }
        }
        let why = trouble.unwrap_or_else(|| "Shopify does not show our numbers yet".to_owned());
        Ok(Delivery::Retry {
            after: None,
            why,
            unreachable: false,
        })
    }

    /// Ids of the orders with exactly this name, with or without its `#`.
    async fn find(&self, name: &str) -> Result<Vec<String>, Failure> {
        let plain = plain_name(name);
        let quoted = plain.replace('\\', "\\\\").replace('"', "\\\"");
        let query = format!("name:\"{quoted}\"");
        let data = self.client.ask(FIND, json!({ "q": query })).await?;
        let mut ids: Vec<String> = data
            .orders
            .map(|found| found.nodes)
            .unwrap_or_default()
            .into_iter()
            .filter(|order| plain_name(&order.name).eq_ignore_ascii_case(plain))
            .map(|order| order.id)
            .collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    fn missing(&self, dispatch: &Dispatch, what: &str) -> Delivery {
        let why = format!(
            "Shopify has no order {} (or the app may not see it: orders older than 60 days need \
             the scope read_all_orders)",
            tidy(what, 60)
        );
        if (self.clock)().since(dispatch.job.since) < MAY_COME {
            return Delivery::Retry {
                after: None,
                why,
                unreachable: false,
            };
        }
        unsupported(why)
    }

    async fn create(&self, dispatch: &Dispatch, orders: &[String]) -> Result<Written, Failure> {
        let orders: Vec<_> = orders
            .iter()
            .map(|id| json!({ "fulfillmentOrderId": id }))
            .collect();
        let input = json!({ "fulfillment": {
            "lineItemsByFulfillmentOrder": orders,
            "notifyCustomer": self.notify_customer,
            "trackingInfo": tracking(dispatch),
        } });
        let data = self.client.ask(FULFIL, input).await?;
        data.fulfillment_create.ok_or_else(nothing)
    }

    async fn retrack(&self, dispatch: &Dispatch, id: &str) -> Result<Written, Failure> {
        let input = json!({
            "id": id,
            "t": tracking(dispatch),
            "n": self.notify_customer,
        });
        let data = self.client.ask(RETRACK, input).await?;
        data.fulfillment_tracking_info_update.ok_or_else(nothing)
    }
}

fn nothing() -> Failure {
    Failure::Unknown("Shopify's answer holds nothing".to_owned())
}

fn unsupported(why: String) -> Delivery {
    Delivery::Unsupported { why }
}

fn plain_name(name: &str) -> &str {
    name.trim().trim_start_matches('#')
}

/// Singular and plural must not be mixed.
fn tracking(dispatch: &Dispatch) -> serde_json::Value {
    let mut info = match dispatch.job.tracking.as_slice() {
        [one] => json!({ "number": one }),
        all => json!({ "numbers": all }),
    };
    let company = company(&dispatch.carrier);
    if !company.is_empty() {
        info["company"] = company.into();
    }
    info
}

/// The fulfilment that now carries every number of ours, when it is the only one of its order.
fn shown(written: &Written, before: &Order, dispatch: &Dispatch) -> Option<String> {
    let fulfillment = written.fulfillment.as_ref()?;
    let others = before
        .fulfillments
        .iter()
        .any(|f| f.is_live() && f.id != fulfillment.id);
    let numbers = fulfillment.numbers();
    let mut wanted = dispatch.job.tracking.iter().take(NUMBERS_SHOWN);
    let all = wanted.all(|number| numbers.contains(&number.trim()));
    let sure = written.user_errors.is_empty() && fulfillment.is_live() && all && !others;
    sure.then(|| fulfillment.id.clone())
}

/// What a mutation had against it; `None`: it says that it was done.
fn refusal(written: &Written, order: &Order) -> Option<String> {
    let texts: Vec<&str> = written
        .user_errors
        .iter()
        .take(4)
        .map(|e| e.text())
        .collect();
    if texts.is_empty() && written.fulfillment.is_some() {
        return None;
    }
    let why = match texts.is_empty() {
        true => "no reason given".to_owned(),
        false => texts.join("; "),
    };
    let text = format!("Shopify refused for {}: {why}", order.name);
    Some(tidy(&text, 200))
}
