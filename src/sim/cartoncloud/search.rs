//! The search grammar of section 5.1: groups, leaves, and the pointers that a resource knows.

use serde_json::Value;
use std::cmp::Ordering;

/// What can be searched in a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    /// JsonField pointers, and where the row has them when that is elsewhere.
    pub(crate) pointers: &'static [(&'static str, &'static str)],
    /// Deprecated ValueField names.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// `/status` works.
    pub(crate) status: bool,
    /// Pointers that nobody documents work too.
    pub(crate) guessed: bool,
}

pub(crate) const ORDERS: Fields = Fields {
    pointers: &[
        ("/references/customer", ""),
        ("/customer/name", ""),
        ("/customer/id", ""),
        ("/timestamps/created/time", ""),
        ("/timestamps/modified/time", ""),
        ("/timestamps/packed/time", ""),
        ("/timestamps/dispatched/time", ""),
    ],
    names: &[
        ("reference", "/references/customer"),
        ("customerName", "/customer/name"),
        ("customerId", "/customer/id"),
    ],
    status: true,
    guessed: true,
};

const GUESSED: [&str; 4] = [
    "/references/numericId",
    "/details/collect/requiredDate",
    "/warehouse/id",
    "/warehouse/name",
];

pub(crate) const CONSIGNMENTS: Fields = Fields {
    pointers: &[("/generatedFromTask/id", ""), ("/details/type", "")],
    names: &[
        ("reference", "/references/customer"),
        ("customerName", "/customer/name"),
        ("customerId", "/customer/id"),
    ],
    status: false,
    guessed: false,
};

pub(crate) const PRODUCTS: Fields = Fields {
    pointers: &[
        ("/id", ""),
        ("/code", "/references/code"),
        ("/name", ""),
        ("/customer/id", ""),
        ("/customer/name", ""),
        ("/details/active", ""),
        ("/timestamps/created/time", ""),
        ("/timestamps/modified/time", ""),
    ],
    names: &[],
    status: false,
    guessed: false,
};

impl Fields {
    fn pointer(&self, field: &Value) -> Result<String, String> {
        let kind = word(field, "type").ok_or("Missing field: type, from search field.")?;
        match kind {
            "JsonField" => {
                let pointer =
                    word(field, "pointer").ok_or("Missing field: pointer, from search field.")?;
                let listed = self.pointers.iter().find(|(name, _)| *name == pointer);
                if let Some((name, place)) = listed {
                    return Ok((if place.is_empty() { *name } else { *place }).to_owned());
                }
                let guessed = GUESSED.contains(&pointer) || pointer.starts_with("/properties/");
                if (self.status && pointer == "/status") || (self.guessed && guessed) {
                    return Ok(pointer.to_owned());
                }
                Err(format!("Unknown field: {pointer}, in search condition."))
            }
            "ValueField" => {
                let name =
                    word(field, "value").ok_or("Missing field: value, from search field.")?;
                let known = self.names.iter().find(|(n, _)| *n == name);
                known
                    .map(|(_, pointer)| (*pointer).to_owned())
                    .ok_or_else(|| format!("Unknown field: {name}, in search condition."))
            }
            other => Err(format!("Unknown field type: {other}, in search condition.")),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Equal,
    NotEqual,
    Contains,
    DoesNotContain,
    StartsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Method {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "EQUAL_TO" => Self::Equal,
            "NOT_EQUAL_TO" => Self::NotEqual,
            "CONTAINS" => Self::Contains,
            "DOES_NOT_CONTAIN" => Self::DoesNotContain,
            "STARTS_WITH" => Self::StartsWith,
            "GREATER_THAN" => Self::Greater,
            "GREATER_THAN_OR_EQUAL_TO" => Self::GreaterOrEqual,
            "LESS_THAN" => Self::Less,
            "LESS_THAN_OR_EQUAL_TO" => Self::LessOrEqual,
            _ => return None,
        })
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Contains | Self::DoesNotContain | Self::StartsWith => false,
        }
    }

    fn for_text_alone(self) -> bool {
        matches!(
            self,
            Self::Contains | Self::DoesNotContain | Self::StartsWith
        )
    }
}

#[derive(Clone, Debug)]
enum Wanted {
    Text(String),
    Number(f64),
    Bool(bool),
    Date(jiff::civil::Date),
    Instant(jiff::Timestamp),
}

/// A condition that was understood.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Leaf(Leaf),
}

#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pointer: String,
    method: Method,
    wanted: Wanted,
}

impl Condition {
    /// Reads the body of a search; the top is a group.
    pub(crate) fn read(body: &[u8], fields: &Fields) -> Result<Self, String> {
        let body: Value =
            serde_json::from_slice(body).map_err(|_| "JSON parse error".to_owned())?;
        let top = body
            .get("condition")
            .ok_or("Missing field: condition, from search.")?;
        match word(top, "type") {
            None => Err("Missing field: type, from search condition.".into()),
            Some("AndCondition" | "OrCondition") => Self::group(top, fields),
            Some(_) => {
                Err("The search condition must be an AndCondition or an OrCondition.".into())
            }
        }
    }

