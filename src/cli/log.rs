//! The log: standard error, for people, for the journal, or for machines.

use crate::config::model::LogFormat;
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged when `$PRINTSTATION_LOG` does not say (`debug`, `printstation::web=debug`, …).
const SERVICE: &str = "info";
const OTHERS: &str = "warn";

/// Starts the log. The first call wins.
pub fn start(format: LogFormat, is_service: bool) {
    let default = if is_service { SERVICE } else { OTHERS };
    let filter =
        EnvFilter::try_from_env("PRINTSTATION_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // systemd says so when standard error is the journal, which adds time and name itself.
    let in_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    // Its own socket takes fields: `journalctl PRINTSTATION_ORDER=WEB-1`.
    if format == LogFormat::Auto
        && in_journal
        && let Ok(journal) = tracing_journald::layer()
    {
        let journal = journal.with_field_prefix(Some("PRINTSTATION".to_owned()));
        let registry = tracing_subscriber::registry().with(filter).with(journal);
        if let Err(error) = registry.try_init() {
            tracing::debug!(%error, "the log has been started already");
        }
        return;
    }
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_span_events(FmtSpan::NONE)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let started = match format {
        LogFormat::Json => log.json().flatten_event(true).try_init(),
        LogFormat::Auto if in_journal => log.without_time().with_ansi(false).try_init(),
        LogFormat::Auto | LogFormat::Text => log.try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(error, "the log has been started already");
    }
}
