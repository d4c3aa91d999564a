//! How the receiver answers a delivery that it could read.

use crate::sim::site::switches::switches;
pub use crate::sim::site::switches::{SwitchError, SwitchHelp};

switches! {
    answer: Answer = "answer", "answer to a delivery with a valid signature" {
        Ok = "200": "200: taken",
        Accepted = "202": "202: taken",
        Gone = "410": "410: not wanted any more",
        Broken = "500": "500: not taken",
    }
}
