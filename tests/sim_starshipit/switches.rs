//! One test per switch: its default and every other word.
//!
//! Longer than most files so that all switches can be read beside each other.

use crate::{Bench, details, pdfs};
use printstation::sim::starshipit::admin::Seed;
use printstation::sim::starshipit::{Account, Options, Server};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

fn order(number: &str) -> Value {
    json!({ "order": {
        "order_number": number,
        "destination": {
            "name": "Pat Example", "street": "12 Sample Street", "suburb": "Carlton",
            "state": "VIC", "post_code": "3053", "country": "Australia",
        },
        "packages": [{ "weight": 0.8, "height": 0.1, "width": 0.2, "length": 0.3 }],
    }})
}

fn parcels(n: usize) -> Seed {
    Seed {
        parcels: vec![Some(1.0); n],
        ..Seed::number("WEB-1")
    }
}

#[tokio::test]
async fn s1_a_number_that_exists_makes_a_second_order_or_is_refused_or_finds_the_first() {
    for (word, status, made) in [
        ("new-order", 200, 2),
        ("refuse", 200, 1),
        ("conflict-409", 409, 1),
        ("existing", 200, 1),
    ] {
        let bench = Bench::with(&[&format!("S1={word}")]).await;
        let first = bench.post("/api/orders", order("A")).await;
        let sent = bench
            .send(Method::POST, "/api/orders", Some(order("A")))
            .await
            .unwrap();
        assert_eq!(sent.0, StatusCode::from_u16(status).unwrap(), "{word}");
        assert_eq!(bench.server.order_numbers().len(), made, "{word}");
        let same = sent.1["order"]["order_id"] == first["order"]["order_id"];
        match word {
            "new-order" => assert!(sent.1["success"] == true && !same),
            "existing" => assert!(sent.1["success"] == true && same),
            _ => assert_eq!(details(&sent.1), "Order number A already exists"),
        }
    }
}

