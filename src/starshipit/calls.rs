//! The calls: reads that may be repeated, and the ones that make something, which may not.
//!
//! Reads: at most three tries on 5xx and broken connections, and a few more on 429, which the
//! limiter spaces out. Writes: one send; what it means when that fails is in [`CallFailure`].

use crate::domain::order::Choices;
use crate::domain::{AccountName, Bought, CallFailure, Code, RemoteOrder, Timestamp};
use crate::starshipit::http::{self, MAX_LABELS, MAX_REPLY, Trouble};
use crate::starshipit::limiter::{Refusal, chance};
use crate::starshipit::reply::{Again, Bad, Good, judge};
use crate::starshipit::wire::{self, Order};
use crate::starshipit::{Account, Priority, Starshipit, mapping, reason};
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Tries of a read that fails in passing.
const TRIES: u32 = 3;
/// Further tries of a read that was answered 429: the limiter's 1, 2, 4, 8 s.
const THROTTLED_TRIES: u32 = 4;
/// A try that took longer is not repeated: somebody waits.
const LONG: Duration = Duration::from_secs(5);
/// Longest wait for the reply to a read.
const READ: Duration = Duration::from_secs(20);
/// Bodies above this are read on a thread of their own.
const BIG: usize = 1 << 20;
/// Pages of a list that are read at most.
pub(crate) const MAX_PAGES: i64 = 20;
/// Largest page of the older lists (1.6).
pub(crate) const PAGE: &str = "250";

/// An order that was printed somewhere, as the list of recent prints shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentlyPrinted {
    /// Starshipit's id.
    pub order_id: i64,
    /// Order number.
    pub number: String,
    /// Tracking numbers, nulls and blanks removed.
    pub tracking: Vec<String>,
    /// Courier name.
    pub carrier_name: Option<String>,
    /// When it was printed, by Starshipit's clock.
    pub at: Option<Timestamp>,
}

/// A courier service that would take an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Courier code.
    pub carrier: String,
    /// Courier name.
    pub carrier_name: String,
    /// Service code.
    pub service: String,
    /// Service name.
    pub service_name: String,
    /// Price in the account's currency, when it was told.
    pub price: Option<f64>,
}

impl Starshipit {
    /// Reads one order. `None` only when Starshipit says that there is no such order.
    ///
    /// # Errors
    /// As [`CallFailure`]; an answer without the order or with another one is `Unknown`.
    pub async fn get(
        &self,
        account: &AccountName,
        order_id: i64,
        priority: Priority,
    ) -> Result<Option<RemoteOrder>, CallFailure> {
        let order = self.order(account, order_id, priority).await?;
        Ok(order.and_then(|o| mapping::order(account, &o)))
    }

    /// [`Self::get`] in Starshipit's own words.
    pub(crate) async fn order(
        &self,
        account: &AccountName,
        order_id: i64,
        priority: Priority,
    ) -> Result<Option<Order>, CallFailure> {
        let id = order_id.to_string();
        let query = [("order_id", id.as_str())];
        let good = self.read(account, "/api/orders", &query, priority).await;
        if is_not_found(&good) {
            return Ok(None);
        }
        let orders = good?.reply.into_orders();
        match orders.into_iter().find(|o| o.order_id.0 == Some(order_id)) {
            Some(order) => Ok(Some(order)),
            // Not the same as "no such order": nothing may be concluded from it.
            None => Err(CallFailure::Unknown {
                detail: format!("asked for order {order_id}, answered without it"),
            }),
        }
    }

