//! What the configuration says about one printer, parsed once and then trusted.
//!
//! A connection or a language that this version does not know is an error that says so: a printer
//! that silently falls back to another language prints a metre of letters.
//!
//! Long because each setting stands beside the text that a person reads when it is wrong, and half
//! of it is the tests of those texts.

use super::language::brother_ql;
use crate::domain::PrinterName;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Port of raw printing ("JetDirect"), used when `tcp://HOST` names none.
const RAW_PORT: u16 = 9100;
/// Port of IPP, used when `ipp://HOST` names none.
const IPP_PORT: u16 = 631;
/// Rates that serial printers offer.
const BAUDS: [u32; 9] = [
    1200, 2400, 4800, 9600, 19200, 38400, 57600, 115_200, 230_400,
];

/// Why a printer's settings are refused; the text goes to the person who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not one of the forms of a connection.
    #[error(
        "\"{text}\" is not a connection: {why}; write \"usb\", \"usb:SERIAL\", \"usb:/dev/usb/lp0\", \
         \"tcp://HOST:9100\", \"serial:PATH?baud=9600\", \"ipp://HOST/PATH\" or \"file:DIR\""
    )]
    Connection {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a language.
    #[error(
        "\"{text}\" is not a printer language: write auto, zpl, epl, tspl, escpos, brother-ql, ipp \
         or png"
    )]
    Language {
        /// What was written.
        text: String,
    },
    /// A form this version does not print to yet.
    #[error("\"{text}\" is not supported yet: {instead}")]
    NotYet {
        /// What was written.
        text: String,
        /// What works today.
        instead: &'static str,
    },
    /// Each setting is sound, and together they cannot print.
    #[error("printer \"{name}\" cannot print: {why}")]
    Together {
        /// The printer.
        name: PrinterName,
        /// What does not go together, and what to write.
        why: String,
    },
    /// Not a way to end a label.
    #[error("\"{text}\" is not a way to end a label: write tear-off, peel or cut")]
    AfterLabel {
        /// What was written.
        text: String,
    },
    /// `language = "auto"` and the printer does not say what it speaks.
    #[error(
        "printer \"{name}\" does not say which language it speaks ({detail}): set its language to \
         zpl, epl, tspl, escpos or brother-ql"
    )]
    LanguageUnknown {
        /// The printer.
        name: PrinterName,
        /// What was tried.
        detail: String,
    },
}

/// Which USB printer is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbDevice {
    /// The only one there is.
    Any,
    /// A device node, `/dev/usb/lp0`.
    Path(PathBuf),
    /// The serial number that sysfs shows: the only name that survives replugging.
    Serial(String),
    /// Vendor and product number, `0a5f:0166`.
    VidPid(u16, u16),
}

/// How bytes reach the printer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// The kernel's `usblp` device.
    Usb(UsbDevice),
    /// Raw bytes over TCP, one connection per page.
    Tcp {
        /// Name or address.
        host: String,
        /// Usually 9100.
        port: u16,
    },
    /// A serial port, 8 data bits, no parity, XON/XOFF from the printer.
    Serial {
        /// The device.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// The Internet Printing Protocol: a network printer's own, or a CUPS queue.
    Ipp(IppTarget),
    /// One file per page in this directory.
    File(PathBuf),
}

/// Where an IPP printer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IppTarget {
    /// Name or address.
    pub host: String,
    /// Usually 631.
    pub port: u16,
    /// Path of the printer, `/ipp/print` or `/printers/NAME`.
    pub path: String,
}

impl Connection {
    /// Reads `usb[:SERIAL|VID:PID|PATH]`, `tcp://HOST[:PORT]`, `serial:PATH[?baud=N]`,
    /// `ipp://HOST[:PORT][/PATH]` or `file:DIR`.
    ///
    /// # Errors
    /// Says what is wrong, and what works instead for `ipps://`.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let text = text.trim();
        let wrong = |why: &str| SettingsError::Connection {
            text: text.to_owned(),
            why: why.to_owned(),
        };
        if text == "usb" {
            return Ok(Self::Usb(UsbDevice::Any));
        }
        if let Some(device) = text.strip_prefix("usb:") {
            return parse_usb(device).map(Self::Usb).ok_or_else(|| {
                wrong("after usb: comes a serial number, VID:PID in hex, or a path")
            });
        }
        if let Some(dir) = text.strip_prefix("file:") {
            let dir = dir.strip_prefix("//").unwrap_or(dir);
            return if dir.is_empty() || dir.contains('\0') {
                Err(wrong("after file: comes a directory"))
            } else {
                Ok(Self::File(PathBuf::from(dir)))
            };
        }
        if let Some(address) = text.strip_prefix("tcp://") {
            return parse_tcp(address)
                .ok_or_else(|| wrong("after tcp:// come a host and a port from 1 to 65535"));
        }
        if let Some(port) = text.strip_prefix("serial:") {
            return parse_serial(port).ok_or_else(|| {
                wrong("after serial: comes a device, and perhaps ?baud= with a usual rate")
            });
        }
        if let Some(address) = text.strip_prefix("ipp://") {
            return parse_ipp(address)
                .ok_or_else(|| wrong("after ipp:// come a host and a path such as /ipp/print"));
        }
        if text.starts_with("ipps:") {
            return Err(SettingsError::NotYet {
                text: text.to_owned(),
                instead: "printers sign their own certificates, which prove nothing; use ipp:// on \
                          the station's own network",
            });
        }
        Err(wrong(
            "it starts with none of usb, tcp://, serial:, ipp://, file:",
        ))
    }
}

