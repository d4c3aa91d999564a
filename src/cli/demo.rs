//! `printstation demo`: the whole station on this machine, with simulated CartonCloud, Starshipit,
//! Shopify and printer.
//!
//! A real station (ledger on disk, worker process, sockets) works against simulators in the same
//! process. Stdout tells the story for people; with `--json` it has one scan document per line and
//! nothing else.
//!
//! Over 500 lines because it is one play: stage, scenes and teller are read together.

use super::Failure;
use crate::config::{self, Strictness};
use crate::domain::{Outcome, ScanReply, ScanText, Source};
use crate::runtime::{self, Bench, Event, Exit, Request, Running};
use crate::sim;
use crate::sim::cartoncloud;
use crate::sim::printer::{Fault as PrinterFault, Server as PrinterServer, Speaks};
use crate::sim::shopify;
use crate::sim::starshipit::admin::Seed;
use crate::sim::starshipit::faults::{Fault, FaultKind};
use crate::sim::starshipit::{Account, Endpoint, Network, Server};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;

/// Prefix of the demo's command barcodes.
const PREFIX: &str = "PSDEMO.";
/// No scan of the demo takes longer on any machine it is meant for.
const PATIENCE: Duration = Duration::from_secs(90);
/// The merchant of the sale orders, by the simulated CartonCloud's code.
const MERCHANT: &str = "TEA";
/// Sale orders, by their reference; the first is shipped online, the others while the network is gone.
const SALES: &[&str] = &["SO-1001", "SO-1002", "SO-1003"];
/// A sale order whose courier may be asked before its scan.
const AHEAD: &str = "SO-1004";
/// What is scanned while the network is gone.
const WAITING: &[&str] = &[
    "WEB-20409",
    "WEB-20410",
    "WEB-20411",
    "WEB-20412",
    "WEB-20413",
    "WEB-20414",
    "WEB-20415",
    "WEB-20416",
    "SO-1002",
    "SO-1003",
];
/// What a courier takes at best.
const COURIER: Duration = Duration::from_millis(300);

/// What the command line asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// End by itself.
    pub once: bool,
    /// Scan documents only.
    pub json: bool,
    /// Where the label pictures go.
    pub out: PathBuf,
    /// Keep the ledger here; a fresh one that is removed at the end when absent.
    pub state: Option<PathBuf>,
    /// Seed of the simulators.
    pub seed: u64,
    /// This program, for the worker process.
    pub program: PathBuf,
}

/// Runs the demo.
pub async fn run(options: Options) -> Result<ExitCode, Failure> {
    let labels = options.out.join("labels");
    crate::system::durable::create_dir_all(&labels).map_err(|cause| {
        Failure::cannot(
            format!("the folder {} cannot be made", labels.display()),
            cause,
        )
    })?;
    let fresh = options.state.is_none();
    let state = options
        .state
        .clone()
        .unwrap_or_else(|| options.out.join(format!("state-{}", std::process::id())));
    let ended = play(&options, &labels, &state).await;
    if fresh && let Err(error) = std::fs::remove_dir_all(&state) {
        tracing::debug!(%error, "the demo's state could not be removed");
    }
    ended
}

async fn play(options: &Options, labels: &Path, state: &Path) -> Result<ExitCode, Failure> {
    let mut stage = Stage::open(options, labels, state).await?;
    let played = stage.scenes().await;
    match played {
        Ok(()) => stage.close(options, labels).await,
        Err(failure) => Err(failure),
    }
}

/// Everything that is on stage.
struct Stage {
    starshipit: Server,
    cartoncloud: cartoncloud::Server,
    shopify: shopify::Server,
    printer: PrinterServer,
    station: Running,
    bench: Bench,
    events: tokio::sync::broadcast::Receiver<Event>,
    teller: Teller,
}

