//! A virtual Starshipit: orders, a money ledger, and every way in which a call can end.
//!
//! Its answers are the worst that the real one may give: Print Label without `reprint` always sells
//! another consignment, and `reprint` for an order without a label is counted as a fault of the
//! station.

use super::sales::LateCreate;
use printstation::domain::remote::PACKING_SLIP;
use printstation::domain::{
    AccountName, Bought, CallFailure, Code, DocumentId, DocumentMeta, Mono, PageRole, Parcel,
    RemoteOrder, RemoteStatus, SaleOrder,
};
use printstation::station::{Lookup, PreparedPage, Remade};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Which call a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Find,
    Look,
    Buy,
    Reprint,
    Replace,
    Clone,
    LookRemade,
    Probe,
    LookNumber,
    Create,
    FindSale,
    ReadSale,
    ProbeSales,
    Archive,
    Slip,
}

/// How a call ends otherwise than well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No byte left the host.
    NotSent,
    /// 429.
    Throttled,
    /// A parsed refusal.
    Refused(Code),
    /// The reply is lost; the call was carried out.
    LostAfter,
    /// The reply is lost; the call was not carried out.
    LostBefore,
    /// The reply is lost; the call is carried out so much later.
    LostLate(Duration),
    /// Carried out, but no label document came with it.
    NoLabels,
    /// Carried out, but a label document is not base64.
    BadLabels,
    /// Carried out; the tracking number comes later.
    NoNumber,
}

#[derive(Clone, Debug)]
pub struct CloudOrder {
    pub remote: RemoteOrder,
    /// Consignments sold for it.
    pub sold: u32,
    pub deleted: bool,
    /// The live twin made by Replace.
    pub twin: Option<i64>,
    pub made: Mono,
    pub documents: Vec<(DocumentMeta, Vec<PreparedPage>)>,
    /// A number that exists but is not shown yet.
    pub hidden_number: Option<String>,
}

#[derive(Debug, Default)]
pub struct Cloud {
    pub orders: BTreeMap<(AccountName, i64), CloudOrder>,
    /// Pages that a new label has: documents of (role, type, pages).
    pub layout: Vec<(PageRole, &'static str, u16)>,
    pub plan: BTreeMap<Call, VecDeque<Fault>>,
    /// Every call fails before its first byte.
    pub down: bool,
    /// Accounts whose key is refused.
    pub keyless: Vec<AccountName>,
    /// Commits that are still to come: when, account, order.
    pub late: Vec<(Mono, AccountName, i64)>,
    pub next_id: i64,
    /// How often each kind of call was made.
    pub calls: BTreeMap<Call, u32>,
    /// Every consignment that was sold to this station: (order number of the family, order id).
    pub sales: Vec<(String, i64)>,
    /// CartonCloud's sale orders, by UUID.
    pub sale_orders: BTreeMap<String, SaleOrder>,
    pub next_numeric: u32,
    /// CartonCloud alone does not answer, or refuses the station.
    pub cc_down: bool,
    pub cc_keyless: bool,
    /// Every Starshipit order that was made of a sale order.
    pub creates: Vec<(String, i64)>,
    pub late_creates: Vec<LateCreate>,
}

impl Cloud {
    pub fn new() -> Self {
        Self {
            layout: vec![(PageRole::Label, "BlankLabels", 1)],
            next_id: 1000,
            ..Self::default()
        }
    }

    pub fn add(&mut self, account: &str, number: &str, now: Mono) -> i64 {
        self.next_id += 1;
        let order_id = self.next_id;
        let remote = RemoteOrder {
            account: account.into(),
            order_id,
            number: number.to_owned(),
            reference: Some(format!("REF-{number}")),
            status: RemoteStatus::Unshipped,
            archived: false,
            recipient: Some("A. Person".to_owned()),
            postcode: Some("4000".to_owned()),
            carrier: Some("-1".to_owned()),
            carrier_name: None,
            service: None,
            parcels: vec![Parcel {
                weight_kg: 1.0,
                ..Parcel::default()
            }],
            items_weight_kg: 1.0,
            tracking: Vec::new(),
            label_created: false,
            fingerprint: format!("print-{number}"),
            price_cents: None,
        };
        self.orders.insert(
            (account.into(), order_id),
            CloudOrder {
                remote,
                sold: 0,
                deleted: false,
                twin: None,
                made: now,
                documents: Vec::new(),
                hidden_number: None,
            },
        );
        order_id
    }

