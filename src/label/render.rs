//! A document to printable pages: the whole corridor in one synchronous function.
//!
//! Runs in the worker process, and in the process of `printstation render`. Each page is drawn once
//! at the head's dpi; it is drawn a second time only when it must shrink (the scale then goes into
//! the drawing) or when it is too large to be drawn whole at that resolution.
//!
//! Over 500 lines because one page's way is read here from top to bottom; the decisions it takes
//! are in `place`, `ink`, `read_back` and `raw`.

use super::document::{self, Kind};
use super::ink::{self, DotBox, Gray};
use super::pdf::{PdfDocument, PdfPage, View};
use super::picture::Picture;
use super::place::{
    self, Area, MIN_SCALE, MIN_SCALE_BY_RULE, MIN_SCALE_SLIP, Misfit, Placement, Turn,
};
use super::read_back::{self, ReadBackResult, ReadCode};
use super::{
    Crop, LabelError, Media, PageContent, PageSelect, Policy, RenderedPage, Settings, raw,
};
use crate::domain::remote::PACKING_SLIP;
use crate::domain::{Bitmap, Code, PageRole};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// One document's task: what is needed besides its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Target head.
    pub media: Media,
    /// Starshipit's `label_types` entry; empty when unknown.
    pub label_type: String,
    /// Courier as shown to people; chooses the crop rules.
    pub courier: String,
    /// The shipment's tracking numbers, for the read-back; empty when unknown.
    pub tracking: Vec<String>,
    /// Which pages.
    pub pages: PageSelect,
    /// Crop rules of the site.
    pub crops: Vec<Crop>,
    /// A label whose barcodes do not carry a tracking number is refused with `label-mismatch`.
    pub hold: bool,
    /// See [`super::Limits::pages`].
    pub max_pages: u16,
    /// See [`super::Limits::bytes`].
    pub max_bytes: usize,
    /// See [`super::Limits::pixels`].
    pub max_pixels: u64,
}

impl Job {
    /// All pages for this media, nothing known about the shipment.
    pub fn new(media: Media, settings: &Settings) -> Self {
        Self {
            media,
            label_type: String::new(),
            courier: String::new(),
            tracking: Vec::new(),
            pages: PageSelect::All,
            crops: settings.crops.clone(),
            hold: settings.read_back.policy == Policy::Hold,
            max_pages: settings.limits.pages,
            max_bytes: settings.limits.bytes,
            max_pixels: settings.limits.pixels,
        }
    }
}

/// Least black of a page, of the smaller of page and media: less means that nothing was drawn.
const BLANK_BELOW: f64 = 0.002;
/// Most black of a page: more means an inverted or damaged picture, and a burnt head.
const SOLID_ABOVE: f64 = 0.7;

/// Draws a document for a media. Blocking, unlimited in time: the worker process gives the limits.
///
/// # Errors
/// `label-unreadable` for anything damaged, blank or beyond the limits; `label-does-not-fit` when
/// a label page would have to be cut or shrunk too far; `label-mismatch` when `job.hold` is set and
/// no barcode of a label page carries a tracking number.
pub fn render_file(bytes: Vec<u8>, job: &Job) -> Result<Vec<RenderedPage>, LabelError> {
    check_media(&job.media, job.max_pixels)?;
    let kind = document::identify(&bytes, job.max_bytes)?;
    let pages = match kind {
        Kind::Raw(language) => render_raw(&bytes, language, job)?,
        Kind::Png | Kind::Gif => {
            let picture = Picture::open(&bytes, kind, job.max_pixels, &job.media)?;
            drop(bytes);
            let mut pages = Pages::new(job);
            pages.add(0, &Source::Picture(&picture))?;
            pages.done()?
        }
        Kind::Pdf => {
            let pdf = PdfDocument::open(bytes, job.max_pages)?;
            let mut pages = Pages::new(job);
            for index in 0..pdf.pages() {
                let page = pdf
                    .page(index)
                    .ok_or_else(|| LabelError::unreadable("a page of the PDF is missing"))?;
                pages.add(index, &Source::Pdf(&page))?;
            }
            pages.done()?
        }
    };
    if pages.is_empty() {
        return Err(LabelError::unreadable("the document has no such page"));
    }
    Ok(pages)
}

/// A media that cannot exist would make nonsense of every later size.
fn check_media(media: &Media, max_pixels: u64) -> Result<(), LabelError> {
    let dots = u64::from(media.width()) * u64::from(media.height());
    if dots == 0 || dots > max_pixels {
        return Err(LabelError::misfit(format!(
            "media of {} x {} mm at {} dpi cannot be drawn",
            media.width_mm, media.height_mm, media.dpi
        )));
    }
    Ok(())
}

