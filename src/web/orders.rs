//! Addresses of what the ledger holds: orders, their labels and acts, writebacks.

use crate::domain::State as OrderState;
use crate::web::api::{Answer, Ctx, said};
use crate::web::documents;
use crate::web::extract::{WaitParam, checked_reference, json_body, query, source, wait, words};
use crate::web::guard::Through;
use crate::web::port::{OrderAct, OrdersQuery, Request, WritebackAct, WritebacksQuery};
use crate::web::problem::Problem;
use crate::web::schema::{self, Away, Changes, Missing, Reads, Scans, Several};
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, Uri};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Most orders of one listing.
const MAX_ORDERS: usize = 1000;
/// Most writebacks of one listing.
const MAX_WRITEBACKS: usize = 20_000;

type Named = Result<Path<String>, PathRejection>;

/// The order or writeback that an address names.
fn named(path: Named) -> Result<String, Problem> {
    let Path(reference) = path.map_err(|_| Problem::bad("The address is not UTF-8."))?;
    checked_reference(reference)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OrdersParams {
    /// Only orders in this state.
    #[param(schema_with = schema::order_state)]
    state: Option<OrderState>,
    /// Part of a number, reference, tracking number or name.
    #[param(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    q: Option<String>,
    /// At most so many; 100 by default.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Go on after this ledger id.
    #[param(
        min_length = 1,
        max_length = 50,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"
    )]
    after: Option<String>,
}

/// Orders, newest first, one document per line.
#[utoipa::path(
    get, path = "/api/orders", tag = "look", params(OrdersParams),
    security((), ("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "Lines of order documents.", body = schema::OrderDocument, content_type = "application/x-ndjson"),
        Reads, Away,
    )
)]
pub(super) async fn orders(State(context): Ctx, uri: Uri) -> Answer {
    let params: OrdersParams = query(&uri)?;
    let limit = params.limit.unwrap_or(100);
    if !(1..=MAX_ORDERS).contains(&limit) {
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

/// One order.
#[utoipa::path(
    get, path = "/api/orders/{reference}", tag = "look", params(schema::Reference),
    security((), ("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "The order.", body = schema::OrderDocument),
        Reads, Missing, Several, Away,
    )
)]
pub(super) async fn order(State(context): Ctx, path: Named) -> Answer {
    let reference = named(path)?;
    said(context.station.ask(Request::Order { reference }).await)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LabelParams {
    /// Which label page of the order, from 1.
    #[param(minimum = 1, maximum = 65535)]
    page: Option<u16>,
}

/// The label as it was drawn for the printer.
#[utoipa::path(
    get, path = "/api/orders/{reference}/label.png", tag = "look",
    params(schema::Reference, LabelParams),
    security((), ("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "The picture.", body = Vec<u8>, content_type = "image/png"),
        Reads, Missing, Several, Away,
    )
)]
pub(super) async fn label(State(context): Ctx, path: Named, uri: Uri) -> Answer {
    let reference = named(path)?;
    let page = query::<LabelParams>(&uri)?.page.unwrap_or(1);
    if page == 0 {
        return Err(Problem::bad("page counts from 1."));
    }
    let request = Request::LabelPng { reference, page };
    said(context.station.ask(request).await)
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReprintBody {
    /// Why; kept for the reports.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    reason: Option<String>,
    /// Only these parcels, from 1; empty: all.
    #[serde(default)]
    #[schema(schema_with = schema::parcels)]
    parcels: Vec<u16>,
    /// Who.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    user: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedoBody {
    /// `true`: a new shipment is bought in place of the old one.
    #[serde(default)]
    #[schema(schema_with = schema::only_true, required)]
    confirm: bool,
    /// Why; kept for the reports.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    reason: Option<String>,
    /// Who.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    user: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActBody {
    /// Who.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    user: Option<String>,
}

/// What every act needs beside its body.
pub(super) struct Asked {
    context: Ctx,
    through: Through,
    reference: String,
    wait: Option<std::time::Duration>,
}

impl Asked {
    fn new(context: Ctx, through: Through, path: Named, uri: &Uri) -> Result<Self, Problem> {
        Ok(Self {
            reference: named(path)?,
            wait: wait(uri)?,
            context,
            through,
        })
    }

    async fn act(self, act: OrderAct, user: Option<String>) -> Answer {
        let request = Request::Act {
            reference: self.reference,
            act,
            source: source(self.through, user)?,
            wait: self.wait,
        };
        said(self.context.station.ask(request).await)
    }
}

/// The same label again; buys nothing.
#[utoipa::path(
    post, path = "/api/orders/{reference}/reprint", tag = "work",
    params(schema::Reference, WaitParam), request_body = ReprintBody,
    security(("token" = []), ("session" = [])),
    responses(Scans, Changes, Missing, Away)
)]
pub(super) async fn reprint(
    context: Ctx,
    Extension(through): Extension<Through>,
    path: Named,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked = Asked::new(context, through, path, &uri)?;
    let body: ReprintBody = json_body(&headers, body).await?;
    if body.parcels.len() > 100 || body.parcels.contains(&0) {
        return Err(Problem::bad("parcels are at most 100 numbers from 1."));
    }
    let act = OrderAct::Reprint {
        reason: body.reason.map(|r| words(r, "reason")).transpose()?,
        parcels: body.parcels,
    };
    asked.act(act, body.user).await
}

