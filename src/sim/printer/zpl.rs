//! Reads ZPL II into pictures: formats, graphic fields in every encoding, and the host questions.
//!
//! Written from Zebra's "Programming Guide for ZPL II", one byte at a time. Text and barcode
//! fields are not drawn; they are named in the label's `errors`.

use super::{Event, MOST_COMMAND, MOST_ROWS, Query, turned};
use crate::domain::Bitmap;
use base64::Engine as _;
use std::io::Read as _;

/// Widest head, dots: 8 inches at 600 dpi.
const MOST_WIDTH: u32 = 5_000;
/// Most copies of one format.
const MOST_COPIES: u32 = 100;

/// The state of a ZPL printer's reader.
#[derive(Debug)]
pub(super) struct Reader {
    head: u32,
    /// From here on kept over formats, as the manual says.
    width: u32,
    height: u32,
    home: (u32, u32),
    is_inverted: bool,
    /// The command under way, from its prefix.
    command: Vec<u8>,
    /// Bytes of a `^GFB` still to come.
    binary: usize,
    format: Option<Format>,
}

/// A format between `^XA` and `^XZ`.
#[derive(Debug, Default)]
struct Format {
    bytes: Vec<u8>,
    origin: (u32, u32),
    graphics: Vec<Graphic>,
    copies: u32,
    errors: Vec<String>,
}

#[derive(Debug)]
struct Graphic {
    at: (u32, u32),
    stride: usize,
    data: Vec<u8>,
}

impl Reader {
    pub(super) fn new(head: u32, height: u32) -> Self {
        Self {
            head: head.min(MOST_WIDTH),
            width: head.min(MOST_WIDTH),
            height: height.min(MOST_ROWS),
            home: (0, 0),
            is_inverted: false,
            command: Vec::new(),
            binary: 0,
            format: None,
        }
    }

    /// A format is open.
    pub(super) fn is_inside(&self) -> bool {
        self.format.is_some()
    }

    /// Forgets the open format.
    pub(super) fn forget(&mut self) {
        self.format = None;
        self.command.clear();
        self.binary = 0;
    }

    pub(super) fn feed(&mut self, byte: u8, events: &mut Vec<Event>) {
        if let Some(format) = &mut self.format
            && format.bytes.len() < MOST_COMMAND
        {
            format.bytes.push(byte);
        }
        if self.binary > 0 {
            self.binary -= 1;
            self.command.push(byte);
            return;
        }
        if byte == b'^' || byte == b'~' {
            self.finish_command();
        }
        if self.command.len() < MOST_COMMAND {
            self.command.push(byte);
        }
        self.act_at_once(events);
    }

    /// Commands that do not wait for the next prefix.
    fn act_at_once(&mut self, events: &mut Vec<Event>) {
        let may_act = self.command.len() <= 5 || matches!(self.command.last(), Some(b'\n' | b','));
        if !may_act {
            return;
        }
        let upper = self
            .command
            .get(..self.command.len().min(5))
            .unwrap_or(&[])
            .to_ascii_uppercase();
        match upper.as_slice() {
            b"^XA" => {
                self.format = Some(Format {
                    bytes: b"^XA".to_vec(),
                    copies: 1,
                    ..Format::default()
                });
                self.command.clear();
            }
            b"^XZ" => {
                self.command.clear();
                self.print(events);
            }
            b"~HS" => self.ask(Query::Status, events),
            b"~HQES" => self.ask(Query::Errors, events),
            b"~JA" => {
                self.forget();
                events.push(Event::Cancel);
            }
            b"^GFB," => {
                let head = String::from_utf8_lossy(&self.command).into_owned();
                let fields: Vec<&str> = head.splitn(5, ',').collect();
                if let [_, count, _, _, rest] = fields.as_slice()
                    && rest.is_empty()
                    && let Ok(count) = count.trim().parse::<usize>()
                {
                    self.binary = count.min(MOST_COMMAND);
                }
            }
            _ if self.command.ends_with(b"\n")
                && !upper.starts_with(b"^")
                && !upper.starts_with(b"~") =>
            {
                self.finish_line(events);
            }
            _ => {}
        }
    }

