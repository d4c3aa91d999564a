//! Who does what for the site (contract 5): the other benches' word, and what was done.

use super::Own;
use crate::cartoncloud::Filter;
use crate::config::model::{Config, StatusAct};
use crate::doctor::Fact;
use crate::doctor::fact::{Answer, Duties, Trouble, Unpushed};
use crate::domain::{Order, Shippable, System, Timestamp};
use crate::runtime::compose;
use crate::starshipit::Priority;
use crate::system::http;
use reqwest::{Method, Request, Url, header};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use std::time::Duration;

/// How long another bench may take to answer.
const PEER: Duration = Duration::from_secs(5);
/// Most bytes of another bench's status.
const STATUS: usize = 256 * 1024;
/// A sale order should be in Starshipit this long after its status asks for it.
const PUSHED_WITHIN: Duration = Duration::from_secs(600);
/// How far back sale orders are looked at.
const BACK: Duration = Duration::from_secs(24 * 3600);
/// Orders looked at in Starshipit: its limit is for scans.
const SAMPLE: usize = 3;
/// Made so long before this station had seen it: not by this station.
const BEFORE: Duration = Duration::from_secs(3);

pub(super) async fn look(own: &Own) -> Vec<Fact> {
    let mut duties = Duties {
        own: own
            .config
            .station
            .duties
            .iter()
            .map(|duty| duty.as_str().to_owned())
            .collect(),
        wanted: wanted(&own.config),
        ..Duties::default()
    };
    for peer in &own.config.web.peers {
        duties.peers.push((peer.clone(), ask(own, peer).await));
    }
    if duties.wanted.iter().any(|duty| duty == "push") {
        if duties.own.iter().any(|duty| duty == "push") {
            duties.foreign = foreign(own).await;
        } else {
            duties.unpushed = unpushed(own).await;
        }
    }
    if duties.own.is_empty() && duties.wanted.is_empty() {
        return Vec::new();
    }
    vec![Fact::Duties(duties)]
}

/// What the configuration needs somebody for.
fn wanted(config: &Config) -> Vec<String> {
    let mut wanted = Vec::new();
    let Some(cloud) = &config.cartoncloud else {
        return wanted;
    };
    let settings = compose::station(config);
    if settings.routes.iter().any(|route| route.push.enabled) {
        wanted.push("push".to_owned());
    }
    wanted.push("reconcile".to_owned());
    let acts = config
        .routes
        .iter()
        .filter_map(|route| route.on_status.as_ref())
        .chain([&cloud.on_status])
        .flat_map(|acts| acts.values());
    let acts: Vec<&StatusAct> = acts.filter(|act| **act != StatusAct::Nothing).collect();
    if !acts.is_empty() {
        wanted.push("on_status".to_owned());
    }
    if acts.contains(&&StatusAct::Prefetch) {
        wanted.push("prefetch".to_owned());
    }
    wanted
}

/// Another bench's name and duties.
async fn ask(own: &Own, peer: &str) -> Result<(String, Vec<String>), String> {
    let base = Url::parse(peer).map_err(|error| error.to_string())?;
    let url = base.join("api/status").map_err(|error| error.to_string())?;
    let client = http::client(&url, PEER)?;
    let mut request = Request::new(Method::GET, url);
    if let Some(token) = &own.token {
        let bearer = format!("Bearer {}", token.expose_secret());
        let mut value = header::HeaderValue::try_from(bearer)
            .map_err(|_| "this station's token cannot be sent".to_owned())?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let reply = match http::exchange(&client, request, STATUS).await {
        Ok(reply) => reply,
        Err(
            http::Trouble::NotSent(why) | http::Trouble::Clock(why) | http::Trouble::Broken(why),
        ) => return Err(why),
    };
    match reply.status {
        200 => {}
        401 | 403 => return Err("it refuses this station's web.peer_token".to_owned()),
        status => return Err(format!("it answers {status}")),
    }
    let status: Value =
        serde_json::from_slice(&reply.body).map_err(|_| "it answers no status".to_owned())?;
    let held = status["duties"]
        .as_array()
        .ok_or("its version does not say its duties")?;
    let text = |value: &Value| http::tidy(value.as_str().unwrap_or_default(), 64);
    Ok((text(&status["station"]), held.iter().map(text).collect()))
}

/// Sale orders that should be in Starshipit and are not. `None`: nobody can be asked.
async fn unpushed(own: &Own) -> Option<Answer<Unpushed>> {
    let (cloud, starshipit) = (own.cloud.as_ref()?, own.starshipit.as_ref()?);
    let settings = compose::station(&own.config);
    let filter = Filter {
        statuses: settings
            .routes
            .iter()
            .filter(|route| route.push.enabled)
            .flat_map(|route| route.push.statuses.clone())
            .collect(),
        customers: Vec::new(),
    };
    let now = cloud.clock().unwrap_or(own.now);
    let ago = |span: Duration| {
        Timestamp(
            now.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    };
    let changed = match cloud.changed(ago(BACK), &filter, 1).await {
        Ok(changed) => changed,
        Err(failure) => return Some(Err(Trouble::of(&failure, System::Cartoncloud))),
    };
    let mut due: Vec<(Timestamp, usize, String, String)> = changed
        .orders
        .iter()
        .filter(|sale| !sale.pickup && sale.shippable() == Shippable::Yes)
        .filter_map(|sale| {
            let at = modified(sale.modified.as_deref()?)?;
            let route = settings.sale_route(sale)?;
            let push = &settings.routes[route].push;
            let wanted = push.enabled
                && push
                    .statuses
                    .iter()
                    .any(|s| s.eq_ignore_ascii_case(&sale.status));
            let number = sale.fill(&push.order_number).filter(|_| wanted)?;
            (at <= ago(PUSHED_WITHIN)).then(|| (at, route, number, sale.number.clone()))
        })
        .collect();
    due.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let mut seen = Unpushed::default();
    for (at, route, number, sale) in due.into_iter().take(SAMPLE) {
        let account = &settings.routes[route].account;
        match starshipit.by_number(account, &number, Priority::Poll).await {
            Ok(hits) => {
                seen.looked_at += 1;
                if hits.is_empty() {
                    seen.missing += 1;
                    seen.minutes = seen.minutes.max(now.since(at).as_secs() / 60);
                    seen.example = sale;
                }
            }
            Err(failure) => return Some(Err(Trouble::of(&failure, System::Starshipit))),
        }
    }
    Some(Ok(seen))
}

fn modified(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp(at.as_millisecond()))
}

/// Of the newest sale orders of this station, those that stood in Starshipit before it had seen them.
async fn foreign(own: &Own) -> Option<(u64, u64)> {
    let starshipit = own.starshipit.as_ref()?;
    let day = |order: &&Order| own.now.since(order.created) < BACK;
    let mut pushed: Vec<&Order> = own
        .recent
        .iter()
        .filter(|order| order.sale.is_some() && order.order_id != 0)
        .filter(day)
        .collect();
    pushed.sort_by_key(|order| std::cmp::Reverse(order.created));
    let (mut looked_at, mut others) = (0, 0);
    for order in pushed.into_iter().take(SAMPLE) {
        // Not an answer: nothing is concluded from it.
        let Ok(Some(made)) = starshipit.made_at(&order.account, order.order_id).await else {
            continue;
        };
        looked_at += 1;
        if made.plus(BEFORE) < order.created {
            others += 1;
        }
    }
    Some((looked_at, others))
}
