//! Reads ESC/POS into pictures: raster bands, feeds, cuts and the real-time questions.
//!
//! Written from Epson's "ESC/POS command reference", one byte at a time. Text is not drawn; it is
//! named in the label's `errors`. A picture's width is the head's.

use super::{Event, MOST_COMMAND, MOST_ROWS, Query};
use crate::domain::Bitmap;

const DLE: u8 = 0x10;
const ESC: u8 = 0x1b;
const GS: u8 = 0x1d;
/// Vertical motion units per inch after a start or `ESC @` (TM-T88 and its kin).
const DEFAULT_UNITS: u32 = 360;

/// The state of an ESC/POS printer's reader.
#[derive(Debug)]
pub(super) struct Reader {
    head: u32,
    dpi: u32,
    units: u32,
    /// 1/`units` inch.
    line: u32,
    command: Vec<u8>,
    rows: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    errors: Vec<String>,
}

impl Reader {
    pub(super) fn new(head: u32, dpi: u32) -> Self {
        Self {
            head: head.clamp(8, 10_000),
            dpi: dpi.clamp(1, 1200),
            units: DEFAULT_UNITS,
            line: DEFAULT_UNITS / 6,
            command: Vec::new(),
            rows: Vec::new(),
            bytes: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Something is on the paper that is not cut yet, or a command is open.
    pub(super) fn is_inside(&self) -> bool {
        let is_question = self.command.first() == Some(&DLE);
        !self.rows.is_empty() || (self.command.len() > 1 && !is_question)
    }

    /// Forgets the page so far.
    pub(super) fn forget(&mut self) {
        self.command.clear();
        self.rows.clear();
        self.bytes.clear();
        self.errors.clear();
    }

    pub(super) fn feed(&mut self, byte: u8, events: &mut Vec<Event>) {
        if self.bytes.len() < MOST_COMMAND {
            self.bytes.push(byte);
        }
        self.command.push(byte);
        match self.length() {
            Some(length) if length > MOST_COMMAND => {
                self.command.clear();
                self.error(format!("a command of {length} bytes"));
            }
            Some(length) if self.command.len() >= length => {
                let command = std::mem::take(&mut self.command);
                self.act(&command, events);
            }
            _ => {}
        }
    }

    /// How long the command under way is, once that can be known.
    fn length(&self) -> Option<usize> {
        let at = |index: usize| self.command.get(index).copied();
        let sized = |low: u8, high: u8| usize::from(u16::from_le_bytes([low, high]));
        match at(0)? {
            DLE => match at(1)? {
                4 => match at(2)? {
                    7 | 8 | 18 => Some(4),
                    _ => Some(3),
                },
                0x14 => match at(2)? {
                    8 => Some(10),
                    _ => Some(5),
                },
                5 => Some(3),
                _ => Some(2),
            },
            ESC => match at(1)? {
                b'@' | b'2' => Some(2),
                b'c' | b'*' => Some(4),
                b'p' => Some(5),
                _ => Some(3),
            },
            GS => match at(1)? {
                b'P' | b'L' | b'W' => Some(4),
                b'V' => match at(2)? {
                    65 | 66 | 97 | 98 => Some(4),
                    _ => Some(3),
                },
                b'(' => Some(5 + sized(at(3)?, at(4)?)),
                b'v' => Some(8 + sized(at(4)?, at(5)?) * sized(at(6)?, at(7)?)),
                _ => Some(3),
            },
            _ => Some(1),
        }
    }

    fn act(&mut self, command: &[u8], events: &mut Vec<Event>) {
        match command {
            [DLE, 4, kind] | [DLE, 4, kind, _] => {
                // A question is no part of the label it interrupts.
                let rest = self.bytes.len().saturating_sub(command.len());
                self.bytes.truncate(rest);
                events.push(Event::Query(Query::RealTime(*kind)));
            }
            [DLE, 0x14, 8, ..] => {
                self.forget();
                events.push(Event::Cancel);
            }
            [ESC, b'@'] => {
                self.units = DEFAULT_UNITS;
                self.line = DEFAULT_UNITS / 6;
            }
            [ESC, b'2'] => self.line = self.units / 6,
            [ESC, b'3', line] => self.line = u32::from(*line),
            [ESC, b'J', units] => self.feed_units(u32::from(*units)),
            [ESC, b'd', lines] => self.feed_units(u32::from(*lines) * self.line),
            [b'\n'] => self.feed_units(self.line),
            [GS, b'P', _, y] => {
                self.units = if *y == 0 {
                    DEFAULT_UNITS
                } else {
                    u32::from(*y)
                };
            }
            [GS, b'v', b'0', mode, xl, xh, _, _, data @ ..] => {
                let stride = usize::from(u16::from_le_bytes([*xl, *xh]));
                self.raster(*mode, stride, data);
            }
            [GS, b'V', ..] | [0x0c] => self.cut(events),
            [0 | b'\r' | 0x18] | [ESC, b'!' | b'a' | b't' | b'M' | b'E' | b'G', _] => {}
            [letter] if (0x20..0x7f).contains(letter) => {
                self.error(format!("text {:?}", char::from(*letter)));
            }
            other => {
                let shown = other.get(..other.len().min(8)).unwrap_or(other);
                self.error(format!("not drawn: {shown:x?}"));
            }
        }
    }

    fn error(&mut self, text: String) {
        if self.errors.len() < 20 {
            self.errors.push(text);
        }
    }

    fn feed_units(&mut self, units: u32) {
        let dots = units * self.dpi;
        if !dots.is_multiple_of(self.units) {
            self.error(format!(
                "a feed of {units}/{} inch is no whole row",
                self.units
            ));
        }
        for _ in 0..dots / self.units {
            self.push_row(Vec::new());
        }
    }

    fn push_row(&mut self, row: Vec<u8>) {
        if self.rows.len() < MOST_ROWS as usize {
            self.rows.push(row);
        }
    }

    fn raster(&mut self, mode: u8, stride: usize, data: &[u8]) {
        if !matches!(mode, 0 | 48) {
            self.error(format!("raster mode {mode}"));
        }
        if stride > self.head.div_ceil(8) as usize {
            self.error("the raster is wider than the head".to_owned());
        }
        for row in data.chunks(stride.max(1)) {
            self.push_row(row.to_vec());
        }
    }

    fn cut(&mut self, events: &mut Vec<Event>) {
        let rows = std::mem::take(&mut self.rows);
        let bytes = std::mem::take(&mut self.bytes);
        let errors = std::mem::take(&mut self.errors);
        if rows.is_empty() && errors.is_empty() {
            return; // a cut of nothing
        }
        let mut image = Bitmap::new_white(self.head, u32::try_from(rows.len()).unwrap_or(0));
        for (y, row) in (0_u32..).zip(&rows) {
            for (index, byte) in (0_u32..).zip(row) {
                for bit in (0..8_u32).filter(|bit| byte & (128 >> bit) != 0) {
                    image.set_black(index * 8 + bit, y);
                }
            }
        }
        events.push(Event::Label {
            image,
            bytes,
            errors,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<Event>, Reader) {
        let mut reader = Reader::new(16, 180);
        let mut events = Vec::new();
        for byte in bytes {
            reader.feed(*byte, &mut events);
        }
        (events, reader)
    }

    #[test]
    fn a_feed_counts_in_motion_units_and_not_in_rows() {
        let (events, _) = read(b"\x1b@\x1bJ\x08\x1dV\0");
        assert!(matches!(&events[..], [Event::Label { image, .. }] if image.height == 4));
        let (events, _) = read(b"\x1b@\x1dP\xb4\xb4\x1bJ\x08\x1bd\x01\x1dVA\0");
        let [Event::Label { image, errors, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(image.height, 8 + 60);
        assert!(errors.is_empty());
    }

    #[test]
    fn bands_lie_below_each_other_and_the_cut_ends_the_page() {
        let (events, reader) =
            read(b"\x1dv0\0\x02\0\x01\0\x80\x01\x1dv0\0\x01\0\x02\0\xff\0\x1dV\x42\0");
        let [Event::Label { image, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(image.bits, [0x80, 0x01, 0xff, 0, 0, 0]);
        assert!(!reader.is_inside());
    }

    #[test]
    fn a_question_is_answered_in_the_middle_but_not_inside_a_picture() {
        let (events, reader) = read(b"\x1dv0\0\x01\0\x03\0\x10\x04\x01\x10\x04\x01\0");
        assert!(
            matches!(&events[..], [Event::Query(Query::RealTime(1))]),
            "{events:?}"
        );
        assert!(reader.is_inside());
    }

    #[test]
    fn text_and_wide_pictures_are_named() {
        let (events, _) = read(b"A\x1dv0\0\x03\0\x01\0abc\x1dV\0");
        let [Event::Label { errors, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(errors.len(), 2, "{errors:?}");
    }
}
