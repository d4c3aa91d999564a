//! Documents as couriers make them, drawn for a head: the right part, the right way, readable.
//!
//! Over 500 lines: one behaviour after the other, sharing the helpers above them.

mod label_support;

use label_support::{Label, MEDIA, Sheet, decode, job, one_page, pdf, real_labels, square, stream};
use printstation::domain::{Code, PageRole};
use printstation::label::{
    Crop, Job, LabelError, Media, PageContent, PageSelect, ReadBackResult, RenderedPage,
    render_file,
};

fn render(sheets: &[Sheet], job: &Job) -> Result<Vec<RenderedPage>, LabelError> {
    render_file(pdf(sheets), job)
}

fn only(mut pages: Vec<RenderedPage>) -> RenderedPage {
    assert_eq!(pages.len(), 1);
    pages.remove(0)
}

fn four_by_six(code: &str) -> Sheet {
    Sheet::new(101.6, 152.4, vec![Label::new(5.0, 5.0, 90.0, 140.0, code)])
}

fn invoice() -> Sheet {
    Sheet::new(
        210.0,
        297.0,
        vec![Label::new(10.0, 10.0, 190.0, 277.0, "INVOICE")],
    )
}

fn crop(page: &str, box_mm: [f64; 4]) -> Crop {
    Crop {
        courier: "Test".into(),
        page: page.into(),
        box_mm,
        label_type: None,
    }
}

fn with_crops(crops: Vec<Crop>) -> Job {
    Job {
        courier: "Test Post".into(),
        crops,
        ..job()
    }
}

// ---- refusals ----

#[test]
fn a_blank_page_is_unreadable() {
    let error = render(
        &[four_by_six("A1"), Sheet::new(101.6, 152.4, vec![])],
        &job(),
    )
    .unwrap_err();
    assert_eq!(error.code, Code::LabelUnreadable);
    assert!(error.detail.contains("page 2 is blank"), "{error}");
}

#[test]
fn an_almost_black_page_is_unreadable() {
    let black = one_page("0 0 288 432", "", stream("", b"5 5 278 422 re f"), vec![]);
    let error = render_file(black, &job()).unwrap_err();
    assert_eq!(
        (error.code, error.detail.as_str()),
        (Code::LabelUnreadable, "page 1 is almost black")
    );
}

#[test]
fn a_99_by_200_label_does_not_fit_until_a_rule_says_how() {
    let sheet = Sheet::new(99.0, 200.0, vec![Label::new(1.0, 1.0, 97.0, 198.0, "DHL1")]);
    let error = render(std::slice::from_ref(&sheet), &job()).unwrap_err();
    assert_eq!(error.code, Code::LabelDoesNotFit);
    assert!(error.detail.contains("97 x 198 mm"), "{error}");

    let rule = with_crops(vec![crop("99x200", [0.0, 0.0, 99.0, 200.0])]);
    let page = only(render(std::slice::from_ref(&sheet), &rule).unwrap());
    assert!((page.scale - 150.0 / 198.0).abs() < 0.01, "{}", page.scale);
    assert_eq!(decode(page.bitmap().unwrap()), ["DHL1"]);

    let long = Media {
        height_mm: 200.0,
        ..MEDIA
    };
    let page = only(
        render(
            &[sheet],
            &Job {
                media: long,
                ..job()
            },
        )
        .unwrap(),
    );
    assert_eq!(page.scale, 1.0);
}

#[test]
fn a_two_up_sheet_does_not_fit_without_a_rule() {
    let labels = vec![
        Label::new(5.0, 5.0, 95.0, 140.0, "ONE1"),
        Label::new(110.0, 150.0, 95.0, 140.0, "TWO2"),
    ];
    let error = render(&[Sheet::new(210.0, 297.0, labels)], &job()).unwrap_err();
    assert_eq!(error.code, Code::LabelDoesNotFit);
}

#[test]
fn a_sheet_alone_does_not_fit_but_a_declared_invoice_only_belongs_elsewhere() {
    let error = render(&[invoice()], &job()).unwrap_err();
    assert_eq!(error.code, Code::LabelDoesNotFit);
    let declared = Job {
        label_type: "CommercialInvoice".into(),
        ..job()
    };
    let page = only(render(&[invoice()], &declared).unwrap());
    assert_eq!(
        (page.role, page.content),
        (PageRole::Document, PageContent::Elsewhere)
    );
}

