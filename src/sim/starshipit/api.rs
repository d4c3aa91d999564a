//! The calls a station can make, by name and path, and how a reply is put together.

use crate::sim::starshipit::switches::FailureStatus;
use hyper::Method;
use serde_json::{Map, Value, json};

macro_rules! endpoints {
    ($( $variant:ident = $name:literal, $method:ident $path:literal : $means:literal; )*) => {
        /// A call of the Starshipit API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Endpoint { $(#[doc = $means] $variant,)* }

        impl Endpoint {
            /// Every call.
            pub const ALL: &'static [Endpoint] = &[$(Endpoint::$variant),*];

            /// The name that `--fault` takes.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Method and path.
            pub fn path(self) -> (Method, &'static str) {
                match self { $(Self::$variant => (Method::$method, $path)),* }
            }

            /// By the name that `--fault` takes.
            pub fn by_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

endpoints! {
    Order = "order", GET "/api/orders": "one order, or a list of orders";
    Create = "create", POST "/api/orders": "create one";
    Import = "import", POST "/api/orders/import": "create up to 50";
    Update = "update", PUT "/api/orders": "update one";
    Delete = "delete", DELETE "/api/orders/delete": "delete an unshipped order";
    Archive = "archive", POST "/api/orders/archive": "archive a printed order";
    Restore = "restore", POST "/api/orders/restore": "bring an archived order back";
    Unshipped = "unshipped", GET "/api/orders/unshipped": "unshipped orders";
    Shipped = "shipped", GET "/api/orders/shipped": "printed and later orders, flat";
    Shipments = "shipments", GET "/api/orders/shipments": "recently printed or unmanifested";
    Search = "search", GET "/api/orders/search": "search";
    Summary = "summary", GET "/api/orders/summary": "lines and counts";
    Print = "print", POST "/api/orders/shipment": "Print Label: sells a consignment";
    PrintBulk = "print-bulk", POST "/api/orders/shipments": "Print Labels: sells several";
    PackingSlips = "packingslips", POST "/api/orders/packingslips": "packing slips";
    Manifest = "manifest", POST "/api/orders/manifest": "manifest printed orders";
    Clone = "clone", POST "/api/orders/shipment/clone": "one more shipment";
    Replace = "replace", POST "/api/orders/shipment/replace": "archive, and a new order";
    Services = "services", POST "/api/deliveryservices": "services and prices";
    Rates = "rates", POST "/api/rates": "checkout rates";
    Track = "track", GET "/api/track": "tracking of one order";
}

impl Endpoint {
    /// The call at this method and path.
    pub(crate) fn at(method: &Method, path: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|e| e.path() == (method.clone(), path))
    }
}

/// One authenticated call.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) account: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let found = self
            .query
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.param(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(Refusal::new(format!("{name} parameter value is not valid"))),
        }
    }

    /// The body as the call's request.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body)
            .map_err(|e| Refusal::new(format!("Unable to read the request: {e}")))
    }
}

/// A business failure: `success:false` and why.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) details: String,
    /// A status that S5 does not decide.
    pub(crate) status: Option<u16>,
    /// What is sent beside the errors.
    pub(crate) beside: Map<String, Value>,
}

impl Refusal {
    pub(crate) fn new(details: impl Into<String>) -> Self {
        Self {
            details: details.into(),
            status: None,
            beside: Map::new(),
        }
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "the simulator cannot write its books");
        Self {
            status: Some(500),
            ..Self::new("Internal error")
        }
    }
}

/// A call's result: the members of the reply beside `success`.
pub(crate) type Answer = Result<Map<String, Value>, Refusal>;

/// Members of a reply.
pub(crate) fn members<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// What goes over the line.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self {
            status,
            retry_after: false,
            content_type: "application/json; charset=utf-8",
            body,
        }
    }

    /// The gateway's own failures: another shape, no `success`.
    pub(crate) fn gateway(status: u16, message: &str) -> Self {
        Self::json(status, &json!({"statusCode": status, "message": message}))
    }

    pub(crate) fn html_500() -> Self {
        let page = "<!DOCTYPE html>\n<html><head><title>Runtime Error</title></head>\
                    <body><h1>Server Error in '/' Application.</h1></body></html>\n";
        Self {
            status: 500,
            retry_after: false,
            content_type: "text/html; charset=utf-8",
            body: page.as_bytes().to_vec(),
        }
    }

    /// The envelope of section 1.5.
    pub(crate) fn of(answer: Answer, failure: FailureStatus) -> Self {
        match answer {
            Ok(mut members) => {
                members.insert("success".into(), json!(true));
                Self::json(200, &Value::Object(members))
            }
            Err(refusal) => {
                let status = match (refusal.status, failure) {
                    // Whether it was done is not known: no JSON that could be taken for a no.
                    (Some(500), _) => return Self::html_500(),
                    (Some(status), _) => status,
                    (None, FailureStatus::Ok200) => 200,
                    (None, FailureStatus::Bad400) => 400,
                    (None, FailureStatus::Html500) => return Self::html_500(),
                };
                let mut members = refusal.beside;
                members.insert("success".into(), json!(false));
                let error = json!({"message": "General Exception", "details": refusal.details});
                members.insert("errors".into(), json!([error]));
                Self::json(status, &Value::Object(members))
            }
        }
    }
}
