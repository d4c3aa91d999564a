//! EPL2, page mode: one `GW` picture per label.
//!
//! Format: Zebra "EPL2 Programmer's Manual" and a courier's own EPL label: 0 = black, rows in
//! whole bytes, padding white, a line feed before `N` in case a command was left open.

use super::{Options, inverted_rows, moved};
use crate::domain::Bitmap;
use crate::printer::settings::AfterLabel;
use std::io::Write as _;

/// Resets the printer, as switching it off and on: EPL2 has no other way to drop a label that
/// waits for paper.
pub(crate) const CANCEL: &[u8] = b"\r\n^@\r\n";
/// Ends a command or picture row that was left open and forgets the label.
pub(crate) const CLEAR: &[u8] = b"\r\nN\r\n";

/// The page as one EPL2 label.
pub fn encode(page: &Bitmap, options: &Options) -> Vec<u8> {
    let page = moved(page, options.offset);
    let page = page.as_ref();
    let stride = page.stride();
    let mut out = b"\r\nN\r\n".to_vec();
    let mut line = |text: std::fmt::Arguments<'_>| {
        let _ = write!(out, "{text}\r\n"); // memory takes every byte
    };
    if let Some(step) = options.darkness_step() {
        line(format_args!("D{step}"));
    }
    if let Some(speed) = options.speed {
        line(format_args!("S{}", speed.clamp(1, 6)));
    }
    match options.after_label {
        Some(AfterLabel::Cut) => line(format_args!("OC")),
        Some(AfterLabel::Peel) => line(format_args!("OP")),
        Some(AfterLabel::TearOff) => line(format_args!("O")),
        None => {}
    }
    line(format_args!("q{}", stride * 8));
    line(format_args!("R0,0"));
    line(format_args!("ZT"));
    let _ = write!(out, "GW0,0,{stride},{},", page.height);
    for row in inverted_rows(page) {
        out.extend_from_slice(&row);
    }
    let _ = write!(out, "\r\nP1,{}\r\n", options.copies);
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
        let expected = b"\r\nN\r\nq16\r\nR0,0\r\nZT\r\nGW0,0,2,1,\x7f\xbf\r\nP1,1\r\n";
        assert_eq!(bytes, expected);
    }
}
