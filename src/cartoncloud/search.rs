//! Searching sale orders: what a scan may mean, and what changed.
//!
//! Searching is a POST with a tree of conditions. What a tenant refuses as a condition (`/status`
//! and `/references/numericId` are in no list of searchable fields) is remembered and decided here
//! instead. The server's answer is checked again: text comparisons may be loose over there.

use crate::cartoncloud::orders::ORDERS_ROLE;
use crate::cartoncloud::send::{Ask, Fault, PAGE};
use crate::cartoncloud::{CartonCloud, Priority, Seen, mapping};
use crate::domain::{CallFailure, SaleOrder, Timestamp};
use serde_json::{Value, json};

/// Pages of a scan's search that are read at most: more hits are no answer.
const SCAN_PAGES: u32 = 3;
/// Longest text that is searched for, in bytes.
const MAX_TEXT: usize = 128;

/// Which member of an order a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// `references.customer`, the order number. Digits that are no reference are tried as
    /// [`Self::Numeric`]; the first part of a composite `A | B | 3` is the last resort.
    Reference,
    /// `references.numericId`; not unique in a tenant.
    Numeric,
    /// CartonCloud's UUID.
    Id,
}

/// What this tenant was seen to refuse.
#[derive(Debug, Default)]
pub(super) struct Refuses {
    status: Seen,
    numeric: Seen,
    pub(super) product_search: Seen,
}

/// Which changes are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In one of these statuses; empty: in any.
    pub statuses: Vec<String>,
    /// Of one of these customers (code, name or id); empty: of any.
    pub customers: Vec<String>,
}

/// A page of changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changed {
    /// Those that fit the filter.
    pub orders: Vec<SaleOrder>,
    /// There is nothing behind this page.
    pub is_last: bool,
    /// How many elements the whole answer has, filter of our side not applied.
    pub total: Option<u64>,
    /// How many of them were on this page.
    pub on_page: u64,
    /// Largest `modified` on this page, whether it fits the filter or not.
    pub newest: Option<Timestamp>,
    /// `id@version` of all on this page.
    pub seen: Vec<String>,
}

