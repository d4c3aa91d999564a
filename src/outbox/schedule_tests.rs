//! The schedule: nothing starved, nothing lost, nothing doubled, whatever happens and when.
//!
//! Long because every promise has its case.

use super::*;
use crate::domain::{Writeback, WritebackState};
use proptest::prelude::*;

const CLOUD: [(&str, &str); 3] = [
    ("consignment", "cartoncloud"),
    ("order_document", "cartoncloud"),
    ("csv", "csv"),
];

fn pending(order: &Order, n: u32) -> bool {
    let job = order.writebacks.iter().find(|job| job.n == n);
    job.is_some_and(|job| job.state == WritebackState::Pending)
}

fn schedule(in_flight: usize) -> Schedule {
    let pace = Pace {
        in_flight,
        ..Pace::default()
    };
    Schedule::new(pace, CLOUD, Box::new(pending), 7)
}

fn order(id: &str, sinks: &[&str]) -> Order {
    let mut order: Order = serde_json::from_value(serde_json::json!({
        "id": id, "seq": 1, "number": id, "account": "main", "order_id": 7,
        "printer": "label", "standing": "resting", "created": 1000, "updated": 2000
    }))
    .unwrap();
    for sink in sinks {
        add(&mut order, sink);
    }
    order
}

fn add(order: &mut Order, sink: &str) {
    let n = order.writebacks.last().map_or(1, |job| job.n + 1);
    order.writebacks.push(Writeback {
        n,
        sink: sink.to_owned(),
        tracking: vec![format!("T{n}")],
        supersedes: Vec::new(),
        state: WritebackState::Pending,
        attempts: 0,
        overwrite: false,
        handle: None,
        trouble: None,
        since: Timestamp(1),
        at: Timestamp(1),
    });
}

/// What the station makes of a result.
fn settle(order: &mut Order, n: u32, result: &Delivery) {
    order.seq += 1;
    let job = order.writebacks.iter_mut().find(|job| job.n == n).unwrap();
    job.attempts += 1;
    match result {
        Delivery::Done { .. } => job.state = WritebackState::Done,
        Delivery::Unsupported { why } => {
            job.state = WritebackState::Unsupported { why: why.clone() };
        }
        Delivery::Conflict { theirs } => {
            let theirs = theirs.clone();
            job.state = WritebackState::Conflict { theirs };
        }
        Delivery::Retry { .. } => {}
    }
}

fn done() -> Delivery {
    Delivery::Done { handle: None }
}

fn retry(unreachable: bool, after: Option<Duration>) -> Delivery {
    Delivery::Retry {
        after,
        why: "x".into(),
        unreachable,
    }
}

fn names(due: &[Due]) -> Vec<(&str, u32)> {
    due.iter().map(|d| (d.order.as_str(), d.n)).collect()
}

/// A job that flies ends; one that does not fly ends nothing.
fn land(s: &mut Schedule, order: &str, n: u32, result: &Delivery, now: Mono) {
    let order = OrderId::from(order);
    let jobs = &s.orders[&order].jobs;
    let Some(job) = jobs.iter().find(|j| j.n == n && j.flying.is_some()) else {
        return;
    };
    let (sink, job) = (Arc::clone(&job.sink), job.id);
    let due = Due {
        order,
        n,
        sink,
        job,
    };
    s.ended(&due, result, now);
}

const S: u64 = 1000;

#[test]
fn an_unreachable_system_is_asked_by_one_job_at_a_time_however_many_wait() {
    let mut s = schedule(4);
    for i in 0..10_000 {
        s.observe(&order(&format!("o{i:05}"), &["consignment"]), Mono(0));
    }
    let first = s.due(Mono(0));
    assert_eq!(first.len(), 4);
    for due in &first {
        s.ended(due, &retry(true, None), Mono(10));
    }
    let (mut now, mut looks, mut tried) = (Mono(10), 0, BTreeSet::new());
    let hour = Mono(3600 * S);
    while let Some(next) = s.next().filter(|next| *next < hour) {
        assert!(next > now, "it must not spin");
        now = next;
        let due = s.due(now);
        assert_eq!(due.len(), 1, "one looks");
        assert_eq!(s.due(now), [], "and only one");
        looks += 1;
        assert!(tried.insert(due[0].order.clone()), "each look is another's");
        s.ended(&due[0], &retry(true, None), now);
    }
    assert!((8..=24).contains(&looks), "{looks} looks in an hour");
    assert_eq!(s.len(), 10_000);
    assert_eq!(s.unreachable_systems().collect::<Vec<_>>(), ["cartoncloud"]);
}

