//! Configuration files as one tree in which every key and value knows its file and line.
//!
//! `site.toml` is read first, the bench's own file over it: tables are merged key by key; lists of
//! tables are joined (entries with the same `name` are merged, the bench's own come first, so its
//! routes win); any other value of the bench replaces the site's. What keys exist and what their
//! values mean is [`crate::config::schema`]'s affair.

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// Longest configuration file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// Deepest nesting that is followed; the schema needs five.
const MAX_DEPTH: usize = 16;

/// Where something stands in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// File as it was named.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The station does not start with it.
    Error,
    /// It starts; somebody should look.
    Warning,
}

/// Something wrong in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// File as it was named on the command line.
    pub file: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// The key, e.g. `printers.label.threshold`; empty when the file is meant.
    pub key: String,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong and what would be right.
    pub message: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub at: Place,
    pub value: Value,
}

/// TOML's values, dates excepted (no key takes one).
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// A date, or a number beyond its range.
    Other(&'static str),
}

/// Keys with the place of the key and its value.
pub(crate) type Table = BTreeMap<String, (Place, Node)>;

impl Value {
    /// The kind of value, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "true/false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

/// Reads one file's text. Every syntax error is reported; what could be read is returned too, so
/// that one run names as many mistakes as possible.
pub(crate) fn parse(file: &str, text: &str) -> (Table, Vec<Problem>) {
    let file: Arc<str> = file.into();
    let lines = Lines::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    let problems = errors
        .iter()
        .map(|error| Problem {
            file: file.to_string(),
            line: error.span().map_or(0, |span| lines.at(span.start)),
            key: String::new(),
            severity: Severity::Error,
            message: error.message().to_owned(),
        })
        .collect();
    let reader = Reader { file, lines };
    (reader.table(root.get_ref(), 0), problems)
}

struct Reader {
    file: Arc<str>,
    lines: Lines,
}

impl Reader {
    fn place(&self, offset: usize) -> Place {
        Place {
            file: self.file.clone(),
            line: self.lines.at(offset),
        }
    }

    fn table(&self, table: &DeTable<'_>, depth: usize) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let at = self.place(key.span().start);
                let node = Node {
                    at: at.clone(),
                    value: self.value(value.get_ref(), depth + 1),
                };
                (key.get_ref().to_string(), (at, node))
            })
            .collect()
    }

    fn value(&self, value: &DeValue<'_>, depth: usize) -> Value {
        if depth > MAX_DEPTH {
            return Value::Other("nested too deeply");
        }
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Other("too large a number"), Value::Int),
            DeValue::Float(number) => number
                .as_str()
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .map_or(Value::Other("not a finite number"), Value::Float),
            DeValue::Boolean(yes) => Value::Bool(*yes),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(list) => Value::List(
                list.iter()
                    .map(|item| Node {
                        at: self.place(item.span().start),
                        value: self.value(item.get_ref(), depth + 1),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, depth)),
        }
    }
}

/// Byte offsets to line numbers.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { starts }
    }

    fn at(&self, offset: usize) -> u32 {
        u32::try_from(self.starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }
}

/// Lays the bench's own file over the site's.
pub(crate) fn merge(site: Table, bench: Table) -> Table {
    let mut merged = site;
    for (key, (at, node)) in bench {
        let node = match (merged.remove(&key).map(|(_, site)| site.value), node.value) {
            (Some(Value::Table(site)), Value::Table(own)) => Node {
                at: node.at,
                value: Value::Table(if is_secret(&own) {
                    own
                } else {
                    merge(site, own)
                }),
            },
            (Some(Value::List(site)), Value::List(own)) if of_tables(&site) && of_tables(&own) => {
                Node {
                    at: node.at,
                    value: Value::List(join(site, own)),
                }
            }
            (_, value) => Node { at: node.at, value },
        };
        merged.insert(key, (at, node));
    }
    merged
}

