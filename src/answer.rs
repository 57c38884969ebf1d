//! From a model's text to a codebook's fields, or to the reason why it is no answer. Free and repeatable: it asks nobody.
//!
//! Only what cannot change a value is forgiven: a code fence, prose around the object, a trailing comma, a line break in a text that is not
//! escaped. Such an answer is marked as repaired. Evidence is checked against the session.

pub mod group;

use crate::codebook::{Codebook, Field, FieldKind};
use crate::session::{EventBody, Session};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::ops::Range;

/// How far the parts of a whole may be from 100 in sum, for rounding.
const SHARES_TOLERANCE: f64 = 1.0;

/// An answer in the codebook's form.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The fields, in the codebook's order, without evidence.
    pub fields: Map<String, Value>,
    /// The cited evidence, not yet checked.
    pub evidence: Vec<Citation>,
    /// What had to be forgiven, if anything.
    pub repaired: Option<&'static str>,
}

/// An event and words that a rater cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citation {
    /// Number of the event.
    pub event: i64,
    /// Words of the event.
    pub quote: String,
}

/// A citation and whether the transcript has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Number of the event.
    pub event: i64,
    /// Words of the event.
    pub quote: String,
    /// Whether the rater was shown that event and it holds these words. An event after a prompt is no evidence for it, also where it was shown
    /// because prompts share a request.
    pub found: bool,
}

/// Why a text is no answer. The message is for the model as much as for people: it is asked once more with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// There is no JSON object in it.
    #[error("there is no JSON object in the answer")]
    NoObject,
    /// The object is broken.
    #[error("the answer is not valid JSON: {0}")]
    Syntax(String),
    /// A field is missing.
    #[error("field `{0}` is missing")]
    Missing(String),
    /// A field is not in the codebook.
    #[error("field `{0}` is not asked for")]
    Unknown(String),
    /// A field's value is not of its type or outside its bounds.
    #[error("field `{field}` {problem}")]
    Value {
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// Reads the answer in `text`.
pub fn read(codebook: &Codebook, text: &str) -> Result<Answer, AnswerError> {
    let (object, repaired) = object(text)?;
    of_object(codebook, object, repaired)
}

/// Reads the answer that an object is.
fn of_object(
    codebook: &Codebook,
    mut object: Map<String, Value>,
    repaired: Option<&'static str>,
) -> Result<Answer, AnswerError> {
    let mut fields = Map::new();
    let mut evidence = Vec::new();
    for field in &codebook.fields {
        let value = match object.shift_remove(&field.name) {
            Some(value) => value,
            None if field.optional => Value::Null,
            None => return Err(AnswerError::Missing(field.name.clone())),
        };
        if value.is_null() && field.optional {
            fields.insert(field.name.clone(), Value::Null);
            continue;
        }
        let value = check(field, value).map_err(|problem| AnswerError::Value { field: field.name.clone(), problem })?;
        if let FieldKind::Evidence = field.kind {
            evidence.extend(serde_json::from_value::<Vec<Citation>>(value).map_err(|error| AnswerError::Value {
                field: field.name.clone(),
                problem: format!("must be a list of {{event, quote}}: {error}"),
            })?);
        } else {
            fields.insert(field.name.clone(), value);
        }
    }
    match object.keys().next() {
        Some(unknown) => Err(AnswerError::Unknown(unknown.clone())),
        None => Ok(Answer { fields, evidence, repaired }),
    }
}

/// Checks one value against its field; gives it in its normal form.
pub fn check(field: &Field, value: Value) -> Result<Value, String> {
    match &field.kind {
        FieldKind::Label(labels) => match &value {
            Value::String(label) if labels.contains(label) => Ok(value),
            other => Err(format!("is {other}; it must be one of {}", labels.names().join(", "))),
        },
        FieldKind::Labels(labels) => {
            let Value::Array(given) = &value else { return Err(format!("is {value}; it must be a list of labels")) };
            let mut names = Vec::new();
            for label in given {
                match label {
                    Value::String(label) if labels.contains(label) => names.push(label.clone()),
                    other => return Err(format!("holds {other}; known labels: {}", labels.names().join(", "))),
                }
            }
            // A set: each label once, in the codebook's order.
            let ordered = labels.names().into_iter().filter(|label| names.contains(label));
            Ok(Value::Array(ordered.map(Value::String).collect()))
        }
        FieldKind::Score(score) => {
            let bounds = format!("it must be a whole number from {} to {}", score.min, score.max);
            let number = whole(&value).ok_or_else(|| format!("is {value}; {bounds}"))?;
            if (score.min..=score.max).contains(&number) {
                Ok(Value::from(number))
            } else {
                Err(format!("is {number}; {bounds}"))
            }
        }
        FieldKind::Number => match value.as_f64() {
            Some(number) if number.is_finite() => Ok(value),
            _ => Err(format!("is {value}; it must be a number")),
        },
        FieldKind::Flag { .. } => match value {
            Value::Bool(_) => Ok(value),
            other => Err(format!("is {other}; it must be true or false")),
        },
        FieldKind::Text => match value {
            Value::String(_) => Ok(value),
            other => Err(format!("is {other}; it must be text")),
        },
        FieldKind::Shares(parts) => {
            let names: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
            let shares = members(&value, &names, |value| {
                value.as_f64().filter(|share| (0.0..=100.0).contains(share)).map(|_| value.clone())
            })
            .map_err(|problem| format!("{problem}; each part needs a percentage from 0 to 100"))?;
            let sum: f64 = shares.values().filter_map(Value::as_f64).sum();
            if (sum - 100.0).abs() > SHARES_TOLERANCE {
                return Err(format!("has parts that sum to {sum}; they must sum to 100"));
            }
            Ok(Value::Object(shares))
        }
        FieldKind::Criteria(criteria) => {
            let names: Vec<&str> = criteria.iter().map(|criterion| criterion.name.as_str()).collect();
            members(&value, &names, |value| value.as_bool().map(Value::Bool))
                .map(Value::Object)
                .map_err(|problem| format!("{problem}; each criterion needs true or false"))
        }
        FieldKind::Evidence => match value {
            Value::Array(_) => Ok(value),
            other => Err(format!("is {other}; it must be a list of {{event, quote}}")),
        },
    }
}

/// `85` and `85.0` are the same whole number; `"85"` and `85.5` are none.
fn whole(value: &Value) -> Option<i64> {
    value
        .as_i64()
        .or_else(|| value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15).map(|n| n as i64))
}

