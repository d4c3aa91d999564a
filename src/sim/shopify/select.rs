//! What an operation selects of what there is, and what that costs.

use crate::sim::shopify::graphql::{Field, Operation};
use serde_json::{Map, Value};

/// What `fields` select of `whole`; a field that is not there is an error.
///
/// `whole` has every field that the simulator knows; connections are arrays under their name and
/// are shown as `nodes`, `edges` and `pageInfo` because they were asked for with `first`.
pub(crate) fn select(whole: &Value, fields: &[Field], kind: &str) -> Result<Value, String> {
    match whole {
        Value::Array(all) => all.iter().map(|one| select(one, fields, kind)).collect(),
        Value::Object(members) => {
            if fields.is_empty() {
                return Err(format!("Field '{kind}' must have selections"));
            }
            let mut shown = Map::new();
            for field in fields {
                if field.name == "__typename" {
                    shown.insert(field.key.clone(), Value::String(kind.to_owned()));
                    continue;
                }
                let there = members.get(&field.name);
                let there = there.ok_or_else(|| {
                    format!("Field '{}' doesn't exist on type '{kind}'", field.name)
                })?;
                shown.insert(field.key.clone(), one(there, field)?);
            }
            Ok(Value::Object(shown))
        }
        scalar if fields.is_empty() || scalar.is_null() => Ok(scalar.clone()),
        _ => Err(format!(
            "Selections can't be made on scalars (field '{kind}')"
        )),
    }
}

fn one(there: &Value, field: &Field) -> Result<Value, String> {
    let first = field.arguments.get("first").and_then(Value::as_u64);
    let first = first
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(usize::MAX);
    let connection = there.get("$connection").and_then(Value::as_array);
    if let Some(all) = connection {
        if first == usize::MAX {
            return Err(format!(
                "you must provide one of first or last (field '{}')",
                field.name
            ));
        }
        let nodes: Vec<Value> = all.iter().take(first).cloned().collect();
        let edges: Vec<Value> = nodes
            .iter()
            .map(|node| serde_json::json!({"cursor": node["id"], "node": node}))
            .collect();
        let more = serde_json::json!({"hasNextPage": all.len() > first, "hasPreviousPage": false, "endCursor": null, "startCursor": null});
        let shown = serde_json::json!({"nodes": nodes, "edges": edges, "pageInfo": more});
        return select(&shown, &field.fields, &field.name);
    }
    match there {
        Value::Array(all) => {
            let some: Vec<Value> = all.iter().take(first).cloned().collect();
            select(&Value::Array(some), &field.fields, &field.name)
        }
        other => select(other, &field.fields, &field.name),
    }
}

/// Points that the query costs: objects 1, mutations 10, connections growing with the logarithm of
/// `first`. Shopify's own formula is not published; this one has its order of magnitude.
pub(crate) fn cost(operation: &Operation) -> f64 {
    fn of(fields: &[Field]) -> f64 {
        fields
            .iter()
            .filter(|f| !f.fields.is_empty())
            .map(|field| {
                let first = field.arguments.get("first").and_then(Value::as_f64);
                let times = first.map_or(1.0, |n| ((n.max(1.0) + 1.0).log2() / 2.0).ceil());
                1.0 + times * of(&field.fields)
            })
            .sum()
    }
    if operation.mutation {
        let mutations = operation.fields.iter().map(|_| 10.0);
        return mutations.sum();
    }
    of(&operation.fields).max(1.0)
}

/// Points that an answer did cost: what was taken beyond them is given back.
pub(crate) fn used(data: &Value) -> f64 {
    match data {
        Value::Object(members) => 1.0 + members.values().map(used).sum::<f64>(),
        Value::Array(all) => all.iter().map(used).sum(),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::shopify::graphql::read;
    use serde_json::json;

    #[test]
    fn what_is_selected_is_answered_and_what_does_not_exist_is_an_error() {
        let whole = json!({"id": 1, "name": "A", "list": [{"x": 1}, {"x": 2}],
            "orders": {"$connection": [{"id": 7, "name": "B"}, {"id": 8, "name": "C"}]}});
        let fields = |text: &str| read(text, &Value::Null, None).unwrap().fields;
        let shown = select(
            &whole,
            &fields(
                "{ name list(first: 1) { x } orders(first: 1) { nodes { id } pageInfo { hasNextPage } } }",
            ),
            "Q",
        );
        assert_eq!(
            shown.unwrap(),
            json!({"name": "A", "list": [{"x": 1}],
            "orders": {"nodes": [{"id": 7}], "pageInfo": {"hasNextPage": true}}})
        );
        for bad in [
            "{ nose }",
            "{ name { x } }",
            "{ list }",
            "{ orders { nodes { id } } }",
        ] {
            assert!(select(&whole, &fields(bad), "Q").is_err(), "{bad}");
        }
    }
}
