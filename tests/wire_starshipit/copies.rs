//! Replace and clone, one test per word of the switches S15–S17.

use super::switches::now;
use super::*;

/// Replace and clone, with their replies and without: the copy is found, bought, and nothing else.
async fn copies(words: &[&str]) {
    let bench = Bench::with(words).await;
    let seed = Seed {
        reference: Some("PO-7".into()),
        ..Seed::number("SO-1")
    };
    let source = bench.order(seed);
    // Neighbours that must not be taken for copies.
    bench.order(Seed::number("SO-10"));
    let stranger = Seed {
        recipient: [("name".to_owned(), "Somebody Else".to_owned())].into(),
        ..Seed::number("SO-1-A")
    };
    bench.order(stranger);
    bench.print(source, false).await.unwrap();
    let main = &bench.main;

    let asked = now();
    let replied = bench.client.clone_order(main, source).await;
    let clones = bench.client.clones(main, "SO-1", &[source], asked).await;
    let clones = clones.unwrap();
    assert_eq!(clones.len(), 1, "{clones:?}");
    if let Ok(replied) = &replied {
        assert_eq!(replied.order_id, clones[0].order_id);
    }
    let clone = clones[0].order_id;
    bench.print(clone, false).await.unwrap();
    let known = [source, clone];
    let none = bench.client.clones(main, "SO-1", &known, asked).await;
    assert_eq!(none, Ok(Vec::new()));

    let asked = now();
    let replied = bench.client.replace(main, source).await;
    assert!(bench.get(source).await.archived);
    let twin = bench
        .client
        .live_twin(main, "SO-1", Some("PO-7"), source, asked)
        .await
        .unwrap()
        .unwrap();
    assert!(twin.order_id != clone && !twin.archived && !twin.is_printed());
    if let Ok(replied) = &replied {
        assert_eq!(replied.order_id, twin.order_id);
    }
    bench.print(twin.order_id, false).await.unwrap();
    assert_eq!(bench.sold(), 3);
    let lost = words.contains(&"S17=lost");
    assert_eq!(replied.is_err(), lost);
    assert_eq!((bench.calls("clone"), bench.calls("replace")), (1, 1));
}

#[tokio::test]
async fn s15_copy_with_the_same_number_is_found() {
    copies(&["S15=same"]).await;
    copies(&["S15=same", "S17=lost"]).await;
}

#[tokio::test]
async fn s15_copy_with_a_suffixed_number_is_found() {
    copies(&["S15=suffixed"]).await;
    copies(&["S15=suffixed", "S17=lost"]).await;
}

#[tokio::test]
async fn s15_copy_with_an_empty_number_is_found() {
    copies(&["S15=empty"]).await;
    copies(&["S15=empty", "S17=lost"]).await;
}

#[tokio::test]
async fn s16_archived_visible_by_number_is_found_as_archived_and_its_twin_too() {
    let bench = Bench::with(&["S16=yes"]).await;
    let seed = Seed {
        printed: true,
        archived: true,
        ..Seed::number("SO-1")
    };
    bench.order(seed);
    assert!(bench.find_one("SO-1").await.archived);
    copies(&["S16=yes", "S17=lost"]).await;
    copies(&["S16=yes", "S14=oldest", "S17=lost", "S9=none"]).await;
}

#[tokio::test]
async fn s16_archived_hidden_by_number_is_not_found_but_its_twin_is() {
    let bench = Bench::with(&["S16=no"]).await;
    let seed = Seed {
        printed: true,
        archived: true,
        ..Seed::number("SO-1")
    };
    let id = bench.order(seed);
    assert_eq!(bench.find("SO-1").await, FindResult::default());
    assert!(bench.get(id).await.archived);
    for number in ["S15=same", "S15=suffixed", "S15=empty"] {
        copies(&["S16=no", "S17=lost", number]).await;
    }
}

#[tokio::test]
async fn s17_copy_reply_sent_names_the_new_order() {
    copies(&["S17=sent"]).await;
}

#[tokio::test]
async fn s17_copy_reply_lost_is_unknown_and_the_look_finds_the_new_order() {
    let bench = Bench::with(&["S17=lost"]).await;
    let id = bench.order(Seed::number("SO-1"));
    bench.print(id, false).await.unwrap();
    assert_unknown(bench.client.clone_order(&bench.main, id).await);
    assert_unknown(bench.client.replace(&bench.main, id).await);
    copies(&["S17=lost"]).await;
}

#[tokio::test]
async fn a_packing_slip_is_a_document_of_its_own_and_buys_nothing() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("SO-1"));
    let nobody = bench
        .client
        .packing_slip(&bench.main, id + 1000, Priority::Scan)
        .await;
    assert!(nobody.is_err(), "{nobody:?}");
    let (meta, bytes) = bench
        .client
        .packing_slip(&bench.main, id, Priority::Scan)
        .await
        .unwrap();
    assert_eq!(meta.label_type, printstation::domain::remote::PACKING_SLIP);
    assert_eq!(meta.len as usize, bytes.len());
    assert!(bytes.starts_with(b"%PDF"));
    assert_eq!(bench.sold(), 0);
}
