//! Bitmaps as PNG files: previews, the page's picture of a label, tests.
//!
//! The resolution is written into the file, so that a preview prints at the label's size.

use super::LabelError;
use crate::domain::Bitmap;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// Largest picture that `from_png` takes, in dots.
const MAX_DOTS: u64 = 40_000_000;

/// The bitmap as an 8-bit gray PNG of `dpi` dots per inch (no resolution when 0).
///
/// # Errors
/// `label-unreadable` when the bitmap's bits do not match its size.
pub fn to_png(bitmap: &Bitmap, dpi: u16) -> Result<Vec<u8>, LabelError> {
    let mut gray = Vec::with_capacity(bitmap.width as usize * bitmap.height as usize);
    for y in 0..bitmap.height {
        gray.extend((0..bitmap.width).map(|x| if bitmap.is_black(x, y) { 0 } else { 255_u8 }));
    }
    let mut png = Vec::new();
    PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::NoFilter)
        .write_image(&gray, bitmap.width, bitmap.height, ExtendedColorType::L8)
        .map_err(|error| LabelError::unreadable(format!("no PNG can be made: {error}")))?;
    if dpi > 0 {
        insert_resolution(&mut png, dpi);
    }
    Ok(png)
}

/// End of the signature and the IHDR chunk, which come first and have a fixed length.
const AFTER_HEADER: usize = 8 + 25;

/// Adds a `pHYs` chunk (PNG specification 11.3.5.3): dots per metre, both ways, unit 1.
fn insert_resolution(png: &mut Vec<u8>, dpi: u16) {
    let per_metre = (u32::from(dpi) * 10_000).div_ceil(254);
    let mut body = b"pHYs".to_vec();
    body.extend_from_slice(&per_metre.to_be_bytes());
    body.extend_from_slice(&per_metre.to_be_bytes());
    body.push(1);
    let mut chunk = 9_u32.to_be_bytes().to_vec();
    chunk.extend_from_slice(&body);
    chunk.extend_from_slice(&crc32fast::hash(&body).to_be_bytes());
    if png.len() >= AFTER_HEADER {
        png.splice(AFTER_HEADER..AFTER_HEADER, chunk);
    }
}

/// A bitmap from any PNG: gray below 128 is black.
///
/// # Errors
/// `label-unreadable` when it is no PNG, damaged, or larger than 40 million dots.
pub fn from_png(bytes: &[u8]) -> Result<Bitmap, LabelError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DOTS * 4);
    reader.limits(limits);
    let gray = reader
        .decode()
        .map_err(|error| LabelError::unreadable(format!("the PNG is damaged: {error}")))?
        .into_luma8();
    let mut bitmap = Bitmap::new_white(gray.width(), gray.height());
    for (x, y, pixel) in gray.enumerate_pixels() {
        if pixel.0[0] < 128 {
            bitmap.set_black(x, y);
        }
    }
    Ok(bitmap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_png_is_refused() {
        assert!(from_png(b"").is_err());
        assert!(from_png(b"\x89PNG\r\n\x1a\n").is_err());
    }

    proptest! {
        #[test]
        fn a_bitmap_survives_being_a_png(
            width in 1..70_u32, height in 1..20_u32, seed in any::<u64>(), dpi in 0..700_u16,
        ) {
            let mut bitmap = Bitmap::new_white(width, height);
            for y in 0..height {
                for x in 0..width {
                    if (seed >> ((x * 7 + y * 13) % 64)) & 1 == 1 {
                        bitmap.set_black(x, y);
                    }
                }
            }
            let png = to_png(&bitmap, dpi).unwrap();
            prop_assert_eq!(from_png(&png).unwrap(), bitmap);
        }
    }
}
