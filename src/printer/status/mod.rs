//! What the printer says: ready, media out, open, paused, labels counted.
//!
//! Pure: queries and their answers as bytes. Answers are hostile text: what does not read exactly
//! as the manual says is no answer at all, and at most `MOST` bytes are ever looked at.

mod escpos;
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
}

impl Protocol {
    /// The protocol of a language, if it has one.
    pub fn of(language: Language) -> Option<Self> {
        match language {
            Language::Zpl => Some(Self::Zpl),
            Language::Escpos => Some(Self::Escpos),
            Language::Tspl => Some(Self::Tspl),
            // EPL's `^ee` is answered by few printers and differs between them.
            Language::Epl | Language::Png | Language::Auto => None,
        }
    }

    /// The language this protocol belongs to.
    pub fn language(self) -> Language {
        match self {
            Self::Zpl => Language::Zpl,
            Self::Escpos => Language::Escpos,
            Self::Tspl => Language::Tspl,
        }
    }

    /// Bytes that ask; `counter` asks for the label counter too.
    pub fn query(self, counter: bool) -> Vec<u8> {
        match self {
            Self::Zpl if counter => [zpl::STATUS, zpl::COUNTER].concat(),
            Self::Zpl => zpl::STATUS.to_vec(),
            Self::Escpos => status_query(),
            Self::Tspl => tspl::QUERY.to_vec(),
        }
    }

    /// Whether nothing more is to be waited for.
    pub fn is_complete(self, answer: &[u8], counter: bool) -> bool {
        match self {
            Self::Zpl => zpl::is_complete(answer, counter),
            Self::Escpos => answer.len() >= escpos::ANSWERS,
            Self::Tspl => !answer.is_empty(),
        }
    }

    /// Reads an answer; `None` when it is none.
    pub fn parse(self, answer: &[u8]) -> Option<Seen> {
        let answer = answer.get(..answer.len().min(MOST))?;
        match self {
            Self::Zpl => zpl::parse(answer),
            Self::Escpos => escpos::parse(answer),
            Self::Tspl => tspl::parse(answer),
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
            for protocol in [Protocol::Zpl, Protocol::Escpos, Protocol::Tspl] {
                let _ = protocol.is_complete(&answer, true);
                let _ = protocol.parse(&answer);
            }
        }
    }
}
