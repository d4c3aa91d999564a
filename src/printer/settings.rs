//! What the configuration says about one printer, parsed once and then trusted.
//!
//! A connection or a language that this version does not know is an error that says so: a printer
//! that silently falls back to another language prints a metre of letters.

use crate::domain::PrinterName;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Port of raw printing ("JetDirect"), used when `tcp://HOST` names none.
const RAW_PORT: u16 = 9100;

/// Why a printer's settings are refused; the text goes to the person who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not one of the forms of a connection.
    #[error(
        "\"{text}\" is not a connection: {why}; write \"usb\", \"usb:SERIAL\", \"usb:/dev/usb/lp0\", \
         \"tcp://HOST:9100\" or \"file:DIR\""
    )]
    Connection {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// Not a language.
    #[error("\"{text}\" is not a printer language: write auto, zpl, epl, tspl, escpos or png")]
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
    /// Not a way to end a label.
    #[error("\"{text}\" is not a way to end a label: write tear-off, peel or cut")]
    AfterLabel {
        /// What was written.
        text: String,
    },
    /// `language = "auto"` and the printer does not say what it speaks.
    #[error(
        "printer \"{name}\" does not say which language it speaks ({detail}): set its language to \
         zpl, epl, tspl or escpos"
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
    /// One file per page in this directory.
    File(PathBuf),
}

impl Connection {
    /// Reads `usb[:SERIAL|VID:PID|PATH]`, `tcp://HOST[:PORT]` or `file:DIR`.
    ///
    /// # Errors
    /// Says what is wrong, and what works instead for `serial:` and `ipp://`.
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
        for (prefix, instead) in [
            ("serial:", "use the printer's USB or network port"),
            ("ipp:", "use tcp://HOST:9100 or usb"),
            ("ipps:", "use tcp://HOST:9100 or usb"),
        ] {
            if text.starts_with(prefix) {
                return Err(SettingsError::NotYet {
                    text: text.to_owned(),
                    instead,
                });
            }
        }
        Err(wrong("it starts with none of usb, tcp://, file:"))
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
        None => RAW_PORT,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
        return None;
    }
    Some(Connection::Tcp {
        host: host.to_owned(),
        port,
    })
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usb(UsbDevice::Any) => f.write_str("usb"),
            Self::Usb(UsbDevice::Path(path)) => write!(f, "usb:{}", path.display()),
            Self::Usb(UsbDevice::Serial(serial)) => write!(f, "usb:{serial}"),
            Self::Usb(UsbDevice::VidPid(vid, pid)) => write!(f, "usb:{vid:04x}:{pid:04x}"),
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::File(dir) => write!(f, "file:{}", dir.display()),
        }
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
    /// A picture file; only for `file:`.
    Png,
}

impl Language {
    /// The word in the configuration; also the ending of its files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Zpl => "zpl",
            Self::Epl => "epl",
            Self::Tspl => "tspl",
            Self::Escpos => "escpos",
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
            "brother-ql" | "ipp" | "pdf" | "pwg" => Err(SettingsError::NotYet {
                text: text.to_owned(),
                instead: "this version speaks zpl, epl, tspl, escpos and png",
            }),
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
    /// Absolute darkness, in the language's own steps (ZPL 0..=30, EPL and TSPL 0..=15);
    /// `None` leaves the printer's own setting.
    pub darkness: Option<u8>,
    /// Inches per second; `None` leaves the printer's own setting.
    pub speed: Option<u8>,
    /// Moves the picture right and down (negative: left and up), millimetres.
    pub offset_mm: (f64, f64),
    /// What happens when a label is out; `None` leaves the printer's own setting (ESC/POS: cut).
    pub after_label: Option<AfterLabel>,
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
            z64: false,
            fallback: None,
            limits: Limits::default(),
        }
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
        ] {
            assert!(refused(text).contains("tcp://HOST:9100"), "{text}");
        }
    }

    #[test]
    fn serial_and_ipp_say_that_they_are_not_supported_yet() {
        for text in ["serial:/dev/ttyUSB0?baud=9600", "ipp://host/printers/a"] {
            assert!(refused(text).contains("not supported yet"), "{text}");
        }
        assert!(
            "brother-ql"
                .parse::<Language>()
                .unwrap_err()
                .to_string()
                .contains("not supported yet")
        );
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
        ] {
            assert_eq!(Connection::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Connection::parse("tcp://zebra").unwrap().to_string(),
            "tcp://zebra:9100"
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
