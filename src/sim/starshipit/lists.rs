//! The lists: unshipped, shipped, recently printed, search, summary, and tracking.

use crate::domain::Timestamp;
use crate::sim::starshipit::api::{Answer, Ask, Refusal, members};
use crate::sim::starshipit::model::{Order, Status};
use crate::sim::starshipit::orders::{Desk, parse_date};
use crate::sim::starshipit::switches::{ArchivedVisible, ListShape};
use crate::sim::starshipit::wire::Wire;
use serde_json::{Value, json};

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Desk<'_> {
    pub(super) fn list(&self, ask: &Ask) -> Answer {
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

    /// Orders of the account updated since `since_last_updated`, by default in the last 24 hours.
    pub(super) fn recent(&self, ask: &Ask, since: &str) -> Result<Vec<&Order>, Refusal> {
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

    pub(super) fn unshipped(&mut self, ask: &Ask) -> Answer {
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

    pub(super) fn shipped(&mut self, ask: &Ask) -> Answer {
        let found = self.recent(ask, "since_last_updated")?;
        let found = found.into_iter().filter(|o| o.status.has_label()).collect();
        self.style_a(ask, found, Wire::shipped_line)
    }

    pub(super) fn shipments(&mut self, ask: &Ask) -> Answer {
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
    pub(super) fn style_a(
        &self,
        ask: &Ask,
        found: Vec<&Order>,
        line: fn(&Wire, &Order) -> Value,
    ) -> Answer {
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

    pub(super) fn search(&mut self, ask: &Ask) -> Answer {
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

    pub(super) fn summary(&mut self, ask: &Ask) -> Answer {
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

    pub(super) fn track(&mut self, ask: &Ask) -> Answer {
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