fn parse_usb(device: &str) -> Option<UsbDevice> {
    if device.is_empty() || device.len() > 200 || device.chars().any(char::is_control) {
        return None;
    }
    if device.starts_with('/') {
        return Some(UsbDevice::Path(PathBuf::from(device)));
    }
    if let Some((vid, pid)) = device.split_once(':') {
        let hex = |s: &str| (s.len() == 4).then(|| u16::from_str_radix(s, 16).ok())?;
        return Some(UsbDevice::VidPid(hex(vid)?, hex(pid)?));
    }
    Some(UsbDevice::Serial(device.to_owned()))
}

fn parse_tcp(address: &str) -> Option<Connection> {
    let address = address.strip_suffix('/').unwrap_or(address);
    let (host, port) = parse_host(address, RAW_PORT)?;
    Some(Connection::Tcp { host, port })
}

fn parse_ipp(address: &str) -> Option<Connection> {
    let (authority, path) = match address.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (address, "/ipp/print".to_owned()),
    };
    let (host, port) = parse_host(authority, IPP_PORT)?;
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '"' | '<' | '>' | '\\');
    (path.len() <= 512 && path.chars().all(plain)).then_some(Connection::Ipp(IppTarget {
        host,
        port,
        path,
    }))
}

fn parse_serial(port: &str) -> Option<Connection> {
    let (path, baud) = match port.split_once('?') {
        Some((path, query)) => (path, query.strip_prefix("baud=")?.parse().ok()?),
        None => (port, 9600),
    };
    let is_path = path.starts_with('/') && path.len() <= 512 && !path.contains('\0');
    (is_path && BAUDS.contains(&baud)).then_some(Connection::Serial {
        path: PathBuf::from(path),
        baud,
    })
}

fn parse_host(address: &str, usual: u16) -> Option<(String, u16)> {
    let (host, port) = if let Some(v6) = address.strip_prefix('[') {
        let (host, rest) = v6.split_once(']')?;
        (
            host,
            if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':')?)
            },
        )
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|p| *p != 0)?,
        None => usual,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
        return None;
    }
    Some((host.to_owned(), port))
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb(UsbDevice::Any) => f.write_str("usb"),
            Self::Usb(UsbDevice::Path(path)) => write!(f, "usb:{}", path.display()),
            Self::Usb(UsbDevice::Serial(serial)) => write!(f, "usb:{serial}"),
            Self::Usb(UsbDevice::VidPid(vid, pid)) => write!(f, "usb:{vid:04x}:{pid:04x}"),
            Self::Tcp { host, port } => write!(f, "tcp://{}:{port}", bracketed(host)),
            Self::Serial { path, baud } => write!(f, "serial:{}?baud={baud}", path.display()),
            Self::Ipp(target) => f.write_str(&target.uri()),
            Self::File(dir) => write!(f, "file:{}", dir.display()),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

impl IppTarget {
    /// The `printer-uri`; the usual port is left out, as printers write it themselves.
    pub fn uri(&self) -> String {
        let host = bracketed(&self.host);
        match self.port {
            IPP_PORT => format!("ipp://{host}{}", self.path),
            port => format!("ipp://{host}:{port}{}", self.path),
        }
    }

    /// The `Host` of its HTTP requests.
    pub fn authority(&self) -> String {
        format!("{}:{}", bracketed(&self.host), self.port)
    }
}

impl FromStr for Connection {
    type Err = SettingsError;
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        Self::parse(text)
    }
}

