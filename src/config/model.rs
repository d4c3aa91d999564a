//! The validated configuration: what the rest of the house may rely on.
//!
//! Plain std types; every room has its own settings and the runtime maps between them. Serialised,
//! a [`Config`] has the shape of the file it came from (product.md section 6), with every default
//! written out: that is `printstation config show`. There are no secrets in it, only references.
//!
//! One file although long: it is the schema, and a schema is read as a whole.

use crate::config::secret::SecretRef;
use crate::config::units;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Newest `version` of the file format that this build knows.
pub const VERSION: u32 = 1;

/// A closed set of words in the configuration.
pub(crate) trait Word: Copy + 'static {
    /// Every word and its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant),* }
        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),*];
        }
        impl $name {
            /// The word in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }
    };
}

words! {
    /// A job that one station of a site has (contract 5).
    Duty {
        /// Push sale orders into Starshipit.
        Push = "push",
        /// Compare both sides.
        Reconcile = "reconcile",
        /// Act on CartonCloud statuses.
        OnStatus = "on_status",
        /// Buy ahead.
        Prefetch = "prefetch",
    }
}
words! {
    /// What a scan does.
    ScanMode {
        /// Ships at once.
        Print = "print",
        /// Arms the order; a button press ships it.
        Arm = "arm",
    }
}
words! {
    /// By what an order is looked up when no pattern says so.
    Fallback {
        /// Its number.
        OrderNumber = "order_number",
        /// Its customer reference.
        Reference = "reference",
        /// One of its tracking numbers.
        Tracking = "tracking",
    }
}
words! {
    /// How a scanner says that a scan is complete (contract 22).
    ScanEnd {
        /// CR, LF or TAB; CR LF is one.
        Suffix = "suffix",
        /// Silence.
        Idle = "idle",
    }
}
words! {
    /// What a button press does.
    ButtonAct {
        /// The main act: ship what is armed, answer a harmless question, ship the next order.
        Dispatch = "dispatch",
        /// The last label of this bench again.
        ReprintLast = "reprint_last",
        /// YES to an open question.
        Yes = "yes",
        /// CANCEL.
        Cancel = "cancel",
        /// PAUSE, or RESUME when paused.
        Pause = "pause",
        /// A test label.
        Test = "test",
        /// Nothing.
        None = "none",
    }
}
words! {
    /// What to do with an order that was labelled elsewhere.
    OnPrintedElsewhere {
        /// YES or a press prints that label here.
        Ask = "ask",
        /// The first scan prints it.
        PrintOnce = "print_once",
        /// It is refused.
        Refuse = "refuse",
    }
}
words! {
    /// When courier, service, parcels and weight are shown before buying (contract 38).
    Confirm {
        /// Never.
        Never = "never",
        /// When Starshipit would refuse or the label would be wrong by construction.
        Missing = "missing",
        /// Before every purchase.
        Always = "always",
    }
}
words! {
    /// What reaching a CartonCloud status does.
    StatusAct {
        /// Nothing.
        Nothing = "nothing",
        /// Buys ahead.
        Prefetch = "prefetch",
        /// Prints.
        Print = "print",
    }
}
words! {
    /// A place that takes tracking numbers.
    Sink {
        /// The consignment's tracking field.
        Consignment = "consignment",
        /// A document on the sale order.
        OrderDocument = "order_document",
        /// Custom fields of the sale order.
        OrderProperties = "order_properties",
        /// A file.
        Csv = "csv",
    }
}
words! {
    /// When `order_document` is used (contract 17).
    DocumentWhen {
        /// Only when no earlier sink is done.
        Fallback = "fallback",
        /// Always.
        Always = "always",
    }
}
words! {
    /// What to do with another number that already stands there.
    OnConflict {
        /// Keep it and say so.
        Keep = "keep",
        /// Replace it.
        Overwrite = "overwrite",
    }
}
words! {
    /// What a printer understands.
    Language {
        /// ZPL II.
        Zpl = "zpl",
        /// EPL2.
        Epl = "epl",
        /// TSPL.
        Tspl = "tspl",
        /// ESC/POS.
        Escpos = "escpos",
        /// Brother raster.
        BrotherQl = "brother-ql",
        /// IPP with PWG raster.
        Ipp = "ipp",
        /// Pictures, for `file:` printers.
        Png = "png",
        /// Found out at start (contract 23).
        Auto = "auto",
    }
}
words! {
    /// What the printer does after a label.
    AfterLabel {
        /// Stops at the tear bar.
        TearOff = "tear-off",
        /// Peels, waits until the label is taken.
        Peel = "peel",
        /// Cuts.
        Cut = "cut",
    }
}
words! {
    /// What an unreadable barcode on our own bitmap does (contract 33).
    ReadBackPolicy {
        /// Prints and warns.
        Warn = "warn",
        /// Holds the label back.
        Hold = "hold",
    }
}
words! {
    /// What happens to queued scans when the network is back.
    OfflineRelease {
        /// The station asks.
        Ask = "ask",
        /// They print, each behind a ticket.
        Print = "print",
    }
}
words! {
    /// What a held label does when its re-check cannot answer.
    Unverified {
        /// Prints.
        Print = "print",
        /// Waits.
        Hold = "hold",
    }
}
words! {
    /// When writebacks of held labels fall due (contract 7).
    PrefetchWriteback {
        /// At the scan.
        OnRelease = "on_release",
        /// At once.
        OnPurchase = "on_purchase",
    }
}
words! {
    /// Whether the label on the parcel is scanned back.
    VerifyMode {
        /// No.
        Off = "off",
        /// It is asked for.
        Ask = "ask",
        /// Nothing else is taken until it was.
        Strict = "strict",
    }
}
words! {
    /// Form of the log.
    LogFormat {
        /// journald, else text.
        Auto = "auto",
        /// Lines for people.
        Text = "text",
        /// Lines for machines.
        Json = "json",
    }
}
words! {
    /// `require` of a writeback: when the order counts as written.
    RequireWord {
        /// One sink is enough.
        Any = "any",
        /// Every sink.
        All = "all",
    }
}

