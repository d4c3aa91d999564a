//! The small languages inside configuration values: durations, addresses, windows.

use crate::config::model::Loopback;
use serde::Serializer;
use std::net::IpAddr;
use std::time::Duration;

/// Reads `"1500ms"`, `"30s"`, `"5m"`, `"2h"`, `"30d"` and sums such as `"1h30m"`; `"0"` needs no unit.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let part = Duration::from_millis(number.checked_mul(millis)?);
        total = total.checked_add(part)?;
        rest = after.trim_start();
    }
    Some(total)
}

/// The shortest text that reads back as the same duration (whole milliseconds).
pub(crate) fn show_duration(span: Duration) -> String {
    let millis = span.as_millis();
    for (unit, size) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if millis >= size && millis % size == 0 {
            return format!("{}{unit}", millis / size);
        }
    }
    format!("{millis}ms")
}

/// For `#[serde(serialize_with)]`.
pub(crate) fn duration<S: Serializer>(span: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&show_duration(*span))
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
    fn durations_need_a_unit_and_read_back_as_shown() {
        for bad in [
            "",
            "30",
            "s",
            "1.5s",
            "-1s",
            "30 parsecs",
            "1h30",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        for (text, millis) in [
            ("0", 0),
            ("1500ms", 1500),
            ("30s", 30_000),
            ("1h30m", 5_400_000),
            ("30d", 2_592_000_000),
        ] {
            let span = parse_duration(text).unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(parse_duration(&show_duration(span)), Some(span));
        }
    }

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
