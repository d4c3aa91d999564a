//! A version on trial watches itself, and ends the trial well or gives up.

use super::clock::Clock;
use super::port::Port;
use crate::update::trial::{Look, Watch};
use crate::update::version::Version;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between looks; shorter for a short trial.
const LOOK: Duration = Duration::from_secs(5);

/// Starts watching if this version is on trial. The receiver learns why it gave up.
pub(super) fn start(
    state_dir: &Path,
    port: Arc<Port>,
    clock: Clock,
) -> watch::Receiver<Option<String>> {
    let (gave_up, why) = watch::channel(None);
    let dir = state_dir.join(crate::update::STATE);
    match Watch::open(&dir, &Version::own()) {
        Ok(None) => {}
        Ok(Some(watch)) => drop(tokio::spawn(look(watch, port, clock, gave_up))),
        // The guard counts all the same.
        Err(error) => tracing::error!(%error, "the trial cannot be read"),
    }
    why
}

async fn look(
    mut watch: Watch,
    port: Arc<Port>,
    clock: Clock,
    gave_up: watch::Sender<Option<String>>,
) {
    tracing::info!(version = %Version::own(), "this version is on trial");
    let ready = clock.now().mono;
    let pause = LOOK.min(watch.soak() / 2).max(Duration::from_millis(50));
    let mut last = String::new();
    while let Some(status) = port.status().await {
        let up = clock.now().mono.since(ready);
        // A disk that refuses keeps the trial open; the next look tries again.
        match watch.look(&status, up) {
            Ok(Look::Confirmed) => {
                tracing::info!("this version has proved itself");
                return;
            }
            Ok(Look::Failed(why)) => {
                tracing::error!(code = "update-refused", why, "this version gives up");
                gave_up.send_replace(Some(why));
                return;
            }
            Ok(Look::Waiting(why)) if why != last => {
                tracing::info!(why, "on trial");
                last = why;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the trial could not be ended"),
        }
        tokio::time::sleep(pause).await;
    }
}
