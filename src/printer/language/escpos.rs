//! ESC/POS: raster bands, white rows fed, one cut per page.
//!
//! Format: Epson "ESC/POS command reference". Command bytes come from the `escpos` crate through
//! our own in-memory driver; the picture itself goes as `custom()` bytes, because the crate only
//! takes encoded files and scales them by nearest neighbour. Bands are at most 256 rows: many
//! printers lose step on taller ones.
//!
//! Tickets go as text and QR codes, which every receipt printer draws by itself: a few hundred bytes,
//! and on a 58 mm roll a QR code fits where a Code 128 does not.
//!
//! `ESC J` counts in vertical motion units, not in dots (1/360 inch on many printers), so they
//! are set first; where a unit is several dots (heads above 255 dpi) only whole units are fed.

use super::{Options, mm_to_dots, moved};
use crate::domain::Bitmap;
use crate::printer::settings::AfterLabel;
use escpos::driver::Driver;
use escpos::errors::{PrinterError, Result};
use escpos::printer::Printer;
use escpos::utils::{
    JustifyMode, Protocol, QRCodeCorrectionLevel, QRCodeModel, QRCodeOption, RealTimeStatusRequest,
};
use std::cell::RefCell;
use std::rc::Rc;

/// Rows of one `GS v 0`.
const BAND: u32 = 256;
/// White rows worth a feed instead of a band of zeros: a band's head is 8 bytes.
const FEED_FROM: u32 = 16;
/// What `GS v 0` can say about a row: two bytes.
const MAX_STRIDE: u32 = 0xffff;

/// The page as ESC/POS.
pub fn encode(page: &Bitmap, options: &Options) -> Vec<u8> {
    let page = moved(page, options.offset);
    let memory = Memory::default();
    match write_page(page.as_ref(), options, memory.clone()) {
        Ok(()) => memory.0.take(),
        // The driver is memory and the commands hold no text, so the crate has nothing to refuse.
        Err(error) => {
            tracing::error!(%error, "the ESC/POS page could not be built");
            Vec::new()
        }
    }
}

/// `DLE DC4 8`: clears the receive and print buffers at once (Epson; others see control bytes
/// that they ignore).
pub(crate) const CANCEL: &[u8] = b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08";

/// Ends a band that a broken connection left open (its rest is white), then forgets everything.
pub(crate) fn clear(width: u32) -> Vec<u8> {
    let rest = width.div_ceil(8).min(MAX_STRIDE) * BAND;
    let mut out = vec![0; rest as usize];
    out.extend_from_slice(b"\x1b@");
    out
}

/// Asks for the printer's, the offline cause's, the error's and the paper's status byte, in this order.
pub(crate) fn status_query() -> Vec<u8> {
    let memory = Memory::default();
    let asked = || -> Result<()> {
        let mut printer = Printer::new(memory.clone(), Protocol::default(), None);
        printer
            .real_time_status(RealTimeStatusRequest::Printer)?
            .real_time_status(RealTimeStatusRequest::OfflineCause)?
            .real_time_status(RealTimeStatusRequest::ErrorCause)?
            .real_time_status(RealTimeStatusRequest::RollPaperSensor)?
            .print()?;
        Ok(())
    };
    match asked() {
        Ok(()) => memory.0.take(),
        Err(_) => Vec::new(), // as in `encode`: memory refuses nothing
    }
}

/// Width of a character of font A, dots.
const CELL: u32 = 12;
/// Dots of a QR code's module: 0.75 mm on the usual head.
const MODULE: u8 = 6;
/// Lines a ticket can have; a ticket is no report.
const MOST_LINES: usize = 60;

/// A ticket: lines of text, the first one large, and QR codes with their text under them. What is not
/// ASCII becomes `?`: which other characters a printer has depends on where it was bought.
pub fn ticket(lines: &[String], codes: &[String], options: &Options) -> Vec<u8> {
    let memory = Memory::default();
    match write_ticket(lines, codes, options, memory.clone()) {
        Ok(()) => memory.0.take(),
        Err(error) => {
            tracing::error!(%error, "the ESC/POS ticket could not be built");
            Vec::new()
        }
    }
}

