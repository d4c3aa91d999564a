//! How many parcels were bought in this calendar month, for the quota of the Starshipit plan.
//!
//! In memory, and in a file of the state folder from time to time: a crash forgets the last seconds,
//! which a quota of thousands does not mind. No order is in it.

use crate::domain::Timestamp;
use crate::system::durable;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Name of the file in the state folder.
const FILE: &str = "bought-this-month.json";
/// Longest file, in bytes.
const LIMIT: u64 = 4096;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    /// `2026-11`, as the bench's time zone has it.
    month: String,
    parcels: u64,
}

/// The count.
pub(super) struct Month {
    path: PathBuf,
    zone: TimeZone,
    count: Mutex<(Count, Count)>,
}

impl Month {
    /// Goes on from the file.
    pub(super) fn open(state_dir: &Path, zone: Option<&str>) -> Self {
        let path = state_dir.join(FILE);
        let count: Count = durable::read_bounded(&path, LIMIT)
            .ok()
            .flatten()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self {
            path,
            zone: zone
                .and_then(|name| TimeZone::get(name).ok())
                .unwrap_or(TimeZone::UTC),
            count: Mutex::new((count.clone(), count)),
        }
    }

    fn name(&self, now: Timestamp) -> String {
        let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
        let zoned = time.to_zoned(self.zone.clone());
        zoned.strftime("%Y-%m").to_string()
    }

    fn turned(&self, now: Timestamp) -> MutexGuard<'_, (Count, Count)> {
        let month = self.name(now);
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if count.0.month != month {
            count.0 = Count { month, parcels: 0 };
        }
        count
    }

    /// So many more were bought.
    pub(super) fn add(&self, parcels: u64, now: Timestamp) {
        self.turned(now).0.parcels += parcels;
    }

    /// So many were bought in this month.
    pub(super) fn parcels(&self, now: Timestamp) -> u64 {
        self.turned(now).0.parcels
    }

    /// Keeps the count, if it has changed. Blocks on the card.
    pub(super) fn store(&self) -> std::io::Result<()> {
        let now = {
            let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
            if count.0 == count.1 {
                return Ok(());
            }
            count.0.clone()
        };
        durable::replace(&self.path, &serde_json::to_vec(&now)?)?;
        self.count.lock().unwrap_or_else(PoisonError::into_inner).1 = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_month_is_that_of_the_bench_and_outlives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Month::open(dir.path(), Some("Australia/Brisbane"));
        let month = open();
        let (last, first) = (time("2026-10-31T13:59:00Z"), time("2026-10-31T14:00:00Z"));
        month.add(3, last);
        month.add(1, last);
        assert_eq!(month.parcels(last), 4);
        month.store().unwrap();
        assert_eq!(open().parcels(last), 4);
        assert_eq!(open().parcels(first), 0, "November has begun there");
        month.add(2, first);
        assert_eq!(month.parcels(first), 2);
        month.store().unwrap();
        assert_eq!(open().parcels(first), 2);
        durable::replace(&dir.path().join(FILE), b"rubbish").unwrap();
        assert_eq!(open().parcels(first), 0);
    }
}
