//! The calls about orders: find, create, change, delete, archive, lists.

use crate::domain::Timestamp;
use crate::sim::starshipit::api::{Answer, Ask, Endpoint, Refusal, members};
use crate::sim::starshipit::book::Book;
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::model::{Address, Item, Order, Package};
use crate::sim::starshipit::switches::{ArchivedVisible, CreateReply, Duplicate, Twins};
use crate::sim::starshipit::wire::Wire;
use serde::Deserialize;
use serde_json::{Map, json};

/// What a call works with: the books, and the switches as they are now.
pub(crate) struct Desk<'a> {
    pub(crate) book: &'a mut Book,
    pub(crate) wire: Wire,
}

/// Answers everything but printing (see [`crate::sim::starshipit::shipping`]).
pub(crate) fn answer(desk: &mut Desk<'_>, endpoint: Endpoint, ask: &Ask) -> Answer {
    match endpoint {
        Endpoint::Order => desk.get(ask),
        Endpoint::Create => desk.create(ask),
        Endpoint::Import => desk.import(ask),
        Endpoint::Update => desk.update(ask),
        Endpoint::Delete => desk.delete(ask),
        Endpoint::Archive => desk.archive(ask, true),
        Endpoint::Restore => desk.archive(ask, false),
        Endpoint::Unshipped => desk.unshipped(ask),
        Endpoint::Shipped => desk.shipped(ask),
        Endpoint::Shipments => desk.shipments(ask),
        Endpoint::Search => desk.search(ask),
        Endpoint::Summary => desk.summary(ask),
        Endpoint::Track => desk.track(ask),
        other => Err(Refusal::new(format!(
            "{} is answered elsewhere",
            other.name()
        ))),
    }
}

/// An order as create, import and the admin door take it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct NewOrder {
    pub(crate) order_date: Option<String>,
    pub(crate) order_number: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) carrier: Option<String>,
    pub(crate) carrier_service_code: Option<String>,
    pub(crate) shipping_method: Option<String>,
    pub(crate) shipping_description: Option<String>,
    pub(crate) signature_required: bool,
    pub(crate) return_order: bool,
    pub(crate) currency: Option<String>,
    pub(crate) sender_details: Option<Address>,
    pub(crate) destination: Address,
    pub(crate) items: Vec<Item>,
    pub(crate) packages: Vec<Package>,
    pub(crate) metadatas: Vec<Metadata>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    pub(super) metafield_key: String,
    pub(super) value: String,
}

#[derive(Deserialize)]
struct CreateRequest {
    order: NewOrder,
}

#[derive(Deserialize)]
struct ImportRequest {
    orders: Vec<NewOrder>,
}

