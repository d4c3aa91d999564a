//! `printstation writebacks`: the outbox as a list, and what a person decides about one of them.

use super::Failure;
use super::args::{Keep, Writebacks, WritebacksVerb};
use super::client::{Client, encoded};
use super::say::{self, Tone, member};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

pub(super) async fn run(args: Writebacks, client: Client) -> Result<ExitCode, Failure> {
    let (id, act, body) = match args.verb {
        None => return list(args.json, args.state.as_deref(), &client).await,
        Some(WritebacksVerb::Retry { id }) => (id, "retry", json!({})),
        Some(WritebacksVerb::Resolve { id, keep }) => {
            let keep = match keep {
                Keep::Ours => "ours",
                Keep::Theirs => "theirs",
            };
            (id, "resolve", json!({ "keep": keep }))
        }
    };
    let path = format!("/api/writebacks/{}/{act}", encoded(&id));
    let answer = client.post(&path, &body, Duration::ZERO).await?;
    let writeback = answer.good()?.json()?;
    if args.json {
        say::document(&writeback)?;
    } else {
        let line = row(&writeback).join("  ");
        say::line(line.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(json: bool, state: Option<&str>, client: &Client) -> Result<ExitCode, Failure> {
    let mut path = "/api/writebacks".to_owned();
    if let Some(state) = state {
        path.push_str("?state=");
        path.push_str(&encoded(state));
    }
    let answer = client.get(&path).await?.good()?;
    let text = String::from_utf8_lossy(&answer.body);
    let lines = text.lines().filter(|line| !line.is_empty());
    if json {
        lines.for_each(say::line);
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .map(|writeback| row(&writeback))
        .collect();
    if rows.is_empty() {
        say::line(&say::tone(Tone::Quiet, "no writebacks"));
        return Ok(ExitCode::SUCCESS);
    }
    let head = [
        "ORDER", "SINK", "TRACKING", "STATE", "TRIES", "AGE", "WHERE", "ID",
    ];
    say::table(&head, &rows);
    Ok(ExitCode::SUCCESS)
}

fn row(writeback: &Value) -> Vec<String> {
    let tracking: Vec<String> = writeback["tracking"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|n| n.as_str().map(say::plain))
        .collect();
    let place = match member(writeback, "state").as_str() {
        "conflict" => format!("there stands {}", member(writeback, "theirs")),
        "done" => member(writeback, "where"),
        _ => member(writeback, "why"),
    };
    vec![
        member(writeback, "order"),
        member(writeback, "sink"),
        tracking.join(","),
        member(writeback, "state"),
        member(writeback, "attempts"),
        age(writeback["age_s"].as_u64().unwrap_or(0)),
        place,
        member(writeback, "id"),
    ]
}

fn age(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_shows_both_numbers_and_a_delivered_one_its_place() {
        let mut writeback = json!({
            "id": "cc:u#1", "order": "WEB-1", "sink": "consignment", "tracking": ["T1", "T2"],
            "state": "conflict", "attempts": 3, "age_s": 7300, "theirs": "X\u{1b}9",
            "why": null, "where": null
        });
        assert_eq!(
            row(&writeback),
            [
                "WEB-1",
                "consignment",
                "T1,T2",
                "conflict",
                "3",
                "2 h",
                "there stands X\u{fffd}9",
                "cc:u#1"
            ]
        );
        writeback["state"] = "done".into();
        writeback["where"] = "attached only".into();
        assert_eq!(row(&writeback)[6], "attached only");
    }
}
