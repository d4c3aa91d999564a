//! The validated configuration: what the rest of the house may rely on.
//!
//! Plain std types; every room has its own settings and the runtime maps between them. Serialised,
//! a [`Config`] has the shape of the file it came from (product.md section 6), with every default
//! written out: that is `printstation config show`. There are no secrets in it, only references.
//!
//! Long because it is the schema, and a schema is read as a whole. The words that values may be are
//! in [`crate::config::words`], values with a form of their own in [`crate::config::values`].

use crate::config::secret::SecretRef;
use crate::config::units;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::config::values::{Media, Pattern, PrinterConnection, ScannerConnection};
pub use crate::config::words::*;

/// Newest `version` of the file format that this build knows.
pub const VERSION: u32 = 1;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each field is the section of its name")]
pub struct Config {
    /// Version of the file format.
    pub version: u32,
    pub station: Station,
    pub scan: Scan,
    pub scanners: Vec<Scanner>,
    pub buttons: Vec<Button>,
    pub lamp: Lamp,
    pub buzzer: Buzzer,
    pub signal: SignalPaper,
    pub starshipit: Starshipit,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cartoncloud: Option<Cartoncloud>,
    pub shopify: Shopify,
    pub webhooks: Vec<Webhook>,
    /// Never empty: a lone account gets a route of its own.
    pub routes: Vec<Route>,
    /// Never empty: without any, one printer `label` on USB.
    pub printers: Vec<Printer>,
    pub label: Label,
    pub packaging: Packaging,
    pub scale: Scale,
    pub offline: Offline,
    pub prefetch: Prefetch,
    pub verify: Verify,
    pub ledger: Ledger,
    pub web: Web,
    pub alerts: Alerts,
    pub log: Log,
    pub update: Update,
}

/// `[station]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Station {
    /// Name of the bench.
    pub name: String,
    /// Where everything durable is kept.
    pub state_dir: PathBuf,
    /// IANA time zone; needed by windows and daily acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Jobs that this station has for its site.
    pub duties: Vec<Duty>,
}

/// `[scan]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scan {
    /// Print or arm.
    pub mode: ScanMode,
    /// Text before every command barcode of this site; empty: no command barcodes.
    pub command_prefix: String,
    /// The same code from the same scanner within this time is the same act.
    #[serde(serialize_with = "units::duration")]
    pub repeat_window: Duration,
    /// Whole-text patterns with named groups.
    pub patterns: Vec<Pattern>,
    /// Look-ups, in order, when no pattern matches.
    pub fallback: Vec<Fallback>,
}

/// Named groups that a pattern may have.
pub const GROUPS: [&str; 7] = [
    "order",
    "numeric",
    "reference",
    "id",
    "tracking",
    "sscc",
    "account",
];

/// `[[scanners]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scanner {
    /// Name.
    pub name: String,
    /// Where it is.
    pub connection: ScannerConnection,
    /// How a scan ends.
    pub end: ScanEnd,
    /// Silence that ends a scan in `idle` mode.
    #[serde(serialize_with = "units::duration")]
    pub idle: Duration,
    /// Bytes sent back after an accepted scan.
    pub ok: String,
    /// Bytes sent back after a refused one.
    pub error: String,
}

/// `[[buttons]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Button {
    /// Name.
    pub name: String,
    /// BCM number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpio: Option<u8>,
    /// A pedal by its `/dev/input/by-id` glob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evdev: Option<String>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Act of a press.
    pub press: ButtonAct,
    /// Act of a long press.
    pub long: LongPress,
    /// Shorter changes are noise.
    #[serde(serialize_with = "units::duration")]
    pub debounce: Duration,
    /// CartonCloud statuses that wait at this bench.
    pub next_statuses: Vec<String>,
}

/// `long = { after, act }`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LongPress {
    /// Pressed for this long.
    #[serde(serialize_with = "units::duration")]
    pub after: Duration,
    /// What it does.
    pub act: ButtonAct,
}

/// `[lamp]`: BCM numbers of the lights there are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields are the colours")]
pub struct Lamp {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub green: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub yellow: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub red: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blue: Option<u8>,
    /// The light in the button: the one LED.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub button: Option<u8>,
}

/// `[buzzer]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Buzzer {
    /// BCM number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpio: Option<u8>,
}

/// `[signal]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignalPaper {
    /// Refusals and questions are printed as small tickets.
    pub ticket: bool,
    /// On this printer.
    pub printer: String,
}

