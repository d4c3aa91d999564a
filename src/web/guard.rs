//! Who may do what (contract 19): token, the page's own session, `Host`, `Origin`.
//!
//! | who | reads | changes |
//! |---|---|---|
//! | control socket | yes | yes |
//! | this machine, over TCP | yes | token or session |
//! | other machines | token or session | token or session |
//! | another bench of the site | `GET /api/status`, with `web.peer_token` | no |
//!
//! A session is a cookie that the page gets (`SameSite=Strict`, `HttpOnly`); a change by it must
//! come from the page's own origin. `Host` must be an address, `localhost` or a configured name:
//! a page of somebody else's that points its own name at this station is turned away. There is no
//! CORS.

use crate::web::Context;
use crate::web::problem::{HttpCode, Problem};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::sync::Arc;

/// Where CartonCloud's custom button calls.
pub(super) const HOOK: &str = "/api/hooks/cartoncloud/";

/// All that a peer may read.
const STATUS: &str = "/api/status";

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The control socket: the file's rights are the key.
    Control,
    /// TCP, from this address.
    Tcp(IpAddr),
}

/// Through what a request that may change something came: the `trigger` of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Through {
    /// The command line.
    Cli,
    /// The bench page.
    Page,
    /// Anything with the token, or a reader without.
    Http,
}

/// Secrets of the door.
pub(super) struct Keys {
    /// SHA-256 of the token: comparing digests tells nothing by its duration.
    token: [u8; 32],
    /// SHA-256 of what the site's other benches send to read the status; none: they cannot.
    peer_token: Option<[u8; 32]>,
    /// Value of the session cookie; new at every start.
    session: SecretString,
    /// Cookies do not know ports: the name does.
    cookie: String,
    /// SHA-256 of the secret part of the custom button's address; none: there is no such address.
    hook: Option<[u8; 32]>,
}

impl Keys {
    pub(super) fn new(
        token: &SecretString,
        peer_token: Option<&SecretString>,
        session: SecretString,
        port: u16,
        hook: Option<&SecretString>,
    ) -> Self {
        Self {
            hook: hook.map(|secret| digest(secret.expose_secret())),
            token: digest(token.expose_secret()),
            peer_token: peer_token.map(|token| digest(token.expose_secret())),
            session,
            cookie: format!("printstation-{port}"),
        }
    }

    pub(super) fn is_hook(&self, text: &str) -> bool {
        self.hook.is_some_and(|hook| digest(text) == hook)
    }

    pub(super) fn is_token(&self, text: &str) -> bool {
        digest(text) == self.token
    }

    /// `Set-Cookie` of a session.
    pub(super) fn set_cookie(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict",
            self.cookie,
            self.session.expose_secret()
        ))
        .ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    fn has_token(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|token| self.is_token(token))
    }

    fn has_peer_token(&self, headers: &HeaderMap) -> bool {
        self.peer_token
            .zip(bearer(headers))
            .is_some_and(|(peer, token)| digest(token) == peer)
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let expected = digest(self.session.expose_secret());
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .any(|(name, value)| name == self.cookie && digest(value) == expected)
    }
}

/// The token of an `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// Lets a request through, or answers it.
pub(super) async fn guard(
    State(context): State<Arc<Context>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let admitted = admit(
        &context,
        peer,
        request.method(),
        request.uri().path(),
        request.headers(),
    );
    match admitted {
        Ok(through) => {
            request.extensions_mut().insert(through);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn admit(
    context: &Context,
    peer: Option<Peer>,
    method: &Method,
    path: &str,
    headers: &HeaderMap,
) -> Result<Through, Problem> {
    let from = match peer {
        Some(Peer::Control) => return Ok(Through::Cli),
        Some(Peer::Tcp(from)) => from,
        None => {
            return Err(Problem::http(
                HttpCode::Unauthorized,
                "The caller is not known.",
            ));
        }
    };
    let host = host(headers)?;
    if !is_own_name(&host, &context.hosts) {
        return Err(Problem::bad(format!(
            "This station is not called \"{host}\"; use its address, or add the name to web.hosts."
        )));
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if context.keys.has_token(headers) {
        return Ok(Through::Http);
    }
    if reads && path == STATUS && context.keys.has_peer_token(headers) {
        return Ok(Through::Http);
    }
    if context.keys.has_session(headers) {
        if reads || is_own_origin(headers) {
            return Ok(Through::Page);
        }
        return Err(Problem::http(
            HttpCode::Unauthorized,
            "This did not come from the station's own page.",
        ));
    }
    // The page itself, to ask for the token; and the address that takes it.
    let public = path == "/" && reads
        || path == "/api/session" && is_own_origin(headers)
        // Whoever calls it has no header of ours to send: its secret is in the address.
        || path.starts_with(HOOK);
    if public || reads && from.to_canonical().is_loopback() {
        return Ok(Through::Http);
    }
    Err(Problem::http(
        HttpCode::Unauthorized,
        "Send the station's token: Authorization: Bearer … (web.token, or the file web-token in its state folder).",
    ))
}

/// The host that the request names, without port, in lower case.
fn host(headers: &HeaderMap) -> Result<String, Problem> {
    let mut all = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (all.next(), all.next()) else {
        return Err(Problem::bad("The request needs one Host header."));
    };
    let host = host
        .to_str()
        .ok()
        .filter(|h| h.len() <= 255)
        .ok_or_else(|| Problem::bad("The Host header cannot be read."))?;
    let bare = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((ip, _)) => ip,
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    Ok(bare.to_ascii_lowercase())
}

fn is_own_name(host: &str, names: &[String]) -> bool {
    host == "localhost"
        || host.parse::<IpAddr>().is_ok()
        || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// Browsers say where a request comes from: `Origin`, which must be this very host and port.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin
            .split_once("://")
            .is_some_and(|(_, of)| of.eq_ignore_ascii_case(host)),
        _ => false,
    }
}
