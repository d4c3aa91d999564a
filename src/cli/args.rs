//! What can be typed: verbs, their options, and how wrong usage ends (exit code 64).

pub(super) use super::release::Release;
pub(super) use super::update::Update;
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Wrong usage (sysexits EX_USAGE; product.md section 5).
pub const USAGE: u8 = 64;

const AFTER_HELP: &str = "Exit codes: 0 done · 1 refused or failed (the code is printed) · 64 usage · \
69 no station running · 75 try later · 78 bad configuration.\n\
First steps: `printstation demo` needs no account, no printer and no root.";

/// Scan an order, get its label, and its tracking number where it belongs.
#[derive(Debug, Parser)]
#[command(name = "printstation", version, max_term_width = 100, after_help = AFTER_HELP)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Which station is meant.
#[derive(Clone, Debug, Args)]
pub(super) struct Place {
    /// Configuration file [default: $PRINTSTATION_CONFIG, else /etc/printstation/config.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// State folder [default: $PRINTSTATION_STATE_DIR, else station.state_dir of the configuration]
    #[arg(long, value_name = "DIR", global = true)]
    pub state_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The whole station on this machine, with simulated Starshipit and printer
    Demo(Demo),
    /// The service
    Run,
    /// Hand one scan to the running station and print the outcome
    Scan(Scan),
    /// What is going on
    Status(Status),
    /// The ledger's orders, newest first
    Orders(Orders),
    /// One order of the ledger
    Order(Order),
    /// Tracking numbers on their way: the list, and decisions about one of them
    Writebacks(Writebacks),
    /// A label file to printer bytes or pictures, without a station
    Render(Render),
    /// Checks everything the bench depends on; each line ok, warn or fail, with the fix
    Doctor(Doctor),
    /// Logs, state, configuration and the doctor's findings, without secrets and personal data
    SupportBundle(SupportBundle),
    /// Finds USB and network printers and says the configuration for each
    Printers(Printers),
    /// The ledger as CSV or NDJSON: labels, who, reprints and their reasons
    Export(Export),
    /// What could be a scanner here; with --bind, the one you scan with now
    Scanners(Scanners),
    /// Lights and sound of the configuration
    #[command(subcommand)]
    Lights(Lights),
    /// The command barcodes as a PDF
    Sheet(Sheet),
    /// The configuration: check it, show effective values, print an example
    #[command(subcommand)]
    Config(Config),
    /// Configuration, keys and open orders into one encrypted file
    Backup(Backup),
    /// A backup onto a fresh bench
    Restore(Restore),
    /// The simulators alone, on chosen ports, with faults
    Sim(Box<Sim>),
    /// Takes printstation.toml and site.toml over from the boot partition
    #[command(hide = true)]
    Provision(Provision),
    /// The signed update: look, install, go back
    Update(Update),
    /// Makes and signs releases, for whoever publishes them
    #[command(hide = true, subcommand)]
    Release(Release),
    /// Says which program this is, and whether it takes the configuration
    #[command(hide = true)]
    SelfCheck,
    /// Opens the index in DIR and reads it, as a process that may be killed
    #[command(hide = true)]
    DbCheck {
        /// The index
        dir: PathBuf,
    },
    /// Draws documents, limited, for the station
    #[command(hide = true)]
    RenderWorker,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Orders that changed since then: a date, a time (RFC 3339) or a span such as 7d
    #[arg(long, value_name = "T")]
    pub since: String,
    /// Only these columns, in this order: order, account, customer, …
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', conflicts_with_all = ["json", "report"])]
    pub columns: Vec<String>,
    /// Labels, reprints and REDOs counted by customer, person, reason, or several of them
    #[arg(long, value_name = "BY,…", value_delimiter = ',')]
    pub report: Vec<String>,
    /// One document per line instead of CSV
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Scanners {
    /// Wait for a scan and say the configuration of the scanner it came from
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "30s", value_parser = duration)]
    pub bind: Option<Duration>,
    /// One document per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Lights {
    /// Every output off, for ExecStopPost= of the service
    Off,
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// End by itself, with exit code 0
    #[arg(long)]
    pub once: bool,
    /// Only scan documents, one per line
    #[arg(long)]
    pub json: bool,
    /// Folder for the label pictures
    #[arg(long, value_name = "DIR", default_value = "printstation-demo")]
    pub out: PathBuf,
    /// Keep the station's state here instead of starting afresh
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Seed of the simulators
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

