//! The calls, one function each: what is asked, and what the answer means.
//!
//! How they leave, and which of them may be repeated, is in `send`.

use crate::domain::order::Choices;
use crate::domain::{AccountName, Bought, CallFailure, Code, RemoteOrder, Timestamp};
use crate::starshipit::send::{MAX_LABELS, MAX_REPLY};
use crate::starshipit::wire::{self, Order};
use crate::starshipit::{Priority, Starshipit, mapping, reason};
use serde_json::{Value, json};

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
            Some(order) => {
                self.note(&order);
                Ok(Some(order))
            }
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

    /// Archives a printed order that nobody ships; one that is archived already is fine. There is no
    /// void: the courier may bill it.
    ///
    /// # Errors
    /// As [`CallFailure`]. It may be asked again.
    pub async fn archive(&self, account: &AccountName, order_id: i64) -> Result<(), CallFailure> {
        let path = format!("/api/orders/archive?order_id={order_id}");
        // Two descriptions of it differ in where the id stands.
        let body = json!({ "order_id": order_id });
        match self
            .write(account, &path, &body, MAX_REPLY, Priority::Scan)
            .await
        {
            Err(CallFailure::Refused {
                code: Code::OrderCancelled,
                ..
            })
            | Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        }
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

    /// How many courier services the account offers within a country, from its own address. Asks for
    /// no price and buys nothing.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn services_within(
        &self,
        account: &AccountName,
        country: &str,
    ) -> Result<u64, CallFailure> {
        let body = json!({
            "destination": { "country_code": country },
            "packages": [{}],
            "include_pricing": false,
        });
        let path = "/api/deliveryservices";
        let good = self
            .write(account, path, &body, MAX_REPLY, Priority::Poll)
            .await?;
        let services = good.reply.services.0.iter().filter(|s| s.0.is_some());
        Ok(services.count() as u64)
    }

    /// When an order was made, by Starshipit's clock. `None`: it does not say, or there is no such order.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn made_at(
        &self,
        account: &AccountName,
        order_id: i64,
    ) -> Result<Option<Timestamp>, CallFailure> {
        let order = self.order(account, order_id, Priority::Poll).await?;
        Ok(order.and_then(|order| mapping::created(&order)))
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

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