    fn ask(&mut self, query: Query, events: &mut Vec<Event>) {
        // A question is no part of the label it interrupts.
        self.command.clear();
        events.push(Event::Query(query));
    }

    /// A line outside commands: Set-Get-Do, or nothing.
    fn finish_line(&mut self, events: &mut Vec<Event>) {
        let line = String::from_utf8_lossy(&self.command).trim().to_owned();
        self.command.clear();
        if let Some(name) = line.strip_prefix("! U1 getvar ") {
            events.push(Event::Query(Query::Variable(
                name.trim().trim_matches('"').to_owned(),
            )));
        }
    }

    fn finish_command(&mut self) {
        let command = std::mem::take(&mut self.command);
        let Some(name) = command.get(..3).map(<[u8]>::to_ascii_uppercase) else {
            return;
        };
        let parameters = command.get(3..).unwrap_or(&[]);
        let text = String::from_utf8_lossy(parameters).trim().to_owned();
        let numbers: Vec<Option<u32>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
        let number = |index: usize| numbers.get(index).copied().flatten();
        let Some(format) = &mut self.format else {
            return; // between formats only questions count here
        };
        match name.as_slice() {
            b"^PW" => match number(0) {
                Some(width) if width >= 2 || width == 1 => self.width = width.min(self.head),
                _ => format.errors.push(format!("^PW{text}")),
            },
            b"^LL" => match number(0) {
                Some(height) if (1..=MOST_ROWS).contains(&height) => self.height = height,
                _ => format.errors.push(format!("^LL{text}")),
            },
            b"^LH" => self.home = (number(0).unwrap_or(0), number(1).unwrap_or(0)),
            b"^PO" => self.is_inverted = text.eq_ignore_ascii_case("I"),
            b"^FO" => format.origin = (number(0).unwrap_or(0), number(1).unwrap_or(0)),
            b"^GF" => {
                let at = (
                    self.home.0.saturating_add(format.origin.0),
                    self.home.1.saturating_add(format.origin.1),
                );
                match graphic(parameters) {
                    Ok((stride, data)) => format.graphics.push(Graphic { at, stride, data }),
                    Err(error) => format.errors.push(error),
                }
            }
            b"^PQ" => format.copies = number(0).unwrap_or(1).min(MOST_COPIES),
            b"^FS" => format.origin = (0, 0),
            b"^FX" | b"^JZ" | b"^PM" | b"^LR" | b"^MM" | b"^MN" | b"^MT" | b"^PR" | b"^LS"
            | b"^LT" | b"^CI" | b"^MD" | b"~SD" => {}
            other => format
                .errors
                .push(format!("not drawn: {}", String::from_utf8_lossy(other))),
        }
    }

    fn print(&mut self, events: &mut Vec<Event>) {
        let Some(format) = self.format.take() else {
            return;
        };
        if format.graphics.is_empty() && format.errors.is_empty() {
            return; // settings only: no label is fed
        }
        let mut image = Bitmap::new_white(self.width, self.height);
        for graphic in &format.graphics {
            draw(&mut image, graphic);
        }
        if self.is_inverted {
            image = turned(&image);
        }
        for _ in 0..format.copies {
            events.push(Event::Label {
                image: image.clone(),
                bytes: format.bytes.clone(),
                errors: format.errors.clone(),
            });
        }
    }
}

fn draw(image: &mut Bitmap, graphic: &Graphic) {
    for (row, y) in graphic
        .data
        .chunks(graphic.stride)
        .zip(graphic.at.1..image.height)
    {
        for (index, byte) in (0_u32..).zip(row) {
            for bit in 0..8_u32 {
                if byte >> (7 - bit) & 1 == 1 {
                    image.set_black(graphic.at.0.saturating_add(index * 8 + bit), y);
                }
            }
        }
    }
}

