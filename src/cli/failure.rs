//! Why a command could not be carried out, for a person.

use std::error::Error;
use std::fmt;
use std::io::Write as _;

/// What was tried, and why it did not work.
#[derive(Debug)]
pub struct Failure {
    what: String,
    cause: Option<Box<dyn Error + Send + Sync>>,
    exit: u8,
}

impl Failure {
    /// Something outside refused.
    pub fn cannot(what: String, cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            what,
            cause: Some(Box::new(cause)),
            exit: 1,
        }
    }

    /// Something of ours went wrong.
    pub fn internal(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            cause: None,
            exit: 1,
        }
    }
}

impl Failure {
    /// With another exit code than 1 (product.md section 5).
    pub fn with_exit(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    /// Says it on standard error; the exit code.
    pub fn tell(&self) -> std::process::ExitCode {
        let text = format!("printstation: {self}\n");
        if std::io::stderr().write_all(text.as_bytes()).is_err() {
            tracing::debug!("standard error is closed");
        }
        std::process::ExitCode::from(self.exit)
    }

    /// The exit code.
    pub fn exit(&self) -> u8 {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        let mut cause: Option<&(dyn Error + 'static)> = self
            .cause
            .as_ref()
            .map(|cause| -> &(dyn Error + 'static) { cause.as_ref() });
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for Failure {}
