//! One order by its id, and the order as it came, for changing it.

use crate::cartoncloud::send::{Ask, Fault, Reply, part};
use crate::cartoncloud::{CartonCloud, Priority, mapping};
use crate::domain::{CallFailure, SaleOrder};
use reqwest::Method;
use serde_json::Value;

/// What reading and searching orders needs.
pub(super) const ORDERS_ROLE: &str = "WMS Create Job";

impl CartonCloud {
    /// Reads one order. `None` only when CartonCloud says that there is none: deleted, or deleted
    /// and made again under another id.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn order(
        &self,
        uuid: &str,
        priority: Priority,
    ) -> Result<Option<SaleOrder>, CallFailure> {
        Ok(self.order_or(uuid, priority).await?)
    }

    pub(crate) async fn order_or(
        &self,
        uuid: &str,
        priority: Priority,
    ) -> Result<Option<SaleOrder>, Fault> {
        let path = format!("/outbound-orders/{}", part(uuid));
        let reply = self.ask(&Ask::get(path, ORDERS_ROLE, priority)).await?;
        if reply.is_gone() && is_said(&reply) {
            return Ok(None);
        }
        let order = mapping::sale(reply.done(self)?);
        match order.filter(|o| o.uuid.eq_ignore_ascii_case(uuid)) {
            Some(order) => Ok(Some(order)),
            None => Err(Fault::Call(CallFailure::Unknown {
                detail: "asked for one order, answered without it".to_owned(),
            })),
        }
    }

    /// Puts a whole order back. The reply is the caller's to judge.
    pub(crate) async fn put_order(
        &self,
        uuid: &str,
        body: &Value,
        version: i64,
    ) -> Result<Reply, Fault> {
        let path = format!("/outbound-orders/{}", part(uuid));
        let mut ask = Ask::get(path, ORDERS_ROLE, Priority::Writeback);
        ask.method = Method::PUT;
        ask.body = Some(body);
        ask.if_match = Some(version);
        ask.repeatable = false;
        self.ask(&ask).await
    }
}

/// The service itself said it, not a gateway that lost its way.
pub(crate) fn is_said(reply: &Reply) -> bool {
    reply.body.is_array() || reply.body.is_object()
}
