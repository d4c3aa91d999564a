//! What the simulated Starshipit remembers: orders, and every consignment it sold.
//!
//! Two append-only NDJSON files in the state directory. `ledger.ndjson` is the money: a line per
//! consignment, fsynced before the reply can be sent, carrying the order as it stands after the
//! sale; so a kill between sale and anything else cannot make the simulator sell it again.
//! `orders.ndjson` holds everything else; the newest `seq` of an order wins over both files.

use crate::sim::site::log::{append, lock, whole_lines, write_line};
use crate::sim::starshipit::model::{Order, Sale};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;

#[derive(Serialize, Deserialize)]
struct LedgerLine {
    #[serde(flatten)]
    sale: Sale,
    order: Order,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OrderLine {
    // First: every member of an order has a default, so any object would do for one.
    Deleted { deleted: i64, seq: u64 },
    Order(Box<Order>),
}

#[derive(Debug)]
struct Files {
    ledger: File,
    orders: File,
}

/// Everything remembered. One mutex guards it; nothing in here waits for anything but the disk.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) orders: BTreeMap<i64, Order>,
    pub(crate) sales: Vec<Sale>,
    files: Option<Files>,
    seed: u64,
    next_id: i64,
    next_line: i64,
    next_tracking: u64,
    next_manifest: u32,
    seq: u64,
    closed: bool,
}

/// The first order id: far from small numbers that a test might mix up with anything else.
const FIRST_ID: i64 = 700_000_101;

impl Book {
    /// Opens (or makes) the books in `state`; only in memory when there is none.
    pub(crate) fn open(state: Option<&Path>, seed: u64) -> io::Result<Self> {
        let mut book = Self {
            orders: BTreeMap::new(),
            sales: Vec::new(),
            files: None,
            seed,
            next_id: FIRST_ID,
            next_line: 55_501,
            next_tracking: 1,
            next_manifest: 1,
            seq: 0,
            closed: false,
        };
        if let Some(dir) = state {
            std::fs::create_dir_all(dir)?;
            let ledger = append(&dir.join("ledger.ndjson"))?;
            lock(&ledger, dir)?;
            let orders = append(&dir.join("orders.ndjson"))?;
            let mut files = Files { ledger, orders };
            book.load(&mut files)?;
            // The names of new files must survive as well as what is in them.
            File::open(dir)?.sync_all()?;
            book.files = Some(files);
        }
        Ok(book)
    }

    fn load(&mut self, files: &mut Files) -> io::Result<()> {
        let mut deleted: HashSet<i64> = HashSet::new();
        for line in whole_lines(&mut files.orders)? {
            match serde_json::from_str(&line).map_err(io::Error::other)? {
                OrderLine::Order(order) => self.adopt(*order),
                OrderLine::Deleted { deleted: id, seq } => {
                    self.seq = self.seq.max(seq);
                    self.next_id = self.next_id.max(id + 1);
                    deleted.insert(id);
                }
            }
        }
        for line in whole_lines(&mut files.ledger)? {
            let LedgerLine { sale, order } =
                serde_json::from_str(&line).map_err(io::Error::other)?;
            let sold = u64::try_from(sale.tracking_numbers.len()).unwrap_or(0);
            self.next_tracking = self.next_tracking.saturating_add(sold);
            self.sales.push(sale);
            self.adopt(order);
        }
        self.orders.retain(|id, _| !deleted.contains(id));
        Ok(())
    }

    fn adopt(&mut self, order: Order) {
        self.seq = self.seq.max(order.seq);
        self.next_id = self.next_id.max(order.id + 1);
        let lines = order.items.iter().map(|i| i.item_id);
        let newest = lines
            .chain(order.packages.iter().map(|p| p.package_id))
            .max();
        self.next_line = self.next_line.max(newest.unwrap_or(0) + 1);
        self.next_manifest = self.next_manifest.max(order.manifest.unwrap_or(0) + 1);
        match self.orders.get(&order.id) {
            Some(known) if known.seq > order.seq => {}
            _ => {
                self.orders.insert(order.id, order);
            }
        }
    }

