//! A printer on TCP 9100 that reads what it gets, shows it as pictures, and can misbehave.
//!
//! The decoders here are written from the manuals and share no code with the encoders, so that a
//! label that comes out here says something about the bytes. A label counts when it is complete:
//! a cut line leaves a partial one, which is counted apart and never shown.
//!
//! `Machine` is the printer without a network (tests put it behind a pty); `Server` is the
//! printer on the network.

mod escpos;
mod machine;
mod server;
mod zpl;

pub use machine::{Fault, Label, Machine, Options, Speaks};
pub use server::Server;

use crate::domain::Bitmap;

/// Tallest page that is drawn, dots: 2.5 m at 203 dpi.
const MOST_ROWS: u32 = 20_000;
/// Longest command that is kept, bytes: a 600 dpi label in plain hex.
const MOST_COMMAND: usize = 16 << 20;

/// What a decoder found in the bytes.
#[derive(Debug)]
enum Event {
    /// A label is complete.
    Label {
        image: Bitmap,
        bytes: Vec<u8>,
        errors: Vec<String>,
    },
    /// The printer is asked something, at once.
    Query(Query),
    /// Everything unfinished and waiting is cancelled.
    Cancel,
}

/// Questions that a printer answers while it prints.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Query {
    /// ZPL `~HS`.
    Status,
    /// ZPL `~HQES`.
    Errors,
    /// ZPL `! U1 getvar "NAME"`.
    Variable(String),
    /// ESC/POS `DLE EOT n`.
    RealTime(u8),
}
