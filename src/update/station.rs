//! The running station, over its control socket: its status, and the lease under which it rests.
//!
//! The lease is the open connection. A dead updater holds nothing: the kernel closes the connection
//! and the station works on.

use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// An answer, or a sign of life, comes within this time.
const ANSWER: Duration = Duration::from_secs(15);
/// Longest line and head, in bytes.
const LINE: u64 = 8 * 1024;
/// Largest answer, in bytes.
const BODY: u64 = 4 << 20;

/// A station under lease. It works on when this is dropped.
#[derive(Debug)]
pub struct Lease {
    stream: BufReader<UnixStream>,
}

impl Lease {
    /// Holds the lease until the station is gone, at most for `patience` signs of life (one a
    /// second).
    pub fn until_gone(mut self, patience: Duration) {
        for _ in 0..patience.as_secs().saturating_mul(4) {
            if line(&mut self.stream).is_err() {
                return;
            }
        }
        tracing::warn!("the station rests for an update and was not restarted; it works on");
    }
}

/// Why there is no lease.
#[derive(Debug, thiserror::Error)]
pub enum NoLease {
    /// No station runs: nothing can be cut.
    #[error("no station is running")]
    NoStation,
    /// It is at work and stayed so.
    #[error("the station was at work all the time; the update waits for the next try")]
    Busy,
    /// It runs, but does not answer as it should.
    #[error("the station does not rest for an update")]
    Broken(#[from] io::Error),
}

/// The station's status document; none: no station answers.
pub fn status(socket: &Path) -> Option<Value> {
    let mut reader = ask(socket, "GET /api/status", "").ok()?;
    let mut body = Vec::new();
    reader.by_ref().take(BODY).read_to_end(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

/// Asks the station to rest: it ends what is under way, begins nothing, and says so.
///
/// # Errors
/// See [`NoLease`].
pub fn lease(socket: &Path, quiet: Duration, patience: Duration) -> Result<Lease, NoLease> {
    let body = format!(
        "{{\"quiet_s\":{},\"patience_s\":{}}}",
        quiet.as_secs(),
        patience.as_secs()
    );
    let mut stream = match ask(socket, "POST /api/update/lease", &body) {
        Ok(stream) => stream,
        Err(error) if is_gone(&error) => return Err(NoLease::NoStation),
        Err(error) => return Err(error.into()),
    };
    // One sign of life a second at most; the station itself keeps to the patience.
    let most = patience.as_secs().saturating_add(60) * 4;
    for _ in 0..most {
        let line = line(&mut stream)?;
        // Chunk sizes and their ends are lines as well; what is meant is a document.
        if !line.starts_with('{') {
            if line == "0" {
                break;
            }
            continue;
        }
        match serde_json::from_str::<Value>(&line)
            .ok()
            .as_ref()
            .and_then(|said| said["lease"].as_str())
        {
            Some("granted") => return Ok(Lease { stream }),
            Some("waiting") => {}
            _ => break,
        }
    }
    Err(NoLease::Busy)
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Sends a request and reads the head of its answer.
fn ask(socket: &Path, what: &str, body: &str) -> io::Result<BufReader<UnixStream>> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    let mut reader = BufReader::new(stream);
    let request = format!(
        "{what} HTTP/1.1\r\nHost: printstation\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    reader.get_mut().write_all(request.as_bytes())?;
    let head = line(&mut reader)?;
    if head.split(' ').nth(1) != Some("200") {
        return Err(io::Error::other(format!(
            "the station answered: {}",
            head.chars()
                .filter(|c| !c.is_control())
                .take(80)
                .collect::<String>()
        )));
    }
    for _ in 0..64 {
        if line(&mut reader)?.is_empty() {
            return Ok(reader);
        }
    }
    Err(io::Error::other(
        "the station's answer has no end of headers",
    ))
}

fn line(reader: &mut BufReader<UnixStream>) -> io::Result<String> {
    let mut bytes = Vec::new();
    reader.by_ref().take(LINE).read_until(b'\n', &mut bytes)?;
    if bytes.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}
