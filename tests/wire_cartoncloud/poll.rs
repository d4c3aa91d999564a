//! The poll: nothing is skipped, whatever pages, clocks and tokens do.

use super::*;
use printstation::cartoncloud::Filter;
use printstation::cartoncloud::watch::{Watch, poll_once};
use printstation::domain::Timestamp;
use std::collections::BTreeSet;

/// A wall clock that was never set.
const UNSET: Timestamp = Timestamp(0);

fn filter() -> Filter {
    Filter {
        statuses: vec!["PACKED".into(), "DISPATCHED".into()],
        customers: Vec::new(),
    }
}

impl Bench {
    /// One round: the references it told.
    async fn round(&self, watch: &mut Watch, filter: &Filter) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let polled = poll_once(&self.client, watch, filter, UNSET).await.unwrap();
            told.extend(polled.orders.into_iter().map(|o| o.number));
            if !polled.more {
                told.sort();
                return told;
            }
        }
    }

    fn many(&self, count: usize) -> BTreeSet<String> {
        let names: BTreeSet<String> = (0..count).map(|n| format!("WEB-{n:03}")).collect();
        for name in &names {
            self.packed(name);
        }
        names
    }
}

#[tokio::test]
async fn the_first_round_looks_back_by_their_clock_not_by_ours() {
    let bench = Bench::with(&[]).await;
    bench.packed("WEB-1");
    bench.order(Seed::reference("NOT-PACKED"));
    let mut watch = Watch::default();
    assert_eq!(bench.round(&mut watch, &filter()).await, ["WEB-1"]);
    let mark = watch.mark().unwrap();
    assert!(bench.client.clock().unwrap().since(mark) < Duration::from_secs(60));
    // Again within the overlap, and still after a restart.
    let mut watch = Watch::load(&watch.store());
    assert_eq!(watch.mark(), Some(mark));
    assert_eq!(bench.round(&mut watch, &filter()).await, ["WEB-1"]);
}

#[tokio::test]
async fn an_order_that_jumps_over_packed_is_seen() {
    for stamp in ["packed-stamp=set", "packed-stamp=absent"] {
        let bench = Bench::with(&["packed=skipped", stamp]).await;
        let id = bench.order(Seed::reference("WEB-1"));
        let mut watch = Watch::default();
        assert!(bench.round(&mut watch, &filter()).await.is_empty());
        bench.server.set_status(&id, "PACKED").unwrap();
        assert_eq!(bench.view("WEB-1").status, "DISPATCHED");
        assert_eq!(bench.round(&mut watch, &filter()).await, ["WEB-1"]);
    }
}

#[tokio::test]
async fn a_tenant_that_refuses_to_search_by_status_is_asked_once_and_filtered_here() {
    let bench = Bench::with(&["status-search=no"]).await;
    bench.packed("WEB-1");
    bench.order(Seed::reference("NOT-PACKED"));
    let mut watch = Watch::default();
    for _ in 0..3 {
        assert_eq!(bench.round(&mut watch, &filter()).await, ["WEB-1"]);
    }
    assert_eq!(bench.calls("order-search"), 4, "one refusal, three rounds");
}

#[tokio::test]
async fn customers_are_told_apart_by_code_name_or_id() {
    let bench = Bench::with(&[]).await;
    let customers = bench.server.customers();
    for customer in &customers {
        bench.order(Seed {
            customer: customer.code.clone(),
            status: Some("PACKED".into()),
            ..Seed::reference(format!("OF-{}", customer.code))
        });
    }
    let one = &customers[1];
    for word in [&one.id, &one.code, &one.name] {
        let only = Filter {
            customers: vec![word.clone()],
            ..filter()
        };
        let told = bench.round(&mut Watch::default(), &only).await;
        assert_eq!(told, [format!("OF-{}", one.code)], "{word}");
    }
}

#[tokio::test]
async fn pages_are_read_to_their_end_under_every_setting() {
    for switches in [
        &["sort=created"][..],
        &["sort=modified-desc"],
        &["paging-headers=absent"],
        &["header-case=lower"],
        &["numbers=strings", "status-search=no"],
    ] {
        let bench = Bench::with(switches).await;
        let names = bench.many(120);
        let told = bench.round(&mut Watch::default(), &filter()).await;
        assert_eq!(
            told.iter().collect::<BTreeSet<_>>(),
            names.iter().collect(),
            "{switches:?}"
        );
        assert_eq!(told.len(), 120, "{switches:?}: each once");
    }
}

#[tokio::test]
async fn a_token_that_expires_between_two_pages_costs_nothing() {
    let bench = Bench::with(&[]).await;
    let names = bench.many(120);
    let mut watch = Watch::default();
    let first = poll_once(&bench.client, &mut watch, &filter(), UNSET)
        .await
        .unwrap();
    bench.faults(&["token_expired:1x:order-search"]);
    let rest = bench.round(&mut watch, &filter()).await;
    assert_eq!(first.orders.len() + rest.len(), names.len());
    assert!(first.more && watch.mark().is_some());
    assert_eq!(bench.calls("token"), 2);
}

#[tokio::test]
async fn what_drifts_past_a_page_comes_with_the_next_round() {
    // The first page uses one of them up without effect.
    for drift in ["page_skips:2x:order-search", "page_repeats:2x:order-search"] {
        let bench = Bench::with(&[]).await;
        let names = bench.many(120);
        bench.faults(&[drift]);
        let mut watch = Watch::default();
        let first = bench.round(&mut watch, &filter()).await;
        assert_eq!(watch.mark(), None, "{drift}: the round was not whole");
        assert_eq!(
            first.len(),
            first.iter().collect::<BTreeSet<_>>().len(),
            "{drift}"
        );
        let second = bench.round(&mut watch, &filter()).await;
        assert_eq!(second.len(), names.len(), "{drift}");
        assert!(watch.mark().is_some());
    }
}

#[tokio::test]
async fn a_page_that_fails_leaves_the_mark_and_the_next_round_tells_all() {
    let bench = Bench::with(&[]).await;
    let names = bench.many(120);
    let mut watch = Watch::default();
    let first = poll_once(&bench.client, &mut watch, &filter(), UNSET)
        .await
        .unwrap();
    assert!(first.more);
    bench.faults(&["error_503:always:order-search"]);
    let failed = poll_once(&bench.client, &mut watch, &filter(), UNSET).await;
    assert!(
        matches!(failed, Err(CallFailure::Unknown { .. })),
        "{failed:?}"
    );
    assert_eq!(watch.mark(), None);
    bench.faults(&[]);
    assert_eq!(bench.round(&mut watch, &filter()).await.len(), names.len());
}
