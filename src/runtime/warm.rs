//! A connection to Starshipit that is open when a held label is scanned: its re-check has a third of a
//! second, and a new TLS connection over a slow line takes all of that.

use super::bench::Bench;
use crate::domain::AccountName;
use crate::starshipit::Starshipit;
use std::time::Duration;
use tokio::sync::watch;

/// More often than idle connections are closed.
const EVERY: Duration = Duration::from_secs(40);

/// Asks for next to nothing every now and then, as long as labels lie here that may be scanned.
pub(super) async fn keep(
    bench: Bench,
    starshipit: Starshipit,
    account: AccountName,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        match bench.glance().await {
            Ok(glance) if glance.held > 0 && glance.online => {}
            Ok(_) => continue,
            Err(_) => return,
        }
        if let Err(failure) = starshipit.probe(&account).await {
            tracing::debug!(?failure, "the connection could not be kept open");
        }
    }
}
