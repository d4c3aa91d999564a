//! As much GraphQL as a client of this API writes: one operation, variables, nested selections.
//!
//! The text is parsed, not searched: what is selected is what is answered, and a field that does
//! not exist is an error. Fragments and directives are refused by name.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Levels of selections and of values; deeper documents are refused.
const DEPTH: usize = 24;

/// The operation to run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) mutation: bool,
    pub(crate) fields: Vec<Field>,
}

/// A selected field with its arguments, variables filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    /// The name in the answer.
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) arguments: BTreeMap<String, Value>,
    pub(crate) fields: Vec<Field>,
}

impl Field {
    pub(crate) fn text(&self, argument: &str) -> Option<&str> {
        self.arguments.get(argument).and_then(Value::as_str)
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Number(String),
    Variable(String),
    Mark(char),
    Spread,
}

/// Reads `query` with its `variables`.
pub(crate) fn read(
    query: &str,
    variables: &Value,
    name: Option<&str>,
) -> Result<Operation, String> {
    let tokens = tokens(query)?;
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        given: variables,
        variables: Map::new(),
    };
    let mut found = None;
    while reader.at < tokens.len() {
        let (called, operation) = reader.operation()?;
        if name.is_none_or(|n| called.as_deref() == Some(n)) && found.replace(operation).is_some() {
            return Err("An operation name is required".into());
        }
    }
    found.ok_or_else(|| match name {
        Some(name) => format!("No operation named \"{name}\""),
        None => "No operation".into(),
    })
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            text[..end.unwrap_or(text.len())].to_owned()
        };
        let (token, used) = match c {
            c if c.is_whitespace() || c == ',' || c == '\u{feff}' => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '#' => {
                rest = rest.find('\n').map_or("", |end| &rest[end..]);
                continue;
            }
            '.' if rest.starts_with("...") => (Token::Spread, 3),
            '$' => {
                let name = word(&rest[1..]);
                let used = name.len() + 1;
                (Token::Variable(name), used)
            }
            '"' => {
                let end = closing(&rest[1..]).ok_or("an unfinished string")?;
                let text = &rest[..end + 2];
                let read = serde_json::from_str(text).map_err(|e| e.to_string())?;
                (Token::Text(read), text.len())
            }
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '!' | '=' | '@' | '|' | '&' => {
                (Token::Mark(c), 1)
            }
            c if c.is_ascii_digit() || c == '-' => {
                let end = rest[1..].find(|c: char| {
                    !c.is_ascii_digit() && !matches!(c, '.' | 'e' | 'E' | '+' | '-')
                });
                let number = &rest[..end.map_or(rest.len(), |e| e + 1)];
                (Token::Number(number.to_owned()), number.len())
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let name = word(rest);
                let used = name.len();
                (Token::Name(name), used)
            }
            other => return Err(format!("Parse error on \"{other}\"")),
        };
        tokens.push(token);
        rest = &rest[used..];
    }
    Ok(tokens)
}

