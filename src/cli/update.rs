//! `printstation update …`, and the hidden `self-check`.
//!
//! `status` and `rollback` need no network, no station and no valid configuration.

use super::Failure;
use super::say::{self, Tone, member};
use crate::config::{self, Request, Strictness};
use crate::domain::Timestamp;
use crate::domain::time::{ago, parse_duration};
use crate::runtime::clock::Clock;
use crate::update::policy::Ask;
use crate::update::state::Memory;
use crate::update::version::{Version, own_target};
use crate::update::{self, Ended, Settings, UpdateError, Updater};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Later it may work, with nobody doing anything (product.md section 5).
const TRY_LATER: u8 = 75;
/// Bad configuration.
const BAD_CONFIGURATION: u8 = 78;
/// A due time further away than this is a clock that was wrong.
const FAR: Duration = Duration::from_secs(8 * 86_400);

#[derive(Debug, Args)]
pub struct Update {
    #[command(subcommand)]
    verb: UpdateVerb,
    /// One document
    #[arg(long, global = true)]
    json: bool,
    /// Where the slots are
    #[arg(long, global = true, hide = true, default_value = update::INSTALL_ROOT)]
    install_root: PathBuf,
    /// Folder of the channel's public keys
    #[arg(long, global = true, hide = true, default_value = update::KEYS_DIR)]
    keys: PathBuf,
    /// Command, run by sh, that restarts the station
    #[arg(long, global = true, hide = true)]
    restart: Option<String>,
    /// How long a version must work before it counts as proved
    #[arg(long, global = true, hide = true, value_parser = duration)]
    soak: Option<Duration>,
    /// After how long a version that works worse has failed
    #[arg(long, global = true, hide = true, value_parser = duration)]
    deadline: Option<Duration>,
    /// How long to wait for a bench at work
    #[arg(long, global = true, hide = true, value_parser = duration)]
    patience: Option<Duration>,
    /// Install even where everything is gone after a restart
    #[arg(long, global = true, hide = true)]
    volatile_ok: bool,
}