/// What a printer understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Found out: file → png, USB → IEEE-1284 device id, TCP → asked once.
    Auto,
    /// Zebra ZPL II.
    Zpl,
    /// Eltron EPL2, page mode.
    Epl,
    /// TSC TSPL and TSPL2.
    Tspl,
    /// Epson ESC/POS.
    Escpos,
    /// Brother QL raster.
    BrotherQl,
    /// PWG raster, or what else the printer prefers; only for `ipp:` and `file:`.
    Pwg,
    /// PDF; chosen for IPP printers that do not take PWG raster.
    Pdf,
    /// A picture file; only for `file:`.
    Png,
}

impl Language {
    /// The ending of its files (contract 23).
    pub fn ending(self) -> &'static str {
        match self {
            Self::Auto => "png",
            Self::BrotherQl => "bql",
            Self::Pwg => "pwg",
            other => other.as_str(),
        }
    }

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Zpl => "zpl",
            Self::Epl => "epl",
            Self::Tspl => "tspl",
            Self::Escpos => "escpos",
            Self::BrotherQl => "brother-ql",
            Self::Pwg => "ipp",
            Self::Pdf => "pdf",
            Self::Png => "png",
        }
    }
}

impl FromStr for Language {
    type Err = SettingsError;
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        match text {
            "auto" => Ok(Self::Auto),
            "zpl" => Ok(Self::Zpl),
            "epl" => Ok(Self::Epl),
            "tspl" => Ok(Self::Tspl),
            "escpos" => Ok(Self::Escpos),
            "png" => Ok(Self::Png),
            "brother-ql" => Ok(Self::BrotherQl),
            "ipp" => Ok(Self::Pwg),
            "pdf" => Ok(Self::Pdf),
            _ => Err(SettingsError::Language {
                text: text.to_owned(),
            }),
        }
    }
}

/// What the printer does when a label is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AfterLabel {
    /// Stops with the gap at the tear bar.
    TearOff,
    /// Peels the liner and waits until the label is taken.
    Peel,
    /// Cuts.
    Cut,
}

impl FromStr for AfterLabel {
    type Err = SettingsError;
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        match text {
            "tear-off" => Ok(Self::TearOff),
            "peel" => Ok(Self::Peel),
            "cut" => Ok(Self::Cut),
            _ => Err(SettingsError::AfterLabel {
                text: text.to_owned(),
            }),
        }
    }
}

/// One `[[printers]]` of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Its name.
    pub name: PrinterName,
    /// How to reach it.
    pub connection: Connection,
    /// What it understands.
    pub language: Language,
    /// Dots per inch of the head: 203, 300 or 600.
    pub dpi: u16,
    /// Width (across the head) and length of one label, millimetres.
    pub media_mm: (f64, f64),
    /// Gray from which a dot stays white, 0..=255; used when the label is drawn, not here.
    pub threshold: u8,
    /// Darkness: ZPL adds it to the printer's own (-30..=30), EPL and TSPL take it as the step (1..=15);
    /// `None` leaves the printer's own setting.
    pub darkness: Option<i8>,
    /// Inches per second; `None` leaves the printer's own setting.
    pub speed: Option<u8>,
    /// Moves the picture right and down (negative: left and up), millimetres.
    pub offset_mm: (f64, f64),
    /// What happens when a label is out; `None` leaves the printer's own setting (ESC/POS: cut).
    pub after_label: Option<AfterLabel>,
    /// How many of each page of an order come out, 1 or more; tickets come once.
    pub copies: u8,
    /// ZPL pictures as `:Z64:` (a third of the bytes; some clones do not know it).
    pub z64: bool,
    /// Another printer for labels that are proven not started; used by the station.
    pub fallback: Option<PrinterName>,
    /// Deadlines.
    pub limits: Limits,
}

impl Settings {
    /// A 4x6 label printer at 203 dpi with this connection and everything else by default.
    pub fn new(name: impl Into<PrinterName>, connection: Connection) -> Self {
        Self {
            name: name.into(),
            connection,
            language: Language::Auto,
            dpi: 203,
            media_mm: (100.0, 150.0),
            threshold: 150,
            darkness: None,
            speed: None,
            offset_mm: (0.0, 0.0),
            after_label: None,
            copies: 1,
            z64: false,
            fallback: None,
            limits: Limits::default(),
        }
    }

