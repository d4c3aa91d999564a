//! All simulators together: what `printstation sim` and `printstation demo` start.

use crate::sim::starshipit::admin::Seed;
use crate::sim::starshipit::faults::{Fault, FaultKind};
use crate::sim::starshipit::{Account, Endpoint, Options, Server, Switches};
use serde::Serialize;
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What to simulate, as the command line says it.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Where Starshipit listens; port 0 lets the system choose.
    pub starshipit: SocketAddr,
    /// Starshipit's accounts.
    pub accounts: Vec<Account>,
    /// Directory that survives a restart; nothing survives when absent.
    pub state: Option<PathBuf>,
    /// Tracking numbers, chances of faults.
    pub seed: u64,
    /// Orders to make, `WEB-20401` and on, unless they are there already.
    pub orders: u32,
    /// Calls per second and subscription key; 0 = no limit.
    pub rate: u32,
    /// The open questions.
    pub switches: Switches,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// How long the courier takes at a print.
    pub print_latency: Duration,
}

impl Default for SimOptions {
    fn default() -> Self {
        let server = Options::default();
        Self {
            starshipit: server.addr,
            accounts: server.accounts,
            state: None,
            seed: server.seed,
            orders: 0,
            rate: server.requests_per_second,
            switches: server.switches,
            faults: server.faults,
            print_latency: server.print_latency,
        }
    }
}

/// The line that says what was started: addresses and keys (contract 25).
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    event: &'static str,
    /// Where Starshipit is and who may call it.
    pub starshipit: StarshipitReady,
}

/// Starshipit's part of [`Ready`].
#[derive(Clone, Debug, Serialize)]
pub struct StarshipitReady {
    /// Base URL; `/_sim/` is the admin door.
    pub url: String,
    /// Base URL of the admin door alone, which answers while the network is down.
    pub admin: String,
    /// Names and keys.
    pub accounts: Vec<Account>,
}

/// Running simulators. Dropping them stops them.
#[derive(Debug)]
pub struct Sims {
    /// Starshipit.
    pub starshipit: Server,
}

impl Sims {
    /// Starts everything and makes the orders.
    ///
    /// # Errors
    /// When an address is taken or the state directory cannot be used.
    pub async fn start(options: SimOptions) -> io::Result<Self> {
        let starshipit = Server::start(Options {
            addr: options.starshipit,
            // A folder each, so that simulators that come later do not share file names.
            state: options.state.map(|dir| dir.join("starshipit")),
            seed: options.seed,
            accounts: options.accounts,
            requests_per_second: options.rate,
            switches: options.switches,
            faults: options.faults,
            print_latency: options.print_latency,
            ..Options::default()
        })
        .await?;
        let known: HashSet<String> = starshipit.order_numbers().into_iter().collect();
        for seed in sample_orders(options.orders) {
            if !known.contains(&seed.number) {
                starshipit.add_order(seed)?;
            }
        }
        Ok(Self { starshipit })
    }

    /// What was started.
    pub fn ready(&self) -> Ready {
        Ready {
            event: "ready",
            starshipit: StarshipitReady {
                url: self.starshipit.url(),
                admin: self.starshipit.admin_url(),
                accounts: self.starshipit.accounts().to_vec(),
            },
        }
    }

    /// Stops everything; see [`Server::stop`].
    pub async fn stop(self) {
        self.starshipit.stop().await;
    }
}

/// Starts the simulators, hands over what was started, and runs until SIGTERM or SIGINT.
///
/// # Errors
/// When something cannot be started, or signals cannot be waited for.
pub async fn run(options: SimOptions, ready: impl FnOnce(Ready)) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    // Before the ready line: whoever reads it may stop us at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sims = Sims::start(options).await?;
    ready(sims.ready());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sims.stop().await;
    Ok(())
}

/// Number of the first order that `--orders` makes.
pub const FIRST_ORDER: u32 = 20_401;

/// A mixture as benches have it: one parcel, several, no courier yet; and once each, as far as `n`
/// reaches: no weight anywhere, labelled elsewhere, archived.
pub fn sample_orders(n: u32) -> impl Iterator<Item = Seed> {
    (0..n).map(|i| {
        let plain = Seed {
            reference: Some(format!("SO-{}", 7000 + i)),
            carrier: Some(["AusPost", "PlainLabel", "CouriersPlease"][(i % 3) as usize].into()),
            items: vec![
                ("MUG-BLU".into(), f64::from(1 + i % 4)),
                ("TEA-500".into(), 1.0),
            ],
            ..Seed::number(format!("WEB-{}", FIRST_ORDER + i))
        };
        match i {
            4 => Seed {
                parcels: vec![None],
                ..plain
            },
            5 => Seed {
                printed: true,
                ..plain
            },
            6 => Seed {
                archived: true,
                ..plain
            },
            _ => match i % 4 {
                1 => Seed {
                    parcels: vec![Some(1.2); (2 + i / 4 % 2) as usize],
                    ..plain
                },
                2 => Seed {
                    carrier: None,
                    ..plain
                },
                _ => plain,
            },
        }
    })
}

/// Switches, faults and calls as text, for `printstation sim --help`.
pub fn help() -> String {
    let mut text = String::from("Switches (--switch NAME=WORD; the first word is the default):\n");
    for switch in Switches::TABLE {
        text.push_str(&format!("  {}: {}\n", switch.name, switch.about));
        for (word, meaning) in switch.words {
            text.push_str(&format!("      {word:<16} {meaning}\n"));
        }
    }
    text.push_str("\nFaults (--fault starshipit:KIND[:CHANCE[:CALL]]):\n");
    for (kind, meaning) in FaultKind::TABLE {
        text.push_str(&format!("  {kind:<24} {meaning}\n"));
    }
    text.push_str("  CHANCE is 0.0 to 1.0, once, 3x, or always (the default).\n  CALL is ");
    let calls: Vec<&str> = Endpoint::ALL.iter().map(|e| e.name()).collect();
    text.push_str(&calls.join(", "));
    text.push_str(".\n");
    text
}
