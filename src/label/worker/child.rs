//! Inside the worker process: limits first, then one request after the other.
//!
//! Isolation by plain kernel limits, no privileges needed: address space and processor time are
//! bounded; with RLIMIT_NOFILE at 3 no file and no socket can be opened any more; no core file; the
//! kernel's out-of-memory killer takes this process first. The parent adds the wall time and an
//! empty environment. Nothing of the station's is inherited, because std opens everything
//! close-on-exec; closing what a stranger left open would need unsafe code and is not done.

use super::wire::{self, Ask, MAX_HEADER, PREFIX, Refusal, Reply};
use crate::label::{LabelError, Limits, RenderedPage, render_file};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// The process slept so long without work that it ended itself, with nothing read or written.
pub(super) const EXIT_ASLEEP: u8 = 0;
/// The limits could not be set, or the parent spoke nonsense.
pub(super) const EXIT_BROKEN: u8 = 70;

/// What the parent passes in [`LIMITS_VARIABLE`].
pub(super) struct Start {
    pub(super) address_space: u64,
    pub(super) idle_ms: u64,
    pub(super) jobs: u32,
    pub(super) resident: u64,
    pub(super) max_bytes: usize,
}

/// Holds the limits as decimal numbers with commas; absent → the defaults (a worker started by hand).
pub(super) const LIMITS_VARIABLE: &str = "PRINTSTATION_RENDER_LIMITS";

impl Start {
    pub(super) fn of(limits: &Limits) -> Self {
        Self {
            address_space: limits.address_space,
            idle_ms: u64::try_from(limits.idle.as_millis()).unwrap_or(u64::MAX),
            jobs: limits.jobs,
            resident: limits.resident,
            max_bytes: limits.bytes,
        }
    }

    pub(super) fn to_text(&self) -> String {
        format!(
            "{},{},{},{},{}",
            self.address_space, self.idle_ms, self.jobs, self.resident, self.max_bytes
        )
    }

    fn parse(text: &str) -> Option<Self> {
        fn number<T: std::str::FromStr>(field: Option<&str>) -> Option<T> {
            field?.parse().ok()
        }
        let mut fields = text.split(',');
        Some(Self {
            address_space: number(fields.next())?,
            idle_ms: number(fields.next())?,
            jobs: number(fields.next())?,
            resident: number(fields.next())?,
            max_bytes: number(fields.next())?,
        })
    }
}

/// Runs the worker until its input ends, it has slept too long, or it should be replaced.
pub(super) fn run() -> ExitCode {
    let start = match std::env::var(LIMITS_VARIABLE) {
        Ok(text) => Start::parse(&text),
        Err(_) => Some(Start::of(&Limits::default())),
    };
    let Some(start) = start else {
        return ExitCode::from(EXIT_BROKEN);
    };
    // Opened before no file can be opened any more.
    let (Ok(stat), Ok(status)) = (
        File::open("/proc/self/stat"),
        File::open("/proc/self/status"),
    ) else {
        return ExitCode::from(EXIT_BROKEN);
    };
    if limit(&start).is_err() {
        return ExitCode::from(EXIT_BROKEN);
    }
    // A panic over a hostile file is answered with a code; its text may quote the file.
    std::panic::set_hook(Box::new(|_| {}));
    let mut served = 0;
    loop {
        match wait_for_request(start.idle_ms) {
            Ok(true) => {}
            Ok(false) => return ExitCode::from(EXIT_ASLEEP),
            Err(_) => return ExitCode::from(EXIT_BROKEN),
        }
        match serve(&start, &stat, &status, &mut served) {
            Ok(Next::Again) => {}
            Ok(Next::Done) => return ExitCode::SUCCESS,
            Err(_) => return ExitCode::from(EXIT_BROKEN),
        }
    }
}

/// Sets this process's limits for good.
fn limit(start: &Start) -> io::Result<()> {
    // Best effort: a container may forbid it, and the limits below hold all the same.
    let _ = File::options()
        .write(true)
        .open("/proc/self/oom_score_adj")
        .and_then(|mut file| file.write_all(b"1000"));
    let fixed = |limit: u64| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    // A limit that is lower already stays.
    let address_space = getrlimit(Resource::As)
        .maximum
        .map_or(start.address_space, |hard| hard.min(start.address_space));
    setrlimit(Resource::As, fixed(address_space))?;
    setrlimit(Resource::Core, fixed(0))?;
    setrlimit(Resource::Nofile, fixed(3))?;
    Ok(())
}

