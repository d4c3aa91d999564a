//! Bytes to scans: the pure part of every byte-stream scanner (contract 16, 22).
//!
//! Time only passes in [`Assembler::silence`]: a station that is slow itself never discards what a
//! scanner sent in time. Memory is bounded whatever arrives: an over-long line is one bad scan and
//! is then swallowed to its end.

use crate::domain::ScanText;
use crate::domain::scan::BadScan;
use std::time::Duration;

/// Bytes of one line that are kept: 128 characters, an AIM prefix, and generous blanks around them.
const KEPT: usize = 256;
/// Silence in the middle of a line after which the line is discarded.
pub const CUT_OFF: Duration = Duration::from_millis(300);

/// After such a cut a wary assembler takes what follows within this for the rest of the same scan.
pub const DOUBT: Duration = Duration::from_secs(1);

/// How a scan ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// CR, LF or TAB; CR LF is one. Silence or end of input before that discards the line.
    Suffix,
    /// So much silence, or end of input.
    Idle(Duration),
    /// LF, or end of input; silence means nothing (standard input).
    Line,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// A clean scan.
    Scan(ScanText),
    /// A complete line that is no scan.
    Bad(BadScan),
    /// The beginning of a scan whose end never came: "scan again".
    Incomplete,
}

/// Puts one connection's bytes together.
#[derive(Debug)]
pub struct Assembler {
    end: End,
    line: Vec<u8>,
    /// The line was too long, which has been said; the rest of it is dropped.
    swallowing: bool,
    /// The last byte was CR: a LF now belongs to it.
    after_cr: bool,
    /// A scan that stalls has a tail, and the tail must not be taken for a scan.
    wary: bool,
    /// A scan was cut off by silence a moment ago.
    doubting: bool,
}

impl Assembler {
    /// Starts with an empty line.
    pub fn new(end: End) -> Self {
        Self {
            end,
            line: Vec::new(),
            swallowing: false,
            after_cr: false,
            wary: false,
            doubting: false,
        }
    }

    /// As [`Assembler::new`], for devices whose typing can stall in the middle: what comes within
    /// [`DOUBT`] after a cut is the tail of what was cut, never a scan. The packer has been told to
    /// scan again, which takes longer.
    pub fn wary(end: End) -> Self {
        Self {
            wary: true,
            ..Self::new(end)
        }
    }

