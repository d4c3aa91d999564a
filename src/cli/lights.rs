//! `printstation lights off`: for `ExecStopPost=`, when the service could not do it itself.

use super::Failure;
use crate::config::{self, Request, Strictness};
use crate::runtime::lights_off;
use crate::system::gpio;
use std::process::ExitCode;

pub(super) fn off(place: &Request) -> Result<ExitCode, Failure> {
    // A mistake elsewhere in the file is no reason to leave a buzzer on.
    let lenient = Request {
        strictness: Strictness::Lenient,
        ..place.clone()
    };
    let Some(config) = config::load(&lenient).config else {
        return Err(
            Failure::internal("the configuration cannot be read; no output is known").with_exit(78),
        );
    };
    lights_off(&config, gpio::outputs).map_err(|errors| {
        let why: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::internal(format!(
            "not every output could be switched off: {}",
            why.join("; ")
        ))
    })?;
    Ok(ExitCode::SUCCESS)
}
