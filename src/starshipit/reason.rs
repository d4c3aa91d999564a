//! Starshipit's words for a refusal, mapped to ours by one table.
//!
//! Starshipit has no error codes, only English sentences, and the courier's words pass through
//! them. The first rule that fits decides; what fits none is `courier-refused` with the text shown.

use crate::domain::Code;
use crate::starshipit::wire::Fault;
pub(crate) use crate::system::http::bounded;

/// One rule: some word of `any`, and, unless empty, some word of `with`.
struct Rule {
    any: &'static [&'static str],
    with: &'static [&'static str],
    code: Code,
}

/// What makes a missing thing missing.
const ABSENT: &[&str] = &[
    "missing",
    "not set",
    "not been set",
    "no ",
    "required",
    "not selected",
    "not assigned",
    "not specified",
    "not provided",
    "select a",
    "must be",
    "please select",
    "please set",
    "please choose",
    "choose a",
    "empty",
    "without a",
    "unassigned",
    "could not determine",
];

/// In order: the specific before the general. Words are lower case, matched at word starts.
const RULES: &[Rule] = &[
    Rule {
        any: &["unable to find order", "unable to get order details"],
        with: &[],
        code: Code::OrderNotFound,
    },
    Rule {
        any: &["is archived", "been archived"],
        with: &[],
        code: Code::OrderCancelled,
    },
    Rule {
        any: &[
            "unauthorized",
            "unauthorised",
            "api key",
            "api-key",
            "apikey",
            "subscription key",
            "subscription-key",
            "access denied",
            "authentication",
            "forbidden",
        ],
        with: &[],
        code: Code::StarshipitUnauthorized,
    },
    Rule {
        any: &[
            "quota",
            "your plan",
            "plan limit",
            "your subscription",
            "current plan",
            "pricing plan",
            "upgrade",
            "label limit",
            "monthly limit",
            "label allowance",
        ],
        with: &[],
        code: Code::QuotaExhausted,
    },
    // Too heavy or too large is the courier's judgement of what is there, not a missing value.
    Rule {
        any: &["weight", "dimension", "package", "packaging", "parcel"],
        with: &["exceed", "maximum", "too heavy", "too large", "over the"],
        code: Code::CourierRefused,
    },
    Rule {
        any: &["weight"],
        with: &[],
        code: Code::WeightMissing,
    },
    Rule {
        any: &["courier", "carrier", "service", "product code"],
        with: ABSENT,
        code: Code::CourierMissing,
    },
    Rule {
        any: &["courier", "carrier", "service"],
        with: &["reject", "refus", "declin", "not available", "unavailable"],
        code: Code::CourierRefused,
    },
    Rule {
        any: &[
            "address",
            "suburb",
            "postcode",
            "post code",
            "post_code",
            "postal",
            "zip",
            "street",
            "destination",
            "country",
            "city",
            "receiver",
            "recipient",
        ],
        with: &[],
        code: Code::AddressRefused,
    },
    Rule {
        any: &["packaging", "package", "dimension", "parcel"],
        with: &[],
        code: Code::PackagingMissing,
    },
];

/// The code of a refusal's text.
pub(crate) fn code_for(text: &str) -> Code {
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| has_word(&text, word));
    RULES
        .iter()
        .find(|rule| has(rule.any) && (rule.with.is_empty() || has(rule.with)))
        .map_or(Code::CourierRefused, |rule| rule.code)
}

/// Print was refused because the order has its label.
pub(crate) fn is_already_printed(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    has_word(&text, "already") && has_word(&text, "printed")
}

/// `word` occurs where a word starts: `city` is not in `capacity`.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[..at]
            .bytes()
            .next_back()
            .is_some_and(|b| b.is_ascii_alphanumeric())
    })
}

/// The errors of a reply as one text: the useful part of each, once.
pub(crate) fn text_of(errors: &[Fault], message: Option<&str>) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for fault in errors.iter().take(8) {
        let message = fault
            .message
            .given()
            // Says nothing, and stands before nearly every real text.
            .filter(|m| !m.eq_ignore_ascii_case("general exception"));
        for part in [message, fault.details.given()].into_iter().flatten() {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    if parts.is_empty() {
        parts.extend(message);
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_text_has_its_code() {
        use Code::*;
        for (text, code) in [
            ("Unable to find order number: 99999", OrderNotFound),
            (
                "Unable to get order details from order_id: 1",
                OrderNotFound,
            ),
            ("Invalid API key", StarshipitUnauthorized),
            (
                "Access denied due to invalid subscription key.",
                StarshipitUnauthorized,
            ),
            (
                "Access denied due to missing subscription-key",
                StarshipitUnauthorized,
            ),
            ("Unauthorized", StarshipitUnauthorized),
            ("Your label quota for this month is used up", QuotaExhausted),
            ("You have reached the limit of your plan", QuotaExhausted),
            ("Please upgrade to print more labels", QuotaExhausted),
            ("Incorrect package weight parameter value", WeightMissing),
            ("Weight is required", WeightMissing),
            ("Weight exceeds the maximum of 22kg", CourierRefused),
            ("Dimensions exceed the courier's limit", CourierRefused),
            ("No courier is set for this order", CourierMissing),
            ("Carrier is missing", CourierMissing),
            ("carrier_service_code is required", CourierMissing),
            ("Please select a courier service", CourierMissing),
            ("Suburb and postcode do not match", AddressRefused),
            ("Invalid address", AddressRefused),
            ("destination object is required", AddressRefused),
            ("country_code parameter value is required", AddressRefused),
            ("Packaging is not set", PackagingMissing),
            ("Package dimensions are missing", PackagingMissing),
            (
                "Consignment rejected by carrier: account is closed",
                CourierRefused,
            ),
            ("Capacity reached, try tomorrow", CourierRefused),
            (
                "The courier rejected the shipment: service is not available to this address",
                CourierRefused,
            ),
            ("Order is archived", OrderCancelled),
            ("", CourierRefused),
        ] {
            assert_eq!(code_for(text), code, "{text}");
        }
    }

    #[test]
    fn a_detail_is_short_and_has_no_control_characters() {
        let detail = bounded(&format!("a\u{1b}[31m\r\n{}", "ä".repeat(500)));
        assert!(detail.starts_with("a[31mä"), "{detail}");
        assert!(detail.len() <= 200);
    }
}