/// True when a request (or the end of input) is there, false after the idle time.
fn wait_for_request(idle_ms: u64) -> io::Result<bool> {
    let stdin = io::stdin();
    let timeout = Timespec {
        tv_sec: i64::try_from(idle_ms / 1000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(idle_ms % 1000 * 1_000_000).unwrap_or(0),
    };
    loop {
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

enum Next {
    Again,
    Done,
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn serve(start: &Start, stat: &File, status: &File, served: &mut u32) -> io::Result<Next> {
    let mut stdin = io::stdin().lock();
    let mut prefix = [0; PREFIX];
    // Nothing after the last request: the parent has closed the pipe.
    if stdin.read(&mut prefix[..1])? == 0 {
        return Ok(Next::Done);
    }
    stdin.read_exact(&mut prefix[1..])?;
    // The document's own limit is answered with a code; this one only bounds the reading.
    let (header, body) =
        wire::lengths(prefix, start.max_bytes).ok_or_else(|| broken("no message"))?;
    let mut json = vec![0; header];
    stdin.read_exact(&mut json)?;
    let ask: Ask = serde_json::from_slice(&json)?;
    let mut document = vec![0; body];
    stdin.read_exact(&mut document)?;
    drop(stdin);
    allow_processor_time(stat, ask.cpu_s)?;

    let job = ask.job;
    let outcome = catch_unwind(AssertUnwindSafe(|| render_file(document, &job)));
    let panicked = outcome.is_err();
    let result =
        outcome.unwrap_or_else(|_| Err(LabelError::unreadable("drawing the document failed")));
    *served = served.saturating_add(1);
    let resident = resident_bytes(status);
    // After a panic nothing of this process is trusted any more.
    let retires = panicked || *served >= start.jobs || resident > start.resident;
    reply(result, retires, resident)?;
    Ok(if retires { Next::Done } else { Next::Again })
}

fn reply(
    result: Result<Vec<RenderedPage>, LabelError>,
    retires: bool,
    resident: u64,
) -> io::Result<()> {
    let too_long = || LabelError::unreadable("the drawn pages need more memory than allowed");
    let packed = result.and_then(|pages| wire::pack(pages).ok_or_else(too_long));
    let (pages, body, error) = match packed {
        Ok((pages, body)) => (pages, body, None),
        Err(LabelError { code, detail }) => {
            (Vec::new(), Vec::new(), Some(Refusal { code, detail }))
        }
    };
    let reply = Reply {
        pages,
        error,
        retires,
        resident,
    };
    let json = serde_json::to_vec(&reply)?;
    if json.len() > MAX_HEADER {
        return Err(broken("reply header too long"));
    }
    let prefix = wire::prefix(json.len(), body.len()).ok_or_else(|| broken("reply too long"))?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&prefix)?;
    stdout.write_all(&json)?;
    stdout.write_all(&body)?;
    stdout.flush()
}

/// RLIMIT_CPU counts from the start of the process; each document gets its own share.
fn allow_processor_time(stat: &File, seconds: u64) -> io::Result<()> {
    let until = used_seconds(stat)?
        .saturating_add(seconds)
        .saturating_add(1);
    let hard = getrlimit(Resource::Cpu).maximum;
    setrlimit(
        Resource::Cpu,
        Rlimit {
            current: Some(hard.map_or(until, |hard| hard.min(until))),
            maximum: hard,
        },
    )?;
    Ok(())
}

/// Processor seconds of this process so far: fields 14 and 15 of `/proc/self/stat`, in ticks of
/// 1/100 s on every Linux that Rust supports (proc_pid_stat(5); USER_HZ is part of the ABI).
fn used_seconds(stat: &File) -> io::Result<u64> {
    let mut buffer = [0; 1024];
    let length = stat.read_at(&mut buffer, 0)?;
    let text = String::from_utf8_lossy(&buffer[..length]);
    // The second field is the program's name in brackets and may hold spaces.
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
    match (ticks(), ticks()) {
        (Some(user), Some(system)) => Ok((user + system) / 100),
        _ => Err(broken("no processor time in /proc/self/stat")),
    }
}

/// Bytes resident (`VmRSS` of `/proc/self/status`); 0 when it cannot be read.
fn resident_bytes(status: &File) -> u64 {
    let mut buffer = [0; 4096];
    let length = status.read_at(&mut buffer, 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&buffer[..length]);
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}