/// `[starshipit]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Starshipit {
    /// Where the API is; no trailing slash.
    pub base_url: String,
    /// Rate of the subscription key.
    pub requests_per_second: u32,
    /// Stations that share it.
    pub stations_sharing_key: u32,
    /// What to do with labels made elsewhere.
    pub on_printed_elsewhere: OnPrintedElsewhere,
    /// When to ask before buying.
    pub confirm: Confirm,
    /// Deadline of one call.
    #[serde(serialize_with = "units::duration")]
    pub request_timeout: Duration,
    /// After an unknown outcome, the last look before a second send is at least this late
    /// (contract 1).
    #[serde(serialize_with = "units::duration")]
    pub settle: Duration,
    /// When an order is claimed before it is bought.
    pub claim: Claim,
    /// Accounts; never empty.
    pub accounts: Vec<Account>,
}

/// `[[starshipit.accounts]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account {
    /// Name.
    pub name: String,
    /// `StarShipIT-Api-Key`.
    pub api_key: SecretRef,
    /// `Ocp-Apim-Subscription-Key`.
    pub subscription_key: SecretRef,
}

/// `[cartoncloud]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cartoncloud {
    /// Where the API is; no trailing slash.
    pub base_url: String,
    /// The organisation.
    pub tenant_id: String,
    /// OAuth client.
    pub client_id: SecretRef,
    /// OAuth client.
    pub client_secret: SecretRef,
    /// How often changes are asked for.
    #[serde(serialize_with = "units::duration")]
    pub poll_interval: Duration,
    /// Rate of the client.
    pub requests_per_minute: u32,
    /// Secret part of the custom button's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook_secret: Option<SecretRef>,
    /// A field of the order that asks for printing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub print_when: Option<PrintWhen>,
    /// Sale orders into Starshipit.
    pub push: Push,
    /// What statuses do.
    pub on_status: BTreeMap<String, StatusAct>,
    /// Tracking numbers back.
    pub writeback: Writeback,
}

/// `cartoncloud.print_when`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrintWhen {
    /// Path in the order.
    pub path: String,
    /// Value that means "print".
    pub equals: String,
}

/// `[cartoncloud.push]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Push {
    /// Orders are pushed.
    pub enabled: bool,
    /// In these statuses.
    pub statuses: Vec<String>,
    /// Template of the order number.
    pub order_number: String,
    /// Template of the reference.
    pub reference: String,
    /// Starshipit field ← path in the order.
    pub fields: BTreeMap<String, String>,
}

/// `require` of a writeback.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Require {
    /// Any or all sinks.
    Word(RequireWord),
    /// These.
    These(Vec<Sink>),
}

/// `[cartoncloud.writeback.order_document]`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OrderDocument {
    /// When it is used.
    pub when: DocumentWhen,
}

/// `[cartoncloud.writeback]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Writeback {
    /// Sinks, tried in order.
    pub sinks: Vec<Sink>,
    /// The document sink.
    pub order_document: OrderDocument,
    /// When the order counts as written.
    pub require: Require,
    /// How long to look for our number in the sale order; zero: not.
    #[serde(serialize_with = "units::duration")]
    pub observe: Duration,
    /// What to do with another number.
    pub on_conflict: OnConflict,
    /// Folder of the `csv` sink.
    pub csv_dir: PathBuf,
    /// Property ← path.
    pub fields: BTreeMap<String, String>,
}

/// `[shopify]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Shopify {
    /// One per merchant.
    pub shops: Vec<Shop>,
}

/// `[[shopify.shops]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shop {
    /// CartonCloud customer.
    pub customer: String,
    /// `NAME.myshopify.com`.
    pub shop: String,
    /// Where its API is; no trailing slash.
    pub base_url: String,
    /// Version of the API; empty: the newest this build knows.
    pub api_version: String,
    /// OAuth client; or `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<SecretRef>,
    /// OAuth client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretRef>,
    /// Access token instead of a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Shopify mails the customer.
    pub notify_customer: bool,
    /// Path of Shopify's order id in the sale order.
    pub order_id: String,
    /// Path of Shopify's order name in the sale order.
    pub order_name: String,
}

/// `[[webhooks]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Webhook {
    /// Where tracking events go. May carry a token in its query: shown without it.
    #[serde(serialize_with = "without_query")]
    pub url: String,
    /// Key of the signature.
    pub secret: SecretRef,
}