#[test]
fn with_the_first_answer_everything_is_due_at_once() {
    let mut s = schedule(2);
    for i in 0..50 {
        s.observe(&order(&format!("o{i:02}"), &["consignment"]), Mono(0));
    }
    // One has failed often by itself and waits for minutes.
    let mut now = Mono(0);
    for due in &s.due(now) {
        s.ended(due, &retry(true, None), now);
    }
    for _ in 0..8 {
        now = s.next().unwrap();
        let due = s.due(now);
        s.ended(&due[0], &retry(true, None), now);
    }
    now = s.next().unwrap();
    let look = s.due(now);
    s.ended(&look[0], &done(), now);
    let mut delivered = 1;
    loop {
        let due = s.due(now);
        if due.is_empty() {
            break;
        }
        assert!(due.len() <= 2);
        for due in &due {
            delivered += 1;
            s.ended(due, &done(), now);
        }
    }
    assert_eq!(delivered, 50, "without waiting for anybody's backoff");
}

#[test]
fn one_bad_job_does_not_keep_its_system_from_the_others() {
    let mut s = schedule(1);
    for i in 0..40 {
        s.observe(&order(&format!("o{i:02}"), &["consignment"]), Mono(0));
    }
    let (mut now, mut delivered) = (Mono(0), 0);
    while now < Mono(60 * S) && delivered < 39 {
        now = s.next().unwrap().max(now);
        for due in &s.due(now) {
            if due.order.as_str() == "o00" {
                s.ended(due, &retry(true, None), now);
            } else {
                delivered += 1;
                s.ended(due, &done(), now);
            }
        }
    }
    assert_eq!(delivered, 39);
}

#[test]
fn what_failed_while_the_system_was_away_does_not_count_against_the_job() {
    let mut s = schedule(2);
    s.observe(&order("a", &["consignment"]), Mono(0));
    let mut now = 0;
    for _ in 0..10 {
        while s.due(Mono(now)).is_empty() {
            now += S;
        }
        land(&mut s, "a", 1, &retry(true, None), Mono(now));
    }
    for id in ["b", "c"] {
        s.observe(&order(id, &["consignment"]), Mono(now));
    }
    // It is back: "b" is let through, and with it all that wait.
    loop {
        now += S;
        match names(&s.due(Mono(now))).as_slice() {
            [] => {}
            [("b", 1)] => break,
            _ => land(&mut s, "a", 1, &retry(true, None), Mono(now)),
        }
    }
    land(&mut s, "b", 1, &done(), Mono(now));
    // "a" flies on a line that was cut before, while another one gets through.
    let flying = s.due(Mono(now));
    assert_eq!(flying.len(), 2);
    now += 1;
    land(&mut s, "c", 1, &done(), Mono(now));
    land(&mut s, "a", 1, &retry(true, None), Mono(now));
    let next = s.orders[&OrderId::from("a")].jobs[0].next;
    assert!(next <= Mono(now + 2 * S), "{next:?} of {now}");
}

#[test]
fn an_outage_of_one_system_does_not_touch_another() {
    let mut s = schedule(4);
    s.observe(&order("a", &["consignment", "csv"]), Mono(0));
    s.observe(&order("b", &["order_document"]), Mono(0));
    let due = s.due(Mono(0));
    assert_eq!(due.len(), 3);
    land(&mut s, "a", 1, &retry(true, None), Mono(1));
    land(&mut s, "b", 1, &retry(true, None), Mono(1));
    land(&mut s, "a", 2, &retry(false, None), Mono(1));
    let next = s.due(Mono(3 * S));
    assert!(names(&next).contains(&("a", 2)), "{next:?}");
    assert_eq!(next.len(), 2, "csv, and one look at the cloud");
}

