//! Configuration, credentials, the station's own word, and the two services.

use super::fact::{Answer, Missing, Problem, Station, Trouble};
use super::{Ground, Line, State, network};
use crate::domain::{Code, Timestamp};
use std::time::Duration;

/// Refusals for want of labels count for so long.
const QUOTA: Duration = Duration::from_secs(24 * 3600);

pub(super) fn configuration(file: &str, usable: bool, problems: &[Problem]) -> Vec<Line> {
    let mut lines: Vec<Line> = problems
        .iter()
        .map(|problem| {
            if problem.is_error {
                Line {
                    code: Some(Code::ConfigInvalid),
                    what: problem.text.clone(),
                    ..Line::coded("configuration", file, State::Fail, Code::ConfigInvalid, "")
                }
            } else {
                Line::warn(
                    "configuration",
                    file,
                    problem.text.clone(),
                    "correct the line that is named, or leave it if it was meant",
                )
            }
        })
        .collect();
    if lines.is_empty() && usable {
        lines.push(Line::ok("configuration", file, "has no mistakes"));
    }
    lines
}

pub(super) fn secrets(
    read: usize,
    missing: &[Missing],
    open: &[(String, String)],
    ground: &Ground,
) -> Vec<Line> {
    let mut lines: Vec<Line> = missing
        .iter()
        .map(|secret| {
            let runs = ground.running.is_some();
            let key = secret.key.as_str();
            if runs && (secret.forbidden || secret.is_env) {
                // It was given to the service; this user is not meant to see it.
                return Line::ok("credential", key, "the station has it; it is not this user's");
            }
            if secret.forbidden {
                return Line::warn(
                    "credential",
                    key,
                    format!("this user may not read it ({})", secret.why),
                    "run `sudo printstation doctor`, or start the station: it can then be asked",
                );
            }
            if secret.is_env {
                return Line::fail(
                    "credential",
                    key,
                    format!("missing: {}", secret.why),
                    "set it where the station is started, or name a credential or a file instead",
                );
            }
            let mut line = Line::fail(
                "credential",
                key,
                format!("missing: {}", secret.why),
                "write the secret into that file (root, mode 0600), run the installer again so that the \
                 service gets it, and restart the station",
            );
            if runs {
                line.what = format!("gone; the next start will fail: {}", secret.why);
            }
            line
        })
        .collect();
    lines.extend(open.iter().map(|(key, warning)| {
        let (what, fix) = warning
            .split_once(": ")
            .unwrap_or((warning, "chmod o-r it"));
        Line::warn("credential", key, what, fix)
    }));
    if read > 0 {
        lines.push(Line::ok("credential", "", format!("{read} can be read")));
    }
    lines
}

pub(super) fn station(station: &Station, version: &str) -> Vec<Line> {
    match station {
        Station::Stopped => vec![Line::warn(
            "station",
            "",
            "no station is running here; the devices were asked directly",
            "systemctl start printstation (or `printstation run`)",
        )],
        Station::Silent { why } => vec![Line::fail(
            "station",
            "",
            format!("it cannot be asked ({why}); its devices were left alone"),
            "become a member of the group printstation, or use sudo; if it hangs: systemctl restart \
             printstation",
        )],
        Station::Runs {
            version: runs,
            state,
            health,
            tells,
        } => {
            let mut lines = vec![match state.as_str() {
                "paused" => Line::coded("station", "", State::Warn, Code::Paused, ""),
                "draining" => Line::warn(
                    "station",
                    "",
                    "it is stopping, or rests for an update",
                    "wait a minute and look again",
                ),
                word => Line::ok("station", "", format!("runs ({word}), version {runs}")),
            }];
            lines.extend(health.iter().map(|(code, detail)| match code {
                Some(code) => Line::coded("station", "", State::Fail, *code, detail),
                None => Line::fail("station", "", detail.clone(), "see the log of the station"),
            }));
            if runs != version {
                lines.push(Line::warn(
                    "station",
                    "",
                    format!("version {runs} runs, and this program is {version}"),
                    "systemctl restart printstation when nobody is working",
                ));
            }
            if !tells {
                lines.push(Line::warn(
                    "station",
                    "",
                    "it could only be asked for its status, not for its devices and services",
                    "run the doctor of the version that runs: /opt/printstation/current/printstation doctor",
                ));
            }
            lines
        }
    }
}

