//! Printers that are there: on USB by what the kernel shows, on the network by asking once.
//!
//! The network is asked by one multicast DNS question (RFC 6762, "one-shot", answers come back to
//! our own port) for raw, IPP and line printers; answers are collected for a while and never
//! believed further than their own bytes: bounded in size, number, names and compression jumps.
//! What is found is a suggestion for a configuration, nothing is opened and nothing is changed.

use super::connection::usb;
use super::settings::{Connection, IppTarget, Language, UsbDevice};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// The group and port of multicast DNS.
const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), 5353);
/// Most answers that are read.
const MOST_ANSWERS: usize = 500;
/// Most records of one answer.
const MOST_RECORDS: usize = 200;
/// Most printers that are told.
const MOST_PRINTERS: usize = 200;
/// The question is sent again after these, because one packet may be lost.
const AGAIN: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(1000)];

const RAW: &str = "_pdl-datastream._tcp.local";
const IPP: &str = "_ipp._tcp.local";
const SERVICES: [&str; 2] = [RAW, IPP];

const TYPE_A: u16 = 1;
const TYPE_PTR: u16 = 12;
const TYPE_TXT: u16 = 16;
const TYPE_SRV: u16 = 33;

/// A printer that was found, as it would stand in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// What it calls itself.
    pub model: String,
    /// For `connection`.
    pub connection: Connection,
    /// For `language`, where it tells.
    pub language: Option<Language>,
    /// What it says of its languages, in its own words.
    pub says: String,
}

/// How the network is asked.
#[derive(Debug, Clone)]
pub struct Network {
    /// Where the question goes.
    pub to: SocketAddr,
    /// How long answers are waited for.
    pub wait: Duration,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            to: GROUP,
            wait: Duration::from_secs(2),
        }
    }
}

/// USB printers and, unless `network` is `None`, those that answer on the network.
///
/// # Errors
/// When the network cannot be asked; USB printers found until then are lost with it, so ask for
/// them alone then.
pub async fn discover(network: Option<Network>) -> io::Result<Vec<Discovered>> {
    let mut found = on_usb(Path::new(usb::SYSFS));
    if let Some(network) = network {
        found.extend(on_network(&network).await?);
    }
    Ok(found)
}

fn on_usb(sysfs: &Path) -> Vec<Discovered> {
    let printers = usb::list(sysfs);
    let is_only = printers.len() == 1;
    printers
        .into_iter()
        .map(|printer| {
            let id = printer.device_id.as_str();
            let part = |keys| usb::field(id, keys).unwrap_or_default();
            let model = format!(
                "{} {}",
                part(["MFG", "MANUFACTURER"]),
                part(["MDL", "MODEL"])
            );
            let device = match (printer.serial.as_str(), printer.vendor, printer.product) {
                ("", Some(vendor), Some(product)) if !is_only => UsbDevice::VidPid(vendor, product),
                ("", _, _) if is_only => UsbDevice::Any,
                ("", _, _) => UsbDevice::Path(printer.path.clone()),
                (serial, _, _) => UsbDevice::Serial(serial.to_owned()),
            };
            Discovered {
                model: plain(&model),
                connection: Connection::Usb(device),
                language: usb::language_of(id),
                says: plain(part(["CMD", "COMMAND SET"])),
            }
        })
        .collect()
}

async fn on_network(network: &Network) -> io::Result<Vec<Discovered>> {
    let any = if network.to.is_ipv4() {
        SocketAddr::from(([0, 0, 0, 0], 0))
    } else {
        SocketAddr::from(([0_u16; 8], 0))
    };
    let socket = UdpSocket::bind(any).await?;
    let question = question();
    let begun = Instant::now();
    let end = begun + network.wait;
    socket.send_to(&question, network.to).await?;
    let mut again = AGAIN.iter().map(|after| begun + *after);
    let mut next = again.next();
    let mut heard = Heard::default();
    let mut buffer = vec![0; 9000];
    for _ in 0..MOST_ANSWERS {
        let until = next.unwrap_or(end).min(end);
        match timeout_at(until, socket.recv_from(&mut buffer)).await {
            Ok(Ok((length, from))) => {
                heard.read(buffer.get(..length).unwrap_or(&[]), from.ip());
            }
            // An ICMP "nobody there" of an earlier question; the others may still answer.
            Ok(Err(error)) => tracing::debug!(%error, "asking for printers"),
            Err(_) if Instant::now() >= end => break,
            Err(_) => {
                next = again.next();
                socket.send_to(&question, network.to).await?;
            }
        }
    }
    Ok(heard.printers())
}

/// One question for each service, answers to be sent to us alone.
fn question() -> Vec<u8> {
    let mut out = vec![0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0];
    for service in SERVICES {
        for label in service.split('.') {
            out.push(u8::try_from(label.len()).unwrap_or(0));
            out.extend_from_slice(label.as_bytes());
        }
        out.push(0);
        out.extend_from_slice(&TYPE_PTR.to_be_bytes());
        out.extend_from_slice(&0x8001_u16.to_be_bytes()); // unicast answer, internet
    }
    out
}

