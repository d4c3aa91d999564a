//! Start to stop of the whole program.
//!
//! Start: lock, ledger, rooms, station, triggers, web, "ready". Stop (SIGTERM, SIGINT): no new
//! work, running calls and pages come to their end, ledger closed, exit 0. A ledger that cannot
//! keep records ends the process at once: systemd starts it again.
//!
//! Over 500 lines because what is started, in which order, is read as one list.

use super::alerts::{self, Alerts};
use super::bench::{self, Bench};
use super::clock::{Clock, is_plausible};
use super::compose::{self, ComposeError};
use super::devices::Devices;
use super::facts::Pushes;
use super::hub::{Hub, Watched};
use super::lights::{self, Lights};
use super::metrics::Metrics;
use super::month::Month;
use super::outbox;
use super::paper::Paper;
use super::peers::Peers;
use super::port::Port;
use super::sales::Sales;
use super::shelf::Shelf;
use super::watch::Watcher;
use super::{buttons, card, scale, scanners, tickets, trial, warm};
use crate::config::model::{Config, Duty};
use crate::config::secret::SecretRef;
use crate::domain::Code;
use crate::label::Worker;
use crate::ledger::{DbCheck, Ledger, LedgerError};
use crate::starshipit::{SetupError, Starshipit};
use crate::station::{Recovered, Station};
use crate::system::durable;
use crate::system::gpio;
use crate::trigger::{self, Buttons, Scale, Triggers};
use crate::web::{self, Serving};
use crate::webhook::Receiver;
use secrecy::SecretString;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// How long running calls and pages may take to end after a stop was asked for: longer than a
/// courier's call, shorter than systemd's patience.
const GRACE: Duration = Duration::from_secs(75);
/// How long answers may take on their way out after that.
const WEB_GRACE: Duration = Duration::from_secs(2);
/// HTTP calls that wait at the station's door.
const CALLS: usize = 64;
/// How long writebacks that are under way may take to end after a stop was asked for.
const OUTBOX_GRACE: Duration = Duration::from_secs(10);
/// How often old orders are forgotten, a little at a time.
const SWEEP: Duration = Duration::from_secs(600);
/// Between two looks at how worn printers are.
const CHECK_UP: Duration = Duration::from_secs(300);
/// How often a full card is looked at: scans are refused until it has room again.
const FULL_CARD: Duration = Duration::from_secs(10);

/// Reads a secret by its configuration key and its reference.
pub type ReadSecret =
    Box<dyn Fn(&str, &SecretRef) -> Result<SecretString, ComposeError> + Send + Sync>;

