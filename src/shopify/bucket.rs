//! Shopify's cost bucket, as far as its replies tell: asks only for what it can give.

use super::wire;
use std::time::Duration;
use tokio::time::Instant;

/// Cost of an operation that was not asked before, in points.
const FIRST_GUESS: f64 = 60.0;
/// Points that are left, as the last reply told.
#[derive(Default)]
pub(super) struct Bucket {
    known: Option<Known>,
}

struct Known {
    available: f64,
    most: f64,
    per_second: f64,
    at: Instant,
    /// Points of the dearest operation seen.
    cost: f64,
}

impl Bucket {
    pub(super) fn learn(&mut self, cost: &wire::Cost) {
        let Some(status) = &cost.throttle_status else {
            return;
        };
        let sane = |n: f64| n.is_finite() && n >= 0.0;
        if !sane(status.currently_available) || !sane(status.restore_rate) {
            return;
        }
        let seen = self.known.as_ref().map_or(FIRST_GUESS, |known| known.cost);
        let cost = cost.requested_query_cost.filter(|c| sane(*c));
        self.known = Some(Known {
            available: status.currently_available,
            most: status.maximum_available,
            // No restoring bucket is empty for good.
            per_second: status.restore_rate.max(1.0),
            at: Instant::now(),
            cost: cost.map_or(seen, |c| c.max(1.0)),
        });
    }

    pub(super) fn wait(&self) -> Duration {
        let Some(known) = &self.known else {
            return Duration::ZERO;
        };
        let lacking = known.cost.min(known.most) - known.now();
        if lacking <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(lacking / known.per_second).unwrap_or(Duration::MAX)
    }

    /// Others that ask at the same time must not count on the same points.
    pub(super) fn spend(&mut self) {
        if let Some(known) = &mut self.known {
            known.available = (known.now() - known.cost).max(0.0);
            known.at = Instant::now();
        }
    }
}

impl Known {
    fn now(&self) -> f64 {
        let restored = self.at.elapsed().as_secs_f64() * self.per_second;
        (self.available + restored).min(self.most)
    }
}
