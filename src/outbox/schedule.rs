//! When which writeback is tried. Pure: orders, results and time in; what to try out.
//!
//! * A job waits after a failure: doubling from [`Pace::first`] to [`Pace::longest`], with jitter.
//! * A system that cannot be reached is paused as a whole; one job at a time looks whether it is back,
//!   each time the one that was tried longest ago. With the first answer everything is due at once.
//! * At most [`Pace::in_flight`] jobs of one system are tried at a time, the longest due first.
//! * Jobs of one sink within one order are tried one after the other, in their order.
//!
//! Invariant: a job that its order says is due is in here until an order says otherwise; no result
//! removes it. Kept per job: its number, sink, and when it is next tried; never an order.
//!
//! Long because queue, pause and order of jobs are one state: a change in one is a change in all.

use crate::domain::{Delivery, Mono, Order, OrderId, Timestamp, Writeback};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

/// Whether job `n` of an order may be tried now, as far as the order alone can tell: pending, and no
/// earlier sink makes it needless.
pub type IsDue = Box<dyn Fn(&Order, u32) -> bool + Send>;

/// How fast, how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Jobs of one system tried at a time. The clients keep the rate; this keeps them busy.
    pub in_flight: usize,
    /// Wait after the first failure.
    pub first: Duration,
    /// Longest wait that is ours; a system may ask for up to [`LONGEST_ASKED`].
    pub longest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            in_flight: 4,
            first: Duration::from_secs(2),
            longest: Duration::from_secs(600),
        }
    }
}

/// Longest wait that a system's own word can make.
pub const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// A new job looks whether a paused system is back when the last look is this old.
const NEW_JOB_LOOKS: Duration = Duration::from_secs(15);
/// A result whose record was never observed was lost: the job is tried again after this. The sinks
/// read first, so that costs a call and nothing else.
const RESULT_LOST: Duration = Duration::from_secs(600);
/// Orders without jobs whose sequence is still known, so that an older record that comes late does
/// not bring a delivered job back.
const FINISHED: usize = 1024;

/// A job to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its order.
    pub order: OrderId,
    /// Its number within the order.
    pub n: u32,
    /// Its sink.
    pub sink: Arc<str>,
    /// Which job of the schedule: after REDO another set of numbers may have the same `n`.
    job: u64,
}

/// The schedule of all jobs that are due.
pub struct Schedule {
    pace: Pace,
    is_due: IsDue,
    systems: Vec<System>,
    /// Sink name to index of its system.
    sinks: BTreeMap<Arc<str>, usize>,
    orders: HashMap<OrderId, Known>,
    /// Orders without jobs, oldest first.
    finished: VecDeque<OrderId>,
    /// Counts places in the queues, so that equal times are first come, first served.
    tickets: u64,
    random: u64,
}

struct Known {
    seq: u64,
    /// By number.
    jobs: Vec<Job>,
}

struct Job {
    id: u64,
    n: u32,
    /// Fingerprint of its set of numbers.
    set: u64,
    sink: Arc<str>,
    system: usize,
    /// Of the record last observed.
    attempts: u32,
    changed: Timestamp,
    overwrite: bool,
    /// Failures in a row, as far as this process knows.
    failures: u32,
    next: Mono,
    /// `next` is somebody's word, not our backoff: recovery does not bring it forward.
    firm: bool,
    flying: Option<Mono>,
    /// Flying, and its order does not want it any more.
    gone: bool,
    /// Its place in the queue; `None` while it flies or an earlier job of its sink is here.
    queued: Option<Place>,
}

/// When, a ticket, and the job.
type Place = (Mono, u64, OrderId, u64);

struct System {
    name: String,
    queue: BTreeSet<Place>,
    flying: usize,
    pause: Option<Pause>,
    /// Looks in a row that found it unreachable.
    failures: u32,
    /// When it last answered.
    reached: Option<Mono>,
}

struct Pause {
    /// The next look.
    until: Mono,
    /// When it was last found unreachable.
    last: Mono,
    /// The job that is looking.
    looking: Option<u64>,
}

