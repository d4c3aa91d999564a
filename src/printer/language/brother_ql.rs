//! Brother QL raster: one page per job, whole rows from the first pin of the head to the last.
//!
//! Format: Brother "Raster Command Reference" of the QL series. Heads have 720 pins (labels to
//! 62 mm) or 1296 (102 mm and more), always 300 dpi; a row starts at the right edge of the label,
//! so pictures go mirrored. The printable part and its place on the head depend on the label, and
//! the printer refuses a job that names another label than the one in it: `STOCKS` is Brother's
//! table, and pages are drawn for its printable part, so that nothing is cut here.
//!
//! Small heads get plain rows: the QL-500 to 570, 700 and 800 know no packed ones. The `Z` code
//! (white row) is not used: not every reader knows it, and a packed white row is four bytes.

use super::{Options, moved};
use crate::domain::Bitmap;
use crate::printer::settings::AfterLabel;

/// Every head of the series.
pub(crate) const DPI: u16 = 300;

/// Ends a row that was left open and forgets the job: more zeros than a row has bytes.
pub(crate) const CLEAR: [u8; 402] = {
    let mut bytes = [0; 402];
    bytes[400] = 0x1b;
    bytes[401] = b'@';
    bytes
};

/// Feed before and after the picture on rolls, dots: the least that the cutter needs.
const ROLL_MARGIN: u32 = 35;
/// Pins left of the label on wide heads.
const WIDE_OFFSET: u32 = 44;
/// Pins of the two heads.
const NARROW_PINS: u32 = 720;
const WIDE_PINS: u32 = 1296;
/// Shortest and longest label on a roll, millimetres.
const ROLL_LENGTHS: (f64, f64) = (25.0, 1000.0);

/// One kind of labels: width and length as Brother names them (length 0: a roll), as the printer
/// calls them, and in printable dots; pins right of it that stay white.
#[derive(Debug, Clone, Copy)]
struct Kind {
    name_mm: (u16, u16),
    tape_mm: (u8, u8),
    dots: (u32, u32),
    right: u32,
}

const fn kind(name_mm: (u16, u16), tape_mm: (u8, u8), dots: (u32, u32), right: u32) -> Kind {
    Kind {
        name_mm,
        tape_mm,
        dots,
        right,
    }
}

/// Brother's DK rolls.
const STOCKS: [Kind; 21] = [
    kind((12, 0), (12, 0), (106, 0), 29),
    kind((29, 0), (29, 0), (306, 0), 6),
    kind((38, 0), (38, 0), (413, 0), 12),
    kind((50, 0), (50, 0), (554, 0), 12),
    kind((54, 0), (54, 0), (590, 0), 0),
    kind((62, 0), (62, 0), (696, 0), 12),
    kind((102, 0), (102, 0), (1164, 0), 12),
    kind((103, 0), (104, 0), (1200, 0), 12),
    kind((17, 54), (17, 54), (165, 566), 0),
    kind((17, 87), (17, 87), (165, 956), 0),
    kind((23, 23), (23, 23), (202, 202), 42),
    kind((29, 42), (29, 42), (306, 425), 6),
    kind((29, 90), (29, 90), (306, 991), 6),
    kind((38, 90), (38, 90), (413, 991), 12),
    kind((39, 48), (39, 48), (425, 495), 6),
    kind((52, 29), (52, 29), (578, 271), 0),
    kind((62, 29), (62, 29), (696, 271), 12),
    kind((62, 100), (62, 100), (696, 1109), 12),
    kind((102, 51), (102, 51), (1164, 526), 12),
    kind((102, 152), (102, 153), (1164, 1660), 12),
    kind((103, 164), (104, 164), (1200, 1822), 12),
];

/// Labels that are in the printer, by the configured size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stock {
    kind: Kind,
    /// Printable rows.
    rows: u32,
}