/// `[[routes]]`: first match wins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Route {
    /// CartonCloud customer: code, name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// CartonCloud warehouse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<String>,
    /// What was scanned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<Pattern>,
    /// Starshipit account.
    pub account: String,
    /// Printer.
    pub printer: String,
    /// Documents that are printed.
    pub documents: Vec<String>,
    /// Instead of `starshipit.confirm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// Instead of `[cartoncloud.push]`, key by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<PushOver>,
    /// Instead of `[cartoncloud.on_status]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_status: Option<BTreeMap<String, StatusAct>>,
    /// Instead of `[prefetch]`, key by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<PrefetchOver>,
    /// Instead of `[cartoncloud.writeback]`, key by key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writeback: Option<WritebackOver>,
    /// Beside `[cartoncloud.push.fields]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeMap<String, String>>,
}

/// `[routes.push]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields of Push, each optional")]
pub struct PushOver {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statuses: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// `[routes.prefetch]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields of Prefetch, each optional")]
pub struct PrefetchOver {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub couriers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_cap: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified: Option<Unverified>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writeback: Option<PrefetchWriteback>,
}

/// `[routes.writeback]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields of Writeback, each optional")]
pub struct WritebackOver {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sinks: Option<Vec<Sink>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_document: Option<OrderDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<OnConflict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<BTreeMap<String, String>>,
}

/// `[[printers]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Printer {
    /// Name.
    pub name: String,
    /// How labels reach it.
    pub connection: PrinterConnection,
    /// What it understands.
    pub language: Language,
    /// Dots per inch of the head.
    pub dpi: u16,
    /// Loaded labels.
    pub media: Media,
    /// Grey from which a dot is white, 1..=254.
    pub threshold: u8,
    /// ZPL: added to the printer's own darkness; EPL and TSPL: the step; 0: as the printer is set.
    pub darkness: i8,
    /// Inches per second; 0: as the printer is set.
    pub speed: u8,
    /// Millimetres right and down.
    pub offset: [f64; 2],
    /// After each label; as the printer is set when not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_label: Option<AfterLabel>,
    /// How many of each page of an order come out.
    pub copies: u8,
    /// Printer for labels that are proven not started here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// Documents of a type that go elsewhere.
    pub overrides: Vec<PrinterOverride>,
}

/// `[[printers.overrides]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrinterOverride {
    /// Starshipit's label type.
    pub label_type: String,
    /// Goes to this printer.
    pub printer: String,
}

/// `[label]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// Where the label is on its page.
    pub crops: Vec<Crop>,
    /// Reading the own bitmap.
    pub read_back: ReadBack,
}

/// `[[label.crops]]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crop {
    /// Courier name.
    pub courier: String,
    /// Page size that it applies to.
    pub page: String,
    /// Left, top, width, height in millimetres.
    pub box_mm: [f64; 4],
    /// Only for documents of this label type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_type: Option<String>,
}

/// `[label.read_back]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReadBack {
    /// For every courier …
    pub policy: ReadBackPolicy,
    /// … but these, which are held.
    pub hold: Vec<String>,
}

/// `[packaging]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Packaging {
    /// By the `x` of `BOX-x`.
    pub presets: BTreeMap<String, Preset>,
}

/// A packaging preset; zero: not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the fields name their units")]
pub struct Preset {
    pub length_cm: f64,
    pub width_cm: f64,
    pub height_cm: f64,
    pub weight_kg: f64,
    /// Name of the package in Starshipit.
    pub name: String,
}

/// `[scale]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scale {
    /// By-id name, or `auto`; none: no scale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hid: Option<String>,
}

/// `[offline]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Offline {
    /// Queued scans older than this are refused.
    #[serde(serialize_with = "units::duration")]
    pub expire_after: Duration,
    /// What happens when the network is back.
    pub release: OfflineRelease,
}

/// `[prefetch]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prefetch {
    /// Couriers that may be bought ahead.
    pub couriers: Vec<String>,
    /// Most purchases a day.
    pub daily_cap: u32,
    /// Most labels held unused.
    pub max_held: u32,
    /// An older one never prints without its re-check.
    #[serde(serialize_with = "units::duration")]
    pub max_age: Duration,
    /// Time for the re-check at the scan.
    #[serde(serialize_with = "units::duration")]
    pub recheck: Duration,
    /// When the re-check cannot answer.
    pub unverified: Unverified,
    /// When writebacks fall due.
    pub writeback: PrefetchWriteback,
}

/// `[verify]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verify {
    /// Off, ask or strict.
    pub mode: VerifyMode,
}

/// `[ledger]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ledger {
    /// Closed orders and their personal data are forgotten after this.
    #[serde(serialize_with = "units::duration")]
    pub keep: Duration,
    /// Most orders kept.
    pub max_orders: u32,
}

/// `[web]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Web {
    /// Address of page and API.
    pub listen: SocketAddr,
    /// Bearer token; none: made at first start in `<state>/web-token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Host names under which browsers may reach the page, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Other benches.
    pub peers: Vec<String>,
    /// Opens `GET /api/status` of every bench of the site and nothing else; sent to the peers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer_token: Option<SecretRef>,
}

