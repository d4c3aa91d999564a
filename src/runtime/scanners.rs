//! Scanners to the station, and the beep back.

use super::bench::{Bench, Request};
use super::devices::Devices;
use crate::config::model::{Config, ScanEnd, ScannerConnection};
use crate::domain::{Outcome, Source};
use crate::trigger::{self, Connection, End, Event, ReplyHandle, TriggerEvent, Triggers};
use tokio::sync::mpsc;

/// Scans on their way to the station; a full channel slows the scanner down.
const BACKLOG: usize = 64;

/// Starts the scanners of the configuration.
pub(super) async fn start(
    config: &Config,
    bench: Bench,
    devices: Devices,
) -> Result<Triggers, trigger::StartError> {
    let mut scanners = Vec::new();
    for scanner in &config.scanners {
        let connection = match &scanner.connection {
            ScannerConnection::TcpListen(address) => Connection::Listen(*address),
            ScannerConnection::Tcp { host, port } => Connection::Dial {
                host: host.clone(),
                port: *port,
            },
            ScannerConnection::Stdin => Connection::Stdin,
            ScannerConnection::Serial { path, baud } => Connection::Serial {
                path: path.clone(),
                baud: *baud,
            },
            ScannerConnection::Evdev(device) => Connection::Keyboard(device.clone()),
        };
        scanners.push(trigger::Scanner {
            name: scanner.name.clone(),
            connection,
            end: match scanner.end {
                ScanEnd::Suffix => End::Suffix,
                ScanEnd::Idle => End::Idle(scanner.idle),
            },
            ok: scanner.ok.clone().into_bytes(),
            error: scanner.error.clone().into_bytes(),
        });
    }
    let (tx, rx) = mpsc::channel(BACKLOG);
    let triggers = trigger::spawn(trigger::Settings { scanners }, tx).await?;
    tokio::spawn(forward(rx, bench, devices));
    Ok(triggers)
}

async fn forward(mut events: mpsc::Receiver<TriggerEvent>, bench: Bench, devices: Devices) {
    while let Some(TriggerEvent {
        scanner,
        event,
        reply,
    }) = events.recv().await
    {
        let source = Source {
            trigger: scanner.clone(),
            user: None,
        };
        let request = match event {
            Event::Scanned(text) => Request::Scan(text, source),
            Event::Bad(why) => Request::BadScan(source, why.to_string()),
            Event::Incomplete => {
                Request::BadScan(source, "the scan broke off; scan it again".to_owned())
            }
            Event::Connected => {
                tracing::info!(scanner, "scanner connected");
                devices.scanner(&scanner, "reading", None);
                continue;
            }
            Event::Lost { why } => {
                tracing::warn!(scanner, why, "scanner lost");
                devices.scanner(&scanner, "missing", Some(why));
                continue;
            }
        };
        let Ok(said) = bench.ask(request).await else {
            return;
        };
        if let Some(reply) = reply {
            tokio::spawn(beep(said, reply, scanner));
        }
    }
}

/// Beeps by the first word that is said: accepted is said within a flush.
async fn beep(mut said: mpsc::Receiver<super::bench::Said>, reply: ReplyHandle, scanner: String) {
    let Some(first) = said.recv().await else {
        return;
    };
    let beeped = match first.reply.outcome {
        Outcome::Accepted | Outcome::Printed | Outcome::Queued | Outcome::Ignored => {
            reply.ok().await
        }
        Outcome::Refused | Outcome::Question => reply.error().await,
    };
    if let Err(error) = beeped {
        tracing::debug!(scanner, %error, "no beep");
    }
}
