//! The form that a codebook asks for: its fields with their definitions, and a key for everything that can be chosen.

use crate::codebook::{Codebook, Field, FieldKind, Label};
use serde::Serialize;

/// Keys in the order in which they are given out. Left out are those that the page and the terminal use themselves: `f` `g` `j` `k` `n` `o`
/// `q` `s` `u` `v` `?`, and `a` `b` `c` `m` where people decide.
const KEYS: &str = "1234567890wertyipdhlzx";

/// What is asked of each unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// The task's name.
    pub task: String,
    /// Its heading.
    pub title: String,
    /// `session` or `prompt`.
    pub unit: &'static str,
    /// The fields, in the codebook's order.
    pub fields: Vec<Form>,
}

/// One field of the form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Form {
    /// Its name.
    pub name: String,
    /// Its type, as in a codebook.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What the rater is told about it.
    pub description: String,
    /// Whether an answer is whole only with it.
    pub required: bool,
    /// The key that leads to the field, for fields in which something is typed; that sets a flag.
    pub key: Option<char>,
    /// What can be chosen: labels, parts of a whole, criteria.
    pub choices: Vec<Choice>,
    /// Lowest and highest score.
    pub range: Option<(i64, i64)>,
    /// What ranges of a score mean.
    pub bands: Vec<BandForm>,
}

/// A label, a part or a criterion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// What it means.
    pub definition: String,
    /// Cases of it.
    pub examples: Vec<String>,
    /// Its key, as long as there are keys.
    pub key: Option<char>,
}

/// What a range of a score means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BandForm {
    /// The lowest score of the band.
    pub from: i64,
    /// The highest score of the band.
    pub to: i64,
    /// What it means.
    pub definition: String,
}

impl Question {
    /// The form of a codebook.
    pub fn of(codebook: &Codebook) -> Question {
        let mut keys = KEYS.chars();
        // Labels get the best keys: they are what is pressed most.
        let mut fields: Vec<Form> = codebook.fields.iter().map(|field| Form::of(field, &mut keys)).collect();
        // Digits are for scores, as they are typed.
        let mut keys = keys.filter(char::is_ascii_alphabetic);
        for form in fields.iter_mut().filter(|form| form.choices.is_empty() || form.kind == "shares") {
            form.key = keys.next();
        }
        Question { task: codebook.task.clone(), title: codebook.title.clone(), unit: codebook.unit.name(), fields }
    }
}

/// Whether an answer is whole only with this field. Text and evidence explain; people give them where they help.
pub fn is_required(field: &Field) -> bool {
    field.kind.is_measured() && !field.optional
}

impl Form {
    fn of(field: &Field, keys: &mut impl Iterator<Item = char>) -> Form {
        let labels = |labels: &[Label]| -> Vec<Choice> {
            let choice = |label: &Label| Choice {
                name: label.name.clone(),
                definition: label.definition.clone(),
                examples: label.examples.clone(),
                key: None,
            };
            labels.iter().map(choice).collect()
        };
        let plain = |name: &str, definition: &str| Choice {
            name: name.to_owned(),
            definition: definition.to_owned(),
            examples: Vec::new(),
            key: None,
        };
        let (mut choices, range, bands) = match &field.kind {
            FieldKind::Label(found) | FieldKind::Labels(found) => (labels(&found.labels), None, Vec::new()),
            FieldKind::Shares(parts) => {
                (parts.iter().map(|part| plain(&part.name, &part.definition)).collect(), None, Vec::new())
            }
            FieldKind::Criteria(criteria) => {
                (criteria.iter().map(|one| plain(&one.name, &one.definition)).collect(), None, Vec::new())
            }
            FieldKind::Score(score) => {
                let band = |band: &crate::codebook::Band| BandForm {
                    from: band.from,
                    to: band.to,
                    definition: band.definition.clone(),
                };
                (Vec::new(), Some((score.min, score.max)), score.bands.iter().map(band).collect())
            }
            FieldKind::Number | FieldKind::Flag { .. } | FieldKind::Text | FieldKind::Evidence => {
                (Vec::new(), None, Vec::new())
            }
        };
        if !matches!(field.kind, FieldKind::Shares(_)) {
            choices.iter_mut().for_each(|choice| choice.key = keys.next());
        }
        Form {
            name: field.name.clone(),
            kind: field.kind.name(),
            description: field.description.clone(),
            required: is_required(field),
            key: None,
            choices,
            range,
            bands,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebook::Library;
    use std::collections::HashSet;

    #[test]
    fn every_type_of_field_has_its_form_and_no_key_is_given_twice() {
        let question = Question::of(&Codebook::with_every_type());
        let kinds: Vec<&str> = question.fields.iter().map(|form| form.kind).collect();
        for kind in ["label", "labels", "score", "number", "flag", "text", "shares", "evidence", "criteria"] {
            assert!(kinds.contains(&kind), "{kind}");
        }
        let keys: Vec<char> = (question.fields.iter())
            .flat_map(|form| form.key.into_iter().chain(form.choices.iter().filter_map(|choice| choice.key)))
            .collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len(), "{keys:?}");
        assert!(keys.iter().all(|key| !"abcfgjkmnoqsuv?".contains(*key)));
        let label = question.fields.iter().find(|form| form.name == "label").unwrap();
        assert_eq!(label.choices.iter().filter_map(|choice| choice.key).collect::<String>(), "123");
        let required: Vec<&str> =
            question.fields.iter().filter(|form| form.required).map(|form| form.name.as_str()).collect();
        assert!(!required.contains(&"hours") && !required.contains(&"reason") && required.contains(&"phases"));
    }

    #[test]
    fn the_shipped_codebooks_have_a_key_for_every_label() {
        for codebook in Library::shipped().unwrap().codebooks() {
            for form in Question::of(codebook).fields {
                assert!(form.kind == "shares" || form.choices.iter().all(|choice| choice.key.is_some()), "{form:?}");
            }
        }
    }
}
