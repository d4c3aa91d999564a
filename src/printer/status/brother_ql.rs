//! Brother QL: 32 bytes, asked for by `ESC i S` or sent by the printer itself while it prints.
//!
//! Format: Brother "Raster Command Reference" of the QL series. "Printing completed" (status
//! type one) is the printer's own word that the label is out. It must not be asked while it prints: the
//! station listens first, after a label. The answer names the labels in it.

use super::{Seen, Stock};
use crate::domain::Code;

pub(super) const QUERY: &[u8] = b"\x1biS";
pub(super) const LENGTH: usize = 32;

const COMPLETED: u8 = 1;
const FAILED: u8 = 2;
const TURNED_OFF: u8 = 4;

/// Whether nothing more is to be waited for after so many labels: they are out, or will not come out.
pub(super) fn is_settled(heard: &[u8], labels: u8) -> bool {
    completed(heard) >= labels.into()
        || frames(heard).any(|frame| matches!(frame.get(18), Some(&(FAILED | TURNED_OFF))))
}

/// The newest state that is told; `counter`: how many labels were completed meanwhile, if any.
pub(super) fn parse(heard: &[u8]) -> Option<Seen> {
    let mut seen = state(frames(heard).last()?);
    seen.counter = Some(completed(heard)).filter(|labels| *labels > 0);
    Some(seen)
}

fn completed(heard: &[u8]) -> u64 {
    let completed = frames(heard).filter(|frame| frame.get(18) == Some(&COMPLETED));
    completed.count() as u64
}

fn frames(heard: &[u8]) -> impl Iterator<Item = &[u8]> {
    heard
        .chunks_exact(LENGTH)
        .filter(|frame| frame.starts_with(b"\x80\x20B"))
}

fn state(frame: &[u8]) -> Seen {
    let byte = |index: usize| frame.get(index).copied().unwrap_or(0);
    let (first, second) = (byte(8), byte(9));
    let mut seen = if second & 0x10 != 0 {
        Seen::stopped(Code::PrinterCoverOpen, "the cover is open")
    } else if first & 0x03 != 0 {
        Seen::stopped(Code::PrinterMediaOut, "out of labels")
    } else if second & 0x01 != 0 {
        Seen::stopped(Code::PrinterMediaOut, "other labels are in it")
    } else if first & 0x04 != 0 {
        Seen::stopped(Code::PrinterCoverOpen, "the cutter is jammed")
    } else if second & 0x40 != 0 {
        Seen::stopped(Code::PrinterCoverOpen, "labels are jammed")
    } else if first != 0 || second & !0x20 != 0 {
        Seen::stopped(
            Code::PrinterPaused,
            &format!("the printer reports error {first:02x} {second:02x}"),
        )
    } else if byte(18) == TURNED_OFF {
        Seen::stopped(Code::PrinterOffline, "it was turned off")
    } else {
        Seen::default()
    };
    seen.busy = byte(19) != 0;
    // Type 0: no labels, which the errors say already.
    if byte(11) != 0 {
        seen.stock = Some(Stock::Tape {
            width_mm: byte(10),
            length_mm: byte(17),
        });
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(set: &[(usize, u8)]) -> [u8; LENGTH] {
        let mut frame = [0; LENGTH];
        frame[..8].copy_from_slice(b"\x80\x20B4C0\0\0");
        frame[10] = 102;
        frame[11] = 0x0b;
        frame[17] = 153;
        for (at, value) in set {
            frame[*at] = *value;
        }
        frame
    }

    #[test]
    fn what_is_not_a_frame_is_no_answer() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(&[0; 32]), None);
        assert_eq!(parse(&frame(&[])[..31]), None);
    }

    #[test]
    fn each_error_has_its_code() {
        for (at, bit, code) in [
            (8, 0x01, Code::PrinterMediaOut),
            (8, 0x02, Code::PrinterMediaOut),
            (8, 0x04, Code::PrinterCoverOpen),
            (8, 0x40, Code::PrinterPaused),
            (9, 0x01, Code::PrinterMediaOut),
            (9, 0x10, Code::PrinterCoverOpen),
            (9, 0x40, Code::PrinterCoverOpen),
            (9, 0x80, Code::PrinterPaused),
            (18, 4, Code::PrinterOffline),
        ] {
            let seen = parse(&frame(&[(at, bit)])).unwrap();
            assert_eq!(seen.code, Some(code), "{at} {bit:x}");
        }
    }

    #[test]
    fn a_completed_label_counts_and_the_labels_in_it_are_told() {
        let heard = [
            frame(&[(18, 6), (19, 1)]),
            frame(&[(18, 1), (19, 1)]),
            frame(&[(18, 6)]),
        ]
        .concat();
        assert!(!is_settled(&heard[..32], 1) && is_settled(&heard[..64], 1));
        assert!(!is_settled(&heard, 2));
        assert!(is_settled(&[&heard[..], &heard[..]].concat(), 2));
        let seen = parse(&heard).unwrap();
        assert_eq!((seen.counter, seen.busy, seen.code), (Some(1), false, None));
        let tape = Stock::Tape {
            width_mm: 102,
            length_mm: 153,
        };
        assert_eq!(seen.stock, Some(tape));
    }
}
