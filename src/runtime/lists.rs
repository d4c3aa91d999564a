//! Lists of effects whose records reach the ledger in the order in which the core gave them.
//!
//! A list stops at each `Remember` until that is durable. Meanwhile the core answers other inputs, with
//! newer records of the same orders and acts perhaps: were those to overtake what an older list has yet
//! to remember, that would come as something stale. So a list waits as long as an older one has records
//! of its orders or acts before it; lists that have nothing in common wait for nobody.

use crate::station::Effect;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A list under way.
pub(super) type ListId = u64;

#[derive(Debug, Default)]
pub(super) struct Lists {
    next: ListId,
    /// What each list under way has yet to remember.
    under_way: BTreeMap<ListId, BTreeSet<String>>,
    waiting: VecDeque<(BTreeSet<String>, Vec<Effect>)>,
}

impl Lists {
    /// A list from the core: it is given back when it may begin now.
    pub fn arrive(&mut self, list: Vec<Effect>) -> Option<(ListId, Vec<Effect>)> {
        let keys = keys(&list);
        if self.must_wait(&keys, self.waiting.len()) {
            self.waiting.push_back((keys, list));
            return None;
        }
        Some(self.begin(keys, list))
    }

    /// What a list has left (nothing: it is done, or was refused). Gives the lists that may begin now.
    pub fn left(&mut self, id: ListId, rest: &[Effect]) -> Vec<(ListId, Vec<Effect>)> {
        let keys = keys(rest);
        if keys.is_empty() {
            self.under_way.remove(&id);
        } else {
            self.under_way.insert(id, keys);
        }
        let mut free = Vec::new();
        let mut at = 0;
        while let Some((keys, _)) = self.waiting.get(at) {
            if self.must_wait(keys, at) {
                at += 1;
            } else if let Some((keys, list)) = self.waiting.remove(at) {
                free.push(self.begin(keys, list));
            }
        }
        free
    }

    fn begin(&mut self, keys: BTreeSet<String>, list: Vec<Effect>) -> (ListId, Vec<Effect>) {
        self.next += 1;
        if !keys.is_empty() {
            self.under_way.insert(self.next, keys);
        }
        (self.next, list)
    }

    /// Something of `keys` is still to be remembered by a list under way or by one of the first
    /// `before` that wait.
    fn must_wait(&self, keys: &BTreeSet<String>, before: usize) -> bool {
        let waiting = self.waiting.iter().take(before).map(|(keys, _)| keys);
        let mut older = self.under_way.values().chain(waiting);
        !keys.is_empty() && older.any(|older| !older.is_disjoint(keys))
    }
}

fn keys(list: &[Effect]) -> BTreeSet<String> {
    let records = list.iter().filter_map(|effect| match effect {
        Effect::Remember(records) => Some(records),
        _ => None,
    });
    records.flatten().map(|record| record.key()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ActId, Record};

    fn remember(acts: &[(u64, u64)]) -> Effect {
        let end = |(id, seq): &(u64, u64)| Record::ActEnded {
            id: ActId(*id),
            seq: *seq,
        };
        Effect::Remember(acts.iter().map(end).collect())
    }

    #[test]
    fn a_newer_record_never_overtakes_an_older_one_of_its_key() {
        let mut lists = Lists::default();
        let (first, list) = lists
            .arrive(vec![remember(&[(1, 1)]), remember(&[(1, 2), (2, 1)])])
            .unwrap();
        // Its first record is on its way to the card when these come.
        assert!(lists.left(first, &list[1..]).is_empty());
        assert_eq!(lists.arrive(vec![remember(&[(1, 3)])]), None);
        assert_eq!(lists.arrive(vec![remember(&[(2, 2), (3, 1)])]), None);
        // And this one behind one that waits.
        assert_eq!(lists.arrive(vec![remember(&[(3, 2)])]), None);
        assert!(lists.arrive(vec![remember(&[(4, 1)])]).is_some());
        assert!(lists.arrive(vec![Effect::ProbeSales]).is_some());
        let free = lists.left(first, &[]);
        let begun: Vec<_> = free.iter().map(|(_, list)| list.clone()).collect();
        assert_eq!(
            begun,
            [vec![remember(&[(1, 3)])], vec![remember(&[(2, 2), (3, 1)])],]
        );
        let last = lists.left(free[1].0, &[]);
        assert_eq!(last.len(), 1);
        assert_eq!(last[0].1, [remember(&[(3, 2)])]);
    }
}
