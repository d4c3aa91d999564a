//! The wire: listeners, connections, and connections that end badly on purpose.
//!
//! hyper is driven by hand because a simulator of bad networks must be able to close, reset or
//! never answer one connection, which a web framework rightly does not offer.

use crate::sim::site::{Fate, Network, Reply, Site};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Bytes of a request body; the systems' own limits are not documented.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// Connections at a time.
const MAX_CONNECTIONS: usize = 512;

/// Serves the API until the simulator is closed; stops listening while the network is `Refused`.
pub(crate) async fn listen<S: Site>(listener: TcpListener, addr: SocketAddr, shared: Arc<S>) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    let mut network = shared.net().watch();
    loop {
        let now = *network.borrow_and_update();
        let Some(now) = now else { break };
        if now == Network::Refused {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(addr).await.ok();
        }
        tokio::select! {
            changed = network.changed() => {
                if changed.is_err() {
                    break;
                }
                connections.abort_all();
            }
            stream = accept(listener.as_ref(), now), if connections.len() < MAX_CONNECTIONS => {
                if let Some(stream) = stream {
                    connections.spawn(serve(stream, Arc::clone(&shared), false));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Serves `/_sim/` alone, whatever the network is set to.
pub(crate) async fn listen_admin<S: Site>(listener: TcpListener, shared: Arc<S>) {
    let mut connections = JoinSet::new();
    let mut network = shared.net().watch();
    loop {
        tokio::select! {
            closed = network.wait_for(Option::is_none) => {
                drop(closed);
                break;
            }
            stream = accept(Some(&listener), Network::Up) => {
                if let Some(stream) = stream {
                    connections.spawn(serve(stream, Arc::clone(&shared), true));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

async fn accept(listener: Option<&TcpListener>, network: Network) -> Option<TcpStream> {
    let Some(listener) = listener else {
        // Nobody listens on purpose, or the port could not be taken again yet.
        if network == Network::Refused {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        return None;
    };
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            tracing::warn!(%error, "the simulator cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn serve<S: Site>(stream: TcpStream, shared: Arc<S>, admin_only: bool) {
    // A label is written in several pieces; Nagle would add 40 ms to each reply.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no TCP_NODELAY");
    }
    let cut = Arc::new(AtomicBool::new(true));
    let line = Line {
        stream,
        cut: Arc::clone(&cut),
    };
    let title_case = shared.title_case_headers();
    let service = service_fn(move |request| {
        let (shared, cut) = (Arc::clone(&shared), Arc::clone(&cut));
        async move {
            let mut response = answer(request, &shared, admin_only, &cut).await;
            // The case of header names belongs to a connection: another case needs another one.
            if shared.title_case_headers() != title_case
                && let Ok(response) = &mut response
            {
                let close = hyper::header::HeaderValue::from_static("close");
                response.headers_mut().insert("connection", close);
            }
            response
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .title_case_headers(title_case)
        .header_read_timeout(Duration::from_secs(120))
        .serve_connection(TokioIo::new(line), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer<S: Site>(
    request: Request<Incoming>,
    shared: &Arc<S>,
    admin_only: bool,
    cut: &AtomicBool,
) -> io::Result<Response<Answer>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let is_admin = path.starts_with("/_sim/");
    if !is_admin && !admin_only {
        match shared.net().now() {
            Network::Silent => std::future::pending().await,
            Network::Up => {}
            Network::Reset | Network::Refused => return Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(error) => return Err(io::Error::other(error)),
    };
    if is_admin || admin_only {
        return Ok(respond(
            shared.admin(
                &head.method,
                path.strip_prefix("/_sim/").unwrap_or_default(),
                &body,
            ),
            false,
        ));
    }
    let shared = Arc::clone(shared);
    // A task of its own: a client that goes away does not undo what it asked for.
    let fate = tokio::spawn(async move { shared.answer(head, body).await });
    match fate.await.map_err(io::Error::other)? {
        Fate::Reply(reply) => Ok(respond(reply, false)),
        Fate::HalfReply(reply) => Ok(respond(reply, true)),
        Fate::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        Fate::Close => {
            cut.store(false, Ordering::Release);
            Err(io::ErrorKind::ConnectionAborted.into())
        }
        Fate::Never => std::future::pending().await,
    }
}

fn respond(reply: Reply, half: bool) -> Response<Answer> {
    let whole = reply.body.len();
    let mut bytes = reply.body;
    if half {
        bytes.truncate(whole / 2);
    }
    let body = Answer {
        bytes: Some(bytes.into()),
        whole,
        half,
        flushed: false,
    };
    let mut response = Response::new(body);
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status)
        .unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in reply.headers {
        let value = hyper::header::HeaderValue::from_str(&value);
        match (
            hyper::header::HeaderName::from_bytes(name.as_bytes()),
            value,
        ) {
            (Ok(name), Ok(value)) => {
                response.headers_mut().insert(name, value);
            }
            _ => tracing::error!(name, "the simulator made a header that is none"),
        }
    }
    response
}

/// A reply's body, whole, or half of it and then an end that hyper takes for a broken line.
pub(crate) struct Answer {
    bytes: Option<Bytes>,
    whole: usize,
    half: bool,
    flushed: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.bytes.take() {
            Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
            // One pause, in which hyper sends what it has: the peer must see half a reply.
            None if self.half && !self.flushed => {
                self.flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None if self.half => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none() && !self.half
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.whole).unwrap_or(u64::MAX))
    }
}

/// A connection that is reset, not closed, when it ends in the middle of something.
struct Line {
    stream: TcpStream,
    /// Reset at the end: until the connection was shut down in order.
    cut: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.cut.load(Ordering::Acquire) {
            // Best effort: without it the peer sees an end of file instead of a reset.
            let _reset = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.cut.store(false, Ordering::Release);
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
