//! Clock, card, slots and versions.

use super::fact::{Card, Slots, Version};
use super::{Ground, Line, State, network};
use crate::domain::{Code, Timestamp};
use crate::system::clock::Trust;
use crate::system::disk::{Room, Space};

/// Room that the station needs: journal twice, ballast, spool and index of a day.
const NEED: u64 = 32 << 20;
/// A card that takes more than this in a day wears out within a year or two.
const BUSY_DAY: u64 = 8 << 30;
/// A channel that nobody has looked at for so long.
const STALE_DAYS: u64 = 14;

pub(super) fn clock(ground: &Ground) -> Vec<Line> {
    let what = ground.clock.what();
    let fix = ground.clock.fix().unwrap_or_default();
    vec![match ground.clock {
        Trust::Synchronised => Line::ok("clock", "", what),
        Trust::Unproven => Line::warn("clock", "", what, fix),
        Trust::NotSet => {
            let seen = shown(ground.now);
            Line::coded("clock", "", State::Fail, Code::ClockNotSet, &seen).first(fix)
        }
    }]
}

/// A time, as far as it can be said.
fn shown(at: Timestamp) -> String {
    const DAY: i64 = 86_400_000;
    let years = at.0.div_euclid(DAY) / 365;
    format!("it shows about the year {}", 1970_i64.saturating_add(years))
}

fn bytes(n: u64) -> String {
    match n {
        0..10_240 => format!("{n} B"),
        10_240..10_485_760 => format!("{} KiB", n >> 10),
        10_485_760..10_737_418_240 => format!("{} MiB", n >> 20),
        _ => format!("{} GiB", n >> 30),
    }
}

pub(super) fn card(card: &Card) -> Vec<Line> {
    let path = card.path.as_str();
    let mut lines = Vec::new();
    if let Some((what, fix)) = &card.keeping {
        lines.push(Line::fail("card", path, what.clone(), fix.clone()));
    }
    match card.space {
        None => lines.push(Line::warn(
            "card",
            path,
            "how much room is left cannot be told",
            "make the state folder: the installer does it",
        )),
        Some((free, total)) => {
            let seen = format!("{} of {} free", bytes(free), bytes(total));
            let fix = "make room: old logs (journalctl --vacuum-size=50M) and packages (apt-get clean); or a larger card";
            match (Space { free, total }).room(NEED) {
                Room::Enough => {
                    let device = card.device.as_deref().unwrap_or("no card of its own");
                    let what = format!("{seen} ({}, {device})", card.filesystem);
                    lines.push(Line::ok("card", path, what));
                }
                Room::Scarce => lines.push(Line::warn("card", path, format!("only {seen}"), fix)),
                Room::Lacking => lines
                    .push(Line::coded("card", path, State::Fail, Code::DiskFull, &seen).first(fix)),
            }
        }
    }
    if matches!(
        card.filesystem.as_str(),
        "vfat" | "exfat" | "ntfs" | "msdos"
    ) {
        lines.push(Line::fail(
            "card",
            path,
            format!("{} does not survive power cuts", card.filesystem),
            "put the state folder on ext4",
        ));
    }
    let device = card.device.as_deref().unwrap_or(path);
    if let Some(written) = card.written_today {
        let what = format!("{} written today", bytes(written));
        lines.push(if written > BUSY_DAY {
            Line::warn(
                "card",
                device,
                what,
                "see what writes so much (iotop -ao); a card wears out by it",
            )
        } else {
            Line::ok("card", device, what)
        });
    }
    match card.life_used {
        _ if card.is_worn => lines.push(Line::fail(
            "card",
            device,
            match card.life_used {
                Some(used) => format!("it has used {used} % of its life"),
                None => "its reserve of good blocks is nearly gone".to_owned(),
            },
            "printstation backup now, and restore onto a new card this week",
        )),
        Some(used) => lines.push(Line::ok(
            "card",
            device,
            format!("up to {used} % of its life is used"),
        )),
        None => {}
    }
    lines
}

