//! `printstation status`: what is going on, once or as it happens.

use super::args::Status;
use super::client::{Client, NO_STATION};
use super::say::{self, Tone, member};
use super::{Failure, scan};
use crate::domain::ScanReply;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// The station sends a sign of life every 15 s.
const SILENCE: Duration = Duration::from_secs(40);
/// Longest event.
const MAX_EVENT: usize = 1 << 20;

pub(super) async fn run(args: Status, client: Client) -> Result<ExitCode, Failure> {
    if args.watch {
        return watch(args.json, client).await;
    }
    let status = client.get("/api/status").await?.good()?.json()?;
    if args.json {
        say::document(&status)?;
    } else {
        show(&status);
    }
    Ok(ExitCode::SUCCESS)
}

async fn watch(json: bool, client: Client) -> Result<ExitCode, Failure> {
    let mut body = client.follow().await?;
    let gone = || Failure::internal("the station has stopped").with_exit(NO_STATION);
    let mut text = Vec::new();
    loop {
        let frame = tokio::time::timeout(SILENCE, body.frame())
            .await
            .map_err(|_| gone())?
            .ok_or_else(gone)?
            .map_err(|cause| {
                Failure::cannot("the station has stopped".to_owned(), cause).with_exit(NO_STATION)
            })?;
        let Ok(bytes) = frame.into_data() else {
            continue;
        };
        text.extend_from_slice(&bytes);
        if text.len() > MAX_EVENT {
            return Err(Failure::internal("the station sends endless events"));
        }
        while let Some(end) = text.windows(2).position(|w| w == b"\n\n") {
            let event: Vec<u8> = text.drain(..end + 2).collect();
            if let Some((kind, data)) = read_event(&String::from_utf8_lossy(&event)) {
                tell(json, &kind, &data)?;
            }
        }
    }
}

/// Name and document of an event; none for comments and for what is not understood.
fn read_event(text: &str) -> Option<(String, Value)> {
    let field = |name: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(name))
            .map(str::trim)
    };
    let data = serde_json::from_str(field("data:")?).ok()?;
    Some((field("event:").unwrap_or("message").to_owned(), data))
}

fn tell(json: bool, kind: &str, data: &Value) -> Result<(), Failure> {
    if json {
        return say::document(&json!({ "event": kind, "data": data }));
    }
    match kind {
        "status" => {
            if say::is_screen() {
                // Home, and clear what was there.
                say::line("\u{1b}[H\u{1b}[2J");
            }
            show(data);
        }
        "scan" => {
            if let Ok(reply) = serde_json::from_value::<ScanReply>(data.clone()) {
                scan::show(&member(data, "scanned"), &reply);
            }
        }
        "order" => say::line(&say::tone(
            Tone::Quiet,
            &format!("· {} {}", member(data, "order"), member(data, "state")),
        )),
        _ => {}
    }
    Ok(())
}

fn show(status: &Value) {
    let state = member(status, "state");
    let tone = match state.as_str() {
        "ready" | "working" => Tone::Good,
        "fault" => Tone::Bad,
        _ => Tone::Look,
    };
    let row = |name: &str, text: &str| say::line(&format!("{:<11} {text}", name));
    row(
        &member(status, "station"),
        &format!(
            "{}  v{}",
            say::tone(tone, &state),
            member(status, "version")
        ),
    );
    let online: Vec<String> = ["starshipit", "cartoncloud"]
        .into_iter()
        .filter_map(|name| match &status["online"][name] {
            Value::Bool(true) => Some(format!("{name} online")),
            Value::Bool(false) => Some(say::tone(Tone::Look, &format!("{name} offline"))),
            _ => None,
        })
        .collect();
    row("network", &online.join(", "));
    for printer in status["printers"].as_array().into_iter().flatten() {
        let code = member(printer, "code");
        let state = match code.as_str() {
            "" => say::tone(Tone::Good, &member(printer, "state")),
            code => say::tone(Tone::Look, code),
        };
        let detail = member(printer, "detail");
        row(
            "printer",
            format!("{}  {state}  {detail}", member(printer, "name")).trim_end(),
        );
        for warning in printer["warnings"].as_array().into_iter().flatten() {
            if let Some(warning) = warning.as_str().filter(|warning| *warning != detail) {
                row("", &say::tone(Tone::Look, warning));
            }
        }
        if let Some(run) = wear(&printer["wear"]) {
            row("", &say::tone(Tone::Quiet, &run));
        }
    }
    if status["scale"].is_object() {
        row("scale", &scale(&status["scale"]));
    }
    for scanner in status["scanners"].as_array().into_iter().flatten() {
        row("scanner", &device(scanner));
    }
    for button in status["buttons"].as_array().into_iter().flatten() {
        row("button", &device(button));
    }
    for light in status["lights"].as_array().into_iter().flatten() {
        if light["state"] != "ready" {
            row("light", &device(light));
        }
    }
    let count = |name: &str| status[name].as_u64().unwrap_or(0);
    row(
        "work",
        &format!(
            "{} waiting, {} queued, {} held",
            count("waiting"),
            count("queued"),
            count("held")
        ),
    );
    show_ahead(status);
    let in_doubt: Vec<String> = status["in_doubt"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|r| r.as_str().map(say::plain))
        .collect();
    if !in_doubt.is_empty() {
        row("in doubt", &say::tone(Tone::Look, &in_doubt.join(", ")));
    }
    let question = &status["question"];
    if !question.is_null() {
        let text = format!(
            "{}: {}; next: {}",
            member(question, "order"),
            member(question, "code"),
            member(question, "next")
        );
        row("question", &say::tone(Tone::Look, &text));
    }
    let open = status["writebacks"]["pending"].as_u64().unwrap_or(0);
    if open > 0 {
        let oldest = member(&status["writebacks"], "oldest_s");
        row(
            "writebacks",
            &format!("{open} open, the oldest since {oldest} s"),
        );
    }
    let conflicts = status["writebacks"]["conflicts"].as_u64().unwrap_or(0);
    if conflicts > 0 {
        let text = format!("{conflicts} meet another number; see `printstation writebacks`");
        row("writebacks", &say::tone(Tone::Look, &text));
    }
    let bytes = status["ledger"]["bytes"].as_u64().unwrap_or(0);
    row(
        "ledger",
        &format!(
            "{} orders, {} KiB",
            member(&status["ledger"], "orders"),
            bytes / 1024
        ),
    );
    for trouble in status["health"].as_array().into_iter().flatten() {
        let text = format!("{}: {}", member(trouble, "code"), member(trouble, "detail"));
        row("look", &say::tone(Tone::Bad, &text));
    }
}

