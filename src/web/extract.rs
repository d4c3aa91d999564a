//! What a request says: body, query and path, bounded and checked, with a problem for everything else.

use crate::domain::Source;
use crate::web::guard::Through;
use crate::web::problem::{HttpCode, Problem};
use axum::body::Body;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use utoipa::IntoParams;

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

/// Reads a JSON body: declared as JSON, at most [`MAX_BODY`], within [`BODY_DEADLINE`].
pub(super) async fn json_body<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
) -> Result<T, Problem> {
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

pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    Query::try_from_uri(uri)
        .map(|Query(params)| params)
        .map_err(|why| Problem::bad(format!("{}.", why.body_text())))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitParam {
    /// Answer when it has ended, or after this time: up to `2m`.
    #[param(pattern = "^(0|[1-9][0-9]?|1[01][0-9]|120)s$", example = "30s")]
    wait: Option<String>,
}

/// `?wait=30s`.
pub(super) fn wait(uri: &Uri) -> Result<Option<Duration>, Problem> {
    let Some(text) = query::<WaitParam>(uri)?.wait else {
        return Ok(None);
    };
    match crate::domain::time::parse_duration(&text) {
        Some(wait) if wait.is_zero() => Ok(None),
        Some(wait) if wait <= LONGEST_WAIT => Ok(Some(wait)),
        _ => Err(Problem::bad("wait is a duration up to 2m, such as 30s.")),
    }
}

pub(super) fn source(through: Through, user: Option<String>) -> Result<Source, Problem> {
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

pub(super) fn words(text: String, what: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.chars().count() > MAX_WORDS || text.chars().any(char::is_control) {
        return Err(Problem::bad(format!(
            "{what} has at most {MAX_WORDS} characters and no control characters."
        )));
    }
    Ok(text.to_owned())
}

pub(super) fn checked_reference(reference: String) -> Result<String, Problem> {
    if reference.is_empty()
        || reference.len() > MAX_REFERENCE
        || reference.chars().any(char::is_control)
    {
        return Err(Problem::bad("This is no order number or ledger id."));
    }
    Ok(reference)
}
