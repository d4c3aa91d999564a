//! sled as the index of orders: never the source of an acknowledgement, always replaceable.
//!
//! What sled 0.34.7 needs to be trusted this far (each measured): `*.generating` files are removed
//! before it opens, or it may refuse for ever; after `flush()` its `db` file is fsynced through our
//! own descriptor, because on Linux `flush()` does not; no value reaches 6 KiB, because larger pages
//! go to `blobs/`, which it never fsyncs; every change of several trees is one transaction.
//!
//! Trees: `orders` id 00 chunk → piece; `aliases` folded alias 00 id → (); `recent` updated id → ();
//! `open` id → (), orders that are still owed something; `documents` document 00 id → ();
//! `acts` key 00 chunk → piece, open acts and the bench; `meta`, counters.
//!
//! Over 500 lines because the trees and everything that keeps them consistent belong in one view.

use crate::domain::{DocumentId, Order, OrderId, Record, Timestamp};
use crate::ledger::error::index_io;
pub(crate) use crate::ledger::error::{IndexError, caught};
use crate::ledger::layout::{
    account, alias_keys, be, decode, decode_tx, document_keys, encode, get_pieces, mark, place,
    read_pieces, recent_key, remove_pieces, set_pieces,
};
use crate::system::durable;
use sled::transaction::Transactional;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest key of a record (an order's id) that the index takes.
pub(crate) const MAX_KEY: usize = 256;
/// The open index.
pub(crate) struct Index {
    db: sled::Db,
    orders: sled::Tree,
    aliases: sled::Tree,
    recent: sled::Tree,
    open: sled::Tree,
    documents: sled::Tree,
    acts: sled::Tree,
    meta: sled::Tree,
    /// sled's own file, for the fsync that sled leaves out.
    file: File,
    dir: PathBuf,
}

/// Removes what makes sled 0.34.7 refuse an intact database for ever.
fn remove_generating(dir: &Path) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".generating") {
            durable::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn open_db(dir: &Path) -> Result<sled::Db, sled::Error> {
    sled::Config::default()
        .path(dir)
        .cache_capacity(8 << 20)
        .flush_every_ms(None)
        .open()
}

impl Index {
    /// Opens or creates. May panic or hang inside sled on damaged files.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        durable::create_dir_all(dir).map_err(|e| index_io(&e))?;
        remove_generating(dir).map_err(|e| index_io(&e))?;
        let mut tries = 0;
        let db = loop {
            match open_db(dir) {
                // A handle dropped a moment ago lets go of its lock from another thread.
                Err(sled::Error::Io(error))
                    if tries < 100 && error.to_string().contains("could not acquire lock") =>
                {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => break other?,
            }
        };
        let tree = |name: &str| db.open_tree(name);
        let index = Self {
            orders: tree("orders")?,
            aliases: tree("aliases")?,
            recent: tree("recent")?,
            open: tree("open")?,
            documents: tree("documents")?,
            acts: tree("acts")?,
            meta: tree("meta")?,
            file: OpenOptions::new()
                .read(true)
                .write(true)
                .open(dir.join("db"))
                .map_err(|e| index_io(&e))?,
            db,
            dir: dir.to_owned(),
        };
        index.sync_all().map_err(|e| index_io(&e))?;
        Ok(index)
    }

    /// What sled's open wrote without making it durable.
    fn sync_all(&self) -> std::io::Result<()> {
        self.file.sync_all()?;
        File::open(self.dir.join("conf"))?.sync_all()?;
        let blobs = self.dir.join("blobs");
        if blobs.is_dir() {
            durable::sync_dir(&blobs)?;
        }
        durable::sync_dir(&self.dir)?;
        self.dir.parent().map_or(Ok(()), durable::sync_dir)
    }

    /// Makes everything written so far durable.
    pub fn flush(&self) -> Result<(), IndexError> {
        self.db.flush().map_err(|error| match error.into() {
            IndexError::Broken(why) => IndexError::Fatal(why),
            other => other,
        })?;
        self.file.sync_all().map_err(|e| index_io(&e))?;
        durable::sync_dir(&self.dir).map_err(|e| index_io(&e))
    }

    /// A value went to `blobs/`, where no promise holds: it must never happen.
    pub fn has_blobs(&self) -> bool {
        std::fs::read_dir(self.dir.join("blobs")).is_ok_and(|mut d| d.next().is_some())
    }

    /// Bytes of sled's files.
    pub fn size(&self) -> u64 {
        self.db.size_on_disk().unwrap_or(0)
    }

    fn number(&self, name: &str) -> Result<u64, IndexError> {
        Ok(self.meta.get(name)?.map_or(0, |v| be(&v)))
    }

    fn set_number(&self, name: &str, value: u64) -> Result<(), IndexError> {
        self.meta.insert(name, &value.to_be_bytes())?;
        Ok(())
    }

    /// Orders held.
    pub fn count(&self) -> Result<u64, IndexError> {
        self.number("count")
    }

    /// Number of the last checkpoint that is in it.
    pub fn checkpoint(&self) -> Result<u64, IndexError> {
        self.number("checkpoint")
    }

    /// Notes a checkpoint; durable with the next [`Index::flush`].
    pub fn set_checkpoint(&self, number: u64) -> Result<(), IndexError> {
        self.set_number("checkpoint", number)
    }

    /// It holds all that the archive holds.
    pub fn is_complete(&self) -> Result<bool, IndexError> {
        Ok(self.number("complete")? == 1)
    }

    /// Notes that it holds all that the archive holds.
    pub fn set_complete(&self) -> Result<(), IndexError> {
        self.set_number("complete", 1)
    }

    /// Highest act it has heard of.
    pub fn highest_act(&self) -> Result<u64, IndexError> {
        self.number("highest_act")
    }

    /// Notes the highest act of an index that this one replaces.
    pub fn set_highest_act(&self, id: u64) -> Result<(), IndexError> {
        self.set_number("highest_act", id)
    }

    /// When orders were first forgotten since the files were last rewritten.
    pub fn forgot_at(&self) -> Result<Option<Timestamp>, IndexError> {
        Ok(self
            .meta
            .get("forgot_at")?
            .map(|v| Timestamp(be(&v).cast_signed())))
    }

    /// Remembers one record, unless something as new is there already. Not flushed.
    pub fn put(&self, record: &Record) -> Result<(), IndexError> {
        match record {
            Record::Order(order) => self.put_order(order),
            Record::Act(act) => {
                let text = encode(record)?;
                if self.number("highest_act")? < act.id.0 {
                    self.set_number("highest_act", act.id.0)?;
                }
                self.put_other(&record.key(), act.seq, &text)
            }
            Record::Bench { seq, .. } => {
                let text = encode(record)?;
                self.put_other(&record.key(), *seq, &text)
            }
            Record::ActEnded { id, .. } => {
                if self.number("highest_act")? < id.0 {
                    self.set_number("highest_act", id.0)?;
                }
                let key = record.key();
                self.acts
                    .transaction(|acts| remove_pieces(acts, key.as_bytes()))?;
                Ok(())
            }
        }
    }

    fn put_other(&self, key: &str, seq: u64, text: &[u8]) -> Result<(), IndexError> {
        self.acts.transaction(|acts| {
            if let Some((known, _)) = get_pieces(acts, key.as_bytes())?
                && known >= seq
            {
                return Ok(());
            }
            set_pieces(acts, key.as_bytes(), seq, text)
        })?;
        Ok(())
    }

    /// Open acts and the bench.
    pub fn others(&self) -> Result<Vec<Record>, IndexError> {
        let mut all = Vec::new();
        for entry in self.acts.scan_prefix([]) {
            let (key, _) = entry?;
            let Some(key) = key.strip_suffix(&[0, 0, 0]) else {
                continue;
            };
            if let Some(text) = read_pieces(&self.acts, key)? {
                all.push(decode(&text)?);
            }
        }
        Ok(all)
    }

    fn put_order(&self, order: &Order) -> Result<(), IndexError> {
        let text = encode(order)?;
        let id = order.id.as_str().as_bytes();
        let trees = (
            &self.orders,
            &self.aliases,
            &self.recent,
            &self.open,
            &self.documents,
            &self.meta,
        );
        trees.transaction(|(orders, aliases, recent, open, documents, meta)| {
            let old = match get_pieces(orders, id)? {
                Some((seq, _)) if seq >= order.seq => return Ok(()),
                Some((_, text)) => Some(decode_tx::<Order>(&text)?),
                None => None,
            };
            match &old {
                None => {}
                Some(old) => {
                    let (now, then) = (alias_keys(order), alias_keys(old));
                    for key in then.iter().filter(|k| !now.contains(k)) {
                        aliases.remove(key.as_slice())?;
                    }
                    let (now, then) = (document_keys(order), document_keys(old));
                    for key in then.iter().filter(|k| !now.contains(k)) {
                        documents.remove(key.as_slice())?;
                    }
                    if old.updated != order.updated {
                        recent.remove(recent_key(old))?;
                    }
                }
            }
            let then = old.as_ref().map(alias_keys).unwrap_or_default();
            for key in alias_keys(order).into_iter().filter(|k| !then.contains(k)) {
                aliases.insert(key, &[])?;
            }
            let then = old.as_ref().map(document_keys).unwrap_or_default();
            for key in document_keys(order)
                .into_iter()
                .filter(|k| !then.contains(k))
            {
                documents.insert(key, &[])?;
            }
            if old.as_ref().is_none_or(|old| old.updated != order.updated) {
                recent.insert(recent_key(order), &[])?;
            }
            if order.is_open() {
                open.insert(id, &[])?;
            } else {
                open.remove(id)?;
            }
            account(meta, id, old.as_ref().map(|old| old.seq), Some(order.seq))?;
            set_pieces(orders, id, order.seq, &text)
        })?;
        Ok(())
    }

    /// Forgets a closed order that has not changed since `seen`. Returns whether it did.
    pub fn forget(&self, seen: &Order, now: Timestamp) -> Result<bool, IndexError> {
        let id = seen.id.as_str().as_bytes();
        let trees = (
            &self.orders,
            &self.aliases,
            &self.recent,
            &self.documents,
            &self.meta,
        );
        let gone = trees.transaction(|(orders, aliases, recent, documents, meta)| {
            match get_pieces(orders, id)? {
                Some((seq, _)) if seq == seen.seq => {}
                _ => return Ok(false),
            }
            for key in alias_keys(seen) {
                aliases.remove(key)?;
            }
            for key in document_keys(seen) {
                documents.remove(key)?;
            }
            recent.remove(recent_key(seen))?;
            remove_pieces(orders, id)?;
            account(meta, id, Some(seen.seq), None)?;
            if meta.get("forgot_at")?.is_none() {
                meta.insert("forgot_at", &now.0.to_be_bytes())?;
            }
            Ok(true)
        })?;
        Ok(gone)
    }

    /// One order.
    pub fn get(&self, id: &OrderId) -> Result<Option<Order>, IndexError> {
        read_pieces(&self.orders, id.as_str().as_bytes())?
            .map(|text| decode(&text))
            .transpose()
    }

    /// Up to `limit` orders with this alias.
    pub fn find(&self, alias: &str, limit: usize) -> Result<Vec<Order>, IndexError> {
        let mut prefix = alias.as_bytes().to_vec();
        prefix.push(0);
        let mut found = Vec::new();
        for entry in self.aliases.scan_prefix(&prefix).take(limit) {
            let (key, _) = entry?;
            if let Some(order) = self.order_at(&key[prefix.len()..])? {
                found.push(order);
            }
        }
        Ok(found)
    }

    fn order_at(&self, id: &[u8]) -> Result<Option<Order>, IndexError> {
        read_pieces(&self.orders, id)?
            .map(|text| decode(&text))
            .transpose()
    }

    /// Orders that are still owed something.
    pub fn open_orders(&self) -> Result<Vec<Order>, IndexError> {
        let mut all = Vec::new();
        for entry in self.open.scan_prefix([]) {
            let (id, _) = entry?;
            all.extend(self.order_at(&id)?);
        }
        Ok(all)
    }

    /// Orders newest first, from (but without) `after` on: update time and id.
    pub fn newest(
        &self,
        after: Option<(Timestamp, &OrderId)>,
    ) -> impl Iterator<Item = Result<Order, IndexError>> {
        let range = match after {
            Some((updated, id)) => self.recent.range(..place(updated, id)),
            None => self.recent.range::<Vec<u8>, _>(..),
        };
        range.rev().filter_map(|entry| self.listed(entry))
    }

    /// Orders oldest first, from (but without) `after` on.
    pub fn oldest(
        &self,
        after: Option<(Timestamp, &OrderId)>,
    ) -> impl Iterator<Item = Result<Order, IndexError>> {
        let from = after.map_or_else(Vec::new, |(updated, id)| {
            let mut key = place(updated, id);
            key.push(0); // the next possible key
            key
        });
        self.recent
            .range(from..)
            .filter_map(|entry| self.listed(entry))
    }

    fn listed(
        &self,
        entry: sled::Result<(sled::IVec, sled::IVec)>,
    ) -> Option<Result<Order, IndexError>> {
        match entry {
            Ok((key, _)) => self.order_at(key.get(8..)?).transpose(),
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Some order refers to this document.
    pub fn is_referenced(&self, document: &DocumentId) -> Result<bool, IndexError> {
        let mut prefix = document.as_str().as_bytes().to_vec();
        prefix.push(0);
        Ok(self
            .documents
            .scan_prefix(prefix)
            .next()
            .transpose()?
            .is_some())
    }

    /// Reads everything, until `enough` says so, and compares it with what is counted. Returns the
    /// orders seen.
    pub fn walk(&self, enough: impl Fn() -> bool) -> Result<u64, IndexError> {
        for tree in [&self.meta, &self.acts, &self.open] {
            for entry in tree.scan_prefix([]) {
                entry?;
            }
        }
        self.others()?;
        let (mut orders, mut sum) = (0, 0);
        // Entries that these orders must have in the other trees.
        let (mut aliases, mut documents) = (0, 0);
        for entry in self.orders.scan_prefix([]) {
            let (key, _) = entry?;
            if let Some(id) = key.strip_suffix(&[0, 0, 0]) {
                if let Some(order) = self.order_at(id)? {
                    sum ^= mark(id, order.seq);
                    aliases += alias_keys(&order).len();
                    documents += document_keys(&order).len();
                }
                orders += 1;
            }
            if orders % 64 == 0 && enough() {
                return Ok(orders);
            }
        }
        let counted = self.count()?;
        if orders != counted || sum != self.number("sum")? {
            return Err(IndexError::Broken(format!(
                "{orders} orders are readable and {counted} were counted, or some are older"
            )));
        }
        let recent = usize::try_from(orders).unwrap_or(usize::MAX);
        let expected = [
            (&self.aliases, aliases),
            (&self.recent, recent),
            (&self.documents, documents),
        ];
        for (tree, expected) in expected {
            let mut seen = 0;
            for entry in tree.scan_prefix([]) {
                entry?;
                seen += 1;
                if seen % 64 == 0 && enough() {
                    return Ok(orders);
                }
            }
            if seen != expected {
                let name = tree.name();
                let name = String::from_utf8_lossy(&name);
                let why = format!("{name} has {seen} entries instead of {expected}");
                return Err(IndexError::Broken(why));
            }
        }
        Ok(orders)
    }
}
