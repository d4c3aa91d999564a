//! `consignment`: the tracking member of the consignment that was made from the sale order.
//!
//! Read, change only our members in the JSON as it came, put everything back with `If-Match`. A PUT
//! whose reply was lost is settled by reading again.

use super::{
    Clock, DONE, Fields, STALE_TRIES, SYSTEM, Stands, after, current, stands, unsupported,
};
use crate::cartoncloud::papers::{is_fulfilment, version_of};
use crate::cartoncloud::{CartonCloud, Priority};
use crate::domain::loose::{member, text};
use crate::domain::writeback::Dispatch;
use crate::domain::{CallFailure, Delivery};
use crate::outbox::{Delivering, Sink};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// When a consignment that is not there yet is looked for again.
const LATER: Duration = Duration::from_secs(60);

/// The sink.
pub struct Consignment {
    client: CartonCloud,
    fields: Option<Fields>,
    wait: Duration,
    clock: Clock,
}

impl Consignment {
    /// Writes `references.tracking` and `details.tracking`; with `fields` these custom fields too.
    /// `wait` is how long a consignment may come late before the sink counts as unsupported for an
    /// order; many tenants make none at all.
    pub fn new(client: CartonCloud, fields: Option<Fields>, wait: Duration, clock: Clock) -> Self {
        Self {
            client,
            fields,
            wait,
            clock,
        }
    }

    async fn attempt(&self, dispatch: &Dispatch) -> Result<Delivery, Delivery> {
        // First of all, which order it is now: the consignment of one that was deleted and made
        // again may well be there still.
        let order = current(&self.client, dispatch).await?;
        let found = self.client.consignments(&order.uuid, Priority::Writeback);
        let found = found.await.map_err(after)?;
        let mut known = Some(self.one(&found, dispatch)?.clone());
        let id = known
            .as_ref()
            .and_then(|c| text(c, &["id"]))
            .unwrap_or_default();
        for _ in 0..STALE_TRIES {
            // The search showed it whole; after that it is read by itself.
            let before = match known.take() {
                Some(before) => Some(before),
                None => self.client.consignment(&id).await.map_err(after)?,
            };
            if let Some(delivery) = self.write(&id, before, dispatch).await? {
                return Ok(delivery);
            }
        }
        Err(Delivery::Retry {
            after: None,
            why: "the consignment keeps changing".to_owned(),
            unreachable: false,
        })
    }

    /// The consignment that is meant.
    fn one<'a>(&self, found: &'a [Value], dispatch: &Dispatch) -> Result<&'a Value, Delivery> {
        match found {
            [] => {
                let waited = (self.clock)().since(dispatch.job.since);
                if waited >= self.wait {
                    return Err(unsupported("CartonCloud made no consignment of this order"));
                }
                Err(Delivery::Retry {
                    after: Some(LATER),
                    why: "no consignment yet".to_owned(),
                    unreachable: false,
                })
            }
            [one] => Ok(one),
            several => {
                let mut packed = several.iter().filter(|c| is_fulfilment(c));
                match (packed.next(), packed.next()) {
                    (Some(one), None) => Ok(one),
                    _ => Err(unsupported(format!(
                        "{} consignments, and not exactly one of them is a Warehouse Fulfilment",
                        several.len()
                    ))),
                }
            }
        }
    }

    /// One read-change-write. `None`: it changed under our hands, or the outcome is not known.
    async fn write(
        &self,
        id: &str,
        before: Option<Value>,
        dispatch: &Dispatch,
    ) -> Result<Option<Delivery>, Delivery> {
        let Some(before) = before else {
            return Err(Delivery::Retry {
                after: Some(LATER),
                why: "the consignment is gone".to_owned(),
                unreachable: false,
            });
        };
        let there = text(&before, &["references", "tracking"]);
        let is_first = match stands(there.as_deref(), dispatch) {
            Stands::Ours => return Ok(Some(DONE)),
            Stands::Theirs(theirs) if !dispatch.job.overwrite => {
                return Ok(Some(Delivery::Conflict { theirs }));
            }
            stands => stands == Stands::Nothing,
        };
        let version = version_of(&before);
        let changed = self.changed(before, dispatch, is_first);
        match self.client.put_consignment(id, &changed, version).await {
            Ok(reply) if reply.is_stale() => Ok(None),
            // What it says it did is read again before it is believed: "not all updates succeed".
            Ok(reply) if reply.is_done() => {
                let after_put = text(&reply.body, &["references", "tracking"]);
                if stands(after_put.as_deref(), dispatch) == Stands::Ours {
                    return Ok(Some(DONE));
                }
                let again = self.client.consignment(id).await.map_err(after)?;
                let there = again.and_then(|c| text(&c, &["references", "tracking"]));
                if stands(there.as_deref(), dispatch) == Stands::Ours {
                    return Ok(Some(DONE));
                }
                Err(unsupported(
                    "CartonCloud took the update and does not show the number",
                ))
            }
            Ok(reply) if reply.is_gone() => Ok(None),
            Ok(reply) => Err(after(reply.refused(&self.client))),
            // It may have been done: the next read tells.
            Err(crate::cartoncloud::send::Fault::Call(CallFailure::Unknown { .. })) => Ok(None),
            Err(fault) => Err(after(fault)),
        }
    }

    fn changed(&self, mut raw: Value, dispatch: &Dispatch, is_first: bool) -> Value {
        set(
            &mut raw,
            &["references", "tracking"],
            json!(dispatch.job.joined()),
        );
        if !dispatch.carrier.is_empty() {
            set(
                &mut raw,
                &["details", "tracking", "companyName"],
                json!(dispatch.carrier),
            );
        }
        // A link to the number that was replaced leads to a parcel that nobody sends.
        let url = text(&raw, &["details", "tracking", "url"]);
        if url.is_some() && !is_first && member(&raw, &["details", "tracking"]).is_some() {
            set(&mut raw, &["details", "tracking", "url"], Value::Null);
        }
        if let Some(fields) = &self.fields {
            super::order_properties::fill(&mut raw, fields, dispatch);
        }
        raw
    }
}

impl Sink for Consignment {
    fn name(&self) -> &str {
        "consignment"
    }

    fn system(&self) -> &str {
        SYSTEM
    }

    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> Delivering<'a> {
        Box::pin(async move {
            match self.attempt(dispatch).await {
                Ok(delivery) | Err(delivery) => delivery,
            }
        })
    }
}

/// Sets a member, making the objects on the way where they are missing.
pub(super) fn set(raw: &mut Value, path: &[&str], value: Value) {
    let Some((last, way)) = path.split_last() else {
        return;
    };
    let mut at = raw;
    for name in way {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(object) = at else { return };
        at = object
            .entry(*name)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    if !at.is_object() {
        *at = Value::Object(Map::new());
    }
    if let Value::Object(object) = at {
        object.insert((*last).to_owned(), value);
    }
}
