//! The hidden `printstation release …`: makes and signs releases; `scripts/release` calls it.

use super::{Failure, say};
use crate::domain::Timestamp;
use crate::runtime::clock::Clock;
use crate::update::channel::StationRule;
use crate::update::release::{self, Changes, NewRelease, Role};
use crate::update::version::Version;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub enum Release {
    /// A pair of keys: NAME.key (keep it) and NAME.pub (for the stations)
    Keygen {
        /// Name
        name: String,
        /// `release` signs releases, `root` signs lists of keys
        #[arg(long, value_parser = ["root", "release"])]
        role: String,
        /// Folder
        #[arg(long, default_value = ".")]
        out: PathBuf,
    },
    /// Archives of a new version, and the channel that offers it
    Make {
        /// Version
        #[arg(long)]
        version: Version,
        /// Its programs: TARGET=FILE; may be repeated
        #[arg(long = "program", value_name = "TARGET=FILE", required = true)]
        programs: Vec<String>,
        /// Only from this version on
        #[arg(long)]
        min_from: Option<Version>,
        /// Stations take it one after the other, over so many hours
        #[arg(long, default_value_t = 0)]
        rollout_hours: u32,
        /// Does not wait for the rollout
        #[arg(long)]
        mandatory: bool,
        #[command(flatten)]
        signing: Signing,
    },
    /// The channel anew: a later expiry, withdrawals, stations
    Channel {
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// No version below
        #[arg(long)]
        floor: Option<Version>,
        /// Withdraw a version; may be repeated
        #[arg(long)]
        revoke: Vec<Version>,
        /// STATION=VERSION, with `!` after the version: also downwards; may be repeated
        #[arg(long)]
        pin: Vec<String>,
        /// Nothing for this station; may be repeated
        #[arg(long)]
        hold: Vec<String>,
        /// At once for this station; may be repeated
        #[arg(long)]
        hurry: Vec<String>,
        /// Nothing special for this station any more; may be repeated
        #[arg(long)]
        clear: Vec<String>,
        #[command(flatten)]
        signing: Signing,
    },
    /// A new list of keys, signed by a root key; sign the channel again afterwards
    Keys {
        /// Folder with the public keys that are believed from now on
        #[arg(long)]
        public: PathBuf,
        /// Root key of the list before; may be repeated
        #[arg(long = "root-key", required = true)]
        root_keys: Vec<PathBuf>,
        /// Release folder
        #[arg(long)]
        out: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Signing {
    /// Private key; may be repeated, any one is enough for a station
    #[arg(long = "key", required = true)]
    keys: Vec<PathBuf>,
    /// Release folder
    #[arg(long)]
    out: PathBuf,
    /// The channel is true for so many days
    #[arg(long, default_value_t = 90)]
    days: u16,
}

pub(super) fn run(verb: Release) -> Result<ExitCode, Failure> {
    let wrong = |error: release::ReleaseError| Failure::cannot("no release".to_owned(), error);
    let now = Clock::start().now().wall;
    match verb {
        Release::Keygen { name, role, out } => {
            let role = if role == "root" {
                Role::Root
            } else {
                Role::Release
            };
            let key = release::make_key(&out, &name, role).map_err(wrong)?;
            say::line(&key.to_string());
        }
        Release::Make {
            version,
            programs,
            min_from,
            rollout_hours,
            mandatory,
            signing,
        } => {
            let programs = programs
                .iter()
                .map(|text| match text.split_once('=') {
                    Some((target, file)) => Ok((target.to_owned(), PathBuf::from(file))),
                    None => Err(Failure::internal(format!("{text}: TARGET=FILE is wanted"))),
                })
                .collect::<Result<_, _>>()?;
            let new = NewRelease {
                version,
                programs,
                min_from,
                rollout_hours,
                mandatory,
            };
            publish(&signing, Some(&new), Changes::default(), now)?;
        }
        Release::Channel {
            name,
            floor,
            revoke,
            pin,
            hold,
            hurry,
            clear,
            signing,
        } => {
            let rule = |name: &String| StationRule {
                name: name.clone(),
                ..StationRule::default()
            };
            let mut stations: Vec<StationRule> = clear.iter().map(rule).collect();
            for text in &pin {
                let (name, version) = text
                    .split_once('=')
                    .ok_or_else(|| Failure::internal(format!("{text}: STATION=VERSION")))?;
                let plain = version.trim_end_matches('!');
                let pinned = plain
                    .parse()
                    .map_err(|cause| Failure::cannot(format!("{text}: the version"), cause))?;
                stations.push(StationRule {
                    pin: Some(pinned),
                    downgrade: plain != version,
                    ..rule(&name.to_owned())
                });
            }
            stations.extend(hold.iter().map(|name| StationRule {
                hold: true,
                ..rule(name)
            }));
            stations.extend(hurry.iter().map(|name| StationRule {
                hurry: true,
                ..rule(name)
            }));
            let changes = Changes {
                name,
                floor,
                revoke,
                stations,
                life: Duration::ZERO,
            };
            publish(&signing, None, changes, now)?;
        }
        Release::Keys {
            public,
            root_keys,
            out,
        } => {
            let keys = release::read_keys(&root_keys).map_err(wrong)?;
            let serial = release::publish_keys(&out, &keys, &public).map_err(wrong)?;
            say::line(&format!("list of keys {serial}; sign the channel again"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn publish(
    signing: &Signing,
    new: Option<&NewRelease>,
    changes: Changes,
    now: Timestamp,
) -> Result<(), Failure> {
    let wrong = |error: release::ReleaseError| Failure::cannot("no release".to_owned(), error);
    let keys = release::read_keys(&signing.keys).map_err(wrong)?;
    let changes = Changes {
        life: Duration::from_secs(u64::from(signing.days) * 86_400),
        ..changes
    };
    let channel =
        release::publish_channel(&signing.out, &keys, new, &changes, now).map_err(wrong)?;
    say::line(&format!(
        "{}: channel {} sequence {}, {} release(s)",
        signing.out.display(),
        channel.name,
        channel.sequence,
        channel.releases.len()
    ));
    Ok(())
}
