//! Encoder → simulated printer: the same dots, for every language, and golden bytes.
//!
//! The simulated printer's reader is written from the manuals and shares no code with the
//! encoders. `UPDATE_GOLDEN=1 cargo test --test printer_bytes` rewrites `tests/golden`.

#![expect(clippy::unwrap_used, reason = "a broken helper is a failed test")]

use printstation::domain::{Bitmap, Timestamp};
use printstation::label::{Job, Media, Settings as LabelSettings, render_file};
use printstation::printer::language::{Options, encode};
use printstation::printer::{AfterLabel, Language};
use printstation::sim::printer::{Label, Machine, Options as SimOptions, Speaks};
use proptest::prelude::*;
use std::path::PathBuf;

fn read(speaks: Speaks, dpi: u32, width: u32, bytes: &[u8]) -> Vec<Label> {
    let mut options = SimOptions::new("test", speaks);
    options.dpi = dpi;
    options.width_dots = width;
    let mut machine = Machine::new(options);
    let (took, _) = machine.feed(bytes, Timestamp(0));
    assert_eq!(took, bytes.len());
    machine.labels().to_vec()
}

fn speaks(language: Language) -> Speaks {
    match language {
        Language::Zpl => Speaks::Zpl,
        Language::Escpos => Speaks::Escpos,
        Language::Epl => Speaks::Epl,
        Language::Tspl => Speaks::Tspl,
        Language::BrotherQl => Speaks::BrotherQl,
        other => panic!("the simulated printer does not speak {}", other.as_str()),
    }
}

#[track_caller]
fn comes_out_the_same(language: Language, page: &Bitmap, options: &Options) {
    let bytes = encode(language, page, options);
    let dpi = u32::from(options.dpi);
    let labels = read(speaks(language), dpi, page.width.max(8), &bytes);
    assert_eq!(labels.len(), 1, "{language:?}: {} labels", labels.len());
    assert_eq!(labels[0].errors, [] as [&str; 0], "{language:?}");
    let image = &labels[0].image;
    assert_eq!(image.height, page.height, "{language:?}");
    // A Brother's picture is its whole head: the page lies at its right end, behind its margin.
    let margin = match (language, image.width) {
        (Language::BrotherQl, 1296) => 44,
        _ => 0,
    };
    let left = match language {
        Language::BrotherQl => image.width - margin - page.width,
        _ => 0,
    };
    for y in 0..page.height {
        for x in 0..page.width {
            assert_eq!(
                image.is_black(left + x, y),
                page.is_black(x, y),
                "{language:?} {x},{y}"
            );
        }
    }
}