/// Where the quote is that ends a string.
fn closing(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(at),
            _ => {}
        }
    }
    None
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    given: &'a Value,
    variables: Map<String, Value>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, mark: char) -> bool {
        let there = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(there);
        there
    }

    fn want(&mut self, mark: char) -> Result<(), String> {
        match self.takes(mark) {
            true => Ok(()),
            false => Err(format!(
                "Parse error: '{mark}' expected, found {:?}",
                self.peek()
            )),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            other => Err(format!("Parse error: a name expected, found {other:?}")),
        }
    }

    fn operation(&mut self) -> Result<(Option<String>, Operation), String> {
        let mut mutation = false;
        let mut called = None;
        self.variables.clear();
        if let Some(Token::Name(kind)) = self.peek() {
            mutation = match kind.as_str() {
                "query" => false,
                "mutation" => true,
                other => {
                    return Err(format!(
                        "'{other}' is more GraphQL than the simulator reads"
                    ));
                }
            };
            self.at += 1;
            if matches!(self.peek(), Some(Token::Name(_))) {
                called = Some(self.name()?);
            }
            if self.takes('(') {
                while !self.takes(')') {
                    self.variable()?;
                }
            }
        }
        let fields = self.selection(0)?;
        Ok((called, Operation { mutation, fields }))
    }

    /// `$name: Type! = default`
    fn variable(&mut self) -> Result<(), String> {
        let Some(Token::Variable(name)) = self.peek().cloned() else {
            return Err(format!(
                "Parse error: a variable expected, found {:?}",
                self.peek()
            ));
        };
        self.at += 1;
        self.want(':')?;
        let mut lists = 0;
        while self.takes('[') {
            lists += 1;
        }
        let kind = self.name()?;
        let mut required = self.takes('!');
        for _ in 0..lists {
            self.want(']')?;
            required = self.takes('!');
        }
        let default = match self.takes('=') {
            true => Some(self.value(0)?),
            false => None,
        };
        let given = self.given.get(&name).filter(|v| !v.is_null()).cloned();
        match given.or(default) {
            Some(value) => {
                self.variables.insert(name, value);
            }
            None if required => {
                return Err(format!(
                    "Variable ${name} of type {kind}! was provided invalid value"
                ));
            }
            None => {
                self.variables.insert(name, Value::Null);
            }
        }
        Ok(())
    }

    fn selection(&mut self, depth: usize) -> Result<Vec<Field>, String> {
        if depth > DEPTH {
            return Err("Query has too many levels".into());
        }
        self.want('{')?;
        let mut fields = Vec::new();
        while !self.takes('}') {
            if matches!(self.peek(), Some(Token::Spread | Token::Mark('@'))) {
                return Err(
                    "fragments and directives are more GraphQL than the simulator reads".into(),
                );
            }
            let mut name = self.name()?;
            let key = name.clone();
            if self.takes(':') {
                name = self.name()?;
            }
            let mut arguments = BTreeMap::new();
            if self.takes('(') {
                while !self.takes(')') {
                    let argument = self.name()?;
                    self.want(':')?;
                    let value = self.value(0)?;
                    // A variable without a value is as good as no argument.
                    if !value.is_null() {
                        arguments.insert(argument, value);
                    }
                }
            }
            let fields_below = match self.peek() {
                Some(Token::Mark('{')) => self.selection(depth + 1)?,
                _ => Vec::new(),
            };
            fields.push(Field {
                key,
                name,
                arguments,
                fields: fields_below,
            });
        }
        match fields.is_empty() {
            true => Err("Parse error: an empty selection".into()),
            false => Ok(fields),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH {
            return Err("Value has too many levels".into());
        }
        let token = self
            .peek()
            .cloned()
            .ok_or("Parse error: a value expected")?;
        self.at += 1;
        Ok(match token {
            Token::Variable(name) => {
                let value = self.variables.get(&name).cloned();
                value.ok_or_else(|| format!("Variable ${name} is used but not declared"))?
            }
            Token::Text(text) => Value::String(text),
            Token::Number(text) => serde_json::from_str(&text).map_err(|e| e.to_string())?,
            Token::Name(word) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                other => Value::String(other.to_owned()),
            },
            Token::Mark('[') => {
                let mut all = Vec::new();
                while !self.takes(']') {
                    all.push(self.value(depth + 1)?);
                }
                Value::Array(all)
            }
            Token::Mark('{') => {
                let mut members = Map::new();
                while !self.takes('}') {
                    let name = self.name()?;
                    self.want(':')?;
                    members.insert(name, self.value(depth + 1)?);
                }
                Value::Object(members)
            }
            other => return Err(format!("Parse error: a value expected, found {other:?}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_no_graphql_or_too_much_of_it_is_refused() {
        for bad in [
            "",
            "{",
            "{ }",
            "{ a(b: ) }",
            "query { a ...F }",
            "query { a @skip(if: true) }",
            "subscription { a }",
            "fragment F on Order { id }",
            "{ a(b: $c) }",
            "{ a(b: \"x) }",
            "{ a \u{0} }",
        ] {
            assert!(read(bad, &Value::Null, None).is_err(), "{bad}");
        }
        let deep = "{ a ".repeat(100) + &"}".repeat(100);
        assert!(
            read(&deep, &Value::Null, None)
                .unwrap_err()
                .contains("levels")
        );
        let missing = read(
            "query Q($id: ID!) { order(id: $id) { id } }",
            &json!({}),
            None,
        );
        assert!(missing.unwrap_err().contains("Variable $id of type ID!"));
        let two = read("query A { a } query B { b }", &Value::Null, None);
        assert!(two.unwrap_err().contains("name is required"));
    }

    #[test]
    fn variables_defaults_aliases_and_literals_are_filled_in() {
        let text = "query Q($q: String!, $n: Int = 5, $none: Boolean) {\n # a remark\n \
                    mine: orders(first: $n, query: $q, reverse: $none) { nodes { id } } }";
        let read = read(text, &json!({"q": "name:#1001"}), Some("Q")).unwrap();
        let field = &read.fields[0];
        assert_eq!(
            (field.key.as_str(), field.name.as_str()),
            ("mine", "orders")
        );
        assert_eq!(field.arguments["first"], 5);
        assert_eq!(field.text("query"), Some("name:#1001"));
        assert!(!field.arguments.contains_key("reverse"));
        let text =
            "mutation { f(input: {ids: [\"a\" \"b\"], ok: true, kind: OPEN, n: -1.5}) { id } }";
        let read = super::read(text, &Value::Null, None).unwrap();
        assert!(read.mutation);
        let input = &read.fields[0].arguments["input"];
        assert_eq!(
            *input,
            json!({"ids": ["a", "b"], "ok": true, "kind": "OPEN", "n": -1.5})
        );
    }
}