/// Brother's labels of this size; a roll where there are none of this length.
pub(crate) fn stock(media_mm: (f64, f64)) -> Option<Stock> {
    let near = |mm: f64, name: u16| (mm - f64::from(name)).abs() < 0.75;
    let wide = || STOCKS.iter().filter(|k| near(media_mm.0, k.name_mm.0));
    if let Some(kind) = wide().find(|k| k.name_mm.1 > 0 && near(media_mm.1, k.name_mm.1)) {
        return Some(Stock {
            kind: *kind,
            rows: kind.dots.1,
        });
    }
    let kind = wide().find(|k| k.name_mm.1 == 0)?;
    if !(ROLL_LENGTHS.0..=ROLL_LENGTHS.1).contains(&media_mm.1) {
        return None;
    }
    let length = crate::printer::settings::mm_to_dots(media_mm.1, DPI).unsigned_abs();
    Some(Stock {
        kind: *kind,
        rows: length.saturating_sub(2 * ROLL_MARGIN),
    })
}

impl Stock {
    /// What the head reaches, millimetres.
    pub fn drawable_mm(&self) -> (f64, f64) {
        let mm = |dots: u32| f64::from(dots) * 25.4 / f64::from(DPI);
        (mm(self.kind.dots.0), mm(self.rows))
    }

    /// Width and length as the printer reports them; a roll has length 0.
    pub fn tape_mm(&self) -> (u8, u8) {
        self.kind.tape_mm
    }
}

/// "17 x 54, …" for the person who set another size.
pub(crate) fn die_cut_names() -> String {
    let names: Vec<String> = STOCKS
        .iter()
        .filter(|k| k.name_mm.1 > 0)
        .map(|k| format!("{} x {}", k.name_mm.0, k.name_mm.1))
        .collect();
    names.join(", ")
}

/// "12, 29, …".
pub(crate) fn roll_names() -> String {
    let names: Vec<String> = STOCKS
        .iter()
        .filter(|k| k.name_mm.1 == 0)
        .map(|k| k.name_mm.0.to_string())
        .collect();
    names.join(", ")
}

/// The page as one Brother QL job.
pub fn encode(page: &Bitmap, options: &Options) -> Vec<u8> {
    let page = moved(page, options.offset);
    let page = page.as_ref();
    let stock = stock(options.media_mm);
    let is_wide =
        page.width > NARROW_PINS || stock.is_some_and(|stock| stock.kind.dots.0 > NARROW_PINS);
    let (pins, offset) = if is_wide {
        (WIDE_PINS, WIDE_OFFSET)
    } else {
        (NARROW_PINS, 0)
    };
    let right = offset + stock.map_or(0, |stock| stock.kind.right);
    let is_roll = stock.is_none_or(|stock| stock.kind.tape_mm.1 == 0);

    let mut out = vec![0; 400];
    out.extend_from_slice(b"\x1b@\x1bia\x01"); // raster mode
    out.extend_from_slice(b"\x1bi!\x00"); // tells us by itself when a page is out
    out.extend_from_slice(b"\x1biz");
    // Recovery on; width, length and kind are checked by the printer where we know them.
    let (flags, (width, length)) = match stock {
        Some(stock) => (0x80 | 0x02 | 0x04 | 0x08, stock.kind.tape_mm),
        None => (0x80, (0, 0)),
    };
    out.extend_from_slice(&[flags, if is_roll { 0x0a } else { 0x0b }, width, length]);
    out.extend_from_slice(&page.height.to_le_bytes());
    out.extend_from_slice(&[0, 0]); // first page
    let cuts = matches!(options.after_label, None | Some(AfterLabel::Cut));
    out.extend_from_slice(&[0x1b, b'i', b'M', if cuts { 0x40 } else { 0 }]);
    if cuts {
        out.extend_from_slice(b"\x1biA\x01\x1biK\x08"); // after each label, and after the last
    }
    let margin = if is_roll { ROLL_MARGIN } else { 0 };
    let [low, high, ..] = margin.to_le_bytes();
    out.extend_from_slice(&[0x1b, b'i', b'd', low, high]);
    out.extend_from_slice(&[b'M', if is_wide { 2 } else { 0 }]);
    for y in 0..page.height {
        let row = row(page, y, pins, right);
        let sent = if is_wide { packed(&row) } else { row };
        // A packed row of 162 bytes has at most 164.
        out.extend_from_slice(&[b'g', 0, u8::try_from(sent.len()).unwrap_or(u8::MAX)]);
        out.extend_from_slice(&sent);
    }
    out.push(0x1a);
    out
}

