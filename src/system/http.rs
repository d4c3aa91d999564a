//! One HTTP exchange with an outside system: deadlines, bounds, no redirects, no cookies, no retries.
//!
//! Invariants: [`Trouble::NotSent`] is only said when no byte of the request can have left this host;
//! no text that comes out of here holds a URL, because URLs may hold tokens. Nothing is connected, and
//! no certificate store is read, before the first exchange.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Request, Url, redirect, retry};
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

/// Longest wait for a connection, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// Idle connections are closed before gateways on the way forget them.
const IDLE: Duration = Duration::from_secs(50);
/// Longest text about a failure, in bytes.
const MAX_WHY: usize = 200;

/// A reply, whatever its status.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
    /// As much of the body as was asked for.
    pub body: Vec<u8>,
    /// There was more, or its end did not come.
    pub cut: bool,
}

/// How an exchange ended without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No byte of the request left this host.
    NotSent(String),
    /// The request, or part of it, may have arrived.
    Broken(String),
}

/// A client for one outside system.
#[derive(Debug)]
pub struct Http {
    deadline: Duration,
    plain: bool,
    client: OnceLock<Client>,
}

impl Http {
    /// A client for an address that [`address`] has let through. `deadline`: from the first byte of a
    /// request to the last of its reply.
    pub fn new(address: &Url, deadline: Duration) -> Self {
        Self {
            deadline,
            plain: address.scheme() == "http",
            client: OnceLock::new(),
        }
    }

    /// Sends once, and reads at most `keep` bytes of the (unpacked) reply.
    ///
    /// # Errors
    /// When no reply came.
    pub async fn exchange(&self, request: Request, keep: usize) -> Result<Reply, Trouble> {
        let client = self.client().map_err(Trouble::NotSent)?;
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

    fn client(&self) -> Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        // A second install is refused and harmless: it is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("printstation/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT.min(self.deadline))
            .read_timeout(self.deadline)
            .timeout(self.deadline)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4)
            .tcp_nodelay(true)
            .gzip(true)
            // Keys are headers: they must not travel to where a redirect points.
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never());
        if self.plain {
            // Loopback only: no proxy of the environment may see the keys, and no certificate store
            // is needed.
            builder = builder.no_proxy().tls_certs_only([]);
        }
        let client = builder.build().map_err(|e| chain(&e.without_url()))?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// Checks the address of an outside system: `https`, or `http` to loopback (contract 18); no user
/// name, no password, no fragment.
///
/// # Errors
/// What is wrong with it.
pub fn address(text: &str) -> Result<Url, &'static str> {
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

/// Text from outside as it may be kept and shown: one line, bounded.
pub fn tidy(text: &str, max: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(max));
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > max {
            break;
        }
        kept.push(c);
    }
    kept
}

fn trouble(e: reqwest::Error) -> Trouble {
    let never_left = e.is_connect() || e.is_builder();
    let why = chain(&e.without_url());
    if never_left {
        Trouble::NotSent(why)
    } else {
        Trouble::Broken(why)
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
    tidy(&text, MAX_WHY)
}

/// `Retry-After` in seconds, or as a date measured against the reply's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    // Shopify writes 2.0.
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
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
            "http://shop.example",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://user:word@shop.example",
            "https://shop.example/#a",
            "shop.example",
            "",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
        for good in [
            "https://shop.example/hook?token=1",
            "http://127.0.0.1:8080",
            "http://localhost:1",
            "http://[::1]:1",
        ] {
            assert!(address(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn retry_after_is_seconds_with_or_without_a_fraction_or_a_date() {
        let read = |retry: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry.parse().unwrap());
            if let Some(date) = date {
                headers.insert(reqwest::header::DATE, date.parse().unwrap());
            }
            retry_after(&headers).map(|d| d.as_millis())
        };
        for bad in ["soon", "-3", "NaN", "1e300"] {
            assert_eq!(read(bad, None), None, "{bad}");
        }
        assert_eq!(read("7", None), Some(7000));
        assert_eq!(read("2.5", None), Some(2500));
        let date = "Mon, 02 Mar 2026 22:36:01 GMT";
        assert_eq!(
            read("Mon, 02 Mar 2026 22:36:11 GMT", Some(date)),
            Some(10_000)
        );
    }
}