#[test]
fn a_sink_that_is_not_configured_keeps_its_jobs_and_asks_rarely() {
    let mut s = schedule(4);
    for i in 0..100 {
        s.observe(&order(&format!("o{i}"), &["shopify:gone"]), Mono(0));
    }
    assert_eq!(s.due(Mono(0)).len(), 4);
    assert_eq!(s.len(), 100);
    for i in 0..100 {
        land(&mut s, &format!("o{i}"), 1, &retry(true, None), Mono(1));
    }
    assert_eq!(s.due(Mono(5 * S)).len(), 1);
}

#[test]
fn jobs_of_one_sink_within_one_order_keep_their_order() {
    let mut s = schedule(4);
    let mut o = order("a", &["consignment", "csv", "consignment"]);
    s.observe(&o, Mono(0));
    assert_eq!(names(&s.due(Mono(0))), [("a", 1), ("a", 2)]);
    land(&mut s, "a", 1, &retry(false, None), Mono(5));
    assert_eq!(s.due(Mono(5)), [], "the third waits for the first");
    let again = s.due(Mono(10 * S));
    assert_eq!(names(&again), [("a", 1)]);
    land(&mut s, "a", 1, &done(), Mono(10 * S));
    assert_eq!(s.due(Mono(10 * S)), [], "until the record says so");
    settle(&mut o, 1, &done());
    s.observe(&o, Mono(10 * S));
    assert_eq!(names(&s.due(Mono(10 * S))), [("a", 3)]);
}

#[test]
fn a_superseded_job_that_is_under_way_is_not_overtaken() {
    let mut s = schedule(4);
    let mut o = order("a", &["consignment"]);
    s.observe(&o, Mono(0));
    assert_eq!(s.due(Mono(0)).len(), 1);
    // REDO: the old job is not wanted any more, a new one is.
    o.seq += 1;
    add(&mut o, "consignment");
    o.writebacks.remove(0);
    s.observe(&o, Mono(1));
    assert_eq!(s.due(Mono(1)), []);
    land(&mut s, "a", 1, &retry(false, None), Mono(2));
    assert_eq!(names(&s.due(Mono(2))), [("a", 2)]);
    assert_eq!(s.len(), 1);
}

#[test]
fn a_new_set_under_an_old_name_is_another_job() {
    let mut s = schedule(4);
    let mut o = order("a", &["consignment"]);
    s.observe(&o, Mono(0));
    assert_eq!(s.due(Mono(0)).len(), 1);
    o.seq += 1;
    o.writebacks[0].tracking = vec!["NEW".into()];
    s.observe(&o, Mono(1));
    assert_eq!(s.due(Mono(1)), [], "the old set is still under way");
    land(&mut s, "a", 1, &done(), Mono(2));
    assert_eq!(
        names(&s.due(Mono(2))),
        [("a", 1)],
        "the new set is owed still"
    );
}

#[test]
fn a_delivered_job_is_not_brought_back_by_a_record_that_comes_late() {
    let mut s = schedule(4);
    let old = order("a", &["consignment"]);
    s.observe(&old, Mono(0));
    assert_eq!(s.due(Mono(0)).len(), 1);
    land(&mut s, "a", 1, &done(), Mono(1));
    s.observe(&old, Mono(2));
    assert_eq!(s.due(Mono(2)), [], "the record of the result has not come");
    let mut new = old.clone();
    settle(&mut new, 1, &done());
    s.observe(&new, Mono(3));
    s.observe(&old, Mono(4));
    assert_eq!(s.due(Mono(60 * S)), []);
    assert!(s.is_empty());
}

#[test]
fn a_result_that_never_became_durable_is_tried_again() {
    let mut s = schedule(4);
    s.observe(&order("a", &["consignment"]), Mono(0));
    assert_eq!(s.due(Mono(0)).len(), 1);
    land(&mut s, "a", 1, &done(), Mono(0));
    assert_eq!(s.due(Mono(599 * S)), []);
    assert_eq!(s.due(Mono(600 * S)).len(), 1);
}