/// One row as the head has it: mirrored, behind the pins that stay white.
fn row(page: &Bitmap, y: u32, pins: u32, right: u32) -> Vec<u8> {
    let mut out = vec![0_u8; (pins / 8) as usize];
    for x in 0..page.width {
        let Some(pin) = (right + page.width - 1)
            .checked_sub(x)
            .filter(|p| *p < pins)
        else {
            continue;
        };
        if page.is_black(x, y)
            && let Some(byte) = out.get_mut((pin / 8) as usize)
        {
            *byte |= 0x80 >> (pin % 8);
        }
    }
    out
}

/// `PackBits` (TIFF): runs of 2 to 128 equal bytes, and up to 128 unequal ones.
fn packed(row: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.len() + 2);
    let mut plain: Vec<u8> = Vec::new();
    let flush = |plain: &mut Vec<u8>, out: &mut Vec<u8>| {
        for part in plain.chunks(128) {
            out.push(u8::try_from(part.len() - 1).unwrap_or(127));
            out.extend_from_slice(part);
        }
        plain.clear();
    };
    for run in row.chunk_by(|a, b| a == b) {
        let Some(byte) = run.first() else { continue };
        // A run of two inside plain bytes costs as much as it saves.
        if run.len() < 3 {
            plain.extend_from_slice(run);
            continue;
        }
        flush(&mut plain, &mut out);
        for part in run.chunks(128) {
            // 257 - count; a rest of one byte is a plain one.
            match u8::try_from(257 - part.len()) {
                Ok(count) => out.extend_from_slice(&[count, *byte]),
                Err(_) => out.extend_from_slice(&[0, *byte]),
            }
        }
    }
    flush(&mut plain, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut rest = packed;
        while let [count, after @ ..] = rest {
            match count {
                0..=127 => {
                    let (part, next) = after.split_at(usize::from(*count) + 1);
                    out.extend_from_slice(part);
                    rest = next;
                }
                128 => rest = after,
                _ => {
                    out.extend(vec![after[0]; 257 - usize::from(*count)]);
                    rest = &after[1..];
                }
            }
        }
        out
    }

    #[test]
    fn labels_that_brother_does_not_make_are_none() {
        for media in [(100.0, 150.0), (62.0, 5.0), (0.0, 0.0), (f64::NAN, 10.0)] {
            assert!(stock(media).is_none(), "{media:?}");
        }
        let (width, length) = stock((102.0, 152.0)).unwrap().drawable_mm();
        assert!((width - 98.55).abs() < 0.01 && (length - 140.55).abs() < 0.01);
        assert_eq!(stock((62.0, 120.0)).unwrap().tape_mm(), (62, 0));
        assert_eq!(stock((62.0, 100.0)).unwrap().tape_mm(), (62, 100));
    }

    #[test]
    fn a_row_is_mirrored_and_lies_where_the_label_is() {
        let mut page = Bitmap::new_white(696, 1);
        page.set_black(695, 0); // the right edge comes first
        let row = row(&page, 0, 720, 12);
        assert_eq!(row[1], 0x08);
        assert_eq!(row.iter().map(|b| b.count_ones()).sum::<u32>(), 1);
    }

    proptest! {
        #[test]
        fn packed_rows_hold_the_same_and_fit_their_length(row in proptest::collection::vec(prop_oneof![Just(0_u8), Just(0xff), any::<u8>()], 162)) {
            let packed = packed(&row);
            prop_assert!(packed.len() <= 255);
            prop_assert_eq!(unpacked(&packed), row);
        }
    }
}
