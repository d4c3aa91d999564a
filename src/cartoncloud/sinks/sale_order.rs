//! `sale_order`: only looks. CartonCloud's own link to Starshipit may bring the number into the sale
//! order; this tells when it stands there, and when it does not.

use super::{Clock, DONE, Fields, SYSTEM, Stands, current, stands, unsupported};
use crate::cartoncloud::CartonCloud;
use crate::domain::Delivery;
use crate::domain::loose::text;
use crate::domain::writeback::Dispatch;
use crate::outbox::{Delivering, Sink};
use std::time::Duration;

/// Between two looks.
const AGAIN: Duration = Duration::from_secs(60);

/// The sink.
pub struct SaleOrderSink {
    client: CartonCloud,
    fields: Fields,
    observe: Duration,
    clock: Clock,
}

impl SaleOrderSink {
    /// Looks for `observe` long since the job is owed.
    pub fn new(client: CartonCloud, fields: Fields, observe: Duration, clock: Clock) -> Self {
        Self {
            client,
            fields,
            observe,
            clock,
        }
    }

    async fn attempt(&self, dispatch: &Dispatch) -> Result<Delivery, Delivery> {
        let order = current(&self.client, dispatch).await?;
        let field = &self.fields.tracking_number;
        let there = text(&order.raw, &["properties", field]);
        let why = match stands(there.as_deref(), dispatch) {
            Stands::Ours => return Ok(DONE),
            Stands::Theirs(theirs) if !dispatch.job.overwrite => {
                return Ok(Delivery::Conflict { theirs });
            }
            Stands::Nothing => format!("{field} is empty"),
            Stands::PartOfOurs => format!("{field} has some of the numbers only"),
            Stands::Superseded => format!("{field} still has the number that was replaced"),
            Stands::Theirs(_) => format!("{field} still has another number"),
        };
        if (self.clock)().since(dispatch.job.since) >= self.observe {
            return Err(unsupported(format!("writeback-unconfirmed: {why}")));
        }
        Err(Delivery::Retry {
            after: Some(AGAIN.min(self.observe)),
            why,
            unreachable: false,
        })
    }
}

impl Sink for SaleOrderSink {
    fn name(&self) -> &str {
        "sale_order"
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
