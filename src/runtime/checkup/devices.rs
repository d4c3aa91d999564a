//! Printers, scanners and pins. Where no station runs, scanners are only looked for, and pins only
//! looked at: nothing is grabbed, lit or claimed.

use crate::config::model::{Config, ScannerConnection};
use crate::doctor::Fact;
use crate::doctor::fact::{self, Device, Kind};
use crate::printer::{Connection, Printer};
use crate::system::gpio;
use crate::trigger::Places;
use rustix::fs::{Access, access};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long a scanner that we dial may take.
const DIAL: Duration = Duration::from_secs(3);

/// Asks the printer how it is; prints nothing.
pub(super) async fn printer(printer: &Printer) -> Fact {
    let settings = printer.settings();
    let language = printer.identify().await;
    let status = printer.status().await;
    let (width, height) = settings.media_mm;
    Fact::Printer(fact::Printer {
        name: settings.name.to_string(),
        connection: settings.connection.to_string(),
        language: language
            .map(|language| language.as_str().to_owned())
            .map_err(|error| error.to_string()),
        media: format!("{width}x{height}mm at {} dpi", settings.dpi),
        ready: status.ready,
        code: status.code,
        detail: status.detail,
        talks: status.back_channel,
        is_folder: matches!(settings.connection, Connection::File(_)),
    })
}

/// Scanners, buttons on keyboards, where no station reads them.
pub(super) async fn scanners(config: &Config) -> Vec<Device> {
    let mut all = Vec::new();
    for scanner in &config.scanners {
        let trouble = match &scanner.connection {
            ScannerConnection::Evdev(name) => keyboard(name),
            ScannerConnection::Serial { path, .. } => usable(path, "dialout"),
            ScannerConnection::TcpListen(address) => free(*address).await,
            ScannerConnection::Tcp { host, port } => dial(host, *port).await,
            ScannerConnection::Stdin => None,
        };
        all.push(Device {
            kind: Kind::Scanner,
            name: scanner.name.clone(),
            at: scanner.connection.to_string(),
            trouble,
        });
    }
    for button in &config.buttons {
        if let Some(name) = &button.evdev {
            all.push(Device {
                kind: Kind::Button,
                name: button.name.clone(),
                at: format!("evdev:{name}"),
                trouble: keyboard(name),
            });
        }
    }
    all
}

/// The page's address.
pub(super) async fn web(config: &Config) -> Fact {
    Fact::Web {
        listen: config.web.listen.to_string(),
        trouble: free(config.web.listen).await,
    }
}

fn keyboard(name: &str) -> Option<String> {
    let nodes = Places::default().matching(name);
    match nodes.first() {
        None => Some("no input device of this machine fits it".to_owned()),
        Some(node) => usable(node, "input"),
    }
}

/// `group`: who may use such a device.
fn usable(path: &Path, group: &str) -> Option<String> {
    match access(path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => None,
        Err(rustix::io::Errno::ACCESS) => Some(format!(
            "{} may not be used by this user; the station's user must be in the group {group}",
            path.display()
        )),
        Err(error) => Some(format!("{}: {error}", path.display())),
    }
}

/// Nobody else listens there. Taken for a moment, and given back.
async fn free(address: SocketAddr) -> Option<String> {
    TcpListener::bind(address)
        .await
        .err()
        .map(|error| error.to_string())
}

async fn dial(host: &str, port: u16) -> Option<String> {
    match tokio::time::timeout(DIAL, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} s", DIAL.as_secs())),
    }
}

/// Pins of buttons, lamp and buzzer, by the kernel's own list. Blocks.
pub(super) fn pins(config: &Config) -> Vec<Device> {
    let mut wanted: Vec<(Kind, String, u8)> = Vec::new();
    for button in &config.buttons {
        if let Some(pin) = button.gpio {
            wanted.push((Kind::Button, button.name.clone(), pin));
        }
    }
    let lights = [
        ("green", config.lamp.green),
        ("yellow", config.lamp.yellow),
        ("red", config.lamp.red),
        ("blue", config.lamp.blue),
        ("button light", config.lamp.button),
        ("buzzer", config.buzzer.gpio),
    ];
    for (name, pin) in lights {
        if let Some(pin) = pin {
            wanted.push((Kind::Light, name.to_owned(), pin));
        }
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    let numbers: Vec<u8> = wanted.iter().map(|(_, _, pin)| *pin).collect();
    let held = gpio::held(&numbers);
    wanted
        .into_iter()
        .map(|(kind, name, pin)| Device {
            kind,
            name,
            at: format!("gpio:{pin}"),
            trouble: match &held {
                Ok(held) => held.get(&pin).map(|by| match by.as_str() {
                    "" => "another program or a device-tree overlay holds this pin".to_owned(),
                    by => format!("\"{by}\" holds this pin"),
                }),
                Err(error) => Some(error.to_string()),
            },
        })
        .collect()
}
