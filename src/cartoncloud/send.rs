//! How a call leaves, what its status means for everybody, and which calls may be repeated.
//!
//! Reads have at most three tries on 5xx and broken connections, and a few more on 429, which the
//! limiter spaces out. Writes have one send. A 401 is answered once with a new token, for writes
//! too: nothing was done. A 403 names the role that the call needs. Every other status is the
//! caller's to judge, so that 228 ("created, but rejected") is never taken for success.

use crate::cartoncloud::{CartonCloud, Priority};
use crate::domain::loose::{list, text};
use crate::domain::{CallFailure, Code};
use crate::system::calls::CallEnd;
use crate::system::http::{self, Trouble, bounded, percent_encode};
use crate::system::limiter::{Refusal, chance};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH};
use reqwest::{Method, Request, Url};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Largest reply that is read, unpacked, in bytes.
const MAX_REPLY: usize = 8 << 20;
/// Bodies above this are read on a thread of their own.
const BIG: usize = 256 << 10;
/// Tries of a read that fails in passing.
const TRIES: u32 = 3;
/// Further tries of a read that was answered 429: the limiter's 1, 2, 4, 8 s.
const THROTTLED_TRIES: u32 = 4;
/// A try that took longer is not repeated: somebody waits.
const LONG: Duration = Duration::from_secs(10);

/// How a call ended without a reply for its caller.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// As everywhere.
    Call(CallFailure),
    /// 403: the API client lacks a role.
    Denied {
        role: &'static str,
        /// Their words.
        said: String,
    },
}

impl From<Fault> for CallFailure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Call(failure) => failure,
            Fault::Denied { role, said } => Self::Refused {
                code: Code::CartoncloudUnauthorized,
                detail: bounded(&denied(role, &said)),
            },
        }
    }
}

impl From<CallFailure> for Fault {
    fn from(failure: CallFailure) -> Self {
        Self::Call(failure)
    }
}

/// A 403 in words: the role first, since details are cut at their end.
pub(crate) fn denied(role: &str, said: &str) -> String {
    format!("the API client lacks the role \"{role}\", or is not allowed this customer: {said}")
}

/// What is asked.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    /// Below the tenant, with a slash first; parts are encoded already.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<&'a Value>,
    pub(crate) if_match: Option<i64>,
    /// `Accept-Version`.
    pub(crate) version: &'static str,
    /// `Prefer: return=minimal`.
    pub(crate) minimal: bool,
    /// Asking twice is asking once.
    pub(crate) repeatable: bool,
    /// The role that it needs.
    pub(crate) role: &'static str,
    pub(crate) priority: Priority,
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: String, role: &'static str, priority: Priority) -> Self {
        Self {
            method: Method::GET,
            path,
            query: Vec::new(),
            body: None,
            if_match: None,
            version: "1",
            minimal: false,
            repeatable: true,
            role,
            priority,
        }
    }

    /// A search: a POST that changes nothing.
    pub(crate) fn search(
        path: &str,
        body: &'a Value,
        page: u32,
        role: &'static str,
        priority: Priority,
    ) -> Self {
        let mut ask = Self::get(path.to_owned(), role, priority);
        ask.method = Method::POST;
        ask.body = Some(body);
        ask.query = vec![("page", page.to_string()), ("size", PAGE.to_string())];
        ask
    }
}

/// Elements of a page. Fifty full orders keep a page's tree small enough for a Pi.
pub(crate) const PAGE: usize = 50;

/// Status and headers of a reply.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
}

/// A reply before its body is read.
pub(super) struct Unread {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
}

/// A reply for the caller to judge: 2xx, 228, 3xx or 4xx without 401, 403, 408, 429; or 501.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    /// `Null` where there was no JSON.
    pub(crate) body: Value,
}

