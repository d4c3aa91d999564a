//! `printstation scan`: one scan to the running station, its outcome to the terminal.

use super::Failure;
use super::args::Scan;
use super::client::Client;
use super::say::{self, Tone};
use crate::domain::{Code, Outcome, Proof, ScanReply, time::show_duration};
use serde_json::json;
use std::process::ExitCode;

/// Refused or a question (product.md section 5, contract 20).
const REFUSED: u8 = 1;
/// Full or cut off: the same scan may work later.
const TRY_LATER: u8 = 75;

pub(super) async fn run(args: Scan, client: Client) -> Result<ExitCode, Failure> {
    let path = if args.wait.is_zero() {
        "/api/scan".to_owned()
    } else {
        format!("/api/scan?wait={}", show_duration(args.wait))
    };
    let body = json!({ "code": args.code, "user": args.user });
    let answer = client.post(&path, &body, args.wait).await?;
    let document = answer.json()?;
    let Ok(reply) = serde_json::from_value::<ScanReply>(document.clone()) else {
        // No scan document: the request itself was turned away.
        answer.good()?;
        return Err(Failure::internal(
            "the station's answer is no scan document",
        ));
    };
    if args.json {
        say::document(&document)?;
    } else {
        show(&args.code, &reply);
    }
    Ok(exit_code(&reply))
}

/// How the outcome is told to scripts.
fn exit_code(reply: &ScanReply) -> ExitCode {
    let later = matches!(
        reply.code,
        Some(Code::QueueFull | Code::StarshipitUnreachable | Code::CartoncloudUnreachable)
    );
    match reply.outcome {
        Outcome::Printed | Outcome::Accepted | Outcome::Ignored | Outcome::Queued => {
            ExitCode::SUCCESS
        }
        Outcome::Question | Outcome::Refused if later => ExitCode::from(TRY_LATER),
        Outcome::Question | Outcome::Refused => ExitCode::from(REFUSED),
    }
}

/// One line for the outcome, one for the sentences, one for the way forward.
pub(super) fn show(scanned: &str, reply: &ScanReply) {
    let (mark, word, tone) = match reply.outcome {
        Outcome::Printed => ("✔", "printed", Tone::Good),
        Outcome::Accepted => ("✔", "accepted", Tone::Good),
        Outcome::Ignored => ("·", "same scan again, nothing more happens", Tone::Quiet),
        Outcome::Queued => ("◷", "queued", Tone::Look),
        Outcome::Question => ("?", "question", Tone::Look),
        Outcome::Refused => ("✖", "refused", Tone::Bad),
    };
    let order = say::plain(reply.order.as_deref().unwrap_or(scanned));
    let mut facts = vec![format!(
        "{} {}",
        say::tone(tone, &format!("{mark} {word}")),
        say::tone(Tone::Strong, &order)
    )];
    facts.extend(reply.code.map(|code| code.to_string()));
    if !reply.tracking.is_empty() {
        facts.push(say::plain(&reply.tracking.join(" ")));
    }
    facts.extend(reply.proof.map(|proof| proof_words(proof).to_owned()));
    facts.extend(stages(reply));
    say::line(&facts.join("  "));
    let is_done = reply.outcome == Outcome::Printed;
    if !reply.message.is_empty() && !is_done {
        say::line(&format!("  {}", say::plain(&reply.message)));
    }
    for candidate in &reply.candidates {
        say::line(&format!(
            "  {}  ({})",
            say::plain(&candidate.id),
            say::plain(&candidate.account)
        ));
    }
    if !reply.next.is_empty() && !is_done {
        say::line(&format!(
            "  {} {}",
            say::tone(Tone::Strong, "next:"),
            say::plain(&reply.next)
        ));
    }
}

fn proof_words(proof: Proof) -> &'static str {
    match proof {
        Proof::Sent => "sent (the printer does not answer back)",
        Proof::Accepted => "accepted by the printer",
        Proof::Confirmed => "confirmed by the printer",
        Proof::Person => "confirmed by a person",
    }
}

fn stages(reply: &ScanReply) -> Option<String> {
    let t = reply.timings_ms;
    let stages: Vec<(&str, u64)> = [
        ("find", t.resolve),
        ("check", t.recheck),
        ("buy", t.buy),
        ("render", t.render),
        ("print", t.print),
    ]
    .into_iter()
    .filter_map(|(name, ms)| Some((name, ms?)))
    .collect();
    let total: u64 = stages.iter().map(|(_, ms)| ms).sum();
    let parts: Vec<String> = stages
        .iter()
        .map(|(name, ms)| format!("{name} {ms}"))
        .collect();
    (!stages.is_empty())
        .then(|| say::tone(Tone::Quiet, &format!("{total} ms ({})", parts.join(", "))))
}
