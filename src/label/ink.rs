//! Gray to 1-bit: a hard threshold for everything that has an edge, clustered dots for gray fields.
//!
//! Dithering costs 7 to 16 of 91 barcodes, a hard threshold none; but a threshold turns a
//! light gray box black or a watermark at 50 % into crumbs. lprint's rule parts the two: only gray
//! that touches nothing but the same gray is a field. Here a field is flat over 5 x 5 dots and
//! between middle and light gray, so neither a bar's edge nor a bar drawn in dark gray or colour
//! is ever dithered.

use super::place::Turn;
use crate::domain::Bitmap;

/// An 8-bit picture, 0 = black, rows without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gray {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) data: Vec<u8>,
}

impl Gray {
    pub(crate) fn row(&self, y: u32) -> &[u8] {
        let width = self.width as usize;
        let start = width * y as usize;
        self.data.get(start..start + width).unwrap_or(&[])
    }
}

/// Luminance (ITU-R BT.601) of opaque RGB.
pub(crate) fn luminance(r: u8, g: u8, b: u8) -> u8 {
    let sum = 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500;
    u8::try_from(sum / 1000).unwrap_or(u8::MAX)
}

/// Darkest gray that may be a field: bars may be drawn in dark gray or in any colour of ink.
const FIELD_DARKEST: u8 = 112;
/// Lightest gray that may be a field: lighter tints print as white, because dots in a barcode's
/// background cost more than a tint is worth.
const FIELD_LIGHTEST: u8 = 215;
/// How far a field's dots may differ.
const FIELD_RANGE: u8 = 12;
/// Dots around the middle one that must be the same gray.
const FIELD_REACH: u32 = 2;

/// Clustered-dot screen, 8 x 8 with two clusters (45°), thresholds 0..=63.
const SCREEN: [[u8; 8]; 8] = [
    [24, 10, 12, 26, 35, 47, 49, 37],
    [8, 0, 2, 14, 45, 59, 61, 51],
    [22, 6, 4, 16, 43, 57, 63, 53],
    [30, 20, 18, 28, 33, 41, 55, 39],
    [34, 46, 48, 36, 25, 11, 13, 27],
    [44, 58, 60, 50, 9, 1, 3, 15],
    [42, 56, 62, 52, 23, 7, 5, 17],
    [32, 40, 54, 38, 31, 21, 19, 29],
];

/// 1 bit per dot: black where the gray is below `threshold`, screened where it is a field.
pub(crate) fn to_bitmap(gray: &Gray, threshold: u8) -> Bitmap {
    let mut bitmap = Bitmap::new_white(gray.width, gray.height);
    let stride = bitmap.stride() as usize;
    if stride == 0 {
        return bitmap;
    }
    for (y, out) in (0_u32..).zip(bitmap.bits.chunks_exact_mut(stride)) {
        for ((at, byte), dots) in (0_u32..).zip(out).zip(gray.row(y).chunks(8)) {
            for (bit, value) in (0_u32..).zip(dots) {
                let field = (FIELD_DARKEST..=FIELD_LIGHTEST).contains(value)
                    && is_field(gray, at * 8 + bit, y, *value);
                let black = if field {
                    u32::from(*value) < screen(at * 8 + bit, y)
                } else {
                    *value < threshold
                };
                *byte |= u8::from(black) << (7 - bit);
            }
        }
    }
    bitmap
}

/// The screen's threshold at a dot, spread over 0..=255 by the middles of its 64 steps.
fn screen(x: u32, y: u32) -> u32 {
    u32::from(SCREEN[(y % 8) as usize][(x % 8) as usize]) * 4 + 2
}

/// Flat gray around the dot; never at the picture's edge.
fn is_field(gray: &Gray, x: u32, y: u32, value: u8) -> bool {
    if x < FIELD_REACH
        || y < FIELD_REACH
        || x + FIELD_REACH >= gray.width
        || y + FIELD_REACH >= gray.height
    {
        return false;
    }
    (y - FIELD_REACH..=y + FIELD_REACH).all(|y| {
        gray.row(y)
            .get((x - FIELD_REACH) as usize..=(x + FIELD_REACH) as usize)
            .is_some_and(|dots| dots.iter().all(|dot| dot.abs_diff(value) <= FIELD_RANGE))
    })
}

/// A box in dots: left, top, right, bottom; right and bottom are outside.
pub(crate) type DotBox = (u32, u32, u32, u32);

/// The smallest box around everything darker than `below`.
pub(crate) fn gray_box(gray: &Gray, below: u8) -> Option<DotBox> {
    let mut found: Option<DotBox> = None;
    for y in 0..gray.height {
        let row = gray.row(y);
        let Some(first) = row.iter().position(|v| *v < below) else {
            continue;
        };
        let last = row.iter().rposition(|v| *v < below).unwrap_or(first);
        let (first, last) = (to_u32(first), to_u32(last));
        found = Some(match found {
            None => (first, y, last + 1, y + 1),
            Some((x0, y0, x1, _)) => (x0.min(first), y0, x1.max(last + 1), y + 1),
        });
    }
    found
}

