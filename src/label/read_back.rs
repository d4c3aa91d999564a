//! The station reads its own label: barcodes of the final bitmap against the tracking numbers.
//!
//! hayro draws damaged files without complaint; a barcode that can be read and carries the
//! shipment's number is the strongest sign that the right label is about to be printed.
//!
//! Linear codes are looked for where bars can be: a row is cut at quiet zones into pieces with
//! many edges that are the same a few dots below; only those go to rxing's row readers, upright and
//! turned. Only when no linear code matches are 2D codes looked for, because that costs far more.
//! Finding a code says that the bitmap is right, not that a scanner will read the paper.

use crate::domain::Bitmap;
use rxing::common::{BitArray, GlobalHistogramBinarizer};
use rxing::multi::{GenericMultipleBarcodeReader, MultipleBarcodeReader};
use rxing::oned::{
    CodaBarReader, Code39Reader, Code93Reader, Code128Reader, ITFReader, MultiFormatUPCEANReader,
    OneDReader,
};
use rxing::{
    BarcodeFormat, BinaryBitmap, DecodeHints, Luma8LuminanceSource, MultiUseMultiFormatReader,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A barcode that was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReadCode {
    /// Symbology: `code-128`, `code-39`, `qr`, …
    pub format: String,
    /// Its text.
    pub text: String,
}

/// Whether the label carries one of the shipment's tracking numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadBackResult {
    /// A barcode of the final bitmap (or the text of a courier's printer commands) carries it.
    Matched,
    /// No barcode does.
    NotFound,
    /// Nothing to compare: no tracking number yet, a document page, or printer commands that
    /// cannot be read without drawing them.
    NotApplicable,
}

/// Shortest text that may match as a part of another: shorter ones occur in any number by chance.
const MIN_PART: usize = 8;
/// Most codes kept of one page.
const MAX_CODES: usize = 32;
/// Longest text kept of one code (a PDF417 can hold 1850 characters).
const MAX_TEXT: usize = 512;

