//! The scale to the station, and to `status`.

use super::bench::Bench;
use super::devices::Devices;
use crate::config::model::Config;
use crate::domain::Load;
use crate::station::Input;
use crate::trigger::{Scale, ScaleNews, StartError, spawn_scale};
use tokio::sync::mpsc;

/// News on their way to the station.
const BACKLOG: usize = 16;

/// Reads the scale of the configuration, where there is one.
pub(super) fn start(
    config: &Config,
    bench: Bench,
    devices: Devices,
) -> Result<Option<Scale>, StartError> {
    let Some(wanted) = &config.scale.hid else {
        return Ok(None);
    };
    let (tx, rx) = mpsc::channel(BACKLOG);
    let scale = spawn_scale(wanted.clone(), tx)?;
    tokio::spawn(forward(rx, bench, devices));
    Ok(Some(scale))
}

async fn forward(mut news: mpsc::Receiver<ScaleNews>, bench: Bench, devices: Devices) {
    while let Some(news) = news.recv().await {
        let load = match news {
            ScaleNews::Found => {
                tracing::info!("scale there");
                devices.scale("reading", None, Load::Unknown);
                continue;
            }
            ScaleNews::Lost { why } => {
                tracing::warn!(why, "scale missing");
                devices.scale("missing", Some(why), Load::Unknown);
                Load::Unknown
            }
            ScaleNews::Load(load) => {
                devices.scale("reading", None, load);
                load
            }
        };
        bench.tell(Input::Weighed { load }).await;
    }
}
