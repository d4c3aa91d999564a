//! What the printer says: ready, media out, open, paused, labels counted.
//!
//! Pure: queries and their answers as bytes. Answers are hostile text: what does not read exactly
//! as the manual says is no answer at all, and at most `MOST` bytes are ever looked at.

mod brother_ql;
mod epl;
mod escpos;
pub(super) mod ipp;
mod tspl;
mod zpl;

use crate::domain::Code;
use crate::printer::language::escpos::status_query;
use crate::printer::settings::Language;

/// Longest answer that is read.
pub(crate) const MOST: usize = 4096;

/// What one answer said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Why it cannot print now.
    pub code: Option<Code>,
    /// The same in words, or empty.
    pub detail: String,
    /// It still works on something.
    pub busy: bool,
    /// Labels it ever printed, where it counts.
    pub counter: Option<u64>,
    /// The labels in it, where it tells.
    pub stock: Option<Stock>,
}

/// What a printer tells about the labels in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stock {
    /// Length of one label, dots.
    Length(u32),
    /// Width and length, millimetres; a roll has length 0.
    Tape {
        /// Across the head.
        width_mm: u8,
        /// Along the feed.
        length_mm: u8,
    },
}

/// How far a printer has run, where it counts; centimetres.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wear {
    /// Ever.
    pub total_cm: Option<u64>,
    /// Since its head was last cleaned.
    pub head_clean_cm: Option<u64>,
    /// With this head.
    pub head_cm: Option<u64>,
    /// Since the counter that people set back with a new roll.
    pub roll_cm: Option<u64>,
}

impl Seen {
    fn stopped(code: Code, detail: &str) -> Self {
        Self {
            code: Some(code),
            detail: detail.to_owned(),
            ..Self::default()
        }
    }
}

/// How a language is asked for its printer's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `~HS`, and the odometer where the printer keeps one.
    Zpl,
    /// `DLE EOT 1..4`.
    Escpos,
    /// `<ESC>!?`.
    Tspl,
    /// `^ee`.
    Epl,
    /// `ESC i S`, and what it says by itself.
    BrotherQl,
}

impl Protocol {
    /// The protocol of a language, if it has one.
    pub fn of(language: Language) -> Option<Self> {
        match language {
            Language::Zpl => Some(Self::Zpl),
            Language::Escpos => Some(Self::Escpos),
            Language::Tspl => Some(Self::Tspl),
            Language::Epl => Some(Self::Epl),
            Language::BrotherQl => Some(Self::BrotherQl),
            Language::Pwg | Language::Pdf | Language::Png | Language::Auto => None,
        }
    }

    /// The language this protocol belongs to.
    pub fn language(self) -> Language {
        match self {
            Self::Zpl => Language::Zpl,
            Self::Escpos => Language::Escpos,
            Self::Tspl => Language::Tspl,
            Self::Epl => Language::Epl,
            Self::BrotherQl => Language::BrotherQl,
        }
    }

    /// Bytes that ask; `counter` asks for the label counter too.
    pub fn query(self, counter: bool) -> Vec<u8> {
        match self {
            Self::Zpl if counter => [zpl::STATUS, zpl::COUNTER].concat(),
            Self::Zpl => zpl::STATUS.to_vec(),
            Self::Escpos => status_query(),
            Self::Tspl => tspl::QUERY.to_vec(),
            Self::Epl => epl::QUERY.to_vec(),
            Self::BrotherQl => brother_ql::QUERY.to_vec(),
        }
    }

    /// What names the fault when the printer only says that it is paused.
    pub fn why_paused(self) -> Option<&'static [u8]> {
        (self == Self::Zpl).then_some(zpl::ERRORS)
    }

    /// Reads the answer to `why_paused`: a better state, or none.
    pub fn parse_why(self, answer: &[u8]) -> Option<Seen> {
        match self {
            Self::Zpl => zpl::parse_errors(answer.get(..answer.len().min(MOST))?),
            _ => None,
        }
    }

    /// Whether the answer to `why_paused` is whole.
    pub fn is_why_complete(self, answer: &[u8]) -> bool {
        answer.contains(&zpl::ETX)
    }

    /// What asks for the printer's warnings, where it has any.
    pub fn warnings(self) -> Option<&'static [u8]> {
        self.why_paused()
    }

    /// Reads the answer to `warnings`; `None` when it is none.
    pub fn parse_warnings(self, answer: &[u8]) -> Option<Vec<&'static str>> {
        zpl::parse_warnings(answer.get(..answer.len().min(MOST))?)
    }

    /// What asks how far the printer has run, where it counts.
    pub fn wear_query(self) -> Option<Vec<u8>> {
        (self == Self::Zpl).then(zpl::wear_query)
    }

    /// Whether the answer to `wear_query` is whole.
    pub fn is_wear_complete(self, answer: &[u8]) -> bool {
        zpl::is_wear_complete(answer)
    }

    /// Reads the answer to `wear_query`; `None` when it is none.
    pub fn parse_wear(self, answer: &[u8]) -> Option<Wear> {
        zpl::parse_wear(answer.get(..answer.len().min(MOST))?)
    }

    /// The printer tells by itself how a label goes, and must not be asked meanwhile.
    pub fn tells_by_itself(self) -> bool {
        self == Self::BrotherQl
    }

    /// Of what the printer told by itself about so many labels: nothing more is to be waited for.
    pub fn is_settled(self, heard: &[u8], labels: u8) -> bool {
        self == Self::BrotherQl && brother_ql::is_settled(heard, labels)
    }

    /// Whether nothing more is to be waited for.
    pub fn is_complete(self, answer: &[u8], counter: bool) -> bool {
        match self {
            Self::Zpl => zpl::is_complete(answer, counter),
            Self::Escpos => answer.len() >= escpos::ANSWERS,
            Self::Tspl => !answer.is_empty(),
            Self::Epl => epl::is_complete(answer),
            Self::BrotherQl => answer.len() >= brother_ql::LENGTH,
        }
    }

    /// Reads an answer; `None` when it is none.
    pub fn parse(self, answer: &[u8]) -> Option<Seen> {
        let answer = answer.get(..answer.len().min(MOST))?;
        match self {
            Self::Zpl => zpl::parse(answer),
            Self::Escpos => escpos::parse(answer),
            Self::Tspl => tspl::parse(answer),
            Self::Epl => epl::parse(answer),
            Self::BrotherQl => brother_ql::parse(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_answer_makes_the_station_panic(answer in proptest::collection::vec(any::<u8>(), 0..300)) {
            for protocol in [
                Protocol::Zpl,
                Protocol::Escpos,
                Protocol::Tspl,
                Protocol::Epl,
                Protocol::BrotherQl,
            ] {
                let _ = protocol.is_complete(&answer, true);
                let _ = protocol.parse(&answer);
                let _ = protocol.parse_why(&answer);
                let _ = protocol.is_settled(&answer, 1);
                let _ = protocol.parse_warnings(&answer);
                let _ = protocol.parse_wear(&answer);
            }
        }
    }
}
