//! What a scan finds: by number, reference, tracking number, in one account and in several.

use super::*;
use printstation::domain::Timestamp;
use printstation::sim::starshipit::{Account, Endpoint, Fault, FaultKind};

#[tokio::test]
async fn a_number_with_every_awkward_character_is_found() {
    let bench = Bench::with(&[]).await;
    for number in ["SO#1", "A B+C", "100%", "a/b?c=d&e", "x\"y'z", "..", "-"] {
        bench.order(Seed::number(number));
        assert_eq!(bench.find_one(number).await.number, number);
    }
}

#[tokio::test]
async fn a_number_is_found_whatever_its_case_and_never_by_a_part_of_it() {
    let bench = Bench::with(&[]).await;
    bench.order(Seed::number("So-100"));
    assert_eq!(bench.find_one("sO-100").await.number, "So-100");
    for other in ["SO-10", "SO-1000", "100"] {
        assert_eq!(bench.find(other).await, FindResult::default(), "{other}");
    }
}

#[tokio::test]
async fn a_reference_or_tracking_number_finds_the_order_when_no_number_does() {
    let bench = Bench::with(&[]).await;
    let referenced = |number: &str, reference: &str| Seed {
        reference: Some(reference.into()),
        ..Seed::number(number)
    };
    let by_reference = bench.order(referenced("SO-1", "PO-77"));
    bench.order(referenced("SO-2", "PO-771"));
    assert_eq!(bench.find_one("po-77").await.order_id, by_reference);
    let printed = bench.order(Seed::number("SO-3"));
    let (bought, _) = bench.print(printed, false).await.unwrap();
    let found = bench.find_one(&bought.tracking[0]).await;
    assert_eq!((found.order_id, found.is_printed()), (printed, true));

    // Only what is asked for.
    let accounts = [bench.main.clone()];
    let client = &bench.client;
    let numbers_only = client
        .find(&accounts, "PO-77", &[Lookup::OrderNumber], Priority::Scan)
        .await;
    assert_eq!(numbers_only, FindResult::default());
    let by = client
        .look_up(&accounts, Lookup::Reference, "PO-77", Priority::Scan)
        .await;
    assert_eq!((by.hits.len(), by.failures.len()), (1, 0));
    assert_eq!(by.hits[0].order_id, by_reference);
}

#[tokio::test]
async fn a_number_is_preferred_to_a_reference_of_another_order() {
    let bench = Bench::with(&[]).await;
    let numbered = bench.order(Seed::number("X-1"));
    bench.order(Seed {
        reference: Some("X-1".into()),
        ..Seed::number("SO-2")
    });
    assert_eq!(bench.find_one("X-1").await.order_id, numbered);
}

#[tokio::test]
async fn twenty_accounts_are_asked_at_once_and_a_broken_one_does_not_hide_the_others() {
    let mut options = options(&[]);
    options.accounts = Account::several(20);
    // One account of the client has a key that the service does not know.
    let bench = Bench::start(options, |settings| {
        settings.accounts[6].api_key = "forgotten".into();
    })
    .await;
    let all: Vec<AccountName> = bench
        .server
        .accounts()
        .iter()
        .map(|a| AccountName::from(a.name.as_str()))
        .collect();
    for account in ["account-3", "account-19"] {
        bench.order(Seed {
            account: account.into(),
            ..Seed::number("SO-1")
        });
    }
    let found = bench.client.find(&all, "SO-1", ALL, Priority::Scan).await;
    let accounts: Vec<&str> = found.hits.iter().map(|h| h.account.as_str()).collect();
    assert_eq!(accounts, ["account-3", "account-19"]);
    let [(failed, CallFailure::Refused { code, .. })] = &found.failures[..] else {
        panic!("{found:?}")
    };
    assert_eq!(
        (failed.as_str(), *code),
        ("account-7", Code::StarshipitUnauthorized)
    );
    assert_eq!(bench.sold(), 0);
}

#[tokio::test]
async fn an_account_that_is_not_configured_is_a_failure_of_its_own() {
    let bench = Bench::with(&[]).await;
    let nobody = AccountName::from("nobody");
    bench.order(Seed::number("SO-1"));
    let accounts = [nobody.clone(), bench.main.clone()];
    let found = bench
        .client
        .find(&accounts, "SO-1", ALL, Priority::Scan)
        .await;
    assert_eq!((found.hits.len(), found.failures.len()), (1, 1));
    assert_eq!(found.failures[0].0, nobody);
    let printed = bench
        .client
        .print(&nobody, 1, false, None, Priority::Scan)
        .await;
    assert_refused(printed, Code::AccountUnknown);
}

#[tokio::test]
async fn when_the_search_fails_the_hit_is_told_together_with_the_doubt() {
    let bench = Bench::with(&[]).await;
    bench.order(Seed::number("SO-1"));
    let fault = Fault::always(FaultKind::Html500, Some(Endpoint::Search));
    bench.server.set_faults(vec![fault]);
    let found = bench.find("SO-1").await;
    assert_eq!(
        (found.hits.len(), found.failures.len()),
        (1, 1),
        "{found:?}"
    );
    assert_eq!(bench.calls("search"), 3, "a search is tried three times");
}

#[tokio::test]
async fn when_the_direct_look_up_fails_the_search_finds_the_order() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    // Exactly the three tries of the look-up by number; the later read by id works.
    let fault = Fault::parse("html_500:3x:order").unwrap();
    bench.server.set_faults(vec![fault]);
    assert_eq!(bench.find_one("SO-1").await.order_id, id);
}

#[tokio::test]
async fn buying_does_not_change_the_fingerprint_and_another_address_does() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    let before = bench.get(id).await.fingerprint;
    assert_eq!(bench.find_one("SO-1").await.fingerprint, before);
    bench.print(id, false).await.unwrap();
    let after = bench.get(id).await.fingerprint;
    assert_eq!(
        after, before,
        "the rules chose courier and service at the purchase"
    );
    let deed = printstation::sim::starshipit::admin::Deed {
        address: [("street".to_owned(), "99 Other Street".to_owned())].into(),
        ..Default::default()
    };
    bench.server.alter("SO-1", deed).unwrap();
    assert_ne!(bench.get(id).await.fingerprint, after);
}

#[tokio::test]
async fn recent_prints_of_more_than_a_page_are_all_there() {
    let bench = Bench::with(&[]).await;
    for n in 0..260 {
        bench.order(Seed {
            printed: true,
            ..Seed::number(format!("SO-{n}"))
        });
    }
    let printed = bench
        .client
        .recently_printed(&bench.main, Timestamp(0))
        .await;
    let printed = printed.unwrap();
    assert_eq!(printed.len(), 260);
    assert!(printed.iter().all(|p| p.tracking.len() == 1));
}

#[tokio::test]
async fn a_real_limit_of_two_per_second_is_kept_without_a_single_429() {
    let mut options = options(&[]);
    options.requests_per_second = 2;
    let bench = Bench::start(options, |s| s.requests_per_second = 2).await;
    bench.order(Seed::number("SO-1"));
    let poll = {
        let (client, main) = (bench.client.clone(), bench.main.clone());
        tokio::spawn(async move {
            loop {
                let _ = client.probe(&main).await;
            }
        })
    };
    bench.ship("SO-1").await;
    poll.abort();
    let calls = bench.server.calls();
    assert!(calls.iter().all(|c| c.fate != "429"), "{calls:?}");
}
