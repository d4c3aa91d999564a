//! Bytes written to the card today, over restarts. Looked at every ten minutes; written down once an
//! hour and when the day changes, so that counting costs the card next to nothing.

use super::clock::Clock;
use crate::domain::Timestamp;
use crate::system::disk::{self, Card, Tally};
use crate::system::durable;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// In the state folder.
const FILE: &str = "card-written.json";
/// Largest such file, in bytes.
const MOST: u64 = 4096;
/// Between two looks.
const LOOK: Duration = Duration::from_secs(600);
/// Looks between two notes.
const NOTED: u32 = 6;

/// The card under a folder. Blocks for a moment.
pub(super) fn card(state_dir: &Path) -> Option<Card> {
    let place = state_dir.canonicalize().ok()?;
    let mounts = disk::own_mounts().ok()?;
    disk::card(Path::new("/sys"), disk::mount_of(&mounts, &place)?)
}

/// Today's bytes as of now; `None` where nobody counts.
pub(super) fn written(state_dir: &Path, now: Timestamp) -> Option<Tally> {
    let counter = card(state_dir)?.written?;
    let boot = disk::boot_id().ok()?;
    let before = durable::read_bounded(&state_dir.join(FILE), MOST).ok()?;
    let before: Option<Tally> = before.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Some(disk::tally(before.as_ref(), now, &boot, counter))
}

/// Counts until `stop`.
pub(super) fn count(state_dir: PathBuf, clock: Clock, mut stop: watch::Receiver<bool>) {
    tokio::spawn(async move {
        let mut looks = 0;
        let mut day = 0;
        loop {
            let (dir, now) = (state_dir.clone(), clock.now().wall);
            let due = looks % NOTED == 0;
            let noted = tokio::task::spawn_blocking(move || {
                let tally = written(&dir, now)?;
                if due || tally.day != day {
                    note(&dir, &tally);
                }
                Some(tally.day)
            });
            match noted.await {
                Ok(Some(today)) => day = today,
                // A file system without a device: there is nothing to wear out.
                Ok(None) => return,
                Err(panic) => tracing::error!(error = %panic, "the card's counter failed"),
            }
            looks += 1;
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    });
}

fn note(state_dir: &Path, tally: &Tally) {
    let written = serde_json::to_vec(tally)
        .map_err(std::io::Error::from)
        .and_then(|text| durable::replace(&state_dir.join(FILE), &text));
    if let Err(error) = written {
        tracing::debug!(%error, "bytes written to the card could not be noted");
    }
}
