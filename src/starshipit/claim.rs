//! A claim on an order before it is bought, for benches that share an account (promise 8).
//!
//! Starshipit knows no lock and no conditional write. What is documented: `metadatas` of an unprinted
//! order may be written (PUT, 3.4) and are read back (2.5), each under its key. So every bench writes an
//! entry under a key of its own *first* and reads the order *afterwards*: of two benches at least one
//! reads the other's entry, whatever the order of events, and who reads another's entry does not buy.
//! Both may give way; nobody waits and no clock is compared. An entry that a bench has seen unchanged
//! for longer than a purchase can take is of one that gave up.
//!
//! What this rests on, and nobody has confirmed: that unknown keys are kept, and that a PUT leaves other
//! keys alone (every entry that was read is sent along, in case it does not). Where they are dropped
//! (an account is then remembered as such for six hours) the look before the purchase is all there is.

use crate::domain::order::Choices;
use crate::domain::{AccountName, Bought, CallFailure, Code};
use crate::starshipit::send::{MAX_REPLY, patience};
use crate::starshipit::wire::{Metadata, Order};
use crate::starshipit::{Priority, Starshipit, mapping, reason};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How keys of claims begin; what follows is the bench's own.
const KEY: &str = "PRINTSTATION_";
/// What stands in a claim that was given back.
const FREE: &str = "free";
/// An account that forgets claims is tried again after this.
const FUTILE: Duration = Duration::from_secs(6 * 3600);
/// Most claims of others that are remembered.
const MOST: usize = 1_000;
/// An order that was read so recently was read for the purchase that follows.
const RECENT: Duration = Duration::from_secs(5);
/// Most orders that are remembered for it.
const READS: usize = 32;
/// Longest name of a bench that is shown.
const NAME: usize = 40;

/// Who claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Name of the bench, for people at the other one.
    pub bench: String,
    /// Its own and nobody else's: letters and digits.
    pub key: String,
}

impl Claims {
    /// A key that differs where the text differs.
    pub fn key_of(text: &str) -> String {
        let digest = Sha256::digest(text.as_bytes());
        mapping::hex(digest.get(..6).unwrap_or_default())
    }
}

/// What is known of claims.
#[derive(Debug)]
pub(super) struct Desk {
    claims: Claims,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Claims of others, and since when each stands there unchanged.
    seen: BTreeMap<(i64, String), Instant>,
    /// Accounts that forget claims.
    futile: BTreeMap<AccountName, Instant>,
    /// Orders as they were just read: the look before a purchase need not be made twice.
    read: BTreeMap<i64, (Instant, Order)>,
}

impl Desk {
    pub(super) fn new(claims: Claims) -> Self {
        Self {
            claims,
            state: Mutex::default(),
        }
    }