#[test]
fn a_packing_slip_on_a_sheet_is_shrunk_onto_the_roll_as_a_document() {
    let slip = Job {
        label_type: "packing-slip".into(),
        ..job()
    };
    let page = only(render(&[invoice()], &slip).unwrap());
    assert_eq!(page.role, PageRole::Document);
    assert!(
        page.bitmap().is_some() && page.scale < 0.6,
        "{}",
        page.scale
    );
    assert_eq!(page.warnings.len(), 1, "{:?}", page.warnings);
}

#[test]
fn a_label_with_another_number_is_held_only_where_the_policy_holds() {
    let tracking = vec!["33ABC9999999".to_owned()];
    let warn = Job {
        tracking: tracking.clone(),
        ..job()
    };
    let page = only(render(&[four_by_six("33ABC1234567")], &warn).unwrap());
    assert_eq!(page.read_back, ReadBackResult::NotFound);
    assert_eq!(page.warnings.len(), 1);

    let hold = Job {
        tracking,
        hold: true,
        ..job()
    };
    let error = render(&[four_by_six("33ABC1234567")], &hold).unwrap_err();
    assert_eq!(error.code, Code::LabelMismatch);
}

#[test]
fn a_barcode_that_the_heads_dots_have_lost_is_told() {
    let coarse = Media { dpi: 60, ..MEDIA };
    let page = only(
        render(
            &[four_by_six("33ABC1234567")],
            &Job {
                media: coarse,
                ..job()
            },
        )
        .unwrap(),
    );
    assert!(page.codes.is_empty(), "{:?}", page.codes);
    let told = page
        .warnings
        .iter()
        .any(|w| w.contains("60 dpi") && w.contains("33ABC1234567"));
    assert!(told, "{:?}", page.warnings);
    let held = Job {
        media: coarse,
        tracking: vec!["33ABC1234567".to_owned()],
        hold: true,
        ..job()
    };
    let error = render(&[four_by_six("33ABC1234567")], &held).unwrap_err();
    assert_eq!(error.code, Code::LabelMismatch);
    assert!(
        error.detail.contains("cannot be read at 60 dpi"),
        "{error:?}"
    );
    let fine = only(render(&[four_by_six("33ABC1234567")], &job()).unwrap());
    assert!(fine.warnings.is_empty(), "{:?}", fine.warnings);
}

#[test]
fn media_that_cannot_exist_is_refused_and_not_drawn() {
    for (width_mm, dpi) in [
        (0.0, 203),
        (f64::NAN, 203),
        (-5.0, 203),
        (1e9, 203),
        (100.0, 0),
        (2000.0, 65_535),
    ] {
        let media = Media {
            width_mm,
            dpi,
            ..MEDIA
        };
        let error = render(&[four_by_six("A1")], &Job { media, ..job() }).unwrap_err();
        assert_eq!(error.code, Code::LabelDoesNotFit, "{width_mm} {dpi}");
    }
}

#[test]
fn a_page_that_the_document_does_not_have_is_refused() {
    let beyond = Job {
        pages: PageSelect::Only(7),
        ..job()
    };
    assert_eq!(
        render(&[four_by_six("A1")], &beyond).unwrap_err().code,
        Code::LabelUnreadable
    );
}

// ---- where it goes ----

#[test]
fn a_label_in_each_corner_of_a4_fills_the_media_upright_and_turned() {
    for turned in [false, true] {
        for (right, bottom) in [(false, false), (true, false), (false, true), (true, true)] {
            let (w, h) = if turned { (140.0, 90.0) } else { (90.0, 140.0) };
            let mut label = Label::new(
                if right { 205.0 - w } else { 5.0 },
                if bottom { 292.0 - h } else { 5.0 },
                90.0,
                140.0,
                "CORNER42",
            );
            label.turned = turned;
            let page = only(render(&[Sheet::new(210.0, 297.0, vec![label])], &job()).unwrap());
            let case = format!("turned {turned}, right {right}, bottom {bottom}");
            assert_eq!(page.role, PageRole::Label, "{case}");
            assert_eq!((page.scale, page.turned), (1.0, turned), "{case}");
            let bitmap = page.bitmap().unwrap();
            assert_eq!((bitmap.width, bitmap.height), (799, 1199));
            assert_eq!(decode(bitmap), ["CORNER42"], "{case}");
            // Turned clockwise on the sheet and once more here: upside down, whole and readable.
            assert_eq!(square(bitmap), (turned, turned), "{case}");
            let ink: u64 = bitmap.bits.iter().map(|b| u64::from(b.count_ones())).sum();
            let mm2 = ink as f64 / (203.0_f64 / 25.4).powi(2);
            assert!(
                mm2 > 300.0 && mm2 < 1500.0,
                "{case}: {mm2} mm² of ink, nothing lost, nothing added"
            );
        }
    }
}