/// What the answers said so far, by instance name.
#[derive(Debug, Default)]
struct Heard {
    /// Instance → service.
    instances: BTreeMap<String, &'static str>,
    /// Instance → host name, port, who said it.
    places: BTreeMap<String, (String, u16, IpAddr)>,
    texts: BTreeMap<String, BTreeMap<String, String>>,
    /// Host name → address.
    hosts: BTreeMap<String, Ipv4Addr>,
}

impl Heard {
    /// Reads an answer; what cannot be read is left out.
    fn read(&mut self, message: &[u8], from: IpAddr) {
        let _ = self.try_read(message, from);
    }

    fn try_read(&mut self, message: &[u8], from: IpAddr) -> Option<()> {
        let short = |at: usize| -> Option<u16> {
            Some(u16::from_be_bytes(
                message.get(at..at + 2)?.try_into().ok()?,
            ))
        };
        if short(2)? & 0x8000 == 0 {
            return None; // a question
        }
        let mut at = 12;
        for _ in 0..short(4)? {
            at = name(message, at)?.1 + 4;
        }
        let records = usize::from(short(6)?) + usize::from(short(8)?) + usize::from(short(10)?);
        for _ in 0..records.min(MOST_RECORDS) {
            let (owner, after) = name(message, at)?;
            let (kind, length) = (short(after)?, usize::from(short(after + 8)?));
            let start = after + 10;
            let data = message.get(start..start + length)?;
            at = start + length;
            if self.places.len() + self.instances.len() > MOST_PRINTERS * 4 {
                return None;
            }
            match kind {
                TYPE_PTR => {
                    let service = SERVICES.into_iter().find(|s| owner.eq_ignore_ascii_case(s));
                    if let Some(service) = service {
                        self.instances.insert(name(message, start)?.0, service);
                    }
                }
                TYPE_SRV => {
                    let port = short(start + 4)?;
                    let host = name(message, start + 6)?.0;
                    self.places.insert(owner, (host, port, from));
                }
                TYPE_TXT => {
                    self.texts.insert(owner, texts(data));
                }
                TYPE_A => {
                    if let Ok(address) = <[u8; 4]>::try_from(data) {
                        self.hosts.insert(owner, Ipv4Addr::from(address));
                    }
                }
                _ => {}
            }
        }
        Some(())
    }

    /// The printers that told where they are. Those that take raw bytes come first; an IPP printer
    /// is told apart only where it has no such port.
    fn printers(&self) -> Vec<Discovered> {
        let mut found: Vec<(IpAddr, bool, Discovered)> = Vec::new();
        for (instance, service) in &self.instances {
            let Some((host, port, from)) = self.places.get(instance).filter(|p| p.1 != 0) else {
                continue;
            };
            let address = self.hosts.get(host).map_or(*from, |a| IpAddr::V4(*a));
            let empty = BTreeMap::new();
            let texts = self.texts.get(instance).unwrap_or(&empty);
            let text = |key: &str| texts.get(key).map_or("", String::as_str);
            let model = [text("ty"), text("product"), instance]
                .into_iter()
                .find(|t| !t.is_empty())
                .unwrap_or_default();
            let is_raw = *service == RAW;
            let says = [text("usb_CMD"), text("pdl")].join(" ");
            let language = if is_raw {
                usb::language_of_commands(text("usb_CMD"))
                    .or_else(|| usb::language_of_commands(model))
            } else {
                Some(Language::Pwg)
            };
            let connection = if is_raw {
                Connection::Tcp {
                    host: address.to_string(),
                    port: *port,
                }
            } else {
                let path = match text("rp") {
                    "" => "/ipp/print".to_owned(),
                    path => format!("/{}", path.trim_start_matches('/')),
                };
                // Read back by the same rules as a configuration: it came from outside.
                let target = IppTarget {
                    host: address.to_string(),
                    port: *port,
                    path,
                };
                match Connection::parse(&target.uri()) {
                    Ok(connection) => connection,
                    Err(_) => continue,
                }
            };
            let printer = Discovered {
                model: plain(model),
                connection,
                language,
                says: plain(&says),
            };
            found.push((address, is_raw, printer));
        }
        found.sort_by_key(|(address, is_raw, printer)| {
            (*address, !is_raw, printer.connection.to_string())
        });
        found.dedup_by(|a, b| a.2 == b.2);
        found.truncate(MOST_PRINTERS);
        found.into_iter().map(|(_, _, printer)| printer).collect()
    }
}

/// A name and where it ends; compression may only jump back, so it comes to an end.
fn name(message: &[u8], at: usize) -> Option<(String, usize)> {
    let mut out = String::new();
    let (mut at, mut end, mut limit) = (at, None, at + 1);
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some((out, end.unwrap_or(at + 1))),
            1..=63 => {
                if !out.is_empty() {
                    out.push('.');
                }
                let label = message.get(at + 1..at + 1 + length)?;
                out.push_str(&String::from_utf8_lossy(label));
                if out.len() > 255 * 3 {
                    return None;
                }
                at += 1 + length;
            }
            192.. => {
                let jump = (length & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                end.get_or_insert(at + 2);
                if jump >= limit.min(at) {
                    return None;
                }
                limit = jump;
                at = jump;
            }
            _ => return None,
        }
    }
}

