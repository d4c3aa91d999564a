//! Bounded downloads that go on where they stopped.
//!
//! `self_update::Download` moves the bytes. What it has not is here: going on after a cut (`Range`),
//! a limit for the whole, an end to a server that trickles, and patience that ends. Whether a server
//! kept to the range is not asked but proved: the file counts when its SHA-256 is the signed one.

use super::channel::Artifact;
use super::resume::{Resume, UNKNOWN};
use super::slots::sum_of;
use crate::domain::{Moment, Mono};
use crate::system::durable;
use self_update::Download;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Deadlines.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A server says something within this time.
    pub silence: Duration,
    /// A document is here within this time.
    pub document: Duration,
    /// An archive is here within this time, all attempts together.
    pub archive: Duration,
    /// Between attempts.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(30),
            document: Duration::from_secs(60),
            archive: Duration::from_secs(20 * 60),
            pause: Duration::from_secs(2),
        }
    }
}

/// Attempts without a single new byte before it is given up.
const FRUITLESS: u32 = 3;
/// A body is sent at most so often in all, lies and corruption included.
const WHOLE: u64 = 3;

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address may not be used.
    #[error("{0} is not an address for updates: https, or http to this machine itself")]
    Address(String),
    /// The server cannot be reached or broke off; later it may be better.
    #[error("{url}: {why}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// In plain words.
        why: String,
    },
    /// It sends more than was signed for.
    #[error("{url} is longer than {limit} bytes")]
    TooLong {
        /// What was asked for.
        url: String,
        /// What was signed for.
        limit: u64,
    },
    /// What came is not what was signed.
    #[error("{url} is not the file that was signed (its SHA-256 differs)")]
    Corrupt {
        /// What was asked for.
        url: String,
    },
    /// The disk refuses.
    #[error("the download cannot be stored")]
    Io(#[from] io::Error),
}

/// Reads both clocks.
pub type Now<'a> = &'a dyn Fn() -> Moment;

/// Checks an address: https, or http to loopback; no name and password in it.
///
/// # Errors
/// It is none of these.
pub fn address(text: &str) -> Result<reqwest::Url, FetchError> {
    let wrong =
        || FetchError::Address(text.chars().filter(|c| !c.is_control()).take(200).collect());
    let url = reqwest::Url::parse(text.trim()).map_err(|_| wrong())?;
    let host = url.host_str().unwrap_or_default();
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let here = host == "localhost"
        || plain
            .parse()
            .is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    let may = url.scheme() == "https" || (url.scheme() == "http" && here);
    if !may || host.is_empty() || !url.username().is_empty() || url.password().is_some() {
        return Err(wrong());
    }
    Ok(url)
}

/// Fetches a small file into memory.
///
/// # Errors
/// It does not come, or is longer than `limit`.
pub fn document(
    url: &str,
    limit: u64,
    limits: &Limits,
    now: Now<'_>,
) -> Result<Vec<u8>, FetchError> {
    let url = address(url)?;
    let end = now().mono.plus(limits.document);
    let mut sink = Sink {
        to: Vec::new(),
        left: limit,
        end,
        now,
        fault: None,
    };
    let fetched = download(&url, limits, limit).download_to(&mut sink);
    match (fetched, sink.fault) {
        (_, Some(fault)) => Err(fault.about(&url, limit)),
        (Err(error), None) => Err(unreachable(&url, &error)),
        (Ok(()), None) => Ok(sink.to),
    }
}

/// Fetches an archive to `<dir>/<name>`, going on with what an earlier attempt left.
///
/// # Errors
/// It does not come, or is not what was signed.
pub fn archive(
    url: &str,
    artifact: &Artifact,
    dir: &Path,
    name: &str,
    limits: &Limits,
    now: Now<'_>,
) -> Result<PathBuf, FetchError> {
    let url = address(url)?;
    let done = dir.join(name);
    if done.exists() {
        if sum_of(&done).is_ok_and(|sum| sum == artifact.sha256) {
            return Ok(done);
        }
        durable::remove(&done)?;
    }
    let part = dir.join(format!("{}.part", artifact.sha256));
    let end = now().mono.plus(limits.archive);
    let (mut fruitless, mut moved) = (0, 0u64);
    loop {
        let had = length(&part)?;
        let outcome = if had < artifact.size {
            one_attempt(&url, artifact, &part, had, limits, end, now, &mut moved)
        } else {
            Ok(())
        };
        let has = length(&part)?;
        match outcome {
            Ok(()) if has >= artifact.size => {
                if sum_of(&part)? == artifact.sha256 {
                    File::open(&part)?.sync_all()?;
                    durable::rename(&part, &done)?;
                    return Ok(done);
                }
                durable::remove(&part)?;
                // A whole body in one piece that is wrong will be wrong again.
                if had == 0 {
                    return Err(FetchError::Corrupt {
                        url: url.to_string(),
                    });
                }
            }
            // Ended too early without saying so.
            Ok(()) | Err(FetchError::Unreachable { .. })
                if may_go_on(&now, end, moved, artifact) =>
            {
                fruitless = if has > had { 0 } else { fruitless + 1 };
                if fruitless >= FRUITLESS {
                    return Err(outcome.err().unwrap_or_else(|| broke_off(&url)));
                }
                std::thread::sleep(limits.pause);
            }
            Ok(()) => return Err(broke_off(&url)),
            Err(error) => {
                if matches!(error, FetchError::TooLong { .. }) {
                    durable::remove(&part)?;
                }
                return Err(error);
            }
        }
        if !may_go_on(&now, end, moved, artifact) {
            return Err(broke_off(&url));
        }
    }
}

