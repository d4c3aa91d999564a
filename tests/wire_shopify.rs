//! The Shopify sink over real sockets, against the simulator under every switch and fault.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first surprise; helpers are not seen as tests"
)]

use printstation::domain::sale::{Party, SaleLink};
use printstation::domain::writeback::Dispatch;
use printstation::domain::{Delivery, Timestamp, Writeback, WritebackState};
use printstation::outbox::Sink as _;
use printstation::shopify::{Access, FULFILLED_BY_CARTONCLOUD, Settings, Shop};
use printstation::sim::shopify::switches::{Bucket, IndexLag, NameMatch, Scopes, TokenLifetime};
use printstation::sim::shopify::{Change, Network, Options, Seed, Server, Switches, fault};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const TEA: &str = "tea-shop";
const MUG: &str = "mug-shop";
const NOW: Timestamp = Timestamp(1_795_000_000_000);

struct Bench {
    server: Server,
}

impl Bench {
    async fn start() -> Self {
        Self::with(Switches::default()).await
    }

    async fn with(switches: Switches) -> Self {
        let options = Options {
            switches,
            ..Options::default()
        };
        let server = Server::start(options).await.unwrap();
        Self { server }
    }

    fn settings(&self, shop: &str) -> Settings {
        let keys = self.server.shops().iter().find(|s| s.shop == shop).unwrap();
        Settings {
            shop: shop.to_owned(),
            base_url: self.server.base_url(shop),
            api_version: String::new(),
            access: Access::Token(keys.access_token.as_str().into()),
            customer: keys.customer.clone(),
            notify_customer: false,
            order_id: "properties.shopifyOrderId".into(),
            order_name: "references.customer".into(),
            request_timeout: Duration::from_millis(1500),
            settle: Duration::from_millis(20),
        }
    }

    fn client(&self, shop: &str) -> Settings {
        let keys = self.server.shops().iter().find(|s| s.shop == shop).unwrap();
        Settings {
            access: Access::Client {
                id: keys.client_id.as_str().into(),
                secret: keys.client_secret.as_str().into(),
            },
            ..self.settings(shop)
        }
    }

    fn tea(&self) -> Shop {
        sink(self.settings(TEA))
    }

    fn order(&self, name: &str) -> String {
        self.seed(Seed {
            name: name.into(),
            ..Seed::default()
        })
    }

    fn seed(&self, seed: Seed) -> String {
        self.server.add_order(seed).unwrap()
    }

    fn change(&self, name: &str, change: Change) {
        self.server.change(name, change).unwrap();
    }

    /// Numbers of the fulfilments of an order of the TEA shop.
    fn numbers(&self, name: &str) -> Vec<Vec<String>> {
        let orders = self.server.orders();
        let order = orders.iter().find(|o| o.shop == TEA && o.name == name);
        let fulfillments = &order.unwrap().fulfillments;
        fulfillments.iter().map(|f| f.numbers.clone()).collect()
    }

    fn created(&self) -> usize {
        let entries = self.server.entries();
        entries
            .iter()
            .filter(|e| e.call == "fulfillmentCreate")
            .count()
    }
}

fn sink(settings: Settings) -> Shop {
    Shop::new(settings, Arc::new(|| NOW)).unwrap()
}

/// A job of customer TEA for an order of this name.
fn job(name: &str, tracking: &[&str]) -> Dispatch {
    Dispatch {
        order: "cc:u".into(),
        number: name.into(),
        account: "main".into(),
        sale: Some(SaleLink {
            uuid: "u".into(),
            customer: Party {
                code: "TEA".into(),
                ..Party::default()
            },
            kept: BTreeMap::from([("references.customer".to_owned(), name.to_owned())]),
            ..SaleLink::default()
        }),
        carrier: "AusPost".into(),
        shipped: NOW,
        documents: Vec::new(),
        job: Writeback {
            n: 1,
            sink: format!("shopify:{TEA}"),
            tracking: tracking.iter().map(|t| (*t).to_owned()).collect(),
            supersedes: Vec::new(),
            state: WritebackState::Pending,
            attempts: 0,
            overwrite: false,
            handle: None,
            trouble: None,
            since: Timestamp(NOW.0 - 60_000),
            at: Timestamp(1),
        },
    }
}

fn keep(job: &mut Dispatch, path: &str, value: &str) {
    let kept = &mut job.sale.as_mut().unwrap().kept;
    kept.insert(path.to_owned(), value.to_owned());
}

