//! Gemini CLI: one document, later JSON lines in which a message is written again when more of it is known.

use super::{FAILURE, FIRST, Form, LAST, README, STEERING, SUMMARY, TOKENS, Telling, at, whole, with};
use serde_json::{Value, json};

/// The story as JSON lines.
pub fn lines() -> Telling {
    let mut rows = vec![facts(1)];
    for message in messages() {
        if message["toolCalls"].is_array() {
            let mut before = message.clone();
            before["tokens"] = Value::Null;
            before["toolCalls"] = json!([]);
            rows.push(before);
        }
        rows.push(message);
        rows.push(json!({ "$set": { "lastUpdated": at(50) } }));
    }
    Telling {
        name: "gemini_cli lines",
        id: "gemini_cli:6e61c0de-0000-4000-8000-000000000001",
        form: Form::Lines("session-2026-05-01T10-00-6e61c0de.jsonl", rows),
        says: says(),
    }
}

/// The story as a document.
pub fn document() -> Telling {
    let form = Form::Document {
        file: "session-2026-05-01T10-00-6e61c0de.json",
        facts: facts(2),
        list: "messages",
        elements: messages(),
        pretty: true,
    };
    Telling { name: "gemini_cli document", id: "gemini_cli:6e61c0de-0000-4000-8000-000000000002", form, says: says() }
}

/// It does not count what is written to a cache.
fn says() -> Value {
    with(whole(), json!({ "usage": { "cache_write": 0 } }))
}

fn facts(number: u32) -> Value {
    json!({ "sessionId": format!("6e61c0de-0000-4000-8000-00000000000{number}"), "projectHash": "5f0c", "startTime": at(0), "lastUpdated": at(50), "kind": "main" })
}

fn messages() -> Vec<Value> {
    let failure = format!("Command: cargo test\nDirectory: (root)\nOutput: {FAILURE}\nExit Code: 101");
    let refusal = "[Operation Cancelled] Reason: User did not allow tool call";
    vec![
        message("m1", 1, "user", json!([{ "text": FIRST }])),
        answer(
            "m2",
            4,
            0,
            "I start with the lexer.",
            call(
                "c1",
                9,
                "run_shell_command",
                json!({ "command": "cargo test" }),
                "success",
                json!({ "output": failure }),
            ),
        ),
        message("m3", 10, "user", json!(STEERING)),
        answer(
            "m4",
            14,
            1,
            "",
            call(
                "c2",
                20,
                "replace",
                json!({ "file_path": "src/lexer.rs", "old_string": "a", "new_string": "b" }),
                "cancelled",
                json!({ "error": refusal }),
            ),
        ),
        message("m5", 20, "info", json!("Request cancelled.")),
        message("m6", 26, "info", json!(format!("Chat history compressed from 900 to 300 tokens. {SUMMARY}"))),
        message("m7", 40, "user", json!([{ "text": LAST }])),
        answer(
            "m8",
            44,
            2,
            "",
            call("c3", 45, "read_file", json!({ "file_path": "README.md" }), "success", json!({ "output": README })),
        ),
    ]
}

fn message(id: &str, second: u64, kind: &str, content: Value) -> Value {
    json!({ "id": id, "timestamp": at(second), "type": kind, "content": content })
}

/// An answer with a call; the cached tokens are a part of the input, and thoughts stand beside the output.
fn answer(id: &str, second: u64, answer: usize, text: &str, call: Value) -> Value {
    let [input, cached, _, output, thoughts] = TOKENS[answer];
    let tokens = json!({ "input": input + cached, "cached": cached, "output": output - thoughts, "thoughts": thoughts, "tool": 0, "total": input + cached + output });
    with(
        message(id, second, "gemini", json!(text)),
        json!({ "model": "gemini-3.5-pro", "thoughts": [], "tokens": tokens, "toolCalls": [call] }),
    )
}

fn call(id: &str, second: u64, name: &str, arguments: Value, status: &str, response: Value) -> Value {
    let result = json!([{ "functionResponse": { "id": id, "name": name, "response": response } }]);
    json!({ "id": id, "name": name, "args": arguments, "status": status, "timestamp": at(second), "result": result })
}