impl CartonCloud {
    /// Sale orders that a scan may mean: `lookups` in order, the first with a hit ends it. More than
    /// one: ambiguous. A UUID or a link to an order in the web app is understood under any look-up.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn search(
        &self,
        lookups: &[(Lookup, String)],
        priority: Priority,
    ) -> Result<Vec<SaleOrder>, CallFailure> {
        let mut asked: Vec<(Lookup, String)> = Vec::new();
        for (lookup, text) in lookups {
            for one in meanings(*lookup, text) {
                if asked.contains(&one) {
                    continue;
                }
                let hits = self.look_up(one.0, &one.1, priority).await?;
                if !hits.is_empty() {
                    return Ok(hits);
                }
                asked.push(one);
            }
        }
        for (lookup, text) in lookups {
            let text = text.trim();
            // A letter or two begin too many references.
            if *lookup == Lookup::Reference && (3..=MAX_TEXT).contains(&text.len()) {
                let starts = text_is("/references/customer", "STARTS_WITH", text);
                let mut hits = self.all(&and(vec![starts]), priority).await?;
                hits.retain(|o| {
                    let first = o.number.split('|').next().unwrap_or_default();
                    is(&o.number, text) || is(first, text)
                });
                if !hits.is_empty() {
                    return Ok(hits);
                }
            }
        }
        Ok(Vec::new())
    }

    async fn look_up(
        &self,
        lookup: Lookup,
        text: &str,
        priority: Priority,
    ) -> Result<Vec<SaleOrder>, Fault> {
        match lookup {
            Lookup::Id => Ok(self.order_or(text, priority).await?.into_iter().collect()),
            Lookup::Reference => {
                let equal = text_is("/references/customer", "EQUAL_TO", text);
                let mut hits = self.all(&and(vec![equal]), priority).await?;
                hits.retain(|o| is(&o.number, text));
                Ok(hits)
            }
            Lookup::Numeric => {
                let Ok(number) = text.parse::<u64>() else {
                    return Ok(Vec::new());
                };
                if self.inner.refuses.numeric.is() {
                    return Ok(Vec::new());
                }
                let equal = leaf(
                    "NumericComparisonCondition",
                    "/references/numericId",
                    "EQUAL_TO",
                    json!(number),
                );
                let body = json!({ "condition": and(vec![equal]) });
                let Some(mut hits) = self.pages(&body, priority).await? else {
                    self.inner.refuses.numeric.set();
                    return Ok(Vec::new());
                };
                hits.retain(|o| o.numeric_id.as_deref() == Some(text));
                Ok(hits)
            }
        }
    }

    async fn all(&self, condition: &Value, priority: Priority) -> Result<Vec<SaleOrder>, Fault> {
        let body = json!({ "condition": condition });
        match self.pages(&body, priority).await? {
            Some(hits) => Ok(hits),
            None => Err(Fault::Call(CallFailure::Refused {
                code: crate::domain::Code::CartoncloudUnreachable,
                detail: "the search by reference was refused".to_owned(),
            })),
        }
    }

    /// Every order of a search, each once; `None` when the condition was refused (400, 422).
    async fn pages(
        &self,
        body: &Value,
        priority: Priority,
    ) -> Result<Option<Vec<SaleOrder>>, Fault> {
        let mut all: Vec<SaleOrder> = Vec::new();
        for page in 1..=SCAN_PAGES {
            let Some((orders, end)) = self.page(body, page, priority).await? else {
                return Ok(None);
            };
            for order in orders {
                if all.iter().all(|known| known.uuid != order.uuid) {
                    all.push(order);
                }
            }
            if end.is_last {
                break;
            }
        }
        Ok(Some(all))
    }

    /// One page of a search; `None` when the condition was refused.
    async fn page(
        &self,
        body: &Value,
        page: u32,
        priority: Priority,
    ) -> Result<Option<(Vec<SaleOrder>, PageEnd)>, Fault> {
        let path = "/outbound-orders/search";
        let ask = Ask::search(path, body, page, ORDERS_ROLE, priority);
        let reply = self.ask(&ask).await?;
        if matches!(reply.head.status, 400 | 422) {
            return Ok(None);
        }
        let end = PageEnd::of(&reply, page);
        let Value::Array(elements) = reply.done(self)? else {
            let detail = "the search was not answered with a list".to_owned();
            return Err(Fault::Call(CallFailure::Unknown { detail }));
        };
        let orders = elements.into_iter().filter_map(mapping::sale).collect();
        Ok(Some((orders, end)))
    }

    /// One page of the orders that were modified at or after `since`.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn changed(
        &self,
        since: Timestamp,
        filter: &Filter,
        page: u32,
    ) -> Result<Changed, CallFailure> {
        self.changed_for(since, filter, page, Priority::Poll).await
    }

    /// [`Self::changed`], for whoever waits for it.
    pub(crate) async fn changed_for(
        &self,
        since: Timestamp,
        filter: &Filter,
        page: u32,
        priority: Priority,
    ) -> Result<Changed, CallFailure> {
        let with_status = !filter.statuses.is_empty() && !self.inner.refuses.status.is();
        let ask = |with_status| json!({ "condition": changes(since, filter, with_status) });
        let mut found = self
            .page(&ask(with_status), page, priority)
            .await
            .map_err(CallFailure::from)?;
        if found.is_none() && with_status {
            found = self
                .page(&ask(false), page, priority)
                .await
                .map_err(CallFailure::from)?;
            if found.is_some() {
                tracing::info!("this tenant does not search by /status: filtered here");
                self.inner.refuses.status.set();
            }
        }
        let Some((orders, end)) = found else {
            return Err(CallFailure::Refused {
                code: crate::domain::Code::CartoncloudUnreachable,
                detail: "the search by time of change was refused".to_owned(),
            });
        };
        Ok(Changed {
            is_last: end.is_last,
            total: end.total,
            on_page: end.on_page,
            newest: orders
                .iter()
                .filter_map(|o| mapping::time(o.modified.as_deref()?))
                .max(),
            seen: orders
                .iter()
                .map(|o| format!("{}@{}", o.uuid, o.version))
                .collect(),
            orders: orders.into_iter().filter(|o| filter.fits(o)).collect(),
        })
    }
}

impl Filter {
    /// An order fits.
    pub fn fits(&self, order: &SaleOrder) -> bool {
        let any = |words: &[String], fits: &dyn Fn(&str) -> bool| {
            words.is_empty() || words.iter().any(|word| fits(word))
        };
        any(&self.statuses, &|s| order.status.eq_ignore_ascii_case(s))
            && any(&self.customers, &|c| order.customer.is(c))
    }
}

/// What a page tells of the pages behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageEnd {
    pub(super) is_last: bool,
    total: Option<u64>,
    on_page: u64,
}

impl PageEnd {
    /// By the headers, else by a page that is not full.
    pub(super) fn of(reply: &crate::cartoncloud::send::Reply, page: u32) -> Self {
        let on_page = reply.body.as_array().map_or(0, Vec::len);
        let size = reply.count("page-size").filter(|size| *size > 0);
        let full = size.and_then(|s| usize::try_from(s).ok()).unwrap_or(PAGE);
        let is_last = match reply.count("total-pages") {
            _ if on_page == 0 => true,
            Some(pages) => u64::from(page) >= pages,
            None => on_page < full.min(PAGE),
        };
        Self {
            is_last,
            total: reply.count("total-elements"),
            on_page: on_page as u64,
        }
    }
}

