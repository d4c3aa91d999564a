//! The delivery address: CartonCloud's two lines, suburb or city, state as text or object → the
//! one street line, suburb and city of Starshipit.

use super::{Refusal, shorten, tidy, units, within};
use crate::domain::Code;
use crate::domain::loose::{member, named, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where an order goes. Every text is within Starshipit's limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "Starshipit's own field names")]
pub struct Destination {
    pub name: String,
    pub company: Option<String>,
    pub phone: Option<String>,
    pub email: Option<String>,
    pub building: Option<String>,
    pub street: String,
    pub suburb: String,
    pub city: Option<String>,
    pub state: Option<String>,
    pub post_code: Option<String>,
    pub country: String,
    pub delivery_instructions: Option<String>,
    pub tax_number: Option<String>,
}

/// Longest of most address fields.
const MAX: usize = 100;
const MAX_POST_CODE: usize = 10;

fn refused(detail: String) -> Refusal {
    Refusal {
        code: Code::AddressRefused,
        detail,
    }
}

fn missing(field: &str) -> Refusal {
    refused(format!("destination.{field} is missing"))
}

/// `mapped` fields stand instead of the order's own.
pub(super) fn destination(
    raw: &Value,
    mapped: &BTreeMap<String, String>,
    notes: &mut Vec<String>,
) -> Result<Destination, Refusal> {
    let address = member(raw, &["details", "deliver", "address"]).unwrap_or(&Value::Null);
    let own = |name: &str| text(address, &[name]).map(|t| tidy(&t));
    let map = |field: &str| mapped.get(&format!("destination.{field}")).cloned();

    let (contact, company) = (own("contactName"), own("companyName"));
    let name = map("name")
        .or_else(|| contact.clone().or_else(|| company.clone()))
        .ok_or_else(|| missing("name"))?;
    let company = map("company").or(company);
    let (street, building) = match (map("street"), map("building")) {
        (Some(street), building) => (street, building),
        (None, Some(building)) => (one_line(own("address1"), own("address2"))?, Some(building)),
        (None, None) => street(own("address1"), own("address2"))?,
    };
    let (suburb, city) = (
        map("suburb").or_else(|| own("suburb")),
        map("city").or_else(|| own("city")),
    );
    // Sometimes there is only the one, sometimes only the other.
    let place = suburb.clone().or_else(|| city.clone());
    let place = place.ok_or_else(|| missing("suburb"))?;
    let city = city.or(suburb);
    let state = map("state").or_else(|| named(address, &["state"], &["code", "name"]));
    let country = map("country")
        .or_else(|| named(address, &["country"], &["name", "iso2Code", "iso3Code"]))
        .filter(|c| units(c) >= 2)
        .ok_or_else(|| missing("country"))?;
    let instructions = map("delivery_instructions")
        .or_else(|| text(raw, &["details", "deliver", "instructions"]).map(|t| tidy(&t)));

    // Half a phone number or address reaches nobody: left out rather than cut.
    let mut whole = |field: &str, value: Option<String>| {
        let value = value?;
        let fits = units(&value) <= MAX;
        if !fits {
            notes.push(format!(
                "{field} was left out: longer than {MAX} characters"
            ));
        }
        fits.then_some(value)
    };
    let phone = whole("phone", map("phone").or_else(|| own("phone")));
    let email = whole("email", map("email").or_else(|| own("email")));
    let post_code = map("post_code").or_else(|| own("postcode"));
    Ok(Destination {
        name: shorten("name", &name, MAX, notes),
        company: company.map(|c| shorten("company", &c, MAX, notes)),
        phone,
        email,
        building,
        street,
        suburb: within("destination.suburb", &place, MAX)?,
        city: city
            .map(|c| within("destination.city", &c, MAX))
            .transpose()?,
        state: state
            .map(|s| within("destination.state", &s, MAX))
            .transpose()?,
        post_code: post_code
            .map(|p| within("destination.post_code", &p, MAX_POST_CODE))
            .transpose()?,
        country: within("destination.country", &country, MAX)?,
        delivery_instructions: instructions
            .map(|i| shorten("delivery_instructions", &i, MAX, notes)),
        tax_number: map("tax_number"),
    })
}

/// Both lines as one, where the second has no place of its own.
fn one_line(first: Option<String>, second: Option<String>) -> Result<String, Refusal> {
    let line = match (first, second) {
        (Some(first), Some(second)) => format!("{first}, {second}"),
        (Some(line), None) | (None, Some(line)) => line,
        (None, None) => return Err(missing("street")),
    };
    within("destination.street", &line, MAX)
}

/// Street and building: one line while it fits, else the second line is the building, else the
/// first is split at a comma. Never cut: a parcel with half an address comes back.
fn street(
    first: Option<String>,
    second: Option<String>,
) -> Result<(String, Option<String>), Refusal> {
    if let Ok(line) = one_line(first.clone(), second.clone()) {
        return Ok((line, None));
    }
    let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
    let fits = |text: &str| !text.is_empty() && units(text) <= MAX;
    if fits(&first) && fits(&second) {
        return Ok((first, Some(second)));
    }
    let whole = if second.is_empty() {
        first
    } else {
        format!("{first}, {second}")
    };
    if whole.is_empty() {
        return Err(missing("street"));
    }
    // "Level 3, Tower 2, 440 Church Street": what stands before is the building.
    let split = whole.match_indices(',').find_map(|(at, _)| {
        let (head, tail) = (whole[..at].trim(), whole[at + 1..].trim());
        (fits(head) && fits(tail)).then(|| (tail.to_owned(), Some(head.to_owned())))
    });
    split.ok_or_else(|| {
        refused(format!(
            "destination.street has {} characters, Starshipit takes {MAX}",
            units(&whole)
        ))
    })
}
