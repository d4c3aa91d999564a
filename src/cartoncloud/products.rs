//! Warehouse products: what one unit weighs. Read under version 8, many at once, and kept a while.

use crate::cartoncloud::search::{and, is_uuid, or, text_is};
use crate::cartoncloud::send::{Ask, Fault, PAGE, part};
use crate::cartoncloud::{CartonCloud, Priority};
use crate::domain::CallFailure;
use crate::domain::loose::{positive, text};
use crate::domain::push::{Product, Products, Unit};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long a weight is believed.
const FRESH: Duration = Duration::from_secs(15 * 60);
/// Products kept at most.
const KEPT: usize = 2_000;
/// Units of a product that are read at most.
const UNITS: usize = 50;
/// What reading products needs.
pub(super) const PRODUCTS_ROLE: &str = "WMS Edit Product";

/// Products that were read.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<String, (Instant, Product)>>);

impl Cache {
    fn get(&self, id: &str) -> Option<Product> {
        let kept = self.lock();
        let (at, product) = kept.get(id)?;
        (at.elapsed() < FRESH).then(|| product.clone())
    }

    /// Keeps a product, unless a weight is missing: as soon as somebody enters it, it must count.
    fn put(&self, id: &str, product: &Product) {
        let is_whole = !product.units.is_empty()
            && product
                .units
                .keys()
                .all(|unit| product.weight_kg(Some(unit)).is_some());
        let mut kept = self.lock();
        if !is_whole {
            kept.remove(id);
            return;
        }
        if kept.len() >= KEPT {
            kept.retain(|_, (at, _)| at.elapsed() < FRESH);
            if kept.len() >= KEPT {
                kept.clear();
            }
        }
        kept.insert(id.to_owned(), (Instant::now(), product.clone()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Instant, Product)>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The products of an order's lines, by id.
pub(super) fn product_ids(order: &Value) -> BTreeSet<String> {
    crate::domain::loose::list(order, &["items"])
        .iter()
        .filter_map(|line| text(line, &["details", "product", "id"]))
        .map(|id| id.to_ascii_lowercase())
        .filter(|id| is_uuid(id))
        .collect()
}

impl CartonCloud {
    /// The products of a sale order's lines, as far as CartonCloud knows them.
    ///
    /// # Errors
    /// As [`CallFailure`].
    pub async fn products(
        &self,
        order: &crate::domain::SaleOrder,
        priority: Priority,
    ) -> Result<Products, CallFailure> {
        let mut found = Products::new();
        let mut missing = Vec::new();
        for id in product_ids(&order.raw) {
            match self.inner.products.get(&id) {
                Some(product) => {
                    found.insert(id, product);
                }
                None => missing.push(id),
            }
        }
        // One search instead of as many calls as there are lines.
        if missing.len() > 1 && !self.inner.refuses.product_search.is() {
            for ids in missing.chunks(PAGE) {
                self.search_products(ids, &mut found, priority).await?;
            }
            missing.retain(|id| !found.contains_key(id));
        }
        for id in missing {
            if let Some(product) = self.product(&id, priority).await? {
                found.insert(id, product);
            }
        }
        for (id, product) in &found {
            self.inner.products.put(id, product);
        }
        Ok(found)
    }

    async fn search_products(
        &self,
        ids: &[String],
        found: &mut Products,
        priority: Priority,
    ) -> Result<(), Fault> {
        let leaves = ids.iter().map(|id| text_is("/id", "EQUAL_TO", id));
        let body = json!({ "condition": and(vec![or(leaves.collect())]) });
        let path = "/warehouse-products/search";
        let mut ask = Ask::search(path, &body, 1, PRODUCTS_ROLE, priority);
        ask.version = "8";
        let reply = self.ask(&ask).await?;
        if matches!(reply.head.status, 400 | 404 | 405 | 406 | 422) {
            self.inner.refuses.product_search.set();
            return Ok(());
        }
        let body = reply.done(self)?;
        for element in body.as_array().map_or(&[][..], Vec::as_slice) {
            if let Some(id) = text(element, &["id"]).map(|id| id.to_ascii_lowercase())
                && ids.contains(&id)
                // An answer without units is a short form: then it is read by itself.
                && element.get("unitOfMeasures").is_some()
            {
                found.insert(id, product(element));
            }
        }
        Ok(())
    }

    async fn product(&self, id: &str, priority: Priority) -> Result<Option<Product>, Fault> {
        let path = format!("/warehouse-products/{}", part(id));
        let mut ask = Ask::get(path, PRODUCTS_ROLE, priority);
        ask.version = "8";
        let reply = self.ask(&ask).await?;
        if reply.is_gone() {
            return Ok(None);
        }
        Ok(Some(product(&reply.done(self)?)))
    }
}

fn product(raw: &Value) -> Product {
    let units = raw.get("unitOfMeasures").and_then(Value::as_object);
    Product {
        units: units
            .into_iter()
            .flatten()
            .take(UNITS)
            .map(|(code, unit)| {
                let of = |name| positive(unit, &[name]).unwrap_or(0.0);
                let unit = Unit {
                    base_qty: of("baseQty"),
                    weight_kg: of("weight"),
                };
                (code.clone(), unit)
            })
            .collect(),
        default_unit: text(raw, &["defaultUnitOfMeasure"]),
    }
}
