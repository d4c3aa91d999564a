//! The real worker process: this test binary starts itself again as the worker, as the station does
//! with its own binary. (Own `main`, so that the worker has no test harness in it; over 500 lines
//! because each such binary would need that `main` and its helpers again.)

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test binary without a harness"
)]

mod label_support;

use label_support::{Label, MEDIA, Sheet, decode, hostile, pdf, real_labels};
use printstation::domain::Code;
use printstation::label::{
    Limits, Media, PageContent, PageSelect, Policy, ReadBack, ReadBackResult, Request, Settings,
    Worker, worker,
};
use std::future::Future;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

const WORKER: &str = "--render-worker";

type Test = fn() -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! tests {
    ($($name:ident)*) => {
        const TESTS: &[(&str, Test)] = &[$((stringify!($name), || Box::pin($name()))),*];
    };
}

tests! {
    a_program_that_does_not_exist_is_the_stations_fault
    a_program_that_answers_nonsense_costs_the_label
    a_worker_killed_from_outside_is_replaced
    a_render_given_up_half_way_leaves_no_worker_behind
    a_document_that_takes_too_long_is_killed
    a_document_that_computes_too_long_is_killed
    each_hostile_file_ends_in_a_code_and_the_next_label_prints
    a_document_over_the_limit_never_reaches_the_process
    the_worker_can_open_nothing_and_inherits_nothing
    an_idle_worker_goes_to_sleep_and_wakes_for_the_next_label
    a_worn_worker_is_replaced
    processor_time_is_counted_for_each_document_alone
    a_label_comes_back_as_it_is_drawn_here
    the_courier_decides_whether_a_foreign_label_is_held
    clones_share_one_process
    memory_stays_within_the_budget
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == WORKER) {
        return worker::main();
    }
    if args.iter().any(|arg| arg == "--list") {
        // The runner asks twice; what stands in both lists it leaves out.
        if args.iter().any(|arg| arg == "--ignored") {
            return ExitCode::SUCCESS;
        }
        for (name, _) in TESTS {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-'));
    let mut failed = 0;
    for (name, test) in TESTS {
        if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                tokio::time::timeout(Duration::from_secs(240), test())
                    .await
                    .expect("in time");
            });
        }));
        failed += usize::from(outcome.is_err());
        println!(
            "test {name} ... {}",
            if outcome.is_ok() { "ok" } else { "FAILED" }
        );
    }
    println!("\n{failed} of {} failed", TESTS.len());
    ExitCode::from(u8::from(failed > 0))
}

fn this_program() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn start(settings: Settings) -> Worker {
    Worker::new(this_program(), vec![WORKER.into()], settings)
}

fn with(limits: Limits) -> Worker {
    start(Settings {
        limits,
        ..Settings::default()
    })
}

/// Short limits: the files of these tests need far less.
fn short() -> Limits {
    Limits {
        cpu: Duration::from_secs(3),
        wall: Duration::from_secs(12),
        ..Limits::default()
    }
}

fn ask(document: Vec<u8>) -> Request {
    Request {
        document,
        label_type: "BlankLabels".into(),
        courier: "Test Post".into(),
        media: MEDIA,
        tracking: Vec::new(),
        pages: PageSelect::All,
    }
}

fn good() -> Vec<u8> {
    pdf(&[Sheet::new(
        101.6,
        152.4,
        vec![Label::new(5.0, 5.0, 90.0, 140.0, "GOOD1")],
    )])
}

async fn renders_good(worker: &Worker, after: &str) {
    let pages = worker
        .render(ask(good()))
        .await
        .unwrap_or_else(|e| panic!("after {after}: {e}"));
    assert_eq!(pages[0].codes[0].text, "GOOD1", "after {after}");
}

