//! Refusals and questions on paper, for a bench without a screen (`signal.ticket`).
//!
//! Only what scanners and buttons of this bench asked is told on paper: whoever asked over HTTP or on
//! the command line has the answer already.

use super::bench::{Bench, Event};
use super::hub::Hub;
use crate::config::model::Config;
use crate::domain::{Outcome, PrinterName, ScanReply};
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

/// Barcodes on one ticket.
const CODES: usize = 2;

/// Starts printing tickets, if the configuration wants them.
pub(super) fn start(config: &Config, bench: &Bench, hub: &Arc<Hub>) {
    if !config.signal.ticket {
        return;
    }
    let printer = PrinterName(config.signal.printer.clone());
    let prefix = config.scan.command_prefix.clone();
    let names = config.scanners.iter().map(|s| s.name.clone());
    let here: Vec<String> = names
        .chain(config.buttons.iter().map(|b| b.name.clone()))
        .collect();
    let (mut events, hub) = (bench.events(), Arc::clone(hub));
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(Event::Answer {
                    source,
                    scanned,
                    said,
                }) => {
                    let wanted = said.last
                        && here.contains(&source.trigger)
                        && matches!(said.reply.outcome, Outcome::Refused | Outcome::Question);
                    if wanted {
                        let (lines, codes) = words(&said.reply, &scanned, &prefix);
                        // The printer's own trouble is shown by the lights.
                        if let Err(code) = hub.paper().ticket(&printer, &lines, &codes).await {
                            tracing::warn!(printer = %printer, %code, "refusal not on paper");
                        }
                    }
                }
                Ok(_) => {}
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "refusals not on paper: too many at once");
                }
                Err(RecvError::Closed) => return,
            }
        }
    });
}

/// The code in big letters, the order, the sentences, the next step, and barcodes to go on with.
fn words(reply: &ScanReply, scanned: &str, prefix: &str) -> (Vec<String>, Vec<String>) {
    let title = reply.code.map_or("question", |code| code.as_str());
    let mut lines = vec![title.to_ascii_uppercase()];
    lines.push(reply.order.clone().unwrap_or_else(|| scanned.to_owned()));
    lines.push(String::new());
    lines.push(reply.message.clone());
    if !reply.next.is_empty() {
        lines.push(String::new());
        lines.push(format!("Next: {}", reply.next));
    }
    let codes = reply.next.split(" or ").map(str::trim);
    let codes =
        codes.filter(|code| !prefix.is_empty() && code.starts_with(prefix) && !code.ends_with('-'));
    (lines, codes.take(CODES).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Code;

    #[test]
    fn a_refusal_says_its_code_its_order_and_how_to_go_on() {
        let mut reply = ScanReply::coded(Outcome::Refused, Code::AlreadyPrinted, "PS7K4D.", None);
        reply.order = Some("WEB-1".into());
        let (lines, codes) = words(&reply, "web-1", "PS7K4D.");
        assert_eq!(lines[..2], ["ALREADY-PRINTED", "WEB-1"]);
        assert!(
            lines.iter().any(|l| l.starts_with("Next: PS7K4D.REPRINT")),
            "{lines:?}"
        );
        assert_eq!(codes, ["PS7K4D.REPRINT", "PS7K4D.NEXT-PARCEL"]);
    }

    #[test]
    fn what_no_scan_can_cure_has_no_barcode() {
        let reply = ScanReply::coded(Outcome::Refused, Code::OrderNotFound, "PS7K4D.", None);
        let (lines, codes) = words(&reply, "WEB-404", "PS7K4D.");
        assert_eq!(lines[1], "WEB-404");
        assert!(codes.is_empty(), "{codes:?}");
    }
}
