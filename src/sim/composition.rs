//! All simulators together: what `printstation sim` and `printstation demo` start.

use crate::sim::printer::{self, Speaks};
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
    /// Printers.
    pub printers: Vec<PrinterSpec>,
    /// Directory for one PNG per printed label.
    pub out: Option<PathBuf>,
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
            printers: Vec::new(),
            out: None,
        }
    }
}

/// A simulated printer, as `--printer` says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrinterSpec {
    /// Its name.
    pub name: String,
    /// Where it listens; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// What it understands.
    pub language: Speaks,
    /// Dots per inch.
    pub dpi: u32,
}

/// A `--printer` text that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no printer ({why}): NAME=ADDR:PORT,LANGUAGE[,DPI]; LANGUAGE is zpl, escpos, epl, tspl or brother-ql"
)]
pub struct PrinterSpecError {
    text: String,
    why: &'static str,
}

impl std::str::FromStr for PrinterSpec {
    type Err = PrinterSpecError;

    /// `NAME=ADDR:PORT[,LANGUAGE[,DPI]]`; ZPL at 203 dpi when left out.
    fn from_str(text: &str) -> Result<Self, PrinterSpecError> {
        let error = |why| PrinterSpecError {
            text: text.to_owned(),
            why,
        };
        let (name, rest) = text.split_once('=').ok_or(error("no name"))?;
        // The name becomes part of a file name.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            return Err(error("a name is letters, digits, - and _"));
        }
        let mut parts = rest.split(',').map(str::trim);
        let addr = parts
            .next()
            .and_then(|a| a.parse().ok())
            .ok_or(error("no address"))?;
        let language = match parts.next() {
            None | Some("zpl") => Speaks::Zpl,
            Some("escpos") => Speaks::Escpos,
            Some("epl") => Speaks::Epl,
            Some("tspl") => Speaks::Tspl,
            Some("brother-ql") => Speaks::BrotherQl,
            Some(_) => return Err(error("it speaks zpl, escpos, epl, tspl or brother-ql")),
        };
        let dpi = match parts.next().map(str::parse) {
            None => 203,
            Some(Ok(dpi)) if (100..=600).contains(&dpi) => dpi,
            Some(_) => return Err(error("dpi is 100 to 600")),
        };
        if parts.next().is_some() {
            return Err(error("too many parts"));
        }
        Ok(Self {
            name: name.to_owned(),
            addr,
            language,
            dpi,
        })
    }
}

impl PrinterSpec {
    async fn start(&self, out: Option<PathBuf>) -> io::Result<printer::Server> {
        let mut options = printer::Options::new(self.name.as_str(), self.language);
        // A 104 mm head, and a label of 150 mm, whatever the resolution.
        options.width_dots = options.width_dots * self.dpi / options.dpi;
        options.height_dots = options.height_dots * self.dpi / options.dpi;
        options.dpi = self.dpi;
        printer::Server::start(self.addr, options, out).await
    }
}

/// The line that says what was started: addresses and keys (contract 25).
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    event: &'static str,
    /// Where Starshipit is and who may call it.
    pub starshipit: StarshipitReady,
    /// Printers by name.
    pub printers: Vec<PrinterReady>,
}

/// A printer's part of [`Ready`].
#[derive(Clone, Debug, Serialize)]
pub struct PrinterReady {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addr: SocketAddr,
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
    /// Printers by name, in the order given.
    pub printers: Vec<(String, printer::Server)>,
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
        let mut printers = Vec::with_capacity(options.printers.len());
        for spec in options.printers {
            let server = spec.start(options.out.clone()).await?;
            printers.push((spec.name, server));
        }
        Ok(Self {
            starshipit,
            printers,
        })
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
            printers: self
                .printers
                .iter()
                .map(|(name, server)| PrinterReady {
                    name: name.clone(),
                    addr: server.addr(),
                })
                .collect(),
        }
    }

    /// Stops everything; see [`Server::stop`]. Printers are switched off by being dropped.
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
