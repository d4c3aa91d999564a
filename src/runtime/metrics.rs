//! What happened, counted where it happens, for `GET /metrics`; what is so is in `gauges.rs`.
//!
//! Invariant: every label has a bounded number of values: words of the program, and names that the
//! configuration gives (accounts, printers, scanners). No order, scan or person is a label.

use super::facts::Facts;
use super::gauges::Gauges;
use crate::domain::order::Origin;
use crate::domain::{
    Delivery, Mono, Order, Outcome, PageRole, PageState, Proof, ScanReply, Source, Timestamp,
};
use crate::station::Token;
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder,
};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Seconds: from the bench's own card to a slow courier.
const STAGES: [f64; 14] = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0,
];
/// Seconds: what cards take to flush.
const FLUSHES: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// What changed longer ago was counted when it did.
const FRESH: Duration = Duration::from_secs(120);

/// The counters, and the gauges that are filled when somebody reads.
pub(super) struct Metrics {
    registry: Registry,
    stages: HistogramVec,
    scans: IntCounterVec,
    refusals: IntCounterVec,
    bought: IntCounterVec,
    labels: IntCounterVec,
    writebacks: IntCounterVec,
    flushes: Histogram,
    gauges: Gauges,
    /// When each open request was asked.
    asked: Mutex<HashMap<Token, Mono>>,
    /// Shipments and pages that were counted, and when they changed.
    seen: Mutex<HashMap<(String, Timestamp), Timestamp>>,
    /// One reader at a time: gauges are emptied and filled again.
    reading: Mutex<()>,
}

impl Metrics {
    pub(super) fn new(version: &str) -> Self {
        let registry = Registry::new();
        let r = &registry;
        Self {
            stages: added(
                r,
                HistogramVec::new(
                    buckets(
                        "stage_seconds",
                        "Time per stage of what was asked: accepted, resolve, buy, render, print, total.",
                        &STAGES,
                    ),
                    &["stage"],
                ),
            ),
            scans: counter(
                r,
                "scans_total",
                "Scans, commands and acts that ended, by where they came from and how they ended.",
                &["trigger", "outcome"],
            ),
            refusals: counter(
                r,
                "refusals_total",
                "Scans, commands and acts that ended as a refusal or question, by code.",
                &["code"],
            ),
            bought: counter(
                r,
                "shipments_bought_total",
                "Shipments bought by this station, by account.",
                &["account"],
            ),
            labels: counter(
                r,
                "labels_total",
                "Label pages that came out, by printer and how sure that is.",
                &["printer", "proof"],
            ),
            writebacks: counter(
                r,
                "writeback_attempts_total",
                "Attempts to write tracking numbers back, by result.",
                &["result"],
            ),
            flushes: added(
                r,
                Histogram::with_opts(buckets(
                    "ledger_flush_seconds",
                    "Time until a change handed to the ledger was durable.",
                    &FLUSHES,
                )),
            ),
            gauges: Gauges::new(r, version),
            asked: Mutex::default(),
            seen: Mutex::default(),
            reading: Mutex::default(),
            registry,
        }
    }

    /// Somebody asked for something.
    pub(super) fn asked(&self, token: Token, now: Mono) {
        lock(&self.asked).insert(token, now);
    }