/// Labels bought ahead: today's count, and what lies here unused.
fn show_ahead(status: &Value) {
    let row = |name: &str, text: &str| say::line(&format!("{name:<11} {text}"));
    let count = |of: &Value, name: &str| of[name].as_u64().unwrap_or(0);
    let ahead = &status["prefetch"];
    if count(ahead, "today") > 0 || count(ahead, "daily_cap") > 0 {
        let mut text = format!(
            "{} of {} bought today, {} to come",
            count(ahead, "today"),
            count(ahead, "daily_cap"),
            count(ahead, "waiting")
        );
        if !ahead["code"].is_null() {
            text = say::tone(Tone::Look, &format!("{text}: {}", member(ahead, "code")));
        }
        row("ahead", &text);
    }
    let unused = &status["unused"];
    if count(unused, "labels") > 0 {
        let unpriced = match count(unused, "unpriced") {
            0 => String::new(),
            n => format!(" and {n} without a price yet"),
        };
        row(
            "unused",
            &format!(
                "{} labels, {}{unpriced}",
                count(unused, "labels"),
                money(count(unused, "cents"))
            ),
        );
    }
    for label in unused["list"].as_array().into_iter().flatten() {
        let price = label["price_cents"]
            .as_u64()
            .map_or_else(|| "?".to_owned(), money);
        let minutes = count(label, "age_s") / 60;
        let text = format!(
            "{}  {}  {price}  {} h {:02} min  {}",
            member(label, "order"),
            member(label, "courier"),
            minutes / 60,
            minutes % 60,
            member(label, "code")
        );
        row("", text.trim_end());
    }
    for (name, of) in [
        ("held", "scan to label, lay ready"),
        ("live", "scan to label, bought then"),
    ] {
        let pace = &status["latency_ms"][name];
        if count(pace, "n") > 0 {
            row(
                "pace",
                &format!(
                    "{of}: {} ms, 95 % within {} ms ({} labels)",
                    count(pace, "p50"),
                    count(pace, "p95"),
                    count(pace, "n")
                ),
            );
        }
    }
}

/// Cents as an amount.
fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// How far a printer has run, where it tells.
fn wear(wear: &Value) -> Option<String> {
    let parts: Vec<String> = [
        ("total_m", "in all"),
        ("head_m", "with this head"),
        ("since_cleaned_m", "since its head was cleaned"),
        ("roll_m", "on this roll"),
    ]
    .iter()
    .filter_map(|(name, words)| Some(format!("{} m {words}", wear[*name].as_u64()?)))
    .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn scale(scale: &Value) -> String {
    let weight = match scale["kg"].as_f64() {
        Some(kg) => format!("{kg} kg"),
        None => String::new(),
    };
    let detail = member(scale, "detail");
    let state = member(scale, "state");
    let shown = match state.as_str() {
        "reading" => say::tone(Tone::Good, &state),
        _ => say::tone(Tone::Look, &state),
    };
    format!("{}  {shown}  {weight}{detail}", member(scale, "connection"))
}

/// A device: its name, how it is, and why it is not as it should be.
fn device(device: &Value) -> String {
    let state = member(device, "state");
    let tone = match state.as_str() {
        "reading" | "ready" => Tone::Good,
        _ => Tone::Look,
    };
    let shown = say::tone(tone, &state);
    let detail = member(device, "detail");
    format!("{}  {shown}  {detail}", member(device, "name"))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_nonsense_are_no_events() {
        assert!(read_event(": here\n\n").is_none());
        assert!(read_event("event: scan\ndata: {\n\n").is_none());
        let (kind, data) = read_event("event: scan\ndata: {\"order\":\"WEB-1\"}\n\n").unwrap();
        assert_eq!(
            (kind.as_str(), member(&data, "order").as_str()),
            ("scan", "WEB-1")
        );
    }
}
