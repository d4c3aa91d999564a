//! Duties (contract 5): each has one holder at the site. What the other benches say counts; where
//! nobody can be asked, what was done, or was not, tells.

use super::Line;
use super::fact::Duties;
use super::network;

/// What each duty means, for people.
fn meaning(duty: &str) -> &'static str {
    match duty {
        "push" => "sends sale orders to Starshipit",
        "reconcile" => "writes back labels that were made in the Starshipit app",
        "on_status" => "acts when orders reach a status",
        "prefetch" => "buys labels ahead",
        _ => "serves the whole site",
    }
}

pub(super) fn lines(found: &Duties) -> Vec<Line> {
    let mut lines = Vec::new();
    for (address, answer) in &found.peers {
        if let Err(why) = answer {
            lines.push(Line::warn(
                "duty",
                "",
                format!("the bench at {address} does not say its duties ({why})"),
                "check that it runs, that web.peers has its address, and that both have the same web.peer_token",
            ));
        }
    }
    let mut duties = found.wanted.clone();
    duties.extend(
        found
            .own
            .iter()
            .filter(|duty| !found.wanted.contains(duty))
            .cloned(),
    );
    for duty in &duties {
        lines.push(one(duty, found));
    }
    lines
}

fn one(duty: &str, found: &Duties) -> Line {
    let own = found.own.iter().any(|held| held == duty);
    let others: Vec<&str> = found
        .peers
        .iter()
        .filter_map(|(_, answer)| answer.as_ref().ok())
        .filter(|(_, held)| held.iter().any(|held| held == duty))
        .map(|(name, _)| name.as_str())
        .collect();
    let silent = found.peers.iter().any(|(_, answer)| answer.is_err());
    let means = meaning(duty);
    let give = format!("add \"{duty}\" to station.duties of one bench, and restart it");
    let take = format!("take \"{duty}\" out of station.duties of all but one, and restart those");
    match (own, others.as_slice()) {
        (true, []) => {
            if !found.wanted.iter().any(|wanted| wanted == duty) {
                return Line::warn(
                    "duty",
                    duty,
                    "this station holds it, but nothing in the configuration needs it",
                    format!("take \"{duty}\" out of station.duties, or switch on what {means}"),
                );
            }
            match found.foreign.filter(|_| duty == "push") {
                Some((looked_at, foreign)) if foreign > 0 => Line::warn(
                    "duty",
                    duty,
                    format!(
                        "this station holds it, and somebody else does its work too: {foreign} of the \
                         newest {looked_at} orders stood in Starshipit before this station had seen them"
                    ),
                    format!(
                        "another bench, or CartonCloud's own link to Starshipit: switch one off ({take})"
                    ),
                ),
                _ => Line::ok("duty", duty, format!("this station {means}")),
            }
        }
        (true, others) => Line::warn(
            "duty",
            duty,
            format!("held twice: by this station and by {}", others.join(", ")),
            take,
        ),
        (false, [one]) => Line::ok("duty", duty, format!("{one} {means}")),
        (false, []) => without_holder(duty, found, silent, give),
        (false, several) => Line::warn(
            "duty",
            duty,
            format!("held by several: {}", several.join(", ")),
            take,
        ),
    }
}

/// Nobody is known to hold it.
fn without_holder(duty: &str, found: &Duties, silent: bool, give: String) -> Line {
    if duty == "push" {
        match &found.unpushed {
            Some(Ok(seen)) if seen.missing > 0 => {
                let waits = network::span(seen.minutes * 60);
                return Line::warn(
                    "duty",
                    duty,
                    format!(
                        "nobody does it: {} of {} sale orders that should be in Starshipit are not there \
                         ({} for {waits})",
                        seen.missing, seen.looked_at, seen.example
                    ),
                    give,
                );
            }
            Some(Ok(seen)) if seen.looked_at > 0 => {
                return Line::ok(
                    "duty",
                    duty,
                    format!(
                        "somebody does it: the newest {} sale orders are in Starshipit",
                        seen.looked_at
                    ),
                );
            }
            _ => {}
        }
    }
    if silent {
        return Line::warn(
            "duty",
            duty,
            "no bench that answered holds it",
            format!("ask again when all benches run; else {give}"),
        );
    }
    let (what, fix) = if found.peers.is_empty() {
        (
            "this station does not hold it, and no other bench is named in web.peers that could be asked",
            format!("where no other bench of the site holds it: {give}"),
        )
    } else {
        ("no bench of the site holds it", give)
    };
    Line::warn("duty", duty, what, fix)
}
