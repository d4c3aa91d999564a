//! PNG and GIF labels to gray.
//!
//! Bitmaps are resampled bilinearly (nearest loses barcodes: 16 of 17, 17 of 23), and not at all
//! where the head's dots are a whole multiple of theirs: a 200-dpi bitmap on a 203-dpi head goes
//! dot for dot and comes out 1.5 % smaller with every bar crisp.
//!
//! GIF has no resolution and PNG often none: then the label is assumed to fill its media, at one of
//! the resolutions that couriers draw for.

use super::document::{Kind, find};
use super::ink::{Gray, gray_box, luminance};
use super::pdf::View;
use super::place::{Area, MIN_SCALE, Turn};
use super::{LabelError, Media};
use image::imageops::FilterType;
use image::{DynamicImage, GrayImage, ImageFormat, ImageReader, Limits, imageops};
use std::io::Cursor;

/// Resolutions that couriers draw for, most common first.
const USUAL_DPI: [f64; 3] = [203.0, 300.0, 600.0];
/// Resolutions of screens and of programs that think of none; the one that fills most is meant.
const COARSE_DPI: [f64; 4] = [150.0, 100.0, 96.0, 72.0];
/// A label fills this much of its media at least, along one side.
const FILLS: f64 = 0.6;
/// At 600 dpi a label's long side has more dots than this; fewer mean a larger page.
const LONG_AT_600: f64 = 2800.0;
/// How far the resolutions may be from a whole multiple to go dot for dot.
const DOT_FOR_DOT: f64 = 0.03;

/// A decoded picture with its assumed resolution.
pub(crate) struct Picture {
    gray: GrayImage,
    dots_per_mm: f64,
    /// The resolution was not in the file.
    pub(crate) guessed: bool,
}

impl Picture {
    /// Decodes the first frame, transparent parts as white.
    pub(crate) fn open(
        bytes: &[u8],
        kind: Kind,
        max_pixels: u64,
        media: &Media,
    ) -> Result<Self, LabelError> {
        let format = match kind {
            Kind::Gif => ImageFormat::Gif,
            _ => ImageFormat::Png,
        };
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_alloc = Some(max_pixels.saturating_mul(4));
        reader.limits(limits.clone());
        let (width, height) = reader
            .into_dimensions()
            .map_err(|_| LabelError::unreadable("the picture has no readable header"))?;
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(LabelError::unreadable(format!(
                "the picture has {width} x {height} dots, more than {max_pixels}"
            )));
        }
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        reader.limits(limits);
        let picture = reader
            .decode()
            .map_err(|_| LabelError::unreadable("the picture is damaged"))?;
        let gray = to_gray(picture);
        let declared = match kind {
            Kind::Png => png_dpi(bytes),
            _ => None,
        };
        let (dpi, guessed) = choose_dpi(&gray, declared, media);
        // Within 3 % of a whole multiple the head's own dots are the picture's dots.
        let head = f64::from(media.dpi);
        let times = (head / dpi).round();
        let dpi = if times >= 1.0 && (head / dpi / times - 1.0).abs() < DOT_FOR_DOT {
            head / times
        } else {
            dpi
        };
        Ok(Self {
            gray,
            dots_per_mm: dpi / 25.4,
            guessed,
        })
    }

    pub(crate) fn area(&self) -> Area {
        Area::of_size(
            f64::from(self.gray.width()) / self.dots_per_mm,
            f64::from(self.gray.height()) / self.dots_per_mm,
        )
    }

    /// Draws a part of the picture on a white sheet; see [`super::pdf::PdfPage::draw`].
    pub(crate) fn draw(&self, view: &View) -> Result<Gray, LabelError> {
        let dot = |mm: f64, max: u32| whole(mm * self.dots_per_mm).min(max);
        let (x0, x1) = (
            dot(view.source.x0, self.gray.width()),
            dot(view.source.x1, self.gray.width()),
        );
        let (y0, y1) = (
            dot(view.source.y0, self.gray.height()),
            dot(view.source.y1, self.gray.height()),
        );
        if x0 >= x1 || y0 >= y1 || view.width == 0 || view.height == 0 {
            return Err(LabelError::unreadable("the picture has no size"));
        }
        let part = imageops::crop_imm(&self.gray, x0, y0, x1 - x0, y1 - y0).to_image();
        let part = match view.turn {
            Turn::Upright => part,
            Turn::Clockwise => imageops::rotate90(&part),
        };
        let ratio = view.dots_per_mm / self.dots_per_mm;
        let times = ratio.round();
        let part = if (ratio - times).abs() < 1e-6 && times >= 1.0 {
            enlarge(part, whole(times))
        } else {
            let size = |dots: u32| whole(f64::from(dots) * ratio).max(1);
            imageops::resize(
                &part,
                size(part.width()),
                size(part.height()),
                FilterType::Triangle,
            )
        };
        let mut sheet = GrayImage::from_pixel(view.width, view.height, image::Luma([255]));
        imageops::replace(
            &mut sheet,
            &part,
            i64::from(whole(view.left)),
            i64::from(whole(view.top)),
        );
        Ok(Gray {
            width: view.width,
            height: view.height,
            data: sheet.into_raw(),
        })
    }
}

/// Rounds to whole dots, bounded.
fn whole(value: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped before the cast; NaN becomes 0"
    )]
    let dots = value.round().clamp(0.0, 1e6) as u32;
    dots
}

