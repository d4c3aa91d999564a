//! The small languages inside configuration values: addresses and windows. (Durations:
//! [`crate::domain::time`].)

use crate::config::values::Loopback;
use serde::Serializer;
use std::net::IpAddr;
use std::time::Duration;

/// For `#[serde(serialize_with)]`.
pub(crate) fn duration<S: Serializer>(span: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&crate::domain::time::show_duration(*span))
}

/// Checks and normalises a base address: scheme, host, optional port and path, no trailing slash.
pub(crate) fn parse_url(text: &str, reach: Loopback) -> Result<String, String> {
    let url = reqwest::Url::parse(text)
        .map_err(|why| format!("is not an address ({why}); write https://HOST[:PORT][/PATH]"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("wants an address that starts with https://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "must not carry a user name or password: secrets are never written here".to_owned(),
        );
    }
    if url.fragment().is_some() {
        return Err("must not have a # part".to_owned());
    }
    if url.scheme() == "http" && reach == Loopback::Required && !is_loopback(&url) {
        return Err("plain http:// is allowed to this machine only; write https://".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// `HOST:PORT` with a port that is not 0.
pub(crate) fn parse_host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.trim_end_matches('/').rsplit_once(':')?;
    let port: u16 = port.parse().ok().filter(|p| *p != 0)?;
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let good = match bare {
        Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    good.then(|| (bare.unwrap_or(host).to_owned(), port))
}

/// A daily window such as `22:00-05:00`, in minutes after midnight.
pub(crate) fn parse_window(text: &str) -> Option<(u16, u16)> {
    let (from, to) = text.split_once('-')?;
    let minute = |clock: &str| -> Option<u16> {
        let (h, m) = clock.trim().split_once(':')?;
        if h.len() > 2 || m.len() != 2 {
            return None;
        }
        let (h, m): (u16, u16) = (h.parse().ok()?, m.parse().ok()?);
        (h < 24 && m < 60).then_some(h * 60 + m)
    };
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_reaches_this_machine_only() {
        let check = |url| parse_url(url, Loopback::Required);
        for bad in [
            "http://192.0.2.7/x",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "ftp://x",
            "https://u:p@example.com",
            "example.com",
            "http://[2001:db8::1]:80",
            "file:///etc/passwd",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(
            check("http://127.0.0.1:8080/").unwrap(),
            "http://127.0.0.1:8080"
        );
        assert_eq!(check("http://[::1]:8080").unwrap(), "http://[::1]:8080");
        assert_eq!(check("http://localhost").unwrap(), "http://localhost");
        assert_eq!(
            check("https://example.com/a/").unwrap(),
            "https://example.com/a"
        );
        assert!(parse_url("http://192.0.2.7", Loopback::NotRequired).is_ok());
    }

    #[test]
    fn windows_and_ports_are_real() {
        assert_eq!(parse_window("22:00-05:00"), Some((1320, 300)));
        for bad in ["22:00", "24:00-05:00", "5-6", "05:00-05:00", "05:60-06:00"] {
            assert_eq!(parse_window(bad), None, "{bad}");
        }
        assert_eq!(
            parse_host_port("printer.lan:9100"),
            Some(("printer.lan".into(), 9100))
        );
        assert_eq!(parse_host_port("[::1]:9100"), Some(("::1".into(), 9100)));
        for bad in ["printer", "printer:0", ":9100", "a b:1", "a:99999", "[x]:1"] {
            assert_eq!(parse_host_port(bad), None, "{bad}");
        }
    }
}