fn render_raw(
    bytes: &[u8],
    language: raw::Language,
    job: &Job,
) -> Result<Vec<RenderedPage>, LabelError> {
    raw::check_size(language, bytes, &job.media)?;
    let pieces = raw::pieces(language, bytes);
    if pieces.len() > usize::from(job.max_pages) {
        return Err(LabelError::unreadable(format!(
            "the document has {} labels, at most {} are printed",
            pieces.len(),
            job.max_pages
        )));
    }
    let numbers: Vec<String> = job.tracking.iter().map(|t| read_back::normal(t)).collect();
    let pages = (0_u16..)
        .zip(pieces)
        .filter(|(index, _)| wanted(job.pages, *index));
    Ok(pages
        .map(|(index, bytes)| {
            let mentioned = numbers
                .iter()
                .any(|number| !number.is_empty() && raw::mentions(&bytes, number));
            RenderedPage {
                index,
                source: index,
                role: PageRole::Label,
                content: PageContent::Raw { language, bytes },
                codes: Vec::new(),
                read_back: if mentioned {
                    ReadBackResult::Matched
                } else {
                    ReadBackResult::NotApplicable
                },
                width_mm: 0.0,
                height_mm: 0.0,
                scale: 1.0,
                turned: false,
                warnings: Vec::new(),
                render_us: 0,
                read_back_us: 0,
            }
        })
        .collect())
}

fn wanted(pages: PageSelect, index: u16) -> bool {
    match pages {
        PageSelect::All => true,
        PageSelect::Only(only) => only == index,
    }
}

/// A page that can be drawn.
enum Source<'a> {
    Pdf(&'a PdfPage<'a>),
    Picture(&'a Picture),
}

impl Source<'_> {
    fn area(&self) -> Area {
        match self {
            Self::Pdf(page) => page.area(),
            Self::Picture(picture) => picture.area(),
        }
    }

    fn draw(&self, view: &View) -> Result<Gray, LabelError> {
        match self {
            Self::Pdf(page) => page.draw(view),
            Self::Picture(picture) => picture.draw(view),
        }
    }
}

/// Words of a label type that mean a sheet for a person, not for a parcel.
const DOCUMENT_WORDS: [&str; 8] = [
    "invoice", "customs", "cn22", "cn23", "packing", "archive", "manifest", "document",
];

/// Sheets this large may be documents: A4 and Letter, with 10 mm to spare.
const SHEET_SHORT_MM: f64 = 200.0;
const SHEET_LONG_MM: f64 = 269.0;
/// A sheet whose content covers this much of it both ways is a document.
const SHEET_COVERED: f64 = 0.6;

/// What a page is drawn at to see what the head's dots have lost.
const FULL_DPI: f64 = 600.0;
/// Most dots of that: it costs four bytes a dot, and a worker has 44 MiB for a label. A 4x6 is drawn at
/// 380 dpi.
const FULL_DOTS: f64 = 3_500_000.0;
/// Largest page drawn whole at the head's dpi to find its content: A4 at 300 dpi.
const WHOLE_PAGE_DOTS: f64 = 9_000_000.0;

/// The pages of a document while they are drawn.
struct Pages<'a> {
    job: &'a Job,
    next: u16,
    pages: Vec<RenderedPage>,
    misfit: Option<LabelError>,
}

impl<'a> Pages<'a> {
    fn new(job: &'a Job) -> Self {
        Self {
            job,
            next: 0,
            pages: Vec::new(),
            misfit: None,
        }
    }

