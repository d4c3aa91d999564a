//! Configuration to the settings of every room (contract 36: each room owns its own).

use super::paper::Head;
use crate::config::model::{self, Config};
use crate::config::secret::SecretRef;
use crate::domain::{Parcel, PrinterName};
use crate::{label, ledger, printer, starshipit, station};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why the configuration cannot be put to work although it is well-formed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A secret could not be read.
    #[error("{key}: {why}")]
    Secret {
        /// Configuration key.
        key: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// A printer setting that this build cannot serve.
    #[error("printer {name}: {why}")]
    Printer {
        /// Printer name.
        name: String,
        /// What is wrong and what to do.
        why: String,
    },
}

pub(super) fn station(config: &Config) -> station::Settings {
    let mut printer_rules = Vec::new();
    for printer in &config.printers {
        for rule in &printer.overrides {
            printer_rules.push(station::PrinterRule {
                of: printer.name.as_str().into(),
                label_type: rule.label_type.clone(),
                printer: rule.printer.as_str().into(),
            });
        }
    }
    station::Settings {
        prefix: config.scan.command_prefix.clone(),
        repeat_window: config.scan.repeat_window,
        mode: match config.scan.mode {
            model::ScanMode::Print => station::ScanMode::Print,
            model::ScanMode::Arm => station::ScanMode::Arm,
        },
        patterns: config
            .scan
            .patterns
            .iter()
            .map(|p| p.regex().clone())
            .collect(),
        fallback: config
            .scan
            .fallback
            .iter()
            .map(|f| match f {
                model::Fallback::OrderNumber => station::Lookup::OrderNumber,
                model::Fallback::Reference => station::Lookup::Reference,
                model::Fallback::Tracking => station::Lookup::Tracking,
            })
            .collect(),
        routes: config
            .routes
            .iter()
            .map(|route| station::Route {
                scan: route.scan.as_ref().map(|scan| scan.regex().clone()),
                account: route.account.as_str().into(),
                printer: route.printer.as_str().into(),
            })
            .collect(),
        printers: config
            .printers
            .iter()
            .map(|p| p.name.as_str().into())
            .collect(),
        printer_rules,
        elsewhere: match config.starshipit.on_printed_elsewhere {
            model::OnPrintedElsewhere::Ask => station::Elsewhere::Ask,
            model::OnPrintedElsewhere::PrintOnce => station::Elsewhere::PrintOnce,
            model::OnPrintedElsewhere::Refuse => station::Elsewhere::Refuse,
        },
        confirm: match config.starshipit.confirm {
            model::Confirm::Never => station::Confirm::Never,
            model::Confirm::Missing => station::Confirm::Missing,
            model::Confirm::Always => station::Confirm::Always,
        },
        settle: config.starshipit.settle,
        expire_after: config.offline.expire_after,
        release: match config.offline.release {
            model::OfflineRelease::Ask => station::Release::Ask,
            model::OfflineRelease::Print => station::Release::Print,
        },
        recheck: config.prefetch.recheck,
        unverified: match config.prefetch.unverified {
            model::Unverified::Print => station::Unverified::Print,
            model::Unverified::Hold => station::Unverified::Hold,
        },
        presets: config
            .packaging
            .presets
            .iter()
            .map(|(name, preset)| {
                let parcel = Parcel {
                    weight_kg: preset.weight_kg,
                    length_m: preset.length_cm / 100.0,
                    width_m: preset.width_cm / 100.0,
                    height_m: preset.height_cm / 100.0,
                };
                (name.clone(), parcel)
            })
            .collect(),
        max_acts: 500,
    }
}

pub(super) fn starshipit(
    config: &Config,
    secret: impl Fn(&str, &SecretRef) -> Result<SecretString, ComposeError>,
) -> Result<starshipit::Settings, ComposeError> {
    let accounts = config
        .starshipit
        .accounts
        .iter()
        .map(|account| {
            let key = |what: &str| format!("starshipit.accounts.{}.{what}", account.name);
            Ok(starshipit::AccountSettings {
                name: account.name.as_str().into(),
                api_key: secret(&key("api_key"), &account.api_key)?,
                subscription_key: secret(&key("subscription_key"), &account.subscription_key)?,
            })
        })
        .collect::<Result<_, ComposeError>>()?;
    Ok(starshipit::Settings {
        base_url: config.starshipit.base_url.clone(),
        accounts,
        requests_per_second: config.starshipit.requests_per_second,
        stations_sharing_key: config.starshipit.stations_sharing_key,
        request_timeout: config.starshipit.request_timeout,
    })
}

pub(super) fn ledger(config: &Config, check: ledger::DbCheck) -> ledger::Settings {
    ledger::Settings {
        keep: config.ledger.keep,
        max_orders: u64::from(config.ledger.max_orders),
        ..ledger::Settings::new(config.station.state_dir.join("ledger"), check)
    }
}

pub(super) fn label(config: &Config) -> label::Settings {
    label::Settings {
        crops: config
            .label
            .crops
            .iter()
            .map(|crop| label::Crop {
                courier: crop.courier.clone(),
                page: crop.page.clone(),
                box_mm: crop.box_mm,
                label_type: crop.label_type.clone(),
            })
            .collect(),
        read_back: label::ReadBack {
            policy: match config.label.read_back.policy {
                model::ReadBackPolicy::Warn => label::Policy::Warn,
                model::ReadBackPolicy::Hold => label::Policy::Hold,
            },
            hold: config.label.read_back.hold.clone(),
        },
        limits: label::Limits::default(),
    }
}

pub(super) fn heads(config: &Config) -> Result<BTreeMap<PrinterName, Arc<Head>>, ComposeError> {
    config
        .printers
        .iter()
        .map(|printer| {
            let name = PrinterName(printer.name.clone());
            let settings = printer_settings(printer)?;
            let (width_mm, height_mm) = settings.drawable_mm();
            let head = Head {
                printer: printer::Printer::open(settings),
                media: label::Media {
                    width_mm,
                    height_mm,
                    dpi: printer.dpi,
                    threshold: printer.threshold,
                },
            };
            Ok((name, Arc::new(head)))
        })
        .collect()
}

fn printer_settings(config: &model::Printer) -> Result<printer::Settings, ComposeError> {
    let wrong = |why: String| ComposeError::Printer {
        name: config.name.clone(),
        why,
    };
    let connection = printer::Connection::parse(&config.connection.to_string())
        .map_err(|e| wrong(e.to_string()))?;
    let language = config
        .language
        .as_str()
        .parse::<printer::Language>()
        .map_err(|error| wrong(error.to_string()))?;
    let after_label = config
        .after_label
        .map(|after| after.as_str().parse::<printer::AfterLabel>())
        .transpose()
        .map_err(|error| wrong(error.to_string()))?;
    let settings = printer::Settings {
        language,
        dpi: config.dpi,
        media_mm: (config.media.width_mm, config.media.height_mm),
        threshold: config.threshold,
        // Zero is the file's word for "as the printer is set".
        darkness: u8::try_from(config.darkness).ok().filter(|d| *d > 0),
        speed: (config.speed > 0).then_some(config.speed),
        offset_mm: (config.offset[0], config.offset[1]),
        after_label,
        fallback: config.fallback.as_deref().map(Into::into),
        ..printer::Settings::new(config.name.as_str(), connection)
    };
    settings.check().map_err(|error| wrong(error.to_string()))?;
    Ok(settings)
}