/// Needs the whole processor time of its limits: ten calls on each of fourteen levels.
fn endless() -> Vec<u8> {
    hostile()
        .into_iter()
        .find(|(name, _)| name.contains("exponentially"))
        .unwrap()
        .1
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

fn proc_file(pid: u32, file: &str) -> String {
    String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/{file}")).unwrap()).into_owned()
}

fn kib(pid: u32, field: &str) -> u64 {
    let status = proc_file(pid, "status");
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What the open files of a process are.
fn targets(pid: u32) -> Vec<String> {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .collect()
}

/// What a child would inherit: open without close-on-exec (02000000, octal).
fn inheritable(pid: u32) -> Vec<String> {
    let mut left = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap() {
        let entry = entry.unwrap();
        let Ok(info) = std::fs::read_to_string(entry.path()) else {
            continue;
        };
        let flags = info
            .lines()
            .find_map(|line| line.strip_prefix("flags:"))
            .unwrap();
        if i64::from_str_radix(flags.trim(), 8).unwrap() & 0o2_000_000 == 0 {
            let link = std::path::Path::new("/proc")
                .join(pid.to_string())
                .join("fd");
            if let Ok(target) = std::fs::read_link(link.join(entry.file_name())) {
                left.push(target.to_string_lossy().into_owned());
            }
        }
    }
    left
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

fn gone(pid: u32) -> bool {
    !std::path::Path::new(&format!("/proc/{pid}")).exists()
}

// ---- failures ----

async fn a_program_that_does_not_exist_is_the_stations_fault() {
    let worker = Worker::new("/nowhere/printstation".into(), vec![], Settings::default());
    assert_eq!(
        worker.render(ask(good())).await.unwrap_err().code,
        Code::Internal
    );
    worker.warm().await;
    assert_eq!(worker.process_id().await, None);
}

async fn a_program_that_answers_nonsense_costs_the_label() {
    // `cat` answers the request itself: a well-formed message that is no reply.
    let limits = Limits {
        wall: Duration::from_secs(5),
        ..Limits::default()
    };
    let echo = Worker::new(
        "/bin/cat".into(),
        vec![],
        Settings {
            limits,
            ..Settings::default()
        },
    );
    assert_eq!(
        echo.render(ask(good())).await.unwrap_err().code,
        Code::LabelUnreadable
    );
    for program in ["/bin/true", "/bin/false"] {
        let worker = Worker::new(program.into(), vec![], Settings::default());
        assert_eq!(
            worker.render(ask(good())).await.unwrap_err().code,
            Code::LabelUnreadable
        );
    }
}

async fn a_worker_killed_from_outside_is_replaced() {
    let worker = with(short());
    renders_good(&worker, "nothing").await;
    let pid = worker.process_id().await.unwrap();
    kill(pid);
    renders_good(&worker, "a kill between labels").await;
    assert_ne!(worker.process_id().await, Some(pid));

    // Killed over a document on a fresh process: that label is lost, the next is not.
    let worker = with(short());
    worker.warm().await;
    let pid = worker.process_id().await.unwrap();
    let busy = worker.clone();
    let task = tokio::spawn(async move { busy.render(ask(endless())).await });
    until("the worker computes", async || kib_ticks(pid) > 10).await;
    kill(pid);
    assert_eq!(task.await.unwrap().unwrap_err().code, Code::LabelUnreadable);
    renders_good(&worker, "a kill over a label").await;
}

/// Processor time in 1/100 s.
fn kib_ticks(pid: u32) -> u64 {
    let stat = proc_file(pid, "stat");
    let fields = stat.rsplit_once(')').unwrap().1;
    fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|f| f.parse::<u64>().unwrap())
        .sum()
}

async fn a_render_given_up_half_way_leaves_no_worker_behind() {
    let worker = with(short());
    worker.warm().await;
    let pid = worker.process_id().await.unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(300), worker.render(ask(endless())));
    assert!(given_up.await.is_err());
    until("the abandoned process is gone", async || gone(pid)).await;
    renders_good(&worker, "giving up").await;
}

async fn a_document_that_takes_too_long_is_killed() {
    let limits = Limits {
        cpu: Duration::from_secs(60),
        wall: Duration::from_millis(700),
        ..Limits::default()
    };
    let worker = with(limits);
    worker.warm().await;
    let pid = worker.process_id().await.unwrap();
    let error = worker.render(ask(endless())).await.unwrap_err();
    assert_eq!(error.code, Code::LabelUnreadable);
    assert!(error.detail.contains("longer than"), "{error}");
    until("the killed process is gone", async || gone(pid)).await;
    let patient = with(short());
    renders_good(&patient, "nothing").await;
}

async fn a_document_that_computes_too_long_is_killed() {
    let limits = Limits {
        cpu: Duration::from_secs(1),
        wall: Duration::from_secs(120),
        ..Limits::default()
    };
    let error = with(limits).render(ask(endless())).await.unwrap_err();
    assert_eq!(error.code, Code::LabelUnreadable);
    assert!(error.detail.contains("processor time"), "{error}");
}

async fn each_hostile_file_ends_in_a_code_and_the_next_label_prints() {
    let worker = with(short());
    let files = hostile();
    assert!(files.len() >= 29, "{} kinds", files.len());
    for (name, document) in files {
        match worker.render(ask(document)).await {
            Err(error) => {
                println!("    {name}: {error}");
                assert!(
                    matches!(error.code, Code::LabelUnreadable | Code::LabelDoesNotFit),
                    "{name}: {error}"
                );
            }
            Ok(pages) => {
                println!("    {name}: {} page(s)", pages.len());
                let allowed = [
                    "a count that lies",
                    "graphics states nested 1,000,000 deep",
                    "a glyph that writes itself",
                    "a cross-reference table before itself",
                ];
                assert!(allowed.contains(&name), "{name} must not print");
            }
        }
        renders_good(&worker, name).await;
    }
}

async fn a_document_over_the_limit_never_reaches_the_process() {
    let worker = with(Limits {
        bytes: 100,
        ..short()
    });
    let error = worker.render(ask(good())).await.unwrap_err();
    assert_eq!(error.code, Code::LabelUnreadable);
    assert_eq!(worker.process_id().await, None, "nothing was started");
}

async fn the_worker_can_open_nothing_and_inherits_nothing() {
    let _file = std::fs::File::open("/proc/self/limits").unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits::default();
    let worker = with(limits);
    renders_good(&worker, "nothing").await;
    let pid = worker.process_id().await.unwrap();

    // Three pipes' ends and the two counters it reads of itself; besides these only what somebody
    // left open for this test process without close-on-exec before it began.
    let opened = targets(pid);
    let left_open = inheritable(std::process::id());
    let foreign: Vec<&String> = opened
        .iter()
        .filter(|target| !target.ends_with("/stat") && !target.ends_with("/status"))
        .filter(|target| !left_open.contains(target))
        .collect();
    assert!(foreign.len() <= 3, "{foreign:?}");
    let socket = format!(
        "{:?}",
        std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd()))
    );
    assert!(
        !opened.iter().any(|target| socket.contains(target.as_str())),
        "{opened:?}"
    );
    assert!(
        !opened.iter().any(|target| target.ends_with("/limits")),
        "{opened:?}"
    );

    let shown = proc_file(pid, "limits");
    let limit = |name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        line[26..]
            .split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(limit("Max open files"), ["3", "3"]);
    assert_eq!(limit("Max core file size"), ["0", "0"]);
    let space = limits.address_space.to_string();
    assert_eq!(limit("Max address space"), [space.clone(), space]);
    assert!(limit("Max cpu time")[0].parse::<u64>().unwrap() <= limits.cpu.as_secs() + 2);

    let environment = proc_file(pid, "environ");
    assert_eq!(environment.matches('=').count(), 1, "{environment:?}");
    assert_eq!(proc_file(pid, "oom_score_adj").trim(), "1000");
}