fn write_ticket(
    lines: &[String],
    codes: &[String],
    options: &Options,
    memory: Memory,
) -> Result<()> {
    let dots = mm_to_dots(options.media_mm.0, options.dpi).unsigned_abs();
    let columns = usize::try_from(dots / CELL).unwrap_or(0).clamp(16, 64);
    let mut printer = Printer::new(memory, Protocol::default(), None);
    printer.init()?;
    let mut left = MOST_LINES;
    for (n, line) in lines.iter().enumerate() {
        let (scale, columns) = if n == 0 {
            (2, columns / 2)
        } else {
            (1, columns)
        };
        printer.size(scale, scale)?.bold(n == 0)?;
        for part in wrapped(&plain(line), columns).into_iter().take(left) {
            printer.writeln(&part)?;
            left = left.saturating_sub(1);
        }
    }
    for code in codes {
        let code = plain(code);
        let option = QRCodeOption::new(QRCodeModel::Model2, MODULE, QRCodeCorrectionLevel::M);
        printer
            .feed()?
            .justify(JustifyMode::CENTER)?
            .qrcode_option(&code, option)?
            .writeln(&code)?
            .justify(JustifyMode::LEFT)?;
    }
    printer.feeds(2)?;
    match options.after_label {
        None | Some(AfterLabel::Cut) => printer.cut()?,
        Some(AfterLabel::TearOff | AfterLabel::Peel) => printer.custom(&[0x0c])?,
    };
    printer.print()?;
    Ok(())
}

/// Text that every printer's own font has, and no command.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .collect()
}

/// Words on lines of so many columns; a longer word is cut.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut parts = vec![String::new()];
    for word in line.split(' ') {
        let mut word = word;
        loop {
            let used = parts.last().map_or(0, String::len);
            let space = usize::from(used > 0);
            let fits = used + space + word.len() <= columns;
            if !fits && used > 0 {
                parts.push(String::new());
                continue;
            }
            // ASCII only: every byte is a character.
            let (now, rest) = word.split_at(word.len().min(columns));
            if let Some(part) = parts.last_mut() {
                if space == 1 {
                    part.push(' ');
                }
                part.push_str(now);
            }
            if rest.is_empty() {
                break;
            }
            parts.push(String::new());
            word = rest;
        }
    }
    parts
}

fn write_page(page: &Bitmap, options: &Options, memory: Memory) -> Result<()> {
    if page.stride() > MAX_STRIDE {
        return Err(PrinterError::Input(
            "the page is wider than a raster can be".to_owned(),
        ));
    }
    let (unit, units_per_inch) = motion_unit(options.dpi);
    let mut printer = Printer::new(memory, Protocol::default(), None);
    printer
        .init()?
        .motion_units(units_per_inch, units_per_inch)?;
    let mut y = 0;
    while y < page.height {
        let white = (y..page.height)
            .take_while(|row| is_white(page.row(*row)))
            .count();
        let white = u32::try_from(white).unwrap_or(0) / unit * unit;
        if white >= FEED_FROM {
            feed(&mut printer, white / unit)?;
            y += white;
            continue;
        }
        let end = band_end(page, y);
        printer.custom(&raster(page, y, end))?;
        y = end;
    }
    match options.after_label {
        None | Some(AfterLabel::Cut) => printer.cut()?,
        // The printer's own way to the start of the next label.
        Some(AfterLabel::TearOff | AfterLabel::Peel) => printer.custom(&[0x0c])?,
    };
    printer.print()?;
    Ok(())
}

/// Dots per motion unit, and units per inch as `GS P` takes them (one byte).
fn motion_unit(dpi: u16) -> (u32, u8) {
    (1..=dpi.max(1))
        .filter(|dots| dpi.is_multiple_of(*dots))
        .find_map(|dots| Some((u32::from(dots), u8::try_from(dpi / dots).ok()?)))
        .unwrap_or((1, 0)) // 0 = the printer's own unit; only for 0 dpi
}

fn feed(printer: &mut Printer<Memory>, mut units: u32) -> Result<()> {
    while units > 0 {
        let step = u8::try_from(units.min(255)).unwrap_or(255);
        printer.custom(&[0x1b, b'J', step])?;
        units -= u32::from(step);
    }
    Ok(())
}

/// Where the band that starts at `y` ends: before white rows worth a feed, or when it is full.
fn band_end(page: &Bitmap, y: u32) -> u32 {
    let last = page.height.min(y + BAND);
    let mut white = 0;
    for row in y..last {
        white = if is_white(page.row(row)) {
            white + 1
        } else {
            0
        };
        if white == FEED_FROM && row + 1 - white > y {
            return row + 1 - white;
        }
    }
    last
}