/// Whether an address may be plain `http://` beyond this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loopback {
    /// Plain http only to loopback.
    Required,
    /// Plain http anywhere: other benches on the site's own network.
    NotRequired,
}

/// A regular expression with the text it came from.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: regex::Regex,
}

/// Memory that one compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

impl Pattern {
    /// Found anywhere in the text; ASCII case does not matter.
    pub(crate) fn search(source: &str) -> Result<Self, String> {
        Self::compile(source, source)
    }

    /// Must match the whole text, whether or not it was written with `^` and `$`.
    pub(crate) fn whole(source: &str) -> Result<Self, String> {
        Self::compile(source, &format!("^(?:{source})$"))
    }

    fn compile(source: &str, text: &str) -> Result<Self, String> {
        let regex = regex::RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(PATTERN_SIZE)
            .build()
            .map_err(|why| match why {
                regex::Error::CompiledTooBig(_) => "is too large".to_owned(),
                // The library draws an arrow below the pattern; its last line is the reason.
                other => other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or("is not a regular expression")
                    .trim_start_matches("error: ")
                    .to_owned(),
            })?;
        Ok(Self {
            source: source.to_owned(),
            regex,
        })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Compiled.
    pub fn regex(&self) -> &regex::Regex {
        &self.regex
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.source)
    }
}

/// Size of a label in millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Media {
    /// Across the head.
    pub width_mm: f64,
    /// Along the feed.
    pub height_mm: f64,
}

impl Media {
    /// Reads `100x150mm` or `4x6in`; each side 5 to 1000 mm.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (sides, unit) = match text.strip_suffix("mm") {
            Some(sides) => (sides, 1.0),
            None => (text.strip_suffix("in")?, 25.4),
        };
        let (width, height) = sides.split_once('x')?;
        let side = |text: &str| -> Option<f64> {
            let text = text.trim();
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let mm = plain.then(|| text.parse::<f64>().ok())?? * unit;
            // To the micrometre, so that inches read back as shown.
            (5.0..=1000.0)
                .contains(&mm)
                .then(|| (mm * 1000.0).round() / 1000.0)
        };
        Some(Self {
            width_mm: side(width)?,
            height_mm: side(height)?,
        })
    }
}

