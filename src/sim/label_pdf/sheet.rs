//! A page being drawn: text that fits, lines, bars; and pages bound into a PDF.

use barcoders::sym::code128::Code128;
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str};

/// Points per millimetre.
pub(super) const MM: f32 = 72.0 / 25.4;
/// Points per dot of a 203 dpi head.
pub(super) const DOT: f32 = 72.0 / 203.0;
/// Bars and gaps of a Code 128, one entry per module; empty when the text cannot be encoded.
fn code128(text: &str) -> Vec<u8> {
    // Digits go two by two (set C) where an even tail of at least four follows: a shorter symbol
    // can have wider modules.
    let digits = text.chars().rev().take_while(char::is_ascii_digit).count() & !1;
    let (head, tail) = text.split_at(text.len() - digits);
    let coded = match (head, digits) {
        ("", 4..) => format!("\u{106}{tail}"),
        (_, 4..) => format!("\u{181}{head}\u{106}{tail}"),
        _ => format!("\u{181}{text}"),
    };
    Code128::new(coded)
        .map(|code| code.encode())
        .unwrap_or_default()
}

#[derive(Clone, Copy)]
pub(super) enum Font {
    Regular,
    Bold,
}

impl Font {
    pub(super) fn name(self) -> Name<'static> {
        match self {
            Self::Regular => Name(b"F1"),
            Self::Bold => Name(b"F2"),
        }
    }

    /// Width of `text` at size 1, from Adobe's metrics of Helvetica; what is not ASCII counts as
    /// a wide lower-case letter.
    pub(super) fn width(self, text: &[u8]) -> f32 {
        let table = match self {
            Self::Regular => &REGULAR,
            Self::Bold => &BOLD,
        };
        let width = |b: &u8| match b {
            32..=126 => table[usize::from(b - 32)],
            _ => 611,
        };
        text.iter().map(|b| f32::from(width(b)) / 1000.0).sum()
    }
}

/// One page being drawn: millimetres from the upper left corner of the upright picture.
pub(super) struct Sheet {
    pub(super) content: Content,
    pub(super) height: f32,
    media: (f32, f32),
    rotate: i32,
}

impl Sheet {
    pub(super) fn new(upright: (f32, f32), media: (f32, f32), rotate: i32) -> Self {
        Self {
            content: Content::new(),
            height: upright.1,
            media,
            rotate,
        }
    }

