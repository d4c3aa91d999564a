//! `order_properties`: the custom fields of the sale order, the place where everybody looks.
//!
//! CartonCloud documents the call as not yet available. It stays off until its self-test
//! ([`CartonCloud::try_order_put`]) has passed on this tenant: a PUT of a packed order might replace
//! its lines.

use super::consignment::set;
use super::{DONE, Fields, STALE_TRIES, SYSTEM, Stands, after, current, stands, unsupported};
use crate::cartoncloud::CartonCloud;
use crate::cartoncloud::send::Fault;
use crate::domain::loose::text;
use crate::domain::writeback::Dispatch;
use crate::domain::{CallFailure, Delivery};
use crate::outbox::{Delivering, Sink};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sink.
pub struct OrderProperties {
    client: CartonCloud,
    fields: Fields,
    passed: Arc<AtomicBool>,
}

impl OrderProperties {
    /// `passed` is true once the self-test has passed; the shell stores it and may set it later.
    pub fn new(client: CartonCloud, fields: Fields, passed: Arc<AtomicBool>) -> Self {
        Self {
            client,
            fields,
            passed,
        }
    }

    async fn attempt(&self, dispatch: &Dispatch) -> Result<Delivery, Delivery> {
        if !self.passed.load(Ordering::Relaxed) {
            return Err(unsupported(
                "off: the self-test of order updates has not passed on this tenant",
            ));
        }
        if self.fields.tracking_number.is_empty() {
            return Err(unsupported("no custom field is named for the number"));
        }
        for _ in 0..STALE_TRIES {
            let order = current(&self.client, dispatch).await?;
            let there = text(&order.raw, &["properties", &self.fields.tracking_number]);
            match stands(there.as_deref(), dispatch) {
                Stands::Ours => return Ok(DONE),
                Stands::Theirs(theirs) if !dispatch.job.overwrite => {
                    return Ok(Delivery::Conflict { theirs });
                }
                _ => {}
            }
            let mut raw = order.raw;
            fill(&mut raw, &self.fields, dispatch);
            match self
                .client
                .put_order(&order.uuid, &raw, order.version)
                .await
            {
                Ok(reply) if reply.is_unavailable() => {
                    return Err(unsupported(format!(
                        "this tenant has no order update ({})",
                        reply.head.status
                    )));
                }
                // Done, stale, or not known: what stands there tells.
                Ok(reply) if reply.is_done() => {
                    let order = current(&self.client, dispatch).await?;
                    let there = text(&order.raw, &["properties", &self.fields.tracking_number]);
                    return match stands(there.as_deref(), dispatch) {
                        Stands::Ours => Ok(DONE),
                        _ => Err(unsupported(
                            "CartonCloud took the update and does not show the number \
                             (internal field? role \"Internal Field Access\")",
                        )),
                    };
                }
                Ok(reply) if reply.is_stale() => {}
                Ok(reply) => return Err(after(reply.refused(&self.client))),
                Err(Fault::Call(CallFailure::Unknown { .. })) => {}
                Err(fault) => return Err(after(fault)),
            }
        }
        Err(Delivery::Retry {
            after: None,
            why: "the sale order keeps changing".to_owned(),
            unreachable: false,
        })
    }
}

impl Sink for OrderProperties {
    fn name(&self) -> &str {
        "order_properties"
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

/// Sets the custom fields. Their names may hold dots: they are one member each.
pub(super) fn fill(raw: &mut Value, fields: &Fields, dispatch: &Dispatch) {
    if !fields.tracking_number.is_empty() {
        let value = json!(dispatch.job.joined());
        set(raw, &["properties", &fields.tracking_number], value);
    }
    if !fields.carrier.is_empty() && !dispatch.carrier.is_empty() {
        set(
            raw,
            &["properties", &fields.carrier],
            json!(dispatch.carrier),
        );
    }
}
