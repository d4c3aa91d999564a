//! `printstation provision`: what `printstation-provision.service` runs at boot.

use super::args::Provision;
use super::{Failure, say};
use crate::config::provision::{self, Places, ProvisionError};
use rand::{Rng as _, SeedableRng as _};
use std::process::ExitCode;

/// Letters and digits that nobody confuses and every scanner reads.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const BAD_CONFIGURATION: u8 = 78;

pub(super) fn run(args: Provision) -> Result<ExitCode, Failure> {
    let places = Places {
        boot: args.boot,
        etc: args.etc,
        drop_in: args.drop_in,
    };
    match provision::provision(&places, prefix) {
        Ok(done) if done.files.is_empty() => {
            say::line("nothing to take over");
            Ok(ExitCode::SUCCESS)
        }
        Ok(done) => {
            say::line(&format!("taken over: {}", done.files.join(", ")));
            if !done.credentials.is_empty() {
                say::line(&format!("secrets moved: {}", done.credentials.join(", ")));
            }
            if let Some(prefix) = done.prefix {
                say::line(&format!(
                    "command prefix made for this site: {prefix} (the same site.toml goes to every bench)"
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(ProvisionError::Invalid(problems)) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Err(
                Failure::internal(format!("config-invalid: {}", lines.join("\n")))
                    .with_exit(BAD_CONFIGURATION),
            )
        }
        Err(error @ ProvisionError::Io(_)) => Err(Failure::cannot(
            "the boot partition's configuration was not taken over".to_owned(),
            error,
        )),
    }
}

/// `PS`, four random characters, and a dot.
fn prefix() -> String {
    let mut rng = rand::rngs::StdRng::from_os_rng();
    let random: String = (0..4)
        .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
        .collect();
    format!("PS{random}.")
}
