//! What bytes: one picture in a printer's language. Pure, no I/O, the same bytes every time.
//!
//! Every language gets the same picture (1 = black); what differs is noted in its file. Offsets
//! are applied to the picture before it is encoded, so that they mean the same everywhere.

pub mod brother_ql;
pub mod epl;
pub mod escpos;
pub mod pdf;
pub mod png;
pub mod pwg;
pub mod tspl;
pub mod zpl;

use super::settings::{AfterLabel, Language, Settings, mm_to_dots};
use crate::domain::Bitmap;
use std::borrow::Cow;

/// What an encoder needs to know besides the picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Dots per inch of the head.
    pub dpi: u16,
    /// Darkness: ZPL adds it to the printer's own (-30..=30), EPL and TSPL take it as the step (1..=15);
    /// `None`: as the printer is set.
    pub darkness: Option<i8>,
    /// Inches per second; `None`: as the printer is set.
    pub speed: Option<u8>,
    /// What happens when the label is out; `None`: as the printer is set.
    pub after_label: Option<AfterLabel>,
    /// Dots to move the picture right and down.
    pub offset: (i32, i32),
    /// ZPL: `:Z64:` instead of run lengths.
    pub z64: bool,
    /// Width and length of one label as it is sold, millimetres; Brother heads depend on it.
    pub media_mm: (f64, f64),
    /// PWG raster: a byte for each dot, for printers that take no 1-bit pictures.
    pub gray: bool,
    /// How many of it come out, 1 or more; a picture file is one whatever this says.
    pub copies: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            dpi: 203,
            darkness: None,
            speed: None,
            after_label: None,
            offset: (0, 0),
            z64: false,
            media_mm: (100.0, 150.0),
            gray: false,
            copies: 1,
        }
    }
}

impl Options {
    /// Darkness of languages that know steps only. Less than the printer's own (refused where the language is
    /// configured, not where it is found out) leaves it as it is.
    fn darkness_step(&self) -> Option<i8> {
        self.darkness.filter(|d| *d > 0).map(|d| d.min(15))
    }
}

impl From<&Settings> for Options {
    fn from(s: &Settings) -> Self {
        Self {
            dpi: s.dpi,
            darkness: s.darkness,
            speed: s.speed,
            after_label: s.after_label,
            offset: (
                mm_to_dots(s.offset_mm.0, s.dpi),
                mm_to_dots(s.offset_mm.1, s.dpi),
            ),
            z64: s.z64,
            media_mm: s.media_mm,
            gray: false,
            copies: 1,
        }
    }
}

/// One page in `language`, `copies` times; `Auto` has no bytes of its own and is a picture file.
pub fn encode(language: Language, page: &Bitmap, options: &Options) -> Vec<u8> {
    match language {
        Language::Zpl => zpl::encode(page, options),
        Language::Epl => epl::encode(page, options),
        Language::Tspl => tspl::encode(page, options),
        // These have no command for it.
        Language::Escpos => escpos::encode(page, options).repeat(options.copies.into()),
        Language::BrotherQl => brother_ql::encode(page, options).repeat(options.copies.into()),
        Language::Pwg => pwg::encode(page, options),
        Language::Pdf => pdf::encode(page, options),
        Language::Png | Language::Auto => png::encode(page, options),
    }
}

/// What makes the printer forget a label that a broken line left half in it. `is_heard`: it has
/// just answered a question, which languages without immediate commands do only between commands.
pub(crate) fn clear(language: Language, (width, height): (u32, u32), is_heard: bool) -> Vec<u8> {
    // Line ends fill up a picture that was left open, and mean nothing between commands.
    let fill = |end: &[u8]| {
        let bytes = if is_heard {
            0
        } else {
            (width.div_ceil(8) * height).min(MOST_FILL)
        };
        let mut out = b"\r\n".repeat(bytes as usize / 2);
        out.extend_from_slice(end);
        out
    };
    match language {
        Language::Zpl => zpl::CLEAR.to_vec(),
        Language::Epl => fill(epl::CLEAR),
        Language::Tspl => fill(tspl::CLEAR),
        Language::Escpos => escpos::clear(width),
        Language::BrotherQl => brother_ql::CLEAR.to_vec(),
        Language::Pwg | Language::Pdf | Language::Png | Language::Auto => Vec::new(),
    }
}

/// Largest picture that is filled up, bytes: 4x8 inches at 300 dpi.
const MOST_FILL: u32 = 1200 / 8 * 2400;

/// Cancels at once what the printer holds and has not printed.
pub(crate) fn cancel(language: Language) -> &'static [u8] {
    match language {
        Language::Zpl => zpl::CLEAR,
        Language::Tspl => tspl::CANCEL,
        Language::Escpos => escpos::CANCEL,
        Language::Epl => epl::CANCEL,
        Language::BrotherQl => &brother_ql::CLEAR,
        Language::Pwg | Language::Pdf | Language::Png | Language::Auto => &[],
    }
}

/// The page moved by `offset` dots; what leaves the page is cut, what enters it is white.
pub(crate) fn moved(page: &Bitmap, offset: (i32, i32)) -> Cow<'_, Bitmap> {
    if offset == (0, 0) {
        return Cow::Borrowed(page);
    }
    let (dx, dy) = (i64::from(offset.0), i64::from(offset.1));
    let mut out = Bitmap::new_white(page.width, page.height);
    for y in 0..page.height {
        for x in 0..page.width {
            let from = (
                u32::try_from(i64::from(x) - dx),
                u32::try_from(i64::from(y) - dy),
            );
            if let (Ok(from_x), Ok(from_y)) = from
                && page.is_black(from_x, from_y)
            {
                out.set_black(x, y);
            }
        }
    }
    Cow::Owned(out)
}

/// The picture's rows inverted: 0 = black and padding 1 = white, as EPL, TSPL and PNG want them.
pub(crate) fn inverted_rows(page: &Bitmap) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..page.height).map(|y| page.row(y).iter().map(|byte| !byte).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_moves_the_picture_and_cuts_what_leaves_the_page() {
        let mut page = Bitmap::new_white(10, 4);
        page.set_black(0, 0);
        page.set_black(9, 3);
        let right = moved(&page, (2, 1));
        assert!(right.is_black(2, 1));
        assert_eq!(right.black(), 1);
        let left = moved(&page, (-1, -3));
        assert!(left.is_black(8, 0));
        assert_eq!(left.black(), 1);
        assert_eq!(moved(&page, (i32::MIN, i32::MAX)).black(), 0);
    }

    #[test]
    fn less_darkness_than_the_printers_own_is_no_step() {
        let with = |darkness| Options {
            darkness,
            ..Options::default()
        };
        assert_eq!(with(Some(-3)).darkness_step(), None);
        assert_eq!(with(Some(12)).darkness_step(), Some(12));
        assert_eq!(with(Some(30)).darkness_step(), Some(15));
        let page = Bitmap::new_white(8, 1);
        let plain = encode(Language::Tspl, &page, &with(None));
        assert_eq!(encode(Language::Tspl, &page, &with(Some(-3))), plain);
    }
}
