//! Consignments, documents, products, customers and warehouses.

use crate::sim::cartoncloud::api::{Answer, Ask, refuse, unfit};
use crate::sim::cartoncloud::book::{Book, Table, Write, text};
use crate::sim::cartoncloud::orders::{Desk, broken, merge};
use crate::sim::cartoncloud::page::page;
use crate::sim::cartoncloud::render::shown;
use crate::sim::cartoncloud::search::{CONSIGNMENTS, Condition, PRODUCTS};
use crate::sim::cartoncloud::switches::{ConsignmentPut, DocumentsPage, Warehouses};
use crate::sim::cartoncloud::world::reference;
use crate::sim::site::{Reply, hex};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Members of a consignment that a client cannot write.
const CONSIGNMENT_OWN: [&str; 5] = ["id", "type", "version", "generatedFromTask", "timestamps"];

impl Desk<'_> {
    fn consignment_row(&self, ask: &Ask) -> Result<Value, Reply> {
        let row = self.book.rows(Table::Consignments).get(ask.id()).cloned();
        row.ok_or_else(|| {
            let error = json!([{"message": "Consignment not found.", "code": 10100}]);
            Reply::json(404, &error)
        })
    }

    pub(crate) fn consignment_get(&self, ask: &Ask) -> Answer {
        let mut row = shown(&self.consignment_row(ask)?, &self.switches);
        if ask.prefer.contains("return=no-items")
            && let Value::Object(members) = &mut row
        {
            members.remove("items");
            return Ok(Reply::json(200, &row).with("preference-applied", "return=no-items"));
        }
        Ok(Reply::json(200, &row))
    }

    pub(crate) fn consignment_search(&self, ask: &Ask) -> Answer {
        self.search(Table::Consignments, ask, &CONSIGNMENTS)
    }

    fn search(
        &self,
        table: Table,
        ask: &Ask,
        fields: &crate::sim::cartoncloud::search::Fields,
    ) -> Answer {
        let condition = Condition::read(&ask.body, fields).map_err(|e| refuse(400, e))?;
        let rows = self.book.rows(table).all();
        let found: Vec<Value> = rows
            .filter(|row| condition.holds(row))
            .map(|row| match table {
                Table::Products => versioned(row, ask.version),
                _ => row.clone(),
            })
            .collect();
        let found: Vec<&Value> = found.iter().collect();
        page(&found, ask, self.hits, &self.switches, usize::MAX)
    }

    pub(crate) fn consignment_put(&mut self, ask: &Ask) -> Answer {
        self.bump(Table::Consignments, ask.id())?;
        let before = self.consignment_row(ask)?;
        self.check_version(&before, ask)?;
        let Value::Object(mut body) = ask.json()? else {
            return Err(refuse(400, "JSON parse error"));
        };
        if matches!(text(&before, "/status"), "CANCELLED" | "DELIVERED") {
            return Err(refuse(
                422,
                "A consignment in this status cannot be updated.",
            ));
        }
        for name in CONSIGNMENT_OWN {
            body.remove(name);
        }
        let mut after = match self.switches.consignment_put {
            ConsignmentPut::Merge => before.clone(),
            ConsignmentPut::Replace => {
                let kept = CONSIGNMENT_OWN
                    .iter()
                    .map(|n| ((*n).to_owned(), before[*n].clone()));
                let mut kept: serde_json::Map<String, Value> = kept.collect();
                kept.insert("status".into(), before["status"].clone());
                Value::Object(kept)
            }
        };
        merge(&mut after, Value::Object(body));
        for (member, pointer) in [
            ("/references/customer", "/references/customer"),
            ("/customer", "/customer/id"),
        ] {
            if text(&after, pointer).is_empty() {
                return Err(unfit(member, "Must not be empty."));
            }
        }
        if after.pointer("/customer/id") != before.pointer("/customer/id") {
            return Err(unfit("/customer", "The customer cannot be changed."));
        }
        self.touch(&mut after);
        let owner = text(&before, "/generatedFromTask/id");
        // The order may have been deleted since: the consignment still knows most of it.
        let order = self.book.orders().get(owner).cloned().unwrap_or_else(|| {
            json!({"id": owner, "references": before["references"], "customer": before["customer"]})
        });
        let write = self.write(
            "consignment-put",
            &order,
            &after,
            ask,
            &before,
            "/references/tracking",
        );
        let put = self
            .book
            .put(Table::Consignments, ask.id(), Some(after.clone()));
        self.book.commit(Some(write), put).map_err(broken)?;
        Ok(Reply::json(200, &shown(&after, &self.switches)))
    }

    pub(crate) fn document_create(&mut self, ask: &Ask) -> Answer {
        let body = ask.json()?;
        let mut ask = ask.clone();
        if ask.ids.is_empty() {
            if text(&body, "/owner/type") != "OUTBOUND" {
                return Err(unfit("/owner/type", "Unknown owner."));
            }
            ask.ids.push(text(&body, "/owner/id").to_owned());
        }
        let order = self.order(&ask)?;
        if text(&body, "/type") != "OUTBOUND_ORDER_INVOICE" {
            return Err(unfit("/type", "Unknown document type."));
        }
        let name = text(&body, "/content/name");
        if name.is_empty() || name.len() > 255 {
            return Err(unfit(
                "/content/name",
                "Must be between 1 and 255 characters.",
            ));
        }
        let data = text(&body, "/content/data");
        let bytes = STANDARD.decode(data).ok().filter(|b| !b.is_empty());
        let bytes = bytes.ok_or_else(|| unfit("/content/data", "Must be base64."))?;
        let (n, id) = self.book.new_row("document");
        let sha256 = hex(&Sha256::digest(&bytes));
        let row = json!({
            "id": id, "type": "OUTBOUND_ORDER_INVOICE",
            "owner": {"type": "OUTBOUND", "id": order["id"]},
            "content": {"name": name, "data": data},
            "$sha256": sha256, "$bytes": bytes.len(),
        });
        let write = Write {
            name: Some(name.to_owned()),
            sha256: Some(sha256),
            changes: Default::default(),
            ..self.write("document-create", &order, &row, &ask, &json!({}), "")
        };
        self.book
            .commit(Some(write), [Book::add(Table::Documents, n, row.clone())])
            .map_err(broken)?;
        let mut reply = shown(&row, &self.switches);
        without_data(&mut reply);
        Ok(Reply::json(201, &reply))
    }

    pub(crate) fn document_list(&mut self, ask: &Ask) -> Answer {
        let order = self.order(ask)?;
        let mut rows: Vec<Value> = self
            .book
            .documents_of(text(&order, "/id"))
            .cloned()
            .collect();
        rows.iter_mut().for_each(without_data);
        let rows: Vec<&Value> = rows.iter().collect();
        let most = match self.switches.documents_page {
            DocumentsPage::AsAsked => usize::MAX,
            DocumentsPage::Two => 2,
        };
        page(&rows, ask, self.hits, &self.switches, most)
    }

    fn document(&self, ask: &Ask) -> Result<&Value, Reply> {
        let document = ask.ids.get(1).map_or("", String::as_str);
        let row = self.book.rows(Table::Documents).get(document);
        row.filter(|d| text(d, "/owner/id") == ask.id())
            .ok_or_else(|| refuse(404, "Document not found."))
    }

    pub(crate) fn document_get(&self, ask: &Ask) -> Answer {
        Ok(Reply::json(
            200,
            &shown(self.document(ask)?, &self.switches),
        ))
    }

    pub(crate) fn document_download(&self, ask: &Ask) -> Answer {
        let row = self.document(ask)?;
        let bytes = STANDARD
            .decode(text(row, "/content/data"))
            .unwrap_or_default();
        let kind = match text(row, "/content/name").rsplit('.').next() {
            Some("pdf") => "application/pdf",
            Some("png") => "image/png",
            _ => "application/octet-stream",
        };
        Ok(Reply::bytes(200, kind, bytes))
    }

    pub(crate) fn product_get(&self, ask: &Ask) -> Answer {
        let row = self.book.rows(Table::Products).get(ask.id());
        let row = row.ok_or_else(|| refuse(404, "Invalid product id"))?;
        Ok(Reply::json(
            200,
            &shown(&versioned(row, ask.version), &self.switches),
        ))
    }

    pub(crate) fn product_search(&self, ask: &Ask) -> Answer {
        self.search(Table::Products, ask, &PRODUCTS)
    }

    pub(crate) fn customers(&self, ask: &Ask) -> Answer {
        let customers = self.book.world.customers.iter();
        if let Some(id) = ask.ids.first() {
            let found = self.book.world.customers.iter().find(|c| c.id == *id);
            let found = found.ok_or_else(|| refuse(404, "Customer not found."))?;
            return Ok(Reply::json(200, &reference(found)));
        }
        let all: Vec<Value> = customers.map(reference).collect();
        let all: Vec<&Value> = all.iter().collect();
        page(&all, ask, self.hits, &self.switches, usize::MAX)
    }

    pub(crate) fn warehouses(&self, ask: &Ask) -> Answer {
        if self.switches.warehouses == Warehouses::Absent {
            return Err(refuse(404, "Not found"));
        }
        let all: Vec<Value> = self.book.world.warehouses.iter().map(reference).collect();
        let all: Vec<&Value> = all.iter().collect();
        page(&all, ask, self.hits, &self.switches, usize::MAX)
    }
}

fn without_data(row: &mut Value) {
    if let Some(content) = row.get_mut("content").and_then(Value::as_object_mut) {
        content.remove("data");
    }
}

/// Sizes appear from version 8 on, customs data from 7 on.
fn versioned(product: &Value, version: u32) -> Value {
    let mut product = product.clone();
    if version < 8
        && let Some(units) = product["unitOfMeasures"].as_object_mut()
    {
        for unit in units.values_mut().filter_map(Value::as_object_mut) {
            for name in ["length", "width", "height"] {
                unit.remove(name);
            }
        }
    }
    if version < 7
        && let Some(details) = product["details"].as_object_mut()
    {
        details.remove("harmonizedSystemCode");
        details.remove("countryOfOrigin");
    }
    product
}