/// An object with exactly these members, in their order.
fn members(
    value: &Value,
    names: &[&str],
    accept: impl Fn(&Value) -> Option<Value>,
) -> Result<Map<String, Value>, String> {
    let Value::Object(given) = value else { return Err(format!("is {value}")) };
    if let Some(unknown) = given.keys().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("has an unknown part `{unknown}`"));
    }
    names
        .iter()
        .map(|name| {
            let value = given.get(*name).ok_or_else(|| format!("lacks `{name}`"))?;
            let value = accept(value).ok_or_else(|| format!("has `{name}` = {value}"))?;
            Ok(((*name).to_owned(), value))
        })
        .collect()
}

/// An object, and what had to be forgiven to read it.
type Mended = (Map<String, Value>, Option<&'static str>);

/// The JSON object in a text.
fn object(text: &str) -> Result<Mended, AnswerError> {
    let trimmed = text.trim();
    let syntax = match serde_json::from_str::<Value>(trimmed) {
        Ok(Value::Object(object)) => return Ok((object, None)),
        Ok(_) => return Err(AnswerError::NoObject),
        Err(error) => error,
    };
    let mut found: Option<(Mended, Range<usize>)> = None;
    let (mut broken, mut from) = (None, 0);
    while let Some(span) = balanced(trimmed, from) {
        from = span.end;
        match lenient(&trimmed[span.clone()]) {
            // Two objects would be two answers: nobody can say which one is meant.
            Ok(_) if found.is_some() => {
                return Err(AnswerError::Syntax("there is more than one JSON object".to_owned()));
            }
            Ok(mended) => found = Some((mended, span)),
            // Braces in prose are no answer; they are one's syntax error only if nothing else is there.
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    let Some(((object, mended), span)) = found else {
        let started = trimmed.contains('{');
        let reason = broken.unwrap_or(syntax);
        return Err(if started { AnswerError::Syntax(reason.to_string()) } else { AnswerError::NoObject });
    };
    // What follows might be a second answer that broke off.
    if trimmed[from..].contains('{') {
        return Err(AnswerError::Syntax("there is more than one JSON object".to_owned()));
    }
    let fenced = trimmed[..span.start].contains("```") && trimmed[span.end..].contains("```");
    let what = match (mended, fenced) {
        (Some(what), _) => what,
        (None, true) => "code fence removed",
        (None, false) => "text around the object removed",
    };
    Ok((object, Some(what)))
}

/// An object as it is, or mended, and what had to be done.
fn lenient(text: &str) -> Result<Mended, serde_json::Error> {
    match serde_json::from_str(text) {
        Ok(object) => Ok((object, None)),
        Err(error) => {
            let (text, what) = mended(text);
            serde_json::from_str(&text).map(|object| (object, what)).map_err(|_| error)
        }
    }
}

/// The span of the first balanced `{…}` at or after `from`, strings respected.
fn balanced(text: &str, from: usize) -> Option<Range<usize>> {
    let start = from + text[from..].find('{')?;
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return Some(start..at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Drops commas that stand directly before a closing bracket, outside strings, and escapes control characters within them: models that are
/// held to no grammar break lines in a text, and some servers' grammars let any character pass there.
fn mended(text: &str) -> (String, Option<&'static str>) {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut what) = (false, false, None);
    for (at, c) in text.char_indices() {
        match c {
            '\0'..' ' if in_string => {
                // A backslash before it has escaped nothing.
                out.push_str(if escaped { "\\" } else { "" });
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
                (escaped, what) = (false, what.or(Some("control characters in a text escaped")));
                continue;
            }
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            ',' if !in_string && text[at + 1..].trim_start().starts_with(['}', ']']) => {
                what = Some("trailing comma removed");
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    (out, what)
}

/// Checks citations: the event must have been shown, and its words must hold the quote, white space aside.
pub fn check_evidence(session: &Session, shown: &[u32], citations: Vec<Citation>) -> Vec<Evidence> {
    citations
        .into_iter()
        .map(|Citation { event, quote }| {
            let found = u32::try_from(event).is_ok_and(|number| {
                shown.binary_search(&number).is_ok()
                    && session
                        .events
                        .get((number as usize).wrapping_sub(1))
                        .is_some_and(|event| words(&event.body).iter().any(|text| holds(text, &quote)))
            });
            Evidence { event, quote, found }
        })
        .collect()
}

fn words(body: &EventBody) -> Vec<&str> {
    match body {
        EventBody::Prompt(prompt) => vec![&prompt.text],
        EventBody::Reply { text } | EventBody::Injected { text, .. } | EventBody::ClientError { text } => vec![text],
        EventBody::ToolCall(call) => vec![&call.name, &call.input],
        EventBody::ToolResult(result) => vec![&result.text],
        EventBody::Compaction { summary } => vec![summary],
        EventBody::Commit { hash, subject } => vec![hash, subject],
        EventBody::Interruption { .. } | EventBody::Rewind { .. } => vec![],
    }
}

/// Whether `text` holds `quote`; an ellipsis in the quote stands for words left out.
fn holds(text: &str, quote: &str) -> bool {
    let normal = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = normal(text);
    let quote = normal(quote.trim_matches(['"', '“', '”', '\'']));
    let mut pieces =
        quote.split("...").flat_map(|piece| piece.split('…')).map(str::trim).filter(|piece| !piece.is_empty());
    let mut from = 0;
    let mut any = false;
    let in_order = pieces.all(|piece| match text[from..].find(piece) {
        Some(at) => {
            any = true;
            from += at + piece.len();
            true
        }
        None => false,
    });
    in_order && any
}

#[cfg(test)]
mod tests;