/// What `run` needs besides the configuration.
pub struct Options {
    /// The configuration.
    pub config: Config,
    /// Reads secrets.
    pub secret: ReadSecret,
    /// This program, for the worker process and the database check.
    pub program: PathBuf,
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be put to work.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The ledger cannot be opened.
    #[error("the ledger cannot be opened")]
    Ledger(#[from] LedgerError),
    /// The Starshipit client cannot be made.
    #[error("the Starshipit client cannot be made")]
    Starshipit(#[from] SetupError),
    /// A scanner's address cannot be used.
    #[error(transparent)]
    Trigger(#[from] trigger::StartError),
    /// The web address or the control socket cannot be used.
    #[error(transparent)]
    Web(#[from] web::StartError),
    /// The web token cannot be read or made.
    #[error(transparent)]
    Token(#[from] web::token::TokenError),
    /// A file cannot be used.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        cause: std::io::Error,
    },
}

/// How the program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Asked to stop, and nothing was cut.
    Stopped,
    /// The ledger failed.
    Failed(String),
    /// This version was on trial and did not prove itself; nothing was cut.
    GaveUp(String),
}

/// The ready line of contract 18.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    event: &'static str,
    /// Bench page and API.
    pub web: String,
    /// Control socket.
    pub control: PathBuf,
    /// Scanners that listen.
    pub scanners: Vec<ReadyScanner>,
}

/// A scanner that listens.
#[derive(Clone, Debug, Serialize)]
pub struct ReadyScanner {
    /// Its name.
    pub name: String,
    /// Where.
    pub listen: SocketAddr,
}

/// The running program.
pub struct Running {
    /// The ready line.
    pub ready: Ready,
    /// Reaches the station.
    pub bench: Bench,
    /// Why this version, on trial, gives up.
    gave_up: watch::Receiver<Option<String>>,
    drain: watch::Sender<bool>,
    fatal: watch::Receiver<Option<String>>,
    station: JoinHandle<()>,
    ledger: Ledger,
    outbox: outbox::Running,
    serving: Serving,
    triggers: Triggers,
    buttons: Buttons,
    scale: Option<Scale>,
    lights: Lights,
}

/// Starts everything. When this returns, scans are taken.
pub async fn start(options: Options) -> Result<Running, StartError> {
    let clock = Clock::start();
    let config = options.config;
    let now = clock.now();
    let state_dir = &config.station.state_dir;
    durable::create_dir_all(state_dir).map_err(|cause| StartError::Io {
        what: format!("the state folder {} cannot be made", state_dir.display()),
        cause,
    })?;
    let check = DbCheck::Child {
        program: options.program.clone(),
        args: vec!["db-check".into()],
        limit: crate::ledger::CHECK_LIMIT,
    };
    let settings = compose::ledger(&config, check);
    let (ledger, recovered) = tokio::task::spawn_blocking(move || Ledger::open(settings, now.wall))
        .await
        .map_err(|panic| StartError::Io {
            what: "the ledger task failed".to_owned(),
            cause: std::io::Error::other(panic),
        })??;
    if let Some(place) = &recovered.quarantined {
        tracing::error!(code = "ledger-quarantined", place = %place.display(), "the index was damaged and set aside");
    }
    let starshipit = Starshipit::new(compose::starshipit(&config, &options.secret)?)?;
    let label = compose::label(&config);
    let worker = Worker::new(
        options.program.clone(),
        vec!["render-worker".to_owned()],
        label.clone(),
    );
    let shelf = Shelf::open(
        state_dir.join("drawn"),
        &format!("{label:?}"),
        usize::try_from(config.prefetch.max_held).unwrap_or(usize::MAX),
    );
    let paper = Paper::new(
        worker,
        label.read_back,
        compose::heads(&config)?,
        clock,
        shelf,
    );
    let trusted = is_plausible(now.wall);
    if !trusted {
        tracing::warn!(
            code = "clock-not-set",
            "the clock shows a time that cannot be"
        );
    }
    let receiver = alerts_receiver(&config, &options.secret)?;
    let cloud = compose::cartoncloud(&config, &options.secret)?;
    let fields = compose::field_maps(&config)?;
    let sinks = outbox::sinks(&config, cloud.as_ref(), &ledger, &options.secret, clock)?;
    let sales = cloud.map_or_else(Sales::default, |cloud| {
        Sales::new(cloud, starshipit.clone(), fields)
    });
    let owed = recovered.orders.clone();
    let (station, first) = Station::start(
        compose::station(&config),
        Recovered {
            orders: recovered.orders,
            acts: recovered.acts,
            paused: recovered.paused,
            bench_seq: recovered.bench_seq,
            closed: recovered.closed,
            ahead: recovered.ahead,
            highest_act: recovered.highest_act,
            clock_trusted: trusted,
        },
        now,
    );
    let (bench, messages) = bench::channel();
    let (fatal, fatal_rx) = watch::channel(None);
    let (drain, drain_rx) = watch::channel(false);
    let pushes = Arc::new(Pushes::default());
    let metrics = Arc::new(Metrics::new(env!("CARGO_PKG_VERSION")));
    let hub = Hub::new(
        bench.clone(),
        ledger.clone(),
        starshipit.clone(),
        paper,
        sales.clone(),
        fatal,
        Watched {
            metrics: Arc::clone(&metrics),
            month: Month::open(state_dir, config.station.timezone.as_deref()),
            clock,
            pushes: Arc::clone(&pushes),
        },
    );
    // Before the loop: no order may become durable unseen.
    let outbox = outbox::start(
        sinks,
        bench.clone(),
        ledger.clone(),
        owed.iter().map(|order| &**order),
        metrics,
    );
    drop(owed);
    hub.show_to(outbox.outbox.clone());
    let station = tokio::spawn(bench::run(
        station,
        first,
        Arc::clone(&hub),
        messages,
        clock,
        drain_rx.clone(),
        GRACE,
    ));
    sweep(ledger.clone(), clock, drain_rx.clone());
    if let Some(route) = config.routes.first() {
        tokio::spawn(warm::keep(
            bench.clone(),
            starshipit.clone(),
            route.account.as_str().into(),
            drain_rx.clone(),
        ));
    }
    check_up(&hub, drain_rx.clone());
    card::count(state_dir.clone(), clock, drain_rx.clone());
    watch_services(
        &config,
        Watcher {
            sales: sales.clone(),
            starshipit,
            bench: bench.clone(),
            ledger: ledger.clone(),
            clock,
            settings: compose::station(&config),
            interval: config
                .cartoncloud
                .as_ref()
                .map_or(Duration::MAX, |cloud| cloud.poll_interval),
            statuses: compose::polled_statuses(&config),
            mark: state_dir.join("cartoncloud-poll.json"),
            pushes,
        },
        &drain_rx,
    );
    let (door, calls, events) = web::Station::new(CALLS);
    let devices = Devices::new(&config);
    let (raised, alerts) = watch::channel(Vec::new());
    let token = match &config.web.token {
        Some(reference) => (options.secret)("web.token", reference)?,
        None => web::token::load_or_make(&config.station.state_dir)?,
    };
    let peer_token = config
        .web
        .peer_token
        .as_ref()
        .map(|reference| (options.secret)("web.peer_token", reference))
        .transpose()?;
    let peers = Peers::start(&config, peer_token.as_ref(), &drain_rx);
    let port = Port::new(
        &config,
        bench.clone(),
        Arc::clone(&hub),
        clock,
        devices.clone(),
        alerts,
        peer_token.clone(),
        peers,
    );
    port.open(calls, events);
    let alerts = Alerts::new(&config, receiver, raised);
    tokio::spawn(alerts.run(Arc::clone(&port), drain_rx.clone()));
    let hook_secret = config
        .cartoncloud
        .as_ref()
        .and_then(|cloud| cloud.hook_secret.as_ref())
        .map(|reference| (options.secret)("cartoncloud.hook_secret", reference))
        .transpose()?;
    let serving = web::serve(
        web::Settings {
            station: config.station.name.clone(),
            command_prefix: config.scan.command_prefix.clone(),
            listen: config.web.listen,
            control: config.station.state_dir.join(web::CONTROL_SOCKET),
            token,
            peer_token: peer_token.clone(),
            presets: config.packaging.presets.keys().cloned().collect(),
            hook_secret,
            hosts: config.web.hosts.clone(),
        },
        door,
    )
    .await?;
    tickets::start(&config, &bench, &hub);
    let pressed = Arc::new(Notify::new());
    let lights = Lights::start(
        lights::wiring(&config),
        Box::new(gpio::outputs),
        bench.clone(),
        devices.clone(),
        Arc::clone(&pressed),
    );
    let buttons = buttons::start(&config, bench.clone(), devices.clone(), pressed)?;
    let scale = scale::start(&config, bench.clone(), devices.clone())?;
    let triggers = scanners::start(&config, bench.clone(), devices.clone()).await?;
    let ready = Ready {
        event: "ready",
        web: format!("http://{}", serving.web),
        control: serving.control.clone(),
        scanners: triggers
            .scanners
            .iter()
            .filter_map(|scanner| {
                Some(ReadyScanner {
                    name: scanner.name.clone(),
                    listen: scanner.listen?,
                })
            })
            .collect(),
    };
    write_ready(&config.station.state_dir, &ready)?;
    // Without systemd there is nobody to tell; that is not an error.
    drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
    let gave_up = trial::start(&config.station.state_dir, port, clock);
    Ok(Running {
        gave_up,
        ready,
        bench,
        drain,
        fatal: fatal_rx,
        station,
        ledger,
        outbox,
        serving,
        triggers,
        buttons,
        scale,
        lights,
    })
}

impl Running {
    /// Waits until `stop` ends or the ledger fails, then drains and closes.
    pub async fn until(mut self, stop: impl Future<Output = ()>) -> Exit {
        let failed = async {
            match self.fatal.wait_for(Option::is_some).await {
                Ok(why) => why.clone(),
                // The hub lives as long as the station's loop; without it there is nothing to run.
                Err(_) => Some("the station's loop has ended".to_owned()),
            }
        };
        let mut gave_up = None;
        let given_up = async {
            match self.gave_up.wait_for(Option::is_some).await {
                Ok(why) => why.clone(),
                // Nothing is on trial, or it ended well.
                Err(_) => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            () = stop => None,
            why = given_up => {
                gave_up = why;
                None
            }
            why = failed => why,
            _ = &mut self.station => Some("the station's loop has ended".to_owned()),
        };
        if let Some(why) = why {
            return Exit::Failed(why);
        }
        drop(sd_notify::notify(&[sd_notify::NotifyState::Stopping]));
        // No new scans; requests that wait for what is under way are answered.
        drop(self.triggers);
        drop(self.buttons);
        drop(self.scale);
        // Results of writebacks reach the station while it still keeps records.
        self.outbox.stop(OUTBOX_GRACE).await;
        self.drain.send_replace(true);
        if self.station.await.is_err() {
            return Exit::Failed("the station's loop failed while stopping".to_owned());
        }
        self.lights.stop().await;
        self.serving.drain(WEB_GRACE).await;
        let ledger = self.ledger;
        match tokio::task::spawn_blocking(move || ledger.close()).await {
            Ok(Ok(())) => gave_up.map_or(Exit::Stopped, Exit::GaveUp),
            Ok(Err(error)) => Exit::Failed(error.to_string()),
            Err(panic) => Exit::Failed(panic.to_string()),
        }
    }
}

/// The tasks that look for themselves, as this station's duties and configuration want them.
fn watch_services(config: &Config, watcher: Watcher, drain: &watch::Receiver<bool>) {
    let prints = config
        .cartoncloud
        .as_ref()
        .is_some_and(|cloud| cloud.print_when.is_some());
    if prints || compose::follows_statuses(config) || config.station.duties.contains(&Duty::Push) {
        tokio::spawn(watcher.clone().poll(drain.clone()));
    }
    if config.station.duties.contains(&Duty::Reconcile) {
        tokio::spawn(watcher.reconcile(drain.clone()));
    }
}

/// Asks printers that count how worn they are, while nothing prints.
fn check_up(hub: &Arc<Hub>, mut drain: watch::Receiver<bool>) {
    let hub = Arc::clone(hub);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_UP) => hub.paper().check_up().await,
                _ = drain.changed() => return,
            }
        }
    });
}

