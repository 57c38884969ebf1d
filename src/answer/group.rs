//! From a model's text to the answers on several prompts: takes the numbers that were asked for, gives for each its answer or the reason
//! why there is none. Every number is accounted for, also those that nobody asked for.

use super::{Answer, AnswerError, balanced, lenient, object, of_object};
use crate::codebook::Codebook;
use crate::codebook::group::{ANSWERS, UNIT};
use serde_json::{Map, Value};

/// What an answer says of several prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupAnswer {
    /// For each number that was asked for, in that order, its answer or what is wrong.
    pub answers: Vec<Result<Answer, String>>,
    /// Entries that belong to no prompt that was asked for, in words; `None` where there are none.
    pub stray: Option<String>,
}

impl GroupAnswer {
    /// No number has an answer, for one reason.
    fn none(numbers: &[u32], reason: &str) -> GroupAnswer {
        GroupAnswer { answers: numbers.iter().map(|_| Err(reason.to_owned())).collect(), stray: None }
    }
}

/// Reads a whole answer on the prompts with these event numbers.
pub fn read(codebook: &Codebook, numbers: &[u32], text: &str) -> GroupAnswer {
    let entries = object(text).and_then(|(mut object, repaired)| {
        let list = object.shift_remove(ANSWERS).ok_or_else(|| AnswerError::Missing(ANSWERS.to_owned()))?;
        match (list, object.keys().next()) {
            (_, Some(unknown)) => Err(AnswerError::Unknown(unknown.clone())),
            (Value::Array(entries), None) => Ok((entries, repaired)),
            (other, None) => {
                Err(AnswerError::Value { field: ANSWERS.to_owned(), problem: format!("is {other}; it must be a list") })
            }
        }
    });
    match entries {
        Ok((entries, repaired)) => sorted(codebook, numbers, entries, repaired),
        Err(error) => GroupAnswer::none(numbers, &error.to_string()),
    }
}

/// Reads what is whole in an answer that a length limit cut.
pub fn read_cut(codebook: &Codebook, numbers: &[u32], text: &str) -> GroupAnswer {
    let list = text.find(&format!("\"{ANSWERS}\"")).and_then(|at| Some(at + text[at..].find('[')?));
    let mut from = list.unwrap_or(text.len());
    let mut entries = Vec::new();
    while let Some(span) = balanced(text, from) {
        from = span.end;
        // Behind a broken entry nothing can be trusted to be where it seems.
        let Ok((entry, _)) = lenient(&text[span]) else { break };
        entries.push(Value::Object(entry));
    }
    let mut answer = sorted(codebook, numbers, entries, None);
    let given = answer.answers.iter_mut().filter(|answer| matches!(answer, Err(reason) if reason == NO_ENTRY));
    given.for_each(|missing| *missing = Err("a length limit cut the answer before it".to_owned()));
    answer
}

const NO_ENTRY: &str = "there is no entry for it";

