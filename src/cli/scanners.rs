//! `printstation scanners`: what could be a scanner here, and the configuration line of the one that
//! is scanned with now.

use super::args::Scanners;
use super::{Failure, say};
use crate::trigger::{self, InputDevice, Places};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// A candidate with the connection string that names it.
struct Candidate {
    connection: String,
    about: String,
}

pub(super) async fn run(args: Scanners) -> Result<ExitCode, Failure> {
    let candidates = candidates(&Places::default());
    if args.json {
        for candidate in &candidates {
            say::document(
                &json!({ "connection": candidate.connection, "about": candidate.about }),
            )?;
        }
    } else {
        for candidate in &candidates {
            say::line(&format!(
                "{}   {}",
                say::plain(&candidate.connection),
                say::plain(&candidate.about)
            ));
        }
        if candidates.is_empty() {
            say::line(
                "No keyboard-style or serial scanner is plugged in, or they may not be read: the groups are input and dialout.",
            );
        }
    }
    let Some(wait) = args.bind.filter(|_| !candidates.is_empty()) else {
        return Ok(ExitCode::SUCCESS);
    };
    if !args.json {
        say::line(&format!(
            "Scan anything now; waiting {} s …",
            wait.as_secs()
        ));
    }
    let connections: Vec<String> = candidates.into_iter().map(|c| c.connection).collect();
    match trigger::first_to_scan(&connections, wait).await {
        Ok(Some((connection, text))) => {
            if args.json {
                say::document(&json!({ "scanned": text, "connection": connection }))?;
            } else {
                say::line(&format!("read: {}", say::plain(&text)));
                say::line("[[scanners]]");
                say::line("name = \"bench\"");
                say::line(&format!("connection = {}", json!(connection)));
            }
            Ok(ExitCode::SUCCESS)
        }
        Ok(None) => Err(Failure::internal(
            "nothing was scanned; a scanner that the running station holds cannot be read here: stop the station, or look at `printstation status`",
        )),
        Err(error) => Err(Failure::cannot(
            "the scanners cannot be read".to_owned(),
            error,
        )),
    }
}

fn candidates(places: &Places) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = places
        .all()
        .into_iter()
        .filter(|device| device.keyboard)
        .map(|device: InputDevice| Candidate {
            connection: format!("evdev:{}", device.pattern()),
            about: match device.uniq.as_str() {
                "" => device.name,
                uniq => format!("{} ({uniq})", device.name),
            },
        })
        .collect();
    for path in trigger::serial_ports() {
        let path: PathBuf = path;
        all.push(Candidate {
            connection: format!("serial:{}?baud=9600", path.display()),
            about: "serial port (USB CDC, RS-232 or Bluetooth)".to_owned(),
        });
    }
    all
}
