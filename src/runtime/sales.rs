//! Where the station's questions about sale orders go. Without CartonCloud in the configuration every
//! one of them ends before its first byte.

use crate::domain::order::Choices;
use crate::domain::{AccountName, CallFailure, RemoteOrder, SaleOrder};
use crate::station::Lookup;

/// CartonCloud, as the station's effects need it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sales;

/// What one create needs.
#[derive(Debug)]
#[expect(
    dead_code,
    reason = "read by the CartonCloud client, which this build does not have"
)]
pub(super) struct Creation {
    pub(super) account: AccountName,
    pub(super) uuid: String,
    pub(super) number: String,
    pub(super) reference: Option<String>,
    pub(super) route: usize,
    pub(super) with: Choices,
    pub(super) urgent: bool,
}

impl Sales {
    /// Sale orders that fit the first of these texts that any fits.
    #[expect(clippy::unused_async, reason = "the seam is for a client that waits")]
    pub(super) async fn find(
        &self,
        _texts: &[(Lookup, String)],
    ) -> Result<Vec<SaleOrder>, CallFailure> {
        Err(not_configured())
    }

    /// One sale order; `None` = CartonCloud does not know it.
    #[expect(clippy::unused_async, reason = "the seam is for a client that waits")]
    pub(super) async fn read(&self, _uuid: &str) -> Result<Option<Box<SaleOrder>>, CallFailure> {
        Err(not_configured())
    }

    /// Reads the sale order again, weighs it, checks it, creates it in Starshipit.
    #[expect(clippy::unused_async, reason = "the seam is for a client that waits")]
    pub(super) async fn create(&self, _creation: Creation) -> Result<RemoteOrder, CallFailure> {
        Err(not_configured())
    }

    /// It answers.
    #[expect(clippy::unused_async, reason = "the seam is for a client that waits")]
    pub(super) async fn probe(&self) -> bool {
        false
    }
}

fn not_configured() -> CallFailure {
    CallFailure::NotSent {
        detail: "no CartonCloud is configured".to_owned(),
    }
}
