//! The four places of CartonCloud that take tracking numbers, each an [`crate::outbox::Sink`].
//!
//! All read before they write, are safe to repeat after any outcome, and tell a missing role by its
//! name. What they share is here: comparing sets of numbers, finding a sale order that was deleted
//! and made again, and what a failed call means for a job.

mod consignment;
mod order_document;
mod order_properties;
mod sale_order;

pub use consignment::Consignment;
pub use order_document::OrderDocumentSink;
pub use order_properties::OrderProperties;
pub use sale_order::SaleOrderSink;

use crate::cartoncloud::send::{Fault, denied};
use crate::cartoncloud::{CartonCloud, Lookup, Priority};
use crate::domain::writeback::Dispatch;
use crate::domain::{CallFailure, Code, Delivery, SaleOrder, Timestamp};
use crate::system::http::bounded;
use std::sync::Arc;
use std::time::Duration;

/// The outside system of all these sinks.
pub const SYSTEM: &str = "cartoncloud";

/// The wall clock, given by the shell.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Names of the custom fields (members of `properties`); empty: not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The numbers, joined by commas.
    pub tracking_number: String,
    /// The courier's name.
    pub carrier: String,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            tracking_number: "carrierTrackingNumberField".to_owned(),
            carrier: String::new(),
        }
    }
}

/// How often a change is tried again when somebody else changes the same thing.
const STALE_TRIES: u32 = 5;
/// Wait for a person to give us a role, or right credentials.
const PERSON: Duration = Duration::from_secs(300);

/// What stands in a place, compared with what shall stand there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stands {
    /// Nothing.
    Nothing,
    /// Exactly our set.
    Ours,
    /// Part of our set, and nothing else.
    PartOfOurs,
    /// Numbers that ours replace.
    Superseded,
    /// Somebody else's.
    Theirs(String),
}

/// Compares a place's text with a job's set.
fn stands(text: Option<&str>, dispatch: &Dispatch) -> Stands {
    let there = numbers(text.unwrap_or_default());
    let job = &dispatch.job;
    let has = |set: &[String], number: &str| set.iter().any(|n| same(n, number));
    let ours = |number: &&str| has(&job.tracking, number);
    if there.is_empty() {
        return Stands::Nothing;
    }
    if there.iter().all(ours) {
        let is_whole = job
            .tracking
            .iter()
            .all(|n| there.iter().any(|t| same(t, n)));
        return if is_whole {
            Stands::Ours
        } else {
            Stands::PartOfOurs
        };
    }
    if there.iter().all(|t| ours(t) || has(&job.supersedes, t)) {
        return Stands::Superseded;
    }
    Stands::Theirs(bounded(text.unwrap_or_default().trim()))
}

/// The numbers of a joined text.
fn numbers(text: &str) -> Vec<&str> {
    text.split([',', ';', '|', '\n'])
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .collect()
}

/// Couriers and systems add blanks and change case; a number stays the same number.
fn same(a: &str, b: &str) -> bool {
    let squeezed = |text: &str| -> String {
        text.chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_ascii_uppercase())
            .collect()
    };
    squeezed(a) == squeezed(b)
}

/// What a failed call means for a job.
fn after(fault: Fault) -> Delivery {
    let retry = |after, why: String, unreachable| Delivery::Retry {
        after,
        why: bounded(&why),
        unreachable,
    };
    match fault {
        // A person may add the role and have it tried again; meanwhile a fallback may do.
        Fault::Denied { role, said } => unsupported(denied(role, &said)),
        Fault::Call(CallFailure::NotSent { detail }) => retry(None, detail, true),
        Fault::Call(CallFailure::Unknown { detail }) => retry(None, detail, false),
        Fault::Call(CallFailure::Throttled { retry_after }) => {
            retry(retry_after, "asked to wait".to_owned(), true)
        }
        Fault::Call(CallFailure::Refused { code, detail }) => match code {
            Code::CartoncloudUnauthorized => retry(Some(PERSON), detail, true),
            Code::ClockNotSet => retry(None, detail, true),
            _ => unsupported(detail),
        },
    }
}

fn unsupported(why: impl AsRef<str>) -> Delivery {
    Delivery::Unsupported {
        why: bounded(why.as_ref()),
    }
}

const DONE: Delivery = Delivery::Done { handle: None };

/// The dispatch's sale order as it is now, under its new id when it was deleted and made again.
///
/// `Err` ends the attempt.
async fn current(client: &CartonCloud, dispatch: &Dispatch) -> Result<SaleOrder, Delivery> {
    let Some(link) = &dispatch.sale else {
        return Err(unsupported("the order has no sale order in CartonCloud"));
    };
    let found = client.order_or(&link.uuid, Priority::Writeback).await;
    if let Some(order) = found.map_err(after)? {
        return Ok(order);
    }
    let by_number = [(Lookup::Reference, dispatch.number.clone())];
    let hits = client.search(&by_number, Priority::Writeback).await;
    let mut hits = hits.map_err(|failure| after(Fault::Call(failure)))?;
    // Two customers may use the same reference.
    hits.retain(|o| {
        o.customer.id.eq_ignore_ascii_case(&link.customer.id)
            && o.number.eq_ignore_ascii_case(dispatch.number.trim())
    });
    match hits.len() {
        1 => Ok(hits.remove(0)),
        0 => Err(unsupported("the sale order is gone from CartonCloud")),
        n => Err(unsupported(format!(
            "the sale order is gone, and {n} others have its number"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccountName, OrderId, Writeback, WritebackState};

    fn dispatch(tracking: &[&str], supersedes: &[&str]) -> Dispatch {
        let all = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
        Dispatch {
            order: OrderId::cartoncloud("u"),
            number: "WEB-1".into(),
            account: AccountName::from("main"),
            sale: None,
            carrier: "Post".into(),
            shipped: Timestamp(0),
            documents: Vec::new(),
            job: Writeback {
                n: 1,
                sink: "consignment".into(),
                tracking: all(tracking),
                supersedes: all(supersedes),
                state: WritebackState::Pending,
                attempts: 0,
                overwrite: false,
                handle: None,
                trouble: None,
                since: Timestamp(0),
                at: Timestamp(0),
            },
        }
    }

    #[test]
    fn another_number_is_never_taken_for_ours() {
        let job = dispatch(&["AB1", "AB2"], &["OLD1"]);
        let theirs = |text: &str| Stands::Theirs(text.to_owned());
        assert_eq!(stands(Some("AB3"), &job), theirs("AB3"));
        assert_eq!(stands(Some("AB1, AB3"), &job), theirs("AB1, AB3"));
        assert_eq!(stands(Some("AB11"), &job), theirs("AB11"));
        assert_eq!(stands(Some(" , "), &job), Stands::Nothing);
        assert_eq!(stands(None, &job), Stands::Nothing);
        assert_eq!(stands(Some("ab 2,AB1"), &job), Stands::Ours);
        assert_eq!(stands(Some("AB1"), &job), Stands::PartOfOurs);
        assert_eq!(stands(Some("old1"), &job), Stands::Superseded);
        assert_eq!(stands(Some("OLD1,AB1"), &job), Stands::Superseded);
    }
}
