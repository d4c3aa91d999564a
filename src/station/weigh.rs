//! The weight on the scale, for orders that have none (contract 38).
//!
//! Used when it is at rest and has changed: the weight of one order is never taken for the next one
//! that is scanned while the parcel still lies there. Nothing waits for it; an order that the scale
//! cannot help is asked about as if there were none.

use super::{Effect, Station};
use crate::domain::order::{Choices, IntentKind};
use crate::domain::{Load, Moment, OrderId, Parcel, RemoteOrder};

/// By how much a weight must differ to be another parcel's, grams.
const OTHER: u32 = 20;

/// What the scale says, and what of it has been used.
#[derive(Clone, Debug, Default)]
pub(super) struct Scale {
    load: Load,
    used: Option<(u32, OrderId)>,
}

impl Scale {
    /// Something else lies on it.
    pub(super) fn shows(&mut self, load: Load) {
        self.load = load;
        if load == Load::Empty {
            self.used = None;
        }
    }

    /// Kilograms that may be this order's.
    fn weight_for(&mut self, id: &OrderId) -> Option<f64> {
        let Load::Stable(grams) = self.load else {
            return None;
        };
        if let Some((used, by)) = &self.used
            && by != id
            && used.abs_diff(grams) <= OTHER.max(used / 50)
        {
            return None;
        }
        self.used = Some((grams, id.clone()));
        Some(f64::from(grams) / 1000.0)
    }
}

impl Station {
    /// Completes an order that has no weight anywhere with what lies on the scale.
    pub(super) fn weighed(
        &mut self,
        id: &OrderId,
        mut with: Choices,
        remote: &RemoteOrder,
    ) -> Choices {
        if !is_weightless(&with, remote) {
            return with;
        }
        let Some(total) = self.scale.weight_for(id) else {
            return with;
        };
        let parcels = if with.parcels.is_empty() {
            remote.parcels.len().clamp(1, 20)
        } else {
            with.parcels.len()
        };
        if with.parcels.is_empty() {
            with.parcels = remote.parcels.clone();
            with.parcels.resize(parcels, Parcel::default());
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 20 parcels")]
        let share = (total / parcels as f64 * 1000.0).round() / 1000.0;
        for parcel in with.parcels.iter_mut().filter(|p| p.weight_kg <= 0.0) {
            parcel.weight_kg = share;
        }
        with
    }

    /// A call was refused for want of a weight: sent again with the one on the scale, if there is one
    /// and nobody gave another. Nothing was made, so nothing is made twice.
    pub(super) fn weighed_instead(
        &mut self,
        id: &OrderId,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> bool {
        let Some(act) = self.waiting_act(id) else {
            return false;
        };
        let may = self
            .orders
            .get(id)
            .and_then(|order| order.intent.as_ref())
            .is_some_and(|intent| {
                matches!(intent.kind, IntentKind::Create | IntentKind::Buy)
                    && intent.with.parcels.is_empty()
            });
        let Some(weight_kg) = may.then(|| self.scale.weight_for(id)).flatten() else {
            return false;
        };
        let parcel = Parcel {
            weight_kg,
            ..Parcel::default()
        };
        if let Some(running) = self.running.get_mut(&act) {
            running.act.with.parcels = vec![parcel.clone()];
        }
        let record = self.change(id, now, |order| {
            if let Some(intent) = &mut order.intent {
                intent.with.parcels = vec![parcel];
                intent.sent_at = now.wall;
            }
        });
        super::paper::remember(record.into_iter().collect(), out);
        self.send_intent(id, now, out);
        true
    }
}

/// Neither the order nor whoever scanned it gives every parcel a weight.
pub(super) fn is_weightless(with: &Choices, remote: &RemoteOrder) -> bool {
    if with.parcels.is_empty() {
        !remote.has_weight()
    } else {
        with.parcels.iter().any(|p| p.weight_kg <= 0.0)
    }
}
