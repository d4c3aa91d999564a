//! `printstation export`: the ledger for a spreadsheet or a program: what was printed, by whom, and
//! what was printed again and why.

use super::args::Export;
use super::client::{Client, encoded};
use super::{Failure, say};
use serde_json::Value;
use std::process::ExitCode;

/// Orders asked for at a time.
const PAGE: usize = 200;
/// The first line of the CSV.
const COLUMNS: &str =
    "order,account,state,carrier,tracking,labels,printed_at,printer,by,acts,reasons,updated";

pub(super) async fn run(args: Export, client: Client) -> Result<ExitCode, Failure> {
    let since = since(&args.since, jiff::Timestamp::now()).ok_or_else(|| {
        Failure::internal(
            "--since wants a date (2026-11-22), a time (2026-11-22T08:00:00Z) or a span (7d)",
        )
        .with_exit(super::USAGE)
    })?;
    if !args.json {
        say::line(COLUMNS);
    }
    let mut after: Option<String> = None;
    loop {
        let mut path = format!("/api/orders?limit={PAGE}");
        if let Some(after) = &after {
            path.push_str(&format!("&after={}", encoded(after)));
        }
        let answer = client.get(&path).await?.good()?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let mut last = None;
        for line in text.lines().filter(|line| !line.is_empty()) {
            let order: Value = serde_json::from_str(line).map_err(|cause| {
                Failure::cannot("the station's answer is no JSON".to_owned(), cause)
            })?;
            // Newest first: what follows is older still.
            if !changed_since(&order, since) {
                return Ok(ExitCode::SUCCESS);
            }
            if args.json {
                say::line(line);
            } else {
                say::line(&row(&order));
            }
            last = order["id"].as_str().map(str::to_owned);
        }
        // A page that brought nothing new ends it.
        if last.is_none() || last == after {
            return Ok(ExitCode::SUCCESS);
        }
        after = last;
    }
}

fn since(text: &str, now: jiff::Timestamp) -> Option<jiff::Timestamp> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time);
    }
    if let Some(span) = crate::domain::time::parse_duration(text) {
        let span = jiff::SignedDuration::try_from(span).ok()?;
        return now.checked_sub(span).ok();
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    // The day of the clock on the wall here.
    Some(
        date.to_zoned(jiff::tz::TimeZone::system())
            .ok()?
            .timestamp(),
    )
}

fn changed_since(order: &Value, since: jiff::Timestamp) -> bool {
    let updated = order["updated"]
        .as_str()
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    // An order without a time is shown rather than left out.
    updated.is_none_or(|updated| updated >= since)
}

fn row(order: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |name: &str| order[name].as_array().cloned().unwrap_or_default();
    let joined = |parts: Vec<String>| {
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join(" ")
    };
    let live: Vec<Value> = list("shipments")
        .into_iter()
        .filter(|s| s["superseded"] != true)
        .collect();
    let labels: Vec<Value> = list("pages")
        .into_iter()
        .filter(|page| page["role"] == "label" && page["state"] == "printed")
        .collect();
    let last = labels.last().cloned().unwrap_or_default();
    let tracking = live
        .iter()
        .flat_map(|s| s["tracking"].as_array().cloned().unwrap_or_default())
        .map(|number| text(&number))
        .collect();
    let acts = list("deeds")
        .iter()
        .map(|deed| text(&deed["what"]))
        .collect();
    let reasons = list("deeds")
        .iter()
        .map(|deed| text(&deed["reason"]))
        .collect();
    let cells = [
        text(&order["order"]),
        text(&order["account"]),
        text(&order["state"]),
        live.first()
            .map(|s| text(&s["carrier"]))
            .unwrap_or_default(),
        joined(tracking),
        labels.len().to_string(),
        text(&last["at"]),
        text(&last["printer"]),
        text(&last["by"]),
        joined(acts),
        joined(reasons),
        text(&order["updated"]),
    ];
    cells.map(|cell| quoted(&cell)).join(",")
}

/// A cell of RFC 4180. One that a spreadsheet would take for a formula becomes text.
fn quoted(cell: &str) -> String {
    let cell = match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{cell}"),
        _ => cell.to_owned(),
    };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_quoted_and_no_cell_is_a_formula() {
        for (cell, shown) in [
            ("WEB-1", "WEB-1"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
            ("-1+2", "'-1+2"),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), shown);
        }
    }

    #[test]
    fn a_time_a_date_and_a_span_are_understood_and_nothing_else() {
        let now: jiff::Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let is = |text: &str| since(text, now).map(|t| t.to_string());
        assert_eq!(
            is("2026-11-22T08:00:00Z").as_deref(),
            Some("2026-11-22T08:00:00Z")
        );
        assert_eq!(is("2h").as_deref(), Some("2026-11-22T08:00:00Z"));
        assert!(is("2026-11-22").is_some());
        assert_eq!(is("yesterday"), None);
    }

    #[test]
    fn a_row_tells_who_printed_what_and_why_again() {
        let order = json!({
            "order": "WEB-1", "account": "main", "state": "printed", "updated": "2026-11-22T08:00:00Z",
            "shipments": [
                { "tracking": ["OLD"], "superseded": true, "carrier": "Old" },
                { "tracking": ["T1", "T2"], "superseded": false, "carrier": "Example Post" },
            ],
            "pages": [{ "role": "label", "state": "printed", "at": "2026-11-22T07:00:00Z", "printer": "label", "by": "ann" }],
            "deeds": [{ "what": "reprint", "reason": "torn" }, { "what": "reprint", "reason": null }],
        });
        assert_eq!(
            row(&order),
            "WEB-1,main,printed,Example Post,T1 T2,1,2026-11-22T07:00:00Z,label,ann,reprint reprint,torn,2026-11-22T08:00:00Z"
        );
        assert_eq!(row(&order).split(',').count(), COLUMNS.split(',').count());
        assert_eq!(
            row(&json!({})).split(',').count(),
            COLUMNS.split(',').count()
        );
    }
}
