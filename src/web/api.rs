//! The addresses of product.md section 7, each a few lines: read the request, ask the station, say
//! it in HTTP. Nothing is decided here.
//!
//! Over 500 lines because all addresses are seen in one file.

use crate::domain::{Code, Outcome, ScanReply, ScanText, Source, State as OrderState};
use crate::web::guard::{Through, guard};
use crate::web::port::{OrderAct, OrdersQuery, Reply, Request, WritebackAct, WritebacksQuery};
use crate::web::problem::{HttpCode, Problem, scan_response};
use crate::web::{Context, documents, events, lease, page};
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Largest request body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;
/// A body must have arrived within this time.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Longest `wait`.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// Longest order reference in an address, in bytes.
const MAX_REFERENCE: usize = 200;
/// Longest user name or reason, in characters.
const MAX_WORDS: usize = 200;

type Ctx = State<Arc<Context>>;
type Answer = Result<Response, Problem>;

pub(super) fn router(context: Arc<Context>) -> Router {
    Router::new()
        .route("/", get(page::bench))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/session", post(session))
        .route("/api/scan", post(scan))
        .route("/api/status", get(status))
        .route("/api/orders", get(orders))
        .route("/api/orders/{reference}", get(order))
        .route("/api/orders/{reference}/label.png", get(label))
        .route("/api/orders/{reference}/{act}", post(act))
        .route("/api/writebacks", get(writebacks))
        .route("/api/writebacks/{id}/{act}", post(writeback))
        .route("/api/events", get(follow))
        .route("/api/update/lease", post(update_lease))
        .route("/api/doctor", get(doctor))
        .route("/api/hooks/cartoncloud/{secret}", post(hook))
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

async fn healthz() -> Response {
    Json(json!({ "ok": true })).into_response()
}

/// Ready: the station answers and takes work.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionBody {
    token: String,
}

/// The page of another machine logs in: the token for a session cookie.
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScanBody {
    code: String,
    #[serde(default)]
    user: Option<String>,
}

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

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActBody {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    parcels: Vec<u16>,
    #[serde(default)]
    confirm: bool,
    #[serde(default)]
    user: Option<String>,
}

async fn act(
    State(context): Ctx,
    Extension(through): Extension<Through>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Path((reference, name)) = path.map_err(|_| Problem::bad("The address is not UTF-8."))?;
    let reference = checked_reference(reference)?;
    // A wrong word is a wrong address whatever the body says.
    if !["reprint", "redo", "next-parcel", "release", "cancel"].contains(&name.as_str()) {
        return Err(Problem::http(
            HttpCode::NotFound,
            "An order can be told to reprint, redo, next-parcel, release or cancel.",
        ));
    }
    let wait = wait(&uri)?;
    let body: ActBody = json_body(&headers, body).await?;
    let reason = body.reason.map(|r| words(r, "reason")).transpose()?;
    let source = source(through, body.user)?;
    let only_reprint = body.parcels.is_empty() || name == "reprint";
    if !only_reprint || body.parcels.len() > 100 || body.parcels.contains(&0) {
        return Err(Problem::bad(
            "parcels are numbers from 1, for reprint only.",
        ));
    }
    let act = match name.as_str() {
        "reprint" => OrderAct::Reprint {
            reason,
            parcels: body.parcels,
        },
        "redo" if !body.confirm => {
            return Err(Problem::bad(
                "redo buys a new shipment in place of the old one: send {\"confirm\": true}.",
            ));
        }
        "redo" => OrderAct::Redo { reason },
        "next-parcel" => OrderAct::NextParcel,
        "release" => OrderAct::Release,
        _ => OrderAct::Cancel,
    };
    let request = Request::Act {
        reference,
        act,
        source,
        wait,
    };
    said(context.station.ask(request).await)
}

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrdersParams {
    state: Option<OrderState>,
    q: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

async fn orders(State(context): Ctx, uri: Uri) -> Answer {
    let params: OrdersParams = query(&uri)?;
    let limit = params.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::bad("limit is 1 to 1000."));
    }
    let query = OrdersQuery {
        state: params.state,
        q: params
            .q
            .filter(|q| !q.is_empty())
            .map(|q| words(q, "q"))
            .transpose()?,
        limit,
        after: params.after.map(checked_reference).transpose()?,
    };
    said(context.station.ask(Request::Orders(query)).await)
}

