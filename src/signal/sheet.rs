//! The command sheet: every command barcode of a site on A4, drawn as vector rectangles.
//!
//! Code 128 with ten modules of quiet zone on both sides; bars are whole numbers of modules, a
//! module is at least [`MODULE_MIN`] wide, so that any scanner and any office printer will do.

use barcoders::sym::code128::Code128;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};
use serde::Serialize;

/// Points per millimetre.
const MM: f32 = 72.0 / 25.4;
/// A4, and its margins.
const PAGE: (f32, f32) = (210.0, 297.0);
const MARGIN: f32 = 14.0;
/// First card below the title; the footer begins here.
const TOP: f32 = 34.0;
const BOTTOM: f32 = 283.0;
/// Two columns, this far apart.
const GUTTER: f32 = 10.0;
/// Height of a card and of its bars.
const CARD: f32 = 31.0;
const BARS: f32 = 14.0;
/// Height of a section's heading.
const HEADING: f32 = 9.0;
/// Modules of white on each side (ISO/IEC 15417).
const QUIET: f32 = 10.0;
/// Width of a module in millimetres: as wide as fits, within these.
const MODULE_MAX: f32 = 0.38;
const MODULE_MIN: f32 = 0.25;
/// Longest text that still fits on a page's width.
const MAX_TEXT: usize = 48;

/// A sheet that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The PDF.
    pub bytes: Vec<u8>,
    /// Its pages.
    pub pages: usize,
    /// What is on it.
    pub commands: Vec<Printed>,
}

/// One barcode of the sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Printed {
    /// Name without prefix.
    pub name: String,
    /// What the barcode says.
    pub text: String,
    /// What it does.
    pub meaning: String,
}

/// Why no sheet can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    /// The prefix is empty or has characters that command barcodes do not have.
    #[error(
        "'{0}' is no command prefix: up to 16 letters, digits, dots, dashes or underscores, such as PS7K4D."
    )]
    Prefix(String),
    /// A barcode cannot be drawn wide enough to be read.
    #[error("the barcode {0} does not fit on the sheet")]
    TooLong(String),
}

/// Sections in order: heading, and name and meaning of each command.
const SECTIONS: [(&str, &[(&str, &str)]); 5] = [
    (
        "Answers",
        &[
            ("YES", "Yes: to the question that the station asks"),
            ("NO", "No: nothing is done"),
        ],
    ),
    (
        "The order scanned last (or scan this first, then the order)",
        &[
            ("REPRINT", "The same label again. Nothing is bought"),
            ("NEXT-PARCEL", "One more parcel: one more label is bought"),
            (
                "REDO",
                "New label, new tracking number. Scan the order again to confirm",
            ),
            (
                "CANCEL",
                "Drop what is pending here. Nothing already bought",
            ),
        ],
    ),
    (
        "The bench",
        &[
            ("PAUSE", "Take no new work"),
            (
                "RESUME",
                "Take work again; release what waited for the network",
            ),
            ("STATUS", "Print how the station is"),
            ("TEST", "Print a test label"),
            ("CLOSE-DAY", "Hand-over list (in a later version)"),
        ],
    ),
    (
        "Why a label was printed again (after REPRINT)",
        &[
            ("REASON-DAMAGED", "The label was damaged or unreadable"),
            ("REASON-JAM", "The printer jammed"),
            ("REASON-LOST", "The label was lost"),
        ],
    ),
    (
        "The next order: parcels and weight",
        &[
            ("PARCELS-2", "Two parcels"),
            ("PARCELS-3", "Three parcels"),
            ("PARCELS-4", "Four parcels"),
            ("PARCELS-5", "Five parcels"),
            ("WEIGHT-0.5", "500 g"),
            ("WEIGHT-1", "1 kg"),
            ("WEIGHT-2", "2 kg"),
            ("WEIGHT-5", "5 kg"),
            ("WEIGHT-10", "10 kg"),
            ("WEIGHT-20", "20 kg"),
        ],
    ),
];

/// Draws the sheet of a site: its prefix, and its packaging presets as `BOX-x`.
///
/// # Errors
/// The prefix cannot be one, or a barcode does not fit.
pub fn pdf(prefix: &str, presets: &[String]) -> Result<Made, SheetError> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if prefix.is_empty() || prefix.len() > 16 || !prefix.bytes().all(good) {
        return Err(SheetError::Prefix(prefix.to_owned()));
    }
    let boxes: Vec<(String, String)> = presets
        .iter()
        .map(|preset| (format!("BOX-{preset}"), format!("Packed in: {preset}")))
        .collect();
    let mut drawing = Drawing::new(prefix);
    for (heading, commands) in SECTIONS {
        drawing.section(heading, commands.iter().copied())?;
    }
    if !boxes.is_empty() {
        let commands = boxes
            .iter()
            .map(|(name, meaning)| (name.as_str(), meaning.as_str()));
        drawing.section("The next order: packaging", commands)?;
    }
    Ok(drawing.finish())
}

