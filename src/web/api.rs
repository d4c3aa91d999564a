//! The addresses of product.md section 7, each a few lines: read the request, ask the station, say
//! it in HTTP. Nothing is decided here. What the ledger holds is in `orders.rs`.
//!
//! Each handler carries its description for `/api/openapi.json`; [`addresses`] joins both.

use crate::domain::{Code, Outcome, ScanReply, ScanText};
use crate::web::extract::{WaitParam, json_body, source, wait};
use crate::web::guard::{Through, guard};
use crate::web::port::{Reply, Request};
use crate::web::problem::{HttpCode, Problem, scan_response};
use crate::web::schema::{self, Away, Changes, Missing, Reads, Scans};
use crate::web::{Context, events, lease, orders, page};
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::OpenApi;
use utoipa::{OpenApi as _, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) type Ctx = State<Arc<Context>>;
pub(super) type Answer = Result<Response, Problem>;

/// Every address with its description: one declaration, so that neither can be there alone.
fn addresses() -> OpenApiRouter<Arc<Context>> {
    OpenApiRouter::with_openapi(schema::Document::openapi())
        .routes(routes!(page::bench))
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(openapi))
        .routes(routes!(session))
        .routes(routes!(scan))
        .routes(routes!(status))
        .routes(routes!(orders::orders))
        .routes(routes!(orders::order))
        .routes(routes!(orders::label))
        .routes(routes!(orders::reprint))
        .routes(routes!(orders::redo))
        .routes(routes!(orders::next_parcel))
        .routes(routes!(orders::release))
        .routes(routes!(orders::cancel))
        .routes(routes!(orders::writebacks))
        .routes(routes!(orders::retry))
        .routes(routes!(orders::resolve))
        .routes(routes!(follow))
        .routes(routes!(update_lease))
        .routes(routes!(hook))
}

/// The OpenAPI document of what [`router`] serves.
pub(super) fn document() -> OpenApi {
    addresses().split_for_parts().1
}

pub(super) fn router(context: Arc<Context>) -> Router {
    let (router, _) = addresses().split_for_parts();
    router
        // For this machine's command line alone; no part of what the document promises to others.
        .route("/api/doctor", axum::routing::get(doctor))
        .fallback(|uri: Uri| async move {
            let path: String = uri.path().chars().take(100).collect();
            Problem::http(HttpCode::NotFound, format!("There is no {path} here."))
        })
        .method_not_allowed_fallback(|method: Method| async move {
            Problem::http(
                HttpCode::MethodNotAllowed,
                format!("{method} is not for this address."),
            )
        })
        .layer(from_fn_with_state(context.clone(), guard))
        .with_state(context)
}

/// The process answers.
#[utoipa::path(
    get, path = "/healthz", tag = "supervision", security((), ("token" = []), ("session" = [])),
    responses((status = 200, description = "It does.", body = schema::Health), Reads)
)]
async fn healthz() -> Response {
    Json(json!({ "ok": true })).into_response()
}

/// The station answers and takes work.
#[utoipa::path(
    get, path = "/readyz", tag = "supervision", security((), ("token" = []), ("session" = [])),
    responses((status = 200, description = "It does.", body = schema::Readiness), Reads, Away)
)]
async fn readyz(State(context): Ctx) -> Answer {
    let Reply::Document(status) = context.station.ask(Request::Status).await else {
        return Err(
            Problem::code(Code::Internal, "The station does not answer.")
                .with_status(StatusCode::SERVICE_UNAVAILABLE),
        );
    };
    let state = status.get("state").cloned().unwrap_or(Value::Null);
    match state.as_str() {
        Some("ready" | "working") => {
            Ok(Json(json!({ "ok": true, "state": state })).into_response())
        }
        Some("paused") => Err(Problem::code(Code::Paused, Code::Paused.explain().you)
            .with("state", state)
            .with_status(StatusCode::SERVICE_UNAVAILABLE)),
        _ => Err(
            Problem::code(Code::Internal, "The station cannot take work now.")
                .with("state", state)
                .with_status(StatusCode::SERVICE_UNAVAILABLE),
        ),
    }
}

/// Everything that is counted, in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "supervision", security((), ("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "Metrics.", body = String, content_type = "text/plain"),
        Reads, Away,
    )
)]
async fn metrics(State(context): Ctx) -> Answer {
    said(context.station.ask(Request::Metrics).await)
}

