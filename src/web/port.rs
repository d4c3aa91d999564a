//! The one door between HTTP and the station: requests with a way back, and a stream of events.
//!
//! The runtime holds the other end of the channel. Whoever asks waits with a deadline of his own, so
//! a dropped [`Call`] is an answer too.

use crate::domain::{Code, ScanReply, ScanText, Source};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

/// What HTTP asks of the station.
#[derive(Debug)]
pub enum Request {
    /// A scan.
    Scan {
        /// Cleaned text.
        text: ScanText,
        /// Who and through what: `page`, `http` or `cli`.
        source: Source,
        /// Answer when the act has ended, or after this time.
        wait: Option<Duration>,
    },
    /// An act on an order.
    Act {
        /// Order number or ledger id; several matches → [`Reply::Ambiguous`].
        reference: String,
        /// Which act.
        act: OrderAct,
        /// Who and through what.
        source: Source,
        /// As for a scan.
        wait: Option<Duration>,
    },
    /// CartonCloud's custom button asks for a label. A hint: the order is read again first.
    Hook {
        /// UUID of the sale order.
        uuid: String,
    },
    /// The status document (contract 24).
    Status,
    /// Orders, newest first, as documents (contract 24).
    Orders(OrdersQuery),
    /// One order by number or ledger id.
    Order {
        /// Number or id.
        reference: String,
    },
    /// The picture of a label.
    LabelPng {
        /// Number or id.
        reference: String,
        /// Which label page of the live shipments, from 1.
        page: u16,
    },
    /// Writebacks as documents (contract 24): every open one, then those of the newest orders.
    Writebacks(WritebacksQuery),
    /// A person decides about a writeback.
    Writeback {
        /// `<ledger id>#<n>`, or an order number or ledger id of which one job is open.
        id: String,
        /// What to do.
        act: WritebackAct,
        /// Who and through what.
        source: Source,
    },
    /// Everything that only the running station can look at, for `printstation doctor`.
    Doctor,
    /// Everything that is counted, in Prometheus' text format.
    Metrics,
    /// Rest for an update, or rest on; `{"lease":"granted"|"waiting"}`.
    Rest {
        /// Nobody must have asked anything for so long.
        quiet: Duration,
    },
    /// The update is over, or given up.
    WorkOn,
}

/// What may be done about a writeback over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WritebackAct {
    /// Try again now.
    Retry,
    /// Our numbers shall stand.
    KeepOurs,
    /// What stands there shall stand; the writeback is done.
    KeepTheirs,
}

/// Which writebacks are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WritebacksQuery {
    /// A state word of contract 24.
    pub state: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// What may be done to an order over HTTP (contract 21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderAct {
    /// Same label again.
    Reprint {
        /// Why; logged.
        reason: Option<String>,
        /// Only these parcels, from 1; empty: all.
        parcels: Vec<u16>,
    },
    /// Replace the shipment; was confirmed in the request.
    Redo {
        /// Why; logged.
        reason: Option<String>,
    },
    /// One more parcel.
    NextParcel,
    /// Print the held label.
    Release,
    /// Drop what is not printed.
    Cancel,
}

/// Which orders are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrdersQuery {
    /// A state word of contract 9.
    pub state: Option<crate::domain::State>,
    /// Part of a number, reference, tracking number or name.
    pub q: Option<String>,
    /// At most so many, 1..=1000.
    pub limit: usize,
    /// Only those that come after this ledger id in the listing.
    pub after: Option<String>,
}

/// What the station answers.
#[derive(Debug)]
pub enum Reply {
    /// To a scan or an act.
    Scan(Box<ScanReply>),
    /// One document.
    Document(Value),
    /// Documents, one per line.
    Lines(Vec<Value>),
    /// Metrics.
    Text(String),
    /// A PNG file.
    Png(Vec<u8>),
    /// No such order, or no label of it.
    NotFound {
        /// What is missing.
        detail: String,
    },
    /// Several orders have this number.
    Ambiguous(Vec<crate::domain::outcome::Candidate>),
    /// It cannot be answered now.
    Failed {
        /// Why.
        code: Code,
        /// For the reader.
        detail: String,
    },
}

/// A request and the way back.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Takes the answer. Dropping it is "internal".
    pub reply: oneshot::Sender<Reply>,
}

/// Something that happened, for pages and followers.
#[derive(Clone, Debug)]
pub struct Event {
    /// What kind.
    pub kind: EventKind,
    /// Its document.
    pub data: Value,
}

/// Kinds of events (contract 24).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A scan document.
    Scan,
    /// An order document.
    Order,
    /// A printer's line of the status document.
    Printer,
    /// A writeback document.
    Writeback,
    /// The status document.
    Status,
}

impl EventKind {
    /// The event's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Order => "order",
            Self::Printer => "printer",
            Self::Writeback => "writeback",
            Self::Status => "status",
        }
    }
}

/// The station as HTTP sees it.
#[derive(Clone, Debug)]
pub struct Station {
    calls: mpsc::Sender<Call>,
    events: broadcast::Sender<Event>,
}

/// Time that an answer may take beyond the wait that was asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time that the doctor's checks may take: services are asked at the pace of their limits.
const DOCTOR: Duration = Duration::from_secs(30);
/// Events that a slow follower may be behind.
const EVENTS: usize = 256;

impl Station {
    /// Makes the door; the runtime keeps the receiver and a clone of the sender of events.
    /// At most `backlog` calls wait at the door.
    pub fn new(backlog: usize) -> (Self, mpsc::Receiver<Call>, broadcast::Sender<Event>) {
        let (calls, receiver) = mpsc::channel(backlog);
        let (events, _) = broadcast::channel(EVENTS);
        let station = Self {
            calls,
            events: events.clone(),
        };
        (station, receiver, events)
    }

    /// Asks, and waits at most `wait` and ten seconds.
    pub(super) async fn ask(&self, request: Request) -> Reply {
        let wait = match &request {
            Request::Scan { wait, .. } | Request::Act { wait, .. } => wait.unwrap_or_default(),
            Request::Doctor => DOCTOR,
            _ => Duration::ZERO,
        };
        let failed = |detail: &str| Reply::Failed {
            code: Code::Internal,
            detail: detail.to_owned(),
        };
        let asked = async {
            let (reply, answer) = oneshot::channel();
            if self.calls.send(Call { request, reply }).await.is_err() {
                return failed("The station is stopping.");
            }
            answer
                .await
                .unwrap_or_else(|_| failed("The station gave no answer."))
        };
        tokio::time::timeout(wait + PATIENCE, asked)
            .await
            .unwrap_or_else(|_| failed("The station did not answer in time."))
    }

    /// Follows events from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
