//! The command line: one file per verb; composition root, no logic.

mod args;
mod backup;
mod bundle;
mod client;
mod config;
pub mod demo;
mod doctor;
mod export;
mod failure;
mod lights;
pub mod log;
mod order;
mod orders;
mod output;
mod printers;
mod provision;
mod release;
mod render;
mod report;
pub mod run;
mod say;
mod scan;
mod scanners;
mod sheet;
mod sim;
mod status;
mod update;
mod writebacks;

pub use args::{Cli, USAGE};
pub use failure::Failure;

use crate::config::{Environment, Request};
use args::Verb;
use std::process::ExitCode;

/// Threads of the service: the ledger, the label worker and printers have their own.
const THREADS: usize = 2;

/// Does what was asked.
///
/// # Errors
/// Why it could not be done, with the exit code.
pub fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let place = Request::find(
        cli.place.config,
        cli.place.state_dir,
        &Environment::process(),
    );
    match cli.verb {
        Verb::RenderWorker => Ok(crate::label::worker::main()),
        Verb::SelfCheck => update::self_check(&place),
        Verb::Update(args) => update::run(args, &place),
        Verb::Release(verb) => release::run(verb),
        Verb::DbCheck { dir } => run::db_check(&dir),
        Verb::Config(verb) => config::run(&verb, &place),
        Verb::Backup(args) => backup::backup(&args, &place),
        Verb::Restore(args) => backup::restore(&args, &place),
        Verb::Provision(args) => provision::run(args),
        Verb::Render(args) => render::run(&args),
        Verb::Doctor(args) => quiet()?.block_on(Box::pin(doctor::run(args, place))),
        Verb::SupportBundle(args) => quiet()?.block_on(Box::pin(bundle::run(args, place))),
        Verb::Printers(args) => quiet()?.block_on(Box::pin(printers::run(&args))),
        Verb::Sheet(args) => sheet::run(&args, &place),
        Verb::Export(args) => quiet()?.block_on(Box::pin(export::run(args, client::find(&place)))),
        Verb::Scanners(args) => quiet()?.block_on(Box::pin(scanners::run(args))),
        Verb::Lights(args::Lights::Off) => lights::off(&place),
        Verb::Run => {
            let config = run::load(&place)?;
            busy()?.block_on(Box::pin(run::run(config, program()?)))
        }
        Verb::Demo(args) => {
            let options = demo::Options {
                once: args.once,
                json: args.json,
                out: args.out,
                state: args.state,
                seed: args.seed,
                program: program()?,
            };
            busy()?.block_on(Box::pin(demo::run(options)))
        }
        Verb::Sim(args) => busy()?.block_on(Box::pin(sim::run(*args))),
        Verb::Scan(args) => quiet()?.block_on(Box::pin(scan::run(args, client::find(&place)))),
        Verb::Status(args) => quiet()?.block_on(Box::pin(status::run(args, client::find(&place)))),
        Verb::Orders(args) => quiet()?.block_on(Box::pin(orders::run(args, client::find(&place)))),
        Verb::Order(args) => quiet()?.block_on(Box::pin(order::run(args, client::find(&place)))),
        Verb::Writebacks(args) => {
            quiet()?.block_on(Box::pin(writebacks::run(args, client::find(&place))))
        }
    }
}

/// This program, for the processes that the station starts.
fn program() -> Result<std::path::PathBuf, Failure> {
    std::env::current_exe()
        .map_err(|cause| Failure::cannot("this program cannot find itself".to_owned(), cause))
}

/// For verbs that serve.
fn busy() -> Result<tokio::runtime::Runtime, Failure> {
    runtime(tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS))
}

/// For verbs that ask one thing.
fn quiet() -> Result<tokio::runtime::Runtime, Failure> {
    runtime(&mut tokio::runtime::Builder::new_current_thread())
}

fn runtime(builder: &mut tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, Failure> {
    builder
        .enable_all()
        .build()
        .map_err(|cause| Failure::cannot("no threads can be started".to_owned(), cause))
}
