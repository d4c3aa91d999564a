//! Server-sent events: what the page and `printstation status --watch` live on.
//!
//! The first event is always the status as it now is; a follower that fell behind gets it again
//! instead of what it missed. A comment every 15 s shows that the station is there.

use crate::web::port::{Event, EventKind, Reply, Request, Station};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Chunks on their way to one follower.
const CHUNKS: usize = 8;

/// Streams events until the follower or the station goes.
pub(super) fn stream(
    station: Station,
    stopping: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
) -> Response {
    let (tx, rx) = mpsc::channel(CHUNKS);
    tokio::spawn(async move {
        let mut stopping = stopping;
        tokio::select! {
            () = feed(station, tx, place) => {}
            _ = async { stopping.wait_for(|stop| *stop).await.is_ok() } => {}
        }
    });
    let mut response = Body::new(Chunks(rx)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Ends when the follower is gone: every send to it then fails.
async fn feed(station: Station, tx: mpsc::Sender<Bytes>, _place: OwnedSemaphorePermit) {
    let mut events = station.follow();
    let Ok(()) = tx.send(Bytes::from_static(b"retry: 2000\n\n")).await else {
        return;
    };
    let mut stale = true;
    loop {
        if std::mem::take(&mut stale) {
            let Some(chunk) = status(&station).await else {
                return;
            };
            if tx.send(chunk).await.is_err() {
                return;
            }
        }
        let chunk = match tokio::time::timeout(HEARTBEAT, events.recv()).await {
            Ok(Ok(event)) => chunk(&event),
            Ok(Err(broadcast::error::RecvError::Lagged(_))) => {
                stale = true;
                continue;
            }
            Ok(Err(broadcast::error::RecvError::Closed)) => return,
            Err(_) => Bytes::from_static(b": here\n\n"),
        };
        if tx.send(chunk).await.is_err() {
            return;
        }
    }
}

/// `None`: the station gives no status; the follower reconnects.
async fn status(station: &Station) -> Option<Bytes> {
    match station.ask(Request::Status).await {
        Reply::Document(data) => Some(chunk(&Event {
            kind: EventKind::Status,
            data,
        })),
        _ => None,
    }
}

/// JSON has no line breaks, so an event is always three lines.
fn chunk(event: &Event) -> Bytes {
    format!("event: {}\ndata: {}\n\n", event.kind.as_str(), event.data).into()
}

pub(super) struct Chunks(pub(super) mpsc::Receiver<Bytes>);

impl hyper::body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(cx)
            .map(|chunk| chunk.map(|c| Ok(Frame::data(c))))
    }
}