    /// Print Label: buys the shipment, or with `reprint` fetches what was bought. One send.
    ///
    /// The documents' bytes stand beside [`Bought::documents`], one for one. A shipment whose
    /// labels cannot be decoded was bought all the same and is `Ok`.
    ///
    /// # Errors
    /// As [`CallFailure`]. After `Unknown` look before asking again (contract 1); "it is printed
    /// already" is `Unknown` too, because the look will find the label.
    pub async fn print(
        &self,
        account: &AccountName,
        order_id: i64,
        reprint: bool,
        with: Option<&Choices>,
        priority: Priority,
    ) -> Result<(Bought, Vec<Vec<u8>>), CallFailure> {
        let body = print_body(order_id, reprint, with);
        let unknown = |detail: String| Err(CallFailure::Unknown { detail });
        let good = match self
            .write(account, "/api/orders/shipment", &body, MAX_LABELS, priority)
            .await
        {
            // This call did nothing, but the order has a label: an earlier call of ours came
            // through late, or somebody else was faster. Whoever looks will see it.
            Err(CallFailure::Refused { detail, .. })
                if !reprint && reason::is_already_printed(&detail) =>
            {
                return unknown(detail);
            }
            result => result?,
        };
        if let Some(other) = good.reply.order_id.0.filter(|&id| id != order_id) {
            return unknown(format!("printing {order_id} was answered for {other}"));
        }
        let is_said = good.is_said;
        let (bought, documents) = mapping::bought(order_id, good.reply);
        if !is_said && bought.tracking.is_empty() && documents.is_empty() {
            return unknown("the reply does not say whether it was printed".to_owned());
        }
        Ok((bought, documents))
    }

    /// Replace ("redo"): archives the printed order and makes a live twin, which is returned. One send.
    ///
    /// # Errors
    /// As [`CallFailure`]. After `Unknown` see [`Self::live_twin`].
    pub async fn replace(
        &self,
        account: &AccountName,
        order_id: i64,
    ) -> Result<RemoteOrder, CallFailure> {
        self.copy(account, "/api/orders/shipment/replace", order_id)
            .await
    }

    /// Clone ("add shipment"): a copy of a printed order, for one more parcel. One send.
    ///
    /// # Errors
    /// As [`CallFailure`]. After `Unknown` see [`Self::clones`].
    pub async fn clone_order(
        &self,
        account: &AccountName,
        order_id: i64,
    ) -> Result<RemoteOrder, CallFailure> {
        self.copy(account, "/api/orders/shipment/clone", order_id)
            .await
    }

    async fn copy(
        &self,
        account: &AccountName,
        path: &str,
        order_id: i64,
    ) -> Result<RemoteOrder, CallFailure> {
        let body = json!({ "order_id": order_id });
        let good = self
            .write(account, path, &body, MAX_REPLY, Priority::Scan)
            .await?;
        good.reply
            .into_orders()
            .iter()
            .find(|o| o.order_id.0 != Some(order_id))
            .and_then(|o| mapping::order(account, o))
            .ok_or_else(|| CallFailure::Unknown {
                detail: format!("the copy of order {order_id} was not in the reply"),
            })
    }

    /// Are the keys accepted? Reads one id.
    ///
    /// # Errors
    /// As [`CallFailure`]; refused keys are `Refused` with `starshipit-unauthorized`.
    pub async fn probe(&self, account: &AccountName) -> Result<(), CallFailure> {
        let query = [("ids_only", "true"), ("limit", "1")];
        let good = self
            .read(account, "/api/orders/unshipped", &query, Priority::Poll)
            .await?;
        if good.is_said {
            Ok(())
        } else {
            Err(CallFailure::Unknown {
                detail: "the reply is not Starshipit's".to_owned(),
            })
        }
    }

