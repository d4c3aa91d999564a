//! Configuration to the settings of every room (contract 36: each room owns its own).
//!
//! Over 500 lines because the whole way from a key to its room is read as one list.

use super::paper::Head;
use crate::cartoncloud::{self, CartonCloud};
use crate::config::model::{self, Config};
use crate::config::secret::SecretRef;
use crate::domain::writeback::SALE_ORDER;
use crate::domain::{Parcel, PrinterName, Require, StatusAct, WritebackRule};
use crate::{label, ledger, printer, starshipit, station};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a reply of CartonCloud.
const CARTONCLOUD_TIMEOUT: Duration = Duration::from_secs(30);

/// The ledger's folder in the state folder.
pub(super) const LEDGER: &str = "ledger";

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
    /// A shop or webhook that cannot be used.
    #[error("{why}")]
    Sink {
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
        routes: routes(config),
        printers: config
            .printers
            .iter()
            .map(|p| p.name.as_str().into())
            .collect(),
        printer_rules,
        stand_ins: config
            .printers
            .iter()
            .filter_map(|p| Some((p.name.as_str().into(), p.fallback.as_deref()?.into())))
            .collect(),
        elsewhere: match config.starshipit.on_printed_elsewhere {
            model::OnPrintedElsewhere::Ask => station::Elsewhere::Ask,
            model::OnPrintedElsewhere::PrintOnce => station::Elsewhere::PrintOnce,
            model::OnPrintedElsewhere::Refuse => station::Elsewhere::Refuse,
        },
        confirm: confirm(config.starshipit.confirm),
        settle: config.starshipit.settle,
        expire_after: config.offline.expire_after,
        release: match config.offline.release {
            model::OfflineRelease::Ask => station::Release::Ask,
            model::OfflineRelease::Print => station::Release::Print,
        },
        recheck: config.prefetch.recheck,
        prefetch_duty: config.station.duties.contains(&model::Duty::Prefetch),
        print_duty: config.station.duties.contains(&model::Duty::OnStatus),
        max_held: config.prefetch.max_held,
        max_age: config.prefetch.max_age,
        zone: config
            .station
            .timezone
            .as_deref()
            .and_then(|name| jiff::tz::TimeZone::get(name).ok())
            .unwrap_or(jiff::tz::TimeZone::UTC),
        verify: match config.verify.mode {
            model::VerifyMode::Off => station::Verify::Off,
            model::VerifyMode::Ask => station::Verify::Ask,
            model::VerifyMode::Strict => station::Verify::Strict,
        },
        next: config
            .buttons
            .iter()
            .filter(|button| !button.next_statuses.is_empty())
            .map(|button| (button.name.clone(), button.next_statuses.clone()))
            .collect(),
        tickets: config.signal.ticket,
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
        cartoncloud: config.cartoncloud.is_some(),
        push_duty: config.station.duties.contains(&model::Duty::Push),
        pusher_wait: Duration::from_secs(10),
        print_when: config
            .cartoncloud
            .as_ref()
            .and_then(|cloud| cloud.print_when.as_ref())
            .map(|when| station::PrintWhen {
                path: when.path.clone(),
                equals: when.equals.clone(),
            }),
    }
}

fn confirm(word: model::Confirm) -> station::Confirm {
    match word {
        model::Confirm::Never => station::Confirm::Never,
        model::Confirm::Missing => station::Confirm::Missing,
        model::Confirm::Always => station::Confirm::Always,
    }
}

/// Routes with everything that holds for all of them filled in.
fn routes(config: &Config) -> Vec<station::Route> {
    // Shops and webhooks are told of every order; a shop takes its merchant's.
    let merchants: BTreeMap<String, String> = config
        .shopify
        .shops
        .iter()
        .map(|shop| (format!("shopify:{}", shop.shop), shop.customer.clone()))
        .collect();
    let mut keep: Vec<String> = Vec::new();
    for shop in &config.shopify.shops {
        for path in [
            shop.order_id.as_str(),
            shop.order_name.as_str(),
            crate::shopify::FULFILLED_BY_CARTONCLOUD,
        ] {
            if !path.is_empty() && !keep.iter().any(|kept| kept == path) {
                keep.push(path.to_owned());
            }
        }
    }
    let others: Vec<String> = merchants
        .keys()
        .cloned()
        .chain((1..=config.webhooks.len()).map(|n| format!("webhook:{n}")))
        .collect();
    config
        .routes
        .iter()
        .map(|route| station::Route {
            scan: route.scan.as_ref().map(|scan| scan.regex().clone()),
            customer: route.customer.clone(),
            warehouse: route.warehouse.clone(),
            confirm: route.confirm.map(confirm),
            on_status: on_status(config, route),
            ahead: ahead(config, route),
            push: push(config, route),
            writeback: writeback(config, route, &others, &merchants),
            keep: keep.clone(),
            documents: route.documents.clone(),
            ..station::Route::plain(&route.account, &route.printer)
        })
        .collect()
}

