//! Reads PWG raster into pictures.
//!
//! Written from PWG 5102.4: `black_1` (1 = black) and `sgray_8` (0 = black).

use super::MOST_ROWS;
use crate::domain::Bitmap;

const HEADER: usize = 1796;
/// Widest page, dots.
const MOST_WIDTH: usize = 10_000;

/// The pages of a PWG raster file; there is one at least.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(file: &[u8]) -> Result<Vec<Bitmap>, String> {
    let mut rest = file.strip_prefix(b"RaS2").ok_or("no RaS2")?;
    let mut pages = Vec::new();
    while pages.is_empty() || !rest.is_empty() {
        let (page, after) = page(rest)?;
        pages.push(page);
        rest = after;
    }
    Ok(pages)
}

/// One page, and what follows it.
fn page(rest: &[u8]) -> Result<(Bitmap, &[u8]), String> {
    let (header, data) = rest.split_at_checked(HEADER).ok_or("half a header")?;
    if !header.starts_with(b"PwgRaster\0") {
        return Err("the header is not PwgRaster".to_owned());
    }
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    };
    let (width, height) = (number(372) as usize, number(376));
    let (bits, stride, space) = (number(388), number(392) as usize, number(400));
    let is_gray = match (bits, space) {
        (1, 3) if stride == width.div_ceil(8) => false,
        (8, 18) if stride == width => true,
        _ => {
            return Err(format!(
                "{bits} bits, {stride} bytes a row, colours {space}"
            ));
        }
    };
    if width == 0 || width > MOST_WIDTH || height == 0 || height > MOST_ROWS {
        return Err(format!("{width} x {height} dots"));
    }
    let mut page = Bitmap::new_white(u32::try_from(width).unwrap_or(0), height);
    let mut bytes = data.iter();
    let mut next = || bytes.next().copied().ok_or("the rows end early");
    let mut y = 0;
    while y < height {
        let times = u32::from(next()?) + 1;
        let mut row = Vec::with_capacity(stride);
        while row.len() < stride {
            let count = usize::from(next()?);
            if count < 128 {
                let byte = next()?;
                row.resize(row.len() + count + 1, byte);
            } else if count > 128 {
                for _ in 0..257 - count {
                    row.push(next()?);
                }
            } else {
                return Err("count 128 means nothing".to_owned());
            }
        }
        if row.len() != stride || y + times > height {
            return Err(format!("row {y} is longer than the page"));
        }
        for line in y..y + times {
            for x in 0..page.width {
                let at = x as usize;
                let black = if is_gray {
                    row.get(at).is_some_and(|gray| *gray < 128)
                } else {
                    row.get(at / 8)
                        .is_some_and(|byte| byte & (128 >> (at % 8)) != 0)
                };
                if black {
                    page.set_black(x, line);
                }
            }
        }
        y += times;
    }
    Ok((page, bytes.as_slice()))
}
