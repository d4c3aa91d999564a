//! From what was scanned to Starshipit orders, and the looks after a copy whose reply was lost.
//!
//! Section 12: a number is looked up directly and searched for, because the direct look-up shows
//! one of several orders with that number (S14) and an order must never be bought while another
//! one fits the scan as well. Search matches loosely; only what is equal after reading the order
//! itself counts.

use crate::domain::{AccountName, CallFailure, RemoteOrder, Timestamp};
use crate::starshipit::calls::{garbled, is_not_found, rfc3339};
use crate::starshipit::wire::{self, Order};
use crate::starshipit::{Priority, Starshipit, mapping};
use std::collections::BTreeSet;
use std::time::Duration;

/// Orders that are read again, at most, to see whether they fit.
const MAX_READ_AGAIN: usize = 10;
/// Pages of a search, at most: more means that the text is no order's number.
const SEARCH_PAGES: i64 = 3;
/// What Starshipit's clock and ours may differ by.
const CLOCKS: Duration = Duration::from_secs(120);

/// A way to find an order that has no order of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// Search by number, where the direct look-up knows none.
    OrderNumber,
    /// Customer reference.
    Reference,
    /// Tracking number.
    Tracking,
}

/// What the accounts answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FindResult {
    /// Orders that fit. More than one: ambiguous. Archived ones only when no live one fits.
    pub hits: Vec<RemoteOrder>,
    /// Accounts whose answer is missing or incomplete; an account may have hits and be here.
    pub failures: Vec<(AccountName, CallFailure)>,
}

impl FindResult {
    fn add(&mut self, answers: Vec<(AccountName, Answer)>) {
        for (account, (hits, failure)) in answers {
            self.hits.extend(hits);
            self.failures.extend(failure.map(|f| (account, f)));
        }
    }

    fn prefer_live(&mut self) {
        if self.hits.iter().any(|hit| !hit.archived) {
            self.hits.retain(|hit| !hit.archived);
        }
    }
}

impl Starshipit {
    /// Asks `accounts`, at the same time, for the orders that `text` means.
    ///
    /// Number first; then, while nothing fits anywhere, the other ways of `fallback` in order.
    pub async fn find(
        &self,
        accounts: &[AccountName],
        text: &str,
        fallback: &[Lookup],
        priority: Priority,
    ) -> FindResult {
        let searches = fallback.contains(&Lookup::OrderNumber);
        let first = Way::Number { searches };
        let others = fallback.iter().filter_map(|lookup| match lookup {
            Lookup::OrderNumber => None,
            Lookup::Reference => Some(Way::Reference),
            Lookup::Tracking => Some(Way::Tracking),
        });
        let mut result = FindResult::default();
        for way in std::iter::once(first).chain(others) {
            let asked: Vec<AccountName> = accounts
                .iter()
                .filter(|a| !result.failures.iter().any(|(failed, _)| failed == *a))
                .cloned()
                .collect();
            result.add(self.ask_all(asked, way, text, priority).await);
            if !result.hits.is_empty() {
                break;
            }
        }
        result.prefer_live();
        result
    }

    /// Asks `accounts`, at the same time, for the orders whose number, reference or tracking number
    /// `text` is: one step of [`Self::find`], for texts that are known to be one of them.
    pub async fn look_up(
        &self,
        accounts: &[AccountName],
        by: Lookup,
        text: &str,
        priority: Priority,
    ) -> FindResult {
        let way = match by {
            Lookup::OrderNumber => Way::Number { searches: true },
            Lookup::Reference => Way::Reference,
            Lookup::Tracking => Way::Tracking,
        };
        let mut result = FindResult::default();
        result.add(self.ask_all(accounts.to_vec(), way, text, priority).await);
        result.prefer_live();
        result
    }