/// A new shipment in place of the old one: new label, new tracking number.
#[utoipa::path(
    post, path = "/api/orders/{reference}/redo", tag = "work",
    params(schema::Reference, WaitParam), request_body = RedoBody,
    security(("token" = []), ("session" = [])),
    responses(Scans, Changes, Missing, Away)
)]
pub(super) async fn redo(
    context: Ctx,
    Extension(through): Extension<Through>,
    path: Named,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked = Asked::new(context, through, path, &uri)?;
    let body: RedoBody = json_body(&headers, body).await?;
    if !body.confirm {
        return Err(Problem::bad(
            "redo buys a new shipment in place of the old one: send {\"confirm\": true}.",
        ));
    }
    let reason = body.reason.map(|r| words(r, "reason")).transpose()?;
    asked.act(OrderAct::Redo { reason }, body.user).await
}

/// One more parcel for the order: a clone is bought.
#[utoipa::path(
    post, path = "/api/orders/{reference}/next-parcel", tag = "work",
    params(schema::Reference, WaitParam), request_body = ActBody,
    security(("token" = []), ("session" = [])),
    responses(Scans, Changes, Missing, Away)
)]
pub(super) async fn next_parcel(
    context: Ctx,
    Extension(through): Extension<Through>,
    path: Named,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked = Asked::new(context, through, path, &uri)?;
    let body: ActBody = json_body(&headers, body).await?;
    asked.act(OrderAct::NextParcel, body.user).await
}

/// Prints the label that was bought ahead.
#[utoipa::path(
    post, path = "/api/orders/{reference}/release", tag = "work",
    params(schema::Reference, WaitParam), request_body = ActBody,
    security(("token" = []), ("session" = [])),
    responses(Scans, Changes, Missing, Away)
)]
pub(super) async fn release(
    context: Ctx,
    Extension(through): Extension<Through>,
    path: Named,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked = Asked::new(context, through, path, &uri)?;
    let body: ActBody = json_body(&headers, body).await?;
    asked.act(OrderAct::Release, body.user).await
}

/// Drops what is pending for the order; nothing that is bought.
#[utoipa::path(
    post, path = "/api/orders/{reference}/cancel", tag = "work",
    params(schema::Reference, WaitParam), request_body = ActBody,
    security(("token" = []), ("session" = [])),
    responses(Scans, Changes, Missing, Away)
)]
pub(super) async fn cancel(
    context: Ctx,
    Extension(through): Extension<Through>,
    path: Named,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked = Asked::new(context, through, path, &uri)?;
    let body: ActBody = json_body(&headers, body).await?;
    asked.act(OrderAct::Cancel, body.user).await
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WritebacksParams {
    /// Only those in this state.
    #[param(schema_with = schema::writeback_state)]
    state: Option<String>,
    /// At most so many; 1000 by default.
    #[param(minimum = 1, maximum = 20000)]
    limit: Option<usize>,
}

/// Tracking numbers on their way: every open one, then those of the newest orders.
#[utoipa::path(
    get, path = "/api/writebacks", tag = "look", params(WritebacksParams),
    security((), ("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "Lines of writeback documents.", body = schema::WritebackDocument, content_type = "application/x-ndjson"),
        Reads, Away,
    )
)]
pub(super) async fn writebacks(State(context): Ctx, uri: Uri) -> Answer {
    let params: WritebacksParams = query(&uri)?;
    let limit = params.limit.unwrap_or(1000);
    if !(1..=MAX_WRITEBACKS).contains(&limit) {
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// Which number shall stand.
    keep: Keep,
    /// Who.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\u0000-\u001f\u007f-\u009f]*$")]
    user: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Keep {
    /// The station's.
    Ours,
    /// The one that stands there.
    Theirs,
}

/// Tries a writeback again now.
#[utoipa::path(
    post, path = "/api/writebacks/{id}/retry", tag = "work",
    params(schema::JobId), request_body = ActBody,
    security(("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "The writeback as it is then.", body = schema::WritebackDocument),
        Changes, Missing, Several, Away,
    )
)]
pub(super) async fn retry(
    State(context): Ctx,
    Extension(through): Extension<Through>,
    path: Named,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = named(path)?;
    let body: ActBody = json_body(&headers, body).await?;
    let request = Request::Writeback {
        id,
        act: WritebackAct::Retry,
        source: source(through, body.user)?,
    };
    said(context.station.ask(request).await)
}

/// Settles a writeback that met another number.
#[utoipa::path(
    post, path = "/api/writebacks/{id}/resolve", tag = "work",
    params(schema::JobId), request_body = ResolveBody,
    security(("token" = []), ("session" = [])),
    responses(
        (status = 200, description = "The writeback as it is then.", body = schema::WritebackDocument),
        Changes, Missing, Several, Away,
    )
)]
pub(super) async fn resolve(
    State(context): Ctx,
    Extension(through): Extension<Through>,
    path: Named,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = named(path)?;
    let body: ResolveBody = json_body(&headers, body).await?;
    let request = Request::Writeback {
        id,
        act: match body.keep {
            Keep::Ours => WritebackAct::KeepOurs,
            Keep::Theirs => WritebackAct::KeepTheirs,
        },
        source: source(through, body.user)?,
    };
    said(context.station.ask(request).await)
}