    pub(super) fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (x * MM, self.height - y * MM)
    }

    pub(super) fn show(&mut self, font: Font, size: f32, x: f32, y: f32, text: &[u8]) {
        let (x, y) = self.at(x, y);
        self.content.begin_text();
        self.content.set_font(font.name(), size);
        self.content.next_line(x, y);
        self.content.show(Str(text));
        self.content.end_text();
    }

    pub(super) fn text(&mut self, font: Font, size: f32, x: f32, y: f32, text: &str) {
        self.show(font, size, x, y, &latin(text));
    }

    /// At `size`, or smaller so that it is at most `width` mm wide; below 5 points it is cut.
    pub(super) fn fitted(font: Font, size: f32, width: f32, text: &str) -> (Vec<u8>, f32) {
        let mut bytes = latin(text);
        let natural = font.width(&bytes).max(0.01);
        let size = size.min(width * MM / natural).max(size.min(5.0));
        while font.width(&bytes) * size > width * MM && !bytes.is_empty() {
            bytes.pop();
        }
        (bytes, size)
    }

    pub(super) fn fit(&mut self, font: Font, size: f32, x: f32, y: f32, width: f32, text: &str) {
        let (bytes, size) = Self::fitted(font, size, width, text);
        self.show(font, size, x, y, &bytes);
    }

    pub(super) fn centred(
        &mut self,
        font: Font,
        size: f32,
        x: f32,
        y: f32,
        width: f32,
        text: &str,
    ) {
        let (bytes, size) = Self::fitted(font, size, width, text);
        let half = font.width(&bytes) * size / MM / 2.0;
        self.show(font, size, x - half, y, &bytes);
    }

    pub(super) fn right(&mut self, font: Font, size: f32, x: f32, y: f32, width: f32, text: &str) {
        let (bytes, size) = Self::fitted(font, size, width, text);
        let whole = font.width(&bytes) * size / MM;
        self.show(font, size, x - whole, y, &bytes);
    }

    /// Reads from bottom to top.
    pub(super) fn upward(&mut self, font: Font, size: f32, x: f32, y: f32, text: &str) {
        let (x, y) = self.at(x, y);
        self.content.begin_text();
        self.content.set_font(font.name(), size);
        self.content.set_text_matrix([0.0, 1.0, -1.0, 0.0, x, y]);
        self.content.show(Str(&latin(text)));
        self.content.end_text();
    }

    pub(super) fn fill(&mut self, x: f32, y: f32, width: f32, height: f32) {
        let (x, y) = self.at(x, y + height);
        self.content.rect(x, y, width * MM, height * MM);
        self.content.fill_nonzero();
    }

    pub(super) fn frame(&mut self, x: f32, y: f32, width: f32, height: f32, line: f32) {
        let (x, y) = self.at(x, y + height);
        self.content.set_line_width(line);
        self.content.rect(x, y, width * MM, height * MM);
        self.content.stroke();
    }

    pub(super) fn rule(&mut self, x: f32, y: f32, to: f32, line: f32) {
        let (from, y) = self.at(x, y);
        self.content.set_line_width(line);
        self.content.move_to(from, y);
        self.content.line_to(to * MM, y);
        self.content.stroke();
    }

    pub(super) fn white(&mut self) {
        self.content.set_fill_gray(1.0);
    }

    pub(super) fn black(&mut self) {
        self.content.set_fill_gray(0.0);
    }

    /// The made-up courier's mark: two chevrons.
    pub(super) fn mark(&mut self, x: f32, y: f32, size: f32) {
        for shift in [0.0, size * 0.5] {
            let point = |dx: f32, dy: f32| ((x + shift + dx * size) * MM, (y + dy * size) * MM);
            let height = self.height;
            let shape = [
                (0.0, 0.0),
                (0.28, 0.0),
                (0.6, 0.5),
                (0.28, 1.0),
                (0.0, 1.0),
                (0.32, 0.5),
            ];
            for (i, (dx, dy)) in shape.into_iter().enumerate() {
                let (px, py) = point(dx, dy);
                if i == 0 {
                    self.content.move_to(px, height - py);
                } else {
                    self.content.line_to(px, height - py);
                }
            }
            self.content.close_path();
            self.content.fill_nonzero();
        }
    }

    /// Centred on the label, as wide as fits with its quiet zones: 2 to 5 dots per module.
    pub(super) fn barcode(&mut self, y: f32, height: f32, text: &str) {
        const LABEL_DOTS: usize = 799;
        const QUIET: usize = 20;
        let modules = code128(text);
        if modules.is_empty() {
            return;
        }
        let dots = (LABEL_DOTS / (modules.len() + QUIET)).clamp(2, 5);
        let left = LABEL_DOTS.saturating_sub(modules.len() * dots) / 2;
        let (_, bottom) = self.at(0.0, y + height);
        let mut start = 0;
        for bar in modules.chunk_by(|a, b| a == b) {
            if bar[0] == 1 {
                let x = points(left + start * dots);
                self.content
                    .rect(x, bottom, points(bar.len() * dots), height * MM);
            }
            start += bar.len();
        }
        self.content.fill_nonzero();
    }
}

/// Dots of a 203 dpi head in points.
fn points(dots: usize) -> f32 {
    f32::from(u16::try_from(dots).unwrap_or(u16::MAX)) * DOT
}

/// Latin-1 without control characters, at most 120 characters; anything else becomes `?`.
fn latin(text: &str) -> Vec<u8> {
    let byte = |c: char| match u8::try_from(u32::from(c)) {
        Ok(b) if !c.is_control() => b,
        _ => b'?',
    };
    text.chars().take(120).map(byte).collect()
}

pub(super) fn document(sheets: Vec<Sheet>) -> Vec<u8> {
    let mut next = 0;
    let mut id = || {
        next += 1;
        Ref::new(next)
    };
    let (catalog, tree, regular, bold) = (id(), id(), id(), id());
    let ids: Vec<(Ref, Ref)> = sheets.iter().map(|_| (id(), id())).collect();
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    let count = i32::try_from(ids.len()).unwrap_or(i32::MAX);
    pdf.pages(tree)
        .kids(ids.iter().map(|(page, _)| *page))
        .count(count);
    for (font, name) in [
        (regular, Name(b"Helvetica")),
        (bold, Name(b"Helvetica-Bold")),
    ] {
        let mut font = pdf.type1_font(font);
        font.base_font(name);
        font.encoding_predefined(Name(b"WinAnsiEncoding"));
    }
    for (sheet, (page_id, content_id)) in sheets.into_iter().zip(ids) {
        let mut page = pdf.page(page_id);
        page.media_box(Rect::new(0.0, 0.0, sheet.media.0, sheet.media.1));
        if sheet.rotate != 0 {
            page.rotate(sheet.rotate);
        }
        page.parent(tree);
        page.contents(content_id);
        let mut resources = page.resources();
        let mut fonts = resources.fonts();
        fonts.pair(Name(b"F1"), regular);
        fonts.pair(Name(b"F2"), bold);
        fonts.finish();
        resources.finish();
        page.finish();
        pdf.stream(content_id, &sheet.content.finish());
    }
    pdf.finish()
}

#[rustfmt::skip]
const REGULAR: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
#[rustfmt::skip]
const BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611,
    975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556,
    333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
    611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];