    fn key(&self) -> String {
        format!("{KEY}{}", self.claims.key)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_futile(&self, account: &AccountName) -> bool {
        let state = self.state();
        let since = state.futile.get(account);
        since.is_some_and(|since| since.elapsed() < FUTILE)
    }

    /// An order was read by itself.
    pub(super) fn note(&self, order: &Order) {
        let Some(id) = order.order_id.0 else { return };
        let mut state = self.state();
        state.read.retain(|_, (at, _)| at.elapsed() < RECENT);
        if state.read.len() < READS {
            state.read.insert(id, (Instant::now(), order.clone()));
        }
    }

    fn recent(&self, order_id: i64) -> Option<Order> {
        let (at, order) = self.state().read.remove(&order_id)?;
        (at.elapsed() < RECENT).then_some(order)
    }

    /// The bench whose claim stands in the way, if there is one.
    fn other(&self, order_id: i64, order: &Order, hold: Duration) -> Option<String> {
        let own = self.key();
        let mut state = self.state();
        while state.seen.len() >= MOST {
            let oldest = state.seen.iter().min_by_key(|(_, since)| **since);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            state.seen.remove(&oldest);
        }
        let mut other = None;
        for entry in entries(order) {
            let (Some(key), Some(value)) = (entry.metafield_key.given(), entry.value.given())
            else {
                continue;
            };
            // Case is Starshipit's to change.
            if !starts_with(key, KEY) || key.eq_ignore_ascii_case(&own) || value == FREE {
                continue;
            }
            let token = format!("{key}={value}");
            let since = state
                .seen
                .entry((order_id, token))
                .or_insert_with(Instant::now);
            if since.elapsed() < hold {
                let name = value.rsplit_once(' ').map_or(value, |(name, _)| name);
                other = Some(
                    name.chars()
                        .filter(|c| !c.is_control())
                        .take(NAME)
                        .collect(),
                );
            }
        }
        other
    }
}

fn entries(order: &Order) -> impl Iterator<Item = &Metadata> {
    order.metadatas.0.iter().filter_map(|m| m.0.as_ref())
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

impl Starshipit {
    /// An order was read by itself.
    pub(super) fn note(&self, order: &Order) {
        if let Some(desk) = &self.inner.claims {
            desk.note(order);
        }
    }

    /// Buys the shipment, with a claim before it where benches share the account. One send.
    ///
    /// # Errors
    /// As [`Self::print`]; [`Code::ClaimedElsewhere`] when another bench is about to buy, or has bought.
    /// What fails before Print Label leaves is never `Unknown`.
    pub async fn buy(
        &self,
        account: &AccountName,
        order_id: i64,
        with: Option<&Choices>,
        priority: Priority,
    ) -> Result<(Bought, Vec<Vec<u8>>), CallFailure> {
        let Some(desk) = &self.inner.claims else {
            return self.print(account, order_id, false, with, priority).await;
        };
        let claimed = self.claim(desk, account, order_id, priority).await?;
        // A claim is believed for so long only: what is claimed does not wait behind everything else.
        let priority = match priority {
            Priority::Scan => Priority::Scan,
            _ if claimed => Priority::Release,
            other => other,
        };
        let result = self.print(account, order_id, false, with, priority).await;
        // Nothing was bought, and a person may go to another bench.
        if claimed && matches!(&result, Err(f) if !matches!(f, CallFailure::Unknown { .. })) {
            self.give_back(desk, account, order_id, priority).await;
        }
        result
    }

    /// Write first, read afterwards. `false`: the account forgets claims.
    async fn claim(
        &self,
        desk: &Desk,
        account: &AccountName,
        order_id: i64,
        priority: Priority,
    ) -> Result<bool, CallFailure> {
        if desk.is_futile(account) {
            return Ok(false);
        }
        let hold = patience(Priority::Scan) + self.inner.request_timeout + Duration::from_secs(5);
        let before = match desk.recent(order_id) {
            Some(order) => judge(desk, account, order_id, order, hold)?,
            None => self.free(desk, account, order_id, hold, priority).await?,
        };
        let claim = format!(
            "{} {:08x}",
            desk.claims.bench,
            StdRng::from_os_rng().random::<u32>()
        );
        match self
            .put_claim(desk, account, &before, order_id, &claim, priority)
            .await
        {
            Ok(()) => {}
            Err(CallFailure::Refused { detail, .. }) => {
                // A printed order takes no changes; any other refusal is the account's.
                self.free(desk, account, order_id, hold, priority).await?;
                tracing::warn!(%account, order_id, detail, "Starshipit takes no claims");
                return Ok(false);
            }
            Err(failure) => return Err(unsent(failure)),
        }
        let after = match self.free(desk, account, order_id, hold, priority).await {
            Ok(after) => after,
            Err(failure) => {
                if matches!(failure, CallFailure::Refused { .. }) {
                    self.give_back(desk, account, order_id, priority).await;
                }
                return Err(failure);
            }
        };
        let own = desk.key();
        let stands = entries(&after).any(|entry| {
            let key = entry.metafield_key.given().unwrap_or_default();
            key.eq_ignore_ascii_case(&own) && entry.value.given() == Some(claim.as_str())
        });
        if !stands {
            // Nobody else's stands there either: it was dropped, not overwritten.
            tracing::warn!(%account, order_id, "Starshipit forgets claims: benches that share this account may buy one order twice if both scan it within seconds");
            desk.state().futile.insert(account.clone(), Instant::now());
        }
        Ok(stands)
    }

    /// The order, when it has no label and nobody else's claim.
    async fn free(
        &self,
        desk: &Desk,
        account: &AccountName,
        order_id: i64,
        hold: Duration,
        priority: Priority,
    ) -> Result<Order, CallFailure> {
        match self.order(account, order_id, priority).await {
            Ok(Some(order)) => judge(desk, account, order_id, order, hold),
            Ok(None) => Err(CallFailure::Refused {
                code: Code::OrderNotFound,
                detail: String::new(),
            }),
            Err(failure) => Err(unsent(failure)),
        }
    }

    async fn put_claim(
        &self,
        desk: &Desk,
        account: &AccountName,
        order: &Order,
        order_id: i64,
        claim: &str,
        priority: Priority,
    ) -> Result<(), CallFailure> {
        let own = desk.key();
        let mut metadatas: Vec<_> = entries(order)
            .filter_map(|entry| {
                let key = entry.metafield_key.given()?;
                (!key.eq_ignore_ascii_case(&own))
                    .then(|| json!({ "metafield_key": key, "value": entry.value.given() }))
            })
            .collect();
        metadatas.push(json!({ "metafield_key": own, "value": claim }));
        let body = json!({ "order": { "order_id": order_id, "metadatas": metadatas } });
        self.change(account, "/api/orders", &body, MAX_REPLY, priority)
            .await
            .map(|_| ())
    }

    /// Best effort: what fails here ends by itself when the claim is old.
    async fn give_back(
        &self,
        desk: &Desk,
        account: &AccountName,
        order_id: i64,
        priority: Priority,
    ) {
        let Ok(Some(order)) = self.order(account, order_id, priority).await else {
            return;
        };
        let given = self
            .put_claim(desk, account, &order, order_id, FREE, priority)
            .await;
        if let Err(failure) = given {
            tracing::debug!(%account, order_id, ?failure, "a claim was not given back");
        }
    }
}

/// Print Label has not left: whatever became of a claim, nothing was bought.
fn unsent(failure: CallFailure) -> CallFailure {
    match failure {
        CallFailure::Unknown { detail } => CallFailure::NotSent { detail },
        known => known,
    }
}

/// No label, and nobody else's claim.
fn judge(
    desk: &Desk,
    account: &AccountName,
    order_id: i64,
    order: Order,
    hold: Duration,
) -> Result<Order, CallFailure> {
    let refused = |code: Code, detail: String| Err(CallFailure::Refused { code, detail });
    if mapping::order(account, &order).is_some_and(|o| o.is_printed()) {
        return refused(
            Code::ClaimedElsewhere,
            "its label was made a moment ago".to_owned(),
        );
    }
    match desk.other(order_id, &order, hold) {
        Some(bench) => refused(Code::ClaimedElsewhere, reason::bounded(&bench)),
        None => Ok(order),
    }
}
