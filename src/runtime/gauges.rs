//! What is so at the moment of asking, for `GET /metrics`. Counts that others keep since the start
//! (calls, flushes, bytes) are shown here too.

use super::facts::{Facts, STATES, UPDATES};
use super::metrics::{added, counter, opts};
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// Filled anew by [`Gauges::fill`].
pub(super) struct Gauges {
    calls: IntCounterVec,
    flushes: IntCounterVec,
    written: IntCounterVec,
    state: IntGaugeVec,
    update: IntGaugeVec,
    update_check: Gauge,
    printer_ready: IntGaugeVec,
    printer_trouble: IntGaugeVec,
    online: IntGaugeVec,
    health: IntGaugeVec,
    alerts: IntGaugeVec,
    waiting: IntGaugeVec,
    budget: IntGaugeVec,
    budget_left: IntGaugeVec,
    outbox: IntGauge,
    outbox_oldest: Gauge,
    conflicts: IntGauge,
    orders: IntGaugeVec,
    ledger_bytes: IntGauge,
    last_flush: Gauge,
    resident: IntGauge,
    month: IntGauge,
}

impl Gauges {
    pub(super) fn new(registry: &Registry, version: &str) -> Self {
        let r = registry;
        let build = many(r, "build_info", "The version that runs.", &["version"]);
        build.with_label_values(&[version]).set(1);
        Self {
            calls: counter(
                r,
                "api_calls_total",
                "Calls to Starshipit and CartonCloud, by HTTP status, or not-sent or broken.",
                &["service", "status"],
            ),
            flushes: counter(r, "ledger_flushes_total", "Flushes asked of the card.", &[]),
            written: counter(
                r,
                "written_bytes_total",
                "Bytes written to the card: by the ledger to journal, archive and spool, and by the whole process.",
                &["by"],
            ),
            state: many(
                r,
                "state",
                "The station's state; one of them is 1.",
                &["state"],
            ),
            update: many(
                r,
                "update_state",
                "The state of updates; one of them is 1.",
                &["state"],
            ),
            update_check: seconds(
                r,
                "update_last_check_timestamp_seconds",
                "When the update channel was last looked at; 0: never.",
            ),
            printer_ready: many(
                r,
                "printer_ready",
                "1 when nothing is known to be in the way of printing.",
                &["printer"],
            ),
            printer_trouble: many(
                r,
                "printer_trouble",
                "1 for what a printer needs.",
                &["printer", "code"],
            ),
            online: many(
                r,
                "online",
                "1 when the service answered last time.",
                &["service"],
            ),
            health: many(
                r,
                "ledger_trouble",
                "1 for what is wrong with the ledger and its card.",
                &["code"],
            ),
            alerts: many(
                r,
                "alert_raised",
                "1 for an alert that is raised.",
                &["alert"],
            ),
            waiting: many(
                r,
                "waiting",
                "Acts and orders, by what they wait for: working, queued, held, in-doubt.",
                &["what"],
            ),
            budget: many(
                r,
                "rate_budget",
                "Calls that the limiter lets go within one of its windows.",
                &["service", "account"],
            ),
            budget_left: many(
                r,
                "rate_budget_left",
                "Calls that could leave at once.",
                &["service", "account"],
            ),
            outbox: one(r, "outbox_pending", "Tracking numbers on their way back."),
            outbox_oldest: seconds(
                r,
                "outbox_oldest_seconds",
                "Age of the oldest of them; 0: there is none.",
            ),
            conflicts: one(
                r,
                "outbox_conflicts",
                "Tracking numbers that met another number.",
            ),
            orders: many(r, "ledger_orders", "Orders in the ledger.", &["state"]),
            ledger_bytes: one(
                r,
                "ledger_bytes",
                "Bytes that the ledger takes on the card.",
            ),
            last_flush: seconds(
                r,
                "ledger_last_flush_seconds",
                "Time that the card took for the newest flush.",
            ),
            resident: one(
                r,
                "resident_memory_bytes",
                "Memory of the station's process.",
            ),
            month: one(
                r,
                "labels_bought_this_month",
                "Parcels bought by this station in this calendar month.",
            ),
        }
    }

    /// What there was before is forgotten: a printer's trouble that has gone is not 0, it is not there.
    pub(super) fn fill(&self, facts: &Facts) {
        let Facts { glance, stats, .. } = facts;
        self.calls.reset();
        self.budget.reset();
        self.budget_left.reset();
        self.online.reset();
        for service in &facts.services {
            let name = service.name;
            self.online
                .with_label_values(&[name])
                .set(i64::from(service.online));
            for (word, count) in &service.calls {
                self.calls.with_label_values(&[name, word]).inc_by(*count);
            }
            for (account, left, slots) in &service.budgets {
                let labels = [name, account.as_str()];
                self.budget_left.with_label_values(&labels).set(int(*left));
                self.budget.with_label_values(&labels).set(int(*slots));
            }
        }
        self.flushes.reset();
        self.flushes
            .with_label_values::<&str>(&[])
            .inc_by(stats.flushes);
        self.written.reset();
        for (by, bytes) in [
            ("ledger", stats.bytes_written),
            ("process", facts.written_bytes),
        ] {
            self.written.with_label_values(&[by]).inc_by(bytes);
        }
        one_of(&self.state, &STATES, facts.state);
        one_of(&self.update, &UPDATES, facts.update);
        self.update_check.set(facts.update_check);
        self.printer_ready.reset();
        self.printer_trouble.reset();
        for (printer, trouble) in &facts.printers {
            let name = printer.as_str();
            self.printer_ready
                .with_label_values(&[name])
                .set(i64::from(trouble.is_none()));
            if let Some(code) = trouble {
                self.printer_trouble
                    .with_label_values(&[name, code.as_str()])
                    .set(1);
            }
        }
        self.health.reset();
        for (code, _) in &facts.health {
            self.health.with_label_values(&[code.as_str()]).set(1);
        }
        self.alerts.reset();
        for alert in &facts.alerts {
            self.alerts.with_label_values(&[alert.as_str()]).set(1);
        }
        for (what, count) in [
            ("working", glance.working),
            ("queued", glance.queued),
            ("held", glance.held),
            ("in-doubt", glance.in_doubt.len()),
        ] {
            self.waiting.with_label_values(&[what]).set(int(count));
        }
        self.outbox.set(int(glance.writebacks.pending));
        self.outbox_oldest
            .set(facts.oldest.map_or(0.0, |age| age.as_secs_f64()));
        self.conflicts.set(int(glance.writebacks.conflicts));
        for (state, count) in [("known", stats.orders), ("open", stats.open)] {
            self.orders.with_label_values(&[state]).set(int(count));
        }
        self.ledger_bytes.set(int(stats.bytes_on_disk));
        self.last_flush
            .set(std::time::Duration::from_micros(stats.last_flush_us).as_secs_f64());
        self.resident.set(int(facts.resident_bytes));
        self.month.set(int(facts.bought_this_month));
    }
}

fn one_of(gauge: &IntGaugeVec, words: &[&str], word: &str) {
    gauge.reset();
    for each in words {
        gauge
            .with_label_values(&[each])
            .set(i64::from(*each == word));
    }
}

fn int<N: TryInto<i64>>(number: N) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

fn many(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    added(registry, IntGaugeVec::new(opts(name, help), labels))
}

fn one(registry: &Registry, name: &str, help: &str) -> IntGauge {
    added(registry, IntGauge::with_opts(opts(name, help)))
}

fn seconds(registry: &Registry, name: &str, help: &str) -> Gauge {
    added(registry, Gauge::with_opts(opts(name, help)))
}
