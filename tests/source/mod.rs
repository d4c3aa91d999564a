//! Reads Rust files as far as the house rules need: what is code, what is a test, which paths it names.
//!
//! Not a parser: comments, strings and test items are blanked (offsets and lines stay), the rest is
//! read as tokens. That is enough for paths and calls, and it needs no dependency.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

/// One file of `src`, with and without what is not production code.
#[derive(Debug)]
pub struct Source {
    /// From `src`, with `/`, e.g. `label/worker/mod.rs`.
    pub path: String,
    /// As it stands on disk.
    pub text: String,
    /// The same length: comments, texts and test items are spaces.
    pub code: String,
    /// Files that only tests compile, relative to `src`.
    test_files: Vec<String>,
}

/// A path in code, e.g. `crate::domain::Code`, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// At least the root and, where one follows, the next segment.
    pub segments: Vec<String>,
    /// From 1.
    pub line: usize,
}

/// A token: a word (identifier, keyword, number) or one character.
#[derive(Clone, Debug)]
pub struct Token<'a> {
    /// Its text.
    pub text: &'a str,
    /// Byte offset.
    pub at: usize,
}

/// Every file that the program is made of: `src` without files that only tests compile.
pub fn production() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no sources under {}", root.display());
    let sources: Vec<Source> = files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
            Source::new(path, &text)
        })
        .collect();
    let tests: BTreeSet<String> = sources
        .iter()
        .flat_map(|s| s.test_files.iter().cloned())
        .collect();
    sources
        .into_iter()
        .filter(|s| !tests.contains(&s.path))
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

impl Source {
    /// Reads the text of `path` (relative to `src`).
    pub fn new(path: &str, text: &str) -> Self {
        let mut code = blank_comments_and_texts(text);
        let mut test_files = Vec::new();
        for item in attributed(&code, |words| {
            words.starts_with(&["cfg", "test"]) || words.starts_with(&["cfg", "all", "test"])
        }) {
            test_files.extend(test_modules(path, text, &code, &item));
            blank(&mut code, item);
        }
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            test_files,
        }
    }

    /// The folder directly under `src`, or the file's own name for files that lie there.
    pub fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Line of a byte offset, from 1.
    pub fn line(&self, at: usize) -> usize {
        self.text.as_bytes()[..at]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
            + 1
    }

    /// Every path in the code, `use` trees spread out. `super::` that leaves the room is `crate::`.
    pub fn paths(&self) -> Vec<Named> {
        let tokens = tokens(&self.code);
        let mut found = Vec::new();
        let mut i = 0;
        while i < tokens.len() {
            let root = is_word(&tokens[i])
                && !follows_colons(&tokens, i)
                && followed_by_colons(&tokens, i);
            // `use {crate::a, std::b};`: the group without a root.
            let bare_group = tokens[i].text == "{" && i > 0 && tokens[i - 1].text == "use";
            if root || bare_group {
                i = self.tree(&tokens, i, &[], &mut found);
            } else {
                i += 1;
            }
        }
        let depth = self.depth();
        for named in &mut found {
            let ups = named.segments.iter().take_while(|s| *s == "super").count();
            if ups >= depth && named.segments.len() > ups {
                named.segments.splice(..ups, ["crate".to_owned()]);
            }
        }
        found
    }

    /// One use tree or path beginning at token `i`; returns the token after it.
    fn tree(
        &self,
        tokens: &[Token<'_>],
        mut i: usize,
        prefix: &[String],
        found: &mut Vec<Named>,
    ) -> usize {
        let mut segments = prefix.to_vec();
        let line = tokens.get(i).map_or(0, |t| self.line(t.at));
        loop {
            match tokens.get(i).map(|t| t.text) {
                Some("{") => {
                    i += 1;
                    while let Some(token) = tokens.get(i) {
                        match token.text {
                            "}" => return i + 1,
                            "," => i += 1,
                            _ => i = self.tree(tokens, i, &segments, found).max(i + 1),
                        }
                    }
                    return i;
                }
                Some(text) if is_word(&tokens[i]) || text == "*" => {
                    segments.push(text.to_owned());
                    i += 1;
                    if followed_by_colons(tokens, i.wrapping_sub(1)) {
                        i += 2;
                        continue;
                    }
                    if tokens.get(i).is_some_and(|t| t.text == "as") {
                        i += 2;
                    }
                }
                _ => {}
            }
            found.push(Named { segments, line });
            return i;
        }
    }

    /// How many modules deep the file is: 1 for a room's `mod.rs`. Inline modules are not counted:
    /// `super` inside one looks as if it left the file, which errs on the strict side.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") || !self.path.contains('/') {
            (parts - 1).max(1)
        } else {
            parts
        }
    }

    /// Code without the items and statements that carry `#[expect(...)]` of one of these lints.
    pub fn without_expected(&self, lints: &[&str]) -> String {
        let mut code = self.code.clone();
        for item in attributed(&self.code, |words| {
            words.first() == Some(&"expect") && words.iter().any(|w| lints.contains(w))
        }) {
            blank(&mut code, item);
        }
        code
    }
}

