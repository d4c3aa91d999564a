//! TSPL: `<ESC>!?`, one byte.
//!
//! Format: TSC "TSPL/TSPL2 Programming Language Manual", immediate commands: bit 0 head open,
//! 1 jam, 2 out of paper, 3 out of ribbon, 4 paused, 5 printing, 7 other error.

use super::Seen;
use crate::domain::Code;

pub(super) const QUERY: &[u8] = b"\x1b!?";

pub(super) fn parse(answer: &[u8]) -> Option<Seen> {
    let [byte] = answer else { return None }; // one byte, or something else talks
    let has = |bit: u8| byte & bit != 0;
    if has(0x40) {
        return None; // not in the manual
    }
    let mut seen = if has(0x01) {
        Seen::stopped(Code::PrinterCoverOpen, "the head is open")
    } else if has(0x04) {
        Seen::stopped(Code::PrinterMediaOut, "out of labels")
    } else if has(0x08) {
        Seen::stopped(Code::PrinterMediaOut, "out of ribbon")
    } else if has(0x02) {
        Seen::stopped(Code::PrinterCoverOpen, "labels are jammed")
    } else if has(0x10) {
        Seen::stopped(Code::PrinterPaused, "paused")
    } else if has(0x80) {
        Seen::stopped(Code::PrinterPaused, "the printer reports an error")
    } else {
        Seen::default()
    };
    seen.busy = has(0x20);
    Some(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_has_its_code() {
        for (byte, code) in [
            (0x00, None),
            (0x20, None),
            (0x01, Some(Code::PrinterCoverOpen)),
            (0x02, Some(Code::PrinterCoverOpen)),
            (0x05, Some(Code::PrinterCoverOpen)),
            (0x04, Some(Code::PrinterMediaOut)),
            (0x08, Some(Code::PrinterMediaOut)),
            (0x10, Some(Code::PrinterPaused)),
        ] {
            assert_eq!(parse(&[byte]).unwrap().code, code, "{byte:x}");
        }
        assert!(parse(&[0x20]).unwrap().busy);
        assert_eq!(parse(b"~!"), None);
        assert_eq!(parse(&[0x40]), None);
    }
}
