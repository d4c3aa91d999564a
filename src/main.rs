//! printstation: scan an order, get its label, and its tracking number where it belongs.

use printstation::cli::{self, Cli};
use printstation::config::model::LogFormat;
use printstation::label;
use printstation::system;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::read() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    if cli.is_worker() {
        // Before any thread, log or runtime: the worker limits itself first.
        return label::worker::main();
    }
    if cli.is_service() {
        system::memory::no_huge_pages();
    }
    // The service starts its log when it knows the configured format.
    if !cli.is_service() {
        cli::log::start(LogFormat::Auto, cli.log_level());
    }
    match cli::dispatch(cli) {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}
