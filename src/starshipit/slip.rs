//! Packing slips: paper that goes into the parcel. The call makes a PDF and changes nothing.

use crate::domain::remote::PACKING_SLIP;
use crate::domain::{AccountName, CallFailure, DocumentId, DocumentMeta};
use crate::starshipit::send::MAX_LABELS;
use crate::starshipit::{Priority, Starshipit, mapping};
use serde_json::json;
use sha2::{Digest as _, Sha256};

impl Starshipit {
    /// The packing slip of an order, as a document and its bytes. May be asked again at any time.
    ///
    /// # Errors
    /// As [`CallFailure`]; an answer without a document is `Unknown`.
    pub async fn packing_slip(
        &self,
        account: &AccountName,
        order_id: i64,
        priority: Priority,
    ) -> Result<(DocumentMeta, Vec<u8>), CallFailure> {
        let body = json!({ "order_ids": [order_id] });
        let good = self
            .write(
                account,
                "/api/orders/packingslips",
                &body,
                MAX_LABELS,
                priority,
            )
            .await?;
        let Some(bytes) = good.reply.pdf.bytes else {
            return Err(CallFailure::Unknown {
                detail: format!("the packing slip of order {order_id} was answered without it"),
            });
        };
        let meta = DocumentMeta {
            id: DocumentId(mapping::hex(&Sha256::digest(&bytes))),
            // Replies are bounded far below 4 GiB.
            len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            label_type: PACKING_SLIP.to_owned(),
        };
        Ok((meta, bytes))
    }
}
