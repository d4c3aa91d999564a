//! A passphrase from a file, standard input, the environment or a person at the terminal.

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret as _, SecretString};
use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;

/// Where scheduled runs give it.
pub const VARIABLE: &str = "PRINTSTATION_PASSPHRASE";
/// Longest line that is read.
const LONGEST: u64 = 4096;

/// Where it comes from.
#[derive(Clone, Copy, Debug)]
pub enum From<'a> {
    /// First line of a file; `-` is standard input.
    File(&'a Path),
    /// [`VARIABLE`], else the terminal; `twice` where a slip of the finger would cost everything.
    EnvironmentOrTerminal {
        /// Ask for it a second time.
        twice: bool,
    },
}

/// Reads it.
///
/// # Errors
/// Nothing there, no terminal, or two different answers.
pub fn read(from: &From<'_>) -> io::Result<SecretString> {
    let secret = match from {
        From::File(path) if path.as_os_str() == "-" => line(io::stdin().lock())?,
        From::File(path) => line(BufReader::new(std::fs::File::open(path)?))?,
        From::EnvironmentOrTerminal { twice } => match std::env::var(VARIABLE) {
            Ok(value) => value.into(),
            Err(_) => at_the_terminal(*twice)?,
        },
    };
    if secret.expose_secret().is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is empty"));
    }
    Ok(secret)
}

fn line(reader: impl io::BufRead) -> io::Result<SecretString> {
    let mut text = String::new();
    reader.take(LONGEST).read_line(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

fn at_the_terminal(twice: bool) -> io::Result<SecretString> {
    let first = typed("Passphrase: ")?;
    if twice && typed("Once more: ")?.expose_secret() != first.expose_secret() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "these were two different ones",
        ));
    }
    Ok(first)
}

/// Asks without showing what is typed.
fn typed(question: &str) -> io::Result<SecretString> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(question.as_bytes())?;
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let answer = line(BufReader::new(&terminal));
    // Whatever happened, the terminal is a person's again.
    tcsetattr(&terminal, OptionalActions::Now, &before)?;
    terminal.write_all(b"\n")?;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::durable;

    #[test]
    fn the_first_line_of_a_file_without_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        durable::replace(&path, b"").unwrap();
        assert!(read(&From::File(&path)).is_err());
        durable::replace(&path, b" four words in a row \r\nsecond").unwrap();
        let secret = read(&From::File(&path)).unwrap();
        assert_eq!(secret.expose_secret(), " four words in a row ");
    }
}