    /// An answer was given; the last one of its request, or the first word.
    pub(super) fn answered(
        &self,
        token: Option<Token>,
        source: &Source,
        reply: &ScanReply,
        last: bool,
        now: Mono,
    ) {
        let since = token.and_then(|token| {
            let mut asked = lock(&self.asked);
            if last {
                asked.remove(&token)
            } else {
                asked.get(&token).copied()
            }
        });
        let took = since.map(|since| now.since(since).as_secs_f64());
        let stage = |name: &str, seconds: Option<f64>| {
            if let Some(seconds) = seconds {
                self.stages.with_label_values(&[name]).observe(seconds);
            }
        };
        if !last {
            return stage("accepted", took);
        }
        let word = outcome_word(reply.outcome);
        self.scans
            .with_label_values(&[source.trigger.as_str(), word])
            .inc();
        if let (Outcome::Refused | Outcome::Question, Some(code)) = (reply.outcome, reply.code) {
            self.refusals.with_label_values(&[code.as_str()]).inc();
        }
        let timings = reply.timings_ms;
        for (name, millis) in [
            ("resolve", timings.resolve),
            ("buy", timings.buy),
            ("render", timings.render),
            ("print", timings.print),
        ] {
            let seconds = millis.map(|ms| Duration::from_millis(ms).as_secs_f64());
            stage(name, seconds);
        }
        stage("total", took);
    }

    /// A commit has become durable.
    pub(super) fn durable(&self, took: Duration) {
        self.flushes.observe(took.as_secs_f64());
    }

    /// An order as it now durably is: what is new about it is counted. How many parcels were bought.
    pub(super) fn remembered(&self, order: &Order, now: Timestamp) -> u64 {
        let mut parcels = 0;
        for shipment in &order.shipments {
            let id = format!("{}/{}", order.id, shipment.order_id);
            if shipment.origin == Origin::Here && self.is_new(&id, shipment.at, now) {
                let account = order.account.as_str();
                self.bought.with_label_values(&[account]).inc();
                parcels += u64::try_from(shipment.tracking.len().max(1)).unwrap_or(1);
            }
            for (n, page) in shipment.pages.iter().enumerate() {
                if let (PageRole::Label, PageState::Printed(proof)) = (page.role, page.state)
                    && self.is_new(&format!("{id}/{n}"), page.at, now)
                {
                    self.labels
                        .with_label_values(&[page.printer.as_str(), proof_word(proof)])
                        .inc();
                }
            }
        }
        parcels
    }

    /// Changed just now, and not counted yet: every later record of the order tells of it again.
    fn is_new(&self, what: &str, at: Timestamp, now: Timestamp) -> bool {
        if now.since(at) >= FRESH {
            return false;
        }
        let mut seen = lock(&self.seen);
        seen.retain(|_, at| now.since(*at) < FRESH);
        seen.insert((what.to_owned(), at), at).is_none()
    }

    /// A writeback was tried.
    pub(super) fn delivered(&self, result: &Delivery) {
        let word = match result {
            Delivery::Done { .. } => "done",
            Delivery::Unsupported { .. } => "unsupported",
            Delivery::Conflict { .. } => "conflict",
            Delivery::Retry { .. } => "retry",
        };
        self.writebacks.with_label_values(&[word]).inc();
    }

    /// Everything in Prometheus' text format.
    pub(super) fn text(&self, facts: &Facts) -> Result<String, prometheus::Error> {
        let _reading = lock(&self.reading);
        self.gauges.fill(facts);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Name with the prefix of contract 24, and what it means.
pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("printstation_{name}"), help)
}

fn buckets(name: &str, help: &str, bounds: &[f64]) -> HistogramOpts {
    HistogramOpts::from(opts(name, help)).buckets(bounds.to_vec())
}

pub(super) fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> IntCounterVec {
    added(registry, IntCounterVec::new(opts(name, help), labels))
}

/// Made and registered.
#[expect(
    clippy::expect_used,
    reason = "names are written here and a test makes them all"
)]
pub(super) fn added<T: Collector + Clone + 'static>(
    registry: &Registry,
    made: prometheus::Result<T>,
) -> T {
    let made = made.expect("a name and labels that Prometheus takes");
    registry
        .register(Box::new(made.clone()))
        .expect("a name that is there once");
    made
}

fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Printed => "printed",
        Outcome::Queued => "queued",
        Outcome::Refused => "refused",
        Outcome::Question => "question",
        Outcome::Ignored => "ignored",
    }
}

