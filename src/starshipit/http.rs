//! One request, one reply, with deadlines and bounds. No retries, no redirects, no cookies.
//!
//! Invariant: [`Trouble::NotSent`] is only said when the connection was never made, so that no
//! byte of the request can have left this host.

use crate::starshipit::reply::Raw;
use crate::starshipit::{Settings, SetupError};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Url, redirect, retry};
use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

/// Body bound of a reply that carries label documents, in bytes.
pub(crate) const MAX_LABELS: usize = 64 << 20;
/// Body bound of any other reply, in bytes.
pub(crate) const MAX_REPLY: usize = 8 << 20;
/// Longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Idle connections are closed before gateways on the way forget them (Azure: 4 min): a request on
/// a forgotten one would end as "unknown".
const IDLE: Duration = Duration::from_secs(50);

/// How a request ended without a reply.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// No byte of the request left this host.
    NotSent(String),
    /// The request, or part of it, may have arrived.
    Broken(String),
}

/// The one HTTP client of this room, with the TLS provider that the whole house uses (ring).
///
/// # Errors
/// When the system has no usable certificate store, or TLS cannot be set up.
pub fn client(settings: &Settings) -> Result<Client, SetupError> {
    // A second install is refused and harmless: it is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("printstation/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT.min(settings.request_timeout))
        .read_timeout(settings.request_timeout)
        .timeout(settings.request_timeout)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(4)
        .tcp_nodelay(true)
        .gzip(true)
        // The keys are headers: they must not travel to where a redirect points.
        .redirect(redirect::Policy::none())
        .referer(false)
        // A buy is sent once. What may be repeated is repeated by `calls`.
        .retry(retry::never());
    if base_url(&settings.base_url)?.scheme() == "http" {
        // Loopback only (checked there): no proxy of the environment may see the keys, and no
        // certificate store is needed.
        builder = builder.no_proxy().tls_certs_only([]);
    }
    builder.build().map_err(|e| SetupError::Client {
        detail: chain(&e.without_url()),
    })
}

/// Checks a base URL: `https`, or `http` to loopback (contract 18); no credentials, no query.
pub(crate) fn base_url(text: &str) -> Result<Url, SetupError> {
    let wrong = |why| SetupError::BaseUrl { why };
    let url = Url::parse(text.trim()).map_err(|_| wrong("it is not a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it has a user name or password in it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or fragment"));
    }
    let host = url.host_str().unwrap_or_default();
    match url.scheme() {
        "https" if !host.is_empty() => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        "http" => Err(wrong("plain http is only allowed to this machine itself")),
        _ => Err(wrong("it does not begin with https://")),
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Sends `request` once and reads at most `limit` bytes of its (unpacked) reply.
pub(crate) async fn exchange(
    client: &Client,
    request: Request,
    limit: usize,
) -> Result<Raw, Trouble> {
    let mut response = client.execute(request).await.map_err(trouble)?;
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers());
    let expected = response.content_length().unwrap_or(0);
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
        retry_after,
        body,
    })
}

fn trouble(e: reqwest::Error) -> Trouble {
    let never_left = e.is_connect() || e.is_builder();
    // Without the URL: it holds what was scanned.
    let detail = chain(&e.without_url());
    if never_left {
        Trouble::NotSent(detail)
    } else {
        Trouble::Broken(detail)
    }
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
    crate::starshipit::reason::bounded(&text)
}

/// `Retry-After` in seconds, or as a date measured against the reply's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let read = |text: &str| {
        let gmt = text.trim().replace("GMT", "+0000");
        jiff::fmt::rfc2822::parse(&gmt).ok()
    };
    let until = read(text)?.timestamp();
    let now = read(headers.get(reqwest::header::DATE)?.to_str().ok()?)?.timestamp();
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
        assert_eq!(read("soon", None), None);
        assert_eq!(read("-3", None), None);
        assert_eq!(read("7", None), Some(7));
        let date = "Mon, 02 Mar 2026 22:36:01 GMT";
        assert_eq!(read("Mon, 02 Mar 2026 22:36:11 GMT", Some(date)), Some(10));
        assert_eq!(read("Mon, 02 Mar 2026 22:36:11 GMT", None), None);
    }
}