#[test]
fn rotate_turns_the_page_as_a_viewer_shows_it() {
    // The square is drawn top left; /Rotate turns clockwise.
    for (rotate, expected) in [
        (0, (false, false)),
        (90, (true, false)),
        (180, (true, true)),
        (270, (false, true)),
    ] {
        let mut sheet = Sheet::new(100.0, 100.0, vec![Label::new(2.0, 2.0, 96.0, 96.0, "ROT")]);
        sheet.rotate = rotate;
        let page = only(render(&[sheet], &job()).unwrap());
        let bitmap = page.bitmap().unwrap();
        let (x, y) = square_place(bitmap);
        // 100 mm centred on 150 mm: judged from the middle of the label.
        assert_eq!((x > 400, y > 600), expected, "/Rotate {rotate}");
        assert_eq!(decode(bitmap), ["ROT"]);
    }
}

fn square_place(bitmap: &printstation::domain::Bitmap) -> (u32, u32) {
    let side = 56;
    for y in (0..bitmap.height - side).step_by(4) {
        for x in (0..bitmap.width - side).step_by(4) {
            let solid = (y..y + side)
                .step_by(5)
                .all(|y| (x..x + side).step_by(5).all(|x| bitmap.is_black(x, y)));
            if solid {
                return (x, y);
            }
        }
    }
    panic!("no square");
}

#[test]
fn a_landscape_page_with_rotate_90_prints_portrait_and_unturned() {
    let mut label = Label::new(3.0, 3.0, 95.0, 145.0, "PORTRAIT1");
    label.turned = true;
    let mut sheet = Sheet::new(152.4, 101.6, vec![label]);
    sheet.rotate = 270;
    let page = only(render(&[sheet], &job()).unwrap());
    assert!(!page.turned);
    assert!((page.width_mm - 101.6).abs() < 0.1);
    assert_eq!(square(page.bitmap().unwrap()), (false, false));
}

#[test]
fn what_lies_outside_the_crop_box_is_not_drawn() {
    let labels = vec![
        Label::new(10.0, 10.0, 90.0, 140.0, "INSIDE"),
        Label::new(110.0, 150.0, 95.0, 140.0, "OUTSIDE"),
    ];
    let mut sheet = Sheet::new(210.0, 297.0, labels);
    sheet.crop = Some([5.0, 5.0, 105.0, 155.0]);
    let page = only(render(&[sheet], &job()).unwrap());
    assert!((page.width_mm - 100.0).abs() < 0.1);
    assert_eq!(decode(page.bitmap().unwrap()), ["INSIDE"]);
}

#[test]
fn a_4x6_label_to_the_edge_is_shrunk_and_not_cut() {
    for dpi in [203, 300] {
        let sheet = Sheet::new(
            101.6,
            152.4,
            vec![Label::new(0.0, 0.0, 101.6, 152.4, "EDGE")],
        );
        let media = Media { dpi, ..MEDIA };
        let page = only(render(&[sheet], &Job { media, ..job() }).unwrap());
        assert!(page.scale > 0.98 && page.scale < 0.99, "{}", page.scale);
        let bitmap = page.bitmap().unwrap();
        assert_eq!(decode(bitmap), ["EDGE"]);
        // All four sides of the frame are there.
        let (w, h) = (bitmap.width, bitmap.height);
        for (x, y) in [(w / 2, 4), (w / 2, h - 5)] {
            let around = y.saturating_sub(4)..=y + 4;
            assert!(
                around.clone().any(|y| bitmap.is_black(x, y)),
                "{dpi}: no line at {x},{y}"
            );
        }
        for (x, y) in [(2, h / 2), (w - 3, h / 2)] {
            let around = x.saturating_sub(5)..=x + 5;
            assert!(
                around.clone().any(|x| bitmap.is_black(x, y)),
                "{dpi}: no line at {x},{y}"
            );
        }
    }
}