    /// The live, newest order of a number.
    pub fn by_number(&mut self, number: &str) -> &mut CloudOrder {
        self.orders
            .values_mut()
            .filter(|o| o.remote.number == number && !o.remote.archived)
            .max_by_key(|o| o.remote.order_id)
            .expect("the scenario made this order")
    }

    /// Somebody makes the label in Starshipit's own screen.
    pub fn label_elsewhere(&mut self, number: &str) {
        let layout = self.layout.clone();
        let order = self.by_number(number);
        commit(order, &layout, false);
    }

    /// As `label_elsewhere`, for an order that this station has not touched.
    pub fn label_elsewhere_if_unsold(&mut self, number: &str) {
        let pending = !self.late.is_empty();
        if self.sold(number) == 0 && !pending && !self.by_number(number).remote.is_printed() {
            self.label_elsewhere(number);
        }
    }

    /// The office cancels an order that has no label yet, and enters it anew.
    pub fn archive_if_unsold(&mut self, number: &str) {
        let now = self.by_number(number).made;
        if self.sold(number) == 0
            && self.late.is_empty()
            && !self.by_number(number).remote.is_printed()
        {
            let order = self.by_number(number);
            order.remote.archived = true;
            let account = order.remote.account.clone();
            self.add(&account.0, number, now);
        }
    }

    pub fn archive(&mut self, account: &AccountName, order_id: i64) -> Result<(), CallFailure> {
        let fault = self.begin(Call::Archive, account)?;
        if let Some(order) = self.orders.get_mut(&(account.clone(), order_id)) {
            order.remote.archived = true;
        }
        fault.map_or(Ok(()), |_| Err(failure(Fault::LostAfter)))
    }

    /// The office changes the address.
    pub fn change(&mut self, number: &str) {
        self.by_number(number).remote.fingerprint.push('!');
    }

    pub fn fail(&mut self, call: Call, fault: Fault) {
        self.plan.entry(call).or_default().push_back(fault);
    }

    pub fn count(&self, call: Call) -> u32 {
        self.calls.get(&call).copied().unwrap_or(0)
    }

    /// Consignments sold to this station for a number and everything made from it.
    pub fn sold(&self, number: &str) -> usize {
        self.sales.iter().filter(|(n, _)| n == number).count()
    }

