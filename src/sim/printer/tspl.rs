//! Reads TSPL into pictures: `SIZE`, `BITMAP`, `PRINT`, and the immediate commands.
//!
//! Written from TSC's "TSPL/TSPL2 Programming Language Manual", one byte at a time. Black is 0.
//! Text and barcodes are not drawn; they are named in the label's `errors`.

use super::{Event, Graphics, MOST_COMMAND, MOST_ROWS, Query};

/// Most copies of one label.
const MOST_COPIES: u32 = 100;
const ESC: u8 = 0x1b;

/// The state of a TSPL printer's reader.
#[derive(Debug)]
pub(super) struct Reader {
    head: u32,
    dpi: u32,
    /// Kept over labels.
    size: (u32, u32),
    reference: (u32, u32),
    is_turned: bool,
    line: Vec<u8>,
    picture: Option<((u32, u32), usize, usize)>,
    data: Vec<u8>,
    bytes: Vec<u8>,
    label: Graphics,
}

impl Reader {
    pub(super) fn new(head: u32, height: u32, dpi: u32) -> Self {
        Self {
            head,
            dpi,
            size: (head, height.min(MOST_ROWS)),
            reference: (0, 0),
            is_turned: false,
            line: Vec::new(),
            picture: None,
            data: Vec::new(),
            bytes: Vec::new(),
            label: Graphics::default(),
        }
    }

    /// A label is drawn that is not printed yet, or a picture is open.
    pub(super) fn is_inside(&self) -> bool {
        self.picture.is_some() || !self.label.is_empty() || self.line.starts_with(b"B")
    }

    pub(super) fn forget(&mut self) {
        self.line.clear();
        self.picture = None;
        self.data.clear();
        self.bytes.clear();
        self.label = Graphics::default();
    }

    pub(super) fn feed(&mut self, byte: u8, events: &mut Vec<Event>) {
        if self.bytes.len() < MOST_COMMAND {
            self.bytes.push(byte);
        }
        if let Some((at, stride, left)) = self.picture {
            self.data.push(byte);
            if left > 1 {
                self.picture = Some((at, stride, left - 1));
                return;
            }
            let data: Vec<u8> = self.data.drain(..).map(|byte| !byte).collect();
            self.picture = None;
            self.label.put(at, stride, data);
            return;
        }
        if byte == b'\n' || byte == b'\r' {
            let line = std::mem::take(&mut self.line);
            self.act(line.trim_ascii(), events);
            return;
        }
        if self.line.len() < 512 {
            self.line.push(byte);
        }
        match self.line.as_slice() {
            // At once, wherever it stands.
            [before @ .., ESC, b'!', kind] => {
                let (kind, kept) = (*kind, before.len());
                self.line.truncate(kept);
                let rest = self.bytes.len().saturating_sub(3);
                self.bytes.truncate(rest);
                match kind {
                    b'?' => events.push(Event::Query(Query::TsplStatus)),
                    b'.' => {
                        self.forget();
                        events.push(Event::Cancel);
                    }
                    _ => {}
                }
            }
            line if byte == b','
                && line.starts_with(b"BITMAP ")
                && line.iter().filter(|b| **b == b',').count() == 5 =>
            {
                let line = std::mem::take(&mut self.line);
                self.open(&line);
            }
            _ => {}
        }
    }

