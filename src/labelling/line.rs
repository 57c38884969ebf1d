//! What a person types in a terminal: from a line to what it means for the unit at hand. The same keys as on the page.

use super::question::{Choice, Form, Question};
use crate::codebook::Codebook;
use crate::gold::cell;
use serde_json::{Map, Value};

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// Save what is there, and go on.
    Save,
    /// Put the unit off.
    Skip,
    /// Take the last answer or skip back.
    Undo,
    /// End.
    Quit,
    /// Tell the definitions and the keys.
    Help,
    /// Show the very text that a model gets.
    Exact,
    /// The next or the previous unit.
    Move(isize),
    /// The unit at this place, from 1.
    Go(usize),
    /// A note; an empty one clears it.
    Note(String),
    /// Words of an event, as evidence.
    Cite(i64, String),
    /// A field's value; `null` clears it.
    Set(String, Value),
}

/// Reads a line. `fields` are the unit's answers so far: some keys turn an answer over.
pub fn read(question: &Question, codebook: &Codebook, fields: &Map<String, Value>, text: &str) -> Result<Line, String> {
    let text = text.trim();
    let (first, rest) = text.split_once(' ').map_or((text, ""), |(first, rest)| (first, rest.trim()));
    match (first, rest) {
        ("", _) => return Ok(Line::Save),
        ("s", "") => return Ok(Line::Skip),
        ("u", "") => return Ok(Line::Undo),
        ("q", "") => return Ok(Line::Quit),
        ("?", "") => return Ok(Line::Help),
        ("v", "") => return Ok(Line::Exact),
        ("j", "") => return Ok(Line::Move(1)),
        ("k", "") => return Ok(Line::Move(-1)),
        ("n", note) => return Ok(Line::Note(note.to_owned())),
        ("g", place) => {
            let place = place.parse().map_err(|_| "write g and the unit's number, such as g 12".to_owned())?;
            return Ok(Line::Go(place));
        }
        ("cite", cited) => {
            let (event, quote) = cited.split_once(' ').unwrap_or((cited, ""));
            return match event.trim_matches(['[', ']']).parse() {
                Ok(event) if !quote.trim().is_empty() => Ok(Line::Cite(event, quote.trim().to_owned())),
                _ => Err("write cite, the event's number and its words, such as cite 12 that is wrong".to_owned()),
            };
        }
        _ => {}
    }
    if let Some(found) = by_key(question, fields, text) {
        return Ok(found);
    }
    if let Some((name, value)) = text.split_once('=')
        && let Some(field) = codebook.field(name.trim())
    {
        let value = value.trim();
        if value.is_empty() {
            return Ok(Line::Set(field.name.clone(), Value::Null));
        }
        let value = cell::parse(field, value).map_err(|problem| format!("`{}` {problem}", field.name))?;
        return Ok(Line::Set(field.name.clone(), value));
    }
    // Without a name, it is for the first field that can hold it.
    let typed = |form: &&Form| ["label", "score", "number", "shares", "criteria"].contains(&form.kind);
    let fitting =
        question.fields.iter().filter(typed).filter_map(|form| codebook.field(&form.name)).find_map(|field| {
            let value = cell::parse(field, text).ok()?;
            Some(Line::Set(field.name.clone(), value))
        });
    fitting.ok_or_else(|| format!("`{text}` is no key and no answer here; ? tells what there is"))
}

/// What a key does: sets a label, turns one of several labels, a flag or a criterion over.
fn by_key(question: &Question, fields: &Map<String, Value>, text: &str) -> Option<Line> {
    let mut typed = text.chars();
    let key = typed.next().filter(|_| typed.next().is_none())?;
    for form in &question.fields {
        let now = fields.get(&form.name);
        let set = |value: Value| Some(Line::Set(form.name.clone(), value));
        if form.kind == "flag" && form.key == Some(key) {
            return set(Value::Bool(now != Some(&Value::Bool(true))));
        }
        let Some(Choice { name, .. }) = form.choices.iter().find(|choice| choice.key == Some(key)) else { continue };
        match form.kind {
            "label" => return set(Value::String(name.clone())),
            "labels" => {
                let mut names: Vec<Value> = now.and_then(Value::as_array).cloned().unwrap_or_default();
                match names.iter().position(|one| one == name.as_str()) {
                    Some(at) => drop(names.remove(at)),
                    None => names.push(Value::String(name.clone())),
                }
                return set(Value::Array(names));
            }
            "criteria" => {
                let mut met = now.and_then(Value::as_object).cloned().unwrap_or_default();
                let turned = met.get(name) != Some(&Value::Bool(true));
                for choice in &form.choices {
                    met.entry(choice.name.clone()).or_insert(Value::Bool(false));
                }
                met.insert(name.clone(), Value::Bool(turned));
                return set(Value::Object(met));
            }
            _ => {}
        }
    }
    None
}

