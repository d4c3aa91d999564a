//! `printstation run`: the service.

use super::Failure;
use crate::config::model::Config;
use crate::config::secret::{Environment, Resolved, SecretRef};
use crate::config::{self, Request, Strictness};
use crate::runtime::{self, ComposeError, Exit, StartError};
use crate::update;
use secrecy::SecretString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Bad configuration: systemd must not try again (product.md section 5).
const BAD_CONFIGURATION: u8 = 78;
/// systemd tries again, and the slot guard counts (sysexits EX_TEMPFAIL).
const TRY_LATER: u8 = 75;

/// Reads the configuration. During a trial unknown keys are only warned about (contract 28), and
/// mistakes end with 75 instead of 78: systemd must start once more, so that the guard can go back to
/// the version that knew this file.
pub(super) fn load(place: &Request) -> Result<Config, Failure> {
    let lenient = Request {
        strictness: Strictness::Lenient,
        ..place.clone()
    };
    let state_dir = place
        .state_dir
        .clone()
        .or_else(|| Some(config::load(&lenient).config?.station.state_dir))
        .unwrap_or_else(|| config::DEFAULT_STATE_DIR.into());
    let on_trial =
        update::trial::read(&state_dir.join(update::STATE)).is_ok_and(|trial| trial.is_some());
    if !on_trial {
        return super::config::load_or_explain(place);
    }
    super::config::load_or_explain(&lenient).map_err(|failure| failure.with_exit(TRY_LATER))
}

/// Compose errors are mistakes of the configuration that show late; see [`load`].
fn bad_configuration(state_dir: &Path) -> u8 {
    match update::trial::read(&state_dir.join(update::STATE)) {
        Ok(Some(_)) => TRY_LATER,
        _ => BAD_CONFIGURATION,
    }
}

/// The hidden verb `db-check`: may hang or die over a damaged index, in a process of its own.
pub(super) fn db_check(dir: &Path) -> Result<ExitCode, Failure> {
    let orders = crate::ledger::db_check(dir).map_err(Failure::internal)?;
    super::say::line(&orders.to_string());
    Ok(ExitCode::SUCCESS)
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(config: Config, program: PathBuf) -> Result<ExitCode, Failure> {
    let mut term = signal(SignalKind::terminate())
        .map_err(|cause| Failure::cannot("SIGTERM cannot be waited for".to_owned(), cause))?;
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|cause| Failure::cannot("SIGINT cannot be waited for".to_owned(), cause))?;
    let state_dir = config.station.state_dir.clone();
    let started = runtime::start(runtime::Options {
        config,
        secret: Box::new(secret),
        program,
    })
    .await;
    let running = match started {
        Ok(running) => running,
        Err(error @ StartError::Compose(_)) => {
            return Err(
                Failure::cannot("the configuration cannot be used".to_owned(), error)
                    .with_exit(bad_configuration(&state_dir)),
            );
        }
        Err(error) => {
            return Err(Failure::cannot(
                "the station cannot start".to_owned(),
                error,
            ));
        }
    };
    ready_line(&running.ready)?;
    tracing::info!(web = running.ready.web, "ready");
    let exit = running
        .until(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await;
    match exit {
        Exit::Stopped => Ok(ExitCode::SUCCESS),
        Exit::Failed(why) => Err(Failure::internal(why)),
        Exit::GaveUp(why) => {
            Err(Failure::internal(format!("update-refused: {why}")).with_exit(TRY_LATER))
        }
    }
}

fn ready_line(ready: &runtime::Ready) -> Result<(), Failure> {
    let line = serde_json::to_string(ready)
        .map_err(|error| Failure::cannot("the ready line cannot be written".to_owned(), error))?;
    let mut out = std::io::stdout().lock();
    // A supervisor that closed stdout does not stop the station.
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("stdout is closed");
    }
    Ok(())
}

/// Reads a secret where its reference says, warning about places that others can read.
pub(crate) fn secret(key: &str, reference: &SecretRef) -> Result<SecretString, ComposeError> {
    let resolved = resolve(key, reference)?;
    if let Some(warning) = resolved.warning {
        tracing::warn!(key, warning, "secret");
    }
    Ok(resolved.secret)
}

/// The same, for whoever tells such places in his own way.
pub(super) fn secret_quietly(
    key: &str,
    reference: &SecretRef,
) -> Result<SecretString, ComposeError> {
    Ok(resolve(key, reference)?.secret)
}

fn resolve(key: &str, reference: &SecretRef) -> Result<Resolved, ComposeError> {
    reference
        .resolve(&Environment::process())
        .map_err(|error| ComposeError::Secret {
            key: key.to_owned(),
            why: error.to_string(),
        })
}