async fn order(State(context): Ctx, path: Result<Path<String>, PathRejection>) -> Answer {
    let Path(reference) = path.map_err(|_| Problem::bad("The address is not UTF-8."))?;
    let reference = checked_reference(reference)?;
    said(context.station.ask(Request::Order { reference }).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelParams {
    page: Option<u16>,
}

async fn label(State(context): Ctx, path: Result<Path<String>, PathRejection>, uri: Uri) -> Answer {
    let Path(reference) = path.map_err(|_| Problem::bad("The address is not UTF-8."))?;
    let reference = checked_reference(reference)?;
    let page = query::<LabelParams>(&uri)?.page.unwrap_or(1);
    if page == 0 {
        return Err(Problem::bad("page counts from 1."));
    }
    said(
        context
            .station
            .ask(Request::LabelPng { reference, page })
            .await,
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WritebacksParams {
    state: Option<String>,
    limit: Option<usize>,
}

async fn writebacks(State(context): Ctx, uri: Uri) -> Answer {
    let params: WritebacksParams = query(&uri)?;
    let limit = params.limit.unwrap_or(1000);
    if !(1..=20_000).contains(&limit) {
        return Err(Problem::bad("limit is 1 to 20000."));
    }
    if let Some(state) = &params.state
        && !documents::WRITEBACK_STATES.contains(&state.as_str())
    {
        let words = documents::WRITEBACK_STATES.join(", ");
        return Err(Problem::bad(format!("state is one of: {words}.")));
    }
    let query = WritebacksQuery {
        state: params.state,
        limit,
    };
    said(context.station.ask(Request::Writebacks(query)).await)
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WritebackBody {
    #[serde(default)]
    keep: Option<Keep>,
    #[serde(default)]
    user: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Keep {
    Ours,
    Theirs,
}

async fn writeback(
    State(context): Ctx,
    Extension(through): Extension<Through>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let Path((id, name)) = path.map_err(|_| Problem::bad("The address is not UTF-8."))?;
    let id = checked_reference(id)?;
    if !["retry", "resolve"].contains(&name.as_str()) {
        return Err(Problem::http(
            HttpCode::NotFound,
            "A writeback can be told to retry, or resolved.",
        ));
    }
    let body: WritebackBody = json_body(&headers, body).await?;
    let act = match (name.as_str(), body.keep) {
        ("retry", None) => WritebackAct::Retry,
        ("resolve", Some(Keep::Ours)) => WritebackAct::KeepOurs,
        ("resolve", Some(Keep::Theirs)) => WritebackAct::KeepTheirs,
        ("retry", Some(_)) => return Err(Problem::bad("keep is for resolve.")),
        _ => {
            return Err(Problem::bad(
                "Say which number shall stand: {\"keep\": \"ours\"} or {\"keep\": \"theirs\"}.",
            ));
        }
    };
    let source = source(through, body.user)?;
    let request = Request::Writeback { id, act, source };
    said(context.station.ask(request).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseBody {
    quiet_s: u32,
    patience_s: u32,
}

/// Only for the updater on this machine: whoever holds it keeps the bench from working.
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
fn said(reply: Reply) -> Answer {
    Ok(match reply {
        Reply::Scan(reply) => scan_response(&reply),
        Reply::Document(document) => Json(document).into_response(),
        Reply::Lines(lines) => {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            typed("application/x-ndjson", Bytes::from(text))
        }
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

/// Reads a JSON body: declared as JSON, at most [`MAX_BODY`], within [`BODY_DEADLINE`].
async fn json_body<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let declared = headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split(';').next())
        .is_some_and(|v| v.trim().eq_ignore_ascii_case("application/json"));
    if !declared {
        return Err(Problem::media_type());
    }
    let too_large = || Problem::http(HttpCode::TooLarge, "A request body has at most 64 KiB.");
    let length = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse::<usize>().ok());
    if length.is_some_and(|n| n > MAX_BODY) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(BODY_DEADLINE, axum::body::to_bytes(body, MAX_BODY)).await;
    let bytes = match read {
        Ok(Ok(bytes)) => bytes,
        // With a declared length that fits, what failed was the connection.
        Ok(Err(_)) if length.is_none() => return Err(too_large()),
        Ok(Err(_)) => return Err(Problem::bad("The request broke off.")),
        Err(_) => {
            return Err(
                Problem::bad("The request took too long.").with_status(StatusCode::REQUEST_TIMEOUT)
            );
        }
    };
    serde_json::from_slice(&bytes)
        .map_err(|why| Problem::bad(format!("The body is not what is wanted here: {why}.")))
}

fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    Query::try_from_uri(uri)
        .map(|Query(params)| params)
        .map_err(|why| Problem::bad(format!("{}.", why.body_text())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WaitParam {
    wait: Option<String>,
}

/// `?wait=30s`.
fn wait(uri: &Uri) -> Result<Option<Duration>, Problem> {
    let Some(text) = query::<WaitParam>(uri)?.wait else {
        return Ok(None);
    };
    match crate::domain::time::parse_duration(&text) {
        Some(wait) if wait.is_zero() => Ok(None),
        Some(wait) if wait <= LONGEST_WAIT => Ok(Some(wait)),
        _ => Err(Problem::bad("wait is a duration up to 2m, such as 30s.")),
    }
}

fn source(through: Through, user: Option<String>) -> Result<Source, Problem> {
    let trigger = match through {
        Through::Cli => "cli",
        Through::Page => "page",
        Through::Http => "http",
    };
    Ok(Source {
        trigger: trigger.to_owned(),
        user: user
            .filter(|u| !u.trim().is_empty())
            .map(|u| words(u, "user"))
            .transpose()?,
    })
}

fn words(text: String, what: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.chars().count() > MAX_WORDS || text.chars().any(char::is_control) {
        return Err(Problem::bad(format!(
            "{what} has at most {MAX_WORDS} characters and no control characters."
        )));
    }
    Ok(text.to_owned())
}

fn checked_reference(reference: String) -> Result<String, Problem> {
    if reference.is_empty()
        || reference.len() > MAX_REFERENCE
        || reference.chars().any(char::is_control)
    {
        return Err(Problem::bad("This is no order number or ledger id."));
    }
    Ok(reference)
}
