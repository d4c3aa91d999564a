//! What bytes: one picture in a printer's language. Pure, no I/O, the same bytes every time.
//!
//! Every language gets the same picture (1 = black); what differs is noted in its file. Offsets
//! are applied to the picture before it is encoded, so that they mean the same everywhere.

pub mod epl;
pub mod escpos;
pub mod png;
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
    /// Darkness in the language's steps; `None`: as the printer is set.
    pub darkness: Option<u8>,
    /// Inches per second; `None`: as the printer is set.
    pub speed: Option<u8>,
    /// What happens when the label is out; `None`: as the printer is set.
    pub after_label: Option<AfterLabel>,
    /// Dots to move the picture right and down.
    pub offset: (i32, i32),
    /// ZPL: `:Z64:` instead of run lengths.
    pub z64: bool,
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
        }
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
        }
    }
}

/// One page in `language`; `Auto` has no bytes of its own and is a picture file.
pub fn encode(language: Language, page: &Bitmap, options: &Options) -> Vec<u8> {
    match language {
        Language::Zpl => zpl::encode(page, options),
        Language::Epl => epl::encode(page, options),
        Language::Tspl => tspl::encode(page, options),
        Language::Escpos => escpos::encode(page, options),
        Language::Png | Language::Auto => png::encode(page, options),
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
}
