//! Several prompts in one request: takes a codebook, gives the form of the answer and how many prompts one answer has room for.
//!
//! The answer is an object with one list; each entry begins with the number of its prompt and goes on as the codebook's answer to a single
//! prompt. The form is the same however many prompts are asked for, and stays as small as that of one answer: providers compile a form
//! once and limit its size. That each prompt has one entry is checked on the answer.

use super::schema::{answer_schema, object};
use super::{Codebook, Field, FieldKind};
use crate::llm::AnswerSchema;
use serde_json::{Value, json};

/// The partial template that ends a grouped request.
pub const PARTIAL: &str = "_group.md";
/// The list in a grouped answer.
pub const ANSWERS: &str = "answers";
/// The number of the prompt's event in an entry. No field of a codebook has this name.
pub const UNIT: &str = "unit";

/// Output tokens that are there for answers where no limit is set. The providers' own limits are higher; what is beyond is for reasoning.
const ROOM: u64 = 8_000;
/// Tokens of an entry beside its fields.
const ENTRY: u64 = 12;

/// The form of an answer for several prompts.
pub fn group_schema(codebook: &Codebook) -> AnswerSchema {
    let AnswerSchema { name, json: single } = answer_schema(codebook);
    let number = json!({ "type": "integer", "description": "number of the prompt's event, as listed" });
    let fields =
        single["properties"].as_object().into_iter().flatten().map(|(name, field)| (name.clone(), field.clone()));
    let entry = object(std::iter::once((UNIT.to_owned(), number)).chain(fields), None);
    let list = json!({ "type": "array", "items": entry, "description": "one entry for each of the listed prompts, in their order" });
    let json: Value = object(std::iter::once((ANSWERS.to_owned(), list)), None);
    AnswerSchema { name: name.chars().take(64 - "_group".len()).chain("_group".chars()).collect(), json }
}

/// How many prompts one answer of at most `max_output_tokens` has room for; at least one. Half of a limit is left for reasoning, and for
/// answers that are longer than most.
pub fn prompts_at_once(codebook: &Codebook, max_output_tokens: Option<u32>) -> usize {
    let room = max_output_tokens.map_or(ROOM, |limit| u64::from(limit) / 2);
    let entry = ENTRY + codebook.fields.iter().map(usual_tokens).sum::<u64>();
    usize::try_from(room / entry).unwrap_or(usize::MAX).max(1)
}

/// Tokens of a field in most answers, its name included.
fn usual_tokens(field: &Field) -> u64 {
    match &field.kind {
        FieldKind::Label(_) => 12,
        FieldKind::Labels(_) => 20,
        FieldKind::Score(_) | FieldKind::Number | FieldKind::Flag { .. } => 8,
        FieldKind::Text => 80,
        FieldKind::Shares(parts) => 8 + 12 * parts.len() as u64,
        FieldKind::Criteria(criteria) => 8 + 12 * criteria.len() as u64,
        FieldKind::Evidence => 160,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_single_answer_behind_its_number() {
        let codebook = Codebook::with_every_type();
        let (single, group) = (answer_schema(&codebook), group_schema(&codebook));
        let entry = &group.json["properties"][ANSWERS]["items"];
        let names: Vec<&String> = entry["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names[0], UNIT);
        for (name, field) in single.json["properties"].as_object().unwrap() {
            assert_eq!(&entry["properties"][name], field);
        }
        assert_eq!(entry["required"].as_array().unwrap().len(), codebook.fields.len() + 1);
        assert_eq!(
            (&entry["additionalProperties"], &group.json["additionalProperties"]),
            (&json!(false), &json!(false))
        );
        assert_ne!(single.name, group.name);
        assert!(group.json.to_string().len() < single.json.to_string().len() + 400);
    }

    #[test]
    fn the_limit_of_output_tokens_bounds_a_group() {
        let codebook = Codebook::with_every_type();
        let at = |limit| prompts_at_once(&codebook, limit);
        assert!(at(Some(1)) == 1 && at(Some(4_000)) > 1 && at(Some(8_000)) >= 2 * at(Some(4_000)));
        assert_eq!(at(None), at(Some(16_000)));
    }
}
