//! What Starshipit sends, as far as the station reads it.
//!
//! One reply type serves every endpoint, because the same things come under different keys
//! (`order`, `orders`, `data.orders`) and under any status. Every field is optional; unknown ones
//! are skipped. The reference is api/starshipit.md sections 1.5 and 2; `reply` judges.

use crate::domain::Timestamp;
use crate::starshipit::document::Label;
use crate::starshipit::lenient::{Flag, Int, List, Num, Object, Text};
use serde::Deserialize;

/// Any reply.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Reply {
    pub(crate) success: Flag,
    pub(crate) errors: List<Fault>,
    /// Gateway failures, and some others.
    pub(crate) message: Text,
    #[serde(alias = "statusCode")]
    pub(crate) status_code: Int,
    pub(crate) order: List<Object<Order>>,
    pub(crate) orders: List<Object<Order>>,
    pub(crate) data: Object<Data>,
    pub(crate) total_pages: Int,
    pub(crate) order_ids: List<Int>,
    // Print Label.
    pub(crate) order_id: Int,
    pub(crate) carrier_name: Text,
    pub(crate) tracking_numbers: List<Text>,
    pub(crate) labels: List<Label>,
    pub(crate) label_types: List<Text>,
    /// Packing slips and manifests.
    pub(crate) pdf: Label,
    // Delivery services.
    pub(crate) services: List<Object<Service>>,
}

impl Reply {
    /// It holds something where orders belong, and none of it is an order: nothing may be
    /// concluded from it, least of all that there is no such order.
    pub(crate) fn is_garbled(&self) -> bool {
        let data = self.data.0.as_ref().map(|d| &d.orders.0);
        let mut orders = self
            .order
            .0
            .iter()
            .chain(&self.orders.0)
            .chain(data.into_iter().flatten())
            .peekable();
        orders.peek().is_some()
            && !orders.any(|o| o.0.as_ref().is_some_and(|o| o.order_id.0.is_some()))
    }

    /// Every order in it, wherever it stands.
    pub(crate) fn into_orders(self) -> Vec<Order> {
        let data = self.data.0.map(|d| d.orders.0).unwrap_or_default();
        self.order
            .0
            .into_iter()
            .chain(self.orders.0)
            .chain(data)
            .filter_map(|o| o.0)
            .filter(|o| o.order_id.0.is_some())
            .collect()
    }
}

/// The list form of `GET /api/orders`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Data {
    pub(crate) orders: List<Object<Order>>,
}

