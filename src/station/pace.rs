//! How long labels take at this bench, from their scan to the last proof: those that lay ready, and
//! those that were bought at the scan.

use crate::domain::Timings;
use std::collections::VecDeque;

/// Prints of each kind that are remembered.
const KEPT: usize = 100;

/// The newest prints.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    held: VecDeque<u64>,
    live: VecDeque<u64>,
}

/// Milliseconds of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stage {
    /// How many they are of.
    pub n: usize,
    /// Half of them took no longer.
    pub median: u64,
    /// Nineteen of twenty took no longer.
    pub p95: u64,
}

/// How long labels take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaceGlance {
    /// Labels that lay ready.
    pub held: Stage,
    /// Labels bought at the scan.
    pub live: Stage,
}

impl Pace {
    pub(super) fn note(&mut self, timings: &Timings) {
        let Some(total) = timings.total else {
            return;
        };
        let kind = match (timings.buy, timings.recheck) {
            (Some(_), _) => &mut self.live,
            (None, Some(_)) => &mut self.held,
            (None, None) => return,
        };
        kind.push_back(total);
        if kind.len() > KEPT {
            kind.pop_front();
        }
    }

    pub(super) fn glance(&self) -> PaceGlance {
        PaceGlance {
            held: stage(&self.held),
            live: stage(&self.live),
        }
    }
}

fn stage(kept: &VecDeque<u64>) -> Stage {
    let mut sorted: Vec<u64> = kept.iter().copied().collect();
    sorted.sort_unstable();
    let at = |part: usize| {
        let last = sorted.len().saturating_sub(1);
        sorted.get((sorted.len() * part / 100).min(last)).copied()
    };
    Stage {
        n: sorted.len(),
        median: at(50).unwrap_or(0),
        p95: at(95).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_bought_at_its_scan_is_live_and_what_lay_ready_is_held() {
        let mut pace = Pace::default();
        for total in 1..=200 {
            pace.note(&Timings {
                recheck: Some(1),
                total: Some(total),
                ..Timings::default()
            });
        }
        pace.note(&Timings {
            buy: Some(900),
            total: Some(1000),
            ..Timings::default()
        });
        // A reprint is neither.
        pace.note(&Timings {
            total: Some(7),
            ..Timings::default()
        });
        let glance = pace.glance();
        assert_eq!(
            (glance.held.n, glance.held.median, glance.held.p95),
            (100, 151, 196)
        );
        assert_eq!(
            (glance.live.n, glance.live.median, glance.live.p95),
            (1, 1000, 1000)
        );
    }
}
