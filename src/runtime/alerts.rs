//! Alerts to `alerts.webhook`: looks every few seconds, tells what [`crate::alert`] says is to be told.
//!
//! What is raised and what is owed to the receiver is in `alerts.json` before anything is sent, so that
//! a restart neither repeats nor forgets. A receiver that is away is tried again, in order, for a day.

use super::facts::Facts;
use super::port::Port;
use crate::alert::{self, Kept, Kind, Notice, NoticeState, Watch};
use crate::config::model::{Config, Duty};
use crate::domain::{Code, Moment, Mono};
use crate::system::durable;
use crate::system::http::Http;
use crate::webhook::{Receiver, Sent};
use reqwest::{Method, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Name of the file in the state folder.
const FILE: &str = "alerts.json";
/// Longest file, in bytes.
const LIMIT: u64 = 1 << 20;
/// Between two looks; shorter where less is waited for.
const LOOK: Duration = Duration::from_secs(15);
/// Something must be well for so long before it is called off, or shorter where less is waited for.
const CALM: Duration = Duration::from_secs(60);
/// Pauses of a receiver that is away; the last one is repeated.
const AGAIN: [u64; 5] = [5, 15, 60, 300, 600];
/// What could not be told for so long is not told any more.
const STALE: Duration = Duration::from_secs(86_400);
/// Most notices that are owed.
const OWED: usize = 100;
/// Longest wait for another bench.
const PEER: Duration = Duration::from_secs(5);

/// `alerts.json`.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct File {
    raised: Kept,
    owed: Vec<Notice>,
}

/// Whom to tell.
pub(super) struct Alerts {
    pub station: String,
    pub settings: alert::Settings,
    pub receiver: Option<Receiver>,
    peers: Vec<(String, Http, reqwest::Url)>,
    /// Sale orders get into Starshipit from here.
    pushes: bool,
    path: PathBuf,
    raised: watch::Sender<Vec<Kind>>,
}

/// How long is too long, as configured.
pub(super) fn settings(config: &Config) -> alert::Settings {
    let alerts = &config.alerts;
    let shortest = alerts
        .bench_silent_after
        .min(alerts.printer_down_after)
        .min(alerts.writeback_after);
    alert::Settings {
        bench_silent: alerts.bench_silent_after,
        printer_down: alerts.printer_down_after,
        writeback_old: alerts.writeback_after,
        label_quota: alerts.label_quota.into(),
        calm: CALM.min(shortest),
    }
}

impl Alerts {
    pub(super) fn new(
        config: &Config,
        receiver: Option<Receiver>,
        raised: watch::Sender<Vec<Kind>>,
    ) -> Self {
        let peers = config.web.peers.iter().filter_map(|peer| {
            let url = reqwest::Url::parse(&format!("{}/healthz", peer.trim_end_matches('/')));
            let url = url.ok()?;
            Some((peer.clone(), Http::new(&url, PEER), url))
        });
        Self {
            station: config.station.name.clone(),
            settings: settings(config),
            receiver,
            peers: peers.collect(),
            pushes: config.station.duties.contains(&Duty::Push),
            path: config.station.state_dir.join(FILE),
            raised,
        }
    }

