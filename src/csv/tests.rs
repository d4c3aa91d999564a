//! Lines, exactly once, whatever is cut.

use super::*;
use crate::domain::sale::SaleLink;
use crate::domain::{Party, Timestamp, Writeback, WritebackState};

fn dispatch(n: u32, number: &str, tracking: &[&str]) -> Dispatch {
    Dispatch {
        order: "cc:1-2".into(),
        number: number.into(),
        account: "main".into(),
        sale: Some(SaleLink {
            numeric_id: Some("77".into()),
            customer: Party {
                code: "TEA".into(),
                ..Party::default()
            },
            ..SaleLink::default()
        }),
        carrier: "AusPost".into(),
        shipped: Timestamp(1),
        documents: Vec::new(),
        job: Writeback {
            n,
            sink: "csv".into(),
            tracking: tracking.iter().map(|t| (*t).to_owned()).collect(),
            supersedes: Vec::new(),
            state: WritebackState::Pending,
            attempts: 0,
            overwrite: false,
            handle: None,
            trouble: None,
            since: Timestamp(1),
            at: Timestamp(1),
        },
    }
}

/// 2026-11-21T23:30Z, which is the 22nd in Brisbane.
const LATE: i64 = 1_795_303_800_000;

fn csv(dir: &std::path::Path) -> Csv {
    let settings = Settings {
        dir: dir.join("out"),
        timezone: Some("Australia/Brisbane".into()),
    };
    Csv::new(settings, Arc::new(|| Timestamp(LATE)))
}

fn text(dir: &std::path::Path) -> String {
    std::fs::read_to_string(dir.join("out/writeback-2026-11-22.csv")).unwrap()
}

const DONE: Delivery = Delivery::Done { handle: None };

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_retry_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let sink = csv(dir.path());
    std::fs::File::create(dir.path().join("out")).unwrap();
    let result = sink.deliver(&dispatch(1, "WEB-1", &["T1"])).await;
    let Delivery::Retry {
        unreachable: true,
        why,
        ..
    } = result
    else {
        panic!("{result:?}")
    };
    assert!(why.contains("out"), "{why}");
    std::fs::remove_file(dir.path().join("out")).unwrap();
    assert_eq!(sink.deliver(&dispatch(1, "WEB-1", &["T1"])).await, DONE);
}

#[tokio::test]
async fn a_job_has_one_line_even_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let sink = csv(dir.path());
        for n in [1, 2, 1, 12] {
            assert_eq!(
                sink.deliver(&dispatch(n, "WEB-1", &["T1", "T2"])).await,
                DONE
            );
        }
    }
    assert_eq!(
        text(dir.path()),
        "id,order,numeric_id,customer,account,carrier,tracking,replaces,written\r\n\
         cc:1-2#1,WEB-1,77,TEA,main,AusPost,\"T1,T2\",,2026-11-21T23:30:00.000Z\r\n\
         cc:1-2#2,WEB-1,77,TEA,main,AusPost,\"T1,T2\",,2026-11-21T23:30:00.000Z\r\n\
         cc:1-2#12,WEB-1,77,TEA,main,AusPost,\"T1,T2\",,2026-11-21T23:30:00.000Z\r\n"
    );
}

#[tokio::test]
async fn a_line_that_was_acknowledged_yesterday_is_not_written_today() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        csv(dir.path())
            .deliver(&dispatch(1, "WEB-1", &["T1"]))
            .await,
        DONE
    );
    let settings = Settings {
        dir: dir.path().join("out"),
        timezone: None,
    };
    let later = Csv::new(settings, Arc::new(|| Timestamp(LATE + 86_400_000)));
    assert_eq!(later.deliver(&dispatch(1, "WEB-1", &["T1"])).await, DONE);
    assert_eq!(
        std::fs::read_dir(dir.path().join("out")).unwrap().count(),
        1
    );
}

#[tokio::test]
async fn wherever_a_cut_ends_the_file_the_line_is_there_once_and_whole_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let sink = csv(dir.path());
    sink.deliver(&dispatch(1, "a \"b\", c", &["T1"])).await;
    sink.deliver(&dispatch(2, "a \"b\", c", &["T2", "T3"]))
        .await;
    let whole = text(dir.path());
    let path = dir.path().join("out/writeback-2026-11-22.csv");
    for cut in 0..=whole.len() {
        std::fs::File::create(&path)
            .unwrap()
            .write_all(&whole.as_bytes()[..cut])
            .unwrap();
        let sink = csv(dir.path());
        for (n, tracking) in [(1, vec!["T1"]), (2, vec!["T2", "T3"])] {
            let job = dispatch(n, "a \"b\", c", &tracking);
            assert_eq!(sink.deliver(&job).await, DONE);
        }
        assert_eq!(text(dir.path()), whole, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_name_that_comes_again_with_another_number_is_another_line() {
    let dir = tempfile::tempdir().unwrap();
    for tracking in ["T1", "T2", "T1", "T2"] {
        let job = dispatch(1, "WEB-1", &[tracking]);
        assert_eq!(csv(dir.path()).deliver(&job).await, DONE);
    }
    assert_eq!(text(dir.path()).lines().count(), 3);
}

#[test]
fn formulas_and_line_breaks_are_made_harmless() {
    for (bad, good) in [
        ("=1+1", "'=1+1"),
        ("  @SUM(A1)", "'  @SUM(A1)"),
        ("-2", "'-2"),
        ("+61", "'+61"),
        ("\t=x", "' =x"),
        ("a\r\nb", "a  b"),
        ("WEB-1", "WEB-1"),
    ] {
        assert_eq!(harmless(bad), good);
    }
}

use std::io::Write as _;
