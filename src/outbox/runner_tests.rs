//! The runner: sinks that fail, hang, panic and recover. Time is tokio's and paused.

use super::*;
use crate::domain::{Timestamp, Writeback, WritebackState};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

struct Book(Mutex<BTreeMap<OrderId, Order>>);

impl Orders for Book {
    fn dispatch<'a>(
        &'a self,
        order: &'a OrderId,
        n: u32,
    ) -> Pin<Box<dyn Future<Output = Option<Dispatch>> + Send + 'a>> {
        Box::pin(async move {
            let orders = self.0.lock().unwrap();
            let order = orders.get(order)?;
            Some(Dispatch {
                order: order.id.clone(),
                number: order.number.clone(),
                account: order.account.clone(),
                sale: None,
                carrier: "AusPost".into(),
                shipped: Timestamp(1),
                documents: Vec::new(),
                job: order.writebacks.iter().find(|j| j.n == n)?.clone(),
            })
        })
    }
}

type Act = dyn Fn(usize, &Dispatch) -> Option<Delivery> + Send + Sync;

/// Answers by the count of its calls; `None` hangs.
struct Told {
    name: String,
    calls: AtomicUsize,
    act: Box<Act>,
}

impl Sink for Told {
    fn name(&self) -> &str {
        &self.name
    }
    fn system(&self) -> &str {
        &self.name
    }
    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> Delivering<'a> {
        let call = self.calls.fetch_add(1, SeqCst);
        Box::pin(async move {
            match (self.act)(call, dispatch) {
                Some(result) => result,
                None => std::future::pending().await,
            }
        })
    }
}

struct Bench {
    outbox: Outbox,
    book: Arc<Book>,
    ended: mpsc::Receiver<Ended>,
}

fn is_pending(order: &Order, n: u32) -> bool {
    let mut jobs = order.writebacks.iter();
    jobs.any(|j| j.n == n && j.state == WritebackState::Pending)
}

fn bench(
    act: impl Fn(usize, &Dispatch) -> Option<Delivery> + Send + Sync + 'static,
) -> (Bench, Arc<Told>) {
    let sink = Arc::new(Told {
        name: "csv".into(),
        calls: AtomicUsize::new(0),
        act: Box::new(act),
    });
    let book = Arc::new(Book(Mutex::default()));
    let (tx, ended) = mpsc::channel(4);
    let settings = Settings {
        sinks: vec![sink.clone()],
        is_due: Box::new(is_pending),
        pace: Pace::default(),
        deadline: Duration::from_secs(60),
        seed: 1,
    };
    let outbox = start(settings, book.clone(), tx);
    let bench = Bench {
        outbox,
        book,
        ended,
    };
    (bench, sink)
}

fn order(id: &str, sink: &str) -> Order {
    let mut order: Order = serde_json::from_value(serde_json::json!({
        "id": id, "seq": 1, "number": id, "account": "main", "order_id": 7,
        "printer": "label", "standing": "resting", "created": 1000, "updated": 2000
    }))
    .unwrap();
    order.writebacks.push(Writeback {
        n: 1,
        sink: sink.into(),
        tracking: vec!["T1".into()],
        supersedes: Vec::new(),
        state: WritebackState::Pending,
        attempts: 0,
        overwrite: false,
        handle: None,
        trouble: None,
        since: Timestamp(5),
        at: Timestamp(5),
    });
    order
}

impl Bench {
    fn owe(&self, order: Order) {
        let mut orders = self.book.0.lock().unwrap();
        orders.insert(order.id.clone(), order.clone());
        drop(orders);
        self.outbox.observe(&order);
    }

    async fn next(&mut self) -> Ended {
        let next = tokio::time::timeout(Duration::from_secs(86_400), self.ended.recv());
        next.await.expect("a result in time").expect("a runner")
    }

