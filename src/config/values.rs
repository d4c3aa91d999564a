//! Values with a form of their own: patterns, label sizes, connections.

use crate::config::units;
use serde::{Serialize, Serializer};
use std::net::SocketAddr;
use std::path::PathBuf;

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
