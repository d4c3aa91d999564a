//! The ledger in good times: what is committed is found, in order, within its limits.

use crate::support::{NOW, act, commit, held, open, printed, record, settings, settled};
use printstation::domain::{OrderId, Record, State, Timestamp};
use printstation::ledger::{Ledger, LedgerError, Query};
use std::sync::Arc;

#[test]
fn what_is_committed_is_found_at_once_and_after_a_clean_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, first) = open(dir.path());
    assert!(first.orders.is_empty() && first.quarantined.is_none());
    commit(
        &ledger,
        vec![record(held(1, 1)), Record::Act(Box::new(act(7, 1)))],
    );
    commit(&ledger, vec![record(printed(2, 1))]);
    let find = |ledger: &Ledger| {
        for (alias, id) in [("web-1", 1), ("ref-2", 2), ("track-2", 2)] {
            let found = ledger.find(alias);
            assert_eq!(found.orders.len(), 1, "{alias}");
            assert_eq!(found.orders[0].id, held(id, 1).id, "{alias}");
        }
        assert!(ledger.find("web-3").orders.is_empty());
    };
    find(&ledger);
    settled(&ledger);
    find(&ledger);
    assert!(ledger.find("web-3").complete);
    ledger.close().unwrap();

    let (ledger, again) = open(dir.path());
    assert!(again.clean);
    assert_eq!(again.orders, [held(1, 1).into()]);
    assert_eq!(again.acts, [act(7, 1)]);
    assert_eq!(again.highest_act, 7);
    settled(&ledger);
    find(&ledger);
    assert_eq!(ledger.get(&held(2, 1).id).unwrap(), printed(2, 1));
    assert_eq!(ledger.stats().orders, 2);
    assert_eq!(ledger.stats().open, 1);
    assert_eq!(ledger.health(), []);
}

#[test]
fn a_second_station_cannot_open_the_same_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let error = Ledger::open(settings(dir.path()), NOW).unwrap_err();
    assert!(
        error.to_string().contains("in use by another station"),
        "{error}"
    );
    drop(ledger);
    open(dir.path());
}

#[test]
fn a_record_that_recovery_would_not_believe_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    commit(&ledger, vec![record(held(1, 5))]);
    for seq in [4, 5] {
        let refused = ledger.commit(vec![record(printed(1, seq))]).wait_blocking();
        assert!(
            matches!(refused, Err(LedgerError::Stale { known: 5, .. })),
            "{refused:?}"
        );
    }
    let mut nameless = held(2, 1);
    nameless.id = OrderId("x".repeat(300));
    let refused = ledger.commit(vec![record(nameless)]).wait_blocking();
    assert!(
        matches!(refused, Err(LedgerError::Unfit { .. })),
        "{refused:?}"
    );
    let mut long = held(3, 1);
    long.fingerprint = "x".repeat(300_000);
    let refused = ledger
        .commit(vec![record(long), record(held(4, 1))])
        .wait_blocking();
    assert!(
        matches!(refused, Err(LedgerError::Unfit { .. })),
        "{refused:?}"
    );
    assert_eq!(ledger.get(&held(4, 1).id), None, "all or nothing");
    assert_eq!(ledger.get(&held(1, 5).id), Some(held(1, 5)));
}

#[test]
fn a_full_ledger_refuses_new_work_and_never_work_that_goes_on_or_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut small = settings(dir.path());
    small.max_open_bytes = 20 << 10;
    small.journal_bytes = 16 << 10;
    let (ledger, _) = Ledger::open(small.clone(), NOW).unwrap();
    let mut last = 0;
    let refused = loop {
        last += 1;
        match ledger
            .commit(vec![Record::Act(Box::new(act(last, 1)))])
            .wait_blocking()
        {
            Ok(()) => assert!(last < 1_000, "no bound"),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, LedgerError::QueueFull), "{refused}");
    assert!(last > 10);
    // Acts that are under way can open their order, go on, and end.
    let mut advanced = act(1, 2);
    advanced.order = Some(held(1, 1).id);
    commit(
        &ledger,
        vec![Record::Act(Box::new(advanced)), record(held(1, 1))],
    );
    commit(&ledger, vec![record(printed(1, 2))]);
    commit(
        &ledger,
        vec![Record::Bench {
            seq: 1,
            paused: true,
            closed: printstation::domain::Timestamp(7),
            ahead: printstation::domain::AheadDay::default(),
        }],
    );
    for id in 1..last {
        let id = act(id, 0).id;
        commit(&ledger, vec![Record::ActEnded { id, seq: 9 }]);
    }
    settled(&ledger);
    commit(&ledger, vec![Record::Act(Box::new(act(last, 1)))]);
    // Orders that no act opened are bounded as well.
    let refused = (100..1_000).find_map(|n| {
        let order = record(held(n, 1));
        ledger.commit(vec![order]).wait_blocking().err()
    });
    assert!(
        matches!(refused, Some(LedgerError::QueueFull)),
        "{refused:?}"
    );
    drop(ledger);
    let (_, again) = Ledger::open(small, NOW).unwrap();
    assert_eq!(again.acts, [act(last, 1)]);
    assert!(again.paused);
    assert_eq!(again.closed, printstation::domain::Timestamp(7));
}

