//! From a CartonCloud sale order to a new Starshipit order, or the reason why not.
//!
//! Pure: products and packages were read before. Everything that Starshipit would refuse (its field
//! limits, a zero weight, an incomplete address) is refused here, before anything is sent, with the
//! field named. Kilograms and metres on both sides. Sources: CartonCloud's `outbound-orders` and
//! `warehouse-products` (v8), Starshipit's "create order" (fields and their longest lengths).

use crate::domain::loose::{list, member, named, number, positive, text};
use crate::domain::{Code, Parcel, SaleOrder};
use serde_json::Value;
use std::collections::BTreeMap;

mod address;
mod fields;

pub use address::Destination;
pub use fields::{UnknownField, WRITABLE, check_fields};

/// A unit of measure of a product.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Unit {
    /// Base units in one of this; zero: not known.
    pub base_qty: f64,
    /// Kilograms of one of this; zero: not known.
    pub weight_kg: f64,
}

/// What of a warehouse product a weight needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Product {
    /// By code (`UNIT`, `CTN`).
    pub units: BTreeMap<String, Unit>,
    /// Code of the unit that is meant where an order names none.
    pub default_unit: Option<String>,
}

impl Product {
    /// Kilograms of one `unit`: its own weight, else the base unit's × base units in it.
    pub fn weight_kg(&self, unit: Option<&str>) -> Option<f64> {
        let code = unit.or(self.default_unit.as_deref());
        let unit = match code {
            Some(code) => self
                .units
                .iter()
                .find(|(own, _)| own.eq_ignore_ascii_case(code))
                .map(|(_, unit)| unit)?,
            // Named nowhere: only where there is no choice.
            None if self.units.len() == 1 => self.units.values().next()?,
            None => return None,
        };
        let known = |kg: f64| (kg.is_finite() && kg > 0.0).then_some(kg);
        known(unit.weight_kg).or_else(|| {
            let base = self
                .units
                .values()
                .filter(|u| (u.base_qty - 1.0).abs() < 1e-9)
                .find_map(|u| known(u.weight_kg))?;
            known(base * unit.base_qty)
        })
    }
}

/// Products by CartonCloud's id, as far as they could be read.
pub type Products = BTreeMap<String, Product>;

/// What a route says about its orders in Starshipit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Order number, filled ([`SaleOrder::fill`]).
    pub number: String,
    /// Reference, filled.
    pub reference: Option<String>,
    /// Starshipit field ← path in the order ([`check_fields`]).
    pub fields: BTreeMap<String, String>,
    /// Kilograms of the whole order as a person or a preset gave them: used where products and
    /// packages know no weight.
    pub weight_kg: Option<f64>,
}

/// One line of a new order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewItem {
    /// Product code.
    pub sku: Option<String>,
    /// Product name.
    pub description: Option<String>,
    /// How many.
    pub quantity: f64,
    /// Kilograms of one; `None` where only the packages' weights are known.
    pub weight_kg: Option<f64>,
    /// Price of one, in the order's currency.
    pub value: Option<f64>,
}

/// An order as Starshipit takes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewOrder {
    /// Order number, at most 50 characters.
    pub number: String,
    /// Reference, at most 50 characters.
    pub reference: Option<String>,
    /// When the sale order was made, as CartonCloud writes it (RFC 3339 with its offset).
    pub order_date: Option<String>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Value of the goods in that currency: the sum of the items' values.
    pub declared_value: Option<f64>,
    /// Where it goes.
    pub destination: Destination,
    /// Lines.
    pub items: Vec<NewItem>,
    /// Parcels, at least one, each with a weight.
    pub parcels: Vec<Parcel>,
    /// Further fields by their Starshipit path (`shipping_method`, `sender_details.name`,
    /// `metadatas.KEY`), from the field map.
    pub fields: BTreeMap<String, String>,
    /// What was shortened or left out, for the log and the page. No personal data.
    pub notes: Vec<String>,
}

impl NewOrder {
    /// Sum of the parcels, in kilograms.
    pub fn weight_kg(&self) -> f64 {
        self.parcels.iter().map(|p| p.weight_kg).sum()
    }
}

/// Why an order cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the packer.
    pub code: Code,
    /// What exactly; no personal data.
    pub detail: String,
}