/// `^GF` parameters: kind, bytes sent, bytes of the picture, bytes of a row, data.
fn graphic(parameters: &[u8]) -> Result<(usize, Vec<u8>), String> {
    let mut parts = parameters.splitn(5, |byte| *byte == b',');
    let mut text = || {
        let part = parts.next().ok_or("^GF with too few parameters")?;
        Ok::<_, String>(String::from_utf8_lossy(part).trim().to_owned())
    };
    let kind = text()?;
    let _sent = text()?;
    let size = |text: String| {
        text.parse::<usize>()
            .map_err(|_| format!("^GF size {text:?}"))
    };
    let total = size(text()?)?;
    let stride = size(text()?)?;
    let data = parts.next().ok_or("^GF without data")?;
    if stride == 0 || total == 0 || total > MOST_COMMAND || !total.is_multiple_of(stride) {
        return Err(format!("^GF of {total} bytes in rows of {stride}"));
    }
    let picture = match kind.to_ascii_uppercase().as_str() {
        "A" if data.starts_with(b":") => wrapped(data, total)?,
        "A" => ascii(data, total, stride)?,
        "B" => data.to_vec(),
        other => return Err(format!("^GF{other} is not known")),
    };
    if picture.len() == total {
        Ok((stride, picture))
    } else {
        Err(format!(
            "^GF announces {total} bytes and has {}",
            picture.len()
        ))
    }
}

/// "Alternative data compression": hex digits with repeat counts, `,` `!` and `:`.
fn ascii(data: &[u8], total: usize, stride: usize) -> Result<Vec<u8>, String> {
    let row_digits = stride * 2;
    let mut done: Vec<u8> = Vec::with_capacity(total * 2);
    let mut row: Vec<u8> = Vec::with_capacity(row_digits);
    let mut count = 0_usize;
    for byte in data {
        if done.len() >= total * 2 {
            break; // the rest belongs to nobody
        }
        match byte {
            b'0'..=b'9' | b'A'..=b'F' | b'a'..=b'f' => {
                let digit = char::from(*byte)
                    .to_digit(16)
                    .and_then(|d| u8::try_from(d).ok());
                let digit = digit.ok_or("^GF digit")?;
                // A run may go over the end of its row.
                for _ in 0..count.max(1) {
                    row.push(digit);
                    if row.len() == row_digits {
                        done.append(&mut row);
                    }
                }
                count = 0;
            }
            b'G'..=b'Y' => count += usize::from(byte - b'F'),
            b'g'..=b'z' => count += usize::from(byte - b'f') * 20,
            b',' | b'!' => {
                row.resize(row_digits, if *byte == b'!' { 15 } else { 0 });
                done.append(&mut row);
            }
            b':' => {
                if !row.is_empty() {
                    return Err("^GF repeats a row inside a row".to_owned());
                }
                let start = done
                    .len()
                    .checked_sub(row_digits)
                    .ok_or("^GF repeats no row")?;
                done.extend_from_within(start..);
            }
            b'\r' | b'\n' | b' ' => {}
            other => return Err(format!("^GF holds byte {other:#04x}")),
        }
        if count > total * 2 {
            return Err("^GF repeats too much".to_owned());
        }
    }
    if !row.is_empty() {
        return Err("^GF ends inside a row".to_owned());
    }
    Ok(done
        .chunks_exact(2)
        .map(|pair| pair.first().unwrap_or(&0) << 4 | pair.last().unwrap_or(&0))
        .collect())
}

