//! What nobody has confirmed about Shopify, or what differs between apps and shops.

use crate::sim::site::switches::switches;
pub use crate::sim::site::switches::{SwitchError, SwitchHelp};

switches! {
    scopes: Scopes = "scopes", "what the app was granted" {
        All = "all": "orders, and fulfilment orders for reading and writing",
        NoReadOrders = "no-read-orders": "ACCESS_DENIED for orders",
        Hidden = "hidden-fulfillment-orders": "fulfilment orders are not returned",
        NoWrite = "no-write": "ACCESS_DENIED for fulfilments",
    }
    index_lag: IndexLag = "index-lag", "when orders(query:) finds a new order" {
        None = "none": "at once",
        Second = "1s": "a second later",
    }
    name_match: NameMatch = "name-match", "orders that orders(query: \"name:…\") finds" {
        Exact = "exact": "those of this name",
        Prefix = "prefix": "also those whose names begin with it",
    }
    token_lifetime: TokenLifetime = "token-lifetime", "expires_in of tokens of the client credentials" {
        Day = "86399s": "a day",
        Five = "5s": "five seconds",
        One = "1s": "a second",
    }
    bucket: Bucket = "bucket", "points of the cost bucket" {
        Standard = "2000": "2000, 100 a second come back",
        Tiny = "tiny": "one query's worth, 1 a second comes back",
    }
}
