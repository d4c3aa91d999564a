//! `printstation orders`: the ledger as a list.

use super::Failure;
use super::args::Orders;
use super::client::{Client, encoded};
use super::say::{self, member};
use serde_json::Value;
use std::process::ExitCode;

pub(super) async fn run(args: Orders, client: Client) -> Result<ExitCode, Failure> {
    let mut path = format!("/api/orders?limit={}", args.limit);
    for (name, value) in [("q", &args.query), ("state", &args.state)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let answer = client.get(&path).await?.good()?;
    let text = String::from_utf8_lossy(&answer.body);
    let mut rows = Vec::new();
    for line in text.lines() {
        if args.json {
            say::line(line);
            continue;
        }
        let order: Value = serde_json::from_str(line).map_err(|cause| {
            Failure::cannot("the station's answer is no JSON".to_owned(), cause)
        })?;
        rows.push(vec![
            member(&order, "order"),
            member(&order, "state"),
            tracking(&order),
            member(&order, "account"),
            member(&order, "updated"),
        ]);
    }
    if args.json {
        return Ok(ExitCode::SUCCESS);
    }
    if rows.is_empty() {
        say::line("no orders");
    } else {
        say::table(&["ORDER", "STATE", "TRACKING", "ACCOUNT", "UPDATED"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Tracking numbers of shipments that count.
fn tracking(order: &Value) -> String {
    let shipments = order["shipments"].as_array().into_iter().flatten();
    let live = shipments.filter(|s| s["superseded"] != true);
    let numbers: Vec<String> = live
        .flat_map(|s| s["tracking"].as_array().into_iter().flatten())
        .filter_map(|n| n.as_str().map(say::plain))
        .collect();
    numbers.join(" ")
}