/// Pictures as labels are: runs of rows, white rows, repeated rows, and noise.
fn pages() -> impl Strategy<Value = Bitmap> {
    let row = prop_oneof![
        3 => Just((0_u8, 0_u64)),
        1 => Just((1, 0)),
        3 => (Just(2_u8), any::<u64>()),
        3 => (Just(3_u8), any::<u64>()),
    ];
    let bands = proptest::collection::vec((row, 1_u32..60), 1..20);
    (1_u32..900, bands).prop_map(|(width, bands)| {
        let height = bands.iter().map(|(_, rows)| *rows).sum();
        let mut page = Bitmap::new_white(width, height);
        let mut y = 0;
        for ((kind, seed), rows) in bands {
            for row in y..y + rows {
                for x in 0..width {
                    let black = match kind {
                        0 => false,
                        1 => true,
                        // bars of 1 to 64 dots
                        2 => (seed >> ((x / (1 + seed.leading_zeros())) % 64)) & 1 == 1,
                        _ => {
                            (seed ^ u64::from(x * 31 + row * 17))
                                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                                >> 63
                                == 1
                        }
                    };
                    if black {
                        page.set_black(x, row);
                    }
                }
            }
            y += rows;
        }
        // A blank page never comes to a printer.
        page.set_black(0, 0);
        page
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn zpl_run_lengths_print_the_same_dots(page in pages()) {
        comes_out_the_same(Language::Zpl, &page, &Options::default());
    }

    #[test]
    fn zpl_z64_prints_the_same_dots(page in pages()) {
        comes_out_the_same(Language::Zpl, &page, &Options { z64: true, ..Options::default() });
    }

    #[test]
    fn escpos_bands_print_the_same_dots(page in pages(), dpi in prop_oneof![Just(180_u16), Just(203), Just(300), Just(600)]) {
        comes_out_the_same(Language::Escpos, &page, &Options { dpi, ..Options::default() });
    }

    #[test]
    fn epl_pictures_print_the_same_dots(page in pages()) {
        comes_out_the_same(Language::Epl, &page, &Options::default());
    }

    #[test]
    fn tspl_pictures_print_the_same_dots(page in pages(), dpi in prop_oneof![Just(203_u16), Just(300), Just(600)]) {
        comes_out_the_same(Language::Tspl, &page, &Options { dpi, ..Options::default() });
    }

    #[test]
    fn brother_rows_print_the_same_dots(page in pages()) {
        comes_out_the_same(Language::BrotherQl, &page, &Options { dpi: 300, ..Options::default() });
    }

    #[test]
    fn no_bytes_make_the_simulated_printer_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        for (speaks, head) in [
            (Speaks::Zpl, &b"^XA^GFA,8,8,2,"[..]),
            (Speaks::Escpos, b""),
            (Speaks::Epl, b"N\nGW0,0,2,4,"),
            (Speaks::Tspl, b"CLS\nBITMAP 0,0,2,4,0,"),
            (Speaks::BrotherQl, b"\x1bizM\x02g\0"),
        ] {
            let mut machine = Machine::new(SimOptions::new("test", speaks));
            let _ = machine.feed(head, Timestamp(0));
            let _ = machine.feed(&bytes, Timestamp(0));
        }
    }
}

#[test]
fn settings_do_not_change_the_picture() {
    let page = sample();
    let options = Options {
        darkness: Some(14),
        speed: Some(4),
        after_label: Some(AfterLabel::TearOff),
        ..Options::default()
    };
    comes_out_the_same(Language::Zpl, &page, &options);
    comes_out_the_same(Language::Escpos, &page, &options);
    comes_out_the_same(Language::Epl, &page, &options);
    comes_out_the_same(Language::Tspl, &page, &options);
    comes_out_the_same(Language::BrotherQl, &page, &options);
}

#[test]
fn copies_come_out_as_often_as_they_are_asked_for() {
    let page = sample();
    for language in [
        Language::Zpl,
        Language::Escpos,
        Language::Epl,
        Language::Tspl,
        Language::BrotherQl,
    ] {
        let options = Options {
            copies: 3,
            ..Options::default()
        };
        let bytes = encode(language, &page, &options);
        let labels = read(speaks(language), 203, page.width.max(8), &bytes);
        assert_eq!(labels.len(), 3, "{language:?}");
        for label in &labels {
            assert_eq!(label.errors, [] as [&str; 0], "{language:?}");
            assert!(label.image == labels[0].image && label.image.black() > 0);
        }
    }
}

/// Read by another engine (hayro), which shares nothing with the writer.
#[test]
fn a_pdf_page_is_the_same_dots_in_another_reader() {
    let mut page = Bitmap::new_white(812, 1218);
    for y in 100..900 {
        for x in (60..700).filter(|x| x / 7 % 2 == 0) {
            page.set_black(x, y);
        }
    }
    let options = Options {
        copies: 2,
        ..Options::default()
    };
    let file = encode(Language::Pdf, &page, &options);
    let media = Media {
        width_mm: 101.6,
        height_mm: 152.4,
        dpi: 203,
        threshold: 150,
    };
    let drawn = render_file(file, &Job::new(media, &LabelSettings::default())).unwrap();
    assert_eq!(drawn.len(), 2);
    for drawn in drawn {
        let read = drawn.bitmap().unwrap();
        assert!(*read == page, "{read:?} is not {page:?}");
    }
}

#[test]
fn a_zpl_page_is_right_after_a_document_that_turned_the_printer_upside_down() {
    let page = sample();
    let mut machine = Machine::new(SimOptions::new("test", Speaks::Zpl));
    let _ = machine.feed(
        b"^XA^POI^LH40,40^PW200^LL90^FO0,0^GFA,1,1,1,80^FS^XZ",
        Timestamp(0),
    );
    let _ = machine.feed(
        &encode(Language::Zpl, &page, &Options::default()),
        Timestamp(0),
    );
    let labels = machine.labels();
    assert_eq!(labels.len(), 2);
    assert!(labels[1].image == page);
}

#[test]
fn run_lengths_are_a_fraction_of_plain_hex() {
    let page = sample();
    let plain = page.bits.len() * 2;
    let acs = encode(Language::Zpl, &page, &Options::default()).len();
    assert!(acs * 3 < plain, "{acs} of {plain}");
}

/// A small label: frame, bars, a few dots; nothing that any real label holds.
fn sample() -> Bitmap {
    let mut page = Bitmap::new_white(100, 120);
    for x in 0..100 {
        page.set_black(x, 0);
        page.set_black(x, 119);
    }
    for y in 20..60 {
        for x in (10..90).filter(|x| 0b1011_0010_0110_1101_u32 >> (x % 16) & 1 == 1) {
            page.set_black(x, y);
        }
    }
    for i in 0..20 {
        page.set_black(40 + i, 80 + i);
    }
    page
}

#[test]
fn the_bytes_are_the_golden_ones() {
    let page = sample();
    let set = Options {
        darkness: Some(12),
        speed: Some(4),
        after_label: Some(AfterLabel::TearOff),
        offset: (3, -2),
        ..Options::default()
    };
    let brother = |media_mm| Options {
        dpi: 300,
        media_mm,
        ..Options::default()
    };
    let mut different = Vec::new();
    for (name, language, options) in [
        ("sample.zpl", Language::Zpl, Options::default()),
        ("sample-settings.zpl", Language::Zpl, set.clone()),
        ("sample.escpos", Language::Escpos, Options::default()),
        ("sample-settings.escpos", Language::Escpos, set.clone()),
        ("sample.epl", Language::Epl, Options::default()),
        ("sample-settings.epl", Language::Epl, set.clone()),
        ("sample.tspl", Language::Tspl, Options::default()),
        ("sample-settings.tspl", Language::Tspl, set.clone()),
        ("sample.bql", Language::BrotherQl, brother((62.0, 29.0))),
        (
            "sample-wide.bql",
            Language::BrotherQl,
            brother((102.0, 51.0)),
        ),
        ("sample.pwg", Language::Pwg, Options::default()),
        (
            "sample-gray.pwg",
            Language::Pwg,
            Options {
                gray: true,
                ..Options::default()
            },
        ),
    ] {
        let bytes = encode(language, &page, &options);
        if golden(name, &bytes) != bytes {
            different.push(name);
        }
    }
    assert!(
        different.is_empty(),
        "differ from tests/golden (UPDATE_GOLDEN=1 rewrites): {different:?}"
    );
}

/// Compressed bytes may differ between processors and zlib versions; what they hold may not.
#[test]
fn the_compressed_golden_files_hold_the_sample() {
    let page = sample();
    let z64 = Options {
        z64: true,
        ..Options::default()
    };
    let file = golden("sample-z64.zpl", &encode(Language::Zpl, &page, &z64));
    let labels = read(Speaks::Zpl, 203, page.width, &file);
    assert_eq!(labels.len(), 1);
    assert!(labels[0].image == page);

    let file = golden(
        "sample.png",
        &encode(Language::Png, &page, &Options::default()),
    );
    let picture = image::load_from_memory(&file).unwrap().to_luma8();
    assert_eq!(picture.dimensions(), (page.width, page.height));
    for (x, y, dot) in picture.enumerate_pixels() {
        assert_eq!(dot.0[0] == 0, page.is_black(x, y), "{x},{y}");
    }
}

/// The golden file, written first when `UPDATE_GOLDEN` is set; empty when there is none.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, bytes))
            .unwrap();
    }
    std::fs::read(&path).unwrap_or_default()
}