/// A call that did not go well, with what to do about it first.
fn failed(
    check: &'static str,
    name: &str,
    trouble: &Trouble,
    unauthorized: &str,
    ground: &Ground,
) -> Line {
    let line = |state, seen: &str| Line::coded(check, name, state, trouble.code, seen);
    match trouble.code {
        Code::StarshipitUnauthorized | Code::CartoncloudUnauthorized => {
            line(State::Fail, &trouble.detail).first(unauthorized)
        }
        Code::StarshipitUnreachable | Code::CartoncloudUnreachable => {
            match network::explain(&trouble.detail, ground) {
                Some((what, fix)) => line(State::Fail, &what).first(fix),
                None => line(State::Fail, &trouble.detail)
                    .first("check the network, and base_url for a slip"),
            }
        }
        Code::RateLimited => line(State::Warn, &trouble.detail).first(
            "stations that share the key ask too much together: set stations_sharing_key to their number",
        ),
        Code::ClockNotSet => line(State::Fail, &trouble.detail),
        Code::QuotaExhausted => line(State::Fail, &trouble.detail)
            .first("raise the plan in Starshipit (Settings > Subscription)"),
        _ => line(State::Fail, &trouble.detail),
    }
}

pub(super) fn account(
    name: &str,
    keys: &Answer<()>,
    couriers: Option<&Answer<u64>>,
    ground: &Ground,
) -> Vec<Line> {
    let mut lines = vec![match keys {
        Ok(()) => Line::ok(
            "starshipit",
            name,
            "both keys are accepted and the plan is live",
        ),
        Err(trouble) => failed(
            "starshipit",
            name,
            trouble,
            "in Starshipit, Settings > API, compare API key and subscription key of this account with \
             its credentials here",
            ground,
        ),
    }];
    match couriers {
        None => {}
        Some(Ok(0)) => lines.push(Line::fail(
            "courier",
            name,
            "the account offers no courier service",
            "connect a courier in Starshipit (Settings > Couriers); Plain Label is one that costs nothing",
        )),
        Some(Ok(n)) => lines.push(Line::ok(
            "courier",
            name,
            format!("{n} courier service(s) are offered; nothing was bought"),
        )),
        Some(Err(trouble)) => {
            let line = failed(
                "courier",
                name,
                trouble,
                "in Starshipit, see whether the API may use couriers",
                ground,
            );
            lines.push(Line {
                // The keys are good: that the question was not understood stops no label.
                state: State::Warn,
                ..line
            });
        }
    }
    lines
}

pub(super) fn role(what: &str, role: &str, answer: &Answer<String>, ground: &Ground) -> Vec<Line> {
    vec![match answer {
        Ok(seen) => Line::ok("cartoncloud", what, seen.clone()),
        Err(trouble) => {
            let fix = if role.is_empty() {
                "in CartonCloud, Settings > API clients, compare id, secret and tenant with the \
                 configuration"
                    .to_owned()
            } else {
                format!("in CartonCloud, Settings > API clients, give the client the role {role}")
            };
            failed("cartoncloud", what, trouble, &fix, ground)
        }
    }]
}

pub(super) fn quota(account: &str, refused: &[Timestamp], ground: &Ground) -> Vec<Line> {
    let recent = refused
        .iter()
        .filter(|at| ground.now.since(**at) < QUOTA)
        .count();
    let newest = refused.iter().max().copied();
    vec![match newest.filter(|_| recent > 0) {
        None => Line::ok(
            "quota",
            account,
            "no label was refused for it in the last 24 h",
        ),
        Some(at) => {
            let ago = network::span(ground.now.since(at).as_secs());
            let seen = format!("{recent} order(s) refused, the last {ago} ago");
            Line::coded("quota", account, State::Fail, Code::QuotaExhausted, &seen)
                .first("raise the plan in Starshipit (Settings > Subscription)")
        }
    }]
}

pub(super) fn month(bought: u64, quota: u64) -> Vec<Line> {
    let name = "this month";
    let what = format!("{bought} of {quota} labels are bought");
    let fix = "raise the plan in Starshipit (Settings > Subscription) before it ends, or correct \
               alerts.label_quota";
    vec![if bought >= quota {
        Line::fail("quota", name, what, fix)
    } else if bought >= quota.saturating_mul(4).div_ceil(5) {
        Line::warn("quota", name, what, fix)
    } else {
        Line::ok("quota", name, what)
    }]
}

pub(super) fn web(listen: &str, trouble: Option<&str>) -> Vec<Line> {
    vec![match trouble {
        None => Line::ok("web", listen, "is free for the page"),
        Some(why) => Line::fail(
            "web",
            listen,
            format!("the page cannot be served there ({why})"),
            "set web.listen to an address of this machine and a port that no other program uses",
        ),
    }]
}