impl Reply {
    /// 200, 201 or 204: done as asked. Not 228.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.head.status, 200 | 201 | 204)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.head.status == 404
    }

    /// A stale `If-Match`: which of the two it is, nobody says.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self.head.status, 409 | 412)
    }

    /// This tenant has no such call.
    pub(crate) fn is_unavailable(&self) -> bool {
        matches!(self.head.status, 404 | 405 | 501)
    }

    /// A paging header's number.
    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        self.head
            .headers
            .get(name)?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// Their reasons in one line.
    pub(crate) fn why(&self) -> String {
        format!("HTTP {}: {}", self.head.status, reasons(&self.body))
    }

    /// The body, where the call was done.
    pub(crate) fn done(self, api: &CartonCloud) -> Result<Value, Fault> {
        if !self.is_done() {
            return Err(self.refused(api));
        }
        if self.body.is_null() && self.head.status != 204 {
            let detail = "the reply is not JSON".to_owned();
            return Err(Fault::Call(CallFailure::Unknown { detail }));
        }
        Ok(self.body)
    }

    /// As a refusal that was read.
    pub(crate) fn refused(&self, api: &CartonCloud) -> Fault {
        let detail = bounded(&api.scrub(&self.why()));
        // Redirects and other oddities say nothing about what was done.
        let is_said = matches!(self.head.status, 228 | 400..=499) && !self.body.is_null();
        Fault::Call(if is_said {
            CallFailure::Refused {
                code: match self.head.status {
                    404 => Code::OrderNotFound,
                    _ => Code::CartoncloudUnreachable,
                },
                detail,
            }
        } else {
            CallFailure::Unknown { detail }
        })
    }
}

