//! What a scan may mean: GS1 element strings and addresses of web pages. Pure.
//!
//! An address is never opened; of its path only the two forms that CartonCloud prints are understood.
//! GS1 data is believed only with every check digit right and nothing left over (GS1 General
//! Specifications, section 7.8): noise never becomes an order.

use crate::domain::scan::GS;

/// What is looked up for a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Order number.
    OrderNumber(String),
    /// CartonCloud's numeric id of a sale order, from its address.
    Numeric(String),
    /// CartonCloud's UUID of an order, lower case, from its address.
    Uuid(String),
    /// Tracking or consignment number.
    Tracking(String),
    /// Serial shipping container code: 18 digits.
    Sscc(String),
}

/// What a text means apart from its configured patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A plain text: the configured fallbacks.
    Plain,
    /// It is one of these.
    Means(Vec<Meaning>),
    /// It has a meaning, but none that names an order.
    NoOrder,
}

/// Application identifiers at a dispatch bench: identifier, fixed length (0 = variable), longest.
const IDENTIFIERS: &[(&str, usize, usize)] = &[
    ("00", 18, 18),
    ("01", 14, 14),
    ("02", 14, 14),
    ("10", 0, 20),
    ("11", 6, 6),
    ("13", 6, 6),
    ("15", 6, 6),
    ("17", 6, 6),
    ("21", 0, 20),
    ("37", 0, 8),
    ("240", 0, 30),
    ("241", 0, 30),
    ("400", 0, 30),
    ("401", 0, 30),
    ("402", 17, 17),
    ("403", 0, 30),
    ("410", 13, 13),
    ("414", 13, 13),
    ("420", 0, 20),
    ("421", 0, 12),
    ("91", 0, 90),
    ("92", 0, 90),
    ("93", 0, 90),
    ("96", 0, 90),
    ("97", 0, 90),
    ("98", 0, 90),
    ("99", 0, 90),
];
/// Identifiers whose value ends with a check digit.
const CHECKED: &[&str] = &["00", "01", "02", "402", "410", "414"];

/// Reads a cleaned scan.
pub fn read(text: &str) -> Reading {
    if let Some(path) = path_of(text) {
        return address(&path).map_or(Reading::NoOrder, |meaning| Reading::Means(vec![meaning]));
    }
    let sscc = text.len() == 20 && text.starts_with("00");
    if text.contains(GS) || sscc {
        let Some(elements) = elements(text) else {
            // A separator has no meaning elsewhere and must not reach a look-up.
            return if text.contains(GS) {
                Reading::NoOrder
            } else {
                Reading::Plain
            };
        };
        let means: Vec<Meaning> = elements
            .into_iter()
            .filter_map(|(identifier, value)| {
                let value = value.to_owned();
                Some(match identifier {
                    "00" => Meaning::Sscc(value),
                    "400" => Meaning::OrderNumber(value),
                    "401" | "402" => Meaning::Tracking(value),
                    _ => return None,
                })
            })
            .collect();
        return if means.is_empty() {
            Reading::NoOrder
        } else {
            Reading::Means(means)
        };
    }
    Reading::Plain
}

/// GS1 element strings, if the whole text is some and every check digit is right.
pub fn elements(text: &str) -> Option<Vec<(&'static str, &str)>> {
    if !text.is_ascii() {
        return None;
    }
    let mut rest = text.strip_prefix(GS).unwrap_or(text);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (identifier, fixed, longest) = *IDENTIFIERS
            .iter()
            .find(|(identifier, _, _)| rest.starts_with(identifier))?;
        rest = &rest[identifier.len()..];
        let end = match fixed {
            0 => rest.find(GS).unwrap_or(rest.len()),
            fixed => fixed,
        };
        if end == 0 || end > longest {
            return None;
        }
        let value = rest.get(..end)?;
        if fixed > 0 && !value.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        if CHECKED.contains(&identifier) && !has_check_digit(value) {
            return None;
        }
        found.push((identifier, value));
        rest = rest[end..].strip_prefix(GS).unwrap_or(&rest[end..]);
    }
    (!found.is_empty()).then_some(found)
}

/// The last digit is the GS1 check digit of the others (modulo 10, weights 3 and 1).
pub fn has_check_digit(digits: &str) -> bool {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(n, digit)| u32::from(digit - b'0') * if n % 2 == 1 { 3 } else { 1 })
        .sum();
    sum.is_multiple_of(10)
}

/// The decoded path segments of a web address; `None`: it is none.
fn path_of(text: &str) -> Option<Vec<String>> {
    let folded = text.to_ascii_lowercase();
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|s| folded.starts_with(s))?;
    let rest = text.get(scheme.len()..)?;
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(path.split('/').map(decoded).collect())
}

/// Percent-decoded; what is no UTF-8 afterwards stays as it was.
fn decoded(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hex = |digit: Option<u8>| digit.and_then(|d| char::from(d).to_digit(16));
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'%'));
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| segment.to_owned())
}

