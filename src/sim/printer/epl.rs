//! Reads EPL2 (page mode) into pictures: `GW` graphics, `P`, and `^ee`.
//!
//! Written from Zebra's "EPL Programming Guide" and a courier's own label, one byte at a time.
//! Black is 0, as in that label. Text and barcodes are not drawn; they are named in the label's
//! `errors`. A label is as tall as what is on it.

use super::{Event, Graphics, MOST_COMMAND, MOST_ROWS, Query};

/// Most copies of one label.
const MOST_COPIES: u32 = 100;

/// The state of an EPL2 printer's reader.
#[derive(Debug)]
pub(super) struct Reader {
    head: u32,
    /// Kept over labels.
    width: u32,
    origin: (u32, u32),
    line: Vec<u8>,
    /// A picture under way: where it goes, bytes of a row, bytes still to come.
    picture: Option<((u32, u32), usize, usize)>,
    data: Vec<u8>,
    bytes: Vec<u8>,
    label: Graphics,
}

impl Reader {
    pub(super) fn new(head: u32) -> Self {
        Self {
            head,
            width: head,
            origin: (0, 0),
            line: Vec::new(),
            picture: None,
            data: Vec::new(),
            bytes: Vec::new(),
            label: Graphics::default(),
        }
    }

    /// Something is drawn that is not printed yet, or a picture is open.
    pub(super) fn is_inside(&self) -> bool {
        self.picture.is_some() || !self.label.is_empty() || self.line.starts_with(b"G")
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
        match byte {
            b'\r' | b'\n' => {
                let line = std::mem::take(&mut self.line);
                if line.starts_with(b"GW") && line.iter().filter(|b| **b == b',').count() == 3 {
                    // `GWx,y,w,h` with its picture on the next line: the line feed belongs to it.
                    if byte == b'\n' {
                        self.open(&line);
                    } else {
                        self.line = line;
                    }
                    return;
                }
                self.act(line.trim_ascii(), events);
            }
            _ if self.line.len() < 512 => {
                self.line.push(byte);
                let commas = self.line.iter().filter(|b| **b == b',').count();
                if byte == b',' && self.line.starts_with(b"GW") && commas == 4 {
                    let line = std::mem::take(&mut self.line);
                    self.open(&line);
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line.get(2..).unwrap_or(&[])).into_owned();
        let numbers: Vec<u32> = text
            .split(',')
            .filter_map(|n| n.trim().parse().ok())
            .collect();
        match numbers.as_slice() {
            [x, y, stride, rows]
                if (1..=MOST_ROWS).contains(rows) && (1..=4096).contains(stride) =>
            {
                let at = (x + self.origin.0, y + self.origin.1);
                let stride = *stride as usize;
                self.picture = Some((at, stride, stride * *rows as usize));
            }
            _ => self.label.error(format!("GW{text}")),
        }
    }

    fn act(&mut self, line: &[u8], events: &mut Vec<Event>) {
        let text = String::from_utf8_lossy(line).into_owned();
        let number = |from: usize| {
            text.get(from..)
                .and_then(|t| t.split(',').next()?.parse().ok())
        };
        match line {
            [] => {}
            b"N" => self.forget(),
            b"^ee" => {
                let rest = self.bytes.len().saturating_sub(4);
                self.bytes.truncate(rest);
                events.push(Event::Query(Query::EplErrors));
            }
            b"^@" => {
                self.forget();
                events.push(Event::Cancel);
            }
            [b'q', ..] => match number(1) {
                Some(width @ 8..) => self.width = u32::min(width, self.head),
                _ => self.label.error(text),
            },
            [b'R', ..] => {
                let mut parts = text.get(1..).unwrap_or_default().split(',');
                let mut part = || parts.next().and_then(|p| p.parse().ok()).unwrap_or(0);
                self.origin = (part(), part());
            }
            // So many, each so often.
            [b'P', b'0'..=b'9', ..] => {
                let numbers = text.get(1..).unwrap_or_default().split(',');
                let counts = numbers.map(|n| n.trim().parse().unwrap_or(1));
                self.print(counts.fold(1, u32::saturating_mul), events);
            }
            [b'S' | b'D' | b'Q' | b'O' | b'Z' | b'I' | b'J' | b'U', ..] => {}
            _ => {
                let shown = text.chars().take(20).collect::<String>();
                self.label.error(format!("not drawn: {shown}"));
            }
        }
    }

    fn print(&mut self, copies: u32, events: &mut Vec<Event>) {
        let bytes = std::mem::take(&mut self.bytes);
        if self.label.is_empty() {
            return;
        }
        let label = std::mem::take(&mut self.label);
        let image = label.drawn(self.width, None);
        for _ in 0..copies.min(MOST_COPIES) {
            events.push(Event::Label {
                image: image.clone(),
                bytes: bytes.clone(),
                errors: label.errors.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Event> {
        let mut reader = Reader::new(832);
        let mut events = Vec::new();
        for byte in bytes {
            reader.feed(*byte, &mut events);
        }
        events
    }

    #[test]
    fn both_ways_to_write_a_picture_are_read() {
        for label in [
            &b"\r\nN\r\nq16\r\nGW0,0,1,2,\x7f\xfe\r\nP1,1\r\n"[..],
            b"N\nq16\nGW0,0,1,2\r\n\x7f\xfe\nP1\n",
        ] {
            let events = read(label);
            let [Event::Label { image, errors, .. }] = events.as_slice() else {
                panic!("{events:?}")
            };
            assert!(errors.is_empty(), "{errors:?}");
            assert_eq!(image.bits, [0x80, 0, 0x01, 0]);
        }
    }

    #[test]
    fn a_cleared_label_is_not_printed_and_text_is_named() {
        assert!(read(b"GW0,0,1,1,\0\r\nN\r\nP1\r\n").is_empty());
        let events = read(b"N\r\nA1,1,0,1,1,1,N,\"x\"\r\nP1\r\n");
        assert!(matches!(&events[..], [Event::Label { errors, .. }] if errors.len() == 1));
        assert!(matches!(
            &read(b"^ee\r\n")[..],
            [Event::Query(Query::EplErrors)]
        ));
    }
}
