//! The fault matrix: a simulated printer that misbehaves × when it does; what the station is told,
//! and how many labels came out.
//!
//! Promises checked in every cell: `NotStarted` only when no label can come out, `Printed` only
//! when it did, never two labels, and an end within the deadlines.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a broken helper is a failed test"
)]

use printstation::domain::{Bitmap, Code, PrintOutcome, Proof, Timestamp};
use printstation::printer::{
    Connection, Job, Language, Limits, PageBytes, PrintReport, Printer, Settings,
};
use printstation::sim::printer::{Fault, Options, Server, Speaks};
use std::net::SocketAddr;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Deadlines short enough for tests, in the same order as the real ones.
fn limits() -> Limits {
    Limits {
        status: Duration::from_millis(1000),
        identify: Duration::from_secs(4),
        progress: Duration::from_millis(1500),
        confirm: Duration::from_millis(2500),
        fin: Duration::from_millis(600),
        poll: Duration::from_millis(20),
        ..Limits::default()
    }
}

fn printer(addr: SocketAddr, language: Language) -> Printer {
    let connection = Connection::Tcp {
        host: addr.ip().to_string(),
        port: addr.port(),
    };
    let mut settings = Settings::new("label", connection);
    settings.language = language;
    settings.limits = limits();
    if language == Language::BrotherQl {
        settings.media_mm = (102.0, 152.0);
    }
    Printer::open(settings)
}

/// Languages, their printers and the best proof of each.
const LANGUAGES: [(Speaks, Language, Proof); 5] = [
    (Speaks::Zpl, Language::Zpl, Proof::Confirmed),
    (Speaks::Escpos, Language::Escpos, Proof::Accepted),
    (Speaks::Epl, Language::Epl, Proof::Accepted),
    (Speaks::Tspl, Language::Tspl, Proof::Accepted),
    (Speaks::BrotherQl, Language::BrotherQl, Proof::Confirmed),
];

/// Whether the label is this page: a Brother shows its whole head, the page between its margins.
fn is_page(label: &Bitmap, language: Language, page: &Bitmap) -> bool {
    if language != Language::BrotherQl {
        return label == page;
    }
    let left = label.width - 44 - 12 - page.width;
    let mut cut = Bitmap::new_white(page.width, label.height);
    for y in 0..label.height {
        for x in (0..page.width).filter(|x| label.is_black(left + x, y)) {
            cut.set_black(x, y);
        }
    }
    cut == *page && cut.black() == label.black()
}

async fn sim(speaks: Speaks) -> Server {
    start(Options {
        width_dots: 816,
        ..Options::new("sim", speaks)
    })
    .await
}

async fn start(options: Options) -> Server {
    Server::start(SocketAddr::from(([127, 0, 0, 1], 0)), options, None)
        .await
        .unwrap()
}

/// Noise, so that the label is too large for one packet in every encoding (about 100 kB).
fn page(seed: u32) -> Bitmap {
    let mut page = Bitmap::new_white(816, 600);
    let mut state = seed | 1;
    for byte in &mut page.bits {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *byte = state.to_le_bytes()[0];
    }
    page
}

fn job(page: Bitmap) -> Job {
    Job {
        order: "WEB-1".to_owned(),
        page: 1,
        of: 1,
        at: Timestamp(1_700_000_000_000),
        copies: 1,
        content: PageBytes::Picture(page),
    }
}

async fn print(printer: &Printer, page: Bitmap) -> PrintReport {
    tokio::time::timeout(PATIENCE, printer.print(job(page), || ()))
        .await
        .expect("print() ends by its own deadlines")
}