// ---- its life ----

async fn an_idle_worker_goes_to_sleep_and_wakes_for_the_next_label() {
    let worker = with(Limits {
        idle: Duration::from_millis(150),
        ..short()
    });
    for round in 0..3 {
        renders_good(&worker, &format!("sleep {round}")).await;
        let pid = worker.process_id().await;
        until("asleep", async || worker.process_id().await.is_none()).await;
        // Gone and reaped: no zombie while the station waits for work.
        if let Some(pid) = pid {
            until("reaped", async || gone(pid)).await;
        }
    }
    let worker = with(short());
    worker.warm().await;
    let pid = worker.process_id().await.unwrap();
    worker.sleep().await;
    until("ended on request", async || gone(pid)).await;
}

async fn a_worn_worker_is_replaced() {
    let worker = with(Limits { jobs: 2, ..short() });
    renders_good(&worker, "nothing").await;
    let first = worker.process_id().await.unwrap();
    renders_good(&worker, "one").await;
    let second = worker.process_id().await.unwrap();
    assert_ne!(
        first, second,
        "replaced after two documents, and the next is warm already"
    );
    until("the first is gone", async || gone(first)).await;

    let worker = with(Limits {
        resident: 1,
        ..short()
    });
    renders_good(&worker, "nothing").await;
    let first = worker.process_id().await.unwrap();
    renders_good(&worker, "growth").await;
    assert_ne!(
        worker.process_id().await,
        Some(first),
        "replaced because it had grown"
    );
}

