//! PWG raster: one page as IPP Everywhere printers and CUPS take it.
//!
//! Format: PWG 5102.4 "PWG Raster Format": the word `RaS2`, a page header of 1796 bytes, then rows
//! packed by run lengths with a count of equal rows before them. 1-bit (`black_1`, 1 = black)
//! where the printer takes it, else a byte for each dot (`sgray_8`, 0 = black), which all must.

use super::{Options, moved};
use crate::domain::Bitmap;

const HEADER: usize = 1796;
/// `cupsColorSpace` values.
const BLACK: u32 = 3;
const SGRAY: u32 = 18;
/// Most rows or bytes that one count says.
const MOST: usize = 128;
/// Most rows that one count of rows says.
const MOST_ROWS: u8 = 255;

/// The page as a PWG raster file: one page, or as many as copies.
pub fn encode(page: &Bitmap, options: &Options) -> Vec<u8> {
    let page = moved(page, options.offset);
    let page = page.as_ref();
    let mut out = header(page, options).to_vec();
    let rows = |y: u32| -> Vec<u8> {
        if options.gray {
            (0..page.width)
                .map(|x| if page.is_black(x, y) { 0 } else { 255 })
                .collect()
        } else {
            page.row(y).to_vec()
        }
    };
    let mut y = 0;
    while y < page.height {
        let row = page.row(y);
        let same = (y + 1..page.height)
            .take(usize::from(MOST_ROWS))
            .take_while(|next| page.row(*next) == row)
            .count();
        let same = u8::try_from(same).unwrap_or(MOST_ROWS);
        out.push(same);
        pack(&rows(y), &mut out);
        y += 1 + u32::from(same);
    }
    [b"RaS2".to_vec(), out.repeat(options.copies.into())].concat()
}

fn header(page: &Bitmap, options: &Options) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = header.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    let mut number = |at: usize, value: u32| put(at, &value.to_be_bytes());
    let dpi = u32::from(options.dpi.max(1));
    let points = |dots: u32| (dots * 72 + dpi / 2) / dpi;
    let (bits, colour, per_row) = if options.gray {
        (8, SGRAY, page.width)
    } else {
        (1, BLACK, page.stride())
    };
    number(276, dpi);
    number(280, dpi);
    number(340, 1); // copies
    number(352, points(page.width));
    number(356, points(page.height));
    number(372, page.width);
    number(376, page.height);
    number(384, bits); // per colour
    number(388, bits); // per dot
    number(392, per_row);
    number(400, colour);
    number(420, 1); // colours
    number(452, 1); // pages in all
    number(456, 1); // as fed
    number(460, 1);
    number(480, 0x00ff_ffff); // AlternatePrimary: white, as the standard has it
    number(484, 4); // quality: normal
    put(0, b"PwgRaster");
    header
}

/// Counts below 128 repeat the next byte, counts above 128 precede plain bytes.
fn pack(row: &[u8], out: &mut Vec<u8>) {
    let mut rest = row;
    while let Some(first) = rest.first() {
        let run = rest.iter().take(MOST).take_while(|b| *b == first).count();
        if run > 1 || rest.len() == 1 {
            out.push(u8::try_from(run - 1).unwrap_or(0));
            out.push(*first);
            rest = rest.get(run..).unwrap_or(&[]);
            continue;
        }
        // Plain bytes end where two are equal.
        let plain = rest
            .windows(2)
            .take(MOST)
            .position(|pair| pair.first() == pair.last())
            .unwrap_or(rest.len().min(MOST))
            .max(1);
        if plain == 1 {
            out.extend_from_slice(&[0, *first]);
        } else {
            // 257 - count: 2 to 128 bytes.
            out.push(u8::try_from(257 - plain).unwrap_or(255));
            out.extend_from_slice(rest.get(..plain).unwrap_or(rest));
        }
        rest = rest.get(plain..).unwrap_or(&[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_runs_and_plain_bytes() {
        let mut out = Vec::new();
        pack(&[0, 0, 0, 1, 2, 3, 3, 9], &mut out);
        assert_eq!(out, [2, 0, 255, 1, 2, 1, 3, 0, 9]);
        out.clear();
        pack(&[7; 300], &mut out);
        assert_eq!(out, [127, 7, 127, 7, 43, 7]);
        out.clear();
        let plain: Vec<u8> = (0..=255).collect();
        pack(&plain, &mut out);
        assert_eq!((out[0], out[129]), (129, 129));
        assert_eq!(out.len(), 258);
    }

    #[test]
    fn equal_rows_are_counted() {
        let bytes = encode(&Bitmap::new_white(16, 300), &Options::default());
        assert_eq!(bytes[4 + HEADER..], [255, 1, 0, 43, 1, 0]);
    }
}