fn may_go_on(now: &Now<'_>, end: Mono, moved: u64, artifact: &Artifact) -> bool {
    now().mono < end && moved < artifact.size.saturating_mul(WHOLE)
}

fn broke_off(url: &reqwest::Url) -> FetchError {
    FetchError::Unreachable {
        url: url.to_string(),
        why: "the server keeps breaking off".to_owned(),
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one attempt of the loop above, which owns all of it"
)]
fn one_attempt(
    url: &reqwest::Url,
    artifact: &Artifact,
    part: &Path,
    had: u64,
    limits: &Limits,
    end: Mono,
    now: Now<'_>,
    moved: &mut u64,
) -> Result<(), FetchError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(durable::FILE_MODE)
        .open(part)
        .map_err(|error| durable::at(part, &error))?;
    if let (0, Some(dir)) = (had, part.parent()) {
        durable::sync_dir(dir)?;
    }
    let announced = Arc::new(AtomicU64::new(UNKNOWN));
    let mut request = download(url, limits, artifact.size);
    // Always a range: it also keeps servers and proxies from packing the body once more.
    request.request_header("Range", format!("bytes={had}-"));
    let heard = Arc::clone(&announced);
    request.progress_callback(move |_, total: Option<u64>| {
        heard.store(total.unwrap_or(UNKNOWN), Ordering::Relaxed);
    });
    let mut sink = Sink {
        to: Resume::new(file, artifact.size, had, announced),
        left: artifact.size,
        end,
        now,
        fault: None,
    };
    let fetched = request.download_to(&mut sink);
    let begun = sink.to.begin();
    *moved += artifact.size - sink.left;
    match (fetched, begun, sink.fault) {
        (_, _, Some(fault)) => Err(fault.about(url, artifact.size)),
        (_, Err(error), None) => Err(error.into()),
        (Err(error), Ok(()), None) => Err(unreachable(url, &error)),
        (Ok(()), Ok(()), None) => Ok(()),
    }
}

fn download(url: &reqwest::Url, limits: &Limits, limit: u64) -> Download {
    // self_update is built without a TLS provider of its own; a second install is harmless.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut download = Download::from_url(url.as_str());
    download
        .timeout(limits.silence)
        .max_download_size(limit)
        .show_download_progress(false)
        .request_header(
            "User-Agent",
            concat!("printstation/", env!("CARGO_PKG_VERSION")),
        );
    download
}

fn length(path: &Path) -> io::Result<u64> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(durable::at(path, &error)),
    }
}

/// Bounded in length and time.
struct Sink<'a, W> {
    to: W,
    left: u64,
    end: Mono,
    now: Now<'a>,
    fault: Option<Fault>,
}

enum Fault {
    TooLong,
    TooSlow,
    Disk(io::Error),
}

impl Fault {
    fn about(self, url: &reqwest::Url, limit: u64) -> FetchError {
        let url = url.to_string();
        match self {
            Self::TooLong => FetchError::TooLong { url, limit },
            Self::TooSlow => FetchError::Unreachable {
                url,
                why: "the server is too slow".to_owned(),
            },
            Self::Disk(error) => FetchError::Io(error),
        }
    }
}

impl<W: Write> Write for Sink<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fault = if bytes.len() as u64 > self.left {
            Fault::TooLong
        } else if (self.now)().mono >= self.end {
            Fault::TooSlow
        } else {
            match self.to.write_all(bytes) {
                Ok(()) => {
                    self.left -= bytes.len() as u64;
                    return Ok(bytes.len());
                }
                Err(error) => Fault::Disk(error),
            }
        };
        self.fault = Some(fault);
        Err(io::Error::other("the download was stopped"))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn unreachable(url: &reqwest::Url, error: &self_update::errors::Error) -> FetchError {
    FetchError::Unreachable {
        url: url.to_string(),
        why: plain(&chain(error)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.chars().filter(|c| !c.is_control()).take(400).collect()
}

/// What goes wrong with certificates, in words that name the way out.
fn plain(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let has = |needle: &str| lower.contains(needle);
    if has("not valid yet") || has("notvalidyet") {
        "the server's certificate is not valid yet: either this machine's clock is behind (clock-not-set), or the certificate is too new".to_owned()
    } else if has("expired") && has("certificate") {
        "the server's certificate has expired: renew it there, or set this machine's clock"
            .to_owned()
    } else if has("unknownissuer") || has("unknown issuer") {
        "the server's certificate is signed by an authority that this machine does not know: put a private authority's certificate into /usr/local/share/ca-certificates and run update-ca-certificates".to_owned()
    } else if has("notvalidforname") || has("not valid for name") {
        "the server's certificate is for another name than the address".to_owned()
    } else if has("dns error") || has("lookup") {
        "the server's name cannot be resolved: no network, or a typing mistake".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_or_this_machine_itself() {
        for bad in [
            "http://updates.example/c.json",
            "ftp://127.0.0.1/c.json",
            "https://user:word@updates.example/c.json",
            "http://localhost.example.com/",
            "channel.json",
            "",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        for good in [
            "https://updates.example/p/channel.json",
            "http://127.0.0.1:80/c.json",
            "http://[::1]/c.json",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn certificate_troubles_name_the_way_out() {
        for (text, word) in [
            (
                "invalid peer certificate: certificate not valid yet: x",
                "clock-not-set",
            ),
            (
                "invalid peer certificate: certificate expired: x",
                "expired",
            ),
            (
                "invalid peer certificate: UnknownIssuer",
                "update-ca-certificates",
            ),
            (
                "invalid peer certificate: certificate not valid for name \"x\"",
                "another name",
            ),
            ("something else", "something else"),
        ] {
            assert!(plain(text).contains(word), "{text}");
        }
    }
}
