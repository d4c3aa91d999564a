//! A virtual CartonCloud, and the sinks that tracking numbers go to.

use super::World;
use super::cloud::{Call, Cloud, CloudOrder, Fault, failure};
use printstation::domain::order::{Choices, Standing};
use printstation::domain::writeback::{Dispatch, ORDER_DOCUMENT, dispatch, is_cartoncloud, is_due};
use printstation::domain::{
    AccountName, CallFailure, Code, Delivery, Mono, Order, OrderId, Party, RemoteOrder, SaleOrder,
};
use printstation::station::{Input, Lookup};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};

/// A create whose commit is still to come.
#[derive(Clone, Debug)]
pub struct LateCreate {
    pub at: Mono,
    pub account: AccountName,
    pub uuid: String,
    pub number: String,
    pub reference: Option<String>,
}

/// How a delivery ends otherwise than well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hitch {
    /// Nothing happened; try again.
    Retry,
    /// The sink has it; the reply is lost.
    Lost,
    /// The sink cannot take it.
    Unsupported,
}

/// Where tracking numbers go.
#[derive(Clone, Debug, Default)]
pub struct Sinks {
    /// What stands where: by ledger id and sink.
    pub stands: BTreeMap<(OrderId, String), Vec<String>>,
    /// Every set that changed what stands there.
    pub told: Vec<(OrderId, String, Vec<String>)>,
    pub plan: VecDeque<Hitch>,
    /// Attempts, hitches included.
    pub attempts: usize,
    pub down: bool,
    /// Deliveries whose end the station has not heard of.
    pub out: Vec<(OrderId, u32, Vec<String>)>,
}

impl Sinks {
    /// One attempt, as a sink makes it: it looks first, and is safe to repeat.
    fn deliver(&mut self, job: &Dispatch) -> Delivery {
        self.attempts += 1;
        let retry = |unreachable| Delivery::Retry {
            after: None,
            why: "as planned".to_owned(),
            unreachable,
        };
        if self.down {
            return retry(true);
        }
        let hitch = self.plan.pop_front();
        match hitch {
            Some(Hitch::Retry) => return retry(false),
            Some(Hitch::Unsupported) => {
                return Delivery::Unsupported {
                    why: "as planned".to_owned(),
                };
            }
            Some(Hitch::Lost) | None => {}
        }
        let key = (job.order.clone(), job.job.sink.clone());
        let stands = self.stands.entry(key.clone()).or_default();
        let ours = |n: &String| job.job.tracking.contains(n) || job.job.supersedes.contains(n);
        if !stands.iter().all(ours) && !job.job.overwrite {
            return Delivery::Conflict {
                theirs: stands.join(","),
            };
        }
        if *stands != job.job.tracking {
            stands.clone_from(&job.job.tracking);
            self.told.push((key.0, key.1, job.job.tracking.clone()));
        }
        if hitch == Some(Hitch::Lost) {
            return retry(false);
        }
        Delivery::Done { handle: None }
    }

    /// Everything that is due is tried once.
    pub fn attempt<'a>(&mut self, orders: impl Iterator<Item = &'a Order>) -> Vec<Input> {
        let mut replies = Vec::new();
        for order in orders {
            for job in &order.writebacks {
                let key = (order.id.clone(), job.n, job.tracking.clone());
                if !is_due(order, job.n) || self.out.contains(&key) {
                    continue;
                }
                self.out.push(key);
                let dispatch = dispatch(order, job.n).expect("the job is there");
                replies.push(Input::Delivered {
                    order: order.id.clone(),
                    n: job.n,
                    tracking: job.tracking.clone(),
                    result: self.deliver(&dispatch),
                });
            }
        }
        replies
    }

    /// How often a sink was told something about an order number's sale order.
    pub fn told(&self, id: &OrderId, sink: &str) -> Vec<String> {
        self.told
            .iter()
            .filter(|(order, s, _)| order == id && s == sink)
            .map(|(.., set)| set.join(","))
            .collect()
    }

    pub fn has_document(&self, id: &OrderId) -> bool {
        !self.told(id, ORDER_DOCUMENT).is_empty()
    }
}