struct Drawing<'a> {
    prefix: &'a str,
    pages: Vec<Content>,
    /// Millimetres from the top where the next row begins.
    y: f32,
    commands: Vec<Printed>,
}

impl<'a> Drawing<'a> {
    fn new(prefix: &'a str) -> Self {
        let mut drawing = Self {
            prefix,
            pages: Vec::new(),
            y: TOP,
            commands: Vec::new(),
        };
        drawing.page();
        drawing
    }

    fn page(&mut self) {
        let mut content = Content::new();
        text(&mut content, BOLD, 20.0, MARGIN, 18.0, "Command barcodes");
        let site = format!(
            "Site prefix {}   Only sheets with this prefix work at your benches. Keep it out of parcels.",
            self.prefix
        );
        text(&mut content, REGULAR, 9.5, MARGIN, 25.0, &site);
        content.set_line_width(0.6);
        content.move_to(MARGIN * MM, (PAGE.1 - 28.5) * MM);
        content.line_to((PAGE.0 - MARGIN) * MM, (PAGE.1 - 28.5) * MM);
        content.stroke();
        let footer = "Also understood: WEIGHT-1.25 (kilograms), PARCELS-n, BOX-x, COURIER-x, USER-x, REASON-x, each behind the prefix, as Code 128.";
        text(&mut content, REGULAR, 8.5, MARGIN, 289.0, footer);
        self.pages.push(content);
        self.y = TOP;
    }

    fn section<'c>(
        &mut self,
        heading: &str,
        commands: impl Iterator<Item = (&'c str, &'c str)>,
    ) -> Result<(), SheetError> {
        // A heading is never the last thing on a page.
        if self.y + HEADING + CARD > BOTTOM {
            self.page();
        }
        if let Some(page) = self.pages.last_mut() {
            text(page, BOLD, 11.0, MARGIN, self.y + 5.0, heading);
        }
        self.y += HEADING;
        let column = (PAGE.0 - 2.0 * MARGIN - GUTTER) / 2.0;
        let mut is_right = false;
        for (name, meaning) in commands {
            let barcode = Barcode::new(format!("{}{name}", self.prefix))?;
            let is_wide = barcode.module(column).is_none();
            if is_right && is_wide {
                self.y += CARD;
                is_right = false;
            }
            if !is_right && self.y + CARD > BOTTOM {
                self.page();
            }
            let left = if is_right {
                MARGIN + column + GUTTER
            } else {
                MARGIN
            };
            let width = if is_wide {
                PAGE.0 - 2.0 * MARGIN
            } else {
                column
            };
            self.card(&barcode, name, meaning, left, width)?;
            if is_right || is_wide {
                self.y += CARD;
            }
            is_right = !is_right && !is_wide;
        }
        if is_right {
            self.y += CARD;
        }
        Ok(())
    }

    fn card(
        &mut self,
        barcode: &Barcode,
        name: &str,
        meaning: &str,
        left: f32,
        width: f32,
    ) -> Result<(), SheetError> {
        let module = barcode
            .module(width)
            .ok_or_else(|| SheetError::TooLong(barcode.text.clone()))?;
        let top = self.y;
        if let Some(page) = self.pages.last_mut() {
            text(page, BOLD, 13.0, left, top + 4.6, name);
            text(page, REGULAR, 8.5, left, top + 8.6, meaning);
            barcode.draw(page, left, top + 10.2, module);
            text(
                page,
                REGULAR,
                7.0,
                left + QUIET * module,
                top + 10.2 + BARS + 3.0,
                &barcode.text,
            );
        }
        self.commands.push(Printed {
            name: name.to_owned(),
            text: barcode.text.clone(),
            meaning: meaning.to_owned(),
        });
        Ok(())
    }

    fn finish(self) -> Made {
        let count = self.pages.len();
        let mut ids = (1..).map(Ref::new);
        let mut next = || ids.next().unwrap_or(Ref::new(i32::MAX));
        let (catalog, tree, regular, bold, info) = (next(), next(), next(), next(), next());
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree);
        let title = format!("Command barcodes {}", self.prefix);
        pdf.document_info(info).title(TextStr(&title));
        let pages: Vec<(Ref, Ref, Content)> = self
            .pages
            .into_iter()
            .map(|content| (next(), next(), content))
            .collect();
        pdf.pages(tree)
            .kids(pages.iter().map(|(page, ..)| *page))
            .count(i32::try_from(count).unwrap_or(i32::MAX));
        for (name, id) in [
            (Name(b"Helvetica"), regular),
            (Name(b"Helvetica-Bold"), bold),
        ] {
            pdf.type1_font(id)
                .base_font(name)
                .encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        for (number, (page, content_id, mut content)) in pages.into_iter().enumerate() {
            let of = format!("Page {} of {count}", number + 1);
            text(
                &mut content,
                REGULAR,
                8.5,
                PAGE.0 - MARGIN - 17.0,
                18.0,
                &of,
            );
            let mut writer = pdf.page(page);
            writer
                .media_box(Rect::new(0.0, 0.0, PAGE.0 * MM, PAGE.1 * MM))
                .parent(tree)
                .contents(content_id);
            let mut resources = writer.resources();
            resources.fonts().pair(REGULAR, regular).pair(BOLD, bold);
            resources.finish();
            writer.finish();
            pdf.stream(content_id, &content.finish());
        }
        Made {
            bytes: pdf.finish(),
            pages: count,
            commands: self.commands,
        }
    }
}