    /// What does not go together is found at start and not at the first label.
    ///
    /// # Errors
    /// What does not go together, and what to write.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |why: String| SettingsError::Together {
            name: self.name.clone(),
            why,
        };
        let to_file = matches!(self.connection, Connection::File(_));
        let by_ipp = matches!(self.connection, Connection::Ipp(_));
        match self.language {
            Language::Png if !to_file => Err(wrong(
                "png is only for file: printers; write its language, or auto".to_owned(),
            )),
            Language::Pwg | Language::Pdf if !to_file && !by_ipp => Err(wrong(format!(
                "language \"{}\" goes over an ipp:// connection; this one is {}",
                self.language.as_str(),
                self.connection
            ))),
            Language::Auto if matches!(self.connection, Connection::Serial { .. }) => Err(wrong(
                "a serial port does not say what is behind it; set its language".to_owned(),
            )),
            Language::Png | Language::Auto if to_file && self.copies > 1 => Err(wrong(
                "a picture file needs no copies; leave copies out".to_owned(),
            )),
            Language::Epl | Language::Tspl if self.darkness.is_some_and(|d| d < 0) => {
                Err(wrong(format!(
                    "{} knows no less darkness than its own, only steps from 1 to 15",
                    self.language.as_str()
                )))
            }
            Language::BrotherQl if self.dpi != brother_ql::DPI => Err(wrong(format!(
                "Brother QL heads have {} dpi; this one is set to {}",
                brother_ql::DPI,
                self.dpi
            ))),
            Language::BrotherQl if brother_ql::stock(self.media_mm).is_none() => {
                let (width, length) = self.media_mm;
                Err(wrong(format!(
                    "Brother has no labels of {width} x {length} mm; there are {}, and rolls of {} \
                     mm that are cut to length",
                    brother_ql::die_cut_names(),
                    brother_ql::roll_names()
                )))
            }
            _ => Ok(()),
        }
    }

    /// What of one label the head can reach, millimetres: the size to draw pages for.
    pub fn drawable_mm(&self) -> (f64, f64) {
        match self.language {
            Language::BrotherQl => {
                brother_ql::stock(self.media_mm).map_or(self.media_mm, |stock| stock.drawable_mm())
            }
            _ => self.media_mm,
        }
    }

    /// Deadlines for this connection: a serial line is given the time that its rate needs.
    pub(crate) fn paced(&self) -> Limits {
        let mut limits = self.limits.clone();
        if let Connection::Serial { baud, .. } = self.connection {
            // Ten bits a byte, and half of the rate for the printer's own pauses.
            limits.total_rate = limits.total_rate.min(baud / 20).max(1);
        }
        limits
    }

    /// Width and length of one label in dots, rounded to the nearest dot.
    pub fn media_dots(&self) -> (u32, u32) {
        (
            mm_to_dots(self.media_mm.0, self.dpi).unsigned_abs(),
            mm_to_dots(self.media_mm.1, self.dpi).unsigned_abs(),
        )
    }
}

/// Millimetres as dots of the head, rounded to the nearest; absurd values become 0.
pub(crate) fn mm_to_dots(mm: f64, dpi: u16) -> i32 {
    let dots = (mm * f64::from(dpi) / 25.4).round();
    if dots.is_finite() && dots.abs() <= 100_000.0 {
        #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
        let dots = dots as i32;
        dots
    } else {
        0
    }
}

/// How long each step of a print may take. The defaults are contract 23; tests shorten them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connecting, name look-up included.
    pub connect: Duration,
    /// One answer to a status query.
    pub status: Duration,
    /// All of the first question of `language = "auto"`.
    pub identify: Duration,
    /// Without a single byte taken, the job has stopped.
    pub progress: Duration,
    /// Part of the total that does not depend on the size.
    pub total_base: Duration,
    /// Slowest transfer that is still waited for, bytes per second.
    pub total_rate: u32,
    /// How long a printer that answers is asked whether the label is out.
    pub confirm: Duration,
    /// Waiting for the peer's end of the connection after ours.
    pub fin: Duration,
    /// A printer that does not answer is not asked again for this long.
    pub silence: Duration,
    /// A printer that used to answer and is quiet is believed to need a hand for this long;
    /// after that it counts as one without a back channel.
    pub quiet: Duration,
    /// Between two looks at a printer that needs a hand.
    pub poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            status: Duration::from_millis(250),
            identify: Duration::from_secs(1),
            progress: Duration::from_secs(10),
            total_base: Duration::from_secs(20),
            total_rate: 4096,
            confirm: Duration::from_secs(2),
            fin: Duration::from_secs(2),
            silence: Duration::from_secs(300),
            quiet: Duration::from_secs(600),
            poll: Duration::from_secs(2),
        }
    }
}

