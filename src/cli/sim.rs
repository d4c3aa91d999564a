//! `printstation sim`: the simulators alone. Its ready line names addresses and keys.

use super::args::{Sim, USAGE};
use super::{Failure, say};
use crate::sim::composition::{PrinterSpec, SimOptions};
use crate::sim::{self, Ready, cartoncloud, shopify, starshipit, webhook};
use std::process::ExitCode;

pub(super) async fn run(args: Sim) -> Result<ExitCode, Failure> {
    let options = options(args).map_err(|why| Failure::internal(why).with_exit(USAGE))?;
    let tell = |ready: Ready| {
        if let Err(failure) = say::document(&ready) {
            tracing::error!(%failure, "the ready line cannot be said");
        }
    };
    sim::run(options, tell)
        .await
        .map_err(|cause| Failure::cannot("the simulators cannot run".to_owned(), cause))?;
    Ok(ExitCode::SUCCESS)
}

/// What was typed as what is simulated; every wrong word names the right ones.
fn options(args: Sim) -> Result<SimOptions, String> {
    let mut options = SimOptions {
        starshipit: args.starshipit,
        accounts: starshipit::Account::several(usize::from(args.accounts)),
        state: args.state,
        seed: args.seed,
        orders: args.orders,
        nasty: args.nasty,
        order_status: args.order_status,
        out: args.out,
        cartoncloud: args.cartoncloud.map(|addr| cartoncloud::Options {
            addr,
            requests_per_minute: args.requests_per_minute,
            ..cartoncloud::Options::default()
        }),
        shopify: args.shopify.map(|addr| shopify::Options {
            addr,
            ..shopify::Options::default()
        }),
        webhook: args.webhook.map(|addr| webhook::Options {
            addr,
            ..webhook::Options::default()
        }),
        ..SimOptions::default()
    };
    if let Some(rate) = args.rate {
        options.rate = rate;
    }
    if let Some(latency) = args.latency {
        options.print_latency = latency;
    }
    for text in &args.printers {
        let printer: PrinterSpec = text.parse().map_err(|e| format!("--printer: {e}"))?;
        options.printers.push(printer);
    }
    for text in &args.switches {
        options
            .switch(text)
            .map_err(|why| format!("--switch: {why}"))?;
    }
    for text in &args.faults {
        options
            .fault(text)
            .map_err(|why| format!("--fault: {why}"))?;
    }
    Ok(options)
}