    fn open(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line.get(7..).unwrap_or(&[])).into_owned();
        let numbers: Vec<u32> = text
            .split(',')
            .filter_map(|n| n.trim().parse().ok())
            .collect();
        match numbers.as_slice() {
            [x, y, stride, rows, 0]
                if (1..=MOST_ROWS).contains(rows) && (1..=4096).contains(stride) =>
            {
                let at = (x + self.reference.0, y + self.reference.1);
                let stride = *stride as usize;
                self.picture = Some((at, stride, stride * *rows as usize));
            }
            _ => self.label.error(format!("BITMAP {text}")),
        }
    }

    fn act(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let text = String::from_utf8_lossy(line).trim().to_owned();
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let numbers: Vec<u32> = rest
            .split(',')
            .map(|n| n.trim().parse().unwrap_or(0))
            .collect();
        let number = |index: usize| numbers.get(index).copied();
        match word {
            "" => {}
            "CLS" => {
                self.label = Graphics::default();
            }
            "SIZE" => match size(rest, self.dpi) {
                Some((width, height)) => {
                    self.size = (width.min(self.head), height.min(MOST_ROWS));
                }
                None => self.label.error(text),
            },
            "REFERENCE" => self.reference = (number(0).unwrap_or(0), number(1).unwrap_or(0)),
            "DIRECTION" => self.is_turned = number(0) == Some(1),
            "PRINT" => {
                let copies = number(0).unwrap_or(1) * number(1).unwrap_or(1);
                self.print(copies, events);
            }
            "GAP" | "BLINE" | "SPEED" | "DENSITY" | "SET" | "OFFSET" | "SHIFT" | "CODEPAGE" => {}
            other => {
                let shown = other.chars().take(20).collect::<String>();
                self.label.error(format!("not drawn: {shown}"));
            }
        }
    }

    fn print(&mut self, copies: u32, events: &mut Vec<Event>) {
        let bytes = std::mem::take(&mut self.bytes);
        if self.label.is_empty() {
            return;
        }
        // The picture stays until the next CLS; a second PRINT without one prints it again.
        let mut image = self.label.drawn(self.size.0, Some(self.size.1));
        if self.is_turned {
            image = super::turned(&image);
        }
        let errors = self.label.errors.clone();
        self.label = Graphics::default();
        for _ in 0..copies.min(MOST_COPIES) {
            events.push(Event::Label {
                image: image.clone(),
                bytes: bytes.clone(),
                errors: errors.clone(),
            });
        }
    }
}

/// `w mm,h mm`, `w,h` in inches, `w dot,h dot`; in dots.
fn size(text: &str, dpi: u32) -> Option<(u32, u32)> {
    let mut parts = text.split(',').map(|part| {
        let part = part.trim().to_ascii_lowercase();
        let dots = if let Some(mm) = part.strip_suffix("mm") {
            mm.trim().parse::<f64>().ok()? * f64::from(dpi) / 25.4
        } else if let Some(dots) = part.strip_suffix("dot") {
            dots.trim().parse().ok()?
        } else {
            part.parse::<f64>().ok()? * f64::from(dpi)
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked before the cast"
        )]
        (dots.is_finite() && (0.5..100_000.0).contains(&dots)).then(|| dots.round() as u32)
    });
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Event> {
        let mut reader = Reader::new(832, 100, 203);
        let mut events = Vec::new();
        for byte in bytes {
            reader.feed(*byte, &mut events);
        }
        events
    }

    #[test]
    fn a_picture_lies_on_a_label_of_the_size_that_is_said() {
        let events =
            read(b"SIZE 16 dot,2 dot\r\nCLS\r\nBITMAP 0,0,1,2,0,\x7f\xfe\r\nPRINT 1,2\r\n");
        let [Event::Label { image, errors, .. }, Event::Label { .. }] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!((image.width, image.height), (16, 2));
        assert_eq!(image.bits, [0x80, 0, 0x01, 0]);
        assert_eq!(size("4,6", 203), Some((812, 1218)));
        assert_eq!(size("101.6 mm,152.4 mm", 300), Some((1200, 1800)));
        assert_eq!(size("x", 203), None);
    }

    #[test]
    fn immediate_commands_are_no_part_of_a_label() {
        let events = read(b"\x1b!?BITMAP 0,0,1,1,0,");
        assert!(matches!(&events[..], [Event::Query(Query::TsplStatus)]));
        let events = read(b"CLS\r\nBITMAP 0,0,1,1,0,\0\r\n\x1b!.PRINT 1\r\n");
        assert!(matches!(&events[..], [Event::Cancel]), "{events:?}");
    }
}
