//! `printstation printers`: what is plugged in or answers on the network, as configuration.

use super::Failure;
use super::args::Printers;
use super::say::{self, Tone};
use crate::printer::{Discovered, Language, Network, discover};
use serde_json::{Value, json};
use std::process::ExitCode;

pub(super) async fn run(args: &Printers) -> Result<ExitCode, Failure> {
    let network = (!args.usb).then(|| Network {
        wait: args.wait,
        ..Network::default()
    });
    let (found, network_error) = match discover(network).await {
        Ok(found) => (found, None),
        // No network is no reason to hide what is plugged in.
        Err(error) => {
            let on_usb = discover(None).await.map_err(|cause| {
                Failure::cannot("printers cannot be looked for".to_owned(), cause)
            })?;
            (on_usb, Some(error.to_string()))
        }
    };
    if args.json {
        let printers: Vec<Value> = found.iter().map(described).collect();
        say::document(&json!({ "printers": printers, "network_error": network_error }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(error) = network_error {
        let text = format!("the network was not asked: {error}");
        say::line(&say::tone(Tone::Look, &text));
    }
    if found.is_empty() {
        say::line("no printer on USB, and none answered on the network");
        say::line("a printer that does not announce itself: connection = \"tcp://ADDRESS:9100\"");
    }
    for (index, printer) in found.iter().enumerate() {
        tell(index, printer);
    }
    Ok(ExitCode::SUCCESS)
}

fn described(printer: &Discovered) -> Value {
    json!({
        "model": printer.model,
        "connection": printer.connection.to_string(),
        "language": printer.language.map(Language::as_str),
        "says": printer.says,
    })
}

/// Ready to paste; what only a person can see is left to say.
fn tell(index: usize, printer: &Discovered) {
    if index > 0 {
        say::line("");
    }
    say::line(&say::tone(
        Tone::Quiet,
        &format!("# {}", say::plain(&printer.model)),
    ));
    say::line("[[printers]]");
    say::line(&format!("name = \"{}\"", name(index)));
    let connection = say::plain(&printer.connection.to_string());
    say::line(&format!("connection = {}", quoted(&connection)));
    match printer.language {
        Some(language) => say::line(&format!("language = \"{}\"", language.as_str())),
        None => say::line("# language: it does not say; one of zpl, epl, tspl, escpos"),
    }
}

fn name(index: usize) -> String {
    match index {
        0 => "label".to_owned(),
        more => format!("label-{}", more + 1),
    }
}

/// A TOML string: serials come from devices and may hold anything.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_serial_number_cannot_end_its_string() {
        let quoted = super::quoted("usb:a\"\\b");
        let text = format!("connection = {quoted}");
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["connection"].as_str(), Some("usb:a\"\\b"));
    }
}
