//! The first look at sled's files after an unclean stop.
//!
//! Damaged files can make sled panic or never return, and a thread that hangs cannot be ended: so a
//! child process looks first.

use crate::ledger::index::{Index, caught};
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the child may take before it is killed and the files are set aside.
pub const CHECK_LIMIT: Duration = Duration::from_secs(10);
/// How long a check reads records before it is content: a large intact index on a slow card must not
/// be taken for one that hangs.
const READ_LIMIT: Duration = Duration::from_secs(6);

/// How sled's files are looked at after an unclean stop.
#[derive(Clone, Debug)]
pub enum DbCheck {
    /// `program args… DIR` in a child process: exit 0 means usable.
    Child {
        /// The program, usually our own.
        program: PathBuf,
        /// What comes before the directory, e.g. `db-check`.
        args: Vec<OsString>,
        /// How long it may take; [`CHECK_LIMIT`].
        limit: Duration,
    },
    /// In this process, without protection against a hang. For tests.
    InProcess,
}

/// Opens the index in `dir` and reads it. Returns the orders seen. May hang on damaged files: for a
/// process of its own (the hidden verb `db-check`).
pub fn db_check(dir: &Path) -> Result<u64, String> {
    let elapsed = crate::ledger::core::stopwatch();
    caught(|| Index::open(dir)?.walk(|| elapsed() > READ_LIMIT)).map_err(|e| e.to_string())
}

impl DbCheck {
    /// Whether the index in `dir` may be opened in this process.
    pub(crate) fn run(&self, dir: &Path, give_up: impl Fn() -> bool) -> Result<(), String> {
        let (program, args, limit) = match self {
            Self::InProcess => return db_check(dir).map(drop),
            Self::Child {
                program,
                args,
                limit,
            } => (program, args, *limit),
        };
        let started = Command::new(program)
            .args(args)
            .arg(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .env("RUST_BACKTRACE", "0")
            .spawn();
        let mut child = match started {
            Ok(child) => child,
            Err(error) => {
                // That says nothing about the index: an intact one must not be set aside for it.
                tracing::warn!(%error, "the check of the index cannot be started");
                return db_check(dir).map(drop);
            }
        };
        let elapsed = crate::ledger::core::stopwatch();
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if elapsed() < limit && !give_up() => {
                    // The first look is soon: a small healthy index is checked in milliseconds.
                    let pause =
                        (elapsed() / 8).clamp(Duration::from_millis(1), Duration::from_millis(50));
                    std::thread::sleep(pause);
                }
                other => {
                    let killed = child.kill().and_then(|()| child.wait());
                    return Err(format!("no answer in time ({other:?}, {killed:?})"));
                }
            }
        };
        if status.success() {
            return Ok(());
        }
        let mut said = String::new();
        if let Some(stderr) = child.stderr.take()
            && let Err(error) = stderr.take(400).read_to_string(&mut said)
        {
            said = error.to_string();
        }
        Err(format!("{status}: {}", said.trim()))
    }
}
