//! Faults on purpose, for every simulator that has a [`Menu`]: what goes wrong, how often, on which
//! calls.
//!
//! `cartoncloud:drop_after_commit:0.1:consignment-put` = one in ten of these calls is done and then
//! loses its reply. Chances are drawn from the server's seed, so that a run can be repeated.

use crate::sim::site::switches::join;
use crate::sim::site::{Fate, Reply};
use rand::Rng;
use serde::Serialize;
use std::time::Duration;

/// How often.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Chance {
    /// With this probability, 0 to 1.
    Probability(f64),
    /// The next so many calls, then never again.
    Budget(u32),
}

/// A kind of fault that only one system has.
#[derive(Clone, Copy, Debug)]
pub struct Special {
    /// Its name in `--fault`.
    pub name: &'static str,
    /// What it does.
    pub means: &'static str,
    /// The calls that it can hit: others never use up its budget. Every call when empty.
    pub fits: &'static [&'static str],
}

/// What can go wrong in one system.
#[derive(Debug)]
pub struct Menu {
    /// Its name in `--fault`.
    pub system: &'static str,
    /// Faults beside [`COMMON`].
    pub special: &'static [Special],
    /// Names of its calls.
    pub calls: &'static [&'static str],
}

/// Faults that every system has: name and meaning.
pub const COMMON: &[(&str, &str)] = &[
    ("latency=DURATION", "waits first, e.g. latency=250ms"),
    ("reset", "RST at the request head, nothing done"),
    ("drop_before_commit", "connection closed, nothing done"),
    ("drop_after_commit", "done, then reset before the reply"),
    (
        "drop_mid_reply",
        "done, then reset in the middle of the reply",
    ),
    ("rate_429", "429 without Retry-After, nothing done"),
    (
        "rate_429_retry_after",
        "429 with Retry-After: 1, nothing done",
    ),
    (
        "rate_429_retry_date",
        "429 with Retry-After as an HTTP date, nothing done",
    ),
    ("error_500", "500 in the system's own words, nothing done"),
    ("error_503", "503 in the system's own words, nothing done"),
    ("html_500", "500 with an HTML page, nothing done"),
    ("html_500_after_commit", "done, then 500 with an HTML page"),
    ("garbage_json", "done, the reply is no JSON"),
    ("black_hole", "never answered, nothing done"),
    ("black_hole_after_commit", "done and never answered"),
];

/// One fault as set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    system: &'static str,
    kind: &'static str,
    latency: Duration,
    chance: Chance,
    at: Option<&'static str>,
}

/// A `--fault` text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Another system, or too many parts.
    #[error("'{text}' is not a fault of {system}: {system}:KIND[:CHANCE[:CALL]]")]
    System {
        /// What was given.
        text: String,
        /// Whose faults are read.
        system: &'static str,
    },
    /// No such kind.
    #[error("no fault '{name}'; there are {valid}")]
    Kind {
        /// What was given.
        name: String,
        /// All kinds.
        valid: String,
    },
    /// Not a chance.
    #[error("'{0}' is no chance: 0.0 to 1.0, once, always, or a count such as 3x")]
    Chance(String),
    /// No such call.
    #[error("no call '{name}'; there are {valid}")]
    Call {
        /// What was given.
        name: String,
        /// All calls.
        valid: String,
    },
}

impl Menu {
    /// Reads `[SYSTEM:]KIND[:CHANCE[:CALL]]`; the chance is `always` when left out.
    ///
    /// # Errors
    /// Names what there is instead.
    pub fn parse(&self, text: &str) -> Result<Fault, FaultError> {
        let mut parts = text.split(':').map(str::trim);
        let mut word = parts.next().unwrap_or_default();
        if word == self.system {
            word = parts.next().unwrap_or_default();
        }
        let (kind, latency) = self.kind(word).ok_or_else(|| FaultError::Kind {
            name: word.to_owned(),
            valid: join(self.kinds().map(|(name, _)| name)),
        })?;
        let chance = parts.next().unwrap_or("always");
        let chance = parse_chance(chance).ok_or_else(|| FaultError::Chance(chance.to_owned()))?;
        let at = match parts.next() {
            None | Some("") => None,
            Some(name) => {
                let known = self.calls.iter().copied().find(|c| *c == name);
                Some(known.ok_or_else(|| FaultError::Call {
                    name: name.to_owned(),
                    valid: join(self.calls.iter().copied()),
                })?)
            }
        };
        if parts.next().is_some() {
            return Err(FaultError::System {
                text: text.to_owned(),
                system: self.system,
            });
        }
        Ok(Fault {
            system: self.system,
            kind,
            latency,
            chance,
            at,
        })
    }

