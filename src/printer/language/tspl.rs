//! TSPL / TSPL2: one `BITMAP` per label.
//!
//! Format: TSC "TSPL/TSPL2 Programming Language Manual": mode 0 (overwrite), 0 = black, rows in
//! whole bytes, padding white. The gap is not sent: it is the printer's own calibration.
//! `DIRECTION 0` prints the first row first, as the other languages do.

use super::{Options, inverted_rows, moved};
use crate::domain::Bitmap;
use crate::printer::settings::AfterLabel;
use std::io::Write as _;

/// Cancels what is waiting, at once.
pub(crate) const CANCEL: &[u8] = b"\x1b!.\r\n";
/// The same, and forgets the picture so far.
pub(crate) const CLEAR: &[u8] = b"\x1b!.\r\nCLS\r\n";

/// The page as one TSPL label.
pub fn encode(page: &Bitmap, options: &Options) -> Vec<u8> {
    let page = moved(page, options.offset);
    let page = page.as_ref();
    let stride = page.stride();
    let mm = |dots: u32| f64::from(dots) * 25.4 / f64::from(options.dpi.max(1));
    let mut out = Vec::new();
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = write!(out, "{text}\r\n"); // memory takes every byte
    };
    line(format_args!(
        "SIZE {:.2} mm,{:.2} mm",
        mm(page.width),
        mm(page.height)
    ));
    if let Some(step) = options.darkness_step() {
        line(format_args!("DENSITY {step}"));
    }
    if let Some(speed) = options.speed {
        line(format_args!("SPEED {}", speed.clamp(1, 14)));
    }
    match options.after_label {
        Some(AfterLabel::TearOff) => line(format_args!("SET TEAR ON")),
        Some(AfterLabel::Peel) => line(format_args!("SET PEEL ON")),
        Some(AfterLabel::Cut) => line(format_args!("SET CUTTER 1")),
        None => {}
    }
    // A printer that reprints by itself after media-out would double what a person asks for again.
    line(format_args!("SET REPRINT OFF"));
    line(format_args!("DIRECTION 0,0"));
    line(format_args!("REFERENCE 0,0"));
    line(format_args!("CLS"));
    let _ = write!(out, "BITMAP 0,0,{stride},{},0,", page.height);
    for row in inverted_rows(page) {
        out.extend_from_slice(&row);
    }
    let _ = write!(out, "\r\nPRINT 1,{}\r\n", options.copies);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn black_is_zero_and_the_padding_is_white() {
        let mut page = Bitmap::new_white(10, 1);
        page.set_black(0, 0);
        page.set_black(9, 0);
        let bytes = encode(&page, &Options::default());
        let text = b"SIZE 1.25 mm,0.13 mm\r\nSET REPRINT OFF\r\nDIRECTION 0,0\r\nREFERENCE 0,0\r\nCLS\r\nBITMAP 0,0,2,1,0,\x7f\xbf\r\nPRINT 1,1\r\n";
        assert_eq!(bytes, text);
    }
}
