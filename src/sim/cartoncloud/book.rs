//! The tenant's books: rows of JSON in four tables, and every write of the API in order.
//!
//! One line of the log is one transaction: the rows it leaves and, when a client asked for it, the
//! write. A write is on the disk before its reply is sent, so that a killed simulator still knows
//! everything that it acknowledged.

use crate::domain::Timestamp;
use crate::sim::cartoncloud::world::World;
use crate::sim::site::log::Log;
use crate::sim::site::uuid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

/// A write of the API that was applied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Write {
    /// Counts writes from 1.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// `consignment-put`, `document-create`, `order-put`, `order-create`, `order-delete`.
    pub call: String,
    /// UUID of the sale order that it belongs to.
    pub order: String,
    /// That order's `references.customer`.
    pub reference: String,
    /// Code of that order's customer.
    pub customer: String,
    /// UUID of what was written: consignment, document or order.
    pub entity: String,
    /// Its version after the write; 0 for documents.
    pub version: u64,
    /// The tracking number there after the write: of a consignment `references.tracking`, of an
    /// order `properties.carrierTrackingNumberField`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<String>,
    /// The tracking number there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_before: Option<String>,
    /// A document's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// SHA-256 of a document's bytes, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// `If-Match` as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// Members that differ, `pointer: [before, after]`; not `version` and `timestamps`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub changes: BTreeMap<String, [Value; 2]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Table {
    Orders,
    Consignments,
    Documents,
    Products,
}

/// A row as it is after a transaction; gone when absent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Put {
    table: Table,
    n: u64,
    row: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    seq: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    write: Option<Write>,
    puts: Vec<Put>,
}

/// Rows in the order of their making; members that begin with `$` are the simulator's own.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    rows: BTreeMap<u64, Value>,
    by_id: HashMap<String, u64>,
}

impl Rows {
    pub(crate) fn get(&self, id: &str) -> Option<&Value> {
        self.rows.get(self.by_id.get(id)?)
    }

    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.rows.values()
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    fn put(&mut self, n: u64, row: Option<Value>) {
        if let Some(old) = self.rows.remove(&n) {
            self.by_id.remove(text(&old, "/id"));
        }
        if let Some(row) = row {
            self.by_id.insert(text(&row, "/id").to_owned(), n);
            self.rows.insert(n, row);
        }
    }
}

/// The text at `pointer`; empty when there is none.
pub(crate) fn text<'a>(row: &'a Value, pointer: &str) -> &'a str {
    row.pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Everything remembered. One mutex guards it; nothing in here waits for anything but the disk.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) world: World,
    pub(crate) writes: Vec<Write>,
    tables: BTreeMap<Table, Rows>,
    log: Log,
    seed: u64,
    /// Numbers rows and ids; never used twice, also not after a restart.
    seq: u64,
    none: Rows,
}

impl Book {
    pub(crate) fn open(
        state: Option<&Path>,
        seed: u64,
        customers: usize,
        now: Timestamp,
    ) -> io::Result<Self> {
        let (log, lines) = Log::open(state, "journal.ndjson")?;
        let mut book = Self {
            world: World::new(seed, customers),
            writes: Vec::new(),
            tables: BTreeMap::new(),
            log,
            seed,
            seq: 0,
            none: Rows::default(),
        };
        book.stock(now);
        for line in lines {
            let line: Line = serde_json::from_str(&line).map_err(io::Error::other)?;
            book.adopt(line);
        }
        Ok(book)
    }

    /// Products are told by the seed; only changed ones are in the log.
    fn stock(&mut self, now: Timestamp) {
        let products = self.world.products(self.seed, now);
        let rows = self.tables.entry(Table::Products).or_default();
        for product in products {
            self.seq += 1;
            rows.put(self.seq, Some(product));
        }
    }

    fn adopt(&mut self, line: Line) {
        self.seq = self.seq.max(line.seq);
        self.writes.extend(line.write);
        for put in line.puts {
            self.tables
                .entry(put.table)
                .or_default()
                .put(put.n, put.row);
        }
    }

    pub(crate) fn rows(&self, table: Table) -> &Rows {
        self.tables.get(&table).unwrap_or(&self.none)
    }

    pub(crate) fn orders(&self) -> &Rows {
        self.rows(Table::Orders)
    }

    /// A new row number and its id.
    pub(crate) fn new_row(&mut self, kind: &str) -> (u64, String) {
        self.seq += 1;
        (self.seq, uuid(self.seed, kind, self.seq))
    }