    /// What was printed since `since`, here or anywhere, in Starshipit's order.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn recently_printed(
        &self,
        account: &AccountName,
        since: Timestamp,
    ) -> Result<Vec<RecentlyPrinted>, CallFailure> {
        let since = rfc3339(since);
        let query = [
            ("status", "recently_printed"),
            ("since_created_date", since.as_str()),
        ];
        let orders = self
            .list(
                account,
                "/api/orders/shipments",
                &query,
                MAX_PAGES,
                Priority::Poll,
            )
            .await?;
        Ok(orders
            .iter()
            .filter_map(|o| {
                Some(RecentlyPrinted {
                    order_id: o.order_id.0?,
                    number: o.order_number.owned().unwrap_or_default(),
                    tracking: mapping::tracking(
                        o.tracking_numbers.0.iter().chain([&o.tracking_number]),
                    ),
                    carrier_name: o.carrier_name.owned(),
                    at: wire::date(&o.date),
                })
            })
            .collect())
    }

    /// Courier services that would take this order.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn delivery_services(
        &self,
        account: &AccountName,
        order_id: i64,
    ) -> Result<Vec<Offer>, CallFailure> {
        let body = json!({ "order_id": order_id, "packages": [{}], "include_pricing": true });
        let good = self
            .write(
                account,
                "/api/deliveryservices",
                &body,
                MAX_REPLY,
                Priority::Scan,
            )
            .await?;
        let services = good.reply.services.0.into_iter().filter_map(|s| s.0);
        Ok(services
            .filter_map(|s| {
                Some(Offer {
                    carrier: s.carrier.owned()?,
                    carrier_name: s.carrier_name.owned().unwrap_or_default(),
                    service: s.service_code.owned()?,
                    service_name: s.service_name.owned().unwrap_or_default(),
                    price: s.total_price.0,
                })
            })
            .collect())
    }

    /// A list of the older paging style (1.6 A), at most `pages` pages of it.
    pub(crate) async fn list(
        &self,
        account: &AccountName,
        path: &str,
        query: &[(&str, &str)],
        pages: i64,
        priority: Priority,
    ) -> Result<Vec<Order>, CallFailure> {
        let mut all = Vec::new();
        for page in 1..=pages {
            let page_text = page.to_string();
            let mut query = query.to_vec();
            query.extend([("limit", PAGE), ("page", page_text.as_str())]);
            let good = self.read(account, path, &query, priority).await?;
            if good.reply.is_garbled() {
                return Err(garbled());
            }
            let total = good.reply.total_pages.0.unwrap_or(1);
            let orders = good.reply.into_orders();
            let is_last = orders.is_empty() || page >= total;
            all.extend(orders);
            if is_last {
                break;
            }
        }
        Ok(all)
    }

    /// A GET, repeated by rule.
    pub(crate) async fn read(
        &self,
        account: &AccountName,
        path: &str,
        query: &[(&str, &str)],
        priority: Priority,
    ) -> Result<Good, CallFailure> {
        let holder = self.holder(account)?;
        let url = self.url(path, query)?;
        let mut tries = 0;
        let mut throttled = 0;
        loop {
            let mut request = Request::new(Method::GET, url.clone());
            *request.timeout_mut() = Some(READ.min(self.inner.request_timeout));
            let bad = match self
                .send(account, holder, request, MAX_REPLY, priority)
                .await
            {
                Ok(good) => return Ok(good),
                Err(bad) => bad,
            };
            match bad.again {
                Again::Never => return Err(bad.failure),
                Again::WhenLet if throttled < THROTTLED_TRIES => throttled += 1,
                Again::Soon if tries + 1 < TRIES => {
                    tries += 1;
                    let pause = Duration::from_millis(200) * tries;
                    tokio::time::sleep(pause.mul_f64(1.0 + chance())).await;
                }
                Again::Soon | Again::WhenLet => return Err(bad.failure),
            }
        }
    }

    /// A POST, sent once.
    async fn write(
        &self,
        account: &AccountName,
        path: &str,
        body: &Value,
        limit: usize,
        priority: Priority,
    ) -> Result<Good, CallFailure> {
        let holder = self.holder(account)?;
        let mut request = Request::new(Method::POST, self.url(path, &[])?);
        request.headers_mut().insert(
            reqwest::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        *request.body_mut() = Some(body.to_string().into());
        self.send(account, holder, request, limit, priority)
            .await
            .map_err(|bad| bad.failure)
    }

    /// One send, through the limiter.
    async fn send(
        &self,
        name: &AccountName,
        holder: &Account,
        mut request: Request,
        limit: usize,
        priority: Priority,
    ) -> Result<Good, Bad> {
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert("StarShipIT-Api-Key", holder.api_key.clone());
        headers.insert("Ocp-Apim-Subscription-Key", holder.subscription_key.clone());
        let method = request.method().clone();
        let path = request.url().path().to_owned();

        let limiter = &holder.limiter;
        let patience = patience(priority).max(limiter.window() * 4);
        let taken = limiter.acquire(priority, patience).await.map_err(|why| {
            let retry_after = match why {
                Refusal::Paused(left) => Some(left),
                Refusal::Busy => None,
            };
            Bad::new(CallFailure::Throttled { retry_after }, Again::Never)
        })?;
        let result = match http::exchange(&self.inner.http, request, limit).await {
            Ok(raw) => {
                let result = read_reply(holder, raw).await;
                match &result {
                    Err(Bad {
                        failure: CallFailure::Throttled { retry_after },
                        ..
                    }) => {
                        limiter.throttled(taken, *retry_after);
                    }
                    _ => limiter.served(taken),
                }
                result
            }
            Err(Trouble::NotSent(detail)) => {
                Err(Bad::new(CallFailure::NotSent { detail }, Again::Soon))
            }
            Err(Trouble::Broken(detail)) => {
                Err(Bad::new(CallFailure::Unknown { detail }, Again::Soon))
            }
        };
        let took = taken.elapsed();
        tracing::debug!(
            account = %name,
            %method,
            path,
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            failure = result.as_ref().err().map(|bad| tracing::field::debug(&bad.failure)),
            "starshipit call"
        );
        result.map_err(|mut bad| {
            if bad.again == Again::Soon && took > LONG {
                bad.again = Again::Never;
            }
            bad
        })
    }

    fn holder(&self, account: &AccountName) -> Result<&Account, CallFailure> {
        self.inner
            .accounts
            .get(account)
            .ok_or_else(|| CallFailure::Refused {
                code: Code::AccountUnknown,
                detail: format!("account {account} is not configured"),
            })
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Result<Url, CallFailure> {
        let mut text = format!("{}{path}", self.inner.base);
        for (index, (key, value)) in query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(key);
            text.push('=');
            percent_encode(value, &mut text);
        }
        Url::parse(&text).map_err(|e| CallFailure::NotSent {
            detail: format!("not a URL: {e}"),
        })
    }
}

