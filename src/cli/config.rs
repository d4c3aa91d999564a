//! `printstation config`: check, show, example; and the way in for `run`.

use super::Failure;
use super::args::Config as Verb;
use super::say::{self, Tone};
use crate::config::{self, Config, EXAMPLE, Problem, Request, Severity};
use serde_json::json;
use std::process::ExitCode;

/// Bad configuration (sysexits EX_CONFIG; product.md section 5).
const BAD_CONFIGURATION: u8 = 78;

pub(super) fn run(verb: &Verb, place: &Request) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Check { json } => check(place, *json),
        Verb::Show { json } => show(place, *json),
        Verb::Example => {
            say::line(EXAMPLE.trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(place: &Request, json: bool) -> Result<ExitCode, Failure> {
    let loaded = config::load(place);
    let ok = loaded.config.is_some();
    if json {
        let file = place.path.display().to_string();
        say::document(&json!({ "ok": ok, "file": file, "problems": loaded.problems }))?;
    } else {
        for problem in &loaded.problems {
            say::line(&shown(problem));
        }
        if let Some(config) = &loaded.config {
            say::line(&format!(
                "{} {}: {} account(s), {} route(s), {} printer(s), {} scanner(s)",
                say::tone(Tone::Good, "ok"),
                place.path.display(),
                config.starshipit.accounts.len(),
                config.routes.len(),
                config.printers.len(),
                config.scanners.len(),
            ));
        }
    }
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(BAD_CONFIGURATION)
    })
}

fn show(place: &Request, json: bool) -> Result<ExitCode, Failure> {
    let config = load_or_explain(place)?;
    if json {
        say::document(&config)?;
    } else {
        let text = config
            .to_toml()
            .map_err(|cause| Failure::cannot("the values cannot be shown".to_owned(), cause))?;
        say::line(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// The configuration; warnings go to the log, errors end the program with 78.
pub(super) fn load_or_explain(place: &Request) -> Result<Config, Failure> {
    match config::load(place).into_result() {
        Ok((config, warnings)) => {
            super::log::start(config.log.format, super::log::SERVICE);
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            Ok(config)
        }
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(Failure::internal(format!(
                "config-invalid: the configuration has mistakes\n{}",
                lines.join("\n")
            ))
            .with_exit(BAD_CONFIGURATION))
        }
    }
}

fn shown(problem: &Problem) -> String {
    let text = say::plain(&problem.to_string());
    match problem.severity {
        Severity::Error => say::tone(Tone::Bad, &text),
        Severity::Warning => say::tone(Tone::Look, &text),
    }
}