impl Stage {
    async fn open(options: &Options, labels: &Path, state: &Path) -> Result<Self, Failure> {
        let cannot = |what: &str| {
            let what = what.to_owned();
            move |cause: std::io::Error| Failure::cannot(what, cause)
        };
        let starshipit = Server::start(sim::starshipit::Options {
            seed: options.seed,
            requests_per_second: 20,
            print_latency: COURIER,
            ..sim::starshipit::Options::default()
        })
        .await
        .map_err(cannot("the simulated Starshipit does not start"))?;
        for seed in orders() {
            starshipit
                .add_order(seed)
                .map_err(cannot("the simulated Starshipit takes no order"))?;
        }
        let cartoncloud = cartoncloud::Server::start(cartoncloud::Options {
            seed: options.seed,
            ..cartoncloud::Options::default()
        })
        .await
        .map_err(cannot("the simulated CartonCloud does not start"))?;
        let shopify = shopify::Server::start(shopify::Options {
            seed: options.seed,
            shops: vec![shopify::Shop::of(MERCHANT)],
            ..shopify::Options::default()
        })
        .await
        .map_err(cannot("the simulated Shopify does not start"))?;
        for reference in SALES.iter().chain([&AHEAD]) {
            let id = shopify
                .add_order(shopify::Seed {
                    name: (*reference).to_owned(),
                    ..shopify::Seed::default()
                })
                .map_err(cannot("the simulated Shopify takes no order"))?;
            let mut seed = cartoncloud::Seed {
                customer: MERCHANT.to_owned(),
                ..cartoncloud::Seed::reference(*reference)
            };
            seed.properties
                .insert("shopifyOrderId".to_owned(), id.into());
            if *reference == AHEAD {
                seed.properties
                    .insert("courier".to_owned(), "AusPost".into());
            }
            cartoncloud
                .add_order(seed)
                .map_err(cannot("the simulated CartonCloud takes no order"))?;
        }
        let printer = PrinterServer::start(
            SocketAddr::from(([127, 0, 0, 1], 0)),
            sim::printer::Options::new("label", Speaks::Zpl),
            Some(labels.to_owned()),
        )
        .await
        .map_err(cannot("the simulated printer does not start"))?;
        let account = starshipit
            .accounts()
            .first()
            .cloned()
            .ok_or_else(|| Failure::internal("the simulated Starshipit has no account"))?;
        let shop = shopify::Shop::of(MERCHANT);
        let text = configuration(&Places {
            starshipit: &starshipit.url(),
            cartoncloud: &cartoncloud.url(),
            tenant: cartoncloud.tenant_id(),
            shop: &shop.shop,
            shopify: &shopify.base_url(&shop.shop),
            printer: &printer.addr().to_string(),
            state,
        });
        let keys = Keys {
            account,
            client_id: cartoncloud.client_id().to_owned(),
            client_secret: cartoncloud.client_secret().to_owned(),
            shop: shop.access_token,
        };
        let (config, _) = config::parse(None, ("demo", &text), None, Strictness::Strict)
            .into_result()
            .map_err(|problems| {
                Failure::internal(format!("the demo's configuration: {problems:?}"))
            })?;
        let station = runtime::start(runtime::Options {
            config,
            secret: Box::new(move |key, _| Ok(keys.secret(key))),
            program: options.program.clone(),
        })
        .await
        .map_err(|error| Failure::cannot("the station does not start".to_owned(), error))?;
        let bench = station.bench.clone();
        let events = bench.events();
        Ok(Self {
            starshipit,
            cartoncloud,
            shopify,
            printer,
            station,
            bench,
            events,
            teller: Teller::new(options.json),
        })
    }