#[test]
fn a_shrunk_label_brings_nothing_of_its_neighbours() {
    // Content of 105 x 150 must shrink; the rule's box ends beside another label.
    let labels = vec![
        Label::new(0.0, 0.0, 104.0, 150.0, "MINE"),
        Label::new(105.0, 0.0, 104.0, 150.0, "NEIGHBOUR"),
    ];
    let rule = with_crops(vec![crop("A4", [0.0, 0.0, 104.5, 297.0])]);
    let page = only(render(&[Sheet::new(210.0, 297.0, labels)], &rule).unwrap());
    assert!(page.scale < 1.0);
    assert_eq!(decode(page.bitmap().unwrap()), ["MINE"]);
}

// ---- several pages ----

#[test]
fn pages_come_in_order_and_one_can_be_drawn_alone() {
    let sheets = [
        four_by_six("PAGE1"),
        four_by_six("PAGE2"),
        four_by_six("PAGE3"),
    ];
    let pages = render(&sheets, &job()).unwrap();
    assert_eq!(pages.iter().map(|p| p.index).collect::<Vec<_>>(), [0, 1, 2]);
    for (page, code) in pages.iter().zip(["PAGE1", "PAGE2", "PAGE3"]) {
        assert_eq!(
            page.codes
                .iter()
                .map(|c| c.text.as_str())
                .collect::<Vec<_>>(),
            [code]
        );
    }
    let second = Job {
        pages: PageSelect::Only(1),
        ..job()
    };
    let alone = only(render(&sheets, &second).unwrap());
    assert_eq!(alone.content, pages[1].content);
    assert_eq!((alone.index, alone.source), (1, 1));
}

#[test]
fn two_rules_make_two_labels_of_a_sheet_and_an_empty_place_makes_none() {
    let rules = with_crops(vec![
        crop("A4", [0.0, 0.0, 105.0, 148.5]),
        crop("A4", [105.0, 148.5, 105.0, 148.5]),
    ]);
    let first = Label::new(5.0, 5.0, 95.0, 140.0, "ONE1");
    let second = Label::new(110.0, 150.0, 95.0, 140.0, "TWO2");
    let both = Sheet::new(210.0, 297.0, vec![first, second.clone()]);
    let pages = render(&[both.clone(), four_by_six("THREE3")], &rules).unwrap();
    let codes: Vec<&str> = pages.iter().map(|p| p.codes[0].text.as_str()).collect();
    assert_eq!(codes, ["ONE1", "TWO2", "THREE3"]);
    assert_eq!(
        pages
            .iter()
            .map(|p| (p.index, p.source))
            .collect::<Vec<_>>(),
        [(0, 0), (1, 0), (2, 1)]
    );

    let lower = Sheet::new(210.0, 297.0, vec![second]);
    let page = only(render(&[lower], &rules).unwrap());
    assert_eq!((page.index, page.codes[0].text.as_str()), (1, "TWO2"));
}

#[test]
fn an_invoice_among_labels_goes_elsewhere_and_prints_on_its_own_paper() {
    let sheets = [four_by_six("LABEL1"), invoice()];
    let pages = render(&sheets, &job()).unwrap();
    assert_eq!(pages[0].role, PageRole::Label);
    assert!(pages[0].bitmap().is_some());
    assert_eq!(
        (pages[1].role, &pages[1].content),
        (PageRole::Document, &PageContent::Elsewhere)
    );

    let office = Media {
        width_mm: 210.0,
        height_mm: 297.0,
        ..MEDIA
    };
    let job = Job {
        media: office,
        pages: PageSelect::Only(1),
        ..job()
    };
    let page = only(render(&sheets, &job).unwrap());
    assert_eq!((page.role, page.scale), (PageRole::Document, 1.0));
    assert_eq!(decode(page.bitmap().unwrap()), ["INVOICE"]);
}

// ---- read-back ----

#[test]
fn the_tracking_number_is_found_whatever_way_the_label_lies() {
    for turned in [false, true] {
        let mut label = Label::new(5.0, 5.0, 90.0, 90.0, "33ABC1234567");
        label.turned = turned;
        let job = Job {
            tracking: vec!["33 ABC 1234567".into()],
            hold: true,
            ..job()
        };
        let page = only(render(&[Sheet::new(101.6, 152.4, vec![label])], &job).unwrap());
        assert_eq!(page.read_back, ReadBackResult::Matched);
    }
}

