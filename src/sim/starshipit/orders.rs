//! The calls about orders: find, create, change, delete, archive, lists.

use crate::domain::Timestamp;
use crate::sim::starshipit::api::{Answer, Ask, Endpoint, Refusal, members};
use crate::sim::starshipit::book::{Address, Book, Item, Order, Package, Status};
use crate::sim::starshipit::couriers;
use crate::sim::starshipit::switches::{
    ArchivedVisible, CreateReply, Duplicate, ListShape, Twins, Writable,
};
use crate::sim::starshipit::wire::Wire;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a call works with: the books, and the switches as they are now.
pub(crate) struct Desk<'a> {
    pub(crate) book: &'a mut Book,
    pub(crate) wire: Wire,
}

const DAY_MS: i64 = 24 * 3600 * 1000;

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
    metafield_key: String,
    value: String,
}

#[derive(Deserialize)]
struct CreateRequest {
    order: NewOrder,
}

#[derive(Deserialize)]
struct ImportRequest {
    orders: Vec<NewOrder>,
}

#[derive(Deserialize)]
struct UpdateRequest {
    order: Change,
}

#[derive(Debug, Deserialize)]
struct Change {
    order_id: i64,
    order_number: Option<String>,
    reference: Option<String>,
    carrier: Option<String>,
    carrier_service_code: Option<String>,
    shipping_method: Option<String>,
    shipping_description: Option<String>,
    signature_required: Option<bool>,
    currency: Option<String>,
    sender_details: Option<Address>,
    destination: Option<Address>,
    #[serde(default)]
    items: Vec<Changed<Item>>,
    #[serde(default)]
    packages: Vec<Changed<Package>>,
    #[serde(default)]
    metadatas: Vec<Metadata>,
    status: Option<String>,
    is_manifested: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct Changed<T> {
    #[serde(flatten)]
    line: T,
    #[serde(default)]
    delete: bool,
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

    fn touched(&self, mut order: Order) -> Order {
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

    fn list(&self, ask: &Ask) -> Answer {
        let wanted = ask
            .param("status")
            .unwrap_or("Unshipped")
            .to_ascii_lowercase();
        let status: fn(Status) -> bool = match wanted.as_str() {
            "unshipped" => |s| !s.has_label(),
            "printed" => |s| s == Status::Printed,
            "shipped" => |s| matches!(s, Status::Shipped | Status::Delivered),
            _ => return Err(Refusal::new("status parameter value is not valid")),
        };
        let filters = ask
            .param("filter")
            .map(filters)
            .transpose()?
            .unwrap_or_default();
        let mut found: Vec<&Order> = self
            .book
            .orders
            .values()
            .filter(|o| o.account == ask.account && !o.archived && status(o.status))
            .filter(|o| filters.iter().all(|(column, value)| fits(o, column, value)))
            .collect();
        if ask
            .param("sort_direction")
            .is_none_or(|d| !d.eq_ignore_ascii_case("ascending"))
        {
            found.reverse();
        }
        let page = Page::new(ask, "page_number", "page_size", 500, 500)?;
        let full = ask.param("include").is_some();
        let orders: Vec<Value> = page
            .of(&found)
            .iter()
            .map(|o| {
                if full {
                    self.wire.order(o)
                } else {
                    self.wire.list_line(o)
                }
            })
            .collect();
        let mut reply = members([
            ("page_number", json!(page.number)),
            ("page_size", json!(page.size)),
            ("total_pages", json!(page.pages(found.len()))),
            ("total_records", json!(found.len())),
        ]);
        match self.wire.switches.list {
            ListShape::DataOrders => reply.insert("data".into(), json!({ "orders": orders })),
            ListShape::Order => reply.insert("order".into(), json!(orders)),
            ListShape::Orders => reply.insert("orders".into(), json!(orders)),
        };
        Ok(reply)
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

    fn update(&mut self, ask: &Ask) -> Answer {
        let UpdateRequest { order: change } = ask.read()?;
        let id = change.order_id;
        let order = self.by_id(&ask.account, id).cloned();
        let order = order.ok_or_else(|| Refusal::new(format!("Unable to find order id: {id}")))?;
        let order = if order.status.has_label() {
            relabel(order, &change)?
        } else {
            self.change(order, change)?
        };
        let order = self.touched(order);
        self.book.put(order.clone())?;
        Ok(members([("order", self.wire.order(&order))]))
    }

    fn change(&mut self, mut order: Order, change: Change) -> Result<Order, Refusal> {
        let keep = self.wire.switches.writable == Writable::Kept;
        if let Some(number) = change.order_number {
            length("order_number", &number, 50)?;
            order.number = number;
        }
        if let Some(reference) = change.reference {
            length("reference", &reference, 50)?;
            if keep {
                order.reference = Some(reference);
            }
        }
        if let Some(text) = change.shipping_description {
            length("shipping_description", &text, 100)?;
            if keep {
                order.shipping_description = Some(text);
            }
        }
        for Metadata {
            metafield_key,
            value,
        } in change.metadatas
        {
            if keep {
                order.metadatas.retain(|(key, _)| *key != metafield_key);
                order.metadatas.push((metafield_key, value));
            }
        }
        if let Some(carrier) = change.carrier {
            let code = couriers::code(&carrier)
                .ok_or_else(|| Refusal::new(format!("Courier {carrier} is not set up")))?;
            order.carrier = Some(code.to_owned());
            order.service = None;
        }
        if let Some(service) = change.carrier_service_code {
            order.service = Some(service);
        }
        if let Some(destination) = change.destination {
            check_address(&destination)?;
            order.destination = destination;
            order.address_invalid = false;
        }
        order.sender = change.sender_details.unwrap_or(order.sender);
        order.shipping_method = change.shipping_method.or(order.shipping_method);
        order.signature_required = change
            .signature_required
            .unwrap_or(order.signature_required);
        order.currency = change.currency.or(order.currency);
        for Changed { line, delete } in change.items {
            let id = line.item_id;
            order.items.retain(|i| i.item_id != id);
            if !delete {
                let item_id = if id == 0 { self.book.new_line() } else { id };
                order.items.push(Item { item_id, ..line });
            }
        }
        for Changed { line, delete } in change.packages {
            let id = line.package_id;
            order.packages.retain(|p| p.package_id != id);
            if !delete {
                let package_id = if id == 0 { self.book.new_line() } else { id };
                order.packages.push(Package { package_id, ..line });
            }
        }
        if let Some(word) = change.status {
            order.status = match Status::by_word(&word) {
                Some(status @ (Status::Unshipped | Status::Saved)) => status,
                _ => return Err(Refusal::new(format!("status {word} needs a label"))),
            };
        }
        Ok(order)
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

    /// Orders of the account updated since `since_last_updated`, by default in the last 24 hours.
    fn recent(&self, ask: &Ask, since: &str) -> Result<Vec<&Order>, Refusal> {
        let since = match ask.param(since) {
            None => Timestamp(self.wire.now.0 - DAY_MS),
            Some(text) => parse_date(text)
                .ok_or_else(|| Refusal::new(format!("{since} parameter value is not valid")))?,
        };
        let mine = self
            .book
            .orders
            .values()
            .filter(|o| o.account == ask.account);
        Ok(mine.filter(|o| o.updated >= since && !o.archived).collect())
    }

    fn unshipped(&mut self, ask: &Ask) -> Answer {
        let found = match ask.param("since_order_date").and_then(parse_date) {
            Some(since) => {
                let mine = self
                    .book
                    .orders
                    .values()
                    .filter(|o| o.account == ask.account);
                mine.filter(|o| o.order_date >= since && !o.archived)
                    .collect()
            }
            None => self.recent(ask, "since_last_updated")?,
        };
        let found = found
            .into_iter()
            .filter(|o| !o.status.has_label())
            .collect();
        self.style_a(ask, found, Wire::order)
    }

    fn shipped(&mut self, ask: &Ask) -> Answer {
        let found = self.recent(ask, "since_last_updated")?;
        let found = found.into_iter().filter(|o| o.status.has_label()).collect();
        self.style_a(ask, found, Wire::shipped_line)
    }

    fn shipments(&mut self, ask: &Ask) -> Answer {
        let status = ask.param("status").unwrap_or_default().to_owned();
        let since = match ask.param("since_created_date") {
            None => Timestamp(self.wire.now.0 - DAY_MS),
            Some(text) => parse_date(text)
                .ok_or_else(|| Refusal::new("since_created_date parameter value is not valid"))?,
        };
        let mine = self
            .book
            .orders
            .values()
            .filter(|o| o.account == ask.account);
        let printed = mine.filter(|o| o.consignment().is_some_and(|c| c.at >= since));
        let found = match status.as_str() {
            "recently_printed" => printed.collect(),
            "unmanifested" => printed.filter(|o| o.manifest.is_none()).collect(),
            _ => return Err(Refusal::new("status parameter value is not valid")),
        };
        let mut reply = self.style_a(ask, found, Wire::shipment_line)?;
        reply.insert("status".into(), json!(status));
        Ok(reply)
    }

    /// `limit` (default 50, at most 250: more is taken as 250) and `page`.
    fn style_a(&self, ask: &Ask, found: Vec<&Order>, line: fn(&Wire, &Order) -> Value) -> Answer {
        let page = Page::new(ask, "page", "limit", 50, 250)?;
        let pages = json!(page.pages(found.len()));
        let found = page.of(&found);
        if ask
            .param("ids_only")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
        {
            let ids: Vec<i64> = found.iter().map(|o| o.id).collect();
            return Ok(members([("order_ids", json!(ids)), ("total_pages", pages)]));
        }
        let orders: Vec<Value> = found.iter().map(|o| line(&self.wire, o)).collect();
        Ok(members([("orders", json!(orders)), ("total_pages", pages)]))
    }

    fn search(&mut self, ask: &Ask) -> Answer {
        let phrase = ask.param("phrase").unwrap_or_default().to_lowercase();
        if phrase.is_empty() {
            return Err(Refusal::new("phrase parameter value is required"));
        }
        let contains =
            |text: Option<&str>| text.is_some_and(|t| t.to_lowercase().contains(&phrase));
        let by_number = |o: &Order| contains(Some(&o.number));
        let by_reference = |o: &Order| contains(o.reference.as_deref());
        let by_any = |o: &Order| {
            let numbers = o
                .consignment()
                .map(|c| c.tracking(self.wire.now))
                .unwrap_or_default();
            by_number(o)
                || by_reference(o)
                || contains(o.destination.name.as_deref())
                || numbers.iter().any(|n| contains(n.as_deref()))
        };
        let matches: &dyn Fn(&Order) -> bool = match ask
            .param("fields")
            .unwrap_or("All")
            .to_ascii_lowercase()
            .as_str()
        {
            "all" => &by_any,
            "order_number" => &by_number,
            "theirref" => &by_reference,
            _ => return Err(Refusal::new("fields parameter value is not valid")),
        };
        let status: fn(Status) -> bool = match ask
            .param("status")
            .unwrap_or("All")
            .to_ascii_lowercase()
            .as_str()
        {
            "all" => |_| true,
            "unshipped" => |s| !s.has_label(),
            "shipped" => Status::has_label,
            _ => return Err(Refusal::new("status parameter value is not valid")),
        };
        let hidden = self.wire.switches.archived == ArchivedVisible::No;
        let mine = self
            .book
            .orders
            .values()
            .filter(|o| o.account == ask.account);
        let found = mine.filter(|o| !(hidden && o.archived) && status(o.status) && matches(o));
        self.style_a(ask, found.rev().collect(), Wire::search_line)
    }

    fn summary(&mut self, ask: &Ask) -> Answer {
        let wanted = ask
            .param("order_status")
            .unwrap_or("new")
            .to_ascii_lowercase();
        let of = |o: &Order| match (o.archived, o.status) {
            (true, _) => "archived",
            (_, Status::Printed) => "printed",
            (_, Status::Shipped | Status::Delivered) => "shipped",
            _ => "new",
        };
        let mine: Vec<&Order> = self
            .book
            .orders
            .values()
            .filter(|o| o.account == ask.account)
            .collect();
        let count = |word: &str| mine.iter().filter(|o| of(o) == word).count();
        let counts = json!({
            "unprinted_count": count("new"),
            "printed_count": count("printed"),
            "shipped_count": count("shipped"),
            "archived_count": count("archived"),
            "archived_unshipped_count": 0,
            "archived_shipped_count": count("archived"),
            "unprinted_invalidaddress_count":
                mine.iter().filter(|o| of(o) == "new" && o.address_invalid).count(),
            "return_count": mine.iter().filter(|o| o.order_type == "Return").count(),
        });
        let found: Vec<&Order> = mine.iter().copied().filter(|o| of(o) == wanted).collect();
        let page = Page::new(ask, "page", "page_size", 500, 500)?;
        let lines: Vec<Value> = page
            .of(&found)
            .iter()
            .map(|o| self.wire.summary_line(o))
            .collect();
        Ok(members([
            ("orders", json!(lines)),
            ("order_counts", counts),
        ]))
    }

    fn track(&mut self, ask: &Ask) -> Answer {
        let now = self.wire.now;
        let order = if let Some(number) = ask.param("tracking_number") {
            self.book.orders.values().find(|o| {
                let told = o.consignments.iter().flat_map(|c| c.tracking(now));
                o.account == ask.account && told.flatten().any(|t| t == number)
            })
        } else {
            ask.param("order_number")
                .and_then(|number| self.by_number(&ask.account, number))
        };
        let order = order.ok_or_else(|| Refusal::new("Unable to find the tracking details"))?;
        Ok(members([("results", self.wire.track(order))]))
    }
}

/// A printed order: only its status may change, and not back.
fn relabel(mut order: Order, change: &Change) -> Result<Order, Refusal> {
    let refused = || Refusal::new("Only the status of a printed or shipped order can be updated");
    if change.is_manifested == Some(true) && order.manifest.is_none() {
        order.manifest = Some(0);
    }
    match change.status.as_deref().map(Status::by_word) {
        Some(Some(status)) if status.has_label() => {
            order.status = status;
            Ok(order)
        }
        None if change.is_manifested.is_some() => Ok(order),
        _ => Err(refused()),
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

fn check_address(to: &Address) -> Result<(), Refusal> {
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

fn length(field: &str, text: &str, max: usize) -> Result<(), Refusal> {
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

/// `Column:::value,Column:::value`.
fn filters(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let one = |part: &str| {
        let (column, value) = part
            .split_once(":::")
            .ok_or_else(|| Refusal::new("filter parameter value is not valid"))?;
        let column = column.trim().to_ascii_lowercase();
        match column.as_str() {
            "order" | "name" | "state" | "country" | "carrier" | "service" | "status" | "sku" => {
                Ok((column, value.trim().to_lowercase()))
            }
            _ => Err(Refusal::new(format!(
                "filter column {column} is not simulated"
            ))),
        }
    };
    text.split(',').map(one).collect()
}

fn fits(order: &Order, column: &str, value: &str) -> bool {
    let is = |text: Option<&str>| text.is_some_and(|t| t.to_lowercase().contains(value));
    match column {
        "order" => is(Some(&order.number)),
        "name" => is(order.destination.name.as_deref()),
        "state" => is(order.destination.state.as_deref()),
        "country" => is(order.destination.country.as_deref()),
        "carrier" => is(order.carrier.as_deref()),
        "service" => is(order.service.as_deref()),
        "status" => is(Some(order.status.word())),
        "sku" => order.items.iter().any(|i| is(i.sku.as_deref())),
        _ => false,
    }
}

struct Page {
    number: usize,
    size: usize,
}

impl Page {
    fn new(
        ask: &Ask,
        number: &str,
        size: &str,
        default: usize,
        max: usize,
    ) -> Result<Self, Refusal> {
        let read = |name: &str, default: usize| match ask.number(name)? {
            None => Ok(default),
            Some(n) => usize::try_from(n)
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| Refusal::new(format!("{name} parameter value is not valid"))),
        };
        Ok(Self {
            number: read(number, 1)?,
            size: read(size, default)?.min(max),
        })
    }

    fn of<'a, T>(&self, all: &'a [T]) -> &'a [T] {
        let from = (self.number - 1).saturating_mul(self.size).min(all.len());
        let to = from.saturating_add(self.size).min(all.len());
        &all[from..to]
    }

    fn pages(&self, total: usize) -> usize {
        total.div_ceil(self.size).max(1)
    }
}
