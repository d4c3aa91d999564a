//! A filter over the names of an order: most orders that are not meant cost a look at sixteen bytes.
//!
//! A Bloom filter (Bloom 1970, "Space/time trade-offs in hash coding with allowable errors"). With the six
//! names that an order usually has, three in a thousand other orders are looked at for nothing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Bits that a name sets, of 128.
const BITS: u32 = 3;

/// What the names of one order may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names(u128);

/// One name that is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    text: &'a str,
    bits: u128,
}

impl Names {
    /// Not worked out: every name may be among them.
    pub const UNKNOWN: Self = Self(u128::MAX);

    /// Of these names, as [`crate::domain::Order::aliases`] gives them.
    pub fn of(aliases: &[String]) -> Self {
        Self(aliases.iter().fold(0, |bits, alias| bits | bits_of(alias)))
    }

    /// `false`: the name is none of them.
    pub fn may_hold(self, name: &Name<'_>) -> bool {
        self.0 & name.bits == name.bits
    }
}

impl<'a> Name<'a> {
    /// A name in the case that comparisons use.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            bits: bits_of(text),
        }
    }

    /// The name itself.
    pub fn text(&self) -> &'a str {
        self.text
    }
}

/// The same for the same text as long as the process lives; never kept longer.
fn bits_of(name: &str) -> u128 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let hash = hasher.finish();
    (0..BITS).fold(0, |bits, n| bits | 1 << (hash >> (7 * n) & 127))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_missed_and_others_seldom_held() {
        let list = |n: usize| -> Vec<String> { (0..6).map(|i| format!("order-{n}-{i}")).collect() };
        let mut held = 0;
        for n in 0..1_000 {
            let names = Names::of(&list(n));
            for own in list(n) {
                assert!(names.may_hold(&Name::new(&own)), "{own}");
            }
            held += list(n + 1)
                .iter()
                .filter(|other| names.may_hold(&Name::new(other)))
                .count();
        }
        // 3 in 1,000 by the formula.
        assert!(held < 60, "{held} of 6,000");
        assert!(Names::UNKNOWN.may_hold(&Name::new("anything")));
        assert!(!Names::of(&[]).may_hold(&Name::new("anything")));
    }
}
