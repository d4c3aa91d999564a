//! The `csv` sink: one line per writeback in a file per day, for a CartonCloud parser or a person.
//!
//! Format: RFC 4180, UTF-8, CR LF, a head in the first line, no line breaks within fields. Text that a
//! spreadsheet would take for a formula gets a `'` in front.
//!
//! Invariant: a writeback has at most one line, whatever is cut when. A line is durable before it
//! counts as delivered, and its id is looked for in the files before it is written again. What a cut
//! left of a line is taken off before the next line; it never counted.

mod file;

use crate::domain::Delivery;
use crate::domain::writeback::Dispatch;
use crate::outbox::{Clock, Delivering, Sink};
use file::Folder;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where and in whose days.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of the files; made when the first line is written.
    pub dir: PathBuf,
    /// IANA name of the zone whose days name the files; `None` = UTC.
    pub timezone: Option<String>,
}

/// The sink.
pub struct Csv {
    folder: Arc<Mutex<Folder>>,
    zone: jiff::tz::TimeZone,
    clock: Clock,
}

impl Csv {
    /// A sink that has touched nothing yet. A time zone that this machine does not know is UTC.
    pub fn new(settings: Settings, clock: Clock) -> Self {
        let zone = settings.timezone.as_deref().map(jiff::tz::TimeZone::get);
        let zone = zone.and_then(Result::ok).unwrap_or(jiff::tz::TimeZone::UTC);
        Self {
            folder: Arc::new(Mutex::new(Folder::new(settings.dir))),
            zone,
            clock,
        }
    }

    async fn append(&self, dispatch: &Dispatch) -> Delivery {
        let now = jiff::Timestamp::from_millisecond((self.clock)().0).unwrap_or_default();
        let day = now.to_zoned(self.zone.clone()).date().to_string();
        let fields = fields(dispatch, now);
        let folder = Arc::clone(&self.folder);
        // Blocks on fsync: tens of milliseconds on an SD card.
        let written = tokio::task::spawn_blocking(move || {
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            folder.append(&day, &fields)
        })
        .await;
        let why = match written {
            Ok(Ok(())) => return Delivery::Done { handle: None },
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic.to_string(),
        };
        // A full or missing disk is one for all jobs.
        Delivery::Retry {
            after: None,
            why,
            unreachable: true,
        }
    }
}

impl Sink for Csv {
    fn name(&self) -> &str {
        "csv"
    }

    fn system(&self) -> &str {
        "csv"
    }

    fn deliver<'a>(&'a self, dispatch: &'a Dispatch) -> Delivering<'a> {
        Box::pin(self.append(dispatch))
    }
}

/// The columns, in order. `written` is last: it has a fixed form, so a line that was cut is known.
const HEAD: [&str; 9] = [
    "id",
    "order",
    "numeric_id",
    "customer",
    "account",
    "carrier",
    "tracking",
    "replaces",
    "written",
];

/// The id is machine-made and compared; everything else is somebody's text.
fn fields(dispatch: &Dispatch, now: jiff::Timestamp) -> [String; HEAD.len()] {
    let sale = dispatch.sale.as_ref();
    let customer = sale.map_or("", |sale| match sale.customer.code.as_str() {
        "" => sale.customer.name.as_str(),
        code => code,
    });
    [
        dispatch.id(),
        dispatch.number.clone(),
        sale.and_then(|sale| sale.numeric_id.clone())
            .unwrap_or_default(),
        customer.to_owned(),
        dispatch.account.to_string(),
        dispatch.carrier.clone(),
        dispatch.job.joined(),
        dispatch.job.supersedes.join(","),
        format!("{now:.3}"),
    ]
    .map(|text| harmless(&text))
}

/// One line, and no formula.
fn harmless(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let formula = line
        .trim_start()
        .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if formula { format!("'{line}") } else { line }
}

#[cfg(test)]
mod tests;
