//! `printstation sheet`: the command barcodes on A4.

use super::args::Sheet;
use super::{Failure, output, say};
use crate::config::{self, Request};
use crate::signal::sheet;
use serde_json::json;
use std::process::ExitCode;

pub(super) fn run(args: &Sheet, place: &Request) -> Result<ExitCode, Failure> {
    let (prefix, presets) = site(args, place)?;
    let pdf = sheet::pdf(&prefix, &presets)
        .map_err(|cause| Failure::cannot("no sheet can be made".to_owned(), cause))?;
    let pages = pdf.pages;
    output::write(&args.out, &pdf.bytes)?;
    if args.out.as_os_str() == "-" {
        return Ok(ExitCode::SUCCESS);
    }
    let file = args.out.display();
    if args.json {
        say::document(
            &json!({ "file": file.to_string(), "pages": pages, "prefix": prefix, "commands": pdf.commands }),
        )?;
    } else {
        say::line(&format!(
            "{file}: {} command barcodes with prefix {prefix} on {pages} page(s)",
            pdf.commands.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The prefix and the packaging presets of the site.
fn site(args: &Sheet, place: &Request) -> Result<(String, Vec<String>), Failure> {
    let loaded = config::load(place);
    let presets = |config: &config::Config| config.packaging.presets.keys().cloned().collect();
    if let Some(prefix) = &args.prefix {
        let presets = loaded.config.as_ref().map(presets).unwrap_or_default();
        return Ok((prefix.clone(), presets));
    }
    match loaded.config {
        Some(config) if !config.scan.command_prefix.is_empty() => {
            let presets = presets(&config);
            Ok((config.scan.command_prefix, presets))
        }
        Some(_) => Err(Failure::internal(
            "scan.command_prefix is not set; set it in site.toml, or give --prefix",
        )
        .with_exit(78)),
        None => {
            let why: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
            Err(Failure::internal(format!(
                "the site's prefix is not known; give --prefix, or correct the configuration:\n{}",
                why.join("\n")
            ))
            .with_exit(78))
        }
    }
}