/// What statuses do, on a route that may have its own list.
fn on_status(config: &Config, route: &model::Route) -> BTreeMap<String, StatusAct> {
    let Some(cloud) = &config.cartoncloud else {
        return BTreeMap::new();
    };
    let acts = route.on_status.as_ref().unwrap_or(&cloud.on_status);
    acts.iter()
        .filter_map(|(status, act)| {
            let act = match act {
                model::StatusAct::Nothing => return None,
                model::StatusAct::Prefetch => StatusAct::Prefetch,
                model::StatusAct::Print => StatusAct::Print,
            };
            Some((status.clone(), act))
        })
        .collect()
}

fn ahead(config: &Config, route: &model::Route) -> station::AheadRule {
    let base = &config.prefetch;
    let over = route.prefetch.clone().unwrap_or_default();
    let named = |part: &Option<String>| part.clone().unwrap_or_default();
    station::AheadRule {
        couriers: over.couriers.unwrap_or_else(|| base.couriers.clone()),
        daily_cap: over.daily_cap.unwrap_or(base.daily_cap),
        counts_as: match over.daily_cap {
            Some(_) => format!(
                "{}/{}/{}",
                named(&route.customer),
                named(&route.warehouse),
                route.account
            ),
            None => String::new(),
        },
        unverified: match over.unverified.unwrap_or(base.unverified) {
            model::Unverified::Print => station::Unverified::Print,
            model::Unverified::Hold => station::Unverified::Hold,
        },
    }
}

fn push(config: &Config, route: &model::Route) -> station::PushRule {
    let Some(cloud) = &config.cartoncloud else {
        return station::PushRule::default();
    };
    let over = route.push.clone().unwrap_or_default();
    let base = &cloud.push;
    station::PushRule {
        enabled: over.enabled.unwrap_or(base.enabled),
        statuses: over.statuses.unwrap_or_else(|| base.statuses.clone()),
        order_number: over
            .order_number
            .unwrap_or_else(|| base.order_number.clone()),
        reference: over.reference.unwrap_or_else(|| base.reference.clone()),
    }
}

/// What a route does with tracking numbers: CartonCloud's sinks in their order, looked for in the sale
/// order first, then everybody else who wants to know.
fn writeback(
    config: &Config,
    route: &model::Route,
    others: &[String],
    merchants: &BTreeMap<String, String>,
) -> WritebackRule {
    let mut rule = WritebackRule {
        merchants: merchants.clone(),
        ..WritebackRule::default()
    };
    if let Some(cloud) = &config.cartoncloud {
        let over = route.writeback.clone().unwrap_or_default();
        let base = &cloud.writeback;
        if !base.observe.is_zero() {
            rule.sinks.push(SALE_ORDER.to_owned());
        }
        let sinks = over.sinks.unwrap_or_else(|| base.sinks.clone());
        rule.sinks
            .extend(sinks.iter().map(|sink| sink.as_str().to_owned()));
        let document = over.order_document.unwrap_or(base.order_document);
        rule.document_always = document.when == model::DocumentWhen::Always;
        rule.require = match over.require.unwrap_or_else(|| base.require.clone()) {
            model::Require::Word(model::RequireWord::Any) => Require::Any,
            model::Require::Word(model::RequireWord::All) => Require::All,
            model::Require::These(sinks) => {
                Require::These(sinks.iter().map(|sink| sink.as_str().to_owned()).collect())
            }
        };
        let conflict = over.on_conflict.unwrap_or(base.on_conflict);
        rule.overwrite = conflict == model::OnConflict::Overwrite;
    }
    let over = route.prefetch.as_ref().and_then(|over| over.writeback);
    rule.on_purchase =
        over.unwrap_or(config.prefetch.writeback) == model::PrefetchWriteback::OnPurchase;
    rule.sinks.extend(others.iter().cloned());
    rule
}

