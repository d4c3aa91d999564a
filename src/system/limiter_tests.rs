use super::*;
use proptest::prelude::*;
use std::sync::Mutex as StdMutex;

const PATIENT: Duration = Duration::from_secs(3600);

type Log = Arc<StdMutex<Vec<(Instant, &'static str)>>>;

fn limiter(rate: u32, stations: u32) -> Arc<Limiter> {
    Arc::new(Limiter::new(rate, stations))
}

fn spawn(limiter: &Arc<Limiter>, log: &Log, name: &'static str, priority: Priority) {
    let (limiter, log) = (Arc::clone(limiter), Arc::clone(log));
    tokio::spawn(async move {
        let at = limiter.acquire(priority, PATIENT).await.unwrap();
        log.lock().unwrap().push((at, name));
    });
}

/// Lets every spawned task reach its wait, without time passing.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn names(log: &Log) -> Vec<&'static str> {
    log.lock().unwrap().iter().map(|(_, n)| *n).collect()
}

/// The most sends in any window of `span` that begins at a send; `times` in order.
fn most_within(times: &[Instant], span: Duration) -> usize {
    let mut end = 0;
    let in_window = |(begin, start): (usize, &Instant)| {
        while times.get(end).is_some_and(|t| *t < *start + span) {
            end += 1;
        }
        end - begin
    };
    times.iter().enumerate().map(in_window).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn impatience_ends_the_wait_without_taking_a_slot() {
    let limiter = limiter(1, 1);
    limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
    let short = Duration::from_millis(500);
    assert_eq!(
        limiter.acquire(Priority::Scan, short).await,
        Err(Refusal::Busy)
    );
    let before = Instant::now();
    limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_millis(550));
}