// ---- bitmaps and printer languages ----

#[test]
fn a_200_dpi_bitmap_goes_dot_for_dot_onto_a_203_dpi_head() {
    let modules = label_support::modules("BITMAP1");
    let picture = image::GrayImage::from_fn(600, 700, |x, y| {
        let bar = (x / 2)
            .checked_sub(50)
            .and_then(|m| modules.get(m as usize))
            == Some(&1);
        image::Luma([if bar && (200..300).contains(&y) {
            0
        } else {
            255
        }])
    });
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let page = only(render_file(png.into_inner(), &job()).unwrap());
    let bitmap = page.bitmap().unwrap();
    let row = (0..bitmap.height)
        .find(|y| bitmap.row(*y).iter().any(|b| *b != 0))
        .unwrap();
    let dots: Vec<bool> = (0..bitmap.width).map(|x| bitmap.is_black(x, row)).collect();
    let start = dots.iter().position(|b| *b).unwrap();
    let expected: Vec<bool> = modules.iter().flat_map(|m| [*m == 1; 2]).collect();
    let end = expected.iter().rposition(|b| *b).unwrap();
    assert_eq!(dots[start..=start + end], expected[..=end]);
    assert_eq!(page.warnings.len(), 1, "its size was guessed");
}

#[test]
fn printer_commands_go_through_untouched() {
    let zpl = b"^XA^PW812^LL1218^FO50,50^BCN,100^FD>:33ABC1>5234567^FS^XZ\r\n".to_vec();
    let job = Job {
        tracking: vec!["33ABC1234567".into()],
        hold: true,
        ..job()
    };
    let page = only(render_file(zpl.clone(), &job).unwrap());
    assert_eq!(page.read_back, ReadBackResult::Matched);
    match page.content {
        PageContent::Raw { language, bytes } => {
            assert_eq!((language.as_str(), bytes), ("zpl", zpl))
        }
        other => panic!("{other:?}"),
    }
}

// ---- real labels ----

#[test]
fn real_labels_read_at_203_dpi_as_at_300() {
    // scripts/labels compares with other engines at 600 dpi; this is what needs no tools.
    for file in real_labels() {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".pdf") {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        let at = |dpi| {
            let media = Media {
                width_mm: 106.0,
                height_mm: 204.0,
                dpi,
                threshold: 150,
            };
            render_file(bytes.clone(), &Job { media, ..job() })
        };
        let (coarse, fine) = match (at(203), at(300)) {
            (Ok(coarse), Ok(fine)) => (coarse, fine),
            (Err(coarse), Err(fine)) => {
                assert_eq!(
                    coarse.code, fine.code,
                    "{name}: resolution decides nothing else"
                );
                println!("{name}: {coarse}");
                continue;
            }
            (coarse, fine) => panic!("{name}: {coarse:?} at 203 dpi, {fine:?} at 300"),
        };
        assert_eq!(coarse.len(), fine.len());
        for (coarse, fine) in coarse.iter().zip(&fine) {
            for code in &fine.codes {
                // Its Code 128 has modules of less than two dots at 203 dpi: no engine reads it.
                let too_fine = name.starts_with("tforce") && code.text == "123";
                assert!(
                    too_fine || coarse.codes.contains(code),
                    "{name}: {code:?} is lost at 203"
                );
            }
        }
    }
}

#[test]
fn real_printer_commands_are_recognised() {
    for file in real_labels() {
        let folder = file
            .parent()
            .unwrap()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if folder != "zpl" && folder != "epl" {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        match render_file(bytes.clone(), &job()) {
            Ok(pages) => {
                let sent: Vec<u8> = pages
                    .iter()
                    .flat_map(|page| match &page.content {
                        PageContent::Raw { language, bytes } => {
                            assert_eq!(language.as_str(), folder);
                            bytes.clone()
                        }
                        other => panic!("{}: {other:?}", file.display()),
                    })
                    .collect();
                assert!(bytes.starts_with(&sent), "{}", file.display());
            }
            Err(error) => assert_eq!(
                error.code,
                Code::LabelDoesNotFit,
                "{}: {error}",
                file.display()
            ),
        }
    }
}