    /// The change of a row; `None` deletes it.
    pub(crate) fn put(&self, table: Table, id: &str, row: Option<Value>) -> Option<Put> {
        let n = *self.rows(table).by_id.get(id)?;
        Some(Put { table, n, row })
    }

    /// A row that is new.
    pub(crate) fn add(table: Table, n: u64, row: Value) -> Put {
        Put {
            table,
            n,
            row: Some(row),
        }
    }

    /// Does it all or, when the disk refuses, nothing. Durable when there is a write.
    pub(crate) fn commit(
        &mut self,
        write: Option<Write>,
        puts: impl IntoIterator<Item = Put>,
    ) -> io::Result<()> {
        self.seq += 1;
        let last = self.writes.last().map_or(0, |w| w.n);
        let write = write.map(|write| Write {
            n: last + 1,
            ..write
        });
        let line = Line {
            seq: self.seq,
            puts: puts.into_iter().collect(),
            write,
        };
        self.log.write(&line, line.write.is_some())?;
        self.adopt(line);
        Ok(())
    }

    /// Back to the standing data.
    pub(crate) fn reset(&mut self, now: Timestamp) -> io::Result<()> {
        self.log.clear()?;
        self.tables.clear();
        self.writes.clear();
        self.seq = 0;
        self.stock(now);
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.log.close();
    }

    /// What `consignments` came from the order `id`.
    pub(crate) fn consignments_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Value> {
        self.rows(Table::Consignments)
            .all()
            .filter(move |c| text(c, "/generatedFromTask/id") == id)
    }

    pub(crate) fn documents_of<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Value> {
        self.rows(Table::Documents)
            .all()
            .filter(move |d| text(d, "/owner/id") == id)
    }
}

/// Leaves that differ, by pointer.
pub(crate) fn changes(before: &Value, after: &Value) -> BTreeMap<String, [Value; 2]> {
    let mut found = BTreeMap::new();
    compare("", before, after, &mut found);
    found.retain(|at, _| {
        at != "/version" && !at.starts_with("/timestamps") && !at.starts_with("/$")
    });
    found
}

fn compare(at: &str, a: &Value, b: &Value, found: &mut BTreeMap<String, [Value; 2]>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|k| !x.contains_key(*k))) {
                let of =
                    |m: &serde_json::Map<String, Value>| m.get(key).cloned().unwrap_or_default();
                compare(&format!("{at}/{key}"), &of(x), &of(y), found);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (i, (a, b)) in x.iter().zip(y).enumerate() {
                compare(&format!("{at}/{i}"), a, b, found);
            }
        }
        _ if a != b => {
            found.insert(at.to_owned(), [a.clone(), b.clone()]);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write as _;

    fn book(dir: &Path) -> io::Result<Book> {
        Book::open(Some(dir), 1, 2, Timestamp(0))
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_what_was_acknowledged_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = book(dir.path()).unwrap();
        let (n, id) = first.new_row("order");
        let row = json!({"id": id, "version": 1});
        first
            .commit(Some(Write::default()), [Book::add(Table::Orders, n, row)])
            .unwrap();
        assert!(book(dir.path()).is_err(), "one simulator at a time");
        drop(first);
        let path = dir.path().join("journal.ndjson");
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(b"{\"seq\":9,\"pu").unwrap();
        let mut again = book(dir.path()).unwrap();
        assert_eq!(again.writes.len(), 1);
        assert_eq!(again.writes[0].n, 1);
        assert!(again.orders().get(&id).is_some());
        assert_ne!(again.new_row("order").1, id, "ids are never used twice");
    }

    #[test]
    fn the_same_seed_has_the_same_ids_and_another_seed_has_others() {
        let ids = |seed| {
            let mut book = Book::open(None, seed, 2, Timestamp(0)).unwrap();
            (book.world.customers[1].id.clone(), book.new_row("order").1)
        };
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
    }

    #[test]
    fn changes_name_the_leaves_that_differ_and_not_the_version() {
        let a = json!({"version": 1, "references": {"customer": "A"}, "items": [{"q": 1}]});
        let b = json!({"version": 2, "references": {"customer": "A", "tracking": "T"}, "items": [{"q": 2}]});
        let found = changes(&a, &b);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found["/references/tracking"], [Value::Null, json!("T")]);
        assert_eq!(found["/items/0/q"], [json!(1), json!(2)]);
    }
}