    /// Asks each account, at once; answers in the accounts' order.
    async fn ask_all(
        &self,
        accounts: Vec<AccountName>,
        way: Way,
        text: &str,
        priority: Priority,
    ) -> Vec<(AccountName, Answer)> {
        if let [account] = accounts.as_slice() {
            let answer = self.ask(account, way, text, priority).await;
            return vec![(account.clone(), answer)];
        }
        let mut tasks = tokio::task::JoinSet::new();
        for (index, account) in accounts.iter().cloned().enumerate() {
            let (client, text) = (self.clone(), text.to_owned());
            tasks.spawn(async move { (index, client.ask(&account, way, &text, priority).await) });
        }
        // An account whose task died is one that did not answer.
        let mut answers: Vec<Answer> = accounts
            .iter()
            .map(|_| {
                let detail = "the look-up ended early".to_owned();
                (Vec::new(), Some(CallFailure::NotSent { detail }))
            })
            .collect();
        while let Some(done) = tasks.join_next().await {
            if let Ok((index, answer)) = done {
                answers[index] = answer;
            }
        }
        accounts.into_iter().zip(answers).collect()
    }

    async fn ask(&self, account: &AccountName, way: Way, text: &str, priority: Priority) -> Answer {
        match way {
            Way::Number { searches } => self.numbered(account, text, searches, priority).await,
            Way::Reference => {
                let fits = |o: &RemoteOrder| is(o.reference.as_deref(), text);
                let may = |o: &Order| o.reference.given().is_none_or(|r| is(Some(r), text));
                self.by_search(account, text, "TheirRef", may, fits, priority)
                    .await
            }
            Way::Tracking => {
                let fits = |o: &RemoteOrder| o.tracking.iter().any(|t| is(Some(t), text));
                self.by_search(account, text, "All", |_| true, fits, priority)
                    .await
            }
        }
    }

    /// Orders of exactly this number, and why they may not be all.
    pub(super) async fn numbered(
        &self,
        account: &AccountName,
        text: &str,
        searches: bool,
        priority: Priority,
    ) -> Answer {
        let numbered = self.get_by_number(account, text, priority);
        let (direct, listed) = if searches {
            let listed = self.search(account, text, "Order_Number", priority);
            tokio::join!(numbered, listed)
        } else {
            match numbered.await {
                // Only to see whether it is the only one.
                Ok(Some(order)) => {
                    let listed = self.search(account, text, "Order_Number", priority).await;
                    (Ok(Some(order)), listed)
                }
                other => (other, Ok(Vec::new())),
            }
        };
        // One of the two answers is enough to have found something.
        let (direct, missing) = match direct {
            Ok(order) => (order.filter(|o| is(o.order_number.given(), text)), None),
            Err(failure) => (None, Some(failure)),
        };
        let mut hits: Vec<RemoteOrder> = direct
            .iter()
            .filter_map(|o| mapping::order(account, o))
            .collect();
        let listed = match listed {
            Ok(listed) => listed,
            // It is not known whether there are others.
            Err(failure) => return (hits, Some(missing.unwrap_or(failure))),
        };
        let others: BTreeSet<i64> = listed
            .iter()
            .filter(|o| is(o.order_number.given(), text))
            .filter_map(|o| o.order_id.0)
            .filter(|id| hits.iter().all(|hit| hit.order_id != *id))
            .collect();
        let fits = |o: &RemoteOrder| is(Some(&o.number), text);
        let failure = self
            .read_again(account, others, fits, &mut hits, priority)
            .await;
        let failure = failure.or(missing.filter(|_| hits.is_empty()));
        (hits, failure)
    }

    /// Search, then the orders themselves.
    async fn by_search(
        &self,
        account: &AccountName,
        text: &str,
        fields: &str,
        may_fit: impl Fn(&Order) -> bool,
        fits: impl Fn(&RemoteOrder) -> bool,
        priority: Priority,
    ) -> Answer {
        let listed = match self.search(account, text, fields, priority).await {
            Ok(listed) => listed,
            Err(failure) => return (Vec::new(), Some(failure)),
        };
        let ids = listed
            .iter()
            .filter(|o| may_fit(o))
            .filter_map(|o| o.order_id.0)
            .collect();
        let mut hits = Vec::new();
        let failure = self
            .read_again(account, ids, fits, &mut hits, priority)
            .await;
        (hits, failure)
    }