    /// Draws a source page: once, or once for each crop rule that speaks of it.
    fn add(&mut self, source_index: u16, source: &Source) -> Result<(), LabelError> {
        let page = source.area();
        let dots = page.width() * page.height() * self.job.media.dots_per_mm().powi(2);
        // Only a page that is drawn must be within the limit; not-a-number is not.
        let too_large = dots.is_nan() || dots > self.job.max_pixels as f64;
        let rules: Vec<Area> = self
            .job
            .crops
            .iter()
            .filter(|crop| {
                let (w, h) = (page.width(), page.height());
                crop.matches(&self.job.courier, &self.job.label_type, w, h)
            })
            .filter_map(|crop| {
                let [x, y, w, h] = crop.box_mm;
                let area = Area {
                    x0: x,
                    y0: y,
                    x1: x + w,
                    y1: y + h,
                };
                area.intersect(&page)
            })
            .collect();
        let parts: Vec<Option<Area>> = if rules.is_empty() {
            vec![None]
        } else {
            rules.iter().copied().map(Some).collect()
        };
        let several = parts.len() > 1;
        for rule in parts {
            let index = self.next;
            self.next = self
                .next
                .checked_add(1)
                .ok_or_else(|| LabelError::unreadable("the document has too many pages"))?;
            if !wanted(self.job.pages, index) {
                continue;
            }
            if too_large {
                return Err(LabelError::unreadable(format!(
                    "page {} is {:.0} x {:.0} mm, too large to draw",
                    source_index + 1,
                    page.width(),
                    page.height()
                )));
            }
            let begun = now();
            let drawn = self.draw(source, &page, rule)?;
            let render_us = micros(begun);
            match drawn {
                // The second half of a 2-up sheet with one label.
                Drawn::Blank if several => {}
                Drawn::Blank => {
                    return Err(LabelError::unreadable(format!(
                        "page {} is blank",
                        source_index + 1
                    )));
                }
                Drawn::Solid => {
                    return Err(LabelError::unreadable(format!(
                        "page {} is almost black",
                        source_index + 1
                    )));
                }
                Drawn::Page(drawn) => {
                    self.finish(index, source_index, source, &page, *drawn, render_us)?;
                }
            }
        }
        Ok(())
    }

    fn draw(
        &mut self,
        source: &Source,
        page: &Area,
        rule: Option<Area>,
    ) -> Result<Drawn, LabelError> {
        let media = &self.job.media;
        let head = media.dots_per_mm();
        let region = rule.unwrap_or(*page);
        // The region alone, whole, at the head's dpi where that is not too much.
        let dots = region.width() * region.height() * head * head;
        let per_mm = if dots <= WHOLE_PAGE_DOTS {
            head
        } else {
            head * (WHOLE_PAGE_DOTS / dots).sqrt()
        };
        let whole = source.draw(&View {
            source: region,
            turn: Turn::Upright,
            dots_per_mm: per_mm,
            left: 0.0,
            top: 0.0,
            width: ceil_dots(region.width() * per_mm),
            height: ceil_dots(region.height() * per_mm),
        })?;
        let exact = per_mm == head;
        let bitmap = ink::to_bitmap(&whole, media.threshold);
        let content = if exact {
            ink::ink_box(&bitmap)
        } else {
            // At a lower resolution a hairline is only a shade.
            ink::gray_box(&whole, 250)
        };
        drop(whole);
        let Some(content) = content else {
            return Ok(Drawn::Blank);
        };
        let area = to_area(content, per_mm, &region);
        let role = self.role(page, &area, rule.is_some());
        let label_type = self.job.label_type.as_str();
        let min_scale = if rule.is_some() {
            MIN_SCALE_BY_RULE
        } else if label_type.eq_ignore_ascii_case(PACKING_SLIP) {
            MIN_SCALE_SLIP
        } else {
            MIN_SCALE
        };
        let placement = match place::place(&area, &region, media, min_scale) {
            Ok(placement) => placement,
            Err(misfit) => {
                return Ok(Drawn::Page(Box::new(DrawnPage {
                    bitmap: Err(misfit),
                    role,
                    area,
                })));
            }
        };
        let bitmap = if exact && placement.scale == 1.0 {
            lay(&bitmap, content, &placement, media)
        } else {
            drop(bitmap);
            redraw(source, &placement, media)?
        };
        let smaller = (region.width() * region.height()).min(media.width_mm * media.height_mm);
        let share = bitmap.black() as f64 / (smaller * head * head);
        if share < BLANK_BELOW {
            return Ok(Drawn::Blank);
        }
        if share > SOLID_ABOVE {
            return Ok(Drawn::Solid);
        }
        Ok(Drawn::Page(Box::new(DrawnPage {
            bitmap: Ok((bitmap, placement)),
            role,
            area,
        })))
    }

    /// Label or document, by the label type and by how much of a sheet is covered.
    fn role(&self, page: &Area, content: &Area, by_rule: bool) -> PageRole {
        if by_rule {
            return PageRole::Label;
        }
        let label_type = self.job.label_type.to_ascii_lowercase();
        if DOCUMENT_WORDS.iter().any(|word| label_type.contains(word)) {
            return PageRole::Document;
        }
        let (short, long) = (
            page.width().min(page.height()),
            page.width().max(page.height()),
        );
        let covered = content.width() > page.width() * SHEET_COVERED
            && content.height() > page.height() * SHEET_COVERED;
        if short >= SHEET_SHORT_MM && long >= SHEET_LONG_MM && covered {
            PageRole::Document
        } else {
            PageRole::Label
        }
    }

