//! Taking typed values out of a configuration tree, collecting every problem on the way.
//!
//! A [`Section`] remembers which keys were asked for. What is left over is unknown, and is reported
//! with the nearest right key: the schema is therefore written once, as the code that reads it.
//! A value that is wrong is reported and its default taken, so that one run finds all mistakes.
//! Long because there is one reader for each kind of value.

use crate::config::raw::{Node, Place, Problem, Severity, Table, Value};
use crate::config::secret::SecretRef;
use crate::config::suggest::nearest;
use crate::config::values::{Loopback, Media, Pattern};
use crate::config::words::Word;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// What to do about keys that this version does not know (contract 28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// They are errors: `config check` and a first start.
    Strict,
    /// They are warned about: trial, rollback, or a file of a newer version.
    Lenient,
}

/// Where problems are collected.
pub(crate) struct Report {
    pub problems: RefCell<Vec<Problem>>,
    pub strictness: Strictness,
}

impl Report {
    pub(crate) fn add(&self, severity: Severity, at: &Place, key: &str, message: String) {
        self.problems.borrow_mut().push(Problem {
            file: at.file.to_string(),
            line: at.line,
            key: key.to_owned(),
            severity,
            message,
        });
    }
}

/// One table of the configuration being read.
pub(crate) struct Section<'a> {
    report: &'a Report,
    table: Option<&'a Table>,
    /// Where the table starts; for keys that are missing.
    at: Place,
    path: String,
    asked: Vec<&'static str>,
    /// The keys are the user's own names: none is unknown.
    open: bool,
}

impl<'a> Section<'a> {
    /// Reads the whole file.
    pub(crate) fn root<T>(
        report: &'a Report,
        table: &'a Table,
        file: &str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        Section::over(
            report,
            Some(table),
            Place {
                file: Arc::from(file),
                line: 0,
            },
            String::new(),
            read,
        )
    }

    fn over<T>(
        report: &'a Report,
        table: Option<&'a Table>,
        at: Place,
        path: String,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        let mut section = Section {
            report,
            table,
            at,
            path,
            asked: Vec::new(),
            open: false,
        };
        let read = read(&mut section);
        section.report_unknown();
        read
    }

    fn report_unknown(&self) {
        let Some(table) = self.table.filter(|_| !self.open) else {
            return;
        };
        for (key, (at, _)) in table {
            if self.asked.contains(&key.as_str()) {
                continue;
            }
            let message = match nearest(key, self.asked.iter().copied()) {
                Some(right) => format!("unknown key; did you mean `{right}`?"),
                None => format!("unknown key; known here: {}", self.asked.join(", ")),
            };
            let severity = match self.report.strictness {
                Strictness::Strict => Severity::Error,
                Strictness::Lenient => Severity::Warning,
            };
            self.report.add(severity, at, &self.key(key), message);
        }
    }

    /// The full name of a key.
    pub(crate) fn key(&self, key: &str) -> String {
        match (self.path.is_empty(), key.is_empty()) {
            (true, _) => key.to_owned(),
            (_, true) => self.path.clone(),
            _ => format!("{}.{key}", self.path),
        }
    }

    fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        self.table?.get(key).map(|(_, node)| node)
    }

    /// The key is written in the file.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|t| t.contains_key(key))
    }

    /// The key is written as a list.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        let node = self.table.and_then(|t| t.get(key)).map(|(_, node)| node);
        node.is_some_and(|n| matches!(n.value, Value::List(_)))
    }

    /// Reports an error at the value of `key`, or at the section when it is not written.
    pub(crate) fn error(&self, key: &str, message: impl Into<String>) {
        self.problem(Severity::Error, key, message.into());
    }

    /// Reports a warning likewise.
    pub(crate) fn warn(&self, key: &str, message: impl Into<String>) {
        self.problem(Severity::Warning, key, message.into());
    }

    fn problem(&self, severity: Severity, key: &str, message: String) {
        let at = self
            .table
            .and_then(|t| t.get(key))
            .map_or(&self.at, |(_, node)| &node.at);
        self.report.add(severity, at, &self.key(key), message);
    }

    fn wrong_type(&self, key: &str, node: &Node, wanted: &str) {
        self.error(
            key,
            format!("wants {wanted}, and this is {}", node.value.kind()),
        );
    }

    /// Text, when written. Empty text counts as not written.
    pub(crate) fn opt_text(&mut self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        match &node.value {
            Value::Text(text) if text.is_empty() => None,
            Value::Text(text) => Some(text.clone()),
            _ => {
                self.wrong_type(key, node, "text");
                None
            }
        }
    }

    /// Text with a default.
    pub(crate) fn text(&mut self, key: &'static str, default: &str) -> String {
        self.opt_text(key).unwrap_or_else(|| default.to_owned())
    }

    /// A name: `[A-Za-z0-9_.-]{1,32}`.
    pub(crate) fn name(&mut self, key: &'static str, default: Option<&str>) -> String {
        match (self.opt_text(key), default) {
            (Some(name), _) => {
                if !is_name(&name) {
                    self.error(
                        key,
                        "a name has 1 to 32 letters, digits, dots, dashes or underscores",
                    );
                }
                name
            }
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                self.error(key, "is missing: every entry here needs a name");
                String::new()
            }
        }
    }

    /// Yes or no.
    pub(crate) fn yes(&mut self, key: &'static str, default: bool) -> bool {
        self.opt_yes(key).unwrap_or(default)
    }

    /// Yes or no, when written.
    pub(crate) fn opt_yes(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        match node.value {
            Value::Bool(yes) => Some(yes),
            _ => {
                self.wrong_type(key, node, "true or false");
                None
            }
        }
    }

    /// A whole number, when written.
    pub(crate) fn opt_int<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display + Copy,
    {
        let node = self.node(key)?;
        let Value::Int(number) = node.value else {
            self.wrong_type(key, node, "a whole number");
            return None;
        };
        match T::try_from(number).ok().filter(|n| range.contains(n)) {
            Some(number) => Some(number),
            None => {
                let (low, high) = (range.start(), range.end());
                self.error(key, format!("{number} is not between {low} and {high}"));
                None
            }
        }
    }

    /// A whole number with a default.
    pub(crate) fn int<T>(&mut self, key: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display + Copy,
    {
        self.opt_int(key, range).unwrap_or(default)
    }

    /// A number, when written; zero and less are refused.
    pub(crate) fn opt_positive(&mut self, key: &'static str) -> Option<f64> {
        let node = self.node(key)?;
        let number = number(&node.value);
        match number {
            Some(n) if n > 0.0 && n <= 100_000.0 => Some(n),
            Some(n) => {
                self.error(key, format!("{n} is not more than 0 and at most 100000"));
                None
            }
            None => {
                self.wrong_type(key, node, "a number");
                None
            }
        }
    }

    /// A duration with a default.
    pub(crate) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(node) = self.node(key) else {
            return default;
        };
        let parsed = match &node.value {
            Value::Text(text) => crate::domain::time::parse_duration(text),
            _ => None,
        };
        match parsed {
            Some(span) if range.contains(&span) => span,
            Some(_) => {
                let show = crate::domain::time::show_duration;
                self.error(
                    key,
                    format!(
                        "is not between {} and {}",
                        show(*range.start()),
                        show(*range.end())
                    ),
                );
                default
            }
            None => {
                self.error(
                    key,
                    "wants a duration: text with a unit, such as \"1500ms\", \"30s\", \"5m\", \"2h\" or \"30d\"",
                );
                default
            }
        }
    }

    /// One of the words of `T`.
    pub(crate) fn word<T: Word>(&mut self, key: &'static str, default: T) -> T {
        self.opt_word(key).unwrap_or(default)
    }

    /// One of the words of `T`, when written.
    pub(crate) fn opt_word<T: Word>(&mut self, key: &'static str) -> Option<T> {
        let node = self.node(key)?;
        match &node.value {
            Value::Text(text) => self.read_word(key, text),
            _ => {
                self.wrong_type(key, node, &format!("one of {}", all_words::<T>()));
                None
            }
        }
    }

    /// Reads `text` as one of the words of `T`; reports at `key` otherwise.
    pub(crate) fn read_word<T: Word>(&self, key: &str, text: &str) -> Option<T> {
        let found = T::WORDS.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let hint = match nearest(text, T::WORDS.iter().map(|(word, _)| *word)) {
                Some(right) => format!("did you mean \"{right}\"?"),
                None => format!("one of {}", all_words::<T>()),
            };
            self.error(key, format!("unknown value \"{}\"; {hint}", clip(text)));
        }
        found.map(|(_, value)| *value)
    }

    /// A list of texts, when written.
    pub(crate) fn opt_texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let node = self.node(key)?;
        let Value::List(list) = &node.value else {
            self.wrong_type(key, node, "a list of texts");
            return None;
        };
        let mut texts = Vec::with_capacity(list.len());
        for item in list {
            match &item.value {
                Value::Text(text) => texts.push(text.clone()),
                other => self.report.add(
                    Severity::Error,
                    &item.at,
                    &self.key(key),
                    format!("wants a list of texts, and this entry is {}", other.kind()),
                ),
            }
        }
        Some(texts)
    }

    /// A list of texts; empty by default.
    pub(crate) fn texts(&mut self, key: &'static str) -> Vec<String> {
        self.opt_texts(key).unwrap_or_default()
    }

    /// A list of words, when written; repeats are refused.
    pub(crate) fn opt_words<T: Word + PartialEq>(&mut self, key: &'static str) -> Option<Vec<T>> {
        let texts = self.opt_texts(key)?;
        let mut words = Vec::with_capacity(texts.len());
        for text in texts {
            match self.read_word::<T>(key, &text) {
                Some(word) if words.contains(&word) => {
                    self.error(key, format!("\"{text}\" is there twice"));
                }
                Some(word) => words.push(word),
                None => {}
            }
        }
        Some(words)
    }

    /// A list of numbers of a fixed length, when written.
    pub(crate) fn opt_numbers<const N: usize>(&mut self, key: &'static str) -> Option<[f64; N]> {
        let node = self.node(key)?;
        let numbers: Option<Vec<f64>> = match &node.value {
            Value::List(list) => list.iter().map(|item| number(&item.value)).collect(),
            _ => None,
        };
        let array = numbers.and_then(|n| <[f64; N]>::try_from(n).ok());
        if array.is_none() {
            self.error(key, format!("wants a list of {N} numbers"));
        }
        array
    }

    /// An http or https address, when written: no user or password in it, plain http only to this
    /// machine (contract 18) unless `reach` allows it.
    pub(crate) fn opt_url(&mut self, key: &'static str, reach: Loopback) -> Option<String> {
        let text = self.opt_text(key)?;
        match crate::config::units::parse_url(&text, reach) {
            Ok(url) => Some(url),
            Err(why) => {
                self.error(key, why);
                None
            }
        }
    }

    /// An http or https address with a default.
    pub(crate) fn url(&mut self, key: &'static str, default: &str) -> String {
        self.opt_url(key, Loopback::Required)
            .unwrap_or_else(|| default.to_owned())
    }

    /// A regular expression, when written.
    pub(crate) fn opt_pattern(&mut self, key: &'static str) -> Option<Pattern> {
        let text = self.opt_text(key)?;
        self.read_pattern(key, &text, Pattern::search(&text))
    }

    /// Reports a pattern that does not compile.
    pub(crate) fn read_pattern(
        &self,
        key: &str,
        text: &str,
        compiled: Result<Pattern, String>,
    ) -> Option<Pattern> {
        compiled
            .map_err(|why| self.error(key, format!("pattern '{}': {why}", clip(text))))
            .ok()
    }

    /// Media such as `100x150mm` or `4x6in`, with a default.
    pub(crate) fn media(&mut self, key: &'static str, default: Media) -> Media {
        let Some(text) = self.opt_text(key) else {
            return default;
        };
        Media::parse(&text).unwrap_or_else(|| {
            self.error(
                key,
                format!(
                    "\"{}\" is not a label size; write width x height, such as \"100x150mm\" or \"4x6in\"",
                    clip(&text)
                ),
            );
            default
        })
    }

    /// A reference to a secret, when written. The secret itself is never accepted.
    pub(crate) fn opt_secret(&mut self, key: &'static str) -> Option<SecretRef> {
        const FORM: &str =
            "write { credential = \"name\" }, { file = \"/path\" } or { env = \"NAME\" }";
        let node = self.node(key)?;
        let table = match &node.value {
            Value::Table(table) => table,
            Value::Text(_) => {
                self.error(
                    key,
                    format!("a secret is never written in the configuration itself: {FORM}"),
                );
                return None;
            }
            _ => {
                self.wrong_type(key, node, &format!("a reference to a secret: {FORM}"));
                return None;
            }
        };
        let read = |s: &mut Section<'_>| {
            let credential = s.opt_text("credential").map(SecretRef::Credential);
            let file = s.opt_text("file").map(|f| SecretRef::File(f.into()));
            let env = s.opt_text("env").map(SecretRef::Env);
            let mut given = [credential, file, env].into_iter().flatten();
            match (given.next(), given.next()) {
                (Some(reference), None) => match reference.check() {
                    Ok(()) => Some(reference),
                    Err(why) => {
                        s.error("", why);
                        None
                    }
                },
                (None, _) => {
                    s.error("", format!("names no secret: {FORM}"));
                    None
                }
                (Some(_), Some(_)) => {
                    s.error("", format!("names two secrets: {FORM}"));
                    None
                }
            }
        };
        let path = self.key(key);
        Section::over(self.report, Some(table), node.at.clone(), path, read)
    }

    /// A reference to a secret that must be there.
    pub(crate) fn secret(&mut self, key: &'static str) -> SecretRef {
        if !self.has(key) {
            self.error(
                key,
                format!("is missing: write {key} = {{ credential = \"name\" }}"),
            );
        }
        self.opt_secret(key)
            .unwrap_or_else(|| SecretRef::Credential(String::new()))
    }

    /// A table of keys; read with its defaults when it is not written.
    pub(crate) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        let node = self.node(key);
        let at = node.map_or_else(|| self.at.clone(), |n| n.at.clone());
        let table = match node.map(|n| &n.value) {
            Some(Value::Table(table)) => Some(table),
            Some(_) => {
                self.error(key, format!("is a table: write [{}]", self.key(key)));
                None
            }
            None => None,
        };
        let path = self.key(key);
        Section::over(self.report, table, at, path, read)
    }

    /// A table of keys, when written.
    pub(crate) fn opt_section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        if !self.has(key) {
            self.asked.push(key);
            return None;
        }
        Some(self.section(key, read))
    }

    /// A list of tables (`[[key]]`); empty when not written.
    pub(crate) fn list<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> T,
    ) -> Vec<T> {
        let Some(node) = self.node(key) else {
            return Vec::new();
        };
        let Value::List(list) = &node.value else {
            self.error(key, format!("is a list: write [[{}]]", self.key(key)));
            return Vec::new();
        };
        let mut entries = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            let path = format!("{}[{index}]", self.key(key));
            match &item.value {
                Value::Table(table) => entries.push(Section::over(
                    self.report,
                    Some(table),
                    item.at.clone(),
                    path,
                    &mut read,
                )),
                other => self.report.add(
                    Severity::Error,
                    &item.at,
                    &path,
                    format!("wants a table, and this is {}", other.kind()),
                ),
            }
        }
        entries
    }

    /// A table whose keys are the user's own words: every key with its section's reader.
    pub(crate) fn entries(&mut self) -> Vec<(&'a str, &'a Node)> {
        self.open = true;
        self.table
            .into_iter()
            .flatten()
            .map(|(key, (_, node))| (key.as_str(), node))
            .collect()
    }

    /// Reads the table under one of [`Section::entries`].
    pub(crate) fn entry<T>(
        &self,
        key: &str,
        node: &'a Node,
        read: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        match &node.value {
            Value::Table(table) => Some(Section::over(
                self.report,
                Some(table),
                node.at.clone(),
                self.key(key),
                read,
            )),
            _ => {
                self.wrong_type(key, node, "a table");
                None
            }
        }
    }

    /// Text → text with the user's own keys, when written.
    pub(crate) fn opt_text_map(
        &mut self,
        key: &'static str,
    ) -> Option<std::collections::BTreeMap<String, String>> {
        self.opt_section(key, |s| {
            let mut map = std::collections::BTreeMap::new();
            for (name, node) in s.entries() {
                match &node.value {
                    Value::Text(text) => {
                        map.insert(name.to_owned(), text.clone());
                    }
                    _ => s.wrong_type(name, node, "text"),
                }
            }
            map
        })
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(n) => Some(*n),
        Value::Int(n) => i32::try_from(*n).ok().map(f64::from),
        _ => None,
    }
}

fn all_words<T: Word>() -> String {
    let words: Vec<String> = T::WORDS.iter().map(|(w, _)| format!("\"{w}\"")).collect();
    words.join(", ")
}

/// The form of every name in the configuration.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// Enough of a wrong value to recognise it by.
pub(crate) fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(60).collect();
    if clipped.len() < text.len() {
        clipped.push('…');
    }
    clipped.escape_debug().to_string()
}
