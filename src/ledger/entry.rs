//! A record as the journal holds it, and by which names an order of them is found.

use crate::domain::{Order, Record};
use crate::ledger::error::LedgerError;
use crate::ledger::frame;
use crate::ledger::index::MAX_KEY;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
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
    /// Of each alias. Every look-up goes through all that is open, perhaps ten thousand orders: their texts
    /// would be six more strings of each, all over the memory.
    aliases: Box<[u64]>,
}

/// What is looked for.
pub(crate) struct Alias<'a> {
    text: &'a str,
    fingerprint: u64,
}

impl<'a> Alias<'a> {
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            fingerprint: fingerprint(text),
        }
    }
}

/// The same for the same text, as long as the process lives.
fn fingerprint(alias: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    alias.hash(&mut hasher);
    hasher.finish()
}

impl Entry {
    pub fn new(record: Arc<Record>, payload: Arc<[u8]>) -> Self {
        let aliases = match &*record {
            Record::Order(order) => order.aliases().iter().map(|a| fingerprint(a)).collect(),
            _ => Box::default(),
        };
        Self {
            open: record.is_open(),
            record,
            payload,
            archived: false,
            settled: false,
            aliases,
        }
    }

    pub fn order(&self) -> Option<&Order> {
        match &*self.record {
            Record::Order(order) => Some(order),
            _ => None,
        }
    }

    /// The order, if this is one of its aliases.
    pub fn known_as(&self, alias: &Alias<'_>) -> Option<&Order> {
        let maybe = self.aliases.contains(&alias.fingerprint);
        self.order()
            .filter(|order| maybe && order.aliases().iter().any(|a| a == alias.text))
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
