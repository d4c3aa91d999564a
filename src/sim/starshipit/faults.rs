//! Faults on purpose: what goes wrong, how often, and on which calls.
//!
//! `starshipit:drop_after_commit:0.1:print` = one in ten print calls sells and then loses its
//! reply. Chances are drawn from the server's seed, so a run can be repeated.

pub use crate::sim::site::faults::Chance;
use crate::sim::site::faults::{parse_chance, parse_duration};
use crate::sim::site::switches::join;
use crate::sim::starshipit::api::Endpoint;
use rand::Rng;
use serde::Serialize;
use std::time::Duration;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The call waits this long first, then goes on.
    Latency(Duration),
    /// The connection is closed (FIN) and nothing was done.
    DropBeforeCommit,
    /// The act is done, then the connection is reset before a byte of the reply.
    DropAfterCommit,
    /// The act is done, half of the reply is sent, then the connection is reset.
    DropMidReply,
    /// 429 without Retry-After; nothing done.
    Rate429,
    /// 429 with Retry-After: 1; nothing done.
    Rate429RetryAfter,
    /// 500 with an HTML page; nothing done.
    Html500,
    /// The act is done, the reply is a 500 with an HTML page.
    Html500AfterCommit,
    /// The courier refuses: `success:false`; nothing done.
    CourierRefusal,
    /// The account's quota is used up: `success:false`; nothing done.
    Quota,
    /// The call is read and never answered; nothing done.
    BlackHole,
    /// The act is done and never answered.
    BlackHoleAfterCommit,
    /// RST as soon as the request head is read; nothing done.
    Reset,
    /// The act is done, the reply is no JSON.
    GarbageJson,
    /// The act is done, each label is cut in the middle of its base64.
    TruncatedBase64,
    /// The act is done, `labels` and `label_types` are empty.
    EmptyLabels,
    /// The act is done, every member of the reply but `success` has another type.
    WrongTypes,
}

impl FaultKind {
    /// Name and meaning of every kind, for `sim --help`.
    pub const TABLE: &'static [(&'static str, &'static str)] = &[
        ("latency=DURATION", "waits first, e.g. latency=250ms"),
        ("drop_before_commit", "connection closed, nothing done"),
        ("drop_after_commit", "done, then reset before the reply"),
        (
            "drop_mid_reply",
            "done, then reset in the middle of the reply",
        ),
        ("rate_429", "429 without Retry-After"),
        ("rate_429_retry_after", "429 with Retry-After: 1"),
        ("html_500", "500 with an HTML page, nothing done"),
        ("html_500_after_commit", "done, then 500 with an HTML page"),
        ("courier_refusal", "success:false from the courier (print)"),
        ("quota", "success:false, the plan is used up (print)"),
        ("black_hole", "never answered, nothing done"),
        ("black_hole_after_commit", "done and never answered"),
        ("reset", "RST at the request head, nothing done"),
        ("garbage_json", "done, the reply is no JSON"),
        (
            "truncated_base64",
            "done, labels cut in their base64 (print)",
        ),
        ("empty_labels", "done, no labels in the reply (print)"),
        ("wrong_types", "done, members of the reply have other types"),
    ];

    /// The name in [`Self::TABLE`], without a duration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Latency(_) => "latency",
            Self::DropBeforeCommit => "drop_before_commit",
            Self::DropAfterCommit => "drop_after_commit",
            Self::DropMidReply => "drop_mid_reply",
            Self::Rate429 => "rate_429",
            Self::Rate429RetryAfter => "rate_429_retry_after",
            Self::Html500 => "html_500",
            Self::Html500AfterCommit => "html_500_after_commit",
            Self::CourierRefusal => "courier_refusal",
            Self::Quota => "quota",
            Self::BlackHole => "black_hole",
            Self::BlackHoleAfterCommit => "black_hole_after_commit",
            Self::Reset => "reset",
            Self::GarbageJson => "garbage_json",
            Self::TruncatedBase64 => "truncated_base64",
            Self::EmptyLabels => "empty_labels",
            Self::WrongTypes => "wrong_types",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(duration) = text.strip_prefix("latency=") {
            return parse_duration(duration).map(Self::Latency);
        }
        Some(match text {
            "drop_before_commit" => Self::DropBeforeCommit,
            "drop_after_commit" => Self::DropAfterCommit,
            "drop_mid_reply" => Self::DropMidReply,
            "rate_429" => Self::Rate429,
            "rate_429_retry_after" => Self::Rate429RetryAfter,
            "html_500" => Self::Html500,
            "html_500_after_commit" => Self::Html500AfterCommit,
            "courier_refusal" => Self::CourierRefusal,
            "quota" => Self::Quota,
            "black_hole" => Self::BlackHole,
            "black_hole_after_commit" => Self::BlackHoleAfterCommit,
            "reset" => Self::Reset,
            "garbage_json" => Self::GarbageJson,
            "truncated_base64" => Self::TruncatedBase64,
            "empty_labels" => Self::EmptyLabels,
            "wrong_types" => Self::WrongTypes,
            _ => return None,
        })
    }

    /// Faults of the print call alone never use up their budget elsewhere.
    fn fits(self, endpoint: Endpoint) -> bool {
        match self {
            Self::CourierRefusal | Self::Quota | Self::TruncatedBase64 | Self::EmptyLabels => {
                matches!(endpoint, Endpoint::Print | Endpoint::PrintBulk)
            }
            _ => true,
        }
    }
}

/// One fault as set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// How often.
    pub chance: Chance,
    /// On which calls; everywhere when absent.
    pub at: Option<Endpoint>,
}