fn raster(page: &Bitmap, from: u32, to: u32) -> Vec<u8> {
    let stride = page.stride();
    let [x_low, x_high, ..] = stride.to_le_bytes();
    let [y_low, y_high, ..] = (to - from).to_le_bytes();
    let mut out = vec![0x1d, b'v', b'0', 0, x_low, x_high, y_low, y_high];
    for y in from..to {
        out.extend_from_slice(page.row(y));
    }
    out
}

fn is_white(row: &[u8]) -> bool {
    row.iter().all(|byte| *byte == 0)
}

/// The crate's driver that moves nothing: bytes, transport and proof stay separate.
#[derive(Clone, Default)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Driver for Memory {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    fn write(&self, data: &[u8]) -> Result<()> {
        self.0.borrow_mut().extend_from_slice(data);
        Ok(())
    }

    fn read(&self, _buffer: &mut [u8]) -> Result<usize> {
        Ok(0)
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bands(bytes: &[u8]) -> Vec<u16> {
        bytes
            .windows(8)
            .filter(|w| w.starts_with(b"\x1dv0\0"))
            .map(|w| u16::from_le_bytes([w[6], w[7]]))
            .collect()
    }

    #[test]
    fn a_tall_page_goes_in_bands_of_at_most_256_rows() {
        let page = Bitmap::from_bits(8, 600, vec![0x81; 600]).unwrap();
        assert_eq!(bands(&encode(&page, &Options::default())), [256, 256, 88]);
    }

    #[test]
    fn white_rows_are_fed_and_the_page_keeps_its_length() {
        let mut page = Bitmap::new_white(16, 700);
        page.set_black(3, 300);
        let bytes = encode(&page, &Options::default());
        let expected = [
            b"\x1b@\x1dP\xcb\xcb".as_slice(),
            b"\x1bJ\xff\x1bJ\x2d",         // 300 rows
            b"\x1dv0\0\x02\0\x01\0\x10\0", // one row
            b"\x1bJ\xff\x1bJ\x90",         // 399 rows
            b"\x1dVA\0",
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn above_255_dpi_only_whole_units_are_fed() {
        assert_eq!(motion_unit(203), (1, 203));
        assert_eq!(motion_unit(300), (2, 150));
        assert_eq!(motion_unit(600), (3, 200));
        let mut page = Bitmap::new_white(8, 42);
        page.set_black(0, 41);
        let options = Options {
            dpi: 300,
            ..Options::default()
        };
        let bytes = encode(&page, &options);
        assert!(bytes.windows(3).any(|w| w == b"\x1bJ\x14"), "{bytes:x?}");
        assert_eq!(bands(&bytes), [2]);
    }

    #[test]
    fn tearing_and_peeling_printers_are_not_told_to_cut() {
        let page = Bitmap::new_white(8, 1);
        let options = Options {
            after_label: Some(AfterLabel::TearOff),
            ..Options::default()
        };
        assert_eq!(encode(&page, &options).last(), Some(&0x0c));
    }

    #[test]
    fn a_ticket_is_text_and_qr_codes_and_carries_no_command_of_others() {
        let lines = [
            "ALREADY-PRINTED".to_owned(),
            "WEB-1\u{1b}@ caf\u{e9} \u{1f}".to_owned(),
        ];
        let codes = ["PS7K4D.REPRINT".to_owned()];
        let bytes = ticket(&lines, &codes, &Options::default());
        let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|w| w == wanted);
        assert!(
            has(b"ALREADY-PRINTED") && has(b"WEB-1?@ caf? ?"),
            "{bytes:x?}"
        );
        // Stored as data of a QR code, then printed.
        assert!(has(b"\x1d(k\x11\x001P0PS7K4D.REPRINT") && has(b"\x1d(k\x03\x001Q0"));
        assert_eq!(bytes.windows(2).filter(|w| w == b"\x1b@").count(), 1);
        assert!(bytes.len() < 400, "{}", bytes.len());
    }

    #[test]
    fn words_are_kept_whole_where_they_fit_a_line() {
        assert_eq!(
            wrapped("the label is printed", 9),
            ["the label", "is", "printed"]
        );
        assert_eq!(wrapped("a 1234567890", 4), ["a", "1234", "5678", "90"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn the_status_query_asks_four_times() {
        assert_eq!(
            status_query(),
            b"\x10\x04\x01\0\x10\x04\x02\0\x10\x04\x03\0\x10\x04\x04\0"
        );
    }
}