    async fn scenes(&mut self) -> Result<(), Failure> {
        self.teller.welcome(&self.station.ready.web);

        self.teller
            .scene("One scan: the label comes out, the tracking number is kept.");
        self.scan("WEB-20401").await?;

        self.teller
            .scene("The same order again by mistake: nothing prints twice. REPRINT does.");
        self.scan("web-20401").await?;
        self.scan("PSDEMO.REPRINT").await?;

        self.teller.scene("Three parcels: three labels, in order.");
        self.scan("WEB-20402").await?;

        self.teller
            .scene("Labelled in Starshipit's own app: fetched, never bought again.");
        self.scan("WEB-20403").await?;
        self.scan("PSDEMO.YES").await?;

        self.teller
            .scene("No weight anywhere: nothing is bought until the scale has spoken.");
        self.scan("WEB-20404").await?;
        self.scan("PSDEMO.WEIGHT-1.25").await?;

        self.teller.scene("Cancelled, and unknown.");
        self.scan("WEB-20405").await?;
        self.scan("WEB-99999").await?;

        self.teller
            .scene("The courier's reply is lost after the sale: looked up, not bought twice.");
        self.starshipit.set_faults(vec![Fault::once(
            FaultKind::DropAfterCommit,
            Some(Endpoint::Print),
        )]);
        self.scan("WEB-20406").await?;
        self.starshipit.set_faults(Vec::new());

        self.teller
            .scene("REDO, and the order again: a new shipment replaces the old one.");
        self.scan("PSDEMO.REDO").await?;
        self.scan("WEB-20406").await?;

        self.teller
            .scene("The roll is empty: the label waits, and prints when the new roll is in.");
        self.printer.set(PrinterFault::PaperOut);
        let waiting = self.begin("WEB-20407").await?;
        self.until_printer_asks_for_a_hand().await?;
        self.teller
            .note("the lamp asks for a hand; a new roll goes in …");
        self.printer.clear();
        self.finish("WEB-20407", waiting).await?;

        self.teller
            .scene("The cable is pulled in the middle of a label: the station asks.");
        self.printer.set(PrinterFault::CutAfter { bytes: 4_000 });
        self.scan("WEB-20408").await?;
        self.printer.clear();
        self.scan("PSDEMO.REPRINT").await?;

        self.site().await?;
        self.offline().await
    }

    /// A sale order of CartonCloud, from PACKED to its tracking number in both systems.
    async fn site(&mut self) -> Result<(), Failure> {
        self.teller.scene(
            "A sale order is PACKED in CartonCloud: it goes to Starshipit by itself, and its number comes back.",
        );
        self.pack(SALES[0])?;
        self.wait_for("the sale order is in Starshipit", |stage| {
            stage
                .starshipit
                .order_numbers()
                .iter()
                .any(|n| n == SALES[0])
        })
        .await?;
        self.teller.note(&format!(
            "{} is in Starshipit; the packer scans it:",
            SALES[0]
        ));
        let live = self.scan(SALES[0]).await?;
        self.wait_for("the number is written back", |stage| {
            stage.is_written(SALES[0])
        })
        .await?;
        self.told(SALES[0]);
        self.ahead(&live).await
    }