/// A `--fault` text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// Another system than this simulator's.
    #[error("'{0}' is not a fault of starshipit: starshipit:KIND[:CHANCE[:CALL]]")]
    System(String),
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

impl Fault {
    /// A fault that happens at every call of `at`.
    pub fn always(kind: FaultKind, at: Option<Endpoint>) -> Self {
        Self {
            kind,
            chance: Chance::Probability(1.0),
            at,
        }
    }

    /// A fault that happens once.
    pub fn once(kind: FaultKind, at: Option<Endpoint>) -> Self {
        Self {
            kind,
            chance: Chance::Budget(1),
            at,
        }
    }

    /// Reads `[starshipit:]KIND[:CHANCE[:CALL]]`; the chance is `always` when left out.
    ///
    /// # Errors
    /// Names what there is instead.
    pub fn parse(text: &str) -> Result<Self, FaultError> {
        let mut parts = text.split(':').map(str::trim);
        let mut kind = parts.next().unwrap_or_default();
        if kind == "starshipit" {
            kind = parts.next().unwrap_or_default();
        } else if matches!(kind, "cartoncloud" | "shopify" | "printer") {
            return Err(FaultError::System(text.to_owned()));
        }
        let kind = FaultKind::parse(kind).ok_or_else(|| FaultError::Kind {
            name: kind.to_owned(),
            valid: join(FaultKind::TABLE.iter().map(|(name, _)| *name)),
        })?;
        let chance = parts.next().unwrap_or("always");
        let chance = parse_chance(chance).ok_or_else(|| FaultError::Chance(chance.to_owned()))?;
        let at = match parts.next() {
            None | Some("") => None,
            Some(name) => Some(Endpoint::by_name(name).ok_or_else(|| FaultError::Call {
                name: name.to_owned(),
                valid: join(Endpoint::ALL.iter().map(|e| e.name())),
            })?),
        };
        match parts.next() {
            None => Ok(Self { kind, chance, at }),
            Some(_) => Err(FaultError::System(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "starshipit:{}", self.kind.name())?;
        if let FaultKind::Latency(duration) = self.kind {
            write!(f, "={}ms", duration.as_millis())?;
        }
        match self.chance {
            Chance::Probability(p) => write!(f, ":{p}")?,
            Chance::Budget(n) => write!(f, ":{n}x")?,
        }
        match self.at {
            Some(endpoint) => write!(f, ":{}", endpoint.name()),
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
    kinds: Vec<FaultKind>,
}

impl Hits {
    /// Draws for one call of `endpoint`, and uses up the budgets that were hit.
    pub(crate) fn draw(faults: &mut Vec<Fault>, endpoint: Endpoint, rng: &mut impl Rng) -> Self {
        let mut kinds = Vec::new();
        faults.retain_mut(|fault| {
            if fault.at.is_some_and(|at| at != endpoint) || !fault.kind.fits(endpoint) {
                return true;
            }
            match &mut fault.chance {
                Chance::Probability(p) => {
                    if rng.random_bool(p.clamp(0.0, 1.0)) {
                        kinds.push(fault.kind);
                    }
                    true
                }
                Chance::Budget(left) => {
                    if *left > 0 {
                        *left -= 1;
                        kinds.push(fault.kind);
                    }
                    *left > 0
                }
            }
        });
        Self { kinds }
    }

    pub(crate) fn has(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind)
    }

    pub(crate) fn latency(&self) -> Duration {
        self.kinds
            .iter()
            .map(|kind| match kind {
                FaultKind::Latency(duration) => *duration,
                _ => Duration::ZERO,
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn an_unknown_fault_chance_or_call_is_told_what_there_is() {
        let kind = Fault::parse("starshipit:explode").unwrap_err().to_string();
        assert!(kind.contains("explode") && kind.contains("drop_after_commit"));
        for bad in ["reset:2.0", "reset:-1", "reset:often", "reset:NaN"] {
            assert!(
                matches!(Fault::parse(bad), Err(FaultError::Chance(_))),
                "{bad}"
            );
        }
        let call = Fault::parse("reset:once:teleport").unwrap_err().to_string();
        assert!(call.contains("teleport") && call.contains("print"));
        assert!(Fault::parse("cartoncloud:reset").is_err());
        assert!(Fault::parse("latency=99h").is_err());
        assert!(Fault::parse("reset:once:print:more").is_err());
    }

    #[test]
    fn every_kind_in_the_table_reads_back_as_it_is_shown() {
        for (name, _) in FaultKind::TABLE {
            let text = format!(
                "starshipit:{}:0.25:print",
                name.replace("DURATION", "250ms")
            );
            let fault = Fault::parse(&text).unwrap();
            assert_eq!(fault.to_string(), text);
        }
        assert_eq!(
            Fault::parse("reset").unwrap().chance,
            Chance::Probability(1.0)
        );
        assert_eq!(
            Fault::parse("reset:once").unwrap().chance,
            Chance::Budget(1)
        );
        assert_eq!(Fault::parse("reset:3x").unwrap().chance, Chance::Budget(3));
    }

    #[test]
    fn a_budget_is_used_up_only_by_calls_that_the_fault_fits() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut faults = vec![Fault::once(FaultKind::CourierRefusal, None)];
        assert!(!Hits::draw(&mut faults, Endpoint::Order, &mut rng).has(FaultKind::CourierRefusal));
        assert!(Hits::draw(&mut faults, Endpoint::Print, &mut rng).has(FaultKind::CourierRefusal));
        assert!(faults.is_empty());
        assert!(!Hits::draw(&mut faults, Endpoint::Print, &mut rng).has(FaultKind::CourierRefusal));
    }
}
