//! The status document: one snapshot of the station, its printers and devices, for page, command line
//! and the site's other benches.

use super::Port;
use crate::domain::Code;
use crate::station::{ActGlance, Glance};
use crate::web::documents;
use serde_json::{Value, json};

impl Port {
    pub(in crate::runtime) async fn status(&self) -> Option<Value> {
        let glance = self.bench.glance().await.ok()?;
        let ledger = self.hub.ledger().clone();
        let (stats, health) =
            tokio::task::spawn_blocking(move || (ledger.stats(), ledger.health()))
                .await
                .ok()?;
        let printers: Vec<Value> = self
            .hub
            .paper()
            .statuses()
            .map(|(name, status)| {
                let trouble = glance
                    .printers
                    .iter()
                    .find(|(known, _)| known == name)
                    .and_then(|(_, trouble)| *trouble);
                let code = trouble.or(status.code.filter(|_| !status.ready));
                json!({
                    "name": name,
                    "state": if code.is_some() { "needs-hand" } else { "ready" },
                    "code": code,
                    "detail": status.detail,
                    "you": code.map(|code| code.explain().you),
                    "proof": status.back_channel.map(|talks| if talks { "confirmed" } else { "sent" }),
                    "warnings": status.warnings,
                    "wear": status.wear.map(|wear| json!({
                        "total_m": metres(wear.total_cm),
                        "head_m": metres(wear.head_cm),
                        "since_cleaned_m": metres(wear.head_clean_cm),
                        "roll_m": metres(wear.roll_cm),
                    })),
                })
            })
            .collect();
        let owed = glance.writebacks;
        let question = glance.question.as_ref().map(|(order, code, next)| {
            json!({
                "order": order,
                "code": code,
                "next": next,
                "trigger": glance.asked.as_ref().map(|(by, _)| &by.trigger),
                "user": glance.asked.as_ref().and_then(|(by, _)| by.user.as_ref()),
                "left_s": glance.asked.as_ref().map(|(_, left)| left.as_secs()),
            })
        });
        let acts: Vec<Value> = glance.acts.iter().map(act_shown).collect();
        self.lately.fill(self.hub.ledger()).await;
        let last_print = self.lately.last_print();
        let [scanners, buttons, lights] = self.devices.show();
        Some(json!({
            "station": self.name,
            "version": env!("CARGO_PKG_VERSION"),
            "state": state_word(&glance, !health.is_empty()),
            "online": { "starshipit": glance.online, "cartoncloud": self.has_cartoncloud.then_some(glance.sales_online) },
            "printers": printers,
            "scanners": scanners,
            "buttons": buttons,
            "lights": lights,
            "scale": self.devices.show_scale(),
            "question": question,
            "waiting": glance.working,
            "queued": glance.queued,
            "held": glance.held,
            "prefetch": {
                "today": glance.ahead.today,
                "daily_cap": glance.ahead.daily_cap,
                "code": glance.ahead.limited.then_some(Code::PrefetchLimit),
                "waiting": glance.ahead.waiting,
            },
            "unused": {
                "labels": glance.ahead.unused,
                "ready": glance.ahead.ready,
                "cents": glance.ahead.cents,
                "unpriced": glance.ahead.unpriced,
                "list": glance
                    .ahead
                    .labels
                    .iter()
                    .map(|label| json!({
                        "order": label.order,
                        "courier": label.courier,
                        "age_s": self.now().since(label.since).as_secs(),
                        "price_cents": label.price_cents,
                        "code": label.trouble,
                    }))
                    .collect::<Vec<_>>(),
            },
            "in_doubt": glance.in_doubt,
            "acts": acts,
            "last_print": last_print.map(|last| last.show()),
            "latency_ms": self.lately.latency(),
            "peers": self.peers.show(&self.name),
            "writebacks": {
                "pending": owed.pending,
                "oldest_s": owed.oldest.map(|since| self.now().since(since).as_secs()),
                "conflicts": owed.conflicts,
            },
            "ledger": {
                "orders": stats.orders,
                "open": stats.open,
                "bytes": stats.bytes_on_disk,
                "flushes": stats.flushes,
                "last_flush_us": stats.last_flush_us,
            },
            "duties": self.config.station.duties.iter().map(|duty| duty.as_str()).collect::<Vec<_>>(),
            "health": health
                .iter()
                .map(|(code, detail)| json!({ "code": code, "detail": detail }))
                .collect::<Vec<_>>(),
            "at": documents::rfc3339(self.now()),
        }))
    }
}

fn metres(cm: Option<u64>) -> Option<u64> {
    cm.map(|cm| cm.saturating_add(50) / 100)
}

/// An act that is under way or queued, as `status` shows it.
fn act_shown(act: &ActGlance) -> Value {
    json!({
        "scanned": act.scanned,
        "order": act.order,
        "trigger": act.by.trigger,
        "user": act.by.user,
        "at": documents::rfc3339(act.at),
        "queued": act.queued_until.is_some(),
        "expires": act.queued_until.map(documents::rfc3339),
    })
}

/// The one word of contract 24.
pub(in crate::runtime) fn state_word(glance: &Glance, sick: bool) -> &'static str {
    let trouble = glance.printers.iter().any(|(_, code)| code.is_some());
    if glance.draining {
        "draining"
    } else if glance.paused {
        "paused"
    } else if trouble || sick {
        "fault"
    } else if glance.working > 0 {
        "working"
    } else {
        "ready"
    }
}
