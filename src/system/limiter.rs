//! How fast we may ask: one limiter per subscription key or tenant (contract 30).
//!
//! At most N sends in any 1.05 s, the 50 ms being slack for the way there. One of the N is kept
//! for scans, so that background work never makes a packer wait for a whole window. Waiting is
//! by priority, in order of arrival within one priority, and dropping a waiting future gives its
//! place up. A 429 pauses everyone who uses the key.
//!
//! There is no task behind this: the first in the queue holds the timer, the others sleep until
//! they become the first.

use rand::TryRngCore;
use rand::rngs::OsRng;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Who goes first when not everybody can. The order of the variants is the order of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody stands at the bench and waits.
    Scan,
    /// Orders that were queued while the network was down.
    Release,
    /// Tracking numbers on their way out.
    Writeback,
    /// Looking at what is going on.
    Poll,
    /// Labels bought ahead.
    Prefetch,
}

/// The span of contract 30.
const WINDOW: Duration = Duration::from_millis(1050);
/// Waits after a 429 that names no time, one after the other.
const BACKOFF_SECONDS: [u64; 4] = [1, 2, 4, 8];
/// No queue grows without end: a thousand waiting calls are many minutes even at the fast rate.
const MAX_WAITING: usize = 1_000;
/// A pause is never longer, whatever `Retry-After` says: the next 429 renews it.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Up to this many requests a minute are spread out evenly: one each 50 ms or slower, which the
/// timer (1 ms) can still tell apart.
const SPREAD_UP_TO: u32 = 1_200;

/// Why a call was not let through. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A 429's pause lasts longer than the caller can wait; this much of it is left.
    Paused(Duration),
    /// The caller's patience ended in the queue, or the queue is full.
    Busy,
}

/// Lets calls through no faster than the key allows.
#[derive(Debug)]
pub(crate) struct Limiter {
    slots: usize,
    window: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Sends of the last window, oldest first; true for a scan's.
    sent: VecDeque<(Instant, bool)>,
    waiting: BTreeMap<(Priority, u64), Arc<Notify>>,
    next_ticket: u64,
    paused_until: Option<Instant>,
    throttled_at: Option<Instant>,
    /// How many pauses without a good reply between them.
    throttles: usize,
}

impl Limiter {
    /// A station's share of a key that allows `requests_per_second` to `stations` together.
    pub(crate) fn new(requests_per_second: u32, stations: u32) -> Self {
        let (rate, stations) = (requests_per_second.max(1), stations.max(1));
        let whole = rate / stations;
        // Less than one per window: one, in a window that is longer by as much.
        let window = if whole == 0 {
            WINDOW.saturating_mul(stations) / rate
        } else {
            WINDOW
        };
        Self {
            slots: usize::try_from(whole.max(1)).unwrap_or(1),
            window,
            inner: Mutex::default(),
        }
    }

    /// For a rate by the minute. Slow rates are spread out, one send at a time: a burst of a whole
    /// minute's sends would leave a scan without any for the rest of it, while one slot that comes
    /// round soon goes to scans first and costs the others nothing.
    pub(crate) fn per_minute(requests: u32) -> Self {
        let requests = requests.max(1);
        if requests > SPREAD_UP_TO {
            return Self::new(requests / 60, 1);
        }
        Self {
            slots: 1,
            window: WINDOW.saturating_mul(60) / requests,
            inner: Mutex::default(),
        }
    }

