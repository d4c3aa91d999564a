//! Talks to the running station over its control socket: the same API as HTTP, without a token.

use super::Failure;
use crate::config::{self, Request, Strictness};
use crate::web::CONTROL_SOCKET;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// No station is running (sysexits EX_UNAVAILABLE; product.md section 5).
pub(super) const NO_STATION: u8 = 69;
/// A station that is there takes a connection within this time.
const CONNECT: Duration = Duration::from_secs(5);
/// … and answers within this time, beyond what it was asked to wait.
const ANSWER: Duration = Duration::from_secs(20);
/// Largest answer.
const MAX_ANSWER: usize = 64 << 20;

/// The way to a station.
#[derive(Clone, Debug)]
pub(super) struct Client {
    socket: PathBuf,
}

/// What it answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Answer {
    /// The answer as a document.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|cause| Failure::cannot("the station's answer is no JSON".to_owned(), cause))
    }

    /// The answer, or what the station had against the question.
    pub(super) fn good(self) -> Result<Self, Failure> {
        if self.status.is_success() {
            return Ok(self);
        }
        let problem = self.json().unwrap_or(Value::Null);
        let text = |member: &str| problem.get(member).and_then(Value::as_str).unwrap_or("");
        let mut what = match text("code") {
            "" => format!("the station answered {}", self.status),
            code => format!("{code}: {}", text("title")),
        };
        if !text("detail").is_empty() {
            what.push(' ');
            what.push_str(text("detail"));
        }
        for candidate in problem["candidates"].as_array().into_iter().flatten() {
            let member = |name: &str| candidate[name].as_str().unwrap_or("?").to_owned();
            what.push_str(&format!("\n  {}  ({})", member("id"), member("account")));
        }
        Err(Failure::internal(what))
    }
}

/// The station that is meant: by `--state-dir`, else by what the configuration says.
pub(super) fn find(place: &Request) -> Client {
    let state_dir = place.state_dir.clone().or_else(|| {
        // Mistakes elsewhere in the file do not keep anybody from asking a running station.
        let lenient = Request {
            strictness: Strictness::Lenient,
            ..place.clone()
        };
        Some(config::load(&lenient).config?.station.state_dir)
    });
    let state_dir = state_dir.unwrap_or_else(|| config::DEFAULT_STATE_DIR.into());
    at(&state_dir)
}

/// The station of a state folder.
pub(super) fn at(state_dir: &std::path::Path) -> Client {
    Client {
        socket: state_dir.join(CONTROL_SOCKET),
    }
}

impl Client {
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        let response = self
            .send(Method::GET, path, Bytes::new(), Duration::ZERO)
            .await?;
        self.whole(response).await
    }

    /// For what takes the station as long as `wait` to find out.
    pub(super) async fn get_waiting(&self, path: &str, wait: Duration) -> Result<Answer, Failure> {
        let response = self.send(Method::GET, path, Bytes::new(), wait).await?;
        self.whole(response).await
    }

    /// `wait`: what the station was asked to wait.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &Value,
        wait: Duration,
    ) -> Result<Answer, Failure> {
        let body = Bytes::from(body.to_string());
        let response = self.send(Method::POST, path, body, wait).await?;
        self.whole(response).await
    }

    /// Opens a stream of server-sent events.
    pub(super) async fn follow(&self) -> Result<Incoming, Failure> {
        let path = "/api/events";
        let response = self
            .send(Method::GET, path, Bytes::new(), Duration::ZERO)
            .await?;
        if !response.status().is_success() {
            self.whole(response).await?.good()?;
            return Err(Failure::internal("the station does not show its events"));
        }
        Ok(response.into_body())
    }

    async fn whole(&self, response: Response<Incoming>) -> Result<Answer, Failure> {
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
        let body = tokio::time::timeout(ANSWER, body)
            .await
            .map_err(|cause| Failure::cannot("the station's answer broke off".to_owned(), cause))?
            .map_err(|cause| Failure::internal(format!("the station's answer broke off: {cause}")))?
            .to_bytes();
        Ok(Answer { status, body })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        wait: Duration,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = self.connect().await?;
        let broke = |cause: hyper::Error| {
            Failure::cannot("the station closed the connection".to_owned(), cause)
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broke)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the station ended early");
            }
        });
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "printstation")
            .header("Content-Type", "application/json")
            .body(Full::new(body))
            .map_err(|cause| Failure::cannot("this cannot be asked".to_owned(), cause))?;
        tokio::time::timeout(wait + ANSWER, sender.send_request(request))
            .await
            .map_err(|cause| {
                Failure::cannot("the station did not answer in time".to_owned(), cause)
            })?
            .map_err(broke)
    }

    async fn connect(&self) -> Result<UnixStream, Failure> {
        use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        let place = self.socket.display();
        match tokio::time::timeout(CONNECT, UnixStream::connect(&self.socket)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if matches!(error.kind(), NotFound | ConnectionRefused) => {
                Err(Failure::internal(format!(
                    "no station is running here ({place} does not answer); start one with `printstation run`, or name its folder with --state-dir"
                ))
                .with_exit(NO_STATION))
            }
            Ok(Err(error)) if error.kind() == PermissionDenied => Err(Failure::cannot(
                format!("you may not use {place}; become a member of its group"),
                error,
            )),
            Ok(Err(error)) => Err(Failure::cannot(format!("{place} cannot be reached"), error)),
            Err(_) => Err(Failure::internal(format!("the station at {place} does not answer"))
                .with_exit(NO_STATION)),
        }
    }
}

/// One part of an address, percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            b => format!("%{b:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn a_reference_cannot_leave_its_place_in_the_address() {
        assert_eq!(encoded("../a b?c#d/é"), "..%2Fa%20b%3Fc%23d%2F%C3%A9");
        assert_eq!(encoded("WEB-1_x.y~"), "WEB-1_x.y~");
    }
}
