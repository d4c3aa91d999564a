//! The documents of the API as `/api/openapi.json` describes them.
//!
//! Words come from the program's own tables. Tests compare these shapes with what a running station
//! answers: every member that it sends is described here, with its type.
#![expect(
    dead_code,
    reason = "shapes: what is sent is made elsewhere, and compared by tests"
)]

use crate::domain::{Code, Outcome, Proof, State};
use crate::web::documents::WRITEBACK_STATES;
use crate::web::problem::HttpCode;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::schema::{ArrayBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, KnownFormat, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema,
    SchemaFormat,
};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, ToSchema};

/// The document without its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "printstation",
        description = "Scan an order, get its label, and its tracking number where it belongs.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(ProblemDocument, ScanDocument, OrderDocument, WritebackDocument, Status)),
    modifiers(&Keys),
)]
pub(super) struct Document;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some("`web.token`, or the file `web-token`"));
        components.add_security_scheme("token", SecurityScheme::Http(bearer.build()));
        let cookie = ApiKeyValue::with_description(
            "printstation-PORT",
            "the page's own; changes also need its Origin",
        );
        components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

fn words<'a>(all: impl IntoIterator<Item = &'a str>) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(all.into_iter().map(Value::from)))
}

/// A word as serde writes it.
fn written(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn outcome() -> Schema {
    use Outcome::{Accepted, Ignored, Printed, Question, Queued, Refused};
    let all = [Accepted, Printed, Queued, Refused, Question, Ignored].map(|o| written(&o));
    words(all.iter().map(String::as_str)).into()
}

fn codes() -> Vec<&'static str> {
    Code::ALL.iter().map(|code| code.as_str()).collect()
}

fn code() -> Schema {
    nullable(codes())
}

fn nullable<'a>(all: impl IntoIterator<Item = &'a str>) -> Schema {
    let values = all.into_iter().map(Value::from).chain([Value::Null]);
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([
            Type::String,
            Type::Null,
        ]))
        .enum_values(Some(values))
        .into()
}

fn any_code() -> Schema {
    words(
        codes()
            .into_iter()
            .chain(HttpCode::ALL.map(HttpCode::as_str)),
    )
    .into()
}

fn proof() -> Schema {
    let all = [
        Proof::Sent,
        Proof::Accepted,
        Proof::Confirmed,
        Proof::Person,
    ];
    let all = all.map(|proof| written(&proof));
    nullable(all.iter().map(String::as_str))
}

pub(super) fn order_state() -> Schema {
    use State::{
        Buying, Cancelled, Cloning, Expired, Held, InDoubt, Known, Printed, Printing, Pushing,
        Queued, Refused, Replacing, WaitingPrinter,
    };
    let all = [
        Known,
        Queued,
        Pushing,
        Buying,
        Held,
        Replacing,
        Cloning,
        Printing,
        WaitingPrinter,
        InDoubt,
        Printed,
        Refused,
        Expired,
        Cancelled,
    ];
    let all = all.map(|state| written(&state));
    words(all.iter().map(String::as_str)).into()
}

pub(super) fn writeback_state() -> Schema {
    words(WRITEBACK_STATES).into()
}

pub(super) fn parcels() -> Schema {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(u16::MAX));
    ArrayBuilder::new()
        .items(number)
        .max_items(Some(100))
        .into()
}

pub(super) fn only_true() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .enum_values(Some([Value::Bool(true)]))
        .into()
}

fn time() -> Schema {
    ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::SchemaType::from_iter([
            Type::String,
            Type::Null,
        ]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .into()
}

/// An order number or ledger id.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Reference {
    /// Order number or ledger id.
    #[param(
        min_length = 1,
        max_length = 50,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    reference: String,
}

/// A writeback.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct JobId {
    /// `<ledger id>#<n>`, or an order of which one writeback alone is open.
    #[param(
        min_length = 1,
        max_length = 50,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    id: String,
}

