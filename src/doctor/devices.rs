//! Printers, scanners, buttons and lights.

use super::fact::{Device, Kind, Printer};
use super::{Line, State};
use crate::domain::Code;

pub(super) fn printer(printer: &Printer) -> Vec<Line> {
    let name = printer.name.as_str();
    let language = match &printer.language {
        Ok(language) => language.as_str(),
        Err(why) => {
            let fix =
                "set its language in the configuration, or switch it on: it is asked at the start";
            let line = Line::coded("printer", name, State::Fail, Code::PrinterOffline, why);
            return vec![line.first(fix)];
        }
    };
    let what = format!("{language}, {}, {}", printer.connection, printer.media);
    if let Some(code) = printer.code.filter(|_| !printer.ready) {
        let seen = match printer.detail.as_str() {
            "" => what,
            detail => format!("{detail}; {what}"),
        };
        let line = Line::coded("printer", name, State::Fail, code, &seen);
        return vec![match code {
            Code::PrinterOffline if printer.is_folder => {
                line.first("make the folder and let the station's user write to it")
            }
            Code::PrinterOffline => {
                line.first("`printstation printers` shows what can be found on USB and network")
            }
            Code::DiskFull => line.first("make room where its folder is"),
            _ => line,
        }];
    }
    let says = match (printer.is_folder, printer.talks) {
        (true, _) => "pages are written as files there",
        (false, Some(true)) => "takes bytes and says it is ready",
        (false, Some(false)) => {
            "takes bytes; it answers no status question, so labels are proven as `sent` only"
        }
        (false, None) => "can be opened",
    };
    let said = format!("{says} ({what})");
    vec![if printer.detail.is_empty() {
        Line::ok("printer", name, said)
    } else {
        Line::warn(
            "printer",
            name,
            format!("{}; {said}", printer.detail),
            "see to what it names when there is time; it prints",
        )
    }]
}

pub(super) fn device(device: &Device) -> Vec<Line> {
    let (check, fix) = match device.kind {
        Kind::Scanner => (
            "scanner",
            "plug it in; `printstation scanners --bind` says the configuration of the one you scan with",
        ),
        Kind::Button => (
            "button",
            "check its pin or plug; where it is gone for good, take it out of the configuration",
        ),
        Kind::Light => (
            "light",
            "check the pin in the configuration; the bench works without it",
        ),
    };
    vec![match &device.trouble {
        None => Line::ok(check, &device.name, device.at.clone()),
        Some(why) => {
            let what = format!("{}: {why}", device.at);
            match device.kind {
                // The page and other scanners go on; without a scanner nobody can work by hand.
                Kind::Scanner => Line::fail(check, &device.name, what, fix),
                Kind::Button | Kind::Light => Line::warn(check, &device.name, what, fix),
            }
        }
    }]
}