/// One entry of `errors`: an object, or a plain text.
#[derive(Debug, Default)]
pub(crate) struct Fault {
    pub(crate) message: Text,
    pub(crate) details: Text,
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::{MapAccess, SeqAccess, Visitor};
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Parts {
            #[serde(alias = "Message")]
            message: Text,
            #[serde(alias = "detail", alias = "Details", alias = "error_message")]
            details: Text,
        }
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Fault;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Fault, E> {
                use serde::de::IntoDeserializer;
                Ok(Fault {
                    message: Text::deserialize(v.into_deserializer())?,
                    details: Text::default(),
                })
            }
            fn visit_i64<E>(self, _: i64) -> Result<Fault, E> {
                Ok(Fault::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Fault, E> {
                Ok(Fault::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Fault, E> {
                Ok(Fault::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Fault, E> {
                Ok(Fault::default())
            }
            fn visit_unit<E>(self) -> Result<Fault, E> {
                Ok(Fault::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fault, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Fault::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fault, A::Error> {
                let de = serde::de::value::MapAccessDeserializer::new(map);
                let Parts { message, details } = Parts::deserialize(de)?;
                Ok(Fault { message, details })
            }
        }
        d.deserialize_any(Any)
    }
}

/// An order in full (2.7), or as one of the lists shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Order {
    pub(crate) order_id: Int,
    pub(crate) order_number: Text,
    pub(crate) order_date: Text,
    pub(crate) reference: Text,
    pub(crate) status: Text,
    pub(crate) archived: Flag,
    /// Code, or −1 while there is none.
    pub(crate) carrier: Text,
    pub(crate) carrier_name: Text,
    pub(crate) carrier_service_code: Text,
    pub(crate) shipping_method: Text,
    pub(crate) destination: Object<Address>,
    pub(crate) items: List<Object<Item>>,
    pub(crate) packages: List<Object<Package>>,
    pub(crate) events: List<Object<Event>>,
    pub(crate) metadatas: List<Object<Metadata>>,
    /// Lists only.
    pub(crate) tracking_number: Text,
    /// Lists only.
    pub(crate) tracking_numbers: List<Text>,
    /// Recently printed: when.
    pub(crate) date: Text,
    /// In the account's currency; may come after the label.
    pub(crate) total_shipping_price: Num,
}

/// Where it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Address {
    pub(crate) name: Text,
    pub(crate) company: Text,
    pub(crate) building: Text,
    pub(crate) street: Text,
    pub(crate) suburb: Text,
    pub(crate) city: Text,
    pub(crate) state: Text,
    #[serde(alias = "postcode")]
    pub(crate) post_code: Text,
    #[serde(alias = "country_code")]
    pub(crate) country: Text,
}

/// One line of an order; kilograms per unit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Item {
    pub(crate) sku: Text,
    pub(crate) description: Text,
    pub(crate) quantity: Num,
    pub(crate) weight: Num,
}

/// One parcel; kilograms and metres.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Package {
    pub(crate) weight: Num,
    pub(crate) length: Num,
    pub(crate) width: Num,
    pub(crate) height: Num,
    pub(crate) tracking_number: Text,
    pub(crate) label_created_date: Text,
}

/// Something that happened to an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Event {
    pub(crate) time: Text,
}

/// A word that somebody keeps with an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    pub(crate) metafield_key: Text,
    pub(crate) value: Text,
}

/// A courier's offer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    pub(crate) carrier: Text,
    pub(crate) carrier_name: Text,
    pub(crate) service_code: Text,
    pub(crate) service_name: Text,
    pub(crate) total_price: Num,
}

/// A date as Starshipit writes it: RFC 3339 with any number of fraction digits, zone or none
/// (then UTC), `T` or a blank between. Blank, unreadable and .NET's year 1 are none.
pub(crate) fn date(text: &Text) -> Option<Timestamp> {
    let text = text.given()?;
    let (day, rest) = text.split_at_checked(10)?;
    let date: jiff::civil::Date = day.parse().ok()?;
    if date.year() < 1970 {
        return None;
    }
    let rest = rest.strip_prefix(['T', 't', ' ']).unwrap_or(rest);
    let (clock, zone) = match rest.find(['Z', 'z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let clock = if clock.is_empty() { "00:00:00" } else { clock };
    let time: jiff::civil::Time = clock.parse().ok()?;
    let mut millis = 0_i64;
    for (digit, place) in fraction.bytes().zip([100, 10, 1]) {
        millis += i64::from(char::from(digit).to_digit(10)?) * place;
    }
    let seconds = date
        .to_datetime(time)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()?
        .timestamp()
        .as_second();
    Some(Timestamp(
        seconds
            .saturating_sub(offset_seconds(zone)?)
            .saturating_mul(1000)
            .saturating_add(millis),
    ))
}

/// The date names its zone, so that it can be compared with our clock.
pub(crate) fn has_zone(text: &Text) -> bool {
    text.given()
        .and_then(|t| t.get(10..))
        .is_some_and(|clock| clock.contains(['Z', 'z', '+', '-']))
}

/// `Z`, `+hh:mm`, `+hhmm`, `+hh`, or nothing.
fn offset_seconds(zone: &str) -> Option<i64> {
    let zone = zone.trim();
    let sign = match zone.bytes().next() {
        None | Some(b'Z' | b'z') => return Some(0),
        Some(b'-') => -1,
        Some(_) => 1,
    };
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = match digits.get(2..4) {
        Some(minutes) => minutes.parse().ok()?,
        None => 0,
    };
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
