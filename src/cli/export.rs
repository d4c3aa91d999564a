//! `printstation export`: the ledger for a spreadsheet or a program: what was printed, by whom, and
//! what was printed again and why. `--report` counts them by customer, person and reason.

use super::args::Export;
use super::client::{Client, encoded};
use super::report::{By, Report};
use super::{Failure, say};
use serde_json::Value;
use std::process::ExitCode;

/// Orders asked for at a time.
const PAGE: usize = 200;

/// A column: its name, and what of an order stands in it.
type Column = (&'static str, fn(&Value) -> String);

/// Every column, as the CSV has them when nobody chooses.
const COLUMNS: [Column; 15] = [
    ("order", |o| text(&o["order"])),
    ("account", |o| text(&o["account"])),
    ("customer", |o| text(&o["customer"])),
    ("state", |o| text(&o["state"])),
    ("carrier", |o| {
        live(o)
            .next()
            .map(|s| text(&s["carrier"]))
            .unwrap_or_default()
    }),
    ("tracking", |o| {
        joined(live(o).flat_map(|s| list(s, "tracking")).map(text))
    }),
    ("labels", |o| labels(o).count().to_string()),
    ("printed_at", |o| last_label(o, "at")),
    ("printer", |o| last_label(o, "printer")),
    ("by", |o| last_label(o, "by")),
    ("reprints", |o| deeds(o, "reprint").count().to_string()),
    ("redos", |o| deeds(o, "redo").count().to_string()),
    ("acts", |o| {
        joined(list(o, "deeds").map(|d| text(&d["what"])))
    }),
    ("reasons", |o| {
        joined(list(o, "deeds").map(|d| text(&d["reason"])))
    }),
    ("updated", |o| text(&o["updated"])),
];

pub(super) async fn run(args: Export, client: Client) -> Result<ExitCode, Failure> {
    let usage = |text: String| Failure::internal(text).with_exit(super::USAGE);
    let since = since(&args.since, jiff::Timestamp::now()).ok_or_else(|| {
        usage(
            "--since wants a date (2026-11-22), a time (2026-11-22T08:00:00Z) or a span (7d)"
                .to_owned(),
        )
    })?;
    let columns = chosen(&args.columns).map_err(usage)?;
    let by = args.report.iter().map(|word| By::parse(word));
    let by: Vec<By> = by.collect::<Result<_, _>>().map_err(usage)?;
    let mut report = (!by.is_empty()).then(|| Report::new(by));
    if report.is_none() && !args.json {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        say::line(&names.join(","));
    }
    let mut after: Option<String> = None;
    'pages: loop {
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
                break 'pages;
            }
            match &mut report {
                Some(report) => report.count(&order, since),
                None if args.json => say::line(line),
                None => say::line(&row(&columns, &order)),
            }
            last = order["id"].as_str().map(str::to_owned);
        }
        // A page that brought nothing new ends it.
        if last.is_none() || last == after {
            break;
        }
        after = last;
    }
    if let Some(report) = report {
        let lines = if args.json {
            report.documents()
        } else {
            report.rows()
        };
        lines.iter().for_each(|line| say::line(line));
    }
    Ok(ExitCode::SUCCESS)
}

/// The columns of these names; all when none is named.
fn chosen(names: &[String]) -> Result<Vec<Column>, String> {
    if names.is_empty() {
        return Ok(COLUMNS.to_vec());
    }
    names
        .iter()
        .map(|wanted| {
            let found = COLUMNS.iter().find(|(name, _)| name == wanted);
            found.copied().ok_or_else(|| {
                let all = COLUMNS.map(|(name, _)| name).join(", ");
                format!("there is no column \"{wanted}\"; there are: {all}")
            })
        })
        .collect()
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

fn row(columns: &[Column], order: &Value) -> String {
    let cells: Vec<String> = columns
        .iter()
        .map(|(_, cell)| quoted(&cell(order)))
        .collect();
    cells.join(",")
}

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub(super) fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    of[name]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
}

/// Shipments that count.
fn live(order: &Value) -> impl Iterator<Item = &Value> {
    list(order, "shipments").filter(|s| s["superseded"] != true)
}

/// Label pages that are out.
pub(super) fn labels(order: &Value) -> impl Iterator<Item = &Value> {
    list(order, "pages").filter(|page| page["role"] == "label" && page["state"] == "printed")
}

fn last_label(order: &Value, member: &str) -> String {
    labels(order)
        .last()
        .map(|page| text(&page[member]))
        .unwrap_or_default()
}

/// What people did of one kind.
pub(super) fn deeds<'a>(
    order: &'a Value,
    what: &'static str,
) -> impl Iterator<Item = &'a Value> + use<'a> {
    list(order, "deeds").filter(move |deed| deed["what"] == what)
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    parts.join(" ")
}

/// A cell of RFC 4180. One that a spreadsheet would take for a formula becomes text.
pub(super) fn quoted(cell: &str) -> String {
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
            "order": "WEB-1", "account": "main", "customer": "TEA", "state": "printed", "updated": "2026-11-22T08:00:00Z",
            "shipments": [
                { "tracking": ["OLD"], "superseded": true, "carrier": "Old" },
                { "tracking": ["T1", "T2"], "superseded": false, "carrier": "Example Post" },
            ],
            "pages": [{ "role": "label", "state": "printed", "at": "2026-11-22T07:00:00Z", "printer": "label", "by": "ann" }],
            "deeds": [{ "what": "reprint", "reason": "torn" }, { "what": "reprint", "reason": null }],
        });
        let all = chosen(&[]).unwrap();
        assert_eq!(
            row(&all, &order),
            "WEB-1,main,TEA,printed,Example Post,T1 T2,1,2026-11-22T07:00:00Z,label,ann,2,0,reprint reprint,torn,2026-11-22T08:00:00Z"
        );
        assert_eq!(row(&all, &json!({})).split(',').count(), COLUMNS.len());
        let some = chosen(&["by".to_owned(), "order".to_owned()]).unwrap();
        assert_eq!(row(&some, &order), "ann,WEB-1");
        assert!(
            chosen(&["ordre".to_owned()])
                .unwrap_err()
                .contains("order, account")
        );
    }
}
