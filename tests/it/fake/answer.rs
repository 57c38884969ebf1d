//! Answers made from a schema: the same prompt always gets the same answer, other prompts mostly others.

use regex::Regex;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// An object that fits the schema, chosen by the prompt.
pub fn generated(schema: &Value, prompt: &str) -> Value {
    Maker { root: schema, prompt }.value(schema, "")
}

/// The answer with one value that its schema does not allow: an unknown label, or the wrong type where there are no labels.
pub fn spoilt(mut answer: Value, schema: &Value) -> Value {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let label = properties.iter().find(|(_, schema)| schema["enum"].is_array()).map(|(name, _)| name.clone());
    match (label, properties.keys().next()) {
        (Some(name), _) => answer[name] = json!("no such label"),
        (None, Some(name)) => answer[name] = json!({ "of": "a wrong type" }),
        (None, None) => answer = json!([]),
    }
    answer
}

struct Maker<'a> {
    root: &'a Value,
    prompt: &'a str,
}

static BOUNDS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let number = r"(-?\d+(?:\.\d+)?)";
    [format!("{number} *(?:to|and|–|-|\\.\\.) *{number}"), format!("minimum: {number}.*maximum: {number}")]
        .iter()
        .map(|pattern| Regex::new(pattern).expect("the pattern is valid"))
        .collect()
});

impl Maker<'_> {
    /// A number that depends on the prompt and the place in the answer.
    fn chance(&self, path: &str) -> u64 {
        let hash = blake3::hash(format!("{path}\n{}", self.prompt).as_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash is longer than eight bytes"))
    }

    fn value(&self, schema: &Value, path: &str) -> Value {
        if let Some(place) = schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
            return self.root.pointer(place).map_or(Value::Null, |schema| self.value(schema, path));
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(labels) = schema["enum"].as_array().filter(|labels| !labels.is_empty()) {
            let at = self.chance(path) % labels.len() as u64;
            return labels[usize::try_from(at).expect("an index fits")].clone();
        }
        if let Some(some) = schema["anyOf"].as_array() {
            let first = some.iter().find(|schema| schema["type"] != "null");
            return first.map_or(Value::Null, |schema| self.value(schema, path));
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            Some("object") => self.object(schema, path),
            Some("array") => {
                let least = schema["minItems"].as_u64().unwrap_or(0);
                (0..least).map(|at| self.value(&schema["items"], &format!("{path}/{at}"))).collect()
            }
            Some("string") => json!(format!("words {:04x}", self.chance(path) % 65_536)),
            Some("integer") => {
                let (low, high) = bounds(schema);
                json!(low as i64 + (self.chance(path) % ((high - low) as u64 + 1)) as i64)
            }
            Some("number") => {
                let (low, high) = bounds(schema);
                json!(low + (high - low) * (self.chance(path) % 1001) as f64 / 1000.0)
            }
            Some("boolean") => json!(self.chance(path).is_multiple_of(2)),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, path: &str) -> Value {
        let mut object = Map::new();
        let properties = schema["properties"].as_object().cloned().unwrap_or_default();
        let said = schema["description"].as_str().unwrap_or_default().to_lowercase();
        let mut left = if said.contains("sum") && said.contains("100") { Some(100) } else { None };
        for (at, (name, schema)) in properties.iter().enumerate() {
            let path = format!("{path}/{name}");
            let value = match &mut left {
                Some(left) => {
                    let last = at + 1 == properties.len();
                    let share = if last { *left } else { self.chance(&path) % (*left + 1) };
                    *left -= share;
                    json!(share)
                }
                None => self.value(schema, &path),
            };
            object.insert(name.clone(), value);
        }
        Value::Object(object)
    }
}

/// The bounds of a number: its own, those that its description mentions, or 0 to 100.
fn bounds(schema: &Value) -> (f64, f64) {
    if let (Some(low), Some(high)) = (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
        return (low, high);
    }
    let said = schema["description"].as_str().unwrap_or_default();
    let found = BOUNDS.iter().find_map(|pattern| {
        let found = pattern.captures(said)?;
        Some((found[1].parse::<f64>().ok()?, found[2].parse::<f64>().ok()?))
    });
    found.filter(|(low, high)| low <= high).unwrap_or((0.0, 100.0))
}
