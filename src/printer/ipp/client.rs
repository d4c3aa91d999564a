//! One IPP request: a connection, an HTTP POST, an answer; all with deadlines and bounds.
//!
//! The document goes out in small pieces, so that "no byte left", "it moves" and "it stopped" can
//! be told apart. `ipp://` is plain HTTP on the station's own network.

use super::wire::{MOST, Reply};
use crate::printer::settings::IppTarget;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Bytes, Frame};
use hyper::{Method, Request, header};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// Bytes offered to the connection at once, and the most that it holds.
const PIECE: usize = 16 * 1024;
/// How often the document's progress is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Deadlines of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Name look-up and connection.
    pub connect: Duration,
    /// Without a piece taken or an answer, the request has stopped.
    pub progress: Duration,
    /// All of it.
    pub total: Duration,
}

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// No connection: nothing left this host.
    NotSent(String),
    /// Part of the request may have arrived.
    Broken(String),
    /// Nothing moved, or it took too long.
    Stopped(String),
}

impl Trouble {
    pub fn detail(self) -> String {
        match self {
            Self::NotSent(detail) | Self::Broken(detail) | Self::Stopped(detail) => detail,
        }
    }
}

/// Sends a message; `on_first` runs when its first piece is on its way. Also returns how many
/// bytes the connection took.
pub(crate) async fn send(
    target: &IppTarget,
    message: Vec<u8>,
    patience: Patience,
    on_first: impl FnOnce() + Send,
) -> (u64, Result<Reply, Trouble>) {
    let taken = Arc::new(AtomicU64::new(0));
    let (told, mut first) = oneshot::channel();
    let body = Pieces {
        rest: Bytes::from(message),
        taken: Arc::clone(&taken),
        told: Some(told),
    };
    let exchange = exchange(target, body, patience.connect);
    let watched = async {
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            sleep(LOOK).await;
            let now = taken.load(Ordering::Relaxed);
            if now != last {
                (last, moved) = (now, Instant::now());
            } else if moved.elapsed() >= patience.progress.max(patience.connect) {
                return;
            }
        }
    };
    let exchange = timeout(patience.total, exchange);
    tokio::pin!(exchange, watched);
    let mut on_first = Some(on_first);
    let stopped = |detail: &str| Err(Trouble::Stopped(detail.to_owned()));
    let answer = loop {
        tokio::select! {
            biased;
            told = &mut first, if on_first.is_some() => {
                if let (Ok(()), Some(on_first)) = (told, on_first.take()) {
                    on_first();
                }
            }
            answer = &mut exchange => {
                break answer.unwrap_or_else(|_| stopped("the printer took too long"));
            }
            () = &mut watched => break stopped("the printer stopped taking bytes"),
        }
    };
    // The first piece and the end may come in the same step.
    if let (Ok(()), Some(on_first)) = (first.try_recv(), on_first) {
        on_first();
    }
    (taken.load(Ordering::Relaxed), answer)
}

async fn exchange(target: &IppTarget, body: Pieces, connect: Duration) -> Result<Reply, Trouble> {
    let authority = target.authority();
    let not_sent = |cause: String| Trouble::NotSent(format!("{authority}: {cause}"));
    let dial = TcpStream::connect((target.host.as_str(), target.port));
    let stream = match timeout(connect, dial).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(not_sent(error.to_string())),
        Err(_) => return Err(not_sent(format!("no connection within {connect:?}"))),
    };
    let request = Request::builder()
        .method(Method::POST)
        .uri(target.path.as_str())
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/ipp")
        .header(header::CONTENT_LENGTH, body.rest.len())
        .header(header::CONNECTION, "close")
        .body(body)
        .map_err(|error| not_sent(error.to_string()))?;
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .max_buf_size(PIECE)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| not_sent(error.to_string()))?;
    let broken = |error: &dyn std::fmt::Display| Trouble::Broken(format!("{authority}: {error}"));
    // The connection is driven here: dropping this future closes it.
    let talk = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST)
            .collect()
            .await
            .map_err(|error| broken(&error))?
            .to_bytes();
        if !status.is_success() {
            return Err(broken(&format!("HTTP {status}")));
        }
        Reply::parse(&body).ok_or_else(|| broken(&"the answer is not IPP"))
    };
    tokio::pin!(talk);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut talk => answer,
        // Its error comes out of `talk` too, with the reason; without one the answer is whole.
        _ = &mut connection => talk.await,
    }
}

/// A message in pieces, counted as the connection takes them.
struct Pieces {
    rest: Bytes,
    taken: Arc<AtomicU64>,
    told: Option<oneshot::Sender<()>>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let count = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(count);
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        if let Some(told) = self.told.take() {
            let _ = told.send(()); // nobody listens when the request was given up
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.rest.len() as u64)
    }
}
