//! ZPL II: one `^GFA` picture per format.
//!
//! Format: Zebra "Programming Guide for ZPL II". The picture goes as run lengths ("ACS", default)
//! or as `:Z64:` (zlib, base64, CRC). Of ACS only `,` (rest of the row white) and `:` (row as
//! before) are used: common readers get `!` (rest black) wrong, so black runs are counted, and
//! the first row never refers to a row before it.
//!
//! A format states everything it depends on, because `^PO`, `^LR`, `^LH` and `^JZ` of a courier's
//! document stay in the printer. `^JZN`: after media-out the printer must not reprint by itself,
//! or a label that a person asks for again comes out twice.

use super::{Options, moved};
use crate::domain::Bitmap;
use crate::printer::settings::AfterLabel;
use base64::Engine as _;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use std::fmt::Write as _;
use std::io::Write as _;

/// Cancels a format that a broken connection left open in the printer, so that its half picture
/// does not end up under the next label.
pub(crate) const CLEAR: &[u8] = b"~JA";

/// The page as one ZPL format.
pub fn encode(page: &Bitmap, options: &Options) -> Vec<u8> {
    let page = moved(page, options.offset);
    let page = page.as_ref();
    let stride = page.stride();
    let total = u64::from(stride) * u64::from(page.height);
    let mut out = String::new();
    out.push_str("^XA^JZN^PON^PMN^LRN^LH0,0");
    if let Some(darkness) = options.darkness {
        // Added to the printer's own setting, never to what an earlier label added.
        let _ = write!(out, "^MD{}", darkness.clamp(-30, 30));
    }
    match options.after_label {
        Some(AfterLabel::TearOff) => out.push_str("^MMT"),
        Some(AfterLabel::Peel) => out.push_str("^MMP"),
        Some(AfterLabel::Cut) => out.push_str("^MMC"),
        None => {}
    }
    if let Some(speed) = options.speed {
        let _ = write!(out, "^PR{}", speed.clamp(1, 14));
    }
    let _ = write!(
        out,
        "^PW{}^LL{}^FO0,0^GFA,{total},{total},{stride},",
        page.width, page.height
    );
    if options.z64 {
        z64(page, &mut out);
    } else {
        acs(page, &mut out);
    }
    let _ = writeln!(out, "^FS^PQ{},0,1,N^XZ", options.copies);
    out.into_bytes()
}

fn acs(page: &Bitmap, out: &mut String) {
    let mut nibbles = Vec::with_capacity(page.stride() as usize * 2);
    let mut before: Option<&[u8]> = None;
    for y in 0..page.height {
        let row = page.row(y);
        if before == Some(row) {
            out.push(':');
            continue;
        }
        before = Some(row);
        nibbles.clear();
        nibbles.extend(row.iter().flat_map(|byte| [byte >> 4, byte & 15]));
        acs_row(&nibbles, out);
    }
}

fn acs_row(nibbles: &[u8], out: &mut String) {
    let inked = nibbles
        .iter()
        .rposition(|n| *n != 0)
        .map_or(0, |last| last + 1);
    let (ink, rest) = nibbles.split_at(inked);
    for run in ink.chunk_by(|a, b| a == b) {
        let Some(nibble) = run.first() else { continue };
        let digit = char::from(b"0123456789ABCDEF"[usize::from(nibble & 15)]);
        match run.len() {
            1 => {}
            2 => out.push(digit), // as short as a count, and one trap less
            count => push_count(count, out),
        }
        out.push(digit);
    }
    if !rest.is_empty() {
        out.push(',');
    }
}

/// `G`..`Y` are 1..=19, `g`..`z` are 20..=400 in steps of 20; several add up.
fn push_count(mut count: usize, out: &mut String) {
    while count >= 400 {
        out.push('z');
        count -= 400;
    }
    // ASCII letters in order: both remainders are below 20, so the arithmetic stays in the alphabet.
    if let Some(twenties) = u8::try_from(count / 20).ok().filter(|n| *n > 0) {
        out.push(char::from(b'g' + twenties - 1));
    }
    if let Some(ones) = u8::try_from(count % 20).ok().filter(|n| *n > 0) {
        out.push(char::from(b'G' + ones - 1));
    }
}

fn z64(page: &Bitmap, out: &mut String) {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = zlib
        .write_all(&page.bits)
        .and_then(|()| zlib.finish())
        .unwrap_or_default(); // writing to memory does not fail
    let text = base64::engine::general_purpose::STANDARD.encode(packed);
    // The CRC is of the base64 text, in upper case: readers compare strings.
    let _ = write!(out, ":Z64:{text}:{:04X}", crc16_xmodem(text.as_bytes()));
}

/// CRC-16/XMODEM: polynomial 0x1021, start 0, not reflected.
pub(crate) fn crc16_xmodem(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn data(page: &Bitmap) -> String {
        let text = String::from_utf8(encode(page, &Options::default())).unwrap();
        let start = text.find("^GFA,").unwrap() + 5;
        let data = text[start..].splitn(4, ',').nth(3).unwrap();
        data[..data.find("^FS").unwrap()].to_owned()
    }

    #[test]
    fn a_white_page_is_one_comma_and_repeats() {
        assert_eq!(data(&Bitmap::new_white(812, 4)), ",:::");
    }

    #[test]
    fn a_black_page_never_uses_the_exclamation_mark() {
        let page = Bitmap::from_bits(816, 2, vec![0xff; 204]).unwrap();
        assert_eq!(data(&page), "pJF:");
    }

    #[test]
    fn long_runs_add_up() {
        let mut out = String::new();
        push_count(400 + 400 + 19, &mut out);
        push_count(20, &mut out);
        push_count(399, &mut out);
        push_count(3, &mut out);
        assert_eq!(out, "zzYgyYI");
    }

    #[test]
    fn the_check_sum_is_that_of_the_standard() {
        assert_eq!(crc16_xmodem(b"123456789"), 0x31c3);
    }

    #[test]
    fn settings_are_only_sent_when_set() {
        let page = Bitmap::new_white(8, 1);
        let plain = String::from_utf8(encode(&page, &Options::default())).unwrap();
        assert!(!plain.contains("^MD") && !plain.contains("^PR") && !plain.contains("^MM"));
        let set = Options {
            darkness: Some(-99),
            speed: Some(4),
            after_label: Some(AfterLabel::Peel),
            ..Options::default()
        };
        let text = String::from_utf8(encode(&page, &set)).unwrap();
        assert!(text.contains("^MD-30^MMP^PR4"), "{text}");
    }
}
