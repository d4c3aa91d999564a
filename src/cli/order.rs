//! `printstation order`: one order, its shipments and pages.

use super::Failure;
use super::args::Order;
use super::client::{Client, encoded};
use super::say::{self, Tone, member};
use serde_json::Value;
use std::process::ExitCode;

pub(super) async fn run(args: Order, client: Client) -> Result<ExitCode, Failure> {
    let path = format!("/api/orders/{}", encoded(&args.reference));
    let order = client.get(&path).await?.good()?.json()?;
    if args.json {
        say::document(&order)?;
    } else {
        show(&order);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(order: &Value) {
    say::line(&format!(
        "{}  {}  account {}  ({})",
        say::tone(Tone::Strong, &member(order, "order")),
        member(order, "state"),
        member(order, "account"),
        member(order, "id"),
    ));
    for shipment in order["shipments"].as_array().into_iter().flatten() {
        let numbers: Vec<String> = shipment["tracking"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|n| n.as_str().map(say::plain))
            .collect();
        let numbers = match numbers.is_empty() {
            true => "no tracking number yet".to_owned(),
            false => numbers.join(" "),
        };
        let superseded = if shipment["superseded"] == true {
            "  (replaced)"
        } else {
            ""
        };
        say::line(&format!(
            "  shipment  {}  {numbers}{superseded}",
            member(shipment, "carrier")
        ));
    }
    for page in order["pages"].as_array().into_iter().flatten() {
        let text = format!(
            "  page      {} of {}  {}  {}  {}  {}  {}",
            member(page, "n"),
            member(page, "of"),
            member(page, "printer"),
            member(page, "state"),
            member(page, "proof"),
            member(page, "at"),
            member(page, "by"),
        );
        say::line(text.trim_end());
    }
    for writeback in order["writebacks"].as_array().into_iter().flatten() {
        let detail = match member(writeback, "state").as_str() {
            "conflict" => format!("there stands {}", member(writeback, "theirs")),
            "done" => member(writeback, "where"),
            _ => member(writeback, "why"),
        };
        let text = format!(
            "  writeback {}  {}  {detail}",
            member(writeback, "sink"),
            member(writeback, "state"),
        );
        say::line(text.trim_end());
    }
}
