//! PDF: the page as one picture of its own size, for IPP printers that take no PWG raster.
//!
//! Format: ISO 32000, one image object, one bit per dot (0 = black), deflated. Dots are not drawn
//! again anywhere: the picture has the head's resolution and the page is exactly its size.

use super::{Options, inverted_rows, moved};
use crate::domain::Bitmap;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::{Content, Filter, Finish as _, Name, Pdf, Rect, Ref};
use std::io::Write as _;

/// The page as a PDF: one page, or as many as copies.
pub fn encode(page: &Bitmap, options: &Options) -> Vec<u8> {
    let page = moved(page, options.offset);
    let page = page.as_ref();
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    for row in inverted_rows(page) {
        let _ = zlib.write_all(&row); // memory takes every byte
    }
    let data = zlib.finish().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a page has some thousand dots")]
    let points = |dots: u32| dots as f32 * 72.0 / f32::from(options.dpi.max(1));
    let (width, height) = (points(page.width), points(page.height));
    let size = |dots: u32| i32::try_from(dots).unwrap_or(i32::MAX);

    let [catalog, pages, picture, content] = [1, 2, 3, 4].map(Ref::new);
    let sheets = (5..).take(options.copies.into()).map(Ref::new);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages)
        .kids(sheets.clone())
        .count(options.copies.into());
    for sheet in sheets {
        let mut one = pdf.page(sheet);
        one.media_box(Rect::new(0.0, 0.0, width, height))
            .parent(pages)
            .contents(content);
        one.resources().x_objects().pair(Name(b"P"), picture);
        one.finish();
    }
    let mut image = pdf.image_xobject(picture, &data);
    image.filter(Filter::FlateDecode);
    image.width(size(page.width));
    image.height(size(page.height));
    image.color_space().device_gray();
    image.bits_per_component(1);
    image.interpolate(false);
    image.finish();
    let mut draw = Content::new();
    draw.save_state()
        .transform([width, 0.0, 0.0, height, 0.0, 0.0])
        .x_object(Name(b"P"))
        .restore_state();
    pdf.stream(content, &draw.finish());
    pdf.finish()
}