/// RFC 9457. A refused scan has the members of its scan document as well.
#[derive(ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// `urn:printstation:code:CODE`
    r#type: String,
    /// What happened.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// In whole sentences.
    detail: String,
    #[schema(schema_with = any_code)]
    code: String,
    /// Orders to choose from.
    #[schema(nullable = false)]
    candidates: Option<Vec<Candidate>>,
    /// Of `/readyz`: the station's state.
    state: Option<String>,
}

/// One of several orders that fit.
#[derive(ToSchema)]
pub(super) struct Candidate {
    /// Ledger id.
    id: String,
    /// Starshipit account.
    account: String,
}

/// How a scan or act ended.
#[derive(ToSchema)]
#[schema(as = Scan)]
pub(super) struct ScanDocument {
    #[schema(schema_with = outcome)]
    outcome: String,
    /// The order's number, once known.
    #[schema(required)]
    order: Option<String>,
    /// Why it was refused, or what is asked.
    #[schema(schema_with = code, required)]
    code: Option<String>,
    /// Whole sentences.
    message: String,
    /// The way forward.
    next: String,
    tracking: Vec<String>,
    /// How sure it is that the label came out.
    #[schema(schema_with = proof, required)]
    proof: Option<String>,
    timings_ms: Timings,
    #[schema(nullable = false)]
    candidates: Option<Vec<Candidate>>,
}

/// Milliseconds by stage; a stage that did not happen is absent.
#[derive(ToSchema)]
pub(super) struct Timings {
    resolve: Option<u64>,
    buy: Option<u64>,
    render: Option<u64>,
    print: Option<u64>,
}

/// `GET /api/status`
#[derive(ToSchema)]
pub(super) struct Status {
    station: String,
    version: String,
    #[schema(schema_with = station_state)]
    state: String,
    online: Online,
    printers: Vec<Printer>,
    scanners: Vec<Value>,
    buttons: Vec<Value>,
    lights: Vec<Value>,
    #[schema(required)]
    question: Option<Question>,
    /// Acts under way.
    waiting: u64,
    /// Scans that wait for the network or RESUME.
    queued: u64,
    /// Labels that are bought and not printed.
    held: u64,
    /// Orders, by number.
    in_doubt: Vec<String>,
    writebacks: Owed,
    ledger: Ledger,
    health: Vec<Trouble>,
    #[schema(schema_with = time)]
    at: String,
}

fn station_state() -> Schema {
    words([
        "ready", "working", "paused", "fault", "starting", "draining",
    ])
    .into()
}

#[derive(ToSchema)]
pub(super) struct Online {
    starshipit: bool,
    #[schema(required)]
    cartoncloud: Option<bool>,
}

#[derive(ToSchema)]
pub(super) struct Printer {
    name: String,
    state: String,
    #[schema(schema_with = code, required)]
    code: Option<String>,
    detail: String,
    #[schema(required)]
    proof: Option<String>,
}

#[derive(ToSchema)]
pub(super) struct Question {
    order: String,
    #[schema(schema_with = code, required)]
    code: Option<String>,
    next: String,
}

#[derive(ToSchema)]
pub(super) struct Owed {
    pending: u64,
    #[schema(required)]
    oldest_s: Option<u64>,
    conflicts: u64,
}

#[derive(ToSchema)]
pub(super) struct Ledger {
    orders: u64,
    open: u64,
    bytes: u64,
    flushes: u64,
    last_flush_us: u64,
}

#[derive(ToSchema)]
pub(super) struct Trouble {
    #[schema(schema_with = any_code)]
    code: String,
    detail: String,
}

/// An order in the ledger.
#[derive(ToSchema)]
#[schema(as = Order)]
pub(super) struct OrderDocument {
    id: String,
    order: String,
    account: String,
    #[schema(schema_with = order_state)]
    state: String,
    #[schema(required)]
    reference: Option<String>,
    /// CartonCloud's customer.
    #[schema(required)]
    customer: Option<String>,
    shipments: Vec<Shipment>,
    pages: Vec<Page>,
    writebacks: Vec<WritebackDocument>,
    deeds: Vec<Deed>,
    #[schema(schema_with = time)]
    created: String,
    #[schema(schema_with = time)]
    updated: String,
}