    fn finish(
        &mut self,
        index: u16,
        source_index: u16,
        source: &Source,
        page: &Area,
        drawn: DrawnPage,
        render_us: u64,
    ) -> Result<(), LabelError> {
        let job = self.job;
        let mut warnings = Vec::new();
        if let Source::Picture(picture) = source
            && picture.guessed
        {
            warnings
                .push("the picture does not say its size; it was taken to fill the label".into());
        }
        let mut rendered = RenderedPage {
            index,
            source: source_index,
            role: drawn.role,
            content: PageContent::Elsewhere,
            codes: Vec::new(),
            read_back: ReadBackResult::NotApplicable,
            width_mm: page.width(),
            height_mm: page.height(),
            scale: 1.0,
            turned: false,
            warnings,
            render_us,
            read_back_us: 0,
        };
        let (bitmap, placement) = match drawn.bitmap {
            Ok(drawn) => drawn,
            Err(misfit) => {
                let error = does_not_fit(source_index, &drawn.area, &job.media, misfit);
                if drawn.role == PageRole::Label {
                    return Err(error);
                }
                self.misfit.get_or_insert(error);
                self.pages.push(rendered);
                return Ok(());
            }
        };
        rendered.scale = placement.scale;
        rendered.turned = placement.turn == Turn::Clockwise;
        if placement.scale < 1.0 {
            rendered.warnings.push(format!(
                "page {} was shrunk to {:.1} % to fit",
                source_index + 1,
                placement.scale * 100.0
            ));
        }
        if drawn.role == PageRole::Label {
            let begun = now();
            rendered.codes = read_back::read(&bitmap, job.media.dpi, &job.tracking);
            let carries = |codes: &[ReadCode]| {
                let matches = |code: &ReadCode| read_back::matches(&job.tracking, &code.text);
                codes.iter().any(matches)
            };
            let matched = carries(&rendered.codes);
            // Only when something is missing, because it costs more than the label did.
            let is_missing = match job.tracking.is_empty() {
                true => rendered.codes.is_empty(),
                false => !matched,
            };
            let mut full = match is_missing {
                true => self.full_codes(source, &drawn.area, page)?,
                false => Vec::new(),
            };
            let is_lost = carries(&full);
            full.retain(|code| !rendered.codes.contains(code));
            if !full.is_empty() {
                let texts: Vec<&str> = full.iter().map(|code| code.text.as_str()).collect();
                rendered.warnings.push(format!(
                    "cannot be read at {} dpi, and is on page {}: {}",
                    job.media.dpi,
                    source_index + 1,
                    texts.join(", ")
                ));
            }
            rendered.read_back_us = micros(begun);
            rendered.read_back = if job.tracking.is_empty() {
                ReadBackResult::NotApplicable
            } else if matched {
                ReadBackResult::Matched
            } else {
                ReadBackResult::NotFound
            };
            if rendered.read_back == ReadBackResult::NotFound {
                let detail = if is_lost {
                    format!(
                        "the barcode with the tracking number is on page {} and cannot be read at {} dpi",
                        source_index + 1,
                        job.media.dpi
                    )
                } else {
                    format!(
                        "none of the {} barcodes read on page {} carries the tracking number",
                        rendered.codes.len() + full.len(),
                        source_index + 1
                    )
                };
                if job.hold {
                    return Err(LabelError {
                        code: Code::LabelMismatch,
                        detail,
                    });
                }
                rendered.warnings.push(detail);
            }
        }
        rendered.content = PageContent::Bitmap(bitmap);
        self.pages.push(rendered);
        Ok(())
    }

