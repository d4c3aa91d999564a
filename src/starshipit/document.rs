//! Label documents: base64 text in the reply, bytes for the station.
//!
//! Decoded while the reply is read, so that a reply is never in memory three times. What the
//! bytes are is for the label room to judge.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One entry of `labels`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Label {
    /// The document; `None` when there was none or it was not base64.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Only in the bulk shape, which is accepted too.
    pub(crate) label_type: Option<String>,
}

const TOLERANT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, TOLERANT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, TOLERANT);

/// Base64 with or without padding, white space or a `data:` prefix. `None` when it is not, or empty.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let text = match text.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("data:") => text.split_once(',')?.1,
        _ => text,
    };
    let engine = if text.bytes().any(|b| matches!(b, b'-' | b'_')) {
        URL_SAFE
    } else {
        STANDARD
    };
    let bytes = if text.bytes().any(|b| b.is_ascii_whitespace()) {
        let dense: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        engine.decode(dense)
    } else {
        engine.decode(text)
    };
    bytes.ok().filter(|b| !b.is_empty())
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Label;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any JSON value")
            }
            fn visit_str<E>(self, v: &str) -> Result<Label, E> {
                Ok(Label {
                    bytes: decode(v),
                    label_type: None,
                })
            }
            fn visit_i64<E>(self, _: i64) -> Result<Label, E> {
                Ok(Label::default())
            }
            fn visit_u64<E>(self, _: u64) -> Result<Label, E> {
                Ok(Label::default())
            }
            fn visit_f64<E>(self, _: f64) -> Result<Label, E> {
                Ok(Label::default())
            }
            fn visit_bool<E>(self, _: bool) -> Result<Label, E> {
                Ok(Label::default())
            }
            fn visit_unit<E>(self) -> Result<Label, E> {
                Ok(Label::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Label, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Label::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Label, A::Error> {
                #[derive(Default, serde::Deserialize)]
                #[serde(default)]
                struct Bulk {
                    label_base64_string: Inner,
                    label_type: crate::starshipit::lenient::Text,
                }
                #[derive(Default, serde::Deserialize)]
                #[serde(transparent)]
                struct Inner(Option<Box<Label>>);
                let bulk = Bulk::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Label {
                    bytes: bulk.label_base64_string.0.and_then(|label| label.bytes),
                    label_type: bulk.label_type.owned(),
                })
            }
        }
        d.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_base64_is_nothing() {
        for bad in [
            "",
            "  ",
            "data:application/pdf;base64,",
            "!!",
            "data:x",
            "a",
        ] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn prefixes_white_space_padding_and_both_alphabets_are_read() {
        for (text, bytes) in [
            ("JVBERg==", b"%PDF".as_slice()),
            ("JVBERg", b"%PDF"),
            (" JVB\r\nERg== ", b"%PDF"),
            ("data:application/pdf;base64,JVBERg==", b"%PDF"),
            ("DATA:;base64,JVBERg==", b"%PDF"),
            ("-_8=", &[0xfb, 0xff]),
            ("+/8=", &[0xfb, 0xff]),
        ] {
            assert_eq!(decode(text).as_deref(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn an_entry_may_be_a_text_an_object_or_nonsense() {
        let labels: Vec<Label> = serde_json::from_str(
            r#"["JVBERg==", {"label_type":"A4","label_base64_string":"JVBERg=="}, null, 7, [], {}, "%"]"#,
        )
        .unwrap();
        let read: Vec<_> = labels.iter().map(|l| l.bytes.is_some()).collect();
        assert_eq!(read, [true, true, false, false, false, false, false]);
        assert_eq!(labels[1].label_type.as_deref(), Some("A4"));
    }
}
