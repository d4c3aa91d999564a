//! The async shell: feeds inputs to the station, carries out its effects, owns tasks and shutdown.
//!
//! One loop owns the [`crate::station::Station`]; everything else sends it messages. No decision is made here:
//! what a fact means is `station`'s business, what an effect costs is this room's.
//!
//! * `bench.rs`: the loop and its handle
//! * `hub.rs`: effects to tasks, the barrier of `Remember`
//! * `remade.rs`: the looks after a lost replace or clone
//! * `owed.rs`: the web door's other side for writebacks
//! * `outbox.rs`: the sinks there are, orders to them, results back
//! * `sales.rs`: what the station asks of CartonCloud, and the way from there into Starshipit
//! * `watch.rs`: what CartonCloud and Starshipit are asked without a scan
//! * `paper.rs`: documents to pages to printers
//! * `shelf.rs`, `warm.rs`: drawn labels that wait for their scan; a connection that is open by then
//! * `compose.rs`: configuration to the settings of every room
//! * `port.rs`: the web door's other side
//! * `scanners.rs`: triggers to the station, and the beep back
//! * `trial.rs`: a version on trial watches itself
//! * `buttons.rs`, `lights.rs`, `tickets.rs`: presses to the station; its signals to pins and paper
//! * `day.rs`: the hand-over list
//! * `checkup.rs`, `checkup/`: what `doctor` looks at; `card.rs`: bytes written today
//! * `support.rs`: the support bundle, masked
//! * `metrics.rs`, `gauges.rs`, `facts.rs`: what is counted, what is so
//! * `alerts.rs`, `month.rs`: what is told to `alerts.webhook`
//! * `devices.rs`: what is plugged in, for `status`
//! * `service.rs`: start to stop of the whole program

mod alerts;
pub mod backup;
mod bench;
mod buttons;
mod card;
pub mod checkup;
pub mod clock;
mod compose;
mod day;
mod devices;
mod facts;
mod gauges;
mod hub;
mod lights;
mod metrics;
mod month;
mod outbox;
mod owed;
mod paper;
mod port;
mod remade;
mod sales;
mod scale;
mod scanners;
mod service;
mod shelf;
pub mod support;
mod tickets;
mod trial;
mod warm;
mod watch;

pub use bench::{Bench, Event, Request, Said, Stopped};
pub use compose::ComposeError;
pub use lights::lights_off;
pub use service::{Exit, Options, ReadSecret, Ready, ReadyScanner, Running, StartError, start};