/// Spaces in place of `range`, line ends kept.
fn blank(code: &mut String, range: Range<usize>) {
    let spaces: String = code[range.clone()]
        .bytes()
        .map(|b| if b == b'\n' { '\n' } else { ' ' })
        .collect();
    code.replace_range(range, &spaces);
}

/// Comments and the insides of texts and characters as spaces; bytes keep their places.
fn blank_comments_and_texts(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut i = 0;
    while i < bytes.len() {
        let rest = &bytes[i..];
        let end = if rest.starts_with(b"//") {
            i + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            i + block_comment(rest)
        } else if rest[0] == b'"' {
            i + quoted(rest)
        } else if let Some(length) = raw_text(rest, i.checked_sub(1).map(|p| bytes[p])) {
            i + length
        } else if rest[0] == b'\'' {
            i + character(rest)
        } else {
            i += 1;
            continue;
        };
        for byte in &mut out[i..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        i = end;
    }
    String::from_utf8(out).unwrap()
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut i) = (0usize, 0);
    while i < rest.len() {
        if rest[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if rest[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8]) -> usize {
    let mut i = 1;
    while i < rest.len() {
        match rest[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    rest.len()
}

/// Length of `r"…"`, `r#"…"#`, `br"…"` and the like.
fn raw_text(rest: &[u8], before: Option<u8>) -> Option<usize> {
    if before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let mut i = usize::from(matches!(rest[0], b'b' | b'c'));
    if rest.get(i) != Some(&b'r') {
        return None;
    }
    i += 1;
    let hashes = rest[i..].iter().take_while(|b| **b == b'#').count();
    i += hashes;
    if rest.get(i) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let found = rest[i + 1..]
        .windows(close.len())
        .position(|w| w == close)?;
    Some(i + 1 + found + close.len())
}

/// Length of a character; 1 for the tick of a lifetime.
fn character(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        // The escaped character itself may be a tick.
        let close = rest.iter().skip(3).position(|b| *b == b'\'');
        return close.map_or(1, |c| c + 4);
    }
    let width = match rest.get(1) {
        Some(b) if *b >= 0xF0 => 4,
        Some(b) if *b >= 0xE0 => 3,
        Some(b) if *b >= 0xC0 => 2,
        _ => 1,
    };
    if rest.get(1 + width) == Some(&b'\'') {
        width + 2
    } else {
        1
    }
}

/// Words and single characters, spaces skipped.
pub fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut chars = code.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c.is_whitespace() {
            continue;
        }
        let mut end = at + c.len_utf8();
        if c.is_alphanumeric() || c == '_' {
            while let Some((next, c)) = chars.peek().copied() {
                if !(c.is_alphanumeric() || c == '_') {
                    break;
                }
                end = next + c.len_utf8();
                chars.next();
            }
        }
        tokens.push(Token {
            text: &code[at..end],
            at,
        });
    }
    tokens
}

fn is_word(token: &Token<'_>) -> bool {
    token
        .text
        .starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn followed_by_colons(tokens: &[Token<'_>], i: usize) -> bool {
    matches!((tokens.get(i + 1), tokens.get(i + 2)), (Some(a), Some(b))
        if a.text == ":" && b.text == ":" && b.at == a.at + 1)
}

fn follows_colons(tokens: &[Token<'_>], i: usize) -> bool {
    i >= 2 && tokens[i - 1].text == ":" && tokens[i - 2].text == ":"
}

/// Ranges (attribute included) of what carries an outer attribute that `wanted` accepts by its words.
fn attributed(code: &str, wanted: impl Fn(&[&str]) -> bool) -> Vec<Range<usize>> {
    let tokens = tokens(code);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        let Some(after) = attribute_end(&tokens, i) else {
            i += 1;
            continue;
        };
        let words: Vec<&str> = tokens[i..after]
            .iter()
            .filter(|t| is_word(t))
            .map(|t| t.text)
            .collect();
        if !wanted(&words) {
            i = after;
            continue;
        }
        let end = item_end(&tokens, after);
        let stop = tokens
            .get(end.saturating_sub(1))
            .map_or(code.len(), |t| t.at + t.text.len());
        ranges.push(tokens[i].at..stop);
        i = end.max(after);
    }
    ranges
}

/// The token after `#[…]` at `i`.
fn attribute_end(tokens: &[Token<'_>], i: usize) -> Option<usize> {
    if tokens[i].text != "#" || tokens.get(i + 1)?.text != "[" {
        return None;
    }
    let mut depth = 0usize;
    for (n, token) in tokens.iter().enumerate().skip(i + 1) {
        match token.text {
            "[" => depth += 1,
            "]" => {
                depth -= 1;
                if depth == 0 {
                    return Some(n + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The token after the item, statement, arm or field that begins at `i`.
fn item_end(tokens: &[Token<'_>], mut i: usize) -> usize {
    const ITEMS: [&str; 14] = [
        "pub", "fn", "impl", "struct", "mod", "const", "static", "enum", "trait", "use", "async",
        "unsafe", "type", "extern",
    ];
    while let Some(after) = tokens.get(i).and_then(|_| attribute_end(tokens, i)) {
        i = after;
    }
    let first = tokens.get(i).map_or("", |t| t.text);
    let (item, block) = (ITEMS.contains(&first), first != "let");
    let mut depth = 0usize;
    while let Some(token) = tokens.get(i) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return i,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 && item && block {
                    return i + 1;
                }
            }
            ";" if depth == 0 => return i + 1,
            "," if depth == 0 && !item => return i + 1,
            _ => {}
        }
        i += 1;
    }
    i
}

/// Files of the `mod name;` items in a test range.
fn test_modules(path: &str, text: &str, code: &str, item: &Range<usize>) -> Option<String> {
    let body = &code[item.clone()];
    let tokens = tokens(body);
    let at = tokens.iter().position(|t| t.text == "mod")?;
    let name = tokens.get(at + 1)?.text;
    if tokens.get(at + 2)?.text != ";" {
        return None;
    }
    let folder = Path::new(path).parent()?;
    let original = &text[item.clone()];
    if let Some(given) = original.split("path = \"").nth(1) {
        let given = given.split('"').next()?;
        return Some(normal(&folder.join(given)));
    }
    let stem = Path::new(path).file_stem()?.to_str()?;
    let folder = if matches!(stem, "mod" | "lib" | "main") {
        folder.to_owned()
    } else {
        folder.join(stem)
    };
    Some(normal(&folder.join(format!("{name}.rs"))))
}

fn normal(path: &Path) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(parts.pop()),
            Component::Normal(part) => parts.push(part.to_str().unwrap()),
            _ => {}
        }
    }
    parts.join("/")
}
