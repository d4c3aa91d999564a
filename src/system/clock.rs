//! What the wall clock is worth. A Raspberry Pi before the 5 has none that runs without power: after
//! a start it shows the time of its last stop, or 1970, until a time server has answered.
//!
//! The rule ([`judge`]) is pure; [`evidence`] asks the machine. Intervals never use this clock.

use crate::domain::Timestamp;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Earliest time a clock of ours can truly show: this program did not exist before it.
pub const BUILT: Timestamp = Timestamp(1_780_000_000_000); // 2026-05-28
/// Nobody runs this release so long after.
const FIFTY_YEARS: i64 = 50 * 365 * 86_400_000;
/// The clock may have been set back by so much since we last saw it (a time server's correction).
const CORRECTION: Duration = Duration::from_secs(15 * 60);

/// How far the wall clock can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A time server has set it.
    Synchronised,
    /// It can be right: not before what we know, and a battery may keep it. Not proven.
    Unproven,
    /// It shows a time that cannot be.
    NotSet,
}

impl Trust {
    /// Dates of certificates and signed documents mean something. `Unproven` is not enough: "not
    /// valid yet" is then rather the clock's fault.
    pub fn may_judge_certificates(&self) -> bool {
        *self == Self::Synchronised
    }

    /// A person may be shown it, and old things may be forgotten by it.
    pub fn is_plausible(&self) -> bool {
        *self != Self::NotSet
    }

    /// For `doctor`: what it means.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Synchronised => "set by a time server",
            Self::Unproven => "plausible, but no time server has answered since the start",
            Self::NotSet => "shows a time that cannot be",
        }
    }

    /// For `doctor`: what to do.
    pub fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Synchronised => None,
            Self::Unproven | Self::NotSet => Some(
                "let the bench reach a time server (UDP 123, or NTP= in /etc/systemd/timesyncd.conf); by \
                 hand: timedatectl set-time",
            ),
        }
    }
}

/// What the machine says about its clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// A time server has set the clock since the start (any time service).
    pub synchronised: bool,
}

/// The rule. `last_seen` is the newest time this bench has written down; a clock before it has lost
/// time, whatever it says.
pub fn judge(now: Timestamp, last_seen: Option<Timestamp>, evidence: Evidence) -> Trust {
    let seen = last_seen.map_or(BUILT.0, |seen| {
        let correction = i64::try_from(CORRECTION.as_millis()).unwrap_or(0);
        seen.0.saturating_sub(correction)
    });
    // A time in the far future that was once written down must not lock the clock out for ever.
    let floor = if seen < BUILT.0 + FIFTY_YEARS {
        seen.max(BUILT.0)
    } else {
        BUILT.0
    };
    let can_be = (BUILT.0..BUILT.0 + FIFTY_YEARS).contains(&now.0);
    match (can_be, evidence.synchronised) {
        // Even a time server can be wrong, e.g. a router's own that has lost its battery.
        (false, _) => Trust::NotSet,
        (true, true) => Trust::Synchronised,
        (true, false) if now.0 < floor => Trust::NotSet,
        (true, false) => Trust::Unproven,
    }
}

/// The best guess at the time: never before what is known.
pub fn at_least(now: Timestamp, last_seen: Option<Timestamp>) -> Timestamp {
    now.max(last_seen.unwrap_or(BUILT)).max(BUILT)
}

/// Asks the machine: systemd-timesyncd's mark, else `timedatectl`, which reads the kernel's own flag
/// whatever service sets it. Blocks for up to three seconds.
pub fn evidence() -> Evidence {
    let marked = Path::new("/run/systemd/timesync/synchronized").exists();
    Evidence {
        synchronised: marked || kernel_says(),
    }
}

/// Without systemd there is nobody to ask: not synchronised.
fn kernel_says() -> bool {
    // `timeout`: a system bus that hangs must not hang us.
    Command::new("timeout")
        .args([
            "3",
            "timedatectl",
            "show",
            "--property=NTPSynchronized",
            "--value",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.trim_ascii() == b"yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Evidence = Evidence { synchronised: true };
    const NO: Evidence = Evidence {
        synchronised: false,
    };
    const DAY: i64 = 86_400_000;

    #[test]
    fn a_time_before_this_program_or_far_after_it_cannot_be() {
        for now in [
            0,
            -1,
            BUILT.0 - 1,
            BUILT.0 + FIFTY_YEARS,
            i64::MAX,
            i64::MIN,
        ] {
            assert_eq!(judge(Timestamp(now), None, NO), Trust::NotSet, "{now}");
            assert_eq!(judge(Timestamp(now), None, YES), Trust::NotSet, "{now}");
        }
    }

    #[test]
    fn a_clock_that_has_lost_time_is_not_set_until_a_server_says_so() {
        let seen = Some(Timestamp(BUILT.0 + 10 * DAY));
        let lost = Timestamp(BUILT.0 + 9 * DAY);
        assert_eq!(judge(lost, seen, NO), Trust::NotSet);
        // What was written down was wrong, then.
        assert_eq!(judge(lost, seen, YES), Trust::Synchronised);
    }

    #[test]
    fn a_small_step_back_is_a_correction() {
        let seen = Some(Timestamp(BUILT.0 + DAY));
        let corrected = Timestamp(BUILT.0 + DAY - 60_000);
        assert_eq!(judge(corrected, seen, NO), Trust::Unproven);
    }

    #[test]
    fn a_time_written_down_by_a_mad_clock_locks_nobody_out() {
        let mad = Some(Timestamp(i64::MAX));
        assert_eq!(judge(Timestamp(BUILT.0 + DAY), mad, NO), Trust::Unproven);
    }

    #[test]
    fn only_a_time_server_makes_certificates_judgeable() {
        assert!(!judge(Timestamp(BUILT.0 + DAY), None, NO).may_judge_certificates());
        assert!(judge(Timestamp(BUILT.0 + DAY), None, YES).may_judge_certificates());
    }

    #[test]
    fn the_best_guess_is_never_before_what_is_known() {
        assert_eq!(at_least(Timestamp(0), None), BUILT);
        let seen = Timestamp(BUILT.0 + DAY);
        assert_eq!(at_least(Timestamp(0), Some(seen)), seen);
        let now = Timestamp(BUILT.0 + 2 * DAY);
        assert_eq!(at_least(now, Some(seen)), now);
    }
}
