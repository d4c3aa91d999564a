//! How calls to an outside system ended, counted since the start.
//!
//! Bounded whatever the other side sends: a status that no server should answer with is `other`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallEnd {
    /// With a reply of this HTTP status.
    Status(u16),
    /// No byte left this host.
    NotSent,
    /// The request, or part of it, may have arrived; no reply came.
    Broken,
}

impl CallEnd {
    /// The word for it: a status of 100 to 599, `other`, `not-sent` or `broken`.
    pub fn word(self) -> String {
        match self {
            Self::Status(status @ 100..=599) => status.to_string(),
            Self::Status(_) => "other".to_owned(),
            Self::NotSent => "not-sent".to_owned(),
            Self::Broken => "broken".to_owned(),
        }
    }
}

/// Counts of calls by their end.
#[derive(Debug, Default)]
pub struct Calls(Mutex<BTreeMap<String, u64>>);

impl Calls {
    /// One more.
    pub fn count(&self, end: CallEnd) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(end.word()).or_default() += 1;
    }

    /// All of them, by word.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_counted_by_word_and_strange_statuses_are_one() {
        let calls = Calls::default();
        for end in [
            CallEnd::Status(200),
            CallEnd::Status(200),
            CallEnd::Status(999),
            CallEnd::Status(600),
            CallEnd::NotSent,
        ] {
            calls.count(end);
        }
        let counts: Vec<(String, u64)> = calls.counts().into_iter().collect();
        let expected = [("200", 2), ("not-sent", 1), ("other", 2)];
        assert_eq!(counts, expected.map(|(word, n)| (word.to_owned(), n)));
    }
}