    /// Reads `ids` one by one and adds those that fit to `hits`.
    async fn read_again(
        &self,
        account: &AccountName,
        ids: BTreeSet<i64>,
        fits: impl Fn(&RemoteOrder) -> bool,
        hits: &mut Vec<RemoteOrder>,
        priority: Priority,
    ) -> Option<CallFailure> {
        // Newest first: of very many, those are meant.
        for id in ids.into_iter().rev().take(MAX_READ_AGAIN) {
            match self.get(account, id, priority).await {
                Ok(order) => hits.extend(order.filter(&fits)),
                Err(failure) => return Some(failure),
            }
        }
        None
    }

    /// The order that Starshipit shows under this number, if any.
    async fn get_by_number(
        &self,
        account: &AccountName,
        number: &str,
        priority: Priority,
    ) -> Result<Option<Order>, CallFailure> {
        let query = [("order_number", number)];
        let good = self.read(account, "/api/orders", &query, priority).await;
        if is_not_found(&good) {
            return Ok(None);
        }
        let reply = good?.reply;
        if reply.is_garbled() {
            return Err(garbled());
        }
        let order = reply.into_orders().into_iter().next();
        if let Some(order) = &order {
            self.note(order);
        }
        Ok(order)
    }

    async fn search(
        &self,
        account: &AccountName,
        phrase: &str,
        fields: &str,
        priority: Priority,
    ) -> Result<Vec<Order>, CallFailure> {
        let query = [("phrase", phrase), ("fields", fields), ("status", "All")];
        let path = "/api/orders/search";
        let found = self
            .list(account, path, &query, SEARCH_PAGES, priority)
            .await;
        if is_not_found(&found) {
            return Ok(Vec::new());
        }
        found
    }

    /// The look after a replace whose reply was lost: the live order that took the archived one's
    /// place (contract 2). Its number may be the same, the same with a suffix, or empty (S15).
    ///
    /// `after` is when the replace was sent; [`Timestamp`] zero takes any age.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn live_twin(
        &self,
        account: &AccountName,
        number: &str,
        reference: Option<&str>,
        archived_id: i64,
        after: Timestamp,
    ) -> Result<Option<RemoteOrder>, CallFailure> {
        let copies = Copies {
            account,
            number,
            reference,
            known: &[archived_id],
            after,
        };
        let found = self.copies(&copies).await?;
        // Not yet printed before printed, then the newest: an earlier clone of the same order
        // must not be taken for its replacement.
        Ok(found
            .into_iter()
            .max_by_key(|twin| (!twin.is_printed(), twin.order_id)))
    }

    /// The look after a clone whose reply was lost: live orders under the number that are not in
    /// `known_ids`, made after `created_after` (contract 2). `known_ids` holds the source.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn clones(
        &self,
        account: &AccountName,
        number: &str,
        known_ids: &[i64],
        created_after: Timestamp,
    ) -> Result<Vec<RemoteOrder>, CallFailure> {
        let copies = Copies {
            account,
            number,
            reference: None,
            known: known_ids,
            after: created_after,
        };
        self.copies(&copies).await
    }

    /// Live orders that may be copies, by id.
    async fn copies(&self, wanted: &Copies<'_>) -> Result<Vec<RemoteOrder>, CallFailure> {
        let (account, priority) = (wanted.account, Priority::Scan);
        let source = match wanted.known.first() {
            Some(&id) => self.order(account, id, priority).await?,
            None => None,
        };
        let mut seen: Vec<Order> = Vec::new();
        if !wanted.number.is_empty() {
            let (direct, listed) = tokio::join!(
                self.get_by_number(account, wanted.number, priority),
                self.search(account, wanted.number, "Order_Number", priority)
            );
            seen.extend(direct?);
            seen.extend(listed?);
        }
        // Copies begin unprinted: here they are seen whatever their number is.
        let since = rfc3339(Timestamp(wanted.after.0.saturating_sub(millis(CLOCKS))));
        let query = [("since_last_updated", since.as_str())];
        let path = "/api/orders/unshipped";
        seen.extend(
            self.list(account, path, &query, SEARCH_PAGES, priority)
                .await?,
        );

        let ids: BTreeSet<i64> = seen
            .iter()
            .filter(|o| wanted.may_be(o, source.as_ref()))
            .filter_map(|o| o.order_id.0)
            .collect();
        let mut found = Vec::new();
        for id in ids.into_iter().rev().take(MAX_READ_AGAIN) {
            if let Some(order) = self.order(account, id, priority).await?
                && wanted.is(&order, source.as_ref())
            {
                found.extend(mapping::order(account, &order));
            }
        }
        found.sort_by_key(|o| o.order_id);
        Ok(found)
    }
}