#[test]
fn listings_are_newest_first_page_by_page_over_journal_and_index() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    for n in 1..=40 {
        commit(&ledger, vec![record(printed(n, 1))]);
    }
    settled(&ledger);
    ledger.close().unwrap();
    let (ledger, _) = open(dir.path());
    settled(&ledger);
    for n in 41..=50 {
        commit(&ledger, vec![record(held(n, 1))]);
    }
    // An old order becomes the newest.
    let mut reopened = held(3, 2);
    reopened.updated = Timestamp(NOW.0 + 1_000);
    commit(&ledger, vec![record(reopened)]);
    let expected: Vec<u64> = [3]
        .into_iter()
        .chain((1..=50).rev().filter(|n| *n != 3))
        .collect();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = ledger.query(&Query {
            limit: 7,
            after: after.clone(),
            ..Query::default()
        });
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        seen.extend(page.iter().map(|o| u64::try_from(o.order_id).unwrap()));
    }
    assert_eq!(seen, expected);
    let count = |query: Query| {
        let query = Query {
            limit: 100,
            ..query
        };
        ledger.query(&query).len()
    };
    let open = Query {
        state: Some(State::Held),
        ..Query::default()
    };
    assert_eq!(count(open), 11);
    let text = Query {
        text: Some("tRACK-4".to_owned()),
        ..Query::default()
    };
    assert_eq!(count(text), 11);
    let gone = Query {
        after: Some(OrderId::from("gone")),
        ..Query::default()
    };
    assert_eq!(count(gone), 0);
}

#[test]
fn commits_from_many_threads_share_flushes_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let ledger = ledger.clone();
            scope.spawn(move || {
                let waiting: Vec<_> = (1..=20)
                    .map(|seq| ledger.commit(vec![record(held(thread, seq))]))
                    .collect();
                for commit in waiting {
                    commit.wait_blocking().unwrap();
                }
            });
        }
    });
    assert!(ledger.stats().flushes < 160, "{:?}", ledger.stats());
    drop(ledger);
    let (_, again) = open(dir.path());
    let expected: Vec<_> = (0..8).map(|n| Arc::new(held(n, 20))).collect();
    assert_eq!(again.orders, expected);
}

#[tokio::test]
async fn a_commit_can_be_awaited_and_a_closed_ledger_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    ledger.commit(vec![record(held(1, 1))]).await.unwrap();
    let other = ledger.clone();
    tokio::task::spawn_blocking(|| ledger.close())
        .await
        .unwrap()
        .unwrap();
    let refused = other.commit(vec![record(held(2, 1))]).await;
    assert!(matches!(refused, Err(LedgerError::Closed)), "{refused:?}");
}

#[test]
fn an_order_of_many_pieces_survives_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let (ledger, _) = open(dir.path());
    let mut long = printed(1, 1);
    long.fingerprint = "0123456789".repeat(3_000);
    let mut short = printed(1, 2);
    short.updated = long.updated;
    commit(&ledger, vec![record(long.clone())]);
    settled(&ledger);
    ledger.close().unwrap();
    let (ledger, _) = open(dir.path());
    settled(&ledger);
    assert_eq!(ledger.get(&long.id).as_ref(), Some(&long));
    commit(&ledger, vec![record(short.clone())]);
    ledger.close().unwrap();
    let (ledger, _) = open(dir.path());
    settled(&ledger);
    assert_eq!(ledger.get(&long.id), Some(short));
    assert_eq!(ledger.stats().orders, 1);
    assert_eq!(ledger.health(), []);
}