#[test]
fn a_person_who_asks_again_does_not_wait() {
    let mut s = schedule(4);
    let mut o = order("a", &["consignment"]);
    s.observe(&o, Mono(0));
    s.due(Mono(0));
    land(&mut s, "a", 1, &retry(true, None), Mono(0));
    assert_eq!(s.due(Mono(1)), []);
    s.hurry(&"a".into(), 1, Mono(1));
    assert_eq!(
        names(&s.due(Mono(1))),
        [("a", 1)],
        "even while it is paused"
    );
    land(
        &mut s,
        "a",
        1,
        &retry(false, Some(Duration::from_secs(900))),
        Mono(2),
    );
    settle(&mut o, 1, &retry(false, None));
    s.observe(&o, Mono(2));
    assert_eq!(s.due(Mono(3)), [], "its own echo is no wish");
    o.seq += 1;
    o.writebacks[0].at = Timestamp(99);
    s.observe(&o, Mono(4));
    assert_eq!(names(&s.due(Mono(4))), [("a", 1)]);
}

#[test]
fn a_new_job_looks_at_a_paused_system_sooner_than_its_backoff() {
    let mut s = schedule(4);
    s.observe(&order("a", &["consignment"]), Mono(0));
    let mut now = Mono(0);
    for _ in 0..12 {
        s.due(now);
        land(&mut s, "a", 1, &retry(true, None), now);
        now = s.next().unwrap();
    }
    let last = Mono(now.0 - 300 * S);
    s.observe(&order("b", &["consignment"]), last);
    assert!(s.next().unwrap() <= last.plus(NEW_JOB_LOOKS));
}

#[test]
fn a_systems_own_word_is_kept_even_when_it_recovers() {
    let mut s = schedule(4);
    s.observe(&order("a", &["consignment"]), Mono(0));
    let mut b = order("b", &["consignment"]);
    s.observe(&b, Mono(0));
    s.due(Mono(0));
    land(
        &mut s,
        "a",
        1,
        &retry(false, Some(Duration::from_secs(900))),
        Mono(1),
    );
    land(&mut s, "b", 1, &retry(true, None), Mono(1));
    let now = Mono(5 * S);
    assert_eq!(names(&s.due(now)), [("b", 1)]);
    land(&mut s, "b", 1, &done(), now);
    settle(&mut b, 1, &done());
    s.observe(&b, now);
    assert_eq!(s.due(Mono(899 * S)), []);
    assert!(!s.due(Mono(1100 * S)).is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// The n-th of what flies lands; with what.
    Land(usize, u8),
    New(u8, u8),
    Hurry(u8),
    /// A result's record is observed late.
    Echo(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0u64..700_000).prop_map(Step::Wait),
        6 => (0usize..8, 0u8..8).prop_map(|(which, how)| Step::Land(which, how)),
        3 => (0u8..6, 0u8..4).prop_map(|(order, sink)| Step::New(order, sink)),
        1 => (0u8..6).prop_map(Step::Hurry),
        2 => (0u8..6).prop_map(Step::Echo),
    ];
    proptest::collection::vec(step, 1..120)
}

/// A world of six orders in which the station's records may lag behind results.
struct World {
    s: Schedule,
    now: Mono,
    orders: Vec<Order>,
    unheard: Vec<(usize, u32, Delivery)>,
    flying: Vec<Due>,
}

impl World {
    fn launch(&mut self) {
        for due in self.s.due(self.now) {
            for other in &self.flying {
                let same = other.order == due.order && other.sink == due.sink;
                assert!(!same, "two of one sink and order at once: {due:?}");
            }
            let at: usize = due.order.as_str().parse().unwrap();
            let order = &self.orders[at];
            assert!(pending(order, due.n), "not due: {due:?}");
            let earlier = order
                .writebacks
                .iter()
                .any(|j| j.sink == *due.sink && j.n < due.n && j.state == WritebackState::Pending);
            assert!(!earlier, "out of order: {due:?}");
            self.flying.push(due);
        }
        for system in &self.s.systems {
            let flying = self
                .flying
                .iter()
                .filter(|d| self.s.systems[self.s.sinks[&d.sink]].name == system.name);
            assert_eq!(flying.count(), system.flying);
            let most = 3 + usize::from(system.pause.is_some());
            assert!(system.flying <= most, "{} fly", system.flying);
        }
    }