impl std::fmt::Display for Media {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}mm", self.width_mm, self.height_mm)
    }
}

impl Serialize for Media {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Where scans come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScannerConnection {
    /// A keyboard-style scanner by its `/dev/input/by-id` glob or path.
    Evdev(String),
    /// A serial port.
    Serial {
        /// Device path.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// Scanners dial us.
    TcpListen(SocketAddr),
    /// We dial the scanner.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// Standard input.
    Stdin,
}

impl ScannerConnection {
    /// Reads a connection string.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "stdin" {
            return Ok(Self::Stdin);
        }
        if let Some(device) = text.strip_prefix("evdev:") {
            return match device {
                "" => Err("names no device: write evdev:BY-ID-GLOB or evdev:/dev/input/…".into()),
                device => Ok(Self::Evdev(device.to_owned())),
            };
        }
        if let Some(rest) = text.strip_prefix("serial:") {
            let (path, baud) = serial(rest)?;
            return Ok(Self::Serial { path, baud });
        }
        if let Some(address) = text.strip_prefix("tcp-listen://") {
            return address.parse().map(Self::TcpListen).map_err(|_| {
                "wants an address of this machine and a port: tcp-listen://127.0.0.1:4001".into()
            });
        }
        if let Some(address) = text.strip_prefix("tcp://") {
            return units::parse_host_port(address)
                .map(|(host, port)| Self::Tcp { host, port })
                .ok_or_else(|| "wants a host and a port: tcp://HOST:PORT".into());
        }
        Err(
            "is none of evdev:BY-ID-GLOB, serial:PATH?baud=9600, tcp-listen://ADDR:PORT, tcp://HOST:PORT, stdin"
                .into(),
        )
    }
}

impl std::fmt::Display for ScannerConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Evdev(device) => write!(f, "evdev:{device}"),
            Self::Serial { path, baud } => write!(f, "serial:{}?baud={baud}", path.display()),
            Self::TcpListen(address) => write!(f, "tcp-listen://{address}"),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Stdin => f.write_str("stdin"),
        }
    }
}

impl Serialize for ScannerConnection {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// How labels reach a printer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrinterConnection {
    /// USB: the only printer, or by serial number, or by device path.
    Usb(Option<String>),
    /// Raw port, usually 9100.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// A serial port.
    Serial {
        /// Device path.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// IPP, `ipp://` or `ipps://`.
    Ipp(String),
    /// One file per page in this folder.
    File(PathBuf),
}

impl PrinterConnection {
    /// Reads a connection string.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "usb" {
            return Ok(Self::Usb(None));
        }
        if let Some(which) = text.strip_prefix("usb:") {
            return match which {
                "" => Err("names no printer: write usb, usb:SERIAL or usb:/dev/usb/lp0".into()),
                which => Ok(Self::Usb(Some(which.to_owned()))),
            };
        }
        if let Some(address) = text.strip_prefix("tcp://") {
            return units::parse_host_port(address)
                .map(|(host, port)| Self::Tcp { host, port })
                .ok_or_else(|| "wants a host and a port: tcp://HOST:9100".into());
        }
        if let Some(rest) = text.strip_prefix("serial:") {
            let (path, baud) = serial(rest)?;
            return Ok(Self::Serial { path, baud });
        }
        if text.starts_with("ipp://") || text.starts_with("ipps://") {
            return match reqwest::Url::parse(text) {
                Ok(url) if url.has_host() && url.password().is_none() => {
                    Ok(Self::Ipp(text.to_owned()))
                }
                _ => Err("wants ipp://HOST[:PORT]/PATH".into()),
            };
        }
        match text.strip_prefix("file:") {
            Some("") => Err("names no folder: write file:DIR".into()),
            Some(folder) => Ok(Self::File(folder.into())),
            None => Err(
                "is none of usb, usb:SERIAL, usb:/dev/usb/lp0, tcp://HOST:9100, serial:PATH?baud=9600, ipp://HOST/PATH, file:DIR"
                    .into(),
            ),
        }
    }
}