#[tokio::test]
async fn s2_a_second_print_repeats_the_label_or_is_refused_or_sells_again() {
    for (word, sold) in [("same-label", 1), ("refuse", 1), ("new-consignment", 2)] {
        let bench = Bench::with(&[&format!("S2={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let first = bench.print(id).await;
        let second = bench.print(id).await;
        assert_eq!(bench.server.sales().len(), sold, "{word}");
        match word {
            "same-label" => assert_eq!(first, second),
            "refuse" => assert!(details(&second).contains("already been printed")),
            _ => assert_ne!(first["tracking_numbers"], second["tracking_numbers"]),
        }
        let again = json!({ "order_id": id, "reprint": true });
        let again = bench.post("/api/orders/shipment", again).await;
        assert_eq!(again["success"], true);
        assert_eq!(
            bench.server.sales().len(),
            sold,
            "reprint sells under {word}"
        );
    }
}

#[tokio::test]
async fn s3_tracking_numbers_come_per_parcel_or_once_or_with_nulls_or_late() {
    for word in ["per-parcel", "one", "nulls", "late"] {
        let bench = Bench::with(&[&format!("S3={word}")]).await;
        let id = bench.order(parcels(3));
        let reply = bench.print(id).await;
        let numbers = reply["tracking_numbers"].as_array().unwrap().clone();
        let sold = json!(bench.server.sales()[0].tracking_numbers);
        let path = format!("/api/orders?order_id={id}");
        let shown = bench.get(&path).await["order"]["packages"].clone();
        match word {
            "per-parcel" => {
                assert_eq!(json!(numbers), sold);
                assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2]);
                assert_eq!(shown[2]["tracking_number"], numbers[2]);
            }
            "one" => {
                assert_eq!(numbers.len(), 1);
                assert_eq!(shown[2]["tracking_number"], numbers[0]);
            }
            "nulls" => {
                assert_eq!(numbers[1..], [Value::Null, Value::Null]);
                assert!(numbers[0].is_string());
                assert_eq!(shown[1]["tracking_number"], Value::Null);
            }
            _ => {
                assert!(numbers.is_empty());
                assert_eq!(shown[0]["tracking_number"], Value::Null);
                assert_eq!(
                    pdfs(&reply).len(),
                    1,
                    "the label is there before its number is told"
                );
                let seen = printstation::sim::starshipit::admin::Deed {
                    tracking: Some(Vec::new()),
                    ..Default::default()
                };
                bench.server.alter("WEB-1", seen).unwrap();
                let later = bench.get(&path).await["order"]["packages"].clone();
                assert_eq!(later[1]["tracking_number"], sold[1]);
            }
        }
    }
}

#[tokio::test]
async fn s3_late_numbers_appear_by_themselves_after_the_delay() {
    let mut options = Options {
        requests_per_second: 0,
        ..Options::default()
    };
    options.switches.apply("S3=late").unwrap();
    options.tracking_delay = std::time::Duration::from_millis(1);
    let bench = Bench::start(options).await;
    let id = bench.order(Seed::number("A"));
    bench.print(id).await;
    let path = format!("/api/orders?order_id={id}");
    let wait = async {
        while bench.get(&path).await["order"]["packages"][0]["tracking_number"].is_null() {}
    };
    let deadline = std::time::Duration::from_secs(30);
    tokio::time::timeout(deadline, wait)
        .await
        .expect("the number never came");
}

#[tokio::test]
async fn s4_labels_are_one_document_or_one_entry_per_parcel() {
    for (word, entries, pages) in [("one-pdf", 1, 3), ("per-parcel", 3, 1)] {
        let bench = Bench::with(&[&format!("S4={word}")]).await;
        let id = bench.order(parcels(3));
        let reply = bench.print(id).await;
        let documents = pdfs(&reply);
        assert_eq!(documents.len(), entries, "{word}");
        assert_eq!(reply["label_types"], json!(vec!["BlankLabels"; entries]));
        for pdf in documents {
            assert_eq!(crate::labels::pages(&pdf), pages, "{word}");
        }
    }
}

#[tokio::test]
async fn s5_a_business_failure_is_sent_as_200_or_400_or_an_html_page() {
    for (word, status) in [("200", 200), ("400", 400), ("html-500", 500)] {
        let bench = Bench::with(&[&format!("S5={word}")]).await;
        let path = "/api/orders?order_number=NOPE";
        let (got, body) = bench.send(Method::GET, path, None).await.unwrap();
        assert_eq!(got.as_u16(), status);
        match word {
            "html-500" => assert!(body.as_str().unwrap().contains("<html>")),
            _ => assert_eq!(details(&body), "Unable to find order number: NOPE"),
        }
    }
}

#[tokio::test]
async fn s6_create_can_say_no_although_the_order_was_made() {
    for (word, success) in [("off", true), ("soft-failure", false)] {
        let bench = Bench::with(&[&format!("S6={word}")]).await;
        let reply = bench.post("/api/orders", order("A")).await;
        assert_eq!(reply["success"], success);
        assert_eq!(reply["errors"].is_array(), !success);
        let id = reply["order"]["order_id"].as_i64().unwrap();
        assert_eq!(
            bench.get(&format!("/api/orders?order_id={id}")).await["success"],
            true
        );
    }
}

#[tokio::test]
async fn s7_the_list_is_under_data_orders_or_order_or_orders() {
    for (word, path) in [
        ("data-orders", "/data/orders"),
        ("order", "/order"),
        ("orders", "/orders"),
    ] {
        let bench = Bench::with(&[&format!("S7={word}")]).await;
        bench.order(Seed::number("A"));
        let reply = bench.get("/api/orders?status=Unshipped").await;
        let list = reply.pointer(path).and_then(Value::as_array).unwrap();
        assert_eq!(list[0]["order_number"], "A");
        assert_eq!(list[0]["carrier_id"], -1, "lists carry carrier_id");
        assert_eq!(reply["total_records"], 1);
    }
}

#[tokio::test]
async fn s8_no_courier_is_minus_one_or_text() {
    for (word, none) in [("int-then-code", json!(-1)), ("code", json!("None"))] {
        let bench = Bench::with(&[&format!("S8={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let path = format!("/api/orders?order_id={id}");
        assert_eq!(bench.get(&path).await["order"]["carrier"], none);
        bench.print(id).await;
        assert_eq!(bench.get(&path).await["order"]["carrier"], "PlainLabel");
    }
}

#[tokio::test]
async fn s9_dates_have_seven_digits_and_a_zone_or_none() {
    for (word, zone) in [("z", "Z"), ("none", "")] {
        let bench = Bench::with(&[&format!("S9={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let order = bench.get(&format!("/api/orders?order_id={id}")).await["order"].clone();
        let date = order["order_date"].as_str().unwrap().to_owned();
        let (_, fraction) = date.split_once('.').unwrap();
        assert_eq!(fraction.len(), 7 + zone.len(), "{date}");
        assert!(fraction.ends_with(zone) && fraction[..7].bytes().all(|b| b.is_ascii_digit()));
    }
}

#[tokio::test]
async fn s10_fields_without_a_value_are_left_out_or_null() {
    for (word, present) in [("omitted", false), ("null", true)] {
        let bench = Bench::with(&[&format!("S10={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let order = bench.get(&format!("/api/orders?order_id={id}")).await["order"].clone();
        for key in [
            "reference",
            "carrier_service_code",
            "manifest_number",
            "items",
        ] {
            assert_eq!(
                order.as_object().unwrap().contains_key(key),
                present,
                "{key}"
            );
        }
        let package = order["packages"][0].as_object().unwrap();
        assert_eq!(package.contains_key("tracking_number"), present);
    }
}

#[tokio::test]
async fn s11_a_print_that_takes_long_holds_nothing_else_up_and_sells_at_its_end() {
    for word in ["1s", "20s"] {
        let bench = Bench::with(&[&format!("S11={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let print = bench.print(id);
        tokio::pin!(print);
        let others = async {
            for _ in 0..5 {
                let found = bench.get("/api/orders?order_number=A").await;
                assert_eq!(found["order"]["status"], "Unshipped");
            }
        };
        tokio::select! {
            biased;
            _ = &mut print => panic!("the print was faster than five look-ups"),
            () = others => {}
        }
        assert!(bench.server.sales().is_empty());
        if word == "1s" {
            assert_eq!(print.await["success"], true);
            assert_eq!(bench.server.sales().len(), 1);
        }
    }
}

#[tokio::test]
async fn s11_a_print_can_lose_its_connection_before_or_after_the_sale() {
    for (word, sold) in [("drop-before", 0), ("drop-after", 1)] {
        let bench = Bench::with(&[&format!("S11={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let body = Some(json!({ "order_id": id }));
        assert!(
            bench
                .send(Method::POST, "/api/orders/shipment", body)
                .await
                .is_err()
        );
        assert_eq!(bench.server.sales().len(), sold, "{word}");
    }
}

#[tokio::test]
async fn s12_label_geometry_is_rotated_or_upright_or_a4_or_with_an_invoice() {
    for (word, size) in [
        ("rotate-90", (100, 150)),
        ("portrait", (100, 150)),
        ("a4", (210, 297)),
        ("invoice", (100, 150)),
    ] {
        let bench = Bench::with(&[&format!("S12={word}")]).await;
        let id = bench.order(parcels(2));
        let reply = bench.print(id).await;
        let documents = pdfs(&reply);
        assert_eq!(
            crate::labels::sizes_mm(&documents[0]),
            [size, size],
            "{word}"
        );
        let text = String::from_utf8_lossy(&documents[0]).into_owned();
        assert_eq!(
            text.contains("/Rotate 90"),
            matches!(word, "rotate-90" | "invoice")
        );
        if word == "invoice" {
            assert_eq!(
                reply["label_types"],
                json!(["BlankLabels", "CommercialInvoice"])
            );
            assert_eq!(crate::labels::sizes_mm(&documents[1]), [(210, 297)]);
        } else {
            assert_eq!(documents.len(), 1);
        }
    }
}

#[tokio::test]
async fn s12_a_reprint_gives_the_same_document_after_the_setting_changed() {
    let bench = Bench::with(&[]).await;
    let id = bench.order(Seed::number("A"));
    let first = bench.print(id).await;
    let mut switches = bench.server.switches();
    switches.apply("S12=a4").unwrap();
    bench.server.set_switches(switches);
    let again = json!({ "order_id": id, "reprint": true });
    assert_eq!(
        bench.post("/api/orders/shipment", again).await["labels"],
        first["labels"]
    );
}

#[tokio::test]
async fn s13_reprint_of_an_unprinted_order_is_refused_or_sells() {
    for (word, sold) in [("refuse", 0), ("prints", 1)] {
        let bench = Bench::with(&[&format!("S13={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let body = json!({ "order_id": id, "reprint": true });
        let reply = bench.post("/api/orders/shipment", body).await;
        assert_eq!(reply["success"], sold == 1);
        assert_eq!(bench.server.sales().len(), sold);
    }
}

#[tokio::test]
async fn s14_among_twins_a_number_finds_the_newest_or_the_oldest() {
    for (word, which) in [("newest", 1), ("oldest", 0)] {
        let bench = Bench::with(&[&format!("S14={word}")]).await;
        let ids = [
            bench.order(Seed::number("A")),
            bench.order(Seed::number("A")),
        ];
        let found = bench.get("/api/orders?order_number=A").await;
        assert_eq!(found["order"]["order_id"], ids[which], "{word}");
    }
}

#[tokio::test]
async fn s15_a_copy_has_the_same_number_or_a_suffix_or_none() {
    for (word, numbers) in [
        ("same", ["A", "A"]),
        ("suffixed", ["A-1", "A-2"]),
        ("empty", ["", ""]),
    ] {
        let bench = Bench::with(&[&format!("S15={word}")]).await;
        let id = bench.order(Seed::number("A"));
        bench.print(id).await;
        for (call, number) in ["clone", "replace"].into_iter().zip(numbers) {
            let path = format!("/api/orders/shipment/{call}");
            let copy = bench.post(&path, json!({ "order_id": id })).await["order"].clone();
            assert_eq!(copy["order_number"], number, "{call} {word}");
            assert_ne!(copy["order_id"], id);
            assert_eq!(copy["status"], "Unshipped");
        }
        assert_eq!(
            bench.server.sales().len(),
            1,
            "copies cost nothing until they are printed"
        );
    }
}

#[tokio::test]
async fn s16_an_archived_order_is_found_by_number_or_only_by_id() {
    for (word, visible) in [("yes", true), ("no", false)] {
        let bench = Bench::with(&[&format!("S16={word}")]).await;
        let id = bench.order(Seed {
            archived: true,
            ..Seed::number("A")
        });
        let found = bench.get("/api/orders?order_number=A").await;
        assert_eq!(found["success"], visible);
        let hits = bench
            .get("/api/orders/search?phrase=A&fields=Order_Number")
            .await;
        assert_eq!(
            hits["orders"].as_array().unwrap().len(),
            usize::from(visible)
        );
        let by_id = bench.get(&format!("/api/orders?order_id={id}")).await;
        assert_eq!(by_id["order"]["archived"], true);
    }
}

#[tokio::test]
async fn s17_the_reply_of_clone_and_replace_can_be_lost_after_the_copy_is_made() {
    for (word, lost) in [("sent", false), ("lost", true)] {
        let bench = Bench::with(&[&format!("S17={word}")]).await;
        let id = bench.order(Seed::number("A"));
        bench.print(id).await;
        for (call, orders) in [("clone", 2), ("replace", 3)] {
            let path = format!("/api/orders/shipment/{call}");
            let sent = bench
                .send(Method::POST, &path, Some(json!({ "order_id": id })))
                .await;
            assert_eq!(sent.is_err(), lost, "{call} {word}");
            assert_eq!(bench.server.order_numbers().len(), orders);
        }
        let source = bench.get(&format!("/api/orders?order_id={id}")).await;
        assert_eq!(source["order"]["archived"], true);
    }
}

#[tokio::test]
async fn s18_free_text_written_to_an_order_is_kept_or_dropped() {
    for (word, kept) in [("kept", true), ("dropped", false)] {
        let bench = Bench::with(&[&format!("S18={word}")]).await;
        let id = bench.order(Seed::number("A"));
        let body = json!({ "order": {
            "order_id": id, "reference": "claim-1", "carrier": "AusPost",
            "metadatas": [{ "metafield_key": "CLAIM", "value": "bench-1" }],
        }});
        let put = bench
            .send(Method::PUT, "/api/orders", Some(body))
            .await
            .unwrap()
            .1;
        assert_eq!(put["success"], true);
        let order = bench.get(&format!("/api/orders?order_id={id}")).await["order"].clone();
        assert_eq!(order["reference"] == "claim-1", kept);
        assert_eq!(order["metadatas"].to_string().contains("bench-1"), kept);
        assert_eq!(
            order["carrier"], "AusPost",
            "{word} is about free text alone"
        );
    }
}

#[tokio::test]
async fn s19_two_prints_at_once_sell_once_or_twice() {
    for (word, sold) in [("one-sale", 1), ("both-sell", 2)] {
        // The courier's second keeps both calls inside at the same time.
        let bench = Bench::with(&[&format!("S19={word}"), "S11=1s"]).await;
        let id = bench.order(Seed::number("A"));
        let (a, b) = tokio::join!(bench.print(id), bench.print(id));
        assert!(a["success"] == true && b["success"] == true);
        assert_eq!(bench.server.sales().len(), sold, "{word}");
        assert_eq!(a["tracking_numbers"] == b["tracking_numbers"], sold == 1);
    }
}

#[tokio::test]
async fn wrong_keys_are_answered_as_the_switches_say_and_nothing_is_done() {
    for (switch, keys, status) in [
        ("bad-subscription=403", ("right", "wrong"), 403),
        ("bad-subscription=401", ("right", "wrong"), 401),
        ("bad-key=200", ("wrong", "right"), 200),
        ("bad-key=401", ("wrong", "right"), 401),
        ("bad-key=403", ("wrong", "right"), 403),
    ] {
        let account = |name: &str| Account {
            name: name.into(),
            api_key: "right".into(),
            subscription_key: "right".into(),
            quota: None,
        };
        let mut options = Options {
            accounts: vec![account("main")],
            ..Options::default()
        };
        options.switches.apply(switch).unwrap();
        let bench = Bench::start(options).await;
        let id = bench.order(Seed::number("A"));
        let reply = bench
            .http
            .post(format!("{}/api/orders/shipment", bench.server.url()))
            .header("StarShipIT-Api-Key", keys.0)
            .header("Ocp-Apim-Subscription-Key", keys.1)
            .body(json!({ "order_id": id }).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(reply.status().as_u16(), status, "{switch}");
        let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
        match status {
            200 => assert_eq!(details(&body), "Invalid API key"),
            _ => assert_eq!(body["statusCode"], status),
        }
        assert!(bench.server.sales().is_empty());
    }
}

#[tokio::test]
async fn the_rate_limit_holds_per_subscription_key_with_and_without_retry_after() {
    for (word, header) in [("sent", true), ("absent", false)] {
        let mut accounts = Account::several(2);
        accounts[1].subscription_key = "another-key".into();
        let mut options = Options {
            accounts,
            ..Options::default()
        };
        options
            .switches
            .apply(&format!("retry-after={word}"))
            .unwrap();
        let bench = Bench::start(options).await;
        let start = tokio::time::Instant::now();
        let get = |account: usize| {
            let account = bench.server.accounts()[account].clone();
            let url = format!("{}/api/orders/unshipped?ids_only=true", bench.server.url());
            let request = bench
                .http
                .get(url)
                .header("StarShipIT-Api-Key", account.api_key)
                .header("Ocp-Apim-Subscription-Key", account.subscription_key);
            async { request.send().await.unwrap() }
        };
        let mut served = 0;
        for _ in 0..12 {
            let reply = get(0).await;
            if reply.status() == 200 {
                served += 1;
                continue;
            }
            assert_eq!(reply.status(), 429);
            assert_eq!(reply.headers().contains_key("retry-after"), header);
            let body: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
            assert_eq!(body["statusCode"], 429);
        }
        let seconds = start.elapsed().as_secs();
        assert!(
            (2..=2 * (seconds + 1)).contains(&served),
            "{served} in {seconds} s"
        );
        assert_eq!(get(1).await.status(), 200, "another key has its own limit");
    }
}

#[tokio::test]
async fn a_server_without_accounts_or_with_a_taken_address_says_so() {
    let none = Options {
        accounts: Vec::new(),
        ..Options::default()
    };
    assert!(Server::start(none).await.is_err());
    let first = Server::start(Options::default()).await.unwrap();
    let taken = Options {
        addr: first.addr(),
        ..Options::default()
    };
    assert!(Server::start(taken).await.is_err());
}