    fn land(&mut self, which: usize, result: Delivery) {
        if self.flying.is_empty() {
            return;
        }
        let due = self.flying.remove(which % self.flying.len());
        self.s.ended(&due, &result, self.now);
        let at: usize = due.order.as_str().parse().unwrap();
        self.unheard.push((at, due.n, result));
    }

    fn echo(&mut self, at: usize) {
        let (heard, rest) = std::mem::take(&mut self.unheard)
            .into_iter()
            .partition(|(order, ..)| *order == at);
        self.unheard = rest;
        let heard: Vec<(usize, u32, Delivery)> = heard;
        for (_, n, result) in heard {
            if pending(&self.orders[at], n) {
                settle(&mut self.orders[at], n, &result);
            }
        }
        self.s.observe(&self.orders[at], self.now);
    }
}

proptest! {
    #[test]
    fn whatever_happens_every_job_is_delivered_in_the_end(steps in steps(), seed: u64) {
        let pace = Pace { in_flight: 3, ..Pace::default() };
        let mut w = World {
            s: Schedule::new(pace, CLOUD, Box::new(pending), seed),
            now: Mono(0),
            orders: (0..6).map(|i| order(&i.to_string(), &[])).collect(),
            unheard: Vec::new(),
            flying: Vec::new(),
        };
        let sinks = ["consignment", "order_document", "csv", "shopify:gone"];
        for step in steps {
            match step {
                Step::Wait(ms) => w.now = w.now.plus(Duration::from_millis(ms)),
                Step::Land(which, how) => w.land(which, match how {
                    0 | 1 => done(),
                    2 => Delivery::Unsupported { why: String::new() },
                    3 => Delivery::Conflict { theirs: "X".into() },
                    4 => retry(false, None),
                    5 => retry(false, Some(Duration::from_secs(1_000_000))),
                    6 => retry(true, Some(Duration::from_secs(30))),
                    _ => retry(true, None),
                }),
                Step::New(at, sink) => {
                    let order = &mut w.orders[usize::from(at)];
                    order.seq += 1;
                    add(order, sinks[usize::from(sink)]);
                    let order = order.clone();
                    w.s.observe(&order, w.now);
                }
                Step::Hurry(at) => w.s.hurry(&OrderId(at.to_string()), 1, w.now),
                Step::Echo(at) => w.echo(usize::from(at)),
            }
            w.launch();
        }
        // From here on everything works.
        for _ in 0..10_000 {
            while !w.flying.is_empty() {
                w.land(0, done());
            }
            for at in 0..6 {
                w.echo(at);
            }
            if w.s.is_empty() {
                break;
            }
            if let Some(next) = w.s.next() {
                prop_assert!(next.0 <= w.now.0 + 2 * 3600 * S, "nothing waits for ever");
                w.now = w.now.max(next);
            }
            w.launch();
        }
        for order in &w.orders {
            for job in &order.writebacks {
                prop_assert!(job.state != WritebackState::Pending, "lost: {job:?}");
            }
        }
    }

    #[test]
    fn waits_double_with_jitter_up_to_ten_minutes(seed: u64, failures in 1u32..60) {
        let mut s = Schedule::new(Pace::default(), CLOUD, Box::new(pending), seed);
        let full = Duration::from_secs(2)
            .saturating_mul(1 << (failures - 1).min(20))
            .min(Duration::from_secs(600));
        let wait = s.wait(None, failures);
        prop_assert!(wait >= full / 2 && wait <= full, "{wait:?} of {full:?}");
        let asked = s.wait(Some(Duration::from_secs(40)), failures);
        prop_assert!((40.0..=44.0).contains(&asked.as_secs_f64()), "{asked:?}");
        prop_assert!(s.wait(Some(Duration::MAX), failures) <= LONGEST_ASKED * 2);
    }
}
