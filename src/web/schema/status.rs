//! The status document as `/api/openapi.json` describes it.

use super::{any_code, code, time, words};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Schema;

/// `GET /api/status`
#[derive(ToSchema)]
pub(crate) struct Status {
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
    scale: Option<Scale>,
    #[schema(required)]
    question: Option<Question>,
    /// Acts under way.
    waiting: u64,
    /// Scans that wait for the network or RESUME.
    queued: u64,
    /// Labels that are bought and not printed.
    held: u64,
    prefetch: Ahead,
    unused: Unused,
    /// Orders, by number.
    in_doubt: Vec<String>,
    acts: Vec<Act>,
    #[schema(required)]
    last_print: Option<LastPrint>,
    latency_ms: Latencies,
    /// The site's other benches, as they were heard last; which members one has depends on its version.
    peers: Vec<Value>,
    writebacks: Owed,
    ledger: Ledger,
    /// `station.duties`
    duties: Vec<String>,
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
struct Online {
    starshipit: bool,
    #[schema(required)]
    cartoncloud: Option<bool>,
}

#[derive(ToSchema)]
struct Printer {
    name: String,
    state: String,
    #[schema(schema_with = code, required)]
    code: Option<String>,
    detail: String,
    /// What a person does about `code`.
    #[schema(required)]
    you: Option<String>,
    #[schema(required)]
    proof: Option<String>,
    warnings: Vec<String>,
    #[schema(required)]
    wear: Option<Wear>,
}

/// How far a printer has run, in metres, where it tells.
#[derive(ToSchema)]
struct Wear {
    #[schema(required)]
    total_m: Option<u64>,
    #[schema(required)]
    head_m: Option<u64>,
    #[schema(required)]
    since_cleaned_m: Option<u64>,
    #[schema(required)]
    roll_m: Option<u64>,
}

#[derive(ToSchema)]
struct Scale {
    connection: String,
    state: String,
    #[schema(required)]
    detail: Option<String>,
    /// What lies on it; null while it moves.
    #[schema(required)]
    kg: Option<f64>,
}

#[derive(ToSchema)]
struct Question {
    order: String,
    #[schema(schema_with = code, required)]
    code: Option<String>,
    next: String,
    /// Who is asked; null where anybody may answer.
    #[schema(required)]
    trigger: Option<String>,
    #[schema(required)]
    user: Option<String>,
    #[schema(required)]
    left_s: Option<u64>,
}

/// Labels bought ahead of their scan.
#[derive(ToSchema)]
struct Ahead {
    today: u64,
    daily_cap: u64,
    #[schema(schema_with = code, required)]
    code: Option<String>,
    /// Orders whose label is still to be bought.
    waiting: u64,
}

/// Labels bought ahead that are not on paper.
#[derive(ToSchema)]
struct Unused {
    labels: u64,
    ready: u64,
    cents: u64,
    unpriced: u64,
    list: Vec<UnusedLabel>,
}

#[derive(ToSchema)]
struct UnusedLabel {
    order: String,
    courier: String,
    age_s: u64,
    #[schema(required)]
    price_cents: Option<u64>,
    /// Why it would be refused now, as far as is known.
    #[schema(schema_with = code, required)]
    code: Option<String>,
}

/// An act under way or queued.
#[derive(ToSchema)]
struct Act {
    scanned: String,
    #[schema(required)]
    order: Option<String>,
    trigger: String,
    #[schema(required)]
    user: Option<String>,
    #[schema(schema_with = time)]
    at: String,
    queued: bool,
    #[schema(schema_with = time, required)]
    expires: Option<String>,
}

#[derive(ToSchema)]
struct LastPrint {
    #[schema(schema_with = time)]
    at: String,
    id: String,
    order: String,
    /// Which label of the order, from 1.
    label: u64,
}

/// By stage, of the newest scans that printed; a stage that did not happen is absent.
#[derive(ToSchema)]
struct Latencies {
    resolve: Option<Latency>,
    recheck: Option<Latency>,
    buy: Option<Latency>,
    render: Option<Latency>,
    print: Option<Latency>,
    total: Option<Latency>,
    /// Scan to label, of labels that were bought at their scan.
    live: Option<Latency>,
    /// Scan to label, of labels that lay ready.
    held: Option<Latency>,
}

#[derive(ToSchema)]
struct Latency {
    n: u64,
    p50: u64,
    p95: u64,
}

#[derive(ToSchema)]
struct Owed {
    pending: u64,
    #[schema(required)]
    oldest_s: Option<u64>,
    conflicts: u64,
}

#[derive(ToSchema)]
struct Ledger {
    orders: u64,
    open: u64,
    bytes: u64,
    flushes: u64,
    last_flush_us: u64,
}

#[derive(ToSchema)]
struct Trouble {
    #[schema(schema_with = any_code)]
    code: String,
    detail: String,
}
