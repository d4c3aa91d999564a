//! A virtual ledger: what a commit makes durable, and nothing else, comes back after a crash.

use super::people::number_of;
use printstation::domain::{ActId, AheadDay, Order, OrderId, Record, Timestamp};
use printstation::station::Recovered;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The ledger has no room: the act whose batch it refused.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    pub act: ActId,
}

#[derive(Clone, Debug, Default)]
pub struct Memory {
    records: BTreeMap<String, Record>,
    /// Nothing that opens an act is let in.
    pub full: bool,
    /// Nothing that opens an order is let in.
    pub no_new_orders: bool,
    /// Highest act number ever seen.
    highest_act: u64,
}

impl Memory {
    /// All records become durable together, or none.
    pub fn commit(&mut self, records: Vec<Record>) -> Result<(), Refusal> {
        let opens = |record: &Record| {
            record.is_open() && !self.records.get(&record.key()).is_some_and(Record::is_open)
        };
        let act = records.iter().find_map(|r| match r {
            Record::Act(act) => Some(act.id),
            _ => None,
        });
        let refused = records.iter().any(|r| match r {
            Record::Act(_) => self.full && opens(r),
            Record::Order(_) => self.no_new_orders && opens(r),
            Record::ActEnded { .. } | Record::Bench { .. } => false,
        });
        if let Some(act) = act.filter(|_| refused) {
            return Err(Refusal { act });
        }
        for record in records {
            let key = record.key();
            let known = self.records.get(&key).map_or(0, Record::seq);
            assert!(
                record.seq() > known,
                "{key}: record {} after {known} would be lost: {record:?}",
                record.seq()
            );
            let act = match &record {
                Record::Act(act) => act.id.0,
                Record::ActEnded { id, .. } => id.0,
                Record::Order(_) | Record::Bench { .. } => 0,
            };
            self.highest_act = self.highest_act.max(act);
            self.records.insert(key, record);
        }
        Ok(())
    }

    pub fn recover(&self, clock_trusted: bool) -> Recovered {
        Recovered {
            orders: self
                .shared()
                .filter(|o| o.is_open())
                .map(Arc::clone)
                .collect(),
            acts: self
                .records
                .values()
                .filter_map(|r| match r {
                    Record::Act(act) => Some((**act).clone()),
                    _ => None,
                })
                .collect(),
            paused: matches!(
                self.records.get("bench"),
                Some(Record::Bench { paused: true, .. })
            ),
            closed: match self.records.get("bench") {
                Some(Record::Bench { closed, .. }) => *closed,
                _ => Timestamp::default(),
            },
            ahead: match self.records.get("bench") {
                Some(Record::Bench { ahead, .. }) => ahead.clone(),
                _ => AheadDay::default(),
            },
            bench_seq: self.records.get("bench").map_or(0, Record::seq),
            highest_act: self.highest_act,
            clock_trusted,
        }
    }

    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.shared().map(|order| &**order)
    }

    fn shared(&self) -> impl Iterator<Item = &Arc<Order>> {
        self.records.values().filter_map(|r| match r {
            Record::Order(order) => Some(order),
            _ => None,
        })
    }

    pub fn order(&self, id: &OrderId) -> Option<&Order> {
        self.orders().find(|o| o.id == *id)
    }

    pub fn open_orders(&self) -> usize {
        self.orders().filter(|o| o.is_open()).count()
    }

    pub fn by_alias(&self, alias: &str) -> Vec<Order> {
        self.orders()
            .filter(|o| o.aliases().iter().any(|a| a == alias))
            .cloned()
            .collect()
    }

    pub fn open_acts(&self) -> Vec<ActId> {
        self.records
            .values()
            .filter_map(|r| match r {
                Record::Act(act) => Some(act.id),
                _ => None,
            })
            .collect()
    }

    /// Open scans by order number: those that wait for RESUME, and the others.
    pub fn waiting_scans(&self) -> (BTreeMap<String, usize>, BTreeMap<String, usize>) {
        let (mut waiting, mut going) = (BTreeMap::new(), BTreeMap::new());
        for record in self.records.values() {
            if let Record::Act(act) = record {
                let known = act.order.as_ref().and_then(|id| self.order(id));
                let number =
                    known.map_or_else(|| number_of(act.text.as_str()), |o| o.number.clone());
                let scans = if act.queued { &mut waiting } else { &mut going };
                *scans.entry(number).or_default() += 1;
            }
        }
        (waiting, going)
    }

    /// Acts that were ever durable for a text: open ones, or any that ended.
    pub fn acts_of(&self, text: &str) -> usize {
        self.records
            .values()
            .filter(|r| match r {
                Record::Act(act) => act.text.as_str() == text,
                Record::ActEnded { .. } => true,
                _ => false,
            })
            .count()
    }
}
