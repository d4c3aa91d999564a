//! Listening: TCP and the control socket, with limits for clients that are slow or many.

use crate::web::guard::{Keys, Peer};
use crate::web::port::Station;
use crate::web::{Context, Settings, api, page, token};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at a time: over TCP, and on the control socket, so that neither can starve the other.
const CONNECTIONS: usize = 320;
/// Followers of events among them.
const FOLLOWERS: usize = 24;
/// Headers must have arrived within this time; an idle connection is closed after it.
const HEADERS_DEADLINE: Duration = Duration::from_secs(10);
/// Largest request head, in bytes, and most headers.
const HEAD: usize = 16 * 1024;
const HEADERS: usize = 64;
/// A client that does not take our bytes for so long is cut off, in milliseconds.
const STALLED_MS: u32 = 30_000;
/// Whoever sends too much, or has no key, waits so long for the refusal: asking for it over and over costs
/// the station nothing, and keys cannot be tried by the thousand.
const REFUSAL_PAUSE: Duration = Duration::from_millis(250);
/// After a failed accept (out of file handles): do not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why the page and API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `web.listen` cannot be used.
    #[error("cannot listen on {address} (web.listen)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Another station is running with this state folder.
    #[error("another station answers at {path}")]
    Running {
        /// Its socket.
        path: PathBuf,
    },
    /// The control socket cannot be made.
    #[error("cannot make {path}")]
    Control {
        /// The socket.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// No random bytes for the session.
    #[error(transparent)]
    Token(#[from] token::TokenError),
}

/// Page and API being served. Dropping this cuts every connection; see [`Serving::drain`].
#[derive(Debug)]
pub struct Serving {
    /// The TCP address that it got.
    pub web: SocketAddr,
    /// The control socket.
    pub control: PathBuf,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Serving {
    /// Takes no new connections, lets requests under way end, and returns at the latest after
    /// `grace`.
    pub async fn drain(mut self, grace: Duration) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!("requests were cut off at the end of the drain");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A socket file that stays is recognised as stale at the next start.
        if let Err(error) = std::fs::remove_file(&self.control) {
            tracing::debug!(%error, "the control socket was not there any more");
        }
    }
}

/// Starts serving.
///
/// # Errors
/// An address cannot be used, or another station runs here.
pub async fn serve(settings: Settings, station: Station) -> Result<Serving, StartError> {
    let control = control_socket(&settings.control).await?;
    let failed = |cause| StartError::Listen {
        address: settings.listen,
        cause,
    };
    let tcp = TcpListener::bind(settings.listen).await.map_err(failed)?;
    let web = tcp.local_addr().map_err(failed)?;
    let (stop, stopping) = watch::channel(false);
    let session = SecretString::from(token::random_hex()?);
    let context = Arc::new(Context {
        station,
        keys: Keys::new(
            &settings.token,
            settings.peer_token.as_ref(),
            session,
            web.port(),
            settings.hook_secret.as_ref(),
        ),
        hosts: settings.hosts,
        page: page::of_bench(
            &settings.station,
            &settings.command_prefix,
            &settings.presets,
        ),
        openapi: openapi(),
        stopping: stopping.clone(),
        followers: Arc::new(Semaphore::new(FOLLOWERS)),
    });
    let router = api::router(context);
    let mut tasks = JoinSet::new();
    tasks.spawn(accept(router.clone(), stopping.clone(), async move || {
        let (stream, peer) = tcp.accept().await?;
        if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(&stream, STALLED_MS) {
            tracing::debug!(%error, "no limit for stalled clients on this connection");
        }
        Ok((stream, Peer::Tcp(peer.ip())))
    }));
    tasks.spawn(accept(router, stopping, async move || {
        let (stream, _) = control.accept().await?;
        Ok((stream, Peer::Control))
    }));
    Ok(Serving {
        web,
        control: settings.control,
        stop,
        tasks,
    })
}

/// The document, written once.
fn openapi() -> Bytes {
    let text = api::document().to_pretty_json().unwrap_or_else(|error| {
        // Unreachable for these types; said rather than hidden.
        tracing::error!(%error, "the OpenAPI document cannot be written");
        String::from("{}")
    });
    Bytes::from(text)
}

/// Binds the control socket; a stale one is replaced, a live one is another station.
async fn control_socket(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |cause| StartError::Control {
        path: path.to_owned(),
        cause,
    };
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.file_type().is_socket() => {
            let dialled = tokio::net::UnixStream::connect(path);
            if let Ok(Ok(_)) = tokio::time::timeout(Duration::from_secs(1), dialled).await {
                return Err(StartError::Running {
                    path: path.to_owned(),
                });
            }
            std::fs::remove_file(path).map_err(failed)?;
        }
        Ok(_) => return Err(failed(std::io::ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(listener)
}

/// Takes connections until told to stop, then waits for those that are there.
async fn accept<S, F>(router: Router, mut stopping: watch::Receiver<bool>, next: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: AsyncFn() -> std::io::Result<(S, Peer)>,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let taken = async {
            // The place comes first: beyond the limit, clients wait in the kernel's queue.
            let place = places.clone().acquire_owned().await.ok();
            (place, next().await)
        };
        let (place, accepted) = tokio::select! {
            _ = async { stopping.wait_for(|stop| *stop).await.is_ok() } => break,
            taken = taken => taken,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (router, stopping) = (router.clone(), stopping.clone());
                connections.spawn(connection(stream, peer, router, stopping, place));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Closes the listener: whoever comes now is told so instead of waiting for nothing.
    drop(next);
    while connections.join_next().await.is_some() {}
}

async fn connection<S>(
    stream: S,
    peer: Peer,
    router: Router,
    mut stopping: watch::Receiver<bool>,
    _place: Option<OwnedSemaphorePermit>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let answered = router.call(request.map(Body::new));
        async move {
            let answer = answered.await;
            let status = answer.as_ref().map(|answer| answer.status());
            if matches!(
                status,
                Ok(StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNAUTHORIZED)
            ) {
                tokio::time::sleep(REFUSAL_PAUSE).await;
            }
            answer
        }
    });
    let mut served = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_DEADLINE)
            .max_headers(HEADERS)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(stream), service)
    );
    let stopped = async { stopping.wait_for(|stop| *stop).await.is_ok() };
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        _ = stopped => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_another_station() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = control_socket(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(matches!(
            control_socket(&path).await,
            Err(StartError::Running { .. })
        ));
        drop(listener);
        assert!(control_socket(&path).await.is_ok());

        let file = dir.path().join("file");
        std::fs::File::create(&file).unwrap();
        assert!(matches!(
            control_socket(&file).await,
            Err(StartError::Control { .. })
        ));
        assert!(file.exists(), "a file that is no socket is not deleted");
    }
}