fn proof_word(proof: Proof) -> &'static str {
    match proof {
        Proof::Sent => "sent",
        Proof::Accepted => "accepted",
        Proof::Confirmed => "confirmed",
        Proof::Person => "person",
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Code;

    fn value(metrics: &Metrics, line: &str) -> Option<f64> {
        let text = metrics.text(&Facts::default()).unwrap();
        let found = text.lines().find_map(|l| l.strip_prefix(line))?;
        found.trim().parse().ok()
    }

    #[test]
    fn a_shipment_and_its_pages_are_counted_once_however_often_the_order_is_remembered() {
        let mut order: Order = serde_json::from_value(serde_json::json!({
            "id": "ss:main:7", "seq": 1, "number": "WEB-1", "account": "main", "order_id": 7,
            "printer": "label", "standing": "resting", "created": 1000, "updated": 2000,
            "shipments": [{
                "order_id": 7, "carrier": "Example", "tracking": ["T1", "T2"], "documents": [],
                "stored": true, "superseded": false, "origin": "here", "at": 5_000,
                "pages": [{ "d": 0, "i": 0, "r": "label", "p": "label", "s": "todo", "t": 5_000 }],
            }],
        }))
        .unwrap();
        let metrics = Metrics::new("1");
        let now = Timestamp(6_000);
        assert_eq!(metrics.remembered(&order, now), 2);
        assert_eq!(metrics.remembered(&order, now), 0);
        order.shipments[0].pages[0].state = PageState::Printed(Proof::Confirmed);
        for _ in 0..3 {
            metrics.remembered(&order, now);
        }
        let bought = "printstation_shipments_bought_total{account=\"main\"}";
        let labels = "printstation_labels_total{printer=\"label\",proof=\"confirmed\"}";
        assert_eq!(value(&metrics, bought), Some(1.0));
        assert_eq!(value(&metrics, labels), Some(1.0));
        // Printed again: another page came out.
        order.shipments[0].pages[0].at = Timestamp(7_000);
        metrics.remembered(&order, Timestamp(7_500));
        assert_eq!(value(&metrics, labels), Some(2.0));
        // Long ago: whoever was there then has counted it.
        let late = Metrics::new("1");
        assert_eq!(late.remembered(&order, Timestamp(500_000)), 0);
        assert_eq!(value(&late, labels), None);
        assert_eq!(lock(&metrics.seen).len(), 3);
        metrics.remembered(&order, Timestamp(500_000));
        metrics.is_new("other", Timestamp(500_000), Timestamp(500_000));
        assert_eq!(lock(&metrics.seen).len(), 1, "what is old is forgotten");
    }

    #[test]
    fn answers_are_counted_by_outcome_and_code_and_timed_from_their_question() {
        let metrics = Metrics::new("1");
        let source = Source {
            trigger: "bench".to_owned(),
            user: Some("ann".to_owned()),
        };
        metrics.asked(1, Mono(1_000));
        let accepted = ScanReply::new(Outcome::Accepted, "");
        metrics.answered(Some(1), &source, &accepted, false, Mono(1_020));
        let refused = ScanReply::coded(Outcome::Refused, Code::OrderNotFound, "", None);
        metrics.answered(Some(1), &source, &refused, true, Mono(3_000));
        assert!(lock(&metrics.asked).is_empty());
        for (line, expected) in [
            (
                "printstation_scans_total{outcome=\"refused\",trigger=\"bench\"}",
                1.0,
            ),
            ("printstation_refusals_total{code=\"order-not-found\"}", 1.0),
            ("printstation_stage_seconds_sum{stage=\"accepted\"}", 0.02),
            ("printstation_stage_seconds_sum{stage=\"total\"}", 2.0),
        ] {
            assert_eq!(value(&metrics, line), Some(expected), "{line}");
        }
        let text = metrics.text(&Facts::default()).unwrap();
        assert!(!text.contains("ann"), "a person is no label");
    }
}
