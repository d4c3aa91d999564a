//! The hand-over list: orders of the day from the ledger, sheets to the printer.

use super::hub::Hub;
use crate::domain::{Code, Order, PrinterName, Timestamp};
use crate::ledger::Query;

/// Orders of one day's list at most, and how many are read at a time.
const DAY: usize = 20_000;
const DAY_PAGE: usize = 500;

impl Hub {
    /// Every order that changed since then, newest first; `None`: the ledger cannot be read.
    pub(super) async fn changed_since(&self, since: Timestamp) -> Option<Vec<Order>> {
        let ledger = self.ledger().clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut all: Vec<Order> = Vec::new();
            loop {
                let page = ledger.query(&Query {
                    limit: DAY_PAGE,
                    after: all.last().map(|order| order.id.clone()),
                    ..Query::default()
                });
                let fresh = page.iter().filter(|order| order.updated >= since).count();
                let whole = page.len() == DAY_PAGE && fresh == page.len() && all.len() < DAY;
                all.extend(page.into_iter().take(fresh));
                if !whole {
                    return all;
                }
            }
        });
        match read.await {
            Ok(orders) => Some(orders),
            Err(panic) => {
                tracing::error!(error = %panic, "the ledger could not be read for the hand-over list");
                None
            }
        }
    }

    pub(super) async fn hand_over(
        &self,
        printer: &PrinterName,
        sheets: Vec<Vec<String>>,
    ) -> Result<(), Code> {
        let date = crate::web::documents::rfc3339(self.paper().now());
        let date = date.as_str().unwrap_or_default().to_owned();
        for mut lines in sheets {
            lines.insert(1.min(lines.len()), date.clone());
            self.paper().ticket(printer, &lines, &[]).await?;
        }
        Ok(())
    }
}
