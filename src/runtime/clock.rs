//! The one clock of the process.

use crate::domain::{Moment, Mono, Timestamp};
use crate::system::clock::BUILT;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock whose monotonic side starts at zero now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where time is read"
    )]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    /// Now, on both clocks.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where time is read"
    )]
    pub fn now(&self) -> Moment {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            });
        let mono = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Moment {
            wall: Timestamp(wall),
            mono: Mono(mono),
        }
    }
}

/// A wall clock before this program was written, or more than fifty years after, is not set.
pub fn is_plausible(wall: Timestamp) -> bool {
    wall >= BUILT && wall.0 < BUILT.0 + 50 * 365 * 86_400_000
}