impl std::fmt::Display for PrinterConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usb(None) => f.write_str("usb"),
            Self::Usb(Some(which)) => write!(f, "usb:{which}"),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Serial { path, baud } => write!(f, "serial:{}?baud={baud}", path.display()),
            Self::Ipp(url) => f.write_str(url),
            Self::File(folder) => write!(f, "file:{}", folder.display()),
        }
    }
}

impl Serialize for PrinterConnection {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// `PATH` or `PATH?baud=N`; 9600 by default.
fn serial(text: &str) -> Result<(PathBuf, u32), String> {
    let (path, query) = text.split_once('?').unwrap_or((text, "baud=9600"));
    let baud = query
        .strip_prefix("baud=")
        .and_then(|b| b.parse().ok())
        .filter(|b| (300..=4_000_000).contains(b))
        .ok_or("wants serial:PATH?baud=9600")?;
    if path.is_empty() {
        return Err("names no port: write serial:/dev/serial/by-id/…".into());
    }
    Ok((path.into(), baud))
}

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
    /// Added to the printer's own darkness; 0: as the printer is set.
    pub darkness: i8,
    /// Inches per second; 0: as the printer is set.
    pub speed: u8,
    /// Millimetres right and down.
    pub offset: [f64; 2],
    /// After each label; as the printer is set when not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_label: Option<AfterLabel>,
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
}

/// `[alerts]`
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Alerts {
    /// Where alerts go; such addresses are secrets themselves, so only the host is shown.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "host_only")]
    pub webhook: Option<String>,
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
        all.extend(self.web.token.iter().map(|s| ("web.token".into(), s)));
        all
    }

    /// The printer of a name.
    pub fn printer(&self, name: &str) -> Option<&Printer> {
        self.printers.iter().find(|p| p.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_read_back_as_shown() {
        for text in [
            "evdev:usb-Honeywell_*-event-kbd",
            "serial:/dev/ttyACM0?baud=115200",
            "tcp-listen://127.0.0.1:4001",
            "tcp://[::1]:4001",
            "stdin",
        ] {
            assert_eq!(ScannerConnection::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "usb",
            "usb:/dev/usb/lp0",
            "tcp://zebra.lan:9100",
            "serial:/dev/ttyS0?baud=9600",
            "ipp://office.lan/ipp/print",
            "file:labels",
        ] {
            assert_eq!(PrinterConnection::parse(text).unwrap().to_string(), text);
        }
        for bad in [
            "",
            "tcp://x",
            "evdev:",
            "serial:",
            "serial:/dev/x?speed=1",
            "tcp-listen://here:1",
            "usb",
        ] {
            assert!(ScannerConnection::parse(bad).is_err(), "{bad}");
        }
        for bad in ["", "tcp://x", "usb:", "file:", "ipp://", "lpt1", "stdin"] {
            assert!(PrinterConnection::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn media_are_sizes_that_labels_have() {
        assert_eq!(Media::parse("100x150mm").unwrap().to_string(), "100x150mm");
        let inches = Media::parse("4x6in").unwrap();
        assert!((inches.width_mm - 101.6).abs() < 0.001);
        for bad in [
            "100x150",
            "0x5mm",
            "x",
            "1e2x100mm",
            "nanxinfmm",
            "100x99999mm",
            "-5x9mm",
        ] {
            assert!(Media::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_is_bounded_and_matches_the_whole_scan() {
        let pattern = Pattern::whole(r"SO-?(?P<numeric>\d+)|X").unwrap();
        assert!(pattern.regex().is_match("so-12"));
        assert!(!pattern.regex().is_match("SO-12a"));
        assert!(!pattern.regex().is_match("XX"));
        assert!(Pattern::search("(").unwrap_err().contains("unclosed"));
        assert!(Pattern::search(r"(\d{1000}){1000}").is_err());
    }
}