/// This document.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "supervision", security((), ("token" = []), ("session" = [])),
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value), Reads)
)]
async fn openapi(State(context): Ctx) -> Response {
    typed("application/json", context.openapi.clone())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SessionBody {
    /// `web.token`, or what stands in the file `web-token` of the state folder.
    token: String,
}

/// The page of another machine logs in: the token for a session cookie. Only from the page's own
/// origin, or with the token.
#[utoipa::path(
    post, path = "/api/session", tag = "page", request_body = SessionBody,
    responses(
        (status = 204, description = "The cookie is set.", headers(("set-cookie" = String))),
        Changes,
    )
)]
async fn session(State(context): Ctx, headers: HeaderMap, body: Body) -> Answer {
    let SessionBody { token } = json_body(&headers, body).await?;
    if !context.keys.is_token(token.trim()) {
        return Err(Problem::http(
            HttpCode::Unauthorized,
            "This is not the station's token.",
        ));
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = context.keys.set_cookie() {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScanBody {
    /// What was scanned or typed: an order or a command.
    #[schema(example = "WEB-20417")]
    code: String,
    /// Who.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    user: Option<String>,
}

/// A scan. Without `wait` the answer comes as soon as the scan is on the card.
#[utoipa::path(
    post, path = "/api/scan", tag = "work", params(WaitParam), request_body = ScanBody, security(("token" = []), ("session" = [])),
    responses(Scans, Changes, Away)
)]
async fn scan(
    State(context): Ctx,
    Extension(through): Extension<Through>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let wait = wait(&uri)?;
    let ScanBody { code, user } = json_body(&headers, body).await?;
    let source = source(through, user)?;
    let text = match ScanText::parse(&code) {
        Ok(text) => text,
        Err(why) => {
            let reply =
                ScanReply::coded(Outcome::Refused, Code::BadScan, "", Some(&why.to_string()));
            return Ok(scan_response(&reply));
        }
    };
    let request = Request::Scan { text, source, wait };
    said(context.station.ask(request).await)
}

/// What is going on.
#[utoipa::path(
    get, path = "/api/status", tag = "look", security((), ("token" = []), ("session" = [])),
    responses((status = 200, description = "The status document.", body = schema::Status), Reads, Away)
)]
async fn status(State(context): Ctx) -> Answer {
    said(context.station.ask(Request::Status).await)
}

/// For `printstation doctor` on this machine: devices are asked and services called, so not for everybody.
async fn doctor(State(context): Ctx, Extension(through): Extension<Through>) -> Answer {
    if through != Through::Cli {
        return Err(Problem::http(
            HttpCode::NotFound,
            "There is no such address here.",
        ));
    }
    said(context.station.ask(Request::Doctor).await)
}

/// CartonCloud's webhook or custom button: the body is the order as it was then, of which only the id
/// is believed. Answered at once, because the sender waits for nobody.
#[utoipa::path(
    post, path = "/api/hooks/cartoncloud/{secret}", tag = "work",
    params(("secret" = String, Path, description = "`cartoncloud.hook_secret`")),
    request_body = schema::Hook,
    responses(
        (status = 200, description = "Heard; the order is read again.", body = serde_json::Value),
        Changes, Missing, Away,
    )
)]
async fn hook(
    State(context): Ctx,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Path(secret) = path.map_err(|_| Problem::bad("The address is not UTF-8."))?;
    if !context.keys.is_hook(&secret) {
        return Err(Problem::http(
            HttpCode::NotFound,
            "There is no such address here.",
        ));
    }
    let order: Value = json_body(&headers, body).await?;
    let uuid = order
        .get("id")
        .and_then(Value::as_str)
        .filter(|id| id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'))
        .ok_or_else(|| Problem::bad("The body is a sale order with its id."))?
        .to_ascii_lowercase();
    said(context.station.ask(Request::Hook { uuid }).await)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LeaseBody {
    quiet_s: u32,
    patience_s: u32,
}

/// Only for the updater on this machine, over the control socket: whoever holds it keeps the bench
/// from working.
#[utoipa::path(
    post, path = "/api/update/lease", tag = "supervision", request_body = LeaseBody, security(("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "A line as often as something changes.", body = String, content_type = "application/x-ndjson"),
        Changes, Missing,
    )
)]
async fn update_lease(
    State(context): Ctx,
    Extension(through): Extension<Through>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let LeaseBody {
        quiet_s,
        patience_s,
    } = json_body(&headers, body).await?;
    if through != Through::Cli {
        return Err(Problem::http(
            HttpCode::NotFound,
            "The lease is only given over the control socket.",
        ));
    }
    let seconds = |n: u32| Duration::from_secs(n.into());
    Ok(lease::stream(
        context.station.clone(),
        seconds(quiet_s),
        seconds(patience_s),
    ))
}

/// Server-sent events `scan` `order` `printer` `writeback` `status`; the first is the status.
#[utoipa::path(
    get, path = "/api/events", tag = "look", security((), ("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "Until one of us goes.", body = String, content_type = "text/event-stream"),
        Reads, Away,
    )
)]
async fn follow(State(context): Ctx) -> Answer {
    let place = context.followers.clone().try_acquire_owned().map_err(|_| {
        Problem::bad("Too many pages follow this station already.")
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
    })?;
    Ok(events::stream(
        context.station.clone(),
        context.stopping.clone(),
        place,
    ))
}

/// A station's reply in HTTP.
pub(super) fn said(reply: Reply) -> Answer {
    Ok(match reply {
        Reply::Scan(reply) => scan_response(&reply),
        Reply::Document(document) => Json(document).into_response(),
        Reply::Lines(lines) => {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            typed("application/x-ndjson", Bytes::from(text))
        }
        // Prometheus asks for the version of its format.
        Reply::Text(text) => typed("text/plain; version=0.0.4; charset=utf-8", text.into()),
        Reply::Png(bytes) => typed("image/png", Bytes::from(bytes)),
        Reply::NotFound { detail } => {
            return Err(
                Problem::code(Code::OrderNotFound, detail).with_status(StatusCode::NOT_FOUND)
            );
        }
        Reply::Ambiguous(candidates) => {
            return Err(
                Problem::code(Code::OrderAmbiguous, Code::OrderAmbiguous.explain().you)
                    .with("candidates", json!(candidates)),
            );
        }
        Reply::Failed { code, detail } => {
            let problem = Problem::code(code, detail);
            return Err(match code {
                Code::Internal => problem.with_status(StatusCode::SERVICE_UNAVAILABLE),
                _ => problem,
            });
        }
    })
}

fn typed(kind: &'static str, bytes: Bytes) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
