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
/// Longest order reference in an address, in characters.
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
    #[param(
        pattern = "^(0|([0-9]|[1-9][0-9]{1,4}|1[01][0-9]{4}|120000)ms|([0-9]|[1-9][0-9]|1[01][0-9]|120)s|[0-2]m)$",
        example = "30s"
    )]
    wait: Option<String>,
}

/// `?wait=30s`.
pub(super) fn wait(uri: &Uri) -> Result<Option<Duration>, Problem> {
    let Some(text) = query::<WaitParam>(uri)?.wait else {
        return Ok(None);
    };
    let wait = crate::domain::time::parse_duration(&text).filter(|_| is_plain(&text));
    match wait {
        Some(wait) if wait.is_zero() => Ok(None),
        Some(wait) if wait <= LONGEST_WAIT => Ok(Some(wait)),
        _ => Err(Problem::bad("wait is a duration up to 2m, such as 30s.")),
    }
}

/// `0`, or one number and its unit: what a pattern can say.
fn is_plain(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty();
    let is_short = digits == "0" || !digits.starts_with('0');
    is_number && is_short && (matches!(unit, "ms" | "s" | "m") || text == "0")
}

/// A whole number, also one that is written `171.0`: to JSON they are the same.
pub(super) fn whole<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: TryFrom<u64>,
{
    let number = serde_json::Number::deserialize(from)?;
    whole_of::<T>(&number).map_err(serde::de::Error::custom)
}

/// A list of them.
pub(super) fn wholes<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: TryFrom<u64>,
{
    let numbers = Vec::<serde_json::Number>::deserialize(from)?;
    let all = numbers.iter().map(whole_of::<T>);
    all.collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

fn whole_of<T: TryFrom<u64>>(number: &serde_json::Number) -> Result<T, String> {
    let whole = number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        let is_whole = float >= 0.0 && float <= f64::from(u32::MAX) && float.fract() == 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative, and far below the limit"
        )]
        let whole = float as u64;
        is_whole.then_some(whole)
    });
    whole
        .and_then(|whole| T::try_from(whole).ok())
        .ok_or_else(|| format!("{number} is not a whole number that fits here"))
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
        || reference.chars().count() > MAX_REFERENCE
        || reference.chars().any(char::is_control)
    {
        return Err(Problem::bad("This is no order number or ledger id."));
    }
    Ok(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_one_number_and_its_unit() {
        let of = |text: &str| {
            let uri: Uri = format!("/api/scan?wait={text}").parse().unwrap();
            wait(&uri).ok()
        };
        assert_eq!(of("30s"), Some(Some(Duration::from_secs(30))));
        assert_eq!(of("2m"), Some(Some(Duration::from_secs(120))));
        assert_eq!(of("120000ms"), Some(Some(Duration::from_secs(120))));
        assert_eq!((of("0"), of("0s")), (Some(None), Some(None)));
        for bad in [
            "", "30", "s", "03s", "1m30s", "121s", "1h", "-1s", "%2030s", "1.5s",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_numbers_are_taken_however_they_are_written() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Body {
            #[serde(deserialize_with = "wholes")]
            all: Vec<u16>,
        }
        let of = |text: &str| serde_json::from_str(text).ok().map(|body: Body| body.all);
        assert_eq!(
            of(r#"{"all":[1,171.0,65535,1e2]}"#),
            Some(vec![1, 171, 65535, 100])
        );
        for bad in ["-1", "65536", "1.5", "1e300", "-0.5", "\"1\"", "null"] {
            assert_eq!(of(&format!("{{\"all\":[{bad}]}}")), None, "{bad}");
        }
    }
}
