//! Sale orders: what the station asks of CartonCloud, and what goes from there into Starshipit.
//!
//! Without CartonCloud in the configuration every question ends before its first byte.

use crate::cartoncloud::{self, CartonCloud};
use crate::domain::order::Choices;
use crate::domain::push::{self, Rules};
use crate::domain::{AccountName, CallFailure, Code, RemoteOrder, SaleOrder, Timestamp};
use crate::starshipit::{Priority, Starshipit};
use crate::station::Lookup;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An order waits at a bench for so long at most, in milliseconds: two weeks.
const WAITS: i64 = 14 * 24 * 3600 * 1000;
/// Pages of waiting orders that a press reads at most.
const WAITING_PAGES: u32 = 5;

/// CartonCloud, as the station's effects need it. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Sales(Option<Arc<Inner>>);

struct Inner {
    cloud: CartonCloud,
    starshipit: Starshipit,
    /// Starshipit field ← path in the order, by route.
    fields: Vec<BTreeMap<String, String>>,
}

/// What one create needs.
#[derive(Debug)]
pub(super) struct Creation {
    pub(super) account: AccountName,
    pub(super) uuid: String,
    pub(super) number: String,
    pub(super) reference: Option<String>,
    pub(super) route: usize,
    pub(super) with: Choices,
    pub(super) urgent: bool,
}

impl Sales {
    pub(super) fn new(
        cloud: CartonCloud,
        starshipit: Starshipit,
        fields: Vec<BTreeMap<String, String>>,
    ) -> Self {
        Self(Some(Arc::new(Inner {
            cloud,
            starshipit,
            fields,
        })))
    }

    /// The client, where CartonCloud is configured.
    pub(super) fn cloud(&self) -> Option<&CartonCloud> {
        self.0.as_deref().map(|inner| &inner.cloud)
    }

    /// Sale orders that fit the first of these texts that any fits.
    pub(super) async fn find(
        &self,
        texts: &[(Lookup, String)],
    ) -> Result<Vec<SaleOrder>, CallFailure> {
        let cloud = self.cloud().ok_or_else(not_configured)?;
        let texts: Vec<(cartoncloud::Lookup, String)> = texts
            .iter()
            .map(|(lookup, text)| {
                let lookup = match lookup {
                    Lookup::Id => cartoncloud::Lookup::Id,
                    Lookup::Numeric => cartoncloud::Lookup::Numeric,
                    Lookup::OrderNumber | Lookup::Reference | Lookup::Tracking => {
                        cartoncloud::Lookup::Reference
                    }
                };
                (lookup, text.clone())
            })
            .collect();
        cloud.search(&texts, Priority::Scan).await
    }

    /// Sale orders in these statuses that changed within the last weeks.
    pub(super) async fn waiting(
        &self,
        statuses: &[String],
        now: Timestamp,
    ) -> Result<Vec<SaleOrder>, CallFailure> {
        let cloud = self.cloud().ok_or_else(not_configured)?;
        let filter = cartoncloud::Filter {
            statuses: statuses.to_vec(),
            customers: Vec::new(),
        };
        let since = Timestamp(now.0.saturating_sub(WAITS).max(0));
        let mut found = Vec::new();
        for page in 1..=WAITING_PAGES {
            let changed = cloud
                .changed_for(since, &filter, page, Priority::Scan)
                .await?;
            found.extend(changed.orders);
            if changed.is_last {
                break;
            }
        }
        Ok(found)
    }

    /// One sale order; `None` = CartonCloud does not know it.
    pub(super) async fn read(
        &self,
        uuid: &str,
        priority: Priority,
    ) -> Result<Option<Box<SaleOrder>>, CallFailure> {
        let cloud = self.cloud().ok_or_else(not_configured)?;
        Ok(cloud.order(uuid, priority).await?.map(Box::new))
    }

    /// Reads the sale order again, weighs it, checks it, creates it in Starshipit: at most one
    /// request there. What fails before it is never "unknown".
    pub(super) async fn create(&self, creation: Creation) -> Result<RemoteOrder, CallFailure> {
        let inner = self.0.as_deref().ok_or_else(not_configured)?;
        let priority = if creation.urgent {
            Priority::Scan
        } else {
            Priority::Poll
        };
        let sale = inner
            .cloud
            .order(&creation.uuid, priority)
            .await
            .map_err(before_create)?
            .ok_or_else(|| CallFailure::Refused {
                code: Code::OrderCancelled,
                detail: "the sale order is gone from CartonCloud".to_owned(),
            })?;
        let products = inner.cloud.products(&sale, priority).await;
        let products = products.map_err(before_create)?;
        let packages = inner.cloud.packages(&sale.uuid, priority).await;
        let packages = packages.map_err(before_create)?;
        let given: f64 = creation.with.parcels.iter().map(|p| p.weight_kg).sum();
        let rules = Rules {
            number: creation.number,
            reference: creation.reference,
            fields: inner
                .fields
                .get(creation.route)
                .cloned()
                .unwrap_or_default(),
            weight_kg: (given > 0.0).then_some(given),
        };
        let order = push::new_order(&sale, &products, &packages, &rules).map_err(|refusal| {
            CallFailure::Refused {
                code: refusal.code,
                detail: refusal.detail,
            }
        })?;
        for note in &order.notes {
            tracing::info!(sale = sale.uuid, note, "changed for Starshipit");
        }
        inner
            .starshipit
            .create(&creation.account, &order, priority)
            .await
    }

    /// It answers.
    pub(super) async fn probe(&self) -> bool {
        match self.cloud() {
            Some(cloud) => !matches!(
                cloud.userinfo().await,
                Err(CallFailure::NotSent { .. } | CallFailure::Unknown { .. })
            ),
            None => false,
        }
    }
}

fn not_configured() -> CallFailure {
    CallFailure::NotSent {
        detail: "no CartonCloud is configured".to_owned(),
    }
}

/// A read of CartonCloud that failed has sent nothing to Starshipit.
fn before_create(failure: CallFailure) -> CallFailure {
    match failure {
        CallFailure::Unknown { detail } => CallFailure::NotSent { detail },
        other => other,
    }
}
