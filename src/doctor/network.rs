//! Name look-up, connection and TLS in plain words, and the clock as others see it.

use super::fact::Host;
use super::{Ground, Line, State};
use crate::domain::Code;
use crate::system::tls;

/// A clock this far from a service's own is wrong; certificates and expiries are judged by it.
const AWRY_MS: i64 = 5 * 60_000;

/// What keeps a connection from being made, and what to do; `None`: the text says nothing known.
pub(super) fn explain(text: &str, ground: &Ground) -> Option<(String, String)> {
    if let Some(trouble) = tls::read(text, &ground.clock) {
        return Some((trouble.what().to_owned(), trouble.fix().to_owned()));
    }
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let known = if says(&[
        "dns error",
        "failed to lookup",
        "name or service not known",
        "name resolution",
    ]) {
        (
            "its name cannot be looked up",
            "check the network cable or Wi-Fi, then the name server (`resolvectl status`), then \
             base_url for a slip",
        )
    } else if says(&["connection refused"]) {
        (
            "nothing listens there",
            "check base_url (name and port), and whether a firewall of the site refuses it",
        )
    } else if says(&[
        "network is unreachable",
        "no route to host",
        "host is unreachable",
    ]) {
        (
            "there is no way to it",
            "check the network cable or Wi-Fi (`ip route` must show a default)",
        )
    } else if says(&["timed out", "deadline", "no answer"]) {
        (
            "it does not answer",
            "check whether the site's firewall lets this bench out (TCP 443); try again in a minute",
        )
    } else {
        return None;
    };
    Some((known.0.to_owned(), known.1.to_owned()))
}

/// The bench's own clock is what is wrong.
pub(super) fn blames_the_clock(text: &str, ground: &Ground) -> bool {
    tls::read(text, &ground.clock) == Some(tls::TlsTrouble::ClockNotSet)
}

pub(super) fn host(host: &Host, ground: &Ground) -> Vec<Line> {
    let name = format!("{} ({})", host.host, host.key);
    let mut lines = vec![match &host.answer {
        Ok(ms) => Line::ok("network", &name, format!("answers within {ms} ms")),
        Err(text) => match explain(text, ground) {
            Some((what, fix)) => Line {
                code: blames_the_clock(text, ground).then_some(Code::ClockNotSet),
                ..Line::fail("network", &name, what, fix)
            },
            None => Line::fail(
                "network",
                &name,
                format!("cannot be reached ({text})"),
                "check the network and this key of the configuration",
            ),
        },
    }];
    if let Some(ahead) = host.ahead_ms.filter(|ahead| ahead.abs() > AWRY_MS) {
        let side = if ahead > 0 { "ahead of" } else { "behind" };
        let seen = format!("{} {side} {}", span(ahead.unsigned_abs() / 1000), host.host);
        let fix =
            "let the bench reach a time server (UDP 123), or set it by hand: timedatectl set-time";
        let line = Line::coded("clock", "", State::Fail, Code::ClockNotSet, &seen);
        lines.push(line.first(fix));
    }
    lines
}

/// A span of time for people.
pub(super) fn span(seconds: u64) -> String {
    const YEAR: u64 = 365 * 86_400;
    let (n, word) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        172_800..63_072_000 => (seconds / 86_400, "day"),
        _ => (seconds / YEAR, "year"),
    };
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}
