//! One request, one reply, with deadlines and bounds. No retries, no redirects, no cookies.
//!
//! Invariants: [`Trouble::NotSent`] and [`Trouble::Clock`] are only said when the connection was
//! never made, so that no byte of the request can have left this host. No error text holds a URL:
//! URLs hold what was scanned.

use crate::system::calls::CallEnd;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Url, redirect, retry};
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

/// Longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Idle connections are closed before gateways on the way forget them (Azure: 4 min): a request on
/// a forgotten one would end as "unknown".
const IDLE: Duration = Duration::from_secs(50);
/// Longest text that is passed on to people and logs, in bytes.
const MAX_DETAIL: usize = 200;

/// A reply as it came off the wire.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Unpacked, bounded.
    pub(crate) body: Vec<u8>,
}

/// How a request ended without a reply.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No byte of the request left this host.
    NotSent(String),
    /// The same, because by this machine's clock their certificate is not valid yet or any more.
    Clock(String),
    /// The request, or part of it, may have arrived.
    Broken(String),
}

impl Trouble {
    /// As it is counted.
    pub(crate) fn end(&self) -> CallEnd {
        match self {
            Self::NotSent(_) | Self::Clock(_) => CallEnd::NotSent,
            Self::Broken(_) => CallEnd::Broken,
        }
    }
}

/// An HTTP client with the TLS provider that the whole house uses (ring). `timeout` is the longest
/// wait for a whole reply.
///
/// # Errors
/// Why there is none: the address cannot be used, or TLS or the certificate store cannot.
pub(crate) fn client(base: &Url, timeout: Duration) -> Result<Client, String> {
    // A second install is refused and harmless: it is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("printstation/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT.min(timeout))
        .read_timeout(timeout)
        .timeout(timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(4)
        .tcp_nodelay(true)
        .gzip(true)
        // The keys are headers: they must not travel to where a redirect points.
        .redirect(redirect::Policy::none())
        .referer(false)
        // What may be repeated is repeated by the rooms, which know what it means.
        .retry(retry::never());
    if base.scheme() == "http" {
        // Loopback only (`base_url` checked it): no proxy of the environment may see the keys, and
        // no certificate store is needed.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build().map_err(|e| chain(&e.without_url()))
}

/// Checks a base URL: `https`, or `http` to loopback (contract 18); no credentials, no query.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(crate) fn base_url(text: &str) -> Result<Url, &'static str> {
    let url = address(text)?;
    match url.query() {
        Some(_) => Err("it has a query"),
        None => Ok(url),
    }
}

/// Checks the address of an outside system: as [`base_url`], but it may have a query.
///
/// # Errors
/// What is wrong with it, in a few words.
pub(crate) fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|_| "it is not a URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it has a user name or password in it");
    }
    if url.fragment().is_some() {
        return Err("it has a fragment");
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" if !host.is_empty() => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err("plain http is only allowed to this machine itself"),
        _ => Err("it does not begin with https://"),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A reply of which only the beginning is wanted.
#[derive(Debug)]
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
    /// As much of the body as was asked for.
    pub(crate) body: Vec<u8>,
    /// There was more, or its end did not come.
    pub(crate) cut: bool,
}

/// A client for one outside system that is made when it is first used: a shop without work costs no
/// certificate store.
#[derive(Debug)]
pub(crate) struct Http {
    address: Url,
    deadline: Duration,
    client: OnceLock<Client>,
}

impl Http {
    /// A client for an address that [`address`] has let through. `deadline`: from the first byte of a
    /// request to the last of its reply.
    pub(crate) fn new(address: &Url, deadline: Duration) -> Self {
        Self {
            address: address.clone(),
            deadline,
            client: OnceLock::new(),
        }
    }

    /// Sends once, and reads at most `keep` bytes of the (unpacked) reply.
    ///
    /// # Errors
    /// When no reply came.
    pub(crate) async fn exchange(&self, request: Request, keep: usize) -> Result<Reply, Trouble> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let made = client(&self.address, self.deadline).map_err(Trouble::NotSent)?;
                self.client.get_or_init(|| made)
            }
        };
        let mut response = client.execute(request).await.map_err(trouble)?;
        let mut reply = Reply {
            status: response.status().as_u16(),
            retry_after: retry_after(response.headers()),
            body: Vec::new(),
            cut: false,
        };
        loop {
            match response.chunk().await {
                Ok(None) => return Ok(reply),
                // Counted after unpacking: this is what stops a gzip bomb.
                Ok(Some(chunk)) if reply.body.len() + chunk.len() <= keep => {
                    reply.body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) | Err(_) => {
                    reply.cut = true;
                    return Ok(reply);
                }
            }
        }
    }
}