/// Forgets old orders a little at a time.
fn sweep(ledger: Ledger, clock: Clock, mut drain: watch::Receiver<bool>) {
    tokio::spawn(async move {
        let mut waited = Duration::ZERO;
        loop {
            tokio::select! {
                () = tokio::time::sleep(FULL_CARD) => {}
                _ = drain.changed() => return,
            }
            waited += FULL_CARD;
            let health = ledger.health();
            let is_full = health.iter().any(|(code, _)| *code == Code::DiskFull);
            if waited < SWEEP && !is_full {
                continue;
            }
            waited = Duration::ZERO;
            let (ledger, now) = (ledger.clone(), clock.now().wall);
            match tokio::task::spawn_blocking(move || ledger.sweep(now)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(%error, "old orders could not be forgotten"),
                Err(panic) => tracing::error!(error = %panic, "the sweep failed"),
            }
        }
    });
}

/// Whom to tell of what is wrong.
fn alerts_receiver(config: &Config, secret: &ReadSecret) -> Result<Option<Receiver>, ComposeError> {
    let key = config
        .alerts
        .secret
        .as_ref()
        .map(|reference| secret("alerts.secret", reference))
        .transpose()?;
    alerts::receiver(config, key).map_err(|why| ComposeError::Sink {
        why: format!("alerts.webhook: {why}"),
    })
}

/// The ready line, also for whoever comes later (contract 18).
fn write_ready(state_dir: &std::path::Path, ready: &Ready) -> Result<(), StartError> {
    let path = state_dir.join("ready.json");
    let cannot = |cause: std::io::Error| StartError::Io {
        what: format!("{} cannot be written", path.display()),
        cause,
    };
    let text = serde_json::to_vec(ready).map_err(|error| cannot(error.into()))?;
    match durable::replace(&path, &text) {
        // A full card keeps nobody from working: the line on stdout says the same. What an earlier
        // start wrote there is not true any more.
        Err(error) if durable::is_full(&error) => {
            tracing::warn!(path = %path.display(), "the card is full: ready.json is not written");
            durable::remove(&path).map_err(cannot)
        }
        written => written.map_err(cannot),
    }
}