/// Judges a reply, big ones off the executor.
async fn read_reply(holder: &Account, raw: crate::starshipit::reply::Raw) -> Result<Good, Bad> {
    let secrets = [holder.api_key.clone(), holder.subscription_key.clone()];
    if raw.body.len() <= BIG {
        return judge(&raw, &|text| scrub(&secrets, text));
    }
    tokio::task::spawn_blocking(move || judge(&raw, &|text| scrub(&secrets, text)))
        .await
        .unwrap_or_else(|_| {
            let detail = "reading the reply failed".to_owned();
            Err(Bad::new(CallFailure::Unknown { detail }, Again::Never))
        })
}

/// Takes our keys out of a text that echoes them.
fn scrub(secrets: &[HeaderValue], text: &str) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter_map(|s| s.to_str().ok()) {
        if !secret.is_empty() && text.contains(secret) {
            text = text.replace(secret, "[key]");
        }
    }
    text
}

/// How long a call waits for its turn before it is given up as "slow down".
fn patience(priority: Priority) -> Duration {
    match priority {
        Priority::Scan | Priority::Release => Duration::from_secs(30),
        Priority::Writeback | Priority::Poll | Priority::Prefetch => Duration::from_secs(300),
    }
}

fn print_body(order_id: i64, reprint: bool, with: Option<&Choices>) -> Value {
    let mut body = json!({ "order_id": order_id, "reprint": reprint });
    let Some(choices) = with else { return body };
    if let Some(carrier) = &choices.carrier {
        body["carrier"] = json!(carrier);
    }
    if let Some(service) = &choices.service {
        body["carrier_service_code"] = json!(service);
    }
    let packages: Vec<Value> = choices
        .parcels
        .iter()
        .map(|p| {
            let sizes = [
                ("weight", p.weight_kg),
                ("length", p.length_m),
                ("width", p.width_m),
                ("height", p.height_m),
            ];
            // Zero means unknown, and Starshipit takes a blank parcel as an error (2.3).
            let known = sizes.into_iter().filter(|(_, v)| v.is_finite() && *v > 0.0);
            Value::Object(known.map(|(k, v)| (k.to_owned(), json!(v))).collect())
        })
        .filter(|p| p.as_object().is_some_and(|p| !p.is_empty()))
        .collect();
    if !packages.is_empty() {
        body["packages"] = Value::Array(packages);
    }
    body
}

/// Starshipit says that there is no such order.
pub(crate) fn is_not_found<T>(result: &Result<T, CallFailure>) -> bool {
    matches!(
        result,
        Err(CallFailure::Refused {
            code: Code::OrderNotFound,
            ..
        })
    )
}

/// A reply whose orders cannot be read.
pub(crate) fn garbled() -> CallFailure {
    CallFailure::Unknown {
        detail: "the orders in the reply cannot be read".to_owned(),
    }
}

/// A time as the queries take it.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .unwrap_or_default()
        .to_string()
}

/// Everything but RFC 3986's unreserved characters.
fn percent_encode(text: &str, out: &mut String) {
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
