//! Takes the content of a chat message in the shapes that providers and clients write; gives its parts.
//!
//! A content is a string or a list of parts; calls and results are parts of it, or stand beside it (`tool_calls`).

use super::ToolOutcome;
use super::input::{Input, input};
use super::value::{flat_text, text_of};
use serde_json::{Map, Value};

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// Words.
    Text(String),
    /// A picture.
    Image,
    /// A tool call.
    Call(Call),
    /// What a tool call gave back.
    Result { id: Option<String>, outcome: ToolOutcome, text: String },
    /// What is no part of the conversation that a rater sees: thoughts, sounds, files.
    Silent,
    /// A part of a type that is not known, with its words.
    Unknown(String, String),
}

/// A tool call as a message has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub id: Option<String>,
    pub name: String,
    pub input: Input,
}

/// The parts of a message's `content`.
pub(super) fn parts(content: Option<&Value>) -> Vec<Part> {
    match content {
        Some(Value::Array(parts)) => parts.iter().map(part).collect(),
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(_)) => content.into_iter().map(part).collect(),
        Some(text) => text_of(Some(text)).map(Part::Text).into_iter().collect(),
    }
}

/// The calls that stand beside a message's content: `tool_calls`, or the older `function_call`.
pub(super) fn calls(message: &Map<String, Value>) -> Vec<Part> {
    match (message.get("tool_calls"), message.get("function_call")) {
        (Some(Value::Array(calls)), _) => {
            calls.iter().filter_map(Value::as_object).map(|entry| Part::Call(call(entry))).collect()
        }
        (_, Some(Value::Object(entry))) => vec![Part::Call(call(entry))],
        _ => Vec::new(),
    }
}

/// A result from an object that has one: a part, or a whole message of a tool.
pub(super) fn result(object: &Map<String, Value>) -> Part {
    let id = first_of(object, &["tool_call_id", "tool_use_id", "toolCallId", "call_id"]);
    let is_true = |key| object.get(key) == Some(&Value::Bool(true));
    let says_error = |key| matches!(object.get(key).and_then(Value::as_str), Some("error" | "failed"));
    let failed = is_true("is_error") || is_true("isError") || says_error("status") || says_error("finish_reason");
    let outcome = if failed { ToolOutcome::Failed } else { ToolOutcome::Ok };
    let told = ["content", "output", "result", "text"].iter().find_map(|key| object.get(*key));
    Part::Result { id, outcome, text: told.map(flat_text).unwrap_or_default() }
}

fn part(value: &Value) -> Part {
    let Value::Object(object) = value else {
        return text_of(Some(value)).map_or(Part::Silent, Part::Text);
    };
    let kind = first_of(object, &["type"]).unwrap_or_else(|| String::from("text"));
    let text = || first_of(object, &["text", "refusal"]).unwrap_or_default();
    match kind.as_str() {
        "text" | "input_text" | "output_text" | "refusal" => Part::Text(text()),
        "image" | "image_url" | "input_image" => Part::Image,
        "tool_use" | "tool_call" | "tool-call" | "function_call" => Part::Call(call(object)),
        "tool_result" | "tool-result" | "function_call_output" => result(object),
        "thinking" | "reasoning" | "redacted_thinking" | "redacted_reasoning" | "reasoning_content" | "file"
        | "document" | "audio" | "input_audio" | "input_file" | "video" => Part::Silent,
        _ => Part::Unknown(kind, text()),
    }
}

/// A call: flat, or with its name and arguments within `function`.
fn call(object: &Map<String, Value>) -> Call {
    let function = object.get("function").and_then(Value::as_object).unwrap_or(object);
    let arguments = ["input", "arguments", "args", "parameters"].iter().find_map(|key| function.get(*key));
    Call {
        id: first_of(object, &["id", "tool_call_id", "toolCallId", "call_id"]),
        name: first_of(function, &["name", "toolName", "tool_name"]).unwrap_or_default(),
        input: input(arguments),
    }
}

/// The first text that is there and not empty.
fn first_of(object: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| text_of(object.get(*key)).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(part: &Part) -> String {
        match part {
            Part::Text(text) => format!("text {text}"),
            Part::Call(call) => format!("call {:?} {} {}", call.id.as_deref(), call.name, call.input.text),
            Part::Result { id, outcome, text } => format!("result {:?} {outcome:?} {text}", id.as_deref()),
            Part::Unknown(kind, text) => format!("unknown {kind} {text}"),
            Part::Image | Part::Silent => format!("{part:?}"),
        }
    }

    #[test]
    fn content_is_read_in_the_shapes_of_many_clients() {
        for (content, expected) in [
            (json!("words"), vec!["text words"]),
            (json!(null), vec![]),
            (json!(["a", { "text": "b" }]), vec!["text a", "text b"]),
            (json!([{ "type": "input_text", "text": "a" }, { "type": "image_url" }]), vec!["text a", "Image"]),
            (json!([{ "type": "thinking", "thinking": "hm" }]), vec!["Silent"]),
            (json!([{ "type": "refusal", "refusal": "no" }]), vec!["text no"]),
            (json!([{ "type": "new", "text": "x" }]), vec!["unknown new x"]),
            (
                json!([{ "type": "tool_use", "id": "1", "name": "Bash", "input": { "command": "ls" } }]),
                vec!["call Some(\"1\") Bash ls"],
            ),
            (
                json!([{ "type": "tool-call", "toolCallId": "1", "toolName": "Bash", "args": { "command": "ls" } }]),
                vec!["call Some(\"1\") Bash ls"],
            ),
            (
                json!([{ "type": "tool_result", "tool_use_id": "1", "is_error": true, "content": [{ "type": "text", "text": "no" }] }]),
                vec!["result Some(\"1\") Failed no"],
            ),
        ] {
            let found: Vec<String> = parts(Some(&content)).iter().map(told).collect();
            assert_eq!(found, expected, "{content}");
        }
    }

    #[test]
    fn calls_beside_the_content_are_read() {
        let arguments = json!({ "name": "shell", "arguments": "{\"command\":\"pwd\"}" });
        for message in [
            json!({ "tool_calls": [{ "id": "1", "type": "function", "function": arguments }] }),
            json!({ "function_call": { "id": "1", "name": "shell", "arguments": { "command": "pwd" } } }),
        ] {
            let calls = calls(message.as_object().expect("a message is an object"));
            assert_eq!(calls.iter().map(told).collect::<Vec<_>>(), ["call Some(\"1\") shell pwd"], "{message}");
        }
    }
}
