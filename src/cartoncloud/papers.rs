//! Consignments (Warehouse Fulfilments among them) and documents of a sale order.

use crate::cartoncloud::search::{PageEnd, and, text_is};
use crate::cartoncloud::send::{Ask, Fault, Reply, part};
use crate::cartoncloud::{CartonCloud, Priority, mapping};
use crate::domain::loose::{list, positive, text};
use crate::domain::{CallFailure, Parcel};
use reqwest::Method;
use serde_json::{Value, json};

/// What reading consignments needs.
pub(super) const VIEW_ROLE: &str = "TMS View Jobs";
/// What changing consignments needs.
pub(super) const CREATE_ROLE: &str = "TMS Create Jobs";
/// What attaching documents needs: any of several; this is the one that the station has anyway.
pub(super) const DOCUMENT_ROLE: &str = "WMS Create Job";
/// Pages of consignments or documents of one order that are read at most.
const PAGES: u32 = 40;
/// Parcels of one package line at most.
const MAX_PARCELS: f64 = 200.0;

impl CartonCloud {
    /// The parcels of an order's Warehouse Fulfilment, as the Pack Screen made them; none where there is no fulfilment.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn packages(
        &self,
        uuid: &str,
        priority: Priority,
    ) -> Result<Vec<Parcel>, CallFailure> {
        let consignments = self.consignments(uuid, priority).await?;
        Ok(consignments
            .iter()
            .filter(|c| is_fulfilment(c))
            .flat_map(parcels)
            .collect())
    }

    /// The live consignments that were made from an order, oldest id first.
    pub(crate) async fn consignments(
        &self,
        uuid: &str,
        priority: Priority,
    ) -> Result<Vec<Value>, Fault> {
        let from = text_is("/generatedFromTask/id", "EQUAL_TO", uuid);
        let body = json!({ "condition": and(vec![from]) });
        let mut all: Vec<Value> = Vec::new();
        for page in 1..=PAGES {
            let path = "/consignments/search";
            let ask = Ask::search(path, &body, page, VIEW_ROLE, priority);
            let reply = self.ask(&ask).await?;
            let end = PageEnd::of(&reply, page);
            let Value::Array(elements) = reply.done(self)? else {
                let detail = "the search was not answered with a list".to_owned();
                return Err(Fault::Call(CallFailure::Unknown { detail }));
            };
            for element in elements {
                // A search that ignores a condition must not give us another order's consignment.
                let is_ours = text(&element, &["generatedFromTask", "id"])
                    .is_none_or(|id| id.eq_ignore_ascii_case(uuid));
                let is_live = text(&element, &["status"]).as_deref() != Some("CANCELLED");
                let id = text(&element, &["id"]);
                let is_new = id.is_some() && all.iter().all(|c| text(c, &["id"]) != id);
                if is_ours && is_live && is_new {
                    all.push(element);
                }
            }
            if end.is_last {
                break;
            }
        }
        all.sort_by_key(|c| text(c, &["id"]));
        Ok(all)
    }

    /// A consignment as it is now; `None` when it is gone.
    pub(crate) async fn consignment(&self, id: &str) -> Result<Option<Value>, Fault> {
        let path = format!("/consignments/{}", part(id));
        let ask = Ask::get(path, VIEW_ROLE, Priority::Writeback);
        let reply = self.ask(&ask).await?;
        if reply.is_gone() {
            return Ok(None);
        }
        Ok(Some(reply.done(self)?))
    }

    /// Puts a whole consignment back. The reply is the caller's to judge.
    pub(crate) async fn put_consignment(
        &self,
        id: &str,
        body: &Value,
        version: i64,
    ) -> Result<Reply, Fault> {
        let path = format!("/consignments/{}", part(id));
        let mut ask = Ask::get(path, CREATE_ROLE, Priority::Writeback);
        ask.method = Method::PUT;
        ask.body = Some(body);
        ask.if_match = Some(version);
        ask.repeatable = false;
        self.ask(&ask).await
    }

    /// Names of the documents on an order; `None` when the order is gone.
    pub(crate) async fn document_names(&self, uuid: &str) -> Result<Option<Vec<String>>, Fault> {
        let mut names: Vec<String> = Vec::new();
        let path = format!("/outbound-orders/{}/documents", part(uuid));
        for page in 1..=PAGES {
            let mut ask = Ask::get(path.clone(), DOCUMENT_ROLE, Priority::Writeback);
            ask.minimal = true;
            let size = crate::cartoncloud::send::PAGE.to_string();
            ask.query = vec![("page", page.to_string()), ("size", size)];
            let reply = self.ask(&ask).await?;
            if reply.is_gone() {
                return Ok(None);
            }
            let end = PageEnd::of(&reply, page);
            let body = reply.done(self)?;
            let before = names.len();
            for name in list(&body, &[])
                .iter()
                .filter_map(|d| text(d, &["content", "name"]))
            {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            // A list that knows no paging shows the same page again.
            if end.is_last || names.len() == before {
                break;
            }
        }
        Ok(Some(names))
    }

    /// Attaches a document, once. The reply is the caller's to judge.
    pub(crate) async fn attach(
        &self,
        uuid: &str,
        name: &str,
        base64: &str,
    ) -> Result<Reply, Fault> {
        let body = json!({
            "type": "OUTBOUND_ORDER_INVOICE",
            "content": { "name": name, "data": base64 },
        });
        let path = format!("/outbound-orders/{}/documents", part(uuid));
        let mut ask = Ask::get(path, DOCUMENT_ROLE, Priority::Writeback);
        ask.method = Method::POST;
        ask.body = Some(&body);
        ask.repeatable = false;
        self.ask(&ask).await
    }
}

/// The consignment holds what the Pack Screen packed.
pub(crate) fn is_fulfilment(consignment: &Value) -> bool {
    text(consignment, &["details", "type"]).as_deref() == Some("WAREHOUSE_FULFILMENT")
}

/// Its version, for `If-Match`.
pub(crate) fn version_of(raw: &Value) -> i64 {
    mapping::version(raw).unwrap_or(0)
}

/// The packages of a fulfilment. A line's weight is that of all its packages together.
fn parcels(consignment: &Value) -> Vec<Parcel> {
    let mut parcels = Vec::new();
    for item in list(consignment, &["items"]) {
        let count = positive(item, &["measures", "quantity"]).unwrap_or(1.0);
        let count = count.round().clamp(1.0, MAX_PARCELS);
        let weight = positive(item, &["measures", "weight"]).unwrap_or(0.0);
        // Where the sizes stand is not documented; metres in both places that were seen.
        let size = |name| {
            positive(item, &["properties", name])
                .or_else(|| positive(item, &["measures", name]))
                .unwrap_or(0.0)
        };
        let parcel = Parcel {
            weight_kg: weight / count,
            length_m: size("length"),
            width_m: size("width"),
            height_m: size("height"),
        };
        let mut left = count;
        while left >= 1.0 {
            parcels.push(parcel.clone());
            left -= 1.0;
        }
    }
    parcels
}
