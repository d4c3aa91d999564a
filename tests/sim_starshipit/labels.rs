//! Labels, rendered as the station would at 203 dpi and read by a decoder that the generator does
//! not know.

use crate::{Bench, pdfs};
use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_syntax::Pdf;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use printstation::sim::label_pdf::{self, Label, PageShape};
use printstation::sim::starshipit::admin::Seed;
use std::path::Path;

/// A page as gray dots.
pub(crate) struct Dots {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) luma: Vec<u8>,
}

/// Every page at 203 dpi.
pub(crate) fn render(pdf: &[u8]) -> Vec<Dots> {
    let pdf = Pdf::new(pdf.to_vec()).expect("hayro reads the file");
    let (cache, interpreter) = (RenderCache::new(), InterpreterSettings::default());
    let settings = RenderSettings::default();
    let pixmap = PixmapSettings {
        x_scale: 203.0 / 72.0,
        y_scale: 203.0 / 72.0,
        bg_color: WHITE,
    };
    let page = |page| {
        let pixels = hayro::render(page, &cache, &interpreter, &settings, &pixmap);
        let rgba = pixels.data_as_u8_slice();
        Dots {
            width: pixels.width().into(),
            height: pixels.height().into(),
            luma: rgba.chunks_exact(4).map(|p| p[1]).collect(),
        }
    };
    pdf.pages().iter().map(page).collect()
}

pub(crate) fn pages(pdf: &[u8]) -> usize {
    Pdf::new(pdf.to_vec())
        .expect("hayro reads the file")
        .pages()
        .len()
}

/// Sizes as shown, after `/Rotate`, in whole millimetres.
pub(crate) fn sizes_mm(pdf: &[u8]) -> Vec<(u32, u32)> {
    let mm = |dots: u32| (dots * 254 + 1015) / 2030;
    render(pdf)
        .iter()
        .map(|d| (mm(d.width), mm(d.height)))
        .collect()
}

/// What the page's barcode says after a 1-bit threshold, as on a thermal head.
pub(crate) fn read(dots: &Dots) -> Option<String> {
    let black_and_white = dots
        .luma
        .iter()
        .map(|l| if *l < 150 { 0 } else { 255 })
        .collect();
    // Only Code 128, the format of the labels: asked for any, rxing's UPC-E reader finds eight digits
    // in the middle of some Code 128 symbols.
    let format = Some(rxing::BarcodeFormat::CODE_128);
    rxing::helpers::detect_in_luma(black_and_white, dots.width, dots.height, format)
        .ok()
        .map(|found| found.getText().to_owned())
}

#[tokio::test]
async fn every_page_of_every_geometry_carries_the_tracking_number_of_its_parcel() {
    for word in ["rotate-90", "portrait", "a4", "invoice"] {
        let bench = Bench::with(&[&format!("S12={word}")]).await;
        let parcels = vec![Some(1.0), Some(2.0), Some(3.0)];
        let id = bench.order(Seed {
            parcels,
            ..Seed::number("WEB-1")
        });
        let reply = bench.print(id).await;
        let read: Vec<_> = render(&pdfs(&reply)[0])
            .iter()
            .map(|d| read(d).unwrap())
            .collect();
        assert_eq!(read, bench.server.sales()[0].tracking_numbers, "{word}");
    }
}

#[test]
fn a_page_without_a_barcode_reads_as_nothing() {
    let paper = label_pdf::papers(&[label_pdf::Paper::default()]);
    assert!(render(&paper).iter().all(|page| read(page).is_none()));
}

#[test]
fn the_bars_of_a_label_begin_and_end_on_whole_dots() {
    let label = Label {
        tracking: "PS0123456789".into(),
        ..Label::default()
    };
    let dots = &render(&label_pdf::labels(&[label], PageShape::Portrait))[0];
    let row = (dots.height * 117 / 150) as usize * dots.width as usize;
    let row = &dots.luma[row..row + dots.width as usize];
    assert!(row.contains(&0), "the row crosses the bars");
    assert!(
        row.iter().all(|l| *l == 0 || *l == 255),
        "no gray at any edge"
    );
}

