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

/// Draws lines of text, the first one as large as fits, and Code 128 barcodes at the foot;
/// characters the font lacks become `?`. A barcode that does not fit is left out: its text is not.
pub fn ticket(lines: &[String], codes: &[String], media: Media) -> Bitmap {
    let mut page = Bitmap::new_white(media.width().max(CELL.0), media.height().max(CELL.1));
    let border = media.dots(BORDER_MM);
    let width = page.width.saturating_sub(2 * border).max(CELL.0);
    // 3 mm capitals: readable at arm's length on any head.
    let normal = (media.dots(3.5) / CELL.1).max(1);
    let mut y = border;
    let foot = draw_codes(&mut page, codes, media);
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
            if y + CELL.1 * scale > foot {
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

/// A label that shows a printer's edges, its finest lines and whether its barcodes read.
pub fn test_label(printer: &str, code: &str, media: Media) -> Bitmap {
    let lines = [
        "TEST".to_owned(),
        format!("printer {printer}"),
        format!(
            "{} x {} mm, {} dpi",
            media.width_mm, media.height_mm, media.dpi
        ),
        "The frame touches all four edges; the bars below scan.".to_owned(),
    ];
    let mut page = ticket(&lines, &[code.to_owned()], media);
    let (width, height) = (page.width, page.height);
    let frame = media.dots(0.5).max(2);
    for y in 0..height {
        for x in 0..width {
            let edge = x < frame || y < frame || x + frame >= width || y + frame >= height;
            if edge {
                page.set_black(x, y);
            }
        }
    }
    // Bars of one to four dots: the ones that run together tell darkness and speed.
    let (mut x, top) = (media.dots(BORDER_MM), height / 2);
    for dots in 1..=4_u32 {
        for bar in 0..8 {
            for dx in 0..dots {
                for y in top..(top + media.dots(8.0)).min(height) {
                    let at = x + bar * 2 * dots + dx;
                    if at < width {
                        page.set_black(at, y);
                    }
                }
            }
        }
        x += 18 * dots;
    }
    page
}

/// Draws barcodes from the foot up, each over its text; returns where they begin.
fn draw_codes(page: &mut Bitmap, codes: &[String], media: Media) -> u32 {
    let border = media.dots(BORDER_MM);
    let mut foot = page.height.saturating_sub(border);
    for code in codes.iter().rev() {
        let Some(modules) = code128(code) else {
            continue;
        };
        let count = u32::try_from(modules.len()).unwrap_or(u32::MAX);
        let room = page.width.saturating_sub(2 * border);
        // Wider bars are easier; below a quarter of a millimetre hand scanners fail.
        let module = (room / count.max(1)).min(media.dots(0.5).max(2));
        let high = media.dots(12.0) + CELL.1 + 4;
        if module < media.dots(0.24).max(1) || foot < high + page.height / 3 {
            continue;
        }
        let top = foot - high;
        let left = (page.width - module * count) / 2;
        for (n, module_on) in modules.iter().enumerate() {
            let x = left + u32::try_from(n).unwrap_or(0) * module;
            for dx in 0..(if *module_on == 1 { module } else { 0 }) {
                for y in top..top + media.dots(12.0) {
                    page.set_black(x + dx, y);
                }
            }
        }
        write(page, left, top + media.dots(12.0) + 2, 1, code);
        foot = top.saturating_sub(media.dots(4.0));
    }
    foot
}

/// The modules of a Code 128 (set B) barcode: 1 is a bar.
fn code128(text: &str) -> Option<Vec<u8>> {
    barcoders::sym::code128::Code128::new(format!("\u{181}{text}"))
        .ok()
        .map(|code| code.encode())
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
        let page = ticket(&lines, &[], media());
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
        let large = ticket(&["WEB-1".to_owned()], &[], media());
        let small = ticket(&[String::new(), "WEB-1".to_owned()], &[], media());
        assert!(ink(&large) > 2 * ink(&small));
        assert!(ink(&small) > 0);
    }

    fn codes(page: &Bitmap) -> Vec<String> {
        let grey = (0..page.height)
            .flat_map(|y| (0..page.width).map(move |x| (x, y)))
            .map(|(x, y)| if page.is_black(x, y) { 0 } else { 255 })
            .collect();
        let found = rxing::helpers::detect_multiple_in_luma(grey, page.width, page.height);
        found
            .map(|all| all.iter().map(|code| code.getText().to_owned()).collect())
            .unwrap_or_default()
    }

    #[test]
    fn its_barcodes_read_and_its_text_stays_above_them() {
        let long: Vec<String> = (0..60).map(|n| format!("line {n}")).collect();
        let wanted = ["PS7K4D.REPRINT".to_owned(), "PS7K4D.NEXT-PARCEL".to_owned()];
        let read = codes(&ticket(&long, &wanted, media()));
        assert!(wanted.iter().all(|code| read.contains(code)), "{read:?}");
        let narrow = Media {
            width_mm: 30.0,
            height_mm: 20.0,
            ..media()
        };
        assert!(codes(&ticket(&long, &wanted, narrow)).is_empty());
    }

    #[test]
    fn a_test_label_reads_and_its_frame_touches_every_edge() {
        let page = test_label("label", "PS7K4D.TEST", media());
        assert!(codes(&page).contains(&"PS7K4D.TEST".to_owned()));
        let (right, foot) = (page.width - 1, page.height - 1);
        for (x, y) in [
            (0, 0),
            (right, 0),
            (0, foot),
            (right, foot),
            (right / 2, foot),
        ] {
            assert!(page.is_black(x, y), "{x},{y}");
        }
    }

    #[test]
    fn words_wrap_at_spaces_and_long_ones_are_cut() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
    }
}
