//! PDF pages to gray, by hayro, at the size and turn that the placement asks for.
//!
//! The whole transform (crop box, `/Rotate`, crop, turn, scale) goes into the drawing: a page is
//! never resampled. Pages of more than [`BAND_DOTS`] are drawn in bands, each by its own run over
//! the page's content, so that memory stays bounded at any resolution.

use super::LabelError;
use super::ink::{Gray, luminance};
use super::place::{Area, Turn};
use hayro::hayro_interpret::util::TransformExt;
use hayro::hayro_interpret::{InterpreterSettings, InterpreterWarning};
use hayro::hayro_syntax::Pdf;
use hayro::hayro_syntax::page::Page;
use hayro::kurbo::Affine;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{
    Pixmap, RasterizerSettings, RenderContext, RenderSettings as CpuSettings, Resources, TargetInit,
};
use hayro::{RenderCache, RenderSettings, render_into};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Dots drawn at once: an A4 page at 300 dpi is one band (35 MB of RGBA), contract 34's budget.
const BAND_DOTS: u64 = 9_000_000;

const POINTS_PER_MM: f64 = 72.0 / 25.4;

/// An opened document.
pub(crate) struct PdfDocument {
    pdf: Pdf,
}

impl PdfDocument {
    /// Reads the document's structure, not its pages' content.
    pub(crate) fn open(bytes: Vec<u8>, max_pages: u16) -> Result<Self, LabelError> {
        let pdf = Pdf::new(bytes)
            .map_err(|_| LabelError::unreadable("the PDF cannot be read or is encrypted"))?;
        let pages = pdf.pages().len();
        if pages == 0 {
            return Err(LabelError::unreadable("the PDF has no page"));
        }
        if pages > usize::from(max_pages) {
            return Err(LabelError::unreadable(format!(
                "the PDF has {pages} pages, at most {max_pages} are printed"
            )));
        }
        Ok(Self { pdf })
    }

    /// How many pages it has; at least 1 and at most what `open` allowed.
    pub(crate) fn pages(&self) -> u16 {
        u16::try_from(self.pdf.pages().len()).unwrap_or(u16::MAX)
    }

    /// One page.
    pub(crate) fn page(&self, index: u16) -> Option<PdfPage<'_>> {
        let page = self.pdf.pages().get(usize::from(index))?;
        Some(PdfPage {
            page,
            cache: RenderCache::new(),
        })
    }
}

/// A page to draw, perhaps more than once (its fonts and images are decoded once).
pub(crate) struct PdfPage<'a> {
    page: &'a Page<'a>,
    cache: RenderCache<'a>,
}

impl PdfPage<'_> {
    /// The crop box as shown (after `/Rotate`), millimetres.
    pub(crate) fn area(&self) -> Area {
        let (width, height) = self.page.render_dimensions();
        Area::of_size(
            f64::from(width) / POINTS_PER_MM,
            f64::from(height) / POINTS_PER_MM,
        )
    }

    /// Draws `source` at `dots_per_mm` on a white sheet of `width` x `height` dots, its corner at
    /// `left`, `top` (dots). A picture or a font that cannot be drawn is an error: hayro leaves it
    /// out without one.
    pub(crate) fn draw(&self, view: &View) -> Result<Gray, LabelError> {
        self.draw_in_bands(view, BAND_DOTS)
    }

    fn draw_in_bands(&self, view: &View, band_dots: u64) -> Result<Gray, LabelError> {
        let (width, height) = (view.width, view.height);
        let (Ok(w16), true) = (u16::try_from(width), height <= u32::from(u16::MAX)) else {
            return Err(LabelError::unreadable("the page is too large to draw"));
        };
        if width == 0 || height == 0 {
            return Err(LabelError::unreadable("the page has no size"));
        }
        let image_failed = Arc::new(AtomicBool::new(false));
        let font_failed = Arc::new(AtomicBool::new(false));
        let settings = InterpreterSettings {
            warning_sink: {
                let (image, font) = (Arc::clone(&image_failed), Arc::clone(&font_failed));
                Arc::new(move |warning| match warning {
                    InterpreterWarning::ImageDecodeFailure => image.store(true, Ordering::Relaxed),
                    InterpreterWarning::UnsupportedFont => font.store(true, Ordering::Relaxed),
                    // A form field without its drawing is not part of a label.
                    _ => {}
                })
            },
            ..InterpreterSettings::default()
        };
        let mut data = Vec::new();
        data.try_reserve_exact(width as usize * height as usize)
            .map_err(|_| LabelError::unreadable("the page needs more memory than allowed"))?;
        let rows = u32::try_from((band_dots / u64::from(width)).max(1)).unwrap_or(height);
        let mut top = 0;
        while top < height {
            let rows = rows.min(height - top);
            let h16 = u16::try_from(rows).unwrap_or(u16::MAX);
            let transform = Affine::translate((0.0, -f64::from(top)))
                * view.transform()
                * self.page.initial_transform(true).to_kurbo();
            let cpu = CpuSettings {
                num_threads: 0,
                ..CpuSettings::default()
            };
            let mut context = RenderContext::new_with(w16, h16, cpu);
            let how = RenderSettings::default();
            render_into(
                self.page,
                &self.cache,
                &settings,
                &how,
                &mut context,
                transform,
            );
            context.flush();
            let mut pixmap = Pixmap::new(w16, h16);
            let raster = RasterizerSettings {
                target_init: TargetInit::Clear(WHITE),
                ..RasterizerSettings::default()
            };
            context.render_with(&mut pixmap, &mut Resources::default(), raster);
            // Opaque white ground: premultiplied colours are the colours.
            data.extend(pixmap.data().iter().map(|p| luminance(p.r, p.g, p.b)));
            top += rows;
        }
        if image_failed.load(Ordering::Relaxed) {
            return Err(LabelError::unreadable(
                "a picture of the page cannot be drawn",
            ));
        }
        if font_failed.load(Ordering::Relaxed) {
            return Err(LabelError::unreadable("a font of the page cannot be drawn"));
        }
        Ok(Gray {
            width,
            height,
            data,
        })
    }
}