/// `key=value` strings.
fn texts(mut data: &[u8]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    while let Some((length, rest)) = data.split_first() {
        let Some((text, rest)) = rest.split_at_checked(usize::from(*length)) else {
            break;
        };
        data = rest;
        if let Some((key, value)) = String::from_utf8_lossy(text).split_once('=') {
            out.insert(key.to_owned(), value.to_owned());
        }
    }
    out
}

/// Text from outside, short and without control characters or quotes: it goes to a terminal.
fn plain(text: &str) -> String {
    let safe = |c: char| if c.is_control() || c == '"' { ' ' } else { c };
    let text: String = text.chars().map(safe).take(120).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn label(text: &str) -> Vec<u8> {
        let mut out = vec![u8::try_from(text.len()).unwrap()];
        out.extend_from_slice(text.as_bytes());
        out
    }

    fn dns_name(text: &str) -> Vec<u8> {
        let mut out: Vec<u8> = text.split('.').flat_map(label).collect();
        out.push(0);
        out
    }

    fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
        let mut out = owner.to_vec();
        out.extend_from_slice(&kind.to_be_bytes());
        out.extend_from_slice(&[0x80, 1, 0, 0, 0, 120]);
        out.extend_from_slice(&u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend_from_slice(data);
        out
    }

    fn answer(records: &[Vec<u8>]) -> Vec<u8> {
        let mut out = vec![0, 0, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        out[7] = u8::try_from(records.len()).unwrap();
        out.extend(records.concat());
        out
    }

    /// A printer's answer for one service.
    fn printer(service: &str, port: u16, txt: &[&str]) -> Vec<u8> {
        let instance = [label("Zebra ZD421"), dns_name(service)].concat();
        let mut srv = vec![0, 0, 0, 0];
        srv.extend_from_slice(&port.to_be_bytes());
        srv.extend(dns_name("zd421.local"));
        let txt: Vec<u8> = txt.iter().flat_map(|t| label(t)).collect();
        answer(&[
            record(&dns_name(service), TYPE_PTR, &instance),
            record(&instance, TYPE_SRV, &srv),
            record(&instance, TYPE_TXT, &txt),
            record(&dns_name("zd421.local"), TYPE_A, &[192, 0, 2, 7]),
        ])
    }

    const SOMEBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9));

    #[test]
    fn answers_that_make_no_sense_are_left_out() {
        let whole = printer(RAW, 9100, &["ty=Zebra ZD421", "usb_CMD=ZPL"]);
        for end in 0..whole.len() {
            let mut heard = Heard::default();
            heard.read(&whole[..end], SOMEBODY);
            assert!(heard.printers().len() <= 1, "{end}");
        }
        // A name that jumps to itself.
        let mut heard = Heard::default();
        heard.read(
            &answer(&[record(&[0xc0, 12], TYPE_PTR, &[0xc0, 12])]),
            SOMEBODY,
        );
        assert!(heard.printers().is_empty());
        // A path that would end the line that it is shown in.
        heard.read(&printer(IPP, 631, &["rp=a\"\nb"]), SOMEBODY);
        assert!(heard.printers().is_empty());
    }

    #[test]
    fn a_printer_is_told_with_its_connection_and_language() {
        let mut heard = Heard::default();
        heard.read(
            &printer(RAW, 9100, &["ty=Zebra ZD421", "usb_CMD=EPL,ZPL"]),
            SOMEBODY,
        );
        heard.read(
            &printer(IPP, 631, &["ty=Zebra ZD421", "rp=ipp/print"]),
            SOMEBODY,
        );
        let found: Vec<(String, Option<Language>)> = heard
            .printers()
            .into_iter()
            .map(|p| (p.connection.to_string(), p.language))
            .collect();
        assert_eq!(
            found,
            [
                ("tcp://192.0.2.7:9100".to_owned(), Some(Language::Zpl)),
                ("ipp://192.0.2.7/ipp/print".to_owned(), Some(Language::Pwg)),
            ]
        );
    }

    #[tokio::test]
    async fn the_network_is_asked_and_the_answer_read() {
        let responder = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = responder.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1500];
            let (length, from) = responder.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], question());
            let text = printer(RAW, 9100, &["ty=TSC TE210", "usb_CMD=TSPL2"]);
            responder.send_to(&text, from).await.unwrap();
        });
        let wait = Duration::from_millis(600);
        let found = on_network(&Network { to, wait }).await.unwrap();
        task.await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].language, Some(Language::Tspl));
        assert_eq!(found[0].model, "TSC TE210");
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_search_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut heard = Heard::default();
            heard.read(&bytes, SOMEBODY);
            let mut framed = vec![0, 0, 0x84, 0, 0, 0, 0, 9, 0, 0, 0, 0];
            framed.extend_from_slice(&bytes);
            heard.read(&framed, SOMEBODY);
            let _ = heard.printers();
        }
    }
}
