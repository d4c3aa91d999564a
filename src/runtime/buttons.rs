//! Buttons to the station: what a gesture is configured to do.

use super::bench::{Bench, Request};
use super::devices::Devices;
use crate::config::model::{Button, ButtonAct, Config};
use crate::station::Press;
use crate::system::gpio;
use crate::trigger::{
    self, ButtonAt, ButtonEvent, ButtonNews, ButtonSettings, Buttons, Gesture, spawn_buttons,
};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// Presses on their way to the station.
const BACKLOG: usize = 16;

/// Starts the buttons of the configuration. `pressed` is told of every press, whatever it does.
pub(super) fn start(
    config: &Config,
    bench: Bench,
    devices: Devices,
    pressed: Arc<Notify>,
) -> Result<Buttons, trigger::StartError> {
    let (tx, rx) = mpsc::channel(BACKLOG);
    let settings = config.buttons.iter().map(settings).collect();
    let buttons = spawn_buttons(settings, Box::new(gpio::inputs), &tx)?;
    if config.cartoncloud.is_none()
        && let Some(button) = config.buttons.iter().find(|b| !b.next_statuses.is_empty())
    {
        tracing::warn!(
            button = button.name,
            "next_statuses needs [cartoncloud]: a press finds nothing waiting"
        );
    }
    tokio::spawn(forward(rx, config.buttons.clone(), bench, devices, pressed));
    Ok(buttons)
}

fn settings(button: &Button) -> ButtonSettings {
    ButtonSettings {
        name: button.name.clone(),
        at: match (button.gpio, &button.evdev, &button.key) {
            (None, Some(device), key) => ButtonAt::Key {
                device: device.clone(),
                key: key.clone().unwrap_or_default(),
            },
            (pin, _, _) => ButtonAt::Gpio(pin.unwrap_or_default()),
        },
        debounce: button.debounce,
        // Without an act for it, a press counts when the button goes down: no time is lost.
        long: (button.long.act != ButtonAct::None).then_some(button.long.after),
    }
}

async fn forward(
    mut events: mpsc::Receiver<ButtonEvent>,
    buttons: Vec<Button>,
    bench: Bench,
    devices: Devices,
    pressed: Arc<Notify>,
) {
    while let Some(ButtonEvent { button, news }) = events.recv().await {
        let gesture = match news {
            ButtonNews::Found => {
                tracing::info!(button, "button there");
                devices.button(&button, "ready", None);
                continue;
            }
            ButtonNews::Lost { why } => {
                tracing::warn!(button, why, "button missing");
                devices.button(&button, "missing", Some(why));
                continue;
            }
            ButtonNews::Stuck => {
                tracing::warn!(button, "button held for half a minute");
                let why = "it has been held for half a minute: stuck, or a wire touches another";
                devices.button(&button, "stuck", Some(why.to_owned()));
                continue;
            }
            ButtonNews::Did(gesture) => gesture,
        };
        pressed.notify_one();
        let configured = buttons.iter().find(|b| b.name == button);
        let act = configured.map(|b| match gesture {
            Gesture::Press => b.press,
            Gesture::Long => b.long.act,
        });
        tracing::info!(button, ?gesture, ?act, "pressed");
        let Some(press) = act.and_then(press) else {
            continue;
        };
        // Nobody waits for the answer: lights, page and paper tell it.
        if bench.ask(Request::Press { button, press }).await.is_err() {
            return;
        }
    }
}

fn press(act: ButtonAct) -> Option<Press> {
    Some(match act {
        ButtonAct::Dispatch => Press::Dispatch,
        ButtonAct::ReprintLast => Press::ReprintLast,
        ButtonAct::Yes => Press::Yes,
        ButtonAct::Cancel => Press::Cancel,
        ButtonAct::Pause => Press::Pause,
        ButtonAct::Test => Press::Test,
        ButtonAct::PrintNext => Press::Next,
        ButtonAct::None => return None,
    })
}
