//! What a reply means for the caller: done, refused, asked to wait, or not known (contract 1).
//!
//! Invariant: `Refused` and `Throttled` are only said when nothing was done over there. Anything
//! that could be the answer to a call that was carried out is `Unknown`, and the caller looks.

use crate::domain::{CallFailure, Code};
use crate::starshipit::reason;
use crate::starshipit::wire::{Order, Reply};
use std::time::Duration;

/// A reply as it came off the wire.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    /// `Retry-After`, when it was there and could be read.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

/// A reply that is not a refusal.
#[derive(Debug)]
pub(crate) struct Good {
    pub(crate) reply: Reply,
    /// `success` was said, and was true.
    pub(crate) is_said: bool,
}

/// A failure, and whether a read may be repeated.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) failure: CallFailure,
    pub(crate) again: Again,
    /// The order in a reply that says `success:false` all the same.
    pub(crate) made: Option<Box<Order>>,
}

/// When the same read is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It would end the same way.
    Never,
    /// It may well work in a moment.
    Soon,
    /// As soon as the limiter lets it out: it knows of the pause.
    WhenLet,
}

impl Bad {
    pub(crate) fn new(failure: CallFailure, again: Again) -> Self {
        Self {
            failure,
            again,
            made: None,
        }
    }

    fn unknown(status: u16, what: &str) -> Self {
        let again = if status >= 500 || status == 408 {
            Again::Soon
        } else {
            Again::Never
        };
        let detail = format!("HTTP {status}: {what}");
        Self::new(CallFailure::Unknown { detail }, again)
    }
}

/// Reads and judges. `scrub` takes secrets out of text that the service echoes.
pub(crate) fn judge(raw: &Raw, scrub: &dyn Fn(&str) -> String) -> Result<Good, Bad> {
    let status = raw.status;
    let parsed = parse(&raw.body);
    if status == 429 {
        return Err(throttled(raw.retry_after, parsed.ok().as_ref()));
    }
    let reply = parsed.map_err(|what| Bad::unknown(status, &what))?;
    let gateway = reply.status_code.0;
    let carries = carries(&reply);
    match reply.success.0 {
        Some(true) => Ok(Good {
            reply,
            is_said: true,
        }),
        Some(false) if carries => {
            let text = reason::text_of(&reply.errors.0, reply.message.given());
            let what = format!(
                "success:false together with what the call makes: {}",
                scrub(&text)
            );
            let mut bad = Bad::unknown(status, &reason::bounded(&what));
            bad.made = reply.into_orders().into_iter().next().map(Box::new);
            Err(bad)
        }
        _ if gateway == Some(429) => Err(throttled(raw.retry_after, Some(&reply))),
        Some(false) => Err(refused(&reply, status, scrub)),
        None => {
            let denied = matches!(gateway, Some(401 | 403))
                || (matches!(status, 401 | 403)
                    && (reply.message.given().is_some() || !reply.errors.0.is_empty()));
            if denied {
                Err(refused(&reply, status, scrub))
            } else if (200..300).contains(&status) && gateway.is_none() {
                Ok(Good {
                    reply,
                    is_said: false,
                })
            } else {
                let text = reason::text_of(&reply.errors.0, reply.message.given());
                Err(Bad::unknown(status, &reason::bounded(&scrub(&text))))
            }
        }
    }
}

/// The reply holds what a call makes, whatever it says of success: orders are known to be made
/// and called a failure (1.5), so that such a call must count as possibly done.
fn carries(reply: &Reply) -> bool {
    let orders = || reply.order.0.iter().chain(&reply.orders.0);
    reply.tracking_numbers.0.iter().any(|t| t.given().is_some())
        || reply.labels.0.iter().any(|l| l.bytes.is_some())
        || orders().any(|o| o.0.as_ref().is_some_and(|o| o.order_id.0.is_some()))
}

fn refused(reply: &Reply, status: u16, scrub: &dyn Fn(&str) -> String) -> Bad {
    let text = reason::text_of(&reply.errors.0, reply.message.given());
    let is_gate = matches!(status, 401 | 403) || matches!(reply.status_code.0, Some(401 | 403));
    let code = match reason::code_for(&text) {
        // The gateway also says "out of quota" with 403.
        Code::QuotaExhausted => Code::QuotaExhausted,
        _ if is_gate => Code::StarshipitUnauthorized,
        code => code,
    };
    let detail = reason::bounded(&scrub(&text));
    Bad::new(CallFailure::Refused { code, detail }, Again::Never)
}

fn throttled(header: Option<Duration>, reply: Option<&Reply>) -> Bad {
    let said = reply.and_then(|r| seconds_in(r.message.given()?));
    let retry_after = header.or(said);
    Bad::new(CallFailure::Throttled { retry_after }, Again::WhenLet)
}

/// "… Try again in 7 seconds."
fn seconds_in(message: &str) -> Option<Duration> {
    let (before, _) = message.split_once(" second")?;
    let number = before.rsplit(' ').next()?;
    number
        .parse()
        .ok()
        .filter(|&s| s <= 3600)
        .map(Duration::from_secs)
}

/// The body as a reply: JSON whose top is an object. Says in a few words why not.
pub(crate) fn parse(body: &[u8]) -> Result<Reply, String> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let start = body.trim_ascii_start();
    match start.first() {
        None => return Err("empty body".to_owned()),
        Some(b'<') => return Err("HTML instead of JSON".to_owned()),
        Some(b'{') => {}
        Some(_) => return Err("not a JSON object".to_owned()),
    }
    match serde_json::from_slice(start) {
        Ok(reply) => Ok(reply),
        Err(first) => {
            // Text that was cut inside a character, or half a surrogate pair: .NET writes such
            // things, and one bad name must not cost the whole reply.
            let Some(mended) = mend(start) else {
                return Err(trouble(&first));
            };
            serde_json::from_slice(&mended).map_err(|e| trouble(&e))
        }
    }
}

/// Position and kind, never the content: it is personal data.
fn trouble(e: &serde_json::Error) -> String {
    let kind = match e.classify() {
        serde_json::error::Category::Eof => "JSON ends early",
        serde_json::error::Category::Syntax => "not JSON",
        _ => "JSON of another shape",
    };
    format!("{kind} (line {}, column {})", e.line(), e.column())
}

/// Replaces what is not UTF-8 and lone surrogates by U+FFFD. `None` when there is nothing to mend.
fn mend(body: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(body);
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut changed = matches!(text, std::borrow::Cow::Owned(_));
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let end = match surrogate(bytes, at) {
            None => at + 2,
            Some(High) if surrogate(bytes, at + 6) == Some(Low) => at + 12,
            Some(_) => {
                out.extend_from_slice(b"\\ufffd");
                changed = true;
                at += 6;
                continue;
            }
        };
        let end = end.min(bytes.len());
        out.extend_from_slice(&bytes[at..end]);
        at = end;
    }
    changed.then_some(out)
}

#[derive(PartialEq)]
enum Surrogate {
    High,
    Low,
}
use Surrogate::{High, Low};

/// Which half of a pair the escape at `at` is, if it is one.
fn surrogate(bytes: &[u8], at: usize) -> Option<Surrogate> {
    match bytes.get(at..at + 6)? {
        [b'\\', b'u', b'd' | b'D', half, third, fourth]
            if third.is_ascii_hexdigit() && fourth.is_ascii_hexdigit() =>
        {
            match half.to_ascii_lowercase() {
                b'8' | b'9' | b'a' | b'b' => Some(High),
                b'c'..=b'f' => Some(Low),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "reply_tests.rs"]
mod tests;