    /// Commits whose time has come.
    pub fn settle_late(&mut self, now: Mono) {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|(at, ..)| now >= *at);
        self.late = later;
        for (_, account, order_id) in due {
            self.sell(&account, order_id, false);
        }
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late_creates)
            .into_iter()
            .partition(|create| now >= create.at);
        self.late_creates = later;
        for create in due {
            self.commit_create(&create);
        }
    }

    pub(super) fn begin(
        &mut self,
        call: Call,
        account: &AccountName,
    ) -> Result<Option<Fault>, CallFailure> {
        *self.calls.entry(call).or_default() += 1;
        if self.down {
            return Err(failure(Fault::NotSent));
        }
        if self.keyless.contains(account) {
            return Err(failure(Fault::Refused(Code::StarshipitUnauthorized)));
        }
        let fault = self.plan.get_mut(&call).and_then(VecDeque::pop_front);
        match fault {
            Some(
                fault @ (Fault::NotSent | Fault::Throttled | Fault::Refused(_) | Fault::LostBefore),
            ) => Err(failure(fault)),
            fault => Ok(fault),
        }
    }

    fn sell(&mut self, account: &AccountName, order_id: i64, hide_number: bool) {
        let layout = self.layout.clone();
        let Some(order) = self.orders.get_mut(&(account.clone(), order_id)) else {
            return;
        };
        commit(order, &layout, hide_number);
        let number = order.remote.number.clone();
        self.sales.push((number, order_id));
    }

    /// A packing slip of one page; asking for it changes nothing.
    pub fn slip(
        &mut self,
        account: &AccountName,
        order_id: i64,
    ) -> Result<(DocumentMeta, Vec<PreparedPage>), CallFailure> {
        if self.begin(Call::Slip, account)?.is_some() {
            return Err(failure(Fault::LostBefore));
        }
        let meta = DocumentMeta {
            id: DocumentId(format!("slip-{order_id}")),
            len: 1,
            label_type: PACKING_SLIP.to_owned(),
        };
        let page = PreparedPage {
            document: 0,
            index: 0,
            role: PageRole::Document,
            label_type: PACKING_SLIP.to_owned(),
            codes: Vec::new(),
        };
        Ok((meta, vec![page]))
    }

    pub fn buy(
        &mut self,
        account: &AccountName,
        order_id: i64,
        reprint: bool,
        now: Mono,
    ) -> Result<Bought, CallFailure> {
        let call = if reprint { Call::Reprint } else { Call::Buy };
        let fault = self.begin(call, account)?;
        let known = self
            .orders
            .get(&(account.clone(), order_id))
            .filter(|o| !o.deleted && !o.remote.archived);
        let Some(known) = known else {
            return Err(failure(Fault::Refused(Code::OrderNotFound)));
        };
        if reprint {
            assert!(
                known.remote.is_printed(),
                "reprint was sent for {order_id}, which has no label: the worst Starshipit buys one"
            );
        } else if let Some(Fault::LostLate(after)) = fault {
            self.late.push((now.plus(after), account.clone(), order_id));
            return Err(failure(Fault::LostBefore));
        } else {
            self.sell(account, order_id, fault == Some(Fault::NoNumber));
        }
        if matches!(fault, Some(Fault::LostAfter | Fault::LostLate(_))) {
            return Err(failure(Fault::LostAfter));
        }
        let order = &self.orders[&(account.clone(), order_id)];
        let mut bought = Bought {
            order_id,
            carrier_name: "Example Post".to_owned(),
            tracking: order.remote.tracking.clone(),
            tracking_slots: 1,
            documents: order
                .documents
                .iter()
                .map(|(meta, _)| meta.clone())
                .collect(),
            undecodable: 0,
        };
        match fault {
            Some(Fault::NoLabels) => bought.documents.clear(),
            Some(Fault::BadLabels) => {
                bought.documents.pop();
                bought.undecodable = 1;
            }
            _ => {}
        }
        Ok(bought)
    }

    pub fn look(
        &mut self,
        account: &AccountName,
        order_id: i64,
    ) -> Result<Option<RemoteOrder>, CallFailure> {
        if self.begin(Call::Look, account)?.is_some() {
            return Err(failure(Fault::LostAfter));
        }
        Ok(self
            .orders
            .get(&(account.clone(), order_id))
            .filter(|o| !o.deleted)
            .map(|o| o.remote.clone()))
    }

    pub fn find(
        &mut self,
        accounts: &[AccountName],
        texts: &[(Lookup, String)],
    ) -> (Vec<RemoteOrder>, Vec<(AccountName, CallFailure)>) {
        let (mut hits, mut failures) = (Vec::new(), Vec::new());
        for account in accounts {
            match self.begin(Call::Find, account) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    failures.push((account.clone(), failure(Fault::LostAfter)));
                    continue;
                }
                Err(failure) => {
                    failures.push((account.clone(), failure));
                    continue;
                }
            }
            for (lookup, text) in texts {
                let fits = |o: &RemoteOrder| match lookup {
                    Lookup::OrderNumber => o.number.eq_ignore_ascii_case(text),
                    Lookup::Reference => o
                        .reference
                        .as_ref()
                        .is_some_and(|r| r.eq_ignore_ascii_case(text)),
                    Lookup::Numeric | Lookup::Id => panic!("Starshipit knows none"),
                    Lookup::Tracking => o.tracking.iter().any(|t| t.eq_ignore_ascii_case(text)),
                };
                let found: Vec<RemoteOrder> = self
                    .orders
                    .iter()
                    .filter(|((of, _), o)| of == account && !o.deleted && fits(&o.remote))
                    .map(|(_, o)| o.remote.clone())
                    .collect();
                if !found.is_empty() {
                    hits.extend(found);
                    break;
                }
            }
        }
        (hits, failures)
    }

    pub fn remake(
        &mut self,
        account: &AccountName,
        order_id: i64,
        replace: bool,
        now: Mono,
    ) -> Result<RemoteOrder, CallFailure> {
        let call = if replace { Call::Replace } else { Call::Clone };
        let fault = self.begin(call, account)?;
        let source = self
            .orders
            .get(&(account.clone(), order_id))
            .filter(|o| !o.deleted && !o.remote.archived)
            .map(|o| o.remote.number.clone())
            .ok_or_else(|| failure(Fault::Refused(Code::OrderNotFound)))?;
        let reference = self.orders[&(account.clone(), order_id)]
            .remote
            .reference
            .clone();
        let twin = self.add(&account.0, &source, now);
        if let Some(twin) = self.orders.get_mut(&(account.clone(), twin)) {
            twin.remote.reference = reference;
        }
        if replace && let Some(source) = self.orders.get_mut(&(account.clone(), order_id)) {
            source.remote.archived = true;
            source.twin = Some(twin);
        }
        if fault.is_some() {
            return Err(failure(Fault::LostAfter));
        }
        Ok(self.orders[&(account.clone(), twin)].remote.clone())
    }

    pub fn look_remade(
        &mut self,
        account: &AccountName,
        order_id: i64,
        replace: bool,
        known: &[i64],
        since: Mono,
    ) -> Result<Remade, CallFailure> {
        if self.begin(Call::LookRemade, account)?.is_some() {
            return Err(failure(Fault::LostAfter));
        }
        let source = self.orders.get(&(account.clone(), order_id));
        if replace {
            return Ok(match source.and_then(|o| o.twin) {
                Some(twin) => Remade::Yes(Box::new(
                    self.orders[&(account.clone(), twin)].remote.clone(),
                )),
                None => Remade::No,
            });
        }
        let number = source.map(|o| o.remote.number.clone()).unwrap_or_default();
        let made: Vec<&CloudOrder> = self
            .orders
            .iter()
            .filter(|((of, id), o)| {
                of == account
                    && o.remote.number == number
                    && !known.contains(id)
                    && o.made >= since
                    && !o.remote.archived
            })
            .map(|(_, o)| o)
            .collect();
        Ok(match made.as_slice() {
            [] => Remade::No,
            [one] => Remade::Yes(Box::new(one.remote.clone())),
            _ => Remade::Unclear,
        })
    }

    pub fn probe(&mut self) -> bool {
        self.begin(Call::Probe, &AccountName::default())
            .is_ok_and(|f| f.is_none())
    }

    /// The pages of a document, as the label room would find them.
    pub fn pages(&self, id: &DocumentId) -> Option<Vec<PreparedPage>> {
        self.orders
            .values()
            .flat_map(|o| &o.documents)
            .find(|(meta, _)| meta.id == *id)
            .map(|(_, pages)| pages.clone())
    }
}