    /// Looks and tells until `drain`.
    pub(super) async fn run(self, port: Arc<Port>, mut drain: watch::Receiver<bool>) {
        let mut file = self.load().await;
        let mut watch = Watch::from_kept(std::mem::take(&mut file.raised));
        let mut tries: usize = 0;
        let mut next_send = Mono(0);
        let pause = LOOK
            .min(self.settings.calm / 4)
            .max(Duration::from_millis(250));
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = drain.wait_for(|stop| *stop) => break,
            }
            let Some(facts) = port.facts().await else {
                break;
            };
            let facts = self.facts(&port, facts).await;
            let now = port.moment();
            let notices = watch.look(&facts, &self.settings, now);
            self.raised.send_replace(watch.raised());
            if !notices.is_empty() {
                self.owe(&mut file.owed, notices);
                file.raised = watch.kept();
                self.store(&file).await;
            }
            if now.mono >= next_send {
                let before = file.owed.len();
                match self.tell(&mut file.owed, now).await {
                    Ok(()) => tries = 0,
                    Err(why) => {
                        let seconds = AGAIN[tries.min(AGAIN.len() - 1)];
                        tries += 1;
                        next_send = now.mono.plus(Duration::from_secs(seconds));
                        tracing::warn!(why, owed = file.owed.len(), "alerts not delivered");
                    }
                }
                if file.owed.len() != before {
                    self.store(&file).await;
                }
            }
            let hub = port.hub_shared();
            let stored = tokio::task::spawn_blocking(move || hub.month().store()).await;
            if let Ok(Err(error)) = stored {
                tracing::warn!(%error, "the month's count of labels could not be stored");
            }
        }
        let hub = port.hub_shared();
        drop(tokio::task::spawn_blocking(move || hub.month().store()).await);
    }

    /// The facts that alerts are about.
    async fn facts(&self, port: &Port, facts: Facts) -> alert::Facts {
        let health = facts.health.iter().find(|(code, _)| {
            matches!(
                code,
                Code::DiskFull | Code::LedgerQuarantined | Code::Internal
            )
        });
        let ledger = health.map(|(code, detail)| format!("{} ({detail})", code.explain().happened));
        alert::Facts {
            silent: self.silent().await,
            down: facts
                .printers
                .iter()
                .filter_map(|(name, code)| Some((name.to_string(), (*code)?)))
                .collect(),
            oldest: facts.glance.writebacks.oldest,
            push: port
                .hub()
                .push_trouble()
                .filter(|_| self.pushes)
                .map(|code| code.explain().happened.to_owned()),
            card: facts.card.or(ledger),
            bought: facts.bought_this_month,
        }
    }

    /// Benches that give no answer at all; one that asks for a token is there.
    async fn silent(&self) -> Vec<String> {
        let mut silent = Vec::new();
        for (peer, http, url) in &self.peers {
            let request = Request::new(Method::GET, url.clone());
            let exchange = http.exchange(request, 1024);
            // One after the other, each bounded: there are few benches, and nobody waits for this.
            if exchange.await.is_err() {
                silent.push(peer.clone());
            }
        }
        silent
    }

    fn owe(&self, owed: &mut Vec<Notice>, notices: Vec<Notice>) {
        for notice in notices {
            let (alert, subject) = (notice.alert.as_str(), notice.subject.as_str());
            let text = notice.text.as_str();
            match notice.state {
                NoticeState::Raised => tracing::warn!(alert, subject, text, "alert raised"),
                NoticeState::Cleared => tracing::info!(alert, subject, text, "alert cleared"),
            }
            if self.receiver.is_some() {
                owed.push(notice);
            }
        }
        let over = owed.len().saturating_sub(OWED);
        if over > 0 {
            tracing::warn!(over, "the oldest alerts were never delivered");
            owed.drain(..over);
        }
    }

    /// Sends what is owed, oldest first, until one is not taken.
    async fn tell(&self, owed: &mut Vec<Notice>, now: Moment) -> Result<(), String> {
        let Some(receiver) = &self.receiver else {
            owed.clear();
            return Ok(());
        };
        owed.retain(|notice| {
            let fresh = now.wall.since(notice.at) < STALE;
            if !fresh {
                tracing::warn!(
                    alert = notice.alert.as_str(),
                    "an alert was never delivered"
                );
            }
            fresh
        });
        while let Some(notice) = owed.first() {
            let body = json!({
                "id": notice.id,
                "station": self.station,
                "alert": notice.alert,
                "subject": notice.subject,
                "state": notice.state,
                "text": notice.text,
                "since": crate::web::documents::rfc3339(notice.since),
                "at": crate::web::documents::rfc3339(notice.at),
            });
            match receiver.send(&notice.id, body.to_string(), now.wall).await {
                Sent::Taken => drop(owed.remove(0)),
                Sent::Gone => {
                    tracing::warn!("the receiver of alerts says that it is gone (410)");
                    owed.remove(0);
                }
                Sent::Failed(why) => return Err(why),
            }
        }
        Ok(())
    }

    async fn load(&self) -> File {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || durable::read_bounded(&path, LIMIT)).await;
        let bytes = read.ok().and_then(Result::ok).flatten();
        let Some(bytes) = bytes else {
            return File::default();
        };
        serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "alerts.json is damaged; alerts begin anew");
            File::default()
        })
    }

    async fn store(&self, file: &File) {
        let Ok(bytes) = serde_json::to_vec(file) else {
            return;
        };
        let path = self.path.clone();
        let stored = tokio::task::spawn_blocking(move || durable::replace(&path, &bytes)).await;
        if let Ok(Err(error)) = stored {
            // An alert about the card must go out all the same.
            tracing::warn!(%error, "alerts.json could not be stored");
        }
    }
}

/// The receiver of `alerts.webhook`.
pub(super) fn receiver(
    config: &Config,
    secret: Option<secrecy::SecretString>,
) -> Result<Option<Receiver>, &'static str> {
    let url = config
        .alerts
        .webhook
        .as_deref()
        .filter(|url| !url.is_empty());
    url.map(|url| Receiver::new(url, secret, None)).transpose()
}