/// The smallest box around all black dots.
pub(crate) fn ink_box(bitmap: &Bitmap) -> Option<DotBox> {
    let mut found: Option<DotBox> = None;
    for y in 0..bitmap.height {
        let row = bitmap.row(y);
        let Some(first) = row.iter().position(|b| *b != 0) else {
            continue;
        };
        let last = row.iter().rposition(|b| *b != 0).unwrap_or(first);
        let (head, tail) = (row[first].leading_zeros(), row[last].trailing_zeros());
        let (first, last) = (to_u32(first) * 8 + head, to_u32(last) * 8 + 8 - tail);
        found = Some(match found {
            None => (first, y, last, y + 1),
            Some((x0, y0, x1, _)) => (x0.min(first), y0, x1.max(last), y + 1),
        });
    }
    found
}

fn to_u32(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Makes everything outside the box white.
pub(crate) fn keep(gray: &mut Gray, (x0, y0, x1, y1): DotBox) {
    let width = gray.width as usize;
    if width == 0 {
        return;
    }
    for (y, row) in (0_u32..).zip(gray.data.chunks_exact_mut(width)) {
        if y < y0 || y >= y1 {
            row.fill(255);
        } else {
            row[..(x0 as usize).min(width)].fill(255);
            row[(x1 as usize).min(width)..].fill(255);
        }
    }
}

/// Copies the box onto a white page of `width` x `height` dots with its corner at `left`, `top`.
pub(crate) fn lay(
    from: &Bitmap,
    part: DotBox,
    turn: Turn,
    (width, height): (u32, u32),
    (left, top): (u32, u32),
) -> Bitmap {
    let mut page = Bitmap::new_white(width, height);
    let (x0, y0, x1, y1) = part;
    for y in y0..y1 {
        for (at, byte) in (0_u32..).zip(from.row(y)) {
            let mut rest = *byte;
            while rest != 0 {
                let bit = rest.leading_zeros();
                rest &= !(0x80 >> bit);
                let x = at * 8 + bit;
                if (x0..x1).contains(&x) {
                    match turn {
                        Turn::Upright => page.set_black(left + x - x0, top + y - y0),
                        Turn::Clockwise => page.set_black(left + (y1 - 1 - y), top + x - x0),
                    }
                }
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gray(width: u32, height: u32, dot: impl Fn(u32, u32) -> u8) -> Gray {
        let data = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| dot(x, y))
            .collect();
        Gray {
            width,
            height,
            data,
        }
    }

    #[test]
    fn bars_with_soft_edges_are_never_dithered() {
        // Bars of 2.5 dots on a 5-dot pitch: black, black, half, white, white.
        let bars = gray(200, 40, |x, _| [0, 0, 128, 255, 255][(x % 5) as usize]);
        let bitmap = to_bitmap(&bars, 150);
        for y in 1..40 {
            assert_eq!(
                bitmap.row(y),
                bitmap.row(0),
                "rows of a barcode must be alike"
            );
        }
    }

    #[test]
    fn wide_bars_in_dark_ink_stay_solid() {
        let ink = luminance(255, 0, 0);
        let bars = gray(200, 40, |x, _| if x % 40 < 20 { ink } else { 255 });
        assert_eq!(to_bitmap(&bars, 150).black(), 100 * 40);
    }

    #[test]
    fn a_gray_field_keeps_its_share_of_black_and_light_tints_print_white() {
        for (value, share) in [(128_u8, 0.5), (160, 0.37), (192, 0.25)] {
            let field = gray(208, 208, |_, _| value);
            let bitmap = to_bitmap(&field, 150);
            let inner = (2..202).flat_map(|y| (2..202).map(move |x| (x, y)));
            let black = inner.filter(|(x, y)| bitmap.is_black(*x, *y)).count();
            let got = black as f64 / (200.0 * 200.0);
            assert!((got - share).abs() < 0.03, "{value}: {got}");
        }
        assert_eq!(to_bitmap(&gray(64, 64, |_, _| 230), 150).black(), 0);
    }

    #[test]
    fn the_screen_holds_every_step_once() {
        let mut steps: Vec<u8> = SCREEN.concat();
        steps.sort_unstable();
        assert_eq!(steps, (0..64).collect::<Vec<u8>>());
    }

    #[test]
    fn an_empty_page_has_no_box() {
        assert_eq!(ink_box(&Bitmap::new_white(20, 20)), None);
        assert_eq!(gray_box(&gray(20, 20, |_, _| 255), 250), None);
    }

    #[test]
    fn boxes_are_exact_to_the_dot() {
        let picture = gray(37, 20, |x, y| {
            if (x, y) == (11, 3) || (x, y) == (30, 15) {
                0
            } else {
                255
            }
        });
        assert_eq!(gray_box(&picture, 250), Some((11, 3, 31, 16)));
        assert_eq!(ink_box(&to_bitmap(&picture, 150)), Some((11, 3, 31, 16)));
    }

    #[test]
    fn turning_puts_the_left_edge_on_top() {
        let mut bitmap = Bitmap::new_white(10, 4);
        bitmap.set_black(0, 0);
        bitmap.set_black(9, 3);
        let turned = lay(&bitmap, (0, 0, 10, 4), Turn::Clockwise, (4, 10), (0, 0));
        assert!(turned.is_black(3, 0), "top left goes to the top right");
        assert!(
            turned.is_black(0, 9),
            "bottom right goes to the bottom left"
        );
        assert_eq!(turned.black(), 2);
    }
}
