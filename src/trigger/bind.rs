//! "The one you scan with now": reads several devices at once until one of them scans.

use super::{Connection, End, Event, Scanner, Settings, StartError, spawn};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Scanners without a suffix are bound as well.
const IDLE: Duration = Duration::from_millis(300);

/// Serial ports that could be scanners: by-id links, else bare USB and Bluetooth ports.
pub fn serial_ports() -> Vec<PathBuf> {
    let named = ports(Path::new("/dev/serial/by-id"), &[""]);
    if !named.is_empty() {
        return named;
    }
    ports(Path::new("/dev"), &["ttyACM", "ttyUSB", "rfcomm"])
}

fn ports(folder: &Path, starts: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| {
            let name = entry.file_name();
            starts
                .iter()
                .any(|start| name.to_string_lossy().starts_with(start))
        })
        .map(|entry| entry.path())
        .take(64)
        .collect();
    found.sort();
    found
}

/// Reads the devices named (`evdev:…`, `serial:PATH?baud=N`) and tells which one scanned first, and
/// what; `None`: none did in time.
///
/// # Errors
/// No thread can be started.
pub async fn first_to_scan(
    connections: &[String],
    within: Duration,
) -> Result<Option<(String, String)>, StartError> {
    let scanners = connections.iter().filter_map(|text| {
        let connection = match text.strip_prefix("evdev:") {
            Some(device) => Connection::Keyboard(device.to_owned()),
            None => {
                let (path, baud) = text.strip_prefix("serial:")?.split_once("?baud=")?;
                Connection::Serial {
                    path: path.into(),
                    baud: baud.parse().ok()?,
                }
            }
        };
        Some(Scanner {
            name: text.clone(),
            connection,
            end: End::Idle(IDLE),
            ok: Vec::new(),
            error: Vec::new(),
        })
    });
    let (tx, mut rx) = mpsc::channel(16);
    let settings = Settings {
        scanners: scanners.collect(),
    };
    let _triggers = spawn(settings, tx).await?;
    let scanned = async {
        while let Some(event) = rx.recv().await {
            if let Event::Scanned(text) = event.event {
                return Some((event.scanner, text.to_string()));
            }
        }
        None
    };
    Ok(tokio::time::timeout(within, scanned)
        .await
        .unwrap_or_default())
}
