//! Words on the terminal: lines, colours, tables. Text from outside is shown without control
//! characters.

use super::Failure;
use std::io::{IsTerminal as _, Write as _};

/// What a line is about, shown as a colour where there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Look,
    Bad,
    Quiet,
    Strong,
}

/// One line to standard output; a reader that has gone away ends nothing.
pub(super) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        tracing::debug!("standard output is closed");
    }
}

/// A document on one line.
pub(super) fn document(document: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(document)
        .map_err(|cause| Failure::cannot("this cannot be said as JSON".to_owned(), cause))?;
    line(&text);
    Ok(())
}

/// Whether standard output is somebody's screen.
pub(super) fn is_screen() -> bool {
    std::io::stdout().is_terminal()
}

/// Columns of the screen; none where nobody looks, so that a file or a pipe gets whole lines.
fn columns() -> Option<usize> {
    if !is_screen() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns >= 40)
}

/// A long text in lines that fit on the screen beside `indent` columns, broken between words.
pub(super) fn fitted(text: &str, indent: usize) -> Vec<String> {
    match columns() {
        Some(columns) => wrapped(text, columns.saturating_sub(indent).max(20)),
        None => vec![text.to_owned()],
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text in its tone.
pub(super) fn tone(tone: Tone, text: &str) -> String {
    if !is_screen() || std::env::var_os("NO_COLOR").is_some() {
        return text.to_owned();
    }
    let code = match tone {
        Tone::Good => "32",
        Tone::Look => "33",
        Tone::Bad => "31",
        Tone::Quiet => "2",
        Tone::Strong => "1",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Text from outside: a control character could move the cursor or colour the screen.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// A JSON member as text; nothing for null.
pub(super) fn member(document: &serde_json::Value, name: &str) -> String {
    match &document[name] {
        serde_json::Value::String(text) => plain(text),
        serde_json::Value::Null => String::new(),
        other => plain(&other.to_string()),
    }
}

/// Rows under a head, columns as wide as needed.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let show = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    line(&tone(Tone::Quiet, &show(head.to_vec())));
    for row in rows {
        line(&show(row.iter().map(String::as_str).collect()));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn long_texts_break_between_words_and_long_words_stay_whole() {
        assert_eq!(super::wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(
            super::wrapped("a 1234567890 b", 5),
            ["a", "1234567890", "b"]
        );
        assert_eq!(super::wrapped("", 5), [""]);
    }

    #[test]
    fn text_from_outside_cannot_command_the_terminal() {
        assert_eq!(
            super::plain("a\u{1b}[31mb\r\nc"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}c"
        );
    }
}
