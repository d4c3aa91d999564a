//! The site's other benches (`web.peers`), for the overview: asked for their status in the background,
//! each on its own, with a deadline. Nothing at this bench waits for them.
//!
//! What comes back is another machine's word: bounded, and only known members are kept.

use super::clock::Clock;
use crate::config::model::Config;
use crate::domain::Timestamp;
use crate::system::http::{Http, Trouble, tidy};
use crate::web::documents::rfc3339;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, Request, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Between two questions to a peer.
const PERIOD: Duration = Duration::from_secs(10);
/// A peer answers within this time, connection included.
const PATIENCE: Duration = Duration::from_secs(3);
/// Largest answer.
const LARGEST: usize = 256 * 1024;
/// Longest text that is passed on, in bytes.
const WORDS: usize = 120;

/// What is known of the peers; clones show the same.
#[derive(Clone, Default)]
pub(super) struct Peers(Arc<Mutex<Vec<Peer>>>);

struct Peer {
    url: String,
    /// What it said last, and when.
    said: Option<(Value, Timestamp)>,
    /// Why there is nothing newer.
    trouble: Option<String>,
}

impl Peers {
    /// Starts asking, until `drain`.
    pub(super) fn start(
        config: &Config,
        token: Option<&SecretString>,
        drain: &watch::Receiver<bool>,
    ) -> Self {
        let peers = Self::default();
        let bearer = token.and_then(|token| {
            let mut value =
                HeaderValue::try_from(format!("Bearer {}", token.expose_secret())).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        for (n, url) in config.web.peers.iter().enumerate() {
            peers.all().push(Peer {
                url: url.clone(),
                said: None,
                trouble: None,
            });
            let (peers, bearer, mut drain) = (peers.clone(), bearer.clone(), drain.clone());
            let url = url.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = peers.ask(n, &url, bearer) => {}
                    _ = async { drain.wait_for(|drain| *drain).await.is_ok() } => {}
                }
            });
        }
        peers
    }

    fn all(&self) -> MutexGuard<'_, Vec<Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, n: usize, url: &str, bearer: Option<HeaderValue>) {
        let address = match Url::parse(url).and_then(|url| url.join("/api/status")) {
            Ok(address) => address,
            Err(error) => {
                self.learn(n, Err(error.to_string()));
                return;
            }
        };
        let http = Http::new(&address, PATIENCE);
        let clock = Clock::start();
        loop {
            let mut request = Request::new(Method::GET, address.clone());
            if let Some(bearer) = &bearer {
                request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            }
            let answer = match http.exchange(request, LARGEST).await {
                Ok(reply) if reply.status == 200 && !reply.cut => status(&reply.body),
                Ok(reply) => Err(refused(reply.status, &reply.body)),
                Err(Trouble::NotSent(why) | Trouble::Clock(why) | Trouble::Broken(why)) => {
                    tracing::debug!(peer = url, why, "a peer does not answer");
                    Err("does not answer".to_owned())
                }
            };
            self.learn(n, answer.map(|said| (said, clock.now().wall)));
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn learn(&self, n: usize, answer: Result<(Value, Timestamp), String>) {
        let mut all = self.all();
        let Some(peer) = all.get_mut(n) else { return };
        match answer {
            Ok(said) => {
                peer.said = Some(said);
                peer.trouble = None;
            }
            Err(why) => peer.trouble = Some(why),
        }
    }

    /// `peers` of the status document. A site's list may name this very bench, `own`.
    pub(super) fn show(&self, own: &str) -> Value {
        let all = self.all();
        let shown = all.iter().map(|peer| {
            let mut document = json!({
                "url": peer.url,
                "own": false,
                "seen": Value::Null,
                "trouble": peer.trouble,
            });
            if let Some((said, seen)) = &peer.said {
                for (member, value) in said.as_object().into_iter().flatten() {
                    document[member] = value.clone();
                }
                document["seen"] = rfc3339(*seen);
                document["own"] = json!(said["station"] == own);
            }
            document
        });
        shown.collect()
    }
}