/// `…/SaleOrders/view/{digits}` and `…/outbound-orders/{uuid}`, as CartonCloud writes them.
fn address(path: &[String]) -> Option<Meaning> {
    for at in 0..path.len() {
        let is = |n: usize, word: &str| {
            path.get(at + n)
                .is_some_and(|s| s.eq_ignore_ascii_case(word))
        };
        if is(0, "SaleOrders") && is(1, "view") {
            let id = path.get(at + 2)?;
            let digits = (1..=18).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit());
            return digits.then(|| Meaning::Numeric(id.clone()));
        }
        if is(0, "outbound-orders") {
            let id = path.get(at + 1)?;
            return is_uuid(id).then(|| Meaning::Uuid(id.to_ascii_lowercase()));
        }
    }
    None
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(n, byte)| match n {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SSCC: &str = "106141411234567897";
    const UUID: &str = "0b6f2a1c-3d4e-4f50-8a61-7b8c9d0e1f2a";

    fn means(text: &str) -> Vec<Meaning> {
        match read(text) {
            Reading::Means(means) => means,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_wrong_check_digit_or_a_rest_is_no_gs1() {
        assert_eq!(read("00106141411234567890"), Reading::Plain);
        for text in [
            "\u{1d}00106141411234567890",
            "\u{1d}400",
            "\u{1d}77X",
            "WEB-1\u{1d}2",
            "\u{1d}",
            "\u{1d}0012",
        ] {
            assert_eq!(read(text), Reading::NoOrder, "{text:?}");
        }
        // A product says nothing about an order.
        assert_eq!(read("\u{1d}0109521101530001"), Reading::NoOrder);
        assert!(!has_check_digit("") && !has_check_digit("12a") && has_check_digit(SSCC));
    }

    #[test]
    fn containers_orders_and_consignments_are_read_from_gs1() {
        assert_eq!(means(&format!("00{SSCC}")), [Meaning::Sscc(SSCC.into())]);
        assert_eq!(
            means(&format!("\u{1d}00{SSCC}")),
            [Meaning::Sscc(SSCC.into())]
        );
        assert_eq!(
            means(&format!("400PO-77\u{1d}00{SSCC}")),
            [
                Meaning::OrderNumber("PO-77".into()),
                Meaning::Sscc(SSCC.into())
            ]
        );
        assert_eq!(
            means("\u{1d}401ABC123"),
            [Meaning::Tracking("ABC123".into())]
        );
    }

    #[test]
    fn addresses_are_understood_in_two_forms_only() {
        for text in [
            "https://app.example.com/SaleOrders/view/12345",
            "HTTP://APP.EXAMPLE.COM/en/saleorders/VIEW/12345/?tab=1#x",
            "https://app.example.com/SaleOrders/view/%31%32345",
        ] {
            assert_eq!(means(text), [Meaning::Numeric("12345".into())], "{text}");
        }
        let upper = format!("https://x/outbound-orders/{}", UUID.to_uppercase());
        assert_eq!(means(&upper), [Meaning::Uuid(UUID.into())]);
        for text in [
            "https://app.example.com/SaleOrders/view/12x",
            "https://app.example.com/SaleOrders/view/",
            "https://app.example.com/outbound-orders/..%2F..%2Fadmin",
            "https://evil.example/WEB-1",
            "https://",
            "http://%zz/%",
        ] {
            assert_eq!(read(text), Reading::NoOrder, "{text}");
        }
        assert_eq!(read("WEB-1"), Reading::Plain);
        assert_eq!(read("httpsWEB-1"), Reading::Plain);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_only_checked_digits_become_containers(text in any::<String>()) {
            if let Reading::Means(means) = read(&text) {
                for meaning in means {
                    if let Meaning::Sscc(digits) = meaning {
                        prop_assert!(digits.len() == 18 && has_check_digit(&digits));
                    }
                }
            }
            let address = format!("https://x/{text}");
            let _ = read(&address);
        }

        #[test]
        fn noise_with_separators_means_nothing_unless_it_is_gs1(text in "[ -~]{0,12}\u{1d}[ -~\u{1d}]{0,20}") {
            let whole = elements(&text).is_some();
            prop_assert!(whole || read(&text) == Reading::NoOrder || text.to_lowercase().starts_with("http"));
        }

        #[test]
        fn one_changed_digit_is_noticed(at in 0_usize..18, by in 1_u8..10) {
            let mut digits: Vec<u8> = SSCC.bytes().collect();
            digits[at] = b'0' + (digits[at] - b'0' + by) % 10;
            let changed = String::from_utf8(digits).unwrap();
            prop_assert!(!has_check_digit(&changed));
            prop_assert_eq!(read(&format!("00{changed}")), Reading::Plain);
        }
    }
}