#[track_caller]
fn retry(delivery: Delivery) -> (String, bool) {
    match delivery {
        Delivery::Retry {
            why, unreachable, ..
        } => (why, unreachable),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn unsupported(delivery: Delivery) -> String {
    match delivery {
        Delivery::Unsupported { why } => why,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn done(delivery: Delivery) -> String {
    match delivery {
        Delivery::Done {
            handle: Some(handle),
        } => handle,
        other => panic!("{other:?}"),
    }
}

/// Tries again, as the outbox does, until it is done.
async fn until_done(sink: &Shop, job: &Dispatch) -> String {
    for _ in 0..8 {
        match sink.deliver(job).await {
            Delivery::Done { handle } => return handle.unwrap(),
            Delivery::Retry { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("not done after 8 tries");
}

#[tokio::test]
async fn whatever_goes_wrong_on_whatever_call_an_order_is_fulfilled_once() {
    let bench = Bench::start().await;
    let kinds = [
        "reset",
        "drop_before_commit",
        "drop_after_commit",
        "drop_mid_reply",
        "rate_429",
        "rate_429_retry_after",
        "rate_429_retry_date",
        "error_500",
        "error_503",
        "html_500",
        "html_500_after_commit",
        "garbage_json",
        "black_hole",
        "black_hole_after_commit",
        "throttled",
        "latency=50ms",
    ];
    let mut made = 0;
    for call in ["orders", "order", "fulfillmentCreate"] {
        for kind in kinds {
            let name = format!("#{call}-{kind}");
            bench.order(&name);
            let text = format!("shopify:{kind}:once:{call}");
            bench.server.set_faults(vec![fault(&text).unwrap()]);
            // A sink of its own: what one has learned about waiting is not the other's.
            let sink = bench.tea();
            until_done(&sink, &job(&name, &["A1"])).await;
            made += 1;
            assert_eq!(bench.numbers(&name), [["A1"]], "{text}");
            assert_eq!(bench.created(), made, "{text}");
        }
    }
}

#[tokio::test]
async fn whatever_goes_wrong_with_a_change_the_new_number_stands_alone() {
    let bench = Bench::start().await;
    for kind in ["drop_after_commit", "garbage_json", "drop_before_commit"] {
        let name = format!("#{kind}");
        bench.order(&name);
        let sink = bench.tea();
        let mut job = job(&name, &["A1"]);
        job.job.handle = Some(done(sink.deliver(&job).await));
        job.job.supersedes = vec!["A1".into()];
        job.job.tracking = vec!["A2".into()];
        let text = format!("{kind}:once:fulfillmentTrackingInfoUpdate");
        bench.server.set_faults(vec![fault(&text).unwrap()]);
        until_done(&sink, &job).await;
        assert_eq!(bench.numbers(&name), [["A2"]], "{kind}");
    }
}

#[tokio::test]
async fn a_shop_that_cannot_be_reached_says_so_and_gets_its_number_later() {
    let bench = Bench::start().await;
    bench.order("#1001");
    let sink = bench.tea();
    let job = job("#1001", &["A1"]);
    for network in [Network::Refused, Network::Reset, Network::Silent] {
        bench.server.set_network(network);
        let (why, unreachable) = retry(sink.deliver(&job).await);
        assert!(unreachable, "{network:?}: {why}");
        assert!(!why.contains("127.0.0.1"), "no address: {why}");
    }
    bench.server.set_network(Network::Up);
    done(sink.deliver(&job).await);
}

#[tokio::test]
async fn keys_that_are_refused_stop_the_shop_and_are_shown_to_nobody() {
    let bench = Bench::start().await;
    bench.order("#1001");
    let mut settings = bench.settings(TEA);
    settings.access = Access::Token("shpat_wrong".into());
    let (why, unreachable) = retry(sink(settings).deliver(&job("#1001", &["A"])).await);
    assert!(unreachable && why.contains("401"), "{why}");
    let mut settings = bench.client(TEA);
    if let Access::Client { secret, .. } = &mut settings.access {
        *secret = "shpss_wrong".into();
    }
    let (why, unreachable) = retry(sink(settings).deliver(&job("#1001", &["A"])).await);
    assert!(unreachable && why.contains("client_secret"), "{why}");
    assert!(!why.contains("shpss_wrong"), "{why}");
    assert_eq!(bench.created(), 0);
}

#[tokio::test]
async fn missing_scopes_are_named() {
    for (scopes, name) in [
        (Scopes::NoReadOrders, "read_orders"),
        (Scopes::Hidden, "read_merchant_managed_fulfillment_orders"),
        (Scopes::NoWrite, "write_merchant_managed_fulfillment_orders"),
    ] {
        let bench = Bench::with(Switches {
            scopes,
            ..Switches::default()
        })
        .await;
        bench.order("#1001");
        for settings in [bench.settings(TEA), bench.client(TEA)] {
            let (why, _) = retry(sink(settings).deliver(&job("#1001", &["A"])).await);
            assert!(why.contains(name), "{scopes:?}: {why}");
        }
        bench.server.set_switches(Switches::default());
        until_done(&bench.tea(), &job("#1001", &["A"])).await;
    }
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed() {
    for lifetime in [TokenLifetime::Day, TokenLifetime::Five, TokenLifetime::One] {
        let bench = Bench::with(Switches {
            token_lifetime: lifetime,
            ..Switches::default()
        })
        .await;
        let sink = sink(bench.client(TEA));
        for n in 0..3 {
            let name = format!("#{n}");
            bench.order(&name);
            bench
                .server
                .set_faults(vec![fault("token_expired:once:fulfillmentCreate").unwrap()]);
            done(sink.deliver(&job(&name, &["A"])).await);
            bench.server.expire_tokens();
        }
        assert_eq!(bench.created(), 3);
    }
}

#[tokio::test]
async fn a_small_bucket_slows_down_and_refuses_nothing() {
    let bench = Bench::with(Switches {
        bucket: Bucket::Tiny,
        ..Switches::default()
    })
    .await;
    let sink = bench.tea();
    bench.order("#1");
    until_done(&sink, &job("#1", &["A"])).await;
    assert_eq!(bench.created(), 1);
}

#[tokio::test]
async fn a_new_order_is_found_when_the_index_has_it() {
    let bench = Bench::with(Switches {
        index_lag: IndexLag::Second,
        ..Switches::default()
    })
    .await;
    let id = bench.order("#1001");
    let sink = bench.tea();
    let (why, unreachable) = retry(sink.deliver(&job("#1001", &["A"])).await);
    assert!(!unreachable && why.contains("no order"), "{why}");
    // By its id it is there at once.
    let mut by_id = job("#1001", &["A"]);
    keep(&mut by_id, "properties.shopifyOrderId", &id);
    done(sink.deliver(&by_id).await);
}

#[tokio::test]
async fn an_order_that_does_not_come_within_a_day_is_given_up_in_words() {
    let bench = Bench::start().await;
    let mut old = job("#404", &["A"]);
    retry(bench.tea().deliver(&old).await);
    old.job.since = Timestamp(NOW.0 - 86_400_000);
    let why = unsupported(bench.tea().deliver(&old).await);
    assert!(
        why.contains("#404") && why.contains("read_all_orders"),
        "{why}"
    );
    keep(&mut old, "properties.shopifyOrderId", "999");
    unsupported(bench.tea().deliver(&old).await);
}

#[tokio::test]
async fn only_the_order_of_exactly_this_name_is_fulfilled() {
    let bench = Bench::with(Switches {
        name_match: NameMatch::Prefix,
        ..Switches::default()
    })
    .await;
    bench.order("#10011");
    bench.order("#1001");
    done(bench.tea().deliver(&job("1001", &["A"])).await);
    assert_eq!(bench.numbers("#10011"), Vec::<Vec<String>>::new());
    bench.order("#1001");
    let why = unsupported(bench.tea().deliver(&job("#1001", &["B"])).await);
    assert!(why.contains("2 orders"), "{why}");
    // A name that is a search of its own finds nothing else.
    for name in ["\" OR name:\"1001", "1001\" OR \"", "*", "\\"] {
        retry(bench.tea().deliver(&job(name, &["C"])).await);
    }
    assert_eq!(bench.created(), 1);
}

#[tokio::test]
async fn an_order_that_must_not_be_fulfilled_is_left_alone() {
    let bench = Bench::start().await;
    bench.seed(Seed {
        name: "#cancelled".into(),
        cancelled: true,
        ..Seed::default()
    });
    bench.seed(Seed {
        name: "#split".into(),
        locations: 2,
        lines: ["a", "b"]
            .map(|sku| printstation::sim::shopify::SeedLine {
                sku: sku.into(),
                quantity: 1,
            })
            .into(),
        ..Seed::default()
    });
    bench.order("#cc");
    for (name, word) in [("#cancelled", "cancelled"), ("#split", "several locations")] {
        let why = unsupported(bench.tea().deliver(&job(name, &["A"])).await);
        assert!(why.contains(word), "{why}");
    }
    let mut own = job("#cc", &["A"]);
    keep(&mut own, FULFILLED_BY_CARTONCLOUD, "true");
    assert_eq!(
        unsupported(bench.tea().deliver(&own).await),
        "CartonCloud fulfils it"
    );
    bench.seed(Seed {
        name: "#hold".into(),
        on_hold: true,
        ..Seed::default()
    });
    let (why, unreachable) = retry(bench.tea().deliver(&job("#hold", &["A"])).await);
    assert!(!unreachable && why.contains("on hold"), "{why}");
    assert_eq!(bench.created(), 0);
    bench.change(
        "#hold",
        Change {
            hold: Some(false),
            ..Change::default()
        },
    );
    done(bench.tea().deliver(&job("#hold", &["A"])).await);
}

#[tokio::test]
async fn another_number_is_a_conflict_until_a_person_says_that_ours_shall_stand() {
    let bench = Bench::start().await;
    bench.order("#1001");
    bench.change(
        "#1001",
        Change {
            fulfil: Some("THEIRS".into()),
            ..Change::default()
        },
    );
    let mut job = job("#1001", &["OURS"]);
    let before = bench.server.entries();
    assert_eq!(
        bench.tea().deliver(&job).await,
        Delivery::Conflict {
            theirs: "THEIRS".into()
        }
    );
    assert_eq!(bench.server.entries(), before, "nothing was changed");
    job.job.overwrite = true;
    done(bench.tea().deliver(&job).await);
    assert_eq!(bench.numbers("#1001"), [["OURS"]]);
}

#[tokio::test]
async fn a_redo_and_one_more_parcel_change_the_one_fulfilment() {
    let bench = Bench::start().await;
    bench.order("#1001");
    let settings = Settings {
        notify_customer: true,
        ..bench.settings(TEA)
    };
    let sink = sink(settings);
    let mut job = job("#1001", &["A1", "B1"]);
    let handle = done(sink.deliver(&job).await);
    assert_eq!(done(sink.deliver(&job).await), handle, "again is nothing");
    job.job.handle = Some(handle.clone());
    job.job.tracking = vec!["A2".into(), "B1".into()];
    job.job.supersedes = vec!["A1".into()];
    assert_eq!(done(sink.deliver(&job).await), handle);
    job.job.tracking.push("C1".into());
    assert_eq!(done(sink.deliver(&job).await), handle);
    assert_eq!(bench.numbers("#1001"), [["A2", "B1", "C1"]]);
    let entries = bench.server.entries();
    let calls: Vec<&str> = entries.iter().map(|e| e.call.as_str()).collect();
    assert_eq!(
        calls,
        [
            "fulfillmentCreate",
            "fulfillmentTrackingInfoUpdate",
            "fulfillmentTrackingInfoUpdate"
        ]
    );
    for entry in entries {
        assert_eq!(entry.company.as_deref(), Some("Australia Post"));
        assert!(entry.notified);
    }
}

#[tokio::test]
async fn fulfilment_orders_that_were_replaced_are_found_by_their_new_ids() {
    let bench = Bench::start().await;
    bench.order("#1001");
    bench.change(
        "#1001",
        Change {
            replace: true,
            ..Change::default()
        },
    );
    done(bench.tea().deliver(&job("#1001", &["A"])).await);
    assert_eq!(bench.numbers("#1001"), [["A"]]);
}

#[tokio::test]
async fn of_two_shops_with_the_same_order_each_gets_its_own_number_alone() {
    let bench = Bench::start().await;
    for shop in [TEA, MUG] {
        bench.seed(Seed {
            shop: shop.into(),
            name: "#1001".into(),
            ..Seed::default()
        });
    }
    let (tea, mug) = (bench.tea(), sink(bench.settings(MUG)));
    let of_tea = job("#1001", &["TEA-1"]);
    let mut of_mug = job("#1001", &["MUG-1"]);
    of_mug.sale.as_mut().unwrap().customer.code = "MUG".into();
    // A job that took the wrong way is refused at the door.
    let why = unsupported(mug.deliver(&of_tea).await);
    assert!(why.contains("another customer"), "{why}");
    let why = unsupported(tea.deliver(&of_mug).await);
    assert!(why.contains("another customer"), "{why}");
    let mut of_nobody = job("#1001", &["X"]);
    of_nobody.sale = None;
    unsupported(tea.deliver(&of_nobody).await);
    assert!(bench.server.entries().is_empty());
    done(tea.deliver(&of_tea).await);
    done(mug.deliver(&of_mug).await);
    let entries = bench.server.entries();
    let who: Vec<_> = entries
        .iter()
        .map(|e| (e.shop.as_str(), &*e.numbers[0]))
        .collect();
    assert_eq!(who, [(TEA, "TEA-1"), (MUG, "MUG-1")]);
    // The key of one shop opens no other.
    let mut crossed = bench.settings(MUG);
    crossed.access = bench.settings(TEA).access;
    let (why, _) = retry(sink(crossed).deliver(&of_mug).await);
    assert!(why.contains("401"), "{why}");
}