/// A reference to a secret is one value: `{ env = .. }` over `{ file = .. }` must not become both.
fn is_secret(table: &Table) -> bool {
    ["credential", "file", "env"]
        .iter()
        .any(|word| table.contains_key(*word))
}

fn of_tables(list: &[Node]) -> bool {
    !list.is_empty() && list.iter().all(|n| matches!(n.value, Value::Table(_)))
}

fn join(mut site: Vec<Node>, own: Vec<Node>) -> Vec<Node> {
    let mut joined = Vec::with_capacity(site.len() + own.len());
    for node in own {
        let twin = name_of(&node)
            .and_then(|name| site.iter().position(|s| name_of(s) == Some(name)))
            .map(|at| site.remove(at));
        joined.push(match (twin.map(|t| t.value), node.value) {
            (Some(Value::Table(theirs)), Value::Table(ours)) => Node {
                at: node.at,
                value: Value::Table(merge(theirs, ours)),
            },
            (_, value) => Node { at: node.at, value },
        });
    }
    joined.extend(site);
    joined
}

fn name_of(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Table(table) => match &table.get("name")?.1.value {
            Value::Text(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<'a>(table: &'a Table, key: &str) -> &'a str {
        match &table[key].1.value {
            Value::Text(text) => text,
            other => panic!("{key} is {}", other.kind()),
        }
    }

    #[test]
    fn several_syntax_errors_are_all_reported_with_their_lines() {
        let (_, problems) = parse("f.toml", "a = 1\nb = \nc = \"x\"\nd = [1, \ne = @\n");
        let lines: Vec<u32> = problems.iter().map(|p| p.line).collect();
        assert!(lines.contains(&2) && lines.len() >= 2, "{problems:?}");
    }

    #[test]
    fn deep_nesting_is_cut_off_and_does_not_crash() {
        let (_, problems) = parse("f", &format!("a = {}", "[".repeat(50_000)));
        assert!(!problems.is_empty());
        let (table, _) = parse("f", &format!("a = {}1{}", "[".repeat(60), "]".repeat(60)));
        assert_eq!(table["a"].1.value.kind(), "a list");
    }

    #[test]
    fn the_bench_wins_over_the_site_key_by_key() {
        let (site, _) = parse("site.toml", "[web]\nlisten = 'a'\nx = 'site'");
        let (own, _) = parse("config.toml", "\n[web]\nlisten = 'b'");
        let merged = merge(site, own);
        let Value::Table(web) = &merged["web"].1.value else {
            panic!("web is a table")
        };
        assert_eq!((text(web, "listen"), text(web, "x")), ("b", "site"));
        assert_eq!(&*web["x"].0.file, "site.toml");
        assert_eq!(
            (&*web["listen"].0.file, web["listen"].0.line),
            ("config.toml", 3)
        );
    }

    #[test]
    fn named_entries_are_merged_and_the_benchs_own_come_first() {
        let (site, _) = parse(
            "s",
            "[[printers]]\nname='office'\n[[printers]]\nname='label'\ndpi=203\nmedia='m'",
        );
        let (own, _) = parse("c", "[[printers]]\nname='label'\ndpi=300");
        let merged = merge(site, own);
        let Value::List(list) = &merged["printers"].1.value else {
            panic!("printers is a list")
        };
        let names: Vec<_> = list.iter().map(|n| name_of(n).unwrap()).collect();
        assert_eq!(names, ["label", "office"]);
        let Value::Table(label) = &list[0].value else {
            panic!("a printer is a table")
        };
        assert_eq!(text(label, "media"), "m");
        assert!(matches!(label["dpi"].1.value, Value::Int(300)));
    }

    #[test]
    fn a_reference_to_a_secret_is_replaced_as_a_whole() {
        let (site, _) = parse("s", "token = { credential = 'a' }");
        let (own, _) = parse("c", "token = { env = 'B' }");
        let Value::Table(token) = &merge(site, own)["token"].1.value.clone() else {
            panic!("token is a table")
        };
        assert_eq!(token.keys().collect::<Vec<_>>(), ["env"]);
    }
}
