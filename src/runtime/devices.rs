//! What is plugged in: scanners, buttons and lights as `status` shows them (P10: what is missing is
//! named, and nothing else stops).

use crate::config::model::{Config, ScannerConnection};
use crate::doctor::fact;
use crate::domain::Load;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The devices of the bench; clones show the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Devices(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    scanners: Vec<Device>,
    buttons: Vec<Device>,
    /// Outputs that cannot be used: which, and why.
    dark: BTreeMap<String, String>,
    outputs: Vec<String>,
    scale: Option<ScaleState>,
}

#[derive(Debug)]
struct ScaleState {
    at: String,
    state: &'static str,
    detail: Option<String>,
    load: Load,
}

#[derive(Debug)]
struct Device {
    name: String,
    at: Value,
    state: &'static str,
    detail: Option<String>,
}

impl Devices {
    /// Everything that the configuration names.
    pub(super) fn new(config: &Config) -> Self {
        let scanners = config.scanners.iter().map(|scanner| Device {
            name: scanner.name.clone(),
            at: json!(scanner.connection),
            // What we listen on is there at once; what is dialled or opened says so itself.
            state: match scanner.connection {
                ScannerConnection::TcpListen(_) | ScannerConnection::Stdin => "reading",
                _ => "starting",
            },
            detail: None,
        });
        let buttons = config.buttons.iter().map(|button| Device {
            name: button.name.clone(),
            at: match (&button.gpio, &button.evdev) {
                (Some(pin), _) => json!(format!("gpio:{pin}")),
                (None, device) => json!(format!("evdev:{}", device.as_deref().unwrap_or_default())),
            },
            state: "starting",
            detail: None,
        });
        Self(Arc::new(Mutex::new(State {
            scanners: scanners.collect(),
            buttons: buttons.collect(),
            dark: BTreeMap::new(),
            outputs: Vec::new(),
            scale: config.scale.hid.as_ref().map(|hid| ScaleState {
                at: format!("hid:{hid}"),
                state: "starting",
                detail: None,
                load: Load::Unknown,
            }),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn scanner(&self, name: &str, state: &'static str, detail: Option<String>) {
        set(&mut self.state().scanners, name, state, detail);
    }

    pub(super) fn button(&self, name: &str, state: &'static str, detail: Option<String>) {
        set(&mut self.state().buttons, name, state, detail);
    }

    pub(super) fn scale(&self, state: &'static str, detail: Option<String>, load: Load) {
        if let Some(scale) = &mut self.state().scale {
            (scale.state, scale.detail, scale.load) = (state, detail, load);
        }
    }

    /// `scale` of the status document; null without one.
    pub(super) fn show_scale(&self) -> Value {
        self.state().scale.as_ref().map_or(Value::Null, |scale| {
            json!({
                "connection": scale.at,
                "state": scale.state,
                "detail": scale.detail,
                "kg": match scale.load {
                    Load::Stable(grams) => json!(f64::from(grams) / 1000.0),
                    Load::Empty => json!(0.0),
                    Load::Unknown => Value::Null,
                },
            })
        })
    }

    /// The outputs there are, and those that cannot be used.
    pub(super) fn outputs(&self, all: Vec<String>, dark: BTreeMap<String, String>) {
        let mut state = self.state();
        state.outputs = all;
        state.dark = dark;
    }

    /// What of them can be used, for the doctor.
    pub(super) fn found(&self) -> Vec<fact::Device> {
        let state = self.state();
        let of = |kind, devices: &[Device]| -> Vec<fact::Device> {
            let found = devices.iter().map(|device| fact::Device {
                kind,
                name: device.name.clone(),
                at: device.at.as_str().unwrap_or_default().to_owned(),
                trouble: match device.state {
                    "reading" | "ready" => None,
                    word => Some(device.detail.clone().unwrap_or_else(|| word.to_owned())),
                },
            });
            found.collect()
        };
        let lights = state.outputs.iter().map(|name| fact::Device {
            kind: fact::Kind::Light,
            name: name.clone(),
            at: "its pin is taken by the station".to_owned(),
            trouble: state.dark.get(name).cloned(),
        });
        let mut all = of(fact::Kind::Scanner, &state.scanners);
        all.extend(of(fact::Kind::Button, &state.buttons));
        all.extend(lights);
        all
    }

    /// `scanners`, `buttons` and `lights` of the status document.
    pub(super) fn show(&self) -> [Value; 3] {
        let state = self.state();
        let list = |devices: &[Device]| -> Value {
            let shown = devices.iter().map(|device| {
                json!({
                    "name": device.name,
                    "connection": device.at,
                    "state": device.state,
                    "detail": device.detail,
                })
            });
            shown.collect()
        };
        let lights = state.outputs.iter().map(|name| {
            let why = state.dark.get(name);
            json!({
                "name": name,
                "state": if why.is_some() { "missing" } else { "ready" },
                "detail": why,
            })
        });
        [
            list(&state.scanners),
            list(&state.buttons),
            lights.collect(),
        ]
    }
}

fn set(devices: &mut [Device], name: &str, state: &'static str, detail: Option<String>) {
    if let Some(device) = devices.iter_mut().find(|device| device.name == name) {
        device.state = state;
        device.detail = detail;
    }
}