/// Bytes that page 7 takes on a printer that is known already, as the cells have it.
async fn size_of(speaks: Speaks, language: Language) -> u64 {
    let server = sim(speaks).await;
    let printer = printer(server.addr(), language);
    let mut before = 0;
    for page in [Bitmap::from_bits(8, 1, vec![0xff]).unwrap(), page(7)] {
        before = server.taken();
        let report = print(&printer, page).await;
        assert!(
            matches!(report.outcome, PrintOutcome::Printed { .. }),
            "{report:?}"
        );
    }
    server.wait_for_labels(2, PATIENCE).await.unwrap();
    server.taken() - before
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    BeforeFirstByte,
    MidLabel,
    LastByte,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_at_every_moment_ends_in_the_right_outcome_and_never_in_two_labels() {
    let mut cells = tokio::task::JoinSet::new();
    for (speaks, language, proof) in LANGUAGES {
        let size = size_of(speaks, language).await;
        for when in [When::BeforeFirstByte, When::MidLabel, When::LastByte] {
            for fault in [
                Fault::PaperOut,
                Fault::CoverOpen,
                Fault::Paused,
                Fault::RibbonOut,
                Fault::Jam,
                Fault::Slow {
                    bytes_per_s: 400_000,
                },
                Fault::CutAfter { bytes: 0 },
                Fault::Silent,
                Fault::StopReading { after: 0 },
                Fault::Offline,
            ] {
                // Receipt printers have no ribbon, Brothers no pause.
                if matches!(
                    (language, fault),
                    (Language::Escpos, Fault::RibbonOut) | (Language::BrotherQl, Fault::Paused)
                ) {
                    continue;
                }
                let after = match when {
                    When::BeforeFirstByte => 0,
                    When::MidLabel => size / 2,
                    When::LastByte => size - 1,
                };
                // A few at a time: most of a cell is waiting for its deadlines.
                if cells.len() >= 5 {
                    cells.join_next().await.unwrap().unwrap();
                }
                cells.spawn(cell((speaks, language, proof), fault, when, after));
            }
        }
    }
    while let Some(done) = cells.join_next().await {
        done.unwrap();
    }
}

async fn cell(
    (speaks, language, best): (Speaks, Language, Proof),
    fault: Fault,
    when: When,
    after: u64,
) {
    let name = format!("{language:?} {fault:?} {when:?}");
    let server = sim(speaks).await;
    let printer = printer(server.addr(), language);
    // A first label, so that the printer is known to answer and nothing is left to clear.
    let first = print(&printer, Bitmap::from_bits(8, 1, vec![0xff]).unwrap()).await;
    assert!(
        matches!(first.outcome, PrintOutcome::Printed { .. }),
        "{name}: {first:?}"
    );

    server.set_after(after, fault);
    let report = print(&printer, page(7)).await;
    let cured_labels = match &report.outcome {
        PrintOutcome::NotStarted { code, .. } => {
            let expected = match fault {
                Fault::PaperOut | Fault::RibbonOut => Code::PrinterMediaOut,
                // EPL2 knows no jam.
                Fault::Jam if language == Language::Epl => Code::PrinterMediaOut,
                Fault::CoverOpen | Fault::Jam => Code::PrinterCoverOpen,
                Fault::Paused => Code::PrinterPaused,
                _ => Code::PrinterOffline,
            };
            assert_eq!(*code, expected, "{name}");
            assert_eq!(when, When::BeforeFirstByte, "{name}: {report:?}");
            assert_eq!(report.first_byte, None, "{name}");
            // Another printer may take it: cured, this one brings no second copy (checked below).
            let spare = sim(speaks).await;
            let other = self::printer(spare.addr(), language);
            let stood_in = print(&other, page(7)).await;
            assert!(
                matches!(stood_in.outcome, PrintOutcome::Printed { .. }),
                "{name}: {stood_in:?}"
            );
            assert_eq!(spare.labels().len(), 1, "{name}");
            0..=0
        }
        PrintOutcome::InDoubt { bytes, .. } => {
            assert_ne!(when, When::BeforeFirstByte, "{name}: {report:?}");
            assert!(
                *bytes > 0 && report.first_byte.is_some(),
                "{name}: {report:?}"
            );
            // What it held was cancelled, so that a copy is not the second one.
            match (fault, when) {
                (
                    Fault::PaperOut
                    | Fault::CoverOpen
                    | Fault::Paused
                    | Fault::RibbonOut
                    | Fault::Jam,
                    _,
                ) => 0..=0,
                _ => 0..=1,
            }
        }
        PrintOutcome::Printed { proof } => {
            assert!(matches!(fault, Fault::Slow { .. }), "{name}: {report:?}");
            assert_eq!(*proof, best, "{name}");
            1..=1
        }
    };
    // Cured: what was in the printer comes out, what was not does not.
    server.clear();
    let status = tokio::time::timeout(PATIENCE, printer.cured()).await;
    assert!(
        status.is_ok_and(|status| status.ready),
        "{name}: not ready after its cure"
    );
    let labels = server.labels();
    assert!(
        cured_labels.contains(&(labels.len() - 1)),
        "{name}: {} labels",
        labels.len() - 1
    );
    for label in labels.iter().skip(1) {
        assert!(
            is_page(&label.image, language, &page(7)),
            "{name}: a damaged label came out"
        );
    }
    // And the next label is whole, whatever the last one left behind.
    let next = print(&printer, page(9)).await;
    assert!(
        matches!(next.outcome, PrintOutcome::Printed { .. }),
        "{name}: {next:?}"
    );
    let last = server.labels().last().unwrap().image.clone();
    assert!(is_page(&last, language, &page(9)), "{name}");
}

/// Printers that count their labels, and languages whose copies follow one another.
#[tokio::test]
async fn copies_are_counted_and_the_first_of_two_does_not_stand_for_both() {
    for (speaks, language, proof) in LANGUAGES {
        let server = sim(speaks).await;
        let printer = printer(server.addr(), language);
        let twice = |page| Job {
            copies: 2,
            ..job(page)
        };
        let report = printer.print(twice(page(7)), || ()).await;
        assert_eq!(
            report.outcome,
            PrintOutcome::Printed { proof },
            "{language:?}"
        );
        let labels = server.wait_for_labels(2, PATIENCE).await.unwrap();
        assert_eq!(labels.len(), 2, "{language:?}");
        assert!(is_page(&labels[1].image, language, &page(7)));
        if language != Language::BrotherQl {
            continue;
        }
        server.set_after(report.bytes * 3 / 4, Fault::PaperOut);
        let report = printer.print(twice(page(9)), || ()).await;
        assert!(
            matches!(report.outcome, PrintOutcome::InDoubt { .. }),
            "{report:?}"
        );
        assert_eq!(server.labels().len(), 3);
    }

    let server = sim(Speaks::Zpl).await;
    let printer = printer(server.addr(), Language::Zpl);
    let bytes = b"^XA^FO20,20^GB300,300,300^FS^XZ\n".to_vec();
    let of_the_courier = || Job {
        copies: 2,
        content: PageBytes::Raw {
            language: Language::Zpl,
            bytes: bytes.clone(),
        },
        ..job(page(1))
    };
    let report = printer.print(of_the_courier(), || ()).await;
    let confirmed = PrintOutcome::Printed {
        proof: Proof::Confirmed,
    };
    assert_eq!(report.outcome, confirmed);
    assert_eq!(server.labels().len(), 2);
    server.set_after(bytes.len() as u64 + 4, Fault::PaperOut);
    let report = printer.print(of_the_courier(), || ()).await;
    assert!(
        matches!(report.outcome, PrintOutcome::InDoubt { .. }),
        "{report:?}"
    );
    assert_eq!(server.labels().len(), 3);
}

#[tokio::test]
async fn a_printer_that_is_off_is_offline_and_cured_when_it_is_on() {
    let server = sim(Speaks::Zpl).await;
    let printer = printer(server.addr(), Language::Zpl);
    server.set(Fault::Offline);
    let mut watch = printer.watch();
    tokio::time::timeout(PATIENCE, async {
        while printer.status().await.ready {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(watch.borrow_and_update().code, Some(Code::PrinterOffline));
    let report = print(&printer, page(1)).await;
    assert!(matches!(
        report.outcome,
        PrintOutcome::NotStarted {
            code: Code::PrinterOffline,
            ..
        }
    ));
    server.clear();
    let status = tokio::time::timeout(PATIENCE, printer.cured())
        .await
        .unwrap();
    assert_eq!(
        (status.ready, status.code, status.back_channel),
        (true, None, Some(true))
    );
    assert_eq!(server.labels().len(), 0);
}

#[tokio::test]
async fn a_silent_printer_prints_with_the_weakest_proof_and_is_asked_once() {
    let server = sim(Speaks::Zpl).await;
    server.set(Fault::Silent);
    let printer = printer(server.addr(), Language::Zpl);
    for seed in 1..=3 {
        let report = print(&printer, page(seed)).await;
        assert_eq!(report.outcome, PrintOutcome::Printed { proof: Proof::Sent });
    }
    let labels = server.wait_for_labels(3, PATIENCE).await.unwrap();
    assert_eq!(labels.len(), 3);
    // ~HS and the odometer at the first label: once, and once more after clearing what an earlier
    // run may have left half in it.
    assert_eq!(server.questions(), 4);
    assert_eq!(printer.status().await.back_channel, Some(false));
}

#[tokio::test]
async fn a_printer_that_does_not_count_its_labels_accepts_them() {
    let server = start(Options {
        counts: false,
        ..Options::new("sim", Speaks::Zpl)
    })
    .await;
    let printer = printer(server.addr(), Language::Zpl);
    let report = print(&printer, page(1)).await;
    assert_eq!(
        report.outcome,
        PrintOutcome::Printed {
            proof: Proof::Accepted
        }
    );
}

#[tokio::test]
async fn a_printer_that_is_mute_while_open_is_not_taken_for_one_without_a_back_channel() {
    let server = start(Options {
        is_mute_when_unfit: true,
        ..Options::new("sim", Speaks::Zpl)
    })
    .await;
    let printer = printer(server.addr(), Language::Zpl);
    assert!(printer.status().await.ready);
    server.set(Fault::CoverOpen);
    let report = print(&printer, page(1)).await;
    assert!(
        matches!(report.outcome, PrintOutcome::NotStarted { .. }),
        "{report:?}"
    );
    server.clear();
    assert!(
        tokio::time::timeout(PATIENCE, printer.cured())
            .await
            .unwrap()
            .ready
    );
    let report = print(&printer, page(1)).await;
    assert_eq!(
        report.outcome,
        PrintOutcome::Printed {
            proof: Proof::Confirmed
        }
    );
    assert_eq!(server.labels().len(), 1);
}

#[tokio::test]
async fn a_half_label_in_the_printer_does_not_end_up_under_the_next_one() {
    for (speaks, language, _) in LANGUAGES {
        let options = Options {
            keeps_open_label: true,
            width_dots: 816,
            ..Options::new("sim", speaks)
        };
        let server = start(options).await;
        let printer = printer(server.addr(), language);
        server.set(Fault::CutAfter { bytes: 20_000 });
        let report = print(&printer, page(1)).await;
        assert!(
            matches!(report.outcome, PrintOutcome::InDoubt { .. }),
            "{language:?} {report:?}"
        );
        let report = print(&printer, page(2)).await;
        assert!(
            matches!(report.outcome, PrintOutcome::Printed { .. }),
            "{language:?} {report:?}"
        );
        let image = server.labels().last().unwrap().image.clone();
        match language {
            // Cancelled: nothing of it is ever seen.
            Language::Zpl | Language::Epl | Language::Tspl | Language::BrotherQl => {
                assert!(is_page(&image, language, &page(2)), "{language:?}");
            }
            // Cannot be cancelled: its band is filled up with white, and the label follows whole.
            _ => {
                let top = image.height - 600;
                assert!(image.bits[(top * 102) as usize..] == page(2).bits);
            }
        }
    }
}

#[tokio::test]
async fn other_labels_in_the_printer_stop_the_page_before_it_starts() {
    let server = start(Options {
        tape_mm: (62, 0),
        ..Options::new("sim", Speaks::BrotherQl)
    })
    .await;
    let printer = printer(server.addr(), Language::BrotherQl);
    let report = print(&printer, page(1)).await;
    let PrintOutcome::NotStarted { code, detail } = &report.outcome else {
        panic!("{report:?}")
    };
    assert_eq!(*code, Code::PrinterMediaOut);
    assert!(detail.contains("roll of 62 mm"), "{detail}");
    assert_eq!(server.labels().len(), 0);
}

#[tokio::test]
async fn labels_much_too_short_stop_the_page_before_it_starts_and_the_right_ones_let_it_go_on() {
    let server = start(Options {
        height_dots: 400,
        ..Options::new("sim", Speaks::Zpl)
    })
    .await;
    let printer = printer(server.addr(), Language::Zpl);
    let report = print(&printer, page(1)).await;
    let PrintOutcome::NotStarted { code, detail } = &report.outcome else {
        panic!("{report:?}")
    };
    assert_eq!(*code, Code::PrinterMediaOut);
    assert!(
        detail.contains("50 mm") && detail.contains("150 mm"),
        "{detail}"
    );
    assert_eq!(server.labels().len(), 0);
    assert!(!printer.status().await.ready);
}

#[tokio::test]
async fn labels_a_little_too_short_are_told_and_stop_nothing() {
    let server = start(Options {
        height_dots: 1000,
        ..Options::new("sim", Speaks::Zpl)
    })
    .await;
    let printer = printer(server.addr(), Language::Zpl);
    let status = printer.status().await;
    assert!(status.ready, "{status:?}");
    assert!(status.detail.contains("125 mm"), "{status:?}");
    assert_eq!(status.warnings, [status.detail.as_str()]);
}

#[tokio::test]
async fn a_printer_that_counts_tells_how_worn_it_is_and_what_it_warns_of() {
    let server = start(Options {
        is_dirty: true,
        width_dots: 816,
        ..Options::new("sim", Speaks::Zpl)
    })
    .await;
    let printer = printer(server.addr(), Language::Zpl);
    // Nothing is known of it yet: nothing is asked.
    printer.check_up().await;
    assert_eq!(
        (printer.watch().borrow().wear, server.questions()),
        (None, 0)
    );
    print(&printer, page(1)).await;
    printer.check_up().await;
    let status = printer.watch().borrow().clone();
    let wear = status.wear.expect("it counts");
    assert_eq!((wear.total_cm, wear.head_clean_cm), (Some(1015), Some(15)));
    assert_eq!((wear.head_cm, wear.roll_cm), (None, None));
    assert_eq!(status.warnings, ["its print head needs cleaning"]);
    assert!(status.ready);
    // A label costs no question more for it.
    let asked = server.questions();
    print(&printer, page(2)).await;
    let label = server.questions() - asked;
    printer.check_up().await;
    let asked = server.questions();
    print(&printer, page(3)).await;
    assert_eq!(server.questions() - asked, label);
}

#[tokio::test]
async fn a_printer_that_counts_nothing_or_answers_nothing_is_never_asked_how_worn_it_is() {
    for (counts, fault) in [(false, None), (true, Some(Fault::Silent))] {
        let server = start(Options {
            counts,
            ..Options::new("sim", Speaks::Zpl)
        })
        .await;
        if let Some(fault) = fault {
            server.set(fault);
        }
        let printer = printer(server.addr(), Language::Zpl);
        print(&printer, page(1)).await;
        let asked = server.questions();
        printer.check_up().await;
        assert_eq!(server.questions(), asked, "{counts} {fault:?}");
        assert_eq!(printer.watch().borrow().wear, None);
    }
}

#[tokio::test]
async fn a_large_label_is_packed_for_a_printer_that_is_known_to_unpack_it() {
    for (counts, is_packed) in [(false, false), (true, true)] {
        let server = start(Options {
            counts,
            width_dots: 816,
            ..Options::new("sim", Speaks::Zpl)
        })
        .await;
        let printer = printer(server.addr(), Language::Zpl);
        let first = print(&printer, page(1)).await;
        let second = print(&printer, page(1)).await;
        assert_eq!(
            second.bytes < first.bytes,
            is_packed,
            "{first:?} {second:?}"
        );
        let labels = server.wait_for_labels(2, PATIENCE).await.unwrap();
        assert!(labels.iter().all(|label| label.image == page(1)));
    }
}

#[tokio::test]
async fn a_label_under_way_keeps_its_place_while_others_wait() {
    let server = sim(Speaks::Zpl).await;
    let printer = std::sync::Arc::new(printer(server.addr(), Language::Zpl));
    let jobs: Vec<_> = (1..=4)
        .map(|seed| {
            let printer = std::sync::Arc::clone(&printer);
            tokio::spawn(async move { print(&printer, page(seed)).await })
        })
        .collect();
    for job in jobs {
        let report = job.await.unwrap();
        assert_eq!(
            report.outcome,
            PrintOutcome::Printed {
                proof: Proof::Confirmed
            }
        );
    }
    assert_eq!(server.labels().len(), 4);
    assert!(server.labels().iter().all(|label| label.errors.is_empty()));
}

#[tokio::test]
async fn auto_finds_the_language_by_asking_and_names_the_fix_when_nobody_answers() {
    for (speaks, language) in [
        (Speaks::Zpl, Language::Zpl),
        (Speaks::Escpos, Language::Escpos),
        (Speaks::Tspl, Language::Tspl),
        (Speaks::Epl, Language::Epl),
    ] {
        let server = sim(speaks).await;
        let printer = printer(server.addr(), Language::Auto);
        assert_eq!(printer.identify().await, Ok(language));
        let report = print(&printer, page(1)).await;
        assert!(
            matches!(report.outcome, PrintOutcome::Printed { .. }),
            "{report:?}"
        );
        assert_eq!(
            server.wait_for_labels(1, PATIENCE).await.unwrap()[0].errors,
            [] as [&str; 0]
        );
    }
    let server = sim(Speaks::Zpl).await;
    server.set(Fault::Silent);
    let error = printer(server.addr(), Language::Auto)
        .identify()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("set its language to"), "{error}");
}

#[tokio::test]
async fn a_zpl_document_goes_through_untouched_and_only_to_a_zpl_printer() {
    let document = b"^XA^PW50^LL40^FO3,3^GFA,2,2,1,FF81^FS^PQ2^XZ".to_vec();
    let raw = || Job {
        content: PageBytes::Raw {
            language: Language::Zpl,
            bytes: document.clone(),
        },
        ..job(page(1))
    };
    let server = sim(Speaks::Escpos).await;
    let report = printer(server.addr(), Language::Escpos)
        .print(raw(), || ())
        .await;
    assert!(matches!(
        report.outcome,
        PrintOutcome::NotStarted {
            code: Code::ConfigInvalid,
            ..
        }
    ));
    assert_eq!(server.connections(), 0);

    let server = sim(Speaks::Zpl).await;
    let report = printer(server.addr(), Language::Zpl)
        .print(raw(), || ())
        .await;
    assert_eq!(
        report.outcome,
        PrintOutcome::Printed {
            proof: Proof::Confirmed
        }
    );
    let labels = server.wait_for_labels(2, PATIENCE).await.unwrap();
    assert_eq!(labels[0].bytes, document);
}

#[tokio::test]
async fn the_first_byte_is_told_when_it_is_taken() {
    let server = sim(Speaks::Zpl).await;
    let printer = printer(server.addr(), Language::Zpl);
    let (tx, rx) = tokio::sync::oneshot::channel();
    let report = printer
        .print(job(page(1)), move || tx.send(()).unwrap())
        .await;
    rx.await.unwrap();
    assert!(report.first_byte.unwrap() <= report.total);
    assert!(report.bytes > 1000);
}

#[tokio::test]
async fn the_simulated_printer_writes_its_labels_as_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = Options {
        width_dots: 816,
        ..Options::new("bench", Speaks::Zpl)
    };
    let server = Server::start(addr, options, Some(dir.path().to_owned()))
        .await
        .unwrap();
    let report = print(&printer(server.addr(), Language::Zpl), page(5)).await;
    assert!(matches!(report.outcome, PrintOutcome::Printed { .. }));
    server.wait_for_labels(1, PATIENCE).await.unwrap();
    let picture = image::open(dir.path().join("bench-00001.png"))
        .unwrap()
        .to_luma8();
    let page = page(5);
    assert_eq!(picture.dimensions(), (816, 600));
    assert!(
        picture
            .enumerate_pixels()
            .all(|(x, y, p)| (p.0[0] == 0) == page.is_black(x, y))
    );
}
