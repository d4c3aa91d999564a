//! ESC/POS: four real-time status bytes (`DLE EOT 1..4`).
//!
//! Format: Epson "ESC/POS command reference", DLE EOT. Each byte is `0xx1xx10`; anything else is
//! not an answer. Few clones answer all four, so a missing tail is accepted.

use super::Seen;
use crate::domain::Code;

/// Bytes that four questions bring.
pub(super) const ANSWERS: usize = 4;

const OFFLINE: u8 = 0x08;
const COVER_OPEN: u8 = 0x04;
const STOPPED_BY_PAPER_END: u8 = 0x20;
const ERROR: u8 = 0x40;
const CUTTER: u8 = 0x08;
const PAPER_END: u8 = 0x60;

pub(super) fn parse(answer: &[u8]) -> Option<Seen> {
    let answer = answer.get(..answer.len().min(ANSWERS))?;
    if answer.iter().any(|byte| byte & 0x93 != 0x12) {
        return None;
    }
    let printer = *answer.first()?;
    let has = |index: usize, bit: u8| answer.get(index).is_some_and(|byte| byte & bit != 0);
    Some(if has(1, COVER_OPEN) {
        Seen::stopped(Code::PrinterCoverOpen, "the cover is open")
    } else if has(1, STOPPED_BY_PAPER_END) || has(3, PAPER_END) {
        Seen::stopped(Code::PrinterMediaOut, "out of paper")
    } else if has(2, CUTTER) {
        Seen::stopped(Code::PrinterCoverOpen, "the cutter is stuck")
    } else if has(1, ERROR) {
        Seen::stopped(Code::PrinterCoverOpen, "the printer reports an error")
    } else if printer & OFFLINE != 0 {
        Seen::stopped(Code::PrinterPaused, "the printer is offline")
    } else {
        Seen::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_without_the_fixed_pattern_are_no_answer() {
        for answer in [&b""[..], b"A", b"\x12\xff", b"\x00\x00\x00\x00", b"\x92"] {
            assert_eq!(parse(answer), None, "{answer:x?}");
        }
    }

    #[test]
    fn each_state_has_its_code() {
        for (answer, code) in [
            (b"\x1a\x16\x12\x12", Some(Code::PrinterCoverOpen)),
            (b"\x1a\x32\x12\x12", Some(Code::PrinterMediaOut)),
            (b"\x12\x12\x12\x72", Some(Code::PrinterMediaOut)),
            (b"\x12\x12\x1a\x12", Some(Code::PrinterCoverOpen)),
            (b"\x1a\x12\x12\x12", Some(Code::PrinterPaused)),
            (b"\x12\x12\x12\x12", None),
            (b"\x12\x12\x12\x1e", None), // near end prints on
        ] {
            assert_eq!(parse(answer).unwrap().code, code, "{answer:x?}");
        }
    }

    #[test]
    fn a_clone_that_answers_only_the_first_question_is_believed() {
        assert_eq!(parse(b"\x12"), Some(Seen::default()));
        assert_eq!(parse(b"\x1a").unwrap().code, Some(Code::PrinterPaused));
    }
}
