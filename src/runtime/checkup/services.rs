//! The two services, asked for what costs nothing.

use crate::cartoncloud::CartonCloud;
use crate::doctor::Fact;
use crate::doctor::fact::Trouble;
use crate::domain::{AccountName, System};
use crate::starshipit::Starshipit;

/// The country of the bench, for the courier services within it; Starshipit's home markets.
pub(super) fn country(timezone: Option<&str>) -> &'static str {
    match timezone {
        Some("Pacific/Auckland" | "Pacific/Chatham" | "NZ") => "NZ",
        Some(zone) if zone.starts_with("Europe/London") => "GB",
        _ => "AU",
    }
}

/// Keys, plan, and whether there is a courier.
pub(super) async fn account(starshipit: &Starshipit, account: &AccountName, country: &str) -> Fact {
    let trouble = |failure| Trouble::of(&failure, System::Starshipit);
    let keys = starshipit.probe(account).await.map_err(trouble);
    let couriers = match &keys {
        Ok(()) => {
            let offered = starshipit.services_within(account, country).await;
            Some(offered.map_err(trouble))
        }
        Err(_) => None,
    };
    Fact::Account {
        name: account.to_string(),
        keys,
        couriers,
    }
}

/// One question per role.
pub(super) async fn roles(cloud: &CartonCloud) -> Vec<Fact> {
    let checks = cloud.self_test().await;
    checks
        .into_iter()
        .map(|check| Fact::Role {
            what: check.what.to_owned(),
            role: check.role.to_owned(),
            answer: check
                .result
                .map_err(|failure| Trouble::of(&failure, System::Cartoncloud)),
        })
        .collect()
}