impl Desk<'_> {
    /// The account's order with this id.
    pub(crate) fn by_id(&self, account: &str, id: i64) -> Option<&Order> {
        self.book.orders.get(&id).filter(|o| o.account == account)
    }

    /// The account's order with this number, by S14 and S16.
    pub(crate) fn by_number(&self, account: &str, number: &str) -> Option<&Order> {
        let hidden = self.wire.switches.archived == ArchivedVisible::No;
        let mut hits = self
            .book
            .orders
            .values()
            .filter(|o| o.account == account && o.number == number && !(hidden && o.archived));
        match self.wire.switches.twins {
            Twins::Newest => hits.next_back(),
            Twins::Oldest => hits.next(),
        }
    }

    pub(super) fn touched(&self, mut order: Order) -> Order {
        order.updated = self.wire.now;
        order
    }

    fn get(&mut self, ask: &Ask) -> Answer {
        if let Some(id) = ask.number("order_id")? {
            let order = self.by_id(&ask.account, id);
            let order =
                order.ok_or_else(|| Refusal::new(format!("Unable to find order id: {id}")))?;
            return Ok(members([("order", self.wire.order(order))]));
        }
        if let Some(number) = ask.param("order_number") {
            let order = self.by_number(&ask.account, number);
            let order = order
                .ok_or_else(|| Refusal::new(format!("Unable to find order number: {number}")))?;
            return Ok(members([("order", self.wire.order(order))]));
        }
        self.list(ask)
    }

    fn create(&mut self, ask: &Ask) -> Answer {
        let request: CreateRequest = ask.read()?;
        let order = self.add(&ask.account, request.order)?;
        let order = self.wire.order(&order);
        match self.wire.switches.create {
            CreateReply::Plain => Ok(members([("order", order)])),
            CreateReply::Soft => Err(Refusal {
                beside: members([("order", order)]),
                ..Refusal::new("The order was saved with warnings: address could not be validated")
            }),
        }
    }

    fn import(&mut self, ask: &Ask) -> Answer {
        let request: ImportRequest = ask.read()?;
        if request.orders.len() > 50 {
            return Err(Refusal::new(
                "No more than 50 orders can be imported at once",
            ));
        }
        let mut made = Vec::new();
        let mut failed = None;
        for order in request.orders {
            match self.add(&ask.account, order) {
                Ok(order) => made.push(self.wire.order(&order)),
                Err(refusal) => failed = Some(refusal),
            }
        }
        let reply = members([("orders", json!(made))]);
        match failed {
            None => Ok(reply),
            Some(refusal) => Err(Refusal {
                beside: reply,
                ..refusal
            }),
        }
    }

    /// Checks and stores a new order, by S1.
    pub(crate) fn add(&mut self, account: &str, new: NewOrder) -> Result<Order, Refusal> {
        let number = new.order_number.clone().unwrap_or_default();
        check(&new, &number)?;
        let twin = self
            .book
            .orders
            .values()
            .find(|o| o.account == account && o.number == number);
        if let Some(twin) = twin {
            let text = format!("Order number {number} already exists");
            match self.wire.switches.duplicate {
                Duplicate::NewOrder => {}
                Duplicate::Existing => return Ok(twin.clone()),
                Duplicate::Refuse => return Err(Refusal::new(text)),
                Duplicate::Conflict => {
                    return Err(Refusal {
                        status: Some(409),
                        ..Refusal::new(text)
                    });
                }
            }
        }
        let order = self.build(account, new, number);
        self.book.put(order.clone())?;
        Ok(order)
    }

    pub(crate) fn build(&mut self, account: &str, new: NewOrder, number: String) -> Order {
        let mut order = Order {
            id: self.book.new_id(),
            account: account.to_owned(),
            number,
            reference: new.reference,
            order_date: self.wire.now,
            updated: self.wire.now,
            carrier: new
                .carrier
                .as_deref()
                .and_then(couriers::code)
                .map(str::to_owned),
            service: new.carrier_service_code,
            shipping_method: new.shipping_method,
            shipping_description: new.shipping_description,
            signature_required: new.signature_required,
            currency: new.currency,
            sender: new.sender_details.unwrap_or_else(pickup_address),
            destination: new.destination,
            items: new.items,
            packages: new.packages,
            metadatas: new
                .metadatas
                .into_iter()
                .map(|m| (m.metafield_key, m.value))
                .collect(),
            platform: "API".into(),
            order_type: if new.return_order {
                "Return"
            } else {
                "Outgoing"
            }
            .into(),
            ..Order::default()
        };
        if let Some(at) = new.order_date.as_deref().and_then(parse_date) {
            order.order_date = at;
        }
        self.number_lines(&mut order);
        order
    }

    /// Gives new ids to all items and packages; an order without packages gets the account's
    /// default one, whose weight is that of the items.
    pub(crate) fn number_lines(&mut self, order: &mut Order) {
        for item in &mut order.items {
            item.item_id = self.book.new_line();
        }
        if order.packages.is_empty() {
            let weight: f64 = order
                .items
                .iter()
                .map(|i| i.weight.unwrap_or(0.0) * i.quantity)
                .sum();
            let weight = (weight > 0.0).then_some(weight);
            order.packages.push(Package {
                weight,
                ..Package::default()
            });
        }
        for package in &mut order.packages {
            package.package_id = self.book.new_line();
        }
    }

    fn delete(&mut self, ask: &Ask) -> Answer {
        let order = self.asked(ask)?;
        if order.status.has_label() {
            return Err(Refusal::new("Only unshipped orders can be deleted"));
        }
        self.book.remove(order.id)?;
        Ok(Map::new())
    }

    fn archive(&mut self, ask: &Ask, archived: bool) -> Answer {
        let mut order = self.asked(ask)?;
        if archived && !order.status.has_label() {
            return Err(Refusal::new(
                "Only printed or shipped orders can be archived",
            ));
        }
        if !archived && !order.archived {
            return Err(Refusal::new("Only archived orders can be restored"));
        }
        order.archived = archived;
        let order = self.touched(order);
        self.book.put(order)?;
        Ok(Map::new())
    }

    /// The order of `order_id`, from the query or a JSON body.
    fn asked(&self, ask: &Ask) -> Result<Order, Refusal> {
        #[derive(Deserialize)]
        struct Body {
            order_id: i64,
        }
        let id = match ask.number("order_id")? {
            Some(id) => id,
            None => ask.read::<Body>()?.order_id,
        };
        let order = self.by_id(&ask.account, id).cloned();
        order.ok_or_else(|| Refusal::new(format!("Unable to find order id: {id}")))
    }
}

