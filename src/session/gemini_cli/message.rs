//! Takes a message as Gemini CLI wrote it; gives its parts with tolerant types.

use crate::session::arguments::Arguments;
use crate::session::value::{flat_text, number_of, text_of, time_of};
use crate::usage::Usage;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// One message of the conversation, or a note of the screen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    pub id: Option<String>,
    pub at: Option<Timestamp>,
    pub author: Author,
    /// What the model saw or wrote.
    pub content: Content,
    /// What was typed, where that differs from what the model saw.
    pub display: Option<Content>,
    pub model: Option<String>,
    pub tokens: Option<Usage>,
    pub calls: Vec<Call>,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Author {
    User,
    Agent,
    /// The client, on the screen only.
    Info,
    /// The client, about something unusual.
    Warning,
    /// The client, about a failure.
    Error,
    /// A type that is not known.
    Unknown(String),
}

/// The parts of a content, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub texts: Vec<String>,
    pub images: u32,
    pub calls: Vec<Call>,
    pub responses: Vec<Response>,
    /// Kinds of parts that are not known.
    pub unknown: Vec<String>,
}

/// What a part can hold.
const PARTS: [&str; 9] = [
    "text",
    "thought",
    "thoughtSignature",
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
];

/// A tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub id: Option<String>,
    pub name: String,
    pub arguments: Arguments,
    /// How far it got, by the client's account.
    pub status: Option<String>,
    /// When that was.
    pub at: Option<Timestamp>,
    pub response: Option<Response>,
}

/// What a tool gave back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    pub id: Option<String>,
    pub text: String,
    /// Whether it is called an error.
    pub is_error: bool,
}

impl Message {
    pub(super) fn from_json(message: &Map<String, Value>) -> Message {
        let kind = text_of(message.get("type").or_else(|| message.get("role"))).unwrap_or_default();
        let author = match kind.as_str() {
            "user" => Author::User,
            "gemini" | "model" | "assistant" => Author::Agent,
            "info" => Author::Info,
            "warning" => Author::Warning,
            "error" => Author::Error,
            "" => Author::Unknown(String::from("without a type")),
            _ => Author::Unknown(kind),
        };
        let content = message.get("content").or_else(|| message.get("parts"));
        let calls = message.get("toolCalls").and_then(Value::as_array);
        Message {
            id: text_of(message.get("id")),
            at: time_of(message.get("timestamp")),
            author,
            content: content.map(Content::from_json).unwrap_or_default(),
            display: message.get("displayContent").filter(|display| !display.is_null()).map(Content::from_json),
            model: text_of(message.get("model")),
            tokens: message.get("tokens").and_then(usage),
            calls: calls.into_iter().flatten().filter_map(Value::as_object).map(Call::from_json).collect(),
        }
    }

    /// The calls of the message, in order: from the client's account, else from what the model wrote.
    pub(super) fn calls(&self) -> &[Call] {
        if self.calls.is_empty() { &self.content.calls } else { &self.calls }
    }
}

impl Content {
    fn from_json(value: &Value) -> Content {
        let mut content = Content::default();
        match value {
            Value::Array(parts) => parts.iter().for_each(|part| content.add(part)),
            part => content.add(part),
        }
        content
    }

    fn add(&mut self, part: &Value) {
        let Value::Object(object) = part else {
            return self.texts.extend(text_of(Some(part)));
        };
        if object.get("thought").and_then(Value::as_bool) == Some(true) {
            return;
        }
        if let Some(kind) = object.keys().next().filter(|_| !PARTS.iter().any(|part| object.contains_key(*part))) {
            self.unknown.push(format!("part.{kind}"));
        }
        self.texts.extend(text_of(object.get("text")));
        if let Some(call) = object.get("functionCall").and_then(Value::as_object) {
            self.calls.push(Call::from_json(call));
        }
        if let Some(response) = object.get("functionResponse") {
            self.responses.push(Response::from_json(response));
        }
        let media = object.get("inlineData").or_else(|| object.get("fileData"));
        let kind = media.and_then(|media| text_of(media.get("mimeType")));
        self.images += u32::from(kind.is_some_and(|kind| kind.starts_with("image/")));
    }

    /// The texts as one.
    pub(super) fn text(&self) -> String {
        self.texts.join("\n")
    }
}

impl Call {
    fn from_json(call: &Map<String, Value>) -> Call {
        let name = text_of(call.get("name")).unwrap_or_default();
        let result = call.get("result").filter(|result| !result.is_null());
        let shown = || {
            let text = text_of(call.get("resultDisplay"))?;
            Some(Response { id: None, text, is_error: false })
        };
        Call {
            id: text_of(call.get("id")),
            arguments: Arguments::read(&name, call.get("args").unwrap_or(&Value::Null)),
            name,
            status: text_of(call.get("status")),
            at: time_of(call.get("timestamp")),
            response: result.and_then(Response::from_result).or_else(shown),
        }
    }
}

impl Response {
    fn from_json(response: &Value) -> Response {
        let inner = response.get("response");
        let error = inner.and_then(|inner| inner.get("error")).filter(|error| !error.is_null());
        Response {
            id: text_of(response.get("id")),
            text: error.or(inner).map(flat_text).unwrap_or_default(),
            is_error: error.is_some(),
        }
    }

    /// The result of a call: parts of which the first that is a response counts, or a text.
    fn from_result(result: &Value) -> Option<Response> {
        let parts = match result {
            Value::Array(parts) => parts.as_slice(),
            part => std::slice::from_ref(part),
        };
        let response = parts.iter().find_map(|part| part.get("functionResponse"));
        response.map(Response::from_json).or_else(|| {
            let text = flat_text(result);
            (!text.is_empty()).then_some(Response { id: None, text, is_error: false })
        })
    }
}

/// Tokens as Gemini books them: the cached ones are a part of the input, thoughts stand beside the output, and what tools added
/// to the prompt stands beside the input.
fn usage(tokens: &Value) -> Option<Usage> {
    let count = |key| number_of(tokens.get(key));
    let (input, output) = (count("input"), count("output"));
    input.or(output)?;
    let input = input.unwrap_or(0);
    let cached_input = count("cached").unwrap_or(0).min(input);
    let reasoning = count("thoughts").unwrap_or(0);
    Some(Usage {
        input: (input - cached_input).saturating_add(count("tool").unwrap_or(0)),
        cached_input,
        cache_write: 0,
        output: output.unwrap_or(0).saturating_add(reasoning),
        reasoning,
    })
}