impl Schedule {
    /// An empty schedule. `sinks` are names with their systems; a job of any other sink waits as if
    /// that sink's system were unreachable. `seed` makes the jitter.
    pub fn new<'a>(
        pace: Pace,
        sinks: impl IntoIterator<Item = (&'a str, &'a str)>,
        is_due: IsDue,
        seed: u64,
    ) -> Self {
        let mut schedule = Self {
            pace,
            is_due,
            systems: Vec::new(),
            sinks: BTreeMap::new(),
            orders: HashMap::new(),
            finished: VecDeque::new(),
            tickets: 0,
            random: seed,
        };
        for (sink, system) in sinks {
            let index = schedule.system(system);
            schedule.sinks.insert(sink.into(), index);
        }
        schedule
    }

    /// An order is durable as this. Records that come late, after a newer one, change nothing.
    pub fn observe(&mut self, order: &Order, now: Mono) {
        let mut before = match self.orders.get_mut(&order.id) {
            Some(known) if known.seq > order.seq => return,
            Some(known) => {
                known.seq = order.seq;
                std::mem::take(&mut known.jobs)
            }
            None => Vec::new(),
        };
        for job in &mut before {
            if let Some(place) = job.queued.take() {
                self.systems[job.system].queue.remove(&place);
            }
        }
        let mut jobs = Vec::new();
        for writeback in &order.writebacks {
            if !(self.is_due)(order, writeback.n) {
                continue;
            }
            let set = fingerprint(&writeback.tracking);
            let known = before.iter().position(|job| {
                job.n == writeback.n && job.set == set && *job.sink == *writeback.sink
            });
            let mut job = match known {
                Some(at) => before.swap_remove(at),
                None => self.new_job(writeback, now),
            };
            // The record of a failed attempt of ours leaves all these as they were.
            let asked_again = writeback.at != job.changed
                || writeback.attempts < job.attempts
                || (writeback.overwrite && !job.overwrite);
            if known.is_some() && asked_again && job.flying.is_none() {
                job.next = now;
                job.firm = false;
                job.failures = 0;
            }
            job.gone = false;
            job.attempts = writeback.attempts;
            job.changed = writeback.at;
            job.overwrite = writeback.overwrite;
            jobs.push(job);
        }
        // What flies keeps its place: a newer job of the same sink must not overtake it.
        jobs.extend(before.into_iter().filter_map(|mut job| {
            job.gone = true;
            job.flying.is_some().then_some(job)
        }));
        // The fall-back's place in the order is not its age.
        jobs.sort_by_key(|job| (job.n, !job.gone));
        self.keep(&order.id, order.seq, jobs);
    }

    /// A try has ended. The job stays until its order is observed without it.
    pub fn ended(&mut self, due: &Due, result: &Delivery, now: Mono) {
        let Some((mut job, seq, mut jobs)) = self.landed(due) else {
            return;
        };
        let order = &due.order;
        let looked = self.systems[job.system].is_looked_at_by(job.id);
        let since = job.flying.take().unwrap_or(now);
        match result {
            Delivery::Done { .. } | Delivery::Unsupported { .. } | Delivery::Conflict { .. } => {
                job.failures = 0;
                job.next = now.plus(RESULT_LOST);
                job.firm = true;
                self.reached(job.system, now);
            }
            Delivery::Retry {
                after,
                unreachable: false,
                ..
            } => {
                job.failures = job.failures.saturating_add(1);
                job.next = now.plus(self.wait(*after, job.failures));
                job.firm = after.is_some();
                self.reached(job.system, now);
            }
            Delivery::Retry {
                after,
                unreachable: true,
                ..
            } => {
                let answered_others = self.systems[job.system].reached > Some(since);
                if answered_others && !looked {
                    // Others got through meanwhile: it is this job's own trouble.
                    job.failures = job.failures.saturating_add(1);
                    job.next = now.plus(self.wait(*after, job.failures));
                    job.firm = after.is_some();
                } else {
                    job.next = now;
                    job.firm = false;
                    self.unreachable(job.system, looked, *after, now);
                }
            }
        }
        if !job.gone {
            jobs.push(job);
            jobs.sort_by_key(|job| (job.n, !job.gone));
        }
        self.put_back(order, seq, jobs);
    }

    /// A try did not take place: its order could not be read. Tried again after a wait.
    pub fn put_off(&mut self, due: &Due, now: Mono) {
        let Some((mut job, seq, mut jobs)) = self.landed(due) else {
            return;
        };
        let order = &due.order;
        job.flying = None;
        job.failures = job.failures.saturating_add(1);
        job.next = now.plus(self.wait(None, job.failures));
        job.firm = true;
        let system = &mut self.systems[job.system];
        if system.is_looked_at_by(job.id)
            && let Some(pause) = &mut system.pause
        {
            pause.looking = None;
        }
        if !job.gone {
            jobs.push(job);
            jobs.sort_by_key(|job| (job.n, !job.gone));
        }
        self.put_back(order, seq, jobs);
    }

    /// A person wants this job tried now, whatever it waits for.
    pub fn hurry(&mut self, order: &OrderId, n: u32, now: Mono) {
        let Some(known) = self.orders.get_mut(order) else {
            return;
        };
        let idle = |job: &&mut Job| job.n == n && job.flying.is_none();
        let Some(job) = known.jobs.iter_mut().find(idle) else {
            return;
        };
        job.failures = 0;
        job.firm = false;
        job.next = now;
        if let Some(pause) = &mut self.systems[job.system].pause
            && pause.looking.is_none()
        {
            pause.until = now;
        }
        // Before all others: a ticket that was never given.
        let first = (Mono(0), 0, order.clone(), job.id);
        if let Some(place) = job.queued.take() {
            let queue = &mut self.systems[job.system].queue;
            queue.remove(&place);
            queue.insert(first.clone());
            job.queued = Some(first);
        }
    }

    /// What is to be tried now. Every job named counts as being tried until [`Self::ended`] or
    /// [`Self::put_off`].
    pub fn due(&mut self, now: Mono) -> Vec<Due> {
        let mut due = Vec::new();
        for index in 0..self.systems.len() {
            while let Some((order, id)) = self.systems[index].take(self.pace.in_flight, now) {
                let known = self.orders.get_mut(&order);
                let job = known.and_then(|k| k.jobs.iter_mut().find(|job| job.id == id));
                // A place in a queue always has its job: both change together.
                let Some(job) = job else {
                    self.systems[index].landed_nowhere();
                    continue;
                };
                job.queued = None;
                job.flying = Some(now);
                let (n, sink) = (job.n, Arc::clone(&job.sink));
                due.push(Due {
                    order,
                    n,
                    sink,
                    job: id,
                });
            }
        }
        due
    }

    /// When [`Self::due`] is worth asking again, unless something is told before.
    pub fn next(&self) -> Option<Mono> {
        self.systems
            .iter()
            .filter_map(|system| system.next(self.pace.in_flight))
            .min()
    }

    /// Jobs in here, those that fly and are not wanted any more included.
    pub fn len(&self) -> usize {
        self.orders.values().map(|known| known.jobs.len()).sum()
    }

    /// Nothing is due.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Systems that are paused because they cannot be reached.
    pub fn unreachable_systems(&self) -> impl Iterator<Item = &str> {
        self.systems
            .iter()
            .filter(|system| system.pause.is_some())
            .map(|system| system.name.as_str())
    }

    fn new_job(&mut self, writeback: &Writeback, now: Mono) -> Job {
        let sink = writeback.sink.as_str();
        let (sink, system) = match self.sinks.get_key_value(sink) {
            Some((name, system)) => (Arc::clone(name), *system),
            None => {
                // Not configured (any more): a system of its own, which is never reachable.
                let name: Arc<str> = sink.into();
                let system = self.system(sink);
                self.sinks.insert(Arc::clone(&name), system);
                (name, system)
            }
        };
        if let Some(pause) = &mut self.systems[system].pause {
            let look = pause.last.plus(NEW_JOB_LOOKS).max(now);
            pause.until = pause.until.min(look);
        }
        self.tickets += 1;
        Job {
            id: self.tickets,
            n: writeback.n,
            set: fingerprint(&writeback.tracking),
            sink,
            system,
            attempts: 0,
            changed: Timestamp::default(),
            overwrite: false,
            failures: 0,
            next: now,
            firm: false,
            flying: None,
            gone: false,
            queued: None,
        }
    }

    fn system(&mut self, name: &str) -> usize {
        if let Some(index) = self.systems.iter().position(|s| s.name == name) {
            return index;
        }
        self.systems.push(System {
            name: name.to_owned(),
            queue: BTreeSet::new(),
            flying: 0,
            pause: None,
            failures: 0,
            reached: None,
        });
        self.systems.len() - 1
    }

    /// Takes a flying job out, with its order's other jobs, for a change.
    fn landed(&mut self, due: &Due) -> Option<(Job, u64, Vec<Job>)> {
        let known = self.orders.get_mut(&due.order)?;
        let at = known
            .jobs
            .iter()
            .position(|job| job.id == due.job && job.flying.is_some())?;
        let job = known.jobs.remove(at);
        self.systems[job.system].flying -= 1;
        Some((job, known.seq, std::mem::take(&mut known.jobs)))
    }

    fn put_back(&mut self, order: &OrderId, seq: u64, mut jobs: Vec<Job>) {
        for job in &mut jobs {
            if let Some(place) = job.queued.take() {
                self.systems[job.system].queue.remove(&place);
            }
        }
        self.keep(order, seq, jobs);
    }

    /// Queues the first job of each sink and keeps them all.
    fn keep(&mut self, order: &OrderId, seq: u64, mut jobs: Vec<Job>) {
        for at in 0..jobs.len() {
            let (earlier, rest) = jobs.split_at_mut(at);
            let job = &mut rest[0];
            let waits = earlier.iter().any(|other| other.sink == job.sink);
            if waits || job.flying.is_some() {
                continue;
            }
            self.tickets += 1;
            let place = (job.next, self.tickets, order.clone(), job.id);
            self.systems[job.system].queue.insert(place.clone());
            job.queued = Some(place);
        }
        let empty = jobs.is_empty();
        // Room for four is what a vector takes for its first; ten thousand orders may owe one each.
        jobs.shrink_to_fit();
        let was = self.orders.insert(order.clone(), Known { seq, jobs });
        let was_empty = was.is_some_and(|known| known.jobs.is_empty());
        if !empty || (was_empty && self.finished.contains(order)) {
            return;
        }
        self.finished.push_back(order.clone());
        if self.finished.len() > FINISHED
            && let Some(oldest) = self.finished.pop_front()
            && self.orders.get(&oldest).is_some_and(|k| k.jobs.is_empty())
        {
            self.orders.remove(&oldest);
        }
    }

    /// The system answers. If it did not before, everything of it is due at once.
    fn reached(&mut self, index: usize, now: Mono) {
        let system = &mut self.systems[index];
        system.reached = Some(now);
        system.failures = 0;
        if system.pause.take().is_none() {
            return;
        }
        let places = std::mem::take(&mut system.queue);
        for (next, ticket, order, id) in places {
            let known = self.orders.get_mut(&order);
            let job = known.and_then(|k| k.jobs.iter_mut().find(|job| job.id == id));
            let Some(job) = job else { continue };
            if !job.firm && next > now {
                job.next = now;
            }
            let next = if job.firm { next } else { next.min(now) };
            let place = (next, ticket, order, id);
            job.queued = Some(place.clone());
            self.systems[index].queue.insert(place);
        }
    }

    /// The system does not answer.
    fn unreachable(&mut self, index: usize, looked: bool, after: Option<Duration>, now: Mono) {
        let system = &self.systems[index];
        // Others that were under way when it went away say nothing new.
        if system.pause.is_some() && !looked {
            return;
        }
        let failures = system.failures.saturating_add(1);
        let until = now.plus(self.wait(after, failures));
        let system = &mut self.systems[index];
        system.failures = failures;
        system.pause = Some(Pause {
            until,
            last: now,
            looking: None,
        });
    }

    /// How long to wait after so many failures in a row: between half of the doubled time and all
    /// of it; a system's own word, plus a tenth so that not all come at once.
    fn wait(&mut self, asked: Option<Duration>, failures: u32) -> Duration {
        let chance = self.chance();
        if let Some(asked) = asked {
            let asked = asked.clamp(Duration::from_millis(100), LONGEST_ASKED);
            return asked + asked.mul_f64(chance / 10.0);
        }
        let doublings = failures.saturating_sub(1).min(31);
        let full = self
            .pace
            .first
            .saturating_mul(1 << doublings)
            .min(self.pace.longest);
        full.mul_f64(0.5 + chance / 2.0)
    }

    /// In [0, 1), by splitmix64: no need for more than spreading.
    fn chance(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let high = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(u32::MAX);
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }
}