impl Limits {
    /// The longest a page of this size may take to be handed over.
    pub fn total(&self, bytes: usize) -> Duration {
        let seconds = bytes as u64 / u64::from(self.total_rate.max(1));
        self.total_base.saturating_add(Duration::from_secs(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str) -> String {
        Connection::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_connection_that_is_not_one_says_what_to_write() {
        for text in [
            "",
            "usb:",
            "tcp://",
            "tcp://:9100",
            "tcp://host:0",
            "tcp://host:99999",
            "tcp://a b:1",
            "tcp://[::1:9100",
            "file:",
            "lp0",
            "/dev/usb/lp0",
            "http://host",
            "usb:zz:11",
            "serial:",
            "serial:ttyS0",
            "serial:/dev/ttyS0?baud=9601",
            "serial:/dev/ttyS0?speed=9600",
            "ipp://",
            "ipp:///ipp/print",
            "ipp://host:0/ipp",
            "ipp://host/a b",
        ] {
            assert!(refused(text).contains("tcp://HOST:9100"), "{text}");
        }
    }

    #[test]
    fn a_certificate_that_proves_nothing_is_not_pretended_to() {
        assert!(refused("ipps://host/ipp/print").contains("use ipp://"));
    }

    #[test]
    fn what_does_not_go_together_is_named_with_what_to_write() {
        let with = |connection: &str, language, dpi, media_mm| {
            let connection = Connection::parse(connection).unwrap();
            Settings {
                language,
                dpi,
                media_mm,
                ..Settings::new("label", connection)
            }
        };
        let usual = (100.0, 150.0);
        for (settings, says) in [
            (with("usb", Language::Png, 203, usual), "file:"),
            (with("tcp://a", Language::Pwg, 203, usual), "ipp://"),
            (
                with("serial:/dev/ttyS0", Language::Auto, 203, usual),
                "set its language",
            ),
            (
                with("usb", Language::BrotherQl, 203, (62.0, 100.0)),
                "300 dpi",
            ),
            (with("usb", Language::BrotherQl, 300, usual), "102 x 152"),
            (
                Settings {
                    copies: 2,
                    ..with("file:x", Language::Auto, 203, usual)
                },
                "leave copies out",
            ),
            (
                Settings {
                    darkness: Some(-3),
                    ..with("usb", Language::Tspl, 203, usual)
                },
                "steps from 1 to 15",
            ),
        ] {
            let said = settings.check().unwrap_err().to_string();
            assert!(said.contains(says), "{said}");
        }
        for settings in [
            with("ipp://a", Language::Auto, 300, usual),
            with("file:x", Language::Pwg, 300, usual),
            with("serial:/dev/ttyS0", Language::Epl, 203, usual),
            with("usb", Language::BrotherQl, 300, (102.0, 152.0)),
            with("usb", Language::BrotherQl, 300, (62.0, 150.0)),
        ] {
            settings.check().unwrap();
        }
    }

    #[test]
    fn a_slow_line_is_given_the_time_it_needs() {
        let connection = Connection::parse("serial:/dev/ttyS0?baud=9600").unwrap();
        let paced = Settings::new("label", connection).paced();
        // 30 kB at 960 bytes a second are 31 s at least.
        assert!(paced.total(30_000) > Duration::from_secs(40));
    }

    #[test]
    fn every_connection_is_read_and_written_the_same() {
        for text in [
            "usb",
            "usb:XYZ123",
            "usb:/dev/usb/lp0",
            "usb:0a5f:0166",
            "tcp://10.0.0.7:9100",
            "tcp://[fe80::1%eth0]:6101",
            "tcp://zebra.local:9100",
            "file:/tmp/labels",
            "serial:/dev/ttyUSB0?baud=115200",
            "ipp://host/printers/a",
            "ipp://[fe80::1]:8631/ipp/print",
        ] {
            assert_eq!(Connection::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Connection::parse("tcp://zebra").unwrap().to_string(),
            "tcp://zebra:9100"
        );
        assert_eq!(
            Connection::parse("serial:/dev/ttyS0").unwrap().to_string(),
            "serial:/dev/ttyS0?baud=9600"
        );
        assert_eq!(
            Connection::parse("ipp://host").unwrap().to_string(),
            "ipp://host/ipp/print"
        );
        assert_eq!(
            Connection::parse("file:labels").unwrap(),
            Connection::File("labels".into())
        );
    }

    #[test]
    fn a_100_by_150_label_at_203_dpi_is_799_by_1199_dots() {
        let settings = Settings::new("label", Connection::Usb(UsbDevice::Any));
        assert_eq!(settings.media_dots(), (799, 1199));
        assert_eq!(mm_to_dots(f64::NAN, 203), 0);
        assert_eq!(mm_to_dots(1e300, 203), 0);
    }

    #[test]
    fn the_total_deadline_grows_with_the_label() {
        let limits = Limits::default();
        assert!(limits.total(1_000_000) > limits.total(10_000));
    }
}
