//! `order_document`: the label itself, attached to the sale order with its number in the name.
//!
//! Attaching is not idempotent, so the list of names is read first, every time: what is there was
//! attached by an earlier attempt, also by one whose reply was lost.

use super::{DONE, SYSTEM, after, current, unsupported};
use crate::cartoncloud::CartonCloud;
use crate::cartoncloud::send::Fault;
use crate::domain::writeback::Dispatch;
use crate::domain::{CallFailure, Delivery};
use crate::outbox::{Delivering, Documents, Sink};
use base64::Engine as _;
use std::sync::Arc;
use std::time::Duration;

/// An attachment whose reply was lost may still be on its way into the list.
const SETTLE: Duration = Duration::from_secs(30);
/// Longest part of a name that comes from outside.
const MAX_PART: usize = 60;

/// The sink.
pub struct OrderDocumentSink {
    client: CartonCloud,
    documents: Arc<dyn Documents>,
}

impl OrderDocumentSink {
    /// Reads the label files from `documents`.
    pub fn new(client: CartonCloud, documents: Arc<dyn Documents>) -> Self {
        Self { client, documents }
    }

    async fn attempt(&self, dispatch: &Dispatch) -> Result<Delivery, Delivery> {
        if dispatch.documents.is_empty() {
            return Err(unsupported("the shipment has no label document"));
        }
        let order = current(&self.client, dispatch).await?;
        let names = self.client.document_names(&order.uuid).await;
        let Some(there) = names.map_err(after)? else {
            return Err(unsupported("the sale order is gone from CartonCloud"));
        };
        let stems = stems(dispatch);
        for (stem, document) in stems.iter().zip(&dispatch.documents) {
            let has = |name: &String| {
                name.rsplit_once('.')
                    .is_some_and(|(own, _)| own.eq_ignore_ascii_case(stem))
            };
            if there.iter().any(has) {
                continue;
            }
            let Some(bytes) = self.documents.read(&document.id).await else {
                return Err(unsupported("the label file is not at hand any more"));
            };
            let Some(extension) = extension(&bytes) else {
                return Err(unsupported(
                    "the label is in a form that nobody can open there",
                ));
            };
            self.attach(&order.uuid, &format!("{stem}.{extension}"), &bytes)
                .await?;
        }
        Ok(DONE)
    }

    async fn attach(&self, uuid: &str, name: &str, bytes: &[u8]) -> Result<(), Delivery> {
        let coded = base64::engine::general_purpose::STANDARD.encode(bytes);
        match self.client.attach(uuid, name, &coded).await {
            Ok(reply) if reply.is_done() => Ok(()),
            Ok(reply) => Err(after(reply.refused(&self.client))),
            Err(Fault::Call(CallFailure::Unknown { detail })) => Err(Delivery::Retry {
                after: Some(SETTLE),
                why: detail,
                unreachable: false,
            }),
            Err(fault) => Err(after(fault)),
        }
    }
}

impl Sink for OrderDocumentSink {
    fn name(&self) -> &str {
        "order_document"
    }

    fn system(&self) -> &str {
        SYSTEM
    }

    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> Delivering<'a> {
        Box::pin(async move {
            match self.attempt(dispatch).await {
                Ok(delivery) | Err(delivery) => delivery,
            }
        })
    }
}

/// A name for each document, without extension: `Label-{carrier}-{tracking}`. The same documents
/// and numbers always give the same names.
fn stems(dispatch: &Dispatch) -> Vec<String> {
    let carrier = part(&dispatch.carrier);
    let carrier = if carrier.is_empty() {
        "Courier".to_owned()
    } else {
        carrier
    };
    let (numbers, count) = (&dispatch.job.tracking, dispatch.documents.len());
    let all: Vec<String> = numbers.iter().map(|n| part(n)).collect();
    (0..count)
        .map(|index| {
            if all.len() == count {
                return format!("Label-{carrier}-{}", all[index]);
            }
            let joined = all.join("_");
            let numbers: String = joined.chars().take(MAX_PART).collect();
            if count == 1 {
                format!("Label-{carrier}-{numbers}")
            } else {
                format!("Label-{carrier}-{numbers}-{}of{count}", index + 1)
            }
        })
        .collect()
}

/// Letters, digits, dashes and underscores; a name goes through file systems and web pages.
fn part(text: &str) -> String {
    let mut part = String::new();
    for c in text.trim().chars().take(MAX_PART) {
        let c = if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        };
        if c != '-' || !part.ends_with('-') {
            part.push(c);
        }
    }
    part.trim_matches('-').to_owned()
}

/// By what the bytes are, not by what they are called.
fn extension(bytes: &[u8]) -> Option<&'static str> {
    let start = bytes.trim_ascii_start();
    if start.starts_with(b"%PDF") {
        Some("pdf")
    } else if bytes.starts_with(b"\x89PNG") {
        Some("png")
    } else if start.starts_with(b"^XA") || start.starts_with(b"CT~~") {
        Some("zpl")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless_and_what_is_no_document_has_no_extension() {
        assert_eq!(part("../../etc/pass wd\u{0}"), "etc-pass-wd");
        assert_eq!(part("Australia Post (eParcel)"), "Australia-Post-eParcel");
        assert_eq!(extension(b"<html>"), None);
        assert_eq!(extension(b""), None);
        assert_eq!(extension(b"\r\n%PDF-1.4"), Some("pdf"));
        assert_eq!(extension(b"^XA^XZ"), Some("zpl"));
    }
}