const REGULAR: Name<'static> = Name(b"F1");
const BOLD: Name<'static> = Name(b"F2");

/// Text with its base line `y` millimetres from the top. Only ASCII is ever written here.
fn text(content: &mut Content, font: Name<'_>, size: f32, x: f32, y: f32, text: &str) {
    content.begin_text();
    content.set_font(font, size);
    content.next_line(x * MM, (PAGE.1 - y) * MM);
    content.show(Str(text.as_bytes()));
    content.end_text();
}

struct Barcode {
    text: String,
    /// One entry per module: 1 is a bar.
    modules: Vec<u8>,
}

impl Barcode {
    fn new(text: String) -> Result<Self, SheetError> {
        let too_long = || SheetError::TooLong(text.clone());
        if text.len() > MAX_TEXT {
            return Err(too_long());
        }
        // U+0181 starts character set B: all of printable ASCII.
        let code = Code128::new(format!("\u{181}{text}")).map_err(|_| too_long())?;
        let modules = code.encode();
        Ok(Self { text, modules })
    }

    /// Width of a module in millimetres when the symbol and its quiet zones get this width.
    fn module(&self, width: f32) -> Option<f32> {
        #[expect(clippy::cast_precision_loss, reason = "a few hundred modules")]
        let modules = self.modules.len() as f32 + 2.0 * QUIET;
        let module = (width / modules).min(MODULE_MAX);
        (module >= MODULE_MIN).then_some(module)
    }

    fn draw(&self, content: &mut Content, left: f32, top: f32, module: f32) {
        let mut x = left + QUIET * module;
        for run in self.modules.chunk_by(|a, b| a == b) {
            #[expect(clippy::cast_precision_loss, reason = "a few modules")]
            let width = run.len() as f32 * module;
            if run.first() == Some(&1) {
                content.rect(x * MM, (PAGE.1 - top - BARS) * MM, width * MM, BARS * MM);
            }
            x += width;
        }
        content.fill_nonzero();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::PLAIN;
    use crate::domain::{Command, ScanText};

    #[test]
    fn a_prefix_that_could_not_be_scanned_is_refused() {
        for bad in ["", "a b", "PS\u{e9}", "01234567890123456"] {
            assert!(matches!(pdf(bad, &[]), Err(SheetError::Prefix(_))), "{bad}");
        }
        let long = vec!["x".repeat(32)];
        assert!(matches!(
            pdf("0123456789012345", &long),
            Err(SheetError::TooLong(_))
        ));
    }

    #[test]
    fn every_command_is_on_the_sheet_and_every_barcode_is_a_command() {
        let made = pdf("PS7K4D.", &["small".into()]).unwrap();
        for (name, _) in PLAIN {
            assert!(made.commands.iter().any(|c| c.name == name), "{name}");
        }
        for command in &made.commands {
            let scan = ScanText::parse(&command.text).unwrap();
            let read = Command::parse("PS7K4D.", &scan);
            assert!(matches!(read, Some(Ok(_))), "{}: {read:?}", command.text);
        }
        assert!(made.commands.iter().any(|c| c.name == "BOX-small"));
    }
}