    /// After this nothing is written or sold any more, whatever is still under way.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.files = None;
    }

    pub(crate) fn new_id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id - 1
    }

    /// A new item or package id.
    pub(crate) fn new_line(&mut self) -> i64 {
        self.next_line += 1;
        self.next_line - 1
    }

    pub(crate) fn new_manifest(&mut self) -> u32 {
        self.next_manifest += 1;
        self.next_manifest - 1
    }

    /// `PS` and ten digits: told by the seed, never twice the same, and not in a row.
    pub(crate) fn new_tracking(&mut self) -> String {
        const SPACE: u128 = 10_000_000_000;
        // Coprime with 10^10, so that the walk meets every number once.
        const STEP: u128 = 6_364_136_223;
        let n = self.next_tracking;
        self.next_tracking += 1;
        let at = (u128::from(self.seed) * 2_654_435_761 + u128::from(n) * STEP) % SPACE;
        format!("PS{at:010}")
    }

    /// Stores `order` as it is now.
    pub(crate) fn put(&mut self, mut order: Order) -> io::Result<()> {
        self.open_for_writing()?;
        self.seq += 1;
        order.seq = self.seq;
        if let Some(files) = &mut self.files {
            write_line(&mut files.orders, &order)?;
        }
        self.orders.insert(order.id, order);
        Ok(())
    }

    pub(crate) fn remove(&mut self, id: i64) -> io::Result<()> {
        self.open_for_writing()?;
        self.seq += 1;
        let seq = self.seq;
        if let Some(files) = &mut self.files {
            write_line(&mut files.orders, &OrderLine::Deleted { deleted: id, seq })?;
        }
        self.orders.remove(&id);
        Ok(())
    }

    /// Books a sale with the order as it stands after it. Durable when this returns.
    pub(crate) fn sell(&mut self, mut sale: Sale, mut order: Order) -> io::Result<()> {
        self.open_for_writing()?;
        self.seq += 1;
        order.seq = self.seq;
        sale.n = u64::try_from(self.sales.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let line = LedgerLine { sale, order };
        if let Some(files) = &mut self.files {
            write_line(&mut files.ledger, &line)?;
            files.ledger.sync_data()?;
        }
        self.sales.push(line.sale);
        self.orders.insert(line.order.id, line.order);
        Ok(())
    }

    /// How many consignments `account` bought.
    pub(crate) fn sold_to(&self, account: &str) -> usize {
        self.sales.iter().filter(|s| s.account == account).count()
    }

    /// Forgets everything: orders, sales, and what the files say.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.open_for_writing()?;
        if let Some(files) = &mut self.files {
            files.ledger.set_len(0)?;
            files.ledger.sync_data()?;
            files.orders.set_len(0)?;
        }
        self.orders.clear();
        self.sales.clear();
        self.next_id = FIRST_ID;
        self.next_line = 55_501;
        self.next_tracking = 1;
        self.next_manifest = 1;
        Ok(())
    }

    fn open_for_writing(&self) -> io::Result<()> {
        if self.closed {
            return Err(io::Error::other("the simulator was stopped"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::sim::starshipit::model::Status;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn sale(order: &Order) -> Sale {
        Sale {
            n: 0,
            account: "main".into(),
            order_id: order.id,
            order_number: order.number.clone(),
            carrier: "PlainLabel".into(),
            tracking_numbers: vec!["PS1".into()],
            price_cents: 750,
            at: Timestamp(5),
            via: "api".into(),
        }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_what_was_acknowledged_stays() {
        let dir = tempfile::tempdir().unwrap();
        let mut book = Book::open(Some(dir.path()), 1).unwrap();
        let mut order = Order {
            id: book.new_id(),
            number: "A".into(),
            ..Order::default()
        };
        book.put(order.clone()).unwrap();
        order.status = Status::Printed;
        book.sell(sale(&order), order.clone()).unwrap();
        drop(book);
        for name in ["ledger.ndjson", "orders.ndjson"] {
            let path = dir.path().join(name);
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(b"{\"n\":2,\"acc").unwrap();
        }
        let book = Book::open(Some(dir.path()), 1).unwrap();
        assert_eq!(book.sales.len(), 1);
        assert_eq!(book.orders[&order.id].status, Status::Printed);
        drop(book);
        assert_eq!(Book::open(Some(dir.path()), 1).unwrap().sales.len(), 1);
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error_not_a_silent_loss() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.ndjson");
        let mut file = append(&path).unwrap();
        file.write_all(b"{\"n\":2,\"acc\n").unwrap();
        assert!(Book::open(Some(dir.path()), 1).is_err());
    }

    #[test]
    fn two_books_cannot_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = Book::open(Some(dir.path()), 1).unwrap();
        assert!(Book::open(Some(dir.path()), 1).is_err());
        drop(first);
        assert!(Book::open(Some(dir.path()), 1).is_ok());
    }

    #[test]
    fn tracking_numbers_are_told_by_the_seed_and_never_repeat() {
        let numbers = |seed| {
            let mut book = Book::open(None, seed).unwrap();
            (0..500).map(|_| book.new_tracking()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        assert_eq!(numbers(7).iter().collect::<HashSet<_>>().len(), 500);
        assert!(
            numbers(u64::MAX)
                .iter()
                .all(|n| n.len() == 12 && n.starts_with("PS"))
        );
    }
}
