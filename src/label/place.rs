//! Where a page's content goes on the media: upright or turned, at which part of its size.
//!
//! Pure geometry in millimetres, y downwards. The content's box decides, not the page's: A4 pages
//! carry one label in a corner, 4x6 pages leave an empty edge on 100 mm heads. Nothing is ever
//! enlarged and nothing is ever cut: what does not fit at the smallest allowed scale is a misfit.

use super::Media;

/// Smallest scale the station chooses by itself. Couriers draw Code 128 with modules of 0.33 to
/// 0.38 mm (2.6 to 3.0 dots at 203 dpi): at 0.9 they keep at least 2.3 dots, and above 2 dots a
/// module's edges cannot merge. A 99 x 200 mm label on 150 mm media needs 0.75, modules fall to
/// 2.0 dots and below, and whether that scans is not for the station to guess.
pub(crate) const MIN_SCALE: f64 = 0.9;

/// Smallest scale under a crop rule: a person looked at this courier's label and decided. Half
/// size is below every barcode's use, so a rule with a mistyped box ends as a misfit, not as paper.
pub(crate) const MIN_SCALE_BY_RULE: f64 = 0.5;

/// Smallest scale of a packing slip: A4 on 4x6 inches. It is read by a person, and carries nothing
/// that a courier scans.
pub(crate) const MIN_SCALE_SLIP: f64 = 0.45;

/// A rectangle on the page, millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    pub(crate) x0: f64,
    pub(crate) y0: f64,
    pub(crate) x1: f64,
    pub(crate) y1: f64,
}

impl Area {
    pub(crate) fn of_size(width: f64, height: f64) -> Self {
        Self {
            x0: 0.0,
            y0: 0.0,
            x1: width,
            y1: height,
        }
    }

    pub(crate) fn width(&self) -> f64 {
        self.x1 - self.x0
    }

    pub(crate) fn height(&self) -> f64 {
        self.y1 - self.y0
    }

    /// The common part; `None` when there is none.
    pub(crate) fn intersect(&self, other: &Area) -> Option<Area> {
        let both = Area {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        };
        (both.width() > 0.0 && both.height() > 0.0).then_some(both)
    }
}

/// How a page lies on the media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Upright,
    /// 90° clockwise: the page's left edge is up.
    Clockwise,
}

/// The decision for one page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Placement {
    /// What of the page is drawn.
    pub(crate) source: Area,
    pub(crate) turn: Turn,
    /// At most 1.
    pub(crate) scale: f64,
    /// Left edge of the drawn area on the media.
    pub(crate) left: f64,
    /// Top edge of the drawn area on the media.
    pub(crate) top: f64,
}

/// The content is larger than the media at the smallest allowed scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Misfit {
    /// The scale it would need.
    pub(crate) needs: f64,
}

/// Places `content` of `page`, not below `min_scale`.
///
/// Upright wins unless turning draws it larger. At full size the page keeps its own margins where
/// the media leaves room (the middle of the page lies on the middle of the media, moved only as
/// far as the content needs); shrunk content is centred.
pub(crate) fn place(
    content: &Area,
    page: &Area,
    media: &Media,
    min_scale: f64,
) -> Result<Placement, Misfit> {
    let (w, h) = (content.width(), content.height());
    // The media as the head has it, in whole dots; a hundredth of a dot is rounding.
    let per_mm = media.dots_per_mm();
    let limit = |dots: u32| (f64::from(dots) + 0.01) / per_mm;
    let (across, along) = (limit(media.width()), limit(media.height()));
    let fit = |w: f64, h: f64| (across / w).min(along / h).min(1.0);
    let (upright, turned) = (fit(w, h), fit(h, w));
    let (turn, scale) = if turned > upright {
        (Turn::Clockwise, turned)
    } else {
        (Turn::Upright, upright)
    };
    // Written so that a box of no size or not a number is a misfit.
    if !(w > 0.0 && h > 0.0 && scale >= min_scale) {
        return Err(Misfit { needs: scale });
    }
    // Distances from the drawn area to the page's edges, as they lie on the media.
    let (before_x, after_x, before_y, after_y) = match turn {
        Turn::Upright => (
            content.x0 - page.x0,
            page.x1 - content.x1,
            content.y0 - page.y0,
            page.y1 - content.y1,
        ),
        Turn::Clockwise => (
            page.y1 - content.y1,
            content.y0 - page.y0,
            content.x0 - page.x0,
            page.x1 - content.x1,
        ),
    };
    let (w, h) = match turn {
        Turn::Upright => (w * scale, h * scale),
        Turn::Clockwise => (h * scale, w * scale),
    };
    let shift = |before: f64, after: f64, size: f64, media: f64| {
        let room = (media - size).max(0.0);
        (room / 2.0 + (before - after) * scale / 2.0).clamp(0.0, room)
    };
    // A label in the corner of a larger sheet has no margins of its own.
    let own_margins = fits_about(page, media, turn);
    let (left, top) = if own_margins {
        (
            shift(before_x, after_x, w, media.width_mm),
            shift(before_y, after_y, h, media.height_mm),
        )
    } else {
        (
            shift(0.0, 0.0, w, media.width_mm),
            shift(0.0, 0.0, h, media.height_mm),
        )
    };
    Ok(Placement {
        source: *content,
        turn,
        scale,
        left,
        top,
    })
}

