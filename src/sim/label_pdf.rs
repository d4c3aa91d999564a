//! Courier labels, invoices and slips as PDF, for the simulators and for tests.
//!
//! The label is vector through and through: Helvetica text and a Code 128 of filled rectangles
//! whose module is a whole number of dots at 203 dpi, on a grid that starts at the page's corner,
//! so a renderer at the head's resolution has no edge to round. Every label says that it is a
//! sample. The same input gives the same bytes.

mod sheet;

use sheet::{DOT, Font, MM, Sheet, document};

/// Label size in points, upright.
const LABEL: (f32, f32) = (100.0 * MM, 150.0 * MM);
const A4: (f32, f32) = (210.0 * MM, 297.0 * MM);
/// Pages per document: a courier's label file never has more.
const MAX_PAGES: usize = 200;

/// What is on one label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Label {
    /// Courier as people call it.
    pub carrier: String,
    /// Service name.
    pub service: String,
    /// Sender, line by line.
    pub sender: Vec<String>,
    /// Receiver, line by line; the first is the name.
    pub receiver: Vec<String>,
    /// Suburb, state and postcode of the receiver.
    pub locality: String,
    /// Country of the receiver.
    pub country: String,
    /// Sort code in large letters, e.g. `VIC 3053`.
    pub routing: String,
    /// Number in the barcode.
    pub tracking: String,
    /// Order number.
    pub order_number: String,
    /// Customer reference; empty when there is none.
    pub reference: String,
    /// What the driver is asked to do; empty when nothing.
    pub instructions: String,
    /// This parcel, from 1.
    pub parcel: usize,
    /// Parcels of the consignment.
    pub of: usize,
    /// Kilograms.
    pub weight_kg: f64,
    /// Date as printed, e.g. `22 Nov 2026`.
    pub date: String,
}

/// How the label lies on its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageShape {
    /// 150 x 100 mm MediaBox with `/Rotate 90`: what a real Plain Label file has.
    Rotated,
    /// 100 x 150 mm.
    Portrait,
    /// A4 upright with the label in its upper left corner.
    A4Corner,
}

/// One PDF with a page per label, in order. At most 200 pages; more are left out.
pub fn labels(labels: &[Label], shape: PageShape) -> Vec<u8> {
    document(
        labels
            .iter()
            .take(MAX_PAGES)
            .map(|label| label_sheet(label, shape))
            .collect(),
    )
}

/// One PDF whose first page is a label and whose other pages are A4 papers: what a courier sends
/// that does not know about two printers.
pub fn label_and_papers(label: &Label, papers: &[Paper]) -> Vec<u8> {
    let papers = papers.iter().take(MAX_PAGES).map(draw_paper);
    document(
        std::iter::once(label_sheet(label, PageShape::Rotated))
            .chain(papers)
            .collect(),
    )
}

fn label_sheet(label: &Label, shape: PageShape) -> Sheet {
    match shape {
        PageShape::Rotated => {
            let mut sheet = Sheet::new(LABEL, (LABEL.1, LABEL.0), 90);
            // Upright (x, y) lies at (height - y, x) of a page that is shown turned clockwise.
            sheet.content.transform([0.0, 1.0, -1.0, 0.0, LABEL.1, 0.0]);
            draw_label(&mut sheet, label);
            sheet
        }
        PageShape::Portrait => {
            let mut sheet = Sheet::new(LABEL, LABEL, 0);
            draw_label(&mut sheet, label);
            sheet
        }
        PageShape::A4Corner => {
            let mut sheet = Sheet::new(LABEL, A4, 0);
            let left = 48.0 * DOT;
            let bottom = A4.1 - LABEL.1 - 6.0 * MM;
            sheet.content.transform([1.0, 0.0, 0.0, 1.0, left, bottom]);
            sheet.frame(0.0, 0.0, 100.0, 150.0, 0.4);
            draw_label(&mut sheet, label);
            sheet
                .content
                .transform([1.0, 0.0, 0.0, 1.0, -left, -bottom]);
            sheet.height = A4.1;
            sheet.text(
                Font::Regular,
                8.0,
                10.0,
                164.0,
                "Fold here. Keep this part as your receipt.",
            );
            sheet
        }
    }
}

/// One line of an A4 paper: a description and what belongs beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PaperLine {
    /// Left column.
    pub text: String,
    /// Quantity.
    pub quantity: f64,
    /// Unit value in the order's currency.
    pub value: f64,
}

/// An A4 page with a title, two blocks of text and a table: commercial invoice, packing slip,
/// manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paper {
    /// Title in large letters.
    pub title: String,
    /// Upper left block.
    pub left: Vec<String>,
    /// Upper right block.
    pub right: Vec<String>,
    /// The table.
    pub lines: Vec<PaperLine>,
}

/// One PDF with an A4 page per paper.
pub fn papers(papers: &[Paper]) -> Vec<u8> {
    document(papers.iter().take(MAX_PAGES).map(draw_paper).collect())
}

