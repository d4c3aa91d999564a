//! Labels, reprints and REDOs counted by customer, person and reason, for `printstation export --report`.

use super::export::{deeds, labels, quoted, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// CartonCloud's customer; without one, the account.
    Customer,
    /// Who did it: the person where one is known, else the scanner or page.
    Person,
    /// Why it was printed again. A first label has none.
    Reason,
}

impl By {
    pub(super) fn parse(word: &str) -> Result<Self, String> {
        match word {
            "customer" => Ok(Self::Customer),
            "person" => Ok(Self::Person),
            "reason" => Ok(Self::Reason),
            other => Err(format!(
                "--report counts by customer, person or reason, not by \"{other}\""
            )),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Person => "person",
            Self::Reason => "reason",
        }
    }
}

/// What is counted.
const COUNTED: [&str; 3] = ["labels", "reprints", "redos"];

/// The counts.
pub(super) struct Report {
    by: Vec<By>,
    counts: BTreeMap<Vec<String>, [u64; 3]>,
}

impl Report {
    pub(super) fn new(by: Vec<By>) -> Self {
        Self {
            by,
            counts: BTreeMap::new(),
        }
    }

    /// Counts what happened to an order since then.
    pub(super) fn count(&mut self, order: &Value, since: jiff::Timestamp) {
        let recent = |of: &Value| {
            let at = of["at"].as_str().and_then(|at| at.parse().ok());
            at.is_some_and(|at: jiff::Timestamp| at >= since)
        };
        for label in labels(order).filter(|label| recent(label)) {
            self.add(0, order, text(&label["by"]), String::new());
        }
        for (n, what) in ["reprint", "redo"].into_iter().enumerate() {
            for deed in deeds(order, what).filter(|deed| recent(deed)) {
                let person = match text(&deed["user"]) {
                    user if user.is_empty() => text(&deed["trigger"]),
                    user => user,
                };
                self.add(n + 1, order, person, text(&deed["reason"]));
            }
        }
    }

    fn add(&mut self, what: usize, order: &Value, person: String, reason: String) {
        let customer = match text(&order["customer"]) {
            customer if customer.is_empty() => text(&order["account"]),
            customer => customer,
        };
        let key = self.by.iter().map(|by| match by {
            By::Customer => customer.clone(),
            By::Person => person.clone(),
            By::Reason => reason.clone(),
        });
        self.counts.entry(key.collect()).or_default()[what] += 1;
    }

    /// As CSV, its head first.
    pub(super) fn rows(&self) -> Vec<String> {
        let names = self.by.iter().map(|by| by.word()).chain(COUNTED);
        let head = names.collect::<Vec<_>>().join(",");
        let rows = self.counts.iter().map(|(key, counts)| {
            let cells = key.iter().map(|cell| quoted(cell));
            let counts = counts.iter().map(u64::to_string);
            cells.chain(counts).collect::<Vec<_>>().join(",")
        });
        std::iter::once(head).chain(rows).collect()
    }

    /// As documents, one per line.
    pub(super) fn documents(&self) -> Vec<String> {
        let documents = self.counts.iter().map(|(key, counts)| {
            let mut document = serde_json::Map::new();
            for (by, cell) in self.by.iter().zip(key) {
                document.insert(by.word().to_owned(), json!(cell));
            }
            for (name, count) in COUNTED.iter().zip(counts) {
                document.insert((*name).to_owned(), json!(count));
            }
            Value::Object(document).to_string()
        });
        documents.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_since_then_is_counted_by_customer_person_and_reason() {
        let order = json!({
            "account": "main", "customer": "TEA",
            "pages": [
                { "role": "label", "state": "printed", "at": "2026-11-22T07:00:00Z", "by": "ann" },
                { "role": "label", "state": "printed", "at": "2026-11-22T07:00:00Z", "by": "ann" },
                { "role": "document", "state": "printed", "at": "2026-11-22T07:00:00Z", "by": "ann" },
                { "role": "label", "state": "todo", "at": "2026-11-22T07:00:00Z", "by": "ann" },
            ],
            "deeds": [
                { "what": "reprint", "at": "2026-11-01T00:00:00Z", "trigger": "page", "user": "bob", "reason": "old" },
                { "what": "reprint", "at": "2026-11-22T08:00:00Z", "trigger": "page", "user": "bob", "reason": "torn, wet" },
                { "what": "redo", "at": "2026-11-22T09:00:00Z", "trigger": "bench", "user": null, "reason": null },
            ],
        });
        let other = json!({
            "account": "main",
            "pages": [{ "role": "label", "state": "printed", "at": "2026-11-22T07:00:00Z", "by": "bench" }],
        });
        let since = "2026-11-20T00:00:00Z".parse().unwrap();
        let report = |words: &[&str]| {
            let by = words.iter().map(|word| By::parse(word).unwrap()).collect();
            let mut report = Report::new(by);
            report.count(&order, since);
            report.count(&other, since);
            report
        };
        assert_eq!(
            report(&["customer"]).rows(),
            ["customer,labels,reprints,redos", "TEA,2,1,1", "main,1,0,0"]
        );
        assert_eq!(
            report(&["person", "reason"]).rows(),
            [
                "person,reason,labels,reprints,redos",
                "ann,,2,0,0",
                "bench,,1,0,1",
                "bob,\"torn, wet\",0,1,0",
            ]
        );
        assert_eq!(
            report(&["customer"]).documents()[1],
            r#"{"customer":"main","labels":1,"redos":0,"reprints":0}"#
        );
        assert!(By::parse("courier").is_err());
    }
}