    fn group(value: &Value, fields: &Fields) -> Result<Self, String> {
        let all = match word(value, "type") {
            None => return Err("Missing field: type, from search condition.".into()),
            Some("AndCondition") => true,
            Some("OrCondition") => false,
            Some(_) => return Leaf::read(value, fields).map(Self::Leaf),
        };
        let conditions = value
            .get("conditions")
            .and_then(Value::as_array)
            .ok_or("Missing field: conditions, from search condition.")?;
        let conditions: Result<Vec<Self>, String> =
            conditions.iter().map(|c| Self::group(c, fields)).collect();
        Ok(if all {
            Self::All(conditions?)
        } else {
            Self::Any(conditions?)
        })
    }

    pub(crate) fn holds(&self, row: &Value) -> bool {
        match self {
            Self::All(all) => all.iter().all(|c| c.holds(row)),
            Self::Any(any) => any.iter().any(|c| c.holds(row)),
            Self::Leaf(leaf) => leaf.holds(row),
        }
    }
}

impl Leaf {
    fn read(value: &Value, fields: &Fields) -> Result<Self, String> {
        let kind = word(value, "type").ok_or("Missing field: type, from search condition.")?;
        let field = value
            .get("field")
            .ok_or("Missing field: field, from search condition.")?;
        let pointer = fields.pointer(field)?;
        let given = value
            .get("value")
            .ok_or("Missing field: value, from search condition.")?;
        if word(given, "type") != Some("ValueField") {
            return Err("Missing field: type, from search value.".into());
        }
        let given = given
            .get("value")
            .ok_or("Missing field: value, from search value.")?;
        let wrong = || format!("Invalid value: {given}, for {kind}.");
        let text = || given.as_str().ok_or_else(wrong);
        let wanted = match kind {
            "TextComparisonCondition" => Wanted::Text(text()?.to_owned()),
            "NumericComparisonCondition" => Wanted::Number(number(given).ok_or_else(wrong)?),
            "BooleanComparisonCondition" => {
                let told = given.as_bool();
                let told = told.or_else(|| given.as_str().and_then(|t| t.parse().ok()));
                Wanted::Bool(told.ok_or_else(wrong)?)
            }
            "DateComparisonCondition" => Wanted::Date(
                date(text()?)
                    .filter(|_| text().is_ok_and(|t| t.len() == 10))
                    .ok_or_else(wrong)?,
            ),
            "DateTimeComparisonCondition" => Wanted::Instant(text()?.parse().map_err(|_| wrong())?),
            other => return Err(format!("Unknown type: {other}, in search condition.")),
        };
        let method = match word(value, "method") {
            Some(word) => Method::read(word),
            None if matches!(wanted, Wanted::Bool(_)) => Some(Method::Equal),
            None => return Err("Missing field: method, from search condition.".into()),
        };
        let method = method.filter(|m| match wanted {
            // Comparisons of text are not listed, but an integrator runs on one (section 5.1).
            Wanted::Text(_) => true,
            Wanted::Bool(_) => matches!(m, Method::Equal | Method::NotEqual),
            _ => !m.for_text_alone(),
        });
        let method = method.ok_or_else(|| format!("Unknown method, for {kind}."))?;
        Ok(Self {
            pointer,
            method,
            wanted,
        })
    }

    fn holds(&self, row: &Value) -> bool {
        let Some(there) = row.pointer(&self.pointer).filter(|v| !v.is_null()) else {
            return matches!(self.method, Method::NotEqual | Method::DoesNotContain);
        };
        let ordering = match &self.wanted {
            Wanted::Text(wanted) => {
                let there = match there {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                match self.method {
                    Method::Contains => return there.contains(wanted.as_str()),
                    Method::DoesNotContain => return !there.contains(wanted.as_str()),
                    Method::StartsWith => return there.starts_with(wanted.as_str()),
                    _ => Some(there.as_str().cmp(wanted)),
                }
            }
            Wanted::Number(wanted) => number(there).and_then(|n| n.partial_cmp(wanted)),
            Wanted::Bool(wanted) => there.as_bool().map(|b| b.cmp(wanted)),
            Wanted::Date(wanted) => there.as_str().and_then(date).map(|d| d.cmp(wanted)),
            Wanted::Instant(wanted) => {
                let there: Option<jiff::Timestamp> = there.as_str().and_then(|t| t.parse().ok());
                there.map(|t| t.cmp(wanted))
            }
        };
        ordering.is_some_and(|o| self.method.holds(o))
    }
}

fn word<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// The day of a date or of a date-time, in the zone it is written in.
fn date(text: &str) -> Option<jiff::civil::Date> {
    text.get(..10)?.parse().ok()
}

#[cfg(test)]
mod tests;
