//! Reads Brother QL raster into pictures of the whole head, mirrored back.
//!
//! Written from Brother's "Raster Command Reference" of the QL series, one byte at a time. Knows
//! nothing of label sizes: a picture is as wide as the rows that came, 720 or 1296 dots.

use super::{Event, MOST_COMMAND, MOST_ROWS, Query};
use crate::domain::Bitmap;

const ESC: u8 = 0x1b;

/// The state of a Brother QL's reader.
#[derive(Debug, Default)]
pub(super) struct Reader {
    command: Vec<u8>,
    is_packed: bool,
    /// Of the job under way: kind, width and length of its labels, rows announced.
    announced: Option<([u8; 3], u32)>,
    rows: Vec<Vec<u8>>,
    bytes: Vec<u8>,
    errors: Vec<String>,
}

impl Reader {
    pub(super) fn is_inside(&self) -> bool {
        !self.rows.is_empty() || self.announced.is_some()
    }

    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn feed(&mut self, byte: u8, events: &mut Vec<Event>) {
        if self.command.is_empty() && byte == 0 {
            return; // "invalidate"
        }
        if self.bytes.len() < MOST_COMMAND {
            self.bytes.push(byte);
        }
        self.command.push(byte);
        if self
            .length()
            .is_some_and(|length| self.command.len() >= length)
        {
            let command = std::mem::take(&mut self.command);
            self.act(&command, events);
        }
    }

    fn length(&self) -> Option<usize> {
        let at = |index: usize| self.command.get(index).copied();
        match at(0)? {
            ESC => match at(1)? {
                b'i' => match at(2)? {
                    b'S' => Some(3),
                    b'z' => Some(13),
                    b'd' => Some(5),
                    _ => Some(4),
                },
                _ => Some(2),
            },
            b'M' => Some(2),
            b'g' => Some(3 + usize::from(at(2)?)),
            _ => Some(1),
        }
    }

    fn act(&mut self, command: &[u8], events: &mut Vec<Event>) {
        match command {
            [ESC, b'i', b'S'] => {
                let rest = self.bytes.len().saturating_sub(3);
                self.bytes.truncate(rest);
                events.push(Event::Query(Query::BrotherStatus));
            }
            [ESC, b'@'] => {
                let was_inside = self.is_inside();
                self.forget();
                if !was_inside {
                    events.push(Event::Cancel);
                }
            }
            [ESC, b'i', b'z', _, kind, width, length, a, b, c, d, ..] => {
                let rows = u32::from_le_bytes([*a, *b, *c, *d]);
                self.announced = Some(([*kind, *width, *length], rows));
            }
            [ESC, b'i', ..] => {}
            [b'M', mode] => self.is_packed = *mode == 2,
            [b'g', _, _, data @ ..] => {
                let row = if self.is_packed {
                    unpacked(data)
                } else {
                    data.to_vec()
                };
                if self.rows.len() < MOST_ROWS as usize {
                    self.rows.push(row);
                }
            }
            [b'Z'] => self.rows.push(Vec::new()),
            [0x0c | 0x1a] => self.print(events),
            other => {
                if self.errors.len() < 20 {
                    self.errors.push(format!("not known: {other:x?}"));
                }
            }
        }
    }

    fn print(&mut self, events: &mut Vec<Event>) {
        let rows = std::mem::take(&mut self.rows);
        let bytes = std::mem::take(&mut self.bytes);
        let mut errors = std::mem::take(&mut self.errors);
        let stride = rows.iter().map(Vec::len).max().unwrap_or(0);
        if !matches!(stride, 90 | 162) {
            errors.push(format!("rows of {stride} bytes"));
        }
        match self.announced.take() {
            Some((_, announced)) if announced as usize == rows.len() => {}
            Some((_, announced)) => {
                errors.push(format!("{announced} rows announced, {} sent", rows.len()));
            }
            None => errors.push("nothing was announced".to_owned()),
        }
        let pins = u32::try_from(stride.min(162) * 8).unwrap_or(0);
        let mut image = Bitmap::new_white(pins, u32::try_from(rows.len()).unwrap_or(0));
        for (y, row) in (0_u32..).zip(&rows) {
            for (index, byte) in (0_u32..).zip(row) {
                for bit in (0..8_u32).filter(|bit| byte & (128 >> bit) != 0) {
                    if let Some(x) = (pins - 1).checked_sub(index * 8 + bit) {
                        image.set_black(x, y);
                    }
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

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = packed;
    while let [count, after @ ..] = rest {
        let count = usize::from(*count);
        if count < 128 {
            let (plain, next) = after.split_at(after.len().min(count + 1));
            out.extend_from_slice(plain);
            rest = next;
        } else if let ([byte, next @ ..], 129..) = (after, count) {
            out.resize(out.len() + 257 - count, *byte);
            rest = next;
        } else {
            rest = after;
        }
    }
    out
}