/// The members of a peer's status that the overview shows.
fn status(body: &[u8]) -> Result<Value, String> {
    let told: Value =
        serde_json::from_slice(body).map_err(|_| "does not answer like a station".to_owned())?;
    let text = |value: &Value| value.as_str().map(|text| tidy(text, WORDS));
    let (Some(station), Some(state)) = (text(&told["station"]), text(&told["state"])) else {
        return Err("does not answer like a station".to_owned());
    };
    let troubles: Vec<String> = told["printers"]
        .as_array()
        .into_iter()
        .flatten()
        .take(16)
        .filter_map(|printer| {
            let code = text(&printer["code"])?;
            Some(format!(
                "{}: {code}",
                text(&printer["name"]).unwrap_or_default()
            ))
        })
        .collect();
    Ok(json!({
        "station": station,
        "state": state,
        "version": text(&told["version"]),
        "last_print": {
            "at": text(&told["last_print"]["at"]),
            "order": text(&told["last_print"]["order"]),
        },
        "queued": told["queued"].as_u64(),
        "held": told["held"].as_u64(),
        "in_doubt": told["in_doubt"].as_array().map(Vec::len),
        "writebacks": {
            "pending": told["writebacks"]["pending"].as_u64(),
            "oldest_s": told["writebacks"]["oldest_s"].as_u64(),
            "conflicts": told["writebacks"]["conflicts"].as_u64(),
        },
        "printers": troubles,
    }))
}

/// A peer that answers, and not with its status: what to set right.
fn refused(status: u16, body: &[u8]) -> String {
    match status {
        401 => "wants web.peer_token: the same on every bench".to_owned(),
        _ => {
            let told: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
            let detail = told["detail"].as_str().unwrap_or("no status");
            format!("answers {status}: {}", tidy(detail, WORDS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(told: &Value) -> Peers {
        let peers = Peers::default();
        peers.all().push(Peer {
            url: "http://bench-2.local:8631".into(),
            said: None,
            trouble: None,
        });
        let said = status(told.to_string().as_bytes());
        peers.learn(0, said.map(|said| (said, Timestamp(1_700_000_000_000))));
        peers
    }

    #[test]
    fn only_known_members_of_a_peers_word_are_kept_and_none_is_long() {
        let peers = peers(&json!({
            "station": "bench-2", "state": "x".repeat(5000), "url": "http://evil.example",
            "version": 7, "printers": [{ "name": "label", "code": "printer-media-out" }],
        }));
        let shown = &peers.show("bench-1")[0];
        assert_eq!(shown["url"], "http://bench-2.local:8631");
        assert_eq!(shown["state"].as_str().map(str::len), Some(WORDS));
        assert_eq!(shown["version"], Value::Null);
        assert_eq!(shown["printers"], json!(["label: printer-media-out"]));
        assert_eq!(shown["own"], false);
    }

    #[test]
    fn a_peer_that_falls_silent_keeps_its_last_word_and_says_so() {
        let peers = peers(&json!({ "station": "bench-2", "state": "ready" }));
        peers.learn(0, Err("does not answer".into()));
        let shown = &peers.show("bench-2")[0];
        assert_eq!(shown["state"], "ready");
        assert_eq!(shown["trouble"], "does not answer");
        assert_eq!(shown["seen"], "2023-11-14T22:13:20.000Z");
        assert_eq!(
            shown["own"], true,
            "a site's list may name the bench itself"
        );
    }

    #[test]
    fn what_is_no_station_is_named_as_that() {
        for told in ["[]", "{}", "<html>"] {
            assert_eq!(
                status(told.as_bytes()),
                Err("does not answer like a station".to_owned())
            );
        }
        assert!(refused(401, b"").contains("web.peer_token"));
        assert_eq!(
            refused(400, br#"{"detail":"not called so"}"#),
            "answers 400: not called so"
        );
    }
}