/// Starshipit field ← path in the sale order, by route.
pub(super) fn field_maps(config: &Config) -> Result<Vec<BTreeMap<String, String>>, ComposeError> {
    let Some(cloud) = &config.cartoncloud else {
        return Ok(Vec::new());
    };
    config
        .routes
        .iter()
        .map(|route| {
            let mut fields = cloud.push.fields.clone();
            fields.extend(route.fields.clone().unwrap_or_default());
            crate::domain::push::check_fields(&fields).map_err(|unknown| {
                let near = unknown
                    .near
                    .map(|near| format!("; did you mean \"{near}\"?"))
                    .unwrap_or_default();
                ComposeError::Sink {
                    why: format!(
                        "cartoncloud.push.fields: Starshipit has no field \"{}\" to write{near}",
                        unknown.field
                    ),
                }
            })?;
            Ok(fields)
        })
        .collect()
}

/// The CartonCloud client, where there is one.
pub(super) fn cartoncloud(
    config: &Config,
    secret: impl Fn(&str, &SecretRef) -> Result<SecretString, ComposeError>,
) -> Result<Option<CartonCloud>, ComposeError> {
    let Some(cloud) = &config.cartoncloud else {
        return Ok(None);
    };
    let client = CartonCloud::new(cartoncloud::Settings {
        base_url: cloud.base_url.clone(),
        tenant_id: cloud.tenant_id.clone(),
        client_id: secret("cartoncloud.client_id", &cloud.client_id)?,
        client_secret: secret("cartoncloud.client_secret", &cloud.client_secret)?,
        requests_per_minute: cloud.requests_per_minute,
        request_timeout: config.starshipit.request_timeout.min(CARTONCLOUD_TIMEOUT),
    })
    .map_err(|error| ComposeError::Sink {
        why: error.to_string(),
    })?;
    Ok(Some(client))
}

/// Statuses that the poll asks for: those that anything is done for. Empty: every status, where a
/// field of the order asks for printing.
pub(super) fn polled_statuses(config: &Config) -> Vec<String> {
    let Some(cloud) = &config.cartoncloud else {
        return Vec::new();
    };
    if cloud.print_when.is_some() || follows_statuses(config) {
        return Vec::new();
    }
    let mut statuses: Vec<String> = Vec::new();
    // A cancelled order is taken off the bench without a scan.
    let all = routes(config)
        .into_iter()
        .flat_map(|route| route.push.statuses)
        .chain(std::iter::once("REJECTED".to_owned()));
    for status in all {
        if !statuses.contains(&status) {
            statuses.push(status);
        }
    }
    statuses
}

/// This station has the duty to do what a status of some route asks for. It then follows every
/// change: also the one by which an order leaves the status, is cancelled or gets another address.
pub(super) fn follows_statuses(config: &Config) -> bool {
    let duties = &config.station.duties;
    routes(config)
        .iter()
        .flat_map(|route| route.on_status.values())
        .any(|act| match act {
            StatusAct::Print => duties.contains(&model::Duty::OnStatus),
            StatusAct::Prefetch => duties.contains(&model::Duty::Prefetch),
        })
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
        claims: claims(config),
    })
}

/// Who claims orders here. The key is this machine's, this state's and this name's: a copied card or a
/// copied file is another bench as long as one of them differs.
fn claims(config: &Config) -> Option<starshipit::Claims> {
    let wanted = match config.starshipit.claim {
        model::Claim::Auto => config.starshipit.stations_sharing_key > 1,
        model::Claim::Always => true,
        model::Claim::Never => false,
    };
    wanted.then(|| {
        let bench = &config.station.name;
        let place = format!("{bench}\n{}", config.station.state_dir.display());
        let machine = crate::update::machine::device(&place);
        starshipit::Claims {
            bench: bench.clone(),
            key: starshipit::Claims::key_of(&format!("{machine}\n{place}")),
        }
    })
}

pub(super) fn ledger(config: &Config, check: ledger::DbCheck) -> ledger::Settings {
    ledger::Settings {
        keep: config.ledger.keep,
        max_orders: u64::from(config.ledger.max_orders),
        ..ledger::Settings::new(config.station.state_dir.join(LEDGER), check)
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
        darkness: (config.darkness != 0).then_some(config.darkness),
        speed: (config.speed > 0).then_some(config.speed),
        offset_mm: (config.offset[0], config.offset[1]),
        after_label,
        copies: config.copies,
        fallback: config.fallback.as_deref().map(Into::into),
        ..printer::Settings::new(config.name.as_str(), connection)
    };
    settings.check().map_err(|error| wrong(error.to_string()))?;
    Ok(settings)
}