impl World {
    /// P2: a number and its writebacks are one record; a sink has one job.
    pub(super) fn owes_what_it_should(&self, order: &Order) {
        let Some(route) = self.settings.route_of(order) else {
            return;
        };
        let rule = &self.settings.routes[route].writeback;
        let set = order.tracking();
        let cancelled = matches!(
            order.standing,
            Standing::Cancelled | Standing::Refused(Code::OrderCancelled)
        );
        for sink in &rule.sinks {
            let mut jobs = order.writebacks.iter().filter(|job| job.sink == *sink);
            let job = jobs.next();
            assert!(jobs.next().is_none(), "two jobs for {sink}: {order:?}");
            let owed = !set.is_empty()
                && !cancelled
                && sink != ORDER_DOCUMENT
                && (order.sale.is_some() || !is_cartoncloud(sink));
            assert!(
                !owed || job.is_some_and(|job| job.tracking == set),
                "{set:?} without its writeback to {sink}: {order:?}"
            );
            let stale = job.is_some_and(|job| job.is_open() && job.tracking != set);
            assert!(!stale, "an old set is still to be delivered: {order:?}");
        }
    }
}

impl Cloud {
    /// There is a live order of this number.
    pub fn has_order(&self, number: &str) -> bool {
        let live = |o: &CloudOrder| o.remote.number == number && !o.remote.archived;
        self.orders.values().any(live)
    }

    /// Numbers that came late are there now.
    pub fn show_numbers(&mut self) {
        for order in self.orders.values_mut() {
            if let Some(number) = order.hidden_number.take() {
                order.remote.tracking = vec![number];
            }
        }
    }

    /// A sale order in CartonCloud.
    pub fn sell_order(&mut self, customer: &str, number: &str) -> String {
        let twins = self
            .sale_orders
            .values()
            .filter(|s| s.number == number)
            .count();
        self.next_numeric += 1;
        let uuid = match twins {
            0 => format!("uuid-{}", number.to_ascii_lowercase()),
            n => format!("uuid-{}~{}", number.to_ascii_lowercase(), n + 1),
        };
        let numeric = format!("{}", 70_000 + self.next_numeric);
        let party = |code: &str| Party {
            id: format!("id-{code}"),
            code: code.to_owned(),
            name: format!("{code} Pty Ltd"),
        };
        self.sale_orders.insert(
            uuid.clone(),
            SaleOrder {
                uuid: uuid.clone(),
                version: 1,
                status: "PACKED".to_owned(),
                number: number.to_owned(),
                numeric_id: Some(numeric.clone()),
                customer: party(customer),
                warehouse: party("Sydney"),
                recipient: Some("A. Person".to_owned()),
                postcode: Some("4000".to_owned()),
                pickup: false,
                fingerprint: format!("sale-{number}"),
                modified: None,
                raw: json!({
                    "references": {"customer": number, "numericId": numeric},
                    "properties": {"printNow": "false", "shopifyOrderId": "991"},
                }),
            },
        );
        uuid
    }

    /// The sale order of a number that is there now.
    pub fn sale(&mut self, number: &str) -> &mut SaleOrder {
        self.sale_orders
            .values_mut()
            .rfind(|s| s.number == number)
            .expect("the scenario made this sale order")
    }

    pub fn sale_status(&mut self, number: &str, status: &str) {
        let sale = self.sale(number);
        status.clone_into(&mut sale.status);
        sale.version += 1;
    }

    /// Deleted, and entered again under the same number.
    pub fn reenter(&mut self, number: &str) -> String {
        let gone = self.sale(number).clone();
        let new = self.sell_order(&gone.customer.code, number);
        self.sale_orders.remove(&gone.uuid);
        new
    }

