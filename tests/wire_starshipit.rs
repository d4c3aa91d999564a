//! The Starshipit client over real sockets: against the simulator under every switch and fault,
//! and against a server of raw bytes for what no simulator says.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first surprise; helpers are not seen as tests"
)]

#[path = "wire_starshipit/claims.rs"]
mod claims;
#[path = "wire_starshipit/copies.rs"]
mod copies;
#[path = "wire_starshipit/create.rs"]
mod create;
#[path = "wire_starshipit/faults.rs"]
mod faults;
#[path = "wire_starshipit/looks.rs"]
mod looks;
#[path = "wire_starshipit/raw.rs"]
mod raw;
#[path = "wire_starshipit/secrets.rs"]
mod secrets;
#[path = "wire_starshipit/switches.rs"]
mod switches;

use printstation::domain::{AccountName, Bought, CallFailure, Code, RemoteOrder};
use printstation::sim::starshipit::admin::Seed;
use printstation::sim::starshipit::{Options, Server};
use printstation::starshipit::{
    AccountSettings, FindResult, Lookup, Priority, Settings, Starshipit,
};
use std::time::Duration;

/// Every way to find an order.
const ALL: &[Lookup] = &[Lookup::OrderNumber, Lookup::Reference, Lookup::Tracking];

/// Settings for `base_url`, at a rate that does not make tests wait.
fn settings(base_url: String, accounts: &[(&str, &str, &str)]) -> Settings {
    Settings {
        base_url,
        accounts: accounts
            .iter()
            .map(|(name, api_key, subscription_key)| AccountSettings {
                name: AccountName::from(*name),
                api_key: (*api_key).into(),
                subscription_key: (*subscription_key).into(),
            })
            .collect(),
        requests_per_second: 200,
        stations_sharing_key: 1,
        request_timeout: Duration::from_secs(20),
        claims: None,
    }
}

/// A simulator, and a client with the keys of all its accounts.
struct Bench {
    server: Server,
    client: Starshipit,
    main: AccountName,
}

impl Bench {
    async fn start(options: Options, tune: impl FnOnce(&mut Settings)) -> Self {
        let server = Server::start(options).await.unwrap();
        let accounts: Vec<_> = server
            .accounts()
            .iter()
            .map(|a| {
                (
                    a.name.as_str(),
                    a.api_key.as_str(),
                    a.subscription_key.as_str(),
                )
            })
            .collect();
        let mut settings = settings(server.url(), &accounts);
        tune(&mut settings);
        Self {
            client: Starshipit::new(settings).unwrap(),
            server,
            main: AccountName::from("main"),
        }
    }

    /// With these switches, without a rate limit.
    async fn with(switches: &[&str]) -> Self {
        Self::start(options(switches), |_| ()).await
    }

    fn order(&self, seed: Seed) -> i64 {
        self.server.add_order(seed).unwrap()
    }

    async fn find(&self, text: &str) -> FindResult {
        let accounts = [self.main.clone()];
        self.client.find(&accounts, text, ALL, Priority::Scan).await
    }

    /// The one order that `text` finds.
    async fn find_one(&self, text: &str) -> RemoteOrder {
        let mut found = self.find(text).await;
        assert_eq!(found.failures, [], "{text}");
        assert_eq!(found.hits.len(), 1, "{text}: {found:?}");
        found.hits.remove(0)
    }

    async fn get(&self, id: i64) -> RemoteOrder {
        let order = self.client.get(&self.main, id, Priority::Scan).await;
        order.unwrap().unwrap()
    }

    async fn print(&self, id: i64, reprint: bool) -> Result<(Bought, Vec<Vec<u8>>), CallFailure> {
        self.client
            .print(&self.main, id, reprint, None, Priority::Scan)
            .await
    }

    fn sold(&self) -> usize {
        self.server.sales().len()
    }

    /// How often the simulator saw a call, whatever became of it.
    fn calls(&self, name: &str) -> usize {
        let calls = self.server.calls();
        calls.iter().filter(|c| c.call == name).count()
    }

    /// The whole way of one order: found unprinted, bought once, seen as printed, and its documents
    /// fetched again without buying.
    async fn ship(&self, number: &str) -> (RemoteOrder, Bought, Vec<Vec<u8>>) {
        let before = self.sold();
        let order = self.find_one(number).await;
        assert!(!order.is_printed() && !order.archived, "{order:?}");
        assert!(order.has_weight());
        let (bought, documents) = self.print(order.order_id, false).await.unwrap();
        assert_eq!(self.sold(), before + 1);
        assert_eq!(bought.order_id, order.order_id);
        assert_eq!(bought.undecodable, 0);
        assert_eq!(bought.documents.len(), documents.len());
        for document in &documents {
            assert!(document.starts_with(b"%PDF"));
        }
        assert!(self.get(order.order_id).await.is_printed());
        let (again, same) = self.print(order.order_id, true).await.unwrap();
        assert_eq!(
            (again.documents, same),
            (bought.documents.clone(), documents.clone())
        );
        assert_eq!(self.sold(), before + 1, "a reprint bought something");
        (order, bought, documents)
    }
}

fn options(switches: &[&str]) -> Options {
    let mut options = Options {
        requests_per_second: 0,
        tracking_delay: Duration::ZERO,
        ..Options::default()
    };
    for switch in switches {
        options.switches.apply(switch).unwrap();
    }
    options
}

#[track_caller]
fn assert_unknown<T: std::fmt::Debug>(result: Result<T, CallFailure>) {
    assert!(
        matches!(result, Err(CallFailure::Unknown { .. })),
        "{result:?}"
    );
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, CallFailure>, expected: Code) {
    match result {
        Err(CallFailure::Refused { code, .. }) => assert_eq!(code, expected),
        other => panic!("{other:?}"),
    }
}

/// Waits until `condition` holds, at most ten seconds.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

#[test]
fn a_client_that_could_not_work_is_not_made() {
    let account = ("main", "key-a", "key-b");
    let make = |url: &str, accounts: &[(&str, &str, &str)]| {
        Starshipit::new(settings(url.to_owned(), accounts)).map(|_| ())
    };
    let https = "https://api.starshipit.com";
    assert!(make("http://api.starshipit.com", &[account]).is_err());
    assert!(make(https, &[account, account]).is_err());
    for bad in ["", "key\nb", "schl\u{fc}ssel", "two words"] {
        let error = make(https, &[("main", bad, "key-b")]).unwrap_err();
        assert!(error.to_string().contains("main"), "{error}");
        assert!(
            bad.is_empty() || !error.to_string().contains(bad),
            "{error}"
        );
        assert!(make(https, &[("main", "key-a", bad)]).is_err());
    }
    assert_eq!(make(https, &[account]), Ok(()));
}
