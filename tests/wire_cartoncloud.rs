//! The CartonCloud client, its poll and its sinks over real sockets, against the simulator under
//! every switch and fault.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at the first surprise; helpers are not seen as tests"
)]

#[path = "wire_cartoncloud/poll.rs"]
mod poll;
#[path = "wire_cartoncloud/push.rs"]
mod push;
#[path = "wire_cartoncloud/reads.rs"]
mod reads;
#[path = "wire_cartoncloud/sinks.rs"]
mod sinks;
#[path = "wire_cartoncloud/tls.rs"]
mod tls;

use printstation::cartoncloud::{CartonCloud, Lookup, Priority, Settings};
use printstation::domain::{CallFailure, Code, SaleOrder};
use printstation::sim::cartoncloud::{Options, OrderView, Seed, Server, fault};
use std::time::Duration;

/// A simulator, and a client that is allowed there.
struct Bench {
    server: Server,
    client: CartonCloud,
}

impl Bench {
    async fn start(options: Options) -> Self {
        let server = Server::start(options).await.unwrap();
        let client = CartonCloud::new(settings(&server)).unwrap();
        Self { server, client }
    }

    /// With these switches, without a rate limit.
    async fn with(switches: &[&str]) -> Self {
        Self::start(options(switches)).await
    }

    fn faults(&self, faults: &[&str]) {
        let faults = faults.iter().map(|f| fault(f).unwrap()).collect();
        self.server.set_faults(faults);
    }

    /// A packed order of the first customer; its id.
    fn packed(&self, reference: &str) -> String {
        self.order(Seed {
            status: Some("PACKED".into()),
            ..Seed::reference(reference)
        })
    }

    fn order(&self, seed: Seed) -> String {
        self.server.add_order(seed).unwrap()
    }

    fn view(&self, reference: &str) -> OrderView {
        let views = self.server.orders();
        views
            .into_iter()
            .find(|o| o.reference == reference)
            .unwrap()
    }

    async fn find(&self, text: &str) -> Result<Vec<SaleOrder>, CallFailure> {
        let lookups = [(Lookup::Reference, text.to_owned())];
        self.client.search(&lookups, Priority::Scan).await
    }

    async fn find_one(&self, text: &str) -> SaleOrder {
        let mut hits = self.find(text).await.unwrap();
        assert_eq!(hits.len(), 1, "{text}: {hits:?}");
        hits.remove(0)
    }

    async fn get(&self, id: &str) -> Result<Option<SaleOrder>, CallFailure> {
        self.client.order(id, Priority::Scan).await
    }

    /// How often the simulator saw a call, whatever became of it.
    fn calls(&self, name: &str) -> usize {
        let calls = self.server.calls();
        calls.iter().filter(|c| c.call == name).count()
    }
}

fn settings(server: &Server) -> Settings {
    Settings {
        base_url: server.url(),
        tenant_id: server.tenant_id().to_owned(),
        client_id: server.client_id().into(),
        client_secret: server.client_secret().into(),
        requests_per_minute: 12_000,
        request_timeout: Duration::from_secs(20),
    }
}

fn options(switches: &[&str]) -> Options {
    let mut options = Options::default();
    for switch in switches {
        options.switches.apply(switch).unwrap();
    }
    options
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, CallFailure>, code: Code, names: &str) {
    match result {
        Err(CallFailure::Refused { code: own, detail }) => {
            assert_eq!(own, code, "{detail}");
            assert!(detail.contains(names), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_could_not_work_is_not_made() {
    let good = || Settings {
        base_url: "https://api.cartoncloud.com".into(),
        tenant_id: "6f1d2c3b-5a49-4e8d-9c70-1b2a3c4d5e6f".into(),
        client_id: "id".into(),
        client_secret: "secret".into(),
        requests_per_minute: 60,
        request_timeout: Duration::from_secs(20),
    };
    let bad: [fn(&mut Settings); 4] = [
        |s| s.base_url = "http://api.cartoncloud.com".into(),
        |s| s.tenant_id = "../uaa".into(),
        |s| s.client_id = "".into(),
        |s| s.client_secret = "two words".into(),
    ];
    for spoil in bad {
        let mut settings = good();
        spoil(&mut settings);
        assert!(CartonCloud::new(settings).is_err());
    }
    let client = CartonCloud::new(good()).unwrap();
    assert!(!format!("{client:?}").contains("secret"));
}
