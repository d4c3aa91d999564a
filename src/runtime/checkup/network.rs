//! Outside addresses: name, connection, certificate, and their clock. One `HEAD /`, without any key.

use crate::config::model::Config;
use crate::doctor::Fact;
use crate::doctor::fact::Host;
use crate::runtime::clock::Clock;
use crate::system::http;
use reqwest::{Method, Request, Url};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an address may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Every outside address of the configuration, by its key: scheme, name and port.
pub(super) fn addresses(config: &Config) -> BTreeMap<String, Url> {
    let mut all: Vec<(String, String)> = vec![(
        "starshipit.base_url".into(),
        config.starshipit.base_url.clone(),
    )];
    if let Some(cloud) = &config.cartoncloud {
        all.push(("cartoncloud.base_url".into(), cloud.base_url.clone()));
    }
    for shop in &config.shopify.shops {
        let base = match shop.base_url.as_str() {
            "" => format!("https://{}", shop.shop),
            base => base.to_owned(),
        };
        all.push((format!("shopify.shops.{}", shop.shop), base));
    }
    for (n, hook) in config.webhooks.iter().enumerate() {
        all.push((format!("webhooks[{n}].url"), hook.url.clone()));
    }
    all.extend(
        config
            .alerts
            .webhook
            .iter()
            .map(|url| ("alerts.webhook".into(), url.clone())),
    );
    all.extend(
        config
            .update
            .url
            .iter()
            .map(|url| ("update.url".into(), url.clone())),
    );
    let mut found: BTreeMap<String, Url> = BTreeMap::new();
    for (key, text) in all {
        let Ok(mut url) = http::address(&text) else {
            continue;
        };
        // What stands behind the name is a secret of some.
        url.set_path("/");
        url.set_query(None);
        if !found.values().any(|known| *known == url) {
            found.insert(key, url);
        }
    }
    found
}

/// Calls one.
pub(super) async fn host(key: String, url: Url, clock: Clock) -> Fact {
    let host = match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        _ => url.to_string(),
    };
    let (answer, ahead_ms) = match call(url, clock).await {
        Ok((ms, ahead)) => (Ok(ms), ahead),
        Err(why) => (Err(why), None),
    };
    Fact::Host(Host {
        key,
        host,
        answer,
        ahead_ms,
    })
}

async fn call(url: Url, clock: Clock) -> Result<(u64, Option<i64>), String> {
    let client = http::client(&url, ANSWER)?;
    let begun = clock.now();
    let reply = http::exchange(&client, Request::new(Method::HEAD, url), 4096).await;
    let ended = clock.now();
    match reply {
        Ok(reply) => {
            let theirs = http::date(&reply.headers);
            let ahead = theirs.map(|theirs| ended.wall.0.saturating_sub(theirs));
            Ok((ended.mono.0.saturating_sub(begun.mono.0), ahead))
        }
        Err(
            http::Trouble::NotSent(why) | http::Trouble::Clock(why) | http::Trouble::Broken(why),
        ) => Err(why),
    }
}
