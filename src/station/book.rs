//! The orders in memory, found by identity and by name.
//!
//! Perhaps ten thousand of them, each with a number that nobody takes. So an order is one allocation that
//! its records share with the ledger (contract 10 has it in memory as long as it is open), and a look-up by
//! name reads a filter of each order instead of its texts.

use crate::domain::names::{Name, Names};
use crate::domain::{Order, OrderId};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone, Debug)]
struct Kept {
    order: Arc<Order>,
    names: Names,
}

/// Orders by identity.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    orders: BTreeMap<OrderId, Kept>,
    /// New, or lent for a change: what names they have now is not worked out.
    unnamed: Vec<OrderId>,
}

impl Book {
    pub fn get(&self, id: &OrderId) -> Option<&Order> {
        self.orders.get(id).map(|kept| &*kept.order)
    }

    /// The order for a record, or to be put back.
    pub fn share(&self, id: &OrderId) -> Option<Arc<Order>> {
        self.orders.get(id).map(|kept| Arc::clone(&kept.order))
    }

    /// The order for a change. What was shared of it before stays as it was.
    pub fn get_mut(&mut self, id: &OrderId) -> Option<&mut Order> {
        let kept = self.orders.get_mut(id)?;
        if kept.names != Names::UNKNOWN {
            kept.names = Names::UNKNOWN;
            self.unnamed.push(id.clone());
        }
        Some(Arc::make_mut(&mut kept.order))
    }

    pub fn insert(&mut self, order: Arc<Order>) {
        // Not worked out here: a start has ten thousand to insert before anybody may scan.
        let names = Names::UNKNOWN;
        self.unnamed.push(order.id.clone());
        self.orders.insert(order.id.clone(), Kept { order, names });
    }

    pub fn remove(&mut self, id: &OrderId) {
        self.orders.remove(id);
    }

    pub fn retain(&mut self, mut stays: impl FnMut(&OrderId, &Order) -> bool) {
        self.orders.retain(|id, kept| stays(id, &kept.order));
    }

    pub fn contains_key(&self, id: &OrderId) -> bool {
        self.orders.contains_key(id)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Order> {
        self.orders.values().map(|kept| &*kept.order)
    }

    /// Orders with this name, which is in the case that comparisons use.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Order> {
        let name = Name::new(name);
        self.orders
            .values()
            .filter(move |kept| kept.names.may_hold(&name))
            .map(|kept| &*kept.order)
            .filter(move |order| order.is_known_as(name.text()))
    }

    /// Works out the names of what is new or was lent.
    pub fn renew_names(&mut self) {
        for id in std::mem::take(&mut self.unnamed) {
            if let Some(kept) = self.orders.get_mut(&id) {
                kept.names = Names::of(&kept.order.aliases());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(n: u32) -> Arc<Order> {
        let json = format!(
            r#"{{"id":"ss:main:{n}","seq":1,"number":"WEB-{n}","reference":"PO-{n}","account":"main",
            "order_id":{n},"printer":"label","standing":"resting","created":0,"updated":0}}"#
        );
        serde_json::from_str(&json).unwrap()
    }

    fn found(book: &Book, name: &str) -> Vec<i64> {
        book.named(name).map(|order| order.order_id).collect()
    }

    #[test]
    fn an_order_is_found_by_the_names_it_has_now() {
        let mut book = Book::default();
        (1..=50).for_each(|n| book.insert(order(n)));
        assert_eq!(found(&book, "web-7"), [7]);
        assert_eq!(found(&book, "ss:main:7"), [7]);
        assert!(found(&book, "web-77").is_empty());

        let id = OrderId("ss:main:7".to_owned());
        let before = book.share(&id).unwrap();
        book.get_mut(&id).unwrap().number = "WEB-8".to_owned();
        for renewed in [false, true] {
            assert_eq!(found(&book, "web-8"), [7, 8], "renewed: {renewed}");
            assert!(found(&book, "web-7").is_empty(), "renewed: {renewed}");
            book.renew_names();
        }
        assert_eq!(before.number, "WEB-7");

        book.retain(|_, order| order.order_id != 8);
        book.remove(&id);
        assert!(found(&book, "web-8").is_empty() && found(&book, "po-8").is_empty());
        assert_eq!(found(&book, "po-9"), [9]);
    }
}
