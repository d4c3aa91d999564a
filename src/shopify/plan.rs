//! What an order, as it stands at Shopify, needs so that it carries our numbers. Pure.

use super::wire::{Fulfillment, FulfillmentOrder, Location, NUMBERS_SHOWN, Order};
use crate::domain::{Delivery, Writeback};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Looks at an order that is on hold, or not to be seen: the shop's people change that, not time.
const RARELY: Duration = Duration::from_secs(1800);

/// The one next step.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing to write.
    Stop(Delivery),
    /// One fulfilment of what is open, with all numbers.
    Create {
        /// Fulfilment orders, all at one location.
        fulfillment_orders: Vec<String>,
    },
    /// The numbers of this fulfilment become ours.
    Retrack {
        /// Its id.
        fulfillment: String,
    },
}

/// Decides by what is there, never by the text of an error.
pub(super) fn decide(order: &Order, job: &Writeback) -> Step {
    let wanted: BTreeSet<&str> = job.tracking.iter().map(|n| n.trim()).collect();
    let stale: BTreeSet<&str> = job
        .supersedes
        .iter()
        .map(|n| n.trim())
        .filter(|n| !wanted.contains(n))
        .collect();
    let is_ours = |number: &str| wanted.contains(number) || stale.contains(number);
    let live: Vec<&Fulfillment> = order.fulfillments.iter().filter(|f| f.is_live()).collect();

    let mine: Vec<&Fulfillment> = live
        .iter()
        .copied()
        .filter(|f| {
            let numbers = f.numbers();
            let ours_by_number = numbers.iter().any(|n| is_ours(n));
            let ours_by_id = job.handle.as_deref() == Some(f.id.as_str());
            ours_by_number || (ours_by_id && numbers.is_empty())
        })
        .collect();
    if let Some(first) = mine.first() {
        let shown: BTreeSet<&str> = mine.iter().flat_map(|f| f.numbers()).collect();
        let outdated = mine
            .iter()
            .find(|f| f.numbers().iter().any(|n| stale.contains(n)));
        // Shopify shows the first numbers of a long list only.
        let whole =
            wanted.is_subset(&shown) || (shown.is_subset(&wanted) && shown.len() >= NUMBERS_SHOWN);
        if whole && outdated.is_none() {
            return Step::Stop(Delivery::Done {
                handle: Some(first.id.clone()),
            });
        }
        let change = outdated.unwrap_or(first);
        let numbers = change.numbers();
        let theirs: Vec<&str> = numbers.into_iter().filter(|n| !is_ours(n)).collect();
        if !theirs.is_empty() && !job.overwrite {
            return conflict(&theirs);
        }
        return retrack(change);
    }

    if order.cancelled_at.is_some() {
        return unsupported("the order is cancelled in Shopify".to_owned());
    }
    let theirs: Vec<&str> = live.iter().flat_map(|f| f.numbers()).collect();
    if job.overwrite
        && let Some(last) = live.iter().rfind(|f| !f.numbers().is_empty())
    {
        return retrack(last);
    }
    let all: &[FulfillmentOrder] = order
        .fulfillment_orders
        .as_ref()
        .map_or(&[], |orders| orders.nodes.as_slice());
    let open: Vec<&FulfillmentOrder> = all.iter().filter(|f| f.can_be_fulfilled()).collect();
    if !open.is_empty() {
        return create(&open);
    }
    if let Some(waiting) = all
        .iter()
        .find(|f| matches!(f.status.as_str(), "ON_HOLD" | "SCHEDULED"))
    {
        let how = match waiting.status.as_str() {
            "ON_HOLD" => "on hold",
            _ => "scheduled for later",
        };
        return rarely(format!("the order is {how} in Shopify"));
    }
    if !theirs.is_empty() {
        return conflict(&theirs);
    }
    match live.as_slice() {
        // Fulfilled by hand, without a number: nothing is overwritten by ours.
        [one] => retrack(one),
        [] if all.is_empty()
            && order.display_fulfillment_status.as_deref() != Some("FULFILLED") =>
        {
            rarely(
                "Shopify shows no fulfillment order: the app may lack the scope \
                 read_merchant_managed_fulfillment_orders"
                    .to_owned(),
            )
        }
        [] => unsupported("nothing of the order is left to fulfil in Shopify".to_owned()),
        _ => unsupported(format!(
            "the order was fulfilled in {} parts without numbers; put {} in by hand",
            live.len(),
            job.joined()
        )),
    }
}

impl FulfillmentOrder {
    fn can_be_fulfilled(&self) -> bool {
        let allowed = self
            .supported_actions
            .iter()
            .flatten()
            .any(|a| a.action == "CREATE_FULFILLMENT");
        allowed || matches!(self.status.as_str(), "OPEN" | "IN_PROGRESS")
    }
}

/// One location is this warehouse. Of several nobody here can tell which, and goods that lie elsewhere
/// must not be told as sent.
fn create(open: &[&FulfillmentOrder]) -> Step {
    let mut places: BTreeMap<Option<&Location>, Vec<String>> = BTreeMap::new();
    for one in open {
        let location = one.assigned_location.as_ref();
        places
            .entry(location.and_then(|a| a.location.as_ref()))
            .or_default()
            .push(one.id.clone());
    }
    let names: Vec<String> = places
        .keys()
        .map(|place| match place {
            Some(location) => location.name.clone().unwrap_or_else(|| location.id.clone()),
            None => "no location".to_owned(),
        })
        .collect();
    match places.into_values().collect::<Vec<_>>().as_mut_slice() {
        [one] => Step::Create {
            fulfillment_orders: std::mem::take(one),
        },
        _ => unsupported(format!(
            "the order is open at several locations ({}); fulfil it by hand",
            names.join(", ")
        )),
    }
}

fn retrack(fulfillment: &Fulfillment) -> Step {
    Step::Retrack {
        fulfillment: fulfillment.id.clone(),
    }
}

fn conflict(theirs: &[&str]) -> Step {
    Step::Stop(Delivery::Conflict {
        theirs: crate::system::http::tidy(&theirs.join(","), 500),
    })
}

fn unsupported(why: String) -> Step {
    Step::Stop(Delivery::Unsupported { why })
}

fn rarely(why: String) -> Step {
    Step::Stop(Delivery::Retry {
        after: Some(RARELY),
        why,
        unreachable: false,
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