/// Whether the page itself is about the media's size or smaller: within the smallest scale.
fn fits_about(page: &Area, media: &Media, turn: Turn) -> bool {
    let (w, h) = match turn {
        Turn::Upright => (page.width(), page.height()),
        Turn::Clockwise => (page.height(), page.width()),
    };
    w * MIN_SCALE <= media.width_mm && h * MIN_SCALE <= media.height_mm
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

    fn area(x0: f64, y0: f64, x1: f64, y1: f64) -> Area {
        Area { x0, y0, x1, y1 }
    }

    #[test]
    fn a_99_by_200_label_does_not_fit_150_mm() {
        let page = Area::of_size(99.0, 200.0);
        let misfit = place(&page, &page, &MEDIA, MIN_SCALE).unwrap_err();
        assert!((misfit.needs - 0.75).abs() < 1e-3);
        let by_rule = place(&page, &page, &MEDIA, MIN_SCALE_BY_RULE).unwrap();
        assert!((by_rule.scale - 0.75).abs() < 1e-3);
    }

    #[test]
    fn a_box_of_no_size_is_a_misfit() {
        let nothing = area(f64::NAN, 0.0, f64::NAN, 0.0);
        assert!(place(&nothing, &Area::of_size(100.0, 150.0), &MEDIA, MIN_SCALE).is_err());
    }

    #[test]
    fn a_label_is_never_enlarged() {
        let page = Area::of_size(76.0, 38.0);
        let placed = place(&page, &page, &MEDIA, MIN_SCALE).unwrap();
        assert_eq!(placed.scale, 1.0);
        assert_eq!(placed.turn, Turn::Upright);
        assert_eq!((placed.left, placed.top), (12.0, 56.0));
    }

    #[test]
    fn a_4x6_page_is_moved_and_not_shrunk_when_its_content_fits() {
        let page = Area::of_size(101.6, 152.4);
        // Content at the left edge: it would start left of the media if the page were centred.
        let placed = place(&area(0.2, 3.0, 99.0, 150.0), &page, &MEDIA, MIN_SCALE).unwrap();
        assert_eq!(placed.scale, 1.0);
        assert_eq!(placed.left, 0.0);
        assert!(placed.top > 0.0 && placed.top + 147.0 <= 150.0);
    }

    #[test]
    fn a_page_of_the_medias_size_keeps_its_margins() {
        let page = Area::of_size(100.0, 150.0);
        let placed = place(&area(7.0, 3.0, 50.0, 60.0), &page, &MEDIA, MIN_SCALE).unwrap();
        assert!((placed.left - 7.0).abs() < 1e-9 && (placed.top - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_landscape_label_in_a_corner_of_a4_is_turned_and_centred() {
        let page = Area::of_size(210.0, 297.0);
        let placed = place(&area(20.0, 10.0, 165.0, 105.0), &page, &MEDIA, MIN_SCALE).unwrap();
        assert_eq!(placed.turn, Turn::Clockwise);
        assert_eq!(placed.scale, 1.0);
        assert!((placed.left - 2.5).abs() < 1e-9 && (placed.top - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_turned_page_of_the_medias_size_keeps_its_margins() {
        let page = Area::of_size(150.0, 100.0);
        // Turned clockwise, the page's bottom edge lies left and its left edge on top.
        let placed = place(&area(3.0, 0.0, 150.0, 93.0), &page, &MEDIA, MIN_SCALE).unwrap();
        assert_eq!(placed.turn, Turn::Clockwise);
        assert!((placed.left - 7.0).abs() < 1e-9 && (placed.top - 3.0).abs() < 1e-9);
    }
}