fn commit(order: &mut CloudOrder, layout: &[(PageRole, &'static str, u16)], hide_number: bool) {
    order.sold += 1;
    order.remote.status = RemoteStatus::Printed;
    order.remote.label_created = true;
    let number = format!("TRK{}-{}", order.remote.order_id, order.sold);
    if hide_number {
        order.hidden_number = Some(number);
    } else {
        order.remote.tracking = vec![number];
    }
    order.remote.carrier_name = Some("Example Post".to_owned());
    order.documents = layout
        .iter()
        .enumerate()
        .map(|(n, (role, label_type, pages))| {
            let document = u16::try_from(n).unwrap();
            let meta = DocumentMeta {
                id: DocumentId(format!(
                    "{:032}{:016}{n:016}",
                    order.remote.order_id, order.sold
                )),
                len: 1000,
                label_type: (*label_type).to_owned(),
            };
            let pages = (0..*pages)
                .map(|index| PreparedPage {
                    document,
                    index,
                    role: *role,
                    label_type: (*label_type).to_owned(),
                    codes: if *role == PageRole::Label {
                        vec![
                            order.remote.number.clone(),
                            format!("LABEL{}x{}", order.remote.order_id, index),
                        ]
                    } else {
                        Vec::new()
                    },
                })
                .collect();
            (meta, pages)
        })
        .collect();
}

pub(super) fn failure(fault: Fault) -> CallFailure {
    match fault {
        Fault::NotSent => CallFailure::NotSent {
            detail: "no route".to_owned(),
        },
        Fault::Throttled => CallFailure::Throttled { retry_after: None },
        Fault::Refused(code) => CallFailure::Refused {
            code,
            detail: "as planned".to_owned(),
        },
        _ => CallFailure::Unknown {
            detail: "time-out".to_owned(),
        },
    }
}
