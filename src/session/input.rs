//! Takes a tool call's arguments as a transcript has them; gives what the call does, as one text.

use super::value::text_of;
use serde_json::{Map, Value};

/// What a tool call does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// The command, the path, the pattern; else the arguments as compact JSON.
    pub text: String,
    /// The argument `command`: what a shell tool runs, or which of its commands an editor tool carries out.
    pub command: Option<String>,
}

/// Arguments that say it all, if there is no other.
const TELLING: [&str; 10] =
    ["path", "file_path", "target_file", "filePath", "pattern", "query", "url", "input", "patch", "prompt"];

/// Reads arguments: an object, or a string that may hold one as JSON.
pub(super) fn input(arguments: Option<&Value>) -> Input {
    match arguments {
        Some(Value::Object(arguments)) => from_object(arguments),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(Value::Object(arguments)) => from_object(&arguments),
            _ => Input { text: text.clone(), command: None },
        },
        None | Some(Value::Null) => Input::default(),
        Some(other) => Input { text: other.to_string(), command: None },
    }
}

fn from_object(arguments: &Map<String, Value>) -> Input {
    let command = arguments.get("command").or_else(|| arguments.get("cmd")).and_then(command_line);
    // Beside a path, a command is not what a shell runs.
    let is_shells = !arguments.contains_key("path");
    if let Some(command) = command.as_ref().filter(|_| is_shells) {
        return Input { text: command.clone(), command: Some(command.clone()) };
    }
    let mut given = arguments.iter().filter(|(_, value)| !value.is_null());
    let text = match (given.next(), given.next()) {
        (None, _) => String::new(),
        (Some((key, value)), None) if TELLING.contains(&key.as_str()) => {
            text_of(Some(value)).unwrap_or_else(|| value.to_string())
        }
        _ => Value::Object(arguments.clone()).to_string(),
    };
    Input { text, command }
}

/// A command line: a string, or the words of one.
fn command_line(value: &Value) -> Option<String> {
    match value {
        Value::Array(words) => {
            let words: Vec<String> = words.iter().filter_map(|word| text_of(Some(word))).collect();
            (!words.is_empty()).then(|| words.join(" "))
        }
        _ => text_of(Some(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_is_the_telling_argument_or_all_of_them() {
        for (arguments, text, command) in [
            (json!({ "command": "ls -l", "description": "List" }), "ls -l", Some("ls -l")),
            (json!("{\"cmd\":[\"ls\",\"-l\"]}"), "ls -l", Some("ls -l")),
            (json!({ "path": "a.rs", "view_range": null }), "a.rs", None),
            (json!({ "command": "view", "path": "a.rs" }), r#"{"command":"view","path":"a.rs"}"#, Some("view")),
            (json!({ "a": 1 }), r#"{"a":1}"#, None),
            (json!("*** Begin Patch"), "*** Begin Patch", None),
            (json!({}), "", None),
            (json!(null), "", None),
            (json!([1]), "[1]", None),
        ] {
            let input = input(Some(&arguments));
            assert_eq!((input.text.as_str(), input.command.as_deref()), (text, command), "{arguments}");
        }
    }
}