impl System {
    /// The next job, if one may fly now.
    fn take(&mut self, in_flight: usize, now: Mono) -> Option<(OrderId, u64)> {
        let first = self.queue.first().filter(|place| place.0 <= now)?;
        match &self.pause {
            Some(pause) if pause.looking.is_some() || now < pause.until => return None,
            None if self.flying >= in_flight => return None,
            _ => {}
        }
        let place = first.clone();
        self.queue.remove(&place);
        self.flying += 1;
        if let Some(pause) = &mut self.pause {
            pause.looking = Some(place.3);
        }
        Some((place.2, place.3))
    }

    fn is_looked_at_by(&self, job: u64) -> bool {
        self.pause.as_ref().and_then(|p| p.looking) == Some(job)
    }

    fn landed_nowhere(&mut self) {
        self.flying -= 1;
        if let Some(pause) = &mut self.pause {
            pause.looking = None;
        }
    }

    fn next(&self, in_flight: usize) -> Option<Mono> {
        let first = self.queue.first()?.0;
        match &self.pause {
            Some(pause) if pause.looking.is_some() => None,
            Some(pause) => Some(first.max(pause.until)),
            None if self.flying >= in_flight => None,
            None => Some(first),
        }
    }
}

fn fingerprint(tracking: &[String]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    tracking.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