/// Hits, and why they may not be all.
pub(super) type Answer = (Vec<RemoteOrder>, Option<CallFailure>);

#[derive(Clone, Copy)]
enum Way {
    Number { searches: bool },
    Reference,
    Tracking,
}

/// What is known of copies that are looked for.
struct Copies<'a> {
    account: &'a AccountName,
    number: &'a str,
    reference: Option<&'a str>,
    /// The source first, and what else is none of them.
    known: &'a [i64],
    after: Timestamp,
}

impl Copies<'_> {
    /// Cheap test on what a list shows.
    fn may_be(&self, order: &Order, source: Option<&Order>) -> bool {
        let Some(id) = order.order_id.0 else {
            return false;
        };
        // Ids grow: a copy is younger than what it was copied from.
        !self.known.contains(&id)
            && self.known.iter().min().is_none_or(|&oldest| id > oldest)
            && self.has_number(order, source)
    }

    /// The same number, with a suffix, or none (then something else must tell).
    fn has_number(&self, order: &Order, source: Option<&Order>) -> bool {
        let Some(number) = order.order_number.given() else {
            return source.is_some() || self.reference.is_some();
        };
        let Some((head, suffix)) = number.split_at_checked(self.number.len()) else {
            return false;
        };
        // `SO-10` is no copy of `SO-1`.
        !self.number.is_empty()
            && head.eq_ignore_ascii_case(self.number)
            && !suffix.starts_with(|c: char| c.is_ascii_digit())
    }

    /// The full order is a live copy.
    fn is(&self, order: &Order, source: Option<&Order>) -> bool {
        self.may_be(order, source)
            && !order.archived.0.unwrap_or(false)
            && self.is_for_the_same(order, source)
            && self.is_new(order, source)
    }

    /// Same destination as the source; without a source, same reference.
    fn is_for_the_same(&self, order: &Order, source: Option<&Order>) -> bool {
        let reference = self
            .reference
            .or_else(|| source.and_then(|s| s.reference.given()));
        let is_same_reference = match (reference, order.reference.given()) {
            (Some(ours), Some(theirs)) => ours.eq_ignore_ascii_case(theirs),
            _ => true,
        };
        let is_same_place =
            source.is_none_or(|source| mapping::place(source) == mapping::place(order));
        is_same_reference && is_same_place
    }

    /// Made after the call was sent, as far as the dates can tell: a copy may carry its source's
    /// date, and a date without a zone is in nobody knows which.
    fn is_new(&self, order: &Order, source: Option<&Order>) -> bool {
        if self.after.0 <= 0 {
            return true;
        }
        let made = mapping::created(order);
        let is_zoned = wire::has_zone(&order.order_date);
        let is_copied = made.is_some() && made == source.and_then(mapping::created);
        match made {
            Some(made) if is_zoned && !is_copied => made.plus(CLOCKS) >= self.after,
            // Nothing to go by. A copy that we asked for has not been printed by anybody.
            _ => mapping::order(self.account, order).is_some_and(|o| !o.is_printed()),
        }
    }
}

fn is(ours: Option<&str>, text: &str) -> bool {
    ours.is_some_and(|ours| ours.eq_ignore_ascii_case(text.trim()))
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