    /// What barcodes the page itself has, drawn finer than the head's dots; none where it cannot be.
    fn full_codes(
        &self,
        source: &Source,
        content: &Area,
        page: &Area,
    ) -> Result<Vec<ReadCode>, LabelError> {
        let media = &self.job.media;
        // With the quiet zones around it.
        let wider = Area {
            x0: content.x0 - 5.0,
            y0: content.y0 - 5.0,
            x1: content.x1 + 5.0,
            y1: content.y1 + 5.0,
        };
        let area = wider.intersect(page).unwrap_or(*content);
        let square_mm = area.width() * area.height();
        let per_mm = (FULL_DPI / 25.4).min((FULL_DOTS / square_mm.max(1.0)).sqrt());
        if per_mm <= media.dots_per_mm() {
            return Ok(Vec::new());
        }
        let page = source.draw(&View {
            source: area,
            turn: Turn::Upright,
            dots_per_mm: per_mm,
            left: 0.0,
            top: 0.0,
            width: ceil_dots(area.width() * per_mm),
            height: ceil_dots(area.height() * per_mm),
        })?;
        let bitmap = ink::to_bitmap(&page, media.threshold);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 600"
        )]
        let dpi = (per_mm * 25.4).round() as u16;
        Ok(read_back::read(&bitmap, dpi, &self.job.tracking))
    }

    /// A document of nothing but sheets that do not fit is a misfit, unless its type says that it
    /// belongs elsewhere.
    fn done(self) -> Result<Vec<RenderedPage>, LabelError> {
        let label_type = self.job.label_type.to_ascii_lowercase();
        let declared = DOCUMENT_WORDS.iter().any(|word| label_type.contains(word));
        match self.misfit {
            Some(error)
                if !declared
                    && self
                        .pages
                        .iter()
                        .all(|page| page.content == PageContent::Elsewhere) =>
            {
                Err(error)
            }
            _ => Ok(self.pages),
        }
    }
}

enum Drawn {
    Blank,
    Solid,
    Page(Box<DrawnPage>),
}

struct DrawnPage {
    bitmap: Result<(Bitmap, Placement), Misfit>,
    role: PageRole,
    /// The content's box on the page.
    area: Area,
}

fn does_not_fit(index: u16, area: &Area, media: &Media, misfit: Misfit) -> LabelError {
    LabelError::misfit(format!(
        "page {}: its content is {:.0} x {:.0} mm and would have to shrink to {:.0} % for media of \
         {:.0} x {:.0} mm; load larger labels or set a crop rule",
        index + 1,
        area.width(),
        area.height(),
        misfit.needs * 100.0,
        media.width_mm,
        media.height_mm
    ))
}

/// The box in millimetres of the page, as drawn from `region`.
fn to_area((x0, y0, x1, y1): DotBox, per_mm: f64, region: &Area) -> Area {
    Area {
        x0: region.x0 + f64::from(x0) / per_mm,
        y0: region.y0 + f64::from(y0) / per_mm,
        x1: region.x0 + f64::from(x1) / per_mm,
        y1: region.y0 + f64::from(y1) / per_mm,
    }
}

/// Moves the drawn dots to their place: no dot changes.
fn lay(bitmap: &Bitmap, content: DotBox, placement: &Placement, media: &Media) -> Bitmap {
    let (width, height) = (media.width(), media.height());
    let (x0, y0, x1, y1) = content;
    let (w, h) = match placement.turn {
        Turn::Upright => (x1 - x0, y1 - y0),
        Turn::Clockwise => (y1 - y0, x1 - x0),
    };
    // Rounding both the media and the place may push the last dot over the edge.
    let left = media.dots(placement.left).min(width.saturating_sub(w));
    let top = media.dots(placement.top).min(height.saturating_sub(h));
    ink::lay(
        bitmap,
        content,
        placement.turn,
        (width, height),
        (left, top),
    )
}

/// Draws the placed part again with its scale in the drawing, and nothing around it.
fn redraw(source: &Source, placement: &Placement, media: &Media) -> Result<Bitmap, LabelError> {
    let per_mm = media.dots_per_mm() * placement.scale;
    let (left, top) = (
        (placement.left * media.dots_per_mm()).floor(),
        (placement.top * media.dots_per_mm()).floor(),
    );
    let mut gray = source.draw(&View {
        source: placement.source,
        turn: placement.turn,
        dots_per_mm: per_mm,
        left,
        top,
        width: media.width(),
        height: media.height(),
    })?;
    let (w, h) = match placement.turn {
        Turn::Upright => (placement.source.width(), placement.source.height()),
        Turn::Clockwise => (placement.source.height(), placement.source.width()),
    };
    let (right, bottom) = (left + w * per_mm, top + h * per_mm);
    ink::keep(
        &mut gray,
        (
            whole_dots(left),
            whole_dots(top),
            ceil_dots(right),
            ceil_dots(bottom),
        ),
    );
    Ok(ink::to_bitmap(&gray, media.threshold))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped before the cast; NaN becomes 0"
)]
fn whole_dots(value: f64) -> u32 {
    value.clamp(0.0, 1e6) as u32
}

/// Rounds up, but not for the thousandths that unit conversions leave.
fn ceil_dots(value: f64) -> u32 {
    whole_dots((value - 1e-3).ceil())
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures cost for the timings; decides nothing"
)]
fn now() -> Instant {
    Instant::now()
}

fn micros(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}
