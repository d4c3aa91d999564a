//! Look-ups: live set and index together, for each order whichever has the higher sequence.

use crate::domain::names::Name;
use crate::domain::{Order, OrderId, State};
use crate::ledger::core::{Core, IndexState};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Most orders that one alias finds.
const SAME_ALIAS: usize = 64;
/// Most orders that a listing looks at.
const LOOKED_AT: usize = 4_096;
/// Most orders that a listing returns.
const LISTED: usize = 1_000;

/// What an alias found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Orders with that alias, newest first.
    pub orders: Vec<Order>,
    /// Nothing more can be known here. Otherwise the index is still being opened or refilled, and an
    /// order that is not found may have been printed before: ask Starshipit first (contract 10).
    pub complete: bool,
    /// Sequence that a new order of this scan must start from. While the index is not complete it is
    /// above that of any older record of the same order that may still turn up.
    pub first_seq: u64,
}

/// A listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only orders in this state.
    pub state: Option<State>,
    /// Only orders with this text in id, number, reference, recipient or a tracking number, in any
    /// case.
    pub text: Option<String>,
    /// Most orders returned; at most 1,000.
    pub limit: usize,
    /// Go on after this order, the last of the page before. Unknown: nothing is returned.
    pub after: Option<OrderId>,
}

pub(crate) fn find(core: &Core, alias: &str) -> Found {
    // The index first: an order that leaves the journal in between is then seen twice, not never.
    let indexed = core.with_index(|index| index.find(alias, SAME_ALIAS));
    let wanted = Name::new(alias);
    let state = core.state();
    let complete = indexed.is_some() && state.index == IndexState::Ready;
    let mut orders: Vec<Order> = state
        .live
        .values()
        .filter_map(|e| e.known_as(&wanted))
        .take(SAME_ALIAS)
        .cloned()
        .collect();
    for order in indexed.into_iter().flatten() {
        // A live record is never older than the index's, and may have lost the alias since.
        let superseded = state.order(&order.id).is_some_and(|l| l.seq >= order.seq);
        if !superseded {
            orders.retain(|o| o.id != order.id);
            orders.push(order);
        }
    }
    orders.sort_by_key(|o| Reverse(o.updated));
    Found {
        orders,
        complete,
        first_seq: if complete { 1 } else { state.generation << 16 },
    }
}

pub(crate) fn get(core: &Core, id: &OrderId) -> Option<Order> {
    let indexed = core.with_index(|index| index.get(id)).flatten();
    let live = core.state().order(id).cloned();
    match (live, indexed) {
        (Some(live), Some(indexed)) if indexed.seq > live.seq => Some(indexed),
        (Some(live), _) => Some(live),
        (None, indexed) => indexed,
    }
}

pub(crate) fn query(core: &Core, query: &Query) -> Vec<Order> {
    let limit = query.limit.min(LISTED);
    let after = match &query.after {
        None => None,
        Some(id) => match get(core, id) {
            Some(order) => Some((order.updated, order.id)),
            None => return Vec::new(),
        },
    };
    let text = query.text.as_ref().map(|t| t.to_lowercase());
    let wanted = |order: &Order| {
        query.state.is_none_or(|state| order.state() == state)
            && text.as_ref().is_none_or(|text| mentions(order, text))
    };
    let is_after = |order: &Order| {
        let place = (order.updated, &order.id);
        let after = after.as_ref();
        after.is_none_or(|(time, id)| place < (*time, id))
    };
    // All that is open may be ten thousand orders: only those that are listed are copied.
    let (live, chosen) = {
        let state = core.state();
        let orders = || state.live.values().filter_map(|e| e.order());
        let live: HashMap<OrderId, u64> = orders().map(|o| (o.id.clone(), o.seq)).collect();
        let mut chosen: Vec<&Order> = orders().filter(|o| is_after(o) && wanted(o)).collect();
        chosen.sort_by_key(|o| Reverse((o.updated, &o.id)));
        let chosen: Vec<Order> = chosen.into_iter().take(limit).cloned().collect();
        (live, chosen)
    };
    let indexed = core.with_index(|index| {
        let mut orders = Vec::new();
        let from = after.as_ref().map(|(time, id)| (*time, id));
        for order in index.newest(from).take(LOOKED_AT) {
            let order = order?;
            let live = live.get(&order.id);
            if live.is_none_or(|seq| *seq < order.seq) && wanted(&order) {
                orders.push(order);
                if orders.len() >= limit {
                    break;
                }
            }
        }
        Ok(orders)
    });
    let mut orders = indexed.unwrap_or_default();
    let newer: std::collections::HashSet<OrderId> = orders.iter().map(|o| o.id.clone()).collect();
    orders.extend(chosen.into_iter().filter(|o| !newer.contains(&o.id)));
    orders.sort_by(|a, b| (b.updated, &b.id).cmp(&(a.updated, &a.id)));
    orders.truncate(limit);
    orders
}

fn mentions(order: &Order, text: &str) -> bool {
    let tracking = order.shipments.iter().flat_map(|s| &s.tracking);
    [order.id.as_str(), &order.number]
        .into_iter()
        .chain(order.reference.as_deref())
        .chain(order.recipient.as_deref())
        .chain(tracking.map(String::as_str))
        .any(|field| field.to_lowercase().contains(text))
}
