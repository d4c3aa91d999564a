//! What the credentials are good for: one question per role, for `doctor` and the start.

use crate::cartoncloud::orders::ORDERS_ROLE;
use crate::cartoncloud::papers::{CREATE_ROLE, VIEW_ROLE};
use crate::cartoncloud::products::{PRODUCTS_ROLE, product_ids};
use crate::cartoncloud::search::{and, text_is};
use crate::cartoncloud::send::{Ask, Fault};
use crate::cartoncloud::{CartonCloud, Priority};
use crate::domain::loose::text;
use crate::domain::{CallFailure, Code};
use serde_json::{Value, json};

/// A UUID that nothing has.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// An organisation that the API client belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// UUID.
    pub id: String,
    /// Name.
    pub name: String,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was tried, in a few words.
    pub what: &'static str,
    /// The role that it needs; empty: none.
    pub role: &'static str,
    /// What was seen, or how it failed; a missing role is `cartoncloud-unauthorized` and named.
    pub result: Result<String, CallFailure>,
}

/// What the probe of order updates showed ([`CartonCloud::try_order_put`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutTest {
    /// The update was taken and changed nothing else: `order_properties` may be switched on.
    Passed,
    /// This tenant has no such call yet (404, 405, 501).
    Unavailable,
    /// It was taken, or half taken, and changed these members: must stay off.
    Harmful {
        /// JSON pointers, the first ten.
        changed: Vec<String>,
    },
    /// It was refused.
    Refused {
        /// Their words.
        why: String,
    },
}