/// Sends `request` once and reads at most `limit` bytes of its (unpacked) reply.
pub(crate) async fn exchange(
    client: &Client,
    request: Request,
    limit: usize,
) -> Result<Raw, Trouble> {
    let mut response = client.execute(request).await.map_err(trouble)?;
    let status = response.status().as_u16();
    let expected = response.content_length().unwrap_or(0);
    let headers = std::mem::take(response.headers_mut());
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    if expected > limit {
        return Err(Trouble::Broken(format!(
            "HTTP {status}: reply larger than {limit} bytes"
        )));
    }
    let mut body = Vec::with_capacity(expected);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|e| Trouble::Broken(format!("HTTP {status}: {}", chain(&e.without_url()))))?
    {
        // Counted after unpacking: this is what stops a gzip bomb.
        if body.len() + chunk.len() > limit {
            return Err(Trouble::Broken(format!(
                "HTTP {status}: reply larger than {limit} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Raw {
        status,
        headers,
        body,
    })
}

fn trouble(e: reqwest::Error) -> Trouble {
    let never_left = e.is_connect() || e.is_builder();
    let is_clock = never_left && blames_the_clock(&e);
    let detail = chain(&e.without_url());
    if is_clock {
        Trouble::Clock(detail)
    } else if never_left {
        Trouble::NotSent(detail)
    } else {
        Trouble::Broken(detail)
    }
}

/// TLS failed on a certificate's dates. That a service let its certificate run out is possible and
/// rare; a Pi without a clock battery that has not reached its time server is the usual cause.
fn blames_the_clock(e: &reqwest::Error) -> bool {
    let mut source = e.source();
    while let Some(cause) = source {
        if is_dated(cause) {
            return true;
        }
        source = cause.source();
    }
    false
}

fn is_dated(e: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    if let Some(tls) = e.downcast_ref::<rustls::Error>() {
        return matches!(
            tls,
            rustls::Error::InvalidCertificate(
                Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
            )
        );
    }
    // An I/O error shows its inner error's source, not the inner error itself; they are nested.
    e.downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::get_ref)
        .is_some_and(|inner| is_dated(inner))
}

/// An error and its causes in one line.
fn chain(e: &reqwest::Error) -> String {
    let mut text = e.to_string();
    let mut source = e.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    bounded(&text)
}

/// Bounds a text that goes to people and logs; no control characters.
pub(crate) fn bounded(text: &str) -> String {
    tidy(text, MAX_DETAIL)
}

/// Cuts at a character boundary, at `max` bytes, and drops control characters.
pub(crate) fn tidy(text: &str, max: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(max));
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > max {
            break;
        }
        kept.push(c);
    }
    kept
}

/// Everything but RFC 3986's unreserved characters, for one part of a path or query.
pub(crate) fn percent_encode(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{b:02X}");
        }
    }
}

/// When the reply was made, by the service's own clock (`Date`), in milliseconds since 1970.
pub(crate) fn date(headers: &HeaderMap) -> Option<i64> {
    Some(read_date(headers.get(DATE)?.to_str().ok()?)?.as_millisecond())
}

fn read_date(text: &str) -> Option<jiff::Timestamp> {
    let gmt = text.trim().replace("GMT", "+0000");
    Some(jiff::fmt::rfc2822::parse(&gmt).ok()?.timestamp())
}

/// `Retry-After` in seconds, or as a date measured against the reply's own `Date`.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    // Shopify writes 2.0.
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = read_date(text)?;
    let now = read_date(headers.get(DATE)?.to_str().ok()?)?;
    let seconds = until.as_second().saturating_sub(now.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_travel_encrypted_or_not_at_all() {
        for bad in [
            "http://api.starshipit.com",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://user:word@api.starshipit.com",
            "https://api.starshipit.com/?a=b",
            "https://api.starshipit.com/#a",
            "api.starshipit.com",
            "",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
        for good in [
            "https://api.starshipit.com",
            "https://api.starshipit.com/mirror/",
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:1",
        ] {
            assert!(base_url(good).is_ok(), "{good}");
        }
        assert!(address("https://shop.example/hook?token=1").is_ok());
    }

    #[test]
    fn everything_but_letters_and_digits_is_encoded() {
        let mut text = String::new();
        percent_encode("SO#1 &a=b%/é+\u{1d}-._~", &mut text);
        assert_eq!(text, "SO%231%20%26a%3Db%25%2F%C3%A9%2B%1D-._~");
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let read = |retry: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry.parse().unwrap());
            if let Some(date) = date {
                headers.insert(reqwest::header::DATE, date.parse().unwrap());
            }
            retry_after(&headers).map(|d| d.as_secs())
        };
        for bad in ["soon", "-3", "NaN", "1e300"] {
            assert_eq!(read(bad, None), None, "{bad}");
        }
        assert_eq!(read("2.5", None), Some(2));
        assert_eq!(read("7", None), Some(7));
        let date = "Mon, 02 Mar 2026 22:36:01 GMT";
        assert_eq!(read("Mon, 02 Mar 2026 22:36:11 GMT", Some(date)), Some(10));
        assert_eq!(read("Mon, 02 Mar 2026 22:36:11 GMT", None), None);
    }
}
