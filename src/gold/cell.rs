//! A cell of a gold file: from a field's value to its text and back.

use crate::answer;
use crate::codebook::{Field, FieldKind};
use serde_json::{Map, Value};

/// What stands for none of several labels; an empty cell is a missing answer.
const NONE_OF_THEM: &str = ";";

/// A cell's value, or what is wrong with it. Unlike a model's, a gold score may be a fraction: it can be the mean of two humans.
pub fn parse(field: &Field, text: &str) -> Result<Value, String> {
    let pairs = || -> Result<Map<String, Value>, String> {
        let mut pairs = Map::new();
        for pair in text.split(';') {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| format!("is `{text}`; expected name=value;name=value"))?;
            let value = serde_json::from_str(value.trim()).map_err(|_| format!("has `{pair}`, which is no value"))?;
            if pairs.insert(name.trim().to_owned(), value).is_some() {
                return Err(format!("has `{}` twice", name.trim()));
            }
        }
        Ok(pairs)
    };
    let value = match &field.kind {
        FieldKind::Text => return Ok(Value::String(text.to_owned())),
        FieldKind::Label(_) => Value::String(text.to_owned()),
        FieldKind::Labels(_) if text.trim() == NONE_OF_THEM => Value::Array(Vec::new()),
        FieldKind::Labels(_) => text.split(';').map(|label| Value::String(label.trim().to_owned())).collect(),
        FieldKind::Score(score) => {
            let number: f64 = text.parse().map_err(|_| format!("is `{text}`, which is no number"))?;
            if !(score.min as f64..=score.max as f64).contains(&number) {
                return Err(format!("is {text}; it must be from {} to {}", score.min, score.max));
            }
            return Ok(Value::from(number));
        }
        FieldKind::Number => {
            text.parse::<f64>().map(Value::from).map_err(|_| format!("is `{text}`, which is no number"))?
        }
        FieldKind::Flag { .. } => {
            serde_json::from_str(text).map_err(|_| format!("is `{text}`; expected true or false"))?
        }
        FieldKind::Shares(_) | FieldKind::Criteria(_) => Value::Object(pairs()?),
        FieldKind::Evidence => return Err("cannot be in a gold file".to_owned()),
    };
    answer::check(field, value)
}

/// The text of a cell that [`parse`] reads as `value`; empty for `null`. An error says what is wrong with the value, as `parse` would.
pub fn write(field: &Field, value: &Value) -> Result<String, String> {
    if value.is_null() {
        return Ok(String::new());
    }
    let meant = normal(field, value)?;
    let text = match &meant {
        Value::String(text) => text.clone(),
        Value::Array(labels) if labels.is_empty() => NONE_OF_THEM.to_owned(),
        Value::Array(labels) => {
            let names: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
            names.join(";")
        }
        Value::Object(parts) => {
            let pairs: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            pairs.join(";")
        }
        other => plain(other),
    };
    if text.is_empty() {
        return Ok(text);
    }
    if same(&parse(field, &text)?, &meant) {
        Ok(text)
    } else {
        Err(format!("is {value}, which a cell of a gold file cannot hold"))
    }
}

/// Whether two values are the same answer: `40` and `40.0` are.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The value in the form in which it is read back: several labels as a set in the codebook's order.
fn normal(field: &Field, value: &Value) -> Result<Value, String> {
    match (&field.kind, value.as_f64()) {
        (FieldKind::Score(_), Some(number)) => Ok(Value::from(number)),
        (FieldKind::Score(_), None) => Err(format!("is {value}; it must be a number")),
        _ => answer::check(field, value.clone()),
    }
}

/// A number without a needless `.0`, else JSON.
fn plain(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => format!("{number:.0}"),
        Some(number) => number.to_string(),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codebook::Codebook;
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::LazyLock;

    fn field(name: &str) -> &'static Field {
        static CODEBOOK: LazyLock<Codebook> = LazyLock::new(Codebook::with_every_type);
        CODEBOOK.field(name).expect("the sample has it")
    }

    #[test]
    fn every_type_of_value_has_a_cell_that_is_read_back() {
        for (name, value, cell) in [
            ("reason", json!("because, \"so\"\nand so"), "because, \"so\"\nand so"),
            ("label", json!("yes"), "yes"),
            ("topics", json!(["db", "ui"]), "ui;db"),
            ("topics", json!([]), ";"),
            ("score", json!(7), "7"),
            ("score", json!(6.5), "6.5"),
            ("hours", json!(1e-7), "0.0000001"),
            ("urgent", json!(false), "false"),
            ("phases", json!({ "reading": 33.5, "writing": 66.5 }), "reading=33.5;writing=66.5"),
            ("phases", json!({ "reading": 40.0, "writing": 60 }), "reading=40;writing=60"),
            ("checks", json!({ "tests_run": true, "committed": false }), "tests_run=true;committed=false"),
            ("hours", Value::Null, ""),
        ] {
            assert_eq!(write(field(name), &value).as_deref(), Ok(cell), "{name}");
        }
        assert_eq!(parse(field("topics"), ";"), Ok(json!([])));
    }

    #[test]
    fn what_is_no_answer_gets_no_cell() {
        for (name, value) in [
            ("label", json!("maybe")),
            ("label", json!(1)),
            ("topics", json!(["ui", "net"])),
            ("topics", json!([1])),
            ("score", json!(11)),
            ("score", json!("7")),
            ("urgent", json!("yes")),
            ("phases", json!({ "reading": 10, "writing": 20 })),
            ("phases", json!({ "reading": 100 })),
            ("checks", json!({ "tests_run": "true", "committed": false })),
            ("proof", json!("x")),
        ] {
            assert!(write(field(name), &value).is_err(), "{name}: {value}");
        }
    }

    proptest! {
        #[test]
        fn numbers_survive_their_cell(score in 0.0f64..=10.0, hours in -1e12f64..1e12) {
            for (name, number) in [("score", score), ("hours", hours)] {
                let cell = write(field(name), &json!(number)).unwrap();
                prop_assert_eq!(parse(field(name), &cell).unwrap().as_f64(), Some(number));
            }
        }
    }
}