/// Every dot `times` as wide and high.
fn enlarge(picture: GrayImage, times: u32) -> GrayImage {
    if times == 1 {
        return picture;
    }
    GrayImage::from_fn(picture.width() * times, picture.height() * times, |x, y| {
        *picture.get_pixel(x / times, y / times)
    })
}

/// Gray on white ground.
fn to_gray(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let rgba = picture.into_rgba8();
    GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0;
        let over = |v: u8| {
            let sum = u32::from(v) * u32::from(a) + 255 * (255 - u32::from(a));
            u8::try_from(sum / 255).unwrap_or(u8::MAX)
        };
        image::Luma([luminance(over(r), over(g), over(b))])
    })
}

/// Dots per inch from the `pHYs` chunk (PNG specification 11.3.5.3), when it states a unit.
fn png_dpi(bytes: &[u8]) -> Option<f64> {
    let end = find(bytes, b"IDAT")?;
    let at = find(&bytes[..end], b"pHYs")? + 4;
    let data: &[u8; 9] = bytes.get(at..at + 9)?.try_into().ok()?;
    let per_unit = u32::from_be_bytes([data[0], data[1], data[2], data[3]]);
    let dpi = f64::from(per_unit) * 0.0254;
    (data[8] == 1 && (50.0..=2500.0).contains(&dpi)).then_some(dpi)
}

/// The resolution to assume, and whether it is a guess.
fn choose_dpi(gray: &GrayImage, declared: Option<f64>, media: &Media) -> (f64, bool) {
    let view = Gray {
        width: gray.width(),
        height: gray.height(),
        data: gray.as_raw().clone(),
    };
    let (width, height) = match gray_box(&view, media.threshold) {
        Some((x0, y0, x1, y1)) => (f64::from(x1 - x0), f64::from(y1 - y0)),
        None => return (declared.unwrap_or(USUAL_DPI[0]), declared.is_none()),
    };
    let (long, short) = (width.max(height), width.min(height));
    let (media_long, media_short) = (
        media.width_mm.max(media.height_mm),
        media.width_mm.min(media.height_mm),
    );
    // Parts of the media's sides that the content covers, the label lying along the media.
    let covers = |dpi: f64| {
        (
            long * 25.4 / dpi / media_long,
            short * 25.4 / dpi / media_short,
        )
    };
    let fits = |dpi: f64| {
        let (a, b) = covers(dpi);
        a * MIN_SCALE <= 1.0 && b * MIN_SCALE <= 1.0
    };
    // Screens' resolutions are written by programs that know none; any other is meant.
    if let Some(dpi) = declared
        && (fits(dpi) || dpi > 100.0)
    {
        return (dpi, false);
    }
    let filled = |dpi: f64| {
        let (a, b) = covers(dpi);
        a.max(b)
    };
    let usual = USUAL_DPI
        .into_iter()
        .find(|dpi| fits(*dpi) && filled(*dpi) >= FILLS && (*dpi < 600.0 || long > LONG_AT_600));
    let coarse = || {
        COARSE_DPI
            .into_iter()
            .filter(|dpi| fits(*dpi) && filled(*dpi) >= FILLS)
            .max_by(|a, b| filled(*a).total_cmp(&filled(*b)))
    };
    (usual.or_else(coarse).unwrap_or(USUAL_DPI[0]), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEDIA: Media = Media {
        width_mm: 100.0,
        height_mm: 150.0,
        dpi: 203,
        threshold: 150,
    };

    fn filled(width: u32, height: u32) -> GrayImage {
        GrayImage::from_pixel(width, height, image::Luma([0]))
    }

    #[test]
    fn an_a4_scan_is_not_taken_for_a_small_label() {
        let (dpi, _) = choose_dpi(&filled(1654, 2339), Some(200.0), &MEDIA);
        assert_eq!(dpi, 200.0);
        let (dpi, guessed) = choose_dpi(&filled(1654, 2339), None, &MEDIA);
        assert_eq!((dpi, guessed), (203.0, true));
    }

    #[test]
    fn labels_without_a_resolution_fill_their_media() {
        for ((width, height), expected) in [
            ((1200, 800), 203.0),
            ((812, 1218), 203.0),
            ((1200, 1800), 300.0),
            ((2400, 3600), 600.0),
            ((288, 432), 72.0),
            ((384, 576), 96.0),
        ] {
            let (dpi, guessed) = choose_dpi(&filled(width, height), None, &MEDIA);
            assert_eq!((dpi, guessed), (expected, true), "{width} x {height}");
        }
    }

    #[test]
    fn a_screens_resolution_is_not_believed_when_the_label_would_not_fit() {
        assert_eq!(
            choose_dpi(&filled(812, 1218), Some(96.0), &MEDIA),
            (203.0, true)
        );
        assert_eq!(
            choose_dpi(&filled(288, 432), Some(72.0), &MEDIA),
            (72.0, false)
        );
    }

    #[test]
    fn the_resolution_chunk_counts_only_before_the_picture_and_with_a_unit() {
        let chunk = |unit: u8| {
            let mut png = b"....pHYs".to_vec();
            png.extend_from_slice(&7992_u32.to_be_bytes());
            png.extend_from_slice(&7992_u32.to_be_bytes());
            png.push(unit);
            png.extend_from_slice(b"....IDAT");
            png
        };
        assert_eq!(png_dpi(&chunk(1)).map(f64::round), Some(203.0));
        assert_eq!(png_dpi(&chunk(0)), None);
        assert_eq!(png_dpi(b"IDAT....pHYs\0\0\x1f\x38\0\0\x1f\x38\x01"), None);
    }
}