fn draw_label(sheet: &mut Sheet, label: &Label) {
    // Head: courier and service.
    sheet.mark(5.0, 4.5, 9.0);
    sheet.fit(Font::Bold, 19.0, 16.5, 12.0, 43.0, &label.carrier);
    sheet.fill(62.0, 3.5, 34.5, 11.0);
    sheet.white();
    sheet.centred(
        Font::Bold,
        11.0,
        79.25,
        10.5,
        32.0,
        &label.service.to_uppercase(),
    );
    sheet.black();
    sheet.rule(3.5, 17.0, 96.5, 0.9);

    // Sender, and what the depot looks at.
    sheet.text(Font::Bold, 5.5, 4.5, 20.5, "FROM");
    for (line, y) in label.sender.iter().take(4).zip([23.8, 26.8, 29.8, 32.8]) {
        sheet.fit(Font::Regular, 7.0, 4.5, y, 52.0, line);
    }
    for (name, value, y) in [
        ("DATE", label.date.as_str(), 20.5),
        ("WEIGHT", &format!("{:.2} kg", label.weight_kg), 25.7),
        ("ORDER", &label.order_number, 30.9),
    ] {
        sheet.text(Font::Bold, 5.5, 60.0, y, name);
        sheet.fit(Font::Bold, 8.5, 70.0, y + 0.3, 26.0, value);
    }
    sheet.rule(3.5, 35.0, 96.5, 0.5);

    // Receiver.
    sheet.fill(3.5, 37.0, 4.6, 36.0);
    sheet.white();
    sheet.upward(Font::Bold, 8.0, 6.8, 64.2, "DELIVER TO");
    sheet.black();
    let mut y = 42.5;
    for (i, line) in label.receiver.iter().take(5).enumerate() {
        let (font, size) = if i == 0 {
            (Font::Bold, 14.0)
        } else {
            (Font::Regular, 11.0)
        };
        sheet.fit(font, size, 11.0, y, 85.0, line);
        y += if i == 0 { 5.6 } else { 4.9 };
    }
    sheet.fit(
        Font::Bold,
        15.0,
        11.0,
        y + 1.2,
        85.0,
        &label.locality.to_uppercase(),
    );
    sheet.fit(
        Font::Regular,
        10.0,
        11.0,
        y + 6.2,
        85.0,
        &label.country.to_uppercase(),
    );

    // Routing.
    sheet.rule(3.5, 75.0, 96.5, 0.9);
    sheet.fit(Font::Bold, 44.0, 5.0, 90.6, 58.0, &label.routing);
    sheet.frame(67.0, 77.5, 29.5, 15.0, 0.9);
    sheet.text(Font::Bold, 5.5, 68.5, 80.4, "PARCEL");
    let count = format!("{} of {}", label.parcel, label.of);
    sheet.centred(Font::Bold, 19.0, 81.75, 89.6, 27.0, &count);
    sheet.rule(3.5, 95.0, 96.5, 0.9);
    if !label.instructions.is_empty() {
        sheet.text(Font::Bold, 5.5, 4.5, 98.4, "INSTRUCTIONS");
        sheet.fit(Font::Regular, 8.5, 22.0, 98.6, 74.0, &label.instructions);
    }
    sheet.rule(3.5, 101.0, 96.5, 0.5);

    // The bars, and the same for people.
    sheet.barcode(104.0, 27.0, &label.tracking);
    sheet.centred(
        Font::Bold,
        13.0,
        50.0,
        136.2,
        90.0,
        &spaced(&label.tracking),
    );
    sheet.rule(3.5, 139.0, 96.5, 0.5);
    if !label.reference.is_empty() {
        sheet.fit(
            Font::Regular,
            7.0,
            4.5,
            142.4,
            48.0,
            &format!("Ref {}", label.reference),
        );
    }
    let order = format!("Order {}", label.order_number);
    sheet.right(Font::Regular, 7.0, 95.5, 142.4, 42.0, &order);
    sheet.centred(
        Font::Bold,
        8.0,
        50.0,
        147.0,
        92.0,
        "SAMPLE - NOT A REAL LABEL",
    );
}

/// Groups of four, as people read numbers aloud.
fn spaced(number: &str) -> String {
    let chars: Vec<char> = number.chars().collect();
    let groups: Vec<String> = chars.chunks(4).map(|c| c.iter().collect()).collect();
    groups.join(" ")
}

fn draw_paper(paper: &Paper) -> Sheet {
    let mut sheet = Sheet::new(A4, A4, 0);
    sheet.fit(Font::Bold, 20.0, 18.0, 26.0, 170.0, &paper.title);
    sheet.rule(18.0, 30.0, 192.0, 1.0);
    for (block, x) in [(&paper.left, 18.0), (&paper.right, 110.0)] {
        let mut y = 40.0;
        for line in block.iter().take(10) {
            sheet.fit(Font::Regular, 10.0, x, y, 82.0, line);
            y += 5.2;
        }
    }
    let mut y = 100.0;
    for (text, right) in [
        ("Description", None),
        ("Quantity", Some(140.0)),
        ("Value", Some(192.0)),
    ] {
        match right {
            None => sheet.text(Font::Bold, 10.0, 18.0, y, text),
            Some(x) => sheet.right(Font::Bold, 10.0, x, y, 40.0, text),
        }
    }
    sheet.rule(18.0, y + 2.0, 192.0, 0.5);
    let mut total = 0.0;
    for line in paper.lines.iter().take(28) {
        y += 6.0;
        sheet.fit(Font::Regular, 10.0, 18.0, y, 95.0, &line.text);
        sheet.right(
            Font::Regular,
            10.0,
            140.0,
            y,
            30.0,
            &format!("{}", line.quantity),
        );
        sheet.right(
            Font::Regular,
            10.0,
            192.0,
            y,
            40.0,
            &format!("{:.2}", line.value),
        );
        total += line.quantity * line.value;
    }
    sheet.rule(18.0, y + 2.0, 192.0, 0.5);
    sheet.text(Font::Bold, 10.0, 18.0, y + 8.0, "Total");
    sheet.right(
        Font::Bold,
        10.0,
        192.0,
        y + 8.0,
        40.0,
        &format!("{total:.2}"),
    );
    sheet.centred(
        Font::Bold,
        9.0,
        105.0,
        285.0,
        160.0,
        "SAMPLE - NOT A REAL DOCUMENT",
    );
    sheet
}
