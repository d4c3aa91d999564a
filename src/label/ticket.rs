//! A few lines of text on label stock: notices for a bench without a screen.

use crate::domain::Bitmap;
use crate::label::Media;
use embedded_graphics::mono_font::{MonoTextStyle, ascii::FONT_10X20};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::{
    Dimensions, DrawTarget, Drawable, OriginDimensions, Pixel, Point, Size,
};
use embedded_graphics::text::{Baseline, Text};
use std::convert::Infallible;

/// One character of the font, in its own dots.
const CELL: (u32, u32) = (10, 20);
/// White border, millimetres.
const BORDER_MM: f64 = 4.0;
/// Lines a ticket can have; the rest is dropped, a ticket is no report.
const MAX_LINES: usize = 40;

/// Draws lines of text, the first one as large as fits; characters the font lacks become `?`.
pub fn ticket(lines: &[String], media: Media) -> Bitmap {
    let mut page = Bitmap::new_white(media.width().max(CELL.0), media.height().max(CELL.1));
    let border = media.dots(BORDER_MM);
    let width = page.width.saturating_sub(2 * border).max(CELL.0);
    // 3 mm capitals: readable at arm's length on any head.
    let normal = (media.dots(3.5) / CELL.1).max(1);
    let mut y = border;
    for (n, line) in lines.iter().take(MAX_LINES).enumerate() {
        let line: String = line
            .chars()
            .map(|c| {
                if c.is_ascii_graphic() || c == ' ' {
                    c
                } else {
                    '?'
                }
            })
            .collect();
        let length = u32::try_from(line.chars().count())
            .unwrap_or(u32::MAX)
            .max(1);
        let scale = if n == 0 {
            (width / CELL.0 / length.min(64)).clamp(normal, normal * 4)
        } else {
            normal
        };
        let columns = usize::try_from(width / (CELL.0 * scale))
            .unwrap_or(1)
            .max(1);
        for part in wrapped(&line, columns) {
            if y + CELL.1 * scale > page.height {
                return page;
            }
            write(&mut page, border, y, scale, &part);
            y += (CELL.1 + 4) * scale;
        }
        if n == 0 {
            y += CELL.1 * normal / 2;
        }
    }
    page
}

fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in line.split(' ') {
        let mut word = word;
        loop {
            let last = parts.last().map_or(0, String::len);
            let gap = usize::from(last > 0);
            if last + gap + word.len() <= columns {
                if let Some(part) = parts.last_mut() {
                    if gap == 1 {
                        part.push(' ');
                    }
                    part.push_str(word);
                }
                break;
            }
            if last > 0 {
                parts.push(String::new());
                continue;
            }
            // A word longer than the line is cut: numbers must stay whole to the reader's eye
            // but never run off the paper. ASCII by the caller, so any byte is a boundary.
            let (head, tail) = word.split_at(columns.min(word.len()));
            parts.pop();
            parts.push(head.to_owned());
            parts.push(String::new());
            word = tail;
        }
    }
    parts
}

fn write(page: &mut Bitmap, x: u32, y: u32, scale: u32, text: &str) {
    let columns = u32::try_from(text.len()).unwrap_or(0);
    let mut small = Canvas(Bitmap::new_white((columns * CELL.0).max(1), CELL.1));
    let style = MonoTextStyle::new(&FONT_10X20, BinaryColor::On);
    let drawn = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut small);
    match drawn {
        Ok(_) => {}
        Err(never) => match never {},
    }
    for sy in 0..small.0.height {
        for sx in 0..small.0.width {
            if !small.0.is_black(sx, sy) {
                continue;
            }
            for dy in 0..scale {
                for dx in 0..scale {
                    let (px, py) = (x + sx * scale + dx, y + sy * scale + dy);
                    if px < page.width && py < page.height {
                        page.set_black(px, py);
                    }
                }
            }
        }
    }
}

/// The font library draws on this.
struct Canvas(Bitmap);

impl OriginDimensions for Canvas {
    fn size(&self) -> Size {
        Size::new(self.0.width, self.0.height)
    }
}

impl DrawTarget for Canvas {
    type Color = BinaryColor;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<BinaryColor>>>(
        &mut self,
        pixels: I,
    ) -> Result<(), Infallible> {
        let bounds = self.bounding_box();
        for Pixel(at, color) in pixels {
            if color == BinaryColor::On
                && bounds.contains(at)
                && let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y))
            {
                self.0.set_black(x, y);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media() -> Media {
        Media {
            width_mm: 100.0,
            height_mm: 150.0,
            dpi: 203,
            threshold: 150,
        }
    }

    #[test]
    fn more_text_than_paper_is_cut_and_never_runs_off() {
        let lines: Vec<String> = (0..200)
            .map(|n| format!("{n} {}", "x".repeat(300)))
            .collect();
        let page = ticket(&lines, media());
        assert_eq!(
            (page.width, page.height),
            (media().width(), media().height())
        );
        let border = media().dots(BORDER_MM);
        for y in 0..page.height {
            for x in (page.width - border)..page.width {
                assert!(!page.is_black(x, y), "ink at {x},{y}");
            }
        }
    }

    #[test]
    fn the_first_line_is_the_largest() {
        let ink = |page: &Bitmap| page.bits.iter().map(|b| b.count_ones()).sum::<u32>();
        let large = ticket(&["WEB-1".to_owned()], media());
        let small = ticket(&[String::new(), "WEB-1".to_owned()], media());
        assert!(ink(&large) > 2 * ink(&small));
        assert!(ink(&small) > 0);
    }

    #[test]
    fn words_wrap_at_spaces_and_long_ones_are_cut() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
    }
}