    fn cartoncloud(&mut self, call: Call) -> Result<(), CallFailure> {
        if self.cc_down {
            *self.calls.entry(call).or_default() += 1;
            return Err(failure(Fault::NotSent));
        }
        if self.cc_keyless {
            return Err(failure(Fault::Refused(Code::CartoncloudUnauthorized)));
        }
        match self.begin(call, &AccountName::default())? {
            None => Ok(()),
            Some(_) => Err(failure(Fault::LostAfter)),
        }
    }

    pub fn read_sale(&mut self, uuid: &str) -> Result<Option<Box<SaleOrder>>, CallFailure> {
        self.cartoncloud(Call::ReadSale)?;
        Ok(self.sale_orders.get(uuid).cloned().map(Box::new))
    }

    pub fn find_sales(
        &mut self,
        texts: &[(Lookup, String)],
    ) -> Result<Vec<SaleOrder>, CallFailure> {
        self.cartoncloud(Call::FindSale)?;
        for (lookup, text) in texts {
            let folded = text.to_ascii_lowercase();
            let hits: Vec<SaleOrder> = self
                .sale_orders
                .values()
                .filter(|s| match lookup {
                    Lookup::Id => s.uuid == folded,
                    Lookup::Numeric => s.numeric_id.as_deref() == Some(text),
                    // As a search does that begins with a text: more than what is meant.
                    Lookup::OrderNumber => s.number.to_ascii_lowercase().starts_with(&folded),
                    Lookup::Reference | Lookup::Tracking => panic!("CartonCloud knows none"),
                })
                .cloned()
                .collect();
            if !hits.is_empty() {
                return Ok(hits);
            }
        }
        Ok(Vec::new())
    }

    pub fn waiting(&mut self, statuses: &[String]) -> Result<Vec<SaleOrder>, CallFailure> {
        self.cartoncloud(Call::FindSale)?;
        let waits = |sale: &&SaleOrder| statuses.contains(&sale.status);
        Ok(self.sale_orders.values().filter(waits).cloned().collect())
    }

    pub fn look_number(
        &mut self,
        account: &AccountName,
        number: &str,
    ) -> Result<Vec<RemoteOrder>, CallFailure> {
        if self.begin(Call::LookNumber, account)?.is_some() {
            return Err(failure(Fault::LostAfter));
        }
        Ok(self
            .orders
            .iter()
            .filter(|((of, _), o)| of == account && !o.deleted && o.remote.number == number)
            .map(|(_, o)| o.remote.clone())
            .collect())
    }

    pub fn create(
        &mut self,
        create: LateCreate,
        with: &Choices,
    ) -> Result<RemoteOrder, CallFailure> {
        let fault = self.begin(Call::Create, &create.account)?;
        let Some(sale) = self.sale_orders.get(&create.uuid) else {
            return Err(failure(Fault::Refused(Code::OrderNotFound)));
        };
        if sale.raw["weightless"] == json!(true) && with.parcels.is_empty() {
            return Err(failure(Fault::Refused(Code::WeightMissing)));
        }
        if let Some(Fault::LostLate(after)) = fault {
            let at = create.at.plus(after);
            self.late_creates.push(LateCreate { at, ..create });
            return Err(failure(Fault::LostBefore));
        }
        let order_id = self.commit_create(&create);
        if fault.is_some() {
            return Err(failure(Fault::LostAfter));
        }
        Ok(self.orders[&(create.account, order_id)].remote.clone())
    }

    pub fn commit_create(&mut self, create: &LateCreate) -> i64 {
        let order_id = self.add(&create.account.0, &create.number, create.at);
        let remote = &mut self
            .orders
            .get_mut(&(create.account.clone(), order_id))
            .expect("just made")
            .remote;
        remote.reference.clone_from(&create.reference);
        self.creates.push((create.uuid.clone(), order_id));
        order_id
    }

    pub fn probe_sales(&mut self) -> bool {
        self.cartoncloud(Call::ProbeSales).is_ok()
    }

    /// Starshipit orders that were made of sale orders of this number.
    pub fn created(&self, number: &str) -> usize {
        self.creates
            .iter()
            .filter(|(uuid, _)| uuid.starts_with(&format!("uuid-{}", number.to_ascii_lowercase())))
            .count()
    }
}
