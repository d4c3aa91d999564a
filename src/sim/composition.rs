//! All simulators together: what `printstation sim` and `printstation demo` start.
//!
//! Long because it is one list: what can be simulated, how it is said, and where it is then.

use crate::sim::cartoncloud::{self, Named};
use crate::sim::printer::{self, Speaks};
use crate::sim::site::faults::Menu;
use crate::sim::site::switches::SwitchHelp;
use crate::sim::starshipit::admin::Seed;
use crate::sim::starshipit::faults::{Fault, FaultKind};
use crate::sim::starshipit::{Account, Endpoint, Options, Server, Switches};
use crate::sim::{shopify, webhook};
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
    /// Orders to make, `WEB-20401` and on, unless they are there already: sale orders in
    /// CartonCloud when it is simulated (and the same orders in Shopify), else in Starshipit.
    pub orders: u32,
    /// Sale orders that trip integrators, as well; see [`cartoncloud::nasty_orders`].
    pub nasty: bool,
    /// Status of the sale orders that are made; `AWAITING_PICK_AND_PACK` when absent.
    pub order_status: Option<String>,
    /// CartonCloud, when it is simulated; its state directory and seed are those of all.
    pub cartoncloud: Option<cartoncloud::Options>,
    /// Shopify, when it is simulated; as above. Shops are those of the named customers.
    pub shopify: Option<shopify::Options>,
    /// A receiver of webhooks, when there is one; as above.
    pub webhook: Option<webhook::Options>,
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
            nasty: false,
            order_status: None,
            cartoncloud: None,
            shopify: None,
            webhook: None,
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
    /// CartonCloud, when it is simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cartoncloud: Option<CartoncloudReady>,
    /// Shopify, when it is simulated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shopify: Option<ShopifyReady>,
    /// The receiver of webhooks, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookReady>,
    /// Printers by name.
    pub printers: Vec<PrinterReady>,
}

/// CartonCloud's part of [`Ready`].
#[derive(Clone, Debug, Serialize)]
pub struct CartoncloudReady {
    /// Base URL; `/_sim/` is the admin door.
    pub url: String,
    /// Base URL of the admin door alone, which answers while the network is down.
    pub admin: String,
    /// The tenant.
    pub tenant_id: String,
    /// OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Whose goods are in the warehouse.
    pub customers: Vec<Named>,
    /// The sites.
    pub warehouses: Vec<Named>,
}

/// Shopify's part of [`Ready`].
#[derive(Clone, Debug, Serialize)]
pub struct ShopifyReady {
    /// URL of the listener; `/_sim/` is the admin door.
    pub url: String,
    /// Base URL of the admin door alone, which answers while the network is down.
    pub admin: String,
    /// Where each shop is and who may enter.
    pub shops: Vec<ShopReady>,
}

/// A shop's part of [`ShopifyReady`].
#[derive(Clone, Debug, Serialize)]
pub struct ShopReady {
    /// `shopify.shops[].base_url`.
    pub base_url: String,
    /// Name, customer, token, client.
    #[serde(flatten)]
    pub shop: shopify::Shop,
}

