//! The one unresolved call per order (contract 1 and 2).
//!
//! A call that is not idempotent (Print Label, replace, clone) is on disk as an intent before it
//! leaves, and stays until its outcome is known. It is sent again only when it provably did
//! nothing, or when two looks at least [`LOOKS_APART`] apart, the last at least `starshipit.settle`
//! after the send, say that nothing happened; at most [`MAX_SENDS`] times. Ages are measured on
//! the monotonic clock, and after a restart from the restart: a clock that jumps can only make the
//! station wait longer.
//!
//! Over 500 lines because everything that may send or settle a purchase is seen in one file.

use super::{Effect, QuestionKind, Station, Waiting};
use crate::domain::order::{Choices, Intent, IntentKind, Origin, Standing};
use crate::domain::{
    ActId, ActKind, Bought, CallFailure, Code, Moment, OrderId, Outcome, RemoteOrder, Shipment,
};
use std::time::Duration;

/// Sends of one intent that may have reached the courier.
const MAX_SENDS: u8 = 2;
/// Two looks that together mean "it did not happen" are at least so far apart.
pub(super) const LOOKS_APART: Duration = Duration::from_secs(5);
/// Times the service may ask to wait before the person is told.
pub(super) const MAX_THROTTLED: u32 = 6;

impl Station {
    /// Buys: intent first, then exactly one request.
    pub(super) fn buy(
        &mut self,
        act: ActId,
        id: &OrderId,
        remote: &RemoteOrder,
        with: Choices,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.stage_done(Some(act), now, |t, ms| {
            t.resolve.get_or_insert(ms);
        });
        self.work_on(act, id, now);
        let record = self.change(id, now, |order| {
            order.standing = Standing::Released;
            order.fingerprint.clone_from(&remote.fingerprint);
            order.intent = Some(Intent {
                kind: IntentKind::Buy,
                order_id: remote.order_id,
                sends: 1,
                sent_at: now.wall,
                with,
                ahead: false,
            });
        });
        // From here on the intent tells what is to be done; after a crash nothing starts over.
        if let Some(running) = self.running.get_mut(&act) {
            running.act.kind = ActKind::Ship;
        }
        self.accept(act, record.into_iter().collect(), out);
        self.send_intent(id, now, out);
    }

    /// The request of an intent whose send is already on disk.
    pub(super) fn send_intent(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let Some((order, intent)) = self
            .orders
            .get(id)
            .and_then(|order| Some((order, order.intent.as_ref()?)))
        else {
            return;
        };
        let account = order.account.clone();
        out.push(match intent.kind {
            IntentKind::Buy => Effect::Buy {
                order: id.clone(),
                account,
                order_id: intent.order_id,
                reprint: false,
                with: intent.with.clone(),
                ahead: intent.ahead && self.waiting_act(id).is_none(),
            },
            IntentKind::Replace => Effect::Replace {
                order: id.clone(),
                account,
                order_id: intent.order_id,
            },
            IntentKind::Clone => Effect::Clone {
                order: id.clone(),
                account,
                order_id: intent.order_id,
            },
            IntentKind::Create => Effect::Create {
                order: id.clone(),
                account,
                uuid: order
                    .sale
                    .as_ref()
                    .map(|s| s.uuid.clone())
                    .unwrap_or_default(),
                number: order.number.clone(),
                reference: order.reference.clone(),
                route: self.settings.route_of(order).unwrap_or_default(),
                with: intent.with.clone(),
                urgent: self.waiting_act(id).is_some(),
            },
        });
        if let Some(job) = self.jobs.get_mut(id) {
            job.waiting = Waiting::Reply;
            job.sent = now.mono;
            job.clear_since = None;
            job.looks = 0;
        }
    }