pub(super) fn slots(slots: &Slots, ground: &Ground) -> Vec<Line> {
    let Some(root) = &slots.root else {
        return vec![if slots.has_channel {
            Line::warn(
                "update",
                "",
                "update.url is set, but this program is not installed in slots",
                "install it with the package or scripts/install; updates need /opt/printstation",
            )
        } else {
            Line::ok(
                "update",
                "",
                "not installed in slots; there are no updates by itself",
            )
        }];
    };
    let mut lines = Vec::new();
    let again = "printstation update apply --now";
    match &slots.current {
        Some((version, None)) => {
            lines.push(Line::ok("update", "current", format!("{version} is whole")));
        }
        Some((version, Some(why))) => lines.push(Line::fail(
            "update",
            "current",
            format!("{version} is damaged: {why}"),
            format!("printstation update rollback, then {again}"),
        )),
        None => lines.push(Line::fail(
            "update",
            "current",
            format!("{root}/current points at no slot"),
            format!("sudo {root}/guard back, or install again"),
        )),
    }
    match &slots.previous {
        Some((version, None)) => lines.push(Line::ok(
            "update",
            "previous",
            format!("{version} is whole; there is a way back"),
        )),
        Some((version, Some(why))) => lines.push(Line::warn(
            "update",
            "previous",
            format!("{version} is damaged: {why}"),
            "there is no way back until the next update; it makes a new one",
        )),
        None => lines.push(Line::ok("update", "previous", "nothing to go back to yet")),
    }
    if let Some(version) = &slots.trial {
        lines.push(Line::warn(
            "update",
            "trial",
            format!("{version} is on trial"),
            "wait ten minutes: it proves itself or the version before comes back",
        ));
    }
    if let Some(why) = &slots.volatile {
        lines.push(Line::fail(
            "update",
            root,
            why.clone(),
            "switch the overlay off, or mount a partition of its own there",
        ));
    }
    if let Some(until) = &slots.hold {
        let what = match until {
            Some(until) if *until <= ground.now => return lines,
            Some(until) => format!(
                "held for another {}",
                network::span(until.since(ground.now).as_secs())
            ),
            None => "held until somebody says otherwise".to_owned(),
        };
        lines.push(Line::warn(
            "update",
            "hold",
            what,
            "printstation update hold --off",
        ));
    }
    for version in &slots.bad {
        lines.push(Line::warn(
            "update",
            version,
            "this version was tried here and left",
            "see `printstation update status`; `update apply --version` tries it again",
        ));
    }
    if slots.has_channel {
        lines.push(channel(slots, ground));
    }
    lines
}

fn channel(slots: &Slots, ground: &Ground) -> Line {
    let look = "printstation update check says why";
    if let Some(expires) = slots.expires.filter(|expires| *expires <= ground.now) {
        let ago = network::span(ground.now.since(expires).as_secs());
        return Line::warn(
            "update",
            "channel",
            format!("its document expired {ago} ago"),
            "tell whoever publishes it: scripts/release channel signs it anew",
        );
    }
    match slots.last_look {
        None => Line::warn("update", "channel", "never looked at", look),
        Some(at) if ground.now.since(at).as_secs() > STALE_DAYS * 86_400 => {
            let ago = network::span(ground.now.since(at).as_secs());
            let what = format!("not looked at for {ago}");
            Line::warn(
                "update",
                "channel",
                what,
                "systemctl status printstation-update.timer",
            )
        }
        Some(_) => {
            let text = slots
                .last_result
                .as_ref()
                .map_or("", |(_, text)| text.as_str());
            Line::ok("update", "channel", format!("looked at: {text}"))
        }
    }
}

pub(super) fn version(found: &Version, version: &str, running: Option<&str>) -> Vec<Line> {
    let board = found.board.as_deref().unwrap_or("no Raspberry Pi");
    let runs = match running {
        Some(runs) if runs != version => format!("; {runs} runs"),
        _ => String::new(),
    };
    let what = format!(
        "{version} for {}{runs}; {}, Linux {}, {board}",
        found.target, found.system, found.kernel
    );
    vec![Line::ok("version", "", what)]
}