/// The webhook receiver's part of [`Ready`].
#[derive(Clone, Debug, Serialize)]
pub struct WebhookReady {
    /// Where webhooks may be sent.
    pub url: String,
    /// Base URL of the admin door alone, which answers while the network is down.
    pub admin: String,
    /// Key of the signatures.
    pub secret: String,
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
    /// CartonCloud, when it is simulated.
    pub cartoncloud: Option<cartoncloud::Server>,
    /// Shopify, when it is simulated.
    pub shopify: Option<shopify::Server>,
    /// The receiver of webhooks, when there is one.
    pub webhook: Option<webhook::Server>,
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
            // A folder each: simulators do not share file names.
            state: folder(&options.state, "starshipit"),
            seed: options.seed,
            accounts: options.accounts,
            requests_per_second: options.rate,
            switches: options.switches,
            faults: options.faults,
            print_latency: options.print_latency,
            ..Options::default()
        })
        .await?;
        let cartoncloud = match options.cartoncloud {
            Some(own) => Some(
                cartoncloud::Server::start(cartoncloud::Options {
                    state: folder(&options.state, "cartoncloud"),
                    seed: options.seed,
                    ..own
                })
                .await?,
            ),
            None => None,
        };
        let shopify = match options.shopify {
            Some(own) => Some(
                shopify::Server::start(shopify::Options {
                    state: folder(&options.state, "shopify"),
                    seed: options.seed,
                    ..own
                })
                .await?,
            ),
            None => None,
        };
        let webhook = match options.webhook {
            Some(own) => Some(
                webhook::Server::start(webhook::Options {
                    state: folder(&options.state, "webhook"),
                    seed: options.seed,
                    ..own
                })
                .await?,
            ),
            None => None,
        };
        match &cartoncloud {
            // One world: orders come from CartonCloud, and Starshipit knows none of them yet.
            Some(cartoncloud) => {
                let status = options.order_status.as_deref();
                plant(
                    cartoncloud,
                    shopify.as_ref(),
                    options.orders,
                    options.nasty,
                    status,
                )?;
            }
            None => {
                let known: HashSet<String> = starshipit.order_numbers().into_iter().collect();
                for seed in sample_orders(options.orders) {
                    if !known.contains(&seed.number) {
                        starshipit.add_order(seed)?;
                    }
                }
            }
        }
        let mut printers = Vec::with_capacity(options.printers.len());
        for spec in options.printers {
            let server = spec.start(options.out.clone()).await?;
            printers.push((spec.name, server));
        }
        Ok(Self {
            starshipit,
            cartoncloud,
            shopify,
            webhook,
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
            cartoncloud: self.cartoncloud.as_ref().map(|server| CartoncloudReady {
                url: server.url(),
                admin: server.admin_url(),
                tenant_id: server.tenant_id().to_owned(),
                client_id: server.client_id().to_owned(),
                client_secret: server.client_secret().to_owned(),
                customers: server.customers(),
                warehouses: server.warehouses(),
            }),
            shopify: self.shopify.as_ref().map(|server| ShopifyReady {
                url: server.url(),
                admin: server.admin_url(),
                shops: server
                    .shops()
                    .iter()
                    .map(|shop| ShopReady {
                        base_url: server.base_url(&shop.shop),
                        shop: shop.clone(),
                    })
                    .collect(),
            }),
            webhook: self.webhook.as_ref().map(|server| WebhookReady {
                url: server.url(),
                admin: server.admin_url(),
                secret: server.secret().to_owned(),
            }),
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
        if let Some(server) = self.cartoncloud {
            server.stop().await;
        }
        if let Some(server) = self.shopify {
            server.stop().await;
        }
        if let Some(server) = self.webhook {
            server.stop().await;
        }
    }
}

fn folder(state: &Option<PathBuf>, name: &str) -> Option<PathBuf> {
    state.as_ref().map(|dir| dir.join(name))
}

/// Makes the sale orders that are not there yet, and for customers with a shop the shop's orders:
/// `properties.shopifyOrderId` names them, and their names are the references.
fn plant(
    cartoncloud: &cartoncloud::Server,
    shopify: Option<&shopify::Server>,
    orders: u32,
    nasty: bool,
    status: Option<&str>,
) -> io::Result<()> {
    const FIRST_SHOPIFY_ORDER: u64 = 5_512_345_600_000;
    let customers = cartoncloud.customers();
    let known: HashSet<(String, String)> = cartoncloud
        .orders()
        .into_iter()
        .map(|o| (o.customer, o.reference))
        .collect();
    let in_shops: HashSet<String> = shopify
        .map(shopify::Server::orders)
        .unwrap_or_default()
        .into_iter()
        .map(|o| o.id)
        .collect();
    let nasty = cartoncloud::nasty_orders(&customers)
        .into_iter()
        .filter(|_| nasty);
    let plain = cartoncloud::sample_orders(orders, &customers);
    for (seed, number) in plain.chain(nasty).zip(FIRST_SHOPIFY_ORDER..) {
        let mut seed = seed;
        let shop = shopify.and_then(|s| s.shops().iter().find(|s| s.customer == seed.customer));
        if let (Some(server), Some(shop)) = (shopify, shop) {
            let id = serde_json::Value::String(number.to_string());
            seed.properties.insert("shopifyOrderId".into(), id);
            if !in_shops.contains(&format!("gid://shopify/Order/{number}")) {
                server.add_order(shopify::Seed {
                    shop: shop.shop.clone(),
                    name: seed.reference.clone(),
                    id: Some(number),
                    lines: seed.items.iter().map(shop_line).collect(),
                    ..shopify::Seed::default()
                })?;
            }
        }
        if !known.contains(&(seed.customer.clone(), seed.reference.clone())) {
            seed.status = status.map(str::to_owned);
            cartoncloud.add_order(seed)?;
        }
    }
    Ok(())
}

