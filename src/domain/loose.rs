//! Reading members of JSON whose types drift: numbers as text, text as numbers, absent as `null`.

use serde_json::Value;

/// The member at `path`, one name each; `None` where anything on the way is no object.
pub(crate) fn member<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |at, name| at.get(name))
}

/// Text at `path` without blanks at its ends; numbers become text; blank, lists, objects, truth and
/// `null` are nothing.
pub(crate) fn text(value: &Value, path: &[&str]) -> Option<String> {
    let text = match member(value, path)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A finite number at `path`, also as text.
pub(crate) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    let number = match member(value, path)? {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A finite number above zero at `path`, also as text.
pub(crate) fn positive(value: &Value, path: &[&str]) -> Option<f64> {
    number(value, path).filter(|n| *n > 0.0)
}

/// The list at `path`; anything else is an empty one.
pub(crate) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    member(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A state or country: an object by the first of `keys` that it has, or the text itself.
pub(crate) fn named(value: &Value, path: &[&str], keys: &[&str]) -> Option<String> {
    let found = member(value, path)?;
    if found.is_object() {
        keys.iter().find_map(|key| text(found, &[key]))
    } else {
        text(found, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_cannot_be_used_is_nothing() {
        let value = json!({"a": {"b": [1], "c": null, "d": " ", "e": "1e999", "f": "x", "g": -1}});
        for name in ["b", "c", "d", "f", "z"] {
            assert_eq!(number(&value, &["a", name]), None, "{name}");
        }
        assert_eq!(number(&value, &["a", "e"]), None, "not finite");
        assert_eq!(positive(&value, &["a", "g"]), None);
        assert_eq!(text(&value, &["a", "d"]), None);
        assert_eq!(text(&value, &["a", "b", "c"]), None);
        assert_eq!(list(&value, &["a", "c"]), [] as [Value; 0]);
    }

    #[test]
    fn numbers_are_read_as_text_and_text_as_numbers() {
        let value =
            json!({"n": "1.000", "id": 787_061, "state": "NSW", "other": {"name": "Victoria"}});
        assert_eq!(number(&value, &["n"]), Some(1.0));
        assert_eq!(text(&value, &["id"]).as_deref(), Some("787061"));
        let keys = ["code", "name"];
        assert_eq!(named(&value, &["state"], &keys).as_deref(), Some("NSW"));
        assert_eq!(
            named(&value, &["other"], &keys).as_deref(),
            Some("Victoria")
        );
    }
}
