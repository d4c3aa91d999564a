//! What becomes of a call: faults before it, and faults of its reply.

use crate::sim::site;
use crate::sim::starshipit::api::{Answer, Reply};
use crate::sim::starshipit::faults::{FaultKind, Hits};
use crate::sim::starshipit::switches::Switches;
use serde_json::{Map, Value, json};

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Fate {
    Reply(Reply),
    HalfReply(Reply),
    Reset,
    Close,
    Never,
}

impl Fate {
    pub(super) fn word(&self) -> String {
        match self {
            Self::Reply(reply) => reply.status.to_string(),
            Self::HalfReply(_) => "cut".into(),
            Self::Reset => "reset".into(),
            Self::Close => "closed".into(),
            Self::Never => "never".into(),
        }
    }
}

impl From<Fate> for site::Fate {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Reply(reply) => Self::Reply(reply.into()),
            Fate::HalfReply(reply) => Self::HalfReply(reply.into()),
            Fate::Reset => Self::Reset,
            Fate::Close => Self::Close,
            Fate::Never => Self::Never,
        }
    }
}

impl From<Reply> for site::Reply {
    fn from(reply: Reply) -> Self {
        let plain = Self::bytes(reply.status, reply.content_type, reply.body);
        if reply.retry_after {
            plain.with("retry-after", "1")
        } else {
            plain
        }
    }
}

/// Faults that leave nothing done.
pub(super) fn before(hits: &Hits) -> Option<Fate> {
    if hits.has(FaultKind::BlackHole) {
        return Some(Fate::Never);
    }
    if hits.has(FaultKind::Reset) {
        return Some(Fate::Reset);
    }
    if hits.has(FaultKind::DropBeforeCommit) {
        return Some(Fate::Close);
    }
    if hits.has(FaultKind::Rate429) || hits.has(FaultKind::Rate429RetryAfter) {
        return Some(Fate::Reply(too_many(
            hits.has(FaultKind::Rate429RetryAfter),
        )));
    }
    hits.has(FaultKind::Html500)
        .then(|| Fate::Reply(Reply::html_500()))
}

/// Faults of the reply: whatever was asked for has been done.
pub(super) fn after(hits: &Hits, answer: Answer, switches: Switches) -> Fate {
    if hits.has(FaultKind::BlackHoleAfterCommit) {
        return Fate::Never;
    }
    if hits.has(FaultKind::DropAfterCommit) {
        return Fate::Reset;
    }
    if hits.has(FaultKind::Html500AfterCommit) {
        return Fate::Reply(Reply::html_500());
    }
    let answer = answer.map(|mut members| {
        spoil(hits, &mut members);
        members
    });
    let mut reply = Reply::of(answer, switches.failure);
    if hits.has(FaultKind::GarbageJson) {
        reply.body = b"{\"success\": true, \"order\": {]\xff\xfe <!-- ".to_vec();
    }
    if hits.has(FaultKind::DropMidReply) {
        return Fate::HalfReply(reply);
    }
    Fate::Reply(reply)
}

fn spoil(hits: &Hits, members: &mut Map<String, Value>) {
    if hits.has(FaultKind::EmptyLabels) {
        members.insert("labels".into(), json!([]));
        members.insert("label_types".into(), json!([]));
    }
    if hits.has(FaultKind::TruncatedBase64)
        && let Some(labels) = members.get_mut("labels").and_then(Value::as_array_mut)
    {
        for label in labels {
            if let Some(text) = label.as_str() {
                // One more than a multiple of four: no decoder takes it for whole.
                let cut = (text.len() / 2) / 4 * 4 + 1;
                *label = json!(text[..cut.min(text.len())]);
            }
        }
    }
    if hits.has(FaultKind::WrongTypes) {
        wrong_types(members);
    }
}

/// Gives members of a reply another type each, all but `success`.
fn wrong_types(members: &mut Map<String, Value>) {
    for (key, value) in members.iter_mut() {
        if key == "success" {
            continue;
        }
        *value = match value {
            Value::Object(_) | Value::Null => json!("not an object"),
            Value::Array(_) => json!({"0": {"value": 7}}),
            Value::String(_) => json!([[1, 2]]),
            Value::Number(_) => json!({"id": "seven"}),
            Value::Bool(_) => json!("perhaps"),
        };
    }
}

pub(super) fn too_many(retry_after: bool) -> Reply {
    Reply {
        retry_after,
        ..Reply::gateway(429, "Rate limit is exceeded. Try again in 1 seconds.")
    }
}
