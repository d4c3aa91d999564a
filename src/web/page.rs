//! The bench page: one file, no outside resources, a nonce for its own script and style.

use crate::domain::Code;
use crate::web::Context;
use crate::web::guard::{Peer, Through};
use crate::web::problem::Problem;
use crate::web::token::random_hex;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

const PAGE: &str = include_str!("page.html");

/// The bench page. On this machine it comes with a session; elsewhere it asks for the token first.
#[utoipa::path(
    get, path = "/", tag = "page", security((), ("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "HTML.", body = String, content_type = "text/html"),
        crate::web::schema::Reads, crate::web::schema::Away,
    )
)]
pub(super) async fn bench(
    State(context): State<Arc<Context>>,
    Extension(through): Extension<Through>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let Ok(nonce) = random_hex() else {
        return Problem::code(Code::Internal, "There are no random numbers yet.")
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .into_response();
    };
    let html = context.page.replace("{{nonce}}", &nonce);
    let mut response = html.into_response();
    let own = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        own.insert(name, HeaderValue::from_static(value));
    }
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        own.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    // Another site can make a browser load this page, but not read it, and its own requests do not
    // carry a SameSite=Strict cookie.
    let is_here = match peer {
        Some(Extension(Peer::Tcp(from))) => from.to_canonical().is_loopback(),
        _ => false,
    };
    let has_token = through == Through::Http && headers.contains_key(header::AUTHORIZATION);
    if (is_here || has_token)
        && let Some(cookie) = context.keys.set_cookie()
    {
        own.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// The page of this bench; the nonce is filled in for each reader.
pub(super) fn of_bench(station: &str, prefix: &str) -> String {
    PAGE.replace("{{station}}", &escape(station))
        .replace("{{prefix}}", &escape(prefix))
}

/// Text as it may stand in HTML.
fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\'' => "&#39;".to_owned(),
            c => c.to_string(),
        })
        .collect()
}
