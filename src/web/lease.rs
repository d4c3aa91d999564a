//! The lease of an update: the station rests for as long as this answer is being read.
//!
//! One line a second: `{"lease":"waiting"}` while something is under way, `{"lease":"granted"}` when
//! the station rests. When the reader goes, or stops reading, the station works on; should this task
//! end without a word, the station works on by itself after ten seconds.

use crate::web::events::Chunks;
use crate::web::port::{Reply, Request, Station};
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use std::time::Duration;
use tokio::sync::mpsc;

/// Between two lines.
const BEAT: Duration = Duration::from_secs(1);
/// Longest time that anybody may wait for the lease, or hold it.
const LONGEST: Duration = Duration::from_secs(3600);

/// Streams the lease.
pub(super) fn stream(station: Station, quiet: Duration, patience: Duration) -> Response {
    let (tx, rx) = mpsc::channel(1);
    tokio::spawn(async move {
        hold(&station, quiet, patience.min(LONGEST), &tx).await;
        // The answer does not matter: there is nobody left to tell.
        drop(station.ask(Request::WorkOn).await);
    });
    let mut response = Body::new(Chunks(rx)).into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    response
}

async fn hold(station: &Station, quiet: Duration, patience: Duration, tx: &mpsc::Sender<Bytes>) {
    let mut waited = Duration::ZERO;
    let mut held = Duration::ZERO;
    while waited < patience + BEAT && held < LONGEST {
        let Reply::Document(said) = station.ask(Request::Rest { quiet }).await else {
            return;
        };
        if said["lease"] == "granted" {
            held += BEAT;
        } else if held > Duration::ZERO {
            return;
        } else {
            waited += BEAT;
        }
        if tx.send(format!("{said}\n").into()).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(BEAT) => {}
            () = tx.closed() => return,
        }
    }
}