#[derive(Debug, Args)]
pub(super) struct Printers {
    /// One document
    #[arg(long)]
    pub json: bool,
    /// Only printers on USB: ask nobody on the network
    #[arg(long)]
    pub usb: bool,
    /// How long printers on the network may take to answer
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s")]
    pub wait: Duration,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// One document
    #[arg(long)]
    pub json: bool,
    /// Where the update's slots are
    #[arg(long, hide = true, default_value = crate::update::INSTALL_ROOT)]
    pub install_root: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct SupportBundle {
    /// Where to; `-`: standard output [default: printstation-support-TIME.tar.gz]
    #[arg(short, long, value_name = "OUT")]
    pub out: Option<PathBuf>,
    /// A log file to put in, where the station does not log into the journal
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// What was packed, as one document
    #[arg(long)]
    pub json: bool,
    /// Where the update's slots are
    #[arg(long, hide = true, default_value = crate::update::INSTALL_ROOT)]
    pub install_root: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Scan {
    /// What a scanner would read: an order, or a command barcode
    pub code: String,
    /// The scan document
    #[arg(long)]
    pub json: bool,
    /// How long to wait for the end of the act; 0s: do not wait
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub wait: Duration,
    /// Who scans; stands in the ledger
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Status {
    /// One document; with --watch one event per line
    #[arg(long)]
    pub json: bool,
    /// Go on showing what happens
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub(super) struct Orders {
    /// Part of a number, reference, tracking number or name
    pub query: Option<String>,
    /// Only orders in this state, e.g. in-doubt
    #[arg(long)]
    pub state: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: u16,
    /// One document per line
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Order {
    /// Order number or ledger id
    #[arg(value_name = "REF")]
    pub reference: String,
    /// The order document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Writebacks {
    #[command(subcommand)]
    pub verb: Option<WritebacksVerb>,
    /// Only those in this state: waiting, pending, done, unsupported or conflict
    #[arg(long)]
    pub state: Option<String>,
    /// One document per line
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum WritebacksVerb {
    /// Try again now
    Retry {
        /// Its id, or the order number where one alone is open
        id: String,
    },
    /// Another number stands there: say which one shall stay
    Resolve {
        /// Its id, or the order number where one alone is open
        id: String,
        /// Whose number stays
        #[arg(long, value_name = "WHOSE")]
        keep: Keep,
    },
}

/// Whose number stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Keep {
    /// The station's: it replaces what stands there
    Ours,
    /// What stands there: the writeback is done
    Theirs,
}

#[derive(Debug, Args)]
pub(super) struct Render {
    /// PDF, PNG, GIF or ZPL
    pub file: PathBuf,
    /// png, zpl, epl, tspl or escpos
    #[arg(long, value_name = "L", default_value = "png")]
    pub language: String,
    /// Dots per inch of the head
    #[arg(long, value_name = "N", default_value_t = 203, value_parser = clap::value_parser!(u16).range(100..=1200))]
    pub dpi: u16,
    /// Label size, e.g. 100x150mm or 4x6in
    #[arg(long, value_name = "WxH", default_value = "100x150mm")]
    pub media: String,
    /// Grey from which a dot stays white
    #[arg(long, value_name = "N", default_value_t = 150, value_parser = clap::value_parser!(u8).range(1..=254))]
    pub threshold: u8,
    /// Where to; `-`: standard output [default: the file's name with the language's ending]
    #[arg(short, long, value_name = "OUT")]
    pub out: Option<PathBuf>,
    /// What was made, as one document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Sheet {
    /// Where to; `-`: standard output
    #[arg(short, long, value_name = "OUT", default_value = "sheet.pdf")]
    pub out: PathBuf,
    /// The site's command prefix [default: scan.command_prefix of the configuration]
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// What was made, as one document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Every mistake, with file, line and what would be right
    Check {
        /// One document
        #[arg(long)]
        json: bool,
    },
    /// Effective values, every default written out; secrets are shown as references
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// A complete configuration to start from
    Example,
}

#[derive(Debug, Args)]
pub(super) struct Sim {
    /// Where Starshipit listens; port 0: the system chooses
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub starshipit: SocketAddr,
    /// Starshipit's accounts: main, account-2, account-3 and on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pub accounts: u8,
    /// Where CartonCloud listens; not simulated when left out
    #[arg(long, value_name = "ADDR")]
    pub cartoncloud: Option<SocketAddr>,
    /// Where Shopify listens; not simulated when left out
    #[arg(long, value_name = "ADDR")]
    pub shopify: Option<SocketAddr>,
    /// Where a receiver of webhooks listens; none when left out
    #[arg(long, value_name = "ADDR")]
    pub webhook: Option<SocketAddr>,
    /// A printer: NAME=ADDR,zpl or NAME=ADDR,escpos,203; may be repeated
    #[arg(long = "printer", value_name = "NAME=ADDR,LANGUAGE")]
    pub printers: Vec<String>,
    /// Folder for the printed labels
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Folder that survives a restart: orders, the money ledger, every write
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Seed of tracking numbers and chances
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Orders to make, WEB-20401 and on: in CartonCloud where it is simulated, else in Starshipit
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub orders: u32,
    /// Sale orders that trip integrators, as well
    #[arg(long, requires = "cartoncloud")]
    pub nasty: bool,
    /// Status of the sale orders that are made, e.g. PACKED
    #[arg(long, value_name = "STATUS", requires = "cartoncloud")]
    pub order_status: Option<String>,
    /// CartonCloud's limit; 0: none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub requests_per_minute: u32,
    /// Calls per second and subscription key; 0: no limit
    #[arg(long, value_name = "N")]
    pub rate: Option<u32>,
    /// An open question answered otherwise, e.g. S2=new-consignment or cartoncloud.stale=409; may be
    /// repeated
    #[arg(long = "switch", value_name = "NAME=WORD")]
    pub switches: Vec<String>,
    /// What goes wrong, e.g. starshipit:drop_after_commit:0.1; may be repeated
    #[arg(long = "fault", value_name = "FAULT")]
    pub faults: Vec<String>,
    /// How long the courier takes at a print
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub latency: Option<Duration>,
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// Where to; `-`: standard output
    #[arg(
        short,
        long,
        value_name = "OUT",
        default_value = "printstation.psbackup"
    )]
    pub out: PathBuf,
    /// The passphrase is this file's first line; `-`: standard input [default: $PRINTSTATION_PASSPHRASE, else asked]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// What was kept, as one document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// A file that `backup` wrote; `-`: standard input
    pub file: PathBuf,
    /// The passphrase is this file's first line; `-`: standard input [default: $PRINTSTATION_PASSPHRASE, else asked]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// What was put back, as one document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Provision {
    /// The boot partition
    #[arg(long, value_name = "DIR", default_value = "/boot/firmware")]
    pub boot: PathBuf,
    /// The configuration's folder
    #[arg(long, value_name = "DIR", default_value = "/etc/printstation")]
    pub etc: PathBuf,
    /// Drop-ins of the service
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/etc/systemd/system/printstation.service.d"
    )]
    pub drop_in: PathBuf,
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::domain::time::parse_duration(text)
        .ok_or_else(|| "a duration has a unit: 500ms, 30s, 2m".to_owned())
}

impl Cli {
    /// Reads the command line; help, version and wrong usage have been answered when this fails.
    ///
    /// # Errors
    /// The exit code: 0 for help and version, 64 for wrong usage.
    pub fn read() -> Result<Self, ExitCode> {
        use clap::{CommandFactory as _, FromArgMatches as _};
        let command = Self::command()
            .mut_subcommand("sim", |sim| sim.after_help(crate::sim::composition::help()));
        command
            .try_get_matches()
            .and_then(|matches| Self::from_arg_matches(&matches))
            .map_err(|error| {
                // A reader that has gone away changes nothing about the exit code.
                let _ = error.print();
                ExitCode::from(if error.use_stderr() { USAGE } else { 0 })
            })
    }

    /// This process is the station's worker: it must start nothing of its own.
    pub fn is_worker(&self) -> bool {
        matches!(self.verb, Verb::RenderWorker)
    }

    /// This process is the service, which logs by default.
    pub fn is_service(&self) -> bool {
        matches!(self.verb, Verb::Run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        assert!(Cli::try_parse_from(["p", "scan", "X", "--wait", "30"]).is_err());
        assert!(Cli::try_parse_from(["p", "scan", "X", "--wait", "30s"]).is_ok());
    }
}