    /// A label that is there before its scan, beside one that was not.
    async fn ahead(&mut self, live: &ScanReply) -> Result<(), Failure> {
        self.teller.scene(
            "The next one goes by a courier that may be asked ahead: its label is there before the scan.",
        );
        self.pack(AHEAD)?;
        let ready = async {
            loop {
                let glance = self.bench.glance().await.ok();
                if glance.is_some_and(|g| g.ahead.unused == 1 && g.ahead.ready == 1) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ready)
            .await
            .map_err(|_| Failure::internal("no label was bought ahead"))?;
        self.teller.note(&format!(
            "{AHEAD} is bought, drawn and held; the packer scans it:"
        ));
        let held = self.scan(AHEAD).await?;
        if let (Some(live), Some(held)) = (live.timings_ms.total, held.timings_ms.total) {
            self.teller.note(&format!(
                "from scan to label: {held} ms for {AHEAD} that lay ready, {live} ms for {} that was bought at its scan",
                SALES[0]
            ));
        }
        self.wait_for("its number is written back after the scan", |stage| {
            stage.is_written(AHEAD)
        })
        .await?;
        self.told(AHEAD);
        Ok(())
    }

    fn pack(&self, reference: &str) -> Result<(), Failure> {
        self.cartoncloud
            .set_status(reference, "PACKED")
            .map(drop)
            .map_err(|cause| {
                Failure::cannot("the simulated CartonCloud packs nothing".to_owned(), cause)
            })
    }

    /// Where a sale order's number stands: CartonCloud's consignment and the shop's fulfilment.
    fn places(&self, reference: &str) -> (Option<String>, Option<String>) {
        let consignment = self
            .cartoncloud
            .orders()
            .into_iter()
            .find(|order| order.reference == reference)
            .and_then(|order| order.consignments.into_iter().next())
            .map(|consignment| consignment.tracking)
            .filter(|tracking| !tracking.is_empty());
        let shop = self
            .shopify
            .orders()
            .into_iter()
            .find(|order| order.name == reference)
            .and_then(|order| order.fulfillments.into_iter().next())
            .and_then(|fulfilment| fulfilment.numbers.into_iter().next());
        (consignment, shop)
    }

    fn is_written(&self, reference: &str) -> bool {
        let (consignment, shop) = self.places(reference);
        consignment.is_some() && consignment == shop
    }

    fn told(&self, reference: &str) {
        if let (Some(consignment), Some(shop)) = self.places(reference) {
            self.teller.note(&format!(
                "{reference}: {consignment} in CartonCloud's consignment, {shop} in the shop"
            ));
        }
    }

    async fn wait_for(&self, what: &str, so: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        let waiting = async {
            while !so(self) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .map_err(|_| Failure::internal(format!("not in time: {what}")))
    }

    /// Pulls the plug, scans on, and plugs it in again.
    async fn offline(&mut self) -> Result<(), Failure> {
        self.teller
            .scene("The internet is gone: scans are kept, nothing is lost.");
        self.cartoncloud
            .set_network(sim::cartoncloud::Network::Refused);
        self.shopify.set_network(sim::shopify::Network::Refused);
        self.starshipit.set_network(Network::Refused);
        // In the warehouse's own system work goes on; the bench cannot see it.
        for sale in &SALES[1..] {
            self.pack(sale)?;
        }
        for order in WAITING {
            self.scan(order).await?;
        }
        self.teller
            .note("what was printed before can still be reprinted from the bench's own card:");
        self.scan("WEB-20401").await?;
        self.scan("PSDEMO.REPRINT").await?;
        self.teller
            .scene("It is back: RESUME releases what waited, each label behind its ticket.");
        self.starshipit.set_network(Network::Up);
        self.cartoncloud.set_network(sim::cartoncloud::Network::Up);
        self.shopify.set_network(sim::shopify::Network::Up);
        while self.events.try_recv().is_ok() {}
        self.scan("PSDEMO.RESUME").await?;
        let mut left = WAITING.len();
        while left > 0 {
            let (scanned, reply) = self.next_answer().await?;
            if scanned.starts_with(PREFIX) {
                continue;
            }
            left -= 1;
            self.teller.answer(&scanned, &reply);
        }
        for sale in &SALES[1..] {
            self.wait_for("every number is written back", |stage| {
                stage.is_written(sale)
            })
            .await?;
            self.told(sale);
        }
        Ok(())
    }

    async fn begin(
        &self,
        text: &str,
    ) -> Result<tokio::sync::mpsc::Receiver<runtime::Said>, Failure> {
        let text = ScanText::parse(text)
            .map_err(|error| Failure::internal(format!("the demo scans nonsense: {error}")))?;
        let source = Source {
            trigger: "demo".to_owned(),
            user: None,
        };
        self.bench
            .ask(Request::Scan(text, source))
            .await
            .map_err(|error| Failure::internal(error.to_string()))
    }

    async fn finish(
        &mut self,
        scanned: &str,
        mut said: tokio::sync::mpsc::Receiver<runtime::Said>,
    ) -> Result<ScanReply, Failure> {
        let last = async {
            while let Some(said) = said.recv().await {
                if said.last {
                    return Some(said.reply);
                }
            }
            None
        };
        let reply = tokio::time::timeout(PATIENCE, last)
            .await
            .map_err(|_| Failure::internal(format!("{scanned} was not answered in time")))?
            .ok_or_else(|| Failure::internal("the station has stopped"))?;
        self.teller.answer(scanned, &reply);
        Ok(reply)
    }

    async fn scan(&mut self, text: &str) -> Result<ScanReply, Failure> {
        let said = self.begin(text).await?;
        self.finish(text, said).await
    }

    async fn until_printer_asks_for_a_hand(&mut self) -> Result<(), Failure> {
        let asked = async {
            loop {
                match self.events.recv().await {
                    Ok(Event::Signal(crate::domain::Signal::PrinterNeedsHand)) => return true,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return false,
                }
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Failure::internal("the printer was not found empty")),
        }
    }

    /// The next last answer of any scan.
    async fn next_answer(&mut self) -> Result<(String, ScanReply), Failure> {
        let answer = async {
            loop {
                match self.events.recv().await {
                    Ok(Event::Answer { scanned, said, .. }) if said.last => {
                        return Some((scanned, said.reply));
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        };
        tokio::time::timeout(PATIENCE, answer)
            .await
            .ok()
            .flatten()
            .ok_or_else(|| Failure::internal("what was queued has not been released in time"))
    }

    async fn close(self, options: &Options, labels: &Path) -> Result<ExitCode, Failure> {
        let sales = self.starshipit.sales();
        let cents: u64 = sales.iter().map(|sale| sale.price_cents).sum();
        let printed = self.printer.labels().len();
        // The simulated printer draws its pictures behind; they are part of what the demo leaves.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while pictures(labels) < printed && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.teller.sum(sales.len(), cents, printed, labels);
        if !options.once {
            self.teller
                .note("The station goes on. Scan on its page, or stop it with Ctrl-C.");
        }
        let once = options.once;
        let exit = self
            .station
            .until(async move {
                if !once && let Err(error) = tokio::signal::ctrl_c().await {
                    tracing::warn!(%error, "Ctrl-C cannot be waited for");
                }
            })
            .await;
        match exit {
            Exit::Stopped => Ok(ExitCode::SUCCESS),
            Exit::Failed(why) | Exit::GaveUp(why) => Err(Failure::internal(why)),
        }
    }
}

/// Finished pictures in a folder.
fn pictures(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "png"))
        .count()
}

/// The orders of the story.
fn orders() -> Vec<Seed> {
    let order = |number: &str, name: &str| Seed {
        number: number.to_owned(),
        recipient: BTreeMap::from([
            ("name".to_owned(), name.to_owned()),
            ("street".to_owned(), "12 Sample Street".to_owned()),
            ("suburb".to_owned(), "Carlton".to_owned()),
            ("state".to_owned(), "VIC".to_owned()),
            ("post_code".to_owned(), "3053".to_owned()),
            ("country".to_owned(), "Australia".to_owned()),
        ]),
        ..Seed::default()
    };
    let mut all = vec![
        order("WEB-20401", "Pat Example"),
        Seed {
            parcels: vec![Some(2.0), Some(3.5), Some(1.1)],
            ..order("WEB-20402", "Sam Sample")
        },
        Seed {
            printed: true,
            ..order("WEB-20403", "Alex Muster")
        },
        Seed {
            parcels: vec![None],
            ..order("WEB-20404", "Kim Exempel")
        },
        Seed {
            archived: true,
            ..order("WEB-20405", "Jo Voorbeeld")
        },
    ];
    for n in 20406..=20416 {
        all.push(order(&format!("WEB-{n}"), "Chris Esempio"));
    }
    all
}

/// Where everything is.
struct Places<'a> {
    starshipit: &'a str,
    cartoncloud: &'a str,
    tenant: &'a str,
    shop: &'a str,
    shopify: &'a str,
    printer: &'a str,
    state: &'a Path,
}

fn configuration(places: &Places<'_>) -> String {
    let Places {
        starshipit,
        cartoncloud,
        tenant,
        shop,
        shopify,
        printer,
        state,
    } = places;
    format!(
        r#"[station]
name = "demo"
state_dir = {state:?}
duties = ["push", "prefetch"]
[scan]
command_prefix = "{PREFIX}"
repeat_window = "1ms"
[starshipit]
base_url = "{starshipit}"
requests_per_second = 20
request_timeout = "20s"
settle = "10s"
[[starshipit.accounts]]
name = "main"
api_key = {{ env = "DEMO_API_KEY" }}
subscription_key = {{ env = "DEMO_SUBSCRIPTION_KEY" }}
[cartoncloud]
base_url = "{cartoncloud}"
tenant_id = "{tenant}"
client_id = {{ env = "DEMO_CARTONCLOUD_ID" }}
client_secret = {{ env = "DEMO_CARTONCLOUD_SECRET" }}
poll_interval = "1s"
requests_per_minute = 600
[cartoncloud.push]
enabled = true
statuses = ["PACKED"]
[cartoncloud.push.fields]
carrier = "properties.courier"
[cartoncloud.on_status]
PACKED = "prefetch"
[cartoncloud.writeback]
sinks = ["consignment"]
observe = "0s"
[prefetch]
couriers = ["Australia Post"]
[[shopify.shops]]
customer = "{MERCHANT}"
shop = "{shop}.myshopify.com"
base_url = "{shopify}"
token = {{ env = "DEMO_SHOP_TOKEN" }}
[[printers]]
name = "label"
connection = "tcp://{printer}"
language = "zpl"
[web]
listen = "127.0.0.1:0"
"#
    )
}

/// The demo's keys are the simulators' own; nothing is read from the environment.
struct Keys {
    account: Account,
    client_id: String,
    client_secret: String,
    shop: String,
}

impl Keys {
    fn secret(&self, key: &str) -> SecretString {
        match key {
            "cartoncloud.client_id" => self.client_id.clone().into(),
            "cartoncloud.client_secret" => self.client_secret.clone().into(),
            key if key.starts_with("shopify.") => self.shop.clone().into(),
            key if key.ends_with("subscription_key") => {
                self.account.subscription_key.clone().into()
            }
            _ => self.account.api_key.clone().into(),
        }
    }
}

/// Tells the story on stdout.
struct Teller {
    json: bool,
    color: bool,
}

impl Teller {
    fn new(json: bool) -> Self {
        Self {
            json,
            color: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    fn line(&self, text: &str) {
        if !self.json {
            write_line(text);
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn welcome(&self, page: &str) {
        self.line(&self.paint("1", "printstation demo"));
        self.line(&format!(
            "A real station with a simulated CartonCloud, Starshipit, Shopify and label printer. Bench page: {page}"
        ));
    }

    fn scene(&self, text: &str) {
        self.line(&format!("\n{}", self.paint("1", text)));
    }

    fn note(&self, text: &str) {
        self.line(&format!("  {text}"));
    }

    fn answer(&self, scanned: &str, reply: &ScanReply) {
        if self.json {
            match serde_json::to_string(reply) {
                Ok(document) => write_line(&document),
                Err(error) => tracing::error!(%error, "a scan document cannot be written"),
            }
            return;
        }
        let (mark, color, word) = match reply.outcome {
            Outcome::Printed => ("✔", "32", "printed"),
            Outcome::Accepted => ("✔", "32", "accepted"),
            Outcome::Queued => ("◷", "33", "queued"),
            Outcome::Question => ("?", "33", "question"),
            Outcome::Refused => ("✖", "31", "refused"),
            Outcome::Ignored => ("·", "0", "noted"),
        };
        let mut facts: Vec<String> = Vec::new();
        if !reply.tracking.is_empty() {
            facts.push(reply.tracking.join(" "));
        }
        if let Some(code) = reply.code {
            facts.push(code.to_string());
        }
        if let Some(times) = times(reply) {
            facts.push(times);
        }
        self.line(&format!(
            "  {:<20} {} {facts}",
            scanned,
            self.paint(color, &format!("{mark} {word:<8}")),
            facts = facts.join("  "),
        ));
        if !matches!(reply.outcome, Outcome::Printed) {
            self.line(&format!(
                "  {:<20}   {}",
                "",
                self.paint("2", &reply.message)
            ));
        }
    }

    fn sum(&self, sales: usize, cents: u64, labels: usize, folder: &Path) {
        self.line(&format!(
            "\n{} {sales} shipments bought for ${}.{:02}, {labels} labels and tickets printed: {}",
            self.paint("1", "In the end:"),
            cents / 100,
            cents % 100,
            folder.display()
        ));
    }
}

/// `612 ms = find 14 + courier 318 + draw 96 + print 184`
fn times(reply: &ScanReply) -> Option<String> {
    let t = reply.timings_ms;
    let stages: Vec<(&str, u64)> = [
        ("find", t.resolve),
        ("check", t.recheck),
        ("courier", t.buy),
        ("draw", t.render),
        ("print", t.print),
    ]
    .into_iter()
    .filter_map(|(name, ms)| Some((name, ms?)))
    .collect();
    if stages.is_empty() {
        return None;
    }
    let total: u64 = stages.iter().map(|(_, ms)| ms).sum();
    let parts: Vec<String> = stages
        .iter()
        .map(|(name, ms)| format!("{name} {ms}"))
        .collect();
    Some(format!("{total} ms = {}", parts.join(" + ")))
}

/// One line to stdout; a reader that has gone away ends nothing.
fn write_line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("stdout is closed");
    }
}