#[derive(Debug, Subcommand)]
enum UpdateVerb {
    /// Look at the channel; changes nothing that runs
    Check {
        /// This version
        #[arg(long)]
        version: Option<Version>,
    },
    /// Install what the channel offers, restart, and see whether it proves itself
    Apply {
        /// This version, even if it failed here before
        #[arg(long)]
        version: Option<Version>,
        /// Without waiting for hold, window or rollout
        #[arg(long)]
        now: bool,
        /// Only when the next try is due (for the timer)
        #[arg(long)]
        if_due: bool,
    },
    /// What runs, what was tried, and when the next try is; asks nobody
    Status,
    /// Back to the version before; needs no network
    Rollback,
    /// No updates on this machine, until --off or for a while
    Hold {
        /// For so long, e.g. 14d
        #[arg(long = "for", value_name = "DURATION", value_parser = duration, conflicts_with = "off")]
        span: Option<Duration>,
        /// No longer
        #[arg(long)]
        off: bool,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a duration has a unit: 500ms, 30s, 14d".to_owned())
}

pub(super) fn run(args: Update, place: &Request) -> Result<ExitCode, Failure> {
    let clock = Clock::start();
    let now = || clock.now();
    let reached = |_| Ok(());
    let settings = settings(&args, place)?;
    let state = settings.state_dir.join(update::STATE);
    let updater = Updater::new(settings, &now, &reached);
    let wanted_back = matches!(args.verb, UpdateVerb::Rollback);
    let ended = match args.verb {
        UpdateVerb::Status => {
            let status = updater.status().map_err(failure)?;
            if args.json {
                say::document(&status)?;
            } else {
                show(&status, now().wall);
            }
            return Ok(ExitCode::SUCCESS);
        }
        UpdateVerb::Hold { span, off } => {
            let until = span.map(|span| now().wall.plus(span));
            updater.hold((!off).then_some(until)).map_err(failure)?;
            let text = if off {
                "updates are no longer held"
            } else {
                "updates are held"
            };
            if args.json {
                say::document(&json!({ "held": !off, "until": until }))?;
            } else {
                say::line(text);
            }
            return Ok(ExitCode::SUCCESS);
        }
        UpdateVerb::Rollback => updater.rollback(),
        UpdateVerb::Check { version } => updater.check(&Ask {
            version,
            now: false,
        }),
        UpdateVerb::Apply {
            version,
            now: at_once,
            if_due,
        } => {
            if if_due && !is_due(&state, now().wall) {
                if args.json {
                    say::document(&json!({ "result": "not-due" }))?;
                }
                return Ok(ExitCode::SUCCESS);
            }
            updater.apply(&Ask {
                version,
                now: at_once,
            })
        }
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => {
            if args.json {
                say::document(&json!({ "result": "failed", "code": error.code() }))?;
            }
            return Err(failure(error));
        }
    };
    if args.json {
        say::document(&ended)?;
    } else {
        say::line(&told(&ended, now().wall));
    }
    Ok(match ended {
        Ended::RolledBack { .. } if !wanted_back => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    })
}

/// What can be known of the configuration; a file with mistakes does not keep anybody from going back.
fn settings(args: &Update, place: &Request) -> Result<Settings, Failure> {
    let lenient = Request {
        strictness: Strictness::Lenient,
        ..place.clone()
    };
    let config = config::load(&lenient).config;
    let state_dir = place
        .state_dir
        .clone()
        .or_else(|| Some(config.as_ref()?.station.state_dir.clone()))
        .unwrap_or_else(|| config::DEFAULT_STATE_DIR.into());
    let name = config.as_ref().map_or("", |c| c.station.name.as_str());
    let mut settings = Settings::installed(&state_dir, name);
    settings.root.clone_from(&args.install_root);
    settings.keys.clone_from(&args.keys);
    settings.control = state_dir.join(crate::web::CONTROL_SOCKET);
    settings.volatile_ok = args.volatile_ok;
    if let Some(config) = config {
        settings.url.clone_from(&config.update.url);
        settings.window = config.update.window;
        settings.config = Some(place.path.clone());
        if let Some(zone) = &config.station.timezone {
            settings.zone = jiff::tz::TimeZone::get(zone).map_err(|cause| {
                Failure::cannot(format!("station.timezone {zone} is not known here"), cause)
            })?;
        }
    }
    if let Some(command) = &args.restart {
        settings.restart = vec!["/bin/sh".to_owned(), "-c".to_owned(), command.clone()];
    }
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if let Some(soak) = args.soak {
        settings.terms.soak_ms = ms(soak);
    }
    if let Some(deadline) = args.deadline {
        settings.terms.deadline_ms = ms(deadline);
    }
    if let Some(patience) = args.patience {
        settings.patience = patience;
    }
    Ok(settings)
}

/// A memory that cannot be read does not keep the next look from being made.
fn is_due(state: &std::path::Path, now: Timestamp) -> bool {
    let next = Memory::load(state).ok().and_then(|memory| memory.next);
    next.is_none_or(|next| next <= now || next > now.plus(FAR))
}

fn failure(error: UpdateError) -> Failure {
    let passing = error.is_passing();
    let failure = Failure::cannot(error.code().to_owned(), error);
    if passing {
        failure.with_exit(TRY_LATER)
    } else {
        failure
    }
}

fn told(ended: &Ended, now: Timestamp) -> String {
    match ended {
        Ended::Offered { version } => {
            format!("{version} can be installed: `printstation update apply`, or the timer does it")
        }
        Ended::Waits { reason, next, .. } => {
            let hours = next.since(now).as_secs().div_ceil(3600);
            format!("{reason}; next look within {hours} h")
        }
        Ended::Confirmed { version } => say::tone(
            Tone::Good,
            &format!("{version} runs and works as well as the version before"),
        ),
        Ended::OnTrial { version, reason } => {
            say::tone(Tone::Look, &format!("{version} is on trial: {reason}"))
        }
        Ended::RolledBack { version, reason } => say::tone(
            Tone::Look,
            &format!(
                "{} was left ({reason}); the version before runs",
                version
                    .as_ref()
                    .map_or_else(|| "the new version".to_owned(), Version::to_string)
            ),
        ),
    }
}

fn show(status: &Value, now: Timestamp) {
    let time = |value: &Value| value.as_i64().map(Timestamp);
    let when = |value: &Value| time(value).map_or_else(|| "never".to_owned(), |t| ago(now, t));
    say::line(&format!("running    {}", member(status, "running")));
    let previous = &status["previous"];
    if previous["slot"] != status["current"]["slot"] && previous["slot"].is_string() {
        let sound = if previous["sound"] == true {
            ""
        } else {
            " (damaged)"
        };
        say::line(&format!(
            "previous   {}{sound}",
            member(previous, "version")
        ));
    }
    if status["trial"].is_object() {
        let text = format!(
            "on trial   {}, {} start(s) left",
            member(&status["trial"], "version"),
            member(&status["trial"], "starts_left")
        );
        say::line(&say::tone(Tone::Look, &text));
    }
    say::line(&format!("channel    {}", member(status, "url")));
    let result = &status["last_result"];
    say::line(&format!(
        "last look  {}: {}",
        when(&status["last_check"]),
        member(result, "text")
    ));
    if let Some(next) = time(&status["next_try"]) {
        let text = if next <= now {
            "due".to_owned()
        } else {
            format!("within {} h", next.since(now).as_secs().div_ceil(3600))
        };
        say::line(&format!("next try   {text}"));
    }
    if let Some(expires) = time(&status["channel"]["expires"])
        && expires <= now
    {
        let days = now.since(expires).as_secs() / 86_400;
        let text = format!("the channel's document expired {days} days ago");
        say::line(&say::tone(Tone::Look, &text));
    }
    if status["hold"].is_object() {
        say::line(&say::tone(Tone::Look, "updates are held"));
    }
    let list = |name: &str| status[name].as_array().cloned().unwrap_or_default();
    for bad in list("bad") {
        say::line(&format!(
            "failed     {}: {}",
            member(&bad, "version"),
            member(&bad, "why")
        ));
    }
    let rows: Vec<Vec<String>> = list("history")
        .iter()
        .rev()
        .take(10)
        .map(|line| {
            vec![
                when(&line["at"]),
                member(line, "code"),
                member(line, "text"),
            ]
        })
        .collect();
    if !rows.is_empty() {
        say::table(&["when", "what", ""], &rows);
    }
}

/// `self-check`: who this is, then whether it takes the configuration (78: no). An older station asks
/// this of a new version before it becomes current.
pub(super) fn self_check(place: &Request) -> Result<ExitCode, Failure> {
    let target = own_target().unwrap_or("unknown");
    say::line(&format!("{} {} {target}", update::PROGRAM, Version::own()));
    if !place.path.exists() {
        return Ok(ExitCode::SUCCESS);
    }
    // As the first start will be read: on trial.
    let lenient = Request {
        strictness: Strictness::Lenient,
        ..place.clone()
    };
    match config::load(&lenient).into_result() {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(problems) => {
            for problem in problems {
                say::line(&say::plain(&problem.to_string()));
            }
            Ok(ExitCode::from(BAD_CONFIGURATION))
        }
    }
}
