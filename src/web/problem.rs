//! Errors as RFC 9457 `application/problem+json`, and scan replies with their status (contract 20).

use crate::domain::{Code, Outcome, ScanReply};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// Codes that only exist over HTTP (contract 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpCode {
    /// No token, or a wrong one.
    Unauthorized,
    /// No such address.
    NotFound,
    /// The address is there, the method is not.
    MethodNotAllowed,
    /// The body is larger than 64 KiB.
    TooLarge,
    /// Anything else that is wrong with the request.
    BadRequest,
}

impl HttpCode {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unauthorized,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::BadRequest,
    ];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::TooLarge => "too-large",
            Self::BadRequest => "bad-request",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BadRequest => StatusCode::BAD_REQUEST,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Unauthorized => "This needs the station's token.",
            Self::NotFound => "There is nothing at this address.",
            Self::MethodNotAllowed => "This address does not take this method.",
            Self::TooLarge => "The request is too large.",
            Self::BadRequest => "The request cannot be understood.",
        }
    }
}

/// An error that is no scan reply.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
}

impl Problem {
    pub(super) fn http(code: HttpCode, detail: impl Into<String>) -> Self {
        Self {
            status: code.status(),
            code: code.as_str(),
            title: code.title(),
            detail: detail.into(),
            members: Map::new(),
        }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::http(HttpCode::BadRequest, detail)
    }

    /// A POST without `Content-Type: application/json`.
    pub(super) fn media_type() -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ..Self::bad("send JSON, with Content-Type: application/json")
        }
    }

    /// A refusal of the station where no scan is concerned.
    pub(super) fn code(code: Code, detail: impl Into<String>) -> Self {
        Self {
            status: status_of(code),
            code: code.as_str(),
            title: code.explain().happened,
            detail: detail.into(),
            members: Map::new(),
        }
    }

    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        self.members.insert(member.to_owned(), value);
        self
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert("code".into(), self.code.into());
        add_problem(&mut body, self.status, self.code, self.title, &self.detail);
        respond(self.status, body)
    }
}

fn add_problem(
    body: &mut Map<String, Value>,
    status: StatusCode,
    code: &str,
    title: &str,
    detail: &str,
) {
    body.insert(
        "type".into(),
        format!("urn:printstation:code:{code}").into(),
    );
    body.insert("title".into(), title.into());
    body.insert("status".into(), status.as_u16().into());
    body.insert("detail".into(), detail.into());
}

fn respond(status: StatusCode, body: Map<String, Value>) -> Response {
    let mut response = (status, Json(Value::Object(body))).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// The status of a refusal.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::BadScan => StatusCode::UNPROCESSABLE_ENTITY,
        Code::QueueFull => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    }
}

/// A scan document with its status.
pub(super) fn scan_response(reply: &ScanReply) -> Response {
    let document = match serde_json::to_value(reply) {
        Ok(Value::Object(document)) => document,
        // Unreachable for this type; said rather than hidden.
        other => {
            tracing::error!(?other, "a scan reply cannot be written as JSON");
            return Problem::code(Code::Internal, Code::Internal.explain().you)
                .with_status(StatusCode::INTERNAL_SERVER_ERROR)
                .into_response();
        }
    };
    match reply.outcome {
        Outcome::Printed | Outcome::Ignored | Outcome::Question => {
            (StatusCode::OK, Json(json!(document))).into_response()
        }
        Outcome::Accepted | Outcome::Queued => {
            (StatusCode::ACCEPTED, Json(json!(document))).into_response()
        }
        Outcome::Refused => {
            let code = reply.code.unwrap_or(Code::Internal);
            let status = status_of(code);
            let mut body = document;
            add_problem(
                &mut body,
                status,
                code.as_str(),
                code.explain().happened,
                &reply.message,
            );
            respond(status, body)
        }
    }
}