/// One line about the fields and their keys, with what is there so far.
pub fn prompt(question: &Question, codebook: &Codebook, fields: &Map<String, Value>) -> String {
    let mut parts = Vec::new();
    for form in question.fields.iter().filter(|form| form.kind != "evidence") {
        let now = fields.get(&form.name).filter(|value| !value.is_null());
        let said = now.zip(codebook.field(&form.name)).and_then(|(value, field)| cell::write(field, value).ok());
        let keys: Vec<String> =
            (form.choices.iter()).filter_map(|choice| Some(format!("{} {}", choice.key?, choice.name))).collect();
        let form_key = form.key.filter(|_| form.kind == "flag").map(|key| format!("{key} yes/no"));
        let hint = match (&said, form.kind) {
            (Some(said), _) => said.clone(),
            (None, "score") => form.range.map_or(String::new(), |(min, max)| format!("{min} to {max}")),
            (None, "shares") => {
                let names: Vec<String> = form.choices.iter().map(|part| format!("{}=", part.name)).collect();
                names.join(";")
            }
            (None, "text" | "number") => format!("{}=…", form.name),
            (None, "flag") => form_key.unwrap_or_default(),
            (None, _) => keys.join(" · "),
        };
        let optional = if form.required { "" } else { ", optional" };
        parts.push(format!("  {}{optional}: {hint}", form.name));
    }
    parts.join("\n")
}

/// The definitions, and what can be typed.
pub fn help(question: &Question) -> String {
    let mut text = String::new();
    for form in &question.fields {
        text.push_str(&format!("{} ({}): {}\n", form.name, form.kind, form.description));
        for choice in &form.choices {
            let key = choice.key.map_or(String::new(), |key| format!("{key} "));
            text.push_str(&format!("  {key}{}: {}\n", choice.name, choice.definition));
            choice.examples.iter().for_each(|example| text.push_str(&format!("      “{example}”\n")));
        }
        for band in &form.bands {
            text.push_str(&format!("  {} to {}: {}\n", band.from, band.to, band.definition));
        }
    }
    text.push_str(
        "a key or a label · FIELD=VALUE as in a gold file · cite EVENT WORDS · n NOTE · Enter saves · s skip · u undo · j next · k previous · \
         g NUMBER · v the exact text that a model gets · q quit\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_names_and_cells_say_the_same_as_on_the_page() {
        let codebook = Codebook::with_every_type();
        let question = Question::of(&codebook);
        let mut fields = json!({ "topics": ["ui"] }).as_object().unwrap().clone();
        let set = |name: &str, value: Value| Ok(Line::Set(name.to_owned(), value));
        let flag = question.fields.iter().find(|form| form.kind == "flag").unwrap().key.unwrap();
        let key_of = |name: &str| {
            let choices = question.fields.iter().flat_map(|form| &form.choices);
            choices.filter(|choice| choice.name == name).find_map(|choice| choice.key).unwrap().to_string()
        };
        for (typed, meant) in [
            ("", Ok(Line::Save)),
            (" s ", Ok(Line::Skip)),
            ("n  hm, well", Ok(Line::Note("hm, well".to_owned()))),
            ("n", Ok(Line::Note(String::new()))),
            ("g 12", Ok(Line::Go(12))),
            ("cite [3] so it is", Ok(Line::Cite(3, "so it is".to_owned()))),
            ("2", set("label", json!("yes"))),
            ("yes", set("label", json!("yes"))),
            (&key_of("db"), set("topics", json!(["ui", "db"]))),
            (&key_of("ui"), set("topics", json!([]))),
            (&key_of("committed"), set("checks", json!({ "tests_run": false, "committed": true }))),
            (&flag.to_string(), set("urgent", json!(true))),
            ("score=7", set("score", json!(7.0))),
            ("score=", set("score", Value::Null)),
            ("reading=40;writing=60", set("phases", json!({ "reading": 40, "writing": 60 }))),
            ("phases=reading=40;writing=60", set("phases", json!({ "reading": 40, "writing": 60 }))),
            ("reason=it is = so", set("reason", json!("it is = so"))),
        ] {
            assert_eq!(read(&question, &codebook, &fields, typed), meant, "{typed:?}");
        }
        fields.insert("urgent".to_owned(), json!(true));
        assert_eq!(read(&question, &codebook, &fields, &flag.to_string()), set("urgent", json!(false)));
        for wrong in ["score=11", "maybe", "cite 3", "g x", "label=loud"] {
            assert!(read(&question, &codebook, &fields, wrong).is_err(), "{wrong}");
        }
        assert!(prompt(&question, &codebook, &fields).contains("label: 1 no · 2 yes · 3 on"));
        assert!(help(&question).contains("1 no: It does not."));
    }
}
