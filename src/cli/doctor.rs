//! `printstation doctor`: gathers, from the running station where there is one, and shows.

use super::args::Doctor;
use super::client::{self, NO_STATION};
use super::say::{self, Tone, member};
use super::{Failure, run};
use crate::config::{self, Config, Environment, Request, Severity, Strictness};
use crate::doctor::{self, Fact, Line, Report, State, fact};
use crate::domain::{Code, Timestamp};
use crate::runtime::ReadSecret;
use crate::runtime::checkup::{self, Around};
use crate::runtime::clock::Clock;
use hyper::StatusCode;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Bad configuration (sysexits EX_CONFIG; product.md section 5).
const BAD_CONFIGURATION: u8 = 78;
/// How long the station's own checks may take.
const INSIDE: Duration = Duration::from_secs(40);

/// What was found, and what else a support bundle needs.
pub(super) struct Found {
    pub report: Report,
    pub config: Option<Config>,
    pub state_dir: PathBuf,
    /// The station's status document, where one runs.
    pub status: Option<Value>,
}

pub(super) async fn run(args: Doctor, place: Request) -> Result<ExitCode, Failure> {
    let found = look(&place, &args.install_root).await?;
    if args.json {
        say::document(&found.report)?;
    } else {
        for line in text(&found.report, &shown) {
            say::line(&line);
        }
    }
    Ok(exit(&found.report))
}

/// 0: it works, if with warnings. 78 where only the configuration has to be corrected first.
fn exit(report: &Report) -> ExitCode {
    let failed = |line: &&Line| line.state == State::Fail;
    if report
        .lines
        .iter()
        .filter(failed)
        .any(|line| line.code == Some(Code::ConfigInvalid))
    {
        return ExitCode::from(BAD_CONFIGURATION);
    }
    match report.state {
        State::Ok | State::Warn => ExitCode::SUCCESS,
        State::Fail => ExitCode::FAILURE,
    }
}

/// Gathers everything and judges it.
pub(super) async fn look(place: &Request, install_root: &Path) -> Result<Found, Failure> {
    let clock = Clock::start();
    let loaded = config::load(place);
    let mut facts = vec![Fact::Configuration {
        file: place.path.display().to_string(),
        usable: loaded.config.is_some(),
        problems: loaded
            .problems
            .iter()
            .map(|problem| fact::Problem {
                is_error: problem.severity == Severity::Error,
                text: problem.to_string(),
            })
            .collect(),
    }];
    // A slip in one line keeps nobody from looking at the rest.
    let config = loaded.config.or_else(|| {
        let lenient = Request {
            strictness: Strictness::Lenient,
            ..place.clone()
        };
        config::load(&lenient).config
    });
    let state_dir = place
        .state_dir
        .clone()
        .or_else(|| Some(config.as_ref()?.station.state_dir.clone()))
        .unwrap_or_else(|| config::DEFAULT_STATE_DIR.into());
    if let Some(config) = &config {
        facts.push(checkup::secrets(config, &Environment::process()));
    }
    let (station, inside, status) = ask(&client::at(&state_dir)).await;
    let runs = matches!(station, fact::Station::Runs { .. });
    let is_stopped = station == fact::Station::Stopped;
    facts.push(Fact::Station(station));
    facts.extend(inside);
    let around = Around {
        config: config.clone(),
        state_dir: state_dir.clone(),
        install_root: install_root.to_owned(),
        runs,
    };
    let around = checkup::around(around, clock);
    let now = clock.now().wall;
    match config.as_ref().filter(|_| is_stopped) {
        Some(config) => {
            let secret: ReadSecret = Box::new(run::secret_quietly);
            let (around, alone) = tokio::join!(around, checkup::alone(config, &secret, now));
            facts.extend(around);
            facts.extend(alone);
        }
        // A station that does not answer may be at work all the same.
        None => facts.extend(around.await),
    }
    let name = config.as_ref().map_or("", |c| c.station.name.as_str());
    let version = env!("CARGO_PKG_VERSION");
    Ok(Found {
        report: doctor::report(name, version, utc(now), now, &facts),
        config,
        state_dir,
        status,
    })
}

/// Asks the running station for everything that is its own.
async fn ask(client: &client::Client) -> (fact::Station, Vec<Fact>, Option<Value>) {
    let silent = |failure: Failure| {
        let station = if failure.exit() == NO_STATION {
            fact::Station::Stopped
        } else {
            fact::Station::Silent {
                why: failure.to_string(),
            }
        };
        (station, Vec::new(), None)
    };
    let status = match client.get("/api/status").await {
        Ok(answer) => answer.good().and_then(|answer| answer.json()),
        Err(failure) => return silent(failure),
    };
    let status = match status {
        Ok(status) => status,
        Err(failure) => return silent(failure),
    };
    let inside = match client.get_waiting("/api/doctor", INSIDE).await {
        // An older station does not know the question.
        Ok(answer) if answer.status == StatusCode::NOT_FOUND => None,
        Ok(answer) => answer.good().and_then(|answer| answer.json()).ok(),
        Err(_) => None,
    };
    let facts: Vec<Fact> = inside
        .iter()
        .flat_map(|document| document["facts"].as_array().into_iter().flatten())
        // One of another version that is not known here is left out, and its version is told.
        .filter_map(|fact| serde_json::from_value(fact.clone()).ok())
        .collect();
    let station = fact::Station::Runs {
        version: member(&status, "version"),
        state: member(&status, "state"),
        health: status["health"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|trouble| {
                let code = serde_json::from_value(trouble["code"].clone()).ok();
                (code, member(trouble, "detail"))
            })
            .collect(),
        tells: inside.is_some(),
    };
    (station, facts, Some(status))
}

/// A time in UTC, for people and documents.
pub(super) fn utc(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| "unknown".to_owned(), |time| format!("{time:.0}"))
}

/// The report for people: one finding a line, its fix below it.
pub(super) fn text(report: &Report, shown: &dyn Fn(State) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for line in &report.lines {
        let subject = match line.name.as_str() {
            "" => line.check.to_owned(),
            name => format!("{} {}", line.check, say::plain(name)),
        };
        let code = line.code.filter(|_| line.state != State::Ok);
        let code = code.map(|code| format!("{code}: ")).unwrap_or_default();
        let what = say::plain(&line.what);
        lines.push(format!("{}  {subject}: {code}{what}", shown(line.state)));
        if let Some(fix) = &line.fix {
            lines.push(format!("      → {}", say::plain(fix)));
        }
    }
    let end = format!(
        "{} ok, {} to look at, {} failed",
        report.ok, report.warn, report.fail
    );
    lines.push(end);
    lines
}

fn shown(state: State) -> String {
    let tone = match state {
        State::Ok => Tone::Good,
        State::Warn => Tone::Look,
        State::Fail => Tone::Bad,
    };
    say::tone(tone, &format!("{:<4}", state.as_str()))
}