/// Upper-case letters and digits only: couriers print spaces, dashes, brackets and FNC1.
pub(crate) fn normal(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

/// Whether a code's text is one of the numbers.
///
/// Equal after normalising, or one contains the other where the contained one has at least 8
/// characters: FedEx's 34 digits end in the number, USPS puts `420` and the postcode before it,
/// SSCCs come with their `(00)`, DHL's licence plate `JJD…` is sometimes given without its prefix.
pub(crate) fn matches(tracking: &[String], text: &str) -> bool {
    let text = normal(text);
    tracking.iter().any(|number| {
        let number = normal(number);
        !number.is_empty()
            && (number == text
                || (number.len() >= MIN_PART && text.contains(&number))
                || (text.len() >= MIN_PART && number.contains(&text)))
    })
}

/// Reads the codes of a bitmap; stops before the slow 2D search when a linear code is a tracking
/// number. With no tracking numbers only linear codes are read.
pub(crate) fn read(bitmap: &Bitmap, dpi: u16, tracking: &[String]) -> Vec<ReadCode> {
    let mut codes = linear(bitmap, dpi);
    if codes.len() < MAX_CODES && codes.iter().all(|code| !matches(tracking, &code.text)) {
        codes.extend(linear(&transpose(bitmap), dpi));
    }
    if !tracking.is_empty() && codes.iter().all(|code| !matches(tracking, &code.text)) {
        codes.extend(matrix(bitmap));
    }
    let mut seen = HashSet::new();
    codes.retain(|code| seen.insert(code.clone()));
    codes.truncate(MAX_CODES);
    codes
}

/// Rows become columns: mirrors the picture, which the readers undo by trying both directions.
fn transpose(bitmap: &Bitmap) -> Bitmap {
    let mut turned = Bitmap::new_white(bitmap.height, bitmap.width);
    let stride = bitmap.stride() as usize;
    for y in 0..bitmap.height {
        for (at, byte) in (0_u32..).zip(bitmap.row(y).iter().take(stride)) {
            let mut rest = *byte;
            while rest != 0 {
                let bit = rest.leading_zeros();
                turned.set_black(y, at * 8 + bit);
                rest &= !(0x80 >> bit);
            }
        }
    }
    turned
}

/// A linear code on the page, while rows are scanned downwards.
struct Sighting {
    format: BarcodeFormat,
    text: String,
    from: u32,
    to: u32,
    last_row: u32,
    votes: u32,
}

/// Formats whose text is protected by a check character; the others need two rows that agree.
fn is_checked(format: BarcodeFormat) -> bool {
    !matches!(
        format,
        BarcodeFormat::CODE_39 | BarcodeFormat::ITF | BarcodeFormat::CODABAR
    )
}

/// Linear codes whose bars stand upright.
fn linear(bitmap: &Bitmap, dpi: u16) -> Vec<ReadCode> {
    let dots = |tenth_mm: u32| (u32::from(dpi) * tenth_mm / 254).max(1);
    // Bars are at least 5 mm high, so each code is met by several rows.
    let step = dots(12);
    let mut readers = Readers::new();
    let mut found: Vec<Sighting> = Vec::new();
    let mut y = step / 2;
    while y + dots(4) < bitmap.height {
        // Twice: a code of wide modules has white spaces inside that are as wide as the quiet zone
        // of a small one.
        let (row, below) = (bitmap.row(y), bitmap.row(y + dots(4)));
        let mut candidates = pieces(row, below, dots(25), dots(100));
        for wide in pieces(row, below, dots(60), dots(100)) {
            if !candidates.contains(&wide) {
                candidates.push(wide);
            }
        }
        for piece in candidates {
            let known = found.iter_mut().find(|seen| {
                seen.from < piece.1 && piece.0 < seen.to && y - seen.last_row <= 2 * step
            });
            if let Some(seen) = known
                && (seen.votes > 1 || is_checked(seen.format))
            {
                seen.last_row = y;
                continue;
            }
            let Some((format, text)) = readers.read(bitmap, y, piece) else {
                continue;
            };
            let again = found
                .iter_mut()
                .find(|seen| seen.format == format && seen.text == text);
            if let Some(seen) = again {
                seen.votes += 1;
                seen.last_row = y;
            } else if found.len() < 4 * MAX_CODES {
                found.push(Sighting {
                    format,
                    text,
                    from: piece.0,
                    to: piece.1,
                    last_row: y,
                    votes: 1,
                });
            }
        }
        y += step;
    }
    found
        .into_iter()
        .filter(|seen| seen.votes > 1 || is_checked(seen.format))
        .map(|seen| code(seen.format, &seen.text))
        .collect()
}

/// Fewest edges of a code worth reading: Code 128 of two characters has 31.
const MIN_EDGES: usize = 24;

/// Pieces of a row that may hold bars: between white gaps of `quiet` dots, at least `shortest`
/// long, with many edges, and the same in the row `below`.
fn pieces(row: &[u8], below: &[u8], quiet: u32, shortest: u32) -> Vec<(u32, u32)> {
    let mut pieces = Vec::new();
    let (mut start, mut end, mut edges) = (0, 0, 0_usize);
    let mut close = |start: u32, end: u32, edges: usize| {
        if edges >= MIN_EDGES && end - start >= shortest && alike(row, below, start, end) {
            pieces.push((start, end));
        }
    };
    for (from, to) in black_runs(row) {
        if edges > 0 && from - end < quiet {
            edges += 2;
        } else {
            close(start, end, edges);
            start = from;
            edges = 2;
        }
        end = to;
    }
    close(start, end, edges);
    pieces
}

/// Black runs of a packed row, from left to right: first dot, first dot after.
fn black_runs(row: &[u8]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for (at, byte) in (0_u32..).zip(row) {
        if *byte == 0 {
            continue;
        }
        for bit in (0..8).filter(|bit| byte & (0x80 >> bit) != 0) {
            let x = at * 8 + bit;
            match runs.last_mut() {
                Some(last) if last.1 == x => last.1 = x + 1,
                _ => runs.push((x, x + 1)),
            }
        }
    }
    runs
}

/// Whether two rows agree between two dots, but for 8 %: bars do, text does not.
fn alike(row: &[u8], below: &[u8], from: u32, to: u32) -> bool {
    let bytes = (from / 8) as usize..(to.div_ceil(8)) as usize;
    let (Some(a), Some(b)) = (row.get(bytes.clone()), below.get(bytes)) else {
        return false;
    };
    let differing: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
    differing * 100 <= (to - from) * 8
}

/// White added to both ends of a piece: readers ask for a quiet zone, pieces are cut at it.
///
/// Wide enough for modules of 1 mm at 300 dpi.
const MARGIN: usize = 120;

struct Readers {
    code_128: Code128Reader,
    code_39: Code39Reader,
    code_93: Code93Reader,
    itf: ITFReader,
    codabar: CodaBarReader,
    ean: MultiFormatUPCEANReader,
    hints: DecodeHints,
}

impl Readers {
    fn new() -> Self {
        let hints = DecodeHints::default();
        Self {
            code_128: Code128Reader,
            code_39: Code39Reader::new(),
            code_93: Code93Reader::new(),
            itf: ITFReader::default(),
            codabar: CodaBarReader::new(),
            ean: MultiFormatUPCEANReader::new(&hints),
            hints,
        }
    }

    /// Reads one piece of one row, from the left and from the right.
    fn read(
        &mut self,
        bitmap: &Bitmap,
        y: u32,
        (from, to): (u32, u32),
    ) -> Option<(BarcodeFormat, String)> {
        let mut row = BitArray::with_size((to - from) as usize + 2 * MARGIN);
        for x in from..to {
            if bitmap.is_black(x, y) {
                row.set(MARGIN + (x - from) as usize);
            }
        }
        let hints = &self.hints;
        for _ in 0..2 {
            // Most common first; formats without a check character last.
            let result = self
                .code_128
                .decode_row(y, &row, hints)
                .or_else(|_| self.ean.decode_row(y, &row, hints))
                .or_else(|_| self.code_93.decode_row(y, &row, hints))
                .or_else(|_| self.code_39.decode_row(y, &row, hints))
                .or_else(|_| self.itf.decode_row(y, &row, hints))
                .or_else(|_| self.codabar.decode_row(y, &row, hints));
            if let Ok(result) = result {
                return Some((*result.getBarcodeFormat(), result.getText().to_owned()));
            }
            row.reverse();
        }
        None
    }
}

/// 2D codes anywhere on the page.
fn matrix(bitmap: &Bitmap) -> Vec<ReadCode> {
    let mut luma = Vec::with_capacity(bitmap.width as usize * bitmap.height as usize);
    for y in 0..bitmap.height {
        luma.extend((0..bitmap.width).map(|x| if bitmap.is_black(x, y) { 0 } else { 255_u8 }));
    }
    let hints = DecodeHints {
        TryHarder: Some(true),
        PossibleFormats: Some(HashSet::from([
            BarcodeFormat::QR_CODE,
            BarcodeFormat::DATA_MATRIX,
            BarcodeFormat::AZTEC,
            BarcodeFormat::PDF_417,
            BarcodeFormat::MAXICODE,
        ])),
        ..DecodeHints::default()
    };
    let Ok(source) = Luma8LuminanceSource::new(luma, bitmap.width, bitmap.height) else {
        return Vec::new();
    };
    let mut image = BinaryBitmap::new(GlobalHistogramBinarizer::new(source));
    let mut reader = GenericMultipleBarcodeReader::new(MultiUseMultiFormatReader::default());
    reader
        .decode_multiple_with_hints(&mut image, &hints)
        .unwrap_or_default()
        .iter()
        .map(|result| code(*result.getBarcodeFormat(), result.getText()))
        .collect()
}

fn code(format: BarcodeFormat, text: &str) -> ReadCode {
    ReadCode {
        format: match format {
            BarcodeFormat::CODE_128 => "code-128".to_owned(),
            BarcodeFormat::CODE_39 => "code-39".to_owned(),
            BarcodeFormat::CODE_93 => "code-93".to_owned(),
            BarcodeFormat::QR_CODE => "qr".to_owned(),
            BarcodeFormat::DATA_MATRIX => "data-matrix".to_owned(),
            BarcodeFormat::PDF_417 => "pdf-417".to_owned(),
            other => format!("{other:?}").to_lowercase().replace('_', "-"),
        },
        text: text.chars().take(MAX_TEXT).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barcoders::sym::code39::Code39;
    use barcoders::sym::code128::Code128;

    fn numbers(list: &[&str]) -> Vec<String> {
        list.iter().map(|s| (*s).to_owned()).collect()
    }

    /// A code with `module` dots per module and bars of `height` dots on a 4x6 page.
    fn page_with(modules: &[u8], module: u32, height: u32, at: (u32, u32)) -> Bitmap {
        let mut page = Bitmap::new_white(812, 1218);
        for (i, black) in (0_u32..).zip(modules) {
            for x in 0..module {
                for y in 0..height {
                    if *black == 1 {
                        page.set_black(at.0 + i * module + x, at.1 + y);
                    }
                }
            }
        }
        page
    }

    fn code_128(text: &str) -> Vec<u8> {
        Code128::new(format!("\u{0181}{text}")).unwrap().encode()
    }

    #[test]
    fn a_blank_page_and_a_page_of_noise_hold_no_code() {
        assert_eq!(
            read(&Bitmap::new_white(812, 1218), 203, &numbers(&["ABC12345"])),
            []
        );
        let mut noise = Bitmap::new_white(400, 400);
        let mut state = 12345_u32;
        for byte in &mut noise.bits {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
        assert_eq!(read(&noise, 203, &[]), []);
        assert_eq!(read(&Bitmap::new_white(0, 0), 203, &[]), []);
        assert_eq!(read(&Bitmap::new_white(3, 3), 203, &numbers(&["X"])), []);
    }

    #[test]
    fn another_number_does_not_match() {
        for (tracking, text) in [
            ("33ABC1234567", "33ABC1234568"),
            ("1234", "99123499"),
            ("12345678", "5678"),
            ("", ""),
            ("--", "ABCDEFGH"),
        ] {
            assert!(!matches(&numbers(&[tracking]), text), "{tracking} {text}");
        }
    }

    #[test]
    fn couriers_spellings_of_a_number_match() {
        for (tracking, text) in [
            ("33ABC1234567", "33abc 1234567"),
            ("794600000000", "1001901234560003800000794600000000"),
            ("9205590164917312751089", "420902109205590164917312751089"),
            ("JJD014600003088800171", "014600003088800171"),
            ("(00)370730258163631083", "00370730258163631083"),
            ("1234", "1234"),
        ] {
            assert!(
                matches(&numbers(&["other", tracking]), text),
                "{tracking} {text}"
            );
        }
    }

    #[test]
    fn a_code_is_read_upright_and_turned_each_way() {
        let modules = code_128("33ABC1234567");
        let upright = page_with(&modules, 2, 120, (100, 300));
        let mut reversed = modules.clone();
        reversed.reverse();
        let upside_down = page_with(&reversed, 2, 120, (100, 300));
        for page in [
            upright.clone(),
            upside_down.clone(),
            transpose(&upright),
            transpose(&upside_down),
        ] {
            let codes = read(&page, 203, &numbers(&["33ABC1234567"]));
            assert_eq!(
                codes,
                [ReadCode {
                    format: "code-128".into(),
                    text: "33ABC1234567".into()
                }]
            );
        }
    }

    #[test]
    fn two_codes_beside_each_other_are_both_read() {
        let mut page = page_with(&code_128("LEFT1"), 2, 90, (30, 50));
        let right = page_with(&code_128("RIGHT2"), 2, 90, (500, 60));
        for (to, from) in page.bits.iter_mut().zip(&right.bits) {
            *to |= from;
        }
        let texts: Vec<String> = read(&page, 203, &[]).into_iter().map(|c| c.text).collect();
        assert_eq!(texts, ["LEFT1", "RIGHT2"]);
    }

    #[test]
    fn code_39_needs_two_rows_that_agree() {
        let modules = Code39::new("AB1234").unwrap().encode();
        assert_eq!(read(&page_with(&modules, 2, 10, (50, 4)), 203, &[]), []);
        let codes = read(&page_with(&modules, 2, 100, (50, 50)), 203, &[]);
        assert_eq!(
            codes,
            [ReadCode {
                format: "code-39".into(),
                text: "AB1234".into()
            }]
        );
    }

    #[test]
    fn modules_of_two_to_six_dots_are_read_alike() {
        let modules = barcoders::sym::code128::Code128::new("\u{181}PS5382708207")
            .unwrap()
            .encode();
        for dots in 2..=6_u32 {
            let mut page = Bitmap::new_white(1100, 400);
            for (n, module) in (0_u32..).zip(&modules) {
                for x in 0..dots {
                    for y in 100..300 {
                        if *module == 1 {
                            page.set_black(20 + n * dots + x, y);
                        }
                    }
                }
            }
            let read: Vec<String> = read(&page, 203, &[]).into_iter().map(|c| c.text).collect();
            assert_eq!(read, ["PS5382708207"], "{dots} dots a module");
        }
    }
}