    /// Waits for a slot, at most `patience`, and takes it. The call must be sent at once.
    ///
    /// Returns when the slot was taken, for [`Self::throttled`].
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        priority: Priority,
        patience: Duration,
    ) -> Result<Instant, Refusal> {
        let give_up = Instant::now() + patience;
        let mut place = Place::take(self, priority).ok_or(Refusal::Busy)?;
        loop {
            let wake = match self.step(&mut place, give_up)? {
                Step::Go(now) => return Ok(now),
                Step::At(when) => when.min(give_up),
                // Others are before us. Becoming the first is announced; patience is our own.
                Step::Turn => give_up,
            };
            tokio::select! {
                () = place.notify.notified() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn step(&self, place: &mut Place, give_up: Instant) -> Result<Step, Refusal> {
        let mut inner = self.lock();
        let now = Instant::now();
        if let Some(until) = inner.paused_until
            && until > give_up
        {
            return Err(Refusal::Paused(until.saturating_duration_since(now)));
        }
        let is_first = inner.waiting.keys().next() == Some(&place.key);
        let step = if is_first {
            self.when(&mut inner, place.key.0, now)
        } else {
            Step::Turn
        };
        if let Step::Go(now) = step {
            inner.sent.push_back((now, place.key.0 == Priority::Scan));
            place.leave(&mut inner);
        } else if now >= give_up {
            return Err(Refusal::Busy);
        }
        Ok(step)
    }

    /// When the first in the queue may go.
    fn when(&self, inner: &mut Inner, priority: Priority, now: Instant) -> Step {
        if let Some(until) = inner.paused_until.filter(|&until| until > now) {
            return Step::At(until);
        }
        while inner
            .sent
            .front()
            .is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.window)
        {
            inner.sent.pop_front();
        }
        // With a single slot there is none to keep: scans are first in the queue, that is all.
        let background = (self.slots - 1).max(1);
        let mut wait = None;
        if inner.sent.len() >= self.slots {
            wait = inner.sent.front().map(|(at, _)| *at);
        }
        if priority != Priority::Scan {
            let mut others = inner.sent.iter().filter(|(_, scan)| !scan);
            if others.clone().count() >= background {
                wait = wait.max(others.next().map(|(at, _)| *at));
            }
        }
        wait.map_or(Step::Go(now), |at| Step::At(at + self.window))
    }

    /// The service said 429 to a call that took its slot at `taken`. Everyone waits.
    ///
    /// Returns the pause that was chosen.
    pub(crate) fn throttled(&self, taken: Instant, asked: Option<Duration>) -> Duration {
        let mut inner = self.lock();
        let now = Instant::now();
        // Several calls that were under way together are one event, not several.
        if inner.throttled_at.is_none_or(|at| taken > at) {
            inner.throttles = (inner.throttles + 1).min(BACKOFF_SECONDS.len());
        }
        inner.throttled_at = Some(now);
        let own = BACKOFF_SECONDS[inner.throttles.clamp(1, BACKOFF_SECONDS.len()) - 1];
        let least = asked.unwrap_or(Duration::from_secs(own)).min(MAX_PAUSE);
        // Jitter only ever lengthens: stations that share the key must not come back together,
        // and none may come back early.
        let pause = least
            .max(Duration::from_millis(100))
            .mul_f64(1.0 + chance() / 4.0);
        let until = now + pause;
        if inner.paused_until.is_none_or(|old| old < until) {
            inner.paused_until = Some(until);
        }
        if let Some(first) = inner.waiting.values().next() {
            first.notify_one();
        }
        pause
    }

    /// The service took a call: the next 429 starts from the shortest wait again.
    pub(crate) fn served(&self, taken: Instant) {
        let mut inner = self.lock();
        if inner.throttled_at.is_none_or(|at| taken > at) {
            inner.throttles = 0;
        }
    }

    /// Sends that could leave at once: 0 in a 429's pause.
    pub(crate) fn left(&self) -> usize {
        let inner = self.lock();
        let now = Instant::now();
        if inner.paused_until.is_some_and(|until| until > now) {
            return 0;
        }
        let sent = inner
            .sent
            .iter()
            .filter(|(at, _)| now.saturating_duration_since(*at) < self.window)
            .count();
        self.slots.saturating_sub(sent)
    }

    /// Sends that one window takes.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// The longest a single slot takes to come round.
    pub(crate) fn window(&self) -> Duration {
        self.window
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere leaves nothing half-done here: every change is a single step.
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A number from 0 to 1, so that stations do not act in step.
pub(crate) fn chance() -> f64 {
    // Without randomness everybody waits the same: worse, not wrong.
    f64::from(OsRng.try_next_u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

enum Step {
    Go(Instant),
    At(Instant),
    Turn,
}

/// A place in the queue; given up when dropped.
struct Place {
    limiter: Arc<Limiter>,
    key: (Priority, u64),
    notify: Arc<Notify>,
    left: bool,
}

impl Place {
    fn take(limiter: &Arc<Limiter>, priority: Priority) -> Option<Self> {
        let mut inner = limiter.lock();
        if inner.waiting.len() >= MAX_WAITING && priority != Priority::Scan {
            return None;
        }
        let key = (priority, inner.next_ticket);
        inner.next_ticket += 1;
        let notify = Arc::new(Notify::new());
        inner.waiting.insert(key, Arc::clone(&notify));
        drop(inner);
        Some(Self {
            limiter: Arc::clone(limiter),
            key,
            notify,
            left: false,
        })
    }

    fn leave(&mut self, inner: &mut Inner) {
        self.left = true;
        inner.waiting.remove(&self.key);
        if let Some(first) = inner.waiting.values().next() {
            first.notify_one();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            let limiter = Arc::clone(&self.limiter);
            let mut inner = limiter.lock();
            self.leave(&mut inner);
        }
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
