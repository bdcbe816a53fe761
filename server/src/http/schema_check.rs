//! For tests: whether JSON is of a schema of the API's description. It knows the words the description uses and
//! fails on any other. Stricter than JSON Schema in one thing: an object has no members that its schema does not
//! name, unless it names none at all.

use std::collections::BTreeSet;

use daybook_shared::time::{Date, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::describe::document;

/// Words that say nothing of what is valid.
const ABOUT: [&str; 5] = ["description", "example", "examples", "default", "title"];

/// What is wrong, each with where it is.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    whole(schema, value, "", &mut faults);
    faults
}

/// What a reference leads to; the schema itself where it is none.
fn followed(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(at) => document().pointer(at.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{at} leads nowhere")),
        None => schema,
    }
}

fn whole(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    part(schema, value, at, faults);
    let known = members(schema);
    let unknown =
        value.as_object().into_iter().flat_map(|members| members.keys()).filter(|name| !known.contains(*name));
    faults.extend(unknown.filter(|_| !known.is_empty()).map(|name| format!("{at}/{name} is not named")));
}

/// The names of an object's members, those of its parts among them.
fn members(schema: &Value) -> BTreeSet<&String> {
    let schema = followed(schema);
    let own = schema["properties"].as_object().into_iter().flat_map(|members| members.keys());
    own.chain(schema["allOf"].as_array().into_iter().flatten().flat_map(members)).collect()
}

/// One of several that a value has to be.
fn part(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = followed(schema);
    for (word, said) in schema.as_object().unwrap() {
        let fits = match word.as_str() {
            "type" => said.as_array().map_or_else(|| is(said, value), |kinds| kinds.iter().any(|kind| is(kind, value))),
            "enum" => said.as_array().unwrap().contains(value),
            "const" => said == value,
            "format" => value.as_str().is_none_or(|text| has_format(said, text)),
            "pattern" => value.as_str().is_none_or(|text| has_pattern(said, text)),
            "minimum" => value.as_i64().is_none_or(|number| number >= said.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= said.as_i64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= said.as_u64().unwrap()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 <= said.as_u64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= said.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= said.as_u64().unwrap()),
            "uniqueItems" => value
                .as_array()
                .is_none_or(|items| items.iter().map(Value::to_string).collect::<BTreeSet<_>>().len() == items.len()),
            "required" => value.as_object().is_none_or(|members| {
                said.as_array().unwrap().iter().all(|name| members.contains_key(name.as_str().unwrap()))
            }),
            "oneOf" => said.as_array().unwrap().iter().filter(|one| self::faults(one, value).is_empty()).count() == 1,
            "anyOf" => said.as_array().unwrap().iter().any(|one| self::faults(one, value).is_empty()),
            "allOf" => {
                said.as_array().unwrap().iter().for_each(|one| part(one, value, at, faults));
                true
            }
            "properties" => {
                for (name, property) in said.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        whole(property, member, &format!("{at}/{name}"), faults);
                    }
                }
                true
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    whole(said, item, &format!("{at}/{n}"), faults);
                }
                true
            }
            // `whole` looks for what is not named.
            "additionalProperties" => true,
            about => {
                assert!(ABOUT.contains(&about), "what {about} means is not known here: {schema}");
                true
            }
        };
        if !fits {
            faults.push(format!("{at}: {value} is against {word}: {said}"));
        }
    }
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("what type {other} is is not known here"),
    }
}

/// Formats of numbers are of numbers alone, and their types say enough.
fn has_format(format: &Value, text: &str) -> bool {
    match format.as_str().unwrap() {
        "uuid" => text.parse::<Uuid>().is_ok(),
        "date" => text.parse::<Date>().is_ok(),
        "date-time" => text.parse::<Timestamp>().is_ok(),
        "uri-reference" => text.starts_with('/'),
        other => panic!("what format {other} is is not known here"),
    }
}

fn has_pattern(pattern: &Value, text: &str) -> bool {
    match pattern.as_str().unwrap() {
        "^[A-Z]{3}$" => text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        other => panic!("what pattern {other} is is not known here"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_found() {
        let schema = json!({
            "type": "object", "required": ["id"],
            "properties": {
                "id": { "type": "string", "format": "uuid" },
                "n": { "type": ["integer", "null"], "minimum": 1, "maximum": 9 },
                "of": { "type": "array", "minItems": 1, "items": { "$ref": "#/components/schemas/Money" } },
                "either": { "oneOf": [{ "$ref": "#/components/schemas/Date" }, { "type": "null" }] },
            },
        });
        let id = "019cad21-cf00-7000-8000-c11e00000001";
        let check = |value: Value, expected: usize| assert_eq!(faults(&schema, &value).len(), expected, "{value}");
        check(json!({ "id": id, "n": 9, "of": [{ "minor": 1, "currency": "KES" }], "either": null }), 0);
        check(json!({ "id": id, "n": null, "either": "2026-03-02" }), 0);
        for (wrong, at) in [
            (json!({}), ""),
            (json!([]), ""),
            (json!({ "id": "7" }), "/id"),
            (json!({ "id": id, "n": 10 }), "/n"),
            (json!({ "id": id, "n": 0 }), "/n"),
            (json!({ "id": id, "n": "1" }), "/n"),
            (json!({ "id": id, "of": [] }), "/of"),
            (json!({ "id": id, "of": [{ "minor": 1 }] }), "/of/0"),
            (json!({ "id": id, "of": [{ "minor": 1, "currency": "kes" }] }), "/of/0/currency"),
            (json!({ "id": id, "of": [{ "minor": 1, "currency": "KES", "more": 1 }] }), "/of/0/more"),
            (json!({ "id": id, "either": "2026-02-30" }), "/either"),
            (json!({ "id": id, "more": 1 }), "/more"),
        ] {
            let found = faults(&schema, &wrong);
            assert!(found.len() == 1 && found[0].starts_with(at), "{wrong}: {found:?}");
        }
    }
}