fn shop_line(item: &cartoncloud::SeedItem) -> shopify::SeedLine {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seeds have small whole quantities; anything else is clamped"
    )]
    let quantity = item.quantity.clamp(1.0, 1e6) as u32;
    shopify::SeedLine {
        sku: item.sku.clone(),
        quantity,
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

impl SimOptions {
    /// Applies one `--switch` text: `NAME=WORD` for Starshipit, `SYSTEM.NAME=WORD` for the others.
    ///
    /// # Errors
    /// Names what there is instead, or that the system is not simulated.
    pub fn switch(&mut self, text: &str) -> Result<(), String> {
        let (system, rest) = match text.split_once('.') {
            Some((system, rest)) if !system.contains('=') => (system, rest),
            _ => ("starshipit", text),
        };
        let done = match system {
            "starshipit" => self.switches.apply(rest),
            "cartoncloud" => some(&mut self.cartoncloud, system)?.switches.apply(rest),
            "shopify" => some(&mut self.shopify, system)?.switches.apply(rest),
            "webhook" => some(&mut self.webhook, system)?.switches.apply(rest),
            other => return Err(format!("no system '{other}': {SYSTEMS}")),
        };
        done.map_err(|e| e.to_string())
    }

    /// Applies one `--fault` text: `[SYSTEM:]KIND[:CHANCE[:CALL]]`, of Starshipit when no system is
    /// named.
    ///
    /// # Errors
    /// Names what there is instead, or that the system is not simulated.
    pub fn fault(&mut self, text: &str) -> Result<(), String> {
        let told = |e: crate::sim::site::faults::FaultError| e.to_string();
        match text.split(':').next().unwrap_or_default().trim() {
            "cartoncloud" => {
                let own = some(&mut self.cartoncloud, "cartoncloud")?;
                own.faults.push(cartoncloud::fault(text).map_err(told)?);
            }
            "shopify" => {
                let own = some(&mut self.shopify, "shopify")?;
                own.faults.push(shopify::fault(text).map_err(told)?);
            }
            "webhook" => {
                let own = some(&mut self.webhook, "webhook")?;
                own.faults.push(webhook::fault(text).map_err(told)?);
            }
            _ => self
                .faults
                .push(Fault::parse(text).map_err(|e| e.to_string())?),
        }
        Ok(())
    }
}

const SYSTEMS: &str = "starshipit, cartoncloud, shopify, webhook";

fn some<'a, T>(options: &'a mut Option<T>, system: &str) -> Result<&'a mut T, String> {
    options
        .as_mut()
        .ok_or_else(|| format!("{system} is not simulated: --{system} ADDR"))
}

/// Switches, faults and calls as text, for `printstation sim --help`.
pub fn help() -> String {
    let mut text = String::from("Switches (--switch NAME=WORD; the first word is the default):\n");
    switches_help(&mut text, "", Switches::TABLE);
    switches_help(&mut text, "cartoncloud.", cartoncloud::Switches::TABLE);
    switches_help(&mut text, "shopify.", shopify::Switches::TABLE);
    switches_help(&mut text, "webhook.", webhook::Switches::TABLE);
    text.push_str("\nFaults (--fault starshipit:KIND[:CHANCE[:CALL]]):\n");
    for (kind, meaning) in FaultKind::TABLE {
        text.push_str(&format!("  {kind:<24} {meaning}\n"));
    }
    text.push_str("  CHANCE is 0.0 to 1.0, once, 3x, or always (the default).\n  CALL is ");
    let calls: Vec<&str> = Endpoint::ALL.iter().map(|e| e.name()).collect();
    text.push_str(&calls.join(", "));
    text.push_str(".\n\nFaults of cartoncloud, shopify and webhook (--fault SYSTEM:KIND…):\n");
    for (kind, meaning) in crate::sim::site::faults::COMMON {
        text.push_str(&format!("  {kind:<24} {meaning}\n"));
    }
    for menu in [&cartoncloud::FAULTS, &shopify::FAULTS, &webhook::FAULTS] {
        menu_help(&mut text, menu);
    }
    text
}

fn switches_help(text: &mut String, prefix: &str, table: &[SwitchHelp]) {
    for switch in table {
        text.push_str(&format!("  {prefix}{}: {}\n", switch.name, switch.about));
        for (word, meaning) in switch.words {
            text.push_str(&format!("      {word:<16} {meaning}\n"));
        }
    }
}

fn menu_help(text: &mut String, menu: &Menu) {
    for special in menu.special {
        let kind = format!("{}:{}", menu.system, special.name);
        text.push_str(&format!("  {kind:<24} {}\n", special.means));
    }
    let calls = menu.calls.join(", ");
    text.push_str(&format!("  CALL of {} is {calls}.\n", menu.system));
}