/// `[alerts]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alerts {
    /// Where alerts go; such addresses are secrets themselves, so only the host is shown.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "host_only")]
    pub webhook: Option<String>,
    /// Key of the signature; none: unsigned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// Another bench (`web.peers`) may be silent for so long.
    #[serde(serialize_with = "units::duration")]
    pub bench_silent_after: Duration,
    /// A printer may be unable to print for so long.
    #[serde(serialize_with = "units::duration")]
    pub printer_down_after: Duration,
    /// A tracking number may be owed for so long.
    #[serde(serialize_with = "units::duration")]
    pub writeback_after: Duration,
    /// Labels of the Starshipit plan in a month, this bench's part of them; 0: not watched.
    pub label_quota: u32,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Log {
    /// Form of the log.
    pub format: LogFormat,
}

/// `[update]`
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Update {
    /// Signed channel document; none: no updates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When updates may be installed, in `station.timezone`; none: at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

/// A daily window, in minutes after midnight; may pass midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// First minute.
    pub from: u16,
    /// First minute after it.
    pub to: u16,
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!(
            "{:02}:{:02}-{:02}:{:02}",
            self.from / 60,
            self.from % 60,
            self.to / 60,
            self.to % 60
        ))
    }
}

fn without_query<S: Serializer>(url: &str, s: S) -> Result<S::Ok, S::Error> {
    match url.split_once('?') {
        Some((head, _)) => s.collect_str(&format_args!("{head}?(hidden)")),
        None => s.serialize_str(url),
    }
}

fn host_only<S: Serializer>(url: &Option<String>, s: S) -> Result<S::Ok, S::Error> {
    let url = url.as_deref().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if rest.len() == host.len() {
        s.serialize_str(url)
    } else {
        s.collect_str(&format_args!("{scheme}://{host}/(hidden)"))
    }
}

impl Default for Printer {
    fn default() -> Self {
        Self {
            name: "label".into(),
            connection: PrinterConnection::Usb(None),
            language: Language::Auto,
            dpi: 203,
            media: Media {
                width_mm: 100.0,
                height_mm: 150.0,
            },
            threshold: 150,
            darkness: 0,
            speed: 0,
            offset: [0.0, 0.0],
            after_label: None,
            copies: 1,
            fallback: None,
            overrides: Vec::new(),
        }
    }
}

impl Default for Route {
    fn default() -> Self {
        Self {
            customer: None,
            warehouse: None,
            scan: None,
            account: String::new(),
            printer: String::new(),
            documents: vec!["label".into()],
            confirm: None,
            push: None,
            on_status: None,
            prefetch: None,
            writeback: None,
            fields: None,
        }
    }
}

impl Config {
    /// Every reference to a secret and the key it stands at.
    pub fn secrets(&self) -> Vec<(String, &SecretRef)> {
        let mut all = Vec::new();
        for account in &self.starshipit.accounts {
            let at = |key| format!("starshipit.accounts.{}.{key}", account.name);
            all.push((at("api_key"), &account.api_key));
            all.push((at("subscription_key"), &account.subscription_key));
        }
        if let Some(cc) = &self.cartoncloud {
            all.push(("cartoncloud.client_id".into(), &cc.client_id));
            all.push(("cartoncloud.client_secret".into(), &cc.client_secret));
            all.extend(
                cc.hook_secret
                    .iter()
                    .map(|s| ("cartoncloud.hook_secret".into(), s)),
            );
        }
        for shop in &self.shopify.shops {
            let given = [
                ("client_id", &shop.client_id),
                ("client_secret", &shop.client_secret),
                ("token", &shop.token),
            ];
            all.extend(given.into_iter().filter_map(|(key, secret)| {
                Some((
                    format!("shopify.shops.{}.{key}", shop.shop),
                    secret.as_ref()?,
                ))
            }));
        }
        for (index, hook) in self.webhooks.iter().enumerate() {
            all.push((format!("webhooks[{index}].secret"), &hook.secret));
        }
        all.extend(
            self.alerts
                .secret
                .iter()
                .map(|s| ("alerts.secret".into(), s)),
        );
        all.extend(self.web.token.iter().map(|s| ("web.token".into(), s)));
        all.extend(
            self.web
                .peer_token
                .iter()
                .map(|s| ("web.peer_token".into(), s)),
        );
        all
    }

    /// The printer of a name.
    pub fn printer(&self, name: &str) -> Option<&Printer> {
        self.printers.iter().find(|p| p.name == name)
    }
}