#[tokio::test(start_paused = true)]
async fn a_pause_longer_than_the_patience_is_told_at_once() {
    let limiter = limiter(2, 1);
    let taken = limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
    limiter.throttled(taken, Some(Duration::from_secs(60)));
    let before = Instant::now();
    let refusal = limiter
        .acquire(Priority::Scan, Duration::from_secs(30))
        .await;
    let Err(Refusal::Paused(left)) = refusal else {
        panic!("{refusal:?}")
    };
    assert!(left >= Duration::from_secs(60), "{left:?}");
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_queue_of_background_work_has_an_end_and_a_scan_still_gets_in() {
    let limiter = limiter(1, 1);
    let log = Log::default();
    limiter.acquire(Priority::Poll, PATIENT).await.unwrap();
    for _ in 0..MAX_WAITING {
        spawn(&limiter, &log, "poll", Priority::Poll);
    }
    settle().await;
    tokio::time::advance(Duration::ZERO).await;
    while limiter.lock().waiting.len() < MAX_WAITING {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        limiter.acquire(Priority::Poll, PATIENT).await,
        Err(Refusal::Busy)
    );
    limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiting_calls_go_by_priority_and_then_in_order_of_arrival() {
    let limiter = limiter(1, 1);
    let log = Log::default();
    limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
    for (name, priority) in [
        ("prefetch", Priority::Prefetch),
        ("poll 1", Priority::Poll),
        ("poll 2", Priority::Poll),
        ("writeback", Priority::Writeback),
        ("release", Priority::Release),
        ("scan 1", Priority::Scan),
        ("scan 2", Priority::Scan),
    ] {
        spawn(&limiter, &log, name, priority);
        settle().await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    let order = [
        "scan 1",
        "scan 2",
        "release",
        "writeback",
        "poll 1",
        "poll 2",
        "prefetch",
    ];
    assert_eq!(names(&log), order);
}

#[tokio::test(start_paused = true)]
async fn one_slot_is_kept_for_scans_whatever_else_waits() {
    let limiter = limiter(2, 1);
    let log = Log::default();
    for _ in 0..20 {
        spawn(&limiter, &log, "poll", Priority::Poll);
    }
    settle().await;
    for _ in 0..5 {
        // At any moment at most one slot of two is taken by the polls.
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        let before = Instant::now();
        limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
    assert!(names(&log).len() >= 5, "{:?}", names(&log));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_call_that_is_dropped_gives_its_place_up() {
    let limiter = limiter(1, 1);
    limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
    let first = tokio::spawn({
        let limiter = Arc::clone(&limiter);
        async move { limiter.acquire(Priority::Scan, PATIENT).await }
    });
    settle().await;
    let log = Log::default();
    spawn(&limiter, &log, "second", Priority::Poll);
    settle().await;
    first.abort();
    let before = Instant::now();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(names(&log), ["second"]);
    let at = log.lock().unwrap()[0].0;
    assert_eq!(at - before, WINDOW);
    assert!(limiter.lock().waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn pauses_double_until_a_good_reply_and_one_event_counts_once() {
    let limiter = limiter(2, 1);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let taken = limiter.acquire(Priority::Poll, PATIENT).await.unwrap();
        pauses.push(limiter.throttled(taken, None));
        // Its companion was under way at the same time: the same event.
        let again = limiter.throttled(taken, None);
        let step = pauses.last().unwrap().as_secs_f64() / again.as_secs_f64();
        assert!((0.79..1.26).contains(&step), "{pauses:?} {again:?}");
    }
    for (pause, seconds) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 8.0, 8.0]) {
        let pause = pause.as_secs_f64();
        assert!((seconds..=seconds * 1.25).contains(&pause), "{pauses:?}");
    }
    let taken = limiter.acquire(Priority::Poll, PATIENT).await.unwrap();
    limiter.served(taken);
    let taken = limiter.acquire(Priority::Poll, PATIENT).await.unwrap();
    assert!(limiter.throttled(taken, None) < Duration::from_millis(1_300));
}

#[tokio::test(start_paused = true)]
async fn a_pause_stops_everyone_who_uses_the_key() {
    let limiter = limiter(20, 1);
    let log = Log::default();
    let taken = limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
    limiter.throttled(taken, Some(Duration::from_secs(7)));
    spawn(&limiter, &log, "scan", Priority::Scan);
    spawn(&limiter, &log, "poll", Priority::Poll);
    tokio::time::sleep(Duration::from_millis(6_900)).await;
    assert_eq!(names(&log), Vec::<&str>::new());
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(names(&log), ["scan", "poll"]);
}

#[tokio::test(start_paused = true)]
async fn a_share_below_one_per_second_is_one_in_a_longer_window() {
    let limiter = limiter(2, 20);
    let mut times = Vec::new();
    for _ in 0..4 {
        times.push(limiter.acquire(Priority::Scan, PATIENT).await.unwrap());
    }
    for pair in times.windows(2) {
        assert_eq!(pair[1] - pair[0], Duration::from_millis(10_500));
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_scans_leaves_at_the_full_rate() {
    let limiter = limiter(20, 1);
    let start = Instant::now();
    for _ in 0..201 {
        limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
    }
    assert_eq!(start.elapsed(), WINDOW * 10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Calls of any kind arrive at any time, some give up: no window has more than its share,
    /// scans have their slot, all the patient ones get through, and nobody stays in the queue.
    #[test]
    fn no_window_ever_has_more_sends_than_the_key_allows(
        rate in 1_u32..6,
        stations in 1_u32..4,
        calls in proptest::collection::vec((0_u64..3_000, 0_usize..5, 0_u64..4), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let priorities = [
            Priority::Scan, Priority::Release, Priority::Writeback, Priority::Poll, Priority::Prefetch,
        ];
        let limiter = limiter(rate, stations);
        let slots = usize::try_from((rate / stations).max(1)).unwrap();
        let (sent, patient) = runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            let mut patient = 0;
            for (delay, priority, gives_up) in calls {
                let limiter = Arc::clone(&limiter);
                let priority = priorities[priority];
                patient += usize::from(gives_up != 0);
                tasks.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(delay)).await;
                    let acquire = limiter.acquire(priority, PATIENT);
                    let limit = if gives_up == 0 { Duration::from_millis(700) } else { PATIENT };
                    let taken = tokio::time::timeout(limit, acquire).await.ok()?.ok()?;
                    Some((taken, priority, gives_up != 0))
                });
            }
            let sent: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
            (sent, patient)
        });
        let times: Vec<Instant> = sent.iter().map(|(at, ..)| *at).collect();
        prop_assert!(most_within(&times, limiter.window()) <= slots);
        let background: Vec<Instant> = sent
            .iter()
            .filter(|(_, p, _)| *p != Priority::Scan)
            .map(|(at, ..)| *at)
            .collect();
        prop_assert!(most_within(&background, limiter.window()) <= (slots - 1).max(1));
        prop_assert_eq!(sent.iter().filter(|(.., stays)| *stays).count(), patient);
        prop_assert!(limiter.lock().waiting.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_by_the_minute_is_spread_out_and_nearly_used_up() {
    for rate in [1, 30, 60, 600, 1_200, 12_000] {
        let limiter = Arc::new(Limiter::per_minute(rate));
        let mut times = Vec::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(240) {
            limiter.acquire(Priority::Writeback, PATIENT).await.unwrap();
            times.push(Instant::now());
        }
        let rate = usize::try_from(rate).unwrap();
        let most = most_within(&times, Duration::from_secs(60));
        assert!(most <= rate, "{rate} a minute: {most}");
        let whole = times
            .iter()
            .filter(|t| **t - start < Duration::from_secs(60))
            .count();
        assert!(whole * 100 >= rate * 90, "{rate} a minute: only {whole}");
        if rate == 60 {
            // A scan that comes now waits for one slot, not for the minute.
            let before = Instant::now();
            limiter.acquire(Priority::Scan, PATIENT).await.unwrap();
            assert!(before.elapsed() <= Duration::from_millis(1_050));
        }
    }
}
