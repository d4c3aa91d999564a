//! A printer on TCP 9100 that reads what it gets, shows it as pictures, and can misbehave.
//!
//! The decoders here are written from the manuals and share no code with the encoders, so that a
//! label that comes out here says something about the bytes. A label counts when it is complete:
//! a cut line leaves a partial one, which is counted apart and never shown.
//!
//! `Machine` is the printer without a network (tests put it behind a pty); `Server` is the
//! printer on the network.

mod brother_ql;
mod epl;
mod escpos;
pub mod ipp;
mod machine;
mod pwg;
mod server;
mod tspl;
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
    /// EPL2 `^ee`.
    EplErrors,
    /// TSPL `<ESC>!?`.
    TsplStatus,
    /// Brother QL `ESC i S`.
    BrotherStatus,
}

/// Pictures on a label under way, 1 = black, and what could not be read.
#[derive(Debug, Default)]
struct Graphics {
    pictures: Vec<((u32, u32), usize, Vec<u8>)>,
    errors: Vec<String>,
}

impl Graphics {
    fn is_empty(&self) -> bool {
        self.pictures.is_empty() && self.errors.is_empty()
    }

    fn put(&mut self, at: (u32, u32), stride: usize, data: Vec<u8>) {
        if self.pictures.len() < 100 {
            self.pictures.push((at, stride, data));
        }
    }

    fn error(&mut self, text: String) {
        if self.errors.len() < 20 {
            self.errors.push(text);
        }
    }

    /// The label; as tall as its pictures when no height is given.
    fn drawn(&self, width: u32, height: Option<u32>) -> Bitmap {
        let bottom = |(at, stride, data): &((u32, u32), usize, Vec<u8>)| {
            let rows = u32::try_from(data.len() / (*stride).max(1)).unwrap_or(0);
            at.1.saturating_add(rows)
        };
        let lowest = self.pictures.iter().map(bottom).max().unwrap_or(1);
        let mut image = Bitmap::new_white(width, height.unwrap_or(lowest).min(MOST_ROWS));
        for (at, stride, data) in &self.pictures {
            for (row, y) in data.chunks((*stride).max(1)).zip(at.1..image.height) {
                for (index, byte) in (0_u32..).zip(row) {
                    for bit in (0..8_u32).filter(|bit| byte & (128 >> bit) != 0) {
                        image.set_black(at.0.saturating_add(index * 8 + bit), y);
                    }
                }
            }
        }
        image
    }
}

fn turned(image: &Bitmap) -> Bitmap {
    let mut out = Bitmap::new_white(image.width, image.height);
    for y in 0..image.height {
        for x in 0..image.width {
            if image.is_black(x, y) {
                out.set_black(image.width - 1 - x, image.height - 1 - y);
            }
        }
    }
    out
}
