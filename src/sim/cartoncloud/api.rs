//! The calls a client can make: names, paths, roles, and the words of refusals.

use crate::sim::cartoncloud::switches::{
    RoleProduct, RoleTmsCreate, RoleTmsView, RoleWmsCreate, Switches,
};
use crate::sim::site::Reply;
use crate::sim::site::faults::{Menu, Special};
use hyper::Method;
use serde_json::{Value, json};

/// What can go wrong, and on which calls.
pub const FAULTS: Menu = Menu {
    system: "cartoncloud",
    special: &[
        Special {
            name: "version_bump",
            means: "somebody else changes the row just before the PUT: its version is one higher",
            fits: &["order-put", "consignment-put"],
        },
        Special {
            name: "token_expired",
            means: "every token expires just before the call: 401, also between two pages",
            fits: SIGNED,
        },
        Special {
            name: "order_recreated",
            means: "the order is deleted and made again under its reference with a new id, just before",
            fits: &["order-get", "order-put", "document-create", "document-list"],
        },
        Special {
            name: "page_repeats",
            means: "a page after the first begins with the last element of the page before",
            fits: PAGED,
        },
        Special {
            name: "page_skips",
            means: "a page after the first begins one element late",
            fits: PAGED,
        },
    ],
    calls: CALLS,
};

const CALLS: &[&str] = &[
    "token",
    "userinfo",
    "order-create",
    "order-get",
    "order-put",
    "order-delete",
    "order-search",
    "document-create",
    "document-list",
    "document-get",
    "document-download",
    "consignment-get",
    "consignment-put",
    "consignment-search",
    "product-get",
    "product-search",
    "customers",
    "warehouses",
];

const SIGNED: &[&str] = CALLS.split_at(1).1;

const PAGED: &[&str] = &[
    "order-search",
    "consignment-search",
    "product-search",
    "document-list",
];

/// A call that exists.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) call: &'static str,
    /// UUIDs in the path after the tenant's.
    pub(crate) ids: Vec<String>,
    /// The highest `Accept-Version` that its family knows.
    pub(crate) versions: u32,
}

/// A path that leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Astray {
    Path,
    Method,
}

/// The call at this method and path below `/tenants/{tenant}/`.
pub(crate) fn route(method: &Method, path: &str) -> Result<Route, Astray> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let m = method.as_str();
    let (call, ids): (Option<&'static str>, &[&str]) = match parts.as_slice() {
        ["outbound-orders"] => (pick(m, &[("POST", "order-create")]), &[]),
        ["outbound-orders", "search"] => (pick(m, &[("POST", "order-search")]), &[]),
        ["outbound-orders", id] => (
            pick(
                m,
                &[
                    ("GET", "order-get"),
                    ("PUT", "order-put"),
                    ("DELETE", "order-delete"),
                ],
            ),
            std::slice::from_ref(id),
        ),
        ["outbound-orders", id, "documents"] => (
            pick(m, &[("GET", "document-list"), ("POST", "document-create")]),
            std::slice::from_ref(id),
        ),
        ["outbound-orders", _, "documents", _] => {
            (pick(m, &[("GET", "document-get")]), &parts[1..])
        }
        ["outbound-orders", _, "documents", _, "download"] => {
            (pick(m, &[("GET", "document-download")]), &parts[1..])
        }
        ["documents"] => (pick(m, &[("POST", "document-create")]), &[]),
        ["consignments", "search"] => (pick(m, &[("POST", "consignment-search")]), &[]),
        ["consignments", id] => (
            pick(m, &[("GET", "consignment-get"), ("PUT", "consignment-put")]),
            std::slice::from_ref(id),
        ),
        ["warehouse-products", "search"] => (pick(m, &[("POST", "product-search")]), &[]),
        ["warehouse-products", id] => {
            (pick(m, &[("GET", "product-get")]), std::slice::from_ref(id))
        }
        ["customers"] => (pick(m, &[("GET", "customers")]), &[]),
        ["customers", id] => (pick(m, &[("GET", "customers")]), std::slice::from_ref(id)),
        ["warehouses"] => (pick(m, &[("GET", "warehouses")]), &[]),
        _ => return Err(Astray::Path),
    };
    Ok(Route {
        call: call.ok_or(Astray::Method)?,
        ids: ids
            .iter()
            .filter(|p| !matches!(**p, "documents" | "download"))
            .map(|p| (*p).to_owned())
            .collect(),
        versions: if parts[0] == "warehouse-products" {
            8
        } else {
            1
        },
    })
}

fn pick(method: &str, calls: &[(&str, &'static str)]) -> Option<&'static str> {
    calls.iter().find(|(m, _)| *m == method).map(|(_, c)| *c)
}

/// The role that the call needs and the client lacks.
pub(crate) fn missing_role(call: &str, switches: &Switches) -> Option<&'static str> {
    let wms = switches.role_wms_create == RoleWmsCreate::Missing;
    let create = switches.role_tms_create == RoleTmsCreate::Missing;
    let view = switches.role_tms_view == RoleTmsView::Missing && create;
    let product = switches.role_product == RoleProduct::Missing;
    match call {
        // Any of several roles lets a client at documents, two of which are modelled.
        "document-create" | "document-list" | "document-get" | "document-download" => {
            (wms && create).then_some("WMS Create Job")
        }
        "customers" | "warehouses" => (wms && create).then_some("WMS Create Job"),
        "consignment-get" | "consignment-search" => view.then_some("TMS View Jobs"),
        "consignment-put" => create.then_some("TMS Create Jobs"),
        "product-get" | "product-search" => product.then_some("WMS Edit Product"),
        "userinfo" | "token" => None,
        _ => wms.then_some("WMS Create Job"),
    }
}

/// CartonCloud's error body: an array of one.
pub(crate) fn refuse(status: u16, message: impl Into<String>) -> Reply {
    Reply::json(status, &json!([{ "message": message.into() }]))
}

/// 422 about one member.
pub(crate) fn unfit(field: &str, message: &str) -> Reply {
    Reply::json(422, &json!([{ "field": field, "message": message }]))
}

/// What the simulator says for 429, 500 and 503.
pub(crate) fn words(status: u16) -> Reply {
    refuse(
        status,
        match status {
            429 => "Too many requests.",
            503 => "CartonCloud is offline for maintenance, please try again later.",
            _ => "An unexpected error occurred, please try again later.",
        },
    )
}

/// One call that was let in.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) ids: Vec<String>,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) version: u32,
    pub(crate) if_match: Option<String>,
    pub(crate) prefer: String,
}

impl Ask {
    pub(crate) fn id(&self) -> &str {
        self.ids.first().map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> Result<Value, Reply> {
        serde_json::from_slice(&self.body).map_err(|_| refuse(400, "JSON parse error"))
    }

    /// A page number or size: from one.
    pub(crate) fn count(&self, name: &str, default: usize) -> Result<usize, Reply> {
        let given = self.query.iter().find(|(n, _)| n == name);
        match given.map(|(_, v)| v.parse::<usize>()) {
            None => Ok(default),
            Some(Ok(n)) if (1..=1_000_000).contains(&n) => Ok(n),
            Some(_) => Err(refuse(400, format!("Invalid value for parameter {name}."))),
        }
    }
}

/// What is sent: an acknowledgement, or a refusal.
pub(crate) type Answer = Result<Reply, Reply>;