    /// As the station does: into the record, and observed.
    fn record(&self, ended: &Ended) {
        let mut orders = self.book.0.lock().unwrap();
        let order = orders.get_mut(&ended.order).unwrap();
        order.seq += 1;
        order.writebacks[0].attempts += 1;
        if matches!(ended.result, Delivery::Done { .. }) {
            order.writebacks[0].state = WritebackState::Done;
        }
        let order = order.clone();
        drop(orders);
        self.outbox.observe(&order);
    }
}

fn done() -> Option<Delivery> {
    Some(Delivery::Done { handle: None })
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_or_panics_costs_one_attempt() {
    let (mut bench, sink) = bench(|call, _| match call {
        0 => None,
        1 => panic!("a defect"),
        _ => done(),
    });
    bench.owe(order("a", "csv"));
    for part in ["no answer within 60 s", "failed inside"] {
        let ended = bench.next().await;
        let Delivery::Retry { why, .. } = &ended.result else {
            panic!("{ended:?}")
        };
        assert!(why.contains(part), "{why}");
        bench.record(&ended);
        assert_eq!(bench.outbox.open().len(), 1);
    }
    let ended = bench.next().await;
    assert_eq!(ended.result, Delivery::Done { handle: None });
    bench.record(&ended);
    assert!(bench.outbox.open().is_empty());
    assert_eq!(sink.calls.load(SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_sink_that_is_not_configured_is_told_and_kept() {
    let (mut bench, sink) = bench(|_, _| done());
    bench.owe(order("a", "shopify:gone"));
    let ended = bench.next().await;
    let Delivery::Retry { why, .. } = &ended.result else {
        panic!("{ended:?}")
    };
    assert_eq!(why, "shopify:gone is not configured (any more)");
    bench.record(&ended);
    assert_eq!(bench.outbox.open().len(), 1);
    assert_eq!(bench.outbox.unreachable(), ["shopify:gone"]);
    assert_eq!(sink.calls.load(SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_read_is_asked_for_again() {
    let (mut bench, _) = bench(|_, _| done());
    let order = order("a", "csv");
    bench.outbox.observe(&order);
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(bench.ended.try_recv().is_err());
    bench.book.0.lock().unwrap().insert(order.id.clone(), order);
    assert_eq!(bench.next().await.result, Delivery::Done { handle: None });
}

#[tokio::test(start_paused = true)]
async fn a_backlog_drains_once_each_after_an_outage() {
    let (mut bench, sink) = bench(|call, _| {
        if call < 9 {
            return Some(Delivery::Retry {
                after: None,
                why: "down".into(),
                unreachable: true,
            });
        }
        done()
    });
    for i in 0..200 {
        bench.owe(order(&format!("o{i:03}"), "csv"));
    }
    assert_eq!(bench.outbox.open().len(), 200);
    let mut delivered = std::collections::BTreeSet::new();
    while delivered.len() < 200 {
        let ended = bench.next().await;
        if matches!(ended.result, Delivery::Done { .. }) {
            assert!(delivered.insert(ended.order.clone()), "twice: {ended:?}");
        }
        bench.record(&ended);
    }
    assert_eq!(sink.calls.load(SeqCst), 209);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_under_way_and_starts_nothing() {
    let (mut bench, sink) = bench(|_, _| None);
    for i in 0..6 {
        bench.owe(order(&format!("o{i}"), "csv"));
    }
    while sink.calls.load(SeqCst) < 4 {
        tokio::task::yield_now().await;
    }
    let outbox = bench.outbox.clone();
    // The four hang until their deadline, which is within the grace; their ends are reported.
    let stop = tokio::spawn(async move { outbox.stop(Duration::from_secs(70)).await });
    for _ in 0..4 {
        let ended = bench.next().await;
        bench.record(&ended);
    }
    stop.await.unwrap();
    assert_eq!(sink.calls.load(SeqCst), 4);
    assert!(bench.ended.recv().await.is_none());
}