#[test]
fn long_odd_or_missing_texts_neither_break_a_label_nor_hide_its_barcode() {
    let long = "Übergrößen-Straße \u{7} 東京 (x)\\ ".repeat(30);
    let label = Label {
        carrier: long.clone(),
        service: long.clone(),
        sender: vec![long.clone(); 20],
        receiver: vec![long.clone(); 20],
        locality: long.clone(),
        country: long.clone(),
        routing: long.clone(),
        tracking: "PS0123456789".into(),
        order_number: long.clone(),
        reference: long.clone(),
        instructions: long,
        parcel: 99,
        of: 100,
        weight_kg: 9999.99,
        date: "22 Nov 2026".into(),
    };
    for label in [
        label,
        Label {
            tracking: "PS0123456789".into(),
            ..Label::default()
        },
    ] {
        let pdf = label_pdf::labels(&[label], PageShape::Rotated);
        assert_eq!(read(&render(&pdf)[0]).as_deref(), Some("PS0123456789"));
    }
    let unencodable = Label {
        tracking: "東京".into(),
        ..Label::default()
    };
    let pdf = label_pdf::labels(&[unencodable], PageShape::Rotated);
    assert_eq!(read(&render(&pdf)[0]), None);
}

/// What the files of `tests/labels` carry, page by page; empty = a page without a barcode.
const CORPUS: &[(&str, &[&str])] = &[
    ("rotate-90.pdf", &["PS1000000001"]),
    ("portrait.pdf", &["PS1000000001"]),
    ("a4.pdf", &["PS1000000001"]),
    ("two-pages.pdf", &["PS1000000001", "PS1000000002"]),
    ("invoice.pdf", &[""]),
    ("label-and-invoice.pdf", &["PS1000000001", ""]),
];

fn corpus_file(name: &str) -> Vec<u8> {
    let label = |n: usize, of: usize| Label {
        carrier: "Plain Label".into(),
        service: "Standard".into(),
        sender: [
            "Example Warehouse Pty Ltd",
            "1 Depot Road",
            "Eagle Farm QLD 4009",
        ]
        .map(str::to_owned)
        .to_vec(),
        receiver: ["Pat Example", "Example Pty", "12 Sample Street"]
            .map(str::to_owned)
            .to_vec(),
        locality: "Carlton VIC 3053".into(),
        country: "Australia".into(),
        routing: "VIC 3053".into(),
        tracking: format!("PS100000000{n}"),
        order_number: "WEB-20401".into(),
        reference: "PO-778".into(),
        instructions: "Leave at the front dock".into(),
        parcel: n,
        of,
        weight_kg: 1.2,
        date: "22 Nov 2026".into(),
    };
    let paper = label_pdf::Paper {
        title: "Commercial Invoice".into(),
        left: vec!["Shipper".into(), "Example Warehouse Pty Ltd".into()],
        right: vec!["Consignee".into(), "Pat Example".into()],
        lines: vec![label_pdf::PaperLine {
            text: "MUG-BLU".into(),
            quantity: 2.0,
            value: 12.5,
        }],
    };
    match name {
        "rotate-90.pdf" => label_pdf::labels(&[label(1, 1)], PageShape::Rotated),
        "portrait.pdf" => label_pdf::labels(&[label(1, 1)], PageShape::Portrait),
        "a4.pdf" => label_pdf::labels(&[label(1, 1)], PageShape::A4Corner),
        "two-pages.pdf" => label_pdf::labels(&[label(1, 2), label(2, 2)], PageShape::Rotated),
        "invoice.pdf" => label_pdf::papers(&[paper]),
        "label-and-invoice.pdf" => label_pdf::label_and_papers(&label(1, 1), &[paper]),
        other => panic!("no recipe for {other}"),
    }
}

/// `UPDATE_LABELS=1` writes the files instead (see tests/labels/generate).
#[test]
fn the_label_corpus_is_what_the_generator_makes_and_carries_what_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labels");
    for (name, expected) in CORPUS {
        let made = corpus_file(name);
        let path = dir.join(name);
        if std::env::var_os("UPDATE_LABELS").is_some() {
            let mut file = std::fs::File::create(&path).unwrap();
            std::io::Write::write_all(&mut file, &made).unwrap();
        }
        let kept = std::fs::read(&path).unwrap();
        assert!(
            kept == made,
            "{name} is stale: tests/labels/generate makes it anew"
        );
        let read: Vec<_> = render(&kept)
            .iter()
            .map(|d| read(d).unwrap_or_default())
            .collect();
        assert_eq!(read, *expected, "{name}");
    }
}