async fn processor_time_is_counted_for_each_document_alone() {
    let worker = with(Limits {
        cpu: Duration::from_secs(1),
        jobs: 10_000,
        ..Limits::default()
    });
    renders_good(&worker, "nothing").await;
    let pid = worker.process_id().await.unwrap();
    // More than the one second of a document and the one of rounding, all together.
    while kib_ticks(pid) < 400 {
        renders_good(&worker, "others").await;
    }
    assert_eq!(worker.process_id().await, Some(pid));
}

async fn a_label_comes_back_as_it_is_drawn_here() {
    let worker = with(short());
    let document = pdf(&[
        Sheet::new(
            101.6,
            152.4,
            vec![Label::new(5.0, 5.0, 90.0, 140.0, "PAGE1")],
        ),
        Sheet::new(
            210.0,
            297.0,
            vec![Label::new(10.0, 10.0, 190.0, 277.0, "INVOICE")],
        ),
    ]);
    let there = worker.render(ask(document.clone())).await.unwrap();
    let here = printstation::label::render_file(document, &label_support::job()).unwrap();
    assert_eq!(there.len(), 2);
    for (there, here) in there.iter().zip(&here) {
        assert_eq!(there.content, here.content);
        assert_eq!(
            (there.role, there.index, &there.codes),
            (here.role, here.index, &here.codes)
        );
    }
    assert_eq!(decode(there[0].bitmap().unwrap()), ["PAGE1"]);
    assert!(there[0].render_us > 0 && there[0].read_back_us > 0);

    let zpl = b"^XA^FDone^FS^XZ^XA^FDtwo^FS^XZ".to_vec();
    let pages = worker.render(ask(zpl.clone())).await.unwrap();
    let sent: Vec<u8> = pages
        .iter()
        .flat_map(|page| match &page.content {
            PageContent::Raw { bytes, .. } => bytes.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((pages.len(), sent), (2, zpl));
}

async fn the_courier_decides_whether_a_foreign_label_is_held() {
    let read_back = ReadBack {
        policy: Policy::Warn,
        hold: vec!["strict".into()],
    };
    let worker = start(Settings {
        read_back,
        limits: short(),
        ..Settings::default()
    });
    let request = |courier: &str, number: &str| Request {
        courier: courier.into(),
        tracking: vec![number.into()],
        ..ask(good())
    };
    let held = worker
        .render(request("Strict Couriers", "33XYZ0000001"))
        .await
        .unwrap_err();
    assert_eq!(held.code, Code::LabelMismatch);
    let warned = worker
        .render(request("Easy Post", "33XYZ0000001"))
        .await
        .unwrap();
    assert_eq!(warned[0].read_back, ReadBackResult::NotFound);
    let matched = worker
        .render(request("Strict Couriers", "GOOD1"))
        .await
        .unwrap();
    assert_eq!(matched[0].read_back, ReadBackResult::Matched);
}

async fn clones_share_one_process() {
    let worker = with(short());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let worker = worker.clone();
        tasks.spawn(async move {
            renders_good(&worker, "others").await;
            worker.process_id().await
        });
    }
    let ids = tasks.join_all().await;
    assert!(
        ids.iter().all(|id| *id == ids[0] && id.is_some()),
        "{ids:?}"
    );
}

/// Contract 34 with what the station leaves: 64 - 20 MiB for a 4x6 at 203 dpi, 110 - 20 MiB for A4
/// at 300 dpi. VmHWM of the worker is the bound; an unoptimised build maps a larger binary.
async fn memory_stays_within_the_budget() {
    let a4 = Media {
        width_mm: 210.0,
        height_mm: 297.0,
        dpi: 300,
        threshold: 150,
    };
    for (what, sheet, media, budget) in [
        (
            "4x6 at 203 dpi",
            Sheet::new(
                101.6,
                152.4,
                vec![Label::new(5.0, 5.0, 90.0, 140.0, "SMALL")],
            ),
            MEDIA,
            44,
        ),
        (
            "A4 at 300 dpi",
            Sheet::new(
                210.0,
                297.0,
                vec![Label::new(9.0, 9.0, 190.0, 277.0, "LARGE")],
            ),
            a4,
            90,
        ),
    ] {
        let worker = with(Limits {
            resident: u64::MAX,
            ..short()
        });
        for _ in 0..3 {
            worker
                .render(Request {
                    media,
                    ..ask(pdf(std::slice::from_ref(&sheet)))
                })
                .await
                .unwrap();
        }
        let pid = worker.process_id().await.unwrap();
        let (peak, now) = (kib(pid, "VmHWM:") / 1024, kib(pid, "VmRSS:") / 1024);
        println!(
            "    {what}: peak {peak} MiB resident, {now} MiB after, address space {} MiB",
            kib(pid, "VmPeak:") / 1024
        );
        assert!(peak <= budget, "{what}: {peak} MiB of {budget}");
    }
    for file in real_labels()
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "pdf"))
    {
        let worker = with(Limits {
            resident: u64::MAX,
            ..Limits::default()
        });
        let document = std::fs::read(file).unwrap();
        // Its own size, so that every page is drawn.
        for (dpi, width_mm, height_mm, budget) in [(203, 106.0, 204.0, 44), (300, 298.0, 298.0, 90)]
        {
            let media = Media {
                width_mm,
                height_mm,
                dpi,
                threshold: 150,
            };
            let tracking = vec!["NOT ON THIS LABEL".to_owned()];
            let outcome = worker
                .render(Request {
                    media,
                    tracking,
                    ..ask(document.clone())
                })
                .await;
            let pid = worker.process_id().await.unwrap();
            let peak = kib(pid, "VmHWM:") / 1024;
            let name = file.file_name().unwrap().to_string_lossy();
            println!(
                "    {name} at {dpi} dpi: peak {peak} MiB, space {} MiB, {}",
                kib(pid, "VmPeak:") / 1024,
                outcome
                    .as_ref()
                    .map_or_else(ToString::to_string, |pages| format!(
                        "{} page(s)",
                        pages.len()
                    ))
            );
            if outcome.is_ok() {
                assert!(
                    peak <= budget,
                    "{name} at {dpi} dpi: {peak} MiB of {budget}"
                );
            }
        }
    }
}
