//! `printstation backup` and `restore`.

use super::args::{Backup, Restore};
use super::{Failure, output, say};
use crate::config::{self, DEFAULT_PATH, DEFAULT_STATE_DIR, Request};
use crate::runtime::backup::{self, BackupError, Bench, MAX_BACKUP, Summary};
use crate::system::passphrase::{self, From};
use secrecy::{ExposeSecret as _, SecretString};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where an installed service looks for drop-ins.
const DROP_IN: &str = "/etc/systemd/system/printstation.service.d";

pub(super) fn backup(args: &Backup, place: &Request) -> Result<ExitCode, Failure> {
    let passphrase = ask(args.passphrase_file.as_deref(), true)?;
    let bench = bench(place, true);
    let (bytes, summary) =
        backup::backup(&bench, passphrase.expose_secret()).map_err(|cause| no(cause, "backup"))?;
    if args.out.as_os_str() == "-" {
        output::write(&args.out, &bytes)?;
        return Ok(ExitCode::SUCCESS);
    }
    // Sealed, but still nobody else's.
    crate::system::durable::replace(&args.out, &bytes).map_err(|cause| {
        Failure::cannot(format!("{} cannot be written", args.out.display()), cause)
    })?;
    tell(
        &summary,
        args.json,
        &format!("kept in {}", args.out.display()),
    )?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(args: &Restore, place: &Request) -> Result<ExitCode, Failure> {
    let mut bytes = Vec::new();
    let read = if args.file.as_os_str() == "-" {
        std::io::stdin()
            .take(MAX_BACKUP)
            .read_to_end(&mut bytes)
            .map(drop)
    } else {
        std::fs::File::open(&args.file)
            .and_then(|file| file.take(MAX_BACKUP).read_to_end(&mut bytes).map(drop))
    };
    read.map_err(|cause| {
        Failure::cannot(format!("{} cannot be read", args.file.display()), cause)
    })?;
    let passphrase = ask(args.passphrase_file.as_deref(), false)?;
    let bench = bench(place, false);
    let summary = backup::restore(&bench, passphrase.expose_secret(), &bytes)
        .map_err(|cause| no(cause, "bench"))?;
    tell(&summary, args.json, "put back")?;
    if !args.json {
        say::line("labels that were not out when the backup was made are in doubt: look for each");
    }
    Ok(ExitCode::SUCCESS)
}

/// The bench of this machine; what the configuration says about it where there is one.
fn bench(place: &Request, read_config: bool) -> Bench {
    let configured = read_config
        .then(|| config::load(place).config)
        .flatten()
        .map(|config| config.station.state_dir);
    Bench {
        state: place
            .state_dir
            .clone()
            .or(configured)
            .unwrap_or_else(|| PathBuf::from(DEFAULT_STATE_DIR)),
        drop_in: (place.path == Path::new(DEFAULT_PATH)).then(|| PathBuf::from(DROP_IN)),
        config: place.path.clone(),
    }
}

fn ask(file: Option<&Path>, twice: bool) -> Result<SecretString, Failure> {
    let from = match file {
        Some(file) => From::File(file),
        None => From::EnvironmentOrTerminal { twice },
    };
    passphrase::read(&from)
        .map_err(|cause| Failure::cannot("no passphrase".to_owned(), cause).with_exit(64))
}

fn no(cause: BackupError, what: &str) -> Failure {
    Failure::cannot(format!("no {what}"), cause)
}

fn tell(summary: &Summary, json: bool, what: &str) -> Result<(), Failure> {
    if json {
        return say::document(summary);
    }
    say::line(&format!(
        "{what}: {} open order(s), {} label document(s), {} file(s) of the configuration",
        summary.orders,
        summary.documents,
        summary.files.len()
    ));
    for left_out in &summary.left_out {
        say::line(&say::tone(
            say::Tone::Look,
            &format!("not kept: {left_out}"),
        ));
    }
    Ok(())
}