impl CartonCloud {
    /// The organisations of the API client.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn userinfo(&self) -> Result<Vec<Tenant>, CallFailure> {
        let ask = Ask::get(String::new(), "any", Priority::Poll);
        let reply = self.ask_at("/uaa/userinfo", &ask).await?;
        let body = reply.done(self).map_err(CallFailure::from)?;
        Ok(crate::domain::loose::list(&body, &["tenants"])
            .iter()
            .filter_map(|t| {
                Some(Tenant {
                    id: text(t, &["id"])?,
                    name: text(t, &["name"]).unwrap_or_default(),
                })
            })
            .collect())
    }

    /// Tries everything that the station will do, without changing anything, and names the roles
    /// that are missing. The order of the checks is that of the work; a check that cannot be made
    /// for want of an order says so.
    pub async fn self_test(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let tenants = self.userinfo().await.and_then(|tenants| {
            let ours = &self.inner.tenant;
            match tenants.iter().find(|t| t.id.eq_ignore_ascii_case(ours)) {
                Some(tenant) => Ok(tenant.name.clone()),
                None => Err(CallFailure::Refused {
                    code: Code::CartoncloudUnauthorized,
                    detail: "the API client does not belong to cartoncloud.tenant_id".to_owned(),
                }),
            }
        });
        let is_up = tenants.is_ok();
        checks.push(check("token and tenant", "", tenants));
        if !is_up {
            return checks;
        }
        let orders = self.newest_orders().await;
        let sample = orders.as_ref().ok().and_then(|o| o.first().cloned());
        checks.push(check(
            "search sale orders",
            ORDERS_ROLE,
            orders.map(|o| format!("{} seen", o.len())),
        ));
        let by_status = self.probe_search("/status", json!("PACKED")).await;
        checks.push(check("search by /status", ORDERS_ROLE, by_status));
        let consignments = self.consignments(NOBODY, Priority::Poll).await;
        checks.push(check(
            "search consignments",
            VIEW_ROLE,
            consignments
                .map(|_| "allowed".to_owned())
                .map_err(Into::into),
        ));
        checks.push(check(
            "change consignments",
            CREATE_ROLE,
            self.may_change_consignments().await,
        ));
        let products = match sample.as_ref().and_then(|o| product_ids(o).pop_first()) {
            None => Ok("no order to take a product from".to_owned()),
            Some(id) => self.read_product(&id).await,
        };
        checks.push(check("read products (version 8)", PRODUCTS_ROLE, products));
        checks
    }

    async fn newest_orders(&self) -> Result<Vec<Value>, CallFailure> {
        let body = json!({ "condition": and(Vec::new()) });
        let path = "/outbound-orders/search";
        let mut ask = Ask::search(path, &body, 1, ORDERS_ROLE, Priority::Poll);
        ask.query = vec![("page", "1".to_owned()), ("size", "1".to_owned())];
        let reply = self.ask(&ask).await?;
        match reply.done(self)? {
            Value::Array(orders) => Ok(orders),
            _ => Err(CallFailure::Unknown {
                detail: "the search was not answered with a list".to_owned(),
            }),
        }
    }

    async fn probe_search(&self, pointer: &str, value: Value) -> Result<String, CallFailure> {
        let value = value.as_str().unwrap_or_default().to_owned();
        let body = json!({ "condition": and(vec![text_is(pointer, "EQUAL_TO", &value)]) });
        let path = "/outbound-orders/search";
        let mut ask = Ask::search(path, &body, 1, ORDERS_ROLE, Priority::Poll);
        ask.query = vec![("page", "1".to_owned()), ("size", "1".to_owned())];
        let reply = self.ask(&ask).await?;
        Ok(if reply.is_done() {
            "works".to_owned()
        } else {
            format!("refused ({}): filtered here instead", reply.head.status)
        })
    }

    /// A change of a consignment that does not exist: 404 says that we would be allowed.
    async fn may_change_consignments(&self) -> Result<String, CallFailure> {
        match self.put_consignment(NOBODY, &json!({}), 0).await {
            Ok(reply) if matches!(reply.head.status, 400 | 404 | 409 | 412 | 422) => {
                Ok("allowed".to_owned())
            }
            Ok(reply) => Err(reply.refused(self).into()),
            Err(fault) => Err(fault.into()),
        }
    }

    async fn read_product(&self, id: &str) -> Result<String, CallFailure> {
        let path = format!("/warehouse-products/{id}");
        let mut ask = Ask::get(path, PRODUCTS_ROLE, Priority::Poll);
        ask.version = "8";
        let reply = self.ask(&ask).await?;
        if reply.is_gone() {
            return Ok("allowed; the sampled product is gone".to_owned());
        }
        reply.done(self)?;
        Ok("allowed".to_owned())
    }

    /// Puts an order back unchanged and compares every member before and after. To be used once, on
    /// an order that the operator chose (a sandbox customer's): nobody knows what the call does.
    ///
    /// # Errors
    /// As [`CallFailure`], when the order cannot be read or the outcome is not known.
    pub async fn try_order_put(&self, uuid: &str) -> Result<PutTest, CallFailure> {
        let gone = || CallFailure::Refused {
            code: Code::OrderNotFound,
            detail: "there is no such sale order".to_owned(),
        };
        let read = || self.order_or(uuid, Priority::Poll);
        let before = read().await?.ok_or_else(gone)?;
        let reply = self.put_order(uuid, &before.raw, before.version).await;
        let reply = match reply {
            Ok(reply) => Some(reply),
            Err(Fault::Denied { role, said }) => {
                let why = crate::cartoncloud::send::denied(role, &said);
                return Ok(PutTest::Refused { why });
            }
            // It may have been done: what stands there tells.
            Err(Fault::Call(CallFailure::Unknown { .. })) => None,
            Err(fault) => return Err(fault.into()),
        };
        let after = read().await?.ok_or_else(gone)?;
        let mut changed = Vec::new();
        differences(&before.raw, &after.raw, "", &mut changed);
        changed.retain(|p| p != "/version" && !p.starts_with("/timestamps/modified"));
        if !changed.is_empty() {
            changed.truncate(10);
            return Ok(PutTest::Harmful { changed });
        }
        match reply {
            Some(reply) if reply.is_done() => Ok(PutTest::Passed),
            Some(reply) if reply.is_unavailable() => Ok(PutTest::Unavailable),
            Some(reply) => Ok(PutTest::Refused {
                why: crate::system::http::bounded(&self.scrub(&reply.why())),
            }),
            None => Err(CallFailure::Unknown {
                detail: "the update was not answered".to_owned(),
            }),
        }
    }
}

fn check(what: &'static str, role: &'static str, result: Result<String, CallFailure>) -> Check {
    Check { what, role, result }
}

/// JSON pointers of what differs.
fn differences(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let names: std::collections::BTreeSet<&String> =
                before.keys().chain(after.keys()).collect();
            for name in names {
                let (old, new) = (before.get(name), after.get(name));
                let (old, new) = (old.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null));
                differences(old, new, &format!("{at}/{name}"), found);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (old, new)) in before.iter().zip(after).enumerate() {
                differences(old, new, &format!("{at}/{index}"), found);
            }
        }
        _ if before == after => {}
        _ => found.push(at.to_owned()),
    }
}
