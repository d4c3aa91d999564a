//! The looks after a replace or clone whose reply was lost (contract 2).

use super::hub::Hub;
use crate::domain::{AccountName, CallFailure, RemoteOrder};
use crate::starshipit::Priority;
use crate::station::Remade;

impl Hub {
    /// Contract 2: is the source archived? Then its live twin.
    pub(super) async fn look_replaced(
        &self,
        account: &AccountName,
        number: &str,
        reference: Option<&str>,
        order_id: i64,
        sent_at: crate::domain::Timestamp,
    ) -> Result<Remade, CallFailure> {
        let source = self
            .starshipit
            .get(account, order_id, Priority::Scan)
            .await?;
        if source.is_some_and(|source| !source.archived) {
            return Ok(Remade::No);
        }
        let twin = self
            .starshipit
            .live_twin(account, number, reference, order_id, sent_at)
            .await?;
        Ok(twin.map_or(Remade::Unclear, |twin| Remade::Yes(Box::new(twin))))
    }

    /// Contract 2: orders under the number that the ledger does not know.
    pub(super) async fn look_cloned(
        &self,
        account: &AccountName,
        number: &str,
        order_id: i64,
        known: &[i64],
        sent_at: crate::domain::Timestamp,
    ) -> Result<Remade, CallFailure> {
        let mut ids = vec![order_id];
        ids.extend(known.iter().copied().filter(|id| *id != order_id));
        let mut clones: Vec<RemoteOrder> = self
            .starshipit
            .clones(account, number, &ids, sent_at)
            .await?;
        Ok(match (clones.pop(), clones.is_empty()) {
            (None, _) => Remade::No,
            (Some(one), true) => Remade::Yes(Box::new(one)),
            (Some(_), false) => Remade::Unclear,
        })
    }
}