impl Refusal {
    fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

/// Longest order number and reference.
const MAX_NUMBER: usize = 50;
/// Longest product code.
const MAX_SKU: usize = 50;
/// Starshipit gives no bound for descriptions; labels and customs forms show far less.
const MAX_DESCRIPTION: usize = 200;
/// More lines than this are no parcel.
const MAX_ITEMS: usize = 1_000;
/// More parcels than this are no order for a label printer.
const MAX_PARCELS: usize = 200;
/// Heavier is a mistake in the data, in kilograms.
const MAX_WEIGHT: f64 = 100_000.0;

/// Makes the Starshipit order of a sale order.
///
/// `packages` are the parcels of its Warehouse Fulfilment; empty where there is none: then it is one
/// parcel of the summed weight.
///
/// # Errors
/// Why Starshipit must not be asked.
pub fn new_order(
    sale: &SaleOrder,
    products: &Products,
    packages: &[Parcel],
    rules: &Rules,
) -> Result<NewOrder, Refusal> {
    if sale.pickup {
        return Err(Refusal::new(
            Code::NotPushed,
            "it is picked up (PICKUP): nothing is shipped",
        ));
    }
    let mut notes = Vec::new();
    let number = within("order_number", rules.number.trim(), MAX_NUMBER)?;
    if number.is_empty() {
        return Err(Refusal::new(Code::NotPushed, "it has no order number"));
    }
    let reference = rules.reference.as_deref().map(str::trim);
    let reference = match reference.filter(|r| !r.is_empty()) {
        Some(reference) => Some(within("reference", reference, MAX_NUMBER)?),
        None => None,
    };
    let fields = fields::mapped(sale, &rules.fields)?;
    let destination = address::destination(&sale.raw, &fields, &mut notes)?;
    let (mut items, unweighed) = items(&sale.raw, products, &mut notes)?;
    let parcels = parcels(packages, &items, unweighed.as_deref(), rules.weight_kg)?;
    let invoice = positive(&sale.raw, &["details", "invoiceValue", "amount"]);
    value(&mut items, invoice);
    let priced = items.iter().any(|i| i.value.is_some());
    Ok(NewOrder {
        number,
        reference,
        order_date: text(&sale.raw, &["timestamps", "created", "time"]),
        currency: currency(&sale.raw),
        declared_value: priced.then(|| {
            items
                .iter()
                .map(|i| i.value.unwrap_or(0.0) * i.quantity)
                .sum()
        }),
        destination,
        items,
        parcels,
        fields: fields
            .into_iter()
            .filter(|(field, _)| !field.starts_with("destination."))
            .collect(),
        notes,
    })
}

/// The lines, and the first that has no weight.
fn items(
    raw: &Value,
    products: &Products,
    notes: &mut Vec<String>,
) -> Result<(Vec<NewItem>, Option<String>), Refusal> {
    let lines = list(raw, &["items"]);
    if lines.len() > MAX_ITEMS {
        let detail = format!("it has {} lines, more than {MAX_ITEMS}", lines.len());
        return Err(Refusal::new(Code::NotPushed, detail));
    }
    let mut items = Vec::new();
    let mut unweighed = None;
    for line in lines {
        // Nothing of it is in the parcel.
        let Some(quantity) = positive(line, &["measures", "quantity"]) else {
            continue;
        };
        let product = member(line, &["details", "product"]).unwrap_or(&Value::Null);
        let unit = named(
            line,
            &["details", "unitOfMeasure"],
            &["type", "code", "name"],
        );
        let weight_kg = text(product, &["id"])
            .and_then(|id| products.get(&id.to_ascii_lowercase()))
            .and_then(|p| p.weight_kg(unit.as_deref()));
        let sku = text(product, &["references", "code"]);
        let description = text(product, &["name"]);
        if weight_kg.is_none() && unweighed.is_none() {
            let what = sku.as_ref().or(description.as_ref());
            unweighed = Some(clip(what.map_or("?", String::as_str), MAX_SKU).0);
        }
        items.push(NewItem {
            sku: sku.map(|sku| shorten("sku", &sku, MAX_SKU, notes)),
            description: description.map(|d| shorten("description", &d, MAX_DESCRIPTION, notes)),
            quantity,
            weight_kg,
            value: number(line, &["details", "approximateUnitPrice", "amount"])
                .filter(|v| *v >= 0.0),
        });
    }
    Ok((items, unweighed))
}

/// The parcels, every one with a weight.
fn parcels(
    packages: &[Parcel],
    items: &[NewItem],
    unweighed: Option<&str>,
    given_kg: Option<f64>,
) -> Result<Vec<Parcel>, Refusal> {
    let missing = |detail: String| Refusal::new(Code::WeightMissing, detail);
    if packages.len() > MAX_PARCELS {
        let detail = format!("it has {} packages", packages.len());
        return Err(Refusal::new(Code::NotPushed, detail));
    }
    let is_known = |kg: f64| kg.is_finite() && kg > 0.0;
    // What the lines weigh together, or why that is not known.
    let summed = || match (items.is_empty(), unweighed) {
        (true, _) => Err(missing("it has no lines with a quantity".to_owned())),
        (_, Some(sku)) => Err(missing(format!("{sku} has no weight in CartonCloud"))),
        _ => Ok(items
            .iter()
            .map(|i| i.quantity * i.weight_kg.unwrap_or(0.0))
            .sum::<f64>()),
    };
    let given = given_kg.filter(|kg| is_known(*kg));
    let whole = || given.map_or_else(summed, Ok);
    let parcels = match packages {
        [] => vec![Parcel {
            weight_kg: whole()?,
            ..Parcel::default()
        }],
        [one] if !is_known(one.weight_kg) => vec![Parcel {
            weight_kg: whole()?,
            ..one.clone()
        }],
        several => {
            if let Some(at) = several.iter().position(|p| !is_known(p.weight_kg)) {
                let (n, of) = (at + 1, several.len());
                return Err(missing(format!("package {n} of {of} has no weight")));
            }
            several.to_vec()
        }
    };
    let sum: f64 = parcels.iter().map(|p| p.weight_kg).sum();
    if !is_known(sum) || sum > MAX_WEIGHT {
        return Err(missing(format!("{sum} kg is no weight")));
    }
    Ok(parcels)
}

/// Lines without prices share the invoice's value evenly, so that its sum is what is declared.
fn value(items: &mut [NewItem], invoice: Option<f64>) {
    let Some(invoice) = invoice else { return };
    if items.iter().any(|i| i.value.is_some()) {
        return;
    }
    let pieces: f64 = items.iter().map(|i| i.quantity).sum();
    let each = invoice / pieces;
    if each.is_finite() {
        for item in items {
            item.value = Some(each);
        }
    }
}

fn currency(raw: &Value) -> Option<String> {
    let of_lines = list(raw, &["items"])
        .iter()
        .find_map(|line| text(line, &["details", "approximateUnitPrice", "currency"]));
    text(raw, &["details", "invoiceValue", "currency"])
        .or(of_lines)
        .filter(|c| c.len() == 3 && c.bytes().all(|b| b.is_ascii_alphabetic()))
        .map(|c| c.to_ascii_uppercase())
}

/// Length as .NET counts it.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A text that must not be cut: an error where it is too long.
fn within(field: &str, text: &str, max: usize) -> Result<String, Refusal> {
    let tidy = tidy(text);
    if units(&tidy) > max {
        let detail = format!(
            "{field} has {} characters, Starshipit takes {max}",
            units(&tidy)
        );
        return Err(Refusal::new(code_of(field), detail));
    }
    Ok(tidy)
}

/// What a field that is too long keeps from happening.
fn code_of(field: &str) -> Code {
    if field.starts_with("destination.") {
        Code::AddressRefused
    } else {
        Code::NotPushed
    }
}

/// Line breaks and other control characters become single blanks.
fn tidy(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    words.join(" ")
}

/// At most `max` characters, cut at the last word that fits; true when something was cut.
fn clip(text: &str, max: usize) -> (String, bool) {
    let text = tidy(text);
    if units(&text) <= max {
        return (text, false);
    }
    let mut end = 0;
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        if taken + c.len_utf16() > max {
            break;
        }
        taken += c.len_utf16();
        end = at + c.len_utf8();
    }
    let cut = &text[..end];
    // A word that is most of the text is cut itself.
    let at_word = cut.rfind(' ').filter(|at| *at * 2 > end).unwrap_or(end);
    (cut[..at_word].trim_end().to_owned(), true)
}

/// [`clip`], noting what was cut.
fn shorten(field: &str, text: &str, max: usize, notes: &mut Vec<String>) -> String {
    let (text, is_cut) = clip(text, max);
    let note = format!("{field} was cut to {max} characters");
    if is_cut && !notes.contains(&note) {
        notes.push(note);
    }
    text
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
