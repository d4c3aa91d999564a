//! Text from a trigger, cleaned and bounded at the edge (contract 16).

use serde::{Deserialize, Serialize};

/// Longest scan that can be an order or a command, in characters.
pub const MAX_SCAN: usize = 128;
/// GS1 group separator, the one control character that a barcode may carry.
pub const GS: char = '\u{1d}';

/// A cleaned scan: trimmed, without AIM prefix, 1..=128 printable ASCII characters or GS.
///
/// Stored and sent as scanned; compared without regard to ASCII case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScanText(String);

/// Why a scan is not text we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadScan {
    /// Nothing is left after trimming.
    #[error("the scan is empty")]
    Empty,
    /// More than 128 characters.
    #[error("the scan is longer than 128 characters")]
    TooLong,
    /// A control character other than GS, or anything that is not ASCII.
    #[error("the scan has characters that no order number has")]
    Unprintable,
}

impl ScanText {
    /// Cleans what a trigger delivered.
    pub fn parse(raw: &str) -> Result<Self, BadScan> {
        let trimmed = raw.trim_matches([' ', '\r', '\n', '\t']);
        let text = without_aim_prefix(trimmed).trim_matches([' ', '\r', '\n', '\t']);
        // The prefix says that it is GS1 data. A leading separator keeps that, as scanners without
        // AIM prefixes send it; only what is GS1 throughout, so that an order number stays itself.
        let gs1 = ["]C1", "]e0", "]d2", "]Q3"]
            .iter()
            .any(|kind| trimmed.starts_with(kind))
            && crate::domain::reading::elements(text).is_some();
        let kept = if gs1 && !text.starts_with(GS) {
            format!("{GS}{text}")
        } else {
            text.to_owned()
        };
        Self::cleaned(kept)
    }

    /// Text that was cleaned before: checked, and otherwise left alone. Cleaned once more, what came
    /// out of a ledger could be another scan (`]C1]C10` is `]C10`, and that would be `0`).
    fn cleaned(text: String) -> Result<Self, BadScan> {
        if text.is_empty() {
            return Err(BadScan::Empty);
        }
        if text.len() > MAX_SCAN {
            return Err(BadScan::TooLong);
        }
        if !text
            .chars()
            .all(|c| c == GS || c.is_ascii_graphic() || c == ' ')
        {
            return Err(BadScan::Unprintable);
        }
        Ok(Self(text))
    }

    /// The text as scanned.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text in the one case that comparisons use.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl TryFrom<String> for ScanText {
    type Error = BadScan;
    fn try_from(text: String) -> Result<Self, BadScan> {
        Self::cleaned(text)
    }
}

impl From<ScanText> for String {
    fn from(scan: ScanText) -> Self {
        scan.0
    }
}

impl std::fmt::Display for ScanText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Removes an AIM symbology identifier (ISO/IEC 15424): `]`, a letter, a digit or letter.
fn without_aim_prefix(text: &str) -> &str {
    match text.as_bytes() {
        [b']', kind, modifier, ..]
            if kind.is_ascii_alphabetic() && modifier.is_ascii_alphanumeric() =>
        {
            &text[3..]
        }
        _ => text,
    }
}

/// Where a scan or command came from. Commands belong to the source that gave them (contract 13).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Source {
    /// Scanner name, or `page`, `http`, `cli`, `stdin`.
    pub trigger: String,
    /// Who, where known (`USER-x` badge, or the `user` of an HTTP scan).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Result<&str, BadScan>) {
        assert_eq!(
            ScanText::parse(raw).map(String::from),
            expected.map(str::to_owned)
        );
    }

    #[test]
    fn what_was_cleaned_comes_back_from_the_ledger_as_it_was() {
        for raw in ["]C1]C10", "]C1 ]C1WEB-1", "]C1010950600013435", "WEB-1"] {
            let scan = ScanText::parse(raw).unwrap();
            let stored = String::from(scan.clone());
            assert_eq!(ScanText::try_from(stored), Ok(scan), "{raw}");
        }
    }

    #[test]
    fn ends_and_aim_prefix_are_removed() {
        check(" WEB-1\r\n", Ok("WEB-1"));
        check("]C1WEB-1", Ok("WEB-1"));
        check("]C1400PO-77", Ok("\u{1d}400PO-77"));
        check("]C0400PO-77", Ok("400PO-77"));
        check("]WEB", Ok("B"));
        check("]", Ok("]"));
    }

    #[test]
    fn what_is_left_is_bounded_and_printable() {
        check(" \t ", Err(BadScan::Empty));
        check(&"A".repeat(128), Ok(&"A".repeat(128)));
        check(&"A".repeat(129), Err(BadScan::TooLong));
        check("A\u{7}B", Err(BadScan::Unprintable));
        check("Ärger", Err(BadScan::Unprintable));
        check("01\u{1d}21", Ok("01\u{1d}21"));
    }
}
