//! The couriers the simulator knows: codes, names, services and prices. Prices are invented.

struct Courier {
    code: &'static str,
    id: i64,
    name: &'static str,
    services: &'static [(&'static str, &'static str)],
}

const COURIERS: &[Courier] = &[
    Courier {
        code: "PlainLabel",
        id: 9,
        name: "Plain Label",
        services: &[("Plain Label", "Plain Label")],
    },
    Courier {
        code: "AusPost",
        id: 11,
        name: "Australia Post",
        services: &[
            ("7B05", "Parcel Post + Signature"),
            ("3D85", "Express Post + Signature"),
        ],
    },
    Courier {
        code: "CouriersPlease",
        id: 14,
        name: "Couriers Please",
        services: &[("P0", "Priority"), ("L55", "Standard")],
    },
    Courier {
        code: "StarTrack",
        id: 21,
        name: "StarTrack",
        services: &[("EXP", "Road Express"), ("PRM", "Premium")],
    },
];

/// Courier that the account's rules choose when nobody did.
pub(crate) const BY_RULE: (&str, &str) = ("PlainLabel", "Plain Label");

fn find(code: &str) -> Option<&'static Courier> {
    COURIERS.iter().find(|c| c.code.eq_ignore_ascii_case(code))
}

/// The code as documented, or nothing when the courier is not set up in the account.
pub(crate) fn code(code: &str) -> Option<&'static str> {
    find(code).map(|c| c.code)
}

pub(crate) fn name(code: &str) -> &'static str {
    find(code).map_or("Unknown courier", |c| c.name)
}

pub(crate) fn id(code: &str) -> i64 {
    find(code).map_or(-1, |c| c.id)
}

/// The courier's first service.
pub(crate) fn default_service(code: &str) -> &'static str {
    find(code)
        .and_then(|c| c.services.first())
        .map_or("", |(code, _)| code)
}

pub(crate) fn has_service(code: &str, service: &str) -> bool {
    find(code).is_some_and(|c| {
        c.services
            .iter()
            .any(|(s, _)| s.eq_ignore_ascii_case(service))
    })
}

pub(crate) fn service_name(code: &str, service: &str) -> &'static str {
    find(code)
        .and_then(|c| {
            c.services
                .iter()
                .find(|(s, _)| s.eq_ignore_ascii_case(service))
        })
        .map_or("Standard", |(_, name)| name)
}

/// `(carrier, carrier_name, service_code, service_name)` of everything there is.
pub(crate) fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)>
{
    COURIERS.iter().flat_map(|c| {
        c.services
            .iter()
            .map(|(code, name)| (c.code, c.name, *code, *name))
    })
}

/// Cents for parcels of these weights in kilograms.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "weights are checked to be 0..=10,000 kg before they come here"
)]
pub(crate) fn price_cents(weights: &[f64]) -> u64 {
    weights
        .iter()
        .map(|kg| 690 + (kg * 120.0).round() as u64)
        .sum()
}