    /// Every kind with its meaning.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let special = self.special.iter().map(|s| (s.name, s.means));
        COMMON.iter().copied().chain(special)
    }

    fn kind(&self, word: &str) -> Option<(&'static str, Duration)> {
        if let Some(duration) = word.strip_prefix("latency=") {
            return parse_duration(duration).map(|d| ("latency", d));
        }
        let mut names = self.kinds().map(|(name, _)| name);
        let name = names.find(|name| *name == word && !name.contains('='))?;
        Some((name, Duration::ZERO))
    }

    fn fits(&self, kind: &str, call: &str) -> bool {
        let special = self.special.iter().find(|s| s.name == kind);
        special.is_none_or(|s| s.fits.is_empty() || s.fits.contains(&call))
    }

    /// Draws for one call, and uses up the budgets that were hit.
    pub(crate) fn draw(&self, faults: &mut Vec<Fault>, call: &str, rng: &mut impl Rng) -> Hits {
        let mut hits = Hits::default();
        faults.retain_mut(|fault| {
            if fault.at.is_some_and(|at| at != call) || !self.fits(fault.kind, call) {
                return true;
            }
            let hit = match &mut fault.chance {
                Chance::Probability(p) => rng.random_bool(p.clamp(0.0, 1.0)),
                Chance::Budget(0) => false,
                Chance::Budget(left) => {
                    *left -= 1;
                    true
                }
            };
            if hit {
                hits.kinds.push(fault.kind);
                hits.latency = hits.latency.saturating_add(fault.latency);
            }
            fault.chance != Chance::Budget(0)
        });
        hits
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.system, self.kind)?;
        if self.kind == "latency" {
            write!(f, "={}ms", self.latency.as_millis())?;
        }
        match self.chance {
            Chance::Probability(p) => write!(f, ":{p}")?,
            Chance::Budget(n) => write!(f, ":{n}x")?,
        }
        match self.at {
            Some(call) => write!(f, ":{call}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The faults that hit one call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits {
    kinds: Vec<&'static str>,
    pub(crate) latency: Duration,
}

impl Hits {
    pub(crate) fn has(&self, kind: &str) -> bool {
        self.kinds.contains(&kind)
    }

    /// Faults that leave nothing done. `words` says 429, 500 and 503 as the system does.
    pub(crate) fn before(&self, words: impl Fn(u16) -> Reply) -> Option<Fate> {
        if self.has("black_hole") {
            return Some(Fate::Never);
        }
        if self.has("reset") {
            return Some(Fate::Reset);
        }
        if self.has("drop_before_commit") {
            return Some(Fate::Close);
        }
        if self.has("rate_429") {
            return Some(Fate::Reply(words(429)));
        }
        if self.has("rate_429_retry_after") {
            return Some(Fate::Reply(words(429).with("retry-after", "1")));
        }
        if self.has("rate_429_retry_date") {
            let at = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(1);
            let date = at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            return Some(Fate::Reply(words(429).with("retry-after", date)));
        }
        if self.has("html_500") {
            return Some(Fate::Reply(html_500()));
        }
        if self.has("error_500") {
            return Some(Fate::Reply(words(500)));
        }
        self.has("error_503").then(|| Fate::Reply(words(503)))
    }

    /// Faults of the reply: whatever was asked for has been done.
    pub(crate) fn after(&self, mut reply: Reply) -> Fate {
        if self.has("black_hole_after_commit") {
            return Fate::Never;
        }
        if self.has("drop_after_commit") {
            return Fate::Reset;
        }
        if self.has("html_500_after_commit") {
            return Fate::Reply(html_500());
        }
        if self.has("garbage_json") {
            reply.body = b"{\"id\": \"5843\", \"status\": [}\xff\xfe <!-- ".to_vec();
        }
        if self.has("drop_mid_reply") {
            return Fate::HalfReply(reply);
        }
        Fate::Reply(reply)
    }
}

fn html_500() -> Reply {
    let page = "<!DOCTYPE html>\n<html><head><title>500 Internal Server Error</title></head>\
                <body><center><h1>500 Internal Server Error</h1></center></body></html>\n";
    Reply::bytes(500, "text/html; charset=utf-8", page.as_bytes().to_vec())
}

pub(crate) fn parse_chance(text: &str) -> Option<Chance> {
    match text {
        "once" => return Some(Chance::Budget(1)),
        "always" | "" => return Some(Chance::Probability(1.0)),
        _ => {}
    }
    if let Some(count) = text.strip_suffix('x') {
        return count.parse().map(Chance::Budget).ok();
    }
    let p = text.parse::<f64>().ok().filter(|p| (0.0..=1.0).contains(p));
    p.map(Chance::Probability)
}

/// `250ms`, `2s` or `1m`, at most ten minutes.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let n: u64 = text[..digits].parse().ok()?;
    let duration = match &text[digits..] {
        "ms" => Duration::from_millis(n),
        "s" => Duration::from_secs(n),
        "m" => Duration::from_secs(n.checked_mul(60)?),
        _ => return None,
    };
    (duration <= Duration::from_secs(600)).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    const MENU: Menu = Menu {
        system: "place",
        special: &[Special {
            name: "flood",
            means: "water",
            fits: &["cellar"],
        }],
        calls: &["cellar", "attic"],
    };

    #[test]
    fn an_unknown_system_fault_chance_or_call_is_told_what_there_is() {
        let kind = MENU.parse("place:explode").unwrap_err().to_string();
        assert!(kind.contains("explode") && kind.contains("flood") && kind.contains("reset"));
        for bad in ["reset:2.0", "reset:-1", "reset:often", "reset:NaN"] {
            let error = MENU.parse(bad).unwrap_err();
            assert!(matches!(error, FaultError::Chance(_)), "{bad}");
        }
        let call = MENU.parse("reset:once:roof").unwrap_err().to_string();
        assert!(call.contains("roof") && call.contains("attic"));
        for bad in [
            "elsewhere:reset",
            "latency=99h",
            "latency=DURATION",
            "reset:once:attic:more",
        ] {
            assert!(MENU.parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_kind_reads_back_as_it_is_shown() {
        for (name, _) in MENU.kinds() {
            let text = format!("place:{}:0.25:attic", name.replace("DURATION", "250ms"));
            assert_eq!(MENU.parse(&text).unwrap().to_string(), text);
        }
        assert_eq!(
            MENU.parse("reset:3x").unwrap().to_string(),
            "place:reset:3x"
        );
    }

    #[test]
    fn a_budget_is_used_up_only_by_calls_that_the_fault_fits() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut faults = vec![MENU.parse("flood:once").unwrap()];
        assert!(!MENU.draw(&mut faults, "attic", &mut rng).has("flood"));
        assert!(MENU.draw(&mut faults, "cellar", &mut rng).has("flood"));
        assert!(faults.is_empty());
    }
}
