//! As much of JSON Schema as an OpenAPI 3.1 document of ours uses: does a value fit, and does the schema
//! know every member of it?

use serde_json::Value;

/// What does not fit, each with its place; empty when all is well.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let Some(target) = document.pointer(pointer) else {
            return found.push(format!("{at}: {reference} is nowhere"));
        };
        return check(document, target, value, at, found);
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[word].as_array() {
            let fits = |choice: &Value| faults(document, choice, value).is_empty();
            if !choices.iter().any(fits) {
                found.push(format!("{at}: none of {word} takes {value}"));
            }
            return;
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        // Anything.
        _ => return,
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = types.contains(&is) || (is == "integer" && types.contains(&"number"));
    if !fits {
        return found.push(format!("{at}: {is} is not of {types:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{at}: {value} is none of the words"));
    }
    if let Some(items) = value.as_array() {
        for (n, item) in items.iter().enumerate() {
            check(
                document,
                &schema["items"],
                item,
                &format!("{at}/{n}"),
                found,
            );
        }
    }
    let Some(members) = value.as_object() else {
        return;
    };
    for required in schema["required"].as_array().into_iter().flatten() {
        let name = required.as_str().unwrap_or_default();
        if !members.contains_key(name) {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, member) in members {
        let place = format!("{at}/{name}");
        match schema["properties"].get(name) {
            Some(known) => check(document, known, member, &place, found),
            // An object of which nothing is said may hold anything.
            None if schema["properties"].is_null() => {}
            None => found.push(format!("{place}: the document does not know it")),
        }
    }
}
