//! The rater whose labels came with the data: takes a unit, gives the label that its session carries for it. It asks nobody.
//!
//! A label counts for the codebook's first measured field. Its name may differ from the codebook's in case, spaces, underscores and
//! hyphens, or be declared as an alias; any other mapping would be a guess.

use crate::answer;
use crate::codebook::{Codebook, Field, FieldKind, Labels};
use crate::session::swe_chat::fold;
use crate::session::{ExistingLabel, Session};
use crate::unit::Unit;
use serde_json::{Map, Value};

/// What the data says of a unit.
#[derive(Debug, Clone, PartialEq)]
pub enum Existing {
    /// An answer in the codebook's form: one field.
    Answer(Map<String, Value>),
    /// No label, and why.
    None(String),
    /// A label that the codebook does not have, and which.
    Invalid(String),
}

/// The label that came with `unit`.
pub fn label(codebook: &Codebook, session: &Session, unit: &Unit) -> Existing {
    let task = codebook.task.as_str();
    let prompt = unit.prompt.map(|prompt| prompt.ordinal);
    let mut labels = session
        .labels
        .iter()
        .filter(|label| label.task == task && label.prompt.is_some() == prompt.is_some())
        .peekable();
    if labels.peek().is_none() {
        return Existing::None(match session.labels.is_empty() {
            true => "this session came without labels".to_owned(),
            false => format!("this session came without labels for `{task}`"),
        });
    }
    let Some(ExistingLabel { value, .. }) = labels.find(|label| label.prompt == prompt) else {
        return Existing::None("the data has no label for this prompt".to_owned());
    };
    let Some(field) = codebook.primary() else {
        return Existing::Invalid(format!("the data says `{value}`, and the codebook has no field for it"));
    };
    match in_form(field, value) {
        Ok(value) => Existing::Answer(Map::from_iter([(field.name.clone(), value)])),
        Err(reason) => Existing::Invalid(reason),
    }
}

/// The value as the field has it.
fn in_form(field: &Field, value: &str) -> Result<Value, String> {
    let given = match &field.kind {
        FieldKind::Label(labels) => match named(labels, value) {
            Some(name) => Value::from(name),
            None => return Err(format!("the data says `{value}`, which is no label of this codebook")),
        },
        FieldKind::Score(_) | FieldKind::Number => {
            let number = value.trim().parse().ok().and_then(serde_json::Number::from_f64);
            number.map_or_else(|| Value::from(value), Value::Number)
        }
        other => {
            return Err(format!("the data says `{value}`, and field `{}` is of type {}", field.name, other.name()));
        }
    };
    answer::check(field, given).map_err(|problem| format!("the data says `{value}`: field `{}` {problem}", field.name))
}

/// The label of this name, as the codebook spells it.
fn named<'l>(labels: &'l Labels, value: &str) -> Option<&'l str> {
    let is = |name: &str| fold(name) == fold(value);
    let exact = labels.labels.iter().find(|label| label.name == value);
    let found = exact
        .or_else(|| labels.labels.iter().find(|label| is(&label.name) || label.aliases.iter().any(|alias| is(alias))));
    found.map(|label| label.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebook::{Library, UnitKind};
    use crate::session::{Agent, Channel, SessionBuilder};
    use crate::unit::units;

    fn session(labels: &[(&'static str, Option<u32>, &str)]) -> Session {
        let mut builder = SessionBuilder::new(Agent::Codex, "s", "s.jsonl".into());
        builder.prompt(None, Channel::Typed, "one", 0);
        builder.prompt(None, Channel::Typed, "two", 0);
        let mut session = builder.finish();
        session.labels = labels
            .iter()
            .map(|&(task, prompt, value)| ExistingLabel { task, prompt, value: value.to_owned() })
            .collect();
        session
    }

    /// What the data says of the task's units, as `field=value`, `none: …` or `invalid: …`.
    fn told(task: &str, labels: &[(&'static str, Option<u32>, &str)]) -> Vec<String> {
        let library = Library::shipped().unwrap();
        let codebook = library.task(task).unwrap();
        let session = session(labels);
        let told = units(&session, codebook.unit).into_iter().map(|unit| match label(codebook, &session, &unit) {
            Existing::Answer(fields) => fields.iter().map(|(field, value)| format!("{field}={value}")).collect(),
            Existing::None(why) => format!("none: {why}"),
            Existing::Invalid(why) => format!("invalid: {why}"),
        });
        told.collect()
    }

    #[test]
    fn labels_of_prompts_go_to_their_prompts() {
        assert_eq!(
            told("pushback", &[("pushback", Some(2), "Failure Report"), ("intent", Some(1), "git")]),
            ["none: the data has no label for this prompt", "label=\"failure_report\""]
        );
        assert_eq!(told("pushback", &[]), ["none: this session came without labels"; 2]);
        assert_eq!(
            told("pushback", &[("success", None, "85")]),
            ["none: this session came without labels for `pushback`"; 2]
        );
    }

    #[test]
    fn a_label_that_the_codebook_lacks_is_named_and_not_mapped() {
        for foreign in ["takeover", "requirement_change", "pacing_complaint", "corrections"] {
            assert_eq!(
                told("pushback", &[("pushback", Some(1), foreign)])[0],
                format!("invalid: the data says `{foreign}`, which is no label of this codebook")
            );
        }
    }

    #[test]
    fn spelling_is_forgiven_and_nothing_else() {
        for spelling in ["Expert Nitpicker", "expert-nitpicker", "EXPERT_NITPICKER"] {
            assert_eq!(told("persona", &[("persona", None, spelling)]), ["label=\"expert_nitpicker\""]);
        }
        assert!(told("persona", &[("persona", None, "Nitpicker")])[0].starts_with("invalid: "));
    }

    #[test]
    fn a_score_is_a_whole_number_within_its_bounds() {
        assert_eq!(told("success", &[("success", None, "85")]), ["score=85"]);
        assert_eq!(told("success", &[("success", None, "0.0")]), ["score=0"]);
        for (value, problem) in [("101", "is 101"), ("72.5", "is 72.5"), ("high", "is \"high\"")] {
            let told = &told("success", &[("success", None, value)])[0];
            assert!(told.starts_with(&format!("invalid: the data says `{value}`: field `score` {problem}")), "{told}");
        }
    }

    #[test]
    fn a_field_of_another_type_takes_no_label() {
        let told = told("phases", &[("phases", None, "planning")]);
        assert_eq!(told, ["invalid: the data says `planning`, and field `phases` is of type shares"]);
    }

    #[test]
    fn units_of_sessions_and_of_prompts_do_not_share_labels() {
        let library = Library::shipped().unwrap();
        let codebook = library.task("success").unwrap();
        assert_eq!(codebook.unit, UnitKind::Session);
        assert_eq!(
            told("success", &[("success", Some(1), "85")]),
            ["none: this session came without labels for `success`"]
        );
    }
}