    /// Takes bytes as they come; appends what they complete.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Assembled>) {
        for &byte in bytes {
            if std::mem::take(&mut self.doubting) {
                self.swallowing = true;
            }
            let second_half = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            if self.ends_with(byte) {
                if !second_half {
                    out.extend(self.complete());
                }
            } else if self.line.len() < KEPT {
                if !self.swallowing {
                    self.line.push(byte);
                }
            } else if !self.swallowing {
                self.swallowing = true;
                self.line.clear();
                out.push(Assembled::Bad(BadScan::TooLong));
            }
        }
    }

    /// How long the connection may be silent before [`Assembler::silence`] is due.
    pub fn patience(&self) -> Option<Duration> {
        if self.doubting {
            return Some(DOUBT);
        }
        let begun = !self.line.is_empty() || self.swallowing;
        match self.end {
            End::Suffix => begun.then_some(CUT_OFF),
            End::Idle(idle) => begun.then_some(idle),
            End::Line => None,
        }
    }

    /// The source lost something on the way here. What has come of this scan, and what still comes
    /// of it, is not to be trusted: "scan again".
    pub fn lost(&mut self) -> Assembled {
        self.line.clear();
        self.after_cr = false;
        self.swallowing = true;
        Assembled::Incomplete
    }

    /// Nothing came for as long as [`Assembler::patience`] said.
    pub fn silence(&mut self) -> Option<Assembled> {
        match self.end {
            End::Suffix if std::mem::take(&mut self.doubting) => None,
            End::Suffix => {
                self.doubting = self.wary && (!self.line.is_empty() || self.swallowing);
                self.discard()
            }
            End::Idle(_) => self.complete(),
            End::Line => None,
        }
    }

    /// The input has ended.
    pub fn finish(&mut self) -> Option<Assembled> {
        self.after_cr = false;
        match self.end {
            End::Suffix => self.discard(),
            End::Idle(_) | End::Line => self.complete(),
        }
    }

    fn ends_with(&self, byte: u8) -> bool {
        match self.end {
            End::Suffix => matches!(byte, b'\r' | b'\n' | b'\t'),
            End::Line => byte == b'\n',
            End::Idle(_) => false,
        }
    }

    fn complete(&mut self) -> Option<Assembled> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.swallowing) {
            return None;
        }
        // Terminators on their own are a scanner's habit (CR TAB, a blank line), not a scan.
        if line.iter().all(|b| matches!(b, b'\r' | b'\n' | b'\t')) {
            return None;
        }
        let scan = std::str::from_utf8(&line)
            .map_err(|_| BadScan::Unprintable)
            .and_then(ScanText::parse);
        Some(match scan {
            Ok(text) => Assembled::Scan(text),
            Err(why) => Assembled::Bad(why),
        })
    }

    fn discard(&mut self) -> Option<Assembled> {
        let begun = !std::mem::take(&mut self.line).is_empty();
        let swallowed = std::mem::take(&mut self.swallowing);
        (begun && !swallowed).then_some(Assembled::Incomplete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &str) -> Assembled {
        Assembled::Scan(ScanText::parse(text).unwrap())
    }

    /// Everything that comes out of these chunks, without silence and before the end.
    fn all(end: End, chunks: &[&[u8]]) -> (Vec<Assembled>, Assembler) {
        let mut assembler = Assembler::new(end);
        let mut out = Vec::new();
        for chunk in chunks {
            assembler.feed(chunk, &mut out);
        }
        (out, assembler)
    }

    #[test]
    fn a_scan_without_its_suffix_is_discarded_and_the_next_one_is_whole() {
        let (out, mut assembler) = all(End::Suffix, &[b"WEB-1"]);
        assert!(out.is_empty());
        assert_eq!(assembler.patience(), Some(CUT_OFF));
        assert_eq!(assembler.silence(), Some(Assembled::Incomplete));
        assert_eq!(assembler.patience(), None);
        let mut out = Vec::new();
        assembler.feed(b"WEB-2\r", &mut out);
        assert_eq!(out, [scan("WEB-2")]);
        assembler.feed(b"WEB", &mut out);
        assert_eq!(assembler.finish(), Some(Assembled::Incomplete));
    }

    #[test]
    fn each_suffix_ends_a_scan_and_cr_lf_is_one_even_across_reads() {
        let (out, mut assembler) = all(End::Suffix, &[b"A\rB\nC\tD\r", b"\nE\r\n", b"\n\n\r\t"]);
        assert_eq!(out, ["A", "B", "C", "D", "E"].map(scan));
        assert_eq!(assembler.finish(), None);
    }

    #[test]
    fn a_megabyte_is_one_bad_scan_and_little_memory() {
        let mut assembler = Assembler::new(End::Suffix);
        let mut out = Vec::new();
        for _ in 0..1024 {
            assembler.feed(&[b'7'; 1024], &mut out);
        }
        assert!(assembler.line.capacity() <= 2 * KEPT);
        assembler.feed(b"\rWEB-1\r", &mut out);
        assert_eq!(out, [Assembled::Bad(BadScan::TooLong), scan("WEB-1")]);
        assembler.feed(&[b'7'; 5000], &mut out);
        assert_eq!(assembler.silence(), None, "it was said once");
        assembler.feed(b"WEB-2\r", &mut out);
        assert_eq!(out.last(), Some(&scan("WEB-2")));
    }

    #[test]
    fn the_tail_of_a_scan_that_stalled_is_no_scan() {
        let mut assembler = Assembler::wary(End::Suffix);
        let mut out = Vec::new();
        assembler.feed(b"PICK-2026-0001", &mut out);
        assert_eq!(assembler.silence(), Some(Assembled::Incomplete));
        assert_eq!(assembler.patience(), Some(DOUBT));
        // It stalls twice; its end looks like an order.
        assembler.feed(b"23", &mut out);
        assert_eq!(assembler.silence(), None, "it was said once");
        assembler.feed(b"6789\r\n", &mut out);
        assert_eq!(out, []);
        assembler.feed(b"WEB-2\r", &mut out);
        assert_eq!(out, [scan("WEB-2")]);
        // A scan that had no end at all is over when the doubt is.
        assembler.feed(b"WEB-", &mut out);
        assert_eq!(assembler.silence(), Some(Assembled::Incomplete));
        assert_eq!(assembler.silence(), None);
        assert_eq!(assembler.patience(), None);
        assembler.feed(b"WEB-3\r", &mut out);
        assert_eq!(out, [scan("WEB-2"), scan("WEB-3")]);
    }

    #[test]
    fn after_a_loss_nothing_is_believed_before_the_next_scan_begins() {
        for end in [End::Suffix, End::Idle(Duration::from_millis(50))] {
            let (_, mut assembler) = all(end, &[b"PICK-2026-00012345"]);
            assert_eq!(assembler.lost(), Assembled::Incomplete);
            let mut out = Vec::new();
            // The tail of the scan that lost its middle looks like a whole one.
            assembler.feed(b"6789", &mut out);
            assert!(assembler.patience().is_some());
            if end == End::Suffix {
                assembler.feed(b"\r", &mut out);
            } else {
                assert_eq!(assembler.silence(), None, "it was said once");
            }
            assembler.feed(b"WEB-2\r", &mut out);
            out.extend(assembler.finish());
            assert_eq!(out, [scan("WEB-2")]);
        }
        let (_, mut assembler) = all(End::Suffix, &[b""]);
        assembler.lost();
        assert_eq!(assembler.silence(), None);
        assert_eq!(assembler.patience(), None, "silence ends the distrust");
    }

    #[test]
    fn idle_mode_ends_by_silence_or_end_of_input_only() {
        let idle = End::Idle(Duration::from_millis(50));
        let (out, mut assembler) = all(idle, &[b"WEB-1\r\n"]);
        assert!(out.is_empty());
        assert_eq!(assembler.patience(), Some(Duration::from_millis(50)));
        assert_eq!(assembler.silence(), Some(scan("WEB-1")));
        let (_, mut assembler) = all(idle, &[b"WEB-2"]);
        assert_eq!(assembler.finish(), Some(scan("WEB-2")));
    }

    #[test]
    fn standard_input_is_lines_and_its_end_completes_the_last() {
        let (out, mut assembler) = all(End::Line, &[b"WEB-1\r\n\n", b"WEB-2\tX\nWEB-3"]);
        assert_eq!(out, [scan("WEB-1"), Assembled::Bad(BadScan::Unprintable)]);
        assert_eq!((assembler.patience(), assembler.silence()), (None, None));
        assert_eq!(assembler.finish(), Some(scan("WEB-3")));
    }

    #[test]
    fn what_is_not_text_is_a_bad_scan() {
        let (out, _) = all(End::Suffix, &[b"\xff\xfe\r", b"A\x00B\r", b"   \r"]);
        assert_eq!(
            out,
            [
                Assembled::Bad(BadScan::Unprintable),
                Assembled::Bad(BadScan::Unprintable),
                Assembled::Bad(BadScan::Empty)
            ]
        );
    }

    /// The obvious reading of a whole input: split at terminators, each piece on its own.
    fn reference(bytes: &[u8]) -> Vec<Assembled> {
        let text: Vec<u8> = bytes.to_vec();
        let mut pieces: Vec<&[u8]> = text.split(|b| matches!(b, b'\r' | b'\n' | b'\t')).collect();
        pieces.pop();
        pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(|piece| {
                if piece.len() > KEPT {
                    return Assembled::Bad(BadScan::TooLong);
                }
                match std::str::from_utf8(piece).map(ScanText::parse) {
                    Ok(Ok(text)) => Assembled::Scan(text),
                    Ok(Err(why)) => Assembled::Bad(why),
                    Err(_) => Assembled::Bad(BadScan::Unprintable),
                }
            })
            .collect()
    }

    proptest! {
        #[test]
        fn however_the_bytes_are_cut_up_the_scans_are_the_same(
            lines in prop::collection::vec(
                (prop::collection::vec(prop_oneof![20 => 32u8..127, 1 => any::<u8>()], 0..300), prop::sample::select(vec!["\r", "\n", "\t", "\r\n"])),
                0..8,
            ),
            cuts in prop::collection::vec(1usize..40, 1..50),
        ) {
            let input: Vec<u8> = lines.iter().flat_map(|(l, e)| l.iter().copied().chain(e.bytes())).collect();
            let mut assembler = Assembler::new(End::Suffix);
            let mut out = Vec::new();
            let (mut rest, mut cut) = (input.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (now, later) = rest.split_at((*cut.next().unwrap()).min(rest.len()));
                assembler.feed(now, &mut out);
                prop_assert!(assembler.line.len() <= KEPT);
                rest = later;
            }
            prop_assert_eq!(out, reference(&input));
            prop_assert_eq!(assembler.finish(), None);
        }
    }
}
