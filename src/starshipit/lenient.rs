//! Reading JSON whose types drift (api/starshipit.md section 1.7).
//!
//! Each type here takes any JSON value: what it cannot use becomes "absent", never an error that
//! would cost the whole reply. Nothing is read into a tree first, so hostile replies cost memory
//! only for what is kept: lists are cut at [`MAX_LIST`], texts at [`MAX_TEXT`]; the depth is
//! bounded by `serde_json`, and what is ignored is skipped without recursion.

pub(crate) use crate::system::http::tidy;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// Most elements kept of any list. Starshipit's own pages end at 500.
pub(crate) const MAX_LIST: usize = 1_000;
/// Most bytes kept of any text.
pub(crate) const MAX_TEXT: usize = 2_048;

/// Text, or a number as text. Blank is kept; control characters are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) Option<String>);

/// A whole number, also as text or with a zero fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Int(pub(crate) Option<i64>);

/// A finite number, also as text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Num(pub(crate) Option<f64>);

/// A truth value, also as number or text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) Option<bool>);

/// An object; anything else is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object<T>(pub(crate) Option<T>);

/// A list; one thing alone is a list of one, null is an empty one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Text {
    /// The text without blanks at its ends; `None` when nothing is left.
    pub(crate) fn given(&self) -> Option<&str> {
        self.0.as_deref().map(str::trim).filter(|t| !t.is_empty())
    }

    /// The same, owned.
    pub(crate) fn owned(&self) -> Option<String> {
        self.given().map(str::to_owned)
    }
}

fn skip_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

fn skip_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked; 2^53 is exact"
)]
fn whole(v: f64) -> Option<i64> {
    (v.fract() == 0.0 && v.abs() <= 9_007_199_254_740_992.0).then_some(v as i64)
}

#[expect(clippy::cast_precision_loss, reason = "weights and counts are small")]
fn float(v: i64) -> f64 {
    v as f64
}

/// Writes `Deserialize` for a scalar from what it makes of text, whole numbers, fractions, truth.
macro_rules! scalar {
    ($name:ident, $text:expr, $int:expr, $num:expr, $flag:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Any;
                impl<'de> Visitor<'de> for Any {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("any JSON value")
                    }
                    fn visit_str<E>(self, v: &str) -> Result<$name, E> {
                        let read: fn(&str) -> _ = $text;
                        Ok($name(read(v)))
                    }
                    fn visit_i64<E>(self, v: i64) -> Result<$name, E> {
                        let read: fn(i64) -> _ = $int;
                        Ok($name(read(v)))
                    }
                    fn visit_u64<E>(self, v: u64) -> Result<$name, E> {
                        let read: fn(i64) -> _ = $int;
                        Ok($name(i64::try_from(v).ok().and_then(read)))
                    }
                    fn visit_f64<E>(self, v: f64) -> Result<$name, E> {
                        let read: fn(f64) -> _ = $num;
                        Ok($name(read(v)))
                    }
                    fn visit_bool<E>(self, v: bool) -> Result<$name, E> {
                        let read: fn(bool) -> _ = $flag;
                        Ok($name(read(v)))
                    }
                    fn visit_unit<E>(self) -> Result<$name, E> {
                        Ok($name(None))
                    }
                    fn visit_none<E>(self) -> Result<$name, E> {
                        Ok($name(None))
                    }
                    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<$name, A::Error> {
                        skip_seq(seq).map(|()| $name(None))
                    }
                    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        skip_map(map).map(|()| $name(None))
                    }
                }
                d.deserialize_any(Any)
            }
        }
    };
}

scalar!(
    Text,
    |v| Some(tidy(v, MAX_TEXT)),
    |v| Some(v.to_string()),
    |v| Some(v.to_string()),
    |_| None
);
scalar!(Int, |v| v.trim().parse().ok(), |v| Some(v), whole, |_| None);
scalar!(
    Num,
    |v| v.trim().parse().ok().filter(|n: &f64| n.is_finite()),
    |v| Some(float(v)),
    |v| Some(v).filter(|n| n.is_finite()),
    |_| None
);
scalar!(
    Flag,
    |v| match v.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Some(true),
        "false" | "0" | "no" => Some(false),
        _ => None,
    },
    |v| Some(v != 0),
    |v| Some(v != 0.0),
    |v| Some(v)
);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_str<E>(self, _: &str) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_unit<E>(self) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Object<T>, A::Error> {
                skip_seq(seq).map(|()| Object(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|t| Object(Some(t)))
            }
        }
        d.deserialize_any(Any(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::IntoDeserializer;
        struct Any<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<List<T>, E> {
                T::deserialize(v.into_deserializer()).map(|t| List(vec![t]))
            }
            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<List<T>, E> {
                T::deserialize(v.into_deserializer()).map(|t| List(vec![t]))
            }
            fn visit_u64<E: serde::de::Error>(self, v: u64) -> Result<List<T>, E> {
                T::deserialize(v.into_deserializer()).map(|t| List(vec![t]))
            }
            fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
                Ok(List(Vec::new()))
            }
            fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
                Ok(List(Vec::new()))
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List(Vec::new()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut kept = Vec::new();
                while kept.len() < MAX_LIST {
                    match seq.next_element()? {
                        Some(element) => kept.push(element),
                        None => return Ok(List(kept)),
                    }
                }
                skip_seq(seq).map(|()| List(kept))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|t| List(vec![t]))
            }
        }
        d.deserialize_any(Any(PhantomData))
    }
}