/// `:Z64:` (zlib) and `:B64:`, with the check sum of the base64 text.
fn wrapped(data: &[u8], total: usize) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(data)
        .map_err(|_| "^GF :Z64: is not text")?
        .trim();
    let fields: Vec<&str> = text.split(':').collect();
    let ["", kind, base64, crc] = fields.as_slice() else {
        return Err("^GF :Z64: has not four parts".to_owned());
    };
    let mut expected = 0_u32;
    for byte in base64.bytes() {
        expected ^= u32::from(byte) << 8;
        for _ in 0..8 {
            expected <<= 1;
            if expected & 0x1_0000 != 0 {
                expected ^= 0x1_1021;
            }
        }
    }
    if *crc != format!("{expected:04X}") {
        return Err(format!("^GF check sum {crc}, should be {expected:04X}"));
    }
    let packed = base64::engine::general_purpose::STANDARD
        .decode(base64)
        .map_err(|error| format!("^GF base64: {error}"))?;
    match *kind {
        "B64" => Ok(packed),
        "Z64" => {
            let mut out = Vec::new();
            flate2::read::ZlibDecoder::new(packed.as_slice())
                .take(total as u64 + 1)
                .read_to_end(&mut out)
                .map_err(|error| format!("^GF zlib: {error}"))?;
            Ok(out)
        }
        other => Err(format!("^GF :{other}: is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Event> {
        let mut reader = Reader::new(832, 10);
        let mut events = Vec::new();
        for byte in bytes {
            reader.feed(*byte, &mut events);
        }
        events
    }

    #[track_caller]
    fn label(bytes: &[u8]) -> (Bitmap, Vec<String>) {
        match read(bytes).pop() {
            Some(Event::Label { image, errors, .. }) => (image, errors),
            other => panic!("no label: {other:?}"),
        }
    }

    #[test]
    fn the_example_of_the_manual_is_read() {
        // M = 7, and j = 80: MB is BBBBBBB; a trailing comma fills with white.
        assert_eq!(
            ascii(b"MBH0,", 5, 5),
            Ok(vec![0xbb, 0xbb, 0xbb, 0xb0, 0x00])
        );
        assert_eq!(ascii(b"F0:!,", 4, 1), Ok(vec![0xf0, 0xf0, 0xff, 0x00]));
    }

    #[test]
    fn damaged_pictures_are_named_and_not_drawn() {
        for field in [
            "^GFA,4,4,2,:",
            "^GFA,4,4,2,F",
            "^GFA,4,4,0,FF",
            "^GFA,4,4,2,zz?",
            "^GFA,4,4,2,:Z64:AAAA:0000",
            "^GFA,4,4,2,FFFF",
            "^GFQ,1,1,1,0",
            "^GFA,1",
        ] {
            let (image, errors) = label(format!("^XA^FO0,0{field}^FS^XZ").as_bytes());
            assert_eq!(image.black(), 0, "{field}");
            assert_eq!(errors.len(), 1, "{field}");
        }
    }

    #[test]
    fn position_home_and_orientation_count() {
        let (image, errors) = label(b"^XA^PW16^LL4^LH1,1^FO2,1^GFA,1,1,1,80^FS^XZ");
        assert!(errors.is_empty());
        assert!(image.is_black(3, 2));
        let (image, _) = label(b"^XA^POI^PW16^LL4^FO0,0^GFA,1,1,1,80^FS^XZ");
        assert!(image.is_black(15, 3));
    }

    #[test]
    fn binary_fields_may_hold_any_byte() {
        let (image, errors) = label(b"^XA^PW16^LL2^FO0,0^GFB,4,4,2,^~^~^FS^XZ");
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(image.bits, b"^~^~");
    }

    #[test]
    fn a_format_without_fields_feeds_nothing_and_a_cancelled_one_neither() {
        assert!(read(b"^XA^JZN^XZ").is_empty());
        let events = read(b"^XA^FO0,0^GFA,1,1,1,80~JA^FS^XZ");
        assert!(matches!(events.as_slice(), [Event::Cancel]), "{events:?}");
    }

    #[test]
    fn questions_are_answered_at_once_and_copies_counted() {
        let events = read(b"~HS\r\n! U1 getvar \"odometer.total_label_count\"\r\n~HQES");
        let queries: Vec<&Query> = events
            .iter()
            .map(|event| match event {
                Event::Query(query) => query,
                other => panic!("{other:?}"),
            })
            .collect();
        let name = "odometer.total_label_count".to_owned();
        assert_eq!(
            queries,
            [&Query::Status, &Query::Variable(name), &Query::Errors]
        );
        assert_eq!(read(b"^XA^FO0,0^GFA,1,1,1,80^FS^PQ3^XZ").len(), 3);
    }
}