/// What of a page to draw, and where on the sheet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    /// Part of the page, millimetres as shown.
    pub(crate) source: Area,
    pub(crate) turn: Turn,
    /// Resolution times scale.
    pub(crate) dots_per_mm: f64,
    /// Corner of the drawn part on the sheet, dots.
    pub(crate) left: f64,
    /// See `left`.
    pub(crate) top: f64,
    /// Sheet, dots.
    pub(crate) width: u32,
    /// Sheet, dots.
    pub(crate) height: u32,
}

impl View {
    /// From points on the page as shown (y downwards) to dots on the sheet.
    fn transform(&self) -> Affine {
        let scale = self.dots_per_mm / POINTS_PER_MM;
        let (x0, y0) = (
            self.source.x0 * POINTS_PER_MM,
            self.source.y0 * POINTS_PER_MM,
        );
        let height = self.source.height() * POINTS_PER_MM;
        let turn = match self.turn {
            Turn::Upright => Affine::IDENTITY,
            // (x, y) -> (height - y, x)
            Turn::Clockwise => Affine::new([0.0, 1.0, -1.0, 0.0, height, 0.0]),
        };
        Affine::translate((self.left, self.top))
            * Affine::scale(scale)
            * turn
            * Affine::translate((-x0, -y0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pdf_writer::{Content, Finish, Pdf as Writer, Rect, Ref};

    /// Slanted lines, circles' worth of curves and thin bars: something on every row.
    fn page() -> Vec<u8> {
        let mut pdf = Writer::new();
        let [catalog, tree, page, body] = [1, 2, 3, 4].map(Ref::new);
        pdf.catalog(catalog).pages(tree);
        pdf.pages(tree).kids([page]).count(1);
        let mut object = pdf.page(page);
        object
            .parent(tree)
            .media_box(Rect::new(0.0, 0.0, 288.0, 432.0))
            .contents(body);
        object.resources();
        object.finish();
        let mut content = Content::new();
        content.set_line_width(0.7);
        for i in 0..60 {
            let x = i as f32 * 4.3;
            content.move_to(x, 3.0).line_to(280.0 - x, 429.0).stroke();
            content.rect(x, 200.0, 1.1, 80.0).fill_nonzero();
            content.move_to(x, 100.0);
            content
                .cubic_to(x, 150.0, x + 40.0, 150.0, x + 40.0, 100.0)
                .stroke();
        }
        pdf.stream(body, &content.finish());
        pdf.finish()
    }

    #[test]
    fn bands_leave_no_seam() {
        let document = PdfDocument::open(page(), 50).unwrap();
        let page = document.page(0).unwrap();
        for turn in [Turn::Upright, Turn::Clockwise] {
            let view = View {
                source: page.area(),
                turn,
                dots_per_mm: 203.0 / 25.4,
                left: 3.0,
                top: 5.0,
                width: 820,
                height: 1230,
            };
            let whole = page.draw(&view).unwrap();
            assert!(whole.data.contains(&0));
            for band_dots in [820 * 16, 820 * 37, 820 * 400] {
                let banded = page.draw_in_bands(&view, band_dots).unwrap();
                // Shades along slanted edges differ by rounding; a seam would be rows of ink.
                let apart = whole
                    .data
                    .iter()
                    .zip(&banded.data)
                    .map(|(a, b)| a.abs_diff(*b));
                let apart: Vec<u8> = apart.filter(|apart| *apart > 0).collect();
                let most = apart.iter().max().copied().unwrap_or(0);
                assert!(
                    apart.len() < 1000 && most < 16,
                    "{turn:?}, {band_dots} dots a band: {} differ, by up to {most}",
                    apart.len()
                );
            }
        }
    }

    #[test]
    fn a_view_of_no_size_or_beyond_the_canvas_is_refused() {
        let document = PdfDocument::open(page(), 50).unwrap();
        let page = document.page(0).unwrap();
        for (width, height) in [(0, 10), (10, 0), (70_000, 10), (10, 70_000)] {
            let view = View {
                source: page.area(),
                turn: Turn::Upright,
                dots_per_mm: 8.0,
                left: 0.0,
                top: 0.0,
                width,
                height,
            };
            assert!(page.draw(&view).is_err());
        }
    }
}
