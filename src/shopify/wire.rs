//! What Shopify's replies say. Members that are missing are absent; a member of another type makes the
//! reply one that is not understood, which is never "done".

use serde::{Deserialize, Deserializer};

/// Tracking numbers that a look asks for, of each fulfilment.
pub(super) const NUMBERS_SHOWN: usize = 20;

/// A GraphQL reply.
#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    #[serde(default)]
    pub(super) data: Option<Data>,
    #[serde(default)]
    pub(super) errors: Option<Errors>,
    #[serde(default)]
    pub(super) extensions: Option<Extensions>,
}

/// Errors are a list, or one text where the request got nowhere.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Errors {
    Text(String),
    List(Vec<Fault>),
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fault {
    pub(super) message: Option<String>,
    pub(super) extensions: Option<FaultExtensions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FaultExtensions {
    pub(super) code: Option<String>,
    pub(super) required_access: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Extensions {
    pub(super) cost: Option<Cost>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Cost {
    pub(super) requested_query_cost: Option<f64>,
    pub(super) throttle_status: Option<ThrottleStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ThrottleStatus {
    pub(super) maximum_available: f64,
    pub(super) currently_available: f64,
    pub(super) restore_rate: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Data {
    pub(super) order: Option<Order>,
    pub(super) orders: Option<Nodes<Named>>,
    pub(super) fulfillment_create: Option<Written>,
    pub(super) fulfillment_tracking_info_update: Option<Written>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Nodes<T> {
    pub(super) nodes: Vec<T>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

/// An order as it stands.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Order {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) cancelled_at: Option<String>,
    pub(super) display_fulfillment_status: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) fulfillments: Vec<Fulfillment>,
    pub(super) fulfillment_orders: Option<FulfillmentOrders>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct FulfillmentOrders {
    pub(super) nodes: Vec<FulfillmentOrder>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Fulfillment {
    pub(super) id: String,
    pub(super) status: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub(super) tracking_info: Vec<TrackingInfo>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TrackingInfo {
    pub(super) number: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct FulfillmentOrder {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) assigned_location: Option<AssignedLocation>,
    pub(super) supported_actions: Option<Vec<SupportedAction>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AssignedLocation {
    pub(super) location: Option<Location>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
pub(super) struct Location {
    pub(super) id: String,
    pub(super) name: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SupportedAction {
    pub(super) action: String,
}

/// What a mutation answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Written {
    pub(super) fulfillment: Option<Fulfillment>,
    #[serde(deserialize_with = "nullable")]
    pub(super) user_errors: Vec<Fault>,
}

/// The reply to a request for a token.
#[derive(Debug, Deserialize)]
pub(super) struct Token {
    pub(super) access_token: String,
    #[serde(default)]
    pub(super) scope: Option<String>,
    #[serde(default)]
    pub(super) expires_in: Option<f64>,
}

/// `null` is what is missing.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Fulfillment {
    /// It was not taken back.
    pub(super) fn is_live(&self) -> bool {
        !matches!(
            self.status.as_deref(),
            Some("CANCELLED" | "ERROR" | "FAILURE")
        )
    }

    pub(super) fn numbers(&self) -> Vec<&str> {
        self.tracking_info
            .iter()
            .filter_map(|info| info.number.as_deref())
            .map(str::trim)
            .filter(|number| !number.is_empty())
            .collect()
    }
}

impl Fault {
    pub(super) fn code(&self) -> &str {
        let code = self.extensions.as_ref().and_then(|e| e.code.as_deref());
        code.unwrap_or_default()
    }

    pub(super) fn text(&self) -> &str {
        self.message.as_deref().unwrap_or("no reason given").trim()
    }
}

/// Id of an order as GraphQL wants it; `None` when it is no id.
pub(super) fn order_gid(text: &str) -> Option<String> {
    let text = text.trim();
    let number = text.strip_prefix("gid://shopify/Order/").unwrap_or(text);
    let number = number.split_once('?').map_or(number, |(number, _)| number);
    let fits = (1..=20).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| format!("gid://shopify/Order/{number}"))
}
