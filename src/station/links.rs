//! Sale orders and the ledger's orders of them.
//!
//! The ledger's order keeps its id whatever happens to its sale order: one that was scanned before
//! CartonCloud was set up gets its link later, one that was deleted and entered again gets a new link.

use super::Station;
use crate::domain::order::IntentKind;
use crate::domain::sale::MAX_KEPT;
use crate::domain::writeback::bounded;
use crate::domain::{AccountName, Moment, Order, OrderId, SaleLink, SaleOrder};
use std::sync::Arc;

/// Kept with every link: with the name it tells whose a Starshipit order without reference is.
const POSTCODE: &str = "details.deliver.address.postcode";

impl Station {
    /// The ledger's order of a sale order, with its link as it is now, and whether that is news.
    /// `again`: by a number that no other sale order has, so that one of the same customer and number
    /// was deleted and entered again.
    pub(super) fn order_of_sale(
        &mut self,
        sale: &SaleOrder,
        known: Option<Order>,
        again: bool,
    ) -> Option<(OrderId, bool)> {
        if let Some(known) = known {
            self.adopt_record(known);
        }
        let route = self.settings.sale_route(sale);
        let named = OrderId::cartoncloud(&sale.uuid);
        let linked = |o: &Order| {
            o.sale
                .as_ref()
                .is_some_and(|link| link.uuid.eq_ignore_ascii_case(&sale.uuid))
        };
        let id = self
            .orders
            .values()
            .find(|o| linked(o))
            .or_else(|| self.orders.get(&named))
            .map(|o| o.id.clone())
            .or_else(|| {
                let (account, number, reference) = self.names(sale, route?);
                let same =
                    |o: &&Order| o.account == account && o.number.eq_ignore_ascii_case(&number);
                self.orders
                    .values()
                    .filter(same)
                    .find(|o| match &o.sale {
                        Some(link) => again && link.customer.same(&sale.customer),
                        None => match (&o.reference, &reference) {
                            (Some(theirs), Some(ours)) => theirs.eq_ignore_ascii_case(ours),
                            (None, _) => o.recipient.is_some() && o.recipient == sale.recipient,
                            (Some(_), None) => false,
                        },
                    })
                    .map(|o| o.id.clone())
            })?;
        let keep = route.map(|n| self.settings.routes[n].keep.clone());
        let names = route.map(|n| self.names(sale, n));
        self.touched.insert(id.clone(), self.now.mono);
        let order = self.orders.get_mut(&id)?;
        // Nothing of it is in Starshipit yet: it goes where its route sends it now.
        if let Some((account, number, reference)) = names
            && order.order_id == 0
            && order.intent.is_none()
            && order.shipments.is_empty()
        {
            (order.account, order.number, order.reference) = (account, number, reference);
        }
        let news = refresh(order, sale, &keep.unwrap_or_default());
        Some((id, news))
    }

    /// Account, number and reference of a sale order in Starshipit.
    fn names(&self, sale: &SaleOrder, route: usize) -> (AccountName, String, Option<String>) {
        let route = &self.settings.routes[route];
        let number = sale.fill(&route.push.order_number);
        (
            route.account.clone(),
            number.unwrap_or_else(|| sale.number.clone()),
            sale.fill(&route.push.reference),
        )
    }

    /// A sale order that the ledger does not know.
    pub(super) fn new_of_sale(&mut self, sale: &SaleOrder, route: usize, now: Moment) -> OrderId {
        let id = OrderId::cartoncloud(&sale.uuid);
        let (account, number, reference) = self.names(sale, route);
        let printer = self.settings.routes[route].printer.clone();
        let keep = self.settings.routes[route].keep.clone();
        let mut order = Order {
            seq: self.first_seq,
            reference,
            recipient: sale.recipient.clone(),
            ..Order::new(id.clone(), number, account, printer, now.wall)
        };
        refresh(&mut order, sale, &keep);
        self.touched.insert(id.clone(), now.mono);
        self.orders.insert(Arc::new(order));
        id
    }

    /// The sale order that a look before this order must read as well.
    pub(super) fn linked_sale(&self, id: &OrderId) -> Option<String> {
        let link = self.orders.get(id)?.sale.as_ref()?;
        self.settings.cartoncloud.then(|| link.uuid.clone())
    }
}

/// Postcode of the destination, as its sale order had it last.
pub(super) fn postcode(order: &Order) -> Option<String> {
    order.sale.as_ref()?.kept.get(POSTCODE).cloned()
}

/// Brings an order's link up to date; `true`: something that the ledger should keep has changed. Its
/// fingerprint stays what it was at the purchase.
fn refresh(order: &mut Order, sale: &SaleOrder, keep: &[String]) -> bool {
    let bought = order.live().next().is_some()
        || order
            .intent
            .as_ref()
            .is_some_and(|i| i.kind != IntentKind::Create);
    let new = order.sale.is_none();
    let link = order.sale.get_or_insert_default();
    let before = link.clone();
    link.uuid.clone_from(&sale.uuid);
    link.version = sale.version;
    link.status.clone_from(&sale.status);
    link.numeric_id.clone_from(&sale.numeric_id);
    link.customer.clone_from(&sale.customer);
    link.warehouse.clone_from(&sale.warehouse);
    link.seen.clone_from(&sale.fingerprint);
    if !bought {
        link.fingerprint.clone_from(&sale.fingerprint);
    }
    link.kept = keep
        .iter()
        .take(MAX_KEPT)
        .filter_map(|path| Some((path.clone(), bounded(sale.text(path)?))))
        .chain(Some((
            POSTCODE.to_owned(),
            bounded(sale.postcode.clone().unwrap_or_default()),
        )))
        .collect();
    let after = SaleLink {
        version: before.version,
        fingerprint: before.fingerprint.clone(),
        ..link.clone()
    };
    new || after != before
}