/// What an error body says, neither scrubbed nor bounded: an array of objects, one object, OAuth's form, `details.errors` of a 228.
pub(crate) fn reasons(body: &Value) -> String {
    let mut parts: Vec<String> = Vec::new();
    let single = std::slice::from_ref(body);
    let errors = body.as_array().map_or(single, Vec::as_slice);
    for error in errors.iter().take(8) {
        let said = ["message", "error_description", "error"]
            .iter()
            .find_map(|key| text(error, &[key]))
            .or_else(|| text(error, &[]));
        let part = match (text(error, &["field"]), said) {
            (Some(field), Some(said)) => format!("{field}: {said}"),
            (Some(field), None) => field,
            (None, Some(said)) => said,
            (None, None) => continue,
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    for error in list(body, &["details", "errors"]).iter().take(8) {
        parts.extend(text(error, &["message"]));
    }
    if parts.is_empty() {
        return "no reason was given".to_owned();
    }
    parts.join("; ")
}

impl CartonCloud {
    /// Asks, with a token, and as often as the rules say.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Result<Reply, Fault> {
        let mut path = format!("/tenants/{}", self.inner.tenant);
        path.push_str(&ask.path);
        self.ask_at(&path, ask).await
    }

    /// The same for a path outside the tenant.
    pub(crate) async fn ask_at(&self, path: &str, ask: &Ask<'_>) -> Result<Reply, Fault> {
        let url = self.url(path, &ask.query)?;
        let (mut tries, mut throttled) = (0, 0);
        let mut refused: Option<u64> = None;
        loop {
            let token = self.token(refused).await?;
            let request = request(&url, ask, &token.bearer);
            let started = tokio::time::Instant::now();
            let result = self.once(request, ask.priority).await;
            let again = match result {
                Ok(raw) => match raw.head.status {
                    401 if refused.is_none() => {
                        refused = Some(token.serial);
                        continue;
                    }
                    401 => {
                        let why = reasons(&read(raw).await.body);
                        return Err(Fault::Call(CallFailure::Refused {
                            code: Code::CartoncloudUnauthorized,
                            detail: bounded(&format!(
                                "a new token was refused: {}",
                                self.scrub(&why)
                            )),
                        }));
                    }
                    403 => {
                        return Err(Fault::Denied {
                            role: ask.role,
                            said: bounded(&self.scrub(&reasons(&read(raw).await.body))),
                        });
                    }
                    408 | 500 | 502..=599 => Fault::Call(CallFailure::Unknown {
                        detail: format!("HTTP {}", raw.head.status),
                    }),
                    _ => return Ok(read(raw).await),
                },
                Err(fault) => fault,
            };
            let is_quick = started.elapsed() < LONG;
            match &again {
                Fault::Call(CallFailure::Throttled { .. })
                    if ask.repeatable && throttled < THROTTLED_TRIES =>
                {
                    throttled += 1;
                }
                Fault::Call(CallFailure::NotSent { .. } | CallFailure::Unknown { .. })
                    if ask.repeatable && is_quick && tries + 1 < TRIES =>
                {
                    tries += 1;
                    let pause = Duration::from_millis(200) * tries;
                    tokio::time::sleep(pause.mul_f64(1.0 + chance())).await;
                }
                _ => return Err(again),
            }
        }
    }

    /// One send, through the limiter. 429 pauses everybody.
    pub(super) async fn once(&self, request: Request, priority: Priority) -> Result<Unread, Fault> {
        let limiter = &self.inner.limiter;
        let patience = match priority {
            Priority::Scan | Priority::Release => Duration::from_secs(30),
            Priority::Writeback | Priority::Poll | Priority::Prefetch => Duration::from_secs(300),
        };
        let taken = limiter
            .acquire(priority, patience.max(limiter.window() * 4))
            .await
            .map_err(|why| {
                Fault::Call(CallFailure::Throttled {
                    retry_after: match why {
                        Refusal::Paused(left) => Some(left),
                        Refusal::Busy => None,
                    },
                })
            })?;
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let result = http::exchange(&self.inner.http, request, MAX_REPLY).await;
        self.inner.calls.count(match &result {
            Ok(raw) => CallEnd::Status(raw.status),
            Err(trouble) => trouble.end(),
        });
        tracing::debug!(
            %method,
            path,
            ms = u64::try_from(taken.elapsed().as_millis()).unwrap_or(u64::MAX),
            status = result.as_ref().ok().map(|raw| raw.status),
            "cartoncloud call"
        );
        match result {
            Ok(raw) if raw.status == 429 => {
                let retry_after = http::retry_after(&raw.headers);
                limiter.throttled(taken, retry_after);
                Err(Fault::Call(CallFailure::Throttled { retry_after }))
            }
            Ok(raw) => {
                limiter.served(taken);
                if let Some(millis) = http::date(&raw.headers) {
                    self.inner.clock.store(millis, Ordering::Relaxed);
                }
                Ok(Unread {
                    head: Head {
                        status: raw.status,
                        headers: raw.headers,
                    },
                    body: raw.body,
                })
            }
            Err(Trouble::Clock(detail)) => Err(Fault::Call(CallFailure::Refused {
                code: Code::ClockNotSet,
                detail,
            })),
            Err(Trouble::NotSent(detail)) => Err(Fault::Call(CallFailure::NotSent { detail })),
            Err(Trouble::Broken(detail)) => Err(Fault::Call(CallFailure::Unknown { detail })),
        }
    }

    pub(super) fn url(&self, path: &str, query: &[(&str, String)]) -> Result<Url, Fault> {
        let mut text = format!("{}{path}", self.inner.base);
        for (index, (key, value)) in query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(key);
            text.push('=');
            percent_encode(value, &mut text);
        }
        Url::parse(&text).map_err(|e| {
            Fault::Call(CallFailure::NotSent {
                detail: format!("not a URL: {e}"),
            })
        })
    }
}

/// One part of a path.
pub(crate) fn part(text: &str) -> String {
    let mut encoded = String::new();
    percent_encode(text, &mut encoded);
    encoded
}

fn request(url: &Url, ask: &Ask<'_>, bearer: &HeaderValue) -> Request {
    let mut request = Request::new(ask.method.clone(), url.clone());
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, bearer.clone());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("Accept-Version", HeaderValue::from_static(ask.version));
    if ask.minimal {
        headers.insert("Prefer", HeaderValue::from_static("return=minimal"));
    }
    if let Some(version) = ask.if_match {
        headers.insert(IF_MATCH, HeaderValue::from(version));
    }
    if let Some(body) = ask.body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(body.to_string().into());
    }
    request
}

/// Reads a body, big ones off the executor.
async fn read(raw: Unread) -> Reply {
    let Unread { head, body } = raw;
    let is_big = body.len() > BIG;
    let parse = move || {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        serde_json::from_slice(body).unwrap_or(Value::Null)
    };
    let body = if is_big {
        tokio::task::spawn_blocking(parse)
            .await
            .unwrap_or(Value::Null)
    } else {
        parse()
    };
    Reply { head, body }
}