/// Gives each number its entry.
fn sorted(codebook: &Codebook, numbers: &[u32], entries: Vec<Value>, repaired: Option<&'static str>) -> GroupAnswer {
    let mut found: Vec<Vec<Map<String, Value>>> = vec![Vec::new(); numbers.len()];
    let mut stray: Vec<String> = Vec::new();
    for entry in entries {
        let Value::Object(mut entry) = entry else {
            stray.push("an entry that is no object".to_owned());
            continue;
        };
        let Some(unit) = entry.shift_remove(UNIT) else {
            stray.push(format!("an entry without `{UNIT}`"));
            continue;
        };
        let number = super::whole(&unit).and_then(|number| u32::try_from(number).ok());
        match number.and_then(|number| numbers.iter().position(|asked| *asked == number)) {
            Some(at) => found[at].push(entry),
            None => stray.push(format!("an entry for `{UNIT}` {unit}")),
        }
    }
    let answers = found.into_iter().map(|mut entries| match (entries.pop(), entries.len()) {
        (None, _) => Err(NO_ENTRY.to_owned()),
        (Some(entry), 0) => of_object(codebook, entry, repaired).map_err(|error| error.to_string()),
        // Nobody can say which one is meant.
        (Some(_), more) => Err(format!("there are {} entries for it", more + 1)),
    });
    let answers = answers.collect();
    stray.dedup();
    GroupAnswer { answers, stray: (!stray.is_empty()).then(|| stray.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn mood() -> Codebook {
        let text = r#"+++
task = "mood"
title = "Mood"
unit = "prompt"
sees = {}
group = true
[[field]]
name = "reason"
type = "text"
[[field]]
name = "label"
type = "label"
[[field.label]]
name = "calm"
definition = "…"
[[field.label]]
name = "cross"
definition = "…"
+++
{% block material %}{{ material.text }}{% endblock %}
"#;
        Codebook::of_text("mood", text).unwrap()
    }

    fn entry(unit: u32, label: &str) -> Value {
        json!({ "unit": unit, "reason": "}]\"{[", "label": label })
    }

    fn labels(answer: &GroupAnswer) -> Vec<String> {
        let of = |one: &Result<Answer, String>| match one {
            Ok(answer) => answer.fields["label"].as_str().unwrap().to_owned(),
            Err(reason) => reason.clone(),
        };
        answer.answers.iter().map(of).collect()
    }

    #[test]
    fn each_number_gets_its_entry_in_whatever_order_they_come() {
        let text = json!({ "answers": [entry(9, "cross"), entry(1, "calm")] }).to_string();
        let read = read(&mood(), &[1, 9], &text);
        assert_eq!(labels(&read), ["calm", "cross"]);
        assert_eq!(read.stray, None);
        assert!(read.answers.iter().flatten().all(|answer| answer.repaired.is_none()));
        let fenced = super::read(&mood(), &[9], &format!("```json\n{text}\n```"));
        assert_eq!(fenced.answers[0].as_ref().unwrap().repaired, Some("code fence removed"));
        assert_eq!(fenced.stray.as_deref(), Some("an entry for `unit` 1"));
    }

    #[test]
    fn what_is_missing_double_wrong_or_unasked_is_told() {
        let entries = json!([
            entry(1, "calm"), entry(3, "calm"), entry(3, "cross"), entry(5, "bored"), entry(77, "calm"), entry(77, "calm"), 5,
            { "label": "calm" }, { "unit": "9", "reason": "", "label": "calm" }, { "unit": 7, "reason": "", "label": "calm", "more": 1 },
        ]);
        let read = read(&mood(), &[1, 3, 5, 7, 9], &json!({ "answers": entries }).to_string());
        insta::assert_debug_snapshot!(labels(&read), @r#"
        [
            "calm",
            "there are 2 entries for it",
            "field `label` is \"bored\"; it must be one of calm, cross",
            "field `more` is not asked for",
            "there is no entry for it",
        ]
        "#);
        insta::assert_snapshot!(read.stray.unwrap(), @r#"an entry for `unit` 77, an entry that is no object, an entry without `unit`, an entry for `unit` "9""#);
    }

    #[test]
    fn an_answer_in_another_form_is_one_for_nobody() {
        for (text, reason) in [
            ("no", "there is no JSON object in the answer"),
            (r#"{"answer": []}"#, "field `answers` is missing"),
            (r#"{"answers": {}}"#, "field `answers` is {}; it must be a list"),
            (r#"{"answers": [], "label": "calm"}"#, "field `label` is not asked for"),
            (r#"{"reason": "", "label": "calm"}"#, "field `answers` is missing"),
        ] {
            assert_eq!(labels(&read(&mood(), &[1, 2], text)), [reason, reason], "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cut_answer_gives_the_entries_that_are_whole(
            crosses in proptest::collection::vec(any::<bool>(), 1..12),
            cut in 0.0..=1.0f64,
        ) {
            let label = |cross: bool| if cross { "cross" } else { "calm" };
            let numbers: Vec<u32> = (0..crosses.len() as u32).map(|at| 3 * at + 1).collect();
            let entries: Vec<Value> = numbers.iter().zip(&crosses).map(|(number, cross)| entry(*number, label(*cross))).collect();
            let text = json!({ "answers": entries }).to_string();
            let kept: String = text.chars().take((text.len() as f64 * cut) as usize).collect();
            let read = read_cut(&mood(), &numbers, &kept);
            let whole = entries.iter().scan(r#"{"answers":["#.len(), |end, entry| {
                *end += entry.to_string().len() + 1;
                Some(*end - 1)
            });
            for ((end, answer), cross) in whole.zip(&read.answers).zip(&crosses) {
                match answer {
                    Ok(answer) => prop_assert!(end <= kept.len() && answer.fields["label"] == label(*cross)),
                    Err(reason) => prop_assert!(end > kept.len() && reason.contains("cut")),
                }
            }
        }
    }
}