    /// Sends the intent once more, if it may.
    pub(super) fn send_again(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let (sends, kind) = self
            .orders
            .get(id)
            .and_then(|o| o.intent.as_ref())
            .map_or((0, IntentKind::Buy), |i| (i.sends, i.kind));
        if sends >= MAX_SENDS {
            // Settled: it did not happen. A person decides whether to try once more.
            let (code, why) = match kind {
                IntentKind::Create => (Code::NotPushed, "no answer twice, and no order was made"),
                _ => (
                    Code::CourierRefused,
                    "no answer twice, and no label was made",
                ),
            };
            self.purchase_refused(id, code, why, now, out);
            return;
        }
        let record = self.change(id, now, |order| {
            if let Some(intent) = &mut order.intent {
                intent.sends += 1;
                intent.sent_at = now.wall;
            }
        });
        out.push(Effect::Remember(record.into_iter().collect()));
        self.send_intent(id, now, out);
    }

    /// Print Label has answered, or not.
    pub(super) fn bought(
        &mut self,
        id: OrderId,
        reprint: bool,
        result: Result<Bought, CallFailure>,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        self.unbacked.remove(&id);
        if reprint {
            self.fetched(&id, result, now, out);
            return;
        }
        match result {
            Ok(bought) => {
                self.came_online(out);
                self.stage_done(self.waiting_act(&id), now, |t, ms| t.buy = Some(ms));
                self.shipped(&id, bought, now, out);
            }
            Err(failure) => self.call_failed(&id, failure, now, out),
        }
    }

    /// A shipment exists and its reply is here: number, documents and end of the intent are one
    /// record, durable before anything is stored or printed (P2, contract 11).
    pub(super) fn shipped(
        &mut self,
        id: &OrderId,
        bought: Bought,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        let documents: Vec<_> = bought.documents.iter().map(|d| d.id.clone()).collect();
        let order_id = if bought.order_id != 0 {
            bought.order_id
        } else {
            self.orders
                .get(id)
                .and_then(|o| o.intent.as_ref().map(|i| i.order_id))
                .unwrap_or_default()
        };
        let record = self.change(id, now, |order| {
            let ahead = order.intent.take().is_some_and(|intent| intent.ahead);
            order.shipments.push(Shipment {
                order_id,
                carrier: bought.carrier_name.clone(),
                tracking: bought.tracking.clone(),
                documents: bought.documents.clone(),
                stored: false,
                pages: Vec::new(),
                superseded: false,
                untracked: false,
                origin: Origin::Here,
                ahead,
                unverified: false,
                price_cents: None,
                at: now.wall,
            });
        });
        out.push(Effect::Remember(record.into_iter().collect()));
        self.watch_for_number(id, now);
        if documents.is_empty() || bought.undecodable > 0 {
            self.fetch_label(id, now, out);
            return;
        }
        out.push(Effect::Store {
            order: id.clone(),
            order_id,
            documents,
        });
        if let Some(job) = self.jobs.get_mut(id) {
            job.waiting = Waiting::Reply;
        }
    }

    /// A call that is not idempotent has failed, one way or another.
    pub(super) fn call_failed(
        &mut self,
        id: &OrderId,
        failure: CallFailure,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        match failure {
            CallFailure::NotSent { .. } => {
                // Nothing left the host, and an earlier send was settled before this one: nothing
                // is open, and the scan waits for the network like any other.
                let act = self.jobs.remove(id).and_then(|job| job.act);
                let mut bought = true;
                let mut ahead = false;
                let record = self.change(id, now, |order| {
                    let intent = order.intent.take();
                    ahead = intent.as_ref().is_some_and(|i| i.ahead);
                    bought = intent
                        .is_some_and(|i| matches!(i.kind, IntentKind::Buy | IntentKind::Create));
                    order.standing = Standing::Resting;
                    if ahead && act.is_none() {
                        Self::want_again(order);
                    }
                });
                let count = ahead.then(|| self.not_bought_ahead(id, now)).flatten();
                out.push(Effect::Remember(record.into_iter().chain(count).collect()));
                if ahead && act.is_none() {
                    // A call that goes after all others may only have lost its turn.
                    self.pause_pushes(id, super::push::PAUSE, now);
                    return;
                }
                self.went_offline(now);
                match act {
                    Some(act) if bought => self.queue_or_refuse(act, now, out),
                    Some(act) => self.refuse_offline(act, out),
                    None => {}
                }
            }
            CallFailure::Throttled { retry_after } => {
                self.unsend(id, now, out);
                let job = self.job(id, now);
                job.throttled += 1;
                if job.throttled > MAX_THROTTLED {
                    self.purchase_refused(id, Code::RateLimited, "", now, out);
                    return;
                }
                let throttled = job.throttled;
                self.job(id, now).waiting = Waiting::Send {
                    at: now.mono.plus(wait_asked(retry_after, throttled)),
                };
            }
            CallFailure::Refused { code, detail } => {
                self.came_online(out);
                self.purchase_refused(id, code, &detail, now, out);
            }
            CallFailure::Unknown { .. } => {
                // The first look comes at once: most lost replies were committed long ago.
                self.job(id, now).waiting = Waiting::Look { at: now.mono };
                self.run_due(id, now, out);
            }
        }
    }

