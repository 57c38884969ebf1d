//! The JSON schema of a codebook's answer, within what every provider's structured output accepts.
//!
//! Every object is closed, every property required, every schema typed; bounds stand in descriptions and are checked on the answer.
//! Properties keep the codebook's order, because models answer in it.

use super::{Codebook, Field, FieldKind, Labels};
use crate::llm::AnswerSchema;
use serde_json::{Map, Value, json};

/// The schema of `codebook`'s answer.
pub fn answer_schema(codebook: &Codebook) -> AnswerSchema {
    let properties = codebook.fields.iter().map(|field| (field.name.clone(), property(field)));
    let name = codebook.task.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(64).collect();
    AnswerSchema { name, json: object(properties, None) }
}

pub(super) fn object(properties: impl Iterator<Item = (String, Value)>, description: Option<String>) -> Value {
    let properties: Map<String, Value> = properties.collect();
    let required: Vec<&String> = properties.keys().collect();
    let mut schema = json!({ "type": "object", "required": required });
    schema["properties"] = Value::Object(properties.clone());
    schema["additionalProperties"] = Value::Bool(false);
    describe(&mut schema, description.unwrap_or_default());
    schema
}

fn describe(schema: &mut Value, description: String) {
    if !description.is_empty() {
        schema["description"] = Value::String(description);
    }
}

fn property(field: &Field) -> Value {
    let mut schema = match &field.kind {
        FieldKind::Label(labels) => enumeration(labels),
        FieldKind::Labels(labels) => json!({ "type": "array", "items": enumeration(labels) }),
        FieldKind::Score(_) => json!({ "type": "integer" }),
        FieldKind::Number => json!({ "type": "number" }),
        FieldKind::Flag { .. } => json!({ "type": "boolean" }),
        FieldKind::Text => json!({ "type": "string" }),
        FieldKind::Shares(parts) => object(
            parts.iter().map(|part| {
                let mut schema = json!({ "type": "number" });
                describe(&mut schema, part.definition.clone());
                (part.name.clone(), schema)
            }),
            None,
        ),
        FieldKind::Evidence => json!({
            "type": "array",
            "items": object(
                [
                    ("event".to_owned(), json!({ "type": "integer", "description": "number of the event, as shown in square brackets" })),
                    ("quote".to_owned(), json!({ "type": "string", "description": "words copied from that event, unchanged" })),
                ]
                .into_iter(),
                None,
            ),
        }),
        FieldKind::Criteria(criteria) => object(
            criteria.iter().map(|criterion| {
                let mut schema = json!({ "type": "boolean" });
                describe(&mut schema, criterion.definition.clone());
                (criterion.name.clone(), schema)
            }),
            None,
        ),
    };
    if field.optional {
        optional(&mut schema);
    }
    describe(&mut schema, description(field));
    schema
}

/// Allows `null` beside the schema's own type.
fn optional(schema: &mut Value) {
    match schema.get("enum") {
        Some(Value::Array(values)) => {
            let mut values = values.clone();
            values.push(Value::Null);
            schema["enum"] = Value::Array(values);
            schema["type"] = json!(["string", "null"]);
        }
        _ => {
            let plain = schema["type"].clone();
            schema["type"] = json!([plain, "null"]);
        }
    }
}

/// What the rater is told of the field, with the bounds that the schema itself may not carry.
fn description(field: &Field) -> String {
    let bound = match &field.kind {
        FieldKind::Score(score) => format!("a whole number from {} to {}", score.min, score.max),
        FieldKind::Shares(_) => "percentages that sum to 100".to_owned(),
        _ => String::new(),
    };
    [field.description.trim(), bound.as_str()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

fn enumeration(labels: &Labels) -> Value {
    json!({ "type": "string", "enum": labels.names() })
}