fn check(new: &NewOrder, number: &str) -> Result<(), Refusal> {
    if number.is_empty() {
        return Err(Refusal::new("order_number parameter value is required"));
    }
    length("order_number", number, 50)?;
    for (field, text, max) in [
        ("reference", &new.reference, 50),
        ("shipping_method", &new.shipping_method, 100),
        ("shipping_description", &new.shipping_description, 100),
        ("currency", &new.currency, 3),
    ] {
        length(field, text.as_deref().unwrap_or_default(), max)?;
    }
    if new
        .packages
        .iter()
        .any(|p| p.weight.is_none_or(|w| w <= 0.0 || w > 10_000.0))
    {
        return Err(Refusal::new("Incorrect package weight parameter value"));
    }
    check_address(&new.destination)
}

pub(crate) fn check_address(to: &Address) -> Result<(), Refusal> {
    for (field, text, max) in [
        ("name", &to.name, 100),
        ("street", &to.street, 100),
        ("country", &to.country, 100),
        ("suburb", &to.suburb, 100),
        ("city", &to.city, 100),
        ("state", &to.state, 100),
        ("company", &to.company, 100),
        ("building", &to.building, 100),
        ("email", &to.email, 100),
        ("phone", &to.phone, 100),
        ("delivery_instructions", &to.delivery_instructions, 100),
        ("post_code", &to.post_code, 10),
    ] {
        let text = text.as_deref().unwrap_or_default();
        length(field, text, max)?;
        if text.is_empty() && matches!(field, "name" | "street" | "country") {
            return Err(Refusal::new(format!(
                "destination {field} parameter value is required"
            )));
        }
    }
    if to.suburb.is_none() && to.city.is_none() {
        return Err(Refusal::new(
            "destination suburb parameter value is required",
        ));
    }
    Ok(())
}

pub(crate) fn length(field: &str, text: &str, max: usize) -> Result<(), Refusal> {
    if text.chars().count() > max {
        return Err(Refusal::new(format!(
            "{field} must be no more than {max} characters"
        )));
    }
    Ok(())
}

/// The account's own address, used where an order brings no sender.
pub(crate) fn pickup_address() -> Address {
    let text = |t: &str| Some(t.to_owned());
    Address {
        name: text("Dispatch"),
        company: text("Example Warehouse Pty Ltd"),
        phone: text("07 5550 0100"),
        street: text("1 Depot Road"),
        suburb: text("Eagle Farm"),
        state: text("QLD"),
        post_code: text("4009"),
        country: text("Australia"),
        ..Address::default()
    }
}

/// RFC 3339, with or without a zone (then UTC), any number of fractional digits.
pub(crate) fn parse_date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<jiff::Timestamp>()
        .or_else(|_| format!("{text}Z").parse())
        .ok()
        .map(|t| Timestamp(t.as_millisecond()))
}