/// What a text may be: itself, a link to an order, a UUID, or digits.
fn meanings(lookup: Lookup, text: &str) -> Vec<(Lookup, String)> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_TEXT {
        return Vec::new();
    }
    if is_uuid(text) {
        return vec![(Lookup::Id, text.to_ascii_lowercase())];
    }
    if let Some(linked) = linked(text) {
        return vec![linked];
    }
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let upper = text.to_ascii_uppercase();
    match lookup {
        // A scanner under Caps Lock; whether their comparison minds is not documented.
        Lookup::Reference if upper != text => vec![
            (Lookup::Reference, text.to_owned()),
            (Lookup::Reference, upper),
        ],
        Lookup::Reference if digits => vec![
            (Lookup::Reference, text.to_owned()),
            (Lookup::Numeric, text.to_owned()),
        ],
        Lookup::Reference => vec![(Lookup::Reference, text.to_owned())],
        Lookup::Numeric if digits => vec![(Lookup::Numeric, text.to_owned())],
        // Neither a number nor an id.
        Lookup::Numeric | Lookup::Id => Vec::new(),
    }
}

/// The order that an address of the web app or the API shows.
fn linked(text: &str) -> Option<(Lookup, String)> {
    let after = |mark: &str| {
        let (_, rest) = text.split_once(mark)?;
        rest.split(['/', '?', '#']).next()
    };
    if let Some(digits) = after("/SaleOrders/view/")
        && !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
    {
        return Some((Lookup::Numeric, digits.to_owned()));
    }
    let id = after("/outbound-orders/").filter(|id| is_uuid(id))?;
    Some((Lookup::Id, id.to_ascii_lowercase()))
}

/// 8-4-4-4-12 hexadecimal digits.
pub(super) fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    lengths.iter().all(|length| {
        parts.next().is_some_and(|part| {
            part.len() == *length && part.bytes().all(|b| b.is_ascii_hexdigit())
        })
    }) && parts.next().is_none()
}

fn is(ours: &str, text: &str) -> bool {
    ours.trim().eq_ignore_ascii_case(text.trim())
}

fn leaf(kind: &str, pointer: &str, method: &str, value: Value) -> Value {
    json!({
        "type": kind,
        "field": { "type": "JsonField", "pointer": pointer },
        "value": { "type": "ValueField", "value": value },
        "method": method,
    })
}

/// One text comparison.
pub(super) fn text_is(pointer: &str, method: &str, value: &str) -> Value {
    leaf("TextComparisonCondition", pointer, method, json!(value))
}

/// A group, which the top level must be.
pub(super) fn and(conditions: Vec<Value>) -> Value {
    json!({ "type": "AndCondition", "conditions": conditions })
}

/// Any of these.
pub(super) fn or(conditions: Vec<Value>) -> Value {
    json!({ "type": "OrCondition", "conditions": conditions })
}

fn changes(since: Timestamp, filter: &Filter, with_status: bool) -> Value {
    // Seconds are their precision; rounded down, so that nothing is left out.
    let seconds = since.0.div_euclid(1000);
    let since = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let mut conditions = vec![leaf(
        "DateTimeComparisonCondition",
        "/timestamps/modified/time",
        "GREATER_THAN_OR_EQUAL_TO",
        json!(since.to_string()),
    )];
    let one_of = |pointer, values: &[String]| {
        let leaves = values.iter().map(|v| text_is(pointer, "EQUAL_TO", v));
        or(leaves.collect())
    };
    // Codes cannot be searched for; then the filter on our side does it alone.
    if !filter.customers.is_empty() && filter.customers.iter().all(|c| is_uuid(c)) {
        conditions.push(one_of("/customer/id", &filter.customers));
    }
    if with_status {
        conditions.push(one_of("/status", &filter.statuses));
    }
    and(conditions)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "5843E0A9-0000-41a0-a6da-d1ed03dd7f25";

    #[test]
    fn only_uuids_are_uuids() {
        for bad in [
            "",
            "5843e0a9",
            "5843e0a9-0000-41a0-a6da-d1ed03dd7f2g",
            "5843e0a9-0000-41a0-a6da-d1ed03dd7f25-",
        ] {
            assert!(!is_uuid(bad), "{bad}");
        }
        assert!(is_uuid(ID));
    }

    #[test]
    fn a_scan_is_an_id_a_link_digits_or_a_reference() {
        let id = vec![(Lookup::Id, ID.to_ascii_lowercase())];
        assert_eq!(meanings(Lookup::Reference, ID), id);
        let link = format!("https://app.example/x/outbound-orders/{ID}?tab=1");
        assert_eq!(meanings(Lookup::Reference, &link), id);
        let link = "https://app.cartoncloud.com/Acme/SaleOrders/view/787061#top";
        let numeric = vec![(Lookup::Numeric, "787061".to_owned())];
        assert_eq!(meanings(Lookup::Reference, link), numeric);
        assert_eq!(meanings(Lookup::Numeric, "787061"), numeric);
        assert_eq!(meanings(Lookup::Reference, "787061").len(), 2);
        assert_eq!(meanings(Lookup::Numeric, "SO-1"), []);
        assert_eq!(meanings(Lookup::Reference, &"x".repeat(129)), []);
    }
}
