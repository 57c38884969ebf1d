//! A plain chat: roles and contents as providers write them, alone on a line or as a document.

use super::{FAILURE, FIRST, Form, LAST, README, STEERING, TOKENS, Telling, whole, with};
use serde_json::{Value, json};

/// The story as the one line of a file.
pub fn line() -> Telling {
    let facts = json!({ "id": "parser-line", "model": "some-model" });
    let form = Form::Document { file: "talks.jsonl", facts, list: "messages", elements: messages(), pretty: false };
    Telling { name: "chat line", id: "chat:parser-line", form, says: says() }
}

/// The story as a document.
pub fn document() -> Telling {
    let facts = json!({ "id": "parser-talk", "model": "some-model" });
    let form = Form::Document { file: "talk.json", facts, list: "messages", elements: messages(), pretty: true };
    Telling { name: "chat document", id: "chat:parser-talk", form, says: says() }
}

/// A chat does not know who ended what.
fn says() -> Value {
    with(whole(), json!({ "interruptions": 0, "rejected_tools": 0, "compactions": 0 }))
}

fn messages() -> Vec<Value> {
    let user = |text: &str| json!({ "role": "user", "content": text });
    let result = |id: &str, failed: bool, text: &str| json!({ "role": "tool", "tool_call_id": id, "is_error": failed, "content": text });
    vec![
        json!({ "role": "system", "content": "Be brief." }),
        user(FIRST),
        answer(0, "I start with the lexer.", "c1", "shell", json!({ "command": "cargo test" })),
        result("c1", true, FAILURE),
        user(STEERING),
        answer(1, "", "c2", "edit", json!({ "path": "src/lexer.rs", "old_string": "a", "new_string": "b" })),
        result("c2", false, "refused"),
        user(LAST),
        answer(2, "", "c3", "read", json!({ "path": "README.md" })),
        result("c3", false, README),
    ]
}

fn answer(answer: usize, text: &str, id: &str, tool: &str, arguments: Value) -> Value {
    let [input, read, written, output, reasoning] = TOKENS[answer];
    json!({
        "role": "assistant",
        "content": text,
        "tool_calls": [{ "id": id, "type": "function", "function": { "name": tool, "arguments": arguments.to_string() } }],
        "usage": { "input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
                   "output_tokens": output, "output_tokens_details": { "reasoning_tokens": reasoning } },
    })
}