#[derive(ToSchema)]
pub(super) struct Shipment {
    /// Starshipit's id.
    order_id: i64,
    tracking: Vec<String>,
    superseded: bool,
    carrier: String,
}

#[derive(ToSchema)]
pub(super) struct Page {
    n: u64,
    of: u64,
    role: String,
    printer: String,
    state: String,
    #[schema(schema_with = proof, required)]
    proof: Option<String>,
    #[schema(schema_with = time)]
    at: String,
    #[schema(required)]
    by: Option<String>,
}

/// What a person did.
#[derive(ToSchema)]
pub(super) struct Deed {
    #[schema(schema_with = time)]
    at: String,
    what: String,
    trigger: String,
    #[schema(required)]
    user: Option<String>,
    #[schema(required)]
    reason: Option<String>,
}

/// A tracking number on its way.
#[derive(ToSchema)]
#[schema(as = Writeback)]
pub(super) struct WritebackDocument {
    id: String,
    order: String,
    sink: String,
    tracking: Vec<String>,
    supersedes: Vec<String>,
    #[schema(schema_with = writeback_state)]
    state: String,
    attempts: u64,
    age_s: u64,
    #[schema(required)]
    theirs: Option<String>,
    #[schema(required)]
    why: Option<String>,
    #[schema(required)]
    r#where: Option<String>,
    #[schema(schema_with = time)]
    since: String,
    #[schema(schema_with = time)]
    at: String,
}

#[derive(ToSchema)]
pub(super) struct Health {
    ok: bool,
}

#[derive(ToSchema)]
pub(super) struct Readiness {
    ok: bool,
    state: String,
}

/// A sale order of CartonCloud, of which only the id is believed.
#[derive(ToSchema)]
#[schema(as = HookedOrder)]
pub(super) struct Hook {
    #[schema(pattern = "^[0-9a-fA-F-]{36}$")]
    id: String,
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(
            "application/problem+json",
            Content::new(Some(Ref::from_schema_name("Problem"))),
        )
        .build()
}

fn problems(all: &[(u16, &str)]) -> BTreeMap<String, RefOr<Response>> {
    all.iter()
        .map(|(status, description)| (status.to_string(), problem(description).into()))
        .collect()
}

/// What may go wrong with any request.
pub(super) struct Reads;

impl IntoResponses for Reads {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (400, "The request cannot be understood."),
            (401, "This needs the station's token."),
        ])
    }
}

/// What may go wrong with any request that has a body.
pub(super) struct Changes;

impl IntoResponses for Changes {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            (400, "The request cannot be understood."),
            (
                401,
                "This needs the station's token, or the page's own origin.",
            ),
            (408, "The body did not come in time."),
            (413, "The body is larger than 64 KiB."),
            (415, "The body is not declared as JSON."),
        ])
    }
}

/// The station does not answer, is stopping, or cannot take more.
pub(super) struct Away;

impl IntoResponses for Away {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(
            503,
            "The station does not answer, or holds as much as it can.",
        )])
    }
}

/// No such thing.
pub(super) struct Missing;

impl IntoResponses for Missing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(404, "There is no such thing.")])
    }
}

/// Several orders have this number, or it cannot be done.
pub(super) struct Several;

impl IntoResponses for Several {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[(409, "Several orders have this number, or it is refused.")])
    }
}

/// How a scan or act ends.
pub(super) struct Scans;

impl IntoResponses for Scans {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let scan = |description: &str| {
            let content = Content::new(Some(Ref::from_schema_name("Scan")));
            let response = ResponseBuilder::new().description(description);
            response.content("application/json", content).build().into()
        };
        let mut all = problems(&[
            (409, "Refused."),
            (422, "Not a readable order or command."),
            (500, "The station made a mistake of its own."),
        ]);
        all.insert("200".to_owned(), scan("Printed, ignored, or a question."));
        all.insert("202".to_owned(), scan("Accepted or queued; it goes on."));
        all
    }
}
