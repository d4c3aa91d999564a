//! A record as the journal holds it, and by which names an order of them is found.

use crate::domain::names::{Name, Names};
use crate::domain::{Order, Record};
use crate::ledger::error::LedgerError;
use crate::ledger::frame;
use crate::ledger::index::MAX_KEY;
use std::sync::Arc;

/// A record in the journal: still owed something, or not yet safe elsewhere.
#[derive(Clone)]
pub(crate) struct Entry {
    pub record: Arc<Record>,
    pub payload: Arc<[u8]>,
    pub open: bool,
    /// Its line is in the archive, durably.
    pub archived: bool,
    /// A checkpoint has it: a closed record may leave the journal.
    pub settled: bool,
    names: Names,
}

impl Entry {
    pub fn new(record: Arc<Record>, payload: Arc<[u8]>) -> Self {
        let names = match &*record {
            Record::Order(order) => Names::of(&order.aliases()),
            _ => Names::of(&[]),
        };
        Self {
            open: record.is_open(),
            record,
            payload,
            archived: false,
            settled: false,
            names,
        }
    }

    pub fn order(&self) -> Option<&Order> {
        match &*self.record {
            Record::Order(order) => Some(order),
            _ => None,
        }
    }

    /// The order, if this is one of its aliases.
    pub fn known_as(&self, name: &Name<'_>) -> Option<&Order> {
        self.names
            .may_hold(name)
            .then(|| self.order())
            .flatten()
            .filter(|order| order.is_known_as(name.text()))
    }

    /// It must stay in the journal.
    pub fn stays(&self) -> bool {
        self.open || !self.settled
    }

    pub fn framed_len(&self) -> u64 {
        frame::framed_len(self.payload.len())
    }
}

/// Checks that a record can be kept and read back, and makes its entry.
pub(crate) fn entry(record: Record) -> Result<(String, Entry), LedgerError> {
    let key = record.key();
    let unfit = |why| LedgerError::Unfit {
        what: key.clone(),
        why,
    };
    if key.len() > MAX_KEY || key.contains('\0') {
        return Err(unfit("its name is too long or has a zero byte"));
    }
    let payload = serde_json::to_vec(&record).map_err(|_| unfit("it has no JSON form"))?;
    if payload.len() > frame::MAX_PAYLOAD {
        return Err(unfit("it is too long"));
    }
    // What cannot be read back must not be acknowledged (a number that JSON has no word for).
    if payload.windows(4).any(|w| w == b"null")
        && !serde_json::from_slice::<Record>(&payload).is_ok_and(|back| back == record)
    {
        return Err(unfit("it does not survive its JSON form"));
    }
    Ok((key, Entry::new(Arc::new(record), payload.into())))
}