    /// The last send provably did nothing.
    pub(super) fn unsend(&mut self, id: &OrderId, now: Moment, out: &mut Vec<Effect>) {
        let record = self.change(id, now, |order| {
            if let Some(intent) = &mut order.intent {
                intent.sends = intent.sends.saturating_sub(1);
            }
        });
        out.push(Effect::Remember(record.into_iter().collect()));
    }

    /// Nothing was bought, and it is known why.
    pub(super) fn purchase_refused(
        &mut self,
        id: &OrderId,
        code: Code,
        detail: &str,
        now: Moment,
        out: &mut Vec<Effect>,
    ) {
        if code == Code::WeightMissing && self.weighed_instead(id, now, out) {
            return;
        }
        let act = self.jobs.remove(id).and_then(|job| job.act);
        let mut with = Choices::default();
        let creating = self
            .orders
            .get(id)
            .and_then(|o| o.intent.as_ref())
            .is_some_and(|i| i.kind == IntentKind::Create);
        let its_own = !creating || act.is_some() || self.push_refused(id, code, now);
        let ahead = self
            .orders
            .get(id)
            .and_then(|o| o.intent.as_ref())
            .is_some_and(|i| i.ahead);
        let record = self.change(id, now, |order| {
            if let Some(intent) = order.intent.take() {
                with = intent.with;
            }
            // An order with a label keeps it: only the extra parcel was refused. One that nobody
            // scanned is refused, or asked about, at its scan.
            let unscanned = ahead && act.is_none();
            order.standing = if order.live().next().is_some() || !its_own || unscanned {
                Standing::Resting
            } else {
                Standing::Refused(code)
            };
        });
        let count = ahead.then(|| self.not_bought_ahead(id, now)).flatten();
        let records: Vec<_> = record.into_iter().chain(count).collect();
        let Some(act) = act else {
            out.push(Effect::Remember(records));
            return;
        };
        let asks = matches!(
            code,
            Code::CourierMissing | Code::WeightMissing | Code::PackagingMissing
        ) && self.confirm_of(id) != super::Confirm::Never
            && self
                .orders
                .get(id)
                .is_some_and(|o| o.live().next().is_none());
        let outcome = if asks {
            let kind = QuestionKind::Before {
                kind: ActKind::Ship,
                with,
            };
            self.open_question(act, id, Some(code), kind, now);
            Outcome::Question
        } else {
            Outcome::Refused
        };
        let reply = self.coded(outcome, code, Some(detail));
        self.end_act(act, records, reply, out);
    }

    pub(super) fn waiting_act(&self, id: &OrderId) -> Option<ActId> {
        self.jobs.get(id).and_then(|job| job.act)
    }

    pub(super) fn job(&mut self, id: &OrderId, now: Moment) -> &mut super::Job {
        self.jobs.entry(id.clone()).or_insert(super::Job {
            act: None,
            waiting: Waiting::Reply,
            sent: now.mono,
            clear_since: None,
            looks: 0,
            throttled: 0,
            fetches: 0,
            pusher_until: None,
            sale_print: None,
            ahead: false,
            unchecked: false,
        })
    }
}

/// What the service asked for, or 1, 2, 4, 8 s; never more than a minute.
pub(super) fn wait_asked(retry_after: Option<Duration>, times: u32) -> Duration {
    retry_after
        .unwrap_or_else(|| Duration::from_secs(1 << times.min(4)))
        .clamp(Duration::from_millis(200), Duration::from_secs(60))
}
