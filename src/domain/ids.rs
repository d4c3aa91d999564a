//! Names and numbers that must not be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

text_id! {
    /// Identity of an order in the ledger: `cc:<CartonCloud UUID>`, or `ss:<account>:<Starshipit
    /// order_id>` where there is no CartonCloud. Never the order number: numbers repeat.
    OrderId
}
text_id! {
    /// Name of a Starshipit account in the configuration (`[[starshipit.accounts]] name`).
    AccountName
}
text_id! {
    /// Name of a printer in the configuration (`[[printers]] name`).
    PrinterName
}
text_id! {
    /// A label document: the lower-case hex SHA-256 of its bytes, and its file name in the spool.
    DocumentId
}

impl OrderId {
    /// Identity of an order that CartonCloud knows.
    pub fn cartoncloud(uuid: &str) -> Self {
        Self(format!("cc:{}", uuid.to_ascii_lowercase()))
    }

    /// Identity of an order that only Starshipit knows.
    pub fn starshipit(account: &AccountName, order_id: i64) -> Self {
        Self(format!("ss:{account}:{order_id}"))
    }
}

/// One thing a person (or a status event) asked the station to do.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct ActId(pub u64);

impl fmt::Display for ActId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
